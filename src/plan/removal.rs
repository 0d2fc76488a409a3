//! What is removed: copies of what is gone, and products nobody wants any more; under
//! the prune rules, the guards of each source, and never on doubt.

use std::collections::{BTreeMap, BTreeSet};

use super::absent::{self, Absent, Fate};
use super::decide::Making;
use super::view::{Aim, View};
use super::{Guard, Prune, Removal};
use crate::model::change::{Change, ChangeKind};
use crate::model::recorded::{PlaceRow, PlaceState, ProductKey, Recorded, Slot};
use crate::model::{Format, PlaceKey, SourceName};
use crate::rules::{PruneAction, Rules};

/// Full walks that must miss a place before its copy is removed for good.
const WALKS_TO_DELETE: u32 = 2;

pub(super) fn decide(making: &mut Making<'_, '_>, absent: &Absent) {
    stale_links(making);
    let mut wanted = gone(making, absent);
    wanted.extend(unwanted(making, absent));
    guard(making, absent, &mut wanted);
    let leaving: BTreeSet<PlaceKey> =
        wanted.iter().filter(|w| w.whole).map(|w| w.key.clone()).collect();
    let keeps_child = parents_that_stay(&making.rows, &leaving);
    // Children before the folder they are in.
    wanted.sort_by_cached_key(|w| std::cmp::Reverse((making.depth(&w.key), w.key.clone())));
    for want in wanted {
        let row = &making.rows[&want.key];
        let dir = row.names.contains_key(&Slot::Dir);
        let stays = !want.whole || keeps_child.contains(&want.key);
        let mut after = row.clone();
        after.products.retain(|product, _| !want.products.contains(product));
        after.drop_lone_page();
        let products: Vec<(ProductKey, Change)> = want
            .products
            .iter()
            .filter_map(|product| Some((product.clone(), prune(making, &want, product)?)))
            .collect();
        let folder = if want.whole && dir && !stays {
            making.draft.path(&want.key, Slot::Dir).map(|path| {
                making.change(ChangeKind::Prune, &want.key, path, None, Some(want.reason))
            })
        } else {
            None
        };
        making.plan.prunes.push(Prune {
            place: want.key,
            products,
            folder,
            action: want.action,
            row: stays.then_some(after),
        });
    }
    forget(making, absent, &leaving);
}

/// A copy, or a part of one, that the rules let go.
struct Wanted {
    key: PlaceKey,
    products: Vec<ProductKey>,
    /// True for a gone place: its row goes too.
    whole: bool,
    action: Removal,
    reason: &'static str,
}

fn prune(making: &mut Making<'_, '_>, want: &Wanted, product: &ProductKey) -> Option<Change> {
    let at = making.draft.target.product(&want.key, product)?;
    let path = at.in_mirror()?.clone();
    Some(making.change(ChangeKind::Prune, &want.key, path, product.format(), Some(want.reason)))
}

fn gone(making: &Making<'_, '_>, absent: &Absent) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (old, fate) in &absent.fates {
        let Fate::Gone { walks } = *fate else { continue };
        let Some(key) = making.after(old) else { continue };
        let row = &making.rows[&key];
        let has_copy = !row.products.is_empty() || row.names.contains_key(&Slot::Dir);
        if !has_copy || !may_prune(making, absent, &key.source) {
            continue;
        }
        let path = absent::recorded_glob_path(making.inputs, old);
        let Some(action) = removal(making.inputs.rules, &path, walks) else { continue };
        let products = row.products.keys().cloned().collect();
        wanted.push(Wanted { key, products, whole: true, action, reason: "gone" });
    }
    wanted
}

/// How the copy of something gone is removed, if it is.
pub(super) fn removal(rules: &Rules, path: &str, walks: u32) -> Option<Removal> {
    match rules.prune_at(path) {
        PruneAction::Trash => Some(Removal::Trash),
        PruneAction::Delete if walks >= WALKS_TO_DELETE => Some(Removal::Delete),
        PruneAction::Keep | PruneAction::Delete => None,
    }
}

/// True where this run's listing of a source lets anything be concluded from it.
fn may_prune(making: &Making<'_, '_>, absent: &Absent, source: &SourceName) -> bool {
    let inputs = making.inputs;
    !inputs.options.no_prune
        && !inputs.options.retry_failed
        && inputs
            .tree
            .sources
            .get(source)
            .is_some_and(super::super::model::tree::RemoteSource::is_full)
        && !absent.unclear.iter().any(|(name, _)| name == source)
        && !absent.guards.iter().any(|guard| guard.source == *source)
}

/// Products that the config no longer asks for, once everything it does ask for is
/// there: a change of formats must not leave a place without a copy.
fn unwanted(making: &Making<'_, '_>, absent: &Absent) -> Vec<Wanted> {
    let inputs = making.inputs;
    let mut wanted = Vec::new();
    for key in &making.draft.live {
        let seen = &making.view.places[key];
        if matches!(seen.aim, Aim::Nothing(_)) || !making.draft.before.contains_key(key) {
            continue;
        }
        if !may_prune(making, absent, &key.source) {
            continue;
        }
        let formats = View::wanted_formats(&seen.aim);
        let row = &making.rows[key];
        let complete = match &seen.aim {
            Aim::Content { formats, .. } => formats
                .iter()
                .all(|format| row.products.keys().any(|product| product.format() == Some(*format))),
            _ => true,
        };
        let linked = matches!(seen.aim, Aim::Links { .. });
        let products: Vec<ProductKey> = row
            .products
            .keys()
            .filter(|product| match product.slot {
                // A link that leads nowhere wanted is removed by `stale_links`.
                Slot::LinkTo(_) | Slot::LinkToDir | Slot::Dir => false,
                // Stands in for a link where there are no symlinks.
                Slot::Product(Format::Url) if linked => false,
                Slot::Product(_) => !product.format().is_some_and(|f| formats.contains(&f)),
            })
            .cloned()
            .collect();
        if !complete || products.is_empty() {
            continue;
        }
        let action = match inputs.rules.prune_at(&seen.glob_path) {
            PruneAction::Keep => continue,
            PruneAction::Trash => Removal::Trash,
            PruneAction::Delete => Removal::Delete,
        };
        let key = key.clone();
        wanted.push(Wanted { key, products, whole: false, action, reason: "unwanted" });
    }
    wanted
}

