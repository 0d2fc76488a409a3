//! Links between pages stay right whatever moves, and nothing is fetched for it.

use std::time::Duration;

use crate::support::{Mirror, Run, scale, tenant};
use feishu_mirror::sim::{Effect, Fault, Tenant};

const DRIVE: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n[export]\ndocx = [\"md\"]\n";
const BLOCKS: &str = "/docx/v1/documents/:document_id/blocks";
const DOCUMENT: &str = "/docx/v1/documents/:document_id";

async fn a_minute_later() {
    tokio::time::advance(Duration::from_secs(60)).await;
}

/// Calls besides listings.
fn content_calls(tenant: &Tenant) -> Vec<String> {
    let listing = |path: &str| {
        ["/drive/v1/files", "/drive/explorer/v2/root_folder/meta", "/wiki/v2/spaces"]
            .contains(&path)
            || path.starts_with("/wiki/v2/spaces/")
            || path.contains("/auth/")
    };
    let calls = tenant.call_log().into_iter();
    let calls = calls.map(|call| call.pattern.trim_start_matches("/open-apis").to_owned());
    calls.filter(|path| !listing(path)).collect()
}

fn text(mirror: &Mirror, path: &str) -> String {
    String::from_utf8(mirror.read(path)).unwrap()
}

/// `diff` says beforehand what `sync` then does.
async fn sync_as_foretold(mirror: &Mirror) -> Run {
    let foretold = mirror.diff().await.success().changes();
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), foretold);
    run
}

/// A page moves, then gets another name. All that link to it follow, and only the page
/// itself is read again, once its title is another one.
#[tokio::test(start_paused = true)]
async fn long_a_page_moves_and_all_links_follow() {
    let tenant = tenant();
    let pages = scale(30, 200);
    let root = tenant.root();
    let archive = root.folder("Archive & old");
    let other = root.docx("Other").text("stays");
    let target = root.docx("Plan").mention_doc(&other);
    for n in 0..pages {
        root.docx(&format!("Page {n}")).paragraph("See:").mention_doc(&target);
    }
    let mirror = Mirror::with(&tenant, DRIVE);
    mirror.sync().await.success();
    assert!(text(&mirror, "drive/Page 7.md").contains("[Plan](Plan.md)"));
    assert!(text(&mirror, "drive/Plan.md").contains("[Other](Other.md)"));
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);

    a_minute_later().await;
    target.move_to(&archive);
    tenant.forget_calls();
    let run = sync_as_foretold(&mirror).await;
    assert_eq!(content_calls(&tenant), [""; 0]);
    // The page moves, and since its own link leads elsewhere now it is written again too.
    assert_eq!(run.changes().len(), pages + 2, "{:?}", run.changes());
    for n in 0..pages {
        let page = text(&mirror, &format!("drive/Page {n}.md"));
        assert!(page.contains("[Plan](Archive%20%26%20old/Plan.md)"), "{page}");
    }
    let moved = text(&mirror, "drive/Archive & old/Plan.md");
    assert!(moved.contains("[Other](../Other.md)"), "{moved}");
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);

    a_minute_later().await;
    target.rename("计划 (2024)");
    tenant.forget_calls();
    sync_as_foretold(&mirror).await;
    let page = text(&mirror, "drive/Page 3.md");
    assert!(page.contains("[计划 (2024)]("), "{page}");
    let calls = content_calls(&tenant);
    // `diff` and `sync` ask the revision, and the page names its owner.
    assert_eq!(calls, [DOCUMENT, DOCUMENT, BLOCKS, "/contact/v3/users/batch"]);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// What rsync's quick check sees: a link repaired by as many bytes as before makes the file
