//! Uploaded files and what is embedded in documents. docs: drive-v1/file/download,
//! drive-v1/media/download, drive-v1/media/batch_get_tmp_download_url.

use std::fmt::Write as _;
use std::ops::Range;

use http::header;
use serde_json::{Value, json};

use super::super::content::{self, Blob};
use super::super::ids::{self, Id};
use super::super::state::{Media, MediaRule, State};
use super::{Body, Reply, Req};
use crate::model::ObjType;

/// Seconds for which a signed link is good.
const LINK_SECS: i64 = 86_400;

/// `GET /drive/v1/files/:file_token/download`
pub fn file(state: &mut State, request: &Req<'_>) -> Reply {
    let not_found = || Reply::error(404, 1_061_003, "not found.");
    let Some(id) = state.find_obj(request.params[0]) else { return not_found() };
    let obj = state.obj(id);
    if !state.obj_alive(id) {
        return Reply::error(404, 1_061_007, "file has been delete.");
    }
    if !state.may_read_obj(request.caller(), id) {
        return Reply::error(403, 1_061_004, "forbidden.");
    }
    if obj.ty != ObjType::File {
        return Reply::error(400, 1_061_002, "params error.");
    }
    let blob = content::uploaded(state, id);
    let over = state.knobs.plain_get_limit.is_some_and(|limit| blob.len() > limit);
    if over && !request.headers.contains_key(header::RANGE) {
        return Reply::error(200, 234_037, "file size exceeds limit");
    }
    let etag = state.knobs.etags.then(|| {
        let seal = ids::scramble((u64::from(id) << 32) | u64::from(content::version(state, id)));
        format!("\"{seal:016x}\"")
    });
    send(blob, &obj.title.clone(), etag, request)
}

/// `GET /drive/v1/medias/:file_token/download`
pub fn media(state: &mut State, request: &Req<'_>) -> Reply {
    let Some(Id::Media(id)) = state.find(request.params[0]) else {
        return Reply::error(404, 1_061_003, "not found.");
    };
    let media = &state.medias[id as usize];
    if !state.obj_alive(media.obj) {
        return Reply::error(404, 1_061_007, "file has been delete.");
    }
    if !state.may_read_obj(request.caller(), media.obj) {
        return Reply::error(403, 1_061_004, "forbidden.");
    }
    match access(state, media, request.params[0], request) {
        Access::Yes => {
            let etag =
                state.knobs.etags.then(|| format!("\"{:016x}\"", ids::scramble(u64::from(id))));
            send(Blob::Bytes(media.bytes.clone()), &media.name.clone(), etag, request)
        }
        // The page: 400 where a base with advanced permissions is addressed without it.
        Access::NeedsExtra => Reply::error(400, 1_061_004, "forbidden."),
        Access::No => Reply::error(403, 1_061_004, "forbidden."),
    }
}

enum Access {
    Yes,
    NeedsExtra,
    No,
}

fn access(state: &State, media: &Media, token: &str, request: &Req<'_>) -> Access {
    let advanced = state.extras.get(&media.obj).is_some_and(|extra| extra.members.is_some());
    match media.rule {
        MediaRule::LinkOnly | MediaRule::Forbidden => Access::No,
        MediaRule::Open if !(advanced && media.table.is_some()) => Access::Yes,
        _ if opens(request.query("extra"), media, token) => Access::Yes,
        _ => Access::NeedsExtra,
    }
}

/// True where `extra` names the table, and in the long form the file in a record.
fn opens(extra: Option<&str>, media: &Media, token: &str) -> bool {
    let Some(extra) = extra.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return false;
    };
    let perm = &extra["bitablePerm"];
    let right_table = match &media.table {
        Some(table) => perm["tableId"] == table.as_str(),
        None => perm["tableId"].is_string(),
    };
    let of_fields = perm["attachments"].as_object().into_iter().flat_map(|fields| fields.values());
    let of_records = of_fields.filter_map(Value::as_object).flat_map(|records| records.values());
    let mut tokens = of_records.filter_map(Value::as_array).flatten();
    right_table && (perm["rev"].is_number() || tokens.any(|known| known == token))
}

