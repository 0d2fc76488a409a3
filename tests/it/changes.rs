//! What a second run costs: nothing, or exactly what changed.

use crate::support::{Mirror, scale, tenant};
use feishu_mirror::sim::{Item, Tenant};

/// Calls that fetch or look at content; a run over an unchanged tenant makes none.
fn assert_no_content_calls(tenant: &Tenant) {
    for (method, path) in [
        ("POST", "/drive/v1/export_tasks"),
        ("GET", "/drive/v1/export_tasks/:ticket"),
        ("GET", "/drive/v1/export_tasks/file/:file_token/download"),
        ("GET", "/drive/v1/files/:file_token/download"),
        ("POST", "/drive/v1/metas/batch_query"),
        ("GET", "/docx/v1/documents/:document_id"),
        ("GET", "/sheets/v2/spreadsheets/:spreadsheetToken/metainfo"),
        ("GET", "/bitable/v1/apps/:app_token"),
    ] {
        assert_eq!(tenant.calls(method, path), 0, "{method} {path}");
    }
}

/// An unchanged tenant costs its listing and nothing else.
#[tokio::test(start_paused = true)]
async fn an_unchanged_tenant_costs_its_listing_and_nothing_else() {
    let tenant = tenant();
    let nodes = scale(300, 2000);
    let root = tenant.root();
    let space = tenant.space("Handbook");
    for folder in 0..nodes / 20 {
        let plans = root.folder(&format!("Plans {folder}"));
        for n in 0..9 {
            match n % 3 {
                0 => drop(plans.docx(&format!("周报 {n}"))),
                1 => drop(plans.sheet(&format!("预算 {n}"))),
                _ => drop(plans.upload(&format!("scan {n}.pdf"), b"%PDF-1.4 small".to_vec())),
            }
        }
        let page = space.docx(&format!("Page {folder}"));
        for n in 0..9 {
            page.docx(&format!("Child {n}"));
        }
    }
    let mirror = Mirror::of(&tenant);
    let first = mirror.sync().await.success();
    assert_eq!(first.count("nodes"), (nodes / 20 * 20) as u64);
    assert_eq!(tenant.rate_limited(), 0, "under the official quotas nobody is turned away");
    let before = mirror.snapshot();

    tenant.forget_calls();
    let second = mirror.sync().await.success();

    assert_eq!(second.count("unchanged"), (nodes / 20 * 20) as u64);
    assert_eq!(second.changes(), [""; 0]);
    assert_no_content_calls(&tenant);
    assert_eq!(mirror.changed_since(&before), [""; 0], "no byte, mtime or inode");
    let listing = tenant.calls("GET", "/drive/v1/files")
        + tenant.calls("GET", "/wiki/v2/spaces")
        + tenant.calls("GET", "/wiki/v2/spaces/:space_id")
        + tenant.calls("GET", "/wiki/v2/spaces/:space_id/nodes")
        + tenant.calls("GET", "/drive/explorer/v2/root_folder/meta");
    assert_eq!(tenant.total_calls(), listing, "{:?}", tenant.call_log());
    assert_eq!(second.count("api_requests"), listing as u64);
}

/// One edited page costs one export, and its neighbours are not touched.
#[tokio::test(start_paused = true)]
async fn second_sync_exports_only_the_page_that_changed() {
    let tenant = tenant();
    let wiki = tenant.space("Handbook");
    let intro = wiki.docx("Intro");
    wiki.docx("Rules");
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let before = mirror.snapshot();

    intro.edit("hello, world");
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    tenant.forget_calls();
    let diff = mirror.diff().await.success();
    let run = mirror.sync().await.success();

    assert_eq!(diff.changes(), ["update wiki/Handbook/Intro.docx"]);
    assert_eq!(run.changes(), diff.changes());
    assert_eq!((run.count("updated"), run.count("unchanged")), (1, 1));
    assert_eq!(tenant.calls("POST", "/drive/v1/export_tasks"), 1);
    assert_eq!(mirror.changed_since(&before), ["wiki/Handbook/Intro.docx"]);
}

/// People put pages of a wiki into another order: no page was edited, and no file moves.
#[tokio::test(start_paused = true)]
async fn pages_of_a_wiki_in_another_order_change_no_file() {
    let tenant = tenant();
    let wiki = tenant.space("Handbook");
    for n in 0..5 {
        wiki.docx(&format!("Page {n}"));
    }
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let before = mirror.snapshot();
    let order = || {
        let text = std::fs::read_to_string(mirror.state("index.jsonl")).unwrap();
        let rows =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut pages: Vec<(u64, String)> = rows
            .filter(|row| row["row"]["object"]["type"] == "docx")
            .map(|row| {
                let title = row["row"]["title"].as_str().unwrap().to_owned();
                (row["row"]["order"].as_u64().unwrap_or(0), title)
            })
            .collect();
        pages.sort();
        pages.into_iter().map(|(_, title)| title).collect::<Vec<_>>()
    };
    let first = order();
    wiki.shuffle_children(3);
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!((run.changes(), run.count("unchanged")), (Vec::new(), 5));
    assert_no_content_calls(&tenant);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    let titles: Vec<String> = wiki.children().iter().map(Item::title).collect();
    assert_ne!(first, titles);
    assert_eq!(order(), titles, "the rows know");
}

