//! Scopes and the developer console, what an app learns of itself, and the clock.

use super::*;

fn violations(got: &Got) -> Vec<String> {
    let json = got.json();
    let list = json["error"]["permission_violations"].as_array().unwrap();
    list.iter().map(|row| row["subject"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_needs_a_scope_that_is_enabled_published_and_granted() {
    let tenant = quiet();
    let list = "/drive/v1/files";
    let app = app_token(&tenant).await;
    let issued = tenant.issue_token("demo");
    for token in [USER_TOKEN, &issued, &app] {
        assert_eq!(get_as(&tenant, token, list).await.code(), 0, "everything is open at first");
    }
    tenant.enable_scopes(&["docx:document:readonly"]);
    assert_eq!(get_as(&tenant, &app, list).await.code(), 0, "the version is still the old one");
    tenant.publish();
    for token in [USER_TOKEN, &issued, &app] {
        let got = get_as(&tenant, token, list).await;
        assert_eq!((got.status, got.code()), (400, 99_991_672));
        let wanted = ["drive:drive", "drive:drive:readonly", "space:document:retrieve"];
        assert_eq!(violations(&got), wanted, "any one of them");
        let help = got.json()["error"]["helps"][0]["url"].as_str().unwrap().to_owned();
        assert!(help.contains("/app/cli_demo/auth?q=drive:drive,"), "{help}");
    }
    tenant.enable_scopes(&["docx:document:readonly", "space:document:retrieve"]);
    assert_eq!(get(&tenant, list).await.code(), 99_991_672, "enabled, but not published");
    tenant.publish();
    assert_eq!(get(&tenant, list).await.code(), 0);
    assert_eq!(get_as(&tenant, &app, list).await.code(), 0);

    tenant.refuse_scopes("demo", &["space:document:retrieve"]);
    let login = tenant.log_in("demo");
    assert_eq!(login.scope, "docx:document:readonly");
    let got = get_as(&tenant, &login.access_token, list).await;
    assert_eq!((got.status, got.code()), (400, 99_991_679));
    assert!(violations(&got).contains(&"space:document:retrieve".to_owned()));
    assert_eq!(get_as(&tenant, &login.access_token, "/authen/v1/user_info").await.code(), 0);
    tenant.refuse_scopes("demo", &[]);
    let again = tenant.log_in("demo").access_token;
    assert_eq!(get_as(&tenant, &again, list).await.code(), 0);
}

/// The least powerful scopes, each with a call that it opens and that others do not.
#[tokio::test(start_paused = true)]
async fn each_family_has_its_own_scopes() {
    let tenant = quiet();
    let root = tenant.root();
    let doc = root.docx("Plan").token();
    let cases = [
        ("space:document:retrieve", "/drive/v1/files".to_owned()),
        ("drive:drive.metadata:readonly", "/drive/explorer/v2/root_folder/meta".to_owned()),
        (
            "drive:file:download",
            format!("/drive/v1/files/{}/download", root.upload("a", "1").token()),
        ),
        (
            "docs:document.media:download",
            "/drive/v1/medias/batch_get_tmp_download_url?file_tokens=x".to_owned(),
        ),
        ("docs:document:export", "/drive/v1/export_tasks/7?token=x".to_owned()),
        ("docx:document:readonly", format!("/docx/v1/documents/{doc}")),
        ("docs:doc:readonly", format!("/doc/v2/meta/{}", root.doc("Old").token())),
        ("wiki:space:retrieve", "/wiki/v2/spaces".to_owned()),
        ("wiki:space:read", "/wiki/v2/spaces/7".to_owned()),
        ("wiki:node:read", "/wiki/v2/spaces/get_node?token=x".to_owned()),
        ("wiki:node:retrieve", "/wiki/v2/spaces/7/nodes".to_owned()),
        (
            "sheets:spreadsheet:readonly",
            format!("/sheets/v3/spreadsheets/{}", root.sheet("S").token()),
        ),
        ("base:app:read", format!("/bitable/v1/apps/{}", root.bitable("B").token())),
        ("base:table:read", format!("/bitable/v1/apps/{}/tables", root.bitable("C").token())),
    ];
    for (scope, path) in &cases {
        tenant.enable_scopes(&[scope]).publish();
        assert_ne!(get(&tenant, path).await.json()["code"], 99_991_672, "{scope} opens {path}");
        // Some scopes open the calls of several families.
        let also: &[&str] = match *scope {
            "docs:document.media:download" => &["docs:doc:readonly", "sheets:spreadsheet:readonly"],
            "docs:doc:readonly" => &["drive:drive.metadata:readonly"],
            _ => &[],
        };
        let others = cases.iter().map(|case| case.0);
        let others: Vec<&str> = others.filter(|s| s != scope && !also.contains(s)).collect();
        tenant.enable_scopes(&others).publish();
        assert_eq!(get(&tenant, path).await.json()["code"], 99_991_672, "{path} without {scope}");
    }
    // Coarse ones that one might expect to be enough, and are not.
    tenant.enable_scopes(&["drive:drive:readonly"]).publish();
    let metas = json!({"request_docs": [{"doc_token": doc, "doc_type": "docx"}]});
    let got = post(&tenant, "/drive/v1/metas/batch_query", metas).await;
    assert_eq!(got.code(), 99_991_672);
    tenant.enable_scopes(&["drive:drive"]).publish();
    let task = json!({"file_extension": "docx", "token": doc, "type": "docx"});
    assert_eq!(post(&tenant, "/drive/v1/export_tasks", task).await.code(), 99_991_672);
}

#[tokio::test(start_paused = true)]
async fn an_app_can_ask_what_it_may() {
    let tenant = quiet();
    let app = app_token(&tenant).await;
    let path = "/application/v6/scopes";
    let all = get_as(&tenant, &app, path).await.json()["data"]["scopes"].clone();
    let all = all.as_array().unwrap();
    assert!(all.iter().all(|row| row["grant_status"] == 1) && all.len() > 50, "{}", all.len());

    tenant.enable_scopes(&["docx:document", "search:docs:read", "offline_access"]).publish();
    tenant.enable_scopes(&["docx:document", "offline_access", "vc:meeting.all_meeting:readonly"]);
    let got = get_as(&tenant, &app, path).await.json()["data"]["scopes"].clone();
    let row = |name, kind, status| json!({"scope_name": name, "scope_type": kind, "grant_status": status});
    let wanted = json!([
        row("docx:document", "tenant", 1),
        row("docx:document", "user", 1),
        row("offline_access", "user", 1),
        row("search:docs:read", "user", 1),
        row("vc:meeting.all_meeting:readonly", "tenant", 2),
    ]);
    assert_eq!(got, wanted);
    let got = get(&tenant, path).await;
    assert_eq!(got.code(), 99_991_668, "a user's token is not for this");
    tenant.app_is(AppStanding::NotInstalled);
    assert_eq!(get_as(&tenant, &app, path).await.code(), 212_100);
}

#[tokio::test(start_paused = true)]
async fn an_app_can_look_itself_up() {
    let tenant = quiet();
    tenant.add_app("cli_other", &format!("other-{CANARY}"));
    let app = app_token(&tenant).await;
    let ask = async |id: &str| {
        get_as(&tenant, &app, &format!("/application/v6/applications/{id}?lang=zh_cn")).await
    };
    let got = ask(APP_ID).await.json()["data"]["app"].clone();
    let owner = tenant.log_in("demo").open_id;
    assert_eq!((&got["app_id"], &got["creator_id"]), (&json!(APP_ID), &json!(owner)));
    assert_eq!(got["owner"]["owner_id"], owner.as_str());
    assert!(!got.to_string().contains(CANARY));
    tenant.enable_scopes(&["application:application:self_manage", "docx:document"]).publish();
    tenant.enable_scopes(&[]);
    let got = ask("me").await.json()["data"]["app"]["scopes"].clone();
    let kinds: Vec<_> = got.as_array().unwrap().iter().map(|row| &row["token_types"]).collect();
    assert_eq!(kinds, [&json!(["tenant"]), &json!(["tenant", "user"])], "{got}");
    assert_eq!(ask("cli_other").await.code(), 210_508, "that takes another scope");
    assert_eq!(ask("cli_nobody").await.code(), 210_506);
    let bare = get_as(&tenant, &app, "/application/v6/applications/me").await;
    assert_eq!(bare.code(), 99_992_402, "lang is required");
    tenant.enable_scopes(&["docx:document"]).publish();
    assert_eq!(ask("me").await.code(), 99_991_672);
}

#[tokio::test(start_paused = true)]
async fn time_jumps_where_it_is_told_to() {
    let tenant = quiet();
    let now = async || get(&tenant, "/sim/clock").await.json()["data"]["now_millis"].clone();
    assert_eq!(now().await, NOW * 1000);
    assert_eq!(tenant.clock().now_secs(), NOW);
    let clock = tenant.clock();
    tenant.jump(Duration::from_millis(1500));
    assert_eq!(now().await, NOW * 1000 + 1500);
    let got = post(&tenant, "/sim/clock", json!({"jump_secs": 86_400})).await;
    assert_eq!(got.json()["data"]["now_millis"], NOW * 1000 + 1500 + 86_400_000);
    assert_eq!(clock.now_secs(), NOW + 86_401, "clocks handed out before follow");
    for body in [json!({}), json!({"jump_secs": -1}), json!({"jump_secs": "1"})] {
        assert_eq!(post(&tenant, "/sim/clock", body).await.status, 400);
    }
    let date = get(&tenant, "/sim/clock").await.header("date").to_owned();
    let date = httpdate::parse_http_date(&date).unwrap();
    let date = date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(i64::try_from(date).unwrap(), NOW + 86_401);
    assert_eq!(get_as(&tenant, USER_TOKEN, "/drive/v1/files").await.code(), 0, "does not expire");
}

#[tokio::test(start_paused = true)]
async fn every_secret_carries_the_canary() {
    let tenant = quiet();
    let app = app_token(&tenant).await;
    assert!(app.starts_with("t-"));
    let issued = tenant.issue_token("demo");
    assert!(issued.starts_with("u-") && USER_TOKEN.starts_with("u-"));
    let login = tenant.log_in("demo");
    let refresh = login.refresh_token.unwrap();
    for secret in [APP_SECRET, USER_TOKEN, &app, &issued, &login.access_token, &refresh] {
        assert!(secret.contains(CANARY), "{secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn login_calls_are_counted_for_each_app() {
    let tenant = Tenant::new(clock());
    tenant.add_app("cli_other", &format!("other-{CANARY}"));
    let ask = async |app: &str| {
        ask_token(&tenant, &[("grant_type", "password"), ("client_id", app)]).await
    };
    for _ in 0..50 {
        assert_eq!(ask(APP_ID).await.code(), 20_036);
    }
    let got = ask(APP_ID).await;
    assert_eq!((got.status, got.code()), (429, 99_991_400), "50 a second");
    assert_eq!(ask("cli_other").await.code(), 20_036);
}
