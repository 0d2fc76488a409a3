//! Every section of the config but the sources: keys, defaults, allowed values.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Reader, Table, Value, unknown_word};
use super::{Config, Crawl, Identity, Limits, sources, values};
use crate::model::account::Domain;
use crate::model::{Format, ObjType};
use crate::rules::{
    ExportRule, Filter, Globs, Markdown, MaxDelete, PruneAction, Rules, ShortcutMode,
};

const DAY: Duration = Duration::from_secs(86_400);

/// Formats a type may have; the first one is the default.
const FORMATS: [(ObjType, &str, &[Format]); 6] = [
    (ObjType::Docx, "docx", &[Format::Docx, Format::Pdf, Format::Md]),
    (ObjType::Doc, "doc", &[Format::Docx, Format::Pdf]),
    (ObjType::Sheet, "sheet", &[Format::Xlsx, Format::Csv]),
    (ObjType::Bitable, "bitable", &[Format::Xlsx, Format::Csv, Format::Json]),
    (ObjType::Slides, "slides", &[Format::Pptx, Format::Pdf]),
    (ObjType::Mindnote, "mindnote", &[Format::Pdf]),
];

/// What `filter.types` may name.
const TYPES: [&str; 8] =
    ["docx", "doc", "sheet", "bitable", "slides", "mindnote", "file", "shortcut"];

const PRUNE_WORDS: [(&str, PruneAction); 3] =
    [("keep", PruneAction::Keep), ("trash", PruneAction::Trash), ("delete", PruneAction::Delete)];

/// How messages name sources that a later version brings.
pub const NOT_YET: &str = "not in this version yet";

/// Reads the whole file; whatever is wrong is with the reader afterwards.
pub fn read(reader: &Reader<'_>, file: &Path, vars: &BTreeMap<String, String>) -> Config {
    let top = Table::top(reader);
    let (path, state, min_free, keep_runs) = mirror(&top.table("mirror"), file, vars);
    let (profile, identity, domain) = account(&top.table("account"));
    let sources = sources::read(&top);
    let Export { formats, rules: export_rules, shortcut, markdown, comments } =
        export(&top.table("export"));
    let (filter, max_size, allow_forbidden) = filter(&top.table("filter"));
    let crawl = crawl(&top.table("crawl"));
    let (prune_default, prune_rules, max_delete, trash_retention) = prune(&top.table("prune"));
    let limits = limits(&top.table("limits"));
    later_sections(&top);
    top.done();
    let rules = Rules {
        formats,
        export_rules,
        shortcut,
        markdown,
        comments_every_secs: comments.then(|| secs(crawl.full_every)),
        filter,
        max_size,
        allow_forbidden,
        prune_default,
        prune_rules,
        max_delete,
        sources: sources.iter().map(|source| source.name.clone()).collect(),
    };
    Config {
        file: file.to_owned(),
        path,
        state,
        min_free,
        keep_runs,
        profile,
        identity,
        domain,
        sources,
        rules,
        trash_retention,
        limits,
        crawl,
    }
}

fn mirror(
    table: &Table<'_, '_>,
    file: &Path,
    vars: &BTreeMap<String, String>,
) -> (PathBuf, PathBuf, u64, usize) {
    let base = file.parent().unwrap_or(Path::new(""));
    let folder = |key| {
        let (text, at) = table.text(key)?;
        if text.trim().is_empty() {
            table.reader.wrong(&at, format!("{key} in [mirror]: a folder cannot have no name"));
        }
        let home = vars.get("HOME").filter(|home| !home.is_empty());
        let path = match (text.strip_prefix("~/"), home) {
            (Some(below), Some(home)) => Path::new(home).join(below),
            _ => base.join(&text),
        };
        Some((plain(&path), at))
    };
    let path = folder("path").map_or_else(|| plain(&base.join("mirror")), |(path, _)| path);
    let inside = path.join(".feishu-mirror");
    let state = match folder("state") {
        None => inside,
        Some((state, at)) => {
            // Anywhere else inside, it would be a part of the copy.
            if path.starts_with(&state) || (state.starts_with(&path) && state != inside) {
                table.reader.wrong(
                    &at,
                    format!(
                        "state in [mirror]: {} mixes with the copy in {}; inside of it only {} \
                         is possible",
                        state.display(),
                        path.display(),
                        inside.display()
                    ),
                );
            }
            state
        }
    };
    let min_free = table.size("min_free", 1 << 30);
    let keep_runs = table.number("keep_runs", 90, 1..1_000_001);
    table.done();
    (path, state, min_free, usize::try_from(keep_runs).unwrap_or(usize::MAX))
}

