//! Getting content into staging: one job an object, several at once, each ending in a
//! [`Got`] that goes to the publisher.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::disk::{Disk, DiskError, Sealed};
use crate::feishu::{ApiError, Base, Class, Client};
use crate::model::change::Failure;
use crate::model::recorded::{Loc, ProductRow, Stamp};
use crate::model::{ContentHash, Edited, Format, ObjType, Object, PlaceKey};
use crate::plan::{FORCED, Fetch, Want};
use crate::progress::Progress;

use super::export_queue::{ExportQueue, Flight, LIFE};
use super::fallback::Stood;
use super::page::{self, Page, Standing};
use super::parts::{self, Parts};
use super::ready_times::ReadyTimes;
use super::sink::blocking;
use super::tables::{self, Tables};
use super::tickets::{Order, Ticket, Tickets};
use super::trouble::{Halt, Trouble};
use super::{Settings, Stop, Tools, comments, download, fallback};

/// Objects in a row that could not be reached before the run gives up.
const UNREACHABLE: u32 = 3;

/// What all fetches share.
pub(super) struct Fetcher {
    pub(super) client: Client,
    pub(super) disk: Arc<Disk>,
    pub(super) settings: Arc<Settings>,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) exports: ExportQueue,
    /// `concurrency` of everything that is no export, whether or not one came before it.
    working: Semaphore,
    /// Pages in memory: as many as are fetched at once, and as many that wait for the
    /// publisher. Their blocks are the only content that is not on disk meanwhile.
    pages: Arc<Semaphore>,
    pub(super) clock: Clock,
    /// What pages learn once a run.
    pub(super) learned: page::Learned,
    /// The scope for comments is missing: every document would say so.
    pub(super) no_comments: OnceLock<Trouble>,
    /// Cancelled when what is in flight is to be dropped.
    quit: CancellationToken,
    /// Cancelled when nothing new is to be started.
    closed: CancellationToken,
    /// The first reason to stop.
    stop: Mutex<Option<Stop>>,
    unreachable: AtomicU32,
    /// Calls for bytes inside of pages, bases and uploads that are being made.
    asking: AtomicU64,
}

/// A call for bytes that is being made: see [`Fetcher::may_download`].
pub(super) struct Asking<'a>(&'a AtomicU64);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why content did not come.
#[derive(Debug)]
pub(super) enum Setback {
    /// The run is ending; nothing is known about the object.
    Stopped,
    /// Larger than `max_size`.
    TooLarge(u64),
    /// It failed, was refused, or cannot be had.
    Trouble(Trouble),
    /// Staging cannot be written.
    Disk(DiskError),
}

impl From<Trouble> for Setback {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<DiskError> for Setback {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// What is known about an object besides its content.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) object: Object,
    pub(super) url: Option<String>,
    /// Its owner's `open_id`.
    pub(super) owner: Option<String>,
    /// The revision that this run saw, where it asked before.
    pub(super) revision: Option<i64>,
    pub(super) edited: Option<Edited>,
    /// A base, where it was asked for its revision.
    pub(super) base: Option<Base>,
}

/// An object whose revision may have been asked for.
struct Asked {
    object: Arc<About>,
    asked: bool,
}

/// A copy that serves instead of a fetch.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    pub(super) from: Loc,
    pub(super) row: ProductRow,
}

/// One object's work, with what the manifest says about its copies.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) fetch: Fetch,
    /// As long as `fetch.wants`.
    pub(super) copies: Vec<Option<Copy>>,
    /// As long as `fetch.wants`.
    pub(super) standing: Vec<Standing>,
    /// What stands for exports that were refused before.
    pub(super) pages: BTreeMap<PlaceKey, Stood>,
}

/// What came of one format.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) about: Arc<About>,
    pub(super) wants: Vec<Want>,
    /// What was seen before the fetch began.
    pub(super) stamp: Stamp,
    pub(super) what: What,
}

