//! Files in staging: finished, given up, killed, resumed, swept; full disks.

use super::*;

#[cfg(unix)]
#[test]
fn modes_follow_the_umask_and_unfinished_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // What this process' umask makes of 0777.
    fs::DirBuilder::new().create(place.temp.path().join("probe")).unwrap();
    let umask = mode(place.temp.path().join("probe"));

    let mut staged = place.disk.stage().unwrap();
    staged.write(b"hello").unwrap();
    assert_eq!(mode(place.state("staging").join(&place.staging()[0])), 0o600);
    let sealed = staged.seal().unwrap();
    assert_eq!(mode(place.state("staging").join(&sealed.name)), 0o644 & umask);
    place.put("drive/a.docx", b"hello");
    assert_eq!(mode(place.path("drive/a.docx")), 0o644 & umask);
    assert_eq!(mode(place.path("drive")), 0o755 & umask);
    place.disk.write_marker(b"{}").unwrap();
    assert_eq!(mode(place.state("root.json")), 0o644 & umask);
}

#[test]
fn what_is_not_finished_goes_away() {
    let place = Place::new();
    let mut staged = place.disk.stage().unwrap();
    staged.write(b"half").unwrap();
    drop(staged);
    place.disk.stage().unwrap().drop_or_keep(true).unwrap();
    let sealed = place.sealed(b"whole");
    place.disk.discard(sealed).unwrap();
    assert!(place.staging().is_empty());
}

#[test]
fn a_copy_is_staged_with_its_hash() {
    let place = Place::new();
    let bytes = vec![7; 300_000];
    place.put("drive/a.bin", &bytes);
    let sealed = place.disk.stage_copy(&at("drive/a.bin")).unwrap();
    assert_eq!((sealed.size, sealed.blake3), (300_000, hash(&bytes)));
    place.disk.publish(&sealed, &rel("drive/b.bin")).unwrap();
    assert_eq!(fs::read(place.path("drive/b.bin")).unwrap(), bytes);
    assert!(place.disk.stage_copy(&at("drive/none.bin")).unwrap_err().is_missing());
    assert!(place.disk.stage_copy(&at("drive")).is_err(), "a folder is no file");
}

#[test]
fn a_kept_download_goes_on_where_it_stopped() {
    let place = Place::new();
    let mut staged = place.disk.stage_partial("boxcn1", &validators()).unwrap();
    staged.write(b"first half, ").unwrap();
    staged.drop_or_keep(true).unwrap();

    let (mut staged, found) = place.disk.resume("boxcn1").unwrap().unwrap();
    assert_eq!((staged.size, found), (12, validators()));
    staged.write(b"second half").unwrap();
    let sealed = staged.seal().unwrap();
    assert_eq!(sealed.blake3, hash(b"first half, second half"));
    assert_eq!(place.staging().join(" "), sealed.name, "the sidecar is gone");
    place.disk.publish(&sealed, &rel("a.bin")).unwrap();
    assert_eq!(fs::read(place.path("a.bin")).unwrap(), b"first half, second half");
    assert!(place.disk.resume("boxcn1").unwrap().is_none());
}

#[test]
fn a_killed_download_goes_on_from_a_durable_point() {
    let place = Place::new();
    let block: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
    let mut staged = place.disk.stage_partial("boxcn1", &validators()).unwrap();
    // At the second point, the first one is certain.
    for _ in 0..16 {
        staged.write(&block).unwrap();
    }
    // `kill -9` runs no destructor.
    std::mem::forget(staged);
    // And the power may fail with bytes that were never written: zeros.
    let part = place.state("staging/partial/boxcn1.part");
    fs::OpenOptions::new().write(true).open(&part).unwrap().set_len(9 << 20).unwrap();

    let (mut staged, _) = place.disk.resume("boxcn1").unwrap().unwrap();
    assert_eq!(staged.size, 8 << 20);
    staged.write(b"end").unwrap();
    let sealed = staged.seal().unwrap();
    let mut whole = block.repeat(8);
    whole.extend(b"end");
    assert_eq!((sealed.size, sealed.blake3), (whole.len() as u64, hash(&whole)));
}

/// The disk tells once that it lost bytes, to the thread that syncs them.
#[cfg(feature = "test-hooks")]
#[test]
fn a_durable_point_that_fails_on_its_thread_fails_the_file() {
    type End = fn(Staged) -> Result<(), DiskError>;
    let ends: [End; 3] = [
        |staged| staged.seal().map(drop),
        |staged| staged.drop_or_keep(true),
        |mut staged| staged.write(&vec![0; 8 << 20]),
    ];
    for end in ends {
        let syncs = AtomicUsize::new(0);
        let faults = Faults::when(move |op, _| {
            let first = op == Op::Sync && syncs.fetch_add(1, Ordering::Relaxed) == 0;
            first.then(|| io::Error::other("bytes were lost"))
        });
        let place = Place::with(&faults);
        let mut staged = place.disk.stage_partial("boxcn1", &validators()).unwrap();
        staged.write(&vec![0; 8 << 20]).unwrap();
        let error = end(staged).unwrap_err();
        assert_eq!(error.to_string(), "cannot write to disk staging/partial/boxcn1.part");
        assert!(place.disk.resume("boxcn1").unwrap().is_none(), "nothing vouches for it");
    }
}

