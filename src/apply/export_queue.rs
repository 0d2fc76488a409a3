//! Exports: create a task, poll it, download its product; many at once.
//!
//! Each of the three calls may be made 100 times a minute (docs: drive-v1/export_task),
//! and an export takes seconds to minutes. So that the tasks' quota is all that binds,
//! the three overlap: nobody holds a connection or a place among the downloads while it
//! waits for its product. `pace` says how many may be under way, `ready_times` when to
//! ask for one, and `lane` lets the product that dies first be fetched first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::disk::Sealed;
use crate::feishu::{ApiError, Class, ExportJob};
use crate::model::{Format, ObjType, Object};

use super::fetch::{Fetcher, Setback};
use super::lane::Lane;
use super::pace::Pace;
use super::product::{self, Lost};
use super::ready_times::{Kind, ReadyTimes, Task};
use super::trouble::Trouble;

/// New tasks after the first, where the service says that one may succeed.
const NEW_TASKS: u32 = 2;

/// How long a product lives (docs: drive-v1/export_task/download).
const LIFE: Duration = Duration::from_secs(600);

/// All exports of a run.
pub(super) struct ExportQueue {
    pace: Mutex<Pace>,
    /// Told whenever one more may begin.
    changed: Notify,
    /// Those about to create their task: more would only stand in line for the quota,
    /// and grow old there with what they know of their object.
    starting: Semaphore,
    starters: usize,
    times: Mutex<ReadyTimes>,
    /// Told where polls may be due earlier than they were.
    sooner: Notify,
    /// No more objects follow.
    no_more: AtomicBool,
    downloads: Lane,
}

/// The right to one export under way.
pub(super) struct Flight<'q> {
    queue: &'q ExportQueue,
    /// Until the task is created.
    starting: Option<SemaphorePermit<'q>>,
    began: Instant,
}

/// Marks an export that waits for a poll or a download.
struct Waiting<'q>(&'q ExportQueue);

/// One thing to export.
struct Order<'a> {
    object: &'a Object,
    format: Format,
    part: Option<&'a str>,
    kind: Kind,
}

/// A product that waits to be fetched.
struct Product<'q> {
    token: String,
    size: u64,
    /// It lives at least so long.
    dies: Instant,
    waiting: Waiting<'q>,
}

/// What polling a task came to, besides its product.
enum Unready {
    /// It failed; a new one may succeed.
    Again(ApiError),
    /// Ticket or product are gone already.
    Expired(ApiError),
    For(Setback),
}

impl From<Setback> for Unready {
    fn from(setback: Setback) -> Self {
        Self::For(setback)
    }
}

impl ExportQueue {
    /// `downloads`: products fetched at once. `throttles`: rate limits met so far.
    pub(super) fn new(downloads: usize, throttles: u64) -> Self {
        Self {
            pace: Mutex::new(Pace::new(throttles)),
            changed: Notify::new(),
            starting: Semaphore::new(downloads.max(1)),
            starters: downloads.max(1),
            times: Mutex::default(),
            sooner: Notify::new(),
            no_more: AtomicBool::new(false),
            downloads: Lane::new(downloads),
        }
    }

