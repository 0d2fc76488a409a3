//! Says what can be fetched while the walk goes on.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use super::observe::Prepared;
use super::survey::Manifest;
use crate::apply::{Errands, Fetching};
use crate::model::recorded::PlaceRow;
use crate::model::tree::Node;
use crate::model::{Object, PlaceKey, SourceName};
use crate::plan::{self, Known};

/// Listens to the walk of one run.
pub struct Ahead<'a> {
    run: &'a Prepared,
    known: Rows<'a>,
    fetching: &'a Fetching,
    errands: Errands,
}

/// The manifest, for a place at a time.
struct Rows<'a> {
    manifest: &'a Manifest,
    hasher: RandomState,
    /// Hashes of the objects with files in the copy, by their tokens; asked for only where
    /// something new is listed. `None`: they cannot be read, which the plan will say.
    copied: OnceLock<Option<HashSet<u64>>>,
}

impl<'a> Ahead<'a> {
    pub fn new(
        run: &'a Prepared,
        manifest: &'a Manifest,
        fetching: &'a Fetching,
        errands: Errands,
    ) -> Self {
        let known = Rows { manifest, hasher: RandomState::new(), copied: OnceLock::new() };
        Self { run, known, fetching, errands }
    }

    /// Hears of a place as soon as it is listed; its parent and `filtered` are known.
    pub fn place(&self, source: &SourceName, path: &str, node: &Node) {
        let Self { run, known, .. } = self;
        if let Some(errand) = plan::early(source, path, node, &run.rules, &run.options, known) {
            self.errands.send(errand);
        }
    }

    /// See [`Fetching::walk_is_over`].
    pub async fn walk_is_over(&self) -> Vec<(Object, Option<i64>)> {
        self.fetching.walk_is_over().await
    }
}

impl Known for Rows<'_> {
    fn row(&self, key: &PlaceKey) -> Option<PlaceRow> {
        self.manifest.row(key).ok().flatten()
    }

    fn has_copy(&self, object: &Object) -> bool {
        let copied = self.copied.get_or_init(|| {
            let mut copied = HashSet::new();
            let read = self.manifest.for_each_copied(|token| {
                copied.insert(self.hasher.hash_one(token));
            });
            read.is_ok().then_some(copied)
        });
        let token = self.hasher.hash_one(object.token.as_str());
        copied.as_ref().is_none_or(|copied| copied.contains(&token))
    }
}
