//! How rows come into the roster: one by one, in any order.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::AtomicU8;

use super::prints::{ByPrint, Face, Finder, Print, Prints};
use super::{Entry, FOLDER, File, Has, Kind, Roster, SINGLE, bit, name_bit, short};
use crate::model::recorded::{Moved, PlaceRow, PlaceState, ProductKey, ProductRow, Slot};
use crate::model::{Channel, Edited, Format, ObjType, PlaceKey, PlaceToken, SourceName};
use crate::plan::view;
use crate::rules::Rules;

/// What the roster takes of a row.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "as in the row")]
pub struct Known<'a> {
    pub source: &'a str,
    pub token: &'a str,
    pub ty: &'a ObjType,
    pub object: &'a str,
    pub title: &'a str,
    pub parent: Option<&'a str>,
    pub created_secs: i64,
    pub order: u32,
    pub url: Option<&'a str>,
    pub edited: Option<Edited>,
    pub stem: &'a str,
}

/// The same of a file that is no part of a side folder.
#[derive(Debug, Clone, Copy)]
pub struct KnownFile {
    slot: Slot,
    format: Option<Format>,
    size: u64,
    mtime_secs: i64,
    /// Its content is of the edit time that the row has, and that was settled then.
    current: bool,
    /// The same of its edit time on channel `metas`: see [`short`].
    metas: Option<u32>,
}

impl KnownFile {
    /// Of a file whose stamp has this time on channel `metas`; `moved`: what the stamp says
    /// of an edit time.
    pub fn new(
        slot: Slot,
        (size, mtime_secs): (u64, i64),
        edited: Option<Edited>,
        metas: Option<i64>,
        moved: impl Fn(Edited) -> Moved,
    ) -> Self {
        let current = |edited: &Edited| moved(*edited) == Moved::No;
        let metas = metas.map(|at_secs| Edited { channel: Channel::Metas, at_secs, seen_secs: 0 });
        Self {
            slot,
            format: ProductKey::whole(slot).format(),
            size,
            mtime_secs,
            current: edited.as_ref().is_some_and(current),
            metas: metas.filter(current).and_then(short),
        }
    }

    fn of(product: &ProductKey, known: &ProductRow, row: &PlaceRow) -> Self {
        let metas = known.stamp.times.get(&Channel::Metas).copied();
        let file = (known.size, known.mtime_secs);
        Self::new(product.slot, file, row.edited, metas, |edited| known.stamp.compare(edited))
    }
}

/// Where a folder stands.
#[derive(Debug, Clone, Copy)]
enum Folder {
    /// Under a name in the folder of its parent.
    Named { parent: Print, name: Print },
    /// Elsewhere, at this path.
    At(Print),
}

/// Takes the rows in, one by one.
pub struct Enrolment {
    roster: Roster,
    /// Folders by their place.
    folders: ByPrint<Folder>,
    /// As [`File`], where `path` is the hash of the name, and the owner's number.
    files: Vec<(File, u32)>,
    /// Names of places that are the plan's business: number, name, name in a side folder.
    loud: Vec<(u32, Print, Option<Print>)>,
    configured: BTreeSet<SourceName>,
    has_pages: bool,
}

impl Enrolment {
    /// Takes a row in.
    pub fn add(&mut self, key: &PlaceKey, row: &PlaceRow) {
        self.has_pages |= row.page.is_some();
        let known = Known {
            source: key.source.as_str(),
            token: key.token.as_str(),
            ty: &row.object.ty,
            object: row.object.token.as_str(),
            title: &row.title,
            parent: row.parent.as_ref().map(PlaceToken::as_str),
            created_secs: row.created_secs,
            order: row.order,
            url: row.url.as_deref(),
            edited: row.edited,
            stem: &row.stem,
        };
        let files = row.products.iter().map(|(product, known)| KnownFile::of(product, known, row));
        let files: Vec<KnownFile> = files.collect();
        let names = || row.names.iter().map(|(slot, name)| (*slot, name.as_str()));
        let parts = row.products.keys().any(|product| product.part.is_some());
        if is_plain(row) && !parts {
            return self.add_plain(&known, names, &files);
        }
        let source = self.roster.number(known.source);
        let live = row.state == PlaceState::Live;
        let configured = self.configured.contains(&key.source);
        let kind = if self.roster.listed[usize::from(source)] || !row.elsewhere.is_empty() {
            Kind::Loud { gone: !live }
        } else if configured || !live {
            Kind::Aside
        } else {
            // The config no longer covers it: that is to be recorded.
            Kind::Loud { gone: false }
        };
        let number = self.enrol(&known, names, &files, source, kind);
        if let Some(at) = row.elsewhere.get(&Slot::Dir) {
            let own = self.roster.entries[number as usize].key;
            self.folders.insert(own, Folder::At(self.roster.prints.path(at)));
        }
        self.watch(number, row);
    }

