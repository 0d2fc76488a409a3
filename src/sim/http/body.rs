//! From a [`Reply`] to bytes on the wire, with the faults that happen to bodies.

use axum::body::Body as WireBody;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderValue, StatusCode, header};

use super::super::faults::Effect;
use super::{Body, Reply};

/// Set on a reply that must not arrive: the connection is cut before its headers. The
/// in-process transport turns it into an error; over TCP the connection dies.
#[derive(Debug, Clone, Copy)]
pub struct Severed {
    /// True where there was to be no connection at all. Over TCP there already is one,
    /// so there the two cases look alike.
    pub connect: bool,
}

/// The connection was cut in the middle of a body, on purpose.
#[derive(Debug, thiserror::Error)]
#[error("connection reset by peer (simulated)")]
pub struct Cut;

type Pieces = BoxStream<'static, Result<Bytes, Cut>>;

/// Builds the response.
pub fn response(reply: Reply, effects: &[Effect], severed: Option<Severed>) -> Response {
    let mut response = Response::new(WireBody::empty());
    if let Some(severed) = severed {
        response.extensions_mut().insert(severed);
    }
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (mut kind, mut length, mut pieces): (&str, Option<u64>, Pieces) = match reply.body {
        Body::Json(value) => {
            let bytes = Bytes::from(value.to_string());
            let length = bytes.len() as u64;
            ("application/json; charset=utf-8", Some(length), whole(bytes))
        }
        Body::Html(page) => {
            let bytes = Bytes::from(page);
            let length = bytes.len() as u64;
            ("text/html; charset=utf-8", Some(length), whole(bytes))
        }
        Body::Content(blob, range) => {
            let length = range.end - range.start;
            let pieces = stream::iter(blob.pieces(range)).map(Ok).boxed();
            ("application/octet-stream", Some(length), pieces)
        }
    };
    for effect in effects {
        match effect {
            Effect::Garbage => {
                let bytes = Bytes::from_static(b"{\"code\":0,\"data\":{\"files\":[{\"tok");
                kind = "application/json";
                length = Some(bytes.len() as u64);
                pieces = whole(bytes);
                *response.status_mut() = StatusCode::OK;
            }
            Effect::Html => {
                let bytes =
                    Bytes::from_static(b"<!DOCTYPE html><html><body>Please log in</body></html>");
                kind = "text/html; charset=utf-8";
                length = Some(bytes.len() as u64);
                pieces = whole(bytes);
                *response.status_mut() = StatusCode::OK;
            }
            Effect::CutAfter(at) => {
                // The pause lets a server send what it holds before it meets the error.
                let cut = stream::once(async {
                    tokio::task::yield_now().await;
                    Err(Cut)
                });
                pieces = first(pieces, *at).chain(cut).boxed();
            }
            Effect::Truncate(at) => {
                length = None;
                pieces = first(pieces, *at);
            }
            Effect::Short(less) => {
                let most = length.map_or(0, |length| length.saturating_sub(*less));
                length = None;
                pieces = first(pieces, most);
            }
            Effect::Half => {
                let most = length.map_or(0, |length| length / 2);
                length = None;
                pieces = first(pieces, most);
            }
            Effect::Flip => {
                let mut flipped = false;
                let mut flip = move |piece: Bytes| {
                    let mut bytes = piece.to_vec();
                    if let (false, Some(first)) = (flipped, bytes.first_mut()) {
                        *first ^= 0xFF;
                        flipped = true;
                    }
                    Bytes::from(bytes)
                };
                pieces = pieces.map(move |piece| piece.map(&mut flip)).boxed();
            }
            Effect::Promise(more) => {
                length = length.map(|length| length.saturating_add_signed(*more));
            }
            Effect::Encoded => {
                let bytes = Bytes::from_static(b"\x1f\x8b\x08 nothing of the kind");
                length = Some(bytes.len() as u64);
                pieces = whole(bytes);
            }
            Effect::Replaced(other) => {
                kind = other.kind;
                length = Some(other.body.len() as u64);
                pieces = whole(other.body.clone());
                *response.status_mut() = StatusCode::from_u16(other.http).unwrap_or(StatusCode::OK);
            }
            Effect::TooLong(more) => {
                length = None;
                let more = Bytes::from(vec![b'+'; usize::try_from(*more).unwrap_or(1 << 20)]);
                pieces = pieces.chain(whole(more)).boxed();
            }
            Effect::Slow { bytes, pause } => pieces = slowly(pieces, *bytes, *pause),
            _ => {}
        }
    }
    let headers = response.headers_mut();
    // A page that stands in for the reply carries none of the reply's own headers.
    let replaced =
        effects.iter().any(|e| matches!(e, Effect::Garbage | Effect::Html | Effect::Replaced(_)));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in reply.headers {
        let usual = matches!(name, "date" | "x-tt-logid");
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
            && (usual || !replaced)
        {
            headers.insert(name, value);
        }
    }
    for effect in effects {
        match effect {
            Effect::Encoded => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            Effect::Replaced(other) if other.named => {
                let name = HeaderValue::from_static("attachment; filename=\"other\"");
                headers.insert(header::CONTENT_DISPOSITION, name);
            }
            _ => {}
        }
    }
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = WireBody::from_stream(pieces);
    response
}

fn whole(bytes: Bytes) -> Pieces {
    stream::once(async { Ok(bytes) }).boxed()
}

/// The first `limit` bytes.
fn first(pieces: Pieces, limit: u64) -> Pieces {
    pieces
        .scan(limit, |left, piece| {
            let piece = piece.map(|bytes| {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= take as u64;
                bytes.slice(..take)
            });
            std::future::ready(match &piece {
                Ok(bytes) if bytes.is_empty() => None,
                _ => Some(piece),
            })
        })
        .boxed()
}

fn slowly(pieces: Pieces, bytes: usize, pause: std::time::Duration) -> Pieces {
    pieces
        .flat_map(move |piece| {
            let parts: Vec<Result<Bytes, Cut>> = match piece {
                Ok(whole) => (0..whole.len())
                    .step_by(bytes.max(1))
                    .map(|at| Ok(whole.slice(at..whole.len().min(at + bytes.max(1)))))
                    .collect(),
                Err(cut) => vec![Err(cut)],
            };
            stream::iter(parts)
        })
        .then(move |part| async move {
            tokio::time::sleep(pause).await;
            part
        })
        .boxed()
}
