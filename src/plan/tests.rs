//! Stories of the pure plan, against a world in memory that carries plans out perfectly.

mod hostile;
mod pages;
mod quiet;

use std::collections::BTreeMap;

use super::*;
use crate::model::local::LocalEntry;
use crate::model::page::PageRow;
use crate::model::recorded::{Loc, Outcome, PlaceState, ProductRow, Stamp};
use crate::model::tree::{Listing, Node, RemoteSource, Target};
use crate::model::{Channel, ContentHash, ObjType, PlaceToken, RelPath};
use crate::rules::{Filter, MaxDelete, PruneAction, ShortcutMode};

/// A remote source, a manifest and a disk.
struct World {
    tree: RemoteTree,
    recorded: Recorded,
    local: LocalState,
    rules: Rules,
    options: Options,
    now: i64,
    revisions: BTreeMap<Object, i64>,
    gone: Vec<PlaceKey>,
    hidden: Vec<PlaceKey>,
    metas: BTreeMap<Object, Meta>,
    /// What documents hold, by token: links, lists and embeds.
    pages: BTreeMap<String, PageRow>,
    boards: BTreeMap<String, ContentHash>,
    /// True while no call about metadata or boards works.
    silent: bool,
    /// What the last run asked.
    asked: Vec<Questions>,
}

pub(super) fn rules() -> Rules {
    let formats = [
        (ObjType::Docx, Format::Docx),
        (ObjType::Sheet, Format::Xlsx),
        (ObjType::Slides, Format::Pptx),
        (ObjType::Mindnote, Format::Pdf),
    ];
    Rules {
        formats: formats.into_iter().map(|(ty, format)| (ty, vec![format])).collect(),
        export_rules: Vec::new(),
        shortcut: ShortcutMode::Link,
        filter: Filter {
            include: Globs::new(["**"]).unwrap(),
            exclude: Globs::default(),
            types: Vec::new(),
        },
        max_size: None,
        markdown: crate::rules::Markdown::default(),
        comments_every_secs: None,
        allow_forbidden: false,
        prune_default: PruneAction::Trash,
        prune_rules: Vec::new(),
        max_delete: MaxDelete::Percent(50.0),
        sources: vec!["drive".into(), "other".into()],
    }
}

