//! Bases as JSON: one file a table with its fields, views and records, and all attachments.

use crate::disk::Sealed;
use crate::model::recorded::Stamp;
use crate::plan::Want;

use super::assets::Assets;
use super::fetch::{About, Fetcher, Setback};
use super::journal::Journal;
use super::page::Standing;
use super::trouble::{Halt, Trouble};

/// What came of a base.
#[derive(Debug)]
pub(super) struct Tables {
    /// Every table there is: id and title, in the service's order.
    pub all: Vec<(String, String)>,
    /// What was fetched, by table.
    pub files: Vec<(String, Result<Sealed, Trouble>)>,
    /// Attachments.
    pub assets: Assets,
}

/// Fetches every table of a base, and the attachments that no place has yet.
pub(super) async fn get(
    _fetcher: &Fetcher,
    _about: &About,
    _standing: &[Standing],
) -> Result<Tables, Setback> {
    Err(Trouble::failed("bases are not fetched as JSON yet").into())
}

impl Journal {
    /// Brings the files of a base to every place that wants them.
    pub(super) fn publish_tables(
        &mut self,
        _about: &About,
        wants: &[Want],
        stamp: &Stamp,
        _tables: Tables,
    ) -> Result<(), Halt> {
        for want in wants {
            self.fail_want(want, stamp, &Trouble::failed("bases are not written yet"))?;
        }
        Ok(())
    }
}
