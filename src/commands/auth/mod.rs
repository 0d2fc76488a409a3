//! `auth`: who is logged in.

use super::Session;
use super::exit::Problem;
use crate::cli::accounts::Auth;

/// Runs it.
pub async fn run(session: &Session, args: &Auth) -> Result<u8, Problem> {
    let _ = (session, args);
    todo!()
}
