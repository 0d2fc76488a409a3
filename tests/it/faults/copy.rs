//! A copy as it is on disk, and a mirror that begins as another one was left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use blake3::Hash;

use crate::support::Mirror;

/// Everything below a folder, by path, but what `skip` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy(pub BTreeMap<String, Node>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Folder,
    File { content: Hash, mtime: SystemTime },
    Link { to: String, there: bool },
}

impl Copy {
    /// The copy of a mirror.
    pub fn of(mirror: &Mirror) -> Self {
        let root = mirror.path("");
        let walk = walkdir::WalkDir::new(&root).min_depth(1).into_iter();
        let nodes = walk.filter_entry(|e| e.file_name() != ".feishu-mirror").map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let meta = entry.path().symlink_metadata().unwrap();
            let node = if meta.is_dir() {
                Node::Folder
            } else if meta.is_symlink() {
                let to = fs::read_link(entry.path()).unwrap().display().to_string();
                Node::Link { to, there: entry.path().exists() }
            } else {
                let content = blake3::hash(&fs::read(entry.path()).unwrap());
                Node::File { content, mtime: meta.modified().unwrap() }
            };
            (path, node)
        });
        Self(nodes.collect())
    }

    /// Paths that are not as in `other`.
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let paths: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let differ = |path: &&String| self.0.get(*path) != other.0.get(*path);
        paths
            .into_iter()
            .filter(differ)
            .map(|path| format!("{path}: {:?} / {:?}", self.0.get(path), other.0.get(path)))
            .collect()
    }
}

/// True for Markdown.
pub fn is_page(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "md")
}

/// Content without what a page says of other places and of its own title: both follow
/// what is known of the tenant, without a fetch.
pub fn content(path: &str, bytes: &[u8]) -> Hash {
    if !is_page(path) {
        return blake3::hash(bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::new();
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once("](") {
        plain += before.rsplit_once('[').map_or(before, |(before, _)| before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    let own = |line: &&str| !line.starts_with("title: ") && !line.starts_with("owner: ");
    let lines: Vec<&str> = plain.lines().chain(rest.lines()).filter(own).collect();
    blake3::hash(lines.join("\n").as_bytes())
}

/// Copies a folder with all that is in it, links and times too.
pub fn clone(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            fs::create_dir_all(&target).unwrap();
        } else if meta.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
            let file = fs::File::options().write(true).open(&target).unwrap();
            file.set_modified(meta.modified().unwrap()).unwrap();
        }
    }
}
