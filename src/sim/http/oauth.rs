//! The token endpoint, and the end of a token.
//!
//! docs: authentication-management/access-token/get-user-access-token and
//! refresh-user-access-token; client: larksuite/cli `internal/auth/device_flow.go` and
//! `revoke.go`. Where they are silent:
//!
//! - A refused exchange spends nothing: neither the code nor the refresh token.
//! - A verifier for a code that was asked for without a challenge is refused.
//! - Client credentials come in the body; a `Basic` header alone is a missing parameter.
//! - Tokens narrowed to scopes without `offline_access` come without a refresh token.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header;
use serde_json::{Value, json};

use super::super::apps::AppStanding;
use super::super::logins::{ACCESS_SECS, GRANT_SECS, Handed, REFRESH_SECS, UserStanding};
use super::super::state::{State, UserId};
use super::{Body, Reply, Req, device};

/// How the endpoints of RFC 8628 name the device flow.
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Code, HTTP status, OAuth's word and a sentence.
const FAILURES: &[(i64, u16, &str, &str)] = &[
    (20_001, 400, "invalid_request", "a required parameter is missing"),
    (20_002, 400, "invalid_client", "the client secret is invalid"),
    (20_003, 400, "invalid_grant", "the authorization code is invalid"),
    (20_004, 400, "invalid_grant", "the authorization code has expired"),
    (20_008, 400, "invalid_grant", "the user does not exist"),
    (20_009, 400, "unauthorized_client", "the app is not installed in the tenant"),
    (20_010, 400, "unauthorized_client", "the user has no permission to use the app"),
    (20_024, 400, "invalid_grant", "the code or refresh token belongs to another client"),
    (20_026, 400, "invalid_grant", "the refresh token is invalid"),
    (20_036, 400, "unsupported_grant_type", "the grant type is not supported"),
    (20_037, 400, "invalid_grant", "the refresh token has expired"),
    (20_048, 400, "invalid_client", "the app does not exist"),
    (20_049, 400, "invalid_grant", "the PKCE check failed"),
    (20_050, 500, "server_error", "an unexpected server error occurred"),
    (20_063, 400, "invalid_request", "the request is malformed"),
    (20_064, 400, "invalid_grant", "the refresh token has been revoked"),
    (20_065, 400, "invalid_grant", "the authorization code has been used"),
    (20_066, 400, "invalid_grant", "the user's status is abnormal"),
    (20_067, 400, "invalid_scope", "a scope is given twice"),
    (20_068, 400, "invalid_scope", "a scope was not granted"),
    (20_069, 400, "unauthorized_client", "the app is disabled"),
    (20_070, 400, "invalid_request", "more than one client authentication method was used"),
    (20_071, 400, "invalid_grant", "the redirect URI does not match"),
    (20_072, 503, "temporarily_unavailable", "the server is temporarily unavailable"),
    (20_073, 400, "invalid_grant", "the refresh token has been used"),
    (20_074, 400, "unauthorized_client", "refreshing user_access_token is not enabled"),
];

/// True for endpoints that fail in the words of OAuth.
pub fn speaks(pattern: &str) -> bool {
    pattern == "/authen/v2/oauth/token" || pattern.starts_with("/oauth/v1/")
}

/// A failure by its code, with the status of its page.
pub fn failure(code: i64) -> Reply {
    let row = FAILURES.iter().find(|row| row.0 == code);
    let (_, status, error, text) =
        row.copied().unwrap_or((code, 400, "server_error", "simulated failure"));
    let envelope = json!({"code": code, "error": error, "error_description": text});
    Reply { status, code, headers: Vec::new(), body: Body::Json(envelope) }
}

/// A failure that has a word only.
pub fn refused(status: u16, error: &str, text: &str) -> Reply {
    let envelope = json!({"error": error, "error_description": text});
    Reply { status, code: 0, headers: Vec::new(), body: Body::Json(envelope) }
}

