//! A place's row in few bytes: what a million of them take on disk and to read.
//!
//! The first byte names the form. What follows from something else in the row (a stem from
//! its title, a name from its stem, an object's token from its place's, times from each
//! other) is left out, exactly: every row comes back as it was. What few rows have is JSON
//! at the end, where a field added later is a default in old rows.
//!
//! Nothing here may depend on rules that change from program to program, such as how a
//! title becomes a file name: an old row would come back with another name.

mod bytes;
mod view;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::page::PageRow;
use crate::model::recorded::{Loc, Outcome, PlaceRow, PlaceState, ProductKey, ProductRow, Slot};
use crate::model::{Channel, Format, ObjType, Object, PlaceToken};

use bytes::Out;
pub use view::{NameViews, ProductView, ProductViews, RowView};

/// Why bytes are no row.
pub(super) type Bad = Cow<'static, str>;

/// The form written here, and the only one so far. JSON, the form of version 1, begins with
/// another byte.
const FORM: u8 = 1;

// What a row has, in its second byte.
const HAS_PARENT: u8 = 1;
const HAS_ORDER: u8 = 1 << 1;
const HAS_URL: u8 = 1 << 2;
/// The URL is written without the object's token, which it ends in.
const URL_ENDS_IN_TOKEN: u8 = 1 << 3;
const HAS_EDITED: u8 = 1 << 4;
/// The stem is the title.
const STEM_IS_TITLE: u8 = 1 << 5;
/// The object has the place's token.
const OBJECT_IS_PLACE: u8 = 1 << 6;
/// JSON follows, see [`Rare`].
const HAS_RARE: u8 = 1 << 7;

// How a name is written, in the two upper bits of its slot's byte.
const STEM_AND_USUAL: u8 = 0;
const STEM_AND_MORE: u8 = 1;
const WHOLE_NAME: u8 = 2;

// What a product has, beside its slot in the first byte …
const HAS_PART: u8 = 1 << 6;
const HAS_PART_NAME: u8 = 1 << 7;
const SLOT_BITS: u8 = 0x3f;
// … and in the second. Its lowest bits are a bit a channel with a time.
const HAS_REVISION: u8 = 1 << 3;
const HAS_READ: u8 = 1 << 4;
const IS_DOUBTFUL: u8 = 1 << 5;
const HAS_LINK: u8 = 1 << 6;
const UNUSED: u8 = 1 << 7;

/// The byte of a type whose word follows.
const OTHER_TYPE: u8 = 0xff;

/// What few rows have. A field of [`PlaceRow`] that is in neither place is lost.
#[derive(Debug, Default, Deserialize)]
struct Rare {
    #[serde(default)]
    target: Option<Object>,
    #[serde(default)]
    target_place: Option<PlaceToken>,
    #[serde(default)]
    object_title: Option<String>,
    #[serde(default)]
    state: PlaceState,
    #[serde(default)]
    absent_walks: u32,
    #[serde(default)]
    page: Option<Box<PageRow>>,
    #[serde(default)]
    outcomes: BTreeMap<Format, Outcome>,
    #[serde(default)]
    elsewhere: BTreeMap<Slot, Loc>,
}

/// The same, written.
#[derive(Serialize)]
struct RareOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_place: Option<&'a PlaceToken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a PlaceState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent_walks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a PageRow>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    outcomes: &'a BTreeMap<Format, Outcome>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    elsewhere: &'a BTreeMap<Slot, Loc>,
}

