//! What looks after a mirror: `verify`, `rebuild`, `prune`.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{Mirror, Run, SOURCES, scale, tenant};
use feishu_mirror::disk::{Faults, Op};
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
    let held = (store::lock(&mirror.state("")).unwrap(), Store::open(&mirror.state(""), "x"));
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

/// Removed, garbage, cut short, of an old backup, of somebody else: the manifest is made
/// again, the old one is kept, and an unchanged tenant fetches nothing.
#[tokio::test(start_paused = true)]
async fn a_lost_manifest_is_made_again() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mirror = Mirror::with(&tenant, &everything());
    mirror.sync().await.success();
    let manifest = mirror.state("manifest.redb");
    let older = fs::read(&manifest).unwrap();
    items[1].replace(b"%PDF-1.4 another scan altogether".to_vec());
    tenant.root().docx("Later");
    tokio::time::advance(Duration::from_secs(60)).await;
    mirror.sync().await.success();
    let whole = fs::read(&manifest).unwrap();
    let marker = fs::read(mirror.state("root.json")).unwrap();
    let stranger = {
        let state = tempfile::tempdir().unwrap();
        drop(Store::open(state.path(), "somebody-else").unwrap());
        fs::read(state.path().join("manifest.redb")).unwrap()
    };
    let away = mirror.folder().join("away");
    fs::rename(&manifest, &away).unwrap();
    for command in ["sync", "verify", "ls"] {
        mirror.run(&[command]).await.exits(1).says(&["feishu-mirror rebuild", "--init"]);
    }
    fs::rename(&away, &manifest).unwrap();
    let rows = mirror.run(&["ls", "--json"]).await.success().out;
    let before = mirror.snapshot();

    let kills: [(&str, Option<&[u8]>); 5] = [
        ("removed", None),
        ("garbage", Some(b"not a database at all, but some text")),
        ("cut short", Some(&whole[..whole.len() / 2])),
        ("older", Some(&older)),
        ("somebody else's", Some(&stranger)),
    ];
    for (how, bytes) in kills {
        fs::remove_file(&manifest).unwrap();
        if let Some(bytes) = bytes {
            fs::write(&manifest, bytes).unwrap();
        }
        if how != "older" {
            mirror.run(&["sync"]).await.exits(1);
            mirror.run(&["verify"]).await.exits(1);
        }
        let run = mirror.run(&["rebuild", "--json"]).await.success();
        assert_eq!(run.summary()["rebuilt"], true, "{how}: {}", run.out);
        assert_eq!(run.count("adopted"), mirror.files().len() as u64, "{how}");
        if let Some(bytes) = bytes {
            let kept = run.summary()["aside"].as_str().unwrap().to_owned();
            assert_eq!(fs::read(kept).unwrap(), bytes, "{how}: put aside, not deleted");
        }
        assert_eq!(fs::read(mirror.state("root.json")).unwrap(), marker, "{how}");
        assert_eq!(mirror.run(&["ls", "--json"]).await.success().out, rows, "{how}");
        tenant.forget_calls();
        assert_eq!(changes(&mirror.sync().await.success()), [""; 0], "{how}");
        assert_eq!(fetches(&tenant), 0, "{how}");
        assert_eq!(mirror.changed_since(&before), [""; 0], "{how}");
    }
    mirror.run(&["rebuild"]).await.success().says(&["sound", "nothing was changed"]);
}

/// What is missing or differs is left to the next sync; what differs goes to the trash.
#[tokio::test(start_paused = true)]
async fn a_rebuilt_manifest_vouches_only_for_what_matches() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let before = mirror.snapshot();
    fs::remove_file(mirror.state("manifest.redb")).unwrap();
    let good = mirror.read("drive/Team/scan.pdf");
    flip(&mirror.path("drive/Team/scan.pdf"), 12);
    let bad = mirror.read("drive/Team/scan.pdf");
    fs::remove_file(mirror.path("wiki/Handbook/Intro.docx")).unwrap();
    fs::write(mirror.path("drive/Team/mine.txt"), "mine").unwrap();

    let run = mirror.run(&["rebuild", "--json"]).await.success();
    assert_eq!((run.count("missing"), run.count("altered"), run.count("untracked")), (1, 1, 1));
    let run = mirror.sync().await.success();
    let want = ["restore drive/Team/scan.pdf", "restore wiki/Handbook/Intro.docx"];
    assert_eq!(changes(&run), want);
    assert_eq!(mirror.read("drive/Team/scan.pdf"), good);
    assert_eq!(trash(&mirror), [bad]);
    let changed = mirror.changed_since(&before);
    assert_eq!(changed, ["drive/Team/mine.txt", "drive/Team/scan.pdf", "wiki/Handbook/Intro.docx"]);
}

