//! What people do to a tenant: write, rename, move, delete, forbid.

use bytes::Bytes;

use super::build::{At, Item};
use super::permit::Who;
use super::state::{Content, Parent, State, Tab, index};
use crate::model::ObjType;

impl Item {
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) -> &Self {
        change(&mut self.tenant.lock());
        self
    }

    /// Writes new text: edit time and revision move.
    pub fn edit(&self, text: &str) -> &Self {
        self.change(|state| {
            let obj = self.obj(state);
            state.obj_mut(obj).content = Content::Text(text.into());
            state.bump(obj);
        })
    }

    /// Uploads a new version of a file: edit time, content and `ETag` move.
    pub fn replace(&self, bytes: impl Into<Bytes>) -> &Self {
        self.change(|state| {
            let obj = self.obj(state);
            state.obj_mut(obj).content = Content::Bytes(bytes.into());
            state.bump(obj);
        })
    }

    /// Uploads another file of so many computed bytes.
    pub fn replace_sized(&self, bytes: u64) -> &Self {
        self.change(|state| {
            let obj = self.obj(state);
            state.obj_mut(obj).content = Content::Sized(bytes);
            state.bump(obj);
        })
    }

    /// Moves the edit time; revision and content stay.
    pub fn touch(&self) -> &Self {
        self.change(|state| {
            let (obj, now) = (self.obj(state), state.now());
            state.obj_mut(obj).edited = now;
        })
    }

    /// Moves edit time and revision; content stays, as after a comment.
    pub fn comment(&self) -> &Self {
        self.change(|state| {
            let obj = self.obj(state);
            state.bump(obj);
        })
    }

    /// Renames: the edit time moves, and a document's revision and content with it. A
    /// shortcut gets a title of its own.
    pub fn rename(&self, title: &str) -> &Self {
        self.renamed(title, true)
    }

    /// Renames and moves nothing else: exports go on printing the old title.
    pub fn rename_quietly(&self, title: &str) -> &Self {
        self.renamed(title, false)
    }

    fn renamed(&self, title: &str, loud: bool) -> &Self {
        self.change(|state| {
            let place = match self.at {
                At::Space(space) => {
                    title.clone_into(&mut state.spaces[space as usize].name);
                    return;
                }
                At::Place(place) => place,
            };
            if state.place(place).target.is_some() {
                let extra = state.place_extras.entry(place).or_default();
                extra.own_title = Some(title.into());
                return;
            }
            let obj = state.place(place).obj;
            let old = std::mem::replace(&mut state.obj_mut(obj).title, title.into());
            // An upload's name is no part of its bytes, so its version stays.
            let upload = matches!(state.obj(obj).ty, ObjType::File | ObjType::Folder);
            if loud && upload {
                let now = state.now();
                state.obj_mut(obj).edited = now;
            } else if loud {
                if let Some(extra) = state.extras.get_mut(&obj) {
                    extra.printed = None;
                }
                state.bump(obj);
            } else if !upload {
                state.extras.entry(obj).or_default().printed.get_or_insert(old);
            }
        })
    }

    /// Renames a sheet or a table; its id and its cells stay. Edit time and revision of
    /// the whole move.
    pub fn rename_tab(&self, old: &str, new: &str) -> &Self {
        self.retab(|_, tabs| {
            for tab in tabs.iter_mut().filter(|tab| tab.title == old) {
                new.clone_into(&mut tab.title);
            }
        })
    }

    /// Adds a sheet or a table.
    pub fn add_tab(&self, title: &str) -> &Self {
        self.retab(|number, tabs| {
            let id = format!("n{:06x}", super::ids::scramble(number) & 0xFF_FFFF);
            tabs.push(Tab { id, title: title.to_owned(), cells: true });
        })
    }

    /// Removes a sheet or a table.
    pub fn remove_tab(&self, title: &str) -> &Self {
        self.retab(|_, tabs| tabs.retain(|tab| tab.title != title))
    }

    fn retab(&self, change: impl FnOnce(u64, &mut Vec<Tab>)) -> &Self {
        self.change(|state| {
            let obj = self.obj(state);
            let mut tabs = state.tabs(obj);
            change(state.next(), &mut tabs);
            state.extras.entry(obj).or_default().tabs = Some(tabs);
            state.bump(obj);
        })
    }

    /// Moves to another folder, node or space, with all that is below. Times stay.
    pub fn move_to(&self, target: &Self) -> &Self {
        self.change(|state| {
            let place = self.place();
            let old = state.place(place).parent;
            let new = match target.at {
                At::Place(id) => Parent::Place(id),
                At::Space(id) => Parent::Space(id),
            };
            state.children_mut(old).retain(|id| *id != place);
            state.children_mut(new).push(place);
            state.place_mut(place).parent = new;
        })
    }

    /// Deletes, with all that is below, into the service's trash.
    pub fn delete(&self) -> &Self {
        self.change(|state| match self.at {
            At::Place(place) => state.place_mut(place).deleted = true,
            At::Space(space) => state.spaces[space as usize].deleted = true,
        })
    }

    /// Takes back a [`Item::delete`].
    pub fn restore(&self) -> &Self {
        self.change(|state| match self.at {
            At::Place(place) => state.place_mut(place).deleted = false,
            At::Space(space) => state.spaces[space as usize].deleted = false,
        })
    }

    /// Nobody may read it or what is below. Its parent still lists it.
    pub fn forbid(&self) -> &Self {
        self.forbid_for(&Who::Everyone)
    }

    /// Takes back every rule about it.
    pub fn allow(&self) -> &Self {
        self.change(|state| state.unrule(self.spot()))
    }

    /// `who` may not read it or what is below.
    pub fn forbid_for(&self, who: &Who) -> &Self {
        self.change(|state| state.rule(self.spot(), who, false))
    }

    /// `who` may read it and what is below, whoever owns it.
    pub fn share_with(&self, who: &Who) -> &Self {
        self.change(|state| state.rule(self.spot(), who, true))
    }

    /// Listings leave it out, though it is there and answers to its token.
    pub fn hide_from_listing(&self) -> &Self {
        self.change(|state| state.place_mut(self.place()).unlisted = true)
    }

    /// Takes back [`Item::hide_from_listing`].
    pub fn show_in_listing(&self) -> &Self {
        self.change(|state| state.place_mut(self.place()).unlisted = false)
    }

    /// Every export ends with this job status: 107 too large, 109 hidden blocks, 110 no
    /// permission, 6000 too many images.
    pub fn refuse_export(&self, job_status: i64) -> &Self {
        self.refuse(job_status, None)
    }

    /// The next `times` exports end with this job status (3 internal, 108 timed out),
    /// those after them well.
    pub fn fail_exports(&self, job_status: i64, times: u32) -> &Self {
        self.refuse(job_status, Some(times))
    }

    fn refuse(&self, job_status: i64, times: Option<u32>) -> &Self {
        self.change(|state| {
            let obj = self.obj(state);
            state.extras.entry(obj).or_default().refusal = Some((job_status, times));
        })
    }

    /// Exports succeed again.
    pub fn accept_exports(&self) -> &Self {
        self.change(|state| {
            let obj = self.obj(state);
            state.extras.entry(obj).or_default().refusal = None;
        })
    }

    /// Puts the children in another order, as listings without a promise may.
    pub fn shuffle_children(&self, seed: u64) -> &Self {
        self.change(|state| {
            let parent = match self.at {
                At::Place(id) => Parent::Place(id),
                At::Space(id) => Parent::Space(id),
            };
            let children = state.children_mut(parent);
            let mut dice = super::ids::Dice::new(seed);
            for n in (1..children.len()).rev() {
                children.swap(n, dice.below(n + 1));
            }
            debug_assert!(index(children.len()) < u32::MAX);
        })
    }
}
