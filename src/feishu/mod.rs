//! The client of the Feishu Open API: one send path, a file per API family.
//!
//! A family's file (`drive`, `wiki`, `docx`, `sheets`, `bitable`, `comments`, `board`,
//! `media`, `console`, [`oauth`], [`raw`] …) knows the shape of its endpoints and hands a
//! call to `transport`, the only place that sends: it takes the class's turn in `quota`,
//! adds the `token`, and lets `retry` and the table in `codes` decide what a reply means;
//! `advice` says what its reader can do. [`network`] is the real network.

mod advice;
mod bitable;
mod board;
mod call;
mod codes;
mod comments;
mod console;
mod contact;
#[cfg(test)]
mod content_tests;
mod disposition;
mod docx;
mod download;
mod drive;
pub mod error;
mod export;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod hostile_tests;
mod media;
mod meetings;
mod metas;
mod minutes;
#[cfg(test)]
mod minutes_tests;
pub mod network;
pub mod oauth;
mod paging;
mod quota;
pub mod raw;
mod reader;
mod reply;
mod retry;
mod revision;
mod search;
#[cfg(test)]
mod shape_tests;
mod sheets;
#[cfg(test)]
mod tests;
mod token;
#[cfg(test)]
mod token_tests;
mod transport;
mod wiki;
mod windows;
mod wire;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{Request, Response};

use crate::clock::Clock;
use crate::model::account::Domain;
pub use bitable::{Base, Field, Record, RecordPage, Records, Table, View};
pub use board::board_hash;
pub use comments::{Comment, CommentReply};
pub use console::{AppInfo, AppScope, UserInfo};
pub use docx::Blocks;
pub use drive::{folder_listing_time, folder_pages};
pub use error::{ApiError, Class};
pub use media::{MediaLink, media_extra};
pub use meetings::{FoundMeeting, Meeting, MeetingFilter, Recording};
pub use metas::MAX_DOCS;
pub use minutes::{
    Chapter, FoundMinute, Minute, MinuteArtifacts, MinuteFilter, MinuteMedia, ToDo, TranscriptForm,
    minute_token,
};
pub use quota::{DayUse, Kept, QuotaKeeper, Slowed};
pub use search::FoundDocument;
pub use sheets::{Render, Sheet, SheetValues};
pub use wiki::{node_listing_time, node_pages};

/// A reply's body as it arrives.
pub type ByteStream = BoxStream<'static, Result<Bytes, SendError>>;

/// The connection broke, was refused, or timed out.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// What the transport said, without secrets and query strings.
    pub message: String,
    /// True where no connection was made at all.
    pub connect: bool,
}

/// The seam between the client and the network: `reqwest` in the program, the
/// simulated tenant in-process in tests.
pub trait HttpSend: Send + Sync {
    /// Sends one request and returns once the reply's headers are there.
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> futures_util::future::BoxFuture<'_, Result<Response<ByteStream>, SendError>>;
}

/// Items of a whole listing.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// All items, in the order in which they came, without duplicates.
    pub items: Vec<T>,
    /// The server's clock at the first page (its `Date` header, else our clock),
    /// seconds since 1970.
    pub seen_secs: i64,
}

/// An entry of a Drive folder, times in seconds since 1970.
#[derive(Debug, Clone)]
pub struct DriveEntry {
    /// Its token.
    pub token: String,
    /// Its title.
    pub name: String,
    /// The service's word.
    pub ty: String,
    /// Creation.
    pub created_secs: Option<i64>,
    /// Last edit.
    pub modified_secs: Option<i64>,
    /// Its owner's `open_id`.
    pub owner: Option<String>,
    /// In a browser.
    pub url: Option<String>,
    /// A shortcut's target: type and token.
    pub target: Option<(String, String)>,
}

/// A wiki space.
#[derive(Debug, Clone)]
pub struct Space {
    /// A decimal number as text.
    pub space_id: String,
    /// Its name.
    pub name: String,
    /// `team`, `person` or `my_library`.
    pub space_type: String,
}

/// A wiki node, times in seconds since 1970.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the service's own names")]
pub struct WikiNode {
    pub space_id: String,
    pub node_token: String,
    pub obj_token: String,
    pub obj_type: String,
    pub parent_node_token: Option<String>,
    pub is_shortcut: bool,
    pub origin_node_token: Option<String>,
    pub has_child: bool,
    pub title: String,
    pub obj_edit_secs: Option<i64>,
    pub node_create_secs: Option<i64>,
    pub owner: Option<String>,
}

/// A sheet of a spreadsheet or a table of a base.
#[derive(Debug, Clone)]
pub struct Part {
    /// `sheet_id` or `table_id`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// False for a tab that has no cells of its own (a base inside a spreadsheet).
    pub exportable: bool,
}

/// How far an export is.
#[derive(Debug, Clone)]
pub enum ExportJob {
    /// Not ready.
    Pending,
    /// Ready; the product dies 10 minutes after this.
    Ready {
        /// Names the product.
        file_token: String,
        /// Its bytes.
        size: u64,
    },
    /// A new task may succeed (job status 3, 108).
    Again(ApiError),
    /// Refused for good, or for now (see the error's class).
    Refused(ApiError),
}

