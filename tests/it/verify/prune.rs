//! `prune`: the rules applied to what is known to be gone, without a walk.

use super::*;

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
