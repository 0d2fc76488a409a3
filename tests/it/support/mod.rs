//! A tenant, a mirror of it, and what a run of the command line did.

pub mod browser;
pub mod dice;
#[cfg(unix)]
pub mod image;
pub mod live;
#[cfg(unix)]
pub mod power;
pub mod program;
pub mod secrets;
pub mod snapshot;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use feishu_mirror::auth::logins::Login;
use feishu_mirror::auth::profiles::Profiles;
use feishu_mirror::clock::Clock;
use feishu_mirror::commands::Host;
use feishu_mirror::faults::Faults;
use feishu_mirror::feishu::oauth::Grant;
use feishu_mirror::feishu::{ByteStream, HttpSend, SendError, UserInfo};
use feishu_mirror::sim::{APP_ID, APP_SECRET, Tenant, USER_TOKEN};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use snapshot::Snapshot;

/// Where every story begins: long after anything in the tenant was edited.
pub const START: &str = "2026-03-01T02:30:00Z";

/// Big numbers are for `FEISHU_MIRROR_LONG=1`.
pub fn scale(small: usize, long: usize) -> usize {
    if std::env::var_os("FEISHU_MIRROR_LONG").is_some() { long } else { small }
}

/// A tenant on tokio's clock, under the official quotas.
pub fn tenant() -> Tenant {
    Tenant::new(Clock::from_tokio(START.parse().unwrap()))
}

/// A mirror of a tenant in a folder of its own.
pub struct Mirror {
    tenant: Tenant,
    folder: tempfile::TempDir,
    pub vars: BTreeMap<String, String>,
    pub faults: Faults,
    pub interrupt: CancellationToken,
    /// True: nothing answers at the tenant's address.
    pub offline: bool,
}

/// The config of most stories: one drive and one wiki source.
pub const SOURCES: &str = r#"
[[source]]
name = "drive"
kind = "drive"
allow_empty = true

[[source]]
name = "wiki"
kind = "wiki"
allow_empty = true
"#;

/// What a command line did.
pub struct Run {
    pub code: u8,
    pub out: String,
    pub err: String,
}

impl Mirror {
    pub fn of(tenant: &Tenant) -> Self {
        Self::with(tenant, SOURCES)
    }

    /// `config` is everything but `[account]`.
    pub fn with(tenant: &Tenant, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vars = BTreeMap::from([
            ("FEISHU_USER_ACCESS_TOKEN".to_owned(), USER_TOKEN.to_owned()),
            // Each plan is made from everything, too, and must be the same.
            ("FEISHU_MIRROR_TEST_PLANS".to_owned(), "1".to_owned()),
            ("FEISHU_MIRROR_HOME".to_owned(), folder.path().join("home").display().to_string()),
        ]);
        let mirror = Self {
            tenant: tenant.clone(),
            folder,
            vars,
            faults: Faults::default(),
            interrupt: CancellationToken::new(),
            offline: false,
        };
        mirror.configure(config);
        mirror
    }

    /// Writes the config anew.
    pub fn configure(&self, config: &str) {
        let account = "[account]\ndomain = { open = \"http://127.0.0.1:9\", \
                       accounts = \"http://127.0.0.1:9\" }\n";
        let text = format!("{account}{config}");
        std::fs::write(self.folder.path().join("mirror.toml"), text).unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stores the tenant's app as a profile.
    pub async fn add_profile(&self, name: &str) {
        let args = ["profile", "add", name, "--app-id", APP_ID, "--app-secret-stdin"];
        let args = [&args[..], &["--domain", "http://127.0.0.1:9"]].concat();
        self.run_with(&args, &format!("{APP_SECRET}\n")).await.success();
    }

    /// Stores a user's login in a profile, as `auth login` does in the end.
    pub fn log_in(&self, profile: &str, user: &str) {
        let given = self.tenant.log_in(user);
        let user = UserInfo {
            name: given.name,
            open_id: given.open_id,
            union_id: None,
            tenant_key: Some("tenant_demo".to_owned()),
        };
        let grant = Grant {
            access_token: given.access_token.into(),
            expires_in: given.expires_in,
            refresh_token: given.refresh_token.map(Into::into),
            refresh_expires_in: Some(given.refresh_token_expires_in),
            scope: given.scope,
        };
        let now_secs = self.tenant.clock().now_secs();
        let mut profile = Profiles::at(&self.folder.path().join("home")).get(profile).unwrap();
        profile.store(&Login::new(user, grant, now_secs)).unwrap();
    }

    /// A path in the copy.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join("mirror").join(below)
    }

