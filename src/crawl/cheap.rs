//! A run between two full walks: what is known is asked for its metadata, 200 places a call,
//! and what is new comes from search, as far as search knows.
//!
//! Nothing is concluded from what does not come. A place that metadata does not show stays
//! as it is recorded, and so does whatever moved: the next full walk tells.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::recheck::{asked, has_metas};
use super::walk::{Found, List, Walk, children, failed_listing};
use super::{Run, Trouble, settle, wiki};
use crate::feishu::{ApiError, Class, FoundDocument, MAX_DOCS};
use crate::model::carried::node_of_row;
use crate::model::change::Failure;
use crate::model::recorded::{PlaceRow, PlaceState};
use crate::model::source::{SourceKind, WikiScope};
use crate::model::tree::{Existence, Family, Listing, Meta, Node, RemoteSource};
use crate::model::{Channel, Edited, ObjType, PlaceKey, PlaceToken};

/// Calls for metadata that are waited for at the same time, see [`crate::feishu::Client`].
const LOOKS: usize = 8;

/// An index is minutes behind, so a search begins this long before the last one did.
const OVERLAP_SECS: i64 = 3600;

/// Nodes above each other that are looked for; a wiki is not that deep.
const MAX_LEVELS: usize = 100;

/// What is recorded of a source.
pub struct Known<'a> {
    /// What its config entry led to.
    pub root: String,
    /// Its rows, in any order.
    pub rows: Box<dyn Iterator<Item = (PlaceKey, PlaceRow)> + Send + 'a>,
    /// Since when new documents have been looked for, seconds since 1970.
    pub looked_secs: Option<i64>,
    /// Now, seconds since 1970.
    pub now_secs: i64,
}

/// Looks at a source without walking it.
pub(super) async fn look(
    mut walk: Walk<'_>,
    kind: &SourceKind,
    as_user: bool,
    known: Known<'_>,
) -> Result<RemoteSource, ApiError> {
    let run = walk.run;
    let family = match kind {
        SourceKind::Drive { .. } => Family::Drive,
        SourceKind::Wiki(_) => Family::Wiki,
        SourceKind::Docs(_) => Family::Docs,
    };
    walk.is(family, "");
    // Where it leads may have changed, and then nothing that is known is of it.
    let root = match kind {
        SourceKind::Drive { folder: None } => run.call(run.client.get_root_folder()).await,
        SourceKind::Wiki(WikiScope::MyLibrary) => wiki::library_id(run).await,
        _ => Ok(known.root.clone()),
    };
    let root = match root {
        Ok(root) => root,
        Err(trouble) => return walk.without_top(trouble),
    };
    walk.is(family, root.as_str());
    if root != known.root {
        let what = "the source leads elsewhere than before: it has to be walked again";
        walk.top(Listing::Failed(Failure::new(what, "run sync with --full added")));
        return Ok(walk.source);
    }
    let failed = carry(&mut walk, known.rows).await?;
    let parents = walk.source.nodes.values().filter_map(|node| node.parent.clone());
    let mut parents: BTreeSet<PlaceToken> = parents.collect();
    let containers = walk.source.nodes.values().filter(|node| {
        node.has_children || matches!(node.object.ty, ObjType::Folder | ObjType::Space)
    });
    parents.extend(containers.map(|node| node.token.clone()));
    for parent in parents {
        walk.source.listings.insert(Some(parent), Listing::Carried);
    }
    walk.source.listings.insert(None, Listing::Carried);
    if let (SourceKind::Wiki(scope), true, Some(since)) = (kind, as_user, known.looked_secs) {
        let began = known.now_secs;
        if look_for_new(&mut walk, scope, since.saturating_sub(OVERLAP_SECS)).await? {
            walk.source.looked_secs = Some(began);
        }
    }
    settle::settle(&mut walk.source, walk.name, walk.rules);
    if let Some(failure) = failed.or_else(|| run.cut()) {
        let message = format!("not looked at: {}", failure.message);
        walk.source.listings.insert(None, Listing::Failed(Failure { message, ..failure }));
    }
    Ok(walk.source)
}

/// Rows on their way, and what was said of them.
type Looked = (Vec<(PlaceKey, PlaceRow)>, Result<Vec<Answered>, Trouble>);
type Answered = ((String, String), Result<Meta, Existence>);

