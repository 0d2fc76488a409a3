//! What is inside documents: cells, records, comments, whiteboards, names.

use super::*;

#[tokio::test(start_paused = true)]
async fn cells_are_shown_as_they_are_asked_for() {
    let tenant = quiet();
    let sheet = tenant.root().sheet("Budget").cells("Q1", &[&["a", ""], &["b", "c"]]);
    let sheet = sheet.rich_cells("Q2", json!([[{"formula": "=1+1", "value": 2, "shown": "2.00"}]]));
    let (one, two) = (sheet.tab_id("Q1"), sheet.tab_id("Q2"));
    let base = format!("/sheets/v2/spreadsheets/{}", sheet.token());

    let got = get(&tenant, &format!("{base}/values/{one}%21A1%3AB9")).await.json();
    let values = json!({"majorDimension": "ROWS", "range": format!("{one}!A1:B9"), "revision": 1,
        "values": [["a", null], ["b", "c"]]});
    assert_eq!(got["data"]["valueRange"], values);
    let cases = [
        ("", json!("=1+1")),
        ("?valueRenderOption=Formula", json!("=1+1")),
        ("?valueRenderOption=FormattedValue", json!("2.00")),
        ("?valueRenderOption=UnformattedValue", json!(2)),
        ("?valueRenderOption=ToString", json!(2)),
    ];
    for (query, cell) in cases {
        let got = get(&tenant, &format!("{base}/values/{two}{query}")).await.json();
        assert_eq!(got["data"]["valueRange"]["values"][0][0], cell, "{query}");
    }
    let got = get(&tenant, &format!("{base}/values_batch_get?ranges={one}!A:B,{two}!B2:C3")).await;
    let data = &got.json()["data"];
    assert_eq!(data["totalCells"], 4);
    assert_eq!(data["valueRanges"][1]["range"], "", "nothing there");

    let refusals = [
        (format!("{one}!A1:B201"), 90_202),
        (format!("{one}!B1:A1"), 90_202),
        ("nothing!A1".to_owned(), 90_215),
        (format!("{one}?valueRenderOption=Odd"), 90_201),
    ];
    for (range, code) in refusals {
        assert_eq!(get(&tenant, &format!("{base}/values/{range}")).await.code(), code, "{range}");
    }
    tenant.values_limit(20);
    assert_eq!(get(&tenant, &format!("{base}/values/{one}")).await.code(), 90_221);

    // Exports print the same cells.
    let csv = export(&tenant, &sheet.token(), "sheet", "csv", &two).await;
    assert_eq!(csv, "\u{feff}2.00\r\n".as_bytes());
    sheet.edit_cells("Q1", json!([["z"]]));
    assert_eq!(sheet.revision(), 2);
    let csv = export(&tenant, &sheet.token(), "sheet", "csv", &one).await;
    assert_eq!(csv, "\u{feff}z\r\n".as_bytes());
}

#[tokio::test(start_paused = true)]
async fn records_answer_what_they_can_and_refuse_the_rest() {
    let tenant = quiet();
    let base = tenant.root().bitable("Base");
    let table = base.table("Tasks").fields(&[("Name", 1), ("Done", 7)]).records(30);
    let path = format!("/bitable/v1/apps/{}/tables/{}", base.token(), table.id());
    let search = format!("{path}/records/search");
    let ask = async |query: &str, body: Value| {
        post(&tenant, &format!("{search}{query}"), body).await.json()
    };

    let got = ask("", json!({})).await;
    assert_eq!(got["data"]["items"].as_array().unwrap().len(), 20, "the default");
    assert_eq!((&got["data"]["total"], &got["data"]["has_more"]), (&json!(30), &json!(true)));
    assert!(got["data"]["items"][0].get("created_time").is_none(), "not asked for");
    let next = got["data"]["page_token"].as_str().unwrap();
    let got = ask(&format!("?page_token={next}"), json!({})).await;
    assert_eq!(got["data"]["items"].as_array().unwrap().len(), 10);
    let got = ask("", json!({"field_names": ["Done"], "automatic_fields": true})).await;
    assert!(got["data"]["items"][0]["fields"].get("Name").is_none());
    assert!(got["data"]["items"][0]["created_time"].is_i64());

    let cases = [
        ("?page_size=0", json!({}), 1_254_011),
        ("?page_size=501", json!({}), 99_992_402),
        ("?page_token=zz", json!({}), 1_254_002),
        ("", Value::Null, 9499),
        ("", json!({"filter": {"conjunction": "and"}}), 1_254_018),
        ("", json!({"sort": [{"field_name": "Name"}]}), 1_254_016),
        ("", json!({"field_names": ["Nothing"]}), 1_254_045),
        ("", json!({"view_id": "vewNothing"}), 1_254_042),
    ];
    for (query, body, code) in cases {
        assert_eq!(ask(query, body.clone()).await["code"], code, "{query} {body}");
    }
    let missing = format!("/bitable/v1/apps/{}/tables/tblX/fields", base.token());
    assert_eq!(get(&tenant, &missing).await.code(), 1_254_041);
    let fields = get(&tenant, &format!("{path}/fields?text_field_as_array=true")).await.json();
    assert!(fields["data"]["items"][0]["description"].is_array());
    let views = get(&tenant, &format!("{path}/views")).await.json();
    assert_eq!(views["data"]["items"][0]["view_type"], "grid");

    // Exports print the records too.
    table.cell(0, "Name", json!([{"type": "text", "text": "first"}]));
    let csv = export(&tenant, &base.token(), "bitable", "csv", base.table("Tasks").id()).await;
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!(csv.lines().count(), 31);
    assert!(csv.starts_with("\u{feff}Name,Done\r\nfirst,"), "{csv}");
}

