//! Writing: intents before a rename, rows after it, each in one durable transaction.

use std::sync::atomic::Ordering;

use redb::{ReadableTable, Table, WriteTransaction};

use crate::model::account::Account;
use crate::model::recorded::{PlaceRow, SourceRow};
use crate::model::{PlaceKey, PlaceToken, SourceName};

use super::changes::{self, Rows};
use super::packed::{self, RowView};
use super::schema::{
    INTENTS, META, META_ACCOUNT, PLACES, SOURCES, decode, encode, key_text, source_range, split_key,
};
use super::{Intent, RowChange, Store, StoreError, rows};

impl Store {
    /// Commits intents, durably, in one transaction; returns their numbers.
    pub fn intend(&self, intents: &[Intent]) -> Result<Vec<u64>, StoreError> {
        if intents.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.next_intent.fetch_add(intents.len() as u64, Ordering::Relaxed);
        let numbers: Vec<u64> = (first..).take(intents.len()).collect();
        self.write(|txn| {
            let mut table = txn.open_table(INTENTS).map_err(|e| self.fault("write", e))?;
            for (number, intent) in numbers.iter().zip(intents) {
                let row = encode(intent);
                table.insert(number, row.as_slice()).map_err(|e| self.fault("write", e))?;
            }
            Ok(())
        })?;
        Ok(numbers)
    }

    /// Commits row changes and closes intents, durably, in one transaction.
    pub fn record(&self, changes: &[RowChange], closed: &[u64]) -> Result<(), StoreError> {
        if changes.is_empty() && closed.is_empty() {
            return Ok(());
        }
        let changed = self.write(|txn| {
            let mut rows = TableRows {
                store: self,
                places: txn.open_table(PLACES).map_err(|e| self.fault("write", e))?,
                sources: txn.open_table(SOURCES).map_err(|e| self.fault("write", e))?,
                changed: false,
            };
            changes::apply(&mut rows, changes)?;
            let mut intents = txn.open_table(INTENTS).map_err(|e| self.fault("write", e))?;
            for number in closed {
                intents.remove(number).map_err(|e| self.fault("write", e))?;
            }
            Ok(rows.changed)
        })?;
        self.changed.fetch_or(changed, Ordering::Relaxed);
        Ok(())
    }

    /// Records the account that the mirror belongs to from now on.
    pub fn set_account(&self, account: &Account) -> Result<(), StoreError> {
        let text = account_text(account);
        let changed = self.write(|txn| {
            let mut meta = txn.open_table(META).map_err(|e| self.fault("write", e))?;
            let old =
                meta.insert(META_ACCOUNT, text.as_str()).map_err(|e| self.fault("write", e))?;
            Ok(old.is_none_or(|old| old.value() != text))
        })?;
        // The index names it too.
        self.changed.fetch_or(changed, Ordering::Relaxed);
        Ok(())
    }

    /// One transaction. It is on the disk when this returns, and a power cut at any
    /// instant leaves it whole or not there at all: two-phase commit, with the
    /// allocator's state saved too, so that the next start needs no repair.
    pub(super) fn write<T>(
        &self,
        fill: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut txn = self.db.begin_write().map_err(|e| self.fault("write", e))?;
        txn.set_two_phase_commit(true);
        txn.set_quick_repair(true);
        let done = fill(&txn)?;
        txn.commit().map_err(|e| self.fault("write", e))?;
        Ok(done)
    }
}

/// An account as the manifest keeps it.
pub(super) fn account_text(account: &Account) -> String {
    serde_json::to_string(account).expect("plain data has a JSON form")
}

/// The manifest's tables within a transaction.
struct TableRows<'a, 'txn> {
    store: &'a Store,
    places: Table<'txn, &'static str, &'static [u8]>,
    sources: Table<'txn, &'static str, &'static [u8]>,
    /// Some row is not what it was.
    changed: bool,
}

impl TableRows<'_, '_> {
    fn row(&self, key: &str, bytes: &[u8]) -> Result<PlaceRow, StoreError> {
        let view = rows::view(key, bytes);
        view.map(|view| view.to_row())
            .map_err(|message| StoreError::damaged(&self.store.path, message))
    }
}

impl Rows for TableRows<'_, '_> {
    type Error = StoreError;

    fn put(&mut self, key: &PlaceKey, row: &PlaceRow) -> Result<(), StoreError> {
        let (key, row) = (key_text(key), packed::pack(&key.token, row));
        let same = self
            .places
            .get(key.as_str())
            .map_err(|e| self.store.fault("read", e))?
            .is_some_and(|old| old.value() == row);
        if !same {
            self.places
                .insert(key.as_str(), row.as_slice())
                .map_err(|e| self.store.fault("write", e))?;
            self.changed = true;
        }
        Ok(())
    }

    fn get(&self, key: &PlaceKey) -> Result<Option<PlaceRow>, StoreError> {
        let key = key_text(key);
        let row = self.places.get(key.as_str()).map_err(|e| self.store.fault("read", e))?;
        row.map(|row| self.row(&key, row.value())).transpose()
    }

    fn take(&mut self, key: &PlaceKey) -> Result<Option<PlaceRow>, StoreError> {
        let key = key_text(key);
        let old = self.places.remove(key.as_str()).map_err(|e| self.store.fault("write", e))?;
        let Some(old) = old else { return Ok(None) };
        self.changed = true;
        let store = self.store;
        let row = rows::view(&key, old.value()).map(|view| view.to_row());
        row.map(Some).map_err(|message| StoreError::damaged(&store.path, message))
    }

    fn parents(&self, source: &SourceName) -> Result<Vec<(PlaceToken, PlaceToken)>, StoreError> {
        let (first, end) = source_range(source);
        let mut parents = Vec::new();
        let rows = self
            .places
            .range(first.as_str()..end.as_str())
            .map_err(|e| self.store.fault("read", e))?;
        for row in rows {
            let (key, bytes) = row.map_err(|e| self.store.fault("read", e))?;
            let parent = RowView::parent_in(bytes.value()).map_err(|error| {
                let message = format!("row {:?}: {error}", key.value());
                StoreError::damaged(&self.store.path, message)
            })?;
            if let (Some((_, token)), Some(parent)) = (split_key(key.value()), parent) {
                parents.push((token.into(), parent.into()));
            }
        }
        Ok(parents)
    }

    fn put_source(&mut self, name: &SourceName, row: &SourceRow) -> Result<(), StoreError> {
        let bytes = encode(row);
        let old = self
            .sources
            .insert(name.as_str(), bytes.as_slice())
            .map_err(|e| self.store.fault("write", e))?
            .map(|old| old.value().to_vec());
        let old: Option<SourceRow> = old
            .map(|old| decode(name.as_str(), &old))
            .transpose()
            .map_err(|message| StoreError::damaged(&self.store.path, message))?;
        // The time of the last full walk alone is no reason to write the index again.
        self.changed |= old.is_none_or(|old| old.root != row.root);
        Ok(())
    }
}
