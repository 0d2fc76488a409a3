//! Records of a base: each value a function of table, record, field and edit. docs:
//! bitable-v1/app-table-record/search, bitable "data structure of records".

use serde_json::{Map, Value, json};

use super::super::bases::{Field, Table, seed, view};
use super::super::ids::{self, Dice, Id};
use super::super::state::{ObjId, State};

/// Numbers and titles of the types, as `ui_type` has them.
pub const EVERY_TYPE: [(i64, &str); 24] = [
    (1, "Text"),
    (2, "Number"),
    (3, "SingleSelect"),
    (4, "MultiSelect"),
    (5, "DateTime"),
    (7, "Checkbox"),
    (11, "User"),
    (13, "Phone"),
    (15, "Url"),
    (17, "Attachment"),
    (18, "SingleLink"),
    (19, "Lookup"),
    (20, "Formula"),
    (21, "DuplexLink"),
    (22, "Location"),
    (23, "GroupChat"),
    (24, "Stage"),
    (1001, "CreatedTime"),
    (1002, "ModifiedTime"),
    (1003, "CreatedUser"),
    (1004, "ModifiedUser"),
    (1005, "AutoNumber"),
    (3001, "Button"),
    (99, "Unheard"),
];

const CHOICES: [&str; 4] = ["待办 To do", "进行中 Doing", "完成 Done", "取消 \"Dropped\""];
/// When the first record of every table was made, ms since 1970.
const BEGAN: i64 = 1_700_000_000_000;

/// Where a record stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The base.
    pub obj: ObjId,
    /// `table_id`.
    pub table: &'a str,
    /// Scheme and host of the links to attachments.
    pub origin: &'a str,
}

/// Id of a record.
fn record_id(obj: ObjId, table: &str, record: u64) -> String {
    format!("rec{:016x}", ids::scramble(seed(obj, table) ^ (3 << 40) ^ record))
}

/// Writes a record into `shown`, with the fields that `wanted` names.
pub fn record(
    state: &State,
    table: &Table,
    at: Place<'_>,
    record: u64,
    automatic: bool,
    wanted: impl Fn(&str) -> bool,
    shown: &mut Map<String, Value>,
) {
    let mut fields = Map::new();
    for field in table.fields.iter().filter(|field| wanted(&field.name)) {
        let written = table.cells.get(&(record, field.id.clone()));
        let value = match written {
            Some(value) => value.clone(),
            None => value(state, table, at, record, field),
        };
        // An empty cell has no key.
        if !value.is_null() {
            fields.insert(field.name.clone(), value);
        }
    }
    shown.insert("record_id".to_owned(), record_id(at.obj, at.table, record).into());
    shown.insert("fields".to_owned(), fields.into());
    if automatic {
        let mut add = |key: &str, value: Value| shown.insert(key.to_owned(), value);
        add("created_by", person(state));
        add("created_time", created(record).into());
        add("last_modified_by", person(state));
        add("last_modified_time", modified(table, record).into());
    }
}

fn created(record: u64) -> i64 {
    BEGAN + i64::try_from(record).unwrap_or(0) * 60_000
}

fn modified(table: &Table, record: u64) -> i64 {
    table.edits.get(&record).map_or(created(record), |(_, at)| *at)
}

fn person(state: &State) -> Value {
    let user = &state.users[0];
    json!({"id": user.open_id, "name": user.name, "en_name": user.name, "email": "",
        "avatar_url": ""})
}

fn value(state: &State, table: &Table, at: Place<'_>, record: u64, field: &Field) -> Value {
    let edit = table.edits.get(&record).map_or(0, |(edit, _)| *edit);
    let seed = field.id.bytes().fold(record, |sum, byte| ids::scramble(sum ^ u64::from(byte)));
    let mut dice = Dice::new(seed ^ ids::scramble(edit));
    let primary = table.fields.first().is_some_and(|first| first.id == field.id);
    // What people leave out: every ninth cell or so.
    if !primary && !matches!(field.ty, 17 | 1001..=1005) && dice.below(9) == 0 {
        return Value::Null;
    }
    let text = |text: String| json!([{"type": "text", "text": text}]);
    match field.ty {
        1 if !primary && dice.below(5) == 0 => json!([
            {"type": "text", "text": "see "},
            {"type": "url", "text": "例 | example", "link": "https://example.com/a?b=1"},
            {"type": "mention", "text": "@demo", "token": state.users[0].open_id,
             "mentionType": "User", "mentionNotify": false, "name": state.users[0].name},
        ]),
        1 => text(format!("记录 {} · {}", record + 1, dice.below(100_000))),
        // Whole ones and fractions.
        2 if dice.below(2) == 0 => (dice.below(100_000) as u64).into(),
        2 => json!(f64::from(u32::try_from(dice.below(100_000)).expect("small")) / 8.0),
        3 | 24 => CHOICES[dice.below(4)].into(),
        4 => json!([CHOICES[dice.below(2)], CHOICES[2 + dice.below(2)]]),
        5 => (BEGAN + i64::try_from(dice.below(1_000_000)).expect("small") * 60_000).into(),
        7 => (dice.below(2) == 0).into(),
        13 => format!("+86 138{:08}", dice.below(100_000_000)).into(),
        15 => json!({"text": "官网", "link": format!("https://example.com/{}", dice.below(1000))}),
        17 => attachments(state, table, at, record),
        18 | 21 => {
            json!({"link_record_ids": [record_id(at.obj, at.table, dice.below(table.len().max(1)) as u64)]})
        }
        19 => json!({"type": 1, "value": [{"type": "text", "text": CHOICES[dice.below(4)]}]}),
        20 => json!({"type": 2, "ui_type": "Number", "value": [dice.below(1000)]}),
        22 => json!({"location": "116.397755,39.903179", "pname": "北京市", "cityname": "北京市",
            "adname": "东城区", "address": "长安街", "name": "天安门",
            "full_address": "天安门，北京市东城区长安街"}),
        23 => json!([{"id": "oc_demo", "name": "项目群", "avatar_url": ""}]),
        1001 => created(record).into(),
        1002 => modified(table, record).into(),
        11 | 1003 | 1004 => json!([person(state)]),
        1005 => format!("{:06}", record + 1).into(),
        // A button, and what nobody has heard of.
        _ => Value::Null,
    }
}

