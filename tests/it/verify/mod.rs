//! What looks after a mirror: `verify`, `rebuild`, `prune`.

mod pages;
mod prune;
mod rebuild;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{Mirror, Run, SOURCES, scale, tenant};
use feishu_mirror::faults::{Faults, Op};
use feishu_mirror::sim::{Item, Tenant};
use feishu_mirror::store::{self, Store};

/// Every kind of product: exports, an upload, side folders, symlinks, a `.url` file.
fn a_bit_of_everything(tenant: &Tenant) -> Vec<Item> {
    let root = tenant.root();
    let folder = root.folder("Team");
    let plan = folder.docx("Plan");
    let scan = folder.upload("scan.pdf", b"%PDF-1.4 a scan of something".to_vec());
    let big = folder.upload("big.bin", vec![7; 300_000]);
    let sheet = root.sheet("Budget").tabs(&["Q1", "Q2"]);
    root.shortcut_to(&plan);
    tenant.exports_mindnotes(false);
    root.mindnote("Ideas");
    let space = tenant.space("Handbook");
    let page = space.docx("Intro");
    page.docx("Rules");
    space.docx("Glossary");
    vec![plan, scan, big, sheet, page]
}

fn everything() -> String {
    format!("{SOURCES}\n[export]\nsheet = [\"xlsx\", \"csv\"]\n")
}

async fn synced(tenant: &Tenant) -> Mirror {
    a_bit_of_everything(tenant);
    let mirror = Mirror::with(tenant, &everything());
    mirror.sync().await.success();
    mirror
}

/// `finding path` of each line but the last.
fn findings(run: &Run) -> Vec<String> {
    let events = run.events();
    let findings = events.iter().filter(|event| event["event"] == "finding");
    findings
        .map(|event| format!("{} {}", event["finding"].as_str().unwrap(), path(event)))
        .collect()
}

fn path(event: &Value) -> &str {
    event["path"].as_str().unwrap()
}

/// Changes one byte and nothing else: neither size nor mtime tells.
fn flip(path: &Path, at: usize) {
    let mtime = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
    set_mtime(path, mtime);
}

fn set_mtime(path: &Path, mtime: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(mtime).unwrap();
}

/// Planned changes; the mindnote that the service does not export is skipped each time.
fn changes(run: &Run) -> Vec<String> {
    run.changes().into_iter().filter(|line| !line.starts_with("skip ")).collect()
}

/// All files of the trash, whatever their run.
fn trash(mirror: &Mirror) -> Vec<Vec<u8>> {
    let walk = walkdir::WalkDir::new(mirror.state("trash")).into_iter().filter_map(Result::ok);
    walk.filter(|e| e.file_type().is_file()).map(|e| fs::read(e.path()).unwrap()).collect()
}

/// Calls that fetch content.
fn fetches(tenant: &Tenant) -> usize {
    tenant.calls("POST", "/drive/v1/export_tasks")
        + tenant.calls("GET", "/drive/v1/files/:file_token/download")
}

/// An untouched copy has no finding, with nobody at the other end and without a write.
#[tokio::test(start_paused = true)]
async fn an_untouched_copy_is_right() {
    let tenant = tenant();
    let mut mirror = synced(&tenant).await;
    let kinds = [".docx", ".pdf", ".csv", ".url", "Plan.docx"];
    for kind in kinds {
        assert!(mirror.files().iter().any(|file| file.ends_with(kind)), "{:?}", mirror.files());
    }
    let before = mirror.snapshot();
    mirror.offline = true;
    mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
    tenant.forget_calls();

    for args in [&["verify", "--json", "--strict"][..], &["verify", "--json", "--quick"]] {
        let run = mirror.run(args).await.success();
        assert_eq!(findings(&run), [""; 0]);
        assert_eq!(run.count("checked"), mirror.files().len() as u64);
        assert_eq!(run.count("ok"), run.count("checked"));
    }
    mirror.run(&["verify"]).await.success().says(&["verified:", "right"]);
    assert_eq!(tenant.total_calls(), 0);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
}

