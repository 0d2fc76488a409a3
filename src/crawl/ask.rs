//! What the plan still wants to know: revisions, metadata, and whether a place that no
//! listing shows exists.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{Run, Trouble, WAITING};
use crate::feishu::{ApiError, Class, Client, board_hash};
use crate::model::change::Failure;
use crate::model::tree::{Existence, Family, Meta, RemoteTree};
use crate::model::{ContentHash, ObjType, Object, PlaceKey};
use crate::plan::{Answers, Questions};
use crate::progress::Progress;

/// Type word and token, as metadata is asked for.
type Asked = (String, String);

/// Asks what the plan needs to know and adds it to `answers`.
///
/// Every question then has an answer: where the service gave none, or a budget or
/// `stop` cut the asking short, it says that nothing is known.
///
/// # Errors
/// Only what ends the run, as for [`super::crawl`].
pub async fn ask(
    client: &Client,
    questions: &Questions,
    tree: &RemoteTree,
    answers: &mut Answers,
    progress: &dyn Progress,
    stop: &CancellationToken,
) -> Result<(), ApiError> {
    let run = Run::new(client, progress, stop);
    let (revisions, metas, existence, boards) = tokio::try_join!(
        revisions(&run, &questions.revisions),
        metas(&run, &questions.metas),
        existence(&run, tree, &questions.existence),
        boards(&run, &questions.boards),
    )?;
    answers.revisions.extend(revisions);
    answers.metas.extend(metas);
    answers.existence.extend(existence);
    answers.boards.extend(boards);
    Ok(())
}

/// Metadata of any number of documents, each with an answer.
///
/// # Errors
/// What ends the run.
pub(super) async fn query_metas(
    run: &Run<'_>,
    asked: &[Asked],
) -> Result<Vec<(Asked, Result<Meta, Existence>)>, ApiError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let failure = match run.call(run.client.query_metas(asked)).await {
        Ok(answers) => return Ok(answers),
        Err(Trouble::Ends(error)) => return Err(error),
        Err(Trouble::Cut(failure)) => failure,
        Err(Trouble::Here(error)) => error.to_failure(),
    };
    let unknown = |one: &Asked| (one.clone(), Err(Existence::Unknown(failure.clone())));
    Ok(asked.iter().map(unknown).collect())
}

async fn revisions(
    run: &Run<'_>,
    objects: &[Object],
) -> Result<Vec<(Object, Option<i64>)>, ApiError> {
    let mut known = Vec::with_capacity(objects.len());
    let one =
        |object| async move { (object, run.call(run.client.get_revision(object)).await) }.boxed();
    let calls = each(objects, one, |(object, reply): (&Object, _)| {
        let revision = match reply {
            Ok(revision) => revision,
            // Revisions have a scope of their own; without it the edit time decides.
            Err(Trouble::Ends(error)) if error.class == Class::Config => None,
            Err(Trouble::Ends(error)) => return Err(error),
            // The edit time decides; the fetch will meet the same trouble and report it.
            Err(Trouble::Cut(_) | Trouble::Here(_)) => None,
        };
        known.push((object.clone(), revision));
        Ok(())
    });
    calls.await?;
    Ok(known)
}

async fn boards(
    run: &Run<'_>,
    tokens: &[String],
) -> Result<Vec<(String, Result<ContentHash, Existence>)>, ApiError> {
    let mut known = Vec::with_capacity(tokens.len());
    let one = |token: &'_ String| {
        let token = token.clone();
        async move {
            let reply = run.call(run.client.get_board_nodes(&token)).await;
            (token, reply)
        }
        .boxed()
    };
    let calls = each(tokens, one, |(token, reply): (String, _)| {
        let hash = match reply {
            Ok(nodes) => Ok(board_hash(&nodes)),
            // Boards have a scope of their own; without it they stay as they are.
            Err(Trouble::Ends(error)) if error.class == Class::Config => Err(Existence::Hidden),
            Err(trouble) => Err(settle(Err(trouble))?),
        };
        known.push((token, hash));
        Ok(())
    });
    calls.await?;
    Ok(known)
}

