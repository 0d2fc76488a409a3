//! Rows come back as they were; bytes that are no row are refused.

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::change::Failure;
use crate::model::recorded::{Stamp, Why, is_component};
use crate::model::{ContentHash, Edited, ObjToken, RelPath};

fn read(token: &str, bytes: &[u8]) -> Result<PlaceRow, Bad> {
    RowView::read("drive", token, bytes).map(|view| view.to_row())
}

fn secs() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 1_600_000_000..1_800_000_000_i64, 1 => any::<i64>()]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z周报 .é]{1,6}".prop_filter("stands in its folder", |name| is_component(name))
}

fn any_slot() -> impl Strategy<Value = Slot> {
    prop_oneof![
        Just(Slot::Dir),
        Just(Slot::LinkToDir),
        select(FORMATS.as_slice()).prop_map(Slot::Product),
        select(FORMATS.as_slice()).prop_map(Slot::LinkTo),
    ]
}

fn any_edited() -> impl Strategy<Value = Edited> {
    (select(CHANNELS.as_slice()), secs(), secs()).prop_map(|(channel, at_secs, seen_secs)| Edited {
        channel,
        at_secs,
        seen_secs,
    })
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    let times = proptest::collection::btree_map(select(CHANNELS.as_slice()), secs(), 0..3);
    let option = proptest::option::of::<Range<i64>>;
    (times, secs(), option(0..9), option(0..i64::MAX)).prop_map(
        |(times, seen_secs, revision, read_secs)| Stamp { times, seen_secs, revision, read_secs },
    )
}

fn any_product() -> impl Strategy<Value = (ProductKey, ProductRow)> {
    let part = proptest::option::of("[a-z0-9/]{0,5}");
    let texts = (proptest::option::of(name()), proptest::option::of("[a-z./]{0,9}"));
    let bytes = (any::<u64>(), any::<[u8; 32]>(), secs());
    (any_slot(), part, texts, bytes, any_stamp(), any::<bool>()).prop_map(
        |(slot, part, (part_name, link), (size, hash, mtime_secs), stamp, doubtful)| {
            let blake3 = ContentHash(hash);
            let key = ProductKey { slot, part };
            (key, ProductRow { part_name, size, blake3, mtime_secs, link, stamp, doubtful })
        },
    )
}

fn any_type() -> impl Strategy<Value = ObjType> {
    prop_oneof![select(TYPES.as_slice()), "[a-z]{0,6}".prop_map(ObjType::from)]
}

/// A stem or name of the kinds that are written shorter, and others.
fn from_text(text: &str) -> impl Strategy<Value = String> + use<> {
    let text = if is_component(text) { text.to_owned() } else { "x".to_owned() };
    let cut = text.chars().next().map(String::from).unwrap_or_default();
    prop_oneof![
        Just(text.clone()),
        name().prop_map(move |more| format!("{text}{more}")),
        name().prop_map(move |more| format!("{cut}{more}")),
        name(),
    ]
    .prop_filter("stands in its folder", |name| is_component(name))
}

fn any_names(stem: String) -> impl Strategy<Value = BTreeMap<Slot, String>> {
    let one = any_slot().prop_flat_map(move |slot| {
        let usual = format!("{stem}{}", usual_suffix(slot));
        (Just(slot), prop_oneof![Just(usual), from_text(&stem)])
    });
    proptest::collection::vec(one, 0..4).prop_map(|names| names.into_iter().collect())
}

#[derive(Debug, Clone)]
struct Seldom {
    target: Option<Object>,
    state: PlaceState,
    absent_walks: u32,
    page: Option<Box<PageRow>>,
    outcomes: BTreeMap<Format, Outcome>,
    elsewhere: BTreeMap<Slot, Loc>,
}

fn seldom() -> impl Strategy<Value = Seldom> {
    let target = proptest::option::of(any_type().prop_map(|ty| Object::new(ty, "t")));
    let state = prop_oneof![
        Just(PlaceState::Live),
        Just(PlaceState::Orphaned),
        secs().prop_map(|asked_secs| PlaceState::Hidden { asked_secs }),
        secs().prop_map(|since_secs| PlaceState::Gone { since_secs }),
    ];
    let page = proptest::option::of(any::<[u8; 32]>().prop_map(|hash| {
        Box::new(PageRow {
            kept: ContentHash(hash),
            around: ContentHash(hash),
            links: vec!["l".to_owned()],
            lists: Vec::new(),
            limits: crate::model::page::Limits::default(),
            embeds: Vec::new(),
        })
    }));
    let outcome = (any_stamp(), secs()).prop_map(|(stamp, at_secs)| Outcome {
        why: Why::Failed,
        failure: Failure::new("no", "wait"),
        stamp,
        at_secs,
        limit: Some(3),
    });
    let outcomes = proptest::collection::btree_map(select(FORMATS.as_slice()), outcome, 0..2);
    let loc = name().prop_map(|name| Loc::Mirror(RelPath::new(name).unwrap()));
    let elsewhere = proptest::collection::btree_map(any_slot(), loc, 0..2);
    (target, state, 0..3_u32, page, outcomes, elsewhere).prop_map(
        |(target, state, absent_walks, page, outcomes, elsewhere)| Seldom {
            target,
            state,
            absent_walks,
            page,
            outcomes,
            elsewhere,
        },
    )
}

