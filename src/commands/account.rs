//! Whose calls they are: flags over environment over config over profile.
//!
//! The environment's app or token stands above a profile, but never together with the
//! tokens of another app. A secret goes only to the hosts that it was stored with.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

use super::Session;
use super::exit::{FAILED, LOGIN, Problem, USAGE};
use crate::auth::AuthError;
use crate::auth::logins::Login;
use crate::auth::profiles::{DEFAULT, Profile, Profiles};
use crate::auth::quota::QuotaFile;
use crate::auth::renew::StoredLogin;
use crate::config::{self, Config, ConfigError, Identity, Limits, values};
use crate::feishu::network::Network;
use crate::feishu::oauth::AppKey;
use crate::feishu::{Client, Credentials, HttpSend, Settings};
use crate::model::account::Domain;

/// A user's access token, as it is.
pub const TOKEN: &str = "FEISHU_USER_ACCESS_TOKEN";
const APP_ID: &str = "FEISHU_APP_ID";
const APP_SECRET: &str = "FEISHU_APP_SECRET";
const PROFILE: &str = "FEISHU_MIRROR_PROFILE";

const CONSOLE: &str =
    "you find both in the developer console under Credentials & Basic Info (凭证与基础信息)";

/// Whose calls they are, resolved from flags, environment, config and profile.
pub struct Account {
    /// Where calls go, and the only hosts that the secrets may be sent to.
    pub domain: Domain,
    /// For the client.
    pub credentials: Credentials,
    /// The app, where id and secret are known.
    pub app: Option<AppKey>,
    /// The profile that counts, where it is there.
    pub profile: Option<Profile>,
    /// The stored login in use.
    pub login: Option<Login>,
}

impl Account {
    /// True for a user's identity.
    pub fn is_user(&self) -> bool {
        matches!(self.credentials, Credentials::User(_) | Credentials::Login(_))
    }
}

/// Which profile counts, and what says so, for people.
pub fn profile_name(
    session: &Session,
    config: Option<&Config>,
) -> Result<(String, &'static str), Problem> {
    if let Some(name) = &session.global.profile {
        return Ok((name.clone(), "--profile"));
    }
    if let Some(name) = set(&session.vars, PROFILE) {
        let name =
            values::profile(name).map_err(|why| Problem::failed(format!("{PROFILE}: {why}")))?;
        return Ok((name, PROFILE));
    }
    if let Some(name) = config.and_then(|config| config.profile.as_ref()) {
        return Ok((name.clone(), "profile in the config"));
    }
    let Some(home) = config::home(&session.vars) else {
        return Ok((DEFAULT.to_owned(), "the default"));
    };
    let active = Profiles::at(&session.cwd.join(home)).active()?;
    let by = if active == DEFAULT { "the default" } else { "`profile use`" };
    Ok((active, by))
}

/// The profiles of this user's home.
pub fn profiles(session: &Session) -> Result<Profiles, Problem> {
    let home = config::home(&session.vars).ok_or(AuthError::NoHome)?;
    Ok(Profiles::at(&session.cwd.join(home)))
}

/// The config, where there is one: some commands work without. One that is wrong, or
/// that was named and is not there, is an error.
pub fn maybe_config(session: &Session) -> Result<Option<Config>, Problem> {
    let named = session.global.config.as_deref();
    match Config::load(named, &session.vars, &session.cwd) {
        Ok(config) => Ok(Some(config)),
        Err(ConfigError::NotFound { .. }) => Ok(None),
        Err(error) => Err(Problem::failed(error.to_string()).hint(error.hint())),
    }
}

