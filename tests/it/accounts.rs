//! Accounts as people have them, with the real binary over loopback: one login for
//! forty nights, many processes with one login, a process that dies while it renews.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use feishu_mirror::sim::{Effect, Fault, Tenant};
use serde_json::Value;

use crate::support::Snapshot;
use crate::support::program::{Login, Program, Ran, Served};
use crate::support::{browser, scale};

const DAY: Duration = Duration::from_secs(86_400);
const RENEWALS: (&str, &str) = ("POST", "/authen/v2/oauth/token");

/// Everything below a folder, the program's own state included.
fn everything(program: &Program) -> Vec<(String, Vec<u8>)> {
    let walk = walkdir::WalkDir::new(program.folder()).sort_by_file_name();
    let files = walk.into_iter().filter_map(Result::ok).filter(|e| e.file_type().is_file());
    files.map(|e| (e.path().display().to_string(), fs::read(e.path()).unwrap())).collect()
}

/// From an empty home to forty nights: one login, no other. Then it is revoked, and the
/// next run says so and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn one_login_serves_forty_nights() {
    let served = Served::start().await;
    let tenant = served.tenant.clone();
    tenant.root().docx("周报").text("第一周");
    let program = Program::new(&served);
    tokio::task::spawn_blocking(move || {
        program.add_profile();
        log_in_by_browser_or_paste(&program, &tenant);
        program.run(&["sync"]).success();
        assert!(program.folder().join("mirror/drive/周报.docx").exists());

        for night in 1..=40 {
            tenant.jump(DAY);
            tenant.forget_calls();
            program.run(&["sync", "-q"]).success();
            assert_eq!(tenant.calls(RENEWALS.0, RENEWALS.1), 1, "night {night}");
        }

        tenant.revoke_user("demo");
        tenant.jump(DAY);
        let before = everything(&program);
        let ran = program.run(&["sync"]).exits(4);
        assert!(ran.err.contains("feishu-mirror auth login"), "{}", ran.err);
        assert_eq!(everything(&program), before, "nothing on disk changed");
    })
    .await
    .unwrap();
}

/// Through a real browser where there is one.
fn log_in_by_browser_or_paste(program: &Program, tenant: &Tenant) {
    let mut chromium = match browser::Chromium::start() {
        Ok(chromium) => chromium,
        Err(why) => {
            browser::say_skipped(&why);
            program.log_in(tenant, "demo");
            return;
        }
    };
    let port = browser::free_port().to_string();
    tenant.redirect_uri(&format!("http://localhost:{port}/callback"));
    let args = ["auth", "login", "--json", "--port", &port];
    let mut login = Login::start(program.command(&args));
    chromium.open(&login.link());
    chromium.click("#allow");
    let page = chromium.text_after_leaving("/authorize");
    assert!(page.contains("feishu-mirror"), "{page}");
    let ran = login.end().success();
    let last: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "authorization_complete");
    assert_eq!(last["missing_scopes"], serde_json::json!([]));
}

/// Twenty runs start at the same moment with an expired token: one renews it, and all of
/// them go on with the new one.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_processes_spend_one_refresh_token() {
    let served = Served::start().await;
    let tenant = served.tenant.clone();
    let program = Program::new(&served);
    tokio::task::spawn_blocking(move || {
        program.add_profile();
        program.log_in(&tenant, "demo");
        for _ in 0..scale(1, 10) {
            tenant.jump(3 * DAY / 24);
            tenant.forget_calls();
            let start = || {
                let mut command = program.command(&["api", "GET", "/authen/v1/user_info"]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            };
            let children: Vec<_> = (0..20).map(|_| start()).collect();
            for child in children {
                let ran = Ran::of(child.wait_with_output().unwrap()).success();
                assert!(ran.out.contains("\"demo\""), "{}", ran.out);
            }
            assert_eq!(tenant.calls(RENEWALS.0, RENEWALS.1), 1);
            assert_eq!(tenant.calls("GET", "/authen/v1/user_info"), 20);
        }
    })
    .await
    .unwrap();
}

