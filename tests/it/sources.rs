//! Kinds of sources, filters, budgets, and the commands that only read.

use crate::support::{Mirror, SOURCES, tenant};

/// A wiki: one space, a subtree by URL, the own library.
#[tokio::test(start_paused = true)]
async fn wikis_whole_in_part_and_ones_own() {
    let tenant = tenant();
    let space = tenant.space("Handbook");
    let page = space.docx("Page");
    page.docx("Child").docx("Grandchild");
    space.docx("Other");
    tenant.my_library().docx("Mine");
    let config = format!(
        "[[source]]\nname = \"sub\"\nkind = \"wiki\"\nspace = \"https://x.feishu.cn/wiki/{}\"\n\
         [[source]]\nname = \"mine\"\nkind = \"wiki\"\nspace = \"my_library\"\n\
         [[source]]\nname = \"all\"\nkind = \"wiki\"\n",
        page.place_token()
    );
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    assert_eq!(
        mirror.files(),
        [
            "all/Handbook/Other.docx",
            "all/Handbook/Page.docx",
            "all/Handbook/Page/Child.docx",
            "all/Handbook/Page/Child/Grandchild.docx",
            "all/My Library/Mine.docx",
            "mine/Mine.docx",
            "sub/Page.docx",
            "sub/Page/Child.docx",
            "sub/Page/Child/Grandchild.docx",
        ]
    );
    let exports = tenant.calls("POST", "/drive/v1/export_tasks");
    assert_eq!(exports, 5, "an object at several places is fetched once");
}

/// Single documents by URL, which never leave: taken out of the config, the copy stays.
#[tokio::test(start_paused = true)]
async fn pinned_documents_stay() {
    let tenant = tenant();
    let root = tenant.root();
    let (one, two) = (root.docx("One"), root.docx("Two"));
    let node = tenant.space("Wiki").docx("Node");
    let source = |urls: &[String]| {
        let urls: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
        format!(
            "[prune]\ndefault = \"delete\"\n[[source]]\nname = \"pinned\"\nkind = \"docs\"\n\
             urls = [{}]\n",
            urls.join(", ")
        )
    };
    let url = |kind: &str, token: String| format!("https://x.feishu.cn/{kind}/{token}");
    let all = [url("docx", one.token()), url("docx", two.token()), url("wiki", node.place_token())];
    let mirror = Mirror::with(&tenant, &source(&all));
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["pinned/Node.docx", "pinned/One.docx", "pinned/Two.docx"]);

    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.total_calls(), 1, "one metadata call for up to 200 documents");

    mirror.configure(&source(&all[1..]));
    for _ in 0..3 {
        mirror.sync().await.success();
    }
    assert!(mirror.path("pinned/One.docx").exists());
    let orphaned = mirror.run(&["ls", "--orphaned"]).await.success();
    assert!(orphaned.out.contains("pinned/One.docx"), "{}", orphaned.out);
}

/// An excluded folder is not even listed; `types` and `include` leave places out.
#[tokio::test(start_paused = true)]
async fn filters() {
    let tenant = tenant();
    let root = tenant.root();
    let tmp = root.folder("tmp");
    tmp.docx("Scratch");
    let keep = root.folder("keep");
    keep.docx("Page");
    keep.sheet("Numbers");
    let config = format!("{SOURCES}\n[filter]\nexclude = [\"**/tmp/**\"]\ntypes = [\"docx\"]\n");
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["drive/keep/Page.docx"]);
    let token = tmp.token();
    let asked = tenant.call_log().iter().filter(|call| call.query.contains(&token)).count();
    assert_eq!(asked, 0, "an excluded folder is not listed");
    assert!(!mirror.path("drive/tmp").exists());
}

/// `diff` changes nothing, says what `sync` then does, and `--exit-code` makes it 3.
#[tokio::test(start_paused = true)]
async fn diff_says_what_sync_then_does() {
    let tenant = tenant();
    let root = tenant.root();
    let folder = root.folder("Team");
    let page = folder.docx("Page");
    let file = root.upload("a.txt", b"a".to_vec());
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n"));
    let diff = mirror.run(&["diff", "--json", "--exit-code"]).await.exits(3);
    assert!(!mirror.path("").exists(), "not even a folder is made");
    let sync = mirror.sync().await.success();
    assert_eq!(diff.changes(), sync.changes());
    mirror.run(&["diff", "--exit-code"]).await.success();

    page.edit("more");
    folder.rename("Crew");
    file.delete();
    root.sheet("New");
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    let before = mirror.snapshot();
    let diff = mirror.diff().await.success();
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    let sync = mirror.sync().await.success();
    assert_eq!(diff.changes(), sync.changes());
    assert_eq!(
        sync.changes(),
        [
            "add drive/New.xlsx",
            "move drive/Team -> drive/Crew",
            "prune drive/a.txt",
            "update drive/Crew/Page.docx"
        ]
    );
}

