//! What must hold for any titles, ages and tokens.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

/// Titles that collide often: few letters, odd cases, forbidden characters.
fn title() -> impl Strategy<Value = String> {
    prop_oneof![
        "[aAé\u{301}./ ~]{0,4}",
        "(con|a|A|ß|SS|T~gone-1)(\\.docx|\\.PDF|\\.)?",
        "[^a]{0,120}",
        Just("字".repeat(300)),
        Just("T~00000001".to_owned()),
    ]
}

fn claimant() -> impl Strategy<Value = Claimant> {
    let ty = prop_oneof![
        Just(ObjType::Docx),
        Just(ObjType::File),
        Just(ObjType::Folder),
        Just(ObjType::Bitable),
    ];
    (title(), ty, 0_i64..4, any::<bool>(), any::<bool>()).prop_map(|(title, ty, age, dir, two)| {
        let mut slots = match ty {
            ObjType::Folder => vec![Slot::Dir],
            ObjType::File => vec![Slot::Product(Format::File)],
            ObjType::Bitable => vec![Slot::Product(Format::Xlsx), Slot::Product(Format::Csv)],
            _ => vec![Slot::Product(Format::Docx)],
        };
        if two && ty == ObjType::Docx {
            slots.push(Slot::Product(Format::Pdf));
        }
        if dir && !slots.contains(&Slot::Dir) {
            slots.push(Slot::Dir);
        }
        Claimant {
            token: PlaceToken::from(""),
            title,
            ty,
            file_extension: None,
            created_secs: age,
            slots,
            given: None,
        }
    })
}

/// Up to a dozen places of one folder, some with tokens that end alike.
fn folder() -> impl Strategy<Value = Vec<Claimant>> {
    prop::collection::vec(claimant(), 0..12).prop_map(|mut all| {
        for (n, claimant) in all.iter_mut().enumerate() {
            claimant.token = PlaceToken::new(match n % 3 {
                0 => format!("{n}"),
                1 => format!("tok{n}same0000001"),
                _ => format!("TOK{}SAME0000001", n - 1),
            });
        }
        all
    })
}

fn check(all: &BTreeMap<PlaceToken, Names>) {
    let mut seen = HashSet::new();
    for names in all.values() {
        assert!(names.stem.len() <= MAX_STEM_BYTES && !names.stem.is_empty());
        for name in names.names.values() {
            assert!(seen.insert(fold(name)), "{name:?} twice");
            assert!(RelPath::new(name.as_str()).is_ok() && !name.contains('/'), "{name:?}");
            assert!(name.len() <= 240, "{name:?}");
            assert!(!name.contains(|c: char| c.is_control() || r#"\:*?"<>|"#.contains(c)));
            assert!(!name.starts_with(' ') && !name.ends_with([' ', '.']), "{name:?}");
            assert!(name.nfc().eq(name.chars()), "{name:?} is not NFC");
            let word = name.split('.').next().unwrap_or(name).trim_end();
            assert!(!["CON", "NUL", "AUX"].contains(&word.to_uppercase().as_str()), "{name:?}");
        }
    }
}

proptest! {
    #[test]
    fn names_are_unique_portable_and_in_no_order(
        (all, shuffled) in folder().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let names = assign(&all, &[]);
        check(&names);
        for claimant in &all {
            let given = &names[&claimant.token];
            prop_assert!(claimant.slots.iter().all(|slot| given.names.contains_key(slot)));
        }
        prop_assert_eq!(assign(&shuffled, &[]), names);
    }

    #[test]
    fn names_once_given_stay_whoever_comes(all in folder(), newcomers in folder()) {
        let names = assign(&all, &[]);
        let mut again: Vec<Claimant> = all
            .into_iter()
            .map(|c| Claimant { given: Some(names[&c.token].clone()), ..c })
            .collect();
        prop_assert_eq!(&assign(&again, &[]), &names);
        again.extend(newcomers.into_iter().map(|c| Claimant {
            token: PlaceToken::new(format!("new{}", c.token)),
            created_secs: 1,
            ..c
        }));
        let more = assign(&again, &[]);
        check(&more);
        for (token, given) in &names {
            prop_assert_eq!(&more[token], given);
        }
    }

    #[test]
    fn what_stands_aside_blocks_nobody(all in folder()) {
        let names = assign(&all, &[]);
        let taken: HashSet<String> =
            names.values().flat_map(|n| n.names.values()).map(|n| fold(n)).collect();
        for (token, given) in &names {
            let aside = unique_gone_names(given, token, &|name| taken.contains(name));
            prop_assert!(aside.names.keys().eq(given.names.keys()));
            prop_assert!(aside.names.values().all(|name| !taken.contains(&fold(name))));
            check(&BTreeMap::from([(token.clone(), aside)]));
        }
    }

    #[test]
    fn folding_twice_folds_no_further(text in any::<String>()) {
        prop_assert_eq!(fold(&fold(&text)), fold(&text));
    }

    #[test]
    fn a_stem_is_its_own_stem(text in any::<String>()) {
        let once = stem(&text, &ObjType::Folder);
        prop_assert_eq!(stem(&once, &ObjType::Folder), once);
    }
}
