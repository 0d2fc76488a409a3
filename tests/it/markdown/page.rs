//! What is fetched for a page, how often, and what the page says where it cannot be had.

use std::time::Duration;

use crate::support::{Mirror, tenant};
use feishu_mirror::sim::{Effect, Fault, MediaRule, Tenant};
use serde_json::json;

const CONFIG: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n[export]\ndocx = [\"md\"]\n";

const DOCUMENT: &str = "/docx/v1/documents/:document_id";
const BLOCKS: &str = "/docx/v1/documents/:document_id/blocks";
const MEDIA: &str = "/drive/v1/medias/:file_token/download";
const LINKS: &str = "/drive/v1/medias/batch_get_tmp_download_url";
const PEOPLE: &str = "/contact/v3/users/batch";
const SHEETS: &str = "/sheets/v3/spreadsheets/:spreadsheet_token/sheets/query";
const VALUES: &str = "/sheets/v2/spreadsheets/:spreadsheetToken/values/:range";
const TABLES: &str = "/bitable/v1/apps/:app_token/tables";
const FIELDS: &str = "/bitable/v1/apps/:app_token/tables/:table_id/fields";
const RECORDS: &str = "/bitable/v1/apps/:app_token/tables/:table_id/records/search";
const NODES: &str = "/board/v1/whiteboards/:whiteboard_id/nodes";
const IMAGE: &str = "/board/v1/whiteboards/:whiteboard_id/download_as_image";

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n one";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0 two";

/// Calls about what documents hold, by endpoint; those that were not made are left out.
fn content_calls(tenant: &Tenant) -> Vec<(&'static str, usize)> {
    let endpoints = [
        ("GET", DOCUMENT),
        ("GET", BLOCKS),
        ("GET", MEDIA),
        ("GET", LINKS),
        ("GET", PEOPLE),
        ("GET", SHEETS),
        ("GET", VALUES),
        ("GET", TABLES),
        ("GET", FIELDS),
        ("POST", RECORDS),
        ("GET", NODES),
        ("GET", IMAGE),
    ];
    let counted = endpoints.map(|(method, path)| (path, tenant.calls(method, path)));
    counted.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn text(mirror: &Mirror, page: &str) -> String {
    String::from_utf8(mirror.read(page)).unwrap()
}

#[track_caller]
fn assert_has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
}

/// One of everything that a page shows, the calls that it costs, and none afterwards.
#[tokio::test(start_paused = true)]
async fn a_page_with_everything_is_whole_and_costs_nothing_afterwards() {
    let tenant = tenant();
    let root = tenant.root();
    let budget = root.sheet("Budget").cells("Q1", &[&["Item", "Cost"], &["Tea", "3"], &["", ""]]);
    let tasks = root.bitable("Tasks");
    let table = tasks.table("Open").fields(&[("Name", 1), ("Done", 7), ("Due", 5)]).records(1);
    let table = table
        .cell(0, "Name", json!([{"type": "text", "text": "Ship it"}]))
        .cell(0, "Done", json!(true))
        .cell(0, "Due", json!(1_700_000_000_000_i64));
    let source = root.docx("Source");
    let shown = source.sync_source(&[
        json!({"block_type": 2, "text": {"elements": [{"text_run": {"content": "Shared words"}}]}}),
    ]);
    let plan = root.docx("Plan").paragraph("Hello").mention_user("demo").mention_doc(&source);
    let picture = plan.picture("a.dat", PNG, Some("Figure 1"));
    let file = plan.attachment("notes.txt", &b"some notes"[..]);
    let plan = plan.embed_sheet(&budget, "Q1").embed_table(&table).synced(&source, &shown);
    let board = plan.board(json!([{"id": "o1:1", "type": "sticky_note"}]));

    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    let board = board.token();
    let wanted = [
        "drive/Budget.xlsx".to_owned(),
        format!("drive/Plan.assets/{board}.json"),
        format!("drive/Plan.assets/{board}.png"),
        format!("drive/Plan.assets/{file}.txt"),
        format!("drive/Plan.assets/{picture}.png"),
        "drive/Plan.md".to_owned(),
        "drive/Source.md".to_owned(),
        "drive/Tasks.xlsx".to_owned(),
    ];
    let mut wanted = Vec::from(wanted);
    wanted.sort();
    assert_eq!(mirror.files(), wanted);
    assert_eq!(mirror.read(&format!("drive/Plan.assets/{picture}.png")), PNG);
    assert_eq!(mirror.read(&format!("drive/Plan.assets/{file}.txt")), b"some notes");
    let nodes = text(&mirror, &format!("drive/Plan.assets/{board}.json"));
    assert_has(&nodes, &["sticky_note"]);
    let page = text(&mirror, "drive/Plan.md");
    assert_has(
        &page,
        &[
            "Hello",
            "@demo",
            "[Source](Source.md)",
            &format!("![Figure 1](Plan.assets/{picture}.png)"),
            &format!("[📎 notes.txt](Plan.assets/{file}.txt)"),
            "**Q1**",
            "| Item | Cost |",
            "| Tea | 3 |",
            "1 rows: [all data](Budget.xlsx)",
            "**Open**",
            "| Ship it | ☑ | 2023-11-15 06:13 |",
            "Shared words",
            &format!("![whiteboard](Plan.assets/{board}.png)"),
        ],
    );
    assert!(page.contains("owner: \"demo\"") || page.contains("owner: demo"), "{page}");
    let once = [(SHEETS, 1), (VALUES, 1), (TABLES, 1), (FIELDS, 1), (RECORDS, 1)];
    let calls = content_calls(&tenant);
    for (endpoint, count) in [(MEDIA, 2), (NODES, 1), (IMAGE, 1), (PEOPLE, 1)].iter().chain(&once) {
        assert!(calls.contains(&(*endpoint, *count)), "{endpoint}: {calls:?}");
    }
    // Two pages, and the source once more for what is shown of it.
    assert!(calls.contains(&(DOCUMENT, 3)) && calls.contains(&(BLOCKS, 3)), "{calls:?}");

    tenant.forget_calls();
    let before = mirror.snapshot();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(content_calls(&tenant), []);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
}

/// A plain page costs its blocks; of an edited one only the new picture is fetched, and one
/// that is no longer shown goes.
#[tokio::test(start_paused = true)]
async fn an_edit_fetches_what_is_new() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan").paragraph("Hello");
    let (old, other) = (plan.picture("a.png", PNG, None), plan.picture("b.png", PNG, None));
    let board = plan.board(json!([{"id": "o1:1"}]));
    let mirror = Mirror::with(&tenant, &format!("{CONFIG}[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();

    tenant.forget_calls();
    let kept = json!([
        {"block_id": plan.token(), "block_type": 1, "children": ["x", "y", "z"],
            "page": {"elements": []}},
        {"block_id": "x", "parent_id": plan.token(), "block_type": 27, "image": {"token": old}},
        {"block_id": "y", "parent_id": plan.token(), "block_type": 43,
            "board": {"token": board.token()}},
    ]);
    plan.edit_blocks(kept);
    let new = plan.picture("c.jpg", JPEG, None);
    mirror.sync().await.success();
    // The revision is what tells of the edit; the whiteboard is as it was, by its nodes.
    assert_eq!(
        content_calls(&tenant),
        [(DOCUMENT, 1), (BLOCKS, 1), (MEDIA, 1), (PEOPLE, 1), (NODES, 1)]
    );
    let path = |token: &str, extension: &str| format!("drive/Plan.assets/{token}.{extension}");
    assert_has(&text(&mirror, "drive/Plan.md"), &[&old, &new, &board.token()]);
    assert_eq!(mirror.read(&path(&new, "jpg")), JPEG);
    assert!(mirror.path(&path(&old, "png")).exists());
    assert!(!mirror.path(&path(&other, "png")).exists(), "no longer shown");
}

/// A page without anything embedded costs two calls, its owner's name one a run.
#[tokio::test(start_paused = true)]
async fn plain_pages_cost_their_blocks() {
    let tenant = tenant();
    for n in 0..10 {
        tenant.root().docx(&format!("Page {n}")).paragraph("Hello").mention_user("demo");
    }
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    assert_eq!(content_calls(&tenant), [(DOCUMENT, 10), (BLOCKS, 10), (PEOPLE, 1)]);
    for n in 0..10 {
        assert_has(&text(&mirror, &format!("drive/Page {n}.md")), &["@demo"]);
    }
}

/// What one way does not open another one may; what none does is said in the page, and
/// once by the run.
#[tokio::test(start_paused = true)]
async fn a_picture_is_tried_every_way() {
    let tenant = tenant();
    let root = tenant.root();
    let table = root.bitable("Tasks").table("Open").fields(&[("Name", 1)]).records(1);
    let plan = root.docx("Plan").embed_table(&table);
    let pictures = ["by extra", "by link", "not at all", "neither"]
        .map(|name| plan.picture(&format!("{name}.png"), PNG, None));
    let [extra, link, closed, too] = &pictures;
    tenant.media_rule(extra, MediaRule::NeedsExtra);
    tenant.media_rule(link, MediaRule::LinkOnly);
    tenant.media_rule(closed, MediaRule::Forbidden).media_rule(too, MediaRule::Forbidden);
    let mirror = Mirror::with(&tenant, CONFIG);
    let run = mirror.sync().await.success().says(&["picture may not be read (2 times)"]);
    // Also for who looks later: in the run log, and with `--json`.
    let notes: Vec<_> = run.events().into_iter().filter(|event| event["event"] == "note").collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(
        (&notes[0]["note"], &notes[0]["times"]),
        (&json!("picture may not be read"), &json!(2))
    );
    assert_eq!(run.err.matches("picture may not be read").count(), 1, "{}", run.err);
    let page = text(&mirror, "drive/Plan.md");
    assert_has(&page, &["picture: no permission to read it"]);
    for (token, there) in pictures.iter().zip([true, true, false, false]) {
        let path = format!("Plan.assets/{token}.png");
        assert_eq!(page.contains(&path), there, "{page}");
        assert_eq!(mirror.path(&format!("drive/{path}")).exists(), there);
    }
    let calls = content_calls(&tenant);
    assert!(calls.contains(&(MEDIA, 8)), "each by its token and with the extra: {calls:?}");
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(content_calls(&tenant), []);
}

/// A picture that fails for now holds nothing else up, and comes with the next run.
#[tokio::test(start_paused = true)]
async fn a_picture_that_fails_comes_with_the_next_run() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan").paragraph("Hello");
    let (good, bad) = (plan.picture("a.png", PNG, None), plan.picture("b.png", JPEG, None));
    tenant.fault(Fault::new("GET", MEDIA, Effect::status(500, 1_061_001)).containing(bad.as_str()));
    let mirror = Mirror::with(&tenant, CONFIG);
    let run = mirror.sync().await.exits(2);
    let run = run.says(&["1 of 2 pictures and files could not be fetched"]);
    assert_eq!(run.failures().len(), 1);
    let page = text(&mirror, "drive/Plan.md");
    assert_has(&page, &["Hello", &good, "picture: could not be fetched"]);

    tenant.calm().forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 1, "only the one that failed");
    let page = text(&mirror, "drive/Plan.md");
    assert_has(&page, &[&format!("Plan.assets/{bad}.jpg")]);
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(content_calls(&tenant), []);
}

