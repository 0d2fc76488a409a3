//! What the service's codes mean: one table, each row with its source, and the words of
//! OAuth. Start at [`CODES`].

use super::error::{ApiError, Class};

/// The code for "file size exceeds limit" on a plain download (docs: im-v1/message-resource/get,
/// the only page that lists it).
pub(super) const TOO_LARGE_FOR_ONE_REPLY: i64 = 234_037;

/// The code for a tenant whose month's calls are used up (docs:
/// api-call-guide/frequency-control).
pub(super) const MONTH_SPENT: i64 = 99_991_403;

/// What a code means for the send path and for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A rate limit: the endpoint's class is frozen, nothing is lost.
    Throttled,
    /// May pass.
    Busy,
    /// Will pass, but not within a second.
    NotReady,
    /// Will pass, but not within this run: asking again would only cost calls.
    Processing,
    /// Renew the token and try once more.
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
    pub(super) fn class(self) -> Class {
        match self {
            Self::Throttled | Self::Busy | Self::NotReady | Self::Processing => Class::Transient,
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

/// What a code, a word or a status means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning {
    pub(super) kind: Kind,
    pub(super) text: &'static str,
    /// What to do, where this case has a step of its own.
    pub(super) step: Option<&'static str>,
}

/// The table's row for a code.
pub(super) fn of_code(number: i64) -> Option<Meaning> {
    CODES.iter().find(|row| row.number == number).map(|row| row.means)
}

impl ApiError {
    /// True where the service is still making what was asked for, such as a recording's
    /// transcript: it is there in minutes or hours.
    pub fn is_processing(&self) -> bool {
        self.code.and_then(of_code).is_some_and(|means| means.kind == Kind::Processing)
    }

    /// True where app id and secret are to blame: they do not fit together, or the app is
    /// not there.
    pub fn blames_app(&self) -> bool {
        let by_code = self.code.and_then(of_code).map(|means| means.kind == Kind::Credentials);
        // The device flow says it by the status alone (RFC 6749, 5.2: `invalid_client`).
        let by_status = || self.status == Some(401) && self.endpoint.contains("oauth");
        by_code.unwrap_or_else(|| self.code.is_none() && by_status())
    }
}

/// What an OAuth word means where no code says it better (RFC 6749 section 5.2, RFC
/// 8628 section 3.5).
pub(super) fn of_word(word: &str) -> Option<Meaning> {
    let (kind, text, step) = match word {
        "invalid_client" => (Kind::Credentials, "app id or app secret is wrong", None),
        "invalid_grant" | "expired_token" => {
            (Kind::Login, "the code or refresh token is no longer good", Some(LOG_IN))
        }
        "access_denied" => (Kind::Login, "the person did not agree", Some(LOG_IN)),
        "unauthorized_client" => {
            (Kind::Config, "the app may not log users in this way", Some(ENABLE_APP))
        }
        "invalid_scope" => (Kind::Config, "a scope asked for is not the app's", Some(ADD_SCOPE)),
        "server_error" | "temporarily_unavailable" => (Kind::Busy, "the service failed", None),
        "invalid_request" | "unsupported_grant_type" | "unsupported_response_type" => {
            (Kind::Bug, "the service does not understand the call", Some(REPORT))
        }
        _ => return None,
    };
    Some(Meaning { kind, text, step })
}

impl ApiError {
    /// True where the app, or the user for it, has none of the scopes for this call.
    pub fn lacks_scope(&self) -> bool {
        let means = self.code.and_then(of_code);
        means.is_some_and(|means| matches!(means.kind, Kind::AppScope | Kind::UserScope))
    }
}

struct Code {
    number: i64,
    means: Meaning,
    /// The docs page that lists it; several families share the first one.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader, checked by a test"))]
    source: &'static str,
}

const fn code(number: i64, kind: Kind, text: &'static str, source: &'static str) -> Code {
    Code { number, means: Meaning { kind, text, step: None }, source }
}

/// A code with a step of its own.
const fn login_code(
    number: i64,
    kind: Kind,
    text: &'static str,
    step: &'static str,
    source: &'static str,
) -> Code {
    Code { number, means: Meaning { kind, text, step: Some(step) }, source }
}

const LOG_IN: &str = "run: feishu-mirror auth login";
const SHARE_MINUTE: &str = "ask the recording's owner to share it with this user and to allow its \
    export, or log in as somebody who may: feishu-mirror auth login";
const REPORT: &str = "this is a fault of feishu-mirror: please report it, with the log id";
const ENABLE_APP: &str = "an administrator has to install and enable the app for this tenant in \
    the admin console under Workplace (工作台) > App Management (应用管理), then run again";
const ADD_SCOPE: &str = "add the scope to the app in the developer console under Permissions & \
    Scopes (权限管理), publish a version (版本管理与发布), then run: feishu-mirror auth login";

const GENERIC: &str = "docs: api-call-guide/generic-error-code";
const FREQUENCY: &str = "docs: api-call-guide/frequency-control";
const TENANT_TOKEN: &str =
    "docs: authentication-management/access-token/tenant_access_token_internal";
const TOKEN: &str = "docs: authentication-management/access-token/get-user-access-token";
const REFRESH: &str = "docs: authentication-management/access-token/refresh-user-access-token";
const AUTHORIZE: &str = "docs: authentication-management/access-token/obtain-oauth-code";
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
const RECORDS: &str = "docs: bitable-v1/app-table-record/search";
const VALUES: &str = "docs: sheets/v2/spreadsheets/values";
const BLOCKS: &str = "docs: docx-v1/document-block/list";
const COMMENTS: &str = "docs: CommentAPI/list";
const BOARD: &str = "docs: board-v1/whiteboard-node/list";
const MINUTES: &str = "docs: minutes-v1/minute/get";
const MINUTE_SEARCH: &str = "docs: minutes-v1/minute/search";
const RECORDING: &str = "docs: vc-v1/meeting-recording/get";
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
    code(1_254_607, Kind::NotReady, "the base's data is not ready", BITABLE),
    code(1_255_001, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_002, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_003, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_004, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_005, Kind::Busy, "internal error of the service", BITABLE),
    code(1_255_040, Kind::Busy, "the base took too long", BITABLE),
    code(1_069_301, Kind::Busy, "internal error of the service", COMMENTS),
    code(1_069_399, Kind::Busy, "internal error of the service", COMMENTS),
    code(2_891_001, Kind::Busy, "internal error of the service", BOARD),
    code(2_091_006, Kind::Busy, "internal error of the service", MINUTES),
    code(2_095_001, Kind::Busy, "internal error of the service", MINUTE_SEARCH),
    code(2_095_002, Kind::Busy, "internal error of the service", MINUTE_SEARCH),
    code(2_095_101, Kind::Busy, "internal error of the service", MINUTE_SEARCH),
    code(121_001, Kind::Busy, "internal error of the service", RECORDING),
    // Made by and by, as recordings are.
    code(2_091_003, Kind::Processing, "the recording is still being processed", MINUTES),
    code(122_001, Kind::Processing, "the meeting is not in a state that has a recording", RECORDING),
    code(124_002, Kind::Processing, "the recording is still being made", RECORDING),
    // Tokens and credentials.
    code(1_274_011, Kind::Token, "the access token was not accepted", SEARCH),
    code(2_094_011, Kind::Token, "the access token was not accepted", MINUTE_SEARCH),
    code(2_094_012, Kind::Token, "the access token was not accepted", MINUTE_SEARCH),
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
    code(2_890_004, Kind::Token, "the access token was not accepted", BOARD),
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
    // Logging in and renewing.
    login_code(20_003, Kind::Login, "the authorization code is unknown", LOG_IN, TOKEN),
    login_code(20_004, Kind::Login, "the authorization code has expired, 5 minutes after it was made", LOG_IN, TOKEN),
    login_code(20_065, Kind::Login, "the authorization code was used already", LOG_IN, TOKEN),
    login_code(20_024, Kind::Login, "the code or refresh token belongs to another app", LOG_IN, TOKEN),
    login_code(20_026, Kind::Login, "the refresh token is invalid", LOG_IN, REFRESH),
    login_code(20_037, Kind::Login, "the refresh token has expired", LOG_IN, REFRESH),
    login_code(20_064, Kind::Login, "the login was revoked", LOG_IN, REFRESH),
    login_code(20_073, Kind::Login, "the refresh token was used already", LOG_IN, REFRESH),
    login_code(20_008, Kind::Login, "the user does not exist", "the person has left the tenant (离职), or the app is another tenant's: log in as somebody else: feishu-mirror auth login", TOKEN),
    login_code(20_066, Kind::Login, "the user is suspended or has left", "an administrator has to activate the user in the admin console under Members (成员与部门); or log in as somebody else: feishu-mirror auth login", TOKEN),
    code(20_002, Kind::Credentials, "the app secret is wrong", TOKEN),
    login_code(20_009, Kind::Config, "the app is not installed in this tenant", ENABLE_APP, TOKEN),
    login_code(20_048, Kind::Config, "the app does not exist", "compare the app id with Credentials & Basic Info (凭证与基础信息) in the developer console, and the domain (feishu or lark): feishu-mirror doctor", TOKEN),
    login_code(20_069, Kind::Config, "the app is disabled", ENABLE_APP, TOKEN),
    login_code(20_010, Kind::Config, "the user may not use the app", "add the user to the app's availability range (可用范围) in the developer console under Version Management & Release (版本管理与发布), publish a version, then run: feishu-mirror auth login", TOKEN),
    login_code(20_027, Kind::Config, "a scope asked for is not enabled for the app", ADD_SCOPE, AUTHORIZE),
    login_code(20_067, Kind::Config, "a scope was asked for twice", "name each scope once: feishu-mirror auth login --scope \"…\"", TOKEN),
    login_code(20_068, Kind::Config, "a scope asked for is not allowed", ADD_SCOPE, TOKEN),
    login_code(20_071, Kind::Config, "the redirect URI is not registered", "add it to the app in the developer console under Security Settings (安全设置) > Redirect URLs (重定向 URL), then run: feishu-mirror auth login", TOKEN),
    login_code(20_074, Kind::Config, "the app may not renew user tokens", "turn on \"Refresh user_access_token\" (刷新 user_access_token) in the developer console under Security Settings (安全设置), then run again", REFRESH),
    login_code(20_001, Kind::Bug, "a parameter is missing", REPORT, TOKEN),
    login_code(20_036, Kind::Bug, "the service does not know this kind of grant", REPORT, TOKEN),
    login_code(20_049, Kind::Bug, "the PKCE check failed", REPORT, TOKEN),
    login_code(20_063, Kind::Bug, "the request is malformed", REPORT, TOKEN),
    login_code(20_070, Kind::Bug, "the app proved itself in two ways at once", REPORT, TOKEN),
    code(20_050, Kind::Busy, "internal error of the service", TOKEN),
    code(20_072, Kind::Busy, "the service is not available for now", TOKEN),
    // Operators.
    code(212_100, Kind::Config, "the app is not installed in this tenant", "docs: application-v6/scope/list"),
    code(99_991_672, Kind::AppScope, "the app lacks a scope", GENERIC),
    code(99_991_679, Kind::UserScope, "the user has not granted a scope to the app", GENERIC),
    code(99_991_676, Kind::AppScope, "the token may not call this API", GENERIC),
    code(99_991_401, Kind::Ip, "this machine's address is not allowed", GENERIC),
    code(99_991_662, Kind::Config, "the app is disabled", GENERIC),
    code(99_991_673, Kind::Config, "the app is not installed in this tenant", GENERIC),
    code(90_003_087, Kind::Config, "the tenant's plan does not include this", GENERIC),
    code(90_003_088, Kind::Config, "the tenant's plan does not include this", GENERIC),
    code(MONTH_SPENT, Kind::Budget, "the monthly call quota is used up", FREQUENCY),
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
    code(1_069_303, Kind::Forbidden, "no permission", COMMENTS),
    code(970_003, Kind::Forbidden, "no permission", METAS),
    login_code(2_091_005, Kind::Forbidden, "no permission for the recording", SHARE_MINUTE, MINUTES),
    login_code(121_005, Kind::Forbidden, "the meeting is somebody else's", "log in as the meeting's owner: feishu-mirror auth login", RECORDING),
    // Not there (any more).
    code(2_091_002, Kind::Gone, "the recording does not exist", MINUTES),
    code(2_091_004, Kind::Gone, "the recording was deleted", MINUTES),
    code(121_004, Kind::Gone, "it does not exist", RECORDING),
    code(122_002, Kind::Gone, "the meeting does not exist", RECORDING),
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
    code(90_211, Kind::Gone, "the sheet does not exist", VALUES),
    code(90_215, Kind::Gone, "the sheet does not exist", VALUES),
    code(1_310_215, Kind::Gone, "the sheet does not exist", SHEETS3),
    code(1_254_042, Kind::Gone, "the view does not exist", RECORDS),
    code(1_254_043, Kind::Gone, "the record does not exist", RECORDS),
    code(1_254_044, Kind::Gone, "the field does not exist", RECORDS),
    code(1_254_045, Kind::Gone, "the field does not exist", RECORDS),
    code(1_069_304, Kind::Gone, "the document was deleted", COMMENTS),
    code(1_069_305, Kind::Gone, "the document does not exist", COMMENTS),
    code(1_069_307, Kind::Gone, "the comment does not exist", COMMENTS),
    code(99_992_351, Kind::Gone, "the user is unknown, or not visible to the app", GENERIC),
    code(970_005, Kind::Gone, "it does not exist", METAS),
    // What cannot be had.
    code(2_094_005, Kind::Refused, "the page token is no longer good", MINUTE_SEARCH),
    code(2_094_007, Kind::Refused, "the search has too many results to be listed", MINUTE_SEARCH),
    code(121_002, Kind::Unsupported, "the meeting is of a kind without recordings", RECORDING),
    code(90_221, Kind::Refused, "the cells are too many for one reply", VALUES),
    code(1_254_030, Kind::Refused, "the records are too large for one reply", RECORDS),
    code(1_254_130, Kind::Refused, "a cell is too large", RECORDS),
    code(1_770_021, Kind::Refused, "the revision is too old", BLOCKS),
    code(1_770_022, Kind::Refused, "the page token is no longer good", BLOCKS),
    code(1_770_033, Kind::Refused, "the document's text is too large for one reply", DOCX),
    code(2_889_925, Kind::Refused, "the document's text is too large for one reply", "docs: docs-v1/content/get"),
    code(1_069_918, Kind::Unsupported, "there is no such export for this type", EXPORT),
    code(TOO_LARGE_FOR_ONE_REPLY, Kind::TooLarge, "too large for one reply", "docs: im-v1/message-resource/get"),
];

