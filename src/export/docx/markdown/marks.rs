//! Spans → Markdown: which marks open and close where.
//!
//! `**` and its kin only mark where white space and punctuation around them allow it
//! (`CommonMark` 0.31, section 6.2), and those rules were made for scripts with spaces: in
//! `**“重要”**后` the second `**` closes nothing. Each pair is therefore checked against the
//! characters on both sides of both ends; where the pair could be misread, HTML says it.

use std::ops::Range;

use super::code;
use super::escape::{Class, Place, Surroundings, class, push_break, push_text};
use super::spans::{Marks, Span, What};

/// Writes settled spans. `whole`: they are all that their block has.
pub(super) fn write(spans: &[Span], place: Place, whole: bool) -> String {
    let count = |sign: char| {
        // In code too: a dollar sign before it could pair with one inside.
        let of = |span: &Span| match &span.what {
            What::Words(text) | What::Code(text) | What::Math(text) => text.matches(sign).count(),
        };
        spans.iter().map(of).sum::<usize>()
    };
    let struck = spans.iter().any(|span| span.marks.strike);
    let formula = spans.iter().any(|span| matches!(span.what, What::Math(_)));
    let mut writer = Writer {
        spans,
        out: String::new(),
        around: Surroundings {
            place,
            in_link: false,
            lone_tilde: whole && !struck && count('~') == 1,
            lone_dollar: whole && !formula && count('$') == 1,
        },
        mark_at: None,
    };
    writer.write(0, spans.len(), &Marks::default(), &[]);
    writer.out
}

struct Writer<'a> {
    spans: &'a [Span],
    out: String,
    around: Surroundings,
    /// Where the last mark of emphasis ended, and its character: another one of the same
    /// right behind it would make one longer mark.
    mark_at: Option<(usize, char)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Link,
    Color,
    Strike,
    BoldItalic,
    Bold,
    Italic,
    Underline,
}

impl Mark {
    /// The outermost first, where several reach equally far. Bold and italic come as one
    /// mark where they reach equally far.
    const ALL: [Self; 6] =
        [Self::Link, Self::Color, Self::Strike, Self::Bold, Self::Italic, Self::Underline];

    fn same(self, a: &Marks, b: &Marks) -> bool {
        match self {
            Self::Link => a.link == b.link,
            Self::Color => (a.color, a.background) == (b.color, b.background),
            Self::Strike => a.strike == b.strike,
            Self::Bold => a.bold == b.bold,
            Self::Italic => a.italic == b.italic,
            Self::Underline => a.underline == b.underline,
            Self::BoldItalic => a.bold == b.bold && a.italic == b.italic,
        }
    }

    fn apply(self, from: &Marks, to: &mut Marks) {
        match self {
            Self::Link => to.link.clone_from(&from.link),
            Self::Color => (to.color, to.background) = (from.color, from.background),
            Self::Strike => to.strike = from.strike,
            Self::Bold => to.bold = from.bold,
            Self::Italic => to.italic = from.italic,
            Self::Underline => to.underline = from.underline,
            Self::BoldItalic => (to.bold, to.italic) = (from.bold, from.italic),
        }
    }

    /// Marks that say it, the prettiest first, and the HTML that always does.
    fn signs(self) -> (&'static [&'static str], &'static str, &'static str) {
        match self {
            Self::Strike => (&["~~"], "<del>", "</del>"),
            Self::BoldItalic => (&["***", "___"], "<strong><em>", "</em></strong>"),
            Self::Bold => (&["**", "__"], "<strong>", "</strong>"),
            Self::Italic => (&["*", "_"], "<em>", "</em>"),
            _ => (&[], "<u>", "</u>"),
        }
    }
}

