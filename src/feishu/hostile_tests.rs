//! Replies that no honest service sends: any bytes, documented replies with something
//! wrong in them, cursors and headers made to confuse.
//!
//! Each property's body is a plain function over bytes (`no_panic_on_…`), so that a fuzzer
//! can drive it as well: `fuzz_target!(|bytes: &[u8]| no_panic_on_reply(bytes))`.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::StreamExt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::fake::{CANARY, Fake, bytes_reply, json_reply};
use super::oauth::{AppKey, Poll, TokenKind};
use super::raw::{RawCall, RawReply};
use super::*;
use crate::model::{ObjType, Object};

/// What the calls of a login send in secret: a service may throw it back at us.
fn sent() -> String {
    format!("hush-hush-{CANARY}")
}

/// The token that content is asked for with.
fn bearer() -> String {
    format!("t-of-the-app-{CANARY}")
}

/// What a reply hands out in secret.
fn handed() -> String {
    format!("u-handed-out-{CANARY}")
}

/// Cases of a run: few where it must be quick.
fn run<S: Strategy>(cases: u32, strategy: &S, check: impl Fn(S::Value)) {
    let long = std::env::var_os("FEISHU_MIRROR_LONG").is_some_and(|value| value == "1");
    let cases = if long { cases * 100 } else { cases };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |value| {
        check(value);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// `data` as the pages of the docs show it, a reply for each kind of call.
fn documented() -> Vec<Value> {
    let link = format!("https://box.example/x/?authcode={CANARY}");
    vec![
        json!({"files": [{"token": "boxA", "name": "A", "type": "shortcut", "created_time": "1690000000",
            "modified_time": 1_690_000_100, "owner_id": "ou_a", "url": "https://x.example/a",
            "shortcut_info": {"target_type": "docx", "target_token": "doxA"}}],
            "has_more": true, "next_page_token": "p2"}),
        json!({"token": "fldRoot", "id": "7", "user_id": "1"}),
        json!({"items": [{"space_id": "7", "name": "S", "space_type": "team"}], "has_more": false}),
        json!({"space": {"space_id": "7", "name": "S"}, "has_more": true, "page_token": ""}),
        json!({"items": [{"space_id": "7", "node_token": "wikA", "obj_token": "doxA",
            "obj_type": "docx", "parent_node_token": "", "node_type": "origin",
            "origin_node_token": "wikA", "has_child": true, "title": "T", "obj_edit_time": "5",
            "node_create_time": "4", "owner": "ou_a"}], "has_more": false, "page_token": "x"}),
        json!({"node": {"space_id": "7", "node_token": "wikA", "obj_token": "doxA", "obj_type": "docx"}}),
        json!({"document": {"revision_id": 12, "document_id": "doxA", "title": "T"},
            "items": [{"block_id": "d", "block_type": 1, "page": {}, "children": ["t"]},
                {"block_id": "t", "block_type": 2, "text": {"elements": [{"text_run": {"content": "x"}}]}}],
            "has_more": false}),
        json!({"metas": [{"doc_token": "doxA", "doc_type": "docx", "title": "T", "create_time": "1",
            "latest_modify_time": "5", "owner_id": "ou_a", "url": "https://x.example/d",
            "request_doc_info": {"doc_token": "doxA", "doc_type": "docx"}}],
            "failed_list": [{"token": "gone", "code": 970_005}]}),
        json!({"items": [{"comment_id": "1", "user_id": "ou_a", "create_time": 5, "is_solved": true,
            "solved_time": 7, "has_more": true, "quote": "q", "reply_list": {"replies": [
                {"reply_id": "2", "content": {"elements": [{"text_run": {"text": "x"}}]},
                 "extra": {"image_list": ["boxI"]}}]}}], "has_more": false}),
        json!({"items": [{"reply_id": "2", "content": {"elements": []}}], "has_more": false}),
        json!({"items": [{"open_id": "ou_a", "name": "Ann"}]}),
        json!({"nodes": [{"id": "o1:1", "type": "text_shape", "text": {"text": "Hi"}}]}),
        json!({"sheets": [{"sheet_id": "0b12", "title": "Q1", "hidden": false, "resource_type": "sheet",
            "grid_properties": {"row_count": 200, "column_count": 20},
            "merges": [{"start_row_index": 0, "end_row_index": 1, "start_column_index": 1,
                "end_column_index": 2}]}]}),
        json!({"valueRange": {"range": "a!A1:B2", "revision": 4, "values": [["x", 1.5, null], null]}}),
        json!({"properties": {"revision": 7, "title": "S"}}),
        json!({"app": {"name": "B", "revision": 3, "is_advanced": true, "time_zone": "Asia/Shanghai",
            "app_name": "My app", "owner": {"owner_id": "ou_a"}}}),
        json!({"items": [{"table_id": "tbl1", "name": "T", "revision": 1, "field_id": "fld1",
            "field_name": "N", "type": 1, "property": {"options": []}, "is_primary": true,
            "view_id": "vew1", "view_name": "Grid", "view_type": "grid"}], "has_more": false}),
        json!({"items": [{"record_id": "rec1", "fields": {"N": [{"text": "x"}]},
            "created_time": 1_691_049_973_000_i64, "created_by": {"id": "ou_a"}}],
            "has_more": true, "page_token": "p", "total": 2}),
        json!({"tmp_download_urls": [{"file_token": "boxA", "tmp_download_url": link}]}),
        json!({"ticket": "7", "result": {"job_status": 0, "file_token": "boxK", "file_size": 9,
            "job_error_msg": "success", "file_extension": "docx"}}),
        json!({"name": "Ann", "open_id": "ou_a", "union_id": "on_a", "tenant_key": "t1"}),
        json!({"scopes": [{"scope_name": "drive:drive", "scope_type": "user", "grant_status": 1}]}),
        // Those of a login stand at the top.
        json!({"access_token": handed(), "expires_in": 7200, "refresh_token": handed(),
            "refresh_token_expires_in": 604_800, "scope": "offline_access"}),
        json!({"device_code": handed(), "user_code": "AB-CD", "expires_in": 240, "interval": 5,
            "verification_uri": "https://x.example/d",
            "verification_uri_complete": "https://x.example/d?code=AB-CD"}),
        json!({"client_id": "cli_y", "client_secret": handed(),
            "user_info": {"open_id": "ou_a", "tenant_brand": "feishu"}}),
        json!({"tenant_access_token": handed(), "expire": 7200}),
    ]
}

/// What a field never holds in the docs.
fn odd() -> impl Strategy<Value = Value> {
    let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!([])),
        Just(json!({})),
        Just(json!(true)),
        Just(json!(i64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(u64::MAX)),
        Just(json!(1e300)),
        Just(json!("9223372036854775807")),
        Just(json!("..")),
        Just(json!("../../etc/passwd")),
        Just(json!("a\u{0}b\r\nHost: evil")),
        Just(json!("\u{202e}\u{feff}\u{1F600}")),
        Just(json!("x".repeat(3000))),
        Just(json!([null, 1, "x", [], {}])),
        Just(json!({"code": 1, "msg": {}, "has_more": "true"})),
        (0..200_usize).prop_map(deep),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(sent())),
        Just(json!(handed())),
    ]
}

