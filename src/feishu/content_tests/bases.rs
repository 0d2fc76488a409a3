//! Bases: tables, fields, records.

use std::collections::BTreeSet;

use super::*;

const SEARCH: &str = "/bitable/v1/apps/:app/tables/:table/records/search";

async fn all(client: &Client, base: &str, table: &str) -> Result<Vec<Record>, ApiError> {
    let (mut records, mut found) = (client.search_records(base, table), Vec::new());
    while let Some(page) = records.next().await? {
        found.extend(page.records);
    }
    assert!(records.next().await?.is_none(), "an ended listing stays ended");
    Ok(found)
}

#[tokio::test(start_paused = true)]
async fn every_type_of_field_has_its_value() {
    let tenant = tenant();
    let base = tenant.root().bitable("Base");
    let table = base.table("Tasks").records(60).view("Second");
    table.attach(2, "a.png", "png");
    let client = client(&tenant);
    let token = base.token();
    let info = client.get_base(&token).await.unwrap();
    assert_eq!((info.name.as_str(), info.is_advanced), ("Base", false));
    let tables = client.list_tables(&token).await.unwrap();
    assert_eq!((tables.len(), tables[0].name.as_str()), (1, "Tasks"));
    let fields = client.list_fields(&token, &tables[0].id).await.unwrap();
    assert_eq!(fields.len(), 24);
    assert!(fields[0].is_primary && !fields[1].is_primary);
    assert_eq!((fields[2].ty, fields[2].ui_type.as_deref()), (3, Some("SingleSelect")));
    assert_eq!(fields[2].property["options"].as_array().unwrap().len(), 4);
    let views = client.list_views(&token, &tables[0].id).await.unwrap();
    assert_eq!((views.len(), views[1].name.as_str(), views[0].ty.as_str()), (2, "Second", "grid"));

    let records = all(&client, &token, table.id()).await.unwrap();
    assert_eq!(records.len(), 60);
    // What each type looks like (docs: bitable, "data structure of records").
    let is = |ty: i64, value: &Value| match ty {
        1 => value[0]["text"].is_string(),
        2 => value.is_number(),
        3 | 13 | 24 | 1005 => value.is_string(),
        4 => value[0].is_string(),
        5 | 1001 | 1002 => value.is_i64(),
        7 => value.is_boolean(),
        11 | 23 | 1003 | 1004 => value[0]["id"].is_string(),
        15 => value["link"].is_string(),
        17 => value[0]["file_token"].is_string(),
        18 | 21 => value["link_record_ids"][0].is_string(),
        19 | 20 => value["type"].is_i64() && value["value"].is_array(),
        22 => value["full_address"].is_string(),
        other => panic!("type {other} has no value: {value}"),
    };
    let mut seen = BTreeSet::new();
    for record in &records {
        for (name, value) in &record.fields {
            let field = fields.iter().find(|field| field.name == *name).unwrap();
            assert!(is(field.ty, value), "{name}: {value}");
            seen.insert(field.ty);
        }
        assert!(record.created_ms.is_some() && record.modified_by["id"].is_string());
    }
    assert_eq!(seen.len(), 22, "all but the button and the unheard-of: {seen:?}");
    assert!(records.iter().any(|record| record.fields.len() < 21), "some cells are empty");
    assert_eq!(json!(records[5].fields), table.record(5)["fields"]);
}

