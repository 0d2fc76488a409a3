//! Scopes (权限): which ones open which call, and which ones an app or a token has.
//!
//! The lists are those of each call's page in the API reference, under "Required
//! Scopes (权限要求)": any one of a list opens the call. What the public client asks
//! for and no page lists is marked.

use std::collections::BTreeSet;

/// Needed for a refresh token (docs: authentication-management/access-token/get-user-access-token).
pub const OFFLINE_ACCESS: &str = "offline_access";
/// Lets an app look at other apps' settings (docs: application-v6/application/get).
pub const APP_ADMIN: &str = "admin:app.info:readonly";

/// docs: application-v6/application/get.
pub const APP_INFO: &[&str] = &["application:application:self_manage", APP_ADMIN];
/// docs: drive-v1/file/list.
pub const DRIVE_LIST: &[&str] = &["drive:drive", "drive:drive:readonly", "space:document:retrieve"];
/// docs: drive-v1/meta/batch_query, drive-v1/folder.
pub const METADATA: &[&str] = &["drive:drive", "drive:drive.metadata:readonly"];
/// docs: drive-v1/file/download.
pub const FILE_BYTES: &[&str] = &[
    "drive:drive",
    "drive:drive:readonly",
    "drive:file",
    "drive:file:readonly",
    "drive:file:download",
];
/// docs: drive-v1/media/download; its neighbour for temporary links has the same list.
pub const MEDIA_BYTES: &[&str] = &[
    "bitable:app",
    "bitable:app:readonly",
    "docs:doc",
    "docs:doc:readonly",
    "docs:document.media:download",
    "drive:drive",
    "drive:drive:readonly",
    "sheets:spreadsheet",
    "sheets:spreadsheet:readonly",
];
/// docs: drive-v1/file/export_task; no scope of the family `drive:drive` is enough.
pub const EXPORT: &[&str] = &["docs:document:export", "drive:export:readonly"];
/// docs: docx-v1.
pub const DOCX: &[&str] = &["docx:document", "docx:document:readonly"];
/// docs: the older documents' meta.
pub const OLD_DOC_META: &[&str] = &[
    "docs:doc",
    "docs:doc:readonly",
    "drive:drive",
    "drive:drive:readonly",
    "drive:drive.metadata:readonly",
];
/// docs: the older documents' `raw_content`.
pub const OLD_DOC_TEXT: &[&str] = &[
    "docs:doc",
    "docs:doc:readonly",
    "drive:drive",
    "drive:drive:readonly",
    "docs:document.content:read",
];
/// docs: wiki-v2/space/list.
pub const WIKI_SPACES: &[&str] = &["wiki:wiki", "wiki:wiki:readonly", "wiki:space:retrieve"];
/// docs: wiki-v2/space/get.
pub const WIKI_SPACE: &[&str] = &["wiki:wiki", "wiki:wiki:readonly", "wiki:space:read"];
/// docs: `wiki-v2/space/get_node`.
pub const WIKI_NODE: &[&str] = &["wiki:wiki", "wiki:wiki:readonly", "wiki:node:read"];
/// docs: wiki-v2/space-node/list.
pub const WIKI_NODES: &[&str] = &["wiki:wiki", "wiki:wiki:readonly", "wiki:node:retrieve"];
/// docs: sheets-v3/spreadsheet/get and its neighbours; the last one is what the public
/// client asks for instead (client: larksuite/cli).
pub const SHEETS: &[&str] = &[
    "sheets:spreadsheet",
    "sheets:spreadsheet:readonly",
    "drive:drive",
    "drive:drive:readonly",
    "sheets:spreadsheet:read",
];
/// docs: bitable-v1/app/get.
pub const BASE: &[&str] = &["bitable:app", "bitable:app:readonly", "base:app:read"];
/// docs: bitable-v1/app-table/list.
pub const BASE_TABLES: &[&str] = &["bitable:app", "bitable:app:readonly", "base:table:read"];
/// docs: bitable-v1/app-table-field/list.
pub const BASE_FIELDS: &[&str] = &["bitable:app", "bitable:app:readonly", "base:field:read"];
/// docs: bitable-v1/app-table-view/list.
pub const BASE_VIEWS: &[&str] = &["bitable:app", "bitable:app:readonly", "base:view:read"];
/// docs: bitable-v1/app-table-record/search.
pub const BASE_RECORDS: &[&str] = &["bitable:app", "bitable:app:readonly", "base:record:retrieve"];
/// docs: board-v1.
pub const BOARDS: &[&str] = &["board:whiteboard:node:read"];
/// docs: CommentAPI/list.
pub const COMMENTS: &[&str] = &[
    "docs:document.comment:read",
    "docs:doc",
    "docs:doc:readonly",
    "drive:drive",
    "drive:drive:readonly",
    "sheets:spreadsheet",
    "sheets:spreadsheet:readonly",
];
/// docs: drive-v1/file-comment-reply/list.
pub const REPLIES: &[&str] = &["docs:document.comment:read", "drive:drive", "drive:drive:readonly"];
/// docs: contact-v3/user/batch.
pub const CONTACT: &[&str] = &["contact:contact.base:readonly", "contact:contact:readonly_as_app"];
/// docs: contact-v3/user/batch, for the field `name`.
pub const CONTACT_NAMES: &[&str] =
    &["contact:user.base:readonly", "contact:contact:readonly_as_app"];
