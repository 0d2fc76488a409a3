//! The part of a walk that earlier runs made, checked by metadata: 200 places a call.

use std::collections::BTreeMap;

use super::kept::Kept;
use super::{Run, Trouble};
use crate::model::tree::{Existence, Family};
use crate::model::{Edited, ObjType, Object, PlaceToken};

/// True for objects that `metas/batch_query` tells about; a shortcut or a space is none,
/// and a word that the call does not know would spoil it for 199 others.
pub(super) fn has_metas(ty: &ObjType) -> bool {
    !matches!(ty, ObjType::Shortcut | ObjType::Space | ObjType::Other(_))
}

/// Asks for everything that was listed. What was edited since gets the time that metadata
/// shows, and its title. A listing that shows something deleted is dropped, so that its
/// parent is listed again: whether it is gone is for a listing to say.
///
/// Returns titles as in [`crate::model::tree::RemoteSource::titles`]. An error means that
/// not everything was checked.
pub(super) async fn recheck(
    run: &Run<'_>,
    family: Family,
    kept: &mut BTreeMap<Option<PlaceToken>, Kept>,
) -> Result<BTreeMap<PlaceToken, String>, Trouble> {
    let nodes = kept.values().flat_map(|kept| kept.found.iter().map(|found| &found.node));
    let asked: Vec<(String, String)> =
        nodes.filter(|node| has_metas(&node.object.ty)).map(|node| asked(&node.object)).collect();
    let mut titles = BTreeMap::new();
    if asked.is_empty() {
        return Ok(titles);
    }
    let answers = run.call(run.client.query_metas(&asked)).await?;
    let answers: BTreeMap<_, _> = answers.into_iter().collect();
    let mut stale = Vec::new();
    for (at, kept) in kept.iter_mut() {
        for found in &mut kept.found {
            let node = &mut found.node;
            match answers.get(&self::asked(&node.object)) {
                Some(Ok(meta)) => {
                    let edited = node.edited.filter(|seen| is_later(meta.edited, *seen));
                    // In Drive both show one title; a wiki node may have its own.
                    if !meta.title.is_empty()
                        && node.title != meta.title
                        && (edited.is_some() || family == Family::Drive)
                    {
                        node.title.clone_from(&meta.title);
                        titles.insert(node.token.clone(), meta.title.clone());
                    }
                    if edited.is_some() {
                        node.edited = Some(meta.edited);
                    }
                }
                Some(Err(Existence::Gone)) => {
                    stale.push(at.clone());
                    break;
                }
                // Nothing is known of a few: they are as they were listed.
                Some(Err(_)) | None => {}
            }
        }
    }
    for at in stale {
        kept.remove(&at);
    }
    Ok(titles)
}

/// True where metadata shows an edit that the listing cannot have shown.
fn is_later(now: Edited, listed: Edited) -> bool {
    now.at_secs.saturating_add(Edited::SETTLED_AFTER_SECS) > listed.seen_secs
}

/// An object as metadata is asked for.
pub(super) fn asked(object: &Object) -> (String, String) {
    (object.ty.as_str().to_owned(), object.token.as_str().to_owned())
}
