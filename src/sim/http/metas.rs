//! Metadata in bulk. docs: drive-v1/meta/batch_query.

use serde_json::{Value, json};

use super::super::ids::Id;
use super::super::look;
use super::super::permit::Identity;
use super::super::state::{ObjId, State};
use super::{Reply, Req};

/// Type words that the call takes.
const TYPES: [&str; 10] = [
    "doc",
    "sheet",
    "bitable",
    "mindnote",
    "file",
    "wiki",
    "docx",
    "folder",
    "synced_block",
    "slides",
];

/// `POST /drive/v1/metas/batch_query`
pub fn batch_query(state: &mut State, request: &Req<'_>) -> Reply {
    let who = request.caller();
    let asked = request.json["request_docs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if asked.is_empty() || asked.len() > 200 {
        return Reply::error(400, 1_061_002, "params error.");
    }
    let with_url = request.json["with_url"].as_bool().unwrap_or(false);
    let (mut metas, mut failed) = (Vec::new(), Vec::new());
    for doc in asked {
        let (Some(token), Some(ty)) = (doc["doc_token"].as_str(), doc["doc_type"].as_str()) else {
            return Reply::error(400, 1_061_002, "params error.");
        };
        match resolve(state, who, token, ty) {
            Ok(obj) => metas.push(meta(state, obj, token, ty, with_url)),
            Err(code) => failed.push(json!({"token": token, "code": code})),
        }
    }
    let mut data = json!({"metas": metas});
    if !failed.is_empty() {
        data["failed_list"] = failed.into();
    }
    Reply::data(data)
}

/// The object, or the code for `failed_list`.
fn resolve(state: &State, who: Identity, token: &str, ty: &str) -> Result<ObjId, i64> {
    if !TYPES.contains(&ty) {
        return Err(970_002);
    }
    let (place, obj) = match state.find(token) {
        Some(Id::Place(place)) if ty == "wiki" && state.space_of(place).is_some() => {
            (place, state.place(place).obj)
        }
        Some(Id::Obj(obj)) if state.obj(obj).ty.as_str() == ty => (state.obj(obj).home, obj),
        _ => return Err(970_005),
    };
    if !state.alive(place) || !state.obj_alive(obj) {
        Err(970_005)
    } else if state.may_read(who, place) {
        Ok(obj)
    } else {
        Err(970_003)
    }
}

fn meta(state: &State, id: ObjId, asked: &str, asked_type: &str, with_url: bool) -> Value {
    let obj = state.obj(id);
    let token = state.obj_token(id);
    let owner = &state.users[0].open_id;
    let mut meta = json!({
        "doc_token": token,
        "doc_type": obj.ty.as_str(),
        "title": obj.title,
        "owner_id": owner,
        "create_time": obj.created.to_string(),
        "latest_modify_user": owner,
        "latest_modify_time": (obj.edited + state.knobs.metas_offset).to_string(),
    });
    if with_url {
        meta["url"] = look::url(obj.ty.as_str(), &token).into();
    }
    if asked_type == "wiki" {
        meta["request_doc_info"] = json!({"doc_token": asked, "doc_type": asked_type});
    }
    meta
}
