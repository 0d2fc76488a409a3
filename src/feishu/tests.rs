//! Stories of the send path and of listings, on tokio's paused clock.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::Class;
use super::fake::{Fake, Step, bytes_reply, json_reply};
use crate::model::{ObjType, Object};

fn entry(token: &str) -> Value {
    json!({"token": token, "name": token, "type": "docx"})
}

fn page(tokens: &[&str], next: Option<&str>) -> Value {
    let files: Vec<_> = tokens.iter().map(|token| entry(token)).collect();
    json!({"code":0,"data":{"files":files,"has_more":next.is_some(),"next_page_token":next}})
}

fn limited(status: u16) -> super::fake::Scripted {
    json_reply(json!({"code":99_991_400,"msg":"request trigger frequency limit"})).status(status)
}

#[tokio::test(start_paused = true)]
async fn a_folder_is_paged_to_the_end_and_each_entry_kept_once() {
    let fake = Fake::app();
    fake.push(json_reply(page(&["a", "b"], Some("p2"))));
    fake.push(json_reply(page(&[], Some("p3"))));
    fake.push(json_reply(page(&["b", "c"], None)));
    let listed = fake.client().list_folder("fld").await.unwrap();
    let tokens: Vec<_> = listed.items.iter().map(|entry| entry.token.as_str()).collect();
    assert_eq!(tokens, ["a", "b", "c"]);
    assert_eq!(listed.seen_secs, 784_887_151, "the Date header of the first page");
    let first = "GET /open-apis/drive/v1/files\
        ?folder_token=fld&page_size=200&order_by=CreatedTime&direction=ASC";
    assert_eq!(
        fake.calls()[1..],
        [first.to_owned(), format!("{first}&page_token=p2"), format!("{first}&page_token=p3"),]
    );
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_runs_in_a_circle_ends_with_an_error() {
    let fake = Fake::app();
    for next in ["A", "B", "A"] {
        fake.push(json_reply(page(&[next], Some(next))));
    }
    let error = fake.client().list_folder("fld").await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    assert!(error.message.contains("circle"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_promises_more_without_a_token_is_asked_again_three_times() {
    let fake = Fake::app();
    let more = json!({"code":0,"data":{"items":[{"space_id":7,"name":"S"}],"has_more":true,"page_token":""}});
    for _ in 0..4 {
        fake.push(json_reply(more.clone()));
    }
    let error = fake.client().list_spaces().await.unwrap_err();
    assert!(error.message.contains("not where"), "{error}");
    assert_eq!(fake.calls().len(), 5);

    fake.push(json_reply(more.clone()));
    fake.push(json_reply(json!({"code":0,"data":{"items":null,"has_more":false}})));
    let listed = fake.client().list_spaces().await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(listed.items[0].space_id, "7", "an id sent as a number");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_no_page_is_never_an_empty_folder() {
    for body in [json!({"code":0}), json!({"code":0,"data":{}}), json!({"code":0,"data":null})] {
        let mut fake = Fake::app();
        fake.settings.retries = 1;
        fake.push(json_reply(body.clone()));
        fake.push(json_reply(body.clone()));
        let error = fake.client().list_folder("fld").await.unwrap_err();
        assert_eq!(error.class, Class::Unexpected, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn times_come_as_text_and_as_numbers() {
    let fake = Fake::app();
    fake.push(json_reply(json!({"code":0,"data":{"has_more":false,"files":[
        {"token":"a","name":"A","type":"shortcut","created_time":"1690000000","modified_time":1_690_000_100,
         "url":"https://x","shortcut_info":{"target_type":"docx","target_token":"doxC"},"unknown":[1]},
        {"token":"b","name":null,"type":"new_kind","created_time":""}]}})));
    fake.push(json_reply(json!({"code":0,"data":{"node":{"space_id":"1","node_token":"wikA",
        "obj_token":"doxC","obj_type":"docx","parent_node_token":"","node_type":"shortcut",
        "origin_node_token":"wikB","has_child":true,"title":"T","obj_edit_time":"5","node_create_time":4}}})));
    let client = fake.client();
    let files = client.list_folder("fld").await.unwrap().items;
    assert_eq!(
        (files[0].created_secs, files[0].modified_secs),
        (Some(1_690_000_000), Some(1_690_000_100))
    );
    assert_eq!(files[0].target, Some(("docx".to_owned(), "doxC".to_owned())));
    assert_eq!(
        (files[1].name.as_str(), files[1].ty.as_str(), files[1].created_secs),
        ("", "new_kind", None)
    );
    let (node, seen_secs) = client.get_node("wikA").await.unwrap();
    assert_eq!((node.obj_edit_secs, node.node_create_secs), (Some(5), Some(4)));
    assert!(node.is_shortcut && node.has_child && node.parent_node_token.is_none());
    assert_eq!(seen_secs, 784_887_151);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_freezes_its_class_until_the_reset_whatever_its_status() {
    for status in [400, 429, 200] {
        let fake = Fake::app();
        fake.push(limited(status).header("x-ogw-ratelimit-reset", "37"));
        fake.push(json_reply(page(&["a"], None)));
        fake.push(json_reply(page(&["b"], None)));
        let client = fake.client();
        let other = client.clone();
        let late = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            other.list_folder("y").await
        });
        assert_eq!(client.list_folder("x").await.unwrap().items.len(), 1, "HTTP {status}");
        late.await.unwrap().unwrap();
        let at = fake.moments();
        assert!(at[1] - at[0] >= Duration::from_secs(37), "HTTP {status}: {:?}", at[1] - at[0]);
        assert!(at[1] - at[0] < Duration::from_secs(38), "HTTP {status}: {:?}", at[1] - at[0]);
        assert!(at[2] >= at[1], "a neighbour waits as well");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_class_does_not_stop_the_others() {
    let fake = Fake::app();
    fake.push(limited(429).header("x-ogw-ratelimit-reset", "60"));
    fake.push(json_reply(json!({"code":0,"data":{"items":[],"has_more":false}})));
    fake.push(json_reply(page(&[], None)));
    let client = fake.client();
    let begun = Instant::now();
    let (files, spaces) = tokio::join!(client.list_folder("x"), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let spaces = client.list_spaces().await;
        (spaces, begun.elapsed())
    });
    files.unwrap();
    spaces.0.unwrap();
    assert!(spaces.1 < Duration::from_secs(3), "{:?}", spaces.1);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_rate_limits_loses_nothing() {
    let mut fake = Fake::app();
    fake.settings.retries = 0;
    for storm in 0..40 {
        fake.push(
            limited(if storm % 2 == 0 { 429 } else { 400 }).header("x-ogw-ratelimit-reset", "20"),
        );
    }
    fake.push(json_reply(page(&["a"], None)));
    assert_eq!(fake.client().list_folder("x").await.unwrap().items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_day_of_rate_limits_is_a_budget_for_downloads_and_a_failure_elsewhere() {
    let fake = Fake::app();
    for _ in 0..2 {
        fake.push(
            json_reply(json!({"code":1_061_045,"msg":"limit"}))
                .header("x-ogw-ratelimit-reset", "86400"),
        );
    }
    let client = fake.client();
    let Err(error) = client.download_file("box", None).await else { panic!() };
    assert_eq!(error.class, Class::Budget);
    let error = client.list_folder("x").await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    let error = client.list_folder("y").await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "not even asked");
    assert_eq!(fake.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again() {
    let mut fake = Fake::app();
    fake.push(bytes_reply("<html>502</html>").status(502).header("content-type", "text/html"));
    fake.push(bytes_reply("<html>hi</html>").header("content-type", "text/html"));
    fake.push(bytes_reply("{\"code\":0,\"data\":{\"fil"));
    fake.push(bytes_reply("[1,2]"));
    fake.push_refused();
    fake.push(bytes_reply("{\"code\":0,").then(Step::Cut));
    fake.settings.retries = 6;
    fake.push(json_reply(page(&["a"], None)));
    let client = fake.client();
    assert_eq!(client.list_folder("x").await.unwrap().items.len(), 1);
    assert_eq!(client.requests(), 8, "seven tries and the token");
}

#[tokio::test(start_paused = true)]
async fn retries_run_out() {
    type Push = fn(&Fake);
    let cases: [(Push, Class); 4] = [
        (
            |fake| fake.push(json_reply(json!({"code":5000,"msg":"x"})).status(500)),
            Class::Transient,
        ),
        (Fake::push_refused, Class::Unreachable),
        (Fake::push_silence, Class::Transient),
        (|fake| fake.push(bytes_reply("{").then(Step::Stall)), Class::Transient),
    ];
    for (at, (push, class)) in cases.into_iter().enumerate() {
        let mut fake = Fake::app();
        fake.settings.retries = 2;
        (0..3).for_each(|_| push(&fake));
        let error = fake.client().list_folder("x").await.unwrap_err();
        assert_eq!(error.class, class, "case {at}: {error}");
        assert_eq!(fake.left(), 0, "case {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_app_token_is_renewed_once() {
    let bad = || json_reply(json!({"code":99_991_663,"msg":"invalid token"})).status(400);
    let fake = Fake::app();
    fake.push(bad());
    fake.push(json_reply(page(&["a"], None)));
    let client = fake.client();
    client.list_folder("x").await.unwrap();
    assert_eq!(fake.last_header("authorization").unwrap(), "Bearer t-3", "the second token");
    assert_eq!(client.requests(), 4);

    fake.push(bad());
    fake.push(bad());
    let error = client.list_folder("x").await.unwrap_err();
    assert_eq!(error.class, Class::Login);
    assert!(error.hint.unwrap().contains("FEISHU_APP_ID"));
}

#[tokio::test(start_paused = true)]
async fn the_app_token_is_fetched_once_and_again_before_it_expires() {
    let fake = Fake::app();
    for _ in 0..6 {
        fake.push(json_reply(page(&[], None)));
    }
    let client = fake.client();
    let (a, b, c) =
        tokio::join!(client.list_folder("1"), client.list_folder("2"), client.list_folder("3"));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(client.requests(), 4, "one token for three");
    // The token lives for 7140 s.
    tokio::time::sleep(Duration::from_secs(7140 - 660)).await;
    client.list_folder("4").await.unwrap();
    assert_eq!(client.requests(), 5);
    tokio::time::sleep(Duration::from_secs(120)).await;
    client.list_folder("5").await.unwrap();
    assert_eq!(client.requests(), 7, "less than 10 minutes left");
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_told_once_and_without_the_secret() {
    let fake = Fake::app();
    fake.push_token(json_reply(json!({"code":10_015,"msg":"app secret wrong"})).status(400));
    let client = fake.client();
    for _ in 0..3 {
        let error = client.list_folder("x").await.unwrap_err();
        assert_eq!(error.class, Class::Login);
        let hint = error.hint.as_deref().unwrap();
        assert!(hint.contains("FEISHU_APP_ID") && hint.contains("FEISHU_APP_SECRET"), "{hint}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    assert_eq!(client.requests(), 1);
    assert!(!format!("{:?}", fake.settings).contains("hush"));
}

#[tokio::test(start_paused = true)]
async fn an_expired_user_token_needs_a_person() {
    let fake = Fake::user();
    fake.push(json_reply(json!({"code":99_991_677,"msg":"expired"})).status(401));
    let client = fake.client();
    let error = client.list_folder("x").await.unwrap_err();
    assert_eq!(error.class, Class::Login);
    assert!(error.hint.unwrap().contains("FEISHU_USER_ACCESS_TOKEN"));
    assert_eq!(client.requests(), 1);
    assert_eq!(fake.last_header("authorization").unwrap(), "Bearer u-users-own-token-x");
}

#[tokio::test(start_paused = true)]
async fn a_run_sends_no_more_than_max_calls() {
    let mut fake = Fake::app();
    fake.settings.max_calls = 3;
    fake.push(json_reply(page(&["a"], Some("p2"))));
    fake.push(json_reply(page(&["b"], Some("p3"))));
    let client = fake.client();
    let error = client.list_folder("x").await.unwrap_err();
    assert_eq!(error.class, Class::Budget);
    assert_eq!(client.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_used_up_budget_is_told_at_once_to_everybody_in_line() {
    let mut fake = Fake::app();
    fake.settings.max_calls = 4;
    for _ in 0..3 {
        fake.push(json_reply(json!({"code":0,"data":{"items":[],"has_more":false}})));
    }
    let client = fake.client();
    let begun = Instant::now();
    let calls = (0..400).map(|_| client.list_nodes("7", None));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_no_url_is_a_matter_of_config() {
    for base in ["open.feishu.cn", "", "https://a b"] {
        let mut fake = Fake::user();
        fake.settings.domain.open = base.to_owned();
        let error = fake.client().list_folder("x").await.unwrap_err();
        assert_eq!(error.class, Class::Config, "{base:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_limited_and_their_pace_is_kept() {
    let mut fake = Fake::app();
    fake.settings.concurrency = 2;
    for _ in 0..60 {
        fake.push(json_reply(page(&[], None)));
    }
    let client = fake.client();
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.list_folder(&n.to_string()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let at = fake.moments();
    for window in at.windows(21) {
        assert!(window[20] - window[0] >= Duration::from_secs(1), "21 calls within a second");
    }
    assert!(at[59] - at[0] < Duration::from_secs(4), "60 calls at 19 a second");
}

#[tokio::test(start_paused = true)]
async fn revisions_and_parts_are_read_from_each_family() {
    let fake = Fake::app();
    let client = fake.client();
    let cases = [
        (ObjType::Docx, json!({"document":{"document_id":"d","revision_id":12}})),
        (
            ObjType::Sheet,
            json!({"spreadsheetToken":"d","properties":{"title":"x","revision":12},"sheets":[]}),
        ),
        (ObjType::Bitable, json!({"app":{"app_token":"d","revision":"12"}})),
    ];
    for (ty, data) in cases {
        fake.push(json_reply(json!({"code":0,"data":data})));
        let revision = client.get_revision(&Object::new(ty.clone(), "d")).await.unwrap();
        assert_eq!(revision, Some(12), "{ty}");
    }
    assert_eq!(client.get_revision(&Object::new(ObjType::Slides, "d")).await.unwrap(), None);

    fake.push(json_reply(json!({"code":0,"data":{"sheets":[
        {"sheet_id":"a","title":"Q1","resource_type":"sheet"},
        {"sheet_id":"b","title":"Base","resource_type":"bitable"}]}})));
    let parts = client.list_parts(&Object::new(ObjType::Sheet, "s")).await.unwrap();
    let parts: Vec<_> = parts.iter().map(|part| (part.id.as_str(), part.exportable)).collect();
    assert_eq!(parts, [("a", true), ("b", false)]);
    fake.push(json_reply(
        json!({"code":0,"data":{"items":[{"table_id":"t","name":"T"}],"has_more":false}}),
    ));
    let parts = client.list_parts(&Object::new(ObjType::Bitable, "b")).await.unwrap();
    assert_eq!((parts[0].id.as_str(), parts[0].title.as_str()), ("t", "T"));
}

#[tokio::test(start_paused = true)]
async fn the_root_is_named_by_its_own_token() {
    let fake = Fake::user();
    fake.push(json_reply(
        json!({"code":0,"msg":"Success","data":{"token":"fldR","id":"7","user_id":"8"}}),
    ));
    assert_eq!(fake.client().get_root_folder().await.unwrap(), "fldR");
}
