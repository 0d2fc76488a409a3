//! Pages written again from their kept blocks, without a call: what they refer to has
//! another path or title, or their file is damaged.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::{Around, Atlas};
use crate::model::change::{Change, ChangeKind};
use crate::model::page::PageRow;
use crate::model::recorded::{Loc, PlaceRow, ProductKey};
use crate::model::{ContentHash, Format, PlaceKey};
use crate::plan::Rewrite;
use crate::store::RowChange;

use super::super::journal::{Failing, Journal, done};
use super::super::publish::{Told, no_row};
use super::super::trouble::{Halt, Trouble};
use super::kept;
use super::publish::Write;

impl Journal {
    /// Writes the planned ones, and those that the run itself made wrong: a document that
    /// was to be linked failed, or came at last.
    pub(in crate::apply) fn rewrite_pages(
        &mut self,
        rewrites: Vec<Rewrite>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        self.flush()?;
        if rewrites.is_empty() && !self.changed {
            return Ok(());
        }
        let mut planned: BTreeMap<PlaceKey, Change> =
            rewrites.into_iter().map(|rewrite| (rewrite.place, rewrite.change)).collect();
        let page = |(key, row): (&PlaceKey, &PlaceRow)| {
            // One that nobody wants any more stays as it is.
            let stale = self.stale.contains(&(key.clone(), Format::Md));
            let page = row.page.as_deref().filter(|_| row.is_page() && !stale)?;
            Some((key.clone(), page.clone()))
        };
        let pages: Vec<(PlaceKey, PageRow)> =
            self.current().places.iter().filter_map(page).collect();
        if pages.is_empty() && planned.is_empty() {
            return Ok(());
        }
        self.complete()?;
        let atlas = Atlas::of(self.current());
        for (key, page) in pages {
            if cancelled() {
                break;
            }
            let Some(around) = self.around(&atlas, &key, &page) else { continue };
            let planned = planned.remove(&key);
            let moved = around.hash() != page.around;
            let change = match planned {
                Some(change) if moved || change.kind == ChangeKind::Restore => change,
                // It was to lead to something that failed once more.
                Some(change) => {
                    self.tell(&done(change, 0, None, false));
                    continue;
                }
                None if moved => match self.moved_around(&key) {
                    Some(change) => change,
                    None => continue,
                },
                None => continue,
            };
            if let Err(trouble) = self.rewrite(&key, page, &around, &change)? {
                self.ready(&key, &[])?;
                self.fail(&Failing { change, note: None }, &trouble)?;
            }
        }
        self.flush()?;
        if !cancelled() {
            for (key, change) in planned {
                self.fail(&Failing { change, note: None }, &no_row(&key))?;
            }
        }
        Ok(())
    }

    fn rewrite(
        &mut self,
        key: &PlaceKey,
        page: PageRow,
        around: &Around,
        change: &Change,
    ) -> Result<Result<(), Trouble>, Halt> {
        let kept = match kept::load(&self.disk, page.kept) {
            Ok(kept) => kept,
            Err(why) => return self.lost(key, &why).map(Err),
        };
        let product = ProductKey::whole(Format::Md.slot());
        let Some(old) = self.row(key).and_then(|row| row.products.get(&product)).cloned() else {
            return Ok(Err(no_row(key)));
        };
        let (hash, mtime_secs) = (page.kept, old.mtime_secs);
        let is_kept = true;
        let write = Write { kept: &kept, hash, is_kept, stamp: &old.stamp, mtime_secs };
        Ok(self.write_page(key, page, around, &write, Told::Again(change))?.map(drop))
    }

    /// Forgets kept blocks that are gone or damaged, so that the next run fetches the page.
    fn lost(&mut self, key: &PlaceKey, why: &str) -> Result<Trouble, Halt> {
        if let Some(mut row) = self.row(key).cloned() {
            row.page = None;
            self.record(&[RowChange::Put { key: key.clone(), place: Box::new(row) }])?;
        }
        let mut trouble = Trouble::failed(format!("what was kept of its blocks is lost: {why}"));
        trouble.failure.hint = Some("the next run fetches the page again".to_owned());
        Ok(trouble)
    }

    fn moved_around(&self, key: &PlaceKey) -> Option<Change> {
        let row = self.row(key)?;
        let Loc::Mirror(path) = self.current().slot(key, Format::Md.slot())? else { return None };
        Some(Change {
            kind: ChangeKind::Update,
            path,
            from: None,
            source: key.source.clone(),
            token: key.token.clone(),
            obj_token: row.object.token.clone(),
            ty: row.object.ty.clone(),
            format: Some(Format::Md),
            reason: Some("what it shows of the copy changed".to_owned()),
        })
    }

    /// Removes kept blocks that no row names any more.
    pub(in crate::apply) fn sweep_kept(&mut self) {
        let pages = self.current().places.values().filter_map(|row| row.page.as_ref());
        let used: BTreeSet<ContentHash> = pages.map(|page| page.kept).collect();
        if let Err(error) = kept::sweep(&self.disk, &used) {
            tracing::debug!(%error, "kept blocks that nobody needs stay for now");
        }
    }
}
