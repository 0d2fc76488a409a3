//! Who is logged in: `auth status`, `check`, `token`, `users`, `logout`, and an app that
//! is registered in the browser.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use feishu_mirror::auth::profiles::{Profile, Profiles};
use feishu_mirror::feishu::oauth::AppKey;
use feishu_mirror::model::account::Domain;
use feishu_mirror::sim::{APP_ID, APP_SECRET, CANARY, Effect, Fault, Tenant};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{Mirror, tenant};

mod runs;

const DAY: Duration = Duration::from_secs(86_400);
const REVOKE: (&str, &str) = ("POST", "/oauth/v1/revoke");

fn profiles(mirror: &Mirror) -> Profiles {
    Profiles::at(&mirror.folder().join("home"))
}

fn profile(mirror: &Mirror) -> Profile {
    profiles(mirror).get("default").unwrap()
}

/// A stored app, and these users logged in to it.
fn with_logins(tenant: &Tenant, users: &[&str]) -> Mirror {
    let mut mirror = Mirror::of(tenant);
    mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
    let address = "http://127.0.0.1:9".to_owned();
    let domain = Domain { open: address.clone(), accounts: address };
    let app = AppKey { id: APP_ID.to_owned(), secret: APP_SECRET.into() };
    profiles(&mirror).add("default", &app, &domain).unwrap();
    for user in users {
        mirror.log_in("default", user);
    }
    mirror
}

fn two_users() -> Tenant {
    let tenant = tenant();
    tenant.add_user("李雷", &format!("u-li-{CANARY}"));
    tenant
}

async fn one(mirror: &Mirror, args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    let run = mirror.run(&args).await.success();
    assert_eq!(run.events().len(), 1, "{}", run.out);
    run.events().remove(0)
}

const STATUS: [&str; 13] = [
    "access_token",
    "access_token_valid",
    "cached_user",
    "expires_at",
    "health",
    "identity",
    "logged_in",
    "note",
    "refresh_expires_at",
    "refresh_token_present",
    "refresh_token_valid",
    "scope",
    "token_status",
];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Nobody is logged in: not an error, and exactly three keys.
#[tokio::test(start_paused = true)]
async fn status_of_nobody() {
    let tenant = tenant();
    for mirror in [with_logins(&tenant, &[]), {
        let mut empty = Mirror::of(&tenant);
        empty.vars.remove("FEISHU_USER_ACCESS_TOKEN");
        empty
    }] {
        let status = one(&mirror, &["auth", "status"]).await;
        assert_eq!(keys(&status), ["identity", "logged_in", "note"]);
        assert_eq!((&status["logged_in"], &status["identity"]), (&json!(false), &json!("app")));
        assert!(status["note"].as_str().unwrap().contains("feishu-mirror auth login"));
        mirror.run(&["auth", "status"]).await.success().says(&["not logged in"]);
    }
    let mirror = with_logins(&tenant, &[]);
    let run = mirror.run(&["auth", "status", "--profile", "work"]).await;
    run.exits(1).says(&["there is no profile \"work\""]);
}

/// Through the life of a login: fresh, due, and over.
#[tokio::test(start_paused = true)]
async fn status_through_the_life_of_a_login() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    let status = one(&mirror, &["auth", "status"]).await;
    assert_eq!(keys(&status), STATUS);
    assert_eq!(status["logged_in"], true);
    assert_eq!(status["identity"], "user");
    assert_eq!(status["token_status"], "valid");
    assert_eq!(status["health"], "healthy");
    assert_eq!(status["expires_at"], "2026-03-01T04:30:00Z");
    assert_eq!(status["refresh_expires_at"], "2026-03-08T02:30:00Z");
    assert_eq!(status["refresh_token_present"], true);
    assert_eq!(status["refresh_token_valid"], true);
    assert_eq!(status["access_token_valid"], true);
    assert_eq!(status["note"], Value::Null);
    let masked = status["access_token"].as_str().unwrap();
    assert!(masked.chars().count() <= 9 && masked.ends_with('…'), "{masked}");
    assert_eq!(keys(&status["cached_user"]), ["name", "open_id", "tenant_key"]);
    assert_eq!(status["cached_user"]["name"], "demo");
    assert!(status["scope"].as_str().unwrap().contains("offline_access"));
    let human = mirror.run(&["auth", "status"]).await.success();
    human.says(&["demo", "healthy", APP_ID, "scopes:"]);

    tenant.jump(DAY);
    let status = one(&mirror, &["auth", "status"]).await;
    assert_eq!(status["token_status"], "needs_refresh");
    assert_eq!(
        (&status["health"], &status["access_token_valid"]),
        (&json!("healthy"), &json!(false))
    );
    assert!(status["note"].as_str().unwrap().contains("renews"));
    let human = mirror.run(&["auth", "status"]).await.success();
    assert!(human.out.contains("renews") && !human.err.contains("warning"), "{}", human.err);
    assert_eq!(tenant.refreshes(), 0, "without --verify nothing is called");

    tenant.jump(8 * DAY);
    let status = one(&mirror, &["auth", "status"]).await;
    assert_eq!(
        (&status["token_status"], &status["health"]),
        (&json!("expired"), &json!("needs_relogin"))
    );
    assert_eq!(status["refresh_token_valid"], false);
    let note = status["note"].as_str().unwrap();
    assert!(note.contains("feishu-mirror auth login"));
    assert_eq!(note.matches("log in again").count(), 1, "{note}");
}