/// Damaged lines are skipped and counted, and the rest is worth as much as before.
#[tokio::test(start_paused = true)]
async fn a_damaged_index_gives_what_it_can() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let before = mirror.snapshot();
    let index = mirror.state("index.jsonl");
    let text = fs::read_to_string(&index).unwrap();
    let team = text.lines().position(|line| line.contains("\"title\":\"Team\"")).unwrap();
    let mut lines: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    lines[team] = b"\xff\xfe{not a line".to_vec();
    let damaged = [lines.join(&b'\n'), b"\n".to_vec()].concat();
    fs::write(&index, &damaged).unwrap();
    fs::remove_file(mirror.state("manifest.redb")).unwrap();

    let run = mirror.run(&["rebuild", "--json"]).await.success();
    run.summary();
    assert_eq!(run.count("lost_lines"), 1);
    assert_eq!(run.count("adopted"), mirror.files().len() as u64, "each line says where");
    let kept = fs::read_dir(mirror.state("")).unwrap().map(|entry| entry.unwrap().path());
    let kept =
        kept.filter(|path| path.to_str().unwrap().contains("index.jsonl.2")).collect::<Vec<_>>();
    assert_eq!(fs::read(&kept[0]).unwrap(), damaged, "put aside");
    mirror.run(&["verify", "--strict"]).await.success();
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(fetches(&tenant), 0, "a folder's line alone costs nothing");
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);

    // Every line in turn, the first one too: nothing that matched is fetched but what the
    // line itself was about.
    let text = fs::read_to_string(&index).unwrap();
    for n in 0..text.lines().count() {
        let mut lines: Vec<&str> = text.lines().collect();
        lines[n] = "{\"half\":";
        fs::write(&index, lines.join("\n") + "\n").unwrap();
        fs::remove_file(mirror.state("manifest.redb")).unwrap();
        let run = mirror.run(&["rebuild", "--json"]).await.success();
        assert_eq!(run.count("lost_lines"), 1, "line {n}");
        tenant.forget_calls();
        mirror.sync().await.success();
        assert!(fetches(&tenant) <= 3, "line {n}: {:?}", tenant.call_log());
        assert_eq!(mirror.changed_since(&before), [""; 0], "line {n}");
        assert_eq!(changes(&mirror.sync().await.success()), [""; 0], "line {n}");
    }
}

/// Without an index, or with nothing but garbage, it says so, and `sync --init` goes on.
#[tokio::test(start_paused = true)]
async fn without_an_index_nothing_is_made_up() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let before = mirror.snapshot();
    let index = mirror.state("index.jsonl");
    fs::write(mirror.state("manifest.redb"), "garbage").unwrap();
    let foreign =
        fs::read_to_string(&index).unwrap().replacen("\"mirror_id\":\"", "\"mirror_id\":\"x", 1);
    fs::write(&index, foreign).unwrap();
    mirror.run(&["rebuild"]).await.exits(1).says(&["another mirror"]);
    fs::write(&index, "{\"index_version\":99}\n").unwrap();
    mirror.run(&["rebuild"]).await.exits(1).says(&["newer program"]);
    fs::write(&index, "all\nof\nit\n").unwrap();
    mirror.run(&["rebuild"]).await.exits(1).says(&["not one line", "--init"]);
    fs::remove_file(&index).unwrap();
    mirror.run(&["rebuild"]).await.exits(1).says(&["no index", "feishu-mirror sync --init"]);
    assert_eq!(fs::read(mirror.state("manifest.redb")).unwrap(), b"garbage");

    mirror.run(&["sync"]).await.exits(1).says(&["rebuild"]);
    mirror.run(&["diff", "--init"]).await.success();
    mirror.run(&["sync", "--init"]).await.success();
    assert_eq!(mirror.changed_since(&before), [""; 0], "what is there is adopted");
    mirror.run(&["verify", "--strict"]).await.success();
}

