//! Cells of a spreadsheet. docs: sheets v2 "read a single range", "read multiple ranges".

use std::ops::Range;

use serde_json::{Value, json};

use super::super::cells::{Render, shown};
use super::super::content;
use super::super::state::{ObjId, State};
use super::{Reply, Req, decode, sheets};

/// `GET /sheets/v2/spreadsheets/:spreadsheet_token/values/:range`
pub fn one(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match sheets::find(state, request, true) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    // A plus sign is itself in a path.
    let range = decode(&request.params[1].replace('+', "%2B"));
    match read(state, id, &range, request) {
        Ok(values) => small_enough(
            state,
            json!({
                "revision": state.obj(id).revision,
                "spreadsheetToken": state.obj_token(id),
                "valueRange": values,
            }),
        ),
        Err(reply) => reply,
    }
}

/// `GET /sheets/v2/spreadsheets/:spreadsheet_token/values_batch_get`
pub fn batch(state: &mut State, request: &Req<'_>) -> Reply {
    let id = match sheets::find(state, request, true) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let Some(ranges) = request.query("ranges") else {
        return Reply::error(400, 90_202, "wrong range");
    };
    let ranges: Result<Vec<Value>, Reply> =
        ranges.split(',').map(|range| read(state, id, range, request)).collect();
    let ranges = match ranges {
        Ok(ranges) => ranges,
        Err(reply) => return reply,
    };
    let cells = |range: &Value| {
        let rows = range["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.iter().filter_map(Value::as_array).map(Vec::len).sum::<usize>()
    };
    small_enough(
        state,
        json!({
            "revision": state.obj(id).revision,
            "spreadsheetToken": state.obj_token(id),
            "totalCells": ranges.iter().map(cells).sum::<usize>(),
            "valueRanges": ranges,
        }),
    )
}

fn small_enough(state: &State, data: Value) -> Reply {
    let cells = [&data["valueRange"], &data["valueRanges"]];
    let bytes: usize =
        cells.into_iter().filter(|v| !v.is_null()).map(|v| v.to_string().len()).sum();
    if bytes > state.knobs.values_limit {
        return Reply::error(400, 90_221, "TooLargeResponse");
    }
    Reply::data(data)
}

/// Rows and columns of a sheet's grid: at least what a new one has.
pub fn grid(rows: &[Vec<Value>]) -> (usize, usize) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    (rows.len().max(200), columns.max(20))
}

/// Cells of a sheet: those that a test wrote, else what an export prints.
pub fn cells(state: &State, id: ObjId, sheet: &str) -> Option<Vec<Vec<Value>>> {
    if let Some(own) = state.extras.get(&id).and_then(|extra| extra.cells.get(sheet)) {
        return Some(own.clone());
    }
    let tabs = state.tabs(id);
    let (number, tab) = tabs.iter().enumerate().find(|(_, tab)| tab.id == sheet && tab.cells)?;
    let cell = |text: String| match text.parse::<i64>() {
        Ok(whole) if whole.to_string() == text => json!(whole),
        _ if text.is_empty() => Value::Null,
        _ => json!(text),
    };
    let rows = content::rows(state, id, number, tab).into_iter();
    Some(rows.map(|row| row.into_iter().map(cell).collect()).collect())
}

fn read(state: &State, id: ObjId, range: &str, request: &Req<'_>) -> Result<Value, Reply> {
    let render = match request.query("valueRenderOption") {
        None | Some("Formula") => Render::Formula,
        Some("FormattedValue") => Render::Formatted,
        Some("UnformattedValue" | "ToString") => Render::Plain,
        Some(_) => return Err(Reply::error(400, 90_201, "wrong param")),
    };
    let (sheet, area) = range.split_once('!').unwrap_or((range, ""));
    let Some(cells) = cells(state, id, sheet) else {
        return Err(Reply::error(400, 90_215, "sheet not found"));
    };
    let (height, width) = grid(&cells);
    let Some((rows, columns)) = parse(area, height, width) else {
        return Err(Reply::error(400, 90_202, "wrong range"));
    };
    let mut values: Vec<Vec<Value>> = Vec::new();
    for row in cells.get(rows.start..rows.end.min(cells.len())).unwrap_or_default() {
        let cell = |column| row.get(column).map_or(Value::Null, |cell| shown(cell, render));
        values.push(columns.clone().map(cell).collect());
    }
    // Empty rows at the end are cut.
    while values.last().is_some_and(|row| row.iter().all(Value::is_null)) {
        values.pop();
    }
    let corner = |column: usize, row: usize| format!("{}{row}", letters(column));
    // An empty range means that there is nothing.
    let range = if values.is_empty() {
        String::new()
    } else {
        let (from, to) = (corner(columns.start, rows.start + 1), corner(columns.end - 1, rows.end));
        format!("{sheet}!{from}:{to}")
    };
    let revision = state.obj(id).revision;
    Ok(json!({"majorDimension": "ROWS", "range": range, "revision": revision, "values": values}))
}

/// Rows and columns of `A1:B5`, `A:B`, `A2:B`, `A1`, or nothing for all.
fn parse(area: &str, height: usize, width: usize) -> Option<(Range<usize>, Range<usize>)> {
    if area.is_empty() {
        return Some((0..height, 0..width));
    }
    let (first, last) = area.split_once(':').unwrap_or((area, area));
    let ((left, top), (right, bottom)) = (corner(first)?, corner(last)?);
    let (top, bottom) = (top.unwrap_or(1), bottom.unwrap_or(height));
    let fits = top >= 1 && top <= bottom && left <= right && bottom <= height && right < width;
    fits.then(|| (top - 1..bottom, left..right + 1))
}

/// `B12` as column (from 0) and row (from 1), `B` as a column alone.
fn corner(text: &str) -> Option<(usize, Option<usize>)> {
    let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (column, row) = text.split_at(digits);
    if column.is_empty() || column.len() > 3 || !column.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let column = column.bytes().fold(0, |sum, b| sum * 26 + usize::from(b - b'A') + 1) - 1;
    if row.is_empty() {
        return Some((column, None));
    }
    Some((column, Some(row.parse().ok()?)))
}

fn letters(mut column: usize) -> String {
    let mut text = Vec::new();
    loop {
        text.push(char::from(b'A' + u8::try_from(column % 26).expect("below 26")));
        if column < 26 {
            return text.into_iter().rev().collect();
        }
        column = column / 26 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_every_form() {
        let cases = [
            ("", Some((0..200, 0..30))),
            ("A1:B5", Some((0..5, 0..2))),
            ("B:C", Some((0..200, 1..3))),
            ("A2:B", Some((1..200, 0..2))),
            ("AB7", Some((6..7, 27..28))),
            ("A0:B2", None),
            ("A1:B201", None),
            ("A1:AE2", None),
            ("B1:A1", None),
            ("a1", None),
            ("1:2", None),
        ];
        for (text, range) in cases {
            assert_eq!(parse(text, 200, 30), range, "{text}");
        }
        for (column, text) in [(0, "A"), (25, "Z"), (26, "AA"), (702, "AAA")] {
            assert_eq!(letters(column), text);
            assert_eq!(corner(text), Some((column, None)));
        }
    }
}
