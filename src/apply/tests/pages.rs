//! Pages: published with their pictures, written again from what was kept.

use serde_json::{Value, json};

use super::service::*;
use super::*;
use crate::apply::assets::Assets;
use crate::apply::fetch::{About, Got, What};
use crate::apply::page::Page;
use crate::apply::trouble::Trouble;
use crate::export::docx::Kept;
use crate::export::docx::markdown::Found;
use crate::model::recorded::Why;
use crate::plan::{Plan, Prune, Removal, Rewrite, Want};

pub const MD: Slot = Slot::Product(Format::Md);
pub const ASSETS: Slot = Slot::Product(Format::Assets);
const BLOCKS: Slot = Slot::Product(Format::Blocks);

fn run(content: &str) -> Value {
    json!({"text_run": {"content": content}})
}

/// A document with that text, a link to `b`, and that picture.
pub fn kept(text: &str, picture: Option<&str>) -> Kept {
    let link = json!({"mention_doc":
        {"token": "b", "obj_type": 22, "url": "https://x.feishu.cn/docx/b", "title": "B"}});
    let mut children = vec!["t"];
    children.extend(picture.map(|_| "i"));
    let mut kept = Kept::new("a");
    kept.blocks = vec![
        json!({"block_id": "a", "block_type": 1, "children": children,
            "page": {"elements": [run("A")]}}),
        json!({"block_id": "t", "block_type": 2, "parent_id": "a",
            "text": {"elements": [run(text), link]}}),
    ];
    if let Some(name) = picture {
        let image = json!({"token": "pic", "width": 1, "height": 1});
        kept.blocks
            .push(json!({"block_id": "i", "block_type": 27, "parent_id": "a", "image": image}));
        kept.media.insert("pic".to_owned(), Found::Here(name.to_owned()));
    }
    kept.links = vec!["b".to_owned()];
    kept
}

/// The page `drive/A.md`, not fetched yet, and beside it what it links to.
pub fn world() -> World {
    let world = World::new();
    let names = [(MD, "A.md"), (ASSETS, "A.assets"), (BLOCKS, "A.blocks.json")];
    let mut page = row("a", None, &names);
    page.products.clear();
    page.title = "A".to_owned();
    let mut linked = row("b", None, &[(DOCX, "B.docx")]);
    linked.title = "B".to_owned();
    world.given(&[(key("a"), page), (key("b"), linked)]);
    world
}

/// As fetched: with these pictures, of all that it should have.
pub fn page(journal: &Journal, kept: Kept, pictures: &[(&str, &str)]) -> Page {
    let file = |(part, bytes): &(&str, &str)| {
        let mut staged = journal.disk.stage().unwrap();
        staged.write(bytes.as_bytes()).unwrap();
        ((*part).to_owned(), staged.seal().unwrap())
    };
    let files = pictures.iter().map(file).collect();
    let assets = Assets { all: kept.assets(), files, complete: true };
    Page { kept, stamp: None, assets, trouble: None }
}

pub fn got(wants: Vec<Want>, page: Page) -> Got {
    let about = About {
        object: Object::new(ObjType::Docx, "a"),
        url: None,
        owner: None,
        revision: None,
        edited: Some(edited()),
        base: None,
    };
    let stamp = Stamp::of(Some(edited()), Some(7));
    Got { about: Arc::new(about), wants, stamp, what: What::Page(Box::new(page)) }
}

impl World {
    pub fn publish(&self, kept: Kept, pictures: &[(&str, &str)]) -> Recorded {
        self.run(|journal| {
            let page = page(journal, kept, pictures);
            journal.publish(got(vec![want(&key("a"), Format::Md, "drive/A.md")], page))
        })
    }

    /// Another title for what the page links to, as a plan's move leaves it.
    pub fn rename(&self, journal: &mut Journal, name: &str) -> Result<(), Halt> {
        let mut row = journal.row(&key("b")).unwrap().clone();
        let old = row.names.insert(DOCX, name.to_owned()).unwrap();
        let (old, name) = (format!("drive/{old}"), format!("drive/{name}"));
        fs::rename(self.path(&old), self.path(&name)).unwrap();
        journal.record(&[put(&key("b"), &row)])
    }

