//! Renames within the copy: places that moved, were renamed, swapped names, or step
//! aside for others. Nothing is fetched here.
//!
//! One relocation brings every slot of a place from where it stands to its new name.
//! The order is found by recursion: first the new parents, so that a target path is
//! final when something is renamed to it; then whoever stands on the new name, if it
//! is to move too. Where that runs into a relocation already under way (swaps, cycles,
//! a folder that goes into its own former child) the one in the way is parked in the
//! state folder and goes to its name when its turn comes.
//!
//! The row is switched to its new parent and names with the first slot that moves; the
//! slots still to come are named in [`PlaceRow::elsewhere`], so the row is true after
//! each single rename, and a crash between two of them loses nothing.

use std::collections::{BTreeMap, HashMap};
use std::mem;

use crate::disk::DiskError;
use crate::model::change::Event;
use crate::model::local::LocalEntry;
use crate::model::recorded::{Loc, PlaceRow, ProductKey, Slot};
use crate::model::{PlaceKey, RelPath};
use crate::plan::Relocation;
use crate::store::RowChange;

use super::journal::{BATCH, Failing, Journal, Op, Performed, Step, describe, done, holds};
use super::trouble::{Halt, Trouble};

/// How deep places standing in each other's way are followed; beyond, they are parked,
/// which needs no stack.
const DEEPEST: usize = 64;

/// Most parents above a place; a longer chain is a damaged manifest.
const HIGHEST: usize = 4096;

/// Carries out all relocations. Only what ends the run is an error.
pub(super) fn relocate_all(
    journal: &mut Journal,
    relocations: Vec<Relocation>,
    deferred: &mut Vec<(PlaceKey, PlaceRow)>,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), Halt> {
    let by_to = relocations.iter().enumerate().map(|(i, r)| (r.to.clone(), i)).collect();
    let by_at = relocations.iter().enumerate().map(|(i, r)| (r.from.clone(), i)).collect();
    let pending = relocations
        .into_iter()
        .map(|rel| Pending { at: rel.from.clone(), rel, state: State::Waiting })
        .collect();
    let mut mover = Mover { journal, pending, by_to, by_at, deferred, depth: 0 };
    for i in 0..mover.pending.len() {
        if cancelled() {
            break;
        }
        mover.relocate(i)?;
    }
    mover.journal.flush()
}

struct Pending {
    rel: Relocation,
    /// Its row's key now; differs from `rel.from` where its folder took it along.
    at: PlaceKey,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Started,
    Done,
    Failed,
}

/// How a relocation went.
enum Went {
    Done,
    Failed,
    /// Cannot go on before one that is under way.
    Busy,
}

/// Why a relocation did not happen.
enum Stuck {
    Busy,
    Trouble(Trouble),
}

impl From<Trouble> for Stuck {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

struct Mover<'a> {
    journal: &'a mut Journal,
    pending: Vec<Pending>,
    by_to: HashMap<PlaceKey, usize>,
    by_at: HashMap<PlaceKey, usize>,
    /// Rows of the plan whose folder comes into being by a move.
    deferred: &'a mut Vec<(PlaceKey, PlaceRow)>,
    depth: usize,
}

