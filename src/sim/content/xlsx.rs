//! Excel workbooks: sheets of texts and numbers.

use std::collections::BTreeSet;

use super::ooxml::{self, REL, XML, escape};

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

/// A workbook of named sheets.
pub fn workbook(sheets: &[(String, super::Rows)], salt: u64) -> Vec<u8> {
    let names = sheet_names(sheets);
    let files: Vec<String> =
        (1..=sheets.len()).map(|n| format!("worksheets/sheet{n}.xml")).collect();
    let paths: Vec<String> = files.iter().map(|file| format!("xl/{file}")).collect();

    let listed = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let (name, id) = (escape(name), n + 1);
            format!(r#"<sheet name="{name}" sheetId="{id}" r:id="rId{id}"/>"#)
        })
        .collect::<Vec<_>>()
        .concat();
    let book = format!(
        r#"{XML}<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>{listed}</sheets></workbook>"#
    );
    let styles = format!(
        r#"{XML}<styleSheet xmlns="{MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>"#
    );

    let mut types = vec![
        ("xl/workbook.xml", "officedocument.spreadsheetml.sheet.main"),
        ("xl/styles.xml", "officedocument.spreadsheetml.styles"),
        ("docProps/core.xml", "package.core-properties"),
    ];
    let mut relations: Vec<(&str, &str)> = Vec::new();
    for (file, path) in files.iter().zip(&paths) {
        types.push((path, "officedocument.spreadsheetml.worksheet"));
        relations.push(("worksheet", file));
    }
    relations.push(("styles", "styles.xml"));
    let mut parts = vec![
        ("[Content_Types].xml", ooxml::content_types(&types)),
        (
            "_rels/.rels",
            ooxml::relations(&[
                ("officeDocument", "xl/workbook.xml"),
                ("core-properties", "docProps/core.xml"),
            ]),
        ),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", ooxml::relations(&relations)),
        ("xl/styles.xml", styles),
        ("docProps/core.xml", ooxml::core_properties("", salt)),
    ];
    for (path, (_, rows)) in paths.iter().zip(sheets) {
        parts.push((path, worksheet(rows)));
    }
    ooxml::package(&parts)
}

fn worksheet(rows: &super::Rows) -> String {
    let mut data = String::new();
    for (r, row) in rows.iter().enumerate() {
        ooxml::append(&mut data, format_args!(r#"<row r="{}">"#, r + 1));
        for (c, cell) in row.iter().enumerate() {
            let at = format!("{}{}", column(c), r + 1);
            let number = !cell.is_empty()
                && cell.len() < 15
                && cell.bytes().all(|b| b.is_ascii_digit())
                && (cell == "0" || !cell.starts_with('0'));
            if number {
                ooxml::append(&mut data, format_args!(r#"<c r="{at}"><v>{cell}</v></c>"#));
            } else {
                ooxml::append(
                    &mut data,
                    format_args!(
                        r#"<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{}</t></is></c>"#,
                        escape(cell)
                    ),
                );
            }
        }
        data.push_str("</row>");
    }
    format!(r#"{XML}<worksheet xmlns="{MAIN}"><sheetData>{data}</sheetData></worksheet>"#)
}

/// `A` … `Z`, `AA` …
fn column(mut index: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'A' + u8::try_from(index % 26).expect("below 26")));
        if index < 26 {
            return letters.into_iter().rev().collect();
        }
        index = index / 26 - 1;
    }
}

/// Excel's rules for sheet names: at most 31 characters, none of `[]:*?/\`, unique
/// without regard to case.
fn sheet_names(sheets: &[(String, super::Rows)]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for (n, (title, _)) in sheets.iter().enumerate() {
        let clean: String = title
            .chars()
            .map(|c| if "[]:*?/\\'".contains(c) || c.is_control() { '_' } else { c })
            .take(24)
            .collect();
        let mut name = if clean.is_empty() { format!("Sheet{}", n + 1) } else { clean };
        while !taken.insert(name.to_lowercase()) {
            name = format!("{name}_{}", n + 1);
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_like_excel() {
        for (index, letters) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")] {
            assert_eq!(column(index), letters);
        }
    }
}