    fn blocks(&self) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.state().join("pages")) else { return Vec::new() };
        let mut names: Vec<String> =
            folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.path("drive/A.md")).unwrap()
    }

    fn mtime(&self, path: &str) -> i64 {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(self.path(path)).unwrap().mtime()
    }
}

fn md(recorded: &Recorded) -> &ProductRow {
    &recorded.places[&key("a")].products[&ProductKey::whole(MD)]
}

fn rewrite(kind: ChangeKind) -> Rewrite {
    let mut change = change(kind, &key("a"), "drive/A.md");
    change.format = Some(Format::Md);
    Rewrite { place: key("a"), change }
}

pub const GO_ON: &dyn Fn() -> bool = &|| false;

#[test]
fn a_page_comes_with_its_pictures() {
    let world = world();
    let recorded = world.publish(kept("See ", Some("p.png")), &[("pic", "bytes")]);
    assert_eq!(world.failures(), Vec::<String>::new());
    let text = world.text();
    assert!(text.contains("[B](B.docx)") && text.contains("(A.assets/p.png)"), "{text}");
    assert_eq!(world.files()["drive/A.assets/p.png"], "bytes");
    assert_eq!((world.mtime("drive/A.md"), md(&recorded).mtime_secs), (EDITED, EDITED));
    assert_eq!(md(&recorded).stamp.revision, Some(7));
    let page = recorded.places[&key("a")].page.clone().unwrap();
    assert_eq!(page.links, ["b"]);
    assert_eq!(world.blocks(), [page.kept.to_string()]);
}

/// What the disk refused does not come, so that nobody links to it.
#[test]
fn a_link_to_what_the_disk_refused_leads_to_the_service() {
    let world = world();
    let mut linked = row("b", None, &[(DOCX, "B.docx")]);
    linked.title = "B".to_owned();
    linked.products.clear();
    world.given(&[(key("b"), linked)]);
    fs::remove_file(world.path("drive/B.docx")).unwrap();
    let faults = Faults::when(|op, path| {
        let refused = op == crate::faults::Op::Publish && path == "drive/B.docx";
        refused.then(|| std::io::ErrorKind::PermissionDenied.into())
    });
    let mut journal = world.journal(&faults);
    journal.pending.insert((key("b"), Format::Docx));
    let mut staged = journal.disk.stage().unwrap();
    staged.write(b"new").unwrap();
    let file = What::File { sealed: staged.seal().unwrap(), fetched: true };
    let page = page(&journal, kept("See ", None), &[]);
    let wants = |token: &str, format, path: &str| vec![want(&key(token), format, path)];
    let of_page = got(wants("a", Format::Md, "drive/A.md"), page);
    let about = of_page.about.clone();
    let of_file = Got {
        about,
        wants: wants("b", Format::Docx, "drive/B.docx"),
        stamp: of_page.stamp.clone(),
        what: file,
    };
    journal.publish(of_file).unwrap();
    journal.flush().unwrap();
    journal.publish(of_page).unwrap();
    journal.close().unwrap();
    assert_eq!(world.failures().len(), 1);
    let text = world.text();
    assert!(text.contains("[B](https://x.feishu.cn/docx/b)"), "{text}");
}

#[test]
fn a_page_is_not_written_where_a_picture_is_missing() {
    let world = world();
    let recorded = world.publish(kept("See ", Some("p.png")), &[]);
    let failures = world.failures();
    assert!(failures[0].contains("pic was not written"), "{failures:?}");
    assert!(!world.files().contains_key("drive/A.md"));
    let row = &recorded.places[&key("a")];
    assert_eq!(row.outcomes[&Format::Md].why, Why::Failed);
    assert_eq!(row.page, None);
}

