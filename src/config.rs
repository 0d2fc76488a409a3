//! Flags over environment over `mirror.toml` -> one checked [`Config`].

use std::path::PathBuf;
use std::time::Duration;

use crate::model::source::Source;
use crate::rules::Rules;

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
    /// `account.domain`.
    pub domain: Domain,
    /// `[[source]]`, in order.
    pub sources: Vec<Source>,
    /// What is mirrored and how.
    pub rules: Rules,
    /// `prune.trash_retention`.
    pub trash_retention: Duration,
    /// `[limits]`.
    pub limits: Limits,
}

/// `account.identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Identity {
    User,
    App,
    Auto,
}

/// Hosts, no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Open API.
    pub open: String,
    /// Accounts.
    pub accounts: String,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the config's names")]
pub struct Limits {
    pub concurrency: usize,
    pub bandwidth: u64,
    pub request_timeout: Duration,
    pub retries: u32,
    pub export_timeout: Duration,
    pub quota_share: f64,
    pub max_calls: u64,
}
