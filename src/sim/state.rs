//! What there is: users, objects, the places where they stand, and what is known of
//! them. Plain data behind one lock; no HTTP here.
//!
//! A Drive entry is one object at one place, and its token names both. A wiki node and
//! a Drive shortcut are places with tokens of their own. Rare properties live in side
//! tables, so that a million plain documents stay small.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::apps::App;
use super::bases::Table;
use super::boards::Whiteboard;
use super::comments::Comment;
use super::faults::Faults;
use super::ids::Id;
use super::knobs::Knobs;
use super::log::Log;
use super::logins::{Logins, UserStanding};
use super::minutes::Minutes;
use super::permit::Grants;
use super::quota::Meter;
use super::scopes::Scopes;
use crate::clock::{Clock, Lead};
use crate::model::ObjType;

/// An object's index.
pub type ObjId = u32;
/// A place's index.
pub type PlaceId = u32;
/// A user's index; 0 is the default user.
pub type UserId = u32;
/// A space's index.
pub type SpaceId = u32;

/// Content as a token and a revision name it.
#[derive(Debug, Clone)]
pub struct Obj {
    /// A token given by a fixture; else computed.
    pub named: Option<Box<str>>,
    /// The service's type.
    pub ty: ObjType,
    /// The title, shared by all its places.
    pub title: Box<str>,
    /// Seconds since 1970.
    pub created: i64,
    /// Edit time, seconds since 1970.
    pub edited: i64,
    /// Grows with each edit; a document's `revision_id`, a sheet's `revision`.
    pub revision: u32,
    /// What is in it.
    pub content: Content,
    /// Where it really stands.
    pub home: PlaceId,
}

/// What an object holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// Text made from the token; for documents that no test wrote anything into.
    Made,
    /// Paragraphs.
    Text(Arc<str>),
    /// An uploaded file.
    Bytes(Bytes),
    /// An uploaded file of so many bytes, computed from token and revision.
    Sized(u64),
}

/// Where a place hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// It is the root folder of a user.
    Root(UserId),
    /// Below another place.
    Place(PlaceId),
    /// At the top of a space.
    Space(SpaceId),
}

/// Somewhere an object can be seen.
#[derive(Debug, Clone)]
pub struct Place {
    /// A token given by a fixture; else computed.
    pub named: Option<Box<str>>,
    /// What is seen.
    pub obj: ObjId,
    /// Where it hangs.
    pub parent: Parent,
    /// Children, oldest first, the deleted ones too.
    pub children: Vec<PlaceId>,
    /// For a shortcut: the original place.
    pub target: Option<PlaceId>,
    /// Seconds since 1970.
    pub created: i64,
    /// In the trash (as is all below it).
    pub deleted: bool,
    /// Left out of listings, though it is there.
    pub unlisted: bool,
}

/// A wiki space.
#[derive(Debug, Clone)]
pub struct Space {
    /// A decimal number.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `Some`: this user's own library, listed for nobody.
    pub library_of: Option<UserId>,
    /// Top level nodes.
    pub top: Vec<PlaceId>,
    /// Deleted as a whole.
    pub deleted: bool,
}

/// A person.
#[derive(Debug, Clone)]
pub struct User {
    /// For people.
    pub name: String,
    /// The app may not see the person in the address book.
    pub invisible: bool,
    /// Identifies the user to the app.
    pub open_id: String,
    /// Root folder of "My Space".
    pub root: PlaceId,
    /// The space index of the user's library, once made.
    pub library: Option<SpaceId>,
    /// Whether the person may log in.
    pub standing: UserStanding,
}

/// A sheet of a spreadsheet or a table of a base.
#[derive(Debug, Clone)]
pub struct Tab {
    /// `sheet_id` or `table_id`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// False for a base embedded in a spreadsheet.
    pub cells: bool,
}