#[test]
fn a_partial_without_a_sound_sidecar_is_begun_anew() {
    type Spoil = fn(&Place);
    let cases: [(&str, Spoil); 5] = [
        ("no sidecar", |p| fs::remove_file(p.state("staging/partial/b.json")).unwrap()),
        ("no data", |p| fs::remove_file(p.state("staging/partial/b.part")).unwrap()),
        ("emptied sidecar", |p| fs::write(p.state("staging/partial/b.json"), "").unwrap()),
        ("data cut short", |p| fs::write(p.state("staging/partial/b.part"), "ab").unwrap()),
        ("nothing durable", |p| {
            let text = fs::read_to_string(p.state("staging/partial/b.json")).unwrap();
            let text = text.replace("\"durable\":5", "\"durable\":0");
            fs::write(p.state("staging/partial/b.json"), text).unwrap();
        }),
    ];
    for (why, spoil) in cases {
        let place = Place::new();
        let mut staged = place.disk.stage_partial("b", &validators()).unwrap();
        staged.write(b"hello").unwrap();
        staged.drop_or_keep(true).unwrap();
        spoil(&place);
        assert!(place.disk.resume("b").unwrap().is_none(), "{why}");
        assert!(place.staging().is_empty(), "{why}");
    }
}

#[test]
fn any_name_makes_a_partial_and_a_new_one_replaces_the_old() {
    let place = Place::new();
    for name in ["../../outside/precious", "", "a/b", "中", &"x".repeat(300)] {
        let mut staged = place.disk.stage_partial(name, &validators()).unwrap();
        staged.write(b"old").unwrap();
        staged.drop_or_keep(true).unwrap();
        let mut staged = place.disk.stage_partial(name, &validators()).unwrap();
        staged.write(b"newer").unwrap();
        staged.drop_or_keep(true).unwrap();
        let (staged, _) = place.disk.resume(name).unwrap().unwrap();
        assert_eq!(staged.size, 5, "{name:?}");
        staged.drop_or_keep(false).unwrap();
    }
    assert!(place.staging().is_empty());
    place.outside_is_untouched();
}

#[test]
fn a_sweep_leaves_what_can_still_be_used() {
    let place = Place::new();
    std::mem::forget(place.sealed(b"of a killed run"));
    for (name, bytes) in [("keep", b"1"), ("orphan", b"2")] {
        let mut staged = place.disk.stage_partial(name, &validators()).unwrap();
        staged.write(bytes).unwrap();
        staged.drop_or_keep(true).unwrap();
    }
    fs::remove_file(place.state("staging/partial/orphan.json")).unwrap();
    fs::write(place.state("staging/partial/keep.json.new"), "x").unwrap();
    fs::create_dir_all(place.state("staging/what/is/this")).unwrap();
    place.put("drive/a", b"a");
    place.disk.rename(&at("drive/a"), &parked("a")).unwrap();

    let now = beneath::secs(std::time::SystemTime::now());
    place.disk.sweep_staging(now, 3600).unwrap();
    assert_eq!(place.staging(), ["a", "keep.json", "keep.part"]);
    assert!(!place.state("staging/what").exists());
    place.disk.sweep_staging(now + 7200, 3600).unwrap();
    assert_eq!(place.staging(), ["a"]);
}

#[cfg(feature = "test-hooks")]
#[test]
fn a_full_disk_is_told_apart_and_leaves_nothing_behind() {
    for (kind, op) in [
        (io::ErrorKind::StorageFull, Op::Write),
        (io::ErrorKind::QuotaExceeded, Op::Write),
        (io::ErrorKind::StorageFull, Op::Create),
        (io::ErrorKind::StorageFull, Op::Sync),
    ] {
        let armed = Arc::new(AtomicBool::new(false));
        let trigger = Arc::clone(&armed);
        let faults = Faults::when(move |seen, _| {
            (trigger.load(Ordering::Relaxed) && seen == op).then(|| kind.into())
        });
        let place = Place::with(&faults);
        armed.store(true, Ordering::Relaxed);
        let write = || {
            let mut staged = place.disk.stage()?;
            staged.write(b"hello")?;
            staged.seal()
        };
        let error = write().unwrap_err();
        assert!(matches!(error, DiskError::Full { .. }), "{op:?}: {error}");
        assert!(error.to_string().contains("no space left"), "{error}");
        assert!(place.staging().is_empty(), "{op:?}");
        armed.store(false, Ordering::Relaxed);
        write().unwrap();
    }
}
