//! Stories of content, against the simulated tenant: what is read, and in how many calls.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::model::{ObjType, Object};
use crate::sim::{Effect, Fault, MediaRule, Tenant, USER_TOKEN};

mod bases;
mod media;
mod minutes;

fn tenant() -> Tenant {
    Tenant::new(Clock::from_tokio("2026-10-01T00:00:00Z".parse().unwrap()))
}

fn client(tenant: &Tenant) -> Client {
    client_as(tenant, Credentials::User(USER_TOKEN.into()))
}

fn client_as(tenant: &Tenant, credentials: Credentials) -> Client {
    let settings = Settings {
        domain: crate::config::values::domain("http://127.0.0.1:1,http://127.0.0.1:1").unwrap(),
        credentials,
        quota_share: 1.0,
        concurrency: 8,
        retries: 6,
        request_timeout: Duration::from_secs(60),
        bandwidth: 0,
        max_calls: 0,
    };
    Client::new(settings, tenant.http(), tenant.clock())
}

async fn bytes(body: Body) -> Vec<u8> {
    let pieces: Vec<_> = body.stream.map(Result::unwrap).collect().await;
    pieces.concat()
}

const BLOCKS: &str = "/docx/v1/documents/:document_id/blocks";
const DOCUMENT: &str = "/docx/v1/documents/:document_id";

