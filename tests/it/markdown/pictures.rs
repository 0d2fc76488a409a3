//! Pictures by the hundred: at the quota of downloads, each once.

use std::time::Duration;

use crate::support::{Mirror, scale, tenant};
use serde_json::json;
use tokio::time::Instant;

const DRIVE: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n[export]\ndocx = [\"md\"]\n";
const MEDIA: &str = "/drive/v1/medias/:file_token/download";

/// A picture of its own for each number.
fn png(n: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(n.to_le_bytes());
    bytes
}

/// `FEISHU_MIRROR_LONG=1`: 500 pictures in one page.
#[tokio::test(start_paused = true)]
async fn long_many_pictures_come_at_the_quota_and_once() {
    let (tenant, count) = (tenant(), scale(60, 500));
    let page = tenant.root().docx("Album").paragraph("All of them:");
    let tokens: Vec<String> =
        (0..count).map(|n| page.picture(&format!("{n}.png"), png(n), None)).collect();
    let mirror = Mirror::with(&tenant, DRIVE);
    let began = Instant::now();
    mirror.sync().await.success();
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!((tenant.calls("GET", MEDIA), tenant.rate_limited()), (count, 0));
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let at_best = count as f64 / 5.0;
    println!("{count} pictures: {seconds:.1} s, {at_best:.1} s at best");
    assert!(seconds >= at_best * 0.95 && seconds <= at_best / 0.95 + 5.0, "{seconds} s");
    let text = String::from_utf8(mirror.read("drive/Album.md")).unwrap();
    for (n, token) in tokens.iter().enumerate() {
        let path = format!("Album.assets/{token}.png");
        assert!(text.contains(&path), "picture {n}");
        assert_eq!(mirror.read(&format!("drive/{path}")), png(n));
    }

    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(tenant.calls("GET", MEDIA), 0);

    // An edit brings one more, and only that one is fetched.
    tokio::time::advance(Duration::from_secs(60)).await;
    let more = page.picture("more.png", png(count), None);
    page.append(json!({"block_type": 2, "text": {"elements": []}}));
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 1);
    assert!(mirror.path(&format!("drive/Album.assets/{more}.png")).exists());
}

/// The day's cap of downloads holds for pictures too: with a budget of calls a run ends in
/// the middle, and the next one goes on with what is missing.
#[tokio::test(start_paused = true)]
async fn a_budget_spent_in_the_middle_of_a_page_loses_nothing() {
    let tenant = tenant();
    let page = tenant.root().docx("Album");
    for n in 0..20 {
        page.picture(&format!("{n}.png"), png(n), None);
    }
    let mirror = Mirror::with(&tenant, DRIVE);
    let mut runs = 0;
    loop {
        let run = mirror.run(&["sync", "--json", "--max-calls", "15"]).await;
        runs += 1;
        assert!(runs < 5, "{}{}", run.out, run.err);
        if run.code == 0 {
            break;
        }
        run.exits(2);
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert_eq!(tenant.calls("GET", MEDIA), 20, "each once, over {runs} runs");
    let text = String::from_utf8(mirror.read("drive/Album.md")).unwrap();
    assert_eq!(text.matches("![](Album.assets/").count(), 20);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// `--max-time` ends a page between two pictures; the next run goes on from there.
#[tokio::test(start_paused = true)]
async fn a_run_out_of_time_stops_between_two_pictures() {
    let tenant = tenant();
    let page = tenant.root().docx("Album");
    for n in 0..60 {
        page.picture(&format!("{n}.png"), png(n), None);
    }
    let mirror = Mirror::with(&tenant, DRIVE);
    let began = Instant::now();
    let run = mirror.run(&["sync", "--json", "--max-time", "5s"]).await.exits(2);
    run.says(&["--max-time"]);
    let seconds = began.elapsed().as_secs_f64();
    assert!(seconds < 7.0, "{seconds} s");
    let first = tenant.calls("GET", MEDIA);
    assert!((10..40).contains(&first), "{first}");
    tokio::time::advance(Duration::from_secs(60)).await;
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 60, "each once");
}

/// Pictures leave the last calls of a run to the exports that are under way.
#[tokio::test(start_paused = true)]
async fn pictures_leave_their_calls_to_exports() {
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200));
    let page = tenant.root().docx("Album");
    for n in 0..60 {
        page.picture(&format!("{n}.png"), png(n), None);
    }
    for n in 0..10 {
        tenant.root().sheet(&format!("Sheet {n}"));
    }
    let mirror = Mirror::with(&tenant, DRIVE);
    mirror.run(&["sync", "--json", "--max-calls", "60"]).await.exits(2).says(&["max_calls"]);
    let tasks = tenant.calls("POST", "/drive/v1/export_tasks");
    let fetched = tenant.calls("GET", "/drive/v1/export_tasks/file/:file_token/download");
    assert!(tasks > 0 && tenant.calls("GET", MEDIA) > 0, "{tasks} tasks");
    assert_eq!(tasks, fetched);
}
