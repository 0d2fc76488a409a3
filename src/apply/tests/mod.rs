//! A small mirror on a real disk with a real manifest, for stories about `apply`.

mod content;
mod exports;
mod fetching;
mod media;
mod moves;
mod pages;
mod removal;
mod service;
mod unfinished;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::journal::Journal;
use super::trouble::Halt;
use super::{Settings, settle};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::faults::Faults;
use crate::model::change::{Change, ChangeKind, Event, Failure};
use crate::model::recorded::{PlaceRow, PlaceState, ProductKey, ProductRow, Recorded, Slot, Stamp};
use crate::model::{
    ContentHash, Edited, Format, ObjType, Object, PlaceKey, PlaceToken, RelPath, SourceName,
};
use crate::plan::Relocation;
use crate::progress::Progress;
use crate::store::{RowChange, Store};

/// Seconds at which everything in these stories was last edited.
pub const EDITED: i64 = 1_700_000_000;

/// Remembers what it is told.
#[derive(Default)]
pub struct Told(pub Mutex<Vec<Event>>);

impl Progress for Told {
    fn listed(&self, _: &SourceName, _: usize) {}
    fn listing_failed(&self, _: &SourceName, _: &str, _: &Failure) {}
    fn ahead(&self, _: u64) {}
    fn planned(&self, _: u64) {}
    fn fetched(&self, _: u64) {}
    fn received(&self, _: u64) {}
    fn warn(&self, _: &str) {}
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// A mirror between runs.
pub struct World {
    pub temp: tempfile::TempDir,
    pub told: Arc<Told>,
    pub adopt: bool,
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            temp: tempfile::tempdir().unwrap(),
            told: Arc::new(Told::default()),
            adopt: false,
        };
        fs::create_dir(world.path("")).unwrap();
        world
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join("mirror").join(below)
    }

    pub fn state(&self) -> PathBuf {
        self.path(".feishu-mirror")
    }

    pub fn settings(&self) -> Settings {
        Settings {
            run_id: "run".to_owned(),
            concurrency: 4,
            export_timeout: std::time::Duration::from_secs(600),
            max_size: None,
            min_free: 0,
            adopt: self.adopt,
            deadline: None,
            retries: 3,
            markdown: crate::rules::Markdown::default(),
            allow_forbidden: false,
        }
    }

    pub fn disk(&self, faults: &Faults) -> Arc<Disk> {
        Arc::new(Disk::open(&self.path(""), &self.state(), true, faults).unwrap())
    }

    pub fn journal(&self, faults: &Faults) -> Journal {
        let disk = self.disk(faults);
        let store = Arc::new(Store::open(&self.state(), "mirror", &Faults::default()).unwrap());
        let recorded = store.load().unwrap();
        let told = self.told.clone();
        let settings = Arc::new(self.settings());
        Journal::new(disk, store, told, Clock::system(), settings, recorded)
    }

    /// Carries something out and returns the manifest afterwards.
    pub fn run(&self, work: impl FnOnce(&mut Journal) -> Result<(), Halt>) -> Recorded {
        let mut journal = self.journal(&Faults::default());
        work(&mut journal).unwrap();
        journal.close().unwrap();
        journal.current().clone()
    }

    /// What the next start does after a crash.
    pub fn settle(&self) -> Recorded {
        let disk = self.disk(&Faults::default());
        let store = Store::open(&self.state(), "mirror", &Faults::default()).unwrap();
        let intents = store.intents().unwrap();
        let changes = settle(&disk, &intents).unwrap();
        let ids: Vec<u64> = intents.iter().map(|(id, _)| *id).collect();
        store.record(&changes, &ids).unwrap();
        store.load().unwrap()
    }

    /// Records rows and puts their files and folders on disk, as an earlier run left them.
    pub fn given(&self, rows: &[(PlaceKey, PlaceRow)]) {
        let recorded = self.run(|journal| {
            let puts = rows.iter().map(|(key, row)| put(key, row)).collect::<Vec<_>>();
            journal.record(&puts)
        });
        for (key, row) in rows {
            if row.names.contains_key(&Slot::Dir) {
                fs::create_dir_all(self.at(&recorded, key, Slot::Dir)).unwrap();
            }
            for (product, record) in &row.products {
                let at = recorded.product(key, product).unwrap();
                let at = self.path(at.in_mirror().unwrap().as_str());
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                fs::write(&at, content(key, product)).unwrap();
                let time = std::time::UNIX_EPOCH
                    + std::time::Duration::from_secs(record.mtime_secs.unsigned_abs());
                fs::File::options().write(true).open(&at).unwrap().set_modified(time).unwrap();
            }
        }
    }

    fn at(&self, recorded: &Recorded, key: &PlaceKey, slot: Slot) -> PathBuf {
        self.path(recorded.slot(key, slot).unwrap().in_mirror().unwrap().as_str())
    }

    /// Every file of the copy and what is in it.
    pub fn files(&self) -> BTreeMap<String, String> {
        let walk = walkdir::WalkDir::new(self.path(""))
            .into_iter()
            .filter_entry(|entry| entry.file_name() != ".feishu-mirror");
        walk.filter_map(Result::ok)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| {
                let path = entry.path().strip_prefix(self.path("")).unwrap();
                let bytes = fs::read(entry.path()).unwrap_or_default();
                (path.to_str().unwrap().to_owned(), String::from_utf8(bytes).unwrap())
            })
            .collect()
    }

    pub fn trash(&self) -> Vec<String> {
        let trash = self.state().join("trash/run");
        let mut names: Vec<String> = walkdir::WalkDir::new(&trash)
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(&trash).unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Messages of what failed since the last call.
    pub fn failures(&self) -> Vec<String> {
        let told = std::mem::take(&mut *self.told.0.lock().unwrap());
        let failed = told.into_iter().filter_map(|event| match event {
            Event::Failed { change, error } => Some(format!("{}: {}", change.path, error.message)),
            _ => None,
        });
        failed.collect()
    }
}

