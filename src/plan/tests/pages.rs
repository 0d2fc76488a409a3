//! Pages: what they link to, list and embed.

use super::*;
use crate::layout::Atlas;
use crate::model::page::{BOARD, Embed, Limits};
use crate::rules::ExportRule;

const DAY: i64 = 86_400;

pub(super) fn blank() -> PageRow {
    PageRow {
        kept: ContentHash([1; 32]),
        around: ContentHash([0; 32]),
        links: Vec::new(),
        lists: Vec::new(),
        limits: Limits::default(),
        embeds: Vec::new(),
    }
}

impl World {
    /// Documents become Markdown.
    fn of_pages() -> Self {
        let mut world = Self::new();
        world.rules.formats.insert(ObjType::Docx, vec![Format::Md]);
        world.rules.max_delete = MaxDelete::Percent(100.0);
        world
    }

    fn page(&mut self, token: &str, title: &str, links: &[&str]) {
        self.add(token, None, title, "docx");
        let links = links.iter().map(|link| (*link).to_owned()).collect();
        self.pages.insert(token.to_owned(), PageRow { links, ..blank() });
    }

    /// A page that shows a sheet and a whiteboard, both last seen now.
    fn page_with_embeds(&mut self) {
        self.page("page", "Page", &[]);
        let board = Object::new(ObjType::from(BOARD), "board");
        let hash = ContentHash([3; 32]);
        self.boards.insert("board".to_owned(), hash);
        let checked_secs = self.now;
        let (stamp, meta) = self.embed(500);
        let object = meta.object.clone();
        self.metas.insert(object.clone(), meta);
        let embeds = vec![
            Embed { hash: Some(hash), ..embed(board, Stamp::default(), checked_secs) },
            embed(object, stamp, checked_secs),
        ];
        self.pages.get_mut("page").unwrap().embeds = embeds;
        self.run();
    }

    /// A sheet of somebody else, edited then.
    fn embed(&self, at_secs: i64) -> (Stamp, Meta) {
        let object = Object::new(ObjType::Sheet, "sheet");
        let edited = Edited { channel: Channel::Metas, at_secs, seen_secs: self.now };
        let title = "Sheet".to_owned();
        let meta = Meta { object, title, edited, created_secs: 1, owner: None, url: None };
        (Stamp::of(Some(edited), None), meta)
    }

    fn checked(&self) -> Vec<i64> {
        let page = self.recorded.places[&key("page")].page.as_ref().unwrap();
        page.embeds.iter().map(|embed| embed.checked_secs).collect()
    }

    /// What carrying a plan out leaves of pages: the surroundings that they show.
    pub(super) fn write_pages(
        &mut self,
        stale: &BTreeSet<(PlaceKey, Format)>,
        written: BTreeSet<PlaceKey>,
    ) {
        let atlas = Atlas::of(&self.recorded);
        for key in written {
            let Some(row) = self.recorded.places.get(&key) else { continue };
            let stands = |key: &PlaceKey, row: &PlaceRow, slot: Slot| {
                let stale = |format| stale.contains(&(key.clone(), format));
                let mut here = row.products.keys().filter(|product| product.slot == slot);
                here.any(|product| !product.format().is_some_and(stale))
            };
            let page = row.page.as_ref().unwrap();
            let colors = self.rules.markdown.colors;
            let around = atlas.around(&self.recorded, &key, page, colors, &stands).unwrap();
            let row = self.recorded.places.get_mut(&key).unwrap();
            row.page.as_mut().unwrap().around = around.hash();
        }
    }

    fn file(&mut self, token: &str, product: &ProductKey, name: &str) {
        let place = self.recorded.places.get_mut(&key(token)).unwrap();
        let md = place.products[&ProductKey::whole(Format::Md.slot())].clone();
        let row = ProductRow { part_name: Some(name.to_owned()), ..md };
        let entry = LocalEntry::File { size: row.size, mtime_secs: row.mtime_secs };
        place.products.insert(product.clone(), row);
        let at = self.recorded.product(&key(token), product).unwrap();
        self.local.entries.insert(at, entry);
    }

    /// A document never came.
    fn fails(&mut self, token: &str) {
        let product = ProductKey::whole(Format::Md.slot());
        let at = self.recorded.product(&key(token), &product).unwrap();
        self.local.entries.remove(&at);
        let edited = self.node(token).edited;
        let outcome = outcome(Why::Failed, edited, self.now);
        let row = self.recorded.places.get_mut(&key(token)).unwrap();
        row.products.remove(&product);
        row.outcomes.insert(Format::Md, outcome);
    }