/// A connection that is cut goes on where it was cut; a picture too large is left out.
#[tokio::test(start_paused = true)]
async fn cuts_and_sizes() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan");
    let film: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let film = plan.attachment("film.bin", film);
    let large = plan.attachment("large.bin", vec![7; 600_000]);
    let cut = Fault::new("GET", MEDIA, Effect::CutAfter(100_000)).containing(film.as_str());
    tenant.fault(cut.times(2));
    let mirror = Mirror::with(&tenant, &format!("{CONFIG}[filter]\nmax_size = \"500 KB\"\n"));
    mirror.sync().await.success().says(&["attached file is not there"]);
    let bytes = mirror.read(&format!("drive/Plan.assets/{film}.bin"));
    assert_eq!(bytes.len(), 300_000);
    assert!(bytes.iter().zip((0..=255).cycle()).all(|(byte, want)| *byte == want));
    assert_has(&text(&mirror, "drive/Plan.md"), &["large.bin: larger than max_size"]);
    assert!(!mirror.path(&format!("drive/Plan.assets/{large}.bin")).exists());
}

/// A picture that is damaged or gone on disk is fetched again, without a look at the blocks.
#[tokio::test(start_paused = true)]
async fn a_lost_picture_is_restored_alone() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan").paragraph("Hello");
    let (one, two) = (plan.picture("a.png", PNG, None), plan.picture("b.png", JPEG, None));
    let board = plan.board(json!([{"id": "o1:1"}])).token();
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    let before = mirror.snapshot();
    let path = |name: &str| mirror.path(&format!("drive/Plan.assets/{name}"));
    let lost = [format!("{one}.png"), format!("{board}.png")];
    for name in &lost {
        std::fs::remove_file(path(name)).unwrap();
    }
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(content_calls(&tenant), [(MEDIA, 1), (NODES, 1), (IMAGE, 1)]);
    assert_eq!(std::fs::read(path(&lost[0])).unwrap(), PNG);
    assert!(path(&lost[1]).exists() && path(&format!("{two}.jpg")).exists());
    let mut changed = mirror.changed_since(&before);
    changed.retain(|file| !lost.iter().any(|name| file.ends_with(name)));
    assert_eq!(changed, [""; 0], "nothing else is touched");
}

