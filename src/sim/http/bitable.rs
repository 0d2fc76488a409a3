//! Bases: their tables and their revision. docs: bitable-v1/app/get,
//! bitable-v1/app-table/list.

use serde_json::{Value, json};

use super::super::state::{ObjId, State};
use super::page;
use super::{Reply, Req};
use crate::model::ObjType;

pub fn find(state: &State, request: &Req<'_>) -> Result<ObjId, Reply> {
    let found = state.find_obj(request.params[0]);
    let found = found.filter(|id| state.obj(*id).ty == ObjType::Bitable);
    let id = found.filter(|id| state.obj_alive(*id));
    // The family's pages allow HTTP 200 and 4xx for one code; both are met here.
    let id = id.ok_or_else(|| Reply::error(200, 1_254_040, "BaseTokenNotFound"))?;
    if state.may_read_obj(request.caller(), id) {
        Ok(id)
    } else {
        Err(Reply::error(403, 1_254_302, "Permission denied."))
    }
}

/// `GET /bitable/v1/apps/:app_token`
pub fn app(state: &mut State, request: &Req<'_>) -> Reply {
    match find(state, request) {
        Ok(id) => Reply::data(json!({"app": {
            "app_token": state.obj_token(id),
            "name": state.obj(id).title,
            "revision": state.obj(id).revision,
            "is_advanced": state.extras.get(&id).is_some_and(|extra| extra.members.is_some()),
            "time_zone": "Asia/Shanghai",
        }})),
        Err(reply) => reply,
    }
}

/// `GET /bitable/v1/apps/:app_token/tables`
pub fn tables(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let Some(size) = page::size(state, request, 20, 100) else {
        return Reply::error(400, 1_254_011, "page size must greater than 0");
    };
    let tabs = state.tabs(id);
    let seal = format!("tables {id}");
    let Some(page) = page::cut(tabs.len(), size, request.query("page_token"), &seal) else {
        return Reply::error(400, 1_254_002, "Fail");
    };
    let items: Vec<Value> = tabs[page.from..page.to]
        .iter()
        .map(|tab| {
            let revision = state.table(id, &tab.id).map_or(1, |table| table.revision);
            json!({"table_id": tab.id, "revision": revision, "name": tab.title})
        })
        .collect();
    Reply::data(json!({
        "items": items,
        "total": tabs.len(),
        "has_more": page.next.is_some(),
        "page_token": page.next.unwrap_or_default(),
    }))
}
