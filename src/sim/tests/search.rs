//! Search, as docs: search-v2/doc_wiki/search has it.

use super::*;

async fn search(tenant: &Tenant, token: &str, body: Value) -> Got {
    post_as(tenant, token, "/search/v2/doc_wiki/search", body).await
}

fn titles(got: &Got) -> Vec<String> {
    let units = got.json()["data"]["res_units"].as_array().cloned().unwrap_or_default();
    let title = |unit: &Value| unit["title_highlighted"].as_str().unwrap().to_owned();
    units.iter().map(title).collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_edited_come_first_page_by_page() {
    let tenant = quiet();
    let space = tenant.space("Team");
    for n in 0..25 {
        space.docx(&format!("Node {n}"));
    }
    tenant.root().docx("In Drive").edit("now");
    space.docx("Edited").edit("now");
    let asked = json!({"query": "", "wiki_filter": {"sort_type": "EDIT_TIME"}, "page_size": 20});
    let first = search(&tenant, USER_TOKEN, asked.clone()).await;
    assert_eq!(titles(&first).len(), 20);
    assert_eq!(titles(&first)[..2], ["Edited", "Node 24"], "and nothing of Drive");
    let data = &first.json()["data"];
    assert_eq!((&data["total"], &data["has_more"]), (&json!(26), &json!(true)));
    let unit = &data["res_units"][0];
    assert_eq!(unit["entity_type"], "WIKI");
    assert_eq!(unit["result_meta"]["doc_types"], "DOCX");
    assert_eq!(unit["result_meta"]["update_time"], NOW);
    let mut next = asked.clone();
    next["page_token"] = data["page_token"].clone();
    let second = search(&tenant, USER_TOKEN, next.clone()).await;
    assert_eq!(titles(&second).len(), 6);
    assert_eq!(second.json()["data"]["has_more"], false);
    next["query"] = json!("Node");
    assert_eq!(search(&tenant, USER_TOKEN, next).await.code(), 99_992_402, "another search's");

    let found = json!({"query": "Drive", "doc_filter": {}});
    assert_eq!(titles(&search(&tenant, USER_TOKEN, found).await), ["In <h>Drive</h>"]);
}

#[tokio::test(start_paused = true)]
async fn an_index_is_behind_and_shows_only_what_may_be_read() {
    let tenant = quiet();
    tenant.search_delay(Duration::from_secs(300));
    let space = tenant.space("Team");
    space.docx("Old").edit("now");
    let new = space.docx("New").created_at(NOW);
    space.docx("Secret").forbid();
    let other = tenant.space("Other");
    other.docx("Elsewhere");
    let asked = json!({"wiki_filter": {"sort_type": "EDIT_TIME", "space_ids": [space.token()]}});
    assert_eq!(titles(&search(&tenant, USER_TOKEN, asked.clone()).await), ["Old"]);
    tokio::time::advance(Duration::from_secs(301)).await;
    new.edit("later");
    assert_eq!(titles(&search(&tenant, USER_TOKEN, asked).await), ["New", "Old"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_wrongly_is_refused() {
    let tenant = quiet();
    let app = app_token(&tenant).await;
    let cases = [
        (json!({"query": ""}), 1_274_001, "no filter"),
        (json!({"doc_filter": {"sort_type": "NEWEST"}}), 1_274_002, "no such order"),
        (json!({"doc_filter": {"doc_types": ["docx"]}}), 1_274_002, "no such type"),
        (json!({"doc_filter": {}, "page_size": 21}), 99_992_402, "too large a page"),
        (json!({"doc_filter": {}, "query": "x".repeat(51)}), 99_992_402, "too long"),
        (
            json!({"doc_filter": {}, "wiki_filter": {"space_ids": ["7"]}}),
            99_992_402,
            "a space of what is no wiki",
        ),
    ];
    for (body, code, why) in cases {
        assert_eq!(search(&tenant, USER_TOKEN, body).await.code(), code, "{why}");
    }
    let fine = json!({"doc_filter": {}, "wiki_filter": {}});
    assert_eq!(search(&tenant, USER_TOKEN, fine.clone()).await.code(), 0);
    assert_eq!(search(&tenant, &app, fine).await.code(), 99_991_663, "an app may not");
}
