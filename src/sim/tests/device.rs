//! The device flow, and the registration of an app, which goes the same way.

use super::oauth::basic;
use super::*;

const BEGIN: &str = "/oauth/v1/device_authorization";
const REGISTRATION: &str = "/oauth/v1/app/registration";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn begin(tenant: &Tenant, scope: &str) -> Got {
    let fields = [("client_id", APP_ID), ("scope", scope)];
    form_with(tenant, BEGIN, &fields, &[("authorization", &basic(APP_ID, APP_SECRET))]).await
}

async fn poll(tenant: &Tenant, device_code: &str) -> Got {
    ask_token(tenant, &[("grant_type", GRANT), ("device_code", device_code)]).await
}

/// What a poll says: status and word, `code` never being there.
async fn word(tenant: &Tenant, device_code: &str) -> String {
    let got = poll(tenant, device_code).await;
    if got.status != 200 {
        assert_eq!((got.status, &got.json()["code"]), (400, &Value::Null));
        assert!(!got.field("error_description").is_empty());
    }
    got.field("error")
}

async fn wait(secs: u64) {
    tokio::time::sleep(Duration::from_secs(secs)).await;
}

#[tokio::test(start_paused = true)]
async fn a_person_agrees_while_the_client_polls() {
    let tenant = quiet();
    let got = begin(&tenant, "drive:drive:readonly offline_access").await;
    let reply = got.json();
    assert_eq!(got.status, 200);
    let names: Vec<&str> = reply.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = [
        "device_code",
        "expires_in",
        "interval",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
    ];
    assert_eq!(names, wanted, "no code, no data");
    assert_eq!((&reply["expires_in"], &reply["interval"]), (&json!(240), &json!(5)));
    let (device, user_code) = (got.field("device_code"), got.field("user_code"));
    assert!(device.contains(CANARY), "{device}");
    assert!(user_code.len() == 9 && user_code.as_bytes()[4] == b'-', "{user_code}");
    let page = "http://sim/oauth/v1/device/verify";
    assert_eq!(got.field("verification_uri"), page);
    assert_eq!(got.field("verification_uri_complete"), format!("{page}?user_code={user_code}"));

    assert_eq!(word(&tenant, &device).await, "authorization_pending");
    wait(5).await;
    assert_eq!(word(&tenant, &device).await, "authorization_pending");

    let path = "/oauth/v1/device/verify";
    assert!(visit(&tenant, path).await.text().contains("id=\"user-code\""));
    let wrong = visit(&tenant, &format!("{path}?user_code=%3Cb%3E")).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("&lt;b&gt;"), "{}", wrong.text());
    let typed = user_code.to_lowercase().replace('-', "");
    let shown = visit(&tenant, &format!("{path}?user_code={typed}")).await;
    for text in [&user_code, "drive:drive:readonly", "id=\"user-0\"", "id=\"allow\"", "id=\"deny\""]
    {
        assert!(shown.text().contains(text), "{text}");
    }
    let login = tenant.log_in("demo");
    let yes = [("user_code", user_code.as_str()), ("user", &login.open_id), ("decision", "allow")];
    let done = form(&tenant, path, &yes).await;
    assert!(done.status == 200 && done.text().contains("授权成功"), "{}", done.text());
    assert_eq!(form(&tenant, path, &yes).await.status, 400, "an answer is given once");

    wait(5).await;
    let got = poll(&tenant, &device).await;
    assert_eq!((got.status, got.code()), (200, 0));
    assert!(got.field("access_token").starts_with("eyJ"));
    assert!(!got.field("refresh_token").is_empty());
    let token = got.field("access_token");
    assert_eq!(get_as(&tenant, &token, "/drive/v1/files").await.code(), 0);
    assert_eq!(word(&tenant, &device).await, "invalid_grant", "a code is good once");
}

#[tokio::test(start_paused = true)]
async fn clients_in_a_hurry_are_slowed_down() {
    let tenant = quiet();
    let got = begin(&tenant, "offline_access").await;
    let device = got.field("device_code");
    assert_eq!(word(&tenant, &device).await, "authorization_pending");
    wait(4).await;
    assert_eq!(word(&tenant, &device).await, "slow_down");
    wait(9).await;
    assert_eq!(word(&tenant, &device).await, "slow_down", "10 s by now");
    tenant.approve(&got.field("user_code"), "demo");
    wait(14).await;
    assert_eq!(word(&tenant, &device).await, "slow_down", "15 s, and a decision changes nothing");
    wait(20).await;
    assert_eq!(poll(&tenant, &device).await.code(), 0);

    tenant.device_interval(1);
    let got = begin(&tenant, "offline_access").await;
    assert_eq!(got.json()["interval"], 1);
    let device = got.field("device_code");
    assert_eq!(word(&tenant, &device).await, "authorization_pending");
    wait(1).await;
    assert_eq!(word(&tenant, &device).await, "authorization_pending");
}

