//! Where each place lands on disk: titles in, names out.
//!
//! Pure: no file system, no clock, no network. Two runs over the same places give
//! the same names, whatever order the service listed them in.
//!
//! Start at [`assign`].

use std::collections::BTreeMap;

use crate::model::recorded::Slot;
use crate::model::{ObjType, PlaceToken};

/// Something that wants names in one folder.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// Its token, for the suffix and as the last word between equally old ones.
    pub token: PlaceToken,
    /// Its title as Feishu shows it.
    pub title: String,
    /// Decides which titles lose an extension.
    pub ty: ObjType,
    /// The older one keeps its names.
    pub created_secs: i64,
    /// What it wants a name for.
    pub slots: Vec<Slot>,
    /// Names it was given before and keeps (title and parent are as they were then).
    pub given: Option<Names>,
}

/// Names given in one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The stem, with its suffix if it got one.
    pub stem: String,
    /// One component each.
    pub names: BTreeMap<Slot, String>,
}

/// Gives names to all that stand in one folder. `reserved` names are taken already.
#[expect(unused_variables)]
pub fn assign(claimants: &[Claimant], reserved: &[&str]) -> BTreeMap<PlaceToken, Names> {
    todo!()
}

/// The file stem for a place of this type and title: 1 to 200 bytes, portable.
#[expect(unused_variables)]
pub fn stem(title: &str, ty: &ObjType) -> String {
    todo!()
}

/// What globs match for this place in its folder: the cleaned title, without an
/// extension that an export adds; for an uploaded file its whole cleaned name.
#[expect(unused_variables)]
pub fn glob_name(title: &str, ty: &ObjType) -> String {
    todo!()
}
