//! Sixteen ways in which a body can be wrong, for every format: none is ever published.
//!
//! What no reply shows is left out: another file's bytes under the right name and length,
//! for an upload, which has no length or hash in any listing.

use std::collections::BTreeMap;
use std::time::Duration;

use feishu_mirror::sim::{Effect, Fault, Item, Tenant};
use serde_json::json;

use super::world::png;
use super::{copy, in_parallel, runtime};
use crate::support::{Mirror, Run, scale, tenant};

const PRODUCT: &str = "/drive/v1/export_tasks/file/:file_token/download";
const FILE: &str = "/drive/v1/files/:file_token/download";
const MEDIA: &str = "/drive/v1/medias/:file_token/download";
const BLOCKS: &str = "/docx/v1/documents/:document_id/blocks";
const IMAGE: &str = "/board/v1/whiteboards/:whiteboard_id/download_as_image";
const RECORDS: &str = "/bitable/v1/apps/:app_token/tables/:table_id/records/search";
const VALUES: &str = "/sheets/v2/spreadsheets/:spreadsheetToken/values/:range";
const COMMENTS: &str = "/drive/v1/files/:file_token/comments";

/// A way to make files, and where their bytes come from.
struct Format {
    name: &'static str,
    /// The config's `[export]`.
    export: &'static str,
    endpoint: (&'static str, &'static str),
    make: fn(&Tenant) -> Item,
    edit: fn(&Item),
    /// True for files with a signature and a size that is known before.
    export_job: bool,
}

fn made(tenant: &Tenant, make: impl Fn(&Item) -> Item) -> Item {
    tenant.root().upload("beside.txt", "beside");
    make(&tenant.root())
}

fn formats() -> Vec<Format> {
    let export = |name, export, make, edit| Format {
        name,
        export,
        endpoint: ("GET", PRODUCT),
        make,
        edit,
        export_job: true,
    };
    let other = |name, export, endpoint, make, edit| Format {
        name,
        export,
        endpoint,
        make,
        edit,
        export_job: false,
    };
    let news: fn(&Item) = |item| {
        item.edit("news, and a second word\nand a line");
    };
    let page: fn(&Tenant) -> Item =
        |t| made(t, |r| r.docx("Thing").paragraph("first").paragraph("second"));
    let line: fn(&Item) = |item| {
        let text = json!({"elements": [{"text_run": {"content": "news"}}]});
        item.append(json!({"block_type": 2, "text": text}));
    };
    vec![
        export("docx", "docx = [\"docx\"]", |t| made(t, |r| r.docx("Thing")), news),
        export("docx as pdf", "docx = [\"pdf\"]", |t| made(t, |r| r.docx("Thing")), news),
        export("doc", "doc = [\"docx\"]", |t| made(t, |r| r.doc("Thing")), news),
        export("xlsx", "sheet = [\"xlsx\"]", |t| made(t, |r| r.sheet("Thing")), news),
        export("base as xlsx", "bitable = [\"xlsx\"]", |t| made(t, |r| r.bitable("Thing")), news),
        export("pptx", "slides = [\"pptx\"]", |t| made(t, |r| r.slides("Thing")), news),
        export("slides as pdf", "slides = [\"pdf\"]", |t| made(t, |r| r.slides("Thing")), news),
        Format {
            export_job: false,
            ..export(
                "csv",
                "sheet = [\"csv\"]",
                |t| made(t, |r| r.sheet("Thing").tabs(&["One", "Two"])),
                news,
            )
        },
        other(
            "upload",
            "",
            ("GET", FILE),
            |t| made(t, |r| r.upload("Thing.json", "{\"a\":1}")),
            |item| {
                item.replace("{\"code\":7,\"msg\":\"mine, and longer\"}");
            },
        ),
        other("md", "docx = [\"md\"]", ("GET", BLOCKS), page, line),
        other("picture", "docx = [\"md\"]", ("GET", MEDIA), page, |item| {
            item.picture("new.png", png(7), None);
            item.append(json!({"block_type": 2, "text": {"elements": []}}));
        }),
        other("board", "docx = [\"md\"]", ("GET", IMAGE), page, |item| {
            item.board(json!([{"id": "o1:1", "type": "composite_shape"}]));
            item.append(json!({"block_type": 2, "text": {"elements": []}}));
        }),
        other(
            "sheet in a page",
            "docx = [\"md\"]",
            ("GET", VALUES),
            |t| {
                let book = t.root().sheet("Book").cells("One", &[&["a", "b"], &["c", "d"]]);
                made(t, |r| r.docx("Thing").embed_sheet(&book, "One"))
            },
            line,
        ),
        other(
            "records",
            "bitable = [\"json\"]",
            ("POST", RECORDS),
            |t| {
                made(t, |r| {
                    let base = r.bitable("Thing");
                    base.table("People").fields(&[("Name", 1)]).records(4);
                    base
                })
            },
            |item| {
                item.table("People").add_record();
            },
        ),
        other(
            "attachment",
            "bitable = [\"json\"]",
            ("GET", MEDIA),
            |t| {
                made(t, |r| {
                    let base = r.bitable("Thing");
                    base.table("People").fields(&[("Name", 1), ("Files", 17)]).records(4);
                    base
                })
            },
            |item| {
                item.table("People").attach(2, "a.bin", "bytes of an attachment");
                item.comment();
            },
        ),
        other(
            "comments",
            "comments = true",
            ("GET", COMMENTS),
            |t| {
                made(t, |r| {
                    let doc = r.docx("Thing");
                    doc.discuss(None, "why?");
                    doc
                })
            },
            |item| {
                item.discuss(None, "because");
            },
        ),
    ]
}

