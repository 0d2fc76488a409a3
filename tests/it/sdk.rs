//! The simulated tenant must agree with the official Python SDK: what the SDK's own
//! models read from it is what the tenant holds.
//!
//! The SDK comes from `PyPI` into a virtual environment under `target/`, once. Where
//! that cannot be done, the test says so on stderr and passes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use feishu_mirror::clock::Clock;
use feishu_mirror::sim::{APP_ID, APP_SECRET, Quotas, Tenant, USER_TOKEN, serve};
use serde_json::{Value, json};

use crate::support::program::{Program, Served};

/// The SDK on `PyPI`. Pinned: another version may read replies in another way.
const SDK: &str = "lark-oapi==1.7.5";

/// A Python that has the SDK, or why there is none.
fn python() -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(SDK.replace("==", "-"));
    let python = venv.join("bin/python");
    let ready = venv.join("installed");
    if ready.exists() {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&python).args(pip).args(["--retries", "1", "--timeout", "15", SDK]))?;
    std::fs::write(&ready, SDK).map_err(|e| format!("{}: {e}", ready.display()))?;
    Ok(python)
}

/// What a program printed, or why it failed.
fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("cannot start {program}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed ({}): {}", output.status, text.trim()))
}

/// The same, or a word on stderr that the test is skipped.
async fn python_or_skip() -> Option<PathBuf> {
    // Two tests want it, and one makes it.
    static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _making = MAKING.lock().await;
    match tokio::task::spawn_blocking(python).await.unwrap() {
        Ok(python) => Some(python),
        Err(why) => {
            // Not through the print macros: the test harness would swallow it.
            let why = why.lines().last().unwrap_or_default();
            let text = format!("SKIPPED: an SDK test did not run, no {SDK} from PyPI: {why}\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            None
        }
    }
}

/// A token that `auth token` prints is one that the official SDK can call with.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_sdk_takes_a_token_of_ours() {
    let Some(python) = python_or_skip().await else { return };
    let served = Served::start().await;
    let tenant = served.tenant.clone();
    tenant.root().docx("周报");
    let program = Program::new(&served);
    let base = served.base();
    let printed = tokio::task::spawn_blocking(move || {
        program.add_profile();
        program.log_in(&tenant, "demo");
        let token = program.command(&["auth", "token", "--as", "user"]).output().unwrap();
        assert!(token.status.success(), "{token:?}");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sdk/whoami.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([&base, APP_ID, APP_SECRET])
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
            .env("PYTHONUTF8", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&token.stdout).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    })
    .await
    .unwrap();
    let got: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(got, json!({"user": "demo", "root": ["周报"]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_sdk_reads_the_tenant() {
    let Some(python) = python_or_skip().await else { return };

    let tenant = Tenant::new(Clock::system());
    tenant.quotas(Quotas::official().times(100.0));
    tenant.exports_take(Some(std::time::Duration::from_millis(60)));
    let plans = tenant.root().folder("Plans");
    tenant.root().upload("a.pdf", "%PDF-");
    let doc = plans.docx("Roadmap 路线图").text("第一行\nsecond");
    let image = doc.image("图.png", "pixels");
    plans.sheet("Budget").tabs(&["一月", "Feb"]);
    plans.bitable("Feedback").tabs(&["Tickets"]);
    plans.upload("说明.json", r#"{"code": 5}"#);
    plans.shortcut_to(&doc).titled("Link");
    let space = tenant.space("Handbook");
    let home = space.docx("Home");
    home.docx("Rules").sheet("Rates");
    space.shortcut_to(&home);
    space.slides("Deck");

    let (addr, _serving) = serve(tenant.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sdk/drive.py");
    let printed = tokio::task::spawn_blocking(move || {
        run(Command::new(python)
            .arg(script)
            .args([&format!("http://{addr}"), APP_ID, APP_SECRET, USER_TOKEN])
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
            .env("PYTHONUTF8", "1"))
    })
    .await
    .unwrap()
    .unwrap();
    let mut got: Value = serde_json::from_str(&printed).unwrap();

    let (docx, xlsx) = (got["docx"].take(), got["xlsx"].take());
    for product in [&docx, &xlsx] {
        assert_eq!(product["head"], "504b0304", "a zip");
        assert!(product["bytes"].as_u64().unwrap() > 1000);
    }
    assert_eq!(docx["name"], "Roadmap 路线图.docx");
    let expected = json!({
        "root": [["Plans", "folder"], ["a.pdf", "file"]],
        "pages": 3,
        "plans": [
            ["Budget", "sheet"],
            ["Feedback", "bitable"],
            ["Link", "shortcut"],
            ["Roadmap 路线图", "docx"],
            ["说明.json", "file"],
        ],
        "shortcut": ["docx", doc.token()],
        "times": [doc.edit_time(), doc.edit_time()],
        "docx": null,
        "xlsx": null,
        "file": ["说明.json", r#"{"code": 5}"#],
        "revision": 1,
        "texts": ["第一行", "second"],
        "image": ["图.png", "pixels"],
        "links": [true],
        "metas": [["Roadmap 路线图", "docx"]],
        "failed": [970_005],
        "sheets": ["一月", "Feb"],
        "tables": ["Tickets"],
        "spaces": ["Handbook"],
        "wiki": [
            [0, "Home", "docx", "origin"],
            [1, "Rules", "docx", "origin"],
            [2, "Rates", "sheet", "origin"],
            [0, "Home", "docx", "shortcut"],
            [0, "Deck", "slides", "origin"],
        ],
        "node": ["Home", true],
        "user": "demo",
        "missing": 1_061_003,
    });
    assert_eq!(got, expected);
    assert_eq!(tenant.rate_limited(), 0);
    assert_eq!(tenant.calls("GET", &format!("/drive/v1/medias/{image}/download")), 1);
    assert_eq!(tenant.calls("POST", "/drive/v1/export_tasks"), 2);
}
