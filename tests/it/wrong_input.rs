//! Wrong input: a clear message, the right exit code, nothing lost.

use crate::support::{Mirror, SOURCES, tenant};

/// Config mistakes name the file, the line, the key and what is allowed.
#[tokio::test(start_paused = true)]
async fn config_mistakes_say_where_and_what_to_do() {
    let tenant = tenant();
    tenant.root().docx("Page");
    let twice = format!("{SOURCES}\n[[source]]\nname = \"Drive\"\nkind = \"drive\"\n");
    let cases = [
        (format!("{SOURCES}\n[filter]\nexlude = []\n"), ["mirror.toml:", "exlude", "exclude"]),
        (format!("{SOURCES}\n[export]\ndocx = [\"odt\"]\n"), ["mirror.toml:", "odt", "pdf"]),
        (format!("{SOURCES}\n[prune]\ndefault = \"burn\"\n"), ["mirror.toml:", "burn", "trash"]),
        (twice, ["mirror.toml", "Drive", "drive"]),
    ];
    for (config, words) in cases {
        let mirror = Mirror::with(&tenant, &config);
        mirror.run(&["sync"]).await.exits(1).says(&words);
        assert!(!mirror.path("").exists(), "nothing is made");
    }
    let mirror = Mirror::of(&tenant);
    mirror.run(&["sync", "nosuch"]).await.exits(1).says(&["nosuch", "drive", "wiki"]);
    mirror.run(&["snyc"]).await.exits(64).says(&["sync"]);
}

/// No credential, and a wrong one: exit 4 and what to set.
#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_work_exit_4() {
    let tenant = tenant();
    let mut mirror = Mirror::of(&tenant);
    mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
    mirror.run(&["sync"]).await.exits(4).says(&["FEISHU_APP_ID", "FEISHU_USER_ACCESS_TOKEN"]);
    mirror.vars.insert("FEISHU_APP_ID".to_owned(), "cli_demo".to_owned());
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), "wrong".to_owned());
    let run = mirror.run(&["sync"]).await.exits(4).says(&["FEISHU_APP_SECRET"]);
    assert!(!run.err.contains("wrong\""), "{}", run.err);
}

/// An unreachable server is exit 1, and nothing is touched.
#[tokio::test(start_paused = true)]
async fn an_unreachable_server_exits_1() {
    let tenant = tenant();
    tenant.root().docx("Page");
    let mut mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let before = mirror.snapshot();
    mirror.offline = true;
    mirror.run(&["sync"]).await.exits(1).says(&["network"]);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
}

/// A second run at the same time: exit 5, and readers go on reading.
#[tokio::test(start_paused = true)]
async fn a_second_run_exits_5() {
    let tenant = tenant();
    tenant.root().docx("Page");
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let lock = std::fs::File::options().write(true).open(mirror.state("lock")).unwrap();
    lock.try_lock().unwrap();
    mirror.run(&["sync"]).await.exits(5).says(&["another run"]);
    mirror.run(&["ls"]).await.success().says(&["drive/Page.docx"]);
    mirror.run(&["status"]).await.success();
}

/// A disk that is not mounted, a manifest that is lost: nothing is written.
#[tokio::test(start_paused = true)]
async fn an_unmounted_mirror_is_not_filled_again() {
    let tenant = tenant();
    tenant.root().docx("Page");
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();

    let aside = mirror.folder().join("unmounted");
    std::fs::rename(mirror.path(""), &aside).unwrap();
    std::fs::create_dir(mirror.path("")).unwrap();
    mirror.run(&["sync"]).await.exits(1).says(&["--init", "mount"]);
    assert_eq!(std::fs::read_dir(mirror.path("")).unwrap().count(), 0);

    std::fs::remove_dir(mirror.path("")).unwrap();
    std::fs::rename(&aside, mirror.path("")).unwrap();
    mirror.sync().await.success();
    std::fs::remove_file(mirror.state("manifest.redb")).unwrap();
    mirror.run(&["sync"]).await.exits(1).says(&["rebuild", "--init"]);
    let before = mirror.snapshot();
    mirror.run(&["sync", "--json", "--init"]).await.success();
    assert_eq!(mirror.changed_since(&before), [""; 0], "what is there is adopted");
}

/// A stranger's file on a wanted path is never overwritten; `--adopt` trashes it.
#[tokio::test(start_paused = true)]
async fn a_strangers_file_is_not_overwritten() {
    let tenant = tenant();
    tenant.root().upload("Plan.txt", b"theirs".to_vec());
    tenant.root().upload("Same.txt", b"equal".to_vec());
    let mirror = Mirror::of(&tenant);
    std::fs::create_dir_all(mirror.path("drive")).unwrap();
    std::fs::write(mirror.path("drive/Plan.txt"), "mine").unwrap();
    std::fs::write(mirror.path("drive/Same.txt"), "equal").unwrap();

    mirror.sync().await.exits(2).says(&["--adopt"]);
    assert_eq!(mirror.read("drive/Plan.txt"), b"mine");
    mirror.sync().await.exits(2);
    mirror.run(&["sync", "--json", "--adopt"]).await.success();
    assert_eq!(mirror.read("drive/Plan.txt"), b"theirs");
    let kept = walkdir::WalkDir::new(mirror.state("trash")).into_iter().filter_map(Result::ok);
    let kept: Vec<_> = kept.filter(|e| e.file_type().is_file()).collect();
    assert_eq!(std::fs::read(kept[0].path()).unwrap(), b"mine");
}

