//! Comments on documents: threads, replies, solved or not. docs: CommentAPI/list.

use serde_json::{Value, json};

use super::build::Item;
use super::state::{ObjId, State, UserId};
use super::tenant::Tenant;
use crate::model::ObjType;

/// A comment and its replies; the first reply is the comment's own text.
#[derive(Debug, Clone)]
pub struct Comment {
    /// A decimal number.
    pub id: u64,
    /// Who began it.
    pub user: UserId,
    /// The text that it is about; `None`: the whole document.
    pub quote: Option<String>,
    /// Seconds since 1970.
    pub created: i64,
    /// Seconds since 1970.
    pub updated: i64,
    /// When and by whom.
    pub solved: Option<(i64, UserId)>,
    /// Oldest first.
    pub replies: Vec<Answer>,
}

/// One reply.
#[derive(Debug, Clone)]
pub struct Answer {
    /// A decimal number.
    pub id: u64,
    /// Whose.
    pub user: UserId,
    /// Seconds since 1970.
    pub at: i64,
    /// Its elements as the service shows them.
    pub elements: Value,
}

/// A comment with its replies, as tests hold it.
#[derive(Debug, Clone)]
pub struct Thread {
    tenant: Tenant,
    obj: ObjId,
    id: u64,
}

impl Item {
    /// Comments, about a quoted text or the whole. As on the service, a new document's
    /// revision moves with its comments.
    pub fn discuss(&self, quote: Option<&str>, text: &str) -> Thread {
        let mut state = self.tenant.lock();
        let (obj, id, at) = (self.obj(&state), state.next() + 7_000_000_000, state.now());
        let comment = Comment {
            id,
            user: 0,
            quote: quote.map(str::to_owned),
            created: at,
            updated: at,
            solved: None,
            replies: Vec::new(),
        };
        state.extras.entry(obj).or_default().threads.push(comment);
        drop(state);
        let thread = Thread { tenant: self.tenant.clone(), obj, id };
        thread.reply(text);
        thread
    }
}

impl Thread {
    /// Its id.
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    fn change(&self, change: impl FnOnce(&mut State, &mut Comment)) -> &Self {
        let mut state = self.tenant.lock();
        let find = |state: &mut State| {
            let threads = &mut state.extras.entry(self.obj).or_default().threads;
            let at = threads.iter().position(|thread| thread.id == self.id)?;
            Some((at, threads.remove(at)))
        };
        if let Some((at, mut comment)) = find(&mut state) {
            change(&mut state, &mut comment);
            comment.updated = state.now();
            state.extras.entry(self.obj).or_default().threads.insert(at, comment);
            touch(&mut state, self.obj);
        }
        drop(state);
        self
    }

    /// Adds a reply by the default user.
    pub fn reply(&self, text: &str) -> &Self {
        self.answer("demo", json!([{"type": "text_run", "text_run": {"text": text}}]))
    }

    /// Adds a user's reply of these elements, as the service shows them.
    pub fn answer(&self, user: &str, elements: Value) -> &Self {
        let user = self.tenant.user(user);
        self.change(|state, comment| {
            let (id, at) = (state.next() + 7_000_000_000, state.now());
            comment.replies.push(Answer { id, user, at, elements });
        })
    }

    /// The default user calls it solved.
    pub fn solve(&self) -> &Self {
        self.change(|state, comment| comment.solved = Some((state.now(), 0)))
    }

    /// Takes back [`Thread::solve`].
    pub fn reopen(&self) -> &Self {
        self.change(|_, comment| comment.solved = None)
    }

    /// Deletes it with its replies.
    pub fn delete(&self) -> &Self {
        let mut state = self.tenant.lock();
        let threads = &mut state.extras.entry(self.obj).or_default().threads;
        threads.retain(|thread| thread.id != self.id);
        touch(&mut state, self.obj);
        drop(state);
        self
    }
}

/// docs: docx-v1/document: `revision_id` moves with comments. Of other types no page
/// says that anything moves.
fn touch(state: &mut State, obj: ObjId) {
    if state.obj(obj).ty == ObjType::Docx {
        state.bump(obj);
    }
}
