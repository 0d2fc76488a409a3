//! Changes, outcomes and counters as users see them: the vocabulary of `diff`,
//! `sync`, the run log and `--json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContentHash, Format, ObjToken, ObjType, PlaceKey, PlaceToken, RelPath, SourceName};

/// One planned change, one line of `diff`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// What will happen.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// Where, in the copy.
    pub path: RelPath,
    /// Where it stands before a move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RelPath>,
    /// The source.
    pub source: SourceName,
    /// The place's token.
    pub token: PlaceToken,
    /// The object's token.
    pub obj_token: ObjToken,
    /// The service's word for its type.
    #[serde(rename = "type")]
    pub ty: ObjType,
    /// The product's format; none for folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Why, in a word or a short phrase (`edited`, `missing`, `altered`, `unwanted` …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Change {
    /// The place it is about.
    pub fn place(&self) -> PlaceKey {
        PlaceKey::new(&self.source, &self.token)
    }
}

/// Kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ChangeKind {
    Add,
    Update,
    Move,
    Restore,
    Prune,
    Skip,
}

impl ChangeKind {
    /// The letter that `diff` prints.
    pub fn letter(self) -> char {
        match self {
            Self::Add => 'A',
            Self::Update => 'U',
            Self::Move => 'M',
            Self::Restore => 'R',
            Self::Prune => 'P',
            Self::Skip => 'S',
        }
    }
}

/// What went wrong and what the reader can do about it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The service's code, where it gave one.
    #[serde(default)]
    pub code: Option<i64>,
    /// What happened.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
    /// True where the next run may well succeed with nothing done.
    #[serde(default)]
    pub retryable: bool,
}

impl Failure {
    /// A failure without a code.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: None, message: message.into(), hint: Some(hint.into()), retryable: false }
    }
}

/// Something that happened in a run, for the terminal, `--json` and the run log.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// Planned, before anything is applied.
    Change {
        /// The change.
        #[serde(flatten)]
        change: Change,
    },
    /// Applied.
    Done {
        /// The change.
        #[serde(flatten)]
        change: Change,
        /// Bytes fetched or copied.
        bytes: u64,
        /// Hash of the content; none for folders.
        #[serde(skip_serializing_if = "Option::is_none")]
        blake3: Option<ContentHash>,
        /// False where nothing on disk was changed: equal bytes, or a late skip.
        written: bool,
    },
    /// A page shows a note instead of something that could not be had. It is a page all the
    /// same; that it is not as a reader would expect is kept in the run log.
    Note {
        /// The page, in the copy.
        path: RelPath,
        /// The source.
        source: SourceName,
        /// The place's token.
        token: PlaceToken,
        /// What, in a few words: `picture is not there`.
        note: String,
        /// How often.
        times: usize,
    },
    /// Not applied.
    Failed {
        /// The change.
        #[serde(flatten)]
        change: Change,
        /// Why.
        error: Failure,
    },
}

/// Counts places once each: the first of failed, added, moved, restored, updated,
/// then pruned, skipped; what has no change is unchanged.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    places: BTreeMap<PlaceKey, Rank>,
    /// Unchanged places that are counted without their names.
    unchanged: u64,
}

/// What a place counts as; the smallest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Something wanted failed.
    Failed,
    /// New.
    Added,
    /// Moved or renamed.
    Moved,
    /// Put back.
    Restored,
    /// Fetched again.
    Updated,
    /// Removed, or kept though gone.
    Pruned,
    /// Left out.
    Skipped,
    /// Nothing to do.
    Unchanged,
}

impl From<ChangeKind> for Rank {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Add => Self::Added,
            ChangeKind::Update => Self::Updated,
            ChangeKind::Move => Self::Moved,
            ChangeKind::Restore => Self::Restored,
            ChangeKind::Prune => Self::Pruned,
            ChangeKind::Skip => Self::Skipped,
        }
    }
}

impl Tally {
    /// Counts a place under a rank, unless it already has a stronger one.
    pub fn count(&mut self, place: PlaceKey, rank: Rank) {
        let entry = self.places.entry(place).or_insert(rank);
        *entry = (*entry).min(rank);
    }

    /// Counts places that are not among those counted one by one.
    pub fn count_unchanged(&mut self, places: u64) {
        self.unchanged += places;
    }

    /// How many places have a rank.
    pub fn of(&self, rank: Rank) -> u64 {
        let more = if rank == Rank::Unchanged { self.unchanged } else { 0 };
        self.places.values().filter(|r| **r == rank).count() as u64 + more
    }

    /// How many places were counted.
    pub fn nodes(&self) -> u64 {
        self.places.len() as u64 + self.unchanged
    }
}