    /// Takes a row in of which nothing out of the common is remembered: it is live, and
    /// without target, absence, page, outcome, doubt and link, and its files are no parts.
    pub fn add_plain<'n, N>(&mut self, row: &Known<'_>, names: impl Fn() -> N, files: &[KnownFile])
    where
        N: Iterator<Item = (Slot, &'n str)>,
    {
        let source = self.roster.number(row.source);
        let kind = if self.roster.listed[usize::from(source)] {
            row.kind(&names, files)
        } else if self.configured.iter().any(|name| name.as_str() == row.source) {
            Kind::Aside
        } else {
            Kind::Loud { gone: false }
        };
        let number = self.enrol(row, &names, files, source, kind);
        let own = self.roster.entries[number as usize].key;
        for (slot, name) in names() {
            let name = self.roster.prints.of(name);
            if matches!(kind, Kind::Loud { .. }) {
                self.loud.push((number, name, None));
                continue;
            }
            let (size, mtime_secs) = match files.iter().find(|file| file.slot == slot) {
                Some(file) => (file.size, file.mtime_secs),
                None if slot == Slot::Dir => (FOLDER, 0),
                None => continue,
            };
            self.files.push((File { path: name, owner: own, size, mtime_secs }, number));
        }
    }

    /// Adds an entry, and its folder; returns its number.
    fn enrol<'n, N>(
        &mut self,
        row: &Known<'_>,
        names: impl Fn() -> N,
        files: &[KnownFile],
        source: u16,
        kind: Kind,
    ) -> u32
    where
        N: Iterator<Item = (Slot, &'n str)>,
    {
        let roster = &mut self.roster;
        let number = u32::try_from(roster.entries.len()).expect("so many rows fill no disk");
        let own = roster.prints.key(row.source, row.token);
        let parent = row.parent.map_or(0, |parent| roster.prints.key(row.source, parent));
        let face = Face {
            ty: row.ty.as_str(),
            object: row.object,
            title: row.title,
            created_secs: row.created_secs,
            order: row.order,
        };
        let has = files.iter().filter_map(|file| file.format).map(bit);
        let has = has.chain(names().map(|(slot, _)| name_bit(slot)));
        roster.entries.push(Entry {
            key: own,
            parent,
            object: roster.prints.of(row.object),
            face: roster.prints.face(row.parent, face),
            url: row.url.map_or(0, |url| roster.prints.short(url)),
            edited: row.edited.and_then(short).unwrap_or(0),
            metas: metas(files).unwrap_or(0),
            has: Has(has.fold(0, |all, bit| all | bit)),
            source,
            kind,
        });
        if let Some((_, name)) = names().find(|(slot, _)| *slot == Slot::Dir) {
            let name = roster.prints.of(name);
            self.folders.insert(own, Folder::Named { parent, name });
        }
        number
    }

    fn watch(&mut self, number: u32, row: &PlaceRow) {
        let prints = &self.roster.prints;
        for (slot, name) in &row.names {
            let name = prints.of(name.as_str());
            self.loud.push((number, name, None));
            let parts = row.products_in(*slot).filter_map(|(_, part)| part.part_name.as_deref());
            self.loud.extend(parts.map(|part| (number, name, Some(prints.of(part)))));
        }
        for (slot, at) in &row.elsewhere {
            self.roster.watched.insert(prints.path(at));
            let parts = row.products_in(*slot).filter_map(|(_, part)| part.part_name.as_deref());
            let parts = parts.filter_map(|part| at.join(part)).map(|at| prints.path(&at));
            self.roster.watched.extend(parts.collect::<Vec<_>>());
        }
    }

    /// The roster of all rows; `None` where some of them are pages, or no two hashes would
    /// tell all places apart: then the plan is made of all rows.
    pub fn finish(mut self) -> Option<Roster> {
        if self.has_pages {
            return None;
        }
        let mut roster = self.roster;
        let mut paths: ByPrint<Option<Print>> = ByPrint::default();
        let tops: Vec<Print> = roster
            .sources
            .iter()
            .map(|name| roster.prints.join(0, roster.prints.of(name.as_str())))
            .collect();
        let mut folder = |place: Print, source: u16| {
            let top = tops[usize::from(source)];
            folder_path(&roster.prints, &self.folders, &mut paths, place, top)
        };
        let mut lost = BTreeSet::new();
        let mut files = Vec::with_capacity(self.files.len());
        for (file, number) in self.files.drain(..) {
            let entry = &roster.entries[number as usize];
            match folder(entry.parent, entry.source) {
                Some(above) => {
                    let path = roster.prints.join(above, file.path);
                    files.push(File { path, ..file });
                }
                None => _ = lost.insert(number),
            }
        }
        for (number, name, part) in self.loud.drain(..) {
            let entry = &roster.entries[number as usize];
            if let Some(above) = folder(entry.parent, entry.source) {
                let path = roster.prints.join(above, name);
                let part = part.map(|part| roster.prints.join(path, part));
                roster.watched.extend([path].into_iter().chain(part));
            }
        }
        for number in lost {
            roster.entries[number as usize].kind = Kind::Loud { gone: false };
        }
        files.sort_unstable_by_key(|file| file.path);
        roster.found = vec![false; files.len()];
        roster.by_path = Finder::of(files.iter().map(|file| file.path));
        roster.files = files;
        roster.entries.sort_unstable_by_key(|entry| entry.key);
        roster.by_key = Finder::of(roster.entries.iter().map(|entry| entry.key));
        let unique = roster.entries.windows(2).all(|pair| pair[0].key != pair[1].key);
        roster.marks = roster.entries.iter().map(|_| AtomicU8::new(0)).collect();
        unique.then_some(roster)
    }
}