/// A full disk stops the run with what is done kept; a folder that cannot be written
/// costs only what belongs there.
#[tokio::test(start_paused = true)]
async fn a_full_disk_and_a_read_only_folder() {
    use feishu_mirror::faults::{Faults, Op};
    use std::io;
    let tenant = tenant();
    let root = tenant.root();
    for n in 0..5 {
        root.upload(&format!("{n}.txt"), vec![b'x'; 100]);
    }
    let locked = root.folder("locked");
    locked.upload("in.txt", b"in".to_vec());

    let mut mirror = Mirror::of(&tenant);
    let writes = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = writes.clone();
    mirror.faults = Faults::when(move |op, _| {
        let nth = || counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        (op == Op::Write && nth() >= 3).then(|| io::Error::from_raw_os_error(28))
    });
    mirror.sync().await.exits(1);
    mirror.run(&["sync"]).await.exits(1).says(&["space"]);
    assert!(writes.load(std::sync::atomic::Ordering::SeqCst) > 0);
    for file in mirror.files() {
        assert!(!mirror.read(&file).is_empty(), "{file} is whole");
    }

    mirror.faults = Faults::when(|op, path| {
        (op == Op::Publish && path.starts_with("drive/locked/"))
            .then(|| io::Error::from_raw_os_error(13))
    });
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.failures().len(), 1);
    assert_eq!(mirror.files().len(), 5);
    mirror.faults = Faults::default();
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 6);
}

/// `init` writes the example, never over something, and `sync` works with it as it is
/// but for the domain.
#[tokio::test(start_paused = true)]
async fn init_then_sync_works_with_nothing_edited_but_the_domain() {
    let tenant = tenant();
    tenant.root().docx("Page");
    tenant.space("Handbook").docx("Intro");
    let mirror = Mirror::of(&tenant);
    std::fs::remove_file(mirror.folder().join("mirror.toml")).unwrap();
    mirror.run(&["sync"]).await.exits(1).says(&["feishu-mirror init"]);
    mirror.run(&["init"]).await.success();
    let text = std::fs::read_to_string(mirror.folder().join("mirror.toml")).unwrap();
    assert_eq!(text, include_str!("../../mirror.example.toml"));
    mirror.run(&["init"]).await.exits(1);

    let domain = "domain = { open = \"http://127.0.0.1:9\", accounts = \"http://127.0.0.1:9\" }";
    let edited: Vec<&str> = text
        .lines()
        .map(|line| {
            let bare = line.trim_start_matches(['#', ' ']);
            if bare.starts_with("domain = \"feishu\"") { domain } else { line }
        })
        .collect();
    assert!(edited.contains(&domain), "the example names the domain");
    std::fs::write(mirror.folder().join("mirror.toml"), edited.join("\n")).unwrap();
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["drive/Page.docx", "wiki/Handbook/Intro.docx"]);
}

/// Ctrl-C: 130, and the next run goes on.
#[tokio::test(start_paused = true)]
async fn an_interrupt_exits_130_and_the_next_run_goes_on() {
    let tenant = tenant();
    for n in 0..30 {
        tenant.root().docx(&format!("Page {n}"));
    }
    let mut mirror = Mirror::of(&tenant);
    let interrupt = mirror.interrupt.clone();
    let press = feishu_mirror::sim::Effect::run(move || interrupt.cancel());
    tenant.fault(feishu_mirror::sim::Fault::new("POST", "/drive/v1/export_tasks", press).nth(10));
    let run = mirror.sync().await.exits(130);
    assert_eq!(run.count("exit_code"), 130);
    let done = mirror.files().len();
    assert!(done < 30);
    mirror.interrupt = tokio_util::sync::CancellationToken::new();
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 30);
    assert!(tenant.calls("POST", "/drive/v1/export_tasks") <= 30 - done, "nothing twice");
}

/// A file that somebody saves at the very moment of publishing is not replaced.
#[tokio::test(start_paused = true)]
async fn a_file_saved_at_the_moment_of_publishing_stays() {
    use feishu_mirror::faults::{Faults, Op};
    let tenant = tenant();
    tenant.root().upload("Plan.txt", b"theirs".to_vec());
    let mut mirror = Mirror::of(&tenant);
    let path = mirror.path("drive/Plan.txt");
    mirror.faults = Faults::when(move |op, at| {
        if op == Op::Publish && at == "drive/Plan.txt" {
            std::fs::write(&path, "mine").unwrap();
        }
        None
    });
    mirror.sync().await.exits(2).says(&["--adopt"]);
    assert_eq!(mirror.read("drive/Plan.txt"), b"mine");
}
