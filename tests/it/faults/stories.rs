//! What the long tests found, each as a small story.

use std::collections::BTreeSet;
use std::time::Duration;

use feishu_mirror::sim::{Effect, Fault};
use serde_json::{Value, json};

use crate::support::{Mirror, SOURCES, tenant};

const EXPORTS: &str = "/drive/v1/export_tasks";
const DOWNLOAD: &str = "/drive/v1/files/:file_token/download";
const METAS: &str = "/drive/v1/metas/batch_query";
const BLOCKS: &str = "/docx/v1/documents/:document_id/blocks";
const SEARCH: &str = "/bitable/v1/apps/:app_token/tables/:table_id/records/search";
const MD: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n[export]\ndocx = [\"md\"]\n";

async fn a_day_later() {
    tokio::time::advance(Duration::from_secs(86_400)).await;
}

/// A login that ends in the middle of a run: folders have moved by then, and links follow
/// them all the same.
#[tokio::test(start_paused = true)]
async fn a_run_that_may_not_go_on_leaves_no_link_dangling() {
    let tenant = tenant();
    let root = tenant.root();
    let team = root.folder("Team");
    let plan = team.docx("Plan");
    root.shortcut_to(&plan);
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    a_day_later().await;
    team.rename("Crew");
    root.docx("New");
    tenant.fault(Fault::new("POST", EXPORTS, Effect::status(401, 99_991_677)));
    mirror.sync().await.exits(4);
    assert!(mirror.path("drive/Crew/Plan.docx").exists());
    assert!(mirror.read("drive/Plan.docx").starts_with(b"PK"), "the link leads to it");
    tenant.calm();
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), ["add drive/New.docx"]);
}

/// What a shortcut stood for is gone, and its folder has moved: the link goes, although
/// the month's calls end before anything else could be pruned.
#[tokio::test(start_paused = true)]
async fn a_link_to_what_is_gone_goes_where_a_budget_ends_the_run() {
    let tenant = tenant();
    let root = tenant.root();
    let team = root.folder("Team");
    let plan = team.docx("Plan");
    let files: Vec<_> = (0..20).map(|n| root.upload(&format!("{n}.bin"), "old")).collect();
    root.shortcut_to(&plan);
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();
    a_day_later().await;
    team.rename("Crew");
    plan.delete();
    for file in files {
        file.replace("new");
    }
    // Once the service has said that it is gone.
    let spent = tenant.clone();
    let spend = Effect::run(move || {
        spent.fault(Fault::new("GET", DOWNLOAD, Effect::status(400, 99_991_403)));
    });
    tenant.fault(Fault::new("POST", METAS, spend));
    mirror.sync().await.exits(2);
    // The copy itself stays until a whole run concludes that it goes.
    assert!(mirror.path("drive/Crew/Plan.docx").exists());
    assert!(!mirror.path("drive/Plan.docx").is_symlink());
    tenant.calm();
    mirror.sync().await.success();
    assert!(!mirror.path("drive/Crew/Plan.docx").exists());
    assert_eq!((mirror.files().len(), mirror.read("drive/19.bin")), (20, b"new".to_vec()));
}

/// A page of records that comes twice, and one that is empty, change no table.
#[tokio::test(start_paused = true)]
async fn a_table_holds_each_record_once() {
    for effect in [Effect::RepeatPage, Effect::EmptyListing] {
        for nth in [1, 2] {
            let tenant = tenant();
            tenant.longest_page(5);
            let base = tenant.root().bitable("Base");
            base.table("People").fields(&[("Name", 1)]).records(8);
            let config = MD.replace("docx = [\"md\"]", "bitable = [\"json\"]");
            let mirror = Mirror::with(&tenant, &config);
            tenant.fault(Fault::new("POST", SEARCH, effect.clone()).nth(nth));
            let run = mirror.sync().await;
            if run.code != 0 {
                // A page token that comes twice ends the reading.
                run.exits(2);
                assert_eq!(mirror.files(), [""; 0]);
                mirror.sync().await.success();
            }
            let table: Value =
                serde_json::from_slice(&mirror.read("drive/Base.tables/People.json")).unwrap();
            let ids: BTreeSet<&str> = table["records"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| r["id"].as_str().unwrap())
                .collect();
            let count = table["records"].as_array().unwrap().len();
            assert_eq!((ids.len(), count), (8, 8), "{effect:?} at {nth}");
        }
    }
}

/// A list of blocks whose second page comes back empty is no shorter document.
#[tokio::test(start_paused = true)]
async fn a_page_is_never_published_without_its_end() {
    for times in [1, usize::MAX] {
        let tenant = tenant();
        tenant.longest_page(5);
        let page =
            (0..8).fold(tenant.root().docx("Page"), |page, n| page.paragraph(&n.to_string()));
        let mirror = Mirror::with(&tenant, MD);
        mirror.sync().await.success();
        let old = mirror.read("drive/Page.md");
        a_day_later().await;
        let text = json!({"elements": [{"text_run": {"content": "the end"}}]});
        page.append(json!({"block_type": 2, "text": text}));
        tenant.fault(Fault::new("GET", BLOCKS, Effect::EmptyListing).times(times).nth(2));
        let run = mirror.sync().await;
        if times == 1 {
            run.success();
        } else {
            run.exits(2).says(&["without"]);
            assert_eq!(mirror.read("drive/Page.md"), old);
        }
        tenant.calm();
        mirror.sync().await.success();
        let text = String::from_utf8(mirror.read("drive/Page.md")).unwrap();
        assert!(text.ends_with("7\n\nthe end\n"), "{text}");
    }
}