fn key(token: &str) -> PlaceKey {
    PlaceKey::new(&"drive".into(), &token.into())
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            tree: RemoteTree::default(),
            recorded: Recorded::default(),
            local: LocalState::default(),
            rules: rules(),
            options: Options::default(),
            now: 1_000_000,
            revisions: BTreeMap::new(),
            gone: Vec::new(),
            hidden: Vec::new(),
            metas: BTreeMap::new(),
            pages: BTreeMap::new(),
            boards: BTreeMap::new(),
            silent: false,
            asked: Vec::new(),
        };
        world.source("drive");
        world
    }

    fn source(&mut self, name: &str) {
        let source = RemoteSource {
            entry: String::new(),
            family: crate::model::tree::Family::Drive,
            root: "root".to_owned(),
            pinned: false,
            nodes: BTreeMap::new(),
            listings: BTreeMap::from([(None, Listing::Complete)]),
            known: BTreeMap::new(),
            ..RemoteSource::default()
        };
        self.tree.sources.insert(name.into(), source);
    }

    fn add(&mut self, token: &str, parent: Option<&str>, title: &str, ty: &str) {
        self.add_in("drive", token, parent, title, ty);
    }

    fn add_in(&mut self, source: &str, token: &str, parent: Option<&str>, title: &str, ty: &str) {
        let ty = ObjType::from(ty);
        let source = self.tree.sources.get_mut(&source.into()).unwrap();
        if ty == ObjType::Folder {
            source.listings.insert(Some(token.into()), Listing::Complete);
        }
        let node = Node {
            token: token.into(),
            parent: parent.map(PlaceToken::from),
            object: Object::new(ty, token),
            title: title.to_owned(),
            created_secs: 100,
            order: 0,
            owner: None,
            edited: Some(Edited { channel: Channel::Drive, at_secs: 500, seen_secs: self.now }),
            has_children: false,
            url: Some(format!("https://example.feishu.cn/{token}")),
            target: None,
            filtered: false,
        };
        source.nodes.insert(token.into(), node);
    }

    fn shortcut(&mut self, token: &str, title: &str, ty: &str, target: &str) {
        self.add(token, None, title, "shortcut");
        let node = self.node(token);
        node.object = Object::new(ObjType::Shortcut, target);
        node.target = Some(Target { object: Object::new(ty.into(), target), place: None });
    }

    fn node(&mut self, token: &str) -> &mut Node {
        let source = self.tree.sources.get_mut(&"drive".into()).unwrap();
        source.nodes.get_mut(&token.into()).unwrap()
    }

    fn edit(&mut self, token: &str) {
        self.now += 100;
        let (now, node) = (self.now, self.node(token));
        let edited = Edited { channel: Channel::Drive, at_secs: now - 50, seen_secs: now };
        node.edited = Some(edited);
        let object = node.object.clone();
        *self.revisions.entry(object).or_insert(1) += 1;
    }

    fn remove(&mut self, token: &str) {
        let source = self.tree.sources.get_mut(&"drive".into()).unwrap();
        source.nodes.remove(&token.into());
        source.listings.remove(&Some(token.into()));
        self.gone.push(key(token));
    }

    fn inputs<'a>(&'a self, answers: &'a Answers) -> Inputs<'a> {
        Inputs {
            tree: &self.tree,
            recorded: &self.recorded,
            local: &self.local,
            rules: &self.rules,
            options: &self.options,
            answers,
            now_secs: self.now,
        }
    }

    fn plan(&mut self) -> Plan {
        self.now += 10;
        let mut answers = Answers::default();
        self.asked.clear();
        for _ in 0..20 {
            let inputs = self.inputs(&answers);
            let questions = questions(&inputs);
            if questions.is_empty() {
                return quiet::compared(&inputs, &questions);
            }
            for object in &questions.revisions {
                let revision = self.revisions.get(object).copied().unwrap_or(1);
                answers.revisions.insert(object.clone(), Some(revision));
            }
            for object in &questions.metas {
                let meta = self.metas.get(object).cloned().ok_or(Existence::Gone);
                answers.metas.insert(object.clone(), self.silence(meta));
            }
            for board in &questions.boards {
                let hash = self.boards.get(board).copied().ok_or(Existence::Gone);
                answers.boards.insert(board.clone(), self.silence(hash));
            }
            for (place, _) in &questions.existence {
                let answer = if self.gone.contains(place) {
                    Existence::Gone
                } else if self.hidden.contains(place) {
                    Existence::Hidden
                } else {
                    Existence::Exists
                };
                answers.existence.insert(place.clone(), answer);
            }
            self.asked.push(questions);
        }
        panic!("questions never end");
    }

    /// The answer, where the service gives any.
    fn silence<T>(&self, answer: Result<T, Existence>) -> Result<T, Existence> {
        let failed = || Existence::Unknown(Failure::new("the server said 500", "run again"));
        if self.silent { Err(failed()) } else { answer }
    }

    /// Plans and carries the plan out; returns what `diff` would print.
    fn run(&mut self) -> Vec<String> {
        let plan = self.plan();
        let lines = lines(&plan);
        self.apply(plan);
        lines
    }

    fn apply(&mut self, plan: Plan) {
        let stale = plan.stale.clone();
        let mut written = BTreeSet::new();
        let mut contents: BTreeMap<(PlaceKey, ProductKey), LocalEntry> = BTreeMap::new();
        let mut dirs = Vec::new();
        let rekeyed: BTreeMap<PlaceKey, PlaceKey> = plan
            .moves
            .iter()
            .chain(&plan.asides)
            .map(|moved| (moved.from.clone(), moved.to.clone()))
            .collect();
        for (place, row) in &self.recorded.places {
            let last = rekeyed.get(place).unwrap_or(place);
            for product in row.products.keys() {
                let at = self.recorded.product(place, product);
                let at = at.unwrap_or_else(|| panic!("{place} {product:?} {row:?}"));
                if let Some(entry) = self.local.entries.get(&at) {
                    contents.insert((last.clone(), product.clone()), entry.clone());
                }
            }
            if row.names.contains_key(&Slot::Dir) {
                let at = self.recorded.slot(place, Slot::Dir).unwrap();
                if self.local.entries.contains_key(&at) {
                    dirs.push(last.clone());
                }
            }
        }
        for (place, row) in plan.records {
            self.recorded.places.insert(place, row);
        }
        for place in plan.forget {
            self.recorded.places.remove(&place);
        }
        for moved in &plan.moves {
            self.recorded.places.remove(&moved.from);
        }
        for moved in plan.asides.into_iter().chain(plan.moves) {
            self.recorded.places.insert(moved.to, moved.row);
        }
        dirs.extend(plan.folders.into_iter().map(|folder| folder.place));
        for fetch in plan.fetches {
            let revision = self.revisions.get(&fetch.object).copied().or(Some(1));
            for want in fetch.wants {
                let product = ProductKey::whole(Slot::Product(want.format));
                let mtime_secs = fetch.edited.map_or(self.now, |edited| edited.at_secs);
                let read_secs = (want.format == Format::Comments).then_some(self.now);
                let row = ProductRow {
                    part_name: None,
                    size: 3,
                    blake3: ContentHash::from(blake3::hash(b"abc")),
                    mtime_secs,
                    link: None,
                    stamp: Stamp { read_secs, ..Stamp::of(fetch.edited, revision) },
                    doubtful: false,
                };
                let entry = LocalEntry::File { size: 3, mtime_secs };
                contents.insert((want.place.clone(), product.clone()), entry);
                let place = self.recorded.places.get_mut(&want.place).unwrap();
                place.outcomes.remove(&want.format);
                place.products.insert(product, row);
                if want.format == Format::Md {
                    let page = self.pages.get(fetch.object.token.as_str()).cloned();
                    place.page = Some(Box::new(page.unwrap_or_else(pages::blank)));
                    written.insert(want.place);
                }
            }
        }
        for rewrite in plan.rewrites {
            let product = ProductKey::whole(Format::Md.slot());
            let row = &self.recorded.places[&rewrite.place].products[&product];
            let entry = LocalEntry::File { size: row.size, mtime_secs: row.mtime_secs };
            contents.insert((rewrite.place.clone(), product), entry);
            written.insert(rewrite.place);
        }
        for link in plan.links {
            let text = crate::layout::relative(
                &link.change.path.parent().unwrap(),
                self.recorded.slot(&link.to.0, link.to.1).unwrap().in_mirror().unwrap(),
            );
            let product = ProductKey::whole(link.slot);
            let row = ProductRow {
                part_name: None,
                size: 0,
                blake3: ContentHash::from(blake3::hash(text.as_bytes())),
                mtime_secs: 0,
                link: Some(text.clone()),
                stamp: Stamp::default(),
                doubtful: false,
            };
            contents.insert((link.place.clone(), product.clone()), LocalEntry::Link(text));
            self.recorded.places.get_mut(&link.place).unwrap().products.insert(product, row);
        }
        for prune in plan.prunes {
            for (product, _) in &prune.products {
                contents.remove(&(prune.place.clone(), product.clone()));
            }
            if prune.folder.is_some() {
                dirs.retain(|dir| *dir != prune.place);
            }
            match prune.row {
                Some(row) => self.recorded.places.insert(prune.place, row),
                None => self.recorded.places.remove(&prune.place),
            };
        }
        self.recorded.sources.extend(plan.sources);
        self.write_pages(&stale, written);
        self.local = LocalState::default();
        for ((place, product), entry) in contents {
            if let Some(at) = self.recorded.product(&place, &product) {
                self.local.entries.insert(at, entry);
            }
        }
        for place in dirs {
            if let Some(at) = self.recorded.slot(&place, Slot::Dir) {
                self.local.entries.insert(at, LocalEntry::Dir);
            }
        }
    }

    fn files(&self) -> Vec<String> {
        let files = self.local.entries.iter().filter(|(_, e)| **e != LocalEntry::Dir);
        files.map(|(at, _)| at.in_mirror().unwrap().to_string()).collect()
    }
}

