//! Swaps, cycles, folders into their own children, and crashes in the middle of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::apply::moves::relocate_all;
use crate::faults::Op;
use crate::model::recorded::Loc;

fn relocate(journal: &mut Journal, relocations: Vec<Relocation>) -> Result<(), Halt> {
    relocate_all(journal, relocations, &mut Vec::new(), &|| false)
}

fn file(token: &str, parent: Option<&str>, name: &str) -> (PlaceKey, PlaceRow) {
    (key(token), row(token, parent, &[(DOCX, name)]))
}

fn folder(token: &str, parent: Option<&str>, name: &str) -> (PlaceKey, PlaceRow) {
    (key(token), row(token, parent, &[(Slot::Dir, name)]))
}

/// A story: how things stand, and how they are to stand.
struct Story {
    name: &'static str,
    before: Vec<(PlaceKey, PlaceRow)>,
    after: Vec<(PlaceKey, PlaceRow)>,
    files: Vec<(&'static str, &'static str)>,
}

fn stories() -> Vec<Story> {
    vec![
        Story {
            name: "two files swap",
            before: vec![file("a", None, "A"), file("b", None, "B")],
            after: vec![file("a", None, "B"), file("b", None, "A")],
            files: vec![("drive/A", "b docx"), ("drive/B", "a docx")],
        },
        Story {
            name: "three files in a circle",
            before: vec![file("a", None, "A"), file("b", None, "B"), file("c", None, "C")],
            after: vec![file("a", None, "B"), file("b", None, "C"), file("c", None, "A")],
            files: vec![("drive/A", "c docx"), ("drive/B", "a docx"), ("drive/C", "b docx")],
        },
        Story {
            name: "a chain, each onto the next one's name",
            before: vec![file("a", None, "1"), file("b", None, "2"), file("c", None, "3")],
            after: vec![file("a", None, "2"), file("b", None, "3"), file("c", None, "4")],
            files: vec![("drive/2", "a docx"), ("drive/3", "b docx"), ("drive/4", "c docx")],
        },
        Story {
            name: "two folders swap, with what is in them",
            before: vec![
                folder("f", None, "F"),
                folder("g", None, "G"),
                file("x", Some("f"), "X"),
                file("y", Some("g"), "Y"),
            ],
            after: vec![folder("f", None, "G"), folder("g", None, "F")],
            files: vec![("drive/F/Y", "y docx"), ("drive/G/X", "x docx")],
        },
        Story {
            name: "a folder into its own former child",
            before: vec![
                folder("f", None, "F"),
                folder("g", Some("f"), "G"),
                file("x", Some("f"), "X"),
                file("y", Some("g"), "Y"),
            ],
            after: vec![folder("g", None, "G"), folder("f", Some("g"), "F")],
            files: vec![("drive/G/F/X", "x docx"), ("drive/G/Y", "y docx")],
        },
        Story {
            name: "a folder into its own former child, which takes its name",
            before: vec![
                folder("f", None, "F"),
                folder("g", Some("f"), "G"),
                file("x", Some("f"), "X"),
                file("y", Some("g"), "Y"),
            ],
            after: vec![folder("g", None, "F"), folder("f", Some("g"), "F")],
            files: vec![("drive/F/F/X", "x docx"), ("drive/F/Y", "y docx")],
        },
        Story {
            name: "into a grandchild that is carried along by its parent",
            before: vec![
                folder("f", None, "F"),
                folder("h", Some("f"), "H"),
                folder("g", Some("h"), "G"),
                file("x", Some("f"), "X"),
            ],
            after: vec![folder("h", None, "H"), folder("f", Some("g"), "F")],
            files: vec![("drive/H/G/F/X", "x docx")],
        },
        Story {
            name: "a document with children and two formats, swapping its own names",
            before: vec![
                (key("d"), row("d", None, &[(DOCX, "A"), (PDF, "B"), (Slot::Dir, "C")])),
                file("x", Some("d"), "X"),
            ],
            after: vec![(key("d"), row("d", None, &[(DOCX, "B"), (PDF, "C"), (Slot::Dir, "A")]))],
            files: vec![("drive/A/X", "x docx"), ("drive/B", "d docx"), ("drive/C", "d pdf")],
        },
        Story {
            name: "two documents with children swap parents and names",
            before: vec![
                folder("f", None, "F"),
                folder("g", None, "G"),
                (key("d"), row("d", Some("f"), &[(DOCX, "T.docx"), (Slot::Dir, "T")])),
                (key("e"), row("e", Some("g"), &[(DOCX, "T.docx"), (Slot::Dir, "T")])),
                file("x", Some("d"), "X"),
                file("y", Some("e"), "Y"),
            ],
            after: vec![
                (key("d"), row("d", Some("g"), &[(DOCX, "T.docx"), (Slot::Dir, "T")])),
                (key("e"), row("e", Some("f"), &[(DOCX, "T.docx"), (Slot::Dir, "T")])),
                folder("f", None, "G"),
                folder("g", None, "F"),
            ],
            files: vec![
                ("drive/F/T.docx", "d docx"),
                ("drive/F/T/X", "x docx"),
                ("drive/G/T.docx", "e docx"),
                ("drive/G/T/Y", "y docx"),
            ],
        },
    ]
}

