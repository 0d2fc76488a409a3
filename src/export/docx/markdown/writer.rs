//! The state of a document being written.

use std::collections::BTreeMap;

use super::context::{Context, FrontMatter, Rendered, Warning, WrittenLink};
use super::escape::Place;
use super::lines::{Gap, Lines};
use crate::export::docx::Tree;

/// Writes one document.
pub(super) struct Writer<'a> {
    pub context: &'a Context,
    /// The document that is being walked: the page's own, or a synced block's.
    pub tree: &'a Tree,
    pub lines: Lines,
    pub links: Vec<WrittenLink>,
    /// How many mentions were written, to tell them apart.
    pub mentions: usize,
    /// Synced blocks that are being shown: document and block.
    pub showing: Vec<(&'a str, &'a str)>,
    /// How many more blocks synced blocks may show.
    pub synced_budget: usize,
    warnings: BTreeMap<Warning, usize>,
}

/// More blocks than any document may have (20,000); synced blocks that show each other over
/// and over end here.
const SYNCED_BUDGET: usize = 40_000;

impl<'a> Writer<'a> {
    pub fn new(tree: &'a Tree, context: &'a Context) -> Self {
        Self {
            context,
            tree,
            lines: Lines::default(),
            links: Vec::new(),
            mentions: 0,
            showing: Vec::new(),
            synced_budget: SYNCED_BUDGET,
            warnings: BTreeMap::new(),
        }
    }

    pub fn warn(&mut self, warning: Warning) {
        self.warn_times(warning, 1);
    }

    pub fn warn_times(&mut self, warning: Warning, times: usize) {
        if times > 0 {
            *self.warnings.entry(warning).or_default() += times;
        }
    }

    /// Writes the page: its title, then its blocks.
    pub fn page(&mut self, front_matter: &FrontMatter) {
        let tree = self.tree;
        let problems = tree.problems();
        self.warn_times(Warning::MissingBlock, problems.missing);
        self.warn_times(Warning::RepeatedBlock, problems.repeated);
        self.warn_times(Warning::DuplicateId, problems.duplicate_ids);
        self.warn_times(Warning::DetachedBlock, problems.detached);
        self.warn_times(Warning::TooDeep, problems.too_deep);
        self.warn_times(Warning::MalformedBlock, problems.malformed);

        let title = tree.kind(tree.root()).text().map(|text| self.inline(text, Place::Heading));
        let title = match title.filter(|title| !title.is_empty()) {
            Some(title) => title,
            None => self.words(&front_matter.title, Place::Heading),
        };
        self.heading(1, &title);
        self.blocks(tree.children(tree.root()), Gap::Blank);
    }

    pub fn finish(self, front_matter: String) -> Rendered {
        let body = self.lines.finish();
        let markdown =
            if body.is_empty() { front_matter } else { format!("{front_matter}\n{body}") };
        Rendered { markdown, warnings: self.warnings, links: self.links }
    }
}
