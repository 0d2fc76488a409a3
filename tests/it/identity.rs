//! Whose mirror it is: decided once, recorded, never changed silently.

use std::time::Duration;

use feishu_mirror::sim::{APP_ID, APP_SECRET, CANARY, Effect, Fault, Tenant, USER_TOKEN};

use crate::support::{Mirror, SOURCES, tenant};

const TOKEN: &str = "FEISHU_USER_ACCESS_TOKEN";

/// A tenant with two users, each with a document of the same title.
fn two_users() -> Tenant {
    let tenant = tenant();
    tenant.root().docx("周报").text("demo's");
    tenant.add_user("李雷", &li()).docx("周报").text("李雷's");
    tenant
}

fn li() -> String {
    format!("u-li-{CANARY}")
}

/// A mirror whose identity comes from a profile, as most have it.
async fn with_profile(tenant: &Tenant) -> Mirror {
    let mut mirror = Mirror::of(tenant);
    mirror.vars.remove(TOKEN);
    mirror.add_profile("default").await;
    mirror
}

/// `auto` is the app while nobody is logged in, and stays the app afterwards.
#[tokio::test(start_paused = true)]
async fn auto_is_decided_by_the_first_run() {
    let tenant = two_users();
    let mirror = with_profile(&tenant).await;
    mirror.sync().await.success();
    mirror.log_in("default", "demo");
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!(run.count("unchanged"), run.count("nodes"));
    assert!(tenant.call_log().iter().all(|call| !call.identity.starts_with("user:")));

    let run = mirror.run(&["sync", "--json", "--accept-identity-change"]).await.success();
    assert!(run.count("nodes") > 0);
    assert!(tenant.call_log().iter().any(|call| call.identity == "user:demo"));
    tenant.forget_calls();
    mirror.sync().await.success();
    assert!(tenant.call_log().iter().all(|call| call.identity == "user:demo"));
}

/// Another user sees other places. Nothing is written before somebody says that this is
/// meant; then it is recorded.
#[tokio::test(start_paused = true)]
async fn another_user_stops_the_run_before_it_writes() {
    let tenant = two_users();
    let mirror = with_profile(&tenant).await;
    mirror.log_in("default", "demo");
    mirror.sync().await.success();
    let before = mirror.snapshot();

    mirror.log_in("default", "李雷");
    mirror.sync().await.success();
    tenant.forget_calls();
    for command in ["sync", "diff"] {
        let run = mirror.run(&[command, "--user", "李雷"]).await.exits(1);
        run.says(&["demo", "李雷", "--accept-identity-change"]);
    }
    let told = ["another identity", "--accept-identity-change"];
    mirror.run(&["doctor", "--offline", "--user", "李雷"]).await.exits(1).says(&told);
    mirror.run(&["status", "--user", "李雷"]).await.success().says(&told);
    assert!(mirror.changed_since(&before).is_empty());
    assert_eq!(tenant.calls("GET", "/drive/v1/files"), 0, "no listing either");

    mirror.run(&["sync", "--user", "李雷", "--accept-identity-change"]).await.success();
    assert_ne!(mirror.changed_since(&before), Vec::<String>::new());
    mirror.sync().await.exits(1).says(&["李雷", "demo"]);
    mirror.run(&["sync", "--user", "李雷"]).await.success();
}

/// A token from the environment says whose it is once, not every night.
#[tokio::test(start_paused = true)]
async fn a_token_from_the_environment_is_asked_once_whose_it_is() {
    let tenant = two_users();
    let mut mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", "/authen/v1/user_info"), 0);

    let renewed = tenant.issue_token("demo");
    mirror.vars.insert(TOKEN.to_owned(), renewed);
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", "/authen/v1/user_info"), 1);

    mirror.vars.insert(TOKEN.to_owned(), li());
    mirror.sync().await.exits(1).says(&["李雷", "--accept-identity-change"]);
}

