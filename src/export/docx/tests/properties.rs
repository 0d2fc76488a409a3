//! Whatever a document holds, its Markdown reads back as that document.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::build::{DOCUMENT, build};
use super::expected;
use super::generate::{self, B};
use super::parsed::{self, Kind, Leaf};
use crate::export::docx::markdown::{FrontMatter, render};
use crate::export::docx::{Needs, Tree};

/// Documents a run: few where it must be quick.
fn cases() -> u32 {
    if super::long_run() { 1_000_000 } else { 3_000 }
}

/// Languages have a test of their own.
fn without_languages(leaves: Vec<Leaf>) -> Vec<Leaf> {
    let strip = |leaf: Leaf| match leaf.kind {
        Kind::Code { text, .. } => {
            Leaf { kind: Kind::Code { language: String::new(), text }, ..leaf }
        }
        _ => leaf,
    };
    leaves.into_iter().map(strip).collect()
}

/// White space beside formulas may differ; where there is one, no words are expected.
fn same(expected: &Leaf, read: &Leaf) -> bool {
    match (&expected.kind, &read.kind) {
        (
            Kind::Line { level, glyphs, words },
            Kind::Line { level: read_level, glyphs: read_glyphs, words: read_words },
        ) => {
            expected.path == read.path
                && level == read_level
                && glyphs == read_glyphs
                && (words.is_empty() || words == read_words)
        }
        _ => expected == read,
    }
}

fn check(title: &str, blocks: &[B]) -> Result<(), TestCaseError> {
    let built = build(title, blocks);
    let tree = Tree::build(DOCUMENT, &built.items);
    let front_matter = FrontMatter { title: title.to_owned(), ..FrontMatter::default() };
    let rendered = render(&tree, &front_matter, &built.context);
    let markdown = &rendered.markdown;
    prop_assert!(markdown.ends_with('\n') && !markdown.ends_with("\n\n"), "{markdown:?}");
    prop_assert!(!markdown.contains(['\r', '\0']), "{markdown:?}");

    let (metadata, read) = match parsed::read(markdown) {
        Ok(read) => read,
        Err(error) => return Err(TestCaseError::fail(format!("{error}\n{markdown}"))),
    };
    let value = metadata.trim_end().strip_prefix("title: ").unwrap_or_default();
    let value: String = serde_json::from_str(value).unwrap_or_default();
    prop_assert_eq!(value, title, "the front matter holds the title");

    let expected = without_languages(expected::leaves(title, blocks));
    let read = without_languages(read);
    for (at, (expected, read)) in expected.iter().zip(&read).enumerate() {
        prop_assert!(same(expected, read), "leaf {at}: {expected:?}\nread: {read:?}\n{markdown}");
    }
    prop_assert_eq!(expected.len(), read.len(), "{:?}\n{}", (expected, read), markdown);

    let needs = Needs::of(&tree);
    let images = built.context.media.keys().all(|token| needs.media.contains_key(token));
    prop_assert!(images, "every picture is asked for");
    Ok(())
}

#[test]
fn generated_documents_read_back_as_they_were() {
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let strategy = (generate::title(), generate::blocks());
    let outcome = TestRunner::new(config).run(&strategy, |(title, blocks)| check(&title, &blocks));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
