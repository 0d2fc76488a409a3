//! Wiki: spaces, the user's own library, nodes, and single subtrees.

use super::walk::{Found, List, Walk};
use super::{Run, Trouble};
use crate::feishu::{ApiError, Class, Client, Space, WikiNode};
use crate::model::source::WikiScope;
use crate::model::tree::{Family, Listing, Node, RemoteSource, Target};
use crate::model::{Channel, Edited, ObjType, Object, PlaceToken};

/// What the service calls the user's own library, in place of its id.
const MY_LIBRARY: &str = "my_library";

/// Its title in the copy; the service translates its own.
const MY_LIBRARY_TITLE: &str = "My Library";

/// Walks what a wiki source covers.
pub(super) async fn walk(
    walk: Walk<'_>,
    scope: &WikiScope,
    as_user: bool,
) -> Result<RemoteSource, ApiError> {
    match scope {
        WikiScope::All => all(walk, as_user).await,
        WikiScope::MyLibrary if as_user => my_library(walk).await,
        WikiScope::MyLibrary => Err(no_library_of_its_own(walk.name.as_str())),
        WikiScope::Space(id) => space(walk, id).await,
        WikiScope::Subtree(token) => subtree(walk, token).await,
    }
}

/// Every listed space, a place each. The library is in no listing and is asked for.
async fn all(mut walk: Walk<'_>, as_user: bool) -> Result<RemoteSource, ApiError> {
    walk.is(Family::Wiki, "all");
    let (spaces, library) = tokio::join!(walk.run.call(walk.run.client.list_spaces()), async {
        if as_user { own_library(walk.run).await } else { Ok(None) }
    },);
    let (spaces, library) = match (spaces, library) {
        (Ok(spaces), Ok(library)) => (spaces.items, library),
        // What ends the run comes first, whichever call met it.
        (Err(trouble @ Trouble::Ends(_)), _) | (_, Err(trouble)) => {
            return walk.without_top(trouble);
        }
        (Err(trouble), Ok(_)) => return walk.without_top(trouble),
    };
    let added = walk.add_at_top(library.into_iter().chain(spaces).map(space_found).collect());
    walk.top(Listing::Complete);
    walk.run.progress.listed(walk.name, added);
    walk.finish().await
}

/// The user's library, if there is one that can be seen. An existing copy of it is
/// asked about by its id, like every place that is missing.
async fn own_library(run: &Run<'_>) -> Result<Option<Space>, Trouble> {
    match run.call(run.client.get_space(MY_LIBRARY)).await {
        Ok(space) => Ok(Some(Space { space_type: MY_LIBRARY.to_owned(), ..space })),
        Err(Trouble::Here(error)) if matches!(error.class, Class::Gone | Class::Forbidden) => {
            run.progress.warn(&format!("My Library is left out: {error}"));
            Ok(None)
        }
        Err(trouble) => Err(trouble),
    }
}

/// The real id of the user's own library.
pub(super) async fn library_id(run: &Run<'_>) -> Result<String, Trouble> {
    run.call(run.client.get_space(MY_LIBRARY)).await.map(|library| library.space_id)
}

async fn my_library(mut walk: Walk<'_>) -> Result<RemoteSource, ApiError> {
    walk.is(Family::Wiki, "");
    match library_id(walk.run).await {
        Ok(id) => space(walk, &id).await,
        Err(trouble) => walk.without_top(trouble),
    }
}

async fn space(mut walk: Walk<'_>, id: &str) -> Result<RemoteSource, ApiError> {
    walk.is(Family::Wiki, id);
    walk.start_at(id, List::Wiki { space: id.to_owned(), node: None });
    walk.finish().await
}

async fn subtree(mut walk: Walk<'_>, token: &str) -> Result<RemoteSource, ApiError> {
    walk.is(Family::Wiki, token);
    match walk.run.call(walk.run.client.get_node(token)).await {
        Ok((node, seen_secs)) => {
            let space = node.space_id.clone();
            let added = walk.add_at_top(vec![node_found(node, 0, &space, seen_secs)]);
            walk.top(Listing::Complete);
            walk.run.progress.listed(walk.name, added);
            walk.finish().await
        }
        Err(trouble) => walk.without_top(trouble),
    }
}

pub(super) async fn children(
    client: &Client,
    space: &str,
    node: Option<&str>,
) -> Result<Vec<Found>, ApiError> {
    let listed = client.list_nodes(space, node).await?;
    let found = |(number, node)| node_found(node, number, space, listed.seen_secs);
    Ok(listed.items.into_iter().enumerate().map(found).collect())
}

pub(super) fn space_found(space: Space) -> Found {
    let is_library = space.space_type == MY_LIBRARY;
    let node = Node {
        token: PlaceToken::from(space.space_id.as_str()),
        parent: None,
        object: Object::new(ObjType::Space, space.space_id.as_str()),
        title: if is_library { MY_LIBRARY_TITLE.to_owned() } else { space.name },
        // No creation time is served. Ids are numbers, and of two spaces with one name
        // the smaller keeps it; one that does not fit is young, and its text decides.
        created_secs: space.space_id.parse().unwrap_or(0),
        order: 0,
        owner: None,
        edited: None,
        has_children: false,
        url: None,
        target: None,
        filtered: false,
    };
    Found { node, below: Some(List::Wiki { space: space.space_id, node: None }) }
}

fn node_found(node: WikiNode, number: usize, space: &str, seen_secs: i64) -> Found {
    let content = Object::new(ObjType::from(node.obj_type.as_str()), node.obj_token);
    // A shortcut's type and token are its target's, and it reports the target's
    // children: going there would walk in circles.
    let below = (node.has_child && !node.is_shortcut)
        .then(|| List::Wiki { space: space.to_owned(), node: Some(node.node_token.clone()) });
    let edited =
        node.obj_edit_secs.map(|at_secs| Edited { channel: Channel::Wiki, at_secs, seen_secs });
    let (object, target) = if node.is_shortcut {
        let object = Object { ty: ObjType::Shortcut, token: content.token.clone() };
        let place = node.origin_node_token.map(PlaceToken::new);
        (object, Some(Target { object: content, place }))
    } else {
        (content, None)
    };
    let node = Node {
        token: PlaceToken::new(node.node_token),
        parent: None,
        object,
        title: node.title,
        created_secs: node.node_create_secs.unwrap_or(0),
        order: u32::try_from(number).unwrap_or(u32::MAX),
        owner: node.owner,
        edited,
        has_children: below.is_some(),
        url: None,
        target,
        filtered: false,
    };
    Found { node, below }
}

fn no_library_of_its_own(source: &str) -> ApiError {
    ApiError {
        class: Class::Config,
        endpoint: "GET /open-apis/wiki/v2/spaces/:space_id",
        code: None,
        status: None,
        message: format!(
            "source {source} is `space = \"my_library\"`, and an app has no library of its own"
        ),
        hint: Some("log in as a user, or name a space id or \"all\"".to_owned()),
    }
}
