//! One call of any endpoint, for `api`: the same quotas and retries as every other.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::header::CONTENT_DISPOSITION;
use http::{Method, StatusCode};
use serde_json::Value;

use super::call::{Call, Expect, Repeat, percent};
use super::download::{Answer, Content, has_type};
use super::error::{ApiError, Class, Fault};
use super::paging::{MAX_BARREN_PAGES, REPEATS};
use super::quota::Endpoint;
use super::reader::{Asked, MAX_JSON_BYTES, Reader, Reply};
use super::reply::{self, Envelope};
use super::transport::Inner;
use super::{Body, Client};

/// No error of the service is longer.
const MAX_ERROR_BYTES: usize = 256 << 10;

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
    /// JSON, byte for byte as it came; its `code` is 0 or absent.
    Json(String),
    /// Content.
    Content(Body),
}

/// Why there is no answer, with what the service said in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct RawError {
    /// As every call's.
    pub error: ApiError,
    /// The service's JSON, without the secrets of the call.
    pub reply: Option<Value>,
}

impl Client {
    /// Makes the call; retried only where trying again is safe: a method other than GET
    /// is sent again only where the service said that it did nothing (rate limits,
    /// refused tokens) or where nothing can have reached it.
    ///
    /// # Errors
    /// Also where the service answered with a `code` other than 0.
    pub async fn raw(&self, call: &RawCall) -> Result<RawReply, RawError> {
        self.send_raw(call, Expect::Whole).await
    }

    /// All pages of a listing as one envelope: the first page's, its array of items
    /// filled with those of all pages. Both spellings of the page token are known. A
    /// reply that is no page comes as it is.
    ///
    /// # Errors
    /// A listing that cannot be completed is an error as a whole.
    pub async fn raw_all(&self, call: &RawCall) -> Result<Value, RawError> {
        let path = full_path(&call.path);
        let broken = |what: &str| {
            let endpoint = Endpoint::of_path(call.method.as_str(), &path);
            let error = ApiError::local(Class::Transient, endpoint.name(), what);
            RawError { error: named(error, call, &path), reply: None }
        };
        let mut next = call.clone();
        let mut whole = Pages::default();
        let mut tokens = HashSet::new();
        let (mut repeats, mut barren) = (0, 0);
        loop {
            let RawReply::Json(text) = self.send_raw(&next, Expect::Json).await? else {
                return Err(broken("the reply is content, not a listing: leave out --page-all"));
            };
            let page = serde_json::from_str(&text).map_err(|_| broken("the reply is no JSON"))?;
            let added = whole.add(page).map_err(|what| broken(&what))?;
            let token = match added.next {
                Next::None => return Ok(whole.finish()),
                Next::Unsaid => {
                    // What the service sometimes does; see `paging`.
                    repeats += 1;
                    if repeats > REPEATS {
                        let what = "the listing says that there is more, but not where: its \
                                    page token is empty";
                        return Err(broken(what));
                    }
                    whole.take_back(added.items);
                    continue;
                }
                Next::Page(token) => token,
            };
            repeats = 0;
            barren = if added.items == 0 { barren + 1 } else { 0 };
            if barren > MAX_BARREN_PAGES {
                return Err(broken("the listing goes on and on with nothing in it"));
            }
            if !tokens.insert(token.clone()) {
                let what = "the listing runs in a circle: a page token came twice";
                return Err(broken(what));
            }
            turn_page(&mut next, call, token);
        }
    }

    async fn send_raw(&self, call: &RawCall, expect: Expect) -> Result<RawReply, RawError> {
        let path = full_path(&call.path);
        let endpoint = Endpoint::of_path(call.method.as_str(), &path);
        let mut sent = Call::new(endpoint, &[]);
        sent.other = Some((call.method.clone(), path.clone()));
        sent.query.clone_from(&call.query);
        if let Some(body) = &call.body {
            sent = sent.body(body.clone());
        }
        if call.method == Method::GET {
            sent.expect = expect;
        } else {
            sent.repeat = Repeat::Unsent;
        }
        let reader = Anything::default();
        self.inner.exchange(&sent, &reader).await.map_err(|error| RawError {
            // A connection that broke later brought no reply.
            reply: reader.take().filter(|_| error.status.is_some()),
            error: named(error, call, &path),
        })
    }
}

/// The error with what was really called in place of the endpoint's pattern.
fn named(mut error: ApiError, call: &RawCall, path: &str) -> ApiError {
    if let Some(rest) = error.message.strip_prefix(error.endpoint) {
        error.message = format!("{} {path}{rest}", call.method);
    }
    error
}

/// The path as it is sent: below `/open-apis`, what no path may hold percent-encoded.
fn full_path(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let below = path == "open-apis" || path.starts_with("open-apis/");
    let mut full = String::from(if below { "/" } else { "/open-apis/" });
    for byte in path.bytes() {
        // "%" stays: whoever wrote it has encoded already.
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte) {
            full.push(char::from(byte));
        } else {
            percent(byte, &mut full);
        }
    }
    full
}

/// A listing whose parameters stand in its body is paged there (docs:
/// search-v2/doc_wiki/search), all others in the query.
fn turn_page(next: &mut RawCall, first: &RawCall, token: String) {
    if let Some(Value::Object(body)) = &mut next.body
        && (body.contains_key("page_token") || body.contains_key("page_size"))
    {
        body.insert("page_token".to_owned(), token.into());
        return;
    }
    next.query.clone_from(&first.query);
    next.query.retain(|(name, _)| name != "page_token");
    next.query.push(("page_token".to_owned(), token));
}

