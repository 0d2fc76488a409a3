//! Feishu codes -> [`ApiError`]: one table, each row with its source.
//!
//! Decisions are made on the `code`; the HTTP status only decides where a code is not
//! in the table, since one code comes with several statuses (docs: api-call-guide,
//! "Generic error code"). Start at `Refusal::into_fault` and `CODES`.

use std::time::Duration;

use super::retry::Signal;
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
    App,
    User,
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
    pub(super) log_id: Option<&'a str>,
    /// Scopes that the reply names as missing.
    pub(super) scopes: Vec<String>,
    /// `x-ogw-ratelimit-reset`.
    pub(super) reset: Option<Duration>,
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal<'_> {
    /// What the reply means: the table for its code, else its HTTP status.
    pub(super) fn into_fault(self) -> Fault {
        let row = self.code.and_then(|code| CODES.iter().find(|row| row.number == code));
        let (mut kind, meaning) =
            row.map_or_else(|| self.by_status(), |row| (row.kind, row.meaning));
        let mut code = self.code;
        // Clients of the download endpoint match this text; no page lists its code.
        if self.msg.contains("file size exceeds limit") {
            kind = Kind::TooLarge;
            code = Some(TOO_LARGE_FOR_ONE_REPLY);
        }
        let said = tidy(self.msg);
        let sep = if said.is_empty() { "" } else { ": " };
        let code_part = self.code.map(|code| format!(", code {code}")).unwrap_or_default();
        let message = format!(
            "{}: {meaning}{sep}{said} (HTTP {}{code_part}{})",
            self.endpoint,
            self.status,
            log_part(self.log_id),
        );
        let error = ApiError {
            class: kind.class(),
            endpoint: self.endpoint,
            code,
            status: Some(self.status),
            message,
            hint: self.hint(kind),
        };
        let signal = match kind {
            Kind::Throttled => Signal::Throttled { reset: self.reset.max(self.retry_after) },
            Kind::Busy => Signal::Failed { after: self.retry_after },
            Kind::Token => Signal::BadToken,
            _ => Signal::Final,
        };
        Fault { error, signal }
    }

    fn by_status(&self) -> (Kind, &'static str) {
        match self.status {
            429 => (Kind::Throttled, "too many requests"),
            408 | 500.. => (Kind::Busy, "the service failed"),
            401 => (Kind::Token, "the access token was not accepted"),
            403 => (Kind::Forbidden, "no permission"),
            // A product lives for 10 minutes (docs: drive-v1/export_task/download).
            404 | 410 if self.endpoint.contains("/export_tasks") => {
                (Kind::Gone, "the export is no longer there")
            }
            300..=399 => (Kind::Bug, "the service redirected the call elsewhere"),
            _ => (Kind::Bug, "the service refused the call"),
        }
    }

    fn hint(&self, kind: Kind) -> Option<String> {
        let user = self.identity == Identity::User;
        let scopes = || {
            let named: Vec<_> = self.scopes.iter().map(|scope| format!("`{scope}`")).collect();
            match named.as_slice() {
                [] => "the scope that the message names".to_owned(),
                [one] => format!("scope {one}"),
                many => format!("one of the scopes {}", many.join(", ")),
            }
        };
        Some(match kind {
            Kind::Token if user => "the token in FEISHU_USER_ACCESS_TOKEN is expired or of \
                the wrong kind: get a new one and run again"
                .to_owned(),
            Kind::Token => "a fresh app token was not accepted either: check that \
                FEISHU_APP_ID and FEISHU_APP_SECRET belong to the tenant, or log in as a user \
                if this call needs one"
                .to_owned(),
            Kind::Login => {
                "log in again: set FEISHU_USER_ACCESS_TOKEN to a new user token".to_owned()
            }
            Kind::Credentials => "check FEISHU_APP_ID and FEISHU_APP_SECRET against \
                \"Credentials & Basic Info\" in the developer console, and the domain in the \
                config"
                .to_owned(),
            Kind::AppScope => format!(
                "add {} to the app in the developer console, publish a version, run again",
                scopes()
            ),
            Kind::UserScope => {
                format!("log in again and grant {} to the app, then run again", scopes())
            }
            Kind::Config => "an administrator has to enable the app for this tenant in the \
                developer console or the admin console"
                .to_owned(),
            Kind::Ip => "add this machine's public address to the app's IP allow list in the \
                developer console"
                .to_owned(),
            Kind::Budget => "the tenant's monthly call quota is used up: wait for the next \
                month or extend the plan; what was done is kept"
                .to_owned(),
            Kind::Forbidden if user => "ask its owner to share the document or folder with \
                this user, or to allow downloads and exports"
                .to_owned(),
            Kind::Forbidden => "share the document or folder with the app (or with a group \
                that has the app's bot in it; for a wiki, add that group to the space), or log \
                in as a user who may read it"
                .to_owned(),
            Kind::Throttled
            | Kind::Busy
            | Kind::Gone
            | Kind::Unsupported
            | Kind::Refused
            | Kind::TooLarge
            | Kind::Bug => return None,
        })
    }
}