/// `--verify` asks the service, renewing what is due.
#[tokio::test(start_paused = true)]
async fn verify_asks_the_service() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    tenant.jump(DAY);
    let status = one(&mirror, &["auth", "status", "--verify"]).await;
    assert_eq!(status["verified"], true);
    assert_eq!(status["token_status"], "valid", "it was renewed");
    assert_eq!(tenant.refreshes(), 1);
    assert!(keys(&status).iter().all(|key| STATUS.contains(key) || *key == "verified"));

    tenant.revoke_user("demo");
    let status = one(&mirror, &["auth", "status", "--verify"]).await;
    assert_eq!((&status["logged_in"], &status["verified"]), (&json!(true), &json!(false)));
    assert!(!status["verify_error"].as_str().unwrap().is_empty());
    // By time the token is good, and yet somebody has to log in.
    assert_eq!(
        (&status["token_status"], &status["health"]),
        (&json!("valid"), &json!("needs_relogin"))
    );
    let note = status["note"].as_str().unwrap();
    assert_eq!(note.matches("feishu-mirror auth login --profile default").count(), 1, "{note}");
    let human = mirror.run(&["auth", "status", "--verify"]).await.success();
    assert!(human.out.lines().next().unwrap().ends_with("log in again"), "{}", human.out);
    human.says(&["not verified:", "feishu-mirror auth login --profile default"]);
}

/// What does not end a login is not called its end.
#[tokio::test(start_paused = true)]
async fn a_failure_that_is_not_the_logins_does_not_end_it() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    tenant.fault(Fault::new("GET", "/authen/v1/user_info", Effect::Unreachable));
    let status = one(&mirror, &["auth", "status", "--verify"]).await;
    assert_eq!((&status["verified"], &status["health"]), (&json!(false), &json!("healthy")));
    tenant.calm();
    tenant.jump(DAY);
    tenant.reset_secret(&format!("another-{CANARY}"));
    let status = one(&mirror, &["auth", "status", "--verify"]).await;
    assert_eq!((&status["verified"], &status["health"]), (&json!(false), &json!("healthy")));
    assert!(status["note"].as_str().unwrap().contains("profile add default"), "{status}");
}

/// The end of a year is announced two weeks before.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_grant_is_announced() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    for _ in 0..58 {
        tenant.jump(6 * DAY);
        mirror.run_for_secrets(&["auth", "token", "-q"], "").await.success();
    }
    let status = one(&mirror, &["auth", "status"]).await;
    assert_eq!((&status["note"], &status["token_status"]), (&Value::Null, &json!("valid")));
    tenant.jump(5 * DAY);
    let status = one(&mirror, &["auth", "status"]).await;
    assert!(status["note"].as_str().unwrap().contains("in 12 days"), "{}", status["note"]);
    mirror.run(&["auth", "status"]).await.success().says(&["12 days", "365 days"]);
}

/// A damaged store is an error and not "not logged in".
#[tokio::test(start_paused = true)]
async fn a_damaged_login_is_an_error() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    let login = profile(&mirror).login(None).unwrap().unwrap();
    let file = profile(&mirror).login_file(&login.open_id);
    std::fs::write(&file, "{\"version\":1").unwrap();
    for command in ["status", "check", "token", "users", "logout"] {
        let run = mirror.run(&["auth", command]).await.exits(1);
        run.says(&["damaged", file.file_name().unwrap().to_str().unwrap()]);
    }
}

