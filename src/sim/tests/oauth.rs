//! Logging in with an authorization code.

use super::*;
use crate::sim::http::oauth::s256;

const REDIRECT: &str = "http://localhost:9000/callback";
const VERIFIER: &str = "correct-horse-battery-staple-correct-horse-battery";

pub fn authorize_url(extra: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("client_id", APP_ID),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("scope", "drive:drive:readonly offline_access"),
        ("state", "a b&c"),
    ];
    fields.retain(|(name, _)| extra.iter().all(|(given, _)| given != name));
    fields.extend_from_slice(extra);
    format!("/open-apis/authen/v1/authorize?{}", encoded(&fields))
}

/// A parameter of a URL.
fn param(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn code(tenant: &Tenant, extra: &[(&str, &str)]) -> String {
    let back = tenant.approve_login(&format!("http://sim{}", authorize_url(extra)), "demo");
    param(&back, "code").unwrap()
}

/// Asks for tokens for a code, with `extra` in place of or besides the usual fields.
async fn redeem(tenant: &Tenant, code: &str, extra: &[(&str, &str)]) -> Got {
    let usual = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    let mut fields = extra.to_vec();
    fields.extend(usual.iter().filter(|(name, _)| extra.iter().all(|(given, _)| given != name)));
    ask_token(tenant, &fields).await
}

/// The fields that a browser sends for a page: what the form hides, and the choice.
fn submitted<'a>(page: &'a str, choice: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    let plain = |text: &str| {
        text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    let between = |text: &'a str, name: &str| {
        let from = text.split_once(&format!("{name}=\"")).unwrap().1;
        plain(from.split_once('"').unwrap().0)
    };
    let hidden = page.split("<input ").filter(|tag| tag.starts_with("type=\"hidden\""));
    let hidden = hidden.map(|tag| (between(tag, "name"), between(tag, "value")));
    hidden.chain(choice.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_person_agrees_in_the_browser() {
    let tenant = quiet();
    tenant.add_user("<Bob>", &format!("u-{CANARY}-bob"));
    let page = visit(&tenant, &authorize_url(&[("prompt", "consent")])).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let html = page.text();
    for word in ["id=\"user-0\"", "id=\"user-1\"", "id=\"allow\"", "id=\"deny\"", "&lt;Bob&gt;"] {
        assert!(html.contains(word), "{word}");
    }
    assert!(html.contains("drive:drive:readonly") && !html.contains("<Bob>"), "{html}");

    let bob = html.split("id=\"user-1\" name=\"user\" value=\"").nth(1).unwrap();
    let bob = bob.split('"').next().unwrap().to_owned();
    let post = async |choice: &[(&str, &str)]| {
        let fields = submitted(html, choice);
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        form(&tenant, "/open-apis/authen/v1/authorize", &fields).await
    };
    let denied = post(&[("decision", "deny"), ("user", &bob)]).await;
    assert_eq!(denied.status, 302);
    let back = denied.header("location");
    assert!(back.starts_with(REDIRECT), "{back}");
    assert_eq!(param(back, "error").as_deref(), Some("access_denied"));
    assert_eq!((param(back, "state").as_deref(), param(back, "code")), (Some("a b&c"), None));

    let allowed = post(&[("decision", "allow"), ("user", &bob)]).await;
    let back = allowed.header("location");
    assert_eq!(param(back, "state").as_deref(), Some("a b&c"));
    let code = param(back, "code").unwrap();
    assert!(code.len() >= 64 && code.contains(CANARY), "{code}");
    let got = redeem(&tenant, &code, &[]).await;
    let whoami = get_as(&tenant, &got.field("access_token"), "/authen/v1/user_info").await;
    assert_eq!(whoami.json()["data"]["name"], "<Bob>");
    assert_eq!(tenant.calls("POST", "/authen/v2/oauth/token"), 1);

    let forged = post(&[("decision", "allow"), ("user", "ou_nobody")]).await;
    assert_eq!(forged.status, 400);
    assert!(forged.text().contains("20008"));
}

#[tokio::test(start_paused = true)]
async fn a_code_gives_tokens_that_work_for_two_hours() {
    let tenant = quiet();
    let got = redeem(&tenant, &code(&tenant, &[]), &[]).await;
    let reply = got.json();
    assert_eq!((got.status, got.code()), (200, 0));
    assert_eq!((&reply["expires_in"], &reply["token_type"]), (&json!(7200), &json!("Bearer")));
    assert_eq!(reply["refresh_token_expires_in"], 604_800);
    assert_eq!(reply["scope"], "drive:drive:readonly offline_access");
    assert!(!reply.as_object().unwrap().contains_key("data"), "fields are at the top");
    for name in ["access_token", "refresh_token"] {
        let token = got.field(name);
        assert!(token.starts_with("eyJ") && token.contains(CANARY), "{token}");
        assert!((1000..2048).contains(&token.len()), "{}", token.len());
    }
    let token = got.field("access_token");
    assert_eq!(get_as(&tenant, &token, "/drive/v1/files").await.code(), 0);
    let renewal = got.field("refresh_token");
    assert_eq!(get_as(&tenant, &renewal, "/drive/v1/files").await.code(), 99_991_668);
    tenant.jump(Duration::from_secs(7199));
    assert_eq!(get_as(&tenant, &token, "/drive/v1/files").await.code(), 0);
    tenant.jump(Duration::from_secs(1));
    assert_eq!(get_as(&tenant, &token, "/drive/v1/files").await.code(), 99_991_677);
}

#[tokio::test(start_paused = true)]
async fn bodies_are_json_or_forms_and_nothing_else() {
    let tenant = quiet();
    let good = json!({
        "grant_type": "authorization_code", "client_id": APP_ID, "client_secret": APP_SECRET,
        "code": code(&tenant, &[]), "redirect_uri": REDIRECT,
    });
    let post = async |kind: &str, body: String| {
        let request = Request::post(format!("http://sim{TOKEN}")).header("content-type", kind);
        send(&tenant, request.body(Bytes::from(body)).unwrap()).await.unwrap()
    };
    let json = "application/json; charset=utf-8";
    let mut number = good.clone();
    number["code"] = 5.into();
    let cases = [
        (json, "{".to_owned(), "broken"),
        (json, "[]".to_owned(), "no object"),
        (json, number.to_string(), "a value that is no text"),
        ("text/plain", good.to_string(), "another type"),
        ("application/x-www-form-urlencoded", "code=a&code=b".to_owned(), "twice"),
    ];
    for (kind, body, why) in cases {
        let got = post(kind, body).await;
        assert_eq!((got.status, got.code()), (400, 20_063), "{why}");
        assert_eq!(got.field("error"), "invalid_request", "{why}");
        assert!(!got.field("error_description").is_empty());
    }
    assert_eq!(post(json, good.to_string()).await.code(), 0, "nothing was spent so far");
}

#[tokio::test(start_paused = true)]
async fn a_code_is_for_one_use_by_those_who_asked_for_it() {
    let tenant = quiet();
    tenant.add_app("cli_other", &format!("other-{CANARY}"));
    let other = format!("other-{CANARY}");
    let pkce = s256(VERIFIER);
    let hashed: &[_] = &[("code_challenge", pkce.as_str()), ("code_challenge_method", "S256")];
    let plain: &[_] = &[("code_challenge", VERIFIER)];
    let short = "x".repeat(42);
    let long = "x".repeat(129);
    let (of_short, of_long) = (s256(&short), s256(&long));
    let of_short: &[_] = &[("code_challenge", &*of_short), ("code_challenge_method", "S256")];
    let of_long: &[_] = &[("code_challenge", &*of_long), ("code_challenge_method", "S256")];
    let cases: Vec<(&[_], Vec<_>, i64, &str)> = vec![
        (&[], vec![("code", "nonsense")], 20_003, "unknown"),
        (&[], vec![("code", "")], 20_001, "missing"),
        (&[], vec![("grant_type", "password")], 20_036, "another grant type"),
        (&[], vec![("grant_type", "")], 20_001, "no grant type"),
        (&[], vec![("client_id", "cli_nobody")], 20_048, "no such app"),
        (&[], vec![("client_secret", "wrong")], 20_002, "wrong secret"),
        (&[], vec![("client_secret", "")], 20_001, "no secret"),
        (&[], vec![("client_id", "cli_other"), ("client_secret", &other)], 20_024, "not theirs"),
        (&[], vec![("redirect_uri", "http://localhost:9001/callback")], 20_071, "other address"),
        (&[], vec![("redirect_uri", "")], 20_071, "no address"),
        (&[], vec![("scope", "drive:drive:readonly drive:drive:readonly")], 20_067, "twice"),
        (&[], vec![("scope", "wiki:wiki")], 20_068, "not granted"),
        (&[], vec![("code_verifier", VERIFIER)], 20_049, "no challenge was given"),
        (hashed, vec![], 20_049, "no verifier"),
        (hashed, vec![("code_verifier", &pkce)], 20_049, "the challenge itself"),
        (plain, vec![("code_verifier", &pkce)], 20_049, "plain means equal"),
        (of_short, vec![("code_verifier", &short)], 20_049, "42 characters"),
        (of_long, vec![("code_verifier", &long)], 20_049, "129 characters"),
        (hashed, vec![("code_verifier", VERIFIER)], 0, "S256"),
        (plain, vec![("code_verifier", VERIFIER)], 0, "plain is the default"),
        (&[], vec![("scope", "offline_access")], 0, "less than was granted"),
    ];
    for (asked, fields, wanted, why) in cases {
        let code = code(&tenant, asked);
        let got = redeem(&tenant, &code, &fields).await;
        assert_eq!(got.code(), wanted, "{why}");
        assert_eq!(got.status, if wanted == 0 { 200 } else { 400 }, "{why}");
    }

    let once = code(&tenant, &[]);
    assert_eq!(redeem(&tenant, &once, &[]).await.code(), 0);
    assert_eq!(redeem(&tenant, &once, &[]).await.code(), 20_065);
    let late = code(&tenant, &[]);
    tenant.jump(Duration::from_secs(300));
    assert_eq!(redeem(&tenant, &late, &[]).await.code(), 20_004);

    let code = code(&tenant, &[]);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("client_id", APP_ID),
        ("client_secret", APP_SECRET),
    ];
    let basic = basic(APP_ID, APP_SECRET);
    let got = form_with(&tenant, TOKEN, &fields, &[("authorization", &basic)]).await;
    assert_eq!(got.code(), 20_070, "two ways to say who one is");
    let got = form_with(&tenant, TOKEN, &fields[..3], &[("authorization", &basic)]).await;
    assert_eq!(got.code(), 20_001, "credentials come in the body");
    assert_eq!(form(&tenant, TOKEN, &fields).await.code(), 0);
}

pub fn basic(id: &str, secret: &str) -> String {
    use base64::Engine;
    let text = format!("{id}:{secret}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

#[tokio::test(start_paused = true)]
async fn the_page_refuses_what_cannot_be_granted() {
    let tenant = quiet();
    let many = (0..51).map(|n| format!("scope:{n}")).collect::<Vec<_>>().join(" ");
    let fifty = (0..50).map(|n| format!("scope:{n}")).collect::<Vec<_>>().join(" ");
    tenant.enable_scopes(&["drive:drive:readonly", "offline_access"]);
    let cases = [
        (vec![("redirect_uri", "http://localhost:9001/callback")], "20029"),
        (vec![("redirect_uri", "")], "20001"),
        (vec![("scope", "wiki:wiki")], "20027"),
        (vec![("scope", "Drive:Drive:Readonly")], "20027"),
        (vec![("scope", fifty.as_str())], "20027"),
        (vec![("scope", many.as_str())], "20063"),
        (vec![("scope", "offline_access offline_access")], "20067"),
        (vec![("response_type", "token")], "20063"),
        (vec![("client_id", "cli_nobody")], "20048"),
        (vec![("code_challenge", "x"), ("code_challenge_method", "S512")], "20063"),
        (vec![("code_challenge_method", "S256")], "20063"),
    ];
    for (extra, code) in cases {
        let page = visit(&tenant, &authorize_url(&extra)).await;
        assert_eq!((page.status, page.header("location")), (400, ""), "{extra:?}");
        assert!(page.text().contains(code), "{extra:?}: {}", page.text());
    }
    assert_eq!(visit(&tenant, &authorize_url(&[])).await.status, 200);
    tenant.redirect_uri("http://localhost:9001/callback?from=cli");
    let other = [("redirect_uri", "http://localhost:9001/callback?from=cli"), ("state", "")];
    let back = tenant.approve_login(&authorize_url(&other), "demo");
    assert!(back.starts_with("http://localhost:9001/callback?from=cli&code="), "{back}");
    assert_eq!(param(&back, "state"), None, "none was given");
    let denied = tenant.deny_login(&authorize_url(&[("state", "x")]));
    assert_eq!(denied, format!("{REDIRECT}?error=access_denied&state=x"));
}

#[tokio::test(start_paused = true)]
async fn without_offline_access_there_is_no_refresh_token() {
    let tenant = quiet();
    let lasting = |got: &Got| !got.json()["refresh_token"].is_null();
    let asked: &[_] = &[("scope", "drive:drive:readonly")];
    let got = redeem(&tenant, &code(&tenant, asked), &[]).await;
    assert!(!lasting(&got) && got.json()["refresh_token_expires_in"].is_null());
    assert_eq!(got.field("scope"), "drive:drive:readonly");

    let with = redeem(&tenant, &code(&tenant, &[]), &[]).await;
    assert!(lasting(&with));
    let got = redeem(&tenant, &code(&tenant, asked), &[]).await;
    assert!(!lasting(&got), "offline_access is asked for each time");

    let narrow = redeem(&tenant, &code(&tenant, &[]), asked).await;
    assert_eq!((narrow.field("scope").as_str(), lasting(&narrow)), ("drive:drive:readonly", false));
    tenant.offline_access(false);
    assert!(!lasting(&redeem(&tenant, &code(&tenant, &[]), &[]).await));
    tenant.offline_access(true).refuse_scopes("demo", &["offline_access"]);
    let got = redeem(&tenant, &code(&tenant, &[]), &[]).await;
    assert_eq!((got.field("scope").as_str(), lasting(&got)), ("drive:drive:readonly", false));
    assert_eq!(tenant.log_in("demo").refresh_token, None);
}

#[tokio::test(start_paused = true)]
async fn scopes_of_several_consents_add_up() {
    let tenant = quiet();
    let first = redeem(&tenant, &code(&tenant, &[]), &[]).await;
    let wiki = code(&tenant, &[("scope", "wiki:wiki:readonly offline_access")]);
    let second = redeem(&tenant, &wiki, &[]).await;
    assert_eq!(second.field("scope"), "drive:drive:readonly offline_access wiki:wiki:readonly");
    let old = first.field("access_token");
    assert_eq!(get_as(&tenant, &old, "/wiki/v2/spaces").await.code(), 99_991_679, "made before");
    let renewed = refresh(&tenant, &first.field("refresh_token")).await;
    assert_eq!(renewed.field("scope"), second.field("scope"));
    let new = renewed.field("access_token");
    assert_eq!(get_as(&tenant, &new, "/wiki/v2/spaces").await.code(), 0);

    let bob = tenant.add_user("Bob", &format!("u-{CANARY}-bob")).docx("Bob's");
    let theirs = tenant.log_in_for("Bob", &["docx:document"]);
    assert_eq!(theirs.scope, "docx:document", "each user agrees on their own");
    let path = format!("/docx/v1/documents/{}", bob.token());
    assert_eq!(get_as(&tenant, &theirs.access_token, &path).await.code(), 0);

    tenant.revoke_user("demo");
    let again = redeem(&tenant, &code(&tenant, &[]), &[]).await;
    assert_eq!(again.field("scope"), "drive:drive:readonly offline_access");
}
