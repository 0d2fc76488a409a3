//! The HTTP face: one table of endpoints, one way through.
//!
//! Every call goes: log, faults, token, quota, endpoint, faults of the body. The
//! envelope, the headers and the gateway's codes follow docs: api-call-guide and
//! its page of generic error codes.

pub mod auth;
mod bitable;
mod body;
mod docx;
mod download;
mod drive;
pub mod export;
mod metas;
mod page;
mod sheets;
mod wiki;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::faults::{Effect, Incoming};
use super::log::Call;
use super::permit::Identity;
use super::quota::{Limit, Style};
use super::state::State;
pub use body::Severed;

type Shared = Arc<Mutex<State>>;
type Handler = fn(&mut State, &Req<'_>) -> Reply;

/// Which tokens an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// None: token endpoints and signed links.
    Nothing,
    /// A tenant's or a user's token.
    Either,
    /// A user's token.
    User,
}

struct Endpoint {
    method: Method,
    pattern: &'static str,
    needs: Needs,
    limit: Limit,
    handler: Handler,
}

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
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl Req<'_> {
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

    fn with(mut self, name: &'static str, value: &dyn ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// The endpoints, with the limits of their pages.
fn endpoints() -> Vec<Endpoint> {
    use Needs::{Either, Nothing, User};
    let unpublished = Limit::second(5);
    let get = |pattern, needs, limit, handler| Endpoint {
        method: Method::GET,
        pattern,
        needs,
        limit,
        handler,
    };
    let post = |pattern, needs, limit, handler| Endpoint {
        method: Method::POST,
        pattern,
        needs,
        limit,
        handler,
    };
    let export = Limit::minute(100);
    let wiki = Limit::minute(100);
    let sheets3 = Limit::minute(100);
    vec![
        post("/auth/v3/tenant_access_token/internal", Nothing, unpublished, auth::tenant_token),
        post("/auth/v3/app_access_token/internal", Nothing, unpublished, auth::app_token),
        get("/authen/v1/user_info", User, unpublished, auth::user_info),
        get("/drive/v1/files", Either, Limit::second(20), drive::list),
        get("/drive/explorer/v2/root_folder/meta", Either, unpublished, drive::root_meta),
        get(
            "/drive/explorer/v2/folder/:folder_token/meta",
            Either,
            unpublished,
            drive::folder_meta,
        ),
        post("/drive/v1/metas/batch_query", Either, Limit::tier4(), metas::batch_query),
        get("/drive/v1/files/:file_token/download", Either, Limit::download(), download::file),
        get("/drive/v1/medias/batch_get_tmp_download_url", Either, unpublished, download::tmp_urls),
        get("/drive/v1/medias/:file_token/download", Either, Limit::download(), download::media),
        post("/drive/v1/export_tasks", Either, export, export::create),
        get("/drive/v1/export_tasks/file/:file_token/download", Either, export, export::download),
        get("/drive/v1/export_tasks/:ticket", Either, export, export::poll),
        get("/wiki/v2/spaces", Either, wiki, wiki::spaces),
        get("/wiki/v2/spaces/get_node", Either, wiki, wiki::get_node),
        get("/wiki/v2/spaces/:space_id", Either, wiki, wiki::space),
        get("/wiki/v2/spaces/:space_id/nodes", Either, wiki, wiki::nodes),
        get("/docx/v1/documents/:document_id", Either, Limit::docx(), docx::document),
        get(
            "/docx/v1/documents/:document_id/raw_content",
            Either,
            Limit::docx(),
            docx::raw_content,
        ),
        get("/docx/v1/documents/:document_id/blocks", Either, Limit::docx(), docx::blocks),
        get("/docx/v1/documents/:document_id/blocks/:block_id", Either, Limit::docx(), docx::block),
        get(
            "/docx/v1/documents/:document_id/blocks/:block_id/children",
            Either,
            Limit::docx(),
            docx::children,
        ),
        get("/doc/v2/meta/:doc_token", Either, unpublished, docx::old_meta),
        get("/doc/v2/:doc_token/raw_content", Either, unpublished, docx::old_raw_content),
        get("/sheets/v3/spreadsheets/:spreadsheet_token", Either, sheets3, sheets::spreadsheet),
        get(
            "/sheets/v3/spreadsheets/:spreadsheet_token/sheets/query",
            Either,
            sheets3,
            sheets::query,
        ),
        get(
            "/sheets/v2/spreadsheets/:spreadsheet_token/metainfo",
            Either,
            Limit::second(100),
            sheets::metainfo,
        ),
        get("/bitable/v1/apps/:app_token", Either, Limit::second(20), bitable::app),
        get("/bitable/v1/apps/:app_token/tables", Either, Limit::second(20), bitable::tables),
        get("/sim/clock", Nothing, Limit::second(1_000_000), clock),
        get("/sim/media/:signature", Nothing, Limit::second(1_000_000), download::signed),
    ]
}

/// The tenant's time, for a client that must live in it.
fn clock(state: &mut State, _request: &Req<'_>) -> Reply {
    Reply::data(json!({"now_millis": state.clock.now().as_millisecond()}))
}

/// Makes the router: every path goes through one door, which keeps the order of the
/// checks in one place.
pub fn router(shared: Shared) -> Router {
    let table: Arc<Vec<Endpoint>> = Arc::new(endpoints());
    Router::new()
        .fallback(move |Extract(shared): Extract<Shared>, request: Request| {
            let table = table.clone();
            async move { answer(shared, &table, request).await }
        })
        .with_state(shared)
}

/// A call taken apart.
struct Parts {
    method: Method,
    path: String,
    query: String,
    body: Bytes,
    headers: HeaderMap,
    at: jiff::Timestamp,
}

async fn answer(shared: Shared, table: &[Endpoint], request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 8 << 20).await.unwrap_or_default();
    let full = head.uri.path();
    let call = Parts {
        path: full.strip_prefix("/open-apis").unwrap_or(full).to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        method: head.method,
        headers: head.headers,
        body,
        at: lock(&shared).clock.now(),
    };
    let route = find(table, &call.method, &call.path);
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
    if let Some(reply) = effects.iter().find_map(instead) {
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
    if endpoint.needs == Needs::User && who.is_some_and(|who| who.user.is_none()) {
        let msg = "tenant access token not support";
        return (caller, Reply::error(400, 99_991_663, msg));
    }
    let app = who.map_or(0, |who| who.app);
    if let Err(no) = state.meter.admit(app, endpoint.pattern, endpoint.limit, call.at) {
        let reply = match no.style {
            Style::TooMany => rate_limited(429, Some(no.reset_secs.unsigned_abs())),
            Style::BadRequest => rate_limited(400, Some(no.reset_secs.unsigned_abs())),
            Style::Throttle => Reply::error(400, 1_061_045, "can retry"),
        };
        return (caller, reply.with("x-ogw-ratelimit-limit", &no.limit));
    }
    let query: Vec<(String, String)> = decode_query(&call.query);
    let json = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
    let request = Req { who, params, query: &query, json: &json, headers: &call.headers };
    let mut reply = (endpoint.handler)(state, &request);
    page::disturb(&mut reply, &request, effects);
    (caller, reply)
}

/// The reply that a fault gives instead of the endpoint's own.
fn instead(effect: &Effect) -> Option<Reply> {
    Some(match effect {
        Effect::Status { http, code } => Reply::error(*http, *code, "simulated failure"),
        Effect::ErrorWith200(code) => Reply::error(200, *code, "simulated failure"),
        Effect::RateLimit { http, reset_secs } => rate_limited(*http, *reset_secs),
        Effect::Reset | Effect::Unreachable => Reply::error(500, 0, ""),
        _ => return None,
    })
}

fn rate_limited(status: u16, reset_secs: Option<u64>) -> Reply {
    let reply = Reply::error(status, 99_991_400, "request trigger frequency limit");
    match reset_secs {
        Some(secs) => reply.with("x-ogw-ratelimit-reset", &secs),
        None => reply,
    }
}

enum Route<'a> {
    Found(&'a Endpoint, Vec<&'a str>),
    OtherMethod,
    Unknown,
}

/// The endpoint for a path. Earlier rows win, so fixed words come before parameters.
fn find<'a>(table: &'a [Endpoint], method: &Method, path: &'a str) -> Route<'a> {
    let mut known = false;
    for endpoint in table {
        if let Some(params) = captures(endpoint.pattern, path) {
            if endpoint.method == *method {
                return Route::Found(endpoint, params);
            }
            known = true;
        }
    }
    if known { Route::OtherMethod } else { Route::Unknown }
}

fn captures<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut params = Vec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(params),
            (Some(want), Some(have)) if want.starts_with(':') && !have.is_empty() => {
                params.push(have);
            }
            (Some(want), Some(have)) if want == have => {}
            _ => return None,
        }
    }
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