impl Mover<'_> {
    fn relocate(&mut self, i: usize) -> Result<Went, Halt> {
        match self.pending[i].state {
            State::Done => return Ok(Went::Done),
            State::Failed => return Ok(Went::Failed),
            State::Started => return Ok(Went::Busy),
            State::Waiting => {}
        }
        self.pending[i].state = State::Started;
        self.depth += 1;
        let result = self.try_relocate(i);
        self.depth -= 1;
        match result? {
            Ok(()) => {
                self.pending[i].state = State::Done;
                Ok(Went::Done)
            }
            Err(Stuck::Busy) => {
                self.pending[i].state = State::Waiting;
                Ok(Went::Busy)
            }
            Err(Stuck::Trouble(trouble)) => {
                self.pending[i].state = State::Failed;
                for (_, change) in mem::take(&mut self.pending[i].rel.changes) {
                    self.journal.fail(&Failing { change, note: None }, &trouble)?;
                }
                Ok(Went::Failed)
            }
        }
    }

    fn try_relocate(&mut self, i: usize) -> Result<Result<(), Stuck>, Halt> {
        if let Err(stuck) = self.parents_first(i)? {
            return Ok(Err(stuck));
        }
        let folder = match self.target_folder(i)? {
            Ok(folder) => folder,
            Err(trouble) => return Ok(Err(trouble.into())),
        };
        if let Err(stuck) = self.clear_names(i, &folder)? {
            return Ok(Err(stuck));
        }
        self.rename_slots(i, &folder)
    }

    /// Brings the new parents to their final places.
    fn parents_first(&mut self, i: usize) -> Result<Result<(), Stuck>, Halt> {
        let Relocation { to, row, .. } = &self.pending[i].rel;
        let (source, mut up) = (to.source.clone(), row.parent.clone());
        for _ in 0..HIGHEST {
            let Some(token) = up else { break };
            let key = PlaceKey { source: source.clone(), token };
            if let Some(&parent) = self.by_to.get(&key) {
                // A parent that fails stays where it is; its row says where that is, and
                // what goes into it goes there.
                let went = self.relocate(parent)?;
                // Its row may still wait in the batch; where our names stand follows from it.
                let at = self.pending[parent].at.clone();
                self.journal.ready(&at, &[])?;
                return Ok(match went {
                    Went::Busy => Err(Stuck::Busy),
                    Went::Done | Went::Failed => Ok(()),
                });
            }
            up = self.journal.row(&key).and_then(|row| row.parent.clone());
        }
        Ok(Ok(()))
    }

    /// Where its names will stand, made if missing.
    fn target_folder(&mut self, i: usize) -> Result<Result<Loc, Trouble>, Halt> {
        let Pending { rel: Relocation { to, row, .. }, at, .. } = &self.pending[i];
        if self.journal.row(at).is_none() {
            return Ok(Err(Trouble::failed(format!("{at} is not in the manifest any more"))));
        }
        // A parent that could not leave this very folder would make a loop.
        let mut up = row.parent.clone();
        for _ in 0..HIGHEST {
            let Some(token) = up else { break };
            let key = PlaceKey { source: to.source.clone(), token };
            if key == *at || key == *to {
                return Ok(Err(Trouble::failed(format!(
                    "its new folder {key} is still inside it, because that could not be moved"
                ))));
            }
            up = self.journal.row(&key).and_then(|row| row.parent.clone());
        }
        let Some(folder) = self.journal.current().folder(&to.source, row.parent.as_ref()) else {
            return Ok(Err(Trouble::failed(
                "its new folder is not there, because it failed itself",
            )));
        };
        if let Loc::Mirror(path) = &folder
            && let Err(error) = self.journal.ensure_dir(path)
        {
            return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?));
        }
        Ok(Ok(folder))
    }

    /// Slots that have something on disk, with where it stands and its new name.
    fn slots(&self, i: usize, folder: &Loc) -> Result<Vec<(Slot, Loc, Loc)>, DiskError> {
        let Pending { rel, at, .. } = &self.pending[i];
        let Some(now) = self.journal.row(at) else { return Ok(Vec::new()) };
        let mut slots = Vec::new();
        for slot in now.names.keys().chain(now.elsewhere.keys()).copied() {
            let wanted = rel.row.names.get(&slot).and_then(|name| folder.join(name));
            let (Some(from), Some(to)) = (self.journal.current().slot(at, slot), wanted) else {
                continue;
            };
            let known = slots.iter().any(|(other, _, _)| *other == slot);
            if !known && from != to && holds(now, slot) && self.journal.disk.look(&from)?.is_some()
            {
                slots.push((slot, from, to));
            }
        }
        // The folder last: while it stands, paths through it hold.
        slots.sort_by_key(|(slot, _, _)| (*slot == Slot::Dir, *slot));
        Ok(slots)
    }

    /// Sees to it that nothing stands on the names of place `i`.
    fn clear_names(&mut self, i: usize, folder: &Loc) -> Result<Result<(), Stuck>, Halt> {
        let mut slots = match self.slots(i, folder) {
            Ok(slots) => slots,
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?.into())),
        };
        let paths: Vec<Loc> = slots.iter().flat_map(|(_, a, b)| [a.clone(), b.clone()]).collect();
        self.journal.ready(&self.pending[i].at.clone(), &paths)?;

        // Strangers first, before anything is parked for our sake: a place that cannot
        // move must not make others leave.
        for (_, from, to) in &slots {
            if let Err(trouble) = self.clear_stranger(i, from, to)? {
                return Ok(Err(trouble.into()));
            }
        }
        let mut at = 0;
        while let Some((slot, _, to)) = slots.get(at).cloned() {
            let standing = match self.journal.disk.look(&to) {
                Ok(standing) => standing,
                Err(error) => {
                    return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?.into()));
                }
            };
            if standing.is_none() {
                at += 1;
                continue;
            }
            let Some((key, taken)) = self.owner_of(i, &to) else {
                if let Err(trouble) = self.past_twin(i, slot, &to)? {
                    return Ok(Err(trouble.into()));
                }
                at += 1;
                continue;
            };
            if key == self.pending[i].at {
                // Its own other slot has the name.
                if let Err(trouble) = self.park(&key, taken)? {
                    return Ok(Err(trouble.into()));
                }
            } else {
                let other = self.by_at.get(&key).copied();
                let went = match other {
                    Some(other) if self.depth < DEEPEST => self.relocate(other)?,
                    Some(other) => match self.pending[other].state {
                        State::Waiting | State::Started => Went::Busy,
                        State::Done => Went::Done,
                        State::Failed => Went::Failed,
                    },
                    None => Went::Failed,
                };
                self.journal.flush()?;
                let still = self.owner_of(i, &to).is_some_and(|(now, _)| now == key);
                match went {
                    Went::Busy => {
                        if let Err(trouble) = self.park(&key, taken)? {
                            return Ok(Err(trouble.into()));
                        }
                    }
                    Went::Done | Went::Failed if still => {
                        return Ok(Err(Trouble::failed(format!(
                            "{} still belongs to another place ({key}), which could not be moved",
                            name_of(&to)
                        ))
                        .into()));
                    }
                    Went::Done | Went::Failed => {}
                }
            }
            // Whatever moved may have taken our own slots along.
            slots = match self.slots(i, folder) {
                Ok(slots) => slots,
                Err(error) => {
                    return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?.into()));
                }
            };
            at = 0;
        }
        Ok(Ok(()))
    }

    /// What the manifest does not know on a wanted name: an empty folder goes, anything
    /// else stops the place, or goes to the trash with `--adopt`.
    fn clear_stranger(
        &mut self,
        i: usize,
        from: &Loc,
        to: &Loc,
    ) -> Result<Result<(), Trouble>, Halt> {
        let looked = self.journal.disk.look(to);
        let entry = match looked {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(entry)) => entry,
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?)),
        };
        if self.owner_of(i, to).is_some() || is_twin(from, to) {
            return Ok(Ok(()));
        }
        if entry == LocalEntry::Dir {
            match self.journal.disk.remove_folder(to) {
                Ok(true) => {
                    self.journal.doubt_folders();
                    return Ok(Ok(()));
                }
                Ok(false) => {}
                Err(error) => return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?)),
            }
        }
        let Some(path) = to.in_mirror().filter(|_| self.journal.settings.adopt) else {
            return Ok(Err(Trouble::blocked(name_of(to), describe(&entry))));
        };
        let (key, path) = (self.pending[i].at.clone(), path.clone());
        let result = self.journal.trash_now(&key, &path, None)?;
        self.journal.doubt_folders();
        Ok(result)
    }

    /// A file system that folds case shows our own file under its new name: parked, it
    /// is out of its own way. A real other file of that name stays where it is.
    fn past_twin(&mut self, i: usize, slot: Slot, to: &Loc) -> Result<Result<(), Trouble>, Halt> {
        let key = self.pending[i].at.clone();
        let taken = Trouble::blocked(name_of(to), "something that the mirror does not know");
        let Some(from) = self.journal.current().slot(&key, slot) else { return Ok(Err(taken)) };
        let Some(before) = self.journal.row(&key).cloned().filter(|_| is_twin(&from, to)) else {
            return Ok(Err(taken));
        };
        if let Err(trouble) = self.park(&key, slot)? {
            return Ok(Err(trouble));
        }
        match self.journal.disk.look(to) {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(_)) => {}
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?)),
        }
        let Some(parked) = self.journal.current().slot(&key, slot) else { return Ok(Err(taken)) };
        let mut then = carried_along(self.journal, &key, &parked, &from);
        then.push(RowChange::Put { key: key.clone(), place: Box::new(before) });
        let op = Some(Op::Move { from: parked, to: from });
        let back = Step { key, op, then, done: Vec::new(), wants: Vec::new() };
        Ok(self.journal.try_now(back)?.and(Err(taken)))
    }

    fn owner_of(&self, i: usize, to: &Loc) -> Option<(PlaceKey, Slot)> {
        let rel = &self.pending[i].rel;
        self.journal.owner(&rel.to.source, rel.row.parent.as_ref(), to)
    }

    /// Takes a slot out of the way until its own relocation comes.
    fn park(&mut self, key: &PlaceKey, slot: Slot) -> Result<Result<(), Trouble>, Halt> {
        self.journal.flush()?;
        let from = self.journal.current().slot(key, slot);
        let (Some(from), Some(mut row)) = (from, self.journal.row(key).cloned()) else {
            return Ok(Err(Trouble::failed(format!("{key} is not in the manifest any more"))));
        };
        let to = self.journal.parking();
        row.elsewhere.insert(slot, to.clone());
        let mut then = carried_along(self.journal, key, &from, &to);
        then.push(RowChange::Put { key: key.clone(), place: Box::new(row) });
        let step = Step {
            key: key.clone(),
            op: Some(Op::Move { from, to }),
            then,
            done: Vec::new(),
            wants: Vec::new(),
        };
        let result = self.journal.try_now(step)?;
        self.journal.doubt_folders();
        Ok(result)
    }

    /// The renames of one place, whose names are free now.
    fn rename_slots(&mut self, i: usize, folder: &Loc) -> Result<Result<(), Stuck>, Halt> {
        let slots = match self.slots(i, folder) {
            Ok(slots) => slots,
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?.into())),
        };
        let Pending { rel, at, .. } = &self.pending[i];
        let (at, to, target) = (at.clone(), rel.to.clone(), rel.row.clone());
        let events: Vec<Event> = rel
            .changes
            .iter()
            .map(|(slot, change)| {
                let product = target.products.get(&ProductKey::whole(*slot));
                done(change.clone(), 0, product.map(|p| p.blake3), true)
            })
            .collect();

        // Slots that stay elsewhere: something of theirs is there, and they get no name.
        let now = self.journal.row(&at).map(|row| row.elsewhere.clone()).unwrap_or_default();
        let left = now.into_iter().filter(|(slot, _)| {
            !target.names.contains_key(slot) && target.products.keys().any(|p| p.slot == *slot)
        });
        let left: BTreeMap<Slot, Loc> = left.collect();
        let row_with = |rest: &[(Slot, Loc, Loc)]| {
            let mut row = target.clone();
            row.elsewhere = left.clone();
            row.elsewhere.extend(rest.iter().map(|(slot, from, _)| (*slot, from.clone())));
            Box::new(row)
        };
        let switch = |rest: &[(Slot, Loc, Loc)]| {
            let mut then = vec![RowChange::Put { key: to.clone(), place: row_with(rest) }];
            if at != to {
                then.push(RowChange::Drop { key: at.clone() });
                then.push(RowChange::Rekey { from: at.clone(), to: to.clone() });
            }
            then
        };

        // Carried along by its folder, or only its row changes.
        if slots.is_empty() && at == to {
            self.journal.ready(&at, &[])?;
            let then = if self.journal.row(&at) == Some(&*row_with(&[])) {
                Vec::new()
            } else {
                switch(&[])
            };
            let step = Step { key: to, op: None, then, done: events, wants: Vec::new() };
            self.journal.push(step)?;
            return Ok(Ok(()));
        }

        // A single file can share its transactions with others.
        if let [(slot, from, goal)] = slots.as_slice()
            && *slot != Slot::Dir
            && at == to
        {
            let op = Op::Move { from: from.clone(), to: goal.clone() };
            let wants = rel
                .changes
                .iter()
                .map(|(_, change)| Failing { change: change.clone(), note: None });
            let step = Step {
                key: to.clone(),
                op: Some(op),
                then: switch(&[]),
                wants: wants.collect(),
                done: events,
            };
            self.journal.ready(&at, &[from.clone(), goal.clone()])?;
            self.journal.push(step)?;
            return Ok(Ok(()));
        }

        let below = if at == to { Vec::new() } else { self.descendants(&at) };
        let row_only = slots.is_empty();
        let count = slots.len().max(1);
        for n in 0..count {
            let rest = slots.get(n + 1..).unwrap_or_default();
            let mut then = if n == 0 {
                switch(rest)
            } else {
                vec![RowChange::Put { key: to.clone(), place: row_with(rest) }]
            };
            let op = if row_only {
                None
            } else {
                let (slot, from, goal) = slots[n].clone();
                if slot == Slot::Dir {
                    let own = if n == 0 { &at } else { &to };
                    let mut all = carried_along(self.journal, own, &from, &goal);
                    all.append(&mut then);
                    then = all;
                }
                Some(Op::Move { from, to: goal })
            };
            let last = n + 1 == count;
            let done = if last { events.clone() } else { Vec::new() };
            let step = Step { key: to.clone(), op, then, done, wants: Vec::new() };
            match self.journal.now(step)? {
                Performed::Done => {}
                Performed::Failed(error) => {
                    return Ok(Err(Trouble::of_disk(error, &self.journal.settings)?.into()));
                }
                Performed::NoSymlinks | Performed::NotTried => {
                    return Ok(Err(Trouble::failed("the rename was not carried out").into()));
                }
            }
            if n == 0 && at != to {
                self.rekeyed(i, &at, &to, &below)?;
            }
            self.journal.doubt_folders();
        }
        Ok(Ok(()))
    }

    /// Everything below a folder, by key.
    fn descendants(&self, top: &PlaceKey) -> Vec<PlaceKey> {
        let mut found = Vec::new();
        let mut open = vec![top.clone()];
        while let Some(key) = open.pop() {
            let children = self.journal.children_of(&key.source, Some(&key.token));
            let children: Vec<PlaceKey> = children.cloned().collect();
            found.extend(children.iter().cloned());
            open.extend(children);
        }
        found
    }

    /// Follows the rows that a folder took along to another source.
    fn rekeyed(
        &mut self,
        i: usize,
        at: &PlaceKey,
        to: &PlaceKey,
        below: &[PlaceKey],
    ) -> Result<(), Halt> {
        self.by_at.remove(at);
        self.by_at.insert(to.clone(), i);
        self.pending[i].at = to.clone();
        for old in below {
            if let Some(other) = self.by_at.remove(old) {
                let new = PlaceKey { source: to.source.clone(), token: old.token.clone() };
                self.pending[other].at = new.clone();
                self.by_at.insert(new, other);
            }
        }
        record_resolved(self.journal, self.deferred)
    }
}