/// The same document at two places is fetched once.
#[tokio::test(start_paused = true)]
async fn two_places_share_one_fetch() {
    let tenant = tenant();
    let root = tenant.root();
    let plan = root.folder("A").docx("Plan").paragraph("Hello");
    let picture = plan.picture("a.png", PNG, None);
    root.folder("B").shortcut_to(&plan);
    let mirror = Mirror::with(&tenant, &format!("{CONFIG}shortcut = \"copy\"\n"));
    mirror.sync().await.success();
    assert_eq!(content_calls(&tenant), [(DOCUMENT, 1), (BLOCKS, 1), (MEDIA, 1), (PEOPLE, 1)]);
    for folder in ["A", "B"] {
        let copy = format!("drive/{folder}/Plan.assets/{picture}.png");
        assert_eq!(mirror.read(&copy), PNG);
        assert_has(&text(&mirror, &format!("drive/{folder}/Plan.md")), &[&picture]);
    }
    // A third one later: the blocks are kept, the picture is there.
    root.folder("C").shortcut_to(&plan);
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(content_calls(&tenant), []);
    assert_eq!(mirror.read(&format!("drive/C/Plan.assets/{picture}.png")), PNG);
}

/// A scope that the app lacks for what is embedded costs that alone; it is told once.
#[tokio::test(start_paused = true)]
async fn missing_scopes_leave_notes() {
    let tenant = tenant();
    let root = tenant.root();
    for n in 0..2 {
        let page = root.docx(&format!("Page {n}")).paragraph("Hello").mention_user("demo");
        page.board(json!([{"id": "o1:1"}]));
    }
    for path in [NODES, PEOPLE] {
        tenant.fault(Fault::new("GET", path, Effect::status(400, 99_991_672)));
    }
    let mirror = Mirror::with(&tenant, CONFIG);
    let run = mirror.sync().await.success().says(&["2 pages have a note: whiteboard"]);
    for path in [NODES, PEOPLE] {
        let told = run.err.lines().chain(run.out.lines()).filter(|line| line.contains(path));
        assert_eq!(told.count(), 1, "{path}\n{}\n{}", run.err, run.out);
    }
    assert_eq!(tenant.calls("GET", PEOPLE), 1, "not asked again");
    let page = text(&mirror, "drive/Page 0.md");
    assert_has(&page, &["Hello", &tenant.open_id("demo"), "whiteboard: no permission to read it"]);
}

