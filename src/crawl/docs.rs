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
    let (answers, failed) = query_metas(walk.run, urls).await?;
    let mut found = Vec::new();
    for ((ty, token), answer) in answers {
        let place = PlaceToken::new(token);
        match answer {
            Ok(meta) => found.push(Found { node: node(place, meta), below: None }),
            Err(existence) => {
                walk.run.progress.warn(&not_seen(walk.name, &ty, &place, &existence));
                walk.source.known.insert(place, existence);
            }
        }
    }
    let added = walk.add_at_top(found);
    match failed {
        None => {
            walk.top(Listing::Complete);
            walk.run.progress.listed(walk.name, added);
        }
        Some(failure) => {
            for (_, token) in urls {
                let place = PlaceToken::from(token.as_str());
                let source = &mut walk.source;
                if !source.nodes.contains_key(&place) && !source.known.contains_key(&place) {
                    source.known.insert(place, Existence::Unknown(failure.clone()));
                }
            }
            walk.top(Listing::Failed(failure));
        }
    }
    Ok(walk.source)
}

fn node(place: PlaceToken, meta: Meta) -> Node {
    Node {
        token: place,
        parent: None,
        object: meta.object,
        title: meta.title,
        created_secs: meta.created_secs,
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
