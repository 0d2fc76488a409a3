//! Flags over environment over `mirror.toml` -> one checked [`Config`].
//!
//! `reader` takes the file apart and gathers mistakes, `sections` knows every key and
//! its default, `sources` the `[[source]]` entries, `values` single values.
//!
//! Start at [`Config::load`].

mod reader;
mod sections;
mod sources;
pub mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::account::Domain;
use crate::model::source::Source;
use crate::rules::Rules;

pub use reader::{Mistake, Mistakes, nearest};

/// The config's name where nobody says another.
pub const FILE_NAME: &str = "mirror.toml";

/// What `init` writes: every key with its meaning and its default.
pub const EXAMPLE: &str = include_str!("../../mirror.example.toml");

/// Everything a run needs to know, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The config file.
    pub file: PathBuf,
    /// The copy's root, absolute.
    pub path: PathBuf,
    /// Manifest, staging, trash, logs, absolute.
    pub state: PathBuf,
    /// `mirror.min_free` in bytes.
    pub min_free: u64,
    /// `mirror.keep_runs`.
    pub keep_runs: usize,
    /// `account.identity`.
    pub identity: Identity,
    /// `account.profile`, a name that is checked.
    pub profile: Option<String>,
    /// `account.domain`; `None`: the profile's, else Feishu's.
    pub domain: Option<Domain>,
    /// `[[source]]`, in order.
    pub sources: Vec<Source>,
    /// What is mirrored and how.
    pub rules: Rules,
    /// `prune.trash_retention`.
    pub trash_retention: Duration,
    /// `[limits]`.
    pub limits: Limits,
    /// `[crawl]`.
    pub crawl: Crawl,
}

/// `account.identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A user: what that user sees.
    User,
    /// The app itself: what was shared with it.
    App,
    /// A user if one is there, else the app.
    Auto,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Requests in flight.
    pub concurrency: usize,
    /// Bytes a second for downloads; 0: no limit.
    pub bandwidth: u64,
    /// Longest silence on a connection.
    pub request_timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Longest wait for one export job.
    pub export_timeout: Duration,
    /// Share of the official quotas to use.
    pub quota_share: f64,
    /// API calls a run may make; 0: no limit.
    pub max_calls: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 8,
            bandwidth: 0,
            request_timeout: Duration::from_secs(60),
            retries: 6,
            export_timeout: Duration::from_secs(600),
            quota_share: 1.0,
            max_calls: 0,
        }
    }
}

/// `[crawl]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crawl {
    /// Longest time between two full walks of a large source; zero: every run.
    pub full_every: Duration,
    /// A source whose walk takes less is walked fully every run.
    pub full_under: Duration,
}

/// Why there is no config to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nobody wrote one yet.
    #[error("no {FILE_NAME} in {cwd} or a folder above it, nor {global}")]
    NotFound {
        /// The current folder.
        cwd: String,
        /// The last place looked at.
        global: String,
    },
    /// It cannot be read.
    #[error("cannot read the config {file}: {source}")]
    Unreadable {
        /// Its path.
        file: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// It says things that cannot be.
    #[error(transparent)]
    Wrong(#[from] Mistakes),
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => {
                "run `feishu-mirror init` to write one here, or name one with --config"
            }
            Self::Unreadable { .. } => "check the path and its permissions",
            Self::Wrong(_) => {
                "correct the config and run again; `feishu-mirror init` writes a \
                               commented one to compare with"
            }
        }
    }
}

impl Config {
    /// Finds, reads and checks the config.
    ///
    /// Looked for: `flag`, `FEISHU_MIRROR_CONFIG`, `mirror.toml` in `cwd` or the nearest
    /// folder above it, then in the program's own config folder.
    pub fn load(
        flag: Option<&Path>,
        vars: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let file = find(flag, vars, cwd)?;
        let text = std::fs::read_to_string(&file).map_err(|source| ConfigError::Unreadable {
            file: file.display().to_string(),
            source,
        })?;
        Ok(Self::parse(&text, &file, vars)?)
    }

    /// Checks the text of a config that lies at `file`, an absolute path.
    ///
    /// # Errors
    /// Everything wrong with it at once, each with its line.
    pub fn parse(
        text: &str,
        file: &Path,
        vars: &BTreeMap<String, String>,
    ) -> Result<Self, Mistakes> {
        let reader = reader::Reader::new(text);
        let config = sections::read(&reader, file, vars);
        reader.finish(file)?;
        Ok(config)
    }
}

/// The program's own folder: the list of its mirrors, a config for all folders.
/// `FEISHU_MIRROR_HOME`, else `feishu-mirror` in the user's config folder; `None` where
/// not even a home folder is known.
pub fn home(vars: &BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("FEISHU_MIRROR_HOME").or_else(|| Some(config_folder(vars)?.join("feishu-mirror")))
}

fn config_folder(vars: &BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative XDG_CONFIG_HOME is to be ignored: XDG Base Directory Specification.
    set("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".config")))
}

fn find(
    flag: Option<&Path>,
    vars: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<PathBuf, ConfigError> {
    let named = vars.get("FEISHU_MIRROR_CONFIG").filter(|value| !value.is_empty());
    if let Some(file) = flag.or(named.map(Path::new)) {
        return Ok(cwd.join(file));
    }
    let global = config_folder(vars).map(|folder| folder.join("feishu-mirror").join(FILE_NAME));
    cwd.ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .chain(global.clone())
        .find(|file| file.is_file())
        .ok_or_else(|| ConfigError::NotFound {
            cwd: cwd.display().to_string(),
            global: global.map_or_else(|| FILE_NAME.to_owned(), |file| file.display().to_string()),
        })
}
