//! Giving back the room that a manifest no longer needs.
//!
//! Rows written in any order leave pages part empty, and each commit needs new pages before
//! it gives back old ones. redb's own compaction moves pages but does not fill them; made
//! again in the order of its keys, the manifest has full ones. The new one replaces the old
//! one by a rename, so that a crash leaves one or the other, both whole.

use std::path::Path;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::read::Still;
use super::schema::{INTENTS, META, PLACES, SOURCES};
use super::{Store, StoreError, fill, make, sync_folder};

/// What is smaller is left alone: made again, it would save too little.
const SMALL_BYTES: u64 = 16 << 20;

impl Store {
    /// Closes the manifest, and makes it again where this one changed it and its file is far
    /// larger than what is in it. Returns whether it did.
    ///
    /// The caller holds the run lock. Whoever reads meanwhile sees one or the other, with the
    /// same rows.
    pub fn tidy(self) -> Result<bool, StoreError> {
        let path = self.path.clone();
        let changed = self.changed();
        // Closing gives back the empty end of the file, to which redb grows by doubling it.
        drop(self);
        if changed { tidy(&path) } else { Ok(false) }
    }
}

/// Makes a manifest again that nobody writes, where that saves much.
pub(super) fn tidy(path: &Path) -> Result<bool, StoreError> {
    let length = std::fs::metadata(path).map_err(|e| StoreError::io("open", path, e))?.len();
    if length <= SMALL_BYTES {
        return Ok(false);
    }
    tidy_from(path, length)
}

fn tidy_from(path: &Path, length: u64) -> Result<bool, StoreError> {
    let fault = |error: redb::Error| StoreError::redb("make again", path, error);
    let still = Still::open(path)?;
    let txn = still.begin(path)?;
    if length <= SMALL_BYTES + content(&txn).map_err(fault)? * 8 / 5 {
        return Ok(false);
    }
    let state = path.parent().expect("the manifest lies in a folder");
    let made = make(state, path, |to| copy(&txn, to))?;
    drop((txn, still));
    let kept = || {
        made.as_file().sync_all()?;
        made.persist(path)?;
        sync_folder(state)
    };
    kept().map_err(|error| StoreError::io("make again", path, error))?;
    Ok(true)
}

/// Bytes of the rows and their keys, without the room between them.
fn content(txn: &ReadTransaction) -> Result<u64, redb::Error> {
    Ok(txn.open_table(PLACES)?.stats()?.stored_bytes())
}

/// Copies every table.
fn copy(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), redb::Error> {
    let (source, mut target) = (from.open_table(META)?, to.open_table(META)?);
    for row in source.iter()? {
        let (name, value) = row?;
        target.insert(name.value(), value.value())?;
    }
    let (source, mut target) = (from.open_table(SOURCES)?, to.open_table(SOURCES)?);
    for row in source.iter()? {
        let (name, value) = row?;
        target.insert(name.value(), value.value())?;
    }
    let (source, mut target) = (from.open_table(INTENTS)?, to.open_table(INTENTS)?);
    for row in source.iter()? {
        let (number, value) = row?;
        target.insert(number.value(), value.value())?;
    }
    let source = from.open_table(PLACES)?;
    let rows = source.iter()?.map(|row| {
        let (key, value) = row?;
        Ok((key.value().to_owned(), value.value().to_owned()))
    });
    fill::append(to, rows)
}
