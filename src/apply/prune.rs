//! Copies of what is gone, removed last, file by file.
//!
//! Only files that the manifest knows are touched. One that somebody altered goes to
//! the trash even where the rule says delete, and a folder that still holds anything
//! stays.

use std::collections::BTreeSet;

use crate::disk::DiskError;
use crate::model::change::Change;
use crate::model::local::LocalEntry;
use crate::model::recorded::{Loc, PlaceRow, ProductKey, Slot};
use crate::model::{PlaceKey, RelPath};
use crate::plan::{Prune, Removal};
use crate::store::RowChange;

use super::journal::{Failing, Journal, Op, Step, done};
use super::publish::no_row;
use super::trouble::{Halt, Trouble};

/// True for links that lead nowhere any more: their place stays, and they hold nothing of
/// their own, so that they need no whole run to go.
pub(super) fn is_of_links(prune: &Prune) -> bool {
    let is_link = |product: &ProductKey| matches!(product.slot, Slot::LinkTo(_) | Slot::LinkToDir);
    prune.row.is_some()
        && prune.folder.is_none()
        && prune.products.iter().all(|(product, _)| is_link(product))
}

impl Journal {
    /// Carries out all prunes, children before their folders.
    pub(super) fn prune_all(
        &mut self,
        prunes: Vec<Prune>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        for prune in prunes {
            if cancelled() {
                break;
            }
            self.prune(prune)?;
        }
        self.flush()
    }

    fn prune(&mut self, prune: Prune) -> Result<(), Halt> {
        let Prune { place, products, folder, action, row } = prune;
        if self.row(&place).is_none() {
            let changes = products.into_iter().map(|(_, change)| change).chain(folder);
            for change in changes {
                self.fail(&Failing { change, note: None }, &no_row(&place))?;
            }
            return Ok(());
        }
        let pruned: BTreeSet<ProductKey> =
            products.iter().map(|(product, _)| product.clone()).collect();
        // The row is read below; what waits may be about it.
        self.ready(&place, &[])?;
        let count = products.len();
        let mut clean = true;
        for (n, (product, change)) in products.into_iter().enumerate() {
            self.ready(&place, &[])?;
            // With the last product the row is what the plan says it becomes; unless one
            // before it could not be removed and still stands.
            let others_left = self.row(&place).is_some_and(|row| {
                pruned.iter().any(|p| *p != product && row.products.contains_key(p))
            });
            let last = n + 1 == count && folder.is_none() && clean && !others_left;
            let then = last.then(|| self.final_row(&place, row.clone(), &pruned));
            if let Err(trouble) = self.prune_product(&place, &product, &change, action, then)? {
                clean = false;
                self.fail(&Failing { change, note: None }, &trouble)?;
            }
        }
        if count > 0 && folder.is_none() {
            return Ok(());
        }
        let Some(change) = folder else {
            self.ready(&place, &[])?;
            let then = vec![self.final_row(&place, row, &pruned)];
            return self.push(Step {
                key: place,
                op: None,
                then,
                done: Vec::new(),
                wants: Vec::new(),
            });
        };
        if !clean {
            return Ok(());
        }
        // What waits in the batch may be the last that stands in it.
        self.flush()?;
        let left = |row: &PlaceRow| pruned.iter().any(|p| row.products.contains_key(p));
        if self.row(&place).is_some_and(left) {
            // One could not be removed, which was told: its row must not be forgotten.
            return Ok(());
        }
        let at = self.current().slot(&place, Slot::Dir);
        // No intent: without the folder the row is as true as with it, and the next plan
        // finds a gone place with nothing left.
        let removed = match at.as_ref().map(|at| self.remove_dir(at)).transpose() {
            Ok(removed) => removed.unwrap_or(true),
            Err(error) => {
                let trouble = Trouble::of_disk(error, &self.settings)?;
                return self.fail(&Failing { change, note: None }, &trouble);
            }
        };
        let then = vec![self.final_row(&place, row, &pruned)];
        let told = if removed { vec![done(change, 0, None, true)] } else { Vec::new() };
        self.push(Step { key: place, op: None, then, done: told, wants: Vec::new() })
    }

