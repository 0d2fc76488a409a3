//! What a document holds: its blocks, all of one revision.

use std::collections::{BTreeSet, HashSet};

use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use super::error::{ApiError, Class};
use super::paging::Paged;
use super::quota::Endpoint;
use super::{Client, wire};

const DOCUMENT: Endpoint = Endpoint::named("GET /open-apis/docx/v1/documents/:document_id");
const BLOCKS: Endpoint = Endpoint::named("GET /open-apis/docx/v1/documents/:document_id/blocks");

/// How often a document that is edited meanwhile is read again.
const TRIES: u32 = 3;

/// "Bad page token": of an older revision, where it was good a page ago (docs:
/// docx-v1/document-block/list).
const STALE_PAGE: i64 = 1_770_022;

/// A document's blocks.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// In preorder, as the service sent them; the first one is the page.
    pub items: Vec<Value>,
    /// The `revision_id` that they belong to. Of a document of one page of blocks: the
    /// one before they were read, so that an edit in between shows as a newer one.
    pub revision: i64,
}

impl Client {
    /// All blocks of a document, newest revision.
    ///
    /// Paging has no snapshot for readers (an old `document_revision_id` needs edit
    /// permission; docs: docx-v1/document-block/list), so the revision is read before
    /// the first page and after the last one, and where it moved all is read again. One
    /// page alone is of one revision, and costs no second look.
    ///
    /// A list of several pages that lacks blocks which others of it name as their children
    /// is read again: a page that came back empty would be the end of the document. Where two readings
    /// lack the same, the service has no more to show.
    ///
    /// # Errors
    /// [`Class::Transient`] where the document was edited during each of three readings, or
    /// each lacked something else.
    pub async fn list_blocks(&self, document: &str) -> Result<Blocks, ApiError> {
        let revision = self.document_revision(document).await?;
        self.list_blocks_of(document, revision).await
    }

    /// The same, where the newest revision is known already: one call less.
    pub async fn list_blocks_of(&self, document: &str, revision: i64) -> Result<Blocks, ApiError> {
        let mut before = revision;
        let mut lacked = None;
        for _ in 0..TRIES {
            let (items, pages) = match self.read_blocks(document).await {
                Ok(read) => read,
                // An edit between two pages may end the paging.
                Err(error) if error.code == Some(STALE_PAGE) => (Vec::new(), 0),
                Err(error) => return Err(error),
            };
            let after = match pages {
                1 => before,
                _ => self.document_revision(document).await?,
            };
            if pages > 0 && after == before {
                let lacking = lacking(&items);
                if pages == 1 || lacking.is_empty() || lacked.as_ref() == Some(&lacking) {
                    return Ok(Blocks { items, revision: before });
                }
                lacked = Some(lacking);
            }
            before = after;
        }
        if lacked.is_some() {
            let what = format!("{document} came without some of its blocks");
            return Err(ApiError::local(Class::Transient, BLOCKS.name(), what));
        }
        let what = format!("{document} was edited during each of {TRIES} readings");
        Err(ApiError::local(Class::Transient, BLOCKS.name(), what)
            .hint("somebody is writing in it: the next run reads it again"))
    }

    /// Blocks, and how many pages they came in.
    async fn read_blocks(&self, document: &str) -> Result<(Vec<Value>, u64), ApiError> {
        let path = [document];
        let mut call = Call::new(BLOCKS, &path).query("page_size", "500");
        call = call.query("document_revision_id", "-1").query("user_id_type", "open_id");
        let mut paged = Paged::default();
        let mut items = Vec::new();
        while let Some(page) = paged.next::<Value>(&self.inner, &call).await? {
            paged.note(&call, !page.items.is_empty())?;
            items.extend(page.items);
        }
        if items.is_empty() {
            // Even an empty document has its page block.
            let what = format!("{document} came without any block");
            return Err(ApiError::local(Class::Transient, BLOCKS.name(), what));
        }
        Ok((items, paged.pages()))
    }

    async fn document_revision(&self, document: &str) -> Result<i64, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            document: Document,
        }
        #[derive(Deserialize)]
        struct Document {
            #[serde(default, deserialize_with = "wire::number")]
            revision_id: Option<i64>,
        }
        let path = [document];
        let (data, _) = self.inner.call::<Data>(&Call::new(DOCUMENT, &path)).await?;
        data.document.revision_id.ok_or_else(|| {
            let what = format!("{document} came without a revision_id");
            ApiError::local(Class::Unexpected, DOCUMENT.name(), what)
        })
    }
}

/// Blocks that others name as their children, and that are not in the list.
fn lacking(items: &[Value]) -> BTreeSet<String> {
    let known: HashSet<&str> = items.iter().filter_map(|item| item["block_id"].as_str()).collect();
    let children = items.iter().filter_map(|item| item["children"].as_array()).flatten();
    let children = children.filter_map(Value::as_str);
    children.filter(|id| !known.contains(id)).map(str::to_owned).collect()
}
