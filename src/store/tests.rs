//! Stories of the manifest.

mod hostile;
mod large;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::faults::Faults;
use crate::model::recorded::{PlaceState, ProductKey, ProductRow, Recorded, Stamp};
use crate::model::{Channel, Format, ObjType, Object, PlaceToken};

fn key(source: &str, token: &str) -> PlaceKey {
    PlaceKey::new(&source.into(), &token.into())
}

/// A folder's row, or a docx's with one product.
fn row(parent: Option<&str>, title: &str, folder: bool) -> PlaceRow {
    let slot = if folder { Slot::Dir } else { Slot::Product(Format::Docx) };
    let name = if folder { title.to_owned() } else { format!("{title}.docx") };
    let product = ProductRow {
        part_name: None,
        size: 5,
        blake3: blake3::hash(title.as_bytes()).into(),
        mtime_secs: 1_700_000_000,
        link: None,
        stamp: Stamp {
            times: BTreeMap::from([(Channel::Drive, 1_700_000_000)]),
            seen_secs: 1_700_000_100,
            revision: Some(7),
            read_secs: None,
        },
        doubtful: false,
    };
    PlaceRow {
        object: Object::new(if folder { ObjType::Folder } else { ObjType::Docx }, title),
        target: None,
        target_place: None,
        title: title.to_owned(),
        object_title: None,
        parent: parent.map(PlaceToken::from),
        created_secs: 1_600_000_000,
        order: 0,
        page: None,
        url: None,
        edited: None,
        state: PlaceState::Live,
        absent_walks: 0,
        stem: title.to_owned(),
        names: BTreeMap::from([(slot, name)]),
        products: if folder {
            BTreeMap::new()
        } else {
            BTreeMap::from([(ProductKey::whole(slot), product)])
        },
        outcomes: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
    }
}

fn put(source: &str, token: &str, parent: Option<&str>, folder: bool) -> RowChange {
    RowChange::Put { key: key(source, token), place: Box::new(row(parent, token, folder)) }
}

fn source(name: &str, root: &str) -> RowChange {
    let source =
        SourceRow { root: root.to_owned(), full_walk_secs: Some(1), ..SourceRow::default() };
    RowChange::Source { name: name.into(), source }
}

fn product(key: PlaceKey, part: &str) -> RowChange {
    let file = ProductRow {
        part_name: Some(part.to_owned()),
        size: 1,
        blake3: blake3::hash(part.as_bytes()).into(),
        mtime_secs: 1,
        link: None,
        stamp: Stamp::default(),
        doubtful: false,
    };
    RowChange::Product { key, product: ProductKey::asset(part), file: Box::new(file) }
}

fn publish(path: &str, token: &str) -> Intent {
    let act = Act::Publish {
        to: RelPath::new(path).unwrap(),
        size: 5,
        blake3: blake3::hash(token.as_bytes()).into(),
    };
    Intent { act, then: vec![put("drive", token, None, false)] }
}

fn some_tree() -> Vec<RowChange> {
    vec![
        source("drive", "root1"),
        source("team", "root2"),
        put("drive", "F", None, true),
        put("drive", "G", Some("F"), true),
        put("drive", "doc", Some("G"), false),
        put("drive", "other", None, false),
    ]
}

fn in_memory(changes: &[RowChange]) -> Recorded {
    let mut recorded = Recorded::default();
    apply_changes(&mut recorded, changes);
    recorded
}