    fn lose(&mut self, path: &str) {
        let at = Loc::Mirror(RelPath::new(path).unwrap());
        assert!(self.local.entries.remove(&at).is_some(), "{path}");
    }
}

fn embed(object: Object, stamp: Stamp, checked_secs: i64) -> Embed {
    Embed { object, stamp, hash: None, checked_secs, refused: false }
}

fn outcome(why: Why, edited: Option<Edited>, at_secs: i64) -> Outcome {
    let failure = Failure::new("it did not work", "");
    Outcome { why, failure, stamp: Stamp::of(edited, None), at_secs, limit: None }
}

#[test]
fn pages_follow_what_they_link_to_and_ask_nothing() {
    let mut world = World::of_pages();
    world.page("a", "A", &["b"]);
    world.page("b", "B", &[]);
    world.page("c", "C", &["x"]);
    assert_eq!(world.run(), ["A drive/A.md", "A drive/B.md", "A drive/C.md"]);
    assert_quiet(&mut world);

    world.node("b").title = "New".to_owned();
    let plan = world.plan();
    let moved = "M drive/B.md -> drive/New.md";
    // It shows its own title.
    assert_eq!(lines(&plan), [moved, "U drive/A.md", "U drive/New.md"]);
    assert!(world.asked.is_empty() && plan.fetches.is_empty());
    world.apply(plan);
    assert_quiet(&mut world);

    // A folder that both move into changes nothing between them.
    world.add("fld", None, "Folder", "folder");
    for token in ["a", "b", "c"] {
        world.node(token).parent = Some("fld".into());
    }
    let moves = world.run().into_iter().filter(|line| line.starts_with('M')).count();
    assert_eq!(moves, 3);
    assert_quiet(&mut world);

    world.node("c").parent = None;
    world.node("b").parent = None;
    let lines = world.run();
    assert_eq!(
        lines,
        [
            "M drive/Folder/C.md -> drive/C.md",
            "M drive/Folder/New.md -> drive/New.md",
            "U drive/Folder/A.md"
        ]
    );
    assert_quiet(&mut world);
}

#[test]
fn a_page_finds_a_target_that_got_a_suffix() {
    let mut world = World::of_pages();
    world.page("a", "A", &["older000", "newer000"]);
    world.page("newer000", "Notes", &[]);
    world.run();
    // An older one of that title leaves the name to who has it.
    world.page("older000", "Notes", &[]);
    world.node("older000").created_secs = 1;
    let lines = world.run();
    assert_eq!(lines, ["A drive/Notes~older000.md", "U drive/A.md"]);
    assert_quiet(&mut world);
}

/// The copy of what is gone is what a mirror is for: links lead to it for as long as it is
/// kept.
#[test]
fn a_deleted_target_is_linked_while_its_copy_is_kept() {
    for keep in [false, true] {
        let mut world = World::of_pages();
        if keep {
            world.rules.prune_default = PruneAction::Keep;
        }
        world.page("a", "A", &["b"]);
        world.page("b", "B", &[]);
        world.run();
        world.remove("b");
        let lines = world.run();
        let want: &[&str] = if keep { &[] } else { &["P drive/B.md", "U drive/A.md"] };
        assert_eq!(lines, want);
        let plan = world.plan();
        assert_eq!(super::lines(&plan), [""; 0], "keep: {keep}");
        assert_eq!(plan.rewrites, []);
    }
}

/// The old files stay under the rule `keep`, and nothing leads to them.
#[test]
fn links_lead_to_the_format_that_is_wanted() {
    let mut world = World::of_pages();
    world.rules.prune_default = PruneAction::Keep;
    world.page("a", "A", &["b"]);
    world.page("b", "B", &[]);
    world.run();
    world.rules.formats.insert(ObjType::Docx, vec![Format::Docx]);
    let globs = Globs::new(["drive/A"]).unwrap();
    let formats = BTreeMap::from([(ObjType::Docx, vec![Format::Md])]);
    world.rules.export_rules.push(ExportRule { matches: globs, formats });
    let plan = world.plan();
    assert_eq!(lines(&plan), ["A drive/B.docx", "U drive/A.md"]);
    assert!(plan.stale.contains(&(key("b"), Format::Md)));
    world.apply(plan);
    assert_eq!(world.files(), ["drive/A.md", "drive/B.docx", "drive/B.md"]);
    assert_quiet(&mut world);

    // A page that nobody wants any more is left alone, whatever it links to.
    world.rules.export_rules.clear();
    world.run();
    world.node("b").title = "New".to_owned();
    let moves = ["M drive/B.docx -> drive/New.docx", "M drive/B.md -> drive/New.md"];
    assert_eq!(world.run(), moves);
    assert_quiet(&mut world);

    // Wanted again, they are current but for the title and the link.
    world.rules.formats.insert(ObjType::Docx, vec![Format::Md, Format::Docx]);
    assert_eq!(world.run(), ["U drive/A.md", "U drive/New.md"]);
    assert_quiet(&mut world);
}

