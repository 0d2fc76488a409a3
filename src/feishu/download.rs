//! Content: uploaded files and export products, streamed.
//!
//! The service may answer a download with HTTP 200 and an error, so a body is looked
//! at before any of it is handed out: an error is `application/json` without
//! `Content-Disposition` that holds a `code` other than 0, or `text/html` without
//! `Content-Disposition`; JSON without one that is broken, or an envelope that holds no
//! content, is a reply gone wrong. Uploaded JSON and HTML files come with one and are content.
//! Until the first byte is there a failure is tried again here; a cut after that is
//! the caller's, who knows how to go on with a range.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use super::call::{Call, Expect};
use super::disposition;
use super::error::{ApiError, Class, Fault, tidy};
use super::quota::Endpoint;
use super::reader::{Asked, Reader, Reply};
use super::reply::{self, Envelope};
use super::transport::Inner;
use super::{Body, ByteStream, Client};

const FILE: Endpoint = Endpoint::named("GET /open-apis/drive/v1/files/:file_token/download");
pub(super) const PRODUCT: Endpoint =
    Endpoint::named("GET /open-apis/drive/v1/export_tasks/file/:file_token/download");

/// No error of the service is longer; a longer JSON body is content.
const MAX_ERROR_BYTES: usize = 256 << 10;

impl Client {
    /// The product of an export ([`super::ExportJob::Ready`]), whole.
    ///
    /// # Errors
    /// [`Class::Gone`] where the product has died (10 minutes after the export ended):
    /// export again.
    pub async fn download_export(&self, file_token: &str) -> Result<Body, ApiError> {
        let path = [file_token];
        self.download(Call::new(PRODUCT, &path), None).await
    }

    /// An uploaded file, whole or a range of it (end exclusive).
    ///
    /// The body starts where [`Body::offset`] says: at 0 where the server ignored the
    /// range or where nothing is left at its start. A file may refuse to come whole
    /// ([`ApiError::wants_ranges`]).
    pub async fn download_file(
        &self,
        token: &str,
        range: Option<Range<u64>>,
    ) -> Result<Body, ApiError> {
        let path = [token];
        self.download(Call::new(FILE, &path), range).await
    }

    /// What a call brings, whole or a range of it.
    pub(super) async fn download(
        &self,
        mut call: Call<'_>,
        range: Option<Range<u64>>,
    ) -> Result<Body, ApiError> {
        let range = range.filter(|range| !range.is_empty());
        call.expect = range.clone().map_or(Expect::Whole, Expect::Part);
        match self.inner.exchange(&call, &Content { range }).await? {
            Answer::Body(body) => Ok(body),
            // There is no such range: the file is empty or shorter than the caller
            // thinks. The whole of it tells which.
            Answer::NoSuchRange => {
                call.expect = Expect::Whole;
                match self.inner.exchange(&call, &Content { range: None }).await? {
                    Answer::Body(body) => Ok(body),
                    Answer::NoSuchRange => Err(ApiError::local(
                        Class::Unexpected,
                        call.endpoint.name(),
                        "HTTP 416 to a call without a range",
                    )),
                }
            }
        }
    }
}

pub(super) struct Content {
    pub(super) range: Option<Range<u64>>,
}

pub(super) enum Answer {
    Body(Body),
    NoSuchRange,
}

impl Reader for Content {
    type Out = Answer;

    async fn read(&self, inner: &Inner, asked: &Asked, reply: Reply) -> Result<Answer, Fault> {
        let Reply { head, mut body, slot } = reply;
        let name = asked.name();
        let headers = &head.headers;
        let garbage =
            |what: &str| Fault::garbage(name, head.status.as_u16(), reply::log_id(headers), what);
        let (offset, total, length) = match head.status {
            StatusCode::OK => {
                let length = content_length(headers);
                (0, length, length)
            }
            StatusCode::PARTIAL_CONTENT => {
                let sent = ContentRange::parse(headers)
                    .ok_or_else(|| garbage("a partial reply without a usable Content-Range"))?;
                let asked = self.range.clone().unwrap_or(0..u64::MAX);
                if sent.range.start != asked.start || sent.range.end > asked.end {
                    return Err(garbage("the service sent another range than asked for"));
                }
                let length = sent.range.end - sent.range.start;
                if content_length(headers).is_some_and(|said| said != length) {
                    return Err(garbage("Content-Length and Content-Range disagree"));
                }
                // Without a total nobody can tell a part from the whole: asked for whole.
                let Some(total) = sent.total else { return Ok(Answer::NoSuchRange) };
                (sent.range.start, Some(total), Some(length))
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let total = unsatisfied_total(headers);
                return Ok(match (&self.range, total) {
                    // Nothing is left: an empty file, or a download that had it all.
                    (Some(range), Some(total)) if range.start == total => Answer::Body(Body {
                        offset: total,
                        total: Some(total),
                        etag: strong_etag(headers),
                        content_type: media_type(headers),
                        file_name: disposition::file_name(headers),
                        stream: stream::empty().boxed(),
                    }),
                    _ => Answer::NoSuchRange,
                });
            }
            _ => {
                // The body may be cut or no JSON at all; then the status has to do. But for
                // HTTP 400, which stands for anything, a rate limit too: there the code counts.
                let text = match inner.collect(name, body, MAX_ERROR_BYTES).await {
                    Err(fault) if head.status == StatusCode::BAD_REQUEST => return Err(fault),
                    text => text.unwrap_or_default(),
                };
                return Err(inner.refusal(asked, &head, Envelope::parse(&text).as_ref()));
            }
        };
        if let Some(encoding) = headers.get(CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Err(garbage("the reply is encoded though that was not asked for"));
        }
        let bare = !headers.contains_key(CONTENT_DISPOSITION);
        if bare && has_type(headers, "text/html") {
            return Err(garbage("a web page instead of content"));
        }
        // Waits for the first byte, so that a connection that dies before it is tried
        // again; an error body is read whole, or as much as an error can have.
        let suspect = bare && has_type(headers, "application/json");
        let mut first = Vec::new();
        let mut held = 0;
        let mut whole = false;
        while !whole && (held == 0 || (suspect && held <= MAX_ERROR_BYTES)) {
            let chunk = inner.next_chunk(name, &mut body).await?;
            whole = chunk.is_none();
            held += chunk.as_ref().map_or(0, Bytes::len);
            first.extend(chunk);
        }
        if suspect && whole {
            let text = first.concat();
            // Content has a name; without one, what calls itself JSON and is none is what a
            // gateway left of a reply.
            let Ok(value) = serde_json::from_slice::<Value>(&text) else {
                return Err(garbage("broken JSON instead of content"));
            };
            match value.get("code").and_then(Value::as_i64) {
                Some(0) if value.get("msg").is_some_and(Value::is_string) => {
                    return Err(garbage("an envelope instead of content"));
                }
                None | Some(0) => {}
                Some(_) => {
                    return Err(inner.refusal(asked, &head, Envelope::parse(&text).as_ref()));
                }
            }
        }
        if held == 0 && length.is_some_and(|length| length > 0) {
            return Err(garbage("the reply ended before its first byte"));
        }
        let body = Incoming {
            endpoint: name,
            first: first.into(),
            rest: body,
            got: 0,
            length,
            silence: inner.settings.request_timeout,
            bandwidth: Arc::clone(&inner.bandwidth),
            slot,
        };
        let (etag, content_type) = (strong_etag(headers), media_type(headers));
        let file_name = disposition::file_name(headers);
        let stream = body.stream();
        Ok(Answer::Body(Body { offset, total, etag, content_type, file_name, stream }))
    }
}