/// The keys of the payloads, in order.
fn kinds(blocks: &Blocks) -> Vec<String> {
    let usual = ["block_id", "parent_id", "children", "block_type", "comment_ids"];
    let kind = |block: &Value| {
        let keys: Vec<&String> = block.as_object().unwrap().keys().collect();
        let kind: Vec<_> = keys.into_iter().filter(|key| !usual.contains(&key.as_str())).collect();
        assert_eq!(kind.len(), 1, "{block}");
        kind[0].clone()
    };
    blocks.items.iter().map(kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_written_document_comes_as_a_tree_of_blocks() {
    let tenant = tenant();
    let root = tenant.root();
    let other = root.docx("Other 计划");
    let sheet = root.sheet("Numbers").cells("Q1", &[&["a", "b"]]);
    let base = root.bitable("Base");
    let table = base.table("Tasks").records(3);
    let node = tenant.space("Handbook").docx("Home");
    let doc = root.docx("Page").heading(1, "Top").heading(9, "Deep").paragraph("Text");
    let doc = doc.mention_doc(&other).mention_doc(&node).mention_user("demo");
    let image = doc.picture("a.png", "png", Some("Figure 1"));
    let file = doc.attachment("b.zip", "zip");
    let board = doc.board(json!([]));
    let source = other.sync_source(&[json!({"block_type": 22, "divider": {}})]);
    let doc = doc.embed_sheet(&sheet, "Q1").embed_table(&table).synced(&other, &source);
    let doc = doc.sub_pages(&node).block(json!({"block_type": 31,
        "table": {"property": {"row_size": 1, "column_size": 2}},
        "children": [
            {"block_type": 32, "table_cell": {}, "children": [{"block_type": 22, "divider": {}}]},
            {"block_type": 32, "table_cell": {}}]}));

    let blocks = client(&tenant).list_blocks(&doc.token()).await.unwrap();
    assert_eq!(
        kinds(&blocks),
        [
            "page",
            "heading1",
            "heading9",
            "text",
            "text",
            "text",
            "text",
            "image",
            "view",
            "file",
            "board",
            "sheet",
            "bitable",
            "reference_synced",
            "sub_page_list",
            "table",
            "table_cell",
            "divider",
            "table_cell",
        ]
    );
    let items = &blocks.items;
    // Parents and children agree, in preorder.
    for block in items {
        for child in block["children"].as_array().into_iter().flatten() {
            let child = items.iter().find(|other| other["block_id"] == *child).unwrap();
            assert_eq!(child["parent_id"], block["block_id"]);
        }
    }
    assert_eq!(items[0]["block_id"], doc.token());
    assert_eq!(items[0]["children"].as_array().unwrap().len(), 14);
    let mention = &items[4]["text"]["elements"][0]["mention_doc"];
    assert_eq!((&mention["token"], &mention["obj_type"]), (&json!(other.token()), &json!(22)));
    assert!(mention["url"].as_str().unwrap().starts_with("https%3A%2F%2Fdemo.feishu.cn%2Fdocx"));
    let mention = &items[5]["text"]["elements"][0]["mention_doc"];
    assert_eq!((&mention["token"], &mention["obj_type"]), (&json!(node.place_token()), &json!(16)));
    let user = &items[6]["text"]["elements"][0]["mention_user"]["user_id"];
    assert_eq!(*user, tenant.open_id("demo"));
    assert_eq!(items[7]["image"]["token"], image);
    assert_eq!(items[7]["image"]["caption"]["content"], "Figure 1");
    assert_eq!(items[9]["file"]["token"], file);
    assert_eq!(items[10]["board"]["token"], board.token());
    assert_eq!(items[11]["sheet"]["token"], format!("{}_{}", sheet.token(), sheet.tab_id("Q1")));
    assert_eq!(items[12]["bitable"]["token"], table.block_token());
    assert_eq!(items[13]["reference_synced"]["source_block_id"], source);
    assert_eq!(items[15]["table"]["cells"], items[15]["children"]);
    assert_eq!(items[15]["children"].as_array().unwrap().len(), 2);

    // Elsewhere, the source shows what is in it.
    let there = client(&tenant).list_blocks(&other.token()).await.unwrap();
    assert_eq!(kinds(&there), ["page", "source_synced", "divider"]);
}

#[tokio::test(start_paused = true)]
async fn blocks_of_a_tests_own_can_be_edited() {
    let tenant = tenant();
    let doc = tenant.root().docx("Page").paragraph("old");
    let client = client(&tenant);
    doc.edit_blocks(json!([{"block_id": "p", "parent_id": "", "block_type": 1, "page": {}}]));
    doc.append(json!({"block_type": 34, "quote_container": {},
        "children": [{"block_type": 22, "divider": {}}]}));
    let blocks = client.list_blocks(&doc.token()).await.unwrap();
    assert_eq!(
        (kinds(&blocks).join(" "), blocks.revision),
        ("page quote_container divider".to_owned(), 3)
    );
    assert_eq!(blocks.items[0]["children"], json!([blocks.items[1]["block_id"]]));
    assert_eq!(blocks.items[1]["parent_id"], "p");
}

#[tokio::test(start_paused = true)]
async fn a_long_document_is_of_one_revision() {
    let tenant = tenant();
    let doc = tenant.root().docx("Long").text(&"line\n".repeat(1200));
    let client = client(&tenant);

    let blocks = client.list_blocks(&doc.token()).await.unwrap();
    assert_eq!((blocks.items.len(), blocks.revision), (1201, 1));
    assert_eq!((tenant.calls("GET", BLOCKS), tenant.calls("GET", DOCUMENT)), (3, 2));

    // An edit between two pages: all again, and of the new revision.
    for strict in [false, true] {
        tenant.forget_calls().calm().edits_end_pages(strict);
        let edited = doc.clone();
        let text = format!("{}end", "word\n".repeat(1000));
        let edit = Effect::run(move || {
            edited.edit(&text);
        });
        tenant.fault(Fault::new("GET", BLOCKS, edit).nth(2));
        let blocks = client.list_blocks(&doc.token()).await.unwrap();
        assert_eq!(blocks.items.len(), 1002);
        assert_eq!(blocks.revision, i64::from(doc.revision()));
        let text = |n: usize| blocks.items[n]["text"]["elements"][0]["text_run"]["content"].clone();
        assert_eq!((text(1), text(1001)), (json!("word"), json!("end")), "no page of the old one");
        let pages = if strict { 2 + 3 } else { 3 + 3 };
        assert_eq!(tenant.calls("GET", BLOCKS), pages, "strict: {strict}");
        assert_eq!(tenant.calls("GET", DOCUMENT), 3);
        tenant.calm();
        doc.edit(&"line\n".repeat(1200));
    }
    assert_eq!(tenant.rate_limited(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_never_rests_is_left_for_later() {
    let tenant = tenant();
    let doc = tenant.root().docx("Busy").text(&"line\n".repeat(600));
    let edited = doc.clone();
    let edit = Effect::run(move || {
        edited.comment();
    });
    tenant.fault(Fault::new("GET", BLOCKS, edit));
    let error = client(&tenant).list_blocks(&doc.token()).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    assert!(error.message.contains("three") || error.message.contains('3'), "{error}");
    assert_eq!(tenant.calls("GET", BLOCKS), 6, "three readings of two pages");

    // One page is of one revision, whatever happens meanwhile.
    let short = tenant.root().docx("Short").text("line");
    let blocks = client(&tenant).list_blocks(&short.token()).await.unwrap();
    assert_eq!((blocks.items.len(), blocks.revision), (2, 1));
    assert_eq!(tenant.calls("GET", &format!("/docx/v1/documents/{}", short.token())), 1);
}

#[tokio::test(start_paused = true)]
async fn documents_keep_to_five_calls_a_second() {
    let tenant = tenant();
    let docs: Vec<_> = (0..40).map(|n| tenant.root().docx(&format!("{n}")).token()).collect();
    let client = client(&tenant);
    let begun = Instant::now();
    let all = futures_util::future::join_all(docs.iter().map(|doc| client.list_blocks(doc))).await;
    assert!(all.into_iter().all(|blocks| blocks.is_ok()));
    let secs = begun.elapsed().as_secs_f64();
    assert!((8.0..10.0).contains(&secs), "40 documents at 4.75 a second: {secs} s");
    assert_eq!(tenant.rate_limited(), 0);

    // Somebody else uses the app too: the wait costs nothing but time.
    tenant.fault(Fault::new("GET", BLOCKS, Effect::rate_limit(400)).times(3));
    client.list_blocks(&docs[0]).await.unwrap();
    assert_eq!(tenant.rate_limited(), 3);
}

#[tokio::test(start_paused = true)]
async fn documents_that_are_gone_and_forbidden_are_told_apart() {
    let tenant = tenant();
    let client = client(&tenant);
    let doc = tenant.root().docx("Page");
    doc.forbid();
    let class = |result: Result<Blocks, ApiError>| result.unwrap_err().class;
    assert_eq!(class(client.list_blocks(&doc.token()).await), Class::Forbidden);
    doc.allow();
    doc.delete();
    assert_eq!(class(client.list_blocks(&doc.token()).await), Class::Gone);
    assert_eq!(class(client.list_blocks("doxcnNothing").await), Class::Gone);
}

const VALUES: &str = "/sheets/v2/spreadsheets/:token/values/:range";

#[tokio::test(start_paused = true)]
async fn cells_come_as_people_see_them_and_as_data() {
    let tenant = tenant();
    let rich = json!([{"type": "text", "text": "see "}, {"type": "url", "text": "x", "link": "https://x"}]);
    let sheet = tenant.root().sheet("Budget").rich_cells(
        "Q1",
        json!([
        ["name", 1.5, null, true],
        [rich, {"formula": "=B1*2", "value": 3, "shown": "3.00"}],
        [], [], ["last"], [], []]),
    );
    let sheet = sheet.embedded_base("Inside");
    let client = client(&tenant);
    let tabs = client.list_sheets(&sheet.token()).await.unwrap();
    assert_eq!(tabs.len(), 2);
    assert_eq!((tabs[0].title.as_str(), tabs[0].rows, tabs[0].columns), ("Q1", 200, 20));
    assert_eq!((tabs[0].has_cells, tabs[1].has_cells), (true, false));
    let token = sheet.token();
    let read = |render| client.get_sheet_values(&token, &tabs[0].id, 0..200, 4, render);
    let seen = read(Render::Formatted).await.unwrap();
    assert_eq!(seen.revision, Some(1));
    let nothing = json!([null, null, null, null]);
    assert_eq!(
        json!(seen.rows),
        json!([
            ["name", "1.5", null, "TRUE"],
            [rich, "3.00", null, null],
            nothing,
            nothing,
            ["last", null, null, null]
        ])
    );
    let data = read(Render::Unformatted).await.unwrap();
    assert_eq!(json!(data.rows[..2]), json!([["name", 1.5, null, true], [rich, 3, null, null]]));
    assert_eq!(tenant.calls("GET", VALUES), 2);
    let error = client.get_sheet_values(&token, &tabs[1].id, 0..1, 1, Render::Formatted).await;
    assert_eq!(error.unwrap_err().class, Class::Gone, "a base has no cells");
}

#[tokio::test(start_paused = true)]
async fn a_reply_too_large_is_asked_for_in_halves() {
    let tenant = tenant();
    let mut rows: Vec<Value> = (0..400).map(|n| json!([n, "x".repeat(50)])).collect();
    // The service cuts empty rows at the end of a part; they must come back.
    for row in &mut rows[90..130] {
        *row = json!([]);
    }
    let sheet = tenant.root().sheet("Big").rich_cells("All", json!(rows));
    let (token, tab) = (sheet.token(), sheet.tab_id("All"));
    let client = client(&tenant);
    let read = || client.get_sheet_values(&token, &tab, 0..400, 2, Render::Unformatted);
    tenant.values_limit(8_000);
    let got = read().await.unwrap();
    assert_eq!(got.rows.len(), 400);
    for (n, row) in got.rows.iter().enumerate() {
        let first = row.first().cloned().unwrap_or_default();
        assert_eq!(first, if (90..130).contains(&n) { Value::Null } else { json!(n) });
    }
    // 400 and 200 are too many, 100 are not.
    assert_eq!(tenant.calls("GET", VALUES), 2 + 4);

    // An edit between two parts: all again, in the size that worked.
    tenant.forget_calls();
    let edited = sheet.clone();
    let edit = Effect::run(move || {
        edited.edit_cells("All", json!([["new"]]));
    });
    tenant.fault(Fault::new("GET", VALUES, edit).nth(4));
    let got = read().await.unwrap();
    assert_eq!((got.revision, json!(got.rows)), (Some(2), json!([["new", null]])));

    tenant.values_limit(10);
    let error = read().await.unwrap_err();
    assert_eq!(error.class, Class::Refused, "not even one row fits");
}

#[tokio::test(start_paused = true)]
async fn comments_come_with_every_reply() {
    let tenant = tenant();
    tenant.add_user("Ann", "u-ann");
    let doc = tenant.root().docx("Page");
    let client = client(&tenant);
    let object = Object::new(ObjType::Docx, doc.token());
    assert_eq!(client.list_comments(&object).await.unwrap(), []);

    let long = doc.discuss(Some("a phrase"), "first");
    for n in 0..130 {
        long.reply(&format!("reply {n}"));
    }
    let person = json!([{"type": "person", "person": {"user_id": tenant.open_id("Ann")}}]);
    let whole = doc.discuss(None, "all of it");
    whole.answer("Ann", person.clone()).solve();
    for n in 0..110 {
        doc.discuss(None, &format!("comment {n}"));
    }
    tenant.forget_calls();
    let comments = client.list_comments(&object).await.unwrap();
    assert_eq!(comments.len(), 112);
    let first = &comments[0];
    assert_eq!((first.comment_id.as_str(), first.is_whole), (long.id().as_str(), false));
    assert_eq!((first.quote.as_str(), first.is_solved), ("a phrase", false));
    assert_eq!((first.replies.len(), first.solved_secs), (131, None));
    assert_eq!(first.replies[130].elements[0]["text_run"]["text"], "reply 129");
    let second = &comments[1];
    assert!(second.is_whole && second.is_solved);
    assert_eq!(second.solver_user_id, Some(tenant.open_id("demo")));
    assert_eq!(second.replies[1].user_id, Some(tenant.open_id("Ann")));
    assert_eq!(json!(second.replies[1].elements), person);
    assert_eq!(tenant.calls("GET", "/drive/v1/files/:t/comments"), 2);
    assert_eq!(tenant.calls("GET", "/drive/v1/files/:t/comments/:id/replies"), 2);

    whole.reopen();
    long.delete();
    let comments = client.list_comments(&object).await.unwrap();
    assert_eq!((comments.len(), comments[0].is_solved), (111, false));
    assert!(doc.revision() > 240, "a document's revision moves with its comments");
    let object = Object::new(ObjType::Bitable, "bascnX");
    assert!(client.list_comments(&object).await.is_err(), "bases show no comments");
}

#[tokio::test(start_paused = true)]
async fn a_whiteboard_has_nodes_and_a_picture() {
    let tenant = tenant();
    let doc = tenant.root().docx("Page");
    let nodes = json!([{"id": "o1:1", "type": "text_shape", "text": {"text": "Hi"}}]);
    let board = doc.board(nodes.clone());
    let client = client(&tenant);
    assert_eq!(json!(client.get_board_nodes(&board.token()).await.unwrap()), nodes);
    let image = client.download_board_image(&board.token()).await.unwrap();
    assert_eq!(image.content_type.as_deref(), Some("image/png"));
    let before = bytes(image).await;
    assert!(before.starts_with(b"\x89PNG\r\n"));
    board.edit(json!([]));
    let after = bytes(client.download_board_image(&board.token()).await.unwrap()).await;
    assert_ne!(before, after);
    assert_eq!(client.get_board_nodes(&board.token()).await.unwrap(), [Value::Null; 0]);
    board.picture("image/svg+xml", "<svg/>");
    let image = client.download_board_image(&board.token()).await.unwrap();
    assert_eq!(image.content_type.as_deref(), Some("image/svg+xml"));
    assert_eq!(bytes(image).await, b"<svg/>");
    doc.forbid();
    let error = client.get_board_nodes(&board.token()).await.unwrap_err();
    assert_eq!(error.class, Class::Forbidden);
    doc.delete();
    let error = client.get_board_nodes(&board.token()).await.unwrap_err();
    assert_eq!(error.class, Class::Gone);
}

#[tokio::test(start_paused = true)]
async fn names_come_fifty_at_a_time_and_strangers_stay_ids() {
    let tenant = tenant();
    let mut ids: Vec<String> = (0..119)
        .map(|n| {
            tenant.add_user(&format!("User {n}"), &format!("u-{n}"));
            tenant.open_id(&format!("User {n}"))
        })
        .collect();
    tenant.visible("User 7", false);
    ids.push("ou_nobody".to_owned());
    ids.push(ids[3].clone());
    let client = client(&tenant);
    let names = client.get_user_names(&ids).await.unwrap();
    assert_eq!(names.len(), 118);
    assert_eq!(names[&ids[118]], "User 118");
    assert!(!names.contains_key(&ids[7]));
    assert_eq!(tenant.calls("GET", "/contact/v3/users/batch"), 3, "each once");

    // An id that the service refuses is found by halving, and costs only itself.
    tenant.forget_calls();
    let bad = Effect::status(400, 99_992_351);
    tenant.fault(Fault::new("GET", "/contact/v3/users/batch", bad).containing(&ids[20]));
    let names = client.get_user_names(&ids).await.unwrap();
    assert_eq!(names.len(), 117);
    let calls = tenant.calls("GET", "/contact/v3/users/batch");
    assert!((8..=16).contains(&calls), "{calls}");

    // Ids without names: the app may see the one but not the other.
    tenant.calm().enable_scopes(&["contact:contact.base:readonly"]).publish();
    let credentials = Credentials::App {
        app_id: crate::sim::APP_ID.to_owned(),
        app_secret: crate::sim::APP_SECRET.into(),
    };
    assert_eq!(client_as(&tenant, credentials).get_user_names(&ids).await.unwrap().len(), 0);
}
