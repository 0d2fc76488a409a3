//! Exports: tasks that fail, products that die, side folders, stand-ins.

use serde_json::json;

use super::service::*;
use super::*;
use crate::model::change::Rank;
use crate::model::recorded::Why;
use crate::plan::Plan;

const CSV: Slot = Slot::Product(Format::Csv);

fn export_plan(ty: &ObjType, token: &str, format: Format, name: &str) -> Plan {
    let mut row = row(token, None, &[(Slot::Product(format), name)]);
    row.products.clear();
    row.object.ty = ty.clone();
    row.stem = "T".to_owned();
    let key = key(token);
    let wants = vec![want(&key, format, &format!("drive/{name}"))];
    let mut fetch = fetch(ty.clone(), token, wants);
    fetch.revision = Some(7);
    Plan { records: vec![(key, row)], fetches: vec![fetch], ..Plan::default() }
}

/// The three calls of an export; `sub_id` (or the extension) names the product.
fn exported(asked: &Asked, product: impl Fn(&str) -> Vec<u8>) -> Reply {
    if asked.line.starts_with("POST") {
        let what = asked.body["sub_id"].as_str().or(asked.body["file_extension"].as_str());
        return good(json!({ "ticket": what.unwrap() }));
    }
    if asked.line.contains("/export_tasks/file/") {
        let what = asked.line.split('/').nth_back(1).unwrap();
        let bytes = product(what);
        let mut headers = vec![("content-disposition", "attachment; filename=\"x\"".to_owned())];
        headers.push(("content-length", bytes.len().to_string()));
        return Reply::Bytes(200, headers, bytes, false);
    }
    let ticket = asked.line.split('/').next_back().unwrap().split('?').next().unwrap();
    let size = product(ticket).len();
    good(json!({ "result": { "job_status": 0, "file_token": ticket, "file_size": size } }))
}

#[tokio::test(start_paused = true)]
async fn an_export_is_one_task_one_poll_one_download() {
    let world = World::new();
    let service = Service::new(|asked| exported(asked, |_| b"PK\x03\x04 docx".to_vec()));
    let plan = export_plan(&ObjType::Docx, "d", Format::Docx, "T.docx");
    let (_, recorded) = world.apply(&service, plan).await;
    assert_eq!(world.failures(), Vec::<String>::new());
    assert_eq!(service.calls.lock().unwrap().len(), 3);
    let product = &recorded.places[&key("d")].products[&ProductKey::whole(DOCX)];
    assert_eq!(product.stamp.revision, Some(7), "as seen before the export");
}

#[tokio::test(start_paused = true)]
async fn exports_that_go_wrong() {
    type Spoil = fn(&Asked) -> Option<Reply>;
    type Case = (&'static str, Spoil, Option<(Why, &'static str)>);
    let cases: [Case; 6] = [
        (
            "an inner error asks for a new task",
            |asked| {
                (asked.line.starts_with("GET") && !asked.line.contains("/file/") && asked.nth == 0)
                    .then(|| good(json!({ "result": { "job_status": 3 } })))
            },
            None,
        ),
        (
            "a product that died is made again",
            |asked| {
                (asked.line.contains("/file/") && asked.nth == 0).then(|| refused(404, 1_069_906))
            },
            None,
        ),
        (
            "a damaged product is fetched again",
            |asked| {
                (asked.line.contains("/file/") && asked.nth == 0).then(|| {
                    let header = ("content-disposition", "attachment".to_owned());
                    Reply::Bytes(200, vec![header], b"PX\x03\x04 docx".to_vec(), false)
                })
            },
            None,
        ),
        (
            "hidden blocks",
            |asked| {
                (asked.line.starts_with("GET") && !asked.line.contains("/file/"))
                    .then(|| good(json!({ "result": { "job_status": 109 } })))
            },
            Some((Why::Refused, "may not see")),
        ),
        (
            "never ready",
            |asked| {
                (asked.line.starts_with("GET") && !asked.line.contains("/file/"))
                    .then(|| good(json!({ "result": { "job_status": 2 } })))
            },
            Some((Why::Failed, "not ready after 600 s")),
        ),
        (
            "not ours to read",
            |asked| asked.line.starts_with("POST").then(|| refused(403, 1_069_902)),
            Some((Why::Forbidden, "")),
        ),
    ];
    for (name, spoil, want) in cases {
        let world = World::new();
        let service = Service::new(move |asked| {
            spoil(asked).unwrap_or_else(|| exported(asked, |_| b"PK\x03\x04 docx".to_vec()))
        });
        let plan = export_plan(&ObjType::Docx, "d", Format::Docx, "T.docx");
        let (_, recorded) = world.apply(&service, plan).await;
        let row = &recorded.places[&key("d")];
        let failures = world.failures();
        match want {
            None => {
                assert_eq!(failures, Vec::<String>::new(), "{name}");
                assert_eq!(row.products.len(), 1, "{name}");
            }
            Some((why, said)) => {
                assert_eq!(failures.len(), 1, "{name}");
                assert!(failures[0].contains(said), "{name}: {failures:?}");
                assert_eq!(row.outcomes[&Format::Docx].why, why, "{name}");
            }
        }
    }
}

