//! What `auth status`, `auth token` and `api` say and do is what the next run does.

use feishu_mirror::sim::USER_TOKEN;
use serde_json::{Value, json};

use super::{one, profiles, with_logins};
use crate::support::{Mirror, SOURCES, tenant};

const TOKEN: &str = "FEISHU_USER_ACCESS_TOKEN";
const ACCEPT: &str = "feishu-mirror sync --accept-identity-change";

/// `identity` in `[account]`, which `configure` writes.
fn set_identity(mirror: &Mirror, identity: &str) {
    let file = mirror.folder().join("mirror.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("[account]\n", &format!("[account]\nidentity = \"{identity}\"\n"));
    std::fs::write(file, text).unwrap();
}

async fn note(mirror: &Mirror) -> String {
    let status = one(mirror, &["auth", "status"]).await;
    status["note"].as_str().unwrap_or_default().to_owned()
}

async fn token_of(mirror: &Mirror) -> Value {
    let run = mirror.run_for_secrets(&["auth", "token", "--json"], "").await.success();
    run.events()[0]["identity"].clone()
}

/// The name that `api` is answered for, asked as whoever `--as auto` is; an app is none.
async fn asked_as(mirror: &Mirror) -> u8 {
    mirror.run(&["api", "GET", "/authen/v1/user_info"]).await.code
}

/// A mirror that was made by the app stays the app's, and a login in its profile is idle.
#[tokio::test(start_paused = true)]
async fn a_login_beside_an_apps_mirror_has_no_effect() {
    let tenant = tenant();
    tenant.root().docx("周报");
    let mirror = with_logins(&tenant, &[]);
    mirror.sync().await.success();
    mirror.log_in("default", "demo");
    assert!(note(&mirror).await.contains("this mirror was made by the app"));
    mirror.run(&["auth", "status"]).await.success().says(&["made by the app", ACCEPT]);
    assert_eq!(token_of(&mirror).await, "app");
    assert_eq!(asked_as(&mirror).await, 1);

    mirror.run(&["sync", "--accept-identity-change"]).await.success();
    assert_eq!(note(&mirror).await, "");
    assert_eq!(token_of(&mirror).await, "user");
    assert_eq!(asked_as(&mirror).await, 0);
}

/// The config decides, also for `--as auto`.
#[tokio::test(start_paused = true)]
async fn the_configs_identity_holds_for_all() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    set_identity(&mirror, "app");
    assert!(note(&mirror).await.contains("identity = \"app\" in the config"));
    assert_eq!(token_of(&mirror).await, "app");
    assert_eq!(asked_as(&mirror).await, 1);
    // Looking at one of several users asks for no run.
    let looked = mirror.run(&["auth", "status", "--user", "demo"]).await.success();
    looked.says(&["identity = \"app\" in the config"]);

    mirror.configure(SOURCES);
    set_identity(&mirror, "user");
    assert_eq!(note(&mirror).await, "");
    mirror.run(&["auth", "logout"]).await.success();
    mirror.run(&["auth", "token"]).await.exits(4).says(&["feishu-mirror auth login"]);
    mirror.sync().await.exits(4);
    let human = mirror.run(&["auth", "status"]).await.success();
    let head = "not logged in: runs end with exit 4 until somebody logs in\n";
    assert!(human.out.starts_with(head), "{}", human.out);
    let status = one(&mirror, &["auth", "status"]).await;
    assert_eq!((&status["logged_in"], &status["identity"]), (&json!(false), &json!("app")));
    let note = status["note"].as_str().unwrap();
    assert!(note.contains("exit 4") && note.contains("feishu-mirror auth login"), "{note}");
}

/// Where a run refuses, `--as auto` refuses, and `--as` decides.
#[tokio::test(start_paused = true)]
async fn where_a_run_refuses_as_decides() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    mirror.sync().await.success();
    set_identity(&mirror, "app");
    mirror.sync().await.exits(1);
    assert!(note(&mirror).await.contains("runs end with exit 1: this mirror was made with"));
    let run = mirror.run(&["auth", "token"]).await.exits(1);
    run.says(&["another identity", "--as user or --as app"]);
    let user = mirror.run_for_secrets(&["auth", "token", "--as", "user"], "").await;
    user.success();
}

/// A token in the environment is the runs' identity, though nobody is logged in.
#[tokio::test(start_paused = true)]
async fn a_token_in_the_environment_is_said_once() {
    let tenant = tenant();
    let mut mirror = with_logins(&tenant, &[]);
    mirror.vars.insert(TOKEN.to_owned(), USER_TOKEN.to_owned());
    let said = note(&mirror).await;
    assert!(said.contains("runs use the token in FEISHU_USER_ACCESS_TOKEN"), "{said}");
    assert!(!said.contains("app's identity"), "{said}");
    let human = mirror.run(&["auth", "status"]).await.success();
    assert!(human.out.starts_with("not logged in: runs use the token in"), "{}", human.out);
    assert!(!human.out.contains("app's identity"), "{}", human.out);

    mirror.log_in("default", "demo");
    assert!(note(&mirror).await.contains("runs use the token in"));
    mirror.run(&["auth", "logout"]).await.success();
    set_identity(&mirror, "app");
    assert!(note(&mirror).await.contains("the app's identity, not the token in"));
}

/// A profile that is not there is not one without a user.
#[tokio::test(start_paused = true)]
async fn a_profile_that_is_not_there_is_named_with_its_command() {
    let tenant = tenant();
    let mut mirror = with_logins(&tenant, &[]);
    mirror.vars.insert("FEISHU_MIRROR_PROFILE".to_owned(), "zzz".to_owned());
    for command in ["status", "users"] {
        let run = mirror.run(&["auth", command]).await.success();
        run.says(&["there is no profile \"zzz\"", "feishu-mirror profile add zzz --app-id"]);
    }
    assert!(note(&mirror).await.contains("profile add zzz"));
    assert_eq!(profiles(&mirror).names().unwrap(), ["default"]);
}

/// A call that takes the other kind of token is no matter of logging in where one is.
#[tokio::test(start_paused = true)]
async fn a_call_for_users_says_as_user() {
    let tenant = tenant();
    let mirror = with_logins(&tenant, &["demo"]);
    let call = ["api", "GET", "/authen/v1/user_info", "--as", "app"];
    mirror.run(&call).await.exits(1).says(&["--as user"]);
    let call = ["api", "GET", "/application/v6/scopes", "--as", "user"];
    mirror.run(&call).await.exits(1).says(&["--as app"]);
    mirror.run(&["auth", "logout"]).await.success();
    mirror.run(&["api", "GET", "/authen/v1/user_info", "--as", "app"]).await.exits(4);

    let run = mirror.run(&["api", "GET", "/application/v6/scopes", "-o", "none/x"]).await.exits(1);
    run.says(&["there is no folder", "mkdir -p"]);
}
