//! A stored login as the client's source of tokens: renewed when due or refused, once
//! for all tasks and all processes, on disk before it is used.
//!
//! A refresh token is good for one renewal, and its reply cannot be had twice (docs:
//! authentication-management/access-token/refresh-user-access-token). So:
//!
//! - One task renews, the others wait for it and share what came of it, good or bad.
//! - One process renews: the user's lock is held from before the stored login is read
//!   again until the new one is stored. Who waited for it finds a new login there and
//!   makes no call.
//! - Before the refresh token is spent it is made sure that a new login can be stored.
//! - The new tokens are on disk before anybody gets them. Where that fails after all,
//!   this process goes on with them, says so, and tries again to store them.
//! - No failure changes what is stored: it may pass, and the service knows best whether a
//!   token is still good. Nor is a token given up that is merely due: it is used to its
//!   end.
//! - Whoever logs in or out meanwhile is right: what is stored replaces what is known
//!   here, and where nothing is stored any more, nothing is made of it again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::AuthError;
use super::files;
use super::logins::Login;
use super::profiles::{Profile, add_command};
use super::users::HeldLogin;
use crate::clock::Clock;
use crate::feishu::oauth::{AppKey, Grant, OAuth};
use crate::feishu::{ApiError, Class, TokenSource};
use crate::model::account::Domain;

/// How long a failure stands, where asking again would help nobody: a refusal, so that
/// a hundred tasks do not ask a hundred times; any failure while the token is good.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Between two tries to store what could not be stored.
const STORE_AGAIN: Duration = Duration::from_secs(10);

/// What an error is about.
const ENDPOINT: &str = "POST /open-apis/authen/v2/oauth/token";

/// As hints have it, without a profile.
const LOG_IN: &str = "feishu-mirror auth login";

type Tell = dyn Fn(&str) + Send + Sync;

/// A user's login in a profile.
pub struct StoredLogin {
    profile: Arc<Profile>,
    open_id: String,
    clock: Clock,
    tell: Option<Box<Tell>>,
    /// Renewals that came to an end, good or bad.
    ended: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// In use.
    login: Login,
    /// As last seen on disk; another one only where a new one could not be stored.
    stored: Login,
    /// The profile's name today.
    profile: String,
    /// To renew with.
    app: AppKey,
    /// The app's secret as the profile was last seen to have it; the one in use may have
    /// come from elsewhere.
    seen_secret: SecretString,
    /// Nothing is renewed any more: the program is ending.
    closed: bool,
    /// Not before this, where something is still to be stored.
    store_again: Instant,
    /// Somebody was told that something could not be stored.
    told: bool,
    failure: Option<Failure>,
}

/// How the last renewal failed.
struct Failure {
    setback: Setback,
    /// Its number among the renewals that ended.
    number: u64,
    at: Instant,
}

/// Why there is no renewed login.
#[derive(Clone)]
struct Setback {
    error: ApiError,
    /// Logged out: the present token is not to be used either, though it still works.
    gone: bool,
}

impl State {
    fn unstored(&self) -> bool {
        !same(&self.login.access_token, &self.stored.access_token)
    }

    /// What is in use, unless the service refuses it or it is past its end.
    fn usable(&self, now_secs: i64, refused: Option<&SecretString>) -> Option<SecretString> {
        let token = &self.login.access_token;
        let good = !self.login.is_expired(now_secs) && !refused.is_some_and(|it| same(it, token));
        good.then(|| token.clone())
    }

    /// The same, while nothing is to be done.
    fn ready(&self, now_secs: i64, refused: Option<&SecretString>) -> Option<SecretString> {
        let at_rest = !self.unstored() || Instant::now() < self.store_again;
        let token = self.usable(now_secs, refused);
        token.filter(|_| at_rest && !self.login.is_due(now_secs))
    }

    /// "the login of Li Lei in profile "work" …".
    fn says(&self, what: impl fmt::Display) -> String {
        let Login { name, open_id, .. } = &self.login;
        let who = if name.is_empty() { open_id } else { name };
        format!("the login of {who} in profile {:?} {what}", self.profile)
    }

    fn command(&self) -> String {
        format!("{LOG_IN} --profile {}", self.profile)
    }

    /// A person has to log in.
    fn log_in(&self, what: &str) -> ApiError {
        let hint = Some(format!("log in again: {}", self.command()));
        let (class, endpoint, message) = (Class::Login, ENDPOINT, self.says(what));
        ApiError { class, endpoint, code: None, status: None, message, hint }
    }

    fn gone(&self) -> Setback {
        let what = "is no longer stored: somebody logged out, or removed the profile";
        Setback { error: self.log_in(what), gone: true }
    }

