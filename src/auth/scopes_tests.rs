//! Which scopes a config needs, table by table.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

const DRIVE: &str = "[[source]]\nname = \"d\"\nkind = \"drive\"\n";
const WIKI: &str = "[[source]]\nname = \"w\"\nkind = \"wiki\"\n";

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("/m/mirror.toml"), &BTreeMap::new()).unwrap()
}

fn scopes(text: &str) -> Vec<&'static str> {
    of_config(&config(text)).iter().map(|need| need.scope).collect()
}

const REVISIONS: [&str; 3] =
    ["docx:document:readonly", "sheets:spreadsheet:readonly", "base:app:read"];
const PAGES: [&str; 2] = ["wiki:node:retrieve", "wiki:node:read"];
const METAS: &str = "drive:drive.metadata:readonly";
const FILES: &str = "drive:file:download";
const EXPORTS: &str = "docs:document:export";
const FOLDERS: &str = "space:document:retrieve";
const COMMENTS: &str = "docs:document.comment:read";
const MEDIA_BYTES: &str = "docs:document.media:download";
const TABLES: [&str; 4] =
    ["base:table:read", "base:field:read", "base:view:read", "base:record:retrieve"];
/// What pages can do without.
const EMBEDS: [&str; 7] = [
    "sheets:spreadsheet:readonly",
    "base:table:read",
    "base:field:read",
    "base:record:retrieve",
    "board:whiteboard:node:read",
    "contact:contact.base:readonly",
    "contact:user.base:readonly",
];

#[test]
fn a_config_needs_what_its_sources_and_formats_call_and_no_more() {
    let types = |types: &str| format!("[filter]\ntypes = [{types}]\n");
    let docs = |url: &str| {
        format!("[[source]]\nname = \"p\"\nkind = \"docs\"\nurls = [\"https://x.cn/{url}\"]\n")
    };
    let wiki = |space: &str| format!("{WIKI}space = \"{space}\"\n");
    let [docx, sheet, base] = REVISIONS;
    let skip = "[export]\nshortcut = \"skip\"\n";
    let cases: Vec<(&str, String, Vec<&str>)> = vec![
        (
            "a drive has folders, files and documents of every type",
            DRIVE.into(),
            vec![FOLDERS, METAS, FILES, EXPORTS, docx, sheet, base],
        ),
        (
            "a wiki's pages may be uploaded files; no folder is listed",
            WIKI.into(),
            [
                &[METAS, FILES, EXPORTS, "wiki:space:retrieve", "wiki:space:read"],
                &PAGES[..],
                &REVISIONS,
            ]
            .concat(),
        ),
        (
            "one space is never looked up among the others",
            wiki("7"),
            [&[METAS, FILES, EXPORTS], &PAGES[..], &REVISIONS].concat(),
        ),
        (
            "the library is asked for by its name",
            wiki("my_library"),
            [&[METAS, FILES, EXPORTS, "wiki:space:read"], &PAGES[..], &REVISIONS].concat(),
        ),
        (
            "documents alone: no file, no shortcut to follow",
            format!("{}{}", types("\"docx\""), wiki("7")),
            [&[METAS, EXPORTS], &PAGES[..], &[docx]].concat(),
        ),
        (
            "a shortcut followed may lead to anything",
            format!("{}{}", types("\"docx\", \"shortcut\""), wiki("7")),
            [&[METAS, FILES, EXPORTS], &PAGES[..], &REVISIONS].concat(),
        ),
        (
            "a shortcut that is skipped leads nowhere",
            format!("{skip}{}{}", types("\"docx\", \"shortcut\""), wiki("7")),
            [&[METAS, EXPORTS], &PAGES[..], &[docx]].concat(),
        ),
        (
            "uploaded files alone are not exported",
            format!("{}{DRIVE}", types("\"file\"")),
            vec![FOLDERS, METAS, FILES],
        ),
        ("a link says its type", docs("docx/A"), vec![METAS, EXPORTS, docx]),
        ("a link to a file", docs("file/A"), vec![METAS, FILES]),
        (
            "behind a wiki link may be anything",
            docs("wiki/A"),
            [&[METAS, FILES, EXPORTS], &REVISIONS[..]].concat(),
        ),
        (
            "CSV is exported table by table",
            format!("[export]\nbitable = [\"csv\"]\n{}{DRIVE}", types("\"bitable\"")),
            vec![FOLDERS, METAS, EXPORTS, base, "base:table:read"],
        ),
        (
            "Markdown is made of blocks, pictures, and what a document embeds",
            format!("[export]\ndocx = [\"md\"]\n{}{}", types("\"docx\""), wiki("7")),
            [&[METAS, EXPORTS], &PAGES[..], &[docx, MEDIA_BYTES], &EMBEDS].concat(),
        ),
        (
            "a rule for a part of the tree is enough",
            format!(
                "[[export.rule]]\nmatch = \"d/**\"\ndocx = [\"md\"]\n{}{DRIVE}",
                types("\"docx\"")
            ),
            [&[FOLDERS, METAS, EXPORTS, docx, MEDIA_BYTES], &EMBEDS[..]].concat(),
        ),
        (
            "JSON is read table by table, with its attachments",
            format!("[export]\nbitable = [\"json\"]\n{}{DRIVE}", types("\"bitable\"")),
            [&[FOLDERS, METAS, EXPORTS, base], &TABLES[..], &[MEDIA_BYTES]].concat(),
        ),
        (
            "comments have a scope of their own",
            format!("[export]\ncomments = true\n{}{DRIVE}", types("\"slides\"")),
            vec![FOLDERS, METAS, EXPORTS, COMMENTS],
        ),
        (
            "a base has no comments",
            format!("[export]\ncomments = true\n{}{DRIVE}", types("\"bitable\"")),
            vec![FOLDERS, METAS, EXPORTS, base],
        ),
    ];
    for (why, text, mut want) in cases {
        // A user's search for new pages, which every wiki can do without.
        if text.contains("kind = \"wiki\"") {
            want.push("search:docs:read");
        }
        assert_eq!(scopes(&text), want, "{why}");
    }
}

