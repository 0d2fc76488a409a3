//! Exit codes, and the errors that end a command with one.

use crate::apply::Stop;
use crate::auth::AuthError;
use crate::disk::DiskError;
use crate::feishu::{ApiError, Class};
use crate::store::StoreError;

/// Everything asked for was done.
pub const DONE: u8 = 0;
/// The run could not be done.
pub const FAILED: u8 = 1;
/// Something wanted has no current copy, or a budget ran out.
pub const PARTIAL: u8 = 2;
/// `diff --exit-code` found differences, or `verify` bad files.
pub const DIFFERENT: u8 = 3;
/// No usable credential.
pub const LOGIN: u8 = 4;
/// Another run holds the mirror.
pub const LOCKED: u8 = 5;
/// A planned deletion was refused by a guard; everything else was done.
pub const GUARDED: u8 = 6;
/// Wrong command line (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;
/// Interrupted (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;

/// Where several apply, the first of these counts.
const BY_WEIGHT: [u8; 9] =
    [INTERRUPTED, LOCKED, LOGIN, FAILED, GUARDED, PARTIAL, DIFFERENT, USAGE, DONE];

/// The code that counts of two.
pub fn worst(a: u8, b: u8) -> u8 {
    let weight = |code| BY_WEIGHT.iter().position(|known| *known == code).unwrap_or(0);
    if weight(a) <= weight(b) { a } else { b }
}

/// Why a command ended: what happened, what to do, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The exit code.
    pub code: u8,
    /// What happened, on what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with its exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The run could not be done.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(FAILED, message)
    }

    /// The same with what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A system's error while doing something with a file.
    pub fn io(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::failed(format!("cannot {action} {}: {error}", path.display()))
    }

    /// Ctrl-C.
    pub fn interrupted() -> Self {
        Self::new(INTERRUPTED, "interrupted; what was finished is kept, run again to go on")
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let code = match error {
            AuthError::NoUser { .. } => LOGIN,
            _ => FAILED,
        };
        Self { code, message: chain(&error), hint: error.hint() }
    }
}

impl From<DiskError> for Problem {
    fn from(error: DiskError) -> Self {
        let text = chain(&error);
        let problem = Self::failed(text);
        match error {
            DiskError::Full { .. } => {
                problem.hint("free some space or choose another `path`, then run again")
            }
            _ => problem,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = if matches!(error, StoreError::Locked { .. }) { LOCKED } else { FAILED };
        let problem = Self::new(code, chain(&error));
        match error {
            StoreError::Locked { .. } => problem.hint("wait for it to end, then run again"),
            _ => problem,
        }
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let code = match error.class {
            Class::Login => LOGIN,
            Class::Budget => PARTIAL,
            _ => FAILED,
        };
        let fallback = match error.class {
            Class::Unreachable => Some(
                "check the network, HTTPS_PROXY and NO_PROXY, and `domain` in [account]; nothing \
                 was changed",
            ),
            Class::Login => Some("`feishu-mirror doctor` says what is wrong with the credentials"),
            _ => None,
        };
        let hint = error.hint.clone().or(fallback.map(str::to_owned));
        Self { code, message: error.message, hint }
    }
}

impl From<Stop> for Problem {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Interrupted => Self::interrupted(),
            Stop::Budget(failure) => {
                Self { code: PARTIAL, message: failure.message, hint: failure.hint }
            }
            Stop::Login(error) => Self::from(error),
            Stop::Fatal(failure) => {
                Self { code: FAILED, message: failure.message, hint: failure.hint }
            }
        }
    }
}

/// An error with its causes, where it does not say them itself.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_counts() {
        let cases = [
            (DONE, PARTIAL, PARTIAL),
            (PARTIAL, GUARDED, GUARDED),
            (GUARDED, FAILED, FAILED),
            (FAILED, LOGIN, LOGIN),
            (LOGIN, INTERRUPTED, INTERRUPTED),
            (DIFFERENT, PARTIAL, PARTIAL),
            (DONE, DONE, DONE),
        ];
        for (a, b, want) in cases {
            assert_eq!((worst(a, b), worst(b, a)), (want, want), "{a} and {b}");
        }
    }
}