fn none() -> Seldom {
    Seldom {
        target: None,
        state: PlaceState::Live,
        absent_walks: 0,
        page: None,
        outcomes: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
    }
}

/// Any row, and the token of its place.
fn any_row() -> impl Strategy<Value = (PlaceToken, PlaceRow)> {
    let titled = prop_oneof![name(), any::<String>()]
        .prop_flat_map(|title| (from_text(&title), Just(title)))
        .prop_flat_map(|(stem, title)| (any_names(stem.clone()), Just(stem), Just(title)));
    let url = prop_oneof![
        Just(None),
        any::<String>().prop_map(Some),
        Just(Some("https://x/".to_owned()))
    ];
    let place = ("[a-c]{0,2}", "[a-c]{0,2}", proptest::option::of("[a-c]{0,2}"), url);
    let products = proptest::collection::btree_map(any_slot(), any_product(), 0..4)
        .prop_map(|products| products.into_values().collect());
    let times = (secs(), prop_oneof![Just(0), any::<u32>()], proptest::option::of(any_edited()));
    let rare = prop_oneof![Just(none()), seldom()];
    (titled, any_type(), place, times, products, rare).prop_map(
        |((names, stem, title), ty, (token, obj, parent, url), times, products, rare)| {
            let row = PlaceRow {
                // Most URLs end in it.
                url: url.map(|url| if url.ends_with('/') { url + &obj } else { url }),
                object: Object { ty, token: ObjToken::new(obj) },
                // As seldom as a target: where there is one, there are all three.
                target_place: rare.target.as_ref().map(|target| target.token.as_str().into()),
                object_title: rare.target.as_ref().map(|target| target.token.as_str().to_owned()),
                target: rare.target,
                title,
                parent: parent.map(PlaceToken::new),
                created_secs: times.0,
                order: times.1,
                edited: times.2,
                state: rare.state,
                absent_walks: rare.absent_walks,
                stem,
                names,
                products,
                page: rare.page,
                outcomes: rare.outcomes,
                elsewhere: rare.elsewhere,
            };
            (PlaceToken::new(token), row)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn every_row_comes_back_as_it_was((token, row) in any_row()) {
        let bytes = pack(&token, &row);
        let view = RowView::read("drive", token.as_str(), &bytes).unwrap();
        prop_assert_eq!(view.to_row(), row.clone());
        // What it says without being made a row again is the same.
        prop_assert_eq!(view.key().to_string(), format!("drive:{token}"));
        prop_assert!(view.has_url(row.url.as_deref()));
        prop_assert!(!view.has_url(Some("elsewhere")));
        prop_assert_eq!(view.state(), &row.state);
        let parent = RowView::parent_in(&bytes).unwrap();
        prop_assert_eq!(parent, row.parent.as_ref().map(PlaceToken::as_str));
        let odd = row.target.is_some()
            || row.state != PlaceState::Live
            || row.absent_walks > 0
            || row.page.is_some()
            || !row.outcomes.is_empty()
            || !row.elsewhere.is_empty()
            || row.products.values().any(|file| file.doubtful || file.link.is_some());
        prop_assert_eq!(view.is_plain(), !odd);
        for product in view.products() {
            let file = &row.products[&product.key()];
            for (channel, at_secs) in CHANNELS.into_iter().zip([file.mtime_secs, 0, 5]) {
                let now = Edited { channel, at_secs, seen_secs: 0 };
                prop_assert_eq!(product.compare(now), file.stamp.compare(now));
            }
        }
    }

    /// Bytes cut short or changed make an error, or a row that is sound.
    #[test]
    fn damaged_bytes_are_refused_or_make_a_sound_row(
        (token, row) in any_row(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = pack(&token, &row);
        let at = at.index(bytes.len());
        prop_assert!(read(token.as_str(), &bytes[..at]).is_err(), "cut at {}", at);
        bytes[at] = byte;
        sound(token.as_str(), &bytes);
        bytes.push(byte);
        sound(token.as_str(), &bytes);
    }

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        sound("t", &bytes);
        if let Some(first) = bytes.first_mut() {
            *first = FORM;
        }
        sound("t", &bytes);
    }
}

/// What can be read names only what stands in its folder, and survives being written.
fn sound(token: &str, bytes: &[u8]) {
    let _ = RowView::parent_in(bytes);
    let Ok(row) = read(token, bytes) else { return };
    assert!(is_component(&row.stem));
    assert!(row.names.values().all(|name| is_component(name)));
    for product in row.products.values() {
        assert!(product.part_name.as_deref().is_none_or(is_component));
    }
    assert_eq!(read(token, &pack(&PlaceToken::new(token), &row)).unwrap(), row);
}

fn plain() -> PlaceRow {
    serde_json::from_value(serde_json::json!({
        "object": {"type": "docx", "token": "doxcnAAAAAAAAAAAAAAAAAAAAAA"},
        "title": "周报 2024 第一季度", "stem": "周报 2024 第一季度", "parent": "wikcnBBBBBBBBBBBBBBBBBBBBBB",
        "created_secs": 1_700_000_000,
        "edited": {"channel": "wiki", "at_secs": 1_710_000_000, "seen_secs": 1_711_000_000},
        "names": {"docx": "周报 2024 第一季度.docx"},
        "products": {"docx": {"size": 45_000, "mtime_secs": 1_710_000_000, "blake3": "0".repeat(64),
            "stamp": {"times": {"wiki": 1_710_000_000}, "seen_secs": 1_711_000_000, "revision": 40}}},
    }))
    .unwrap()
}

/// What most rows take. More would be felt with a million of them.
#[test]
fn an_ordinary_row_is_short() {
    let token = PlaceToken::new("wikcnAAAAAAAAAAAAAAAAAAAAAA");
    let row = plain();
    let json = serde_json::to_vec(&row).unwrap().len();
    let packed = pack(&token, &row).len();
    assert!(packed <= 152 && packed * 3 < json, "{packed} bytes, {json} as JSON");
    assert!(RowView::read("w", token.as_str(), &pack(&token, &row)).unwrap().is_plain());
}

/// Kept for ever: these bytes lie on disks.
#[test]
fn the_form_does_not_change() {
    let row = PlaceRow {
        object: Object::new(ObjType::Sheet, "obj"),
        title: "T".to_owned(),
        stem: "T~1".to_owned(),
        parent: None,
        url: Some("u/obj".to_owned()),
        edited: None,
        created_secs: 3,
        names: BTreeMap::from([(Format::Csv.slot(), "T~1.sheets".to_owned())]),
        products: BTreeMap::new(),
        absent_walks: 2,
        ..plain()
    };
    let bytes = pack(&PlaceToken::new("p"), &row);
    let want = b"\x01\x8c\x03\x03obj\x01T\x01\x02~1\x06\x02u/\x01\x0a\x00{\"absent_walks\":2}";
    assert_eq!(bytes, want, "{}", bytes.escape_ascii());
    assert_eq!(read("p", want).unwrap(), row);
    // Every code is read as what it was written for.
    for (code, format) in (0..).zip(FORMATS) {
        assert_eq!(format_code(format), code);
        for slot in [Slot::Product(format), Slot::LinkTo(format), Slot::Dir, Slot::LinkToDir] {
            assert_eq!(slot_of(slot_code(slot)), Some(slot));
        }
    }
    for (code, channel) in (0..).zip(CHANNELS) {
        assert_eq!(channel_code(channel), code);
    }
}

#[test]
fn names_that_leave_their_folder_make_no_row() {
    let bad = ["", ".", "..", "a/b", "../a", "/etc", "a\\b", "a\0b", "a/"];
    for bad in bad {
        let stem = PlaceRow { stem: bad.to_owned(), title: "T".to_owned(), ..plain() };
        let titled = PlaceRow { title: bad.to_owned(), ..stem.clone() };
        let names = BTreeMap::from([(Slot::Dir, bad.to_owned())]);
        let named = PlaceRow { names, ..plain() };
        let mut part = plain();
        for file in part.products.values_mut() {
            file.part_name = Some(bad.to_owned());
        }
        for row in [stem, titled, named, part] {
            let bytes = pack(&PlaceToken::new("t"), &row);
            let error = read("t", &bytes).unwrap_err();
            assert!(error.contains("is no file name"), "{bad:?}: {error}");
        }
    }
    let json = serde_json::to_vec(&plain()).unwrap();
    assert!(read("t", &json).is_err(), "rows of version 1 are of another form");
}
