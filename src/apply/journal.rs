//! The one owner of the manifest while a plan is carried out: every rename goes
//! through here, as intent, rename, fsync, record.
//!
//! [`Journal::current`] is the manifest in memory. It changes only together with the
//! store, and every location is derived from it at the moment of use: where a folder's
//! move was blocked, all that hangs below it is still found where it really stands.
//!
//! A batch holds at most one step a row and none that touches another's path, so that
//! each step's row is right whichever of its neighbours fail, and so that `settle` may
//! judge each intent by itself after a crash. Files of a side folder are many to a row:
//! their steps may share a batch, because each names only its own product
//! ([`RowChange::Product`]) and says nothing of the rest of the row.
//!
//! Everything here blocks; callers run it on a blocking thread.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use crate::clock::Clock;
use crate::disk::{Disk, DiskError, Sealed};
use crate::layout::Atlas;
use crate::model::change::{Change, ChangeKind, Event, Rank};
use crate::model::local::LocalEntry;
use crate::model::recorded::{Loc, PlaceRow, ProductRow, Recorded, Slot};
use crate::model::{ContentHash, Format, PlaceKey, PlaceToken, RelPath, SourceName};
use crate::progress::Progress;
use crate::store::{Act, Intent, RowChange, Store, apply_changes};

use super::page::Notes;
use super::trouble::{Halt, Trouble};
use super::{Report, Settings};

/// Most intents in one transaction.
pub(super) const BATCH: usize = 256;

/// mtimes closer than this are the same: some file systems keep two seconds.
pub(super) const MTIME_TOLERANCE_SECS: u64 = 2;

/// What happens to something on disk.
#[derive(Debug)]
pub(super) enum Op {
    /// A dressed staged file over our own `to`, or where it is `fresh` onto nothing.
    Publish { sealed: Sealed, to: RelPath, fresh: bool },
    /// A rename onto nothing.
    Move { from: Loc, to: Loc },
    /// Into the trash.
    Trash { from: Loc, to: String },
    /// A removal of a file or symlink.
    Remove { from: Loc },
    /// A symlink, made or replaced.
    Link { to: RelPath, text: String },
}

impl Op {
    fn act(&self) -> Act {
        match self {
            Self::Publish { sealed, to, .. } => {
                Act::Publish { to: to.clone(), size: sealed.size, blake3: sealed.blake3 }
            }
            Self::Move { from, to } => Act::Move { from: from.clone(), to: to.clone() },
            Self::Trash { from, to } => Act::Trash { from: from.clone(), to: to.clone() },
            Self::Remove { from } => Act::Remove { from: from.clone() },
            Self::Link { to, text } => Act::Link { to: to.clone(), text: text.clone() },
        }
    }

    /// The paths whose meaning it changes.
    fn paths(&self) -> Vec<Loc> {
        match self {
            Self::Publish { to, .. } | Self::Link { to, .. } => vec![Loc::Mirror(to.clone())],
            Self::Move { from, to } => vec![from.clone(), to.clone()],
            Self::Trash { from, .. } | Self::Remove { from } => vec![from.clone()],
        }
    }

    fn perform(&self, disk: &Disk) -> Performed {
        let result = match self {
            Self::Publish { sealed, to, fresh: false } => disk.publish(sealed, to),
            Self::Publish { sealed, to, fresh: true } => disk.publish_new(sealed, to),
            Self::Move { from, to } => disk.rename(from, to),
            Self::Trash { from, to } => disk.trash(from, to),
            Self::Remove { from } => disk.remove(from),
            Self::Link { to, text } => match disk.link(text, to) {
                Ok(true) => Ok(()),
                Ok(false) => return Performed::NoSymlinks,
                Err(error) => Err(error),
            },
        };
        result.map_or_else(Performed::Failed, |()| Performed::Done)
    }
}

/// How one step went.
#[derive(Debug)]
pub(super) enum Performed {
    /// Done, and recorded.
    Done,
    /// The file system has no symlinks.
    NoSymlinks,
    /// Nothing happened.
    Failed(DiskError),
    /// Not tried, because an earlier step ended the run.
    NotTried,
}

/// One thing to do, with what is true and what is told afterwards.
#[derive(Debug)]
pub(super) struct Step {
    /// The row it is about.
    pub key: PlaceKey,
    /// On disk; `None` where only the row changes.
    pub op: Option<Op>,
    /// In the manifest.
    pub then: Vec<RowChange>,
    /// What is told when it is recorded.
    pub done: Vec<Event>,
    /// What is told to have failed when the disk refuses.
    pub wants: Vec<Failing>,
}

