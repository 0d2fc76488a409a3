//! Modes, atomic replacement, kills at every step, locks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Home, process, through_sh};
use crate::auth::AuthError;
use crate::auth::files::{self, FileLock};

const STEPS: [&str; 5] = ["created", "written", "synced", "renamed", "folder-synced"];

/// The task `replace` of a child process.
pub(super) fn replace_in(folder: &Path) {
    files::replace(&folder.join("x.json"), &json!({ "is": "new" })).unwrap();
}

fn content(folder: &Path) -> Value {
    files::read(&folder.join("x.json")).unwrap().unwrap()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn whatever_the_umask_files_are_0600_and_folders_0700() {
    for umask in ["000", "022", "077", "0377"] {
        let outside = tempfile::tempdir().unwrap();
        let ran = through_sh(&format!("umask {umask}; exec \"$@\""), "add", outside.path());
        assert!(ran.status.success(), "{umask}: {ran:?}");
        let mut seen = 0;
        for entry in walkdir::WalkDir::new(outside.path()).min_depth(1) {
            let entry = entry.unwrap();
            let want = if entry.file_type().is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(entry.path()), want, "umask {umask}: {}", entry.path().display());
            seen += 1;
        }
        // a, b, profiles, work, users; active, profile, login; three locks.
        assert_eq!(seen, 11, "umask {umask}");
    }
}

/// Watched at every step, so that no moment is laxer.
#[cfg(unix)]
#[test]
fn a_new_file_is_private_from_its_first_moment() {
    let folder = tempfile::tempdir().unwrap();
    for step in ["created", "written", "synced"] {
        let mut command = process("replace", folder.path());
        let ran = command.env("FEISHU_MIRROR_DIE_AT", step).output().unwrap();
        assert!(!ran.status.success());
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap()).collect();
        assert_eq!(left.len(), 1, "{step}");
        assert_eq!(mode(&left[0].path()), 0o600, "{step}");
        files::discard_leftovers(&folder.path().join("x.json"));
    }
}

#[cfg(unix)]
#[test]
fn what_is_laxer_is_closed_and_said() {
    let home = Home::new();
    let (login, profile) = (home.login_file(), home.path().join("profiles/work/profile.json"));
    let folder = home.path().join("profiles/work");
    assert!(home.work().repaired.is_empty());
    set_mode(&login, 0o644);
    set_mode(&profile, 0o640);
    set_mode(&folder, 0o755);
    let repaired = home.work().repaired;
    let said: BTreeSet<_> = repaired.iter().map(|it| (it.path.clone(), it.was, it.is)).collect();
    let want = [(login.clone(), 0o644, 0o600), (profile, 0o640, 0o600), (folder, 0o755, 0o700)];
    assert_eq!(said, BTreeSet::from(want));
    assert!(repaired[0].to_string().contains("open to others"), "{}", repaired[0]);
    assert!(home.work().repaired.is_empty(), "said once");

    // Reading a single file repairs it as well.
    set_mode(&login, 0o666);
    assert!(files::read::<Value>(&login).unwrap().is_some());
    assert_eq!(mode(&login), 0o600);
}

