//! Reads a TOML text key by key and remembers everything that is wrong with it.
//!
//! A mistake never ends the reading: [`Table`] notes it with its line and goes on with
//! the default, so that a user sees all mistakes at once. Keys that nobody asked for
//! are unknown; [`Table::done`] says which keys there are.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::values;

/// One mistake in a config file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// Everything wrong with one config file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines())]
pub struct Mistakes {
    /// The file as the user knows it.
    pub file: String,
    /// At least one, in the order of their lines.
    pub mistakes: Vec<Mistake>,
}

impl Mistakes {
    fn lines(&self) -> String {
        let line = |m: &Mistake| format!("{}:{}: {}", self.file, m.line, m.message);
        self.mistakes.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// The text being read and what was wrong with it so far.
pub struct Reader<'t> {
    text: &'t str,
    mistakes: RefCell<Vec<Mistake>>,
}

/// A value where it stands.
pub type Value<'t> = Spanned<DeValue<'t>>;

impl<'t> Reader<'t> {
    /// A reader of a config text.
    pub fn new(text: &'t str) -> Self {
        Self { text, mistakes: RefCell::default() }
    }

    /// The whole file as a table; `None` where it is no TOML.
    fn parse(&self) -> Option<DeTable<'t>> {
        match DeTable::parse(self.text) {
            Ok(table) => Some(table.into_inner()),
            Err(error) => {
                let at = error.span().unwrap_or(0..0);
                self.wrong(&at, format!("this is not TOML: {}", error.message()));
                None
            }
        }
    }

    /// Notes a mistake.
    pub fn wrong(&self, at: &Range<usize>, message: impl Into<String>) {
        let mistake = Mistake { line: self.line(at), message: message.into() };
        self.mistakes.borrow_mut().push(mistake);
    }

    /// The line of a place in the text, from 1.
    pub fn line(&self, at: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..at.start).unwrap_or_default();
        1 + before.split(|byte| *byte == b'\n').skip(1).count()
    }

    /// Everything that was wrong, or nothing.
    pub fn finish(self, file: &Path) -> Result<(), Mistakes> {
        let mut mistakes = self.mistakes.into_inner();
        if mistakes.is_empty() {
            return Ok(());
        }
        mistakes.sort();
        mistakes.dedup();
        Err(Mistakes { file: file.display().to_string(), mistakes })
    }
}

/// A table of the file, whose keys are taken out one after the other.
pub struct Table<'r, 't> {
    /// Where mistakes go.
    pub reader: &'r Reader<'t>,
    /// How messages call it: `[filter]`, `the file` …
    name: String,
    /// Where it stands.
    pub at: Range<usize>,
    entries: Option<DeTable<'t>>,
    /// Keys asked for so far.
    known: RefCell<Vec<&'static str>>,
}

impl<'r, 't> Table<'r, 't> {
    /// The top of the file.
    pub fn top(reader: &'r Reader<'t>) -> Self {
        let entries = reader.parse();
        Self::new(reader, "the file", 0..0, entries)
    }

    fn new(
        reader: &'r Reader<'t>,
        name: impl Into<String>,
        at: Range<usize>,
        entries: Option<DeTable<'t>>,
    ) -> Self {
        Self { reader, name: name.into(), at, entries, known: RefCell::default() }
    }

    /// True where the file has this table.
    pub fn is_there(&self) -> bool {
        self.entries.is_some()
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &'static str) -> Option<&Value<'t>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        self.entries.as_ref()?.get(key)
    }

    /// Notes a mistake about the value of a key.
    pub fn wrong(&self, key: &str, value: &Value<'t>, message: &str) {
        self.reader.wrong(&value.span(), format!("{key} in {}: {message}", self.name));
    }