#[tokio::test(start_paused = true)]
async fn fifty_thousand_records_come_page_by_page() {
    let tenant = tenant();
    let base = tenant.root().bitable("Base");
    let count = 50_000;
    let table = base.table("Big").fields(&[("Name", 1), ("Done", 7)]).records(count);
    let client = client(&tenant);
    let mut records = client.search_records(&base.token(), table.id());
    let mut ids = BTreeSet::new();
    while let Some(page) = records.next().await.unwrap() {
        assert!(page.records.len() <= 500, "one page at a time");
        assert_eq!(page.total, Some(count));
        ids.extend(page.records.into_iter().map(|record| record.id));
    }
    assert_eq!(ids.len() as u64, count);
    assert_eq!(tenant.calls("POST", SEARCH), 100);
    assert_eq!(tenant.rate_limited(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_too_large_is_halved_and_the_rest_stays_small() {
    let tenant = tenant();
    let base = tenant.root().bitable("Base");
    let table = base.table("Wide").records(1200);
    let client = client(&tenant);
    let whole = all(&client, &base.token(), table.id()).await.unwrap();
    tenant.forget_calls().records_limit(200_000);
    let halved = all(&client, &base.token(), table.id()).await.unwrap();
    assert_eq!(halved, whole);
    let pages = tenant.calls("POST", SEARCH);
    assert!((7..=12).contains(&pages), "two refusals at most, then small pages: {pages}");
    tenant.records_limit(100);
    let error = all(&client, &base.token(), table.id()).await.unwrap_err();
    assert_eq!(error.class, Class::Refused, "not even one record fits");
}

#[tokio::test(start_paused = true)]
async fn data_that_is_not_ready_is_waited_for() {
    let tenant = tenant();
    let base = tenant.root().bitable("Base");
    let table = base.table("Tasks").records(700);
    tenant.fault(Fault::new("POST", SEARCH, Effect::ErrorWith200(1_254_607)).nth(2).times(3));
    let client = client(&tenant);
    let begun = Instant::now();
    assert_eq!(all(&client, &base.token(), table.id()).await.unwrap().len(), 700);
    assert!(begun.elapsed() >= Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(tenant.calls("POST", SEARCH), 5, "the first page is not read again");
}

#[tokio::test(start_paused = true)]
async fn an_edit_moves_its_own_table_and_the_base() {
    let tenant = tenant();
    let base = tenant.root().bitable("Base");
    let tasks = base.table("Tasks").records(3);
    let other = base.table("Other").records(2);
    let file = tasks.attach(1, "a.txt", "hello");
    let client = client(&tenant);
    let token = base.token();
    let revisions = async || {
        let tables = client.list_tables(&token).await.unwrap();
        let tables: Vec<_> = tables.into_iter().map(|table| table.revision.unwrap()).collect();
        (client.get_base(&token).await.unwrap().revision.unwrap(), tables)
    };
    let (base_before, before) = revisions().await;
    let old = all(&client, &token, tasks.id()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    tasks.edit_record(1);
    let (base_after, after) = revisions().await;
    assert!(base_after > base_before);
    assert_eq!((after[0], after[1]), (before[0] + 1, before[1]), "the other one stays");
    let new = all(&client, &token, tasks.id()).await.unwrap();
    assert_eq!((&new[0], &new[2]), (&old[0], &old[2]));
    assert_ne!(new[1].fields, old[1].fields);
    assert!(new[1].modified_ms > old[1].modified_ms);
    assert_eq!(new[1].fields["Attachment"][0]["file_token"], file, "attachments stay");

    tasks.delete_record(0).rename_field("Number", "Count");
    tasks.edit_cell(2, "Text", json!([{"type": "text", "text": "mine"}]));
    assert_eq!(tasks.add_record(), 3);
    let last = all(&client, &token, tasks.id()).await.unwrap();
    let ids: Vec<_> = last.iter().map(|record| &record.id).collect();
    assert_eq!((ids[..2].to_vec(), ids.len()), (vec![&old[1].id, &old[2].id], 3));
    assert!(last.iter().all(|record| !record.fields.contains_key("Number")));
    assert_eq!(last[1].fields["Text"][0]["text"], "mine");
    assert_eq!(all(&client, &token, other.id()).await.unwrap().len(), 2);
    let error = all(&client, &token, "tblNothing").await.unwrap_err();
    assert_eq!(error.class, Class::Gone);
}

#[tokio::test(start_paused = true)]
async fn advanced_permissions_show_strangers_nothing() {
    let tenant = tenant();
    let base = tenant.root().bitable("Base").advanced(&["demo"]);
    let table = base.table("Tasks").records(3);
    let app = Credentials::App {
        app_id: crate::sim::APP_ID.to_owned(),
        app_secret: crate::sim::APP_SECRET.into(),
    };
    let (client, app) = (client(&tenant), client_as(&tenant, app));
    let token = base.token();
    assert!(app.get_base(&token).await.unwrap().is_advanced);
    assert_eq!(all(&client, &token, table.id()).await.unwrap().len(), 3);
    assert_eq!(all(&app, &token, table.id()).await.unwrap(), [], "no error: suspicious");
    tenant.strangers_fail(true);
    assert_eq!(all(&app, &token, table.id()).await.unwrap_err().class, Class::Forbidden);
}

/// A base that nobody filled record by record has the rows that its export prints.
#[tokio::test(start_paused = true)]
async fn an_untouched_base_has_records_too() {
    let tenant = tenant();
    let base = tenant.root().bitable("Base").text("Name,Count\nx,1\ny,");
    let client = client(&tenant);
    let tables = client.list_tables(&base.token()).await.unwrap();
    let records = all(&client, &base.token(), &tables[0].id).await.unwrap();
    let fields: Vec<_> = records.into_iter().map(|record| Value::Object(record.fields)).collect();
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    assert_eq!(
        fields,
        [json!({"Name": text("x"), "Count": text("1")}), json!({"Name": text("y")})]
    );
}
