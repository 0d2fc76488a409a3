//! Puts the plan together: study the listing, name the copy, compare, decide.

use std::collections::{BTreeMap, BTreeSet};

use super::absent::{Absent, Fate};
use super::content::{self, MTIME_TOLERANCE_SECS, Need, OnDisk};
use super::draft::Draft;
use super::embeds;
use super::pages;
use super::view::{self, Aim, Omit, Seen, View};
use super::{Fetch, Inputs, MakeFolder, Plan, Questions, Relocation, Skip, Touch, Want, removal};
use crate::model::change::{Change, ChangeKind, Failure};
use crate::model::local::{LocalEntry, LocalState};
use crate::model::recorded::{
    Loc, PlaceRow, PlaceState, ProductKey, Recorded, Slot, SourceRow, Why,
};
use crate::model::tree::Listing;
use crate::model::{Edited, Format, ObjType, Object, PlaceKey, RelPath};

/// The text of a `.url` file.
pub fn url_file_text(url: &str) -> String {
    format!("[InternetShortcut]\r\nURL={url}\r\n")
}

/// Files whose size is as recorded and whose mtime is not, or that a check found damaged:
/// only their hash tells whether they were altered.
pub fn needs_hash(recorded: &Recorded, local: &LocalState) -> Vec<Loc> {
    let mut wanted = Vec::new();
    for (key, row) in &recorded.places {
        for (product, known) in &row.products {
            let Some(at) = recorded.product(key, product) else { continue };
            if let Some(LocalEntry::File { size, mtime_secs }) = local.entries.get(&at)
                && known.link.is_none()
                && *size == known.size
                && (known.doubtful || mtime_secs.abs_diff(known.mtime_secs) > MTIME_TOLERANCE_SECS)
            {
                wanted.push(at);
            }
        }
    }
    wanted
}

/// What must be asked before the plan can be made. Call again with the answers added,
/// until nothing is left.
pub fn questions(inputs: &Inputs<'_>) -> Questions {
    let (view, absent) = study(inputs);
    let mut metas = BTreeSet::new();
    let mut revisions = BTreeSet::new();
    let mut boards = BTreeSet::new();
    let before: BTreeMap<&PlaceKey, &PlaceKey> =
        absent.moved.iter().map(|(old, new)| (new, old)).collect();
    for (key, seen) in &view.places {
        if seen.aim == Aim::Nothing(Omit::TargetNotAsked)
            && let Some(target) = &seen.node.target
        {
            metas.insert(target.object.clone());
        }
        if absent.fates.contains_key(key) {
            continue;
        }
        let old = before.get(key).copied().unwrap_or(key);
        let row = inputs.recorded.places.get(old);
        if let Some(object) = asks_url(seen, row).or_else(|| asks_time(seen)) {
            metas.insert(object);
        }
        if let (Aim::Content { object, formats }, Some(row)) = (&seen.aim, row)
            && content::asks_revision(inputs, row, object, formats, view.edited(inputs, seen))
        {
            revisions.insert(object.clone());
        }
        if let Some(page) = pages::page_at_rest(inputs, &view, seen, old) {
            let asks = embeds::asks(inputs, page);
            metas.extend(asks.metas);
            boards.extend(asks.boards);
        }
    }
    metas.retain(|object| !inputs.answers.metas.contains_key(object));
    Questions {
        revisions: revisions.into_iter().collect(),
        metas: metas.into_iter().collect(),
        existence: absent.ask,
        boards: boards.into_iter().collect(),
    }
}

/// Wiki listings carry no URL: where one may be written, `metas` knows it.
fn asks_url(seen: &Seen<'_>, row: Option<&PlaceRow>) -> Option<Object> {
    let known = seen.node.url.is_some() || row.is_some_and(|row| row.url.is_some());
    match &seen.aim {
        _ if known => None,
        Aim::Content { object, .. } if view::may_fall_back(&object.ty) => Some(object.clone()),
        // A page names its own address, once.
        Aim::Content { object, formats }
            if formats.contains(&Format::Md) && row.is_none_or(|row| row.page.is_none()) =>
        {
            Some(object.clone())
        }
        Aim::Url => seen.node.target.as_ref().map(|target| target.object.clone()),
        _ => None,
    }
}

