//! Which scopes (权限) the configured sources and formats need: one table, which the
//! login, `doctor` and the README share. Pure.
//!
//! Each page of the docs lists several scopes for its call, and any one of them opens
//! it. The table has the least powerful one first, and the others as alternatives, so
//! that an app set up with a coarser scope is not told to add a finer one.
//!
//! Start at [`of_config`].

use std::collections::BTreeSet;

use crate::config::Config;
use crate::model::source::{Source, SourceKind, WikiScope};
use crate::model::{Format, ObjType};
use crate::rules::ShortcutMode;

/// Needed for a refresh token.
pub const OFFLINE_ACCESS: &str = "offline_access";

/// What `--domain` may name.
pub const DOMAINS: [&str; 9] =
    ["drive", "wiki", "docs", "sheets", "base", "boards", "search", "minutes", "events"];

/// A scope that something needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The least powerful scope that opens the call.
    pub scope: &'static str,
    /// Other ones that open it as well, most of them coarser.
    pub or: &'static [&'static str],
    /// What it is for: "exports".
    pub what: &'static str,
    /// What needs it, for people: `source "drive"`, `[export] sheet = ["csv"]`.
    pub because: String,
    /// What happens without it, where the copy can be made all the same.
    pub without: Option<&'static str>,
    /// True where only a user's token may make the call.
    pub user_only: bool,
}

impl Need {
    /// True where one of `granted` opens the call.
    pub fn is_met(&self, granted: &[&str]) -> bool {
        self.any().any(|scope| granted.contains(&scope))
    }

    /// The scope to ask a user for, given those that the app has: the consent page
    /// refuses every other one (20027). The least powerful one where the app has none.
    pub fn best(&self, enabled: &[&str]) -> &'static str {
        self.any().find(|scope| enabled.contains(scope)).unwrap_or(self.scope)
    }

    /// Every scope that opens the call, the least powerful first.
    pub fn any(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.scope).chain(self.or.iter().copied())
    }
}

/// What in a config asks for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Folders,
    Metas,
    Files,
    Exports,
    DocxRevision,
    SheetRevision,
    SheetParts,
    BaseRevision,
    BaseParts,
    /// `md`: the document itself.
    Pages,
    /// `md`: pictures and files of documents.
    PageMedia,
    /// `md`: what documents show of other things.
    Embeds,
    /// `json`.
    Tables,
    Comments,
    SpaceList,
    SpaceById,
    NodeList,
    NodeById,
    /// Between two full walks.
    Search,
    /// Nothing in this version.
    Later,
}

/// Whose token makes the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Both,
    User,
}

#[derive(Clone, Copy)]
struct Row {
    of: Use,
    what: &'static str,
    domains: &'static [&'static str],
    scope: &'static str,
    or: &'static [&'static str],
    who: Who,
    without: Option<&'static str>,
}

const fn row(
    of: Use,
    what: &'static str,
    domains: &'static [&'static str],
    scope: &'static str,
    or: &'static [&'static str],
) -> Row {
    Row { of, what, domains, scope, or, who: Who::Both, without: None }
}

const fn by_user(row: Row) -> Row {
    Row { who: Who::User, ..row }
}

/// The copy is made without it, too; `without` says what it lacks then.
const fn optional(without: &'static str, row: Row) -> Row {
    Row { without: Some(without), ..row }
}

/// The crawl and the fetch go on where a revision may not be read.
const fn edit_time_decides(row: Row) -> Row {
    optional(
        "without it the edit time alone decides, and some of what did not change is exported \
         again",
        row,
    )
}

const NO_NAMES: &str = "without it pages show people by their ids";
const NO_SEARCH: &str = "without it new pages of a large wiki are found by its full walks only";
const NO_EMBEDS: &str = "without it pages show a note in its place";

const DRIVE_READ: &[&str] = &["drive:drive:readonly", "drive:drive"];
const WIKI_READ: &[&str] = &["wiki:wiki:readonly", "wiki:wiki"];
const BASE_READ: &[&str] = &["bitable:app:readonly", "bitable:app"];
const SHEETS_READ: &[&str] =
    &["sheets:spreadsheet:read", "sheets:spreadsheet", "drive:drive:readonly", "drive:drive"];
const CONTACT: &[&str] = &["contact:contact:readonly_as_app"];
const MEDIA: &[&str] = &[
    "drive:drive:readonly",
    "drive:drive",
    "docs:doc:readonly",
    "docs:doc",
    "sheets:spreadsheet:readonly",
    "sheets:spreadsheet",
    "bitable:app:readonly",
    "bitable:app",
];

