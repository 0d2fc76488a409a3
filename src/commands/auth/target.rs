//! Where a login goes: the profile and its app, or an app from the environment that
//! becomes a profile by logging in.

use secrecy::{ExposeSecret, SecretString};

use crate::auth::AuthError;
use crate::auth::profiles::{Profile, Profiles};
use crate::commands::exit::Problem;
use crate::commands::{Session, account};
use crate::config::{Config, Identity};
use crate::feishu::oauth::AppKey;
use crate::feishu::{Client, Credentials};
use crate::model::account::Domain;

const APP_ID: &str = "FEISHU_APP_ID";
const APP_SECRET: &str = "FEISHU_APP_SECRET";

/// An app, and the profile that its users are stored in.
pub struct Target {
    /// The profile's name.
    pub name: String,
    /// The app to log in to.
    pub app: AppKey,
    /// The only hosts that hear of it.
    pub domain: Domain,
    profiles: Profiles,
    /// `None`: it is made once the service has accepted the app.
    profile: Option<Profile>,
}

impl Target {
    /// From flags, environment, config and profile. Makes no call.
    ///
    /// # Errors
    /// No app, or one that contradicts the profile.
    pub fn find(session: &Session, config: Option<&Config>) -> Result<Self, Problem> {
        let (name, _) = account::profile_name(session, config)?;
        let profiles = account::profiles(session)?;
        let set = |name| session.vars.get(name).map(|text| text.trim()).filter(|t| !t.is_empty());
        let (id, secret) = (set(APP_ID), set(APP_SECRET));
        let Some(stored) = profiles.open(&name)? else {
            let (Some(id), Some(secret)) = (id, secret) else {
                return Err(nothing(session, config, &profiles, &name));
            };
            let app = AppKey { id: id.to_owned(), secret: SecretString::from(secret) };
            let domain = config.and_then(|config| config.domain.clone());
            let domain = domain.unwrap_or_else(Domain::feishu);
            return Ok(Self { name, app, domain, profiles, profile: None });
        };
        if let Some(id) = id.filter(|id| *id != stored.app.id) {
            return Err(Problem::failed(format!(
                "{APP_ID} is {id}, but profile {name:?} and its logins belong to the app {}",
                stored.app.id
            ))
            .hint(format!(
                "unset {APP_ID}, or log in to another profile: feishu-mirror auth login \
                 --profile NAME"
            )));
        }
        let found = account::resolve(&nobody(session), config, Identity::App)?;
        let app = found.app.unwrap_or_else(|| stored.app.clone());
        Ok(Self { name, app, domain: found.domain, profiles, profile: Some(stored) })
    }

    /// A client for calls of nobody, of the app, or with a new token. No limit of calls
    /// holds: it would end a login half-way.
    pub fn client(
        &self,
        session: &Session,
        config: Option<&Config>,
        credentials: Credentials,
    ) -> Client {
        account::client(session, config, &self.domain, credentials, Some(0))
    }

    /// The app's own credentials.
    pub fn as_app(&self) -> Credentials {
        Credentials::App { app_id: self.app.id.clone(), app_secret: self.app.secret.clone() }
    }

    /// The profile, for keeping something in it. Only once the service has accepted the
    /// app: makes the profile where there is none, and stores a newer secret.
    pub fn settle(&mut self, session: &Session) -> Result<&mut Profile, Problem> {
        let secret = self.app.secret.expose_secret();
        let profile = if let Some(mut profile) = self.profile.take() {
            if profile.app.secret.expose_secret() != secret {
                profile.set_secret(&self.app.secret)?;
                let name = &self.name;
                session.ui.note(&format!("profile {name:?} has the secret of {APP_SECRET} now"));
            }
            profile
        } else {
            let profile = self.profiles.add(&self.name, &self.app, &self.domain)?;
            session.ui.note(&format!(
                "made profile {:?} for the app {} of the environment",
                self.name, self.app.id
            ));
            profile
        };
        Ok(self.profile.insert(profile))
    }

    /// Makes sure that a login could be stored, before anybody is asked to agree to one.
    pub fn try_room(&self) -> Result<(), Problem> {
        let room = match &self.profile {
            Some(profile) => profile.try_room(),
            None => self.profiles.try_room(),
        };
        room.map_err(|error| {
            let Problem { code, message, hint } = Problem::from(error);
            Problem::new(code, format!("a login could not be stored: {message}")).hint(
                hint.unwrap_or_else(|| {
                    "nobody was asked to agree: free some space, or make the folder writable, or \
                     set FEISHU_MIRROR_HOME to another one, then run again"
                        .to_owned()
                }),
            )
        })
    }

    /// True where a login of this app and this person (`None`: of anybody) is stored, or
    /// that cannot be found out.
    pub fn has_login(&self, open_id: Option<&str>) -> bool {
        self.profiles.has_login(&self.app.id, open_id).unwrap_or(true)
    }

    /// The profile, where it is made already.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// Its folder.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.profile.as_ref().map(|profile| profile.folder.as_path())
    }
}

/// The same session without `--user`: who logs in is found out by logging in.
fn nobody(session: &Session) -> Session {
    let mut session = session.clone();
    session.global.user = None;
    session
}

/// There is neither a profile nor an app in the environment.
fn nothing(session: &Session, config: Option<&Config>, profiles: &Profiles, name: &str) -> Problem {
    if session.global.profile.is_some() {
        let known = profiles.names().unwrap_or_default();
        let problem = Problem::from(AuthError::NoProfile { name: name.to_owned(), known });
        let make = format!("make it: feishu-mirror profile add {name} --app-id cli_…");
        let hint = problem.hint.clone().map_or(make.clone(), |hint| format!("{make}\n{hint}"));
        return problem.hint(hint);
    }
    match account::resolve(&nobody(session), config, Identity::App) {
        Err(problem) => problem,
        Ok(_) => AuthError::NoProfile { name: name.to_owned(), known: Vec::new() }.into(),
    }
}
