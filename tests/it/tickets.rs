//! A run that is cut off in the middle of exports leaves its tickets, and the next one takes
//! these instead of new tasks.

use std::time::Duration;

use crate::support::{Mirror, tenant};
use feishu_mirror::sim::{APP_ID, APP_SECRET, Effect, Fault, Item, Tenant};
use tokio::time::{sleep, timeout};

const CREATE: &str = "/drive/v1/export_tasks";
const POLL: &str = "/drive/v1/export_tasks/:ticket";
const PRODUCT: &str = "/drive/v1/export_tasks/file/:file_token/download";
const REVISION: &str = "/docx/v1/documents/:document_id";

const CONFIG: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n";

/// A tenant with pages whose exports take a while.
fn slow(pages: usize, secs: u64) -> (Tenant, Vec<Item>) {
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200));
    tenant.exports_take(Some(Duration::from_secs(secs)));
    let root = tenant.root();
    let pages = (0..pages).map(|n| root.docx(&format!("Page {n}")).text("old")).collect();
    (tenant, pages)
}

/// A power cut: nothing of the run gets a last word. Returns how many tasks it began.
async fn cut_off(mirror: &Mirror, tenant: &Tenant, after: Duration) -> usize {
    assert!(timeout(after, mirror.sync()).await.is_err(), "it was over before the cut");
    let (tasks, fetched) = (tenant.calls("POST", CREATE), tenant.calls("GET", PRODUCT));
    assert!(tasks > fetched + 1, "{tasks} tasks, {fetched} fetched: nothing is under way");
    tenant.forget_calls();
    tasks
}

