//! A page while its parts are fetched, one kind in each of the files beside this one.

use std::future::Future;

use crate::disk::Sealed;
use crate::export::docx::markdown::Found;
use crate::export::docx::{Kept, Needs, Tree};
use crate::feishu::{ApiError, Class};
use crate::model::change::Failure;
use crate::model::page::Embed;
use crate::model::recorded::Stamp;
use crate::model::{ContentHash, Object};

use super::super::fetch::{About, Copy, Fetcher, Setback};
use super::super::media::{DELETED, REFUSED};
use super::super::sink::blocking;
use super::super::trouble::Trouble;
use super::Standing;

/// Why something is not shown for now.
pub(super) const FAILED: &str = "could not be fetched";

/// What the copy has at the places that want the page.
#[derive(Clone)]
pub(super) struct Places<'a>(pub Vec<&'a Standing>);

impl<'a> Places<'a> {
    /// A file that stands at every place under one name.
    pub(super) fn everywhere(&self, part: &str) -> Option<&'a Copy> {
        let mut copies = self.0.iter().map(|place| place.here.get(part));
        let first = copies.next()??;
        let name = |copy: &Copy| copy.row.part_name.clone();
        let same = |copy: Option<&Copy>| copy.is_some_and(|copy| name(copy) == name(first));
        (first.row.part_name.is_some() && copies.all(same)).then_some(first)
    }

    /// The same file wherever one may have it.
    pub(super) fn somewhere(&self, part: &str) -> impl Iterator<Item = &'a Copy> {
        let copies =
            self.0.iter().flat_map(|place| [place.here.get(part), place.elsewhere.get(part)]);
        copies.flatten().collect::<Vec<_>>().into_iter()
    }
}

/// See the module's text.
pub(super) struct Making<'a> {
    pub fetcher: &'a Fetcher,
    pub about: &'a About,
    pub places: Places<'a>,
    pub kept: Kept,
    /// What was fetched or copied, by part.
    pub files: Vec<(String, Sealed)>,
    /// Values of the `extra` parameter that may open a picture.
    pub extras: Vec<String>,
    /// The first thing that failed for now.
    first: Option<Failure>,
}

impl<'a> Making<'a> {
    pub(super) fn new(
        fetcher: &'a Fetcher,
        about: &'a About,
        places: Places<'a>,
        kept: Kept,
    ) -> Self {
        let (files, extras) = (Vec::new(), Vec::new());
        Self { fetcher, about, places, kept, files, extras, first: None }
    }

    /// Asks for something that the page can do without.
    pub(super) async fn ask<T>(
        &mut self,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<Found<T>, Setback> {
        match self.fetcher.unless_quit(call).await? {
            Ok(value) => Ok(Found::Here(value)),
            Err(error) => self.refused(error),
        }
    }

    /// What a refusal means for the page, unless it ends the run.
    pub(super) fn refused<T>(&mut self, error: ApiError) -> Result<Found<T>, Setback> {
        Ok(match error.class {
            Class::Forbidden => Found::Forbidden,
            // Each kind of embedded thing has scopes of its own. The document's blocks
            // were read, so it is not the app as a whole that is refused.
            Class::Config => {
                self.fetcher.learned.warn_once(self.fetcher, &error);
                Found::Forbidden
            }
            Class::Gone => Found::Absent(DELETED.to_owned()),
            Class::Refused | Class::Unsupported => Found::Absent(REFUSED.to_owned()),
            _ => {
                let setback = self.fetcher.judge(error);
                self.failed(setback)?
            }
        })
    }

    /// Remembers a failure that the next run may not meet again; hands back any other.
    pub(super) fn failed<T>(&mut self, setback: Setback) -> Result<Found<T>, Setback> {
        let failure = match setback {
            Setback::Trouble(trouble) => trouble.failure,
            // The calls of the run are used up. What was fetched with them is kept, or else
            // a page of more pictures than calls would never be done.
            Setback::Stopped if !self.files.is_empty() && !self.fetcher.is_quitting() => {
                Trouble::failed("the run ended before them").failure
            }
            other => return Err(other),
        };
        self.first.get_or_insert(failure);
        Ok(Found::Absent(FAILED.to_owned()))
    }

    /// True where nothing is missing for now.
    pub(super) fn is_whole(&self) -> bool {
        let (media, embedded) = self.missing();
        self.first.is_none() && media.0 == 0 && embedded.0 == 0
    }

    /// How many pictures and files failed for now, of how many; and of what is embedded.
    fn missing(&self) -> ((usize, usize), (usize, usize)) {
        fn failed<T>(found: &Found<T>) -> bool {
            matches!(found, Found::Absent(why) if why == FAILED)
        }
        let Kept { media, boards, sheets, bitables, synced, .. } = &self.kept;
        let boards = boards.values().map(failed);
        let tables = sheets.values().chain(bitables.values()).map(failed);
        let embedded: Vec<bool> = boards.chain(tables).chain(synced.values().map(failed)).collect();
        let media: Vec<bool> = media.values().map(failed).collect();
        let count = |all: &[bool]| (all.iter().filter(|failed| **failed).count(), all.len());
        (count(&media), count(&embedded))
    }

    /// What is told where something failed for now.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let first = self.first.as_ref()?;
        let (media, embedded) = self.missing();
        let part = |(failed, all): (usize, usize), what: &str| {
            (failed > 0).then(|| format!("{failed} of {all} {what}"))
        };
        let parts = [
            part(media, "pictures and files"),
            part(embedded, "embedded tables, whiteboards and documents"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let what = if parts.is_empty() { "names of people".to_owned() } else { parts.join(", ") };
        let mut trouble = Trouble::failed(format!("{what} {FAILED}: {}", first.message));
        trouble.failure.code = first.code;
        trouble.failure.hint.clone_from(&first.hint);
        Some(trouble)
    }

    /// Remembers that the page shows something of another object.
    pub(super) fn embed(&mut self, object: Object, hash: Option<ContentHash>) {
        let now_secs = self.fetcher.clock.now_secs();
        let seen_secs = self.about.edited.map_or(now_secs, |edited| edited.seen_secs);
        let stamp = Stamp { seen_secs, ..Stamp::default() };
        let embed = Embed { object, stamp, hash, checked_secs: now_secs, refused: false };
        match self.kept.embeds.iter_mut().find(|known| known.object == embed.object) {
            Some(known) => *known = embed,
            None => self.kept.embeds.push(embed),
        }
    }

    /// What the page and all that it shows of other documents need.
    pub(super) fn needs_of_all(&self) -> Needs {
        let mut needs = Needs::of(&Tree::build(&self.kept.document, &self.kept.blocks));
        for (document, blocks) in &self.kept.synced {
            if let Found::Here(blocks) = blocks {
                // More than is shown, which does no harm to who only looks things up.
                super::synced::add(&mut needs, Needs::of(&Tree::build(document, blocks)));
            }
        }
        needs
    }

    /// Removes from staging what nobody will take.
    pub(super) async fn discard(self) {
        let (disk, files) = (self.fetcher.disk.clone(), self.files);
        blocking(move || {
            for (_, sealed) in files {
                if let Err(error) = disk.discard(sealed) {
                    tracing::debug!(%error, "a staged file stays until the next start");
                }
            }
        })
        .await;
    }
}
