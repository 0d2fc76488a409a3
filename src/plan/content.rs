//! Is a product current, on disk and remotely? If not, what is to be done about it?

use super::Inputs;
use super::absent::ASK_AGAIN_SECS;
use super::embeds;
use crate::model::local::LocalEntry;
use crate::model::page::Limits;
use crate::model::recorded::{Loc, Moved, Outcome, PlaceRow, ProductKey, ProductRow, Stamp, Why};
use crate::model::{Edited, Format, ObjType, Object, PlaceKey};

/// mtimes this close are equal: FAT keeps 2 s, and copies round.
pub(super) const MTIME_TOLERANCE_SECS: u64 = 2;

/// What is on disk for a recorded product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDisk {
    /// As recorded.
    Intact,
    /// The bytes are right, the mtime is not.
    WrongTime,
    Altered,
    Missing,
    /// The folder above cannot be read.
    Unknown,
}

/// Why something is fetched again that need not be: `--force`.
pub const FORCED: &str = "forced";

/// Why a page is fetched again that shows a note instead of something.
pub(super) const REFUSED: &str = "what it embeds was refused";

/// Compares a recorded product with the scan.
pub(super) fn on_disk(inputs: &Inputs<'_>, key: &PlaceKey, product: &ProductKey) -> OnDisk {
    let row = &inputs.recorded.places[key].products[product];
    let Some(at) = inputs.recorded.product(key, product) else { return OnDisk::Missing };
    let Some(entry) = inputs.local.entries.get(&at) else {
        return if hidden_from_us(inputs, &at) { OnDisk::Unknown } else { OnDisk::Missing };
    };
    match entry {
        LocalEntry::Link(text) if row.link.as_ref() == Some(text) => OnDisk::Intact,
        LocalEntry::File { size, mtime_secs } if row.link.is_none() && *size == row.size => {
            let timely = mtime_secs.abs_diff(row.mtime_secs) <= MTIME_TOLERANCE_SECS;
            let right = inputs.local.hashes.get(&at) == Some(&row.blake3);
            match (timely, right) {
                (true, _) if !row.doubtful => OnDisk::Intact,
                (true, true) => OnDisk::Intact,
                (false, true) => OnDisk::WrongTime,
                (_, false) => OnDisk::Altered,
            }
        }
        _ => OnDisk::Altered,
    }
}

/// True where something is there, or may be.
pub(super) fn may_stand(inputs: &Inputs<'_>, at: &Loc) -> bool {
    inputs.local.entries.contains_key(at) || hidden_from_us(inputs, at)
}

fn hidden_from_us(inputs: &Inputs<'_>, at: &Loc) -> bool {
    let Some(path) = at.in_mirror() else { return false };
    inputs.local.unreadable.iter().any(|folder| path.is_within(folder))
}

