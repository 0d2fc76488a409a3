//! Cells of spreadsheets and bases as text, for the tables that pages show.
//!
//! One line each or several, never an error: what is not known is shown by the texts and
//! names in it, and where it has none, as it came.
//!
//! docs: sheets v2 "data types"; bitable, "data structure of records" and "field guide".

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use serde_json::Value;

/// In which times are shown, wherever this runs: the service's own.
const HOURS_EAST: i8 = 8;

/// How deep values may hold values: a lookup of a formula, and some room.
const MAX_DEPTH: u32 = 8;

/// A cell of a sheet.
pub fn sheet_cell(cell: &Value) -> String {
    match cell {
        // Spreadsheet programs show them so.
        Value::Bool(yes) => yes.to_string().to_uppercase(),
        Value::Array(parts) => parts.iter().map(sheet_cell).collect(),
        Value::Object(part) => match part.get("type").and_then(Value::as_str) {
            Some("multipleValue") => joined(&part["values"], sheet_cell),
            Some("embed-image") if text_at(cell, "text").is_none() => "(picture)".to_owned(),
            _ => with_link(cell).unwrap_or_else(|| cell.to_string()),
        },
        other => scalar(other),
    }
}

/// A cell of a base: `ty` is the number of its field's type, `property` what the service
/// says of the field besides.
pub fn base_cell(ty: i64, property: &Value, cell: &Value) -> String {
    nested(ty, property, cell, 0)
}

fn nested(ty: i64, property: &Value, cell: &Value, depth: u32) -> String {
    let of_each = |with: &dyn Fn(&Value) -> String| match cell {
        Value::Array(_) => joined(cell, with),
        one => with(one),
    };
    match ty {
        // One text in parts.
        1 => match cell {
            Value::Array(parts) => parts.iter().map(part).collect(),
            one => part(one),
        },
        // The elements of a lookup or formula come in a list, whatever they are.
        5 | 1001 | 1002 => of_each(&|value| time(property, value)),
        7 => of_each(&checkbox),
        11 | 23 | 1003 | 1004 => of_each(&person),
        17 => of_each(&|value| text_at(value, "name").unwrap_or_else(|| part(value))),
        18 | 21 => match cell.get("link_record_ids") {
            Some(ids) => joined(ids, scalar),
            None => of_each(&part),
        },
        19 | 20 => match (cell["type"].as_i64(), cell.get("value")) {
            (Some(inner), Some(value)) if depth < MAX_DEPTH && !matches!(value, Value::Null) => {
                result(inner, property, value, depth)
            }
            (_, Some(value)) => joined(value, part),
            (_, None) => of_each(&part),
        },
        22 => of_each(&|value| {
            let names = ["full_address", "name", "address", "location"];
            names.iter().find_map(|name| text_at(value, name)).unwrap_or_else(|| part(value))
        }),
        // Nothing to see on a button.
        3001 => String::new(),
        _ => of_each(&part),
    }
}

/// What a lookup or formula came to.
fn result(inner: i64, property: &Value, value: &Value, depth: u32) -> String {
    let Value::Array(values) = value else { return nested(inner, property, value, depth + 1) };
    // Texts in parts may stand in the list as such, or a list of parts each.
    if inner == 1 && values.iter().any(Value::is_object) {
        return nested(inner, property, value, depth + 1);
    }
    joined(value, |value| nested(inner, property, value, depth + 1))
}

/// Texts of a list with commas between; empty ones are left out.
fn joined(list: &Value, with: impl Fn(&Value) -> String) -> String {
    let Value::Array(values) = list else { return with(list) };
    let texts: Vec<String> = values.iter().map(with).filter(|text| !text.is_empty()).collect();
    texts.join(", ")
}

/// Anything, by the text or name in it.
fn part(value: &Value) -> String {
    match value {
        Value::Array(_) => joined(value, part),
        Value::Object(_) => with_link(value).unwrap_or_else(|| value.to_string()),
        other => scalar(other),
    }
}

