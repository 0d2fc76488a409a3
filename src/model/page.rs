//! What is remembered of a document written as Markdown, besides its file: enough to know
//! when it has to be written again although the document itself stands still.

use serde::{Deserialize, Serialize};

use super::recorded::Stamp;
use super::{ContentHash, Object};

/// A page's part of its place's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRow {
    /// Hash of its kept blocks, and their name in the state folder.
    pub kept: ContentHash,
    /// Hash of what it shows of the copy around it, see [`crate::layout::Around`]: where
    /// that has another one now, the page is written again.
    pub around: ContentHash,
    /// Documents that it refers to, by their tokens, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Wiki nodes whose children it lists, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
    /// The limits that left something out of it.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// What it shows of other objects, sorted by object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embeds: Vec<Embed>,
}

/// Limits of the config, as they were where they cut something off a page: under others it
/// shows more or less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `table_rows`, where a table has more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_rows: Option<u32>,
    /// `max_size`, where a picture or file is larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
}

impl Limits {
    /// True where nothing was cut.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Something that a page shows and that changes without the page: a sheet, a table of a
/// base, a whiteboard (type `board`), a document with the source of a synced block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embed {
    /// What it is.
    pub object: Object,
    /// What was seen of it before it was fetched. Boards have no edit time.
    pub stamp: Stamp,
    /// Of a board: hash of its nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<ContentHash>,
    /// When it was looked at last, seconds since 1970.
    pub checked_secs: i64,
    /// It may not be read, so that the page has a note in its place: nobody knows whether it
    /// changes, and it is asked for again in time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub refused: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The word by which this program names a whiteboard's type; the service has none.
pub const BOARD: &str = "board";
