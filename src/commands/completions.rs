//! `completions`: a script that completes command lines in a shell.

use super::{Session, exit};
use crate::cli::{self, Completions};

/// Prints the script.
pub fn run(session: &Session, args: &Completions) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), cli::NAME, &mut script);
    session.ui.raw(&script);
    exit::DONE
}
