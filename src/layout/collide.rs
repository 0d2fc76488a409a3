//! Twins: places of one folder whose names would be equal.
//!
//! Names once given are never taken back, so a newcomer can only ever change its own
//! name. Among newcomers the older place is served first; the other gets `~` and the
//! end of its token on its stem, and so on everything it claims.

use std::collections::{BTreeMap, HashSet};

use super::clean::{Parts, parts, split_extension, with_suffix};
use super::{CHILDREN, Claimant, Names, fold, slot_name};
use crate::model::PlaceToken;
use crate::model::recorded::Slot;

/// Characters of the token in a suffix, to begin with.
const SUFFIX_CHARS: usize = 8;

/// So much of a token at most, so that a suffix never crowds out the stem.
const MAX_SUFFIX_CHARS: usize = 64;

/// Names that are taken, folded.
type Taken = HashSet<String>;

/// Gives names to all that stand in one folder. `reserved` names are taken already.
///
/// Every claimant gets a name for each of its slots, and keeps all it was given, slots
/// that it no longer wants included. Served in this order, each stage oldest first
/// (`created_secs`, unknown last, then token):
///
/// 1. given names stand, even where two of them are equal;
/// 2. slots new to a place with given names use its stem; where that name is taken,
///    this slot alone gets the suffix;
/// 3. new places get their plain names, or where any of them is taken the suffix on
///    all of them, longer until every one is free.
pub fn assign(claimants: &[Claimant], reserved: &[&str]) -> BTreeMap<PlaceToken, Names> {
    let mut taken: Taken = reserved.iter().map(|name| fold(name)).collect();
    let mut order: Vec<&Claimant> = claimants.iter().collect();
    order.sort_by_key(|c| (c.created_secs <= 0, c.created_secs, &c.token));
    let (old, new): (Vec<&Claimant>, Vec<&Claimant>) =
        order.into_iter().partition(|claimant| given(claimant).is_some());
    for names in old.iter().filter_map(|claimant| given(claimant)) {
        taken.extend(names.names.values().map(|name| fold(name)));
    }

    let mut all = BTreeMap::new();
    for claimant in old {
        let mut names = given(claimant).cloned().unwrap_or_default();
        if claimant.slots.iter().any(|slot| !names.names.contains_key(slot)) {
            Wish::of(claimant).extend(&mut names, &mut taken);
        }
        all.insert(claimant.token.clone(), names);
    }
    for claimant in new {
        let wish = Wish::of(claimant);
        let mut names = wish.plain_or_suffixed(&mut taken);
        wish.extend(&mut names, &mut taken);
        all.insert(claimant.token.clone(), names);
    }
    all
}

/// Names that bind: a place that was given none may be named anew.
fn given(claimant: &Claimant) -> Option<&Names> {
    claimant.given.as_ref().filter(|names| !names.names.is_empty())
}

/// A claimant with its title taken apart.
struct Wish<'a> {
    claimant: &'a Claimant,
    parts: Parts,
}

impl<'a> Wish<'a> {
    fn of(claimant: &'a Claimant) -> Self {
        let extension = claimant.file_extension.as_deref();
        Self { claimant, parts: parts(&claimant.title, &claimant.ty, extension) }
    }

    fn name(&self, slot: Slot, stem: &str) -> String {
        slot_name(slot, stem, &self.claimant.ty, self.parts.extension.as_deref())
    }

