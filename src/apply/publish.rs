//! Finished content into the copy: where it goes, what stands there, what is recorded.

use crate::disk::{DiskError, Sealed};
use crate::layout;
use crate::model::change::Change;
use crate::model::local::LocalEntry;
use crate::model::page::PageRow;
use crate::model::recorded::{Loc, ProductKey, ProductRow, Stamp, Why};
use crate::model::{ContentHash, Edited, Format, PlaceKey, RelPath};
use crate::plan::Want;
use crate::store::RowChange;

use super::fetch::{About, Got, Setback, What, has_stand_in, keep_if};
use super::journal::{Failing, Journal, MTIME_TOLERANCE_SECS, Op, Step, describe, done};
use super::trouble::{Halt, Note, Trouble};

/// Where the bytes of a delivery are: in staging until the first place has them, then
/// in the copy, from where further places are served.
#[derive(Debug)]
pub(super) struct Bytes {
    pub sealed: Option<Sealed>,
    copy: Option<Loc>,
    pub size: u64,
    pub blake3: ContentHash,
}

impl Bytes {
    pub(super) fn new(sealed: Sealed) -> Self {
        let (size, blake3) = (sealed.size, sealed.blake3);
        Self { sealed: Some(sealed), copy: None, size, blake3 }
    }
}

/// One file for one place.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    pub key: &'a PlaceKey,
    pub product: ProductKey,
    /// Its name in the side folder, for a part.
    pub part_name: Option<&'a str>,
    pub stamp: &'a Stamp,
    /// The edit time of the content.
    pub mtime_secs: i64,
    /// What is told of it, and what becomes of its format's outcome.
    pub told: Told<'a>,
    /// A name that the row does not have yet.
    pub name: Option<&'a str>,
    /// What is to be remembered of a page.
    pub page: Option<&'a PageRow>,
}

