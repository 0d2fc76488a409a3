//! What the manifest remembers: one row a place, with the names it was given and
//! the products on disk. Pure data; `store` reads and writes it.
//!
//! Paths are never stored. A row keeps the names of what it claims in its parent's
//! folder, and a path is the chain of those names up to the source: renaming a
//! folder changes one row, whatever hangs below it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::change::Failure;
use super::page::PageRow;
use super::{
    Channel, ContentHash, Edited, Format, Object, PlaceKey, PlaceToken, RelPath, SourceName,
};

/// The whole manifest, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Every place ever mirrored and not yet forgotten.
    pub places: BTreeMap<PlaceKey, PlaceRow>,
    /// Per source.
    pub sources: BTreeMap<SourceName, SourceRow>,
}

/// What is remembered of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// The config entry as it was then, see [`super::source::SourceKind::entry`]; absent in
    /// rows of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// What the config entry resolved to, see [`super::tree::RemoteSource::root`].
    pub root: String,
    /// When a walk last listed every parent without error, seconds since 1970.
    #[serde(default)]
    pub full_walk_secs: Option<i64>,
    /// How many listing calls that walk took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walk_calls: Option<u64>,
    /// What it left out, see [`crate::rules::Filter::print`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Since when new documents have been looked for, seconds since 1970: when the last
    /// full walk or search began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_secs: Option<i64>,
}

/// A name that a place claims in its parent's folder.
///
/// Written `dir`, `docx`, `csv`, `link:docx`, `link:dir`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Slot {
    /// The folder that holds its children (a Drive folder's own).
    Dir,
    /// A file of one format, or the side folder of a format with several files
    /// (`Title.sheets`, `Title.tables`, `Title.assets`), see [`Format::slot`].
    Product(Format),
    /// A symlink to a target's product.
    LinkTo(Format),
    /// A symlink to a target's folder.
    LinkToDir,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir => f.write_str("dir"),
            Self::Product(format) => write!(f, "{format}"),
            Self::LinkTo(format) => write!(f, "link:{format}"),
            Self::LinkToDir => f.write_str("link:dir"),
        }
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> Self {
        slot.to_string()
    }
}

impl TryFrom<String> for Slot {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let format = |word: &str| {
            serde_json::from_value::<Format>(serde_json::Value::from(word))
                .map_err(|_| format!("unknown slot {text:?}"))
        };
        match text.as_str() {
            "dir" => Ok(Self::Dir),
            "link:dir" => Ok(Self::LinkToDir),
            word => match word.strip_prefix("link:") {
                Some(word) => format(word).map(Self::LinkTo),
                None => format(word).map(Self::Product),
            },
        }
    }
}

/// What the part of a table as JSON ends in; ids of sheets and tables hold no dot.
const JSON_PART: &str = ".json";

/// One file of a place: a slot, and in a side folder the part (sheet, table or media id).
///
/// Written `docx`, `csv/0b12`, `csv/tbl1.json` or `assets/boxcn1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ProductKey {
    /// Which name it stands under.
    pub slot: Slot,
    /// The sheet or table, for a file in a side folder.
    pub part: Option<String>,
}

impl ProductKey {
    /// The only file of a slot.
    pub fn whole(slot: Slot) -> Self {
        Self { slot, part: None }
    }

    /// One file of a side folder.
    pub fn part(slot: Slot, part: impl Into<String>) -> Self {
        Self { slot, part: Some(part.into()) }
    }

    /// A table of a base as JSON: in the folder that it shares with the tables as CSV.
    pub fn json_table(table: &str) -> Self {
        Self::part(Format::Json.slot(), format!("{table}{JSON_PART}"))
    }

    /// A picture or file that a page or base holds.
    pub fn asset(token: impl Into<String>) -> Self {
        Self::part(Format::Assets.slot(), token)
    }

