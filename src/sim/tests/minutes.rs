//! Recordings and meetings: who may call what, and what the replies look like.

use super::*;

async fn search(tenant: &Tenant, token: &str, query: &str, filter: Value) -> Got {
    let path = format!("/minutes/v1/minutes/search?{query}");
    post_as(tenant, token, &path, json!({"query": "", "filter": filter})).await
}

fn since(secs: i64) -> Value {
    let text = |secs| Timestamp::from_second(secs).unwrap().to_string();
    json!({"create_time": {"start_time": text(secs), "end_time": text(NOW)}})
}

#[tokio::test(start_paused = true)]
async fn searches_are_for_users_and_the_rest_for_both() {
    let tenant = quiet();
    let minute = tenant.minute("Weekly", "demo").media("x", "video/mp4");
    let meeting = tenant.meeting("Weekly", "demo").recorded_as(&minute);
    let app = app_token(&tenant).await;
    let found = search(&tenant, &app, "", since(NOW - 90_000)).await;
    assert_eq!(found.code(), 99_991_663);
    let window = json!({"query": "w", "meeting_filter": {}});
    assert_eq!(post_as(&tenant, &app, "/vc/v1/meetings/search", window).await.code(), 99_991_663);
    let base = format!("/minutes/v1/minutes/{}", minute.token());
    let parts = ["", "/media", "/transcript", "/artifacts"];
    for part in parts {
        for token in [USER_TOKEN, &app] {
            assert_eq!(
                get_as(&tenant, token, &format!("{base}{part}")).await.status,
                200,
                "{part}"
            );
        }
    }
    let recording = format!("/vc/v1/meetings/{}/recording", meeting.id());
    let got = get_as(&tenant, &app, &recording).await.json();
    let url = format!("https://meetings.feishu.cn/minutes/{}", minute.token());
    assert_eq!(got["data"]["recording"], json!({"url": url, "duration": "3600000"}));

    // An app sees what was shared with it.
    tenant.app_sees_everything(false);
    assert_eq!(get_as(&tenant, &app, &base).await.code(), 2_091_005);
    // Each part has its scope.
    tenant.enable_scopes(&["minutes:minutes:readonly"]).publish();
    let missing = parts.map(|part| format!("{base}{part}"));
    assert_eq!(get(&tenant, &missing[0]).await.code(), 0);
    for (path, scope) in
        missing[1..].iter().zip(["media:export", "transcript:export", "artifacts:read"])
    {
        let got = get(&tenant, path).await;
        let subject = got.json()["error"]["permission_violations"][0]["subject"].clone();
        assert_eq!((got.code(), subject), (99_991_672, json!(format!("minutes:minutes.{scope}"))));
    }
    let no = search(&tenant, USER_TOKEN, "", since(NOW - 90_000)).await;
    assert_eq!(no.code(), 99_991_672);
}

#[tokio::test(start_paused = true)]
async fn a_search_has_pages_and_an_end() {
    let tenant = quiet();
    for number in 0..40 {
        tenant.minute(&format!("Nr. {number}"), "demo").made_at(NOW - 1000 + number);
    }
    let filter = since(NOW - 2000);
    let first = search(&tenant, USER_TOKEN, "", filter.clone()).await.json()["data"].clone();
    assert_eq!((first["items"].as_array().unwrap().len(), &first["total"]), (15, &json!(40)));
    assert_eq!(first["items"][0]["display_info"], "<h>Nr. 39</h>");
    let next = first["page_token"].as_str().unwrap();
    let query = format!("page_size=30&page_token={next}");
    let second = search(&tenant, USER_TOKEN, &query, filter.clone()).await.json();
    assert_eq!(second["data"]["items"].as_array().unwrap().len(), 25);
    assert_eq!(
        (&second["data"]["has_more"], &second["data"]["page_token"]),
        (&json!(false), &json!(""))
    );
    // A page token is good for its own search only.
    let other = search(&tenant, USER_TOKEN, &query, since(NOW - 1000)).await;
    assert_eq!(other.code(), 2_094_001);
    tenant.search_depth(15);
    assert_eq!(search(&tenant, USER_TOKEN, &query, filter).await.code(), 2_094_007);

    let owners: Vec<String> = (0..101).map(|n| format!("ou_{n}")).collect();
    let day = json!({"start_time": "2026-01-01", "end_time": "2026-01-02"});
    let backwards =
        json!({"start_time": "2026-01-02T00:00:00+08:00", "end_time": "2026-01-01T00:00:00Z"});
    for filter in [
        json!({}),
        json!({"owner_ids": owners}),
        json!({"create_time": day}),
        json!({"create_time": backwards}),
    ] {
        assert_eq!(
            search(&tenant, USER_TOKEN, "", filter.clone()).await.code(),
            2_094_001,
            "{filter}"
        );
    }
    let zone = json!({"create_time": {"start_time": "2026-09-21T21:50:00+08:00",
        "end_time": "2026-09-21T22:13:20+08:00"}});
    let found = search(&tenant, USER_TOKEN, "page_size=30", zone).await.json();
    assert_eq!(found["data"]["total"], 40, "{found}");
    assert_eq!(search(&tenant, USER_TOKEN, "page_size=31", json!({})).await.code(), 2_094_001);
}