/// Documents that show each other end, deleted and forbidden ones are said to be so.
#[tokio::test(start_paused = true)]
async fn synced_blocks_of_other_documents() {
    let tenant = tenant();
    let root = tenant.root();
    let words = |text: &str| json!({"block_type": 2, "text": {"elements": [{"text_run": {"content": text}}]}});
    let (one, two) = (root.docx("One"), root.docx("Two"));
    let picture = json!({"block_type": 27, "image": {"token": two.image("a.png", PNG)}});
    let of_two = two.sync_source(&[words("of two"), picture]);
    let of_one = one.sync_source(&[
        words("of one"),
        json!({"block_type": 50, "reference_synced":
        {"source_document_id": two.token(), "source_block_id": of_two}}),
    ]);
    let circle = two.sync_source(&[
        words("round"),
        json!({"block_type": 50, "reference_synced":
        {"source_document_id": one.token(), "source_block_id": of_one}}),
    ]);
    let (closed, gone) = (root.docx("Closed"), root.docx("Gone"));
    let plan = root.docx("Plan").synced(&one, &of_one).synced(&two, &circle);
    let plan = plan.synced(&closed, "any").synced(&gone, "any").synced(&one, "no such block");
    closed.forbid();
    gone.delete();
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await;
    let page = text(&mirror, "drive/Plan.md");
    assert_has(&page, &["of one", "of two", "round", "Plan.assets/"]);
    assert_has(&page, &["synced block: no permission", "synced block: deleted"]);
    let read = |item: &feishu_mirror::sim::Item| {
        let token = item.token();
        let calls = tenant.call_log();
        calls.iter().filter(|call| call.pattern == BLOCKS && call.path.contains(&token)).count()
    };
    // Its own page, those that show it, and no more.
    assert_eq!((read(&plan), read(&one), read(&two)), (1, 3, 3));
}

