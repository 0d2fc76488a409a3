//! Accounts: profiles and stored logins, their renewal, and the ways to log in.
//!
//! ```text
//! profiles ─┐                        ┌─ code_flow ─ loopback, browser   (auth login)
//! logins  ──┼─► files (0600, atomic) │
//! renew   ──┘                        └─ device_flow
//! scopes (pure): what the configured sources and formats need
//! ```
//!
//! On disk, below the program's own folder:
//!
//! | file | what |
//! | --- | --- |
//! | `profiles/<name>/profile.json` | app id, app secret, hosts, default user |
//! | `profiles/<name>/users/<open_id>.json` | one user's tokens |
//! | `profiles/<name>/users/<open_id>.lock` | held by one process while it changes or renews them |
//! | `profiles/<name>/device/<hash>.json` | a device flow's first step |
//! | `profiles/<name>/quota.json` | how much of the app's quota is used, and what was learned about it |
//! | `profiles/.<id>.quota.lock` | held while `quota.json` is changed |
//! | `profiles/.<id>.user-<n>.lock` | held by a process that calls with the profile |
//! | `profiles/.lock` | held while a profile or the choice of one is changed; never during a call |
//! | `profiles/.<id>.lock` | held together while logins change, alone while the folder moves or goes |
//! | `profiles/.removed-…` | a profile being removed |
//! | `active.json` | the active profile and the one before it |
//!
//! Locks are taken in this order: the profile's `.<id>.lock`, then the user's, or then
//! `.lock`; nobody holds `.lock` and waits for another, and whoever holds the quota's waits
//! for none. Readers take none, since every file is replaced whole.
//!
//! Start at [`profiles::Profiles`] and [`renew::StoredLogin`].

mod active;
pub mod browser;
pub mod code_flow;
pub mod device_flow;
pub mod files;
pub mod logins;
pub mod loopback;
pub mod page;
pub mod pkce;
pub mod profiles;
pub mod quota;
pub mod renew;
pub mod scopes;
#[cfg(test)]
mod tests;
mod users;

use std::path::{Path, PathBuf};

pub use users::HeldLogin;

/// Why an account's files are of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The system said no.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// "read", "write" …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not what this program wrote.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        why: String,
    },
    /// Others may read or change it, and that could not be repaired.
    #[error("{path} is open to others (mode {mode:o}), and it holds secrets")]
    Open {
        /// Which file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it should have.
        want: u32,
    },
    /// A newer version of this program wrote it; it is left as it is.
    #[error("{path} was written by a newer version of feishu-mirror (format {version})")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
    /// What cannot name a profile, in words.
    #[error("{0}")]
    BadName(String),
    /// No such profile.
    #[error("there is no profile {name:?}")]
    NoProfile {
        /// Its name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The name is taken.
    #[error("there is a profile {0:?} already")]
    Taken(String),
    /// No such user in the profile.
    #[error("nobody called {who:?} is logged in to profile {profile:?}")]
    NoUser {
        /// Name or open id, as asked.
        who: String,
        /// The profile.
        profile: String,
        /// Names of those who are.
        known: Vec<String>,
    },
    /// Several users of one name.
    #[error("{count} users called {who:?} are logged in to profile {profile:?}")]
    ManyUsers {
        /// The name.
        who: String,
        /// How many.
        count: usize,
        /// The profile.
        profile: String,
    },
    /// There is no place for profiles.
    #[error("no folder for profiles: neither FEISHU_MIRROR_HOME nor HOME is set")]
    NoHome,
}

impl AuthError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } | Self::BadName(_) => return None,
            Self::Damaged { path, .. } => instead_of_damaged(path),
            Self::Open { path, want, .. } => {
                format!("make it private, then run again: chmod {want:o} '{}'", path.display())
            }
            Self::Newer { .. } => {
                "update feishu-mirror, or set FEISHU_MIRROR_HOME to another folder".to_owned()
            }
            Self::NoProfile { known, .. } if known.is_empty() => {
                "make one: feishu-mirror profile add NAME --app-id cli_…".to_owned()
            }
            Self::NoProfile { known, .. } => format!("there are: {}", known.join(", ")),
            Self::Taken(name) => format!(
                "choose another name, or remove that one first: feishu-mirror profile remove {name}"
            ),
            Self::NoUser { known, profile, .. } if known.is_empty() => {
                format!("log in: feishu-mirror auth login --profile {profile}")
            }
            Self::NoUser { known, .. } => format!("logged in are: {}", known.join(", ")),
            Self::ManyUsers { profile, .. } => format!(
                "name one by open id; all are listed by: feishu-mirror auth users --profile \
                 {profile}"
            ),
            Self::NoHome => "set FEISHU_MIRROR_HOME to a folder of yours".to_owned(),
        })
    }
}

/// What to do about a damaged file: that depends on which one it is.
fn instead_of_damaged(path: &Path) -> String {
    let name = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let folder = path.parent();
    let above = name(folder.and_then(Path::parent));
    let remove = format!("rm '{}'", path.display());
    let next = match (name(Some(path)).as_str(), name(folder)) {
        // The logins lie beside it, and tell by themselves which app they are of.
        ("profile.json", profile) => format!(
            "remove it and store the same app once more; the logins are still there then: \
             {remove}; feishu-mirror profile add {profile} --app-id cli_… (with --domain lark, \
             if it is a Lark app)"
        ),
        ("active.json", _) => format!(
            "remove it and choose the profile anew; no login is lost: {remove}; feishu-mirror \
             profile use NAME"
        ),
        (_, folder) if folder == "users" => format!(
            "remove it and log in again: {remove}; feishu-mirror auth login --profile {above}"
        ),
        (_, folder) if folder == "device" => format!(
            "remove it and begin the login again: {remove}; feishu-mirror auth login --device \
             --profile {above}"
        ),
        _ => format!("remove it: {remove}"),
    };
    format!("restore it from a backup, or {next}")
}
