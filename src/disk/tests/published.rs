//! Publishing, renames, folders, links and the trash.

use super::*;

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

#[cfg(all(unix, feature = "test-hooks"))]
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

#[cfg(feature = "test-hooks")]
#[test]
fn other_faults_name_what_and_where() {
    let faults = Faults::when(|op, path| {
        (op == Op::Publish && path == "drive/a").then(|| io::Error::from_raw_os_error(30))
    });
    let place = Place::with(&faults);
    place.disk.make_folder(&rel("drive")).unwrap();
    let sealed = place.sealed(b"a");
    let error = place.disk.publish(&sealed, &rel("drive/a")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot put in place drive/a: make the disk writable, then run again"
    );
    assert!(std::error::Error::source(&error).is_some());
    place.disk.publish(&sealed, &rel("drive/b")).unwrap();
}
