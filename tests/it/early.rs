//! What is surely wanted is fetched while the walk goes on, and waits for the plan.

use std::time::Duration;

use crate::support::{Mirror, Run, scale, tenant};
use feishu_mirror::sim::{Effect, Fault, Item, Tenant};
use tokio::time::{Instant, timeout};

const CREATE: &str = "/drive/v1/export_tasks";
const PRODUCT: &str = "/drive/v1/export_tasks/file/:file_token/download";
const REVISION: &str = "/docx/v1/documents/:document_id";
const LIST: &str = "/wiki/v2/spaces/:space_id/nodes";
const DOWNLOAD: &str = "/drive/v1/files/:file_token/download";

const WIKI: &str = "[[source]]\nname = \"wiki\"\nkind = \"wiki\"\n";

/// A wiki of so many pages with four pages below each, of which 95 a minute can be listed.
fn wiki(parents: usize) -> (Tenant, Vec<Item>) {
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200));
    let space = tenant.space("Handbook");
    let mut pages = Vec::new();
    for n in 0..parents {
        let parent = space.docx(&format!("Part {n}")).text("old");
        pages.extend((0..4).map(|m| parent.docx(&format!("Page {n}-{m}")).text("old")));
        pages.push(parent);
    }
    (tenant, pages)
}

/// Positions in the call log of the first and last call of an endpoint.
fn span(tenant: &Tenant, method: &str, pattern: &str) -> (usize, usize) {
    let log = tenant.call_log();
    let is = |call: &feishu_mirror::sim::Call| call.method == method && call.pattern == pattern;
    let first = log.iter().position(is).expect("it was called");
    (first, log.iter().rposition(is).expect("it was called"))
}

/// True where exports began before the walk was over.
fn overlapped(tenant: &Tenant) -> bool {
    span(tenant, "POST", CREATE).0 < span(tenant, "GET", LIST).1
}

async fn is_right(mirror: &Mirror, tenant: &Tenant) {
    let fresh = Mirror::with(tenant, WIKI);
    fresh.sync().await.success();
    assert_eq!(mirror.files(), fresh.files());
    for file in fresh.files() {
        assert_eq!(mirror.read(&file), fresh.read(&file), "{file}");
    }
}

/// Nothing waits in staging when nobody will take it.
fn nothing_is_staged(mirror: &Mirror) {
    let names = std::fs::read_dir(mirror.state("staging")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name != "parked" && name != "partial").collect();
    assert_eq!(left, [""; 0]);
}