/// Pointers to every value below this one.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| pointers(field, &format!("{at}/{name}"), into));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(n, item)| pointers(item, &format!("{at}/{n}"), into));
        }
        _ => {}
    }
}

/// A documented reply with up to three wrong values, fields gone, or fields twice.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![8 => Just(json!(0)), 1 => odd(),
        1 => prop::sample::select(vec![99_991_400, 99_991_663, 1_061_045, 90_221, 1_254_030, 20_050])
            .prop_map(Value::from)];
    let echo = format!("no: {}, at https://x.example/?k={CANARY}", sent());
    let msg = prop_oneof![3 => Just(json!("ok")), 1 => odd(),
        1 => Just(json!(echo))];
    let wrong = (any::<prop::sample::Index>(), odd(), 0..4_u8);
    let parts = (
        prop::sample::select(documented()),
        prop::collection::vec(wrong, 0..4),
        code,
        msg,
        any::<bool>(),
    );
    parts.prop_map(|(data, wrongs, code, msg, word)| {
        let mut whole = json!({"data": data, "log_id": "L"});
        let fields = data.as_object().expect("every reply is an object").clone();
        whole.as_object_mut().expect("as written").extend(fields);
        let mut twice = String::new();
        for (index, value, how) in wrongs {
            let mut all = Vec::new();
            pointers(&whole, "", &mut all);
            let at = index.get(&all[1..]).clone();
            match how {
                0 => {
                    let (parent, name) = at.rsplit_once('/').expect("pointers begin with one");
                    if let Some(Value::Object(fields)) = whole.pointer_mut(parent) {
                        fields.remove(name);
                    }
                }
                1 => twice = format!("\"{}\":{value},", at.rsplit('/').next().unwrap_or_default()),
                _ => *whole.pointer_mut(&at).expect("it was there") = value,
            }
        }
        whole["code"] = code;
        whole["msg"] = msg;
        if word {
            whole["error"] = json!("authorization_pending");
        }
        format!("{{{twice}{}", &whole.to_string()[1..]).into_bytes()
    })
}