    /// What it is in; `None` for a folder.
    pub fn format(&self) -> Option<Format> {
        match (self.slot, &self.part) {
            (Slot::Dir, _) => None,
            (Slot::LinkTo(_) | Slot::LinkToDir, _) => Some(Format::Link),
            (Slot::Product(Format::Csv), Some(part)) if part.ends_with(JSON_PART) => {
                Some(Format::Json)
            }
            (Slot::Product(format), _) => Some(format),
        }
    }
}

impl From<ProductKey> for String {
    fn from(key: ProductKey) -> Self {
        match key.part {
            None => key.slot.to_string(),
            Some(part) => format!("{}/{part}", key.slot),
        }
    }
}

impl TryFrom<String> for ProductKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('/') {
            None => Ok(Self::whole(Slot::try_from(text)?)),
            Some((slot, part)) => Ok(Self::part(Slot::try_from(slot.to_owned())?, part)),
        }
    }
}

/// A place's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRow {
    /// What stands there.
    pub object: Object,
    /// A shortcut's target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Object>,
    /// The target's own place, see [`super::tree::Target::place`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_place: Option<PlaceToken>,
    /// The title its names were made from.
    pub title: String,
    /// The title of its object where metadata showed another one than the listing, see
    /// [`super::tree::RemoteSource::titles`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_title: Option<String>,
    /// The place whose folder it stands in, same source; `None` for the source's own.
    pub parent: Option<PlaceToken>,
    /// See [`super::tree::Node::created_secs`].
    pub created_secs: i64,
    /// See [`super::tree::Node::order`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub order: u32,
    /// Where to open it in a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The edit time the last listing showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Edited>,
    /// Whether it is still there.
    #[serde(default)]
    pub state: PlaceState,
    /// Full walks in a row that did not list it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub absent_walks: u32,
    /// The stem given, with its suffix if it got one: a slot added later uses it too.
    #[serde(deserialize_with = "component")]
    pub stem: String,
    /// The names given, each one component of the parent's folder. Kept also while a
    /// product could not be fetched yet, so that nobody else takes the name.
    #[serde(default, deserialize_with = "components")]
    pub names: BTreeMap<Slot, String>,
    /// What is on disk.
    #[serde(default)]
    pub products: BTreeMap<ProductKey, ProductRow>,
    /// What was written as Markdown, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Box<PageRow>>,
    /// Why a format has no current product, and when that was asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<Format, Outcome>,
    /// Slots that do not stand where parent and names say, and where they stand: in the
    /// middle of a move of several slots, parked in the middle of a swap, or left behind
    /// when a rename failed. The next plan moves them to their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<Slot, Loc>,
}

impl PlaceRow {
    /// True for a place with a document written as Markdown whose links are kept right. What
    /// is gone, or no longer covered, stays as it was.
    pub fn is_page(&self) -> bool {
        let stays = matches!(self.state, PlaceState::Gone { .. } | PlaceState::Orphaned);
        !stays && self.page.is_some() && self.has_md()
    }

    /// True for a live place with names for files, of which no run got or tried any yet.
    pub fn is_unfetched(&self) -> bool {
        let named = self.names.keys().any(|slot| matches!(slot, Slot::Product(_)));
        let asked = !self.products.is_empty() || !self.outcomes.is_empty();
        self.state == PlaceState::Live && named && !asked
    }

    /// What stands under one name: a file, or the files of a side folder.
    pub fn products_in(&self, slot: Slot) -> impl Iterator<Item = (&ProductKey, &ProductRow)> {
        // Parts come right after the whole.
        let from = self.products.range(ProductKey::whole(slot)..);
        from.take_while(move |(product, _)| product.slot == slot)
    }

    /// True where a format was tried, did not come, and has nothing in the copy. It is asked
    /// for again, but nobody may count on it.
    pub fn lacks(&self, format: Format) -> bool {
        let hopes = |why| matches!(why, Why::Failed | Why::Forbidden);
        self.outcomes.get(&format).is_some_and(|outcome| hopes(outcome.why))
            && self.products_in(format.slot()).next().is_none()
    }