/// The refusal and the page that should stand in are remembered each for itself.
#[tokio::test(start_paused = true)]
async fn what_is_too_large_falls_back_to_markdown() {
    for status in [107, 6000] {
        let world = World::new();
        let service = Service::new(move |asked| {
            if asked.line.contains("/docx/") {
                return refused(403, 1_770_032);
            }
            let poll = asked.line.starts_with("GET") && !asked.line.contains("/file/");
            if poll {
                return good(json!({ "result": { "job_status": status } }));
            }
            exported(asked, |_| b"PK\x03\x04 docx".to_vec())
        });
        let plan = export_plan(&ObjType::Docx, "d", Format::Docx, "T.docx");
        let (_, recorded) = world.apply(&service, plan).await;
        let row = &recorded.places[&key("d")];
        assert_eq!(row.outcomes[&Format::Docx].why, Why::FellBack, "{status}");
        assert!(row.outcomes[&Format::Md].why.is_want(), "{status}");
        assert_eq!(world.failures().len(), 1, "{status}: {:?}", world.failures());
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_stands_in_for_what_the_service_does_not_export() {
    let world = World::new();
    let service = Service::new(|_| refused(400, 1_069_918));
    let plan = export_plan(&ObjType::Mindnote, "m", Format::Pdf, "T.pdf");
    let (report, recorded) = world.apply(&service, plan).await;
    assert_eq!(world.done().len(), 1);
    assert!(!world.done()[0].1);
    assert_eq!(world.failures(), Vec::<String>::new());
    assert!(!report.partial);
    assert_eq!((report.tally.of(Rank::Skipped), report.tally.nodes()), (1, 1));
    assert_eq!(world.files()["drive/T.url"], "[InternetShortcut]\r\nURL=https://x.feishu.cn/m\r\n");
    let row = &recorded.places[&key("m")];
    assert_eq!(row.outcomes[&Format::Pdf].why, Why::Unsupported);
    assert_eq!(row.names[&Slot::Product(Format::Url)], "T.url");
}

#[tokio::test(start_paused = true)]
async fn sheets_keep_swap_and_lose_their_files() {
    let sheets = |list: &'static [(&'static str, &'static str)]| {
        Service::new(move |asked| {
            if asked.line.contains("/sheets/query") {
                let sheets: Vec<_> = list
                    .iter()
                    .map(|(id, title)| json!({ "sheet_id": id, "title": title, "resource_type": "sheet" }))
                    .collect();
                return good(json!({ "sheets": sheets }));
            }
            exported(asked, |id| format!("{id},1\n").into_bytes())
        })
    };
    let world = World::new();
    let plan = || export_plan(&ObjType::Sheet, "s", Format::Csv, "T.sheets");
    let first = sheets(&[("s1", "Q1"), ("s2", "Q2"), ("s3", "q1"), ("s4", "Old")]);
    world.apply(&first, plan()).await;
    assert_eq!(world.failures(), Vec::<String>::new());
    let files = world.files();
    assert_eq!(files["drive/T.sheets/Q1.csv"], "s1,1\n");
    assert_eq!(files["drive/T.sheets/Q2.csv"], "s2,1\n");
    assert_eq!(files.len(), 4, "a case twin gets a name of its own: {files:?}");

    let second = sheets(&[("s1", "Q2"), ("s2", "Q1"), ("s3", "q1"), ("s5", "New")]);
    let mut again = plan();
    again.records.clear();
    let (_, recorded) = world.apply(&second, again).await;
    assert_eq!(world.failures(), Vec::<String>::new());
    let files = world.files();
    assert_eq!(files["drive/T.sheets/Q2.csv"], "s1,1\n");
    assert_eq!(files["drive/T.sheets/Q1.csv"], "s2,1\n");
    assert_eq!(files["drive/T.sheets/New.csv"], "s5,1\n");
    assert_eq!(files.len(), 4, "{files:?}");
    assert_eq!(world.trash(), ["drive/T.sheets/Old.csv"]);
    let row = &recorded.places[&key("s")];
    assert_eq!(row.products[&ProductKey::part(CSV, "s1")].part_name.as_deref(), Some("Q2.csv"));
}
