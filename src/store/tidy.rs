//! Giving back the room that a manifest no longer needs.
//!
//! Rows written in any order leave pages part empty, each commit needs new pages before it
//! gives back old ones, and redb grows a file by doubling it. Its own compaction moves pages
//! but does not fill them; made again in the order of its keys, the manifest has full ones.
//! The new one replaces the old one by a rename, so that a crash leaves one or the other,
//! both whole.

use std::path::Path;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::read::Still;
use super::schema::{FILE, INTENTS, META, PLACES, SOURCES};
use super::{Store, StoreError, fill, make, sync_file, sync_folder};
use crate::faults::{Faults, Op};

/// What is smaller is left alone: made again, it would save too little.
pub(super) const SMALL_BYTES: u64 = 16 << 20;

impl Store {
    /// Closes the manifest, and makes it again where this one changed it and its file is far
    /// larger than what is in it. Returns whether it did.
    ///
    /// The caller holds the run lock. Whoever reads meanwhile sees one or the other, with the
    /// same rows.
    pub fn tidy(self) -> Result<bool, StoreError> {
        let (path, faults) = (self.path.clone(), self.faults.clone());
        let changed = self.changed();
        drop(self);
        if changed { tidy(&path, &faults) } else { Ok(false) }
    }
}

/// Makes a manifest again that nobody writes, where that saves much.
pub(super) fn tidy(path: &Path, faults: &Faults) -> Result<bool, StoreError> {
    tidy_above(path, SMALL_BYTES, faults)
}

fn tidy_above(path: &Path, small: u64, faults: &Faults) -> Result<bool, StoreError> {
    let length = std::fs::metadata(path).map_err(|e| StoreError::io("open", path, e))?.len();
    if length <= small {
        return Ok(false);
    }
    let fault = |error: redb::Error| StoreError::redb("make again", path, error);
    let still = Still::open(path)?;
    let txn = still.begin(path)?;
    // Pages that were filled in random order are two thirds full: that is not much yet.
    if length <= small + content(&txn).map_err(fault)? * 8 / 5 {
        return Ok(false);
    }
    make_again(path, still, txn, faults)?;
    Ok(true)
}

/// Makes it again without asking whether that saves anything.
#[cfg(test)]
pub(super) fn anyway(path: &Path) -> Result<(), StoreError> {
    let still = Still::open(path)?;
    let txn = still.begin(path)?;
    make_again(path, still, txn, &Faults::default())
}

fn make_again(
    path: &Path,
    still: Still,
    txn: ReadTransaction,
    faults: &Faults,
) -> Result<(), StoreError> {
    let state = path.parent().expect("the manifest lies in a folder");
    let made = make(state, path, faults, |to| copy(&txn, to))?;
    drop((txn, still));
    let kept = || {
        // Who may read it is the owner's business.
        made.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
        sync_file(&made, faults)?;
        faults.run(Op::Publish, FILE, || Ok(made.persist(path)?))?;
        sync_folder(state, faults)
    };
    kept().map_err(|error| StoreError::io("make again", path, error))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorded::PlaceRow;
    use crate::model::{ObjType, Object, PlaceKey};
    use crate::store::schema::FILE;
    use crate::store::{Act, Intent, RowChange};

    fn row(n: u64) -> (PlaceKey, PlaceRow) {
        // In no order.
        let token = blake3::hash(&n.to_le_bytes()).to_string();
        let row = serde_json::json!({
            "object": Object::new(ObjType::Docx, token.as_str()), "title": "T".repeat(40),
            "stem": "T", "parent": null, "created_secs": 5});
        let key = PlaceKey::new(&"drive".into(), &token.as_str().into());
        (key, serde_json::from_value(row).unwrap())
    }

    #[test]
    fn a_loose_manifest_is_made_again_with_all_that_is_in_it() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
        let changes: Vec<RowChange> = (0..20_000)
            .map(row)
            .map(|(key, row)| RowChange::Put { key, place: Box::new(row) })
            .collect();
        store.record(&changes, &[]).unwrap();
        let source = serde_json::json!({"root": "r"});
        let source = serde_json::from_value(source).unwrap();
        store.record(&[RowChange::Source { name: "drive".into(), source }], &[]).unwrap();
        let link = Act::Link { to: crate::model::RelPath::new("a").unwrap(), text: "b".into() };
        store.intend(&[Intent { act: link, then: Vec::new() }]).unwrap();
        let gone = (0..20_000).step_by(2).map(row).map(|(key, _)| RowChange::Drop { key });
        store.record(&gone.collect::<Vec<_>>(), &[]).unwrap();
        let (rows, intents) = (store.load().unwrap(), store.intents().unwrap());
        assert!(!store.tidy().unwrap(), "a small one is left alone");

        let before = std::fs::metadata(&path).unwrap().len();
        // Even an empty one takes a megabyte.
        assert!(tidy_above(&path, 1 << 20, &Faults::default()).unwrap());
        let after = std::fs::metadata(&path).unwrap().len();
        assert!(after * 3 < before * 2, "{before} before, {after} after");
        assert!(!tidy_above(&path, 1 << 20, &Faults::default()).unwrap(), "what is full stays");

        let store = Store::open(state.path(), "m2", &Faults::default()).unwrap();
        assert_eq!(store.mirror_id(), "m1");
        assert_eq!((store.load().unwrap(), store.intents().unwrap()), (rows, intents));
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 1, "nothing else is left");
    }
}