fn lines(plan: &Plan) -> Vec<String> {
    let mut changes: Vec<&Change> = Vec::new();
    changes
        .extend(plan.asides.iter().chain(&plan.moves).flat_map(|m| m.changes.iter().map(|c| &c.1)));
    changes.extend(plan.folders.iter().filter_map(|folder| folder.change.as_ref()));
    changes.extend(plan.fetches.iter().flat_map(|fetch| fetch.wants.iter().map(|w| &w.change)));
    changes.extend(plan.rewrites.iter().map(|rewrite| &rewrite.change));
    changes.extend(plan.touches.iter().map(|touch| &touch.change));
    changes.extend(plan.urls.iter().map(|url| &url.change));
    changes.extend(plan.links.iter().map(|link| &link.change));
    for prune in &plan.prunes {
        changes.extend(prune.products.iter().map(|(_, change)| change));
        changes.extend(prune.folder.as_ref());
    }
    changes.extend(plan.skips.iter().map(|skip| &skip.change));
    let mut lines: Vec<String> = changes
        .into_iter()
        .map(|change| match &change.from {
            Some(from) => format!("{} {from} -> {}", change.kind.letter(), change.path),
            None => format!("{} {}", change.kind.letter(), change.path),
        })
        .collect();
    lines.sort();
    lines
}

