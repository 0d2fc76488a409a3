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

mod enrol;
mod prints;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU8, Ordering};

pub use self::enrol::{Enrolment, Known, KnownFile};
use self::prints::{Face, Finder, Print, Prints};
use super::content::MTIME_TOLERANCE_SECS;
use super::view;
use crate::model::carried::node_of_row;
use crate::model::local::{LocalEntry, LocalState};
use crate::model::recorded::{Loc, Recorded, Slot};
use crate::model::tree::{Listing, Node, RemoteTree, Sifted};
use crate::model::{Channel, Edited, Format, ObjType, PlaceKey, PlaceToken, SourceName};
use crate::rules::Rules;

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

impl Roster {
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
