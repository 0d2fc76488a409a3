//! `doctor`.

use super::Session;
use super::exit::Problem;
use crate::cli::accounts::Doctor;

/// Runs it.
pub async fn run(session: &Session, args: &Doctor) -> Result<u8, Problem> {
    let _ = (session, args);
    todo!()
}