fn assert_quiet(world: &mut World) {
    let plan = world.plan();
    assert_eq!(lines(&plan), [""; 0]);
    assert_eq!((plan.records.len(), plan.forget.len()), (0, 0), "{:?}", plan.records);
    assert!(world.asked.is_empty(), "{:?}", world.asked);
}

#[test]
fn the_second_plan_is_empty_and_asks_nothing() {
    let mut world = World::new();
    world.add("fld", None, "Plans", "folder");
    world.add("doc", Some("fld"), "Intro", "docx");
    world.add("sht", Some("fld"), "Intro", "sheet");
    world.add("upl", None, "a.pdf", "file");
    assert_eq!(
        world.run(),
        ["A drive/Plans", "A drive/Plans/Intro.docx", "A drive/Plans/Intro.xlsx", "A drive/a.pdf"]
    );
    assert_quiet(&mut world);
}

#[test]
fn an_edit_fetches_one_object_and_a_touch_none() {
    let mut world = World::new();
    world.add("a", None, "A", "docx");
    world.add("b", None, "B", "docx");
    world.run();
    world.edit("a");
    assert_eq!(world.run(), ["U drive/A.docx"]);
    world.edit("b");
    world.revisions.insert(Object::new(ObjType::Docx, "b"), 1);
    assert_eq!(world.run(), [""; 0], "the edit time moved, the revision did not");
    assert_quiet(&mut world);
}

#[test]
fn a_renamed_folder_is_one_move_whatever_is_in_it() {
    let mut world = World::new();
    world.add("fld", None, "Old", "folder");
    for n in 0..50 {
        world.add(&format!("d{n}"), Some("fld"), &format!("Page {n}"), "docx");
    }
    world.run();
    world.node("fld").title = "New".to_owned();
    assert_eq!(world.run(), ["M drive/Old -> drive/New"]);
    assert!(world.files().iter().all(|file| file.starts_with("drive/New/")));
    assert_quiet(&mut world);
}

#[test]
fn two_folders_swap_titles_without_a_fetch() {
    let mut world = World::new();
    world.add("x", None, "X", "folder");
    world.add("y", None, "Y", "folder");
    world.add("in", Some("x"), "Doc", "docx");
    world.run();
    world.node("x").title = "Y".to_owned();
    world.node("y").title = "X".to_owned();
    assert_eq!(world.run(), ["M drive/X -> drive/Y", "M drive/Y -> drive/X"]);
    assert_eq!(world.files(), ["drive/Y/Doc.docx"]);
    assert_quiet(&mut world);
}

