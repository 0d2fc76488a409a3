//! The copy on disk at one moment: bytes, mtimes and inodes.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Everything below a folder but `.feishu-mirror`.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, Entry>);

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    inode: u64,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    File { bytes: u64, mtime: (i64, i64), hash: blake3::Hash },
    Link(String),
}

impl Snapshot {
    pub fn of(root: &Path) -> Self {
        let mut entries = BTreeMap::new();
        let walk = walkdir::WalkDir::new(root).min_depth(1).into_iter();
        for entry in walk.filter_entry(|e| e.file_name() != ".feishu-mirror") {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let meta = entry.path().symlink_metadata().unwrap();
            let kind = if meta.is_dir() {
                Kind::Folder
            } else if meta.is_symlink() {
                Kind::Link(std::fs::read_link(entry.path()).unwrap().display().to_string())
            } else {
                let mut hash = blake3::Hasher::new();
                hash.update_reader(std::fs::File::open(entry.path()).unwrap()).unwrap();
                let mtime = (meta.mtime(), meta.mtime_nsec());
                Kind::File { bytes: meta.len(), mtime, hash: hash.finalize() }
            };
            entries.insert(path, Entry { inode: meta.ino(), kind });
        }
        Self(entries)
    }

    /// The same, but for files that were written again with equal bytes and times.
    pub fn differing(&self, after: &Self) -> Vec<String> {
        let same = |path: &String| match (self.0.get(path), after.0.get(path)) {
            (Some(before), Some(after)) => before.kind == after.kind,
            _ => false,
        };
        self.changed(after).into_iter().filter(|path| !same(path)).collect()
    }

    /// True where some file has these bytes.
    pub fn has_hash(&self, hash: &str) -> bool {
        self.0.values().any(|entry| match &entry.kind {
            Kind::File { hash: it, .. } => it.to_hex().as_str() == hash,
            _ => false,
        })
    }

    pub fn files(&self) -> Vec<String> {
        let files = self.0.iter().filter(|(_, e)| e.kind != Kind::Folder);
        files.map(|(path, _)| path.clone()).collect()
    }

    pub fn folders(&self) -> Vec<String> {
        let folders = self.0.iter().filter(|(_, e)| e.kind == Kind::Folder);
        folders.map(|(path, _)| path.clone()).collect()
    }

    /// Paths that are there only before or after, or not the same.
    pub fn changed(&self, after: &Self) -> Vec<String> {
        let mut paths: Vec<String> = self
            .0
            .iter()
            .filter(|(path, entry)| after.0.get(*path) != Some(entry))
            .map(|(path, _)| path.clone())
            .chain(after.0.keys().filter(|path| !self.0.contains_key(*path)).cloned())
            .collect();
        paths.sort();
        paths
    }
}
