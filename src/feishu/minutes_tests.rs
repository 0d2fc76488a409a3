//! Recordings in the odd shapes that replies have, and what each refusal means.

use serde_json::json;

use super::fake::{Fake, Step, bytes_reply, json_reply};
use super::*;

const TOKEN: &str = "obcnq3b9jl72l83w4f149w9c";
const WINDOW: std::ops::Range<i64> = 1_767_225_600..1_769_904_000;

#[expect(clippy::needless_pass_by_value, reason = "called with `json!` throughout")]
fn data(data: serde_json::Value) -> fake::Scripted {
    json_reply(json!({"code": 0, "data": data}))
}

fn refused(status: u16, code: i64) -> fake::Scripted {
    json_reply(json!({"code": code, "msg": "no"})).status(status)
}

#[tokio::test(start_paused = true)]
async fn a_minute_has_times_as_text_or_as_numbers() {
    let fake = Fake::user();
    fake.push(data(json!({"minute": {"token": TOKEN, "owner_id": "ou_a",
        "create_time": "1669098360477", "title": "周会", "cover": "https://x/c.png",
        "duration": "3000", "url": "https://x/minutes/y", "note_id": "7"}})));
    let full = fake.client().get_minute(TOKEN).await.unwrap();
    assert_eq!((full.created_ms, full.duration_ms), (Some(1_669_098_360_477), Some(3000)));
    assert_eq!((full.title.as_str(), full.owner.as_deref()), ("周会", Some("ou_a")));
    assert_eq!(full.note_id.as_deref(), Some("7"));
    let line = format!("GET /open-apis/minutes/v1/minutes/{TOKEN}?user_id_type=open_id");
    assert_eq!(fake.calls(), [line]);

    fake.push(data(json!({"minute": {"token": TOKEN, "create_time": 5, "title": null}})));
    let bare = fake.client().get_minute(TOKEN).await.unwrap();
    assert_eq!((bare.created_ms, bare.duration_ms, bare.title.as_str()), (Some(5), None, ""));
}