#[test]
fn a_new_twin_never_moves_the_old_one() {
    let mut world = World::new();
    world.add("bbbbbbbb2", None, "Same", "docx");
    world.run();
    world.add("aaaaaaaa1", None, "Same", "docx");
    world.node("aaaaaaaa1").created_secs = 1;
    assert_eq!(world.run(), ["A drive/Same~aaaaaaa1.docx"]);
    assert_quiet(&mut world);
    // The twin leaves: the other keeps its name, whatever stood beside it.
    world.remove("bbbbbbbb2");
    assert_eq!(world.run(), ["P drive/Same.docx"]);
    assert_eq!(world.files(), ["drive/Same~aaaaaaa1.docx"]);
}

#[test]
fn gone_is_confirmed_first_and_hidden_is_kept() {
    let mut world = World::new();
    world.add("fld", None, "F", "folder");
    world.add("doc", Some("fld"), "D", "docx");
    world.add("low", Some("fld"), "L", "docx");
    world.add("else", None, "E", "docx");
    world.run();
    for token in ["fld", "doc", "low"] {
        world.remove(token);
    }
    world.gone.clear();
    world.hidden.push(key("fld"));
    assert_eq!(world.run(), [""; 0]);
    assert_eq!(world.asked.len(), 1, "what is below a hidden folder is not asked");
    assert_eq!(world.asked[0].existence.len(), 1);
    assert!(matches!(world.recorded.places[&key("doc")].state, PlaceState::Hidden { .. }));
    assert_quiet(&mut world);
    world.now += 8 * 24 * 3600;
    world.hidden.clear();
    world.gone.extend([key("fld"), key("doc"), key("low")]);
    world.rules.max_delete = MaxDelete::Percent(100.0);
    assert_eq!(world.run(), ["P drive/F", "P drive/F/D.docx", "P drive/F/L.docx"]);
    assert_eq!(world.files(), ["drive/E.docx"]);
    assert_quiet(&mut world);
}

#[test]
fn a_failed_listing_deletes_nothing() {
    let mut world = World::new();
    world.add("fld", None, "F", "folder");
    world.add("doc", Some("fld"), "D", "docx");
    world.add("top", None, "T", "docx");
    world.run();
    world.remove("doc");
    world.remove("top");
    let source = world.tree.sources.get_mut(&"drive".into()).unwrap();
    let failure = Failure::new("the server said 500", "");
    source.listings.insert(Some("fld".into()), Listing::Failed(failure));
    let plan = world.plan();
    assert_eq!(lines(&plan), [""; 0]);
    assert_eq!(plan.listing_failures.len(), 1);
    assert!(world.asked.is_empty(), "nothing can be concluded, so nothing is asked");
}

#[test]
fn an_empty_listing_trips_the_guard_until_overridden() {
    let mut world = World::new();
    world.add("a", None, "A", "docx");
    world.run();
    world.remove("a");
    let plan = world.plan();
    assert_eq!((plan.guards.len(), lines(&plan).len()), (1, 0));
    world.rules.max_delete = MaxDelete::Percent(100.0);
    assert_eq!(world.run(), ["P drive/A.docx"]);
}

#[test]
fn too_many_deletions_are_refused_all_together() {
    let mut world = World::new();
    for n in 0..20 {
        world.add(&format!("d{n:02}"), None, &format!("Page {n:02}"), "docx");
    }
    world.run();
    for n in 0..11 {
        world.remove(&format!("d{n:02}"));
    }
    let plan = world.plan();
    assert_eq!((plan.guards.len(), plan.prunes.len()), (1, 0));
    world.options.no_prune = true;
    let plan = world.plan();
    assert_eq!((plan.guards.len(), plan.prunes.len()), (0, 0));
}

#[test]
fn deleted_and_made_anew_under_one_title_with_keep() {
    let mut world = World::new();
    world.rules.prune_default = PruneAction::Keep;
    world.add("old", None, "Plan", "docx");
    world.run();
    world.remove("old");
    world.add("new", None, "Plan", "docx");
    assert_eq!(world.run(), ["A drive/Plan.docx", "M drive/Plan.docx -> drive/Plan~gone-old.docx"]);
    assert_eq!(world.files(), ["drive/Plan.docx", "drive/Plan~gone-old.docx"]);
    world.run();
    assert_quiet(&mut world);
}