/// What a product needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Need {
    /// Nothing; with a stamp to record where more is known of it now.
    Nothing(Option<Stamp>),
    /// Never fetched.
    Add,
    /// The object changed.
    Update(&'static str),
    /// The copy is damaged: these files of it.
    Restore(&'static str, Vec<ProductKey>),
    /// The file of a page is damaged, and can be written again from its kept blocks.
    Rewrite(&'static str),
    /// Not asked in this run.
    Skip(Outcome),
}

/// Decides about one format of one place, from its recorded row.
pub(super) fn need(
    inputs: &Inputs<'_>,
    old: Option<(&PlaceKey, &PlaceRow)>,
    object: &Object,
    format: Format,
    edited: Option<Edited>,
    forced: bool,
) -> Need {
    let Some((key, row)) = old else { return Need::Add };
    if let Some(outcome) = row.outcomes.get(&format)
        && !ask_again(inputs, key, outcome, format, edited)
        && !forced
    {
        return Need::Skip(outcome.clone());
    }
    let mut there = row.products_in(format.slot());
    let Some((_, first)) = there.find(|(product, _)| product.format() == Some(format)) else {
        return Need::Add;
    };
    if forced {
        return Need::Update(FORCED);
    }
    let stamp = match remote(inputs, first, object, format, edited) {
        Ok(stamp) => stamp,
        Err(reason) => return Need::Update(reason),
    };
    // A part of it may have come, and look current, when another one did not.
    match row.outcomes.get(&format).map(|outcome| outcome.why) {
        Some(Why::Failed) => return Need::Update("failed before"),
        Some(Why::Blocked) => return Need::Update("was blocked"),
        _ => {}
    }
    if format == Format::Comments
        && let Some(every) = inputs.rules.comments_every_secs
        && inputs.now_secs.saturating_sub(first.stamp.looked_at()) >= every
    {
        return Need::Update("read again from time to time");
    }
    if format == Format::Md {
        match &row.page {
            None => return Need::Update("its blocks are not kept"),
            Some(page) if page.embeds.iter().any(|embed| embeds::moved(inputs, embed)) => {
                return Need::Update("what it embeds changed");
            }
            Some(page) if page.embeds.iter().any(|embed| embeds::asked_again(inputs, embed)) => {
                return Need::Update(REFUSED);
            }
            Some(page) if is_cut_otherwise(inputs, &page.limits) => {
                return Need::Update("its limits are other ones now");
            }
            Some(_) => {}
        }
    }
    let (reason, damaged) = damaged(inputs, key, row, format);
    match damaged.as_slice() {
        [] => Need::Nothing(stamp),
        [page] if page.format() == Some(Format::Md) => Need::Rewrite(reason),
        _ => Need::Restore(reason, damaged),
    }
}

/// True where a page that was cut would be cut elsewhere now, or not at all.
fn is_cut_otherwise(inputs: &Inputs<'_>, cut: &Limits) -> bool {
    let rules = inputs.rules;
    cut.table_rows.is_some_and(|rows| rows != rules.markdown.table_rows)
        || cut.max_size.is_some_and(|size| Some(size) != rules.max_size)
}

/// Recorded files of a format that are missing or altered, and which of both.
pub(super) fn damaged(
    inputs: &Inputs<'_>,
    key: &PlaceKey,
    row: &PlaceRow,
    format: Format,
) -> (&'static str, Vec<ProductKey>) {
    let mut damaged = Vec::new();
    let mut reason = "missing";
    for product in row.products.keys().filter(|product| belongs(product, format)) {
        match on_disk(inputs, key, product) {
            OnDisk::Intact | OnDisk::WrongTime | OnDisk::Unknown => continue,
            OnDisk::Altered => reason = "altered",
            OnDisk::Missing => {}
        }
        damaged.push(product.clone());
    }
    (reason, damaged)
}

/// True for the files that come and go with a format: a page or base has its pictures and
/// files beside it.
pub(super) fn belongs(product: &ProductKey, format: Format) -> bool {
    let of = product.format();
    of == Some(format) || (format.has_assets() && of == Some(Format::Assets))
}

/// `Ok`: the content is what was fetched (with a better stamp, if there is one).
fn remote(
    inputs: &Inputs<'_>,
    product: &ProductRow,
    object: &Object,
    format: Format,
    edited: Option<Edited>,
) -> Result<Option<Stamp>, &'static str> {
    let Some(edited) = edited else { return Ok(None) };
    let stamp = &product.stamp;
    let renewed = |seen_secs: i64| {
        let mut renewed = stamp.clone();
        renewed.times.insert(edited.channel, edited.at_secs);
        renewed.seen_secs = seen_secs;
        Some(renewed)
    };
    let moved = stamp.compare(edited);
    match moved {
        Moved::No => return Ok(None),
        Moved::Baseline => return Ok(renewed(stamp.seen_secs)),
        Moved::Yes | Moved::Unsettled => {}
    }
    // Only of a docx is it documented that comments move the revision (docs:
    // docx-v1/document).
    let tells = format != Format::Comments || object.ty == ObjType::Docx;
    if object.ty.has_revision()
        && tells
        && let (Some(known), Some(Some(now))) =
            (stamp.revision, inputs.answers.revisions.get(object))
        && known == *now
    {
        return Ok(renewed(edited.seen_secs));
    }
    Err(if moved == Moved::Yes { "edited" } else { "unsettled" })
}

/// True where only the revision can tell whether the object changed. Files of formats that
/// nobody wants, and pictures, are of older revisions and stay so.
pub(super) fn asks_revision(
    inputs: &Inputs<'_>,
    row: &PlaceRow,
    object: &Object,
    formats: &[Format],
    edited: Option<Edited>,
) -> bool {
    let Some(edited) = edited else { return false };
    let wanted = |key: &ProductKey| key.format().is_some_and(|format| formats.contains(&format));
    object.ty.has_revision()
        && !inputs.answers.revisions.contains_key(object)
        && row.products.iter().filter(|(key, _)| wanted(key)).any(|(_, product)| {
            product.stamp.revision.is_some()
                && matches!(product.stamp.compare(edited), Moved::Yes | Moved::Unsettled)
        })
}

/// True where a recorded outcome is no reason to leave the format out now.
fn ask_again(
    inputs: &Inputs<'_>,
    key: &PlaceKey,
    outcome: &Outcome,
    format: Format,
    edited: Option<Edited>,
) -> bool {
    let changed = edited.is_some_and(|edited| {
        matches!(outcome.stamp.compare(edited), Moved::Yes | Moved::Unsettled)
    });
    let retry = inputs.options.retry_failed;
    match outcome.why {
        Why::Failed => true,
        Why::Forbidden => {
            changed || retry || inputs.now_secs.saturating_sub(outcome.at_secs) >= ASK_AGAIN_SECS
        }
        Why::Refused | Why::FellBack => changed || retry,
        Why::Unsupported => changed,
        Why::TooLarge => changed || outcome.limit != inputs.rules.max_size,
        Why::Blocked => {
            let at = inputs.recorded.slot(key, format.slot());
            let still_there = at.is_some_and(|at| inputs.local.entries.contains_key(&at));
            // Instead of the folder of its pictures and files.
            let side = inputs.recorded.slot(key, Format::Assets.slot());
            let side =
                side.filter(|_| format.has_assets()).and_then(|at| inputs.local.entries.get(&at));
            let side_blocked = side.is_some_and(|entry| *entry != LocalEntry::Dir);
            // Or what stood in the way is gone, and our own earlier copy is back.
            let ours = inputs.recorded.places.get(key).is_some_and(|row| {
                let mut own = row.products.keys().filter(|own| own.slot == format.slot());
                let intact = |own| on_disk(inputs, key, own) == OnDisk::Intact;
                own.clone().next().is_some() && own.all(intact)
            });
            retry || inputs.options.adopt || (!side_blocked && (!still_there || ours))
        }
    }
}
