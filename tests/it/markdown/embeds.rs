//! What a page shows of other documents changes without the page: it is looked at from time
//! to time, at one call for two hundred of them, and one a whiteboard.

use std::time::Duration;

use crate::support::{Mirror, Run, tenant};
use feishu_mirror::sim::{Effect, Fault, Tenant};
use serde_json::json;

const HOME: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\nfolder = \"FOLDER\"\n\
    [export]\ndocx = [\"md\"]\n";
const METAS: &str = "/drive/v1/metas/batch_query";
const BLOCKS: &str = "/docx/v1/documents/:document_id/blocks";
const NODES: &str = "/board/v1/whiteboards/:whiteboard_id/nodes";
const IMAGE: &str = "/board/v1/whiteboards/:whiteboard_id/download_as_image";
const DAY: Duration = Duration::from_secs(86_400);

async fn later(time: Duration) {
    tokio::time::advance(time).await;
}

fn page(mirror: &Mirror) -> String {
    String::from_utf8(mirror.read("drive/Page.md")).unwrap()
}

async fn quiet(mirror: &Mirror, tenant: &Tenant) -> Run {
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), [""; 0]);
    run
}

/// A sheet and a table of a base that are not mirrored themselves, embedded in a page.
#[tokio::test(start_paused = true)]
async fn an_embedded_sheet_is_looked_at_once_a_day() {
    let tenant = tenant();
    let root = tenant.root();
    let sheet = root.sheet("Numbers").tabs(&["Q1"]).cells("Q1", &[&["a", "b"], &["1", "2"]]);
    let base = root.bitable("Tasks");
    let table = base.table("Open").fields(&[("Name", 1)]).records(3);
    let home = root.folder("Home");
    home.docx("Page").embed_sheet(&sheet, "Q1").embed_table(&table);
    let mirror = Mirror::with(&tenant, &HOME.replace("FOLDER", &home.token()));
    mirror.sync().await.success();
    assert!(page(&mirror).contains("| 1 | 2 |"), "{}", page(&mirror));
    let metas = |calls: usize| assert_eq!(tenant.calls("POST", METAS), calls);

    // Within the day nobody looks; after it once, and then not for another day.
    later(DAY / 2).await;
    sheet.edit_cells("Q1", json!([["a", "b"], ["1", "3"]]));
    quiet(&mirror, &tenant).await;
    metas(0);
    later(DAY / 2).await;
    tenant.forget_calls();
    let foretold = mirror.diff().await.success().changes();
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), foretold);
    assert_eq!(run.changes(), ["update drive/Page.md"]);
    assert!(page(&mirror).contains("| 1 | 3 |"), "{}", page(&mirror));
    quiet(&mirror, &tenant).await;
    metas(0);

    later(DAY).await;
    let before = mirror.snapshot();
    quiet(&mirror, &tenant).await;
    metas(1);
    assert_eq!(tenant.calls("GET", BLOCKS), 0);
    quiet(&mirror, &tenant).await;
    metas(0);
    assert_eq!(mirror.changed_since(&before), [""; 0]);

    later(DAY).await;
    table.edit_cell(0, "Name", json!("Renamed"));
    mirror.sync().await.success();
    assert!(page(&mirror).contains("Renamed"), "{}", page(&mirror));
}

/// A whiteboard has no edit time: every week its nodes tell.
#[tokio::test(start_paused = true)]
async fn a_whiteboard_is_looked_at_once_a_week() {
    let tenant = tenant();
    let home = tenant.root().folder("Home");
    let doc = home.docx("Page").paragraph("Drawn:");
    let board = doc.board(json!([{"id": "o1", "type": "composite_shape"}]));
    let mirror = Mirror::with(&tenant, &HOME.replace("FOLDER", &home.token()));
    mirror.sync().await.success();
    let files = mirror.files();
    let picture = files.iter().find(|path| path.contains(&board.token())).unwrap().clone();
    let before = mirror.read(&picture);
    later(6 * DAY).await;
    board.edit(json!([{"id": "o1", "type": "composite_shape"}, {"id": "o2", "type": "line"}]));
    quiet(&mirror, &tenant).await;
    assert_eq!(tenant.calls("GET", NODES), 0);
    later(DAY).await;
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", BLOCKS), 1);
    assert_ne!(mirror.read(&picture), before);
    later(7 * DAY).await;
    quiet(&mirror, &tenant).await;
    assert_eq!((tenant.calls("GET", NODES), tenant.calls("GET", BLOCKS)), (1, 0));
}

