//! Drive: folders, what is in them, and shortcuts that are never followed.

use super::walk::{Found, List, Walk};
use crate::feishu::{ApiError, Client, DriveEntry};
use crate::model::tree::{Family, Node, RemoteSource, Target};
use crate::model::{Channel, Edited, ObjType, Object, PlaceToken};

/// Walks a folder; `None`: the root of "My Space", by its real token. Listed without a
/// token the root comes unpaged and without shortcuts (docs: drive-v1/file/list).
pub(super) async fn walk(
    mut walk: Walk<'_>,
    folder: Option<&str>,
) -> Result<RemoteSource, ApiError> {
    walk.is(Family::Drive, folder.unwrap_or_default());
    let top = match folder {
        Some(token) => token.to_owned(),
        None => match walk.run.call(walk.run.client.get_root_folder()).await {
            Ok(token) => token,
            Err(trouble) => return walk.without_top(trouble),
        },
    };
    walk.is(Family::Drive, top.as_str());
    walk.start_at(&top, List::Folder(top.clone()));
    walk.finish().await
}

pub(super) async fn children(client: &Client, folder: &str) -> Result<Vec<Found>, ApiError> {
    let listed = client.list_folder(folder).await?;
    Ok(listed.items.into_iter().map(|entry| found(entry, listed.seen_secs)).collect())
}

fn found(entry: DriveEntry, seen_secs: i64) -> Found {
    let ty = ObjType::from(entry.ty.as_str());
    let target = entry.target.filter(|_| ty == ObjType::Shortcut).map(|(ty, token)| Target {
        object: Object::new(ObjType::from(ty.as_str()), token),
        place: None,
    });
    let below = (ty == ObjType::Folder).then(|| List::Folder(entry.token.clone()));
    // A folder has no content, and a shortcut's time is that of the shortcut.
    let has_content = !matches!(ty, ObjType::Folder | ObjType::Shortcut);
    let edited = entry.modified_secs.filter(|_| has_content).map(|at_secs| Edited {
        channel: Channel::Drive,
        at_secs,
        seen_secs,
    });
    let content = match &target {
        Some(target) => target.object.token.as_str(),
        None => &entry.token,
    };
    let node = Node {
        token: PlaceToken::from(entry.token.as_str()),
        parent: None,
        object: Object::new(ty, content),
        title: entry.name,
        created_secs: entry.created_secs.unwrap_or(0),
        order: 0,
        owner: entry.owner,
        edited,
        has_children: false,
        url: entry.url,
        target,
        filtered: false,
    };
    Found { node, below }
}
