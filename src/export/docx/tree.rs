//! The flat block list as a tree.
//!
//! Blocks lie in an arena and refer to each other by index, and nothing here recurses: a
//! chain of a hundred thousand blocks is walked like any other list. What is broken in the
//! list is repaired so that no text is lost, and counted in [`Problems`].

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::block::{Kind, Text, What};
use super::parse;

/// Deepest level that blocks keep, the page being 0. What is deeper stands in order at this
/// level: the writer may then recurse, and a deep chain costs no more indentation than
/// this. Documents made by hand have less than ten.
pub const MAX_DEPTH: usize = 32;

/// A block of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// What was wrong with the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Problems {
    /// Children that are not in the list.
    pub missing: usize,
    /// Blocks that are a child more than once, or of themselves.
    pub repeated: usize,
    /// Blocks that share an id with a different block before them.
    pub duplicate_ids: usize,
    /// Blocks that are nobody's child; they stand at the end of the document.
    pub detached: usize,
    /// Blocks below [`MAX_DEPTH`].
    pub too_deep: usize,
    /// Items of the list that are no blocks.
    pub malformed: usize,
}

#[derive(Debug)]
struct Node {
    id: String,
    kind: Kind,
    children: Vec<NodeId>,
}

/// A document's blocks.
#[derive(Debug)]
pub struct Tree {
    document: String,
    nodes: Vec<Node>,
    root: NodeId,
    by_id: HashMap<String, NodeId>,
    problems: Problems,
}

impl Tree {
    /// Builds the tree of `document` from the items of its block list, pages joined.
    /// Takes time and memory linear in the list. Never fails: what cannot be read is left
    /// out and counted in [`Tree::problems`].
    pub fn build<'v>(document: &str, items: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut builder = Builder::default();
        for item in items {
            builder.add(item);
        }
        builder.finish(document)
    }

    /// The document's token.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// The page block.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// What a block is.
    pub fn kind(&self, node: NodeId) -> &Kind {
        &self.nodes[node.0 as usize].kind
    }

    /// A block's id.
    pub fn id(&self, node: NodeId) -> &str {
        &self.nodes[node.0 as usize].id
    }

    /// A block's children, in order.
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        &self.nodes[node.0 as usize].children
    }

    /// The block with this id.
    pub fn find(&self, id: &str) -> Option<NodeId> {
        self.by_id.get(id).copied()
    }

    /// What was wrong with the list.
    pub fn problems(&self) -> Problems {
        self.problems
    }

    /// `from` and all blocks below it, parents first.
    pub fn preorder(&self, from: NodeId) -> impl Iterator<Item = NodeId> {
        let mut stack = vec![from];
        std::iter::from_fn(move || {
            let node = stack.pop()?;
            stack.extend(self.children(node).iter().rev());
            Some(node)
        })
    }

    /// The plain text of the page block: the title as the document has it.
    pub fn title(&self) -> String {
        let Some(text) = self.kind(self.root).text() else { return String::new() };
        let words = text.elements.iter().map(|element| match &element.what {
            What::Run(words) | What::Equation(words) => words.as_str(),
            What::Document { title, .. } | What::LinkPreview { title, .. } => title,
            _ => "",
        });
        words.collect()
    }
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    /// Children as the list names them.
    wanted: Vec<Vec<String>>,
    by_id: HashMap<String, NodeId>,
    /// Blocks shown inside a line; being nobody's child is right for them.
    inline: HashSet<String>,
    problems: Problems,
}