/// Why something is left out, in a few words; the whole story is in its failure.
fn short(why: Why) -> &'static str {
    match why {
        Why::Forbidden => "may not be read",
        Why::Unsupported => "the service has no such export",
        Why::TooLarge => "larger than max_size",
        Why::FellBack => "too large to export, so it is Markdown",
        Why::Refused => "the service refuses to export it",
        Why::Blocked => "a file that the mirror does not know is in the way",
        Why::Failed => "failed before",
    }
}

/// A listing without an edit time tells nothing about edits.
fn asks_time(seen: &Seen<'_>) -> Option<Object> {
    match &seen.aim {
        Aim::Content { object, .. }
            if seen.node.edited.is_none() && seen.node.object.ty != ObjType::Shortcut =>
        {
            Some(object.clone())
        }
        _ => None,
    }
}

fn study<'a>(inputs: &Inputs<'a>) -> (View<'a>, Absent) {
    let mut view = View::of(inputs);
    let absent = Absent::of(inputs, &view);
    let mut held = BTreeSet::new();
    for key in absent.fates.keys() {
        let row = &inputs.recorded.places[key];
        let Some(parent) = &row.parent else { continue };
        let parent = absent.key_after(&PlaceKey::new(&key.source, parent));
        if view.places.contains_key(&parent) && !absent.fates.contains_key(&parent) {
            held.insert(parent);
        }
    }
    for (name, source) in &inputs.tree.sources {
        held.extend(source.quiet.above.iter().map(|place| PlaceKey::new(name, place)));
    }
    view.hold(held);
    (view, absent)
}

/// Decides what a run does. All [`questions`] should be answered.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let (view, absent) = study(inputs);
    let draft = Draft::of(inputs, &view, &absent);
    let mut making = Making {
        inputs,
        view: &view,
        draft: &draft,
        plan: Plan::default(),
        rows: draft.target.places.clone(),
        leaving: BTreeSet::new(),
        changed: BTreeSet::new(),
        fetches: BTreeMap::new(),
    };
    making.states(&absent);
    making.sources(&absent);
    making.folders_and_omissions();
    making.contents();
    making.removals(&absent);
    making.stranded_links();
    making.rewrites();
    making.relocations();
    making.finish()
}

pub(super) struct Making<'m, 'a> {
    pub inputs: &'m Inputs<'a>,
    pub view: &'m View<'a>,
    pub draft: &'m Draft,
    pub plan: Plan,
    /// Rows as they should be recorded.
    pub rows: BTreeMap<PlaceKey, PlaceRow>,
    /// Files that this run removes.
    pub leaving: BTreeSet<(PlaceKey, ProductKey)>,
    /// Places with some change.
    pub changed: BTreeSet<PlaceKey>,
    pub fetches: BTreeMap<Object, Fetch>,
}

impl Making<'_, '_> {
    /// A change of a place, as printed.
    pub fn change(
        &mut self,
        kind: ChangeKind,
        key: &PlaceKey,
        path: RelPath,
        format: Option<Format>,
        reason: Option<&str>,
    ) -> Change {
        self.changed.insert(key.clone());
        let object = match (self.rows.get(key), self.view.places.get(key)) {
            (Some(row), _) => row.object.clone(),
            (None, Some(seen)) => seen.node.object.clone(),
            (None, None) => Object::new(ObjType::Other(String::new()), key.token.as_str()),
        };
        Change {
            kind,
            path,
            from: None,
            source: key.source.clone(),
            token: key.token.clone(),
            obj_token: object.token,
            ty: object.ty,
            format,
            reason: reason.map(str::to_owned),
        }
    }

