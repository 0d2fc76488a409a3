//! What is surely to be fetched, told from a single listed place: so that it can be fetched
//! while the walk goes on, before there is a plan.
//!
//! Only what costs nothing where the plan thinks otherwise is left to the plan: what moved in
//! from elsewhere, what was tried before, what one call may write in several files.

use crate::model::recorded::{Moved, PlaceRow, PlaceState, ProductKey};
use crate::model::tree::Node;
use crate::model::{Edited, Format, ObjType, Object, PlaceKey, SourceName};
use crate::rules::Rules;

use super::Options;

/// What the manifest knows.
pub trait Known: Sync {
    /// The row of a place.
    fn row(&self, key: &PlaceKey) -> Option<PlaceRow>;
    /// True where the copy has files of this object at any place: they may move, or be copied.
    fn has_copy(&self, object: &Object) -> bool;
}

/// Something to fetch before the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// What.
    pub object: Object,
    /// Each a file of its own.
    pub formats: Vec<Format>,
    /// As listed.
    pub edited: Edited,
    /// Not where this is still its revision: then nothing but its edit time moved.
    pub unless: Option<i64>,
}

/// What the plan will surely want of a place that was just listed. `path` is what globs see.
pub fn early(
    source: &SourceName,
    path: &str,
    node: &Node,
    rules: &Rules,
    options: &Options,
    known: &dyn Known,
) -> Option<Errand> {
    let forced = || options.force.as_ref().is_some_and(|globs| globs.matches(path));
    let object = &node.object;
    let is_content = !matches!(object.ty, ObjType::Folder | ObjType::Space | ObjType::Shortcut);
    if !is_content || node.filtered || options.retry_failed || forced() {
        return None;
    }
    let edited = node.edited?;
    let wanted = rules.formats_at(path, &object.ty).iter().copied();
    let wanted: Vec<Format> = wanted.filter(|format| is_one_file(*format)).collect();
    if wanted.is_empty() {
        return None;
    }
    let errand = |formats, unless| Errand { object: object.clone(), formats, edited, unless };
    let Some(row) = known.row(&PlaceKey::new(source, &node.token)) else {
        return (!known.has_copy(object)).then(|| errand(wanted, None));
    };
    if row.object != *object || row.state != PlaceState::Live {
        return None;
    }
    let untried = |format: &Format| !row.outcomes.contains_key(format);
    let wanted: Vec<Format> = wanted.into_iter().filter(untried).collect();
    if row.products.is_empty() {
        // Named by an earlier run that did not come to it.
        let is_wanted = !wanted.is_empty() && !known.has_copy(object);
        return is_wanted.then(|| errand(wanted, None));
    }
    let mut revisions = Vec::new();
    let moved = |format: &Format| {
        let product = row.products.get(&ProductKey::whole(format.slot()));
        let stamp = product.map(|product| &product.stamp);
        let stamp = stamp.filter(|stamp| stamp.compare(edited) == Moved::Yes);
        revisions.extend(stamp.map(|stamp| stamp.revision));
        stamp.is_some()
    };
    let moved: Vec<Format> = wanted.into_iter().filter(moved).collect();
    // Several files may be of several revisions, which is for the plan to sort out.
    let unless = *revisions.first()?;
    let same = revisions.iter().all(|revision| *revision == unless);
    same.then(|| errand(moved, unless.filter(|_| object.ty.has_revision())))
}

