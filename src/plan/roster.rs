//! Every recorded place in a few bytes, so that a run need not keep a million rows, nodes
//! and files in memory to find out that nothing changed.
//!
//! What is *quiet* is listed as it is recorded, has the files that are wanted, and has them
//! on disk as they were made: the plan would say nothing about it, and is made without it.
//! Whatever else there is goes to the plan, together with all that could matter to it:
//! neighbours in whose folder a name may come free or be taken, other places of the same
//! object, and the folders above. A plan made of these is the plan that all would give.
//!
//! Places are told apart by 64-bit hashes under keys drawn for the run. Two that are equal
//! by chance make a place look listed, or intact, that is not: nothing is removed for it,
//! and the next run has other keys.
//!
//! In order: [`Roster::of`] the rows, [`Roster::sift`] what is listed, [`Roster::scanned`]
//! what is on disk, [`Roster::close`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

use super::content::MTIME_TOLERANCE_SECS;
use super::view;
use crate::model::carried::node_of_row;
use crate::model::local::{LocalEntry, LocalState};
use crate::model::recorded::{
    Loc, Moved, PlaceRow, PlaceState, ProductKey, ProductRow, Recorded, Slot,
};
use crate::model::tree::{Listing, Node, RemoteTree, Sifted};
use crate::model::{Channel, Edited, Format, ObjType, PlaceKey, PlaceToken, SourceName};
use crate::rules::Rules;

/// A place, a path, an object or a name.
type Print = u64;

/// See the module's text.
pub struct Roster {
    prints: Prints,
    /// Sorted by `key`.
    entries: Vec<Entry>,
    /// What is learned of each entry meanwhile: [`SEEN`], [`STEADY`], [`QUIET`], [`DAMAGED`].
    marks: Vec<AtomicU8>,
    by_key: Finder,
    /// Files and folders of places that may be quiet, sorted by `path`.
    files: Vec<File>,
    by_path: Finder,
    /// For each of `files`, whether it was found as it should be.
    found: Vec<bool>,
    /// Where something may stand that the plan wants to know of in any case.
    watched: HashSet<Print>,
    sources: Vec<SourceName>,
    /// Which of `sources` this run lists.
    listed: Vec<bool>,
}

/// A recorded place.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Print,
    /// Key of its parent; 0 at the top of a source.
    parent: Print,
    /// By the token alone: a shortcut has its target's.
    object: Print,
    /// All that a listing shows and that is compared, but URL and edit time.
    face: Print,
    /// 0: no URL is recorded.
    url: u32,
    /// Seconds since 1970; 0: none is recorded.
    edited: u32,
    /// Its edit time on channel `metas`, as long as its files are current by that.
    metas: u32,
    has: Has,
    source: u16,
    kind: Kind,
}

/// The formats of its files (the lower half) and its names, a bit each, as [`bit`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Has(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// May be quiet.
    Plain(Channel),
    /// The same, without an edit time: a folder or a space.
    Folder { space: bool },
    /// Of a source that this run does not list: nothing happens to it.
    Aside,
    /// Always the plan's business. Where it is `gone` already (or no longer covered) its
    /// names stay as they are until it is listed again.
    Loud { gone: bool },
}

/// A file, or a folder where `size` is [`FOLDER`].
#[derive(Debug, Clone, Copy)]
struct File {
    path: Print,
    owner: Print,
    size: u64,
    mtime_secs: i64,
}

/// What stands for the size of a folder.
const FOLDER: u64 = u64::MAX;

/// The place was listed.
const SEEN: u8 = 1;
/// It keeps its names, and claims no other ones.
const STEADY: u8 = 2;
/// There is nothing to do for it but what the disk may show.
const QUIET: u8 = 4;
/// Something of it is not on disk as it should be.
const DAMAGED: u8 = 8;

/// Which rows the plan is made of.
pub struct Closed {
    wanted: HashSet<Print>,
    prints: Prints,
}

impl Closed {
    /// True where the row of this place is wanted.
    pub fn wants(&self, source: &str, token: &str) -> bool {
        self.wanted.contains(&self.prints.key(source, token))
    }

    /// True where no row is.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }
}

/// Finds hashes in a sorted list by where each range of them begins: searching among a
/// million by halves would miss the processor's cache twenty times.
#[derive(Debug, Default)]
struct Finder {
    /// By the first bits of a hash, and the end of the list.
    starts: Vec<u32>,
    shift: u32,
}