/// Every file below a folder with its bytes.
fn bytes_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| (entry.path().display().to_string(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

/// What a `kill -9` leaves: the files as they are while the store is open.
fn crash(state: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(state.join(schema::FILE), copy.path().join(schema::FILE)).unwrap();
    copy
}

#[test]
fn what_is_recorded_is_there_after_reopening() {
    let state = tempfile::tempdir().unwrap();
    {
        let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
        assert!(!store.changed());
        store.record(&some_tree(), &[]).unwrap();
        assert!(store.changed());
    }
    let store = Store::open(state.path(), "another", &Faults::default()).unwrap();
    assert_eq!(store.mirror_id(), "m1", "the id is given once");
    assert_eq!(store.load().unwrap(), in_memory(&some_tree()));
    assert!(!store.changed());
}

#[test]
fn only_a_real_change_counts_as_one() {
    let walked = |secs| SourceRow {
        root: "root1".to_owned(),
        full_walk_secs: Some(secs),
        ..SourceRow::default()
    };
    let cases = [
        (vec![put("drive", "F", None, true)], false, "the same row"),
        (vec![RowChange::Drop { key: key("drive", "none") }], false, "a row that is not there"),
        (
            vec![RowChange::Source { name: "drive".into(), source: walked(99) }],
            false,
            "another full walk",
        ),
        (vec![source("drive", "root9")], true, "another root"),
        (vec![put("drive", "F", Some("G"), true)], true, "another row"),
        (vec![RowChange::Drop { key: key("drive", "doc") }], true, "a row that goes"),
    ];
    for (changes, want, why) in cases {
        let state = tempfile::tempdir().unwrap();
        Store::open(state.path(), "m1", &Faults::default())
            .unwrap()
            .record(&some_tree(), &[])
            .unwrap();
        let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
        store.record(&changes, &[]).unwrap();
        assert_eq!(store.changed(), want, "{why}");
    }
}

#[test]
fn an_intent_survives_reopening_until_it_is_closed() {
    let state = tempfile::tempdir().unwrap();
    let intents = [publish("drive/a.docx", "a"), publish("drive/b.docx", "b")];
    let numbers = {
        let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
        let numbers = store.intend(&intents).unwrap();
        store.record(&intents[0].then, &numbers[..1]).unwrap();
        numbers
    };
    let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
    assert_eq!(store.intents().unwrap(), [(numbers[1], intents[1].clone())]);
    let later = store.intend(&intents[..1]).unwrap();
    assert!(later[0] > numbers[1], "numbers of open intents are not given again");
}

#[test]
fn a_kill_between_intend_and_record_leaves_both_readable() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
    store.record(&some_tree(), &[]).unwrap();
    let numbers = store.intend(&[publish("drive/a.docx", "a")]).unwrap();

    let copy = crash(state.path());
    let before = bytes_of(copy.path());
    let (id, recorded, intents) = Store::read(copy.path()).unwrap().unwrap();
    assert_eq!(id, "m1");
    assert_eq!(recorded, in_memory(&some_tree()));
    assert_eq!(intents, [(numbers[0], publish("drive/a.docx", "a"))]);
    assert_eq!(bytes_of(copy.path()), before, "reading wrote nothing");

    let again = Store::open(copy.path(), "m1", &Faults::default()).unwrap();
    again.record(&intents[0].1.then, &numbers).unwrap();
    assert!(again.intents().unwrap().is_empty());
    assert!(again.load().unwrap().places.contains_key(&key("drive", "a")));
}

#[test]
fn a_manifest_that_needs_repair_is_read_from_a_copy() {
    let state = tempfile::tempdir().unwrap();
    Store::open(state.path(), "m1", &Faults::default()).unwrap().record(&some_tree(), &[]).unwrap();
    // A writer that saves no allocator state and never closes.
    let db = Database::open(state.path().join(schema::FILE)).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(schema::META).unwrap().insert("note", "x").unwrap();
    txn.commit().unwrap();

    let copy = crash(state.path());
    let before = bytes_of(copy.path());
    let still = read::Still::open(&copy.path().join(schema::FILE)).unwrap();
    assert!(matches!(still, read::Still::Copy(..)), "the case that this test is for");
    let (_, recorded, _) = Store::read(copy.path()).unwrap().unwrap();
    assert_eq!(recorded, in_memory(&some_tree()));
    assert_eq!(bytes_of(copy.path()), before, "reading wrote nothing");
}

#[test]
fn reading_makes_nothing() {
    let state = tempfile::tempdir().unwrap();
    assert!(Store::read(state.path()).unwrap().is_none());
    assert!(Store::read(&state.path().join("missing")).unwrap().is_none());
    assert!(bytes_of(state.path()).is_empty());
}

#[test]
fn a_manifest_in_use_is_locked() {
    let state = tempfile::tempdir().unwrap();
    let _store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
    let locked = |error| matches!(error, Some(StoreError::Locked { .. }));
    assert!(locked(
        Store::open_within(state.path(), "m1", &Faults::default(), Duration::ZERO).err()
    ));
    assert!(locked(Store::read(state.path()).err()));
}

#[test]
fn what_is_no_manifest_is_damaged() {
    let whole = {
        let state = tempfile::tempdir().unwrap();
        Store::open(state.path(), "m1", &Faults::default())
            .unwrap()
            .record(&some_tree(), &[])
            .unwrap();
        std::fs::read(state.path().join(schema::FILE)).unwrap()
    };
    let foreign = {
        let file = tempfile::NamedTempFile::new().unwrap();
        drop(Database::create(file.path()).unwrap());
        std::fs::read(file.path()).unwrap()
    };
    let cases: [(&[u8], &str); 4] = [
        (b"", "empty"),
        (b"not a database at all, but some text", "text"),
        (&whole[..whole.len() / 2], "cut short"),
        (&foreign, "another program's database"),
    ];
    for (bytes, why) in cases {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(schema::FILE);
        std::fs::write(&path, bytes).unwrap();
        let read = Store::read(state.path()).err();
        assert!(matches!(read, Some(StoreError::Damaged { .. })), "{why}: {read:?}");
        let opened = Store::open(state.path(), "m1", &Faults::default()).err();
        assert!(matches!(opened, Some(StoreError::Damaged { .. })), "{why}: {opened:?}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{why}: left as it was");
    }
}

#[cfg(unix)]
#[test]
fn a_symlink_is_no_manifest() {
    let (state, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(Store::open(outside.path(), "m1", &Faults::default()).unwrap());
    let file = outside.path().join(schema::FILE);
    std::os::unix::fs::symlink(&file, state.path().join(schema::FILE)).unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(Store::open(state.path(), "m2", &Faults::default()).is_err());
    assert!(Store::read(state.path()).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

/// Made by [`make_the_fixture`] of its time and kept for ever.
const V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/manifest/v1.redb");
const V2: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/manifest/v2.redb");

fn fixture_intent() -> Intent {
    let from = Loc::Mirror(RelPath::new("drive/F").unwrap());
    let to = Loc::Parked(RelPath::new("F-dir").unwrap());
    let rekey = RowChange::Rekey { from: key("drive", "F"), to: key("team", "F") };
    Intent { act: Act::Move { from, to }, then: vec![rekey] }
}

#[test]
fn every_version_still_opens() {
    for fixture in [V1, V2] {
        let state = tempfile::tempdir().unwrap();
        std::fs::copy(fixture, state.path().join(schema::FILE)).unwrap();
        let before = bytes_of(state.path());
        let (id, recorded, intents) = Store::read(state.path()).unwrap().unwrap();
        assert_eq!(id, "5f0c9a52");
        assert_eq!(recorded, in_memory(&some_tree()));
        assert_eq!(intents, [(1, fixture_intent())]);
        assert_eq!(bytes_of(state.path()), before, "reading wrote nothing");

        let store = Store::open(state.path(), "x", &Faults::default()).unwrap();
        assert_eq!(store.load().unwrap(), recorded);
        assert_eq!(store.intents().unwrap(), intents);
        let kept = state.path().join("manifest.v1.redb");
        match fixture {
            V1 => assert_eq!(std::fs::read(kept).unwrap(), before.into_values().next().unwrap()),
            _ => assert!(!kept.exists(), "nothing to migrate"),
        }
    }
}

#[test]
#[ignore = "writes the fixture; a new version gets a new one, old ones stay"]
fn make_the_fixture() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), "5f0c9a52", &Faults::default()).unwrap();
    store.record(&some_tree(), &[]).unwrap();
    store.intend(&[fixture_intent()]).unwrap();
    drop(store);
    std::fs::copy(state.path().join(schema::FILE), V2).unwrap();
}

#[test]
fn the_index_gives_back_the_manifest_with_paths() {
    let state = tempfile::tempdir().unwrap();
    let mut recorded = in_memory(&some_tree());
    let meta = IndexMeta {
        mirror_id: "m1".to_owned(),
        run_id: "20240301T000000Z-ab12".to_owned(),
        as_of_secs: 1_709_251_200,
        account: None,
    };
    assert!(read_index(state.path()).unwrap().is_none());
    write_index(state.path(), &recorded, &meta, &Faults::default()).unwrap();
    let (header, back) = read_index(state.path()).unwrap().unwrap();
    assert_eq!((header.meta, header.places), (meta.clone(), 4));
    assert_eq!(back, recorded);

    let text = std::fs::read_to_string(state.path().join(INDEX_FILE)).unwrap();
    let line: serde_json::Value = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|line| line["token"] == "doc")
        .unwrap();
    assert_eq!(line["paths"], serde_json::json!({ "docx": "drive/F/G/doc.docx" }));

    // Replaced as a whole, and a line that is missing is noticed.
    recorded.places.remove(&key("drive", "other"));
    write_index(state.path(), &recorded, &meta, &Faults::default()).unwrap();
    assert_eq!(read_index(state.path()).unwrap().unwrap().1, recorded);
    let text = std::fs::read_to_string(state.path().join(INDEX_FILE)).unwrap();
    let cut = &text[..text.trim_end().rfind('\n').unwrap()];
    std::fs::write(state.path().join(INDEX_FILE), cut).unwrap();
    assert!(matches!(read_index(state.path()), Err(StoreError::Damaged { .. })));
    let newer = text.replacen("\"index_version\":1", "\"index_version\":2", 1);
    std::fs::write(state.path().join(INDEX_FILE), newer).unwrap();
    assert!(matches!(read_index(state.path()), Err(StoreError::Newer { found: 2, .. })));
    assert_eq!(bytes_of(state.path()).len(), 1, "no temporary file is left");
}