impl Roster {
    /// Of as many rows; `listed`: the sources that this run lists.
    pub fn of(rows: usize, rules: &Rules, listed: &BTreeSet<SourceName>) -> Enrolment {
        let roster = Self {
            prints: Prints::default(),
            entries: Vec::with_capacity(rows),
            marks: Vec::new(),
            by_key: Finder::default(),
            files: Vec::new(),
            by_path: Finder::default(),
            found: Vec::new(),
            watched: HashSet::new(),
            sources: listed.iter().cloned().collect(),
            listed: vec![true; listed.len()],
        };
        Enrolment {
            roster,
            folders: ByPrint::default(),
            files: Vec::with_capacity(rows),
            loud: Vec::new(),
            configured: rules.sources.iter().cloned().collect(),
            has_pages: false,
        }
    }

    /// A source's number.
    fn number(&mut self, source: &str) -> u16 {
        let at = self.sources.iter().rposition(|known| known.as_str() == source);
        let at = at.unwrap_or_else(|| {
            self.sources.push(SourceName::new(source));
            self.listed.push(false);
            self.sources.len() - 1
        });
        u16::try_from(at).expect("no config has so many sources")
    }
}

/// Hash of the path of the folder that a place's children stand in. `None` where the chain
/// of folders is broken, or runs in a circle.
fn folder_path(
    prints: &Prints,
    folders: &ByPrint<Folder>,
    known: &mut ByPrint<Option<Print>>,
    place: Print,
    top: Print,
) -> Option<Print> {
    let mut way = Vec::new();
    let mut at = place;
    let mut path = loop {
        if at == 0 {
            break Some(top);
        }
        if let Some(known) = known.get(&at) {
            break *known;
        }
        // Until it is known otherwise, so that a circle ends.
        known.insert(at, None);
        match folders.get(&at) {
            None => break None,
            Some(Folder::At(path)) => {
                known.insert(at, Some(*path));
                break Some(*path);
            }
            Some(Folder::Named { parent, name }) => {
                way.push((at, *name));
                at = *parent;
            }
        }
    };
    for (place, name) in way.into_iter().rev() {
        path = path.map(|above| prints.join(above, name));
        known.insert(place, path);
    }
    path
}

/// True where nothing out of the common is remembered of it.
fn is_plain(row: &PlaceRow) -> bool {
    row.state == PlaceState::Live
        && row.absent_walks == 0
        && row.target.is_none()
        && row.object_title.is_none()
        && row.page.is_none()
        && row.outcomes.is_empty()
        && row.elsewhere.is_empty()
        && row.products.values().all(|known| known.link.is_none() && !known.doubtful)
}

impl Known<'_> {
    fn kind<'n, N>(&self, names: impl Fn() -> N, files: &[KnownFile]) -> Kind
    where
        N: Iterator<Item = (Slot, &'n str)>,
    {
        let loud = Kind::Loud { gone: false };
        if self.stem.contains("~gone-") {
            return loud;
        }
        match self.ty {
            ObjType::Folder | ObjType::Space => {
                if files.is_empty() && names().any(|(slot, _)| slot == Slot::Dir) {
                    return Kind::Folder { space: *self.ty == ObjType::Space };
                }
                loud
            }
            ObjType::Shortcut => loud,
            _ => {
                let named = |file: &KnownFile| names().any(|(slot, _)| slot == file.slot);
                let usual = |file: &KnownFile| {
                    let single =
                        matches!(file.slot, Slot::Product(format) if SINGLE.contains(&format));
                    single && file.current && named(file)
                };
                let addressed = self.url.is_some() || !view::may_fall_back(self.ty);
                match self.edited {
                    Some(edited)
                        if !files.is_empty()
                            && addressed
                            && short(edited).is_some()
                            && files.iter().all(usual) =>
                    {
                        Kind::Plain(edited.channel)
                    }
                    _ => loud,
                }
            }
        }
    }
}

/// The edit time on channel `metas` at which all files of a row are current.
fn metas(files: &[KnownFile]) -> Option<u32> {
    let first = files.first()?.metas?;
    files.iter().all(|file| file.metas == Some(first)).then_some(first)
}