    /// Forgets what is remembered of a page whose file is no longer recorded.
    pub fn drop_lone_page(&mut self) {
        if !self.has_md() {
            self.page = None;
        }
    }

    fn has_md(&self) -> bool {
        self.products.keys().any(|product| product.format() == Some(Format::Md))
    }
}

/// True for a name that stands in its folder and nowhere else.
pub fn is_component(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && stays_in_folder(name)
}

/// True for what makes another component of a component that it is added to. Cheaper than to
/// ask [`RelPath`], which counts with the names of a million rows.
pub fn stays_in_folder(more: &str) -> bool {
    !more.bytes().any(|byte| matches!(byte, b'/' | b'\\' | 0))
}

/// Rows come back from disk, where they may have been damaged or made up: a name that
/// leaves its folder makes its row unreadable.
fn checked<E: serde::de::Error>(name: String) -> Result<String, E> {
    if is_component(&name) { Ok(name) } else { Err(E::custom(format!("{name:?} is no file name"))) }
}

fn component<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    checked(String::deserialize(from)?)
}

fn maybe_component<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(from)?.map(checked).transpose()
}

fn components<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Slot, String>, D::Error> {
    let names = BTreeMap::<Slot, String>::deserialize(from)?;
    match names.values().find(|name| !is_component(name)) {
        None => Ok(names),
        Some(name) => Err(D::Error::custom(format!("{name:?} is no file name"))),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Whether a place still exists, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum PlaceState {
    /// Listed.
    #[default]
    Live,
    /// Merely unreadable for this identity.
    Hidden {
        /// When that was asked last, seconds since 1970.
        asked_secs: i64,
    },
    /// Confirmed deleted, or left its sources.
    Gone {
        /// When that was found out, seconds since 1970.
        since_secs: i64,
    },
    /// The config no longer covers it.
    Orphaned,
}

/// A product on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRow {
    /// The file's name in the side folder, for a part.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "maybe_component"
    )]
    pub part_name: Option<String>,
    /// Bytes (of a symlink: of its text).
    pub size: u64,
    /// Hash of the bytes (of a symlink: of its text).
    pub blake3: ContentHash,
    /// mtime as set on disk, seconds since 1970.
    pub mtime_secs: i64,
    /// A symlink's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What was seen of the object before these bytes were fetched.
    pub stamp: Stamp,
    /// A check found other bytes there (or none that could be read): from now on size and
    /// mtime vouch for nothing, only the hash does, until the file is right again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub doubtful: bool,
}

/// The object's edit times and revision as seen before a fetch began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Edit time per channel, seconds since 1970.
    #[serde(default)]
    pub times: BTreeMap<Channel, i64>,
    /// The server's clock at the observation the copy was made from.
    #[serde(default)]
    pub seen_secs: i64,
    /// docx `revision_id`, sheet and bitable `revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// When it was read, by this computer's clock: of what is read again from time to time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_secs: Option<i64>,
}

/// What a stamp says about an edit time shown now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// Same time, and old enough when it was seen.
    No,
    /// No time known for this channel, but this one is older than the copy.
    Baseline,
    /// Another time.
    Yes,
    /// Same time, but it was too young when seen to exclude an edit in the same second.
    Unsettled,
}

impl Stamp {
    /// A stamp for a fetch that follows an observation.
    pub fn of(edited: Option<Edited>, revision: Option<i64>) -> Self {
        Self {
            times: edited.iter().map(|e| (e.channel, e.at_secs)).collect(),
            seen_secs: edited.map_or(0, |e| e.seen_secs),
            revision,
            read_secs: None,
        }
    }

    /// When it was read last. Rows of older programs know only what was seen then.
    pub fn looked_at(&self) -> i64 {
        self.read_secs.unwrap_or(self.seen_secs)
    }