/// Writes a row. `token`: of the place it is kept under; the row is read with the same.
pub(super) fn pack(token: &PlaceToken, row: &PlaceRow) -> Vec<u8> {
    // Each by its name: a field added to the row does not compile before it is kept.
    let PlaceRow {
        object,
        target,
        target_place,
        title,
        object_title,
        parent,
        created_secs,
        order,
        url,
        edited,
        state,
        absent_walks,
        stem,
        names,
        products,
        page,
        outcomes,
        elsewhere,
    } = row;
    let obj_token = object.token.as_str();
    let url_start = url.as_deref().and_then(|url| url.strip_suffix(obj_token));
    let rare = RareOut {
        target: target.as_ref(),
        target_place: target_place.as_ref(),
        object_title: object_title.as_deref(),
        state: (*state != PlaceState::Live).then_some(state),
        absent_walks: (*absent_walks != 0).then_some(*absent_walks),
        page: page.as_deref(),
        outcomes,
        elsewhere,
    };
    let is_rare = rare.target.is_some()
        || rare.target_place.is_some()
        || rare.object_title.is_some()
        || rare.state.is_some()
        || rare.absent_walks.is_some()
        || rare.page.is_some()
        || !outcomes.is_empty()
        || !elsewhere.is_empty();
    let flags = [
        (HAS_PARENT, parent.is_some()),
        (HAS_ORDER, *order != 0),
        (HAS_URL, url.is_some()),
        (URL_ENDS_IN_TOKEN, url_start.is_some()),
        (HAS_EDITED, edited.is_some()),
        (STEM_IS_TITLE, stem == title),
        (OBJECT_IS_PLACE, obj_token == token.as_str()),
        (HAS_RARE, is_rare),
    ];
    let flags = flags.iter().filter(|(_, set)| *set).fold(0, |flags, (flag, _)| flags | flag);

    let mut out = Out(Vec::with_capacity(224));
    out.byte(FORM);
    out.byte(flags);
    if let Some(code) = type_code(&object.ty) {
        out.byte(code);
    } else {
        out.byte(OTHER_TYPE);
        out.text(object.ty.as_str());
    }
    if flags & OBJECT_IS_PLACE == 0 {
        out.text(obj_token);
    }
    out.text(title);
    if flags & STEM_IS_TITLE == 0 {
        let shared = shared_start(title, stem);
        out.number(shared as u64);
        out.text(&stem[shared..]);
    }
    if let Some(parent) = parent {
        out.text(parent.as_str());
    }
    out.near(*created_secs, 0);
    if *order != 0 {
        out.number(u64::from(*order));
    }
    if let Some(url) = url {
        out.text(url_start.unwrap_or(url));
    }
    if let Some(edited) = edited {
        out.byte(channel_code(edited.channel));
        out.near(edited.at_secs, *created_secs);
        out.near(edited.seen_secs, edited.at_secs);
    }
    out.number(names.len() as u64);
    for (slot, name) in names {
        let code = slot_code(*slot);
        let more = name.strip_prefix(stem.as_str());
        match more {
            Some(more) if more == usual_suffix(*slot) => out.byte(code | STEM_AND_USUAL << 6),
            Some(more) => {
                out.byte(code | STEM_AND_MORE << 6);
                out.text(more);
            }
            None => {
                out.byte(code | WHOLE_NAME << 6);
                out.text(name);
            }
        }
    }
    out.number(products.len() as u64);
    // Most files have the edit time of their object, and were fetched about when it was seen.
    let near = Near::of(*created_secs, edited.as_ref().map(|e| (e.at_secs, e.seen_secs)));
    for (key, file) in products {
        product(&mut out, near, key, file);
    }
    if is_rare {
        serde_json::to_writer(&mut out.0, &rare)
            .expect("rows have string keys and no failing fields");
    }
    out.0
}

/// Times of a row that those of its products are likely near to.
#[derive(Debug, Clone, Copy)]
struct Near {
    at_secs: i64,
    seen_secs: i64,
}

impl Near {
    fn of(created_secs: i64, edited: Option<(i64, i64)>) -> Self {
        let (at_secs, seen_secs) = edited.unwrap_or((created_secs, created_secs));
        Self { at_secs, seen_secs }
    }
}

fn product(out: &mut Out, near: Near, key: &ProductKey, file: &ProductRow) {
    let ProductRow { part_name, size, blake3, mtime_secs, link, stamp, doubtful } = file;
    let part = if key.part.is_some() { HAS_PART } else { 0 };
    let named = if part_name.is_some() { HAS_PART_NAME } else { 0 };
    out.byte(slot_code(key.slot) | part | named);
    let flags = [
        (HAS_REVISION, stamp.revision.is_some()),
        (HAS_READ, stamp.read_secs.is_some()),
        (IS_DOUBTFUL, *doubtful),
        (HAS_LINK, link.is_some()),
    ];
    let flags = flags.iter().filter(|(_, set)| *set).fold(0, |flags, (flag, _)| flags | flag);
    out.byte(stamp.times.keys().fold(flags, |flags, channel| flags | 1 << channel_code(*channel)));
    if let Some(part) = &key.part {
        out.text(part);
    }
    if let Some(name) = part_name {
        out.text(name);
    }
    out.number(*size);
    out.0.extend_from_slice(&blake3.0);
    out.near(*mtime_secs, near.at_secs);
    for channel in CHANNELS {
        if let Some(at) = stamp.times.get(&channel) {
            out.near(*at, near.at_secs);
        }
    }
    out.near(stamp.seen_secs, near.seen_secs);
    if let Some(revision) = stamp.revision {
        out.near(revision, 0);
    }
    if let Some(read) = stamp.read_secs {
        out.near(read, stamp.seen_secs);
    }
    if let Some(link) = link {
        out.text(link);
    }
}