/// Content on its way.
pub struct Body {
    /// First byte of this body in the whole content.
    pub offset: u64,
    /// Bytes of the whole content, where the server said so.
    pub total: Option<u64>,
    /// A strong `ETag`, where there was one.
    pub etag: Option<String>,
    /// As in `image/png`, where the server said it; a file's name decides it there, so
    /// the bytes know better.
    pub content_type: Option<String>,
    /// The name that the server gives to the content, without a path; not a safe one.
    pub file_name: Option<String>,
    /// The bytes; ends with an error where fewer came than were promised.
    pub stream: BoxStream<'static, Result<Bytes, ApiError>>,
}

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Open API and the accounts host.
    pub domain: Domain,
    /// The identity.
    pub credentials: Credentials,
    /// Share of the official quotas to use.
    pub quota_share: f64,
    /// Requests in flight; those that log in or renew are not counted.
    pub concurrency: usize,
    /// Tries after the first.
    pub retries: u32,
    /// Longest silence on a connection.
    pub request_timeout: std::time::Duration,
    /// Bytes a second for downloads; 0: no limit.
    pub bandwidth: u64,
    /// Requests this client may send; 0: no limit. Above it: [`Class::Budget`].
    pub max_calls: u64,
}

/// Who is calling. Cannot be printed.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nobody: for calls that need no token.
    Nobody,
    /// The app itself.
    App {
        /// `cli_…`.
        app_id: String,
        /// Its secret.
        app_secret: secrecy::SecretString,
    },
    /// A user's access token, as it is: nobody can renew it.
    User(secrecy::SecretString),
    /// A user who logged in: the token is renewed when it is due or not accepted.
    Login(Arc<dyn TokenSource>),
}

/// Where a user's access token comes from, and comes from again.
///
/// `auth` implements it over the stored login; the client knows no files.
pub trait TokenSource: Send + Sync + std::fmt::Debug {
    /// The profile that it belongs to, for the commands in hints; `None`: in none.
    fn profile(&self) -> Option<String> {
        None
    }

    /// The access token to call with.
    ///
    /// `refused`: a token that the service just did not accept; an equal one is not
    /// handed out again. `oauth` sends through the calling client, so that a renewal
    /// counts, waits and retries like every call.
    ///
    /// # Errors
    /// [`Class::Login`] where a person has to log in again; a network's failure keeps
    /// its own class. Either way what is stored stays stored.
    ///
    /// The client drives it to its end in a task of its own, also where the call that
    /// needed the token is dropped: a renewal given up halfway would lose the new tokens
    /// when the old ones are spent.
    fn token<'a>(
        &'a self,
        oauth: oauth::OAuth<'a>,
        refused: Option<&'a secrecy::SecretString>,
    ) -> futures_util::future::BoxFuture<'a, Result<secrecy::SecretString, ApiError>>;
}

/// The client. Cheap to clone; clones share quotas, token and counters.
///
/// Every method retries what may pass, waits for its turn in the official quotas, and
/// fails with an [`ApiError`] whose [`Class`] says what to do.
#[derive(Clone)]
pub struct Client {
    inner: Arc<transport::Inner>,
}

impl Client {
    /// A client that sends nothing before it is asked something.
    pub fn new(settings: Settings, http: Arc<dyn HttpSend>, clock: Clock) -> Self {
        Self::build(settings, http, clock, None)
    }

    /// The same for one of several processes that share a quota, or for runs that go on
    /// where the last one ended.
    pub fn sharing(
        settings: Settings,
        http: Arc<dyn HttpSend>,
        clock: Clock,
        keeper: Arc<dyn QuotaKeeper>,
    ) -> Self {
        Self::build(settings, http, clock, Some(keeper))
    }

    fn build(
        settings: Settings,
        http: Arc<dyn HttpSend>,
        clock: Clock,
        keeper: Option<Arc<dyn QuotaKeeper>>,
    ) -> Self {
        let make =
            |this: &_| transport::Inner::new(settings, http, clock, keeper, Weak::clone(this));
        Self { inner: Arc::new_cyclic(make) }
    }

    /// Keeps what was learned about the quota; to be called after the last call.
    pub async fn keep_quota(&self) {
        let quota = Arc::clone(&self.inner.quota);
        // It fails only where the program is ending anyway.
        let _ = tokio::task::spawn_blocking(move || quota.exchange(true)).await;
    }

    /// Requests sent so far, retries and tokens included.
    pub fn requests(&self) -> u64 {
        self.inner.requests()
    }

    /// Requests that may still be sent; `None`: any number.
    pub fn calls_left(&self) -> Option<u64> {
        self.inner.calls_left()
    }

    /// The calls that log somebody in; they need no token.
    pub fn oauth(&self) -> oauth::OAuth<'_> {
        oauth::OAuth::new(&self.inner)
    }
}
