//! The `[[source]]` entries: names that are safe folders, and what each covers.

use std::collections::BTreeMap;
use std::ops::Range;

use super::reader::{Table, unknown_word};
use super::sections::NOT_YET;
use super::values::{self, Link};
use crate::layout;
use crate::model::source::{Source, SourceKind, WikiScope};
use crate::model::{ObjType, SourceName};

/// Reads all sources; there must be one.
pub fn read(top: &Table<'_, '_>) -> Vec<Source> {
    let tables = top.tables("source");
    if tables.is_empty() && top.is_there() && top.get("source").is_none() {
        let message = "there is no [[source]]; add one, for example:\n\n    [[source]]\n    \
                       name = \"drive\"\n    kind = \"drive\"\n";
        top.reader.wrong(&top.at, message);
    }
    let mut seen: BTreeMap<String, (String, usize)> = BTreeMap::new();
    let mut sources = Vec::new();
    for table in &tables {
        let Some((name, at)) = name(table) else {
            source_kind(table);
            continue;
        };
        let line = table.reader.line(&at);
        if let Some((first, first_line)) = seen.insert(layout::fold(&name), (name.clone(), line)) {
            let message = format!(
                "two sources would share one folder: {first:?} (line {first_line}) and {name:?} \
                 (line {line}); names must differ by more than case"
            );
            table.reader.wrong(&at, message);
        }
        let kind = source_kind(table);
        let allow_empty = table.flag("allow_empty", false);
        table.done();
        if let Some(kind) = kind {
            sources.push(Source { name: SourceName::new(name), kind, allow_empty });
        }
    }
    sources
}

/// The name, which is also a folder: it must be what a title would be cleaned to.
fn name(table: &Table<'_, '_>) -> Option<(String, Range<usize>)> {
    let Some((name, at)) = table.text("name") else {
        if table.get("name").is_none() {
            let message = "this source has no `name`; it is also its folder in the copy";
            table.reader.wrong(&table.at, message);
        }
        return None;
    };
    let clean = layout::stem(&name, &ObjType::Folder);
    let why = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.starts_with('.') {
        "it begins with a dot".to_owned()
    } else if clean != name {
        format!("it is no portable folder name; {clean:?} would be")
    } else {
        return Some((name, at));
    };
    table.reader.wrong(&at, format!("name in [[source]]: {name:?}: {why}"));
    None
}

fn source_kind(table: &Table<'_, '_>) -> Option<SourceKind> {
    let allowed = ["drive", "wiki", "docs", "minutes"];
    let Some((kind, at)) = table.text("kind") else {
        if table.get("kind").is_none() {
            let message = format!("this source has no `kind`; allowed: {}", allowed.join(", "));
            table.reader.wrong(&table.at, message);
        }
        return None;
    };
    // Asked for in every kind, so that a key of another kind is not called unknown.
    let keys = [("folder", "drive"), ("space", "wiki"), ("urls", "docs")];
    for (key, of) in keys {
        if let Some(value) = table.get(key)
            && of != kind
            && allowed.contains(&kind.as_str())
        {
            table.wrong(key, value, &format!("belongs to kind = {of:?}, this one is {kind:?}"));
        }
    }
    match kind.as_str() {
        "drive" => Some(SourceKind::Drive { folder: drive_folder(table) }),
        "wiki" => Some(SourceKind::Wiki(wiki_scope(table))),
        "docs" => Some(SourceKind::Docs(documents(table))),
        "minutes" => {
            let message = format!("kind = \"minutes\" is {NOT_YET}; remove this source");
            table.reader.wrong(&at, message);
            None
        }
        other => {
            let message = format!("kind in [[source]]: {}", unknown_word(other, &allowed));
            table.reader.wrong(&at, message);
            None
        }
    }
}

/// `None`: the root of "My Space".
fn drive_folder(table: &Table<'_, '_>) -> Option<String> {
    let (text, at) = table.text("folder")?;
    let wrong = |why: String| {
        table.reader.wrong(&at, format!("folder in [[source]]: {why}"));
        None
    };
    if text == "root" {
        return None;
    }
    if !text.contains("://") {
        return if values::is_token(&text) {
            Some(text)
        } else {
            wrong(format!("{text:?} is neither \"root\", nor a folder's token, nor its link"))
        };
    }
    match values::link(&text) {
        Ok(Link::MySpace) => None,
        Ok(Link::Folder(token)) => Some(token),
        Ok(Link::WikiNode(_) | Link::WikiSpace(_)) => {
            wrong(format!("{text:?} leads to a wiki; use kind = \"wiki\" with `space`"))
        }
        Ok(other) => wrong(format!(
            "{text:?} leads to {}, not to a Drive folder; use kind = \"docs\" with `urls`",
            other.what()
        )),
        Err(why) => wrong(why),
    }
}

fn wiki_scope(table: &Table<'_, '_>) -> WikiScope {
    let Some((text, at)) = table.text("space") else { return WikiScope::All };
    let wrong = |why: String| {
        table.reader.wrong(&at, format!("space in [[source]]: {why}"));
        WikiScope::All
    };
    match text.as_str() {
        "all" => return WikiScope::All,
        "my_library" => return WikiScope::MyLibrary,
        id if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => {
            return WikiScope::Space(text);
        }
        _ => {}
    }
    if !text.contains("://") {
        return wrong(format!(
            "{text:?} is not allowed; allowed: all, my_library, a space's number, a wiki link"
        ));
    }
    match values::link(&text) {
        Ok(Link::WikiNode(token)) => WikiScope::Subtree(token),
        Ok(Link::WikiSpace(id)) => WikiScope::Space(id),
        Ok(other) => wrong(format!("{text:?} leads to {}, not to a wiki", other.what())),
        Err(why) => wrong(why),
    }
}

/// Type word (`wiki` for a wiki link) and token of each document.
fn documents(table: &Table<'_, '_>) -> Vec<(String, String)> {
    let Some(urls) = table.texts("urls") else {
        if table.get("urls").is_none() {
            let message = "this source has no `urls`; list the links of its documents";
            table.reader.wrong(&table.at, message);
        }
        return Vec::new();
    };
    let mut documents: Vec<(String, String)> = Vec::new();
    for (text, at) in urls {
        let found = match values::link(&text) {
            Ok(Link::Document(word, token)) => Ok((word.to_owned(), token)),
            Ok(Link::WikiNode(token)) => Ok(("wiki".to_owned(), token)),
            Ok(Link::Minutes(_)) => Err(format!("{text:?}: recordings are {NOT_YET}")),
            Ok(Link::MySpace | Link::Folder(_)) => {
                Err(format!("{text:?} leads to a folder; use kind = \"drive\" with `folder`"))
            }
            Ok(Link::WikiSpace(_)) => {
                Err(format!("{text:?} leads to a whole wiki; use kind = \"wiki\" with `space`"))
            }
            Err(why) => Err(why),
        };
        match found {
            Ok(document) if documents.iter().any(|(_, token)| *token == document.1) => {
                table.reader.wrong(&at, format!("urls in [[source]]: {text:?} stands there twice"));
            }
            Ok(document) => documents.push(document),
            Err(why) => table.reader.wrong(&at, format!("urls in [[source]]: {why}")),
        }
    }
    documents
}
