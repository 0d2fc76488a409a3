//! What the prune rules say about what is already known to be gone: no listing, no
//! question, only the manifest.
//!
//! A place is recorded as gone only after a full walk and the service's word, so nothing
//! has to be concluded here; the rules, `max_delete` and the two walks before a `delete`
//! hold as in a whole run.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Prune, Removal, absent, removal};
use crate::model::change::{Change, ChangeKind};
use crate::model::recorded::{Loc, PlaceRow, PlaceState, ProductKey, Recorded, Slot};
use crate::model::{Format, PlaceKey, RelPath};
use crate::rules::Rules;

/// Plans the removal of what is recorded as gone. A source that is not in the config any
/// more keeps its copy.
pub fn prune_known(recorded: &Recorded, rules: &Rules) -> Plan {
    let mut plan = Plan::default();
    let mut wanted: BTreeMap<&PlaceKey, (&PlaceRow, Removal, Vec<ProductKey>)> = recorded
        .places
        .iter()
        .filter(|(key, row)| {
            let copy = !row.products.is_empty() || row.names.contains_key(&Slot::Dir);
            copy && is_gone(row) && rules.sources.contains(&key.source)
        })
        .filter_map(|(key, row)| {
            let path = absent::glob_path(recorded, key);
            let action = removal::removal(rules, &path, row.absent_walks)?;
            Some((key, (row, action, row.products.keys().cloned().collect())))
        })
        .collect();
    let planned = wanted.iter().map(|(key, (.., products))| (&key.source, products.as_slice()));
    plan.guards = removal::refusals(recorded, rules, planned, &|_| 0);
    wanted.retain(|key, _| !plan.guards.iter().any(|guard| guard.source == key.source));

    let leaving: BTreeSet<PlaceKey> = wanted.keys().map(|key| (*key).clone()).collect();
    let keeps_child = removal::parents_that_stay(&recorded.places, &leaving);
    plan.prunes = dangling(recorded, &leaving);
    let mut prunes: Vec<Prune> = wanted
        .into_iter()
        .map(|(key, (row, action, products))| {
            let stays = keeps_child.contains(key);
            let folder = recorded.slot(key, Slot::Dir).filter(|_| !stays);
            let folder = folder.and_then(|at| change(key, row, in_mirror(&at)?, None, "gone"));
            let after = PlaceRow { products: BTreeMap::new(), page: None, ..row.clone() };
            Prune {
                place: key.clone(),
                products: told(recorded, key, row, products, "gone"),
                folder,
                action,
                row: stays.then_some(after),
            }
        })
        .collect();
    // Children before the folder they are in.
    prunes.sort_by_cached_key(|prune| {
        std::cmp::Reverse((depth(recorded, &prune.place), prune.place.clone()))
    });
    plan.prunes.extend(prunes);
    plan
}

/// Links of places that stay and that lead to what goes: none is left dangling.
fn dangling(recorded: &Recorded, leaving: &BTreeSet<PlaceKey>) -> Vec<Prune> {
    let going: BTreeSet<RelPath> = leaving
        .iter()
        .flat_map(|key| {
            let products = recorded.places[key].products.keys();
            // A link may lead to a side folder, too.
            let slots = products.map(|product| product.slot).chain([Slot::Dir]);
            let slots: BTreeSet<Slot> = slots.collect();
            slots.into_iter().filter_map(|slot| recorded.slot(key, slot)).collect::<Vec<_>>()
        })
        .filter_map(|at| in_mirror(&at))
        .collect();
    let mut prunes = Vec::new();
    for (key, row) in recorded.places.iter().filter(|(key, _)| !leaving.contains(key)) {
        let stale: Vec<ProductKey> = row
            .products
            .iter()
            .filter(|(product, known)| {
                let at = recorded.product(key, product).and_then(|at| in_mirror(&at));
                let target = at.and_then(|at| target(&at, known.link.as_deref()?));
                target.is_some_and(|target| going.contains(&target))
            })
            .map(|(product, _)| product.clone())
            .collect();
        if stale.is_empty() {
            continue;
        }
        let mut after = row.clone();
        after.products.retain(|product, _| !stale.contains(product));
        prunes.push(Prune {
            place: key.clone(),
            products: told(recorded, key, row, stale, "target gone"),
            folder: None,
            action: Removal::Delete,
            row: Some(after),
        });
    }
    prunes
}

/// Where a relative link at `at` leads, inside the copy.
pub(super) fn target(at: &RelPath, text: &str) -> Option<RelPath> {
    let mut names: Vec<&str> = at.components().collect();
    names.pop();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = names.pop()?,
            name => names.push(name),
        }
    }
    RelPath::new(names.join("/")).ok()
}

fn told(
    recorded: &Recorded,
    key: &PlaceKey,
    row: &PlaceRow,
    products: Vec<ProductKey>,
    reason: &str,
) -> Vec<(ProductKey, Change)> {
    products
        .into_iter()
        .filter_map(|product| {
            let at = recorded.product(key, &product)?;
            let change = change(key, row, in_mirror(&at)?, product.format(), reason)?;
            Some((product, change))
        })
        .collect()
}

#[expect(clippy::unnecessary_wraps, reason = "its callers have only chains of options")]
fn change(
    key: &PlaceKey,
    row: &PlaceRow,
    path: RelPath,
    format: Option<Format>,
    reason: &str,
) -> Option<Change> {
    Some(Change {
        kind: ChangeKind::Prune,
        path,
        from: None,
        source: key.source.clone(),
        token: key.token.clone(),
        obj_token: row.object.token.clone(),
        ty: row.object.ty.clone(),
        format,
        reason: Some(reason.to_owned()),
    })
}

fn in_mirror(at: &Loc) -> Option<RelPath> {
    at.in_mirror().cloned()
}

fn is_gone(row: &PlaceRow) -> bool {
    matches!(row.state, PlaceState::Gone { .. })
}

/// How many folders a place is in; a circle of a damaged manifest ends.
fn depth(recorded: &Recorded, key: &PlaceKey) -> usize {
    let mut above = BTreeSet::new();
    let mut at = recorded.places.get(key).and_then(|row| row.parent.clone());
    while let Some(parent) = at {
        let parent = PlaceKey::new(&key.source, &parent);
        at = recorded.places.get(&parent).and_then(|row| row.parent.clone());
        if !above.insert(parent) {
            break;
        }
    }
    above.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_where_its_text_says() {
        let cases = [
            ("wiki/a/link", "../b/file.docx", Some("wiki/b/file.docx")),
            ("wiki/link", "file.docx", Some("wiki/file.docx")),
            ("wiki/a/link", "../../drive/x", Some("drive/x")),
            ("wiki/link", "../../outside", None),
        ];
        for (at, text, want) in cases {
            let found = target(&RelPath::new(at).unwrap(), text);
            assert_eq!(found.as_ref().map(RelPath::as_str), want, "{at} -> {text}");
        }
    }
}