/// A budget of calls stops cleanly, and the next runs go on until all is there.
#[tokio::test(start_paused = true)]
async fn a_budget_of_calls_is_kept_and_gone_on_from() {
    let tenant = tenant();
    for n in 0..12 {
        tenant.root().docx(&format!("Page {n}"));
    }
    let mirror = Mirror::of(&tenant);
    let mut runs = 0;
    loop {
        tenant.forget_calls();
        let run = mirror.run(&["sync", "--json", "--max-calls", "30"]).await;
        assert!(tenant.total_calls() <= 30, "{}", tenant.total_calls());
        runs += 1;
        if run.code == 0 {
            break;
        }
        run.exits(2);
        assert!(runs < 20, "it gets on");
    }
    assert!(runs > 1);
    assert_eq!(mirror.files().len(), 12);
}

/// `--force` fetches again what matches.
#[tokio::test(start_paused = true)]
async fn force_fetches_again() {
    let tenant = tenant();
    tenant.root().docx("Page");
    tenant.root().docx("Other");
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    tenant.forget_calls();
    let before = mirror.snapshot();
    mirror.run(&["sync", "--json", "--force", "drive/Page"]).await.success();
    assert_eq!(tenant.calls("POST", "/drive/v1/export_tasks"), 1);
    assert_eq!(mirror.changed_since(&before), [""; 0], "equal bytes are not touched");
}

/// A source that lists nothing and never had anything is a warning and exit 2.
#[tokio::test(start_paused = true)]
async fn a_source_without_anything_is_a_warning() {
    let tenant = tenant();
    let mirror = Mirror::with(&tenant, "[[source]]\nname = \"drive\"\nkind = \"drive\"\n");
    mirror.run(&["sync"]).await.exits(2).says(&["allow_empty"]);
}

/// An app without the scope for revisions is mirrored all the same: the edit time decides.
#[tokio::test(start_paused = true)]
async fn a_missing_scope_for_revisions_costs_only_revisions() {
    use feishu_mirror::sim::{Effect, Fault};
    let tenant = tenant();
    let page = tenant.root().docx("Page");
    let denied = Effect::status(400, 99_991_672);
    tenant.fault(Fault::new("GET", "/docx/v1/documents/:document_id", denied));
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    page.edit("more");
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), ["update drive/Page.docx"]);
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}

/// One source alone: links into the others stay as they are.
#[tokio::test(start_paused = true)]
async fn links_into_a_source_that_is_not_synced_now_stay() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan");
    tenant.space("Wiki").docx("Page");
    let folder = tenant.root().folder("Links");
    folder.shortcut_to(&plan).titled("The plan");
    let config = format!(
        "[[source]]\nname = \"all\"\nkind = \"drive\"\n\
         [[source]]\nname = \"links\"\nkind = \"drive\"\nfolder = \"{}\"\n\
         [filter]\nexclude = [\"all/Links/**\"]\n",
        folder.token()
    );
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["all/Plan.docx", "links/The plan.docx"]);
    assert!(mirror.path("links/The plan.docx").is_symlink());
    let run = mirror.run(&["sync", "--json", "links"]).await.success();
    assert_eq!(run.changes(), [""; 0]);
    assert!(mirror.path("links/The plan.docx").is_symlink());
    mirror.sync().await.success();
    assert!(mirror.path("links/The plan.docx").is_symlink());
}

/// A source whose top may not be read any more: hidden, not empty.
#[tokio::test(start_paused = true)]
async fn a_forbidden_source_is_hidden_and_not_empty() {
    let tenant = tenant();
    let folder = tenant.root().folder("Team");
    folder.docx("Plan");
    let source =
        format!("[[source]]\nname = \"team\"\nkind = \"drive\"\nfolder = \"{}\"\n", folder.token());
    let mirror = Mirror::with(&tenant, &format!("{source}[prune]\ndefault = \"delete\"\n"));
    mirror.sync().await.success();
    folder.forbid();
    mirror.sync().await.exits(2);
    mirror.sync().await.exits(2);
    assert_eq!(mirror.files(), ["team/Plan.docx"]);
    mirror.configure(&format!("[filter]\nallow_forbidden = true\n{source}"));
    mirror.sync().await.success();
}
