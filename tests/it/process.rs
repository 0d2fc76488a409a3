//! The real binary over loopback: the demo, a download in constant memory, a kill.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use feishu_mirror::sim::USER_TOKEN;

use crate::support::program::BINARY;
use crate::support::{scale, secrets};

/// `demo` shows the whole job, within half a minute, and leaves real files.
#[test]
fn demo_shows_the_whole_job() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let began = Instant::now();
    let output = Command::new(BINARY)
        .args(["demo", "--dir"])
        .arg(&dir)
        .env("FEISHU_MIRROR_HOME", folder.path().join("home"))
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    secrets::none_in("the demo's output", &text);
    secrets::none_below(folder.path());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    for (extension, signature) in [("docx", "PK"), ("xlsx", "PK"), ("pptx", "PK"), ("pdf", "%PDF")]
    {
        let found = files(&dir).into_iter().find(|path| path.ends_with(&format!(".{extension}")));
        let path = found.unwrap_or_else(|| panic!("no .{extension} in {dir:?}\n{text}"));
        assert!(std::fs::read(&path).unwrap().starts_with(signature.as_bytes()), "{path}");
    }
}

fn files(root: &Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    walk.filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().to_str().unwrap().to_owned())
        .filter(|path| !path.contains(".feishu-mirror"))
        .collect()
}

/// A tenant in a process of its own, so that its memory is not ours.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path, fixture: &str) -> Self {
        let file = folder.join("tenant.json");
        std::fs::write(&file, fixture).unwrap();
        let mut child = Command::new(BINARY)
            .args(["demo", "--serve", "127.0.0.1:0", "--fixture"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let base = "http://127.0.0.1:";
                let port = &line[line.find(base)? + base.len()..];
                let digits = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
                Some(format!("{base}{}", &port[..digits]))
            })
            .expect("the server says where it is");
        // Goes on reading, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.count());
        Self { child, address }
    }

    fn sync(&self, folder: &Path) -> Command {
        let config = format!(
            "[account]\ndomain = {{ open = \"{0}\", accounts = \"{0}\" }}\n[limits]\n\
             quota_share = 100.0\n[[source]]\nname = \"drive\"\nkind = \"drive\"\n\
             [export]\nbitable = [\"json\"]\n",
            self.address
        );
        std::fs::write(folder.join("mirror.toml"), config).unwrap();
        // Into a file, which is searched for secrets like all the others.
        let log =
            || File::options().create(true).append(true).open(folder.join("out.log")).unwrap();
        let mut command = Command::new(BINARY);
        command
            .args(["sync", "-q"])
            .stdout(log())
            .stderr(log())
            .current_dir(folder)
            .env("FEISHU_MIRROR_HOME", folder.join("home"))
            .env("FEISHU_USER_ACCESS_TOKEN", USER_TOKEN)
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn big_file(bytes: usize) -> String {
    format!(r#"{{"drive":[{{"type":"file","title":"big.bin","size":{bytes}}}],"spaces":[]}}"#)
}

/// The most memory a process has had, in bytes.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

fn wait_and_watch(mut child: Child) -> (std::process::ExitStatus, u64) {
    let mut most = 0;
    loop {
        most = most.max(peak(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            return (status, most);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A large upload is fetched in constant memory. With `FEISHU_MIRROR_LONG=1`: 2 GiB.
#[test]
fn long_a_large_upload_takes_constant_memory() {
    let folder = tempfile::tempdir().unwrap();
    let size = scale(192 << 20, 2 << 30);
    let server = Server::start(folder.path(), &big_file(size));

    let small = tempfile::tempdir().unwrap();
    let idle_server = Server::start(small.path(), &big_file(1));
    let (status, idle) = wait_and_watch(idle_server.sync(small.path()).spawn().unwrap());
    assert!(status.success());

    let (status, most) = wait_and_watch(server.sync(folder.path()).spawn().unwrap());
    assert!(status.success());
    let file = folder.path().join("mirror/drive/big.bin");
    assert_eq!(file.metadata().unwrap().len(), size as u64);
    let above = most.saturating_sub(idle);
    println!("{size} bytes: {} KiB above an idle run's {} KiB", above >> 10, idle >> 10);
    assert!(above < 64 << 20, "{above} bytes above idle");
    secrets::none_below(folder.path());
}

/// A base is written in constant memory. With `FEISHU_MIRROR_LONG=1`: 50,000 records.
#[test]
fn long_a_large_base_takes_constant_memory() {
    let base = |records: usize| {
        format!(
            r#"{{"drive":[{{"type":"bitable","title":"Log","tabs":["T"],"records":{records}}}]}}"#
        )
    };
    let mirror = |records: usize| {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), &base(records));
        let (status, most) = wait_and_watch(server.sync(folder.path()).spawn().unwrap());
        assert!(status.success());
        let file = folder.path().join("mirror/drive/Log.tables/T.json");
        (file.metadata().unwrap().len(), most)
    };
    let (_, one_page) = mirror(500);
    let (size, most) = mirror(scale(12_000, 50_000));
    let above = most.saturating_sub(one_page);
    println!("{size} bytes: {} KiB above a page's {} KiB", above >> 10, one_page >> 10);
    assert!(size > 14 << 20 && above < 10 << 20, "{size} bytes, {above} above");
}

/// `kill -9` in the middle of a download: the next run goes on, and the file is whole.
#[test]
fn a_killed_run_is_finished_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let size = 300 << 20;
    let server = Server::start(folder.path(), &big_file(size));
    let mut child = server.sync(folder.path()).spawn().unwrap();
    let staging = folder.path().join("mirror/.feishu-mirror/staging");
    let began = Instant::now();
    let staged = || {
        let walk = walkdir::WalkDir::new(&staging).into_iter().filter_map(Result::ok);
        walk.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum::<u64>()
    };
    while staged() < 40 << 20 && began.elapsed() < Duration::from_secs(60) {
        std::thread::park_timeout(Duration::from_millis(2));
        if child.try_wait().unwrap().is_some() {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let status = server.sync(folder.path()).status().unwrap();
    assert!(status.success());
    let file = folder.path().join("mirror/drive/big.bin");
    assert_eq!(file.metadata().unwrap().len(), size as u64);
    let status = server.sync(folder.path()).status().unwrap();
    assert!(status.success());
    secrets::none_below(folder.path());
}
