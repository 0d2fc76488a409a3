//! Content in the odd shapes that replies have: fields missing, `null`, of another type.

use serde_json::json;

use super::fake::{Fake, bytes_reply, json_reply};
use super::*;
use crate::model::{ObjType, Object};

#[expect(clippy::needless_pass_by_value, reason = "called with `json!` throughout")]
fn data(data: serde_json::Value) -> fake::Scripted {
    json_reply(json!({"code": 0, "data": data}))
}

#[tokio::test(start_paused = true)]
async fn blocks_are_asked_for_by_the_newest_revision() {
    let fake = Fake::app();
    fake.push(data(json!({"document": {"revision_id": "12"}})));
    fake.push(data(
        json!({"items": [{"block_id": "d", "block_type": 1, "page": {}}], "has_more": false}),
    ));
    let blocks = fake.client().list_blocks("d").await.unwrap();
    assert_eq!((blocks.revision, blocks.items.len()), (12, 1));
    let last = fake.calls().pop().unwrap();
    assert_eq!(
        last,
        "GET /open-apis/docx/v1/documents/d/blocks\
         ?page_size=500&document_revision_id=-1&user_id_type=open_id"
    );
    // No block at all is no empty document: that would be mirrored as one.
    let fake = Fake::app();
    fake.push(data(json!({"document": {"revision_id": 12}})));
    fake.push(data(json!({"items": [], "has_more": false})));
    assert_eq!(fake.client().list_blocks("d").await.unwrap_err().class, Class::Transient);
    let mut fake = Fake::app();
    fake.settings.retries = 0;
    fake.push(data(json!({"document": {}})));
    assert_eq!(fake.client().list_blocks("d").await.unwrap_err().class, Class::Unexpected);
}

#[tokio::test(start_paused = true)]
async fn cells_and_sheets_may_lack_nearly_everything() {
    let fake = Fake::app();
    let client = fake.client();
    fake.push(data(json!({"sheets": [
        {"sheet_id": "a", "title": "A", "hidden": true, "resource_type": "sheet",
         "grid_properties": {"row_count": "7", "column_count": 3},
         "merges": [{"start_row_index": 0, "end_row_index": 0, "start_column_index": 1, "end_column_index": 2},
                    {"start_row_index": 5, "end_row_index": 4, "start_column_index": 0, "end_column_index": 0},
                    {}]},
        {"sheet_id": "b", "resource_type": "bitable"}]})));
    let sheets = client.list_sheets("s").await.unwrap();
    assert_eq!((sheets[0].rows, sheets[0].columns, sheets[0].hidden), (7, 3, true));
    assert_eq!(sheets[0].merges, [(0..1, 1..3)], "ends are in it; nonsense is left out");
    assert_eq!((sheets[1].rows, sheets[1].has_cells), (0, false));

    fake.push(data(json!({"valueRange": {"range": "", "revision": 4, "values": null}})));
    let values = client.get_sheet_values("s", "a", 2..9, 28, Render::Formatted).await.unwrap();
    assert_eq!((values.revision, values.rows.len()), (Some(4), 0));
    let last = fake.calls().pop().unwrap();
    assert_eq!(
        last,
        "GET /open-apis/sheets/v2/spreadsheets/s/values/a%21A3%3AAB9\
         ?valueRenderOption=FormattedValue&dateTimeRenderOption=FormattedString&user_id_type=open_id"
    );
    fake.push(data(json!({"valueRange": {"values": [null, ["x"]]}})));
    let values = client.get_sheet_values("s", "a", 0..2, 1, Render::Unformatted).await.unwrap();
    assert_eq!(json!(values.rows), json!([[], ["x"]]));
    let calls = fake.calls().len();
    let none = client.get_sheet_values("s", "a", 0..0, 5, Render::Formatted).await.unwrap();
    assert!(none.rows.is_empty());
    assert_eq!(fake.calls().len(), calls, "nothing to ask");
}