/// A page of more pictures than a run has calls comes over several runs, each of which
/// fetches what is missing.
#[tokio::test(start_paused = true)]
async fn a_page_of_many_pictures_comes_over_several_runs() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan");
    let count = 30;
    for n in 0..count {
        plan.picture(&format!("{n}.png"), PNG, None);
    }
    let mirror = Mirror::with(&tenant, CONFIG);
    let mut runs = 0;
    loop {
        runs += 1;
        let run = mirror.run(&["sync", "--json", "--max-calls", "20"]).await;
        if run.code == 0 {
            break;
        }
        run.exits(2).says(&["max_calls"]);
        assert!(runs < 4, "each run fetches its share");
    }
    // A run does not know of the calls of the one before, and may be told to wait.
    let calls = tenant.call_log();
    let fetched = calls.iter().filter(|call| call.pattern == MEDIA && call.code == 0).count();
    assert_eq!(fetched, count, "none twice");
    assert_eq!(mirror.files().len(), count + 1);
}

/// Tables show their first rows and say how many there are; only these are read.
#[tokio::test(start_paused = true)]
async fn long_tables_show_their_first_rows() {
    let tenant = tenant();
    let root = tenant.root();
    let rows: Vec<Vec<String>> = (0..50).map(|n| vec![format!("row {n}"), n.to_string()]).collect();
    let budget = root.sheet("Budget").rich_cells("Q1", json!(rows));
    let base = root.bitable("Tasks");
    let table = base.table("Open").records(2000);
    let closed = root.bitable("Closed").advanced(&[]).table("Rows").records(3);
    let plan = root.docx("Plan").embed_sheet(&budget, "Q1").embed_table(&table);
    plan.embed_table(&closed).block(json!({"block_type": 30, "sheet": {
        "token": format!("{}_nosuch", budget.token())}}));
    let config = format!("{CONFIG}[export.md]\ntable_rows = 3\n");
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    let page = text(&mirror, "drive/Plan.md");
    assert_has(
        &page,
        &["| row 0 | 0 |", "| row 3 | 3 |", "3 of 49 rows", "记录 3", "3 of 2000 rows"],
    );
    assert!(!page.contains("row 4") && !page.contains("记录 4"), "{page}");
    assert_has(&page, &["base: no permission to read it", "sheet: deleted"]);
    assert_eq!(tenant.calls("GET", SHEETS), 1, "one list for both sheets");
    assert_eq!(tenant.calls("GET", VALUES), 2, "the rows, and how many there are");
    assert_eq!(tenant.calls("POST", RECORDS), 2, "one page of records each");
}

