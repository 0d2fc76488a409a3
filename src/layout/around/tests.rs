use super::*;
use crate::model::recorded::{ProductKey, ProductRow, Stamp};
use crate::model::{Object, SourceName};

const MD: Slot = Slot::Product(Format::Md);
const DOCX: Slot = Slot::Product(Format::Docx);
const LINK: Slot = Slot::LinkTo(Format::Docx);

fn key(source: &str, token: &str) -> PlaceKey {
    PlaceKey::new(&SourceName::new(source), &PlaceToken::new(token))
}

/// A place `token` with the object `obj-token`, and a file under each name but its folder's.
fn row(ty: &str, token: &str, parent: Option<&str>, slots: &[(Slot, &str)]) -> PlaceRow {
    let file = ProductRow {
        part_name: None,
        size: 3,
        blake3: blake3::hash(b"abc").into(),
        mtime_secs: 100,
        link: None,
        stamp: Stamp::default(),
        doubtful: false,
    };
    let files = slots.iter().filter(|(slot, _)| *slot != Slot::Dir);
    PlaceRow {
        object: Object::new(ObjType::from(ty), format!("obj-{token}").as_str()),
        target: None,
        target_place: None,
        title: format!("Title of {token}"),
        object_title: None,
        parent: parent.map(PlaceToken::from),
        created_secs: 100,
        order: 0,
        url: None,
        edited: None,
        state: PlaceState::Live,
        absent_walks: 0,
        stem: token.to_owned(),
        names: slots.iter().map(|(slot, name)| (*slot, (*name).to_owned())).collect(),
        products: files.map(|(slot, _)| (ProductKey::whole(*slot), file.clone())).collect(),
        page: None,
        outcomes: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
    }
}

/// A page at `wiki/Top/Page.md`, beside its neighbours.
fn neighbourhood() -> Recorded {
    let both = [(MD, "Both.md"), (DOCX, "Both.docx")];
    let rows = [
        ("top", row("docx", "top", None, &[(MD, "Top.md"), (Slot::Dir, "Top")])),
        ("page", row("docx", "page", Some("top"), &[(MD, "Page.md")])),
        ("next", row("docx", "next", Some("top"), &[(MD, "Next.md"), (Slot::Dir, "Next")])),
        ("deep", row("docx", "deep", Some("next"), &[(DOCX, "Deep.docx")])),
        ("both", row("docx", "both", None, &both)),
        ("base", row("bitable", "base", None, &[(Slot::Product(Format::Csv), "Base.tables")])),
        ("none", row("docx", "none", None, &[])),
        ("fold", row("folder", "fold", None, &[(Slot::Dir, "Folder")])),
        ("short", row("shortcut", "deep", None, &[(LINK, "Short.docx")])),
        ("way", row("shortcut", "fold", None, &[(Slot::LinkToDir, "Way")])),
    ];
    let places = rows.into_iter().map(|(token, row)| (key("wiki", token), row)).collect();
    Recorded { places, sources: BTreeMap::new() }
}

fn page_row(links: &[&str], lists: &[&str]) -> PageRow {
    PageRow {
        kept: ContentHash([1; 32]),
        around: ContentHash([0; 32]),
        links: links.iter().map(|token| (*token).to_owned()).collect(),
        lists: lists.iter().map(|token| (*token).to_owned()).collect(),
        limits: crate::model::page::Limits::default(),
        embeds: Vec::new(),
    }
}

fn has(_: &PlaceKey, row: &PlaceRow, slot: Slot) -> bool {
    row.products.keys().any(|product| product.slot == slot)
}

fn around(recorded: &Recorded, links: &[&str], lists: &[&str]) -> Around {
    let page = page_row(links, lists);
    Atlas::of(recorded).around(recorded, &key("wiki", "page"), &page, false, &has).unwrap()
}

