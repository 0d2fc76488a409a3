//! Bytes, computed on demand: real documents from titles and text, uploads of any size
//! from a seed.
//!
//! Equal title, text and format give equal bytes, so exporting the unchanged again
//! gives the same file, unless the tenant is told to make exports unstable.

mod blob;
mod docx;
mod ooxml;
mod pdf;
mod pptx;
mod records;
mod samples;
mod xlsx;

use bytes::Bytes;

pub use blob::Blob;
pub use records::{EVERY_TYPE, Place, made_table, property, record, ui_type};
pub use samples::{picture, sample};

use super::ids::{Dice, scramble};
use super::state::{Content, ObjId, State, Tab};
use crate::model::ObjType;

/// A table: rows of cells.
pub type Rows = Vec<Vec<String>>;

/// What an uploaded file holds.
pub fn uploaded(state: &State, id: ObjId) -> Blob {
    match &state.obj(id).content {
        Content::Bytes(bytes) => Blob::Bytes(bytes.clone()),
        Content::Text(text) => Blob::Bytes(Bytes::from(text.to_string())),
        Content::Sized(len) => Blob::Pattern { seed: seed(state, id), len: *len },
        Content::Made => Blob::Bytes(Bytes::from(text(state, id).join("\n"))),
    }
}

/// Changes whenever the content of an uploaded file does, and only then.
pub fn version(state: &State, id: ObjId) -> u32 {
    state.obj(id).revision
}

fn seed(state: &State, id: ObjId) -> u64 {
    scramble((u64::from(id) << 32) | u64::from(version(state, id)))
}

/// Paragraphs of a document.
pub fn text(state: &State, id: ObjId) -> Vec<String> {
    if let Content::Text(text) = &state.obj(id).content {
        return text.lines().map(str::to_owned).collect();
    }
    let mut dice = Dice::new(scramble(u64::from(id)));
    (0..3 + dice.below(4)).map(|_| sentence(&mut dice)).collect()
}

fn sentence(dice: &mut Dice) -> String {
    const ZH: [&str; 6] = [
        "本周完成了接口联调，下周开始压力测试。",
        "请各位同事在周五之前补充数据。",
        "会议纪要见附件，如有遗漏请直接修改。",
        "预算已经审批通过，采购流程可以启动。",
        "新同事入职请先阅读本手册。",
        "客户反馈的问题已全部关闭。",
    ];
    const EN: [&str; 6] = [
        "The release goes out once the checklist is green.",
        "Owners please review their section before Friday.",
        "Numbers are as of the end of the month.",
        "See the linked sheet for the raw data.",
        "No change since the last review.",
        "Travel expenses are to be filed within thirty days.",
    ];
    format!("{} {} (#{})", ZH[dice.below(6)], EN[dice.below(6)], dice.below(10_000))
}

/// Cells of one sheet or table, as exports print them. Lines that a test wrote stand in
/// the first one.
pub fn rows(state: &State, id: ObjId, number: usize, tab: &Tab) -> Rows {
    if let Some(extra) = state.extras.get(&id) {
        if let Some(cells) = extra.cells.get(&tab.id) {
            return super::cells::printed(cells);
        }
        if let Some(table) = extra.tables.get(&tab.id) {
            return records::printed(state, table, id, &tab.id);
        }
    }
    if let (0, Content::Text(text)) = (number, &state.obj(id).content) {
        return text.lines().map(|l| l.split(['\t', ',']).map(str::to_owned).collect()).collect();
    }
    // By the tab's id: its cells stay when it is renamed or its neighbours go.
    let seed = tab.id.bytes().fold(u64::from(id), |sum, byte| scramble(sum ^ u64::from(byte)));
    let mut dice = Dice::new(seed);
    let mut rows = vec![["名称 Name", "数量 Count", "备注 Note"].map(str::to_owned).to_vec()];
    for n in 1..=5 + dice.below(10) {
        let name = format!("项目 {n}");
        rows.push(vec![name, dice.below(1000).to_string(), sentence(&mut dice)]);
    }
    rows
}

