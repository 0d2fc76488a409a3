//! Folders, links and prunes.

use super::service::*;
use super::*;
use crate::faults::Op;
use crate::model::change::Rank;
use crate::plan::{MakeFolder, MakeLink, Plan, Prune, Removal};

fn prune(key: &PlaceKey, path: &str, action: Removal) -> Prune {
    let product = (ProductKey::whole(DOCX), change(ChangeKind::Prune, key, path));
    Prune { place: key.clone(), products: vec![product], folder: None, action, row: None }
}

fn prune_folder(key: &PlaceKey, path: &str) -> Prune {
    let folder = Some(change(ChangeKind::Prune, key, path));
    let action = Removal::Delete;
    Prune { place: key.clone(), products: Vec::new(), folder, action, row: None }
}

#[tokio::test(start_paused = true)]
async fn prunes_take_what_is_ours_and_nothing_else() {
    let world = World::new();
    let rows = [
        (key("f"), row("f", None, &[(Slot::Dir, "F")])),
        (key("g"), row("g", None, &[(Slot::Dir, "G")])),
        (key("a"), row("a", Some("f"), &[(DOCX, "A")])),
        (key("b"), row("b", Some("f"), &[(DOCX, "B")])),
        (key("c"), row("c", Some("g"), &[(DOCX, "C")])),
    ];
    world.given(&rows);
    fs::write(world.path("drive/G/mine.txt"), "mine").unwrap();
    fs::write(world.path("drive/F/B"), "altered by hand").unwrap();
    let plan = Plan {
        prunes: vec![
            prune(&key("a"), "drive/F/A", Removal::Delete),
            prune(&key("b"), "drive/F/B", Removal::Delete),
            prune(&key("c"), "drive/G/C", Removal::Trash),
            prune_folder(&key("f"), "drive/F"),
            prune_folder(&key("g"), "drive/G"),
        ],
        ..Plan::default()
    };
    let service = Service::new(|_| Reply::Refused);
    let (report, recorded) = world.apply(&service, plan).await;
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["drive/G/mine.txt"]);
    assert_eq!(world.trash(), ["drive/F/B", "drive/G/C"], "altered, and by rule");
    assert!(!world.path("drive/F").exists());
    assert!(recorded.places.is_empty());
    assert_eq!(report.tally.of(Rank::Pruned), 4, "the folder that stays is not told");
}

/// The config wants pdf in place of docx: one run gets the one and prunes the other.
#[tokio::test(start_paused = true)]
async fn a_prune_does_not_forget_what_the_same_run_fetched() {
    let world = World::new();
    let mut row = row("f", None, &[(DOCX, "T.docx")]);
    row.names.insert(Slot::Product(Format::File), "T.bin".to_owned());
    world.given(&[(key("f"), row.clone())]);
    let mut plan = upload("f", "T.bin");
    plan.records.clear();
    row.products.clear();
    let mut unwanted = prune(&key("f"), "drive/T.docx", Removal::Delete);
    unwanted.row = Some(row);
    plan.prunes.push(unwanted);
    let service = Service::new(|asked| sent(asked, b"new", None, None));
    let (_, recorded) = world.apply(&service, plan).await;
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["drive/T.bin"]);
    let products: Vec<_> = recorded.places[&key("f")].products.keys().cloned().collect();
    assert_eq!(products, [ProductKey::whole(Slot::Product(Format::File))]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_pruning_is_settled() {
    for crash_at in 0..3 {
        let world = World::new();
        world.given(&[
            (key("a"), row("a", None, &[(DOCX, "A")])),
            (key("b"), row("b", None, &[(DOCX, "B")])),
        ]);
        let count = std::sync::atomic::AtomicUsize::new(0);
        let faults = Faults::when(move |op, _| {
            let counted = matches!(op, Op::Trash | Op::SyncFolder);
            let n = || count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert!(!counted || n() != crash_at, "the power is cut");
            None
        });
        let crashed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut journal = world.journal(&faults);
            let prunes = vec![
                prune(&key("a"), "drive/A", Removal::Trash),
                prune(&key("b"), "drive/B", Removal::Trash),
            ];
            journal.prune_all(prunes, &|| false)
        }));
        assert!(crashed.is_err());
        let recorded = world.settle();
        let left: Vec<String> = recorded.places.keys().map(ToString::to_string).collect();
        let files: Vec<String> = world.files().into_keys().map(|p| p.to_lowercase()).collect();
        let files: Vec<String> = files.iter().map(|p| p.replace('/', ":")).collect();
        assert_eq!(left, files, "cut at {crash_at}: rows and files agree");
    }
}

