//! Logging in: authorization codes, refresh tokens, the device flow, revocation, and
//! the registration of an app in the browser.
//!
//! Only the shapes of requests and replies; who asks when is `auth`'s business. These
//! calls need no token, and their replies have their fields at the top.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::call::{Call, Repeat, encode};
use super::error::{ApiError, Class};
use super::quota::Endpoint;
use super::transport::Inner;
use crate::model::account::Domain;

mod replies;

use replies::{Fields, device_code, grant, is_page, lacks, text, undecided, user_info};

const TOKEN: Endpoint = Endpoint::named("POST /open-apis/authen/v2/oauth/token");
const DEVICE: Endpoint = Endpoint::named("POST /oauth/v1/device_authorization");
const REVOKE: Endpoint = Endpoint::named("POST /oauth/v1/revoke");
const REGISTRATION: Endpoint = Endpoint::named("POST /oauth/v1/app/registration");

/// RFC 8628 section 3.4.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// So many tries more for a call that spends something: a lost reply looks like a
/// failure, and the answer to the next try ("used already") then hides what happened.
const FEW: Repeat = Repeat::AtMost(2);

/// A renewal waits so long for a rate limit to pass: other processes wait for it.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(60);

/// Whoever polls asks again anyway.
const ONCE: Repeat = Repeat::AtMost(0);

/// An app's id and secret.
#[derive(Debug, Clone)]
pub struct AppKey {
    /// `cli_…`.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// What a token endpoint hands out.
#[derive(Debug, Clone)]
pub struct Grant {
    /// To call with.
    pub access_token: SecretString,
    /// Seconds for which it is good.
    pub expires_in: i64,
    /// Good for one renewal; absent without `offline_access`.
    pub refresh_token: Option<SecretString>,
    /// Seconds for which the refresh token is good.
    pub refresh_expires_in: Option<i64>,
    /// What was really granted, separated by spaces.
    pub scope: String,
}

/// The first step of the device flow (RFC 8628).
#[derive(Debug)]
pub struct DeviceCode {
    /// For polling.
    pub device_code: SecretString,
    /// For the person, who sees it on the page too.
    pub user_code: String,
    /// The page, with the code in it where the service gives one.
    pub verification_uri: String,
    /// How long the code is good.
    pub expires_in: Duration,
    /// Between two polls.
    pub interval: Duration,
}

/// What a poll brings.
#[derive(Debug)]
pub enum Poll<T> {
    /// The person has not decided yet.
    Pending,
    /// Asked too often: 5 seconds more between polls from now on.
    SlowDown,
    /// The person said no.
    Denied,
    /// The code is no longer good.
    Expired,
    /// Done.
    Done(T),
}

/// Which of two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TokenKind {
    Access,
    Refresh,
}

/// An app that was registered in the browser.
#[derive(Debug)]
pub struct Registered {
    /// `cli_…`.
    pub app_id: String,
    /// Its secret; [`OAuth::poll_registration`] goes on polling until there is one.
    pub app_secret: SecretString,
    /// `feishu` or `lark`.
    pub brand: Option<String>,
    /// The person who registered it.
    pub open_id: Option<String>,
}

/// Where a person agrees (docs: authentication-management/access-token/obtain-oauth-code).
///
/// `challenge` is the S256 challenge of PKCE.
pub fn authorize_url(
    domain: &Domain,
    app_id: &str,
    redirect_uri: &str,
    scopes: &[String],
    state: &str,
    challenge: &str,
) -> String {
    let scope = scopes.join(" ");
    let fields = [
        ("client_id", app_id),
        ("response_type", "code"),
        ("redirect_uri", redirect_uri),
        ("scope", &scope),
        ("state", state),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ];
    let mut url = format!("{}/open-apis/authen/v1/authorize", domain.accounts);
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    for (at, (name, value)) in given.enumerate() {
        url.push(if at == 0 { '?' } else { '&' });
        url.push_str(name);
        url.push('=');
        encode(value, &mut url);
    }
    url
}

/// The calls that log somebody in. They go through the client's one send path, without
/// a token.
#[derive(Clone, Copy)]
pub struct OAuth<'a> {
    inner: &'a Inner,
}

impl<'a> OAuth<'a> {
    pub(super) fn new(inner: &'a Inner) -> Self {
        Self { inner }
    }

