//! Handles, and how a tenant is filled.
//!
//! What is made here is made in the past, a second apart, so that edit times are
//! settled: [`Item::edit`] and its kind take the clock's now.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::content;
use super::ids::{self, Id};
use super::permit::Spot;
use super::state::{Content, Extra, ObjId, Parent, PlaceId, SpaceId, State, Tab};
use super::tenant::Tenant;
use crate::model::ObjType;

/// Where a handle points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// A Drive entry, a wiki node, a shortcut.
    Place(PlaceId),
    /// A whole space.
    Space(SpaceId),
}

/// Something in the tenant: a folder, a document, a file, a wiki node, a shortcut, a
/// space. Clones point at the same thing.
#[derive(Clone)]
pub struct Item {
    pub(super) tenant: Tenant,
    pub(super) at: At,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({:?}, {:?})", self.at, self.title())
    }
}

#[expect(clippy::return_self_not_must_use, reason = "made things are in the tenant, handle or not")]
impl Item {
    pub(super) fn new(tenant: Tenant, at: At) -> Self {
        Self { tenant, at }
    }

    /// The place; panics for a space, which has no content of its own.
    pub(super) fn place(&self) -> PlaceId {
        match self.at {
            At::Place(id) => id,
            At::Space(_) => panic!("a space is no document: use one of its nodes"),
        }
    }

    /// The object.
    pub(super) fn obj(&self, state: &State) -> ObjId {
        state.place(self.place()).obj
    }

    pub(super) fn spot(&self) -> Spot {
        match self.at {
            At::Place(id) => Spot::Place(id),
            At::Space(id) => Spot::Space(id),
        }
    }

    fn parent(&self) -> Parent {
        match self.at {
            At::Place(id) => Parent::Place(id),
            At::Space(id) => Parent::Space(id),
        }
    }

    fn add(&self, ty: ObjType, title: &str, content: Content) -> Self {
        let place = self.tenant.lock().add(ty, title, content, self.parent());
        self.tenant.item(At::Place(place))
    }

    // Adding below this.

    /// Adds a folder (Drive).
    pub fn folder(&self, title: &str) -> Self {
        self.add(ObjType::Folder, title, Content::Made)
    }

    /// Adds a document.
    pub fn docx(&self, title: &str) -> Self {
        self.add(ObjType::Docx, title, Content::Made)
    }

    /// Adds a document of the older kind.
    pub fn doc(&self, title: &str) -> Self {
        self.add(ObjType::Doc, title, Content::Made)
    }

    /// Adds a spreadsheet with one sheet.
    pub fn sheet(&self, title: &str) -> Self {
        self.add(ObjType::Sheet, title, Content::Made)
    }

    /// Adds a base with one table.
    pub fn bitable(&self, title: &str) -> Self {
        self.add(ObjType::Bitable, title, Content::Made)
    }

    /// Adds a presentation.
    pub fn slides(&self, title: &str) -> Self {
        self.add(ObjType::Slides, title, Content::Made)
    }

    /// Adds a mind map.
    pub fn mindnote(&self, title: &str) -> Self {
        self.add(ObjType::Mindnote, title, Content::Made)
    }

    /// Adds something whose type is a word that nobody has heard of.
    pub fn other_type(&self, title: &str, word: &str) -> Self {
        self.add(ObjType::from(word), title, Content::Made)
    }

    /// Adds an uploaded file.
    pub fn upload(&self, name: &str, bytes: impl Into<Bytes>) -> Self {
        self.add(ObjType::File, name, Content::Bytes(bytes.into()))
    }

    /// Adds an uploaded file of so many bytes, computed while it is read.
    pub fn upload_sized(&self, name: &str, bytes: u64) -> Self {
        self.add(ObjType::File, name, Content::Sized(bytes))
    }

    /// Adds a shortcut to something, with the target's title.
    pub fn shortcut_to(&self, target: &Self) -> Self {
        let place = self.tenant.lock().add_shortcut(target.place(), self.parent());
        self.tenant.item(At::Place(place))
    }

    // Filling what was just made; no edit, no time moves.

    /// Sets the text: paragraphs, or lines of cells separated by tabs or commas.
    pub fn text(self, text: &str) -> Self {
        {
            let mut state = self.tenant.lock();
            let obj = self.obj(&state);
            state.obj_mut(obj).content = Content::Text(text.into());
        }
        self
    }

    /// Names the sheets of a spreadsheet or the tables of a base.
    pub fn tabs(self, titles: &[&str]) -> Self {
        self.extra(|state, obj| {
            let base = state.obj(obj).ty == ObjType::Bitable;
            let tab = |(n, title): (usize, &&str)| {
                let number = ids::scramble((u64::from(obj) << 8) + n as u64) & 0xFF_FFFF;
                let id = if base { format!("tbl{number:06x}") } else { format!("s{number:06x}") };
                Tab { id, title: (*title).to_owned(), cells: true }
            };
            let tabs = titles.iter().enumerate().map(tab).collect();
            Box::new(move |extra| extra.tabs = Some(tabs))
        })
    }

    /// Adds a tab that is a base inside the spreadsheet, which has no cells.
    pub fn embedded_base(self, title: &str) -> Self {
        self.extra(|state, obj| {
            let mut tabs = state.tabs(obj);
            let id = format!("b{:05}", tabs.len());
            tabs.push(Tab { id, title: title.to_owned(), cells: false });
            Box::new(move |extra| extra.tabs = Some(tabs))
        })
    }

