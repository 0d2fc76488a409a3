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
use crate::model::ObjType;
use crate::model::recorded::Stamp;

use super::fetch::{Fetcher, Setback};
use super::lane::Lane;
use super::pace::Pace;
use super::product::{self, Lost};
use super::ready_times::{ReadyTimes, Task};
use super::tickets::{Order, Ticket, Tickets};
use super::trouble::Trouble;

/// New tasks after the first, where the service says that one may succeed.
const NEW_TASKS: u32 = 2;

/// How long a product lives (docs: drive-v1/export_task/download).
pub(super) const LIFE: Duration = Duration::from_secs(600);

/// How long the reply about a task that may have been created is waited for where the run is
/// ending: without its ticket the task is lost.
const LAST_WORD: Duration = Duration::from_secs(3);

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
    pub(super) tickets: Tickets,
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

/// A task, and since when it has been there.
struct Created<'a> {
    task: &'a Ticket,
    at: Instant,
    /// An earlier run made it.
    is_earlier: bool,
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
    /// It takes longer than it may.
    Slow(Duration),
    For(Setback),
}

impl From<Setback> for Unready {
    fn from(setback: Setback) -> Self {
        Self::For(setback)
    }
}

impl ExportQueue {
    /// `downloads`: products fetched at once. `throttles`: rate limits met so far.
    pub(super) fn new(
        downloads: usize,
        throttles: u64,
        tickets: Tickets,
        times: ReadyTimes,
    ) -> Self {
        Self {
            pace: Mutex::new(Pace::new(throttles)),
            changed: Notify::new(),
            starting: Semaphore::new(downloads.max(1)),
            starters: downloads.max(1),
            times: Mutex::new(times),
            sooner: Notify::new(),
            no_more: AtomicBool::new(false),
            downloads: Lane::new(downloads),
            tickets,
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

    /// Exports an object (or one part of it) into staging; `stamp` is what was seen of it
    /// before. Takes `flight`, else waits for one.
    pub(super) async fn export<'q>(
        &'q self,
        fetcher: &Fetcher,
        order: &Order,
        stamp: &Stamp,
        flight: &mut Option<Flight<'q>>,
    ) -> Result<Sealed, Setback> {
        let mut flight = match flight.take() {
            Some(flight) => flight,
            None => self.admit(fetcher).await?,
        };
        let result = self.run(fetcher, order, stamp, &mut flight).await;
        match &result {
            Err(Setback::Trouble(trouble)) if trouble.failure.retryable => flight.narrow(),
            // A refusal does not come from a service that is too busy.
            Ok(_) | Err(Setback::Trouble(_)) => flight.answered(fetcher),
            Err(_) => {}
        }
        result
    }

    /// Gets what a task of an earlier run made. `None`: nothing is to be had of it, and
    /// `flight` is there for a new one.
    pub(super) async fn resume<'q>(
        &'q self,
        fetcher: &Fetcher,
        task: &Ticket,
        flight: &mut Option<Flight<'q>>,
    ) -> Result<Option<Sealed>, Setback> {
        let mut taken = match flight.take() {
            Some(flight) => flight,
            None => self.admit(fetcher).await?,
        };
        taken.created();
        let age = u64::try_from(fetcher.clock.now_secs() - task.at_secs).unwrap_or(0);
        let now = Instant::now();
        let at = now.checked_sub(Duration::from_secs(age)).unwrap_or(now);
        let created = Created { task, at, is_earlier: true };
        match self.collect(fetcher, &created, &taken).await {
            Ok(sealed) => {
                taken.answered(fetcher);
                Ok(Some(sealed))
            }
            Err(Unready::Again(_) | Unready::Expired(_)) => {
                self.tickets.end(task).await;
                *flight = Some(taken);
                Ok(None)
            }
            Err(Unready::Slow(timeout)) => Err(too_slow(timeout)),
            Err(Unready::For(setback)) => Err(setback),
        }
    }

    async fn run(
        &self,
        fetcher: &Fetcher,
        order: &Order,
        stamp: &Stamp,
        flight: &mut Flight<'_>,
    ) -> Result<Sealed, Setback> {
        let (mut renewed, mut expired) = (0, false);
        loop {
            let task = self.create(fetcher, order, stamp).await?;
            flight.created();
            let created = Created { task: &task, at: Instant::now(), is_earlier: false };
            match self.collect(fetcher, &created, flight).await {
                Ok(sealed) => return Ok(sealed),
                Err(Unready::Again(error)) => {
                    self.tickets.end(&task).await;
                    if renewed == NEW_TASKS {
                        return Err(fetcher.judge(error));
                    }
                    renewed += 1;
                    flight.narrow();
                    fetcher.pause(renewed).await?;
                }
                Err(Unready::Expired(error)) => {
                    self.tickets.end(&task).await;
                    flight.narrow();
                    if expired {
                        return Err(lost(&error));
                    }
                    expired = true;
                }
                Err(Unready::Slow(timeout)) => return Err(too_slow(timeout)),
                Err(Unready::For(setback)) => return Err(setback),
            }
        }
    }

    /// Creates a task, and sees to it that its ticket is not lost.
    async fn create(
        &self,
        fetcher: &Fetcher,
        order: &Order,
        stamp: &Stamp,
    ) -> Result<Ticket, Setback> {
        let sent = AtomicBool::new(false);
        let Order { object, format, part } = order;
        let create = fetcher.client.create_export(object, format.as_str(), part.as_deref(), &sent);
        let mut create = std::pin::pin!(create);
        let reply = match fetcher.unless_quit(create.as_mut()).await {
            Ok(reply) => reply,
            Err(stopped) if !sent.load(Ordering::Relaxed) => return Err(stopped),
            Err(stopped) => match tokio::time::timeout(LAST_WORD, create).await {
                Ok(reply) => reply,
                Err(_) => return Err(stopped),
            },
        };
        let ticket = reply.map_err(|error| fetcher.judge(error))?;
        let now_secs = fetcher.clock.now_secs();
        Ok(self.tickets.add(order.clone(), ticket, stamp, now_secs).await)
    }

