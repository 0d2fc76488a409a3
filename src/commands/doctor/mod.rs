//! `doctor`: would a run work, and if not, who has to do what?
//!
//! Looks and changes nothing, but for a login that is due: it is renewed as by every
//! call. The order is that of dependence: what is broken first makes what depends on it
//! skip, so that one cause is one failure.
//!
//! `check` is what a check comes to; `local`, `network`, `proxy`, `identity` and `scopes`
//! judge, most of them without any I/O; this file asks.

mod access;
mod check;
mod identity;
mod local;
mod network;
mod proxy;
mod scopes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;

use super::Session;
use super::account::{self, Account};
use super::auth::whose;
use super::exit::{self, Problem};
use crate::auth::logins::Login;
use crate::auth::scopes as table;
use crate::cli::accounts::Doctor;
use crate::config::{Config, ConfigError};
use crate::feishu::network::Network;
use crate::feishu::{ApiError, Class, Client, Credentials, HttpSend};
use crate::model::account::Domain;
use access::Access;
use check::{Check, Finding, Status};
use identity::Heard;
use network::Ping;
use proxy::Proxy;
use scopes::Granted;

/// Every check, in the order in which they are shown.
pub const NAMES: [&str; 10] = [
    "config_file",
    "credentials",
    "user_token",
    "scopes",
    "endpoint_open",
    "endpoint_accounts",
    "proxy",
    "clock",
    "state",
    "disk",
];

const OFFLINE: &str = "not looked at: --offline";
const NO_CONFIG: &str = "not looked at: the config cannot be used";
const UNREACHED: &str = "not looked at: the service cannot be reached";

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// False where a check failed.
    ok: bool,
    checks: &'a [Check],
}

/// Runs it.
pub async fn run(session: &Session, args: &Doctor) -> Result<u8, Problem> {
    let wanted = wanted(&args.only)?;
    let private = Proxy::private(&session.vars);
    let patient = Patient::look(session, args.offline, &wanted).await;
    let mut checks = Vec::new();
    for name in NAMES.into_iter().filter(|name| wanted.contains(name)) {
        checks.push(Check::new(name, patient.finding(session, name).await, &private));
    }
    let ok = checks.iter().all(|check| check.status != Status::Fail);
    if session.ui.is_json() {
        session.ui.json(&Report { ok, checks: &checks });
    } else {
        let quiet = |check: &&Check| {
            !session.ui.is_quiet() || matches!(check.status, Status::Warn | Status::Fail)
        };
        checks.iter().filter(quiet).for_each(|check| check.print(&session.ui));
    }
    Ok(if ok { exit::DONE } else { exit::FAILED })
}

/// The names in `--only`; none: all.
fn wanted(only: &[String]) -> Result<Vec<&'static str>, Problem> {
    let mut wanted = Vec::new();
    for word in only.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
        let Some(name) = NAMES.into_iter().find(|name| *name == word) else {
            return Err(Problem::new(exit::USAGE, format!("there is no check {word:?}"))
                .hint(format!("there are: {}", NAMES.join(", "))));
        };
        wanted.push(name);
    }
    Ok(if wanted.is_empty() { NAMES.to_vec() } else { wanted })
}

/// Everything that several checks look at, asked once.
struct Patient {
    offline: bool,
    config: Result<Config, ConfigError>,
    /// `None`: the config is wrong, and a secret could go to hosts that it does not mean.
    account: Option<Result<Account, Problem>>,
    domain: Domain,
    open: Option<Ping>,
    accounts: Option<Ping>,
    heard: Heard,
    access: Vec<Access>,
    /// The stored login after the calls, which may have renewed it.
    login: Option<Login>,
    /// A stored login that is not used: calls are the app's.
    idle: Option<Login>,
    /// Nobody asked for `credentials`, so that what is wrong with them is told elsewhere.
    unasked: bool,
}

