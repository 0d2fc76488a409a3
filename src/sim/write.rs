//! Writing documents block by block. docs: data-structure/block, docx-v1/document-block.
//!
//! What is written stands below the page in the order of the calls. A block is given as
//! the service shows it, but its `children` may be whole blocks: ids and parents are
//! filled in.
//!
//! ```ignore
//! let doc = root.docx("Plan").heading(1, "Goals").paragraph("Ship it.").mention_doc(&other);
//! let image = doc.picture("a.png", bytes, Some("Figure 1"));
//! ```

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::bases::BaseTable;
use super::build::{At, Item};
use super::ids::{self, Id};
use super::look;
use super::state::{ObjId, State};

#[expect(clippy::return_self_not_must_use, reason = "made things are in the tenant, handle or not")]
impl Item {
    /// Appends any block.
    pub fn block(self, block: Value) -> Self {
        self.put(block);
        self
    }

    /// Appends any block and returns its id.
    pub fn put(&self, block: Value) -> String {
        let mut state = self.tenant.lock();
        let obj = self.obj(&state);
        let token = state.obj_token(obj);
        let extra = state.extras.entry(obj).or_default();
        let Some(given) = extra.blocks.clone() else {
            return append(&mut state, obj, &token, block);
        };
        // The document has blocks of a test's own: the new ones join them.
        let from = extra.body.len();
        let page = given[0]["block_id"].as_str().unwrap_or(&token).to_owned();
        let id = append(&mut state, obj, &page, block);
        let extra = state.extras.entry(obj).or_default();
        let mut all = given.as_array().cloned().unwrap_or_default();
        let mut names =
            all.first().and_then(|p| p["children"].as_array().cloned()).unwrap_or_default();
        names.push(id.as_str().into());
        if let Some(page) = all.first_mut() {
            page["children"] = names.into();
        }
        all.extend(extra.body.split_off(from));
        extra.blocks = Some(Arc::new(all.into()));
        id
    }

    /// Appends a heading of level 1 to 9.
    pub fn heading(self, level: u8, text: &str) -> Self {
        let mut block = json!({"block_type": 2 + level});
        block[format!("heading{level}")] = payload(&[run(text)]);
        self.block(block)
    }

    /// Appends a paragraph.
    pub fn paragraph(self, text: &str) -> Self {
        self.elements(&[run(text)])
    }

    /// Appends a paragraph of these elements, as the service shows them.
    pub fn elements(self, elements: &[Value]) -> Self {
        self.block(json!({"block_type": 2, "text": payload(elements)}))
    }

    /// Appends a paragraph that is a link to something else in the tenant: by its node
    /// in a wiki, by its own token in Drive.
    pub fn mention_doc(self, target: &Self) -> Self {
        let element = {
            let state = self.tenant.lock();
            let At::Place(place) = target.at else { panic!("a space is no document") };
            let obj = state.obj(target.obj(&state));
            let word = if state.space_of(place).is_some() { "wiki" } else { obj.ty.as_str() };
            let token = state.place_token(place);
            json!({"mention_doc": {
                "obj_type": type_number(word), "title": state.title_at(place),
                "url": encoded(&look::url(word, &token)), "token": token,
                "text_element_style": {},
            }})
        };
        self.elements(&[element])
    }

    /// Appends a paragraph that names a user.
    pub fn mention_user(self, name: &str) -> Self {
        let user_id = self.tenant.open_id(name);
        self.elements(&[json!({"mention_user": {"user_id": user_id, "text_element_style": {}}})])
    }

    /// Appends an image; returns its token.
    pub fn picture(&self, name: &str, bytes: impl Into<Bytes>, caption: Option<&str>) -> String {
        let token = self.media(name, bytes.into());
        let mut image = json!({"token": token, "width": 48, "height": 32, "align": 2});
        if let Some(caption) = caption {
            image["caption"] = json!({"content": caption});
        }
        self.put(json!({"block_type": 27, "image": image}));
        token
    }

    /// Appends an attached file; returns its token.
    pub fn attachment(&self, name: &str, bytes: impl Into<Bytes>) -> String {
        let token = self.media(name, bytes.into());
        self.put(json!({"block_type": 33, "view": {"view_type": 1}, "children": [
            {"block_type": 23, "file": {"token": token, "name": name, "view_type": 1}}]}));
        token
    }