impl Writer<'_> {
    /// Writes `spans[from..to]`, all inside of marks `active`. `taken`: what the marks begin
    /// with that close right after `to`.
    fn write(&mut self, from: usize, to: usize, active: &Marks, taken: &[char]) {
        let mut at = from;
        while at < to {
            let Some((mark, end)) = self.widest(at, to, active) else {
                self.leaf(at);
                at += 1;
                continue;
            };
            let mut inner = active.clone();
            mark.apply(&self.spans[at].marks, &mut inner);
            let outer_taken = if end == to { taken } else { &[] };
            match mark {
                Mark::Link => self.link(at, end, &inner),
                Mark::Color => self.color(at, end, &inner),
                mark => {
                    let after = self.after(active, end);
                    self.emphasis(mark, at..end, &inner, after, outer_taken);
                }
            }
            at = end;
        }
    }

    /// The mark that span `at` has beyond `active` and that reaches furthest before `to`.
    fn widest(&self, at: usize, to: usize, active: &Marks) -> Option<(Mark, usize)> {
        let marks = &self.spans[at].marks;
        let reach = |mark: Mark| {
            let same = |span: &&Span| mark.same(&span.marks, marks);
            at + self.spans[at..to].iter().take_while(same).count()
        };
        let mut widest: Option<(Mark, usize)> = None;
        for mark in Mark::ALL {
            if mark.same(marks, active) {
                continue;
            }
            let end = reach(mark);
            match widest {
                Some((Mark::Bold, reached)) if mark == Mark::Italic && reached == end => {
                    widest = Some((Mark::BoldItalic, end));
                }
                Some((_, reached)) if reached >= end => {}
                _ => widest = Some((mark, end)),
            }
        }
        widest
    }

    fn link(&mut self, from: usize, to: usize, inner: &Marks) {
        let link = inner.link.clone().expect("a link mark has a link");
        self.out.push('[');
        let outer = std::mem::replace(&mut self.around.in_link, true);
        self.write(from, to, inner, &[]);
        self.around.in_link = outer;
        self.out.push_str("](");
        self.out.push_str(&link.destination);
        self.out.push(')');
    }

    fn color(&mut self, from: usize, to: usize, inner: &Marks) {
        let style = super::colors::style(inner.color, inner.background);
        self.out.push_str("<span style=\"");
        self.out.push_str(&style);
        self.out.push_str("\">");
        self.write(from, to, inner, &[]);
        self.out.push_str("</span>");
    }

    /// `taken`: what the marks begin with that close right behind this one.
    fn emphasis(
        &mut self,
        mark: Mark,
        range: Range<usize>,
        inner: &Marks,
        after: Class,
        taken: &[char],
    ) {
        let Range { start: from, end: to } = range;
        let (signs, open, close) = mark.signs();
        let before = match self.out.chars().next_back() {
            None | Some('\n') => Class::Space,
            Some(c) => class(c),
        };
        let first = self.edge(from, inner, false);
        let last = self.edge(to - 1, inner, true);
        let marked = self.mark_at.filter(|(at, _)| *at == self.out.len()).map(|(_, sign)| sign);
        let fits = |sign: &&&str| {
            let sign = sign.chars().next().expect("no sign is empty");
            marked != Some(sign)
                && !taken.contains(&sign)
                && flanks(before, first)
                && flanks(after, last)
                // `_` marks nothing inside of a word.
                && (sign != '_' || is_edge(before) && is_edge(after))
        };
        let Some(sign) = signs.iter().find(fits) else {
            self.out.push_str(open);
            self.write(from, to, inner, &[]);
            self.out.push_str(close);
            return;
        };
        let character = sign.chars().next().expect("no sign is empty");
        self.out.push_str(sign);
        self.mark_at = Some((self.out.len(), character));
        let mut taken = taken.to_vec();
        taken.push(character);
        self.write(from, to, inner, &taken);
        self.out.push_str(sign);
        self.mark_at = Some((self.out.len(), character));
    }

    /// What follows a mark inside of marks `active` that ends before span `to`.
    fn after(&self, active: &Marks, to: usize) -> Class {
        match self.spans.get(to) {
            Some(next) if next.marks == *active => leaf_edge(&next.what, false),
            // Nothing else is open, and the block ends.
            None if *active == Marks::default() => Class::Space,
            // The sign of another mark that opens or closes here.
            _ => Class::Punctuation,
        }
    }

    /// The first or last character that span `at` has inside of marks `active`.
    fn edge(&self, at: usize, active: &Marks, is_end: bool) -> Class {
        let span = &self.spans[at];
        if span.marks == *active { leaf_edge(&span.what, is_end) } else { Class::Punctuation }
    }

    fn leaf(&mut self, at: usize) {
        match &self.spans[at].what {
            What::Words(words) => push_text(&mut self.out, words, self.around),
            What::Code(text) => code::push_span(&mut self.out, text, self.around),
            What::Math(formula) => self.out.push_str(formula),
        }
    }
}

/// Whether a mark with `outside` before and `inside` behind it can open (mirrored: close).
fn flanks(outside: Class, inside: Class) -> bool {
    match inside {
        Class::Space => false,
        Class::Word => true,
        Class::Punctuation | Class::Unsure => is_edge(outside),
    }
}

fn is_edge(outside: Class) -> bool {
    matches!(outside, Class::Space | Class::Punctuation)
}

fn leaf_edge(what: &What, is_end: bool) -> Class {
    match what {
        What::Words(words) => {
            let edge = if is_end { words.chars().next_back() } else { words.chars().next() };
            match edge {
                // A break is written as `\` or `<br>`.
                Some('\n') => Class::Punctuation,
                Some(c) => class(c),
                None => Class::Space,
            }
        }
        // Backticks, dollar signs, or `<code>`.
        What::Code(_) | What::Math(_) => Class::Punctuation,
    }
}

/// Joins lines that are Markdown already.
pub(super) fn join(parts: &[String], place: Place) -> String {
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            push_break(&mut out, place);
        }
        out.push_str(part);
    }
    out
}
