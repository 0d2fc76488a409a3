//! Files, profiles and renewal, with threads, tasks and whole processes at once.

mod files;
mod profiles;
mod renew;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::auth::logins::Login;
use crate::auth::profiles::{Profile, Profiles};
use crate::clock::{Clock, Lead};
use crate::feishu::UserInfo;
use crate::feishu::oauth::{AppKey, Grant};
use crate::model::account::Domain;

/// Stands in every secret here.
const CANARY: &str = "h0shP0wer";

const NOW: i64 = 1_800_000_000;

/// Where nothing but the wall clock counts: tests of files and processes.
fn clock_at(secs: i64) -> Clock {
    let at = jiff::Timestamp::from_second(secs).unwrap();
    let lead = Lead::default();
    lead.grow(at.duration_since(jiff::Timestamp::now()));
    Clock::system().ahead_by(&lead)
}

fn app() -> AppKey {
    AppKey { id: "cli_1".to_owned(), secret: format!("{CANARY}-app").into() }
}

fn grant(number: usize) -> Grant {
    Grant {
        access_token: format!("u-{CANARY}-{number}").into(),
        expires_in: 7200,
        refresh_token: Some(format!("ur-{CANARY}-{number}").into()),
        refresh_expires_in: Some(604_800),
        scope: "drive:drive offline_access".to_owned(),
    }
}

/// Logged in at [`NOW`], with the grant of that number.
fn login(open_id: &str, name: &str, number: usize) -> Login {
    let user = UserInfo {
        name: name.to_owned(),
        open_id: open_id.to_owned(),
        union_id: None,
        tenant_key: None,
    };
    Login::new(user, grant(number), NOW)
}

/// A home with one profile, "work", and Li Lei (`ou_1`) logged in to it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        let mut profile = home.profiles().add("work", &app(), &Domain::feishu()).unwrap();
        profile.store(&login("ou_1", "Li Lei", 0)).unwrap();
        home
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn profiles(&self) -> Profiles {
        Profiles::at(self.path())
    }

    fn work(&self) -> Profile {
        self.profiles().get("work").unwrap()
    }

    fn login_file(&self) -> PathBuf {
        self.work().login_file("ou_1")
    }

    /// The access token of `ou_1` in profile `name`.
    fn stored(&self, name: &str) -> Option<String> {
        let login = self.profiles().get(name).unwrap().login(None).unwrap()?;
        Some(bare(&login.access_token))
    }

    /// All files below, hidden ones too.
    fn files(&self) -> Vec<PathBuf> {
        walkdir::WalkDir::new(self.path())
            .into_iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(walkdir::DirEntry::into_path)
            .collect()
    }
}

fn bare(secret: &secrecy::SecretString) -> String {
    secrecy::ExposeSecret::expose_secret(secret).to_owned()
}

fn token(number: usize) -> String {
    format!("u-{CANARY}-{number}")
}

/// This test binary once more, as a process of its own that does one [`child`] task.
fn process(task: &str, home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "auth::tests::child", "--nocapture"])
        .env("FEISHU_MIRROR_TEST_TASK", task)
        .env("FEISHU_MIRROR_TEST_HOME", home);
    command
}

/// The same begun by a shell, whose last command is `exec "$@"`.
fn through_sh(script: &str, task: &str, home: &Path) -> Output {
    let inner = process(task, home);
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.output().unwrap()
}

/// What a process of [`process`] does; nothing in an ordinary run of the tests.
#[test]
fn child() {
    let Ok(task) = std::env::var("FEISHU_MIRROR_TEST_TASK") else { return };
    let home = PathBuf::from(std::env::var_os("FEISHU_MIRROR_TEST_HOME").unwrap());
    match task.as_str() {
        "replace" => files::replace_in(&home),
        "add" => {
            let profiles = Profiles::at(&home.join("a/b"));
            let mut profile = profiles.add("work", &app(), &Domain::feishu()).unwrap();
            profile.store(&login("ou_1", "Li Lei", 0)).unwrap();
            profiles.activate("work").unwrap();
        }
        "remove" => Profiles::at(&home).remove("work").unwrap(),
        "renew" => renew::renew_in(&home),
        other => panic!("no task {other:?}"),
    }
}
