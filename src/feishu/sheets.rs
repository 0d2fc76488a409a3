//! Spreadsheets: their sheets and the cells in them.

use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use super::error::{ApiError, Class};
use super::quota::Endpoint;
use super::{Client, wire};

const SHEETS: Endpoint =
    Endpoint::named("GET /open-apis/sheets/v3/spreadsheets/:spreadsheet_token/sheets/query");
const VALUES: Endpoint =
    Endpoint::named("GET /open-apis/sheets/v2/spreadsheets/:spreadsheetToken/values/:range");

/// A reply holds at most 10 MB (docs: sheets v2 "read a single range").
const TOO_LARGE: i64 = 90_221;

/// How often a spreadsheet that is edited between two parts of a range is read again.
const TRIES: u32 = 3;

/// A sheet of a spreadsheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// `sheet_id`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Not shown to readers.
    pub hidden: bool,
    /// Rows of its grid; 0 for a tab without cells.
    pub rows: u32,
    /// Columns of its grid; 0 for a tab without cells.
    pub columns: u32,
    /// True for a tab that has cells: not a base inside the spreadsheet.
    pub has_cells: bool,
    /// Rows and columns of merged cells, from 0, ends exclusive.
    pub merges: Vec<(Range<u32>, Range<u32>)>,
}

/// Cells of a range.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetValues {
    /// The spreadsheet's revision that they belong to.
    pub revision: Option<i64>,
    /// Rows from the range's first one, without the empty ones at the end; a row may be
    /// shorter than the range. A cell is a text, a number, `true`, `null`, or an array
    /// or object of rich parts (docs: sheets v2 "data types").
    pub rows: Vec<Vec<Value>>,
}

/// How formulas and formats come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Render {
    /// As people see them: texts, computed and formatted.
    Formatted,
    /// As data: computed, not formatted.
    Unformatted,
}

/// docs: sheets-v3/spreadsheet-sheet/query
#[derive(Deserialize)]
struct RawSheet {
    #[serde(deserialize_with = "wire::token")]
    sheet_id: String,
    #[serde(default, deserialize_with = "wire::text")]
    title: Option<String>,
    #[serde(default)]
    hidden: Option<bool>,
    #[serde(default)]
    grid_properties: Option<Grid>,
    #[serde(default, deserialize_with = "wire::text")]
    resource_type: Option<String>,
    #[serde(default)]
    merges: Option<Vec<Merge>>,
}

#[derive(Deserialize)]
struct Grid {
    #[serde(default, deserialize_with = "wire::number")]
    row_count: Option<i64>,
    #[serde(default, deserialize_with = "wire::number")]
    column_count: Option<i64>,
}

#[derive(Deserialize)]
struct Merge {
    #[serde(default, rename = "start_row_index", deserialize_with = "wire::number")]
    top: Option<i64>,
    #[serde(default, rename = "end_row_index", deserialize_with = "wire::number")]
    bottom: Option<i64>,
    #[serde(default, rename = "start_column_index", deserialize_with = "wire::number")]
    left: Option<i64>,
    #[serde(default, rename = "end_column_index", deserialize_with = "wire::number")]
    right: Option<i64>,
}

impl Merge {
    /// The page's sample merges cells within one row with equal row indexes, so both
    /// ends are in it.
    fn ranges(&self) -> Option<(Range<u32>, Range<u32>)> {
        let range = |from: Option<i64>, to: Option<i64>| {
            let (from, to) = (u32::try_from(from?).ok()?, u32::try_from(to?).ok()?);
            (from <= to).then(|| from..to.saturating_add(1))
        };
        let rows = range(self.top, self.bottom)?;
        Some((rows, range(self.left, self.right)?))
    }
}

impl From<RawSheet> for Sheet {
    fn from(raw: RawSheet) -> Self {
        let count = |number: Option<i64>| number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let grid = raw.grid_properties;
        Self {
            id: raw.sheet_id,
            title: raw.title.unwrap_or_default(),
            hidden: raw.hidden.unwrap_or(false),
            rows: grid.as_ref().map_or(0, |grid| count(grid.row_count)),
            columns: grid.as_ref().map_or(0, |grid| count(grid.column_count)),
            has_cells: raw.resource_type.is_none_or(|kind| kind == "sheet"),
            merges: raw.merges.unwrap_or_default().iter().filter_map(Merge::ranges).collect(),
        }
    }
}

/// docs: sheets v2 "read a single range"
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValuesData {
    value_range: ValueRange,
}

