//! Throttling, storms and broken replies lose nothing; what is learned of the quota is kept,
//! and shared.

use std::process::Stdio;
use std::time::Duration;

use crate::support::program::{Program, Served};
use crate::support::{Mirror, Run, SOURCES, scale, tenant};
use feishu_mirror::sim::{Effect, Fault, Quotas, Tenant};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Under the official quotas a whole run is never turned away, even where it has more
/// to do than any window allows at once.
#[tokio::test(start_paused = true)]
async fn a_whole_run_stays_within_the_official_quotas() {
    let tenant = tenant();
    let root = tenant.root();
    for n in 0..scale(150, 1500) {
        root.docx(&format!("Page {n}"));
        root.upload(&format!("{n}.txt"), format!("{n}").into_bytes());
    }
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    assert_eq!(tenant.rate_limited(), 0);
    assert_eq!(mirror.files().len(), scale(150, 1500) * 2);
}

/// A storm of 429 and of 400 with 99991400 costs time, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_storm_of_rate_limits_loses_nothing() {
    let tenant = tenant();
    let root = tenant.root();
    let space = tenant.space("Wiki");
    for n in 0..40 {
        root.docx(&format!("Page {n}"));
        root.upload(&format!("{n}.txt"), format!("{n}").into_bytes());
        space.docx(&format!("Node {n}"));
    }
    tenant.storm(7, 0.3, &[Effect::rate_limit(429), Effect::rate_limit(400)]);
    let mirror = Mirror::of(&tenant);
    let run = mirror.sync().await.success();
    assert!(tenant.rate_limited() > 20, "there was a storm: {}", tenant.rate_limited());
    assert_eq!(run.count("failed"), 0);
    assert_eq!(mirror.files().len(), 120);
    tenant.calm();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// Each kind of broken reply, once, at each call of a run: the copy is right all the same.
#[tokio::test(start_paused = true)]
async fn one_broken_reply_anywhere_is_retried() {
    let kinds = [
        Effect::status(500, 2200),
        Effect::Reset,
        Effect::CutAfter(5),
        Effect::Garbage,
        Effect::Html,
        Effect::rate_limit(429),
        Effect::rate_limit(400),
    ];
    for kind in kinds {
        let name = format!("{kind:?}");
        let mut at = 1;
        loop {
            let tenant = tenant();
            let root = tenant.root();
            root.docx("Page");
            root.upload("data.json", br#"{"code":1,"msg":"mine"}"#.to_vec());
            tenant.fault(Fault::new("*", "*", kind.clone()).nth(at));
            let mirror = Mirror::of(&tenant);
            let run = mirror.sync().await;
            assert_eq!(run.code, 0, "{name} at call {at}: {}{}", run.out, run.err);
            assert_eq!(mirror.files(), ["drive/Page.docx", "drive/data.json"], "{name} at {at}");
            let mine = br#"{"code":1,"msg":"mine"}"#;
            assert_eq!(mirror.read("drive/data.json"), mine, "{name} at call {at}");
            assert!(mirror.read("drive/Page.docx").starts_with(b"PK"), "{name} at {at}");
            at += 1;
            if at > tenant.total_calls() {
                break;
            }
        }
        assert!(at > 5, "{name}: every call of the run was hit");
    }
}

/// A cursor that goes round in circles ends the listing with an error, and deletes nothing.
#[tokio::test(start_paused = true)]
async fn a_looping_cursor_ends_with_an_error() {
    let tenant = tenant();
    let root = tenant.root();
    for n in 0..3 {
        root.docx(&format!("Page {n}"));
    }
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();
    let before = mirror.snapshot();
    tenant.fault(Fault::new("GET", "/drive/v1/files", Effect::LoopPages));
    mirror.sync().await.exits(2);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
}

const DRIVE: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n";
const ROOT: &str = "/drive/explorer/v2/root_folder/meta";
const DOWNLOAD: &str = "/drive/v1/files/:file_token/download";

/// A mirror that calls with a stored login.
async fn logged_in(tenant: &Tenant) -> Mirror {
    let mut mirror = Mirror::with(tenant, DRIVE);
    mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
    mirror.add_profile("default").await;
    mirror.log_in("default", "demo");
    mirror
}

/// Another mirror of the same person on the same machine.
fn beside(mirror: &Mirror, tenant: &Tenant) -> Mirror {
    let mut other = Mirror::with(tenant, DRIVE);
    other.vars.clone_from(&mirror.vars);
    other
}

/// What `status` says of the budget, in JSON and in words.
async fn budget(mirror: &Mirror) -> (Value, Run) {
    let json = mirror.run(&["status", "--json"]).await.success();
    (json.events().pop().unwrap()["budget"].clone(), mirror.run(&["status"]).await.success())
}

/// Two runs at once have one quota, also when the second one begins in the middle of the
/// first, when one ends before the other, and when a third follows at once.
#[tokio::test(start_paused = true)]
async fn two_runs_of_one_app_never_exceed_its_quota_together() {
    let tenant = tenant();
    let root = tenant.root();
    let pages = scale(60, 240);
    for n in 0..pages {
        root.docx(&format!("Page {n}"));
        root.upload(&format!("{n}.txt"), format!("{n}").into_bytes());
    }
    let one = logged_in(&tenant).await;
    let (two, three) = (beside(&one, &tenant), beside(&one, &tenant));
    let began = Instant::now();
    let (first, second) = tokio::join!(one.sync(), async {
        sleep(Duration::from_secs(10)).await;
        two.sync().await
    });
    first.success();
    second.success();
    let both = began.elapsed();
    three.sync().await.success();
    assert_eq!(tenant.rate_limited(), 0);
    for mirror in [&one, &two, &three] {
        assert_eq!(mirror.files().len(), pages * 2);
    }
    // Each has half of the quota at worst: 95 of 100 calls a minute, divided by two.
    let worst = Duration::from_secs(60 * pages as u64 / 47 + 40);
    assert!(both < worst, "{both:?}, {worst:?}");
    // Nobody is there any more.
    let names = std::fs::read_dir(one.folder().join("home/profiles")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("user-")), "{names:?}");
}

