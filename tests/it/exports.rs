//! Exports by the thousand: the official quota of tasks is all that binds.
//!
//! The quotas let 95 of 100 calls a minute through, so N exports take N/95 minutes at
//! best. `FEISHU_MIRROR_LONG=1` exports 10,000.

use std::time::Duration;

use crate::support::{Mirror, scale, tenant};
use feishu_mirror::sim::{Effect, Fault, Item, Tenant};
use tokio::time::Instant;

const CREATE: &str = "/drive/v1/export_tasks";
const POLL: &str = "/drive/v1/export_tasks/:ticket";
const PRODUCT: &str = "/drive/v1/export_tasks/file/:file_token/download";

const CONFIG: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n";

/// What a run cost.
#[derive(Debug)]
struct Figures {
    exports: usize,
    tasks: usize,
    polls_each: f64,
    downloads: usize,
    rate_limited: usize,
    /// Polls and downloads that came too late.
    expired: usize,
    minutes: f64,
    /// Minutes at best, over minutes.
    of_bound: f64,
    /// Most tasks created and not yet fetched.
    in_flight: usize,
}

/// `count` documents: seven in ten are pages, two sheets, one a base.
fn fill(tenant: &Tenant, count: usize) {
    let root = tenant.root();
    for n in 0..count {
        match n % 10 {
            3 | 7 => root.sheet(&format!("Sheet {n}")),
            5 => root.bitable(&format!("Base {n}")),
            _ => root.docx(&format!("Page {n}")),
        };
    }
}

/// Syncs `count` exports into a new copy and says what it took.
async fn measure(name: &str, tenant: &Tenant, count: usize) -> Figures {
    let mirror = Mirror::with(tenant, CONFIG);
    let began = Instant::now();
    let run = mirror.sync().await.success();
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    assert_eq!(run.count("failed"), 0);
    let late = |code| [1_069_906, 1_060_001].contains(&code);
    let (mut in_flight, mut most) = (0_usize, 0);
    for call in tenant.call_log() {
        match call.pattern.as_str() {
            CREATE if call.code == 0 => in_flight += 1,
            PRODUCT if call.code == 0 => in_flight = in_flight.saturating_sub(1),
            _ => {}
        }
        most = most.max(in_flight);
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let figures = Figures {
        exports: count,
        tasks: tenant.calls("POST", CREATE),
        polls_each: tenant.calls("GET", POLL) as f64 / count as f64,
        downloads: tenant.calls("GET", PRODUCT),
        rate_limited: tenant.rate_limited(),
        expired: tenant.call_log().iter().filter(|call| late(call.code)).count(),
        minutes,
        of_bound: count as f64 / 95.0 / minutes,
        in_flight: most,
    };
    println!("{name}: {figures:?}");
    assert_eq!(mirror.files().len(), count);
    figures
}

impl Figures {
    /// One task, one poll (but for a few), one download each, and nobody told to wait.
    fn are_frugal(&self, polls_each: f64) {
        assert_eq!((self.tasks, self.downloads), (self.exports, self.exports), "{self:?}");
        assert_eq!((self.rate_limited, self.expired), (0, 0), "{self:?}");
        assert!(self.polls_each <= polls_each, "{self:?}");
    }
}

/// A tenant whose every reply takes a while.
fn distant() -> Tenant {
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200));
    tenant
}

/// Minutes that so many calls take at best.
#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn bound(calls: usize) -> f64 {
    calls as f64 / 95.0
}

#[tokio::test(start_paused = true)]
async fn many_exports_take_as_long_as_their_tasks_may_be_created() {
    let (tenant, count) = (distant(), scale(200, 10_000));
    fill(&tenant, count);
    let figures = measure("even", &tenant, count).await;
    figures.are_frugal(1.05);
    assert!(figures.of_bound >= 0.95, "{figures:?}");
}