#[tokio::test(start_paused = true)]
async fn records_are_asked_for_with_their_times() {
    let fake = Fake::app();
    let client = fake.client();
    fake.push(data(json!({"has_more": true, "page_token": "p2", "total": 2, "items": [
        {"record_id": "r1", "fields": {"N": 1}, "created_time": "1691049973000", "created_by": null}]})));
    fake.push(json_reply(json!({"code": 1_254_030, "msg": "TooLargeResponse"})));
    fake.push(data(json!({"has_more": false, "items": [{"record_id": "r2"}]})));
    let mut records = client.search_records("b", "t");
    let page = records.next().await.unwrap().unwrap();
    assert_eq!((page.total, page.records[0].created_ms), (Some(2), Some(1_691_049_973_000)));
    assert_eq!(page.records[0].modified_ms, None);
    let page = records.next().await.unwrap().unwrap();
    assert_eq!((page.records[0].id.as_str(), page.records[0].fields.len()), ("r2", 0));
    assert!(records.next().await.unwrap().is_none());
    let path = "POST /open-apis/bitable/v1/apps/b/tables/t/records/search";
    let query = "user_id_type=open_id";
    assert_eq!(
        fake.calls()[1..],
        [
            format!("{path}?page_size=500&{query}"),
            format!("{path}?page_size=500&{query}&page_token=p2"),
            format!("{path}?page_size=250&{query}&page_token=p2"),
        ]
    );
    assert_eq!(fake.last_body(), json!({"automatic_fields": true}));

    // A reply without records is no empty table.
    let mut fake = Fake::app();
    fake.settings.retries = 0;
    fake.push(data(json!({})));
    let error = fake.client().search_records("b", "t").next().await.unwrap_err();
    assert_eq!(error.class, Class::Unexpected);
}

#[tokio::test(start_paused = true)]
async fn fields_keep_what_nobody_knows_yet() {
    let fake = Fake::app();
    fake.push(data(json!({"has_more": false, "items": [
        {"field_id": "f", "field_name": "N", "type": "9001", "property": {"new": [1]},
         "description": [{"type": "text", "text": "d"}], "is_primary": true},
        {"field_id": "g", "type": null}]})));
    let fields = fake.client().list_fields("b", "t").await.unwrap();
    assert_eq!((fields[0].ty, &fields[0].property), (9001, &json!({"new": [1]})));
    assert!(fields[0].is_primary && fields[0].description.is_array());
    assert_eq!((fields[1].ty, fields[1].name.as_str()), (0, ""));
}

