//! Folders, wikis, metadata, edits, identities, fixtures.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_root_listing_is_whole_and_has_no_shortcuts() {
    let tenant = quiet();
    let root = tenant.root();
    for n in 0..250 {
        root.docx(&format!("doc {n}"));
    }
    let target = root.folder("Plans").docx("Roadmap");
    root.shortcut_to(&target);

    let whole = get(&tenant, "/drive/v1/files?page_size=10").await.json();
    assert_eq!(whole["data"]["files"].as_array().unwrap().len(), 251);
    assert_eq!(whole["data"]["has_more"], false);

    let meta = get(&tenant, "/drive/explorer/v2/root_folder/meta").await.json();
    let token = meta["data"]["token"].as_str().unwrap();
    assert_eq!(token, root.token());
    let files = drive_files(&tenant, token, 100).await;
    assert_eq!(files.len(), 252, "by its real token it pages and shows shortcuts");
    assert_eq!((&files[0]["name"], &files[251]["name"]), (&json!("doc 0"), &json!("Roadmap")));

    let listed = get(&tenant, &format!("/drive/v1/files?folder_token={token}")).await.json();
    let newest = &listed["data"]["files"][0];
    assert_eq!(newest["type"], "shortcut", "by default the last edited comes first");
    assert_eq!(newest["shortcut_info"]["target_token"], target.token());
    assert!(newest["modified_time"].is_string());
    root.children()[251].hide_target();
    let listed = get(&tenant, &format!("/drive/v1/files?folder_token={token}")).await.json();
    assert_eq!(listed["data"]["files"][0].get("shortcut_info"), None);
}

#[tokio::test(start_paused = true)]
async fn a_wiki_is_walked_by_nodes() {
    let tenant = quiet();
    let space = tenant.space("Handbook");
    let home = space.docx("Home");
    for n in 0..70 {
        home.docx(&format!("page {n}"));
    }
    let link = space.shortcut_to(&home);
    tenant.space("Secret").forbid();
    let library = tenant.my_library();
    library.docx("Diary");
    let base = format!("/wiki/v2/spaces/{}/nodes", space.token());

    let spaces = get(&tenant, "/wiki/v2/spaces?page_size=50").await.json();
    assert_eq!(spaces["data"]["items"].as_array().unwrap().len(), 1, "no library, no secret");
    assert_eq!(get(&tenant, &format!("{base}?page_size=51")).await.code(), 131_002);
    assert_eq!(get(&tenant, "/wiki/v2/spaces/abc/nodes").await.code(), 131_002);

    let below = format!("{base}?page_size=50&parent_node_token={}", home.place_token());
    let first = get(&tenant, &below).await.json()["data"].clone();
    let next = first["page_token"].as_str().unwrap();
    let second = get(&tenant, &format!("{below}&page_token={next}")).await.json()["data"].clone();
    let count = |page: &Value| page["items"].as_array().unwrap().len();
    assert_eq!((count(&first), count(&second)), (50, 20));
    tenant.wiki_empty_pages(true);
    let empty = get(&tenant, &below).await.json()["data"].clone();
    assert_eq!((count(&empty), &empty["has_more"]), (0, &json!(true)));

    let node = format!("/wiki/v2/spaces/get_node?token={}", link.place_token());
    let node = get(&tenant, &node).await.json()["data"]["node"].clone();
    assert_eq!(node["node_type"], "shortcut");
    assert_eq!(node["obj_token"], home.token());
    assert_eq!(node["origin_node_token"], home.place_token());
    let by_obj = format!("/wiki/v2/spaces/get_node?token={}&obj_type=docx", home.token());
    assert_eq!(get(&tenant, &by_obj).await.json()["data"]["node"]["title"], "Home");
    home.delete();
    assert_eq!(get(&tenant, &by_obj).await.code(), 131_005);
    home.restore();
    home.forbid();
    assert_eq!(get(&tenant, &below).await.code(), 131_006);

    let mine = get(&tenant, "/wiki/v2/spaces/my_library").await.json();
    assert_eq!(mine["data"]["space"]["space_id"], library.token());
    let app = app_token(&tenant).await;
    assert_eq!(get_as(&tenant, &app, "/wiki/v2/spaces/my_library").await.code(), 131_005);
}

