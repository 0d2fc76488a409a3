//! Golden files: `fixtures/docx/<case>/blocks.json` must give `expected.md`, warnings at its
//! end. `UPDATE_GOLDEN=1` writes them anew; read the difference before you commit it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::parsed;
use crate::export::docx::markdown::{
    Context, Data, DocumentLink, Found, FrontMatter, SubPage, render,
};
use crate::export::docx::{Needs, Tree};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/docx")
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("the golden files are there");
    let mut cases: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable folder").path()).collect();
    cases.sort();
    cases
}

fn blocks(case: &Path) -> Value {
    let text = std::fs::read(case.join("blocks.json")).expect("every case has blocks");
    serde_json::from_slice(&text).expect("blocks are JSON")
}

/// What is found for a token says the token: `…Forbidden…`, `…Missing…`, or it is there.
fn found<T>(token: &str, value: T) -> Found<T> {
    if token.contains("Forbidden") {
        Found::Forbidden
    } else if token.contains("Missing") {
        Found::Absent("deleted".to_owned())
    } else {
        Found::Here(value)
    }
}

fn context(needs: &Needs, colors: bool) -> Context {
    let mut context = Context { colors, ..Context::default() };
    context.people.insert("ou_wang".to_owned(), "王小明".to_owned());
    for token in needs.documents.keys().filter(|token| token.contains("Mirrored")) {
        let path = Some(format!("../Team (A)/{token}.md"));
        context.documents.insert(token.clone(), DocumentLink { path, title: None });
    }
    for token in needs.media.keys() {
        let path = format!("Page.assets/{token}.png");
        context.media.insert(token.clone(), found(token, path));
    }
    for token in &needs.boards {
        let path = format!("Page.assets/{token}.svg");
        context.boards.insert(token.clone(), found(token, path));
    }
    let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
    for part in &needs.sheets {
        let token = format!("{}_{}", part.container, part.part);
        let data = Data {
            title: "Budget".to_owned(),
            rows: vec![row(["Item", "Cost"]), row(["a|b", "1\n2"]), row(["`c`", ""])],
            total_rows: 40,
            full: Some("Budget.sheets/0b12.csv".to_owned()),
        };
        context.sheets.insert(token.clone(), found(&token, data));
    }
    for part in &needs.bitables {
        let token = format!("{}_{}", part.container, part.part);
        let data = Data {
            title: "Tasks".to_owned(),
            rows: vec![row(["Task", "State"]), row(["Write", "done"])],
            total_rows: 1,
            full: None,
        };
        context.bitables.insert(token.clone(), found(&token, data));
    }
    for token in &needs.page_lists {
        let page = |depth, title: &str, path: Option<&str>| SubPage {
            depth,
            token: format!("wikcn{title}"),
            title: title.to_owned(),
            path: path.map(str::to_owned),
            url: format!("https://x.feishu.cn/wiki/wikcn{title}"),
        };
        let tree = vec![
            page(0, "One", Some("Page/One.md")),
            page(1, "One [a]", Some("Page/One/One a.md")),
            page(2, "Deep", None),
            page(0, "Two", Some("Page/Two.md")),
            page(9, "Skips levels", None),
        ];
        let pages = if token.contains("Empty") { Vec::new() } else { tree };
        context.page_lists.insert(token.clone(), found(token, pages));
    }
    // A document with a synced source, and one that shows itself through another.
    let text = |content: &str| json!({"elements": [{"text_run": {"content": content}}]});
    let reference = |id: &str, block: &str| {
        json!({"block_id": id, "block_type": 50, "reference_synced":
            {"source_document_id": "doxcnOther", "source_block_id": block}})
    };
    let other = [
        json!({"block_id": "doxcnOther", "block_type": 1, "page": {}, "children": ["sourceThere", "loop"]}),
        json!({"block_id": "sourceThere", "block_type": 49, "source_synced": {}, "children": ["t"]}),
        json!({"block_id": "t", "block_type": 2, "text": text("From the other document")}),
        json!({"block_id": "loop", "block_type": 49, "source_synced": {}, "children": ["u", "r"]}),
        json!({"block_id": "u", "block_type": 2, "text": text("Once around")}),
        reference("r", "loop"),
    ];
    for source in &needs.synced {
        let tree = Arc::new(Tree::build("doxcnOther", &other));
        context.synced.insert(source.document.clone(), found(&source.document, tree));
    }
    context
}

fn converted(case: &Path) -> String {
    let value = blocks(case);
    let tree = Tree::build("doxcnPage", value["blocks"].as_array().expect("a list of blocks"));
    let context = context(&Needs::of(&tree), value["colors"] == true);
    let front_matter = FrontMatter {
        title: value["title"].as_str().unwrap_or_default().to_owned(),
        token: "doxcnPage".to_owned(),
        obj_type: "docx".to_owned(),
        url: "https://x.feishu.cn/docx/doxcnPage".to_owned(),
        revision: Some(3),
        edited_secs: Some(1_700_000_000),
        owner: "王小明".to_owned(),
    };
    let rendered = render(&tree, &front_matter, &context);
    if let Err(error) = parsed::read(&rendered.markdown) {
        // Colours are the only tags that the reader does not know.
        assert!(value["colors"] == true, "{}: {error}", case.display());
    }
    let mut text = rendered.markdown;
    for (warning, times) in &rendered.warnings {
        writeln!(text, "<!-- warning: {} ({times}) -->", warning.describe()).expect("a string");
    }
    for link in &rendered.links {
        writeln!(text, "<!-- link: {} {:?} -->", link.token, link.path).expect("a string");
    }
    text
}

#[test]
fn blocks_give_the_expected_markdown() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for case in cases() {
        let path = case.join("expected.md");
        let text = converted(&case);
        if update {
            std::fs::write(&path, &text).expect("the golden file can be written");
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("== {}\n{text}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "differ from expected.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_block_type_has_a_golden_file() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        for block in blocks(&case)["blocks"].as_array().into_iter().flatten() {
            seen.extend(block["block_type"].as_i64());
        }
    }
    let missing: Vec<i64> = (1..=52).chain([999]).filter(|number| !seen.contains(number)).collect();
    assert!(missing.is_empty(), "without a golden file: {missing:?}");
}
