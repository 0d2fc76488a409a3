//! What is too large to export becomes Markdown.

use std::time::Duration;

use crate::support::{Mirror, SOURCES, tenant};

const EXPORTS: &str = "/drive/v1/export_tasks";
const BLOCKS: &str = "/docx/v1/documents/:document_id/blocks";

fn config(docx: &str) -> String {
    format!("{SOURCES}\n[export]\ndocx = [{docx}]\n")
}

/// A document that outgrew its export is a page from then on, without a failure and without
/// being asked again; once it fits, it is exported, and nobody wants the page any more.
#[tokio::test(start_paused = true)]
async fn a_document_that_is_too_large_becomes_a_page() {
    for status in [107, 6000] {
        let tenant = tenant();
        let root = tenant.root();
        let huge = root.docx("Huge").text("all of it");
        huge.refuse_export(status);
        root.docx("Small");
        let mirror = Mirror::with(&tenant, &config("\"docx\""));
        let run = mirror.sync().await.success();
        assert_eq!(mirror.files(), ["drive/Huge.md", "drive/Small.docx"], "{status}");
        assert!(run.failures().is_empty(), "{status}: {}", run.out);
        let page = String::from_utf8(mirror.read("drive/Huge.md")).unwrap();
        assert!(page.contains("all of it"), "{page}");

        tenant.forget_calls();
        let again = mirror.sync().await.success();
        assert_eq!(again.changes(), ["skip drive/Huge.docx"]);
        again.says(&["too large to export, so it is Markdown"]);
        assert_eq!((tenant.calls("POST", EXPORTS), tenant.calls("GET", BLOCKS)), (0, 0));

        // Still too large when it changes: the page follows.
        huge.edit("and more");
        tokio::time::advance(Duration::from_secs(60)).await;
        tenant.forget_calls();
        mirror.sync().await.success();
        assert_eq!((tenant.calls("POST", EXPORTS), tenant.calls("GET", BLOCKS)), (1, 1));
        let page = String::from_utf8(mirror.read("drive/Huge.md")).unwrap();
        assert!(page.contains("and more"), "{page}");

        huge.accept_exports();
        huge.edit("shorter");
        tokio::time::advance(Duration::from_secs(60)).await;
        mirror.configure(&format!("{}[prune]\ndefault = \"trash\"\n", config("\"docx\"")));
        mirror.sync().await.success();
        mirror.sync().await.success();
        assert_eq!(mirror.files(), ["drive/Huge.docx", "drive/Small.docx"], "{status}");
    }
}

/// Where the config wants Markdown as well, it is fetched once; where two exports are
/// refused, too.
#[tokio::test(start_paused = true)]
async fn one_page_stands_in_for_all_that_is_refused() {
    for formats in ["\"docx\", \"md\"", "\"docx\", \"pdf\""] {
        let tenant = tenant();
        tenant.root().docx("Huge").refuse_export(107);
        let mirror = Mirror::with(&tenant, &config(formats));
        mirror.sync().await.success();
        assert_eq!(mirror.files(), ["drive/Huge.md"], "{formats}");
        assert_eq!(tenant.calls("GET", BLOCKS), 1, "{formats}");
        tenant.forget_calls();
        mirror.sync().await.success();
        assert_eq!((tenant.calls("POST", EXPORTS), tenant.calls("GET", BLOCKS)), (0, 0));
    }
}

/// A page that cannot be had either is a failure of the page: the refused export is not
/// tried again with it.
#[tokio::test(start_paused = true)]
async fn a_page_that_fails_is_tried_again_without_the_export() {
    use feishu_mirror::sim::{Effect, Fault};

    let tenant = tenant();
    tenant.root().docx("Huge").refuse_export(107);
    tenant.fault(Fault::new("GET", BLOCKS, Effect::status(403, 1_770_032)));
    let mirror = Mirror::with(&tenant, &config("\"docx\""));
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.failures().len(), 1);
    assert_eq!(run.failures()[0]["path"], "drive/Huge.md");

    tenant.calm();
    tenant.forget_calls();
    mirror.run(&["sync", "--json"]).await;
    assert_eq!(tenant.calls("POST", EXPORTS), 0, "the refusal is remembered");
    mirror.run(&["sync", "--json", "--retry-failed"]).await.success();
    assert_eq!(mirror.files(), ["drive/Huge.md"]);
}

/// Only documents have another form: a sheet that is refused is a failure.
#[tokio::test(start_paused = true)]
async fn other_types_have_nothing_to_fall_back_to() {
    let tenant = tenant();
    tenant.root().sheet("Budget").refuse_export(107);
    let mirror = Mirror::of(&tenant);
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.failures().len(), 1);
    assert_eq!(run.failures()[0]["path"], "drive/Budget.xlsx");
    assert!(mirror.files().is_empty());
}

