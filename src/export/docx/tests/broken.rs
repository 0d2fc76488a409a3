//! Block lists that no editor makes: endless, circular, of wrong types, huge.

use serde_json::{Value, json};

use super::build::DOCUMENT;
use super::parsed;
use crate::export::docx::markdown::{
    Context, DocumentLink, Found, FrontMatter, Rendered, Warning, render,
};
use crate::export::docx::{MAX_DEPTH, Needs, Tree};

fn convert(blocks: &[Value]) -> Rendered {
    let tree = Tree::build(DOCUMENT, blocks);
    render(&tree, &FrontMatter::default(), &Context::default())
}

fn text(content: &str) -> Value {
    json!({"elements": [{"text_run": {"content": content}}]})
}

fn page(children: &[&str]) -> Value {
    json!({"block_id": DOCUMENT, "block_type": 1, "page": {}, "children": children})
}

/// A page whose block `n` holds block `n + 1`.
fn chain(length: usize, number: u8, key: &str) -> Vec<Value> {
    let mut blocks = vec![page(&["b0"])];
    for n in 0..length {
        let (id, next) = (format!("b{n}"), format!("b{}", n + 1));
        let children = if n + 1 < length { vec![next] } else { Vec::new() };
        let content = text(&format!("words {n}"));
        blocks.push(
            json!({"block_id": id, "block_type": number, "children": children, key: content}),
        );
    }
    blocks
}

#[test]
fn a_chain_of_a_hundred_thousand_blocks_keeps_every_word() {
    for (number, key) in [(12, "bullet"), (2, "text")] {
        let rendered = convert(&chain(100_000, number, key));
        let lines = rendered.markdown.lines().filter(|line| line.contains("words ")).count();
        assert_eq!(lines, 100_000, "{key}");
        assert_eq!(rendered.warnings[&Warning::TooDeep], 100_000 - MAX_DEPTH);
        // Only as many levels are indented: the text stays linear in the list.
        assert!(rendered.markdown.len() < 100_000 * (2 * MAX_DEPTH + 24), "{key}");
        parsed::read(&rendered.markdown).expect("it reads back");
    }
}

#[test]
fn frames_without_end_do_not_end_the_stack() {
    for (number, key) in [
        (34, "quote_container"),
        (19, "callout"),
        (24, "grid"),
        (31, "table"),
        (32, "table_cell"),
        (37, "okr_objective"),
        (49, "source_synced"),
        (777, "unknown"),
    ] {
        let mut blocks = chain(10_000, 0, key);
        for block in &mut blocks[1..] {
            block["block_type"] = json!(number);
            if number == 31 {
                block["table"] =
                    json!({"cells": block["children"], "property": {"column_size": 1}});
            }
        }
        convert(&blocks);
    }
}

#[test]
fn circles_end_and_lose_nothing() {
    let rendered = convert(&[
        page(&["a", DOCUMENT]),
        json!({"block_id": "a", "block_type": 12, "bullet": text("first"), "children": ["b", "a"]}),
        json!({"block_id": "b", "block_type": 12, "bullet": text("second"), "children": ["a", "gone"]}),
    ]);
    assert!(rendered.markdown.contains("- first\n  - second\n"), "{}", rendered.markdown);
    assert_eq!(rendered.warnings[&Warning::RepeatedBlock], 3);
    assert_eq!(rendered.warnings[&Warning::MissingBlock], 1);
}

#[test]
fn overlapping_pages_of_the_list_repeat_nothing() {
    let block = json!({"block_id": "a", "block_type": 2, "text": text("once")});
    let rendered = convert(&[page(&["a"]), block.clone(), block]);
    assert_eq!(rendered.markdown.matches("once").count(), 1);
    assert!(rendered.warnings.is_empty(), "{:?}", rendered.warnings);
}

#[test]
fn a_list_without_a_page_still_shows_its_text() {
    let rendered = convert(&[json!({"block_id": "a", "block_type": 2, "text": text("alone")})]);
    assert!(rendered.markdown.contains("alone"));
    assert_eq!(convert(&[]).markdown, "---\ntitle: \"\"\n---\n");
}

