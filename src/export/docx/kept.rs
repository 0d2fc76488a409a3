//! A document's blocks with everything that was fetched for its page: enough to write the
//! page again, without a call, when only what is around it changes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::tz::{TimeZone, offset};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Tree;
use super::markdown::{Context, Data, DocumentLink, Found, FrontMatter, Rendered, SubPage, render};
use crate::layout::Around;
use crate::model::page::{Embed, Limits};

/// In which reminders are shown, wherever this runs: the service's own.
const HOURS_EAST: i8 = 8;

/// The shape of what is kept; another one cannot be read.
const VERSION: u32 = 1;

/// What is kept of a page is never longer: a few bytes can say that they are terabytes.
/// Larger than what a reply of the service may hold, several times over.
const MAX_BYTES: u64 = 512 << 20;

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    version: u32,
    /// The document's token.
    pub document: String,
    /// The `revision_id` of the blocks.
    pub revision: Option<i64>,
    /// When it was last edited, seconds since 1970.
    pub edited_secs: Option<i64>,
    /// Its owner's name, or id.
    pub owner: String,
    /// As the service sent them.
    pub blocks: Vec<Value>,
    /// Documents with the sources of synced blocks, by token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub synced: BTreeMap<String, Found<Vec<Value>>>,
    /// Names by `open_id`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<String, String>,
    /// Pictures and attached files, by token: the file's name in the side folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub media: BTreeMap<String, Found<String>>,
    /// Pictures of whiteboards, by token: the file's name in the side folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub boards: BTreeMap<String, Found<String>>,
    /// More files of the side folder, which the page does not show, by part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, String>,
    /// Embedded sheets, by the token in the block.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sheets: BTreeMap<String, Found<Data>>,
    /// Embedded tables of bases, by the token in the block.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bitables: BTreeMap<String, Found<Data>>,
    /// Documents that it refers to, see [`crate::model::page::PageRow::links`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Wiki nodes whose children it lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
    /// The limits that left something out.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// What it shows of other objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embeds: Vec<Embed>,
}