fn moves_of(story: &Story, recorded: &Recorded) -> Vec<Relocation> {
    let moved = story.after.iter().filter(|(key, row)| recorded.places.get(key) != Some(row));
    moved.map(|(key, row)| to_row(key, key, row.clone())).collect()
}

/// Every recorded product stands where the manifest says.
fn assert_true(world: &World, recorded: &Recorded, when: &str) {
    for (key, row) in &recorded.places {
        for product in row.products.keys() {
            let at = match recorded.product(key, product).unwrap() {
                Loc::Mirror(path) => world.path(path.as_str()),
                Loc::Parked(path) => world.state().join("staging/parked").join(path.as_str()),
            };
            let found = fs::read_to_string(&at).unwrap_or_else(|_| at.display().to_string());
            assert_eq!(found, content(key, product), "{when}: {key}");
        }
    }
}

fn expected(story: &Story) -> BTreeMap<String, String> {
    story.files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn everything_gets_to_its_name_whatever_stands_there() {
    for story in stories() {
        let world = World::new();
        world.given(&story.before);
        let recorded = world.run(|journal| {
            let moves = moves_of(&story, journal.current());
            relocate(journal, moves)
        });
        assert_eq!(world.failures(), Vec::<String>::new(), "{}", story.name);
        assert_eq!(world.files(), expected(&story), "{}", story.name);
        for (key, row) in &story.after {
            assert_eq!(recorded.places.get(key), Some(row), "{}: {key}", story.name);
        }
        assert_true(&world, &recorded, story.name);
        assert_eq!(world.run(|_| Ok(())), recorded, "{}: the store says the same", story.name);
    }
}

#[test]
fn a_crash_at_any_step_loses_nothing_and_the_next_run_completes_it() {
    for story in stories() {
        for crash_at in 0.. {
            let world = World::new();
            world.given(&story.before);
            let count = Arc::new(AtomicUsize::new(0));
            let steps = count.clone();
            let faults = Faults::when(move |op, _| {
                let counted = matches!(op, Op::Rename | Op::SyncFolder | Op::MakeFolder);
                assert!(
                    !counted || steps.fetch_add(1, Ordering::Relaxed) != crash_at,
                    "the power is cut"
                );
                None
            });
            let crashed = catch_unwind(AssertUnwindSafe(|| {
                let mut journal = world.journal(&faults);
                let moves = moves_of(&story, journal.current());
                relocate(&mut journal, moves).unwrap();
            }));
            let when = format!("{}, cut at step {crash_at}", story.name);
            let recorded = world.settle();
            assert_true(&world, &recorded, &when);
            world.run(|journal| {
                let moves = moves_of(&story, journal.current());
                relocate(journal, moves)
            });
            assert_eq!(world.failures(), Vec::<String>::new(), "{when}");
            assert_eq!(world.files(), expected(&story), "{when}");
            if crashed.is_ok() {
                assert!(crash_at > 0, "{}: no step at all", story.name);
                break;
            }
        }
    }
}

#[test]
fn a_folder_takes_what_is_in_it_to_another_source() {
    let world = World::new();
    world.given(&[
        folder("f", None, "F"),
        folder("g", Some("f"), "G"),
        file("x", Some("g"), "X"),
        file("y", Some("g"), "Y"),
    ]);
    fs::write(world.path("drive/F/mine.txt"), "a stranger").unwrap();
    let to = |token: &str| in_source("docs", token);
    let recorded = world.run(|journal| {
        let mut new = row("new", Some("f"), &[(DOCX, "New")]);
        new.products.clear();
        let mut deferred = vec![(to("new"), new)];
        let moves = vec![
            to_row(&key("f"), &to("f"), row("f", None, &[(Slot::Dir, "F2")])),
            // Carried along, so only their rows change ...
            to_row(&key("g"), &to("g"), row("g", Some("f"), &[(Slot::Dir, "G")])),
            // ... and one gets another name besides.
            to_row(&key("x"), &to("x"), row("x", Some("g"), &[(DOCX, "Z")])),
        ];
        relocate_all(journal, moves, &mut deferred, &|| false)?;
        assert!(deferred.is_empty(), "the new row waited for its folder");
        Ok(())
    });
    assert_eq!(world.failures(), Vec::<String>::new());
    let files: Vec<String> = world.files().into_keys().collect();
    assert_eq!(files, ["docs/F2/G/Y", "docs/F2/G/Z", "docs/F2/mine.txt"]);
    let keys: Vec<String> = recorded.places.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["docs:f", "docs:g", "docs:new", "docs:x", "docs:y"]);
    assert_true(&world, &recorded, "after");
}