/// The page takes a name that nobody has, keeps it, and brings its blocks where the config
/// wants them; a shortcut leads to it from the next run on.
#[tokio::test(start_paused = true)]
async fn the_page_finds_its_place_among_the_others() {
    let tenant = tenant();
    let root = tenant.root();
    root.upload("Huge.md", "notes on it");
    let huge = root.docx("Huge");
    huge.refuse_export(107);
    root.folder("Links").shortcut_to(&huge).titled("The huge one");
    let mirror = Mirror::with(&tenant, &format!("{}[export.md]\nraw = true\n", config("\"docx\"")));
    mirror.sync().await.success();
    let own: String = huge.token().chars().rev().take(8).collect::<Vec<_>>().iter().rev().collect();
    let page = format!("drive/Huge~{own}.md");
    let mut wanted = vec!["drive/Huge.blocks.json".to_owned(), "drive/Huge.md".to_owned()];
    wanted.push(page.clone());
    assert_eq!(mirror.files(), wanted);
    assert_eq!(mirror.read("drive/Huge.md"), b"notes on it");

    let bytes = mirror.read(&page);
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!(run.count("failed"), 0);
    assert_eq!((tenant.calls("POST", EXPORTS), tenant.calls("GET", BLOCKS)), (0, 0));
    wanted.extend(["blocks.json", "md"].map(|end| format!("drive/Links/The huge one.{end}")));
    assert_eq!(mirror.files(), wanted);
    assert_eq!(mirror.read("drive/Links/The huge one.md"), bytes, "the link leads to the page");
    let changes = mirror.sync().await.success().changes();
    assert_eq!(changes, ["skip drive/Huge.docx", "skip drive/Links/The huge one.docx"]);
}

/// Pages that take the place of an export stand in line with everything else that is no
/// export: no more of them at once than `concurrency`.
#[tokio::test(start_paused = true)]
async fn pages_after_exports_keep_to_the_limit() {
    let tenant = tenant();
    tenant.latency(Duration::from_millis(200));
    let mut owners = std::collections::HashMap::new();
    for n in 0..8 {
        let huge = tenant.root().docx(&format!("Huge {n}"));
        huge.refuse_export(107);
        for image in 0..10_u8 {
            let bytes = [&b"\x89PNG\r\n\x1a\n"[..], &[n, image]].concat();
            owners.insert(huge.picture("a.png", bytes, None), huge.token());
        }
    }
    let limits = "[limits]\nconcurrency = 2\n";
    let mirror = Mirror::with(&tenant, &format!("{limits}{}", config("\"docx\"")));
    mirror.sync().await.success();
    let (mut open, mut most) = (std::collections::HashMap::new(), 0);
    for call in tenant.call_log() {
        let token = call.path.split('/').nth(4).unwrap_or_default();
        if call.pattern == BLOCKS {
            open.insert(token.to_owned(), 10);
        } else if let Some(owner) = owners.get(token) {
            *open.get_mut(owner).unwrap() -= 1;
        }
        open.retain(|_, left| *left > 0);
        most = most.max(open.len());
    }
    assert_eq!((open.len(), most), (0, 2), "open at the end, and at most");
}

/// `--retry-failed` asks for the export again, and leaves a page alone that stands for it
/// and is current. When the document was edited its pictures are there already.
#[tokio::test(start_paused = true)]
async fn a_retried_export_does_not_fetch_its_page_again() {
    const MEDIA: &str = "/drive/v1/medias/:file_token/download";
    let tenant = tenant();
    let huge = tenant.root().docx("Huge");
    huge.picture("a.png", &b"\x89PNG\r\n\x1a\n one"[..], None);
    huge.refuse_export(107);
    let mirror = Mirror::with(&tenant, &config("\"docx\""));
    mirror.sync().await.success();
    let before = mirror.snapshot();
    tokio::time::advance(Duration::from_secs(60)).await;
    for edited in [false, true] {
        if edited {
            huge.edit("and more");
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        tenant.forget_calls();
        mirror.run(&["sync", "--retry-failed", "--json"]).await.success();
        let calls = ["POST", "GET", "GET"].into_iter().zip([EXPORTS, BLOCKS, MEDIA]);
        let calls: Vec<usize> = calls.map(|(method, path)| tenant.calls(method, path)).collect();
        assert_eq!(calls, [1, usize::from(edited), 0], "edited: {edited}");
        assert_eq!(mirror.changed_since(&before).is_empty(), !edited);
    }
    assert_eq!(mirror.sync().await.success().changes(), ["skip drive/Huge.docx"]);
}

/// A report names the file that is there, also where its name was taken.
#[tokio::test(start_paused = true)]
async fn the_page_is_told_under_its_own_name() {
    let tenant = tenant();
    tenant.root().upload("Huge.md", "notes on it");
    tenant.root().docx("Huge").refuse_export(107);
    let mirror = Mirror::with(&tenant, &config("\"docx\""));
    let run = mirror.sync().await.success();
    let file = mirror.files().into_iter().find(|path| path.contains('~')).unwrap();
    let done = run.events().into_iter().filter(|event| event["event"] == "done");
    let paths: Vec<String> = done.map(|event| event["path"].as_str().unwrap().to_owned()).collect();
    assert!(paths.contains(&file), "{paths:?}");
}