#[test]
fn a_folder_that_changes_its_source_takes_along_what_is_below() {
    let mut recorded = in_memory(&some_tree());
    let (from, to) = (key("drive", "F"), key("team", "node"));
    let moved = [
        RowChange::Drop { key: from.clone() },
        put("team", "node", None, true),
        RowChange::Rekey { from, to },
    ];
    apply_changes(&mut recorded, &moved);
    let rows: Vec<_> = recorded
        .places
        .iter()
        .map(|(key, row)| (key.to_string(), row.parent.as_ref().map(ToString::to_string)))
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows,
        [
            ("drive:other".to_owned(), None),
            ("team:G".to_owned(), some("node")),
            ("team:doc".to_owned(), some("G")),
            ("team:node".to_owned(), None),
        ]
    );
}

#[test]
fn parents_in_a_circle_do_not_hang() {
    let circle = [
        put("drive", "A", Some("C"), true),
        put("drive", "B", Some("A"), true),
        put("drive", "C", Some("B"), true),
    ];
    let mut recorded = in_memory(&circle);
    let rekey = RowChange::Rekey { from: key("drive", "A"), to: key("team", "A") };
    apply_changes(&mut recorded, &[rekey]);
    let keys: Vec<_> = recorded.places.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["drive:A", "team:B", "team:C"]);
}

