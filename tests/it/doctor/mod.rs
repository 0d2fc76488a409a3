//! `doctor`: each check made to pass, warn and fail, as far as each can; what it says of
//! a refused call; and that it changes nothing and shows no secret.

mod identity;
mod scopes;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use feishu_mirror::auth::profiles::{Profile, Profiles};
use feishu_mirror::feishu::oauth::AppKey;
use feishu_mirror::model::RelPath;
use feishu_mirror::model::account::Domain;
use feishu_mirror::model::recorded::Loc;
use feishu_mirror::sim::{APP_ID, APP_SECRET, CANARY, Effect, Fault, Tenant, USER_TOKEN};
use feishu_mirror::store::{self, Act, Intent, Store};
use serde_json::Value;

use crate::support::program::{Program, Served};
use crate::support::{Mirror, Run, SOURCES, tenant};
use feishu_mirror::faults::Faults;

const NAMES: [&str; 10] = [
    "config_file",
    "credentials",
    "user_token",
    "scopes",
    "endpoint_open",
    "endpoint_accounts",
    "proxy",
    "clock",
    "state",
    "disk",
];

const DAY: Duration = Duration::from_secs(86_400);
const TOKEN: &str = "FEISHU_USER_ACCESS_TOKEN";

/// The app in a profile, and nobody logged in.
fn by_app(tenant: &Tenant, config: &str) -> Mirror {
    let mut mirror = Mirror::with(tenant, config);
    mirror.vars.remove(TOKEN);
    let app = AppKey { id: APP_ID.to_owned(), secret: APP_SECRET.to_owned().into() };
    let address = "http://127.0.0.1:9".to_owned();
    let domain = Domain { open: address.clone(), accounts: address };
    profiles(&mirror).add("default", &app, &domain).unwrap();
    mirror
}

/// A user who logged in to the profile.
fn by_user(tenant: &Tenant, config: &str) -> Mirror {
    let mirror = by_app(tenant, config);
    mirror.log_in("default", "demo");
    mirror
}

fn profiles(mirror: &Mirror) -> Profiles {
    Profiles::at(&mirror.folder().join("home"))
}

fn profile(mirror: &Mirror) -> Profile {
    profiles(mirror).get("default").unwrap()
}

/// What one check says: status, then message and hint.
#[track_caller]
fn told(run: &Run, name: &str) -> (String, String) {
    let report = run.events().pop().unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in {report}"));
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    (text("status"), format!("{}\n{}", text("message"), text("hint")))
}

/// Runs doctor and looks at one check; the exit code follows from it alone.
#[track_caller]
fn holds(run: Run, name: &str, status: &str, words: &[&str]) {
    let run = run.exits(u8::from(status == "fail"));
    let (got, text) = told(&run, name);
    assert_eq!(got, status, "{name}: {text}");
    for word in words {
        assert!(text.contains(word), "{name}: {word:?} is not in {text}");
    }
}

async fn only(mirror: &Mirror, name: &str) -> Run {
    mirror.run(&["doctor", "--json", "--only", name]).await
}

/// Every file and folder below, with its content.
fn everything(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let content = entry.file_type().is_file().then(|| std::fs::read(entry.path()).unwrap());
            (entry.path().display().to_string(), content)
        })
        .collect()
}

/// With a login, everything in order: ten checks in their order, the documented keys and
/// no others, and nothing changed on disk, not even a folder made.
#[tokio::test(start_paused = true)]
async fn a_healthy_mirror_passes_every_check() {
    let tenant = tenant();
    tenant.root().docx("周报");
    tenant.space("手册").docx("首页");
    let mirror = by_user(&tenant, SOURCES);
    let before = everything(mirror.folder());
    let run = mirror.run(&["doctor", "--json"]).await.success();
    assert_eq!(everything(mirror.folder()), before);

    assert_eq!(run.out.lines().count(), 1);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&report), ["checks", "ok"]);
    assert_eq!(report["ok"], true);
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    for check in checks {
        assert_eq!(keys(check), ["hint", "message", "name", "status"], "{check}");
        assert_eq!(check["status"], "pass", "{check}");
        assert!(check["hint"].is_null(), "{check}");
        assert!(!check["message"].as_str().unwrap().is_empty());
    }

    // For people: a line a check.
    let run = mirror.run(&["doctor"]).await.success();
    assert_eq!(run.out.lines().count(), NAMES.len(), "{}", run.out);
    assert!(run.out.lines().all(|line| line.starts_with('✓')), "{}", run.out);
    mirror.sync().await.success();
    let before = everything(mirror.folder());
    mirror.run(&["doctor"]).await.success().says(&["the manifest opens", "3 places"]);
    assert_eq!(everything(mirror.folder()), before);
}

