//! What a run will do: (remote tree, manifest, disk, rules, now) in, [`Plan`] out.
//!
//! Pure: the same input gives the same plan, in whatever order the service listed
//! it. `diff` prints the plan, `sync` hands it to `apply`; there is no second path.

mod absent;
mod content;
mod decide;
mod draft;
mod early;
mod embeds;
mod known;
mod pages;
mod removal;
pub mod roster;
mod stand_ins;
mod stranded;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::change::{Change, Failure};
use crate::model::local::LocalState;
use crate::model::recorded::{PlaceRow, ProductKey, Recorded, Slot, Why};
use crate::model::tree::{Existence, Meta, RemoteTree};
use crate::model::{ContentHash, Edited, Format, Object, PlaceKey, SourceName};
use crate::rules::{Globs, Rules};

pub use content::FORCED;
pub use decide::{needs_hash, plan, questions, url_file_text};
pub use early::{Errand, Known, early};
pub use known::prune_known;

/// Everything a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What the service lists.
    pub tree: &'a RemoteTree,
    /// What the manifest remembers.
    pub recorded: &'a Recorded,
    /// What is on disk.
    pub local: &'a LocalState,
    /// What the config asks for.
    pub rules: &'a Rules,
    /// What this run's flags ask for.
    pub options: &'a Options,
    /// What was asked since the walk, see [`questions`].
    pub answers: &'a Answers,
    /// The present, seconds since 1970.
    pub now_secs: i64,
}

/// Flags of `sync` and `diff` that change the plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Prune nothing.
    pub no_prune: bool,
    /// Fetch matching objects again.
    pub force: Option<Globs>,
    /// Only what failed last time.
    pub retry_failed: bool,
    /// Strangers on wanted paths go to the trash, so blocked places are tried again.
    pub adopt: bool,
}

/// What the plan needs to know beyond the listings. Ask, add to [`Answers`], ask
/// [`questions`] again until it has none: the topmost missing place comes first, and
/// what is below a hidden one is never asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// Objects whose edit time moved (or is not settled) and whose revision decides.
    pub revisions: Vec<Object>,
    /// Objects in no listing: targets of shortcuts that are not mirrored.
    pub metas: Vec<Object>,
    /// Recorded places that a complete listing no longer shows.
    pub existence: Vec<(PlaceKey, Object)>,
    /// Whiteboards whose nodes tell whether they changed, by token.
    pub boards: Vec<String>,
}

impl Questions {
    /// True where the plan can be made.
    pub fn is_empty(&self) -> bool {
        self.revisions.is_empty()
            && self.metas.is_empty()
            && self.existence.is_empty()
            && self.boards.is_empty()
    }
}

/// What the service said to the [`Questions`].
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// `None` where the service gave no usable revision: then the edit time decides.
    pub revisions: BTreeMap<Object, Option<i64>>,
    /// `Err` where the object cannot be seen.
    pub metas: BTreeMap<Object, Result<Meta, Existence>>,
    /// By place.
    pub existence: BTreeMap<PlaceKey, Existence>,
    /// Hash of a whiteboard's nodes; `Err` where they cannot be read.
    pub boards: BTreeMap<String, Result<ContentHash, Existence>>,
}

/// What to do, in the order in which `apply` does it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Rows to write before anything else: new places with the names they were given,
    /// and what changed of a place without touching its names or its files.
    pub records: Vec<(PlaceKey, PlaceRow)>,
    /// Rows to drop: gone, with no copy left.
    pub forget: Vec<PlaceKey>,
    /// Gone copies that stand on a wanted name, to their `~gone-` names.
    pub asides: Vec<Relocation>,
    /// Places that moved or were renamed, sorted so that a folder comes before what is
    /// in it. `apply` finds the order of renames, through staging where they swap.
    pub moves: Vec<Relocation>,
    /// Folders to make, parents first.
    pub folders: Vec<MakeFolder>,
    /// Content to get, one entry an object.
    pub fetches: Vec<Fetch>,
    /// Pages to write again from the blocks that were kept.
    pub rewrites: Vec<Rewrite>,
    /// Files whose bytes are right and whose mtime is not.
    pub touches: Vec<Touch>,
    /// `.url` files to write.
    pub urls: Vec<MakeUrl>,
    /// Symlinks to make or to point elsewhere, after all content.
    pub links: Vec<MakeLink>,
    /// Copies to remove, children before their folder.
    pub prunes: Vec<Prune>,
    /// What is left out, and why.
    pub skips: Vec<Skip>,
    /// Guards that refused, by source.
    pub guards: Vec<Guard>,
    /// Places with no change at all.
    pub unchanged: Vec<PlaceKey>,
    /// Listings that failed, by source: exit 2.
    pub listing_failures: Vec<(SourceName, Failure)>,
    /// Files in the copy that the config no longer asks for: they may stay, but nothing
    /// refers to them.
    pub stale: BTreeSet<(PlaceKey, Format)>,
    /// What sources to record after the run: root, and the time of a full walk.
    pub sources: BTreeMap<SourceName, crate::model::recorded::SourceRow>,
    /// Things to say that are no change of a place.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Every file to fetch.
    pub fn wants(&self) -> impl Iterator<Item = &Want> {
        self.fetches.iter().flat_map(|fetch| &fetch.wants)
    }
}

