//! What `doctor` says of a refused call: a scope that the app lacks, a version that is
//! not published, a user who has not agreed, and what is not shared.

use feishu_mirror::sim::APP_ID;

use super::{by_app, holds, only, told};
use crate::support::{Mirror, tenant};

const DRIVE: &str = "[[source]]\nname = \"d\"\nkind = \"drive\"\n";
const ALL: [&str; 7] = [
    "space:document:retrieve",
    "drive:drive.metadata:readonly",
    "drive:file:download",
    "docs:document:export",
    "docx:document:readonly",
    "sheets:spreadsheet:readonly",
    "base:app:read",
];

/// All but one.
fn without(scope: &str) -> Vec<&'static str> {
    ALL.into_iter().filter(|one| *one != scope).collect()
}

/// A scope that the app never asked for, one that no published version has, and one that
/// the user did not agree to are three things, and each says what to do.
#[tokio::test(start_paused = true)]
async fn a_missing_scope_says_which_step_is_missing() {
    let tenant = tenant();
    tenant.root().docx("周报");
    let name = "scopes";
    let mirror = by_app(&tenant, DRIVE);
    tenant.enable_scopes(&ALL).publish();
    holds(only(&mirror, name).await, name, "pass", &["all 7 scopes", "the source can be read"]);
    let coarse = [&without("drive:file:download")[..], &["drive:drive:readonly"]].concat();
    tenant.enable_scopes(&coarse).publish();
    holds(only(&mirror, name).await, name, "pass", &["all 7 scopes"]);

    tenant.enable_scopes(&without("docs:document:export")).publish();
    let words = ["`docs:document:export`", "source \"d\"", "does not have it", "权限管理"];
    holds(only(&mirror, name).await, name, "fail", &words);
    tenant.enable_scopes(&ALL);
    let words = ["`docs:document:export`", "no published version", "版本管理与发布"];
    holds(only(&mirror, name).await, name, "fail", &words);
    tenant.publish();
    holds(only(&mirror, name).await, name, "pass", &[]);
    tenant.enable_scopes(&without("docx:document:readonly")).publish();
    let words = ["`docx:document:readonly`", "edit time", "[export] docx = [\"docx\"]"];
    holds(only(&mirror, name).await, name, "warn", &words);

    // Without the scope for listings the source cannot be read, and that is why.
    tenant.enable_scopes(&without("space:document:retrieve")).publish();
    let words = ["source \"d\" cannot be read", "a scope is missing", "does not have it"];
    holds(only(&mirror, name).await, name, "fail", &words);
    tenant.enable_scopes(&ALL);
    let words = ["source \"d\" cannot be read", "no published version"];
    holds(only(&mirror, name).await, name, "fail", &words);

    // As a user: the app has all, and the user left one out.
    tenant.publish().refuse_scopes("demo", &["space:document:retrieve"]);
    mirror.log_in("default", "demo");
    let words = [
        "`space:document:retrieve`",
        "the user has not agreed",
        "source \"d\" cannot be read",
        "feishu-mirror auth login",
    ];
    holds(only(&mirror, name).await, name, "fail", &words);
    tenant.refuse_scopes("demo", &[]);
    mirror.log_in("default", "demo");
    holds(only(&mirror, name).await, name, "pass", &[]);
}

/// What a page only shows is worth a warning; what it is made of, and comments, fail.
#[tokio::test(start_paused = true)]
async fn pages_and_comments_say_what_they_need_and_what_they_can_do_without() {
    let tenant = tenant();
    tenant.root().docx("周报");
    let name = "scopes";
    let config = format!("[export]\ndocx = [\"md\"]\ncomments = true\n{DRIVE}");
    let mirror = by_app(&tenant, &config);
    let made_of = ["docs:document.media:download", "docs:document.comment:read"];
    let shown = [
        "base:table:read",
        "base:field:read",
        "base:record:retrieve",
        "board:whiteboard:node:read",
        "contact:contact.base:readonly",
        "contact:user.base:readonly",
    ];
    tenant.enable_scopes(&[&ALL[..], &made_of, &shown].concat()).publish();
    holds(only(&mirror, name).await, name, "pass", &["all 15 scopes"]);

    tenant.enable_scopes(&[&ALL[..], &made_of].concat()).publish();
    let words = ["`board:whiteboard:node:read`", "a note in its place", "by their ids"];
    holds(only(&mirror, name).await, name, "warn", &words);

    // The one for spreadsheets opens pictures as well.
    tenant.enable_scopes(&[&ALL[..], &made_of[1..], &shown].concat()).publish();
    holds(only(&mirror, name).await, name, "pass", &[]);
    tenant.enable_scopes(&[&ALL[..], &made_of[..1], &shown].concat()).publish();
    let words = ["`docs:document.comment:read`", "[export] comments = true"];
    holds(only(&mirror, name).await, name, "fail", &words);
    let blocks = "docx:document:readonly";
    tenant.enable_scopes(&[&without(blocks)[..], &made_of, &shown].concat()).publish();
    let words = ["`docx:document:readonly`", "[export] docx = [\"md\"]"];
    holds(only(&mirror, name).await, name, "fail", &words);
}

