//! What became of recorded places that this run does not list: moved, gone, left,
//! hidden, orphaned, or nothing that can be known now.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Aim, View};
use super::{Guard, Inputs};
use crate::layout;
use crate::model::change::Failure;
use crate::model::recorded::{PlaceRow, PlaceState, Recorded};
use crate::model::tree::{Existence, Listing, RemoteSource};
use crate::model::{ObjType, Object, PlaceKey, PlaceToken, SourceName};

/// A hidden or forbidden place is asked again after this long.
pub(super) const ASK_AGAIN_SECS: i64 = 7 * 24 * 3600;

/// Full walks that must miss a place that still exists before it has left.
const WALKS_TO_LEAVE: u32 = 2;

/// What a plan makes of a recorded place that is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Confirmed deleted, or left its source; absent from so many full walks.
    Gone { walks: u32 },
    /// Merely unreadable; `asked`: in this run.
    Hidden { asked: bool },
    /// The config no longer covers it.
    Orphaned,
    /// Still exists, and this many full walks did not list it.
    Absent { walks: u32 },
    /// Nothing can be said in this run.
    Unknown,
}

/// All that is to be said about places that are recorded and not listed.
#[derive(Default)]
pub(super) struct Absent {
    /// By the key of the row. Places that moved are not here.
    pub fates: BTreeMap<PlaceKey, Fate>,
    /// New place by old row.
    pub moved: BTreeMap<PlaceKey, PlaceKey>,
    /// What must be asked before anything else can be known.
    pub ask: Vec<(PlaceKey, Object)>,
    /// Sources whose listing came back empty though the manifest knows files.
    pub guards: Vec<Guard>,
    /// Sources where an answer failed, so that nothing is pruned.
    pub unclear: Vec<(SourceName, Failure)>,
}

impl Absent {
    pub fn of(inputs: &Inputs<'_>, view: &View<'_>) -> Self {
        let mut absent = Self::default();
        for (key, row) in &inputs.recorded.places {
            if !inputs.tree.sources.contains_key(&key.source) {
                // Not asked for in this run, or no longer configured at all.
                let configured = inputs.rules.sources.contains(&key.source);
                let fate = if configured { Fate::Unknown } else { Fate::Orphaned };
                absent.fates.insert(key.clone(), keep_gone(row, fate));
            }
        }
        for (name, source) in &inputs.tree.sources {
            absent.study_source(inputs, view, name, source);
        }
        absent.find_moves(inputs, view);
        absent
    }

    /// Key of a recorded place after this run.
    pub fn key_after(&self, key: &PlaceKey) -> PlaceKey {
        self.moved.get(key).unwrap_or(key).clone()
    }

    fn study_source(
        &mut self,
        inputs: &Inputs<'_>,
        view: &View<'_>,
        name: &SourceName,
        source: &RemoteSource,
    ) {
        let rows: BTreeMap<&PlaceToken, &PlaceRow> = inputs
            .recorded
            .places
            .range(PlaceKey::new(name, &PlaceToken::new(""))..)
            .take_while(|(key, _)| key.source == *name)
            .map(|(key, row)| (&key.token, row))
            .collect();
        // Where the root could not even be found out, nothing is known about it.
        let repointed = !source.root.is_empty()
            && inputs.recorded.sources.get(name).is_some_and(|known| known.root != source.root);
        let everything = inputs.rules.max_delete.is_everything();
        let has_files = rows
            .values()
            .any(|row| !row.products.is_empty() && matches!(row.state, PlaceState::Live));
        let lists_nothing = source.quiet.places == 0
            && source.nodes.values().all(|n| n.object.ty == ObjType::Space);
        let forbidden =
            source.listings.values().any(|listing| matches!(listing, Listing::Forbidden(_)));
        let empty = lists_nothing
            && has_files
            && source.is_full()
            && !forbidden
            && !repointed
            && !source.pinned;
        if empty && !everything {
            self.guards.push(Guard {
                source: name.clone(),
                message: format!(
                    "source {name:?} came back empty although the copy has files of it: nothing \
                     is pruned. If it really is empty now, run again with --max-delete 100%"
                ),
            });
        }
        let frozen = !source.is_full() || (empty && !everything);
        let mut walk = Walk {
            inputs,
            view,
            name,
            source,
            rows,
            repointed,
            frozen,
            decided: BTreeMap::new(),
            ask: Vec::new(),
            failure: None,
        };
        let tokens: Vec<PlaceToken> = walk.rows.keys().map(|t| (*t).clone()).collect();
        for token in &tokens {
            if !is_live(view, name, token) {
                walk.fate(token);
            }
        }
        let Walk { decided, ask, failure, .. } = walk;
        let unclear = failure.is_some();
        if let Some(failure) = failure {
            self.unclear.push((name.clone(), failure));
        }
        for (token, fate) in decided {
            if is_live(view, name, &token) {
                continue;
            }
            let key = PlaceKey::new(name, &token);
            let fate = match fate {
                // One failed answer freezes the source: no new deletion is concluded.
                Fate::Gone { .. } | Fate::Absent { .. }
                    if unclear && !is_gone(&inputs.recorded.places[&key]) =>
                {
                    Fate::Unknown
                }
                fate => fate,
            };
            self.fates.insert(key, fate);
        }
        self.ask
            .extend(ask.into_iter().map(|(token, object)| (PlaceKey::new(name, &token), object)));
    }

