//! Documents with the sources of synced blocks: each is read once, for whatever the page
//! and those before it show of it.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::export::docx::markdown::Found;
use crate::export::docx::needs::SyncedSource;
use crate::export::docx::{Needs, Tree};
use crate::model::{ObjType, Object};

use super::super::fetch::Setback;
use super::making::Making;

/// How deep sources are followed; the writer shows no more (`MAX_SHOWING`).
const MAX_DEPTH: usize = 4;

impl Making<'_> {
    /// Reads the sources, and adds what these need themselves.
    pub(super) async fn synced(&mut self, needs: &mut Needs) -> Result<(), Setback> {
        let mut trees: HashMap<String, Option<Tree>> = HashMap::new();
        let mut seen: BTreeSet<SyncedSource> = BTreeSet::new();
        let first = needs.synced.iter().cloned().map(|source| (source, 1));
        let mut open: VecDeque<(SyncedSource, usize)> = first.collect();
        while let Some((source, depth)) = open.pop_front() {
            if depth > MAX_DEPTH || !seen.insert(source.clone()) {
                continue;
            }
            if !trees.contains_key(&source.document) {
                let tree = self.source(&source.document).await?;
                trees.insert(source.document.clone(), tree);
            }
            let Some(Some(tree)) = trees.get(&source.document) else { continue };
            let below = Needs::below(tree, &source.block);
            open.extend(below.synced.iter().cloned().map(|source| (source, depth + 1)));
            add(needs, below);
        }
        Ok(())
    }

    async fn source(&mut self, document: &str) -> Result<Option<Tree>, Setback> {
        let blocks = if document == self.kept.document {
            // A source that shows something of this very page.
            Found::Here(self.kept.blocks.clone())
        } else {
            let fetcher = self.fetcher;
            self.ask(fetcher.client.list_blocks(document)).await?.map(|blocks| blocks.items)
        };
        let refused = matches!(blocks, Found::Forbidden);
        let blocks = self.or_before(blocks, |kept| kept.synced.get(document)).await;
        let tree = match &blocks {
            Found::Here(items) => Some(Tree::build(document, items)),
            Found::Forbidden | Found::Absent(_) => None,
        };
        let object = Object::new(ObjType::Docx, document);
        if refused {
            self.refuse(&object);
        } else if tree.is_some() && document != self.kept.document {
            self.embed(object, None);
        }
        self.kept.synced.insert(document.to_owned(), blocks);
        Ok(tree)
    }
}

/// Adds all that others need.
pub(super) fn add(needs: &mut Needs, more: Needs) {
    let Needs { users, documents, media, sheets, bitables, boards, synced, page_lists } = more;
    needs.users.extend(users);
    for (token, obj_type) in documents {
        let known = needs.documents.entry(token).or_insert(obj_type);
        if *known == 0 {
            *known = obj_type;
        }
    }
    for (token, wanted) in media {
        needs.media.entry(token).or_insert(wanted);
    }
    needs.sheets.extend(sheets);
    needs.bitables.extend(bitables);
    needs.boards.extend(boards);
    needs.synced.extend(synced);
    needs.page_lists.extend(page_lists);
}
