//! One object's content: from the copy, from before the plan, from a task of an earlier run,
//! or from the service; each format once, whoever wants it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use crate::disk::Sealed;
use crate::feishu::{ApiError, Base, Class};
use crate::model::recorded::Stamp;
use crate::model::{Format, ObjType, Object, PlaceKey};
use crate::plan::{FORCED, Fetch, Want};

use super::early::Came;
use super::export_queue::Flight;
use super::fetch::{
    About, Asked, Copy, Fetcher, Finished, Got, Job, Setback, What, is_export, is_page,
    is_whole_export, keep_if,
};
use super::page::{self, Standing};
use super::sink::{self, blocking};
use super::tickets::{Order, Ticket};
use super::trouble::Trouble;
use super::{comments, download, fallback, parts, tables};

impl Fetcher {
    /// The revision; of a base with what else the same call says.
    async fn revision(&self, object: &Object) -> Result<(Option<i64>, Option<Base>), ApiError> {
        if object.ty == ObjType::Bitable {
            let token = object.token.as_str();
            let base = self.learned.one_by_one(token, self.client.get_base(token)).await?;
            return Ok((base.revision, Some(base)));
        }
        Ok((self.client.get_revision(object).await?, None))
    }

    pub(super) async fn job<'q>(
        &'q self,
        job: Job,
        mut flight: Option<Flight<'q>>,
        results: mpsc::Sender<Finished>,
    ) {
        let Job { fetch, copies, standing, pages: stood } = job;
        let mut came = self.ahead.take(&fetch);
        // What came before needs no service any more. Otherwise, its calls are counted already
        // where it is an export.
        let mut may_ask = came.is_empty();
        let starts = if may_ask {
            self.may_start(u64::from(flight.is_none())).await
        } else {
            !self.interrupt.is_cancelled()
        };
        if !starts {
            return;
        }
        let Fetch { object, url, owner, edited, revision, wants, .. } = fetch;
        let about = About { object, url, owner, revision, edited, base: None };
        let mut about = Asked::new(about);
        let mut have_page: BTreeSet<PlaceKey> =
            wants.iter().filter(|w| w.format == Format::Md).map(|w| w.place.clone()).collect();

        // 1. What the copy already has somewhere else.
        let mut missing = Vec::new();
        for ((want, copy), standing) in wants.into_iter().zip(copies).zip(standing) {
            let copied = match &copy {
                Some(copy) => self.copied(copy).await,
                None => None,
            };
            match (copied, copy) {
                (Some(sealed), Some(copy)) => {
                    // The same content, so also what was seen of it then.
                    let mut stamp = copy.row.stamp;
                    if let Some(edited) = edited {
                        stamp.times.entry(edited.channel).or_insert(edited.at_secs);
                    }
                    let what = What::File { sealed, fetched: false };
                    let about = about.object.clone();
                    let got = Got { about, wants: vec![want], stamp, what };
                    if results.send(Finished { got, _room: None }).await.is_err() {
                        return;
                    }
                }
                _ => missing.push((want, standing)),
            }
        }
        if missing.is_empty() {
            return;
        }

        // 2. Each format once, whoever wants it; exports first, since others wait for a
        //    place in their queue.
        missing.sort_by_key(|(want, _)| !is_export(want.format));
        while let Some((first, _)) = missing.first() {
            let format = first.format;
            let together = |other: Format| other == format || (is_page(format) && is_page(other));
            let (now, rest): (Vec<_>, Vec<_>) =
                missing.into_iter().partition(|(want, _)| together(want.format));
            missing = rest;
            let (wants, standing): (Vec<Want>, Vec<Standing>) = now.into_iter().unzip();
            let got = match came.remove(&format) {
                Some(came) => self.came(came.await.ok(), &mut about).await,
                None => None,
            };
            if got.is_none() && !may_ask {
                may_ask = self.may_start(1).await;
                if !may_ask {
                    return;
                }
            }
            // Exports have a queue of their own. What follows one of them, as a page does that
            // takes its place, gives the queue back and stands in line with all the rest.
            let (mut working, mut room) = (None, None);
            if got.is_none() && !is_export(format) {
                flight = None;
                if is_page(format) {
                    let enter = self.unless_quit(self.pages.clone().acquire_owned()).await;
                    let Ok(enter) = enter else { return };
                    room = Some(enter.expect("never closed"));
                }
                let Ok(turn) = self.turn().await else { return };
                working = Some(turn);
                if !self.may_start(1).await {
                    return;
                }
            }
            let got = match got {
                Some(got) => Some(got),
                None => self.content(&mut about, format, &wants, &standing, &mut flight).await,
            };
            drop(working);
            let Some((what, stamp)) = got else { return };
            if fallback::fell_back(&what) {
                let pages = wants.iter().filter(|want| have_page.insert(want.place.clone()));
                let raw = self.settings.markdown.raw;
                missing.extend(pages.flat_map(|want| {
                    let stood = stood.get(&want.place);
                    fallback::pages_for(want, stood, raw, edited, about.object.revision)
                }));
            }
            let got = Got { about: about.object.clone(), wants, stamp, what };
            if results.send(Finished { got, _room: room }).await.is_err() {
                return;
            }
        }
    }

    /// What was fetched before the plan, where the object is still as it was then.
    async fn came(&self, came: Option<Came>, about: &mut Asked) -> Option<(What, Stamp)> {
        match came?.now(about.object.edited, about.object.revision) {
            Ok((what, stamp, base)) => {
                about.learn(&stamp, base);
                Some((what, stamp))
            }
            Err(unwanted) => {
                sink::discard(&self.disk, unwanted).await;
                None
            }
        }
    }

    /// What a format comes to, and what was seen of the object before. `None`: the run is
    /// ending.
    pub(super) async fn content<'q>(
        &'q self,
        about: &mut Asked,
        format: Format,
        wants: &[Want],
        standing: &[Standing],
        flight: &mut Option<Flight<'q>>,
    ) -> Option<(What, Stamp)> {
        // What an earlier run was about to get.
        let object = about.object.object.clone();
        let order = is_whole_export(format).then_some(Order { object, format, part: None });
        let (edited, revision) = (about.object.edited, about.object.revision);
        if let Some(order) = &order
            && let Some(task) = self.earlier_task(order, wants)
            && let Some(stamp) = task.stamp_now(edited, revision)
        {
            match self.exports.resume(self, &task, flight).await {
                Ok(Some(sealed)) => {
                    about.learn(&stamp, None);
                    return Some((What::File { sealed, fetched: true }, stamp));
                }
                Ok(None) => {}
                Err(Setback::Stopped) => return None,
                Err(setback) => return Some((What::Setback(setback), stamp)),
            }
        }
        // The blocks of a page come with their revision; comments are read again from time to
        // time, and cost one call then.
        if !is_page(format) && format != Format::Comments {
            self.ask_revision(about).await?;
        }
        let stamp = Stamp::of(edited, about.object.revision);
        let what = match self.get(&about.object, format, wants, standing, &stamp, flight).await {
            Ok(what) => {
                self.unreachable.store(0, Ordering::Relaxed);
                what
            }
            Err(Setback::Stopped) => return None,
            Err(setback) => What::Setback(setback),
        };
        let stamp = match &what {
            What::Page(page) => match &page.stamp {
                Some(stamp) => stamp.clone(),
                None => Stamp::of(edited, page.kept.revision),
            },
            _ => stamp,
        };
        Some((what, stamp))
    }

    /// The task of an earlier run that makes just this, if anything made before this run will
    /// do.
    pub(super) fn earlier_task(&self, order: &Order, wants: &[Want]) -> Option<Ticket> {
        let is_forced = wants.iter().any(|want| want.change.reason.as_deref() == Some(FORCED));
        if is_forced { None } else { self.exports.tickets.take(order) }
    }

    /// Asks for the revision, once, before any export begins: an edit made meanwhile is then
    /// found by the next run. `None`: the run is ending.
    pub(super) async fn ask_revision(&self, about: &mut Asked) -> Option<()> {
        if about.asked || !about.object.object.ty.has_revision() {
            return Some(());
        }
        about.asked = true;
        let (revision, base) =
            match self.unless_quit(self.revision(&about.object.object)).await.ok()? {
                Ok(known) => known,
                // Exports have a scope of their own: an app without the one for revisions can
                // be mirrored all the same.
                Err(error) if error.class == Class::Config => (None, None),
                Err(error) => match self.judge(error) {
                    Setback::Stopped => return None,
                    // The edit time decides then.
                    _ => (None, None),
                },
            };
        // Nobody needs to ask for it again.
        about.object = Arc::new(About { revision, base, ..(*about.object).clone() });
        Some(())
    }

    /// A local copy of the same content, if what stands there is still what was recorded.
    pub(super) async fn copied(&self, copy: &Copy) -> Option<Sealed> {
        let (disk, from, want) = (self.disk.clone(), copy.from.clone(), copy.row.blake3);
        blocking(move || match disk.stage_copy(&from) {
            Ok(sealed) => keep_if(&disk, sealed, want),
            Err(_) => None,
        })
        .await
    }

    async fn get<'q>(
        &'q self,
        about: &About,
        format: Format,
        wants: &[Want],
        standing: &[Standing],
        stamp: &Stamp,
        flight: &mut Option<Flight<'q>>,
    ) -> Result<What, Setback> {
        let file = |sealed| What::File { sealed, fetched: true };
        match format {
            Format::File => download::file(self, about).await.map(file),
            Format::Md | Format::Blocks => {
                let page = page::fetch::get(self, about, wants, standing).await?;
                Ok(What::Page(Box::new(page)))
            }
            Format::Json => tables::get(self, about, wants, standing).await.map(What::Tables),
            Format::Comments => comments::get(self, about).await.map(file),
            Format::Csv => parts::get(self, about, wants, stamp, flight).await.map(What::Parts),
            _ if is_whole_export(format) => {
                let order = Order { object: about.object.clone(), format, part: None };
                self.exports.export(self, &order, stamp, flight).await.map(file)
            }
            other => Err(Trouble::failed(format!(
                "{other} is not a format in which {} can be fetched",
                about.object.ty
            ))
            .into()),
        }
    }
}
