//! Why the manifest cannot be used, and what to do about it.

use std::io;
use std::path::Path;

/// Why the manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "another run{} holds {path}: wait for it to end, then run again",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// Where.
        path: String,
        /// The other process, where it says so.
        pid: Option<u32>,
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
    #[error("{} {path} cannot be read: {message}; {}", what(.path), remedy(.path))]
    Damaged {
        /// Where.
        path: String,
        /// What redb says.
        message: String,
    },
    /// The system refused.
    #[error("cannot {action} {path}{}", what_to_do(.source))]
    Io {
        /// `open`, `write` …
        action: &'static str,
        /// Where.
        path: String,
        /// The system's error.
        source: io::Error,
    },
}

fn is_index(path: &str) -> bool {
    path.ends_with(super::INDEX_FILE)
}

fn what(path: &str) -> &'static str {
    if is_index(path) { "the index" } else { "the manifest" }
}

fn remedy(path: &str) -> &'static str {
    if is_index(path) {
        "the next run that changes something writes it anew"
    } else {
        "`feishu-mirror rebuild` makes it again without fetching what still matches"
    }
}

/// What the reader can do where the system's word alone does not say it.
fn what_to_do(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ": free some space (or quota), then run again"
        }
        io::ErrorKind::PermissionDenied => {
            ": give this user the right to write there, then run again"
        }
        io::ErrorKind::ReadOnlyFilesystem => ": make the disk writable, then run again",
        _ => "",
    }
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), source }
    }

    pub(super) fn damaged(path: &Path, message: impl Into<String>) -> Self {
        Self::Damaged { path: path.display().to_string(), message: message.into() }
    }

    /// Sorts what redb says. `action` is what was tried.
    pub(super) fn redb(action: &'static str, path: &Path, error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => {
                Self::Locked { path: path.display().to_string(), pid: None }
            }
            // redb reads past the end of a file that was cut short.
            redb::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Self::damaged(path, "it is cut short")
            }
            redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
                Self::damaged(path, source.to_string())
            }
            redb::Error::Io(source) => Self::io(action, path, source),
            other => Self::damaged(path, other.to_string()),
        }
    }
}
