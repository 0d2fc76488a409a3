//! The walk below a source's top: every folder, space and node with children is listed,
//! many at a time, and each listing brings the next ones.
//!
//! A place belongs to the first parent that lists it. So a chain of parents always ends
//! at the top, even where folders are moved into each other during the walk, and a
//! service that lists a folder within itself is not followed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};

use super::kept::{Kept, Log, Walked};
use super::{Run, Sift, Trouble, WAITING, drive, recheck, settle, wiki};
use crate::feishu::{ApiError, Class, folder_pages, node_pages};
use crate::layout;
use crate::model::change::Failure;
use crate::model::tree::{Family, Listing, Node, RemoteSource, Sifted};
use crate::model::{PlaceToken, SourceName};
use crate::rules::Rules;

/// One source on its way to a [`RemoteSource`].
pub(super) struct Walk<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) name: &'a SourceName,
    pub(super) source: RemoteSource,
    pub(super) rules: &'a Rules,
    /// Leaves out what need not be in the tree.
    pub(super) sift: Option<&'a Sift<'a>>,
    /// Still to be listed. Last in, first out: a whole level of a large tree would
    /// wait in memory otherwise.
    pending: Vec<Parent>,
    /// Pending or on the wire.
    unlisted: BTreeSet<Option<PlaceToken>>,
    /// Tokens that are no places here, and must not become places below themselves.
    tops: BTreeSet<PlaceToken>,
    /// For the runs after this one.
    log: Option<Log<'a>>,
    /// What the runs before this one listed and this one has not come to yet.
    kept: BTreeMap<Option<PlaceToken>, Kept>,
    kept_root: Option<String>,
    /// Places that are where an earlier run saw them: one that this run lists elsewhere has
    /// moved since.
    earlier: BTreeSet<PlaceToken>,
    /// Some parent could not be listed, and not because the run was cut short.
    has_errors: bool,
}

/// Something with children.
pub(super) struct Parent {
    /// `None`: the top.
    place: Option<PlaceToken>,
    /// What globs see.
    path: String,
    list: List,
}

/// How children are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum List {
    /// A Drive folder.
    Folder(String),
    /// A wiki space, or a node in it.
    Wiki { space: String, node: Option<String> },
}

