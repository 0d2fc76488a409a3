//! `profile`.

use super::Session;
use super::exit::Problem;
use crate::cli::accounts::Profile;

/// Runs it.
pub async fn run(session: &Session, args: &Profile) -> Result<u8, Problem> {
    let _ = (session, args);
    todo!()
}
