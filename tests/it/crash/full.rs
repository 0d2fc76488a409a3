//! A real disk that is full: a tmpfs of every size, in a mount namespace of its own.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::scenes;
use crate::support::program::{BINARY, Program, Served};
use crate::support::{Snapshot, scale};
use feishu_mirror::sim::USER_TOKEN;

/// Syncs into a tmpfs of `$1` KiB, then gives it room and syncs again. The copy is left
/// outside for the story to look at. Exit codes of the three commands go to stdout.
const SCRIPT: &str = r#"
mount -t tmpfs -o "size=$1k" tmpfs mirror || exit 99
"$2" sync -q 2>err.log; echo $?
"$2" verify -q >/dev/null 2>&1; echo $?
mount -o remount,size=64m mirror || exit 99
"$2" sync -q 2>again.log; echo $?
cp -a mirror/. copy/
"#;

fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// Whatever fits is there and right; with room again, everything is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_a_full_disk_of_any_size_holds_whole_files() {
    if !may_mount() {
        println!("skipped: this user may not mount a tmpfs in a namespace of their own");
        return;
    }
    let served = Served::start().await;
    served.tenant.exports_take(Some(Duration::from_millis(10)));
    let root = served.tenant.root();
    scenes::things(&root, &served.tenant.space("Handbook"));
    for n in 0..8 {
        root.upload(&format!("big {n}.bin"), vec![n; 200_000]);
    }
    let config = format!(
        "[mirror]\nmin_free = \"0\"\n[account]\ndomain = {{ open = \"{0}\", accounts = \"{0}\" }}\n\
         [limits]\nquota_share = 100.0\n{1}",
        served.base(),
        scenes::config()
    );
    let made = |room_kib: Option<usize>| {
        let program = Program::new(&served);
        std::fs::write(program.folder().join("mirror.toml"), &config).unwrap();
        for folder in ["mirror", "copy"] {
            std::fs::create_dir(program.folder().join(folder)).unwrap();
        }
        let Some(room_kib) = room_kib else {
            let mut command = program.command(&["sync", "-q"]);
            command.env("FEISHU_USER_ACCESS_TOKEN", USER_TOKEN);
            Program::finish(command).success();
            return (Snapshot::of(&program.folder().join("mirror")), Vec::new());
        };
        // The same environment, around another program.
        let like = program.command(&[]);
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", SCRIPT, "sh", &room_kib.to_string(), BINARY]);
        command.current_dir(program.folder()).env_clear();
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("FEISHU_USER_ACCESS_TOKEN", USER_TOKEN);
        let output = command.output().unwrap();
        let codes = String::from_utf8_lossy(&output.stdout);
        let codes: Vec<i32> = codes.lines().map(|line| line.parse().unwrap()).collect();
        let said = |name| std::fs::read_to_string(program.folder().join(name)).unwrap_or_default();
        let about =
            format!("{room_kib} KiB: {codes:?}\n{}\n{}", said("err.log"), said("again.log"));
        let [full, verify, again] = codes[..] else { panic!("{about}") };
        assert!([0, 1, 2].contains(&full) && [0, 1].contains(&verify) && again == 0, "{about}");
        // A manifest that never fitted is no reason for a finding, a file cut short is.
        assert!(verify == 0 || full == 1, "{about}");
        (Snapshot::of(&program.folder().join("copy")), codes)
    };
    let (whole, _) = made(None);
    let mut full = 0;
    let sizes = scale(5, 120);
    for n in 0..sizes {
        let (copy, codes) = made(Some(40 + n * 4_000 / sizes));
        assert_eq!(whole.differing(&copy), [""; 0]);
        full += usize::from(codes[0] != 0);
    }
    println!("{sizes} sizes, {full} of them too small");
    assert!(full > sizes / 4, "{full}");
}