/// Makes places of rows. Returns why some could not be asked for, if so.
async fn carry(
    walk: &mut Walk<'_>,
    rows: Box<dyn Iterator<Item = (PlaceKey, PlaceRow)> + Send + '_>,
) -> Result<Option<Failure>, ApiError> {
    let run = walk.run;
    // What a full walk missed, or may not read, is for the next one to say.
    let mut rows =
        rows.filter(|(_, row)| row.state == PlaceState::Live && row.absent_walks == 0).fuse();
    let mut looks: FuturesUnordered<BoxFuture<'_, Looked>> = FuturesUnordered::new();
    let mut unsure: Vec<Node> = Vec::new();
    let mut failed = None;
    loop {
        while looks.len() < LOOKS {
            let mut chunk = Vec::with_capacity(MAX_DOCS);
            while chunk.len() < MAX_DOCS
                && let Some((key, row)) = rows.next()
            {
                if has_metas(&row.object.ty) {
                    chunk.push((key, row));
                } else {
                    let node = node_of_row(&key, &row);
                    walk.source.nodes.insert(key.token, node);
                }
            }
            if chunk.is_empty() {
                break;
            }
            looks.push(look_at(run, chunk).boxed());
        }
        let Some((chunk, answers)) = looks.next().await else { break };
        let answers: BTreeMap<_, _> = match answers {
            Ok(answers) => answers.into_iter().collect(),
            Err(Trouble::Ends(error)) => return Err(error),
            Err(Trouble::Cut(failure)) => {
                failed.get_or_insert(failure);
                BTreeMap::new()
            }
            Err(Trouble::Here(error)) => {
                failed.get_or_insert(error.to_failure());
                BTreeMap::new()
            }
        };
        let mut seen = 0;
        for (key, row) in chunk {
            let node = node_of_row(&key, &row);
            match answers.get(&asked(&row.object)) {
                Some(Ok(meta)) => {
                    seen += 1;
                    show(walk, node, &row, meta);
                }
                Some(Err(Existence::Unknown(failure))) => {
                    failed.get_or_insert_with(|| failure.clone());
                    unsure.push(node);
                }
                Some(Err(_)) | None => unsure.push(node),
            }
        }
        run.progress.listed(walk.name, seen);
    }
    keep_ways(&mut walk.source, unsure);
    Ok(failed)
}

async fn look_at(run: &Run<'_>, chunk: Vec<(PlaceKey, PlaceRow)>) -> Looked {
    let questions: Vec<_> = chunk.iter().map(|(_, row)| asked(&row.object)).collect();
    let answers = run.call(run.client.query_metas(&questions)).await;
    (chunk, answers)
}

/// Adds a place as metadata shows it.
fn show(walk: &mut Walk<'_>, node: Node, row: &PlaceRow, meta: &Meta) {
    // A folder's time is not its content's.
    let edited = (node.object.ty != ObjType::Folder).then_some(meta.edited);
    let mut node = Node { edited, owner: meta.owner.clone(), ..node };
    let known = row.object_title.as_ref() == Some(&meta.title);
    if !meta.title.is_empty() && meta.title != row.title && !known {
        // A wiki node may have another title than its document. What is seen for the first
        // time, and was last edited before the node was listed, is no news.
        let old = walk.source.family == Family::Wiki && is_first(row) && !is_since(row, meta);
        if !old {
            node.title.clone_from(&meta.title);
        }
        walk.source.titles.insert(node.token.clone(), meta.title.clone());
    }
    walk.source.nodes.insert(node.token.clone(), node);
}

/// True where nothing tells what metadata showed of it before.
fn is_first(row: &PlaceRow) -> bool {
    let listed = row.edited.is_none_or(|edited| edited.channel != Channel::Metas);
    let mut stamps = row.products.values().map(|product| &product.stamp);
    listed
        && row.object_title.is_none()
        && !stamps.any(|stamp| stamp.times.contains_key(&Channel::Metas))
}

