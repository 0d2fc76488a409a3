//! Code: spans and fences longer than any run of backticks inside, and language names.

use super::escape::{Place, Surroundings, push_text};

/// Appends a code span.
pub(super) fn push_span(out: &mut String, code: &str, around: Surroundings) {
    // Readers of tables disagree about `\\|` in code; and `[`, code, `]:` at the start of a line
    // defines a link, since lines are read before code. HTML leaves nothing to disagree on.
    if around.place == Place::Cell && code.contains("\\|") || around.in_link && code.contains("]:")
    {
        out.push_str("<code>");
        let start = out.len();
        push_text(out, code, around);
        if around.place == Place::Cell {
            let text = out.split_off(start).replace("\\|", "&#124;");
            out.push_str(&text);
        }
        out.push_str("</code>");
        return;
    }
    let fence = "`".repeat(longest_run(code) + 1);
    let edge = |c: Option<char>| c == Some('`');
    let blank = |c: Option<char>| c == Some(' ');
    let (first, last) = (code.chars().next(), code.chars().next_back());
    // One blank on both sides is taken off again, unless there is nothing else.
    let padded =
        edge(first) || edge(last) || blank(first) && blank(last) && code.chars().any(|c| c != ' ');
    let pad = if padded { " " } else { "" };
    out.push_str(&fence);
    out.push_str(pad);
    if around.place == Place::Cell {
        out.push_str(&code.replace('|', "\\|"));
    } else {
        out.push_str(code);
    }
    out.push_str(pad);
    out.push_str(&fence);
}

/// Length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// A fence that `code` does not close.
pub(super) fn fence(code: &str) -> String {
    "`".repeat((longest_run(code) + 1).max(3))
}

/// Code for a fence: the line breaks of the service as `\n`, none at the end.
pub(super) fn block_text(code: &str) -> String {
    let code = code.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let code: String =
        code.chars().filter(|&c| !c.is_control() || c == '\n' || c == '\t').collect();
    code.strip_suffix('\n').map(str::to_owned).unwrap_or(code)
}

/// The name that highlighters know a language by; empty for plain text.
/// (docs: docs/docx-v1/data-structure/block, `CodeLanguage`)
pub(super) fn language(number: i64) -> &'static str {
    const NAMES: [&str; 76] = [
        "",
        "",
        "abap",
        "ada",
        "apache",
        "apex",
        "asm",
        "bash",
        "csharp",
        "cpp",
        "c",
        "cobol",
        "css",
        "coffeescript",
        "d",
        "dart",
        "delphi",
        "django",
        "dockerfile",
        "erlang",
        "fortran",
        "foxpro",
        "go",
        "groovy",
        "html",
        "handlebars",
        "http",
        "haskell",
        "json",
        "java",
        "javascript",
        "julia",
        "kotlin",
        "latex",
        "lisp",
        "logo",
        "lua",
        "matlab",
        "makefile",
        "markdown",
        "nginx",
        "objectivec",
        "openedge",
        "php",
        "perl",
        "postscript",
        "powershell",
        "prolog",
        "protobuf",
        "python",
        "r",
        "rpgle",
        "ruby",
        "rust",
        "sas",
        "scss",
        "sql",
        "scala",
        "scheme",
        "scratch",
        "shell",
        "swift",
        "thrift",
        "typescript",
        "vbscript",
        "vbnet",
        "xml",
        "yaml",
        "cmake",
        "diff",
        "gherkin",
        "graphql",
        "glsl",
        "properties",
        "solidity",
        "toml",
    ];
    usize::try_from(number).ok().and_then(|at| NAMES.get(at)).copied().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_where_the_service_counts_them() {
        for (number, name) in [
            (0, ""),
            (1, ""),
            (8, "csharp"),
            (22, "go"),
            (28, "json"),
            (30, "javascript"),
            (39, "markdown"),
            (49, "python"),
            (53, "rust"),
            (60, "shell"),
            (63, "typescript"),
            (67, "yaml"),
            (75, "toml"),
            (76, ""),
            (-1, ""),
        ] {
            assert_eq!(language(number), name, "{number}");
        }
    }
}
