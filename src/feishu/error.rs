//! Feishu codes -> [`ApiError`]: one table, each row with its source.

use crate::model::change::Failure;

/// What an error tells the engine to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// May pass; retries are used up.
    Transient,
    /// The object does not exist (any more).
    Gone,
    /// This identity may not read it.
    Forbidden,
    /// The service has no such export for this type.
    Unsupported,
    /// The service refuses this object: too large, hidden blocks …
    Refused,
    /// No usable credential: stop, exit 4.
    Login,
    /// The app or the config needs an operator: stop, exit 1.
    Config,
    /// A budget is used up (`max_calls`, monthly quota): stop cleanly, exit 2.
    Budget,
    /// The API cannot be reached at all.
    Unreachable,
    /// A bug here, or a change there.
    Unexpected,
}

/// Why a call gave no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What to do about it.
    pub class: Class,
    /// `METHOD /path/:pattern`.
    pub endpoint: &'static str,
    /// The service's code, where it gave one.
    pub code: Option<i64>,
    /// HTTP status, where there was a reply.
    pub status: Option<u16>,
    /// What happened, with the endpoint and the log id; never a secret or a signed URL.
    pub message: String,
    /// What the reader can do.
    pub hint: Option<String>,
}

impl ApiError {
    /// The same as users see it.
    pub fn to_failure(&self) -> Failure {
        Failure {
            code: self.code,
            message: self.message.clone(),
            hint: self.hint.clone(),
            retryable: matches!(self.class, Class::Transient | Class::Unreachable | Class::Budget),
        }
    }
}
