//! Where the folders of a manifest stand, without the rest of its rows.

use std::collections::HashMap;

use crate::model::RelPath;
use crate::model::recorded::{Loc, Slot};

use super::{Rows, StoreError};

/// As many as [`crate::model::recorded::Recorded::folder`] follows.
const MAX_LEVELS: usize = 2_048;

/// The folders of places, by source and token.
#[derive(Default)]
pub(super) struct Folders(HashMap<Box<str>, HashMap<Box<str>, Folder>>);

struct Folder {
    parent: Option<Box<str>>,
    place: Place,
}

/// Where a folder stands: under its name in its parent's, or elsewhere.
enum Place {
    Named(Box<str>),
    Elsewhere(Box<Loc>),
}

impl Folders {
    pub(super) fn of(rows: &Rows) -> Result<Self, StoreError> {
        let mut folders = Self::default();
        rows.for_each_row(|row| {
            let named = || row.names().find(|(slot, _)| *slot == Slot::Dir);
            let place = match (row.elsewhere(Slot::Dir), named()) {
                (Some(at), _) => Place::Elsewhere(Box::new(at.clone())),
                (None, Some((_, name))) => Place::Named(name.into()),
                (None, None) => return Ok(()),
            };
            let folder = Folder { parent: row.parent().map(Into::into), place };
            if !folders.0.contains_key(row.source()) {
                folders.0.insert(row.source().into(), HashMap::new());
            }
            let of_source = folders.0.get_mut(row.source()).expect("just inserted");
            of_source.insert(row.token().into(), folder);
            Ok(())
        })?;
        Ok(folders)
    }

    /// The folder that holds the children of a place, or the source's own for `None`.
    pub(super) fn at(&self, source: &str, place: Option<&str>) -> Option<Loc> {
        let mut names = Vec::new();
        let mut at = place;
        let top = loop {
            let Some(token) = at else { break RelPath::new(source).ok().map(Loc::Mirror)? };
            if names.len() == MAX_LEVELS {
                return None;
            }
            let folder = self.0.get(source)?.get(token)?;
            match &folder.place {
                Place::Elsewhere(at) => break (**at).clone(),
                Place::Named(name) => names.push(&**name),
            }
            at = folder.parent.as_deref();
        };
        if names.is_empty() {
            return Some(top);
        }
        names.reverse();
        top.join(&names.join("/"))
    }
}
