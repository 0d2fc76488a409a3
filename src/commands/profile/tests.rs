//! `profile` as people use it: whole command lines, from an empty home.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use secrecy::ExposeSecret;
use serde_json::Value;

use crate::auth::logins::Login;
use crate::auth::profiles::Profiles;
use crate::clock::Clock;
use crate::commands::Host;
use crate::feishu::UserInfo;
use crate::feishu::oauth::Grant;

const SECRET: &str = "h0shP0wer-app";

/// A home, and what is typed and set.
struct Desk {
    home: tempfile::TempDir,
    vars: BTreeMap<String, String>,
    input: &'static str,
    terminal: bool,
}

struct Ran {
    code: u8,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_str().unwrap().to_owned();
        let vars = BTreeMap::from([("FEISHU_MIRROR_HOME".to_owned(), path)]);
        Self { home, vars, input: "", terminal: false }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    fn profiles(&self) -> Profiles {
        Profiles::at(self.home.path())
    }

    fn secret(&self, name: &str) -> String {
        self.profiles().get(name).unwrap().app.secret.expose_secret().to_owned()
    }

    /// Somebody is logged in to a profile.
    fn log_in(&self, profile: &str, name: &str) {
        let user = UserInfo {
            name: name.to_owned(),
            open_id: format!("ou_{}", name.replace(' ', "_")),
            union_id: None,
            tenant_key: None,
        };
        let grant = Grant {
            access_token: "u-h0shP0wer".into(),
            expires_in: 7200,
            refresh_token: Some("ur-h0shP0wer".into()),
            refresh_expires_in: None,
            scope: String::new(),
        };
        let now = jiff::Timestamp::now().as_second();
        self.profiles().get(profile).unwrap().store(&Login::new(user, grant, now)).unwrap();
    }

    async fn run(&self, line: &str) -> Ran {
        let (out, err) = (Buffer::default(), Buffer::default());
        let host = Host {
            vars: self.vars.clone(),
            cwd: self.home.path().to_owned(),
            clock: Clock::system(),
            http: None,
            input: Box::new(Cursor::new(self.input)),
            input_is_terminal: self.terminal,
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            err_is_terminal: false,
            out_is_terminal: false,
            interrupt: tokio_util::sync::CancellationToken::new(),
            faults: crate::faults::Faults::default(),
        };
        let words = ["feishu-mirror", "profile"].into_iter().chain(line.split_whitespace());
        let code = crate::run(words.map(OsString::from).collect(), host).await;
        let ran = Ran { code, out: out.text(), err: err.text() };
        assert!(!format!("{}{}", ran.out, ran.err).contains("h0shP0wer"), "a secret was printed");
        ran
    }

    #[track_caller]
    fn add(&self, name: &str) {
        let app = crate::feishu::oauth::AppKey { id: "cli_1".to_owned(), secret: SECRET.into() };
        self.profiles().add(name, &app, &crate::model::account::Domain::feishu()).unwrap();
    }
}

impl Ran {
    #[track_caller]
    fn exits(self, code: u8) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, words: &[&str]) -> Self {
        for word in words {
            let said = self.out.contains(word) || self.err.contains(word);
            assert!(said, "{word:?} is not in\n{}\n{}", self.out, self.err);
        }
        self
    }

    fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_secret_comes_from_stdin_or_the_environment() {
    let stdin = Desk { input: "  h0shP0wer-app \nmore\n", ..Desk::new() };
    stdin
        .run("add work --app-id cli_1 --app-secret-stdin")
        .await
        .exits(0)
        .says(&["stored the app cli_1 for feishu", "auth login --profile work", "doctor"])
        .says(&["feishu-mirror profile use work"]);
    assert_eq!(stdin.secret("work"), SECRET, "one line, trimmed");

    for app_id in [None, Some("cli_1")] {
        let mut desk = Desk::new().with("FEISHU_APP_SECRET", SECRET);
        desk.vars.extend(app_id.map(|id| ("FEISHU_APP_ID".to_owned(), id.to_owned())));
        desk.run("add work --app-id cli_1 --domain lark --use").await.exits(0).says(&["lark"]);
        assert_eq!(desk.secret("work"), SECRET);
        assert_eq!(desk.profiles().active().unwrap(), "work");
    }
}