    /// The files do not allow it; nothing was asked or spent.
    fn not_possible(&self, error: &AuthError) -> ApiError {
        let hint = error.hint().unwrap_or_else(|| {
            "what is stored is as it was: free some space, or make the folder writable, and run \
             again"
                .to_owned()
        });
        let message = self.says(format_args!("cannot be renewed: {error}"));
        let (class, endpoint, hint) = (Class::Config, ENDPOINT, Some(hint));
        ApiError { class, endpoint, code: None, status: None, message, hint }
    }

    /// The service's refusal, or the network's failure, with whose it is and the command.
    fn explained(&self, domain: &Domain, error: ApiError) -> ApiError {
        let message = self.says(format_args!("cannot be renewed: {}", error.message));
        let hint = match (error.blames_app(), error.hint) {
            (true, _) => Some(format!(
                "store the app's present secret, then run again: {}",
                add_command(&self.profile, &self.app.id, domain)
            )),
            (_, Some(hint)) => Some(hint.replace(LOG_IN, &self.command())),
            (_, None) if error.class == Class::Login => {
                Some(format!("log in again: {}", self.command()))
            }
            (_, None) => None,
        };
        ApiError { message, hint, ..error }
    }
}

impl From<ApiError> for Setback {
    fn from(error: ApiError) -> Self {
        Self { error, gone: false }
    }
}

fn transient(message: String) -> ApiError {
    let (class, endpoint) = (Class::Transient, ENDPOINT);
    ApiError { class, endpoint, code: None, status: None, message, hint: None }
}

fn same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

impl StoredLogin {
    /// The login of `open_id`, which is there.
    pub fn open(profile: &Profile, open_id: &str, clock: Clock) -> Result<Self, AuthError> {
        let login = profile.login(Some(open_id))?.ok_or_else(|| AuthError::NoUser {
            who: open_id.to_owned(),
            profile: profile.name.clone(),
            known: Vec::new(),
        })?;
        let found = profile.profiles.find(&profile.name, &profile.id)?;
        let seen_secret = found.map_or_else(|| profile.app.secret.clone(), |it| it.1.app_secret());
        let state = State {
            stored: login.clone(),
            login,
            profile: profile.name.clone(),
            app: profile.app.clone(),
            seen_secret,
            closed: false,
            store_again: Instant::now(),
            told: false,
            failure: None,
        };
        Ok(Self {
            profile: Arc::new(profile.clone()),
            open_id: state.login.open_id.clone(),
            clock,
            tell: None,
            ended: AtomicU64::new(0),
            state: Mutex::new(state),
        })
    }

    /// Has people told what they should know though the run goes on: a renewed login
    /// that could not be stored.
    #[must_use]
    pub fn telling(self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { tell: Some(Box::new(tell)), ..self }
    }

    /// Waits for a renewal under way, and lets none begin any more: a process that ends
    /// between the service's reply and its way to the disk loses the login.
    pub async fn settle(&self) {
        self.state.lock().await.closed = true;
    }

    /// [`TokenSource::token`], with the call that renews.
    pub(super) async fn token_by<F>(
        &self,
        refused: Option<&SecretString>,
        refresh: impl FnOnce(AppKey, SecretString) -> F + Send,
    ) -> Result<SecretString, ApiError>
    where
        F: Future<Output = Result<Grant, ApiError>> + Send,
    {
        let asked = self.ended.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let now_secs = self.clock.now_secs();
        if let Some(token) = state.ready(now_secs, refused) {
            return Ok(token);
        }
        if state.closed {
            let what = format!("{ENDPOINT}: not called: the program is ending");
            return state.usable(now_secs, refused).ok_or_else(|| transient(what));
        }
        if let Some(Failure { setback, number, at }) = &state.failure {
            let token = state.usable(now_secs, refused).filter(|_| !setback.gone);
            let lasts = setback.error.class == Class::Login || token.is_some();
            // One that ended while this waited is this one's failure as well.
            if *number > asked || lasts && at.elapsed() < REMEMBERED {
                return token.ok_or_else(|| setback.error.clone());
            }
        }
        let renewed = self.renew(&mut state, refused, refresh).await;
        let number = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        match renewed {
            Ok(token) => {
                state.failure = None;
                Ok(token)
            }
            Err(setback) => {
                tracing::info!("not renewed: {}", setback.error);
                let token = state.usable(self.clock.now_secs(), refused);
                let token = token.filter(|_| !setback.gone);
                let answer = token.ok_or_else(|| setback.error.clone());
                state.failure = Some(Failure { setback, number, at: Instant::now() });
                answer
            }
        }
    }

