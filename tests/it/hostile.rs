//! Somebody else who may write in the mirror's folder plants symlinks there, before a run
//! and during it: nothing outside changes, and what cannot be written is said.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use feishu_mirror::sim::{Effect, Fault};

use crate::support::{Mirror, SOURCES, tenant};

/// Where a symlink may be planted: the state folder and its parts, a source's folder, one
/// below it, a side folder.
const PLACES: [&str; 9] = [
    ".feishu-mirror",
    ".feishu-mirror/staging",
    ".feishu-mirror/staging/partial",
    ".feishu-mirror/trash",
    ".feishu-mirror/runs",
    "drive",
    "drive/Team",
    "drive/Budget.sheets",
    "wiki",
];

/// A folder outside of the mirror, with a file of every name that a run might touch.
fn outside() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["Plan.docx", "Q1.csv", "root.json", "lock", "precious"] {
        fs::write(folder.path().join(name), "precious").unwrap();
    }
    folder
}

fn untouched(folder: &Path, what: &str) {
    let mut names: Vec<_> = walkdir::WalkDir::new(folder)
        .min_depth(1)
        .into_iter()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["Plan.docx", "Q1.csv", "lock", "precious", "root.json"], "{what}");
    for name in names {
        assert_eq!(fs::read(folder.join(&name)).unwrap(), b"precious", "{what}: {name}");
    }
}

/// What stood there goes aside, a symlink to `outside` comes.
fn plant(at: &Path, outside: &Path, aside: &Path) {
    fs::rename(at, aside).unwrap();
    symlink(outside, at).unwrap();
}

fn config() -> String {
    format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n[export]\nsheet = [\"csv\"]\n")
}

#[tokio::test(start_paused = true)]
async fn symlinks_planted_before_a_run_lead_nowhere() {
    for place in PLACES {
        let tenant = tenant();
        let root = tenant.root();
        let plan = root.folder("Team").docx("Plan").text("old");
        let old = root.folder("Team").docx("Old");
        let budget = root.sheet("Budget").tabs(&["Q1", "Q2"]);
        let page = tenant.space("Handbook").docx("Intro");
        let mirror = Mirror::with(&tenant, &config());
        mirror.sync().await.success();

        let (outside, aside) = (outside(), tempfile::tempdir().unwrap());
        plant(&mirror.path(place), outside.path(), &aside.path().join("x"));
        plan.edit("new");
        page.edit("new");
        old.delete();
        budget.edit_cells("Q1", serde_json::json!([["new"]]));
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let run = mirror.sync().await;
        untouched(outside.path(), place);
        assert_ne!(run.code, 0, "{place}: it is not done\n{}", run.err);
        if place.starts_with(".feishu-mirror") {
            assert_eq!(run.code, 1, "{place}: {}", run.err);
            run.says(&["in the way"]);
        }
        for args in [&["verify", "--repair"][..], &["prune"], &["rebuild"], &["status"], &["ls"]] {
            mirror.run(args).await;
            untouched(outside.path(), &format!("{place}: {args:?}"));
        }

        // The folder put back, all is well again.
        fs::remove_file(mirror.path(place)).unwrap();
        fs::rename(aside.path().join("x"), mirror.path(place)).unwrap();
        mirror.sync().await.success();
        untouched(outside.path(), place);
    }
}

#[tokio::test(start_paused = true)]
async fn symlinks_planted_during_a_run_lead_nowhere() {
    for place in PLACES {
        let tenant = tenant();
        let root = tenant.root();
        let team = root.folder("Team");
        let plan = team.docx("Plan").text("old");
        let old = team.docx("Old");
        let budget = root.sheet("Budget").tabs(&["Q1", "Q2"]);
        let page = tenant.space("Handbook").docx("Intro");
        let mirror = Mirror::with(&tenant, &config());
        mirror.sync().await.success();
        plan.edit("new");
        page.edit("new");
        old.delete();
        budget.edit_cells("Q1", serde_json::json!([["new"]]));
        team.docx("Newcomer");
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;

        let (outside, aside) = (outside(), tempfile::tempdir().unwrap());
        let (at, to): (PathBuf, PathBuf) = (mirror.path(place), aside.path().join("x"));
        let target = outside.path().to_owned();
        let swap = Effect::run(move || plant(&at, &target, &to));
        tenant.fault(Fault::new("POST", "/drive/v1/export_tasks", swap).nth(1));
        let run = mirror.sync().await;
        untouched(outside.path(), place);
        assert!(mirror.path(place).is_symlink(), "{place}: it was swapped");
        assert!(run.code <= 2, "{place}: {}", run.err);
        // Files of the copy that lie below it are not said to be done.
        if !place.starts_with(".feishu-mirror") {
            assert_eq!(run.code, 2, "{place}: {}", run.err);
        }
    }
}
