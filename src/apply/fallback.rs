//! Markdown in the place of exports that the service refuses as too large: what is asked for
//! then, what the copy has of it already, and the names that nobody planned.

use std::collections::BTreeMap;

use crate::model::change::{Change, ChangeKind};
use crate::model::local::LocalEntry;
use crate::model::recorded::{Moved, ProductKey, Stamp, Why};
use crate::model::{Edited, Format, ObjType, PlaceKey, RelPath};
use crate::plan::{Fetch, Want};

use super::fetch::{Copy, Got, Setback, What, is_page};
use super::jobs;
use super::journal::{Journal, MTIME_TOLERANCE_SECS};
use super::page::Standing;
use super::trouble::Halt;

/// Why a page is there that nobody asked for.
const REASON: &str = "too large to export";

/// A page that stands for an export which was refused before.
#[derive(Debug)]
pub(super) struct Stood {
    /// Its files that came whole, by format, with what was seen of the document then.
    whole: BTreeMap<Format, Stamp>,
    /// True where it has a text, of whatever age.
    has_text: bool,
    /// Its pictures and files.
    here: BTreeMap<String, Copy>,
}

impl Stood {
    /// True where there is nothing to fetch for this format.
    fn is_current(&self, format: Format, edited: Option<Edited>, revision: Option<i64>) -> bool {
        let Some(stamp) = self.whole.get(&format) else { return false };
        let same = revision.is_some() && stamp.revision == revision;
        let older = |edited| matches!(stamp.compare(edited), Moved::Yes | Moved::Unsettled);
        same || !edited.is_some_and(older)
    }
}

/// The pages that stand for what is asked for again, by place.
pub(super) fn standing(
    journal: &Journal,
    fetch: &Fetch,
    wants: &[Want],
) -> BTreeMap<PlaceKey, Stood> {
    if fetch.object.ty != ObjType::Docx {
        return BTreeMap::new();
    }
    let places = wants.iter().filter_map(|want| Some((want.place.clone(), stood(journal, want)?)));
    places.collect()
}

fn stood(journal: &Journal, want: &Want) -> Option<Stood> {
    let row = journal.row(&want.place)?;
    if row.outcomes.get(&want.format)?.why != Why::FellBack {
        return None;
    }
    let whole = [Format::Md, Format::Blocks].into_iter().filter_map(|format| {
        let product = row.products.get(&ProductKey::whole(format.slot()))?;
        (!row.outcomes.contains_key(&format)).then(|| (format, product.stamp.clone()))
    });
    // The plan looked at what it wants itself; this it left out.
    let is_there = |copy: &Copy| match journal.disk.look(&copy.from) {
        Ok(Some(LocalEntry::File { size, mtime_secs })) => {
            let timely = mtime_secs.abs_diff(copy.row.mtime_secs) <= MTIME_TOLERANCE_SECS;
            size == copy.row.size && timely && !copy.row.doubtful
        }
        _ => false,
    };
    let page = Want { format: Format::Md, ..want.clone() };
    let mut here = jobs::standing(journal.current(), &page).here;
    here.retain(|_, copy| is_there(copy));
    let has_text = row.products.contains_key(&ProductKey::whole(Format::Md.slot()));
    Some(Stood { whole: whole.collect(), has_text, here })
}

/// True where Markdown takes the place of what was asked for.
pub(super) fn fell_back(what: &What) -> bool {
    matches!(what, What::Setback(Setback::Trouble(trouble)) if trouble.why == Why::FellBack)
}

/// What stands in for an export that was refused: the document as Markdown, as the next plan
/// would ask for it. `raw`: with its blocks.
pub(super) fn pages_for(
    refused: &Want,
    stood: Option<&Stood>,
    raw: bool,
    edited: Option<Edited>,
    revision: Option<i64>,
) -> Vec<(Want, Standing)> {
    let path = refused.change.path.as_str();
    let stem = path.strip_suffix(&format!(".{}", refused.format)).unwrap_or(path);
    let raw = raw.then_some((Format::Blocks, "blocks.json"));
    let wanted = [Some((Format::Md, "md")), raw].into_iter().flatten();
    let lacking = wanted.filter(|(format, _)| {
        !stood.is_some_and(|stood| stood.is_current(*format, edited, revision))
    });
    lacking
        .filter_map(|(format, extension)| {
            let kind = match stood {
                Some(stood) if stood.has_text => ChangeKind::Update,
                _ => ChangeKind::Add,
            };
            let change = Change {
                kind,
                // See `name_pages`.
                path: RelPath::new(format!("{stem}.{extension}")).ok()?,
                from: None,
                format: Some(format),
                reason: Some(REASON.to_owned()),
                ..refused.change.clone()
            };
            let place = refused.place.clone();
            let want = Want {
                place,
                format,
                copy_from: None,
                damaged: Vec::new(),
                lost: Vec::new(),
                change,
            };
            let here = stood.map(|stood| stood.here.clone()).unwrap_or_default();
            Some((want, Standing { here, ..Standing::default() }))
        })
        .collect()
}

impl Journal {
    /// Gives pages that the plan did not foresee their names, which others may have, and
    /// lets what is told of them say so.
    pub(super) fn name_pages(&mut self, got: &mut Got) -> Result<(), Halt> {
        for want in &mut got.wants {
            if !is_page(want.format) || want.change.reason.as_deref() != Some(REASON) {
                continue;
            }
            self.claim(&want.place, want.format)?;
            let at = self.current().slot(&want.place, want.format.slot());
            if let Some(path) = at.as_ref().and_then(|at| at.in_mirror()) {
                want.change.path = path.clone();
            }
        }
        Ok(())
    }
}
