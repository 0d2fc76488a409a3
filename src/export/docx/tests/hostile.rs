//! Block lists with anything in them: the golden ones with values, blocks and bytes
//! replaced. The body is a plain function over bytes, so that a fuzzer can drive it too.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::build::DOCUMENT;
use super::parsed;
use crate::export::docx::markdown::{Context, FrontMatter, render};
use crate::export::docx::{Needs, Tree};

/// Whatever the blocks are, what is needed is named and the Markdown reads back.
fn no_panic_on_blocks(bytes: &[u8]) {
    let Ok(blocks) = serde_json::from_slice::<Vec<Value>>(bytes) else { return };
    for document in [DOCUMENT, ""] {
        let tree = Tree::build(document, &blocks);
        let needs = Needs::of(&tree);
        assert!(needs.media.keys().all(|token| !token.is_empty()), "a picture without a token");
        let rendered = render(&tree, &FrontMatter::default(), &Context::default());
        assert!(!rendered.markdown.contains(['\r', '\0']), "{:?}", rendered.markdown);
        if let Err(error) = parsed::read(&rendered.markdown) {
            panic!("{error}\n{}", rendered.markdown);
        }
    }
}

/// The blocks of every golden file.
fn golden() -> Vec<Vec<Value>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/docx");
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .expect("the golden files are there")
        .map(|entry| entry.expect("a case").path().join("blocks.json"))
        .collect();
    cases.sort();
    let blocks = |case: &std::path::PathBuf| {
        let text = std::fs::read(case).expect("every case has blocks");
        let whole: Value = serde_json::from_slice(&text).expect("JSON");
        let blocks = whole.get("blocks").unwrap_or(&whole).as_array().cloned();
        blocks.unwrap_or_default()
    };
    cases.iter().map(blocks).filter(|blocks| !blocks.is_empty()).collect()
}

fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            pointers(field, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), into);
        }),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(n, item)| pointers(item, &format!("{at}/{n}"), into));
        }
        _ => {}
    }
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!([])),
        Just(json!({})),
        Just(json!(-1)),
        Just(json!(i64::MAX)),
        Just(json!(u64::MAX)),
        Just(json!(1e300)),
        Just(json!("\r\n\u{0}\u{1b}[2J\u{202e}")),
        Just(json!("---\n# [x](javascript:alert(1)) <script>`$$")),
        Just(json!("x".repeat(3_000))),
        (0..60_i64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

#[test]
fn golden_blocks_with_something_wrong_in_them_still_read_back() {
    let cases = if super::long_run() { 200_000 } else { 600 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let wrong = (any::<prop::sample::Index>(), odd(), 0..4_u8);
    let strategy = (prop::sample::select(golden()), prop::collection::vec(wrong, 1..5));
    let outcome = TestRunner::new(config).run(&strategy, |(blocks, wrongs)| {
        let mut whole = Value::from(blocks);
        for (at, value, how) in wrongs {
            let mut all = Vec::new();
            pointers(&whole, "", &mut all);
            let Some(below) = all.len().checked_sub(1).filter(|below| *below > 0) else { break };
            let here = all[1 + at.index(below)].clone();
            match how {
                // Another value of the same document: ids, tokens and types change places.
                0 => {
                    let other = all[1 + at.index(below) / 2].clone();
                    let other = whole.pointer(&other).cloned().unwrap_or_default();
                    *whole.pointer_mut(&here).expect("it was there") = other;
                }
                1 => {
                    let (parent, name) = here.rsplit_once('/').expect("pointers begin with one");
                    match whole.pointer_mut(parent) {
                        Some(Value::Object(fields)) => drop(fields.remove(name)),
                        Some(Value::Array(items)) => drop(items.pop()),
                        _ => {}
                    }
                }
                _ => *whole.pointer_mut(&here).expect("it was there") = value,
            }
        }
        no_panic_on_blocks(whole.to_string().as_bytes());
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
