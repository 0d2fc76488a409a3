//! Carries a [`Plan`] out: moves, folders, content, links, prunes.
//!
//! Each action stands alone: one that fails is told, remembered where that matters, and
//! left for the next run; the others go on. All renames go through `journal`, which
//! owns the manifest meanwhile. Content is fetched by `fetch` while what is finished
//! is published.

mod assets;
mod comments;
mod content;
mod download;
mod early;
mod export_queue;
mod fallback;
mod fetch;
mod file_kind;
mod folders;
mod jobs;
mod journal;
mod lane;
mod links;
mod media;
mod moves;
mod pace;
mod page;
mod parts;
mod product;
mod prune;
mod publish;
mod ready_times;
mod settle;
mod signature;
mod sink;
mod tables;
mod tickets;
mod trouble;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::disk::{Disk, DiskError};
use crate::feishu::{ApiError, Client};
use crate::model::change::{Failure, Rank, Tally};
use crate::model::local::LocalEntry;
use crate::model::recorded::{Loc, PlaceRow, Recorded};
use crate::model::{ContentHash, Format, PlaceKey, PlaceToken};
use crate::plan::{Fetch, Plan, Prune, Relocation};
use crate::progress::Progress;
use crate::rules::Markdown;
use crate::store::{Act, Intent, RowChange, Store, StoreError};

pub use early::{Early, Errands, Fetching};

use fetch::{Fetcher, Finished};
use journal::{BATCH, Journal};
use sink::blocking;
use trouble::Halt;

/// What `apply` works with.
#[derive(Clone)]
#[expect(missing_docs)]
pub struct Tools {
    pub client: Client,
    pub disk: Arc<Disk>,
    pub store: Arc<Store>,
    pub progress: Arc<dyn Progress>,
    pub clock: Clock,
    /// Names the identity that calls: only it may ask for an export that it began.
    pub whose: String,
    /// Ctrl-C.
    pub stop: CancellationToken,
}

/// What the config and the flags say about applying.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names the run, its trash and its log.
    pub run_id: String,
    /// Fetches in flight, besides exports that are not ready.
    pub concurrency: usize,
    /// `limits.export_timeout`.
    pub export_timeout: Duration,
    /// `filter.max_size`.
    pub max_size: Option<u64>,
    /// Stop before less than this is free.
    pub min_free: u64,
    /// `--adopt`.
    pub adopt: bool,
    /// `--max-time`: nothing new is started after this moment.
    pub deadline: Option<tokio::time::Instant>,
    /// `limits.retries`, for downloads cut in the middle.
    pub retries: u32,
    /// `[export.md]`.
    pub markdown: Markdown,
    /// `filter.allow_forbidden`: places that may not be read do not make a run partial.
    pub allow_forbidden: bool,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Report {
    /// Places by what happened to them (those with a change).
    pub tally: Tally,
    /// Bytes fetched.
    pub bytes: u64,
    /// True where something wanted has no current copy (exit 2).
    pub partial: bool,
    /// Why it stopped before the end, if it did.
    pub stopped: Option<Stop>,
    /// True where what the plan says of the sources is recorded: when they were walked.
    pub walks_recorded: bool,
    /// Things to say at the end.
    pub warnings: Vec<String>,
}

/// Why a run stopped early; what was done is recorded.
#[derive(Debug)]
pub enum Stop {
    /// Ctrl-C: exit 130.
    Interrupted,
    /// A budget or `min_free`: exit 2.
    Budget(Failure),
    /// Log in again: exit 4.
    Login(ApiError),
    /// Nothing more can be done: exit 1.
    Fatal(Failure),
}

/// Carries the plan out, which was made of these rows; true: the manifest has others, too.
/// What `early` fetched serves where the plan wants it.
///
/// # Errors
/// Only where the manifest cannot be written. Whatever else ends the run early is in
/// [`Report::stopped`].
pub async fn apply(
    plan: Plan,
    rows: (Recorded, bool),
    fetching: &Fetching,
    mut early: Early<'_>,
) -> Result<Report, StoreError> {
    let Fetching { fetcher, tools, settings } = fetching;
    fetcher.ahead.close();
    let work = Box::pin(carry_out(plan, rows, fetcher, tools, settings));
    let report = early.beside(work).await;
    drop(early);
    fetcher.discard_rest().await;
    report
}