#[test]
fn a_format_that_is_pruned_takes_what_was_remembered_along() {
    let mut world = World::of_pages();
    world.page("a", "A", &["b"]);
    world.page("b", "B", &[]);
    world.run();
    world.file("a", &ProductKey::asset("one"), "one.png");
    world.rules.formats.insert(ObjType::Docx, vec![Format::Docx]);
    world.run();
    assert_eq!(world.run(), ["P drive/A.assets/one.png", "P drive/A.md", "P drive/B.md"]);
    assert_eq!(world.recorded.places[&key("a")].page, None);
    world.node("b").title = "New".to_owned();
    assert_eq!(world.run(), ["M drive/B.docx -> drive/New.docx"]);
}

#[test]
fn a_page_lists_its_children_in_the_order_of_the_wiki() {
    let mut world = World::of_pages();
    world.page("top", "Top", &[]);
    world.pages.get_mut("top").unwrap().lists = vec!["top".to_owned()];
    for (token, order) in [("a", 0), ("b", 1)] {
        world.add(token, Some("top"), token, "docx");
        world.node(token).order = order;
    }
    world.run();
    assert_quiet(&mut world);
    (world.node("a").order, world.node("b").order) = (1, 0);
    let plan = world.plan();
    assert_eq!(lines(&plan), ["U drive/Top.md"]);
    assert!(world.asked.is_empty());
    world.apply(plan);
    assert_quiet(&mut world);

    world.pages.get_mut("top").unwrap().lists.clear();
    world.edit("top");
    world.run();
    (world.node("a").order, world.node("b").order) = (0, 1);
    let plan = world.plan();
    assert_eq!(lines(&plan), [""; 0], "no page shows the order");
    assert_eq!(plan.records.len(), 2);
    world.apply(plan);
    assert_quiet(&mut world);
}

/// A link to a shortcut leads to the symlink, which stands once it was made.
#[test]
fn a_link_to_a_shortcut() {
    let mut world = World::of_pages();
    world.page("a", "A", &["s"]);
    world.page("t", "T", &[]);
    world.run();
    world.shortcut("s", "S", "docx", "t");
    assert_eq!(world.run(), ["A drive/S.md", "U drive/A.md"]);
    assert_quiet(&mut world);
}

/// With `--source`, pages of other sources follow all the same.
#[test]
fn pages_of_a_source_that_was_not_listed_follow() {
    let mut world = World::of_pages();
    world.source("other");
    world.page("a", "A", &[]);
    world.add_in("other", "far", None, "Far", "docx");
    world.pages.insert("far".to_owned(), PageRow { links: vec!["a".to_owned()], ..blank() });
    world.run();
    assert_quiet(&mut world);
    let other = world.tree.sources.remove(&"other".into()).unwrap();
    world.node("a").title = "New".to_owned();
    let lines = world.run();
    assert_eq!(lines, ["M drive/A.md -> drive/New.md", "U drive/New.md", "U other/Far.md"]);
    world.tree.sources.insert("other".into(), other);
    assert_quiet(&mut world);
}

#[test]
fn what_a_page_embeds_is_looked_at_from_time_to_time() {
    let mut world = World::of_pages();
    world.page_with_embeds();
    assert_quiet(&mut world);

    // After a day the sheet, after a week the board; nothing changed.
    let began = world.checked()[0];
    for (days, metas, boards) in [(1, 1, 0), (3, 1, 0), (7, 1, 1)] {
        world.now = began + days * DAY;
        let plan = world.plan();
        assert_eq!(lines(&plan), [""; 0], "{days} d");
        let asked = |count: fn(&Questions) -> usize| world.asked.iter().map(count).sum::<usize>();
        assert_eq!((asked(|q| q.metas.len()), asked(|q| q.boards.len())), (metas, boards));
        assert_eq!(plan.records.len(), 1, "when it was looked at, and nothing else");
        world.apply(plan);
        let [board, sheet] = world.checked()[..] else { panic!() };
        assert_eq!((board == world.now, sheet), (boards == 1, world.now), "{days} d");
        assert_quiet(&mut world);
    }
}

