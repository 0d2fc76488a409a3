//! A table of a base as JSON: its fields, its views, and every record on a line of its own.
//!
//! Written in pieces, so that no table has to fit into memory: [`head`], then a [`line()`] each
//! record with [`BETWEEN`] between them, then [`TAIL`].
//!
//! The same data gives the same bytes. What moves without an edit is left out: links that
//! expire, links that hold the table's revision, addresses of portraits.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::feishu::{Base, Field, Record, Table, View};

/// Stands between two records.
pub const BETWEEN: &str = ",\n";

/// Ends the file.
pub const TAIL: &str = "\n]}\n";

/// A file in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its `file_token`; stays while the file does.
    pub token: String,
    /// As it was called when it was uploaded.
    pub name: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// The title of the field that shows it.
    pub field: String,
    /// Where it can be had, with what opens it; holds the table's revision.
    pub url: Option<String>,
}

/// What is said of a file in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Its name in the side folder of pictures and files.
    File(String),
    /// Why it is not there, in a few words.
    Missing(String),
}

/// All that stands before the first record.
pub fn head(token: &str, base: &Base, table: &Table, fields: &[Field], views: &[View]) -> String {
    let base = BaseShown { token, name: &base.name, time_zone: base.time_zone.as_deref() };
    let table = TableShown { id: &table.id, name: &table.name };
    let fields = lines(fields.iter().map(FieldShown::of));
    let views = lines(views.iter().map(ViewShown::of));
    format!(
        "{{\"base\": {},\n\"table\": {},\n\"fields\": {fields},\n\"views\": {views},\n\
         \"records\": [\n",
        json(&base),
        json(&table),
    )
}

/// One record, with what `shown` says of the files in it, by their tokens.
pub fn line(record: Record, shown: impl Fn(&str) -> Option<Shown>) -> String {
    let Record { id, fields, created_ms, modified_ms, created_by, modified_by } = record;
    let settle = |mut value: Value| {
        settle(&mut value, &shown);
        value
    };
    // The titles of fields are the user's: none of them is a link to leave out.
    let fields = fields.into_iter().map(|(name, value)| (name, settle(value))).collect();
    json(&RecordShown {
        id: &id,
        created: time(created_ms),
        modified: time(modified_ms),
        created_by: settle(created_by),
        modified_by: settle(modified_by),
        fields,
    })
}

/// The files that a record shows, those that it looks up in other tables included.
pub fn attachments(record: &Record) -> Vec<Attachment> {
    let mut found = Vec::new();
    for (field, value) in &record.fields {
        collect(field, value, &mut found);
    }
    found
}

fn collect(field: &str, value: &Value, found: &mut Vec<Attachment>) {
    match value {
        Value::Array(parts) => parts.iter().for_each(|part| collect(field, part, found)),
        Value::Object(map) => match token_of(map) {
            Some(token) => {
                let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
                found.push(Attachment {
                    token: token.to_owned(),
                    name: text("name"),
                    size: map.get("size").and_then(Value::as_u64),
                    field: field.to_owned(),
                    // Both carry what opens it.
                    url: text("url").or_else(|| text("tmp_url")),
                });
            }
            None => map.values().for_each(|part| collect(field, part, found)),
        },
        _ => {}
    }
}

/// The token of a file, if this is one (docs: bitable, "data structure of records").
fn token_of(map: &Map<String, Value>) -> Option<&str> {
    map.get("file_token").and_then(Value::as_str).filter(|token| !token.is_empty())
}

/// Takes out what moves by itself, and says where files are.
fn settle(value: &mut Value, shown: &impl Fn(&str) -> Option<Shown>) {
    match value {
        Value::Array(parts) => parts.iter_mut().for_each(|part| settle(part, shown)),
        Value::Object(map) => {
            // A day old, a temporary link is dead; portraits move to other addresses.
            map.remove("tmp_url");
            map.remove("avatar_url");
            if let Some(token) = token_of(map) {
                let (key, text) = match shown(token) {
                    Some(Shown::File(name)) => ("file", name),
                    Some(Shown::Missing(why)) => ("missing", why),
                    None => ("missing", "not asked for".to_owned()),
                };
                map.insert(key.to_owned(), text.into());
                // It says the table's revision, so it differs after an edit of any record.
                map.remove("url");
            }
            map.values_mut().for_each(|part| settle(part, shown));
        }
        _ => {}
    }
}