/// A place as a listing shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Found {
    /// Parent and `filtered` are the walk's to fill in.
    pub(super) node: Node,
    /// How its children are listed, where it has any.
    pub(super) below: Option<List>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(run: &'a Run<'a>, rules: &'a Rules, name: &'a SourceName) -> Self {
        Self {
            run,
            name,
            source: RemoteSource::default(),
            rules,
            sift: None,
            pending: Vec::new(),
            unlisted: BTreeSet::new(),
            tops: BTreeSet::new(),
            log: None,
            kept: BTreeMap::new(),
            kept_root: None,
            earlier: BTreeSet::new(),
            has_errors: false,
        }
    }

    /// Keeps the listings for the next run, in case this one does not come to its end, and
    /// goes on with those of the runs before.
    pub(super) fn keep(&mut self, log: Log<'a>, walked: Option<Walked>) {
        let log = self.log.insert(log);
        self.source.looked_secs = Some(log.began_secs);
        let Some(walked) = walked else { return };
        log.resume(&walked);
        self.source.looked_secs = Some(walked.began_secs);
        self.source.counted = walked.planned;
        self.kept = walked.listed;
        self.kept_root = Some(walked.root);
    }

    pub(super) fn is(&mut self, family: Family, root: impl Into<String>) {
        let root = root.into();
        // An empty one is not known yet.
        if !root.is_empty() && self.kept_root.as_ref().is_some_and(|kept| *kept != root) {
            self.begin_anew();
        }
        self.source.family = family;
        self.source.root = root;
    }

    /// Drops what earlier runs listed.
    fn begin_anew(&mut self) {
        self.kept.clear();
        self.kept_root = None;
        self.source.counted = false;
        if let Some(log) = &mut self.log {
            log.forget(self.name, self.run.progress);
            self.source.looked_secs = Some(log.began_secs);
        }
    }

    /// Lists the top by this, under no place of its own.
    pub(super) fn start_at(&mut self, token: &str, list: List) {
        self.tops.insert(PlaceToken::from(token));
        self.expect(Parent { place: None, path: self.name.to_string(), list });
    }

    /// Notes how the top was listed, where that was not by the walk.
    pub(super) fn top(&mut self, listing: Listing) {
        if let Listing::Failed(failure) | Listing::Forbidden(failure) = &listing {
            self.run.progress.listing_failed(self.name, self.name.as_str(), failure);
        }
        self.source.listings.insert(None, listing);
    }

    /// Gives up on the top: no root, or one that cannot be listed.
    ///
    /// # Errors
    /// What ends the run.
    pub(super) fn without_top(mut self, trouble: Trouble) -> Result<RemoteSource, ApiError> {
        match trouble {
            Trouble::Ends(error) => return Err(error),
            Trouble::Cut(failure) => self.cut_short([None], &failure),
            Trouble::Here(error) => self.top(failed_listing(self.name.as_str(), &error)),
        }
        Ok(self.source)
    }

    /// Adds what was found at the top; returns how many places that were.
    pub(super) fn add_at_top(&mut self, found: Vec<Found>) -> usize {
        let path = self.name.to_string();
        self.add(None, &path, found)
    }

    /// Lists all that is still to be listed, and what that brings. What earlier runs listed
    /// is checked first and then taken as it is.
    ///
    /// # Errors
    /// What ends the run.
    pub(super) async fn finish(mut self) -> Result<RemoteSource, ApiError> {
        let run = self.run;
        let is_resumed = !self.kept.is_empty();
        let family = self.source.family;
        let unchecked = match recheck::recheck(run, family, &mut self.kept).await {
            Ok(titles) => {
                self.source.titles.extend(titles);
                None
            }
            Err(Trouble::Ends(error)) => return Err(error),
            Err(Trouble::Cut(failure)) => Some(failure),
            Err(Trouble::Here(error)) => Some(error.to_failure()),
        };
        let mut listings = FuturesUnordered::new();
        loop {
            // What is kept needs no call, so it is taken in even where none may be made.
            while listings.len() < WAITING
                && let Some(parent) = self.pending.pop()
            {
                match self.kept.remove(&parent.place) {
                    Some(kept) if kept.list == parent.list => self.take_kept(&parent, kept.found),
                    _ if run.cut().is_some() => {}
                    _ => listings.push(async move {
                        let found = run.call(children(run, &parent.list)).await;
                        (parent, found)
                    }),
                }
            }
            // After an interrupt every call returns at once, after a spent budget
            // those on their way may still come back.
            let Some((parent, found)) = listings.next().await else { break };
            self.unlisted.remove(&parent.place);
            match found {
                Ok(found) => self.complete(parent, found),
                Err(Trouble::Ends(error)) => return Err(error),
                Err(Trouble::Cut(failure)) => self.cut_short([parent.place], &failure),
                Err(Trouble::Here(error)) => {
                    let listing = failed_listing(&parent.path, &error);
                    if let Listing::Failed(failure) | Listing::Forbidden(failure) = &listing {
                        run.progress.listing_failed(self.name, &parent.path, failure);
                    }
                    self.has_errors |= matches!(listing, Listing::Failed(_));
                    self.source.listings.insert(parent.place, listing);
                }
            }
        }
        if let Some(failure) = run.cut() {
            let left = std::mem::take(&mut self.unlisted);
            self.cut_short(left, &failure);
        }
        if let Some(failure) = unchecked {
            self.cut_short([None], &failure);
        }
        if is_resumed {
            settle::settle(&mut self.source, self.name, self.rules);
        }
        self.close_log();
        Ok(self.source)
    }

    /// Writes what the next run is to know, if there is to be one: of a walk that was cut
    /// short; and of a long one that is whole, until a run has acted on it.
    fn close_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        if self.has_errors {
            log.forget(self.name, self.run.progress);
        } else if !self.source.is_full() || log.is_begun() {
            log.write(self.name, &self.source.root, self.run.progress);
            self.source.kept = log.is_begun();
        }
    }

    fn expect(&mut self, parent: Parent) {
        self.unlisted.insert(parent.place.clone());
        self.pending.push(parent);
    }

    fn complete(&mut self, parent: Parent, found: Vec<Found>) {
        if let Some(log) = &mut self.log {
            log.listed(parent.place.as_ref(), &parent.list, &found);
            if log.is_due() {
                log.write(self.name, &self.source.root, self.run.progress);
            }
        }
        self.source.calls += parent.list.pages(found.len());
        self.adopt(parent.place.as_ref(), &found);
        let added = self.add(parent.place.as_ref(), &parent.path, found);
        // Of what is left out of the tree, nobody asks how it was listed.
        if parent.place.as_ref().is_none_or(|place| self.source.nodes.contains_key(place)) {
            self.source.listings.insert(parent.place, Listing::Complete);
        }
        self.run.progress.listed(self.name, added);
    }

    /// Takes in what an earlier run listed.
    fn take_kept(&mut self, parent: &Parent, found: Vec<Found>) {
        self.unlisted.remove(&parent.place);
        self.source.calls += parent.list.pages(found.len());
        let new = found.iter().map(|found| &found.node.token);
        let new: Vec<PlaceToken> =
            new.filter(|token| !self.source.nodes.contains_key(*token)).cloned().collect();
        let added = self.add(parent.place.as_ref(), &parent.path, found);
        self.earlier.extend(new);
        self.source.listings.insert(parent.place.clone(), Listing::Complete);
        self.run.progress.listed(self.name, added);
    }

    /// Moves places here that an earlier run saw elsewhere: this listing is newer. Their
    /// paths are settled in the end.
    fn adopt(&mut self, parent: Option<&PlaceToken>, found: &[Found]) {
        if self.earlier.is_empty() {
            return;
        }
        for Found { node, .. } in found {
            if self.earlier.contains(&node.token) && !self.is_within(parent, &node.token) {
                self.earlier.remove(&node.token);
                let node = Node { parent: parent.cloned(), ..node.clone() };
                self.source.nodes.insert(node.token.clone(), node);
            }
        }
    }

    /// True where a place is another one or below it.
    fn is_within(&self, place: Option<&PlaceToken>, other: &PlaceToken) -> bool {
        let mut at = place;
        while let Some(token) = at {
            if token == other {
                return true;
            }
            at = self.source.nodes.get(token).and_then(|node| node.parent.as_ref());
        }
        false
    }

    /// Takes children in; returns how many were new.
    fn add(&mut self, parent: Option<&PlaceToken>, path: &str, found: Vec<Found>) -> usize {
        let mut added = 0;
        for Found { mut node, below } in found {
            if self.source.nodes.contains_key(&node.token) || self.tops.contains(&node.token) {
                continue;
            }
            let target = node.target.as_ref().map(|target| &target.object);
            let ty = layout::naming_type(&node.object, target);
            let path = format!("{path}/{}", layout::glob_name(&node.title, ty));
            let filter = &self.rules.filter;
            let excluded = filter.excludes(&path);
            node.parent = parent.cloned();
            node.filtered = excluded || !filter.wants(&path, &node.object.ty);
            let sifted = self.sift.map_or(Sifted::Keep, |sift| sift(self.name, &path, &node));
            if sifted == Sifted::Twice {
                continue;
            }
            added += 1;
            let place = Some(node.token.clone());
            match below {
                Some(_) if excluded => {
                    self.source.listings.insert(place, Listing::Excluded);
                }
                Some(list) => self.expect(Parent { place, path, list }),
                None => {}
            }
            if sifted == Sifted::Keep {
                self.source.nodes.insert(node.token.clone(), node);
            }
        }
        added
    }

    /// Marks parents that this run did not get to. Nobody is told one by one: the cause
    /// is one, and known.
    fn cut_short(
        &mut self,
        parents: impl IntoIterator<Item = Option<PlaceToken>>,
        failure: &Failure,
    ) {
        let failure =
            Failure { message: format!("not listed: {}", failure.message), ..failure.clone() };
        for parent in parents {
            self.source.listings.insert(parent, Listing::Failed(failure.clone()));
        }
    }
}

