//! Which scopes (权限) the configured sources and formats need: one table, which the
//! login, `doctor` and the README share. Pure.

use crate::config::Config;

/// Needed for a refresh token.
pub const OFFLINE_ACCESS: &str = "offline_access";

/// A scope that something needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The least powerful scope that opens the call.
    pub scope: &'static str,
    /// Coarser ones that open it as well.
    pub or: &'static [&'static str],
    /// What needs it, for people: `source "drive"`, `docx = ["docx"]`.
    pub because: String,
}

impl Need {
    /// True where one of `granted` opens the call.
    pub fn is_met(&self, granted: &[&str]) -> bool {
        granted.iter().any(|scope| *scope == self.scope || self.or.contains(scope))
    }
}

/// What a config needs, each scope once, in the table's order. Without
/// [`OFFLINE_ACCESS`].
pub fn of_config(config: &Config) -> Vec<Need> {
    let _ = config;
    todo!()
}

/// Scopes of domains as `--domain` names them; `Err` with the known names.
pub fn of_domains(domains: &[String]) -> Result<Vec<Need>, Vec<&'static str>> {
    let _ = domains;
    todo!()
}

/// The table for the README: `| for | scope |` rows.
pub fn markdown() -> String {
    todo!()
}