#[test]
fn a_page_is_fetched_again_when_what_it_embeds_changed() {
    for board in [false, true] {
        let mut world = World::of_pages();
        world.page_with_embeds();
        let changed = |world: &mut World| {
            let (stamp, meta) = world.embed(world.now - 100);
            if board {
                world.boards.insert("board".to_owned(), ContentHash([4; 32]));
            } else {
                world.metas.insert(meta.object.clone(), meta);
            }
            stamp
        };
        changed(&mut world);
        assert_quiet(&mut world);
        world.now += 8 * DAY;
        let stamp = changed(&mut world);
        let plan = world.plan();
        assert_eq!(lines(&plan), ["U drive/Page.md"]);
        let change = &plan.fetches[0].wants[0].change;
        assert_eq!(change.reason.as_deref(), Some("what it embeds changed"));
        let now = world.now;
        for embed in &mut world.pages.get_mut("page").unwrap().embeds {
            (embed.checked_secs, embed.stamp) = (now, stamp.clone());
            embed.hash = embed.hash.and(world.boards.get("board").copied());
        }
        world.apply(plan);
        assert_quiet(&mut world);
    }
}

/// What can no longer be seen stays as it was copied.
#[test]
fn an_embed_that_is_gone_is_no_change() {
    let mut world = World::of_pages();
    world.page_with_embeds();
    world.metas.clear();
    world.boards.clear();
    world.now += 8 * DAY;
    assert_eq!(world.run(), [""; 0]);
    assert_quiet(&mut world);
    assert_eq!(world.checked(), [world.now - 10; 2], "and is asked for again in time");
}

#[test]
fn a_damaged_page_is_written_again_without_a_fetch() {
    let mut world = World::of_pages();
    world.page("a", "A", &[]);
    world.page("b", "B", &["a"]);
    world.run();
    world.lose("drive/A.md");
    let plan = world.plan();
    assert_eq!(lines(&plan), ["R drive/A.md"]);
    assert_eq!((plan.fetches.len(), plan.rewrites.len()), (0, 1));
    world.apply(plan);
    assert_quiet(&mut world);

    // Lost and moved: once, where it belongs.
    world.lose("drive/A.md");
    world.node("a").title = "New".to_owned();
    let plan = world.plan();
    assert_eq!(lines(&plan), ["R drive/New.md", "U drive/B.md"]);
    assert_eq!(plan.fetches.len(), 0);
    world.apply(plan);
    assert_quiet(&mut world);
}

#[test]
fn damaged_pictures_are_fetched_and_nothing_besides() {
    let mut world = World::of_pages();
    world.page("a", "A", &[]);
    world.run();
    let part = |token: &str| ProductKey::asset(token);
    world.file("a", &part("one"), "one.png");
    world.file("a", &part("two"), "two.png");
    assert_quiet(&mut world);
    world.lose("drive/A.assets/two.png");
    let plan = world.plan();
    assert_eq!(lines(&plan), ["R drive/A.md"]);
    assert_eq!(plan.rewrites, []);
    let want = &plan.fetches[0].wants[0];
    assert_eq!((want.format, &want.damaged[..]), (Format::Md, &[part("two")][..]));

    // The side folder moves with its page.
    world.node("a").title = "New".to_owned();
    let moves = ["M drive/A.assets -> drive/New.assets", "M drive/A.md -> drive/New.md"];
    assert_eq!(lines(&world.plan()), [moves[0], moves[1], "R drive/New.md"]);
}

#[test]
fn lost_blocks_are_fetched_again() {
    let mut world = World::of_pages();
    world.page("a", "A", &[]);
    world.run();
    world.recorded.places.get_mut(&key("a")).unwrap().page = None;
    assert_eq!(world.run(), ["U drive/A.md"]);
    assert_quiet(&mut world);
}