impl List {
    /// Calls that a listing of so many took.
    fn pages(&self, found: usize) -> u64 {
        match self {
            Self::Folder(_) => folder_pages(found),
            Self::Wiki { .. } => node_pages(found),
        }
    }
}

pub(super) async fn children(run: &Run<'_>, list: &List) -> Result<Vec<Found>, ApiError> {
    match list {
        List::Folder(token) => drive::children(run.client, token).await,
        List::Wiki { space, node } => wiki::children(run.client, space, node.as_deref()).await,
    }
}

/// A listing that did not come. What was deleted while the walk was on its way to it
/// counts as failed too: its parent's listing is older than that.
pub(super) fn failed_listing(path: &str, error: &ApiError) -> Listing {
    let failure = error.to_failure();
    let forbidden = error.class == Class::Forbidden;
    let hint = failure.hint.clone().unwrap_or_else(|| {
        match error.class {
            Class::Forbidden => {
                "let this identity read it: share it with the user, or with a group that \
                 has the app's bot in it"
            }
            Class::Gone => {
                "if it was deleted, the next run will see so; if it is a source, correct the config"
            }
            _ => "run again; nothing of this source is pruned until it can be listed",
        }
        .to_owned()
    });
    let message = format!("cannot list {path}: {}", failure.message);
    let failure = Failure { message, hint: Some(hint), ..failure };
    if forbidden { Listing::Forbidden(failure) } else { Listing::Failed(failure) }
}