#[tokio::test(start_paused = true)]
async fn comments_are_listed_by_type_of_document() {
    let tenant = quiet();
    let doc = tenant.root().docx("Page");
    let sheet = tenant.root().sheet("Numbers");
    let (open, done) = (doc.discuss(Some("text"), "a"), doc.discuss(None, "b"));
    done.solve();
    sheet.discuss(None, "c");
    let path = |item: &Item, query: &str| {
        format!("/drive/v1/files/{}/comments?file_type={query}", item.token())
    };
    let count = async |item: &Item, query: &str| {
        let got = get(&tenant, &path(item, query)).await.json();
        got["data"]["items"].as_array().map(Vec::len).ok_or(got["code"].as_i64().unwrap())
    };
    assert_eq!(count(&doc, "docx").await, Ok(2));
    assert_eq!(count(&doc, "docx&is_whole=true").await, Ok(1));
    assert_eq!(count(&doc, "docx&is_solved=false").await, Ok(1));
    assert_eq!(count(&sheet, "sheet").await, Ok(1));
    assert_eq!(count(&doc, "sheet").await, Err(1_069_305));
    assert_eq!(count(&doc, "bitable").await, Err(1_069_302));
    assert_eq!(count(&doc, "docx&page_size=101").await, Err(1_069_302));
    assert_eq!(sheet.revision(), 1, "only a document's revision is said to move");
    let replies = format!("/drive/v1/files/{}/comments/{}/replies", doc.token(), open.id());
    let got = get(&tenant, &format!("{replies}?file_type=docx")).await.json();
    assert_eq!(got["data"]["items"][0]["content"]["elements"][0]["text_run"]["text"], "a");
    open.delete();
    assert_eq!(get(&tenant, &format!("{replies}?file_type=docx")).await.code(), 1_069_307);
    doc.forbid();
    assert_eq!(count(&doc, "docx").await, Err(1_069_303));
    doc.delete();
    assert_eq!(count(&doc, "docx").await, Err(1_069_304));
}

/// Each call needs its scope, and keeps to its limit.
#[tokio::test(start_paused = true)]
async fn every_call_has_its_scope_and_its_limit() {
    let tenant = Tenant::new(clock());
    let doc = tenant.root().docx("Page");
    let board = doc.board(json!([])).token();
    let base = tenant.root().bitable("Base");
    let table = base.table("Tasks").records(1);
    let sheet = tenant.root().sheet("Numbers");
    let tables = format!("/bitable/v1/apps/{}/tables/{}", base.token(), table.id());
    let cells = format!("/sheets/v2/spreadsheets/{}/values", sheet.token());
    let tab = sheet.tab_id("Sheet1");
    let comments = format!("/drive/v1/files/{}/comments?file_type=docx", doc.token());
    let user = format!("/contact/v3/users/batch?user_ids={}", tenant.open_id("demo"));
    let cases = [
        (format!("{cells}/{tab}"), "sheets:spreadsheet:readonly", 100, 1),
        (format!("{cells}_batch_get?ranges={tab}"), "drive:drive:readonly", 100, 1),
        (format!("{tables}/fields"), "base:field:read", 20, 1),
        (format!("{tables}/views"), "base:view:read", 20, 1),
        (comments, "docs:document.comment:read", 50, 1),
        (format!("/board/v1/whiteboards/{board}/nodes"), "board:whiteboard:node:read", 10, 1),
        (
            format!("/board/v1/whiteboards/{board}/download_as_image"),
            "board:whiteboard:node:read",
            50,
            1,
        ),
        (format!("/board/v1/whiteboards/{board}/theme"), "board:whiteboard:node:read", 20, 60),
        (user, "contact:contact.base:readonly", 50, 1),
    ];
    for (path, scope, limit, secs) in cases {
        tenant.enable_scopes(&["docx:document:readonly"]).publish();
        let app = app_token(&tenant).await;
        assert_eq!(get_as(&tenant, &app, &path).await.code(), 99_991_672, "{path}");
        tenant.enable_scopes(&[scope]).publish();
        for n in 0..limit {
            assert_eq!(get_as(&tenant, &app, &path).await.status, 200, "{path}, call {n}");
        }
        assert_eq!(get_as(&tenant, &app, &path).await.code(), 99_991_400, "{path}");
        tokio::time::sleep(Duration::from_secs(secs)).await;
        assert_eq!(get_as(&tenant, &app, &path).await.status, 200, "{path}");
    }
}
