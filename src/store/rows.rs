//! The rows of one moment, one after the other: a million of them fit on disk, but not well
//! in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata};

use crate::model::account::Account;
use crate::model::recorded::{PlaceRow, Recorded, SourceRow};
use crate::model::{PlaceKey, PlaceToken, SourceName};

use super::packed::{self, RowView};
use super::read::{Reader, Still};
use super::schema::{PLACES, PLACES_V1, SOURCES, decode, key_text, parse_key, source_range};
use super::{Intent, StoreError};

/// The manifest as it is at one moment, whatever is written meanwhile: of an open
/// [`super::Store`] ([`super::Store::rows`]), or of one that must not be written
/// ([`super::Store::read_rows`]).
///
/// While it lives, the room of rows that are written anew is not used again.
pub struct Rows {
    // Dropped before what it reads from.
    txn: ReadTransaction,
    path: PathBuf,
    version: u32,
    mirror_id: String,
    #[expect(dead_code, reason = "closed when dropped")]
    still: Option<Still>,
}

impl Rows {
    /// # Errors
    /// [`StoreError::Newer`] for a version that this program does not know.
    pub(super) fn of(
        txn: ReadTransaction,
        path: &Path,
        still: Option<Still>,
    ) -> Result<Self, StoreError> {
        let (version, mirror_id) = Reader { txn: &txn, path }.identity()?;
        super::read::check_version(path, version)?;
        Ok(Self { txn, path: path.to_owned(), version, mirror_id, still })
    }

    fn reader(&self) -> Reader<'_> {
        Reader { txn: &self.txn, path: &self.path }
    }

    fn fault(&self, error: impl Into<redb::Error>) -> StoreError {
        StoreError::redb("read", &self.path, error)
    }

    fn damaged(&self, message: impl Into<String>) -> StoreError {
        StoreError::damaged(&self.path, message)
    }

    /// The id of the mirror that the manifest belongs to.
    pub fn mirror_id(&self) -> &str {
        &self.mirror_id
    }

    /// The account that it was made with, where one is recorded.
    pub fn account(&self) -> Result<Option<Account>, StoreError> {
        self.reader().account()
    }

    /// The open intents with their numbers, oldest first.
    pub fn intents(&self) -> Result<Vec<(u64, Intent)>, StoreError> {
        self.reader().intents()
    }

    /// How many places have a row.
    pub fn len_places(&self) -> Result<u64, StoreError> {
        self.places()?.len().map_err(|error| self.fault(error))
    }

    /// Every place's row, sorted by key.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be read, and what `each` returns.
    pub fn for_each_row(
        &self,
        mut each: impl FnMut(RowView<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for row in self.places()?.iter().map_err(|error| self.fault(error))? {
            let (key, row) = row.map_err(|error| self.fault(error))?;
            let bytes = self.packed(key.value(), row.value())?;
            each(self.view(key.value(), &bytes)?)?;
        }
        Ok(())
    }

    /// The rows of some places, in the order of `keys`; those without a row are left out.
    pub fn rows_of<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k PlaceKey>,
    ) -> Result<Vec<(PlaceKey, PlaceRow)>, StoreError> {
        let table = self.places()?;
        let mut rows = Vec::new();
        for key in keys {
            let text = key_text(key);
            let Some(row) =
                ReadableTable::get(&table, text.as_str()).map_err(|error| self.fault(error))?
            else {
                continue;
            };
            let bytes = self.packed(&text, row.value())?;
            rows.push((key.clone(), self.view(&text, &bytes)?.to_row()));
        }
        Ok(rows)
    }

    /// So many rows of a source at most, in the order of their keys: those after one, or from
    /// the first.
    pub fn rows_after(
        &self,
        source: &SourceName,
        after: Option<&PlaceToken>,
        limit: usize,
    ) -> Result<Vec<(PlaceKey, PlaceRow)>, StoreError> {
        let (first, end) = source_range(source);
        let first = match after {
            None => Bound::Included(first),
            Some(token) => Bound::Excluded(key_text(&PlaceKey::new(source, token))),
        };
        let range = (first.as_ref().map(String::as_str), Bound::Excluded(end.as_str()));
        let mut rows = Vec::new();
        for row in
            self.places()?.range::<&str>(range).map_err(|error| self.fault(error))?.take(limit)
        {
            let (key, row) = row.map_err(|error| self.fault(error))?;
            let bytes = self.packed(key.value(), row.value())?;
            let row = self.view(key.value(), &bytes)?;
            rows.push((row.key(), row.to_row()));
        }
        Ok(rows)
    }

    /// What is remembered of the sources.
    pub fn source_rows(&self) -> Result<BTreeMap<SourceName, SourceRow>, StoreError> {
        let table = self.txn.open_table(SOURCES).map_err(|error| self.fault(error))?;
        let mut sources = BTreeMap::new();
        for row in table.iter().map_err(|error| self.fault(error))? {
            let (name, row) = row.map_err(|error| self.fault(error))?;
            let row: SourceRow = decode(name.value(), row.value()).map_err(|m| self.damaged(m))?;
            sources.insert(SourceName::new(name.value()), row);
        }
        Ok(sources)
    }

    /// All of it, in memory.
    pub fn recorded(&self) -> Result<Recorded, StoreError> {
        // Built at once from sorted rows, the map's nodes are full; inserted one by one
        // they would be half empty, which counts with a million rows.
        let count = usize::try_from(self.len_places()?).unwrap_or_default();
        let mut places = Vec::with_capacity(count);
        self.for_each_row(|row| {
            places.push((row.key(), row.to_row()));
            Ok(())
        })?;
        Ok(Recorded { places: places.into_iter().collect(), sources: self.source_rows()? })
    }

    fn places(&self) -> Result<ReadOnlyTable<&'static str, &'static [u8]>, StoreError> {
        let table = if self.version == 1 { PLACES_V1 } else { PLACES };
        self.txn.open_table(table).map_err(|error| self.fault(error))
    }

    /// A row as this program writes it. One of an older manifest is read as the next `sync`
    /// would migrate it.
    fn packed<'a>(&self, key: &str, row: &'a [u8]) -> Result<Cow<'a, [u8]>, StoreError> {
        if self.version > 1 {
            return Ok(Cow::Borrowed(row));
        }
        packed_v1(key, row).map(Cow::Owned).map_err(|message| self.damaged(message))
    }

    fn view<'a>(&self, key: &'a str, row: &'a [u8]) -> Result<RowView<'a>, StoreError> {
        view(key, row).map_err(|message| self.damaged(message))
    }
}

/// Reads a packed row; says where it is damaged.
pub(super) fn view<'a>(key: &'a str, row: &'a [u8]) -> Result<RowView<'a>, String> {
    let (source, token) =
        super::schema::split_key(key).ok_or_else(|| format!("the key {key:?}"))?;
    RowView::read(source, token, row).map_err(|error| format!("row {key:?}: {error}"))
}

/// A row of version 1, which was JSON, packed.
pub(super) fn packed_v1(key: &str, row: &[u8]) -> Result<Vec<u8>, String> {
    let place = parse_key(key).ok_or_else(|| format!("the key {key:?}"))?;
    let row: PlaceRow = decode(key, row)?;
    Ok(packed::pack(&place.token, &row))
}
