//! Stories of downloads, on tokio's paused clock.

use serde_json::json;

use super::*;
use crate::feishu::fake::{Fake, Scripted, Step, bytes_reply, json_reply};

async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut stream = body.stream;
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk?);
    }
    assert!(stream.next().await.is_none(), "an ended stream stays ended");
    Ok(all)
}

async fn fetch(reply: Scripted) -> Result<Vec<u8>, ApiError> {
    let mut fake = Fake::user();
    fake.settings.retries = 0;
    fake.push(reply);
    read(fake.client().download_file("box", None).await?).await
}

#[tokio::test(start_paused = true)]
async fn content_arrives_and_error_bodies_never_do() {
    let json = "application/json; charset=utf-8";
    let no = r#"{"code":1061004,"msg":"forbidden"}"#;
    let cases = [
        // reply, content or class, why
        (bytes_reply("hello").attachment(5), Ok("hello"), "a file"),
        (bytes_reply("").attachment(0), Ok(""), "an empty file"),
        (bytes_reply("hello"), Ok("hello"), "no length, no name, no type"),
        (
            bytes_reply(no).attachment(34).header("content-type", json),
            Ok(no),
            "an uploaded JSON file that looks like an error",
        ),
        (
            bytes_reply("<p>").attachment(3).header("content-type", "text/html"),
            Ok("<p>"),
            "an uploaded HTML file",
        ),
        (
            bytes_reply(r#"{"code":0,"x":1}"#).header("content-type", json),
            Ok(r#"{"code":0,"x":1}"#),
            "JSON without a name and without an error",
        ),
        (
            bytes_reply(r#"{"code":0,"data":{"fi"#).header("content-type", json),
            Err(Class::Transient),
            "half a reply that is no file",
        ),
        (
            bytes_reply(r#"{"code":0,"msg":"success","data":{}}"#).header("content-type", json),
            Err(Class::Transient),
            "an envelope without content",
        ),
        (
            bytes_reply(r#"{"code":0,"data":{"fi"#).attachment(21).header("content-type", json),
            Ok(r#"{"code":0,"data":{"fi"#),
            "an uploaded JSON file that is broken",
        ),
        (
            bytes_reply(r#"{"code":"red"}"#).header("content-type", json),
            Ok(r#"{"code":"red"}"#),
            "a code that is no number",
        ),
        (
            bytes_reply(no).header("content-type", json),
            Err(Class::Forbidden),
            "HTTP 200 with an error",
        ),
        (
            bytes_reply("<p>oops").header("content-type", "text/html; charset=utf-8"),
            Err(Class::Transient),
            "HTTP 200 with a web page",
        ),
        (
            bytes_reply(no).status(403).header("content-type", json),
            Err(Class::Forbidden),
            "HTTP 403",
        ),
        (bytes_reply("x").status(204), Err(Class::Unexpected), "another success"),
        (
            bytes_reply("zip").attachment(3).header("content-encoding", "gzip"),
            Err(Class::Transient),
            "encoded",
        ),
        (bytes_reply("hel").attachment(5), Err(Class::Transient), "too short"),
        (bytes_reply("hello!").attachment(5), Err(Class::Transient), "too long"),
        (bytes_reply("").attachment(5), Err(Class::Transient), "nothing at all"),
        (
            bytes_reply("he").attachment(5).then(Step::Cut),
            Err(Class::Transient),
            "cut in the middle",
        ),
        (
            bytes_reply("he").attachment(5).then(Step::Stall),
            Err(Class::Transient),
            "stalled in the middle",
        ),
        (
            json_reply(json!({"code":1,"msg":"file size exceeds limit"})),
            Err(Class::Refused),
            "too large for one reply",
        ),
    ];
    for (reply, want, why) in cases {
        let got = fetch(reply).await.map_err(|error| error.class);
        let want = want.map(|text| text.as_bytes().to_vec());
        assert_eq!(got, want, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_fails_before_its_first_byte_is_tried_again() {
    let fake = Fake::user();
    fake.push(bytes_reply("<p>").header("content-type", "text/html"));
    fake.push(bytes_reply("").attachment(5).then(Step::Cut));
    fake.push(bytes_reply("").attachment(5).then(Step::Stall));
    fake.push(json_reply(json!({"code":1_061_045,"msg":"too fast"})));
    fake.push(bytes_reply("he").attachment(5).then(Step::Bytes(b"llo".to_vec())));
    let body = fake.client().download_file("box", None).await.unwrap();
    assert_eq!((body.offset, body.total), (0, Some(5)));
    assert_eq!(read(body).await.unwrap(), b"hello");
    assert_eq!(fake.last_header("accept-encoding").unwrap(), "identity");
}

#[tokio::test(start_paused = true)]
async fn a_range_starts_where_it_says() {
    let fake = Fake::user();
    let client = fake.client();
    let partial = |range: &str| {
        bytes_reply("llo")
            .status(206)
            .attachment(3)
            .header("content-range", range)
            .header("etag", "\"v1\"")
    };
    fake.push(partial("bytes 2-4/5"));
    let body = client.download_file("box", Some(2..10)).await.unwrap();
    assert_eq!((body.offset, body.total, body.etag.as_deref()), (2, Some(5), Some("\"v1\"")));
    assert_eq!(read(body).await.unwrap(), b"llo");
    assert_eq!(fake.last_header("range").unwrap(), "bytes=2-9");

    // A part of an unknown whole could be published as the whole: it is asked for whole.
    fake.push(partial("bytes 2-4/*"));
    fake.push(bytes_reply("hello").attachment(5));
    let body = client.download_file("box", Some(2..5)).await.unwrap();
    assert_eq!((body.offset, body.total), (0, Some(5)));

    // A server without ranges sends everything.
    fake.push(bytes_reply("hello").attachment(5).header("etag", "W/\"v1\""));
    let body = client.download_file("box", Some(2..5)).await.unwrap();
    assert_eq!((body.offset, body.total, body.etag), (0, Some(5), None));
}

#[tokio::test(start_paused = true)]
async fn a_partial_reply_that_does_not_fit_is_not_taken() {
    let cases = [
        Some("bytes 0-2/5"),
        Some("bytes 2-5/6"),
        Some("bytes 2-9/5"),
        Some("bytes 4-2/5"),
        Some("bytes 2-3/5"),
        Some("lines 2-4/5"),
        None,
    ];
    for range in cases {
        let mut fake = Fake::user();
        fake.settings.retries = 0;
        let mut reply = bytes_reply("llo").status(206).attachment(3);
        if let Some(range) = range {
            reply = reply.header("content-range", range);
        }
        fake.push(reply);
        let Err(error) = fake.client().download_file("box", Some(2..5)).await else {
            panic!("{range:?}")
        };
        assert_eq!(error.class, Class::Transient, "{range:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_with_nothing_in_it_is_an_empty_body_or_the_whole_file() {
    let none = || bytes_reply("").status(416);
    let fake = Fake::user();
    let client = fake.client();

    fake.push(none().header("content-range", "bytes */0"));
    let body = client.download_file("box", Some(0..64)).await.unwrap();
    assert_eq!((body.offset, body.total), (0, Some(0)));
    assert_eq!(read(body).await.unwrap(), b"");

    fake.push(none());
    fake.push(bytes_reply("").attachment(0));
    let body = client.download_file("box", Some(0..64)).await.unwrap();
    assert_eq!((body.offset, body.total), (0, Some(0)));

    fake.push(none().header("content-range", "bytes */5"));
    let body = client.download_file("box", Some(5..64)).await.unwrap();
    assert_eq!((body.offset, body.total), (5, Some(5)), "all of it was there already");

    fake.push(none().header("content-range", "bytes */3"));
    fake.push(bytes_reply("new").attachment(3));
    let body = client.download_file("box", Some(5..64)).await.unwrap();
    assert_eq!((body.offset, body.total), (0, Some(3)), "the file is shorter now");
    assert_eq!(fake.last_header("range"), None);
}

#[tokio::test(start_paused = true)]
async fn an_expired_product_is_gone() {
    let fake = Fake::user();
    let client = fake.client();
    let replies = [
        json_reply(json!({"code":1_060_001,"msg":"gone"})).status(404),
        json_reply(json!({"code":1_069_906,"msg":"gone"})).status(403),
        bytes_reply("not found").status(404),
        bytes_reply("").status(410),
    ];
    for reply in replies {
        fake.push(reply);
        let Err(error) = client.download_export("boxK").await else { panic!() };
        assert_eq!(error.class, Class::Gone, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_size_refusal_says_so() {
    let fake = Fake::user();
    fake.push(json_reply(json!({"code":234_037,"msg":"x"})));
    let Err(error) = fake.client().download_file("box", None).await else { panic!() };
    assert!(error.wants_ranges());
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_shared_by_all_downloads() {
    let mut fake = Fake::user();
    fake.settings.bandwidth = 100;
    let client = fake.client();
    for _ in 0..2 {
        fake.push(bytes_reply(vec![7; 500]).attachment(1000).then(Step::Bytes(vec![7; 500])));
    }
    let begun = Instant::now();
    let one = async { read(client.download_file("a", None).await.unwrap()).await.unwrap() };
    let two = async { read(client.download_file("b", None).await.unwrap()).await.unwrap() };
    let (one, two) = tokio::join!(one, two);
    assert_eq!(one.len() + two.len(), 2000);
    let took = begun.elapsed();
    assert!((20..22).contains(&took.as_secs()), "2,000 bytes at 100 a second: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_in_flight_until_its_end() {
    let mut fake = Fake::user();
    fake.settings.concurrency = 1;
    let client = fake.client();
    fake.push(bytes_reply("hello").attachment(5));
    fake.push(bytes_reply("again").attachment(5));
    let first = client.download_file("a", None).await.unwrap();
    let mut stream = first.stream;
    let second = tokio::spawn(async move { client.download_file("b", None).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!second.is_finished());
    assert_eq!(stream.next().await.unwrap().unwrap(), "hello");
    second.await.unwrap().unwrap();
}