#[derive(Serialize)]
struct BaseShown<'a> {
    token: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<&'a str>,
}

#[derive(Serialize)]
struct TableShown<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct FieldShown<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    ty: &'static str,
    type_number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ui_type: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    is_primary: bool,
    #[serde(skip_serializing_if = "is_false")]
    is_hidden: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    property: &'a Value,
}

impl<'a> FieldShown<'a> {
    fn of(field: &'a Field) -> Self {
        Self {
            id: &field.id,
            name: &field.name,
            ty: word(field.ty),
            type_number: field.ty,
            ui_type: field.ui_type.as_deref(),
            is_primary: field.is_primary,
            is_hidden: field.is_hidden,
            description: text(&field.description),
            property: &field.property,
        }
    }
}

#[derive(Serialize)]
struct ViewShown<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    ty: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_level: Option<&'a str>,
}

impl<'a> ViewShown<'a> {
    fn of(view: &'a View) -> Self {
        let View { id, name, ty, public_level } = view;
        Self { id, name, ty, public_level: public_level.as_deref() }
    }
}

#[derive(Serialize)]
struct RecordShown<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "Value::is_null")]
    created_by: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    modified_by: Value,
    fields: Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text keys and finite numbers have a JSON form")
}

/// A list, one item a line.
fn lines(items: impl Iterator<Item = impl Serialize>) -> String {
    let items: Vec<String> = items.map(|item| json(&item)).collect();
    if items.is_empty() { "[]".to_owned() } else { format!("[\n{}\n]", items.join(BETWEEN)) }
}

/// RFC 3339 in UTC.
fn time(ms: Option<i64>) -> Option<String> {
    Some(jiff::Timestamp::from_millisecond(ms?).ok()?.to_string())
}

/// A text that comes whole or in parts, as descriptions do.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect(),
        Value::Object(part) => part.get("text").map(text).unwrap_or_default(),
        _ => String::new(),
    }
}