#[derive(Deserialize)]
struct ValueRange {
    #[serde(default, deserialize_with = "wire::number")]
    revision: Option<i64>,
    #[serde(default)]
    values: Option<Vec<Option<Vec<Value>>>>,
}

impl Client {
    /// The sheets of a spreadsheet, in their order.
    pub async fn list_sheets(&self, spreadsheet: &str) -> Result<Vec<Sheet>, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            sheets: Vec<RawSheet>,
        }
        let path = [spreadsheet];
        let (data, _) = self.inner.call::<Data>(&Call::new(SHEETS, &path)).await?;
        Ok(data.sheets.into_iter().map(Sheet::from).collect())
    }

    /// Cells of a rectangle: rows from 0, end exclusive, and so many columns from the
    /// first one. All of one revision; a reply too large for the service (90221) is
    /// asked for in halves.
    ///
    /// # Errors
    /// [`Class::Refused`] where a single row is too large, [`Class::Transient`] where the
    /// spreadsheet was edited during each of three readings, [`Class::Gone`] where
    /// there is no such spreadsheet or sheet.
    pub async fn get_sheet_values(
        &self,
        spreadsheet: &str,
        sheet: &str,
        rows: Range<u32>,
        columns: u32,
        render: Render,
    ) -> Result<SheetValues, ApiError> {
        if rows.is_empty() || columns == 0 {
            return Ok(SheetValues { revision: None, rows: Vec::new() });
        }
        // The size that worked is kept for the next reading.
        let mut step = rows.end - rows.start;
        for _ in 0..TRIES {
            let area = Area { spreadsheet, sheet, rows: rows.clone(), columns, render };
            if let Some(values) = self.read_values(&area, &mut step).await? {
                return Ok(values);
            }
        }
        let what = format!("{spreadsheet} was edited during each of {TRIES} readings");
        Err(ApiError::local(Class::Transient, VALUES.name(), what)
            .hint("somebody is working in it: the next run reads it again"))
    }

    /// `None`: an edit came between two parts.
    async fn read_values(
        &self,
        area: &Area<'_>,
        step: &mut u32,
    ) -> Result<Option<SheetValues>, ApiError> {
        let mut read = SheetValues { revision: None, rows: Vec::new() };
        let mut from = area.rows.start;
        while from < area.rows.end {
            let to = area.rows.end.min(from.saturating_add(*step));
            let part = match self.read_part(area, from..to).await {
                Ok(part) => part,
                Err(error) if error.code == Some(TOO_LARGE) && to - from > 1 => {
                    *step = (to - from).div_ceil(2);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if from > area.rows.start && part.revision != read.revision {
                return Ok(None);
            }
            read.revision = part.revision;
            let cells = part.values.unwrap_or_default().into_iter().map(Option::unwrap_or_default);
            // The empty rows that the service cut from the parts before this one.
            let before = usize::try_from(from - area.rows.start).unwrap_or(usize::MAX);
            let mut cells = cells.peekable();
            if cells.peek().is_some() {
                read.rows.resize(before, Vec::new());
                read.rows.extend(cells);
            }
            from = to;
        }
        Ok(Some(read))
    }

    async fn read_part(&self, area: &Area<'_>, rows: Range<u32>) -> Result<ValueRange, ApiError> {
        // An explicit rectangle: what a range of bare columns covers has a limit.
        let last = letters(area.columns - 1);
        let range = format!("{}!A{}:{last}{}", area.sheet, rows.start + 1, rows.end);
        let path = [area.spreadsheet, range.as_str()];
        let call = Call::new(VALUES, &path)
            .query(
                "valueRenderOption",
                match area.render {
                    Render::Formatted => "FormattedValue",
                    Render::Unformatted => "UnformattedValue",
                },
            )
            .query("dateTimeRenderOption", "FormattedString")
            .query("user_id_type", "open_id");
        let (data, _) = self.inner.call::<ValuesData>(&call).await?;
        Ok(data.value_range)
    }
}

struct Area<'a> {
    spreadsheet: &'a str,
    sheet: &'a str,
    rows: Range<u32>,
    columns: u32,
    render: Render,
}

/// A column's name: `A` … `Z`, `AA` …
fn letters(mut column: u32) -> String {
    let mut text = String::new();
    loop {
        text.insert(0, char::from(b'A' + u8::try_from(column % 26).expect("below 26")));
        if column < 26 {
            return text;
        }
        column = column / 26 - 1;
    }
}