/// What goes to the publisher.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) got: Got,
    /// A page's room in memory, until it is published.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// See [`Got`].
#[derive(Debug)]
pub(super) enum What {
    /// One file; `fetched` tells it from a local copy.
    File { sealed: Sealed, fetched: bool },
    /// The files of a side folder.
    Parts(Parts),
    /// A document as Markdown, with its pictures and files.
    Page(Box<Page>),
    /// A base as JSON, with its attachments.
    Tables(Tables),
    /// Nothing.
    Setback(Setback),
}

impl Job {
    /// True where the service must export something for it.
    fn has_export(&self) -> bool {
        let wants = self.fetch.wants.iter().zip(&self.copies);
        wants.into_iter().any(|(want, copy)| is_export(want.format) && copy.is_none())
    }
}

impl Fetcher {
    pub(super) fn new(tools: &Tools, settings: Arc<Settings>) -> Self {
        let quit = tools.stop.child_token();
        // Nobody waits for a task for longer, nor does its product live longer than that.
        let keep_secs = upto_secs(settings.export_timeout) + upto_secs(LIFE);
        let now_secs = tools.clock.now_secs();
        let (tickets, found) = Tickets::read(&tools.disk, &tools.whose, now_secs, keep_secs);
        if found.damaged {
            tools.progress.warn(
                "part of exports.jsonl in the state folder makes no sense; exports that an \
                 earlier run began may be begun again",
            );
        }
        let times = ReadyTimes::learned(&found.ready);
        let throttles = tools.client.export_throttles();
        let exports = ExportQueue::new(settings.concurrency, throttles, tickets, times);
        Self {
            client: tools.client.clone(),
            disk: tools.disk.clone(),
            progress: tools.progress.clone(),
            exports,
            working: Semaphore::new(settings.concurrency.max(1)),
            pages: Arc::new(Semaphore::new(2 * settings.concurrency.max(1))),
            no_comments: OnceLock::new(),
            settings,
            clock: tools.clock.clone(),
            learned: page::Learned::default(),
            closed: quit.child_token(),
            quit,
            stop: Mutex::new(None),
            unreachable: AtomicU32::new(0),
            asking: AtomicU64::new(0),
        }
    }

    /// Fetches everything, several jobs at a time. Returns early once the run is ending.
    pub(super) async fn run(&self, jobs: Vec<Job>, results: mpsc::Sender<Finished>) {
        let (mut exports, others): (Vec<Job>, Vec<Job>) =
            jobs.into_iter().partition(Job::has_export);
        // What an earlier run had made dies first.
        let tickets = &self.exports.tickets;
        exports.sort_by_key(|job| tickets.oldest(&job.fetch.object).unwrap_or(i64::MAX));
        let width = self.settings.concurrency.max(1);
        let others = stream::iter(others)
            .take_until(self.closed.clone().cancelled_owned())
            .for_each_concurrent(width, |job| self.job(job, None, results.clone()));
        // The queue says how many are under way.
        let end = stream::once(async { self.exports.no_more() }).filter_map(async |()| None);
        let exports = stream::iter(exports)
            .then(|job| async move { (job, self.exports.admit(self).await) })
            .chain(end)
            .take_until(self.closed.clone().cancelled_owned())
            .for_each_concurrent(None, |(job, flight)| {
                let results = results.clone();
                async move {
                    if let Ok(flight) = flight {
                        self.job(job, Some(flight), results).await;
                    }
                }
            });
        tokio::join!(others, exports);
        self.exports.keep_times().await;
    }

    /// Why the fetches ended early, if they did.
    pub(super) fn stopped(&self) -> Option<Stop> {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        stop.take().or_else(|| self.quit.is_cancelled().then_some(Stop::Interrupted))
    }

    /// Ends the run. What is in flight goes on where `gently`.
    pub(super) fn end(&self, stop: Stop, gently: bool) {
        let mut first = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(stop);
        drop(first);
        self.closed.cancel();
        self.exports.no_more();
        if !gently {
            self.quit.cancel();
        }
    }

