//! Pages and bases that are not all there: what is remembered of that, whatever happens.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::pages::{ASSETS, GO_ON, MD, got, kept, page, world};
use super::service::*;
use super::*;
use crate::apply::assets::Assets;
use crate::apply::fetch::{Got, What};
use crate::apply::page::Page;
use crate::apply::tables::Tables;
use crate::apply::trouble::Trouble;
use crate::export::docx::markdown::Found;
use crate::faults::Op;
use crate::model::page::Embed;
use crate::model::recorded::Why;
use crate::plan::Want;

const TABLES: Slot = Slot::Product(Format::Csv);

fn of_page() -> Vec<Want> {
    vec![want(&key("a"), Format::Md, "drive/A.md")]
}

fn incomplete(journal: &Journal) -> Page {
    let trouble = Some(Trouble::failed("a picture did not come"));
    Page { trouble, ..page(journal, kept("See ", None), &[]) }
}

/// The base `drive/B`, with nothing fetched.
fn world_of_base() -> World {
    let world = World::new();
    let mut base = row("b", None, &[(TABLES, "B.tables"), (ASSETS, "B.assets")]);
    base.products.clear();
    base.title = "B".to_owned();
    world.given(&[(key("b"), base)]);
    world
}

fn sealed(journal: &Journal, text: &str) -> crate::disk::Sealed {
    let mut staged = journal.disk.stage().unwrap();
    staged.write(text.as_bytes()).unwrap();
    staged.seal().unwrap()
}

/// As fetched: tables named by their texts, and these attachments.
fn tables(journal: &Journal, texts: &[&str], files: &[&str]) -> Tables {
    let id = |text: &&str| (format!("tbl{text}"), (*text).to_owned());
    let file = |text: &&str| (format!("tbl{text}"), Ok(sealed(journal, text)));
    let attached = |name: &&str| ((*name).to_owned(), sealed(journal, name));
    let all = files.iter().map(|name| ((*name).to_owned(), format!("{name}.txt"))).collect();
    let files = files.iter().map(attached).collect();
    Tables {
        all: texts.iter().map(id).collect(),
        files: texts.iter().map(file).collect(),
        assets: Assets { all, files, complete: true },
        ..Tables::default()
    }
}

fn base(journal: &Journal, tables: Tables) -> Got {
    let wants = vec![want(&key("b"), Format::Json, "drive/B.tables")];
    Got { what: What::Tables(tables), ..got(wants, page(journal, kept("", None), &[])) }
}

/// The power goes at the first fsync of a folder after this file was there.
fn cut(world: &World, file: &str, work: impl FnOnce(&mut Journal)) -> Recorded {
    let file = world.path(file);
    let faults = Faults::when(move |op, _| {
        assert!(op != Op::SyncFolder || !file.exists(), "the power is cut");
        None
    });
    let crashed = catch_unwind(AssertUnwindSafe(|| work(&mut world.journal(&faults))));
    assert!(crashed.is_err());
    world.settle()
}

#[test]
fn a_page_written_again_is_still_incomplete() {
    let world = world();
    let recorded = world.run(|journal| {
        let page = incomplete(journal);
        journal.publish(got(of_page(), page))?;
        world.rename(journal, "C.docx")?;
        journal.rewrite_pages(Vec::new(), GO_ON)
    });
    assert!(world.text().contains("(C.docx)"), "it was written again");
    assert_eq!(recorded.places[&key("a")].outcomes[&Format::Md].why, Why::Failed);
}

#[test]
fn after_a_crash_an_incomplete_page_is_known_as_such() {
    let world = world();
    let recorded = cut(&world, "drive/A.md", |journal| {
        let page = incomplete(journal);
        journal.publish(got(of_page(), page)).unwrap();
    });
    let row = &recorded.places[&key("a")];
    assert!(row.products.contains_key(&ProductKey::whole(MD)), "settled as written");
    assert_eq!(row.outcomes[&Format::Md].why, Why::Failed);
}

#[test]
fn after_a_crash_between_two_tables_the_base_is_fetched_again() {
    let world = world_of_base();
    for cut_at in ["One", "Two"] {
        let recorded = cut(&world, &format!("drive/B.tables/{cut_at}.json"), |journal| {
            let tables = tables(journal, &["One", "Two", "Three"], &[]);
            let base = base(journal, tables);
            journal.publish(base).unwrap();
        });
        let row = &recorded.places[&key("b")];
        assert!(!row.products.is_empty());
        assert_eq!(row.outcomes[&Format::Json].why, Why::Failed, "the rest is not lost");
    }
    let recorded = world.run(|journal| {
        let tables = tables(journal, &["One", "Two", "Three"], &[]);
        journal.publish(base(journal, tables))
    });
    let row = &recorded.places[&key("b")];
    assert_eq!((row.products.len(), row.outcomes.len()), (3, 0));
}

#[test]
fn pictures_go_only_after_the_page_that_showed_them() {
    let world = world();
    world.publish(kept("See ", Some("p.png")), &[("pic", "bytes")]);
    let before = world.text();
    let faults = Faults::when(|op, path| {
        let refused = op == Op::Publish && path.ends_with("A.md");
        refused.then(|| std::io::Error::from(std::io::ErrorKind::PermissionDenied))
    });
    let mut journal = world.journal(&faults);
    let new = page(&journal, kept("Look at ", None), &[]);
    journal.publish(got(of_page(), new)).unwrap();
    journal.close().unwrap();
    drop(journal);
    assert_eq!(world.failures().len(), 1);
    assert_eq!(world.text(), before);
    assert_eq!(world.files()["drive/A.assets/p.png"], "bytes", "the page still shows it");

    world.publish(kept("Look at ", None), &[]);
    assert!(!world.path("drive/A.assets").exists());
}