#[test]
fn pictures_that_stand_are_used_renamed_and_dropped() {
    let world = world();
    world.publish(kept("See ", Some("p.png")), &[("pic", "bytes")]);
    // The same one under another name: no second download.
    world.publish(kept("See ", Some("new.png")), &[]);
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(world.files()["drive/A.assets/new.png"], "bytes");
    assert!(!world.path("drive/A.assets/p.png").exists());
    assert!(world.text().contains("(A.assets/new.png)"));

    let recorded = world.publish(kept("See ", None), &[]);
    assert_eq!(world.trash(), ["drive/A.assets/new.png"]);
    assert!(!world.path("drive/A.assets").exists(), "an empty side folder goes");
    assert_eq!(recorded.places[&key("a")].products.len(), 1);
}

#[test]
fn one_page_at_two_places() {
    let world = world();
    let mut below = row("c", Some("f"), &[(MD, "C.md")]);
    below.products.clear();
    let folder = row("f", None, &[(Slot::Dir, "F")]);
    world.given(&[(key("f"), folder), (key("c"), below)]);
    let recorded = world.run(|journal| {
        let page = page(journal, kept("See ", Some("p.png")), &[("pic", "bytes")]);
        let wants = vec![
            want(&key("a"), Format::Md, "drive/A.md"),
            want(&key("a"), Format::Blocks, "drive/A.blocks.json"),
            want(&key("c"), Format::Md, "drive/F/C.md"),
        ];
        journal.publish(got(wants, page))
    });
    assert_eq!(world.failures(), Vec::<String>::new());
    let files = world.files();
    assert!(files["drive/A.md"].contains("[B](B.docx)"));
    assert!(files["drive/F/C.md"].contains("[B](../B.docx)"), "from where it stands");
    // A name that the plan did not foresee.
    let side = recorded.places[&key("c")].names[&ASSETS].clone();
    assert_eq!(files[&format!("drive/F/{side}/p.png")], "bytes");
    let blocks: Value = serde_json::from_str(&files["drive/A.blocks.json"]).unwrap();
    assert_eq!(blocks, Value::from(kept("See ", Some("p.png")).blocks));
    assert_eq!(world.blocks().len(), 1, "kept once");
}

#[test]
fn a_page_with_something_missing_for_now_is_there_and_fails() {
    let world = world();
    let recorded = world.run(|journal| {
        let mut page = page(journal, kept("See ", None), &[]);
        page.trouble = Some(Trouble::failed("a picture did not come"));
        journal.publish(got(vec![want(&key("a"), Format::Md, "drive/A.md")], page))
    });
    assert_eq!(world.failures(), ["drive/A.md: a picture did not come"]);
    assert!(world.text().contains("See"));
    assert_eq!(recorded.places[&key("a")].outcomes[&Format::Md].why, Why::Failed);
    let recorded = world.publish(kept("See ", None), &[]);
    assert!(recorded.places[&key("a")].outcomes.is_empty());
}

#[test]
fn a_page_is_written_again_when_its_target_moved() {
    let world = world();
    world.publish(kept("See ", None), &[]);
    world.told.0.lock().unwrap().clear();
    let recorded = world.run(|journal| {
        world.rename(journal, "C.docx")?;
        journal.rewrite_pages(Vec::new(), GO_ON)
    });
    assert!(world.text().contains("[B](C.docx)"), "{}", world.text());
    let reason = Some("what it shows of the copy changed".to_owned());
    assert_eq!(world.done(), [("drive/A.md".to_owned(), true, reason)]);
    // As large as before, so the mtime tells tools that compare no bytes.
    assert_eq!((world.mtime("drive/A.md"), md(&recorded).mtime_secs), (EDITED + 1, EDITED + 1));
    assert_eq!(md(&recorded).stamp.revision, Some(7), "as of the same revision");

    let again = world.run(|journal| {
        journal.changed = true;
        journal.rewrite_pages(Vec::new(), GO_ON)
    });
    assert_eq!((again, world.done().len()), (recorded, 1));
    let longer = world.run(|journal| {
        world.rename(journal, "Longer.docx")?;
        journal.rewrite_pages(vec![rewrite(ChangeKind::Update)], GO_ON)
    });
    assert_eq!(md(&longer).mtime_secs, EDITED + 1, "another size is seen anyway");
    assert_eq!(world.trash(), [""; 0]);
}

