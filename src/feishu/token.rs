//! The app's token: fetched when first needed, kept, renewed before it expires.

use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::call::Call;
use super::error::{ApiError, Class};
use super::quota::Endpoint;
use super::transport::{Inner, Json};
use super::{Credentials, wire};

const TENANT_TOKEN: Endpoint =
    Endpoint::named("POST /open-apis/auth/v3/tenant_access_token/internal");

/// With less than 30 minutes left the service hands out a new token, and both live on
/// (docs: authentication-management/access-token/tenant_access_token_internal); 10
/// minutes are long enough for whatever is under way.
const RENEW_BEFORE: Duration = Duration::from_secs(10 * 60);

/// How long a refusal of the credentials stands, for a process that lives on.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The app's token, or why there is none.
#[derive(Default)]
pub(super) struct AppToken(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Unknown,
    Held {
        token: SecretString,
        until: Instant,
    },
    /// The credentials are wrong: asking again, for each of a hundred waiting calls,
    /// would only look like an attack.
    Refused {
        error: ApiError,
        until: Instant,
    },
}

impl AppToken {
    /// Forgets a token that was not accepted, unless somebody renewed it already.
    pub(super) async fn forget(&self, refused: &SecretString) {
        let mut state = self.0.lock().await;
        if let State::Held { token, .. } = &*state
            && token.expose_secret() == refused.expose_secret()
        {
            *state = State::Unknown;
        }
    }
}

impl Inner {
    /// The token to call with.
    ///
    /// Boxed because fetching it goes through the send path, which asks for the token.
    pub(super) fn token(&self) -> BoxFuture<'_, Result<SecretString, ApiError>> {
        Box::pin(async {
            let (app_id, secret) = match &self.settings.credentials {
                Credentials::User(token) => return Ok(token.clone()),
                Credentials::App { app_id, app_secret } => (app_id, app_secret),
                Credentials::Nobody | Credentials::Login(_) => todo!(),
            };
            // Held across the call, so that a hundred tasks fetch one token.
            let mut state = self.app_token.0.lock().await;
            match &*state {
                State::Held { token, until } if Instant::now() < *until => {
                    return Ok(token.clone());
                }
                State::Refused { error, until } if Instant::now() < *until => {
                    return Err(error.clone());
                }
                _ => {}
            }
            let fetched = self.fetch_token(app_id, secret).await;
            *state = match &fetched {
                Ok((token, until)) => State::Held { token: token.clone(), until: *until },
                Err(error) if matches!(error.class, Class::Login | Class::Config) => {
                    State::Refused { error: error.clone(), until: Instant::now() + REMEMBERED }
                }
                Err(_) => State::Unknown,
            };
            fetched.map(|(token, _)| token)
        })
    }

    async fn fetch_token(
        &self,
        app_id: &str,
        secret: &SecretString,
    ) -> Result<(SecretString, Instant), ApiError> {
        #[derive(Deserialize)]
        struct Reply {
            tenant_access_token: String,
            #[serde(default, deserialize_with = "wire::number")]
            expire: Option<i64>,
        }
        let mut call = Call::new(TENANT_TOKEN, &[])
            .body(json!({ "app_id": app_id, "app_secret": secret.expose_secret() }));
        call.signed = false;
        let asked = Instant::now();
        let (reply, _) = self.exchange(&call, &Json::<Reply>::top()).await?;
        let lives = Duration::from_secs(reply.expire.unwrap_or(0).try_into().unwrap_or(0));
        // A token handed out with less than that left is used for half of what it has.
        let until = asked + lives.saturating_sub(RENEW_BEFORE).max(lives / 2);
        Ok((reply.tenant_access_token.into(), until))
    }
}
