//! The tenant as tests hold it: users, switches, faults, and what was called.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;

use super::build::{At, Item};
use super::faults::{Effect, Fault};
use super::ids;
use super::log::Call;
use super::logins::{ACCESS_SECS, UserStanding};
use super::quota::Quotas;
use super::scopes::Scopes;
use super::state::{
    Content, MediaRule, Obj, Parent, Place, Space, SpaceId, State, Token, User, UserId, index,
};
use super::transport::InProcess;
use super::{APP_ID, APP_SECRET, USER_TOKEN, http};
use crate::clock::Clock;
use crate::model::ObjType;

/// A simulated tenant. Clones share everything.
#[derive(Clone)]
pub struct Tenant {
    pub(super) shared: Arc<Mutex<State>>,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let (places, calls) = (state.places.len(), state.log.calls.len());
        f.debug_struct("Tenant").field("places", &places).field("calls", &calls).finish()
    }
}

impl Tenant {
    /// A tenant with the app [`APP_ID`] and one user, `demo`, whose "My Space" is
    /// empty. Official quotas hold. All times come from `clock`.
    pub fn new(clock: Clock) -> Self {
        let tenant = Self { shared: Arc::new(Mutex::new(State::new(clock, Quotas::official()))) };
        tenant.add_app(APP_ID, APP_SECRET);
        tenant.add_user("demo", USER_TOKEN);
        tenant
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        http::lock(&self.shared)
    }

    /// Registers another app. Quotas are counted for each app on its own.
    pub fn add_app(&self, id: &str, secret: &str) {
        self.lock().add_app(id, secret, 0);
    }

    /// Adds a user with an empty "My Space" and an access token of the first app that
    /// does not expire. Returns the root folder.
    pub fn add_user(&self, name: &str, token: &str) -> Item {
        let mut state = self.lock();
        let user = index(state.users.len());
        let at = state.past();
        let (obj, root) = (index(state.objs.len()), index(state.places.len()));
        state.objs.push(Obj {
            named: None,
            ty: ObjType::Folder,
            title: "My Space".into(),
            created: at,
            edited: at,
            revision: 1,
            content: Content::Made,
            home: root,
        });
        state.places.push(Place {
            named: None,
            obj,
            parent: Parent::Root(user),
            children: Vec::new(),
            target: None,
            created: at,
            deleted: false,
            unlisted: false,
        });
        let open_id = format!("ou_{:016x}", ids::scramble(u64::from(user) + 77));
        let (name, standing) = (name.to_owned(), UserStanding::Active);
        state.users.push(User { name, invisible: false, open_id, root, library: None, standing });
        state.tokens.insert(token.to_owned(), of_user(user, None));
        drop(state);
        self.item(At::Place(root))
    }

    pub(super) fn item(&self, at: At) -> Item {
        Item::new(self.clone(), at)
    }

    pub(super) fn user(&self, name: &str) -> UserId {
        let state = self.lock();
        index(state.users.iter().position(|u| u.name == name).expect("a user of this tenant"))
    }

    /// The root folder of the default user's "My Space".
    pub fn root(&self) -> Item {
        let root = self.lock().users[0].root;
        self.item(At::Place(root))
    }

    /// The root folder of a user's "My Space".
    pub fn root_of(&self, user: &str) -> Item {
        let user = self.user(user);
        let root = self.lock().users[user as usize].root;
        self.item(At::Place(root))
    }

    /// Adds a wiki space. Two spaces may share a name.
    pub fn space(&self, name: &str) -> Item {
        let mut state = self.lock();
        let id = (7_000_000_000_000_000_001_u64 + state.spaces.len() as u64).to_string();
        let space = add_space(&mut state, id, name, None);
        drop(state);
        self.item(At::Space(space))
    }

    /// Adds a wiki space with an id of its own, a decimal number.
    pub fn space_with_id(&self, id: &str, name: &str) -> Item {
        let space = add_space(&mut self.lock(), id.to_owned(), name, None);
        self.item(At::Space(space))
    }

    /// The default user's own library, made on first use.
    pub fn my_library(&self) -> Item {
        self.library(0)
    }

    /// A user's own library, made on first use.
    pub fn library_of(&self, user: &str) -> Item {
        self.library(self.user(user))
    }

    fn library(&self, user: UserId) -> Item {
        let mut state = self.lock();
        let space = state.users[user as usize].library.unwrap_or_else(|| {
            let id = (7_900_000_000_000_000_001_u64 + u64::from(user)).to_string();
            let space = add_space(&mut state, id, "My Library", Some(user));
            state.users[user as usize].library = Some(space);
            space
        });
        drop(state);
        self.item(At::Space(space))
    }

    /// What a token names, as a handle: the home of an object, a node, a shortcut.
    pub fn find(&self, token: &str) -> Option<Item> {
        let state = self.lock();
        let place = match state.find(token)? {
            ids::Id::Obj(obj) => state.obj(obj).home,
            ids::Id::Place(place) => place,
            ids::Id::Media(_) => return None,
        };
        drop(state);
        Some(self.item(At::Place(place)))
    }