/// Each kind of damage is found and named; what is none is no false alarm.
#[tokio::test(start_paused = true)]
async fn every_kind_of_damage_is_found() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    fs::remove_file(mirror.path("drive/Ideas.url")).unwrap();
    fs::write(mirror.path("drive/Team/big.bin"), [7; 1000]).unwrap();
    flip(&mirror.path("drive/Team/scan.pdf"), 12);
    let csv = mirror.files().into_iter().find(|file| file.ends_with("Q2.csv")).unwrap();
    flip(&mirror.path(&csv), 0);
    let link = mirror.path("drive/Plan.docx");
    assert!(link.is_symlink());
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("Budget.xlsx", &link).unwrap();
    fs::remove_file(mirror.path("drive/Budget.xlsx")).unwrap();
    fs::create_dir(mirror.path("drive/Budget.xlsx")).unwrap();
    set_mtime(&mirror.path("wiki/Handbook/Intro.docx"), SystemTime::UNIX_EPOCH);
    fs::write(mirror.path("drive/Team/mine.txt"), "mine").unwrap();
    fs::write(mirror.path("drive/.DS_Store"), "a file manager's").unwrap();

    let run = mirror.run(&["verify", "--json"]).await.exits(3);
    let want = [
        "untracked drive/.DS_Store",
        &format!("altered {csv}"),
        "altered drive/Budget.xlsx",
        "missing drive/Ideas.url",
        "altered drive/Plan.docx",
        "altered drive/Team/big.bin",
        "untracked drive/Team/mine.txt",
        "altered drive/Team/scan.pdf",
    ];
    let mut found = findings(&run);
    let mut wanted: Vec<String> = want.iter().map(ToString::to_string).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    assert_eq!((run.count("touched"), run.count("altered"), run.count("missing")), (1, 5, 1));

    // Quick: what size and mtime tell, and no more.
    let quick = findings(&mirror.run(&["verify", "--json", "--quick"]).await.exits(3));
    assert!(!quick.contains(&"altered drive/Team/scan.pdf".to_owned()), "{quick:?}");
    assert!(quick.contains(&"altered wiki/Handbook/Intro.docx".to_owned()), "{quick:?}");

    // Globs as `ls` has them; people read the same, and what to do.
    let run = mirror.run(&["verify", "--json", "drive/Team/scan*"]).await.exits(3);
    assert_eq!(findings(&run), ["altered drive/Team/scan.pdf"]);
    mirror.run(&["verify", "wiki/**"]).await.success().says(&["sets it back"]);
    let run = mirror.run(&["verify", "drive/Team/*"]).await.exits(3);
    run.says(&["same size, other bytes", "untracked", "verify --repair"]);
    mirror.run(&["verify", "-q", "drive/Team/mine.txt"]).await.success();
    mirror.run(&["verify", "drive/Team/mine.txt", "--strict"]).await.exits(3);
    mirror.run(&["verify", "["]).await.exits(64);
}

/// Flips, cuts and removals at random places: each is found, and nothing else.
#[tokio::test(start_paused = true)]
async fn random_damage_is_found_every_time() {
    let tenant = tenant();
    let root = tenant.root();
    for n in 0..20_u8 {
        root.upload(&format!("{n:02}.bin"), vec![n; 50 + usize::from(n) * 700]);
    }
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let files = mirror.files();
    let mut seed = 88_172_645_463_325_252_u64;
    let mut next = |below: usize| {
        // xorshift64 (Marsaglia 2003): any sequence will do, as long as it repeats.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    for round in 0..scale(100, 10_000) {
        let file = &files[next(files.len())];
        let path = mirror.path(file);
        let (bytes, mtime) =
            (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
        let want = match next(4) {
            0 => {
                fs::remove_file(&path).unwrap();
                format!("missing {file}")
            }
            1 => {
                fs::write(&path, &bytes[..next(bytes.len())]).unwrap();
                set_mtime(&path, mtime);
                format!("altered {file}")
            }
            _ => {
                flip(&path, next(bytes.len()));
                format!("altered {file}")
            }
        };
        let run = mirror.run(&["verify", "--json"]).await.exits(3);
        assert_eq!(findings(&run), [want], "round {round}");
        fs::write(&path, &bytes).unwrap();
        set_mtime(&path, mtime);
    }
    mirror.run(&["verify", "--strict"]).await.success();
}

/// What `--repair` marks is fetched again by the next sync, though neither size nor mtime
/// tells, and what stood there is in the trash.
#[tokio::test(start_paused = true)]
async fn marked_files_are_fetched_again() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let good = mirror.read("drive/Team/scan.pdf");
    flip(&mirror.path("drive/Team/scan.pdf"), 12);
    let csv = mirror.files().into_iter().find(|file| file.ends_with("Q2.csv")).unwrap();
    let table = mirror.read(&csv);
    flip(&mirror.path(&csv), 0);
    let (bad, bad_table) = (mirror.read("drive/Team/scan.pdf"), mirror.read(&csv));
    fs::remove_file(mirror.path("wiki/Handbook/Intro.docx")).unwrap();
    let run = mirror.sync().await.success();
    assert_eq!(changes(&run), ["restore wiki/Handbook/Intro.docx"], "sync alone sees no more");

    let run = mirror.run(&["verify", "--json", "--repair"]).await.exits(3);
    assert_eq!(run.count("marked"), 2);
    let quick = mirror.run(&["verify", "--json", "--quick"]).await.exits(3);
    assert_eq!(quick.count("altered"), 2, "known to be bad, so its bytes are read");
    assert!(trash(&mirror).is_empty(), "verify itself moves nothing");
    let diff = mirror.diff().await.success();
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), diff.changes());
    assert_eq!(changes(&run).len(), 2, "{:?}", run.changes());
    assert_eq!((mirror.read("drive/Team/scan.pdf"), mirror.read(&csv)), (good, table));
    let trash = trash(&mirror);
    assert_eq!(trash.len(), 2, "what was there is kept");
    assert!(trash.contains(&bad) && trash.contains(&bad_table));

    mirror.run(&["verify", "--strict"]).await.success();
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);
}

