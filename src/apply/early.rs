//! Fetching while the walk goes on: what is surely wanted comes into staging and waits there
//! for the plan.
//!
//! Nothing of it is published, or told, before the plan asks for it. Pace and budgets are
//! those of the run's other fetches. Whatever a fetch came to, also a refusal, is kept: a run
//! asks for nothing twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{Fuse, FusedFuture, LocalBoxFuture};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::disk::Sealed;
use crate::feishu::Base;
use crate::model::recorded::Stamp;
use crate::model::{Edited, Format, Object};
use crate::plan::{Errand, Fetch, Want};

use super::export_queue::Flight;
use super::fetch::{About, Asked, Fetcher, Setback, What};
use super::sink;
use super::{Settings, Tools};

/// Errands that may wait. At the official quotas this is a day of exports; what does not fit
/// is left to the plan.
const WAITING: usize = 100_000;

/// All fetches of a run, before and after its plan.
pub struct Fetching {
    pub(super) fetcher: Fetcher,
    pub(super) tools: Tools,
    pub(super) settings: Arc<Settings>,
}

/// Takes errands while the walk goes on.
pub struct Errands {
    exports: mpsc::Sender<Errand>,
    uploads: mpsc::Sender<Errand>,
    /// False: everything waits for the plan.
    open: bool,
}

/// The fetches before the plan, as far as they are under way. They go on only beside
/// something else: see [`Early::beside`].
pub struct Early<'f> {
    driver: Fuse<LocalBoxFuture<'f, ()>>,
}

/// What came before the plan.
pub(super) struct Ahead {
    /// Cancelled when nothing more is begun.
    intake: CancellationToken,
    state: Mutex<State>,
    /// Told when a revision has come.
    answered: Notify,
}

/// A revision that is being asked for.
struct Asking<'a>(&'a Ahead);

#[derive(Default)]
struct State {
    came: HashMap<(Object, Format), oneshot::Receiver<Came>>,
    /// Revisions that the plan would ask for.
    revisions: Vec<(Object, Option<i64>)>,
    /// So many more are being asked for.
    asking: usize,
    /// The plan asks by itself now.
    is_walk_over: bool,
}

/// What a fetch came to, and what was seen of the object before.
#[derive(Debug)]
pub(super) struct Came {
    what: What,
    stamp: Stamp,
    /// With its revision, where that was asked for.
    about: Arc<About>,
}

impl Fetching {
    /// `tools` and `settings` for the whole run.
    pub fn new(tools: &Tools, settings: &Settings) -> Self {
        let settings = Arc::new(settings.clone());
        let fetcher = Fetcher::new(tools, settings.clone());
        Self { fetcher, tools: tools.clone(), settings }
    }

    /// Begins to take errands.
    pub fn early(&self) -> (Errands, Early<'_>) {
        let (exports, export_errands) = mpsc::channel(WAITING);
        let (uploads, upload_errands) = mpsc::channel(WAITING);
        // Where calls are counted the walk comes first: without it nobody can plan. What an
        // early fetch saves is time.
        let open = self.tools.client.calls_left().is_none();
        let driver = self.fetcher.run_errands(export_errands, upload_errands);
        (Errands { exports, uploads, open }, Early { driver: driver.boxed_local().fuse() })
    }

    /// The walk is over: from now on the plan asks its questions itself. Returns the revisions
    /// that were asked for already, those under way included. To be awaited beside the fetches.
    pub async fn walk_is_over(&self) -> Vec<(Object, Option<i64>)> {
        let ahead = &self.fetcher.ahead;
        loop {
            let mut answered = std::pin::pin!(ahead.answered.notified());
            answered.as_mut().enable();
            {
                let mut state = ahead.state();
                state.is_walk_over = true;
                if state.asking == 0 {
                    return std::mem::take(&mut state.revisions);
                }
            }
            answered.await;
        }
    }

    /// Ends everything where there will be no plan. What is being downloaded is kept as far as
    /// it can be gone on with, and so are the tickets of exports.
    pub async fn give_up(&self, mut early: Early<'_>) {
        self.fetcher.quit();
        if !early.driver.is_terminated() {
            (&mut early.driver).await;
        }
        self.fetcher.discard_rest().await;
    }
}

impl Errands {
    /// Something to fetch; may be left to the plan.
    pub fn send(&self, errand: Errand) {
        if !self.open {
            return;
        }
        let line = if errand.formats == [Format::File] { &self.uploads } else { &self.exports };
        // Full, or the run is ending.
        let _ = line.try_send(errand);
    }
}

impl Early<'_> {
    /// Goes on with the fetches until `work` is done.
    pub async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            value = &mut work => return value,
            () = &mut self.driver => {}
        }
        work.await
    }
}

impl Ahead {
    /// `closed`: nothing at all is begun any more.
    pub(super) fn new(closed: &CancellationToken) -> Self {
        Self { intake: closed.child_token(), state: Mutex::default(), answered: Notify::new() }
    }

    /// The plan is there: nothing is begun any more that it does not ask for.
    pub(super) fn close(&self) {
        let _state = self.state();
        self.intake.cancel();
    }

