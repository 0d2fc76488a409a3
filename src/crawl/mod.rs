//! Sources -> [`RemoteTree`], concurrently, under the quotas; then the questions that
//! the plan still has.

use tokio_util::sync::CancellationToken;

use crate::feishu::{ApiError, Client};
use crate::model::source::Source;
use crate::model::tree::RemoteTree;
use crate::plan::{Answers, Questions};
use crate::progress::Progress;
use crate::rules::Rules;

/// Walks the sources.
///
/// A folder that cannot be listed is part of the tree ([`crate::model::tree::Listing`]).
///
/// # Errors
/// Only what ends the run: no usable credential, the app needs an operator, the API
/// cannot be reached, a source that does not exist. A budget or `stop` ends the walk
/// early with the unlisted parents marked as failed.
#[expect(clippy::unused_async, unused_variables)]
pub async fn crawl(
    client: &Client,
    sources: &[Source],
    rules: &Rules,
    as_user: bool,
    progress: &dyn Progress,
    stop: &CancellationToken,
) -> Result<RemoteTree, ApiError> {
    todo!()
}

/// Asks what the plan needs to know and adds it to `answers`.
#[expect(clippy::unused_async, unused_variables)]
pub async fn ask(
    client: &Client,
    questions: &Questions,
    tree: &RemoteTree,
    answers: &mut Answers,
    progress: &dyn Progress,
    stop: &CancellationToken,
) -> Result<(), ApiError> {
    todo!()
}