async fn carry_out(
    plan: Plan,
    (recorded, left_out): (Recorded, bool),
    fetcher: &Fetcher,
    tools: &Tools,
    settings: &Arc<Settings>,
) -> Result<Report, StoreError> {
    let Tools { disk, store, progress, clock, .. } = tools.clone();
    let mut journal = Journal::new(disk, store, progress, clock, settings.clone(), recorded);
    journal.left_out = left_out;
    for skip in &plan.skips {
        journal.report.tally.count(skip.change.place(), Rank::Skipped);
    }
    for place in &plan.unchanged {
        journal.report.tally.count(place.clone(), Rank::Unchanged);
    }
    // What did not come before is linked once it is there.
    let lacks = |key: &PlaceKey, format| journal.row(key).is_some_and(|row| row.lacks(format));
    let hoped = plan.wants().filter(|want| !lacks(&want.place, want.format));
    let wants = hoped.map(|want| (want.place.clone(), want.format));
    let urls = plan.urls.iter().map(|url| (url.place.clone(), Format::Url));
    let links = plan.links.iter().map(|link| (link.place.clone(), Format::Link));
    let pending: BTreeSet<(PlaceKey, Format)> = wants.chain(urls).chain(links).collect();
    journal.pending = pending;
    journal.stale.clone_from(&plan.stale);
    let gate = Gate { stop: tools.stop.clone(), deadline: settings.deadline };
    let Plan {
        records,
        forget,
        asides,
        moves,
        folders,
        fetches,
        rewrites,
        touches,
        urls,
        links,
        prunes,
        sources,
        ..
    } = plan;

    // Names and folders first: content goes to where they then are. They need no service, so
    // a run whose time is over does this much, and publishes what came before.
    let closed = gate.clone();
    let relocations: Vec<Relocation> = asides.into_iter().chain(moves).collect();
    let (journal, result) = on_disk(journal, move |journal| {
        let mut deferred = record_rows(journal, records, &forget)?;
        let cancelled = || closed.stop.is_cancelled();
        moves::relocate_all(journal, relocations, &mut deferred, &cancelled)?;
        moves::record_resolved(journal, &mut deferred)?;
        journal.make_folders(folders, &cancelled)
    })
    .await;
    if let Err(halt) = result {
        return finish(journal, Err(halt)).await;
    }
    if gate.stop.is_cancelled() {
        return finish(journal, Err(gate.why())).await;
    }

    let (journal, result) = content(journal, fetcher, fetches).await;
    if let Err(halt) = result {
        return finish(journal, Err(halt)).await;
    }
    let stopped = fetcher.stopped();

    // What needs no service is done whatever ended the fetches: places have moved, and
    // links that still point to where they were would dangle until the next run. What
    // would be concluded from a whole run (prunes, a full walk) is not done.
    let whole = stopped.is_none();
    let goes_on = !matches!(stopped, Some(Stop::Interrupted));
    let in_order = matches!(stopped, None | Some(Stop::Budget(_)));
    let (dangling, prunes): (Vec<_>, Vec<_>) = prunes.into_iter().partition(prune::is_of_links);
    let closed = gate.clone();
    let nothing_left_to_prune = prunes.is_empty() && !gate.stop.is_cancelled();
    let (journal, result) = on_disk(journal, move |journal| {
        if !goes_on {
            return Ok(());
        }
        let cancelled = || closed.stop.is_cancelled();
        journal.touch_all(touches, &cancelled)?;
        journal.make_urls(urls, &cancelled)?;
        journal.make_links(links, &cancelled)?;
        journal.prune_all(dangling, &cancelled)?;
        // What was not made by now does not come.
        journal.pending.retain(|(_, format)| !matches!(format, Format::Url | Format::Link));
        if whole && !closed.is_closed() {
            journal.prune_all(prunes, &|| closed.is_closed())?;
        }
        // Once everything else has its place.
        journal.rewrite_pages(rewrites, &cancelled)?;
        if journal.changed {
            journal.sweep_kept();
        }
        // A walk is a walk, whatever a budget left to be fetched: that is asked for again
        // without one. What was to be removed would have to be found out again.
        if (whole && !closed.is_closed()) || (in_order && nothing_left_to_prune) {
            let rows = sources.into_iter().map(|(name, source)| RowChange::Source { name, source });
            journal.record(&rows.collect::<Vec<_>>())?;
            journal.report.walks_recorded = true;
        }
        Ok(())
    })
    .await;
    let result = result.and(match stopped {
        Some(stop) => Err(Halt::Stop(stop)),
        None if gate.is_closed() => Err(gate.why()),
        None => Ok(()),
    });
    finish(journal, result).await
}

