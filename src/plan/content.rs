//! Is a product current, on disk and remotely? If not, what is to be done about it?

use super::Inputs;
use super::absent::ASK_AGAIN_SECS;
use crate::model::local::LocalEntry;
use crate::model::recorded::{
    Loc, Moved, Outcome, PlaceRow, ProductKey, ProductRow, Slot, Stamp, Why,
};
use crate::model::{Edited, Format, Object, PlaceKey};

/// mtimes this close are equal: FAT keeps 2 s, and copies round.
pub(super) const MTIME_TOLERANCE_SECS: i64 = 2;

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
            let timely = (mtime_secs - row.mtime_secs).abs() <= MTIME_TOLERANCE_SECS;
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
    /// The copy is damaged: these parts of it (empty: all).
    Restore(&'static str, Vec<String>),
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
    let slot = Slot::Product(format);
    let products: Vec<(&ProductKey, &ProductRow)> =
        row.products.iter().filter(|(product, _)| product.slot == slot).collect();
    let Some((_, first)) = products.first() else { return Need::Add };
    if forced {
        return Need::Update("forced");
    }
    let stamp = match remote(inputs, first, object, edited) {
        Ok(stamp) => stamp,
        Err(reason) => return Need::Update(reason),
    };
    let mut damaged = Vec::new();
    let mut reason = "missing";
    for (product, _) in &products {
        match on_disk(inputs, key, product) {
            OnDisk::Intact | OnDisk::WrongTime | OnDisk::Unknown => {}
            OnDisk::Altered => {
                reason = "altered";
                damaged.push(product.part.clone().unwrap_or_default());
            }
            OnDisk::Missing => damaged.push(product.part.clone().unwrap_or_default()),
        }
    }
    if !damaged.is_empty() {
        damaged.retain(|part| !part.is_empty());
        return Need::Restore(reason, damaged);
    }
    Need::Nothing(stamp)
}

/// `Ok`: the content is what was fetched (with a better stamp, if there is one).
fn remote(
    inputs: &Inputs<'_>,
    product: &ProductRow,
    object: &Object,
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
    if object.ty.has_revision()
        && let (Some(known), Some(Some(now))) =
            (stamp.revision, inputs.answers.revisions.get(object))
        && known == *now
    {
        return Ok(renewed(edited.seen_secs));
    }
    Err(if moved == Moved::Yes { "edited" } else { "unsettled" })
}

/// True where only the revision can tell whether the object changed.
pub(super) fn asks_revision(
    inputs: &Inputs<'_>,
    row: &PlaceRow,
    object: &Object,
    edited: Option<Edited>,
) -> bool {
    let Some(edited) = edited else { return false };
    object.ty.has_revision()
        && !inputs.answers.revisions.contains_key(object)
        && row.products.values().any(|product| {
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
        Why::Forbidden => changed || retry || inputs.now_secs - outcome.at_secs >= ASK_AGAIN_SECS,
        Why::Refused => changed || retry,
        Why::Unsupported => changed,
        Why::TooLarge => changed || outcome.limit != inputs.rules.max_size,
        Why::Blocked => {
            let at = inputs.recorded.slot(key, Slot::Product(format));
            let still_there = at.is_some_and(|at| inputs.local.entries.contains_key(&at));
            retry || inputs.options.adopt || !still_there
        }
    }
}