#[tokio::test(start_paused = true)]
async fn a_device_code_ends_with_a_no_or_with_time() {
    let tenant = quiet();
    let got = begin(&tenant, "offline_access").await;
    tenant.deny(&got.field("user_code"));
    assert_eq!(word(&tenant, &got.field("device_code")).await, "access_denied");
    assert_eq!(word(&tenant, &got.field("device_code")).await, "access_denied");

    let got = begin(&tenant, "offline_access").await;
    tenant.jump(Duration::from_secs(240));
    assert_eq!(word(&tenant, &got.field("device_code")).await, "expired_token");
    let page = got.field("verification_uri_complete").replace("http://sim", "");
    let page = visit(&tenant, &page).await;
    assert!(page.status == 400 && page.text().contains("expired"), "{}", page.text());
    assert_eq!(word(&tenant, "dunno").await, "invalid_grant");

    let other = format!("other-{CANARY}");
    tenant.add_app("cli_other", &other);
    let got = begin(&tenant, "offline_access").await;
    let code = got.field("device_code");
    let theirs = [
        ("grant_type", GRANT),
        ("device_code", code.as_str()),
        ("client_id", "cli_other"),
        ("client_secret", &other),
    ];
    assert_eq!(ask_token(&tenant, &theirs).await.field("error"), "invalid_grant");
    let fields = [("grant_type", GRANT), ("device_code", code.as_str())];
    let basic = basic(APP_ID, APP_SECRET);
    let both = [&fields[..], &[("client_id", APP_ID), ("client_secret", APP_SECRET)]].concat();
    let got = form_with(&tenant, TOKEN, &both, &[("authorization", &basic)]).await;
    assert_eq!(got.code(), 20_070);
}

#[tokio::test(start_paused = true)]
async fn the_first_step_wants_the_apps_credentials_in_a_header() {
    let tenant = quiet();
    let fields = [("client_id", APP_ID), ("scope", "offline_access")];
    let ask = async |fields: &[(&str, &str)], header: &str| {
        form_with(&tenant, BEGIN, fields, &[("authorization", header)]).await
    };
    let bare = form(&tenant, BEGIN, &fields).await;
    assert_eq!((bare.status, bare.field("error").as_str()), (401, "invalid_client"));
    for header in [basic(APP_ID, "wrong"), "Basic %%%".to_owned(), basic("cli_x", APP_SECRET)] {
        let got = ask(&fields, &header).await;
        assert_eq!((got.status, got.field("error").as_str()), (401, "invalid_client"), "{header}");
    }
    let good = basic(APP_ID, APP_SECRET);
    let both = [&fields[..], &[("client_secret", APP_SECRET)]].concat();
    assert_eq!(ask(&both, &good).await.code(), 20_070);
    assert_eq!(ask(&fields[1..], &good).await.code(), 20_001);
    let twice = [("client_id", APP_ID), ("scope", "a a")];
    assert_eq!(ask(&twice, &good).await.field("error"), "invalid_scope");
    let misplaced = format!("/open-apis{BEGIN}");
    let got = form_with(&tenant, &misplaced, &fields, &[("authorization", &good)]).await;
    assert_eq!(got.status, 404, "not below /open-apis");
}

#[tokio::test(start_paused = true)]
async fn scopes_that_cannot_be_granted_are_left_out() {
    let tenant = quiet();
    tenant.enable_scopes(&["drive:drive:readonly", "docx:document", "offline_access"]).publish();
    tenant.refuse_scopes("demo", &["docx:document"]);
    let asked = "drive:drive:readonly docx:document wiki:wiki:readonly offline_access";
    let got = begin(&tenant, asked).await;
    tenant.approve(&got.field("user_code"), "demo");
    let got = poll(&tenant, &got.field("device_code")).await;
    assert_eq!(got.field("scope"), "drive:drive:readonly offline_access");
}