/// A dangling link is never left, whatever the rules: it holds nothing of its own.
fn stale_links(making: &mut Making<'_, '_>) {
    for key in making.draft.live.clone() {
        let slots = View::wanted_slots(&making.view.places[&key].aim);
        let stale: Vec<ProductKey> = making.rows[&key]
            .products
            .keys()
            .filter(|product| {
                matches!(product.slot, Slot::LinkTo(_) | Slot::LinkToDir)
                    && !slots.contains(&product.slot)
            })
            .cloned()
            .collect();
        if stale.is_empty() {
            continue;
        }
        let want = Wanted {
            key: key.clone(),
            products: stale,
            whole: false,
            action: Removal::Delete,
            reason: "target gone",
        };
        let products: Vec<(ProductKey, Change)> = want
            .products
            .iter()
            .filter_map(|product| Some((product.clone(), prune(making, &want, product)?)))
            .collect();
        let mut row = making.rows[&key].clone();
        row.products.retain(|product, _| !want.products.contains(product));
        making.plan.prunes.push(Prune {
            place: key,
            products,
            folder: None,
            action: Removal::Delete,
            row: Some(row),
        });
    }
}

/// All or nothing per source.
fn guard(making: &mut Making<'_, '_>, absent: &Absent, wanted: &mut Vec<Wanted>) {
    let inputs = making.inputs;
    let planned = wanted.iter().map(|want| (&want.key.source, want.products.as_slice()));
    let quiet = |source: &SourceName| {
        inputs.tree.sources.get(source).map_or(0, |source| source.quiet.files)
    };
    let guards = refusals(inputs.recorded, inputs.rules, planned, &quiet);
    let mut refused: BTreeSet<SourceName> =
        guards.iter().map(|guard| guard.source.clone()).collect();
    making.plan.guards.extend(guards);
    refused.extend(absent.guards.iter().map(|guard| guard.source.clone()));
    wanted.retain(|want| !refused.contains(&want.key.source));
}

/// Sources of which more would be removed than `max_delete` allows. `more`: files that a
/// source has besides those recorded here.
pub(super) fn refusals<'p>(
    recorded: &Recorded,
    rules: &Rules,
    planned: impl Iterator<Item = (&'p SourceName, &'p [ProductKey])>,
    more: &dyn Fn(&SourceName) -> u64,
) -> Vec<Guard> {
    let files = |products: &mut dyn Iterator<Item = &ProductKey>| {
        products.filter(|p| matches!(p.slot, Slot::Product(_))).count() as u64
    };
    let mut counts: BTreeMap<&SourceName, u64> = BTreeMap::new();
    for (source, products) in planned {
        *counts.entry(source).or_default() += files(&mut products.iter());
    }
    let mut guards = Vec::new();
    for (source, count) in counts {
        let rows = recorded.places.iter().filter(|(key, _)| key.source == *source);
        let here: u64 = rows.map(|(_, row)| files(&mut row.products.keys())).sum();
        let mirrored = here + more(source);
        if rules.max_delete.refuses(count, mirrored) {
            guards.push(Guard {
                source: source.clone(),
                message: format!(
                    "source {source:?}: {count} of {mirrored} files would be removed, more than \
                     prune.max_delete allows: none was. If that is right, run again with \
                     --max-delete {count}"
                ),
            });
        }
    }
    guards
}

/// Places that leave but have something below that stays.
pub(super) fn parents_that_stay(
    rows: &BTreeMap<PlaceKey, PlaceRow>,
    leaving: &BTreeSet<PlaceKey>,
) -> BTreeSet<PlaceKey> {
    let mut stay = BTreeSet::new();
    for (key, row) in rows {
        if leaving.contains(key) {
            continue;
        }
        let mut at = row.parent.clone();
        while let Some(parent) = at {
            let parent = PlaceKey::new(&key.source, &parent);
            at = rows.get(&parent).and_then(|row| row.parent.clone());
            if !stay.insert(parent) {
                break;
            }
        }
    }
    stay
}

/// Rows of what is gone, has no copy left, and nothing below it.
fn forget(making: &mut Making<'_, '_>, absent: &Absent, leaving: &BTreeSet<PlaceKey>) {
    let bare: BTreeSet<PlaceKey> = making
        .rows
        .iter()
        .filter(|(key, row)| {
            matches!(row.state, PlaceState::Gone { .. })
                && row.products.is_empty()
                && !row.names.contains_key(&Slot::Dir)
                && !leaving.contains(*key)
        })
        .map(|(key, _)| key.clone())
        .collect();
    let stay = parents_that_stay(&making.rows, &bare);
    for old in absent.fates.keys() {
        let Some(key) = making.after(old) else { continue };
        if key == *old && bare.contains(&key) && !stay.contains(&key) {
            making.rows.remove(&key);
            making.plan.forget.push(key);
        }
    }
}
