//! Rows and index lines that this program never wrote: damaged, or made up by somebody who
//! would like to see a file land elsewhere.
//!
//! Each property's body is a plain function over bytes, so that a fuzzer can drive it too.

use std::collections::BTreeSet;

use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::*;
use crate::model::recorded::is_component;

fn run<S: Strategy>(cases: u32, strategy: &S, check: impl Fn(S::Value)) {
    let long = std::env::var_os("FEISHU_MIRROR_LONG").is_some_and(|value| value == "1");
    let cases = if long { cases * 100 } else { cases };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |value| {
        check(value);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// What a row may say, whoever wrote it: every name stands in its own folder.
fn check_row(row: &PlaceRow) {
    assert!(is_component(&row.stem), "{:?}", row.stem);
    assert!(row.names.values().all(|name| is_component(name)), "{:?}", row.names);
    for product in row.products.values() {
        assert!(product.part_name.as_deref().is_none_or(is_component), "{product:?}");
    }
}

/// Whatever the rows are: what stands somewhere stands inside, and nothing runs in a circle.
fn check_rows(recorded: &Recorded) {
    for (key, row) in &recorded.places {
        check_row(row);
        assert!(is_component(key.source.as_str()) && !key.source.as_str().starts_with('.'));
        let folder = RelPath::new(key.source.as_str()).unwrap();
        for product in row.products.keys() {
            if let Some(Loc::Mirror(path)) = recorded.product(key, product)
                && row.elsewhere.is_empty()
                && recorded.places.values().all(|row| row.elsewhere.is_empty())
            {
                assert!(path.is_within(&folder), "{path} of {key}");
            }
        }
        let mut seen = BTreeSet::new();
        let mut at = Some(key.clone());
        while let Some(key) = at {
            assert!(seen.insert(key.clone()), "{key} lies in itself");
            let parent = recorded.places.get(&key).and_then(|row| row.parent.as_ref());
            at = parent.map(|parent| PlaceKey::new(&key.source, parent));
        }
    }
}

fn no_panic_on_row(bytes: &[u8]) {
    if let Ok(row) = schema::decode::<PlaceRow>("r", bytes) {
        check_row(&row);
        let again: PlaceRow = schema::decode("r", &schema::encode(&row)).unwrap();
        assert_eq!(again, row);
    }
    let _ = schema::decode::<SourceRow>("s", bytes);
    let _ = schema::decode::<Intent>("i", bytes);
    let _ = schema::decode::<Account>("a", bytes);
    if let Some(key) = str::from_utf8(bytes).ok().and_then(schema::parse_key) {
        assert_eq!(schema::parse_key(&schema::key_text(&key)), Some(key));
    }
}

fn no_panic_on_index(bytes: &[u8]) {
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join(INDEX_FILE), bytes).unwrap();
    if let Ok(Some((_, recorded))) = read_index(state.path()) {
        recorded.places.values().for_each(check_row);
        for (key, row) in &recorded.places {
            row.products.keys().for_each(|product| drop(recorded.product(key, product)));
        }
    }
    if let Ok(Some(salvaged)) = salvage_index(state.path()) {
        check_rows(&salvaged.recorded);
        let whole = salvaged.recorded.places.len() as u64;
        let lines = bytes.split(|byte| *byte == b'\n').count() as u64;
        assert!(whole <= lines, "{whole} rows of {lines} lines");
    }
}

fn index() -> Vec<Value> {
    let state = tempfile::tempdir().unwrap();
    let mut recorded = in_memory(&some_tree());
    let sheet = key("drive", "S");
    let mut of_sheet = row(None, "S", false);
    let part = of_sheet.products.values().next().unwrap().clone();
    let slot = Slot::Product(Format::Csv);
    of_sheet.names = BTreeMap::from([(slot, "S.sheets".to_owned())]);
    let part = ProductRow { part_name: Some("a.csv".to_owned()), ..part };
    of_sheet.products = BTreeMap::from([(ProductKey::part(slot, "0b12"), part)]);
    recorded.places.insert(sheet, of_sheet);
    let meta = IndexMeta {
        mirror_id: "m1".to_owned(),
        run_id: "r".to_owned(),
        as_of_secs: 5,
        account: None,
    };
    write_index(state.path(), &recorded, &meta, &Faults::default()).unwrap();
    let text = std::fs::read_to_string(state.path().join(INDEX_FILE)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| {
                pointers(field, &format!("{at}/{}", name.replace('/', "~1")), into);
            });
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(n, item)| pointers(item, &format!("{at}/{n}"), into));
        }
        _ => {}
    }
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!(i64::MIN)),
        Just(json!(u64::MAX)),
        Just(json!(1e300)),
        Just(json!("..")),
        Just(json!("../../outside")),
        Just(json!("/etc/passwd")),
        Just(json!("a/b")),
        Just(json!(".feishu-mirror")),
        Just(json!("a\\b")),
        Just(json!("a\u{0}b")),
        "[FGdS]".prop_map(Value::from),
        Just(json!({"mirror": "../x"})),
        Just(json!({"dir": {"mirror": "drive/F"}, "csv": {"parked": "1/x"}})),
        any::<String>().prop_map(Value::from),
    ]
}