#[test]
fn a_damaged_page_is_written_again_as_it_was() {
    let world = world();
    let before = world.publish(kept("See ", None), &[]);
    let text = world.text();
    for altered in [Some("by hand"), None] {
        match altered {
            Some(altered) => fs::write(world.path("drive/A.md"), altered).unwrap(),
            None => fs::remove_file(world.path("drive/A.md")).unwrap(),
        }
        let restored =
            world.run(|journal| journal.rewrite_pages(vec![rewrite(ChangeKind::Restore)], GO_ON));
        assert_eq!((world.text(), &restored), (text.clone(), &before));
        assert_eq!(world.mtime("drive/A.md"), EDITED);
    }
    assert_eq!(world.trash(), ["drive/A.md"], "what somebody wrote is kept");
    assert_eq!(world.failures(), Vec::<String>::new());
}

#[test]
fn lost_blocks_fail_the_page_and_are_forgotten() {
    for damage in [None, Some("other bytes")] {
        let world = world();
        world.publish(kept("See ", None), &[]);
        let file = world.state().join("pages").join(&world.blocks()[0]);
        match damage {
            None => fs::remove_file(&file).unwrap(),
            Some(bytes) => fs::write(&file, bytes).unwrap(),
        }
        let text = world.text();
        let recorded = world.run(|journal| {
            world.rename(journal, "C.docx")?;
            journal.rewrite_pages(vec![rewrite(ChangeKind::Update)], GO_ON)?;
            assert!(journal.report.partial);
            Ok(())
        });
        let failures = world.failures();
        assert!(failures[0].contains("what was kept of its blocks is lost"), "{failures:?}");
        assert_eq!(world.text(), text, "what is there stays");
        assert_eq!(recorded.places[&key("a")].page, None, "so that it is fetched again");
        world.run(|journal| {
            world.rename(journal, "D.docx")?;
            journal.rewrite_pages(Vec::new(), GO_ON)
        });
        assert_eq!(world.failures(), Vec::<String>::new(), "said once");
    }
}

/// The plan counted on a document that failed once more: there is nothing to write.
#[test]
fn a_planned_page_that_is_right_as_it_is_stays() {
    let world = world();
    world.publish(kept("See ", None), &[]);
    world.told.0.lock().unwrap().clear();
    let before = fs::metadata(world.path("drive/A.md")).unwrap().modified().unwrap();
    world.run(|journal| journal.rewrite_pages(vec![rewrite(ChangeKind::Update)], GO_ON));
    assert_eq!(world.done(), [("drive/A.md".to_owned(), false, None)]);
    assert_eq!(fs::metadata(world.path("drive/A.md")).unwrap().modified().unwrap(), before);

    // One whose file went meanwhile is told to have failed.
    let mut row = world.run(|_| Ok(())).places[&key("a")].clone();
    row.products.clear();
    world.run(|journal| {
        journal.record(&[put(&key("a"), &row)])?;
        journal.rewrite_pages(vec![rewrite(ChangeKind::Update)], GO_ON)
    });
    assert_eq!(world.failures().len(), 1);
}

#[test]
fn pages_that_nobody_wants_are_left_alone() {
    let world = world();
    world.publish(kept("See ", None), &[]);
    let text = world.text();
    world.run(|journal| {
        journal.stale.insert((key("a"), Format::Md));
        world.rename(journal, "C.docx")?;
        journal.rewrite_pages(Vec::new(), GO_ON)
    });
    assert_eq!(world.text(), text);
}

