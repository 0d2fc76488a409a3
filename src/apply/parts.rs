//! Side folders: one export a sheet or table, one file each in `Title.sheets/`.

use std::collections::BTreeMap;

use futures_util::StreamExt;

use crate::disk::Sealed;
use crate::layout::{self, Claimant, Names};
use crate::model::recorded::{ProductKey, Slot, Stamp, Why};
use crate::model::{Format, PlaceKey, PlaceToken};
use crate::plan::Want;
use crate::store::RowChange;

use super::export_queue::Flight;
use super::fetch::{About, Fetcher, Setback};
use super::journal::{Journal, Op, Step, done};
use super::pace::WIDEST;
use super::publish::{Bytes, Delivery, no_row};
use super::trouble::{Halt, Trouble};

/// The format of all parts.
const FORMAT: Format = Format::Csv;
const SLOT: Slot = Slot::Product(FORMAT);

/// What a part claims in its folder: one file, of whatever format has one (as a slot of
/// a place, `csv` names the side folder).
const FILE: Slot = Slot::Product(Format::Xlsx);

/// What came of a side folder.
#[derive(Debug)]
pub(super) struct Parts {
    /// Every part there is: id and title, in the service's order.
    all: Vec<(String, String)>,
    /// What was fetched.
    files: Vec<(String, Result<Sealed, Trouble>)>,
}

/// Exports the wanted parts of a spreadsheet or base.
pub(super) async fn get(
    fetcher: &Fetcher,
    about: &About,
    wants: &[Want],
    flight: &mut Option<Flight<'_>>,
) -> Result<Parts, Setback> {
    let listed = fetcher.call(fetcher.client.list_parts(&about.object)).await?;
    let all: Vec<(String, String)> =
        listed.into_iter().filter(|part| part.exportable).map(|p| (p.id, p.title)).collect();
    let everything = wants.iter().any(|want| want.damaged.is_empty());
    let damaged = |id: &String| {
        let product = ProductKey::part(SLOT, id.clone());
        wants.iter().any(|want| want.damaged.contains(&product))
    };
    let ids: Vec<String> =
        all.iter().map(|(id, _)| id.clone()).filter(|id| everything || damaged(id)).collect();
    // Each part waits for its own turn: whoever held one of them while waiting for the
    // next could be waiting for itself.
    *flight = None;
    let exports = futures_util::stream::iter(ids).map(|id| async move {
        let (object, mut flight) = (&about.object, None);
        let result = fetcher.exports.export(fetcher, object, FORMAT, Some(&id), &mut flight).await;
        (id, result)
    });
    let mut exports = exports.buffered(WIDEST);
    let mut files = Vec::new();
    while let Some((id, result)) = exports.next().await {
        let result = match result {
            Ok(sealed) => Ok(sealed),
            Err(Setback::Trouble(trouble)) => Err(trouble),
            Err(other) => return Err(other),
        };
        files.push((id, result));
    }
    Ok(Parts { all, files })
}

impl Journal {
    /// Brings the files of a side folder into the copy, at every place that wants them.
    pub(super) fn publish_parts(
        &mut self,
        about: &About,
        wants: &[Want],
        stamp: &Stamp,
        parts: Parts,
    ) -> Result<(), Halt> {
        let Parts { all, files } = parts;
        let mut files: Vec<(String, Result<Bytes, Trouble>)> =
            files.into_iter().map(|(id, file)| (id, file.map(Bytes::new))).collect();
        let fetched = files.iter().filter_map(|(_, file)| file.as_ref().ok());
        self.report.bytes += fetched.map(|bytes| bytes.size).sum::<u64>();
        for want in wants {
            self.flush()?;
            if let Err(trouble) = self.publish_side(about, want, stamp, &all, &mut files)? {
                self.fail_want(want, stamp, &trouble)?;
            }
        }
        for (_, file) in files {
            if let Ok(bytes) = file {
                self.discard(bytes);
            }
        }
        Ok(())
    }

    fn publish_side(
        &mut self,
        about: &About,
        want: &Want,
        stamp: &Stamp,
        all: &[(String, String)],
        files: &mut [(String, Result<Bytes, Trouble>)],
    ) -> Result<Result<(), Trouble>, Halt> {
        let key = &want.place;
        let Some(names) = self.part_names(about, key, all) else { return Ok(Err(no_row(key))) };
        if let Err(trouble) = self.drop_parts(key, &names)? {
            return Ok(Err(trouble));
        }
        if let Err(trouble) = self.rename_parts(key, SLOT, &names)? {
            return Ok(Err(trouble));
        }
        if all.is_empty() {
            let mut trouble = Trouble::failed("it has nothing that can be exported as csv");
            trouble.why = Why::Unsupported;
            trouble.failure.retryable = false;
            self.skip_late(want, stamp, &trouble)?;
            return Ok(Ok(()));
        }
        let mtime_secs = self.mtime_of(about.edited);
        let (mut bytes_total, mut written, mut failed) = (0, false, None);
        for (id, file) in files {
            let product = ProductKey::part(SLOT, id.clone());
            if !want.damaged.is_empty() && !want.damaged.contains(&product) {
                continue;
            }
            let bytes = match file {
                Ok(bytes) => bytes,
                Err(trouble) => {
                    failed.get_or_insert(trouble.clone());
                    continue;
                }
            };
            let delivery = Delivery {
                product: product.clone(),
                part_name: names.get(id).map(String::as_str),
                ..Delivery::new(key, stamp, mtime_secs)
            };
            match self.deliver(&delivery, bytes)? {
                Ok(wrote) => {
                    bytes_total += bytes.size;
                    written |= wrote;
                }
                Err(trouble) => {
                    failed.get_or_insert(trouble);
                    continue;
                }
            }
            // A refusal of the disk shows only now.
            self.flush()?;
            let row = self.row(key).and_then(|row| row.products.get(&product));
            if row.is_none_or(|row| row.blake3 != bytes.blake3) {
                failed.get_or_insert(Trouble::failed(format!(
                    "sheet or table {id} could not be written"
                )));
            }
        }
        if let Some(trouble) = failed {
            return Ok(Err(trouble));
        }
        let Some(mut row) = self.row(key).cloned() else { return Ok(Err(no_row(key))) };
        row.outcomes.remove(&FORMAT);
        self.push(Step {
            key: key.clone(),
            op: None,
            then: vec![RowChange::Put { key: key.clone(), place: Box::new(row) }],
            done: vec![done(want.change.clone(), bytes_total, None, written)],
            wants: Vec::new(),
        })?;
        Ok(Ok(()))
    }

