//! Who may read what: rules on places and spaces, the nearest one decides.

use std::collections::HashMap;

use super::state::{Parent, PlaceId, SpaceId, State, UserId};

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// Every identity.
    Everyone,
    /// Every app.
    App,
    /// The user with this name.
    User(String),
}

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Index of the app: what quotas count.
    pub app: usize,
    /// The user; `None`: the app itself.
    pub user: Option<UserId>,
}

/// What a rule is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spot {
    /// A place and what is below it.
    Place(PlaceId),
    /// A whole space.
    Space(SpaceId),
}

/// The rules.
#[derive(Debug, Default)]
pub struct Grants(HashMap<Spot, Vec<(Party, bool)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    Everyone,
    App,
    User(UserId),
}

impl State {
    /// Sets or replaces a rule. A rule for everyone replaces all others there.
    pub fn rule(&mut self, spot: Spot, who: &Who, may_read: bool) {
        let party = match who {
            Who::Everyone => Party::Everyone,
            Who::App => Party::App,
            Who::User(name) => {
                let user = self.users.iter().position(|u| u.name == *name);
                Party::User(super::state::index(user.expect("a user of this tenant")))
            }
        };
        let rules = self.grants.0.entry(spot).or_default();
        rules.retain(|(p, _)| *p != party && party != Party::Everyone);
        rules.push((party, may_read));
    }

    /// Takes every rule away from a place or a space.
    pub fn unrule(&mut self, spot: Spot) {
        self.grants.0.remove(&spot);
    }

    fn decided(&self, who: Identity, spot: Spot) -> Option<bool> {
        let rules = self.grants.0.get(&spot)?;
        let own = who.user.map_or(Party::App, Party::User);
        let of = |party| rules.iter().find(|(p, _)| *p == party).map(|(_, may)| *may);
        of(own).or_else(|| of(Party::Everyone))
    }

    /// True where `who` may read what stands at a place.
    pub fn may_read(&self, who: Identity, mut id: PlaceId) -> bool {
        loop {
            if let Some(may) = self.decided(who, Spot::Place(id)) {
                return may;
            }
            match self.place(id).parent {
                Parent::Place(above) => id = above,
                Parent::Space(space) => return self.may_read_space(who, space),
                Parent::Root(owner) => return self.owns(who, owner),
            }
        }
    }

    /// True where `who` may read a space.
    pub fn may_read_space(&self, who: Identity, space: SpaceId) -> bool {
        self.decided(who, Spot::Space(space)).unwrap_or_else(|| {
            match self.spaces[space as usize].library_of {
                Some(owner) => who.user == Some(owner),
                None => who.user.is_some() || self.knobs.app_sees_everything,
            }
        })
    }

    /// True where `who` may read an object at its own place.
    pub fn may_read_obj(&self, who: Identity, obj: super::state::ObjId) -> bool {
        self.may_read(who, self.obj(obj).home)
    }

    fn owns(&self, who: Identity, owner: UserId) -> bool {
        who.user.map_or(self.knobs.app_sees_everything, |user| user == owner)
    }
}
