//! Tables of a base: fields, views, records. docs: bitable-v1/app-table-field/list,
//! app-table-view/list, app-table-record/search.

use serde_json::{Map, Value, json};

use super::super::bases::Table;
use super::super::content;
use super::super::state::{ObjId, State};
use super::{Reply, Req, bitable, page};

fn find(state: &State, request: &Req<'_>) -> Result<(ObjId, Table), Reply> {
    let id = bitable::find(state, request)?;
    let table = state.table(id, request.params[1]);
    let table = table.ok_or_else(|| Reply::error(200, 1_254_041, "TableIdNotFound"))?;
    Ok((id, table))
}

/// The page that a call asks for, and what it says of the pages after it.
fn cut(
    state: &State,
    request: &Req<'_>,
    total: usize,
    max: usize,
    seal: &str,
) -> Result<(page::Page, Value), Reply> {
    let size: usize = match request.query("page_size").unwrap_or("20").parse() {
        Ok(size) if size >= 1 => size,
        _ => return Err(Reply::error(400, 1_254_011, "page size must greater than 0")),
    };
    if size > max {
        return Err(Reply::error(400, 99_992_402, "field validation failed"));
    }
    let token = request.query("page_token");
    let page = page::cut(total, size.min(state.knobs.longest_page), token, seal);
    let page = page.ok_or_else(|| Reply::error(400, 1_254_002, "Fail"))?;
    let mut data = json!({"total": total, "has_more": page.next.is_some()});
    if let Some(next) = &page.next {
        data["page_token"] = next.as_str().into();
    }
    Ok((page, data))
}

/// `GET /bitable/v1/apps/:app_token/tables/:table_id/fields`
pub fn fields(state: &mut State, request: &Req<'_>) -> Reply {
    let found = find(state, request).and_then(|(id, table)| {
        let cut = cut(state, request, table.fields.len(), 100, &format!("fields {id}"))?;
        Ok((table, cut))
    });
    let (table, (page, mut data)) = match found {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    let as_array = request.query("text_field_as_array") == Some("true");
    let from = page.from;
    let items = table.fields[page.from..page.to].iter().enumerate().map(|(n, field)| {
        let primary = from + n == 0;
        let text = if primary { "什么事" } else { "" };
        json!({
            "field_id": field.id,
            "field_name": field.name,
            "type": field.ty,
            "ui_type": content::ui_type(field),
            "property": content::property(field, request.params[1]),
            "description": if as_array { json!([{"type": "text", "text": text}]) } else { json!(text) },
            "is_primary": primary,
            "is_hidden": false,
        })
    });
    data["items"] = items.collect();
    Reply::data(data)
}

/// `GET /bitable/v1/apps/:app_token/tables/:table_id/views`
pub fn views(state: &mut State, request: &Req<'_>) -> Reply {
    let found = find(state, request).and_then(|(id, table)| {
        let cut = cut(state, request, table.views.len(), 100, &format!("views {id}"))?;
        Ok((table, cut))
    });
    let (table, (page, mut data)) = match found {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    let items = table.views[page.from..page.to].iter().map(|(id, title)| {
        json!({"view_id": id, "view_name": title, "view_type": "grid", "view_public_level": "Public"})
    });
    data["items"] = items.collect();
    Reply::data(data)
}

/// `POST /bitable/v1/apps/:app_token/tables/:table_id/records/search`
pub fn search(state: &mut State, request: &Req<'_>) -> Reply {
    let (id, table) = match find(state, request) {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    let Some(body) = request.json.as_object() else {
        return Reply::error(400, 9499, "Bad Request");
    };
    if let Some(reply) = unanswerable(&table, body) {
        return reply;
    }
    let members = state.extras.get(&id).and_then(|extra| extra.members.as_ref());
    let stranger = members
        .is_some_and(|members| request.caller().user.is_none_or(|user| !members.contains(&user)));
    if stranger && state.knobs.strangers_fail {
        return Reply::error(403, 1_254_302, "Permission denied.");
    }
    let total = if stranger { 0 } else { table.len() };
    let seal = format!("records {id} {} {}", request.params[1], Value::from(body.clone()));
    let (page, mut data) = match cut(state, request, total, 500, &seal) {
        Ok(cut) => cut,
        Err(reply) => return reply,
    };
    let automatic = body.get("automatic_fields").and_then(Value::as_bool).unwrap_or(false);
    let names = body.get("field_names").and_then(Value::as_array);
    let wanted =
        |name: &str| names.is_none_or(|names| names.is_empty() || names.iter().any(|n| n == name));
    let at = content::Place { obj: id, table: request.params[1], origin: request.origin };
    let numbers = table.records().skip(page.from).take(page.to - page.from);
    let items = numbers.map(|number| {
        let mut shown = Map::new();
        content::record(state, &table, at, number, automatic, wanted, &mut shown);
        Value::Object(shown)
    });
    data["items"] = items.collect();
    if data["items"].to_string().len() > state.knobs.records_limit {
        return Reply::error(200, 1_254_030, "TooLargeResponse");
    }
    Reply::data(data)
}

/// What this tenant cannot answer is refused, never ignored.
fn unanswerable(table: &Table, body: &Map<String, Value>) -> Option<Reply> {
    let list = |key: &str| body.get(key).and_then(Value::as_array).map(Vec::as_slice);
    if body.get("filter").is_some_and(|filter| !filter.is_null()) {
        return Some(Reply::error(400, 1_254_018, "InvalidFilter"));
    }
    if list("sort").is_some_and(|sort| !sort.is_empty()) {
        return Some(Reply::error(400, 1_254_016, "InvalidSort"));
    }
    if let Some(view) = body.get("view_id").and_then(Value::as_str)
        && table.views.iter().all(|(id, _)| id != view)
    {
        return Some(Reply::error(200, 1_254_042, "ViewIdNotFound"));
    }
    let names = list("field_names").unwrap_or_default();
    let known = |name: &Value| table.fields.iter().any(|field| *name == field.name.as_str());
    if names.len() > 200 || !names.iter().all(known) {
        return Some(Reply::error(200, 1_254_045, "FieldNameNotFound"));
    }
    None
}