    /// Compares an edit time with what was seen, like channel with like.
    pub fn compare(&self, now: Edited) -> Moved {
        now.against(self.times.get(&now.channel).copied(), self.seen_secs)
    }

    /// What may be recorded of content that was fetched after this was seen, given what is
    /// seen now: never more than the content is sure to show. `None`: the object may have
    /// changed in between.
    pub fn renewed(&self, edited: Option<Edited>, revision: Option<i64>) -> Option<Self> {
        let same = match (self.revision, revision) {
            (Some(then), Some(now)) if then != now => return None,
            (Some(_), Some(_)) => true,
            _ => false,
        };
        let Some(edited) = edited else { return same.then(|| self.clone()) };
        let mut renewed = self.clone();
        match self.compare(edited) {
            Moved::Yes if !same => return None,
            // The next run looks again.
            Moved::Unsettled if !same => {}
            Moved::No => {}
            Moved::Baseline => {
                renewed.times.insert(edited.channel, edited.at_secs);
            }
            Moved::Yes | Moved::Unsettled => {
                renewed.times.insert(edited.channel, edited.at_secs);
                renewed.seen_secs = edited.seen_secs;
            }
        }
        Some(renewed)
    }
}

impl Edited {
    /// Compares this edit time with the one of the same channel in a stamp (`known`), which
    /// was seen at `seen_secs`.
    pub fn against(self, known: Option<i64>, seen_secs: i64) -> Moved {
        let settled = |at: i64| at.saturating_add(Self::SETTLED_AFTER_SECS) <= seen_secs;
        match known {
            Some(at) if at != self.at_secs => Moved::Yes,
            Some(at) if settled(at) => Moved::No,
            Some(_) => Moved::Unsettled,
            None if settled(self.at_secs) => Moved::Baseline,
            None => Moved::Yes,
        }
    }
}

/// Why a format of a place has no current product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The class of reason, which decides when it is asked again.
    pub why: Why,
    /// What the service or the disk said.
    pub failure: Failure,
    /// What was seen of the object before the attempt.
    pub stamp: Stamp,
    /// When, seconds since 1970.
    pub at_secs: i64,
    /// The `max_size` in force, for [`Why::TooLarge`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Classes of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The identity may not read it. Asked again when the edit time moves, after 7
    /// days, or with `--retry-failed`.
    Forbidden,
    /// The service has no export for this type. Not asked until the object changes.
    Unsupported,
    /// Too large to export, and so written as Markdown instead. Not asked until the object
    /// changes, or with `--retry-failed`.
    FellBack,
    /// Above `max_size`. Not asked until the object or the limit changes.
    TooLarge,
    /// The service refuses this object (too large to export, hidden blocks …). Not
    /// asked until the object changes, or with `--retry-failed`.
    Refused,
    /// A file that the manifest does not know stands on the wanted path.
    Blocked,
    /// Anything that may pass. Asked again next run.
    Failed,
}

impl Why {
    /// True where the place was wanted and has no current copy, so that a run with
    /// it exits 2 (forbidden ones only without `allow_forbidden`).
    pub fn is_want(self) -> bool {
        !matches!(self, Self::Unsupported | Self::TooLarge | Self::FellBack)
    }
}

/// Where something stands: in the copy, or parked in the state folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loc {
    /// Below the mirror's root.
    Mirror(RelPath),
    /// Below `staging/parked` of the state folder, in the middle of a swap.
    Parked(RelPath),
}

impl Loc {
    /// What stands under that name in this folder. `None` where `name` is no safe component.
    pub fn join(&self, name: &str) -> Option<Self> {
        match self {
            Self::Mirror(path) => path.join(name).ok().map(Self::Mirror),
            Self::Parked(path) => path.join(name).ok().map(Self::Parked),
        }
    }

    /// The folder it stands in. `None` at the top of the mirror or of the parked ones.
    pub fn parent(&self) -> Option<Self> {
        match self {
            Self::Mirror(path) => path.parent().map(Self::Mirror),
            Self::Parked(path) => path.parent().map(Self::Parked),
        }
    }

