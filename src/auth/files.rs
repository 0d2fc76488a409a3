//! Private files: mode 0600 in folders of mode 0700, replaced whole or not at all.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::AuthError;

/// Makes a folder and those above it, each new one for its owner only.
pub fn make_folder(folder: &Path) -> Result<(), AuthError> {
    let _ = folder;
    todo!()
}

/// Reads a private JSON file; `None` where there is none. A laxer mode is repaired;
/// where that is not possible, the file is refused.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AuthError> {
    let _ = path;
    todo!()
}

/// Writes a private JSON file: a new file beside it, synced, renamed over it, and the
/// folder synced. A process killed at any step leaves the old file or the new one.
pub fn replace(path: &Path, value: &impl Serialize) -> Result<(), AuthError> {
    let _ = (path, value);
    todo!()
}

/// Removes a file, synced; none there is no error.
pub fn remove(path: &Path) -> Result<(), AuthError> {
    let _ = path;
    todo!()
}

/// Held by one process at a time, until dropped.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code)] std::fs::File);

/// Waits for the lock. Blocks the thread.
pub fn lock(path: &Path) -> Result<FileLock, AuthError> {
    let _ = path;
    todo!()
}
