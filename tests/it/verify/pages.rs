//! The blocks that are kept of pages, to write them again without a call.

use std::fs;

use super::{changes, findings, set_mtime};
use crate::support::{Mirror, SOURCES, tenant};
use feishu_mirror::export::docx::Kept;
use feishu_mirror::faults::Faults;
use feishu_mirror::model::page::{Limits, PageRow};
use feishu_mirror::model::recorded::{PlaceRow, ProductKey};
use feishu_mirror::model::{ContentHash, Format};
use feishu_mirror::store::{IndexMeta, RowChange, Store, write_index};

/// Makes a page of the only document, as an earlier run had left it.
fn make_page(mirror: &Mirror) -> ContentHash {
    let (id, recorded, _) = Store::read(&mirror.state("")).unwrap().unwrap();
    let store = Store::open(&mirror.state(""), &id, &Faults::default()).unwrap();
    let (key, row) = recorded.places.iter().find(|(_, row)| row.title == "Plan").unwrap();
    let mut row = row.clone();
    let docx = row.products.values().next().unwrap().clone();
    row.names.insert(Format::Md.slot(), "Plan.md".to_owned());
    row.products.insert(ProductKey::whole(Format::Md.slot()), docx);
    let (from, to) = (mirror.path("drive/Plan.docx"), mirror.path("drive/Plan.md"));
    fs::copy(&from, &to).unwrap();
    set_mtime(&to, fs::metadata(&from).unwrap().modified().unwrap());

    let bytes = Kept::new(row.object.token.as_str()).encode();
    let kept = ContentHash::from(blake3::hash(&bytes));
    fs::create_dir_all(mirror.state("pages")).unwrap();
    fs::write(file(mirror, kept), bytes).unwrap();
    let (links, lists, embeds) = (Vec::new(), Vec::new(), Vec::new());
    let limits = Limits::default();
    let around = ContentHash::from(blake3::hash(b"whatever"));
    row.page = Some(Box::new(PageRow { kept, around, links, lists, limits, embeds }));
    store.record(&[RowChange::Put { key: key.clone(), place: Box::new(row) }], &[]).unwrap();
    let meta = IndexMeta { mirror_id: id, run_id: "run".to_owned(), as_of_secs: 1, account: None };
    write_index(&mirror.state(""), &store.load().unwrap(), &meta, &Faults::default()).unwrap();
    kept
}

fn file(mirror: &Mirror, kept: ContentHash) -> std::path::PathBuf {
    mirror.state(&format!("pages/{kept}"))
}

fn row(mirror: &Mirror) -> PlaceRow {
    let (_, recorded, _) = Store::read(&mirror.state("")).unwrap().unwrap();
    recorded.places.into_values().find(|row| row.title == "Plan").unwrap()
}

#[tokio::test(start_paused = true)]
async fn verify_finds_lost_blocks_and_repair_lets_the_page_be_fetched() {
    let tenant = tenant();
    tenant.root().docx("Plan");
    let mirror = Mirror::with(&tenant, SOURCES);
    mirror.sync().await.success();
    let kept = make_page(&mirror);
    let found = |run: &crate::support::Run| findings(run);
    let run = mirror.run(&["verify", "--json"]).await.success();
    assert_eq!((run.count("checked"), run.count("ok")), (3, 3), "two files and the blocks");

    let bytes = fs::read(file(&mirror, kept)).unwrap();
    fs::write(file(&mirror, kept), b"other").unwrap();
    let quick = mirror.run(&["verify", "--json", "--quick"]).await;
    assert!(!found(&quick).iter().any(|line| line.contains("Plan.md")), "{}", quick.out);
    let run = mirror.run(&["verify", "--json"]).await.says(&["its bytes changed"]);
    assert_eq!(found(&run), ["altered drive/Plan.md"]);
    assert_eq!((run.count("checked"), run.count("ok")), (3, 2));
    fs::write(file(&mirror, kept), &bytes).unwrap();
    mirror.run(&["verify", "--json"]).await.success();

    fs::remove_file(file(&mirror, kept)).unwrap();
    let run = mirror.run(&["verify", "--json", "drive/Nothing"]).await.success();
    assert_eq!(run.count("checked"), 0);
    for flag in ["--quick", "--strict"] {
        let run = mirror.run(&["verify", "--json", flag]).await.says(&["the blocks kept"]);
        assert!(found(&run).contains(&"altered drive/Plan.md".to_owned()), "{}", run.out);
    }
    assert!(row(&mirror).page.is_some(), "it only reads");
    let run = mirror.run(&["verify", "--json", "--repair"]).await;
    assert_eq!(run.count("marked"), 1);
    let row = row(&mirror);
    assert_eq!(row.page, None);
    assert!(row.products.values().all(|file| !file.doubtful), "the file itself is right");
    assert_eq!(found(&mirror.run(&["verify", "--json"]).await.success()), [""; 0]);

    mirror.configure(&format!("{SOURCES}\n[export]\ndocx = [\"docx\", \"md\"]\n"));
    assert_eq!(changes(&mirror.diff().await), ["update drive/Plan.md"]);
}

#[tokio::test(start_paused = true)]
async fn rebuild_keeps_no_page_whose_blocks_are_lost() {
    for lost in [false, true] {
        let tenant = tenant();
        tenant.root().docx("Plan");
        let mirror = Mirror::with(&tenant, SOURCES);
        mirror.sync().await.success();
        let kept = make_page(&mirror);
        fs::remove_file(mirror.state("manifest.redb")).unwrap();
        if lost {
            fs::remove_file(file(&mirror, kept)).unwrap();
        }
        let run = mirror.run(&["rebuild", "--json"]).await.success();
        assert_eq!(run.count("adopted"), 2, "the files are right");
        let want: &[&str] = if lost { &["altered drive/Plan.md"] } else { &[] };
        assert_eq!(findings(&run), want);
        assert_eq!(row(&mirror).page.is_none(), lost);
    }
}
