//! The endpoints: method, path, which token, which scopes, how often; and how a path
//! finds its row.

use http::Method;

use super::super::quota::Limit;
use super::super::scopes;
use super::super::state::State;
use super::{
    Reply, Req, application, auth, bitable, board, calls, clock, comments, consent, contact,
    device, docx, download, drive, export, meetings, metas, minutes, oauth, records, registration,
    search, sheets, values, wiki,
};

/// What answers a call.
pub type Handler = fn(&mut State, &Req<'_>) -> Reply;

/// Which tokens an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None: token endpoints and signed links.
    Nothing,
    /// A tenant's or a user's token.
    Either,
    /// A user's token.
    User,
    /// A tenant's token.
    Tenant,
}

/// A row of the table.
pub struct Endpoint {
    /// HTTP method.
    pub method: Method,
    /// Path without `/open-apis`, with `:name` for a parameter.
    pub pattern: &'static str,
    /// Which tokens it takes.
    pub needs: Needs,
    /// Any one of these scopes opens it; none: no scope is needed.
    pub scopes: &'static [&'static str],
    /// How often it may be called.
    pub limit: Limit,
    /// What answers.
    pub handler: Handler,
}

impl Endpoint {
    fn opened_by(self, scopes: &'static [&'static str]) -> Self {
        Self { scopes, ..self }
    }
}

