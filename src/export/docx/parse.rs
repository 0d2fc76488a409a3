//! One block's JSON → [`Kind`], tolerant: a wrong type reads as absent.
//!
//! Real replies hold more than one payload key (an empty `divider` in every block, for one),
//! so the payload is looked up by the number of the type, never by what else is there.

use serde_json::Value;

use super::block::{Element, Goal, Kind, Sequence, Style, Table, Text, What};
use super::url::decode_once;

/// Payload keys by block type, from 1 (docs: docs/docx-v1/data-structure/block, `BlockType`).
const KEYS: [&str; 52] = [
    "page",
    "text",
    "heading1",
    "heading2",
    "heading3",
    "heading4",
    "heading5",
    "heading6",
    "heading7",
    "heading8",
    "heading9",
    "bullet",
    "ordered",
    "code",
    "quote",
    "equation",
    "todo",
    "bitable",
    "callout",
    "chat_card",
    "diagram",
    "divider",
    "file",
    "grid",
    "grid_column",
    "iframe",
    "image",
    "isv",
    "mindnote",
    "sheet",
    "table",
    "table_cell",
    "view",
    "quote_container",
    "task",
    "okr",
    "okr_objective",
    "okr_key_result",
    "okr_progress",
    "add_ons",
    "jira_issue",
    "wiki_catalog",
    "board",
    "agenda",
    "agenda_item",
    "agenda_item_title",
    "agenda_item_content",
    "link_preview",
    "source_synced",
    "reference_synced",
    "sub_page_list",
    "ai_template",
];

/// What the block `value` is.
pub(super) fn kind(value: &Value) -> Kind {
    let block_type = integer(value, "block_type").unwrap_or(0);
    let key = usize::try_from(block_type - 1).ok().and_then(|index| KEYS.get(index));
    let empty = Value::Null;
    let payload = key.map_or(&empty, |key| &value[*key]);
    match block_type {
        1 => Kind::Page(text(payload)),
        2 => Kind::Text(text(payload)),
        3..=11 => Kind::Heading {
            level: u8::try_from(block_type - 2).expect("3 to 11"),
            text: text(payload),
        },
        12 => Kind::Bullet(text(payload)),
        13 => Kind::Ordered(text(payload)),
        14 => Kind::Code(text(payload)),
        15 => Kind::Quote(text(payload)),
        16 => Kind::Equation(text(payload)),
        17 => Kind::Todo(text(payload)),
        18 => Kind::Bitable { token: string(payload, "token") },
        19 => Kind::Callout {
            emoji: Some(string(payload, "emoji_id")).filter(|name| !name.is_empty()),
            background: small(payload, "background_color"),
        },
        20 => Kind::ChatCard { chat_id: string(payload, "chat_id") },
        21 => Kind::Diagram { diagram_type: integer(payload, "diagram_type").unwrap_or(0) },
        22 => Kind::Divider,
        23 => Kind::File { token: string(payload, "token"), name: string(payload, "name") },
        24 => Kind::Grid,
        25 => Kind::GridColumn,
        26 => {
            let component = &payload["component"];
            Kind::Iframe {
                // The structure page says `type`, the list schema and the SDKs `iframe_type`.
                iframe_type: integer(component, "iframe_type")
                    .or_else(|| integer(component, "type"))
                    .unwrap_or(0),
                url: decode_once(&string(component, "url")),
            }
        }
        27 => Kind::Image {
            token: string(payload, "token"),
            caption: string(&payload["caption"], "content"),
        },
        28 => Kind::Isv { component_type: string(payload, "component_type_id") },
        29 => Kind::Mindnote { token: string(payload, "token") },
        30 => Kind::Sheet { token: string(payload, "token") },
        31 => Kind::Table(Box::new(table(payload))),
        32 => Kind::TableCell,
        33 => Kind::View,
        34 => Kind::QuoteContainer,
        35 => Kind::Task { id: string(payload, "task_id") },
        36 => Kind::Okr {
            id: string(payload, "okr_id"),
            period: Some(string(payload, "period_name_zh"))
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| string(payload, "period_name_en")),
            user_id: string(payload, "user_id"),
        },
        37 => Kind::OkrObjective(goal(payload)),
        38 => Kind::OkrKeyResult(goal(payload)),
        39 => Kind::OkrProgress,
        40 => Kind::AddOns {
            component_type: string(payload, "component_type_id"),
            source: drawing(&payload["record"]),
        },
        41 => Kind::Jira {
            key: Some(string(payload, "key"))
                .filter(|key| !key.is_empty())
                .unwrap_or_else(|| string(payload, "id")),
        },
        42 => Kind::WikiCatalog { wiki_token: string(payload, "wiki_token") },
        43 => Kind::Board { token: string(payload, "token") },
        44 => Kind::Agenda,
        45 => Kind::AgendaItem,
        46 => Kind::AgendaItemTitle(text(payload)),
        47 => Kind::AgendaItemContent,
        48 => Kind::LinkPreview {
            url: decode_once(&string(payload, "url")),
            url_type: string(payload, "url_type"),
        },
        49 => Kind::SourceSynced(text(payload)),
        50 => Kind::ReferenceSynced {
            document: string(payload, "source_document_id"),
            block: string(payload, "source_block_id"),
        },
        51 => Kind::SubPageList { wiki_token: string(payload, "wiki_token") },
        52 => Kind::AiTemplate,
        999 => Kind::Undefined,
        block_type => Kind::Unknown { block_type },
    }
}