    fn states(&mut self, absent: &Absent) {
        let now = self.inputs.now_secs;
        for (old, fate) in &absent.fates {
            let Some(key) = self.after(old) else { continue };
            let Some(row) = self.rows.get_mut(&key) else { continue };
            match *fate {
                Fate::Gone { walks } => {
                    row.absent_walks = walks;
                    if !matches!(row.state, PlaceState::Gone { .. }) {
                        row.state = PlaceState::Gone { since_secs: now };
                    }
                }
                Fate::Hidden { asked } => {
                    row.absent_walks = 0;
                    let known = matches!(row.state, PlaceState::Hidden { asked_secs }
                        if !asked || now - asked_secs < super::absent::ASK_AGAIN_SECS);
                    if !known {
                        row.state = PlaceState::Hidden { asked_secs: now };
                    }
                }
                Fate::Orphaned => row.state = PlaceState::Orphaned,
                Fate::Absent { walks } => row.absent_walks = walks,
                Fate::Unknown => {}
            }
        }
    }

    /// The final key of a recorded row.
    pub fn after(&self, old: &PlaceKey) -> Option<PlaceKey> {
        self.draft.after.get(old).cloned()
    }

    fn sources(&mut self, absent: &Absent) {
        self.plan.guards.clone_from(&absent.guards);
        for (name, failure) in &absent.unclear {
            self.plan.listing_failures.push((name.clone(), failure.clone()));
        }
        for (name, source) in &self.inputs.tree.sources {
            for (_, failure) in source.failures() {
                self.plan.listing_failures.push((name.clone(), failure.clone()));
            }
            let known = self.inputs.recorded.sources.get(name);
            let full = source.is_full().then_some(self.inputs.now_secs);
            let root = match known {
                Some(known) if source.root.is_empty() => known.root.clone(),
                _ => source.root.clone(),
            };
            // What another entry or root listed says nothing about this one.
            let known = known.filter(|known| {
                let same = known.entry.as_ref().is_none_or(|entry| *entry == source.entry);
                same && known.root == root
            });
            let looked = known.and_then(|row| row.looked_secs);
            let row = match known {
                _ if full.is_some() => SourceRow {
                    walk_calls: Some(source.calls),
                    filter: Some(self.inputs.rules.filter.print()),
                    looked_secs: source.looked_secs,
                    full_walk_secs: full,
                    entry: Some(source.entry.clone()),
                    root,
                },
                known => SourceRow {
                    entry: Some(source.entry.clone()),
                    root,
                    // A walk that is not whole has not seen everything new.
                    looked_secs: source.looked_secs.filter(|_| source.is_cheap()).or(looked),
                    ..known.cloned().unwrap_or_default()
                },
            };
            self.plan.sources.insert(name.clone(), row);
        }
    }

    fn folders_and_omissions(&mut self) {
        for (key, seen) in &self.view.places {
            if !self.draft.live.contains(key) {
                self.omit(key, seen, None);
                continue;
            }
            let source = &self.inputs.tree.sources[&key.source];
            let listing = source.listings.get(&Some(key.token.clone()));
            if let (Some(Listing::Forbidden(failure)), Some(path)) =
                (listing, self.draft.path(key, Slot::Dir))
            {
                let change =
                    self.change(ChangeKind::Skip, key, path, None, Some("may not be listed"));
                let failure = Some(failure.clone());
                self.plan.skips.push(Skip { change, why: Some(Why::Forbidden), failure });
            }
            if self.rows[key].names.contains_key(&Slot::Dir) {
                self.folder(key, seen);
            }
            if !matches!(seen.aim, Aim::Nothing(Omit::Filtered)) {
                self.omit(key, seen, self.draft.path(key, Slot::Dir));
            }
        }
        for (name, source) in &self.inputs.tree.sources {
            if !self.inputs.rules.allow_forbidden
                && let Some(Listing::Forbidden(failure)) = source.listings.get(&None)
            {
                self.plan.listing_failures.push((name.clone(), failure.clone()));
            }
        }
    }