/// What a new mirror has is what there is.
async fn is_right(mirror: &Mirror, tenant: &Tenant) {
    let fresh = Mirror::with(tenant, CONFIG);
    fresh.sync().await.success();
    assert_eq!(mirror.files(), fresh.files());
    for file in fresh.files() {
        assert_eq!(mirror.read(&file), fresh.read(&file), "{file}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_after_a_cut_takes_the_tasks_that_were_begun() {
    for secs in [5, 30, 64] {
        let (tenant, pages) = slow(40, 40);
        let mirror = Mirror::with(&tenant, CONFIG);
        let begun = cut_off(&mirror, &tenant, Duration::from_secs(secs)).await;
        mirror.sync().await.success();
        assert_eq!(mirror.files().len(), pages.len());
        assert_eq!(tenant.calls("POST", CREATE), pages.len() - begun, "after {secs} s");
        is_right(&mirror, &tenant).await;
        tenant.forget_calls();
        assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
        assert_eq!(tenant.calls("POST", CREATE) + tenant.calls("GET", REVISION), 0);
    }
}

/// Ctrl-C waits for the tickets of tasks that are just being created.
#[tokio::test(start_paused = true)]
async fn an_interrupt_costs_no_task() {
    for nth in [1, 4, 9, 20] {
        let (tenant, _) = slow(40, 20);
        let mut mirror = Mirror::with(&tenant, CONFIG);
        let stop = mirror.interrupt.clone();
        let press = Effect::run(move || stop.cancel());
        tenant.fault(Fault::new("POST", CREATE, press).nth(nth));
        mirror.sync().await.exits(130);
        tenant.calm();
        mirror.interrupt = tokio_util::sync::CancellationToken::new();
        mirror.sync().await.success();
        assert_eq!(mirror.files().len(), 40);
        assert_eq!(tenant.calls("POST", CREATE), 40, "pressed at task {nth}");
        is_right(&mirror, &tenant).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_out_of_time_costs_no_task() {
    let (tenant, _) = slow(40, 20);
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.run(&["sync", "--json", "--max-time", "25s"]).await.exits(2);
    assert!(mirror.files().len() < 40);
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", CREATE), 40);
    is_right(&mirror, &tenant).await;
}

/// A ticket whose product died costs one poll; one that is older than any product, nothing.
#[tokio::test(start_paused = true)]
async fn dead_tickets_cost_one_poll_and_old_ones_none() {
    for (minutes, polls) in [(12, 1), (25, 0)] {
        let (tenant, pages) = slow(20, 40);
        let mirror = Mirror::with(&tenant, CONFIG);
        let begun = cut_off(&mirror, &tenant, Duration::from_secs(35)).await;
        sleep(Duration::from_secs(60 * minutes)).await;
        mirror.sync().await.success();
        assert_eq!(tenant.calls("POST", CREATE), pages.len());
        let late = tenant.call_log().iter().filter(|call| call.code == 1_069_906).count();
        assert_eq!(late, begun * polls, "after {minutes} min");
        is_right(&mirror, &tenant).await;
    }
}

/// What was edited since its task was created is exported anew; nothing else is.
#[tokio::test(start_paused = true)]
async fn a_product_from_before_an_edit_is_not_taken() {
    let (tenant, pages) = slow(20, 40);
    let mirror = Mirror::with(&tenant, CONFIG);
    let begun = cut_off(&mirror, &tenant, Duration::from_secs(35)).await;
    for page in &pages {
        page.edit("new");
    }
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", CREATE), pages.len(), "{begun} had been begun");
    // The edits are young enough to be looked at once more, and were all seen.
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", CREATE), 0);
    is_right(&mirror, &tenant).await;
}

/// One edited just before its task was created is looked at again, whoever took the ticket.
#[tokio::test(start_paused = true)]
async fn an_edit_in_the_second_of_the_task_is_found() {
    let (tenant, pages) = slow(2, 40);
    let mirror = Mirror::with(&tenant, CONFIG);
    pages[0].edit("first");
    let page = pages[0].clone();
    let edit = Effect::run(move || {
        page.edit("second");
    });
    tenant.latency(Duration::ZERO);
    // After its content was taken, within the second of the edit that was seen.
    tenant.fault(Fault::new("GET", POLL, edit).nth(1));
    cut_off(&mirror, &tenant, Duration::from_millis(900)).await;
    tenant.calm();
    mirror.sync().await.success();
    mirror.sync().await.success();
    is_right(&mirror, &tenant).await;
}

#[tokio::test(start_paused = true)]
async fn the_tabs_of_a_sheet_go_on_too() {
    let (tenant, _) = slow(0, 40);
    let titles: Vec<String> = (0..20).map(|n| format!("Tab {n}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let sheet = tenant.root().sheet("Budget").tabs(&titles);
    let config = format!("{CONFIG}[export]\nsheet = [\"csv\"]\n");
    for edited in [false, true] {
        let mirror = Mirror::with(&tenant, &config);
        let begun = cut_off(&mirror, &tenant, Duration::from_secs(35)).await;
        if edited {
            sheet.edit("new");
        }
        mirror.sync().await.success();
        assert_eq!(mirror.files().len(), 20);
        let anew = if edited { 20 } else { 20 - begun };
        assert_eq!(tenant.calls("POST", CREATE), anew);
        tenant.forget_calls();
        mirror.sync().await.success();
        assert_eq!(tenant.calls("POST", CREATE), 0);
        tenant.forget_calls();
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_of_tickets_is_told_once_and_ignored() {
    let (tenant, pages) = slow(20, 40);
    let mirror = Mirror::with(&tenant, CONFIG);
    let begun = cut_off(&mirror, &tenant, Duration::from_secs(35)).await;
    let file = mirror.state("exports.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(first.contains("\"task\""));
    std::fs::write(&file, format!("{}\n\u{0}\u{0}\n{{}}\n{rest}{{\"ta", &first[..20])).unwrap();
    let run = mirror.sync().await.success();
    assert_eq!(run.err.matches("exports.jsonl").count(), 1, "{}", run.err);
    assert_eq!(tenant.calls("POST", CREATE), pages.len() - begun + 1, "one was lost");
    is_right(&mirror, &tenant).await;
    assert!(!mirror.sync().await.success().err.contains("exports.jsonl"));
}

/// Whoever comes next does not ask for what is not theirs.
#[tokio::test(start_paused = true)]
async fn tickets_of_another_identity_are_left_alone() {
    let (tenant, pages) = slow(20, 40);
    tenant.app_sees_everything(true);
    let folder = tenant.root().place_token();
    let config = format!("{CONFIG}folder = \"{folder}\"\n");
    let mut mirror = Mirror::with(&tenant, &config);
    cut_off(&mirror, &tenant, Duration::from_secs(35)).await;
    mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
    mirror.vars.insert("FEISHU_APP_ID".to_owned(), APP_ID.to_owned());
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), APP_SECRET.to_owned());
    let run = mirror.run(&["sync", "--json", "--accept-identity-change"]).await.success();
    assert_eq!(run.count("failed"), 0);
    assert_eq!(tenant.calls("POST", CREATE), pages.len());
    assert_eq!(tenant.call_log().iter().filter(|call| call.code == 1_069_902).count(), 0);
}

/// `--force` asks for what is there now, not for what a run before it was about to fetch.
#[tokio::test(start_paused = true)]
async fn force_makes_new_tasks() {
    let (tenant, pages) = slow(5, 2);
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    tenant.forget_calls();
    mirror.run(&["sync", "--json", "--force", "**"]).await.success();
    assert_eq!(tenant.calls("POST", CREATE), pages.len());
    // A file that was removed comes back from the product that is still there.
    tenant.forget_calls();
    std::fs::remove_file(mirror.path("drive/Page 3.docx")).unwrap();
    mirror.sync().await.success();
    assert_eq!((tenant.calls("POST", CREATE), tenant.calls("GET", PRODUCT)), (0, 1));
    is_right(&mirror, &tenant).await;
}

/// How long exports take is known from the run before.
#[tokio::test(start_paused = true)]
async fn the_next_run_knows_how_long_exports_take() {
    let (tenant, _) = slow(30, 12);
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    let scouted = tenant.calls("GET", POLL);
    assert!(scouted > 32, "{scouted}");
    tenant.forget_calls();
    for n in 0..30 {
        tenant.root().docx(&format!("New {n}"));
    }
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", POLL), 30);
    let before = mirror.snapshot();
    let file = std::fs::metadata(mirror.state("exports.jsonl")).unwrap().modified().unwrap();
    mirror.sync().await.success();
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    let after = std::fs::metadata(mirror.state("exports.jsonl")).unwrap().modified().unwrap();
    assert_eq!(file, after, "an unchanged run writes nothing");
}
