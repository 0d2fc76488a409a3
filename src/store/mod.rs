//! The manifest in redb: rows, intents, and the readable index beside it.
//!
//! Every commit is durable and whole; whoever renames a file commits an intent before
//! and the rows after, so that the next start can tell by looking what was done.
//!
//! Start at [`Store::open`]; [`Store::read`] for those who must not write.

mod backend;
mod changes;
mod error;
mod fill;
mod folders;
mod index;
mod lock;
mod migrate;
mod packed;
mod read;
mod record;
mod rows;
mod schema;
mod sound;
mod tidy;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::faults::{Faults, Op};
use crate::model::account::Account;
use crate::model::recorded::{Loc, PlaceRow, ProductKey, ProductRow, Recorded, Slot, SourceRow};
use crate::model::{ContentHash, PlaceKey, RelPath, SourceName};

pub use changes::apply_changes;
pub use error::StoreError;
pub use index::{
    INDEX_FILE, IndexHeader, IndexMeta, Salvaged, read_index, salvage_index, write_index,
    write_index_of, write_index_to,
};
pub use lock::{RunLock, lock};
pub use packed::{NameViews, ProductView, ProductViews, RowView};
pub use rows::Rows;

/// A rename that is about to happen, with what to record once it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// What kind.
    pub act: Act,
    /// Row changes that are true once it has happened, in order.
    pub then: Vec<RowChange>,
}

/// The rename itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// A staged file over `to`; done when `to` has that size and hash.
    Publish {
        /// Target.
        to: RelPath,
        /// Bytes.
        size: u64,
        /// Hash.
        blake3: ContentHash,
    },
    /// A rename; done when `from` is absent and `to` present.
    Move {
        /// Before.
        from: Loc,
        /// After.
        to: Loc,
    },
    /// Into the trash; done when `from` is absent.
    Trash {
        /// Before.
        from: Loc,
        /// Below `trash/` of the state folder.
        to: String,
    },
    /// A removal; done when `from` is absent.
    Remove {
        /// Before.
        from: Loc,
    },
    /// A symlink; done when it has that text.
    Link {
        /// Where.
        to: RelPath,
        /// Its text.
        text: String,
    },
}

/// One change of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum RowChange {
    /// Write a row.
    Put {
        /// Its key.
        key: PlaceKey,
        /// The whole row.
        place: Box<PlaceRow>,
    },
    /// Write one product into a row, where the row is there: the rest of it stays as it is.
    Product {
        /// The row's key.
        key: PlaceKey,
        /// Which product.
        product: ProductKey,
        /// What is known of it.
        file: Box<ProductRow>,
    },
    /// Drop a row.
    Drop {
        /// Its key.
        key: PlaceKey,
    },
    /// Give every row below a folder the folder's new source (and, for direct
    /// children, its new token as parent).
    Rekey {
        /// The folder's key before.
        from: PlaceKey,
        /// And after.
        to: PlaceKey,
    },
    /// Write a source's row.
    Source {
        /// Its name.
        name: SourceName,
        /// The row.
        source: SourceRow,
    },
}

/// Slots that moved elsewhere are recorded through the row; this only names one.
pub type SlotOf = (PlaceKey, Slot);

/// redb's cache. Rows are read once, so a large one only costs.
const CACHE_BYTES: usize = 32 << 20;

/// The open manifest.
pub struct Store {
    db: Database,
    path: PathBuf,
    mirror_id: String,
    faults: Faults,
    /// The number of the next intent: above all open ones.
    next_intent: AtomicU64,
    changed: AtomicBool,
}

impl Store {
    /// Opens `manifest.redb` in the state folder, making it (with `mirror_id`) if there
    /// is none.
    ///
    /// Waits a few seconds for somebody who only reads it.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for the manifest of a newer program, which is left
    /// untouched. One of an older program is copied beside itself, then migrated.
    pub fn open(state: &Path, mirror_id: &str, faults: &Faults) -> Result<Self, StoreError> {
        Self::open_within(state, mirror_id, faults, Duration::from_secs(3))
    }

    fn open_within(
        state: &Path,
        mirror_id: &str,
        faults: &Faults,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let until = Instant::now() + patience;
        loop {
            match Self::open_now(state, mirror_id, faults) {
                Err(StoreError::Locked { .. }) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => return other,
            }
        }
    }

    fn open_now(state: &Path, mirror_id: &str, faults: &Faults) -> Result<Self, StoreError> {
        let path = state.join(schema::FILE);
        if read::is_there(&path)? {
            migrate::bring_up(&path, faults)?;
        } else {
            create(state, &path, mirror_id, faults)?;
        }
        let db =
            backend::open(&path, faults).map_err(|error| StoreError::redb("open", &path, error))?;
        let (mirror_id, next) = {
            let txn = db.begin_read().map_err(|error| StoreError::redb("read", &path, error))?;
            let reader = read::Reader { txn: &txn, path: &path };
            let last = reader.intents()?.last().map(|(number, _)| *number);
            (reader.identity()?.1, last.map_or(1, |last| last + 1))
        };
        Ok(Self {
            db,
            path,
            mirror_id,
            faults: faults.clone(),
            next_intent: AtomicU64::new(next),
            changed: AtomicBool::new(false),
        })
    }

