//! The program as people start it, next to what else can be started: whole processes, over
//! loopback.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use feishu_mirror::sim::USER_TOKEN;
use serde_json::{Value, json};

use crate::support::program::BINARY;
use crate::support::scale;
use crate::{Row, Table, median};

/// The most memory that a process (its id, or `self`) has had, in bytes.
pub fn peak_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// A tenant in a process of its own.
struct Server {
    child: Child,
    base: String,
}

impl Server {
    fn start(folder: &Path, fixture: &Value) -> Self {
        let file = folder.join("tenant.json");
        std::fs::write(&file, fixture.to_string()).expect("writable");
        let mut child = Command::new(BINARY)
            .args(["demo", "--serve", "127.0.0.1:0", "--json", "--fixture"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("text");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        Self { child, base: said["url"].as_str().expect("an address").to_owned() }
    }

    /// A command line in `folder`, against this tenant.
    fn program(&self, folder: &Path, args: &[&str]) -> Command {
        let config = format!(
            "[account]\ndomain = {{ open = \"{0}\", accounts = \"{0}\" }}\n\
             [limits]\nquota_share = 100.0\n\
             [[source]]\nname = \"drive\"\nkind = \"drive\"\n\
             [[source]]\nname = \"wiki\"\nkind = \"wiki\"\nallow_empty = true\n",
            self.base
        );
        std::fs::write(folder.join("mirror.toml"), config).expect("writable");
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .current_dir(folder)
            .env("FEISHU_MIRROR_HOME", folder.join("home"))
            .env("FEISHU_USER_ACCESS_TOKEN", USER_TOKEN)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// `curl` of some paths, one after another over one connection.
    fn curl(&self, paths: &[String], to: &str) -> Command {
        let mut command = Command::new("curl");
        command
            .args(["-sSf", "--noproxy", "*", "-H"])
            .arg(format!("Authorization: Bearer {USER_TOKEN}"));
        for path in paths {
            command.args(["-o", to]).arg(format!("{}/open-apis{path}", self.base));
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a command takes, from its start to its end.
fn timed(mut command: Command) -> Duration {
    let began = Instant::now();
    let status = command.status().expect("it runs");
    assert!(status.success(), "{command:?}: {status}");
    began.elapsed()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// `--version`.
pub fn start(table: &mut Table) {
    let run = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null());
        timed(command)
    };
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for _ in 0..31 {
        ours.push(run(BINARY));
        least.push(run("true"));
    }
    let measure = "--version (bound: /bin/true), median of 31".to_owned();
    table.time(measure, ms(median(ours)), ms(median(least)), "ms", Some(10.0));
}

/// `diff` of a tenant of 100 nodes that did not change.
pub fn diff(table: &mut Table) {
    let folder = tempfile::tempdir().expect("a folder");
    let ten = |word: &str, n: usize| -> Vec<Value> {
        (0..9).map(|m| json!({"type": "docx", "title": format!("{word} {n}-{m}")})).collect()
    };
    let of = |ty: &str, word: &str| -> Vec<Value> {
        let parent = |n: usize| json!({"type": ty, "title": format!("{word} {n}"), "children": ten(word, n)});
        (0..5).map(parent).collect()
    };
    let wiki = json!([{"name": "Handbook", "nodes": of("docx", "Chapter")}]);
    let server =
        Server::start(folder.path(), &json!({"drive": of("folder", "Folder"), "spaces": wiki}));
    timed(server.program(folder.path(), &["sync", "-q"]));
    let listings = vec!["/drive/v1/files?page_size=50".to_owned(); 15];
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        ours.push(timed(server.program(folder.path(), &["diff"])));
        if has_curl() {
            least.push(timed(server.curl(&listings, "/dev/null")));
        }
    }
    let ours = ms(median(ours));
    let least = (!least.is_empty()).then(|| ms(median(least)));
    table.row(Row {
        measure: "diff, 100 nodes, quotas x 100 (bound: 15 calls by curl)".to_owned(),
        figure: format!("{ours:.1} ms"),
        bound: least.map_or(String::new(), |least| format!("{least:.1} ms")),
        ratio: least.map(|least| least / ours),
        goal: Some(("<= 150 ms".to_owned(), ours <= 150.0)),
    });
}

/// One large upload: a whole `sync`, hash and fsync included, next to `curl`, which does
/// neither; then next to `curl` and an fsync.
pub fn download(table: &mut Table) {
    if !has_curl() {
        return println!("(no curl here, so no download next to it)");
    }
    let size = scale(1 << 30, 2 << 30);
    let folder = tempfile::tempdir().expect("a folder");
    let file = json!({"type": "file", "title": "big.bin", "size": size, "token": "boxBig"});
    let server = Server::start(folder.path(), &json!({"drive": [file], "spaces": []}));
    let path = ["/drive/v1/files/boxBig/download".to_owned()];
    let (mut ours, mut curl, mut synced) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        let place = tempfile::tempdir_in(folder.path()).expect("a folder");
        let to = place.path().join("curl.bin");
        let took = timed(server.curl(&path, &to.display().to_string()));
        let began = Instant::now();
        std::fs::File::open(&to).expect("there").sync_all().expect("writable");
        curl.push(took);
        synced.push(took + began.elapsed());
        drop(place);
        let place = tempfile::tempdir_in(folder.path()).expect("a folder");
        ours.push(timed(server.program(place.path(), &["sync", "-q"])));
        let copy = place.path().join("mirror/drive/big.bin");
        assert_eq!(copy.metadata().expect("there").len(), size as u64);
    }
    let rate = |all: Vec<Duration>| size as f64 / 1e6 / median(all).as_secs_f64();
    let (ours, curl, synced) = (rate(ours), rate(curl), rate(synced));
    let mut row = |than: &str, bound: f64, goal: Option<f64>| {
        table.row(Row {
            measure: format!("sync of one file of {} GiB (bound: {than})", size >> 30),
            figure: format!("{ours:.0} MB/s"),
            bound: format!("{bound:.0} MB/s"),
            ratio: Some(ours / bound),
            goal: goal.map(|least| (format!(">= {least:.2}"), ours / bound >= least)),
        });
    };
    row("curl", curl, Some(0.8));
    row("curl and fsync", synced, None);
}