/// The source of a synced block is edited: the page that shows it is renewed.
#[tokio::test(start_paused = true)]
async fn a_synced_block_follows_its_source() {
    let tenant = tenant();
    let root = tenant.root();
    let text = |words: &str| json!({"block_type": 2, "text": {"elements": [{"text_run": {"content": words}}]}});
    let source = root.docx("Source");
    let block = source.sync_source(&[text("Said once")]);
    let home = root.folder("Home");
    home.docx("Page").synced(&source, &block);
    let mirror = Mirror::with(&tenant, &HOME.replace("FOLDER", &home.token()));
    mirror.sync().await.success();
    assert!(page(&mirror).contains("Said once"), "{}", page(&mirror));
    later(DAY).await;
    quiet(&mirror, &tenant).await;
    assert_eq!((tenant.calls("POST", METAS), tenant.calls("GET", BLOCKS)), (1, 0));
    later(DAY).await;
    source.touch();
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", BLOCKS), 2, "the page and the source");
}

/// The nodes in the copy vouch for the picture beside them. So new nodes come only together
/// with their picture: one that failed comes with the next run.
#[tokio::test(start_paused = true)]
async fn a_whiteboards_nodes_never_stand_beside_an_older_picture() {
    let tenant = tenant();
    let home = tenant.root().folder("Home");
    let doc = home.docx("Page").paragraph("Drawn:");
    let board = doc.board(json!([{"id": "o1", "type": "composite_shape"}]));
    let mirror = Mirror::with(&tenant, &HOME.replace("FOLDER", &home.token()));
    mirror.sync().await.success();
    let beside = mirror.files().into_iter().filter(|path| path.contains(&board.token()));
    let beside: Vec<String> = beside.collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
    let read = || beside.iter().map(|path| mirror.read(path)).collect::<Vec<_>>();
    let before = read();

    later(8 * DAY).await;
    board.edit(json!([{"id": "o1", "type": "composite_shape"}, {"id": "o2", "type": "line"}]));
    tenant.fault(Fault::new("GET", IMAGE, Effect::status(500, 2_891_001)));
    mirror.sync().await.exits(2);
    assert_eq!(read(), before, "both are the old ones");

    tenant.calm();
    later(Duration::from_secs(60)).await;
    mirror.sync().await.success();
    let after = read();
    assert!(after[0] != before[0] && after[1] != before[1], "both are the new ones");
    quiet(&mirror, &tenant).await;
}

