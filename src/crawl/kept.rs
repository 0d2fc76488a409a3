//! A walk that several runs share: what is kept of it until it is whole.
//!
//! At 100 listings a minute a large wiki takes longer than a night. So the listings of a
//! walk that was cut short are kept, one line a parent, and the next run goes on with what
//! is left. It takes nothing of them on trust: what they show is asked for its metadata
//! first, and a parent that showed something deleted is listed again.
//!
//! The lines are only ever added to. The last one may be torn, by a power cut or a kill,
//! and is then as good as not there: its parent is listed again. Anything else that is
//! wrong makes the whole worthless, and the walk begins anew.
//!
//! Start at [`Walked::read`] and [`Log`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::walk::{Found, List};
use crate::model::{PlaceToken, SourceName};
use crate::progress::Progress;

/// A walk shorter than this is written only where it is cut short.
const LONG: Duration = Duration::from_secs(60);

/// How often a long one is written.
const EVERY: Duration = Duration::from_secs(10);

/// More bytes than this do not wait.
const MOST_BYTES: usize = 1 << 20;

/// The format.
const VERSION: u32 = 1;

/// Keeps walks, by source. `diff` writes nothing, so there nobody does.
pub trait WalkKeeper: Send + Sync {
    /// True where something is written at all.
    fn keeps(&self) -> bool;

    /// Adds whole lines to what is kept of a walk.
    ///
    /// # Errors
    /// Why it cannot be written, for people.
    fn add(&self, source: &SourceName, lines: &str) -> Result<(), String>;

    /// Forgets a walk.
    ///
    /// # Errors
    /// As for adding.
    fn forget(&self, source: &SourceName) -> Result<(), String>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeepsNothing;

impl WalkKeeper for KeepsNothing {
    fn keeps(&self) -> bool {
        false
    }

    fn add(&self, _: &SourceName, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn forget(&self, _: &SourceName) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    /// The first one.
    Walk { version: u32, entry: String, root: String, began_secs: i64 },
    /// A parent's children; the last line about a parent counts.
    Listed { at: Option<PlaceToken>, list: List, found: Vec<Found> },
    /// Every parent is listed, and a run is about to act on it.
    Planned,
}

/// [`Line::Listed`] as it is written.
#[derive(Serialize)]
#[serde(tag = "line", rename = "listed")]
struct Listed<'a> {
    at: Option<&'a PlaceToken>,
    list: &'a List,
    found: &'a [Found],
}

impl Line {
    fn text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("plain data has a JSON form");
        text.push('\n');
        text
    }
}

/// The line that says that a whole walk is about to be acted on.
pub fn planned_line() -> String {
    Line::Planned.text()
}

/// What earlier runs listed of a walk.
#[derive(Debug)]
pub struct Walked {
    /// The config entry it was for.
    pub entry: String,
    /// What that led to.
    pub root: String,
    /// When its first run began, seconds since 1970.
    pub began_secs: i64,
    /// True where a run has already planned with it.
    pub planned: bool,
    /// Bytes of whole lines; what follows is torn.
    pub sound_bytes: usize,
    pub(super) listed: BTreeMap<Option<PlaceToken>, Kept>,
}

/// A parent's listing.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) list: List,
    pub(super) found: Vec<Found>,
}

impl Walked {
    /// Reads what was kept. `None` where there is any doubt about it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let sound_bytes = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
        let mut lines = bytes[..sound_bytes].split_inclusive(|byte| *byte == b'\n');
        let Line::Walk { version: VERSION, entry, root, began_secs } =
            serde_json::from_slice(lines.next()?).ok()?
        else {
            return None;
        };
        let listed = BTreeMap::new();
        let mut walked = Self { entry, root, began_secs, planned: false, sound_bytes, listed };
        for line in lines {
            match serde_json::from_slice(line).ok()? {
                Line::Listed { at, list, found } => {
                    walked.listed.insert(at, Kept { list, found });
                }
                Line::Planned => walked.planned = true,
                Line::Walk { .. } => return None,
            }
        }
        Some(walked)
    }

    /// Parents that are listed.
    pub fn parents(&self) -> usize {
        self.listed.len()
    }

    /// Parents that these showed and that are not listed yet, as far as is known.
    pub fn left(&self) -> usize {
        let shown = self.listed.values().flat_map(|kept| &kept.found);
        let below = shown.filter(|found| found.below.is_some()).map(|found| &found.node.token);
        let below: BTreeSet<&PlaceToken> = below.collect();
        below.into_iter().filter(|token| !self.listed.contains_key(&Some((*token).clone()))).count()
    }
}

/// What is kept of the walk that is under way.
pub(super) struct Log<'a> {
    keeper: &'a dyn WalkKeeper,
    entry: String,
    now_secs: i64,
    pub(super) began_secs: i64,
    /// Not yet written.
    lines: String,
    /// True where the keeper has the beginning.
    is_begun: bool,
    /// Where nothing can be written, the walk goes on without.
    is_broken: bool,
    began: Instant,
    written: Instant,
}

