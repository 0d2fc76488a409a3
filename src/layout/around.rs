//! What a page shows of the copy around it: where the documents stand that it links to,
//! and which pages are below a wiki node.
//!
//! Pure: computed by `plan` from the rows as they will be, and by `apply` from the rows as
//! they are. Where both give one hash, the page is right as it is.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::relative;
use crate::model::page::PageRow;
use crate::model::recorded::{Loc, PlaceRow, PlaceState, Recorded, Slot};
use crate::model::{ContentHash, Format, ObjType, PlaceKey, PlaceToken, RelPath, SourceName};

/// Grows when pages are written differently, so that all are written again, from the
/// blocks that were kept.
const WRITER: u32 = 1;

/// Which product of a document a link leads to, the best first.
pub const LINKED: [Format; 9] = [
    Format::Md,
    Format::Docx,
    Format::Pdf,
    Format::Xlsx,
    Format::Pptx,
    Format::File,
    Format::Csv,
    Format::Json,
    Format::Url,
];

/// Deepest level of a list of child pages.
const MAX_DEPTH: usize = 16;

/// Everything outside of a document that its page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Around {
    writer: u32,
    /// Whether colours are written.
    pub colors: bool,
    /// The title of its place.
    pub title: String,
    /// Where to open it in a browser.
    pub url: Option<String>,
    /// The name of its side folder.
    pub assets: Option<String>,
    /// Documents by token; without an entry it is not in the copy.
    pub documents: BTreeMap<String, Linked>,
    /// Pages below a wiki node, in reading order; `None` where the node is not in the copy.
    pub lists: BTreeMap<String, Option<Vec<ChildPage>>>,
}

impl Around {
    /// Equal for equal surroundings.
    pub fn hash(&self) -> ContentHash {
        let text = serde_json::to_vec(self).expect("plain data has a JSON form");
        ContentHash::from(blake3::hash(&text))
    }
}

/// A document in the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// Its title.
    pub title: String,
    /// Its path relative to the folder of the page; `None` where it has no copy.
    pub path: Option<String>,
}

/// A page in a list of child pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChildPage {
    /// 0 for the children of the listed node.
    pub depth: usize,
    /// Its wiki node.
    pub token: String,
    /// Its title.
    pub title: String,
    /// Its path relative to the folder of the page; `None` where it has no copy.
    pub path: Option<String>,
}

/// Says whether a file or link of a place stands under a name, or will at the end of the run.
pub type Stands<'a> = dyn Fn(&PlaceKey, &PlaceRow, Slot) -> bool + 'a;

/// Places by what documents call them.
///
/// Good for as long as no row changes its key, its parent or its object.
#[derive(Debug, Default)]
pub struct Atlas {
    /// By the token of the object, and by the token of the place.
    by_token: HashMap<String, Vec<PlaceKey>>,
    /// Children of wiki nodes, in the service's order.
    children: HashMap<(SourceName, PlaceToken), Vec<PlaceKey>>,
}

impl Atlas {
    /// Of these rows.
    pub fn of(recorded: &Recorded) -> Self {
        let mut atlas = Self::default();
        for (key, row) in &recorded.places {
            // The copy of what is gone is the best that there is of it.
            if is_gone(row) && row.products.is_empty() {
                continue;
            }
            let (place, object) = (key.token.as_str(), row.object.token.as_str());
            atlas.by_token.entry(place.to_owned()).or_default().push(key.clone());
            // A shortcut has its target's token, and is a place of its own all the same.
            if object != place && row.object.ty != ObjType::Shortcut {
                atlas.by_token.entry(object.to_owned()).or_default().push(key.clone());
            }
            if let Some(parent) = row.parent.as_ref().filter(|_| !is_gone(row)) {
                let parent = (key.source.clone(), parent.clone());
                atlas.children.entry(parent).or_default().push(key.clone());
            }
        }
        let created = |key: &PlaceKey| recorded.places[key].created_secs;
        for keys in atlas.by_token.values_mut() {
            keys.sort_by_cached_key(|key| (created(key), key.clone()));
        }
        for keys in atlas.children.values_mut() {
            let order = |key: &PlaceKey| recorded.places[key].order;
            keys.sort_by_cached_key(|key| (order(key), created(key), key.clone()));
        }
        atlas
    }

