//! Uploaded files, and what stands where content goes.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::service::*;
use super::*;
use crate::apply::Stop;
use crate::model::change::Rank;
use crate::model::recorded::Why;
use crate::plan::Plan;

const FILE: Slot = Slot::Product(Format::File);

fn long(first: u8) -> Vec<u8> {
    (0..2500_u32).map(|n| first + u8::try_from(n % 20).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_file_comes_in_ranges_under_one_etag() {
    let world = World::new();
    let service = Service::new(|asked| sent(asked, &long(b'a'), Some("v1"), None));
    let (report, recorded) = world.apply(&service, upload("f", "F.bin")).await;
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(fs::read(world.path("drive/F.bin")).unwrap(), long(b'a'));
    assert_eq!(service.calls.lock().unwrap().len(), 3);
    assert_eq!(report.bytes, 2500);
    assert!(!report.partial);
    let product = &recorded.places[&key("f")].products[&ProductKey::whole(FILE)];
    assert_eq!((product.size, product.mtime_secs), (2500, EDITED));
    let meta = fs::metadata(world.path("drive/F.bin")).unwrap();
    assert_eq!(meta.mtime(), EDITED);
    assert!(world.run(|_| Ok(())).places[&key("f")].outcomes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_replaced_between_two_ranges_is_never_spliced() {
    // With an ETag the next range shows it, without one the edit time does.
    for etags in [true, false] {
        let world = World::new();
        let replaced = Arc::new(AtomicBool::new(false));
        let service = Service::new(move |asked| {
            let late = replaced.load(Ordering::Relaxed);
            if asked.line.contains("batch_query") {
                // Asked before the second range, and at the end.
                return metas("f", if late { EDITED + 2000 } else { EDITED });
            }
            if asked.range.is_some_and(|(from, _)| from > 0) {
                replaced.store(true, Ordering::Relaxed);
            }
            let late = replaced.load(Ordering::Relaxed);
            let (bytes, etag) = if late { (long(b'A'), "v2") } else { (long(b'a'), "v1") };
            sent(asked, &bytes, etags.then_some(etag), None)
        });
        world.apply(&service, upload("f", "F.bin")).await;
        assert_eq!(world.failures(), Vec::<String>::new(), "etags: {etags}");
        assert_eq!(fs::read(world.path("drive/F.bin")).unwrap(), long(b'A'), "etags: {etags}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_never_stands_still_fails_and_leaves_nothing() {
    let world = World::new();
    let service =
        Service::new(|asked| sent(asked, &long(b'a'), Some(&format!("v{}", asked.nth)), None));
    let (report, recorded) = world.apply(&service, upload("f", "F.bin")).await;
    assert!(world.failures()[0].contains("kept changing"));
    assert!(report.partial);
    assert_eq!(report.tally.of(Rank::Failed), 1);
    assert_eq!(world.files().len(), 0);
    assert_eq!(recorded.places[&key("f")].outcomes[&Format::File].why, Why::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_goes_on_where_it_was_cut() {
    let world = World::new();
    let service = Service::new(|asked| {
        let send = (asked.nth == 0).then_some(300);
        sent(asked, &long(b'a'), Some("v1"), send)
    });
    world.apply(&service, upload("f", "F.bin")).await;
    assert_eq!(fs::read(world.path("drive/F.bin")).unwrap(), long(b'a'));
    let calls = service.calls.lock().unwrap().clone();
    assert!(calls[1].ends_with(" 300..1324"), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_download_that_failed_is_gone_on_with_by_the_next_run() {
    for etag in [Some("v1"), None] {
        let world = World::new();
        let bad = Service::new(move |asked| {
            if asked.line.contains("batch_query") {
                return metas("f", EDITED);
            }
            if asked.nth > 0 {
                return refused(403, 1_061_004);
            }
            sent(asked, &long(b'a'), etag, Some(300))
        });
        world.apply(&bad, upload("f", "F.bin")).await;
        assert_eq!(world.failures().len(), 1);

        let service = Service::new(move |asked| {
            if asked.line.contains("batch_query") {
                return metas("f", EDITED);
            }
            sent(asked, &long(b'a'), etag, None)
        });
        world.apply(&service, upload("f", "F.bin")).await;
        assert_eq!(world.failures(), Vec::<String>::new());
        assert_eq!(fs::read(world.path("drive/F.bin")).unwrap(), long(b'a'));
        assert_eq!(service.count(" 0.."), 0, "nothing was fetched twice");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_skipped_as_soon_as_that_is_known() {
    let world = World::new();
    let service = Service::new(|asked| sent(asked, &long(b'a'), None, None));
    let mut settings = world.settings();
    settings.max_size = Some(2000);
    let tools = world.tools(&service, &Faults::default());
    let (report, recorded) = world.apply_with(upload("f", "F.bin"), &tools, &settings).await;
    assert_eq!(service.calls.lock().unwrap().len(), 1);
    assert!(!report.partial, "left out is not failed");
    assert_eq!(report.tally.of(Rank::Skipped), 1);
    assert_eq!(report.tally.of(Rank::Added), 0);
    let done = world.done();
    assert!(!done[0].1 && done[0].2.as_ref().unwrap().starts_with("larger than max_size"));
    let outcome = &recorded.places[&key("f")].outcomes[&Format::File];
    assert_eq!((outcome.why, outcome.limit), (Why::TooLarge, Some(2000)));
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_is_a_file() {
    let world = World::new();
    let service = Service::new(|asked| sent(asked, b"", None, None));
    world.apply(&service, upload("f", "F.bin")).await;
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(world.files()["drive/F.bin"], "");
}

#[tokio::test(start_paused = true)]
async fn what_stands_on_the_path_decides() {
    struct Case {
        why: &'static str,
        found: &'static str,
        recorded: Option<&'static str>,
        adopt: bool,
        written: Option<bool>,
        trash: &'static [&'static str],
    }
    let case = |why, found, recorded, adopt, written, trash| Case {
        why,
        found,
        recorded,
        adopt,
        written,
        trash,
    };
    let cases = [
        case("ours", "old", Some("old"), false, Some(true), &[]),
        case("ours, equal", "new", Some("new"), false, Some(false), &[]),
        case("altered", "mine", Some("old"), false, Some(true), &["drive/F.txt"]),
        case("altered to the new bytes", "new", Some("old!"), false, Some(false), &[]),
        case("a stranger with equal bytes", "new", None, false, Some(false), &[]),
        case("a stranger", "mine", None, false, None, &[]),
        case("a stranger, adopted", "mine", None, true, Some(true), &["drive/F.txt"]),
    ];
    for Case { why, found, recorded, adopt, written, trash } in cases {
        let mut world = World::new();
        world.adopt = adopt;
        let mut plan = upload("f", "F.txt");
        if let Some(text) = recorded {
            let row = &mut plan.records[0].1;
            row.products.insert(ProductKey::whole(FILE), product_row(text));
        }
        fs::create_dir(world.path("drive")).unwrap();
        let path = world.path("drive/F.txt");
        fs::write(&path, found).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();

        let service = Service::new(|asked| sent(asked, b"new", None, None));
        let (report, after) = world.apply(&service, plan).await;
        let product = after.places[&key("f")].products.get(&ProductKey::whole(FILE)).cloned();
        let Some(written) = written else {
            let failures = world.failures();
            assert!(failures[0].contains("is in the way"), "{why}: {failures:?}");
            assert!(report.partial, "{why}");
            assert_eq!(after.places[&key("f")].outcomes[&Format::File].why, Why::Blocked);
            assert_eq!(world.files()["drive/F.txt"], found, "{why}");
            continue;
        };
        assert_eq!(world.done()[0].1, written, "{why}");
        assert_eq!(world.failures(), Vec::<String>::new(), "{why}");
        assert_eq!(world.files()["drive/F.txt"], "new", "{why}");
        assert_eq!(world.trash(), trash, "{why}");
        assert_eq!(product.as_ref().unwrap().blake3, product_row("new").blake3, "{why}");
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.ino() == inode, !written, "{why}");
        // rsync must see the change where size and time would be the same.
        let bump = i64::from(recorded == Some("old"));
        assert_eq!(meta.mtime(), EDITED + bump, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_object_at_two_places_is_fetched_once() {
    let world = World::new();
    let mut plan = upload("f", "F.txt");
    let twin = in_source("wiki", "w");
    plan.records.push((twin.clone(), {
        let mut row = plan.records[0].1.clone();
        row.names = BTreeMap::from([(FILE, "W.txt".to_owned())]);
        row
    }));
    plan.fetches[0].wants.push(want(&twin, Format::File, "wiki/W.txt"));
    let service = Service::new(|asked| sent(asked, b"once", None, None));
    let (report, recorded) = world.apply(&service, plan).await;
    assert_eq!(service.calls.lock().unwrap().len(), 1);
    assert_eq!(report.bytes, 4);
    let files = world.files();
    assert_eq!((files["drive/F.txt"].as_str(), files["wiki/W.txt"].as_str()), ("once", "once"));

    // A third place is served from what is there, without any call.
    let third = key("g");
    let mut row = recorded.places[&key("f")].clone();
    row.products.clear();
    row.names = BTreeMap::from([(FILE, "G.txt".to_owned())]);
    let mut asked = want(&third, Format::File, "drive/G.txt");
    asked.copy_from = Some((key("f"), ProductKey::whole(FILE)));
    let plan = Plan {
        records: vec![(third, row)],
        fetches: vec![fetch(ObjType::File, "f", vec![asked.clone()])],
        ..Plan::default()
    };
    world.apply(&service, plan.clone()).await;
    assert_eq!(service.calls.lock().unwrap().len(), 1);
    assert_eq!(world.files()["drive/G.txt"], "once");
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_fails_each_place_alone() {
    let world = World::new();
    let mut plan = Plan::default();
    for n in 0..40 {
        let one = upload(&format!("f{n}"), &format!("F{n}.txt"));
        plan.records.extend(one.records);
        plan.fetches.extend(one.fetches);
    }
    let service = Service::new(|asked| {
        let n: u32 =
            asked.line.split("/f").last().unwrap().split('/').next().unwrap().parse().unwrap();
        match n % 4 {
            0 => sent(asked, b"fine", None, None),
            1 => refused(403, 1_061_004),
            2 => refused(404, 1_061_007),
            _ => Reply::Json(500, serde_json::json!({ "code": 1_061_001, "msg": "internal" })),
        }
    });
    let (report, recorded) = world.apply(&service, plan).await;
    assert!(report.stopped.is_none());
    assert!(report.partial);
    assert_eq!(report.tally.of(Rank::Added), 10);
    assert_eq!(report.tally.of(Rank::Failed), 30);
    assert_eq!(world.files().len(), 10);
    let why = |n| recorded.places[&key(n)].outcomes[&Format::File].why;
    assert_eq!((why("f1"), why("f2"), why("f3")), (Why::Forbidden, Why::Failed, Why::Failed));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_service_ends_the_run() {
    let world = World::new();
    let mut plan = Plan::default();
    for n in 0..20 {
        let one = upload(&format!("f{n}"), &format!("F{n}.txt"));
        plan.records.extend(one.records);
        plan.fetches.extend(one.fetches);
    }
    plan.sources.insert("drive".into(), crate::model::recorded::SourceRow::default());
    let service = Service::new(|_| Reply::Refused);
    let (report, recorded) = world.apply(&service, plan).await;
    assert!(matches!(report.stopped, Some(Stop::Fatal(_))), "{:?}", report.stopped);
    assert!(recorded.sources.is_empty(), "no full walk is recorded");
    assert!(world.failures().len() < 20);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_keeps_what_was_finished_and_what_came_of_the_rest() {
    let world = World::new();
    let mut plan = upload("a", "A.txt");
    let second = upload("b", "B.bin");
    plan.records.extend(second.records);
    plan.fetches.extend(second.fetches);
    let stop = Arc::new(Mutex::new(None::<tokio_util::sync::CancellationToken>));
    let trigger = stop.clone();
    let service = Service::new(move |asked| {
        if asked.line.contains("/a/") {
            return sent(asked, b"done", None, None);
        }
        if asked.nth > 0 {
            trigger.lock().unwrap().as_ref().unwrap().cancel();
        }
        sent(asked, &long(b'a'), Some("v1"), None)
    });
    let tools = world.tools(&service, &Faults::default());
    *stop.lock().unwrap() = Some(tools.stop.clone());
    let (report, recorded) = world.apply_with(plan, &tools, &world.settings()).await;
    assert!(matches!(report.stopped, Some(Stop::Interrupted)));
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["drive/A.txt"]);
    assert!(recorded.places[&key("b")].outcomes.is_empty(), "it did not fail");
    drop(tools);

    world.apply(&service, upload("b", "B.bin")).await;
    assert_eq!(service.count("/b/download 0.."), 1, "the first range was kept");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_the_run_and_says_so() {
    let world = World::new();
    let faults = Faults::when(|op, _| {
        (op == crate::faults::Op::Publish).then(|| std::io::ErrorKind::StorageFull.into())
    });
    let service = Service::new(|asked| sent(asked, b"new", None, None));
    let tools = world.tools(&service, &faults);
    let (report, recorded) =
        world.apply_with(upload("f", "F.txt"), &tools, &world.settings()).await;
    let Some(Stop::Fatal(failure)) = report.stopped else { panic!("{:?}", report.stopped) };
    assert!(failure.message.contains("no space left"), "{failure:?}");
    assert!(recorded.places[&key("f")].products.is_empty());
    assert!(tools.store.intents().unwrap().is_empty(), "closed as not done");
}