/// Every scope, from the "Required scopes" of each call's page: drive-v1/file/list,
/// drive-v1/meta/batch_query, drive-v1/file/download, drive-v1/export_task/create,
/// wiki-v2, docx-v1/document/get, sheets/v2 and sheets-v3, bitable-v1,
/// drive-v1/media/download, board-v1, CommentAPI/list, drive-v1/file-comment-reply/list
/// (which takes fewer scopes than the former, and both are called), contact-v3/user/batch,
/// search-v2/doc_wiki/search, minutes-v1, drive-v1/event; `sheets:spreadsheet:read` is
/// what larksuite/cli asks for.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(Use::Folders, "Drive folders", &["drive"], "space:document:retrieve", DRIVE_READ),
    // The read-only coarse scope does not open metadata.
    row(Use::Metas, "metadata of folders and documents", &["drive", "wiki", "docs"], "drive:drive.metadata:readonly", &["drive:drive"]),
    row(Use::Files, "uploaded files", &["drive", "wiki"], "drive:file:download", &["drive:file:readonly", "drive:file", "drive:drive:readonly", "drive:drive"]),
    // The coarse scopes of Drive do not open exports.
    row(Use::Exports, "exports", &["drive", "wiki", "docs", "sheets", "base"], "docs:document:export", &["drive:export:readonly"]),
    row(Use::SpaceList, "list of wiki spaces", &["wiki"], "wiki:space:retrieve", WIKI_READ),
    row(Use::SpaceById, "single wiki spaces, My Library", &["wiki"], "wiki:space:read", WIKI_READ),
    row(Use::NodeList, "list of wiki pages", &["wiki"], "wiki:node:retrieve", WIKI_READ),
    row(Use::NodeById, "single wiki pages", &["wiki"], "wiki:node:read", WIKI_READ),
    edit_time_decides(row(Use::DocxRevision, "revisions of documents", &["docs"], "docx:document:readonly", &["docx:document"])),
    edit_time_decides(row(Use::SheetRevision, "revisions of spreadsheets", &["sheets"], "sheets:spreadsheet:readonly", SHEETS_READ)),
    row(Use::SheetParts, "sheets of a spreadsheet (CSV)", &["sheets"], "sheets:spreadsheet:readonly", SHEETS_READ),
    edit_time_decides(row(Use::BaseRevision, "revisions of bases", &["base"], "base:app:read", BASE_READ)),
    row(Use::BaseParts, "tables of a base (CSV)", &["base"], "base:table:read", BASE_READ),
    row(Use::Pages, "documents as Markdown", &["docs"], "docx:document:readonly", &["docx:document"]),
    row(Use::PageMedia, "pictures and files of documents (Markdown)", &["docs"], "docs:document.media:download", MEDIA),
    row(Use::Tables, "tables of a base (JSON)", &["base"], "base:table:read", BASE_READ),
    row(Use::Tables, "fields of a base (JSON)", &["base"], "base:field:read", BASE_READ),
    row(Use::Tables, "views of a base (JSON)", &["base"], "base:view:read", BASE_READ),
    row(Use::Tables, "records of a base (JSON)", &["base"], "base:record:retrieve", BASE_READ),
    row(Use::Tables, "attachments of a base (JSON)", &["base"], "docs:document.media:download", MEDIA),
    row(Use::Comments, "comments", &["docs", "sheets"], "docs:document.comment:read", DRIVE_READ),
    optional(NO_EMBEDS, row(Use::Embeds, "sheets in documents (Markdown)", &["docs"], "sheets:spreadsheet:readonly", SHEETS_READ)),
    optional(NO_EMBEDS, row(Use::Embeds, "bases in documents (Markdown)", &["docs"], "base:table:read", BASE_READ)),
    optional(NO_EMBEDS, row(Use::Embeds, "bases in documents (Markdown)", &["docs"], "base:field:read", BASE_READ)),
    optional(NO_EMBEDS, row(Use::Embeds, "bases in documents (Markdown)", &["docs"], "base:record:retrieve", BASE_READ)),
    optional(NO_EMBEDS, row(Use::Embeds, "whiteboards in documents (Markdown)", &["boards", "docs"], "board:whiteboard:node:read", &[])),
    // The first one opens the call, the second the name in its reply.
    optional(NO_NAMES, row(Use::Embeds, "names of people (Markdown, comments)", &["docs"], "contact:contact.base:readonly", CONTACT)),
    optional(NO_NAMES, row(Use::Embeds, "names of people (Markdown, comments)", &["docs"], "contact:user.base:readonly", CONTACT)),
    optional(NO_SEARCH, by_user(row(Use::Search, "search for new wiki pages", &["search", "wiki"], "search:docs:read", &[]))),
    row(Use::Later, "recordings", &["minutes"], "minutes:minutes.basic:read", &["minutes:minutes:readonly", "minutes:minutes"]),
    row(Use::Later, "recordings' audio and video", &["minutes"], "minutes:minutes.media:export", &[]),
    row(Use::Later, "transcripts", &["minutes"], "minutes:minutes.transcript:export", &[]),
    by_user(row(Use::Later, "list of recordings", &["minutes"], "minutes:minutes.search:read", &[])),
    row(Use::Later, "subscriptions to a document", &["events"], "docs:event:subscribe", &["docs:doc", "drive:drive"]),
    row(Use::Later, "events: edited, renamed", &["events"], "docs:event.document_edited:read", &["drive:drive"]),
    row(Use::Later, "events: deleted", &["events"], "docs:event.document_deleted:read", &["drive:drive"]),
    row(Use::Later, "events: created in a folder", &["events"], "space:document.event:read", &["drive:drive"]),
];