#[tokio::test(start_paused = true)]
async fn a_person_out_of_range_cannot_agree() {
    let tenant = quiet();
    let got = begin(&tenant, "offline_access").await;
    let (code, open_id) = (got.field("user_code"), tenant.log_in("demo").open_id);
    tenant.user_is("demo", UserStanding::OutOfRange);
    let yes = [("user_code", code.as_str()), ("user", &open_id), ("decision", "allow")];
    let page = form(&tenant, "/oauth/v1/device/verify", &yes).await;
    assert!(page.status == 400 && page.text().contains("20010"), "{}", page.text());
    assert_eq!(word(&tenant, &got.field("device_code")).await, "authorization_pending");
}

const WISH: [(&str, &str); 4] = [
    ("action", "begin"),
    ("archetype", "PersonalAgent"),
    ("auth_method", "client_secret"),
    ("request_user_info", "open_id tenant_brand"),
];

async fn poll_app(tenant: &Tenant, host: &str, device_code: &str) -> Got {
    let body = encoded(&[("action", "poll"), ("device_code", device_code)]);
    let request = Request::post(format!("{host}{REGISTRATION}"))
        .header("content-type", "application/x-www-form-urlencoded");
    send(tenant, request.body(Bytes::from(body)).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_app_is_made_in_the_browser() {
    let tenant = quiet();
    let got = form(&tenant, REGISTRATION, &WISH).await;
    let reply = got.json();
    assert_eq!((&reply["expires_in"], &reply["interval"]), (&json!(300), &json!(5)));
    let (device, user_code) = (got.field("device_code"), got.field("user_code"));
    let feishu = "https://accounts.feishu.cn";
    assert_eq!(poll_app(&tenant, feishu, &device).await.field("error"), "authorization_pending");
    assert_eq!(poll_app(&tenant, feishu, &device).await.field("error"), "slow_down");

    let page = format!("/page/cli?user_code={user_code}");
    assert!(visit(&tenant, &page).await.text().contains("action=\"/page/cli\""));
    let open_id = tenant.log_in("demo").open_id;
    let yes = [("user_code", user_code.as_str()), ("user", &open_id), ("decision", "allow")];
    assert_eq!(form(&tenant, "/page/cli", &yes).await.status, 200);
    wait(10).await;
    let got = poll_app(&tenant, feishu, &device).await;
    let (id, secret) = (got.field("client_id"), got.field("client_secret"));
    assert!(id.starts_with("cli_") && secret.contains(CANARY), "{id}");
    let user = json!({"open_id": open_id, "tenant_brand": "feishu"});
    assert_eq!(got.json()["user_info"], user);
    assert_eq!(poll_app(&tenant, feishu, &device).await.field("error"), "invalid_grant");

    let body = json!({"app_id": id, "app_secret": secret});
    let got = post(&tenant, "/auth/v3/tenant_access_token/internal", body).await;
    assert_eq!(got.code(), 0, "the app works");

    let device = form(&tenant, REGISTRATION, &WISH).await;
    tenant.deny(&device.field("user_code"));
    let device = device.field("device_code");
    assert_eq!(poll_app(&tenant, feishu, &device).await.field("error"), "access_denied");
    let device = form(&tenant, REGISTRATION, &WISH).await.field("device_code");
    tenant.jump(Duration::from_secs(300));
    assert_eq!(poll_app(&tenant, feishu, &device).await.field("error"), "expired_token");
    let odd = [("action", "begin"), ("archetype", "Robot"), ("auth_method", "client_secret")];
    assert_eq!(form(&tenant, REGISTRATION, &odd).await.field("error"), "invalid_request");
    assert_eq!(form(&tenant, REGISTRATION, &[("action", "end")]).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_lark_tenants_secret_is_with_lark() {
    let tenant = quiet();
    tenant.registers_on_lark(true);
    let got = form(&tenant, REGISTRATION, &WISH).await;
    let device = got.field("device_code");
    tenant.approve(&got.field("user_code"), "demo");
    let got = poll_app(&tenant, "https://accounts.feishu.cn", &device).await;
    assert_eq!(got.json()["user_info"]["tenant_brand"], "lark");
    assert_eq!(got.json()["client_secret"], Value::Null);
    let got = poll_app(&tenant, "https://accounts.larksuite.com", &device).await;
    assert!(got.field("client_secret").contains(CANARY));
}