/// Bytes of a reply, damaged on the way.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (mutated(), any::<prop::sample::Index>(), any::<u8>(), 0..3_u8).prop_map(
        |(bytes, at, byte, how)| {
            // A secret that was garbled is not to be recognised.
            let text = String::from_utf8(bytes).expect("as written");
            let mut bytes = text.replace(CANARY, "nobody").into_bytes();
            let at = at.index(bytes.len());
            match how {
                0 => bytes.truncate(at),
                1 => bytes[at] = byte,
                _ => bytes.insert(at, byte),
            }
            bytes
        },
    )
}

/// Judges an answer: whatever it is, its tokens are none that are empty, and what it says
/// holds no secret.
fn judge<T>(result: Result<T, ApiError>, tokens: impl Fn(&T) -> Vec<&str>) {
    match result {
        Ok(answer) => {
            assert!(tokens(&answer).iter().all(|token| !token.is_empty()), "an empty token");
        }
        Err(error) => clean(&error),
    }
}

fn clean(error: &ApiError) {
    let said = format!("{error} {error:?}");
    assert!(!said.contains(CANARY), "a secret is told: {said}");
    assert!(!error.message.contains('\n') && error.message.len() < 4_000, "{said}");
}

fn on_paused_clock(story: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap().block_on(story);
}

/// Every call of the client with this as the reply.
pub(super) fn no_panic_on_reply(body: &[u8]) {
    for status in [200, 400] {
        on_paused_clock(async {
            let mut fake = Fake::app();
            fake.settings.retries = 0;
            fake.always(status, body);
            login_calls(&fake.client()).await;
            // What a service throws back is what that very call sent.
            if let Ok(text) = str::from_utf8(body) {
                let text = text.replace(&sent(), &bearer());
                fake.always(status, text.as_bytes());
            }
            let token = json!({"code": 0, "tenant_access_token": bearer(), "expire": 7200});
            fake.push_token(json_reply(token));
            content_calls(&fake.client()).await;
            fake.push_token(bytes_reply(body).status(status));
            let token = fake.client().access_token().await;
            judge(token.map(|token| token.expose_secret().to_owned()), |token| vec![token]);
        });
    }
}