/// Where a link leads: `None` where the document is not in the copy, `Some("-")` where it
/// has none.
fn leads(recorded: &Recorded, token: &str) -> Option<String> {
    let documents = around(recorded, &[token], &[]).documents;
    documents.get(token).map(|to| to.path.clone().unwrap_or_else(|| "-".to_owned()))
}

#[test]
fn a_link_leads_from_the_page_to_the_copy_of_what_it_names() {
    let recorded = neighbourhood();
    let cases = [
        ("next", Some("Next.md"), "by the token of its wiki node"),
        ("obj-next", Some("Next.md"), "and of its object"),
        ("page", Some("Page.md"), "itself"),
        ("obj-top", Some("../Top.md"), "above"),
        ("deep", Some("Next/Deep.docx"), "below, exported"),
        ("both", Some("../Both.md"), "Markdown before what only an office program opens"),
        ("base", Some("../Base.tables"), "the folder of its tables"),
        ("fold", Some("../Folder"), "a folder has no file"),
        ("short", Some("../Short.docx"), "a shortcut by its own token"),
        ("way", Some("../Way"), "a shortcut to a folder"),
        ("none", Some("-"), "in a source, with no copy"),
        ("else", None, "of somebody else"),
    ];
    for (token, want, why) in cases {
        assert_eq!(leads(&recorded, token).as_deref(), want, "{why}");
    }
    let titles = around(&recorded, &["none", "obj-deep", "short"], &[]).documents;
    let titles: Vec<&str> = titles.values().map(|to| to.title.as_str()).collect();
    assert_eq!(titles, ["Title of none", "Title of deep", "Title of deep"]);
}

#[test]
fn a_link_follows_what_moves_and_stays_with_what_is_left() {
    let mut recorded = neighbourhood();
    let next = key("wiki", "next");
    recorded.places.get_mut(&next).unwrap().parent = None;
    assert_eq!(leads(&recorded, "next").as_deref(), Some("../Next.md"));
    assert_eq!(leads(&recorded, "deep").as_deref(), Some("../Next/Deep.docx"), "with its folder");

    recorded.places.get_mut(&next).unwrap().state = PlaceState::Hidden { asked_secs: 1 };
    assert_eq!(leads(&recorded, "next").as_deref(), Some("../Next.md"), "its copy stays");
    for state in [PlaceState::Gone { since_secs: 1 }, PlaceState::Orphaned] {
        recorded.places.get_mut(&next).unwrap().state = state;
        let left = leads(&recorded, "next");
        assert_eq!(left.as_deref(), Some("../Next.md"), "the best that there is of it");
    }
    let products = std::mem::take(&mut recorded.places.get_mut(&next).unwrap().products);
    assert_eq!(leads(&recorded, "next"), None, "nothing is left of it");
    recorded.places.get_mut(&next).unwrap().products = products;

    let parked = Loc::Parked(RelPath::new("run-1").unwrap());
    let both = recorded.places.get_mut(&key("wiki", "both")).unwrap();
    both.elsewhere.insert(MD, parked.clone());
    assert_eq!(leads(&recorded, "both").as_deref(), Some("../Both.docx"), "in a swap");
    let page = key("wiki", "page");
    recorded.places.get_mut(&page).unwrap().elsewhere.insert(MD, parked);
    let atlas = Atlas::of(&recorded);
    let lost = atlas.around(&recorded, &page, &page_row(&["both"], &[]), false, &has);
    assert_eq!(lost, None, "nothing is relative to a page that is on its way");
}

