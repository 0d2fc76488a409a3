//! The tables of the manifest, and what their keys and values look like.
//!
//! `meta` never changes its types, so that any program can tell the version of any
//! manifest. Rows of places are packed, see `packed`; all others are JSON: a field added
//! later is a default in old rows, and a change that needs more gets a new [`VERSION`] and a
//! step in `migrate`.

use redb::{TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;

use crate::model::recorded::is_component;
use crate::model::{PlaceKey, PlaceToken, SourceName};

/// The manifest's file in the state folder.
pub(super) const FILE: &str = "manifest.redb";

/// The version this program writes, and the newest it reads.
pub(super) const VERSION: u32 = 2;

/// Facts about the manifest itself: [`META_VERSION`], [`META_WRITTEN_BY`],
/// [`META_MIRROR`].
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// `source\0token` to a place's row, packed.
pub(super) const PLACES: TableDefinition<&str, &[u8]> = TableDefinition::new("rows");
/// The same in version 1, as JSON.
pub(super) const PLACES_V1: TableDefinition<&str, &[u8]> = TableDefinition::new("places");
/// A source's name to its row.
pub(super) const SOURCES: TableDefinition<&str, &[u8]> = TableDefinition::new("sources");
/// A number to an open intent.
pub(super) const INTENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("intents");

/// The version, in decimal.
pub(super) const META_VERSION: &str = "version";
/// The program and version that made it or migrated it last.
pub(super) const META_WRITTEN_BY: &str = "written_by";
/// The mirror's id, also in its marker.
pub(super) const META_MIRROR: &str = "mirror_id";

/// The account that the mirror was made with, as JSON. Absent before the first run that
/// came as far as a plan.
pub(super) const META_ACCOUNT: &str = "account";

/// What is written under [`META_WRITTEN_BY`].
pub(super) const WRITTEN_BY: &str = concat!("feishu-mirror ", env!("CARGO_PKG_VERSION"));

/// A place's key as text. Sorts as [`PlaceKey`] does, since neither part holds NUL.
pub(super) fn key_text(key: &PlaceKey) -> String {
    format!("{}\0{}", key.source, key.token)
}

/// And back: source and token.
pub(super) fn split_key(text: &str) -> Option<(&str, &str)> {
    text.split_once('\0').filter(|(source, _)| is_source(source))
}

/// The same, owned.
pub(super) fn parse_key(text: &str) -> Option<PlaceKey> {
    let (source, token) = split_key(text)?;
    Some(PlaceKey::new(&SourceName::new(source), &PlaceToken::new(token)))
}

/// True for what may be a source's name, which is also its folder in the copy.
pub(super) fn is_source(name: &str) -> bool {
    is_component(name) && !name.starts_with('.')
}

/// The keys of all places of a source: from the first text to before the second.
pub(super) fn source_range(source: &SourceName) -> (String, String) {
    (format!("{source}\0"), format!("{source}\u{1}"))
}

/// Writes a row.
pub(super) fn encode(row: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(row).expect("rows have string keys and no failing fields")
}

/// Reads a row; says where it is damaged.
pub(super) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("row {what:?}: {error}"))
}

/// Makes the tables of an empty manifest.
pub(super) fn fill(txn: &WriteTransaction, mirror_id: &str) -> Result<(), redb::Error> {
    let mut meta = txn.open_table(META)?;
    meta.insert(META_VERSION, VERSION.to_string().as_str())?;
    meta.insert(META_WRITTEN_BY, WRITTEN_BY)?;
    meta.insert(META_MIRROR, mirror_id)?;
    txn.open_table(PLACES)?;
    txn.open_table(SOURCES)?;
    txn.open_table(INTENTS)?;
    Ok(())
}