async fn metas(
    run: &Run<'_>,
    objects: &[Object],
) -> Result<Vec<(Object, Result<Meta, Existence>)>, ApiError> {
    let asked: Vec<Asked> = objects.iter().map(as_asked).collect();
    let answers: BTreeMap<Asked, _> = query_metas(run, &asked).await?.into_iter().collect();
    let answer = |object: &Object| {
        let known = answers.get(&as_asked(object)).cloned();
        (object.clone(), known.unwrap_or_else(|| Err(no_answer())))
    };
    Ok(objects.iter().map(answer).collect())
}

fn as_asked(object: &Object) -> Asked {
    (object.ty.as_str().to_owned(), object.token.as_str().to_owned())
}

fn no_answer() -> Existence {
    Existence::Unknown(Failure {
        retryable: true,
        ..Failure::new("the service gave no answer about it", "run again")
    })
}

/// How a place that no listing shows is asked for.
enum Way {
    /// By metadata of its object.
    Metas,
    /// By its node's token.
    Node,
    /// By its space's id.
    Space,
    /// Not at all: a Drive shortcut has no metadata of its own, and asking for its
    /// target says nothing about it. Two full walks without it decide.
    No,
}

fn way(tree: &RemoteTree, (key, object): &(PlaceKey, Object)) -> Way {
    let family = tree.sources.get(&key.source).map_or(Family::Drive, |source| source.family);
    match (family, &object.ty) {
        (_, ObjType::Space) => Way::Space,
        (Family::Wiki, _) => Way::Node,
        (_, ObjType::Shortcut) => Way::No,
        (Family::Drive | Family::Docs, _) => Way::Metas,
    }
}

async fn existence(
    run: &Run<'_>,
    tree: &RemoteTree,
    places: &[(PlaceKey, Object)],
) -> Result<Vec<(PlaceKey, Existence)>, ApiError> {
    let mut known = Vec::with_capacity(places.len());
    let (mut by_metas, mut by_call) = (Vec::new(), Vec::new());
    for place in places {
        match way(tree, place) {
            Way::Metas => by_metas.push(place),
            Way::Node | Way::Space => by_call.push(place),
            Way::No => known.push((place.0.clone(), Existence::Exists)),
        }
    }
    let objects: Vec<Object> = by_metas.iter().map(|(_, object)| object.clone()).collect();
    let mut called = Vec::with_capacity(by_call.len());
    let calls = each(
        by_call,
        |place| ask_wiki(run, place).boxed(),
        |(key, reply)| {
            called.push((key, settle(reply)?));
            Ok(())
        },
    );
    let (answers, ()) = tokio::try_join!(metas(run, &objects), calls)?;
    known.extend(called);
    known.extend(by_metas.iter().zip(answers).map(|((key, _), (_, answer))| {
        (key.clone(), answer.map_or_else(|existence| existence, |_| Existence::Exists))
    }));
    Ok(known)
}

async fn ask_wiki(
    run: &Run<'_>,
    (key, object): &(PlaceKey, Object),
) -> (PlaceKey, Result<(), Trouble>) {
    let reply = if object.ty == ObjType::Space {
        run.call(run.client.get_space(key.token.as_str())).await.map(drop)
    } else {
        run.call(run.client.get_node(key.token.as_str())).await.map(drop)
    };
    (key.clone(), reply)
}

/// What a call by a thing's own token says.
fn settle(reply: Result<(), Trouble>) -> Result<Existence, ApiError> {
    match reply {
        Ok(()) => Ok(Existence::Exists),
        Err(Trouble::Ends(error)) => Err(error),
        Err(Trouble::Cut(failure)) => Ok(Existence::Unknown(failure)),
        Err(Trouble::Here(error)) => Ok(match error.class {
            Class::Gone => Existence::Gone,
            Class::Forbidden => Existence::Hidden,
            _ => Existence::Unknown(error.to_failure()),
        }),
    }
}

/// Starts a call for each item, [`WAITING`] at a time, and hands over the replies as
/// they come.
///
/// Boxed calls: futures that borrow each item in its own way could not be `Send`.
async fn each<'a, T, R>(
    items: impl IntoIterator<Item = T>,
    call: impl Fn(T) -> BoxFuture<'a, R>,
    mut take: impl FnMut(R) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let mut items = items.into_iter();
    let mut calls = FuturesUnordered::new();
    loop {
        while calls.len() < WAITING
            && let Some(item) = items.next()
        {
            calls.push(call(item));
        }
        match calls.next().await {
            Some(reply) => take(reply)?,
            None => return Ok(()),
        }
    }
}
