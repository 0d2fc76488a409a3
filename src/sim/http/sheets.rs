//! Spreadsheets: their sheets and their revision. docs: sheets-v3/spreadsheet,
//! sheets-v3/spreadsheet-sheet/query, sheets v2 "get spreadsheet metadata".

use serde_json::{Value, json};

use super::super::look;
use super::super::state::{ObjId, State};
use super::{Reply, Req, values};
use crate::model::ObjType;

pub fn find(state: &State, request: &Req<'_>, old: bool) -> Result<ObjId, Reply> {
    // The older calls have codes of their own.
    let code = |new, older| if old { older } else { new };
    let found = state.find_obj(request.params[0]);
    let found = found.filter(|id| state.obj(*id).ty == ObjType::Sheet);
    let id = found.ok_or_else(|| Reply::error(400, code(1_310_214, 90_214), "not found"))?;
    if !state.obj_alive(id) {
        return Err(Reply::error(400, code(1_310_249, 90_214), "spreadsheet deleted"));
    }
    if !state.may_read_obj(request.caller(), id) {
        return Err(Reply::error(400, code(1_310_213, 90_213), "permission fail"));
    }
    Ok(id)
}

/// `GET /sheets/v3/spreadsheets/:spreadsheet_token`
pub fn spreadsheet(state: &mut State, request: &Req<'_>) -> Reply {
    match find(state, request, false) {
        Ok(id) => {
            let token = state.obj_token(id);
            Reply::data(json!({"spreadsheet": {
                "title": state.obj(id).title,
                "owner_id": state.users[0].open_id,
                "url": look::url("sheet", &token),
                "token": token,
            }}))
        }
        Err(reply) => reply,
    }
}

/// `GET /sheets/v3/spreadsheets/:spreadsheet_token/sheets/query`
pub fn query(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request, false) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let sheets: Vec<Value> = state
        .tabs(id)
        .into_iter()
        .enumerate()
        .map(|(n, tab)| {
            let mut sheet = json!({
                "sheet_id": tab.id,
                "title": tab.title,
                "index": n,
                "hidden": false,
                "resource_type": if tab.cells { "sheet" } else { "bitable" },
            });
            if tab.cells {
                let (rows, columns) = grid(state, id, &tab.id);
                sheet["grid_properties"] = json!({
                    "frozen_row_count": 0, "frozen_column_count": 0,
                    "row_count": rows, "column_count": columns,
                });
            }
            sheet
        })
        .collect();
    Reply::data(json!({"sheets": sheets}))
}

/// `GET /sheets/v2/spreadsheets/:spreadsheet_token/metainfo`
pub fn metainfo(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request, true) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let token = state.obj_token(id);
    let tabs = state.tabs(id);
    let sheets: Vec<Value> = tabs
        .iter()
        .enumerate()
        .map(|(n, tab)| {
            let (rows, columns) = grid(state, id, &tab.id);
            let mut sheet = json!({
                "sheetId": tab.id, "title": tab.title, "index": n, "rowCount": rows,
                "columnCount": columns, "frozenRowCount": 0, "frozenColCount": 0,
            });
            if !tab.cells {
                sheet["blockInfo"] = json!({
                    "blockToken": format!("{token}_{}", tab.id),
                    "blockType": "BITABLE_BLOCK",
                });
            }
            sheet
        })
        .collect();
    Reply::data(json!({
        "spreadsheetToken": token,
        "properties": {
            "title": state.obj(id).title,
            "ownerUser": 6_900_000_000_000_000_001_u64,
            "ownerUserID": state.users[0].open_id,
            "sheetCount": tabs.len(),
            "revision": state.obj(id).revision,
        },
        "sheets": sheets,
    }))
}

/// Rows and columns of a sheet.
fn grid(state: &State, id: ObjId, sheet: &str) -> (usize, usize) {
    values::grid(&values::cells(state, id, sheet).unwrap_or_default())
}
