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

use super::files::{self, FileLock, Repaired, fault};
use super::logins::{LOGIN_VERSION, Login, LoginFile};
use super::{AuthError, pkce};
use crate::config::values;
use crate::feishu::oauth::AppKey;
use crate::model::account::Domain;

/// The profile of those who never named one.
pub const DEFAULT: &str = "default";

/// The format that this program writes, and the newest one that it reads.
const VERSION: u32 = 1;

const PROFILE_FILE: &str = "profile.json";
const USERS: &str = "users";
/// Begins the hidden name of a profile that is being removed.
const REMOVED: &str = ".removed-";

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
    /// What was open to others when the profile was opened, and is no longer: whoever
    /// read it meanwhile may have the secrets, so people should hear of it.
    pub repaired: Vec<Repaired>,
    /// Stays when the name changes.
    pub(crate) id: String,
    pub(crate) profiles: Profiles,
}

/// `profile.json`. Has no `Debug`: the secret is bare here.
#[derive(Serialize, Deserialize)]
struct ProfileFile {
    version: u32,
    id: String,
    app_id: String,
    app_secret: String,
    domain: Domain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_user: Option<String>,
}

/// `active.json`.
#[derive(Debug, Serialize, Deserialize)]
struct ActiveFile {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<Chosen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Chosen>,
}

impl Default for ActiveFile {
    fn default() -> Self {
        Self { version: VERSION, active: None, previous: None }
    }
}

/// A profile by name, and by the id that finds it after a rename.
#[derive(Debug, Serialize, Deserialize)]
struct Chosen {
    name: String,
    id: String,
}

impl Profiles {
    /// Below `home`, which need not be there.
    pub fn at(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    fn root(&self) -> PathBuf {
        self.home.join("profiles")
    }

    fn active_file(&self) -> PathBuf {
        self.home.join("active.json")
    }

    /// The folder for a name; `None` for what cannot be one.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        values::profile(name).ok().map(|name| self.root().join(name))
    }

    fn valid_folder(&self, name: &str) -> Result<PathBuf, AuthError> {
        Ok(self.root().join(values::profile(name).map_err(AuthError::BadName)?))
    }

    /// True where there is a profile of that name, readable or not.
    fn has(&self, name: &str) -> bool {
        let file = self.folder(name).map(|folder| folder.join(PROFILE_FILE));
        file.is_some_and(|file| fs::symlink_metadata(file).is_ok())
    }

    /// Names, sorted. A folder without `profile.json` is none.
    pub fn names(&self) -> Result<Vec<String>, AuthError> {
        self.discard_removed();
        self.all()
    }

