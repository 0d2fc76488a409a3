//! The official limits of every endpoint, as one table.
//!
//! A limit holds for one endpoint, one app and one tenant (docs:
//! api-call-guide/frequency-control).

use std::time::Duration;

use super::window::USED;

/// An official limit: so many calls in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) calls: u32,
    pub(super) span: Duration,
}

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const fn per(calls: u32, span: Duration) -> Window {
    Window { calls, span }
}

// The tiers as the service numbers them (docs: api-call-guide/frequency-control).
const TIER_2: &[Window] = &[per(20, MINUTE)];
pub(super) const TIER_3: &[Window] = &[per(100, MINUTE)];
const TIER_4: &[Window] = &[per(1000, MINUTE), per(50, SECOND)];
const TIER_6: &[Window] = &[per(5, SECOND)];
const TIER_7: &[Window] = &[per(10, SECOND)];
const TIER_8: &[Window] = &[per(20, SECOND)];
const TIER_9: &[Window] = &[per(50, SECOND)];
const TIER_11: &[Window] = &[per(100, SECOND)];
/// "Special" in the docs, without a number: 5 a second has proved harmless.
const UNPUBLISHED: &[Window] = &[per(5, SECOND)];
/// docs: drive-v1/file/download, drive-v1/media/download.
pub(super) const DOWNLOADS: &[Window] = &[per(5, SECOND), per(10_000, DAY)];

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// `METHOD /path/:pattern`.
    pub(super) name: &'static str,
    pub(super) windows: &'static [Window],
}

const fn row(name: &'static str, windows: &'static [Window]) -> Row {
    Row { name, windows }
}

/// The limits of every endpoint that this program calls or will soon call, from each
/// endpoint's own docs page.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    row("POST /open-apis/auth/v3/tenant_access_token/internal", UNPUBLISHED),
    // docs: authentication-management/access-token/get-user-access-token
    row("POST /open-apis/authen/v2/oauth/token", TIER_4),
    // In no page of the docs; client: larksuite/cli internal/auth/device_flow.go,
    // revoke.go, app_registration.go
    row("POST /oauth/v1/device_authorization", UNPUBLISHED),
    row("POST /oauth/v1/revoke", UNPUBLISHED),
    row("POST /oauth/v1/app/registration", UNPUBLISHED),
    row("GET /open-apis/authen/v1/user_info", UNPUBLISHED),
    row("GET /open-apis/application/v6/scopes", UNPUBLISHED),
    row("GET /open-apis/application/v6/applications/:app_id", TIER_9),
    row("GET /open-apis/contact/v3/users/batch", TIER_4),
    row("GET /open-apis/drive/v1/files", TIER_8),
    row("GET /open-apis/drive/explorer/v2/root_folder/meta", UNPUBLISHED),
    row("GET /open-apis/drive/explorer/v2/folder/:folderToken/meta", UNPUBLISHED),
    row("POST /open-apis/drive/v1/metas/batch_query", TIER_4),
    row("GET /open-apis/drive/v1/files/:file_token/download", DOWNLOADS),
    row("GET /open-apis/drive/v1/medias/:file_token/download", DOWNLOADS),
    row("GET /open-apis/drive/v1/medias/batch_get_tmp_download_url", DOWNLOADS),
    // Another host's; no page says how often.
    row(LINK, UNPUBLISHED),
    row("POST /open-apis/drive/v1/export_tasks", TIER_3),
    row("GET /open-apis/drive/v1/export_tasks/:ticket", TIER_3),
    row("GET /open-apis/drive/v1/export_tasks/file/:file_token/download", TIER_3),
    row("GET /open-apis/drive/v1/files/:file_token/comments", TIER_4),
    row("GET /open-apis/drive/v1/files/:file_token/comments/:comment_id/replies", TIER_3),
    row("POST /open-apis/drive/v1/files/:file_token/subscribe", TIER_4),
    row("GET /open-apis/wiki/v2/spaces", TIER_3),
    row("GET /open-apis/wiki/v2/spaces/:space_id", TIER_3),
    row("GET /open-apis/wiki/v2/spaces/get_node", TIER_3),
    row("GET /open-apis/wiki/v2/spaces/:space_id/nodes", TIER_3),
    row("GET /open-apis/docx/v1/documents/:document_id", TIER_6),
    row("GET /open-apis/docx/v1/documents/:document_id/blocks", TIER_6),
    row("GET /open-apis/docs/v1/content", TIER_6),
    row("GET /open-apis/doc/v2/meta/:docToken", UNPUBLISHED),
    row("GET /open-apis/sheets/v3/spreadsheets/:spreadsheet_token", TIER_3),
    row("GET /open-apis/sheets/v3/spreadsheets/:spreadsheet_token/sheets/query", TIER_3),
    row("GET /open-apis/sheets/v2/spreadsheets/:spreadsheetToken/metainfo", TIER_11),
    row("GET /open-apis/sheets/v2/spreadsheets/:spreadsheetToken/values/:range", TIER_11),
    row("GET /open-apis/bitable/v1/apps/:app_token", TIER_8),
    row("GET /open-apis/bitable/v1/apps/:app_token/tables", TIER_8),
    row("GET /open-apis/bitable/v1/apps/:app_token/tables/:table_id/fields", TIER_8),
    row("GET /open-apis/bitable/v1/apps/:app_token/tables/:table_id/views", TIER_8),
    row("POST /open-apis/bitable/v1/apps/:app_token/tables/:table_id/records/search", TIER_8),
    row("GET /open-apis/board/v1/whiteboards/:whiteboard_id/nodes", TIER_7),
    row("GET /open-apis/board/v1/whiteboards/:whiteboard_id/download_as_image", TIER_9),
    row("GET /open-apis/board/v1/whiteboards/:whiteboard_id/theme", TIER_2),
    row("GET /open-apis/minutes/v1/minutes/:minute_token", TIER_6),
    row("GET /open-apis/minutes/v1/minutes/:minute_token/media", TIER_6),
    row("GET /open-apis/minutes/v1/minutes/:minute_token/transcript", TIER_6),
    row("GET /open-apis/minutes/v1/minutes/:minute_token/artifacts", TIER_6),
    row("POST /open-apis/minutes/v1/minutes/search", TIER_3),
    row("POST /open-apis/vc/v1/meetings/search", TIER_3),
    row("GET /open-apis/vc/v1/meetings/:meeting_id", TIER_4),
    row("GET /open-apis/vc/v1/meetings/:meeting_id/recording", TIER_4),
    row("POST /open-apis/search/v2/doc_wiki/search", TIER_3),
    // Whatever else somebody calls by hand, as one class.
    row(OTHER, UNPUBLISHED),
];