/// Why something kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// Damaged.
    #[error("it cannot be read: {0}")]
    Damaged(#[from] std::io::Error),
    /// Damaged, or of a program with other ideas.
    #[error("it is not what was written: {0}")]
    Shape(#[from] serde_json::Error),
    /// Of a newer program.
    #[error("it is of version {0}")]
    Version(u32),
    /// Damaged, so that it grows without end.
    #[error("it is longer than any page")]
    TooLong,
}

impl Kept {
    /// Of a document, with nothing in it.
    pub fn new(document: &str) -> Self {
        Self { version: VERSION, document: document.to_owned(), ..Self::default() }
    }

    /// Compressed.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        serde_json::to_writer(&mut encoder, self).expect("plain data, written to memory");
        encoder.flush().and_then(|()| encoder.finish()).expect("written to memory")
    }

    /// And back.
    pub fn decode(bytes: &[u8]) -> Result<Self, KeptError> {
        Self::decode_within(bytes, MAX_BYTES)
    }

    fn decode_within(bytes: &[u8], most: u64) -> Result<Self, KeptError> {
        let mut text = Vec::new();
        let read = DeflateDecoder::new(bytes).take(most + 1).read_to_end(&mut text)?;
        if read as u64 > most {
            return Err(KeptError::TooLong);
        }
        let kept: Self = serde_json::from_slice(&text)?;
        if kept.version == VERSION { Ok(kept) } else { Err(KeptError::Version(kept.version)) }
    }

    /// Remembers which of these limits left something out, whose place has this note.
    pub fn limit(&mut self, table_rows: u32, max_size: Option<u64>, too_large: &str) {
        let is_cut = |found: &Found<Data>| {
            let Found::Here(data) = found else { return false };
            // Without the header.
            data.total_rows > data.rows.len().saturating_sub(1)
        };
        let is_large =
            |found: &Found<String>| matches!(found, Found::Absent(why) if why == too_large);
        let cut = self.sheets.values().chain(self.bitables.values()).any(is_cut);
        let large = self.media.values().chain(self.boards.values()).any(is_large);
        self.limits =
            Limits { table_rows: cut.then_some(table_rows), max_size: max_size.filter(|_| large) };
    }

    /// Every file of the side folder: part and name.
    pub fn assets(&self) -> BTreeMap<String, String> {
        let found = self.media.iter().chain(&self.boards);
        let found = found.filter_map(|(token, found)| match found {
            Found::Here(name) => Some((token.clone(), name.clone())),
            Found::Forbidden | Found::Absent(_) => None,
        });
        found.chain(self.beside.clone()).collect()
    }

    /// The page, where the copy around it is like this.
    pub fn render(&self, around: &Around) -> Rendered {
        let tree = Tree::build(&self.document, &self.blocks);
        let front_matter = FrontMatter {
            title: around.title.clone(),
            token: self.document.clone(),
            obj_type: "docx".to_owned(),
            url: around.url.clone().unwrap_or_default(),
            revision: self.revision,
            edited_secs: self.edited_secs,
            owner: self.owner.clone(),
        };
        render(&tree, &front_matter, &self.context(around))
    }

    fn context(&self, around: &Around) -> Context {
        let folder = around.assets.as_deref().unwrap_or_default();
        let files = |found: &BTreeMap<String, Found<String>>| {
            let path = |(token, found): (&String, &Found<String>)| {
                (token.clone(), found.clone().map(|name| format!("{folder}/{name}")))
            };
            found.iter().map(path).collect()
        };
        let tables = |found: &BTreeMap<String, Found<Data>>| {
            let full = |(token, found): (&String, &Found<Data>)| {
                let container = super::needs::Part::split(token).container;
                let full = around.documents.get(&container).and_then(|to| to.path.clone());
                (token.clone(), found.clone().map(|data| Data { full, ..data }))
            };
            found.iter().map(full).collect()
        };
        let documents = around.documents.iter().map(|(token, to)| {
            let title = to.path.is_some().then(|| to.title.clone());
            (token.clone(), DocumentLink { path: to.path.clone(), title })
        });
        let page_lists = around.lists.iter().map(|(token, pages)| {
            let absent = || Found::Absent("not in this copy".to_owned());
            let pages = pages.as_ref().map(|pages| {
                let page = |page: &crate::layout::ChildPage| SubPage {
                    depth: page.depth,
                    token: page.token.clone(),
                    title: page.title.clone(),
                    path: page.path.clone(),
                    url: String::new(),
                };
                Found::Here(pages.iter().map(page).collect())
            });
            (token.clone(), pages.unwrap_or_else(absent))
        });
        let synced = self.synced.iter().map(|(token, items)| {
            (token.clone(), items.as_ref().map(|items| Arc::new(Tree::build(token, items))))
        });
        Context {
            people: self.people.clone().into_iter().collect(),
            documents: documents.collect(),
            media: files(&self.media),
            sheets: tables(&self.sheets),
            bitables: tables(&self.bitables),
            boards: files(&self.boards),
            synced: synced.collect(),
            page_lists: page_lists.collect(),
            colors: around.colors,
            time_zone: TimeZone::fixed(offset(HOURS_EAST)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Whatever stands in the file of a kept page: it is read whole or refused.
    fn no_panic_on_kept(bytes: &[u8]) {
        if let Ok(kept) = Kept::decode_within(bytes, 1 << 20) {
            assert_eq!(kept.version, VERSION);
            assert_eq!(Kept::decode(&kept.encode()).expect("it was written whole"), kept);
            let rendered = kept.render(&Around::default());
            assert!(rendered.markdown.ends_with('\n'));
        }
    }

    fn deflated(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn sample() -> Kept {
        let mut kept = Kept::new("doxA");
        kept.blocks = vec![
            json!({"block_id": "doxA", "block_type": 1, "page": {}, "children": ["i", "t"]}),
            json!({"block_id": "i", "block_type": 27, "image": {"token": "boxI"}}),
            json!({"block_id": "t", "block_type": 2, "text": {"elements": [
                {"text_run": {"content": "words"}}]}}),
        ];
        kept.media.insert("boxI".to_owned(), Found::Here("../../i.png".to_owned()));
        kept.people.insert("ou_a".to_owned(), "Ann".to_owned());
        kept
    }

    proptest! {
        #[test]
        fn what_was_kept_and_damaged_is_refused_or_read(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..6_u8,
        ) {
            let mut text = serde_json::to_vec(&sample()).unwrap();
            let mut packed = sample().encode();
            let (n, m) = (at.index(text.len()), at.index(packed.len()));
            match how {
                0 => text.truncate(n),
                1 => text[n] = byte,
                2 => text.insert(n, byte),
                3 => packed.truncate(m),
                4 => packed[m] = byte,
                _ => packed.insert(m, byte),
            }
            no_panic_on_kept(&packed);
            no_panic_on_kept(&deflated(&text));
        }

        #[test]
        fn any_bytes_are_no_kept_page(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            no_panic_on_kept(&bytes);
            no_panic_on_kept(&deflated(&bytes));
        }
    }

    #[test]
    fn a_few_bytes_do_not_become_gigabytes() {
        let bomb = deflated(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(Kept::decode_within(&bomb, 1 << 20), Err(KeptError::TooLong)));
        let fits = sample().encode();
        let length = serde_json::to_vec(&sample()).unwrap().len() as u64;
        assert!(matches!(Kept::decode_within(&fits, length - 1), Err(KeptError::TooLong)));
        assert_eq!(Kept::decode_within(&fits, length).unwrap(), sample());
    }

    #[test]
    fn a_page_of_a_newer_program_is_left_alone() {
        let newer = Kept { version: 2, ..sample() };
        assert!(matches!(Kept::decode(&newer.encode()), Err(KeptError::Version(2))));
    }
}
