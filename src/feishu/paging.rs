//! Whole listings: pages until the last one, whatever the service does on the way.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::error::{ApiError, Class};
use super::transport::Inner;
use super::{Listed, wire};

/// How often a page that promises more without saying how to get it is asked for again
/// (client: larksuite/cli, skill lark-drive-files-list).
pub(super) const REPEATS: u32 = 3;

/// So many pages in a row without anything new end a listing that never would.
pub(super) const MAX_BARREN_PAGES: u32 = 1000;

/// One page. A reply that has neither items nor `has_more` is no page: taken for an
/// empty one, it would make a whole folder look deleted.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawPage<T>", bound = "T: DeserializeOwned")]
pub(super) struct Page<T> {
    items: Vec<T>,
    has_more: bool,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct RawPage<T> {
    #[serde(default, alias = "files")]
    items: Option<Vec<T>>,
    #[serde(default)]
    has_more: Option<bool>,
    #[serde(default, deserialize_with = "wire::text")]
    page_token: Option<String>,
    /// Only Drive's listing calls it so (docs: drive-v1/file/list).
    #[serde(default, deserialize_with = "wire::text")]
    next_page_token: Option<String>,
}

impl<T> TryFrom<RawPage<T>> for Page<T> {
    type Error = &'static str;

    fn try_from(raw: RawPage<T>) -> Result<Self, Self::Error> {
        if raw.items.is_none() && raw.has_more.is_none() {
            return Err("neither items nor has_more");
        }
        Ok(Self {
            items: raw.items.unwrap_or_default(),
            has_more: raw.has_more.unwrap_or(false),
            next: raw.next_page_token.or(raw.page_token),
        })
    }
}

impl Inner {
    /// Lists everything. `key` names an item: what comes twice is kept once.
    ///
    /// # Errors
    /// A listing that cannot be completed is an error as a whole, since an incomplete
    /// one would be taken for deletions.
    pub(super) async fn list<W, T>(
        &self,
        first: &Call<'_>,
        convert: impl Fn(W) -> T + Send + Sync,
        key: impl Fn(&T) -> &str + Send + Sync,
    ) -> Result<Listed<T>, ApiError>
    where
        W: DeserializeOwned + Send,
        T: Send,
    {
        let name = first.endpoint.name();
        let broken = |what: &str| ApiError::local(Class::Transient, name, what);
        let mut call = first.clone();
        let mut listed = Listed { items: Vec::new(), seen_secs: 0 };
        let mut pages = 0u64;
        let (mut repeats, mut barren) = (0, 0);
        let mut known: HashSet<String> = HashSet::new();
        let mut cursors: HashSet<String> = HashSet::new();
        loop {
            let (page, seen_secs) = self.call::<Page<W>>(&call).await?;
            if pages == 0 {
                listed.seen_secs = seen_secs;
            }
            pages += 1;
            let before = listed.items.len();
            for item in page.items.into_iter().map(&convert) {
                if known.insert(key(&item).to_owned()) {
                    listed.items.push(item);
                }
            }
            if !page.has_more {
                return Ok(listed);
            }
            // Filtering by permission comes after paging, so an empty page in the
            // middle is normal (docs: wiki-v2/space/list).
            barren = if listed.items.len() == before { barren + 1 } else { 0 };
            if barren > MAX_BARREN_PAGES {
                return Err(broken("the listing goes on and on with nothing new in it"));
            }
            let Some(next) = page.next else {
                repeats += 1;
                if repeats > REPEATS {
                    return Err(broken("the listing says that there is more, but not where"));
                }
                continue;
            };
            repeats = 0;
            if !cursors.insert(next.clone()) {
                return Err(broken("the listing runs in a circle: a page token came twice"));
            }
            call.query = first.query.clone();
            call = call.query("page_token", next);
        }
    }
}
