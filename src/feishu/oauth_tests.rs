//! Each call of a login as it is sent, and what its answers mean.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::feishu::fake::{CANARY, Fake, Scripted, Seen, Step, bytes_reply, json_reply};

const TOKEN_CALL: &str = "POST /open-apis/authen/v2/oauth/token";

fn app() -> AppKey {
    AppKey { id: "cli_x".to_owned(), secret: format!("secret-{CANARY}&+").into() }
}

fn secret(name: &str) -> SecretString {
    format!("{name}-{CANARY}").into()
}

fn granted() -> Value {
    json!({"code":0,"access_token":"eyJa","expires_in":7200,"refresh_token":"eyJr",
        "refresh_token_expires_in":604_800,"token_type":"Bearer","scope":"drive:drive offline_access"})
}

/// A service that echoes what it was sent, as bad ones do.
fn refusal(code: i64, sent: &[&str]) -> Scripted {
    let sent: Vec<_> = sent.iter().map(|name| format!("{name}={name}-{CANARY}")).collect();
    let said =
        format!("bad secret-{CANARY}&+ client_secret=secret-{CANARY}%26%2B {}", sent.join(";"));
    json_reply(json!({"code":code,"error":"invalid_grant","error_description":said})).status(400)
}

fn no_secret(error: &ApiError) {
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
}

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_page_where_a_person_agrees() {
    let scopes = ["drive:drive".to_owned(), "offline_access".to_owned()];
    let redirect = "http://localhost:9000/callback";
    let url = authorize_url(&Domain::feishu(), "cli_x", redirect, &scopes, "st&te", "chal");
    assert_eq!(
        url,
        "https://accounts.feishu.cn/open-apis/authen/v1/authorize?client_id=cli_x\
         &response_type=code&redirect_uri=http%3A%2F%2Flocalhost%3A9000%2Fcallback\
         &scope=drive%3Adrive%20offline_access&state=st%26te&code_challenge=chal\
         &code_challenge_method=S256"
    );
    let bare = authorize_url(&Domain::lark(), "cli_x", redirect, &[], "s", "c");
    assert!(bare.starts_with("https://accounts.larksuite.com/") && !bare.contains("scope="));
}

#[tokio::test(start_paused = true)]
async fn a_code_is_redeemed_with_json_and_without_authorization() {
    let fake = Fake::user();
    fake.push(json_reply(granted()));
    let client = fake.client();
    let (code, verifier) = (secret("code"), secret("verifier"));
    let grant = client.oauth().redeem_code(&app(), &code, "http://l/cb", &verifier).await.unwrap();
    assert_eq!(grant.access_token.expose_secret(), "eyJa");
    assert_eq!(grant.refresh_token.unwrap().expose_secret(), "eyJr");
    assert_eq!((grant.expires_in, grant.refresh_expires_in), (7200, Some(604_800)));
    assert_eq!(grant.scope, "drive:drive offline_access");
    let sent = fake.seen().pop().unwrap();
    assert_eq!((sent.host.as_str(), sent.line.as_str()), ("https://open.example", TOKEN_CALL));
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(
        sent.json(),
        json!({"grant_type":"authorization_code","client_id":"cli_x",
            "client_secret":app().secret.expose_secret(),"code":code.expose_secret(),
            "redirect_uri":"http://l/cb","code_verifier":verifier.expose_secret()})
    );
}

