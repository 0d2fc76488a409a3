//! A folder as plain data: to begin a hundred runs from the same copy.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Everything below a folder.
#[derive(Clone, Default)]
pub struct Image(BTreeMap<PathBuf, Node>);

/// What stands at a path.
#[derive(Clone)]
pub enum Node {
    Folder,
    File { bytes: Arc<Vec<u8>>, mtime: SystemTime, mode: u32 },
    Link(PathBuf),
}

impl Node {
    /// What stands at `path` now; `None` where it has just gone.
    pub fn at(path: &Path) -> Option<Self> {
        let meta = path.symlink_metadata().ok()?;
        if meta.is_dir() {
            return Some(Self::Folder);
        }
        if meta.is_symlink() {
            return Some(Self::Link(fs::read_link(path).ok()?));
        }
        let (bytes, mtime) = (Arc::new(fs::read(path).ok()?), meta.modified().ok()?);
        Some(Self::File { bytes, mtime, mode: meta.mode() & 0o777 })
    }
}

impl Image {
    pub fn of(root: &Path) -> Self {
        let walk = walkdir::WalkDir::new(root).min_depth(1).into_iter().map(Result::unwrap);
        Self(
            walk.map(|entry| {
                let path = entry.path().strip_prefix(root).unwrap().to_owned();
                (path, Node::at(entry.path()).expect("nobody is at work there"))
            })
            .collect(),
        )
    }

    pub fn insert(&mut self, path: PathBuf, node: Node) {
        self.0.insert(path, node);
    }

    /// All paths, with lengths.
    pub fn names(&self) -> String {
        let line = |(path, node): (&PathBuf, &Node)| match node {
            Node::Folder => format!("{}/\n", path.display()),
            Node::File { bytes, .. } => format!("{} {}\n", path.display(), bytes.len()),
            Node::Link(text) => format!("{} -> {}\n", path.display(), text.display()),
        };
        self.0.iter().map(line).collect()
    }

    /// True where some file has these bytes.
    pub fn has_hash(&self, hash: &str) -> bool {
        self.0.values().any(|node| match node {
            Node::File { bytes, .. } => blake3::hash(bytes).to_hex().as_str() == hash,
            _ => false,
        })
    }

    /// Makes a folder hold this and nothing else.
    pub fn put(&self, root: &Path) {
        if root.exists() {
            fs::remove_dir_all(root).unwrap();
        }
        fs::create_dir_all(root).unwrap();
        for (path, node) in &self.0 {
            let path = root.join(path);
            match node {
                Node::Folder => fs::create_dir(&path).unwrap(),
                Node::Link(text) => symlink(text, &path).unwrap(),
                Node::File { bytes, mtime, mode } => {
                    fs::write(&path, &**bytes).unwrap();
                    let file = File::options().write(true).open(&path).unwrap();
                    file.set_modified(*mtime).unwrap();
                    file.set_permissions(Permissions::from_mode(*mode)).unwrap();
                }
            }
        }
    }
}