#[test]
fn every_type_survives_every_wrong_payload() {
    let wrong = [
        Value::Null,
        json!(7),
        json!("text"),
        json!([[], {}]),
        json!({"elements": {}, "style": [], "token": {}, "cells": "x", "property": 1}),
        json!({"elements": [null, 1, "x", [], {}, {"text_run": null}, {"equation": []}]}),
        json!({"cells": ["a", 1, null, "a"], "property": {"column_size": -1, "row_size": u64::MAX,
            "merge_info": [{"row_span": i64::MAX, "col_span": i64::MIN}, 5, {}]}}),
        json!({"component": [], "record": "{", "merge_info": 1, "caption": "x"}),
        json!({"style": {"sequence": "999999999999999999999", "language": 1e300, "align": -5},
            "elements": [{"reminder": {"expire_time": i64::MAX}}, {"mention_doc": {"url": 1}}]}),
    ];
    let keys = [
        "page",
        "text",
        "heading1",
        "bullet",
        "ordered",
        "code",
        "quote",
        "equation",
        "todo",
        "bitable",
        "callout",
        "chat_card",
        "diagram",
        "divider",
        "file",
        "grid",
        "grid_column",
        "iframe",
        "image",
        "isv",
        "mindnote",
        "sheet",
        "table",
        "table_cell",
        "view",
        "quote_container",
        "task",
        "okr",
        "okr_objective",
        "okr_key_result",
        "okr_progress",
        "add_ons",
        "jira_issue",
        "wiki_catalog",
        "board",
        "agenda",
        "agenda_item",
        "agenda_item_title",
        "agenda_item_content",
        "link_preview",
        "source_synced",
        "reference_synced",
        "sub_page_list",
        "ai_template",
    ];
    for number in (-1..60).chain([999, i64::MAX]) {
        for payload in &wrong {
            let mut block = json!({"block_id": "a", "block_type": number, "children": ["b"]});
            for key in keys {
                block[key] = payload.clone();
            }
            let below = json!({"block_id": "b", "block_type": 2, "text": text("below")});
            let rendered = convert(&[page(&["a"]), block, below]);
            assert!(rendered.markdown.contains("below"), "{number} {payload}");
            parsed::read(&rendered.markdown).expect("it reads back");
        }
    }
}

/// Each document shows the next one twice: 2 to the power of their number without a limit.
#[test]
fn synced_blocks_cannot_multiply_without_end() {
    let mut context = Context::default();
    let document = |n: usize| format!("doxcn{n}");
    for n in 0..40 {
        let mut blocks =
            vec![json!({"block_id": document(n), "block_type": 1, "page": {}, "children": ["s"]})];
        let ids: Vec<String> = (0..200).map(|k| format!("r{k}")).collect();
        blocks.push(json!({"block_id": "s", "block_type": 49, "children": ids}));
        for id in &ids {
            blocks.push(json!({"block_id": id, "block_type": 50, "reference_synced":
                {"source_document_id": document(n + 1), "source_block_id": "s"}}));
        }
        let tree = Tree::build(&document(n), &blocks);
        context.synced.insert(document(n), Found::Here(tree.into()));
    }
    let start = json!({"block_id": "a", "block_type": 50, "reference_synced":
        {"source_document_id": document(0), "source_block_id": "s"}});
    let tree = Tree::build(DOCUMENT, &[page(&["a"]), start]);
    let rendered = render(&tree, &FrontMatter::default(), &context);
    assert!(rendered.markdown.len() < 4_000_000, "{} bytes", rendered.markdown.len());
    assert!(rendered.warnings.contains_key(&Warning::SyncedTooLong), "{:?}", rendered.warnings);
}