impl Patient {
    async fn look(session: &Session, offline: bool, wanted: &[&str]) -> Self {
        let named = session.global.config.as_deref();
        let config = Config::load(named, &session.vars, &session.cwd);
        let usable = config.as_ref().ok();
        let account = match &config {
            Ok(config) => Some(whose::next_run(session, Some(config))),
            Err(ConfigError::NotFound { .. }) => Some(whose::next_run(session, None)),
            Err(_) => None,
        };
        let domain = match (&account, usable) {
            (Some(Ok(account)), _) => account.domain.clone(),
            (_, Some(Config { domain: Some(domain), .. })) => domain.clone(),
            _ => Domain::feishu(),
        };
        let mut patient = Self {
            offline,
            account,
            domain,
            open: None,
            accounts: None,
            heard: Heard::default(),
            access: Vec::new(),
            login: None,
            idle: None,
            unasked: !wanted.contains(&"credentials"),
            config,
        };
        if !offline && patient.account.is_some() {
            patient.ask(session, wanted).await;
        }
        patient.login =
            stored_login(session, patient.config.as_ref().ok(), patient.account.as_ref());
        if let Some(Ok(account)) = &patient.account
            && !account.is_user()
        {
            let idle = account.profile.as_ref().and_then(|profile| profile.login(None).ok());
            patient.idle = idle.flatten();
        }
        patient
    }

    /// Makes every call that the wanted checks need.
    async fn ask(&mut self, session: &Session, wanted: &[&str]) {
        let any = |names: &[&str]| names.iter().any(|name| wanted.contains(name));
        let http: Arc<dyn HttpSend> =
            session.http.clone().unwrap_or_else(|| Arc::new(Network::new()));
        let ping = |base: String, path: &'static str| {
            let http = Arc::clone(&http);
            async move { network::ping(&*http, &session.clock, &base, path).await }
        };
        let calls = any(&["credentials", "user_token", "scopes"]);
        let open = async {
            let ask = calls || any(&["endpoint_open", "proxy", "clock"]);
            if ask { Some(ping(self.domain.open.clone(), network::OPEN_PATH).await) } else { None }
        };
        let accounts = async {
            let ask = any(&["endpoint_accounts", "proxy"]);
            let base = self.domain.accounts.clone();
            if ask { Some(ping(base, network::ACCOUNTS_PATH).await) } else { None }
        };
        let (open, accounts) = tokio::join!(open, accounts);
        (self.open, self.accounts) = (open, accounts);
        let reached = matches!(self.open, Some(Ok(_)));
        let Some(Ok(account)) = self.account.as_ref().filter(|_| reached && calls) else { return };