/// Nobody knows what was granted to a token from elsewhere.
#[tokio::test(start_paused = true)]
async fn a_token_from_the_environment_does_not_say_its_scopes() {
    let tenant = tenant();
    let mirror = Mirror::of(&tenant);
    holds(only(&mirror, "scopes").await, "scopes", "warn", &["not known", "权限管理"]);
    tenant.enable_scopes(&ALL).publish();
    let run = only(&mirror, "scopes").await.exits(1);
    let (_, text) = told(&run, "scopes");
    assert!(text.contains("source \"wiki\" cannot be read: the app lacks a scope"), "{text}");
    assert!(!text.contains("source \"drive\""), "{text}");
}

/// All scopes are there, and still a source cannot be read: it is not shared with this
/// identity, it is gone, or there is nothing.
#[tokio::test(start_paused = true)]
async fn what_is_not_shared_is_told_from_a_missing_scope() {
    let tenant = tenant();
    let folder = tenant.root().folder("Plans");
    let space = tenant.space_with_id("7000", "手册");
    let page = space.docx("首页");
    let doc = tenant.root().docx("合同");
    let source = |name: &str, rest: &str| format!("[[source]]\nname = \"{name}\"\n{rest}\n");
    let text = [
        source("folder", &format!("kind = \"drive\"\nfolder = \"{}\"", folder.token())),
        source("space", "kind = \"wiki\"\nspace = \"7000\""),
        source(
            "page",
            &format!(
                "kind = \"wiki\"\nspace = \"https://x.feishu.cn/wiki/{}\"",
                page.place_token()
            ),
        ),
        source(
            "doc",
            &format!("kind = \"docs\"\nurls = [\"https://x.feishu.cn/docx/{}\"]", doc.token()),
        ),
    ]
    .concat();
    let mirror = by_app(&tenant, &text);
    let name = "scopes";
    holds(only(&mirror, name).await, name, "pass", &["all 4 sources can be read"]);

    for item in [&folder, &space, &doc] {
        item.forbid();
    }
    let run = only(&mirror, name).await.exits(1);
    let (_, told_app) = told(&run, name);
    for source in ["folder", "space", "page", "doc"] {
        let words = format!("source {source:?} cannot be read");
        assert!(told_app.contains(&words), "{words} in {told_app}");
    }
    let words = [
        "scopes are granted",
        "4 sources are in trouble",
        &format!("is not shared with the app {APP_ID} (a scope would not help)"),
        "添加文档应用",
    ];
    for word in words {
        assert!(told_app.contains(word), "{word:?} in {told_app}");
    }
    mirror.log_in("default", "demo");
    let run = only(&mirror, name).await.exits(1);
    let (_, told_user) = told(&run, name);
    assert!(told_user.contains("is not shared with the user demo"), "{told_user}");
    assert!(told_user.contains("ask its owner"), "{told_user}");

    for item in [&folder, &space, &doc] {
        item.allow();
    }
    doc.delete();
    holds(only(&mirror, name).await, name, "fail", &["source \"doc\"", "does not exist"]);
}

/// An app's own space is empty, and no wiki has it as a member: a run would copy nothing.
#[tokio::test(start_paused = true)]
async fn nothing_shared_with_the_app_is_a_warning() {
    let tenant = tenant();
    tenant.app_sees_everything(false);
    tenant.space("手册").docx("首页");
    let text = format!("{DRIVE}[[source]]\nname = \"w\"\nkind = \"wiki\"\n");
    let mirror = by_app(&tenant, &text);
    let run = only(&mirror, "scopes").await;
    let (status, text) = told(&run, "scopes");
    assert_ne!(status, "pass", "{text}");
    assert!(text.contains("source \"w\" can be read, but no wiki space has this app"), "{text}");
    let mirror =
        by_app(&tenant, "[[source]]\nname = \"m\"\nkind = \"wiki\"\nspace = \"my_library\"\n");
    holds(only(&mirror, "scopes").await, "scopes", "fail", &["a user's library", "auth login"]);
}
