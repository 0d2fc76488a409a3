//! Spaces and nodes. docs: wiki-v2/space, wiki-v2/space-node.
//!
//! Permissions are applied after paging, as the page says, so pages may be short or
//! empty while there is more.

use serde_json::{Value, json};

use super::super::permit::Identity;
use super::super::state::{PlaceId, SpaceId, State, index};
use super::page;
use super::{Reply, Req};

fn bad_params() -> Reply {
    Reply::error(400, 131_002, "param err")
}

fn not_found() -> Reply {
    Reply::error(400, 131_005, "not found")
}

fn forbidden() -> Reply {
    Reply::error(400, 131_006, "permission denied")
}

/// `GET /wiki/v2/spaces`
pub fn spaces(state: &mut State, request: &Req<'_>) -> Reply {
    let Some(size) = page::size(state, request, 20, 50) else { return bad_params() };
    let Some(page) = page::cut(state.spaces.len(), size, request.query("page_token"), "spaces")
    else {
        return bad_params();
    };
    let who = request.caller();
    // The user's own library is never listed.
    let items: Vec<Value> = (page.from..page.to)
        .filter(|i| !state.spaces[*i].deleted && state.spaces[*i].library_of.is_none())
        .filter(|i| state.may_read_space(who, index(*i)))
        .map(|i| space_json(state, index(i)))
        .collect();
    Reply::data(listing(&items, page.next.as_deref()))
}

fn listing(items: &[Value], next: Option<&str>) -> Value {
    json!({
        "items": items,
        "has_more": next.is_some(),
        "page_token": next.unwrap_or_default(),
    })
}

fn space_json(state: &State, id: SpaceId) -> Value {
    let space = &state.spaces[id as usize];
    let library = space.library_of.is_some();
    json!({
        "space_id": space.id,
        "name": space.name,
        "description": "",
        "space_type": if library { "my_library" } else { "team" },
        "visibility": "private",
        "open_sharing": "closed",
    })
}

/// A space by its id or `my_library`, or why not.
fn find_space(state: &State, who: Identity, id: &str) -> Result<SpaceId, Reply> {
    if id == "my_library" {
        let library = who.user.and_then(|user| state.users[user as usize].library);
        return library.ok_or_else(not_found);
    }
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad_params());
    }
    let found = state.spaces.iter().position(|space| space.id == id && !space.deleted);
    let space = index(found.ok_or_else(not_found)?);
    if state.may_read_space(who, space) { Ok(space) } else { Err(forbidden()) }
}

/// `GET /wiki/v2/spaces/:space_id`
pub fn space(state: &mut State, request: &Req<'_>) -> Reply {
    match find_space(state, request.caller(), request.params[0]) {
        Ok(space) => Reply::data(json!({"space": space_json(state, space)})),
        Err(reply) => reply,
    }
}

/// `GET /wiki/v2/spaces/get_node`
pub fn get_node(state: &mut State, request: &Req<'_>) -> Reply {
    let Some(token) = request.query("token") else { return bad_params() };
    let place = match request.query("obj_type") {
        None | Some("wiki") => state.find_node(token),
        Some(ty) => state
            .find_obj(token)
            .filter(|id| state.obj(*id).ty.as_str() == ty)
            .map(|id| state.obj(id).home)
            .filter(|home| state.space_of(*home).is_some()),
    };
    let Some(place) = place.filter(|place| state.alive(*place)) else { return not_found() };
    if !state.may_read(request.caller(), place) {
        return forbidden();
    }
    Reply::data(json!({"node": node_json(state, place)}))
}

/// `GET /wiki/v2/spaces/:space_id/nodes`
pub fn nodes(state: &mut State, request: &Req<'_>) -> Reply {
    let who = request.caller();
    let Some(size) = page::size(state, request, 50, 50) else { return bad_params() };
    let space = match find_space(state, who, request.params[0]) {
        Ok(space) => space,
        Err(reply) => return reply,
    };
    let parent = match request.query("parent_node_token") {
        None => None,
        Some(token) => {
            let found = state.find_node(token).filter(|place| state.alive(*place));
            let Some(place) = found else { return not_found() };
            if state.space_of(place) != Some(space) {
                return not_found();
            }
            if !state.may_read(who, place) {
                return forbidden();
            }
            // Under a shortcut stand its target's children.
            Some(state.place(place).target.unwrap_or(place))
        }
    };
    let children = match parent {
        Some(place) => &state.place(place).children,
        None => &state.spaces[space as usize].top,
    };
    // Deleted nodes are gone before paging; unlisted ones fall out after it.
    let children: Vec<PlaceId> =
        children.iter().copied().filter(|id| !state.place(*id).deleted).collect();
    let seal = format!("{space} {parent:?} {size}");
    let mut token = request.query("page_token");
    if state.knobs.wiki_empty_pages && token.is_none() {
        return Reply::data(listing(&[], Some(EMPTY_PAGE)));
    }
    token = token.filter(|token| *token != EMPTY_PAGE);
    let Some(page) = page::cut(children.len(), size, token, &seal) else { return bad_params() };
    let items: Vec<Value> =
        state.listed(&children[page.from..page.to]).map(|id| node_json(state, id)).collect();
    Reply::data(listing(&items, page.next.as_deref()))
}

/// Token of the first page with items, where listings begin with an empty one.
const EMPTY_PAGE: &str = "after-empty";

fn node_json(state: &State, id: PlaceId) -> Value {
    let place = state.place(id);
    let origin = place.target.unwrap_or(id);
    let obj = state.obj(place.obj);
    let space_id = |id: PlaceId| {
        let space = state.space_of(id).map(|space| &state.spaces[space as usize]);
        space.map_or_else(String::new, |space| space.id.clone())
    };
    let parent = match place.parent {
        super::super::state::Parent::Place(above) => state.place_token(above),
        _ => String::new(),
    };
    let owner = &state.users[0].open_id;
    json!({
        "space_id": space_id(id),
        "node_token": state.place_token(id),
        "obj_token": state.obj_token(place.obj),
        "obj_type": obj.ty.as_str(),
        "parent_node_token": parent,
        "node_type": if place.target.is_some() { "shortcut" } else { "origin" },
        "origin_node_token": state.place_token(origin),
        "origin_space_id": space_id(origin),
        "has_child": state.listed(&state.place(origin).children).next().is_some(),
        "title": state.title_at(id),
        "obj_create_time": obj.created.to_string(),
        "obj_edit_time": obj.edited.to_string(),
        "node_create_time": place.created.to_string(),
        "creator": owner,
        "owner": owner,
        "node_creator": owner,
    })
}