#[tokio::test(start_paused = true)]
async fn metas_tell_gone_from_hidden() {
    let tenant = quiet();
    let root = tenant.root();
    let (doc, gone, hidden) = (root.docx("a"), root.docx("b"), root.sheet("c"));
    let node = tenant.space("S").docx("n");
    gone.delete();
    hidden.forbid();
    tenant.metas_offset(2);
    let asked = json!({"with_url": true, "request_docs": [
        {"doc_token": doc.token(), "doc_type": "docx"},
        {"doc_token": node.place_token(), "doc_type": "wiki"},
        {"doc_token": gone.token(), "doc_type": "docx"},
        {"doc_token": hidden.token(), "doc_type": "sheet"},
        {"doc_token": doc.token(), "doc_type": "sheet"},
        {"doc_token": doc.token(), "doc_type": "novel"},
    ]});
    let data = post(&tenant, "/drive/v1/metas/batch_query", asked).await.json()["data"].clone();
    assert_eq!(data["metas"][0]["title"], "a");
    assert_eq!(data["metas"][0]["latest_modify_time"], (doc.edit_time() + 2).to_string());
    assert_eq!(data["metas"][1]["doc_token"], node.token());
    assert_eq!(data["metas"][1]["request_doc_info"]["doc_token"], node.place_token());
    let failed = data["failed_list"].as_array().unwrap();
    let codes: Vec<i64> = failed.iter().map(|f| f["code"].as_i64().unwrap()).collect();
    assert_eq!(codes, [970_005, 970_003, 970_005, 970_002]);
    let too_many =
        json!({"request_docs": vec![json!({"doc_token": "a", "doc_type": "docx"}); 201]});
    assert_eq!(post(&tenant, "/drive/v1/metas/batch_query", too_many).await.code(), 1_061_002);
}

#[tokio::test(start_paused = true)]
async fn edits_move_what_they_should() {
    let tenant = quiet();
    let doc = tenant.root().docx("Plan");
    let file = tenant.root().upload("a.bin", "1");
    let (old, revision) = (doc.edit_time(), doc.revision());
    assert!(old <= NOW - 3600, "settled");
    let look = || (doc.edit_time(), doc.revision());
    doc.rename_quietly("Plan B");
    assert_eq!(look(), (old, revision));
    doc.touch();
    assert_eq!(look(), (NOW, revision));
    tokio::time::sleep(Duration::from_secs(10)).await;
    doc.edit("x");
    assert_eq!(look(), (NOW + 10, revision + 1));
    doc.rename("Plan C");
    assert_eq!(look(), (NOW + 10, revision + 2));
    file.rename("b.bin");
    assert_eq!((file.edit_time(), file.revision()), (NOW + 10, 1));
    let path = format!("/docx/v1/documents/{}", doc.token());
    let document = get(&tenant, &path).await.json()["data"]["document"].clone();
    assert_eq!(document["revision_id"], revision + 2);
    let got = get(&tenant, "/drive/v1/files").await;
    assert_eq!(got.header("date"), "Mon, 21 Sep 2026 14:13:30 GMT", "NOW + 10 s");

    // A quiet rename changes no exported byte.
    let before = export(&tenant, &doc.token(), "docx", "docx", "").await;
    doc.rename_quietly("Plan D");
    assert_eq!(export(&tenant, &doc.token(), "docx", "docx", "").await, before);
}

