//! Recordings: description, media, transcript, what the service made of them, search.
//! docs: minutes-v1/minute/get and its neighbours, minutes-v1/minute/search.

use http::{HeaderMap, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::content::Blob;
use super::super::ids;
use super::super::minutes::Recorded;
use super::super::state::{State, UserId};
use super::{Body, Reply, Req, download, page};

/// Seconds for which a link to the media is good (docs: minutes-v1/minute-media/get).
const LINK_SECS: i64 = 86_400;
/// Most users in a filter, and most characters of a query (docs: minutes-v1/minute/search).
const MOST_USERS: usize = 100;
const MOST_CHARS: usize = 50;

fn wrong() -> Reply {
    Reply::error(400, 2_091_001, "param is invalid")
}

/// The recording that is asked about, by number.
fn find(state: &State, request: &Req<'_>) -> Result<usize, Reply> {
    let token = request.params[0];
    let at = state.minutes.all.iter().position(|minute| minute.token == token);
    let at = at.ok_or_else(|| Reply::error(404, 2_091_002, "minutes not found"))?;
    let minute = &state.minutes.all[at];
    if minute.deleted {
        return Err(Reply::error(400, 2_091_004, "minutes has been deleted"));
    }
    if !state.may_see(request.caller(), minute) {
        return Err(Reply::error(403, 2_091_005, "permission deny"));
    }
    Ok(at)
}

/// The same, once its parts are there.
fn ready(state: &State, request: &Req<'_>) -> Result<usize, Reply> {
    let at = find(state, request)?;
    if state.now() < state.minutes.all[at].ready {
        return Err(Reply::error(400, 2_091_003, "minutes is not ready"));
    }
    Ok(at)
}

/// `GET /minutes/v1/minutes/:minute_token`
pub fn get(state: &mut State, request: &Req<'_>) -> Reply {
    let at = match find(state, request) {
        Ok(at) => at,
        Err(reply) => return reply,
    };
    let minute = &state.minutes.all[at];
    Reply::data(json!({"minute": {
        "token": minute.token,
        "owner_id": state.users[minute.owner as usize].open_id,
        "create_time": minute.created_ms.to_string(),
        "title": minute.title,
        "cover": "https://demo.feishu.cn/cover.png",
        "duration": minute.duration_ms.to_string(),
        "url": minute.url(),
    }}))
}

/// `GET /minutes/v1/minutes/:minute_token/media`
pub fn media(state: &mut State, request: &Req<'_>) -> Reply {
    let at = match ready(state, request) {
        Ok(at) => at,
        Err(reply) => return reply,
    };
    if state.minutes.all[at].media.is_none() {
        return Reply::error(404, 2_091_002, "minutes media not found");
    }
    let signature = format!("{:016x}", ids::scramble(state.next() ^ 0x3ED1A));
    let expires = state.now() + LINK_SECS;
    state.minutes.links.insert(signature.clone(), (at, expires));
    Reply::data(json!({"download_url": format!("{}/sim/minutes/{signature}", request.origin)}))
}

/// What a link leads to. It is another host's business: a bearer token that is sent
/// there has leaked, and is refused so that tests notice.
pub fn signed(state: &mut State, request: &Req<'_>) -> Reply {
    let found = state.minutes.links.get(request.params[0]).copied();
    let now = state.now();
    let Some((at, _)) = found.filter(|(_, expires)| now < *expires) else {
        return Reply::error(403, 1, "the link has expired");
    };
    if request.headers.contains_key(header::AUTHORIZATION) {
        return Reply::error(400, 1, "do not send credentials to this host");
    }
    let minute = &state.minutes.all[at];
    let Some((blob, media_type)) = minute.media.clone().filter(|_| !minute.deleted) else {
        return Reply::error(404, 1, "not found");
    };
    let name = format!("{}.{}", minute.title, minute.extension());
    let none = HeaderMap::new();
    let headers = if state.minutes.whole_only { &none } else { request.headers };
    let request = Req { params: request.params.clone(), headers, ..*request };
    let mut reply = download::send(blob, &name, None, &request);
    for (name, value) in &mut reply.headers {
        if *name == "content-type" {
            media_type.clone_into(value);
        }
    }
    reply
}

/// `GET /minutes/v1/minutes/:minute_token/transcript`
pub fn transcript(state: &mut State, request: &Req<'_>) -> Reply {
    let at = match find(state, request) {
        Ok(at) => at,
        Err(reply) => return reply,
    };
    // The pages do not tell the defaults: here, nothing but the words.
    let switch = |name| match request.query(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong()),
    };
    let subtitles = match request.query("file_format") {
        None | Some("txt") => false,
        Some("srt") => true,
        Some(_) => return wrong(),
    };
    let (speakers, times) = match (switch("need_speaker"), switch("need_timestamp")) {
        (Ok(speakers), Ok(times)) => (speakers, times),
        (Err(reply), _) | (_, Err(reply)) => return reply,
    };
    let minute = &state.minutes.all[at];
    if minute.kept && request.caller().user != Some(minute.owner) {
        return Reply::error(403, 2_091_005, "permission deny");
    }
    if state.now() < minute.ready {
        return Reply::error(400, 2_091_003, "minutes is not ready");
    }
    let text = minute.written(speakers, times, subtitles).into_bytes();
    let whole = 0..text.len() as u64;
    let body = Body::Content(Blob::Bytes(text.into()), whole);
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    Reply { status: 200, code: 0, headers, body }
}