/// one second younger, and a file that did not change is not touched.
#[tokio::test(start_paused = true)]
async fn a_repaired_link_shows_in_size_or_time() {
    let tenant = tenant();
    let root = tenant.root();
    let (one, two) = (root.folder("One"), root.folder("Two"));
    let target = one.docx("Target").text("here");
    let page = root.docx("Page").mention_doc(&target);
    root.docx("Bystander").text("nothing to do with it");
    let mirror = Mirror::with(&tenant, DRIVE);
    mirror.sync().await.success();
    let mtime = |path: &str| {
        let meta = std::fs::metadata(mirror.path(path)).unwrap();
        let since = meta.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(since.as_secs()).unwrap()
    };
    assert_eq!(mtime("drive/Page.md"), page.edit_time());
    let before = mirror.snapshot();
    a_minute_later().await;
    target.move_to(&two);
    sync_as_foretold(&mirror).await;
    assert!(text(&mirror, "drive/Page.md").contains("(Two/Target.md)"));
    assert_eq!(mtime("drive/Page.md"), page.edit_time() + 1);
    let changed = mirror.changed_since(&before);
    assert!(!changed.iter().any(|path| path.contains("Bystander")), "{changed:?}");

    a_minute_later().await;
    target.move_to(&root.folder("A longer name"));
    mirror.sync().await.success();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// Links to what is not mirrored lead to the service; once it is, to the copy; once it is
/// gone, to the service again.
#[tokio::test(start_paused = true)]
async fn a_link_leads_to_the_copy_while_there_is_one() {
    let tenant = tenant();
    let root = tenant.root();
    let late = root.folder("Late");
    let target = late.docx("Target").text("hello");
    root.docx("Page").mention_doc(&target);
    let without = format!("{DRIVE}[filter]\nexclude = [\"drive/Late/**\"]\n");
    let mirror = Mirror::with(&tenant, &without);
    mirror.sync().await.success();
    let page = || text(&mirror, "drive/Page.md");
    assert!(page().contains("[Target](https://"), "{}", page());

    mirror.configure(&format!("{DRIVE}[prune]\ndefault = \"trash\"\n"));
    sync_as_foretold(&mirror).await;
    assert!(page().contains("[Target](Late/Target.md)"), "{}", page());
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);

    a_minute_later().await;
    target.delete();
    sync_as_foretold(&mirror).await;
    assert!(page().contains("[Target](https://"), "{}", page());
    assert!(!mirror.path("drive/Late/Target.md").exists());
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// A linked page that fails does not leave a link to nowhere, and the link leads to the
/// copy as soon as there is one.
#[tokio::test(start_paused = true)]
async fn no_link_leads_to_a_page_that_failed() {
    let tenant = tenant();
    let root = tenant.root();
    let target = root.docx("Target").text("hello");
    root.docx("Page").mention_doc(&target);
    target.forbid();
    let mirror = Mirror::with(&tenant, DRIVE);
    mirror.sync().await.exits(2);
    let page = || text(&mirror, "drive/Page.md");
    assert!(page().contains("[Target](https://"), "{}", page());
    assert_eq!(mirror.sync().await.exits(2).count("updated"), 0);
    target.allow();
    mirror.run(&["sync", "--json", "--retry-failed"]).await.success();
    assert!(page().contains("[Target](Target.md)"), "{}", page());
}

/// A page at two places is fetched once; each has links from where it stands.
#[tokio::test(start_paused = true)]
async fn a_page_at_two_places_is_fetched_once() {
    let tenant = tenant();
    let root = tenant.root();
    let other = root.docx("Other").text("x");
    let page = root.docx("Page").mention_doc(&other);
    page.picture("p.png", &b"\x89PNG\r\n\x1a\n-picture"[..], None);
    root.folder("Deep").folder("Down").shortcut_to(&page);
    let config = DRIVE.replace("docx = [\"md\"]", "docx = [\"md\"]\nshortcut = \"copy\"");
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    assert!(text(&mirror, "drive/Page.md").contains("[Other](Other.md)"));
    let copy = text(&mirror, "drive/Deep/Down/Page.md");
    assert!(copy.contains("[Other](../../Other.md)"), "{copy}");
    assert!(copy.contains("](Page.assets/"), "{copy}");
    assert_eq!(tenant.calls("GET", BLOCKS), 2, "one a document");
    assert_eq!(tenant.calls("GET", "/drive/v1/medias/:file_token/download"), 1);
    let files = mirror.files();
    assert_eq!(files.iter().filter(|path| path.contains("Page.assets/")).count(), 2, "{files:?}");

    // A third place later: from what is there.
    root.folder("New").shortcut_to(&page);
    tenant.forget_calls();
    mirror.sync().await.success();
    assert!(text(&mirror, "drive/New/Page.md").contains("[Other](../Other.md)"));
    assert_eq!(tenant.calls("GET", BLOCKS), 0);
    assert_eq!(tenant.calls("GET", "/drive/v1/medias/:file_token/download"), 0);
}

/// A damaged page, a lost picture and a lost state folder come back, each at its price.
#[tokio::test(start_paused = true)]
async fn what_is_damaged_comes_back() {
    let tenant = tenant();
    let root = tenant.root();
    let page = root.docx("Page").paragraph("words");
    let picture = page.picture("p.png", &b"\x89PNG\r\n\x1a\n-picture"[..], Some("A view"));
    let mirror = Mirror::with(&tenant, DRIVE);
    mirror.sync().await.success();
    let whole = mirror.snapshot();
    let asset = format!("drive/Page.assets/{picture}.png");
    let media = || tenant.calls("GET", "/drive/v1/medias/:file_token/download");

    std::fs::remove_file(mirror.path("drive/Page.md")).unwrap();
    tenant.forget_calls();
    let run = sync_as_foretold(&mirror).await;
    assert_eq!(run.changes(), ["restore drive/Page.md"]);
    assert_eq!(content_calls(&tenant), [""; 0]);
    assert_eq!(mirror.differs_from(&whole), [""; 0]);

    std::fs::remove_file(mirror.path(&asset)).unwrap();
    tenant.forget_calls();
    sync_as_foretold(&mirror).await;
    assert_eq!((tenant.calls("GET", BLOCKS), media()), (0, 1));
    assert_eq!(mirror.differs_from(&whole), [""; 0]);

    std::fs::remove_dir_all(mirror.state("pages")).unwrap();
    std::fs::remove_file(mirror.path("drive/Page.md")).unwrap();
    let run = mirror.sync().await.exits(2);
    run.says(&["what was kept of its blocks is lost"]);
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!((tenant.calls("GET", BLOCKS), media()), (1, 0));
    assert_eq!(mirror.differs_from(&whole), [""; 0]);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// A file of somebody else's instead of the pictures' folder: nothing is lost, and the
/// pictures are back as soon as it makes way.
#[tokio::test(start_paused = true)]
async fn what_stands_instead_of_the_pictures_makes_way() {
    let tenant = tenant();
    let page = tenant.root().docx("Page").paragraph("words");
    let picture = page.picture("p.png", &b"\x89PNG\r\n\x1a\n-picture"[..], None);
    let mirror = Mirror::with(&tenant, DRIVE);
    mirror.sync().await.success();
    let whole = mirror.snapshot();
    let folder = mirror.path("drive/Page.assets");
    let block = || {
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "mine").unwrap();
    };
    block();
    mirror.sync().await.exits(2).says(&["Page.assets is in the way"]);
    tenant.forget_calls();
    mirror.sync().await.exits(2);
    assert_eq!(content_calls(&tenant), [""; 0], "nobody asks while it stands there");
    assert_eq!(std::fs::read(&folder).unwrap(), b"mine");
    std::fs::remove_file(&folder).unwrap();
    mirror.sync().await.success();
    assert_eq!(mirror.differs_from(&whole), [""; 0]);

    block();
    mirror.sync().await.exits(2);
    mirror.run(&["sync", "--json", "--adopt"]).await.success();
    assert_eq!(mirror.differs_from(&whole), [""; 0]);
    assert!(mirror.path(&format!("drive/Page.assets/{picture}.png")).exists());
    let trash = walkdir::WalkDir::new(mirror.state("trash")).into_iter().flatten();
    let trashed = trash.filter(|entry| entry.file_type().is_file());
    let texts: Vec<_> = trashed.map(|entry| std::fs::read(entry.path()).unwrap()).collect();
    assert_eq!(texts, [b"mine"]);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// Lists of child pages are those of the wiki, in its order, and follow it.
#[tokio::test(start_paused = true)]
async fn a_list_of_child_pages_follows_the_wiki() {
    let tenant = tenant();
    let space = tenant.space("Handbook");
    let home = space.docx("Home");
    let home = {
        let list = home.clone();
        home.sub_pages(&list)
    };
    let zebra = home.docx("Zebra").text("z");
    home.docx("Ant").text("a").docx("Leg").text("l");
    let config = DRIVE.replace("drive\"\n[export]", "wiki\"\n[export]");
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    let list = |page: &str| -> Vec<String> {
        text(&mirror, page).lines().filter(|l| l.contains("- [")).map(str::to_owned).collect()
    };
    let page = "drive/Handbook/Home.md";
    assert_eq!(
        list(page),
        ["- [Zebra](Home/Zebra.md)", "- [Ant](Home/Ant.md)", "  - [Leg](Home/Ant/Leg.md)"]
    );
    a_minute_later().await;
    zebra.rename_quietly("Zoo");
    home.docx("Bee").text("b");
    tenant.forget_calls();
    sync_as_foretold(&mirror).await;
    assert_eq!(
        list(page),
        [
            "- [Zoo](Home/Zoo.md)",
            "- [Ant](Home/Ant.md)",
            "  - [Leg](Home/Ant/Leg.md)",
            "- [Bee](Home/Bee.md)"
        ]
    );
    assert_eq!(tenant.calls("GET", BLOCKS), 1, "the new page");
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// A page whose target keeps failing is no news: only the target is asked for.
#[tokio::test(start_paused = true)]
async fn a_target_that_keeps_failing_touches_no_page() {
    let tenant = tenant();
    let root = tenant.root();
    let target = root.docx("Target").text("here");
    root.docx("Page").mention_doc(&target);
    let broken = Fault::new("GET", BLOCKS, Effect::status(500, 1_771_001));
    tenant.fault(broken.containing(target.token()).times(10_000));
    let mirror = Mirror::with(&tenant, DRIVE);
    mirror.sync().await.exits(2);
    let before = mirror.snapshot();
    for _ in 0..2 {
        a_minute_later().await;
        assert_eq!(mirror.diff().await.changes(), ["add drive/Target.md"]);
        let run = mirror.sync().await.exits(2);
        assert!(run.changes().iter().all(|change| !change.contains("Page")), "{:?}", run.changes());
        assert_eq!(mirror.changed_since(&before), [""; 0]);
    }
    tenant.calm();
    mirror.sync().await.success();
    assert!(text(&mirror, "drive/Page.md").contains("[Target](Target.md)"));
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// Links lead to the same files whichever sources a run is for.
#[tokio::test(start_paused = true)]
async fn sources_run_by_themselves() {
    let tenant = tenant();
    let root = tenant.root();
    let (a, b) = (root.folder("A"), root.folder("B"));
    let target = b.docx("Target").text("here");
    a.docx("Page").mention_doc(&target);
    let source = |name: &str, folder: &str| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"drive\"\nfolder = \"{folder}\"\n")
    };
    let sources = source("a", &a.token()) + &source("b", &b.token());
    let config = format!("{sources}[export]\ndocx = [\"md\"]\n");
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    a_minute_later().await;
    mirror.configure(&format!("{config}[[export.rule]]\nmatch = \"b/**\"\ndocx = [\"docx\"]\n"));
    mirror.sync().await.success();
    assert!(text(&mirror, "a/Page.md").contains("/b/Target.docx)"));
    for sources in [&["sync", "--json"][..], &["sync", "a", "--json"], &["sync", "--json"]] {
        assert_eq!(mirror.run(sources).await.success().changes(), [""; 0], "{sources:?}");
    }
}
