//! Sheets and tables of bases that a page shows: their first rows as text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::export::cells;
use crate::export::docx::markdown::{Data, Found};
use crate::export::docx::needs::Part;
use crate::feishu::{Render, Sheet, Table};
use crate::model::{ObjType, Object};

use super::super::fetch::Setback;
use super::super::media::DELETED;
use super::making::Making;

/// Rows of a sheet that are counted by their first cells; of a longer one its grid is told.
const MAX_COUNTED: u32 = 10_000;

/// Values of `extra` that are tried; each costs a call for each picture that is refused.
const MAX_EXTRAS: usize = 3;

impl Making<'_> {
    /// Reads sheets, each spreadsheet's list once.
    pub(super) async fn sheets(&mut self, parts: &BTreeSet<Part>) -> Result<(), Setback> {
        let fetcher = self.fetcher;
        let mut listed: BTreeMap<&str, Found<Vec<Sheet>>> = BTreeMap::new();
        for part in parts {
            if !listed.contains_key(part.container.as_str()) {
                let sheets = self.ask(fetcher.client.list_sheets(&part.container)).await?;
                if matches!(sheets, Found::Here(_)) {
                    self.embed(Object::new(ObjType::Sheet, part.container.as_str()), None);
                }
                listed.insert(&part.container, sheets);
            }
            let data = match &listed[part.container.as_str()] {
                Found::Here(sheets) => self.sheet(part, sheets).await?,
                Found::Forbidden => Found::Forbidden,
                Found::Absent(why) => Found::Absent(why.clone()),
            };
            if matches!(data, Found::Forbidden) {
                self.refuse(&Object::new(ObjType::Sheet, part.container.as_str()));
            }
            let tokens = tokens(part);
            let data = self.or_before(data, |kept| kept.sheets.get(&tokens[0])).await;
            for token in tokens {
                self.kept.sheets.insert(token, data.clone());
            }
        }
        Ok(())
    }

    async fn sheet(&mut self, part: &Part, sheets: &[Sheet]) -> Result<Found<Data>, Setback> {
        let wanted = |sheet: &&Sheet| match part.part.as_str() {
            "" => !sheet.hidden && sheet.has_cells,
            id => sheet.id == id,
        };
        let Some(sheet) = sheets.iter().find(wanted) else {
            return Ok(Found::Absent(DELETED.to_owned()));
        };
        if !sheet.has_cells {
            return Ok(Found::Absent("a base inside of a spreadsheet".to_owned()));
        }
        let fetcher = self.fetcher;
        // With the header, and no more than there are.
        let rows = fetcher.settings.markdown.table_rows.saturating_add(1).min(sheet.rows);
        let values = fetcher.client.get_sheet_values(
            &part.container,
            &sheet.id,
            0..rows,
            sheet.columns,
            Render::Formatted,
        );
        let values = match self.ask(values).await? {
            Found::Here(values) => values,
            Found::Forbidden => return Ok(Found::Forbidden),
            Found::Absent(why) => return Ok(Found::Absent(why)),
        };
        let cells = |row: &Vec<_>| row.iter().map(cells::sheet_cell).collect();
        let shown = trimmed(values.rows.iter().map(cells).collect());
        let all = if shown.len() < size(rows) || rows == sheet.rows {
            // Empty rows at the end of these: those that follow are taken to be so too.
            shown.len()
        } else if sheet.rows > MAX_COUNTED {
            size(sheet.rows)
        } else {
            // The grid says little, since every sheet begins with hundreds of empty rows.
            let more = fetcher.client.get_sheet_values(
                &part.container,
                &sheet.id,
                rows..sheet.rows,
                1,
                Render::Formatted,
            );
            match self.ask(more).await? {
                Found::Here(more) => {
                    shown.len() + trimmed(more.rows.iter().map(cells).collect()).len()
                }
                Found::Forbidden => return Ok(Found::Forbidden),
                Found::Absent(why) => return Ok(Found::Absent(why)),
            }
        };
        Ok(Found::Here(Data {
            title: sheet.title.clone(),
            rows: shown,
            total_rows: all.saturating_sub(1),
            full: None,
        }))
    }

    /// Reads tables of bases, each base's list once.
    pub(super) async fn bases(&mut self, parts: &BTreeSet<Part>) -> Result<(), Setback> {
        let fetcher = self.fetcher;
        let mut listed: BTreeMap<&str, Found<Vec<Table>>> = BTreeMap::new();
        for part in parts {
            if !listed.contains_key(part.container.as_str()) {
                let tables = {
                    let call = fetcher.client.list_tables(&part.container);
                    self.ask(fetcher.learned.one_by_one(&part.container, call)).await?
                };
                if matches!(tables, Found::Here(_)) {
                    self.embed(Object::new(ObjType::Bitable, part.container.as_str()), None);
                }
                listed.insert(&part.container, tables);
            }
            let data = match &listed[part.container.as_str()] {
                Found::Here(tables) => self.table(part, tables).await?,
                Found::Forbidden => Found::Forbidden,
                Found::Absent(why) => Found::Absent(why.clone()),
            };
            if matches!(data, Found::Forbidden) {
                self.refuse(&Object::new(ObjType::Bitable, part.container.as_str()));
            }
            let tokens = tokens(part);
            let data = self.or_before(data, |kept| kept.bitables.get(&tokens[0])).await;
            for token in tokens {
                self.kept.bitables.insert(token, data.clone());
            }
        }
        Ok(())
    }

    async fn table(&mut self, part: &Part, tables: &[Table]) -> Result<Found<Data>, Setback> {
        let wanted = |table: &&Table| part.part.is_empty() || table.id == part.part;
        let Some(table) = tables.iter().find(wanted) else {
            return Ok(Found::Absent(DELETED.to_owned()));
        };
        // A picture that came from a base may be under its advanced permissions still
        // (docs: drive-v1/media/download; the short form is the one in records).
        if let Some(revision) = table.revision.filter(|_| self.extras.len() < MAX_EXTRAS) {
            let extra = json!({"bitablePerm": {"tableId": table.id, "rev": revision}});
            self.extras.push(extra.to_string());
        }
        let fetcher = self.fetcher;
        let fields = fetcher.client.list_fields(&part.container, &table.id);
        let fields = fetcher.learned.one_by_one(&part.container, fields);
        let mut fields = match self.ask(fields).await? {
            Found::Here(fields) => fields,
            Found::Forbidden => return Ok(Found::Forbidden),
            Found::Absent(why) => return Ok(Found::Absent(why)),
        };
        fields.retain(|field| !field.is_hidden);

        let most = size(fetcher.settings.markdown.table_rows);
        let mut rows = vec![fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>()];
        let mut total = None;
        let mut records = fetcher.client.search_records(&part.container, &table.id);
        while rows.len() <= most {
            let next = fetcher.learned.one_by_one(&part.container, records.next());
            let page = match self.ask(next).await? {
                Found::Here(Some(page)) => page,
                Found::Here(None) => break,
                Found::Forbidden => return Ok(Found::Forbidden),
                Found::Absent(why) => return Ok(Found::Absent(why)),
            };
            total = page.total.and_then(|total| usize::try_from(total).ok()).or(total);
            let missing = most + 1 - rows.len();
            rows.extend(page.records.iter().take(missing).map(|record| {
                let cell = |field: &crate::feishu::Field| match record.fields.get(&field.name) {
                    Some(value) => cells::base_cell(field.ty, &field.property, value),
                    None => String::new(),
                };
                fields.iter().map(cell).collect()
            }));
        }
        drop(records);
        let shown = rows.len() - 1;
        // Who has no role in a base with advanced permissions is shown none.
        if shown == 0 {
            let base = fetcher.client.get_base(&part.container);
            let base = self.ask(fetcher.learned.one_by_one(&part.container, base)).await?;
            if matches!(base, Found::Here(base) if base.is_advanced) {
                return Ok(Found::Forbidden);
            }
        }
        let total_rows = total.unwrap_or(shown).max(shown);
        Ok(Found::Here(Data { title: table.name.clone(), rows, total_rows, full: None }))
    }
}

/// How a block may write it.
fn tokens(part: &Part) -> Vec<String> {
    let whole = format!("{}_{}", part.container, part.part);
    if part.part.is_empty() { vec![part.container.clone(), whole] } else { vec![whole] }
}

fn size(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// Without the empty rows and columns at the end, all rows of one length.
fn trimmed(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let width =
        |row: &Vec<String>| row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |n| n + 1);
    while rows.last().is_some_and(|row| width(row) == 0) {
        rows.pop();
    }
    let columns = rows.iter().map(width).max().unwrap_or(0);
    for row in &mut rows {
        row.resize(columns, String::new());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_rows_and_columns_at_the_end_go() {
        let rows = [vec!["a", "", "b", ""], vec![], vec!["", "c"], vec!["", ""], vec![]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect()).to_vec();
        assert_eq!(trimmed(rows), [["a", "", "b"], ["", "", ""], ["", "c", ""]]);
        assert_eq!(trimmed(vec![Vec::new()]), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_token_without_a_part_is_written_in_two_ways() {
        assert_eq!(tokens(&Part::split("shtA_q1")), ["shtA_q1"]);
        assert_eq!(tokens(&Part::split("shtA")), ["shtA", "shtA_"]);
    }
}
