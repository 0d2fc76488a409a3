//! The power goes at a given step of a run, and what no fsync made last may go with it.
//!
//! From that step on every call that would reach the disk fails, so that the disk stays as
//! it was. What it holds for good is known too: a file what it held at its last fsync, a
//! folder the names it held at its own. A disk image after the power cut has for each name
//! and each file either that or what was there in the end, in the worst mixture: this is
//! more than ext4, XFS, btrfs or APFS may lose. Only renames happen wholly or not at all,
//! as they do there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use feishu_mirror::faults::{Faults, Hook, Op};

use super::dice::Dice;
use super::image::{Image, Node};

/// A page of redb, and a block of most disks.
const BLOCK: usize = 4096;

/// The power supply of one run.
pub struct Power {
    root: PathBuf,
    /// Steps made.
    steps: AtomicUsize,
    /// When it goes.
    end: End,
    gone: AtomicBool,
    lasting: Mutex<Tree>,
    /// What was done, for the story's end.
    told: Mutex<Vec<String>>,
}

/// When the power goes.
#[derive(Clone, Copy)]
pub enum End {
    Never,
    /// The step that is not made any more (from 0).
    At(usize),
    /// The first step after one of this kind.
    After(Op),
}

/// What the disk lost.
pub enum Loss {
    /// Nothing: only the process died.
    Nothing,
    /// All that no fsync made last.
    All,
    /// Some of it, by chance.
    Some(Dice),
}

type Names = BTreeMap<OsString, u64>;

/// Files and folders by inode number.
#[derive(Default)]
struct Tree {
    root: u64,
    folders: HashMap<u64, Names>,
    /// Files and links.
    leaves: HashMap<u64, Node>,
    /// Keeps the system from giving their numbers to others.
    held: HashMap<u64, File>,
}

impl Power {
    /// Records what is done to the mirror at `root`, whose state folder is inside.
    pub fn of(root: &Path, end: End) -> Arc<Self> {
        Arc::new(Self {
            root: root.to_owned(),
            steps: AtomicUsize::new(0),
            end,
            gone: AtomicBool::new(false),
            lasting: Mutex::new(Tree::of(root)),
            told: Mutex::default(),
        })
    }

    /// The same for the next process, where the first one only died: what it left in memory
    /// may still be lost.
    pub fn after(&self, end: End) -> Arc<Self> {
        let next = Self::of(&self.root, end);
        *next.lasting.lock().unwrap() = std::mem::take(&mut *self.lasting.lock().unwrap());
        next
    }

    pub fn faults(self: &Arc<Self>) -> Faults {
        Faults::hooked(self.clone())
    }

    /// How many steps were made.
    pub fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }

    /// True once the power is gone.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// The last steps before the power went.
    pub fn told(&self) -> String {
        let told = self.told.lock().unwrap();
        told[told.len().saturating_sub(12)..].join("\n")
    }

    /// The disk as it is when the power is back.
    pub fn image(&self, loss: Loss) -> Image {
        let lasting = self.lasting.lock().unwrap();
        let seen = Tree::of(&self.root);
        let named = lasting.reached().into_keys().collect();
        let mut choice = Choice { lasting: &lasting, seen: &seen, loss, named, any_length: true };
        choice.image()
    }
}

impl Hook for Power {
    fn before(&self, op: Op, path: &str) -> Option<io::Error> {
        let looks = [Op::Open, Op::Scan, Op::Look, Op::Read, Op::FreeBytes].contains(&op);
        let gone = || Some(io::Error::other("the power is gone"));
        if self.is_gone() {
            return gone();
        }
        if looks {
            return None;
        }
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        let mut told = self.told.lock().unwrap();
        let is_over = match self.end {
            End::Never => false,
            End::At(last) => step >= last,
            End::After(last) => {
                let kind = format!(": {last:?} ");
                told.last().is_some_and(|step| step.contains(&kind))
            }
        };
        if is_over {
            self.gone.store(true, Ordering::SeqCst);
            return gone();
        }
        told.push(format!("{step}: {op:?} {path}"));
        None
    }