#[tokio::test(start_paused = true)]
async fn comments_in_their_barest_form() {
    let fake = Fake::app();
    fake.push(data(json!({"has_more": false, "items": [
        {"comment_id": 69, "solved_time": 0, "solver_user_id": "", "create_time": "5"},
        {"comment_id": "70", "is_solved": true, "solved_time": 7, "solver_user_id": "ou_a",
         "has_more": true, "page_token": "p", "reply_list": {"replies": null}}]})));
    fake.push(data(json!({"has_more": false, "items": [
        {"reply_id": 1, "content": {"elements": null}, "extra": {"image_list": ["boxImg"]}}]})));
    let object = Object::new(ObjType::Docx, "d");
    let comments = fake.client().list_comments(&object).await.unwrap();
    assert_eq!((comments[0].comment_id.as_str(), comments[0].created_secs), ("69", Some(5)));
    assert_eq!((comments[0].solved_secs, comments[0].replies.len()), (None, 0));
    assert_eq!(
        (comments[1].solved_secs, comments[1].solver_user_id.as_deref()),
        (Some(7), Some("ou_a"))
    );
    assert_eq!(comments[1].replies[0].images, ["boxImg"]);
    assert_eq!(
        fake.calls()[1..],
        [
            "GET /open-apis/drive/v1/files/d/comments?file_type=docx&page_size=100&user_id_type=open_id",
            "GET /open-apis/drive/v1/files/d/comments/70/replies?file_type=docx&page_size=100&user_id_type=open_id",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_whiteboard_and_an_error_in_place_of_a_picture() {
    let fake = Fake::app();
    let client = fake.client();
    fake.push(data(json!({})));
    assert!(client.get_board_nodes("w").await.unwrap().is_empty());
    fake.push(json_reply(json!({"code": 2_890_003, "msg": "record missing"})));
    let error = client.download_board_image("w").await.err().unwrap();
    assert_eq!(error.class, Class::Gone);
    fake.push(bytes_reply("GIF89a").header("content-type", "Image/GIF; x=1"));
    let image = client.download_board_image("w").await.unwrap();
    assert_eq!(image.content_type.as_deref(), Some("image/gif"));
}

#[tokio::test(start_paused = true)]
async fn a_link_goes_to_its_own_host_and_carries_no_token() {
    let fake = Fake::user();
    let client = fake.client();
    let url =
        "https://internal-api-drive-stream.feishu.cn/space/api/x/?authcode=h0shP0wer%3D&a=1#f";
    fake.push(data(json!({"tmp_download_urls": [
        {"file_token": "box1", "tmp_download_url": url}, {"file_token": "box2"}]})));
    let tokens = ["box1".to_owned(), "box2".to_owned()];
    let links = client.get_media_links(&tokens, Some("{\"a\":1}")).await.unwrap();
    assert_eq!(links.len(), 1);
    assert_eq!(
        fake.calls().pop().unwrap(),
        "GET /open-apis/drive/v1/medias/batch_get_tmp_download_url\
         ?file_tokens=box1&file_tokens=box2&extra=%7B%22a%22%3A1%7D"
    );
    fake.push(bytes_reply("png").attachment(3));
    client.download_link(&links[0].1, Some(0..3)).await.unwrap();
    let seen = fake.seen().pop().unwrap();
    assert_eq!(seen.host, "https://internal-api-drive-stream.feishu.cn");
    assert_eq!(seen.line, "GET /space/api/x/?authcode=h0shP0wer%3D&a=1");
    assert_eq!((seen.header("authorization"), seen.header("range")), (None, Some("bytes=0-2")));

    // Whatever that host says, nobody has to log in, and the link stays secret.
    let cases = [
        (401, Class::Forbidden),
        (403, Class::Forbidden),
        (404, Class::Gone),
        (302, Class::Unexpected),
    ];
    for (status, class) in cases {
        fake.push(
            bytes_reply(format!("{{\"code\":99991663,\"msg\":\"see {url}\"}}")).status(status),
        );
        let error = client.download_link(&links[0].1, None).await.err().unwrap();
        assert_eq!(error.class, class, "{status}");
        assert!(!error.message.contains("h0shP0wer") && error.hint.is_none(), "{error:?}");
    }
    assert!(!format!("{links:?}").contains("h0shP0wer"));
    for odd in ["file:///etc/passwd", "no url", "data:text/plain,x"] {
        fake.push(data(
            json!({"tmp_download_urls": [{"file_token": "box1", "tmp_download_url": odd}]}),
        ));
        let links = client.get_media_links(&tokens, None).await.unwrap();
        let error = client.download_link(&links[0].1, None).await.err().unwrap();
        assert_eq!(error.class, Class::Unexpected, "{odd}");
    }
}

#[test]
fn the_extra_of_an_attachment_is_read_from_its_url() {
    let cases = [
        (
            "https://x/medias/box/download?extra=%7B%22bitablePerm%22%3A%7B%7D%7D",
            Some("{\"bitablePerm\":{}}"),
        ),
        ("https://x/medias/box/download?extra=", None),
        ("https://x/medias/box/download", None),
        ("no url", None),
    ];
    for (url, extra) in cases {
        assert_eq!(media_extra(url).as_deref(), extra, "{url}");
    }
}