/// True where an edit may have followed what is known of it.
fn is_since(row: &PlaceRow, meta: &Meta) -> bool {
    let stamps = row.products.values().map(|product| product.stamp.seen_secs);
    let seen = stamps.chain(row.edited.map(|edited| edited.seen_secs)).max().unwrap_or(0);
    meta.edited.at_secs.saturating_add(Edited::SETTLED_AFTER_SECS) > seen
}

/// Of places that metadata did not show, those that others hang from are there as they are
/// recorded; the rest is not part of the tree, so that nobody tries to fetch it.
fn keep_ways(source: &mut RemoteSource, mut unsure: Vec<Node>) {
    let parents = source.nodes.values().filter_map(|node| node.parent.clone());
    let mut parents: BTreeSet<PlaceToken> = parents.collect();
    loop {
        let (ways, rest): (Vec<Node>, Vec<Node>) =
            unsure.into_iter().partition(|node| parents.contains(&node.token));
        if ways.is_empty() {
            return;
        }
        for node in ways {
            parents.extend(node.parent.clone());
            source.nodes.insert(node.token.clone(), node);
        }
        unsure = rest;
    }
}

/// Searches for documents that nobody knows yet, and lists where they stand. False where
/// that could not be done to its end.
async fn look_for_new(
    walk: &mut Walk<'_>,
    scope: &WikiScope,
    since_secs: i64,
) -> Result<bool, ApiError> {
    let run = walk.run;
    let space = match scope {
        WikiScope::Space(_) | WikiScope::MyLibrary => Some(walk.source.root.clone()),
        WikiScope::All | WikiScope::Subtree(_) => None,
    };
    let search = run.client.search_edited_nodes(space.as_deref(), since_secs);
    // Sorted here: to lack this scope is no reason to end.
    let hits = match run.call(async { Ok(search.await) }).await {
        Ok(Ok(hits)) => hits,
        Ok(Err(error)) if error.lacks_scope() => {
            run.progress.detail(&format!(
                "{}: new documents are not searched for without the scope search:docs:read; the \
                 next full walk finds them",
                walk.name
            ));
            return Ok(false);
        }
        Ok(Err(error)) => match run.sort(error) {
            Trouble::Ends(error) if error.class != Class::Config => return Err(error),
            Trouble::Ends(error) | Trouble::Here(error) => {
                run.progress.warn(&format!(
                    "{}: the search for new documents failed ({error}); the next full walk finds \
                     them",
                    walk.name
                ));
                return Ok(false);
            }
            Trouble::Cut(_) => return Ok(false),
        },
        Err(_) => return Ok(false),
    };
    let mut finder =
        Finder { scope, strange: BTreeSet::new(), asked_spaces: false, listed: BTreeSet::new() };
    for hit in hits {
        if run.cut().is_some() {
            return Ok(false);
        }
        if !walk.source.nodes.contains_key(&PlaceToken::from(hit.token.as_str()))
            && may_be_wanted(walk, &hit)
        {
            finder.find(walk, &hit.token).await?;
        }
    }
    Ok(run.cut().is_none())
}

fn may_be_wanted(walk: &Walk<'_>, hit: &FoundDocument) -> bool {
    let types = &walk.rules.filter.types;
    let ty = ObjType::from(hit.ty.as_str());
    // What the word means is not sure for all of them.
    types.is_empty() || types.contains(&ty) || !has_metas(&ty)
}

/// Finds the way to nodes that nobody knows, from the top.
struct Finder<'a> {
    scope: &'a WikiScope,
    /// Tokens that lead nowhere in this source.
    strange: BTreeSet<String>,
    asked_spaces: bool,
    /// Parents that were asked for.
    listed: BTreeSet<Option<PlaceToken>>,
}