/// Every planned change is told before anything is done.
fn in_order(run: &Run) {
    let events = run.events();
    let last_change = events.iter().rposition(|event| event["event"] == "change");
    let first_done = events.iter().position(|event| event["event"] == "done");
    assert!(last_change < first_done, "{last_change:?} {first_done:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_sync_of_a_wiki_takes_as_long_as_its_exports() {
    let (tenant, pages) = wiki(scale(100, 2000));
    let mirror = Mirror::with(&tenant, WIKI);
    let began = Instant::now();
    let run = mirror.sync().await.success();
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let of_bound = pages.len() as f64 / 95.0 / minutes;
    let lists = tenant.calls("GET", LIST);
    println!("{} pages, {lists} listings: {minutes:.1} min, {of_bound:.3} of bound", pages.len());
    assert!(of_bound >= if pages.len() < 1000 { 0.9 } else { 0.95 }, "{of_bound}");
    assert!(overlapped(&tenant));
    assert_eq!(tenant.calls("POST", CREATE), pages.len());
    assert_eq!(tenant.calls("GET", PRODUCT), pages.len());
    assert_eq!(tenant.calls("GET", REVISION), pages.len());
    assert_eq!((tenant.rate_limited(), mirror.files().len()), (0, pages.len()));
    assert_eq!((run.count("added"), run.count("failed")), (pages.len() as u64, 0));
    in_order(&run);
    nothing_is_staged(&mirror);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// Of what has a revision, that is asked for first, once in all.
#[tokio::test(start_paused = true)]
async fn edits_are_fetched_early_and_asked_for_once() {
    let (tenant, pages) = wiki(60);
    let mirror = Mirror::with(&tenant, WIKI);
    mirror.sync().await.success();
    for page in &pages[0..40] {
        page.edit("new");
    }
    for page in &pages[40..60] {
        page.touch();
    }
    let before = mirror.snapshot();
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert!(overlapped(&tenant));
    assert_eq!((tenant.calls("GET", REVISION), tenant.calls("POST", CREATE)), (60, 40));
    assert_eq!((run.count("updated"), run.count("failed")), (40, 0));
    assert_eq!(mirror.changed_since(&before).len(), 40);
    in_order(&run);
    is_right(&mirror, &tenant).await;
}

/// What is edited after it was fetched early is found by the next run.
#[tokio::test(start_paused = true)]
async fn an_edit_between_the_fetch_and_the_plan_is_not_lost() {
    let (tenant, pages) = wiki(60);
    let mirror = Mirror::with(&tenant, WIKI);
    let edited = pages.clone();
    let edit = Effect::run(move || {
        for page in &edited {
            page.edit("new");
        }
    });
    tenant.fault(Fault::new("GET", LIST, edit).nth(60));
    mirror.sync().await.success();
    tenant.calm().forget_calls();
    mirror.sync().await.success();
    let again = tenant.calls("POST", CREATE);
    assert!((10..pages.len()).contains(&again), "{again}");
    is_right(&mirror, &tenant).await;
}

/// A listing that fails keeps nothing else from being published.
#[tokio::test(start_paused = true)]
async fn a_walk_with_errors_publishes_what_it_saw() {
    let (tenant, pages) = wiki(60);
    let mirror = Mirror::with(&tenant, WIKI);
    tenant.fault(Fault::new("GET", LIST, Effect::status(400, 131_006)).nth(30));
    let run = mirror.sync().await;
    assert!([0, 2].contains(&run.code), "{}", run.err);
    assert_eq!(mirror.files().len(), pages.len() - 4);
    assert_eq!(tenant.calls("POST", CREATE), pages.len() - 4);
    in_order(&run);
    tenant.calm();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", CREATE), pages.len());
    is_right(&mirror, &tenant).await;
}

/// A walk that ends the run leaves the copy as it was, and no task is lost.
#[tokio::test(start_paused = true)]
async fn a_walk_that_ends_the_run_publishes_nothing() {
    let (tenant, pages) = wiki(60);
    let mirror = Mirror::with(&tenant, WIKI);
    tenant.fault(Fault::new("GET", LIST, Effect::status(400, 99_991_672)).nth(60));
    let run = mirror.sync().await.exits(1);
    assert_eq!((mirror.files(), run.changes()), (vec![], vec![]));
    nothing_is_staged(&mirror);
    assert!(tenant.calls("POST", CREATE) > 20);
    tenant.calm();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", CREATE), pages.len());
    is_right(&mirror, &tenant).await;
}

/// Ctrl-C and a power cut in the middle of the walk: nothing is in the copy, and the next run
/// takes the tickets.
#[tokio::test(start_paused = true)]
async fn a_run_cut_off_during_the_walk_loses_no_task() {
    for interrupted in [true, false] {
        let (tenant, pages) = wiki(60);
        let mut mirror = Mirror::with(&tenant, WIKI);
        if interrupted {
            let stop = mirror.interrupt.clone();
            let press = Effect::run(move || stop.cancel());
            tenant.fault(Fault::new("GET", LIST, press).nth(60));
            mirror.sync().await.exits(130);
            nothing_is_staged(&mirror);
        } else {
            assert!(timeout(Duration::from_secs(30), mirror.sync()).await.is_err());
        }
        assert_eq!(mirror.files(), [""; 0]);
        let begun = tenant.calls("POST", CREATE);
        assert!(begun > 20, "{begun}");
        tenant.calm();
        mirror.interrupt = tokio_util::sync::CancellationToken::new();
        mirror.sync().await.success();
        // Of a power cut no call has a last word.
        let lost = tenant.calls("POST", CREATE) - pages.len();
        assert!(lost == 0 || (!interrupted && lost <= 2), "{lost} lost of {begun}");
        is_right(&mirror, &tenant).await;
        nothing_is_staged(&mirror);
    }
}

/// Where time ends the walk, what was fetched by then is published all the same.
#[tokio::test(start_paused = true)]
async fn a_walk_out_of_time_publishes_what_came() {
    let (tenant, pages) = wiki(200);
    let mirror = Mirror::with(&tenant, WIKI);
    let run = mirror.run(&["sync", "--json", "--max-time", "60s"]).await.exits(2);
    let run = run.says(&["--max-time"]);
    in_order(&run);
    let tasks = tenant.calls("POST", CREATE);
    assert!(tasks > 50, "{tasks}");
    assert_eq!(mirror.files().len(), tasks);
    assert!(tenant.calls("GET", LIST) < 200, "the walk was cut short");
    nothing_is_staged(&mirror);
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", CREATE), pages.len());
    is_right(&mirror, &tenant).await;
}

/// Where calls are counted, the walk has them first.
#[tokio::test(start_paused = true)]
async fn with_a_budget_of_calls_the_walk_comes_first() {
    let (tenant, _) = wiki(60);
    let mirror = Mirror::with(&tenant, WIKI);
    let run = mirror.run(&["sync", "--json", "--max-calls", "150"]).await.exits(2);
    assert_eq!(run.changes().len(), 300, "all of it was listed: {}", run.err);
    assert!(!overlapped(&tenant));
    assert!(!mirror.files().is_empty());
}

/// A document at two places is fetched once; a refusal is not asked for twice; and an upload
/// that was replaced by equal bytes stays as it is.
#[tokio::test(start_paused = true)]
async fn each_object_is_asked_for_once() {
    let (tenant, _) = wiki(60);
    let root = tenant.root();
    let page = root.docx("Page");
    let refused = root.docx("Refused");
    refused.refuse_export(109);
    let upload = root.upload("data.bin", b"same".to_vec());
    let urls = [&page, &refused]
        .map(|item| format!("\"https://example.feishu.cn/docx/{}\"", item.token()));
    let config = format!(
        "{WIKI}[[source]]\nname = \"drive\"\nkind = \"drive\"\n[[source]]\nname = \"pinned\"\n\
         kind = \"docs\"\nurls = [{}]\n",
        urls.join(", ")
    );
    let mirror = Mirror::with(&tenant, &config);
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.failures().len(), 2, "{}", run.out);
    assert_eq!(tenant.calls("POST", CREATE), 302);
    assert_eq!(tenant.calls("GET", DOWNLOAD), 1);
    assert!(span(&tenant, "GET", DOWNLOAD).0 < span(&tenant, "GET", LIST).1);
    assert_eq!(mirror.read("drive/Page.docx"), mirror.read("pinned/Page.docx"));

    upload.replace(b"same".to_vec());
    let before = mirror.snapshot();
    tenant.forget_calls();
    let run = mirror.sync().await.exits(2);
    assert_eq!((tenant.calls("GET", DOWNLOAD), tenant.calls("POST", CREATE)), (1, 0));
    assert!(span(&tenant, "GET", DOWNLOAD).0 < span(&tenant, "GET", LIST).1);
    assert_eq!(
        run.changes(),
        ["skip drive/Refused.docx", "skip pinned/Refused.docx", "update drive/data.bin"]
    );
    assert_eq!(mirror.differs_from(&before), [""; 0]);
}

/// A page moved in from another source is no new one.
#[tokio::test(start_paused = true)]
async fn what_moves_between_sources_is_not_fetched() {
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200));
    let (one, two) = (tenant.space("One"), tenant.space("Two"));
    let pages: Vec<Item> = (0..10).map(|n| one.docx(&format!("Page {n}"))).collect();
    let source = |name: &str, space: &Item| {
        format!(
            "[[source]]\nname = \"{name}\"\nkind = \"wiki\"\nspace = \"{}\"\nallow_empty = true\n",
            space.place_token()
        )
    };
    let mirror = Mirror::with(&tenant, &(source("one", &one) + &source("two", &two)));
    mirror.sync().await.success();
    tenant.forget_calls();
    for page in &pages[..9] {
        page.move_to(&two);
    }
    let run = mirror.sync().await.success();
    assert_eq!((run.count("moved"), tenant.calls("POST", CREATE)), (9, 0), "{}", run.out);
}

/// Whoever only looks, or only tries again, fetches nothing early.
#[tokio::test(start_paused = true)]
async fn diff_and_retries_fetch_nothing_early() {
    let (tenant, _) = wiki(30);
    let mirror = Mirror::with(&tenant, WIKI);
    mirror.diff().await.success();
    mirror.run(&["sync", "--dry-run"]).await.success();
    mirror.run(&["sync", "--json", "--retry-failed"]).await;
    assert_eq!(tenant.calls("POST", CREATE), 0);
    assert_eq!(mirror.files(), [""; 0]);
    mirror.sync().await.success();
    tenant.forget_calls();
    mirror.run(&["sync", "--json", "--force", "wiki/Handbook/Part 1/**"]).await.success();
    assert_eq!(tenant.calls("POST", CREATE), 5);
}
