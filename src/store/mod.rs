//! The manifest in redb: rows, intents, and the readable index beside it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::recorded::{Loc, PlaceRow, Recorded, Slot, SourceRow};
use crate::model::{ContentHash, PlaceKey, RelPath, SourceName};

/// A rename that is about to happen, with what to record once it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// What kind.
    pub act: Act,
    /// Row changes that are true once it has happened, in order.
    pub then: Vec<RowChange>,
}

/// The rename itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// A staged file over `to`; done when `to` has that size and hash.
    Publish {
        /// Target.
        to: RelPath,
        /// Bytes.
        size: u64,
        /// Hash.
        blake3: ContentHash,
    },
    /// A rename; done when `from` is absent and `to` present.
    Move {
        /// Before.
        from: Loc,
        /// After.
        to: Loc,
    },
    /// Into the trash; done when `from` is absent.
    Trash {
        /// Before.
        from: Loc,
        /// Below `trash/` of the state folder.
        to: String,
    },
    /// A removal; done when `from` is absent.
    Remove {
        /// Before.
        from: Loc,
    },
    /// A symlink; done when it has that text.
    Link {
        /// Where.
        to: RelPath,
        /// Its text.
        text: String,
    },
}

/// One change of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum RowChange {
    /// Write a row.
    Put {
        /// Its key.
        key: PlaceKey,
        /// The whole row.
        place: Box<PlaceRow>,
    },
    /// Drop a row.
    Drop {
        /// Its key.
        key: PlaceKey,
    },
    /// Give every row below a folder the folder's new source (and, for direct
    /// children, its new token as parent).
    Rekey {
        /// The folder's key before.
        from: PlaceKey,
        /// And after.
        to: PlaceKey,
    },
    /// Write a source's row.
    Source {
        /// Its name.
        name: SourceName,
        /// The row.
        source: SourceRow,
    },
}

/// Applies row changes to a manifest in memory, exactly as [`Store`] does on disk.
pub fn apply_changes(recorded: &mut Recorded, changes: &[RowChange]) {
    let _ = (recorded, changes);
    todo!()
}

/// Slots that moved elsewhere are recorded through the row; this only names one.
pub type SlotOf = (PlaceKey, Slot);

/// The open manifest.
pub struct Store {}

/// Why the manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("another run holds the manifest {path}")]
    Locked {
        /// Where.
        path: String,
    },
    /// Written by a newer program.
    #[error(
        "the manifest {path} has version {found}, this program knows up to {known}: use the newer program"
    )]
    Newer {
        /// Where.
        path: String,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Not a manifest, or damaged.
    #[error("the manifest {path} cannot be read: {message}")]
    Damaged {
        /// Where.
        path: String,
        /// What redb says.
        message: String,
    },
}

#[expect(unused_variables, missing_docs)]
impl Store {
    /// Opens `manifest.redb` in the state folder, making it (with `mirror_id`) if there is none.
    pub fn open(state: &Path, mirror_id: &str) -> Result<Self, StoreError> {
        todo!()
    }
    /// Everything, and the open intents with their numbers, without ever writing. `None`: no manifest.
    pub fn read(
        state: &Path,
    ) -> Result<Option<(String, Recorded, Vec<(u64, Intent)>)>, StoreError> {
        todo!()
    }
    pub fn mirror_id(&self) -> &str {
        todo!()
    }
    pub fn load(&self) -> Result<Recorded, StoreError> {
        todo!()
    }
    pub fn intents(&self) -> Result<Vec<(u64, Intent)>, StoreError> {
        todo!()
    }
    /// Commits intents, durably; returns their numbers.
    pub fn intend(&self, intents: &[Intent]) -> Result<Vec<u64>, StoreError> {
        todo!()
    }
    /// Commits row changes and closes intents, durably, in one transaction.
    pub fn record(&self, changes: &[RowChange], closed: &[u64]) -> Result<(), StoreError> {
        todo!()
    }
    /// True where some row changed since this was opened.
    pub fn changed(&self) -> bool {
        todo!()
    }
}