/// Whoever puts the right bytes back by hand has nothing fetched, and the mark goes.
#[tokio::test(start_paused = true)]
async fn a_mark_goes_when_the_bytes_are_right_again() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let file = mirror.path("drive/Team/scan.pdf");
    flip(&file, 12);
    mirror.run(&["verify", "--repair"]).await.exits(3).says(&["will be fetched again", "trash"]);
    let index = || fs::read_to_string(mirror.state("index.jsonl")).unwrap();
    assert!(index().contains("\"doubtful\":true"));
    flip(&file, 12);

    tenant.forget_calls();
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);
    assert_eq!(fetches(&tenant), 0);
    assert!(!index().contains("doubtful"), "{}", index());
}

/// A file that the disk cannot read is bad, and gives way to a fresh one.
#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_is_replaced() {
    let tenant = tenant();
    let mut mirror = synced(&tenant).await;
    mirror.faults = Faults::when(|op, path| {
        let bad = op == Op::Read && path == "drive/Team/scan.pdf";
        bad.then(|| std::io::Error::other("a bad sector"))
    });
    let run = mirror.run(&["verify", "--json"]).await.exits(3);
    assert_eq!(findings(&run), ["unreadable drive/Team/scan.pdf"]);
    mirror.run(&["verify", "--repair"]).await.exits(3).says(&["a bad sector"]);
    assert_eq!(changes(&mirror.sync().await.success()), ["restore drive/Team/scan.pdf"]);
    assert_eq!(trash(&mirror).len(), 1);
    mirror.faults = Faults::default();
    mirror.run(&["verify", "--strict"]).await.success();
}

/// A bad file of a place that is gone cannot be fetched again, and nobody pretends.
#[tokio::test(start_paused = true)]
async fn what_is_gone_cannot_be_repaired() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mirror = Mirror::with(&tenant, &everything());
    mirror.sync().await.success();
    items[1].delete();
    mirror.sync().await.success();
    flip(&mirror.path("drive/Team/scan.pdf"), 12);

    let run = mirror.run(&["verify", "--json", "--repair"]).await.exits(3);
    assert_eq!((run.count("altered"), run.count("marked")), (1, 0));
    assert_eq!(run.events()[0]["state"], "gone");
    mirror.run(&["verify"]).await.exits(3).says(&["gone", "backup"]);

    items[1].restore();
    mirror.sync().await.success();
    mirror.run(&["verify"]).await.success();
}

/// While a run is at work the index is read; what differs is in flux, and `--repair` does
/// not wait either.
#[tokio::test(start_paused = true)]
async fn a_reader_does_not_wait_for_a_run() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let held = (
        store::lock(&mirror.state("")).unwrap(),
        Store::open(&mirror.state(""), "x", &Faults::default()),
    );
    let run = mirror.run(&["verify", "--json", "--strict"]).await.success();
    assert!(run.summary()["as_of_secs"].is_i64(), "{}", run.out);
    assert_eq!(findings(&run), [""; 0]);

    flip(&mirror.path("drive/Team/scan.pdf"), 12);
    fs::remove_file(mirror.path("drive/Ideas.url")).unwrap();
    fs::write(mirror.path("drive/new.txt"), "just published").unwrap();
    let run = mirror.run(&["verify", "--json", "--strict"]).await.success();
    assert_eq!(
        findings(&run),
        ["in_flux drive/Ideas.url", "in_flux drive/Team/scan.pdf", "in_flux drive/new.txt"]
    );
    mirror.run(&["verify"]).await.success().says(&["in flux", "a run is at work"]);
    mirror.run(&["verify", "--repair"]).await.exits(5);
    mirror.run(&["rebuild"]).await.exits(5);
    mirror.run(&["prune"]).await.exits(5);
    mirror.run(&["prune", "--dry-run"]).await.exits(5);
    drop(held);
    mirror.run(&["verify", "--json"]).await.exits(3);
}

