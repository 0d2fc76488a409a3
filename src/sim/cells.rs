//! Cells of spreadsheets. docs: sheets v2 "read a single range".
//!
//! A cell is a JSON value as the service shows it: a text, a number, `true`, `null`, an
//! array or object of rich parts. One more shape is of this tenant:
//! `{"formula": "=A1*2", "value": 3.5, "shown": "3.50"}`, each of which is shown where
//! the caller asks for it.

use serde_json::{Value, json};

use super::build::Item;
use super::ids;
use super::state::{ObjId, State, Tab};

#[expect(clippy::return_self_not_must_use, reason = "made things are in the tenant, handle or not")]
impl Item {
    /// Fills a sheet with texts, adding the sheet where there is none of that title. An
    /// empty text is an empty cell.
    pub fn cells(self, tab: &str, rows: &[&[&str]]) -> Self {
        let cell = |text: &&str| if text.is_empty() { Value::Null } else { json!(text) };
        let rows: Vec<Vec<Value>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        self.rich_cells(tab, json!(rows))
    }

    /// Fills a sheet with cells of any kind: an array of rows.
    #[expect(clippy::needless_pass_by_value, reason = "called with `json!` throughout")]
    pub fn rich_cells(self, tab: &str, rows: Value) -> Self {
        self.fill(tab, &rows);
        self
    }

    /// An edit: other cells. Edit time and revision of the whole move.
    #[expect(clippy::needless_pass_by_value, reason = "called with `json!` throughout")]
    pub fn edit_cells(&self, tab: &str, rows: Value) -> &Self {
        self.fill(tab, &rows);
        self.change(|state| {
            let obj = self.obj(state);
            state.bump(obj);
        })
    }

    fn fill(&self, tab: &str, rows: &Value) {
        let mut state = self.tenant.lock();
        let obj = self.obj(&state);
        let id = state.tab_named(obj, tab);
        let row = |row: &Value| row.as_array().expect("a row is an array of cells").clone();
        let rows = rows.as_array().expect("an array of rows").iter().map(row);
        let mut rows: Vec<Vec<Value>> = rows.collect();
        let cells = state.extras.entry(obj).or_default().cells.entry(id).or_default();
        // Emptying cells takes no row out of the grid.
        rows.resize(rows.len().max(cells.len()), Vec::new());
        *cells = rows;
    }

    /// Id of a sheet or a table.
    ///
    /// # Panics
    /// Where there is none of that title.
    pub fn tab_id(&self, title: &str) -> String {
        let state = self.tenant.lock();
        let tabs = state.tabs(self.obj(&state));
        let tab = tabs.into_iter().find(|tab| tab.title == title);
        tab.unwrap_or_else(|| panic!("no sheet or table {title:?}")).id
    }
}

impl State {
    /// The sheet or table of that title, made where there is none: the first one takes
    /// the place of what every spreadsheet and base begins with.
    pub fn tab_named(&mut self, obj: ObjId, title: &str) -> String {
        let named = self.extras.get(&obj).is_some_and(|extra| extra.tabs.is_some());
        let mut tabs = self.tabs(obj);
        if let Some(tab) = tabs.iter().find(|tab| tab.title == title) {
            return tab.id.clone();
        }
        if named {
            let number = ids::scramble((u64::from(obj) << 16) + tabs.len() as u64) & 0xFF_FFFF;
            let kind = if self.obj(obj).ty == crate::model::ObjType::Bitable { "tbl" } else { "c" };
            tabs.push(Tab {
                id: format!("{kind}{number:06x}"),
                title: title.to_owned(),
                cells: true,
            });
        } else {
            title.clone_into(&mut tabs[0].title);
        }
        let id = tabs[tabs.len() - 1].id.clone();
        self.extras.entry(obj).or_default().tabs = Some(tabs);
        id
    }
}

/// What a call wants of a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Render {
    /// Its text: what comes where nothing is asked for.
    Formula,
    /// The computed value with the cell's format: a text.
    Formatted,
    /// The computed value.
    Plain,
}

/// A cell as a call shows it.
pub fn shown(cell: &Value, render: Render) -> Value {
    let own = cell.get("formula").is_some() || cell.get("shown").is_some();
    let cell = match (own, render) {
        (false, _) => cell,
        (true, Render::Formula) => cell.get("formula").unwrap_or(&cell["value"]),
        (true, Render::Plain) => &cell["value"],
        (true, Render::Formatted) => cell.get("shown").unwrap_or(&cell["value"]),
    };
    match cell {
        Value::Number(number) if render == Render::Formatted => number.to_string().into(),
        // Spreadsheet programs show them so; no page says it of the API.
        Value::Bool(yes) if render == Render::Formatted => yes.to_string().to_uppercase().into(),
        other => other.clone(),
    }
}

/// A cell as text, for exports.
fn text(cell: &Value) -> String {
    match shown(cell, Render::Formatted) {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(parts) => parts.iter().map(text).collect(),
        Value::Object(part) => part.get("text").map(text).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// Rows as exports print them: without the empty ones at the end.
pub fn printed(rows: &[Vec<Value>]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(text).collect()).collect();
    while rows.last().is_some_and(|row| row.iter().all(String::is_empty)) {
        rows.pop();
    }
    rows
}