/// What [`prune()`] works with: as [`Tools`], without a service.
#[derive(Clone)]
#[expect(missing_docs)]
pub struct Removers {
    pub disk: Arc<Disk>,
    pub store: Arc<Store>,
    pub progress: Arc<dyn Progress>,
    pub clock: Clock,
    /// Ctrl-C.
    pub stop: CancellationToken,
}

/// Removes copies, and nothing else.
///
/// # Errors
/// As [`apply`].
pub async fn prune(
    prunes: Vec<Prune>,
    recorded: Recorded,
    tools: &Removers,
    settings: &Settings,
) -> Result<Report, StoreError> {
    let settings = Arc::new(settings.clone());
    let Removers { disk, store, progress, clock, stop } = tools.clone();
    let journal = Journal::new(disk, store, progress, clock, settings, recorded);
    let gate = Gate { stop, deadline: None };
    let closed = gate.clone();
    let (journal, result) =
        on_disk(journal, move |journal| journal.prune_all(prunes, &|| closed.is_closed())).await;
    let result = result.and(if gate.is_closed() { Err(gate.why()) } else { Ok(()) });
    finish(journal, result).await
}

/// Settles what a crash left open by looking at the disk: returns the row changes that
/// turned out to be true. `sync` records them; `diff` applies them to its own memory.
///
/// # Errors
/// Where the disk cannot be looked at: then nothing may be concluded.
pub fn settle(disk: &Disk, intents: &[(u64, Intent)]) -> Result<Vec<RowChange>, DiskError> {
    settle::settle(disk, intents)
}

/// Kept blocks of pages that are missing or damaged, each with what is wrong. Their bytes
/// are read only where `whole`.
///
/// # Errors
/// Where the state folder cannot be read.
pub fn damaged_blocks(
    disk: &Disk,
    wanted: &BTreeSet<ContentHash>,
    whole: bool,
    cancelled: &dyn Fn() -> bool,
) -> Result<BTreeMap<ContentHash, String>, DiskError> {
    page::kept::damaged(disk, wanted, whole, cancelled)
}

/// Folders in which open intents changed something, up to the top: synced before what
/// [`settle()`] found is recorded. The disk is told of those that have no such name: the
/// trash, the parking, the root.
///
/// # Errors
/// Where the disk cannot be looked at.
pub fn folders_of(disk: &Disk, intents: &[(u64, Intent)]) -> Result<BTreeSet<Loc>, DiskError> {
    let mut folders = BTreeSet::new();
    for (_, intent) in intents {
        let (from, to) = match &intent.act {
            Act::Publish { to, .. } | Act::Link { to, .. } => (None, Some(Loc::Mirror(to.clone()))),
            Act::Move { from, to } => (Some(from.clone()), Some(to.clone())),
            Act::Trash { from, to } => {
                disk.doubt_trash(to);
                (Some(from.clone()), None)
            }
            Act::Remove { from } => (Some(from.clone()), None),
        };
        disk.doubt_rename(from.as_ref(), to.as_ref());
        for (place, is_new) in from.map(|it| (it, false)).into_iter().chain(to.map(|it| (it, true)))
        {
            let mut up = place.parent();
            while let Some(folder) = up {
                up = folder.parent();
                if disk.look(&folder)? == Some(LocalEntry::Dir) {
                    // It may have been made for what came into it.
                    disk.doubt_rename(None, Some(&folder).filter(|_| is_new));
                    folders.insert(folder);
                }
            }
        }
    }
    Ok(folders)
}

/// Whether something new may begin.
#[derive(Clone)]
struct Gate {
    stop: CancellationToken,
    deadline: Option<tokio::time::Instant>,
}

impl Gate {
    fn is_closed(&self) -> bool {
        self.stop.is_cancelled()
            || self.deadline.is_some_and(|end| tokio::time::Instant::now() >= end)
    }

    fn why(&self) -> Halt {
        Halt::Stop(if self.stop.is_cancelled() {
            Stop::Interrupted
        } else {
            Stop::Budget(Failure::new(
                "the time for this run (`--max-time`) is over",
                "run again to go on",
            ))
        })
    }
}

