//! The token to call with: an app's is fetched when first needed, kept, and renewed
//! before it expires; a login's comes from its [`TokenSource`], which keeps it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::call::Call;
use super::error::{ApiError, Class};
use super::oauth::OAuth;
use super::quota::Endpoint;
use super::reader::Json;
use super::transport::Inner;
use super::{Credentials, TokenSource, wire};

const TENANT_TOKEN: Endpoint =
    Endpoint::named("POST /open-apis/auth/v3/tenant_access_token/internal");

/// What the errors of a login are about, where no endpoint was called.
const LOGIN: &str = "login";

/// With less than 30 minutes left the service hands out a new token, and both live on
/// (docs: authentication-management/access-token/tenant_access_token_internal); 10
/// minutes are long enough for whatever is under way.
const RENEW_BEFORE: Duration = Duration::from_secs(10 * 60);

/// No app token is believed to live longer.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// The token to call with; another one than `refused`.
    ///
    /// Boxed because fetching it goes through the send path, which asks for the token.
    pub(super) fn token(
        &self,
        refused: Option<SecretString>,
    ) -> BoxFuture<'_, Result<SecretString, ApiError>> {
        Box::pin(async move {
            let (app_id, secret) = match &self.settings.credentials {
                Credentials::User(token) => return Ok(token.clone()),
                Credentials::App { app_id, app_secret } => (app_id, app_secret),
                Credentials::Login(source) => return self.ask(source, refused).await,
                Credentials::Nobody => return Err(nobody()),
            };
            if let Some(refused) = &refused {
                self.app_token.forget(refused).await;
            }
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

    /// Asks the login's source. A renewal spends the stored refresh token, so once begun
    /// it goes on when the call that needed it is given up: dropped in between, the new
    /// tokens would be lost and the old ones dead.
    async fn ask(
        &self,
        source: &Arc<dyn TokenSource>,
        refused: Option<SecretString>,
    ) -> Result<SecretString, ApiError> {
        let source = Arc::clone(source);
        let inner = self.this.upgrade().expect("whoever calls holds the client");
        let renewal =
            tokio::spawn(async move { source.token(OAuth::new(&inner), refused.as_ref()).await });
        match renewal.await {
            Ok(token) => token,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => {
                let what = "not called: the program is ending";
                Err(ApiError::local(Class::Transient, LOGIN, what))
            }
        }
    }

    async fn fetch_token(
        &self,
        app_id: &str,
        secret: &SecretString,
    ) -> Result<(SecretString, Instant), ApiError> {
        #[derive(Deserialize)]
        struct Reply {
            #[serde(deserialize_with = "wire::token")]
            tenant_access_token: String,
            #[serde(default, deserialize_with = "wire::number")]
            expire: Option<i64>,
        }
        let call = Call::unsigned(TENANT_TOKEN, &[secret])
            .body(json!({ "app_id": app_id, "app_secret": secret.expose_secret() }));
        let asked = Instant::now();
        let (reply, _) = self.exchange(&call, &Json::<Reply>::top()).await?;
        let lives = Duration::from_secs(reply.expire.unwrap_or(0).try_into().unwrap_or(0));
        // Two hours by the page; what a broken reply says may be beyond the clock.
        let lives = lives.min(LONGEST_LIFE);
        // A token handed out with less than that left is used for half of what it has.
        let until = asked + lives.saturating_sub(RENEW_BEFORE).max(lives / 2);
        Ok((reply.tenant_access_token.into(), until))
    }
}

fn nobody() -> ApiError {
    ApiError::local(Class::Login, LOGIN, "not called: nobody is logged in").hint(
        "run: feishu-mirror auth login; or set FEISHU_APP_ID and FEISHU_APP_SECRET of an app, \
         or FEISHU_USER_ACCESS_TOKEN of a user",
    )
}