/// A place's row gets another key, parent, title or names, and what it has on disk
/// goes along by rename.
#[derive(Debug, Clone, PartialEq)]
pub struct Relocation {
    /// The row as the manifest keys it now.
    pub from: PlaceKey,
    /// Its key afterwards (differs for a move across sources, or into a wiki). Rows of
    /// what a folder carries along to another source get that source too.
    pub to: PlaceKey,
    /// Its row afterwards. Products are those recorded now that stay; a slot whose
    /// name is in `names` but has nothing on disk is not renamed.
    pub row: PlaceRow,
    /// What is printed, one a slot that stands elsewhere afterwards by its own doing
    /// (not by its folder's).
    pub changes: Vec<(Slot, Change)>,
}

/// A folder to make (or to make again).
#[derive(Debug, Clone, PartialEq)]
pub struct MakeFolder {
    /// The place; its row is in [`Plan::records`] or recorded.
    pub place: PlaceKey,
    /// What is printed; `None` for a space's folder and the like.
    pub change: Option<Change>,
}

/// Content of one object, for one or more places and formats.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// The object.
    pub object: Object,
    /// Its title, for messages.
    pub title: String,
    /// Its owner's `open_id`, where the listing named one.
    pub owner: Option<String>,
    /// Where to open it in a browser, for a `.url` stand-in.
    pub url: Option<String>,
    /// The edit time as listed.
    pub edited: Option<Edited>,
    /// The revision, where it was asked.
    pub revision: Option<i64>,
    /// What to make of it.
    pub wants: Vec<Want>,
}

/// One product (or one side folder) at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Want {
    /// Where; its row is in [`Plan::records`], [`Plan::moves`] or recorded.
    pub place: PlaceKey,
    /// Which format.
    pub format: Format,
    /// A recorded product of the same object with the same content elsewhere in the
    /// copy (named by where it stands after the moves): copied instead of fetched.
    pub copy_from: Option<(PlaceKey, ProductKey)>,
    /// For what is more than one file: only these are missing or altered; empty: all.
    pub damaged: Vec<ProductKey>,
    /// Recorded files of it that are missing or altered, whatever is fetched: what stands
    /// there does not serve.
    pub lost: Vec<ProductKey>,
    /// What is printed.
    pub change: Change,
}

/// A page to write again from the blocks that were kept: something that it refers to has
/// another path or title, or its file is damaged.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewrite {
    /// The place; the slot is that of `md`.
    pub place: PlaceKey,
    /// What is printed.
    pub change: Change,
}

/// An mtime to set back.
#[derive(Debug, Clone, PartialEq)]
pub struct Touch {
    /// The place.
    pub place: PlaceKey,
    /// The product.
    pub product: ProductKey,
    /// What is printed.
    pub change: Change,
}

/// A `.url` file to write.
#[derive(Debug, Clone, PartialEq)]
pub struct MakeUrl {
    /// The place; the slot is `Product(Url)`.
    pub place: PlaceKey,
    /// Where it leads.
    pub url: String,
    /// Its mtime and stamp.
    pub edited: Option<Edited>,
    /// What is printed.
    pub change: Change,
}

/// A symlink to make.
#[derive(Debug, Clone, PartialEq)]
pub struct MakeLink {
    /// The shortcut's place.
    pub place: PlaceKey,
    /// Which of its links.
    pub slot: Slot,
    /// The target's place (as keyed after the moves) and the slot linked to. `apply`
    /// computes the text from where both stand then, and makes no dangling link.
    pub to: (PlaceKey, Slot),
    /// What is printed.
    pub change: Change,
}

/// A copy (or part of one) to remove.
#[derive(Debug, Clone, PartialEq)]
pub struct Prune {
    /// The place, as keyed after the moves.
    pub place: PlaceKey,
    /// Its products to remove; unlisted ones stay.
    pub products: Vec<(ProductKey, Change)>,
    /// The folder to remove if nothing else is in it.
    pub folder: Option<Change>,
    /// How.
    pub action: Removal,
    /// The row afterwards; `None` to drop it.
    pub row: Option<PlaceRow>,
}

/// How a copy is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// To `trash/<run>/<path>`.
    Trash,
    /// For good. A locally altered file goes to the trash all the same.
    Delete,
}

/// Something left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Skip {
    /// What is printed.
    pub change: Change,
    /// Why; `None` where only the config leaves it out.
    pub why: Option<Why>,
    /// What the service said, with what to do.
    pub failure: Option<Failure>,
}

/// A guard that refused to prune a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// The source.
    pub source: SourceName,
    /// What it saw and how to override it.
    pub message: String,
}