    /// True where what is in flight is to be dropped, not brought to an end.
    pub(super) fn is_quitting(&self) -> bool {
        self.quit.is_cancelled()
    }

    /// Waits for something unless the run ends first.
    pub(super) async fn unless_quit<T>(&self, work: impl Future<Output = T>) -> Result<T, Setback> {
        tokio::select! {
            biased;
            () = self.quit.cancelled() => Err(Setback::Stopped),
            value = work => Ok(value),
        }
    }

    /// Makes a call. An error that ends the run ends it here.
    pub(super) async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, Setback> {
        self.unless_quit(call).await?.map_err(|error| self.judge(error))
    }

    /// What an error means: for the object, or for the run.
    pub(super) fn judge(&self, error: ApiError) -> Setback {
        match error.class {
            Class::Login => self.end(Stop::Login(error), false),
            Class::Config => self.end(Stop::Fatal(error.to_failure()), false),
            Class::Budget => self.end(Stop::Budget(error.to_failure()), true),
            Class::Unreachable => {
                if self.unreachable.fetch_add(1, Ordering::Relaxed) + 1 >= UNREACHABLE {
                    let hint = "check the network and the proxy, then run again";
                    let message = format!("the API cannot be reached: {error}");
                    self.end(Stop::Fatal(Failure::new(message, hint)), false);
                    return Setback::Stopped;
                }
                return Setback::Trouble(Trouble::of_api(&error));
            }
            _ => return Setback::Trouble(Trouble::of_api(&error)),
        }
        Setback::Stopped
    }

    /// Waits before a further try.
    pub(super) async fn pause(&self, tried: u32) -> Result<(), Setback> {
        let delay = std::time::Duration::from_secs(1 << tried.min(5));
        self.unless_quit(tokio::time::sleep(delay)).await
    }

    /// True where a new job may begin; otherwise the run is ending. `upload`: calls that it
    /// makes besides exports.
    async fn may_start(&self, upload: u64) -> bool {
        if self.closed.is_cancelled() {
            return false;
        }
        self.is_within_budget(upload) && self.has_room(0).await
    }