#[test]
fn needs_name_each_thing_once_with_what_holds_it() {
    let mention = |token: &str, number: u8| json!({"mention_doc": {"token": token, "obj_type": number, "url": "", "title": ""}});
    let link = json!({"text_run": {"content": "x", "text_element_style": {"link":
        {"url": "https%3A%2F%2Fx.feishu.cn%2Fwiki%2FwikcnNode0000000001"}}}});
    let blocks = [
        page(&["t", "i", "j", "f", "s", "b", "w", "l", "m", "r", "own"]),
        json!({"block_id": "t", "block_type": 2, "text": {"elements": [
            {"mention_user": {"user_id": "ou_b"}}, {"mention_user": {"user_id": "ou_a"}},
            {"mention_user": {"user_id": "ou_b"}}, mention("doxcn1", 22), mention("doxcn1", 22), link]}}),
        json!({"block_id": "i", "block_type": 27, "image": {"token": "box1"}}),
        json!({"block_id": "j", "block_type": 27, "image": {"token": "box1"}}),
        json!({"block_id": "f", "block_type": 23, "file": {"token": "box2", "name": "a.pdf"}}),
        json!({"block_id": "s", "block_type": 30, "sheet": {"token": "sht_with_more_0b12"}}),
        json!({"block_id": "b", "block_type": 18, "bitable": {"token": "basc_tbl1"}}),
        json!({"block_id": "w", "block_type": 43, "board": {"token": "board1"}}),
        json!({"block_id": "l", "block_type": 51, "sub_page_list": {"wiki_token": "wik1"}}),
        json!({"block_id": "m", "block_type": 29, "mindnote": {"token": "bmn1"}}),
        json!({"block_id": "r", "block_type": 50, "reference_synced":
            {"source_document_id": "doxcn2", "source_block_id": "x"}}),
        json!({"block_id": "own", "block_type": 50, "reference_synced":
            {"source_document_id": DOCUMENT, "source_block_id": "t"}}),
    ];
    let needs = Needs::of(&Tree::build(DOCUMENT, &blocks));
    assert_eq!(needs.users.iter().collect::<Vec<_>>(), ["ou_a", "ou_b"]);
    let documents: Vec<(&str, i64)> =
        needs.documents.iter().map(|(token, number)| (token.as_str(), *number)).collect();
    assert_eq!(documents, [("bmn1", 11), ("doxcn1", 22), ("wikcnNode0000000001", 16)]);
    assert_eq!(needs.media["box1"].block, "i");
    assert_eq!((needs.media["box2"].name.as_str(), needs.media.len()), ("a.pdf", 2));
    let sheet = needs.sheets.first().expect("one sheet");
    assert_eq!((sheet.container.as_str(), sheet.part.as_str()), ("sht_with_more", "0b12"));
    assert_eq!(needs.bitables.first().expect("one table").part, "tbl1");
    assert!(needs.boards.contains("board1") && needs.page_lists.contains("wik1"));
    assert_eq!(needs.synced.len(), 1, "the document's own blocks are at hand");
}

#[test]
fn a_mention_follows_the_page_it_names() {
    let mention = json!({"mention_doc": {"token": "doxcn1", "obj_type": 22,
        "url": "https%3A%2F%2Fx.feishu.cn%2Fdocx%2Fdoxcn1", "title": "Old"}});
    let blocks =
        [page(&["t"]), json!({"block_id": "t", "block_type": 2, "text": {"elements": [mention]}})];
    let tree = Tree::build(DOCUMENT, &blocks);
    let shown = |path: Option<&str>, title: Option<&str>| {
        let link = DocumentLink { path: path.map(str::to_owned), title: title.map(str::to_owned) };
        let documents = [("doxcn1".to_owned(), link)].into();
        let context = Context { documents, ..Context::default() };
        let rendered = render(&tree, &FrontMatter::default(), &context);
        assert_eq!(rendered.links.len(), 1);
        assert_eq!(rendered.links[0].path.as_deref(), path);
        rendered.markdown.lines().last().expect("a line").to_owned()
    };
    assert_eq!(shown(None, None), "[Old](https://x.feishu.cn/docx/doxcn1)");
    assert_eq!(shown(Some("../A/Old.md"), None), "[Old](../A/Old.md)");
    assert_eq!(shown(Some("../B/New name.md"), Some("New name")), "[New name](../B/New%20name.md)");
}