#[test]
fn one_object_at_several_places() {
    let mut recorded = neighbourhood();
    let mut put = |source: &str, token: &str, created: i64, slots: &[(Slot, &str)]| {
        let row = row("docx", token, None, slots);
        let object = Object::new(ObjType::Docx, "twin");
        let row = PlaceRow { object, created_secs: created, ..row };
        recorded.places.insert(key(source, token), row);
        leads(&recorded, "twin")
    };
    assert_eq!(put("drive", "a", 50, &[]).as_deref(), Some("-"));
    let far = put("drive", "b", 90, &[(MD, "Far.md")]);
    assert_eq!(far.as_deref(), Some("../../drive/Far.md"), "the one with a copy");
    assert_eq!(put("wiki", "c", 200, &[]), far, "near, and without one");
    let near = put("wiki", "d", 300, &[(MD, "Near.md")]);
    assert_eq!(near.as_deref(), Some("../Near.md"), "in the page's own source");
    assert_eq!(put("wiki", "e", 400, &[(MD, "Late.md")]), near, "the oldest of these");
    assert_eq!(put("wiki", "f", 100, &[(MD, "Early.md")]).as_deref(), Some("../Early.md"));
}

#[test]
fn only_what_stands_is_linked() {
    let recorded = neighbourhood();
    let page = page_row(&["both", "deep", "short"], &[]);
    let path = |stands: &Stands<'_>, token: &str| {
        let atlas = Atlas::of(&recorded);
        let around = atlas.around(&recorded, &key("wiki", "page"), &page, false, stands).unwrap();
        around.documents[token].path.clone()
    };
    let stale = |key: &PlaceKey, row: &PlaceRow, slot: Slot| slot != MD && has(key, row, slot);
    assert_eq!(path(&stale, "both").as_deref(), Some("../Both.docx"), "the md file is unwanted");
    let nothing = |_: &PlaceKey, _: &PlaceRow, _: Slot| false;
    for token in ["both", "deep", "short"] {
        assert_eq!(path(&nothing, token), None);
    }
    // Expected in this run: its name is known before its bytes.
    let mut coming = neighbourhood();
    let deep = coming.places.get_mut(&key("wiki", "deep")).unwrap();
    deep.products.clear();
    let all = |_: &PlaceKey, row: &PlaceRow, slot: Slot| row.names.contains_key(&slot);
    let atlas = Atlas::of(&coming);
    let around = atlas.around(&coming, &key("wiki", "page"), &page, false, &all).unwrap();
    assert_eq!(around.documents["deep"].path.as_deref(), Some("Next/Deep.docx"));
}

fn list(recorded: &Recorded, token: &str) -> Option<Vec<String>> {
    let lists = around(recorded, &[], &[token]).lists;
    let line = |page: &ChildPage| {
        let path = page.path.as_deref().unwrap_or("-");
        format!("{}{} {path}", "  ".repeat(page.depth), page.token)
    };
    lists[token].as_ref().map(|pages| pages.iter().map(line).collect())
}

#[test]
fn child_pages_stand_in_the_order_of_the_wiki() {
    let mut recorded = neighbourhood();
    for (token, order, created) in [("page", 2, 100), ("next", 1, 100)] {
        let row = recorded.places.get_mut(&key("wiki", token)).unwrap();
        (row.order, row.created_secs) = (order, created);
    }
    let blank = PlaceRow { order: 3, ..row("mindnote", "blank", Some("top"), &[]) };
    recorded.places.insert(key("wiki", "blank"), blank);
    let all = ["next Next.md", "  deep Next/Deep.docx", "page Page.md", "blank -"];
    assert_eq!(list(&recorded, "top").unwrap(), all);
    assert_eq!(list(&recorded, "obj-top").unwrap(), all, "by the object, too");
    assert_eq!(list(&recorded, "page").unwrap(), [""; 0]);
    assert_eq!(list(&recorded, "else"), None, "no such node in the copy");

    // Nothing but the order changes.
    recorded.places.get_mut(&key("wiki", "page")).unwrap().order = 0;
    let first = list(&recorded, "top").unwrap();
    assert_eq!(first, ["page Page.md", "next Next.md", "  deep Next/Deep.docx", "blank -"]);
    recorded.places.get_mut(&key("wiki", "next")).unwrap().state =
        PlaceState::Gone { since_secs: 1 };
    assert_eq!(list(&recorded, "top").unwrap(), ["page Page.md", "blank -"], "with its own");
}

