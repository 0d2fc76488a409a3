//! Everything that touches the copy on disk, below cap-std folder handles: remote
//! names cannot leave the root, nor can symlinks planted on the way.
//!
//! All calls block; `apply` runs them on a blocking thread.

use std::io;
use std::path::Path;

use crate::model::local::LocalState;
use crate::model::recorded::Loc;
use crate::model::{ContentHash, RelPath};

/// Disk faults to inject: nothing, unless the `test-faults` feature is on and a test
/// put some in. `main` hands down an empty one.
#[derive(Clone, Default)]
pub struct Faults {}

/// Handles on one mirror: its root and its state folder.
pub struct Disk {}

/// A file in staging, checked or being written.
pub struct Staged {
    /// Bytes so far.
    pub size: u64,
}

/// A finished staged file: closed, fsynced, mode and mtime not yet set.
#[derive(Debug)]
pub struct Sealed {
    /// Name in staging.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Hash.
    pub blake3: ContentHash,
}

/// What a partial download needs to go on later.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// A strong ETag.
    pub etag: Option<String>,
    /// Bytes of the whole.
    pub total: Option<u64>,
    /// The object's edit time when it began.
    pub edited_secs: Option<i64>,
}

/// Why an operation on the copy did not happen.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Something that the manifest does not know stands in the way.
    #[error("{path} is in the way: {what}")]
    Occupied {
        /// Where.
        path: String,
        /// A file, a folder, a symlink …
        what: &'static str,
    },
    /// No space (ENOSPC, EDQUOT): the run stops.
    #[error("no space left while writing {path}")]
    Full {
        /// Where.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot {action} {path}")]
    Io {
        /// `write`, `rename` …
        action: &'static str,
        /// Where.
        path: String,
        /// The system's error.
        source: io::Error,
    },
}

#[expect(unused_variables, missing_docs)]
impl Disk {
    /// Opens (and with `create` makes) root and state folder.
    pub fn open(
        root: &Path,
        state: &Path,
        create: bool,
        faults: &Faults,
    ) -> Result<Self, DiskError> {
        todo!()
    }
    /// Walks the copy without following symlinks; the state folder is left out.
    pub fn scan(&self) -> Result<LocalState, DiskError> {
        todo!()
    }
    pub fn hash(&self, at: &Loc) -> Result<ContentHash, DiskError> {
        todo!()
    }
    /// Bytes free for us on the file system of the root.
    pub fn free_bytes(&self) -> Result<u64, DiskError> {
        todo!()
    }
    /// A new file in staging.
    pub fn stage(&self) -> Result<Staged, DiskError> {
        todo!()
    }
    /// The partial download of that name with what it needs to go on, if the disk still has it.
    pub fn resume(&self, name: &str) -> Result<Option<(Staged, Validators)>, DiskError> {
        todo!()
    }
    /// A new partial download that survives this run.
    pub fn stage_partial(&self, name: &str, validators: &Validators) -> Result<Staged, DiskError> {
        todo!()
    }
    /// Copies a file of the copy into staging, hashing it.
    pub fn stage_copy(&self, from: &Loc) -> Result<Sealed, DiskError> {
        todo!()
    }
    /// Removes a staged file.
    pub fn discard(&self, sealed: Sealed) -> Result<(), DiskError> {
        todo!()
    }
    /// Removes everything in staging but parked slots and partial downloads younger than `keep_secs`.
    pub fn sweep_staging(&self, now_secs: i64, keep_secs: i64) -> Result<(), DiskError> {
        todo!()
    }
    /// Sets mode and mtime of a staged file (before its publish).
    pub fn dress(&self, sealed: &Sealed, mtime_secs: i64) -> Result<(), DiskError> {
        todo!()
    }
    /// Renames a dressed staged file over `to`. Parents must exist as real folders.
    pub fn publish(&self, sealed: &Sealed, to: &RelPath) -> Result<(), DiskError> {
        todo!()
    }
    /// Renames within the copy or between it and `staging/parked`; never onto something.
    pub fn rename(&self, from: &Loc, to: &Loc) -> Result<(), DiskError> {
        todo!()
    }
    /// Makes a folder (0755 less the umask); an existing real folder is fine.
    pub fn make_folder(&self, at: &RelPath) -> Result<(), DiskError> {
        todo!()
    }
    /// Removes a folder if it is empty; `false` if it is not.
    pub fn remove_folder(&self, at: &Loc) -> Result<bool, DiskError> {
        todo!()
    }
    /// Removes a file or symlink; absent is fine.
    pub fn remove(&self, at: &Loc) -> Result<(), DiskError> {
        todo!()
    }
    /// Where `at` goes in the trash of a run: `trash/<run>/<path>`, made unique. Does not move it.
    pub fn trash_place(&self, run: &str, path: &RelPath) -> Result<String, DiskError> {
        todo!()
    }
    /// Renames into the trash.
    pub fn trash(&self, at: &Loc, place: &str) -> Result<(), DiskError> {
        todo!()
    }
    /// Removes runs of the trash older than the retention; returns how many files.
    pub fn empty_trash(&self, now_secs: i64, retention_secs: i64) -> Result<u64, DiskError> {
        todo!()
    }
    /// Makes (or replaces, atomically) a symlink. `Ok(false)`: the file system has none.
    pub fn link(&self, text: &str, to: &RelPath) -> Result<bool, DiskError> {
        todo!()
    }
    pub fn set_mtime(&self, at: &RelPath, mtime_secs: i64) -> Result<(), DiskError> {
        todo!()
    }
    /// What stands there now (`None`: nothing).
    pub fn look(&self, at: &Loc) -> Result<Option<crate::model::local::LocalEntry>, DiskError> {
        todo!()
    }
    /// fsyncs folders so that renames in them last.
    pub fn sync_folders<'a>(
        &self,
        folders: impl IntoIterator<Item = &'a Loc>,
    ) -> Result<(), DiskError> {
        todo!()
    }
}

#[expect(unused_variables, missing_docs)]
impl Staged {
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), DiskError> {
        todo!()
    }
    /// Flushes, fsyncs and closes.
    pub fn seal(self) -> Result<Sealed, DiskError> {
        todo!()
    }
    /// Closes and keeps it for [`Disk::resume`] (partial downloads), or removes it.
    pub fn drop_or_keep(self, keep: bool) -> Result<(), DiskError> {
        todo!()
    }
}
