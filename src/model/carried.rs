//! A recorded place, as if it had been listed just as it was last time.

use super::PlaceKey;
use super::recorded::{PlaceRow, Slot};
use super::tree::{Node, Target};

/// The place that a row remembers, as a listing would show it where nothing has changed.
///
/// Only what the manifest keeps: its owner is not known, and whether it is filtered is for
/// the caller to say.
pub fn node_of_row(key: &PlaceKey, row: &PlaceRow) -> Node {
    let target = row.target.clone();
    Node {
        token: key.token.clone(),
        parent: row.parent.clone(),
        object: row.object.clone(),
        title: row.title.clone(),
        created_secs: row.created_secs,
        order: row.order,
        owner: None,
        edited: row.edited,
        has_children: row.names.contains_key(&Slot::Dir),
        url: row.url.clone(),
        target: target.map(|object| Target { object, place: row.target_place.clone() }),
        filtered: false,
    }
}