#[tokio::test(start_paused = true)]
async fn check_tells_granted_from_missing() {
    let tenant = tenant();
    tenant.refuse_scopes("demo", &["docs:document:export", "drive:export:readonly"]);
    let mirror = with_logins(&tenant, &["demo"]);
    let check = async |args: &[&str], code: u8| {
        let args = [&["auth", "check", "--json"], args].concat();
        mirror.run(&args).await.exits(code).events().remove(0)
    };
    let fine = check(&["--scope", "drive:file:download, wiki:node:read"], 0).await;
    assert_eq!(
        fine,
        json!({"ok": true, "granted": ["drive:file:download", "wiki:node:read"], "missing": []})
    );
    let lacks = check(&["--scope", "drive:file:download docs:document:export"], 4).await;
    assert_eq!(keys(&lacks), ["granted", "missing", "ok", "suggestion"]);
    assert_eq!(lacks["missing"], json!(["docs:document:export"]));
    let suggestion = lacks["suggestion"].as_str().unwrap();
    assert!(suggestion.contains("feishu-mirror auth login --scope \"docs:document:export\""));
    // The config needs it, and a coarser scope is as good.
    let config = check(&[], 4).await;
    assert_eq!(config["missing"], json!(["docs:document:export"]));
    mirror.run(&["auth", "check"]).await.exits(4).says(&["missing  docs:document:export"]);

    tenant.jump(9 * DAY);
    let over = check(&["--scope", "a:b"], 4).await;
    assert_eq!(
        over,
        json!({"ok": false, "granted": [], "missing": ["a:b"], "error": "token_expired",
            "suggestion": "feishu-mirror auth login --scope \"a:b\""})
    );
    mirror.run(&["auth", "logout", "--force"]).await.success();
    let nobody = check(&["--scope", "a:b"], 4).await;
    assert_eq!(nobody["error"], "not_logged_in");
    mirror.run(&["auth", "check", "--scope", "a:b"]).await.exits(4).says(&["no user is logged in"]);
    // What `auth login` asks for by itself needs no list; also where there is no config.
    let plain = check(&[], 4).await;
    assert_eq!(plain["suggestion"], "feishu-mirror auth login");
    std::fs::remove_file(mirror.folder().join("mirror.toml")).unwrap();
    let default = check(&[], 4).await;
    assert_eq!(default["missing"], plain["missing"], "as a config by `init` would have it");
    mirror.run(&["auth", "check"]).await.exits(4).says(&["feishu-mirror init"]);
    assert_eq!(tenant.calls("GET", "/authen/v1/user_info"), 0);
}

/// A token for other programs: the stored one, renewed where it is due; the app's; or,
/// with `auto`, whichever a run would take.
#[tokio::test(start_paused = true)]
async fn token_prints_a_good_token() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    let token = async |whose: &str| {
        let args = ["auth", "token", "--as", whose, "--json"];
        mirror.run_for_secrets(&args, "").await.success().events().remove(0)
    };
    let user = token("user").await;
    assert_eq!(keys(&user), ["access_token", "expires_at", "identity"]);
    assert_eq!(
        (&user["identity"], &user["expires_at"]),
        (&json!("user"), &json!("2026-03-01T04:30:00Z"))
    );
    assert_eq!(token("auto").await, user);
    let app = token("app").await;
    assert_eq!((&app["identity"], &app["expires_at"]), (&json!("app"), &Value::Null));
    assert_ne!(app["access_token"], user["access_token"]);

    tenant.jump(DAY);
    let renewed = token("user").await;
    assert_ne!(renewed["access_token"], user["access_token"]);
    assert_eq!(renewed["expires_at"], "2026-03-02T04:30:00Z");
    let plain = mirror.run_for_secrets(&["auth", "token"], "").await.success();
    assert_eq!(plain.out, format!("{}\n", renewed["access_token"].as_str().unwrap()));
    assert_eq!(plain.err, "");
    assert_eq!(tenant.refreshes(), 1);

    let mirror = with_logins(&tenant, &[]);
    mirror.run(&["auth", "token", "--as", "user"]).await.exits(4).says(&["auth login"]);
    let auto = mirror.run_for_secrets(&["auth", "token", "--json"], "").await.success();
    assert_eq!(auto.events()[0]["identity"], "app");
}