    /// Waits until one more export may be under way.
    pub(super) async fn admit(&self, fetcher: &Fetcher) -> Result<Flight<'_>, Setback> {
        let starting = fetcher.unless_quit(self.starting.acquire()).await?;
        let starting = Some(starting.expect("never closed"));
        loop {
            // Before looking, so that no change falls in between.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            // Where the run's calls come to their end, one at a time uses them to the last.
            let left = fetcher.client.calls_left().unwrap_or(u64::MAX);
            let alone = self.pace().under_way() == 0;
            if (alone || self.calls_ahead(1) <= left) && self.pace().begin(Instant::now()) {
                return Ok(Flight { queue: self, starting, began: Instant::now() });
            }
            fetcher.unless_quit(changed).await?;
        }
    }

    /// Calls that the exports under way, and so many `more`, are still going to make: a
    /// task and perhaps a revision, a poll and most often no second one, a download.
    pub(super) fn calls_ahead(&self, more: usize) -> u64 {
        let starting = self.starters - self.starting.available_permits();
        let under_way = self.pace().under_way() + more;
        let calls = (3 * under_way).saturating_sub(1) + (2 * starting).saturating_sub(1);
        u64::try_from(calls).unwrap_or(u64::MAX)
    }

    /// Tells that no more objects follow: what is under way need soon not share the polls
    /// with anything.
    pub(super) fn no_more(&self) {
        self.no_more.store(true, Ordering::Relaxed);
        self.sooner.notify_waiters();
    }

    /// Exports an object (or one part of it) into staging. Takes `flight`, else waits
    /// for one.
    pub(super) async fn export<'q>(
        &'q self,
        fetcher: &Fetcher,
        object: &Object,
        format: Format,
        part: Option<&str>,
        flight: &mut Option<Flight<'q>>,
    ) -> Result<Sealed, Setback> {
        let mut flight = match flight.take() {
            Some(flight) => flight,
            None => self.admit(fetcher).await?,
        };
        let kind = (object.ty.as_str().to_owned(), format.as_str());
        let order = Order { object, format, part, kind };
        let result = self.run(fetcher, &order, &mut flight).await;
        match &result {
            Err(Setback::Trouble(trouble)) if trouble.failure.retryable => flight.narrow(),
            // A refusal does not come from a service that is too busy.
            Ok(_) | Err(Setback::Trouble(_)) => flight.answered(fetcher),
            Err(_) => {}
        }
        result
    }

    async fn run(
        &self,
        fetcher: &Fetcher,
        order: &Order<'_>,
        flight: &mut Flight<'_>,
    ) -> Result<Sealed, Setback> {
        let (mut renewed, mut expired) = (0, false);
        loop {
            let (object, part) = (order.object, order.part);
            let create = fetcher.client.create_export(object, order.format.as_str(), part);
            let ticket = fetcher.call(create).await?;
            flight.created();
            let product = match self.ready(fetcher, &ticket, order, flight).await {
                Ok(product) => product,
                Err(Unready::Again(error)) => {
                    if renewed == NEW_TASKS {
                        return Err(fetcher.judge(error));
                    }
                    renewed += 1;
                    flight.narrow();
                    fetcher.pause(renewed).await?;
                    continue;
                }
                Err(Unready::Expired(error)) => {
                    flight.narrow();
                    if expired {
                        return Err(lost(&error));
                    }
                    expired = true;
                    continue;
                }
                Err(Unready::For(setback)) => return Err(setback),
            };
            let place = fetcher.unless_quit(self.downloads.enter(product.dies)).await?;
            let began = Instant::now();
            if !fetcher.has_room(product.size).await {
                return Err(Setback::Stopped);
            }
            let got = product::download(fetcher, &product.token, product.size, order.format).await;
            drop((place, product.waiting));
            match got {
                Ok(sealed) => {
                    self.pace().fetched(began, Instant::now());
                    return Ok(sealed);
                }
                Err(Lost::Expired(error)) => {
                    flight.narrow();
                    if expired {
                        return Err(lost(&error));
                    }
                    expired = true;
                }
                Err(Lost::For(setback)) => return Err(setback),
            }
        }
    }

    /// Waits for the product.
    async fn ready(
        &self,
        fetcher: &Fetcher,
        ticket: &str,
        order: &Order<'_>,
        flight: &Flight<'_>,
    ) -> Result<Product<'_>, Unready> {
        let mut task = self.times().task(order.kind.clone());
        let result = self.poll(fetcher, ticket, order, flight, &mut task).await;
        if result.is_err() {
            self.times().failed(&task);
        }
        result
    }

    /// Polls until the product is there.
    async fn poll(
        &self,
        fetcher: &Fetcher,
        ticket: &str,
        order: &Order<'_>,
        flight: &Flight<'_>,
        task: &mut Task,
    ) -> Result<Product<'_>, Unready> {
        let began = Instant::now();
        let timeout = fetcher.settings.export_timeout;
        // When it was not ready for sure.
        let mut unready = began;
        loop {
            fetcher.unless_quit(self.due(task, began, timeout)).await?;
            let waiting = Waiting::new(self);
            // What the poll itself waits for its turn is not the export's time.
            let asked = began.elapsed();
            let call = fetcher.client.poll_export(ticket, order.object);
            let job = match fetcher.unless_quit(call).await? {
                Ok(job) => job,
                Err(error) if error.class == Class::Gone => return Err(Unready::Expired(error)),
                Err(error) => return Err(fetcher.judge(error).into()),
            };
            match job {
                ExportJob::Ready { file_token: token, size } => {
                    let learned = self.times().ready(task, asked);
                    self.pace().was_slow(learned.slow);
                    if learned.is_first {
                        self.sooner.notify_waiters();
                    }
                    return Ok(Product { token, size, dies: unready + LIFE, waiting });
                }
                ExportJob::Again(error) => return Err(Unready::Again(error)),
                // Only a docx can be written otherwise.
                ExportJob::Refused(error)
                    if order.object.ty == ObjType::Docx && error.is_too_large_to_export() =>
                {
                    return Err(Setback::from(Trouble::fell_back(&error)).into());
                }
                ExportJob::Refused(error) => return Err(fetcher.judge(error).into()),
                ExportJob::Pending if asked >= timeout => {
                    let mut trouble = Trouble::failed(format!(
                        "the export was not ready after {} s",
                        timeout.as_secs()
                    ));
                    trouble.failure.hint =
                        Some("run again; raise `limits.export_timeout` if it stays".to_owned());
                    return Err(Setback::from(trouble).into());
                }
                ExportJob::Pending => {
                    unready = began + asked;
                    task.unready(asked);
                    flight.answered(fetcher);
                }
            }
        }
    }

    /// Waits until a task is to be polled; at the latest when its time is over.
    async fn due(&self, task: &Task, began: Instant, timeout: Duration) {
        loop {
            let mut sooner = std::pin::pin!(self.sooner.notified());
            sooner.as_mut().enable();
            let due = self.times().due(task, self.last_ones()).min(timeout);
            if began.elapsed() >= due {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(began + due) => {}
                () = sooner => {}
            }
        }
    }

    /// True where nobody waits to begin.
    fn last_ones(&self) -> bool {
        self.no_more.load(Ordering::Relaxed) && self.starting.available_permits() > 0
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn times(&self) -> MutexGuard<'_, ReadyTimes> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A second product in a row that died: a third would most likely too.
fn lost(why: &dyn std::fmt::Display) -> Setback {
    let mut trouble = Trouble::failed(format!("two exports died before they were fetched: {why}"));
    trouble.failure.hint = Some("run again when the network is faster".to_owned());
    trouble.into()
}

impl Flight<'_> {
    /// The task is there, or will never be: the next one may be created.
    fn created(&mut self) {
        let starting = self.starting.take().map(drop).is_some();
        if starting && self.queue.last_ones() {
            self.queue.sooner.notify_waiters();
        }
    }

    /// The service answered: there may be room for one more.
    fn answered(&self, fetcher: &Fetcher) {
        let (now, throttles) = (Instant::now(), fetcher.client.export_throttles());
        self.queue.pace().answered(self.began, throttles, now);
        self.queue.changed.notify_waiters();
    }

    /// This export shows that there are too many.
    fn narrow(&self) {
        self.queue.pace().narrow(self.began, Instant::now());
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.created();
        self.queue.pace().end();
        self.queue.changed.notify_waiters();
    }
}

impl<'q> Waiting<'q> {
    fn new(queue: &'q ExportQueue) -> Self {
        queue.pace().wait(Instant::now());
        Self(queue)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.pace().go_on();
        self.0.changed.notify_waiters();
    }
}
