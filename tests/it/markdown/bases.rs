//! Bases as JSON: one file a table, every attachment once.

use std::collections::BTreeSet;
use std::time::Duration;

use feishu_mirror::sim::{BaseTable, Effect, Fault, MediaRule, Tenant};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Mirror, scale, tenant};

const BASE: &str = "/bitable/v1/apps/:app";
const TABLES: &str = "/bitable/v1/apps/:app/tables";
const FIELDS: &str = "/bitable/v1/apps/:app/tables/:table/fields";
const SEARCH: &str = "/bitable/v1/apps/:app/tables/:table/records/search";
const MEDIA: &str = "/drive/v1/medias/:token/download";
const EXPORTS: &str = "/drive/v1/export_tasks";

fn config(formats: &str) -> String {
    format!(
        "[[source]]\nname = \"drive\"\nkind = \"drive\"\nallow_empty = true\n\
         [prune]\ndefault = \"trash\"\nmax_delete = 100\n[export]\nbitable = {formats}\n"
    )
}

fn mirror_of(tenant: &Tenant) -> Mirror {
    Mirror::with(tenant, &config("[\"json\"]"))
}

/// A table as it is in the copy.
#[track_caller]
fn read(mirror: &Mirror, path: &str) -> Value {
    let text = mirror.read(path);
    serde_json::from_slice(&text)
        .unwrap_or_else(|e| panic!("{path}: {e}\n{}", String::from_utf8_lossy(&text)))
}

fn len(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

/// Calls that fetch content.
fn content_calls(tenant: &Tenant) -> usize {
    let log = tenant.call_log();
    let is_content =
        |path: &str| ["/bitable/", "/medias/", "/export"].iter().any(|part| path.contains(part));
    log.iter().filter(|call| is_content(&call.pattern)).count()
}

/// Where an attachment is, in the folder of a base.
#[track_caller]
fn asset(mirror: &Mirror, base: &str, token: &str) -> String {
    let begins = format!("drive/{base}.assets/{token}.");
    let found = mirror.files().into_iter().find(|file| file.starts_with(&begins));
    found.unwrap_or_else(|| panic!("no {begins}… in {:?}", mirror.files()))
}

/// Files in the trash.
fn trashed(mirror: &Mirror) -> usize {
    let walk = walkdir::WalkDir::new(mirror.state("trash")).into_iter();
    walk.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).count()
}

async fn a_minute() {
    tokio::time::advance(Duration::from_secs(60)).await;
}

/// A value as the copy has it: without what moves by itself.
fn settled(mut value: Value) -> Value {
    match &mut value {
        Value::Array(parts) => parts.iter_mut().for_each(|part| *part = settled(part.take())),
        Value::Object(map) => {
            for key in ["tmp_url", "avatar_url"] {
                map.remove(key);
            }
            map.values_mut().for_each(|part| *part = settled(part.take()));
        }
        _ => {}
    }
    value
}

