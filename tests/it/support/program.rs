//! The real binary against a tenant that this process serves on loopback: a home, a
//! folder with a config, and every output searched for secrets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use feishu_mirror::clock::Clock;
use feishu_mirror::sim::{APP_ID, APP_SECRET, Quotas, Serving, Tenant, serve};
use serde_json::Value;

use super::secrets;

pub const BINARY: &str = env!("CARGO_BIN_EXE_feishu-mirror");

/// A tenant at an address, on the system's clock (which may be made to jump).
pub struct Served {
    pub tenant: Tenant,
    pub address: SocketAddr,
    _serving: Serving,
}

impl Served {
    pub async fn start() -> Self {
        let tenant = Tenant::new(Clock::system());
        tenant.quotas(Quotas::official().times(100.0));
        let (address, serving) =
            serve(tenant.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self { tenant, address, _serving: serving }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A person's folder and home.
pub struct Program {
    folder: tempfile::TempDir,
    base: String,
}

impl Program {
    pub fn new(served: &Served) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config =
            "[limits]\nquota_share = 100.0\n[[source]]\nname = \"drive\"\nkind = \"drive\"\n";
        std::fs::write(folder.path().join("mirror.toml"), config).unwrap();
        Self { folder, base: served.base() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the profile "work".
    pub fn profile(&self, below: &str) -> PathBuf {
        self.folder.path().join("home/profiles/work").join(below)
    }

    /// A command line, with the tenant's clock and without anybody's own environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("FEISHU_MIRROR_HOME", self.folder.path().join("home"))
            .env("FEISHU_MIRROR_TEST_CLOCK", format!("{}/open-apis/sim/clock", self.base))
            .env("BROWSER", "true")
            .env("TMPDIR", self.folder.path().join("tmp"))
            .stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        std::fs::create_dir_all(self.folder.path().join("tmp")).unwrap();
        command
    }

    /// Runs to the end. No secret may be in what it prints.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        Self::finish(self.command(args))
    }

    #[track_caller]
    pub fn finish(mut command: Command) -> Ran {
        let ran = Ran::of(command.output().unwrap());
        secrets::none_in("stdout", &ran.out);
        secrets::none_in("stderr", &ran.err);
        ran
    }

    /// Stores the app as profile "work" and makes it the active one.
    pub fn add_profile(&self) {
        let domain = format!("--domain={}", self.base);
        let args = ["profile", "add", "work", "--app-id", APP_ID, "--app-secret-stdin", "--use"];
        let mut command = self.command(&args);
        command.arg(domain).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{APP_SECRET}\n").as_bytes()).unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap()).success();
        secrets::none_in("stdout", &ran.out);
        secrets::none_in("stderr", &ran.err);
    }

    /// Logs a user in without a browser: the test does what the person would.
    pub fn log_in(&self, tenant: &Tenant, user: &str) {
        let mut login = Login::start(self.command(&["auth", "login", "--no-browser", "--json"]));
        let back = tenant.approve_login(&login.link(), user);
        login.paste(&back);
        login.end().success();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            secrets::none_below(self.folder.path());
        }
    }
}

/// `auth login --json` under way.
pub struct Login {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    seen: String,
}

impl Login {
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, seen: String::new() }
    }

    /// The address that the person has to open.
    pub fn link(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        self.seen.push_str(&line);
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|e| {
            let mut err = String::new();
            let _ = self.child.stderr.take().unwrap().read_to_string(&mut err);
            panic!("{e}: {line:?}\n{err}")
        });
        assert_eq!(event["event"], "authorization_url");
        event["authorization_url"].as_str().unwrap().to_owned()
    }

    pub fn paste(&mut self, address: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{address}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    pub fn end(mut self) -> Ran {
        drop(self.child.stdin.take());
        self.lines.read_to_string(&mut self.seen).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let ran = Ran { out: self.seen, ..Ran::of(output) };
        secrets::none_in("stdout", &ran.out);
        secrets::none_in("stderr", &ran.err);
        ran
    }
}

/// What a process did.
#[derive(Debug)]
pub struct Ran {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn success(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            let told = self.err.contains(word) || self.out.contains(word);
            assert!(told, "{word:?} is not in\n{}\n{}", self.out, self.err);
        }
        self
    }
}