impl Builder {
    fn add(&mut self, item: &Value) {
        if !item.is_object() {
            self.problems.malformed += 1;
            return;
        }
        let Ok(index) = u32::try_from(self.nodes.len()) else {
            self.problems.malformed += 1;
            return;
        };
        let id = parse::string(item, "block_id");
        let kind = parse::kind(item);
        let mut wanted = parse::ids(&item["children"]);
        if let Kind::Table(table) = &kind {
            // Cells are usually children too, but the table's own list is what counts.
            let listed: HashSet<&str> = wanted.iter().map(String::as_str).collect();
            let unlisted = table.cells.iter().filter(|cell| !listed.contains(cell.as_str()));
            let unlisted: Vec<String> = unlisted.cloned().collect();
            wanted.extend(unlisted);
        }
        if !id.is_empty()
            && let Some(&twin) = self.by_id.get(&id)
        {
            let first = twin.0 as usize;
            if self.nodes[first].kind == kind && self.wanted[first] == wanted {
                return; // two pages of the list overlapped
            }
            self.problems.duplicate_ids += 1;
        } else if !id.is_empty() {
            self.by_id.insert(id.clone(), NodeId(index));
        }
        for element in kind.text().map(|text| text.elements.as_slice()).unwrap_or_default() {
            match &element.what {
                What::Block(id) | What::File { source_block: id, .. } if !id.is_empty() => {
                    self.inline.insert(id.clone());
                }
                _ => {}
            }
        }
        self.nodes.push(Node { id, kind, children: Vec::new() });
        self.wanted.push(wanted);
    }

    fn finish(mut self, document: &str) -> Tree {
        let root = self.root(document);
        let mut seen = vec![false; self.nodes.len()];
        self.hang(root, None, &mut seen);

        // Blocks shown in a line are nobody's children, but may have some.
        for index in 0..self.nodes.len() {
            if !seen[index] && self.inline.contains(&self.nodes[index].id) {
                self.hang(node_id(index), None, &mut seen);
            }
        }
        // What nobody reached. First the tops of what hangs together, then whatever is left
        // of loops.
        let mut below: HashSet<NodeId> = HashSet::new();
        for (index, wanted) in self.wanted.iter().enumerate() {
            if !seen[index] {
                below.extend(wanted.iter().filter_map(|id| self.by_id.get(id)));
            }
        }
        for tops_only in [true, false] {
            for index in 0..self.nodes.len() {
                if seen[index] || tops_only && below.contains(&node_id(index)) {
                    continue;
                }
                self.problems.detached += 1;
                self.hang(node_id(index), Some(root), &mut seen);
            }
        }
        Tree {
            document: document.to_owned(),
            nodes: self.nodes,
            root,
            by_id: self.by_id,
            problems: self.problems,
        }
    }

    /// The page block of `document`; one is made up where the list has none.
    fn root(&mut self, document: &str) -> NodeId {
        let is_page = |node: &&NodeId| matches!(self.nodes[node.0 as usize].kind, Kind::Page(_));
        if let Some(node) = self.by_id.get(document).filter(is_page) {
            return *node;
        }
        if let Some(index) = self.nodes.iter().position(|n| matches!(n.kind, Kind::Page(_))) {
            return node_id(index);
        }
        let index = u32::try_from(self.nodes.len()).expect("a list of blocks fits the memory");
        self.nodes.push(Node {
            id: document.to_owned(),
            kind: Kind::Page(Text::default()),
            children: Vec::new(),
        });
        self.wanted.push(Vec::new());
        NodeId(index)
    }

    /// Hangs `top` and what is below it under `parent`.
    fn hang(&mut self, top: NodeId, parent: Option<NodeId>, seen: &mut [bool]) {
        let depth = usize::from(parent.is_some());
        let mut stack = vec![(top, parent, depth)];
        while let Some((node, parent, depth)) = stack.pop() {
            let index = node.0 as usize;
            if std::mem::replace(&mut seen[index], true) {
                self.problems.repeated += 1;
                continue;
            }
            if let Some(parent) = parent {
                self.nodes[parent.0 as usize].children.push(node);
            }
            let keeps = depth < MAX_DEPTH;
            let holder = if keeps { Some(node) } else { parent };
            let mut below = Vec::new();
            for id in &self.wanted[index] {
                match self.by_id.get(id) {
                    Some(&child) => {
                        below.push((child, holder, if keeps { depth + 1 } else { depth }));
                    }
                    None => self.problems.missing += 1,
                }
            }
            if !keeps {
                self.problems.too_deep += below.len();
            }
            stack.extend(below.into_iter().rev());
        }
    }
}

fn node_id(index: usize) -> NodeId {
    NodeId(u32::try_from(index).expect("checked when the block was added"))
}
