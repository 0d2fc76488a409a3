//! Documents: revision, text, blocks; and what is left of the older kind. docs:
//! docx-v1/document, docx-v1/document-block, data-structure/block; doc v2.

use serde_json::{Value, json};

use super::super::content;
use super::super::ids::{self, Id};
use super::super::look;
use super::super::state::{Content, ObjId, State};
use super::super::write::run;
use super::page;
use super::{Reply, Req};
use crate::model::ObjType;

fn find(state: &State, request: &Req<'_>) -> Result<ObjId, Reply> {
    let found = state.find_obj(request.params[0]);
    let found = found.filter(|id| state.obj(*id).ty == ObjType::Docx);
    let id = found.ok_or_else(|| Reply::error(404, 1_770_002, "not found"))?;
    if !state.obj_alive(id) {
        return Err(Reply::error(400, 1_770_003, "resource deleted"));
    }
    if !state.may_read_obj(request.caller(), id) {
        return Err(Reply::error(403, 1_770_032, "forBidden"));
    }
    Ok(id)
}

/// `GET /docx/v1/documents/:document_id`
pub fn document(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let obj = state.obj(id);
    Reply::data(json!({"document": {
        "document_id": state.obj_token(id),
        "revision_id": obj.revision,
        "title": obj.title,
    }}))
}

/// `GET /docx/v1/documents/:document_id/raw_content`
pub fn raw_content(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let text = format!("{}\n{}\n", state.obj(id).title, content::text(state, id).join("\n"));
    Reply::data(json!({"content": text}))
}

/// `GET /docx/v1/documents/:document_id/blocks`
pub fn blocks(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    if !current(state, id, request) {
        return Reply::error(400, 1_770_021, "too old document");
    }
    let blocks = all_blocks(state, id);
    let strict = state.knobs.edits_end_pages;
    let revision = if strict { state.obj(id).revision } else { 0 };
    paged(state, &blocks, request, &format!("blocks {id} {revision}"))
}

/// `GET /docx/v1/documents/:document_id/blocks/:block_id`
pub fn block(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let wanted = request.params[1];
    match all_blocks(state, id).into_iter().find(|block| block["block_id"] == wanted) {
        Some(block) => Reply::data(json!({"block": block})),
        None => Reply::error(404, 1_770_002, "not found"),
    }
}

/// `GET /docx/v1/documents/:document_id/blocks/:block_id/children`
pub fn children(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let wanted = request.params[1];
    let blocks = all_blocks(state, id);
    if !blocks.iter().any(|block| block["block_id"] == wanted) {
        return Reply::error(404, 1_770_002, "not found");
    }
    let with_descendants = request.query("with_descendants") == Some("true");
    let below: Vec<Value> = if with_descendants {
        // Preorder, with the block itself: whatever hangs below it, at any depth.
        let mut inside = std::collections::HashSet::from([wanted.to_owned()]);
        let inner = |block: &&Value| {
            let name = block["block_id"].as_str().unwrap_or_default();
            let parent = block["parent_id"].as_str().unwrap_or_default();
            inside.contains(name) || (inside.contains(parent) && inside.insert(name.to_owned()))
        };
        blocks
            .iter()
            .filter({
                let mut inner = inner;
                move |b| inner(b)
            })
            .cloned()
            .collect()
    } else {
        blocks.into_iter().filter(|block| block["parent_id"] == wanted).collect()
    };
    paged(state, &below, request, &format!("children {id} {wanted} {}", state.obj(id).revision))
}

/// Old revisions are kept for editors only; this tenant's callers read the newest.
fn current(state: &State, id: ObjId, request: &Req<'_>) -> bool {
    match request.query("document_revision_id") {
        None | Some("-1") => true,
        Some(text) => text.parse() == Ok(state.obj(id).revision),
    }
}

fn paged(state: &State, blocks: &[Value], request: &Req<'_>, seal: &str) -> Reply {
    let Some(size) = page::size(state, request, 500, 500) else {
        return Reply::error(400, 1_770_001, "invalid param");
    };
    let Some(page) = page::cut(blocks.len(), size, request.query("page_token"), seal) else {
        return Reply::error(400, 1_770_022, "invalid page token");
    };
    let mut data = json!({
        "items": blocks[page.from..page.to],
        "has_more": page.next.is_some(),
    });
    if let Some(next) = page.next {
        data["page_token"] = next.into();
    }
    Reply::data(data)
}