/// What few objects have.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// Sheets or tables, where a test named them.
    pub tabs: Option<Vec<Tab>>,
    /// The title that exports print, where a quiet rename must not change the bytes.
    pub printed: Option<Box<str>>,
    /// Exports end with this job status, so many times (`None`: always).
    pub refusal: Option<(i64, Option<u32>)>,
    /// Blocks served as they are.
    pub blocks: Option<Arc<Value>>,
    /// For an old document: the new one that took its place.
    pub upgraded: Option<ObjId>,
    /// Images and attachments inside, in order.
    pub medias: Vec<u32>,
    /// Blocks that were written below the page, in preorder.
    pub body: Vec<Value>,
    /// How many blocks were ever written: numbers their ids.
    pub written: u64,
    /// Cells of sheets, by sheet id, in rows.
    pub cells: HashMap<String, Vec<Vec<Value>>>,
    /// What the tables of a base hold, by table id.
    pub tables: HashMap<String, Table>,
    /// For a base with advanced permissions: who may read its records.
    pub members: Option<Vec<UserId>>,
    /// Comments, oldest first.
    pub threads: Vec<Comment>,
    /// A title of its own, for a shortcut (keyed by place).
    pub own_title: Option<Box<str>>,
    /// A shortcut whose listing does not name its target (keyed by place).
    pub target_hidden: bool,
}

/// An image or attachment inside a document.
#[derive(Debug, Clone)]
pub struct Media {
    /// The document.
    pub obj: ObjId,
    /// File name.
    pub name: String,
    /// Content.
    pub bytes: Bytes,
    /// How it can be had.
    pub rule: MediaRule,
    /// For an attachment of a base: its table.
    pub table: Option<String>,
}

/// How an image or attachment can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaRule {
    /// By its token.
    #[default]
    Open,
    /// Its token needs the `extra` parameter, as in a base with advanced permissions.
    NeedsExtra,
    /// Only by a temporary link: the direct download is forbidden.
    LinkOnly,
    /// Not at all: its owner has forbidden downloads.
    Forbidden,
}

/// An access token that was handed out.
#[derive(Debug, Clone)]
pub struct Token {
    /// Whose; `None`: the app's own.
    pub user: Option<UserId>,
    /// Index of the app.
    pub app: usize,
    /// Seconds since 1970; `None`: does not expire.
    pub expires: Option<i64>,
    /// For a user's token: what the user granted when it was made.
    pub scopes: Scopes,
    /// The grant that it was made for, by index; it ends with it.
    pub grant: Option<usize>,
}

/// Everything.
pub struct State {
    pub clock: Clock,
    /// How far the clock was made to jump.
    pub lead: Lead,
    pub logins: Logins,
    pub knobs: Knobs,
    pub users: Vec<User>,
    pub apps: Vec<App>,
    pub tokens: HashMap<String, Token>,
    pub objs: Vec<Obj>,
    pub places: Vec<Place>,
    pub spaces: Vec<Space>,
    pub extras: HashMap<ObjId, Extra>,
    pub place_extras: HashMap<PlaceId, Extra>,
    pub medias: Vec<Media>,
    pub boards: Vec<Whiteboard>,
    pub minutes: Minutes,
    pub named: HashMap<String, Id>,
    pub grants: Grants,
    pub jobs: super::http::export::Jobs,
    pub meter: Meter,
    pub faults: Faults,
    pub log: Log,
    /// Numbers tokens, tickets and log ids.
    pub counter: u64,
    /// Times given to what is made, see [`State::past`].
    past: i64,
    past_end: i64,
    /// Signed links to media: signature to (media, expiry).
    pub signed: HashMap<String, (u32, i64)>,
}

