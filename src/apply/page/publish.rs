//! A page into the copy: its pictures and files first, then the page that refers to them.

use std::collections::BTreeMap;

use crate::export::docx::Kept;
use crate::export::docx::markdown::Warning;
use crate::layout::{Around, Atlas, LINKED};
use crate::model::change::Event;
use crate::model::page::PageRow;
use crate::model::recorded::{PlaceRow, ProductKey, Slot, Stamp};
use crate::model::{ContentHash, Format, PlaceKey, RelPath};
use crate::plan::Want;

use super::super::assets::Ready;
use super::super::fetch::About;
use super::super::journal::Journal;
use super::super::publish::{Delivery, Told, no_row};
use super::super::trouble::{Halt, Trouble};
use super::{Page, kept};

/// What pages show a note about instead of the thing itself, over the whole run.
#[derive(Debug, Default)]
pub(in crate::apply) struct Notes(BTreeMap<Warning, Noted>);

#[derive(Debug)]
struct Noted {
    times: usize,
    pages: usize,
    first: RelPath,
}

impl Notes {
    fn add(&mut self, page: &RelPath, warnings: BTreeMap<Warning, usize>) {
        for (warning, times) in warnings {
            let first = || Noted { times: 0, pages: 0, first: page.clone() };
            let noted = self.0.entry(warning).or_insert_with(first);
            noted.times += times;
            noted.pages += 1;
        }
    }

    /// A sentence each.
    pub(in crate::apply) fn sentences(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(warning, Noted { times, pages, first })| {
            let what = warning.describe();
            let times = if *times == 1 { String::new() } else { format!(" ({times} times)") };
            match pages {
                1 => format!("{first} has a note: {what}{times}"),
                pages => format!("{pages} pages have a note: {what}{times}; one is {first}"),
            }
        })
    }
}

impl Journal {
    /// Brings a page, or its blocks, to every place that wants them.
    pub(in crate::apply) fn publish_page(
        &mut self,
        about: &About,
        wants: &[Want],
        stamp: &Stamp,
        page: Page,
    ) -> Result<(), Halt> {
        let Page { kept, stamp: of_kept, assets, trouble } = page;
        let mut assets = Ready::new(assets);
        self.report.bytes += assets.size();
        let hash = match kept::keep(&self.disk, &kept) {
            Ok(hash) => Ok(hash),
            Err(error) => Err(Trouble::of_disk(error, &self.settings)?),
        };
        for want in wants {
            let mtime_secs = self.mtime_of(about.edited);
            let result = match (&hash, want.format) {
                (Err(trouble), _) => Err(trouble.clone()),
                (Ok(_), Format::Blocks) => self.publish_blocks(want, stamp, mtime_secs, &kept)?,
                (Ok(hash), _) => {
                    let is_kept = of_kept.is_some();
                    let write = Write { kept: &kept, hash: *hash, is_kept, stamp, mtime_secs };
                    self.publish_md(want, &write, &mut assets, trouble.as_ref())?
                }
            };
            if let Err(trouble) = result {
                self.fail_want(want, stamp, &trouble)?;
            }
        }
        self.discard_assets(assets);
        Ok(())
    }

    /// `trouble`: what is missing in it for now. It is published all the same, but fails.
    fn publish_md(
        &mut self,
        want: &Want,
        write: &Write<'_>,
        assets: &mut Ready,
        trouble: Option<&Trouble>,
    ) -> Result<Result<(), Trouble>, Halt> {
        let key = &want.place;
        self.claim(key, Format::Md)?;
        self.claim(key, Format::Assets)?;
        let published = self.publish_assets(key, write.stamp, write.mtime_secs, assets)?;
        if let Err(trouble) = published {
            return Ok(Err(trouble));
        }
        let Kept { links, lists, limits, embeds, .. } = write.kept;
        let mut page = PageRow {
            kept: write.hash,
            around: ContentHash([0; 32]),
            links: links.clone(),
            lists: lists.clone(),
            limits: *limits,
            embeds: embeds.clone(),
        };
        if write.is_kept {
            self.keep_checks(key, &mut page);
        }
        if self.atlas.is_none() {
            self.complete()?;
            self.atlas = Some(Atlas::of(self.current()));
        }
        let atlas = self.atlas.as_ref().expect("made above");
        let Some(around) = self.around(atlas, key, &page) else { return Ok(Err(no_row(key))) };
        let told = match trouble {
            None => Told::Came(&want.change, Format::Md),
            Some(trouble) => Told::Unfinished(Format::Md, trouble),
        };
        if let Err(trouble) = self.write_page(key, page, &around, write, told)? {
            return Ok(Err(trouble));
        }
        if let Some(trouble) = trouble {
            return Ok(Err(trouble.clone()));
        }
        self.drop_assets_of_page(key, write, assets)
    }