#[tokio::test(start_paused = true)]
async fn links_follow_their_targets_and_never_dangle() {
    let world = World::new();
    let link = Slot::LinkTo(Format::Docx);
    let mut shortcut = row("l", Some("f"), &[(link, "Link.docx")]);
    shortcut.products.clear();
    world.given(&[
        (key("f"), row("f", None, &[(Slot::Dir, "F")])),
        (key("a"), row("a", None, &[(DOCX, "A.docx")])),
        (key("l"), shortcut),
    ]);
    let make = || MakeLink {
        place: key("l"),
        slot: link,
        to: (key("a"), DOCX),
        change: change(ChangeKind::Add, &key("l"), "drive/F/Link.docx"),
    };
    let plan = || Plan { links: vec![make()], ..Plan::default() };
    let service = Service::new(|_| Reply::Refused);
    let (_, recorded) = world.apply(&service, plan()).await;
    let path = world.path("drive/F/Link.docx");
    assert_eq!(fs::read_link(&path).unwrap().to_str(), Some("../A.docx"));
    let product = &recorded.places[&key("l")].products[&ProductKey::whole(link)];
    assert_eq!(product.link.as_deref(), Some("../A.docx"));

    // The target is renamed in the same run.
    let mut target = recorded.places[&key("a")].clone();
    target.names.insert(DOCX, "B.docx".to_owned());
    let moved = Plan { moves: vec![to_row(&key("a"), &key("a"), target)], ..plan() };
    world.apply(&service, moved).await;
    assert_eq!(fs::read_link(&path).unwrap().to_str(), Some("../B.docx"));
    assert_eq!(world.failures(), Vec::<String>::new());

    // The target is lost: so is the link.
    fs::remove_file(world.path("drive/B.docx")).unwrap();
    let (report, recorded) = world.apply(&service, plan()).await;
    assert!(fs::symlink_metadata(&path).is_err());
    assert!(recorded.places[&key("l")].products.is_empty());
    assert!(report.partial);
}

#[tokio::test(start_paused = true)]
async fn where_there_are_no_symlinks_a_url_stands_in() {
    let world = World::new();
    let link = Slot::LinkTo(Format::Docx);
    let mut shortcut = row("l", None, &[(link, "Link.docx")]);
    shortcut.products.clear();
    shortcut.url = Some("https://x.feishu.cn/docx/l".to_owned());
    shortcut.stem = "Link".to_owned();
    world.given(&[(key("a"), row("a", None, &[(DOCX, "A.docx")])), (key("l"), shortcut)]);
    let plan = Plan {
        links: vec![MakeLink {
            place: key("l"),
            slot: link,
            to: (key("a"), DOCX),
            change: change(ChangeKind::Add, &key("l"), "drive/Link.docx"),
        }],
        ..Plan::default()
    };
    let service = Service::new(|_| Reply::Refused);
    let faults =
        Faults::when(|op, _| (op == Op::Link).then(|| std::io::Error::from_raw_os_error(1)));
    let tools = world.tools(&service, &faults);
    let (report, _) = world.apply_with(plan, &tools, &world.settings()).await;
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(report.warnings.len(), 1);
    assert!(world.files()["drive/Link.url"].contains("/docx/l"));
}

#[tokio::test(start_paused = true)]
async fn a_file_where_a_folder_goes_blocks_it_and_what_is_below() {
    let mut world = World::new();
    fs::create_dir(world.path("drive")).unwrap();
    fs::write(world.path("drive/F"), "mine").unwrap();
    let plan = || {
        let mut plan = upload("x", "X.txt");
        plan.records[0].1.parent = Some("f".into());
        plan.records.push((key("f"), row("f", None, &[(Slot::Dir, "F")])));
        let change = Some(change(ChangeKind::Add, &key("f"), "drive/F"));
        plan.folders.push(MakeFolder { place: key("f"), change });
        let other = upload("y", "Y.txt");
        plan.records.extend(other.records);
        plan.fetches.extend(other.fetches);
        plan
    };
    let service = Service::new(|asked| sent(asked, b"new", None, None));
    world.apply(&service, plan()).await;
    assert_eq!(world.failures().len(), 2);
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["drive/F", "drive/Y.txt"]);

    world.adopt = true;
    world.apply(&service, plan()).await;
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["drive/F/X.txt", "drive/Y.txt"]);
    assert_eq!(world.trash(), ["drive/F"]);
}
