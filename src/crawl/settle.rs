//! Paths of places that did not come from the top down: which are left out, and which hang
//! in the air.

use std::collections::BTreeMap;

use crate::layout;
use crate::model::tree::{Listing, RemoteSource};
use crate::model::{PlaceToken, SourceName};
use crate::rules::Rules;

/// Decides about `filtered` anew, from the top. What is below an excluded place, and what
/// has no way up, is not part of the tree.
pub(super) fn settle(source: &mut RemoteSource, name: &SourceName, rules: &Rules) {
    let mut below: BTreeMap<Option<PlaceToken>, Vec<PlaceToken>> = BTreeMap::new();
    for node in source.nodes.values() {
        below.entry(node.parent.clone()).or_default().push(node.token.clone());
    }
    let mut nodes = BTreeMap::new();
    let mut pending = vec![(None, name.to_string())];
    while let Some((at, above)) = pending.pop() {
        // Taken out, so that nothing is visited twice.
        for token in below.remove(&at).unwrap_or_default() {
            let Some(mut node) = source.nodes.remove(&token) else { continue };
            let target = node.target.as_ref().map(|target| &target.object);
            let ty = layout::naming_type(&node.object, target);
            let path = format!("{above}/{}", layout::glob_name(&node.title, ty));
            let excluded = rules.filter.excludes(&path);
            node.filtered = excluded || !rules.filter.wants(&path, &node.object.ty);
            let place = Some(token.clone());
            if !excluded {
                pending.push((place, path));
            } else if below.contains_key(&place) || source.listings.contains_key(&place) {
                source.listings.insert(place, Listing::Excluded);
            }
            nodes.insert(token, node);
        }
    }
    let lost = std::mem::replace(&mut source.nodes, nodes);
    for token in lost.into_keys() {
        source.listings.remove(&Some(token));
    }
}