async fn content_calls(client: &Client) {
    let docx = Object::new(ObjType::Docx, "doxA");
    let (sheet, base) =
        (Object::new(ObjType::Sheet, "shtA"), Object::new(ObjType::Bitable, "basA"));
    // Sends nothing in secret.
    judge(client.oauth().begin_registration().await, tokens_of_code);
    judge(client.get_root_folder().await, |token| vec![token]);
    judge(client.list_folder("fldA").await, |listed| {
        listed.items.iter().flat_map(|e| [e.token.as_str(), &e.ty]).collect()
    });
    judge(client.list_spaces().await, |listed| {
        listed.items.iter().map(|space| space.space_id.as_str()).collect()
    });
    judge(client.get_space("7").await, |space| vec![&space.space_id]);
    judge(client.list_nodes("7", Some("wikA")).await, |listed| {
        listed.items.iter().flat_map(tokens_of).collect()
    });
    judge(client.get_node("wikA").await, |(node, _)| tokens_of(node).to_vec());
    judge(client.list_blocks("doxA").await, |_| vec![]);
    let asked = [("docx".to_owned(), "doxA".to_owned()), ("wiki".to_owned(), "gone".to_owned())];
    judge(client.query_metas(&asked).await, |answers| {
        assert_eq!(answers.len(), 2, "each question is answered, once");
        let metas = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
        metas.map(|meta| meta.object.token.as_str()).collect()
    });
    judge(client.list_comments(&docx).await, |all| {
        let replies = all.iter().flat_map(|comment| &comment.replies);
        let replies = replies.map(|reply| reply.reply_id.as_str());
        all.iter().map(|comment| comment.comment_id.as_str()).chain(replies).collect()
    });
    judge(client.get_user_names(&["ou_a".to_owned()]).await, |_| vec![]);
    judge(client.get_board_nodes("w").await, |_| vec![]);
    judge(client.list_sheets("shtA").await, |all| all.iter().map(|s| s.id.as_str()).collect());
    judge(client.get_sheet_values("s", "t", 0..9, 30, Render::Formatted).await, |_| vec![]);
    for object in [&docx, &sheet, &base] {
        judge(client.get_revision(object).await, |_| vec![]);
        judge(client.list_parts(object).await, |all| all.iter().map(|p| p.id.as_str()).collect());
        judge(
            client.create_export(object, "docx", None, &AtomicBool::new(false)).await,
            |ticket| vec![ticket],
        );
    }
    judge(client.get_base("basA").await, |_| vec![]);
    judge(client.list_tables("basA").await, |all| all.iter().map(|t| t.id.as_str()).collect());
    judge(client.list_fields("b", "t").await, |all| all.iter().map(|f| f.id.as_str()).collect());
    judge(client.list_views("b", "t").await, |all| all.iter().map(|v| v.id.as_str()).collect());
    let mut records = client.search_records("b", "t");
    while let Ok(Some(page)) = records.next().await {
        assert!(page.records.iter().all(|record| !record.id.is_empty()));
    }
    match client.poll_export("tick", &docx).await {
        Ok(ExportJob::Ready { file_token, .. }) => assert!(!file_token.is_empty()),
        Ok(ExportJob::Pending) => {}
        Ok(ExportJob::Again(error) | ExportJob::Refused(error)) | Err(error) => clean(&error),
    }
    let links = client.get_media_links(&["boxA".to_owned()], None).await;
    if let Ok(links) = &links {
        for (_, link) in links {
            judge(client.download_link(link, None).await, |_| vec![]);
        }
    }
    judge(links, |links| links.iter().map(|(token, _)| token.as_str()).collect());
    judge(client.get_user_info().await, |user| vec![&user.open_id]);
    judge(client.list_app_scopes().await, |all| all.iter().map(|s| s.name.as_str()).collect());
    judge(client.get_app("cli_x").await, |_| vec![]);
    for range in [None, Some(0..4)] {
        judge(client.download_file("boxA", range).await, |_| vec![]);
    }
    let call = RawCall {
        method: http::Method::GET,
        path: "/drive/v1/files".to_owned(),
        query: Vec::new(),
        body: None,
    };
    let errors = [client.raw(&call).await.err(), client.raw_all(&call).await.err()];
    for error in errors.into_iter().flatten() {
        clean(&error.error);
    }
    if let Ok(RawReply::Content(body)) = client.raw(&call).await {
        body.stream.for_each(|_| std::future::ready(())).await;
    }
}

fn tokens_of(node: &WikiNode) -> [&str; 3] {
    [&node.node_token, &node.obj_token, &node.obj_type]
}

