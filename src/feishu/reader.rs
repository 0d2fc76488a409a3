//! What is made of a reply whose headers are there: [`Reader`], and [`Json`] for nearly
//! all endpoints.

use http::response::Parts;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use super::ByteStream;
use super::error::{Class, Fault, Identity, hide, tidy};
use super::quota::Endpoint;
use super::reply::{self, Envelope};
use super::transport::Inner;

/// A JSON reply larger than this is none of ours.
pub(super) const MAX_JSON_BYTES: usize = 64 << 20;

/// What was asked, for whoever reads the reply.
pub(super) struct Asked {
    pub(super) endpoint: Endpoint,
    pub(super) identity: Identity,
    pub(super) hidden: Vec<String>,
}

impl Asked {
    /// `METHOD /path/:pattern`.
    pub(super) fn name(&self) -> &'static str {
        self.endpoint.name()
    }

    /// A text without what the call sent in secret.
    pub(super) fn hide(&self, text: &str) -> String {
        hide(text, &self.hidden)
    }
}

/// A reply whose headers are there.
pub(super) struct Reply {
    pub(super) head: Parts,
    pub(super) body: ByteStream,
    /// Held until the last byte; a call that logs in has none.
    pub(super) slot: Option<OwnedSemaphorePermit>,
}

/// Makes an answer of a reply.
pub(super) trait Reader: Sync {
    type Out: Send;
    fn read(
        &self,
        inner: &Inner,
        asked: &Asked,
        reply: Reply,
    ) -> impl Future<Output = Result<Self::Out, Fault>> + Send;
}

/// Reads an envelope with `T` in it; the answer comes with the server's clock.
pub(super) struct Json<T> {
    parse: fn(&[u8]) -> Result<T, String>,
}

impl<T: DeserializeOwned> Json<T> {
    /// Under `data`, as nearly everywhere.
    pub(super) fn data() -> Self {
        Self { parse: reply::parse_data }
    }

    /// At the top level, as token endpoints answer.
    pub(super) fn top() -> Self {
        Self { parse: reply::parse }
    }
}

impl<T: Send> Reader for Json<T> {
    type Out = (T, i64);

    async fn read(&self, inner: &Inner, asked: &Asked, reply: Reply) -> Result<(T, i64), Fault> {
        let (head, name) = (reply.head, asked.name());
        let body = inner.collect(name, reply.body, MAX_JSON_BYTES).await?;
        drop(reply.slot);
        let envelope = Envelope::parse(&body);
        let log_id = reply::log_id(&head.headers);
        let garbage = |what: &str| Fault::garbage(name, head.status.as_u16(), log_id, what);
        if !head.status.is_success() {
            return Err(inner.refusal(asked, &head, envelope.as_ref()));
        }
        match envelope.as_ref().map(|envelope| envelope.code) {
            Some(Some(0)) => {}
            Some(Some(_)) => return Err(inner.refusal(asked, &head, envelope.as_ref())),
            Some(None) => return Err(garbage("the reply has no code")),
            None => return Err(garbage("the reply is no whole JSON object")),
        }
        let answer = (self.parse)(&body).map_err(|what| {
            let mut fault = garbage(&format!(
                "the reply has another shape than documented: {}",
                tidy(&asked.hide(&what))
            ));
            fault.error.class = Class::Unexpected;
            fault
        })?;
        let date = reply::date_secs(&head.headers).unwrap_or_else(|| inner.clock.now_secs());
        Ok((answer, date))
    }
}
