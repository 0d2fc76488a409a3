//! The block of values before the text, as YAML.

use std::fmt::Write as _;

use super::context::FrontMatter;

/// Writes the front matter with its fences. Empty values are left out, all but the title.
pub(super) fn write(values: &FrontMatter) -> String {
    let mut out = String::from("---\n");
    let mut text = |key: &str, value: &str| {
        if key == "title" || !value.is_empty() {
            writeln!(out, "{key}: {}", quote(value)).expect("writing to a string");
        }
    };
    text("title", &values.title);
    text("token", &values.token);
    text("type", &values.obj_type);
    text("url", &values.url);
    if let Some(revision) = values.revision {
        writeln!(out, "revision: {revision}").expect("writing to a string");
    }
    // An ordinary time stamp needs no quotes, and so stays a time for readers of YAML.
    let edited = values.edited_secs.and_then(|secs| jiff::Timestamp::from_second(secs).ok());
    if let Some(edited) = edited {
        writeln!(out, "edited: {edited}").expect("writing to a string");
    }
    if !values.owner.is_empty() {
        writeln!(out, "owner: {}", quote(&values.owner)).expect("writing to a string");
    }
    out.push_str("---\n");
    out
}

/// A double-quoted YAML string on one line (YAML 1.2, section 5.7).
fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Not printable to YAML, or line breaks to some readers.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_their_quotes() {
        let values = FrontMatter {
            title: "a: \"b\"\n---\n# x \\ \u{2028}\u{7}周报".to_owned(),
            token: "doxcn1".to_owned(),
            obj_type: "docx".to_owned(),
            url: "https://x.example/docx/doxcn1".to_owned(),
            revision: Some(7),
            edited_secs: Some(1_700_000_000),
            owner: "no".to_owned(),
        };
        assert_eq!(
            write(&values),
            "---\n\
             title: \"a: \\\"b\\\"\\n---\\n# x \\\\ \\u2028\\u0007周报\"\n\
             token: \"doxcn1\"\ntype: \"docx\"\nurl: \"https://x.example/docx/doxcn1\"\n\
             revision: 7\nedited: 2023-11-14T22:13:20Z\nowner: \"no\"\n---\n"
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let values = FrontMatter { edited_secs: Some(i64::MAX), ..FrontMatter::default() };
        assert_eq!(write(&values), "---\ntitle: \"\"\n---\n");
    }
}