/// The app needs no user.
#[tokio::test(start_paused = true)]
async fn an_app_needs_no_user_token() {
    let tenant = tenant();
    tenant.root().docx("周报");
    tenant.space("手册").docx("首页");
    let run = by_app(&tenant, SOURCES).run(&["doctor", "--json"]).await.success();
    for name in NAMES {
        let want = if name == "user_token" { "skip" } else { "pass" };
        assert_eq!(told(&run, name).0, want, "{name}: {}", told(&run, name).1);
    }
}

/// Only what was asked for, in the order of the table; an unknown name is a wrong command
/// line, and the message has the right ones.
#[tokio::test(start_paused = true)]
async fn only_the_named_checks_are_made() {
    let tenant = tenant();
    let mirror = by_app(&tenant, SOURCES);
    let run =
        mirror.run(&["doctor", "--json", "--only", "disk, proxy", "--offline"]).await.success();
    let report = run.events().pop().unwrap();
    let names: Vec<&Value> =
        report["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["proxy", "disk"]);

    tenant.forget_calls();
    only(&mirror, "state").await.success();
    assert_eq!(tenant.total_calls(), 0, "nothing of that is on the network");
    let run = mirror.run(&["doctor", "--only", "disc"]).await.exits(64);
    run.says(&["disc"]).says(&NAMES);
}

/// `--offline` makes no call at all and judges what can be judged without.
#[tokio::test(start_paused = true)]
async fn offline_makes_no_call() {
    let tenant = tenant();
    let mirror = by_user(&tenant, SOURCES);
    tenant.forget_calls();
    let run = mirror.run(&["doctor", "--json", "--offline"]).await.success();
    assert_eq!(tenant.total_calls(), 0);
    for name in NAMES {
        let network = ["scopes", "endpoint_open", "endpoint_accounts", "clock"].contains(&name);
        let want = if network { "skip" } else { "pass" };
        assert_eq!(told(&run, name).0, want, "{name}: {}", told(&run, name).1);
    }
}

/// A config that is not there, wrong, or open to everybody. Where it is wrong, no call is
/// made: it may have meant other hosts.
#[tokio::test(start_paused = true)]
async fn config_file() {
    let tenant = tenant();
    let mirror = by_app(&tenant, SOURCES);
    holds(only(&mirror, "config_file").await, "config_file", "pass", &["mirror.toml", "2 sources"]);

    let file = mirror.folder().join("mirror.toml");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o646)).unwrap();
        holds(only(&mirror, "config_file").await, "config_file", "warn", &["chmod o-w"]);
    }
    std::fs::write(&file, "[limits]\nconcurency = 3\n").unwrap();
    tenant.forget_calls();
    let run = mirror.run(&["doctor", "--json"]).await.exits(1);
    let (status, text) = told(&run, "config_file");
    assert_eq!(status, "fail");
    assert!(text.contains("concurency") && text.contains("mirror.toml:2"), "{text}");
    for name in NAMES.into_iter().skip(1) {
        assert_eq!(told(&run, name).0, "skip", "{name}");
    }
    assert_eq!(tenant.total_calls(), 0);

    std::fs::remove_file(&file).unwrap();
    holds(only(&mirror, "config_file").await, "config_file", "fail", &["feishu-mirror init"]);
}

#[tokio::test(start_paused = true)]
async fn credentials() {
    let tenant = tenant();
    let mut mirror = by_app(&tenant, SOURCES);
    holds(only(&mirror, "credentials").await, "credentials", "pass", &[APP_ID, "accepted"]);

    tenant.fault(Fault::new("GET", "/application/v6/scopes", Effect::status(500, 2200)));
    holds(only(&mirror, "credentials").await, "credentials", "warn", &["could not be checked"]);
    tenant.calm();

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = mirror.folder().join("home/profiles/default/profile.json");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        let run = only(&mirror, "credentials").await;
        holds(run, "credentials", "warn", &["profile.json was open to others", "new app secret"]);
        holds(only(&mirror, "credentials").await, "credentials", "pass", &[]);
    }

    tenant.reset_secret(&format!("another-{CANARY}"));
    holds(only(&mirror, "credentials").await, "credentials", "fail", &["secret", "凭证与基础信息"]);
    profiles(&mirror).remove("default").unwrap();
    holds(only(&mirror, "credentials").await, "credentials", "fail", &["profile add"]);
    mirror.vars.insert(TOKEN.to_owned(), USER_TOKEN.to_owned());
    holds(only(&mirror, "credentials").await, "credentials", "pass", &[TOKEN]);
}

