//! Search for documents and wiki nodes. docs: search-v2/doc_wiki/search.
//!
//! The index is behind by [`Tenant::search_delay`](crate::sim::Tenant::search_delay): what
//! was made since is not in it, and what was edited since has the time of its creation.

use serde_json::{Value, json};

use super::super::ids::Id;
use super::super::look;
use super::super::permit::Identity;
use super::super::state::{PlaceId, State, index};
use super::{Reply, Req, page};
use crate::model::ObjType;

/// Words that a filter by type takes.
const TYPES: [&str; 11] = [
    "DOC", "SHEET", "BITABLE", "MINDNOTE", "FILE", "WIKI", "DOCX", "FOLDER", "CATALOG", "SLIDES",
    "SHORTCUT",
];
/// Orders of results.
const SORTS: [&str; 5] = ["DEFAULT_TYPE", "OPEN_TIME", "EDIT_TIME", "EDIT_TIME_ASC", "CREATE_TIME"];
/// Most characters of a query, most folders or spaces of a filter, the largest page.
const MOST_CHARS: usize = 50;
const MOST_PLACES: usize = 50;
const MOST_TYPES: usize = 10;
const MOST_UNITS: u64 = 20;

fn missing() -> Reply {
    Reply::error(400, 1_274_001, "missing required fields")
}

fn illegal() -> Reply {
    Reply::error(400, 1_274_002, "illegal enum value")
}

fn invalid() -> Reply {
    Reply::error(400, 99_992_402, "field validation failed")
}

/// One result.
struct Hit {
    place: PlaceId,
    in_wiki: bool,
    created: i64,
    edited: i64,
}

/// `POST /search/v2/doc_wiki/search`
pub fn doc_wiki(state: &mut State, request: &Req<'_>) -> Reply {
    let asked = request.json;
    let (docs, wiki) = (&asked["doc_filter"], &asked["wiki_filter"]);
    let query = asked["query"].as_str().unwrap_or_default();
    let size = match &asked["page_size"] {
        Value::Null => 20,
        size => match size.as_u64().filter(|size| *size <= MOST_UNITS) {
            Some(size) => usize::try_from(size).expect("at most 20").max(1),
            None => return invalid(),
        },
    };
    if !docs.is_object() && !wiki.is_object() {
        return missing();
    }
    if query.chars().count() > MOST_CHARS {
        return invalid();
    }
    let (folders, spaces) = (&docs["folder_tokens"], &wiki["space_ids"]);
    let both = docs.is_object() && wiki.is_object();
    if both && (folders.is_array() || spaces.is_array()) {
        return invalid();
    }
    for list in [folders, spaces] {
        if list.as_array().is_some_and(|list| list.len() > MOST_PLACES) {
            return invalid();
        }
    }
    let mut sort = "DEFAULT_TYPE";
    for filter in [docs, wiki] {
        let types = filter["doc_types"].as_array().map(Vec::as_slice).unwrap_or_default();
        if types.len() > MOST_TYPES {
            return invalid();
        }
        if !types.iter().all(|ty| ty.as_str().is_some_and(|ty| TYPES.contains(&ty))) {
            return illegal();
        }
        if let Some(named) = filter["sort_type"].as_str() {
            let Some(known) = SORTS.iter().find(|known| **known == named) else {
                return illegal();
            };
            sort = known;
        }
    }
    let mut hits = hits(state, request.caller(), docs, wiki, query);
    match sort {
        "EDIT_TIME_ASC" => hits.sort_by_key(|hit| (hit.edited, hit.place)),
        "CREATE_TIME" => hits.sort_by_key(|hit| std::cmp::Reverse((hit.created, hit.place))),
        _ => hits.sort_by_key(|hit| std::cmp::Reverse((hit.edited, hit.place))),
    }
    let seal = format!("search {query} {docs} {wiki} {size}");
    let token = asked["page_token"].as_str().filter(|token| !token.is_empty());
    let Some(page) = page::cut(hits.len(), size, token, &seal) else { return invalid() };
    let units: Vec<Value> =
        hits[page.from..page.to].iter().map(|hit| unit(state, hit, query)).collect();
    Reply::data(json!({
        "total": hits.len(),
        "has_more": page.next.is_some(),
        "page_token": page.next.unwrap_or_default(),
        "res_units": units,
    }))
}