/// The fields of a body, whichever of the two kinds it is.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Malformed: another content type, broken JSON, a value that is no text, a field
    /// given twice.
    pub fn of(request: &Req<'_>) -> Result<Self, Reply> {
        let malformed = || failure(20_063);
        let kind = request.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let fields = match kind {
            "application/x-www-form-urlencoded" => request.form.to_vec(),
            "application/json" => {
                let object = request.json.as_object().ok_or_else(malformed)?;
                let fields = object.iter().map(|(name, value)| {
                    value.as_str().map(|text| (name.clone(), text.to_owned()))
                });
                fields.collect::<Option<Vec<_>>>().ok_or_else(malformed)?
            }
            _ => return Err(malformed()),
        };
        let names: BTreeSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        if names.len() < fields.len() {
            return Err(malformed());
        }
        Ok(Self(fields))
    }

    /// A field, empty ones left out.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A field that has to be there.
    pub fn need(&self, name: &str) -> Result<&str, Reply> {
        self.get(name).ok_or_else(|| failure(20_001))
    }
}

/// What stands behind `Basic`, where the call has such a header.
fn encoded<'a>(request: &'a Req<'_>) -> Option<&'a str> {
    request.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")
}

/// Id and secret of a `Basic` header, where there is one and it can be read.
pub fn basic(request: &Req<'_>) -> Option<(String, String)> {
    let encoded = encoded(request)?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// The app, by index, that an id and a secret stand for.
pub fn app_of(state: &State, id: &str, secret: &str) -> Result<usize, Reply> {
    let found = state.apps.iter().position(|app| app.id == id);
    let app = found.ok_or_else(|| failure(20_048))?;
    if state.apps[app].secret != secret {
        return Err(failure(20_002));
    }
    match state.apps[app].standing {
        AppStanding::Working => Ok(app),
        AppStanding::NotInstalled => Err(failure(20_009)),
        AppStanding::Disabled => Err(failure(20_069)),
    }
}

/// The app that a body's credentials stand for.
fn client(state: &State, request: &Req<'_>, fields: &Fields) -> Result<usize, Reply> {
    if encoded(request).is_some() && fields.get("client_secret").is_some() {
        return Err(failure(20_070));
    }
    app_of(state, fields.need("client_id")?, fields.need("client_secret")?)
}

/// `Err`: why this user gets no tokens.
pub fn check_user(state: &State, user: UserId) -> Result<(), Reply> {
    match state.users[user as usize].standing {
        UserStanding::Active => Ok(()),
        UserStanding::Gone => Err(failure(20_008)),
        UserStanding::Suspended => Err(failure(20_066)),
        UserStanding::OutOfRange => Err(failure(20_010)),
    }
}

/// `POST /authen/v2/oauth/token`
pub fn token(state: &mut State, request: &Req<'_>) -> Reply {
    exchange(state, request).unwrap_or_else(|refusal| refusal)
}

fn exchange(state: &mut State, request: &Req<'_>) -> Result<Reply, Reply> {
    let fields = Fields::of(request)?;
    let grant_type = fields.need("grant_type")?;
    if !["authorization_code", "refresh_token", DEVICE_CODE].contains(&grant_type) {
        return Err(failure(20_036));
    }
    let app = client(state, request, &fields)?;
    let handed = match grant_type {
        "authorization_code" => by_code(state, app, &fields)?,
        "refresh_token" => by_refresh_token(state, app, &fields)?,
        _ => {
            let grant = device::redeem(state, app, fields.need("device_code")?)?;
            let scopes = state.granted(grant);
            state.hand_out(grant, scopes)
        }
    };
    Ok(Reply::top(tokens(&handed)))
}

/// The reply's fields.
fn tokens(handed: &Handed) -> Value {
    let scope: Vec<&str> = handed.scopes.iter().map(String::as_str).collect();
    let mut body = json!({
        "code": 0,
        "access_token": handed.access,
        "expires_in": ACCESS_SECS,
        "token_type": "Bearer",
        "scope": scope.join(" "),
    });
    if let Some(refresh) = &handed.refresh {
        body["refresh_token"] = refresh.as_str().into();
        body["refresh_token_expires_in"] = REFRESH_SECS.into();
    }
    body
}

fn by_code(state: &mut State, app: usize, fields: &Fields) -> Result<Handed, Reply> {
    let text = fields.need("code")?;
    let code = state.logins.codes.get(text).ok_or_else(|| failure(20_003))?.clone();
    let grant = &state.logins.grants[code.grant];
    if grant.app != app {
        return Err(failure(20_024));
    }
    if code.used {
        return Err(failure(20_065));
    }
    if state.now() >= code.expires {
        return Err(failure(20_004));
    }
    if fields.get("redirect_uri") != Some(code.redirect_uri.as_str()) {
        return Err(failure(20_071));
    }
    let proven = match (&code.challenge, fields.get("code_verifier")) {
        (None, None) => true,
        (Some((challenge, hashed)), Some(verifier)) => {
            (43..=128).contains(&verifier.len())
                && *challenge == if *hashed { s256(verifier) } else { verifier.to_owned() }
        }
        _ => false,
    };
    if !proven {
        return Err(failure(20_049));
    }
    check_user(state, grant.user)?;
    let scopes = narrowed(state, code.grant, fields)?;
    state.logins.codes.get_mut(text).expect("found above").used = true;
    Ok(state.hand_out(code.grant, scopes))
}

/// The S256 challenge of a verifier (RFC 7636).
pub fn s256(verifier: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref())
}