    fn folder(&mut self, key: &PlaceKey, seen: &Seen<'_>) {
        let old = self.draft.before.get(key).cloned();
        let recorded = old.as_ref().and_then(|old| {
            let row = &self.inputs.recorded.places[old];
            row.names.contains_key(&Slot::Dir).then(|| self.inputs.recorded.slot(old, Slot::Dir))
        });
        let missing = match recorded.flatten() {
            None => None,
            Some(at) => match self.inputs.local.entries.get(&at) {
                Some(LocalEntry::Dir) => return,
                _ => Some("missing"),
            },
        };
        let Some(path) = self.draft.path(key, Slot::Dir) else { return };
        let kind = if missing.is_some() { ChangeKind::Restore } else { ChangeKind::Add };
        // A space's folder and the one beside a wiki page are no places of their own.
        let shown = seen.node.object.ty == ObjType::Folder;
        let change = shown.then(|| self.change(kind, key, path, None, missing));
        self.plan.folders.push(MakeFolder { place: key.clone(), change });
    }

    /// Says why a listed place has nothing of its own in the copy.
    fn omit(&mut self, key: &PlaceKey, seen: &Seen<'_>, path: Option<RelPath>) {
        let Aim::Nothing(omit) = &seen.aim else { return };
        if seen.node.object.ty == ObjType::Space {
            return;
        }
        let Some(path) = path.or_else(|| RelPath::new(seen.glob_path.clone()).ok()) else {
            return;
        };
        let ty = seen.node.target.as_ref().map_or(&seen.node.object.ty, |t| &t.object.ty);
        let (why, reason) = match omit {
            Omit::Filtered => (None, "filtered".to_owned()),
            Omit::ShortcutsSkipped => (None, "shortcuts are skipped".to_owned()),
            Omit::Unsupported => (Some(Why::Unsupported), format!("type {ty} has no export")),
            Omit::TargetUnknown => {
                (Some(Why::Unsupported), "the listing does not name its target".to_owned())
            }
            Omit::TargetGone => (Some(Why::Unsupported), "its target is deleted".to_owned()),
            Omit::TargetNoAnswer => (Some(Why::Failed), "its target gave no answer".to_owned()),
            Omit::TargetForbidden | Omit::TargetNotAsked => {
                (Some(Why::Forbidden), "its target may not be read".to_owned())
            }
        };
        let failure = (why == Some(Why::Forbidden)).then(|| {
            Failure::new(
                format!("the target of shortcut {:?} may not be read", seen.node.title),
                "ask its owner to share the target, or set export.shortcut = \"skip\"",
            )
        });
        let change = self.change(ChangeKind::Skip, key, path, None, Some(&reason));
        self.plan.skips.push(Skip { change, why, failure });
    }

    fn contents(&mut self) {
        let current = self.current_products();
        let keys: Vec<PlaceKey> = self.draft.live.iter().cloned().collect();
        for key in &keys {
            let seen = &self.view.places[key];
            match &seen.aim {
                Aim::Content { object, formats } => {
                    for format in formats {
                        self.content(key, object, *format, &current);
                    }
                    self.outcomes(key, formats);
                    self.kept_url(key);
                }
                Aim::Url => self.url(key),
                Aim::Links { to, formats, dir } => {
                    for format in formats {
                        self.link(key, Slot::LinkTo(*format), to, format.slot());
                    }
                    if *dir {
                        self.link(key, Slot::LinkToDir, to, Slot::Dir);
                    }
                    self.outcomes(key, &[]);
                }
                Aim::Folder | Aim::Nothing(_) => {}
            }
        }
    }

    /// Outcomes of formats that nobody wants any more are forgotten.
    fn outcomes(&mut self, key: &PlaceKey, formats: &[Format]) {
        if let Some(row) = self.rows.get_mut(key) {
            row.outcomes.retain(|format, _| formats.contains(format));
        }
    }

