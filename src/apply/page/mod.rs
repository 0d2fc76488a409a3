//! Documents as Markdown: their blocks and all that these show are fetched by `fetch`,
//! written into the copy by `publish`, and written again from the kept blocks by `rewrite`
//! when only what is around them changed.

mod boards;
pub(super) mod fetch;
pub(super) mod kept;
mod making;
mod people;
mod pictures;
mod publish;
mod rewrite;
mod synced;
mod tables;

use std::collections::BTreeMap;

use crate::export::docx::Kept;
use crate::model::ContentHash;
use crate::model::recorded::Stamp;

pub(super) use self::making::Places;
pub(super) use self::people::Learned;
pub(super) use self::publish::Notes;
use super::assets::Assets;
use super::fetch::Copy;
use super::trouble::Trouble;

/// A page on its way into the copy.
#[derive(Debug)]
pub(super) struct Page {
    /// Its blocks, and what was fetched for them.
    pub kept: Kept,
    /// Where nothing of it was fetched but what was damaged: what was seen of the document
    /// then.
    pub stamp: Option<Stamp>,
    /// Its pictures and files.
    pub assets: Assets,
    /// Something could not be fetched for now: the page is published without it, counts as
    /// failed, and is fetched again by the next run.
    pub trouble: Option<Trouble>,
}

/// What the copy already has of a page or of a base, for one want.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Its kept blocks and their stamp, where they are as new as what is wanted.
    pub kept: Option<(ContentHash, Stamp)>,
    /// Its kept blocks, however old: what may not be read any more stays as it was.
    pub before: Option<ContentHash>,
    /// Pictures and files that stand at this very place, undamaged, by part.
    pub here: BTreeMap<String, Copy>,
    /// The same of another place with the same content.
    pub elsewhere: BTreeMap<String, Copy>,
}
