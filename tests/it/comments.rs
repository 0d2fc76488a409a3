//! Comments beside documents: read with the document, when it changes, and from time to
//! time.

use std::time::Duration;

use crate::support::{Mirror, SOURCES, tenant};
use feishu_mirror::sim::{Effect, Fault, Tenant};
use serde_json::Value;

const COMMENTS: &str = "/drive/v1/files/:file_token/comments";
const REPLIES: &str = "/drive/v1/files/:file_token/comments/:comment_id/replies";
const DOCX_REVISION: &str = "/docx/v1/documents/:document_id";

fn config() -> String {
    format!("{SOURCES}\n[export]\ncomments = true\n")
}

async fn pass(secs: u64) {
    tokio::time::advance(Duration::from_secs(secs)).await;
}

fn file(mirror: &Mirror, path: &str) -> Value {
    serde_json::from_slice(&mirror.read(path)).unwrap()
}

fn reads(tenant: &Tenant) -> usize {
    tenant.calls("GET", COMMENTS)
}

/// One call a document, and the file says who said what about which words.
#[tokio::test(start_paused = true)]
async fn comments_stand_beside_what_they_are_about() {
    let tenant = tenant();
    let root = tenant.root();
    let plan = root.docx("Plan");
    let thread = plan.discuss(Some("by May"), "too early?");
    thread.reply("June, then").solve();
    plan.discuss(None, "well done");
    root.sheet("Budget").discuss(None, "wrong sum");
    root.slides("Deck");
    root.doc("Old");
    // Of these the service shows no comments.
    root.bitable("Tasks");
    root.upload("a.txt", "a");
    let mirror = Mirror::with(&tenant, &config());
    mirror.sync().await.success();
    assert_eq!(
        mirror.files(),
        [
            "drive/Budget.comments.json",
            "drive/Budget.xlsx",
            "drive/Deck.comments.json",
            "drive/Deck.pptx",
            "drive/Old.comments.json",
            "drive/Old.docx",
            "drive/Plan.comments.json",
            "drive/Plan.docx",
            "drive/Tasks.xlsx",
            "drive/a.txt",
        ]
    );
    assert_eq!((reads(&tenant), tenant.calls("GET", REPLIES)), (4, 0));

    let plan_file = file(&mirror, "drive/Plan.comments.json");
    assert_eq!(plan_file["document"], plan.token());
    let first = &plan_file["comments"][0];
    assert_eq!((&first["quote"], &first["whole_document"]), (&"by May".into(), &false.into()));
    assert_eq!(first["solved"], true);
    assert!(first["solved_by"]["id"].as_str().unwrap().starts_with("ou_"), "{first}");
    assert!(first["solved_at"].as_str().unwrap().ends_with('Z'), "{first}");
    assert_eq!(first["replies"][0]["text"], "too early?");
    assert_eq!(first["replies"][1]["text"], "June, then");
    assert_eq!(first["replies"][1]["elements"][0]["text_run"]["text"], "June, then");
    assert_eq!(plan_file["comments"][1]["whole_document"], true);
    assert_eq!(file(&mirror, "drive/Deck.comments.json")["comments"], Value::Array(Vec::new()));
}

/// An unchanged run asks nothing; a changed document is asked alone; and after
/// `crawl.full_every` each one is, which touches no file that is the same.
#[tokio::test(start_paused = true)]
async fn comments_are_read_again_only_when_they_may_have_changed() {
    let tenant = tenant();
    let root = tenant.root();
    let plan = root.docx("Plan");
    plan.discuss(None, "first");
    let sums = root.sheet("Budget");
    sums.discuss(None, "wrong sum");
    let mirror = Mirror::with(&tenant, &config());
    mirror.sync().await.success();
    let before = mirror.snapshot();

    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(reads(&tenant), 0, "nothing changed");

    // A comment on a document moves its revision and its edit time.
    pass(60).await;
    plan.discuss(None, "second");
    pass(60).await;
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!(reads(&tenant), 1, "one document changed");
    assert!(run.changes().contains(&"update drive/Plan.comments.json".to_owned()));
    assert!(!mirror.changed_since(&before).contains(&"drive/Budget.comments.json".to_owned()));
    let texts = file(&mirror, "drive/Plan.comments.json");
    assert_eq!(texts["comments"][1]["replies"][0]["text"], "second");

    // Nothing tells that a comment was added to a sheet.
    pass(7 * 86_400).await;
    let before = mirror.snapshot();
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!(
        run.changes(),
        ["update drive/Budget.comments.json", "update drive/Plan.comments.json"]
    );
    assert_eq!(reads(&tenant), 2, "each is due");
    assert_eq!(tenant.calls("GET", DOCX_REVISION), 0, "and costs nothing else");
    let events = run.events();
    let done: Vec<_> = events.iter().filter(|event| event["event"] == "done").collect();
    assert!(done.len() == 2 && done.iter().all(|event| event["written"] == false), "{done:?}");
    assert_eq!(mirror.changed_since(&before), [""; 0], "equal bytes are left alone");
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(reads(&tenant), 0, "not due any more");

    sums.discuss(None, "still wrong");
    pass(7 * 86_400).await;
    mirror.sync().await.success();
    assert_eq!(mirror.changed_since(&before), ["drive/Budget.comments.json"]);
    pass(60).await;
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(reads(&tenant), 0);
}

