//! Whole listings: pages until the last one, whatever the service does on the way.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::error::{ApiError, Class};
use super::quota::Endpoint;
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
    total: Option<i64>,
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
    #[serde(default, deserialize_with = "wire::number")]
    total: Option<i64>,
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
            total: raw.total,
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
        let mut listed = Listed { items: Vec::new(), seen_secs: 0 };
        let mut known: HashSet<String> = HashSet::new();
        let mut paged = Paged::default();
        while let Some(page) = paged.next::<W>(self, first).await? {
            if paged.pages() == 1 {
                listed.seen_secs = page.seen_secs;
            }
            let before = listed.items.len();
            for item in page.items.into_iter().map(&convert) {
                if known.insert(key(&item).to_owned()) {
                    listed.items.push(item);
                }
            }
            paged.note(first, listed.items.len() > before)?;
        }
        Ok(listed)
    }
}

/// How far a listing came, page by page: of the pages before, only their tokens are kept.
#[derive(Default)]
pub(super) struct Paged {
    /// The token of the next page.
    token: Option<String>,
    /// Tokens so far.
    seen: HashSet<String>,
    /// Pages that came.
    pages: u64,
    /// The last ones that brought nothing new.
    barren: u32,
    ended: bool,
}

/// A page as [`Paged`] hands it out.
pub(super) struct PageOf<T> {
    pub(super) items: Vec<T>,
    /// Items of the whole listing, where the service counts them.
    pub(super) total: Option<i64>,
    /// The server's clock, seconds since 1970.
    pub(super) seen_secs: i64,
}

impl Paged {
    /// The next page of what `first` begins; `None` after the last one. After an error,
    /// and where it is dropped on the way, the same page is asked for again.
    pub(super) async fn next<T: DeserializeOwned + Send>(
        &mut self,
        inner: &Inner,
        first: &Call<'_>,
    ) -> Result<Option<PageOf<T>>, ApiError> {
        if self.ended {
            return Ok(None);
        }
        let mut call = first.clone();
        if let Some(token) = &self.token {
            call = call.query("page_token", token);
        }
        let mut repeats = 0;
        let mut items = Vec::new();
        loop {
            let (page, seen_secs) = inner.call::<Page<T>>(&call).await?;
            // A page that is asked for again may come back empty: the fullest one counts.
            if page.items.len() >= items.len() {
                items = page.items;
            }
            match (page.has_more, page.next) {
                // The page before promised more, and a tail that is not there looks like one
                // that was deleted: once more, to be sure.
                (false, _) if items.is_empty() && self.pages > 0 && repeats == 0 => {
                    repeats += 1;
                    continue;
                }
                (false, _) => self.ended = true,
                (true, Some(next)) => {
                    if !self.seen.insert(next.clone()) {
                        let what = "the listing runs in a circle: a page token came twice";
                        return Err(broken(first.endpoint, what));
                    }
                    self.token = Some(next);
                }
                (true, None) if repeats < REPEATS => {
                    repeats += 1;
                    continue;
                }
                (true, None) => {
                    return Err(broken(
                        first.endpoint,
                        "the listing says that there is more, but not where",
                    ));
                }
            }
            self.pages += 1;
            return Ok(Some(PageOf { items, total: page.total, seen_secs }));
        }
    }

    /// True where it ended with its first page.
    pub(super) fn ended_at_once(&self) -> bool {
        self.ended && self.pages == 1
    }

    /// Pages that came.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// Notes whether a page brought anything new. Filtering by permission comes after
    /// paging, so an empty page in the middle is normal (docs: wiki-v2/space/list), but
    /// not a thousand of them.
    pub(super) fn note(&mut self, first: &Call<'_>, anything_new: bool) -> Result<(), ApiError> {
        self.barren = if anything_new { 0 } else { self.barren + 1 };
        if self.barren > MAX_BARREN_PAGES {
            return Err(broken(
                first.endpoint,
                "the listing goes on and on with nothing new in it",
            ));
        }
        Ok(())
    }
}

fn broken(endpoint: Endpoint, what: &str) -> ApiError {
    ApiError::local(Class::Transient, endpoint.name(), what)
}