/// A path without `.` and `a/..`, as written: symlinks are not asked.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn account(table: &Table<'_, '_>) -> (Option<String>, Identity, Option<Domain>) {
    let profile = table.text("profile").and_then(|(name, at)| match values::profile(&name) {
        Ok(name) => Some(name),
        Err(why) => {
            table.reader.wrong(&at, format!("profile in [account]: {why}"));
            None
        }
    });
    let words = [("auto", Identity::Auto), ("user", Identity::User), ("app", Identity::App)];
    let identity = table.choice("identity", &words, Identity::Auto);
    let domain = table.get("domain").map(|value| domain(table, value));
    table.done();
    (profile, identity, domain)
}

fn domain(table: &Table<'_, '_>, value: &Value<'_>) -> Domain {
    match value.get_ref() {
        DeValue::String(word) => match word.as_ref() {
            "feishu" => Domain::feishu(),
            "lark" => Domain::lark(),
            other => {
                let near = unknown_word(other, &["feishu", "lark"]);
                table.wrong(
                    "domain",
                    value,
                    &format!("{near}, {{ open = \"https://…\", accounts = \"https://…\" }}"),
                );
                Domain::feishu()
            }
        },
        DeValue::Table(_) => {
            let hosts = table.table("domain");
            let host = |key, default: Option<&str>| {
                let Some((text, at)) = hosts.text(key) else {
                    if default.is_none() {
                        hosts
                            .reader
                            .wrong(&hosts.at, format!("domain in [account] has no {key:?}"));
                    }
                    return default.unwrap_or_default().to_owned();
                };
                values::base_url(&text).unwrap_or_else(|why| {
                    hosts.reader.wrong(&at, format!("{key} in [account.domain]: {why}"));
                    String::new()
                })
            };
            let open = host("open", None);
            let accounts = host("accounts", Some(&open));
            hosts.done();
            Domain { open, accounts }
        }
        _ => {
            table.wrong(
                "domain",
                value,
                "expected \"feishu\", \"lark\" or a table with both hosts",
            );
            Domain::feishu()
        }
    }
}

type Formats = BTreeMap<ObjType, Vec<Format>>;

struct Export {
    formats: Formats,
    rules: Vec<ExportRule>,
    shortcut: ShortcutMode,
    markdown: Markdown,
    comments: bool,
}

fn export(table: &Table<'_, '_>) -> Export {
    let mut formats: Formats = BTreeMap::new();
    for (ty, key, allowed) in FORMATS {
        let chosen = formats_of(table, key, allowed).unwrap_or_else(|| vec![allowed[0]]);
        formats.insert(ty, chosen);
    }
    let words = [
        ("link", ShortcutMode::Link),
        ("copy", ShortcutMode::Copy),
        ("url", ShortcutMode::Url),
        ("skip", ShortcutMode::Skip),
    ];
    let shortcut = table.choice("shortcut", &words, ShortcutMode::Link);
    let comments = table.flag("comments", false);
    let mut rules = Vec::new();
    for rule in table.tables("rule") {
        let matches = rule_globs(&rule);
        let mut own: Formats = BTreeMap::new();
        for (ty, key, allowed) in FORMATS {
            if let Some(chosen) = formats_of(&rule, key, allowed) {
                own.insert(ty, chosen);
            }
        }
        rule.done();
        rules.push(ExportRule { matches, formats: own });
    }
    let markdown = markdown(&table.table("md"));
    table.done();
    Export { formats, rules, shortcut, markdown, comments }
}

fn markdown(table: &Table<'_, '_>) -> Markdown {
    let default = Markdown::default();
    let every =
        |key, default: i64| secs(table.duration(key, Duration::from_secs(default.unsigned_abs())));
    let rows = table.number("table_rows", u64::from(default.table_rows), 1..100_001);
    let markdown = Markdown {
        colors: table.flag("colors", default.colors),
        raw: table.flag("raw", default.raw),
        embeds_every_secs: every("embeds_every", default.embeds_every_secs),
        boards_every_secs: every("boards_every", default.boards_every_secs),
        table_rows: u32::try_from(rows).unwrap_or(default.table_rows),
    };
    table.done();
    markdown
}

fn secs(length: Duration) -> i64 {
    i64::try_from(length.as_secs()).unwrap_or(i64::MAX)
}

/// The formats that a key asks for, in its order; `None` where it is not there or
/// wrong.
fn formats_of(table: &Table<'_, '_>, key: &'static str, allowed: &[Format]) -> Option<Vec<Format>> {
    let texts = table.texts(key)?;
    let value = table.get(key)?;
    if texts.is_empty() {
        table.wrong(
            key,
            value,
            "name at least one format; to leave a type out, use `types` in [filter]",
        );
        return None;
    }
    let mut chosen = Vec::new();
    for (text, at) in texts {
        if let Some(format) = allowed.iter().find(|format| format.as_str() == text) {
            if chosen.contains(format) {
                table.reader.wrong(&at, format!("{key} in [export]: {text:?} stands there twice"));
            }
            chosen.push(*format);
        } else {
            let words: Vec<&str> = allowed.iter().map(|format| format.as_str()).collect();
            let message = unknown_word(&text, &words);
            table.reader.wrong(&at, format!("{key} in [export]: {message}"));
        }
    }
    Some(chosen).filter(|chosen| !chosen.is_empty())
}