    fn all(&self) -> Result<Vec<String>, AuthError> {
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

    fn unknown(&self, name: &str) -> AuthError {
        AuthError::NoProfile { name: name.to_owned(), known: self.all().unwrap_or_default() }
    }

    fn load(&self, name: &str) -> Result<Option<ProfileFile>, AuthError> {
        match self.folder(name) {
            Some(folder) => files::read_known(&folder.join(PROFILE_FILE), VERSION),
            None => Ok(None),
        }
    }

    /// The profile with this id: `name` if it still is, else whichever has it now. One
    /// that cannot be read is not it.
    fn find(&self, name: &str, id: &str) -> Result<Option<(String, ProfileFile)>, AuthError> {
        if let Some(file) = self.load(name)?.filter(|file| file.id == id) {
            return Ok(Some((name.to_owned(), file)));
        }
        let found = |name: String| {
            let file = self.load(&name).ok().flatten().filter(|file| file.id == id);
            file.map(|file| (name, file))
        };
        Ok(self.all()?.into_iter().find_map(found))
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

    /// The active profile's name, whether or not it is there; [`DEFAULT`] at first.
    pub fn active(&self) -> Result<String, AuthError> {
        Ok(match self.chosen()?.active {
            None => DEFAULT.to_owned(),
            Some(it) => self.resolve(&it)?.unwrap_or(it.name),
        })
    }

    /// The one that was active before.
    pub fn previous(&self) -> Result<Option<String>, AuthError> {
        let chosen = self.chosen()?;
        match chosen.previous {
            Some(it) => self.resolve(&it),
            None => Ok(None),
        }
    }

    /// Makes a profile the active one.
    pub fn activate(&self, name: &str) -> Result<(), AuthError> {
        let id = self.get(name)?.id;
        let _all = self.lock()?;
        let before = self.active()?;
        if before == name {
            return self.choose(|chosen| chosen.active = Some(Chosen { name: before, id }));
        }
        let before = self.load(&before).ok().flatten().map(|file| (before, file.id));
        self.choose(|chosen| {
            chosen.previous = before.map(|(name, id)| Chosen { name, id });
            chosen.active = Some(Chosen { name: name.to_owned(), id });
        })
    }

    fn chosen(&self) -> Result<ActiveFile, AuthError> {
        Ok(files::read_known(&self.active_file(), VERSION)?.unwrap_or_default())
    }

    /// Under `.lock`.
    fn choose(&self, change: impl FnOnce(&mut ActiveFile)) -> Result<(), AuthError> {
        let mut chosen = self.chosen()?;
        change(&mut chosen);
        files::replace(&self.active_file(), &chosen)
    }

    /// The name that it has today; `None` where it is gone.
    fn resolve(&self, chosen: &Chosen) -> Result<Option<String>, AuthError> {
        // One that cannot be read has its name at least.
        match self.load(&chosen.name) {
            Ok(Some(file)) if file.id == chosen.id => return Ok(Some(chosen.name.clone())),
            Err(_) if self.has(&chosen.name) => return Ok(Some(chosen.name.clone())),
            _ => {}
        }
        if let Some((name, _)) = self.find(&chosen.name, &chosen.id)? {
            return Ok(Some(name));
        }
        // Removed by hand and made again: the name is what people mean.
        Ok(Some(chosen.name.clone()).filter(|name| self.has(name)))
    }

    /// Held while a profile's file or the choice of one is changed; never for long.
    fn lock(&self) -> Result<FileLock, AuthError> {
        files::make_folder(&self.root())?;
        files::lock(&self.root().join(".lock"))
    }

    /// Keeps a profile's folder in its place. Outside of it, since a folder with an open
    /// file in it cannot be renamed everywhere.
    fn gate(&self, id: &str) -> PathBuf {
        let id = blake3::hash(id.as_bytes()).to_hex();
        self.root().join(format!(".{}.lock", &id[..32]))
    }
}

/// A user's login, which nobody else changes meanwhile, in a profile that stays where
/// it is.
#[derive(Debug)]
pub(super) struct HeldLogin {
    /// Where it lies.
    file: PathBuf,
    app_id: String,
    /// The profile's name today.
    pub(super) profile: String,
    // Released in this order.
    _user: FileLock,
    _profile: FileLock,
}

impl HeldLogin {
    pub(super) fn read(&self) -> Result<Option<Login>, AuthError> {
        read_login(&self.file, &self.app_id)
    }

    /// Makes sure that there is room for a renewed login.
    pub(super) fn try_room(&self) -> Result<(), AuthError> {
        files::try_room(&self.file)
    }

    pub(super) fn write(&self, login: &Login) -> Result<(), AuthError> {
        files::discard_leftovers(&self.file);
        files::replace(&self.file, &LoginFile::new(login, &self.app_id))
    }

    fn remove(&self) -> Result<(), AuthError> {
        // They may hold its tokens too.
        files::discard_leftovers(&self.file);
        files::remove(&self.file)
    }
}

impl Profile {
    /// Replaces the app's secret (the developer console made a new one).
    pub fn set_secret(&mut self, secret: &SecretString) -> Result<(), AuthError> {
        self.change(|file, _| secret.expose_secret().clone_into(&mut file.app_secret))?;
        self.app.secret = secret.clone();
        Ok(())
    }

    /// Everybody who is logged in, by name.
    pub fn logins(&self) -> Result<Vec<Login>, AuthError> {
        let users = self.folder.join(USERS);
        let mut logins = Vec::new();
        for file in login_files(&users)? {
            logins.extend(read_login(&file, &self.app.id)?);
        }
        logins.sort_by(|a, b| (&a.name, &a.open_id).cmp(&(&b.name, &b.open_id)));
        Ok(logins)
    }

    /// One user: by open id, else by name; `None`: the default user, else the only one.
    /// `Ok(None)` only where nobody was named and nobody is logged in.
    ///
    /// Where the default user is not logged in, the first by name takes the place, as
    /// it does after a logout.
    pub fn login(&self, who: Option<&str>) -> Result<Option<Login>, AuthError> {
        let mut logins = self.logins()?;
        let Some(who) = who else {
            let default = self.default_user.as_ref();
            let at = logins.iter().position(|login| Some(&login.open_id) == default).unwrap_or(0);
            return Ok((at < logins.len()).then(|| logins.swap_remove(at)));
        };
        if let Some(at) = logins.iter().position(|login| login.open_id == who) {
            return Ok(Some(logins.swap_remove(at)));
        }
        let known = logins.iter().map(|login| login.name.clone()).collect();
        logins.retain(|login| login.name == who);
        let (who, profile) = (who.to_owned(), self.name.clone());
        match logins.len() {
            0 => Err(AuthError::NoUser { who, profile, known }),
            1 => Ok(logins.pop()),
            count => Err(AuthError::ManyUsers { who, count, profile }),
        }
    }

    /// Stores a user's login; the first one becomes the default user. Held under the
    /// user's lock, so that a renewal under way elsewhere does not win.
    pub fn store(&mut self, login: &Login) -> Result<(), AuthError> {
        self.hold(&login.open_id, true)?
            .ok_or_else(|| self.profiles.unknown(&self.name))?
            .write(login)?;
        self.change(|file, folder| {
            let there = |id: &String| login_file(folder, id).exists();
            if !file.default_user.as_ref().is_some_and(there) {
                file.default_user = Some(login.open_id.clone());
            }
        })
    }

    /// Removes a user's login; the default user becomes another one, or nobody.
    pub fn forget(&mut self, open_id: &str) -> Result<(), AuthError> {
        if let Some(held) = self.hold(open_id, false)? {
            held.remove()?;
        }
        let app_id = self.app.id.clone();
        self.change(|file, folder| {
            if file.default_user.as_deref() == Some(open_id) {
                let others = login_files(&folder.join(USERS)).unwrap_or_default();
                let read = |path: &PathBuf| read_login(path, &app_id).ok().flatten();
                let mut others: Vec<Login> = others.iter().filter_map(read).collect();
                others.sort_by(|a, b| (&a.name, &a.open_id).cmp(&(&b.name, &b.open_id)));
                file.default_user = others.into_iter().next().map(|login| login.open_id);
            }
        })
    }

    /// Makes a user the default one.
    pub fn set_default(&mut self, open_id: &str) -> Result<(), AuthError> {
        let login = self.login(Some(open_id))?;
        self.change(|file, _| file.default_user = login.map(|login| login.open_id))
    }

    /// Where a user's login lies.
    pub fn login_file(&self, open_id: &str) -> PathBuf {
        login_file(&self.folder, open_id)
    }

    /// Waits for whoever changes this user's login, and keeps others from it; `None`
    /// where the profile is gone, or, without `make`, nobody ever logged in to it.
    /// Blocks the thread.
    pub(super) fn hold(&self, open_id: &str, make: bool) -> Result<Option<HeldLogin>, AuthError> {
        if self.profiles.find(&self.name, &self.id)?.is_none() {
            return Ok(None);
        }
        let shared = files::lock_shared(&self.profiles.gate(&self.id))?;
        // From now on nobody moves it. Its name is that of today.
        let Some((name, _)) = self.profiles.find(&self.name, &self.id)? else {
            // Removed while this waited, and its lock with it: this one is new.
            files::remove(&self.profiles.gate(&self.id))?;
            return Ok(None);
        };
        let folder = self.profiles.root().join(&name);
        if make {
            files::make_folder(&folder.join(USERS))?;
        } else if !folder.join(USERS).is_dir() {
            return Ok(None);
        }
        let file = login_file(&folder, open_id);
        let user = files::lock(&file.with_extension("lock"))?;
        let app_id = self.app.id.clone();
        Ok(Some(HeldLogin { file, app_id, profile: name, _user: user, _profile: shared }))
    }

    /// Reads, changes and replaces `profile.json`.
    fn change(&mut self, change: impl FnOnce(&mut ProfileFile, &Path)) -> Result<(), AuthError> {
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

/// `users/<open_id>.json`; what is no plain name (it comes from the service) is hashed.
fn login_file(folder: &Path, open_id: &str) -> PathBuf {
    let name = if values::is_token(open_id) {
        format!("{open_id}.json")
    } else {
        // A point: no plain name has one.
        format!("h.{}.json", blake3::hash(open_id.as_bytes()).to_hex())
    };
    folder.join(USERS).join(name)
}

fn login_files(users: &Path) -> Result<Vec<PathBuf>, AuthError> {
    let entries = match fs::read_dir(users) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault("read", users)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(fault("read", users))?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A login of this app; tokens of another app are of no use to it.
fn read_login(file: &Path, app_id: &str) -> Result<Option<Login>, AuthError> {
    let found: Option<LoginFile> = files::read_known(file, LOGIN_VERSION)?;
    Ok(found.filter(|login| login.app_id == app_id).map(Login::from))
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