/// docs: search-v2/doc_wiki/search.
pub const SEARCH: &[&str] = &["search:docs:read"];
/// docs: minutes-v1/minute/get.
pub const MINUTE: &[&str] =
    &["minutes:minutes", "minutes:minutes:readonly", "minutes:minutes.basic:read"];
/// docs: minutes-v1/minute-media/get; new apps cannot have the last one.
pub const MINUTE_MEDIA: &[&str] = &["minutes:minutes.media:export", "minutes:minute:download"];
/// docs: minutes-v1/minute-transcript/get; new apps cannot have the last one.
pub const TRANSCRIPT: &[&str] = &["minutes:minutes.transcript:export", "minutes:minute:download"];
/// docs: minutes-v1/minute-artifacts/get.
pub const ARTIFACTS: &[&str] = &["minutes:minutes.artifacts:read"];
/// docs: minutes-v1/minute/search.
pub const MINUTE_SEARCH: &[&str] = &["minutes:minutes.search:read"];
/// docs: vc-v1/meeting-recording/get.
pub const RECORDING: &[&str] = &["vc:record:readonly"];
/// docs: vc-v1/meeting/get.
pub const MEETING: &[&str] = &["vc:meeting:readonly", "vc:meeting.meetingevent:read"];
/// docs: vc-v1/meeting/search.
pub const MEETING_SEARCH: &[&str] = &["vc:meeting.search:read"];

/// Scopes of calls that this tenant does not answer.
const OTHERS: &[&str] = &[
    "drive:file.meta.sec_label.read_only",
    "wiki:member:retrieve",
    "slides:presentation:read",
    "docs:permission.member:retrieve",
    "docs:permission.setting:read",
    "drive:drive:version",
    "drive:drive:version:readonly",
    "docs:event:subscribe",
    "docs:event.document_edited:read",
    "docs:event.document_deleted:read",
    "space:document.event:read",
    "minutes:minutes.statistics:read",
    "vc:meeting.meetingid:read",
    "calendar:calendar:read",
    "calendar:calendar:readonly",
    "calendar:calendar.event:read",
    "contact:user.employee_id:readonly",
    "im:chat:readonly",
];
/// Scopes that only a user's token can have.
const USER_ONLY: &[&str] = &[
    OFFLINE_ACCESS,
    "auth:user.id:read",
    "search:docs:read",
    "minutes:minutes.search:read",
    "vc:meeting.search:read",
    "vc:note:read",
];
/// Scopes that only a tenant's token can have.
const TENANT_ONLY: &[&str] =
    &["application:application:self_manage", APP_ADMIN, "vc:meeting.all_meeting:readonly"];

/// Every scope that the tenant knows.
pub fn known() -> BTreeSet<&'static str> {
    let lists = [
        DRIVE_LIST,
        METADATA,
        FILE_BYTES,
        MEDIA_BYTES,
        EXPORT,
        DOCX,
        OLD_DOC_META,
        OLD_DOC_TEXT,
        WIKI_SPACES,
        WIKI_SPACE,
        WIKI_NODE,
        WIKI_NODES,
        SHEETS,
        BASE,
        BASE_TABLES,
        BASE_FIELDS,
        BASE_VIEWS,
        BASE_RECORDS,
        BOARDS,
        COMMENTS,
        REPLIES,
        CONTACT,
        CONTACT_NAMES,
        SEARCH,
        MINUTE,
        MINUTE_MEDIA,
        TRANSCRIPT,
        ARTIFACTS,
        MINUTE_SEARCH,
        RECORDING,
        MEETING,
        MEETING_SEARCH,
        OTHERS,
        USER_ONLY,
        TENANT_ONLY,
    ];
    lists.into_iter().flatten().copied().collect()
}

/// The kinds of token that can have a scope: `tenant`, `user` or both.
pub fn kinds(scope: &str) -> &'static [&'static str] {
    if USER_ONLY.contains(&scope) {
        &["user"]
    } else if TENANT_ONLY.contains(&scope) {
        &["tenant"]
    } else {
        &["tenant", "user"]
    }
}

/// A set of scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// Whatever is asked for.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Scopes {
    /// These.
    pub fn only<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Only(names.into_iter().map(str::to_owned).collect())
    }

    /// True where `scope` is one of them.
    pub fn has(&self, scope: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(scope),
        }
    }

    /// Their names, sorted; of [`Scopes::All`], every [`known`] one.
    pub fn names(&self) -> BTreeSet<String> {
        match self {
            Self::All => known().into_iter().map(str::to_owned).collect(),
            Self::Only(names) => names.clone(),
        }
    }
}