        let client = |credentials: Credentials| self.client(session, credentials);
        let user = async {
            let ask = account.is_user() && any(&["user_token", "scopes"]);
            let client = client(account.credentials.clone());
            if ask { Some(client.get_user_info().await) } else { None }
        };
        let scopes = async {
            // A token given by hand does not say by which app.
            let known = !matches!(account.credentials, Credentials::User(_));
            let ask = known && any(&["credentials", "scopes"]);
            let app = account.app.clone().filter(|_| ask)?;
            let app = Credentials::App { app_id: app.id, app_secret: app.secret };
            Some(client(app).list_app_scopes().await)
        };
        let (user, scopes) = tokio::join!(user, scopes);
        self.heard = Heard { user, scopes };
        // A token that is not accepted makes every source look refused.
        let usable = any(&["scopes"]) && self.refused().is_none();
        if let Some(config) = self.config.as_ref().ok().filter(|_| usable) {
            let client = self.client(session, account.credentials.clone());
            self.access = access::probe_all(&client, &config.sources, account.is_user()).await;
        }
    }

    /// A client that does not try for minutes: what fails is the finding.
    fn client(&self, session: &Session, credentials: Credentials) -> Client {
        let mut config = self.config.as_ref().ok().cloned();
        if let Some(config) = &mut config {
            config.limits.retries = config.limits.retries.min(1);
        }
        account::client(session, config.as_ref(), &self.domain, credentials, Some(0))
    }

    /// Why the identity's own credential is of no use, where the service said so.
    fn refused(&self) -> Option<&ApiError> {
        let account = self.account.as_ref()?.as_ref().ok()?;
        let heard = if account.is_user() {
            self.heard.user.as_ref()?.as_ref().err()
        } else {
            self.heard.scopes.as_ref()?.as_ref().err()
        };
        heard.filter(|error| matches!(error.class, Class::Login | Class::Config))
    }

    async fn finding(&self, session: &Session, name: &str) -> Finding {
        let now_secs = session.clock.now_secs();
        let config = self.config.as_ref();
        match name {
            "config_file" => local::config_file(&self.config),
            "credentials" => match &self.account {
                None => Finding::skip(NO_CONFIG),
                Some(account) => identity::credentials(account, &self.heard),
            },
            "user_token" => match &self.account {
                None => Finding::skip(NO_CONFIG),
                Some(Err(problem)) if self.login.is_none() && self.unasked => {
                    identity::unusable(problem)
                }
                Some(account) => {
                    if let Some(login) = &self.idle {
                        return identity::idle(login, whose::left_to_the_app(config.ok()));
                    }
                    identity::user_token(account, self.login.as_ref(), &self.heard, now_secs)
                }
            },
            "scopes" => self.scopes(),
            "endpoint_open" => {
                self.pinged(self.open.as_ref(), |ping| network::open(&self.domain.open, ping))
            }
            "endpoint_accounts" => self.pinged(self.accounts.as_ref(), |ping| {
                network::accounts(&self.domain.accounts, ping)
            }),
            "clock" => self.pinged(self.open.as_ref(), network::clock),
            "proxy" => self.proxy(session),
            "state" | "disk" => {
                let Ok(config) = config else { return Finding::skip(NO_CONFIG) };
                let (session, config) = (session.clone(), config.clone());
                let of_state = name == "state";
                // A manifest may be large, and a disk far away.
                let looked = tokio::task::spawn_blocking(move || {
                    if of_state { local::state(&session, &config) } else { local::disk(&config) }
                });
                looked.await.expect("looking does not panic")
            }
            _ => unreachable!("every name has a check"),
        }
    }

    fn pinged(&self, ping: Option<&Ping>, judge: impl Fn(&Ping) -> Finding) -> Finding {
        match ping {
            Some(ping) => judge(ping),
            None if self.offline => Finding::skip(OFFLINE),
            None => Finding::skip(NO_CONFIG),
        }
    }

    fn proxy(&self, session: &Session) -> Finding {
        if self.account.is_none() {
            return Finding::skip(NO_CONFIG);
        }
        let mut pings = vec![(self.domain.open.as_str(), self.open.as_ref())];
        if self.domain.accounts != self.domain.open {
            pings.push((self.domain.accounts.as_str(), self.accounts.as_ref()));
        }
        Proxy::of(&session.vars).check(&pings)
    }

    fn scopes(&self) -> Finding {
        let (Ok(config), Some(account)) = (&self.config, &self.account) else {
            return Finding::skip(NO_CONFIG);
        };
        let Ok(account) = account else {
            return Finding::skip("not looked at: there is no usable credential");
        };
        if self.offline {
            return Finding::skip(OFFLINE);
        }
        if matches!(self.open, Some(Err(_))) {
            return Finding::skip(UNREACHED);
        }
        let as_user = account.is_user();
        if let Some(error) = self.refused() {
            let what = if as_user { "the user's token" } else { "the app" };
            return Finding::skip(if self.unasked {
                format!("not looked at: {error}")
            } else {
                format!("not looked at: {what} is not accepted")
            });
        }
        let login = self.login.as_ref().or(account.login.as_ref());
        let profile = account.profile.as_ref().map(|profile| profile.name.as_str());
        let app = account.app.as_ref().map_or("", |app| app.id.as_str());
        let name = match (&self.heard.user, login) {
            (Some(Ok(user)), _) => user.name.as_str(),
            (_, Some(login)) => login.name.as_str(),
            _ => "",
        };
        let granted = Granted {
            app: self.heard.scopes.as_ref().and_then(|scopes| scopes.as_ref().ok()).cloned(),
            user: login.map(|login| login.scopes().map(str::to_owned).collect()),
            as_user,
            who: if as_user { format!("the user {name}") } else { format!("the app {app}") },
            console: format!("{}/app", self.domain.open),
            login: identity::again(profile.unwrap_or_default()),
        };
        let needs = table::of_config(config);
        let needs: Vec<_> = needs.into_iter().filter(|need| as_user || !need.user_only).collect();
        scopes::check(&needs, &granted, &self.access)
    }
}

/// The login in use as it is stored now.
fn stored_login(
    session: &Session,
    config: Option<&Config>,
    account: Option<&Result<Account, Problem>>,
) -> Option<Login> {
    match account? {
        Ok(Account { profile: Some(profile), login: Some(login), .. }) => {
            profile.login(Some(&login.open_id)).ok().flatten()
        }
        Ok(_) => None,
        // What made the account unusable may be the login itself.
        Err(_) => {
            let (name, _) = account::profile_name(session, config).ok()?;
            let profile = account::profiles(session).ok()?.open(&name).ok()??;
            profile.login(session.global.user.as_deref()).ok().flatten()
        }
    }
}