#[test]
fn a_place_that_exists_leaves_after_two_walks() {
    let mut world = World::new();
    world.add("a", None, "A", "docx");
    world.add("b", None, "B", "docx");
    world.run();
    world.remove("a");
    world.gone.clear();
    assert_eq!(world.run(), [""; 0]);
    assert_eq!(world.run(), ["P drive/A.docx"]);
}

#[test]
fn an_excluded_folder_is_orphaned_and_its_copy_stays() {
    let mut world = World::new();
    world.add("fld", None, "tmp", "folder");
    world.add("doc", Some("fld"), "D", "docx");
    world.add("top", None, "T", "docx");
    world.run();
    world.rules.filter.exclude = Globs::new(["**/tmp/**"]).unwrap();
    world.node("fld").filtered = true;
    let source = world.tree.sources.get_mut(&"drive".into()).unwrap();
    source.nodes.remove(&"doc".into());
    source.listings.insert(Some("fld".into()), Listing::Excluded);
    assert_eq!(world.run(), ["S drive/tmp"]);
    assert_eq!(world.recorded.places[&key("doc")].state, PlaceState::Orphaned);
    assert_eq!(world.files(), ["drive/T.docx", "drive/tmp/D.docx"]);
}

#[test]
fn a_folder_moves_to_another_source_with_all_it_holds() {
    let mut world = World::new();
    world.source("other");
    world.add("fld", None, "F", "folder");
    world.add("doc", Some("fld"), "D", "docx");
    world.add("stay", None, "S", "docx");
    world.run();
    world.remove("fld");
    world.remove("doc");
    world.add_in("other", "fld", None, "F", "folder");
    world.add_in("other", "doc", Some("fld"), "D", "docx");
    assert_eq!(world.run(), ["M drive/F -> other/F"]);
    assert!(world.asked.is_empty(), "a move needs no confirmation");
    assert_eq!(world.files(), ["drive/S.docx", "other/F/D.docx"]);
    assert_quiet(&mut world);
}

#[test]
fn a_missing_or_altered_file_is_restored() {
    let mut world = World::new();
    world.add("a", None, "A", "docx");
    world.add("b", None, "B", "docx");
    world.run();
    let at = |path: &str| Loc::Mirror(RelPath::new(path).unwrap());
    world.local.entries.remove(&at("drive/A.docx"));
    let altered = LocalEntry::File { size: 9, mtime_secs: 500 };
    world.local.entries.insert(at("drive/B.docx"), altered);
    assert_eq!(world.run(), ["R drive/A.docx", "R drive/B.docx"]);
    // Same size, other time: the hash decides.
    let touched = LocalEntry::File { size: 3, mtime_secs: 777 };
    world.local.entries.insert(at("drive/B.docx"), touched);
    assert_eq!(needs_hash(&world.recorded, &world.local), [at("drive/B.docx")]);
    let hash = ContentHash::from(blake3::hash(b"abc"));
    world.local.hashes.insert(at("drive/B.docx"), hash);
    let plan = world.plan();
    assert_eq!((plan.touches.len(), plan.fetches.len()), (1, 0));
}

