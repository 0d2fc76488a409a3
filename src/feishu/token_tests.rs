//! Stories of the token: whose it is, when it is asked for again, what is said where it
//! is refused.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::TryStreamExt;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::error::Class;
use super::fake::{CANARY, Fake, Scripted, Source, bytes_reply, json_reply};

fn page(token: &str, next: Option<&str>) -> Scripted {
    let file = json!({"token":token,"name":token,"type":"docx"});
    json_reply(
        json!({"code":0,"data":{"files":[file],"has_more":next.is_some(),"next_page_token":next}}),
    )
}

fn refused(code: i64, status: u16) -> Scripted {
    let echo = format!("{} is not good", Source::token_of(0));
    json_reply(json!({"code":code,"msg":echo})).status(status)
}

fn bearers(fake: &Fake) -> Vec<usize> {
    let number = |text: &str| text.split('-').nth(1).unwrap().parse().unwrap();
    fake.seen().iter().map(|seen| number(seen.header("authorization").unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_login_is_renewed_in_the_middle_of_a_listing() {
    let cases = [(99_991_677, 401), (99_991_668, 401), (99_991_663, 400), (20_005, 400), (0, 401)];
    for (code, status) in cases {
        let source = Arc::new(Source::default());
        let fake = Fake::login(&source);
        fake.push(page("a", Some("p2")));
        fake.push(page("b", Some("p3")));
        fake.push(refused(code, status));
        fake.push(page("c", None));
        let listed = fake.client().list_folder("x").await.unwrap();
        assert_eq!(listed.items.len(), 3, "{code}: nothing is lost");
        assert_eq!(bearers(&fake), [0, 0, 0, 1], "{code}");
        assert!(fake.calls()[3].contains("page_token=p3"), "the same page again");
        assert_eq!(source.renewals.load(Relaxed), 1, "{code}");
    }
}

/// Whoever renews holds locks: it does not wait for the last byte of somebody's download.
#[tokio::test(start_paused = true)]
async fn a_renewal_needs_none_of_the_connections() {
    let source = Arc::new(Source::default());
    let mut fake = Fake::login(&source);
    fake.settings.concurrency = 1;
    fake.push(bytes_reply("half").attachment(8));
    fake.push(json_reply(json!({"access_token":"u-2"})));
    let client = fake.client();
    let download = client.download_file("box", None).await.unwrap();
    let key = crate::feishu::oauth::AppKey { id: "cli_x".to_owned(), secret: "s".into() };
    let begun = tokio::time::Instant::now();
    let grant = client.oauth().refresh(&key, &"r".into()).await.unwrap();
    assert_eq!(grant.access_token.expose_secret(), "u-2");
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop(download);
}

#[tokio::test(start_paused = true)]
async fn a_login_is_renewed_between_the_parts_of_a_download() {
    let source = Arc::new(Source::default());
    let fake = Fake::login(&source);
    let part = |from: u64, bytes: &str| {
        let range = format!("bytes {from}-{}/8", from + 3);
        bytes_reply(bytes).status(206).header("content-range", range).attachment(4)
    };
    fake.push(part(0, "half"));
    fake.push(refused(99_991_677, 401));
    fake.push(part(4, "rest"));
    let client = fake.client();
    let mut whole = Vec::new();
    for from in [0, 4] {
        let body = client.download_file("box", Some(from..from + 4)).await.unwrap();
        whole.extend(body.stream.try_collect::<Vec<_>>().await.unwrap().concat());
    }
    assert_eq!(whole, b"halfrest");
    assert_eq!(bearers(&fake), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_refuses_a_fresh_token_too_does_not_take_its_kind() {
    let source = Arc::new(Source::default());
    let fake = Fake::login(&source);
    let client = fake.client();
    (0..2).for_each(|_| fake.push(refused(99_991_668, 400)));
    let error = client.list_folder("x").await.unwrap_err();
    assert_eq!(error.class, Class::Login);
    assert!(error.message.contains("does not take a user's token"), "{error}");
    let hint = error.hint.as_deref().unwrap();
    assert!(hint.contains("feishu-mirror doctor"), "{hint}");
    assert!(!hint.contains("FEISHU_USER_ACCESS_TOKEN"), "{hint}");
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    // Its next calls spend no further refresh token, until one of them succeeds.
    fake.push(refused(99_991_668, 400));
    let error = client.list_folder("y").await.unwrap_err();
    assert!(error.message.contains("does not take a user's token"), "{error}");
    assert_eq!(source.renewals.load(Relaxed), 1);
    fake.push(page("a", None));
    fake.push(refused(99_991_677, 401));
    fake.push(page("a", None));
    client.list_folder("x").await.unwrap();
    client.list_folder("x").await.unwrap();
    assert_eq!(source.renewals.load(Relaxed), 2);
    assert_eq!(fake.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_refused_calls_are_the_sources_to_sort_out() {
    let source = Arc::new(Source { takes: Duration::from_secs(1), ..Source::default() });
    let mut fake = Fake::login(&source);
    fake.settings.quota_share = 100.0;
    fake.settings.concurrency = 100;
    for _ in 0..100 {
        fake.push(refused(99_991_677, 401));
    }
    for _ in 0..100 {
        fake.push(page("a", None));
    }
    let client = fake.client();
    let calls = (0..100).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.list_folder(&n.to_string()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().items.len(), 1);
    }
    assert_eq!(source.asked.load(Relaxed), 200);
    assert_eq!(source.renewals.load(Relaxed), 1);
    let mut sent = bearers(&fake);
    sent.sort_unstable();
    assert_eq!(sent, [vec![0; 100], vec![1; 100]].concat());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_outlives_the_call_that_needed_it() {
    let source = Arc::new(Source { takes: Duration::from_secs(5), ..Source::default() });
    let fake = Fake::login(&source);
    fake.push(refused(99_991_677, 401));
    let client = fake.client();
    let call = tokio::time::timeout(Duration::from_secs(1), client.list_folder("x"));
    assert!(call.await.is_err(), "given up while the renewal is under way");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(source.renewals.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_calls_nothing_but_what_needs_no_token() {
    let fake = Fake::nobody();
    let error = fake.client().list_folder("x").await.unwrap_err();
    assert_eq!(error.class, Class::Login);
    assert!(error.hint.unwrap().contains("feishu-mirror auth login"));
    assert!(fake.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_missing_consent_names_the_command_that_asks_for_it() {
    let said = json!({"code":99_991_679,"msg":"Unauthorized","error":{"permission_violations":[
        {"type":"action_privilege_required","subject":"drive:file:download"},
        {"type":"action_privilege_required","subject":"drive:drive:readonly"}]}});
    let source = Arc::new(Source::default());
    for (fake, env) in [(Fake::login(&source), false), (Fake::user(), true)] {
        fake.push(json_reply(said.clone()).status(400));
        let error = fake.client().list_folder("x").await.unwrap_err();
        assert_eq!(error.class, Class::Config);
        let hint = error.hint.unwrap();
        assert!(
            hint.contains("feishu-mirror auth login --scope \"drive:file:download\""),
            "{hint}"
        );
        assert_eq!(hint.contains("FEISHU_USER_ACCESS_TOKEN"), env, "{hint}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_am_i_and_what_may_i() {
    let source = Arc::new(Source::default());
    let fake = Fake::login(&source);
    let client = fake.client();
    let data = |data: Value| json_reply(json!({"code":0,"data":data}));
    fake.push(data(
        json!({"name":"周","open_id":"ou_1","union_id":"on_1","tenant_key":"t","email":null}),
    ));
    let user = client.get_user_info().await.unwrap();
    assert_eq!((user.name.as_str(), user.open_id.as_str()), ("周", "ou_1"));
    assert_eq!((user.union_id.as_deref(), user.tenant_key.as_deref()), (Some("on_1"), Some("t")));
    fake.push(data(json!({"scopes":[
        {"scope_name":"drive:drive","grant_status":1,"scope_type":"tenant"},
        {"scope_name":"wiki:wiki","grant_status":"2"},{"scope_name":"x:y"}]})));
    let scopes = client.list_app_scopes().await.unwrap();
    let scopes: Vec<_> = scopes.iter().map(|s| (s.name.as_str(), s.granted)).collect();
    assert_eq!(scopes, [("drive:drive", true), ("wiki:wiki", false), ("x:y", false)]);
    fake.push(data(
        json!({"app":{"app_id":"cli_x","app_name":"Mirror","owner":{"owner_id":"ou_9"}}}),
    ));
    let app = client.get_app("cli_x").await.unwrap();
    assert_eq!((app.name.as_deref(), app.owner_id.as_deref()), (Some("Mirror"), Some("ou_9")));
    let lines = fake.calls();
    assert_eq!(lines[2], "GET /open-apis/application/v6/applications/cli_x?lang=zh_cn");
    let token = client.access_token().await.unwrap();
    assert_eq!(token.expose_secret(), Source::token_of(0));
    fake.push(json_reply(json!({"code":212_100,"msg":"no"})).status(400));
    assert_eq!(client.list_app_scopes().await.unwrap_err().class, Class::Config);
}

#[tokio::test(start_paused = true)]
async fn the_apps_secret_is_hidden_where_the_service_echoes_it() {
    let fake = Fake::app();
    let echo = format!("secret=hush-hush-{CANARY}, app=cli_x");
    fake.push_token(
        json_reply(json!({"code":10_015,"msg":echo})).status(400).header("x-tt-logid", "L7"),
    );
    let error = fake.client().list_folder("x").await.unwrap_err();
    assert!(
        error.message.contains("secret=…, app=cli_x") && error.message.contains("L7"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains(CANARY));
    // Also where it would be cut in the middle.
    fake.push_token(json_reply(
        json!({"code":10_014,"msg":format!("{} hush-hush-{CANARY}", "x".repeat(285))}),
    ));
    let error = fake.client().list_folder("x").await.unwrap_err();
    assert!(!error.message.contains("hush"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_odd_app_token_neither_breaks_the_clock_nor_is_sent_empty() {
    let page = || json_reply(json!({"code":0,"data":{"files":[],"has_more":false}}));
    let token = |expire| {
        json_reply(json!({"code":0,"tenant_access_token":format!("t-{CANARY}"),"expire":expire}))
    };
    for expire in [json!(i64::MAX), json!("9223372036854775807"), json!(-1), json!(null)] {
        let fake = Fake::app();
        fake.push_token(token(expire.clone()));
        fake.push(page());
        fake.client().list_folder("x").await.unwrap_or_else(|error| panic!("{expire}: {error}"));
    }
    let mut fake = Fake::app();
    fake.settings.retries = 0;
    fake.push_token(json_reply(json!({"code":0,"tenant_access_token":"","expire":7200})));
    let error = fake.client().list_folder("x").await.unwrap_err();
    assert_eq!(error.class, Class::Unexpected);
    assert_eq!(fake.calls().len(), 1, "nothing was asked with it");
}
