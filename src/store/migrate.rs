//! Bringing an older manifest up to the version of this program, after a copy.

use std::path::Path;

use redb::{ReadableTable, WriteTransaction};

use super::read::{Reader, Still};
use super::rows::packed_v1;
use super::schema::{META, META_VERSION, META_WRITTEN_BY, PLACES_V1, VERSION, WRITTEN_BY};
use super::{StoreError, backend, fill, tidy};
use crate::faults::{Faults, Op};

/// Changes the tables from one version to the next.
type Step = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// The step at index `n` leads from version `n + 1` to `n + 2`. Version 1 is the first.
const STEPS: &[Step] = &[pack_rows];

/// From version 1 to 2: rows of places were JSON, and are packed.
fn pack_rows(txn: &WriteTransaction) -> Result<(), redb::Error> {
    {
        let old = txn.open_table(PLACES_V1)?;
        let rows = old.iter()?.map(|row| {
            let (key, row) = row?;
            let packed = packed_v1(key.value(), row.value()).map_err(redb::Error::Corrupted)?;
            Ok((key.value().to_owned(), packed))
        });
        fill::append(txn, rows)?;
    }
    txn.delete_table(PLACES_V1)?;
    Ok(())
}

/// Reads the version without writing anything, then brings an older manifest up to
/// ours; the old one stays beside it as `manifest.v<version>.redb`.
///
/// # Errors
/// [`StoreError::Newer`] for one of a newer program, which is left untouched.
pub(super) fn bring_up(path: &Path, faults: &Faults) -> Result<(), StoreError> {
    bring_up_by(path, STEPS, VERSION, faults)
}

fn bring_up_by(path: &Path, steps: &[Step], known: u32, faults: &Faults) -> Result<(), StoreError> {
    let found = {
        let still = Still::open(path)?;
        let txn = still.begin(path)?;
        Reader { txn: &txn, path }.identity()?.0
    };
    if found > known {
        return Err(StoreError::Newer { path: path.display().to_string(), found, known });
    }
    let first = usize::try_from(found).unwrap_or_default().checked_sub(1);
    let Some(todo) = first.and_then(|first| steps.get(first..)) else {
        return Err(StoreError::damaged(path, format!("there never was a version {found}")));
    };
    if todo.is_empty() {
        return Ok(());
    }
    let kept = path.with_file_name(format!("manifest.v{found}.redb"));
    copy_beside(path, &kept, faults).map_err(|error| StoreError::io("copy", &kept, error))?;
    let fault = |error: redb::Error| StoreError::redb("migrate", path, error);
    let db = backend::open(path, faults).map_err(|error| fault(error.into()))?;
    let mut txn = db.begin_write().map_err(|error| fault(error.into()))?;
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
    for step in todo {
        step(&txn).map_err(fault)?;
    }
    {
        let mut meta = txn.open_table(META).map_err(|error| fault(error.into()))?;
        for (name, value) in
            [(META_VERSION, known.to_string()), (META_WRITTEN_BY, WRITTEN_BY.to_owned())]
        {
            meta.insert(name, value.as_str()).map_err(|error| fault(error.into()))?;
        }
    }
    txn.commit().map_err(|error| fault(error.into()))?;
    drop(db);
    // Both forms were in it for a moment.
    tidy::tidy(path, faults).map(drop)
}

/// Copies through a temporary name, so that a copy that is there is whole.
fn copy_beside(from: &Path, to: &Path, faults: &Faults) -> std::io::Result<()> {
    let folder = to.parent().expect("the manifest lies in a folder");
    let mut copy = tempfile::NamedTempFile::new_in(super::temp_folder(folder))?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    faults.run(Op::Copy, &name, || {
        std::io::copy(&mut std::fs::File::open(from)?, copy.as_file_mut())
    })?;
    super::sync_file(&copy, faults)?;
    faults.run(Op::Publish, &name, || Ok(copy.persist(to)?))?;
    super::sync_folder(folder, faults)
}

#[cfg(test)]
mod tests {
    use redb::ReadableDatabase;

    use super::*;
    use crate::store::Store;
    use crate::store::schema::FILE;

    /// A later program's step, invented: a table more.
    fn add_table(txn: &WriteTransaction) -> Result<(), redb::Error> {
        txn.open_table(redb::TableDefinition::<&str, &str>::new("later"))?.insert("a", "b")?;
        Ok(())
    }

    fn version(path: &Path) -> u32 {
        let still = Still::open(path).unwrap();
        let txn = still.begin(path).unwrap();
        Reader { txn: &txn, path }.identity().unwrap().0
    }

    #[test]
    fn an_older_manifest_is_copied_before_it_is_migrated() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        drop(Store::open(state.path(), "m1", &Faults::default()).unwrap());

        bring_up_by(&path, &[pack_rows, add_table], 3, &Faults::default()).unwrap();

        assert_eq!(version(&path), 3);
        assert_eq!(version(&state.path().join("manifest.v2.redb")), 2);
        let db = redb::Database::open(&path).unwrap();
        let txn = db.begin_read().unwrap();
        let later = txn.open_table(redb::TableDefinition::<&str, &str>::new("later")).unwrap();
        assert_eq!(later.get("a").unwrap().unwrap().value(), "b");
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_manifest() {
        let fail: Step = |txn| {
            add_table(txn)?;
            Err(redb::Error::Corrupted("on purpose".to_owned()))
        };
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        drop(Store::open(state.path(), "m1", &Faults::default()).unwrap());

        assert!(bring_up_by(&path, &[pack_rows, fail], 3, &Faults::default()).is_err());

        assert_eq!(version(&path), 2);
        assert_eq!(Store::open(state.path(), "m2", &Faults::default()).unwrap().mirror_id(), "m1");
    }

    #[test]
    fn a_manifest_of_a_newer_version_is_refused_untouched() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        drop(Store::open(state.path(), "m1", &Faults::default()).unwrap());
        bring_up_by(&path, &[pack_rows, add_table], 3, &Faults::default()).unwrap();
        let before = std::fs::read(&path).unwrap();

        let newer = |error| matches!(error, Some(StoreError::Newer { found: 3, known: 2, .. }));
        assert!(newer(Store::open(state.path(), "m1", &Faults::default()).err()));
        assert!(newer(Store::read(state.path()).err()));

        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
