//! `api`.

use super::Session;
use super::exit::Problem;
use crate::cli::accounts::Api;

/// Runs it.
pub async fn run(session: &Session, args: &Api) -> Result<u8, Problem> {
    let _ = (session, args);
    todo!()
}
