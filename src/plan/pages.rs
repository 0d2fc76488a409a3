//! Pages written as Markdown whose document stands still: what they embed, and what they
//! show of the copy around them.

use super::content::{self, Need};
use super::decide::Making;
use super::view::{Aim, Seen, View};
use super::{Inputs, Rewrite, embeds};
use crate::layout::Atlas;
use crate::model::change::ChangeKind;
use crate::model::page::PageRow;
use crate::model::recorded::{PlaceRow, ProductKey, Recorded};
use crate::model::{Format, PlaceKey, RelPath};

/// The page of a place, where nothing but what it embeds could make it be fetched again.
pub(super) fn page_at_rest<'a>(
    inputs: &Inputs<'a>,
    view: &View<'_>,
    seen: &Seen<'_>,
    old: &PlaceKey,
) -> Option<&'a PageRow> {
    let Aim::Content { object, formats } = &seen.aim else { return None };
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
    /// A page of which nothing is to be fetched.
    pub(super) fn page_at_rest(&mut self, key: &PlaceKey) {
        let page = self.rows.get_mut(key).and_then(|row| row.page.as_deref_mut());
        if let Some(page) = page {
            embeds::checked(self.inputs, page);
            self.resting.insert(key.clone());
        }
    }

    /// A page whose file alone is damaged.
    pub(super) fn restore_page(&mut self, key: &PlaceKey, path: RelPath, reason: &str) {
        let change = self.change(ChangeKind::Restore, key, path, Some(Format::Md), Some(reason));
        self.plan.rewrites.push(Rewrite { place: key.clone(), change });
    }

    /// Pages at rest that show of the copy around them what is no longer so: a document that
    /// moves in this run, a new title, a page that now has a copy.
    pub(super) fn rewrites(&mut self) {
        self.find_stale();
        if self.resting.is_empty() || self.inputs.options.retry_failed {
            return;
        }
        // Lent for the length of the comparison: the rows as they will be.
        let places = std::mem::take(&mut self.rows);
        let rows = Recorded { places, sources: Default::default() };
        let atlas = Atlas::of(&rows);
        let colors = self.inputs.rules.markdown.colors;
        let stands = |key: &PlaceKey, row: &PlaceRow, format: Format| self.stands(key, row, format);
        let moved = |key: &&PlaceKey| {
            let Some(page) = rows.places.get(*key).and_then(|row| row.page.as_ref()) else {
                return false;
            };
            let around = atlas.around(&rows, key, page, colors, &stands);
            around.is_some_and(|around| around.hash() != page.around)
        };
        let moved: Vec<PlaceKey> = self.resting.iter().filter(moved).cloned().collect();
        self.rows = rows.places;
        for key in moved {
            let Some(path) = self.draft.path(&key, Format::Md.slot()) else { continue };
            let reason = Some("what it refers to moved");
            let change = self.change(ChangeKind::Update, &key, path, Some(Format::Md), reason);
            self.plan.rewrites.push(Rewrite { place: key, change });
        }
    }

    /// True where a place will have a file of this format at the end of the run, if all
    /// goes well.
    fn stands(&self, key: &PlaceKey, row: &PlaceRow, format: Format) -> bool {
        let has = row.products.keys().any(|product| product.format() == Some(format));
        let stands = has && !self.plan.stale.contains(&(key.clone(), format));
        let aim = self.view.places.get(key).map(|seen| &seen.aim);
        stands
            || matches!(aim, Some(Aim::Content { object, formats })
                if formats.contains(&format)
                    && !matches!(self.need(key, object, format), Need::Skip(_) | Need::Nothing(_)))
    }

    fn find_stale(&mut self) {
        for key in &self.draft.live {
            let (Some(row), Some(seen)) = (self.rows.get(key), self.view.places.get(key)) else {
                continue;
            };
            if !matches!(seen.aim, Aim::Content { .. }) || row.products.is_empty() {
                continue;
            }
            let wanted = View::wanted_formats(&seen.aim);
            let formats: Vec<Format> = row.products.keys().filter_map(ProductKey::format).collect();
            let stale = formats.into_iter().filter(|format| !wanted.contains(format));
            self.plan.stale.extend(stale.map(|format| (key.clone(), format)));
        }
    }
}
