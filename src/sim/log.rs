//! Every call that was made, because "incremental" is a statement about calls.

use jiff::Timestamp;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `POST` …
    pub method: String,
    /// The endpoint, `/drive/v1/files/:file_token/download`; the path itself where
    /// there is no such endpoint.
    pub pattern: String,
    /// The path as called, without `/open-apis`.
    pub path: String,
    /// The query string as called.
    pub query: String,
    /// `app:<app id>`, `user:<name>`, or empty for a call without a good token.
    pub identity: String,
    /// HTTP status of the reply; 0 where there was none (connection cut, or the caller
    /// gave up waiting).
    pub status: u16,
    /// The reply's `code`; 0 for content.
    pub code: i64,
    /// When the call came in.
    pub at: Timestamp,
}

/// The calls so far.
#[derive(Debug, Default)]
pub struct Log {
    /// Oldest first.
    pub calls: Vec<Call>,
    /// How many were forgotten: numbers of calls go on.
    forgotten: usize,
}

impl Log {
    /// Counts a call as it comes in, answered or not; returns its number.
    pub fn begin(&mut self, call: Call) -> usize {
        self.calls.push(call);
        self.forgotten + self.calls.len() - 1
    }

    /// Notes how a call was answered, unless it was forgotten meanwhile.
    pub fn finish(&mut self, number: usize, identity: String, status: u16, code: i64) {
        let call = number.checked_sub(self.forgotten).and_then(|n| self.calls.get_mut(n));
        if let Some(call) = call {
            (call.identity, call.status, call.code) = (identity, status, code);
        }
    }

    /// How many calls were refused for coming too often, whatever the HTTP status.
    pub fn rate_limited(&self) -> usize {
        let codes = [99_991_400, 1_061_045, 1_254_290];
        self.calls.iter().filter(|call| codes.contains(&call.code)).count()
    }

    /// Begins the count again.
    pub fn forget(&mut self) {
        self.forgotten += self.calls.len();
        self.calls.clear();
    }

    /// How many calls match a method and a path, given as in [`Call::pattern`] (any
    /// names for the parameters) or as called.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let wanted = nameless(path);
        self.calls
            .iter()
            .filter(|call| call.method == method)
            .filter(|call| call.path == path || nameless(&call.pattern) == wanted)
            .count()
    }
}

/// A pattern without the names of its parameters.
pub fn nameless(pattern: &str) -> String {
    let bare = pattern.strip_prefix("/open-apis").unwrap_or(pattern);
    let parts = bare.split('/').map(|part| if part.starts_with(':') { ":" } else { part });
    parts.collect::<Vec<_>>().join("/")
}
