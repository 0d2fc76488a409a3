//! Stories of the disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::model::ContentHash;
use crate::model::local::LocalEntry;

/// A mirror in a temporary folder, beside an `outside` that must stay as it is.
struct Place {
    temp: tempfile::TempDir,
    disk: Disk,
}

impl Place {
    fn new() -> Self {
        Self::with(&Faults::default())
    }

    fn with(faults: &Faults) -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("outside")).unwrap();
        fs::write(temp.path().join("outside/precious"), "precious").unwrap();
        let root = temp.path().join("mirror");
        let disk = Disk::open(&root, &root.join(RESERVED), true, faults).unwrap();
        Self { temp, disk }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join("mirror").join(below)
    }

    fn state(&self, below: &str) -> PathBuf {
        self.path(RESERVED).join(below)
    }

    fn sealed(&self, bytes: &[u8]) -> Sealed {
        let mut staged = self.disk.stage().unwrap();
        staged.write(bytes).unwrap();
        staged.seal().unwrap()
    }

    /// Publishes bytes at a path, parents made.
    fn put(&self, at: &str, bytes: &[u8]) {
        let to = rel(at);
        if let Some(parent) = to.parent() {
            self.disk.make_folder(&parent).unwrap();
        }
        let sealed = self.sealed(bytes);
        self.disk.dress(&sealed, 1_700_000_000).unwrap();
        self.disk.publish(&sealed, &to).unwrap();
    }

    fn staging(&self) -> Vec<String> {
        let mut names: Vec<_> = walkdir::WalkDir::new(self.state("staging"))
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| entry.file_name().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    fn outside_is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.temp.path().join("outside"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["precious"]);
        assert_eq!(fs::read(self.temp.path().join("outside/precious")).unwrap(), b"precious");
    }
}