/// No endpoint's name: content behind a temporary link.
const LINK: &str = "GET (temporary link)";

/// No endpoint's name: the class of all that have no row of their own.
const OTHER: &str = "ANY /open-apis/**";

/// A row of the table: what to call and which limiter to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::feishu) struct Endpoint(pub(super) usize);

impl Endpoint {
    /// The class of endpoints without a row of their own.
    pub(in crate::feishu) const OTHER: Self = Self::named(OTHER);

    /// The class of temporary links, at another host than the API's.
    pub(in crate::feishu) const LINK: Self = Self::named(LINK);

    /// The row for a method and a path with values in it, else [`Self::OTHER`]. A row
    /// that spells the path out comes before one with names in it.
    pub(in crate::feishu) fn of_path(method: &str, path: &str) -> Self {
        let fits = |pattern: &str| {
            let (mut parts, mut values) = (pattern.split('/'), path.split('/'));
            loop {
                match (parts.next(), values.next()) {
                    (None, None) => return true,
                    (Some(part), Some(value))
                        if part == value || (part.starts_with(':') && !value.is_empty()) => {}
                    _ => return false,
                }
            }
        };
        (0..TABLE.len())
            .map(Self)
            .filter(|row| row.method() == method && fits(row.pattern()))
            .min_by_key(|row| row.pattern().matches("/:").count())
            .unwrap_or(Self::OTHER)
    }

    /// The endpoint of that name. Used in constants, so a name without a row of limits
    /// does not compile.
    pub(in crate::feishu) const fn named(name: &str) -> Self {
        let mut at = 0;
        while at < TABLE.len() {
            if same(TABLE[at].name, name) {
                return Self(at);
            }
            at += 1;
        }
        panic!("an endpoint needs a row in the table of limits")
    }

    /// The endpoint of that name, where it has a row.
    pub(super) fn find(name: &str) -> Option<Self> {
        TABLE.iter().position(|row| row.name == name).map(Self)
    }

    /// `METHOD /path/:pattern`.
    pub(in crate::feishu) fn name(self) -> &'static str {
        TABLE[self.0].name
    }

    /// `METHOD`.
    pub(in crate::feishu) fn method(self) -> &'static str {
        self.name().split_once(' ').expect("a row names its method").0
    }

    /// `/path/:pattern`.
    pub(in crate::feishu) fn pattern(self) -> &'static str {
        self.name().split_once(' ').expect("a row names its path").1
    }

    /// How long so many calls take at best for who may use this share of the official
    /// limits and is alone.
    pub(in crate::feishu) fn time_for(self, calls: u64, share: f64) -> Duration {
        let paced = TABLE[self.0].windows.iter().filter(|window| window.span < DAY);
        let secs = paced.map(|window| {
            #[expect(clippy::cast_precision_loss, reason = "nobody waits for so many")]
            let calls = calls as f64;
            window.span.as_secs_f64() * calls / (f64::from(window.calls) * share * USED)
        });
        Duration::try_from_secs_f64(secs.fold(0.0, f64::max)).unwrap_or(Duration::MAX)
    }

    /// True where a day has a cap of its own.
    pub(in crate::feishu) fn has_daily_cap(self) -> bool {
        TABLE[self.0].windows.iter().any(|window| window.span == DAY)
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_values_finds_its_row() {
        let cases = [
            ("GET", "/open-apis/drive/v1/files", "GET /open-apis/drive/v1/files"),
            (
                "GET",
                "/open-apis/drive/v1/files/box1/download",
                "GET /open-apis/drive/v1/files/:file_token/download",
            ),
            ("GET", "/open-apis/wiki/v2/spaces/get_node", "GET /open-apis/wiki/v2/spaces/get_node"),
            ("GET", "/open-apis/wiki/v2/spaces/7", "GET /open-apis/wiki/v2/spaces/:space_id"),
            ("GET", "/open-apis/wiki/v2/spaces/", OTHER),
            ("POST", "/open-apis/drive/v1/files", OTHER),
            ("ANY", "/open-apis/im/v1/chats", OTHER),
        ];
        for (method, path, want) in cases {
            assert_eq!(Endpoint::of_path(method, path).name(), want, "{method} {path}");
        }
    }

    #[test]
    fn every_row_is_named_once() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|other| other.name != row.name), "{}", row.name);
            assert_eq!(Endpoint::named(row.name), Endpoint(at));
        }
    }
}