/// A body on its way to the caller.
struct Incoming {
    endpoint: &'static str,
    first: std::collections::VecDeque<Bytes>,
    rest: ByteStream,
    got: u64,
    length: Option<u64>,
    silence: Duration,
    bandwidth: Arc<Bandwidth>,
    /// A body still arriving is a request in flight; a whole one is not, even while its
    /// reader holds on to it.
    slot: Option<OwnedSemaphorePermit>,
}

impl Incoming {
    fn stream(self) -> stream::BoxStream<'static, Result<Bytes, ApiError>> {
        // `None` after an error: nothing follows it.
        stream::unfold(Some(self), |state| async move {
            let mut body = state?;
            match body.next().await {
                Ok(None) => None,
                Ok(Some(chunk)) => Some((Ok(chunk), Some(body))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .fuse()
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let broken = |what: String| ApiError::local(Class::Transient, self.endpoint, what);
        let chunk = match self.first.pop_front() {
            Some(chunk) => Some(chunk),
            None => match timeout(self.silence, self.rest.next()).await {
                Err(_) => {
                    let secs = self.silence.as_secs_f64();
                    return Err(broken(format!("no byte for {secs} s, after {}", self.got)));
                }
                Ok(chunk) => chunk.transpose().map_err(|error| {
                    let said = tidy(&error.message);
                    broken(format!("the connection broke after {} bytes: {said}", self.got))
                })?,
            },
        };
        let Some(chunk) = chunk else {
            return match self.length {
                Some(length) if self.got < length => {
                    Err(broken(format!("cut after {} of {length} bytes", self.got)))
                }
                _ => Ok(None),
            };
        };
        self.got += chunk.len() as u64;
        if self.length.is_some_and(|length| self.got > length) {
            return Err(broken("more bytes came than were announced".to_owned()));
        }
        if self.length == Some(self.got) {
            self.slot = None;
        }
        self.bandwidth.pass(chunk.len()).await;
        Ok(Some(chunk))
    }
}

/// Bytes a second, shared by all downloads of a client.
#[derive(Debug)]
pub(super) struct Bandwidth {
    /// 0: no limit.
    per_sec: u64,
    paid_until: Mutex<Option<Instant>>,
}

impl Bandwidth {
    pub(super) fn new(per_sec: u64) -> Self {
        Self { per_sec, paid_until: Mutex::new(None) }
    }

    /// Waits until so many bytes may pass.
    async fn pass(&self, bytes: usize) {
        if self.per_sec == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let cost = Duration::from_secs_f64(bytes as f64 / self.per_sec as f64);
        let now = Instant::now();
        let until = {
            let mut paid = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
            let until = paid.map_or(now, |paid| paid.max(now)) + cost;
            *paid = Some(until);
            until
        };
        sleep_until(until).await;
    }
}

#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    range: Range<u64>,
    total: Option<u64>,
}

impl ContentRange {
    /// `bytes 0-99/1000`, `bytes 0-99/*`.
    fn parse(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.trim().split_once('-')?;
        let range = first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?;
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let sound = !range.is_empty() && total.is_none_or(|total| range.end <= total);
        sound.then_some(Self { range, total })
    }
}

/// `bytes */1000` of an HTTP 416.
fn unsatisfied_total(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    text.strip_prefix("bytes")?.trim().strip_prefix("*/")?.parse().ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

pub(super) fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    media_type(headers).is_some_and(|ty| ty == wanted)
}

/// `Content-Type` without its parameters, in small letters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let ty = value.split(';').next()?.trim().to_ascii_lowercase();
    (!ty.is_empty()).then_some(ty)
}

/// A weak one (`W/"…"`) says nothing about single bytes.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(ETAG)?.to_str().ok()?;
    (etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"')).then(|| etag.to_owned())
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
