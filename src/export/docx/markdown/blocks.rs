//! Which block is written how.

use std::fmt::Write as _;

use super::code;
use super::context::Warning;
use super::escape::{Place, clean};
use super::lines::{Gap, Marker};
use super::list::Numbering;
use super::math;
use super::writer::Writer;
use crate::export::docx::NodeId;
use crate::export::docx::block::{Goal, Kind, Text, What};

impl<'a> Writer<'a> {
    /// Writes siblings; `gap` stands before the first one where Markdown allows it.
    pub(super) fn blocks(&mut self, nodes: &[NodeId], gap: Gap) {
        let tree = self.tree;
        let mut numbering = Numbering::default();
        // Whether the first sibling that shows is still to come.
        let mut first = true;
        let mut at = 0;
        while let Some(&node) = nodes.get(at) {
            let kind = tree.kind(node);
            let before = self.lines.position();
            match kind {
                Kind::Ordered(text) => {
                    let number = numbering.next(text.sequence);
                    if matches!(self.lines.tail(), Some(Marker::Number(next)) if next != number) {
                        // Renderers count on by themselves; this makes it another list.
                        self.lines.gap(Gap::Blank);
                        self.lines.line("<!-- -->");
                        first = false;
                    }
                    let joins = matches!(self.lines.tail(), Some(Marker::Number(_)));
                    let words = self.inline(text, Place::Paragraph);
                    // A list that begins with another number cannot interrupt a paragraph.
                    self.item_gap(first.then_some(gap), joins, number == 1);
                    let marker = Marker::Number(number.saturating_add(1));
                    self.item(node, (format!("{number}. "), marker), &words);
                }
                Kind::Bullet(text) => {
                    let words = self.inline(text, Place::Paragraph);
                    let joins = self.lines.tail() == Some(Marker::Dash);
                    self.item_gap(first.then_some(gap), joins, true);
                    self.item(node, ("- ".to_owned(), Marker::Dash), &words);
                }
                Kind::Todo(text) => {
                    let words = self.inline(text, Place::Paragraph);
                    let mark = if text.done { 'x' } else { ' ' };
                    let words = format!("[{mark}] {}", item_words(&words));
                    let joins = self.lines.tail() == Some(Marker::Dash);
                    self.item_gap(first.then_some(gap), joins, true);
                    self.item(node, ("- ".to_owned(), Marker::Dash), &words);
                }
                Kind::Quote(_) => {
                    // Lines quoted one by one are one quote.
                    let same = |node: &&NodeId| matches!(tree.kind(**node), Kind::Quote(_));
                    let count = nodes[at..].iter().take_while(same).count();
                    self.block_gap(first.then_some(gap));
                    self.lines.open_quote();
                    for &quote in &nodes[at..at + count] {
                        if let Kind::Quote(text) = tree.kind(quote) {
                            if self.lines.started() {
                                self.lines.gap(Gap::Blank);
                            }
                            let before = self.lines.position();
                            self.paragraph(text);
                            self.children(quote, before);
                        }
                    }
                    self.lines.close();
                    at += count - 1;
                }
                _ => {
                    self.block_gap(first.then_some(gap));
                    self.block(node, kind);
                }
            }
            if !matches!(kind, Kind::Ordered(_)) {
                numbering.interrupt();
            }
            first &= self.lines.position() == before;
            at += 1;
        }
    }

    /// Between siblings stands a blank line; `first` stands before the first one.
    fn block_gap(&mut self, first: Option<Gap>) {
        self.lines.gap(first.unwrap_or(Gap::Blank));
    }

    /// Between items of a list stands none. `interrupts`: the item is read as one even right
    /// below a paragraph.
    fn item_gap(&mut self, first: Option<Gap>, joins: bool, interrupts: bool) {
        self.lines.gap(match first {
            _ if joins => Gap::Line,
            Some(gap) if interrupts => gap,
            Some(_) if !self.lines.started() => Gap::Line,
            _ => Gap::Blank,
        });
    }

    /// A list item: its words, then its children.
    fn item(&mut self, node: NodeId, (sign, marker): (String, Marker), words: &str) {
        let tree = self.tree;
        self.lines.open_item(sign);
        self.lines.lines(item_words(words));
        let children = tree.children(node);
        let first_is_item = children.first().is_some_and(|child| tree.kind(*child).is_list_item());
        self.blocks(children, if first_is_item { Gap::Line } else { Gap::Blank });
        self.lines.close_item(marker);
    }

    /// A block's children, below what the block itself has written since `before`.
    pub(super) fn children(&mut self, node: NodeId, before: usize) {
        let tree = self.tree;
        let wrote = self.lines.position() > before;
        self.blocks(tree.children(node), if wrote { Gap::Blank } else { Gap::Line });
    }