impl Finder {
    fn of(sorted: impl ExactSizeIterator<Item = Print>) -> Self {
        // About one hash a range.
        let bits = sorted.len().max(2).ilog2();
        let shift = Print::BITS - bits;
        let mut starts = vec![0; (1 << bits) + 1];
        for print in sorted {
            starts[Self::range(print, shift) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { starts, shift }
    }

    fn range(print: Print, shift: u32) -> usize {
        usize::try_from(print >> shift).expect("as many ranges as fit into memory")
    }

    /// Where in the list it can be.
    fn near(&self, print: Print) -> Range<usize> {
        if self.starts.is_empty() {
            return 0..0;
        }
        let at = Self::range(print, self.shift);
        self.starts[at] as usize..self.starts[at + 1] as usize
    }
}

#[derive(Clone, Default)]
struct Prints(RandomState);

impl Prints {
    fn of(&self, value: &(impl Hash + ?Sized)) -> Print {
        // 0 stands for "none".
        self.0.hash_one(value).max(1)
    }

    fn key(&self, source: &str, token: &str) -> Print {
        self.of(&(source, token))
    }

    /// Half of the bits.
    fn short(&self, value: &(impl Hash + ?Sized)) -> u32 {
        u32::try_from(self.of(value) >> 32).unwrap_or(u32::MAX).max(1)
    }

    /// Path of a name, given by its own hash, in a folder.
    fn join(&self, folder: Print, name: Print) -> Print {
        self.of(&(folder, name))
    }

    fn path(&self, at: &Loc) -> Print {
        let (path, top) = match at {
            Loc::Mirror(path) => (path, 0),
            Loc::Parked(path) => (path, 1),
        };
        path.components().fold(top, |folder, name| self.join(folder, self.of(name)))
    }

    fn face(&self, parent: Option<&str>, node: Face<'_>) -> Print {
        self.of(&(parent, node))
    }
}

/// What a listing shows of a place.
#[derive(Hash)]
struct Face<'a> {
    ty: &'a str,
    object: &'a str,
    title: &'a str,
    created_secs: i64,
    order: u32,
}

/// The bit of a format; names are 16 higher.
fn bit(format: Format) -> u32 {
    1 << format as u32
}

/// The bit of a name.
fn name_bit(slot: Slot) -> u32 {
    match slot {
        Slot::Dir => 1 << 31,
        Slot::Product(format) => bit(format) << 16,
        Slot::LinkTo(_) | Slot::LinkToDir => 0,
    }
}

/// Formats of one file, made of the object alone.
const SINGLE: [Format; 5] = [Format::Docx, Format::Pdf, Format::Xlsx, Format::Pptx, Format::File];

/// True where the rules ask for pages. These show of the copy around them what nobody knows
/// beforehand, so that all rows are needed.
pub fn wants_pages(rules: &Rules) -> bool {
    let md = |formats: &Vec<Format>| formats.contains(&Format::Md);
    rules.formats.values().any(md)
        || rules.export_rules.iter().any(|rule| rule.formats.values().any(md))
}

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
    folders: HashMap<Print, Folder>,
    /// As [`File`], where `path` is the hash of the name, and the owner's number.
    files: Vec<(File, u32)>,
    /// Names of places that are the plan's business: number, name, name in a side folder.
    loud: Vec<(u32, Print, Option<Print>)>,
    configured: BTreeSet<SourceName>,
    has_pages: bool,
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
            folders: HashMap::new(),
            files: Vec::with_capacity(rows),
            loud: Vec::new(),
            configured: rules.sources.iter().cloned().collect(),
            has_pages: false,
        }
    }

    fn find(&self, key: Print) -> Option<usize> {
        self.by_key.near(key).find(|at| self.entries[*at].key == key)
    }

    fn mark(&self, at: usize, marks: u8) -> u8 {
        self.marks[at].fetch_or(marks, Ordering::Relaxed)
    }

    fn is(&self, at: usize, marks: u8) -> bool {
        self.marks[at].load(Ordering::Relaxed) & marks == marks
    }

    /// Compares a place with its row as it is listed. `forced`: its content is wanted anew.
    pub fn sift(
        &self,
        source: &SourceName,
        glob_path: &str,
        node: &Node,
        rules: &Rules,
        forced: bool,
    ) -> Sifted {
        let key = self.prints.key(source.as_str(), node.token.as_str());
        let Some(at) = self.find(key) else { return Sifted::Keep };
        let entry = &self.entries[at];
        if self.is(at, SEEN) {
            return Sifted::Twice;
        }
        let face = Face {
            ty: node.object.ty.as_str(),
            object: node.object.token.as_str(),
            title: &node.title,
            created_secs: node.created_secs,
            order: node.order,
        };
        let parent = node.parent.as_ref().map(PlaceToken::as_str);
        if self.prints.face(parent, face) != entry.face {
            self.mark(at, SEEN);
            return Sifted::Keep;
        }
        let ours = !node.filtered && node.target.is_none();
        let (named, current) = match entry.kind {
            Kind::Loud { .. } | Kind::Aside => (false, false),
            Kind::Folder { .. } => (true, node.edited.is_none()),
            Kind::Plain(channel) => {
                let edited = node.edited.and_then(|edited| Some((edited.channel, short(edited)?)));
                let timely = match edited {
                    Some((Channel::Metas, at)) if at == entry.metas => true,
                    Some((of, at)) => of == channel && at == entry.edited,
                    None => false,
                };
                let (named, whole) = entry.has.compare(rules, glob_path, &node.object.ty);
                (named, whole && timely)
            }
        };
        let url = node.url.as_ref().is_none_or(|url| self.prints.short(url.as_str()) == entry.url);
        let steady = if ours && named { STEADY } else { 0 };
        let quiet = ours && current && url && !forced;
        self.mark(at, SEEN | steady | if quiet { QUIET } else { 0 });
        if quiet { Sifted::Quiet } else { Sifted::Keep }
    }

    /// True for what [`Roster::sift`] found quiet.
    pub fn is_quiet(&self, source: &SourceName, token: &PlaceToken) -> bool {
        let at = self.find(self.prints.key(source.as_str(), token.as_str()));
        at.is_some_and(|at| self.is(at, QUIET))
    }

    /// Compares something on disk with what is recorded. True where the plan wants to know.
    pub fn scanned(&mut self, at: &Loc, entry: &LocalEntry) -> bool {
        let path = self.prints.path(at);
        let mut known = false;
        for at in self.by_path.near(path) {
            let file = &self.files[at];
            if file.path != path {
                continue;
            }
            known = true;
            self.found[at] = match entry {
                LocalEntry::Dir => file.size == FOLDER,
                LocalEntry::File { size, mtime_secs } => {
                    *size == file.size
                        && mtime_secs.abs_diff(file.mtime_secs) <= MTIME_TOLERANCE_SECS
                }
                LocalEntry::Link(_) | LocalEntry::Other => false,
            };
            if !self.found[at] {
                return true;
            }
        }
        !known && (self.watched.contains(&path) || matches!(at, Loc::Parked(_)))
    }

    /// Finds what the plan is made of, once everything is listed and scanned, and counts the
    /// rest.
    pub fn close(&self, tree: &mut RemoteTree) -> Closed {
        for (file, found) in self.files.iter().zip(&self.found) {
            if !found && let Some(at) = self.find(file.owner) {
                self.mark(at, DAMAGED);
            }
        }
        let quiet = |at: usize| {
            let entry = &self.entries[at];
            if self.listed[usize::from(entry.source)] {
                self.is(at, QUIET) && !self.is(at, DAMAGED)
            } else {
                entry.kind == Kind::Aside
            }
        };
        let mut wanted: HashSet<Print> = HashSet::new();
        let mut objects: HashSet<Print> = HashSet::new();
        // Folders in which a name may come free or be taken.
        let mut unsteady: HashSet<Print> = HashSet::new();
        for (at, entry) in self.entries.iter().enumerate() {
            if quiet(at) {
                continue;
            }
            wanted.insert(entry.key);
            objects.insert(entry.object);
            let rests = entry.kind == (Kind::Loud { gone: true }) && !self.is(at, SEEN);
            if !rests && !self.is(at, STEADY) {
                unsteady.insert(self.folder(entry.parent, entry.source));
            }
        }
        let mut above: Vec<Print> = Vec::new();
        for (name, source) in &tree.sources {
            let Some(number) = self.sources.iter().position(|known| known == name) else {
                continue;
            };
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            let key = |token: &PlaceToken| self.prints.key(name.as_str(), token.as_str());
            for node in source.nodes.values() {
                let parent = node.parent.as_ref().map_or(0, key);
                let own = key(&node.token);
                if !self.find(own).is_some_and(|at| self.is(at, STEADY)) {
                    unsteady.insert(self.folder(parent, number));
                }
                above.extend([own, parent]);
                objects.insert(self.prints.of(node.object.token.as_str()));
                if let Some(target) = &node.target {
                    objects.insert(self.prints.of(target.object.token.as_str()));
                    above.extend(target.place.as_ref().map(key));
                }
            }
            let listings = source.listings.iter();
            let uneven = listings.filter(|(_, listing)| !matches!(listing, Listing::Complete));
            above.extend(uneven.filter_map(|(place, _)| place.as_ref()).map(key));
        }
        if !(wanted.is_empty() && above.is_empty()) {
            for entry in &self.entries {
                let beside = unsteady.contains(&self.folder(entry.parent, entry.source));
                if beside || objects.contains(&entry.object) {
                    wanted.insert(entry.key);
                }
            }
            above.extend(wanted.iter().copied());
            self.climb(above, &mut wanted);
        }
        self.count_rest(tree, &wanted);
        Closed { wanted, prints: self.prints.clone() }
    }

    /// Names a folder, also that of a source itself.
    fn folder(&self, parent: Print, source: u16) -> Print {
        if parent == 0 { self.prints.of(&source) } else { parent }
    }

    /// Adds the places themselves, as far as they are recorded, and all that they are in.
    fn climb(&self, places: Vec<Print>, wanted: &mut HashSet<Print>) {
        let mut climbed: HashSet<Print> = HashSet::new();
        for place in places {
            let mut at = place;
            while at != 0
                && climbed.insert(at)
                && let Some(entry) = self.find(at).map(|at| &self.entries[at])
            {
                wanted.insert(at);
                at = entry.parent;
            }
        }
    }

    /// Says of each source what is left out of its nodes. `above` names only places whose
    /// node is in the tree already: see [`Roster::bring_back`].
    fn count_rest(&self, tree: &mut RemoteTree, wanted: &HashSet<Print>) {
        let mut quiet: Vec<(u64, u64)> = vec![(0, 0); self.sources.len()];
        for (at, entry) in self.entries.iter().enumerate() {
            if wanted.contains(&entry.key) || !self.is(at, QUIET) {
                continue;
            }
            let (places, files) = &mut quiet[usize::from(entry.source)];
            *places += u64::from(entry.kind != Kind::Folder { space: true });
            *files += u64::from(entry.has.files());
        }
        for (name, (places, files)) in self.sources.iter().zip(quiet) {
            if let Some(source) = tree.sources.get_mut(name) {
                source.quiet.places = places;
                source.quiet.files = files;
            }
        }
    }

    /// Gives the plan what it is made of: `rows` are those that [`Closed::wants`]. Nodes that
    /// were left out of the tree come back, and files that were found as recorded.
    pub fn bring_back(
        &self,
        closed: &Closed,
        recorded: &Recorded,
        tree: &mut RemoteTree,
        local: &mut LocalState,
    ) {
        let mut tokens: HashMap<Print, &PlaceKey> = HashMap::new();
        for (key, row) in &recorded.places {
            let own = self.prints.key(key.source.as_str(), key.token.as_str());
            tokens.insert(own, key);
            if let Some(at) = self.find(own)
                && self.is(at, QUIET)
                && let Some(source) = tree.sources.get_mut(&key.source)
            {
                source.nodes.insert(key.token.clone(), node_of_row(key, row));
            }
            let dir = row.names.contains_key(&Slot::Dir).then(|| recorded.slot(key, Slot::Dir));
            let products = row.products.keys().map(|product| recorded.product(key, product));
            for at in dir.into_iter().chain(products).flatten() {
                self.found_again(at, local);
            }
        }
        for entry in &self.entries {
            if !closed.wanted.contains(&entry.key)
                && self.listed[usize::from(entry.source)]
                && let Some(above) = tokens.get(&entry.parent)
                && let Some(source) = tree.sources.get_mut(&above.source)
            {
                source.quiet.above.insert(above.token.clone());
            }
        }
    }

    fn found_again(&self, at: Loc, local: &mut LocalState) {
        let path = self.prints.path(&at);
        let first = self.by_path.near(path).find(|at| self.files[*at].path == path);
        if let Some(first) = first.filter(|at| self.found[*at]) {
            let file = &self.files[first];
            local.entries.entry(at).or_insert(match file.size {
                FOLDER => LocalEntry::Dir,
                size => LocalEntry::File { size, mtime_secs: file.mtime_secs },
            });
        }
    }
}

impl Has {
    fn files(self) -> u32 {
        (self.0 & 0xffff).count_ones()
    }

    /// Whether it has names for all wanted files; and whether it has these files and no
    /// others.
    fn compare(self, rules: &Rules, glob_path: &str, ty: &ObjType) -> (bool, bool) {
        if rules.comments_every_secs.is_some() && ty.has_comments() {
            return (false, false);
        }
        let formats = rules.formats_at(glob_path, ty);
        if formats.is_empty() || !formats.iter().all(|format| SINGLE.contains(format)) {
            return (false, false);
        }
        let wanted = formats.iter().fold(0, |all, format| all | bit(*format));
        let mut names = wanted << 16;
        if view::may_fall_back(ty) {
            names |= name_bit(Slot::Product(Format::Url));
        }
        (self.0 & names == names, self.0 & 0xffff == wanted)
    }
}

/// An edit time in half the bytes. `None` where it is none of this age.
fn short(edited: Edited) -> Option<u32> {
    u32::try_from(edited.at_secs).ok().filter(|at| *at > 0)
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
        let mut paths: HashMap<Print, Option<Print>> = HashMap::new();
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
    folders: &HashMap<Print, Folder>,
    known: &mut HashMap<Print, Option<Print>>,
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