/// Records those rows whose folder is in the manifest by now.
pub(super) fn record_resolved(
    journal: &mut Journal,
    deferred: &mut Vec<(PlaceKey, PlaceRow)>,
) -> Result<(), Halt> {
    loop {
        let (ready, rest): (Vec<_>, Vec<_>) =
            mem::take(deferred).into_iter().partition(|(key, row)| {
                journal.current().folder(&key.source, row.parent.as_ref()).is_some()
            });
        *deferred = rest;
        if ready.is_empty() {
            return Ok(());
        }
        for chunk in ready.chunks(BATCH) {
            let changes: Vec<RowChange> = chunk
                .iter()
                .map(|(key, row)| RowChange::Put { key: key.clone(), place: Box::new(row.clone()) })
                .collect();
            journal.record(&changes)?;
        }
    }
}

/// Rows whose slots stand inside a folder only by [`PlaceRow::elsewhere`]: they go along
/// when it is renamed.
fn carried_along(journal: &Journal, but: &PlaceKey, from: &Loc, to: &Loc) -> Vec<RowChange> {
    let carried = journal.astray().filter(|(key, _)| *key != but).filter_map(|(key, row)| {
        let mut row = row.clone();
        let mut moved = false;
        for loc in row.elsewhere.values_mut() {
            if let Some(after) = loc.carried(from, to) {
                *loc = after;
                moved = true;
            }
        }
        moved.then(|| RowChange::Put { key: key.clone(), place: Box::new(row) })
    });
    carried.collect()
}

/// True for two names that differ only in case.
fn is_twin(from: &Loc, to: &Loc) -> bool {
    let fold = |loc: &Loc| match loc {
        Loc::Mirror(path) => path.as_str().to_lowercase(),
        Loc::Parked(path) => format!("//{path}").to_lowercase(),
    };
    from != to && fold(from) == fold(to)
}

fn name_of(loc: &Loc) -> &RelPath {
    match loc {
        Loc::Mirror(path) | Loc::Parked(path) => path,
    }
}