    /// Products that are current remotely and intact on disk, by object and format: other
    /// places of the object copy them, or what stands beside them.
    fn current_products(&self) -> BTreeMap<(Object, Format), (PlaceKey, ProductKey)> {
        let mut found = BTreeMap::new();
        for key in &self.draft.live {
            let seen = &self.view.places[key];
            let (Aim::Content { object, formats }, Some(old)) =
                (&seen.aim, self.draft.before.get(key))
            else {
                continue;
            };
            let row = &self.inputs.recorded.places[old];
            for format in formats {
                let product = match format {
                    // Of a base the attachments are copied, so any of its tables will do.
                    Format::Json => {
                        let mut products = row.products.keys();
                        match products.find(|product| product.format() == Some(Format::Json)) {
                            Some(product) => product.clone(),
                            None => continue,
                        }
                    }
                    format => ProductKey::whole(format.slot()),
                };
                if row.products.contains_key(&product)
                    && content::on_disk(self.inputs, old, &product) == OnDisk::Intact
                    && matches!(self.need(key, object, *format), Need::Nothing(_))
                {
                    found
                        .entry((object.clone(), *format))
                        .or_insert_with(|| (key.clone(), product));
                }
            }
        }
        found
    }

    pub fn need(&self, key: &PlaceKey, object: &Object, format: Format) -> Need {
        let seen = &self.view.places[key];
        let old = self.draft.before.get(key);
        let old = old.map(|old| (old, &self.inputs.recorded.places[old]));
        let edited = self.view.edited(self.inputs, seen);
        let options = self.inputs.options;
        let forced = options.force.as_ref().is_some_and(|globs| globs.matches(&seen.glob_path));
        content::need(self.inputs, old, object, format, edited, forced)
    }

    /// True where this run fetches what is needed: with `--retry-failed`, only what was
    /// tried before.
    pub fn comes(&self, key: &PlaceKey, format: Format, need: &Need) -> bool {
        let tried = || {
            let old = self.draft.old_row(self.inputs, key);
            old.is_some_and(|row| row.outcomes.contains_key(&format))
        };
        match need {
            Need::Nothing(_) | Need::Rewrite(_) | Need::Skip(_) => false,
            Need::Update(content::REFUSED) => true,
            Need::Add | Need::Update(_) | Need::Restore(..) => {
                !self.inputs.options.retry_failed || tried()
            }
        }
    }

    fn content(
        &mut self,
        key: &PlaceKey,
        object: &Object,
        format: Format,
        current: &BTreeMap<(Object, Format), (PlaceKey, ProductKey)>,
    ) {
        let Some(path) = self.draft.path(key, format.slot()) else { return };
        let edited = self.view.edited(self.inputs, &self.view.places[key]);
        let failed_before = self.rows[key].outcomes.contains_key(&format);
        let need = self.need(key, object, format);
        let comes = self.comes(key, format, &need);
        let (kind, reason, damaged) = match need {
            Need::Nothing(stamp) => {
                self.touch(key, |product| content::belongs(product, format));
                if let (Some(stamp), Some(row)) = (stamp, self.rows.get_mut(key)) {
                    let products = row.products.iter_mut();
                    products
                        .filter(|(product, _)| product.format() == Some(format))
                        .for_each(|(_, product)| product.stamp = stamp.clone());
                }
                if format == Format::Md {
                    self.page_at_rest(key);
                }
                return;
            }
            Need::Rewrite(reason) => return self.restore_page(key, path, reason),
            Need::Skip(outcome) => {
                let change = self.change(
                    ChangeKind::Skip,
                    key,
                    path,
                    Some(format),
                    Some(short(outcome.why)),
                );
                let failure = Some(outcome.failure.clone());
                self.plan.skips.push(Skip { change, why: Some(outcome.why), failure });
                return;
            }
            Need::Add => (ChangeKind::Add, failed_before.then_some("failed before"), Vec::new()),
            Need::Update(reason) => (ChangeKind::Update, Some(reason), Vec::new()),
            Need::Restore(reason, damaged) => (ChangeKind::Restore, Some(reason), damaged),
        };
        if !comes {
            return;
        }
        let copy_from = match kind {
            ChangeKind::Update => None,
            _ => self.copy_source(key, object, format, edited, current),
        };
        let lost = self.draft.before.get(key).map(|old| {
            let row = &self.inputs.recorded.places[old];
            content::damaged(self.inputs, old, row, format).1
        });
        let lost = lost.unwrap_or_default();
        let change = self.change(kind, key, path, Some(format), reason);
        let seen = &self.view.places[key];
        let revision = self.inputs.answers.revisions.get(object).copied().flatten();
        let url = self.rows[key].url.clone();
        // A shortcut's owner is not its target's.
        let own = Some(seen.node).filter(|node| node.object.ty != ObjType::Shortcut);
        let owner = own
            .and_then(|node| node.owner.clone())
            .or_else(|| view::meta(self.inputs, object).and_then(|meta| meta.owner.clone()));
        let fetch = self.fetches.entry(object.clone()).or_insert_with(|| Fetch {
            object: object.clone(),
            title: seen.node.title.clone(),
            owner: None,
            url: None,
            edited,
            revision,
            wants: Vec::new(),
        });
        fetch.url = fetch.url.take().or(url);
        fetch.owner = fetch.owner.take().or(owner);
        let place = key.clone();
        fetch.wants.push(Want { place, format, copy_from, damaged, lost, change });
    }

