//! Whiteboards: nodes, picture, theme. docs: board-v1/whiteboard-node/list,
//! `board-v1/whiteboard/download_as_image`, board-v1/whiteboard/theme.

use serde_json::json;

use super::super::boards::Whiteboard;
use super::super::content::Blob;
use super::super::state::State;
use super::{Body, Reply, Req};

fn find<'a>(state: &'a State, request: &Req<'_>) -> Result<&'a Whiteboard, Reply> {
    let board = state.find_board(request.params[0]).filter(|board| state.obj_alive(board.obj));
    let board = board.ok_or_else(|| Reply::error(400, 2_890_003, "record missing"))?;
    // Who may read the document may read its boards.
    if state.may_read_obj(request.caller(), board.obj) {
        Ok(board)
    } else {
        Err(Reply::error(403, 2_890_005, "forbidden"))
    }
}

/// `GET /board/v1/whiteboards/:whiteboard_id/nodes`
pub fn nodes(state: &mut State, request: &Req<'_>) -> Reply {
    match find(state, request) {
        Ok(board) => Reply::data(json!({"nodes": board.nodes})),
        Err(reply) => reply,
    }
}

/// `GET /board/v1/whiteboards/:whiteboard_id/download_as_image`
pub fn image(state: &mut State, request: &Req<'_>) -> Reply {
    match find(state, request).map(Whiteboard::image) {
        Ok((media_type, bytes)) => {
            let whole = 0..bytes.len() as u64;
            let body = Body::Content(Blob::Bytes(bytes), whole);
            Reply { status: 200, code: 0, headers: vec![("content-type", media_type)], body }
        }
        Err(reply) => reply,
    }
}

/// `GET /board/v1/whiteboards/:whiteboard_id/theme`
pub fn theme(state: &mut State, request: &Req<'_>) -> Reply {
    match find(state, request) {
        Ok(_) => Reply::data(json!({"theme": "classic"})),
        Err(reply) => reply,
    }
}
