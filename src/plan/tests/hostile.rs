//! Titles made to land elsewhere, through the whole plan and what it leaves on disk; rows
//! and times that no service and no run of ours ever made.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::layout;

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

/// A listed place: its parent (an earlier one, by number), type and title.
type Listed = (usize, u8, String);

fn title() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "..",
            ".",
            "",
            "/",
            "\\",
            "../../etc/passwd",
            "/etc/passwd",
            "..\\..\\x",
            "a/../../b",
            ".feishu-mirror",
            ".FEISHU-MIRROR",
            "~",
            "~root",
            "CON",
            "nul.txt",
            "LPT1.docx",
            "C:\\x",
            "a:b",
            "\u{202e}txt.exe",
            "\u{0}",
            "a\u{0}/b",
            "\r\n",
            "a\u{1b}[2Jb",
            "T",
            "t",
            "T.docx",
            "T~gone-1",
            "T.assets",
            "T.sheets",
            "ＡＢ",
            "AB",
            "é",
            "e\u{301}",
            "ß",
            "SS",
            "ﬁ",
            "fi",
            "İ",
            "ı",
            "K",
            "\u{212a}",
            "…",
            "%2e%2e%2f",
            "file://x",
            " ",
            ". ",
            "x.",
            "-rf",
            "$(id)",
            "`id`",
            "*?<>|\"",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
        "[./\\\\ ~\u{2024}\u{ff0f}\u{2215}a]{0,8}",
        (1..400_usize).prop_map(|n| "字".repeat(n)),
        (1..400_usize).prop_map(|n| format!("{}{}", "x".repeat(n), "e\u{301}".repeat(n % 7))),
    ]
}

fn listed() -> impl Strategy<Value = Vec<Listed>> {
    prop::collection::vec((any::<usize>(), 0..6_u8, title()), 1..14)
}

/// Puts it all into a source; the same again with other titles is a rename.
fn list(world: &mut World, all: &[Listed]) {
    let folders: Vec<usize> = (0..all.len()).filter(|n| all[*n].1 < 2).collect();
    for (n, (parent, kind, title)) in all.iter().enumerate() {
        let token = format!("tok{n}");
        let above: Vec<&usize> = folders.iter().filter(|folder| **folder < n).collect();
        let parent = (!above.is_empty() && parent % 3 > 0)
            .then(|| format!("tok{}", above[parent % above.len()]));
        let parent = parent.as_deref();
        match kind {
            0 | 1 => world.add(&token, parent, title, "folder"),
            2 => world.add(&token, parent, title, "docx"),
            3 => world.add(&token, parent, title, "sheet"),
            4 => world.add(&token, parent, title, "file"),
            _ => world.shortcut(&token, title, "docx", "tok0"),
        }
    }
}