    /// True where something that is asked for came before, or is on its way.
    pub(super) fn has(&self, fetch: &Fetch) -> bool {
        let state = self.state();
        let has = |want: &Want| state.came.contains_key(&(fetch.object.clone(), want.format));
        !state.came.is_empty() && fetch.wants.iter().any(has)
    }

    /// Takes it.
    pub(super) fn take(&self, fetch: &Fetch) -> BTreeMap<Format, oneshot::Receiver<Came>> {
        let mut state = self.state();
        let formats = fetch.wants.iter().map(|want| want.format);
        let came = formats.filter_map(|format| {
            Some((format, state.came.remove(&(fetch.object.clone(), format))?))
        });
        came.collect()
    }

    /// Enters what of an errand nobody has begun yet; each is to be answered. Where its
    /// revision comes first, that is announced too.
    fn begin(&self, errand: &Errand) -> (Vec<(Format, oneshot::Sender<Came>)>, Option<Asking<'_>>) {
        let mut state = self.state();
        if self.intake.is_cancelled() || (errand.unless.is_some() && state.is_walk_over) {
            return (Vec::new(), None);
        }
        let mut begun = Vec::new();
        for format in &errand.formats {
            let key = (errand.object.clone(), *format);
            if let std::collections::hash_map::Entry::Vacant(entry) = state.came.entry(key) {
                let (sender, receiver) = oneshot::channel();
                entry.insert(receiver);
                begun.push((*format, sender));
            }
        }
        let asks = errand.unless.is_some() && !begun.is_empty();
        state.asking += usize::from(asks);
        // Made only where it is wanted: dropping one takes the lock.
        (begun, asks.then(|| Asking(self)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.state().asking -= 1;
        self.0.answered.notify_waiters();
    }
}

impl Came {
    /// What it is worth now that the plan has seen the object like this; otherwise a file that
    /// nobody wants.
    pub(super) fn now(
        self,
        edited: Option<Edited>,
        revision: Option<i64>,
    ) -> Result<(What, Stamp, Option<Base>), Option<Sealed>> {
        match (self.stamp.renewed(edited, revision), self.what) {
            (Some(stamp), what) => Ok((what, stamp, self.about.base.clone())),
            (None, What::File { sealed, .. }) => Err(Some(sealed)),
            (None, _) => Err(None),
        }
    }
}

impl Fetcher {
    /// Runs errands until there are no more, or the plan is there.
    async fn run_errands(&self, exports: mpsc::Receiver<Errand>, uploads: mpsc::Receiver<Errand>) {
        let width = self.settings.concurrency.max(1);
        let intake = &self.ahead.intake;
        let uploads = all(uploads)
            .take_until(intake.clone().cancelled_owned())
            .for_each_concurrent(width, |errand| self.errand(errand, None));
        let exports = all(exports)
            .then(|errand| async move { (errand, self.exports.admit(self).await) })
            .take_until(intake.clone().cancelled_owned())
            .for_each_concurrent(None, |(errand, flight)| async move {
                if let Ok(flight) = flight {
                    self.errand(errand, Some(flight)).await;
                }
            });
        tokio::join!(uploads, exports);
    }

    async fn errand<'q>(&'q self, errand: Errand, mut flight: Option<Flight<'q>>) {
        let (begun, asking) = self.ahead.begin(&errand);
        if begun.is_empty() || !self.may_start(u64::from(flight.is_none())).await {
            return;
        }
        let Errand { object, edited, unless, .. } = errand;
        let edited = Some(edited);
        let about = About { object, url: None, owner: None, revision: None, edited, base: None };
        let mut about = Asked::new(about);
        if unless.is_some() {
            if self.ask_revision(&mut about).await.is_none() {
                return;
            }
            let About { object, revision, .. } = &*about.object;
            self.ahead.state().revisions.push((object.clone(), *revision));
            if *revision == unless {
                return;
            }
        }
        drop(asking);
        for (format, answer) in begun {
            let mut working = None;
            if format == Format::File {
                let Ok(turn) = self.turn().await else { return };
                working = Some(turn);
            }
            let got = self.content(&mut about, format, &[], &[], &mut flight).await;
            drop(working);
            let Some((what, stamp)) = got else { return };
            if matches!(what, What::Setback(Setback::Disk(_))) {
                // A disk that is full stays so; what it means is told after the plan.
                self.ahead.close();
            }
            self.progress.ahead(1);
            // Nobody takes it back before the end of the run.
            let _ = answer.send(Came { what, stamp, about: about.object.clone() });
        }
    }

    /// Removes what came and was not wanted.
    pub(super) async fn discard_rest(&self) {
        self.ahead.close();
        let rest = std::mem::take(&mut self.ahead.state().came);
        let files = rest.into_values().filter_map(|mut came| match came.try_recv() {
            Ok(Came { what: What::File { sealed, .. }, .. }) => Some(sealed),
            _ => None,
        });
        let files: Vec<Sealed> = files.collect();
        if !files.is_empty() {
            tracing::debug!(files = files.len(), "fetched before the plan and not wanted by it");
        }
        sink::discard(&self.disk, files).await;
    }
}

fn all(errands: mpsc::Receiver<Errand>) -> impl Stream<Item = Errand> {
    stream::unfold(errands, |mut errands| async move {
        let errand = errands.recv().await?;
        Some((errand, errands))
    })
}