impl Row {
    fn need(&self, because: String) -> Need {
        Need {
            scope: self.scope,
            or: self.or,
            what: self.what,
            because,
            without: self.without,
            user_only: self.who == Who::User,
        }
    }
}

/// What a config needs, each scope once, in the table's order. Without
/// [`OFFLINE_ACCESS`].
pub fn of_config(config: &Config) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for row in TABLE {
        let Some(because) = because(row.of, config) else { continue };
        match needs.iter_mut().find(|need| need.scope == row.scope) {
            // The weightier use of two tells what the scope is for.
            Some(need) if need.without.is_some() && row.without.is_none() => {
                *need = row.need(because);
            }
            Some(_) => {}
            None => needs.push(row.need(because)),
        }
    }
    needs
}

/// Scopes of domains as `--domain` names them, all of the table's rows for each, what
/// later versions need included; none named: of all domains. `Err` with the known names.
pub fn of_domains(domains: &[String]) -> Result<Vec<Need>, Vec<&'static str>> {
    let mut named = BTreeSet::new();
    for domain in domains {
        match domain.trim().to_lowercase().as_str() {
            "" => {}
            "all" => named.extend(DOMAINS),
            // The service's own word for a base.
            "bitable" => drop(named.insert("base")),
            word => match DOMAINS.iter().find(|known| **known == word) {
                Some(known) => drop(named.insert(known)),
                None => return Err(DOMAINS.to_vec()),
            },
        }
    }
    if named.is_empty() {
        named.extend(DOMAINS);
    }
    let mut needs: Vec<Need> = Vec::new();
    for row in TABLE {
        let of: Vec<&str> =
            row.domains.iter().copied().filter(|domain| named.contains(domain)).collect();
        if !of.is_empty() && needs.iter().all(|need| need.scope != row.scope) {
            needs.push(row.need(format!("--domain {}", of.join(","))));
        }
    }
    Ok(needs)
}

/// The table for the README: what this version needs, a row a scope.
pub fn markdown() -> String {
    let mut rows: Vec<(&str, Vec<&str>, &[&str])> = Vec::new();
    for row in TABLE.iter().filter(|row| row.of != Use::Later) {
        match rows.iter_mut().find(|(scope, ..)| *scope == row.scope) {
            Some((_, what, _)) => what.push(row.what),
            None => rows.push((row.scope, vec![row.what], row.or)),
        }
    }
    rows.push((OFFLINE_ACCESS, vec!["a user's login that renews itself"], &[]));
    let code = |scope: &&str| format!("`{scope}`");
    let mut table = "| for | scope | or one of |\n| --- | --- | --- |\n".to_owned();
    for (scope, what, or) in rows {
        let or: Vec<String> = or.iter().map(code).collect();
        // An empty cell is `| |`.
        let cells = [what.join(", "), format!("`{scope}`"), or.join(", ")];
        table.push_str(format!("| {}", cells.join(" | ")).trim_end());
        table.push_str(" |\n");
    }
    table
}