#[tokio::test]
async fn a_missing_secret_says_how_to_hand_it_in() {
    let other = Desk::new().with("FEISHU_APP_SECRET", SECRET).with("FEISHU_APP_ID", "cli_2");
    other.run("add work --app-id cli_1").await.exits(64).says(&["another app", "-stdin"]);
    let desk = Desk::new();
    desk.run("add work --app-id cli_1").await.exits(64).says(&["--app-secret-stdin"]);
    let lark = desk.run("add work --app-id cli_1 --domain lark").await.exits(64);
    lark.says(&["profile add work --app-id cli_1 --domain lark --app-secret-stdin"]);
    let empty = desk.run("add work --app-id cli_1 --app-secret-stdin").await;
    empty.exits(64).says(&["stdin is empty", "凭证与基础信息"]);
    desk.run("add wo/rk --app-id cli_1").await.exits(64).says(&["wo/rk", "letters"]);
    desk.run("add work").await.exits(64).says(&["--app-id"]);
    assert!(desk.profiles().names().unwrap().is_empty());
}

#[tokio::test]
async fn adding_twice_replaces_the_secret_of_the_same_app_only() {
    let desk = Desk { input: "h0shP0wer-new\n", ..Desk::new() };
    desk.add("work");
    desk.log_in("work", "Li Lei");
    let other = desk.run("add work --app-id cli_2 --app-secret-stdin").await;
    other.exits(1).says(&["cli_1", "already", "profile remove work"]);
    let lark = desk.run("add work --app-id cli_1 --domain lark --app-secret-stdin").await;
    lark.exits(1).says(&["already"]);
    assert_eq!(desk.secret("work"), SECRET);

    let same = desk.run("add work --app-id cli_1 --app-secret-stdin --json").await.exits(0);
    let events = same.events();
    assert_eq!(events[0]["change"], "secret_replaced");
    assert_eq!(events[0]["users"][0]["name"], "Li Lei", "who was logged in still is");
    assert_eq!(desk.secret("work"), "h0shP0wer-new");

    let odd = desk.run("add odd --app-id 4711 --app-secret-stdin").await;
    odd.exits(0).says(&["warning", "4711", "cli_…"]);
}