/// A login that is gone is no reason to go on as the app.
#[tokio::test(start_paused = true)]
async fn a_missing_login_is_never_replaced_by_the_app() {
    let tenant = two_users();
    let mirror = with_profile(&tenant).await;
    mirror.log_in("default", "demo");
    mirror.sync().await.success();
    let before = mirror.snapshot();
    mirror.run(&["auth", "logout"]).await.success();
    mirror.sync().await.exits(4).says(&["demo", "feishu-mirror auth login"]);
    assert!(mirror.changed_since(&before).is_empty());
}

/// The app in the environment never works with the logins of another app.
#[tokio::test(start_paused = true)]
async fn another_app_gets_no_login_of_this_one() {
    let tenant = two_users();
    tenant.add_app("cli_other", &format!("other-{CANARY}"));
    let mut mirror = with_profile(&tenant).await;
    mirror.log_in("default", "demo");
    mirror.sync().await.success();
    mirror.vars.insert("FEISHU_APP_ID".to_owned(), "cli_other".to_owned());
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), format!("other-{CANARY}"));
    mirror.sync().await.exits(4).says(&["cli_other", APP_ID]);
    mirror.run(&["sync", "--accept-identity-change"]).await.success();
    assert!(tenant.call_log().iter().any(|call| call.identity == "app:cli_other"));
}

/// The environment alone is enough, and stands above the profile.
#[tokio::test(start_paused = true)]
async fn the_environment_stands_above_the_profile() {
    let tenant = two_users();
    let mut mirror = with_profile(&tenant).await;
    mirror.log_in("default", "demo");
    mirror.vars.insert(TOKEN.to_owned(), li());
    mirror.sync().await.success();
    assert!(tenant.call_log().iter().all(|call| call.identity != "user:demo"));
    mirror.vars.insert(TOKEN.to_owned(), USER_TOKEN.to_owned());
    mirror.run(&["auth", "token", "--as", "user", "--user", "demo"]).await.exits(64);
}

/// A wrong secret and a profile that is not there say what to do.
#[tokio::test(start_paused = true)]
async fn wrong_credentials_say_what_to_do() {
    let tenant = two_users();
    let mut mirror = Mirror::of(&tenant);
    mirror.vars.remove(TOKEN);
    mirror.sync().await.exits(4).says(&["profile add", "auth login", "FEISHU_APP_ID"]);
    mirror.run(&["sync", "--profile", "work"]).await.exits(1).says(&["work", "profile add"]);
    mirror.vars.insert("FEISHU_APP_ID".to_owned(), APP_ID.to_owned());
    mirror.sync().await.exits(4).says(&["FEISHU_APP_SECRET is not"]);
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), "wrong".to_owned());
    mirror.sync().await.exits(4);
    assert!(!mirror.path("").exists(), "nothing was made");
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), APP_SECRET.to_owned());
    mirror.sync().await.success();
}

/// A config that would send a profile's secret to other hosts is refused.
#[tokio::test(start_paused = true)]
async fn secrets_stay_with_their_hosts() {
    let tenant = two_users();
    let mirror = with_profile(&tenant).await;
    let config = std::fs::read_to_string(mirror.folder().join("mirror.toml")).unwrap();
    let elsewhere = config.replace("127.0.0.1:9", "127.0.0.1:8");
    std::fs::write(mirror.folder().join("mirror.toml"), elsewhere).unwrap();
    mirror.sync().await.exits(1).says(&["127.0.0.1:8", "127.0.0.1:9", "sent nowhere else"]);
    assert_eq!(tenant.total_calls(), 0);
}

