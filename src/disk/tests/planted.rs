//! What is planted to lead out of the mirror, and where the state folder may lie.

use super::*;

#[cfg(unix)]
#[test]
fn planted_symlinks_are_refused_wherever_they_lead() {
    use std::os::unix::fs::symlink;
    for inside in [false, true] {
        let place = Place::new();
        place.put("drive/a", b"a");
        place.put("drive/real/b", b"b");
        let target =
            if inside { place.path("drive/real") } else { place.temp.path().join("outside") };
        symlink(&target, place.path("drive/trap")).unwrap();
        symlink(&target, place.path("top")).unwrap();
        let disk = &place.disk;
        let sealed = place.sealed(b"x");
        for trap in ["drive/trap", "top"] {
            let below = rel(&format!("{trap}/x"));
            let below_at = Loc::Mirror(below.clone());
            assert!(occupied(disk.publish(&sealed, &below)), "{trap}");
            assert!(occupied(disk.make_folder(&below)), "{trap}");
            assert!(occupied(disk.make_folder(&rel(trap))), "{trap}");
            assert!(occupied(disk.rename(&at("drive/a"), &below_at)), "{trap}");
            assert!(occupied(disk.rename(&below_at, &at("drive/z"))), "{trap}");
            assert!(occupied(disk.link("a", &below)), "{trap}");
            assert!(occupied(disk.set_mtime(&below, 1)), "{trap}");
            assert!(occupied(disk.set_mtime(&rel(trap), 1)), "{trap}");
            assert!(occupied(disk.remove(&below_at)), "{trap}");
            assert!(occupied(disk.remove_folder(&below_at)), "{trap}");
            assert!(occupied(disk.hash(&below_at)), "{trap}");
            assert!(disk.hash(&at(trap)).is_err(), "{trap}");
            assert!(occupied(disk.stage_copy(&below_at)), "{trap}");
            assert!(occupied(disk.trash(&below_at, "run/x")), "{trap}");
            assert!(occupied(disk.sync_folders(&[at(trap)])), "{trap}");
            assert_eq!(disk.look(&below_at).unwrap(), None, "{trap}");
        }
        let seen = disk.scan().unwrap();
        assert!(matches!(seen.entries[&at("drive/trap")], LocalEntry::Link(_)));
        assert!(!seen.entries.contains_key(&at("drive/trap/b")));
        place.outside_is_untouched();
        assert_eq!(fs::read_dir(place.path("drive/real")).unwrap().count(), 1);
        // The link itself may be renamed and removed like any other.
        disk.rename(&at("drive/trap"), &at("drive/trap2")).unwrap();
        disk.remove(&at("drive/trap2")).unwrap();
        place.outside_is_untouched();
    }
}