#[test]
fn shortcuts_follow_their_target_and_fetch_what_is_nowhere_else() {
    let mut world = World::new();
    world.add("fld", None, "F", "folder");
    world.add("doc", Some("fld"), "D", "docx");
    world.shortcut("s1", "To D", "docx", "doc");
    world.shortcut("s2", "To F", "folder", "fld");
    world.shortcut("s3", "Far", "docx", "far");
    let edited = Edited { channel: Channel::Metas, at_secs: 400, seen_secs: world.now };
    let far = Object::new(ObjType::Docx, "far");
    let meta = Meta {
        object: far.clone(),
        title: "Far away".to_owned(),
        edited,
        created_secs: 1,
        owner: Some("ou_target".to_owned()),
        url: None,
    };
    world.metas.insert(far.clone(), meta);
    world.node("s3").owner = Some("ou_shortcut".to_owned());
    let plan = world.plan();
    let fetched = plan.fetches.iter().find(|fetch| fetch.object == far).unwrap();
    assert_eq!(fetched.owner.as_deref(), Some("ou_target"), "not who made the shortcut");
    assert_eq!(
        world.run(),
        ["A drive/F", "A drive/F/D.docx", "A drive/Far.docx", "A drive/To D.docx", "A drive/To F"]
    );
    world.node("doc").title = "Deed".to_owned();
    let changes = world.run();
    assert_eq!(changes, ["M drive/F/D.docx -> drive/F/Deed.docx", "U drive/To D.docx"]);
    let plan = world.plan();
    assert!(lines(&plan).is_empty());
    assert_eq!(world.asked.len(), 1, "one metadata call for what no listing shows");
    assert_eq!(world.asked[0].metas, [far]);
}

#[test]
fn one_object_at_two_places_is_fetched_once() {
    let mut world = World::new();
    world.source("other");
    world.add("doc", None, "D", "docx");
    world.run();
    world.add_in("other", "doc", None, "D", "docx");
    let plan = world.plan();
    let want = &plan.fetches[0].wants[0];
    assert_eq!(want.copy_from.as_ref().unwrap().0, key("doc"));
    world.apply(plan);
    assert_quiet(&mut world);
}

#[test]
fn a_refusal_is_not_asked_again_until_the_object_changes() {
    let mut world = World::new();
    world.add("a", None, "A", "docx");
    world.run();
    let edited = world.node("a").edited;
    let outcome = |why| Outcome {
        why,
        failure: Failure::new("refused", "do this"),
        stamp: Stamp::of(edited, None),
        at_secs: 1_000_000,
        limit: None,
    };
    let cases = [
        (Why::Forbidden, 0, 'S'),
        (Why::Forbidden, 8 * 24 * 3600, 'A'),
        (Why::Refused, 8 * 24 * 3600, 'S'),
        (Why::Unsupported, 0, 'S'),
        (Why::Failed, 0, 'A'),
    ];
    for (why, later, letter) in cases {
        let row = world.recorded.places.get_mut(&key("a")).unwrap();
        row.products.clear();
        row.outcomes = BTreeMap::from([(Format::Docx, outcome(why))]);
        world.now = 1_000_000 + later;
        let line = lines(&world.plan()).remove(0);
        assert!(line.starts_with(letter), "{why:?} after {later} s: {line}");
    }
}

#[test]
fn a_format_is_removed_only_once_the_wanted_one_is_there() {
    let mut world = World::new();
    world.add("a", None, "A", "docx");
    world.run();
    world.rules.formats.insert(ObjType::Docx, vec![Format::Pdf]);
    assert_eq!(world.run(), ["A drive/A.pdf"]);
    let failed = Listing::Failed(Failure::new("the server said 500", ""));
    let source = world.tree.sources.get_mut(&"drive".into()).unwrap();
    source.listings.insert(Some("elsewhere".into()), failed);
    assert_eq!(world.run(), [""; 0], "nothing is removed where a listing failed");
    let source = world.tree.sources.get_mut(&"drive".into()).unwrap();
    source.listings.remove(&Some("elsewhere".into()));
    assert_eq!(world.run(), ["P drive/A.docx"]);
    assert_quiet(&mut world);
}

#[test]
fn a_repointed_source_orphans_what_it_had() {
    let mut world = World::new();
    world.add("a", None, "A", "docx");
    world.run();
    world.remove("a");
    world.add("b", None, "B", "docx");
    world.tree.sources.get_mut(&"drive".into()).unwrap().root = "elsewhere".to_owned();
    assert_eq!(world.run(), ["A drive/B.docx"]);
    assert_eq!(world.recorded.places[&key("a")].state, PlaceState::Orphaned);
    for _ in 0..3 {
        assert_quiet(&mut world);
        world.run();
    }
    assert_eq!(world.files(), ["drive/A.docx", "drive/B.docx"]);
}

