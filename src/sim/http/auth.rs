//! Tokens: whose call it is, and the endpoints that hand tokens out.
//!
//! docs: `authentication-management/access-token/tenant_access_token_internal` and its
//! neighbours, `authen-v1/user_info`; codes: generic error codes.

use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::super::apps::AppStanding;
use super::super::logins::{ACCESS_SECS, UserStanding};
use super::super::permit::Identity;
use super::super::scopes::Scopes;
use super::super::state::{State, Token};
use super::table::{Endpoint, Needs};
use super::{Reply, Req, scopes};

/// With less than this left, the service hands out a new tenant token.
const RENEW_SECS: i64 = 1800;

/// Who is calling, or the gateway's refusal.
pub fn identify(state: &State, headers: &HeaderMap) -> Result<Identity, Reply> {
    let missing = || Reply::error(400, 99_991_661, "Missing access token for authorization");
    let text = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = text.to_str().unwrap_or_default();
    let malformed =
        || Reply::error(400, 99_991_671, "Invalid access token: must start with t- or u-");
    let token = text.strip_prefix("Bearer ").ok_or_else(malformed)?;
    let user = token.starts_with("u-") || token.starts_with("eyJ");
    if !user && !token.starts_with("t-") {
        return Err(malformed());
    }
    let known = state.tokens.get(token).filter(|t| t.user.is_some() == user);
    match known {
        Some(t) if t.expires.is_none_or(|at| state.now() < at) => {
            Ok(Identity { app: t.app, user: t.user })
        }
        Some(_) if user => Err(Reply::error(401, 99_991_677, "user access token expired")),
        None if user => Err(Reply::error(401, 99_991_668, "Invalid access token")),
        _ => Err(Reply::error(400, 99_991_663, "Invalid access token for authorization")),
    }
}

/// What the gateway asks of a good token: whether the endpoint takes its kind, whether
/// app and user are still there, and whether a scope opens the call.
pub fn admit(
    state: &State,
    endpoint: &Endpoint,
    who: Identity,
    headers: &HeaderMap,
) -> Result<(), Reply> {
    match (endpoint.needs, who.user) {
        (Needs::User, None) => {
            return Err(Reply::error(400, 99_991_663, "tenant access token not support"));
        }
        (Needs::Tenant, Some(_)) => {
            return Err(Reply::error(400, 99_991_668, "user access token not support"));
        }
        _ => {}
    }
    match state.apps[who.app].standing {
        AppStanding::Disabled => {
            return Err(Reply::error(400, 99_991_662, "the app is disabled"));
        }
        // This call says so itself, with a code of its own.
        AppStanding::NotInstalled if endpoint.pattern != "/application/v6/scopes" => {
            return Err(Reply::error(400, 99_991_673, "the app is not installed in this tenant"));
        }
        _ => {}
    }
    let standing = who.user.map(|user| state.users[user as usize].standing);
    if matches!(standing, Some(UserStanding::Gone | UserStanding::Suspended)) {
        return Err(Reply::error(401, 99_991_668, "Invalid access token"));
    }
    let token = bearer(headers).and_then(|token| state.tokens.get(token));
    let granted = token.map_or(&Scopes::All, |token| &token.scopes);
    scopes::check(state, who, granted, endpoint.scopes)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The app, by index, that a call without a token is for: quotas are counted for each.
pub fn client(state: &State, request: &Req<'_>) -> usize {
    let named = request
        .field("client_id")
        .or_else(|| request.query("client_id"))
        .or_else(|| request.json["client_id"].as_str())
        .or_else(|| request.json["app_id"].as_str());
    state.apps.iter().position(|app| named == Some(app.id.as_str())).unwrap_or(0)
}

/// `POST /auth/v3/tenant_access_token/internal`
pub fn tenant_token(state: &mut State, request: &Req<'_>) -> Reply {
    hand_out(state, request.json, false)
}

/// `POST /auth/v3/app_access_token/internal`
pub fn app_token(state: &mut State, request: &Req<'_>) -> Reply {
    hand_out(state, request.json, true)
}

fn hand_out(state: &mut State, body: &Value, for_app: bool) -> Reply {
    let (Some(id), Some(secret)) = (body["app_id"].as_str(), body["app_secret"].as_str()) else {
        return Reply::error(400, 10_003, "invalid param");
    };
    let Some(app) = state.apps.iter().position(|app| app.id == id) else {
        return Reply::error(200, 10_014, "app id not exists");
    };
    if state.apps[app].secret != secret {
        return Reply::error(200, 10_015, "app secret invalid");
    }
    if state.apps[app].standing != AppStanding::Working {
        return Reply::error(200, 10_014, "app unavailable");
    }
    let now = state.now();
    let current = state.apps[app].current.clone().and_then(|text| {
        let left = state.tokens.get(&text)?.expires? - now;
        (left >= RENEW_SECS).then_some((text, left))
    });
    let (token, left) = current.unwrap_or_else(|| {
        let text = state.secret("t-", 1);
        let expires = Some(now + ACCESS_SECS);
        let token = Token { user: None, app, expires, scopes: Scopes::All, grant: None };
        state.tokens.insert(text.clone(), token);
        state.apps[app].current = Some(text.clone());
        (text, ACCESS_SECS)
    });
    let mut reply = json!({"code": 0, "msg": "ok", "tenant_access_token": token, "expire": left});
    if for_app {
        reply["app_access_token"] = token.into();
    }
    Reply::top(reply)
}

/// `GET /authen/v1/user_info`
pub fn user_info(state: &mut State, request: &Req<'_>) -> Reply {
    let user = request.caller().user.expect("a user's token was asked for");
    let user = &state.users[user as usize];
    Reply::data(json!({
        "name": user.name,
        "en_name": user.name,
        "avatar_url": "",
        "open_id": user.open_id,
        "union_id": user.open_id.replace("ou_", "on_"),
        "tenant_key": "tenant_demo",
    }))
}
