//! Exports by the thousand: the official quota of tasks is all that binds.
//!
//! The quotas let 95 of 100 calls a minute through, so N exports take N/95 minutes at
//! best. `FEISHU_MIRROR_LONG=1` exports 10,000.

use std::time::Duration;

use crate::support::{Mirror, scale, tenant};
use feishu_mirror::sim::{Effect, Fault, Tenant};
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
    if std::env::var_os("TRACE").is_some() {
        let t0 = tenant.call_log()[0].at;
        for c in tenant.call_log() {
            println!(
                "{} {} {} {}",
                (c.at.as_millisecond() - t0.as_millisecond()) / 100,
                c.method,
                c.pattern,
                c.path
            );
        }
    }
    assert_eq!(mirror.files().len(), count);
    figures
}

#[tokio::test(start_paused = true)]
async fn many_exports_take_as_long_as_their_tasks_may_be_created() {
    let count = scale(300, 10_000);
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200));
    fill(&tenant, count);
    measure("even", &tenant, count).await;
}

#[tokio::test(start_paused = true)]
async fn exports_that_take_uneven_times_are_polled_late_rather_than_often() {
    let count = scale(300, 10_000);
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200)).exports_vary(true);
    fill(&tenant, count);
    measure("uneven", &tenant, count).await;
}

#[tokio::test(start_paused = true)]
async fn long_exports_overlap() {
    let count = scale(100, 2000);
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200)).exports_take(Some(Duration::from_secs(40)));
    fill(&tenant, count);
    measure("40 s each", &tenant, count).await;
}

#[tokio::test(start_paused = true)]
async fn slow_downloads_slow_the_tasks_down() {
    let count = scale(300, 10_000);
    let tenant = tenant();
    let held =
        Effect::queue(Duration::from_millis(1250), Instant::now() + Duration::from_secs(1200));
    tenant.latency(Duration::from_millis(200)).fault(Fault::new("GET", PRODUCT, held));
    fill(&tenant, count);
    measure("held", &tenant, count).await;
}
