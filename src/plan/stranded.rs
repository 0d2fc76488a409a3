//! Links that no run makes any more, because their shortcut is gone or leads to something
//! gone: they stay for as long as they lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::Making;
use super::known;
use super::{Prune, Removal};
use crate::model::change::ChangeKind;
use crate::model::recorded::{ProductKey, Slot};
use crate::model::{Format, PlaceKey, RelPath};

impl Making<'_, '_> {
    /// Removes those that would dangle once this run is over.
    pub(super) fn stranded_links(&mut self) {
        let loose = self.loose_links();
        if loose.is_empty() {
            return;
        }
        let targets: BTreeSet<&RelPath> = loose.iter().map(|(.., target)| target).collect();
        let standing = self.standing(&targets);
        let mut stranded: BTreeMap<PlaceKey, Vec<(ProductKey, RelPath)>> = BTreeMap::new();
        for (key, product, at, target) in &loose {
            if !standing.contains(target) {
                stranded.entry(key.clone()).or_default().push((product.clone(), at.clone()));
            }
        }
        for (key, links) in stranded {
            let mut row = self.rows[&key].clone();
            row.products.retain(|product, _| !links.iter().any(|(link, _)| link == product));
            let reason = Some("target gone");
            let told = |(product, at)| {
                (product, self.change(ChangeKind::Prune, &key, at, Some(Format::Link), reason))
            };
            let products = links.into_iter().map(told).collect();
            let (action, row) = (Removal::Delete, Some(row));
            self.plan.prunes.push(Prune { place: key, products, folder: None, action, row });
        }
    }

    /// Recorded links that this run neither makes nor removes: place, link, where it stands,
    /// where it leads.
    fn loose_links(&self) -> Vec<(PlaceKey, ProductKey, RelPath, RelPath)> {
        let made: BTreeSet<(&PlaceKey, Slot)> =
            self.plan.links.iter().map(|link| (&link.place, link.slot)).collect();
        let pruned: BTreeSet<&PlaceKey> =
            self.plan.prunes.iter().map(|prune| &prune.place).collect();
        let skipped: BTreeSet<PlaceKey> =
            self.plan.skips.iter().map(|skip| skip.change.place()).collect();
        let mut loose = Vec::new();
        for (key, row) in &self.rows {
            // A shortcut that is listed has links that are right, or no target any more.
            let right = self.draft.live.contains(key) && !skipped.contains(key);
            if right || pruned.contains(key) {
                continue;
            }
            for (product, known) in &row.products {
                let Some(text) = &known.link else { continue };
                if made.contains(&(key, product.slot)) {
                    continue;
                }
                let Some(at) = self.draft.path(key, product.slot) else { continue };
                if let Some(target) = known::target(&at, text) {
                    loose.push((key.clone(), product.clone(), at, target));
                }
            }
        }
        loose
    }

    /// Which of these will stand at the end of the run.
    fn standing(&self, wanted: &BTreeSet<&RelPath>) -> BTreeSet<RelPath> {
        let prunes: BTreeMap<&PlaceKey, &Prune> =
            self.plan.prunes.iter().map(|prune| (&prune.place, prune)).collect();
        let mut standing = BTreeSet::new();
        for (key, row) in &self.rows {
            let prune = prunes.get(key);
            let stays = |product: &ProductKey| {
                !prune.is_some_and(|prune| prune.products.iter().any(|(gone, _)| gone == product))
            };
            let products = row.products.keys().filter(|product| stays(product));
            let mut slots: BTreeSet<Slot> = products.map(|product| product.slot).collect();
            if row.names.contains_key(&Slot::Dir) && prune.is_none_or(|p| p.folder.is_none()) {
                slots.insert(Slot::Dir);
            }
            let paths = slots.into_iter().filter_map(|slot| self.draft.path(key, slot));
            standing.extend(paths.filter(|path| wanted.contains(path)));
        }
        standing
    }
}
