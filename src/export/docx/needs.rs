//! What a document needs from elsewhere before it can be shown.
//!
//! Pure; whoever has the network fetches these and puts the answers into a
//! [`Context`](super::markdown::Context). Of a synced source, what its own blocks need is
//! found by [`Needs::below`], once its document's tree is there.

use std::collections::{BTreeMap, BTreeSet};

use super::block::{Kind, What};
use super::tree::{NodeId, Tree};
use super::url;

/// What a document needs from elsewhere. Sorted, each thing once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// People, by the kind of user id that the block list was asked for.
    pub users: BTreeSet<String>,
    /// Documents that are mentioned or linked: their token (an object's or a wiki node's) and
    /// the number of their type, 0 where it is not known.
    pub documents: BTreeMap<String, i64>,
    /// Pictures and files, by token.
    pub media: BTreeMap<String, Media>,
    /// Embedded sheets.
    pub sheets: BTreeSet<Part>,
    /// Embedded tables of bases.
    pub bitables: BTreeSet<Part>,
    /// Whiteboards.
    pub boards: BTreeSet<String>,
    /// Synced blocks whose content is in another document.
    pub synced: BTreeSet<SyncedSource>,
    /// Wiki nodes whose children are listed.
    pub page_lists: BTreeSet<String>,
}

/// A picture or file to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The block that holds it; its `extra` parameter may be needed for the download.
    pub block: String,
    /// The document that has this block.
    pub document: String,
    /// Picture or file.
    pub kind: MediaKind,
    /// File name; empty for pictures.
    pub name: String,
}

/// Picture or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// Shown in the page.
    Image,
    /// Linked from the page.
    File,
}

/// A part of a spreadsheet or base: written `<container>_<part>` in blocks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Spreadsheet or app token.
    pub container: String,
    /// Sheet or table id; empty where the block names none.
    pub part: String,
}

impl Part {
    /// Splits at the last `_` (docs: docs/docx-v1/data-structure/block, Sheet and Bitable).
    pub fn split(token: &str) -> Self {
        let (container, part) = token.rsplit_once('_').unwrap_or((token, ""));
        Self { container: container.to_owned(), part: part.to_owned() }
    }
}

/// Where the content of a synced block is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncedSource {
    /// Document token.
    pub document: String,
    /// Block id in it.
    pub block: String,
}

impl Needs {
    /// What the whole document needs.
    pub fn of(tree: &Tree) -> Self {
        let mut needs = Self::default();
        needs.add(tree, tree.root());
        needs
    }

    /// What a block and all below it need; nothing for a block that is not there.
    pub fn below(tree: &Tree, block: &str) -> Self {
        let mut needs = Self::default();
        if let Some(node) = tree.find(block) {
            needs.add(tree, node);
        }
        needs
    }

    fn add(&mut self, tree: &Tree, from: NodeId) {
        for node in tree.preorder(from) {
            self.add_block(tree, node);
            self.add_text(tree, node, true);
        }
    }

    /// `follow`: blocks shown in the line too; their own lines show no further ones.
    fn add_text(&mut self, tree: &Tree, node: NodeId, follow: bool) {
        let text = tree.kind(node).text();
        for element in text.map(|text| text.elements.as_slice()).unwrap_or_default() {
            if let Some(link) = &element.style.link {
                self.add_url(link);
            }
            match &element.what {
                What::User(id) => insert(&mut self.users, id),
                What::Document { token, url, .. } if token.is_empty() => self.add_url(url),
                What::Document { token, obj_type, .. } => {
                    self.add_document(token.clone(), *obj_type);
                }
                What::LinkPreview { url, .. } => self.add_url(url),
                What::File { token, source_block } => {
                    let name = match tree.find(source_block).map(|node| tree.kind(node)) {
                        Some(Kind::File { name, .. }) => name.clone(),
                        _ => String::new(),
                    };
                    self.add_media(tree, node, token, MediaKind::File, name);
                }
                What::Block(id) if follow => {
                    if let Some(node) = tree.find(id) {
                        self.add_block(tree, node);
                        self.add_text(tree, node, false);
                    }
                }
                _ => {}
            }
        }
    }

    fn add_block(&mut self, tree: &Tree, node: NodeId) {
        match tree.kind(node) {
            Kind::Image { token, .. } => {
                self.add_media(tree, node, token, MediaKind::Image, String::new());
            }
            Kind::File { token, name } => {
                self.add_media(tree, node, token, MediaKind::File, name.clone());
            }
            Kind::Sheet { token } if !token.is_empty() => {
                self.sheets.insert(Part::split(token));
            }
            Kind::Bitable { token } if !token.is_empty() => {
                self.bitables.insert(Part::split(token));
            }
            Kind::Board { token } => insert(&mut self.boards, token),
            Kind::Mindnote { token } if !token.is_empty() => self.add_document(token.clone(), 11),
            Kind::WikiCatalog { wiki_token } | Kind::SubPageList { wiki_token } => {
                insert(&mut self.page_lists, wiki_token);
            }
            Kind::ReferenceSynced { document, block }
                if !document.is_empty() && document != tree.document() =>
            {
                let (document, block) = (document.clone(), block.clone());
                self.synced.insert(SyncedSource { document, block });
            }
            Kind::Iframe { url, .. } | Kind::LinkPreview { url, .. } => self.add_url(url),
            Kind::Okr { user_id, .. } => insert(&mut self.users, user_id),
            _ => {}
        }
    }

    fn add_url(&mut self, address: &str) {
        if let Some((token, obj_type)) = url::document_of(address) {
            self.add_document(token, obj_type);
        }
    }

    /// A type that is known wins over one that is not.
    fn add_document(&mut self, token: String, obj_type: i64) {
        let known = self.documents.entry(token).or_insert(obj_type);
        if *known == 0 {
            *known = obj_type;
        }
    }

    fn add_media(&mut self, tree: &Tree, node: NodeId, token: &str, kind: MediaKind, name: String) {
        if token.is_empty() {
            return;
        }
        self.media.entry(token.to_owned()).or_insert_with(|| Media {
            block: tree.id(node).to_owned(),
            document: tree.document().to_owned(),
            kind,
            name,
        });
    }
}

fn insert(into: &mut BTreeSet<String>, token: &str) {
    if !token.is_empty() {
        into.insert(token.to_owned());
    }
}

/// The service's word for the type number of a mention
/// (docs: docs/docx-v1/data-structure/rich-text, `MentionObjType`).
pub fn obj_type_name(obj_type: i64) -> Option<&'static str> {
    Some(match obj_type {
        1 => "doc",
        3 => "sheet",
        8 => "bitable",
        11 => "mindnote",
        12 => "file",
        15 => "slides",
        16 => "wiki",
        22 => "docx",
        _ => return None,
    })
}
