//! Reading the whole manifest, with the store open or without writing one byte.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable,
    TableError,
};

use crate::model::account::Account;
use crate::model::recorded::{PlaceRow, Recorded, SourceRow};
use crate::model::{PlaceKey, SourceName};

use super::packed::RowView;
use super::rows::Rows;
use super::schema::{
    FILE, INTENTS, META, META_ACCOUNT, META_MIRROR, META_VERSION, VERSION, decode,
};
use super::{CACHE_BYTES, Intent, Store, StoreError};

/// A manifest with nobody writing to it.
pub(super) enum Still {
    /// The file itself.
    ReadOnly(ReadOnlyDatabase),
    /// A copy, repaired: the last writer did not close it.
    Copy(Database, #[expect(dead_code, reason = "removed when dropped")] tempfile::NamedTempFile),
}

impl Still {
    /// Opens the manifest without writing to its folder.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        match redb::Builder::new().set_cache_size(CACHE_BYTES).open_read_only(path) {
            Ok(db) => Ok(Self::ReadOnly(db)),
            Err(DatabaseError::RepairAborted) => Self::copy(path),
            Err(error) => Err(StoreError::redb("open", path, error)),
        }
    }

    fn copy(path: &Path) -> Result<Self, StoreError> {
        let copied = || {
            let mut copy = tempfile::Builder::new().prefix("feishu-mirror-").tempfile()?;
            io::copy(&mut std::fs::File::open(path)?, copy.as_file_mut())?;
            Ok(copy)
        };
        let copy = copied().map_err(|error| StoreError::io("copy to read", path, error))?;
        let db = redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .open(copy.path())
            .map_err(|error| StoreError::redb("open", path, error))?;
        Ok(Self::Copy(db, copy))
    }

    /// A copy of the manifest, every page of which is what its checksum says.
    pub(super) fn checked(path: &Path) -> Result<Self, StoreError> {
        let mut still = Self::copy(path)?;
        if let Self::Copy(db, _) = &mut still {
            // False: it went back to an earlier moment that is whole, as after a crash.
            db.check_integrity().map_err(|error| StoreError::redb("check", path, error))?;
        }
        Ok(still)
    }

    pub(super) fn begin(&self, path: &Path) -> Result<ReadTransaction, StoreError> {
        let txn = match self {
            Self::ReadOnly(db) => db.begin_read(),
            Self::Copy(db, _) => db.begin_read(),
        };
        txn.map_err(|error| StoreError::redb("read", path, error))
    }
}

impl Store {
    /// The id of the mirror that a manifest belongs to, without reading its rows. `None`:
    /// no manifest.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn identity(state: &Path) -> Result<Option<String>, StoreError> {
        let path = state.join(FILE);
        if !is_there(&path)? {
            return Ok(None);
        }
        let still = Still::open(&path)?;
        let txn = still.begin(&path)?;
        Ok(Some(Reader { txn: &txn, path: &path }.identity()?.1))
    }

    /// The account that a manifest was made with, without reading its rows. `None`: no
    /// manifest, or one that records none yet.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn account(state: &Path) -> Result<Option<Account>, StoreError> {
        let path = state.join(FILE);
        if !is_there(&path)? {
            return Ok(None);
        }
        let still = Still::open(&path)?;
        let txn = still.begin(&path)?;
        let reader = Reader { txn: &txn, path: &path };
        check_version(&path, reader.identity()?.0)?;
        reader.account()
    }

    /// Everything, and the open intents with their numbers, without ever writing to the
    /// state folder. `None`: no manifest.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process has it open for writing.
    #[expect(clippy::type_complexity, reason = "three things, named in the doc")]
    pub fn read(
        state: &Path,
    ) -> Result<Option<(String, Recorded, Vec<(u64, Intent)>)>, StoreError> {
        let Some(rows) = Self::read_rows(state)? else { return Ok(None) };
        Ok(Some((rows.mirror_id().to_owned(), rows.recorded()?, rows.intents()?)))
    }

    /// The same, row by row.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_rows(state: &Path) -> Result<Option<Rows>, StoreError> {
        let path = state.join(FILE);
        if !is_there(&path)? {
            return Ok(None);
        }
        let still = Still::open(&path)?;
        Rows::of(still.begin(&path)?, &path, Some(still)).map(Some)
    }

    /// The rows as they are now.
    pub fn rows(&self) -> Result<Rows, StoreError> {
        let txn = self.db.begin_read().map_err(|e| self.fault("read", e))?;
        Rows::of(txn, &self.path, None)
    }

    /// The account that it was made with, where one is recorded.
    pub fn recorded_account(&self) -> Result<Option<Account>, StoreError> {
        let txn = self.db.begin_read().map_err(|e| self.fault("read", e))?;
        Reader { txn: &txn, path: &self.path }.account()
    }

    /// Every row, in memory.
    pub fn load(&self) -> Result<Recorded, StoreError> {
        self.rows()?.recorded()
    }

    /// As [`Rows::len_places`].
    pub fn len_places(&self) -> Result<u64, StoreError> {
        self.rows()?.len_places()
    }

    /// As [`Rows::for_each_row`].
    pub fn for_each_row(
        &self,
        each: impl FnMut(RowView<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.rows()?.for_each_row(each)
    }

    /// As [`Rows::rows_of`].
    pub fn rows_of<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k PlaceKey>,
    ) -> Result<Vec<(PlaceKey, PlaceRow)>, StoreError> {
        self.rows()?.rows_of(keys)
    }

    /// As [`Rows::source_rows`].
    pub fn source_rows(&self) -> Result<BTreeMap<SourceName, SourceRow>, StoreError> {
        self.rows()?.source_rows()
    }

    /// The open intents with their numbers, oldest first.
    pub fn intents(&self) -> Result<Vec<(u64, Intent)>, StoreError> {
        let txn = self.db.begin_read().map_err(|e| self.fault("read", e))?;
        Reader { txn: &txn, path: &self.path }.intents()
    }
}

