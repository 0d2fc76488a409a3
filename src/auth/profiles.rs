//! Profiles: an app and its users under a name.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::AuthError;
use super::logins::Login;
use crate::feishu::oauth::AppKey;
use crate::model::account::Domain;

/// The profile of those who never named one.
pub const DEFAULT: &str = "default";

/// All profiles of a home folder. Names are valid ([`crate::config::values::profile`]).
#[derive(Debug, Clone)]
pub struct Profiles {
    home: PathBuf,
}

/// One profile, as read when it was opened.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its app.
    pub app: AppKey,
    /// The only hosts that its secrets are sent to.
    pub domain: Domain,
    /// `open_id` of the user meant where nobody says which.
    pub default_user: Option<String>,
}

impl Profiles {
    /// Below `home`, which need not be there.
    pub fn at(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    /// Names, sorted. A folder without `profile.json` is none.
    pub fn names(&self) -> Result<Vec<String>, AuthError> {
        let _ = &self.home;
        todo!()
    }

    /// A profile; `None` where there is none of that name.
    pub fn open(&self, name: &str) -> Result<Option<Profile>, AuthError> {
        let _ = name;
        todo!()
    }

    /// The same, or [`AuthError::NoProfile`].
    pub fn get(&self, name: &str) -> Result<Profile, AuthError> {
        let _ = name;
        todo!()
    }

    /// Makes a profile.
    ///
    /// # Errors
    /// [`AuthError::Taken`].
    pub fn add(&self, name: &str, app: &AppKey, domain: &Domain) -> Result<Profile, AuthError> {
        let _ = (name, app, domain);
        todo!()
    }

    /// Gives a profile another name; the active one stays active.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), AuthError> {
        let _ = (from, to);
        todo!()
    }

    /// Removes a profile with all its logins.
    pub fn remove(&self, name: &str) -> Result<(), AuthError> {
        let _ = name;
        todo!()
    }

    /// The active profile's name, whether or not it is there; [`DEFAULT`] at first.
    pub fn active(&self) -> Result<String, AuthError> {
        todo!()
    }

    /// The one that was active before.
    pub fn previous(&self) -> Result<Option<String>, AuthError> {
        todo!()
    }

    /// Makes a profile the active one.
    pub fn activate(&self, name: &str) -> Result<(), AuthError> {
        let _ = name;
        todo!()
    }
}

impl Profile {
    /// Replaces the app's secret (the developer console made a new one).
    pub fn set_secret(&mut self, secret: &SecretString) -> Result<(), AuthError> {
        let _ = secret;
        todo!()
    }

    /// Everybody who is logged in, by name.
    pub fn logins(&self) -> Result<Vec<Login>, AuthError> {
        todo!()
    }

    /// One user: by open id, else by name; `None`: the default user, else the only one.
    /// `Ok(None)` only where nobody was named and nobody is logged in.
    pub fn login(&self, who: Option<&str>) -> Result<Option<Login>, AuthError> {
        let _ = who;
        todo!()
    }

    /// Stores a user's login; the first one becomes the default user. Held under the
    /// user's lock, so that a renewal under way elsewhere does not win.
    pub fn store(&mut self, login: &Login) -> Result<(), AuthError> {
        let _ = login;
        todo!()
    }

    /// Removes a user's login; the default user becomes another one, or nobody.
    pub fn forget(&mut self, open_id: &str) -> Result<(), AuthError> {
        let _ = open_id;
        todo!()
    }

    /// Makes a user the default one.
    pub fn set_default(&mut self, open_id: &str) -> Result<(), AuthError> {
        let _ = open_id;
        todo!()
    }

    /// Where a user's login lies.
    pub fn login_file(&self, open_id: &str) -> PathBuf {
        let _ = open_id;
        todo!()
    }
}