/// A process that dies while it renews, at every step: what is stored is the old login
/// or the new one, whole; and from the rename on it is the new one, which works.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_dies_leaves_a_whole_login() {
    let served = Served::start().await;
    let tenant = served.tenant.clone();
    let program = Program::new(&served);
    tokio::task::spawn_blocking(move || {
        program.add_profile();
        let steps = ["reply", "created", "written", "synced", "renamed", "folder-synced"];
        for step in steps {
            program.log_in(&tenant, "demo");
            let users = program.profile("users");
            let stored = || {
                let files = fs::read_dir(&users).unwrap().map(|entry| entry.unwrap().path());
                let file =
                    files.into_iter().find(|path| path.extension().is_some_and(|e| e == "json"));
                let text = fs::read_to_string(file.expect("a stored login")).unwrap();
                serde_json::from_str::<Value>(&text).expect("a whole one")
            };
            let before = stored();
            tenant.jump(DAY);
            let mut command = program.command(&["api", "GET", "/authen/v1/user_info"]);
            command.env("FEISHU_MIRROR_DIE_AT", step);
            assert_eq!(Program::finish(command).code, None, "{step}: killed");

            let after = stored();
            let ran = program.run(&["api", "GET", "/authen/v1/user_info"]);
            if matches!(step, "renamed" | "folder-synced") {
                assert_ne!(before["refresh_token"], after["refresh_token"], "{step}");
                ran.success();
            } else {
                assert_eq!(before, after, "{step}: the old login is still the stored one");
                ran.exits(4).says(&["feishu-mirror auth login"]);
                assert_eq!(stored(), before, "{step}: a refused renewal erases nothing");
            }
        }
    })
    .await
    .unwrap();
}

/// Nothing answers: the run fails, and what is stored stays, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_without_a_network_keeps_the_login() {
    let served = Served::start().await;
    let tenant = served.tenant.clone();
    let program = Program::new(&served);
    tokio::task::spawn_blocking(move || {
        program.add_profile();
        program.log_in(&tenant, "demo");
        tenant.jump(DAY);
        tenant.root().docx("周报");
        tenant.fault(Fault::new(RENEWALS.0, RENEWALS.1, Effect::Reset));
        let before = Snapshot::of(&program.profile(""));
        program.run(&["sync"]).exits(1);
        assert!(before.changed(&Snapshot::of(&program.profile(""))).is_empty());
        tenant.calm();
        program.run(&["sync"]).success();
    })
    .await
    .unwrap();
}

/// The most talkative log has no secret in it, whatever is done.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_no_secret() {
    let served = Served::start().await;
    let tenant = served.tenant.clone();
    tenant.root().docx("周报");
    tenant.root().upload("a.pdf", "%PDF-");
    let program = Program::new(&served);
    tokio::task::spawn_blocking(move || {
        program.add_profile();
        let loud = |args: &[&str]| {
            let mut command = program.command(args);
            command.env("RUST_LOG", "trace");
            command
        };
        let mut login = Login::start(loud(&["auth", "login", "--no-browser", "--json", "-vvv"]));
        let back = tenant.approve_login(&login.link(), "demo");
        login.paste(&back);
        login.end().success();
        let ran = Program::finish(loud(&["sync", "-vvv"])).success();
        assert!(ran.err.contains("export_tasks"), "it does talk");
        tenant.jump(DAY);
        Program::finish(loud(&["sync", "-vvv"])).success();
        Program::finish(loud(&["auth", "status", "--verify", "-vvv"])).success();
        tenant.revoke_user("demo");
        tenant.jump(DAY);
        Program::finish(loud(&["sync", "-vvv"])).exits(4);
        Program::finish(loud(&["doctor", "-vvv"])).exits(1);
        Program::finish(loud(&["auth", "logout", "--force", "-vvv"])).success();
    })
    .await
    .unwrap();
}