impl Finder<'_> {
    /// Lists the parents between a node and what is known.
    async fn find(&mut self, walk: &mut Walk<'_>, token: &str) -> Result<(), ApiError> {
        let mut parents: Vec<(Option<PlaceToken>, List)> = Vec::new();
        let mut path = vec![token.to_owned()];
        loop {
            let at = path.last().expect("it begins with one").clone();
            if self.strange.contains(&at) || path.len() > MAX_LEVELS {
                self.strange.extend(path);
                return Ok(());
            }
            let node = match walk.run.call(walk.run.client.get_node(&at)).await {
                Ok((node, _)) => node,
                Err(Trouble::Ends(error)) => return Err(error),
                Err(Trouble::Cut(_)) => return Ok(()),
                Err(Trouble::Here(_)) => {
                    self.strange.extend(path);
                    return Ok(());
                }
            };
            let space = node.space_id;
            if let Some(parent) = node.parent_node_token.filter(|token| !token.is_empty()) {
                let place = PlaceToken::from(parent.as_str());
                let is_known = walk.source.nodes.contains_key(&place);
                parents.push((Some(place), List::Wiki { space, node: Some(parent.clone()) }));
                if is_known {
                    break;
                }
                path.push(parent);
                continue;
            }
            let Some(top) = self.top_of(walk, &space).await? else {
                self.strange.extend(path);
                return Ok(());
            };
            parents.push((top, List::Wiki { space, node: None }));
            break;
        }
        for (parent, list) in parents.into_iter().rev() {
            let is_new = self.listed.insert(parent.clone());
            if is_new && !list_one(walk, parent, &list).await? {
                break;
            }
        }
        Ok(())
    }

    /// Under which place the top level of a space hangs; `None`: under none of this source.
    async fn top_of(
        &mut self,
        walk: &mut Walk<'_>,
        space: &str,
    ) -> Result<Option<Option<PlaceToken>>, ApiError> {
        match self.scope {
            WikiScope::Space(_) | WikiScope::MyLibrary => {
                return Ok((walk.source.root == space).then_some(None));
            }
            // Its top is known.
            WikiScope::Subtree(_) => return Ok(None),
            WikiScope::All => {}
        }
        let place = PlaceToken::from(space);
        if !walk.source.nodes.contains_key(&place)
            && !std::mem::replace(&mut self.asked_spaces, true)
        {
            match walk.run.call(walk.run.client.list_spaces()).await {
                Ok(spaces) => {
                    let found = spaces.items.into_iter().map(wiki::space_found).collect();
                    add_new(walk, None, found);
                }
                Err(Trouble::Ends(error)) => return Err(error),
                Err(Trouble::Cut(_) | Trouble::Here(_)) => {}
            }
        }
        Ok(walk.source.nodes.contains_key(&place).then_some(Some(place)))
    }
}

/// Lists a parent and adds what nobody knew; false where that was not possible.
async fn list_one(
    walk: &mut Walk<'_>,
    parent: Option<PlaceToken>,
    list: &List,
) -> Result<bool, ApiError> {
    if parent.as_ref().is_some_and(|parent| !walk.source.nodes.contains_key(parent)) {
        // Its own listing does not show it: it has moved meanwhile.
        return Ok(false);
    }
    let error = match walk.run.call(children(walk.run, list)).await {
        Ok(found) => {
            add_new(walk, parent.as_ref(), found);
            // The top stays as it is recorded: that says that this was no walk.
            if parent.is_some() {
                walk.source.listings.insert(parent, Listing::Complete);
            }
            return Ok(true);
        }
        Err(Trouble::Ends(error)) => return Err(error),
        Err(Trouble::Cut(_)) => return Ok(false),
        Err(Trouble::Here(error)) => error,
    };
    let title = parent.as_ref().and_then(|token| walk.source.nodes.get(token));
    let path = title.map_or_else(|| walk.name.to_string(), |node| node.title.clone());
    if let Listing::Failed(failure) = failed_listing(&path, &error) {
        walk.run.progress.listing_failed(walk.name, &path, &failure);
        walk.source.listings.insert(parent, Listing::Failed(failure));
    }
    Ok(false)
}

/// Adds what a listing shows and nobody knew. What it shows at another place than recorded
/// has moved: the next full walk moves it.
fn add_new(walk: &mut Walk<'_>, parent: Option<&PlaceToken>, found: Vec<Found>) {
    let mut added = 0;
    for Found { node, below } in found {
        let token = node.token.clone();
        if walk.source.nodes.contains_key(&token) {
            continue;
        }
        let node = Node { parent: parent.cloned(), ..node };
        if below.is_some() {
            walk.source.listings.insert(Some(token.clone()), Listing::Carried);
        }
        walk.source.nodes.insert(token, node);
        added += 1;
    }
    walk.run.progress.listed(walk.name, added);
}