    async fn renew<F>(
        &self,
        state: &mut State,
        refused: Option<&SecretString>,
        refresh: impl FnOnce(AppKey, SecretString) -> F + Send,
    ) -> Result<SecretString, Setback>
    where
        F: Future<Output = Result<Grant, ApiError>> + Send,
    {
        let mut held = match self.hold().await {
            Ok(Some((held, found))) => Some(self.catch_up(state, held, found).await?),
            Ok(None) => return Err(state.gone()),
            // Nobody but this process knows these tokens: there is nothing to be kept from
            // others, and nothing to lose.
            Err(error) if state.unstored() => {
                self.could_not_store(state, &error);
                None
            }
            Err(error) => return Err(state.not_possible(&error).into()),
        };
        let asked_secs = self.clock.now_secs();
        let token = state.usable(asked_secs, refused);
        if let Some(token) = &token
            && !state.login.is_due(asked_secs)
        {
            return Ok(token.clone());
        }
        let Some(spent) = state.login.refresh_token.clone() else {
            let expired = state.login.is_expired(asked_secs);
            let what = if expired { "has expired" } else { "is no longer accepted" };
            let what = format!("{what}, and there is no refresh token to renew it with");
            return token.ok_or_else(|| state.log_in(&what).into());
        };
        if let Some(ours) = held.take() {
            let (room, ours) = blocking(move || (ours.try_room(), ours)).await;
            match room {
                Err(error) if !state.unstored() => return Err(state.not_possible(&error).into()),
                _ => held = Some(ours),
            }
        }
        let grant = refresh(state.app.clone(), spent).await;
        let grant = grant.map_err(|error| state.explained(&self.profile.domain, error))?;
        files::step("reply");
        state.login = state.login.renewed(grant, asked_secs);
        match held {
            Some(held) => drop(self.store(state, held).await),
            None => state.store_again = Instant::now() + STORE_AGAIN,
        }
        Ok(state.login.access_token.clone())
    }

    /// Waits for the other processes and reads what they left; `None` where the profile
    /// is gone. On a thread of its own, since it may wait as long as their renewal takes.
    async fn hold(&self) -> Result<Option<(HeldLogin, Option<Login>)>, AuthError> {
        let (profile, open_id) = (Arc::clone(&self.profile), self.open_id.clone());
        blocking(move || {
            let Some(held) = profile.hold(&open_id, false)? else { return Ok(None) };
            let found = held.read()?;
            Ok(Some((held, found)))
        })
        .await
    }

    /// Takes over what others did to the stored login since it was last seen, or stores
    /// what is not stored yet.
    async fn catch_up(
        &self,
        state: &mut State,
        held: HeldLogin,
        found: Option<Login>,
    ) -> Result<HeldLogin, Setback> {
        state.profile.clone_from(&held.profile);
        if !same(&held.secret, &state.seen_secret) {
            // Somebody stored a newer one since: whatever this process began with is older.
            state.seen_secret = held.secret.clone();
            state.app.secret = held.secret.clone();
        }
        match found {
            None => Err(state.gone()),
            Some(found) if !same(&found.access_token, &state.stored.access_token) => {
                (state.login, state.stored) = (found.clone(), found);
                state.told = false;
                Ok(held)
            }
            Some(_) if state.unstored() => Ok(self.store(state, held).await),
            Some(_) => Ok(held),
        }
    }

    async fn store(&self, state: &mut State, held: HeldLogin) -> HeldLogin {
        let login = state.login.clone();
        let (written, held) = blocking(move || (held.write(&login), held)).await;
        match written {
            Ok(()) => {
                state.stored = state.login.clone();
                if std::mem::take(&mut state.told) {
                    self.say(&state.says("is stored now"));
                }
            }
            Err(error) => self.could_not_store(state, &error),
        }
        held
    }

    fn could_not_store(&self, state: &mut State, error: &AuthError) {
        state.store_again = Instant::now() + STORE_AGAIN;
        if !std::mem::replace(&mut state.told, true) {
            self.say(&state.says(format_args!(
                "was renewed but could not be stored: {error}. This run goes on with it and \
                 tries again to store it; if that does not succeed before it ends, log in again: \
                 {}",
                state.command()
            )));
        }
    }

    fn say(&self, what: &str) {
        tracing::info!("{what}");
        if let Some(tell) = &self.tell {
            tell(what);
        }
    }
}

/// Runs what may block on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The program is ending, and nobody will ask for the answer.
        Err(_) => std::future::pending().await,
    }
}

impl fmt::Debug for StoredLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredLogin").field("profile", &self.profile.name).finish_non_exhaustive()
    }
}

impl TokenSource for StoredLogin {
    fn profile(&self) -> Option<String> {
        // Its name today, unless a renewal is finding that out at this moment.
        let state = self.state.try_lock();
        Some(state.map_or_else(|_| self.profile.name.clone(), |state| state.profile.clone()))
    }

    fn token<'a>(
        &'a self,
        oauth: OAuth<'a>,
        refused: Option<&'a SecretString>,
    ) -> BoxFuture<'a, Result<SecretString, ApiError>> {
        Box::pin(
            self.token_by(
                refused,
                move |app, spent| async move { oauth.refresh(&app, &spent).await },
            ),
        )
    }
}