    /// A copy elsewhere serves only where it is at least as new as what this place's
    /// own channel shows: another channel may lag behind.
    fn copy_source(
        &self,
        key: &PlaceKey,
        object: &Object,
        format: Format,
        edited: Option<Edited>,
        current: &BTreeMap<(Object, Format), (PlaceKey, ProductKey)>,
    ) -> Option<(PlaceKey, ProductKey)> {
        use crate::model::recorded::Moved;
        let (place, product) = current.get(&(object.clone(), format))?;
        if place == key {
            return None;
        }
        let stamp = &self.rows.get(place)?.products.get(product)?.stamp;
        let fresh = edited
            .is_none_or(|edited| matches!(stamp.compare(edited), Moved::No | Moved::Baseline));
        fresh.then(|| (place.clone(), product.clone()))
    }

    /// Sets mtimes back where nothing else is wrong, and forgets a doubt that was
    /// dispelled.
    pub fn touch(&mut self, key: &PlaceKey, which: impl Fn(&ProductKey) -> bool) {
        let Some(old) = self.draft.before.get(key).cloned() else { return };
        let row = &self.inputs.recorded.places[&old];
        for product in row.products.keys().filter(|product| which(product)) {
            let found = content::on_disk(self.inputs, &old, product);
            if matches!(found, OnDisk::Intact | OnDisk::WrongTime)
                && let Some(now) = self.rows.get_mut(key)
                && let Some(known) = now.products.get_mut(product)
            {
                known.doubtful = false;
            }
            if found != OnDisk::WrongTime {
                continue;
            }
            let Some(Loc::Mirror(path)) = self.draft.target.product(key, product) else {
                continue;
            };
            let reason = Some("modification time");
            let change = self.change(ChangeKind::Restore, key, path, product.format(), reason);
            let product = product.clone();
            self.plan.touches.push(Touch { place: key.clone(), product, change });
        }
    }

    fn removals(&mut self, absent: &Absent) {
        removal::decide(self, absent);
    }

    /// Compares final rows with recorded ones: what stands elsewhere moves, what is
    /// merely known better is recorded.
    fn relocations(&mut self) {
        let mut moves = Vec::new();
        let again: BTreeSet<PlaceKey> =
            self.plan.rewrites.iter().map(|rewrite| rewrite.place.clone()).collect();
        let keys: Vec<PlaceKey> = self.rows.keys().cloned().collect();
        for key in keys {
            let Some(old) = self.draft.before.get(&key).cloned() else {
                self.plan.records.push((key.clone(), self.rows[&key].clone()));
                continue;
            };
            let was = &self.inputs.recorded.places[&old];
            let changes = self.moved_slots(&old, &key);
            if old != key || !changes.is_empty() || self.changes_parent(&old, &key) {
                let mut row = self.rows[&key].clone();
                // The row of a page's file tells as of when it is to be written again.
                let again = again.contains(&key);
                row.products.retain(|product, _| {
                    (again && product.format() == Some(Format::Md))
                        || content::on_disk(self.inputs, &old, product) != OnDisk::Missing
                });
                let relocation = Relocation { from: old, to: key.clone(), row, changes };
                if self.draft.aside.contains(&key) {
                    self.plan.asides.push(relocation);
                } else {
                    moves.push((self.depth(&key), relocation));
                }
            } else if *was != self.rows[&key] {
                self.plan.records.push((key.clone(), self.rows[&key].clone()));
            }
        }
        moves.sort_by(|a, b| (a.0, &a.1.to).cmp(&(b.0, &b.1.to)));
        self.plan.moves = moves.into_iter().map(|(_, relocation)| relocation).collect();
    }

