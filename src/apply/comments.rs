//! What people wrote about a document, as one JSON file.

use std::collections::BTreeMap;

use crate::disk::Sealed;
use crate::export::comments::{Discussion, Person, Reply, Thread};
use crate::feishu::{ApiError, Comment, CommentReply};
use crate::model::change::Failure;
use crate::model::recorded::Why;

use super::fetch::{About, Fetcher, Setback};
use super::sink::{blocking, staged};
use super::trouble::Trouble;

/// Fetches all comments with all replies.
pub(super) async fn get(fetcher: &Fetcher, about: &About) -> Result<Sealed, Setback> {
    if let Some(denied) = fetcher.no_comments.get() {
        return Err(denied.clone().into());
    }
    let listed = fetcher.unless_quit(fetcher.client.list_comments(&about.object)).await?;
    let comments = match listed {
        Ok(comments) => comments,
        // The documents have scopes of their own: they are mirrored all the same. One
        // refusal tells about every document, so that nothing else is asked.
        Err(error) if error.lacks_scope() => {
            return Err(fetcher.no_comments.get_or_init(|| denied(&error)).clone().into());
        }
        Err(error) => return Err(fetcher.judge(error)),
    };
    let discussion = Discussion {
        document: about.object.token.to_string(),
        ty: about.object.ty.to_string(),
        comments: comments.into_iter().map(Thread::from).collect(),
    };
    let names = fetcher.learned.names(fetcher, &discussion.people()).await?;
    let text = discussion.named(&names).to_json();
    fetcher.progress.received(text.len() as u64);
    let disk = fetcher.disk.clone();
    Ok(blocking(move || staged(&disk, &text)).await?)
}

/// The scope for comments is missing. docs: CommentAPI/list, drive-v1/file-comment-reply/list.
fn denied(error: &ApiError) -> Trouble {
    let hint = "comments need the scope `docs:document.comment:read`; `feishu-mirror doctor` says \
                who has to add it; then run `feishu-mirror sync --retry-failed`, or set \
                `comments = false` in [export]";
    let failure = Failure { hint: Some(hint.to_owned()), ..error.to_failure() };
    Trouble { why: Why::Forbidden, failure, limit: None }
}

fn person(id: Option<String>) -> Option<Person> {
    id.map(Person::new)
}

impl From<Comment> for Thread {
    fn from(comment: Comment) -> Self {
        Self {
            id: comment.comment_id,
            by: person(comment.user_id),
            created_secs: comment.created_secs,
            updated_secs: comment.updated_secs,
            whole_document: comment.is_whole,
            quote: comment.quote,
            solved: comment.is_solved,
            solved_secs: comment.solved_secs,
            solved_by: person(comment.solver_user_id),
            replies: comment.replies.into_iter().map(Reply::from).collect(),
        }
    }
}

impl From<CommentReply> for Reply {
    fn from(reply: CommentReply) -> Self {
        Self {
            id: reply.reply_id,
            by: person(reply.user_id),
            created_secs: reply.created_secs,
            updated_secs: reply.updated_secs,
            text: Self::text_of(&reply.elements, &BTreeMap::new()),
            elements: reply.elements,
            images: reply.images,
        }
    }
}
