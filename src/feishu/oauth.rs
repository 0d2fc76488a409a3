//! Logging in: authorization codes, refresh tokens, the device flow, revocation, and
//! the registration of an app in the browser.
//!
//! Only the shapes of requests and replies; who asks when is `auth`'s business.

use std::time::Duration;

use secrecy::SecretString;

use super::error::ApiError;
use super::transport::Inner;
use crate::model::account::Domain;

/// An app's id and secret.
#[derive(Debug, Clone)]
pub struct AppKey {
    /// `cli_…`.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// What a token endpoint hands out.
#[derive(Debug)]
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
    /// Id and secret; the secret is `None` where the other brand's host has it.
    pub app_id: String,
    /// See there.
    pub app_secret: Option<SecretString>,
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
    let _ = (domain, app_id, redirect_uri, scopes, state, challenge);
    todo!()
}

/// The calls that log somebody in. They go through the client's one send path, without
/// a token.
#[derive(Clone, Copy)]
pub struct OAuth<'a> {
    #[expect(dead_code)]
    inner: &'a Inner,
}

impl<'a> OAuth<'a> {
    pub(super) fn new(inner: &'a Inner) -> Self {
        Self { inner }
    }

    /// Tokens for an authorization code, which is good for one use within 5 minutes.
    pub async fn redeem_code(
        &self,
        app: &AppKey,
        code: &SecretString,
        redirect_uri: &str,
        verifier: &SecretString,
    ) -> Result<Grant, ApiError> {
        let _ = (app, code, redirect_uri, verifier);
        todo!()
    }

    /// New tokens for a refresh token, which dies by this call.
    pub async fn refresh(
        &self,
        app: &AppKey,
        refresh_token: &SecretString,
    ) -> Result<Grant, ApiError> {
        let _ = (app, refresh_token);
        todo!()
    }

    /// Begins the device flow. `scopes` as they are: `offline_access` is the caller's
    /// business.
    pub async fn begin_device(
        &self,
        app: &AppKey,
        scopes: &[String],
    ) -> Result<DeviceCode, ApiError> {
        let _ = (app, scopes);
        todo!()
    }

    /// Asks once whether the person has decided.
    pub async fn poll_device(
        &self,
        app: &AppKey,
        device_code: &SecretString,
    ) -> Result<Poll<Grant>, ApiError> {
        let _ = (app, device_code);
        todo!()
    }

    /// Ends a token; a refresh token's end ends the grant.
    pub async fn revoke(
        &self,
        app: &AppKey,
        token: &SecretString,
        kind: TokenKind,
    ) -> Result<(), ApiError> {
        let _ = (app, token, kind);
        todo!()
    }

    /// Begins the registration of an app in the browser. The page is
    /// `{open}/page/cli?user_code=…`.
    pub async fn begin_registration(&self) -> Result<DeviceCode, ApiError> {
        todo!()
    }

    /// Asks once whether the app is registered.
    pub async fn poll_registration(
        &self,
        device_code: &SecretString,
    ) -> Result<Poll<Registered>, ApiError> {
        let _ = device_code;
        todo!()
    }
}