#[tokio::test(start_paused = true)]
async fn each_refusal_has_its_class_and_what_is_being_made_is_not_asked_for_again() {
    let cases = [
        // status, code, class, still processing
        (400, 2_091_001, Class::Unexpected, false),
        (400, 2_091_003, Class::Transient, true),
        (400, 2_091_004, Class::Gone, false),
        (403, 2_091_005, Class::Forbidden, false),
        (400, 124_002, Class::Transient, true),
        (403, 121_005, Class::Forbidden, false),
        (404, 122_002, Class::Gone, false),
        (400, 99_991_403, Class::Budget, false),
    ];
    for (status, code, class, processing) in cases {
        let fake = Fake::user();
        let client = fake.client();
        let form = TranscriptForm::Text { speakers: true, times: true };
        for _ in 0..4 {
            fake.push(refused(status, code));
        }
        let errors = [
            client.get_minute(TOKEN).await.err().unwrap(),
            client.get_minute_media_link(TOKEN).await.err().unwrap(),
            client.get_minute_transcript(TOKEN, form).await.err().unwrap(),
            client.get_minute_artifacts(TOKEN).await.err().unwrap(),
        ];
        for error in errors {
            let got = (error.class, error.is_processing(), error.is_stale_link());
            assert_eq!(got, (class, processing, false), "{code}");
        }
        // Where the calls of the month are used up, nobody asks again.
        let once_each = if class == Class::Budget { 1 } else { 4 };
        assert_eq!(fake.calls().len(), once_each, "{code}: asked once each");
    }
    // What fails inside the service passes.
    let fake = Fake::user();
    fake.push(refused(500, 2_091_006));
    fake.push(data(json!({"minute": {"token": TOKEN}})));
    fake.client().get_minute(TOKEN).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_missing_part_is_told_from_a_missing_minute() {
    let fake = Fake::user();
    let client = fake.client();
    fake.push(refused(404, 2_091_002));
    fake.push(data(json!({"minute": {"token": TOKEN}})));
    let form = TranscriptForm::Subtitles { speakers: false };
    assert_eq!(client.get_minute_transcript(TOKEN, form).await.unwrap(), None);
    assert!(
        fake.calls()[0]
            .ends_with("/transcript?need_speaker=false&need_timestamp=true&file_format=srt")
    );

    fake.push(refused(404, 2_091_002));
    fake.push(refused(400, 2_091_004));
    let error = client.get_minute_media_link(TOKEN).await.err().unwrap();
    assert_eq!((error.class, error.code), (Class::Gone, Some(2_091_004)));

    // No link at all.
    fake.push(data(json!({"download_url": ""})));
    assert!(client.get_minute_media_link(TOKEN).await.unwrap().is_none());
    fake.push(data(json!({})));
    assert!(client.minute_media(TOKEN).download(None).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_transcript_comes_whole_or_not_at_all() {
    let fake = Fake::user();
    let client = fake.client();
    let form = TranscriptForm::Text { speakers: true, times: false };
    // Cut, then a proxy's page, then an empty answer in JSON, then the text.
    fake.push(bytes_reply("Al").header("content-length", "9").then(Step::Cut));
    fake.push(bytes_reply("Al").header("content-length", "9"));
    fake.push(bytes_reply("<html>").header("content-type", "text/html"));
    fake.push(data(json!({})));
    fake.push(bytes_reply("Alice\n你好").header("content-type", "application/octet-stream"));
    let text = client.get_minute_transcript(TOKEN, form).await.unwrap().unwrap();
    assert_eq!(text, "Alice\n你好".as_bytes());
    assert_eq!((fake.calls().len(), fake.left()), (5, 0));
    // Nobody spoke.
    fake.push(bytes_reply(" \n"));
    assert!(client.get_minute_transcript(TOKEN, form).await.unwrap().is_none());
    // An error with HTTP 200 under a type that is not JSON's, and words that look like one.
    fake.push(bytes_reply(r#"{"code":2091005,"msg":"permission deny"}"#));
    let error = client.get_minute_transcript(TOKEN, form).await.err().unwrap();
    assert_eq!(error.class, Class::Forbidden);
    fake.push(bytes_reply("{\"code\": what did you say?"));
    assert!(client.get_minute_transcript(TOKEN, form).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_the_service_made_may_lack_nearly_everything() {
    let fake = Fake::user();
    let client = fake.client();
    fake.push(data(json!({"summary": "S", "keywords": ["budget", {"name": "hiring"}, 7],
        "minute_chapters": [{"title": "One", "start_ms": "0", "stop_ms": 61000,
            "summary_content": "c"}, {}],
        "minute_todos": [{"content": "Call", "assignees": [{"name": "Bob", "id": "ou_b"}, "Al"]},
            {"content": null, "assignees": null}]})));
    let made = client.get_minute_artifacts(TOKEN).await.unwrap().unwrap();
    assert_eq!(
        (made.summary.as_deref(), made.keywords.join(" ")),
        (Some("S"), "budget hiring".into())
    );
    assert_eq!((made.chapters[0].start_ms, made.chapters[0].stop_ms), (Some(0), Some(61_000)));
    assert_eq!((made.chapters[0].summary.as_str(), made.chapters[1].start_ms), ("c", None));
    assert_eq!(made.todos[0].assignees, ["Bob", "Al"]);
    assert!(made.todos[1].assignees.is_empty());
    for nothing in [json!({}), json!(null), json!({"summary": "", "minute_chapters": null})] {
        fake.push(data(nothing));
        assert!(client.get_minute_artifacts(TOKEN).await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_names_its_window_and_its_people() {
    let fake = Fake::user();
    let filter = MinuteFilter { owners: vec!["ou_a".to_owned()], ..MinuteFilter::default() };
    fake.push(data(json!({"total": 2, "has_more": true, "page_token": "p2", "items": [
        {"token": TOKEN, "display_info": "<h>W</h>", "meta_data": {"app_link": "https://x/m"}}]})));
    fake.push(data(json!({"has_more": false, "items": [
        {"token": TOKEN}, {"token": "obcn2", "meta_data": null}]})));
    let found = fake.client().list_minutes(WINDOW, &filter).await.unwrap();
    let tokens: Vec<_> = found.items.iter().map(|found| found.token.as_str()).collect();
    assert_eq!(tokens, [TOKEN, "obcn2"]);
    assert_eq!(
        (found.items[0].url.as_deref(), found.seen_secs),
        (Some("https://x/m"), 784_887_151)
    );
    let path = "POST /open-apis/minutes/v1/minutes/search?user_id_type=open_id&page_size=30";
    assert_eq!(fake.calls(), [path.to_owned(), format!("{path}&page_token=p2")]);
    assert_eq!(
        fake.last_body(),
        json!({"query": "", "filter": {"owner_ids": ["ou_a"], "create_time":
            {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z"}}})
    );
    let nothing = fake.client().list_minutes(5..5, &filter).await.unwrap();
    assert!(nothing.items.is_empty());
    assert_eq!(fake.calls().len(), 2, "nothing to ask");
}

#[tokio::test(start_paused = true)]
async fn a_search_whose_pages_expire_begins_again() {
    let fake = Fake::user();
    let page = || data(json!({"has_more": true, "page_token": "p2", "items": [{"token": TOKEN}]}));
    fake.push(page());
    fake.push(refused(400, 2_094_005));
    fake.push(page());
    fake.push(data(json!({"has_more": false, "items": [{"token": "obcn2"}]})));
    let filter = MinuteFilter::default();
    let found = fake.client().list_minutes(WINDOW, &filter).await.unwrap();
    assert_eq!((found.items.len(), fake.calls().len()), (2, 4));

    // Again and again is an error, and so is a second that cannot be halved.
    for _ in 0..4 {
        fake.push(refused(400, 2_094_005));
    }
    let error = fake.client().list_minutes(WINDOW, &filter).await.unwrap_err();
    assert_eq!((error.class, fake.left()), (Class::Refused, 0));
    fake.push(refused(400, 2_094_007));
    let error = fake.client().list_minutes(5..6, &filter).await.unwrap_err();
    assert_eq!(error.class, Class::Unexpected);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_may_be_cut_is_not_asked_beyond_the_cut() {
    let fake = Fake::user();
    let page = |from: u32, more: bool| {
        let items: Vec<_> = (from..from + 30).map(|id| json!({"id": id.to_string()})).collect();
        data(json!({"items": items, "has_more": more, "page_token": from.to_string()}))
    };
    for number in 0..5 {
        fake.push(page(1 + number * 30, true));
    }
    fake.push(page(1, false));
    fake.push(page(21, false));
    let found = fake.client().list_meetings(10..20, &MeetingFilter::default()).await.unwrap();
    assert_eq!((found.items.len(), fake.calls().len()), (50, 7));
    let span = |seen: &fake::Seen| seen.json()["meeting_filter"]["start_time"].clone();
    let seen = fake.seen();
    assert_eq!(span(&seen[5])["start_time"], "1970-01-01T00:00:15Z", "the later half first");
    assert_eq!(span(&seen[6])["end_time"], "1970-01-01T00:00:15Z");
}

#[tokio::test(start_paused = true)]
async fn the_media_comes_from_another_host_without_a_token() {
    let fake = Fake::user();
    let client = fake.client();
    let url = "https://internal-api.example/space/obj/x/?authcode=h0shP0wer&a=1";
    let media = client.minute_media(TOKEN);
    fake.push(data(json!({"download_url": url})));
    fake.push(
        bytes_reply("mp4!")
            .header("content-disposition", "attachment; filename*=UTF-8''%E5%91%A8.MP4")
            .header("content-type", "application/octet-stream")
            .header("content-length", "4"),
    );
    let body = media.download(None).await.unwrap().unwrap();
    assert_eq!((body.file_name.as_deref(), body.media_extension()), (Some("周.MP4"), "mp4".into()));
    let seen = fake.seen().pop().unwrap();
    assert_eq!(seen.host, "https://internal-api.example");
    assert_eq!(seen.line, "GET /space/obj/x/?authcode=h0shP0wer&a=1");
    assert_eq!(seen.header("authorization"), None);

    // The same link again, which ignores the range and tells no name.
    fake.push(bytes_reply("mp4!").header("content-type", "audio/mpeg; x=1"));
    let body = media.download(Some(2..4)).await.unwrap().unwrap();
    assert_eq!((body.offset, body.media_extension()), (0, "mp3".into()));
    assert_eq!(fake.calls().len(), 3);

    // A link that is refused is got again once; right after that it is an error.
    for status in [200, 401, 403, 404, 410] {
        let no = json!({"code": 7, "msg": format!("see {url}")});
        fake.push(json_reply(no.clone()).status(status));
        fake.push(data(json!({"download_url": url})));
        fake.push(json_reply(no).status(status));
        let error = media.download(None).await.err().unwrap();
        assert!(error.is_stale_link(), "{status}: {error:?}");
        assert!(!error.message.contains("h0shP0wer"), "{error}");
        assert_eq!(fake.left(), 0, "{status}");
    }
    // What failed on the way says nothing of the link.
    fake.push(json_reply(json!({})).status(503));
    fake.push(bytes_reply("mp4!"));
    assert!(media.download(None).await.unwrap().is_some());
}

#[test]
fn the_extension_comes_from_the_name_or_the_type() {
    let cases = [
        (Some("a.b.M4A"), Some("video/mp4"), "m4a"),
        (Some("no extension"), Some("video/mp4"), "mp4"),
        (Some("a.m p4"), Some("audio/x-m4a"), "m4a"),
        (Some("version 1.20260101"), Some("audio/ogg"), "ogg"),
        (None, Some("application/octet-stream"), "media"),
        (None, None, "media"),
    ];
    for (name, ty, want) in cases {
        let body = Body {
            offset: 0,
            total: None,
            etag: None,
            content_type: ty.map(str::to_owned),
            file_name: name.map(str::to_owned),
            stream: Box::pin(futures_util::stream::empty()),
        };
        assert_eq!(body.media_extension(), want, "{name:?} {ty:?}");
    }
}

#[test]
fn the_token_is_read_from_a_link() {
    let cases = [
        ("https://meetings.feishu.cn/minutes/obcnq3b9jl72l83w4f149w9c", Some(TOKEN)),
        ("https://x.feishu.cn/minutes/obcnq3b9jl72l83w4f149w9c/?from=a#b", Some(TOKEN)),
        ("https://x.feishu.cn/minutes/home", None),
        ("https://x.feishu.cn/docx/obcnq3b9jl72l83w4f149w9c", None),
        ("https://x.feishu.cn/", None),
        ("obcnq3b9jl72l83w4f149w9c", None),
    ];
    for (url, want) in cases {
        assert_eq!(minute_token(url).as_deref(), want, "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_meetings_recording_is_there_or_not_or_not_yet() {
    let fake = Fake::user();
    let client = fake.client();
    let url = format!("https://meetings.feishu.cn/minutes/{TOKEN}");
    fake.push(data(json!({"recording": {"url": url, "duration": "30000"}})));
    let recording = client.get_recording("69").await.unwrap().unwrap();
    assert_eq!((recording.minute.as_deref(), recording.duration_ms), (Some(TOKEN), Some(30_000)));
    fake.push(data(json!({"recording": {"url": "https://x/play/1"}})));
    let recording = client.get_recording("69").await.unwrap().unwrap();
    assert_eq!((recording.minute, recording.url.as_str()), (None, "https://x/play/1"));
    for nothing in [json!({}), json!({"recording": null}), json!({"recording": {"url": ""}})] {
        fake.push(data(nothing));
        assert!(client.get_recording("69").await.unwrap().is_none());
    }
    fake.push(refused(404, 121_004));
    assert!(client.get_recording("69").await.unwrap().is_none());
    assert_eq!(fake.calls()[0], "GET /open-apis/vc/v1/meetings/69/recording");

    fake.push(data(
        json!({"meeting": {"id": 69, "topic": "T", "start_time": "17", "end_time": "0",
        "host_user": {"id": "ou_a", "user_type": 1}, "status": "2"}}),
    ));
    let meeting = client.get_meeting("69").await.unwrap();
    assert_eq!((meeting.id.as_str(), meeting.host.as_deref()), ("69", Some("ou_a")));
    assert_eq!((meeting.start_secs, meeting.end_secs, meeting.status), (Some(17), None, Some(2)));
}