    /// A new place whose object stood at a place that its source's complete listing no
    /// longer has: the copy moves along.
    fn find_moves(&mut self, inputs: &Inputs<'_>, view: &View<'_>) {
        let mut free: BTreeMap<&Object, Vec<&PlaceKey>> = BTreeMap::new();
        for (key, fate) in &self.fates {
            let row = &inputs.recorded.places[key];
            let complete = match inputs.tree.sources.get(&key.source) {
                Some(source) => source.is_full() && !matches!(fate, Fate::Hidden { .. }),
                None => *fate == Fate::Orphaned,
            };
            let listed = view.places.get(key).is_some_and(|seen| !seen.node.filtered);
            let may_move = complete && !listed && !is_gone(row) && !row_is_filtered(inputs, key);
            if may_move && (!row.products.is_empty() || !row.names.is_empty()) {
                free.entry(&row.object).or_default().push(key);
            }
        }
        let mut moved = BTreeMap::new();
        for (key, seen) in &view.places {
            if inputs.recorded.places.contains_key(key) || !seen.stands {
                continue;
            }
            let Some(olds) = free.get_mut(&seen.node.object) else { continue };
            // A shortcut's object is its target's: only the very same place moves.
            let shortcut = seen.node.object.ty == ObjType::Shortcut;
            let same = olds.iter().position(|old| old.token == key.token);
            let pick = same.or(if shortcut || olds.is_empty() { None } else { Some(0) });
            if let Some(index) = pick {
                moved.insert(olds.remove(index).clone(), key.clone());
            }
        }
        for old in moved.keys() {
            self.fates.remove(old);
        }
        self.ask.retain(|(key, _)| !moved.contains_key(key));
        self.moved = moved;
        // What this run saw elsewhere, with a copy there, needs no confirmation.
        let sure: Vec<PlaceKey> = self
            .ask
            .iter()
            .filter(|(_, object)| copy_elsewhere(inputs, view, object))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &sure {
            let counted = inputs.tree.sources.get(&key.source).is_some_and(|it| it.counted);
            let walks = walks_after(&inputs.recorded.places[key], counted);
            self.fates.insert(key.clone(), Fate::Gone { walks });
        }
        self.ask.retain(|(key, _)| !sure.contains(key));
    }
}

/// One source's absent rows, each decided once.
struct Walk<'w, 'a> {
    inputs: &'w Inputs<'a>,
    view: &'w View<'a>,
    name: &'w SourceName,
    source: &'w RemoteSource,
    rows: BTreeMap<&'w PlaceToken, &'w PlaceRow>,
    repointed: bool,
    frozen: bool,
    decided: BTreeMap<PlaceToken, Fate>,
    ask: Vec<(PlaceToken, Object)>,
    failure: Option<Failure>,
}

impl Walk<'_, '_> {
    fn fate(&mut self, token: &PlaceToken) -> Fate {
        if let Some(fate) = self.decided.get(token) {
            return *fate;
        }
        // Guards against a cycle of parents in a damaged manifest.
        self.decided.insert(token.clone(), Fate::Unknown);
        let fate = self.find_out(token);
        self.decided.insert(token.clone(), fate);
        fate
    }

    fn find_out(&mut self, token: &PlaceToken) -> Fate {
        let row = self.rows[token];
        if self.source.nodes.get(token).is_some_and(|node| !node.filtered) {
            // Listed, and nothing can be made of it now (a shortcut whose target gave no
            // answer, a type without formats): what it has stays, with its names.
            return Fate::Unknown;
        }
        if is_gone(row) {
            let walks = if self.frozen { row.absent_walks } else { self.walks_after(row) };
            return Fate::Gone { walks };
        }
        // Once the config let go of it, its absence says nothing: it comes back by being
        // listed, and is never concluded to be gone.
        let orphaned = row.state == PlaceState::Orphaned;
        if orphaned
            || self.repointed
            || self.source.nodes.get(token).is_some_and(|node| node.filtered)
        {
            return Fate::Orphaned;
        }
        let key = PlaceKey::new(self.name, token);
        if self.source.pinned {
            return match self.source.known.get(token) {
                None if self.frozen => Fate::Unknown,
                None => Fate::Orphaned,
                Some(Existence::Gone) if self.frozen => {
                    Fate::Gone { walks: row.absent_walks.max(1) }
                }
                Some(Existence::Gone) => Fate::Gone { walks: self.walks_after(row) },
                Some(Existence::Hidden) => Fate::Hidden { asked: true },
                Some(Existence::Exists | Existence::Unknown(_)) => Fate::Unknown,
            };
        }
        if row_is_filtered(self.inputs, &key) {
            return Fate::Orphaned;
        }
        let under_missing = match &row.parent {
            Some(parent) if !self.source.nodes.contains_key(parent) => {
                // Without a row for the parent nothing above can be asked.
                self.rows.contains_key(parent).then(|| self.fate(parent))
            }
            Some(_) | None => None,
        };
        if let Some(above) = under_missing {
            match above {
                Fate::Hidden { .. } => return Fate::Hidden { asked: false },
                Fate::Orphaned => return Fate::Orphaned,
                Fate::Unknown => return Fate::Unknown,
                Fate::Gone { .. } | Fate::Absent { .. } => {}
            }
        } else {
            let listing = match &row.parent {
                Some(parent) if !self.source.nodes.contains_key(parent) => None,
                parent => self.source.listings.get(parent),
            };
            match listing {
                Some(Listing::Forbidden(_)) => return Fate::Hidden { asked: true },
                Some(Listing::Excluded) => return Fate::Orphaned,
                Some(Listing::Failed(_) | Listing::Carried) => return Fate::Unknown,
                // A node said to have no children was not listed: none are there.
                Some(Listing::Complete) | None => {}
            }
        }
        if self.frozen {
            return Fate::Unknown;
        }
        if let PlaceState::Hidden { asked_secs } = row.state {
            let recent = self.inputs.now_secs.saturating_sub(asked_secs) < ASK_AGAIN_SECS;
            if recent && !self.inputs.options.retry_failed {
                return Fate::Hidden { asked: false };
            }
        }
        self.ask_about(token, row, &key)
    }