#[test]
fn attachments_go_only_after_the_tables_that_named_them() {
    let world = world_of_base();
    world.run(|journal| {
        let tables = tables(journal, &["One"], &["box"]);
        journal.publish(base(journal, tables))
    });
    let failed = |journal: &Journal| {
        let mut tables = tables(journal, &["One"], &[]);
        tables.files[0].1 = Err(Trouble::failed("it did not come"));
        tables
    };
    world.run(|journal| {
        let tables = failed(journal);
        journal.publish(base(journal, tables))
    });
    assert_eq!(world.files()["drive/B.assets/box.txt"], "box");
    let recorded = world.run(|journal| {
        let tables = tables(journal, &["One"], &[]);
        journal.publish(base(journal, tables))
    });
    assert_eq!(recorded.places[&key("b")].products.len(), 1);
    assert!(!world.path("drive/B.assets").exists());
}

/// Many files of one row go in one batch, each with what it says of the row.
#[test]
fn a_crash_among_many_pictures_records_those_that_came() {
    let world = world();
    let names = ["p1", "p2", "p3", "p4"];
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    let mut many = kept("See ", None);
    many.media.extend(names.map(|name| (name.to_owned(), Found::Here(format!("{name}.png")))));
    let faults = Faults::when(|op, path| {
        if op != Op::Publish {
            return None;
        }
        assert!(!path.ends_with("p4.png"), "the power is cut");
        path.ends_with("p2.png").then(|| std::io::Error::from(std::io::ErrorKind::NotFound))
    });
    let crashed = catch_unwind(AssertUnwindSafe(|| {
        let mut journal = world.journal(&faults);
        let page = page(&journal, many.clone(), &files);
        journal.publish(got(of_page(), page)).unwrap();
    }));
    assert!(crashed.is_err());
    let recorded = world.settle();
    let row = &recorded.places[&key("a")];
    let came: Vec<ProductKey> = row.products.keys().cloned().collect();
    assert_eq!(came, ["p1", "p3"].map(ProductKey::asset), "{:?}", world.files());

    let recorded = world.publish(many, &files);
    assert_eq!(recorded.places[&key("a")].products.len(), 5);
    assert_eq!(world.files()["drive/A.assets/p2.png"], "p2");
}

/// An altered one among them goes into the trash, and its neighbours stay recorded.
#[test]
fn many_pictures_take_few_steps() {
    let world = world();
    let names: Vec<String> = (100..700).map(|n| format!("p{n}")).collect();
    let mut many = kept("See ", None);
    let found = |name: &String| (name.clone(), Found::Here(format!("{name}.png")));
    many.media.extend(names.iter().map(found));
    let syncs = Arc::new(Mutex::new(0));
    let counted = syncs.clone();
    let faults = Faults::when(move |op, path| {
        let ours = path.ends_with("A.assets") && !path.contains("trash");
        *counted.lock().unwrap() += usize::from(op == Op::SyncFolder && ours);
        None
    });
    for (text, expected) in [("old", 3), ("new", 4)] {
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), text)).collect();
        *syncs.lock().unwrap() = 0;
        let mut journal = world.journal(&faults);
        let page = page(&journal, many.clone(), &files);
        journal.publish(got(of_page(), page)).unwrap();
        journal.close().unwrap();
        assert_eq!(journal.row(&key("a")).unwrap().products.len(), 601);
        drop(journal);
        assert_eq!(world.failures(), Vec::<String>::new());
        assert_eq!(*syncs.lock().unwrap(), expected, "once a batch");
        assert_eq!(world.files()["drive/A.assets/p300.png"], text);
        fs::write(world.path("drive/A.assets/p300.png"), "by hand").unwrap();
    }
    assert_eq!(world.trash(), ["drive/A.assets/p300.png"]);
}

/// What it embeds was looked at since, and is not to be looked at again at once.
#[test]
fn a_restored_page_keeps_what_was_checked_since() {
    let world = world();
    let embed = |checked_secs| Embed {
        object: Object::new(ObjType::Sheet, "s"),
        stamp: Stamp { seen_secs: checked_secs, ..Stamp::default() },
        hash: None,
        refused: false,
        checked_secs,
    };
    let mut of_sheet = kept("See ", Some("p.png"));
    of_sheet.embeds = vec![embed(1)];
    let recorded = world.publish(of_sheet.clone(), &[("pic", "bytes")]);
    world.run(|journal| {
        let mut row = recorded.places[&key("a")].clone();
        row.page.as_mut().unwrap().embeds = vec![embed(2)];
        journal.record(&[put(&key("a"), &row)])
    });
    let stamp = Some(Stamp::of(Some(edited()), Some(7)));
    let publish = |stamp: Option<Stamp>| {
        fs::remove_file(world.path("drive/A.assets/p.png")).unwrap();
        world.run(|journal| {
            let page = page(journal, of_sheet.clone(), &[("pic", "bytes")]);
            journal.publish(got(of_page(), Page { stamp, ..page }))
        })
    };
    let embeds = |recorded: Recorded| recorded.places[&key("a")].page.clone().unwrap().embeds;
    assert_eq!(embeds(publish(stamp)), [embed(2)]);
    assert_eq!(embeds(publish(None)), [embed(1)], "fetched afresh, that is what is known");
}
