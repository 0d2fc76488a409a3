//! Stories of the disk: what they share.

mod looked;
mod planted;
mod published;
mod staged;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::model::ContentHash;
use crate::model::local::LocalEntry;

/// A mirror in a temporary folder, beside an `outside` that must stay as it is.
struct Place {
    temp: tempfile::TempDir,
    disk: Disk,
}

impl Place {
    fn new() -> Self {
        Self::with(&Faults::default())
    }

    fn with(faults: &Faults) -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("outside")).unwrap();
        fs::write(temp.path().join("outside/precious"), "precious").unwrap();
        let root = temp.path().join("mirror");
        let disk = Disk::open(&root, &root.join(RESERVED), true, faults).unwrap();
        Self { temp, disk }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join("mirror").join(below)
    }

    fn state(&self, below: &str) -> PathBuf {
        self.path(RESERVED).join(below)
    }

    fn sealed(&self, bytes: &[u8]) -> Sealed {
        let mut staged = self.disk.stage().unwrap();
        staged.write(bytes).unwrap();
        staged.seal().unwrap()
    }

    /// Publishes bytes at a path, parents made.
    fn put(&self, at: &str, bytes: &[u8]) {
        let to = rel(at);
        if let Some(parent) = to.parent() {
            self.disk.make_folder(&parent).unwrap();
        }
        let sealed = self.sealed(bytes);
        self.disk.dress(&sealed, 1_700_000_000).unwrap();
        self.disk.publish(&sealed, &to).unwrap();
    }

    fn staging(&self) -> Vec<String> {
        let mut names: Vec<_> = walkdir::WalkDir::new(self.state("staging"))
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| entry.file_name().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    fn outside_is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.temp.path().join("outside"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["precious"]);
        assert_eq!(fs::read(self.temp.path().join("outside/precious")).unwrap(), b"precious");
    }
}

fn rel(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn at(path: &str) -> Loc {
    Loc::Mirror(rel(path))
}

fn parked(path: &str) -> Loc {
    Loc::Parked(rel(path))
}

fn hash(bytes: &[u8]) -> ContentHash {
    blake3::hash(bytes).into()
}

#[expect(clippy::needless_pass_by_value, reason = "called on fresh results")]
fn occupied<T>(done: Result<T, DiskError>) -> bool {
    matches!(done, Err(DiskError::Occupied { .. }))
}

fn validators() -> Validators {
    Validators { etag: Some("\"e\"".to_owned()), total: Some(30 << 20), edited_secs: Some(7) }
}