/// A run that outlasts its access token renews it on the way, and nothing fails.
#[tokio::test(start_paused = true)]
async fn a_login_is_renewed_in_the_middle_of_a_run() {
    let tenant = two_users();
    for n in 0..60 {
        tenant.root().docx(&format!("第{n}页"));
    }
    tenant.latency(Duration::from_secs(50));
    let mirror = with_profile(&tenant).await;
    mirror.configure(&format!("[limits]\nconcurrency = 1\n{SOURCES}"));
    mirror.log_in("default", "demo");
    let began = tenant.clock().now_secs();
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!(run.count("failed"), 0);
    let took = tenant.clock().now_secs() - began;
    assert!(took > 7200, "longer than a token lives: {took} s");
    let renewals = usize::try_from(took / 6900).unwrap();
    assert!((1..=renewals).contains(&tenant.calls("POST", "/authen/v2/oauth/token")));
    let refused = tenant.call_log().into_iter().find(|call| call.code > 99_991_400);
    assert!(refused.is_none(), "renewed before it ended: {refused:?}");
}

/// A token that ends before its time is renewed when the service says so, once.
#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let tenant = two_users();
    for code in [99_991_663, 99_991_668, 99_991_677] {
        let mirror = with_profile(&tenant).await;
        mirror.log_in("default", "demo");
        tenant.fault(
            Fault::new("GET", "/drive/v1/files", Effect::Status { http: 401, code }).times(1),
        );
        tenant.forget_calls();
        mirror.sync().await.success();
        assert_eq!(tenant.calls("POST", "/authen/v2/oauth/token"), 1, "{code}");
        tenant.calm();
    }

    let mirror = with_profile(&tenant).await;
    mirror.log_in("default", "demo");
    let refuse = Effect::Status { http: 401, code: 99_991_668 };
    tenant.fault(Fault::new("GET", "/drive/v1/files", refuse));
    tenant.forget_calls();
    mirror.sync().await.exits(4);
    assert_eq!(tenant.calls("POST", "/authen/v2/oauth/token"), 1, "not again and again");
}

/// A mirror that begins anew with `--init` is somebody's again from its first run on.
#[tokio::test(start_paused = true)]
async fn a_new_manifest_learns_whose_it_is() {
    let tenant = two_users();
    let mirror = with_profile(&tenant).await;
    mirror.log_in("default", "demo");
    mirror.sync().await.success();
    std::fs::remove_file(mirror.state("root.json")).unwrap();
    mirror.run(&["sync", "--init"]).await.success();
    mirror.run(&["auth", "logout"]).await.success();
    mirror.sync().await.exits(4).says(&["demo", "feishu-mirror auth login"]);
}

/// A library needs a user; a mirror of the app does not become one by a login alone, and
/// the hint says what does.
#[tokio::test(start_paused = true)]
async fn a_library_needs_a_user_and_the_hint_works() {
    let tenant = two_users();
    tenant.my_library().docx("日记");
    let mirror = with_profile(&tenant).await;
    mirror.sync().await.success();
    let library = "[[source]]\nname = \"mine\"\nkind = \"wiki\"\nspace = \"my_library\"\n";
    mirror.configure(&format!("{SOURCES}{library}"));
    mirror.log_in("default", "demo");
    mirror.sync().await.exits(4).says(&["mine", "--accept-identity-change"]);
    mirror.run(&["sync", "--accept-identity-change"]).await.success();
    assert!(mirror.path("mine/日记.docx").exists());
}

/// What the command line says against itself is a wrong command line.
#[tokio::test(start_paused = true)]
async fn a_user_for_the_apps_calls_is_a_contradiction() {
    let tenant = two_users();
    let mut mirror = with_profile(&tenant).await;
    mirror.log_in("default", "demo");
    mirror.run(&["auth", "token", "--as", "app", "--user", "demo"]).await.exits(64);
    mirror.configure(&format!("identity = \"app\"\n{SOURCES}"));
    mirror.run(&["sync", "--user", "demo"]).await.exits(64).says(&["--user", "app"]);
    mirror.run(&["sync"]).await.success();
    mirror.configure(SOURCES);
    mirror.vars.insert(TOKEN.to_owned(), li());
    mirror.run(&["sync"]).await.success().says(&[TOKEN, "is not used", "the app's"]);
}
