//! Pages written as Markdown whose document stands still: what they embed, and what they
//! show of the copy around them.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{self, Need};
use super::decide::Making;
use super::view::{Aim, Seen, View};
use super::{Inputs, Prune, Rewrite, absent, embeds};
use crate::layout::Atlas;
use crate::model::change::ChangeKind;
use crate::model::page::PageRow;
use crate::model::recorded::{PlaceRow, PlaceState, ProductKey, Recorded, Slot};
use crate::model::{Format, PlaceKey, RelPath};
use crate::rules::ShortcutMode;

/// The page of a place, where nothing but what it embeds could make it be fetched again.
pub(super) fn page_at_rest<'a>(
    inputs: &Inputs<'a>,
    view: &View<'_>,
    seen: &Seen<'_>,
    old: &PlaceKey,
) -> Option<&'a PageRow> {
    let Aim::Content { object, formats } = &seen.aim else { return None };
    // Only what failed is looked at.
    if inputs.options.retry_failed {
        return None;
    }
    let row = inputs.recorded.places.get(old)?;
    let page = row.page.as_deref().filter(|page| !page.embeds.is_empty())?;
    if !formats.contains(&Format::Md) {
        return None;
    }
    let edited = view.edited(inputs, seen);
    let need = content::need(inputs, Some((old, row)), object, Format::Md, edited, false);
    matches!(need, Need::Nothing(_) | Need::Rewrite(_)).then_some(page)
}

impl Making<'_, '_> {
    /// Remembers what was asked about what a page embeds, and that nothing of it changed.
    pub(super) fn page_at_rest(&mut self, key: &PlaceKey) {
        let page = self.rows.get_mut(key).and_then(|row| row.page.as_deref_mut());
        if let Some(page) = page {
            embeds::checked(self.inputs, page);
        }
    }

    /// A page whose file alone is damaged.
    pub(super) fn restore_page(&mut self, key: &PlaceKey, path: RelPath, reason: &str) {
        self.page_at_rest(key);
        let change = self.change(ChangeKind::Restore, key, path, Some(Format::Md), Some(reason));
        self.plan.rewrites.push(Rewrite { place: key.clone(), change });
    }

    /// Pages that show of the copy around them what is no longer so: a document that moves
    /// in this run, a new title, a page that now has a copy. Not those that are fetched.
    pub(super) fn rewrites(&mut self) {
        self.find_stale();
        let products = |prune: &Prune| {
            let place = prune.place.clone();
            let products: Vec<ProductKey> =
                prune.products.iter().map(|(product, _)| product.clone()).collect();
            products.into_iter().map(move |product| (place.clone(), product))
        };
        self.leaving = self.plan.prunes.iter().flat_map(products).collect();
        let wants = self.fetches.values().flat_map(|fetch| &fetch.wants);
        let busy: BTreeSet<PlaceKey> = wants
            .filter(|want| want.format == Format::Md)
            .map(|want| &want.place)
            .chain(self.plan.rewrites.iter().map(|rewrite| &rewrite.place))
            .cloned()
            .collect();
        let resting = |(key, row): (&PlaceKey, &PlaceRow)| {
            let stale = self.plan.stale.contains(&(key.clone(), Format::Md));
            (row.is_page() && !stale && !busy.contains(key)).then(|| key.clone())
        };
        let resting: Vec<PlaceKey> = self.rows.iter().filter_map(resting).collect();
        if resting.is_empty() {
            return;
        }
        // Lent for the length of the comparison: the rows as they will be.
        let places = std::mem::take(&mut self.rows);
        let rows = Recorded { places, sources: BTreeMap::default() };
        let atlas = Atlas::of(&rows);
        let colors = self.inputs.rules.markdown.colors;
        let stands =
            |key: &PlaceKey, row: &PlaceRow, slot: Slot| self.stands(&rows, key, row, slot);
        let moved = |key: &PlaceKey| {
            let Some(page) = rows.places.get(key).and_then(|row| row.page.as_ref()) else {
                return false;
            };
            let around = atlas.around(&rows, key, page, colors, &stands);
            around.is_some_and(|around| around.hash() != page.around)
        };
        let moved: Vec<PlaceKey> = resting.into_iter().filter(moved).collect();
        self.rows = rows.places;
        for key in moved {
            let Some(path) = self.draft.path(&key, Format::Md.slot()) else { continue };
            let reason = Some("what it shows of the copy changed");
            let change = self.change(ChangeKind::Update, &key, path, Some(Format::Md), reason);
            self.plan.rewrites.push(Rewrite { place: key, change });
        }
    }