    /// Makes the manifest again from rows, and puts what stands in its place aside as
    /// `aside`. The new one is whole before the old one is touched.
    ///
    /// # Errors
    /// Where something of it cannot be written. The old one is then at either name.
    pub fn rebuild(
        state: &Path,
        mirror_id: &str,
        recorded: &Recorded,
        account: Option<&Account>,
        aside: &Path,
        faults: &Faults,
    ) -> Result<(), StoreError> {
        let path = state.join(schema::FILE);
        let made = make(state, &path, faults, |txn| {
            schema::fill(txn, mirror_id)?;
            if let Some(account) = account {
                let text = record::account_text(account);
                txn.open_table(schema::META)?.insert(schema::META_ACCOUNT, text.as_str())?;
            }
            fill::places(txn, recorded.places.iter())?;
            let mut sources = txn.open_table(schema::SOURCES)?;
            for (name, row) in &recorded.sources {
                sources.insert(name.as_str(), schema::encode(row).as_slice())?;
            }
            Ok(())
        })?;
        let put_aside = || std::fs::rename(&path, aside);
        match faults.run(Op::PutAside, schema::FILE, put_aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("put aside", &path, error));
            }
            _ => {}
        }
        keep(made, state, &path, faults)
    }

    /// The id that it was made with.
    pub fn mirror_id(&self) -> &str {
        &self.mirror_id
    }

    /// True where some row changed since this was opened. The time of a source's last
    /// full walk does not count.
    pub fn changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    fn note_change(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    fn fault(&self, action: &'static str, error: impl Into<redb::Error>) -> StoreError {
        StoreError::redb(action, &self.path, error)
    }
}

/// Makes an empty manifest under a temporary name and renames it: one that is there is
/// whole.
fn create(state: &Path, path: &Path, mirror_id: &str, faults: &Faults) -> Result<(), StoreError> {
    let made = make(state, path, faults, |txn| schema::fill(txn, mirror_id))?;
    keep(made, state, path, faults)
}

/// Makes a manifest under a temporary name.
fn make(
    state: &Path,
    path: &Path,
    faults: &Faults,
    fill: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<tempfile::NamedTempFile, StoreError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("manifest-").suffix(".new");
    // Less the umask, as every file of the mirror: the default would be 0600.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let file = faults
        .run(Op::Create, schema::FILE, || builder.tempfile_in(temp_folder(state)))
        .map_err(|e| StoreError::io("create", path, e))?;
    let fault = |error: redb::Error| StoreError::redb("create", path, error);
    {
        let reopened = file.reopen().map_err(|e| StoreError::io("create", path, e))?;
        let mut db =
            backend::create(reopened, file.path(), faults).map_err(|error| fault(error.into()))?;
        let mut txn = db.begin_write().map_err(|error| fault(error.into()))?;
        txn.set_two_phase_commit(true);
        txn.set_quick_repair(true);
        fill(&txn).map_err(fault)?;
        txn.commit().map_err(|error| fault(error.into()))?;
        let length = file.as_file().metadata().map_err(|e| StoreError::io("create", path, e))?;
        if length.len() > tidy::SMALL_BYTES {
            // redb grows a file by doubling it: up to half of it is still empty. Nobody knows
            // this file yet, so that a crash meanwhile costs nothing.
            db.compact().map_err(|error| fault(error.into()))?;
        }
    }
    Ok(file)
}

/// Gives a manifest its name, durably.
fn keep(
    file: tempfile::NamedTempFile,
    state: &Path,
    path: &Path,
    faults: &Faults,
) -> Result<(), StoreError> {
    let kept = || {
        sync_file(&file, faults)?;
        // Another process may just have made one; that one counts.
        faults.run(Op::Publish, schema::FILE, || match file.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
            _ => Ok(()),
        })?;
        sync_folder(state, faults)
    };
    kept().map_err(|error| StoreError::io("create", path, error))
}

/// Where new files wait for their rename: in staging, which the next run sweeps, where
/// there is one.
fn temp_folder(state: &Path) -> PathBuf {
    let staging = state.join("staging");
    if staging.is_dir() { staging } else { state.to_owned() }
}

/// fsyncs a file that has no name yet.
fn sync_file(file: &tempfile::NamedTempFile, faults: &Faults) -> io::Result<()> {
    let file = file.as_file();
    faults.fsync(Op::Sync, schema::FILE, file, || file.sync_all())
}

/// fsyncs a folder, where the system has such a call, so that renames in it last.
fn sync_folder(path: &Path, faults: &Faults) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = std::fs::File::open(path)?;
        faults.fsync(Op::SyncFolder, "", &folder, || folder.sync_all())?;
    }
    #[cfg(not(unix))]
    let _ = (path, faults);
    Ok(())
}

#[cfg(test)]
mod tests;
