//! Folders. docs: drive-v1/file/list; the two folder metadata calls of the older
//! explorer API.

use serde_json::{Value, json};

use super::super::look;
use super::super::permit::Identity;
use super::super::state::{PlaceId, State};
use super::page;
use super::{Reply, Req};
use crate::model::ObjType;

/// Root folder of "My Space" as the caller sees it; an app looks at the default user's.
fn root(state: &State, who: Identity) -> PlaceId {
    state.users[who.user.unwrap_or(0) as usize].root
}

/// A folder by its token, or why not.
fn folder(state: &State, who: Identity, token: &str) -> Result<PlaceId, Missing> {
    let obj = state.find_obj(token).ok_or(Missing::Unknown)?;
    if state.obj(obj).ty != ObjType::Folder {
        return Err(Missing::Unknown);
    }
    let place = state.obj(obj).home;
    if !state.alive(place) {
        Err(Missing::Deleted)
    } else if state.may_read(who, place) {
        Ok(place)
    } else {
        Err(Missing::Forbidden)
    }
}

enum Missing {
    Unknown,
    Deleted,
    Forbidden,
}

/// `GET /drive/v1/files`
pub fn list(state: &mut State, request: &Req<'_>) -> Reply {
    let who = request.caller();
    let asked = request.query("folder_token");
    let place = match asked {
        None => root(state, who),
        Some(token) => match folder(state, who, token) {
            Ok(place) => place,
            Err(Missing::Unknown) => return Reply::error(404, 1_061_003, "not found."),
            Err(Missing::Deleted) => return Reply::error(404, 1_061_007, "file has been delete."),
            Err(Missing::Forbidden) => return Reply::error(403, 1_061_004, "forbidden."),
        },
    };
    if !state.may_read(who, place) {
        return Reply::error(403, 1_061_004, "forbidden.");
    }
    let by_creation = match request.query("order_by") {
        None | Some("EditedTime") => false,
        Some("CreatedTime") => true,
        Some(_) => return Reply::error(400, 1_061_002, "params error."),
    };
    let ascending = match request.query("direction") {
        None | Some("DESC") => false,
        Some("ASC") => true,
        Some(_) => return Reply::error(400, 1_061_002, "params error."),
    };
    let Some(size) = page::size(state, request, 100, 200) else {
        return Reply::error(400, 1_064_001, "page size is invalid");
    };

    // Ties go by index: the service keeps some order of its own, and so do we.
    let mut children: Vec<(i64, PlaceId)> = state
        .listed(&state.place(place).children)
        .map(|id| {
            let place = state.place(id);
            let shortcut = place.target.is_some();
            let edited = if shortcut { place.created } else { state.obj(place.obj).edited };
            (if by_creation { place.created } else { edited }, id)
        })
        .collect();
    children.sort_unstable();
    if !ascending {
        children.reverse();
    }

    if asked.is_none() {
        // The page says so: not paged, and without shortcuts.
        let files: Vec<Value> = children
            .into_iter()
            .filter(|(_, id)| state.place(*id).target.is_none())
            .map(|(_, id)| entry(state, id))
            .collect();
        return Reply::data(json!({"files": files, "has_more": false}));
    }
    let seal = format!("{place} {by_creation} {ascending} {size}");
    let Some(page) = page::cut(children.len(), size, request.query("page_token"), &seal) else {
        return Reply::error(400, 1_061_002, "params error.");
    };
    let files: Vec<Value> =
        children[page.from..page.to].iter().map(|(_, id)| entry(state, *id)).collect();
    let mut data = json!({"files": files, "has_more": page.next.is_some()});
    if let Some(next) = page.next {
        data["next_page_token"] = next.into();
    }
    Reply::data(data)
}

fn entry(state: &State, id: PlaceId) -> Value {
    let place = state.place(id);
    let obj = state.obj(place.obj);
    let token = state.place_token(id);
    let parent = match place.parent {
        super::super::state::Parent::Place(above) => state.place_token(above),
        _ => String::new(),
    };
    let shortcut = place.target.is_some();
    let ty = if shortcut { "shortcut" } else { obj.ty.as_str() };
    let edited = if shortcut { place.created } else { obj.edited };
    let mut entry = json!({
        "token": token,
        "name": state.title_at(id),
        "type": ty,
        "parent_token": parent,
        "url": look::url(obj.ty.as_str(), &state.obj_token(place.obj)),
        "created_time": place.created.to_string(),
        "modified_time": edited.to_string(),
        "owner_id": state.users[0].open_id,
    });
    let hidden = state.place_extras.get(&id).is_some_and(|extra| extra.target_hidden);
    if shortcut && !hidden {
        entry["shortcut_info"] = json!({
            "target_type": obj.ty.as_str(),
            "target_token": state.obj_token(place.obj),
        });
    }
    entry
}

/// `GET /drive/explorer/v2/root_folder/meta`
pub fn root_meta(state: &mut State, request: &Req<'_>) -> Reply {
    let place = root(state, request.caller());
    Reply::data(json!({
        "token": state.place_token(place),
        "id": (7_100_000_000_000_000_000_u64 + u64::from(place)).to_string(),
        "user_id": "6900000000000000001",
    }))
}

/// `GET /drive/explorer/v2/folder/:folder_token/meta`
pub fn folder_meta(state: &mut State, request: &Req<'_>) -> Reply {
    let place = match folder(state, request.caller(), request.params[0]) {
        Ok(place) => place,
        Err(Missing::Forbidden) => return Reply::error(403, 91_204, "FORBIDDEN"),
        Err(Missing::Deleted) => return Reply::error(404, 91_205, "DELETED"),
        Err(Missing::Unknown) => return Reply::error(404, 91_203, "NOTEXIST"),
    };
    let above = match state.place(place).parent {
        super::super::state::Parent::Place(above) => {
            (7_100_000_000_000_000_000_u64 + u64::from(above)).to_string()
        }
        _ => "0".to_owned(),
    };
    Reply::data(json!({
        "id": (7_100_000_000_000_000_000_u64 + u64::from(place)).to_string(),
        "name": state.title_at(place),
        "token": state.place_token(place),
        "createUid": "6900000000000000001",
        "editUid": "6900000000000000001",
        "parentId": above,
        "ownUid": "6900000000000000001",
    }))
}
