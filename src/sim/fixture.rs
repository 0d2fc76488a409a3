//! Tenants from JSON: `fixtures/tenants/*.json`.
//!
//! ```json
//! {
//!   "drive": [
//!     {"type": "folder", "title": "Plans", "children": [
//!       {"type": "docx", "title": "Roadmap", "text": "line\nline", "key": "roadmap"},
//!       {"type": "sheet", "title": "Budget", "tabs": ["2025", "2026"]},
//!       {"type": "file", "title": "logo.png"}
//!     ]},
//!     {"type": "shortcut", "to": "roadmap"}
//!   ],
//!   "spaces": [{"name": "Handbook", "nodes": [{"type": "docx", "title": "Home"}]}],
//!   "my_library": [{"type": "docx", "title": "Diary"}]
//! }
//! ```
//!
//! An uploaded file holds `text`, or `size` computed bytes, or a small file of the kind
//! that its name says. Everything is made in the order in which it is written; `key`
//! names something for the shortcuts anywhere in the file.

use std::collections::HashMap;

use serde::Deserialize;

use super::build::Item;
use super::content;
use super::tenant::Tenant;
use crate::clock::Clock;

/// Why a fixture is no tenant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// Not the JSON that this module's page describes.
    #[error("the fixture is no tenant: {0}")]
    Json(#[from] serde_json::Error),
    /// A shortcut without a target.
    #[error("shortcut to {0:?}: no entry has this key; write \"key\": {0:?} on its target")]
    NoTarget(String),
    /// Two entries with one key.
    #[error("two entries have the key {0:?}; keys are for one entry each")]
    KeyTwice(String),
    /// An entry without what its type needs.
    #[error("an entry of type {ty} needs {needs:?}")]
    Needs {
        /// The entry's type.
        ty: String,
        /// The missing field.
        needs: &'static str,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// For readers.
    #[serde(default, rename = "about")]
    _about: Option<String>,
    /// More users: name and access token.
    #[serde(default)]
    users: Vec<UserEntry>,
    /// The default user's "My Space".
    #[serde(default)]
    drive: Vec<Entry>,
    #[serde(default)]
    spaces: Vec<SpaceEntry>,
    #[serde(default)]
    my_library: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    name: String,
    token: String,
    #[serde(default)]
    drive: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpaceEntry {
    name: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    forbidden: bool,
    #[serde(default)]
    nodes: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "type")]
    ty: String,
    #[serde(default)]
    title: Option<String>,
    /// Names it for shortcuts.
    #[serde(default)]
    key: Option<String>,
    /// For shortcuts: the target's key.
    #[serde(default)]
    to: Option<String>,
    /// The object's token.
    #[serde(default)]
    token: Option<String>,
    /// The wiki node's or the shortcut's token.
    #[serde(default)]
    node_token: Option<String>,
    #[serde(default)]
    text: Option<String>,
    /// Bytes of an uploaded file.
    #[serde(default)]
    size: Option<u64>,
    /// Sheets or tables.
    #[serde(default)]
    tabs: Vec<String>,
    /// Records in the first table of a base, with a value of every type.
    #[serde(default)]
    records: u64,
    /// Blocks of a document, as the service sends them.
    #[serde(default)]
    blocks: Option<serde_json::Value>,
    /// Names of images inside a document.
    #[serde(default)]
    images: Vec<String>,
    /// Seconds since 1970.
    #[serde(default)]
    created: Option<i64>,
    /// Seconds since 1970.
    #[serde(default)]
    edited: Option<i64>,
    #[serde(default)]
    forbidden: bool,
    /// Job status with which its exports end.
    #[serde(default)]
    refuse_export: Option<i64>,
    #[serde(default)]
    children: Vec<Entry>,
}

#[derive(Default)]
struct Keys {
    known: HashMap<String, Item>,
    /// Shortcuts wait until everything is there: folder, entry.
    waiting: Vec<(Item, Entry)>,
}

impl Tenant {
    /// Makes a tenant from JSON text.
    ///
    /// # Errors
    ///
    /// Where the text is not what this module describes; the message says where.
    pub fn from_fixture(json: &str, clock: Clock) -> Result<Self, FixtureError> {
        let file: File = serde_json::from_str(json)?;
        let tenant = Self::new(clock);
        let mut keys = Keys::default();
        fill(&tenant.root(), file.drive, &mut keys)?;
        for user in file.users {
            fill(&tenant.add_user(&user.name, &user.token), user.drive, &mut keys)?;
        }
        for entry in file.spaces {
            let space = match entry.id {
                Some(id) => tenant.space_with_id(&id, &entry.name),
                None => tenant.space(&entry.name),
            };
            if entry.forbidden {
                space.forbid();
            }
            fill(&space, entry.nodes, &mut keys)?;
        }
        if !file.my_library.is_empty() {
            fill(&tenant.my_library(), file.my_library, &mut keys)?;
        }
        for (parent, entry) in std::mem::take(&mut keys.waiting) {
            let to = entry.to.clone().unwrap_or_default();
            let target = keys.known.get(&to).ok_or(FixtureError::NoTarget(to))?;
            finish(parent.shortcut_to(target), entry, &mut keys)?;
        }
        Ok(tenant)
    }
}

fn fill(parent: &Item, entries: Vec<Entry>, keys: &mut Keys) -> Result<(), FixtureError> {
    for mut entry in entries {
        if entry.ty == "shortcut" {
            if entry.to.is_none() {
                return Err(FixtureError::Needs { ty: entry.ty, needs: "to" });
            }
            keys.waiting.push((parent.clone(), entry));
            continue;
        }
        let Some(title) = entry.title.take() else {
            return Err(FixtureError::Needs { ty: entry.ty, needs: "title" });
        };
        let mut item = match (entry.ty.as_str(), entry.size) {
            ("file", Some(size)) => parent.upload_sized(&title, size),
            ("file", None) => match entry.text.take() {
                Some(text) => parent.upload(&title, text),
                None => parent.upload(&title, content::sample(&title)),
            },
            (ty, _) => parent.other_type(&title, ty),
        };
        if let Some(text) = entry.text.take() {
            item = item.text(&text);
        }
        if !entry.tabs.is_empty() {
            let titles: Vec<&str> = entry.tabs.iter().map(String::as_str).collect();
            item = item.tabs(&titles);
        }
        if entry.records > 0 {
            item.table(entry.tabs.first().map_or("Table 1", String::as_str)).records(entry.records);
        }
        if let Some(blocks) = entry.blocks.take() {
            item = item.blocks(blocks);
        }
        for image in &entry.images {
            item.image(image, content::sample(image));
        }
        if let Some(status) = entry.refuse_export {
            item.refuse_export(status);
        }
        if let Some(secs) = entry.edited {
            item = item.edited_at(secs);
        }
        let children = std::mem::take(&mut entry.children);
        let item = finish(item, entry, keys)?;
        fill(&item, children, keys)?;
    }
    Ok(())
}

/// What places of every kind may have.
fn finish(mut item: Item, entry: Entry, keys: &mut Keys) -> Result<Item, FixtureError> {
    if let Some(title) = &entry.title {
        item = item.titled(title);
    }
    if let Some(token) = &entry.token {
        item = item.with_token(token);
    }
    if let Some(token) = &entry.node_token {
        item = item.with_place_token(token);
    }
    if let Some(secs) = entry.created {
        item = item.created_at(secs);
    }
    if entry.forbidden {
        item.forbid();
    }
    if let Some(key) = entry.key
        && keys.known.insert(key.clone(), item.clone()).is_some()
    {
        return Err(FixtureError::KeyTwice(key));
    }
    Ok(item)
}