fn tokens_of_code(code: &oauth::DeviceCode) -> Vec<&str> {
    assert!(code.expires_in <= Duration::from_secs(3600) && !code.interval.is_zero());
    vec![code.device_code.expose_secret(), &code.verification_uri]
}

async fn login_calls(client: &Client) {
    let app = AppKey { id: "cli_x".to_owned(), secret: sent().into() };
    let (code, refresh) = (sent().into(), sent().into());
    let oauth = client.oauth();
    let grants = [
        oauth.redeem_code(&app, &code, "http://127.0.0.1:9/", &code).await,
        oauth.refresh(&app, &refresh).await,
        oauth.poll_device(&app, &code).await.and_then(|poll| match poll {
            Poll::Done(grant) => Ok(grant),
            _ => Err(ApiError::local(Class::Login, "none", "not yet")),
        }),
    ];
    for grant in grants {
        judge(grant, |grant| {
            let refresh = grant.refresh_token.iter().map(ExposeSecret::expose_secret);
            refresh.chain([grant.access_token.expose_secret()]).collect()
        });
    }
    judge(oauth.begin_device(&app, &["x".to_owned()]).await, tokens_of_code);
    judge(oauth.revoke(&app, &refresh, TokenKind::Refresh).await, |()| vec![]);
    if let Ok(Poll::Done(app)) = oauth.poll_registration(&code).await {
        assert!(!app.app_id.is_empty() && !app.app_secret.expose_secret().is_empty());
    }
}

#[test]
fn replies_with_something_wrong_in_them_break_nothing() {
    run(150, &mutated(), |body| no_panic_on_reply(&body));
}

#[test]
fn replies_damaged_on_the_way_break_nothing() {
    run(60, &damaged(), |body| no_panic_on_reply(&body));
}

#[test]
fn any_bytes_are_a_reply_that_breaks_nothing() {
    run(40, &prop::collection::vec(any::<u8>(), 0..200), |body| no_panic_on_reply(&body));
    no_panic_on_reply(&b"[".repeat(100_000));
    no_panic_on_reply(&b"{\"data\":".repeat(100_000));
    no_panic_on_reply(b"\xef\xbb\xbf{\"code\":0,\"data\":{}}");
}

/// A listing whose pages are `pages` (items, next cursor); after them nothing is promised.
pub(super) fn no_panic_on_cursors(pages: &[(Vec<String>, String)]) {
    on_paused_clock(async {
        let mut fake = Fake::app();
        fake.settings.retries = 0;
        for (tokens, next) in pages {
            let files: Vec<_> =
                tokens.iter().map(|t| json!({"token": t, "name": "x", "type": "docx"})).collect();
            let data = json!({"files": files, "has_more": true, "next_page_token": next});
            fake.push(json_reply(json!({"code": 0, "data": data})));
        }
        let end = json!({"code": 0, "data": {"files": [], "has_more": false}});
        fake.always(200, end.to_string().as_bytes());
        let listed = fake.client().list_folder("fldA").await;
        if let Ok(listed) = &listed {
            let mut tokens: Vec<_> = listed.items.iter().map(|entry| &entry.token).collect();
            tokens.sort();
            tokens.dedup();
            assert_eq!(tokens.len(), listed.items.len(), "each once");
        }
        let calls = fake.calls().split_off(1);
        // But to an end without anything, which the page before had promised.
        assert!(calls.len() <= pages.len() + 2, "no cursor is followed twice");
        let given: Vec<&str> = pages.iter().map(|(_, next)| next.as_str()).collect();
        for line in &calls[1..] {
            let sent = line.strip_prefix(&calls[0]).expect("the same question");
            // A page that promised more without saying where is asked for once more.
            if sent.is_empty() {
                continue;
            }
            let sent = sent.strip_prefix("&page_token=").expect("a cursor and nothing else");
            assert!(!sent.contains(['&', '#', '?', ' ', '\r', '\n', '/']), "{sent}");
            let read = format!("t={sent}");
            let read = url::form_urlencoded::parse(read.as_bytes()).next().unwrap().1.into_owned();
            assert!(given.contains(&read.as_str()), "{read:?} was never given");
        }
    });
}

