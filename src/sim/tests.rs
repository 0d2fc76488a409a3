//! Stories about the tenant itself: what a client meets, call by call.

use std::time::Duration;

use ::http::Request;
use bytes::Bytes;
use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::feishu::{HttpSend, SendError};

const NOW: i64 = 1_790_000_000;

fn clock() -> Clock {
    Clock::from_tokio(Timestamp::from_second(NOW).unwrap())
}

/// A tenant without quotas.
fn quiet() -> Tenant {
    let tenant = Tenant::new(clock());
    tenant.quotas(Quotas::none());
    tenant
}

struct Got {
    status: u16,
    headers: ::http::HeaderMap,
    body: Result<Vec<u8>, SendError>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }

    fn code(&self) -> i64 {
        self.json()["code"].as_i64().unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    fn bytes(&self) -> &[u8] {
        self.body.as_ref().unwrap()
    }
}

async fn send(tenant: &Tenant, request: Request<Bytes>) -> Result<Got, SendError> {
    let mut response = tenant.http().send(request).await?;
    let mut body = Ok(Vec::new());
    while let Some(piece) = response.body_mut().next().await {
        match (piece, &mut body) {
            (Ok(bytes), Ok(all)) => all.extend_from_slice(&bytes),
            (Err(error), _) => body = Err(error),
            _ => {}
        }
    }
    Ok(Got { status: response.status().as_u16(), headers: response.headers().clone(), body })
}

async fn get_as(tenant: &Tenant, token: &str, path: &str) -> Got {
    let request = Request::get(format!("http://sim/open-apis{path}"))
        .header("authorization", format!("Bearer {token}"));
    send(tenant, request.body(Bytes::new()).unwrap()).await.unwrap()
}

async fn get(tenant: &Tenant, path: &str) -> Got {
    get_as(tenant, USER_TOKEN, path).await
}

async fn post_as(tenant: &Tenant, token: &str, path: &str, body: Value) -> Got {
    let request = Request::post(format!("http://sim/open-apis{path}"))
        .header("authorization", format!("Bearer {token}"));
    send(tenant, request.body(Bytes::from(body.to_string())).unwrap()).await.unwrap()
}

async fn post(tenant: &Tenant, path: &str, body: Value) -> Got {
    post_as(tenant, USER_TOKEN, path, body).await
}

async fn ranged(tenant: &Tenant, path: &str, range: &str) -> Got {
    let request = Request::get(format!("http://sim/open-apis{path}"))
        .header("authorization", format!("Bearer {USER_TOKEN}"))
        .header("range", range);
    send(tenant, request.body(Bytes::new()).unwrap()).await.unwrap()
}

async fn app_token(tenant: &Tenant) -> String {
    let body = json!({"app_id": APP_ID, "app_secret": APP_SECRET});
    let got = post(tenant, "/auth/v3/tenant_access_token/internal", body).await;
    got.json()["tenant_access_token"].as_str().unwrap().to_owned()
}

/// Every name in a folder, page by page.
async fn names(tenant: &Tenant, folder: &str, size: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let path = format!(
            "/drive/v1/files?folder_token={folder}&page_size={size}&page_token={token}\
             &order_by=CreatedTime&direction=ASC"
        );
        let data = get(tenant, &path).await.json()["data"].clone();
        for file in data["files"].as_array().unwrap() {
            names.push(file["name"].as_str().unwrap().to_owned());
        }
        if data["has_more"] == false {
            return names;
        }
        data["next_page_token"].as_str().unwrap().clone_into(&mut token);
    }
}

