//! One cheap call a source: can its top be read?

use http::Method;
use serde_json::Value;

use crate::feishu::raw::{RawCall, RawReply};
use crate::feishu::{ApiError, Class, Client};
use crate::model::SourceName;
use crate::model::source::{Source, SourceKind, WikiScope};
use crate::model::tree::Existence;

use super::check::Status;

/// What a source's probing call came to.
pub struct Access {
    /// Which source.
    pub source: SourceName,
    /// What is in the way; `None`: it can be read.
    pub barrier: Option<Barrier>,
}

/// What is in the way of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Barrier {
    /// The app lacks a scope; what the service said.
    AppScope(String),
    /// The user has not agreed to a scope; what the service said.
    UserScope(String),
    /// This identity may not see it: what.
    NotShared(String),
    /// It does not exist: what.
    Gone(String),
    /// There is nothing in it: in words.
    Empty(String),
    /// A user's library, and no user.
    NoUser,
    /// The call failed for another reason: which.
    Unasked(String),
}

impl Barrier {
    /// How bad it is.
    pub fn weight(&self) -> Status {
        match self {
            Self::Empty(_) | Self::Unasked(_) => Status::Warn,
            _ => Status::Fail,
        }
    }

    /// What an error means for the thing that was asked for.
    fn of(error: &ApiError, what: &str) -> Self {
        match (error.class, error.code) {
            (_, Some(USER_SCOPE)) => Self::UserScope(error.message.clone()),
            (_, Some(APP_SCOPE | NO_API)) => Self::AppScope(error.message.clone()),
            (Class::Forbidden, _) => Self::NotShared(what.to_owned()),
            (Class::Gone, _) => Self::Gone(what.to_owned()),
            _ => Self::Unasked(error.message.clone()),
        }
    }
}

/// docs: api-call-guide/generic-error-code
const APP_SCOPE: i64 = 99_991_672;
const NO_API: i64 = 99_991_676;
const USER_SCOPE: i64 = 99_991_679;

/// Asks for each source, in the config's order.
pub async fn probe_all(client: &Client, sources: &[Source], as_user: bool) -> Vec<Access> {
    let probes = sources.iter().map(|source| async move {
        let barrier = match probe(client, source, as_user).await {
            Err(barrier) => Some(barrier)
                .filter(|barrier| !(source.allow_empty && matches!(barrier, Barrier::Empty(_)))),
            Ok(()) => None,
        };
        Access { source: source.name.clone(), barrier }
    });
    futures_util::future::join_all(probes).await
}

async fn probe(client: &Client, source: &Source, as_user: bool) -> Result<(), Barrier> {
    match &source.kind {
        SourceKind::Drive { folder: Some(token) } => {
            let what = format!("the folder {token}");
            folder(client, token).await.map(drop).map_err(|error| Barrier::of(&error, &what))
        }
        SourceKind::Drive { folder: None } => {
            let what = "the root of \"My Space\"";
            let fault = |error: ApiError| Barrier::of(&error, what);
            let root = client.get_root_folder().await.map_err(fault)?;
            let empty = folder(client, &root).await.map_err(fault)?;
            // The app's own space holds what the app made: nothing.
            if empty && !as_user {
                return Err(Barrier::Empty(
                    "the app's own space is empty: name a folder that is shared with it \
                     (folder = \"fldcn…\")"
                        .to_owned(),
                ));
            }
            Ok(())
        }
        SourceKind::Wiki(WikiScope::All) => {
            let spaces = client.list_spaces().await;
            let spaces = spaces.map_err(|error| Barrier::of(&error, "the list of spaces"))?;
            if spaces.items.is_empty() && !as_user {
                return Err(Barrier::Empty("no wiki space has this app as a member".to_owned()));
            }
            Ok(())
        }
        SourceKind::Wiki(WikiScope::MyLibrary) if !as_user => Err(Barrier::NoUser),
        SourceKind::Wiki(WikiScope::MyLibrary) => {
            let library = client.get_space("my_library").await;
            library.map(drop).map_err(|error| Barrier::of(&error, "the library"))
        }
        SourceKind::Wiki(WikiScope::Space(id)) => {
            let path = format!("/open-apis/wiki/v2/spaces/{id}/nodes");
            let page = one_page(client, path, &[]).await;
            page.map(drop).map_err(|error| Barrier::of(&error, &format!("the wiki space {id}")))
        }
        SourceKind::Wiki(WikiScope::Subtree(token)) => {
            let node = client.get_node(token).await;
            node.map(drop).map_err(|error| Barrier::of(&error, &format!("the wiki page {token}")))
        }
        SourceKind::Docs(urls) => documents(client, urls).await,
    }
}

/// True where a folder is empty.
async fn folder(client: &Client, token: &str) -> Result<bool, ApiError> {
    let path = "/open-apis/drive/v1/files".to_owned();
    let page = one_page(client, path, &[("folder_token", token)]).await?;
    let files = page["data"]["files"].as_array().map_or(0, Vec::len);
    Ok(files == 0 && page["data"]["has_more"] != true)
}

/// A single entry of a listing: whether it comes is all that counts.
async fn one_page(
    client: &Client,
    path: String,
    query: &[(&str, &str)],
) -> Result<Value, ApiError> {
    let query = query.iter().chain(&[("page_size", "1")]);
    let query = query.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let call = RawCall { method: Method::GET, path, query, body: None };
    let reply = client.raw(&call).await.map_err(|refused| refused.error)?;
    Ok(match reply {
        RawReply::Json(text) => serde_json::from_str(&text).unwrap_or_default(),
        RawReply::Content(_) => Value::Null,
    })
}

/// The worst of what metadata says about the documents.
async fn documents(client: &Client, urls: &[(String, String)]) -> Result<(), Barrier> {
    let answers = client.query_metas(urls).await;
    let answers = answers.map_err(|error| Barrier::of(&error, "the documents"))?;
    let (mut hidden, mut gone, mut unknown) = (Vec::new(), Vec::new(), None);
    for ((ty, token), answer) in answers {
        match answer {
            Ok(_) | Err(Existence::Exists) => {}
            Err(Existence::Hidden) => hidden.push(format!("{ty} {token}")),
            Err(Existence::Gone) => gone.push(format!("{ty} {token}")),
            Err(Existence::Unknown(failure)) => unknown = unknown.or(Some(failure.message)),
        }
    }
    if !hidden.is_empty() {
        return Err(Barrier::NotShared(hidden.join(", ")));
    }
    if !gone.is_empty() {
        return Err(Barrier::Gone(gone.join(", ")));
    }
    unknown.map_or(Ok(()), |said| Err(Barrier::Unasked(said)))
}
