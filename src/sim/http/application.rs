//! What an app can learn of itself.
//!
//! docs: application-v6/scope/list and application-v6/application/get.

use serde_json::{Value, json};

use super::super::apps::AppStanding;
use super::super::scopes::{self, APP_ADMIN};
use super::super::state::State;
use super::{Body, Reply, Req};

/// `GET /application/v6/scopes`: what is enabled, and whether it is granted to the
/// tenant, which a version's publication does.
pub fn scopes(state: &mut State, request: &Req<'_>) -> Reply {
    let app = &state.apps[request.caller().app];
    if app.standing == AppStanding::NotInstalled {
        return Reply::error(400, 212_100, "the app is not installed in this tenant");
    }
    let mut names = app.enabled.names();
    names.extend(app.published.names());
    let rows: Vec<Value> = names
        .iter()
        .flat_map(|name| {
            let status = if app.published.has(name) { 1 } else { 2 };
            scopes::kinds(name).iter().map(
                move |kind| json!({"scope_name": name, "scope_type": kind, "grant_status": status}),
            )
        })
        .collect();
    Reply::data(json!({"scopes": rows}))
}

/// `GET /application/v6/applications/:app_id`
pub fn get(state: &mut State, request: &Req<'_>) -> Reply {
    if !matches!(request.query("lang"), Some("zh_cn" | "en_us" | "ja_jp")) {
        let violation = json!({"field": "lang", "value": request.query("lang").unwrap_or(""),
            "description": "lang is required: zh_cn, en_us or ja_jp"});
        let envelope = json!({"code": 99_992_402, "msg": "field validation failed",
            "error": {"field_violations": [violation]}});
        let (code, body) = (99_992_402, Body::Json(envelope));
        return Reply { status: 400, code, headers: Vec::new(), body };
    }
    let own = request.caller().app;
    let app = match request.params[0] {
        "me" => Some(own),
        id => state.apps.iter().position(|app| app.id == id),
    };
    let Some(app) = app else {
        return Reply::error(400, 210_506, "no such app");
    };
    if app != own && !state.apps[own].published.has(APP_ADMIN) {
        return Reply::error(400, 210_508, "insufficient permission level");
    }
    let app = &state.apps[app];
    let creator = &state.users[app.creator as usize];
    let granted: Vec<Value> = app
        .published
        .names()
        .iter()
        .map(|name| {
            json!({"scope": name, "description": name, "level": 1,
                "token_types": scopes::kinds(name)})
        })
        .collect();
    Reply::data(json!({"app": {
        "app_id": app.id,
        "app_name": "Demo",
        "creator_id": creator.open_id,
        "owner": {"type": 2, "owner_id": creator.open_id, "name": creator.name},
        "status": 1,
        "redirect_urls": app.redirects,
        "scopes": granted,
    }}))
}
