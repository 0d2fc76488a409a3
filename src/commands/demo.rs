//! `demo`.
use super::Session;
use super::exit::Problem;
use crate::cli::Demo;

pub async fn run(_session: &Session, _args: &Demo) -> Result<u8, Problem> {
    todo!()
}