fn attachments(state: &State, table: &Table, at: Place<'_>, record: u64) -> Value {
    let Some(files) = table.files.get(&record) else { return Value::Null };
    let extra = json!({"bitablePerm": {"tableId": at.table, "rev": table.revision}}).to_string();
    let extra: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("extra", &extra).finish();
    let medias = format!("{}/open-apis/drive/v1/medias", at.origin);
    let shown = files.iter().map(|id| {
        let media = &state.medias[*id as usize];
        let token = ids::token(Id::Media(*id), "media");
        json!({
            "name": media.name, "size": media.bytes.len(), "type": super::mime(&media.name),
            "url": format!("{medias}/{token}/download?{extra}"),
            "tmp_url": format!("{medias}/batch_get_tmp_download_url?file_tokens={token}&{extra}"),
            "file_token": token,
        })
    });
    shown.collect()
}

/// The properties of a field, as a list of fields shows them.
pub fn property(field: &Field, table: &str) -> Value {
    match field.ty {
        2 => json!({"formatter": "0.00"}),
        3 | 4 => {
            let options = CHOICES.iter().enumerate();
            let options: Vec<Value> = options
                .map(|(n, name)| json!({"id": format!("opt{n}"), "name": name, "color": n}))
                .collect();
            json!({"options": options})
        }
        5 | 1001 | 1002 => json!({"auto_fill": false, "date_formatter": "yyyy/MM/dd HH:mm"}),
        11 => json!({"multiple": true}),
        18 | 21 => json!({"multiple": true, "table_id": table, "table_name": ""}),
        20 => json!({"formula_expression": "1+1", "formatter": "0"}),
        22 => json!({"location": {"input_type": "not_limit"}}),
        1005 => json!({"auto_serial": {"type": "auto_increment_number", "options": []}}),
        _ => Value::Null,
    }
}

/// `ui_type` of a field.
pub fn ui_type(field: &Field) -> &'static str {
    EVERY_TYPE.iter().find(|(ty, _)| *ty == field.ty).map_or("Text", |(_, name)| name)
}

/// A table with the cells that exports print, which nobody made record by record.
pub fn made_table(state: &State, obj: ObjId, id: &str) -> Option<Table> {
    let tabs = state.tabs(obj);
    let (number, tab) = tabs.iter().enumerate().find(|(_, tab)| tab.id == id)?;
    let rows = super::rows(state, obj, number, tab);
    let seed = seed(obj, id);
    let names = rows.first().cloned().unwrap_or_default().into_iter().enumerate();
    let fields: Vec<Field> = names.map(|(n, name)| Field::new(seed, n, &name, 1)).collect();
    let mut table = Table {
        views: vec![view(seed, 0, "Grid 表格")],
        count: rows.len().saturating_sub(1) as u64,
        revision: u64::from(state.obj(obj).revision),
        ..Table::default()
    };
    for (record, row) in (0..).zip(rows.iter().skip(1)) {
        for (field, cell) in fields.iter().zip(row) {
            let cell =
                if cell.is_empty() { Value::Null } else { json!([{"type": "text", "text": cell}]) };
            table.cells.insert((record, field.id.clone()), cell);
        }
        // A short row has no more cells.
        for field in fields.iter().skip(row.len()) {
            table.cells.insert((record, field.id.clone()), Value::Null);
        }
    }
    table.fields = fields;
    Some(table)
}

/// A value as text, for exports.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(part) => {
            let names = ["text", "name", "full_address", "value"];
            names.iter().find_map(|name| part.get(*name)).map(text).unwrap_or_default()
        }
        other => other.to_string(),
    }
}

/// A table as exports print it: titles, then records.
pub fn printed(state: &State, table: &Table, obj: ObjId, id: &str) -> super::Rows {
    let at = Place { obj, table: id, origin: "http://sim" };
    let mut rows = vec![table.fields.iter().map(|field| field.name.clone()).collect()];
    for number in table.records() {
        let mut shown = Map::new();
        record(state, table, at, number, false, |_| true, &mut shown);
        let cell = |field: &Field| text(&shown["fields"][&field.name]);
        rows.push(table.fields.iter().map(cell).collect());
    }
    rows
}
