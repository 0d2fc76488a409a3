//! What this run listed, seen the way the plan needs it: glob paths, wanted slots,
//! resolved shortcuts.

use std::collections::{BTreeMap, BTreeSet};

use super::Inputs;
use crate::layout;
use crate::model::recorded::{PlaceRow, PlaceState, Recorded, Slot, Why};
use crate::model::tree::{Existence, Meta, Node};
use crate::model::{Edited, Format, ObjType, Object, PlaceKey, PlaceToken, SourceName};
use crate::rules::ShortcutMode;

/// A listed place and what is to be made of it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub node: &'a Node,
    /// Source + cleaned titles, what globs match.
    pub glob_path: String,
    pub aim: Aim,
    /// True where the copy has something for it: itself, or a folder for what is below.
    pub stands: bool,
}

/// What a place becomes in the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Aim {
    /// A folder (Drive folder, wiki space).
    Folder,
    /// Files of these formats, made of this object.
    Content { object: Object, formats: Vec<Format> },
    /// Symlinks to another place.
    Links { to: PlaceKey, formats: Vec<Format>, dir: bool },
    /// A `.url` file.
    Url,
    /// Nothing, for this reason.
    Nothing(Omit),
}

/// Why a place has nothing of its own in the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Omit {
    Filtered,
    Unsupported,
    ShortcutsSkipped,
    /// A shortcut whose target nobody can name.
    TargetUnknown,
    TargetGone,
    TargetForbidden,
    /// The service gave no usable answer about it.
    TargetNoAnswer,
    /// Known once the target's metadata was asked.
    TargetNotAsked,
}

/// Everything listed, by place.
pub(super) struct View<'a> {
    pub places: BTreeMap<PlaceKey, Seen<'a>>,
    pub children: BTreeMap<(SourceName, Option<PlaceToken>), Vec<PlaceToken>>,
    /// Mirrored places of each object, the oldest first.
    pub homes: BTreeMap<Object, Vec<PlaceKey>>,
    /// Recorded objects of which an export was too large, with its formats.
    fallen: BTreeMap<Object, BTreeSet<Format>>,
    /// Places whose folder must stay because something recorded is below.
    held: BTreeSet<PlaceKey>,
}

impl<'a> View<'a> {
    pub fn of(inputs: &Inputs<'a>) -> Self {
        let mut view = Self {
            places: BTreeMap::new(),
            children: BTreeMap::new(),
            homes: BTreeMap::new(),
            fallen: find_fallen(inputs.recorded),
            held: BTreeSet::new(),
        };
        for (name, source) in &inputs.tree.sources {
            let mut paths = BTreeMap::new();
            for node in source.nodes.values() {
                let glob_path = glob_path(name, node, &source.nodes, &mut paths);
                view.children
                    .entry((name.clone(), node.parent.clone()))
                    .or_default()
                    .push(node.token.clone());
                let seen =
                    Seen { node, glob_path, aim: Aim::Nothing(Omit::Filtered), stands: false };
                view.places.insert(PlaceKey::new(name, &node.token), seen);
            }
        }
        view.aim_plain(inputs);
        view.aim_shortcuts(inputs);
        view.raise_folders();
        view
    }

    fn aim_plain(&mut self, inputs: &Inputs<'a>) {
        let mut places = std::mem::take(&mut self.places);
        for (key, seen) in &mut places {
            let node = seen.node;
            seen.aim = match &node.object.ty {
                _ if node.filtered => Aim::Nothing(Omit::Filtered),
                ObjType::Folder | ObjType::Space => Aim::Folder,
                ObjType::Shortcut => continue,
                _ => match self.formats(inputs, key, &seen.glob_path, &node.object) {
                    formats if formats.is_empty() => Aim::Nothing(Omit::Unsupported),
                    formats => Aim::Content { object: node.object.clone(), formats },
                },
            };
        }
        self.places = places;
    }

