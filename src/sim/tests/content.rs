//! Exports, downloads, documents: what bytes come and when.

use super::*;

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
    assert!(csv.starts_with("\u{feff}名称 Name,".as_bytes()));
    tenant.unstable_exports(false);
    let csv = export(&tenant, &sheet.token(), "sheet", "csv", &id).await;
    sheet.rename_tab("乙", "丙").remove_tab("甲").add_tab("丁");
    let tabs = get(&tenant, &query).await.json()["data"]["sheets"].clone();
    assert_eq!((&tabs[0]["sheet_id"], &tabs[0]["title"]), (&json!(id), &json!("丙")));
    assert_eq!(tabs.as_array().unwrap().len(), 2);
    assert_eq!(export(&tenant, &sheet.token(), "sheet", "csv", &id).await, csv);

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

    let request = Request::get(format!("http://sim/open-apis{}", path(&big)))
        .header("authorization", format!("Bearer {USER_TOKEN}"));
    let mut whole = tenant.http().send(request.body(Bytes::new()).unwrap()).await.unwrap();
    let mut length = 0;
    while let Some(piece) = whole.body_mut().next().await {
        let piece = piece.unwrap();
        assert!(piece.len() <= 65_536, "in small pieces, never as a whole");
        length += piece.len() as u64;
    }
    assert_eq!(length, 2 << 30);

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
