//! Tables: pipes where cells are lines of text, HTML where cells are merged or hold blocks.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::context::Data;
use super::escape::Place;
use super::inline::plain;
use super::lines::Gap;
use super::marks;
use super::writer::Writer;
use crate::export::docx::NodeId;
use crate::export::docx::block::{Kind, Table, Text, What};

/// A cell, or several merged into one.
#[derive(Debug)]
struct Cell {
    rows: usize,
    columns: usize,
    /// The cell blocks: the first one, and merged ones that still hold something.
    blocks: Vec<NodeId>,
}

impl Writer<'_> {
    pub(super) fn table(&mut self, node: NodeId, table: &Table) {
        let tree = self.tree;
        let own: HashMap<&str, NodeId> =
            tree.children(node).iter().map(|child| (tree.id(*child), *child)).collect();
        let cells: Vec<Option<NodeId>> =
            table.cells.iter().map(|id| own.get(id.as_str()).copied()).collect();
        let before = self.lines.position();
        if !cells.is_empty() {
            let grid = self.grid(table, &cells);
            let merged = grid.iter().flatten().flatten().any(|cell| cell.rows * cell.columns > 1);
            let simple = |cell: &Option<NodeId>| cell.is_none_or(|cell| self.is_line(cell));
            if !merged && cells.iter().all(simple) {
                self.pipe_table(&grid);
            } else {
                self.html_table(table, &grid);
            }
        }
        // Anything else that hangs on the table.
        let listed: HashSet<NodeId> = cells.into_iter().flatten().collect();
        let rest: Vec<NodeId> =
            tree.children(node).iter().copied().filter(|child| !listed.contains(child)).collect();
        let wrote = self.lines.position() > before;
        self.blocks(&rest, if wrote { Gap::Blank } else { Gap::Line });
    }

    /// Rows of cells; `None` where a merged cell covers the place.
    fn grid(&self, table: &Table, cells: &[Option<NodeId>]) -> Vec<Vec<Option<Cell>>> {
        let columns = match (table.columns, table.rows) {
            (columns, _) if (1..=cells.len()).contains(&columns) => columns,
            (_, rows) if rows > 0 => cells.len().div_ceil(rows).max(1),
            _ => cells.len(),
        };
        let rows = cells.len().div_ceil(columns);
        // Where each place's content goes: itself, or the cell that covers it.
        let mut owner: Vec<Option<usize>> = vec![None; rows * columns];
        let mut spans = vec![(1, 1); rows * columns];
        for at in 0..rows * columns {
            if owner[at].is_some() {
                continue;
            }
            let (row, column) = (at / columns, at % columns);
            let (height, width) = table.spans.get(at).copied().unwrap_or((1, 1));
            let height = height.clamp(1, rows - row);
            let width = width.clamp(1, columns - column);
            let free = |at: usize| owner[at].is_none();
            let width = (1..width).take_while(|right| free(at + right)).count() + 1;
            let free_row = |down: &usize| (0..width).all(|right| free(at + down * columns + right));
            let height = (1..height).take_while(free_row).count() + 1;
            for down in 0..height {
                owner[at + down * columns..][..width].fill(Some(at));
            }
            spans[at] = (height, width);
        }
        let mut grid: Vec<Vec<Option<Cell>>> = Vec::with_capacity(rows);
        for at in 0..rows * columns {
            if at % columns == 0 {
                grid.push(Vec::with_capacity(columns));
            }
            let block = cells.get(at).copied().flatten();
            let own = owner[at].unwrap_or(at);
            if own == at {
                let (rows, columns) = spans[at];
                let blocks = block.into_iter().collect();
                grid.last_mut().expect("just pushed").push(Some(Cell { rows, columns, blocks }));
                continue;
            }
            grid.last_mut().expect("just pushed").push(None);
            let content = block.filter(|block| self.has_content(*block));
            if let (Some(block), Some(Some(cell))) =
                (content, grid.get_mut(own / columns).and_then(|row| row.get_mut(own % columns)))
            {
                cell.blocks.push(block);
            }
        }
        grid
    }

    /// Whether anything in a cell would show.
    fn has_content(&self, cell: NodeId) -> bool {
        self.tree.preorder(cell).any(|node| match self.tree.kind(node) {
            Kind::TableCell => false,
            Kind::Text(text) => text.elements.iter().any(
                |element| !matches!(&element.what, What::Run(words) if words.trim().is_empty()),
            ),
            _ => true,
        })
    }

    /// Whether a cell's content fits on the line of a pipe table.
    fn is_line(&self, cell: NodeId) -> bool {
        let tree = self.tree;
        tree.children(cell).iter().all(|&child| {
            let fits = match tree.kind(child) {
                Kind::Text(text) => !text.elements.iter().any(
                    |element| matches!(&element.what, What::Equation(source) if source.contains('|')),
                ),
                Kind::Image { .. } | Kind::File { .. } => true,
                Kind::View => return self.is_line(child),
                _ => false,
            };
            fits && tree.children(child).is_empty()
        })
    }

    /// A cell's content on one line.
    fn cell_line(&mut self, cell: NodeId) -> String {
        let tree = self.tree;
        let mut parts = Vec::new();
        for &child in tree.children(cell) {
            parts.push(match tree.kind(child) {
                Kind::Image { token, caption } => self.image(token, caption, Place::Cell),
                Kind::File { token, name } => self.file(token, name, Place::Cell),
                Kind::View => self.cell_line(child),
                kind => match kind.text() {
                    Some(text) => self.inline(text, Place::Cell),
                    None => String::new(),
                },
            });
        }
        let lines: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        marks::join(&lines, Place::Cell)
    }

    fn pipe_table(&mut self, grid: &[Vec<Option<Cell>>]) {
        let mut rows = Vec::with_capacity(grid.len());
        for row in grid {
            let mut line = Vec::with_capacity(row.len());
            for cell in row {
                let block = cell.as_ref().and_then(|cell| cell.blocks.first());
                line.push(block.map(|block| self.cell_line(*block)).unwrap_or_default());
            }
            rows.push(line);
        }
        let columns = rows.first().map_or(0, Vec::len);
        let aligns: Vec<u8> = (0..columns).map(|column| self.column_align(grid, column)).collect();
        self.pipes(&rows, &aligns);
    }

    /// The alignment that all text of a column shares; 0 where it differs.
    fn column_align(&self, grid: &[Vec<Option<Cell>>], column: usize) -> u8 {
        let mut align = None;
        for cell in grid.iter().filter_map(|row| row.get(column)?.as_ref()) {
            for &block in cell.blocks.iter().filter(|block| self.has_content(**block)) {
                for &child in self.tree.children(block) {
                    if let Kind::Text(Text { align: own, .. }) = self.tree.kind(child) {
                        if align.is_some_and(|align| align != *own) {
                            return 0;
                        }
                        align = Some(*own);
                    }
                }
            }
        }
        align.unwrap_or(0)
    }

    /// Writes rows of Markdown as a pipe table; the first one is the header.
    fn pipes(&mut self, rows: &[Vec<String>], aligns: &[u8]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        for (index, row) in rows.iter().enumerate() {
            let mut line = String::from("|");
            for column in 0..columns {
                let cell = row.get(column).map(String::as_str).unwrap_or_default();
                line.push(' ');
                line.push_str(cell);
                line.push_str(if cell.is_empty() { "|" } else { " |" });
            }
            self.lines.line(&line);
            if index == 0 {
                let mut line = String::from("|");
                for column in 0..columns {
                    line.push_str(match aligns.get(column) {
                        Some(2) => " :-: |",
                        Some(3) => " --: |",
                        _ => " --- |",
                    });
                }
                self.lines.line(&line);
            }
        }
    }

    /// In HTML, with Markdown in the cells: a blank line on both sides makes it be read.
    fn html_table(&mut self, table: &Table, grid: &[Vec<Option<Cell>>]) {
        self.lines.line("<table>");
        for (row, cells) in grid.iter().enumerate() {
            self.lines.line("<tr>");
            for (column, cell) in cells.iter().enumerate() {
                let Some(cell) = cell else { continue };
                let header = table.header_row && row == 0 || table.header_column && column == 0;
                let tag = if header { "th" } else { "td" };
                let mut open = format!("<{tag}");
                if cell.columns > 1 {
                    write!(open, " colspan=\"{}\"", cell.columns).expect("writing to a string");
                }
                if cell.rows > 1 {
                    write!(open, " rowspan=\"{}\"", cell.rows).expect("writing to a string");
                }
                open.push('>');
                if !cell.blocks.iter().any(|block| self.has_content(*block)) {
                    self.lines.line(&format!("{open}</{tag}>"));
                    continue;
                }
                self.lines.line(&open);
                let tree = self.tree;
                for &block in &cell.blocks {
                    self.lines.gap(Gap::Blank);
                    self.blocks(tree.children(block), Gap::Blank);
                }
                self.lines.gap(Gap::Blank);
                self.lines.line(&format!("</{tag}>"));
            }
            self.lines.line("</tr>");
        }
        self.lines.line("</table>");
    }

    /// An embedded sheet or table, and where the rest of it is.
    pub(super) fn data(&mut self, what: &str, data: &Data) {
        let title = self.strong(&data.title, Place::Paragraph);
        if !title.is_empty() {
            self.lines.line(&title);
            self.lines.gap(Gap::Blank);
        }
        let mut rows = Vec::with_capacity(data.rows.len());
        for row in &data.rows {
            let cells = row.iter();
            rows.push(
                cells
                    .map(|cell| self.write_spans(vec![plain(cell.clone())], Place::Cell))
                    .collect::<Vec<_>>(),
            );
        }
        let shown = data.rows.len().saturating_sub(1);
        if rows.iter().all(Vec::is_empty) {
            self.note_line(&format!("empty {what}"));
        } else {
            self.pipes(&rows, &[]);
        }
        let all = data.full.as_ref();
        if shown >= data.total_rows && all.is_none() {
            return;
        }
        let mut words = if shown < data.total_rows {
            format!("{shown} of {} rows", data.total_rows)
        } else {
            format!("{shown} rows")
        };
        if let Some(path) = all {
            let destination = crate::export::docx::url::path_destination(path);
            let link = self.link("all data", "", &destination, Place::Paragraph);
            words.push_str(": ");
            words.push_str(&link);
        }
        self.lines.gap(Gap::Blank);
        self.lines.line(&words);
    }
}
