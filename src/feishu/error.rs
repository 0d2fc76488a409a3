//! A reply that says no -> [`ApiError`].
//!
//! Decisions are made on the `code`, by the table in `codes`; token endpoints may give
//! a word instead. The HTTP status only decides where neither is known, since one code
//! comes with several statuses (docs: api-call-guide, "Generic error code"). What the
//! reader can do is in `advice`. Start at `Refusal::into_fault`.

use std::time::Duration;

use super::advice;
use super::codes::{self, Kind, Meaning, TOO_LARGE_FOR_ONE_REPLY};
use super::retry::Signal;
use crate::model::change::Failure;

/// Data that is being prepared takes a while (docs: bitable-v1 error codes, 1254607).
const NOT_READY: Duration = Duration::from_secs(5);

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

impl Class {
    /// True where every further call would fail the same way.
    pub fn ends_run(self) -> bool {
        matches!(self, Self::Login | Self::Config | Self::Budget | Self::Unreachable)
    }
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

    /// True where a plain download is refused for its size and one by ranges is not.
    pub fn wants_ranges(&self) -> bool {
        self.code == Some(TOO_LARGE_FOR_ONE_REPLY)
    }

    /// An error that no reply of the service stands behind.
    pub(super) fn local(class: Class, endpoint: &'static str, what: impl AsRef<str>) -> Self {
        let message = format!("{endpoint}: {}", what.as_ref());
        Self { class, endpoint, code: None, status: None, message, hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Who is calling: decides which hint helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// A call without a token: one that fetches tokens.
    Nobody,
    /// The app itself.
    App,
    /// A user's token from the environment, which nobody can renew.
    User,
    /// A user who logged in.
    Login,
    /// Whoever has a temporary link, at another host than the API's.
    LinkHolder,
}

impl Identity {
    /// For people, after "does not take".
    pub(super) fn token_kind(self) -> &'static str {
        match self {
            Self::Nobody | Self::LinkHolder => "this token",
            Self::App => "an app's token",
            Self::User | Self::Login => "a user's token",
        }
    }
}

/// An error and what the send path does about it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: ApiError,
    pub(super) signal: Signal,
}

impl Fault {
    pub(super) fn last(error: ApiError) -> Self {
        Self { error, signal: Signal::Final }
    }

    pub(super) fn passing(error: ApiError) -> Self {
        Self { error, signal: Signal::Failed { after: None } }
    }

    /// A reply that makes no sense: cut, garbled, or of a proxy on the way. Worth
    /// another try, since none of these lasts.
    pub(super) fn garbage(
        endpoint: &'static str,
        status: u16,
        log_id: Option<&str>,
        what: &str,
    ) -> Self {
        let mut error = ApiError::local(
            Class::Transient,
            endpoint,
            format!("{what} (HTTP {status}{})", log_part(log_id)),
        );
        error.status = Some(status);
        Self::passing(error)
    }
}

/// A reply that says no.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) endpoint: &'static str,
    pub(super) identity: Identity,
    pub(super) status: u16,
    pub(super) code: Option<i64>,
    pub(super) msg: &'a str,
    /// The OAuth word, where there is one (RFC 6749, RFC 8628).
    pub(super) word: Option<&'a str>,
    /// What the service must not be quoted with.
    pub(super) hidden: &'a [String],
    pub(super) log_id: Option<&'a str>,
    /// Scopes that the reply names as missing.
    pub(super) scopes: Vec<String>,
    /// `x-ogw-ratelimit-reset`.
    pub(super) reset: Option<Duration>,
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal<'_> {
    /// What the reply means: the table for its code, else its word, else its HTTP
    /// status.
    pub(super) fn into_fault(self) -> Fault {
        let mut means = self.means();
        let mut code = self.code;
        // Clients of the download endpoint match this text; no page lists its code.
        if self.msg.contains("file size exceeds limit") {
            means = Meaning { kind: Kind::TooLarge, ..means };
            code = Some(TOO_LARGE_FOR_ONE_REPLY);
        }
        let kind = means.kind;
        let said = tidy(&hide(self.msg, self.hidden));
        let sep = if said.is_empty() { "" } else { ": " };
        let code_part = self.code.map(|code| format!(", code {code}")).unwrap_or_default();
        let message = format!(
            "{}: {}{sep}{said} (HTTP {}{code_part}{})",
            self.endpoint,
            means.text,
            self.status,
            log_part(self.log_id.map(|id| hide(id, self.hidden)).as_deref()),
        );
        let error = ApiError {
            class: kind.class(),
            endpoint: self.endpoint,
            code,
            status: Some(self.status),
            message,
            hint: advice::hint(&means, self.identity, &self.scopes),
        };
        let signal = match kind {
            Kind::Throttled => Signal::Throttled { reset: self.reset.max(self.retry_after) },
            Kind::Busy => Signal::Failed { after: self.retry_after },
            Kind::NotReady => Signal::Failed { after: self.retry_after.max(Some(NOT_READY)) },
            Kind::Token => Signal::BadToken,
            _ => Signal::Final,
        };
        Fault { error, signal }
    }

    fn means(&self) -> Meaning {
        // Another host's codes are not those of the table.
        if self.identity == Identity::LinkHolder {
            return self.by_status_of_a_link();
        }
        let by_code = self.code.and_then(codes::of_code);
        let by_word = || self.word.and_then(codes::of_word);
        by_code.or_else(by_word).unwrap_or_else(|| self.by_status())
    }

    fn by_status_of_a_link(&self) -> Meaning {
        let (kind, text) = match self.status {
            429 => (Kind::Throttled, "too many requests"),
            408 | 500.. => (Kind::Busy, "the service failed"),
            400 | 401 | 403 => (Kind::Forbidden, "the link is not accepted: it may be too old"),
            404 | 410 => (Kind::Gone, "what the link led to is gone"),
            _ => (Kind::Bug, "the service refused the call"),
        };
        Meaning { kind, text, step: None }
    }

    fn by_status(&self) -> Meaning {
        let unsigned = self.identity == Identity::Nobody;
        let (kind, text) = match self.status {
            429 => (Kind::Throttled, "too many requests"),
            408 | 500.. => (Kind::Busy, "the service failed"),
            401 if unsigned => (Kind::Credentials, "app id or app secret were not accepted"),
            401 => (Kind::Token, "the access token was not accepted"),
            403 if unsigned => (Kind::Config, "the service refused the login"),
            403 => (Kind::Forbidden, "no permission"),
            // A product lives for 10 minutes (docs: drive-v1/export_task/download).
            404 | 410 if self.endpoint.contains("/export_tasks") => {
                (Kind::Gone, "the export is no longer there")
            }
            300..=399 => (Kind::Bug, "the service redirected the call elsewhere"),
            _ => (Kind::Bug, "the service refused the call"),
        };
        Meaning { kind, text, step: None }
    }
}