    fn aim_shortcuts(&mut self, inputs: &Inputs<'a>) {
        self.homes = self.find_homes();
        let aims: Vec<(PlaceKey, Aim)> = self
            .places
            .iter()
            .filter(|(_, s)| s.node.object.ty == ObjType::Shortcut && !s.node.filtered)
            .map(|(key, seen)| (key.clone(), self.aim_shortcut(seen, key, inputs)))
            .collect();
        for (key, aim) in aims {
            if let Some(seen) = self.places.get_mut(&key) {
                seen.aim = aim;
            }
        }
    }

    fn find_homes(&self) -> BTreeMap<Object, Vec<PlaceKey>> {
        let mut homes: BTreeMap<Object, Vec<PlaceKey>> = BTreeMap::new();
        for (key, seen) in &self.places {
            if matches!(seen.aim, Aim::Content { .. } | Aim::Folder) {
                homes.entry(seen.node.object.clone()).or_default().push(key.clone());
            }
        }
        for keys in homes.values_mut() {
            keys.sort_by_key(|key| (self.places[key].node.created_secs, key.clone()));
        }
        homes
    }

    fn aim_shortcut(&self, seen: &Seen<'a>, key: &PlaceKey, inputs: &Inputs<'a>) -> Aim {
        let mode = inputs.rules.shortcut;
        let Some(target) = &seen.node.target else {
            return match mode {
                ShortcutMode::Skip => Aim::Nothing(Omit::ShortcutsSkipped),
                _ if seen.node.url.is_some() => Aim::Url,
                _ => Aim::Nothing(Omit::TargetUnknown),
            };
        };
        let is_folder = target.object.ty == ObjType::Folder;
        match mode {
            ShortcutMode::Skip => return Aim::Nothing(Omit::ShortcutsSkipped),
            ShortcutMode::Url => return Aim::Url,
            ShortcutMode::Copy if is_folder => return Aim::Url,
            ShortcutMode::Copy => {}
            ShortcutMode::Link => {
                let named = target.place.as_ref().map(|token| PlaceKey::new(&key.source, token));
                let all = self.homes.get(&target.object).map_or(&[][..], Vec::as_slice);
                let home = named.filter(|k| all.contains(k)).or_else(|| all.first().cloned());
                if let Some(to) = home {
                    let (formats, dir) = match &self.places[&to].aim {
                        Aim::Content { formats, .. } => (linked(formats), false),
                        _ => (Vec::new(), true),
                    };
                    // Whether a wiki node also has a folder is known once folders are
                    // raised; `raise_folders` completes this.
                    return Aim::Links { to, formats, dir };
                }
                if let Some(kept) = self.recorded_home(&target.object, inputs) {
                    return kept;
                }
                if is_folder {
                    return Aim::Url;
                }
            }
        }
        let formats = self.formats(inputs, key, &seen.glob_path, &target.object);
        if formats.is_empty() {
            return if seen.node.url.is_some() {
                Aim::Url
            } else {
                Aim::Nothing(Omit::Unsupported)
            };
        }
        match inputs.answers.metas.get(&target.object) {
            // A copy of what is mirrored anyway has its edit time from the listing.
            None if self.homes.contains_key(&target.object) => {}
            None => return Aim::Nothing(Omit::TargetNotAsked),
            Some(Err(Existence::Gone)) => return Aim::Nothing(Omit::TargetGone),
            Some(Err(Existence::Unknown(_))) => return Aim::Nothing(Omit::TargetNoAnswer),
            Some(Err(_)) => return Aim::Nothing(Omit::TargetForbidden),
            Some(Ok(_)) => {}
        }
        Aim::Content { object: target.object.clone(), formats }
    }

    /// The files wanted of an object at a place, sorted; none for types that have none.
    pub fn formats(
        &self,
        inputs: &Inputs<'_>,
        key: &PlaceKey,
        glob_path: &str,
        object: &Object,
    ) -> Vec<Format> {
        let rules = inputs.rules;
        let wanted = rules.formats_at(glob_path, &object.ty).iter().copied();
        let mut formats: BTreeSet<Format> = wanted.collect();
        if formats.is_empty() {
            return Vec::new();
        }
        // A place without a row is new, or the object moved there.
        let fell_back = match inputs.recorded.places.get(key) {
            Some(row) => fallen_back(row).any(|format| formats.contains(&format)),
            None => self.fallen.get(object).is_some_and(|fallen| !fallen.is_disjoint(&formats)),
        };
        if fell_back {
            formats.insert(Format::Md);
        }
        if formats.contains(&Format::Md) && rules.markdown.raw {
            formats.insert(Format::Blocks);
        }
        if rules.comments_every_secs.is_some() && object.ty.has_comments() {
            formats.insert(Format::Comments);
        }
        formats.into_iter().collect()
    }

