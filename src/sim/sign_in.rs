//! Logging in, as tests hold it: people who agree or refuse, the developer console, and
//! time that passes.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use url::Url;

use super::apps::{App, AppStanding};
use super::http::consent::Authorize;
use super::http::device;
use super::logins::{ACCESS_SECS, REFRESH_SECS, UserStanding};
use super::scopes::{OFFLINE_ACCESS, Scopes};
use super::tenant::Tenant;

/// What a person's consent brought, without pages and calls.
#[derive(Clone)]
pub struct Login {
    /// To call with.
    pub access_token: String,
    /// Good for one renewal; `None` without `offline_access` (see [`Tenant::offline_access`]).
    pub refresh_token: Option<String>,
    /// Seconds for which the access token is good.
    pub expires_in: i64,
    /// Seconds for which the refresh token is good.
    pub refresh_token_expires_in: i64,
    /// What was granted, separated by spaces.
    pub scope: String,
    /// The user.
    pub open_id: String,
    /// The user's name.
    pub name: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tenant {
    /// Lets the tenant's time jump ahead: [`Tenant::clock`] and all that expires follow,
    /// tokio's timer does not.
    pub fn jump(&self, by: Duration) -> &Self {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        self.lock().lead.grow(by);
        self
    }

    // The developer console of the first app.

    fn console(&self, change: impl FnOnce(&mut App)) -> &Self {
        change(&mut self.lock().apps[0]);
        self
    }

    /// Registers one more redirect URL (重定向 URL) of the app. At first there is
    /// `http://localhost:9000/callback` alone.
    pub fn redirect_uri(&self, uri: &str) -> &Self {
        Url::parse(uri).expect("a redirect URL is a URL");
        self.console(|app| app.redirects.push(uri.to_owned()))
    }

    /// Enables exactly these scopes on the app, for both kinds of token. They count for
    /// the authorize page at once, for calls after [`Tenant::publish`]. At first every
    /// scope there is is enabled and published.
    pub fn enable_scopes(&self, scopes: &[&str]) -> &Self {
        self.console(|app| app.enabled = Scopes::only(scopes.iter().copied()))
    }

    /// Publishes a version of the app: the scopes now enabled, and no others, count.
    pub fn publish(&self) -> &Self {
        self.console(|app| app.published = app.enabled.clone())
    }

    /// The switch "refresh `user_access_token`" of the app's Security Settings
    /// (安全设置). Off: no refresh token is handed out, and those there are get 20074.
    /// Default: on.
    pub fn offline_access(&self, on: bool) -> &Self {
        self.console(|app| app.may_refresh = on)
    }

    /// Whether the app may be used. Default: it may.
    pub fn app_is(&self, standing: AppStanding) -> &Self {
        self.console(|app| app.standing = standing)
    }

    /// Gives the app another secret; tokens handed out live on.
    pub fn reset_secret(&self, secret: &str) -> &Self {
        self.console(|app| secret.clone_into(&mut app.secret))
    }

    // People.

    /// Whether a user may log in. Default: everybody may.
    pub fn user_is(&self, name: &str, standing: UserStanding) -> &Self {
        let user = self.user(name);
        self.lock().users[user as usize].standing = standing;
        self
    }

    /// Scopes that a user leaves out when agreeing, from now on; none: leaves out none.
    pub fn refuse_scopes(&self, user: &str, scopes: &[&str]) -> &Self {
        let user = self.user(user);
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.lock().logins.left_out.insert(user, scopes);
        self
    }

    /// A user agrees on the page that belongs to a user code: of the device flow, or of
    /// an app's registration. Panics where the page would show an error.
    pub fn approve(&self, user_code: &str, user: &str) {
        let user = self.user(user);
        self.decide(user_code, Some(user));
    }

    /// Somebody refuses on that page.
    pub fn deny(&self, user_code: &str) {
        self.decide(user_code, None);
    }

    fn decide(&self, user_code: &str, user: Option<u32>) {
        let mut state = self.lock();
        let answered = device::open(&state, user_code).and_then(|at| {
            device::answer(&mut state, at, user).map_err(|reply| format!("code {}", reply.code))
        });
        drop(state);
        if let Err(page) = answered {
            panic!("the page of {user_code} says: {page}");
        }
    }

    /// What a browser does with an authorize URL when the user agrees; returns where it
    /// goes, with the code. Panics where the page would show an error.
    pub fn approve_login(&self, authorize_url: &str, user: &str) -> String {
        let user = self.user(user);
        self.authorize(authorize_url, Some(user))
    }

    /// The same when the user refuses.
    pub fn deny_login(&self, authorize_url: &str) -> String {
        self.authorize(authorize_url, None)
    }

    fn authorize(&self, url: &str, user: Option<u32>) -> String {
        let mut state = self.lock();
        let back = Authorize::of_url(&state, url).and_then(|page| page.answer(&mut state, user));
        drop(state);
        back.unwrap_or_else(|code| panic!("the authorize page shows error {code}"))
    }

    /// A user agrees to all that the first app has enabled, and the app fetches tokens:
    /// a login without pages and calls.
    pub fn log_in(&self, user: &str) -> Login {
        let mut asked = self.lock().apps[0].enabled.names();
        asked.insert(OFFLINE_ACCESS.to_owned());
        self.log_in_for(user, &asked.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The same with these scopes.
    pub fn log_in_for(&self, user: &str, scopes: &[&str]) -> Login {
        let user = self.user(user);
        let asked: BTreeSet<String> = scopes.iter().map(|s| (*s).to_owned()).collect();
        let mut state = self.lock();
        let grant = state.agree(0, user, &asked);
        let scopes = state.granted(grant);
        let handed = state.hand_out(grant, scopes);
        let scope = handed.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let who = &state.users[user as usize];
        Login {
            access_token: handed.access,
            refresh_token: handed.refresh,
            expires_in: ACCESS_SECS,
            refresh_token_expires_in: REFRESH_SECS,
            scope,
            open_id: who.open_id.clone(),
            name: who.name.clone(),
        }
    }

    /// Ends all grants of a user, with their tokens, as the user or an administrator does.
    /// Tokens of [`Tenant::add_user`] and [`Tenant::issue_token`] belong to no grant.
    pub fn revoke_user(&self, user: &str) -> &Self {
        let user = self.user(user);
        let mut state = self.lock();
        for grant in 0..state.logins.grants.len() {
            if state.logins.grants[grant].user == user {
                state.revoke(grant);
            }
        }
        drop(state);
        self
    }

    /// How many refresh tokens were spent.
    pub fn refreshes(&self) -> usize {
        self.lock().logins.refreshes
    }

    /// Seconds between two polls that new device codes ask for. Default: 5.
    pub fn device_interval(&self, secs: u32) -> &Self {
        self.lock().logins.interval = Some(i64::from(secs));
        self
    }

    /// Whether apps registered from now on belong to a Lark tenant, whose own host hands
    /// out the secret. Default: no.
    pub fn registers_on_lark(&self, yes: bool) -> &Self {
        self.lock().logins.lark = yes;
        self
    }
}
