//! Blocks and text elements of a document, as the converter sees them.
//!
//! One variant for each block type and each text element that the service documents (docs:
//! docs/docx-v1/data-structure/block, docs/docx-v1/data-structure/rich-text); whatever else
//! comes is [`Kind::Unknown`] or [`What::Unknown`] and keeps its place. URLs are decoded.

/// What a block is, with the part of its payload that a reader sees.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// 1: the document itself; its text is the title.
    Page(Text),
    /// 2: a paragraph.
    Text(Text),
    /// 3 to 11: headings of level 1 to 9.
    Heading {
        /// 1 to 9.
        level: u8,
        /// Its text.
        text: Text,
    },
    /// 12: an item of a bullet list.
    Bullet(Text),
    /// 13: an item of a numbered list.
    Ordered(Text),
    /// 14: code.
    Code(Text),
    /// 15: a quoted paragraph.
    Quote(Text),
    /// 16: a formula.
    Equation(Text),
    /// 17: an item of a checklist.
    Todo(Text),
    /// 18: an embedded base; `<app_token>_<table_id>`.
    Bitable {
        /// App and table.
        token: String,
    },
    /// 19: a coloured box.
    Callout {
        /// Short name of its emoji, such as `bulb`.
        emoji: Option<String>,
        /// Number of its background colour; 0 is none.
        background: u8,
    },
    /// 20: a card for a group chat.
    ChatCard {
        /// The chat.
        chat_id: String,
    },
    /// 21: a flowchart or UML diagram; its content has no API.
    Diagram {
        /// 1 flowchart, 2 UML.
        diagram_type: i64,
    },
    /// 22: a horizontal line.
    Divider,
    /// 23: an attached file.
    File {
        /// For the download of its bytes.
        token: String,
        /// File name.
        name: String,
    },
    /// 24: columns side by side.
    Grid,
    /// 25: one of them.
    GridColumn,
    /// 26: an embedded page.
    Iframe {
        /// Which service; see `iframe_name`.
        iframe_type: i64,
        /// Its address.
        url: String,
    },
    /// 27: a picture.
    Image {
        /// For the download of its bytes.
        token: String,
        /// The text below it.
        caption: String,
    },
    /// 28: a third party's component.
    Isv {
        /// Which kind of component.
        component_type: String,
    },
    /// 29: a mind map.
    Mindnote {
        /// The mind map.
        token: String,
    },
    /// 30: an embedded sheet; `<spreadsheet_token>_<sheet_id>`.
    Sheet {
        /// Spreadsheet and sheet.
        token: String,
    },
    /// 31: a table.
    Table(Box<Table>),
    /// 32: a cell of a table.
    TableCell,
    /// 33: a frame around a file.
    View,
    /// 34: a quote of several blocks.
    QuoteContainer,
    /// 35: a task.
    Task {
        /// The task.
        id: String,
    },
    /// 36: objectives and key results of a period.
    Okr {
        /// The OKR.
        id: String,
        /// Name of the period, in Chinese or English.
        period: String,
        /// Whose.
        user_id: String,
    },
    /// 37: an objective.
    OkrObjective(Goal),
    /// 38: a key result.
    OkrKeyResult(Goal),
    /// 39: progress of one of them.
    OkrProgress,
    /// 40: a component by its record; text drawings (Mermaid, `PlantUML`) come as these.
    AddOns {
        /// Which kind of component.
        component_type: String,
        /// Source of the drawing, when its record has one.
        source: Option<String>,
    },
    /// 41: a Jira issue.
    Jira {
        /// Its key, such as `ABC-1`, or its id.
        key: String,
    },
    /// 42: list of child pages (older).
    WikiCatalog {
        /// The node whose children it lists.
        wiki_token: String,
    },
    /// 43: a whiteboard.
    Board {
        /// The whiteboard.
        token: String,
    },
    /// 44: an agenda.
    Agenda,
    /// 45: one point of it.
    AgendaItem,
    /// 46: its title.
    AgendaItemTitle(Text),
    /// 47: its content.
    AgendaItemContent,
    /// 48: a preview of a link; the address is not returned on read.
    LinkPreview {
        /// The address, should it come after all.
        url: String,
        /// `MessageLink` or `Undefined`.
        url_type: String,
    },
    /// 49: the source of a synced block.
    SourceSynced(Text),
    /// 50: a synced block; its content is in the source document.
    ReferenceSynced {
        /// The document that has the content.
        document: String,
        /// The block in it.
        block: String,
    },
    /// 51: list of child pages (newer).
    SubPageList {
        /// The node whose children it lists.
        wiki_token: String,
    },
    /// 52: a placeholder of an AI template.
    AiTemplate,
    /// 999: what the API does not support.
    Undefined,
    /// A block type that this program does not know.
    Unknown {
        /// Its number.
        block_type: i64,
    },
}