    /// A target that this run did not list (another source, a folder that could not be
    /// read) but whose copy is there: the link to it stays.
    fn recorded_home(&self, object: &Object, inputs: &Inputs<'a>) -> Option<Aim> {
        let places = &inputs.recorded.places;
        let (to, row) = places.iter().find(|(key, row)| {
            row.object == *object
                && matches!(row.state, PlaceState::Live | PlaceState::Hidden { .. })
                && !self.places.contains_key(*key)
                && inputs.rules.sources.contains(&key.source)
                && inputs.answers.existence.get(*key) != Some(&Existence::Gone)
                && (!row.products.is_empty() || row.names.contains_key(&Slot::Dir))
        })?;
        let formats = row.products.keys().filter_map(|product| match product.slot {
            Slot::Product(format) => Some(format),
            _ => None,
        });
        let formats: BTreeSet<Format> = formats.collect();
        let formats: Vec<Format> = formats.into_iter().collect();
        let dir = row.names.contains_key(&Slot::Dir);
        Some(Aim::Links { to: to.clone(), formats: linked(&formats), dir })
    }

    /// Keeps the folders of these places: something recorded is below them.
    pub fn hold(&mut self, places: BTreeSet<PlaceKey>) {
        self.held = places;
        self.raise_folders();
    }

    /// Decides bottom-up who stands in the copy: a place that is only a way to
    /// something wanted has a folder too.
    fn raise_folders(&mut self) {
        let standing: Vec<PlaceKey> = self
            .places
            .iter()
            .filter(|(key, seen)| !matches!(seen.aim, Aim::Nothing(_)) || self.held.contains(key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in standing {
            let mut at = Some(key);
            while let Some(key) = at {
                let Some(seen) = self.places.get_mut(&key) else { break };
                if seen.stands {
                    break;
                }
                seen.stands = true;
                at = seen.node.parent.as_ref().map(|p| PlaceKey::new(&key.source, p));
            }
        }
        let dirs: BTreeMap<PlaceKey, bool> =
            self.places.keys().map(|key| (key.clone(), self.has_dir(key))).collect();
        for seen in self.places.values_mut() {
            if let Aim::Links { to, dir, .. } = &mut seen.aim
                && let Some(now) = dirs.get(to)
            {
                *dir = *now;
            }
        }
    }

    /// True where the copy has a folder for what is below this place.
    pub fn has_dir(&self, key: &PlaceKey) -> bool {
        let Some(seen) = self.places.get(key) else { return false };
        seen.aim == Aim::Folder
            || self.held.contains(key)
            || self.children_of(&key.source, Some(&key.token)).any(|child| child.1.stands)
    }

    /// The listed places directly below a place (or at the top).
    pub fn children_of<'b>(
        &'b self,
        source: &SourceName,
        parent: Option<&PlaceToken>,
    ) -> impl Iterator<Item = (PlaceKey, &'b Seen<'a>)> + 'b {
        let source = source.clone();
        self.children
            .get(&(source.clone(), parent.cloned()))
            .into_iter()
            .flatten()
            .map(move |token| PlaceKey::new(&source, token))
            .filter_map(|key| self.places.get(&key).map(|seen| (key, seen)))
    }

    /// The formats of files that a place's aim asks for, those that may stand in included.
    pub fn wanted_formats(aim: &Aim) -> Vec<Format> {
        match aim {
            Aim::Content { object, formats } => {
                let mut all = formats.clone();
                if formats.iter().any(|format| format.has_assets()) {
                    all.push(Format::Assets);
                }
                if may_fall_back(&object.ty) {
                    all.push(Format::Url);
                }
                all
            }
            Aim::Url => vec![Format::Url],
            Aim::Links { .. } | Aim::Folder | Aim::Nothing(_) => Vec::new(),
        }
    }

