//! Kept blocks in the state folder: files named by the hash of what is in them, so that a
//! row names its own whatever a crash leaves behind.

use std::collections::{BTreeMap, BTreeSet};

use crate::disk::{Disk, DiskError};
use crate::export::docx::Kept;
use crate::model::ContentHash;

/// Their folder.
const FOLDER: &str = "pages";

const LOST: &str = "it is not in the state folder any more";

fn name(hash: ContentHash) -> String {
    format!("{FOLDER}/{hash}")
}

/// Writes what is kept of a page, durably, unless it is there already.
///
/// # Errors
/// Where the state folder cannot be written.
pub(in crate::apply) fn keep(disk: &Disk, kept: &Kept) -> Result<ContentHash, DiskError> {
    let bytes = kept.encode();
    let hash = ContentHash::from(blake3::hash(&bytes));
    if disk.read_state_file(&name(hash))?.is_none_or(|there| there != bytes) {
        disk.write_state_file(&name(hash), &bytes)?;
    }
    Ok(hash)
}

/// Reads it back; the error is a sentence.
pub(in crate::apply) fn load(disk: &Disk, hash: ContentHash) -> Result<Kept, String> {
    let bytes = disk
        .read_state_file(&name(hash))
        .map_err(|error| error.to_string())?
        .ok_or_else(|| LOST.to_owned())?;
    if ContentHash::from(blake3::hash(&bytes)) != hash {
        return Err("its bytes changed".to_owned());
    }
    Kept::decode(&bytes).map_err(|error| error.to_string())
}

/// Which of these are missing or damaged, each with what is wrong with it. Bytes are read
/// only where `whole`.
///
/// # Errors
/// Where the folder cannot be read.
pub(in crate::apply) fn damaged(
    disk: &Disk,
    wanted: &BTreeSet<ContentHash>,
    whole: bool,
    cancelled: &dyn Fn() -> bool,
) -> Result<BTreeMap<ContentHash, String>, DiskError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let there: BTreeSet<String> = disk.state_files(FOLDER)?.into_iter().collect();
    let mut damaged = BTreeMap::new();
    for &hash in wanted {
        if cancelled() {
            break;
        }
        if !there.contains(&hash.to_string()) {
            damaged.insert(hash, LOST.to_owned());
        } else if whole && let Err(why) = load(disk, hash) {
            damaged.insert(hash, why);
        }
    }
    Ok(damaged)
}

/// Removes what no row names any more.
///
/// # Errors
/// Where the folder cannot be read or written.
pub(in crate::apply) fn sweep(disk: &Disk, used: &BTreeSet<ContentHash>) -> Result<(), DiskError> {
    for file in disk.state_files(FOLDER)? {
        let known = ContentHash::try_from(file.clone()).is_ok_and(|hash| used.contains(&hash));
        if !known {
            disk.remove_state_file(&format!("{FOLDER}/{file}"))?;
        }
    }
    Ok(())
}