/// A tenant that grants half of the official rates: the run settles there, the next one
/// knows from the beginning, and `status` says so until it is over.
#[tokio::test(start_paused = true)]
async fn a_rate_that_was_learned_is_kept_for_the_next_run() {
    let tenant = tenant();
    tenant.quotas(Quotas::official().times(0.5));
    let root = tenant.root();
    for n in 0..300 {
        root.docx(&format!("Page {n}"));
    }
    let mirror = logged_in(&tenant).await;
    let began = Instant::now();
    mirror.sync().await.success();
    let (learning, took) = (tenant.rate_limited(), began.elapsed());
    assert!((2..=40).contains(&learning), "{learning}");
    assert!(took < Duration::from_secs(9 * 60), "300 at 50 a minute: {took:?}");

    let (json, text) = budget(&mirror).await;
    let task = "POST /open-apis/drive/v1/export_tasks";
    let slowed = json["slowed"].as_array().unwrap();
    let rate = slowed.iter().find(|class| class["endpoint"] == task).unwrap()["rate"].as_f64();
    assert!((0.3..0.6).contains(&rate.unwrap()), "{slowed:?}");
    text.says(&[task, "% of its rate"]);

    for n in 0..60 {
        root.docx(&format!("New page {n}"));
    }
    tenant.forget_calls();
    mirror.sync().await.success();
    assert!(tenant.rate_limited() <= 3, "{}", tenant.rate_limited());

    // Nobody has heard of it for a week: it may be over.
    sleep(Duration::from_secs(8 * 86_400)).await;
    assert_eq!(budget(&mirror).await.0["slowed"], Value::Array(Vec::new()));
    let file = std::fs::read_to_string(mirror.folder().join("home/profiles/default/quota.json"));
    crate::support::secrets::none_in("quota.json", &file.unwrap());
}