/// The code for "file size exceeds limit" on a plain download (docs: im-v1/message-resource/get,
/// the only page that lists it).
const TOO_LARGE_FOR_ONE_REPLY: i64 = 234_037;

/// What a code means for the send path and for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A rate limit: the endpoint's class is frozen, nothing is lost.
    Throttled,
    /// May pass.
    Busy,
    /// Renew the app's token and try once more.
    Token,
    /// A person has to log in.
    Login,
    /// App id or secret are wrong.
    Credentials,
    /// The app lacks a scope.
    AppScope,
    /// The user has not granted a scope.
    UserScope,
    Config,
    Ip,
    Budget,
    Gone,
    Forbidden,
    Unsupported,
    Refused,
    TooLarge,
    Bug,
}

impl Kind {
    fn class(self) -> Class {
        match self {
            Self::Throttled | Self::Busy => Class::Transient,
            Self::Token | Self::Login | Self::Credentials => Class::Login,
            Self::AppScope | Self::UserScope | Self::Config | Self::Ip => Class::Config,
            Self::Budget => Class::Budget,
            Self::Gone => Class::Gone,
            Self::Forbidden => Class::Forbidden,
            Self::Unsupported => Class::Unsupported,
            Self::Refused | Self::TooLarge => Class::Refused,
            Self::Bug => Class::Unexpected,
        }
    }
}

struct Code {
    number: i64,
    kind: Kind,
    meaning: &'static str,
    /// The docs page that lists it; several families share the first one.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader, checked by a test"))]
    source: &'static str,
}

const fn code(number: i64, kind: Kind, meaning: &'static str, source: &'static str) -> Code {
    Code { number, kind, meaning, source }
}

const GENERIC: &str = "docs: api-call-guide/generic-error-code";
const FREQUENCY: &str = "docs: api-call-guide/frequency-control";
const TENANT_TOKEN: &str =
    "docs: authentication-management/access-token/tenant_access_token_internal";
const DRIVE: &str = "docs: drive-v1/file/list";
const DOWNLOAD: &str = "docs: drive-v1/file/download";
const METAS: &str = "docs: drive-v1/meta/batch_query";
const EXPORT: &str = "docs: drive-v1/export_task/create";
const PRODUCT: &str = "docs: drive-v1/export_task/download";
const EXPLORER: &str = "docs: drive/explorer/v2/root_folder/meta";
const WIKI: &str = "docs: wiki-v2/space-node/list";
const DOCX: &str = "docs: docx-v1/document/get";
const SHEETS2: &str = "docs: sheets/v2/spreadsheets/metainfo";
const SHEETS3: &str = "docs: sheets-v3/spreadsheet-sheet/query";
const BITABLE: &str = "docs: bitable-v1/app-table/list";
const BOARD: &str = "docs: board-v1/whiteboard-node/list";
const SEARCH: &str = "docs: search-v2/doc_wiki/search";