/// Every type of field, with its values; and a second run that finds nothing to do.
#[tokio::test(start_paused = true)]
async fn a_base_is_a_file_a_table() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(60).view("By state");
    base.table("People / 人").records(2);
    let file = tasks.attach(4, "photo.png", "png bytes");
    let mirror = mirror_of(&tenant);
    let run = mirror.sync().await.success();
    assert_eq!(run.changes(), ["add drive/Plans.tables"]);
    let asset = asset(&mirror, "Plans", &file);
    let files = ["drive/Plans.tables/People _ 人.json", "drive/Plans.tables/Tasks.json"];
    assert_eq!(mirror.files(), [&[asset.as_str()], &files[..]].concat());
    assert_eq!(mirror.read(&asset), b"png bytes");

    let table = read(&mirror, files[1]);
    assert_eq!(table["base"]["token"], base.token());
    assert_eq!(table["table"], json!({"id": tasks.id(), "name": "Tasks"}));
    assert_eq!(len(&table["views"]), 2);
    assert_eq!(table["fields"][0]["is_primary"], true);
    let fields = table["fields"].as_array().unwrap();
    for field in fields {
        assert_eq!(field["type"] == "unknown", field["type_number"] == 99, "{field}");
    }
    let words: BTreeSet<_> = fields.iter().map(|field| field["type"].as_str().unwrap()).collect();
    assert_eq!(words.len(), 24, "{words:?}");
    assert_eq!(len(&table["records"]), 60);
    for (number, record) in (0..).zip(table["records"].as_array().unwrap()) {
        let sent = tasks.record(number);
        assert_eq!(record["id"], sent["record_id"]);
        let mut fields = settled(sent["fields"].clone());
        if number == 4 {
            let shown = &mut fields["Attachment"][0];
            shown.as_object_mut().unwrap().remove("url");
            shown["file"] = asset.rsplit('/').next().into();
        }
        assert_eq!(record["fields"], fields, "record {number}");
    }
    let text = String::from_utf8(mirror.read(files[1])).unwrap();
    for volatile in ["tmp_url", "extra=", "avatar_url", "bitablePerm"] {
        assert!(!text.contains(volatile), "{volatile}");
    }

    let listed = mirror.run(&["ls", "--json"]).await.success().events();
    let listed: Vec<_> = listed.iter().map(|entry| entry["format"].as_str().unwrap()).collect();
    assert_eq!(listed, ["assets", "json", "json"]);
    mirror.run(&["verify"]).await.success();

    tenant.forget_calls();
    let before = mirror.snapshot();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(content_calls(&tenant), 0);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
}

/// A changed record renews the file of its table, and of no other; no attachment is fetched
/// twice, a new one is fetched, and one that no record shows any more goes.
#[tokio::test(start_paused = true)]
async fn an_edit_renews_one_table() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(30);
    let other = base.table("Other").records(5);
    let first = tasks.attach(1, "a.txt", "a");
    let second = other.attach(2, "b.txt", "b");
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 2);
    let first = asset(&mirror, "Plans", &first);

    let before = mirror.snapshot();
    tenant.forget_calls();
    a_minute().await;
    tasks.edit_record(7);
    mirror.sync().await.success();
    assert_eq!(mirror.changed_since(&before), ["drive/Plans.tables/Tasks.json"]);
    assert_eq!(tenant.calls("GET", MEDIA), 0);

    let before = mirror.snapshot();
    a_minute().await;
    let third = tasks.attach(3, "c.txt", "c");
    tasks.edit_record(3).delete_record(1);
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 1);
    let mut changed = mirror.changed_since(&before);
    changed.sort();
    let mut wanted = vec!["drive/Plans.tables/Tasks.json".to_owned()];
    wanted.extend([first, asset(&mirror, "Plans", &third)]);
    wanted.sort();
    assert_eq!(changed, wanted, "one went, one came");
    asset(&mirror, "Plans", &second);
    assert_eq!(trashed(&mirror), 1, "what went is in the trash");
}

/// Many records, page by page, and many attachments.
#[tokio::test(start_paused = true)]
async fn many_records_and_attachments() {
    let (records, attachments) = (scale(1_200, 50_000), scale(20, 500));
    let tenant = tenant();
    let base = tenant.root().bitable("Big");
    let table = base.table("Log").records(records as u64);
    for n in 0..attachments {
        table.attach((n * records / attachments) as u64, &format!("{n}.txt"), format!("file {n}"));
    }
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", SEARCH), records.div_ceil(500));
    assert_eq!(tenant.calls("GET", MEDIA), attachments);
    assert_eq!(tenant.rate_limited(), 0);
    let read = read(&mirror, "drive/Big.tables/Log.json");
    let shown = read["records"].as_array().unwrap().iter();
    let ids: BTreeSet<_> = shown.map(|record| record["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), records);
    assert_eq!(mirror.files().len(), attachments + 1);
    // One record a line.
    let text = String::from_utf8(mirror.read("drive/Big.tables/Log.json")).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("{\"id\":\"rec")).count(), records);
    let shown = text.matches("\"file\":").count();
    assert_eq!(shown, attachments);
}