/// The account for a wanted identity. Makes no call.
///
/// # Errors
/// Exit 4 where there is no usable credential, 1 where things contradict each other,
/// each with what to do.
pub fn resolve(
    session: &Session,
    config: Option<&Config>,
    want: Identity,
) -> Result<Account, Problem> {
    if want == Identity::App && session.global.user.is_some() {
        return Err(Problem::new(USAGE, "--user names a user, but the calls are to be the app's")
            .hint("leave --user out, or `identity = \"app\"` in the config and --as app"));
    }
    let found = Found::look(session, config)?;
    for repaired in found.profile.iter().flat_map(|profile| &profile.repaired) {
        session.ui.warn(&repaired.to_string());
    }
    let token = set(&session.vars, TOKEN);
    if let (Some(token), true) = (token, want != Identity::App) {
        if session.global.user.is_some() {
            return Err(Problem::new(
                USAGE,
                format!("--user picks among stored logins, but {TOKEN} is set"),
            )
            .hint(format!("unset {TOKEN}, or leave --user out")));
        }
        let domain = found.domain(config)?;
        let credentials = Credentials::User(SecretString::from(token));
        return Ok(Account { domain, credentials, ..found.account() });
    }
    if want != Identity::App
        && let Some(profile) = found.stored.as_ref()
        && let Some(login) = profile.login(session.global.user.as_deref())?
    {
        let domain = found.domain(config)?;
        // The secret in the environment, if there is one, is the newer one.
        let app = found.app.clone().unwrap_or_else(|| profile.app.clone());
        let profile = Profile { app, ..profile.clone() };
        let ui = session.ui.clone();
        let source = StoredLogin::open(&profile, &login.open_id, session.clock.clone())?
            .telling(move |what| ui.warn(what));
        let source = Arc::new(source);
        session.keep(source.clone());
        let credentials = Credentials::Login(source);
        return Ok(Account { domain, credentials, login: Some(login), ..found.account() });
    }
    if want == Identity::User || session.global.user.is_some() {
        return Err(found.nobody(session));
    }
    let Some(app) = found.app.clone() else {
        let problem = found.no_app();
        return Err(match token {
            Some(_) => Problem {
                message: format!("{}; {TOKEN} is a user's and not used here", problem.message),
                ..problem
            },
            None => problem,
        });
    };
    let domain = found.domain(config)?;
    let credentials = Credentials::App { app_id: app.id, app_secret: app.secret };
    Ok(Account { domain, credentials, ..found.account() })
}

/// What there is to choose from.
struct Found {
    name: String,
    /// The profile of that name.
    profile: Option<Profile>,
    /// The same, unless the environment names another app.
    stored: Option<Profile>,
    /// The app to work with.
    app: Option<AppKey>,
    env_id: Option<String>,
    env_secret: bool,
}

impl Found {
    fn look(session: &Session, config: Option<&Config>) -> Result<Self, Problem> {
        let (name, by) = profile_name(session, config)?;
        let profile = match config::home(&session.vars) {
            None => None,
            Some(home) if by == "--profile" => {
                Some(Profiles::at(&session.cwd.join(home)).get(&name)?)
            }
            Some(home) => Profiles::at(&session.cwd.join(home)).open(&name)?,
        };
        let (id, secret) = (set(&session.vars, APP_ID), set(&session.vars, APP_SECRET));
        let same_app = |profile: &&Profile| id.is_none_or(|id| id == profile.app.id);
        let stored = profile.as_ref().filter(same_app).cloned();
        let app = match (id, secret) {
            (Some(id), Some(secret)) => {
                Some(AppKey { id: id.to_owned(), secret: SecretString::from(secret) })
            }
            _ => stored.as_ref().map(|profile| profile.app.clone()),
        };
        let env_id = id.map(str::to_owned);
        Ok(Self { name, profile, stored, app, env_id, env_secret: secret.is_some() })
    }

    fn account(&self) -> Account {
        Account {
            domain: Domain::feishu(),
            credentials: Credentials::Nobody,
            app: self.app.clone(),
            profile: self.stored.clone(),
            login: None,
        }
    }

    /// The config's hosts, else the profile's, else Feishu's.
    ///
    /// # Errors
    /// Where the config would send the profile's secrets to other hosts.
    fn domain(&self, config: Option<&Config>) -> Result<Domain, Problem> {
        let wanted = config.and_then(|config| config.domain.clone());
        match (wanted, &self.stored) {
            (Some(wanted), Some(profile)) if wanted != profile.domain => Err(Problem::new(
                FAILED,
                format!(
                    "domain in [account] is {}, but profile {:?} is for {}: its secrets are sent \
                     nowhere else",
                    wanted.name(),
                    self.name,
                    profile.domain.name()
                ),
            )
            .hint(format!(
                "leave `domain` out, name another profile, or make one: feishu-mirror profile \
                 add NAME --app-id cli_… --domain {}",
                wanted.name()
            ))),
            (Some(wanted), _) => Ok(wanted),
            (None, Some(profile)) => Ok(profile.domain.clone()),
            (None, None) => Ok(Domain::feishu()),
        }
    }