/// Pages put together.
#[derive(Default)]
struct Pages {
    first: Option<Value>,
    /// The name of the array of items, once a page had one.
    name: Option<String>,
    items: Vec<Value>,
}

struct Added {
    items: usize,
    next: Next,
}

enum Next {
    None,
    Page(String),
    /// There is more, and the page does not say where.
    Unsaid,
}

impl Pages {
    fn add(&mut self, mut page: Value) -> Result<Added, String> {
        let mut items = 0;
        let mut next = Next::None;
        if let Some(data) = page.get_mut("data").and_then(Value::as_object_mut) {
            let token = |name| data.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
            if data.get("has_more").and_then(Value::as_bool) == Some(true) {
                // Only Drive's listing has the longer name (docs: drive-v1/file/list).
                next = token("next_page_token")
                    .or_else(|| token("page_token"))
                    .map_or(Next::Unsaid, |token| Next::Page(token.to_owned()));
            }
            if self.name.is_none() {
                self.name = array_of(data)?;
            }
            let more = self.name.as_ref().and_then(|name| data.get_mut(name));
            if let Some(Value::Array(more)) = more {
                items = more.len();
                self.items.append(more);
            }
        } else if self.first.is_some() {
            return Err("a later page of the listing has no data".to_owned());
        }
        self.first.get_or_insert(page);
        Ok(Added { items, next })
    }

    /// Forgets the last so many items: their page will be asked for again.
    fn take_back(&mut self, items: usize) {
        self.items.truncate(self.items.len() - items);
    }

    fn finish(self) -> Value {
        let mut whole = self.first.unwrap_or_default();
        if let Some(data) = whole.get_mut("data").and_then(Value::as_object_mut)
            && let Some(name) = self.name
        {
            data.insert(name, self.items.into());
            if data.contains_key("has_more") {
                data.insert("has_more".to_owned(), false.into());
            }
            data.remove("page_token");
            data.remove("next_page_token");
        }
        whole
    }
}

/// The name of the one array that is the listing.
fn array_of(data: &serde_json::Map<String, Value>) -> Result<Option<String>, String> {
    let arrays: Vec<_> =
        data.iter().filter(|(_, value)| value.is_array()).map(|(name, _)| name).collect();
    let usual = arrays.iter().find(|name| ["items", "files"].contains(&name.as_str()));
    match (usual, arrays.as_slice()) {
        (Some(name), _) => Ok(Some((*name).clone())),
        (None, []) => Ok(None),
        (None, [one]) => Ok(Some((*one).clone())),
        (None, many) => Err(format!(
            "the reply has several lists ({}): go page by page, with --query page_token=…",
            many.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
        )),
    }
}

/// Reads JSON whole and lets content through.
#[derive(Default)]
struct Anything {
    /// The service's own words where it refused.
    said: Mutex<Option<Value>>,
}

impl Anything {
    fn keep(&self, said: Option<Value>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }

    fn take(&self) -> Option<Value> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Reader for Anything {
    type Out = RawReply;

    async fn read(
        &self,
        inner: &Inner,
        asked: &Asked,
        mut reply: Reply,
    ) -> Result<RawReply, Fault> {
        self.keep(None);
        let (name, status) = (asked.name(), reply.head.status);
        let refused = |body: &[u8]| {
            let said = serde_json::from_slice(body).ok().filter(Value::is_object);
            self.keep(said.map(|said| without_secrets(said, asked)));
            Err(inner.refusal(asked, &reply.head, Envelope::parse(body).as_ref()))
        };
        if !status.is_success() {
            // The body may be cut or no JSON at all; then the status has to do.
            let body = inner.collect(name, reply.body, MAX_ERROR_BYTES).await;
            return refused(&body.unwrap_or_default());
        }
        let headers = &reply.head.headers;
        if has_type(headers, "application/json") && !headers.contains_key(CONTENT_DISPOSITION) {
            let body = inner.collect(name, reply.body, MAX_JSON_BYTES).await?;
            if Envelope::parse(&body).and_then(|envelope| envelope.code).unwrap_or(0) != 0 {
                return refused(&body);
            }
            let text = std::str::from_utf8(&body).ok();
            let whole = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
            return text.filter(|_| whole).map(|text| RawReply::Json(text.to_owned())).ok_or_else(
                || {
                    let log_id = reply::log_id(headers);
                    Fault::garbage(name, status.as_u16(), log_id, "the reply is no whole JSON")
                },
            );
        }
        // 201, 204 …: content like any other.
        if status != StatusCode::PARTIAL_CONTENT {
            reply.head.status = StatusCode::OK;
        }
        match (Content { range: None }).read(inner, asked, reply).await? {
            Answer::Body(body) => Ok(RawReply::Content(body)),
            Answer::NoSuchRange => {
                let what = "the service sent a part of it, though the whole was asked for";
                Err(Fault::last(ApiError::local(Class::Unexpected, name, what)))
            }
        }
    }
}

fn without_secrets(value: Value, asked: &Asked) -> Value {
    match value {
        Value::String(text) => asked.hide(&text).into(),
        Value::Array(items) => items.into_iter().map(|item| without_secrets(item, asked)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, without_secrets(value, asked))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