/// `GET /drive/v1/medias/batch_get_tmp_download_url`
pub fn tmp_urls(state: &mut State, request: &Req<'_>) -> Reply {
    let tokens: Vec<&str> = request
        .query
        .iter()
        .filter(|(key, _)| key == "file_tokens")
        .map(|(_, value)| value.as_str())
        .collect();
    if tokens.is_empty() || tokens.len() > 5 {
        return Reply::error(400, 1_061_002, "params error.");
    }
    let host = request.headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let base = host.map_or_else(|| "http://sim.invalid".to_owned(), |h| format!("http://{h}"));
    let mut urls = Vec::new();
    for token in tokens {
        // The page: tokens that are unknown or unreadable are just missing.
        let Some(Id::Media(id)) = state.find(token) else { continue };
        let media = &state.medias[id as usize];
        let by_link = media.rule == MediaRule::LinkOnly
            || matches!(access(state, media, token, request), Access::Yes);
        let readable =
            state.obj_alive(media.obj) && state.may_read_obj(request.caller(), media.obj);
        if !readable || !by_link {
            continue;
        }
        let signature = format!("{:016x}", ids::scramble(state.next() ^ 0xF11E));
        let expires = state.now() + LINK_SECS;
        state.signed.insert(signature.clone(), (id, expires));
        let url = format!("{base}/sim/media/{signature}");
        urls.push(json!({"file_token": token, "tmp_download_url": url}));
    }
    Reply::data(json!({"tmp_download_urls": urls}))
}

/// What a signed link leads to. It is another host's business: a bearer token that
/// is sent there has leaked, and is refused so that tests notice.
pub fn signed(state: &mut State, request: &Req<'_>) -> Reply {
    let found = state.signed.get(request.params[0]).copied();
    let now = state.now();
    match found.filter(|(_, expires)| now < *expires) {
        Some((id, _)) if !request.headers.contains_key(header::AUTHORIZATION) => {
            let media = &state.medias[id as usize];
            send(Blob::Bytes(media.bytes.clone()), &media.name.clone(), None, request)
        }
        Some(_) => Reply::error(400, 1, "do not send credentials to this host"),
        None => Reply::error(403, 1, "the link has expired"),
    }
}

/// Content, or the part of it that `Range` asks for.
pub fn send(blob: Blob, name: &str, etag: Option<String>, request: &Req<'_>) -> Reply {
    let total = blob.len();
    let text = |name| request.headers.get(name).and_then(|v| v.to_str().ok());
    // RFC 9110: a range under another validator is no range.
    let same = text(header::IF_RANGE).is_none_or(|wanted| etag.as_deref() == Some(wanted));
    let range = text(header::RANGE).filter(|_| same).and_then(|r| parse_range(r, total));
    if let Some(Err(())) = range {
        return Reply::error(416, 1_061_002, "requested range not satisfiable")
            .with("content-range", &format!("bytes */{total}"));
    }
    let (status, part) = match range {
        Some(Ok(part)) => (206, part),
        _ => (200, 0..total),
    };
    let mut headers = vec![
        ("content-type", content::mime(name).to_owned()),
        ("content-disposition", disposition(name)),
        ("accept-ranges", "bytes".to_owned()),
    ];
    if status == 206 {
        headers.push(("content-range", format!("bytes {}-{}/{total}", part.start, part.end - 1)));
    }
    if let Some(etag) = etag {
        headers.push(("etag", etag));
    }
    Reply { status, code: 0, headers, body: Body::Content(blob, part) }
}

/// `bytes=a-b`, `bytes=a-` or `bytes=-n`; `None` where it is no such thing, which a
/// server ignores; `Err` where it lies outside.
fn parse_range(text: &str, total: u64) -> Option<Result<Range<u64>, ()>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", count) => total.saturating_sub(count.parse().ok()?)..total,
        (first, "") => first.parse().ok()?..total,
        (first, last) => first.parse().ok()?..total.min(last.parse::<u64>().ok()?.checked_add(1)?),
    };
    Some(if range.start < range.end { Ok(range) } else { Err(()) })
}

/// Both spellings of the file name, as the service sends them.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let cases = [
            ("bytes=0-3", 10, Some(Ok(0..4))),
            ("bytes=4-", 10, Some(Ok(4..10))),
            ("bytes=-3", 10, Some(Ok(7..10))),
            ("bytes=8-99", 10, Some(Ok(8..10))),
            ("bytes=10-", 10, Some(Err(()))),
            ("bytes=0-0", 0, Some(Err(()))),
            ("bytes=x-", 10, None),
            ("lines=1-2", 10, None),
        ];
        for (text, total, range) in cases {
            assert_eq!(parse_range(text, total), range, "{text} of {total}");
        }
    }
}