fn hits(state: &State, who: Identity, docs: &Value, wiki: &Value, query: &str) -> Vec<Hit> {
    let indexed = state.now() - state.knobs.search_delay;
    let mut found = Vec::new();
    for at in 0..state.places.len() {
        let id = index(at);
        let place = state.place(id);
        let obj = state.obj(place.obj);
        let space = state.space_of(id);
        let filter = if space.is_some() { wiki } else { docs };
        // A root folder is no result, and a shortcut in Drive is none of its own.
        let own = obj.home == id || space.is_some();
        if !filter.is_object()
            || !own
            || matches!(place.parent, super::super::state::Parent::Root(_))
        {
            continue;
        }
        let created = place.created.max(obj.created);
        if created > indexed || !state.alive(id) || !state.may_read(who, id) {
            continue;
        }
        let types = filter["doc_types"].as_array().map(Vec::as_slice).unwrap_or_default();
        let word = word(state, id);
        if !types.is_empty() && !types.iter().any(|ty| ty.as_str() == Some(word.as_str())) {
            continue;
        }
        let space_id = space.map(|space| state.spaces[space as usize].id.as_str());
        if let Some(spaces) = wiki["space_ids"].as_array()
            && !spaces.iter().any(|it| it.as_str() == space_id)
        {
            continue;
        }
        if let Some(folders) = docs["folder_tokens"].as_array()
            && !folders.iter().any(|folder| {
                let folder = folder.as_str().and_then(|token| state.find(token));
                folder.is_some_and(|folder| is_in(state, id, folder))
            })
        {
            continue;
        }
        if !state.title_at(id).contains(query) {
            continue;
        }
        let edited = if obj.edited > indexed { created } else { obj.edited };
        found.push(Hit { place: id, in_wiki: space.is_some(), created, edited });
    }
    found
}

/// True for a place directly in a folder.
fn is_in(state: &State, id: PlaceId, folder: Id) -> bool {
    let super::super::state::Parent::Place(above) = state.place(id).parent else { return false };
    folder == Id::Obj(state.place(above).obj)
}

fn word(state: &State, id: PlaceId) -> String {
    let place = state.place(id);
    if place.target.is_some() {
        return "SHORTCUT".to_owned();
    }
    state.obj(place.obj).ty.as_str().to_ascii_uppercase()
}

fn unit(state: &State, hit: &Hit, query: &str) -> Value {
    let obj = state.obj(state.place(hit.place).obj);
    let token = state.place_token(hit.place);
    let ty = if hit.in_wiki { "wiki" } else { obj.ty.as_str() };
    let title = state.title_at(hit.place);
    let marked = if query.is_empty() {
        title.to_owned()
    } else {
        title.replace(query, &format!("<h>{query}</h>"))
    };
    let owner = &state.users[0];
    let entity = match (hit.in_wiki, &obj.ty) {
        (true, _) => "WIKI",
        (false, ObjType::Folder) => "FOLDER",
        (false, _) => "DOC",
    };
    json!({
        "title_highlighted": marked,
        "summary_highlighted": "",
        "entity_type": entity,
        "result_meta": {
            "doc_types": word(state, hit.place),
            "token": token,
            "url": look::url(ty, &token),
            "create_time": hit.created,
            "update_time": hit.edited,
            "last_open_time": hit.edited,
            "owner_id": owner.open_id,
            "owner_name": owner.name,
            "edit_user_id": owner.open_id,
            "edit_user_name": owner.name,
            "is_cross_tenant": false,
        },
    })
}
