//! `kill -9` on the real program, at any moment.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::scenes;
use crate::support::dice::Dice;
use crate::support::image::Image;
use crate::support::program::{Program, Served};
use crate::support::{Snapshot, scale};
use feishu_mirror::sim::USER_TOKEN;

/// Runs `sync`, and kills it after `patience` (`None`: never). Whether it was still running.
fn sync(program: &Program, patience: Option<Duration>) -> bool {
    let mut command = program.command(&["sync", "-q"]);
    command.env("FEISHU_USER_ACCESS_TOKEN", USER_TOKEN).stdout(Stdio::null());
    let Some(patience) = patience else {
        Program::finish(command).success();
        return false;
    };
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// After a kill, or several, the next run leaves the copy as if there had been none. With
/// `FEISHU_MIRROR_LONG=1`: 500 kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_kills_at_any_moment_leave_no_trace() {
    let served = Served::start().await;
    served.tenant.exports_take(Some(Duration::from_millis(20)));
    let (root, space) = (served.tenant.root(), served.tenant.space("Handbook"));
    let things = scenes::things(&root, &space);
    let program = Program::new(&served);
    let account =
        format!("[account]\ndomain = {{ open = \"{0}\", accounts = \"{0}\" }}\n", served.base());
    let config = format!("{account}[limits]\nquota_share = 100.0\n{}", scenes::config());
    std::fs::write(program.folder().join("mirror.toml"), config).unwrap();
    sync(&program, None);
    scenes::everything_changes(&things, &root, &space);

    let before = Image::of(program.folder());
    let copy = program.folder().join("mirror");
    let began = Instant::now();
    sync(&program, None);
    let whole = began.elapsed();
    let after = Snapshot::of(&copy);

    let mut dice = Dice::new(7);
    let (wanted, mut kills, mut rounds) = (scale(6, 500), 0, 0);
    while kills < wanted {
        before.put(program.folder());
        let mut told = Vec::new();
        for _ in 0..=dice.below(2) {
            let moment = whole * u32::try_from(dice.below(1000)).unwrap() / 1000;
            if sync(&program, Some(moment)) {
                kills += 1;
                told.push(moment);
            }
        }
        let verify = Program::finish(program.command(&["verify"]));
        assert_eq!(verify.code, Some(0), "killed after {told:?}: {}{}", verify.out, verify.err);
        sync(&program, None);
        let differs = after.differing(&Snapshot::of(&copy));
        assert!(differs.is_empty(), "killed after {told:?} of {whole:?}: {differs:#?}");
        rounds += 1;
    }
    println!("{kills} kills in {rounds} rounds");
}