/// A stored login: its year, its refresh token, its end.
#[tokio::test(start_paused = true)]
async fn user_token() {
    let tenant = tenant();
    let mut mirror = by_user(&tenant, SOURCES);
    let name = "user_token";
    holds(only(&mirror, name).await, name, "pass", &["demo is logged in", "days more"]);

    // Renewed every night, it still ends after a year.
    let stored = profile(&mirror).login(None).unwrap().unwrap();
    let mut old = stored.clone();
    old.granted_at -= 355 * 86_400;
    profile(&mirror).store(&old).unwrap();
    holds(only(&mirror, name).await, name, "warn", &["in 10 days", "feishu-mirror auth login"]);
    let mut single = stored.clone();
    (single.refresh_token, single.refresh_expires_at) = (None, None);
    profile(&mirror).store(&single).unwrap();
    holds(only(&mirror, name).await, name, "warn", &["offline_access", "安全设置"]);

    // Due, and renewed by the check; then revoked.
    profile(&mirror).store(&stored).unwrap();
    tenant.jump(3 * DAY);
    holds(only(&mirror, name).await, name, "pass", &["demo is logged in"]);
    tenant.revoke_user("demo");
    tenant.jump(DAY);
    holds(only(&mirror, name).await, name, "fail", &["feishu-mirror auth login"]);
    tenant.jump(30 * DAY);
    let run = mirror.run(&["doctor", "--json", "--offline", "--only", name]).await;
    holds(run, name, "fail", &["expired", "feishu-mirror auth login"]);

    mirror.vars.insert(TOKEN.to_owned(), USER_TOKEN.to_owned());
    holds(only(&mirror, name).await, name, "warn", &["demo is accepted", "two hours"]);
    mirror.vars.insert(TOKEN.to_owned(), format!("u-wrong-{CANARY}"));
    holds(only(&mirror, name).await, name, "fail", &["not accepted"]);
}

#[tokio::test(start_paused = true)]
async fn endpoints() {
    let tenant = tenant();
    let mut mirror = by_app(&tenant, SOURCES);
    let (open, accounts) = ("endpoint_open", "endpoint_accounts");
    let cases = [
        (Effect::status(503, 2200), "warn", "warn", "HTTP 503"),
        (Effect::Html, "fail", "pass", ""),
        (Effect::Unreachable, "fail", "fail", "cannot reach http://127.0.0.1:9"),
    ];
    for (effect, of_open, of_accounts, words) in cases {
        tenant.fault(Fault::new("GET", "/authen/v1/user_info", effect.clone()));
        tenant.fault(Fault::new("GET", "/authen/v1/authorize", effect));
        holds(only(&mirror, open).await, open, of_open, &[words]);
        holds(only(&mirror, accounts).await, accounts, of_accounts, &[words]);
        tenant.calm();
    }

    // One cause, one failure: what needs the service is not looked at.
    mirror.offline = true;
    let run = mirror.run(&["doctor", "--json"]).await.exits(1);
    let failed: Vec<&str> = NAMES.into_iter().filter(|name| told(&run, name).0 == "fail").collect();
    assert_eq!(failed, [open, accounts]);
    assert_eq!(told(&run, "clock").0, "skip");
    assert_eq!(told(&run, "scopes").0, "skip");
    let (_, text) = told(&run, open);
    assert!(text.contains("nobody listens") && text.contains("HTTPS_PROXY"), "{text}");
}

/// The way of calls, and never a proxy's password.
#[tokio::test(start_paused = true)]
async fn proxy() {
    let tenant = tenant();
    let mut mirror = by_app(&tenant, SOURCES);
    let cases = [
        ("HTTPS_PROXY", "http://me:geheim9@p.example:8080", "pass"),
        ("HTTP_PROXY", "http://me:geheim9@p.example:8080", "warn"),
        ("https_proxy", "socks5://me:geheim9@p.example:1080", "fail"),
        ("ALL_PROXY", "me:geheim9@", "fail"),
    ];
    for (name, value, status) in cases {
        mirror.vars.insert(name.to_owned(), value.to_owned());
        holds(only(&mirror, "proxy").await, "proxy", status, &[name]);
        for args in [&["doctor"][..], &["doctor", "--json"], &["doctor", "-vv", "--offline"]] {
            let run = mirror.run(args).await;
            for text in [&run.out, &run.err] {
                assert!(!text.contains("geheim9") && !text.contains("me:"), "{text}");
            }
        }
        mirror.vars.remove(name);
    }

    // Where the service is called by https, as everywhere but in tests.
    let hosts = "[account]\ndomain = { open = \"https://open.example\", \
                 accounts = \"https://accounts.example\" }\n";
    std::fs::write(mirror.folder().join("mirror.toml"), format!("{hosts}{SOURCES}")).unwrap();
    mirror.vars.insert("FEISHU_MIRROR_PROFILE".to_owned(), "none".to_owned());
    mirror.vars.insert("FEISHU_APP_ID".to_owned(), APP_ID.to_owned());
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), APP_SECRET.to_owned());
    mirror.vars.insert("HTTPS_PROXY".to_owned(), "http://me:geheim9@p.example:8080".to_owned());
    mirror.vars.insert("NO_PROXY".to_owned(), "accounts.example".to_owned());
    let words = [
        "https://open.example by http://p.example:8080 (HTTPS_PROXY)",
        "https://accounts.example straight (NO_PROXY)",
    ];
    holds(only(&mirror, "proxy").await, "proxy", "pass", &words);
}