impl State {
    /// An empty tenant: no user yet.
    pub fn new(clock: Clock, quotas: super::Quotas) -> Self {
        let now = clock.now_secs();
        let lead = Lead::default();
        Self {
            clock: clock.ahead_by(&lead),
            lead,
            logins: Logins::default(),
            knobs: Knobs::default(),
            users: Vec::new(),
            apps: Vec::new(),
            tokens: HashMap::new(),
            objs: Vec::new(),
            places: Vec::new(),
            spaces: Vec::new(),
            extras: HashMap::new(),
            place_extras: HashMap::new(),
            medias: Vec::new(),
            boards: Vec::new(),
            minutes: Minutes::default(),
            named: HashMap::new(),
            grants: Grants::default(),
            jobs: super::http::export::Jobs::default(),
            meter: Meter::new(quotas),
            faults: Faults::default(),
            log: Log::default(),
            counter: 0,
            past: now - 86_400,
            past_end: now - 3_600,
            signed: HashMap::new(),
        }
    }

    /// Now, in whole seconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now_secs()
    }

    /// A time for something new: in the past, a second after the one before it, at
    /// least an hour before the tenant began, so that it is settled.
    pub fn past(&mut self) -> i64 {
        let at = self.past;
        self.past = (self.past + 1).min(self.past_end);
        at
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// An object.
    pub fn obj(&self, id: ObjId) -> &Obj {
        &self.objs[id as usize]
    }

    /// An object, to change it.
    pub fn obj_mut(&mut self, id: ObjId) -> &mut Obj {
        &mut self.objs[id as usize]
    }

    /// A place.
    pub fn place(&self, id: PlaceId) -> &Place {
        &self.places[id as usize]
    }

    /// A place, to change it.
    pub fn place_mut(&mut self, id: PlaceId) -> &mut Place {
        &mut self.places[id as usize]
    }

    /// Adds an object together with the place where it stands.
    pub fn add(&mut self, ty: ObjType, title: &str, content: Content, parent: Parent) -> PlaceId {
        let at = self.past();
        let obj = index(self.objs.len());
        let home = index(self.places.len());
        self.objs.push(Obj {
            named: None,
            ty,
            title: title.into(),
            created: at,
            edited: at,
            revision: 1,
            content,
            home,
        });
        self.hang(obj, parent, None, at)
    }

    /// Adds a shortcut to a place.
    pub fn add_shortcut(&mut self, target: PlaceId, parent: Parent) -> PlaceId {
        // A shortcut to a shortcut is one to the original.
        let origin = self.place(target).target.unwrap_or(target);
        let obj = self.place(origin).obj;
        let at = self.past();
        self.hang(obj, parent, Some(origin), at)
    }

    fn hang(&mut self, obj: ObjId, parent: Parent, target: Option<PlaceId>, at: i64) -> PlaceId {
        let id = index(self.places.len());
        self.places.push(Place {
            named: None,
            obj,
            parent,
            children: Vec::new(),
            target,
            created: at,
            deleted: false,
            unlisted: false,
        });
        self.children_mut(parent).push(id);
        id
    }

    /// The list that a new child of `parent` joins.
    pub fn children_mut(&mut self, parent: Parent) -> &mut Vec<PlaceId> {
        match parent {
            Parent::Place(id) => &mut self.places[id as usize].children,
            Parent::Space(id) => &mut self.spaces[id as usize].top,
            Parent::Root(user) => unreachable!("user {user} has one root"),
        }
    }

    /// Adds an image or attachment to a document; returns its number.
    pub fn add_media(&mut self, obj: ObjId, name: &str, bytes: Bytes, table: Option<&str>) -> u32 {
        let id = index(self.medias.len());
        let (name, table) = (name.to_owned(), table.map(str::to_owned));
        self.medias.push(Media { obj, name, bytes, rule: MediaRule::default(), table });
        id
    }

    /// Marks an edit of now: edit time and revision move.
    pub fn bump(&mut self, id: ObjId) {
        let now = self.now();
        let obj = self.obj_mut(id);
        obj.edited = now;
        obj.revision += 1;
    }
}

/// An index for a new row.
pub fn index(len: usize) -> u32 {
    u32::try_from(len).expect("fewer than 4 billion rows")
}
