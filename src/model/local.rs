//! What is on disk, as one scan saw it. Pure data; `disk` fills it.

use std::collections::{BTreeMap, BTreeSet};

use super::recorded::Loc;
use super::{ContentHash, RelPath};

/// Everything below the mirror's root (without the state folder), and what is parked.
#[derive(Debug, Clone, Default)]
pub struct LocalState {
    /// What stands where; symlinks are not followed.
    pub entries: BTreeMap<Loc, LocalEntry>,
    /// Hashes of the files that had to be read (same size, other mtime).
    pub hashes: BTreeMap<Loc, ContentHash>,
    /// Folders that could not be read: what is below them is unknown, not missing.
    pub unreadable: BTreeSet<RelPath>,
    /// Files and folders whose names no place of the copy can have, as text for messages.
    pub odd: BTreeSet<String>,
}

/// One thing on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalEntry {
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Seconds since 1970, rounded down.
        mtime_secs: i64,
    },
    /// A folder.
    Dir,
    /// A symlink and its text.
    Link(String),
    /// A device, socket or pipe.
    Other,
}