    /// The slots that a place's aim asks for, without its folder.
    pub fn wanted_slots(aim: &Aim) -> Vec<Slot> {
        match aim {
            Aim::Content { .. } | Aim::Url => {
                let formats = Self::wanted_formats(aim);
                let slots: BTreeSet<Slot> = formats.iter().map(|format| format.slot()).collect();
                slots.into_iter().collect()
            }
            Aim::Links { formats, dir, .. } => {
                let mut slots: Vec<Slot> = formats.iter().copied().map(Slot::LinkTo).collect();
                if *dir {
                    slots.push(Slot::LinkToDir);
                }
                slots
            }
            Aim::Folder | Aim::Nothing(_) => Vec::new(),
        }
    }

    /// The edit time that decides about a place's content: as listed, or for what no
    /// listing shows as `metas` said.
    pub fn edited(&self, inputs: &Inputs<'a>, seen: &Seen<'a>) -> Option<Edited> {
        let Aim::Content { object, .. } = &seen.aim else { return seen.node.edited };
        if seen.node.object.ty != ObjType::Shortcut {
            return seen.node.edited.or_else(|| meta(inputs, object).map(|m| m.edited));
        }
        meta(inputs, object).map(|m| m.edited).or_else(|| {
            let home = self.homes.get(object).and_then(|keys| keys.first())?;
            self.places.get(home)?.node.edited
        })
    }
}

/// Types whose export the service may refuse altogether, so that a `.url` file stands
/// in. Their claim on that name is made beforehand.
pub(super) fn may_fall_back(ty: &ObjType) -> bool {
    matches!(ty, ObjType::Mindnote | ObjType::Slides)
}

pub(super) fn meta<'a>(inputs: &Inputs<'a>, object: &Object) -> Option<&'a Meta> {
    inputs.answers.metas.get(object).and_then(|answer| answer.as_ref().ok())
}

/// A shortcut is named as its target is.
pub(super) fn naming_type(node: &Node) -> &ObjType {
    layout::naming_type(&node.object, node.target.as_ref().map(|target| &target.object))
}

/// Formats that were too large to export, so that Markdown stands for them.
fn fallen_back(row: &PlaceRow) -> impl Iterator<Item = Format> + '_ {
    let fallen = row.outcomes.iter().filter(|(_, outcome)| outcome.why == Why::FellBack);
    fallen.map(|(format, _)| *format)
}

fn find_fallen(recorded: &Recorded) -> BTreeMap<Object, BTreeSet<Format>> {
    let mut found: BTreeMap<Object, BTreeSet<Format>> = BTreeMap::new();
    for row in recorded.places.values() {
        let object = row.target.as_ref().unwrap_or(&row.object);
        for format in fallen_back(row) {
            found.entry(object.clone()).or_default().insert(format);
        }
    }
    found
}

/// What a shortcut links to: one link a name, and none to side folders of pictures, which a
/// page finds by its own name only.
fn linked(formats: &[Format]) -> Vec<Format> {
    let slots = formats.iter().filter_map(|format| match format.slot() {
        Slot::Product(Format::Assets) => None,
        Slot::Product(format) => Some(format),
        _ => None,
    });
    slots.collect::<BTreeSet<_>>().into_iter().collect()
}

fn glob_path(
    source: &SourceName,
    node: &Node,
    nodes: &BTreeMap<PlaceToken, Node>,
    known: &mut BTreeMap<PlaceToken, String>,
) -> String {
    if let Some(path) = known.get(&node.token) {
        return path.clone();
    }
    let above = match node.parent.as_ref().and_then(|token| nodes.get(token)) {
        None => source.to_string(),
        Some(parent) => glob_path(source, parent, nodes, known),
    };
    let path = format!("{above}/{}", layout::glob_name(&node.title, naming_type(node)));
    known.insert(node.token.clone(), path.clone());
    path
}