#[test]
fn what_is_to_come_is_linked_and_what_failed_is_not() {
    let world = world();
    let mut row = world.run(|_| Ok(())).places[&key("b")].clone();
    row.products.clear();
    world.run(|journal| {
        journal.record(&[put(&key("b"), &row)])?;
        let publish = |journal: &mut Journal| {
            let page = page(journal, kept("See ", None), &[]);
            journal.publish(got(vec![want(&key("a"), Format::Md, "drive/A.md")], page))?;
            journal.flush()
        };
        journal.pending.insert((key("b"), Format::Docx));
        publish(journal)?;
        assert!(world.text().contains("[B](B.docx)"), "it is on its way");
        let failed = want(&key("b"), Format::Docx, "drive/B.docx");
        journal.fail_want(&failed, &Stamp::default(), &Trouble::failed("no"))?;
        journal.rewrite_pages(Vec::new(), GO_ON)
    });
    assert!(world.text().contains("(https://x.feishu.cn/docx/b)"), "{}", world.text());
}

#[test]
fn only_blocks_that_no_row_names_are_swept() {
    let world = world();
    world.publish(kept("old ", None), &[]);
    let old = world.blocks();
    world.publish(kept("new ", None), &[]);
    assert_eq!(world.blocks().len(), 2, "until the end of the run");
    fs::write(world.state().join("pages/notes.txt"), "of somebody").unwrap();
    let recorded = world.run(|journal| {
        journal.sweep_kept();
        Ok(())
    });
    let page = recorded.places[&key("a")].page.clone().unwrap();
    assert_eq!(world.blocks(), [page.kept.to_string()]);
    assert_ne!(world.blocks(), old);
}

/// The config no longer wants docx: one run writes the page anew and prunes the other file,
/// by a row that was planned before the page came.
#[tokio::test(start_paused = true)]
async fn a_prune_keeps_what_the_same_run_learned_of_a_page() {
    let world = world();
    let before = world.publish(kept("old ", None), &[]);
    let mut both = before.places[&key("a")].clone();
    both.names.insert(DOCX, "A.docx".to_owned());
    let text = content(&key("a"), &ProductKey::whole(DOCX));
    both.products.insert(ProductKey::whole(DOCX), product_row(&text));
    fs::write(world.path("drive/A.docx"), &text).unwrap();
    let mut after = both.clone();
    after.products.remove(&ProductKey::whole(DOCX));
    let recorded = world.run(|journal| {
        journal.record(&[put(&key("a"), &both)])?;
        let page = page(journal, kept("new ", None), &[]);
        journal.publish(got(vec![want(&key("a"), Format::Md, "drive/A.md")], page))?;
        let change = change(ChangeKind::Prune, &key("a"), "drive/A.docx");
        let prune = Prune {
            place: key("a"),
            products: vec![(ProductKey::whole(DOCX), change)],
            folder: None,
            action: Removal::Delete,
            row: Some(after),
        };
        journal.prune_all(vec![prune], GO_ON)
    });
    let now = &recorded.places[&key("a")];
    assert_eq!(now.products.keys().collect::<Vec<_>>(), [&ProductKey::whole(MD)]);
    let page = now.page.clone().unwrap();
    assert_ne!(page.kept, before.places[&key("a")].page.clone().unwrap().kept);

    // The same for the page itself: what was remembered goes with its file.
    let change = change(ChangeKind::Prune, &key("a"), "drive/A.md");
    let row = PlaceRow { products: BTreeMap::new(), ..now.clone() };
    let prune = Prune {
        place: key("a"),
        products: vec![(ProductKey::whole(MD), change)],
        folder: None,
        action: Removal::Delete,
        row: Some(row),
    };
    let service = Service::new(|_| Reply::Refused);
    let plan = Plan { prunes: vec![prune], ..Plan::default() };
    let (_, recorded) = world.apply(&service, plan).await;
    assert_eq!(recorded.places[&key("a")].page, None);
    assert_eq!(world.blocks(), [""; 0], "and its blocks");
}