    fn lasts(&self, inode: u64) {
        if self.is_gone() {
            return;
        }
        let mut lasting = self.lasting.lock().unwrap();
        let root = self.root.metadata().is_ok_and(|meta| meta.ino() == inode);
        let found = walkdir::WalkDir::new(&self.root)
            .min_depth(1)
            .into_iter()
            .filter_map(Result::ok)
            .find(|entry| walkdir::DirEntryExt::ino(entry) == inode);
        let path = match found {
            Some(entry) => entry.into_path(),
            None if root => self.root.clone(),
            // It has no name: nobody finds it after the power cut.
            None => return,
        };
        let before = lasting.names(inode);
        lasting.add(&path, false);
        let after = lasting.names(inode);
        // What has come here and lasts is no longer where it was. The other way round it is
        // not taken for granted: what has left a folder may be nowhere.
        let came: BTreeSet<u64> =
            after.values().filter(|it| !before.values().any(|old| old == *it)).copied().collect();
        for (folder, names) in &mut lasting.folders {
            if *folder != inode {
                names.retain(|_, it| !came.contains(it));
            }
        }
    }
}

impl Tree {
    fn of(root: &Path) -> Self {
        let mut tree = Self::default();
        if let Ok(meta) = root.metadata() {
            tree.root = meta.ino();
            tree.add(root, true);
        }
        tree
    }

    /// Takes over what stands at `path` now: a file's bytes, a folder's names. With `deep`
    /// also what is below.
    fn add(&mut self, path: &Path, deep: bool) {
        let Ok(meta) = path.symlink_metadata() else { return };
        let inode = meta.ino();
        if !meta.is_symlink()
            && let Ok(file) = File::open(path)
        {
            self.held.insert(inode, file);
        }
        if !meta.is_dir() {
            self.leaves.extend(Node::at(path).map(|node| (inode, node)));
            return;
        }
        let mut names = Names::new();
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let Ok(meta) = entry.path().symlink_metadata() else { continue };
            names.insert(entry.file_name(), meta.ino());
            // Changes of names, times and modes are written in their order.
            if let Some(Node::File { mtime, mode, .. }) = self.leaves.get_mut(&meta.ino()) {
                (*mtime, *mode) = (meta.modified().unwrap(), meta.mode() & 0o777);
            }
            // A link is made with its text; nothing else makes that last.
            if meta.is_symlink() {
                let link = Node::at(&entry.path());
                self.leaves.extend(link.map(|link| (meta.ino(), link)));
            } else if deep {
                self.add(&entry.path(), true);
            }
        }
        self.folders.insert(inode, names);
    }

    fn names(&self, folder: u64) -> Names {
        self.folders.get(&folder).cloned().unwrap_or_default()
    }

    fn is_folder(&self, inode: u64) -> bool {
        self.folders.contains_key(&inode)
    }

    /// All that can be reached, and from where.
    fn reached(&self) -> HashMap<u64, BTreeSet<(u64, OsString)>> {
        reached(self.root, |folder| self.names(folder))
    }
}

fn reached(root: u64, names: impl Fn(u64) -> Names) -> HashMap<u64, BTreeSet<(u64, OsString)>> {
    let mut found: HashMap<u64, BTreeSet<(u64, OsString)>> = HashMap::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for (name, inode) in names(folder) {
            let places = found.entry(inode).or_default();
            if places.is_empty() {
                folders.push(inode);
            }
            places.insert((folder, name));
        }
    }
    found
}

/// How an image is put together.
struct Choice<'a> {
    lasting: &'a Tree,
    seen: &'a Tree,
    loss: Loss,
    /// What has a name that lasts.
    named: BTreeSet<u64>,
    /// The file at hand may end between its old and its new end.
    any_length: bool,
}

