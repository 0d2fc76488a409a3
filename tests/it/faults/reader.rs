//! A reader who looks at the copy all the time, on a thread of its own, while runs are
//! disturbed and people edit: whatever it reads is a whole version of something.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use blake3::Hash;
use feishu_mirror::sim::{Effect, Fault, Item, Tenant};

use super::copy;
use super::runtime;
use crate::support::dice::Dice;
use crate::support::{Mirror, scale, tenant};

/// Content of all versions so far.
#[derive(Clone, Default)]
struct Known(Arc<RwLock<HashSet<Hash>>>);

impl Known {
    fn add(&self, hash: Hash) {
        self.0.write().unwrap().insert(hash);
    }

    fn has(&self, hash: &Hash) -> bool {
        self.0.read().unwrap().contains(hash)
    }
}

/// What the reader found.
#[derive(Default)]
struct Found {
    stop: AtomicBool,
    reads: AtomicUsize,
    vanished: AtomicUsize,
    /// The first content that nothing ever had.
    wrong: RwLock<Vec<String>>,
}

/// Reads until it is told to stop.
fn read_all_the_time(root: &Path, known: &Known, found: &Found) {
    while !found.stop.load(Ordering::Relaxed) {
        let walk = walkdir::WalkDir::new(root).into_iter();
        let walk = walk.filter_entry(|entry| entry.file_name() != ".feishu-mirror");
        // What goes while it is listed is not there.
        for entry in walk.flatten().filter(|entry| !entry.file_type().is_dir()) {
            if entry.path().is_dir() {
                continue;
            }
            let bytes = match std::fs::read(entry.path()) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let gone = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
                    assert!(gone.contains(&error.kind()), "{error}");
                    found.vanished.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            };
            let name = entry.path().to_string_lossy();
            found.reads.fetch_add(1, Ordering::Relaxed);
            if !known.has(&copy::content(&name, &bytes)) {
                let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
                found
                    .wrong
                    .write()
                    .unwrap()
                    .push(format!("{name}: {} bytes, {begin}", bytes.len()));
            }
        }
    }
}

struct World {
    tenant: Tenant,
    known: Known,
    dice: Dice,
    folders: Vec<Item>,
    pages: Vec<Item>,
    uploads: Vec<Item>,
    gone: Vec<Item>,
    made: usize,
}

fn bytes(seed: usize, len: usize) -> Vec<u8> {
    let mut bytes = format!("version {seed}\n").into_bytes();
    bytes.extend((0..len).map(|n| u8::try_from((n * 31 + seed * 7 + n / 97) % 251).unwrap()));
    bytes
}

impl World {
    fn new() -> Self {
        let tenant = tenant();
        tenant.longest_page(7).etags(false);
        let root = tenant.root();
        let folders = (0..3).map(|n| root.folder(&format!("Folder {n}"))).collect();
        let mut world = Self {
            tenant,
            known: Known::default(),
            dice: Dice::new(5),
            folders,
            pages: Vec::new(),
            uploads: Vec::new(),
            gone: Vec::new(),
            made: 0,
        };
        for _ in 0..8 {
            world.add();
        }
        let shortcut = world.folders[0].shortcut_to(&world.pages[0]);
        shortcut.titled("A shortcut");
        world
    }

    fn pick(&mut self, items: impl Fn(&Self) -> &Vec<Item>) -> Option<Item> {
        let len = items(self).len();
        (len > 0).then(|| self.dice.below(len)).map(|at| items(self)[at].clone())
    }

    /// A version of an upload, which the reader may see from now on.
    fn version(&mut self) -> Vec<u8> {
        self.made += 1;
        let len = [10, 3_000, 200_000][self.dice.below(3)];
        let bytes = bytes(self.made, len);
        self.known.add(blake3::hash(&bytes));
        bytes
    }

    fn add(&mut self) {
        let Some(folder) = self.pick(|world| &world.folders) else { return };
        let bytes = self.version();
        self.uploads.push(folder.upload(&format!("file {}.bin", self.made), bytes));
        let mut page = folder.docx(&format!("Page {}", self.made)).paragraph("begins");
        for n in 0..9 {
            page = page.paragraph(&format!("line {n} of {}", self.made));
        }
        if let Some(other) = self.pick(|world| &world.pages) {
            page = page.mention_doc(&other);
        }
        self.pages.push(page);
    }