pub fn key(token: &str) -> PlaceKey {
    in_source("drive", token)
}

pub fn in_source(source: &str, token: &str) -> PlaceKey {
    PlaceKey { source: source.into(), token: token.into() }
}

pub fn put(key: &PlaceKey, row: &PlaceRow) -> RowChange {
    RowChange::Put { key: key.clone(), place: Box::new(row.clone()) }
}

/// The bytes of a product in these stories name whose they are.
pub fn content(key: &PlaceKey, product: &ProductKey) -> String {
    let part = product.part.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
    format!("{}{part} {}", key.token, product.slot)
}

pub fn product_row(text: &str) -> ProductRow {
    ProductRow {
        part_name: None,
        size: text.len() as u64,
        blake3: ContentHash::from(blake3::hash(text.as_bytes())),
        mtime_secs: EDITED,
        link: None,
        stamp: Stamp::of(Some(edited()), None),
        doubtful: false,
    }
}

pub fn edited() -> Edited {
    Edited { channel: crate::model::Channel::Drive, at_secs: EDITED, seen_secs: EDITED + 1000 }
}

/// A row with these slots; every product slot has a product.
pub fn row(token: &str, parent: Option<&str>, names: &[(Slot, &str)]) -> PlaceRow {
    let ty = if names.iter().any(|(slot, _)| *slot != Slot::Dir) {
        ObjType::Docx
    } else {
        ObjType::Folder
    };
    let products = names.iter().filter(|(slot, _)| *slot != Slot::Dir).map(|(slot, _)| {
        let product = ProductKey::whole(*slot);
        let text = content(&key(token), &product);
        (product, product_row(&text))
    });
    PlaceRow {
        object: Object::new(ty, token),
        target: None,
        target_place: None,
        title: names[0].1.to_owned(),
        object_title: None,
        parent: parent.map(PlaceToken::from),
        created_secs: 0,
        order: 0,
        page: None,
        url: None,
        edited: None,
        state: PlaceState::Live,
        absent_walks: 0,
        stem: names[0].1.to_owned(),
        names: names.iter().map(|(slot, name)| (*slot, (*name).to_owned())).collect(),
        products: products.collect(),
        outcomes: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
    }
}

pub const DOCX: Slot = Slot::Product(Format::Docx);
pub const PDF: Slot = Slot::Product(Format::Pdf);

pub fn change(kind: ChangeKind, key: &PlaceKey, path: &str) -> Change {
    Change {
        kind,
        path: RelPath::new(path).unwrap(),
        from: None,
        source: key.source.clone(),
        token: key.token.clone(),
        obj_token: crate::model::ObjToken::new(key.token.as_str()),
        ty: ObjType::Docx,
        format: Some(Format::Docx),
        reason: None,
    }
}

/// A relocation to a row, with one change told.
pub fn to_row(from: &PlaceKey, to: &PlaceKey, row: PlaceRow) -> Relocation {
    let slot = *row.names.keys().next().unwrap();
    let changes = vec![(slot, change(ChangeKind::Move, to, &format!("to/{}", row.title)))];
    Relocation { from: from.clone(), to: to.clone(), row, changes }
}
