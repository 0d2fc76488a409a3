//! Words that stay words: every character that Markdown could take for a sign is escaped
//! where it could be one, and only there.

use crate::export::docx::url::looks_like_entity;

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a paragraph: lines may begin anything, breaks are `\` and a line break.
    Paragraph,
    /// In a heading: one line.
    Heading,
    /// In a cell of a pipe table: one line without pipes.
    Cell,
}

/// What of the text's surroundings decides about escapes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    pub place: Place,
    /// Inside the text of a link.
    pub in_link: bool,
    /// The only tilde of its block cannot strike anything.
    pub lone_tilde: bool,
    /// The only dollar sign of its block cannot begin a formula.
    pub lone_dollar: bool,
}

/// Appends `text` to `out`; `\n` in it is a break within the block.
pub(super) fn push_text(out: &mut String, text: &str, around: Surroundings) {
    let mut lines = text.split('\n');
    push_line(out, lines.next().unwrap_or_default(), around);
    for line in lines {
        push_break(out, around.place);
        push_line(out, line, around);
    }
}

/// Appends a line break within a block.
pub(super) fn push_break(out: &mut String, place: Place) {
    out.push_str(if place == Place::Paragraph { "\\\n" } else { "<br>" });
}

fn push_line(out: &mut String, line: &str, around: Surroundings) {
    let starts_line = out.is_empty() || out.ends_with('\n');
    let mut rest = line;
    if around.place == Place::Paragraph && starts_line {
        rest = push_line_start(out, line);
    }
    let offset = line.len() - rest.len();
    let bytes = line.as_bytes();
    for (at, c) in rest.char_indices() {
        let at = at + offset;
        let next = bytes.get(at + c.len_utf8()).copied();
        let escape = match c {
            '\\' | '`' | '*' | '[' => true,
            ']' => around.in_link,
            '^' => around.in_link && at == 0,
            '~' => !around.lone_tilde,
            '$' => !around.lone_dollar,
            '|' => around.place == Place::Cell,
            '_' => !is_inside_word(line, at),
            // A tag, a comment, an address; at the end something could follow.
            '<' => next != Some(b' '),
            '&' => looks_like_entity(&line[at..]),
            // Before a link it would make it a picture.
            '!' => next.is_none(),
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Whether the run of `_` around `at` has letters on both sides and so marks nothing.
fn is_inside_word(line: &str, at: usize) -> bool {
    let before = line[..at].trim_end_matches('_').chars().next_back();
    let after = line[at..].trim_start_matches('_').chars().next();
    before.is_some_and(is_word) && after.is_some_and(is_word)
}

/// Escapes what would begin a block at the start of a line; returns what remains.
fn push_line_start<'a>(out: &mut String, line: &'a str) -> &'a str {
    let first = line.chars().next().unwrap_or(' ');
    let second = line[first.len_utf8().min(line.len())..].chars().next();
    let blank_follows = second.is_none_or(|c| c == ' ' || c == '\t');
    let escape = match first {
        '#' | '>' | '=' | '|' => true,
        '+' => blank_follows,
        // A list, a line, the underline of a heading or of a table's header.
        '-' => blank_follows || matches!(second, Some('-' | ':' | '|')),
        ':' => blank_follows || matches!(second, Some('-' | ':' | '|')),
        _ => false,
    };
    if escape {
        out.push('\\');
        out.push(first);
        return &line[1..];
    }
    // `1.` and `1)` begin a list.
    let after_digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - after_digits.len();
    if (1..=9).contains(&digits) && after_digits.starts_with(['.', ')']) {
        let blank_follows = after_digits[1..].chars().next().is_none_or(|c| c == ' ' || c == '\t');
        if blank_follows {
            out.push_str(&line[..digits]);
            out.push('\\');
            out.push_str(&after_digits[..1]);
            return &after_digits[1..];
        }
    }
    line
}

/// Text without what no line of text can hold: control characters go, every kind of line
/// break becomes `\n`, blanks around breaks go.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\n' | '\u{b}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\u{c}' => out.push(' '),
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// One line of plain words, for titles, names and captions, without white space at the ends.
pub(super) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in clean(text).trim().split(['\n', ' ', '\t']).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// How a character counts where marks of emphasis begin and end. Renderers disagree about
/// symbols and unusual letters, so these are [`Class::Unsure`] and treated as the worse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// White space, or the begin or end of the line.
    Space,
    /// Punctuation for everyone.
    Punctuation,
    /// A letter or digit for everyone.
    Word,
    /// Anything else.
    Unsure,
}

/// The class of a character (`CommonMark` 0.31, section 6.2).
pub(super) fn class(c: char) -> Class {
    if matches!(c, ' ' | '\t' | '\n' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}')
        || matches!(c, '\u{202f}' | '\u{205f}' | '\u{3000}')
    {
        Class::Space
    } else if c.is_ascii_punctuation() || is_general_punctuation(c) {
        Class::Punctuation
    } else if is_word(c) {
        Class::Word
    } else {
        Class::Unsure
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric()
        // Letters and digits in circles and squares are symbols to others.
        && !matches!(c, '\u{2460}'..='\u{24ff}' | '\u{2776}'..='\u{2793}' | '\u{3200}'..='\u{33ff}' | '\u{1f100}'..='\u{1f2ff}')
}

/// Punctuation (category P) of general use and of Chinese and Japanese; not complete, which
/// costs a prettier mark at most.
fn is_general_punctuation(c: char) -> bool {
    matches!(c,
        '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{2043}' | '\u{2045}'..='\u{2051}'
        | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
        | '\u{ff01}'..='\u{ff03}' | '\u{ff05}'..='\u{ff0a}' | '\u{ff0c}'..='\u{ff0f}'
        | '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}' | '\u{ff20}' | '\u{ff3b}'..='\u{ff3d}'
        | '\u{ff3f}' | '\u{ff5b}' | '\u{ff5d}' | '\u{ff5f}'..='\u{ff65}')
}