    /// A table below this one; an empty one where there is none.
    pub fn table(&self, key: &'static str) -> Table<'r, 't> {
        let name = match self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(outer) => format!("[{outer}.{key}]"),
            None => format!("[{key}]"),
        };
        match self.get(key) {
            Some(value) => match value.get_ref() {
                DeValue::Table(table) => {
                    Table::new(self.reader, name, value.span(), Some(table.clone()))
                }
                other => {
                    self.wrong(key, value, &expected("a table", other));
                    Table::new(self.reader, name, value.span(), None)
                }
            },
            None => Table::new(self.reader, name, 0..0, None),
        }
    }

    /// The tables of a `[[key]]`, in order.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'r, 't>> {
        let name = match self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(outer) => format!("[[{outer}.{key}]]"),
            None => format!("[[{key}]]"),
        };
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(key, value, &format!("write {name} (in double brackets) above each"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => {
                    let at = item.span();
                    tables.push(Table::new(self.reader, &name, at, Some(table.clone())));
                }
                other => self.wrong(key, item, &expected("a table", other)),
            }
        }
        tables
    }

    /// A text.
    pub fn text(&self, key: &'static str) -> Option<(String, Range<usize>)> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.to_string(), value.span())),
            other => {
                self.wrong(key, value, &expected("a text in quotes", other));
                None
            }
        }
    }

    /// True or false.
    pub fn flag(&self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(key, value, &expected("true or false", value.get_ref()));
            default
        })
    }

    /// A whole number within bounds.
    pub fn number(&self, key: &'static str, default: u64, allowed: Range<u64>) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let found = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        found.filter(|n| allowed.contains(n)).unwrap_or_else(|| {
            let bounds = if allowed.end == u64::MAX {
                format!("a whole number, {} or more", allowed.start)
            } else {
                format!("a whole number from {} to {}", allowed.start, allowed.end - 1)
            };
            self.wrong(key, value, &expected(&bounds, value.get_ref()));
            default
        })
    }

    /// A number above zero, at most `most`.
    pub fn share(&self, key: &'static str, default: f64, most: f64) -> f64 {
        let Some(value) = self.get(key) else { return default };
        let digits = match value.get_ref() {
            DeValue::Float(digits) => digits.as_str().parse().ok(),
            DeValue::Integer(digits) => digits.as_str().parse::<f64>().ok(),
            _ => None,
        };
        digits.filter(|n| *n > 0.0 && *n <= most).unwrap_or_else(|| {
            let bounds = format!("a number above 0, at most {most}");
            self.wrong(key, value, &expected(&bounds, value.get_ref()));
            default
        })
    }

    /// A size: `"1 GiB"`, or a number of bytes.
    pub fn size(&self, key: &'static str, default: u64) -> u64 {
        self.parsed(key, default, values::size)
    }

    /// A length of time: `"60s"`, `"7d"`.
    pub fn duration(&self, key: &'static str, default: Duration) -> Duration {
        self.parsed(key, default, values::duration)
    }

    /// Whatever `read` makes of a text or a whole number.
    pub fn parsed<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let Some(value) = self.get(key) else { return default };
        let read = match value.get_ref() {
            DeValue::String(text) => read(text),
            DeValue::Integer(digits) if digits.radix() == 10 => read(digits.as_str()),
            other => Err(expected("a text in quotes", other)),
        };
        read.unwrap_or_else(|why| {
            self.wrong(key, value, &why);
            default
        })
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        let Some((text, at)) = self.text(key) else { return default };
        words.iter().find(|(word, _)| *word == text).map_or_else(
            || {
                let allowed = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
                let message = unknown_word(&text, &allowed);
                self.reader.wrong(&at, format!("{key} in {}: {message}", self.name));
                default
            },
            |(_, value)| *value,
        )
    }

    /// A list of texts, each where it stands; `None` where the key is not there.
    pub fn texts(&self, key: &'static str) -> Option<Vec<(String, Range<usize>)>> {
        let value = self.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(key, value, &expected("a list of texts, [\"…\"]", value.get_ref()));
            return None;
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => texts.push((text.to_string(), item.span())),
                other => self.wrong(key, item, &expected("a text in quotes", other)),
            }
        }
        Some(texts)
    }

    /// Notes every key that nobody asked for.
    pub fn done(&self) {
        let Some(entries) = &self.entries else { return };
        let known = self.known.borrow();
        for (key, _) in entries {
            let word: &str = key.get_ref();
            if !known.contains(&word) {
                let message = format!("unknown key {word:?} in {}", self.name);
                let message = with_suggestion(&message, word, &known);
                self.reader.wrong(&key.span(), message);
            }
        }
    }
}

/// `expected a text in quotes, found integer`.
fn expected(what: &str, found: &DeValue<'_>) -> String {
    let shown = match found {
        DeValue::Integer(digits) => digits.as_str().to_owned(),
        DeValue::Float(digits) => digits.as_str().to_owned(),
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Boolean(flag) => flag.to_string(),
        other => format!("a {}", other.type_str()),
    };
    format!("expected {what}, found {shown}")
}

/// What to say about a word that is none of the allowed ones.
pub fn unknown_word(word: &str, allowed: &[&str]) -> String {
    with_suggestion(&format!("{word:?} is not allowed"), word, allowed)
}

fn with_suggestion(message: &str, word: &str, allowed: &[&str]) -> String {
    let list = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
    match nearest(word, allowed) {
        Some(near) => format!("{message}; did you mean {near:?}? allowed: {list}"),
        None => format!("{message}; allowed: {list}"),
    }
}

/// The allowed word that a typing error is most likely to have come from.
pub fn nearest<'w>(word: &str, allowed: &[&'w str]) -> Option<&'w str> {
    let worst = (word.chars().count() / 3).max(1);
    allowed
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(apart, _)| *apart <= worst)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, drop, replace or swap with their neighbour (optimal string
/// alignment), without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut least =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + other);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_word() {
        let words = ["include", "exclude", "types", "max_size"];
        let cases = [
            ("exlude", Some("exclude")),
            ("exclued", Some("exclude")),
            ("Types", Some("types")),
            ("maxsize", Some("max_size")),
            ("colour", None),
        ];
        for (word, want) in cases {
            assert_eq!(nearest(word, &words), want, "{word}");
        }
    }
}
