//! The page on which a person agrees, and the way back to the app.
//!
//! docs: authentication-management/access-token/obtain-oauth-code. Where it is silent:
//! the page is always shown, with or without `prompt`; what is wrong with the request is
//! said on the page and sent nowhere.

use std::collections::BTreeSet;

use url::Url;

use super::super::apps::AppStanding;
use super::super::logins::{CODE_SECS, Code};
use super::super::state::{State, UserId};
use super::html::{self, Ask};
use super::{Reply, Req, decode_query, oauth};

/// More scopes than this are refused.
const MAX_SCOPES: usize = 50;

/// A request that may be put to a person.
pub struct Authorize {
    app: usize,
    redirect_uri: String,
    scopes: Vec<String>,
    state: Option<String>,
    challenge: Option<(String, bool)>,
}

/// `GET /authen/v1/authorize`
pub fn show(state: &mut State, request: &Req<'_>) -> Reply {
    let asked = match Authorize::of(state, request.query) {
        Ok(asked) => asked,
        Err(code) => return Reply::html(400, html::failed(code)),
    };
    let app = &state.apps[asked.app].id;
    let about = format!("应用 {app} 请求访问你的飞书数据。App {app} asks to act for you.");
    let ask = Ask {
        title: "授权登录",
        about: &about,
        scopes: &asked.scopes,
        action: "/open-apis/authen/v1/authorize",
        hidden: request.query,
    };
    Reply::html(200, html::consent(state, &ask))
}

/// `POST /authen/v1/authorize`: the page's form, with the request in hidden fields.
pub fn decide(state: &mut State, request: &Req<'_>) -> Reply {
    let user = match html::decision(state, request) {
        Ok(user) => user,
        Err(page) => return Reply::html(400, page),
    };
    let back = Authorize::of(state, request.form).and_then(|asked| asked.answer(state, user));
    match back {
        Ok(url) => Reply::html(302, String::new()).with("location", &url),
        Err(code) => Reply::html(400, html::failed(code)),
    }
}

impl Authorize {
    /// Reads a page's address.
    pub fn of_url(state: &State, url: &str) -> Result<Self, i64> {
        Self::of(state, &decode_query(url.split_once('?').map_or("", |(_, query)| query)))
    }

    /// `Err`: the code that the page shows.
    fn of(state: &State, query: &[(String, String)]) -> Result<Self, i64> {
        let get = |name: &str| {
            let found = query.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let (Some(id), Some(kind), Some(redirect_uri)) =
            (get("client_id"), get("response_type"), get("redirect_uri"))
        else {
            return Err(20_001);
        };
        let app = state.apps.iter().position(|app| app.id == id).ok_or(20_048)?;
        match state.apps[app].standing {
            AppStanding::Working => {}
            AppStanding::NotInstalled => return Err(20_009),
            AppStanding::Disabled => return Err(20_069),
        }
        if !state.apps[app].redirects.iter().any(|uri| uri == redirect_uri) {
            return Err(20_029);
        }
        if kind != "code" {
            return Err(20_063);
        }
        let scopes = oauth::scope_set(get("scope").unwrap_or_default()).ok_or(20_067)?;
        if scopes.len() > MAX_SCOPES {
            return Err(20_063);
        }
        if !scopes.iter().all(|scope| state.apps[app].enabled.has(scope)) {
            return Err(20_027);
        }
        let challenge = match (get("code_challenge"), get("code_challenge_method")) {
            (None, None) => None,
            (Some(text), None | Some("plain")) => Some((text.to_owned(), false)),
            (Some(text), Some("S256")) => Some((text.to_owned(), true)),
            _ => return Err(20_063),
        };
        Ok(Self {
            app,
            redirect_uri: redirect_uri.to_owned(),
            scopes: scopes.into_iter().collect(),
            state: get("state").map(str::to_owned),
            challenge,
        })
    }

    /// The person decides (`None`: no); returns where the browser goes.
    pub fn answer(self, state: &mut State, user: Option<UserId>) -> Result<String, i64> {
        let mut url = Url::parse(&self.redirect_uri).map_err(|_| 20_029)?;
        match user {
            None => {
                url.query_pairs_mut().append_pair("error", "access_denied");
            }
            Some(user) => {
                oauth::check_user(state, user).map_err(|reply| reply.code)?;
                let asked: BTreeSet<String> = self.scopes.into_iter().collect();
                let code = Code {
                    grant: state.agree(self.app, user, &asked),
                    redirect_uri: self.redirect_uri,
                    challenge: self.challenge,
                    expires: state.now() + CODE_SECS,
                    used: false,
                };
                let text = state.secret("", 4);
                url.query_pairs_mut().append_pair("code", &text);
                state.logins.codes.insert(text, code);
            }
        }
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Ok(url.into())
    }
}