    pub fn state(&self, below: &str) -> PathBuf {
        self.path(".feishu-mirror").join(below)
    }

    pub fn read(&self, below: &str) -> Vec<u8> {
        std::fs::read(self.path(below)).unwrap_or_else(|e| panic!("{below}: {e}"))
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.path(""))
    }

    /// Files, links and folders of the copy that are not as they were.
    pub fn changed_since(&self, before: &Snapshot) -> Vec<String> {
        before.changed(&self.snapshot())
    }

    /// The same, but for files that were written again as they were.
    pub fn differs_from(&self, before: &Snapshot) -> Vec<String> {
        before.differing(&self.snapshot())
    }

    /// Relative paths of all files and links in the copy.
    pub fn files(&self) -> Vec<String> {
        self.snapshot().files()
    }

    /// Relative paths of all folders in the copy.
    pub fn folders(&self) -> Vec<String> {
        self.snapshot().folders()
    }

    pub async fn sync(&self) -> Run {
        self.run(&["sync", "--json"]).await
    }

    pub async fn diff(&self) -> Run {
        self.run(&["diff", "--json"]).await
    }

    pub async fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, "").await
    }

    /// Runs with something on stdin. Neither output may hold a secret.
    pub async fn run_with(&self, args: &[&str], input: &str) -> Run {
        let run = self.run_for_secrets(args, input).await;
        secrets::none_in("stdout", &run.out);
        secrets::none_in("stderr", &run.err);
        run
    }

    /// For commands that print a secret because they were asked for one.
    pub async fn run_for_secrets(&self, args: &[&str], input: &str) -> Run {
        let (out, err) = (Buffer::default(), Buffer::default());
        let input = Box::new(std::io::Cursor::new(input.to_owned().into_bytes()));
        let host = self.host(input, Box::new(out.clone()), Box::new(err.clone()));
        let args: Vec<OsString> =
            std::iter::once("feishu-mirror").chain(args.iter().copied()).map(Into::into).collect();
        let code = feishu_mirror::run(args, host).await;
        Run { code, out: out.text(), err: err.text() }
    }

    fn host(
        &self,
        input: Box<dyn BufRead + Send>,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Host {
        Host {
            vars: self.vars.clone(),
            cwd: self.folder.path().to_owned(),
            clock: self.tenant.clock(),
            http: Some(if self.offline { Arc::new(Nobody) } else { self.tenant.http() }),
            input,
            input_is_terminal: false,
            out,
            err,
            err_is_terminal: false,
            out_is_terminal: false,
            interrupt: self.interrupt.clone(),
            faults: self.faults.clone(),
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            secrets::none_below(self.folder.path());
        }
    }
}

impl Run {
    /// Exit 0, or the story ends here with all that was printed.
    #[track_caller]
    pub fn success(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, code: u8) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// All of `words` are on stderr or stdout.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.err.contains(word) || self.out.contains(word),
                "{word:?} is not in\nstdout:\n{}\nstderr:\n{}",
                self.out,
                self.err
            );
        }
        self
    }

    pub fn events(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// `letter path` or `letter from -> path` of each planned change, sorted.
    pub fn changes(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .events()
            .iter()
            .filter(|event| event["event"] == "change")
            .map(|event| {
                let kind = event["change"].as_str().unwrap();
                let path = event["path"].as_str().unwrap();
                match event["from"].as_str() {
                    Some(from) => format!("{kind} {from} -> {path}"),
                    None => format!("{kind} {path}"),
                }
            })
            .collect();
        lines.sort();
        lines
    }

    pub fn failures(&self) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == "failed").collect()
    }

    pub fn summary(&self) -> Value {
        let last = self.events().pop().unwrap_or_default();
        assert_eq!(last["event"], "summary", "{}\n{}", self.out, self.err);
        last
    }

    /// A counter of the summary.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        let summary = self.summary();
        summary[name].as_u64().unwrap_or_else(|| panic!("no {name} in {summary}"))
    }
}

/// An address where nobody listens.
struct Nobody;

impl HttpSend for Nobody {
    fn send(
        &self,
        _: http::Request<bytes::Bytes>,
    ) -> futures_util::future::BoxFuture<'_, Result<http::Response<ByteStream>, SendError>> {
        let message = "connection refused".to_owned();
        Box::pin(async move { Err(SendError { message, connect: true }) })
    }
}

/// A stream that a story reads afterwards.
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