/// An index with some wrong values, and perhaps a damaged byte.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let wrong = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), odd());
    let damage = proptest::option::of((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8));
    (prop::collection::vec(wrong, 0..5), damage).prop_map(|(wrongs, damage)| {
        let mut lines = index();
        for (line, at, value) in wrongs {
            let line = line.index(lines.len());
            let line = &mut lines[line];
            let mut all = Vec::new();
            pointers(line, "", &mut all);
            *line.pointer_mut(&all[at.index(all.len())]).expect("it was there") = value;
        }
        let mut bytes: Vec<u8> =
            lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        if let Some((at, byte, how)) = damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes.truncate(at),
                1 => bytes[at] = byte,
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

#[test]
fn of_a_strange_index_only_sound_rows_are_taken() {
    run(400, &mutated(), |bytes| no_panic_on_index(&bytes));
    run(100, &prop::collection::vec(any::<u8>(), 0..300), |bytes| no_panic_on_index(&bytes));
    no_panic_on_index(&b"{\"row\":".repeat(50_000));
}

#[test]
fn a_strange_row_is_refused_or_sound() {
    run(1_000, &mutated(), |bytes| {
        for line in bytes.split(|byte| *byte == b'\n') {
            no_panic_on_row(line);
            let whole = serde_json::from_slice::<Value>(line).ok();
            if let Some(row) = whole.as_ref().and_then(|line| line.get("row")) {
                no_panic_on_row(row.to_string().as_bytes());
            }
        }
    });
    run(200, &prop::collection::vec(any::<u8>(), 0..100), |bytes| no_panic_on_row(&bytes));
}

/// Folders that lie in each other stand nowhere; what is below them is found where its
/// own line says.
#[test]
fn parents_in_a_circle_are_not_salvaged() {
    let mut lines = index();
    for line in &mut lines {
        if line["token"] == "F" && line["source"] == "drive" {
            line["row"]["parent"] = json!("F");
        }
    }
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let text = lines.join("\n") + "\n";
    no_panic_on_index(text.as_bytes());
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join(INDEX_FILE), &text).unwrap();
    let salvaged = salvage_index(state.path()).unwrap().unwrap();
    assert_eq!(salvaged.lost, 1);
    assert!(!salvaged.recorded.places.contains_key(&key("drive", "F")));
    assert_eq!(salvaged.recorded.places.len(), lines.len() - 2);
    // In memory they have no place either, instead of none that is ever found.
    let (_, recorded) = read_index(state.path()).unwrap().unwrap();
    assert_eq!(recorded.slot(&key("drive", "F"), Slot::Dir), None);
}

/// Opens the tables of a manifest as somebody else might.
fn write_raw(state: &Path, fill: impl FnOnce(&WriteTransaction)) {
    let db = Database::open(state.join(schema::FILE)).unwrap();
    let txn = db.begin_write().unwrap();
    fill(&txn);
    txn.commit().unwrap();
}

/// The places whose rows make a manifest damaged wherever they are found.
const NO_SOURCES: [&str; 3] = ["..\0T", ".feishu-mirror\0T", "a/b\0T"];

fn is_damaged(error: Option<StoreError>, at: &str) {
    let error = error.expect("such a row is not read");
    assert!(matches!(error, StoreError::Damaged { .. }), "{at:?}: {error}");
    let named = format!("{at:?}");
    assert!(error.to_string().contains(&named), "{named} is not named: {error}");
}

/// A manifest whose rows somebody else wrote is damaged, and says which row.
#[test]
fn rows_that_lead_elsewhere_make_a_manifest_damaged() {
    let sound = row(None, "T", false);
    let packed = |row: &PlaceRow| packed::pack(&"T".into(), row);
    let named = |name: &str| {
        let slot = Slot::Product(Format::Docx);
        packed(&PlaceRow { names: BTreeMap::from([(slot, name.to_owned())]), ..sound.clone() })
    };
    let elsewhere = || {
        let at = Loc::Mirror(RelPath::new("xy/T.docx").unwrap());
        let row = PlaceRow { elsewhere: BTreeMap::from([(Slot::Dir, at)]), ..sound.clone() };
        let text = packed(&row);
        let at = text.windows(2).position(|two| two == b"xy").unwrap();
        [&text[..at], b"..", &text[at + 2..]].concat()
    };
    let cases = [
        ("drive\0T", named("../../T.docx")),
        ("drive\0T", named("a/T.docx")),
        ("drive\0T", elsewhere()),
        ("drive\0T", b"\xff\xfe".to_vec()),
        ("drive\0T", Vec::new()),
    ];
    let keys = NO_SOURCES.map(|key| (key, packed(&sound)));
    for (at, bytes) in cases.into_iter().chain(keys) {
        let state = tempfile::tempdir().unwrap();
        drop(Store::open(state.path(), "m1", &Faults::default()).unwrap());
        write_raw(state.path(), |txn| {
            txn.open_table(schema::PLACES).unwrap().insert(at, bytes.as_slice()).unwrap();
        });
        is_damaged(Store::read(state.path()).err(), at);
        let store = Store::open(state.path(), "m1", &Faults::default()).unwrap();
        is_damaged(store.for_each_row(|_| Ok(())).err(), at);
        if let Some(key) = schema::parse_key(at) {
            is_damaged(store.rows_of([&key]).err(), at);
        }
    }
}

/// The same in the form of version 1: read or migrated, and left as it was.
#[test]
fn rows_of_the_first_version_that_lead_elsewhere_are_not_migrated() {
    let sound = serde_json::to_value(row(None, "T", false)).unwrap();
    let with = |field: &str, value: Value| {
        let mut row = sound.clone();
        row[field] = value;
        row.to_string().into_bytes()
    };
    let cases = [
        ("drive\0T", with("names", json!({"docx": "../../T.docx"}))),
        ("drive\0T", with("names", json!({"docx": "a/T.docx"}))),
        ("drive\0T", with("elsewhere", json!({"docx": {"mirror": "../T.docx"}}))),
        ("drive\0T", b"\xff\xfe".to_vec()),
    ];
    let keys = NO_SOURCES.map(|key| (key, with("title", json!("T"))));
    for (at, bytes) in cases.into_iter().chain(keys) {
        let state = tempfile::tempdir().unwrap();
        std::fs::copy(V1, state.path().join(schema::FILE)).unwrap();
        write_raw(state.path(), |txn| {
            txn.open_table(schema::PLACES_V1).unwrap().insert(at, bytes.as_slice()).unwrap();
        });
        is_damaged(Store::read(state.path()).err(), at);
        is_damaged(Store::open(state.path(), "m1", &Faults::default()).err(), at);
        is_damaged(Store::read(state.path()).err(), at);
    }
}