impl Choice<'_> {
    fn image(&mut self) -> Image {
        let (lasting, seen) = (self.lasting, self.seen);
        let mut chosen: HashMap<u64, Names> = HashMap::new();
        let folders: BTreeSet<u64> =
            lasting.folders.keys().chain(seen.folders.keys()).copied().collect();
        for folder in folders {
            let (old, new) = (lasting.names(folder), seen.names(folder));
            let all: BTreeSet<&OsString> = old.keys().chain(new.keys()).collect();
            let mut names = Names::new();
            for name in all {
                let (old, new) = (old.get(name), new.get(name));
                if let Some(inode) = if old == new || self.keeps() { new } else { old } {
                    names.insert(name.clone(), *inode);
                }
            }
            chosen.insert(folder, names);
        }
        self.whole_renames(&mut chosen);

        let mut image = Image::default();
        let mut todo = vec![(lasting.root, PathBuf::new())];
        while let Some((folder, path)) = todo.pop() {
            for (name, inode) in chosen.get(&folder).cloned().unwrap_or_default() {
                let path = path.join(name);
                if lasting.is_folder(inode) || seen.is_folder(inode) {
                    image.insert(path.clone(), Node::Folder);
                    todo.push((inode, path));
                } else {
                    // redb sets the length of its file, which is one change; others are
                    // appended to, and may end anywhere.
                    self.any_length = path.extension().is_none_or(|ending| ending != "redb");
                    let node = self.leaf(inode);
                    image.insert(path, node);
                }
            }
        }
        image
    }

    /// By chance: what was there in the end, rather than what lasts.
    fn keeps(&mut self) -> bool {
        match &mut self.loss {
            Loss::Nothing => true,
            Loss::All => false,
            Loss::Some(dice) => dice.below(2) == 0,
        }
    }

    /// What was and is there is there once, at its old or its new name: names where that is
    /// not so are taken back.
    fn whole_renames(&self, chosen: &mut HashMap<u64, Names>) {
        let (before, after) = (self.lasting.reached(), self.seen.reached());
        loop {
            let now = reached(self.lasting.root, |folder| {
                chosen.get(&folder).cloned().unwrap_or_default()
            });
            let torn = before.keys().find(|inode| {
                after.contains_key(inode) && now.get(inode).map_or(0, BTreeSet::len) != 1
            });
            let Some(torn) = torn else { return };
            let places =
                before[torn].iter().chain(&after[torn]).chain(now.get(torn).into_iter().flatten());
            let mut changed = false;
            for (folder, name) in places {
                let names = chosen.entry(*folder).or_default();
                let old = self.lasting.names(*folder).get(name).copied();
                changed |= names.get(name).copied() != old;
                match old {
                    Some(old) => _ = names.insert(name.clone(), old),
                    None => _ = names.remove(name),
                }
            }
            if changed {
                continue;
            }
            // Its folder has to come back first: everything on the way to it.
            let (mut at, _) = before[torn].first().unwrap().clone();
            while at != self.lasting.root {
                let (parent, name) = before[&at].first().unwrap().clone();
                for (folder, name) in after.get(&at).into_iter().flatten() {
                    chosen.entry(*folder).or_default().remove(name);
                }
                chosen.entry(parent).or_default().insert(name, at);
                at = parent;
            }
        }
    }

    /// A file or link as it is found.
    fn leaf(&mut self, inode: u64) -> Node {
        let (old, new) = (self.lasting.leaves.get(&inode), self.seen.leaves.get(&inode));
        match (old, new) {
            (
                Some(Node::File { bytes: old, mtime: old_time, mode }),
                Some(Node::File { bytes: new, mtime, mode: new_mode }),
            ) => {
                let bytes = if old == new { old.clone() } else { Arc::new(self.mix(old, new)) };
                // Under a new name it has what it had before that was given.
                let keeps = !self.named.contains(&inode) || self.keeps();
                let mtime = if keeps { *mtime } else { *old_time };
                let mode = if keeps { *new_mode } else { *mode };
                Node::File { bytes, mtime, mode }
            }
            (None, Some(Node::File { bytes, mtime, mode })) => {
                let bytes = Arc::new(self.mix(&[], bytes));
                Node::File { bytes, mtime: *mtime, mode: *mode }
            }
            (Some(node), _) | (None, Some(node)) => node.clone(),
            // It was made and removed between two fsyncs, and its name came back.
            (None, None) => {
                Node::File { bytes: Arc::default(), mtime: std::time::UNIX_EPOCH, mode: 0o600 }
            }
        }
    }

    /// A file's blocks, old or new each.
    fn mix(&mut self, old: &[u8], new: &[u8]) -> Vec<u8> {
        let dice = match &mut self.loss {
            Loss::Nothing => return new.to_vec(),
            Loss::All => return old.to_vec(),
            Loss::Some(dice) => dice,
        };
        let length = match dice.below(if self.any_length { 3 } else { 2 }) {
            0 => old.len(),
            1 => new.len(),
            _ => {
                let (short, long) = (old.len().min(new.len()), old.len().max(new.len()));
                short + dice.below(long - short + 1)
            }
        };
        let mut bytes = vec![0; length];
        for (at, block) in bytes.chunks_mut(BLOCK).enumerate() {
            let from = if dice.below(2) == 0 { new } else { old };
            let part = from.get(at * BLOCK..).unwrap_or_default();
            let part = &part[..part.len().min(block.len())];
            block[..part.len()].copy_from_slice(part);
        }
        bytes
    }
}
