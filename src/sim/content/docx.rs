//! Word documents: a heading and paragraphs.

use super::ooxml::{self, XML, escape};

const W: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

/// A document with `title` as its heading.
pub fn document(title: &str, paragraphs: &[String], salt: u64) -> Vec<u8> {
    let mut body = String::new();
    let mut paragraph = |style: &str, text: &str| {
        let style = if style.is_empty() {
            String::new()
        } else {
            format!(r#"<w:pPr><w:pStyle w:val="{style}"/></w:pPr>"#)
        };
        let text = escape(text);
        ooxml::append(
            &mut body,
            format_args!(r#"<w:p>{style}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>"#),
        );
    };
    paragraph("Heading1", title);
    for text in paragraphs {
        paragraph("", text);
    }
    let document = format!(
        r#"{XML}<w:document xmlns:w="{W}"><w:body>{body}<w:sectPr><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1440" w:right="1440" w:bottom="1440" w:left="1440" w:header="720" w:footer="720" w:gutter="0"/></w:sectPr></w:body></w:document>"#
    );
    let styles = format!(
        r#"{XML}<w:styles xmlns:w="{W}"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:eastAsia="SimSun"/><w:sz w:val="22"/><w:lang w:val="en-US" w:eastAsia="zh-CN"/></w:rPr></w:rPrDefault></w:docDefaults><w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/><w:basedOn w:val="Normal"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr><w:rPr><w:b/><w:sz w:val="36"/></w:rPr></w:style></w:styles>"#
    );
    ooxml::package(&[
        (
            "[Content_Types].xml",
            ooxml::content_types(&[
                ("word/document.xml", "officedocument.wordprocessingml.document.main"),
                ("word/styles.xml", "officedocument.wordprocessingml.styles"),
                ("docProps/core.xml", "package.core-properties"),
            ]),
        ),
        (
            "_rels/.rels",
            ooxml::relations(&[
                ("officeDocument", "word/document.xml"),
                ("core-properties", "docProps/core.xml"),
            ]),
        ),
        ("word/document.xml", document),
        ("word/_rels/document.xml.rels", ooxml::relations(&[("styles", "styles.xml")])),
        ("word/styles.xml", styles),
        ("docProps/core.xml", ooxml::core_properties(title, salt)),
    ])
}