#[tokio::test]
async fn profiles_are_listed_with_their_users_and_never_their_secrets() {
    let desk = Desk::new();
    desk.run("list").await.exits(0).says(&["no profiles", "profile add default"]);
    desk.add("work");
    desk.add("mine");
    desk.log_in("work", "Li Lei");
    desk.log_in("work", "Han Meimei");
    desk.profiles().activate("work").unwrap();
    let ran = desk.run("list").await.exits(0);
    let lines: Vec<_> = ran.out.lines().map(str::trim).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("mine") && lines[0].ends_with("feishu  -"), "{lines:?}");
    assert!(lines[1].starts_with("*  work") && lines[1].ends_with("Han Meimei, Li Lei"));

    let events = desk.run("list --json").await.exits(0).events();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event["event"] == "profile"));
    let work = &events[1];
    assert_eq!(
        (&work["name"], &work["active"], &work["app_id"], &work["domain"]),
        (&"work".into(), &true.into(), &"cli_1".into(), &"feishu".into())
    );
    assert_eq!(work["users"][1]["default"], true, "{work}");

    // One that cannot be read hides none of the others.
    std::fs::write(desk.home.path().join("profiles/mine/profile.json"), "{").unwrap();
    let ran = desk.run("list").await.exits(1).says(&["damaged", "work", "?"]);
    assert_eq!(ran.out.lines().count(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_open_to_others_is_closed_with_a_word() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.add("work");
    let file = desk.home.path().join("profiles/work/profile.json");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    desk.run("list").await.exits(0).says(&["warning", "profile.json", "644", "600"]);
    assert!(!desk.run("list").await.err.contains("warning"));
}

#[tokio::test]
async fn current_says_which_one_counts_and_why() {
    let desk = Desk::new();
    let ran = desk.run("current").await.exits(0).says(&["not there yet"]);
    assert_eq!(ran.out, "default\n");
    desk.add("work");
    desk.add("mine");
    desk.profiles().activate("work").unwrap();
    assert_eq!(desk.run("current").await.exits(0).says(&["profile use"]).out, "work\n");
    let named = desk.run("current --profile mine --json").await.exits(0).events();
    assert_eq!((&named[0]["name"], &named[0]["chosen_by"]), (&"mine".into(), &"--profile".into()));
    assert_eq!((&named[0]["exists"], &named[0]["active"]), (&true.into(), &false.into()));
    let desk = desk.with("FEISHU_MIRROR_PROFILE", "mine");
    assert_eq!(desk.run("current").await.exits(0).out, "mine\n");
    desk.run("use work").await.exits(0).says(&["warning", "FEISHU_MIRROR_PROFILE"]);
}

#[tokio::test]
async fn use_minus_goes_back_and_an_unknown_name_is_answered_with_the_known_ones() {
    let desk = Desk::new();
    desk.add("work");
    desk.add("mine");
    desk.run("use -").await.exits(1).says(&["go back"]);
    desk.run("use work").await.exits(0);
    desk.run("use mine").await.exits(0);
    let back = desk.run("use - --json").await.exits(0).events();
    assert_eq!((&back[0]["name"], &back[0]["previous"]), (&"work".into(), &"mine".into()));
    assert_eq!(desk.profiles().active().unwrap(), "work");
    desk.run("use wrok").await.exits(1).says(&["wrok", "mine, work"]);
    desk.run("use ../work").await.exits(1).says(&["no profile"]);
    assert_eq!(desk.profiles().active().unwrap(), "work", "nothing changed");
}

#[tokio::test]
async fn rename_keeps_logins_and_says_where_the_old_name_is_left() {
    let desk = Desk::new();
    desk.add("work");
    desk.log_in("work", "Li Lei");
    desk.profiles().activate("work").unwrap();
    write_config(desk.home.path(), "work");
    let ran = desk.run("rename work job --json").await.exits(0).says(&["[account]"]);
    let event = &ran.events()[0];
    assert_eq!((&event["name"], &event["from"]), (&"job".into(), &"work".into()));
    assert_eq!(event["users"][0]["name"], "Li Lei");
    assert_eq!(desk.profiles().active().unwrap(), "job");
    desk.add("mine");
    desk.run("rename mine job").await.exits(1).says(&["already"]);
    desk.run("rename nobody x").await.exits(1).says(&["job, mine"]);
    desk.run("rename mine a/b").await.exits(64).says(&["a/b"]);
}

fn write_config(folder: &Path, profile: &str) {
    let text = format!(
        "[account]\nprofile = \"{profile}\"\n[[source]]\nname = \"d\"\nkind = \"drive\"\n\
         folder = \"root\"\n"
    );
    std::fs::write(folder.join("mirror.toml"), text).unwrap();
}

#[tokio::test]
async fn remove_asks_first_and_names_the_logins() {
    let mut desk = Desk::new();
    desk.add("work");
    desk.log_in("work", "Li Lei");
    desk.log_in("work", "Han Meimei");
    desk.profiles().activate("work").unwrap();
    let unasked = desk.run("remove work").await.exits(64);
    unasked.says(&["--yes", "2 logins (Han Meimei, Li Lei)"]);
    for answer in ["", "\n", "no\n", "yess\n"] {
        desk = Desk { terminal: true, input: answer, ..desk };
        let ran = desk.run("remove work").await.exits(1).says(&["[y/N]", "nothing was removed"]);
        assert!(ran.err.contains("auth logout --all --profile work"), "{}", ran.err);
        assert_eq!(desk.profiles().names().unwrap(), ["work"]);
    }
    desk = Desk { input: "Y\n", ..desk };
    desk.run("remove work").await.exits(0).says(&["removed profile work", "the active one"]);
    assert!(desk.profiles().names().unwrap().is_empty());
    desk.run("remove work --yes").await.exits(1).says(&["no profile \"work\""]);

    desk.add("work");
    desk.log_in("work", "Li Lei");
    let events = desk.run("remove work --yes --json").await.exits(0).events();
    assert_eq!(
        (&events[0]["change"], &events[0]["users"][0]),
        (&"removed".into(), &"Li Lei".into())
    );

    desk.add("bad");
    std::fs::write(desk.home.path().join("profiles/bad/profile.json"), "{").unwrap();
    desk.run("remove bad --yes").await.exits(0).says(&["every login in it"]);
    assert!(desk.profiles().names().unwrap().is_empty());
}