/// Tables are named by their titles: a new title moves the file.
#[tokio::test(start_paused = true)]
async fn a_renamed_table_is_a_move() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans").tabs(&["Tasks", "Tasks", "Ideas"]);
    base.table("Ideas").records(3);
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    let files = mirror.files();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.contains(&"drive/Plans.tables/Tasks.json".to_owned()), "{files:?}");
    let twin = files.iter().find(|file| file.contains("Tasks~")).expect("a suffix");

    a_minute().await;
    base.rename_tab("Ideas", "Thoughts");
    mirror.sync().await.success();
    let mut wanted =
        vec!["drive/Plans.tables/Tasks.json", twin, "drive/Plans.tables/Thoughts.json"];
    wanted.sort_unstable();
    let mut files = mirror.files();
    files.sort();
    assert_eq!(files, wanted);
    assert_eq!(read(&mirror, wanted[2])["table"]["name"], "Thoughts");

    a_minute().await;
    base.rename("Goals");
    mirror.sync().await.success();
    assert!(mirror.files().iter().all(|file| file.starts_with("drive/Goals.tables/")));

    a_minute().await;
    base.remove_tab("Thoughts");
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 2);
}

/// Both formats share a folder, and neither touches the other's files.
#[tokio::test(start_paused = true)]
async fn json_and_csv_side_by_side() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(3);
    base.table("Ideas").records(2);
    let file = tasks.attach(1, "a.txt", "a");
    let mirror = Mirror::with(&tenant, &config("[\"csv\"]"));
    mirror.sync().await.success();
    let csv = ["drive/Plans.tables/Ideas.csv", "drive/Plans.tables/Tasks.csv"];
    assert_eq!(mirror.files(), csv);

    tenant.forget_calls();
    mirror.configure(&config("[\"csv\", \"json\"]"));
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", EXPORTS), 0, "the csv files are there");
    let asset = asset(&mirror, "Plans", &file);
    let both = [
        asset.as_str(),
        csv[0],
        "drive/Plans.tables/Ideas.json",
        csv[1],
        "drive/Plans.tables/Tasks.json",
    ];
    assert_eq!(mirror.files(), both);

    a_minute().await;
    base.rename_tab("Ideas", "Tasks 2");
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 5);
    assert!(mirror.path("drive/Plans.tables/Tasks 2.csv").exists());
    assert!(mirror.path("drive/Plans.tables/Tasks 2.json").exists());
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!((tenant.calls("POST", SEARCH), tenant.calls("POST", EXPORTS)), (0, 0));

    mirror.configure(&config("[\"json\"]"));
    mirror.sync().await.success();
    let json = [asset.as_str(), "drive/Plans.tables/Tasks 2.json", "drive/Plans.tables/Tasks.json"];
    assert_eq!(mirror.files(), json);
    mirror.configure(&config("[\"csv\"]"));
    mirror.sync().await.success();
    mirror.sync().await.success();
    assert_eq!(
        mirror.files(),
        ["drive/Plans.tables/Tasks 2.csv", "drive/Plans.tables/Tasks.csv"],
        "attachments go with the tables"
    );
    assert!(!mirror.path("drive/Plans.assets").exists());
}