/// The blocks beside the page cost nothing of their own, and come back without a call.
#[tokio::test(start_paused = true)]
async fn raw_blocks_come_with_the_page() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan").paragraph("Hello");
    let picture = plan.picture("a.png", PNG, None);
    let mirror = Mirror::with(&tenant, &format!("{CONFIG}[export.md]\nraw = true\n"));
    mirror.sync().await.success();
    assert_eq!(content_calls(&tenant), [(DOCUMENT, 1), (BLOCKS, 1), (MEDIA, 1), (PEOPLE, 1)]);
    let files = mirror.files();
    let raw = files.iter().find(|file| file.contains(".blocks")).expect("blocks").clone();
    assert_has(&text(&mirror, &raw), &["Hello", &picture]);
    for file in &files {
        std::fs::remove_file(mirror.path(file)).unwrap();
        tenant.forget_calls();
        mirror.sync().await.success();
        let want: &[_] = if file.contains(&picture) { &[(MEDIA, 1)] } else { &[] };
        assert_eq!(content_calls(&tenant), want, "{file}");
        assert_eq!(mirror.files(), files);
    }
}

/// What a page embeds is looked at again once a day, whiteboards once a week: with one call,
/// unless it changed.
#[tokio::test(start_paused = true)]
async fn what_is_embedded_is_looked_at_from_time_to_time() {
    const METAS: &str = "/drive/v1/metas/batch_query";
    const DAY: Duration = Duration::from_secs(86_400);
    let tenant = tenant();
    let root = tenant.root();
    let budget = root.sheet("Budget").cells("Q1", &[&["Item"], &["Tea"]]);
    let source = root.docx("Source");
    let words = |text: &str| {
        json!({"block_type": 2, "block_id": "w", "text": {
            "elements": [{"text_run": {"content": text}}]}})
    };
    let shown = source.sync_source(&[words("old words")]);
    let plan = root.docx("Plan").embed_sheet(&budget, "Q1").synced(&source, &shown);
    let board = plan.board(json!([{"id": "o1:1"}]));
    // Only the page is mirrored, so that no listing tells of the others.
    let config = format!("{CONFIG}[filter]\ninclude = [\"drive/Plan*\"]\n");
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    let first = text(&mirror, "drive/Plan.md");
    assert_has(&first, &["Tea", "old words"]);
    let content = |tenant: &Tenant| {
        let calls = content_calls(tenant);
        (tenant.calls("POST", METAS), calls.iter().map(|(_, count)| count).sum::<usize>())
    };

    tenant.forget_calls();
    tokio::time::advance(DAY).await;
    let before = mirror.snapshot();
    mirror.sync().await.success();
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    assert_eq!(content(&tenant), (1, 0), "one look at the metadata of both");

    budget.edit_cells("Q1", json!([["Item"], ["Coffee"]]));
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(content(&tenant), (0, 0), "looked at today");
    tokio::time::advance(DAY).await;
    mirror.sync().await.success();
    let page = text(&mirror, "drive/Plan.md");
    assert_has(&page, &["Coffee", "old words"]);
    assert_eq!(page.replace("Coffee", "Tea"), first);

    // The picture of a whiteboard follows its nodes; the page has nothing new to say.
    let picture = format!("drive/Plan.assets/{}.png", board.token());
    let (drawn, page) = (mirror.read(&picture), mirror.snapshot());
    board.edit(json!([{"id": "o1:2"}]));
    tokio::time::advance(7 * DAY).await;
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", IMAGE), 1);
    assert_ne!(mirror.read(&picture), drawn);
    assert!(!mirror.changed_since(&page).contains(&"drive/Plan.md".to_owned()));
    tenant.forget_calls();
    let before = mirror.snapshot();
    mirror.sync().await.success();
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    assert_eq!(content(&tenant), (0, 0));
}

/// Ctrl-C among the pictures publishes nothing of the page; the next run makes it whole.
#[tokio::test(start_paused = true)]
async fn an_interrupt_among_the_pictures_is_clean() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan");
    for n in 0..12 {
        plan.picture(&format!("{n}.png"), PNG, None);
    }
    let mut mirror = Mirror::with(&tenant, CONFIG);
    let stop = mirror.interrupt.clone();
    tenant.fault(Fault::new("GET", MEDIA, Effect::run(move || stop.cancel())).nth(6));
    mirror.sync().await.exits(130);
    assert_eq!(mirror.files(), [""; 0]);
    let staging = std::fs::read_dir(mirror.state("staging")).unwrap();
    let left = staging.filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(left, 0, "what was fetched is swept");
    tenant.calm();
    mirror.interrupt = tokio_util::sync::CancellationToken::new();
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 13);
}