    /// Waits for a task's product and fetches it.
    async fn collect(
        &self,
        fetcher: &Fetcher,
        created: &Created<'_>,
        flight: &Flight<'_>,
    ) -> Result<Sealed, Unready> {
        let result = self.fetch(fetcher, created, flight).await;
        // It failed as it stands; the next run makes another.
        if matches!(result, Err(Unready::For(Setback::Trouble(_)))) {
            self.tickets.end(created.task).await;
        }
        result
    }

    async fn fetch(
        &self,
        fetcher: &Fetcher,
        created: &Created<'_>,
        flight: &Flight<'_>,
    ) -> Result<Sealed, Unready> {
        let product = self.ready(fetcher, created, flight).await?;
        let place = fetcher.unless_quit(self.downloads.enter(product.dies)).await?;
        let began = Instant::now();
        if !fetcher.has_room(product.size).await {
            return Err(Setback::Stopped.into());
        }
        let format = created.task.order.format;
        let got = product::download(fetcher, &product.token, product.size, format).await;
        drop((place, product.waiting));
        match got {
            Ok(sealed) => {
                self.pace().fetched(began, Instant::now());
                Ok(sealed)
            }
            Err(Lost::Expired(error)) => Err(Unready::Expired(error)),
            Err(Lost::For(setback)) => Err(setback.into()),
        }
    }

    /// Waits for the product.
    async fn ready(
        &self,
        fetcher: &Fetcher,
        created: &Created<'_>,
        flight: &Flight<'_>,
    ) -> Result<Product<'_>, Unready> {
        let order = &created.task.order;
        let kind = (order.object.ty.as_str().to_owned(), order.format);
        let mut task =
            if created.is_earlier { Task::of_earlier_run(kind) } else { self.times().task(kind) };
        let result = self.poll(fetcher, created, flight, &mut task).await;
        if result.is_err() {
            self.times().failed(&task);
        }
        result
    }

    /// Polls until the product is there.
    async fn poll(
        &self,
        fetcher: &Fetcher,
        created: &Created<'_>,
        flight: &Flight<'_>,
        task: &mut Task,
    ) -> Result<Product<'_>, Unready> {
        let object = &created.task.order.object;
        let timeout = fetcher.settings.export_timeout;
        // Each run gives a task all of its time: one that takes long is not begun anew.
        let over = Instant::now() + timeout;
        // When it was not ready for sure.
        let mut unready = created.at;
        loop {
            fetcher.unless_quit(self.due(task, created.at, over)).await?;
            let waiting = Waiting::new(self);
            // What the poll itself waits for its turn is not the export's time.
            let (asked, now) = (created.at.elapsed(), Instant::now());
            let call = fetcher.client.poll_export(&created.task.handle, object);
            let job = match fetcher.unless_quit(call).await? {
                Ok(job) => job,
                Err(error) if is_lost(&error, created) => return Err(Unready::Expired(error)),
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
                    if object.ty == ObjType::Docx && error.is_too_large_to_export() =>
                {
                    return Err(Setback::from(Trouble::fell_back(&error)).into());
                }
                ExportJob::Refused(error) => return Err(fetcher.judge(error).into()),
                ExportJob::Pending if now >= over => {
                    // Not ended: the next run asks for it again.
                    return Err(Unready::Slow(timeout));
                }
                ExportJob::Pending => {
                    unready = created.at + asked;
                    task.unready(asked);
                    flight.answered(fetcher);
                }
            }
        }
    }

    /// Waits until a task is to be polled; at the latest when its time is over.
    async fn due(&self, task: &Task, created: Instant, over: Instant) {
        loop {
            let mut sooner = std::pin::pin!(self.sooner.notified());
            sooner.as_mut().enable();
            let due = (created + self.times().due(task, self.last_ones())).min(over);
            if Instant::now() >= due {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = sooner => {}
            }
        }
    }

    /// True where nobody waits to begin.
    fn last_ones(&self) -> bool {
        self.no_more.load(Ordering::Relaxed) && self.starting.available_permits() > 0
    }

    /// Keeps what was learned for the next run.
    pub(super) async fn keep_times(&self) {
        let times = self.times().known();
        self.tickets.keep_times(times).await;
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn times(&self) -> MutexGuard<'_, ReadyTimes> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True where nothing is to be had of a task any more, or not by us.
fn is_lost(error: &ApiError, created: &Created<'_>) -> bool {
    // Of a ticket from another time the service need not remember more than that it is none,
    // or not ours; the object itself may be as good as any.
    let is_unknown = || !error.class.ends_run() && error.class != Class::Transient;
    error.class == Class::Gone || (created.is_earlier && is_unknown())
}

/// A second product in a row that died: a third would most likely too.
fn lost(why: &dyn std::fmt::Display) -> Setback {
    let mut trouble = Trouble::failed(format!("two exports died before they were fetched: {why}"));
    trouble.failure.hint = Some("run again when the network is faster".to_owned());
    trouble.into()
}

fn too_slow(timeout: Duration) -> Setback {
    let message = format!("the export was not ready after {} s", timeout.as_secs());
    let mut trouble = Trouble::failed(message);
    trouble.failure.hint = Some("run again; raise `limits.export_timeout` if it stays".to_owned());
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