/// What is damaged is restored, and nothing else is read.
#[tokio::test(start_paused = true)]
async fn a_damaged_table_or_attachment_is_restored() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(3);
    let ideas = base.table("Ideas").records(2);
    let kept = tasks.attach(1, "a.txt", "a");
    let lost = ideas.attach(0, "b.txt", "b");
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    let before = mirror.snapshot();
    let path = "drive/Plans.tables/Tasks.json";
    let table = mirror.read(path);

    tenant.forget_calls();
    std::fs::write(mirror.path(path), "mine").unwrap();
    let run = mirror.sync().await.success();
    assert_eq!(run.count("restored"), 1);
    assert_eq!((tenant.calls("POST", SEARCH), tenant.calls("GET", MEDIA)), (1, 0));
    assert_eq!(mirror.differs_from(&before), [path; 0]);
    assert_eq!(mirror.read(path), table);

    tenant.forget_calls();
    let before = mirror.snapshot();
    let asset = |token| asset(&mirror, "Plans", token);
    let (kept_at, asset) = (asset(&kept), asset(&lost));
    std::fs::remove_file(mirror.path(&asset)).unwrap();
    mirror.sync().await.success();
    assert_eq!((tenant.calls("POST", SEARCH), tenant.calls("GET", MEDIA)), (2, 1));
    assert_eq!(mirror.differs_from(&before), [""; 0]);
    assert_eq!(mirror.read(&asset), b"b");

    // One that can no longer be had ends as a note in its record.
    tenant.media_rule(&kept, MediaRule::Forbidden);
    std::fs::remove_file(mirror.path(&kept_at)).unwrap();
    mirror.sync().await.success();
    let table = read(&mirror, path);
    let shown = &table["records"][1]["fields"]["Attachment"][0];
    assert_eq!((&shown["missing"], &shown["file"]), (&json!("may not be read"), &Value::Null));
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(content_calls(&tenant), 0, "and is not asked for every time");
}

/// An attachment that fails for now fails the base, which has everything else.
#[tokio::test(start_paused = true)]
async fn an_attachment_that_fails_is_fetched_by_the_next_run() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(3);
    let tokens: Vec<_> = (0..3).map(|n| tasks.attach(n, "a.txt", format!("file {n}"))).collect();
    let called = format!("/drive/v1/medias/{}/download", tokens[1]);
    tenant.fault(Fault::new("GET", &called, Effect::status(500, 1_061_001)).times(1_000));
    let mirror = mirror_of(&tenant);
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.failures().len(), 1);
    let path = "drive/Plans.tables/Tasks.json";
    let missing = |n: usize| {
        let shown = read(&mirror, path)["records"][n]["fields"]["Attachment"][0].clone();
        shown["missing"].as_str().map(str::to_owned)
    };
    assert_eq!((missing(0), missing(2)), (None, None));
    assert_eq!(missing(1).as_deref(), Some("could not be fetched"));
    assert_eq!(mirror.files().len(), 3);

    tenant.calm().forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 1, "only the one that was missing");
    assert_eq!(missing(1), None);
    assert_eq!(mirror.files().len(), 4);
}

/// A table edited between two pages is read again: the file shows one moment.
#[tokio::test(start_paused = true)]
async fn a_table_edited_while_it_is_read_is_read_again() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(1_200);
    let other = base.table("Other").records(1);
    let edited = tasks.clone();
    let edit = Effect::run(move || {
        edited.delete_record(0).edit_record(1);
    });
    let search = format!("/bitable/v1/apps/{}/tables/{}/records/search", base.token(), tasks.id());
    tenant.fault(Fault::new("POST", &search, edit).nth(1));
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", SEARCH), 3 + 1 + 3, "one table twice");
    let path = "drive/Plans.tables/Tasks.json";
    let table = read(&mirror, path);
    assert_eq!(len(&table["records"]), 1_199);
    assert_eq!(table["records"][0]["id"], tasks.record(1)["record_id"]);

    // One that never rests fails, and the others come all the same.
    let before = mirror.snapshot();
    a_minute().await;
    other.edit_record(0);
    let edited = tasks.clone();
    let edit = Effect::run(move || {
        edited.edit_record(2);
    });
    tenant.fault(Fault::new("POST", &search, edit).times(1_000));
    tenant.forget_calls();
    mirror.sync().await.exits(2).says(&["kept changing while it was read"]);
    assert_eq!(tenant.calls("POST", SEARCH), 4 * 3 + 1);
    assert_eq!(mirror.changed_since(&before), ["drive/Plans.tables/Other.json"]);
    tenant.calm();
    mirror.sync().await.success();
    assert_eq!(len(&read(&mirror, path)["records"]), 1_199);
}

/// A base with advanced permissions: its attachments are opened by what their links hold.
#[tokio::test(start_paused = true)]
async fn attachments_behind_advanced_permissions() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans").advanced(&["demo"]);
    let tasks = base.table("Tasks").records(3);
    let file = tasks.attach(1, "a.txt", "secret");
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    assert_eq!(mirror.read(&asset(&mirror, "Plans", &file)), b"secret");
    let opened = tenant
        .call_log()
        .into_iter()
        .filter(|call| call.pattern == MEDIA.replace(":token", ":file_token") && call.code == 0);
    assert_eq!(opened.count(), 1);
}