/// A run that begins, or even ends, while files are read makes no false alarm.
#[tokio::test(start_paused = true)]
async fn a_run_in_the_middle_is_no_false_alarm() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mut mirror = Mirror::with(&tenant, &everything());
    mirror.sync().await.success();
    let (manifest, old) = (mirror.state("manifest.redb"), mirror.folder().join("old"));
    fs::copy(&manifest, &old).unwrap();
    items[1].replace(b"%PDF-1.4 another scan altogether".to_vec());
    items[2].rename("bigger.bin");
    tokio::time::advance(Duration::from_secs(60)).await;
    mirror.sync().await.success();

    // As if that run had ended just after verify had read the manifest.
    let new = mirror.folder().join("new");
    fs::copy(&manifest, &new).unwrap();
    fs::copy(&old, &manifest).unwrap();
    mirror.run(&["verify"]).await.exits(3);
    let (from, to, done) = (new.clone(), manifest.clone(), AtomicBool::new(false));
    mirror.faults = Faults::when(move |op, _| {
        if op == Op::Scan && !done.swap(true, Ordering::SeqCst) {
            fs::copy(&from, &to).unwrap();
        }
        None
    });
    let run = mirror.run(&["verify", "--json", "--strict"]).await.success();
    assert_eq!(findings(&run), [""; 0]);

    // As if it were still at work.
    fs::copy(&old, &manifest).unwrap();
    let (state, held) = (mirror.state(""), std::sync::Mutex::new(None));
    mirror.faults = Faults::when(move |op, _| {
        if op == Op::Scan {
            held.lock().unwrap().get_or_insert_with(|| store::lock(&state).unwrap());
        }
        None
    });
    let run = mirror.run(&["verify", "--json", "--strict"]).await.success();
    assert!(findings(&run).iter().all(|line| line.starts_with("in_flux")), "{}", run.out);
    assert!(run.count("in_flux") > 0);
}

/// Ctrl-C ends it, and nothing is marked.
#[tokio::test(start_paused = true)]
async fn an_interrupt_marks_nothing() {
    let tenant = tenant();
    let mut mirror = synced(&tenant).await;
    flip(&mirror.path("drive/Team/scan.pdf"), 12);
    let interrupt = mirror.interrupt.clone();
    mirror.faults = Faults::when(move |op, _| {
        if op == Op::Read {
            interrupt.cancel();
        }
        None
    });
    let run = mirror.run(&["verify", "--json", "--repair"]).await.exits(130);
    assert_eq!((run.count("marked"), &run.summary()["complete"]), (0, &Value::from(false)));
    assert!(!fs::read_to_string(mirror.state("index.jsonl")).unwrap().contains("doubtful"));
    mirror.run(&["rebuild"]).await.exits(130);
}

/// An empty mount point is no copy that lost its files; a first run is still to come.
#[tokio::test(start_paused = true)]
async fn an_unmounted_copy_is_not_a_damaged_one() {
    let tenant = tenant();
    let mirror = Mirror::of(&tenant);
    for command in [&["verify"][..], &["verify", "--repair"], &["prune"]] {
        mirror.run(command).await.success().says(&["nothing is mirrored yet"]);
        assert!(!mirror.path("").exists(), "{command:?} made something");
    }
    mirror.run(&["rebuild"]).await.exits(1).says(&["no mirror", "--init"]);
    assert!(!mirror.path("").exists());
    tenant.root().docx("Page");
    mirror.sync().await.success();
    fs::rename(mirror.path(""), mirror.folder().join("unmounted")).unwrap();
    fs::create_dir(mirror.path("")).unwrap();
    let commands =
        [&["verify"][..], &["verify", "--repair"], &["rebuild"], &["prune"], &["prune", "-n"]];
    for command in commands {
        mirror.run(command).await.exits(1).says(&["mounted"]);
        assert_eq!(fs::read_dir(mirror.path("")).unwrap().count(), 0, "{command:?}");
    }
}