/// Whoever counted on it would be written again in every run.
#[test]
fn nobody_counts_on_a_target_that_failed() {
    for why in [Why::Failed, Why::Forbidden] {
        let mut world = World::of_pages();
        world.page("a", "A", &["b"]);
        world.page("b", "B", &[]);
        world.run();
        world.fails("b");
        let edited = world.node("b").edited;
        let row = world.recorded.places.get_mut(&key("b")).unwrap();
        row.outcomes.insert(Format::Md, outcome(why, edited, 0));
        for want in [&["A drive/B.md", "U drive/A.md"][..], &["A drive/B.md"]] {
            let mut plan = world.plan();
            assert_eq!(lines(&plan), want, "{why:?}");
            plan.fetches.clear();
            world.apply(plan);
        }
        // It comes at last, and the link follows.
        world.run();
        assert_eq!(world.run(), ["U drive/A.md"]);
        assert_quiet(&mut world);
    }
}

/// What `--retry-failed` leaves out does not come, and nothing is asked for it.
#[test]
fn what_failed_is_retried_and_nothing_else() {
    let mut world = World::of_pages();
    world.page("a", "A", &["c"]);
    world.page("c", "C", &[]);
    world.page_with_embeds();
    world.fails("c");
    world.recorded.places.get_mut(&key("c")).unwrap().outcomes.clear();
    world.now += 30 * DAY;
    world.options.retry_failed = true;
    assert_eq!(world.run(), ["U drive/A.md"], "nothing leads to it in this run");
    assert_quiet(&mut world);
    world.options.retry_failed = false;
    assert_eq!(world.run(), ["A drive/C.md", "U drive/A.md"]);
    assert_quiet(&mut world);
}

/// Links lead to the same files whichever sources a run lists, and where a listing fails.
#[test]
fn links_do_not_hang_on_what_was_listed() {
    let mut world = World::of_pages();
    world.rules.prune_default = PruneAction::Keep;
    world.source("other");
    world.page("a", "A", &["far", "near"]);
    world.add("fld", None, "Folder", "folder");
    world.add("near", Some("fld"), "Near", "docx");
    world.add_in("other", "far", None, "Far", "docx");
    world.run();
    assert_quiet(&mut world);

    let matches = Globs::new(["other/**", "drive/Folder/**"]).unwrap();
    let formats = BTreeMap::from([(ObjType::Docx, vec![Format::Docx])]);
    world.rules.export_rules.push(ExportRule { matches, formats });
    // The new rule was not carried out yet: until then the old file serves.
    let other = world.tree.sources.remove(&"other".into()).unwrap();
    assert_eq!(world.run(), ["A drive/Folder/Near.docx", "U drive/A.md"]);
    assert_quiet(&mut world);
    world.tree.sources.insert("other".into(), other.clone());
    assert_eq!(world.run(), ["A other/Far.docx", "U drive/A.md"]);
    assert_quiet(&mut world);

    world.tree.sources.remove(&"other".into());
    assert_quiet(&mut world);
    world.tree.sources.insert("other".into(), other);
    assert_quiet(&mut world);
    let drive = world.tree.sources.get_mut(&"drive".into()).unwrap();
    let near = drive.nodes.remove(&"near".into()).unwrap();
    let failed = Listing::Failed(Failure::new("the server said 500", ""));
    drive.listings.insert(Some("fld".into()), failed);
    assert_eq!(lines(&world.plan()), [""; 0]);
    let drive = world.tree.sources.get_mut(&"drive".into()).unwrap();
    drive.nodes.insert("near".into(), near);
    drive.listings.insert(Some("fld".into()), Listing::Complete);
    assert_quiet(&mut world);
}

/// A shortcut that this run does not list is linked to as before, whatever it became.
#[test]
fn links_to_shortcuts_do_not_hang_on_what_was_listed() {
    for mode in [ShortcutMode::Link, ShortcutMode::Copy] {
        let mut world = World::of_pages();
        world.rules.shortcut = mode;
        world.source("other");
        world.add_in("other", "far", None, "Far", "docx");
        world.pages.insert("far".to_owned(), PageRow { links: vec!["s".to_owned()], ..blank() });
        world.page("t", "T", &[]);
        world.shortcut("s", "S", "docx", "t");
        world.run();
        world.run();
        assert_quiet(&mut world);
        world.tree.sources.remove(&"drive".into());
        assert_quiet(&mut world);
    }
}