/// What is told of a delivery, and what it means for the recorded outcome of a format.
#[derive(Debug)]
pub(super) enum Told<'a> {
    /// Nothing, or the caller does.
    Nothing,
    /// The format came: what was recorded against it goes.
    Came(&'a Change, Format),
    /// It was only written anew: what was missing in it before is missing still.
    Again(&'a Change),
    /// Nothing yet, because it is not all of the format. This is recorded together with
    /// it, or else a crash would leave something behind that looks finished.
    Unfinished(Format, &'a Trouble),
}

impl<'a> Delivery<'a> {
    /// Of a `.url` file, told by the caller; the rest is set by name.
    pub(super) fn new(key: &'a PlaceKey, stamp: &'a Stamp, mtime_secs: i64) -> Self {
        Self {
            key,
            product: ProductKey::whole(Format::Url.slot()),
            part_name: None,
            stamp,
            mtime_secs,
            told: Told::Nothing,
            name: None,
            page: None,
        }
    }
}

impl Delivery<'_> {
    /// True for a file of a side folder that changes nothing else of its row, so that many
    /// of one row may go in one batch.
    fn only_adds(&self) -> bool {
        self.part_name.is_some()
            && self.name.is_none()
            && self.page.is_none()
            && matches!(self.told, Told::Nothing)
    }
}

/// What is to be done at the path of a delivery.
enum Spot {
    /// The bytes are there. `mtime_secs` is what the row says; `set` where the file does
    /// not have it.
    Same { path: RelPath, mtime_secs: i64, set: bool },
    /// They are to be written. `fresh` where nothing stands there: should somebody put a
    /// file there before the rename, it is not replaced.
    Write { path: RelPath, mtime_secs: i64, fresh: bool },
}

impl Journal {
    /// Brings what a fetch got into the copy.
    pub(super) fn publish(&mut self, got: Got) -> Result<(), Halt> {
        let Got { about, wants, stamp, what } = got;
        match what {
            What::File { sealed, fetched } => {
                if fetched {
                    self.report.bytes += sealed.size;
                }
                let mut bytes = Bytes::new(sealed);
                let mtime_secs = self.mtime_of(about.edited);
                for want in &wants {
                    let read_secs =
                        (want.format == Format::Comments).then(|| self.clock.now_secs());
                    let stamp = Stamp { read_secs, ..stamp.clone() };
                    let delivery = Delivery {
                        product: ProductKey::whole(want.format.slot()),
                        told: Told::Came(&want.change, want.format),
                        ..Delivery::new(&want.place, &stamp, mtime_secs)
                    };
                    if let Err(trouble) = self.deliver(&delivery, &mut bytes)? {
                        self.fail_want(want, &stamp, &trouble)?;
                    }
                }
                self.discard(bytes);
                Ok(())
            }
            What::Page(page) => self.publish_page(&about, &wants, &stamp, *page),
            What::Tables(tables) => self.publish_tables(&about, &wants, &stamp, tables),
            What::Parts(parts) => self.publish_parts(&about, &wants, &stamp, parts),
            What::Setback(setback) => self.set_back(&about, &wants, &stamp, setback),
        }
    }

    /// The mtime for content of that edit time.
    pub(super) fn mtime_of(&self, edited: Option<Edited>) -> i64 {
        edited.map_or_else(|| self.clock.now_secs(), |edited| edited.at_secs)
    }

    /// Removes what nobody took from staging.
    pub(super) fn discard(&self, bytes: Bytes) {
        if let Some(sealed) = bytes.sealed
            && let Err(error) = self.disk.discard(sealed)
        {
            tracing::debug!(%error, "a staged file stays until the next start");
        }
    }

    pub(super) fn fail_want(
        &mut self,
        want: &Want,
        stamp: &Stamp,
        trouble: &Trouble,
    ) -> Result<(), Halt> {
        let note = Note { format: want.format, stamp: stamp.clone() };
        self.pending.remove(&(want.place.clone(), want.format));
        // The row may wait in the batch; the outcome goes on top of it.
        self.ready(&want.place, &[])?;
        self.fail(&Failing { change: want.change.clone(), note: Some(note) }, trouble)
    }

    /// Brings one file to one place. The inner error is this place's failure, untold.
    pub(super) fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        bytes: &mut Bytes,
    ) -> Result<Result<bool, Trouble>, Halt> {
        let spot = match self.spot(delivery, bytes)? {
            Ok(spot) => spot,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let (path, mtime_secs, write) = match spot {
            Spot::Same { path, mtime_secs, set } => {
                if set && let Err(error) = self.disk.set_mtime(&path, mtime_secs) {
                    return Ok(Err(Trouble::of_disk(error, &self.settings)?));
                }
                (path, mtime_secs, None)
            }
            Spot::Write { path, mtime_secs, fresh } => (path, mtime_secs, Some(fresh)),
        };
        let at = Loc::Mirror(path.clone());
        let op = if let Some(fresh) = write {
            let sealed = match self.take_bytes(bytes)? {
                Ok(sealed) => sealed,
                Err(trouble) => return Ok(Err(trouble)),
            };
            // Mode and mtime are set before the intent: after the rename there is
            // nothing left to do that a crash could leave out.
            if let Err(error) = self.disk.dress(&sealed, mtime_secs) {
                return Ok(Err(Trouble::of_disk(error, &self.settings)?));
            }
            Some(Op::Publish { sealed, to: path, fresh })
        } else {
            None
        };
        bytes.copy = Some(at);
        let file = ProductRow {
            part_name: delivery.part_name.map(str::to_owned),
            size: bytes.size,
            blake3: bytes.blake3,
            mtime_secs,
            link: None,
            stamp: delivery.stamp.clone(),
            doubtful: false,
        };
        let (key, product) = (delivery.key.clone(), delivery.product.clone());
        let Some(row) = self.row(&key) else { return Ok(Err(no_row(&key))) };
        if delivery.only_adds() {
            let change = RowChange::Product { key: key.clone(), product, file: Box::new(file) };
            let (done, wants) = (Vec::new(), Vec::new());
            self.push(Step { key, op, then: vec![change], done, wants })?;
            return Ok(Ok(write.is_some()));
        }
        let mut row = row.clone();
        row.products.insert(product, file);
        if let Some(page) = delivery.page {
            row.page = Some(Box::new(page.clone()));
        }
        if let Some(name) = delivery.name {
            row.names.insert(delivery.product.slot, name.to_owned());
        }
        let (mut events, mut wants) = (Vec::new(), Vec::new());
        let told = match delivery.told {
            Told::Nothing => None,
            Told::Came(change, format) => {
                row.outcomes.remove(&format);
                Some((change, Some(Note { format, stamp: delivery.stamp.clone() })))
            }
            // Where it fails the row stays as it is, and the next plan sees why it has to be
            // written.
            Told::Again(change) => Some((change, None)),
            Told::Unfinished(format, trouble) => {
                let outcome = trouble.outcome(delivery.stamp.clone(), self.clock.now_secs());
                row.outcomes.insert(format, outcome);
                None
            }
        };
        if let Some((change, note)) = told {
            events.push(done(change.clone(), bytes.size, Some(bytes.blake3), write.is_some()));
            wants.push(Failing { change: change.clone(), note });
        }
        let then = vec![RowChange::Put { key: key.clone(), place: Box::new(row) }];
        self.push(Step { key, op, then, done: events, wants })?;
        Ok(Ok(write.is_some()))
    }

    /// Decides what to do where a file goes, and clears the place.
    fn spot(
        &mut self,
        delivery: &Delivery<'_>,
        bytes: &Bytes,
    ) -> Result<Result<Spot, Trouble>, Halt> {
        let key = delivery.key;
        let path = match self.path_for(delivery) {
            Ok(path) => path,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let at = Loc::Mirror(path.clone());
        if delivery.only_adds() {
            self.ready_to_add(key, &at)?;
        } else {
            self.ready(key, std::slice::from_ref(&at))?;
        }
        if let Some(folder) = path.parent()
            && let Err(error) = self.ensure_dir(&folder)
        {
            // Something of somebody else's instead of the side folder.
            let is_side = delivery.part_name.is_some();
            let makes_way = matches!(error, DiskError::Occupied { .. }) && self.settings.adopt;
            if !is_side || !makes_way {
                return Ok(Err(Trouble::of_disk(error, &self.settings)?));
            }
            if let Err(trouble) = self.trash_now(key, &folder, None)? {
                return Ok(Err(trouble));
            }
            if let Err(error) = self.ensure_dir(&folder) {
                return Ok(Err(Trouble::of_disk(error, &self.settings)?));
            }
        }
        let Some(row) = self.row(key) else { return Ok(Err(no_row(key))) };
        let old = row.products.get(&delivery.product).cloned();
        let looked = self.look_at(&at, old.as_ref(), bytes);
        let standing = match looked {
            Ok(standing) => standing,
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        };
        let mut mtime_secs = delivery.mtime_secs;
        if let Some(old) = &old
            && old.size == bytes.size
            && old.mtime_secs == mtime_secs
            && old.blake3 != bytes.blake3
        {
            // rsync's quick check sees size and mtime only.
            mtime_secs = mtime_secs.saturating_add(1);
        }
        match standing {
            Standing::Nothing => Ok(Ok(Spot::Write { path, mtime_secs, fresh: true })),
            Standing::Ours => Ok(Ok(Spot::Write { path, mtime_secs, fresh: false })),
            Standing::Equal { mtime_found } => {
                // Bytes that were ours all along keep their mtime; an equal file of
                // somebody else gets the edit time.
                let mtime_secs = match &old {
                    Some(old) if old.blake3 == bytes.blake3 => old.mtime_secs,
                    _ => mtime_secs,
                };
                if old.is_none() && self.is_taken(delivery, &at) {
                    return Ok(Err(Trouble::blocked(&path, "the copy of another place")));
                }
                let set = mtime_found.abs_diff(mtime_secs) > MTIME_TOLERANCE_SECS;
                Ok(Ok(Spot::Same { path, mtime_secs, set }))
            }
            Standing::Altered => {
                // What somebody wrote there is kept, in the trash.
                // Products of the row may wait, and belong into what is recorded now.
                self.flush()?;
                let Some(mut without) = self.row(key).cloned() else {
                    return Ok(Err(no_row(key)));
                };
                without.products.remove(&delivery.product);
                let trashed = self.trash_now(key, &path, Some(without))?;
                Ok(trashed.map(|()| Spot::Write { path, mtime_secs, fresh: true }))
            }
            Standing::Stranger(what) => {
                if self.is_taken(delivery, &at) {
                    return Ok(Err(Trouble::blocked(&path, "the copy of another place")));
                }
                if what == LocalEntry::Dir {
                    match self.disk.remove_folder(&at) {
                        Ok(true) => return Ok(Ok(Spot::Write { path, mtime_secs, fresh: true })),
                        Ok(false) => {}
                        Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
                    }
                }
                if !self.settings.adopt {
                    return Ok(Err(Trouble::blocked(&path, describe(&what))));
                }
                let trashed = self.trash_now(key, &path, None)?;
                Ok(trashed.map(|()| Spot::Write { path, mtime_secs, fresh: true }))
            }
        }
    }

    /// The path of a delivery, from the manifest as it is now.
    fn path_for(&self, delivery: &Delivery<'_>) -> Result<RelPath, Trouble> {
        let (key, slot) = (delivery.key, delivery.product.slot);
        let row = self.row(key).ok_or_else(|| no_row(key))?;
        let at = match delivery.name.filter(|_| !row.names.contains_key(&slot)) {
            Some(name) => self
                .current()
                .folder(&key.source, row.parent.as_ref())
                .and_then(|folder| folder.join(name)),
            None => self.current().slot(key, slot),
        };
        let at = match (at, delivery.part_name) {
            (Some(at), Some(part)) => at.join(part),
            (at, _) => at,
        };
        match at {
            Some(Loc::Mirror(path)) => Ok(path),
            Some(Loc::Parked(_)) => {
                Err(Trouble::failed("it waits for its own move, which did not succeed"))
            }
            None => Err(Trouble::failed("its folder is not there, because that failed itself")),
        }
    }

    fn look_at(
        &self,
        at: &Loc,
        old: Option<&ProductRow>,
        bytes: &Bytes,
    ) -> Result<Standing, DiskError> {
        let Some(entry) = self.disk.look(at)? else { return Ok(Standing::Nothing) };
        let LocalEntry::File { size, mtime_secs } = entry else {
            return Ok(Standing::Stranger(entry));
        };
        let equal = |hash: ContentHash| hash == bytes.blake3;
        match old {
            Some(old) if !self.altered(at, &entry, old)? => Ok(if equal(old.blake3) {
                Standing::Equal { mtime_found: mtime_secs }
            } else {
                Standing::Ours
            }),
            // Known to be damaged: where it cannot be read, it makes way all the same.
            Some(old) if old.doubtful && self.disk.hash(at).is_err() => Ok(Standing::Altered),
            _ if size == bytes.size && equal(self.disk.hash(at)?) => {
                Ok(Standing::Equal { mtime_found: mtime_secs })
            }
            Some(_) => Ok(Standing::Altered),
            None => Ok(Standing::Stranger(entry)),
        }
    }

    /// True where what stands there belongs to another place.
    fn is_taken(&self, delivery: &Delivery<'_>, at: &Loc) -> bool {
        let key = delivery.key;
        let parent = self.row(key).and_then(|row| row.parent.as_ref());
        delivery.part_name.is_none()
            && self
                .owner(&key.source, parent, at)
                .is_some_and(|owner| owner != (key.clone(), delivery.product.slot))
    }

    fn take_bytes(&mut self, bytes: &mut Bytes) -> Result<Result<Sealed, Trouble>, Halt> {
        if let Some(sealed) = bytes.sealed.take() {
            return Ok(Ok(sealed));
        }
        let missing = || Trouble::failed("the bytes could not be copied within the mirror");
        let Some(from) = &bytes.copy else { return Ok(Err(missing())) };
        // The first place must really have them before the next one copies.
        self.ready_at(from)?;
        match self.disk.stage_copy(from) {
            Ok(sealed) => Ok(keep_if(&self.disk, sealed, bytes.blake3).ok_or_else(missing)),
            Err(error) => Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        }
    }

    /// Records that nothing came, and why; what stands in the copy stays.
    fn set_back(
        &mut self,
        about: &About,
        wants: &[Want],
        stamp: &Stamp,
        setback: Setback,
    ) -> Result<(), Halt> {
        let trouble = match setback {
            Setback::Stopped => return Ok(()),
            Setback::Disk(error) => Trouble::of_disk(error, &self.settings)?,
            Setback::Trouble(trouble) => trouble,
            Setback::TooLarge(size) => {
                let limit = self.settings.max_size.unwrap_or_default();
                let mut trouble = Trouble::failed(format!(
                    "larger than max_size ({size} bytes, the limit is {limit})"
                ));
                trouble.why = Why::TooLarge;
                trouble.limit = Some(limit);
                trouble.failure.retryable = false;
                trouble
            }
        };
        for want in wants {
            match trouble.why {
                Why::TooLarge | Why::FellBack => self.skip_late(want, stamp, &trouble)?,
                Why::Unsupported => {
                    if has_stand_in(&about.object.ty) {
                        self.stand_in(about, want, stamp)?;
                    }
                    self.skip_late(want, stamp, &trouble)?;
                }
                _ => self.fail_want(want, stamp, &trouble)?,
            }
        }
        Ok(())
    }

    /// Ends a want with nothing to fetch, now and until the object or the config changes.
    pub(super) fn skip_late(
        &mut self,
        want: &Want,
        stamp: &Stamp,
        trouble: &Trouble,
    ) -> Result<(), Halt> {
        self.pending.remove(&(want.place.clone(), want.format));
        self.flush()?;
        if let Some(mut row) = self.row(&want.place).cloned() {
            let outcome = trouble.outcome(stamp.clone(), self.clock.now_secs());
            row.outcomes.insert(want.format, outcome);
            let (key, place) = (want.place.clone(), Box::new(row));
            self.record(&[RowChange::Put { key, place }])?;
        }
        self.tell_skipped(want.change.clone(), &trouble.failure.message);
        Ok(())
    }

    /// A `.url` file beside what the service does not export.
    fn stand_in(&mut self, about: &About, want: &Want, stamp: &Stamp) -> Result<(), Halt> {
        let Some(url) = &about.url else { return Ok(()) };
        let Some(name) = self.free_name(&want.place, Format::Url)? else { return Ok(()) };
        let mtime_secs = self.mtime_of(about.edited);
        let delivery =
            Delivery { name: Some(&name), ..Delivery::new(&want.place, stamp, mtime_secs) };
        let result = match self.stage_url(url)? {
            Ok(mut bytes) => {
                let result = self.deliver(&delivery, &mut bytes)?;
                self.discard(bytes);
                result.map(drop)
            }
            Err(trouble) => Err(trouble),
        };
        if let Err(trouble) = result {
            let path = &want.change.path;
            self.warn(format!("no link could stand in for {path}: {}", trouble.failure.message));
        }
        self.flush()
    }

    /// A shortcut file as browsers and file managers open it, in staging.
    pub(super) fn stage_url(&mut self, url: &str) -> Result<Result<Bytes, Trouble>, Halt> {
        // A control character would end the line that the address stands in.
        let url: String = url.chars().filter(|c| !c.is_control()).collect();
        self.stage_text(format!("[InternetShortcut]\r\nURL={url}\r\n").as_bytes())
    }

    /// A text made here, in staging.
    pub(super) fn stage_text(&mut self, text: &[u8]) -> Result<Result<Bytes, Trouble>, Halt> {
        match super::sink::staged(&self.disk, text) {
            Ok(sealed) => Ok(Ok(Bytes::new(sealed))),
            Err(error) => Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        }
    }

    /// The name of a place's file of a format that was not planned: the one it has, or one
    /// that nobody else in its folder claims.
    pub(super) fn free_name(
        &mut self,
        key: &PlaceKey,
        format: Format,
    ) -> Result<Option<String>, Halt> {
        let Some(row) = self.row(key) else { return Ok(None) };
        if let Some(name) = row.names.get(&format.slot()) {
            return Ok(Some(name.clone()));
        }
        // Its neighbours, too.
        self.complete()?;
        Ok(self.unclaimed_name(key, format))
    }

    fn unclaimed_name(&self, key: &PlaceKey, format: Format) -> Option<String> {
        let row = self.row(key)?;
        let name = |stem: &str| layout::slot_name(format.slot(), stem, &row.object.ty, None);
        let claimed: std::collections::HashSet<String> = self
            .children_of(&key.source, row.parent.as_ref())
            .filter_map(|sibling| self.row(sibling))
            .flat_map(|sibling| sibling.names.values())
            .map(|name| name.to_lowercase())
            .collect();
        let token: Vec<char> = key.token.as_str().chars().collect();
        let plain = std::iter::once(name(&row.stem));
        let longer = (8..=token.len().max(8)).map(|n| {
            let end: String = token[token.len().saturating_sub(n)..].iter().collect();
            name(&format!("{}~{end}", row.stem))
        });
        plain.chain(longer).find(|name| !claimed.contains(&name.to_lowercase()))
    }

    pub(super) fn warn(&mut self, message: String) {
        self.report.warnings.push(message);
    }
}

/// What stands where a file goes.
enum Standing {
    Nothing,
    /// The recorded product, unaltered, with other bytes than the new ones.
    Ours,
    /// The new bytes already.
    Equal {
        mtime_found: i64,
    },
    /// The recorded product, altered by somebody.
    Altered,
    /// Something that no row of this place knows.
    Stranger(LocalEntry),
}

pub(super) fn no_row(key: &PlaceKey) -> Trouble {
    Trouble::failed(format!("{key} is not in the manifest, because its folder failed itself"))
}