/// They are read as often whether the listing shows an edit time or not, and an edit time
/// that moves without an edit is no reading.
#[test]
fn comments_are_read_when_they_were_not_read_for_long() {
    let every = 1_000;
    for shown in [true, false] {
        let mut world = World::new();
        world.rules.comments_every_secs = Some(every);
        world.add("a", None, "A", "docx");
        if !shown {
            world.node("a").edited = None;
        }
        world.run();
        let began = world.now;
        assert_eq!(lines(&world.plan()), [""; 0], "shown: {shown}");
        if shown {
            world.now += 500;
            world.edit("a");
            world.revisions.clear();
            assert_eq!(world.run(), [""; 0]);
        }
        world.now = began + every - 20;
        assert_eq!(world.run(), [""; 0], "shown: {shown}");
        assert_eq!(world.run(), ["U drive/A.comments.json"], "shown: {shown}");
        assert_eq!(world.run(), [""; 0], "shown: {shown}");
    }
}

/// What the service does not export has a link instead, which is mended like any file.
#[test]
fn a_link_that_stands_for_an_export_is_kept_right() {
    let mut world = World::new();
    world.add("m", None, "Ideas", "mindnote");
    world.add("a", None, "A", "docx");
    world.run();
    let url = "https://example.feishu.cn/m";
    let product = ProductKey::whole(Format::Url.slot());
    let row = world.recorded.places.get_mut(&key("m")).unwrap();
    let mut link = row.products.values().next().unwrap().clone();
    let failure = Failure::new("the service has no such export", "");
    let stamp = Stamp::of(world.tree.sources[&"drive".into()].nodes[&"m".into()].edited, None);
    let outcome =
        Outcome { why: Why::Unsupported, failure, stamp, at_secs: world.now, limit: None };
    link.blake3 = ContentHash::from(blake3::hash(url_file_text(url).as_bytes()));
    row.products = BTreeMap::from([(product, link)]);
    row.outcomes = BTreeMap::from([(Format::Pdf, outcome)]);
    let at = Loc::Mirror(RelPath::new("drive/Ideas.url").unwrap());
    world.local.entries.remove(&Loc::Mirror(RelPath::new("drive/Ideas.pdf").unwrap()));
    let skipped = "S drive/Ideas.pdf";
    let file = |size, mtime_secs| Some(LocalEntry::File { size, mtime_secs });
    let cases = [
        (file(3, 500), &[skipped][..]),
        (None, &["R drive/Ideas.url", skipped]),
        (file(4, 500), &["R drive/Ideas.url", skipped]),
        (Some(LocalEntry::Dir), &["R drive/Ideas.url", skipped]),
    ];
    for (found, want) in cases {
        match &found {
            Some(entry) => _ = world.local.entries.insert(at.clone(), entry.clone()),
            None => _ = world.local.entries.remove(&at),
        }
        assert_eq!(lines(&world.plan()), want, "{found:?}");
    }
    // Nothing is made for whom nothing stood: the export may only have failed.
    let row = world.recorded.places.get_mut(&key("m")).unwrap();
    row.outcomes.get_mut(&Format::Pdf).unwrap().why = Why::Forbidden;
    world.local.entries.remove(&at);
    assert_eq!(lines(&world.plan()), [skipped]);
}

/// A rebuilt manifest may know a file only by where it stood. Where it is lost, it comes
/// back under the name it has now, and that is the end of it.
#[test]
fn what_is_lost_elsewhere_comes_back_under_its_name() {
    let mut world = World::new();
    world.add("f", None, "F", "folder");
    world.add("a", Some("f"), "A", "docx");
    world.run();
    let at = |path: &str| Loc::Mirror(RelPath::new(path).unwrap());
    world.local.entries.remove(&at("drive/F/A.docx"));
    let row = world.recorded.places.get_mut(&key("a")).unwrap();
    row.elsewhere.insert(Format::Docx.slot(), at("drive/old.docx"));
    assert_eq!(world.run(), ["R drive/F/A.docx"]);
    assert_eq!(world.files(), ["drive/F/A.docx"]);
    assert_quiet(&mut world);
}
