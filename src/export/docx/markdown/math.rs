//! Formulas: `$…$`, `$$…$$`, and where neither can hold one, code.

use super::escape::Place;

/// Deepest braces that parsers keep track of.
const MAX_BRACES: usize = 20;

/// A formula on one line: to TeX a line break is a blank.
pub(super) fn one_line(source: &str) -> String {
    let lines = source.split('\n').map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Whether the formula can stand between dollar signs, on one line, and not end them early:
/// none inside, braces in pairs, no comment that the end of its line ends.
fn is_contained(source: &str) -> bool {
    let several_lines = source.contains('\n');
    let mut depth = 0usize;
    let mut escaped = false;
    for c in source.chars() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '$' => return false,
            '%' if several_lines => return false,
            '{' if depth == MAX_BRACES => return false,
            '{' => depth += 1,
            '}' if depth == 0 => return false,
            '}' => depth -= 1,
            _ => {}
        }
    }
    depth == 0 && !escaped && !source.trim().is_empty()
}

/// A formula within a line; `None` where dollar signs cannot hold it.
pub(super) fn inline(source: &str, place: Place) -> Option<String> {
    // In a table's cell `|` needs a backslash, which is itself a sign in formulas.
    let fits = is_contained(source) && !(place == Place::Cell && source.contains('|'));
    let line = one_line(source);
    // A backslash before a trimmed blank would now escape the dollar sign.
    (fits && is_contained(&line)).then(|| format!("${line}$"))
}

/// A formula as a block of its own; `None` where dollar signs cannot hold it.
pub(super) fn display(source: &str) -> Option<String> {
    let line = one_line(source);
    (is_contained(source) && is_contained(&line)).then(|| format!("$${line}$$"))
}
