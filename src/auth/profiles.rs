//! Profiles: an app and its users under a name.
//!
//! A profile has a random id beside its name. Whoever works with one for hours (a sync,
//! `watch`) finds it by that id again, so that a rename in between costs no login; and a
//! profile that was removed and made anew under the same name is not mistaken for it.
//!
//! Who holds what (see the table in [`crate::auth`]): renewing, storing or forgetting a
//! login holds the profile's lock together with others and the user's lock alone, so
//! users do not wait for each other. Renaming and removing hold the profile's lock alone:
//! they wait for a renewal under way, whose new tokens would otherwise have nowhere to
//! go. `profile.json` and `active.json` are read, changed and replaced under `.lock`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::active::Chosen;
use super::files::{self, FileLock, Repaired, fault};
use super::users::{USERS, login_files};
use super::{AuthError, pkce, quota};
use crate::config::values;
use crate::feishu::oauth::AppKey;
use crate::model::account::Domain;

/// The profile of those who never named one.
pub const DEFAULT: &str = "default";

/// The format that this program writes, and the newest one that it reads.
const VERSION: u32 = 1;

const PROFILE_FILE: &str = "profile.json";
/// Begins the hidden name of a profile that is being removed.
const REMOVED: &str = ".removed-";

/// All profiles of a home folder. Names are valid ([`crate::config::values::profile`]).
#[derive(Debug, Clone)]
pub struct Profiles {
    pub(super) home: PathBuf,
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
    /// What was open to others when the profile was opened, and is no longer: whoever
    /// read it meanwhile may have the secrets, so people should hear of it.
    pub repaired: Vec<Repaired>,
    /// Stays when the name changes.
    pub(crate) id: String,
    pub(crate) profiles: Profiles,
}

/// `profile.json`. Has no `Debug`: the secret is bare here.
#[derive(Serialize, Deserialize)]
pub(super) struct ProfileFile {
    version: u32,
    pub(super) id: String,
    app_id: String,
    app_secret: String,
    domain: Domain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) default_user: Option<String>,
}

impl ProfileFile {
    pub(super) fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(super) fn app_secret(&self) -> SecretString {
        self.app_secret.as_str().into()
    }
}

impl Profiles {
    /// Below `home`, which need not be there.
    pub fn at(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.home.join("profiles")
    }