/// The text of a part, and where it leads to unless it says so itself.
fn with_link(value: &Value) -> Option<String> {
    let link = text_at(value, "link");
    let text = ["text", "name", "en_name"].iter().find_map(|name| text_at(value, name));
    match (text, link) {
        (Some(text), Some(link)) if !same_address(&text, &link) => Some(format!("{text} ({link})")),
        (Some(text), _) => Some(text),
        (None, Some(link)) => Some(link),
        // A text may be empty, which is no reason to show how it is made.
        (None, None) => value.get("text").and_then(Value::as_str).map(str::to_owned),
    }
}

fn same_address(text: &str, link: &str) -> bool {
    let bare = |address: &str| {
        let address = address.trim().trim_end_matches('/');
        let address = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
        address.map(str::to_owned)
    };
    let text = text.trim().trim_end_matches('/');
    bare(link).is_some_and(|link| text == link) || text == link.trim().trim_end_matches('/')
}

fn person(value: &Value) -> String {
    let names = ["name", "en_name", "email", "id"];
    names.iter().find_map(|name| text_at(value, name)).unwrap_or_else(|| part(value))
}

fn checkbox(value: &Value) -> String {
    match value {
        Value::Bool(true) => "☑".to_owned(),
        Value::Bool(false) => "☐".to_owned(),
        other => part(other),
    }
}

/// Milliseconds since 1970; the time of day only where the field shows it.
fn time(property: &Value, value: &Value) -> String {
    let Some(moment) = value.as_f64().and_then(moment) else { return part(value) };
    let zoned = moment.to_zoned(TimeZone::fixed(offset(HOURS_EAST)));
    let of_day = property["date_formatter"].as_str().is_none_or(|format| format.contains('H'));
    let format = if of_day { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d" };
    zoned.strftime(format).to_string()
}

#[expect(clippy::cast_possible_truncation, reason = "formulas give floats; rounded anyway")]
fn moment(millis: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis as i64).ok()
}