/// A damaged manifest may hold a circle.
#[test]
fn a_list_of_child_pages_ends() {
    let mut recorded = neighbourhood();
    for (token, parent) in [("a", "b"), ("b", "a")] {
        recorded.places.insert(key("wiki", token), row("docx", token, Some(parent), &[]));
    }
    assert_eq!(list(&recorded, "a").unwrap().len(), MAX_DEPTH);
}

#[test]
fn rows_dropped_since_the_atlas_was_made_are_passed_over() {
    let mut recorded = neighbourhood();
    let atlas = Atlas::of(&recorded);
    for token in ["next", "deep"] {
        recorded.places.remove(&key("wiki", token));
    }
    let page = page_row(&["next", "obj-deep", "both"], &["top", "next"]);
    let around = atlas.around(&recorded, &key("wiki", "page"), &page, false, &has).unwrap();
    assert_eq!(around.documents.keys().collect::<Vec<_>>(), ["both"]);
    let top = around.lists["top"].as_ref().unwrap();
    assert_eq!(top.iter().map(|page| page.token.as_str()).collect::<Vec<_>>(), ["page"]);
}

fn of<'a>(rows: &'a mut BTreeMap<PlaceKey, PlaceRow>, token: &str) -> &'a mut PlaceRow {
    rows.get_mut(&key("wiki", token)).unwrap()
}

#[test]
fn the_hash_changes_with_what_is_shown_and_with_nothing_else() {
    type Change = fn(&mut BTreeMap<PlaceKey, PlaceRow>);
    let at = |token: &str| key("wiki", token);
    let hash = |recorded: &Recorded| around(recorded, &["next", "none"], &["next"]).hash();
    let before = hash(&neighbourhood());
    assert_eq!(before, hash(&neighbourhood()));
    let shown: [(&str, Change); 9] = [
        ("its own title", |rows| of(rows, "page").title = "New".to_owned()),
        ("its address", |rows| of(rows, "page").url = Some("https://x".to_owned())),
        ("its side folder", |rows| {
            let name = "Page.assets".to_owned();
            of(rows, "page").names.insert(Format::Assets.slot(), name);
        }),
        ("a linked title", |rows| of(rows, "next").title = "New".to_owned()),
        ("a linked name", |rows| {
            of(rows, "next").names.insert(MD, "Next~1234.md".to_owned());
        }),
        ("its own folder", |rows| of(rows, "page").parent = None),
        ("a child page's title", |rows| of(rows, "deep").title = "New".to_owned()),
        ("a link that goes", |rows| of(rows, "none").state = PlaceState::Gone { since_secs: 1 }),
        ("another child page", |rows| {
            rows.insert(key("wiki", "new"), row("docx", "new", Some("next"), &[]));
        }),
    ];
    for (what, change) in shown {
        let mut recorded = neighbourhood();
        change(&mut recorded.places);
        assert_ne!(before, hash(&recorded), "{what}");
    }
    let hidden: [(&str, Change); 5] = [
        ("a document that it does not name", |rows| of(rows, "both").title = "New".to_owned()),
        ("the folder that both are in", |rows| {
            of(rows, "top").names.insert(Slot::Dir, "Renamed".to_owned());
        }),
        ("the order among its own siblings", |rows| of(rows, "next").order = 7),
        ("other bytes", |rows| {
            of(rows, "next").products.values_mut().for_each(|file| file.size = 9);
        }),
        ("a file that is not linked", |rows| {
            of(rows, "next").names.insert(DOCX, "Next.docx".to_owned());
        }),
    ];
    for (what, change) in hidden {
        let mut recorded = neighbourhood();
        change(&mut recorded.places);
        assert_eq!(before, hash(&recorded), "{what}");
    }
    let recorded = neighbourhood();
    let page = page_row(&["next", "none"], &["next"]);
    let colored = Atlas::of(&recorded).around(&recorded, &at("page"), &page, true, &has);
    assert_ne!(before, colored.unwrap().hash(), "colours");
}
