//! Questions about the state: what a token names, what is there, what is shown.

use super::ids::{self, Id};
use super::state::{ObjId, Parent, PlaceId, SpaceId, State, Tab};
use crate::model::ObjType;

impl State {
    /// Token of an object.
    pub fn obj_token(&self, id: ObjId) -> String {
        let obj = self.obj(id);
        match &obj.named {
            Some(named) => named.to_string(),
            None => ids::token(Id::Obj(id), obj.ty.as_str()),
        }
    }

    /// Token of a place: the object's own for a Drive entry.
    pub fn place_token(&self, id: PlaceId) -> String {
        let place = self.place(id);
        if let Some(named) = &place.named {
            return named.to_string();
        }
        match (self.space_of(id), place.target) {
            (Some(_), _) => ids::token(Id::Place(id), "wiki"),
            (None, Some(_)) => ids::token(Id::Place(id), "shortcut"),
            (None, None) => self.obj_token(place.obj),
        }
    }

    /// What a token names, where it names something.
    pub fn find(&self, token: &str) -> Option<Id> {
        if let Some(id) = self.named.get(token) {
            return Some(*id);
        }
        let id = ids::parse(token)?;
        let spelled = match id {
            Id::Obj(n) if (n as usize) < self.objs.len() => self.obj_token(n),
            Id::Place(n) if (n as usize) < self.places.len() => self.place_token(n),
            Id::Media(n) if (n as usize) < self.medias.len() => ids::token(id, "media"),
            _ => return None,
        };
        (spelled == token).then_some(id)
    }

    /// An object by its token.
    pub fn find_obj(&self, token: &str) -> Option<ObjId> {
        match self.find(token)? {
            Id::Obj(id) => Some(id),
            _ => None,
        }
    }

    /// A wiki node by its token.
    pub fn find_node(&self, token: &str) -> Option<PlaceId> {
        match self.find(token)? {
            Id::Place(id) => self.space_of(id).map(|_| id),
            _ => None,
        }
    }

    /// The space in which a place stands; `None` in Drive.
    pub fn space_of(&self, mut id: PlaceId) -> Option<SpaceId> {
        loop {
            match self.place(id).parent {
                Parent::Place(above) => id = above,
                Parent::Space(space) => return Some(space),
                Parent::Root(_) => return None,
            }
        }
    }

    /// True where neither the place nor anything above it is deleted.
    pub fn alive(&self, mut id: PlaceId) -> bool {
        loop {
            let place = self.place(id);
            if place.deleted {
                return false;
            }
            match place.parent {
                Parent::Place(above) => id = above,
                Parent::Space(space) => return !self.spaces[space as usize].deleted,
                Parent::Root(_) => return true,
            }
        }
    }

    /// True where an object's own place is there.
    pub fn obj_alive(&self, id: ObjId) -> bool {
        self.alive(self.obj(id).home)
    }

    /// Children that a listing shows, oldest first.
    pub fn listed<'a>(&'a self, children: &'a [PlaceId]) -> impl Iterator<Item = PlaceId> + 'a {
        children.iter().copied().filter(|id| {
            let place = self.place(*id);
            !place.deleted && !place.unlisted
        })
    }

    /// The title shown at a place.
    pub fn title_at(&self, id: PlaceId) -> &str {
        match self.place_extras.get(&id).and_then(|e| e.own_title.as_deref()) {
            Some(own) => own,
            None => &self.obj(self.place(id).obj).title,
        }
    }

    /// Sheets or tables of an object.
    pub fn tabs(&self, id: ObjId) -> Vec<Tab> {
        if let Some(tabs) = self.extras.get(&id).and_then(|e| e.tabs.clone()) {
            return tabs;
        }
        let (id, title) = match self.obj(id).ty {
            ObjType::Bitable => (format!("tbl{id:05}"), "数据表 Table 1"),
            _ => (format!("s{id:05}"), "Sheet1"),
        };
        vec![Tab { id, title: title.to_owned(), cells: true }]
    }
}

/// Where to open an object in a browser.
pub fn url(ty: &str, token: &str) -> String {
    let folder = match ty {
        "folder" => "drive/folder",
        "doc" => "docs",
        "sheet" => "sheets",
        "bitable" => "base",
        "mindnote" => "mindnotes",
        other => other,
    };
    format!("https://demo.feishu.cn/{folder}/{token}")
}