/// One in fifty takes ten times as long as others, as large documents do.
#[tokio::test(start_paused = true)]
async fn exports_that_take_uneven_times_are_polled_late_rather_than_often() {
    let (tenant, count) = (distant(), scale(200, 10_000));
    tenant.exports_vary(true);
    fill(&tenant, count);
    let figures = measure("uneven", &tenant, count).await;
    figures.are_frugal(if count < 1000 { 1.15 } else { 1.05 });
    // The last one may be a long one.
    assert!(figures.minutes <= bound(count) * 1.05 + 0.7, "{figures:?}");
}

/// With eight at once, 100 exports of 40 s would take 8 minutes.
#[tokio::test(start_paused = true)]
async fn long_exports_overlap() {
    let (tenant, count) = (distant(), scale(100, 2000));
    tenant.exports_take(Some(Duration::from_secs(40)));
    fill(&tenant, count);
    let figures = measure("40 s each", &tenant, count).await;
    figures.are_frugal(if count < 1000 { 2.0 } else { 1.05 });
    assert!(figures.minutes <= bound(count) * 1.05 + 1.5, "{figures:?}");
    assert!(figures.in_flight >= 50, "{figures:?}");
}

/// While downloads crawl, no more is made than they fetch before it dies; afterwards
/// the quota binds again.
#[tokio::test(start_paused = true)]
async fn slow_downloads_slow_the_tasks_down() {
    let (tenant, count) = (distant(), scale(200, 10_000));
    let (gap, held) = (Duration::from_millis(1250), Duration::from_secs(1200));
    let crawl = Effect::queue(gap, Instant::now() + held);
    tenant.fault(Fault::new("GET", PRODUCT, crawl));
    fill(&tenant, count);
    let figures = measure("held to 0.8/s", &tenant, count).await;
    figures.are_frugal(1.05);
    assert!(figures.in_flight <= 240, "0.8/s in half of a product's life: {figures:?}");
    let crawling = count.min(960);
    #[expect(clippy::cast_precision_loss, reason = "at most 960")]
    let best = crawling as f64 / 48.0 + bound(count - crawling);
    assert!(figures.minutes <= best * 1.02 + 0.1, "{figures:?}, at best {best}");
}

/// Products that die while the service lets nobody download cost one new task each.
#[tokio::test(start_paused = true)]
async fn products_that_die_are_made_again_once() {
    let (tenant, count) = (distant(), 60);
    let closed = Effect::RateLimit { http: 429, reset_secs: Some(700) };
    tenant.fault(Fault::new("GET", PRODUCT, closed).nth(20));
    fill(&tenant, count);
    let figures = measure("closed for 700 s", &tenant, count).await;
    assert_eq!(figures.rate_limited, 1);
    let lost = figures.tasks - count;
    // What was under way when they came to a halt, not all the rest.
    assert!((1..=25).contains(&lost), "{figures:?}");
    assert!(figures.expired <= 2 * lost, "{figures:?}");
}

/// A product that dies every time is given up after one new task.
#[tokio::test(start_paused = true)]
async fn a_product_that_always_dies_is_no_loop() {
    let tenant = tenant();
    tenant.root().docx("Page");
    tenant.fault(Fault::new("GET", PRODUCT, Effect::status(404, 1_069_906)));
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.exits(2).says(&["two exports died", "run again"]);
    assert_eq!(tenant.calls("POST", CREATE), 2);
    tenant.calm();
    mirror.sync().await.success();
}