/// A renamed folder over many files is one rename and no fetch.
#[tokio::test(start_paused = true)]
async fn a_renamed_folder_is_one_rename() {
    let tenant = tenant();
    let folder = tenant.root().folder("2025");
    let files = scale(60, 500);
    for n in 0..files {
        folder.upload(&format!("{n}.txt"), format!("file {n}").into_bytes());
    }
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();

    folder.rename("2025 归档");
    tenant.forget_calls();
    let run = mirror.sync().await.success();

    assert_eq!(run.changes(), ["move drive/2025 -> drive/2025 归档"]);
    assert_no_content_calls(&tenant);
    assert_eq!(mirror.files().len(), files);
    assert!(mirror.files().iter().all(|path| path.starts_with("drive/2025 归档/")));
    mirror.diff().await.success().changes().is_empty().then_some(()).expect("nothing is left");
}

/// Two folders that swap titles, two files, two documents: everything ends up right.
#[tokio::test(start_paused = true)]
async fn swapped_titles_end_up_right() {
    let tenant = tenant();
    let root = tenant.root();
    let (a, b) = (root.folder("A"), root.folder("B"));
    a.upload("in a.txt", b"a".to_vec());
    b.upload("in b.txt", b"b".to_vec());
    let (x, y) = (root.upload("x.txt", b"x".to_vec()), root.upload("y.txt", b"y".to_vec()));
    let (one, two) = (root.docx("P"), root.docx("Q"));
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let (p_before, q_before) = (mirror.read("drive/P.docx"), mirror.read("drive/Q.docx"));
    assert_ne!(p_before, q_before);

    a.rename_quietly("B");
    b.rename_quietly("A");
    x.rename_quietly("y.txt");
    y.rename_quietly("x.txt");
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_no_content_calls(&tenant);
    assert_eq!(mirror.read("drive/B/in a.txt"), b"a");
    assert_eq!(mirror.read("drive/A/in b.txt"), b"b");
    assert_eq!(
        (mirror.read("drive/x.txt"), mirror.read("drive/y.txt")),
        (b"y".to_vec(), b"x".to_vec())
    );

    x.rename("x.txt");
    y.rename("y.txt");
    one.rename("Q");
    two.rename("P");
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(
        (mirror.read("drive/x.txt"), mirror.read("drive/y.txt")),
        (b"x".to_vec(), b"y".to_vec())
    );
    assert!(tenant.calls("GET", "/drive/v1/files/:file_token/download") <= 2);
    assert!(tenant.calls("POST", "/drive/v1/export_tasks") <= 2);
    mirror.sync().await.success();
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_no_content_calls(&tenant);
}

/// A file deleted or altered here comes back; what only lost its mtime costs no call.
#[tokio::test(start_paused = true)]
async fn local_damage_is_repaired() {
    let tenant = tenant();
    let root = tenant.root();
    root.docx("Gone here");
    root.docx("Altered");
    root.upload("touched.txt", b"same".to_vec());
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let before = mirror.snapshot();

    std::fs::remove_file(mirror.path("drive/Gone here.docx")).unwrap();
    std::fs::write(mirror.path("drive/Altered.docx"), "mine").unwrap();
    let file =
        std::fs::File::options().append(true).open(mirror.path("drive/touched.txt")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    drop(file);
    tenant.forget_calls();
    let run = mirror.sync().await.success();

    assert_eq!(run.count("restored"), 3);
    // What was exported a moment ago is still there to be fetched.
    assert_eq!(tenant.calls("POST", "/drive/v1/export_tasks"), 0);
    let product = "/drive/v1/export_tasks/file/:file_token/download";
    assert_eq!(tenant.calls("GET", product), 2);
    assert_eq!(tenant.calls("GET", "/drive/v1/files/:file_token/download"), 0);
    // Made anew, so an inode may differ; bytes and mtimes are as before.
    let remade = ["drive/Altered.docx", "drive/Gone here.docx"];
    let changed = mirror.changed_since(&before);
    assert!(changed.iter().all(|path| remade.contains(&path.as_str())), "{changed:?}");
    assert_eq!(mirror.files(), before.files());
    assert_eq!(mirror.diff().await.success().changes(), [""; 0]);
    let trash: Vec<_> = walkdir::WalkDir::new(mirror.state("trash"))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .collect();
    assert_eq!(trash.len(), 1, "what was altered by hand is not lost");
    assert_eq!(std::fs::read(trash[0].path()).unwrap(), b"mine");
}

/// A page is renamed, and another moves below it for the first time: one run settles it.
#[tokio::test(start_paused = true)]
async fn a_page_moves_below_one_that_is_renamed() {
    let tenant = tenant();
    let space = tenant.space("Wiki");
    let page = space.docx("Page");
    let child = space.docx("Child");
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    page.rename_quietly("Renamed");
    child.move_to(&page);
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["wiki/Wiki/Renamed.docx", "wiki/Wiki/Renamed/Child.docx"]);
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}