#[cfg(unix)]
#[test]
fn a_symlink_in_a_secrets_place_is_refused_and_not_followed() {
    let home = Home::new();
    let elsewhere = home.path().join("elsewhere.json");
    let login = home.login_file();
    fs::rename(&login, &elsewhere).unwrap();
    set_mode(&elsewhere, 0o644);
    std::os::unix::fs::symlink(&elsewhere, &login).unwrap();
    let error = home.work().logins().unwrap_err();
    assert!(matches!(&error, AuthError::Damaged { why, .. } if why.contains("symbolic link")));
    assert_eq!(mode(&elsewhere), 0o644, "what it leads to is not ours");

    let lock = home.path().join("planted.lock");
    std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
    assert!(matches!(files::lock(&lock), Err(AuthError::Io { .. })));

    // A pipe would be waited for, for ever.
    let pipe = home.path().join("pipe.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(matches!(files::read::<Value>(&pipe), Err(AuthError::Damaged { .. })));
}

#[test]
fn a_damaged_file_is_refused_without_quoting_it() {
    #[derive(Debug, serde::Deserialize)]
    struct Thing {
        #[expect(dead_code, reason = "only read")]
        is: u32,
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    let secret = super::CANARY;
    let cases = [
        ("", "line 1"),
        ("{\"is\":", "line 1"),
        ("{\"is\": \"h0shP0wer\"}", "`is`"),
        ("[\"h0shP0wer\"]", "another kind"),
        ("h0shP0wer", "line 1"),
        ("{}", "missing"),
    ];
    for (text, word) in cases {
        fs::write(&path, text).unwrap();
        let error = files::read::<Thing>(&path).unwrap_err();
        let said = format!("{error} {error:?} {:?}", error.hint());
        assert!(said.contains(word) && !said.contains(secret), "{text}: {said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "left as it is");
    }
    fs::write(&path, "{\"version\": 2, \"is\": \"what only the future knows\"}").unwrap();
    let error = files::read_known::<Thing>(&path, 1).unwrap_err();
    assert!(matches!(error, AuthError::Newer { version: 2, .. }));
    assert!(error.hint().unwrap().contains("update"));
}

/// A reader without a lock sees the old content or the new one, whole, at any time.
#[test]
fn a_reader_never_sees_half_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    let value = |n: usize| json!({ "n": n, "text": n.to_string().repeat(5000) });
    let whole = |n: usize| {
        let mut text = serde_json::to_vec_pretty(&value(n)).unwrap();
        text.push(b'\n');
        blake3::hash(&text)
    };
    let known: Vec<_> = (0..40).map(whole).collect();
    files::replace(&path, &value(0)).unwrap();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::SeqCst) {
                let hash = blake3::hash(&fs::read(&path).unwrap());
                let at = known.iter().position(|it| *it == hash);
                seen.insert(at.expect("half a file"));
            }
            seen
        });
        for n in 1..40 {
            files::replace(&path, &value(n)).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(!seen.is_empty());
    assert_eq!(blake3::hash(&fs::read(&path).unwrap()), known[39]);
}

/// Processes that are really killed: before the rename the old file is whole, after it
/// the new one is.
#[test]
fn a_process_killed_at_any_step_leaves_the_old_file_or_the_new_one() {
    for (at, step) in STEPS.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        files::replace(&folder.path().join("x.json"), &json!({ "is": "old" })).unwrap();
        let mut command = process("replace", folder.path());
        let ran = command.env("FEISHU_MIRROR_DIE_AT", step).output().unwrap();
        assert!(!ran.status.success(), "{step}: it should have died");
        let want = if at < 3 { "old" } else { "new" };
        assert_eq!(content(folder.path())["is"], want, "{step}");
        // And the next one gets through.
        replace_in(folder.path());
        assert_eq!(content(folder.path())["is"], "new", "{step}");
    }
}

#[test]
fn what_killed_processes_left_is_removed_when_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in [".x.json.aaa.tmp", ".y.json.bbb.tmp", "x.tmp", ".hidden"] {
        fs::write(path(name), "secret").unwrap();
    }
    replace_in(folder.path());
    assert!(path(".x.json.aaa.tmp").exists(), "somebody may be at work on it");
    let old = SystemTime::now() - Duration::from_secs(2 * 3600);
    for entry in fs::read_dir(folder.path()).unwrap() {
        let file = fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(old).unwrap();
    }
    replace_in(folder.path());
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".hidden", "x.json", "x.tmp"]);
}

#[test]
fn a_lock_is_held_by_one_or_shared_by_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.lock");
    let free = |exclusive: bool| {
        let file = fs::File::open(&path).unwrap();
        if exclusive { file.try_lock().is_ok() } else { file.try_lock_shared().is_ok() }
    };
    let alone: FileLock = files::lock(&path).unwrap();
    assert!(!free(false));
    drop(alone);
    let together = (files::lock_shared(&path).unwrap(), files::lock_shared(&path).unwrap());
    assert!(free(false) && !free(true));
    drop(together);
    assert!(free(true));
}

/// The lock of a removed profile: who waited for it must not hold a file that nobody
/// else can find.
#[test]
fn a_lock_that_was_removed_while_waiting_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.lock");
    let first = files::lock(&path).unwrap();
    std::thread::scope(|threads| {
        let second = threads.spawn(|| files::lock(&path).unwrap());
        fs::remove_file(&path).unwrap();
        drop(first);
        let _held = second.join().unwrap();
        assert!(path.exists(), "made again");
        assert!(fs::File::open(&path).unwrap().try_lock().is_err(), "and held");
    });
}