    /// Serves these blocks for a document, as they are.
    pub fn blocks(self, blocks: Value) -> Self {
        self.extra(|_, _| Box::new(move |extra| extra.blocks = Some(Arc::new(blocks))))
    }

    /// Puts an image into a document; returns the image's token.
    pub fn image(&self, name: &str, bytes: impl Into<Bytes>) -> String {
        let mut state = self.tenant.lock();
        let obj = self.obj(&state);
        let id = state.add_media(obj, name, bytes.into(), None);
        state.extras.entry(obj).or_default().medias.push(id);
        ids::token(Id::Media(id), "media")
    }

    /// Marks an older document as upgraded to a new one.
    pub fn upgraded_to(self, new: &Self) -> Self {
        let new = new.obj(&self.tenant.lock());
        self.extra(|_, _| Box::new(move |extra| extra.upgraded = Some(new)))
    }

    /// Gives a shortcut a title of its own.
    pub fn titled(self, title: &str) -> Self {
        self.own_title(title);
        self
    }

    /// Listings of a Drive shortcut do not say what it stands for; the service has been
    /// seen to leave it out.
    pub fn hide_target(&self) -> &Self {
        let mut state = self.tenant.lock();
        state.place_extras.entry(self.place()).or_default().target_hidden = true;
        drop(state);
        self
    }

    pub(super) fn own_title(&self, title: &str) {
        let mut state = self.tenant.lock();
        let extra = state.place_extras.entry(self.place()).or_default();
        extra.own_title = Some(title.into());
    }

    /// Sets the creation time of place and object, seconds since 1970.
    pub fn created_at(self, secs: i64) -> Self {
        {
            let mut state = self.tenant.lock();
            let obj = self.obj(&state);
            state.place_mut(self.place()).created = secs;
            if state.place(self.place()).target.is_none() {
                state.obj_mut(obj).created = secs;
            }
        }
        self
    }

    /// Sets the edit time, seconds since 1970.
    pub fn edited_at(self, secs: i64) -> Self {
        {
            let mut state = self.tenant.lock();
            let obj = self.obj(&state);
            state.obj_mut(obj).edited = secs;
        }
        self
    }

    /// Gives the object (a Drive entry, or what stands at a node) this token.
    pub fn with_token(self, token: &str) -> Self {
        {
            let mut state = self.tenant.lock();
            let obj = self.obj(&state);
            state.obj_mut(obj).named = Some(token.into());
            state.named.insert(token.to_owned(), Id::Obj(obj));
        }
        self
    }

    /// Gives a wiki node or a shortcut this token.
    pub fn with_place_token(self, token: &str) -> Self {
        {
            let mut state = self.tenant.lock();
            let place = self.place();
            state.place_mut(place).named = Some(token.into());
            state.named.insert(token.to_owned(), Id::Place(place));
        }
        self
    }

    pub(super) fn extra(
        self,
        make: impl FnOnce(&State, ObjId) -> Box<dyn FnOnce(&mut Extra)>,
    ) -> Self {
        {
            let mut state = self.tenant.lock();
            let obj = self.obj(&state);
            let change = make(&state, obj);
            change(state.extras.entry(obj).or_default());
        }
        self
    }

    // Looking.

    /// The object's token; a space's id.
    pub fn token(&self) -> String {
        let state = self.tenant.lock();
        match self.at {
            At::Place(place) => state.obj_token(state.place(place).obj),
            At::Space(space) => state.spaces[space as usize].id.clone(),
        }
    }

    /// The place's token: a Drive entry's, a `node_token`, a space's id.
    pub fn place_token(&self) -> String {
        let state = self.tenant.lock();
        match self.at {
            At::Place(place) => state.place_token(place),
            At::Space(space) => state.spaces[space as usize].id.clone(),
        }
    }

    /// The title as shown here.
    pub fn title(&self) -> String {
        let state = self.tenant.lock();
        match self.at {
            At::Place(place) => state.title_at(place).to_owned(),
            At::Space(space) => state.spaces[space as usize].name.clone(),
        }
    }

    /// The service's word for its type; `shortcut` for a shortcut.
    pub fn type_word(&self) -> String {
        let state = self.tenant.lock();
        match self.at {
            At::Place(place) if state.place(place).target.is_some() => "shortcut".to_owned(),
            At::Place(place) => state.obj(state.place(place).obj).ty.as_str().to_owned(),
            At::Space(_) => "space".to_owned(),
        }
    }

    /// The object's revision.
    pub fn revision(&self) -> u32 {
        let state = self.tenant.lock();
        state.obj(self.obj(&state)).revision
    }

    /// The object's edit time, seconds since 1970.
    pub fn edit_time(&self) -> i64 {
        let state = self.tenant.lock();
        state.obj(self.obj(&state)).edited
    }

    /// What a download of it is now, of a document its export to `extension`.
    pub fn product(&self, extension: &str) -> Bytes {
        let state = self.tenant.lock();
        let obj = self.obj(&state);
        if state.obj(obj).ty != ObjType::File {
            return content::product(&state, obj, extension, None, 0);
        }
        let blob = content::uploaded(&state, obj);
        let all = 0..blob.len();
        blob.pieces(all).flatten().collect()
    }

    /// What stands directly below and is not deleted, oldest first.
    pub fn children(&self) -> Vec<Self> {
        let state = self.tenant.lock();
        let children = match self.at {
            At::Place(place) => &state.place(place).children,
            At::Space(space) => &state.spaces[space as usize].top,
        };
        let alive = children.iter().copied().filter(|id| !state.place(*id).deleted);
        alive.map(|id| Self::new(self.tenant.clone(), At::Place(id))).collect()
    }
}
