//! The copy as it will be named after the run: every row under its final key, with its
//! final parent and names.

use std::collections::{BTreeMap, BTreeSet};

use super::Inputs;
use super::absent::{Absent, Fate};
use super::content;
use super::view::{self, View};
use crate::layout::{self, Claimant, Names};
use crate::model::recorded::{Loc, PlaceRow, PlaceState, Recorded, Slot};
use crate::model::tree::Node;
use crate::model::{Edited, ObjType, PlaceKey, PlaceToken, RelPath, SourceName};

/// The named copy.
pub(super) struct Draft {
    /// Rows after the run's moves, before content and prunes.
    pub target: Recorded,
    /// Final key -> recorded key, for every row that was recorded.
    pub before: BTreeMap<PlaceKey, PlaceKey>,
    /// Recorded key -> final key.
    pub after: BTreeMap<PlaceKey, PlaceKey>,
    /// Listed places that stand in the copy, by final key.
    pub live: BTreeSet<PlaceKey>,
    /// Gone rows that step aside.
    pub aside: BTreeSet<PlaceKey>,
}

type Container = (SourceName, Option<PlaceToken>);

impl Draft {
    pub fn of(inputs: &Inputs<'_>, view: &View<'_>, absent: &Absent) -> Self {
        let mut draft = Self {
            target: Recorded { places: BTreeMap::new(), sources: inputs.recorded.sources.clone() },
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            live: BTreeSet::new(),
            aside: BTreeSet::new(),
        };
        let mut after = BTreeMap::new();
        for key in inputs.recorded.places.keys() {
            let last = final_key(inputs, absent, key, &mut after);
            draft.before.insert(last, key.clone());
        }
        let mut containers: BTreeMap<Container, Vec<Claimant>> = BTreeMap::new();
        for (key, seen) in &view.places {
            if !seen.stands || absent.fates.contains_key(key) {
                continue;
            }
            draft.live.insert(key.clone());
            let container = (key.source.clone(), seen.node.parent.clone());
            let claimant = draft.live_claimant(inputs, view, &after, key);
            containers.entry(container).or_default().push(claimant);
        }
        for (old, fate) in &absent.fates {
            let row = &inputs.recorded.places[old];
            let key = after[old].clone();
            let parent = row.parent.as_ref();
            let parent = parent.map(|p| after_of(&after, &PlaceKey::new(&old.source, p)).token);
            if !matches!(fate, Fate::Gone { .. }) {
                let container = (key.source.clone(), parent.clone());
                containers.entry(container).or_default().push(retained(&key, row));
            }
            let row = PlaceRow { parent, ..row.clone() };
            draft.target.places.insert(key, row);
        }
        for (container, claimants) in &containers {
            draft.name_container(inputs, view, container, claimants);
        }
        draft.step_aside(absent, &after);
        draft.after = after;
        draft
    }

    /// Where something of a final row will stand in the mirror.
    pub fn path(&self, key: &PlaceKey, slot: Slot) -> Option<RelPath> {
        match self.target.slot(key, slot)? {
            Loc::Mirror(path) => Some(path),
            Loc::Parked(_) => None,
        }
    }

