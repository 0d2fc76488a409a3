//! Side folders: one file a sheet or table, in `Title.sheets/` or `Title.tables/`. CSV is
//! exported here; tables as JSON (`tables`) are published like it, in the same folder.

use std::collections::{BTreeMap, BTreeSet};

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
use super::publish::{Bytes, Delivery, Told, no_row};
use super::tickets::Order;
use super::trouble::{Halt, Trouble};

/// The format of all exported parts.
const FORMAT: Format = Format::Csv;

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
    stamp: &Stamp,
    flight: &mut Option<Flight<'_>>,
) -> Result<Parts, Setback> {
    let listed = fetcher.call(fetcher.client.list_parts(&about.object)).await?;
    let all: Vec<(String, String)> =
        listed.into_iter().filter(|part| part.exportable).map(|p| (p.id, p.title)).collect();
    let everything = wants.iter().any(|want| want.damaged.is_empty());
    let damaged = |id: &String| {
        let product = product_of(FORMAT, id);
        wants.iter().any(|want| want.damaged.contains(&product))
    };
    let ids: Vec<String> =
        all.iter().map(|(id, _)| id.clone()).filter(|id| everything || damaged(id)).collect();
    // Each part waits for its own turn: whoever held one of them while waiting for the
    // next could be waiting for itself.
    *flight = None;
    let exports = futures_util::stream::iter(ids).map(|id| async move {
        let result = export(fetcher, about, wants, stamp, &id).await;
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

/// Exports one part.
async fn export(
    fetcher: &Fetcher,
    about: &About,
    wants: &[Want],
    stamp: &Stamp,
    id: &str,
) -> Result<Sealed, Setback> {
    let (object, part) = (about.object.clone(), Some(id.to_owned()));
    let order = Order { object, format: FORMAT, part };
    let mut flight = None;
    // One stamp speaks for all parts, so each must be as the object is now.
    if let Some(task) = fetcher.earlier_task(&order, wants)
        && task.is_current(about.edited, about.revision)
        && let Some(sealed) = fetcher.exports.resume(fetcher, &task, &mut flight).await?
    {
        return Ok(sealed);
    }
    fetcher.exports.export(fetcher, &order, stamp, &mut flight).await
}

/// What was fetched for a side folder: files of one format, one a sheet or table.
pub(super) struct Side {
    /// Every part there is: id and title, in the service's order.
    all: Vec<(String, String)>,
    files: Vec<(String, Result<Bytes, Trouble>)>,
    /// Parts that may be empty only because this identity may not see what is in them. They
    /// replace nothing that has more in it.
    pub(super) hidden: BTreeSet<String>,
}

impl Side {
    pub(super) fn new(
        all: Vec<(String, String)>,
        files: Vec<(String, Result<Sealed, Trouble>)>,
    ) -> Self {
        let files = files.into_iter().map(|(id, file)| (id, file.map(Bytes::new))).collect();
        Self { all, files, hidden: BTreeSet::new() }
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> u64 {
        let files = self.files.iter().filter_map(|(_, file)| file.as_ref().ok());
        files.map(|bytes| bytes.size).sum()
    }
}

/// What a place got of a side folder.
pub(super) struct Placed {
    bytes: u64,
    written: bool,
}

impl Placed {
    /// With so many bytes written beside it.
    pub(super) fn and(self, bytes: u64) -> Self {
        Self { bytes: self.bytes + bytes, written: self.written || bytes > 0 }
    }
}

/// The key of a part in a format.
fn product_of(format: Format, id: &str) -> ProductKey {
    match format {
        Format::Json => ProductKey::json_table(id),
        other => ProductKey::part(other.slot(), id),
    }
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
        let mut side = Side::new(parts.all, parts.files);
        self.report.bytes += side.size();
        for want in wants {
            self.flush()?;
            let placed = self.place_side(about, want, stamp, &mut side)?;
            self.end_side(want, stamp, placed)?;
        }
        self.discard_side(side);
        Ok(())
    }

    /// Removes from staging what nobody took.
    pub(super) fn discard_side(&self, side: Side) {
        for (_, file) in side.files {
            if let Ok(bytes) = file {
                self.discard(bytes);
            }
        }
    }

    /// Tells how a want ended. `None`: that was told.
    pub(super) fn end_side(
        &mut self,
        want: &Want,
        stamp: &Stamp,
        placed: Result<Option<Placed>, Trouble>,
    ) -> Result<(), Halt> {
        let Placed { bytes, written } = match placed {
            Ok(Some(placed)) => placed,
            Ok(None) => return Ok(()),
            Err(trouble) => return self.fail_want(want, stamp, &trouble),
        };
        self.flush()?;
        let key = &want.place;
        let Some(mut row) = self.row(key).cloned() else {
            return self.fail_want(want, stamp, &no_row(key));
        };
        row.outcomes.remove(&want.format);
        self.push(Step {
            key: key.clone(),
            op: None,
            then: vec![RowChange::Put { key: key.clone(), place: Box::new(row) }],
            done: vec![done(want.change.clone(), bytes, None, written)],
            wants: Vec::new(),
        })
    }

    /// Brings the files to one place. `None` where there is nothing to bring, which is told.
    pub(super) fn place_side(
        &mut self,
        about: &About,
        want: &Want,
        stamp: &Stamp,
        side: &mut Side,
    ) -> Result<Result<Option<Placed>, Trouble>, Halt> {
        let (key, format) = (&want.place, want.format);
        let Side { all, files, hidden } = side;
        if all.is_empty() {
            return self.nothing_listed(want, stamp);
        }
        let Some(names) = self.part_names(about, key, format, all) else {
            return Ok(Err(no_row(key)));
        };
        if let Err(trouble) = self.drop_parts(key, format, &names)? {
            return Ok(Err(trouble));
        }
        if let Err(trouble) = self.rename_parts(key, format, &names)? {
            return Ok(Err(trouble));
        }
        let restores = !want.damaged.is_empty();
        // With a damaged attachment of a base, every table says anew where it is.
        let some_only = restores && want.damaged.iter().all(|p| p.format() == Some(format));
        let mtime_secs = self.mtime_of(about.edited);
        // Each file is recorded by itself, and the first one speaks for all of them.
        let unfinished = Trouble::failed("it was not finished");
        let (mut placed, mut failed) = (Placed { bytes: 0, written: false }, None);
        for (id, file) in files {
            let product = product_of(format, id);
            let is_damaged = want.damaged.contains(&product) || want.lost.contains(&product);
            if some_only && !is_damaged {
                continue;
            }
            let bytes = match file {
                Ok(bytes) => bytes,
                Err(trouble) => {
                    failed.get_or_insert(trouble.clone());
                    continue;
                }
            };
            self.flush()?;
            let old = self.row(key).and_then(|row| row.products.get(&product)).cloned();
            if let Some(old) = &old
                && !is_damaged
                && hidden.contains(id)
                && old.size > bytes.size
            {
                self.keep_part(want, &product, stamp, &unfinished)?;
                continue;
            }
            // What is restored may be newer than what is recorded of its neighbours, and one
            // stamp speaks for all of them: with the old one the next run sees the edit.
            let stamp = match &old {
                Some(old) if restores => &old.stamp,
                _ => stamp,
            };
            let delivery = Delivery {
                product: product.clone(),
                part_name: names.get(id).map(String::as_str),
                told: Told::Unfinished(format, &unfinished),
                ..Delivery::new(key, stamp, mtime_secs)
            };
            match self.deliver(&delivery, bytes)? {
                Ok(wrote) => {
                    placed.bytes += bytes.size;
                    placed.written |= wrote;
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
        Ok(failed.map_or(Ok(Some(placed)), Err))
    }

    /// Ends a want of an object that lists no parts at all. Whom advanced permissions hide
    /// everything from is told just that, so nothing that stands goes for it (docs:
    /// bitable-v1/app-table/list).
    fn nothing_listed(
        &mut self,
        want: &Want,
        stamp: &Stamp,
    ) -> Result<Result<Option<Placed>, Trouble>, Halt> {
        let (key, format) = (&want.place, want.format);
        let Some(row) = self.row(key) else { return Ok(Err(no_row(key))) };
        if row.products.keys().any(|product| product.format() == Some(format)) {
            let mut trouble = Trouble::failed(format!(
                "it lists nothing any more that can be had as {format}; what was mirrored stays"
            ));
            trouble.failure.hint =
                Some("look whether this identity may still see what is in it".to_owned());
            return Ok(Err(trouble));
        }
        let what = format!("it has nothing that can be exported as {format}");
        let mut trouble = Trouble::failed(what);
        trouble.why = Why::Unsupported;
        trouble.failure.retryable = false;
        self.skip_late(want, stamp, &trouble)?;
        Ok(Ok(None))
    }

    /// Keeps a part as it stands, for what was seen now; it is not all of the format.
    fn keep_part(
        &mut self,
        want: &Want,
        product: &ProductKey,
        stamp: &Stamp,
        unfinished: &Trouble,
    ) -> Result<(), Halt> {
        let key = &want.place;
        let Some(mut row) = self.row(key).cloned() else { return Ok(()) };
        let outcome = unfinished.outcome(stamp.clone(), self.clock.now_secs());
        row.outcomes.insert(want.format, outcome);
        if let Some(product) = row.products.get_mut(product) {
            product.stamp = stamp.clone();
        }
        self.record(&[RowChange::Put { key: key.clone(), place: Box::new(row) }])
    }

    /// A file name for every part. A part keeps the name it has while its title gives
    /// that name, whatever the others do.
    fn part_names(
        &self,
        about: &About,
        key: &PlaceKey,
        format: Format,
        all: &[(String, String)],
    ) -> Option<BTreeMap<String, String>> {
        let row = self.row(key)?;
        let extension = format!(".{format}");
        let claimants: Vec<Claimant> = all
            .iter()
            .map(|(id, title)| {
                let stem = layout::stem(title, &about.object.ty);
                let old = row.products.get(&product_of(format, id));
                let given = old.and_then(|old| old.part_name.as_deref()).and_then(|name| {
                    let given = name.strip_suffix(&extension)?;
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
        let file = |(token, given): (PlaceToken, Names)| {
            (token.as_str().to_owned(), format!("{}{extension}", given.stem))
        };
        Some(named.map(file).collect())
    }

    /// What the object no longer has goes into the trash.
    fn drop_parts(
        &mut self,
        key: &PlaceKey,
        format: Format,
        names: &BTreeMap<String, String>,
    ) -> Result<Result<(), Trouble>, Halt> {
        let Some(row) = self.row(key) else { return Ok(Err(no_row(key))) };
        let known: BTreeSet<ProductKey> = names.keys().map(|id| product_of(format, id)).collect();
        let lost: Vec<ProductKey> = row
            .products
            .keys()
            .filter(|product| product.format() == Some(format) && !known.contains(product))
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
        format: Format,
        names: &BTreeMap<String, String>,
    ) -> Result<Result<(), Trouble>, Halt> {
        for (id, name) in names {
            let Some(row) = self.row(key) else { return Ok(Err(no_row(key))) };
            let product = product_of(format, id);
            let stands = row.products.get(&product).and_then(|row| row.part_name.as_deref());
            if stands == Some(name) {
                continue;
            }
            // Also for a part that is not on disk yet, whoever has its name must leave it.
            let holder = row.products.iter().find(|(other, row)| {
                let same = row.part_name.as_deref() == Some(name);
                same && **other != product && other.format() == Some(format)
            });
            if let Some((other, _)) = holder {
                let other = other.clone();
                let part = other.part.as_deref().unwrap_or_default();
                let aside = format!(".{part}.moving.{format}");
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
