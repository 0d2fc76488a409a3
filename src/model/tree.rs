//! What the service lists: the tree that `crawl` builds and `plan` reads.
//!
//! Completeness is a type: whoever concludes that something is absent has to name
//! the [`Listing::Complete`] that did not show it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::change::Failure;
use super::{Edited, Object, PlaceToken, SourceName};

/// Every source that this run asked for.
#[derive(Debug, Clone, Default)]
pub struct RemoteTree {
    /// By the source's name in the config.
    pub sources: BTreeMap<SourceName, RemoteSource>,
}

/// Which of the service's trees a source walks; decides how a missing place is asked
/// for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Family {
    /// Drive folders: a place is its object.
    #[default]
    Drive,
    /// Wiki spaces and nodes.
    Wiki,
    /// Documents by their URLs.
    Docs,
}

/// One source as listed in this run.
#[derive(Debug, Clone, Default)]
pub struct RemoteSource {
    /// Which tree.
    pub family: Family,
    /// The config entry, see [`super::source::SourceKind::entry`].
    pub entry: String,
    /// What the config entry resolved to (root folder token, `all`, space id, node
    /// token, `docs`): another root means other places, none of them gone. Empty where
    /// it could not be found out; the top's listing has then failed.
    pub root: String,
    /// True for a `docs` source, whose places never leave.
    pub pinned: bool,
    /// Places by token; a parent is always here too, or `None` for the top.
    pub nodes: BTreeMap<PlaceToken, Node>,
    /// How each folder, space and wiki node with children was listed; `None` is the top.
    /// One that is not here was listed completely, or is said to have no children.
    pub listings: BTreeMap<Option<PlaceToken>, Listing>,
    /// What the walk itself already learned of places it did not list (`docs`
    /// sources ask for each place by its token).
    pub known: BTreeMap<PlaceToken, Existence>,
    /// Titles of objects as metadata showed them, where a place's listing showed another
    /// one, or where the place got its title from there: equal next time, neither says
    /// that anything was renamed.
    pub titles: BTreeMap<PlaceToken, String>,
    /// Listing calls so far, the pages of each listing counted; with those of earlier runs
    /// where the walk was continued.
    pub calls: u64,
    /// Since when everything new was seen by this (or will be once it is full): when the
    /// walk or the search began, seconds since 1970.
    pub looked_secs: Option<i64>,
    /// True where the walk goes on in later runs if this one does not come to its end.
    pub kept: bool,
    /// True where an earlier run already planned with this same, whole walk: what it does
    /// not list has been counted as absent from it.
    pub counted: bool,
    /// Places that are listed just as they are recorded, and left out of `nodes`.
    pub quiet: Quiet,
}

/// Places of a source that a run need not think about: nothing about them can have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quiet {
    /// How many, spaces not counted.
    pub places: u64,
    /// Their files in the copy.
    pub files: u64,
    /// Places in `nodes` with some of them directly below.
    pub above: BTreeSet<PlaceToken>,
    /// True while they are still in `nodes`, which came as a whole.
    pub unsifted: bool,
}

impl RemoteSource {
    /// The failures among the listings. Where there is one, nothing is gone.
    pub fn failures(&self) -> impl Iterator<Item = (&Option<PlaceToken>, &Failure)> {
        self.listings.iter().filter_map(|(at, listing)| match listing {
            Listing::Failed(failure) => Some((at, failure)),
            _ => None,
        })
    }

    /// True where known places were only asked for their metadata; what is not found out so
    /// is as recorded.
    pub fn is_cheap(&self) -> bool {
        matches!(self.listings.get(&None), Some(Listing::Carried))
    }

    /// True where this walk itself listed every parent without error.
    pub fn is_full(&self) -> bool {
        self.listings.values().all(|l| !matches!(l, Listing::Failed(_) | Listing::Carried))
    }
}

/// What becomes of a place that a walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sifted {
    /// It goes into the tree.
    Keep,
    /// It is [`Quiet`].
    Quiet,
    /// It was found before, and was quiet.
    Twice,
}

/// How the children of one folder were found out.
#[derive(Debug, Clone)]
pub enum Listing {
    /// Every page came; what is not in it is absent.
    Complete,
    /// Some page did not come; absence means nothing.
    Failed(Failure),
    /// This identity may not read it: its known descendants are hidden.
    Forbidden(Failure),
    /// The config excludes it, so nobody asked.
    Excluded,
    /// Not listed in this run; children as recorded.
    Carried,
}

/// What a call by its own token says of a place that no listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existence {
    /// The service confirms that it is deleted.
    Gone,
    /// This identity may not see it (970003 and every 403).
    Hidden,
    /// It is there, though no listing of ours shows it.
    Exists,
    /// No usable answer; pruning is frozen for the source.
    Unknown(Failure),
}

/// A place as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its token.
    pub token: PlaceToken,
    /// The place under which it was listed; `None` at the top of the source.
    pub parent: Option<PlaceToken>,
    /// What stands here. A shortcut is `(Shortcut, token of the target's object)`.
    pub object: Object,
    /// The title as Feishu shows it, any characters.
    pub title: String,
    /// Drive `created_time`, wiki `node_create_time`; seconds since 1970, 0 if unknown. Of
    /// a space its id, which numbers spaces in the order they were made.
    pub created_secs: i64,
    /// Its number among its siblings, where people put them in an order: in a wiki. 0
    /// everywhere else.
    pub order: u32,
    /// Who owns it, an `open_id`, where the listing says so.
    pub owner: Option<String>,
    /// Edit time of the content, where the listing carries one. None for folders, spaces
    /// and Drive shortcuts, whose time is not their target's.
    pub edited: Option<Edited>,
    /// Wiki: the listing says that there are children.
    pub has_children: bool,
    /// Where to open it in a browser, where the listing says so.
    pub url: Option<String>,
    /// A shortcut's target; `None` also for a shortcut whose listing did not name it.
    pub target: Option<Target>,
    /// True where `exclude`, `include` or `types` leave it out. An excluded folder is
    /// not listed; a place that only `include` or `types` leave out is descended into.
    pub filtered: bool,
}

/// What a shortcut stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The object.
    pub object: Object,
    /// Its original place, where the listing names it (wiki `origin_node_token`).
    pub place: Option<PlaceToken>,
}

/// What `metas/batch_query` says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The real object (a wiki node's token is answered with its document's).
    pub object: Object,
    /// Title.
    pub title: String,
    /// Edit time, channel [`super::Channel::Metas`].
    pub edited: Edited,
    /// Creation, seconds since 1970.
    pub created_secs: i64,
    /// Who owns it, an `open_id`.
    pub owner: Option<String>,
    /// Where to open it in a browser.
    pub url: Option<String>,
}
