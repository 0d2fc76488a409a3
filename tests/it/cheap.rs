//! Nights between two full walks: what is known is asked for its metadata, what is new is
//! searched for, and nothing is concluded from what does not come.

use std::time::Duration;

use crate::support::{Mirror, Run, scale, tenant};
use feishu_mirror::sim::{APP_ID, APP_SECRET, Effect, Fault, Item, Quotas, Tenant};
use tokio::time::{Instant, advance};

const METAS: &str = "/drive/v1/metas/batch_query";
const NODES: &str = "/wiki/v2/spaces/:space_id/nodes";
const NODE: &str = "/wiki/v2/spaces/get_node";
const SEARCH: &str = "/search/v2/doc_wiki/search";
const FILES: &str = "/drive/v1/files";
const REVISION: &str = "/docx/v1/documents/:document_id";
/// 2026-01-01T00:00:00Z.
const MADE: i64 = 1_767_225_600;
const NIGHT: Duration = Duration::from_secs(86_400);

/// Every walk counts as long.
fn config(kind: &str, more: &str) -> String {
    format!(
        "[[source]]\nname = \"{kind}\"\nkind = \"{kind}\"\n[crawl]\nfull_under = \"0\"\n\
         [prune]\ndefault = \"trash\"\nmax_delete = \"100%\"\n{more}"
    )
}

/// A wiki with pages below pages, mirrored a day ago.
async fn wiki() -> (Tenant, Vec<Item>, Mirror) {
    let tenant = tenant();
    let space = tenant.space("Team");
    let plans = space.docx("Plans");
    let pages = vec![
        plans.docx("One"),
        plans.docx("Two"),
        plans.sheet("Three"),
        space.docx("Four"),
        space.upload("five.txt", b"5".to_vec()),
        plans,
    ];
    let mirror = Mirror::with(&tenant, &config("wiki", ""));
    let run = mirror.sync().await.success();
    assert_eq!(run.summary()["full"], true);
    advance(NIGHT).await;
    tenant.forget_calls();
    (tenant, pages, mirror)
}

fn calls(tenant: &Tenant) -> Vec<(&'static str, usize)> {
    let all = [("POST", METAS), ("POST", SEARCH), ("GET", NODES), ("GET", NODE)];
    all.into_iter().map(|(method, path)| (path, tenant.calls(method, path))).collect()
}

async fn cheap(mirror: &Mirror) -> Run {
    let diff = mirror.diff().await.success();
    let run = mirror.sync().await.success();
    assert_eq!(run.summary()["full"], false);
    assert_eq!((run.count("pruned"), diff.changes()), (0, run.changes()), "diff is sync");
    run
}

/// An unchanged night costs a call for 200 places and a search; no row is written by the
/// second one, nor by the full walk after it.
#[tokio::test(start_paused = true)]
async fn an_unchanged_night_asks_for_metadata_and_no_more() {
    let (tenant, _, mirror) = wiki().await;
    tenant.metas_offset(3);
    for night in 0..3 {
        let before = std::fs::read(mirror.state("index.jsonl")).unwrap();
        tenant.forget_calls();
        let run = mirror.sync().await.success();
        assert_eq!((run.changes(), run.count("unchanged")), (vec![], 6));
        assert_eq!(calls(&tenant), [(METAS, 1), (SEARCH, 1), (NODES, 0), (NODE, 0)]);
        assert_eq!(tenant.total_calls(), 2, "{:?}", tenant.call_log());
        if night > 0 {
            assert_eq!(std::fs::read(mirror.state("index.jsonl")).unwrap(), before, "{night}");
        }
        advance(NIGHT).await;
    }
    for full in [&["sync", "--json", "--full"][..], &["sync", "--json"]] {
        let before = std::fs::read(mirror.state("index.jsonl")).unwrap();
        let run = mirror.run(full).await.success();
        assert_eq!(run.summary()["full"], full.len() == 3);
        assert_eq!(run.changes(), [""; 0]);
        assert_eq!(std::fs::read(mirror.state("index.jsonl")).unwrap(), before, "{full:?}");
        assert_eq!(tenant.calls("GET", REVISION), 0);
    }
    assert_eq!(tenant.calls("GET", NODES), 2);
}