/// Every code this program acts on.
#[rustfmt::skip]
const CODES: &[Code] = &[
    // Rate limits.
    code(99_991_400, Kind::Throttled, "too many requests", FREQUENCY),
    code(1_000_004, Kind::Throttled, "too many requests to this method", GENERIC),
    code(1_000_005, Kind::Throttled, "too many requests by this app", GENERIC),
    code(90_217, Kind::Throttled, "too many requests", SHEETS2),
    code(1_310_217, Kind::Throttled, "too many requests", SHEETS3),
    code(1_061_045, Kind::Throttled, "too many requests, or the daily cap is reached", DOWNLOAD),
    code(1_069_923, Kind::Throttled, "too many exports", EXPORT),
    code(1_063_006, Kind::Throttled, "too many requests", "docs: drive-v1/permission-member/list"),
    code(1_254_290, Kind::Throttled, "too many requests", BITABLE),
    code(1_254_112, Kind::Throttled, "too many requests to this base", BITABLE),
    code(2_890_006, Kind::Throttled, "too many requests", BOARD),
    code(1_277_001, Kind::Throttled, "too many requests", SEARCH),
    code(190_004, Kind::Throttled, "too many requests to this method", "docs: calendar-v4 error codes"),
    code(190_005, Kind::Throttled, "too many requests by this app", "docs: calendar-v4 error codes"),
    code(190_010, Kind::Throttled, "too many requests to this calendar", "docs: calendar-v4 error codes"),
    // Failures that pass.
    code(2200, Kind::Busy, "internal error of the service", GENERIC),
    code(5000, Kind::Busy, "internal error of the service", GENERIC),
    code(99_991_675, Kind::Busy, "the service could not look up the user", GENERIC),
    code(90_235, Kind::Busy, "the spreadsheet is busy", SHEETS2),
    code(90_242, Kind::Busy, "the spreadsheet is in a mixed state", SHEETS2),
    code(1_310_235, Kind::Busy, "the spreadsheet is busy", SHEETS3),
    code(1_310_242, Kind::Busy, "the spreadsheet is in a mixed state", SHEETS3),
    code(1_315_201, Kind::Busy, "internal error of the service", SHEETS3),
    code(1_315_202, Kind::Busy, "internal error of the service", SHEETS3),
    code(1_315_203, Kind::Busy, "internal error of the service", SHEETS3),
    code(1_315_210, Kind::Busy, "internal error of the service", SHEETS3),
    code(91_201, Kind::Busy, "internal error of the service", EXPLORER),
    code(96_201, Kind::Busy, "locked by another call", EXPLORER),
    code(1_061_001, Kind::Busy, "internal error of the service", DRIVE),
    code(1_064_230, Kind::Busy, "locked for data migration", "docs: drive-v1/file/subscribe"),
    code(1_066_001, Kind::Busy, "internal error of the service", "docs: drive-v1/permission-member/list"),
    code(1_066_002, Kind::Busy, "too many calls at the same time", "docs: drive-v1/permission-member/list"),
    code(1_069_704, Kind::Busy, "internal error of the service", METAS),
    code(1_069_901, Kind::Busy, "internal error of the service", EXPORT),
    code(131_001, Kind::Busy, "internal error of the service", WIKI),
    code(131_007, Kind::Busy, "internal error of the service", WIKI),
    code(131_009, Kind::Busy, "locked by another call", WIKI),
    code(1_770_020, Kind::Busy, "the document is still being copied", DOCX),
    code(1_771_001, Kind::Busy, "internal error of the service", DOCX),
    code(1_771_002, Kind::Busy, "internal error of the service", DOCX),
    code(1_771_003, Kind::Busy, "internal error of the service", DOCX),
    code(1_771_004, Kind::Busy, "internal error of the service", DOCX),
    code(1_771_005, Kind::Busy, "the service is being maintained", DOCX),
    code(1_771_006, Kind::Busy, "internal error of the service", DOCX),
    code(1_254_002, Kind::Busy, "the base did not answer", BITABLE),
    code(1_254_036, Kind::Busy, "the base is still being copied", BITABLE),
    code(1_254_200, Kind::Busy, "internal error of the service", BITABLE),
    code(1_254_291, Kind::Busy, "write conflict", BITABLE),
    code(1_254_607, Kind::Busy, "the base's data is not ready", BITABLE),
    code(1_255_001, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_002, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_003, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_004, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_005, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_040, Kind::Busy, "the base took too long", BITABLE),
    // Tokens and credentials.
    code(99_991_663, Kind::Token, "the app token was not accepted", GENERIC),
    code(99_991_664, Kind::Token, "the app token was not accepted", GENERIC),
    code(99_991_665, Kind::Token, "the app token was not accepted", GENERIC),
    code(99_991_668, Kind::Token, "the user token was not accepted", GENERIC),
    code(99_991_677, Kind::Token, "the user token has expired", GENERIC),
    code(20_005, Kind::Token, "the access token was not accepted", GENERIC),
    code(20_006, Kind::Token, "the access token was not accepted", GENERIC),
    code(20_013, Kind::Token, "the app token was not accepted", GENERIC),
    code(20_014, Kind::Token, "the app token was not accepted", GENERIC),
    code(1_061_005, Kind::Token, "the access token was not accepted", DRIVE),
    code(1_069_701, Kind::Token, "the access token was not accepted", METAS),
    code(99_991_641, Kind::Login, "the login has expired", GENERIC),
    code(99_991_642, Kind::Login, "the login has expired", GENERIC),
    code(99_991_643, Kind::Login, "the login has expired", GENERIC),
    code(99_991_644, Kind::Login, "the login has expired", GENERIC),
    code(99_991_645, Kind::Login, "the login has expired", GENERIC),
    code(99_991_669, Kind::Login, "the refresh token is invalid", GENERIC),
    code(99_991_670, Kind::Login, "the login is invalid", GENERIC),
    code(99_991_671, Kind::Login, "the access token is malformed or of the wrong kind", GENERIC),
    code(21_000, Kind::Login, "a security policy blocked the token", "client: larksuite/cli internal/auth/errors.go"),
    code(21_001, Kind::Login, "a security policy blocked the token", "client: larksuite/cli internal/auth/errors.go"),
    code(99_991_543, Kind::Credentials, "app id or app secret is wrong", GENERIC),
    code(10_003, Kind::Credentials, "app id or app secret is wrong", TENANT_TOKEN),
    code(10_012, Kind::Credentials, "the app is not available", TENANT_TOKEN),
    code(10_013, Kind::Credentials, "the app is not available", TENANT_TOKEN),
    code(10_014, Kind::Credentials, "the app id is unknown or the app is not available", TENANT_TOKEN),
    code(10_015, Kind::Credentials, "the app secret is wrong", TENANT_TOKEN),
    code(10_016, Kind::Credentials, "the app is not available", TENANT_TOKEN),
    // Operators.
    code(99_991_672, Kind::AppScope, "the app lacks a scope", GENERIC),
    code(99_991_679, Kind::UserScope, "the user has not granted a scope to the app", GENERIC),
    code(99_991_676, Kind::AppScope, "the token may not call this API", GENERIC),
    code(99_991_401, Kind::Ip, "this machine's address is not allowed", GENERIC),
    code(99_991_662, Kind::Config, "the app is disabled", GENERIC),
    code(99_991_673, Kind::Config, "the app is not installed in this tenant", GENERIC),
    code(90_003_087, Kind::Config, "the tenant's plan does not include this", GENERIC),
    code(90_003_088, Kind::Config, "the tenant's plan does not include this", GENERIC),
    code(99_991_403, Kind::Budget, "the monthly call quota is used up", FREQUENCY),
    // No permission.
    code(600, Kind::Forbidden, "it lives in another unit of a hybrid deployment", GENERIC),
    code(90_213, Kind::Forbidden, "no permission", SHEETS2),
    code(1_310_213, Kind::Forbidden, "no permission", SHEETS3),
    code(91_204, Kind::Forbidden, "no permission", EXPLORER),
    code(1_061_004, Kind::Forbidden, "no permission", DRIVE),
    code(1_069_902, Kind::Forbidden, "no permission to export it", EXPORT),
    code(131_006, Kind::Forbidden, "no permission", WIKI),
    code(1_770_032, Kind::Forbidden, "no permission", DOCX),
    code(1_254_301, Kind::Forbidden, "the base's advanced permissions forbid it", BITABLE),
    code(1_254_302, Kind::Forbidden, "no permission", BITABLE),
    code(1_254_303, Kind::Forbidden, "no permission for the attachment", BITABLE),
    code(1_254_304, Kind::Forbidden, "no permission", BITABLE),
    code(1_254_701, Kind::Forbidden, "no permission", BITABLE),
    code(2_890_005, Kind::Forbidden, "no permission", BOARD),
    code(970_003, Kind::Forbidden, "no permission", METAS),
    // Not there (any more).
    code(90_214, Kind::Gone, "the spreadsheet does not exist", SHEETS2),
    code(1_310_214, Kind::Gone, "the spreadsheet does not exist", SHEETS3),
    code(1_310_249, Kind::Gone, "the spreadsheet was deleted", SHEETS3),
    code(91_203, Kind::Gone, "it does not exist", EXPLORER),
    code(91_205, Kind::Gone, "it was deleted", EXPLORER),
    code(1_061_003, Kind::Gone, "it does not exist", DRIVE),
    code(1_061_007, Kind::Gone, "it was deleted", DRIVE),
    code(1_069_906, Kind::Gone, "the document was deleted, or the export has expired", EXPORT),
    code(1_060_001, Kind::Gone, "the export's file is gone", PRODUCT),
    code(131_005, Kind::Gone, "it does not exist in the wiki", WIKI),
    code(1_770_002, Kind::Gone, "the document does not exist", DOCX),
    code(1_770_003, Kind::Gone, "the document was deleted", DOCX),
    code(1_770_038, Kind::Gone, "the document does not exist", DOCX),
    code(1_254_040, Kind::Gone, "the base does not exist", BITABLE),
    code(1_254_041, Kind::Gone, "the table does not exist", BITABLE),
    code(1_254_702, Kind::Gone, "the base does not exist", BITABLE),
    code(2_890_003, Kind::Gone, "the whiteboard does not exist", BOARD),
    code(970_005, Kind::Gone, "it does not exist", METAS),
    // What cannot be had.
    code(1_770_033, Kind::Refused, "the document's text is too large for one reply", DOCX),
    code(2_889_925, Kind::Refused, "the document's text is too large for one reply", "docs: docs-v1/content/get"),
    code(1_069_918, Kind::Unsupported, "there is no such export for this type", EXPORT),
    code(TOO_LARGE_FOR_ONE_REPLY, Kind::TooLarge, "too large for one reply", "docs: im-v1/message-resource/get"),
];

fn log_part(log_id: Option<&str>) -> String {
    log_id.map(|id| format!(", log id {}", tidy(id))).unwrap_or_default()
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
    fn the_table_has_each_code_once_and_a_source_for_each() {
        for (at, row) in CODES.iter().enumerate() {
            assert!(CODES[..at].iter().all(|other| other.number != row.number), "{}", row.number);
            assert!(
                row.source.starts_with("docs: ") || row.source.starts_with("client: "),
                "{}",
                row.number
            );
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