/// The `match` of a rule.
fn rule_globs(rule: &Table<'_, '_>) -> Globs {
    if let Some(pattern) = rule.text("match") {
        return globs(rule, "match", &[pattern]);
    }
    if rule.get("match").is_none() {
        let message = "this rule has no `match`; name a pattern like \"wiki/Handbook/**\"";
        rule.reader.wrong(&rule.at, message);
    }
    Globs::default()
}

fn globs(table: &Table<'_, '_>, key: &str, patterns: &[(String, std::ops::Range<usize>)]) -> Globs {
    for (pattern, at) in patterns {
        if let Err(error) = Globs::new([pattern.as_str()]) {
            let message = format!("{key}: {pattern:?} is no pattern: {}", error.kind());
            table.reader.wrong(at, message);
        } else if pattern.is_empty() || pattern.starts_with('/') {
            let message = format!(
                "{key}: {pattern:?} matches nothing; patterns begin with a source's name or `**`"
            );
            table.reader.wrong(at, message);
        }
    }
    Globs::new(patterns.iter().map(|(pattern, _)| pattern.as_str())).unwrap_or_default()
}

fn filter(table: &Table<'_, '_>) -> (Filter, Option<u64>, bool) {
    let include = table.texts("include").unwrap_or_else(|| vec![("**".to_owned(), 0..0)]);
    let include = globs(table, "include in [filter]", &include);
    let exclude = table.texts("exclude").unwrap_or_default();
    let exclude = globs(table, "exclude in [filter]", &exclude);
    let mut types = Vec::new();
    for (text, at) in table.texts("types").unwrap_or_default() {
        if TYPES.contains(&text.as_str()) {
            types.push(ObjType::from(text));
        } else {
            let message = unknown_word(&text, &TYPES);
            table.reader.wrong(&at, format!("types in [filter]: {message}"));
        }
    }
    let max_size = Some(table.size("max_size", 10 << 30)).filter(|size| *size > 0);
    let allow_forbidden = table.flag("allow_forbidden", false);
    table.done();
    (Filter { include, exclude, types }, max_size, allow_forbidden)
}

fn crawl(table: &Table<'_, '_>) -> Crawl {
    let full_every = table.duration("full_every", 7 * DAY);
    let full_under = table.duration("full_under", Duration::from_secs(2 * 3_600));
    table.done();
    Crawl { full_every, full_under }
}

fn prune(table: &Table<'_, '_>) -> (PruneAction, Vec<(Globs, PruneAction)>, MaxDelete, Duration) {
    let default = table.choice("default", &PRUNE_WORDS, PruneAction::Keep);
    let max_delete = table.parsed("max_delete", MaxDelete::Percent(25.0), values::max_delete);
    let retention = table.duration("trash_retention", 30 * DAY);
    let mut rules = Vec::new();
    for rule in table.tables("rule") {
        let matches = rule_globs(&rule);
        if rule.get("action").is_none() {
            let message = "this rule has no `action`; allowed: keep, trash, delete";
            rule.reader.wrong(&rule.at, message);
        }
        rules.push((matches, rule.choice("action", &PRUNE_WORDS, PruneAction::Keep)));
        rule.done();
    }
    table.done();
    (default, rules, max_delete, retention)
}

fn limits(table: &Table<'_, '_>) -> Limits {
    let second = Duration::from_secs(1);
    let at_least_a_second = |text: &str| {
        values::duration(text).and_then(|length| {
            if length < second { Err("must be 1s or more".to_owned()) } else { Ok(length) }
        })
    };
    let default = Limits::default();
    let limits = Limits {
        concurrency: usize::try_from(table.number(
            "concurrency",
            default.concurrency as u64,
            1..257,
        ))
        .unwrap_or(default.concurrency),
        bandwidth: table.size("bandwidth", default.bandwidth),
        request_timeout: table.parsed(
            "request_timeout",
            default.request_timeout,
            at_least_a_second,
        ),
        retries: u32::try_from(table.number("retries", u64::from(default.retries), 0..101))
            .unwrap_or(default.retries),
        export_timeout: table.parsed("export_timeout", default.export_timeout, at_least_a_second),
        quota_share: table.share("quota_share", default.quota_share, 1000.0),
        max_calls: table.number("max_calls", default.max_calls, 0..u64::MAX),
    };
    table.done();
    limits
}

/// Sections whose commands come later: their known keys are checked, so that a config
/// can be written once.
fn later_sections(top: &Table<'_, '_>) {
    let minutes = top.table("minutes");
    minutes.text("timezone");
    minutes.duration("recheck", 30 * DAY);
    minutes.done();
    let watch = top.table("watch");
    watch.duration("interval", Duration::from_secs(3_600));
    watch.number("subscribe", 1000, 0..u64::MAX);
    watch.done();
    top.table("notify").done();
}
