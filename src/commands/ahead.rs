//! Says what can be fetched while the walk goes on.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::observe::Prepared;
use crate::apply::{Errands, Fetching};
use crate::crawl::Listener;
use crate::model::recorded::{PlaceRow, Recorded};
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
    recorded: &'a Recorded,
    /// Objects with files in the copy; asked for only where something new is listed.
    copied: OnceLock<HashSet<&'a Object>>,
}

impl<'a> Ahead<'a> {
    pub fn new(
        run: &'a Prepared,
        recorded: &'a Recorded,
        fetching: &'a Fetching,
        errands: Errands,
    ) -> Self {
        let known = Rows { recorded, copied: OnceLock::new() };
        Self { run, known, fetching, errands }
    }

    /// See [`Fetching::walk_is_over`].
    pub async fn walk_is_over(&self) -> Vec<(Object, Option<i64>)> {
        self.fetching.walk_is_over().await
    }
}

impl Listener for Ahead<'_> {
    fn place(&self, source: &SourceName, path: &str, node: &Node) {
        let Self { run, known, .. } = self;
        if let Some(errand) = plan::early(source, path, node, &run.rules, &run.options, known) {
            self.errands.send(errand);
        }
    }
}

impl Known for Rows<'_> {
    fn row(&self, key: &PlaceKey) -> Option<&PlaceRow> {
        self.recorded.places.get(key)
    }

    fn has_copy(&self, object: &Object) -> bool {
        let copied = self.copied.get_or_init(|| {
            let rows = self.recorded.places.values().filter(|row| !row.products.is_empty());
            rows.map(|row| row.target.as_ref().unwrap_or(&row.object)).collect()
        });
        copied.contains(object)
    }
}