/// Text of a block: what it is made of, and the style of the whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    /// In order.
    pub elements: Vec<Element>,
    /// 1 left, 2 centre, 3 right; 0 unknown.
    pub align: u8,
    /// Of a checklist item.
    pub done: bool,
    /// Number of a code block's language; 0 unknown.
    pub language: i64,
    /// Of a numbered item.
    pub sequence: Sequence,
}

/// How a numbered item gets its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sequence {
    /// Not said: counts on from the item right before it.
    #[default]
    Unsaid,
    /// `auto`: counts on, across whatever stands between.
    Auto,
    /// Starts at this number.
    At(u64),
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// What it is.
    pub what: What,
    /// How it looks.
    pub style: Style,
}

/// What a part of a text is.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Plain words.
    Run(String),
    /// A person.
    User(String),
    /// A document.
    Document {
        /// Token of the object or wiki node.
        token: String,
        /// Number of its type; see [`crate::export::docx::needs::obj_type_name`].
        obj_type: i64,
        /// Its address.
        url: String,
        /// Its title when the mention was made.
        title: String,
    },
    /// A date.
    Reminder {
        /// Milliseconds since 1970.
        expire_ms: Option<i64>,
        /// A day without a time.
        whole_day: bool,
    },
    /// A file in the line.
    File {
        /// For the download of its bytes.
        token: String,
        /// The block that knows its name.
        source_block: String,
    },
    /// A block of the list shown in the line.
    Block(String),
    /// A formula, as `KaTeX` source.
    Equation(String),
    /// A link shown with its title.
    LinkPreview {
        /// Title.
        title: String,
        /// Address.
        url: String,
    },
    /// What the API does not support, or a newer element, by its key.
    Unknown(String),
}

/// How a part of a text looks.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five independent marks, as the service has them"
)]
pub struct Style {
    /// Bold.
    pub bold: bool,
    /// Italic.
    pub italic: bool,
    /// Struck through.
    pub strikethrough: bool,
    /// Underlined.
    pub underline: bool,
    /// Code.
    pub code: bool,
    /// 1 to 7; 0 none.
    pub color: u8,
    /// 1 to 15; 0 none.
    pub background: u8,
    /// Address that it links to.
    pub link: Option<String>,
}

/// A table, without its cells' content.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Block ids, row by row.
    pub cells: Vec<String>,
    /// How many rows the service says there are.
    pub rows: usize,
    /// How many columns it says there are.
    pub columns: usize,
    /// Rows and columns that each cell spans, in the order of `cells`.
    pub spans: Vec<(usize, usize)>,
    /// The first row is a header.
    pub header_row: bool,
    /// The first column is a header.
    pub header_column: bool,
}

/// An objective or a key result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Goal {
    /// What is to be reached.
    pub content: Text,
    /// Its position among its siblings, from 1; 0 unknown.
    pub position: i64,
    /// Progress in per cent.
    pub percent: Option<i64>,
}

impl Kind {
    /// The text of a block that is made of text.
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::Page(text)
            | Self::Text(text)
            | Self::Heading { text, .. }
            | Self::Bullet(text)
            | Self::Ordered(text)
            | Self::Code(text)
            | Self::Quote(text)
            | Self::Equation(text)
            | Self::Todo(text)
            | Self::AgendaItemTitle(text)
            | Self::SourceSynced(text) => Some(text),
            Self::OkrObjective(goal) | Self::OkrKeyResult(goal) => Some(&goal.content),
            _ => None,
        }
    }

    /// Whether it is an item of a list.
    pub fn is_list_item(&self) -> bool {
        matches!(self, Self::Bullet(_) | Self::Ordered(_) | Self::Todo(_))
    }
}
