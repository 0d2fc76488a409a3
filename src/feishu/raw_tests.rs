//! Calls by hand: what is sent, what comes back, how pages become one.

use futures_util::TryStreamExt;
use serde_json::json;

use super::*;
use crate::feishu::fake::{CANARY, Fake, Step, bytes_reply, json_reply};

fn call(method: Method, path: &str) -> RawCall {
    RawCall { method, path: path.to_owned(), query: Vec::new(), body: None }
}

fn get(path: &str) -> RawCall {
    call(Method::GET, path)
}

#[tokio::test(start_paused = true)]
async fn json_comes_as_it_is_from_known_and_unknown_endpoints() {
    let text = r#"{"z":1.10, "code":0,"data":{"b":1,"a":[]}}"#;
    let fake = Fake::user();
    let client = fake.client();
    let cases = [
        ("/drive/v1/files", "GET /open-apis/drive/v1/files?x=1%262"),
        ("open-apis/im/v1/chats/周", "GET /open-apis/im/v1/chats/%E5%91%A8?x=1%262"),
        ("/open-apis/a%2Fb", "GET /open-apis/a%2Fb?x=1%262"),
    ];
    for (path, want) in cases {
        fake.push(bytes_reply(text).header("content-type", "application/json"));
        let mut call = get(path);
        call.query.push(("x".to_owned(), "1&2".to_owned()));
        let Ok(RawReply::Json(got)) = client.raw(&call).await else { panic!("{path}") };
        assert_eq!(got, text);
        assert_eq!(fake.calls().last().unwrap(), want);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_the_services_words_and_names_what_was_called() {
    let fake = Fake::app();
    let client = fake.client();
    let said = json!({"code":1_061_004,"msg":"forbidden","error":{"log_id":"L1","echo":"t-1"}});
    for status in [403, 200] {
        fake.push(json_reply(said.clone()).status(status));
        let Err(refused) = client.raw(&get("/drive/v1/files/box1/download")).await else {
            panic!("no error")
        };
        let error = &refused.error;
        assert_eq!((error.class, error.code), (Class::Forbidden, Some(1_061_004)));
        let start = "GET /open-apis/drive/v1/files/box1/download: no permission: forbidden";
        assert!(error.message.starts_with(start), "{error}");
        assert!(error.message.contains("L1") && error.hint.is_some(), "{error}");
        assert_eq!(refused.reply.unwrap()["code"], 1_061_004);
    }
    let Err(refused) = ({
        fake.push(json_reply(json!({"code":99_991_672,"msg":"no"})).status(400));
        client.raw(&get("/im/v1/chats")).await
    }) else {
        panic!("no error")
    };
    assert!(refused.error.message.starts_with("GET /open-apis/im/v1/chats: "), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_echo_of_the_token_is_never_shown() {
    let source = std::sync::Arc::new(crate::feishu::fake::Source::default());
    let fake = Fake::login(&source);
    let echo = format!("token={} is bad", crate::feishu::fake::Source::token_of(0));
    fake.push(json_reply(json!({"code":1_061_002,"msg":echo,"error":{"e":[echo]}})).status(400));
    let Err(refused) = fake.client().raw(&get("/drive/v1/files")).await else { panic!() };
    let shown = format!("{refused:?}");
    assert!(shown.contains("is bad") && !shown.contains(CANARY), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn content_is_streamed_and_an_error_body_is_none() {
    let fake = Fake::app();
    let client = fake.client();
    let path = "/drive/v1/files/box1/download";
    fake.push(bytes_reply(b"\x89PNG").attachment(8).then(Step::Bytes(b"more".to_vec())));
    let Ok(RawReply::Content(body)) = client.raw(&get(path)).await else { panic!() };
    assert_eq!(body.total, Some(8));
    let chunks: Vec<_> = body.stream.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"\x89PNGmore");
    assert_eq!(fake.last_header("accept-encoding").unwrap(), "identity");
    // An uploaded JSON file is content, even one that looks like an error.
    let file = bytes_reply(r#"{"code":7}"#).header("content-type", "application/json");
    fake.push(file.attachment(10));
    assert!(matches!(client.raw(&get(path)).await, Ok(RawReply::Content(_))));
    // Less than was promised is an error of the stream.
    fake.push(bytes_reply("half").attachment(8));
    let Ok(RawReply::Content(body)) = client.raw(&get(path)).await else { panic!() };
    assert!(body.stream.try_collect::<Vec<_>>().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn only_a_get_is_repeated_after_a_broken_connection() {
    for (method, again) in [(Method::GET, true), (Method::POST, false), (Method::DELETE, false)] {
        let fake = Fake::user();
        fake.push_lost();
        fake.push(json_reply(json!({"code":0})));
        let reply = fake.client().raw(&call(method.clone(), "/x/v1/y")).await;
        assert_eq!((reply.is_ok(), fake.left()), (again, usize::from(!again)), "{method}");
    }
    // Nothing can have arrived, or the service did nothing: any method goes again.
    let fake = Fake::app();
    fake.push_refused();
    fake.push(
        json_reply(json!({"code":99_991_400})).status(429).header("x-ogw-ratelimit-reset", "1"),
    );
    fake.push(json_reply(json!({"code":99_991_663})).status(400));
    fake.push(json_reply(json!({"code":0})));
    let mut post = call(Method::POST, "/x/v1/y");
    post.body = Some(json!({"a":1}));
    assert!(fake.client().raw(&post).await.is_ok());
    assert_eq!(fake.last_body(), json!({"a":1}));
    assert_eq!(fake.last_header("content-type").unwrap(), "application/json; charset=utf-8");
    // 5xx may have done it.
    fake.push(json_reply(json!({"code":5000})).status(500));
    assert!(fake.client().raw(&post).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn pages_become_one_envelope_whatever_the_token_is_called() {
    for (list, token) in
        [("files", "next_page_token"), ("items", "page_token"), ("records", "page_token")]
    {
        let fake = Fake::user();
        let page = |item: i64, next: Option<&str>| {
            json_reply(
                json!({"code":0,"msg":"ok","data":{"total":3,list:[item],"has_more":next.is_some(),token:next}}),
            )
        };
        fake.push(page(1, Some("p2")));
        fake.push(json_reply(json!({"code":0,"data":{"has_more":true,token:"p3"}})));
        fake.push(page(3, None));
        let mut first = get("/drive/v1/files");
        first.query = vec![("page_size".to_owned(), "1".to_owned())];
        let whole = fake.client().raw_all(&first).await.unwrap();
        let data = json!({"total":3,list:[1,3],"has_more":false});
        assert_eq!(whole, json!({"code":0,"msg":"ok","data":data}));
        let base = "GET /open-apis/drive/v1/files?page_size=1";
        let want =
            [base.to_owned(), format!("{base}&page_token=p2"), format!("{base}&page_token=p3")];
        assert_eq!(fake.calls(), want);
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_is_paged_in_its_body() {
    let fake = Fake::user();
    fake.push(json_reply(
        json!({"code":0,"data":{"res_units":[1],"has_more":true,"page_token":"p2"}}),
    ));
    fake.push(json_reply(json!({"code":0,"data":{"res_units":[2],"has_more":false}})));
    let mut search = call(Method::POST, "/search/v2/doc_wiki/search");
    search.body = Some(json!({"query":"x","page_size":20}));
    let whole = fake.client().raw_all(&search).await.unwrap();
    assert_eq!(whole["data"]["res_units"], json!([1, 2]));
    assert_eq!(fake.last_body(), json!({"query":"x","page_size":20,"page_token":"p2"}));
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_cannot_be_whole_is_an_error() {
    let page = |next: &str| {
        json_reply(json!({"code":0,"data":{"items":[1],"has_more":true,"page_token":next}}))
    };
    let cases: [(&[&str], &str); 2] =
        [(&["A", "B", "A"], "circle"), (&["A", "", "", "", ""], "empty")];
    for (tokens, want) in cases {
        let fake = Fake::user();
        for token in tokens {
            fake.push(page(token));
        }
        let error = fake.client().raw_all(&get("/wiki/v2/spaces")).await.unwrap_err().error;
        assert!(error.message.contains(want), "{error}");
        assert!(error.message.starts_with("GET /open-apis/wiki/v2/spaces: "), "{error}");
        assert_eq!(fake.left(), 0);
    }
    let fake = Fake::user();
    fake.push(page("p2"));
    fake.push(json_reply(json!({"code":131_006,"msg":"no"})).status(403));
    let refused = fake.client().raw_all(&get("/wiki/v2/spaces")).await.unwrap_err();
    assert_eq!(refused.reply.unwrap()["code"], 131_006);
    fake.push(json_reply(json!({"code":0,"data":{"as":[],"bs":[],"has_more":false}})));
    let error = fake.client().raw_all(&get("/x")).await.unwrap_err().error;
    assert!(error.message.contains("as, bs"), "{error}");
    // A page asked for again is counted once, and what is no listing comes as it is.
    fake.push(page(""));
    fake.push(json_reply(json!({"code":0,"data":{"items":[1],"has_more":false}})));
    let whole = fake.client().raw_all(&get("/x")).await.unwrap();
    assert_eq!(whole["data"]["items"], json!([1]));
    fake.push(json_reply(json!({"code":0,"data":{"name":"n"}})));
    let whole = fake.client().raw_all(&get("/x")).await.unwrap();
    assert_eq!(whole, json!({"code":0,"data":{"name":"n"}}));
}
