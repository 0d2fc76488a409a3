//! What the three Office formats share: a zip of XML parts, byte for byte the same
//! each time.

use std::fmt;
use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Adds formatted text to a part.
pub fn append(text: &mut String, more: fmt::Arguments<'_>) {
    fmt::Write::write_fmt(text, more).expect("a string takes every write");
}

/// XML declaration.
pub const XML: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;

/// Namespace of relationships between parts, and the prefix of their types.
pub const REL: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// Zips parts in the given order. The times are fixed: the same parts give the same
/// bytes.
pub fn package(parts: &[(&str, String)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    for (name, text) in parts {
        zip.start_file(*name, options).expect("a part of a few kilobytes fits");
        zip.write_all(text.as_bytes()).expect("memory takes every write");
    }
    zip.finish().expect("memory takes every write").into_inner()
}

/// `[Content_Types].xml` for parts and their types.
pub fn content_types(parts: &[(&str, &str)]) -> String {
    let mut text = format!(
        r#"{XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>"#
    );
    for (part, kind) in parts {
        append(
            &mut text,
            format_args!(
                r#"<Override PartName="/{part}" ContentType="application/vnd.openxmlformats-{kind}+xml"/>"#
            ),
        );
    }
    text.push_str("</Types>");
    text
}

/// A relationships part: type words and targets get the ids `rId1`, `rId2` …
pub fn relations(targets: &[(&str, &str)]) -> String {
    let mut text = format!(
        r#"{XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#
    );
    for (n, (kind, target)) in targets.iter().enumerate() {
        let id = n + 1;
        let kind = match *kind {
            "core-properties" => format!(
                "http://schemas.openxmlformats.org/package/2006/relationships/metadata/{kind}"
            ),
            kind => format!("{REL}/{kind}"),
        };
        append(
            &mut text,
            format_args!(r#"<Relationship Id="rId{id}" Type="{kind}" Target="{target}"/>"#),
        );
    }
    text.push_str("</Relationships>");
    text
}

/// Title and, where exports are unstable, a number that differs each time.
pub fn core_properties(title: &str, salt: u64) -> String {
    format!(
        r#"{XML}<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{}</dc:title><dc:identifier>{salt}</dc:identifier></cp:coreProperties>"#,
        escape(title)
    )
}

/// Text for XML 1.0: markup escaped, characters that XML cannot hold replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