/// The product of an export.
///
/// `number` is the task's own; it only shows where exports are unstable.
pub fn product(
    state: &State,
    id: ObjId,
    extension: &str,
    part: Option<&Tab>,
    number: u64,
) -> Bytes {
    let obj = state.obj(id);
    let printed = state.extras.get(&id).and_then(|e| e.printed.as_deref());
    let title = printed.unwrap_or(&obj.title);
    let salt = if state.knobs.unstable_exports { number } else { 0 };
    let tables = || -> Vec<(String, Rows)> {
        let tabs = state.tabs(id).into_iter().enumerate().filter(|(_, tab)| tab.cells);
        tabs.map(|(n, tab)| (tab.title.clone(), rows(state, id, n, &tab))).collect()
    };
    let bytes = match extension {
        "docx" => docx::document(title, &text(state, id), salt),
        "pptx" => pptx::presentation(title, &text(state, id), salt),
        "xlsx" => xlsx::workbook(&tables(), salt),
        "pdf" => pdf::document(title, &text(state, id), salt),
        "csv" => {
            let wanted = part.map(|tab| tab.id.as_str());
            let tabs = state.tabs(id);
            let found = tabs.iter().enumerate().find(|(_, tab)| wanted == Some(tab.id.as_str()));
            let rows = found.map(|(n, tab)| rows(state, id, n, tab)).unwrap_or_default();
            csv(&rows, salt)
        }
        other => unreachable!("no export to {other} is offered for {}", obj.ty),
    };
    debug_assert!(obj.ty != ObjType::Folder);
    Bytes::from(bytes)
}

/// With a byte order mark, as spreadsheet programs want it for anything but ASCII.
fn csv(rows: &Rows, salt: u64) -> Vec<u8> {
    let mut text = String::from("\u{feff}");
    for row in rows {
        let cells = row.iter().map(|cell| {
            if cell.contains(['"', ',', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.clone()
            }
        });
        text.push_str(&cells.collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    }
    if salt != 0 {
        ooxml::append(&mut text, format_args!("# {salt}\r\n"));
    }
    text.into_bytes()
}

/// The media type that the service derives from a file's name.
pub fn mime(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e).to_lowercase();
    match extension.as_str() {
        "json" => "application/json",
        "html" | "htm" => "text/html",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "txt" | "md" => "text/plain",
        "csv" => "text/csv",
        "zip" => "application/zip",
        "mp4" => "video/mp4",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    /// What stands between `open` and the next quote, everywhere in `text`.
    fn quoted<'a>(text: &'a str, open: &str) -> Vec<&'a str> {
        text.split(open).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }

    #[test]
    fn packages_name_parts_that_they_have() {
        let text = ["你好 & <b>".to_owned(), "\u{1}".to_owned()];
        let sheets = [("甲/乙".to_owned(), vec![vec!["1".to_owned(), "x".to_owned()]])];
        for package in [
            docx::document("标题", &text, 0),
            pptx::presentation("标题", &text, 0),
            xlsx::workbook(&sheets, 0),
        ] {
            let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package)).unwrap();
            let mut parts = BTreeMap::new();
            for n in 0..zip.len() {
                let mut part = zip.by_index(n).unwrap();
                let name = part.name().unwrap().into_owned();
                let mut text = String::new();
                part.read_to_string(&mut text).unwrap();
                parts.insert(name, text);
            }
            for path in quoted(&parts["[Content_Types].xml"], "PartName=\"/") {
                assert!(parts.contains_key(path), "{path} is typed but missing");
            }
            for (name, text) in parts.iter().filter(|(name, _)| name.contains("_rels/")) {
                let folder = name.split("_rels/").next().unwrap();
                for target in quoted(text, "Target=\"") {
                    let path = match target.strip_prefix("../") {
                        Some(rest) => format!("ppt/{rest}"),
                        None => format!("{folder}{target}"),
                    };
                    assert!(parts.contains_key(&path), "{name} leads to {path}");
                }
            }
        }
    }

    #[test]
    fn csv_quotes_what_it_must() {
        let rows = vec![vec!["a,b".to_owned(), "say \"hi\"".to_owned(), "中".to_owned()]];
        let text = String::from_utf8(csv(&rows, 0)).unwrap();
        assert_eq!(text, "\u{feff}\"a,b\",\"say \"\"hi\"\"\",中\r\n");
    }
}