    /// Tokens for an authorization code, which is good for one use within 5 minutes
    /// (docs: authentication-management/access-token/get-user-access-token).
    ///
    /// # Errors
    /// [`Class::Login`] where the code is not (or no longer) good, [`Class::Config`] where
    /// the app has to be changed in the console.
    pub async fn redeem_code(
        &self,
        app: &AppKey,
        code: &SecretString,
        redirect_uri: &str,
        verifier: &SecretString,
    ) -> Result<Grant, ApiError> {
        let mut call = Call::unsigned(TOKEN, &[&app.secret, code, verifier]).body(json!({
            "grant_type": "authorization_code",
            "client_id": app.id,
            "client_secret": app.secret.expose_secret(),
            "code": code.expose_secret(),
            "redirect_uri": redirect_uri,
            "code_verifier": verifier.expose_secret(),
        }));
        call.repeat = FEW;
        let reply = self.inner.exchange(&call, &Fields::whole()).await;
        let reply = reply.map_err(|error| match error.code {
            Some(NOT_REGISTERED) => error.hint(register(redirect_uri)),
            _ => error,
        })?;
        grant(&reply, TOKEN)
    }

    /// New tokens for a refresh token, which dies by this call (docs:
    /// authentication-management/access-token/refresh-user-access-token).
    ///
    /// # Errors
    /// [`Class::Login`] where the service refuses it, whatever the reason: without a new
    /// token there is no usable credential. A failure on the way keeps its own class.
    pub async fn refresh(
        &self,
        app: &AppKey,
        refresh_token: &SecretString,
    ) -> Result<Grant, ApiError> {
        let mut call = Call::unsigned(TOKEN, &[&app.secret, refresh_token]).body(json!({
            "grant_type": "refresh_token",
            "client_id": app.id,
            "client_secret": app.secret.expose_secret(),
            "refresh_token": refresh_token.expose_secret(),
        }));
        call.repeat = FEW;
        call.patience = RENEWAL_PATIENCE;
        let reply = self.inner.exchange(&call, &Fields::whole()).await;
        let reply = reply.map_err(|error| {
            // An address that is no URL is no refusal, nor is a page that a network puts
            // in between (a redirect).
            let said_no = error.status.is_some_and(|status| !(300..400).contains(&status));
            match error.class {
                Class::Config | Class::Unexpected if said_no => {
                    ApiError { class: Class::Login, ..error }
                }
                _ => error,
            }
        })?;
        grant(&reply, TOKEN)
    }

    /// Begins the device flow. `scopes` as they are: `offline_access` is the caller's
    /// business. No page of the docs has it (client: larksuite/cli
    /// `internal/auth/device_flow.go`).
    pub async fn begin_device(
        &self,
        app: &AppKey,
        scopes: &[String],
    ) -> Result<DeviceCode, ApiError> {
        let pair = format!("{}:{}", app.id, app.secret.expose_secret());
        let pair: SecretString = BASE64.encode(pair).into();
        let scope = scopes.join(" ");
        let mut call = Call::unsigned(DEVICE, &[&app.secret, &pair])
            .form(&[("client_id", &app.id), ("scope", &scope)]);
        call.base = Some(self.inner.settings.domain.accounts.clone());
        call.basic = Some(format!("Basic {}", pair.expose_secret()).into());
        let reply = self.inner.exchange(&call, &Fields::whole()).await?;
        let page = text(&reply, "verification_uri_complete")
            .or_else(|| text(&reply, "verification_uri"))
            .filter(|page| is_page(page))
            .ok_or_else(|| lacks(DEVICE, "verification_uri"))?;
        // 240 s: client: larksuite/cli internal/auth/device_flow.go
        device_code(&reply, DEVICE, page, 240)
    }

    /// Asks once whether the person has decided. In a form and without a Basic header,
    /// which the service takes for a second proof of the app's identity (20070).
    ///
    /// # Errors
    /// [`Class::Transient`] and [`Class::Unreachable`] pass: poll on. All others end the
    /// flow.
    pub async fn poll_device(
        &self,
        app: &AppKey,
        device_code: &SecretString,
    ) -> Result<Poll<Grant>, ApiError> {
        let mut call = Call::unsigned(TOKEN, &[&app.secret, device_code]).form(&[
            ("grant_type", DEVICE_GRANT),
            ("device_code", device_code.expose_secret()),
            ("client_id", &app.id),
            ("client_secret", app.secret.expose_secret()),
        ]);
        call.repeat = ONCE;
        let reply = self.inner.exchange(&call, &Fields::poll()).await?;
        match undecided(&reply) {
            Some(poll) => Ok(poll),
            None => grant(&reply, TOKEN).map(Poll::Done),
        }
    }