/// Bytes that both begin with, up to where characters of both begin.
fn shared_start(one: &str, other: &str) -> usize {
    let pairs = one.char_indices().zip(other.chars());
    let mut same = pairs.take_while(|((_, a), b)| a == b);
    same.by_ref().last().map_or(0, |((at, a), _)| at + a.len_utf8())
}

/// Channels in the order of their codes, which is that of their names in a stamp, too.
const CHANNELS: [Channel; 3] = [Channel::Drive, Channel::Wiki, Channel::Metas];

fn channel_code(channel: Channel) -> u8 {
    match channel {
        Channel::Drive => 0,
        Channel::Wiki => 1,
        Channel::Metas => 2,
    }
}

/// Types in the order of their codes. A later one goes to the end.
const TYPES: [ObjType; 10] = [
    ObjType::Folder,
    ObjType::Docx,
    ObjType::Doc,
    ObjType::Sheet,
    ObjType::Bitable,
    ObjType::Slides,
    ObjType::Mindnote,
    ObjType::File,
    ObjType::Shortcut,
    ObjType::Space,
];

fn type_code(ty: &ObjType) -> Option<u8> {
    (0..).zip(&TYPES).find(|(_, one)| *one == ty).map(|(code, _)| code)
}

fn slot_code(slot: Slot) -> u8 {
    match slot {
        Slot::Dir => 0,
        Slot::LinkToDir => 1,
        Slot::Product(format) => 2 + 2 * format_code(format),
        Slot::LinkTo(format) => 3 + 2 * format_code(format),
    }
}

fn slot_of(code: u8) -> Option<Slot> {
    Some(match code {
        0 => Slot::Dir,
        1 => Slot::LinkToDir,
        code => {
            let format = *FORMATS.get(usize::from(code / 2 - 1))?;
            if code.is_multiple_of(2) { Slot::Product(format) } else { Slot::LinkTo(format) }
        }
    })
}

/// Formats in the order of their codes. A later one goes to the end, up to 31.
const FORMATS: [Format; 13] = [
    Format::Docx,
    Format::Pdf,
    Format::Md,
    Format::Xlsx,
    Format::Csv,
    Format::Json,
    Format::Pptx,
    Format::File,
    Format::Url,
    Format::Link,
    Format::Assets,
    Format::Blocks,
    Format::Comments,
];

fn format_code(format: Format) -> u8 {
    match format {
        Format::Docx => 0,
        Format::Pdf => 1,
        Format::Md => 2,
        Format::Xlsx => 3,
        Format::Csv => 4,
        Format::Json => 5,
        Format::Pptx => 6,
        Format::File => 7,
        Format::Url => 8,
        Format::Link => 9,
        Format::Assets => 10,
        Format::Blocks => 11,
        Format::Comments => 12,
    }
}

/// What follows the stem in the names of a slot, most often. Part of the form: never changed.
fn usual_suffix(slot: Slot) -> &'static str {
    match slot {
        Slot::Dir | Slot::LinkToDir => "",
        Slot::Product(format) | Slot::LinkTo(format) => match format {
            Format::Docx => ".docx",
            Format::Pdf => ".pdf",
            Format::Md => ".md",
            Format::Xlsx => ".xlsx",
            Format::Csv => ".sheets",
            Format::Json => ".tables",
            Format::Pptx => ".pptx",
            Format::Url => ".url",
            Format::File | Format::Link => "",
            Format::Assets => ".assets",
            Format::Blocks => ".blocks.json",
            Format::Comments => ".comments.json",
        },
    }
}

#[cfg(test)]
mod tests;
