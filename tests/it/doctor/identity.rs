//! `doctor` fails where sync refuses, and says what a login beside an app's mirror is good
//! for.

use feishu_mirror::sim::CANARY;

use super::{DAY, NAMES, by_app, by_user, holds, only, told};
use crate::support::{Mirror, SOURCES, tenant};

fn set_identity(mirror: &Mirror, identity: &str) {
    mirror.configure(SOURCES);
    let file = mirror.folder().join("mirror.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("[account]\n", &format!("[account]\nidentity = \"{identity}\"\n"));
    std::fs::write(file, text).unwrap();
}

/// An app's mirror and a user's login: idle where nothing was asked for, refused where
/// the config asks for the user.
#[tokio::test(start_paused = true)]
async fn an_apps_mirror_and_a_users_login() {
    let tenant = tenant();
    tenant.root().docx("周报");
    let mirror = by_app(&tenant, SOURCES);
    mirror.sync().await.success();
    mirror.log_in("default", "demo");
    let words = ["made by the app", "demo", "feishu-mirror sync --accept-identity-change"];
    holds(only(&mirror, "user_token").await, "user_token", "warn", &words);

    set_identity(&mirror, "app");
    holds(only(&mirror, "user_token").await, "user_token", "skip", &["identity = \"app\""]);
    set_identity(&mirror, "user");
    mirror.sync().await.exits(1);
    let run = mirror.run(&["doctor", "--json"]).await;
    let words = ["now it is the user demo", "--accept-identity-change"];
    holds(run, "credentials", "fail", &words);
}

/// The other way round.
#[tokio::test(start_paused = true)]
async fn a_users_mirror_and_the_app() {
    let tenant = tenant();
    tenant.root().docx("周报");
    let mirror = by_user(&tenant, SOURCES);
    mirror.sync().await.success();
    set_identity(&mirror, "app");
    mirror.sync().await.exits(1);
    let words = ["now it is the app itself", "--accept-identity-change"];
    holds(only(&mirror, "credentials").await, "credentials", "fail", &words);

    let run = mirror.run(&["doctor"]).await.exits(1);
    assert!(run.out.contains("→ use the identity from before"), "{}", run.out);
}

/// A user who is not there is no pass of the check that was asked for.
#[tokio::test(start_paused = true)]
async fn a_user_who_is_not_there() {
    let tenant = tenant();
    let mirror = by_user(&tenant, SOURCES);
    let args = ["doctor", "--json", "--only", "user_token", "--user", "nobody"];
    holds(mirror.run(&args).await, "user_token", "fail", &["nobody", "demo"]);
    let run = mirror.run(&["doctor", "--json", "--user", "nobody"]).await.exits(1);
    let failed: Vec<&str> = NAMES.into_iter().filter(|name| told(&run, name).0 == "fail").collect();
    assert_eq!(failed, ["credentials"], "one cause, one failure");
}

/// A wrong app secret is one failure, with the command that stores the right one.
#[tokio::test(start_paused = true)]
async fn a_wrong_app_secret() {
    let tenant = tenant();
    tenant.root().docx("周报");
    let mirror = by_app(&tenant, SOURCES);
    tenant.reset_secret(&format!("another-{CANARY}"));
    let run = mirror.run(&["doctor", "--json"]).await.exits(1);
    let failed: Vec<&str> = NAMES.into_iter().filter(|name| told(&run, name).0 == "fail").collect();
    assert_eq!(failed, ["credentials"]);
    let (_, text) = told(&run, "credentials");
    assert!(text.contains("feishu-mirror profile add default --app-id"), "{text}");
    assert!(text.contains("--domain http://127.0.0.1:9") && !text.contains("doctor"), "{text}");
    let (status, text) = told(&run, "scopes");
    assert_eq!((status.as_str(), text.trim()), ("skip", "not looked at: the app is not accepted"));

    // A login cannot be renewed then, and logging in again would not help.
    mirror.log_in("default", "demo");
    tenant.jump(DAY);
    holds(only(&mirror, "user_token").await, "user_token", "fail", &["profile add default"]);
}

/// Only the first line of a hint has an arrow.
#[tokio::test(start_paused = true)]
async fn a_hint_of_several_lines_is_one_hint() {
    let tenant = tenant();
    let mut mirror = Mirror::of(&tenant);
    mirror.vars.remove(super::TOKEN);
    let run = mirror.run(&["doctor", "--only", "credentials"]).await.exits(1);
    assert!(run.out.contains("\n    → store your app"), "{}", run.out);
    assert!(run.out.contains("\n      then, for a user's own library"), "{}", run.out);
    assert_eq!(run.out.matches('→').count(), 1, "{}", run.out);
}