#[cfg(test)]
mod tests {
    use super::*;

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

    /// What the error tables of get-user-access-token and refresh-user-access-token ask
    /// for.
    #[test]
    fn each_login_code_has_its_class_and_its_step() {
        use Class::{Config, Login, Transient, Unexpected};
        let again = "feishu-mirror auth login";
        let cases: [(i64, Class, &str); 26] = [
            (20_001, Unexpected, "report"),
            (20_003, Login, again),
            (20_004, Login, again),
            (20_008, Login, "离职"),
            (20_009, Config, "应用管理"),
            (20_010, Config, "可用范围"),
            (20_024, Login, again),
            (20_026, Login, again),
            (20_027, Config, "权限管理"),
            (20_036, Unexpected, "report"),
            (20_037, Login, again),
            (20_048, Config, "凭证与基础信息"),
            (20_049, Unexpected, "report"),
            (20_050, Transient, ""),
            (20_063, Unexpected, "report"),
            (20_064, Login, again),
            (20_065, Login, again),
            (20_066, Login, "成员与部门"),
            (20_067, Config, "once"),
            (20_068, Config, "权限管理"),
            (20_069, Config, "应用管理"),
            (20_070, Unexpected, "report"),
            (20_071, Config, "重定向 URL"),
            (20_072, Transient, ""),
            (20_073, Login, again),
            (20_074, Config, "安全设置"),
        ];
        for (code, class, step) in cases {
            let means = of_code(code).unwrap_or_else(|| panic!("{code} is not in the table"));
            assert_eq!(means.kind.class(), class, "{code}");
            assert!(means.step.unwrap_or_default().contains(step), "{code}: {:?}", means.step);
        }
        assert_eq!(of_code(20_002).unwrap().kind, Kind::Credentials);
    }
}