impl<'a> Log<'a> {
    pub(super) fn new(keeper: &'a dyn WalkKeeper, entry: String, now_secs: i64) -> Self {
        Self {
            keeper,
            entry,
            now_secs,
            began_secs: now_secs,
            lines: String::new(),
            is_begun: false,
            is_broken: !keeper.keeps(),
            began: Instant::now(),
            written: Instant::now(),
        }
    }

    /// Goes on with what is kept already.
    pub(super) fn resume(&mut self, walked: &Walked) {
        self.began_secs = walked.began_secs;
        self.is_begun = true;
    }

    /// True where the keeper has something of this walk.
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Remembers a listing as it came.
    pub(super) fn listed(&mut self, at: Option<&PlaceToken>, list: &List, found: &[Found]) {
        if self.is_broken {
            return;
        }
        let line = serde_json::to_string(&Listed { at, list, found });
        self.lines.push_str(&line.expect("plain data has a JSON form"));
        self.lines.push('\n');
    }

    /// True where it is time to write.
    pub(super) fn is_due(&self) -> bool {
        let long = self.is_begun || self.began.elapsed() >= LONG;
        !self.lines.is_empty()
            && ((long && self.written.elapsed() >= EVERY) || self.lines.len() > MOST_BYTES)
    }

    /// Writes what is not written yet. A keeper that fails is not asked again: the walk
    /// goes on, and a later run cannot.
    pub(super) fn write(&mut self, source: &SourceName, root: &str, progress: &dyn Progress) {
        if self.is_broken || self.lines.is_empty() {
            return;
        }
        let mut lines = std::mem::take(&mut self.lines);
        if !self.is_begun {
            let (entry, root) = (self.entry.clone(), root.to_owned());
            let began_secs = self.began_secs;
            let first = Line::Walk { version: VERSION, entry, root, began_secs };
            lines.insert_str(0, &first.text());
        }
        match self.keeper.add(source, &lines) {
            Ok(()) => self.is_begun = true,
            Err(why) => {
                self.is_broken = true;
                progress.warn(&format!(
                    "the walk of {source} cannot be kept: {why}; if it does not come to its end, \
                     the next run begins it anew"
                ));
            }
        }
        self.written = Instant::now();
    }

    /// Forgets all of it.
    pub(super) fn forget(&mut self, source: &SourceName, progress: &dyn Progress) {
        self.lines.clear();
        self.began_secs = self.now_secs;
        if !std::mem::take(&mut self.is_begun) || !self.keeper.keeps() {
            return;
        }
        if let Err(why) = self.keeper.forget(source) {
            self.is_broken = true;
            progress
                .warn(&format!("what is kept of the walk of {source} cannot be removed: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tree::Node;
    use crate::model::{ObjType, Object};

    fn found(token: &str, below: bool) -> Found {
        let node = Node {
            token: token.into(),
            parent: None,
            object: Object::new(ObjType::Folder, token),
            title: "一 \"x\"\n".to_owned(),
            created_secs: 1,
            order: 0,
            owner: None,
            edited: None,
            has_children: false,
            url: None,
            target: None,
            filtered: false,
        };
        Found { node, below: below.then(|| List::Folder(token.to_owned())) }
    }

    fn listed(at: &str, below: &[&str]) -> String {
        let found = below.iter().map(|token| found(token, true)).collect();
        let at = (!at.is_empty()).then(|| at.into());
        Line::Listed { at, list: List::Folder("x".to_owned()), found }.text()
    }

    fn first() -> String {
        let (entry, root) = ("drive root".to_owned(), "r".to_owned());
        Line::Walk { version: VERSION, entry, root, began_secs: 7 }.text()
    }

    #[test]
    fn what_was_written_is_read() {
        let text = first() + &listed("", &["a", "b"]) + &listed("a", &["c"]);
        let walked = Walked::read(text.as_bytes()).unwrap();
        assert_eq!((walked.root.as_str(), walked.began_secs, walked.planned), ("r", 7, false));
        assert_eq!((walked.parents(), walked.left()), (2, 2));
        let again = text.clone() + &listed("a", &[]) + &planned_line();
        let walked = Walked::read(again.as_bytes()).unwrap();
        assert_eq!((walked.parents(), walked.left(), walked.planned), (2, 1, true));
    }

    #[test]
    fn a_torn_end_is_left_out_and_any_other_damage_ends_it() {
        let whole = first() + &listed("", &["a"]);
        for cut in whole.len() + 1..whole.len() + 20 {
            let torn = whole.clone() + &listed("a", &["b"])[..cut - whole.len()];
            let walked = Walked::read(torn.as_bytes()).unwrap();
            assert_eq!((walked.parents(), walked.sound_bytes), (1, whole.len()), "{cut}");
        }
        let other = first().replace("\"version\":1", "\"version\":2");
        for bad in [
            String::new(),
            first()[..10].to_owned(),
            listed("", &["a"]),
            other,
            first() + &first(),
            first() + "{\"line\":\"listed\"}\n" + &listed("", &[]),
            first() + "\0\0\0\n",
            first() + "{\"line\":\"news\"}\n",
        ] {
            assert!(Walked::read(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }
}
