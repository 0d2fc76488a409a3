//! Which profile is the active one, and which was before it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::AuthError;
use super::files;
use super::profiles::{DEFAULT, Profiles};

/// The format that this program writes, and the newest one that it reads.
const VERSION: u32 = 1;

/// `active.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ActiveFile {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) active: Option<Chosen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Chosen>,
}

impl Default for ActiveFile {
    fn default() -> Self {
        Self { version: VERSION, active: None, previous: None }
    }
}

/// A profile by name, and by the id that finds it after a rename.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Chosen {
    pub(super) name: String,
    pub(super) id: String,
}

impl Profiles {
    fn active_file(&self) -> PathBuf {
        self.home.join("active.json")
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
    pub(super) fn choose(&self, change: impl FnOnce(&mut ActiveFile)) -> Result<(), AuthError> {
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
}