/// True where a regular file is there.
pub(super) fn is_there(path: &Path) -> Result<bool, StoreError> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(true),
        Ok(_) => Err(StoreError::damaged(path, "it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("open", path, error)),
    }
}

/// Refuses a manifest of a newer version.
pub(super) fn check_version(path: &Path, found: u32) -> Result<(), StoreError> {
    if found <= VERSION {
        return Ok(());
    }
    Err(StoreError::Newer { path: path.display().to_string(), found, known: VERSION })
}

/// One moment of the manifest.
pub(super) struct Reader<'a> {
    pub(super) txn: &'a ReadTransaction,
    pub(super) path: &'a Path,
}

impl Reader<'_> {
    fn fault(&self, error: impl Into<redb::Error>) -> StoreError {
        StoreError::redb("read", self.path, error)
    }

    fn damaged(&self, message: impl Into<String>) -> StoreError {
        StoreError::damaged(self.path, message)
    }

    /// Version and mirror id.
    pub(super) fn identity(&self) -> Result<(u32, String), StoreError> {
        let meta = match self.txn.open_table(META) {
            Ok(meta) => meta,
            Err(TableError::Storage(error)) => return Err(self.fault(error)),
            Err(_) => return Err(self.damaged("it is a database, but not a manifest")),
        };
        let word = |name: &str| {
            let word = meta.get(name).map_err(|error| self.fault(error))?;
            let word = word.ok_or_else(|| self.damaged(format!("it does not say its {name}")))?;
            Ok(word.value().to_owned())
        };
        let version = word(META_VERSION)?;
        let version = version
            .parse()
            .map_err(|_| self.damaged(format!("{version:?} is no version of a manifest")))?;
        Ok((version, word(META_MIRROR)?))
    }

    /// The account, where one is recorded.
    pub(super) fn account(&self) -> Result<Option<Account>, StoreError> {
        let meta = self.txn.open_table(META).map_err(|error| self.fault(error))?;
        let Some(text) = meta.get(META_ACCOUNT).map_err(|error| self.fault(error))? else {
            return Ok(None);
        };
        let account = decode(META_ACCOUNT, text.value().as_bytes());
        account.map(Some).map_err(|message| self.damaged(message))
    }

    pub(super) fn intents(&self) -> Result<Vec<(u64, Intent)>, StoreError> {
        let table = self.txn.open_table(INTENTS).map_err(|error| self.fault(error))?;
        let mut intents = Vec::new();
        for row in table.iter().map_err(|error| self.fault(error))? {
            let (number, row) = row.map_err(|error| self.fault(error))?;
            let number = number.value();
            let intent = decode(&format!("intent {number}"), row.value());
            intents.push((number, intent.map_err(|m| self.damaged(m))?));
        }
        Ok(intents)
    }
}
