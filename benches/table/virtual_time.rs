//! Whole runs under the official quotas, on tokio's paused clock: hours pass in seconds, and
//! every limiter, export and time stamp agrees on the time.
//!
//! 95 of 100 calls are used, so `N / 95` minutes is the least that N exports, or N listings,
//! can take.

use std::time::Duration;

use feishu_mirror::sim::{Effect, Fault, Item, Tenant};
use tokio::time::Instant;

use crate::support::{Mirror, scale, tenant};
use crate::{Row, Table};

const CREATE: &str = "/drive/v1/export_tasks";
const POLL: &str = "/drive/v1/export_tasks/:ticket";
const PRODUCT: &str = "/drive/v1/export_tasks/file/:file_token/download";
const NODES: &str = "/wiki/v2/spaces/:space_id/nodes";
const FILES: &str = "/drive/v1/files";
const SPACES: &str = "/wiki/v2/spaces";

const DRIVE: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n";
const WIKI: &str = "[[source]]\nname = \"wiki\"\nkind = \"wiki\"\n";

/// Calls a minute that are used of the 100 that the service lets through.
const USED: f64 = 95.0;

fn paused<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(story)
}

/// A tenant whose every reply takes a while.
fn distant() -> Tenant {
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200));
    tenant
}

/// Virtual minutes of a command line.
async fn minutes(mirror: &Mirror, args: &[&str]) -> f64 {
    let began = Instant::now();
    mirror.run(args).await.success();
    began.elapsed().as_secs_f64() / 60.0
}

/// The three calls of an export.
fn export_calls(tenant: &Tenant) -> usize {
    tenant.calls("POST", CREATE) + tenant.calls("GET", POLL) + tenant.calls("GET", PRODUCT)
}

/// Pages, sheets and bases, seven to two to one.
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

/// Rows that every run of exports must have right.
fn frugal(table: &mut Table, name: &str, tenant: &Tenant, count: usize) {
    let polls = tenant.calls("GET", POLL) as f64 / count as f64;
    table.row(Row {
        measure: format!("{name}: polls an export"),
        figure: format!("{polls:.3}"),
        bound: "1".to_owned(),
        ratio: Some(1.0 / polls),
        goal: Some(("<= 1.05".to_owned(), polls <= 1.05)),
    });
    let log = tenant.call_log();
    let late = log.iter().filter(|call| [1_069_906, 1_060_001].contains(&call.code)).count();
    table.count(format!("{name}: calls turned away"), tenant.rate_limited(), 0, 0);
    table.count(format!("{name}: expired products"), late, 0, 0);
    let twice = tenant.calls("GET", PRODUCT).max(tenant.calls("POST", CREATE)) - count;
    table.count(format!("{name}: made or fetched twice"), twice, 0, 0);
}

/// Many exports, at the speed of the quota, and with slow downloads.
pub fn exports(table: &mut Table) {
    let count = scale(1_000, 10_000);
    paused(async {
        let tenant = distant();
        fill(&tenant, count);
        let mirror = Mirror::with(&tenant, DRIVE);
        let took = minutes(&mirror, &["sync", "--json"]).await;
        let (name, best) = (format!("{count} exports"), count as f64 / USED);
        table.time(format!("{name}, virtual"), took, best, "min", Some(best / 0.95));
        frugal(table, &name, &tenant, count);
    });
    let count = scale(2_000, 10_000);
    paused(async {
        let tenant = distant();
        let (gap, held) = (Duration::from_millis(1250), Duration::from_secs(1200));
        tenant.fault(Fault::new("GET", PRODUCT, Effect::queue(gap, Instant::now() + held)));
        fill(&tenant, count);
        let mirror = Mirror::with(&tenant, DRIVE);
        let took = minutes(&mirror, &["sync", "--json"]).await;
        let best = 20.0 + (count - 960) as f64 / USED;
        let name = format!("{count} exports, downloads 0.8/s for 20 min");
        table.time(format!("{name}, virtual"), took, best, "min", Some(best / 0.95));
        frugal(table, &name, &tenant, count);
    });
}

/// A wiki in which every fifth page has four below it.
fn wiki(tenant: &Tenant, nodes: usize) -> Vec<Item> {
    let space = tenant.space("Handbook");
    let mut pages = Vec::with_capacity(nodes);
    for n in 0..nodes / 5 {
        let parent = space.docx(&format!("Chapter {n}"));
        pages.extend((0..4).map(|below| parent.docx(&format!("Page {n}-{below}"))));
        pages.push(parent);
    }
    pages
}

/// The first sync of a wiki: walk and exports at once.
pub fn first_walk(table: &mut Table) {
    let nodes = scale(1_000, 10_000);
    paused(async {
        let tenant = distant();
        wiki(&tenant, nodes);
        let mirror = Mirror::with(&tenant, WIKI);
        let took = minutes(&mirror, &["sync", "--json"]).await;
        let listings = tenant.calls("GET", NODES);
        let best = (nodes.max(listings)) as f64 / USED;
        let measure = format!("first sync, wiki of {nodes}, {listings} listings, virtual");
        table.time(measure, took, best, "min", Some(best / 0.95));
        table.count(
            format!("first sync, wiki of {nodes}: calls turned away"),
            tenant.rate_limited(),
            0,
            0,
        );
    });
}

/// A night between two full walks, with one page in a hundred edited.
pub fn nightly(table: &mut Table) {
    let nodes = scale(2_000, 100_000);
    let edited = nodes / 100;
    paused(async {
        let tenant = tenant();
        let pages = wiki(&tenant, nodes);
        let mirror = Mirror::with(&tenant, WIKI);
        mirror.sync().await.success();
        tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
        for page in pages.iter().step_by(100) {
            page.edit("new");
        }
        tokio::time::sleep(Duration::from_secs(3600)).await;
        tenant.latency(Duration::from_millis(200));
        tenant.forget_calls();
        let took = minutes(&mirror, &["sync", "--json"]).await;
        let exported = tenant.calls("POST", CREATE);
        let other = tenant.total_calls() - export_calls(&tenant);
        // 200 objects a call, then the revision of each that moved.
        let best = nodes.div_ceil(200) + edited;
        let name = format!("night, wiki of {nodes}, {edited} edited");
        let most = (1_600.0 * nodes as f64 / 100_000.0).ceil() as usize;
        table.count(format!("{name}: calls besides exports"), other, best, most);
        let waits = exported as f64 / USED;
        let name = format!("{name}, virtual");
        table.time(name, took, waits, "min", Some(15.0 * nodes as f64 / 100_000.0 + waits));
    });
}

/// A second, full run over a tenant that did not change.
pub fn unchanged(table: &mut Table) {
    let nodes = scale(500, 2_000);
    paused(async {
        let tenant = tenant();
        wiki(&tenant, nodes / 2);
        for n in 0..nodes / 20 {
            let folder = tenant.root().folder(&format!("Folder {n}"));
            for file in 0..9 {
                folder.docx(&format!("Page {n}-{file}"));
            }
        }
        let mirror = Mirror::of(&tenant);
        mirror.sync().await.success();
        tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
        tenant.forget_calls();
        mirror.run(&["sync", "--full", "--json"]).await.success();
        let listings = [FILES, NODES, SPACES].map(|path| tenant.calls("GET", path));
        let listings = listings.iter().sum::<usize>();
        // Where a source begins may cost one call more.
        let measure = format!("unchanged tenant of {nodes} nodes, two sources: calls");
        table.count(measure, tenant.total_calls(), listings, listings + 2);
    });
}