fn log_part(log_id: Option<&str>) -> String {
    log_id.map(|id| format!(", log id {}", tidy(id))).unwrap_or_default()
}

/// The text without these.
pub(super) fn hide(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
}

/// A text of the service or of the transport as it may be shown: one line, at most 300
/// characters, URLs without query, fragment and user, nothing that looks like a token.
pub(super) fn tidy(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        let bare = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        let token = ["t-", "u-", "a-", "eyJ"].iter().any(|prefix| bare.starts_with(prefix));
        if token && bare.len() > 16 {
            return "…".to_owned();
        }
        let Some(at) = word.find("://") else { return word.to_owned() };
        let (scheme, rest) = word.split_at(at + 3);
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = host.rsplit('@').next().unwrap_or(host);
        format!("{scheme}{host}{path}")
    });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        None => line,
        Some((cut, _)) => format!("{}…", &line[..cut]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: Option<i64>, msg: &str) -> Refusal<'_> {
        Refusal {
            endpoint: "GET /open-apis/drive/v1/files",
            identity: Identity::App,
            status,
            code,
            msg,
            word: None,
            hidden: &[],
            log_id: Some("2026LOG"),
            scopes: Vec::new(),
            reset: None,
            retry_after: None,
        }
    }

    #[test]
    fn codes_decide_and_statuses_fill_the_gaps() {
        let cases = [
            // status, code, class, why
            (400, Some(99_991_400), Class::Transient, "a rate limit with HTTP 400"),
            (200, Some(1_061_045), Class::Transient, "a throttle with HTTP 200"),
            (403, Some(1_069_906), Class::Gone, "deleted, though the status is 403"),
            (200, Some(600), Class::Forbidden, "hybrid deployment"),
            (403, Some(424_242), Class::Forbidden, "every 403 is forbidden"),
            (400, Some(424_242), Class::Unexpected, "unknown code"),
            (200, Some(424_242), Class::Unexpected, "unknown code with HTTP 200"),
            (500, Some(424_242), Class::Transient, "unknown code with HTTP 500"),
            (502, None, Class::Transient, "a gateway"),
            (404, None, Class::Unexpected, "no code: a wrong host, not a deletion"),
            (400, Some(10_015), Class::Login, "wrong secret"),
            (400, Some(99_991_403), Class::Budget, "monthly cap"),
            (400, Some(1_069_918), Class::Unsupported, "no such export"),
        ];
        for (status, code, class, why) in cases {
            let fault = refusal(status, code, "no").into_fault();
            assert_eq!(fault.error.class, class, "{why}");
            assert!(fault.error.message.contains("2026LOG"), "{why}: {}", fault.error.message);
        }
    }

    #[test]
    fn a_missing_scope_is_named_with_the_next_step() {
        let mut said = refusal(400, Some(99_991_672), "Access denied");
        said.scopes = vec!["drive:drive".to_owned(), "drive:drive:readonly".to_owned()];
        let error = said.into_fault().error;
        assert_eq!(error.class, Class::Config);
        let hint = error.hint.unwrap();
        assert!(hint.contains("`drive:drive`, `drive:drive:readonly`"), "{hint}");
        assert!(hint.contains("developer console"), "{hint}");
    }

    #[test]
    fn a_size_refusal_is_recognised_by_text_and_by_code() {
        for (code, msg) in [(Some(1), "file size exceeds limit"), (Some(234_037), "")] {
            let error = refusal(200, code, msg).into_fault().error;
            assert!(error.wants_ranges(), "{msg}");
            assert_eq!(error.class, Class::Refused);
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let cases = [
            ("see https://u:p@h.example/x?sig=1#f now", "see https://h.example/x now"),
            ("bad token t-g1044abcdefghijklmnop", "bad token …"),
            ("a\nb\u{7}c", "a b c"),
        ];
        for (text, want) in cases {
            assert_eq!(tidy(text), want);
        }
        assert_eq!(tidy(&"x".repeat(1000)).chars().count(), 301);
    }
}
