//! A document's blocks, and everything that these show, into one [`Page`].

use std::collections::{BTreeMap, BTreeSet};

use crate::export::docx::markdown::Found;
use crate::export::docx::{Kept, Needs, Tree};
use crate::model::Format;
use crate::model::change::ChangeKind;
use crate::plan::Want;

use super::super::assets::Assets;
use super::super::fetch::{About, Fetcher, Setback};
use super::super::media::TOO_LARGE;
use super::super::sink::blocking;
use super::making::{Making, Places};
use super::{Page, Standing, kept};

/// Fetches a page for all who want it, or takes it from what was kept.
///
/// `standing` is as long as `wants`.
pub(in crate::apply) async fn get(
    fetcher: &Fetcher,
    about: &About,
    wants: &[Want],
    standing: &[Standing],
) -> Result<Page, Setback> {
    let with_page = wants.iter().zip(standing).filter(|(want, _)| want.format == Format::Md);
    let places = Places(with_page.map(|(_, standing)| standing).collect());
    if let Some(page) = from_kept(fetcher, about, &places, wants, standing).await? {
        return Ok(page);
    }
    let mut making = Making::new(fetcher, about, places, Kept::new(about.object.token.as_str()));
    match afresh(&mut making).await {
        Ok(()) => {
            let path = wants.first().map(|want| want.change.path.as_str());
            match (making.stayed, path) {
                (0, _) | (_, None) => {}
                (stayed, Some(path)) => fetcher.progress.warn(&format!(
                    "{path}: {stayed} of the things that it shows may not be read any more \
                     (403); their copies are kept"
                )),
            }
            Ok(page(making))
        }
        Err(setback) => {
            making.discard().await;
            Err(setback)
        }
    }
}

/// Everything, from the service.
async fn afresh(making: &mut Making<'_>) -> Result<(), Setback> {
    let (fetcher, about) = (making.fetcher, making.about);
    let document = about.object.token.as_str();
    let blocks = match about.revision {
        Some(revision) => fetcher.call(fetcher.client.list_blocks_of(document, revision)).await?,
        None => fetcher.call(fetcher.client.list_blocks(document)).await?,
    };
    let tree = Tree::build(document, &blocks.items);
    making.kept.revision = Some(blocks.revision);
    making.kept.edited_secs = about.edited.map(|edited| edited.at_secs);
    making.kept.blocks = blocks.items;
    if making.places.0.is_empty() {
        // Only the blocks are wanted.
        return Ok(());
    }
    let mut needs = Needs::of(&tree);
    making.synced(&mut needs).await?;
    making.sheets(&needs.sheets).await?;
    making.bases(&needs.bitables).await?;
    for token in &needs.boards {
        making.board(token).await?;
    }
    making.pictures(&needs.media).await?;
    making.people(&needs.users).await?;

    let settings = &fetcher.settings;
    let kept = &mut making.kept;
    kept.limit(settings.markdown.table_rows, settings.max_size, TOO_LARGE);
    let containers = needs.sheets.iter().chain(&needs.bitables).map(|part| &part.container);
    let links: BTreeSet<&String> = needs.documents.keys().chain(containers).collect();
    kept.links = links.into_iter().cloned().collect();
    kept.lists = needs.page_lists.iter().cloned().collect();
    kept.embeds.sort_by(|one, other| one.object.cmp(&other.object));
    kept.embeds.dedup_by(|one, other| one.object == other.object);
    Ok(())
}

/// The page from its kept blocks, where these are as new as wanted; of its files only
/// those are fetched that a place lacks. `None`: it has to be fetched afresh.
async fn from_kept(
    fetcher: &Fetcher,
    about: &About,
    places: &Places<'_>,
    wants: &[Want],
    standing: &[Standing],
) -> Result<Option<Page>, Setback> {
    if wants.iter().any(|want| want.change.kind == ChangeKind::Update) {
        return Ok(None);
    }
    let known: BTreeMap<_, _> = standing.iter().filter_map(|at| at.kept.clone()).collect();
    for (hash, stamp) in known {
        let disk = fetcher.disk.clone();
        let kept = match blocking(move || kept::load(&disk, hash)).await {
            Ok(kept) => kept,
            Err(why) => {
                tracing::debug!(%hash, %why, "kept blocks cannot be used");
                continue;
            }
        };
        let mut making = Making::new(fetcher, about, places.clone(), kept);
        // What failed then may come now, and what else it needs is not known.
        if !making.is_whole() {
            continue;
        }
        match restored(&mut making).await {
            Ok(true) => return Ok(Some(Page { stamp: Some(stamp), ..page(making) })),
            Ok(false) => making.discard().await,
            Err(setback) => {
                making.discard().await;
                return Err(setback);
            }
        }
    }
    Ok(None)
}

/// Gets the files that a place lacks. `false`: one of them is no longer to be had as it
/// was, so that the page has to be looked at as a whole.
async fn restored(making: &mut Making<'_>) -> Result<bool, Setback> {
    if making.places.0.is_empty() {
        return Ok(true);
    }
    let before = making.kept.assets();
    let lacking = before.keys().filter(|part| making.places.everywhere(part).is_none());
    let lacking: BTreeSet<String> = lacking.cloned().collect();
    if lacking.is_empty() {
        return Ok(true);
    }
    let is_lacking = |part: &String| lacking.contains(part);
    let mut media = making.needs_of_all().media;
    media.retain(|token, _| is_lacking(token));
    let boards = making
        .kept
        .boards
        .keys()
        .filter(|token| is_lacking(token) || is_lacking(&super::boards::nodes_part(token)));
    let boards: Vec<String> = boards.cloned().collect();
    making.pictures(&media).await?;
    for token in &boards {
        making.board(token).await?;
    }
    let after = making.kept.assets();
    Ok(making.is_whole() && before.keys().all(|part| after.contains_key(part)))
}

fn page(making: Making<'_>) -> Page {
    let trouble = making.trouble();
    let Making { kept, files, .. } = making;
    // What stands in a source or a board that may not be read is not known.
    let hidden = kept.synced.values().any(|found| matches!(found, Found::Forbidden))
        || kept.boards.values().any(|found| matches!(found, Found::Forbidden));
    let complete = trouble.is_none() && !hidden;
    let assets = Assets { all: kept.assets(), files, complete };
    Page { kept, stamp: None, assets, trouble }
}