    fn walks_after(&self, row: &PlaceRow) -> u32 {
        walks_after(row, self.source.counted)
    }

    fn ask_about(&mut self, token: &PlaceToken, row: &PlaceRow, key: &PlaceKey) -> Fate {
        let walks = self.walks_after(row);
        match self.inputs.answers.existence.get(key) {
            None => {
                self.ask.push((token.clone(), row.object.clone()));
                Fate::Unknown
            }
            Some(Existence::Gone) => Fate::Gone { walks },
            Some(Existence::Hidden) => Fate::Hidden { asked: true },
            Some(Existence::Exists) if copy_elsewhere(self.inputs, self.view, &row.object) => {
                Fate::Gone { walks }
            }
            Some(Existence::Exists) if walks >= WALKS_TO_LEAVE => Fate::Gone { walks },
            Some(Existence::Exists) => Fate::Absent { walks },
            Some(Existence::Unknown(failure)) => {
                self.failure.get_or_insert_with(|| failure.clone());
                Fate::Unknown
            }
        }
    }
}

/// True where the place is listed and the copy has something for it.
fn is_live(view: &View<'_>, source: &SourceName, token: &PlaceToken) -> bool {
    view.places.get(&PlaceKey::new(source, token)).is_some_and(|seen| seen.stands)
}

/// True where this run listed the object at another place whose copy is on disk.
fn copy_elsewhere(inputs: &Inputs<'_>, view: &View<'_>, object: &Object) -> bool {
    if object.ty == ObjType::Shortcut {
        return false;
    }
    view.homes.get(object).into_iter().flatten().any(|key| {
        let aim = &view.places[key].aim;
        let row = inputs.recorded.places.get(key);
        matches!(aim, Aim::Content { .. }) && row.is_some_and(|r| !r.products.is_empty())
    })
}

fn is_gone(row: &PlaceRow) -> bool {
    matches!(row.state, PlaceState::Gone { .. })
}

fn keep_gone(row: &PlaceRow, fate: Fate) -> Fate {
    if is_gone(row) { Fate::Gone { walks: row.absent_walks } } else { fate }
}

/// Counted no further than the rules ask, so that an unchanged run writes no row; and once
/// a walk, also where several runs plan with it (`counted`).
fn walks_after(row: &PlaceRow, counted: bool) -> u32 {
    if counted {
        return row.absent_walks.max(1);
    }
    row.absent_walks.saturating_add(1).min(WALKS_TO_LEAVE)
}

/// Source + cleaned titles of a recorded place, what globs match.
pub(super) fn recorded_glob_path(inputs: &Inputs<'_>, key: &PlaceKey) -> String {
    glob_path(inputs.recorded, key)
}

/// The same for a manifest alone.
pub(super) fn glob_path(recorded: &Recorded, key: &PlaceKey) -> String {
    let mut names = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = Some(key.clone());
    while let Some(key) = at {
        let Some(row) = recorded.places.get(&key) else { break };
        if !seen.insert(key.token.clone()) {
            break;
        }
        names.push(layout::glob_name(
            &row.title,
            layout::naming_type(&row.object, row.target.as_ref()),
        ));
        at = row.parent.as_ref().map(|parent| PlaceKey::new(&key.source, parent));
    }
    names.push(key.source.to_string());
    names.reverse();
    names.join("/")
}

/// True where `exclude` covers a recorded place or a folder above it.
fn row_is_filtered(inputs: &Inputs<'_>, key: &PlaceKey) -> bool {
    let path = recorded_glob_path(inputs, key);
    let mut end = path.len();
    loop {
        if inputs.rules.filter.excludes(&path[..end]) {
            return true;
        }
        match path[..end].rfind('/') {
            Some(cut) => end = cut,
            None => return false,
        }
    }
}
