//! How long a large document takes. Not part of the usual run; in a release build:
//! `cargo test --release --lib docx::tests::measure -- --ignored --nocapture`

#![expect(clippy::print_stdout, reason = "a measurement says what it measured")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::export::docx::markdown::{Context, FrontMatter, render};
use crate::export::docx::{Needs, Tree};

/// A document of `count` blocks of many kinds, with styles and links in its text.
fn document(count: usize) -> Vec<Value> {
    let mut blocks = vec![json!({"block_id": "page", "block_type": 1, "page": {}})];
    let mut top = Vec::new();
    let text = |n: usize| {
        let run = |content: String, style: Value| json!({"text_run": {"content": content, "text_element_style": style}});
        json!({"elements": [
            run(format!("第 {n} 段：“引用”，snake_case, 1 * 2 | 3 "), json!({})),
            run("bold".to_owned(), json!({"bold": true})),
            run(" and link".to_owned(), json!({"link": {"url": "https%3A%2F%2Fx.example%2Fa"}})),
            run(" code".to_owned(), json!({"inline_code": true})),
        ]})
    };
    while blocks.len() < count {
        let n = blocks.len();
        let (number, key) =
            [(2, "text"), (12, "bullet"), (13, "ordered"), (4, "heading2"), (17, "todo")][n % 5];
        let id = format!("b{n}");
        if n % 50 == 0 {
            let cells: Vec<String> = (0..8).map(|cell| format!("{id}c{cell}")).collect();
            blocks.push(json!({"block_id": id, "block_type": 31, "children": cells,
                "table": {"cells": cells, "property": {"column_size": 2}}}));
            for cell in cells {
                let inner = format!("{cell}t");
                blocks.push(json!({"block_id": cell, "block_type": 32, "children": [inner]}));
                blocks.push(json!({"block_id": inner, "block_type": 2, "text": text(n)}));
            }
        } else {
            blocks.push(json!({"block_id": id, "block_type": number, key: text(n)}));
        }
        top.push(id);
    }
    blocks[0]["children"] = json!(top);
    blocks
}

fn seconds(blocks: &[Value]) -> (Duration, usize) {
    let started = Instant::now();
    let tree = Tree::build("page", blocks);
    let needs = Needs::of(&tree);
    let rendered = render(&tree, &FrontMatter::default(), &Context::default());
    assert!(needs.users.is_empty() && rendered.warnings.is_empty(), "{:?}", rendered.warnings);
    (started.elapsed(), rendered.markdown.len())
}

#[test]
#[ignore = "a measurement, for release builds"]
fn twenty_thousand_blocks_take_less_than_200_ms() {
    let [small, large] = [20_000, 80_000].map(document);
    let best = |blocks: &[Value]| (0..5).map(|_| seconds(blocks)).min().expect("five runs");
    let ((small, bytes), (large, _)) = (best(&small), best(&large));
    println!("20,000 blocks: {small:?}, {bytes} bytes of Markdown; 80,000 blocks: {large:?}");
    assert!(small < Duration::from_millis(200), "{small:?}");
    assert!(large < small * 8, "four times the blocks took {large:?} instead of {small:?}");
}

/// One paragraph of very many runs, one table of very many cells.
#[test]
#[ignore = "a measurement, for release builds"]
fn time_grows_with_the_length_of_one_block_alone() {
    let runs = |count: usize| {
        let run = |n: usize| {
            json!({"text_run": {"content": "x ", "text_element_style":
                {"bold": n.is_multiple_of(2), "italic": n.is_multiple_of(3), "underline": n.is_multiple_of(5)}}})
        };
        let elements: Vec<Value> = (0..count).map(run).collect();
        vec![
            json!({"block_id": "page", "block_type": 1, "page": {}, "children": ["t"]}),
            json!({"block_id": "t", "block_type": 2, "text": {"elements": elements}}),
        ]
    };
    let cells = |count: usize| {
        let ids: Vec<String> = (0..count).map(|cell| format!("c{cell}")).collect();
        let spans = vec![json!({"row_span": 1000, "col_span": 1000}); count];
        let mut blocks = vec![
            json!({"block_id": "page", "block_type": 1, "page": {}, "children": ["t"]}),
            json!({"block_id": "t", "block_type": 31, "children": ids,
                "table": {"cells": ids, "property": {"column_size": 100, "merge_info": spans}}}),
        ];
        blocks.extend(ids.iter().map(|id| json!({"block_id": id, "block_type": 32})));
        blocks
    };
    for (name, small, large) in
        [("runs", runs(10_000), runs(80_000)), ("cells", cells(10_000), cells(80_000))]
    {
        let (small, _) = seconds(&small);
        let (large, _) = seconds(&large);
        println!("{name}: {small:?}, eight times as many: {large:?}");
        assert!(large < small * 24 + Duration::from_millis(5), "{name}: {small:?}, {large:?}");
    }
}