/// `GET /minutes/v1/minutes/:minute_token/artifacts`
pub fn artifacts(state: &mut State, request: &Req<'_>) -> Reply {
    let at = match ready(state, request) {
        Ok(at) => at,
        Err(reply) => return reply,
    };
    let minute = &state.minutes.all[at];
    Reply::data(json!({
        "summary": minute.summary,
        "minute_chapters": minute.chapters,
        "minute_todos": minute.todos,
    }))
}

/// `POST /minutes/v1/minutes/search`
pub fn search(state: &mut State, request: &Req<'_>) -> Reply {
    let body = request.json;
    let filter = &body["filter"];
    let wrong = || Reply::error(400, 2_094_001, "param is invalid");
    let (Ok(owners), Ok(people), Ok(made), Ok(query)) = (
        users(state, &filter["owner_ids"], MOST_USERS),
        users(state, &filter["participant_ids"], MOST_USERS),
        window(&filter["create_time"]),
        words(&body["query"]),
    ) else {
        return wrong();
    };
    if owners.is_none() && people.is_none() && made.is_none() && query.is_empty() {
        return wrong();
    }
    let fits = |minute: &&Recorded| {
        let there = |user: &UserId| minute.owner == *user || minute.attended.contains(user);
        let at = minute.created_ms.div_euclid(1000);
        !minute.deleted
            && state.may_see(request.caller(), minute)
            && minute.title.to_lowercase().contains(&query)
            && owners.as_ref().is_none_or(|owners| owners.contains(&minute.owner))
            && people.as_ref().is_none_or(|people| people.iter().any(there))
            && made.is_none_or(|(from, to)| (from..=to).contains(&at))
    };
    let mut found: Vec<&Recorded> = state.minutes.all.iter().filter(fits).collect();
    found.sort_by_key(|minute| std::cmp::Reverse(minute.created_ms));
    let Some(page) = cut(state, request, found.len()) else { return wrong() };
    if state.minutes.depth.is_some_and(|depth| page.from >= depth) {
        return Reply::error(400, 2_094_007, "the result is too deep");
    }
    let items = found[page.from..page.to].iter().map(|minute| {
        json!({
            "token": minute.token,
            "display_info": format!("<h>{}</h>", minute.title),
            "meta_data": {"app_link": minute.url(), "avatar": "", "description": ""},
        })
    });
    Reply::data(json!({
        "total": found.len(),
        "items": items.collect::<Vec<_>>(),
        "has_more": page.next.is_some(),
        "page_token": page.next.unwrap_or_default(),
    }))
}

/// The page that is asked for, of a search by this user with this body.
pub fn cut(state: &State, request: &Req<'_>, total: usize) -> Option<page::Page> {
    let size = page::size(state, request, 15, 30)?;
    let seal = format!("{:?} {}", request.caller().user, request.json);
    page::cut(total, size, request.query("page_token"), &seal)
}

/// Users by their `open_id`s; strangers are nobody. `None`: any.
pub fn users(state: &State, ids: &Value, most: usize) -> Result<Option<Vec<UserId>>, ()> {
    let ids = match ids {
        Value::Null => return Ok(None),
        Value::Array(ids) if ids.len() <= most => ids,
        _ => return Err(()),
    };
    if ids.is_empty() {
        return Ok(None);
    }
    let known = |id: &Value| state.users.iter().position(|user| *id == user.open_id.as_str());
    Ok(Some(ids.iter().filter_map(known).map(super::super::state::index).collect()))
}

/// The words of a query, in small letters.
pub fn words(query: &Value) -> Result<String, ()> {
    let text = query.as_str().unwrap_or_default();
    if text.chars().count() <= MOST_CHARS { Ok(text.to_lowercase()) } else { Err(()) }
}

/// Start and end in seconds since 1970, both in it; ISO 8601 with a zone.
pub fn window(window: &Value) -> Result<Option<(i64, i64)>, ()> {
    if window.is_null() {
        return Ok(None);
    }
    let time = |name: &str| {
        let text = window[name].as_str().ok_or(())?;
        text.parse::<Timestamp>().map(Timestamp::as_second).map_err(|_| ())
    };
    let (from, to) = (time("start_time")?, time("end_time")?);
    if from <= to { Ok(Some((from, to))) } else { Err(()) }
}
