//! One call of any endpoint, for `api`: the same quotas and retries as every other.

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::error::ApiError;
use super::{ByteStream, Client};

/// A call as a person describes it.
#[derive(Debug, Clone)]
pub struct RawCall {
    /// HTTP method.
    pub method: Method,
    /// With or without `/open-apis`, without a query.
    pub path: String,
    /// Query, in order.
    pub query: Vec<(String, String)>,
    /// JSON body.
    pub body: Option<Value>,
}

/// What came back with success.
pub enum RawReply {
    /// An envelope, whole and as it is, `code` 0.
    Json(Value),
    /// Content: its length where the server said so, and the bytes.
    Content(Option<u64>, ByteStream),
}

impl Client {
    /// Makes the call; retried only where trying again is safe: a method other than GET
    /// is sent again only where the service said that it did nothing (rate limits,
    /// refused tokens).
    ///
    /// # Errors
    /// Also where the service answered with a `code` other than 0.
    pub async fn raw(&self, call: &RawCall) -> Result<RawReply, ApiError> {
        let _ = call;
        let _: Option<Bytes> = None;
        todo!()
    }

    /// All pages of a listing as one envelope: the first page's, its array of items
    /// filled with those of all pages. Both spellings of the page token are known.
    pub async fn raw_all(&self, call: &RawCall) -> Result<Value, ApiError> {
        let _ = call;
        todo!()
    }
}