/// Everything in the plan and everything on disk afterwards lies in its source, under
/// names that every system takes and nobody else has.
fn check(world: &World, plan: &Plan) {
    let source = RelPath::new("drive").unwrap();
    let mut paths: Vec<RelPath> = Vec::new();
    for (_, change) in plan.moves.iter().chain(&plan.asides).flat_map(|moved| &moved.changes) {
        paths.push(change.path.clone());
        paths.extend(change.from.clone());
    }
    paths.extend(plan.wants().map(|want| want.change.path.clone()));
    paths.extend(plan.links.iter().map(|link| link.change.path.clone()));
    paths.extend(plan.folders.iter().filter_map(|made| Some(made.change.as_ref()?.path.clone())));
    paths.extend(world.local.entries.keys().filter_map(|at| at.in_mirror().cloned()));
    for path in &paths {
        assert!(path.is_within(&source) && *path != source, "{path} leaves its source");
        for name in path.components() {
            assert!(name.len() <= 240, "{} bytes: {name}", name.len());
            assert!(!name.contains(|c: char| c.is_control() || r#"\:*?"<>|"#.contains(c)));
            assert!(!name.ends_with([' ', '.']) && !name.starts_with(' '), "{name:?}");
        }
    }
    let mut claimed: BTreeMap<(Option<&PlaceToken>, String), &PlaceKey> = BTreeMap::new();
    for (key, row) in &world.recorded.places {
        for name in row.names.values() {
            let claim = (row.parent.as_ref(), layout::fold(name));
            if let Some(other) = claimed.insert(claim, key) {
                panic!("{key} and {other} both claim {name:?}");
            }
        }
    }
}

/// Two runs: everything appears, then everything has another title.
fn no_panic_on_titles(first: &[Listed], second: &[Listed]) {
    let mut world = World::new();
    for titles in [first, second] {
        list(&mut world, titles);
        let plan = world.plan();
        world.apply(plan.clone());
        check(&world, &plan);
        let mut again = lines(&world.plan());
        // What has no export, or no target, is skipped every time.
        again.retain(|line| !line.starts_with("S "));
        assert_eq!(again, [""; 0], "a second run has nothing to do");
    }
}

#[test]
fn no_title_leads_out_of_its_source_or_to_anothers_name() {
    let two = listed().prop_flat_map(|first| {
        let titles = prop::collection::vec(title(), first.len());
        (Just(first), titles)
    });
    run(250, &two, |(first, titles)| {
        let second: Vec<Listed> = first
            .iter()
            .zip(titles)
            .map(|((parent, kind, _), title)| (*parent, *kind, title))
            .collect();
        no_panic_on_titles(&first, &second);
    });
}

/// Times and counts beyond everything, in listings and in rows.
#[test]
fn no_time_is_too_strange_to_plan_with() {
    let time = prop_oneof![
        any::<i64>(),
        Just(i64::MAX),
        Just(i64::MIN),
        Just(0),
        Just(-1),
        (0..2_000_000_i64)
    ];
    let times = (time.clone(), time.clone(), time.clone(), time);
    run(400, &times, |(listed, seen, created, stamped)| {
        let mut world = World::new();
        world.add("F", None, "F", "folder");
        world.add("a", Some("F"), "a", "docx");
        world.run();
        for token in ["F", "a"] {
            let node = world.node(token);
            node.created_secs = created;
            node.edited =
                Some(Edited { channel: Channel::Drive, at_secs: listed, seen_secs: seen });
        }
        for row in world.recorded.places.values_mut() {
            row.absent_walks = u32::MAX;
            for product in row.products.values_mut() {
                product.stamp.seen_secs = stamped;
                product.mtime_secs = stamped;
            }
            let stamp = Stamp { seen_secs: stamped, ..Stamp::default() };
            let failure =
                Failure { code: None, message: "no".to_owned(), hint: None, retryable: true };
            let outcome =
                Outcome { why: Why::Forbidden, failure, stamp, at_secs: stamped, limit: None };
            row.outcomes.insert(Format::Docx, outcome);
        }
        world.plan();
        world.remove("a");
        for state in
            [PlaceState::Hidden { asked_secs: stamped }, PlaceState::Gone { since_secs: stamped }]
        {
            world.recorded.places.get_mut(&key("a")).unwrap().state = state;
            world.plan();
        }
    });
}

/// Rows as a damaged manifest may hold them: parents that are not there, that are no
/// folders, that run in circles; names that two rows claim.
fn no_panic_on_rows(parents: &[(usize, bool)], listed: &[bool]) {
    let mut world = World::new();
    let all: Vec<Listed> =
        (0..parents.len()).map(|n| (0, if n % 2 == 0 { 0 } else { 2 }, format!("T{n}"))).collect();
    list(&mut world, &all);
    world.run();
    for (n, (parent, same_name)) in parents.iter().enumerate() {
        let Some(row) = world.recorded.places.get_mut(&key(&format!("tok{n}"))) else { continue };
        row.parent = Some(PlaceToken::new(format!("tok{}", parent % (parents.len() + 1))));
        if *same_name {
            row.names.values_mut().for_each(|name| "T0".clone_into(name));
        }
    }
    for (n, listed) in listed.iter().enumerate() {
        let token = format!("tok{n}");
        if !listed && n < parents.len() {
            world.remove(&token);
        }
    }
    let plan = world.plan();
    let source = RelPath::new("drive").unwrap();
    let known: BTreeSet<&PlaceKey> = world.recorded.places.keys().collect();
    for want in plan.wants() {
        assert!(want.change.path.is_within(&source));
    }
    for prune in &plan.prunes {
        assert!(known.contains(&prune.place), "{} was never there", prune.place);
    }
}

#[test]
fn no_rows_are_too_broken_to_plan_with() {
    let rows = prop::collection::vec((any::<usize>(), any::<bool>()), 1..9);
    run(300, &(rows, prop::collection::vec(any::<bool>(), 9)), |(parents, listed)| {
        no_panic_on_rows(&parents, &listed);
    });
}

/// A symlink stood where a folder was: the page below it could not be written. The folder
/// is back, with the earlier copy in it, and the page is fetched at last.
#[test]
fn what_was_in_the_way_once_is_forgotten_with_it() {
    let mut world = World::new();
    world.add("a", None, "a", "docx");
    world.run();
    world.edit("a");
    let at = Loc::Mirror(RelPath::new("drive/a.docx").unwrap());
    let stamp = Stamp::of(world.node("a").edited, None);
    let failure = Failure { code: None, message: "x".to_owned(), hint: None, retryable: false };
    let blocked = Outcome { why: Why::Blocked, failure, stamp, at_secs: world.now, limit: None };
    let row = world.recorded.places.get_mut(&key("a")).unwrap();
    row.outcomes.insert(Format::Docx, blocked);

    let before = world.local.entries.clone();
    world.local.entries.insert(at, LocalEntry::Link("/etc/passwd".to_owned()));
    assert_eq!(world.plan().wants().count(), 0, "it still stands there");
    world.local.entries = before;
    assert_eq!(world.plan().wants().count(), 1);
}
