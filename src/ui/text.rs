//! Words and numbers for people: safe names, sizes, counts, lengths of time, columns.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

/// A remote name made safe to print: control characters, line separators and marks
/// that turn the reading direction become visible escapes.
///
/// A title is whatever somebody typed; printed as it is, it could move the cursor,
/// forge further lines or hide its end.
pub fn escaped(text: &str) -> Cow<'_, str> {
    let unsafe_char = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(unsafe_char) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if unsafe_char(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A message of several lines keeps its lines; all else is as in [`escaped`].
pub fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// `1.5 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let exponent = (count.ilog2() / 10).min(5);
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = count as f64 / (1u64 << (exponent * 10)) as f64;
    let unit = UNITS[exponent as usize - 1];
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 file`, `2 files`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub fn duration_ms(ms: u64) -> String {
    let secs = ms / 1000;
    match secs {
        0..10 => format!("{}.{} s", secs, ms % 1000 / 100),
        10..60 => format!("{secs} s"),
        60..3_600 => format!("{} min {} s", secs / 60, secs % 60),
        3_600..86_400 => format!("{} h {} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

/// `2026-03-01 10:30` in the local time zone.
pub fn minute(secs: i64) -> String {
    jiff::Timestamp::from_second(secs).map_or_else(
        |_| "?".to_owned(),
        |at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

/// Rows of cells, each column as wide as its widest cell on a terminal, where a Chinese
/// character takes two places; `right` columns are aligned to the right, the last column
/// is never padded.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let wide = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max()
    };
    let widths: Vec<usize> = (0..wide).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let start = out.len();
        for (column, cell) in row.iter().enumerate() {
            if column > 0 {
                out.push_str("  ");
            }
            let pad = widths[column].saturating_sub(cell.width());
            if right.contains(&column) {
                let _ = write!(out, "{:pad$}{cell}", "");
            } else if column + 1 == row.len() {
                out.push_str(cell);
            } else {
                let _ = write!(out, "{cell}{:pad$}", "");
            }
        }
        out.truncate(out.trim_end().len().max(start));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_play_tricks_on_the_terminal() {
        let cases = [
            ("周报 2024", "周报 2024"),
            ("a\nP everything", "a\\nP everything"),
            ("\u{1b}[2Jx", "\\u{1b}[2Jx"),
            ("tar\u{202e}gz.exe", "tar\\u{202e}gz.exe"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("back\\slash", "back\\slash"),
        ];
        for (text, want) in cases {
            assert_eq!(escaped(text), want, "{text:?}");
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 1023, 1024, 1536, 10 << 20, 3 << 40].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 MiB", "3.0 TiB"]
        );
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 450, 12_000, 185_000, 7_800_000, 273_600_000].map(duration_ms),
            ["0.0 s", "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "3 d 4 h"]
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows = vec![
            vec!["1 B".to_owned(), "docx".to_owned(), "a".to_owned()],
            vec!["10 KiB".to_owned(), "sheet".to_owned(), "b c".to_owned()],
        ];
        assert_eq!(columns(&rows, &[0]), "   1 B  docx   a\n10 KiB  sheet  b c\n");
        let rows = [["王芳", "a"], ["demo", "b"], ["é", "c"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).into()).collect();
        assert_eq!(columns(&rows, &[]), "王芳  a\ndemo  b\né     c\n");
        assert_eq!(columns(&rows, &[0]), "王芳  a\ndemo  b\n   é  c\n");
    }
}