/// The sheets of one spreadsheet overlap like documents.
#[tokio::test(start_paused = true)]
async fn the_parts_of_one_object_overlap() {
    let tenant = distant();
    tenant.exports_take(Some(Duration::from_secs(20)));
    let titles: Vec<String> = (0..60).map(|n| format!("Tab {n}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    tenant.root().sheet("Budget").tabs(&titles);
    let mirror = Mirror::with(&tenant, &format!("{CONFIG}[export]\nsheet = [\"csv\"]\n"));
    let began = Instant::now();
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 60);
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!("60 parts of 20 s: {minutes:.1} min");
    assert!(minutes <= bound(60) + 1.2, "{minutes} min");
    assert_eq!(tenant.calls("POST", CREATE), 60);
}

/// A run whose calls end keeps the last ones for what it has begun: only a task that was
/// polled more often than most can be lost. The next run goes on.
#[tokio::test(start_paused = true)]
async fn the_last_calls_of_a_budget_fetch_what_was_begun() {
    let tenant = distant();
    fill(&tenant, 40);
    let mirror = Mirror::with(&tenant, CONFIG);
    let mut runs = 0;
    loop {
        runs += 1;
        tenant.forget_calls();
        let run = mirror.run(&["sync", "--json", "--max-calls", "80"]).await;
        assert!(tenant.total_calls() <= 80);
        let (tasks, fetched) = (tenant.calls("POST", CREATE), tenant.calls("GET", PRODUCT));
        assert!(tasks - fetched <= 2, "{tasks} tasks, {fetched} fetched");
        if run.code == 0 {
            break;
        }
        run.exits(2).says(&["max_calls"]);
        assert!(runs < 5, "each run fetches its share");
    }
    assert_eq!(mirror.files().len(), 40);
}

/// Ctrl-C in the middle of many loses nothing that was begun.
#[tokio::test(start_paused = true)]
async fn an_interrupt_in_the_middle_of_many_exports_is_clean() {
    let tenant = distant();
    tenant.exports_take(Some(Duration::from_secs(30)));
    fill(&tenant, 60);
    let mut mirror = Mirror::with(&tenant, CONFIG);
    let stop = mirror.interrupt.clone();
    let press = Effect::run(move || stop.cancel());
    tenant.fault(Fault::new("GET", PRODUCT, press).nth(10));
    mirror.sync().await.exits(130);
    let kept = mirror.files().len();
    assert!((5..60).contains(&kept), "{kept}");
    tenant.calm();
    mirror.interrupt = tokio_util::sync::CancellationToken::new();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", CREATE), 60);
    assert_eq!(mirror.files().len(), 60);
}

/// `--max-time` begins nothing new and fetches what was begun.
#[tokio::test(start_paused = true)]
async fn a_run_out_of_time_fetches_what_was_begun() {
    let tenant = distant();
    fill(&tenant, 200);
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.run(&["sync", "--json", "--max-time", "60s"]).await.exits(2);
    let tasks = tenant.calls("POST", CREATE);
    assert!((60..120).contains(&tasks), "{tasks}");
    assert_eq!(mirror.files().len(), tasks);
}

/// What is edited while it waits for its task or its product is found by the next run.
#[tokio::test(start_paused = true)]
async fn edits_made_while_many_exports_are_under_way_are_picked_up() {
    let tenant = distant();
    let root = tenant.root();
    let pages: Vec<Item> = (0..40).map(|n| root.docx(&format!("Page {n}")).text("old")).collect();
    let edit = Effect::run(move || {
        for page in &pages {
            page.edit("new");
        }
    });
    tenant.fault(Fault::new("POST", CREATE, edit).nth(20));
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    tenant.calm().forget_calls();
    mirror.sync().await.success();
    let again = tenant.calls("POST", CREATE);
    assert!((19..40).contains(&again), "{again} had been asked about before they were edited");
    let fresh = Mirror::with(&tenant, CONFIG);
    fresh.sync().await.success();
    for file in fresh.files() {
        assert_eq!(mirror.read(&file), fresh.read(&file), "{file}");
    }
}

/// Refusals neither keep others waiting nor hide how long exports take.
#[tokio::test(start_paused = true)]
async fn refused_exports_hold_nobody_up() {
    let tenant = distant();
    let root = tenant.root();
    for n in 0..100 {
        let page = root.docx(&format!("Page {n:03}"));
        if n < 80 {
            page.refuse_export(109);
        }
    }
    let mirror = Mirror::with(&tenant, CONFIG);
    let began = Instant::now();
    mirror.sync().await.exits(2);
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    assert_eq!((mirror.files().len(), tenant.calls("POST", CREATE)), (20, 100));
    println!("80 refusals in 100: {minutes:.2} min");
    assert!(minutes <= bound(100) * 2.5, "{minutes} min");
}