#[test]
fn each_need_names_the_source_or_the_format() {
    let rule = "[[export.rule]]\nmatch = \"d/**\"\nsheet = [\"csv\"]\n";
    let text = format!("[export]\nbitable = [\"xlsx\", \"csv\"]\n{rule}{DRIVE}{WIKI}");
    let needs = of_config(&config(&text));
    let both = "source \"d\", source \"w\"";
    let cases = [
        (FOLDERS, "source \"d\"".to_owned(), true),
        ("wiki:space:retrieve", "source \"w\"".to_owned(), true),
        (FILES, both.to_owned(), true),
        (EXPORTS, both.to_owned(), true),
        ("docx:document:readonly", format!("{both} with [export] docx = [\"docx\"]"), false),
        (
            "sheets:spreadsheet:readonly",
            format!("{both} with [[export.rule]] sheet = [\"csv\"]"),
            true,
        ),
        ("base:app:read", format!("{both} with [export] bitable = [\"xlsx\", \"csv\"]"), false),
        ("base:table:read", format!("{both} with [export] bitable = [\"xlsx\", \"csv\"]"), true),
    ];
    for (scope, because, vital) in cases {
        let need = needs.iter().find(|need| need.scope == scope).unwrap();
        assert_eq!((&need.because, need.without.is_none()), (&because, vital), "{scope}");
    }
}

/// What a page only shows is no reason to fail; what it is made of is.
#[test]
fn pages_do_without_what_they_embed() {
    let alone = format!("[export]\ndocx = [\"md\"]\n[filter]\ntypes = [\"docx\"]\n{DRIVE}");
    for need in of_config(&config(&alone)) {
        let optional = EMBEDS.contains(&need.scope);
        assert_eq!(need.without.is_some(), optional, "{}", need.scope);
    }
    // Where a base is wanted for itself, its tables are not optional; where only the
    // revision of a spreadsheet is, that is what the scope is for.
    let both = format!("[export]\ndocx = [\"md\"]\nbitable = [\"json\"]\n{DRIVE}");
    let needs = of_config(&config(&both));
    let cases = [
        ("base:record:retrieve", "[export] bitable = [\"json\"]", true),
        ("docs:document.media:download", "[export] docx = [\"md\"]", true),
        ("docx:document:readonly", "[export] docx = [\"md\"]", true),
        ("sheets:spreadsheet:readonly", "[export] sheet = [\"xlsx\"]", false),
        ("contact:user.base:readonly", "[export] docx = [\"md\"]", false),
    ];
    for (scope, because, vital) in cases {
        let need = needs.iter().find(|need| need.scope == scope).unwrap();
        assert_eq!(need.because, format!("source \"d\" with {because}"), "{scope}");
        assert_eq!(need.without.is_none(), vital, "{scope}");
    }
}

#[test]
fn a_coarser_scope_will_do_where_the_docs_say_so() {
    let needs = of_config(&config(&format!("{DRIVE}{WIKI}")));
    let cases = [
        (METAS, "drive:drive:readonly", false),
        (METAS, "drive:drive", true),
        (EXPORTS, "drive:drive", false),
        (EXPORTS, "drive:export:readonly", true),
        (FOLDERS, "drive:drive:readonly", true),
        ("wiki:node:read", "wiki:wiki:readonly", true),
        ("base:app:read", "bitable:app:readonly", true),
    ];
    for (scope, granted, want) in cases {
        let need = needs.iter().find(|need| need.scope == scope).unwrap();
        assert_eq!(need.is_met(&["x", granted]), want, "{scope} by {granted}");
        let best = if want { granted } else { scope };
        assert_eq!(need.best(&["x", granted]), best, "{scope}, the app has {granted}");
    }
}

#[test]
fn domains_are_known_by_name() {
    let of = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        of_domains(&names).map(|needs| needs.iter().map(|n| n.scope).collect::<Vec<_>>())
    };
    assert_eq!(of(&["search"]).unwrap(), ["search:docs:read"]);
    assert_eq!(of(&["Bitable "]), of(&["base"]));
    assert_eq!(of(&[]), of(&["all"]));
    assert_eq!(of(&["drive", "vc"]).unwrap_err(), DOMAINS);
    let minutes = of_domains(&["minutes".to_owned()]).unwrap();
    assert_eq!(minutes.len(), 4);
    let listing = minutes.iter().find(|need| need.user_only).unwrap();
    assert_eq!(listing.scope, "minutes:minutes.search:read");
    assert_eq!(listing.because, "--domain minutes");
    for domain in DOMAINS {
        assert!(!of(&[domain]).unwrap().is_empty(), "{domain}");
    }
}

/// One request may ask for 50 (docs: authentication-management/access-token/
/// obtain-oauth-code).
#[test]
fn all_of_them_fit_into_one_request() {
    let all = of_domains(&[]).unwrap();
    assert!(all.len() < 50, "{}", all.len());
    let once: BTreeSet<_> = all.iter().map(|need| need.scope).collect();
    assert_eq!(once.len(), all.len());
}

#[test]
fn the_readme_has_this_table() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("<!-- scopes -->\n").expect("a beginning");
    let (table, _) = rest.split_once("<!-- /scopes -->").expect("an end");
    assert_eq!(table.trim(), markdown().trim(), "the README's table is:\n{}", markdown());
}