    // Tokens.

    /// Gives a user one more access token with every scope, good for two hours.
    pub fn issue_token(&self, user: &str) -> String {
        let user = self.user(user);
        let mut state = self.lock();
        let token = state.secret("u-", 1);
        let expires = Some(state.now() + ACCESS_SECS);
        state.tokens.insert(token.clone(), of_user(user, expires));
        token
    }

    /// From now on an access token is good for so long only.
    pub fn token_lives(&self, token: &str, time: Duration) {
        let mut state = self.lock();
        let expires = state.now().saturating_add_unsigned(time.as_secs());
        if let Some(token) = state.tokens.get_mut(token) {
            token.expires = Some(expires);
        }
    }

    /// Ends every tenant token that was handed out, as a rotated secret does.
    pub fn expire_tenant_tokens(&self) {
        let mut state = self.lock();
        state.tokens.retain(|_, token| token.user.is_some());
        for app in &mut state.apps {
            app.current = None;
        }
    }

    // Users, medias, limits.

    /// Says how an image or attachment can be had.
    ///
    /// # Panics
    /// Where the token is none of a media.
    pub fn media_rule(&self, token: &str, rule: MediaRule) -> &Self {
        let mut state = self.lock();
        let Some(ids::Id::Media(id)) = state.find(token) else { panic!("no media: {token}") };
        state.medias[id as usize].rule = rule;
        drop(state);
        self
    }

    /// A user's `open_id`.
    pub fn open_id(&self, user: &str) -> String {
        let user = self.user(user);
        self.lock().users[user as usize].open_id.clone()
    }

    /// Whether the app may see a user in the address book. Default: yes.
    pub fn visible(&self, user: &str, yes: bool) -> &Self {
        let user = self.user(user);
        self.lock().users[user as usize].invisible = !yes;
        self
    }

    /// Other limits from now on. Default: [`Quotas::official`].
    pub fn quotas(&self, quotas: Quotas) -> &Self {
        self.lock().meter.set(quotas);
        self
    }

    // Faults.

    /// Adds a scripted fault; several may hit one call.
    pub fn fault(&self, fault: Fault) -> &Self {
        self.lock().faults.add(fault);
        self
    }

    /// Hits any call with `probability` (0 to 1) by one of `kinds`, drawn from `seed`.
    pub fn storm(&self, seed: u64, probability: f64, kinds: &[Effect]) -> &Self {
        self.lock().faults.storm(seed, probability, kinds);
        self
    }

    /// Ends storms and scripted faults.
    pub fn calm(&self) -> &Self {
        self.lock().faults.clear();
        self
    }

    // Calls.

    /// How many calls were made to an endpoint since [`Tenant::forget_calls`]. The path
    /// is given without `/open-apis`, as a pattern with any names for the parameters
    /// (`/wiki/v2/spaces/:id/nodes`) or as called.
    pub fn calls(&self, method: &str, path: &str) -> usize {
        self.lock().log.count(method, path)
    }

    /// All calls, oldest first.
    pub fn call_log(&self) -> Vec<Call> {
        self.lock().log.calls.clone()
    }

    /// How many calls were made.
    pub fn total_calls(&self) -> usize {
        self.lock().log.calls.len()
    }

    /// How many calls were answered with HTTP 429.
    pub fn too_many_requests(&self) -> usize {
        self.lock().log.calls.iter().filter(|call| call.status == 429).count()
    }

    /// How many calls were refused for coming too often, whatever the HTTP status.
    pub fn rate_limited(&self) -> usize {
        self.lock().log.rate_limited()
    }

    /// The windows of the published limits that held more calls than they may, whatever
    /// was answered: where a fault answers, nobody counts. As of one app.
    pub fn overruns(&self) -> Vec<String> {
        http::overruns(&self.lock().log.calls)
    }

    /// Begins the count again.
    pub fn forget_calls(&self) -> &Self {
        self.lock().log.forget();
        self
    }

    // Ways in.

    /// The HTTP face, for any server.
    pub fn router(&self) -> Router {
        http::router(self.shared.clone())
    }

    /// The HTTP face without a network, for [`crate::feishu::Client`].
    pub fn http(&self) -> Arc<InProcess> {
        Arc::new(InProcess::new(self.router()))
    }

    /// The tenant's clock, which jumps when the tenant's time does.
    pub fn clock(&self) -> Clock {
        self.lock().clock.clone()
    }
}

/// A token of the first app, for a user who granted it everything.
fn of_user(user: UserId, expires: Option<i64>) -> Token {
    Token { user: Some(user), app: 0, expires, scopes: Scopes::All, grant: None }
}

fn add_space(state: &mut State, id: String, name: &str, library_of: Option<UserId>) -> SpaceId {
    let space = index(state.spaces.len());
    let name = name.to_owned();
    state.spaces.push(Space { id, name, library_of, top: Vec::new(), deleted: false });
    space
}