/// Blocks of a document in preorder: those that a fixture gave, or the page, a
/// paragraph a line of text, an image block for each image, and what was written.
fn all_blocks(state: &State, id: ObjId) -> Vec<Value> {
    let extra = state.extras.get(&id);
    if let Some(blocks) = extra.and_then(|e| e.blocks.as_deref()).and_then(Value::as_array) {
        return blocks.clone();
    }
    let token = state.obj_token(id);
    let mut rest: Vec<Value> = Vec::new();
    let body = extra.map(|e| e.body.as_slice()).unwrap_or_default();
    // Whoever writes blocks wants no text made up beside them.
    let made = matches!(state.obj(id).content, Content::Made);
    let text = if made && !body.is_empty() { Vec::new() } else { content::text(state, id) };
    for (n, line) in text.iter().enumerate() {
        let block_id = format!("doxcn{:022}", ids::scramble((u64::from(id) << 20) + n as u64));
        rest.push(json!({
            "block_id": block_id, "parent_id": token, "block_type": 2,
            "text": {"style": {"align": 1}, "elements": [run(line)]},
        }));
    }
    for media in extra.map(|e| e.medias.as_slice()).unwrap_or_default() {
        let block_id = format!("doxcn{:022}", ids::scramble((1 << 60) + u64::from(*media)));
        rest.push(json!({
            "block_id": block_id, "parent_id": token, "block_type": 27,
            "image": {"token": ids::token(Id::Media(*media), "media"), "width": 64, "height": 64, "align": 2},
        }));
    }
    rest.extend_from_slice(body);
    let top = |block: &&Value| block["parent_id"] == token.as_str();
    let names: Vec<&Value> = rest.iter().filter(top).map(|block| &block["block_id"]).collect();
    let page = json!({
        "block_id": token, "parent_id": "", "block_type": 1, "children": names,
        "page": {"style": {"align": 1}, "elements": [run(&state.obj(id).title)]},
    });
    std::iter::once(page).chain(rest).collect()
}

fn find_old(state: &State, request: &Req<'_>) -> Result<ObjId, Reply> {
    let id = state.find_obj(request.params[0]);
    let id = id.ok_or_else(|| Reply::error(404, 91_203, "not exist"))?;
    match state.obj(id).ty {
        ObjType::Doc => {}
        ObjType::Docx => return Err(Reply::error(400, 95_053, "the token is a new document's")),
        _ => return Err(Reply::error(404, 91_203, "not exist")),
    }
    if !state.obj_alive(id) {
        return Err(Reply::error(404, 91_205, "deleted"));
    }
    if !state.may_read_obj(request.caller(), id) {
        return Err(Reply::error(403, 91_204, "forbidden"));
    }
    Ok(id)
}

/// `GET /doc/v2/meta/:doc_token`
pub fn old_meta(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find_old(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let obj = state.obj(id);
    let token = state.obj_token(id);
    let upgraded = state.extras.get(&id).and_then(|e| e.upgraded);
    let owner = &state.users[0].name;
    Reply::top(json!({"code": 0, "msg": "Success", "data": {
        "create_date": "", "create_time": obj.created, "creator": state.users[0].open_id,
        "create_user_name": owner, "delete_flag": 0, "edit_time": obj.edited,
        "edit_user_name": owner, "is_external": false, "is_pined": false, "is_stared": false,
        "is_upgraded": upgraded.is_some(),
        "upgraded_token": upgraded.map_or_else(String::new, |id| state.obj_token(id)),
        "obj_type": "doc", "owner": state.users[0].open_id, "owner_user_name": owner,
        "server_time": state.now(), "tenant_id": "1", "title": obj.title, "type": 2,
        "url": look::url("doc", &token),
    }}))
}

/// `GET /doc/v2/:doc_token/raw_content`
pub fn old_raw_content(state: &mut State, request: &Req<'_>) -> Reply {
    match find_old(state, request) {
        Ok(id) => {
            let text = content::text(state, id).join("\n");
            Reply::top(json!({"code": 0, "msg": "Success", "data": {"content": text}}))
        }
        Err(reply) => reply,
    }
}
