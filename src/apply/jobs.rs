//! What there is to fetch, as the fetches are told: with what the copy already has of it.

use std::collections::BTreeMap;
use std::mem;

use crate::model::change::ChangeKind;
use crate::model::recorded::{Loc, ProductKey, Recorded, Stamp};
use crate::model::{Format, PlaceKey};
use crate::plan::{Fetch, Want};

use super::fetch::{Copy, Job};
use super::journal::Journal;
use super::page::Standing;
use super::trouble::Halt;
use super::{fallback, publish};

/// What to fetch, with what the manifest says about copies. What could be put nowhere,
/// because its folder failed, fails here and costs no call.
pub(super) fn jobs(journal: &mut Journal, fetches: Vec<Fetch>) -> Result<Vec<Job>, Halt> {
    let mut jobs = Vec::with_capacity(fetches.len());
    for mut fetch in fetches {
        let wants = mem::take(&mut fetch.wants);
        let (wants, lost): (Vec<_>, Vec<_>) = wants.into_iter().partition(|want| {
            matches!(journal.current().slot(&want.place, want.format.slot()), Some(Loc::Mirror(_)))
        });
        let stamp = Stamp::of(fetch.edited, fetch.revision);
        for want in lost {
            let trouble = publish::no_row(&want.place);
            journal.fail_want(&want, &stamp, &trouble)?;
        }
        if wants.is_empty() {
            continue;
        }
        let current = journal.current();
        let copies = wants.iter().map(|want| {
            // A page's links are its own place's: it is written, from the same blocks. Of a
            // base only the attachments are copied.
            let (key, product) = want.copy_from.as_ref().filter(|_| !want.format.has_assets())?;
            let row = current.places.get(key)?.products.get(product)?.clone();
            Some(Copy { from: current.product(key, product)?, row })
        });
        let copies = copies.collect();
        let standing = wants.iter().map(|want| standing(current, want)).collect();
        let pages = fallback::standing(journal, &fetch, &wants);
        jobs.push(Job { copies, standing, pages, fetch: Fetch { wants, ..fetch } });
    }
    Ok(jobs)
}

/// What the copy already has for a page or a base.
pub(super) fn standing(recorded: &Recorded, want: &Want) -> Standing {
    if !matches!(want.format, Format::Md | Format::Blocks | Format::Json) {
        return Standing::default();
    }
    let assets = |key: &PlaceKey, but: &[ProductKey]| {
        let row = recorded.places.get(key);
        let products = row.into_iter().flat_map(|row| &row.products);
        let assets = products.filter(|(product, _)| product.format() == Some(Format::Assets));
        let copies = assets.filter(|(product, _)| !but.contains(product)).filter_map(|(p, row)| {
            let copy = Copy { from: recorded.product(key, p)?, row: row.clone() };
            Some((p.part.clone()?, copy))
        });
        copies.collect::<BTreeMap<String, Copy>>()
    };
    let from = want.copy_from.as_ref().map(|(key, _)| key);
    let with_kept = match want.change.kind {
        ChangeKind::Update => None,
        _ => from.or(Some(&want.place)),
    };
    let kept = with_kept.and_then(|key| {
        let row = recorded.places.get(key)?;
        let page = row.products.get(&ProductKey::whole(Format::Md.slot()))?;
        Some((row.page.as_ref()?.kept, page.stamp.clone()))
    });
    Standing {
        kept,
        before: recorded.places.get(&want.place).and_then(|row| Some(row.page.as_ref()?.kept)),
        here: assets(&want.place, &want.lost),
        elsewhere: from.map(|key| assets(key, &[])).unwrap_or_default(),
    }
}