/// Without a role in it, a base shows no records and no error: said once, and nothing that
/// the copy has is replaced by nothing.
#[tokio::test(start_paused = true)]
async fn records_that_may_not_be_seen_are_no_deletions() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(3);
    let file = tasks.attach(1, "a.txt", "a");
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    let before = mirror.snapshot();

    a_minute().await;
    tenant.add_user("somebody else", "u-else");
    let base = base.advanced(&["somebody else"]);
    tasks.edit_record(0);
    mirror.sync().await.success().says(&["has advanced permissions"]);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    asset(&mirror, "Plans", &file);
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("POST", SEARCH), 0, "kept for what was seen");

    // A copy that begins like this has the table, empty.
    let new = mirror_of(&tenant);
    new.sync().await.success().says(&["has advanced permissions"]);
    assert_eq!(len(&read(&new, "drive/Plans.tables/Tasks.json")["records"]), 0);

    a_minute().await;
    base.advanced(&["demo"]);
    tasks.edit_record(0);
    for mirror in [&mirror, &new] {
        mirror.sync().await.success();
        assert_eq!(len(&read(mirror, "drive/Plans.tables/Tasks.json")["records"]), 3);
    }
}

/// More attachments than one run may fetch: each run keeps what it got.
#[tokio::test(start_paused = true)]
async fn a_budget_cuts_a_base_in_pieces() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(30);
    let attach = |n| tasks.attach(n, "a.txt", format!("file {n}"));
    let tokens: BTreeSet<String> = (0..30).map(attach).collect();
    let mirror =
        Mirror::with(&tenant, &format!("{}\n[limits]\nmax_calls = 20\n", config("[\"json\"]")));
    let mut runs = 0;
    while mirror.sync().await.code == 2 {
        runs += 1;
        assert!(runs < 10, "every run is a step further");
    }
    assert!(runs > 1, "{runs}");
    assert_eq!(mirror.files().len(), 31);
    assert!(tenant.calls("GET", MEDIA) <= tokens.len() + 4 * runs, "none is fetched twice");
    assert_eq!(len(&read(&mirror, "drive/Plans.tables/Tasks.json")["records"]), 30);
}

/// Ctrl-C in the middle: what came is kept, and no half a table is.
#[tokio::test(start_paused = true)]
async fn an_interrupted_base_goes_on_where_it_was() {
    let tenant = tenant();
    let tasks = tenant.root().bitable("Plans").table("Tasks").records(30);
    for n in 0..30 {
        tasks.attach(n, "a.txt", format!("file {n}"));
    }
    let mut mirror = mirror_of(&tenant);
    let interrupt = mirror.interrupt.clone();
    tenant.fault(Fault::new("GET", MEDIA, Effect::run(move || interrupt.cancel())).nth(12));
    mirror.sync().await.exits(130);
    let kept = mirror.files().len();
    assert!((5..30).contains(&kept), "{kept}");
    assert!(!mirror.path("drive/Plans.tables").exists());

    mirror.interrupt = CancellationToken::new();
    a_minute().await;
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 30 - kept);
    assert_eq!(mirror.files().len(), 31);
}

/// One base at two places: its attachments are fetched once, also for one that comes later.
#[tokio::test(start_paused = true)]
async fn a_second_place_copies_the_attachments() {
    let tenant = tenant();
    let root = tenant.root();
    let base = root.bitable("Plans");
    let tasks = base.table("Tasks").records(3);
    let file = tasks.attach(1, "a.txt", "a");
    root.shortcut_to(&base).titled("Again");
    let config = format!("{}shortcut = \"copy\"\n", config("[\"json\"]"));
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    root.shortcut_to(&base).titled("Later");
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 1);
    for place in ["Plans", "Again", "Later"] {
        assert_eq!(mirror.read(&asset(&mirror, place, &file)), b"a");
        let table = format!("drive/{place}.tables/Tasks.json");
        assert_eq!(mirror.read(&table), mirror.read("drive/Plans.tables/Tasks.json"));
    }
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(content_calls(&tenant), 0);
}

