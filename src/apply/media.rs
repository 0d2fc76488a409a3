//! Pictures and files inside of documents and bases.

use crate::disk::Sealed;
use crate::export::docx::markdown::Found;

use super::fetch::{Fetcher, Setback};
use super::trouble::Trouble;

/// A picture or file to download.
#[derive(Debug, Clone, Default)]
pub(super) struct Media {
    /// Its token.
    pub token: String,
    /// What opens it where the plain call may not, each a value of the `extra` parameter.
    pub extras: Vec<String>,
    /// Its file name, where it has one.
    pub name: Option<String>,
}

/// A downloaded picture or file.
#[derive(Debug)]
pub(super) struct File {
    /// Its bytes, in staging.
    pub sealed: Sealed,
    /// Its name in the side folder: `<token>.<extension by content>`.
    pub name: String,
}

/// Downloads it, whole, within `filter.max_size`. What may not be read, is gone or too
/// large is no setback: the page or record says so.
pub(super) async fn get(_fetcher: &Fetcher, _media: &Media) -> Result<Found<File>, Setback> {
    Err(Trouble::failed("media are not fetched yet").into())
}