    fn media(&self, name: &str, bytes: Bytes) -> String {
        let mut state = self.tenant.lock();
        let obj = self.obj(&state);
        ids::token(Id::Media(state.add_media(obj, name, bytes, None)), "media")
    }

    /// Appends a sheet of a spreadsheet, embedded.
    pub fn embed_sheet(self, spreadsheet: &Self, tab: &str) -> Self {
        let token = format!("{}_{}", spreadsheet.token(), spreadsheet.tab_id(tab));
        self.block(json!({"block_type": 30, "sheet": {"token": token}}))
    }

    /// Appends a table of a base, embedded.
    pub fn embed_table(self, table: &BaseTable) -> Self {
        self.block(
            json!({"block_type": 18, "bitable": {"token": table.block_token(), "view_type": 1}}),
        )
    }

    /// Appends a block whose content others show too ([`Item::synced`]); returns its id.
    pub fn sync_source(&self, blocks: &[Value]) -> String {
        self.put(json!({"block_type": 49, "source_synced": {"elements": [], "align": 1},
            "children": blocks}))
    }

    /// Appends what another document has under a [`Item::sync_source`].
    pub fn synced(self, source: &Self, block_id: &str) -> Self {
        self.block(json!({"block_type": 50, "reference_synced": {
            "source_document_id": source.token(), "source_block_id": block_id}}))
    }

    /// Appends the list of a wiki node's child pages.
    pub fn sub_pages(self, node: &Self) -> Self {
        let token = node.place_token();
        self.block(json!({"block_type": 51, "sub_page_list": {"wiki_token": token}}))
    }

    /// An edit: one more block at the end.
    pub fn append(&self, block: Value) -> &Self {
        self.put(block);
        self.bump()
    }

    /// An edit: these blocks, as they are, in place of all that was there.
    pub fn edit_blocks(&self, blocks: Value) -> &Self {
        self.clone().blocks(blocks);
        self.bump()
    }

    fn bump(&self) -> &Self {
        self.change(|state| {
            let obj = self.obj(state);
            state.bump(obj);
        })
    }
}

/// A run of plain text.
pub(super) fn run(text: &str) -> Value {
    json!({"text_run": {"content": text, "text_element_style": {}}})
}

fn payload(elements: &[Value]) -> Value {
    json!({"style": {"align": 1}, "elements": elements})
}

/// Adds a block and what hangs below it; returns its id.
pub(super) fn append(state: &mut State, obj: ObjId, parent: &str, mut block: Value) -> String {
    let extra = state.extras.entry(obj).or_default();
    extra.written += 1;
    let number = ids::scramble((2 << 60) + (u64::from(obj) << 24) + extra.written);
    let id = match block["block_id"].as_str() {
        Some(own) => own.to_owned(),
        None => format!("doxcn{number:022}"),
    };
    let own = |map: &mut Map<String, Value>| {
        map.insert("block_id".to_owned(), id.clone().into());
        map.insert("parent_id".to_owned(), parent.into());
        map.remove("children")
    };
    let children = block.as_object_mut().and_then(own);
    let at = extra.body.len();
    extra.body.push(block);
    let children = children.and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let names: Vec<String> =
        children.into_iter().map(|child| append(state, obj, &id, child)).collect();
    let block = &mut state.extras.entry(obj).or_default().body[at];
    // A table lists its cells in its payload too.
    if let Some(table) = block.get_mut("table").and_then(Value::as_object_mut) {
        table.entry("cells").or_insert_with(|| json!(names));
    }
    if !names.is_empty() {
        block["children"] = json!(names);
    }
    id
}

/// docs: docx-v1/document-block, `mention_doc`.
fn type_number(word: &str) -> u32 {
    match word {
        "doc" => 1,
        "sheet" => 3,
        "bitable" => 8,
        "mindnote" => 11,
        "file" => 12,
        "slides" => 15,
        "wiki" => 16,
        "docx" => 22,
        _ => 0,
    }
}

/// As JavaScript's `encodeURIComponent` does it: URLs in blocks are encoded.
fn encoded(url: &str) -> String {
    let mut text = String::new();
    for byte in url.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
