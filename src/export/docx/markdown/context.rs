//! What the writer is given besides the blocks, and what it gives back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::export::docx::Tree;

/// Values of the front matter. Nothing in it changes unless the document does.
#[derive(Debug, Clone, Default)]
pub struct FrontMatter {
    /// Title, as shown by the service.
    pub title: String,
    /// The document's token.
    pub token: String,
    /// The service's word for its type, such as `docx`.
    pub obj_type: String,
    /// Its address.
    pub url: String,
    /// Its revision.
    pub revision: Option<i64>,
    /// When it was last edited, in seconds since 1970.
    pub edited_secs: Option<i64>,
    /// Its owner's name, or id.
    pub owner: String,
}

/// What a document refers to, as found by those who looked. What is not in it shows as a
/// note in the page and is counted.
#[derive(Debug, Clone)]
pub struct Context {
    /// Names of people by user id. Without a name the id is shown.
    pub people: HashMap<String, String>,
    /// Linked documents by token. Without an entry, or without a path in it, the address that
    /// the document itself has is linked.
    pub documents: HashMap<String, DocumentLink>,
    /// Pictures and files by token: a path relative to the page's folder.
    pub media: HashMap<String, Found<String>>,
    /// Embedded sheets by the token in the block (`<spreadsheet>_<sheet>`).
    pub sheets: HashMap<String, Found<Data>>,
    /// Embedded tables of bases by the token in the block (`<app>_<table>`).
    pub bitables: HashMap<String, Found<Data>>,
    /// Pictures of whiteboards by token: a path relative to the page's folder.
    pub boards: HashMap<String, Found<String>>,
    /// Documents with the content of synced blocks, by token.
    pub synced: HashMap<String, Found<Arc<Tree>>>,
    /// Pages below a wiki node, by its token.
    pub page_lists: HashMap<String, Found<Vec<SubPage>>>,
    /// Whether colours are written, as HTML.
    pub colors: bool,
    /// In which reminders are shown.
    pub time_zone: TimeZone,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            people: HashMap::new(),
            documents: HashMap::new(),
            media: HashMap::new(),
            sheets: HashMap::new(),
            bitables: HashMap::new(),
            boards: HashMap::new(),
            synced: HashMap::new(),
            page_lists: HashMap::new(),
            colors: false,
            time_zone: TimeZone::UTC,
        }
    }
}

/// Something that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found<T> {
    /// Here it is.
    Here(T),
    /// This identity may not read it.
    Forbidden,
    /// It is not there, for this reason: a few words such as "deleted".
    Absent(String),
}

impl<T> Found<T> {
    /// The same with another value.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::Here(value) => Found::Here(with(value)),
            Self::Forbidden => Found::Forbidden,
            Self::Absent(why) => Found::Absent(why),
        }
    }

    /// The same of a reference.
    pub fn as_ref(&self) -> Found<&T> {
        match self {
            Self::Here(value) => Found::Here(value),
            Self::Forbidden => Found::Forbidden,
            Self::Absent(why) => Found::Absent(why.clone()),
        }
    }
}

/// Where a mentioned document is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentLink {
    /// Path of its copy relative to the page's folder, `/` between parts; `None` where it is
    /// not mirrored.
    pub path: Option<String>,
    /// Its title now; `None` keeps the one in the block.
    pub title: Option<String>,
}

/// An embedded sheet or table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// Its name.
    pub title: String,
    /// Cells as text, row by row; the first row is the header. May be only the first rows.
    pub rows: Vec<Vec<String>>,
    /// How many rows there are without the header.
    pub total_rows: usize,
    /// Where all of it is, relative to the page's folder.
    #[serde(skip)]
    pub full: Option<String>,
}

/// An entry in a list of child pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubPage {
    /// 0 for the children of the listed node, 1 for theirs, …; entries are in reading order.
    pub depth: usize,
    /// Its wiki node.
    pub token: String,
    /// Its title.
    pub title: String,
    /// Path of its copy relative to the page's folder.
    pub path: Option<String>,
    /// Its address, for when it has no copy.
    pub url: String,
}

/// A document as Markdown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text: `\n` between lines, one at the end.
    pub markdown: String,
    /// What is not as a reader would expect it, counted.
    pub warnings: BTreeMap<Warning, usize>,
    /// Documents that it refers to, in order of appearance, with repetitions.
    pub links: Vec<WrittenLink>,
}

/// A reference to a document in what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenLink {
    /// The token by which the document refers to it.
    pub token: String,
    /// The relative path that was written; `None` where an address was.
    pub path: Option<String>,
}

/// Why something is not as a reader would expect it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Warning {
    /// A block type that this program does not know.
    UnknownBlock(i64),
    /// A text element that this program does not know.
    UnknownElement(String),
    /// Something whose content the API does not give; the word says what.
    NoContent(&'static str),
    /// This identity may not read it; the word says what.
    Forbidden(&'static str),
    /// It was not there or was not fetched; the word says what.
    Absent(&'static str),
    /// A link that could run something; its text is kept.
    UnsafeLink,
    /// A synced block that shows itself.
    SyncedLoop,
    /// Synced blocks that together are far longer than any document.
    SyncedTooLong,
    /// A formula that no dollar signs can hold; it stands as code.
    FormulaAsCode,
    /// The block list names a child that it does not have.
    MissingBlock,
    /// The block list names a child twice, or in a circle.
    RepeatedBlock,
    /// Two different blocks with one id.
    DuplicateId,
    /// A block without a parent; it stands at the end.
    DetachedBlock,
    /// A block deeper than the writer indents.
    TooDeep,
    /// An item of the block list that is no block.
    MalformedBlock,
}

impl Warning {
    /// The warning in words, such as `whiteboard may not be read`.
    pub fn describe(&self) -> String {
        match self {
            Self::UnknownBlock(number) => format!("unknown block type {number}"),
            Self::UnknownElement(name) => format!("unknown text element {name:?}"),
            Self::NoContent(what) => format!("{what} has no content in the API"),
            Self::Forbidden(what) => format!("{what} may not be read"),
            Self::Absent(what) => format!("{what} is not there"),
            Self::UnsafeLink => "unsafe link".to_owned(),
            Self::SyncedLoop => "synced block shows itself".to_owned(),
            Self::SyncedTooLong => "synced blocks are too long".to_owned(),
            Self::FormulaAsCode => "formula written as code".to_owned(),
            Self::MissingBlock => "block is not in the list".to_owned(),
            Self::RepeatedBlock => "block is listed twice".to_owned(),
            Self::DuplicateId => "two blocks with one id".to_owned(),
            Self::DetachedBlock => "block without a parent".to_owned(),
            Self::TooDeep => "block nested too deep".to_owned(),
            Self::MalformedBlock => "item of the block list is no block".to_owned(),
        }
    }
}
