//! Formats, shortcuts, and what the service refuses.

use crate::support::{Mirror, SOURCES, tenant};
use feishu_mirror::sim::{Effect, Fault};

const EXPORTS: &str = "/drive/v1/export_tasks";

/// Several formats for one object, other formats for a part of the tree, one file a
/// sheet; and a format that is taken back.
#[tokio::test(start_paused = true)]
async fn formats_by_type_and_by_rule() {
    let tenant = tenant();
    let root = tenant.root();
    root.docx("Report");
    root.folder("Books").docx("Novel");
    root.sheet("Budget").tabs(&["Q1", "Q2", "a/b"]);
    root.bitable("Tasks");
    root.slides("Deck");
    root.doc("Old");
    let config = format!(
        "{SOURCES}\n[export]\ndocx = [\"docx\", \"pdf\"]\nsheet = [\"csv\"]\n\
         [[export.rule]]\nmatch = \"drive/Books/**\"\ndocx = [\"pdf\"]\n"
    );
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    let wanted = [
        "drive/Books/Novel.pdf",
        "drive/Budget.sheets/Q1.csv",
        "drive/Budget.sheets/Q2.csv",
        "drive/Budget.sheets/a_b.csv",
        "drive/Deck.pptx",
        "drive/Old.docx",
        "drive/Report.docx",
        "drive/Report.pdf",
        "drive/Tasks.xlsx",
    ];
    assert_eq!(mirror.files(), wanted);
    assert!(mirror.read("drive/Report.pdf").starts_with(b"%PDF-"));
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(tenant.calls("POST", EXPORTS), 0);

    std::fs::remove_file(mirror.path("drive/Budget.sheets/Q2.csv")).unwrap();
    // Until then its product could still be fetched.
    tokio::time::sleep(std::time::Duration::from_secs(1800)).await;
    mirror.sync().await.success();
    assert_eq!(mirror.files(), wanted);
    assert_eq!(tenant.calls("POST", EXPORTS), 1, "only the missing sheet");

    mirror.configure(&format!(
        "{SOURCES}\n[prune]\ndefault = \"trash\"\n[export]\nsheet = [\"csv\"]\n"
    ));
    mirror.sync().await.success();
    mirror.sync().await.success();
    assert!(mirror.path("drive/Books/Novel.docx").exists());
    assert!(!mirror.path("drive/Books/Novel.pdf").exists());
    assert!(!mirror.path("drive/Report.pdf").exists());
}

/// A sheet's tab is renamed, added and removed: the side folder follows.
#[tokio::test(start_paused = true)]
async fn a_side_folder_follows_its_tabs() {
    let tenant = tenant();
    let budget = tenant.root().sheet("Budget").tabs(&["Q1", "Q2"]);
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[export]\nsheet = [\"csv\"]\n"));
    mirror.sync().await.success();
    let budget = budget.tabs(&["Q1 final", "Q2", "Q3"]);
    budget.edit("more");
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    mirror.sync().await.success();
    let files = mirror.files();
    assert!(files.contains(&"drive/Budget.sheets/Q3.csv".to_owned()), "{files:?}");
    assert!(files.contains(&"drive/Budget.sheets/Q1 final.csv".to_owned()), "{files:?}");
    assert_eq!(files.len(), 3, "{files:?}");
    budget.rename("Money");
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    mirror.sync().await.success();
    assert!(mirror.files().iter().all(|path| path.starts_with("drive/Money.sheets/")));
}

/// One sheet of two fails once: what came of the other must not make both look current.
#[tokio::test(start_paused = true)]
async fn a_sheet_that_failed_is_exported_by_the_next_run() {
    for failing in ["Q1", "Q2"] {
        let tenant = tenant();
        let budget = tenant.root().sheet("Budget").cells("Q1", &[&["old"]]);
        let budget = budget.cells("Q2", &[&["old"]]);
        let config = format!("{SOURCES}\n[export]\nsheet = [\"csv\"]\n");
        let mirror = Mirror::with(&tenant, &config);
        mirror.sync().await.success();
        let news = || {
            let file = |tab| mirror.read(&format!("drive/Budget.sheets/{tab}.csv"));
            ["Q1", "Q2"].map(|tab| (tab, String::from_utf8(file(tab)).unwrap().contains("new")))
        };

        for tab in ["Q1", "Q2"] {
            budget.edit_cells(tab, serde_json::json!([["new"]]));
        }
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        let error = Effect::status(500, 1_061_001);
        tenant.fault(Fault::new("POST", EXPORTS, error).containing(budget.tab_id(failing)));
        let run = mirror.sync().await.exits(2);
        assert_eq!(run.failures().len(), 1, "{}", run.out);
        assert_eq!(news(), ["Q1", "Q2"].map(|tab| (tab, tab != failing)));

        tenant.calm();
        let diff = mirror.diff().await;
        let run = mirror.sync().await.success();
        assert_eq!(run.changes(), ["update drive/Budget.sheets"]);
        assert_eq!(diff.changes(), run.changes());
        assert_eq!(news(), [("Q1", true), ("Q2", true)]);

        tenant.forget_calls();
        assert_eq!(mirror.sync().await.success().changes(), [""; 0], "once it worked, that is it");
        assert_eq!(tenant.calls("POST", EXPORTS), 0);
    }
}