fn any_key() -> impl Strategy<Value = PlaceKey> {
    ("[ab]", "[p-u]").prop_map(|(source, token)| key(&source, &token))
}

fn any_change() -> impl Strategy<Value = RowChange> {
    let place = || proptest::option::of("[p-u]");
    prop_oneof![
        4 => (any_key(), place(), any::<bool>()).prop_map(|(key, parent, folder)| {
            let place = Box::new(row(parent.as_deref(), key.token.as_str(), folder));
            RowChange::Put { key, place }
        }),
        2 => (any_key(), "[a-c]").prop_map(|(key, part)| product(key, &part)),
        1 => any_key().prop_map(|key| RowChange::Drop { key }),
        2 => (any_key(), any_key()).prop_map(|(from, to)| RowChange::Rekey { from, to }),
        1 => ("[ab]", "[xy]").prop_map(|(name, root)| source(&name, &root)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The store and the memory agree whatever the changes and however they are cut
    /// into transactions.
    #[test]
    fn disk_and_memory_agree(
        changes in proptest::collection::vec(any_change(), 0..24),
        batch in 1usize..8,
    ) {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
        for changes in changes.chunks(batch) {
            store.record(changes, &[]).unwrap();
        }
        let recorded = in_memory(&changes);
        prop_assert_eq!(index_from_rows(&store), index_from_memory(&recorded));
        prop_assert_eq!(store.load().unwrap(), recorded);
    }
}

#[test]
fn rows_are_read_one_by_one_as_they_are_all_at_once() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
    store.record(&some_tree(), &[]).unwrap();
    let whole = in_memory(&some_tree());

    let rows = store.rows().unwrap();
    // The moment stays, whatever is written.
    store.record(&[RowChange::Drop { key: key("drive", "doc") }], &[]).unwrap();
    let mut seen = Vec::new();
    rows.for_each_row(|row| {
        seen.push((row.key(), row.to_row()));
        Ok(())
    })
    .unwrap();
    assert!(seen.iter().map(|(key, row)| (key, row)).eq(&whole.places), "sorted, and all");
    assert_eq!(rows.len_places().unwrap(), 4);
    assert_eq!(store.len_places().unwrap(), 3);
    assert_eq!(rows.source_rows().unwrap(), whole.sources);
    let asked = [key("drive", "other"), key("drive", "none"), key("drive", "F")];
    let found = rows.rows_of(&asked).unwrap();
    let want = [&asked[0], &asked[2]].map(|key| (key.clone(), whole.places[key].clone()));
    assert_eq!(found, want);

    let stop = || StoreError::damaged(state.path(), "enough");
    let mut calls = 0;
    let stopped = rows.for_each_row(|_| {
        calls += 1;
        Err(stop())
    });
    assert_eq!((stopped.unwrap_err().to_string(), calls), (stop().to_string(), 1));
}

#[test]
fn many_rows_are_put_in_whatever_order() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
    let rows = |tokens: std::ops::Range<u32>, parent: &str| -> Vec<(PlaceKey, PlaceRow)> {
        let one = |n| (key("drive", &format!("{n:05}")), row(Some(parent), "T", false));
        tokens.map(one).collect()
    };
    let mut want = Recorded::default();
    let backwards: Vec<_> = rows(0..300, "C").into_iter().rev().collect();
    for batch in [rows(100..10_000, "A"), rows(9_990..20_000, "B"), backwards, Vec::new()] {
        want.places.extend(batch.clone());
        store.put_all(batch).unwrap();
    }
    assert_eq!(store.load().unwrap(), want);
    assert!(store.changed());
}

