//! Whiteboards: they live inside documents, with tokens of their own. docs: board-v1.

use bytes::Bytes;
use serde_json::{Value, json};

use super::build::Item;
use super::content;
use super::ids;
use super::state::{ObjId, State};
use super::tenant::Tenant;

/// What a whiteboard holds.
#[derive(Debug, Clone)]
pub struct Whiteboard {
    /// The document that shows it.
    pub obj: ObjId,
    /// `whiteboard_id`.
    pub token: String,
    /// Its nodes as the service shows them.
    pub nodes: Value,
    /// Media type and bytes of its picture, where a test gave them.
    pub picture: Option<(String, Bytes)>,
    /// Grows with each edit.
    pub version: u64,
}

impl Whiteboard {
    /// Media type and bytes of its picture: one that changes with every edit.
    pub fn image(&self) -> (String, Bytes) {
        self.picture.clone().unwrap_or_else(|| {
            let seed = self
                .token
                .bytes()
                .fold(self.version, |sum, byte| ids::scramble(sum ^ u64::from(byte)));
            ("image/png".to_owned(), content::picture(seed))
        })
    }
}

/// A whiteboard in a document, as tests hold it.
#[derive(Debug, Clone)]
pub struct Board {
    tenant: Tenant,
    at: usize,
}

impl Item {
    /// Appends a whiteboard with these nodes, as the service shows them.
    pub fn board(&self, nodes: Value) -> Board {
        let (at, token) = {
            let mut state = self.tenant.lock();
            let (obj, at) = (self.obj(&state), state.boards.len());
            let token = format!("wbcn{:020}", ids::scramble(at as u64 + 0xB0A2D));
            let (picture, version) = (None, 1);
            state.boards.push(Whiteboard { obj, token: token.clone(), nodes, picture, version });
            (at, token)
        };
        self.put(json!({"block_type": 43,
            "board": {"token": token, "align": 2, "width": 480, "height": 320}}));
        Board { tenant: self.tenant.clone(), at }
    }
}

impl Board {
    /// `whiteboard_id`.
    pub fn token(&self) -> String {
        self.tenant.lock().boards[self.at].token.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Whiteboard)) -> &Self {
        change(&mut self.tenant.lock().boards[self.at]);
        self
    }

    /// Draws something else. The document's revision stays: no page says that it moves.
    pub fn edit(&self, nodes: Value) -> &Self {
        self.change(|board| {
            board.nodes = nodes;
            board.version += 1;
        })
    }

    /// Its picture is this from now on, of a media type like `image/svg+xml`.
    pub fn picture(&self, media_type: &str, bytes: impl Into<Bytes>) -> &Self {
        self.change(|board| board.picture = Some((media_type.to_owned(), bytes.into())))
    }
}

impl State {
    /// A whiteboard by its token.
    pub fn find_board(&self, token: &str) -> Option<&Whiteboard> {
        self.boards.iter().find(|board| board.token == token)
    }
}