/// What has no export leaves a link; what is refused is a failure until it changes.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_exported() {
    let tenant = tenant();
    let root = tenant.root();
    let ideas = root.mindnote("Ideas");
    root.folder("Links").shortcut_to(&ideas);
    root.other_type("New kind", "hologram");
    let mirror = Mirror::of(&tenant);
    let run = mirror.sync().await.success();
    assert_eq!(mirror.files(), ["drive/Ideas.url"]);
    let link = String::from_utf8(mirror.read("drive/Ideas.url")).unwrap();
    assert!(link.starts_with("[InternetShortcut]\r\nURL=https://"), "{link}");
    assert_eq!(run.count("failed"), 0);
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", EXPORTS), 0);

    let secret = root.docx("Secret");
    secret.refuse_export(109);
    let again = root.docx("Again");
    again.fail_exports(3, 1);
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.failures().len(), 1);
    assert_eq!(run.failures()[0]["path"], "drive/Secret.docx");
    assert!(mirror.path("drive/Again.docx").exists(), "a new task helped");
    tenant.forget_calls();
    mirror.sync().await.exits(2);
    assert_eq!(tenant.calls("POST", EXPORTS), 0, "refused once is enough");
    secret.accept_exports();
    secret.edit("shorter");
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    mirror.sync().await.success();
    assert!(mirror.path("drive/Secret.docx").exists());
}

/// Shortcuts are links to their targets, and follow them.
#[tokio::test(start_paused = true)]
async fn shortcuts_are_links_that_follow() {
    let tenant = tenant();
    let root = tenant.root();
    let team = root.folder("Team");
    let plan = team.docx("Plan");
    let space = tenant.space("Wiki");
    let page = space.docx("Page");
    page.docx("Child");
    root.shortcut_to(&plan).titled("The plan");
    root.shortcut_to(&team).titled("The team");
    root.shortcut_to(&page).titled("The page");
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let link = |path: &str| std::fs::read_link(mirror.path(path)).unwrap();
    assert_eq!(link("drive/The plan.docx").to_str(), Some("Team/Plan.docx"));
    assert_eq!(link("drive/The team").to_str(), Some("Team"));
    assert_eq!(link("drive/The page.docx").to_str(), Some("../wiki/Wiki/Page.docx"));
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);

    team.rename("Crew");
    let run = mirror.sync().await.success();
    assert_eq!(run.count("moved"), 1);
    assert_eq!(link("drive/The plan.docx").to_str(), Some("Crew/Plan.docx"));
    assert_eq!(link("drive/The team").to_str(), Some("Crew"));
    plan.delete();
    mirror.sync().await;
    for file in mirror.files() {
        assert!(mirror.path(&file).exists(), "{file} leads nowhere");
    }
}

/// What is fetched in two ways, or whose content comes with its revision, is asked for the
/// revision once.
#[tokio::test(start_paused = true)]
async fn a_revision_is_asked_for_once() {
    let tenant = tenant();
    tenant.root().docx("Report");
    tenant.root().bitable("Tasks").table("One");
    let formats = "[export]\ndocx = [\"docx\", \"md\"]\nbitable = [\"json\", \"xlsx\"]\n";
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n{formats}"));
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 4, "{:?}", mirror.files());
    assert_eq!(tenant.calls("GET", "/docx/v1/documents/:document_id"), 1);
    assert_eq!(tenant.calls("GET", "/bitable/v1/apps/:app_token"), 1);
}

/// The other ways to mirror a shortcut.
#[tokio::test(start_paused = true)]
async fn shortcuts_as_copies_urls_or_not_at_all() {
    for (mode, wanted) in [
        ("copy", &["drive/Plan.docx", "drive/The plan.docx"][..]),
        ("url", &["drive/Plan.docx", "drive/The plan.url"]),
        ("skip", &["drive/Plan.docx"]),
    ] {
        let tenant = tenant();
        let root = tenant.root();
        let plan = root.docx("Plan");
        root.shortcut_to(&plan).titled("The plan");
        let config = format!("{SOURCES}\n[export]\nshortcut = \"{mode}\"\n");
        let mirror = Mirror::with(&tenant, &config);
        mirror.sync().await.success();
        assert_eq!(mirror.files(), wanted, "{mode}");
        assert_eq!(tenant.calls("POST", EXPORTS), 1, "{mode}: one object, one export");
        assert!(!mirror.path("drive/The plan.docx").is_symlink());
        let again = mirror.sync().await.success();
        let skips = usize::from(mode == "skip");
        assert_eq!(again.changes().len(), skips, "{mode}: {:?}", again.changes());
    }
}