    /// A file name for every part. A part keeps the name it has while its title gives
    /// that name, whatever the others do.
    fn part_names(
        &self,
        about: &About,
        key: &PlaceKey,
        all: &[(String, String)],
    ) -> Option<BTreeMap<String, String>> {
        let row = self.row(key)?;
        let claimants: Vec<Claimant> = all
            .iter()
            .map(|(id, title)| {
                let stem = layout::stem(title, &about.object.ty);
                let old = row.products.get(&ProductKey::part(SLOT, id.clone()));
                let given = old.and_then(|old| old.part_name.as_deref()).and_then(|name| {
                    let given = name.strip_suffix(".csv")?;
                    let same = given.strip_prefix(&stem)?;
                    (same.is_empty() || same.starts_with('~')).then(|| Names {
                        stem: given.to_owned(),
                        names: BTreeMap::from([(FILE, format!("{given}.xlsx"))]),
                    })
                });
                Claimant {
                    token: PlaceToken::new(id.clone()),
                    title: title.clone(),
                    ty: about.object.ty.clone(),
                    created_secs: 0,
                    file_extension: None,
                    slots: vec![FILE],
                    given,
                }
            })
            .collect();
        let named = layout::assign(&claimants, &[]).into_iter();
        let csv = |(token, given): (PlaceToken, Names)| {
            (token.as_str().to_owned(), format!("{}.csv", given.stem))
        };
        Some(named.map(csv).collect())
    }

    /// What the object no longer has goes into the trash.
    fn drop_parts(
        &mut self,
        key: &PlaceKey,
        names: &BTreeMap<String, String>,
    ) -> Result<Result<(), Trouble>, Halt> {
        let Some(row) = self.row(key) else { return Ok(Err(no_row(key))) };
        let lost: Vec<ProductKey> = row
            .products
            .keys()
            .filter(|product| product.format() == Some(FORMAT))
            .filter(|product| product.part.as_ref().is_none_or(|id| !names.contains_key(id)))
            .cloned()
            .collect();
        for product in lost {
            if let Err(trouble) = self.drop_part(key, &product)? {
                return Ok(Err(trouble));
            }
        }
        Ok(Ok(()))
    }

    /// Renamed parts get their new names. One that stands on another's new name goes to
    /// a name of its own first, so that two may swap.
    pub(super) fn rename_parts(
        &mut self,
        key: &PlaceKey,
        slot: Slot,
        names: &BTreeMap<String, String>,
    ) -> Result<Result<(), Trouble>, Halt> {
        for (id, name) in names {
            let Some(row) = self.row(key) else { return Ok(Err(no_row(key))) };
            let product = ProductKey::part(slot, id.clone());
            let stands = row.products.get(&product).and_then(|row| row.part_name.as_deref());
            if stands == Some(name) {
                continue;
            }
            // Also for a part that is not on disk yet, whoever has its name must leave it.
            let holder = row.products.iter().find(|(other, row)| {
                other.slot == slot && **other != product && row.part_name.as_deref() == Some(name)
            });
            if let Some((other, _)) = holder {
                let other = other.clone();
                let aside = format!(".{}.moving", other.part.as_deref().unwrap_or_default());
                if let Err(trouble) = self.rename_part(key, &other, &aside)? {
                    return Ok(Err(trouble));
                }
            }
            if self.row(key).is_some_and(|row| row.products.contains_key(&product))
                && let Err(trouble) = self.rename_part(key, &product, name)?
            {
                return Ok(Err(trouble));
            }
        }
        Ok(Ok(()))
    }

    fn rename_part(
        &mut self,
        key: &PlaceKey,
        product: &ProductKey,
        name: &str,
    ) -> Result<Result<(), Trouble>, Halt> {
        self.flush()?;
        let from = self.current().product(key, product);
        let to = self.current().slot(key, product.slot).and_then(|side| side.join(name));
        let (Some(from), Some(to), Some(mut row)) = (from, to, self.row(key).cloned()) else {
            return Ok(Err(no_row(key)));
        };
        let there = match self.disk.look(&from) {
            Ok(there) => there.is_some(),
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        };
        if let Some(product) = row.products.get_mut(product) {
            product.part_name = Some(name.to_owned());
        }
        self.try_now(Step {
            key: key.clone(),
            op: there.then_some(Op::Move { from, to }),
            then: vec![RowChange::Put { key: key.clone(), place: Box::new(row) }],
            done: Vec::new(),
            wants: Vec::new(),
        })
    }
}