    /// Where a page, base or upload that was begun may make one more call for bytes: it may
    /// need thousands. To be held until the call was made. `None`: the run is ending.
    pub(super) fn may_download(&self) -> Option<Asking<'_>> {
        // Those that wait for their turn at the service are not counted as made yet.
        let waiting = match self.exports.calls_ahead(0) {
            0 => 0,
            _ => self.asking.load(Ordering::Relaxed),
        };
        if !self.is_within_budget(waiting + 1) {
            return None;
        }
        self.asking.fetch_add(1, Ordering::Relaxed);
        Some(Asking(&self.asking))
    }

    /// True where there are time and so many calls besides those of exports under way;
    /// otherwise the run is ending.
    fn is_within_budget(&self, calls: u64) -> bool {
        if self.settings.deadline.is_some_and(|end| tokio::time::Instant::now() >= end) {
            let message = "the time for this run (`--max-time`) is over";
            self.end(Stop::Budget(Failure::new(message, "run again to go on")), true);
            return false;
        }
        // What is exported and cannot be fetched any more would be lost.
        let ahead = self.exports.calls_ahead(0) + calls;
        if self.client.calls_left().is_some_and(|left| left < ahead) {
            let message = "the calls of this run (`max_calls`) are used up";
            let hint = "run again to go on from here, or raise max_calls";
            self.end(Stop::Budget(Failure::new(message, hint)), true);
            return false;
        }
        true
    }

    /// True where so many bytes more may be written; otherwise the run is ending.
    pub(super) async fn has_room(&self, more: u64) -> bool {
        let disk = self.disk.clone();
        match blocking(move || disk.free_bytes()).await {
            Ok(free) if free < self.settings.min_free.saturating_add(more) => {
                let message = format!(
                    "only {free} bytes are free, less than `mirror.min_free` ({}); \
                     what was finished is kept and recorded",
                    self.settings.min_free
                );
                let hint = "free some space or lower `mirror.min_free`, then run again";
                self.end(Stop::Budget(Failure::new(message, hint)), true);
                false
            }
            Ok(_) => true,
            Err(error) => {
                match Halt::disk(error, &self.settings) {
                    Halt::Stop(stop) => self.end(stop, true),
                    Halt::Store(_) => {}
                }
                false
            }
        }
    }

    /// The revision; of a base with what else the same call says.
    async fn revision(&self, object: &Object) -> Result<(Option<i64>, Option<Base>), ApiError> {
        if object.ty == ObjType::Bitable {
            let token = object.token.as_str();
            let base = self.learned.one_by_one(token, self.client.get_base(token)).await?;
            return Ok((base.revision, Some(base)));
        }
        Ok((self.client.get_revision(object).await?, None))
    }

    async fn job<'q>(
        &'q self,
        job: Job,
        mut flight: Option<Flight<'q>>,
        results: mpsc::Sender<Finished>,
    ) {
        // Its calls are counted already where it is an export.
        if !self.may_start(u64::from(flight.is_none())).await {
            return;
        }
        let Job { fetch, copies, standing, pages: stood } = job;
        let Fetch { object, url, owner, edited, revision, wants, .. } = fetch;
        let about = About { object, url, owner, revision, edited, base: None };
        let mut about = Asked { object: Arc::new(about), asked: revision.is_some() };
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
            // Exports have a queue of their own. What follows one of them, as a page does that
            // takes its place, gives the queue back and stands in line with all the rest.
            let (mut working, mut room) = (None, None);
            if !is_export(format) {
                flight = None;
                if is_page(format) {
                    let enter = self.unless_quit(self.pages.clone().acquire_owned()).await;
                    let Ok(enter) = enter else { return };
                    room = Some(enter.expect("never closed"));
                }
                let turn = self.unless_quit(self.working.acquire()).await;
                let Ok(turn) = turn else { return };
                working = Some(turn.expect("never closed"));
                if !self.may_start(1).await {
                    return;
                }
            }
            let got = self.content(&mut about, format, &wants, &standing, &mut flight).await;
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

    /// What a format comes to, and what was seen of the object before. `None`: the run is
    /// ending.
    async fn content<'q>(
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
                Ok(Some(sealed)) => return Some((What::File { sealed, fetched: true }, stamp)),
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
    async fn ask_revision(&self, about: &mut Asked) -> Option<()> {
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

/// True for what the service makes a file of, in a task.
fn is_export(format: Format) -> bool {
    is_whole_export(format) || format == Format::Csv
}

/// The same for what is one file.
fn is_whole_export(format: Format) -> bool {
    matches!(format, Format::Docx | Format::Pdf | Format::Xlsx | Format::Pptx)
}

fn upto_secs(length: std::time::Duration) -> i64 {
    i64::try_from(length.as_secs()).unwrap_or(i64::MAX / 4)
}

/// True for what is made of a document's blocks.
pub(super) fn is_page(format: Format) -> bool {
    matches!(format, Format::Md | Format::Blocks)
}

/// Hands a staged file back if it has the wanted content, else discards it.
pub(super) fn keep_if(disk: &Disk, sealed: Sealed, want: ContentHash) -> Option<Sealed> {
    if sealed.blake3 == want {
        return Some(sealed);
    }
    if let Err(error) = disk.discard(sealed) {
        tracing::debug!(%error, "a staged file stays until the next start");
    }
    None
}

/// True for types of which the service's refusal is expected: a link stands in.
pub(super) fn has_stand_in(ty: &ObjType) -> bool {
    matches!(ty, ObjType::Mindnote | ObjType::Slides)
}