/// The day's downloads are one budget for all runs: a run stops at once where the last one
/// used them up, says when it goes on, and goes on then.
#[tokio::test(start_paused = true)]
async fn the_days_downloads_are_counted_across_runs() {
    let tenant = tenant();
    let root = tenant.root();
    for n in 0..30 {
        root.upload(&format!("{n}.txt"), format!("{n}").into_bytes());
    }
    let mirror = Mirror::with(&tenant, &format!("{DRIVE}[limits]\nquota_share = 0.002\n"));
    let first = mirror.sync().await.exits(2);
    assert_eq!(tenant.calls("GET", DOWNLOAD), 19, "95 % of 20");
    first.says(&["19 downloads", "used up", "run again after 2026-03-02 0"]);
    let (json, text) = budget(&mirror).await;
    assert_eq!(
        (&json["downloads"][0]["calls"], &json["downloads"][0]["cap"]),
        (&19.into(), &19.into())
    );
    text.says(&["19 of 19 file downloads in 24 h, more from 2026-03-02"]);

    mirror.sync().await.exits(2).says(&["run again after 2026-03-02 0"]);
    assert_eq!(tenant.calls("GET", DOWNLOAD), 19, "nothing was tried");
    // Looking at it costs nothing either, and writes nothing.
    let before = std::fs::read(mirror.state("quota.json")).unwrap();
    mirror.diff().await.success();
    assert_eq!(std::fs::read(mirror.state("quota.json")).unwrap(), before);

    sleep(Duration::from_secs(86_400)).await;
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 30);
    assert_eq!(tenant.calls("GET", DOWNLOAD), 30);
    assert_eq!(tenant.rate_limited(), 0);
}

/// A spent month ends the run, and each later one after a single call, until the month is
/// over.
#[tokio::test(start_paused = true)]
async fn a_spent_month_costs_one_call_a_run() {
    let tenant = tenant();
    let root = tenant.root();
    for n in 0..20 {
        root.folder(&format!("Folder {n}")).docx("Page");
    }
    let mirror = logged_in(&tenant).await;
    let spent = || Fault::new("*", "*", Effect::status(400, 99_991_403));
    tenant.fault(spent().nth(10).times(1000));
    let run = mirror.sync().await.exits(2);
    run.says(&["monthly call quota is used up", "until then each run makes one such call"]);
    let (json, text) = budget(&mirror).await;
    assert!(json["month_spent_secs"].as_i64().is_some(), "{json}");
    text.says(&["monthly call quota was used up on 2026-03-01", "one call"]);

    tenant.calm().fault(spent());
    for _ in 0..2 {
        tenant.forget_calls();
        mirror.sync().await.exits(2).says(&["monthly call quota is used up"]);
        assert_eq!(tenant.total_calls(), 1, "{:?}", tenant.call_log());
    }

    tenant.calm();
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 20);
    assert_eq!(budget(&mirror).await.0["month_spent_secs"], Value::Null);
}

/// Real processes: one at work is noticed by the next, which lets it notice in turn; one
/// that was killed is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_counts_as_long_as_it_lives() {
    let served = Served::start().await;
    let tenant = served.tenant.clone();
    tenant.root().docx("Page");
    let program = Program::new(&served);
    tokio::task::spawn_blocking(move || {
        program.add_profile();
        program.log_in(&tenant, "demo");
        let seats = || {
            let entries = std::fs::read_dir(program.profile("..")).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut seats: Vec<_> =
                names.filter_map(|name| Some(name.split_once(".user-")?.1.to_owned())).collect();
            seats.sort();
            seats
        };
        let ask = || {
            let began = std::time::Instant::now();
            program.run(&["api", "GET", "/open-apis/authen/v1/user_info"]).success();
            began.elapsed()
        };
        ask();
        assert_eq!(seats(), [""; 0], "it is gone with its process");

        for path in [ROOT, "/drive/v1/files"] {
            tenant.fault(Fault::new("GET", path, Effect::Delay(Duration::from_secs(60))));
        }
        let mut sync = program.command(&["sync"]);
        let mut sync = sync.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while seats().is_empty() {
            assert!(sync.try_wait().unwrap().is_none(), "it ended early");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        assert!(ask() >= Duration::from_secs(1), "nothing goes before the other one must know");
        assert_eq!(seats(), ["0.lock"]);
        sync.kill().unwrap();
        sync.wait().unwrap();
        assert_eq!(seats(), ["0.lock"], "nobody tidied up");
        ask();
        assert_eq!(seats(), [""; 0]);
    })
    .await
    .unwrap();
}