    /// How many folders a place is in.
    pub fn depth(&self, key: &PlaceKey) -> usize {
        let mut above = BTreeSet::new();
        let mut at = self.rows.get(key).and_then(|row| row.parent.clone());
        while let Some(parent) = at {
            let key = PlaceKey::new(&key.source, &parent);
            at = self.rows.get(&key).and_then(|row| row.parent.clone());
            if !above.insert(parent) {
                break;
            }
        }
        above.len()
    }

    fn changes_parent(&self, old: &PlaceKey, key: &PlaceKey) -> bool {
        let was = &self.inputs.recorded.places[old];
        self.parent_after(old, was)
            != self.rows[key].parent.as_ref().map(|p| PlaceKey::new(&key.source, p))
    }

    /// The recorded parent, under its final key.
    fn parent_after(&self, old: &PlaceKey, was: &PlaceRow) -> Option<PlaceKey> {
        let parent = PlaceKey::new(&old.source, was.parent.as_ref()?);
        Some(self.after(&parent).unwrap_or(parent))
    }

    /// Slots on disk that get another name or folder, or that still wait parked.
    fn moved_slots(&mut self, old: &PlaceKey, key: &PlaceKey) -> Vec<(Slot, Change)> {
        let was = &self.inputs.recorded.places[old];
        let same_folder =
            !self.changes_parent(old, key) && (was.parent.is_some() || old.source == key.source);
        let mut slots: BTreeSet<Slot> = was
            .products
            .keys()
            .filter(|product| content::on_disk(self.inputs, old, product) != OnDisk::Missing)
            .map(|product| product.slot)
            .collect();
        if was.names.contains_key(&Slot::Dir) {
            let at = self.inputs.recorded.slot(old, Slot::Dir);
            let there = at.is_some_and(|at| content::may_stand(self.inputs, &at));
            if there && self.rows[key].names.contains_key(&Slot::Dir) {
                slots.insert(Slot::Dir);
            }
        }
        let mut changes = Vec::new();
        for slot in slots {
            let stays = same_folder
                && was.names.get(&slot) == self.rows[key].names.get(&slot)
                && !was.elsewhere.contains_key(&slot);
            let Some(path) = self.draft.path(key, slot).filter(|_| !stays) else {
                continue;
            };
            let format = ProductKey::whole(slot).format();
            let mut change = self.change(ChangeKind::Move, key, path, format, None);
            change.from =
                self.inputs.recorded.slot(old, slot).and_then(|at| at.in_mirror().cloned());
            if self.draft.aside.contains(key) {
                change.reason = Some("gone, makes room".to_owned());
            }
            changes.push((slot, change));
        }
        changes
    }

    fn finish(mut self) -> Plan {
        self.plan.fetches = std::mem::take(&mut self.fetches).into_values().collect();
        let mut folders = std::mem::take(&mut self.plan.folders);
        folders.sort_by_cached_key(|folder| (self.depth(&folder.place), folder.place.clone()));
        self.plan.folders = folders;
        self.plan.skips.sort_by(|a, b| a.change.cmp(&b.change));
        for key in &self.draft.live {
            let space = self.view.places[key].node.object.ty == ObjType::Space;
            let asked = !matches!(self.view.places[key].aim, Aim::Nothing(_));
            if asked && !space && !self.changed.contains(key) {
                self.plan.unchanged.push(key.clone());
            }
        }
        self.plan
    }
}