/// A long thread costs one more call, and all its replies are there.
#[tokio::test(start_paused = true)]
async fn a_long_thread_is_read_to_its_end() {
    let tenant = tenant();
    tenant.inline_replies(2);
    let thread = tenant.root().docx("Plan").discuss(None, "0");
    for n in 1..5 {
        thread.reply(&n.to_string());
    }
    let mirror = Mirror::with(&tenant, &config());
    mirror.sync().await.success();
    let texts = file(&mirror, "drive/Plan.comments.json");
    let replies = texts["comments"][0]["replies"].as_array().unwrap();
    let texts: Vec<&str> = replies.iter().map(|reply| reply["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4"]);
    assert_eq!((reads(&tenant), tenant.calls("GET", REPLIES)), (1, 1));

    // Lost on disk, it is read again, and the document beside it is not.
    let before = mirror.snapshot();
    std::fs::remove_file(mirror.path("drive/Plan.comments.json")).unwrap();
    tenant.forget_calls();
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), ["restore drive/Plan.comments.json"]);
    assert_eq!((reads(&tenant), tenant.calls("POST", "/drive/v1/export_tasks")), (1, 0));
    assert_eq!(mirror.differs_from(&before), [""; 0]);
}

/// Comments that may not be read are one failure; the document is mirrored all the same.
#[tokio::test(start_paused = true)]
async fn comments_that_may_not_be_read_do_not_keep_the_document_away() {
    let tenant = tenant();
    let root = tenant.root();
    let secret = root.docx("Secret");
    root.docx("Plan").discuss(None, "hello");
    let denied = Fault::new("GET", COMMENTS, Effect::status(403, 1_069_303));
    tenant.fault(denied.containing(secret.token()));
    let mirror = Mirror::with(&tenant, &config());
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.failures().len(), 1);
    assert_eq!(run.failures()[0]["path"], "drive/Secret.comments.json");
    assert!(mirror.path("drive/Secret.docx").exists());
    assert!(mirror.path("drive/Plan.comments.json").exists());

    tenant.forget_calls();
    mirror.sync().await.exits(2);
    assert_eq!(reads(&tenant), 0, "a refusal is remembered");
    tenant.calm();
    mirror.run(&["sync", "--json", "--retry-failed"]).await.success();
    assert!(mirror.path("drive/Secret.comments.json").exists());
}

/// Without the scope for comments everything else is mirrored; one call finds it out.
#[tokio::test(start_paused = true)]
async fn without_the_scope_for_comments_the_rest_is_mirrored() {
    let tenant = tenant();
    let root = tenant.root();
    for n in 0..5 {
        root.docx(&format!("Page {n}")).discuss(None, "hello");
    }
    for code in [99_991_672, 99_991_679] {
        let tenant = &tenant;
        tenant.fault(Fault::new("GET", COMMENTS, Effect::status(400, code)));
        tenant.forget_calls();
        let mut config = config();
        config.push_str("[limits]\nconcurrency = 1\n");
        let mirror = Mirror::with(tenant, &config);
        let run = mirror.sync().await.exits(2);
        assert_eq!(reads(tenant), 1, "{code}: it is the same for all");
        assert_eq!((run.failures().len(), mirror.files().len()), (5, 5), "{code}");
        for failure in run.failures() {
            let hint = failure["error"]["hint"].as_str().unwrap();
            for word in ["docs:document.comment:read", "--retry-failed", "doctor"] {
                assert!(hint.contains(word), "{code}: {hint}");
            }
        }
        tenant.calm();
        mirror.run(&["sync", "--json", "--retry-failed"]).await.success();
        assert_eq!(mirror.files().len(), 10, "{code}");
    }
}

/// A renamed document takes its comments along, and no title is in them.
#[tokio::test(start_paused = true)]
async fn comments_move_with_their_document() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan");
    plan.discuss(None, "hello");
    let mirror = Mirror::with(&tenant, &config());
    mirror.sync().await.success();
    let bytes = mirror.read("drive/Plan.comments.json");
    plan.rename("Project");
    pass(60).await;
    mirror.sync().await.success();
    assert_eq!(mirror.read("drive/Project.comments.json"), bytes);
    assert_eq!(mirror.files(), ["drive/Project.comments.json", "drive/Project.docx"]);

    mirror.configure(&format!("{SOURCES}\n[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["drive/Project.docx"], "wanted no more");
}

/// Ids belong to one app and say nothing once the account is gone, so people have names.
#[tokio::test(start_paused = true)]
async fn people_have_names() {
    let tenant = tenant();
    let plan = tenant.root().docx("Plan");
    let id = tenant.open_id("demo");
    plan.discuss(None, "Who does it?")
        .answer("demo", serde_json::json!([{"type": "person", "person": {"user_id": id}}]));
    let mirror = Mirror::with(&tenant, &config());
    mirror.sync().await.success();
    let discussion = file(&mirror, "drive/Plan.comments.json");
    let reply = &discussion["comments"][0]["replies"][1];
    assert_eq!((&reply["by"]["name"], &reply["text"]), (&"demo".into(), &"@demo".into()));
    assert_eq!(reply["by"]["id"], id.as_str());
}