    /// No user is logged in.
    fn nobody(&self, session: &Session) -> Problem {
        let login = format!("feishu-mirror auth login --profile {}", self.name);
        match (&self.profile, &self.env_id) {
            (Some(profile), Some(id)) if *id != profile.app.id => Problem::new(
                LOGIN,
                format!(
                    "{APP_ID} is {id}, but profile {:?} and its logins belong to the app {}",
                    self.name, profile.app.id
                ),
            )
            .hint(format!("unset {APP_ID}, or choose a profile of that app with --profile")),
            (Some(_), _) => {
                let who = session
                    .global
                    .user
                    .as_deref()
                    .map_or_else(|| "no user".to_owned(), |who| format!("no user called {who:?}"));
                Problem::new(LOGIN, format!("{who} is logged in to profile {:?}", self.name))
                    .hint(format!("log in once: {login}"))
            }
            (None, Some(_)) => Problem::new(LOGIN, "no user is logged in")
                .hint(format!("log in once: {login}; or set {TOKEN} to a user's access token")),
            (None, None) => self.no_app(),
        }
    }

    /// Neither an app nor a user.
    fn no_app(&self) -> Problem {
        match (&self.env_id, self.env_secret) {
            (Some(_), false) => {
                Problem::new(LOGIN, format!("{APP_ID} is set, but {APP_SECRET} is not"))
                    .hint(CONSOLE)
            }
            (None, true) => {
                Problem::new(LOGIN, format!("{APP_SECRET} is set, but {APP_ID} is not"))
                    .hint(CONSOLE)
            }
            _ => Problem::new(LOGIN, format!("no credential: there is no profile {:?}", self.name))
                .hint(format!(
                    "store your app: feishu-mirror profile add {} --app-id cli_…\nthen, for a \
                     user's own library: feishu-mirror auth login\nor set {APP_ID} and \
                     {APP_SECRET}, or {TOKEN}",
                    self.name
                )),
        }
    }
}

/// A client for an account. Limits come from the config, else its defaults.
///
/// It takes the whole quota for its own: a login or a check makes a handful of calls, and
/// no run at work should slow down for them.
pub fn client(
    session: &Session,
    config: Option<&Config>,
    domain: &Domain,
    credentials: Credentials,
    max_calls: Option<u64>,
) -> Client {
    let (settings, http) = parts(session, config, domain, credentials, max_calls);
    Client::new(settings, http, session.clock.clone())
}

/// A client for calls by the thousand: it shares the quota with other processes of the app,
/// and what it learns is kept for the next run. `mirror`: the one that the calls are for.
pub fn sharing_client(
    session: &Session,
    config: Option<&Config>,
    account: &Account,
    mirror: Option<&Config>,
    max_calls: Option<u64>,
) -> Client {
    let credentials = account.credentials.clone();
    let (settings, http) = parts(session, config, &account.domain, credentials, max_calls);
    let clock = session.clock.clone();
    let Some(kept) = quota_file(session, account, mirror) else {
        return Client::new(settings, http, clock);
    };
    let client = Client::sharing(settings, http, clock, Arc::new(kept));
    session.keep_quota(client.clone());
    client
}

/// Where the use of the quota is kept: in the profile that the credentials come from, so
/// that all who use it know of each other; else in the mirror.
pub fn quota_file(
    session: &Session,
    account: &Account,
    mirror: Option<&Config>,
) -> Option<QuotaFile> {
    match (&account.credentials, &account.profile) {
        (Credentials::App { .. } | Credentials::Login(_), Some(profile)) => {
            Some(QuotaFile::of_profile(profile))
        }
        _ => mirror.map(|mirror| QuotaFile::of_mirror(&mirror.state, session.state_writer.clone())),
    }
}

fn parts(
    session: &Session,
    config: Option<&Config>,
    domain: &Domain,
    credentials: Credentials,
    max_calls: Option<u64>,
) -> (Settings, Arc<dyn HttpSend>) {
    let default = Limits::default();
    let limits = config.map_or(&default, |config| &config.limits);
    let settings = Settings {
        domain: domain.clone(),
        credentials,
        quota_share: limits.quota_share,
        concurrency: limits.concurrency,
        retries: limits.retries,
        request_timeout: limits.request_timeout,
        bandwidth: limits.bandwidth,
        max_calls: max_calls.unwrap_or(limits.max_calls),
    };
    let http: Arc<dyn HttpSend> = match &session.http {
        Some(http) => http.clone(),
        None => Arc::new(Network::new()),
    };
    (settings, http)
}

/// True where the environment holds a user's token.
pub fn has_token(session: &Session) -> bool {
    set(&session.vars, TOKEN).is_some()
}

/// A variable that is set to something.
fn set<'a>(vars: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    vars.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}
