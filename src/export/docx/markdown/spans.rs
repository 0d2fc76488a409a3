//! A text as spans of one look each, made ready for marks: neighbours that look alike are one
//! span, and white space stands outside of the marks of what it separates.

use std::rc::Rc;

use super::escape::{Place, clean};
use super::math;

/// Words, code or a formula, and how they look.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub what: What,
    pub marks: Marks,
}

/// What a span is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// Words; `\n` is a break within the block.
    Words(String),
    /// Code, without line breaks.
    Code(String),
    /// A formula; once settled, with its dollar signs.
    Math(String),
}

/// How a span looks.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks")]
pub(super) struct Marks {
    pub bold: bool,
    pub italic: bool,
    pub strike: bool,
    pub underline: bool,
    pub color: u8,
    pub background: u8,
    pub link: Option<Link>,
}

/// A link's destination, ready to be written. Spans with equal links are one link.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub destination: Rc<str>,
    /// Tells two mentions of one document apart; 0 for links that may be joined.
    pub serial: usize,
}

/// Makes spans ready: see the module's documentation. White space at the ends goes.
/// `formulas_as_code` counts formulas that no dollar signs can hold at this place.
pub(super) fn settle(spans: Vec<Span>, place: Place, formulas_as_code: &mut usize) -> Vec<Span> {
    let spans = place_blanks(split(spans, place, formulas_as_code));
    if spans.iter().all(is_blank) {
        return Vec::new();
    }
    let mut settled: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        if let Some(last) = settled.last_mut() {
            if last.marks == span.marks {
                match (&mut last.what, &span.what) {
                    (What::Words(before), What::Words(words)) => {
                        before.push_str(words);
                        continue;
                    }
                    (What::Code(before), What::Code(code)) => {
                        before.push_str(code);
                        continue;
                    }
                    _ => {}
                }
            }
            // Two formulas side by side would read as `$$`.
            if let (What::Math(_), What::Math(_)) = (&last.what, &span.what) {
                let marks = common(&last.marks, &span.marks);
                settled.push(Span { what: What::Words(" ".to_owned()), marks });
            }
        }
        settled.push(span);
    }
    settled
}

/// Splits words into blanks, words, blanks, and code at its line breaks; cleans all.
fn split(spans: Vec<Span>, place: Place, formulas_as_code: &mut usize) -> Vec<Span> {
    let mut parts: Vec<Span> = Vec::with_capacity(spans.len());
    for Span { what, marks } in spans {
        let mut push = |what| parts.push(Span { what, marks: marks.clone() });
        match what {
            What::Words(words) => {
                let words = clean(&words);
                let tail = words.trim_start();
                let head = &words[..words.len() - tail.len()];
                let core = tail.trim_end();
                let tail = &tail[core.len()..];
                if !head.is_empty() {
                    push(What::Words(head.to_owned()));
                }
                if !core.is_empty() {
                    push(What::Words(without_blanks_at_breaks(core)));
                }
                if !tail.is_empty() {
                    push(What::Words(tail.to_owned()));
                }
            }
            What::Code(code) => {
                for (index, line) in clean(&code).split('\n').enumerate() {
                    if index > 0 {
                        push(What::Words("\n".to_owned()));
                    }
                    if line.trim().is_empty() {
                        push(What::Words(line.to_owned()));
                    } else {
                        push(What::Code(line.to_owned()));
                    }
                }
            }
            What::Math(source) => {
                let source = clean(&source).trim().to_owned();
                // Within a link `]:` could define one, see `code::push_span`.
                let formula = math::inline(&source, place)
                    .filter(|formula| marks.link.is_none() || !formula.contains("]:"));
                if let Some(formula) = formula {
                    push(What::Math(formula));
                } else if !source.is_empty() {
                    *formulas_as_code += 1;
                    push(What::Code(math::one_line(&source)));
                }
            }
        }
    }
    parts
}

/// Joins neighbouring blanks, gives them the marks that both sides share, and drops those at
/// the ends.
fn place_blanks(parts: Vec<Span>) -> Vec<Span> {
    let mut placed: Vec<Span> = Vec::with_capacity(parts.len());
    let mut parts = parts.into_iter().peekable();
    while let Some(part) = parts.next() {
        if !is_blank(&part) {
            placed.push(part);
            continue;
        }
        let Span { what: What::Words(mut blanks), marks: mut own } = part else { continue };
        while let Some(next) = parts.next_if(is_blank) {
            own = common(&own, &next.marks);
            if let What::Words(more) = next.what {
                blanks.push_str(&more);
            }
        }
        let mut words = without_blanks_at_breaks(&blanks);
        if placed.is_empty() {
            // Lines of blanks go, the blanks of the first line with words stay.
            let line = words.rsplit('\n').next().unwrap_or_default();
            words = String::from(line.trim_start_matches([' ', '\t']));
        }
        if parts.peek().is_none() {
            let line = words.split('\n').next().unwrap_or_default();
            words = String::from(line.trim_end_matches([' ', '\t']));
        }
        if words.is_empty() {
            continue;
        }
        let marks = match (placed.last(), parts.peek()) {
            (Some(before), Some(after)) => {
                let around = common(&before.marks, &after.marks);
                let shared = common(&around, &own);
                // A blank shows neither bold nor italic, so between words of one weight it
                // takes theirs.
                let (b, a) = (&before.marks, &after.marks);
                if (b.bold, b.italic) == (a.bold, a.italic) {
                    Marks { bold: b.bold, italic: b.italic, ..shared }
                } else {
                    shared
                }
            }
            _ => Marks::default(),
        };
        placed.push(Span { what: What::Words(words), marks });
    }
    placed
}

fn is_blank(span: &Span) -> bool {
    matches!(&span.what, What::Words(words) if words.chars().all(char::is_whitespace))
}

fn without_blanks_at_breaks(text: &str) -> String {
    if !text.contains('\n') {
        return text.to_owned();
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let last = lines.len() - 1;
    let trimmed = lines.iter().enumerate().map(|(index, line)| {
        let line = if index > 0 { line.trim_start_matches([' ', '\t']) } else { line };
        if index < last { line.trim_end_matches([' ', '\t']) } else { line }
    });
    trimmed.collect::<Vec<_>>().join("\n")
}

/// What both have.
fn common(a: &Marks, b: &Marks) -> Marks {
    Marks {
        bold: a.bold && b.bold,
        italic: a.italic && b.italic,
        strike: a.strike && b.strike,
        underline: a.underline && b.underline,
        color: if a.color == b.color { a.color } else { 0 },
        background: if a.background == b.background { a.background } else { 0 },
        link: a.link.clone().filter(|link| b.link.as_ref() == Some(link)),
    }
}
