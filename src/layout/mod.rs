//! Where each place lands on disk: titles in, names out.
//!
//! Pure: no file system, no clock, no network. Two runs over the same places give
//! the same names, whatever order the service listed them in.
//!
//! Start at [`assign`]; `clean` makes one title safe, `collide` tells twins apart.

mod around;
mod clean;
mod collide;
#[cfg(test)]
mod properties;

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

pub use self::around::{Around, Atlas, ChildPage, LINKED, Linked};
pub use self::clean::{MAX_STEM_BYTES, allowed_formats, extension};
pub use self::collide::{assign, gone_stem, unique_gone_names};
use crate::model::recorded::Slot;
use crate::model::{Format, ObjType, Object, PlaceToken, RelPath};

/// What a folder's name ends in where the place's own file already has that name.
const CHILDREN: &str = "~children";

/// Something that wants names in one folder.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// Its token, for the suffix and as the last word between equally old ones.
    pub token: PlaceToken,
    /// Its title as Feishu shows it.
    pub title: String,
    /// Decides which titles lose an extension; of a shortcut its target's type, see
    /// [`naming_type`].
    pub ty: ObjType,
    /// For a shortcut to an uploaded file: the target's [`extension`]. The name then
    /// ends in it, by the shortcut's own title where that does already. `None` for
    /// everything else, and for a target without one: the title is the whole name.
    pub file_extension: Option<String>,
    /// The older one keeps its names; seconds since 1970, 0 (unknown) counts as youngest.
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

/// The file stem for a place of this type and title: 1 to [`MAX_STEM_BYTES`] bytes,
/// portable, not unique ([`assign`] tells twins apart).
pub fn stem(title: &str, ty: &ObjType) -> String {
    clean::folder_name(&clean::parts(title, ty, None).stem)
}

/// What globs match for this place in its folder: the cleaned title, without an
/// extension that an export adds; for an uploaded file its whole cleaned name.
pub fn glob_name(title: &str, ty: &ObjType) -> String {
    let parts = clean::parts(title, ty, None);
    match parts.extension {
        Some(extension) => format!("{}.{extension}", parts.stem),
        None => parts.stem,
    }
}

/// The type by which a place is named: a shortcut is named as its target is, so that
/// a shortcut titled `a.docx` does not become `a.docx.docx`.
pub fn naming_type<'a>(object: &'a Object, target: Option<&'a Object>) -> &'a ObjType {
    match target {
        Some(target) if object.ty == ObjType::Shortcut => &target.ty,
        _ => &object.ty,
    }
}

/// The key under which two names are one to a file system that knows no case or
/// keeps names decomposed: upper case, then lower case, then NFC, so that `ß`, `SS`
/// and `ss` meet as they do in full case folding. Idempotent.
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    // Normalised first, so that case maps the characters that a reader sees.
    let upper = name.nfc().collect::<String>().to_uppercase();
    upper.to_lowercase().nfc().collect()
}

/// The name of a browser shortcut that stands in for something.
pub fn url_file_name(stem: &str) -> String {
    format!("{stem}.{}", Format::Url)
}

/// The text of a symlink in `from_folder` that leads to `to`, both in the copy.
pub fn relative(from_folder: &RelPath, to: &RelPath) -> String {
    let from: Vec<&str> = from_folder.components().collect();
    let to: Vec<&str> = to.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    let parts: Vec<&str> = up.chain(to[shared..].iter().copied()).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// The name of one slot under a stem. `extension`: of an uploaded file.
pub fn slot_name(slot: Slot, stem: &str, ty: &ObjType, extension: Option<&str>) -> String {
    match slot {
        Slot::Dir | Slot::LinkToDir => clean::folder_name(stem),
        Slot::Product(format) | Slot::LinkTo(format) => match (format, extension) {
            (Format::File, Some(extension)) => format!("{stem}.{extension}"),
            (Format::File, None) => clean::folder_name(stem),
            // A side folder, one file a sheet or table.
            (Format::Csv | Format::Json, _) if *ty == ObjType::Bitable => format!("{stem}.tables"),
            (Format::Csv, _) => format!("{stem}.sheets"),
            (Format::Blocks | Format::Comments, _) => format!("{stem}.{format}.json"),
            (Format::Url, _) => url_file_name(stem),
            (format, _) => format!("{stem}.{format}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_see_titles_without_what_an_export_adds() {
        let cases = [
            ("a.docx", ObjType::Docx, "a"),
            ("a.docx", ObjType::File, "a.docx"),
            ("x/y", ObjType::Folder, "x_y"),
            ("LICENSE", ObjType::File, "LICENSE"),
        ];
        for (title, ty, want) in cases {
            assert_eq!(glob_name(title, &ty), want, "{ty} {title}");
        }
    }

    #[test]
    fn names_that_differ_by_case_or_form_fold_to_one() {
        for (a, b) in [
            ("Readme.MD", "README.md"),
            ("\u{e9}T\u{c9}", "E\u{301}t\u{e9}"),
            ("Straße", "STRASSE"),
            ("ΌΔΟΣ", "όδος"),
            ("\u{212a}", "k"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
            assert_eq!(fold(&fold(a)), fold(a), "{a}");
        }
        assert_ne!(fold("a"), fold("ä"));
    }

    #[test]
    fn links_are_relative() {
        let path = |text: &str| RelPath::new(text).unwrap();
        let cases = [
            ("drive", "drive/a.docx", "a.docx"),
            ("drive/x/y", "drive/a.docx", "../../a.docx"),
            ("drive/x", "wiki/S/a", "../../wiki/S/a"),
            ("drive/x", "drive/x", "."),
            ("drive/x/y", "drive/x", ".."),
            ("drive/x", "drive/xy", "../xy"),
        ];
        for (from, to, want) in cases {
            assert_eq!(relative(&path(from), &path(to)), want, "{from} -> {to}");
        }
    }

    #[test]
    fn a_shortcut_is_named_as_its_target() {
        let shortcut = Object::new(ObjType::Shortcut, "t");
        let target = Object::new(ObjType::Docx, "t");
        assert_eq!(*naming_type(&shortcut, Some(&target)), ObjType::Docx);
        assert_eq!(*naming_type(&shortcut, None), ObjType::Shortcut);
        assert_eq!(*naming_type(&target, None), ObjType::Docx);
    }
}