/// Runs a part of the work on a blocking thread, which owns the journal meanwhile.
async fn on_disk<T: Send + 'static>(
    mut journal: Journal,
    work: impl FnOnce(&mut Journal) -> Result<T, Halt> + Send + 'static,
) -> (Journal, Result<T, Halt>) {
    blocking(move || {
        let result = work(&mut journal);
        (journal, result)
    })
    .await
}

/// Writes the rows that come before anything else. Returns those that must wait: their
/// folder comes into being by a move from another source.
fn record_rows(
    journal: &mut Journal,
    records: Vec<(PlaceKey, PlaceRow)>,
    forget: &[PlaceKey],
) -> Result<Vec<(PlaceKey, PlaceRow)>, Halt> {
    let mut changes: Vec<RowChange> =
        forget.iter().map(|key| RowChange::Drop { key: key.clone() }).collect();
    let new: BTreeMap<&PlaceKey, Option<&PlaceToken>> =
        records.iter().map(|(key, row)| (key, row.parent.as_ref())).collect();
    let mut waiting = Vec::new();
    let rooted = |key: &PlaceKey| {
        let (mut key, mut seen) = (key.clone(), HashSet::new());
        // Up the rows of the plan, else those of the manifest, to the top of the source.
        while seen.insert(key.clone()) {
            let parent = match new.get(&key) {
                Some(parent) => parent.cloned(),
                None => match journal.row(&key) {
                    Some(row) => row.parent.clone(),
                    None => return false,
                },
            };
            let Some(token) = parent else { return true };
            key = PlaceKey { source: key.source, token };
        }
        false
    };
    let rooted: Vec<bool> = records.iter().map(|(key, _)| rooted(key)).collect();
    for ((key, row), rooted) in records.into_iter().zip(rooted) {
        if rooted {
            changes.push(RowChange::Put { key, place: Box::new(row) });
        } else {
            waiting.push((key, row));
        }
    }
    for chunk in changes.chunks(BATCH) {
        journal.record(chunk)?;
    }
    Ok(waiting)
}

/// Fetches, and publishes what is finished while the rest is on its way.
async fn content(
    journal: Journal,
    fetcher: &Fetcher,
    fetches: Vec<Fetch>,
) -> (Journal, Result<(), Halt>) {
    let files: u64 = fetches.iter().map(|fetch| fetch.wants.len() as u64).sum();
    if files > 0 {
        fetcher.progress.planned(files);
    }
    let (journal, jobs) = on_disk(journal, move |journal| jobs::jobs(journal, fetches)).await;
    let jobs = match jobs {
        Ok(jobs) => jobs,
        Err(halt) => return (journal, Err(halt)),
    };
    if jobs.is_empty() {
        return (journal, Ok(()));
    }
    let (sender, mut finished) = mpsc::channel(BATCH);
    let publisher = async move {
        let mut journal = journal;
        // A batch is what finished while the one before was committed: small and quick
        // when little comes, large when much does. Nothing waits for a timer.
        while let Some(first) = finished.recv().await {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(next) = finished.try_recv()
            {
                batch.push(next);
            }
            let (back, result) = on_disk(journal, move |journal| {
                for Finished { mut got, _room } in batch {
                    journal.progress.fetched(got.wants.len() as u64);
                    journal.name_pages(&mut got)?;
                    journal.publish(got)?;
                }
                journal.flush()
            })
            .await;
            journal = back;
            if let Err(halt) = result {
                // The reason is handed back here; this only calls off the fetches.
                fetcher.end(Stop::Interrupted, false);
                return (journal, Err(halt));
            }
        }
        (journal, Ok(()))
    };
    let ((), result) = tokio::join!(fetcher.run(jobs, sender), publisher);
    result
}

/// Syncs what is still to be synced and says how it went.
async fn finish(journal: Journal, result: Result<(), Halt>) -> Result<Report, StoreError> {
    let (journal, synced) = on_disk(journal, Journal::close).await;
    let mut report = journal.report;
    report.warnings.extend(journal.notes.sentences());
    match result.and(synced) {
        Ok(()) => {}
        Err(Halt::Store(error)) => return Err(error),
        Err(Halt::Stop(stop)) => {
            report.partial = true;
            report.stopped = Some(stop);
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
