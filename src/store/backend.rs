//! The manifest's file as redb sees it: redb's own backend, with every change of the file
//! passing through [`Faults`].

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{BackendError, Database, DatabaseError, StorageBackend};

use super::CACHE_BYTES;
use crate::faults::{Faults, Op};

/// Opens the database at `path`, to write to it.
pub(super) fn open(path: &Path, faults: &Faults) -> Result<Database, DatabaseError> {
    let file = File::options().read(true).write(true).open(path)?;
    if file.metadata()?.len() == 0 {
        // redb would make a new one of it.
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty").into());
    }
    database(file, path, faults)
}

/// Makes a database in a file that is still empty.
pub(super) fn create(file: File, path: &Path, faults: &Faults) -> Result<Database, DatabaseError> {
    database(file, path, faults)
}

fn database(file: File, path: &Path, faults: &Faults) -> Result<Database, DatabaseError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let backend =
        Backend { inner: FileBackend::new(file.try_clone()?)?, file, name, faults: faults.clone() };
    Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)
}

#[derive(Debug)]
struct Backend {
    inner: FileBackend,
    /// The same file.
    file: File,
    name: String,
    faults: Faults,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.run(Op::Resize, &self.name, || self.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.fsync(Op::Sync, &self.name, &self.file, || self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.faults.run(Op::Write, &self.name, || self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