    /// Where this stands once the folder `from` stands at `to`. `None` where it is not
    /// within `from`.
    pub fn carried(&self, from: &Self, to: &Self) -> Option<Self> {
        let ((Self::Mirror(inner), Self::Mirror(outer))
        | (Self::Parked(inner), Self::Parked(outer))) = (self, from)
        else {
            return None;
        };
        let rest = inner.as_str().strip_prefix(outer.as_str())?;
        match rest.strip_prefix('/') {
            Some(rest) => to.join(rest),
            None => rest.is_empty().then(|| to.clone()),
        }
    }

    /// The path inside the mirror, if it is there.
    pub fn in_mirror(&self) -> Option<&RelPath> {
        match self {
            Self::Mirror(path) => Some(path),
            Self::Parked(_) => None,
        }
    }
}

/// Folders in each other that still make a path: the longest path of Linux (4,096 bytes)
/// has no more. Ends parents that run in a circle.
const MAX_LEVELS: u32 = 2_048;

impl Recorded {
    /// The folder that holds the children of a place, or the source's own for `None`.
    ///
    /// `None` where a row on the way has no folder, which a sound manifest never has.
    pub fn folder(&self, source: &SourceName, place: Option<&PlaceToken>) -> Option<Loc> {
        self.folder_above(source, place, MAX_LEVELS)
    }

    fn folder_above(
        &self,
        source: &SourceName,
        place: Option<&PlaceToken>,
        levels: u32,
    ) -> Option<Loc> {
        match place {
            None => RelPath::new(source.as_str()).ok().map(Loc::Mirror),
            Some(token) => self.slot_above(&PlaceKey::new(source, token), Slot::Dir, levels),
        }
    }

    /// Where a slot of a place stands. `None` where the place has no such slot.
    pub fn slot(&self, key: &PlaceKey, slot: Slot) -> Option<Loc> {
        self.slot_above(key, slot, MAX_LEVELS)
    }

    fn slot_above(&self, key: &PlaceKey, slot: Slot, levels: u32) -> Option<Loc> {
        let above = levels.checked_sub(1)?;
        let row = self.places.get(key)?;
        if let Some(loc) = row.elsewhere.get(&slot) {
            return Some(loc.clone());
        }
        let folder = self.folder_above(&key.source, row.parent.as_ref(), above)?;
        folder.join(row.names.get(&slot)?)
    }