    fn block(&mut self, node: NodeId, kind: &'a Kind) {
        let before = self.lines.position();
        match kind {
            Kind::Page(text) | Kind::Text(text) | Kind::AgendaItemTitle(text) => {
                let is_title = matches!(kind, Kind::AgendaItemTitle(_));
                if is_title { self.bold_paragraph(text) } else { self.paragraph(text) }
            }
            Kind::SourceSynced(text) => self.paragraph(text),
            Kind::Heading { level, text } => {
                let words = self.inline(text, Place::Heading);
                self.heading(*level, &words);
            }
            Kind::Equation(text) => self.formula(text),
            Kind::Code(text) => {
                let code = self.plain_text(text);
                self.fence(&code, code::language(text.language));
            }
            // Not `---`, which some readers take for an underline or for front matter.
            Kind::Divider => self.lines.line("***"),
            Kind::Callout { emoji, background } => {
                self.callout(node, emoji.as_deref(), *background);
                return;
            }
            Kind::QuoteContainer => {
                let tree = self.tree;
                self.lines.open_quote();
                self.blocks(tree.children(node), Gap::Line);
                self.lines.close();
                return;
            }
            Kind::Table(table) => {
                self.table(node, table);
                return;
            }
            Kind::OkrObjective(goal) => {
                self.goal(node, goal, "O");
                return;
            }
            Kind::OkrKeyResult(goal) => {
                self.goal(node, goal, "KR");
                return;
            }
            // Only frames: what is in them follows.
            Kind::Grid
            | Kind::GridColumn
            | Kind::View
            | Kind::TableCell
            | Kind::OkrProgress
            | Kind::Agenda
            | Kind::AgendaItem
            | Kind::AgendaItemContent => {}
            Kind::Quote(_) | Kind::Bullet(_) | Kind::Ordered(_) | Kind::Todo(_) => {
                unreachable!("written with their siblings")
            }
            kind => self.embed(kind),
        }
        self.children(node, before);
    }

    /// A paragraph; a formula alone in one is shown on its own.
    pub(super) fn paragraph(&mut self, text: &Text) {
        if let [element] = text.elements.as_slice()
            && matches!(element.what, What::Equation(_))
        {
            self.formula(text);
            return;
        }
        let words = self.inline(text, Place::Paragraph);
        if !words.is_empty() {
            self.lines.lines(&words);
        }
    }

    fn bold_paragraph(&mut self, text: &Text) {
        let mut text = text.clone();
        for element in &mut text.elements {
            element.style.bold = true;
        }
        self.paragraph(&text);
    }

    /// `words` are Markdown on one line.
    pub(super) fn heading(&mut self, level: u8, words: &str) {
        if words.is_empty() {
            return;
        }
        let mut line = format!("{} {words}", "#".repeat(usize::from(level.min(6))));
        if line.ends_with('#') {
            // Number signs at the end would close the heading.
            line.truncate(line.len() - 1);
            line.push_str("\\#");
        }
        if level > 6 {
            write!(line, " <!-- level={level} -->").expect("writing to a string");
        }
        self.lines.line(&line);
    }

    fn formula(&mut self, text: &Text) {
        let source = clean(&self.plain_text(text)).trim().to_owned();
        if source.is_empty() {
            return;
        }
        match math::display(&source) {
            Some(formula) => self.lines.line(&formula),
            None => self.fence(&source, "math"),
        }
    }

    /// Code between fences.
    pub(super) fn fence(&mut self, code: &str, language: &str) {
        let code = code::block_text(code);
        let fence = code::fence(&code);
        self.lines.line(&format!("{fence}{language}"));
        if !code.is_empty() {
            self.lines.lines(&code);
        }
        self.lines.line(&fence);
    }

    /// A note in place of something that cannot be shown.
    pub(super) fn note_line(&mut self, words: &str) {
        let note = self.note(words, Place::Paragraph);
        self.lines.line(&note);
    }

    fn goal(&mut self, node: NodeId, goal: &Goal, prefix: &str) {
        let mut words = self.inline(&goal.content, Place::Paragraph);
        let number = if goal.position > 0 { goal.position.to_string() } else { String::new() };
        let percent = goal.percent.map(|percent| format!(" ({percent}%)")).unwrap_or_default();
        if words.is_empty() {
            self.warn(Warning::NoContent("an objective or key result"));
            words = self.note("no content", Place::Paragraph);
        }
        self.lines.open_item("- ".to_owned());
        let before = self.lines.position();
        self.lines.lines(&format!("**{prefix}{number}** {words}{percent}"));
        self.children(node, before);
        self.lines.close_item(Marker::Dash);
    }
}

/// What stands beside a list item's marker. A marker alone is read as an underline, as a
/// horizontal line, or not at all, depending on what is around it; and `[ ]` alone as words.
fn item_words(words: &str) -> &str {
    if words.is_empty() { "&nbsp;" } else { words }
}