    /// The plain stem, then every suffixed one.
    fn stems(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.parts.stem.clone()).chain(self.suffixed())
    }

    fn suffixed(&self) -> impl Iterator<Item = String> {
        suffixes(&self.claimant.token).map(|suffix| with_suffix(&self.parts.stem, &suffix))
    }

    /// Names for all slots under the first stem with which all of them are free.
    ///
    /// A slot whose name this place itself claims already is left out: see `extend`.
    fn plain_or_suffixed(&self, taken: &mut Taken) -> Names {
        let mut stems = self.stems().map(|stem| {
            let mut names = Names { stem, names: BTreeMap::new() };
            let mut own = Taken::new();
            for &slot in files_first(&self.claimant.slots) {
                let name = own_name(slot, self.name(slot, &names.stem), &own);
                if own.insert(fold(&name)) {
                    names.names.insert(slot, name);
                }
            }
            (names, own)
        });
        let (names, own) = stems
            .find(|(_, own)| own.is_disjoint(taken))
            .expect("the suffixes never end, the taken names do");
        taken.extend(own);
        names
    }

    /// Adds names for the slots that have none, under the stem given.
    fn extend(&self, names: &mut Names, taken: &mut Taken) {
        for &slot in files_first(&self.claimant.slots) {
            if names.names.contains_key(&slot) {
                continue;
            }
            let own: Taken = names.names.values().map(|name| fold(name)).collect();
            let given = names.stem.clone();
            let name = std::iter::once(given)
                .chain(self.suffixed())
                .map(|stem| own_name(slot, self.name(slot, &stem), &own))
                .find(|name| !taken.contains(&fold(name)))
                .expect("the suffixes never end, the taken names do");
            taken.insert(fold(&name));
            names.names.insert(slot, name);
        }
    }
}

/// Files before folders: a folder yields to its place's own file, not the file to it.
fn files_first(slots: &[Slot]) -> impl Iterator<Item = &Slot> {
    let is_folder = |slot: &&Slot| matches!(slot, Slot::Dir | Slot::LinkToDir);
    let folders = slots.iter().filter(is_folder);
    slots.iter().filter(move |slot| !is_folder(slot)).chain(folders)
}

/// A folder that would have the name of its place's own file is called `NAME~children`.
fn own_name(slot: Slot, name: String, own: &Taken) -> String {
    match slot {
        Slot::Dir | Slot::LinkToDir if own.contains(&fold(&name)) => format!("{name}{CHILDREN}"),
        _ => name,
    }
}

/// `~` and the last 8 characters of the token, then 9 and so on, then a counter:
/// unending, and different for every place of a folder sooner or later.
fn suffixes(token: &PlaceToken) -> impl Iterator<Item = String> {
    token_ends(token).map(|end| format!("~{end}"))
}

/// The ends of a token, each longer than the one before, then counted.
fn token_ends(token: &PlaceToken) -> impl Iterator<Item = String> {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let chars: Vec<char> = token.as_str().chars().map(safe).collect();
    let longest = chars.len().min(MAX_SUFFIX_CHARS);
    let shortest = longest.min(SUFFIX_CHARS);
    let end = move |n: usize| chars[chars.len() - n..].iter().collect::<String>();
    let whole = end(longest);
    (shortest..=longest)
        .map(end)
        .filter(|end| !end.is_empty())
        .chain((2_u64..).map(move |n| format!("{whole}-{n}")))
}

/// The stem under which the copy of something gone stands aside: `Title~gone-12345678`.
pub fn gone_stem(stem: &str, token: &PlaceToken) -> String {
    gone_stems(stem, token).next().expect("the suffixes never end")
}

fn gone_stems(stem: &str, token: &PlaceToken) -> impl Iterator<Item = String> {
    // Standing aside a second time makes no second mark.
    let marked = stem
        .rsplit_once("~gone-")
        .filter(|(_, end)| token_ends(token).take(MAX_SUFFIX_CHARS).any(|e| e == *end));
    let plain = marked.map_or(stem, |(plain, _)| plain).to_owned();
    token_ends(token).map(move |end| with_suffix(&plain, &format!("~gone-{end}")))
}

/// Names for a gone place's copy that stand in nobody's way: all slots under one gone
/// stem, extensions kept, the suffix longer until none is taken.
///
/// `taken` is asked with folded names ([`fold`]).
pub fn unique_gone_names(names: &Names, token: &PlaceToken, taken: &dyn Fn(&str) -> bool) -> Names {
    let slots: Vec<Slot> = names.names.keys().copied().collect();
    gone_stems(&names.stem, token)
        .map(|stem| {
            let mut own = Taken::new();
            let mut aside = Names { stem, names: BTreeMap::new() };
            for &slot in files_first(&slots) {
                let tail = tail(slot, &names.names[&slot], &names.stem);
                let mut name = own_name(slot, format!("{}{tail}", aside.stem), &own);
                let mut copies = 2..;
                while !own.insert(fold(&name)) {
                    let n = copies.next().expect("unending");
                    name = format!("{}-{n}{tail}", aside.stem);
                }
                aside.names.insert(slot, name);
            }
            (aside, own)
        })
        .find(|(_, own)| !own.iter().any(|name| taken(name)))
        .map(|(aside, _)| aside)
        .expect("the suffixes never end, the taken names do")
}