/// A word for the service's number of a type (docs: bitable, "field guide").
fn word(ty: i64) -> &'static str {
    match ty {
        1 => "text",
        2 => "number",
        3 => "single_select",
        4 => "multi_select",
        5 => "date_time",
        7 => "checkbox",
        11 => "user",
        13 => "phone",
        15 => "url",
        17 => "attachment",
        18 => "single_link",
        19 => "lookup",
        20 => "formula",
        21 => "duplex_link",
        22 => "location",
        23 => "group_chat",
        24 => "stage",
        1001 => "created_time",
        1002 => "modified_time",
        1003 => "created_user",
        1004 => "modified_user",
        1005 => "auto_number",
        3001 => "button",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(id: &str, name: &str, ty: i64) -> Field {
        Field {
            id: id.to_owned(),
            name: name.to_owned(),
            ty,
            ui_type: None,
            property: Value::Null,
            description: Value::Null,
            is_primary: false,
            is_hidden: false,
        }
    }

    fn record(value: Value) -> Record {
        serde_json::from_value(value).unwrap()
    }

    fn base() -> (Base, Table) {
        let base = Base {
            name: "项目 \"A\"".to_owned(),
            revision: Some(7),
            is_advanced: false,
            time_zone: Some("Asia/Shanghai".to_owned()),
        };
        (base, Table { id: "tbl1".to_owned(), name: "Tasks".to_owned(), revision: Some(3) })
    }

    #[test]
    fn a_table_with_all_that_is_in_it() {
        let (base, table) = base();
        let fields = [
            Field {
                ui_type: Some("Text".to_owned()),
                is_primary: true,
                description: json!([{"type": "text", "text": "what"}, {"text": " to do"}]),
                ..field("fld1", "Title", 1)
            },
            Field {
                property: json!({"options": [{"name": "Done", "id": "opt1", "color": 2}]}),
                is_hidden: true,
                ..field("fld2", "State", 3)
            },
            field("fld3", "New", 4711),
        ];
        let views = [View {
            id: "vew1".to_owned(),
            name: "Grid".to_owned(),
            ty: "grid".to_owned(),
            public_level: Some("Public".to_owned()),
        }];
        let mut text = head("bas1", &base, &table, &fields, &views);
        let first = record(json!({
            "record_id": "rec1",
            "created_time": 1_691_049_973_000_i64,
            "last_modified_time": 1_702_455_191_250_i64,
            "created_by": {"id": "ou_a", "name": "A", "avatar_url": "https://x/1"},
            "fields": {
                "Title": [{"type": "text", "text": "one\ntwo"}],
                "avatar_url": "mine",
                "Files": [
                    {"file_token": "boxA", "name": "a.png", "type": "image/png", "size": 9,
                     "url": "https://x/boxA?extra=1", "tmp_url": "https://x/tmp"},
                    {"file_token": "boxB", "name": "b", "size": 1}
                ],
                "Site": {"text": "s", "link": "https://example.com"},
                "Who": [{"id": "ou_b", "name": "B", "avatar_url": "https://x/2"}],
            }
        }));
        text += &line(first, |token| {
            Some(match token {
                "boxA" => Shown::File("boxA.png".to_owned()),
                _ => Shown::Missing("may not be read".to_owned()),
            })
        });
        text += BETWEEN;
        text += &line(record(json!({"record_id": "rec2", "fields": {}})), |_| None);
        text += TAIL;
        let golden = r#"{"base": {"token":"bas1","name":"项目 \"A\"","time_zone":"Asia/Shanghai"},
"table": {"id":"tbl1","name":"Tasks"},
"fields": [
{"id":"fld1","name":"Title","type":"text","type_number":1,"ui_type":"Text","is_primary":true,"description":"what to do"},
{"id":"fld2","name":"State","type":"single_select","type_number":3,"is_hidden":true,"property":{"options":[{"color":2,"id":"opt1","name":"Done"}]}},
{"id":"fld3","name":"New","type":"unknown","type_number":4711}
],
"views": [
{"id":"vew1","name":"Grid","type":"grid","public_level":"Public"}
],
"records": [
{"id":"rec1","created":"2023-08-03T08:06:13Z","modified":"2023-12-13T08:13:11.25Z","created_by":{"id":"ou_a","name":"A"},"fields":{"Files":[{"file":"boxA.png","file_token":"boxA","name":"a.png","size":9,"type":"image/png"},{"file_token":"boxB","missing":"may not be read","name":"b","size":1}],"Site":{"link":"https://example.com","text":"s"},"Title":[{"text":"one\ntwo","type":"text"}],"Who":[{"id":"ou_b","name":"B"}],"avatar_url":"mine"}},
{"id":"rec2","fields":{}}
]}
"#;
        assert_eq!(text, golden);
        serde_json::from_str::<Value>(&text).unwrap();
    }

    #[test]
    fn a_table_with_nothing_in_it_is_json_too() {
        let (base, table) = base();
        let text = head("bas1", &base, &table, &[], &[]) + TAIL;
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value["fields"], &value["views"], &value["records"]),
            (&json!([]), &json!([]), &json!([]))
        );
    }

    #[test]
    fn files_are_found_wherever_they_are_shown() {
        let record = record(json!({"record_id": "rec1", "fields": {
            "Files": [{"file_token": "boxA", "name": "a", "size": 3, "url": "https://x/a"}],
            "Looked up": {"type": 17, "value": [{"file_token": "boxB", "tmp_url": "https://x/b"}]},
            "file_token": "boxC",
            "None": [{"file_token": ""}],
        }}));
        let found = attachments(&record);
        let short: Vec<_> = found.iter().map(|a| (a.token.as_str(), a.field.as_str())).collect();
        assert_eq!(short, [("boxA", "Files"), ("boxB", "Looked up")]);
        assert_eq!((found[0].size, found[0].url.as_deref()), (Some(3), Some("https://x/a")));
        assert_eq!(found[1].url.as_deref(), Some("https://x/b"));
    }

    /// What an edit of another record moves is in no line.
    #[test]
    fn a_line_holds_nothing_that_moves_by_itself() {
        let at = |rev: u32| {
            let link = format!("https://x/boxA?extra=rev{rev}");
            let file = json!({"file_token": "boxA", "url": link, "tmp_url": link});
            record(json!({"record_id": "rec1", "record_url": link, "fields": {
                "Files": [file], "Looked up": {"type": 17, "value": [file]},
            }}))
        };
        let shown = |_: &str| Some(Shown::File("boxA.png".to_owned()));
        assert_eq!(line(at(1), shown), line(at(2), shown));
    }
}
