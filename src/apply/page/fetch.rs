//! A document's blocks, and everything that these show, into one [`Page`].

use crate::plan::Want;

use super::super::fetch::{About, Fetcher, Setback};
use super::{Page, Standing};
use crate::apply::trouble::Trouble;

/// Fetches a page for all who want it, or takes it from what was kept.
///
/// `standing` is as long as `wants`.
pub(in crate::apply) async fn get(
    _fetcher: &Fetcher,
    _about: &About,
    _wants: &[Want],
    _standing: &[Standing],
) -> Result<Page, Setback> {
    Err(Trouble::failed("pages are not fetched yet").into())
}