    /// True where a place will have something under this name at the end of the run, if all
    /// goes well.
    fn stands(&self, rows: &Recorded, key: &PlaceKey, row: &PlaceRow, slot: Slot) -> bool {
        let stale = |format| self.plan.stale.contains(&(key.clone(), format));
        let leaves = |product: &ProductKey| {
            !self.leaving.is_empty() && self.leaving.contains(&(key.clone(), product.clone()))
        };
        let has = row
            .products_in(slot)
            .any(|(product, _)| !product.format().is_some_and(stale) && !leaves(product));
        let seen = self.view.places.get(key).filter(|_| self.draft.live.contains(key));
        match (seen.map(|seen| &seen.aim), slot) {
            (Some(Aim::Content { .. }), Slot::LinkTo(_) | Slot::LinkToDir) => false,
            (Some(Aim::Content { object, formats }), _) => {
                let mut formats = formats.iter().filter(|format| format.slot() == slot);
                has || formats.any(|format| {
                    !row.lacks(*format)
                        && self.comes(key, *format, &self.need(key, object, *format))
                })
            }
            // A link that leads nowhere any more goes in this run.
            (Some(Aim::Links { to, formats, .. }), Slot::LinkTo(format)) => {
                let target = rows.places.get(to);
                formats.contains(&format)
                    && target.is_some_and(|row| self.stands(rows, to, row, format.slot()))
            }
            (Some(Aim::Links { dir, .. }), Slot::LinkToDir) => *dir,
            (Some(Aim::Url), Slot::Product(Format::Url)) => {
                has || self.plan.urls.iter().any(|url| url.place == *key)
            }
            // Where there are no symlinks, a `.url` file stands in for one.
            (Some(Aim::Links { .. }), slot) => has && slot == Format::Url.slot(),
            (Some(Aim::Url), _) => false,
            (Some(Aim::Folder | Aim::Nothing(_)) | None, _) => has,
        }
    }

    fn find_stale(&mut self) {
        for (key, row) in &self.rows {
            let seen = self.view.places.get(key).filter(|_| self.draft.live.contains(key));
            let wanted = match seen {
                Some(seen) => wanted(&seen.aim),
                // What a run lists and what it does not must not decide where links lead.
                None => self.wanted_unseen(key, row),
            };
            let Some(wanted) = wanted else { continue };
            let formats = row.products.keys().filter_map(ProductKey::format);
            let stale = formats.filter(|format| !wanted.contains(format));
            self.plan.stale.extend(stale.map(|format| (key.clone(), format)));
        }
    }

    /// The formats of files that are wanted of a place which this run did not list. `None`
    /// where all that is there may be linked.
    fn wanted_unseen(&self, key: &PlaceKey, row: &PlaceRow) -> Option<Vec<Format>> {
        if matches!(row.state, PlaceState::Gone { .. } | PlaceState::Orphaned) {
            return None;
        }
        let rules = self.inputs.rules;
        let has = |format: Format| row.products.keys().any(|key| key.format() == Some(format));
        let object = match (&row.target, rules.shortcut) {
            (None, _) => &row.object,
            (Some(_), ShortcutMode::Skip) => return None,
            (Some(_), ShortcutMode::Url) => return has(Format::Url).then(|| vec![Format::Url]),
            // Symlinks are removed as soon as nobody wants them: while there is one, they are
            // what is wanted.
            (Some(_), ShortcutMode::Link) if has(Format::Link) => {
                return Some(vec![Format::Url, Format::Link]);
            }
            (Some(target), ShortcutMode::Link | ShortcutMode::Copy) => target,
        };
        let path = absent::glob_path(&self.draft.target, key);
        let formats = self.view.formats(self.inputs, key, &path, object);
        // Where no run has looked at it under these rules, its old file serves until one has.
        let known = |format: &Format| has(*format) || row.outcomes.contains_key(format);
        if !formats.iter().any(known) {
            return None;
        }
        wanted(&Aim::Content { object: object.clone(), formats })
    }
}

/// The formats of files that are no leftovers of other rules. `None` where the place has
/// nothing of its own now, and all of it stays as it was.
fn wanted(aim: &Aim) -> Option<Vec<Format>> {
    let mut wanted = View::wanted_formats(aim);
    match aim {
        Aim::Nothing(_) => return None,
        // Stands in for a link where there are no symlinks.
        Aim::Links { .. } => wanted.push(Format::Url),
        Aim::Content { .. } | Aim::Url | Aim::Folder => {}
    }
    // A link that nobody wants is removed, whatever the rules.
    wanted.push(Format::Link);
    Some(wanted)
}
