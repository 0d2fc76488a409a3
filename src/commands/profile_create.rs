//! `profile add --create-app`: registers an app in the browser.

use super::Session;
use super::exit::Problem;
use crate::cli::accounts::ProfileAdd;

/// Runs it.
#[expect(clippy::unused_async, reason = "the caller awaits it")]
pub async fn run(_: &Session, args: &ProfileAdd) -> Result<u8, Problem> {
    Err(Problem::failed("--create-app is not part of this version")
        .hint(format!("feishu-mirror profile add {} --app-id cli_…", args.name)))
}