#[tokio::test(start_paused = true)]
async fn identities_see_what_is_theirs() {
    let tenant = quiet();
    let plans = tenant.root().folder("Plans");
    let bob = format!("u-{CANARY}-bob");
    let theirs = tenant.add_user("Bob", &bob).docx("Bob's");
    let app = app_token(&tenant).await;
    let list = format!("/drive/v1/files?folder_token={}", plans.token());
    let who = async |token: &str| get_as(&tenant, token, &list).await.code();
    assert_eq!((who(&app).await, who(&bob).await), (0, 1_061_004));
    plans.share_with(&Who::User("Bob".to_owned()));
    tenant.app_sees_everything(false);
    assert_eq!((who(&app).await, who(&bob).await), (1_061_004, 0));
    plans.share_with(&Who::App);
    assert_eq!(who(&app).await, 0);
    plans.forbid();
    assert_eq!(
        (who(&app).await, who(&bob).await, who(USER_TOKEN).await),
        (1_061_004, 1_061_004, 1_061_004)
    );
    plans.allow();
    assert_eq!(who(USER_TOKEN).await, 0);
    let path = format!("/docx/v1/documents/{}", theirs.token());
    assert_eq!(get(&tenant, &path).await.code(), 1_770_032);
}

#[tokio::test(start_paused = true)]
async fn fixtures_and_seeds_make_tenants() {
    let demo = demo_tenant(clock());
    assert_eq!(demo_edits(&demo).len(), 5, "every edit finds what it edits");
    let titles = include_str!("../../../fixtures/tenants/titles.json");
    let titles = Tenant::from_fixture(titles, clock()).unwrap();
    assert_eq!(titles.root().children().len(), 25);
    let broken = [
        (r#"{"drive": [{"type": "shortcut", "to": "x"}]}"#, "no entry has this key"),
        (r#"{"drive": [{"type": "docx"}]}"#, "needs \"title\""),
        (r#"{"drives": []}"#, "unknown field `drives`"),
    ];
    for (json, message) in broken {
        let error = Tenant::from_fixture(json, clock()).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }

    let count = |item: &Item| {
        let mut todo = vec![item.clone()];
        let mut seen = 0;
        while let Some(item) = todo.pop() {
            let below = item.children();
            seen += below.len();
            todo.extend(below);
        }
        seen
    };
    let one = Tenant::generate(9, &Shape::of(500), clock());
    let two = Tenant::generate(9, &Shape::of(500), clock());
    assert_eq!(count(&one.root()), 300);
    let names = |t: &Tenant| t.root().children().iter().map(Item::title).collect::<Vec<_>>();
    assert_eq!(names(&one), names(&two));
}

/// Walks like a client does: by pages, from the roots down.
#[tokio::test(start_paused = true)]
async fn a_generated_tenant_can_be_walked_whole() {
    let shape = Shape { spaces: 3, ..Shape::of(1_500) };
    let tenant = Tenant::generate(4, &shape, clock());
    tenant.quotas(Quotas::none());
    let mut tokens = std::collections::BTreeSet::new();
    let mut todo = vec![tenant.root().token()];
    while let Some(folder) = todo.pop() {
        for file in drive_files(&tenant, &folder, 7).await {
            let token = file["token"].as_str().unwrap().to_owned();
            if file["type"] == "folder" {
                todo.push(token.clone());
            }
            assert!(tokens.insert(token), "every entry once");
        }
    }
    assert_eq!(tokens.len(), 900);

    let spaces = get(&tenant, "/wiki/v2/spaces").await.json()["data"]["items"].clone();
    let ids = spaces.as_array().unwrap().iter().map(|s| s["space_id"].as_str().unwrap());
    let mut todo: Vec<(String, String)> = ids.map(|id| (id.to_owned(), String::new())).collect();
    let mut nodes = 0;
    while let Some((space, parent)) = todo.pop() {
        let mut next = String::new();
        loop {
            let path = format!(
                "/wiki/v2/spaces/{space}/nodes?page_size=7&parent_node_token={parent}\
                 &page_token={next}"
            );
            let data = get(&tenant, &path).await.json()["data"].clone();
            for node in data["items"].as_array().unwrap() {
                nodes += 1;
                let token = node["node_token"].as_str().unwrap();
                assert_eq!(node["parent_node_token"], parent.as_str());
                if node["has_child"] == true {
                    todo.push((space.clone(), token.to_owned()));
                }
            }
            if data["has_more"] == false {
                break;
            }
            data["page_token"].as_str().unwrap().clone_into(&mut next);
        }
    }
    assert_eq!(nodes, 600);
}