fn index_meta() -> IndexMeta {
    let (mirror_id, run_id) = ("m1".to_owned(), "r".to_owned());
    IndexMeta { mirror_id, run_id, as_of_secs: 5, account: None }
}

fn index_from_rows(store: &Store) -> String {
    let mut text = Vec::new();
    write_index_of(&mut text, &store.rows().unwrap(), &index_meta()).unwrap();
    String::from_utf8(text).unwrap()
}

fn index_from_memory(recorded: &Recorded) -> String {
    let mut text = Vec::new();
    write_index_to(&mut text, recorded, &index_meta()).unwrap();
    String::from_utf8(text).unwrap()
}

/// Also of what stands elsewhere, is parked, or has lost its folder.
#[test]
fn the_index_is_the_same_whether_rows_are_in_memory_or_not() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
    let at = |path: &str| Loc::Mirror(RelPath::new(path).unwrap());
    let parked = Loc::Parked(RelPath::new("1").unwrap());
    let moved = |token: &str, parent: &str, slot: Slot, at: Loc| {
        let mut row = row(Some(parent), token, slot == Slot::Dir);
        row.elsewhere.insert(slot, at);
        RowChange::Put { key: key("drive", token), place: Box::new(row) }
    };
    let docx = Slot::Product(Format::Docx);
    let changes = [
        moved("H", "F", Slot::Dir, at("drive/old H")),
        put("drive", "in H", Some("H"), false),
        moved("P", "G", Slot::Dir, parked.clone()),
        put("drive", "in P", Some("P"), false),
        moved("Q", "P", docx, at("drive/Q.docx")),
        moved("R", "G", docx, parked),
        put("drive", "lost", Some("nowhere"), false),
        put("drive", "under a file", Some("doc"), false),
        put("drive", "C1", Some("C2"), true),
        put("drive", "C2", Some("C1"), true),
        put("team", "there", Some("F"), false),
        product(key("drive", "doc"), "picture.png"),
    ];
    let changes = [some_tree(), changes.to_vec()].concat();
    store.record(&changes, &[]).unwrap();
    let text = index_from_rows(&store);
    assert_eq!(text, index_from_memory(&in_memory(&changes)));
    assert!(text.contains("drive/old H/in H.docx") && text.contains("drive/Q.docx"));
    assert!(!text.contains("\"drive/P\"") && !text.contains("/lost.docx"));
}

