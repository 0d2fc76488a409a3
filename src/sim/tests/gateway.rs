//! Tokens, quotas, faults, the call log, the loopback port.

use super::*;

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

    tenant.fault(Fault::new("*", "*", Effect::Delay(Duration::from_secs(90))));
    let gave_up = tokio::time::timeout(Duration::from_secs(60), get(&tenant, &path)).await;
    assert!(gave_up.is_err());
    assert_eq!(tenant.calls("GET", &path), 1, "a call that nobody waited for counts");
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
    for (effect, connect) in [(Effect::Reset, false), (Effect::Unreachable, true)] {
        tenant.fault(on_file(effect));
        let request = Request::get(format!("http://sim/open-apis{path}"))
            .header("authorization", format!("Bearer {USER_TOKEN}"));
        let error = send(&tenant, request.body(Bytes::new()).unwrap()).await.err().unwrap();
        assert_eq!(error.connect, connect);
    }
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

/// Other programs read the counts over the wire; reading them counts for nothing.
#[tokio::test(start_paused = true)]
async fn calls_are_counted_for_other_processes() {
    let tenant = Tenant::new(clock());
    for _ in 0..21 {
        get(&tenant, "/drive/v1/files").await;
    }
    get(&tenant, "/sim/calls").await;
    let counts = get(&tenant, "/sim/calls").await.json();
    assert_eq!(counts["data"]["total"], 21);
    assert_eq!(counts["data"]["rate_limited"], 1);
    assert_eq!(counts["data"]["endpoints"], json!({"GET /drive/v1/files": 21}));
    post(&tenant, "/sim/calls/forget", json!({})).await;
    assert_eq!(get(&tenant, "/sim/calls").await.json()["data"]["total"], 0);
}