/// It is Markdown at its new place too, before anything was tried there.
#[test]
fn a_page_that_stands_in_for_an_export_moves_to_another_source() {
    let mut world = World::of_pages();
    world.source("other");
    world.page("a", "A", &["huge"]);
    world.page("huge", "Huge", &[]);
    world.run();
    let matches = Globs::new(["drive/Huge", "other/**"]).unwrap();
    let formats = BTreeMap::from([(ObjType::Docx, vec![Format::Docx])]);
    world.rules.export_rules.push(ExportRule { matches, formats });
    let edited = world.node("huge").edited;
    let row = world.recorded.places.get_mut(&key("huge")).unwrap();
    row.outcomes.insert(Format::Docx, outcome(Why::FellBack, edited, 0));
    world.run();
    assert_eq!(world.run(), ["S drive/Huge.docx"]);

    world.remove("huge");
    world.add_in("other", "huge", None, "Huge", "docx");
    let moved = ["M drive/Huge.md -> other/Huge.md", "S other/Huge.docx", "U drive/A.md"];
    assert_eq!(world.run(), moved);
    assert_eq!(world.run(), ["S other/Huge.docx"]);
}

/// A picture that is lost serves no page that is fetched for another reason.
#[test]
fn an_edited_page_is_told_what_it_lost() {
    let mut world = World::of_pages();
    world.page("a", "A", &[]);
    world.run();
    world.file("a", &ProductKey::asset("one"), "one.png");
    world.file("a", &ProductKey::asset("two"), "two.png");
    world.lose("drive/A.assets/two.png");
    world.edit("a");
    let plan = world.plan();
    assert_eq!(lines(&plan), ["U drive/A.md"]);
    let want = &plan.fetches[0].wants[0];
    assert_eq!((&want.damaged[..], &want.lost[..]), (&[][..], &[ProductKey::asset("two")][..]));
}

/// A call that failed says nothing: the next run asks again.
#[test]
fn a_check_without_an_answer_is_none() {
    let mut world = World::of_pages();
    world.page_with_embeds();
    let began = world.checked();
    world.now += 8 * DAY;
    world.silent = true;
    for _ in 0..2 {
        let plan = world.plan();
        assert_eq!((lines(&plan).len(), plan.records.len()), (0, 0));
        assert_eq!(world.asked.len(), 1);
        assert_eq!((world.asked[0].metas.len(), world.asked[0].boards.len()), (1, 1));
        world.apply(plan);
        assert_eq!(world.checked(), began);
    }
    world.silent = false;
    world.run();
    assert_eq!(world.checked(), [world.now; 2]);
    assert_quiet(&mut world);
}

/// Nobody knows the edit time of what may not be read: it is tried after a week.
#[test]
fn what_a_page_was_refused_is_asked_for_again() {
    for retry in [false, true] {
        let mut world = World::of_pages();
        world.page_with_embeds();
        let page = world.recorded.places.get_mut(&key("page")).unwrap().page.as_mut().unwrap();
        for embed in &mut page.embeds {
            embed.refused = true;
        }
        assert_quiet(&mut world);
        world.now += 6 * DAY;
        assert_quiet(&mut world);
        world.now += if retry { 0 } else { DAY };
        world.options.retry_failed = retry;
        let plan = world.plan();
        assert!(world.asked.is_empty(), "reading it tells");
        assert_eq!(lines(&plan), ["U drive/Page.md"]);
        let change = &plan.fetches[0].wants[0].change;
        assert_eq!(change.reason.as_deref(), Some("what it embeds was refused"));

        // Refused once more: for another week nobody asks.
        world.options.retry_failed = false;
        let now = world.now;
        for embed in &mut world.pages.get_mut("page").unwrap().embeds {
            (embed.checked_secs, embed.refused) = (now, true);
        }
        world.apply(plan);
        assert_quiet(&mut world);
    }
}

/// Other limits show more or less, but only of a page that they cut.
#[test]
fn a_page_that_was_cut_follows_the_limits() {
    let mut world = World::of_pages();
    world.rules.markdown.table_rows = 10;
    world.rules.max_size = Some(1_000);
    let cases = [(None, None), (Some(10), None), (None, Some(1_000)), (Some(10), Some(1_000))];
    for (token, (table_rows, max_size)) in ["none", "rows", "size", "both"].into_iter().zip(cases) {
        world.page(token, token, &[]);
        world.pages.get_mut(token).unwrap().limits = Limits { table_rows, max_size };
    }
    world.run();
    assert_quiet(&mut world);
    world.rules.markdown.table_rows = 20;
    assert_eq!(lines(&world.plan()), ["U drive/both.md", "U drive/rows.md"]);
    world.rules.markdown.table_rows = 10;
    world.rules.max_size = None;
    assert_eq!(lines(&world.plan()), ["U drive/both.md", "U drive/size.md"]);
}
