//! The walk below a source's top: every folder, space and node with children is listed,
//! many at a time, and each listing brings the next ones.
//!
//! A place belongs to the first parent that lists it. So a chain of parents always ends
//! at the top, even where folders are moved into each other during the walk, and a
//! service that lists a folder within itself is not followed.

use std::collections::BTreeSet;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Run, Trouble, WAITING, drive, wiki};
use crate::feishu::{ApiError, Class};
use crate::layout;
use crate::model::change::Failure;
use crate::model::tree::{Family, Listing, Node, RemoteSource};
use crate::model::{PlaceToken, SourceName};
use crate::rules::Rules;

/// One source on its way to a [`RemoteSource`].
pub(super) struct Walk<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) name: &'a SourceName,
    pub(super) source: RemoteSource,
    rules: &'a Rules,
    /// Still to be listed. Last in, first out: a whole level of a large tree would
    /// wait in memory otherwise.
    pending: Vec<Parent>,
    /// Pending or on the wire.
    unlisted: BTreeSet<Option<PlaceToken>>,
    /// Tokens that are no places here, and must not become places below themselves.
    tops: BTreeSet<PlaceToken>,
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
#[derive(Debug, Clone)]
pub(super) enum List {
    /// A Drive folder.
    Folder(String),
    /// A wiki space, or a node in it.
    Wiki { space: String, node: Option<String> },
}

/// A place as a listing shows it.
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
            pending: Vec::new(),
            unlisted: BTreeSet::new(),
            tops: BTreeSet::new(),
        }
    }

    pub(super) fn is(&mut self, family: Family, root: impl Into<String>) {
        self.source.family = family;
        self.source.root = root.into();
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

    /// Lists all that is still to be listed, and what that brings.
    ///
    /// # Errors
    /// What ends the run.
    pub(super) async fn finish(mut self) -> Result<RemoteSource, ApiError> {
        let run = self.run;
        let mut listings = FuturesUnordered::new();
        loop {
            while listings.len() < WAITING
                && run.cut().is_none()
                && let Some(parent) = self.pending.pop()
            {
                listings.push(async move {
                    let found = run.call(children(run, &parent.list)).await;
                    (parent, found)
                });
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
                    self.source.listings.insert(parent.place, listing);
                }
            }
        }
        if let Some(failure) = run.cut() {
            let left = std::mem::take(&mut self.unlisted);
            self.cut_short(left, &failure);
        }
        Ok(self.source)
    }

    fn expect(&mut self, parent: Parent) {
        self.unlisted.insert(parent.place.clone());
        self.pending.push(parent);
    }

    fn complete(&mut self, parent: Parent, found: Vec<Found>) {
        let added = self.add(parent.place.as_ref(), &parent.path, found);
        self.source.listings.insert(parent.place, Listing::Complete);
        self.run.progress.listed(self.name, added);
    }

    /// Takes children in; returns how many were new.
    fn add(&mut self, parent: Option<&PlaceToken>, path: &str, found: Vec<Found>) -> usize {
        let before = self.source.nodes.len();
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
            if let Some(listener) = self.run.listener {
                listener.place(self.name, &path, &node);
            }
            let place = Some(node.token.clone());
            match below {
                Some(_) if excluded => {
                    self.source.listings.insert(place, Listing::Excluded);
                }
                Some(list) => self.expect(Parent { place, path, list }),
                None => {}
            }
            self.source.nodes.insert(node.token.clone(), node);
        }
        self.source.nodes.len() - before
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

async fn children(run: &Run<'_>, list: &List) -> Result<Vec<Found>, ApiError> {
    match list {
        List::Folder(token) => drive::children(run.client, token).await,
        List::Wiki { space, node } => wiki::children(run.client, space, node.as_deref()).await,
    }
}

/// A listing that did not come. What was deleted while the walk was on its way to it
/// counts as failed too: its parent's listing is older than that.
fn failed_listing(path: &str, error: &ApiError) -> Listing {
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