#[tokio::test(start_paused = true)]
async fn users_are_listed_and_one_is_the_default() {
    let tenant = two_users();
    let mirror = with_logins(&tenant, &["demo", "李雷"]);
    let users = async || mirror.run(&["auth", "users", "--json"]).await.success().events();
    let defaults = |users: &[Value]| {
        users
            .iter()
            .filter(|user| user["default"] == true)
            .map(|user| user["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = users().await;
    assert_eq!(all.len(), 2);
    assert_eq!(
        keys(&all[0]),
        [
            "default",
            "expires_at",
            "grant_ends_at",
            "health",
            "name",
            "open_id",
            "refresh_expires_at",
            "tenant_key",
            "token_status"
        ]
    );
    assert_eq!(all[0]["grant_ends_at"], "2027-03-01T02:30:00Z");
    assert_eq!(defaults(&all), ["demo"], "the first one");
    let human = mirror.run(&["auth", "users"]).await.success();
    let stars: Vec<&str> = human.out.lines().filter(|line| line.starts_with('*')).collect();
    assert!(stars.len() == 1 && stars[0].contains("demo"), "{}", human.out);

    mirror.run(&["auth", "users", "--default", "李雷"]).await.success();
    assert_eq!(defaults(&users().await), ["李雷"]);
    assert_eq!(one(&mirror, &["auth", "status"]).await["cached_user"]["name"], "李雷");
    let picked = one(&mirror, &["auth", "status", "--user", "demo"]).await;
    assert_eq!(picked["cached_user"]["name"], "demo");
    let run = mirror.run(&["auth", "users", "--default", "nobody"]).await;
    run.exits(4).says(&["nobody", "demo", "李雷"]);
    let empty = with_logins(&tenant, &[]);
    empty.run(&["auth", "users"]).await.success().says(&["no user is logged in", "auth login"]);
    let named = mirror.run(&["auth", "users", "--user", "demo", "--json"]).await.success();
    assert_eq!((named.events().len(), &named.events()[0]["name"]), (1, &json!("demo")));
    for mirror in [&mirror, &empty, &Mirror::of(&tenant)] {
        mirror.run(&["auth", "users", "--user", "nobody"]).await.exits(4).says(&["nobody"]);
    }
}

/// A logout ends the grant at the service, then here.
#[tokio::test(start_paused = true)]
async fn logout_ends_the_grant_at_the_service() {
    let tenant = two_users();
    let mirror = with_logins(&tenant, &["demo", "李雷"]);
    let names = || {
        let logins = profile(&mirror).logins().unwrap();
        logins.into_iter().map(|login| login.name).collect::<Vec<_>>()
    };
    let token = mirror.run_for_secrets(&["auth", "token"], "").await.success().out;
    let out = one(&mirror, &["auth", "logout"]).await;
    assert_eq!(out["event"], "logged_out");
    assert_eq!((&out["name"], &out["revoked"]), (&json!("demo"), &json!(true)));
    assert_eq!(names(), ["李雷"]);
    assert_eq!(tenant.calls(REVOKE.0, REVOKE.1), 2, "refresh token and access token");
    let mut env = Mirror::of(&tenant);
    env.vars.insert("FEISHU_USER_ACCESS_TOKEN".to_owned(), token.trim().to_owned());
    env.run(&["sync"]).await.exits(4);

    // The service cannot be told: nothing is removed, unless it is meant.
    tenant.fault(Fault::new(REVOKE.0, REVOKE.1, Effect::Unreachable));
    let run = mirror.run(&["auth", "logout", "--all"]).await.exits(1);
    run.says(&["李雷", "still logged in", "auth logout --all --force"]);
    assert_eq!(names(), ["李雷"]);
    let run = mirror.run(&["auth", "logout", "--all", "--force"]).await.success();
    run.says(&["logged out: 李雷", "could not be told"]);
    assert_eq!(names(), Vec::<String>::new());
    tenant.calm();
    mirror.run(&["auth", "logout"]).await.success().says(&["no user is logged in"]);
}

/// Another process renews between the listing and the end: what it got is ended, and while
/// a login is being ended nobody renews it.
#[tokio::test(start_paused = true)]
async fn logout_ends_the_login_as_it_is_now() {
    let tenant = two_users();
    let mirror = with_logins(&tenant, &["demo", "李雷", "李雷"]);
    let own = profile(&mirror);
    let (demo, newer) = (own.login(Some("demo")).unwrap(), own.login(Some("李雷")).unwrap());
    let (demo, newer) = (demo.unwrap(), newer.unwrap());
    mirror.log_in("default", "李雷");
    let lock = own.login_file(&demo.open_id).with_extension("lock");
    let (renewed, held) = (newer.clone(), Arc::new(AtomicBool::new(false)));
    let seen = held.clone();
    let own = Mutex::new(own);
    tenant.fault(
        Fault::new(
            REVOKE.0,
            REVOKE.1,
            Effect::run(move || {
                let lock = std::fs::File::open(&lock).unwrap();
                seen.store(lock.try_lock().is_err(), SeqCst);
                own.lock().unwrap().store(&renewed).unwrap();
            }),
        )
        .once(),
    );
    mirror.run(&["auth", "logout", "--all"]).await.success();
    assert!(held.load(SeqCst), "demo's login is locked while it is being ended");
    assert!(profile(&mirror).logins().unwrap().is_empty());
    let mut env = Mirror::of(&tenant);
    let token = newer.access_token.expose_secret().to_owned();
    env.vars.insert("FEISHU_USER_ACCESS_TOKEN".to_owned(), token);
    env.run(&["sync"]).await.exits(4);
}

/// Half-way: the grant has ended, the access token lives on, and that is what is said.
#[tokio::test(start_paused = true)]
async fn a_logout_that_ends_half_way_says_what_still_works() {
    let tenant = two_users();
    let mirror = with_logins(&tenant, &["demo"]);
    let access = Fault::new(REVOKE.0, REVOKE.1, Effect::Unreachable);
    tenant.fault(access.containing("token_type_hint=access_token"));
    let run = mirror.run(&["auth", "logout"]).await.exits(1);
    let run = run.says(&["demo", "no longer be renewed", "access token", "2026-03-01", "--force"]);
    assert!(!run.err.contains("still logged in, here and at the service"), "{}", run.err);
    assert_eq!(profile(&mirror).logins().unwrap().len(), 1);
    tenant.calm();
    mirror.run(&["auth", "logout"]).await.success();
}

/// One damaged file among several is named, and the others are shown and logged out.
#[tokio::test(start_paused = true)]
async fn a_damaged_login_of_somebody_else_stops_nobody() {
    let tenant = two_users();
    let mirror = with_logins(&tenant, &["demo", "李雷"]);
    let other = profile(&mirror).login(Some("李雷")).unwrap().unwrap().open_id;
    let file = profile(&mirror).login_file(&other);
    std::fs::write(&file, "{\"version\":1").unwrap();
    let damaged = file.file_name().unwrap().to_str().unwrap();
    mirror.run(&["auth", "status"]).await.success().says(&["demo"]);
    tenant.root().docx("周报").text("一");
    mirror.sync().await.success();
    let list = ["profile", "list"];
    mirror.run(&list).await.success().says(&["demo", "damaged", damaged]);
    mirror.run(&["auth", "users"]).await.exits(1).says(&["demo", "damaged", damaged]);
    let run = mirror.run(&["auth", "logout", "--all"]).await.exits(1);
    run.says(&["logged out: demo", damaged, "auth login --profile default"]);
    assert!(profile(&mirror).readable_logins().unwrap().0.is_empty());
}

/// What the service has ended itself can be logged out all the same.
#[tokio::test(start_paused = true)]
async fn a_dead_login_can_be_logged_out() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    tenant.revoke_user("demo");
    mirror.run(&["auth", "logout"]).await.success();
    assert!(profile(&mirror).logins().unwrap().is_empty());
}

/// `profile add --create-app`: a new app, made in the browser.
#[tokio::test(start_paused = true)]
async fn an_app_is_registered_in_the_browser() {
    let tenant = tenant();
    let mut mirror = Mirror::of(&tenant);
    mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
    let add = [
        "profile",
        "add",
        "mine",
        "--create-app",
        "--use",
        "--json",
        "--domain",
        "http://127.0.0.1:9",
    ];
    let run = mirror
        .live(&add, async |person| {
            let line = person.reads("app_registration").await;
            let step: Value = serde_json::from_str(&line).unwrap();
            let code = step["user_code"].as_str().unwrap();
            let page = step["verification_uri_complete"].as_str().unwrap();
            assert_eq!(page, format!("http://127.0.0.1:9/page/cli?user_code={code}"));
            tenant.approve(code, "demo");
        })
        .await
        .success();
    assert!(!run.out.contains(CANARY), "the secret is not printed");
    let added = &run.events()[1];
    assert_eq!((&added["event"], &added["active"]), (&json!("profile"), &json!(true)));
    let stored = profiles(&mirror).get("mine").unwrap();
    assert_eq!(added["app_id"], stored.app.id.as_str());
    assert_eq!(profiles(&mirror).active().unwrap(), "mine");
    let token = mirror.run_for_secrets(&["auth", "token", "--as", "app"], "").await;
    token.success();

    mirror.run(&add).await.exits(1).says(&["there is a profile \"mine\" already"]);
    let args =
        ["profile", "add", "more", "--create-app", "--json", "--domain", "http://127.0.0.1:9"];
    let run = mirror
        .live(&args, async |person| {
            let step: Value = serde_json::from_str(&person.reads("event").await).unwrap();
            tenant.deny(step["user_code"].as_str().unwrap());
        })
        .await;
    run.exits(4).says(&["you said no", "profile add more --create-app"]);
    assert_eq!(profiles(&mirror).names().unwrap(), ["mine"]);
}