    /// The recorded row of a final key.
    pub fn old_row<'a>(&self, inputs: &Inputs<'a>, key: &PlaceKey) -> Option<&'a PlaceRow> {
        inputs.recorded.places.get(self.before.get(key)?)
    }

    fn live_claimant(
        &self,
        inputs: &Inputs<'_>,
        view: &View<'_>,
        after: &BTreeMap<PlaceKey, PlaceKey>,
        key: &PlaceKey,
    ) -> Claimant {
        let seen = &view.places[key];
        let mut slots: BTreeSet<Slot> = View::wanted_slots(&seen.aim).into_iter().collect();
        if view.has_dir(key) {
            slots.insert(Slot::Dir);
        }
        let old_key = self.before.get(key);
        let old = self.old_row(inputs, key);
        let mut given = None;
        if let (Some(old_key), Some(row)) = (old_key, old) {
            // What is no longer wanted keeps a name until it is pruned.
            slots.extend(row.products.keys().map(|product| product.slot));
            if row.names.contains_key(&Slot::Dir) && view.has_dir(key) {
                slots.insert(Slot::Dir);
            }
            let parent = row.parent.as_ref().map(|p| PlaceKey::new(&old_key.source, p));
            let same_parent = match (&parent, &seen.node.parent) {
                (None, None) => old_key.source == key.source,
                (Some(old), Some(new)) => after_of(after, old) == PlaceKey::new(&key.source, new),
                _ => false,
            };
            if same_parent && row.title == seen.node.title && !stepped_aside(row) {
                given = Some(names_of(row));
            }
        }
        Claimant {
            token: key.token.clone(),
            title: seen.node.title.clone(),
            ty: view::naming_type(seen.node).clone(),
            file_extension: file_extension(inputs, view, seen.node),
            created_secs: seen.node.created_secs,
            slots: slots.into_iter().collect(),
            given,
        }
    }

    fn name_container(
        &mut self,
        inputs: &Inputs<'_>,
        view: &View<'_>,
        (source, parent): &Container,
        claimants: &[Claimant],
    ) {
        for (token, names) in layout::assign(claimants, &[]) {
            let key = PlaceKey::new(source, &token);
            if !self.live.contains(&key) {
                continue;
            }
            let node = view.places[&key].node;
            let old = self.old_row(inputs, &key);
            let edited = view.edited(inputs, &view.places[&key]);
            let url = node.url.clone().or_else(|| {
                view::meta(inputs, &node.object)
                    .and_then(|m| m.url.clone())
                    .or_else(|| old.and_then(|row| row.url.clone()))
            });
            let row = PlaceRow {
                object: node.object.clone(),
                target: node.target.as_ref().map(|t| t.object.clone()),
                target_place: node.target.as_ref().and_then(|t| t.place.clone()),
                title: node.title.clone(),
                object_title: inputs.tree.sources[source]
                    .titles
                    .get(&token)
                    .or_else(|| old.and_then(|row| row.object_title.as_ref()))
                    .cloned(),
                parent: parent.clone(),
                created_secs: node.created_secs,
                order: node.order,
                url,
                edited: steady(old.and_then(|row| row.edited), edited),
                state: PlaceState::Live,
                absent_walks: 0,
                stem: names.stem,
                names: names.names,
                products: old.map(|row| row.products.clone()).unwrap_or_default(),
                page: old.and_then(|row| row.page.clone()),
                outcomes: old.map(|row| row.outcomes.clone()).unwrap_or_default(),
                // What is lost comes back under its name, not where it was lost.
                elsewhere: old
                    .into_iter()
                    .flat_map(|row| &row.elsewhere)
                    .filter(|(_, at)| content::may_stand(inputs, at))
                    .map(|(slot, at)| (*slot, at.clone()))
                    .collect(),
            };
            self.target.places.insert(key, row);
        }
    }

    /// A gone copy never blocks a live name.
    fn step_aside(&mut self, absent: &Absent, after: &BTreeMap<PlaceKey, PlaceKey>) {
        let mut taken: BTreeMap<Container, BTreeSet<String>> = BTreeMap::new();
        let gone: BTreeSet<PlaceKey> = absent
            .fates
            .iter()
            .filter(|(_, fate)| matches!(fate, Fate::Gone { .. }))
            .map(|(old, _)| after[old].clone())
            .collect();
        for (key, row) in &self.target.places {
            if !gone.contains(key) {
                let container = (key.source.clone(), row.parent.clone());
                let names = row.names.values().map(|name| layout::fold(name));
                taken.entry(container).or_default().extend(names);
            }
        }
        for key in gone {
            let Some(row) = self.target.places.get_mut(&key) else { continue };
            let container = (key.source.clone(), row.parent.clone());
            let taken = taken.entry(container).or_default();
            let names = names_of(row);
            if names.names.values().any(|name| taken.contains(&layout::fold(name))) {
                let free = layout::unique_gone_names(&names, &key.token, &|name| {
                    taken.contains(&layout::fold(name))
                });
                row.stem = free.stem;
                row.names = free.names;
                self.aside.insert(key.clone());
            }
            taken.extend(row.names.values().map(|name| layout::fold(name)));
        }
    }
}

/// A seen time that differs only by when it was seen is no news: an unchanged run
/// writes nothing. Another channel's time is news where it is of an edit since: full walks
/// and cheap runs take turns, and would write every row each time.
fn steady(old: Option<Edited>, new: Option<Edited>) -> Option<Edited> {
    match (old, new) {
        (Some(old), Some(new)) if (old.channel, old.at_secs) == (new.channel, new.at_secs) => {
            Some(old)
        }
        (Some(old), Some(new)) if old.channel != new.channel && new.at_secs <= old.seen_secs => {
            Some(old)
        }
        (old, None) => old,
        (_, new) => new,
    }
}

fn retained(key: &PlaceKey, row: &PlaceRow) -> Claimant {
    Claimant {
        token: key.token.clone(),
        title: row.title.clone(),
        ty: row.object.ty.clone(),
        file_extension: None,
        created_secs: row.created_secs,
        slots: row.names.keys().copied().collect(),
        given: Some(names_of(row)),
    }
}

fn names_of(row: &PlaceRow) -> Names {
    Names { stem: row.stem.clone(), names: row.names.clone() }
}

/// True for a row that has its `~gone-` name: once listed again, it is named anew.
fn stepped_aside(row: &PlaceRow) -> bool {
    row.stem.contains("~gone-")
}

/// A shortcut to an uploaded file is named with the file's own extension.
fn file_extension(inputs: &Inputs<'_>, view: &View<'_>, node: &Node) -> Option<String> {
    let object = &node.target.as_ref().filter(|t| t.object.ty == ObjType::File)?.object;
    let home = view.homes.get(object).and_then(|keys| keys.first());
    let listed = home.and_then(|key| view.places.get(key)).map(|seen| &seen.node.title);
    let title = listed.or_else(|| view::meta(inputs, object).map(|meta| &meta.title))?;
    layout::extension(title)
}

fn after_of(after: &BTreeMap<PlaceKey, PlaceKey>, key: &PlaceKey) -> PlaceKey {
    after.get(key).unwrap_or(key).clone()
}

/// The key of a recorded row after the run: its own move's, or the source of the
/// nearest folder above that moves to another source and carries it along.
fn final_key(
    inputs: &Inputs<'_>,
    absent: &Absent,
    key: &PlaceKey,
    known: &mut BTreeMap<PlaceKey, PlaceKey>,
) -> PlaceKey {
    if let Some(last) = known.get(key) {
        return last.clone();
    }
    known.insert(key.clone(), key.clone());
    let last = match absent.moved.get(key) {
        Some(new) => new.clone(),
        None if !absent.fates.contains_key(key) => key.clone(),
        None => match inputs.recorded.places.get(key).and_then(|row| row.parent.as_ref()) {
            Some(parent) => {
                let parent = PlaceKey::new(&key.source, parent);
                let above = if inputs.recorded.places.contains_key(&parent) {
                    final_key(inputs, absent, &parent, known)
                } else {
                    parent
                };
                PlaceKey::new(&above.source, &key.token)
            }
            None => key.clone(),
        },
    };
    known.insert(key.clone(), last.clone());
    last
}
