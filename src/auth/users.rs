//! The logins of a profile: who is logged in, and who may change that.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::AuthError;
use super::files::{self, FileLock, fault};
use super::logins::{LOGIN_VERSION, Login, LoginFile};
use super::profiles::{Profile, Profiles};
use crate::config::values;

/// A profile's folder of logins.
pub(super) const USERS: &str = "users";

/// A user's login, which nobody else changes meanwhile, in a profile that stays where
/// it is.
#[derive(Debug)]
pub struct HeldLogin {
    /// Where it lies.
    file: PathBuf,
    app_id: String,
    /// The profile's name today.
    pub(super) profile: String,
    /// The app's secret that the profile has today.
    pub(super) secret: SecretString,
    // Released in this order.
    _user: FileLock,
    _profile: FileLock,
}

impl HeldLogin {
    /// What is stored; `None` after a logout.
    pub fn read(&self) -> Result<Option<Login>, AuthError> {
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
    /// Everybody who is logged in, by name.
    ///
    /// # Errors
    /// One login that cannot be read; [`Self::readable_logins`] goes on without it.
    pub fn logins(&self) -> Result<Vec<Login>, AuthError> {
        let (logins, mut unreadable) = self.readable_logins()?;
        unreadable.pop().map_or(Ok(logins), Err)
    }

    /// The same, and why others cannot be read, which people should hear of.
    pub fn readable_logins(&self) -> Result<(Vec<Login>, Vec<AuthError>), AuthError> {
        let (mut logins, mut unreadable) = (Vec::new(), Vec::new());
        for file in login_files(&self.folder.join(USERS))? {
            match read_login(&file, &self.app.id) {
                Ok(login) => logins.extend(login),
                Err(error) => unreadable.push(error),
            }
        }
        logins.sort_by(|a, b| (&a.name, &a.open_id).cmp(&(&b.name, &b.open_id)));
        Ok((logins, unreadable))
    }

    /// One user: by open id, else by name; `None`: the default user, else the only one.
    /// `Ok(None)` only where nobody was named and nobody is logged in.
    ///
    /// Where the default user is not logged in, the first by name takes the place, as
    /// it does after a logout.
    ///
    /// # Errors
    /// Of logins that cannot be read only where the one that is meant is, or may be,
    /// among them: nobody else's damaged file stops a user's run.
    pub fn login(&self, who: Option<&str>) -> Result<Option<Login>, AuthError> {
        if let Some(open_id) = who.or(self.default_user.as_deref()) {
            let found = read_login(&self.login_file(open_id), &self.app.id)?;
            if let Some(found) = found.filter(|login| login.open_id == open_id) {
                return Ok(Some(found));
            }
        }
        let (mut logins, mut unreadable) = self.readable_logins()?;
        let Some(who) = who else {
            return match (logins.is_empty(), unreadable.pop()) {
                (false, _) => Ok(Some(logins.swap_remove(0))),
                (true, Some(error)) => Err(error),
                (true, None) => Ok(None),
            };
        };
        let known = logins.iter().map(|login| login.name.clone()).collect();
        logins.retain(|login| login.name == who);
        let (who, profile) = (who.to_owned(), self.name.clone());
        match logins.len() {
            0 => Err(unreadable.pop().unwrap_or(AuthError::NoUser { who, profile, known })),
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
        match self.hold(open_id, false)? {
            Some(held) => self.forget_held(held, open_id),
            None => self.choose_default_without(open_id),
        }
    }

    /// The same for whoever holds the login.
    pub fn forget_held(&mut self, held: HeldLogin, open_id: &str) -> Result<(), AuthError> {
        held.remove()?;
        drop(held);
        self.choose_default_without(open_id)
    }

    fn choose_default_without(&mut self, open_id: &str) -> Result<(), AuthError> {
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

    /// Makes sure that a login could be stored, as far as that can be known before
    /// somebody agrees to one.
    pub fn try_room(&self) -> Result<(), AuthError> {
        let users = self.folder.join(USERS);
        files::make_folder(&users)?;
        files::try_room(&users.join("new.json"))?;
        files::lock_shared(&self.profiles.gate(&self.id)).map(drop)
    }

    /// Waits for whoever changes this user's login, and keeps others from it; `None`
    /// where nobody ever logged in, or the profile is gone. Blocks the thread.
    pub fn hold_login(&self, open_id: &str) -> Result<Option<HeldLogin>, AuthError> {
        self.hold(open_id, false)
    }

    /// The same; with `make` there is a place for a login then.
    pub(super) fn hold(&self, open_id: &str, make: bool) -> Result<Option<HeldLogin>, AuthError> {
        if self.profiles.find(&self.name, &self.id)?.is_none()
            && self.profiles.find_still(&self.name, &self.id)?.is_none()
        {
            return Ok(None);
        }
        let shared = files::lock_shared(&self.profiles.gate(&self.id))?;
        // From now on nobody moves it. Its name is that of today.
        let Some((name, profile)) = self.profiles.find(&self.name, &self.id)? else {
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
        let secret = profile.app_secret();
        Ok(Some(HeldLogin { file, app_id, profile: name, secret, _user: user, _profile: shared }))
    }
}

impl Profiles {
    /// True where some profile of this app has a login of the user (`None`: of anybody):
    /// whatever ends a grant at the service may end that one too. What cannot be read
    /// counts as one.
    pub fn has_login(&self, app_id: &str, open_id: Option<&str>) -> Result<bool, AuthError> {
        for name in self.all()? {
            let Some(file) = self.load(&name)? else { continue };
            let folder = self.root().join(&name);
            let there = match open_id {
                Some(open_id) => login_file(&folder, open_id).exists(),
                None => !login_files(&folder.join(USERS))?.is_empty(),
            };
            if there && file.app_id() == app_id {
                return Ok(true);
            }
        }
        Ok(false)
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

pub(super) fn login_files(users: &Path) -> Result<Vec<PathBuf>, AuthError> {
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