    /// What it embeds was fetched long ago, and found to be the same since.
    fn keep_checks(&self, key: &PlaceKey, page: &mut PageRow) {
        let known = self.row(key).and_then(|row| row.page.as_ref());
        for embed in &mut page.embeds {
            let mut known = known.iter().flat_map(|page| &page.embeds);
            let same = known.find(|known| {
                known.object == embed.object
                    && known.hash == embed.hash
                    && known.checked_secs > embed.checked_secs
            });
            if let Some(same) = same {
                *embed = same.clone();
            }
        }
    }

    /// Drops what the page no longer shows, once its new text is there.
    fn drop_assets_of_page(
        &mut self,
        key: &PlaceKey,
        write: &Write<'_>,
        assets: &Ready,
    ) -> Result<Result<(), Trouble>, Halt> {
        if self.dropped(key, assets).is_empty() {
            return Ok(Ok(()));
        }
        // A refusal of the disk shows only now, and is told then.
        self.flush()?;
        let page = self.row(key).and_then(|row| row.page.as_ref());
        if page.is_none_or(|page| page.kept != write.hash) {
            return Ok(Ok(()));
        }
        self.drop_assets(key, assets)
    }

    /// What a page shows of the copy as it is now.
    pub(super) fn around(&self, atlas: &Atlas, key: &PlaceKey, page: &PageRow) -> Option<Around> {
        let stands = |key: &PlaceKey, row: &PlaceRow, slot: Slot| {
            let stale = |format| self.stale.contains(&(key.clone(), format));
            let mut here = row.products.keys().filter(|product| product.slot == slot);
            let mut pending = LINKED.iter().chain(&[Format::Link]).filter(|format| match slot {
                Slot::LinkTo(_) | Slot::LinkToDir => **format == Format::Link,
                _ => format.slot() == slot,
            });
            here.any(|product| !product.format().is_some_and(stale))
                || pending.any(|format| self.pending.contains(&(key.clone(), *format)))
        };
        atlas.around(self.current(), key, page, self.settings.markdown.colors, &stands)
    }

    /// Writes the text of a page. Returns whether a file changed.
    pub(super) fn write_page(
        &mut self,
        key: &PlaceKey,
        page: PageRow,
        around: &Around,
        write: &Write<'_>,
        told: Told<'_>,
    ) -> Result<Result<bool, Trouble>, Halt> {
        let rendered = write.kept.render(around);
        let page = PageRow { around: around.hash(), ..page };
        let mut bytes = match self.stage_text(rendered.markdown.as_bytes())? {
            Ok(bytes) => bytes,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let delivery = Delivery {
            product: ProductKey::whole(Format::Md.slot()),
            told,
            page: Some(&page),
            ..Delivery::new(key, write.stamp, write.mtime_secs)
        };
        let written = self.deliver(&delivery, &mut bytes)?;
        self.discard(bytes);
        if written.is_ok()
            && let Some(path) = self.current().slot(key, Format::Md.slot())
            && let Some(path) = path.in_mirror().cloned()
        {
            for (warning, times) in &rendered.warnings {
                self.tell(&Event::Note {
                    path: path.clone(),
                    source: key.source.clone(),
                    token: key.token.clone(),
                    note: warning.describe(),
                    times: *times,
                });
            }
            self.notes.add(&path, rendered.warnings);
        }
        Ok(written)
    }

    /// The blocks of a page, as the service sent them.
    fn publish_blocks(
        &mut self,
        want: &Want,
        stamp: &Stamp,
        mtime_secs: i64,
        kept: &Kept,
    ) -> Result<Result<(), Trouble>, Halt> {
        self.claim(&want.place, Format::Blocks)?;
        let mut text = serde_json::to_vec_pretty(&kept.blocks).expect("JSON has a JSON form");
        text.push(b'\n');
        let mut bytes = match self.stage_text(&text)? {
            Ok(bytes) => bytes,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let delivery = Delivery {
            product: ProductKey::whole(Format::Blocks.slot()),
            told: Told::Came(&want.change, Format::Blocks),
            ..Delivery::new(&want.place, stamp, mtime_secs)
        };
        let written = self.deliver(&delivery, &mut bytes)?;
        self.discard(bytes);
        Ok(written.map(drop))
    }

    /// Makes sure that a place has a name for a format which the plan did not foresee.
    pub(in crate::apply) fn claim(&mut self, key: &PlaceKey, format: Format) -> Result<(), Halt> {
        let Some(row) = self.row(key) else { return Ok(()) };
        if row.names.contains_key(&format.slot()) {
            return Ok(());
        }
        let Some(name) = self.free_name(key, format)? else { return Ok(()) };
        self.flush()?;
        let Some(mut row) = self.row(key).cloned() else { return Ok(()) };
        row.names.insert(format.slot(), name);
        self.record(&[crate::store::RowChange::Put { key: key.clone(), place: Box::new(row) }])
    }
}

/// What is written of a page, and as of when.
pub(super) struct Write<'a> {
    pub kept: &'a Kept,
    /// Its name in the state folder.
    pub hash: ContentHash,
    /// It was there before; what it embeds may have been looked at since.
    pub is_kept: bool,
    pub stamp: &'a Stamp,
    pub mtime_secs: i64,
}
