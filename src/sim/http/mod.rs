//! The HTTP face: one table of endpoints, one way through.
//!
//! Every call goes: log, faults, token, scopes, quota, endpoint, faults of the body. The
//! envelope, the headers and the gateway's codes follow docs: api-call-guide and
//! its page of generic error codes.

mod application;
pub mod auth;
mod bitable;
mod board;
mod body;
mod calls;
mod clock;
mod comments;
pub mod consent;
mod contact;
pub mod device;
mod docx;
mod download;
mod drive;
pub mod export;
mod html;
mod meetings;
mod metas;
mod minutes;
pub mod oauth;
mod page;
mod records;
mod registration;
mod scopes;
mod search;
mod sheets;
mod table;
mod values;
mod wiki;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use serde_json::{Value, json};

use super::faults::{Effect, Incoming};
use super::log::Call;
use super::permit::Identity;
use super::quota::{self, Limit, Style};
use super::state::State;
pub use body::Severed;
use table::{Endpoint, Needs, Route};

type Shared = Arc<Mutex<State>>;

/// What an endpoint sees of a call.
pub struct Req<'a> {
    /// Who is calling; for endpoints without a token, nobody.
    pub who: Option<Identity>,
    /// Values of the pattern's parameters, in order.
    pub params: Vec<&'a str>,
    /// Decoded query, in order.
    pub query: &'a [(String, String)],
    /// The body, where it is JSON.
    pub json: &'a Value,
    /// The body, where it is a form: decoded, in order.
    pub form: &'a [(String, String)],
    /// Scheme and host that were called, as in `http://127.0.0.1:9`.
    pub origin: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl Req<'_> {
    /// A field of a form, empty ones left out.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.form.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A query parameter, empty ones left out.
    pub fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Who is calling, on an endpoint that needs a token.
    pub fn caller(&self) -> Identity {
        self.who.expect("the gateway let only calls with a token through")
    }
}

/// What an endpoint answers.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The envelope's code.
    pub code: i64,
    /// Headers besides the usual ones.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// A reply's body.
pub enum Body {
    /// The envelope.
    Json(Value),
    /// A page for people.
    Html(String),
    /// Content.
    Content(super::content::Blob, std::ops::Range<u64>),
}

impl Reply {
    /// `code` 0 with `data`.
    pub fn data(data: Value) -> Self {
        let mut envelope = json!({"code": 0, "msg": "success"});
        envelope["data"] = data;
        Self::top(envelope)
    }

    /// An envelope as it is, HTTP 200.
    pub fn top(envelope: Value) -> Self {
        let code = envelope["code"].as_i64().unwrap_or(0);
        Self { status: 200, code, headers: Vec::new(), body: Body::Json(envelope) }
    }

    /// An error.
    pub fn error(status: u16, code: i64, msg: &str) -> Self {
        let envelope = json!({"code": code, "msg": msg});
        Self { status, code, headers: Vec::new(), body: Body::Json(envelope) }
    }

    /// A page for people.
    pub fn html(status: u16, page: String) -> Self {
        Self { status, code: 0, headers: Vec::new(), body: Body::Html(page) }
    }

