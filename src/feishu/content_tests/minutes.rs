//! Recordings: which there are, what is in them, and when it can be had.

use std::ops::Range;

use super::*;
use crate::sim::Minute as Handle;

const OCTOBER: i64 = 1_790_812_800;
const DAY: i64 = 86_400;
const MEDIA: &str = "/minutes/v1/minutes/:token/media";
const SEARCH: &str = "/minutes/v1/minutes/search";
const LINK: &str = "/sim/minutes/:signature";

fn all() -> MinuteFilter {
    MinuteFilter::default()
}

fn text() -> TranscriptForm {
    TranscriptForm::Text { speakers: true, times: true }
}

/// A client that acts for a user, who is added.
fn somebody(tenant: &Tenant, name: &str) -> Client {
    tenant.add_user(name, &format!("u-{name}"));
    client_as(tenant, Credentials::User(format!("u-{name}").into()))
}

async fn listed(client: &Client, window: Range<i64>) -> Vec<String> {
    let found = client.list_minutes(window, &all()).await.unwrap();
    found.items.into_iter().map(|minute| minute.token).collect()
}

fn tokens(handles: &[&Handle]) -> Vec<String> {
    handles.iter().map(|minute| minute.token()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_search_finds_what_the_user_owns_or_attended() {
    let tenant = tenant();
    let bob = somebody(&tenant, "bob");
    let demo = client(&tenant);
    let own = tenant.minute("Weekly 周会", "demo").made_at(OCTOBER).attended_by("bob");
    let bobs = tenant.minute("Review", "bob").made_at(OCTOBER + DAY).attended_by("demo");
    let secret = tenant.minute("1:1", "bob").made_at(OCTOBER + DAY);
    let old = tenant.minute("Old", "demo").made_at(OCTOBER - 40 * DAY);
    let lost = tenant.minute("Lost", "demo").made_at(OCTOBER);
    let gone = tenant.minute("Gone", "demo").made_at(OCTOBER);
    lost.forbid();
    gone.delete();

    let month = OCTOBER..OCTOBER + 30 * DAY;
    assert_eq!(listed(&demo, month.clone()).await, tokens(&[&bobs, &own]), "the newest first");
    assert_eq!(listed(&demo, OCTOBER - 60 * DAY..OCTOBER - DAY).await, tokens(&[&old]));
    assert_eq!(listed(&bob, month.clone()).await, tokens(&[&bobs, &secret, &own]));
    bobs.forbid_for("demo");
    assert_eq!(listed(&demo, month.clone()).await, tokens(&[&own]));
    let filter = MinuteFilter { owners: vec![tenant.open_id("bob")], ..all() };
    assert_eq!(bob.list_minutes(month.clone(), &filter).await.unwrap().items.len(), 2);
    let filter = MinuteFilter { text: "周会".to_owned(), ..all() };
    let found = bob.list_minutes(month.clone(), &filter).await.unwrap().items;
    assert_eq!(found[0].token, own.token());
    assert_eq!(minute_token(found[0].url.as_deref().unwrap()), Some(own.token()));

    // Only a user's token may search.
    let app_secret = crate::sim::APP_SECRET.into();
    let app = Credentials::App { app_id: crate::sim::APP_ID.to_owned(), app_secret };
    let error = client_as(&tenant, app).list_minutes(month, &all()).await.unwrap_err();
    assert_eq!(error.class, Class::Login);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_is_cut_is_asked_for_in_parts() {
    let tenant = tenant();
    let client = client(&tenant);
    let mut made: Vec<String> = Vec::new();
    for number in 0..95 {
        made.push(tenant.minute("Daily", "demo").made_at(OCTOBER + number * 8 * 3600).token());
    }
    made.sort();
    let month = OCTOBER..OCTOBER + 32 * DAY;
    let mut found = listed(&client, month.clone()).await;
    assert_eq!(tenant.calls("POST", SEARCH), 4, "thirty a page");
    found.sort();
    assert_eq!(found, made);

    tenant.search_depth(30).forget_calls();
    let mut found = listed(&client, month).await;
    found.sort();
    assert_eq!(found, made, "each one once");
    let calls = tenant.calls("POST", SEARCH);
    assert!((4..20).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_minute_is_described_at_once_and_its_parts_come_later() {
    let tenant = tenant();
    let client = client(&tenant);
    let now = tenant.clock().now_secs();
    let minute = tenant
        .minute("Weekly 周会", "demo")
        .made_at(now)
        .lasting(90_000)
        .media("mp4 bytes", "video/mp4")
        .transcript(&[("Ann", 1500, "Hello"), ("Bob", 62_000, "你好")])
        .summary("Greetings")
        .chapter("One", 0, 60_000, "c")
        .todo("Call", &["Ann"])
        .processing_until(now + 3600);
    let token = minute.token();
    let about = client.get_minute(&token).await.unwrap();
    assert_eq!((about.title.as_str(), about.duration_ms), ("Weekly 周会", Some(90_000)));
    assert_eq!((about.created_ms, about.owner), (Some(now * 1000), Some(tenant.open_id("demo"))));
    assert_eq!(minute_token(&about.url.unwrap()), Some(token.clone()));

    tenant.forget_calls();
    let media = client.minute_media(&token);
    let errors = [
        media.download(None).await.err().unwrap(),
        client.get_minute_transcript(&token, text()).await.err().unwrap(),
        client.get_minute_artifacts(&token).await.err().unwrap(),
    ];
    assert!(errors.iter().all(|error| error.is_processing() && error.class == Class::Transient));
    assert!(errors.iter().all(|error| error.to_failure().retryable));
    assert_eq!(tenant.total_calls(), 3, "not asked for again in this run");

    tokio::time::sleep(Duration::from_secs(3600)).await;
    let body = media.download(None).await.unwrap().unwrap();
    assert_eq!((body.total, body.content_type.as_deref()), (Some(9), Some("video/mp4")));
    assert_eq!(body.file_name.as_deref(), Some("Weekly 周会.mp4"));
    assert_eq!(bytes(body).await, b"mp4 bytes");
    let said = client.get_minute_transcript(&token, text()).await.unwrap().unwrap();
    assert_eq!(said, "Ann 00:00:01.500\nHello\n\nBob 00:01:02.000\n你好\n\n".as_bytes());
    let plain = TranscriptForm::Text { speakers: false, times: false };
    let said = client.get_minute_transcript(&token, plain).await.unwrap().unwrap();
    assert_eq!(said, "Hello\n\n你好\n\n".as_bytes());
    let subtitles = TranscriptForm::Subtitles { speakers: true };
    let said = client.get_minute_transcript(&token, subtitles).await.unwrap().unwrap();
    assert!(said.starts_with(b"1\n00:00:01,500 --> 00:01:02,000\nAnn: Hello\n\n2\n"));
    let made = client.get_minute_artifacts(&token).await.unwrap().unwrap();
    assert_eq!((made.summary.as_deref(), made.chapters.len()), (Some("Greetings"), 1));
    assert_eq!(
        (made.chapters[0].stop_ms, &made.todos[0].assignees[0]),
        (Some(60_000), &"Ann".into())
    );

    // Nothing but its own words and title tells that it was edited.
    minute.rename("Kick-off").respeak(&[("Ann", 1500, "Hello!")]);
    assert_eq!(client.get_minute(&token).await.unwrap().title, "Kick-off");
    let said = client.get_minute_transcript(&token, plain).await.unwrap().unwrap();
    assert_eq!(said, "Hello!\n\n".as_bytes());
}

#[tokio::test(start_paused = true)]
async fn deleted_forbidden_and_empty_are_told_apart() {
    let tenant = tenant();
    let bob = somebody(&tenant, "bob");
    let demo = client(&tenant);
    let minute = tenant.minute("1:1", "demo").media("x", "audio/mpeg");
    let token = minute.token();
    for error in [
        bob.get_minute(&token).await.err().unwrap(),
        bob.minute_media(&token).download(None).await.err().unwrap(),
        bob.get_minute_transcript(&token, text()).await.err().unwrap(),
    ] {
        assert_eq!((error.class, error.is_processing()), (Class::Forbidden, false));
        assert!(error.hint.unwrap().contains("share"));
    }
    // No words, no picture: the minute is there all the same.
    assert!(demo.get_minute_transcript(&token, text()).await.unwrap().is_none());
    assert!(demo.get_minute_artifacts(&token).await.unwrap().is_none());
    let bare = tenant.minute("Bare", "demo").token();
    assert!(demo.minute_media(&bare).download(None).await.unwrap().is_none());

    // Who may read may not always export.
    let shared = tenant.minute("Shared", "demo").attended_by("bob");
    let shared = shared.transcript(&[("Ann", 0, "Hi")]);
    shared.keep_transcript();
    assert!(bob.get_minute(&shared.token()).await.is_ok());
    let error = bob.get_minute_transcript(&shared.token(), text()).await.err().unwrap();
    assert_eq!(error.class, Class::Forbidden);
    assert!(demo.get_minute_transcript(&shared.token(), text()).await.unwrap().is_some());

    minute.delete();
    let error = demo.get_minute(&token).await.err().unwrap();
    assert_eq!((error.class, error.code), (Class::Gone, Some(2_091_004)));
    let error = demo.get_minute_transcript("obcnNothing", text()).await.err().unwrap();
    assert_eq!((error.class, error.code), (Class::Gone, Some(2_091_002)));
}

/// A day passes in the middle of a download: it goes on with another link.
#[tokio::test(start_paused = true)]
async fn a_link_that_expires_on_the_way_is_got_again() {
    let tenant = tenant();
    let client = client(&tenant);
    let size = 3 << 20;
    let minute = tenant.minute("Long", "demo").media_sized(size, "video/mp4");
    let media = client.minute_media(&minute.token());
    let want = bytes(media.download(None).await.unwrap().unwrap()).await;
    tenant.forget_calls();
    tenant.fault(Fault::new("GET", LINK, Effect::CutAfter(1 << 20)).times(1));
    let mut got = Vec::new();
    let mut body = media.download(None).await.unwrap().unwrap();
    assert_eq!(body.total, Some(size));
    while let Some(piece) = body.stream.next().await {
        let Ok(piece) = piece else { break };
        got.extend_from_slice(&piece);
    }
    let held = got.len() as u64;
    assert!((1..size).contains(&held), "{held}");
    tokio::time::sleep(Duration::from_secs(86_401)).await;
    let body = media.download(Some(held..size)).await.unwrap().unwrap();
    assert_eq!((body.offset, body.total), (held, Some(size)));
    got.extend(bytes(body).await);
    assert!(got == want);
    assert_eq!((tenant.calls("GET", MEDIA), tenant.calls("GET", LINK)), (1, 3));
    // Ranges at the same time share the link.
    tenant.forget_calls();
    let parts = [0..9, 9..99, 99..100].map(|range| media.download(Some(range)));
    for part in futures_util::future::join_all(parts).await {
        assert!(part.unwrap().is_some());
    }
    assert_eq!((tenant.calls("GET", MEDIA), tenant.calls("GET", LINK)), (0, 3));

    // Deleted meanwhile: the new link is refused for what it is.
    minute.delete();
    let error = media.download(Some(0..9)).await.err().unwrap();
    assert_eq!((error.class, error.code), (Class::Gone, Some(2_091_004)));
}

/// Hours of video go by in small pieces, from any place; a host may not know ranges.
#[tokio::test(start_paused = true)]
async fn a_large_recording_is_read_in_ranges() {
    let tenant = tenant();
    let client = client(&tenant);
    let size = 40 << 30;
    let minute = tenant.minute("All hands", "demo").media_sized(size, "video/mp4");
    let media = client.minute_media(&minute.token());
    let body = media.download(Some(size - 10..size)).await.unwrap().unwrap();
    assert_eq!((body.offset, body.total), (size - 10, Some(size)));
    let tail = bytes(body).await;
    let mut body = media.download(Some(size - (1 << 20)..size)).await.unwrap().unwrap();
    let (mut length, mut last) = (0, Vec::new());
    while let Some(piece) = body.stream.next().await {
        let piece = piece.unwrap();
        assert!(piece.len() <= 65_536);
        length += piece.len();
        last = piece.to_vec();
    }
    assert_eq!((length, &last[last.len() - 10..]), (1 << 20, tail.as_slice()));
    tenant.minute_ranges(false);
    let body = media.download(Some(size - 10..size)).await.unwrap().unwrap();
    assert_eq!((body.offset, body.total), (0, Some(size)));
}

#[tokio::test(start_paused = true)]
async fn a_meeting_leads_to_its_minute() {
    let tenant = tenant();
    let bob = somebody(&tenant, "bob");
    let demo = client(&tenant);
    let now = tenant.clock().now_secs();
    let minute = tenant.minute("Weekly", "bob").lasting(5000);
    let recorded = tenant.meeting("Weekly", "demo").began_at(now - 7200).attended_by("bob");
    let recorded = recorded.recorded_as(&minute).recording_ready_at(now + 600);
    let silent = tenant.meeting("Chat", "demo").began_at(now - DAY);
    let old = tenant.meeting("Old", "demo").began_at(now - 100 * DAY);

    let window = now - 2 * DAY..now;
    let found = demo.list_meetings(window.clone(), &MeetingFilter::default()).await.unwrap();
    let ids: Vec<String> = found.items.into_iter().map(|meeting| meeting.id).collect();
    assert_eq!(ids, [recorded.id(), silent.id()]);
    let filter = MeetingFilter { organizers: vec![tenant.open_id("bob")], ..Default::default() };
    assert!(bob.list_meetings(window, &filter).await.unwrap().items.is_empty());

    assert!(demo.get_recording(&silent.id()).await.unwrap().is_none());
    assert!(demo.get_recording(&recorded.id()).await.err().unwrap().is_processing());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let recording = demo.get_recording(&recorded.id()).await.unwrap().unwrap();
    assert_eq!((recording.minute, recording.duration_ms), (Some(minute.token()), Some(5000)));
    let error = bob.get_recording(&recorded.id()).await.err().unwrap();
    assert_eq!(error.class, Class::Forbidden, "the meeting is not bob's");

    let about = bob.get_meeting(&recorded.id()).await.unwrap();
    assert_eq!((about.topic.as_str(), about.start_secs), ("Weekly", Some(now - 7200)));
    assert_eq!(demo.get_meeting(&old.id()).await.err().unwrap().class, Class::Gone);
}

/// A search for meetings shows 150 results and keeps the rest to itself.
#[tokio::test(start_paused = true)]
async fn meetings_beyond_the_150th_are_found() {
    let tenant = tenant();
    let client = client(&tenant);
    let mut made: Vec<String> = Vec::new();
    for number in 0..400 {
        made.push(tenant.meeting("Daily", "demo").began_at(OCTOBER + number * 3600).id());
    }
    let window = OCTOBER..OCTOBER + 17 * DAY;
    let found = client.list_meetings(window, &MeetingFilter::default()).await.unwrap();
    let mut found: Vec<String> = found.items.into_iter().map(|meeting| meeting.id).collect();
    found.sort();
    made.sort();
    assert_eq!(found, made);
}

/// Everything of two hundred recordings, as fast as the quotas let it through.
#[tokio::test(start_paused = true)]
async fn two_hundred_recordings_keep_to_the_quotas() {
    let tenant = tenant();
    let client = client(&tenant);
    for number in 0..200 {
        let minute = tenant.minute("Daily", "demo").made_at(OCTOBER + number * 600);
        let minute = minute.media(vec![b'x'; 2000], "audio/mpeg").summary("S");
        let minute = minute.transcript(&[("Ann", 0, "Hi")]);
        tenant.meeting("Daily", "demo").began_at(OCTOBER + number * 600).recorded_as(&minute);
    }
    let begun = Instant::now();
    let window = OCTOBER..OCTOBER + 2 * DAY;
    let meetings = client.list_meetings(window.clone(), &MeetingFilter::default()).await.unwrap();
    let of_meeting = meetings.items.iter().map(async |meeting| {
        let recording = client.get_recording(&meeting.id).await.unwrap().unwrap();
        recording.minute.unwrap()
    });
    let of_meetings = futures_util::future::join_all(of_meeting).await;
    let found = listed(&client, window).await;
    assert_eq!(found.len(), 200);
    assert!(of_meetings == found, "two ways to the same recordings");
    let one = async |token: &String| {
        client.get_minute(token).await.unwrap();
        let body = client.minute_media(token).download(None).await.unwrap().unwrap();
        assert_eq!(bytes(body).await.len(), 2000);
        for form in [text(), TranscriptForm::Subtitles { speakers: true }] {
            assert!(client.get_minute_transcript(token, form).await.unwrap().is_some());
        }
        assert!(client.get_minute_artifacts(token).await.unwrap().is_some());
    };
    futures_util::future::join_all(found.iter().map(one)).await;
    assert_eq!(tenant.rate_limited(), 0);
    assert_eq!((tenant.calls("GET", MEDIA), tenant.calls("GET", LINK)), (200, 200));
    assert_eq!(tenant.calls("GET", "/minutes/v1/minutes/:token/transcript"), 400);
    assert_eq!(tenant.calls("POST", SEARCH), 7);
    let secs = begun.elapsed().as_secs_f64();
    assert!(secs < 130.0, "{secs} s: the transcripts, five a second, are what takes longest");
}