fn rel(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn at(path: &str) -> Loc {
    Loc::Mirror(rel(path))
}

fn parked(path: &str) -> Loc {
    Loc::Parked(rel(path))
}

fn hash(bytes: &[u8]) -> ContentHash {
    blake3::hash(bytes).into()
}

#[expect(clippy::needless_pass_by_value, reason = "called on fresh results")]
fn occupied<T>(done: Result<T, DiskError>) -> bool {
    matches!(done, Err(DiskError::Occupied { .. }))
}

fn validators() -> Validators {
    Validators { etag: Some("\"e\"".to_owned()), total: Some(30 << 20), edited_secs: Some(7) }
}

#[test]
fn staged_bytes_appear_whole_with_mode_and_time() {
    let place = Place::new();
    let sealed = place.sealed(b"hello");
    assert_eq!((sealed.size, sealed.blake3), (5, hash(b"hello")));
    place.disk.dress(&sealed, -5).unwrap();
    place.disk.make_folder(&rel("wiki/手册")).unwrap();
    place.disk.publish(&sealed, &rel("wiki/手册/a.docx")).unwrap();
    place.disk.sync_folders(&[at("wiki/手册"), at("wiki")]).unwrap();

    assert_eq!(fs::read(place.path("wiki/手册/a.docx")).unwrap(), b"hello");
    let found = place.disk.look(&at("wiki/手册/a.docx")).unwrap();
    assert_eq!(found, Some(LocalEntry::File { size: 5, mtime_secs: -5 }));
    assert_eq!(place.disk.hash(&at("wiki/手册/a.docx")).unwrap(), hash(b"hello"));
    assert!(place.staging().is_empty());

    // Again over the old one, and a time set back.
    place.put("wiki/手册/a.docx", b"hello, world");
    place.disk.set_mtime(&rel("wiki/手册/a.docx"), 99).unwrap();
    let found = place.disk.look(&at("wiki/手册/a.docx")).unwrap();
    assert_eq!(found, Some(LocalEntry::File { size: 12, mtime_secs: 99 }));
}

#[cfg(unix)]
#[test]
fn modes_follow_the_umask_and_staged_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // What this process' umask makes of 0777.
    fs::DirBuilder::new().create(place.temp.path().join("probe")).unwrap();
    let umask = mode(place.temp.path().join("probe"));

    let sealed = place.sealed(b"hello");
    assert_eq!(mode(place.state("staging").join(&sealed.name)), 0o600);
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
fn nothing_is_renamed_onto_something() {
    let place = Place::new();
    place.put("drive/a", b"a");
    place.put("drive/b", b"b");
    place.disk.make_folder(&rel("drive/dir")).unwrap();
    place.disk.make_folder(&rel("drive/empty")).unwrap();
    assert!(occupied(place.disk.rename(&at("drive/a"), &at("drive/b"))));
    assert!(occupied(place.disk.rename(&at("drive/a"), &at("drive/empty"))));
    assert!(occupied(place.disk.rename(&at("drive/dir"), &at("drive/empty"))));
    assert!(place.disk.rename(&at("drive/none"), &at("drive/c")).unwrap_err().is_missing());
    assert!(place.disk.rename(&at("drive/a"), &at("none/c")).unwrap_err().is_missing());
    let sealed = place.sealed(b"x");
    assert!(occupied(place.disk.publish(&sealed, &rel("drive/dir"))));
    assert!(occupied(place.disk.publish(&sealed, &rel("drive/a/below"))), "a file as parent");
    assert!(occupied(place.disk.remove(&at("drive/dir"))));
    assert!(occupied(place.disk.remove_folder(&at("drive/a"))));
    assert!(occupied(place.disk.set_mtime(&rel("drive/dir"), 1)));
    assert!(occupied(place.disk.make_folder(&rel("drive/a"))));
    assert_eq!(fs::read(place.path("drive/a")).unwrap(), b"a");
    assert_eq!(fs::read(place.path("drive/b")).unwrap(), b"b");

    // A name that differs in case only is another name, or on some systems the same.
    place.disk.rename(&at("drive/a"), &at("drive/A")).unwrap();
    assert_eq!(fs::read(place.path("drive/A")).unwrap(), b"a");
}

#[test]
fn a_swap_goes_through_the_parking_place() {
    let place = Place::new();
    place.put("drive/one/a", b"1");
    place.put("drive/two/a", b"2");
    place.disk.rename(&at("drive/one"), &parked("one-dir")).unwrap();
    let local = place.disk.scan().unwrap();
    assert!(local.entries.contains_key(&parked("one-dir/a")), "what is parked is seen");
    place.disk.sweep_staging(i64::MAX, 0).unwrap();
    place.disk.rename(&at("drive/two"), &at("drive/one")).unwrap();
    place.disk.rename(&parked("one-dir"), &at("drive/two")).unwrap();
    place.disk.sync_folders(&[at("drive"), parked("one-dir")]).unwrap();
    assert_eq!(fs::read(place.path("drive/one/a")).unwrap(), b"2");
    assert_eq!(fs::read(place.path("drive/two/a")).unwrap(), b"1");
}

#[test]
fn folders_go_only_when_empty() {
    let place = Place::new();
    place.put("drive/full/a", b"a");
    assert!(!place.disk.remove_folder(&at("drive/full")).unwrap());
    place.disk.remove(&at("drive/full/a")).unwrap();
    place.disk.remove(&at("drive/full/a")).unwrap();
    place.disk.remove(&at("none/at/all")).unwrap();
    assert!(place.disk.remove_folder(&at("drive/full")).unwrap());
    assert!(place.disk.remove_folder(&at("drive/full")).unwrap(), "absent is fine");
    assert!(!place.path("drive/full").exists());
}

#[cfg(unix)]
#[test]
fn a_link_is_made_and_replaced_and_stays_inside() {
    let place = Place::new();
    place.put("drive/a.docx", b"a");
    place.disk.make_folder(&rel("drive/sub")).unwrap();
    assert!(place.disk.link("../a.docx", &rel("drive/sub/l")).unwrap());
    assert!(place.disk.link("../b.docx", &rel("drive/sub/l")).unwrap());
    let found = place.disk.look(&at("drive/sub/l")).unwrap();
    assert_eq!(found, Some(LocalEntry::Link("../b.docx".to_owned())));
    assert!(occupied(place.disk.link("a.docx", &rel("drive/sub"))));
    for bad in ["/etc/passwd", "../../../outside", "", "a/../../../../b"] {
        assert!(place.disk.link(bad, &rel("drive/sub/bad")).is_err(), "{bad:?}");
    }
    // A file may stand where a link stood, without touching what it led to.
    place.disk.link("../a.docx", &rel("drive/sub/l")).unwrap();
    place.put("drive/sub/l", b"own");
    assert_eq!(fs::read(place.path("drive/a.docx")).unwrap(), b"a");
    place.disk.remove(&at("drive/sub/l")).unwrap();
    assert!(place.staging().is_empty());
}

#[cfg(all(unix, feature = "test-faults"))]
#[test]
fn a_file_system_without_symlinks_says_so() {
    let cases = [(1, Some(false), "EPERM, as FAT says"), (30, None, "a read-only file system")];
    for (errno, want, why) in cases {
        let faults = Faults::when(move |op, _| {
            (op == Op::Link).then(|| io::Error::from_raw_os_error(errno))
        });
        let place = Place::with(&faults);
        place.disk.make_folder(&rel("drive")).unwrap();
        assert_eq!(place.disk.link("a", &rel("drive/l")).ok(), want, "{why}");
    }
}

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

#[cfg(feature = "test-faults")]
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
    assert!(!local.entries.contains_key(&at("drive/shut/a")));
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
    for _ in 0..10 {
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

#[test]
fn the_trash_keeps_paths_apart_and_is_emptied_by_age() {
    let place = Place::new();
    let old = "20240101T000000Z-aaaa";
    let new = "20240301T000000Z-bbbb";
    let throw = |run: &str, path: &str, bytes: &[u8]| {
        place.put(path, bytes);
        let to = place.disk.trash_place(run, &rel(path)).unwrap();
        place.disk.trash(&at(path), &to).unwrap();
        to
    };
    assert_eq!(throw(old, "wiki/a/b.docx", b"1"), format!("{old}/wiki/a/b.docx"));
    assert_eq!(throw(old, "wiki/a/b.docx", b"2"), format!("{old}/wiki/a/b.docx~2"));
    assert_eq!(throw(new, "wiki/a/b.docx", b"3"), format!("{new}/wiki/a/b.docx"));
    place.disk.remove_folder(&at("wiki/a")).unwrap();
    assert_eq!(throw(old, "wiki/a", b"a file now"), format!("{old}/wiki/a~2"));
    assert_eq!(throw(new, "x", b"x"), format!("{new}/x"));
    place.disk.remove(&at("x")).unwrap();
    assert_eq!(throw(new, "x/y", b"x/y"), format!("{new}/x~2/y"), "a file is no folder");

    // Places are given once, also before anything is there.
    let first = place.disk.trash_place(new, &rel("z")).unwrap();
    let second = place.disk.trash_place(new, &rel("z")).unwrap();
    let below = place.disk.trash_place(new, &rel("z/below")).unwrap();
    assert_eq!([&first, &second], [&format!("{new}/z"), &format!("{new}/z~2")]);
    assert_eq!(below, format!("{new}/z~3/below"));

    place.put("there", b"there");
    assert!(occupied(place.disk.trash(&at("there"), &format!("{new}/x"))));
    assert!(place.disk.trash(&at("there"), "../../outside/x").is_err());
    place.disk.sync_folders(&[at("wiki")]).unwrap();

    let march_second = 1_709_337_600;
    assert_eq!(place.disk.empty_trash(march_second, 30 * 86_400).unwrap(), 3);
    assert!(!place.state("trash").join(old).exists());
    assert!(place.state("trash").join(new).join("x~2/y").exists());
    place.outside_is_untouched();
}

#[cfg(feature = "test-faults")]
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

#[cfg(feature = "test-faults")]
#[test]
fn other_faults_name_what_and_where() {
    let faults = Faults::when(|op, path| {
        (op == Op::Publish && path == "drive/a").then(|| io::Error::from_raw_os_error(30))
    });
    let place = Place::with(&faults);
    place.disk.make_folder(&rel("drive")).unwrap();
    let sealed = place.sealed(b"a");
    let error = place.disk.publish(&sealed, &rel("drive/a")).unwrap_err();
    assert_eq!(error.to_string(), "cannot put in place drive/a");
    assert!(std::error::Error::source(&error).is_some());
    place.disk.publish(&sealed, &rel("drive/b")).unwrap();
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