#[cfg(unix)]
#[test]
fn a_planted_state_folder_is_refused() {
    use std::os::unix::fs::symlink;
    for planted in [RESERVED, ".feishu-mirror/staging", ".feishu-mirror/trash"] {
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("mirror"), temp.path().join("outside"));
        let place = root.join(planted);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, &place).unwrap();
        for create in [true, false] {
            let opened = Disk::open(&root, &root.join(RESERVED), create, &Faults::default());
            // A missing sibling is found first where nothing is made.
            assert!(occupied(opened), "{planted}, create: {create}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}

#[test]
fn no_place_of_the_copy_lies_in_the_state_folder() {
    let place = Place::new();
    place.put("drive/a", b"a");
    for name in [".feishu-mirror", ".Feishu-Mirror"] {
        let inside = format!("{name}/staging/x");
        assert!(occupied(place.disk.make_folder(&rel(name))));
        assert!(occupied(place.disk.rename(&at("drive/a"), &at(&inside))));
    }
}

#[test]
fn the_state_folder_may_lie_elsewhere() {
    let temp = tempfile::tempdir().unwrap();
    let (root, state) = (temp.path().join("mirror"), temp.path().join("state"));
    let disk = Disk::open(&root, &state, true, &Faults::default()).unwrap();
    assert!(state.join("staging/parked").is_dir());
    assert!(!root.join(RESERVED).exists());
    assert_eq!(disk.read_marker().unwrap(), None);
    disk.write_marker(b"{\"id\":1}").unwrap();
    assert_eq!(fs::read(root.join(".feishu-mirror/root.json")).unwrap(), b"{\"id\":1}");
    assert_eq!(disk.read_marker().unwrap().unwrap(), b"{\"id\":1}");
    assert!(disk.scan().unwrap().entries.is_empty());

    let same = Disk::open(&root, &root, true, &Faults::default()).err().unwrap();
    assert!(same.to_string().contains("mirror.state"), "{same}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_state_folder_on_another_file_system_is_refused() {
    use std::os::unix::fs::MetadataExt;
    let (temp, shm) = (tempfile::tempdir().unwrap(), PathBuf::from("/dev/shm"));
    let Ok(other) = tempfile::tempdir_in(shm) else { return };
    if fs::metadata(temp.path()).unwrap().dev() == fs::metadata(other.path()).unwrap().dev() {
        return;
    }
    let error = Disk::open(temp.path(), other.path(), true, &Faults::default()).err().unwrap();
    assert!(error.to_string().contains("mirror.state"), "{error}");
}

/// The parts of the state folder, swapped for symlinks after they were opened: what is
/// written goes where they were, or nowhere.
#[cfg(unix)]
#[test]
fn a_state_folder_that_turns_into_a_symlink_leads_nowhere() {
    use std::os::unix::fs::symlink;
    for swapped in ["", "staging", "staging/partial", "trash", "runs", "pages"] {
        let place = Place::new();
        let disk = &place.disk;
        place.put("drive/a", b"a");
        place.put("drive/b", b"b");
        disk.write_state_file("pages/0", b"kept").unwrap();
        let at_hand = place.path(format!("{RESERVED}/{swapped}").trim_end_matches('/'));
        let aside = place.temp.path().join("aside");
        fs::rename(&at_hand, &aside).unwrap();
        symlink(place.temp.path().join("outside"), &at_hand).unwrap();

        // Each may fail or not; none may follow.
        let _ = disk.stage().and_then(|mut staged| {
            staged.write(b"x")?;
            let sealed = staged.seal()?;
            disk.dress(&sealed, 1)?;
            disk.publish(&sealed, &rel("drive/x"))
        });
        let _ = disk.stage_partial("boxA", &validators()).and_then(|mut staged| {
            staged.write(b"x")?;
            staged.drop_or_keep(true)
        });
        let _ = disk.resume("precious");
        let _ = disk.stage_copy(&at("drive/b"));
        let _ = disk.trash_place("run", &rel("drive/a"));
        let _ = disk.trash(&at("drive/a"), "run/a");
        let _ = disk.rename(&at("drive/b"), &parked("b"));
        let _ = disk.write_state_file("pages/1", b"kept");
        let _ = disk.write_state_file("index.jsonl", b"{}");
        let _ = disk.remove_state_file("precious");
        let _ = disk.remove_state_file("pages/precious");
        let _ = disk.run_log("run").and_then(|mut log| {
            log.line("x")?;
            log.sync()
        });
        let _ = disk.trim_run_logs(0);
        let _ = disk.empty_trash(i64::MAX, 0);
        let _ = disk.sweep_staging(i64::MAX, 0);
        let marker = disk.write_marker(b"{}");
        assert_eq!(marker.is_err(), swapped.is_empty(), "{swapped:?}: {marker:?}");
        assert!(disk.read_state_file("precious").unwrap_or_default().is_none(), "{swapped:?}");
        place.outside_is_untouched();
    }
}

/// The same while it goes on: the state folder's parts come and go as files are staged,
/// published, trashed and logged.
#[cfg(unix)]
#[test]
fn state_folders_swapped_all_the_time_lead_nowhere() {
    for swapped in ["staging", "trash", "runs", "pages"] {
        let place = Place::new();
        let (real, aside) = (place.state(swapped), place.temp.path().join("aside"));
        let outside = place.temp.path().join("outside");
        place.disk.write_state_file("pages/0", b"kept").unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::rename(&real, &aside).unwrap();
                    // Somebody may have made it anew meanwhile.
                    let planted = std::os::unix::fs::symlink(&outside, &real);
                    std::thread::yield_now();
                    if planted.is_ok() {
                        fs::remove_file(&real).unwrap();
                    }
                    // And may go on to write into it while it is removed.
                    while fs::rename(&aside, &real).is_err() {
                        let _ = fs::remove_dir_all(&real);
                    }
                    std::thread::yield_now();
                }
            });
            let disk = &place.disk;
            for round in 0..60 {
                let to = rel(&format!("drive/x{round}"));
                let _ = disk.make_folder(&rel("drive"));
                let _ = disk.stage().and_then(|mut staged| {
                    staged.write(b"x")?;
                    disk.publish(&staged.seal()?, &to)
                });
                let _ = disk.trash(&Loc::Mirror(to), &format!("run/x{round}"));
                let _ = disk.write_state_file(&format!("pages/{round}"), b"kept");
                let _ = disk.remove_state_file("pages/precious");
                let _ = disk.run_log("run").and_then(|mut log| log.sync());
                let _ = disk.sweep_staging(i64::MAX, 0);
                let _ = disk.empty_trash(i64::MAX, 0);
            }
            done.store(true, Ordering::Relaxed);
        });
        place.outside_is_untouched();
    }
}

/// Somebody swaps a folder for a symlink and back while files are published into it:
/// some calls fail, none writes outside.
#[cfg(unix)]
#[test]
fn a_folder_that_turns_into_a_symlink_leads_nowhere() {
    let place = Place::new();
    place.put("drive/sub/a", b"a");
    let (real, aside) = (place.path("drive/sub"), place.path("drive/aside"));
    let outside = place.temp.path().join("outside");
    let done = AtomicBool::new(false);
    let (mut refused, mut published) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(&real, &aside).unwrap();
                std::os::unix::fs::symlink(&outside, &real).unwrap();
                std::thread::yield_now();
                fs::remove_file(&real).unwrap();
                fs::rename(&aside, &real).unwrap();
                std::thread::yield_now();
            }
        });
        for round in 0..400 {
            let sealed = place.sealed(b"x");
            let to = rel(&format!("drive/sub/x{round}"));
            match place.disk.publish(&sealed, &to) {
                Ok(()) => published += 1,
                Err(_) => refused += 1,
            }
            let _ = place.disk.remove(&at("drive/sub/precious"));
            let _ = place.disk.set_mtime(&rel("drive/sub/precious"), 1);
        }
        done.store(true, Ordering::Relaxed);
    });
    place.outside_is_untouched();
    assert_eq!(refused + published, 400);
    assert_eq!(fs::read_dir(&real).unwrap().count(), 1 + published);
}