#[test]
fn a_strangers_file_blocks_only_the_place_that_wants_its_name() {
    let given = [
        folder("f", None, "F"),
        file("x", Some("f"), "X"),
        file("a", None, "A"),
        file("b", None, "B"),
    ];
    let moves = || {
        vec![
            // Blocked: keeps its place, and what goes into it goes there.
            to_row(&key("f"), &key("f"), row("f", None, &[(Slot::Dir, "Wanted")])),
            to_row(&key("a"), &key("a"), row("a", Some("f"), &[(DOCX, "A")])),
            // Its name is still taken by the one above, had that been a swap.
            to_row(&key("b"), &key("b"), row("b", None, &[(DOCX, "F")])),
        ]
    };
    let mut world = World::new();
    world.given(&given);
    fs::create_dir(world.path("drive/Wanted")).unwrap();
    fs::write(world.path("drive/Wanted/mine.txt"), "mine").unwrap();
    let recorded = world.run(|journal| relocate(journal, moves()));
    let failures = world.failures();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].contains("drive/Wanted is in the way"), "{failures:?}");
    let files: Vec<String> = world.files().into_keys().collect();
    assert_eq!(files, ["drive/B", "drive/F/A", "drive/F/X", "drive/Wanted/mine.txt"]);
    assert_true(&world, &recorded, "blocked");

    // With --adopt the stranger goes to the trash, and both get their names.
    world.adopt = true;
    let recorded = world.run(|journal| relocate(journal, moves()));
    assert_eq!(world.failures(), Vec::<String>::new());
    let files: Vec<String> = world.files().into_keys().collect();
    assert_eq!(files, ["drive/F", "drive/Wanted/A", "drive/Wanted/X"]);
    assert_eq!(world.trash(), ["drive/Wanted/mine.txt"]);
    assert_true(&world, &recorded, "adopted");
}

#[test]
fn an_empty_folder_of_somebody_else_makes_room() {
    let world = World::new();
    world.given(&[folder("f", None, "F"), file("x", Some("f"), "X")]);
    fs::create_dir(world.path("drive/G")).unwrap();
    let moves = vec![to_row(&key("f"), &key("f"), row("f", None, &[(Slot::Dir, "G")]))];
    world.run(|journal| relocate(journal, moves));
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["drive/G/X"]);
}

#[test]
fn many_files_that_each_take_the_next_ones_name() {
    // Deeper than the recursion goes.
    let count = 200;
    let name = |n: usize| format!("{n:04}");
    let rows: Vec<(PlaceKey, PlaceRow)> =
        (0..count).map(|n| file(&format!("t{n}"), None, &name(n))).collect();
    let world = World::new();
    world.given(&rows);
    let moves: Vec<Relocation> = (0..count)
        .map(|n| {
            let (key, row) = file(&format!("t{n}"), None, &name((n + 1) % count));
            to_row(&key, &key, row)
        })
        .collect();
    let recorded = world.run(|journal| relocate(journal, moves));
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(world.files().len(), count);
    assert_true(&world, &recorded, "after the shift");
}

#[test]
fn a_rename_that_the_disk_refuses_fails_alone() {
    let world = World::new();
    world.given(&[file("a", None, "A"), file("b", None, "B"), file("c", None, "C")]);
    let faults = Faults::when(|op, path| {
        (op == Op::Rename && path == "drive/B").then(|| std::io::ErrorKind::PermissionDenied.into())
    });
    let mut journal = world.journal(&faults);
    let moves = ["a", "b", "c"]
        .map(|t| {
            let (key, row) = file(t, None, &format!("{t}2"));
            to_row(&key, &key, row)
        })
        .to_vec();
    relocate(&mut journal, moves).unwrap();
    let recorded = journal.current().clone();
    drop(journal);
    let failures = world.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["drive/B", "drive/a2", "drive/c2"]);
    assert_true(&world, &recorded, "one refused");
}
