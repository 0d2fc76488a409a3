//! Comments and their replies. docs: CommentAPI/list, drive-v1/file-comment-reply/list.

use serde_json::{Value, json};

use super::super::comments::{Answer, Comment};
use super::super::state::{ObjId, State};
use super::{Reply, Req, page};

/// File types that have comments.
const TYPES: [&str; 5] = ["doc", "docx", "sheet", "file", "slides"];

fn find(state: &State, request: &Req<'_>) -> Result<ObjId, Reply> {
    let ty = request.query("file_type").unwrap_or_default();
    if !TYPES.contains(&ty) {
        return Err(Reply::error(400, 1_069_302, "Invalid or missing parameters."));
    }
    let found = state.find_obj(request.params[0]);
    let found = found.filter(|id| state.obj(*id).ty.as_str() == ty);
    let id = found.ok_or_else(|| Reply::error(400, 1_069_305, "The document does not exist."))?;
    if !state.obj_alive(id) {
        return Err(Reply::error(400, 1_069_304, "The document has been deleted."));
    }
    if !state.may_read_obj(request.caller(), id) {
        return Err(Reply::error(403, 1_069_303, "Forbidden."));
    }
    Ok(id)
}

fn threads(state: &State, id: ObjId) -> &[Comment] {
    state.extras.get(&id).map(|extra| extra.threads.as_slice()).unwrap_or_default()
}

fn cut(
    state: &State,
    request: &Req<'_>,
    total: usize,
    default: usize,
    seal: &str,
) -> Result<page::Page, Reply> {
    let size = page::size(state, request, default, 100);
    let page = size.and_then(|size| page::cut(total, size, request.query("page_token"), seal));
    page.ok_or_else(|| Reply::error(400, 1_069_302, "Invalid or missing parameters."))
}

/// `GET /drive/v1/files/:file_token/comments`
pub fn list(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let wanted = |name| request.query(name).map(|value| value == "true");
    let (whole, solved) = (wanted("is_whole"), wanted("is_solved"));
    let fits = |comment: &&Comment| {
        whole.is_none_or(|whole| whole == comment.quote.is_none())
            && solved.is_none_or(|solved| solved == comment.solved.is_some())
    };
    let threads: Vec<&Comment> = threads(state, id).iter().filter(fits).collect();
    let page = match cut(
        state,
        request,
        threads.len(),
        50,
        &format!("comments {id} {whole:?} {solved:?}"),
    ) {
        Ok(page) => page,
        Err(reply) => return reply,
    };
    let items: Vec<Value> =
        threads[page.from..page.to].iter().map(|comment| shown(state, comment)).collect();
    Reply::data(json!({
        "items": items,
        "has_more": page.next.is_some(),
        "page_token": page.next.unwrap_or_default(),
    }))
}

/// `GET /drive/v1/files/:file_token/comments/:comment_id/replies`
pub fn replies(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match find(state, request) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let found =
        threads(state, id).iter().find(|comment| comment.id.to_string() == request.params[1]);
    let Some(comment) = found else {
        return Reply::error(404, 1_069_307, "The comment does not exist.");
    };
    let page = match cut(state, request, comment.replies.len(), 50, &seal(comment)) {
        Ok(page) => page,
        Err(reply) => return reply,
    };
    let items: Vec<Value> =
        comment.replies[page.from..page.to].iter().map(|answer| reply(state, answer)).collect();
    Reply::data(json!({
        "items": items,
        "has_more": page.next.is_some(),
        "page_token": page.next.unwrap_or_default(),
    }))
}

fn seal(comment: &Comment) -> String {
    format!("replies {}", comment.id)
}

fn shown(state: &State, comment: &Comment) -> Value {
    let open_id = |user: u32| state.users[user as usize].open_id.as_str();
    let count = comment.replies.len();
    let first = page::cut(count, state.knobs.inline_replies, None, &seal(comment));
    let first = first.expect("the first page needs no token");
    let replies: Vec<Value> =
        comment.replies[first.from..first.to].iter().map(|answer| reply(state, answer)).collect();
    json!({
        "comment_id": comment.id.to_string(),
        "user_id": open_id(comment.user),
        "create_time": comment.created,
        "update_time": comment.updated,
        "is_solved": comment.solved.is_some(),
        "solved_time": comment.solved.map_or(0, |(at, _)| at),
        "solver_user_id": comment.solved.map_or("", |(_, user)| open_id(user)),
        "has_more": first.next.is_some(),
        "page_token": first.next.unwrap_or_default(),
        "is_whole": comment.quote.is_none(),
        "quote": comment.quote.as_deref().unwrap_or_default(),
        "reply_list": {"replies": replies},
    })
}

fn reply(state: &State, answer: &Answer) -> Value {
    json!({
        "reply_id": answer.id.to_string(),
        "user_id": state.users[answer.user as usize].open_id,
        "create_time": answer.at,
        "update_time": answer.at,
        "content": {"elements": answer.elements},
        "extra": {"image_list": []},
    })
}