/// A change that fails if its step does.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    /// As planned.
    pub change: Change,
    /// The outcome to remember, where it is a format of an object.
    pub note: Option<super::trouble::Note>,
}

/// See the module's text.
pub(super) struct Journal {
    pub(super) disk: Arc<Disk>,
    pub(super) store: Arc<Store>,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) clock: Clock,
    pub(super) settings: Arc<Settings>,
    pub(super) report: Report,
    current: Recorded,
    /// The manifest has rows besides those.
    pub(super) left_out: bool,
    /// Rows by the folder they stand in, to find who owns a name.
    children: HashMap<(SourceName, Option<PlaceToken>), BTreeSet<PlaceKey>>,
    /// Rows with a slot elsewhere.
    astray: BTreeSet<PlaceKey>,
    batch: Vec<Step>,
    keys: HashSet<PlaceKey>,
    /// Those of `keys` of which the batch holds only steps that add a product.
    adding: HashSet<PlaceKey>,
    paths: HashSet<Loc>,
    /// Folders with new entries that are not fsynced yet.
    dirty: BTreeSet<Loc>,
    /// Folders seen to be real ones.
    real: HashSet<RelPath>,
    parked: u64,
    /// Where documents stand that pages refer to; made when the first page is written.
    pub(super) atlas: Option<Atlas>,
    /// Files still to come: in this run, or, where a budget ends it, in the next one, for
    /// which links to them stay.
    pub(super) pending: BTreeSet<(PlaceKey, Format)>,
    /// Files that the config no longer asks for.
    pub(super) stale: BTreeSet<(PlaceKey, Format)>,
    /// What pages have notes about.
    pub(super) notes: Notes,
    /// A row changed.
    pub(super) changed: bool,
}

impl Journal {
    pub(super) fn new(
        disk: Arc<Disk>,
        store: Arc<Store>,
        progress: Arc<dyn Progress>,
        clock: Clock,
        settings: Arc<Settings>,
        recorded: Recorded,
    ) -> Self {
        let mut journal = Self {
            disk,
            store,
            progress,
            clock,
            settings,
            report: Report::default(),
            current: recorded,
            left_out: false,
            children: HashMap::new(),
            astray: BTreeSet::new(),
            batch: Vec::new(),
            keys: HashSet::new(),
            adding: HashSet::new(),
            paths: HashSet::new(),
            dirty: BTreeSet::new(),
            real: HashSet::new(),
            parked: 0,
            atlas: None,
            pending: BTreeSet::new(),
            stale: BTreeSet::new(),
            notes: Notes::default(),
            changed: false,
        };
        journal.index();
        journal
    }

    /// The manifest as it is now.
    pub(super) fn current(&self) -> &Recorded {
        &self.current
    }

    pub(super) fn row(&self, key: &PlaceKey) -> Option<&PlaceRow> {
        self.current.places.get(key)
    }

    /// The rows that stand in the folder of a place (`None`: the source's own).
    pub(super) fn children_of(
        &self,
        source: &SourceName,
        parent: Option<&PlaceToken>,
    ) -> impl Iterator<Item = &PlaceKey> {
        self.children.get(&(source.clone(), parent.cloned())).into_iter().flatten()
    }

    /// Rows with a slot that does not stand where its names say.
    pub(super) fn astray(&self) -> impl Iterator<Item = (&PlaceKey, &PlaceRow)> {
        self.astray.iter().filter_map(|key| Some((key, self.current.places.get(key)?)))
    }

    /// Takes in the rows that were left out of the plan, for what nobody planned: a page in
    /// place of an export shows of the copy around it whatever there is.
    pub(super) fn complete(&mut self) -> Result<(), Halt> {
        if mem::take(&mut self.left_out) {
            self.flush()?;
            self.current = self.store.load().map_err(Halt::Store)?;
            self.index();
        }
        Ok(())
    }

    /// Whose slot stands at `name` in a folder, if something of a recorded place does.
    pub(super) fn owner(
        &self,
        source: &SourceName,
        parent: Option<&PlaceToken>,
        at: &Loc,
    ) -> Option<(PlaceKey, Slot)> {
        for (key, row) in self.astray() {
            if let Some((slot, _)) = row.elsewhere.iter().find(|(_, loc)| *loc == at) {
                return Some((key.clone(), *slot));
            }
        }
        let name = match at {
            Loc::Mirror(path) | Loc::Parked(path) => path.name(),
        };
        self.children_of(source, parent).find_map(|key| {
            let row = self.current.places.get(key)?;
            let (slot, _) = row.names.iter().find(|(slot, given)| {
                *given == name && !row.elsewhere.contains_key(slot) && holds(row, **slot)
            })?;
            Some((key.clone(), *slot))
        })
    }

