//! Single documents by their URLs: one metadata call for 200 of them.

use super::ask::query_metas;
use super::walk::{Found, Walk};
use crate::feishu::ApiError;
use crate::model::tree::{Existence, Family, Listing, Meta, Node, RemoteSource};
use crate::model::{PlaceToken, SourceName};

/// Looks at all documents of a source: type word (`wiki` for a wiki link, which stands
/// for the document behind it) and token.
pub(super) async fn list(
    mut walk: Walk<'_>,
    urls: &[(String, String)],
) -> Result<RemoteSource, ApiError> {
    walk.is(Family::Docs, "docs");
    walk.source.pinned = true;
    let answers = query_metas(walk.run, urls).await?;
    let mut found = Vec::new();
    let mut failed = None;
    for ((ty, token), answer) in answers {
        let place = PlaceToken::new(token);
        let existence = match answer {
            Ok(meta) => {
                found.push(Found { node: node(place, meta), below: None });
                continue;
            }
            Err(existence) => existence,
        };
        match &existence {
            // Said once: a call that fails has no answer about any of its documents.
            Existence::Unknown(failure) => failed = failed.or_else(|| Some(failure.clone())),
            existence => {
                walk.run.progress.warn(&not_seen(walk.name, &ty, &place, existence));
            }
        }
        walk.source.known.insert(place, existence);
    }
    let added = walk.add_at_top(found);
    walk.run.progress.listed(walk.name, added);
    walk.top(failed.map_or(Listing::Complete, Listing::Failed));
    Ok(walk.source)
}

fn node(place: PlaceToken, meta: Meta) -> Node {
    Node {
        token: place,
        parent: None,
        object: meta.object,
        title: meta.title,
        created_secs: meta.created_secs,
        order: 0,
        owner: meta.owner,
        edited: Some(meta.edited),
        has_children: false,
        url: meta.url,
        target: None,
        filtered: false,
    }
}

fn not_seen(source: &SourceName, ty: &str, place: &PlaceToken, why: &Existence) -> String {
    let what = match why {
        Existence::Gone => "it does not exist (any more); correct or remove its URL in the config",
        Existence::Hidden => {
            "this identity may not see it; share it with the user, or add the app to the \
             document"
        }
        Existence::Exists => "the service gives no metadata for this type; remove its URL",
        Existence::Unknown(failure) => &failure.message,
    };
    format!("{source}: {ty} {place}: {what}")
}