    /// What may happen at any time: the bytes of every version are known before.
    fn act(&mut self) {
        let (one, two) = (self.dice.below(1000), self.dice.below(1000));
        let swap = |items: &[Item]| {
            let (a, b) = (&items[one % items.len()], &items[two % items.len()]);
            let titles = (a.title(), b.title());
            a.rename(&titles.1);
            b.rename(&titles.0);
        };
        match self.dice.below(6) {
            0 | 1 => {
                let bytes = self.version();
                self.uploads[one % self.uploads.len()].replace(bytes);
            }
            2 => swap(&self.uploads),
            3 => swap(&self.folders),
            4 => {
                let folder = &self.folders[two % self.folders.len()];
                self.pages[one % self.pages.len()].move_to(folder);
            }
            _ => {
                let folder = &self.folders[one % self.folders.len()];
                self.uploads[two % self.uploads.len()].move_to(folder);
            }
        }
    }

    /// What makes versions that only a quiet run can tell.
    fn edit(&mut self) {
        for _ in 0..3 {
            self.act();
        }
        if let Some(page) = self.pick(|world| &world.pages) {
            self.made += 1;
            let text = format!("edit {}", self.made);
            page.append(serde_json::json!({"block_type": 2, "text": {"elements": [
                {"text_run": {"content": text}}]}}));
        }
        if let Some(page) = self.pick(|world| &world.pages) {
            self.made += 1;
            page.rename(&format!("Page {} again", self.made));
        }
        match self.dice.below(4) {
            0 if self.uploads.len() > 4 => {
                let at = self.dice.below(self.uploads.len());
                let item = self.uploads.swap_remove(at);
                item.delete();
                self.gone.push(item);
            }
            1 if self.pages.len() > 4 => {
                let at = self.dice.below(self.pages.len());
                self.pages.swap_remove(at).delete();
            }
            2 if !self.gone.is_empty() => {
                let item = self.gone.remove(0);
                item.restore();
                self.uploads.push(item);
            }
            _ if self.pages.len() < 14 => self.add(),
            _ => {}
        }
    }
}

const CONFIG: &str = r#"
[[source]]
name = "drive"
kind = "drive"
[export]
docx = ["md", "docx"]
[prune]
default = "trash"
max_delete = "100%"
[limits]
retries = 1
"#;

/// `FEISHU_MIRROR_LONG=1`: a million reads.
#[test]
fn long_a_reader_sees_only_whole_versions() {
    let (least, secs) = (scale(1_000, 1_000_000), scale(4, 0) as u64);
    let found = Arc::new(Found::default());
    let (runs, faulty) = runtime().block_on(async {
        let world = Arc::new(std::sync::Mutex::new(World::new()));
        let (tenant, known) = {
            let world = world.lock().unwrap();
            (world.tenant.clone(), world.known.clone())
        };
        // The twin is never disturbed, and shows what versions there are.
        let (twin, subject) = (Mirror::with(&tenant, CONFIG), Mirror::with(&tenant, CONFIG));
        let root = subject.path("");
        let reader = {
            let (known, found) = (known.clone(), found.clone());
            std::thread::spawn(move || read_all_the_time(&root, &known, &found))
        };
        let kinds = [
            Effect::Reset,
            Effect::CutAfter(40),
            Effect::status(500, 2200),
            Effect::Half,
            Effect::TooLong(3),
            Effect::Garbage,
            Effect::Html,
            Effect::ErrorWith200(2200),
            Effect::EmptyListing,
            Effect::Short(1),
            Effect::rate_limit(429),
        ];
        let began = std::time::Instant::now();
        let (mut runs, mut faulty) = (0, 0);
        while found.reads.load(Ordering::Relaxed) < least || began.elapsed().as_secs() < secs {
            tenant.calm();
            world.lock().unwrap().edit();
            tokio::time::advance(Duration::from_secs(3600)).await;
            twin.sync().await.success();
            for path in twin.files() {
                if !twin.path(&path).is_dir() {
                    known.add(copy::content(&path, &twin.read(&path)));
                }
            }
            tenant.storm(runs, 0.3, &kinds);
            for nth in [5, 12, 20] {
                let world = world.clone();
                let act = Effect::run(move || world.lock().unwrap().act());
                tenant.fault(Fault::new("*", "*", act).nth(nth));
            }
            runs += 1;
            faulty += u64::from(subject.sync().await.code != 0);
            if !found.wrong.read().unwrap().is_empty() {
                break;
            }
        }
        found.stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        (runs, faulty)
    });
    let (reads, vanished) =
        (found.reads.load(Ordering::Relaxed), found.vanished.load(Ordering::Relaxed));
    println!("{reads} reads during {runs} runs ({faulty} not whole), {vanished} files vanished");
    let wrong = found.wrong.read().unwrap();
    assert!(wrong.is_empty(), "{} of {reads}: {}", wrong.len(), wrong[0]);
    assert!(reads >= least && faulty > 0, "{reads} reads, {faulty} faulty runs");
}