/// True for what comes as a single file, by itself.
fn is_one_file(format: Format) -> bool {
    let exported = [Format::Docx, Format::Pdf, Format::Xlsx, Format::Pptx];
    format == Format::File || exported.contains(&format)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::recorded::{Outcome, ProductRow, Stamp, Why};
    use crate::model::{Channel, ContentHash, PlaceToken};

    /// One recorded place, and whether its object has a copy somewhere.
    struct One(Option<PlaceRow>, bool);

    impl Known for One {
        fn row(&self, _: &PlaceKey) -> Option<PlaceRow> {
            self.0.clone()
        }

        fn has_copy(&self, _: &Object) -> bool {
            self.1
        }
    }

    fn listed(ty: ObjType) -> Node {
        Node {
            token: PlaceToken::from("p"),
            parent: None,
            object: Object::new(ty, "o"),
            title: "T".to_owned(),
            created_secs: 0,
            order: 0,
            owner: None,
            edited: Some(Edited { channel: Channel::Wiki, at_secs: 500, seen_secs: 2000 }),
            has_children: false,
            url: None,
            target: None,
            filtered: false,
        }
    }

    /// A row with a product that was fetched when the edit time was `at_secs`.
    fn row(ty: ObjType, format: Format, at_secs: i64, revision: Option<i64>) -> PlaceRow {
        let edited = Edited { channel: Channel::Wiki, at_secs, seen_secs: 1000 };
        let product = ProductRow {
            part_name: None,
            size: 0,
            blake3: ContentHash::from(blake3::hash(b"")),
            mtime_secs: 0,
            link: None,
            stamp: Stamp::of(Some(edited), revision),
            doubtful: false,
        };
        PlaceRow {
            object: Object::new(ty, "o"),
            target: None,
            target_place: None,
            object_title: None,
            title: "T".to_owned(),
            parent: None,
            created_secs: 0,
            order: 0,
            page: None,
            url: None,
            edited: None,
            state: PlaceState::Live,
            absent_walks: 0,
            stem: "T".to_owned(),
            names: BTreeMap::new(),
            products: BTreeMap::from([(ProductKey::whole(format.slot()), product)]),
            outcomes: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
        }
    }

    fn refused(mut row: PlaceRow) -> PlaceRow {
        let failure = crate::model::change::Failure::new("no", "");
        let (why, stamp) = (Why::Refused, Stamp::default());
        let outcome = Outcome { why, failure, stamp, at_secs: 0, limit: None };
        row.outcomes.insert(Format::Docx, outcome);
        row
    }

    fn unfetched(mut row: PlaceRow) -> PlaceRow {
        row.products.clear();
        row
    }

    fn gone(mut row: PlaceRow) -> PlaceRow {
        row.state = PlaceState::Gone { since_secs: 0 };
        row
    }

    #[test]
    fn only_what_is_surely_wanted_is_fetched_early() {
        use Format::{Docx, File};
        let docx = || row(ObjType::Docx, Docx, 400, Some(7));
        let upload = |at_secs| row(ObjType::File, File, at_secs, None);
        let unasked = row(ObjType::Docx, Docx, 400, None);
        let whole = |formats: &[Format], unless| Some((formats.to_vec(), unless));
        let cases = [
            ("new", ObjType::Docx, One(None, false), whole(&[Docx], None)),
            ("a new upload", ObjType::File, One(None, false), whole(&[File], None)),
            ("known elsewhere: it may have moved", ObjType::Docx, One(None, true), None),
            ("a folder", ObjType::Folder, One(None, false), None),
            ("a shortcut", ObjType::Shortcut, One(None, false), None),
            ("a type without exports", ObjType::Mindnote, One(None, false), None),
            ("its parts are for the plan", ObjType::Sheet, One(None, false), None),
            (
                "the revision decides",
                ObjType::Docx,
                One(Some(docx()), true),
                whole(&[Docx], Some(7)),
            ),
            ("no revision is known", ObjType::Docx, One(Some(unasked), true), whole(&[Docx], None)),
            (
                "the edit time moved",
                ObjType::File,
                One(Some(upload(400)), true),
                whole(&[File], None),
            ),
            ("it stands still", ObjType::File, One(Some(upload(500)), true), None),
            ("refused before", ObjType::Docx, One(Some(refused(docx())), true), None),
            ("gone before", ObjType::Docx, One(Some(gone(docx())), true), None),
            (
                "no run came to it",
                ObjType::Docx,
                One(Some(unfetched(docx())), false),
                whole(&[Docx], None),
            ),
            ("a copy elsewhere serves", ObjType::Docx, One(Some(unfetched(docx())), true), None),
            ("another object now", ObjType::Docx, One(Some(upload(400)), true), None),
        ];
        let formats =
            [(ObjType::Docx, vec![Docx, Format::Md]), (ObjType::Sheet, vec![Format::Csv])];
        let rules = Rules { formats: formats.into(), ..crate::plan::tests::rules() };
        for (what, ty, known, want) in cases {
            let node = listed(ty);
            let source = SourceName::from("wiki");
            let early = |options: &Options, node: &Node| {
                early(&source, "wiki/T", node, &rules, options, &known)
            };
            let errand = early(&Options::default(), &node);
            assert_eq!(errand.map(|errand| (errand.formats, errand.unless)), want, "{what}");
            let retry = Options { retry_failed: true, ..Options::default() };
            assert_eq!(early(&retry, &node), None, "{what}");
            let force = Some(crate::rules::Globs::new(["wiki/**"]).unwrap());
            assert_eq!(early(&Options { force, ..Options::default() }, &node), None, "{what}");
            let filtered = Node { filtered: true, ..node };
            assert_eq!(early(&Options::default(), &filtered), None, "{what}");
        }
    }
}