    fn with(mut self, name: &'static str, value: &dyn ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// Makes the router: every path goes through one door, which keeps the order of the
/// checks in one place.
pub fn router(shared: Shared) -> Router {
    let table: Arc<Vec<Endpoint>> = Arc::new(table::endpoints());
    Router::new()
        .fallback(move |Extract(shared): Extract<Shared>, request: Request| {
            let table = table.clone();
            async move { answer(shared, &table, request).await }
        })
        .with_state(shared)
}

/// See [`super::Tenant::overruns`].
pub fn overruns(calls: &[Call]) -> Vec<String> {
    let mut times: BTreeMap<&str, (Limit, Vec<jiff::Timestamp>)> = BTreeMap::new();
    for endpoint in table::endpoints() {
        times.insert(endpoint.pattern, (endpoint.limit, Vec::new()));
    }
    for call in calls {
        if let Some((_, times)) = times.get_mut(call.pattern.as_str()) {
            times.push(call.at);
        }
    }
    let late = times.iter().filter_map(|(pattern, (limit, times))| {
        let (cap, secs, at) = quota::overrun(times, *limit)?;
        Some(format!("{pattern}: more than {cap} in {secs} s, at {at}"))
    });
    late.collect()
}

/// A call taken apart.
struct Parts {
    method: Method,
    path: String,
    query: String,
    body: Bytes,
    headers: HeaderMap,
    origin: String,
    at: jiff::Timestamp,
}

async fn answer(shared: Shared, table: &[Endpoint], request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 8 << 20).await.unwrap_or_default();
    let full = head.uri.path();
    let call = Parts {
        path: full.strip_prefix("/open-apis").unwrap_or(full).to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        origin: origin(&head.uri, &head.headers),
        method: head.method,
        headers: head.headers,
        body,
        at: lock(&shared).clock.now(),
    };
    let bare = full == call.path;
    let route = table::find(table, &call.method, &call.path, bare);
    let pattern = match &route {
        Route::Found(endpoint, _) => endpoint.pattern,
        _ => call.path.as_str(),
    };

    let (number, effects, latency) = {
        let text = String::from_utf8_lossy(&call.body);
        let mut state = lock(&shared);
        let effects = state.faults.strike(&Incoming {
            method: call.method.as_str(),
            pattern,
            path: &call.path,
            query: &call.query,
            body: &text,
        });
        let number = state.log.begin(Call {
            method: call.method.to_string(),
            pattern: pattern.to_owned(),
            path: call.path.clone(),
            query: call.query.clone(),
            identity: String::new(),
            status: 0,
            code: 0,
            at: call.at,
        });
        (number, effects, state.knobs.latency_millis)
    };
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    for effect in &effects {
        match effect {
            Effect::Delay(time) => tokio::time::sleep(*time).await,
            Effect::Queue(queue) => tokio::time::sleep_until(queue.turn()).await,
            Effect::Run(action) => action(),
            _ => {}
        }
    }

    let mut state = lock(&shared);
    let (who, reply) = respond(&mut state, &route, &call, &effects);
    let severed = effects.iter().find_map(|effect| match effect {
        Effect::Reset => Some(Severed { connect: false }),
        Effect::Unreachable => Some(Severed { connect: true }),
        _ => None,
    });
    let identity = who.map_or_else(String::new, |who| match who.user {
        Some(user) => format!("user:{}", state.users[user as usize].name),
        None => format!("app:{}", state.apps[who.app].id),
    });
    let (status, code) = if severed.is_some() { (0, 0) } else { (reply.status, reply.code) };
    let log_id = state.next();
    let date = httpdate::fmt_http_date(SystemTime::from(state.clock.now()));
    state.log.finish(number, identity, status, code);
    drop(state);

    let reply = reply.with("date", &date).with("x-tt-logid", &format!("{log_id:032}"));
    body::response(reply, &effects, severed)
}

/// Finds the answer, in the order in which the gateway checks.
fn respond(
    state: &mut State,
    route: &Route<'_>,
    call: &Parts,
    effects: &[Effect],
) -> (Option<Identity>, Reply) {
    let who = auth::identify(state, &call.headers);
    let caller = who.as_ref().ok().copied();
    let pattern = match route {
        Route::Found(endpoint, _) => endpoint.pattern,
        _ => "",
    };
    if let Some(reply) = effects.iter().find_map(|effect| instead(effect, pattern)) {
        return (caller, reply);
    }
    let (endpoint, params) = match route {
        Route::Found(endpoint, params) => (*endpoint, params.clone()),
        Route::OtherMethod => {
            return (caller, Reply::error(404, 99_991_301, "the method does not match the path"));
        }
        Route::Unknown => {
            return (caller, Reply::error(404, 99_991_201, "the path does not exist"));
        }
    };
    let who = match endpoint.needs {
        Needs::Nothing => None,
        _ => match who {
            Ok(who) => Some(who),
            Err(reply) => return (None, reply),
        },
    };
    if let Some(who) = who
        && let Err(reply) = auth::admit(state, endpoint, who, &call.headers)
    {
        return (caller, reply);
    }
    let form = call.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let form = form.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let form = if form { decode_query(&String::from_utf8_lossy(&call.body)) } else { Vec::new() };
    let query = decode_query(&call.query);
    let json = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
    let request = Req {
        who,
        params,
        query: &query,
        json: &json,
        form: &form,
        origin: &call.origin,
        headers: &call.headers,
    };
    let app = who.map_or_else(|| auth::client(state, &request), |who| who.app);
    if let Err(no) = state.meter.admit(app, endpoint.pattern, endpoint.limit, call.at) {
        let reply = match no.style {
            Style::TooMany => rate_limited(429, Some(no.reset_secs.unsigned_abs())),
            Style::BadRequest => rate_limited(400, Some(no.reset_secs.unsigned_abs())),
            Style::Throttle => Reply::error(400, 1_061_045, "can retry"),
        };
        return (caller, reply.with("x-ogw-ratelimit-limit", &no.limit));
    }
    let mut reply = (endpoint.handler)(state, &request);
    page::disturb(&mut reply, &request, effects);
    (caller, reply)
}

/// The reply that a fault gives instead of the endpoint's own, in the words of OAuth
/// where the endpoint speaks them.
fn instead(effect: &Effect, pattern: &str) -> Option<Reply> {
    let oauth = oauth::speaks(pattern);
    Some(match effect {
        Effect::Forbidden => forbidden(pattern),
        Effect::Status { http, code } if oauth => Reply { status: *http, ..oauth::failure(*code) },
        Effect::Status { http, code } => Reply::error(*http, *code, "simulated failure"),
        Effect::ErrorWith200(code) => Reply::error(200, *code, "simulated failure"),
        Effect::RateLimit { http, reset_secs } => rate_limited(*http, *reset_secs),
        Effect::Reset | Effect::Unreachable => Reply::error(500, 0, ""),
        _ => return None,
    })
}

/// How the endpoint says that the caller may not (docs: the pages of each).
fn forbidden(pattern: &str) -> Reply {
    let families = [
        ("/wiki/", 400, 131_006),
        ("/docx/", 403, 1_770_032),
        ("/bitable/", 403, 1_254_302),
        ("/sheets/v2/", 400, 90_213),
        ("/sheets/", 400, 1_310_213),
        ("/drive/v1/export_tasks", 403, 1_069_902),
        ("/drive/v1/metas", 403, 970_003),
        ("comments", 403, 1_069_303),
    ];
    let known = families.iter().find(|(part, ..)| pattern.contains(part));
    let (status, code) = known.map_or((403, 1_061_004), |(_, status, code)| (*status, *code));
    Reply::error(status, code, "no permission")
}

fn rate_limited(status: u16, reset_secs: Option<u64>) -> Reply {
    let reply = Reply::error(status, 99_991_400, "request trigger frequency limit");
    match reset_secs {
        Some(secs) => reply.with("x-ogw-ratelimit-reset", &secs),
        None => reply,
    }
}

/// Scheme and host as the caller spelled them.
fn origin(uri: &Uri, headers: &HeaderMap) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(http::uri::Authority::as_str).or(named);
    format!("{scheme}://{}", host.unwrap_or("sim.invalid"))
}

/// `a=b&c=d`, percent-decoded, `+` for a space.
fn decode_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match (hex(ahead.next()), hex(ahead.next())) {
                (Some(high), Some(low)) => {
                    bytes.push(u8::try_from(high * 16 + low).expect("two hex digits"));
                    rest = ahead;
                }
                _ => bytes.push(byte),
            },
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The state, whatever happened to other holders of the lock.
pub fn lock(shared: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