fn text_at(value: &Value, key: &str) -> Option<String> {
    let text = scalar(value.get(key)?);
    (!text.is_empty()).then_some(text)
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // `3.0` is how a formula says 3.
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_of_sheets() {
        let cases = [
            (json!(null), "", "an empty cell"),
            (json!("a\nb"), "a\nb", "a text"),
            (json!(1.5), "1.5", "a number"),
            (json!(3.0), "3", "a whole number"),
            (json!(9_007_199_254_740_993_i64), "9007199254740993", "a long number"),
            (json!(true), "TRUE", "a truth"),
            (
                json!([{"type": "text", "text": "see ", "segmentStyle": {}},
                    {"type": "url", "text": "x", "link": "https://a.example/"}]),
                "see x (https://a.example/)",
                "a text with a link",
            ),
            (
                json!({"type": "url", "text": "a.example", "link": "https://a.example/"}),
                "a.example",
                "an address that names itself",
            ),
            (
                json!({"type": "mention", "text": "@Ann", "mentionType": 0, "token": "ou_a"}),
                "@Ann",
                "a person",
            ),
            (json!({"type": "formula", "text": "=A1"}), "=A1", "a formula"),
            (
                json!({"type": "attachment", "fileToken": "box", "text": "a.pdf", "size": 1}),
                "a.pdf",
                "a file",
            ),
            (json!({"type": "embed-image", "fileToken": "box", "text": ""}), "(picture)", "…"),
            (json!({"type": "multipleValue", "values": ["a", 2, ""]}), "a, 2", "choices"),
            (json!({"fileToken": "box"}), "{\"fileToken\":\"box\"}", "what nobody knows"),
        ];
        for (cell, want, why) in cases {
            assert_eq!(sheet_cell(&cell), want, "{why}: {cell}");
        }
    }

    #[test]
    fn cells_of_bases_by_type() {
        let person = json!([{"id": "ou_a", "name": "安 Ann", "en_name": "Ann", "email": ""},
            {"id": "ou_b", "name": "", "en_name": ""}]);
        let cases = [
            (
                1,
                json!([{"type": "text", "text": "see "},
                {"type": "url", "text": "it", "link": "https://a.example/b"},
                {"type": "mention", "text": "@Ann", "token": "ou_a", "mentionType": "User"}]),
                "see it (https://a.example/b)@Ann",
            ),
            (1, json!("plain"), "plain"),
            (2, json!(0.1), "0.1"),
            (2, json!(12.0), "12"),
            (3, json!("Doing"), "Doing"),
            (4, json!(["A", "B"]), "A, B"),
            (5, json!(1_700_000_000_000_i64), "2023-11-15 06:13"),
            (5, json!(-1), "1970-01-01 07:59"),
            (5, json!(i64::MAX), "9223372036854775807"),
            (7, json!(true), "☑"),
            (7, json!(false), "☐"),
            (11, person.clone(), "安 Ann, ou_b"),
            (13, json!("+86 138"), "+86 138"),
            (15, json!({"text": "Home", "link": "https://a.example"}), "Home (https://a.example)"),
            (
                15,
                json!({"text": "https://a.example/", "link": "https://a.example"}),
                "https://a.example/",
            ),
            (
                17,
                json!([{"file_token": "box", "name": "a.png"}, {"file_token": "c", "name": "b"}]),
                "a.png, b",
            ),
            (18, json!({"link_record_ids": ["recA", "recB"]}), "recA, recB"),
            (21, json!({"link_record_ids": null}), ""),
            (21, json!([{"record_ids": [], "text": "First", "type": "text"}]), "First"),
            (22, json!({"location": "1,2", "name": "T", "full_address": "T，Road"}), "T，Road"),
            (22, json!({"location": "1,2"}), "1,2"),
            (23, json!([{"id": "oc_a", "name": "Group", "avatar_url": "x"}]), "Group"),
            (24, json!("Stage 2"), "Stage 2"),
            (1001, json!(1_700_000_000_000_i64), "2023-11-15 06:13"),
            (1003, json!({"id": "ou_a", "name": "Ann"}), "Ann"),
            (1004, person, "安 Ann, ou_b"),
            (1005, json!("0007"), "0007"),
            (3001, json!({"anything": 1}), ""),
            (99, json!({"anything": 1}), "{\"anything\":1}"),
            (2, json!(null), ""),
        ];
        for (ty, cell, want) in cases {
            assert_eq!(base_cell(ty, &Value::Null, &cell), want, "{ty}: {cell}");
        }
    }

    #[test]
    fn lookups_and_formulas_hold_cells_of_another_type() {
        let cases = [
            (
                19,
                json!({"type": 1, "value": [{"type": "text", "text": "a"},
                {"type": "text", "text": "b"}]}),
                "ab",
            ),
            (20, json!({"type": 1, "value": ["a", "b"]}), "a, b"),
            (20, json!({"type": 2, "ui_type": "Number", "value": [3.0, 4]}), "3, 4"),
            (20, json!({"type": 5, "value": [1_700_000_000_000.0]}), "2023-11-15 06:13"),
            (20, json!({"type": 7, "value": [true]}), "☑"),
            (19, json!({"type": 11, "value": [{"id": "ou_a", "name": "Ann"}]}), "Ann"),
            (19, json!({"type": 4, "value": [["A", "B"], ["C"]]}), "A, B, C"),
            (19, json!({"type": 20, "value": [{"type": 2, "value": [7]}]}), "7"),
            (19, json!({"type": 17, "value": [{"name": "a.png", "file_token": "b"}]}), "a.png"),
            (20, json!({"type": 2, "value": null}), ""),
            (20, json!(5), "5"),
        ];
        for (ty, cell, want) in cases {
            assert_eq!(base_cell(ty, &Value::Null, &cell), want, "{ty}: {cell}");
        }
        // A formula of a formula of … ends.
        let deep = (0..100).fold(json!(1), |cell, _| json!({"type": 20, "value": [cell]}));
        assert!(base_cell(20, &Value::Null, &deep).contains("\"type\":20"));
    }

    #[test]
    fn dates_have_a_time_of_day_only_where_the_field_shows_it() {
        let day = json!({"date_formatter": "yyyy/MM/dd"});
        let minute = json!({"date_formatter": "yyyy/MM/dd HH:mm"});
        let cell = json!(1_700_000_000_000_i64);
        assert_eq!(base_cell(5, &day, &cell), "2023-11-15");
        assert_eq!(base_cell(5, &minute, &cell), "2023-11-15 06:13");
    }
}