/// Which sources and formats make the config need it; `None`: nothing does.
///
/// Types are told from `types` in `[filter]` and from the URLs of a `docs` source. Globs
/// are not: what they leave out is known only when the titles are.
fn because(of: Use, config: &Config) -> Option<String> {
    let kind = |wanted: fn(&SourceKind) -> bool| {
        sources(config, |source| wanted(&source.kind)).map(|names| names.join(", "))
    };
    let ty = |ty: ObjType| sources(config, |source| wants(config, source, &ty));
    match of {
        Use::Folders => kind(|kind| matches!(kind, SourceKind::Drive { .. })),
        // Of what is missing later, and of all that is known between two full walks.
        Use::Metas => kind(|_| true),
        // A wiki's pages can be uploaded files as well (docs: wiki-v2/space-node/list,
        // `obj_type` file), and only their download tells what is in them.
        Use::Files => ty(ObjType::File).map(|all| all.join(", ")),
        Use::Exports => {
            let exported =
                |source: &Source| config.rules.formats.keys().any(|ty| wants(config, source, ty));
            sources(config, exported).map(|all| all.join(", "))
        }
        Use::DocxRevision => {
            ty(ObjType::Docx).map(|all| with_formats(&all, config, &ObjType::Docx))
        }
        Use::SheetRevision => {
            ty(ObjType::Sheet).map(|all| with_formats(&all, config, &ObjType::Sheet))
        }
        Use::BaseRevision => {
            ty(ObjType::Bitable).map(|all| with_formats(&all, config, &ObjType::Bitable))
        }
        Use::SheetParts => with_format(Format::Csv, config, &ObjType::Sheet),
        Use::BaseParts => with_format(Format::Csv, config, &ObjType::Bitable),
        Use::Pages | Use::PageMedia | Use::Embeds => {
            with_format(Format::Md, config, &ObjType::Docx)
        }
        Use::Tables => with_format(Format::Json, config, &ObjType::Bitable),
        Use::Comments => {
            config.rules.comments_every_secs?;
            let discussed = |source: &Source| {
                let mut types = config.rules.formats.keys();
                types.any(|ty| ty.has_comments() && wants(config, source, ty))
            };
            let sources = sources(config, discussed)?.join(", ");
            Some(format!("{sources} with [export] comments = true"))
        }
        Use::SpaceList => kind(|kind| *kind == SourceKind::Wiki(WikiScope::All)),
        // The library is in no list of spaces, and a listed space that is missing later
        // is asked for by its id.
        Use::SpaceById => {
            kind(|kind| matches!(kind, SourceKind::Wiki(WikiScope::All | WikiScope::MyLibrary)))
        }
        Use::NodeList => kind(|kind| matches!(kind, SourceKind::Wiki(_))),
        // A page that is missing later is asked for by its token, and a subtree's top is.
        Use::NodeById | Use::Search => kind(|kind| matches!(kind, SourceKind::Wiki(_))),
        Use::Later => None,
    }
}

/// `source "name"` of those that match; `None`: there is none.
fn sources(config: &Config, wanted: impl Fn(&Source) -> bool) -> Option<Vec<String>> {
    let names: Vec<String> = config
        .sources
        .iter()
        .filter(|source| wanted(source))
        .map(|source| format!("source {:?}", source.name.as_str()))
        .collect();
    Some(names).filter(|names| !names.is_empty())
}

/// True where a source may hold something of this type that is fetched.
fn wants(config: &Config, source: &Source, ty: &ObjType) -> bool {
    let types = &config.rules.filter.types;
    let named = |ty: &ObjType| types.is_empty() || types.contains(ty);
    match &source.kind {
        // What is behind a wiki link is known only when it is asked.
        SourceKind::Docs(urls) => {
            named(ty) && urls.iter().any(|(word, _)| word == "wiki" || word == ty.as_str())
        }
        SourceKind::Drive { .. } | SourceKind::Wiki(_) => {
            named(ty) || (named(&ObjType::Shortcut) && follows(config))
        }
    }
}

/// True where a shortcut's target may be fetched in the shortcut's place, of whatever
/// type it is.
fn follows(config: &Config) -> bool {
    matches!(config.rules.shortcut, ShortcutMode::Link | ShortcutMode::Copy)
}

/// `source "a", source "b" with [export] docx = ["docx"]`.
fn with_formats(sources: &[String], config: &Config, ty: &ObjType) -> String {
    let formats = config.rules.formats.get(ty).map(|formats| key_of("[export]", ty, formats));
    let sep = if formats.is_some() { " with " } else { "" };
    format!("{}{sep}{}", sources.join(", "), formats.unwrap_or_default())
}

/// The sources for which a format of a type is wanted somewhere.
fn with_format(format: Format, config: &Config, ty: &ObjType) -> Option<String> {
    let sources = sources(config, |source| wants(config, source, ty))?.join(", ");
    let asks = |formats: &&Vec<Format>| formats.contains(&format);
    let plain = config.rules.formats.get(ty).filter(asks);
    let of_rules =
        config.rules.export_rules.iter().find_map(|rule| rule.formats.get(ty).filter(asks));
    let key = plain
        .map(|formats| key_of("[export]", ty, formats))
        .or_else(|| of_rules.map(|formats| key_of("[[export.rule]]", ty, formats)))?;
    Some(format!("{sources} with {key}"))
}

/// `[export] sheet = ["csv"]`.
fn key_of(section: &str, ty: &ObjType, formats: &[Format]) -> String {
    let words: Vec<String> = formats.iter().map(|format| format!("\"{format}\"")).collect();
    format!("{section} {ty} = [{}]", words.join(", "))
}

#[cfg(test)]
#[path = "scopes_tests.rs"]
mod tests;
