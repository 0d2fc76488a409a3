//! Scans, state files and logs.

use super::*;

#[test]
fn looking_makes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("mirror");
    let disk = Disk::open(&root, &root.join(RESERVED), false, &Faults::default()).unwrap();
    assert!(!disk.exists());
    assert!(disk.scan().unwrap().entries.is_empty());
    assert_eq!(disk.read_marker().unwrap(), None);
    assert_eq!(disk.read_state_file("index.jsonl").unwrap(), None);
    assert!(disk.stage().err().unwrap().is_missing());
    assert!(!root.exists());

    fs::create_dir(&root).unwrap();
    fs::write(root.join("a"), "a").unwrap();
    let disk = Disk::open(&root, &root.join(RESERVED), false, &Faults::default()).unwrap();
    assert_eq!(disk.scan().unwrap().entries.len(), 1);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_scan_tells_files_folders_links_and_strangers() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.put("drive/a.docx", b"hello");
    place.disk.link("a.docx", &rel("drive/l")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff");
    fs::create_dir(place.path("drive").join(odd)).unwrap();
    fs::write(place.path("drive").join(odd).join("x"), "x").unwrap();
    fs::write(place.path("drive/back\\slash"), "x").unwrap();
    let _pipe = std::os::unix::net::UnixListener::bind(place.path("drive/socket"));
    fs::create_dir_all(place.path("drive/.feishu-mirror")).unwrap();

    let local = place.disk.scan().unwrap();
    let want = BTreeMap::from([
        (at("drive"), LocalEntry::Dir),
        (at("drive/.feishu-mirror"), LocalEntry::Dir),
        (at("drive/a.docx"), LocalEntry::File { size: 5, mtime_secs: 1_700_000_000 }),
        (at("drive/l"), LocalEntry::Link("a.docx".to_owned())),
        (at("drive/socket"), LocalEntry::Other),
    ]);
    assert_eq!(local.entries, want);
    assert!(local.unreadable.is_empty());
    assert!(place.path("drive").join(odd).join("x").exists());
}

#[cfg(feature = "test-hooks")]
#[test]
fn what_cannot_be_read_is_unknown_not_missing() {
    let denied = |op, path: &str| {
        let hit = op == Op::Scan && (path == "drive/shut" || path == "drive/half/a");
        hit.then(|| io::ErrorKind::PermissionDenied.into())
    };
    let place = Place::with(&Faults::when(denied));
    place.put("drive/shut/a", b"a");
    place.put("drive/half/a", b"a");
    place.put("drive/open/a", b"a");
    let local = place.disk.scan().unwrap();
    assert_eq!(local.unreadable, [rel("drive/half"), rel("drive/shut")].into());
    assert!(local.entries.contains_key(&at("drive/open/a")));
    assert!(local.entries.contains_key(&at("drive/shut")));
    assert!(!local.entries.contains_key(&at("drive/shut/a")));
}

#[test]
fn state_files_are_replaced_whole_and_logs_grow() {
    let place = Place::new();
    let disk = &place.disk;
    disk.write_state_file("note.json", b"one").unwrap();
    disk.write_state_file("note.json", b"two").unwrap();
    assert_eq!(disk.read_state_file("note.json").unwrap().unwrap(), b"two");
    let failed = disk.replace_state_file("note.json", |to| {
        to.write_all(b"half")?;
        Err(io::Error::other("on purpose"))
    });
    assert!(failed.is_err());
    assert_eq!(disk.read_state_file("note.json").unwrap().unwrap(), b"two");
    assert!(place.staging().is_empty());
    disk.remove_state_file("note.json").unwrap();
    disk.remove_state_file("note.json").unwrap();
    assert_eq!(disk.read_state_file("note.json").unwrap(), None);
    assert!(disk.write_state_file("../escape", b"x").is_err());

    for run in ["r3", "r1", "r2"] {
        let mut log = disk.run_log(run).unwrap();
        log.line("{}").unwrap();
        log.sync().unwrap();
        let mut log = disk.run_log(run).unwrap();
        log.line("[]").unwrap();
        log.flush().unwrap();
    }
    assert_eq!(disk.read_state_file("runs/r1.jsonl").unwrap().unwrap(), b"{}\n[]\n");
    disk.trim_run_logs(2).unwrap();
    assert_eq!(disk.run_logs().unwrap(), ["r2", "r3"]);
}

#[test]
fn what_is_parked_is_seen_whatever_else_is_missing() {
    let place = Place::new();
    place.put("a", b"a");
    place.disk.rename(&at("a"), &parked("a-docx")).unwrap();
    for gone in ["trash", "runs", "staging/partial"] {
        fs::remove_dir_all(place.state(gone)).unwrap();
    }
    let root = place.path("");
    let disk = Disk::open(&root, &root.join(RESERVED), false, &Faults::default()).unwrap();
    let seen: Vec<_> = disk.scan().unwrap().entries.into_keys().collect();
    assert_eq!(seen, [parked("a-docx")]);
    assert_eq!(disk.hash(&parked("a-docx")).unwrap(), hash(b"a"));
    assert_eq!(disk.empty_trash(i64::MAX, 0).unwrap(), 0);
    assert!(disk.run_logs().unwrap().is_empty());
}

#[test]
fn handles_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Disk>();
    crosses::<Staged>();
    crosses::<Faults>();
}

#[test]
fn there_is_some_room() {
    assert!(Place::new().disk.free_bytes().unwrap() > 0);
}

#[test]
fn times_are_rounded_down() {
    use std::time::Duration;
    for secs in [-2, -1, 0, 1, 1_700_000_000] {
        assert_eq!(beneath::secs(beneath::time(secs)), secs);
        assert_eq!(beneath::secs(beneath::time(secs) + Duration::from_millis(400)), secs);
    }
}

#[test]
#[ignore = "takes a while: cargo test --release --lib disk::tests::a_scan_of -- --ignored --nocapture"]
#[expect(clippy::print_stderr, reason = "a measurement")]
fn a_scan_of_100_000_files() {
    let place = Place::new();
    for folder in 0..1000 {
        fs::create_dir_all(place.path(&format!("drive/{folder}"))).unwrap();
        for file in 0..100 {
            fs::write(place.path(&format!("drive/{folder}/{file}.docx")), "x").unwrap();
        }
    }
    let start = std::time::Instant::now();
    assert_eq!(place.disk.scan().unwrap().entries.len(), 101_001);
    eprintln!("{:?}", start.elapsed());
}