/// A shortcut links to the folder that both formats share.
#[tokio::test(start_paused = true)]
async fn a_shortcut_links_to_the_tables() {
    let tenant = tenant();
    let root = tenant.root();
    let base = root.bitable("Plans");
    base.table("Tasks").records(3);
    root.shortcut_to(&base).titled("Again");
    let mirror = Mirror::with(&tenant, &config("[\"csv\", \"json\"]"));
    mirror.sync().await.success();
    let link = std::fs::read_link(mirror.path("drive/Again.tables")).unwrap();
    assert_eq!(link.to_str(), Some("Plans.tables"));
    assert_eq!(mirror.files().len(), 3);
}

/// Calls: the base and its tables once, and once more to see that nothing moved.
#[tokio::test(start_paused = true)]
async fn what_a_base_costs() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tables: Vec<BaseTable> =
        (0..5).map(|n| base.table(&format!("Table {n}")).records(10)).collect();
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), tables.len());
    assert_eq!(tenant.calls("GET", TABLES), 2);
    assert_eq!(tenant.calls("GET", FIELDS), 5);
    assert_eq!(tenant.calls("POST", SEARCH), 5);
    assert!(tenant.calls("GET", BASE) <= 2, "its revision, and its name");
}

/// The last attachment takes its folder with it.
#[tokio::test(start_paused = true)]
async fn no_empty_folder_is_left() {
    let tenant = tenant();
    let tasks = tenant.root().bitable("Plans").table("Tasks").records(3);
    tasks.attach(1, "a.txt", "a");
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    assert!(mirror.path("drive/Plans.assets").exists());
    a_minute().await;
    tasks.delete_record(1);
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["drive/Plans.tables/Tasks.json"]);
    assert!(!mirror.path("drive/Plans.assets").exists());
}

/// Two tables that swap their titles swap their names, and nothing goes into the trash.
#[tokio::test(start_paused = true)]
async fn two_tables_swap_their_names() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let (ours, yours) = (base.table("Ours").records(2), base.table("Yours").records(3));
    let mirror = Mirror::with(&tenant, &config("[\"csv\", \"json\"]"));
    mirror.sync().await.success();
    a_minute().await;
    base.rename_tab("Ours", "x").rename_tab("Yours", "Ours").rename_tab("x", "Yours");
    mirror.sync().await.success();
    for (table, title, records) in [(&ours, "Yours", 2), (&yours, "Ours", 3)] {
        let json = read(&mirror, &format!("drive/Plans.tables/{title}.json"));
        assert_eq!((&json["table"]["id"], len(&json["records"])), (&json!(table.id()), records));
        let csv = String::from_utf8(mirror.read(&format!("drive/Plans.tables/{title}.csv")));
        assert_eq!(csv.unwrap().lines().count(), records + 1, "{title}");
    }
    assert_eq!(mirror.files().len(), 4);
    assert_eq!(trashed(&mirror), 0);
}

/// What is too large is not asked for, and its record says why it is not there.
#[tokio::test(start_paused = true)]
async fn an_attachment_above_max_size_is_a_note() {
    let tenant = tenant();
    let tasks = tenant.root().bitable("Plans").table("Tasks").records(2);
    tasks.attach(0, "big.bin", vec![0; 2_000]);
    let small = tasks.attach(1, "small.bin", vec![0; 500]);
    let config = format!("{}\n[filter]\nmax_size = \"1 KiB\"\n", config("[\"json\"]"));
    let mirror = Mirror::with(&tenant, &config);
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 1);
    let table = read(&mirror, "drive/Plans.tables/Tasks.json");
    let shown = |n: usize| &table["records"][n]["fields"]["Attachment"][0];
    assert_eq!(shown(0)["missing"], "larger than max_size");
    let name = asset(&mirror, "Plans", &small);
    assert_eq!(shown(1)["file"], *name.rsplit('/').next().unwrap());
}

