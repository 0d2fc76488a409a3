//! Many rows at once.

use std::borrow::Borrow;
use std::ops::Bound;

use redb::{ReadableTable, WriteTransaction};

use crate::model::PlaceKey;
use crate::model::recorded::PlaceRow;

use super::schema::{PLACES, key_text};
use super::{Store, StoreError, packed};

/// Rows that [`Store::put_all`] commits in one transaction.
const BATCH: usize = 8_192;

impl Store {
    /// Writes rows, some thousands in a transaction: where it fails, those before are there.
    ///
    /// Sorted ones that come after all that are there cost least, and fill their pages.
    pub fn put_all(
        &self,
        rows: impl IntoIterator<Item = (PlaceKey, PlaceRow)>,
    ) -> Result<(), StoreError> {
        let mut rows = rows.into_iter();
        loop {
            let batch: Vec<_> = rows.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.write(|txn| {
                let rows = batch.iter().map(|(key, row)| (key, row));
                places(txn, rows).map_err(|error| self.fault("write", error))
            })?;
            self.note_change();
        }
    }
}

/// Writes rows of places; of two with one key, the later one stays.
pub(super) fn places<'a>(
    txn: &WriteTransaction,
    rows: impl Iterator<Item = (&'a PlaceKey, &'a PlaceRow)>,
) -> Result<(), redb::Error> {
    let rows = rows.map(|(key, row)| (key_text(key), packed::pack(&key.token, row)));
    append(txn, rows.map(Ok))
}

/// Writes packed rows. As long as they come in the order of their keys, after all that are
/// there, they are appended: the pages of redb are full then. Inserted one by one, they would
/// be half empty.
pub(super) fn append<K: Borrow<str>, V: Borrow<[u8]>>(
    txn: &WriteTransaction,
    mut rows: impl Iterator<Item = Result<(K, V), redb::Error>>,
) -> Result<(), redb::Error> {
    let mut table = txn.open_table(PLACES)?;
    let mut last = table.last()?.map(|(key, _)| key.value().to_owned());
    let mut early = None;
    {
        let mut end = table.upper_bound_mut(Bound::<&str>::Unbounded)?;
        for row in rows.by_ref() {
            let (key, row) = row?;
            if last.as_deref().is_some_and(|last| key.borrow() <= last) {
                early = Some((key, row));
                break;
            }
            end.insert_before(key.borrow(), row.borrow())?;
            match &mut last {
                Some(last) => key.borrow().clone_into(last),
                None => last = Some(key.borrow().to_owned()),
            }
        }
        // The last ones are written only now.
        end.close()?;
    }
    for row in early.into_iter().map(Ok).chain(rows) {
        let (key, row) = row?;
        table.insert(key.borrow(), row.borrow())?;
    }
    Ok(())
}