/// The endpoints, with the limits of their pages.
pub fn endpoints() -> Vec<Endpoint> {
    use Needs::{Either, Nothing, Tenant, User};
    let unpublished = Limit::second(5);
    let get = |pattern, needs, limit, handler| Endpoint {
        method: Method::GET,
        pattern,
        needs,
        scopes: &[],
        limit,
        handler,
    };
    let post = |pattern, needs, limit, handler| Endpoint {
        method: Method::POST,
        pattern,
        needs,
        scopes: &[],
        limit,
        handler,
    };
    let export = Limit::minute(100);
    let wiki = Limit::minute(100);
    let sheets3 = Limit::minute(100);
    vec![
        post("/auth/v3/tenant_access_token/internal", Nothing, unpublished, auth::tenant_token),
        post("/auth/v3/app_access_token/internal", Nothing, unpublished, auth::app_token),
        get("/authen/v1/user_info", User, unpublished, auth::user_info),
        get("/authen/v1/authorize", Nothing, Limit::tier4(), consent::show),
        post("/authen/v1/authorize", Nothing, Limit::tier4(), consent::decide),
        post("/authen/v2/oauth/token", Nothing, Limit::tier4(), oauth::token),
        post("/oauth/v1/revoke", Nothing, unpublished, oauth::revoke),
        post("/oauth/v1/device_authorization", Nothing, unpublished, device::begin),
        get("/oauth/v1/device/verify", Nothing, unpublished, device::show),
        post("/oauth/v1/device/verify", Nothing, unpublished, device::decide),
        post("/oauth/v1/app/registration", Nothing, unpublished, registration::register),
        get("/page/cli", Nothing, unpublished, device::show),
        post("/page/cli", Nothing, unpublished, device::decide),
        get("/application/v6/scopes", Tenant, unpublished, application::scopes),
        get("/application/v6/applications/:app_id", Tenant, Limit::second(50), application::get)
            .opened_by(scopes::APP_INFO),
        get("/drive/v1/files", Either, Limit::second(20), drive::list)
            .opened_by(scopes::DRIVE_LIST),
        get("/drive/explorer/v2/root_folder/meta", Either, unpublished, drive::root_meta)
            .opened_by(scopes::METADATA),
        get(
            "/drive/explorer/v2/folder/:folder_token/meta",
            Either,
            unpublished,
            drive::folder_meta,
        )
        .opened_by(scopes::METADATA),
        post("/drive/v1/metas/batch_query", Either, Limit::tier4(), metas::batch_query)
            .opened_by(scopes::METADATA),
        get("/drive/v1/files/:file_token/download", Either, Limit::download(), download::file)
            .opened_by(scopes::FILE_BYTES),
        get("/drive/v1/medias/batch_get_tmp_download_url", Either, unpublished, download::tmp_urls)
            .opened_by(scopes::MEDIA_BYTES),
        get("/drive/v1/medias/:file_token/download", Either, Limit::download(), download::media)
            .opened_by(scopes::MEDIA_BYTES),
        post("/drive/v1/export_tasks", Either, export, export::create).opened_by(scopes::EXPORT),
        get("/drive/v1/export_tasks/file/:file_token/download", Either, export, export::download)
            .opened_by(scopes::EXPORT),
        get("/drive/v1/export_tasks/:ticket", Either, export, export::poll)
            .opened_by(scopes::EXPORT),
        get("/wiki/v2/spaces", Either, wiki, wiki::spaces).opened_by(scopes::WIKI_SPACES),
        get("/wiki/v2/spaces/get_node", Either, wiki, wiki::get_node).opened_by(scopes::WIKI_NODE),
        get("/wiki/v2/spaces/:space_id", Either, wiki, wiki::space).opened_by(scopes::WIKI_SPACE),
        get("/wiki/v2/spaces/:space_id/nodes", Either, wiki, wiki::nodes)
            .opened_by(scopes::WIKI_NODES),
        get("/docx/v1/documents/:document_id", Either, Limit::docx(), docx::document)
            .opened_by(scopes::DOCX),
        get(
            "/docx/v1/documents/:document_id/raw_content",
            Either,
            Limit::docx(),
            docx::raw_content,
        )
        .opened_by(scopes::DOCX),
        get("/docx/v1/documents/:document_id/blocks", Either, Limit::docx(), docx::blocks)
            .opened_by(scopes::DOCX),
        get("/docx/v1/documents/:document_id/blocks/:block_id", Either, Limit::docx(), docx::block)
            .opened_by(scopes::DOCX),
        get(
            "/docx/v1/documents/:document_id/blocks/:block_id/children",
            Either,
            Limit::docx(),
            docx::children,
        )
        .opened_by(scopes::DOCX),
        get("/doc/v2/meta/:doc_token", Either, unpublished, docx::old_meta)
            .opened_by(scopes::OLD_DOC_META),
        get("/doc/v2/:doc_token/raw_content", Either, unpublished, docx::old_raw_content)
            .opened_by(scopes::OLD_DOC_TEXT),
        get("/sheets/v3/spreadsheets/:spreadsheet_token", Either, sheets3, sheets::spreadsheet)
            .opened_by(scopes::SHEETS),
        get(
            "/sheets/v3/spreadsheets/:spreadsheet_token/sheets/query",
            Either,
            sheets3,
            sheets::query,
        )
        .opened_by(scopes::SHEETS),
        get(
            "/sheets/v2/spreadsheets/:spreadsheet_token/metainfo",
            Either,
            Limit::second(100),
            sheets::metainfo,
        )
        .opened_by(scopes::SHEETS),
        get("/bitable/v1/apps/:app_token", Either, Limit::second(20), bitable::app)
            .opened_by(scopes::BASE),
        get("/bitable/v1/apps/:app_token/tables", Either, Limit::second(20), bitable::tables)
            .opened_by(scopes::BASE_TABLES),
        get(
            "/sheets/v2/spreadsheets/:spreadsheet_token/values/:range",
            Either,
            Limit::second(100),
            values::one,
        )
        .opened_by(scopes::SHEETS),
        get(
            "/sheets/v2/spreadsheets/:spreadsheet_token/values_batch_get",
            Either,
            Limit::second(100),
            values::batch,
        )
        .opened_by(scopes::SHEETS),
        get(
            "/bitable/v1/apps/:app_token/tables/:table_id/fields",
            Either,
            Limit::second(20),
            records::fields,
        )
        .opened_by(scopes::BASE_FIELDS),
        get(
            "/bitable/v1/apps/:app_token/tables/:table_id/views",
            Either,
            Limit::second(20),
            records::views,
        )
        .opened_by(scopes::BASE_VIEWS),
        post(
            "/bitable/v1/apps/:app_token/tables/:table_id/records/search",
            Either,
            Limit::second(20),
            records::search,
        )
        .opened_by(scopes::BASE_RECORDS),
        get("/drive/v1/files/:file_token/comments", Either, Limit::tier4(), comments::list)
            .opened_by(scopes::COMMENTS),
        get(
            "/drive/v1/files/:file_token/comments/:comment_id/replies",
            Either,
            Limit::minute(100),
            comments::replies,
        )
        .opened_by(scopes::REPLIES),
        get("/board/v1/whiteboards/:whiteboard_id/nodes", Either, Limit::second(10), board::nodes)
            .opened_by(scopes::BOARDS),
        get(
            "/board/v1/whiteboards/:whiteboard_id/download_as_image",
            Either,
            Limit::second(50),
            board::image,
        )
        .opened_by(scopes::BOARDS),
        get("/board/v1/whiteboards/:whiteboard_id/theme", Either, Limit::minute(20), board::theme)
            .opened_by(scopes::BOARDS),
        post("/search/v2/doc_wiki/search", User, Limit::minute(100), search::doc_wiki)
            .opened_by(scopes::SEARCH),
        post("/minutes/v1/minutes/search", User, Limit::minute(100), minutes::search)
            .opened_by(scopes::MINUTE_SEARCH),
        get("/minutes/v1/minutes/:minute_token", Either, Limit::second(5), minutes::get)
            .opened_by(scopes::MINUTE),
        get("/minutes/v1/minutes/:minute_token/media", Either, Limit::second(5), minutes::media)
            .opened_by(scopes::MINUTE_MEDIA),
        get(
            "/minutes/v1/minutes/:minute_token/transcript",
            Either,
            Limit::second(5),
            minutes::transcript,
        )
        .opened_by(scopes::TRANSCRIPT),
        get(
            "/minutes/v1/minutes/:minute_token/artifacts",
            Either,
            Limit::second(5),
            minutes::artifacts,
        )
        .opened_by(scopes::ARTIFACTS),
        post("/vc/v1/meetings/search", User, Limit::minute(100), meetings::search)
            .opened_by(scopes::MEETING_SEARCH),
        get("/vc/v1/meetings/:meeting_id", Either, Limit::tier4(), meetings::get)
            .opened_by(scopes::MEETING),
        get("/vc/v1/meetings/:meeting_id/recording", Either, Limit::tier4(), meetings::recording)
            .opened_by(scopes::RECORDING),
        get("/contact/v3/users/batch", Either, Limit::tier4(), contact::batch)
            .opened_by(scopes::CONTACT),
        get("/sim/clock", Nothing, Limit::second(1_000_000), clock::show),
        post("/sim/clock", Nothing, Limit::second(1_000_000), clock::jump),
        get("/sim/calls", Nothing, Limit::second(1_000_000), calls::show),
        post("/sim/calls/forget", Nothing, Limit::second(1_000_000), calls::forget),
        get("/sim/media/:signature", Nothing, Limit::second(1_000_000), download::signed),
        get("/sim/minutes/:signature", Nothing, Limit::second(1_000_000), minutes::signed),
    ]
}