/// Exports and downloads, as a client does.
async fn export(tenant: &Tenant, token: &str, ty: &str, extension: &str, sub: &str) -> Vec<u8> {
    let body = json!({"file_extension": extension, "token": token, "type": ty, "sub_id": sub});
    let created = post(tenant, "/drive/v1/export_tasks", body).await.json();
    let ticket = created["data"]["ticket"].as_str().expect("a ticket");
    let mut seen = Vec::new();
    loop {
        let path = format!("/drive/v1/export_tasks/{ticket}?token={token}");
        let result = get(tenant, &path).await.json()["data"]["result"].clone();
        let status = result["job_status"].as_i64().unwrap();
        let product = result["file_token"].as_str().unwrap();
        seen.push((status, product.is_empty()));
        if status == 0 && !product.is_empty() {
            let path = format!("/drive/v1/export_tasks/file/{product}/download");
            let got = get(tenant, &path).await;
            assert_eq!(got.bytes().len() as u64, result["file_size"].as_u64().unwrap());
            seen.dedup();
            assert_eq!(seen, [(1, true), (2, true), (0, true), (0, false)]);
            return got.bytes().to_vec();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_root_listing_is_whole_and_has_no_shortcuts() {
    let tenant = quiet();
    let root = tenant.root();
    for n in 0..250 {
        root.docx(&format!("doc {n}"));
    }
    let target = root.folder("Plans").docx("Roadmap");
    root.shortcut_to(&target);

    let whole = get(&tenant, "/drive/v1/files?page_size=10").await.json();
    assert_eq!(whole["data"]["files"].as_array().unwrap().len(), 251);
    assert_eq!(whole["data"]["has_more"], false);

    let meta = get(&tenant, "/drive/explorer/v2/root_folder/meta").await.json();
    let token = meta["data"]["token"].as_str().unwrap();
    assert_eq!(token, root.token());
    let names = names(&tenant, token, 100).await;
    assert_eq!(names.len(), 252, "by its real token it pages and shows shortcuts");
    assert_eq!((names[0].as_str(), names[251].as_str()), ("doc 0", "Roadmap"));

    let listed = get(&tenant, &format!("/drive/v1/files?folder_token={token}")).await.json();
    let newest = &listed["data"]["files"][0];
    assert_eq!(newest["type"], "shortcut", "by default the last edited comes first");
    assert_eq!(newest["shortcut_info"]["target_token"], target.token());
    assert!(newest["modified_time"].is_string());
}

#[tokio::test(start_paused = true)]
async fn tokens_expire_and_wrong_ones_are_told_apart() {
    let tenant = quiet();
    let whoami = "/authen/v1/user_info";
    let cases = [("u-nobody", 99_991_668), ("t-nobody", 99_991_663), ("nobody", 99_991_671)];
    for (token, code) in cases {
        assert_eq!(get_as(&tenant, token, whoami).await.code(), code, "{token}");
    }
    let bare = Request::get("http://sim/open-apis/drive/v1/files").body(Bytes::new()).unwrap();
    assert_eq!(send(&tenant, bare).await.unwrap().code(), 99_991_661);

    let user = tenant.issue_token("demo");
    let app = app_token(&tenant).await;
    assert_eq!(app_token(&tenant).await, app, "the same one while it is young");
    assert_eq!(get_as(&tenant, &app, whoami).await.code(), 99_991_663, "not for apps");
    assert_eq!(get_as(&tenant, &user, whoami).await.code(), 0);
    tokio::time::sleep(Duration::from_secs(5_500)).await;
    assert_ne!(app_token(&tenant).await, app, "less than half an hour left");
    assert_eq!(get_as(&tenant, &app, "/drive/v1/files").await.code(), 0, "still good");
    tokio::time::sleep(Duration::from_secs(1_700)).await;
    assert_eq!(get_as(&tenant, &app, "/drive/v1/files").await.code(), 99_991_663);
    assert_eq!(get_as(&tenant, &user, whoami).await.code(), 99_991_677);

    for (id, secret, code) in [(APP_ID, "wrong", 10_015), ("cli_x", "y", 10_014)] {
        let body = json!({"app_id": id, "app_secret": secret});
        let got = post(&tenant, "/auth/v3/app_access_token/internal", body).await;
        assert_eq!(got.code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn official_quotas_are_answered_as_the_service_does() {
    let tenant = Tenant::new(clock());
    let doc = tenant.root().docx("Plan");
    let file = tenant.root().upload("a.pdf", "x");
    let app = app_token(&tenant).await;
    let cases = [
        ("/wiki/v2/spaces".to_owned(), 100, 429, 99_991_400, "60"),
        ("/drive/v1/files".to_owned(), 20, 429, 99_991_400, "1"),
        (format!("/docx/v1/documents/{}", doc.token()), 5, 400, 99_991_400, "1"),
        (format!("/drive/v1/files/{}/download", file.token()), 5, 400, 1_061_045, ""),
    ];
    for (path, limit, status, code, reset) in cases {
        for n in 0..limit {
            // Both identities of one app share its quota.
            let token = if n % 2 == 0 { app.as_str() } else { USER_TOKEN };
            assert_eq!(get_as(&tenant, token, &path).await.status, 200, "{path}");
        }
        let got = get(&tenant, &path).await;
        assert_eq!((got.status, got.code()), (status, code), "{path}");
        assert_eq!(got.header("x-ogw-ratelimit-reset"), reset, "{path}");
        assert_eq!(got.header("x-ogw-ratelimit-limit"), limit.to_string(), "{path}");
    }
    assert_eq!((tenant.too_many_requests(), tenant.rate_limited()), (2, 4));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(get(&tenant, "/wiki/v2/spaces").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_export_goes_its_way_and_dies_after_ten_minutes() {
    let tenant = quiet();
    let doc = tenant.root().docx("计划").text("你好 <world> & 天");
    let sheet = tenant.root().sheet("Numbers").tabs(&["甲", "乙"]);
    let first = export(&tenant, &doc.token(), "docx", "docx", "").await;
    let again = export(&tenant, &doc.token(), "docx", "docx", "").await;
    assert_eq!(first, again, "equal revision, equal bytes");
    doc.edit("something else");
    assert_ne!(export(&tenant, &doc.token(), "docx", "docx", "").await, first);
    tenant.unstable_exports(true);
    let other = export(&tenant, &doc.token(), "docx", "docx", "").await;
    assert_ne!(export(&tenant, &doc.token(), "docx", "docx", "").await, other);

    let query = format!("/sheets/v3/spreadsheets/{}/sheets/query", sheet.token());
    let tabs = get(&tenant, &query).await.json();
    let id = tabs["data"]["sheets"][1]["sheet_id"].as_str().unwrap().to_owned();
    let csv = export(&tenant, &sheet.token(), "sheet", "csv", &id).await;
    assert!(String::from_utf8(csv).unwrap().contains('乙'));

    let body = json!({"file_extension": "pdf", "token": doc.token(), "type": "docx"});
    let created = post(&tenant, "/drive/v1/export_tasks", body).await.json();
    let ticket = created["data"]["ticket"].as_str().unwrap();
    let path = format!("/drive/v1/export_tasks/{ticket}?token={}", doc.token());
    let app = app_token(&tenant).await;
    assert_eq!(get_as(&tenant, &app, &path).await.code(), 1_069_902, "the creator's own");
    tokio::time::sleep(Duration::from_secs(4)).await;
    get(&tenant, &path).await;
    let ready = get(&tenant, &path).await.json()["data"]["result"]["file_token"].clone();
    let product = format!("/drive/v1/export_tasks/file/{}/download", ready.as_str().unwrap());
    assert!(get(&tenant, &product).await.bytes().starts_with(b"%PDF-"));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let got = get(&tenant, &path).await;
    assert_eq!((got.status, got.code()), (410, 1_069_906));
    assert_eq!(get(&tenant, &product).await.code(), 1_069_906);
}

#[tokio::test(start_paused = true)]
async fn exports_are_refused_for_what_they_cannot_do() {
    let tenant = quiet();
    let root = tenant.root();
    let space = tenant.space("Handbook");
    let node = space.docx("Home");
    let (doc, gone, secret) = (root.docx("a"), root.docx("b"), root.docx("c"));
    gone.delete();
    secret.forbid();
    let (sheet, mind) = (root.sheet("s"), root.mindnote("m"));
    let slides = root.slides("p");
    tenant.exports_slides(false);
    let cases = [
        (node.place_token(), "docx", "docx", 1_069_914, "a node's token"),
        (node.token(), "docx", "docx", 0, "its document's token"),
        (doc.token(), "sheet", "xlsx", 1_069_914, "another type"),
        (doc.token(), "docx", "xlsx", 1_069_918, "another extension"),
        (gone.token(), "docx", "pdf", 1_069_906, "deleted"),
        (secret.token(), "docx", "pdf", 1_069_902, "forbidden"),
        (sheet.token(), "sheet", "csv", 1_069_904, "no sheet named"),
        (mind.token(), "mindnote", "pdf", 1_069_918, "no such export"),
        (slides.token(), "slides", "pptx", 1_069_918, "switched off"),
        ("x".repeat(28), "docx", "pdf", 1_069_904, "too long"),
    ];
    for (token, ty, extension, code, why) in cases {
        let body = json!({"file_extension": extension, "token": token, "type": ty});
        assert_eq!(post(&tenant, "/drive/v1/export_tasks", body).await.code(), code, "{why}");
    }

    doc.refuse_export(107);
    let status = |tenant: Tenant, token: String| async move {
        let body = json!({"file_extension": "docx", "token": token, "type": "docx"});
        let created = post(&tenant, "/drive/v1/export_tasks", body).await.json();
        let ticket = created["data"]["ticket"].as_str().unwrap().to_owned();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let path = format!("/drive/v1/export_tasks/{ticket}?token={token}");
        get(&tenant, &path).await.json()["data"]["result"]["job_status"].as_i64().unwrap()
    };
    assert_eq!(status(tenant.clone(), doc.token()).await, 107);
    doc.fail_exports(3, 1);
    assert_eq!(status(tenant.clone(), doc.token()).await, 3);
    assert_eq!(status(tenant.clone(), doc.token()).await, 0);
}

#[tokio::test(start_paused = true)]
async fn downloads_answer_ranges_and_refusals() {
    let tenant = quiet();
    let root = tenant.root();
    let big = root.upload_sized("录像.mp4", 2 << 30);
    let empty = root.upload("empty.txt", "");
    let json = root.upload("data.json", r#"{"code": 5}"#);
    let path = |item: &Item| format!("/drive/v1/files/{}/download", item.token());

    let tail = ranged(&tenant, &path(&big), "bytes=2147483640-").await;
    assert_eq!((tail.status, tail.bytes().len()), (206, 8));
    assert_eq!(tail.header("content-range"), "bytes 2147483640-2147483647/2147483648");
    assert!(tail.header("content-disposition").contains("UTF-8''%E5%BD%95"));
    let etag = tail.header("etag").to_owned();
    assert!(etag.starts_with('"'));
    let again = ranged(&tenant, &path(&big), "bytes=0-9").await;
    assert_eq!(again.header("etag"), etag);
    big.rename("新名.mp4");
    assert_eq!(ranged(&tenant, &path(&big), "bytes=0-9").await.header("etag"), etag);
    big.replace_sized(2 << 30);
    let new = ranged(&tenant, &path(&big), "bytes=0-9").await;
    assert_ne!(new.header("etag"), etag);
    assert_ne!(new.bytes(), again.bytes());

    assert_eq!(get(&tenant, &path(&empty)).await.header("content-length"), "0");
    assert_eq!(ranged(&tenant, &path(&empty), "bytes=0-").await.status, 416);
    let got = get(&tenant, &path(&json)).await;
    assert_eq!(got.header("content-type"), "application/json");
    assert!(got.header("content-disposition").starts_with("attachment"));
    tenant.plain_get_limit(Some(4));
    assert_eq!(get(&tenant, &path(&json)).await.code(), 234_037);
    assert_eq!(ranged(&tenant, &path(&json), "bytes=0-").await.status, 206);

    json.forbid();
    assert_eq!(get(&tenant, &path(&json)).await.code(), 1_061_004);
    json.delete();
    assert_eq!(get(&tenant, &path(&json)).await.code(), 1_061_007);
    assert_eq!(get(&tenant, "/drive/v1/files/nothing/download").await.code(), 1_061_003);
}

#[tokio::test(start_paused = true)]
async fn a_wiki_is_walked_by_nodes() {
    let tenant = quiet();
    let space = tenant.space("Handbook");
    let home = space.docx("Home");
    for n in 0..70 {
        home.docx(&format!("page {n}"));
    }
    let link = space.shortcut_to(&home);
    tenant.space("Secret").forbid();
    let library = tenant.my_library();
    library.docx("Diary");
    let base = format!("/wiki/v2/spaces/{}/nodes", space.token());

    let spaces = get(&tenant, "/wiki/v2/spaces?page_size=50").await.json();
    assert_eq!(spaces["data"]["items"].as_array().unwrap().len(), 1, "no library, no secret");
    assert_eq!(get(&tenant, &format!("{base}?page_size=51")).await.code(), 131_002);
    assert_eq!(get(&tenant, "/wiki/v2/spaces/abc/nodes").await.code(), 131_002);

    let below = format!("{base}?page_size=50&parent_node_token={}", home.place_token());
    let first = get(&tenant, &below).await.json()["data"].clone();
    let next = first["page_token"].as_str().unwrap();
    let second = get(&tenant, &format!("{below}&page_token={next}")).await.json()["data"].clone();
    let count = |page: &Value| page["items"].as_array().unwrap().len();
    assert_eq!((count(&first), count(&second)), (50, 20));
    tenant.wiki_empty_pages(true);
    let empty = get(&tenant, &below).await.json()["data"].clone();
    assert_eq!((count(&empty), &empty["has_more"]), (0, &json!(true)));

    let node = format!("/wiki/v2/spaces/get_node?token={}", link.place_token());
    let node = get(&tenant, &node).await.json()["data"]["node"].clone();
    assert_eq!(node["node_type"], "shortcut");
    assert_eq!(node["obj_token"], home.token());
    assert_eq!(node["origin_node_token"], home.place_token());
    let by_obj = format!("/wiki/v2/spaces/get_node?token={}&obj_type=docx", home.token());
    assert_eq!(get(&tenant, &by_obj).await.json()["data"]["node"]["title"], "Home");
    home.delete();
    assert_eq!(get(&tenant, &by_obj).await.code(), 131_005);
    home.restore();
    home.forbid();
    assert_eq!(get(&tenant, &below).await.code(), 131_006);

    let mine = get(&tenant, "/wiki/v2/spaces/my_library").await.json();
    assert_eq!(mine["data"]["space"]["space_id"], library.token());
    let app = app_token(&tenant).await;
    assert_eq!(get_as(&tenant, &app, "/wiki/v2/spaces/my_library").await.code(), 131_005);
}

#[tokio::test(start_paused = true)]
async fn metas_tell_gone_from_hidden() {
    let tenant = quiet();
    let root = tenant.root();
    let (doc, gone, hidden) = (root.docx("a"), root.docx("b"), root.sheet("c"));
    let node = tenant.space("S").docx("n");
    gone.delete();
    hidden.forbid();
    let asked = json!({"with_url": true, "request_docs": [
        {"doc_token": doc.token(), "doc_type": "docx"},
        {"doc_token": node.place_token(), "doc_type": "wiki"},
        {"doc_token": gone.token(), "doc_type": "docx"},
        {"doc_token": hidden.token(), "doc_type": "sheet"},
        {"doc_token": doc.token(), "doc_type": "sheet"},
        {"doc_token": doc.token(), "doc_type": "novel"},
    ]});
    let data = post(&tenant, "/drive/v1/metas/batch_query", asked).await.json()["data"].clone();
    assert_eq!(data["metas"][0]["title"], "a");
    assert_eq!(data["metas"][1]["doc_token"], node.token());
    assert_eq!(data["metas"][1]["request_doc_info"]["doc_token"], node.place_token());
    let failed = data["failed_list"].as_array().unwrap();
    let codes: Vec<i64> = failed.iter().map(|f| f["code"].as_i64().unwrap()).collect();
    assert_eq!(codes, [970_005, 970_003, 970_005, 970_002]);
    let too_many =
        json!({"request_docs": vec![json!({"doc_token": "a", "doc_type": "docx"}); 201]});
    assert_eq!(post(&tenant, "/drive/v1/metas/batch_query", too_many).await.code(), 1_061_002);
}

#[tokio::test(start_paused = true)]
async fn edits_move_what_they_should() {
    let tenant = quiet();
    let doc = tenant.root().docx("Plan");
    let file = tenant.root().upload("a.bin", "1");
    let (old, revision) = (doc.edit_time(), doc.revision());
    assert!(old <= NOW - 3600, "settled");
    let look = || (doc.edit_time(), doc.revision());
    doc.rename_quietly("Plan B");
    assert_eq!(look(), (old, revision));
    doc.touch();
    assert_eq!(look(), (NOW, revision));
    tokio::time::sleep(Duration::from_secs(10)).await;
    doc.edit("x");
    assert_eq!(look(), (NOW + 10, revision + 1));
    doc.rename("Plan C");
    assert_eq!(look(), (NOW + 10, revision + 2));
    file.rename("b.bin");
    assert_eq!((file.edit_time(), file.revision()), (NOW + 10, 1));
    let path = format!("/docx/v1/documents/{}", doc.token());
    let document = get(&tenant, &path).await.json()["data"]["document"].clone();
    assert_eq!(document["revision_id"], revision + 2);
    let got = get(&tenant, "/drive/v1/files").await;
    assert_eq!(got.header("date"), "Mon, 21 Sep 2026 14:13:30 GMT", "NOW + 10 s");

    // A quiet rename changes no exported byte.
    let before = export(&tenant, &doc.token(), "docx", "docx", "").await;
    doc.rename_quietly("Plan D");
    assert_eq!(export(&tenant, &doc.token(), "docx", "docx", "").await, before);
}

#[tokio::test(start_paused = true)]
async fn faults_strike_where_they_are_aimed() {
    let tenant = quiet();
    let root = tenant.root();
    let file = root.upload("a.bin", vec![7; 100]);
    let list = format!("/drive/v1/files?folder_token={}", root.token());
    let path = format!("/drive/v1/files/{}/download", file.token());
    let on_list = |effect| Fault::new("GET", "/drive/v1/files", effect).once();
    let on_file = |effect| Fault::new("GET", "/drive/v1/files/:t/download", effect).once();

    tenant.fault(on_list(Effect::status(500, 1_061_001)));
    assert_eq!(get(&tenant, &list).await.status, 500);
    assert_eq!(get(&tenant, &list).await.status, 200);
    tenant.fault(on_list(Effect::Html));
    assert_eq!(get(&tenant, &list).await.header("content-type"), "text/html; charset=utf-8");
    tenant.fault(on_list(Effect::Garbage));
    assert!(serde_json::from_slice::<Value>(get(&tenant, &list).await.bytes()).is_err());
    tenant.fault(on_list(Effect::EmptyListing));
    assert_eq!(get(&tenant, &list).await.json()["data"]["files"], json!([]));
    tenant.fault(on_list(Effect::MoreWithoutToken));
    assert_eq!(get(&tenant, &list).await.json()["data"]["next_page_token"], "");
    tenant.fault(Fault::new("GET", "/drive/v1/files", Effect::LoopPages));
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let token = tokens.last().cloned().unwrap_or_default();
        let page = get(&tenant, &format!("{list}&page_token={token}")).await.json();
        tokens.push(page["data"]["next_page_token"].as_str().unwrap().to_owned());
    }
    assert_eq!((&tokens[0], &tokens[1]), (&tokens[2], &tokens[3]));
    tenant.calm();

    tenant.fault(on_file(Effect::ErrorWith200(1_061_045)));
    assert_eq!(get(&tenant, &path).await.code(), 1_061_045);
    tenant.fault(on_file(Effect::CutAfter(10)));
    assert!(get(&tenant, &path).await.body.is_err());
    tenant.fault(on_file(Effect::Truncate(10)));
    assert_eq!(get(&tenant, &path).await.bytes().len(), 10);
    tenant.fault(on_file(Effect::TooLong(5)));
    assert_eq!(get(&tenant, &path).await.bytes().len(), 105);
    tenant.fault(on_file(Effect::Slow { bytes: 10, pause: Duration::from_secs(1) }));
    let before = tokio::time::Instant::now();
    assert_eq!(get(&tenant, &path).await.bytes().len(), 100);
    assert_eq!(before.elapsed().as_secs(), 10);
    tenant.fault(on_file(Effect::Reset));
    let request = Request::get(format!("http://sim/open-apis{path}"))
        .header("authorization", format!("Bearer {USER_TOKEN}"));
    assert!(send(&tenant, request.body(Bytes::new()).unwrap()).await.is_err());
    let edited = file.clone();
    tenant.fault(on_file(Effect::run(move || {
        edited.replace("new");
    })));
    assert_eq!(get(&tenant, &path).await.bytes(), b"new");

    tenant.storm(3, 0.5, &[Effect::rate_limit(429), Effect::rate_limit(400)]);
    tenant.forget_calls();
    for _ in 0..100 {
        get(&tenant, &list).await;
    }
    assert!((30..70).contains(&tenant.rate_limited()), "{}", tenant.rate_limited());
    assert!(tenant.too_many_requests() < tenant.rate_limited());
}

#[tokio::test(start_paused = true)]
async fn every_call_is_counted() {
    let tenant = quiet();
    let file = tenant.root().upload("a.bin", "1");
    let path = format!("/drive/v1/files/{}/download", file.token());
    get(&tenant, &path).await;
    get(&tenant, "/drive/v1/files").await;
    get(&tenant, "/no/such/path").await;
    let app = app_token(&tenant).await;
    get_as(&tenant, &app, "/drive/v1/files").await;
    assert_eq!(tenant.calls("GET", "/drive/v1/files"), 2);
    assert_eq!(tenant.calls("GET", "/drive/v1/files/:file_token/download"), 1);
    assert_eq!(tenant.calls("GET", &path), 1);
    assert_eq!(tenant.total_calls(), 5);
    let log = tenant.call_log();
    let who: Vec<&str> = log.iter().map(|call| call.identity.as_str()).collect();
    assert_eq!(who, ["user:demo", "user:demo", "user:demo", "user:demo", "app:cli_demo"]);
    assert_eq!((log[2].status, log[2].code), (404, 99_991_201));
    assert_eq!(tenant.forget_calls().total_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn identities_see_what_is_theirs() {
    let tenant = quiet();
    let plans = tenant.root().folder("Plans");
    let theirs = tenant.add_user("Bob", "u-bob").docx("Bob's");
    let app = app_token(&tenant).await;
    let list = format!("/drive/v1/files?folder_token={}", plans.token());
    let who = async |token: &str| get_as(&tenant, token, &list).await.code();
    assert_eq!((who(&app).await, who("u-bob").await), (0, 1_061_004));
    plans.share_with(&Who::User("Bob".to_owned()));
    tenant.app_sees_everything(false);
    assert_eq!((who(&app).await, who("u-bob").await), (1_061_004, 0));
    plans.share_with(&Who::App);
    assert_eq!(who(&app).await, 0);
    plans.forbid();
    assert_eq!(
        (who(&app).await, who("u-bob").await, who(USER_TOKEN).await),
        (1_061_004, 1_061_004, 1_061_004)
    );
    plans.allow();
    assert_eq!(who(USER_TOKEN).await, 0);
    let path = format!("/docx/v1/documents/{}", theirs.token());
    assert_eq!(get(&tenant, &path).await.code(), 1_770_032);
}

#[tokio::test(start_paused = true)]
async fn blocks_and_images_of_a_document() {
    let tenant = quiet();
    let doc = tenant.root().docx("Doc").text("one\ntwo");
    let image = doc.image("a.png", "png");
    let base = format!("/docx/v1/documents/{}", doc.token());
    let blocks = get(&tenant, &format!("{base}/blocks")).await.json()["data"]["items"].clone();
    assert_eq!(blocks.as_array().unwrap().len(), 4);
    assert_eq!(blocks[0]["block_id"], doc.token());
    assert_eq!(blocks[3]["image"]["token"], image.as_str());
    let all = format!("{base}/blocks/{}/children?with_descendants=true", doc.token());
    assert_eq!(get(&tenant, &all).await.json()["data"]["items"], blocks);
    let text = get(&tenant, &format!("{base}/raw_content")).await.json();
    assert_eq!(text["data"]["content"], "Doc\none\ntwo\n");

    let direct = get(&tenant, &format!("/drive/v1/medias/{image}/download")).await;
    assert_eq!(direct.bytes(), b"png");
    let query =
        format!("/drive/v1/medias/batch_get_tmp_download_url?file_tokens={image}&file_tokens=x");
    let urls = get(&tenant, &query).await.json()["data"]["tmp_download_urls"].clone();
    assert_eq!(urls.as_array().unwrap().len(), 1, "unknown tokens are just missing");
    let url = urls[0]["tmp_download_url"].as_str().unwrap();
    let plain = Request::get(url).body(Bytes::new()).unwrap();
    assert_eq!(send(&tenant, plain).await.unwrap().bytes(), b"png");
    let leaky = Request::get(url).header("authorization", "Bearer u-demo");
    assert_eq!(send(&tenant, leaky.body(Bytes::new()).unwrap()).await.unwrap().status, 400);
}

#[tokio::test(start_paused = true)]
async fn fixtures_and_seeds_make_tenants() {
    let demo = demo_tenant(clock());
    assert_eq!(demo_edits(&demo).len(), 5, "every edit finds what it edits");
    let broken = [
        (r#"{"drive": [{"type": "shortcut", "to": "x"}]}"#, "no entry has this key"),
        (r#"{"drive": [{"type": "docx"}]}"#, "needs \"title\""),
        (r#"{"drives": []}"#, "unknown field `drives`"),
    ];
    for (json, message) in broken {
        let error = Tenant::from_fixture(json, clock()).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }

    let count = |item: &Item| {
        let mut todo = vec![item.clone()];
        let mut seen = 0;
        while let Some(item) = todo.pop() {
            let below = item.children();
            seen += below.len();
            todo.extend(below);
        }
        seen
    };
    let one = Tenant::generate(9, &Shape::of(500), clock());
    let two = Tenant::generate(9, &Shape::of(500), clock());
    assert_eq!(count(&one.root()), 300);
    let names = |t: &Tenant| t.root().children().iter().map(Item::title).collect::<Vec<_>>();
    assert_eq!(names(&one), names(&two));
}

#[tokio::test]
async fn tcp_is_for_loopback_only() {
    let tenant = Tenant::new(Clock::system());
    let far = "0.0.0.0:0".parse().unwrap();
    assert!(serve(tenant.clone(), far).await.is_err());
    let (addr, _serving) = serve(tenant.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{addr}/open-apis/drive/v1/files");
    // Another test of this binary may have been first; either way there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = || client.get(&url).bearer_auth(USER_TOKEN).send();
    assert_eq!(ask().await.unwrap().status(), 200);
    tenant.fault(Fault::new("*", "*", Effect::Reset).once());
    assert!(ask().await.is_err(), "cut before the headers");
    tenant.fault(Fault::new("*", "*", Effect::CutAfter(5)).once());
    assert!(ask().await.unwrap().bytes().await.is_err(), "cut in the middle");
    tenant.fault(Fault::new("*", "*", Effect::Truncate(5)).once());
    assert_eq!(ask().await.unwrap().bytes().await.unwrap().len(), 5);
    assert_eq!(ask().await.unwrap().status(), 200);
}