/// The sixteen; three more where the export names a size and the format has a signature.
fn bodies(export_job: bool) -> Vec<(&'static str, Effect)> {
    let json = "application/json; charset=utf-8";
    let content = "application/octet-stream";
    let envelope = r#"{"code":0,"msg":"success","data":{}}"#;
    let mut bodies = vec![
        ("nothing", Effect::Truncate(0)),
        ("one byte", Effect::Truncate(1)),
        ("half of it", Effect::Half),
        ("all but the last byte", Effect::Short(1)),
        ("a byte too many", Effect::TooLong(1)),
        ("cut before the first byte", Effect::CutAfter(0)),
        ("cut in the middle", Effect::CutAfter(5)),
        ("a byte less than promised", Effect::Promise(1)),
        ("a byte more than promised", Effect::Promise(-1)),
        ("a web page", Effect::Html),
        ("an error with 200", Effect::ErrorWith200(2200)),
        ("half an envelope", Effect::Garbage),
        ("an envelope", Effect::replaced(200, json, false, envelope)),
        ("500 with a body", Effect::replaced(500, content, true, "not the content")),
        ("called gzip", Effect::Encoded),
        ("a part of nothing", Effect::replaced(206, content, true, "not the content")),
    ];
    if export_job {
        bodies.extend([
            ("another's body", Effect::replaced(200, content, true, &b"PK\x03\x04 another"[..])),
            ("another signature", Effect::Flip),
            ("a named error", Effect::replaced(200, json, true, r#"{"code":2200,"msg":"no"}"#)),
        ]);
    }
    bodies
}

struct Case {
    format: usize,
    name: &'static str,
    effect: Effect,
    always: bool,
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(mirror: &Mirror) -> Files {
    mirror.files().into_iter().map(|path| (path.clone(), mirror.read(&path))).collect()
}

/// A day after the first sync, the thing is edited.
async fn story(format: &Format, fault: Option<Fault>) -> (Mirror, Tenant, Files, Run) {
    let tenant = tenant();
    tenant.etags(false);
    let item = (format.make)(&tenant);
    let config = format!(
        "[[source]]\nname = \"drive\"\nkind = \"drive\"\n[limits]\nretries = 2\n[export]\n{}\n",
        format.export
    );
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    let old = files(&mirror);
    tokio::time::advance(Duration::from_secs(86_400)).await;
    (format.edit)(&item);
    tokio::time::advance(Duration::from_secs(3600)).await;
    tenant.forget_calls();
    if let Some(fault) = fault {
        tenant.fault(fault);
    }
    let run = mirror.sync().await;
    (mirror, tenant, old, run)
}

async fn try_case(format: &Format, case: &Case, new: &Files) {
    let (method, path) = format.endpoint;
    let fault = Fault::new(method, path, case.effect.clone());
    let fault = if case.always { fault } else { fault.once() };
    let (mirror, tenant, old, run) = story(format, Some(fault)).await;
    let told = format!("exit {}\n{}\n{}", run.code, run.out, run.err);
    assert!(tenant.calls(method, path) > 0, "the endpoint was called");
    let now = files(&mirror);
    match run.code {
        0 => assert!(now == *new, "exit 0, but it is not as it should be: {now:?}\n{told}"),
        // A page or table is of use without a picture or file in it, and says so.
        2 => {
            for (path, bytes) in &now {
                let page_without = (copy::is_page(path) && format.name != "md")
                    || (path.contains(".tables/") && format.name == "attachment");
                let known = [old.get(path), new.get(path)].contains(&Some(bytes));
                assert!(known || page_without, "{path}: {bytes:?}\n{told}");
            }
            for path in old.keys() {
                assert!(now.contains_key(path), "{path} is lost\n{told}");
            }
        }
        code => panic!("exit {code}\n{told}"),
    }
    assert_eq!(tenant.overruns(), [""; 0]);
    tenant.calm();
    tokio::time::advance(Duration::from_secs(3600)).await;
    let healed = mirror.sync().await.success();
    assert!(
        files(&mirror) == *new,
        "after it healed: {:?}\n{told}\n{}",
        files(&mirror),
        healed.out
    );
}

/// `FEISHU_MIRROR_LONG=1`: each once and always.
#[test]
fn long_a_wrong_body_is_never_published() {
    let formats = formats();
    let mut cases = Vec::new();
    for (format, about) in formats.iter().enumerate() {
        for (n, (name, effect)) in bodies(about.export_job).into_iter().enumerate() {
            for always in [false, true] {
                // A fifth of all, another one for each format.
                let picked = (format * 7 + n * 2 + usize::from(always)) % 6 == 0;
                if picked || scale(0, 1) == 1 {
                    cases.push(Case { format, name, effect: effect.clone(), always });
                }
            }
        }
    }
    let new: Vec<Files> = formats
        .iter()
        .map(|format| {
            runtime().block_on(async {
                let (mirror, _tenant, old, run) = story(format, None).await;
                run.success();
                let new = files(&mirror);
                assert!(new != old, "{}: the edit shows", format.name);
                new
            })
        })
        .collect();
    let mode = |case: &Case| if case.always { "always" } else { "once" };
    in_parallel(
        "bodies",
        &cases,
        |case| format!("{}: {}, {}", formats[case.format].name, case.name, mode(case)),
        |case| {
            let format = &formats[case.format];
            runtime().block_on(try_case(format, case, &new[case.format]));
        },
    );
}