    /// Makes sure that nothing waiting in the batch concerns this row or these paths.
    pub(super) fn ready(&mut self, key: &PlaceKey, paths: &[Loc]) -> Result<(), Halt> {
        let busy = self.keys.contains(key) || paths.iter().any(|path| self.paths.contains(path));
        if busy || self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// The same for a step that only adds a product to the row: others of that kind may
    /// wait.
    pub(super) fn ready_to_add(&mut self, key: &PlaceKey, path: &Loc) -> Result<(), Halt> {
        let busy = self.keys.contains(key) && !self.adding.contains(key);
        let full = self.batch.len() >= BATCH;
        if busy || full || self.paths.contains(path) { self.flush() } else { Ok(()) }
    }

    /// Makes sure that what is to be at this path is there.
    pub(super) fn ready_at(&mut self, path: &Loc) -> Result<(), Halt> {
        if self.paths.contains(path) { self.flush() } else { Ok(()) }
    }

    /// Adds a step. The caller made it after [`Self::ready`] or [`Self::ready_to_add`].
    pub(super) fn push(&mut self, step: Step) -> Result<(), Halt> {
        let paths = step.op.as_ref().map(Op::paths).unwrap_or_default();
        let only_adds = matches!(step.then.as_slice(), [RowChange::Product { .. }]);
        debug_assert!(
            !self.keys.contains(&step.key) || (only_adds && self.adding.contains(&step.key)),
            "two steps for one row in one batch"
        );
        if only_adds {
            self.adding.insert(step.key.clone());
        }
        debug_assert!(!paths.iter().any(|path| self.paths.contains(path)));
        self.keys.insert(step.key.clone());
        self.paths.extend(paths);
        self.batch.push(step);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Does what waits, then this one step; its failure is the caller's to tell.
    pub(super) fn now(&mut self, step: Step) -> Result<Performed, Halt> {
        self.flush()?;
        self.batch.push(step);
        let mut results = self.carry_out()?;
        Ok(results.pop().expect("one step, one result"))
    }

    /// Like [`Self::now`], where no symlink is involved.
    pub(super) fn try_now(&mut self, step: Step) -> Result<Result<(), Trouble>, Halt> {
        match self.now(step)? {
            Performed::Done => Ok(Ok(())),
            Performed::Failed(error) => Ok(Err(Trouble::of_disk(error, &self.settings)?)),
            Performed::NoSymlinks | Performed::NotTried => {
                Ok(Err(Trouble::failed("the operation was not carried out")))
            }
        }
    }

    /// Carries out everything that waits and tells what failed.
    pub(super) fn flush(&mut self) -> Result<(), Halt> {
        self.carry_out().map(drop)
    }

    fn carry_out(&mut self) -> Result<Vec<Performed>, Halt> {
        let batch = mem::take(&mut self.batch);
        self.keys.clear();
        self.adding.clear();
        self.paths.clear();
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        // 1. The intents are durable before anything is renamed: whatever a crash leaves
        //    behind is explained by one of them.
        let intents: Vec<Intent> = batch
            .iter()
            .filter_map(|step| {
                Some(Intent { act: step.op.as_ref()?.act(), then: step.then.clone() })
            })
            .collect();
        let ids = if intents.is_empty() { Vec::new() } else { self.store.intend(&intents)? };

        // 2. The renames, in order. What ends the run ends the batch; the rest of it was
        //    not done, and its intents are closed as such.
        let mut results = Vec::with_capacity(batch.len());
        let mut folders = mem::take(&mut self.dirty);
        let mut ended = None;
        for step in &batch {
            let performed = match &step.op {
                None => Performed::Done,
                Some(_) if ended.is_some() => Performed::NotTried,
                Some(op) => op.perform(&self.disk),
            };
            let performed = match performed {
                Performed::Failed(error) => match Halt::of_disk(error, &self.settings) {
                    Ok(halt) => {
                        ended = Some(halt);
                        Performed::NotTried
                    }
                    Err(error) => Performed::Failed(error),
                },
                other => other,
            };
            if let (Performed::Done, Some(op)) = (&performed, &step.op) {
                folders.extend(op.paths().iter().filter_map(Loc::parent));
            }
            results.push(performed);
        }

        // 3. The folders, once each: a recorded rename must survive a power cut. Where
        //    that fails nothing is recorded, and the next start settles the intents.
        self.disk.sync_folders(&folders).map_err(|error| Halt::disk(error, &self.settings))?;

        // 4. Rows and closed intents in one transaction.
        let (mut changes, mut told, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (step, performed) in batch.into_iter().zip(&results) {
            match performed {
                Performed::Done => {
                    changes.extend(step.then);
                    told.extend(step.done);
                }
                Performed::Failed(error) if !step.wants.is_empty() => {
                    failures.push((step.wants, Trouble::of_disk_ref(error)));
                }
                _ => {}
            }
        }
        if !changes.is_empty() || !ids.is_empty() {
            self.store.record(&changes, &ids)?;
        }
        self.adopt_changes(&changes);
        for event in told {
            self.tell(&event);
        }
        for (wants, trouble) in failures {
            for failing in wants {
                self.fail(&failing, &trouble)?;
            }
        }
        ended.map_or(Ok(results), Err)
    }

    /// Does what waits and fsyncs what no batch did.
    pub(super) fn close(&mut self) -> Result<(), Halt> {
        self.flush()?;
        let folders = mem::take(&mut self.dirty);
        self.disk.sync_folders(&folders).map_err(|error| Halt::disk(error, &self.settings))
    }

    /// Records rows that no rename goes with.
    pub(super) fn record(&mut self, changes: &[RowChange]) -> Result<(), Halt> {
        if changes.is_empty() {
            return Ok(());
        }
        self.store.record(changes, &[])?;
        self.adopt_changes(changes);
        Ok(())
    }

    /// Tells that a change failed and remembers why.
    pub(super) fn fail(&mut self, failing: &Failing, trouble: &Trouble) -> Result<(), Halt> {
        let place = failing.change.place();
        if let Some(note) = &failing.note {
            // It does not come any more.
            self.pending.remove(&(place.clone(), note.format));
        }
        if let Some(note) = &failing.note
            && let Some(row) = self.current.places.get(&place)
        {
            let mut row = row.clone();
            let at_secs = self.clock.now_secs();
            row.outcomes.insert(note.format, trouble.outcome(note.stamp.clone(), at_secs));
            self.record(&[RowChange::Put { key: place, place: Box::new(row) }])?;
        }
        self.report.partial |= trouble.counts(&self.settings);
        self.tell(&Event::Failed {
            change: failing.change.clone(),
            error: trouble.failure.clone(),
        });
        Ok(())
    }

    /// Counts and tells.
    pub(super) fn tell(&mut self, event: &Event) {
        let counted = match event {
            Event::Failed { change, .. } => Some((change, Rank::Failed)),
            Event::Change { change } | Event::Done { change, .. } => {
                Some((change, Rank::from(change.kind)))
            }
            Event::Note { .. } => None,
        };
        if let Some((change, rank)) = counted {
            self.report.tally.count(change.place(), rank);
        }
        self.progress.event(event);
    }

    /// Tells that a planned change turned out to be nothing to do, for good: a late skip.
    pub(super) fn tell_skipped(&mut self, mut change: Change, reason: &str) {
        self.report.tally.count(change.place(), Rank::Skipped);
        change.kind = ChangeKind::Skip;
        change.reason = Some(reason.to_owned());
        self.progress.event(&Event::Done { change, bytes: 0, blake3: None, written: false });
    }

    /// Makes a folder and those above it where they are missing.
    pub(super) fn ensure_dir(&mut self, path: &RelPath) -> Result<(), DiskError> {
        if self.real.contains(path) {
            return Ok(());
        }
        let parent = path.parent();
        if let Some(parent) = &parent {
            self.ensure_dir(parent)?;
        }
        match self.disk.look(&Loc::Mirror(path.clone()))? {
            Some(LocalEntry::Dir) => {}
            Some(other) => {
                return Err(DiskError::Occupied { path: path.to_string(), what: describe(&other) });
            }
            None => {
                self.disk.make_folder(path)?;
                // The next batch fsyncs it before it records anything inside it.
                self.dirty.extend(parent.map(Loc::Mirror));
            }
        }
        self.real.insert(path.clone());
        Ok(())
    }

    /// Forgets which folders are real, after one moved or went.
    pub(super) fn doubt_folders(&mut self) {
        self.real.clear();
    }

    /// A name in the parking place that nobody has.
    pub(super) fn parking(&mut self) -> Loc {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let run: String = self.settings.run_id.chars().map(safe).collect();
        loop {
            self.parked += 1;
            let path = RelPath::new(format!("{run}-{}", self.parked)).expect("one safe component");
            let at = Loc::Parked(path);
            // Where it cannot be looked at, the rename itself refuses what is taken.
            if !matches!(self.disk.look(&at), Ok(Some(_))) {
                return at;
            }
        }
    }

    /// True where what stands there is not what the row says: it was altered locally.
    pub(super) fn altered(
        &self,
        at: &Loc,
        entry: &LocalEntry,
        row: &ProductRow,
    ) -> Result<bool, DiskError> {
        match (entry, &row.link) {
            (LocalEntry::Link(text), Some(recorded)) => Ok(text != recorded),
            (LocalEntry::File { size, mtime_secs }, None) => {
                if *size != row.size {
                    return Ok(true);
                }
                if row.doubtful {
                    // Known to be damaged, so one that cannot even be read is no surprise.
                    return Ok(self.disk.hash(at).map_or(true, |hash| hash != row.blake3));
                }
                if mtime_secs.abs_diff(row.mtime_secs) <= MTIME_TOLERANCE_SECS {
                    return Ok(false);
                }
                Ok(self.disk.hash(at)? != row.blake3)
            }
            _ => Ok(true),
        }
    }

    /// Moves something that is not ours, or no longer as we wrote it, into the trash.
    /// `row` is true afterwards.
    pub(super) fn trash_now(
        &mut self,
        key: &PlaceKey,
        path: &RelPath,
        row: Option<PlaceRow>,
    ) -> Result<Result<(), Trouble>, Halt> {
        // What waits may be about the very same path.
        self.flush()?;
        self.doubt_folders();
        let place = match self.disk.trash_place(&self.settings.run_id, path) {
            Ok(place) => place,
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        };
        let then = row
            .map(|row| RowChange::Put { key: key.clone(), place: Box::new(row) })
            .into_iter()
            .collect();
        self.try_now(Step {
            key: key.clone(),
            op: Some(Op::Trash { from: Loc::Mirror(path.clone()), to: place }),
            then,
            done: Vec::new(),
            wants: Vec::new(),
        })
    }

    fn adopt_changes(&mut self, changes: &[RowChange]) {
        if changes.is_empty() {
            return;
        }
        self.changed = true;
        let rekeyed = changes.iter().any(|change| matches!(change, RowChange::Rekey { .. }));
        if !rekeyed {
            for change in changes {
                if let RowChange::Put { key, .. } | RowChange::Drop { key } = change {
                    self.unindex(key);
                }
            }
        }
        apply_changes(&mut self.current, changes);
        if rekeyed {
            // Rare (a folder that moved to another source), and it may touch any row.
            self.index();
        } else {
            for change in changes {
                if let RowChange::Put { key, .. } = change {
                    self.index_one(key);
                }
            }
        }
    }

    fn index(&mut self) {
        self.children.clear();
        self.astray.clear();
        for key in self.current.places.keys().cloned().collect::<Vec<_>>() {
            self.index_one(&key);
        }
    }

    fn index_one(&mut self, key: &PlaceKey) {
        let Some(row) = self.current.places.get(key) else { return };
        let folder = (key.source.clone(), row.parent.clone());
        self.children.entry(folder).or_default().insert(key.clone());
        if !row.elsewhere.is_empty() {
            self.astray.insert(key.clone());
        }
    }

    fn unindex(&mut self, key: &PlaceKey) {
        let Some(row) = self.current.places.get(key) else { return };
        let folder = (key.source.clone(), row.parent.clone());
        if let Some(rows) = self.children.get_mut(&folder) {
            rows.remove(key);
        }
        self.astray.remove(key);
    }
}

/// True where a slot has something of its own: a folder, or a recorded product.
pub(super) fn holds(row: &PlaceRow, slot: Slot) -> bool {
    slot == Slot::Dir || row.products.keys().any(|product| product.slot == slot)
}

/// What stands in the way, in words.
pub(super) fn describe(entry: &LocalEntry) -> &'static str {
    match entry {
        LocalEntry::File { .. } => "a file that the mirror does not know",
        LocalEntry::Dir => "a folder that the mirror does not know",
        LocalEntry::Link(_) => "a symlink that the mirror does not know",
        LocalEntry::Other => "a device, socket or pipe",
    }
}

/// A `done` event.
pub(super) fn done(
    change: Change,
    bytes: u64,
    blake3: Option<ContentHash>,
    written: bool,
) -> Event {
    Event::Done { change, bytes, blake3, written }
}
