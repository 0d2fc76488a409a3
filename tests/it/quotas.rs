//! Throttling, storms and broken replies lose nothing.

use crate::support::{Mirror, SOURCES, scale, tenant};
use feishu_mirror::sim::{Effect, Fault};

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
            // Half a JSON text instead of an uploaded file cannot be told from a file that
            // is half a JSON text.
            let hit =
                tenant.call_log().get(at - 1).is_some_and(|c| c.pattern.ends_with("/download"));
            if !(hit && matches!(kind, Effect::Garbage)) {
                let mine = br#"{"code":1,"msg":"mine"}"#;
                assert_eq!(mirror.read("drive/data.json"), mine, "{name} at call {at}");
            }
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