/// A base that may not be read any more fails, and its copy stays; one that is deleted goes
/// with all that belongs to it.
#[tokio::test(start_paused = true)]
async fn a_base_that_is_refused_stays_and_one_that_is_deleted_goes() {
    let tenant = tenant();
    tenant.root().upload("other.txt", "x");
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(2);
    tasks.attach(0, "a.txt", "a");
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    let before = mirror.snapshot();
    a_minute().await;
    tenant.add_user("somebody else", "u-else");
    tenant.strangers_fail(true);
    let base = base.advanced(&["somebody else"]);
    tasks.edit_record(0);
    mirror.sync().await.exits(2);
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    base.delete();
    mirror.sync().await.success();
    assert_eq!(mirror.files(), ["drive/other.txt"]);
    assert_eq!(trashed(&mirror), 2);
    assert!(!mirror.path("drive/Plans.assets").exists());
}

/// A base that fails at its very end has fetched its attachments: the next run needs only
/// the tables, and nothing is left in staging.
#[tokio::test(start_paused = true)]
async fn attachments_outlive_a_base_that_fails_at_its_end() {
    let tenant = tenant();
    let tasks = tenant.root().bitable("Plans").table("Tasks").records(5);
    let tokens: Vec<_> = (0..5).map(|n| tasks.attach(n, "a.txt", format!("file {n}"))).collect();
    tenant.fault(Fault::new("GET", TABLES, Effect::status(500, 1_255_040)).nth(2).times(1_000));
    let mirror = mirror_of(&tenant);
    let run = mirror.sync().await.exits(2);
    assert_eq!(run.failures().len(), 1);
    assert_eq!(tenant.calls("GET", MEDIA), 5);
    let staged = walkdir::WalkDir::new(mirror.state("staging")).into_iter().flatten();
    let staged: Vec<_> = staged.filter(|at| at.file_type().is_file()).collect();
    assert!(staged.is_empty(), "{staged:?}");
    assert_eq!(mirror.files().len(), 5);

    tenant.calm().forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", MEDIA), 0, "they are there");
    let shown = read(&mirror, "drive/Plans.tables/Tasks.json");
    let name = |n: usize| shown["records"][n]["fields"]["Attachment"][0]["file"].clone();
    for (n, token) in tokens.iter().enumerate() {
        assert_eq!(name(n), json!(format!("{token}.txt")));
    }
}

/// Without the scope for attachments a base is copied, and says what is missing.
#[tokio::test(start_paused = true)]
async fn a_missing_scope_for_attachments_is_a_note() {
    let tenant = tenant();
    let tasks = tenant.root().bitable("Plans").table("Tasks").records(2);
    tasks.attach(0, "a.txt", "a");
    tenant.fault(Fault::new("GET", MEDIA, Effect::status(400, 99_991_672)));
    let mirror = mirror_of(&tenant);
    let run = mirror.sync().await.success();
    assert_eq!(run.err.matches("/drive/v1/medias/").count(), 1, "{}", run.err);
    let shown = read(&mirror, "drive/Plans.tables/Tasks.json");
    assert_eq!(shown["records"][0]["fields"]["Attachment"][0]["missing"], "may not be read");
    assert_eq!(len(&shown["records"]), 2);
}

/// An edit of a base brings back what was lost beside it.
#[tokio::test(start_paused = true)]
async fn an_edit_of_a_base_that_lost_an_attachment() {
    let tenant = tenant();
    let base = tenant.root().bitable("Plans");
    let tasks = base.table("Tasks").records(10);
    let file = tasks.attach(4, "photo.png", "png bytes");
    let mirror = mirror_of(&tenant);
    mirror.sync().await.success();
    let asset = asset(&mirror, "Plans", &file);
    std::fs::remove_file(mirror.path(&asset)).unwrap();
    a_minute().await;
    tasks.edit_record(0);
    mirror.sync().await.success();
    assert_eq!(mirror.read(&asset), b"png bytes");
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
}
