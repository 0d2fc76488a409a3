//! What is gone, hidden or forbidden; and that nothing is ever deleted on doubt.

use std::time::Duration;

use crate::support::{Mirror, SOURCES, tenant};
use feishu_mirror::sim::{Effect, Fault};

/// A forbidden place is reported with what to do; the rest is mirrored.
#[tokio::test(start_paused = true)]
async fn a_forbidden_document_does_not_stop_the_others() {
    let tenant = tenant();
    let root = tenant.root();
    let secret = root.docx("Secret");
    root.docx("Open");
    secret.forbid();
    let mirror = Mirror::of(&tenant);

    let run = mirror.sync().await.exits(2);
    assert_eq!(mirror.files(), ["drive/Open.docx"]);
    let failed = run.failures();
    assert_eq!(failed[0]["path"], "drive/Secret.docx");
    assert!(failed[0]["error"]["hint"].as_str().unwrap().contains("share"), "{failed:?}");

    tenant.forget_calls();
    mirror.sync().await.exits(2);
    assert_eq!(tenant.calls("POST", "/drive/v1/export_tasks"), 0, "not asked again so soon");
    mirror.configure(&format!("{SOURCES}\n[filter]\nallow_forbidden = true\n"));
    mirror.sync().await.success();
    mirror.configure(SOURCES);
    secret.allow();
    mirror.run(&["sync", "--json", "--retry-failed"]).await.success();
    assert_eq!(mirror.files(), ["drive/Open.docx", "drive/Secret.docx"]);
}

/// A folder that may not be listed any more hides what is below it.
#[tokio::test(start_paused = true)]
async fn a_folder_out_of_sight_keeps_its_copy() {
    let tenant = tenant();
    let root = tenant.root();
    let folder = root.folder("Team");
    folder.docx("Plan");
    root.docx("Other");
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[prune]\ndefault = \"delete\"\n"));
    mirror.sync().await.success();

    folder.forbid();
    for _ in 0..3 {
        mirror.sync().await.exits(2);
        tokio::time::advance(Duration::from_secs(3600)).await;
    }
    assert_eq!(mirror.files(), ["drive/Other.docx", "drive/Team/Plan.docx"]);
    let hidden = mirror.run(&["ls", "--hidden"]).await.success();
    assert!(hidden.out.contains("drive/Team/Plan.docx"), "{}", hidden.out);
}

/// A listing that fails in the middle deletes nothing, whatever the rules.
#[tokio::test(start_paused = true)]
async fn a_failed_listing_never_deletes() {
    let tenant = tenant();
    let root = tenant.root();
    let folder = root.folder("Team");
    let plan = folder.docx("Plan");
    root.docx("Other");
    let config = format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n[limits]\nretries = 1\n");
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();

    plan.delete();
    let broken = Fault::new("GET", "/drive/v1/files", Effect::status(500, 1_061_001));
    tenant.fault(broken.containing(folder.token()));
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.count("pruned"), 0);
    assert_eq!(mirror.files(), ["drive/Other.docx", "drive/Team/Plan.docx"]);

    tenant.calm();
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), ["prune drive/Team/Plan.docx"]);
    assert_eq!(mirror.files(), ["drive/Other.docx"]);
}

/// An empty listing where the copy knows files trips the guard: exit 6, nothing deleted.
#[tokio::test(start_paused = true)]
async fn an_empty_listing_exits_6() {
    let tenant = tenant();
    let root = tenant.root();
    let one = root.docx("One");
    root.docx("Two");
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();
    let before = mirror.snapshot();

    tenant.fault(Fault::new("GET", "/drive/v1/files", Effect::EmptyListing));
    mirror.sync().await.exits(6).says(&["--max-delete 100%"]);
    assert_eq!(mirror.changed_since(&before), [""; 0]);

    tenant.calm();
    one.delete();
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["drive/Two.docx"]);
}

/// A plan that would delete too much is refused whole.
#[tokio::test(start_paused = true)]
async fn a_mass_deletion_is_refused_whole() {
    let tenant = tenant();
    let items: Vec<_> =
        (0..20).map(|n| tenant.root().upload(&format!("{n:02}.txt"), vec![b'a' + n])).collect();
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();
    for item in &items[..8] {
        item.delete();
    }

    mirror.sync().await.exits(6).says(&["--max-delete 8"]);
    assert_eq!(mirror.files().len(), 20);
    mirror.run(&["sync", "--json", "--max-delete", "8"]).await.success();
    assert_eq!(mirror.files().len(), 12);
}

/// Deleted and made anew under one title, with `keep`: both are there, and the live
/// one has the plain name.
#[tokio::test(start_paused = true)]
async fn the_live_one_has_the_plain_name() {
    let tenant = tenant();
    let root = tenant.root();
    let old = root.upload("Plan.txt", b"old".to_vec());
    root.upload("Other.txt", b"other".to_vec());
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();

    old.delete();
    root.upload("Plan.txt", b"new".to_vec());
    mirror.sync().await.success();

    assert_eq!(mirror.read("drive/Plan.txt"), b"new");
    let aside: Vec<String> =
        mirror.files().into_iter().filter(|path| path.contains("~gone-")).collect();
    assert_eq!(aside.len(), 1, "{:?}", mirror.files());
    assert_eq!(mirror.read(&aside[0]), b"old");
    let gone = mirror.run(&["ls", "--gone"]).await.success();
    assert!(gone.out.contains("~gone-"), "{}", gone.out);

    old.restore();
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 3);
    assert!(!mirror.files().iter().any(|path| path.contains("~gone-")), "{:?}", mirror.files());
}

/// A stranger in a pruned folder stays, and so does its folder.
#[tokio::test(start_paused = true)]
async fn strangers_are_never_deleted() {
    let tenant = tenant();
    let root = tenant.root();
    let folder = root.folder("Team");
    let plan = folder.docx("Plan");
    root.docx("Other");
    root.docx("Another");
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();
    std::fs::write(mirror.path("drive/Team/mine.txt"), "mine").unwrap();

    folder.delete();
    drop(plan);
    mirror.sync().await.success();
    assert_eq!(mirror.read("drive/Team/mine.txt"), b"mine");
    assert!(!mirror.path("drive/Team/Plan.docx").exists());
}

/// A document moved from Drive into a wiki, and a folder into another source: renames.
#[tokio::test(start_paused = true)]
async fn a_move_across_sources_fetches_nothing() {
    let tenant = tenant();
    let root = tenant.root();
    let (one, two) = (root.folder("One"), root.folder("Two"));
    let team = one.folder("Team");
    team.upload("a.txt", b"a".to_vec());
    one.upload("stays.txt", b"s".to_vec());
    two.upload("b.txt", b"b".to_vec());
    let config = format!(
        "[[source]]\nname = \"one\"\nkind = \"drive\"\nfolder = \"{}\"\n\
         [[source]]\nname = \"two\"\nkind = \"drive\"\nfolder = \"{}\"\n",
        one.token(),
        two.token()
    );
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();

    team.move_to(&two);
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), ["move one/Team -> two/Team"]);
    assert_eq!(tenant.calls("GET", "/drive/v1/files/:file_token/download"), 0);
    assert_eq!(mirror.files(), ["one/stays.txt", "two/Team/a.txt", "two/b.txt"]);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}