#[test]
fn a_manifest_is_made_again_from_its_index() {
    let state = tempfile::tempdir().unwrap();
    let account =
        Account { open: "https://o".to_owned(), app_id: Some("cli_a".to_owned()), user: None };
    let recorded = {
        let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
        store.record(&some_tree(), &[]).unwrap();
        store.set_account(&account).unwrap();
        store.load().unwrap()
    };
    let meta = IndexMeta {
        mirror_id: "m1".to_owned(),
        run_id: "20240301T000000Z".to_owned(),
        as_of_secs: 1_709_251_200,
        account: Some(account.clone()),
    };
    write_index(state.path(), &recorded, &meta, &Faults::default()).unwrap();
    let old = std::fs::read(state.path().join(schema::FILE)).unwrap();

    let salvaged = salvage_index(state.path()).unwrap().unwrap();
    assert_eq!((&salvaged.recorded, salvaged.lost), (&recorded, 0));
    let aside = state.path().join("aside");
    let named = salvaged.header.unwrap().meta.account;
    Store::rebuild(
        state.path(),
        "m1",
        &salvaged.recorded,
        named.as_ref(),
        &aside,
        &Faults::default(),
    )
    .unwrap();

    assert_eq!(std::fs::read(aside).unwrap(), old);
    assert_eq!(Store::account(state.path()).unwrap(), Some(account));
    let store = Store::open(state.path(), "x", &Faults::default()).unwrap();
    assert_eq!((store.mirror_id(), store.load().unwrap()), ("m1", recorded));
    assert_eq!(bytes_of(state.path()).len(), 3, "no temporary file is left");
}

/// What a damaged index gives: every other line, and where the lost folder's children are.
#[test]
fn a_damaged_line_costs_only_itself() {
    let state = tempfile::tempdir().unwrap();
    let recorded = in_memory(&some_tree());
    let meta = IndexMeta {
        mirror_id: "m1".to_owned(),
        run_id: String::new(),
        as_of_secs: 0,
        account: None,
    };
    write_index(state.path(), &recorded, &meta, &Faults::default()).unwrap();
    let path = state.path().join(INDEX_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("account"), "as older programs wrote it");
    let lines: Vec<&str> = text.lines().collect();
    for lost in 0..lines.len() {
        let mut damaged = lines.clone();
        damaged[lost] = "{";
        std::fs::write(&path, damaged.join("\n")).unwrap();
        let salvaged = salvage_index(state.path()).unwrap().unwrap();
        assert_eq!((salvaged.lost, salvaged.header.is_none()), (1, lost == 0), "line {lost}");
        for (key, row) in &salvaged.recorded.places {
            for product in row.products.keys() {
                let (was, is) =
                    (recorded.product(key, product), salvaged.recorded.product(key, product));
                assert_eq!(was, is, "line {lost}: {key}");
            }
        }
    }
    let cut: String = lines[..lines.len() - 1].join("\n");
    std::fs::write(&path, cut).unwrap();
    assert_eq!(salvage_index(state.path()).unwrap().unwrap().lost, 1, "a line that is not there");
    std::fs::write(&path, "no\nindex\n").unwrap();
    assert!(matches!(salvage_index(state.path()), Err(StoreError::Damaged { .. })));
    std::fs::write(&path, "{\"index_version\":2}").unwrap();
    assert!(matches!(salvage_index(state.path()), Err(StoreError::Newer { .. })));
}