    /// The folder for a name; `None` for what cannot be one.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        values::profile(name).ok().map(|name| self.root().join(name))
    }

    fn valid_folder(&self, name: &str) -> Result<PathBuf, AuthError> {
        Ok(self.root().join(values::profile(name).map_err(AuthError::BadName)?))
    }

    /// True where there is a profile of that name, readable or not.
    pub(super) fn has(&self, name: &str) -> bool {
        let file = self.folder(name).map(|folder| folder.join(PROFILE_FILE));
        file.is_some_and(|file| fs::symlink_metadata(file).is_ok())
    }

    /// Names, sorted. A folder without `profile.json` is none.
    pub fn names(&self) -> Result<Vec<String>, AuthError> {
        self.discard_removed();
        self.all()
    }

    pub(super) fn all(&self) -> Result<Vec<String>, AuthError> {
        let root = self.root();
        let entries = match fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fault("read", &root)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(fault("read", &root))?.file_name();
            names.extend(name.into_string().ok().filter(|name| self.has(name)));
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn unknown(&self, name: &str) -> AuthError {
        AuthError::NoProfile { name: name.to_owned(), known: self.all().unwrap_or_default() }
    }

    pub(super) fn load(&self, name: &str) -> Result<Option<ProfileFile>, AuthError> {
        match self.folder(name) {
            Some(folder) => files::read_known(&folder.join(PROFILE_FILE), VERSION),
            None => Ok(None),
        }
    }

    /// The profile with this id: `name` if it still is, else whichever has it now. One
    /// that cannot be read is not it.
    pub(super) fn find(
        &self,
        name: &str,
        id: &str,
    ) -> Result<Option<(String, ProfileFile)>, AuthError> {
        if let Some(file) = self.load(name)?.filter(|file| file.id == id) {
            return Ok(Some((name.to_owned(), file)));
        }
        let found = |name: String| {
            let file = self.load(&name).ok().flatten().filter(|file| file.id == id);
            file.map(|file| (name, file))
        };
        Ok(self.all()?.into_iter().find_map(found))
    }

    /// The same while nobody renames or removes: without the lock, a profile on its way
    /// from one name to another may be missed under both.
    pub(super) fn find_still(
        &self,
        name: &str,
        id: &str,
    ) -> Result<Option<(String, ProfileFile)>, AuthError> {
        if !self.root().is_dir() {
            return Ok(None);
        }
        let _all = self.lock()?;
        self.find(name, id)
    }

    /// Makes sure that a profile could be made, as far as that can be known before.
    pub fn try_room(&self) -> Result<(), AuthError> {
        files::make_folder(&self.root())?;
        files::try_room(&self.root().join("new.json"))
    }

    /// A profile; `None` where there is none of that name.
    pub fn open(&self, name: &str) -> Result<Option<Profile>, AuthError> {
        self.discard_removed();
        let Some(folder) = self.folder(name).filter(|_| self.has(name)) else { return Ok(None) };
        let repaired = make_all_private(&folder)?;
        let Some(file) = self.load(name)? else { return Ok(None) };
        Ok(Some(Profile {
            name: name.to_owned(),
            folder,
            app: AppKey { id: file.app_id, secret: file.app_secret.into() },
            domain: file.domain,
            default_user: file.default_user,
            repaired,
            id: file.id,
            profiles: self.clone(),
        }))
    }

    /// The same, or [`AuthError::NoProfile`].
    pub fn get(&self, name: &str) -> Result<Profile, AuthError> {
        self.open(name)?.ok_or_else(|| self.unknown(name))
    }

    /// Makes a profile.
    ///
    /// # Errors
    /// [`AuthError::Taken`].
    pub fn add(&self, name: &str, app: &AppKey, domain: &Domain) -> Result<Profile, AuthError> {
        let folder = self.valid_folder(name)?;
        let file = ProfileFile {
            version: VERSION,
            id: pkce::random().expose_secret().to_owned(),
            app_id: app.id.clone(),
            app_secret: app.secret.expose_secret().to_owned(),
            domain: domain.clone(),
            default_user: None,
        };
        let all = self.lock()?;
        if self.has(name) {
            return Err(AuthError::Taken(name.to_owned()));
        }
        files::make_folder(&folder)?;
        files::replace(&folder.join(PROFILE_FILE), &file)?;
        drop(all);
        self.get(name)
    }

    /// Gives a profile another name; the active one stays active.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), AuthError> {
        let target = self.valid_folder(to)?;
        let Some(folder) = self.folder(from).filter(|_| self.has(from)) else {
            return Err(self.unknown(from));
        };
        if from == to {
            return Ok(());
        }
        let id = self.get(from)?.id;
        let _alone = files::lock(&self.gate(&id))?;
        let _all = self.lock()?;
        // Whoever held the locks before may have moved or removed it.
        if self.load(from)?.is_none_or(|file| file.id != id) {
            return Err(self.unknown(from));
        }
        if self.has(to) {
            return Err(AuthError::Taken(to.to_owned()));
        }
        fs::rename(&folder, &target).map_err(fault("rename", &folder))?;
        files::sync_folder(&self.root())?;
        // Killed before this, the id still finds it.
        self.choose(|chosen| {
            for it in [&mut chosen.active, &mut chosen.previous].into_iter().flatten() {
                if it.id == id {
                    to.clone_into(&mut it.name);
                }
            }
        })
    }

    /// Removes a profile with all its logins, for good: killed in between, the next
    /// command goes on. One that cannot be read can be removed too.
    pub fn remove(&self, name: &str) -> Result<(), AuthError> {
        let Some(folder) = self.folder(name).filter(|_| self.has(name)) else {
            return Err(self.unknown(name));
        };
        let id = self.load(name).ok().flatten().map(|file| file.id);
        let gate = id.as_ref().map(|id| self.gate(id));
        let alone = gate.as_deref().map(files::lock).transpose()?;
        let all = self.lock()?;
        if !self.has(name) || self.load(name).ok().flatten().map(|file| file.id) != id {
            return Err(self.unknown(name));
        }
        let random = pkce::random();
        let hidden = self.root().join(format!("{REMOVED}{}", &random.expose_secret()[..12]));
        fs::rename(&folder, &hidden).map_err(fault("remove", &folder))?;
        files::sync_folder(&self.root())?;
        let gone = |it: &mut Chosen| it.name == name || Some(&it.id) == id.as_ref();
        self.choose(|chosen| {
            // Nobody is switched to another account without a word: what was active
            // before does not become active again.
            chosen.active.take_if(gone);
            chosen.previous.take_if(gone);
        })?;
        if let Some(gate) = &gate {
            files::remove(gate)?;
        }
        if let Some(id) = &id {
            quota::forget(self, id)?;
        }
        drop((all, alone));
        discard(&hidden).map_err(fault("remove", &hidden))?;
        files::sync_folder(&self.root())
    }

    /// Goes on with removals that were cut short. Where that fails, the next command
    /// tries again.
    fn discard_removed(&self) {
        let Ok(entries) = fs::read_dir(self.root()) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(REMOVED) {
                let _ = discard(&entry.path());
            }
        }
    }

    /// Held while a profile's file or the choice of one is changed; never for long.
    pub(super) fn lock(&self) -> Result<FileLock, AuthError> {
        files::make_folder(&self.root())?;
        files::lock(&self.root().join(".lock"))
    }

    /// Keeps a profile's folder in its place. Outside of it, since a folder with an open
    /// file in it cannot be renamed everywhere.
    pub(super) fn gate(&self, id: &str) -> PathBuf {
        self.beside(id, "lock")
    }

    /// A file of a profile that lies beside its folder.
    pub(super) fn beside(&self, id: &str, name: &str) -> PathBuf {
        let id = blake3::hash(id.as_bytes()).to_hex();
        self.root().join(format!(".{}.{name}", &id[..32]))
    }
}