#[tokio::test(start_paused = true)]
async fn official_quotas_hold_for_recordings() {
    let tenant = Tenant::new(clock());
    let minute = tenant.minute("Weekly", "demo").media("x", "video/mp4").token();
    let meeting = tenant.meeting("Weekly", "demo").id();
    let cases = [
        (format!("/minutes/v1/minutes/{minute}"), 5, 1),
        (format!("/minutes/v1/minutes/{minute}/media"), 5, 1),
        (format!("/minutes/v1/minutes/{minute}/transcript"), 5, 1),
        (format!("/minutes/v1/minutes/{minute}/artifacts"), 5, 1),
        (format!("/vc/v1/meetings/{meeting}"), 50, 1),
        (format!("/vc/v1/meetings/{meeting}/recording"), 50, 1),
    ];
    for (path, limit, reset) in cases {
        for _ in 0..limit {
            assert_ne!(get(&tenant, &path).await.status, 429, "{path}");
        }
        let got = get(&tenant, &path).await;
        assert_eq!((got.status, got.code()), (429, 99_991_400), "{path}");
        assert_eq!(got.header("x-ogw-ratelimit-reset"), reset.to_string(), "{path}");
    }
    for _ in 0..100 {
        assert_eq!(search(&tenant, USER_TOKEN, "", since(NOW - 9)).await.status, 200);
    }
    assert_eq!(search(&tenant, USER_TOKEN, "", since(NOW - 9)).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_link_is_good_for_a_day_and_for_nobodys_token() {
    let tenant = quiet();
    let minute = tenant.minute("Weekly 周会", "demo").media("0123456789", "audio/mpeg");
    let path = format!("/minutes/v1/minutes/{}/media", minute.token());
    let link = get(&tenant, &path).await.json()["data"]["download_url"].clone();
    let link = link.as_str().unwrap().strip_prefix("http://sim").unwrap().to_owned();
    let fetch = async |range: &str, token: &str| {
        let mut request = Request::get(format!("http://sim{link}")).header("range", range);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        send(&tenant, request.body(Bytes::new()).unwrap()).await.unwrap()
    };
    let part = fetch("bytes=2-4", "").await;
    assert_eq!((part.status, part.bytes()), (206, b"234".as_slice()));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(part.header("content-type"), "audio/mpeg");
    assert!(part.header("content-disposition").ends_with("%E5%91%A8%E4%BC%9A.mp3"));
    assert_eq!(fetch("bytes=10-", "").await.status, 416);
    assert_eq!(fetch("bytes=2-4", USER_TOKEN).await.status, 400, "it has leaked");
    tenant.minute_ranges(false);
    assert_eq!(fetch("bytes=2-4", "").await.bytes(), b"0123456789");
    tokio::time::sleep(Duration::from_secs(86_399)).await;
    assert_eq!(fetch("bytes=0-", "").await.status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fetch("bytes=0-", "").await.status, 403);
}