#[tokio::test(start_paused = true)]
async fn state() {
    let tenant = tenant();
    tenant.root().docx("周报");
    let mirror = by_app(&tenant, SOURCES);
    let name = "state";
    holds(only(&mirror, name).await, name, "pass", &["first sync"]);
    mirror.sync().await.success();
    holds(only(&mirror, name).await, name, "pass", &["the manifest opens"]);

    // A run at work is no failure.
    let lock = store::lock(&mirror.state("")).unwrap();
    holds(only(&mirror, name).await, name, "pass", &["another run", "in use"]);
    drop(lock);

    // A run that was killed in the middle of a rename.
    let id: Value = serde_json::from_slice(&mirror.read(".feishu-mirror/root.json")).unwrap();
    let store =
        Store::open(&mirror.state(""), id["id"].as_str().unwrap(), &Faults::default()).unwrap();
    let from = Loc::Mirror(RelPath::new("x").unwrap());
    store.intend(&[Intent { act: Act::Remove { from }, then: Vec::new() }]).unwrap();
    drop(store);
    holds(
        only(&mirror, name).await,
        name,
        "warn",
        &["cut short", "1 rename", "feishu-mirror sync"],
    );

    std::fs::write(mirror.state("manifest.redb"), "not a manifest").unwrap();
    holds(only(&mirror, name).await, name, "fail", &["manifest.redb", "cannot be read"]);

    mirror.configure(&format!("[mirror]\npath = \"mirror.toml/copy\"\n{SOURCES}"));
    holds(only(&mirror, name).await, name, "fail", &["mirror.toml"]);
    let shared = Path::new("/dev/shm");
    if shared.is_dir() && device(shared) != device(mirror.folder()) {
        let text =
            format!("[mirror]\npath = \"copy\"\nstate = \"/dev/shm/no-such-state\"\n{SOURCES}");
        mirror.configure(&text);
        holds(only(&mirror, name).await, name, "fail", &["another file system"]);
        assert!(!shared.join("no-such-state").exists());
    }
    assert!(!mirror.folder().join("copy").exists());
}

fn device(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::dev(&path.metadata().unwrap())
}

#[tokio::test(start_paused = true)]
async fn disk() {
    let tenant = tenant();
    let mirror = by_app(&tenant, SOURCES);
    mirror.sync().await.success();
    let status = mirror.run(&["status", "--json"]).await.success().events().pop().unwrap();
    let free = status["free_bytes"].as_u64().unwrap();
    // Far enough from the limits that what others write meanwhile does not count.
    for (min_free, want) in [(free / 4, "pass"), (free / 4 * 3, "warn"), (free * 2, "fail")] {
        mirror.configure(&format!("[mirror]\nmin_free = \"{min_free}\"\n{SOURCES}"));
        let words = if want == "pass" { &["free"][..] } else { &["free", "min_free"] };
        holds(only(&mirror, "disk").await, "disk", want, words);
    }
}

/// The real binary over loopback: the machine's clock against the tenant's, and no secret
/// in any output.
#[tokio::test(flavor = "multi_thread")]
async fn the_machines_clock_is_compared_with_the_services() {
    let served = Served::start().await;
    let program = Program::new(&served);
    let config = program.folder().join("mirror.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let base = served.base();
    let hosts = format!("[account]\ndomain = {{ open = \"{base}\", accounts = \"{base}\" }}\n");
    std::fs::write(&config, format!("{hosts}{text}")).unwrap();
    // Each jump is from where the one before ended: 0, 30, 120, 400 s ahead.
    for (jump, want) in [(0, "pass"), (30, "pass"), (90, "warn"), (280, "fail")] {
        served.tenant.jump(Duration::from_secs(jump));
        let mut command = program.command(&["doctor", "--json", "--only", "clock,endpoint_open"]);
        command.env_remove("FEISHU_MIRROR_TEST_CLOCK");
        command.env(TOKEN, USER_TOKEN);
        let ran = Program::finish(command).exits(i32::from(want == "fail"));
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        let check = &report["checks"][1];
        assert_eq!((&check["name"], &check["status"]), (&"clock".into(), &want.into()), "{check}");
        if want != "pass" {
            assert!(check["message"].as_str().unwrap().contains("behind"), "{check}");
            assert!(check["hint"].as_str().unwrap().contains("timedatectl"), "{check}");
        }
    }
}