    /// Where a recorded product stands.
    pub fn product(&self, key: &PlaceKey, product: &ProductKey) -> Option<Loc> {
        let slot = self.slot(key, product.slot)?;
        match &self.places.get(key)?.products.get(product)?.part_name {
            None => Some(slot),
            Some(name) => slot.join(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_products_survive_their_text() {
        for text in ["dir", "docx", "csv/0b12", "link:docx", "link:dir", "file", "url"] {
            let key = ProductKey::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(key), text);
        }
        for (text, format) in [
            ("csv/tbl1.json", Some(Format::Json)),
            ("csv/tbl1", Some(Format::Csv)),
            ("assets/boxcn1", Some(Format::Assets)),
            ("blocks", Some(Format::Blocks)),
            ("link:csv", Some(Format::Link)),
            ("dir", None),
        ] {
            let key = ProductKey::try_from(text.to_owned()).unwrap();
            assert_eq!(key.format(), format);
            assert_eq!(String::from(key), text);
        }
        assert!(ProductKey::try_from("exe".to_owned()).is_err());
    }

    #[test]
    fn a_component_is_a_path_of_one_name() {
        for name in
            ["", ".", "..", "...", "a", "a.b", "周报", "a/b", "/", "a\\b", "a\0b", "a/", " "]
        {
            let path = !name.contains('/') && RelPath::new(name).is_ok();
            assert_eq!(is_component(name), path, "{name:?}");
            // Added to a component, it makes one exactly if it stays.
            assert_eq!(is_component(&format!("x{name}")), stays_in_folder(name), "{name:?}");
        }
    }

    #[test]
    fn a_row_whose_names_leave_its_folder_is_refused() {
        let row = |stem: &str, name: &str, part: &str| {
            serde_json::from_value::<PlaceRow>(serde_json::json!({
                "object": {"type": "sheet", "token": "s"}, "title": "T", "parent": null,
                "created_secs": 1, "stem": stem, "names": {"csv": name},
                "products": {"csv/a": {"part_name": part, "size": 1, "mtime_secs": 1,
                    "blake3": "0".repeat(64), "stamp": {}}}}))
        };
        row("T", "T.sheets", "a.csv").unwrap();
        for bad in ["", ".", "..", "a/b", "../a", "/etc", "a\\b", "a\0b", "a/"] {
            assert!(row(bad, "T.sheets", "a.csv").is_err(), "{bad:?}");
            assert!(row("T", bad, "a.csv").is_err(), "{bad:?}");
            assert!(row("T", "T.sheets", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_edit_time_counts_as_moved_only_against_its_own_channel() {
        let seen = |channel, at_secs| Edited { channel, at_secs, seen_secs: 2000 };
        let stamp = Stamp {
            times: BTreeMap::from([(Channel::Wiki, 900), (Channel::Metas, 998)]),
            seen_secs: 1000,
            revision: None,
            read_secs: None,
        };
        let cases = [
            (seen(Channel::Wiki, 900), Moved::No, "same time, settled"),
            (seen(Channel::Wiki, 901), Moved::Yes, "another time"),
            (seen(Channel::Wiki, 899), Moved::Yes, "an older time is another one too"),
            (seen(Channel::Metas, 998), Moved::Unsettled, "2 s old when it was seen"),
            (
                seen(Channel::Drive, 995),
                Moved::Baseline,
                "first time on this channel, before the copy",
            ),
            (
                seen(Channel::Drive, 996),
                Moved::Yes,
                "first time on this channel, maybe after the copy",
            ),
        ];
        for (now, want, why) in cases {
            assert_eq!(stamp.compare(now), want, "{why}");
        }
    }

    #[test]
    fn content_is_recorded_with_no_more_than_it_is_sure_to_show() {
        let seen = |channel, at_secs| Some(Edited { channel, at_secs, seen_secs: 2000 });
        let stamp = |times: &[(Channel, i64)], seen_secs| Stamp {
            times: times.iter().copied().collect(),
            seen_secs,
            revision: Some(7),
            read_secs: None,
        };
        let (wiki, drive) = (Channel::Wiki, Channel::Drive);
        let then = [(wiki, 900), (Channel::Metas, 998)];
        let before = stamp(&then, 1000);
        let as_it_was = Some(before.clone());
        let with = |more, seen_secs| Some(stamp(&[then[0], then[1], more], seen_secs));
        let metas = seen(Channel::Metas, 998);
        let cases = [
            (seen(wiki, 900), None, as_it_was.clone(), "same time, settled"),
            (seen(wiki, 900), Some(7), as_it_was.clone(), "and the same revision"),
            (seen(wiki, 900), Some(8), None, "another revision"),
            (seen(wiki, 950), None, None, "another time, and nobody knows the revision"),
            (seen(wiki, 950), Some(7), Some(stamp(&[(wiki, 950), then[1]], 2000)), "only the time"),
            (metas, None, as_it_was.clone(), "unsettled, and to be looked at again"),
            (metas, Some(7), Some(stamp(&then, 2000)), "settled by the revision"),
            (seen(drive, 990), None, with((drive, 990), 1000), "a baseline"),
            (seen(drive, 996), None, None, "maybe after the fetch"),
            (None, Some(7), as_it_was, "the revision alone"),
            (None, None, None, "nothing is known"),
        ];
        for (edited, revision, want, why) in cases {
            assert_eq!(before.renewed(edited, revision), want, "{why}");
        }
    }
}