fn by_refresh_token(state: &mut State, app: usize, fields: &Fields) -> Result<Handed, Reply> {
    let text = fields.need("refresh_token")?;
    let token = state.logins.refresh.get(text).ok_or_else(|| failure(20_026))?.clone();
    let grant = &state.logins.grants[token.grant];
    let now = state.now();
    if grant.app != app {
        return Err(failure(20_024));
    }
    if grant.revoked {
        return Err(failure(20_064));
    }
    if token.used {
        return Err(failure(20_073));
    }
    if now >= token.expires || now >= grant.at + GRANT_SECS {
        return Err(failure(20_037));
    }
    if !state.may_refresh(app) {
        return Err(failure(20_074));
    }
    check_user(state, grant.user)?;
    let scopes = narrowed(state, token.grant, fields)?;
    state.logins.refresh.get_mut(text).expect("found above").used = true;
    state.logins.refreshes += 1;
    Ok(state.hand_out(token.grant, scopes))
}

/// What was granted, or the part of it that the call asks for.
fn narrowed(state: &State, grant: usize, fields: &Fields) -> Result<BTreeSet<String>, Reply> {
    let granted = state.granted(grant);
    let Some(asked) = fields.get("scope") else { return Ok(granted) };
    let asked = scope_set(asked).ok_or_else(|| failure(20_067))?;
    if asked.is_subset(&granted) { Ok(asked) } else { Err(failure(20_068)) }
}

/// Scopes separated by spaces; `None` where one is given twice.
pub fn scope_set(text: &str) -> Option<BTreeSet<String>> {
    let mut set = BTreeSet::new();
    let mut names = text.split(' ').filter(|name| !name.is_empty());
    names.all(|name| set.insert(name.to_owned())).then_some(set)
}

/// `POST /oauth/v1/revoke`: with a refresh token, used or not, the grant ends; with an
/// access token, just that token. A token that nobody knows is none any more (RFC 7009).
pub fn revoke(state: &mut State, request: &Req<'_>) -> Reply {
    end(state, request).unwrap_or_else(|refusal| refusal)
}

fn end(state: &mut State, request: &Req<'_>) -> Result<Reply, Reply> {
    let fields = Fields::of(request)?;
    let app = client(state, request, &fields)?;
    let text = fields.need("token")?;
    if let Some(token) = state.logins.refresh.get(text) {
        let grant = token.grant;
        if state.logins.grants[grant].app != app {
            return Err(failure(20_024));
        }
        state.revoke(grant);
    } else if let Some(token) = state.tokens.get(text) {
        if token.app != app {
            return Err(failure(20_024));
        }
        state.tokens.remove(text);
    }
    Ok(Reply::top(json!({"code": 0})))
}