    /// Ends a token; a refresh token's end ends the grant. No page of the docs has it
    /// (client: larksuite/cli `internal/auth/revoke.go`).
    pub async fn revoke(
        &self,
        app: &AppKey,
        token: &SecretString,
        kind: TokenKind,
    ) -> Result<(), ApiError> {
        let hint = match kind {
            TokenKind::Access => "access_token",
            TokenKind::Refresh => "refresh_token",
        };
        let mut call = Call::unsigned(REVOKE, &[&app.secret, token]).form(&[
            ("client_id", &app.id),
            ("client_secret", app.secret.expose_secret()),
            ("token", token.expose_secret()),
            ("token_type_hint", hint),
        ]);
        call.base = Some(self.inner.settings.domain.accounts.clone());
        call.repeat = FEW;
        let reader = Fields { any_success: true, ..Fields::whole() };
        self.inner.exchange(&call, &reader).await.map(|_| ())
    }

    /// Begins the registration of an app in the browser. The page is
    /// `{open}/page/cli?user_code=…`. No page of the docs has it (client: larksuite/cli
    /// `internal/auth/app_registration.go`).
    pub async fn begin_registration(&self) -> Result<DeviceCode, ApiError> {
        self.inner.registers_at_lark.store(false, Relaxed);
        let mut call = Call::unsigned(REGISTRATION, &[]).form(&[
            ("action", "begin"),
            ("archetype", "PersonalAgent"),
            ("auth_method", "client_secret"),
            ("request_user_info", "open_id tenant_brand"),
        ]);
        call.base = Some(self.registration_host());
        let reply = self.inner.exchange(&call, &Fields::whole()).await?;
        let code = text(&reply, "user_code").unwrap_or_default();
        let mut page = format!("{}/page/cli?user_code=", self.inner.settings.domain.open);
        encode(code, &mut page);
        device_code(&reply, REGISTRATION, &page, 300)
    }

    /// Asks once whether the app is registered. Where the person turns out to be in a
    /// Lark tenant, this and the later polls go to Lark's host, which has the secret.
    ///
    /// # Errors
    /// As [`Self::poll_device`].
    pub async fn poll_registration(
        &self,
        device_code: &SecretString,
    ) -> Result<Poll<Registered>, ApiError> {
        let mut call = Call::unsigned(REGISTRATION, &[device_code])
            .form(&[("action", "poll"), ("device_code", device_code.expose_secret())]);
        call.repeat = ONCE;
        call.base = Some(self.registration_host());
        let mut reply = self.inner.exchange(&call, &Fields::poll()).await?;
        let elsewhere = user_info(&reply, "tenant_brand") == Some("lark")
            && text(&reply, "client_secret").is_none();
        // The brand may be told while the registration is still pending.
        if elsewhere && !self.inner.registers_at_lark.swap(true, Relaxed) {
            call.base = Some(self.registration_host());
            reply = self.inner.exchange(&call, &Fields::poll()).await?;
        }
        if let Some(poll) = undecided(&reply) {
            return Ok(poll);
        }
        let (Some(id), Some(secret)) = (text(&reply, "client_id"), text(&reply, "client_secret"))
        else {
            return Ok(Poll::Pending);
        };
        Ok(Poll::Done(Registered {
            app_id: id.to_owned(),
            app_secret: secret.into(),
            brand: user_info(&reply, "tenant_brand").map(str::to_owned),
            open_id: user_info(&reply, "open_id").map(str::to_owned),
        }))
    }

    /// Feishu's accounts host until the brand is known; a domain that is neither brand's
    /// keeps to its own.
    fn registration_host(self) -> String {
        let domain = &self.inner.settings.domain;
        if *domain != Domain::feishu() && *domain != Domain::lark() {
            domain.accounts.clone()
        } else if self.inner.registers_at_lark.load(Relaxed) {
            Domain::lark().accounts
        } else {
            Domain::feishu().accounts
        }
    }
}

/// The redirect URI of a code is not one of the app's (docs:
/// authentication-management/access-token/get-user-access-token).
const NOT_REGISTERED: i64 = 20_071;

fn register(redirect_uri: &str) -> String {
    format!(
        "add {redirect_uri} to the app in the developer console under Security Settings \
         (安全设置) > Redirect URLs (重定向 URL), then run: feishu-mirror auth login"
    )
}

#[cfg(test)]
#[path = "oauth_tests.rs"]
mod tests;