#[tokio::test(start_paused = true)]
async fn a_refresh_names_the_token_and_takes_what_comes() {
    let fake = Fake::nobody();
    // No code, no refresh token, numbers as text: all of it has been seen.
    fake.push(json_reply(json!({"access_token":"eyJa","expires_in":"6900","refresh_token":""})));
    let client = fake.client();
    let token = secret("rt");
    let grant = client.oauth().refresh(&app(), &token).await.unwrap();
    assert_eq!((grant.expires_in, grant.refresh_expires_in), (6900, None));
    assert!(grant.refresh_token.is_none() && grant.scope.is_empty());
    let sent = fake.seen().pop().unwrap();
    assert_eq!((sent.line.as_str(), sent.header("authorization")), (TOKEN_CALL, None));
    assert_eq!(
        sent.json(),
        json!({"grant_type":"refresh_token","client_id":"cli_x",
            "client_secret":app().secret.expose_secret(),"refresh_token":token.expose_secret()})
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_says_which_case_it_is_and_that_somebody_must_act() {
    let cases = [
        // code, words of the message, words of the hint
        (20_037, "expired", "feishu-mirror auth login"),
        (20_064, "revoked", "feishu-mirror auth login"),
        (20_073, "used already", "feishu-mirror auth login"),
        (20_026, "invalid", "feishu-mirror auth login"),
        (20_024, "another app", "feishu-mirror auth login"),
        (20_074, "may not renew", "安全设置"),
        (20_010, "may not use the app", "可用范围"),
        (20_066, "suspended", "成员与部门"),
        (20_002, "app secret is wrong", "FEISHU_APP_SECRET"),
        (20_001, "", "report"),
        (20_070, "", "report"),
    ];
    for (code, message, hint) in cases {
        let fake = Fake::nobody();
        fake.push(refusal(code, &["rt"]));
        let error = fake.client().oauth().refresh(&app(), &secret("rt")).await.unwrap_err();
        assert_eq!((error.class, error.code), (Class::Login, Some(code)), "{error}");
        assert!(error.message.contains(message), "{error}");
        let said = error.hint.as_deref().unwrap();
        assert!(said.contains(hint), "{code}: {said}");
        assert_eq!(fake.seen().len(), 1, "{code}: asked once");
        no_secret(&error);
    }
}

/// Whatever the reason: without a new token nobody can go on. What a network puts in
/// between is no answer of the service.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_nobody_knows_is_one_too() {
    let cases = [(400, 20_999, Class::Login), (404, 0, Class::Login), (302, 0, Class::Unexpected)];
    for (status, code, class) in cases {
        let fake = Fake::nobody();
        fake.push(json_reply(json!({"code":code,"msg":"no"})).status(status));
        let error = fake.client().oauth().refresh(&app(), &secret("rt")).await.unwrap_err();
        assert_eq!(error.class, class, "{status} {code}: {error}");
        assert_eq!(fake.seen().len(), 1, "asked once");
    }
}

/// Other processes wait for a renewal, so it does not wait for half an hour itself.
#[tokio::test(start_paused = true)]
async fn a_renewal_is_put_off_by_rate_limits_for_a_minute_at_most() {
    let limited = |secs: u32| {
        json_reply(json!({"code":99_991_400,"msg":"slow"}))
            .status(429)
            .header("x-ogw-ratelimit-reset", secs.to_string())
    };
    let fake = Fake::nobody();
    fake.push(limited(20));
    fake.push(json_reply(granted()));
    let client = fake.client();
    client.oauth().refresh(&app(), &secret("rt")).await.unwrap();
    let begun = tokio::time::Instant::now();
    fake.push(limited(600));
    for _ in 0..2 {
        let error = client.oauth().refresh(&app(), &secret("rt")).await.unwrap_err();
        assert_eq!(error.class, Class::Transient, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    }
    assert_eq!(fake.left(), 0, "and the second one is not sent at all");
}

#[tokio::test(start_paused = true)]
async fn absurd_times_of_a_device_flow_are_cut() {
    let fake = Fake::nobody();
    fake.push(json_reply(json!({"device_code":"d","user_code":"u","verification_uri":"http://x/",
        "expires_in":i64::MAX,"interval":i64::MAX})));
    let device = fake.client().oauth().begin_device(&app(), &[]).await.unwrap();
    assert_eq!(device.expires_in, Duration::from_secs(3600));
    assert!(device.interval <= device.expires_in);
}

#[tokio::test(start_paused = true)]
async fn a_service_in_trouble_is_asked_three_times_with_the_same_token() {
    for (code, status) in [(20_050, 500), (20_072, 503)] {
        let fake = Fake::nobody();
        let busy = || json_reply(json!({"code":code,"error":"server_error"})).status(status);
        (0..2).for_each(|_| fake.push(busy()));
        fake.push(json_reply(granted()));
        let client = fake.client();
        client.oauth().refresh(&app(), &secret("rt")).await.unwrap();
        let bodies: Vec<_> = fake.seen().iter().map(Seen::json).collect();
        assert!(bodies.len() == 3 && bodies.iter().all(|body| *body == bodies[0]));

        (0..3).for_each(|_| fake.push(busy()));
        let error = client.oauth().refresh(&app(), &secret("rt")).await.unwrap_err();
        assert_eq!(error.class, Class::Transient, "{error}");
        assert_eq!((fake.seen().len(), fake.left()), (6, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_that_fails_keeps_its_own_class_and_is_not_hidden_by_what_follows() {
    type Push = fn(&Fake);
    let cases: [(Push, Class); 4] = [
        (Fake::push_refused, Class::Unreachable),
        (Fake::push_lost, Class::Transient),
        (Fake::push_silence, Class::Transient),
        (|fake| fake.push(bytes_reply("<html>502</html>").status(502)), Class::Transient),
    ];
    for (push, class) in cases {
        let fake = Fake::nobody();
        (0..3).for_each(|_| push(&fake));
        let error = fake.client().oauth().refresh(&app(), &secret("rt")).await.unwrap_err();
        assert_eq!(error.class, class, "{error}");
        assert_eq!(fake.left(), 0);
        no_secret(&error);
    }
    let fake = Fake::nobody();
    fake.push_lost();
    fake.push(refusal(20_073, &["rt"]));
    let error = fake.client().oauth().refresh(&app(), &secret("rt")).await.unwrap_err();
    assert_eq!(error.class, Class::Login);
    assert!(error.message.contains("used already"), "{error}");
    assert!(error.message.contains("an earlier try failed") && error.message.contains("reset"));
    no_secret(&error);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_uri_that_is_not_registered_is_named_with_the_page_for_it() {
    let fake = Fake::nobody();
    fake.push(refusal(20_071, &["code", "verifier"]));
    let (code, verifier) = (secret("code"), secret("verifier"));
    let uri = "http://localhost:9123/callback";
    let error = fake.client().oauth().redeem_code(&app(), &code, uri, &verifier).await.unwrap_err();
    assert_eq!(error.class, Class::Config);
    let hint = error.hint.as_deref().unwrap();
    assert!(hint.contains(uri) && hint.contains("安全设置"), "{hint}");
    no_secret(&error);
}

#[tokio::test(start_paused = true)]
async fn failures_without_a_code_are_told_by_their_word_or_status() {
    let cases = [
        (401, json!({"error":"invalid_client"}), Class::Login),
        (400, json!({"error":"invalid_grant","error_description":"no"}), Class::Login),
        (400, json!({"error":"unauthorized_client"}), Class::Config),
        (400, json!({"error":"invalid_scope"}), Class::Config),
        (400, json!({"error":"invalid_request"}), Class::Unexpected),
        (401, json!({}), Class::Login),
        (403, json!({}), Class::Config),
        (200, json!({"error":"something_new"}), Class::Unexpected),
        (200, json!({"code":0,"msg":"fine"}), Class::Unexpected),
        // A code says more than a word.
        (400, json!({"code":20_071,"error":"invalid_grant"}), Class::Config),
    ];
    for (status, body, class) in cases {
        let fake = Fake::nobody();
        fake.push(json_reply(body.clone()).status(status));
        let code = secret("code");
        let error = fake.client().oauth().redeem_code(&app(), &code, "u", &code).await.unwrap_err();
        assert_eq!(error.class, class, "{status} {body}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_device_flow_begins_at_the_accounts_host_with_the_app_in_the_header() {
    let fake = Fake::user();
    fake.push(json_reply(json!({"device_code":"d","user_code":"AB-CD",
        "verification_uri":"https://v","verification_uri_complete":"https://v?user_code=AB-CD",
        "expires_in":180,"interval":7})));
    fake.push(json_reply(
        json!({"device_code":"d","user_code":"AB","verification_uri":"https://v"}),
    ));
    let client = fake.client();
    let scopes = ["drive:drive".to_owned(), "offline_access".to_owned()];
    let begun = client.oauth().begin_device(&app(), &scopes).await.unwrap();
    assert_eq!(begun.verification_uri, "https://v?user_code=AB-CD");
    assert_eq!((begun.expires_in.as_secs(), begun.interval.as_secs()), (180, 7));
    assert_eq!((begun.device_code.expose_secret(), begun.user_code.as_str()), ("d", "AB-CD"));
    let sent = fake.seen().pop().unwrap();
    assert_eq!(sent.line, "POST /oauth/v1/device_authorization");
    assert_eq!(sent.host, "https://accounts.example");
    let pair = BASE64.encode(format!("cli_x:{}", app().secret.expose_secret()));
    assert_eq!(sent.header("authorization"), Some(format!("Basic {pair}").as_str()));
    let want = [("client_id", "cli_x"), ("scope", "drive:drive offline_access")];
    assert_eq!(sent.form(), fields(&want));

    let sparse = client.oauth().begin_device(&app(), &scopes).await.unwrap();
    assert_eq!(sparse.verification_uri, "https://v");
    assert_eq!((sparse.expires_in.as_secs(), sparse.interval.as_secs()), (240, 5));

    // An echo of the header gives the secret away as much as the secret itself.
    fake.push(json_reply(json!({"error":"invalid_client","error_description":pair})).status(401));
    let error = client.oauth().begin_device(&app(), &scopes).await.unwrap_err();
    assert!(!error.message.contains(&pair), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_poll_sends_one_form_and_maps_every_word() {
    let said = |word: &str| json_reply(json!({"error":word,"error_description":"x"})).status(400);
    let fake = Fake::nobody();
    let client = fake.client();
    let code = secret("dev");
    fake.push(said("authorization_pending"));
    let poll = client.oauth().poll_device(&app(), &code).await.unwrap();
    assert!(matches!(poll, Poll::Pending));
    let sent = fake.seen().pop().unwrap();
    assert_eq!((sent.host.as_str(), sent.line.as_str()), ("https://open.example", TOKEN_CALL));
    assert_eq!(sent.header("authorization"), None, "20070");
    assert_eq!(
        sent.form(),
        fields(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", code.expose_secret()),
            ("client_id", "cli_x"),
            ("client_secret", app().secret.expose_secret()),
        ])
    );
    fake.push(said("slow_down"));
    assert!(matches!(client.oauth().poll_device(&app(), &code).await.unwrap(), Poll::SlowDown));
    fake.push(said("access_denied"));
    assert!(matches!(client.oauth().poll_device(&app(), &code).await.unwrap(), Poll::Denied));
    for word in ["expired_token", "invalid_grant"] {
        fake.push(said(word));
        let poll = client.oauth().poll_device(&app(), &code).await.unwrap();
        assert!(matches!(poll, Poll::Expired), "{word}");
    }
    fake.push(json_reply(json!({"access_token":"eyJa","expires_in":7200})));
    let Poll::Done(grant) = client.oauth().poll_device(&app(), &code).await.unwrap() else {
        panic!("not done")
    };
    assert_eq!(grant.access_token.expose_secret(), "eyJa");
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_fails_on_the_way_is_not_repeated_here() {
    type Push = fn(&Fake);
    let cases: [(Push, Class); 5] = [
        (Fake::push_refused, Class::Unreachable),
        (Fake::push_lost, Class::Transient),
        (|fake| fake.push(bytes_reply("<html>hi</html>")), Class::Transient),
        (|fake| fake.push(bytes_reply("gone").status(404)), Class::Transient),
        (|fake| fake.push(bytes_reply("{\"acc").then(Step::Cut)), Class::Transient),
    ];
    for (push, class) in cases {
        let fake = Fake::nobody();
        push(&fake);
        let error = fake.client().oauth().poll_device(&app(), &secret("dev")).await.unwrap_err();
        assert_eq!((error.class, fake.seen().len()), (class, 1), "{error}");
        no_secret(&error);
    }
    let fake = Fake::nobody();
    let wrong = json_reply(json!({"code":20_002,"error":"invalid_client",
        "error_description":format!("dev-{CANARY}")}));
    fake.push(wrong.status(401));
    let error = fake.client().oauth().poll_device(&app(), &secret("dev")).await.unwrap_err();
    assert_eq!(error.class, Class::Login);
    no_secret(&error);
}

#[tokio::test(start_paused = true)]
async fn any_success_revokes() {
    let fake = Fake::nobody();
    let client = fake.client();
    let token = secret("rt");
    for reply in [bytes_reply(""), bytes_reply("ok"), json_reply(json!({"code":0}))] {
        fake.push(reply);
        client.oauth().revoke(&app(), &token, TokenKind::Refresh).await.unwrap();
    }
    let sent = fake.seen().pop().unwrap();
    assert_eq!(sent.line, "POST /oauth/v1/revoke");
    assert_eq!(
        (sent.host.as_str(), sent.header("authorization")),
        ("https://accounts.example", None)
    );
    assert_eq!(
        sent.form(),
        fields(&[
            ("client_id", "cli_x"),
            ("client_secret", app().secret.expose_secret()),
            ("token", token.expose_secret()),
            ("token_type_hint", "refresh_token"),
        ])
    );
    for reply in [
        json_reply(json!({"code":20_002,"msg":format!("rt-{CANARY}")})),
        json_reply(json!({"error":"invalid_client"})).status(400),
    ] {
        fake.push(reply);
        let error = client.oauth().revoke(&app(), &token, TokenKind::Access).await.unwrap_err();
        assert_eq!(error.class, Class::Login);
        no_secret(&error);
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_is_registered_on_the_host_of_the_persons_brand() {
    let mut fake = Fake::nobody();
    fake.settings.domain = Domain::lark();
    let client = fake.client();
    fake.push(json_reply(json!({"device_code":"d","user_code":"A B","expire_in":600})));
    let begun = client.oauth().begin_registration().await.unwrap();
    assert_eq!(begun.verification_uri, "https://open.larksuite.com/page/cli?user_code=A%20B");
    assert_eq!(
        (begun.expires_in, begun.interval),
        (Duration::from_secs(600), Duration::from_secs(5))
    );
    let sent = fake.seen().pop().unwrap();
    assert_eq!(sent.host, "https://accounts.feishu.cn", "whatever the brand");
    assert_eq!(sent.line, "POST /oauth/v1/app/registration");
    assert_eq!(
        sent.form(),
        fields(&[
            ("action", "begin"),
            ("archetype", "PersonalAgent"),
            ("auth_method", "client_secret"),
            ("request_user_info", "open_id tenant_brand"),
        ])
    );

    let code = secret("dev");
    fake.push(json_reply(json!({"error":"authorization_pending"})).status(400));
    assert!(matches!(client.oauth().poll_registration(&code).await.unwrap(), Poll::Pending));
    let sent = fake.seen().pop().unwrap();
    assert_eq!(sent.form(), fields(&[("action", "poll"), ("device_code", code.expose_secret())]));
    // The brand comes first, the secret from the other host, and not at once.
    let brand = json!({"open_id":"ou_1","tenant_brand":"lark"});
    fake.push(json_reply(json!({"client_id":"cli_n","user_info":brand})));
    fake.push(json_reply(json!({"error":"authorization_pending"})).status(400));
    assert!(matches!(client.oauth().poll_registration(&code).await.unwrap(), Poll::Pending));
    fake.push(json_reply(json!({"client_id":"cli_n","client_secret":"new","user_info":brand})));
    let Poll::Done(new) = client.oauth().poll_registration(&code).await.unwrap() else {
        panic!("not done")
    };
    assert_eq!((new.app_id.as_str(), new.app_secret.expose_secret()), ("cli_n", "new"));
    assert_eq!((new.brand.as_deref(), new.open_id.as_deref()), (Some("lark"), Some("ou_1")));
    let hosts: Vec<_> = fake.seen().into_iter().map(|seen| seen.host).collect();
    let (feishu, lark) = ("https://accounts.feishu.cn", "https://accounts.larksuite.com");
    assert_eq!(hosts, [feishu, feishu, feishu, lark, lark]);
}

#[tokio::test(start_paused = true)]
async fn a_registration_elsewhere_keeps_to_its_own_host_and_ends_like_a_device_flow() {
    let fake = Fake::nobody();
    let client = fake.client();
    let code = secret("dev");
    for (word, want) in
        [("access_denied", "Denied"), ("expired_token", "Expired"), ("slow_down", "SlowDown")]
    {
        fake.push(json_reply(json!({"error":word})).status(400));
        let poll = client.oauth().poll_registration(&code).await.unwrap();
        assert_eq!(format!("{poll:?}"), want);
    }
    fake.push(json_reply(
        json!({"client_id":"cli_n","client_secret":"s","user_info":{"tenant_brand":"lark"}}),
    ));
    assert!(matches!(client.oauth().poll_registration(&code).await.unwrap(), Poll::Done(_)));
    assert!(fake.seen().iter().all(|seen| seen.host == "https://accounts.example"));
}