/// What a page shows of others is closed to this identity one day. Nobody took it out of
/// the page, so the copy keeps it, files and all, while the page itself goes on.
#[tokio::test(start_paused = true)]
async fn what_is_closed_later_stays_as_it_was_copied() {
    let tenant = tenant();
    let root = tenant.root();
    let sheet = root.sheet("Numbers").tabs(&["Q1"]).cells("Q1", &[&["a", "b"], &["1", "2"]]);
    let base = root.bitable("Tasks");
    let table = base.table("Open").fields(&[("Name", 1)]).records(1);
    table.edit_cell(0, "Name", json!("Paint"));
    let source = root.docx("Source");
    let token = source.image("a.png", &b"\x89PNG\r\n\x1a\n one"[..]);
    let block = source.sync_source(&[json!({"block_type": 27, "image": {"token": token}})]);
    let home = root.folder("Home");
    let doc = home.docx("Page").embed_sheet(&sheet, "Q1").embed_table(&table);
    let doc = doc.synced(&source, &block);
    let board = doc.board(json!([{"id": "o1", "type": "composite_shape"}]));
    let mirror = Mirror::with(&tenant, &HOME.replace("FOLDER", &home.token()));
    mirror.sync().await.success();
    let shown = ["| 1 | 2 |", "Paint", &token, &board.token()];
    let assert_shown = || {
        let page = page(&mirror);
        assert!(shown.iter().all(|words| page.contains(words)), "{page}");
    };
    assert_shown();
    let files = mirror.files();
    assert_eq!(files.len(), 4, "the page, a picture, a whiteboard and its nodes: {files:?}");

    for closed in [&sheet, &base, &source] {
        closed.forbid();
    }
    tenant.fault(Fault::new("GET", NODES, Effect::status(403, 2_890_005)));
    for words in ["Once", "Twice"] {
        later(Duration::from_secs(60)).await;
        let words = json!({"elements": [{"text_run": {"content": words}}]});
        doc.append(json!({"block_type": 2, "text": words}));
        let run = mirror.sync().await.success();
        assert_eq!(run.changes(), ["update drive/Page.md"]);
        let run = run.says(&["drive/Page.md: 4 of the things that it shows may not be read"]);
        assert!(!run.err.contains("has a note"), "{}", run.err);
        assert_shown();
        assert_eq!(mirror.files(), files);
    }
    assert!(page(&mirror).contains("Twice"));
    let index = String::from_utf8(std::fs::read(mirror.state("index.jsonl")).unwrap()).unwrap();
    assert_eq!(index.matches("\"refused\":true").count(), 4, "{index}");

    for opened in [&sheet, &base, &source] {
        opened.allow();
    }
    tenant.calm();
    sheet.edit_cells("Q1", json!([["a", "b"], ["1", "3"]]));
    later(Duration::from_secs(60)).await;
    doc.touch();
    doc.append(json!({"block_type": 2, "text": {"elements": []}}));
    mirror.sync().await.success();
    assert!(page(&mirror).contains("| 1 | 3 |"), "{}", page(&mirror));
    let index = String::from_utf8(std::fs::read(mirror.state("index.jsonl")).unwrap()).unwrap();
    assert!(!index.contains("\"refused\""), "{index}");
}

/// More rows are shown once more are wanted, though nothing was edited.
#[tokio::test(start_paused = true)]
async fn a_table_that_was_cut_follows_the_limit() {
    let tenant = tenant();
    let root = tenant.root();
    let cells: &[&[&str]] = &[&["a", "b"], &["1", "2"], &["5", "6"]];
    let sheet = root.sheet("Numbers").tabs(&["Q1"]).cells("Q1", cells);
    let home = root.folder("Home");
    home.docx("Page").embed_sheet(&sheet, "Q1");
    home.docx("Plain").text("no table");
    let config = HOME.replace("FOLDER", &home.token());
    let mirror = Mirror::with(&tenant, &format!("{config}[export.md]\ntable_rows = 1\n"));
    mirror.sync().await.success();
    assert!(!page(&mirror).contains("| 5 | 6 |"), "{}", page(&mirror));
    quiet(&mirror, &tenant).await;
    mirror.configure(&config);
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), ["update drive/Page.md"]);
    assert!(page(&mirror).contains("| 5 | 6 |"), "{}", page(&mirror));
    quiet(&mirror, &tenant).await;
}

/// A call that failed is no look at the whiteboard, and a refusal is one.
#[tokio::test(start_paused = true)]
async fn a_whiteboard_that_gave_no_answer_is_asked_by_the_next_run() {
    for (status, code, again) in [(500, 2_891_001, 1), (403, 2_890_005, 0)] {
        let tenant = tenant();
        let home = tenant.root().folder("Home");
        home.docx("Page").board(json!([{"id": "o1", "type": "composite_shape"}]));
        let mirror = Mirror::with(&tenant, &HOME.replace("FOLDER", &home.token()));
        mirror.sync().await.success();
        later(7 * DAY).await;
        tenant.fault(Fault::new("GET", NODES, Effect::status(status, code)).times(100));
        quiet(&mirror, &tenant).await;
        assert_ne!(tenant.calls("GET", NODES), 0);
        tenant.calm();
        quiet(&mirror, &tenant).await;
        assert_eq!(tenant.calls("GET", NODES), again, "{status}");
        quiet(&mirror, &tenant).await;
        assert_eq!(tenant.calls("GET", NODES), 0);
    }
}