/// A text payload: `{"style":{…},"elements":[…]}`.
fn text(payload: &Value) -> Text {
    let style = &payload["style"];
    Text {
        elements: payload["elements"]
            .as_array()
            .map(|elements| elements.iter().map(element).collect())
            .unwrap_or_default(),
        align: small(style, "align").max(small(payload, "align")),
        done: flag(style, "done"),
        language: integer(style, "language").unwrap_or(0),
        sequence: sequence(&style["sequence"]),
    }
}

/// `"auto"` or a number, which is documented as a string.
fn sequence(value: &Value) -> Sequence {
    match value {
        Value::String(text) if text == "auto" => Sequence::Auto,
        Value::String(text) => text.trim().parse().map_or(Sequence::Unsaid, Sequence::At),
        Value::Number(number) => number.as_u64().map_or(Sequence::Unsaid, Sequence::At),
        _ => Sequence::Unsaid,
    }
}

fn element(value: &Value) -> Element {
    let known = [
        "text_run",
        "mention_user",
        "mention_doc",
        "reminder",
        "file",
        "inline_block",
        "equation",
        "link_preview",
    ];
    let Some((key, payload)) =
        known.iter().find_map(|key| value.get(*key).map(|payload| (*key, payload)))
    else {
        let name = value.as_object().and_then(|object| object.keys().next());
        let name = name.map_or_else(|| "undefined".to_owned(), Clone::clone);
        return Element { what: What::Unknown(name), style: Style::default() };
    };
    let what = match key {
        "text_run" => What::Run(string(payload, "content")),
        "mention_user" => What::User(string(payload, "user_id")),
        "mention_doc" => What::Document {
            token: string(payload, "token"),
            obj_type: integer(payload, "obj_type").unwrap_or(0),
            url: decode_once(&string(payload, "url")),
            title: string(payload, "title"),
        },
        "reminder" => What::Reminder {
            expire_ms: integer(payload, "expire_time").or_else(|| integer(payload, "notify_time")),
            whole_day: flag(payload, "is_whole_day"),
        },
        "file" => What::File {
            token: string(payload, "file_token"),
            source_block: string(payload, "source_block_id"),
        },
        "inline_block" => What::Block(string(payload, "block_id")),
        "equation" => What::Equation(string(payload, "content")),
        _ => What::LinkPreview {
            title: string(payload, "title"),
            url: decode_once(&string(payload, "url")),
        },
    };
    Element { what, style: style(&payload["text_element_style"]) }
}

fn style(value: &Value) -> Style {
    Style {
        bold: flag(value, "bold"),
        italic: flag(value, "italic"),
        strikethrough: flag(value, "strikethrough"),
        underline: flag(value, "underline"),
        code: flag(value, "inline_code"),
        color: small(value, "text_color"),
        background: small(value, "background_color"),
        link: Some(decode_once(&string(&value["link"], "url"))).filter(|url| !url.is_empty()),
    }
}

fn table(payload: &Value) -> Table {
    let property = &payload["property"];
    let size = |value: &Value, key| {
        integer(value, key).and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
    };
    Table {
        cells: ids(&payload["cells"]),
        rows: size(property, "row_size"),
        columns: size(property, "column_size"),
        spans: property["merge_info"]
            .as_array()
            .map(|all| all.iter().map(|m| (size(m, "row_span"), size(m, "col_span"))).collect())
            .unwrap_or_default(),
        header_row: flag(property, "header_row"),
        header_column: flag(property, "header_column"),
    }
}

fn goal(payload: &Value) -> Goal {
    Goal {
        content: text(&payload["content"]),
        position: integer(payload, "position").unwrap_or(0),
        percent: integer(&payload["progress_rate"], "percent"),
    }
}

/// The source text in a component's record, which is JSON in a string.
fn drawing(record: &Value) -> Option<String> {
    let parsed;
    let record = match record {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).ok()?;
            &parsed
        }
        other => other,
    };
    Some(string(record, "data")).filter(|source| !source.trim().is_empty())
}

/// The strings of an array; anything else in it is left out.
pub(super) fn ids(value: &Value) -> Vec<String> {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) fn string(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        // Ids that came as numbers are still ids.
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// An integer, also from a string of digits: some times are documented both ways.
fn integer(value: &Value, key: &str) -> Option<i64> {
    match value.get(key)? {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, which is near enough")]
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|f| f as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn small(value: &Value, key: &str) -> u8 {
    integer(value, key).and_then(|number| u8::try_from(number).ok()).unwrap_or(0)
}

fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}