/// What a path leads to.
pub enum Route<'a> {
    /// A row, and the values of its parameters.
    Found(&'a Endpoint, Vec<&'a str>),
    /// A path that takes other methods.
    OtherMethod,
    /// Nothing.
    Unknown,
}

/// The endpoint for a path. Earlier rows win, so fixed words come before parameters.
/// `bare`: the path was called without `/open-apis`, as that of a page is.
pub fn find<'a>(table: &'a [Endpoint], method: &Method, path: &'a str, bare: bool) -> Route<'a> {
    let mut known = false;
    for endpoint in table.iter().filter(|row| bare == is_bare(row.pattern) || is_own(row.pattern)) {
        if let Some(params) = captures(endpoint.pattern, path) {
            if endpoint.method == *method {
                return Route::Found(endpoint, params);
            }
            known = true;
        }
    }
    if known { Route::OtherMethod } else { Route::Unknown }
}

/// True for what does not stand below `/open-apis`.
fn is_bare(pattern: &str) -> bool {
    pattern.starts_with("/oauth/") || pattern.starts_with("/page/")
}

/// True for what the service does not have.
fn is_own(pattern: &str) -> bool {
    pattern.starts_with("/sim/")
}

fn captures<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut params = Vec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(params),
            (Some(want), Some(have)) if want.starts_with(':') && !have.is_empty() => {
                params.push(have);
            }
            (Some(want), Some(have)) if want == have => {}
            _ => return None,
        }
    }
}