    /// What the page of a place shows of the rest of the copy. `None` where the page itself
    /// stands nowhere.
    pub fn around(
        &self,
        recorded: &Recorded,
        key: &PlaceKey,
        page: &PageRow,
        colors: bool,
        stands: &Stands<'_>,
    ) -> Option<Around> {
        let row = recorded.places.get(key)?;
        let Loc::Mirror(at) = recorded.slot(key, Format::Md.slot())? else { return None };
        let folder = at.parent()?;
        let look = Look { atlas: self, recorded, source: &key.source, folder: &folder, stands };
        let documents = page
            .links
            .iter()
            .filter_map(|token| Some((token.clone(), look.document(token)?)))
            .collect();
        let lists = page.lists.iter().map(|token| (token.clone(), look.list(token))).collect();
        Some(Around {
            writer: WRITER,
            colors,
            title: row.title.clone(),
            url: row.url.clone(),
            assets: row.names.get(&Format::Assets.slot()).cloned(),
            documents,
            lists,
        })
    }
}

fn is_gone(row: &PlaceRow) -> bool {
    matches!(row.state, PlaceState::Gone { .. } | PlaceState::Orphaned)
}

/// One page's look at the copy.
struct Look<'a> {
    atlas: &'a Atlas,
    recorded: &'a Recorded,
    source: &'a SourceName,
    folder: &'a RelPath,
    stands: &'a Stands<'a>,
}

impl Look<'_> {
    /// A document by the token of its object or its wiki node. Of several places one that is
    /// not gone, then one in the page's own source, then the oldest; one with a copy before
    /// one without.
    fn document(&self, token: &str) -> Option<Linked> {
        let mut keys: Vec<&PlaceKey> = self.atlas.by_token.get(token)?.iter().collect();
        keys.sort_by_key(|key| {
            let gone = self.recorded.places.get(key).is_none_or(is_gone);
            (gone, key.source != *self.source)
        });
        let all = || keys.iter().copied();
        all()
            .filter_map(|key| Some((key, self.path(key)?)))
            .find_map(|(key, path)| Some(Linked { title: self.title(key)?, path: Some(path) }))
            .or_else(|| Some(Linked { title: all().find_map(|key| self.title(key))?, path: None }))
    }

    /// `None` for a place that was dropped since the atlas was made.
    fn title(&self, key: &PlaceKey) -> Option<String> {
        Some(self.recorded.places.get(key)?.title.clone())
    }

    /// Where a link to this place leads.
    fn path(&self, key: &PlaceKey) -> Option<String> {
        let row = self.recorded.places.get(key)?;
        let links = LINKED.into_iter().map(Slot::LinkTo).chain([Slot::LinkToDir]);
        let path = LINKED
            .into_iter()
            .map(Format::slot)
            .chain(links)
            .filter(|slot| (self.stands)(key, row, *slot))
            .find_map(|slot| self.slot(key, slot))
            .or_else(|| {
                let folder = matches!(row.object.ty, ObjType::Folder | ObjType::Space);
                folder.then(|| self.slot(key, Slot::Dir)).flatten()
            })?;
        Some(relative(self.folder, &path))
    }

    fn slot(&self, key: &PlaceKey, slot: Slot) -> Option<RelPath> {
        match self.recorded.slot(key, slot)? {
            Loc::Mirror(path) => Some(path),
            Loc::Parked(_) => None,
        }
    }

    /// The pages below a wiki node.
    fn list(&self, token: &str) -> Option<Vec<ChildPage>> {
        let keys = self.atlas.by_token.get(token)?;
        let key = keys.iter().find(|key| key.source == *self.source).or(keys.first())?;
        let mut pages = Vec::new();
        self.list_below(key, 0, &mut pages);
        Some(pages)
    }

    fn list_below(&self, key: &PlaceKey, depth: usize, pages: &mut Vec<ChildPage>) {
        let parent = (key.source.clone(), key.token.clone());
        for child in self.atlas.children.get(&parent).into_iter().flatten() {
            let Some(title) = self.title(child) else { continue };
            let token = child.token.as_str().to_owned();
            pages.push(ChildPage { depth, token, title, path: self.path(child) });
            if depth + 1 < MAX_DEPTH {
                self.list_below(child, depth + 1, pages);
            }
        }
    }
}

#[cfg(test)]
mod tests;
