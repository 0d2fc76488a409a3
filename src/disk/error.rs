//! Why something did not happen on disk, and what to do about it.

use std::io;

use crate::faults::{Faults, Inode, Op};

/// Why an operation on the copy did not happen.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Something that the manifest does not know stands in the way.
    #[error("{path} is in the way: {what}; move it away and run again")]
    Occupied {
        /// Where.
        path: String,
        /// A file, a folder, a symlink …
        what: &'static str,
    },
    /// No space (ENOSPC, EDQUOT): the run stops.
    #[error("no space left while writing {path}: free some space (or quota), then run again")]
    Full {
        /// Where.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The state folder cannot serve this copy: staged files are renamed into it.
    #[error("the state folder {state} {why} the copy {root}: set `mirror.state` to another folder")]
    State {
        /// The state folder.
        state: String,
        /// The copy's root.
        root: String,
        /// `is on another file system than`, `is the same as` …
        why: &'static str,
    },
    /// Anything else.
    #[error("cannot {action} {path}{}", what_to_do(.source))]
    Io {
        /// `write`, `rename` …
        action: &'static str,
        /// Where.
        path: String,
        /// The system's error.
        source: io::Error,
    },
}

/// What the reader can do where the system's word alone does not say it.
fn what_to_do(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ": give this user the right to write there, then run again"
        }
        io::ErrorKind::ReadOnlyFilesystem => ": make the disk writable, then run again",
        _ => "",
    }
}

impl Faults {
    /// As [`Faults::run`], with the error that the user reads.
    pub(super) fn call<T>(
        &self,
        op: Op,
        path: &str,
        call: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, DiskError> {
        self.run(op, path, call).map_err(|error| DiskError::of(op, path, error))
    }

    /// As [`Faults::fsync`], with the error that the user reads.
    pub(super) fn sync<T>(
        &self,
        op: Op,
        path: &str,
        what: &impl Inode,
        call: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, DiskError> {
        self.fsync(op, path, what, call).map_err(|error| DiskError::of(op, path, error))
    }
}

impl DiskError {
    /// Sorts the system's error.
    pub(super) fn of(op: Op, path: &str, source: io::Error) -> Self {
        let path = if path.is_empty() { "the mirror".to_owned() } else { path.to_owned() };
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            _ => Self::Io { action: op.verb(), path, source },
        }
    }

    /// True where something (or a folder on the way to it) is simply not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