/// Whose mirror it is comes back too: another identity is refused as before.
#[tokio::test(start_paused = true)]
async fn a_rebuilt_manifest_knows_whose_it_is() {
    let tenant = tenant();
    tenant.root().docx("Page");
    let mut mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    fs::remove_file(mirror.state("manifest.redb")).unwrap();
    mirror.run(&["rebuild"]).await.success();

    tenant.add_user("Somebody Else", "u-another-token");
    let own = mirror.vars.insert("FEISHU_USER_ACCESS_TOKEN".into(), "u-another-token".into());
    mirror.sync().await.exits(1).says(&["another identity", "--accept-identity-change"]);
    mirror.vars.insert("FEISHU_USER_ACCESS_TOKEN".into(), own.unwrap());
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);

    // An index of an older program has no account, and does as well.
    let index = mirror.state("index.jsonl");
    let text = fs::read_to_string(&index).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let mut header: Value = serde_json::from_str(first).unwrap();
    assert!(header.as_object_mut().unwrap().remove("account").is_some(), "{first}");
    fs::write(&index, format!("{header}\n{rest}")).unwrap();
    fs::remove_file(mirror.state("manifest.redb")).unwrap();
    mirror.run(&["rebuild"]).await.success();
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);
}

/// A new rule is applied to what is known to be gone, without one call.
#[tokio::test(start_paused = true)]
async fn prune_removes_what_is_known_to_be_gone() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mut mirror = Mirror::with(&tenant, &everything());
    mirror.sync().await.success();
    items[1].delete();
    items[4].delete();
    mirror.sync().await.success();
    assert!(mirror.path("drive/Team/scan.pdf").exists(), "the rule is keep");
    mirror.run(&["prune"]).await.success().says(&["nothing to prune", "kept"]);
    let scan = mirror.read("drive/Team/scan.pdf");
    fs::write(mirror.path("wiki/Handbook/Intro/mine.txt"), "mine").unwrap();
    mirror.configure(&format!("{}\n[prune]\ndefault = \"trash\"\n", everything()));
    mirror.offline = true;
    tenant.forget_calls();
    let before = mirror.snapshot();

    let dry = mirror.run(&["prune", "--dry-run", "--json"]).await.success();
    let gone = [
        "prune drive/Team/scan.pdf",
        "prune wiki/Handbook/Intro.docx",
        "prune wiki/Handbook/Intro/Rules.docx",
    ];
    for line in gone {
        assert!(dry.changes().contains(&line.to_owned()), "{:?}", dry.changes());
    }
    assert_eq!(dry.summary()["command"], "prune");
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    mirror.run(&["prune", "-n"]).await.success().says(&["P drive/Team/scan.pdf", "would be"]);

    let run = mirror.run(&["prune", "--json"]).await.success();
    assert_eq!(run.changes(), dry.changes());
    assert_eq!(tenant.total_calls(), 0);
    assert!(trash(&mirror).contains(&scan));
    assert!(!mirror.path("drive/Team/scan.pdf").exists());
    assert_eq!(mirror.read("wiki/Handbook/Intro/mine.txt"), b"mine", "a stranger's file stays");
    mirror.run(&["verify"]).await.success();
    mirror.run(&["prune"]).await.success().says(&["nothing to prune"]);
    mirror.offline = false;
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);
}