/// What follows the stem in a name: an extension with its dot, or nothing.
fn tail<'a>(slot: Slot, name: &'a str, stem: &str) -> &'a str {
    if matches!(slot, Slot::Dir | Slot::LinkToDir) {
        return "";
    }
    match name.strip_prefix(stem) {
        Some(rest) if rest.starts_with('.') => rest,
        // Only this slot got a suffix when it was named.
        _ => split_extension(name).1.map_or("", |ext| &name[name.len() - ext.len() - 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Format, ObjType};

    const DOCX: Slot = Slot::Product(Format::Docx);
    const PDF: Slot = Slot::Product(Format::Pdf);
    const FILE: Slot = Slot::Product(Format::File);

    fn claimant(token: &str, title: &str, ty: ObjType, created: i64, slots: &[Slot]) -> Claimant {
        Claimant {
            token: token.into(),
            title: title.to_owned(),
            ty,
            file_extension: None,
            created_secs: created,
            slots: slots.to_vec(),
            given: None,
        }
    }

    fn docx(token: &str, title: &str, created: i64) -> Claimant {
        claimant(token, title, ObjType::Docx, created, &[DOCX])
    }

    fn names_of(all: &BTreeMap<PlaceToken, Names>, token: &str) -> Vec<String> {
        all[&PlaceToken::from(token)].names.values().cloned().collect()
    }

    #[test]
    fn the_older_twin_keeps_the_plain_name() {
        let all = assign(
            &[
                docx("tokenyoung000001", "Notes", 20),
                docx("tokenunknown0002", "NOTES", 0),
                docx("tokenold00000003", "notes", 10),
                docx("b", "No\u{308}tes", 30),
                docx("a", "N\u{f6}tes", 30),
            ],
            &[],
        );
        assert_eq!(names_of(&all, "tokenold00000003"), ["notes.docx"]);
        assert_eq!(names_of(&all, "tokenyoung000001"), ["Notes~ng000001.docx"]);
        assert_eq!(names_of(&all, "tokenunknown0002"), ["NOTES~nown0002.docx"]);
        assert_eq!(names_of(&all, "a"), ["Nötes.docx"], "equally old: the token decides");
        assert_eq!(names_of(&all, "b"), ["Nötes~b.docx"], "NFC; a short token whole");
    }

    #[test]
    fn a_suffix_grows_until_it_is_unique_and_is_on_every_claim() {
        let all = assign(
            &[
                docx("x1", "T", 1),
                docx("aAtail0000", "T", 2),
                docx("bAtail0000", "T", 3),
                claimant("cBtail0000", "T", ObjType::Docx, 4, &[DOCX, PDF, Slot::Dir]),
            ],
            &[],
        );
        assert_eq!(names_of(&all, "aAtail0000"), ["T~tail0000.docx"]);
        assert_eq!(names_of(&all, "bAtail0000"), ["T~Atail0000.docx"]);
        assert_eq!(
            names_of(&all, "cBtail0000"),
            ["T~Btail0000", "T~Btail0000.docx", "T~Btail0000.pdf"]
        );
    }

    #[test]
    fn equal_tokens_but_for_case_still_part() {
        let all = assign(&[docx("q", "T", 1), docx("ABC", "T", 2), docx("abc", "T", 3)], &[]);
        assert_eq!(names_of(&all, "ABC"), ["T~ABC.docx"]);
        assert_eq!(names_of(&all, "abc"), ["T~abc-2.docx"]);
    }

    #[test]
    fn given_names_stay_and_later_formats_yield_to_them() {
        let mut old = claimant("oldold0000000001", "T", ObjType::Docx, 1, &[DOCX, PDF, Slot::Dir]);
        old.given = Some(Names { stem: "T".into(), names: [(DOCX, "T.docx".into())].into() });
        let mut young = claimant("young00000000002", "T.pdf", ObjType::File, 9, &[FILE]);
        young.given = Some(Names { stem: "T".into(), names: [(FILE, "t.PDF".into())].into() });
        let all = assign(&[old, young], &["t"]);
        assert_eq!(
            names_of(&all, "oldold0000000001"),
            ["T~00000001", "T.docx", "T~00000001.pdf"],
            "a given and a reserved name are in the way of one slot each"
        );
        assert_eq!(names_of(&all, "young00000000002"), ["t.PDF"]);
    }

    #[test]
    fn a_folder_yields_to_its_own_file() {
        let license = |slots: &[Slot]| claimant("wik1", "LICENSE", ObjType::File, 1, slots);
        let all = assign(&[license(&[Slot::Dir, FILE])], &[]);
        assert_eq!(names_of(&all, "wik1"), ["LICENSE~children", "LICENSE"]);

        let mut grown = license(&[FILE, Slot::Dir]);
        grown.given = Some(all[&PlaceToken::from("wik1")].clone());
        grown.given.as_mut().unwrap().names.remove(&Slot::Dir);
        assert_eq!(names_of(&assign(&[grown], &[]), "wik1"), ["LICENSE~children", "LICENSE"]);

        let pdf = claimant("wik2", "a.pdf", ObjType::File, 1, &[FILE, Slot::Dir]);
        assert_eq!(names_of(&assign(&[pdf], &[]), "wik2"), ["a", "a.pdf"]);
    }

    #[test]
    fn every_slot_has_its_name() {
        let csv = Slot::Product(Format::Csv);
        let cases = [
            (ObjType::Sheet, csv, "T.sheets"),
            (ObjType::Bitable, csv, "T.tables"),
            (ObjType::Bitable, Slot::LinkTo(Format::Csv), "T.tables"),
            (ObjType::Bitable, Slot::Product(Format::Assets), "T.assets"),
            (ObjType::Docx, Slot::Product(Format::Comments), "T.comments.json"),
            (ObjType::Slides, Slot::Product(Format::Url), "T.url"),
            (ObjType::Docx, Slot::LinkTo(Format::Md), "T.md"),
            (ObjType::Docx, Slot::LinkToDir, "T"),
            (ObjType::Folder, Slot::Dir, "T"),
            (ObjType::Folder, Slot::Product(Format::Url), "T.url"),
        ];
        for (ty, slot, want) in cases {
            let all = assign(&[claimant("t", "T", ty, 1, &[slot])], &[]);
            assert_eq!(names_of(&all, "t"), [want]);
        }
    }

    #[test]
    fn a_copy_that_is_gone_stands_aside_under_one_stem() {
        let token = PlaceToken::from("wikcnABCDEFGH12345678");
        assert_eq!(gone_stem("Title", &token), "Title~gone-12345678");
        assert_eq!(gone_stem("Title~gone-12345678", &token), "Title~gone-12345678");
        assert!(gone_stem(&"字".repeat(66), &token).len() <= super::super::MAX_STEM_BYTES);

        let names = Names {
            stem: "T".into(),
            names: [
                (Slot::Dir, "T~children".into()),
                (FILE, "T".into()),
                (PDF, "T~12345678.pdf".into()),
                (Slot::Product(Format::Csv), "T.sheets".into()),
            ]
            .into(),
        };
        let aside = unique_gone_names(&names, &token, &|name| name == "t~gone-12345678.pdf");
        let got: Vec<&str> = aside.names.values().map(String::as_str).collect();
        assert_eq!(aside.stem, "T~gone-H12345678");
        assert_eq!(
            got,
            [
                "T~gone-H12345678~children",
                "T~gone-H12345678.pdf",
                "T~gone-H12345678.sheets",
                "T~gone-H12345678"
            ]
        );
    }
}