#[test]
fn cursors_made_to_confuse_end_every_listing() {
    let cursor = prop_oneof!["[ab]?", "[&#?=%/.\\\\ ]{1,6}", any::<String>(), "x{2000}"];
    let page = (prop::collection::vec("[abc]{1,2}", 0..4), cursor);
    run(300, &prop::collection::vec(page, 1..12), |pages| no_panic_on_cursors(&pages));
}

/// A download whose headers are these.
pub(super) fn no_panic_on_headers(status: u16, headers: &[(&'static str, String)], body: &[u8]) {
    on_paused_clock(async {
        for range in [None, Some(5..9)] {
            let mut fake = Fake::app();
            fake.settings.retries = 0;
            fake.always(200, b"whole");
            let mut reply = bytes_reply(body).status(status);
            for (name, value) in headers {
                if http::HeaderValue::from_str(value).is_ok() {
                    reply = reply.header(name, value.as_str());
                }
            }
            fake.push(reply);
            let body = match fake.client().download_file("boxA", range.clone()).await {
                Ok(body) => body,
                Err(error) => {
                    clean(&error);
                    continue;
                }
            };
            let (offset, total) = (body.offset, body.total);
            let chunks: Vec<_> = body.stream.collect().await;
            let whole = chunks.iter().all(Result::is_ok);
            let got: usize = chunks.into_iter().flatten().map(|chunk| chunk.len()).sum();
            let end = offset.checked_add(got as u64).expect("no file ends beyond the numbers");
            assert!(offset == 0 || range.is_some_and(|range| range.start == offset));
            assert!(!whole || total.is_none_or(|total| end <= total), "{end} of {total:?}");
        }
    });
}

#[test]
fn headers_made_to_confuse_bring_no_wrong_bytes() {
    let number = prop_oneof![
        (0..12_u64).prop_map(|n| n.to_string()),
        Just(u64::MAX.to_string()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
        "[ -~]{0,8}",
    ];
    let range = (number.clone(), number.clone(), number.clone())
        .prop_map(|(from, to, total)| format!("bytes {from}-{to}/{total}"));
    let value = prop_oneof![
        number,
        range,
        "bytes \\*/[0-9]{1,20}",
        "[ -~]{0,20}",
        Just("application/json".to_owned()),
        Just("text/html; x".to_owned())
    ];
    let names = vec![
        "content-range",
        "content-length",
        "content-type",
        "etag",
        "retry-after",
        "x-ogw-ratelimit-reset",
        "content-encoding",
        "content-disposition",
        "x-tt-logid",
    ];
    let headers = prop::collection::vec((prop::sample::select(names), value), 0..6);
    let status = prop::sample::select(vec![200, 206, 416, 400, 403, 404, 302, 429, 500]);
    let body = prop::collection::vec(any::<u8>(), 0..12);
    run(1_500, &(status, headers, body), |(status, headers, body)| {
        no_panic_on_headers(status, &headers, &body);
    });
}

/// A token is a piece of a path, never a way to another endpoint.
#[test]
fn no_token_leads_to_another_endpoint() {
    run(200, &prop_oneof!["[./%\\\\?#]{0,5}", any::<String>()], |token: String| {
        on_paused_clock(async {
            let mut fake = Fake::app();
            fake.settings.retries = 0;
            fake.always(404, b"{\"code\":1}");
            clean(&fake.client().download_media(&token, None, None).await.err().unwrap());
            for line in fake.calls().iter().skip(1) {
                // As the network's own URL parser understands it.
                let (_, target) = line.split_once(' ').unwrap();
                let url = url::Url::parse(&format!("https://open.example{target}")).unwrap();
                assert!(url.path().starts_with("/open-apis/drive/v1/medias/"), "{token:?}: {url}");
                assert!(url.path().ends_with("/download"), "{token:?}: {url}");
            }
        });
    });
}
