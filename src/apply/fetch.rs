//! Getting content into staging: one job an object, several at once, each ending in a
//! [`Got`] that goes to the publisher.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::disk::{Disk, DiskError, Sealed};
use crate::feishu::{ApiError, Base, Class, Client};
use crate::model::change::Failure;
use crate::model::recorded::{Loc, ProductRow, Stamp};
use crate::model::{ContentHash, Edited, Format, ObjType, Object, PlaceKey};
use crate::plan::{Fetch, Want};
use crate::progress::Progress;

use super::early::Ahead;
use super::export_queue::{ExportQueue, LIFE};
use super::fallback::Stood;
use super::pace::WIDEST;
use super::page::{self, Page, Standing};
use super::parts::Parts;
use super::ready_times::ReadyTimes;
use super::sink::blocking;
use super::tables::Tables;
use super::tickets::Tickets;
use super::trouble::{Halt, Trouble};
use super::{Settings, Stop, Tools};

/// Objects in a row that could not be reached before the run gives up.
const UNREACHABLE: u32 = 3;

/// What all fetches share.
pub(super) struct Fetcher {
    pub(super) client: Client,
    pub(super) disk: Arc<Disk>,
    pub(super) settings: Arc<Settings>,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) exports: ExportQueue,
    /// What came before the plan.
    pub(super) ahead: Ahead,
    /// `concurrency` of everything that is no export, whether or not one came before it.
    pub(super) working: Semaphore,
    /// Pages in memory: as many as are fetched at once, and as many that wait for the
    /// publisher. Their blocks are the only content that is not on disk meanwhile.
    pub(super) pages: Arc<Semaphore>,
    pub(super) clock: Clock,
    /// What pages learn once a run.
    pub(super) learned: page::Learned,
    /// The scope for comments is missing: every document would say so.
    pub(super) no_comments: OnceLock<Trouble>,
    /// Ctrl-C.
    pub(super) interrupt: CancellationToken,
    /// Cancelled when what is in flight is to be dropped.
    quit: CancellationToken,
    /// Cancelled when nothing new is to be started.
    closed: CancellationToken,
    /// The first reason to stop.
    stop: Mutex<Option<Stop>>,
    pub(super) unreachable: AtomicU32,
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
pub(super) struct Asked {
    pub(super) object: Arc<About>,
    pub(super) asked: bool,
}

impl Asked {
    pub(super) fn new(about: About) -> Self {
        let asked = about.revision.is_some();
        Self { object: Arc::new(about), asked }
    }

    /// Takes over what was asked for one format before, for the others. It may be older than
    /// what they come with, never newer.
    pub(super) fn learn(&mut self, stamp: &Stamp, base: Option<Base>) {
        // Of a base its revision alone is not enough.
        let is_known = base.is_some() || self.object.object.ty != ObjType::Bitable;
        if self.object.revision.is_none() && stamp.revision.is_some() && is_known {
            let revision = stamp.revision;
            self.object = Arc::new(About { revision, base, ..(*self.object).clone() });
            self.asked = true;
        }
    }
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
        let closed = quit.child_token();
        Self {
            ahead: Ahead::new(&closed),
            interrupt: tools.stop.clone(),
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
            closed,
            quit,
            stop: Mutex::new(None),
            unreachable: AtomicU32::new(0),
            asking: AtomicU64::new(0),
        }
    }

    /// Fetches everything, several jobs at a time. Returns early once the run is ending.
    pub(super) async fn run(&self, jobs: Vec<Job>, results: mpsc::Sender<Finished>) {
        let (early, jobs): (Vec<Job>, Vec<Job>) =
            jobs.into_iter().partition(|job| self.ahead.has(&job.fetch));
        let (mut exports, others): (Vec<Job>, Vec<Job>) =
            jobs.into_iter().partition(Job::has_export);
        // What an earlier run had made dies first.
        let tickets = &self.exports.tickets;
        exports.sort_by_key(|job| tickets.oldest(&job.fetch.object).unwrap_or(i64::MAX));
        let width = self.settings.concurrency.max(1);
        // What is still under way cannot take all of these places, and holds what it needs.
        let early = stream::iter(early)
            .for_each_concurrent(WIDEST + 2 * width, |job| self.job(job, None, results.clone()));
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
        tokio::join!(early, others, exports);
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

    /// Drops what is in flight, and begins nothing more.
    pub(super) fn quit(&self) {
        self.quit.cancel();
    }

    /// Waits for a place among what is no export.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Setback> {
        let turn = self.unless_quit(self.working.acquire()).await?;
        Ok(turn.expect("never closed"))
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
    pub(super) async fn may_start(&self, upload: u64) -> bool {
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
}

/// True for what the service makes a file of, in a task.
pub(super) fn is_export(format: Format) -> bool {
    is_whole_export(format) || format == Format::Csv
}

/// The same for what is one file.
pub(super) fn is_whole_export(format: Format) -> bool {
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
