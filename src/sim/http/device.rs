//! The device flow (RFC 8628): codes, polls, and the page that asks the person. The
//! registration of an app goes the same way, see [`super::registration`].
//!
//! client: larksuite/cli `internal/auth/device_flow.go`. It shows which fields and error
//! words there are; for the rest this follows the RFC in its strict reading:
//!
//! - A poll that comes too early is told to slow down whether or not the person has
//!   decided, and from then on the interval is 5 s longer.
//! - Scopes that the app has not enabled are left out of the grant without a word: the
//!   public client compares what it got with what it asked for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::logins::{Answer, Device, Question};
use super::super::state::{State, UserId};
use super::html::{self, Ask};
use super::oauth::{self, Fields, failure, refused};
use super::{Reply, Req};

/// Seconds for which a device code is good.
const LIFE_SECS: i64 = 240;
/// The interval grows to so many seconds at most.
const LONGEST_INTERVAL: i64 = 60;

/// `POST /oauth/v1/device_authorization`
pub fn begin(state: &mut State, request: &Req<'_>) -> Reply {
    let asked = match asked(state, request) {
        Ok(question) => question,
        Err(reply) => return reply,
    };
    let verify = format!("{}/oauth/v1/device/verify", request.origin);
    Reply::top(codes(state.ask(asked, LIFE_SECS), &verify, LIFE_SECS))
}

fn asked(state: &State, request: &Req<'_>) -> Result<Question, Reply> {
    let fields = Fields::of(request)?;
    let unknown = || refused(401, "invalid_client", "client authentication failed");
    let (id, secret) = oauth::basic(request).ok_or_else(unknown)?;
    if fields.get("client_secret").is_some() {
        return Err(failure(20_070));
    }
    if fields.need("client_id")? != id {
        return Err(unknown());
    }
    let app = oauth::app_of(state, &id, &secret)
        .map_err(|reply| if reply.code == 20_002 { unknown() } else { reply })?;
    let scopes = oauth::scope_set(fields.get("scope").unwrap_or_default());
    let scopes: BTreeSet<String> = scopes.ok_or_else(|| failure(20_067))?;
    Ok(Question::LogIn(app, scopes))
}

/// The first reply of both flows.
pub fn codes(device: &Device, page: &str, lives_secs: i64) -> Value {
    json!({
        "device_code": device.code,
        "user_code": device.user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={}", device.user_code),
        "expires_in": lives_secs,
        "interval": device.interval,
    })
}

/// A poll for tokens; `Ok` with the grant's index once.
pub fn redeem(state: &mut State, app: usize, device_code: &str) -> Result<usize, Reply> {
    let mine = |device: &Device| matches!(device.question, Question::LogIn(by, _) if by == app);
    let at = poll(state, device_code, mine)?;
    let device = &state.logins.devices[at];
    let Answer::Granted(grant) = device.answer else {
        unreachable!("a question about a login was answered with {:?}", device.answer)
    };
    oauth::check_user(state, state.logins.grants[grant].user)?;
    state.logins.devices[at].used = true;
    Ok(grant)
}

/// What both flows answer to a poll; `Ok` with the row's index once the person said yes.
pub fn poll(
    state: &mut State,
    device_code: &str,
    mine: impl Fn(&Device) -> bool,
) -> Result<usize, Reply> {
    let (now, now_secs) = (state.clock.now(), state.now());
    let rows = &mut state.logins.devices;
    let found = rows.iter().position(|row| row.code == device_code && mine(row));
    let at = found.ok_or_else(|| refused(400, "invalid_grant", "the device code is invalid"))?;
    let row = &mut rows[at];
    if row.used {
        return Err(refused(400, "invalid_grant", "the device code has been used"));
    }
    if now_secs >= row.expires {
        return Err(refused(400, "expired_token", "the device code has expired"));
    }
    if row.answer == Answer::Denied {
        return Err(refused(400, "access_denied", "the user denied the request"));
    }
    let before = row.polled.replace(now);
    let waited = before.map(|before| now.as_microsecond() - before.as_microsecond());
    if waited.is_some_and(|waited| waited < row.interval * 1_000_000) {
        row.interval = (row.interval + 5).min(LONGEST_INTERVAL);
        return Err(refused(400, "slow_down", "polling too frequently"));
    }
    if row.answer == Answer::None {
        return Err(refused(400, "authorization_pending", "the user has not decided yet"));
    }
    Ok(at)
}

/// `GET /oauth/v1/device/verify` and `GET /page/cli`: asks for the code where there is
/// none in the address, else for consent.
pub fn show(state: &mut State, request: &Req<'_>) -> Reply {
    let Some(user_code) = request.query("user_code") else {
        return Reply::html(200, html::code_form(None));
    };
    match open(state, user_code) {
        Ok(at) => Reply::html(200, page(state, at)),
        Err(page) => Reply::html(400, page),
    }
}

/// `POST` to the same pages: the person has decided.
pub fn decide(state: &mut State, request: &Req<'_>) -> Reply {
    let at = match open(state, request.field("user_code").unwrap_or_default()) {
        Ok(at) => at,
        Err(page) => return Reply::html(400, page),
    };
    let user = match html::decision(state, request) {
        Ok(user) => user,
        Err(page) => return Reply::html(400, page),
    };
    match answer(state, at, user) {
        Ok(()) if user.is_some() => Reply::html(200, html::done(true)),
        Ok(()) => Reply::html(200, html::done(false)),
        Err(reply) => Reply::html(400, html::failed(reply.code)),
    }
}

/// The person behind `user` (`None`: no) answers the question in a row.
pub fn answer(state: &mut State, at: usize, user: Option<UserId>) -> Result<(), Reply> {
    if let Some(user) = user {
        oauth::check_user(state, user)?;
    }
    state.answer(at, user);
    Ok(())
}

/// The index of a question that is still open; else a page that says why not.
pub fn open(state: &State, user_code: &str) -> Result<usize, String> {
    let at = state.question(user_code).ok_or_else(|| html::code_form(Some(user_code)))?;
    let row = &state.logins.devices[at];
    if state.now() >= row.expires {
        return Err(html::message("验证码已过期", "This code has expired. Start again."));
    }
    if row.answer != Answer::None {
        return Err(html::message("已处理", "This request was answered already."));
    }
    Ok(at)
}

fn page(state: &State, at: usize) -> String {
    let row = &state.logins.devices[at];
    let hidden = [("user_code".to_owned(), row.user_code.clone())];
    match &row.question {
        Question::LogIn(app, scopes) => html::consent(
            state,
            &Ask {
                title: "授权登录",
                about: &format!(
                    "应用 {} 请求访问你的飞书数据。App {} asks to act for you. Code {}",
                    state.apps[*app].id, state.apps[*app].id, row.user_code
                ),
                scopes: &scopes.iter().cloned().collect::<Vec<_>>(),
                action: "/oauth/v1/device/verify",
                hidden: &hidden,
            },
        ),
        Question::Register => html::consent(
            state,
            &Ask {
                title: "创建应用",
                about: &format!(
                    "创建一个自建应用并交给命令行。A new custom app for the command line. Code {}",
                    row.user_code
                ),
                scopes: &[],
                action: "/page/cli",
                hidden: &hidden,
            },
        ),
    }
}