/// A new title moves the page with its pictures and mends its links to them; nothing is
/// fetched.
#[tokio::test(start_paused = true)]
async fn a_renamed_page_keeps_its_pictures() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan").paragraph("Hello");
    let picture = plan.picture("a.png", PNG, None);
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    plan.rename_quietly("Scheme");
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(content_calls(&tenant), []);
    let moved = format!("Scheme.assets/{picture}.png");
    assert_eq!(mirror.files(), [&format!("drive/{moved}"), "drive/Scheme.md"]);
    assert_has(&text(&mirror, "drive/Scheme.md"), &[&moved, "title: \"Scheme\""]);
}

/// A whiteboard's picture may become one of another kind: the old file makes room, and the
/// page shows the new one.
#[tokio::test(start_paused = true)]
async fn a_whiteboards_picture_of_another_kind_takes_its_place() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan").paragraph("Hello");
    let board = plan.board(json!([{"id": "o1:1"}]));
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    let name = |extension: &str| format!("Plan.assets/{}.{extension}", board.token());
    assert_has(&text(&mirror, "drive/Plan.md"), &[&name("png")]);
    board.picture("image/svg+xml", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    board.edit(json!([{"id": "o1:2"}]));
    plan.append(json!({"block_type": 22, "divider": {}}));
    tokio::time::advance(Duration::from_secs(60)).await;
    mirror.sync().await.success();
    assert_has(&text(&mirror, "drive/Plan.md"), &[&name("svg")]);
    let names = ["json", "svg"].map(|extension| format!("drive/{}", name(extension)));
    let files = mirror.files();
    assert_eq!(files, [&names[0], &names[1], "drive/Plan.md"]);
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(content_calls(&tenant), []);
}

/// An app without the scope for pictures copies all that it may: pages say what is missing,
/// and the rest of the mirror goes on. One call after the other says the same, so that the
/// first few are the last.
#[tokio::test(start_paused = true)]
async fn a_missing_scope_for_pictures_is_a_note() {
    let tenant = tenant();
    let root = tenant.root();
    let album = root.docx("Album").paragraph("Hello");
    let tokens: Vec<String> =
        (0..20).map(|n| album.picture(&format!("{n}.png"), PNG, None)).collect();
    root.docx("Plain").paragraph("No pictures");
    tenant.fault(Fault::new("GET", MEDIA, Effect::status(400, 99_991_672)));
    let mirror = Mirror::with(&tenant, CONFIG);
    let run = mirror.sync().await.success().says(&["drive/Album.md has a note", "(20 times)"]);
    let told = run.err.lines().chain(run.out.lines()).filter(|line| line.contains(MEDIA));
    assert_eq!(told.count(), 1, "{}\n{}", run.err, run.out);
    let calls = tenant.calls("GET", MEDIA);
    assert!((1..=4).contains(&calls), "{calls} calls");
    assert_has(&text(&mirror, "drive/Plain.md"), &["No pictures"]);
    assert_has(&text(&mirror, "drive/Album.md"), &["Hello"]);

    tenant.calm();
    tokio::time::advance(Duration::from_secs(60)).await;
    album.append(json!({"block_type": 2, "text": {"elements": []}}));
    mirror.sync().await.success();
    let page = text(&mirror, "drive/Album.md");
    assert!(tokens.iter().all(|token| page.contains(&format!("Album.assets/{token}.png"))));
}

/// A picture that was lost comes back with the next edit, and never leaves a dead link.
#[tokio::test(start_paused = true)]
async fn an_edit_of_a_page_that_lost_a_picture() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan");
    let token = plan.image("a.png", PNG);
    let plan = plan.blocks(json!([{"block_type": 27, "image": {"token": token}}]));
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    let files = mirror.files();
    let picture = files.iter().find(|path| path.contains("Plan.assets/")).unwrap();
    std::fs::remove_file(mirror.path(picture)).unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    plan.touch();
    plan.edit("more");
    mirror.sync().await.success();
    assert_eq!(mirror.files(), files);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}