/// The command that stores an app, or its new secret, under a name, whole: without
/// `--domain` it would be taken for a Feishu app.
pub fn add_command(name: &str, app_id: &str, domain: &Domain) -> String {
    format!("feishu-mirror profile add {name} --app-id {app_id}{}", domain_flag(domain))
}

/// ` --domain …` for a command, nothing for Feishu's own.
pub fn domain_flag(domain: &Domain) -> String {
    match domain.name() {
        "feishu" => String::new(),
        "lark" => " --domain lark".to_owned(),
        _ if values::domain(&domain.open).as_ref() == Ok(domain) => {
            format!(" --domain {}", domain.open)
        }
        _ => format!(" --domain {},{}", domain.open, domain.accounts),
    }
}

impl Profile {
    /// Replaces the app's secret (the developer console made a new one).
    pub fn set_secret(&mut self, secret: &SecretString) -> Result<(), AuthError> {
        self.change(|file, _| secret.expose_secret().clone_into(&mut file.app_secret))?;
        self.app.secret = secret.clone();
        Ok(())
    }

    /// Reads, changes and replaces `profile.json`.
    pub(super) fn change(
        &mut self,
        change: impl FnOnce(&mut ProfileFile, &Path),
    ) -> Result<(), AuthError> {
        let _all = self.profiles.lock()?;
        let Some((name, mut file)) = self.profiles.find(&self.name, &self.id)? else {
            return Err(self.profiles.unknown(&self.name));
        };
        let folder = self.profiles.root().join(&name);
        change(&mut file, &folder);
        files::replace(&folder.join(PROFILE_FILE), &file)?;
        (self.name, self.folder, self.default_user) = (name, folder, file.default_user);
        Ok(())
    }
}

/// Closes a profile's folders and files to others.
fn make_all_private(folder: &Path) -> Result<Vec<Repaired>, AuthError> {
    let users = folder.join(USERS);
    let mut paths = vec![folder.to_owned(), folder.join(PROFILE_FILE)];
    if users.is_dir() {
        paths.extend(login_files(&users)?);
        paths.push(users);
    }
    let mut repaired = Vec::new();
    for path in paths {
        // Reading refuses a link; what it leads to is not ours to change.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() || found.is_dir()) {
            repaired.extend(files::make_private(&path)?);
        }
    }
    Ok(repaired)
}

/// Removes a folder that another process may be removing too.
fn discard(folder: &Path) -> std::io::Result<()> {
    loop {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if fs::symlink_metadata(folder).is_err() {
                    return Ok(());
                }
            }
            other => return other,
        }
    }
}