/// A guard that refused is overridden by whoever looked, without another walk.
#[tokio::test(start_paused = true)]
async fn prune_keeps_the_guards() {
    let tenant = tenant();
    let root = tenant.root();
    let items: Vec<_> =
        (0..20).map(|n| root.upload(&format!("{n:02}.txt"), vec![b'a' + n])).collect();
    tenant.space("Handbook").docx("Intro");
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();
    for item in &items[..8] {
        item.delete();
    }
    mirror.sync().await.exits(6);

    mirror.run(&["prune", "--dry-run"]).await.exits(6).says(&["--max-delete 8"]);
    mirror.run(&["prune"]).await.exits(6).says(&["--max-delete 8"]);
    assert_eq!(mirror.files().len(), 21);
    mirror.run(&["prune", "--max-delete", "8"]).await.success();
    assert_eq!(mirror.files().len(), 13);
    assert_eq!(trash(&mirror).len(), 8);

    // The trash is emptied in time, here too.
    tokio::time::advance(Duration::from_secs(31 * 86_400)).await;
    mirror.run(&["prune"]).await.success();
    assert_eq!(trash(&mirror).len(), 0);
}

/// A shortcut leads to a kept copy for as long as that is there, and not longer.
#[tokio::test(start_paused = true)]
async fn prune_leaves_no_dangling_link() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mirror = Mirror::with(&tenant, &everything());
    mirror.sync().await.success();
    items[0].delete();
    mirror.sync().await.success();
    assert!(mirror.path("drive/Plan.docx").is_symlink());

    mirror.configure(&format!("{}\n[prune]\ndefault = \"trash\"\n", everything()));
    let run = mirror.run(&["prune", "--json"]).await.success();
    assert_eq!(run.changes(), ["prune drive/Plan.docx", "prune drive/Team/Plan.docx"]);
    assert!(!mirror.path("drive/Plan.docx").is_symlink());
    mirror.run(&["verify", "--strict"]).await.success();
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);
}

/// `delete` waits for two full walks in a row, and a locally altered file is kept.
#[tokio::test(start_paused = true)]
async fn prune_deletes_only_after_two_walks() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mirror =
        Mirror::with(&tenant, &format!("{}\n[prune]\ndefault = \"delete\"\n", everything()));
    mirror.sync().await.success();
    items[1].delete();
    items[2].delete();
    let no_prune = ["sync", "--json", "--no-prune"];
    mirror.run(&no_prune).await.success();
    mirror.run(&["prune"]).await.success().says(&["second full walk"]);
    assert!(mirror.path("drive/Team/scan.pdf").exists());
    mirror.run(&no_prune).await.success();
    flip(&mirror.path("drive/Team/big.bin"), 9);
    let altered = mirror.read("drive/Team/big.bin");
    mirror.run(&["prune"]).await.success();
    assert!(!mirror.path("drive/Team/scan.pdf").exists());
    assert_eq!(trash(&mirror), [altered]);
}

/// A source that left the config keeps its copy.
#[tokio::test(start_paused = true)]
async fn prune_leaves_orphans() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mirror = Mirror::with(&tenant, &everything());
    mirror.sync().await.success();
    items[1].delete();
    mirror.sync().await.success();
    mirror
        .configure("[prune]\ndefault = \"trash\"\n[[source]]\nname = \"wiki\"\nkind = \"wiki\"\n");
    let before = mirror.snapshot();
    mirror.run(&["prune"]).await.success().says(&["nothing to prune"]);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
}

/// A log of the run says what was pruned, as for sync.
#[tokio::test(start_paused = true)]
async fn prune_leaves_a_log() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mirror = Mirror::with(&tenant, &everything());
    mirror.sync().await.success();
    items[1].delete();
    mirror.sync().await.success();
    mirror.configure(&format!("{}\n[prune]\ndefault = \"trash\"\n", everything()));
    tokio::time::advance(Duration::from_secs(5)).await;
    let run = mirror.run(&["prune", "--json"]).await.success();
    let id = run.summary()["run_id"].as_str().unwrap().to_owned();
    let log = fs::read_to_string(mirror.state(&format!("runs/{id}.jsonl"))).unwrap();
    assert!(log.contains("scan.pdf") && log.contains("\"command\":\"prune\""), "{log}");
    mirror.run(&["status"]).await.success().says(&["1 pruned"]);
}