/// A night sees edits, renames and what search finds; moves and removals wait for the walk
/// that is due after a week.
#[tokio::test(start_paused = true)]
async fn a_night_sees_edits_renames_and_new_pages() {
    let (tenant, pages, mirror) = wiki().await;
    let [one, two, three, four, five, plans] = &pages[..] else { unreachable!() };
    one.edit("new text");
    two.rename("Second");
    five.replace(b"55555".to_vec());
    three.delete();
    four.move_to(plans);
    let new = plans.docx("New");
    new.edit("fresh");
    new.docx("Below").edit("fresher");
    let hidden_from_search = tenant.space("Team 2").docx("Quiet");
    advance(Duration::from_secs(60)).await;

    let run = cheap(&mirror).await;
    assert_eq!(
        run.changes(),
        [
            "add wiki/Team/Plans/New.docx",
            "add wiki/Team/Plans/New/Below.docx",
            "move wiki/Team/Plans/Two.docx -> wiki/Team/Plans/Second.docx",
            "update wiki/Team/Plans/One.docx",
            "update wiki/Team/Plans/Second.docx",
            "update wiki/Team/five.txt",
        ]
    );
    assert_eq!(mirror.read("wiki/Team/five.txt"), b"55555");
    assert!(
        mirror.path("wiki/Team/Plans/Three.xlsx").exists()
            && mirror.path("wiki/Team/Four.docx").exists()
    );
    // Twice, since `diff` looked as well: Plans for New, then New for Below.
    assert_eq!(tenant.calls("GET", NODES), 4);
    advance(NIGHT).await;
    tenant.forget_calls();
    assert_eq!(cheap(&mirror).await.changes(), [""; 0]);
    assert_eq!(tenant.calls("GET", NODES), 0);

    advance(6 * NIGHT).await;
    let run = mirror.sync().await.success();
    assert_eq!(run.summary()["full"], true, "a week is over");
    drop(hidden_from_search);
    assert_eq!(
        run.changes(),
        [
            "add wiki/Team 2/Quiet.docx",
            "move wiki/Team/Four.docx -> wiki/Team/Plans/Four.docx",
            "prune wiki/Team/Plans/Three.xlsx",
        ]
    );
    assert_eq!(tenant.rate_limited(), 0);
}

/// Whatever metadata fails to show stays, and nobody tries to fetch it.
#[tokio::test(start_paused = true)]
async fn nothing_is_concluded_on_a_cheap_night() {
    let (tenant, pages, mirror) = wiki().await;
    let before = mirror.snapshot();
    for page in &pages {
        page.delete();
    }
    for _ in 0..3 {
        let run = cheap(&mirror).await;
        assert_eq!(run.changes(), [""; 0]);
        advance(NIGHT).await;
    }
    for page in &pages {
        page.restore().forbid();
    }
    cheap(&mirror).await;
    tenant.fault(Fault::new("POST", METAS, Effect::status(400, 1_061_002)));
    mirror.sync().await.exits(2).says(&["not looked at"]);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    assert_eq!(tenant.calls("POST", "/drive/v1/export_tasks"), 0);
}

/// An app may not search, nor a user without the scope: that is said to who asks for more,
/// and is no failure.
#[tokio::test(start_paused = true)]
async fn an_identity_that_may_not_search_goes_without() {
    let tenant = tenant();
    let space = tenant.space("Team");
    let page = space.docx("Page");
    let mut mirror = Mirror::with(&tenant, &config("wiki", ""));
    mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
    mirror.vars.insert("FEISHU_APP_ID".to_owned(), APP_ID.to_owned());
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), APP_SECRET.to_owned());
    mirror.sync().await.success();
    advance(NIGHT).await;
    page.edit("new");
    space.docx("New").edit("new");
    advance(Duration::from_secs(60)).await;
    assert_eq!(cheap(&mirror).await.changes(), ["update wiki/Team/Page.docx"]);
    assert_eq!(tenant.calls("POST", SEARCH), 0);

    let mirror = Mirror::with(&tenant, &config("wiki", ""));
    mirror.sync().await.success();
    advance(NIGHT).await;
    tenant.fault(Fault::new("POST", SEARCH, Effect::status(400, 99_991_679)));
    cheap(&mirror).await;
    let run = mirror.run(&["sync", "-v"]).await.success();
    assert_eq!(run.err.matches("search:docs:read").count(), 1, "{}", run.err);
}

/// An index that is behind shows a page a night later, if not at once.
#[tokio::test(start_paused = true)]
async fn a_search_looks_back_over_the_last_one() {
    let (tenant, pages, mirror) = wiki().await;
    tenant.search_delay(Duration::from_secs(900));
    let now = tenant.clock().now_secs();
    pages[0].docx("Late").edit("new").to_owned().created_at(now);
    assert_eq!(cheap(&mirror).await.changes(), [""; 0]);
    advance(Duration::from_secs(1000)).await;
    assert_eq!(cheap(&mirror).await.changes(), ["add wiki/Team/Plans/One/Late.docx"]);
}

