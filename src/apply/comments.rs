//! What people wrote about a document, as one JSON file.

use crate::disk::Sealed;

use super::fetch::{About, Fetcher, Setback};
use super::trouble::Trouble;

/// Fetches all comments with all replies.
pub(super) async fn get(_fetcher: &Fetcher, _about: &About) -> Result<Sealed, Setback> {
    Err(Trouble::failed("comments are not fetched yet").into())
}