    /// True where the folder is gone; one with something in it stays, silently.
    pub(super) fn remove_dir(&mut self, at: &Loc) -> Result<bool, DiskError> {
        self.doubt_folders();
        match self.disk.look(at)? {
            Some(LocalEntry::Dir) => self.disk.remove_folder(at),
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    /// The row change that ends a prune. A row that others hang below is never dropped,
    /// and what this run fetched since the plan was made stays recorded.
    fn final_row(
        &self,
        place: &PlaceKey,
        row: Option<PlaceRow>,
        pruned: &BTreeSet<ProductKey>,
    ) -> RowChange {
        let parent_of_some = self.children_of(&place.source, Some(&place.token)).next().is_some();
        let now = self.row(place);
        let kept = now.filter(|_| parent_of_some).cloned().map(|mut row| {
            row.products.clear();
            row.page = None;
            row
        });
        let Some(mut row) = row.or(kept) else { return RowChange::Drop { key: place.clone() } };
        if let Some(now) = now {
            for (product, record) in &now.products {
                let fetched = || {
                    let at = self.current().product(place, product);
                    at.is_some_and(|at| matches!(self.disk.look(&at), Ok(Some(_))))
                };
                if row.products.contains_key(product) || (!pruned.contains(product) && fetched()) {
                    row.products.insert(product.clone(), record.clone());
                    if let Some(name) = now.names.get(&product.slot) {
                        row.names.insert(product.slot, name.clone());
                    }
                }
            }
            // With the file that this run wrote comes what is remembered of it.
            row.page.clone_from(&now.page);
            row.drop_lone_page();
            row.outcomes.clone_from(&now.outcomes);
            row.elsewhere.clone_from(&now.elsewhere);
        }
        RowChange::Put { key: place.clone(), place: Box::new(row) }
    }

    fn prune_product(
        &mut self,
        place: &PlaceKey,
        product: &ProductKey,
        change: &Change,
        action: Removal,
        then: Option<RowChange>,
    ) -> Result<Result<(), Trouble>, Halt> {
        let at = self.current().product(place, product);
        let paths: Vec<Loc> = at.iter().cloned().collect();
        self.ready(place, &paths)?;
        let Some(row) = self.row(place).cloned() else { return Ok(Err(no_row(place))) };
        let op = match at.as_ref().map(|at| self.removal(at, &row, product, action)).transpose() {
            Ok(op) => op.flatten(),
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        };
        let mut without = row;
        let old = without.products.remove(product);
        without.drop_lone_page();
        let then =
            then.unwrap_or_else(|| RowChange::Put { key: place.clone(), place: Box::new(without) });
        let (written, blake3) = (op.is_some(), old.map(|old| old.blake3));
        self.push(Step {
            key: place.clone(),
            op,
            then: vec![then],
            done: vec![done(change.clone(), 0, blake3, written)],
            wants: vec![Failing { change: change.clone(), note: None }],
        })?;
        if product.part.is_some() {
            self.flush()?;
            let side = at.as_ref().and_then(Loc::parent);
            if let Some(Err(error)) = side.as_ref().map(|side| self.remove_dir(side)) {
                tracing::debug!(%error, "an empty side folder stays");
            }
        }
        Ok(Ok(()))
    }

    /// How a recorded file goes. `None`: nothing of ours stands there.
    fn removal(
        &self,
        at: &Loc,
        row: &PlaceRow,
        product: &ProductKey,
        action: Removal,
    ) -> Result<Option<Op>, DiskError> {
        let (Some(entry), Some(old)) = (self.disk.look(at)?, row.products.get(product)) else {
            return Ok(None);
        };
        if !matches!(entry, LocalEntry::File { .. } | LocalEntry::Link(_)) {
            return Ok(None);
        }
        let path: &RelPath = match at {
            Loc::Mirror(path) | Loc::Parked(path) => path,
        };
        let trash = match action {
            Removal::Trash => true,
            // Deleting is for good, so this one is not decided by the mtime alone.
            Removal::Delete => match (&entry, &old.link) {
                (LocalEntry::File { size, .. }, None) => {
                    *size != old.size || self.disk.hash(at)? != old.blake3
                }
                _ => self.altered(at, &entry, old)?,
            },
        };
        Ok(Some(if trash {
            let to = self.disk.trash_place(&self.settings.run_id, path)?;
            Op::Trash { from: at.clone(), to }
        } else {
            Op::Remove { from: at.clone() }
        }))
    }
}