/// Drive: folders are renamed, files edited; the root's token is the only other call.
#[tokio::test(start_paused = true)]
async fn drive_is_looked_at_the_same_way() {
    let tenant = tenant();
    let folder = tenant.root().folder("Folder");
    let file = folder.upload("a.txt", b"a".to_vec());
    let page = tenant.root().docx("Page");
    tenant.root().shortcut_to(&page).titled("Link");
    let mirror = Mirror::with(&tenant, &config("drive", ""));
    mirror.sync().await.success();
    advance(NIGHT).await;
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!((tenant.calls("POST", METAS), tenant.total_calls()), (1, 2));
    folder.rename("Renamed");
    file.replace(b"bb".to_vec());
    page.rename_quietly("Paper");
    advance(Duration::from_secs(60)).await;
    let run = cheap(&mirror).await;
    assert!(
        run.changes().contains(&"move drive/Folder -> drive/Renamed".to_owned()),
        "{run:?}",
        run = run.changes()
    );
    assert_eq!(mirror.read("drive/Renamed/a.txt"), b"bb");
    assert_eq!(tenant.calls("GET", FILES), 0);
    assert_eq!(mirror.files(), ["drive/Link.docx", "drive/Paper.docx", "drive/Renamed/a.txt"]);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    let run = mirror.run(&["sync", "--json", "--full"]).await.success();
    assert_eq!(run.changes(), [""; 0]);
}

/// A large wiki of which one page in a hundred was edited: metadata, a search, a revision
/// each, and the exports.
#[tokio::test(start_paused = true)]
async fn a_night_of_a_large_wiki_takes_minutes() {
    let nodes = scale(2_000, 100_000);
    let tenant = tenant();
    // Filled as if nobody counted: this night is not what is measured.
    tenant.quotas(Quotas::none());
    let space = tenant.space("Team");
    let mut pages = Vec::with_capacity(nodes);
    for n in 0..nodes / 50 {
        // Long ago: so many, made one a second, would reach into the night.
        let parent = space.docx(&format!("Part {n}")).created_at(MADE).edited_at(MADE);
        let page = |m| parent.docx(&format!("Page {m}")).created_at(MADE).edited_at(MADE);
        pages.extend((1..50).map(page));
        pages.push(parent);
    }
    tenant.exports_take(Some(Duration::ZERO));
    let fast = "[limits]\nquota_share = 1000.0\nconcurrency = 64\n";
    let mut mirror = Mirror::with(&tenant, &config("wiki", fast));
    if nodes > 10_000 {
        mirror.vars.remove("FEISHU_MIRROR_TEST_PLANS");
    }
    mirror.sync().await.success();

    tenant.quotas(Quotas::official());
    tenant.exports_take(None);
    tenant.latency(Duration::from_millis(200));
    mirror.configure(&config("wiki", ""));
    advance(NIGHT).await;
    for page in pages.iter().step_by(100) {
        page.edit("new");
    }
    advance(Duration::from_secs(60)).await;
    tenant.forget_calls();
    let began = Instant::now();
    let run = mirror.sync().await.success();
    let took = began.elapsed();
    let edited = nodes / 100;
    assert_eq!((run.count("updated"), run.count("pruned")), (edited as u64, 0));
    let exports: usize = [
        ("POST", "/drive/v1/export_tasks"),
        ("GET", "/drive/v1/export_tasks/:ticket"),
        ("GET", "/drive/v1/export_tasks/file/:file_token/download"),
    ]
    .iter()
    .map(|(method, path)| tenant.calls(method, path))
    .sum();
    let others = tenant.total_calls() - exports;
    println!(
        "{nodes} nodes, {edited} edited: {others} calls ({} metadata, {} searches, {} revisions), \
         {exports} for exports, {took:?}",
        tenant.calls("POST", METAS),
        tenant.calls("POST", SEARCH),
        tenant.calls("GET", REVISION)
    );
    assert_eq!(tenant.calls("POST", METAS), nodes.div_ceil(200));
    assert!(others * 100_000 <= nodes * 1_600 + 500_000, "{others}");
    let exporting = Duration::from_secs(60 * edited as u64 / 95 + 30);
    assert!(took <= Duration::from_secs(15 * 60) + exporting, "{took:?}");
    assert_eq!(tenant.rate_limited(), 0);
}
