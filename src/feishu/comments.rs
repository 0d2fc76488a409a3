//! Comments on a document, with all their replies.

use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use super::error::ApiError;
use super::quota::Endpoint;
use super::{Client, wire};
use crate::model::Object;

const COMMENTS: Endpoint = Endpoint::named("GET /open-apis/drive/v1/files/:file_token/comments");
const REPLIES: Endpoint =
    Endpoint::named("GET /open-apis/drive/v1/files/:file_token/comments/:comment_id/replies");

/// A comment. Times in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the service's own names")]
pub struct Comment {
    pub comment_id: String,
    pub user_id: Option<String>,
    pub created_secs: Option<i64>,
    pub updated_secs: Option<i64>,
    /// About the whole document, not about [`Self::quote`].
    pub is_whole: bool,
    /// The text that it is about; empty for none.
    pub quote: String,
    pub is_solved: bool,
    pub solved_secs: Option<i64>,
    pub solver_user_id: Option<String>,
    /// Oldest first; the first one is the comment's own text.
    pub replies: Vec<CommentReply>,
}

/// A reply. Times in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the service's own names")]
pub struct CommentReply {
    pub reply_id: String,
    pub user_id: Option<String>,
    pub created_secs: Option<i64>,
    pub updated_secs: Option<i64>,
    /// `text_run`, `docs_link` and `person` parts as the service sent them (docs:
    /// CommentAPI/list).
    pub elements: Vec<Value>,
    /// Tokens of images, which no call can fetch.
    pub images: Vec<String>,
}

/// docs: CommentAPI/list
#[derive(Deserialize)]
struct RawComment {
    #[serde(deserialize_with = "wire::token")]
    comment_id: String,
    #[serde(default, deserialize_with = "wire::text")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    create_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::number")]
    update_time: Option<i64>,
    #[serde(default)]
    is_solved: Option<bool>,
    #[serde(default, deserialize_with = "wire::number")]
    solved_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::text")]
    solver_user_id: Option<String>,
    #[serde(default)]
    has_more: Option<bool>,
    #[serde(default)]
    is_whole: Option<bool>,
    #[serde(default, deserialize_with = "wire::text")]
    quote: Option<String>,
    #[serde(default)]
    reply_list: Option<ReplyList>,
}

#[derive(Deserialize)]
struct ReplyList {
    #[serde(default)]
    replies: Option<Vec<RawReply>>,
}

/// docs: drive-v1/file-comment-reply/list
#[derive(Deserialize)]
struct RawReply {
    #[serde(deserialize_with = "wire::token")]
    reply_id: String,
    #[serde(default, deserialize_with = "wire::text")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    create_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::number")]
    update_time: Option<i64>,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    extra: Option<Extra>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    elements: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Extra {
    #[serde(default)]
    image_list: Option<Vec<String>>,
}

impl From<RawReply> for CommentReply {
    fn from(raw: RawReply) -> Self {
        Self {
            reply_id: raw.reply_id,
            user_id: raw.user_id,
            created_secs: raw.create_time,
            updated_secs: raw.update_time,
            elements: raw.content.and_then(|content| content.elements).unwrap_or_default(),
            images: raw.extra.and_then(|extra| extra.image_list).unwrap_or_default(),
        }
    }
}

/// A comment, and whether it has more replies than came with it.
fn convert(raw: RawComment) -> (Comment, bool) {
    let is_solved = raw.is_solved.unwrap_or(false);
    let replies = raw.reply_list.and_then(|list| list.replies).unwrap_or_default();
    let comment = Comment {
        comment_id: raw.comment_id,
        user_id: raw.user_id,
        created_secs: raw.create_time,
        updated_secs: raw.update_time,
        is_whole: raw.is_whole.unwrap_or(false),
        quote: raw.quote.unwrap_or_default(),
        is_solved,
        // An open one says 0.
        solved_secs: raw.solved_time.filter(|_| is_solved),
        solver_user_id: raw.solver_user_id.filter(|_| is_solved),
        replies: replies.into_iter().map(CommentReply::from).collect(),
    };
    (comment, raw.has_more.unwrap_or(false))
}

impl Client {
    /// Every comment on a doc, docx, sheet, uploaded file or presentation, with every
    /// reply; bases and mind maps have none that the API shows.
    ///
    /// Neither `is_whole` nor `is_solved` is sent: without them all kinds come (client:
    /// larksuite/cli, drive comment listing).
    pub async fn list_comments(&self, object: &Object) -> Result<Vec<Comment>, ApiError> {
        let path = [object.token.as_str()];
        let call = Call::new(COMMENTS, &path)
            .query("file_type", object.ty.as_str())
            .query("page_size", "100")
            .query("user_id_type", "open_id");
        let listed = self.inner.list(&call, convert, |(comment, _)| &comment.comment_id).await?;
        let mut comments = Vec::new();
        for (mut comment, has_more) in listed.items {
            if has_more {
                comment.replies = self.list_replies(object, &comment.comment_id).await?;
            }
            comments.push(comment);
        }
        Ok(comments)
    }

    /// From the first one: the page token that comes with a comment is of another call.
    async fn list_replies(
        &self,
        object: &Object,
        comment: &str,
    ) -> Result<Vec<CommentReply>, ApiError> {
        let path = [object.token.as_str(), comment];
        let call = Call::new(REPLIES, &path)
            .query("file_type", object.ty.as_str())
            .query("page_size", "100")
            .query("user_id_type", "open_id");
        let replies = self.inner.list(
            &call,
            |raw: RawReply| CommentReply::from(raw),
            |reply| &reply.reply_id,
        );
        Ok(replies.await?.items)
    }
}
