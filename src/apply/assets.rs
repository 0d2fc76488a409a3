//! Side folders of pictures and files, `Title.assets/`: one file a media token, which is
//! never edited, so that what is there needs no second download.

use std::collections::BTreeMap;

use crate::disk::Sealed;
use crate::model::local::LocalEntry;
use crate::model::recorded::{Loc, ProductKey, Stamp};
use crate::model::{Format, PlaceKey};
use crate::store::RowChange;

use super::journal::{Journal, holds};
use super::publish::{Bytes, Delivery, no_row};
use super::trouble::{Halt, Trouble};

/// The files of a side folder.
#[derive(Debug, Default)]
pub(super) struct Assets {
    /// Every file that there should be: part and name.
    pub all: BTreeMap<String, String>,
    /// What was fetched or copied, by part.
    pub files: Vec<(String, Sealed)>,
    /// True where nothing is missing in `all`, so that what is not in it can go.
    pub complete: bool,
}

/// The same, ready for several places.
pub(super) struct Ready {
    all: BTreeMap<String, String>,
    files: BTreeMap<String, Bytes>,
    complete: bool,
}

impl Ready {
    pub(super) fn new(assets: Assets) -> Self {
        let Assets { all, files, complete } = assets;
        let files = files.into_iter().map(|(part, sealed)| (part, Bytes::new(sealed))).collect();
        Self { all, files, complete }
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> u64 {
        self.files.values().map(|bytes| bytes.size).sum()
    }
}

impl Journal {
    /// Brings the files of a side folder to one place. Returns how many bytes were written.
    /// What is no longer in it stays until whatever refers to it was replaced, see
    /// [`Self::drop_assets`].
    pub(super) fn publish_assets(
        &mut self,
        key: &PlaceKey,
        stamp: &Stamp,
        mtime_secs: i64,
        assets: &mut Ready,
    ) -> Result<Result<u64, Trouble>, Halt> {
        let mut written = 0;
        let Ready { all, files, .. } = assets;
        if let Err(trouble) = self.rename_parts(key, Format::Assets, all)? {
            return Ok(Err(trouble));
        }
        for (part, bytes) in files {
            let Some(name) = all.get(part) else { continue };
            let delivery = Delivery {
                product: ProductKey::asset(part.clone()),
                part_name: Some(name),
                ..Delivery::new(key, stamp, mtime_secs)
            };
            match self.deliver(&delivery, bytes)? {
                Ok(wrote) => written += if wrote { bytes.size } else { 0 },
                Err(trouble) => return Ok(Err(trouble)),
            }
        }
        // A refusal of the disk shows only now.
        self.flush()?;
        let Some(row) = self.row(key) else { return Ok(Err(no_row(key))) };
        let lost =
            all.keys().find(|part| !row.products.contains_key(&ProductKey::asset((*part).clone())));
        if let Some(part) = lost {
            return Ok(Err(Trouble::failed(format!("picture or file {part} was not written"))));
        }
        Ok(Ok(written))
    }

    /// What the page or base no longer has goes into the trash. Its new text must stand
    /// before: the old one shows what goes.
    pub(super) fn drop_assets(
        &mut self,
        key: &PlaceKey,
        assets: &Ready,
    ) -> Result<Result<(), Trouble>, Halt> {
        for product in self.dropped(key, assets) {
            if let Err(trouble) = self.drop_part(key, &product)? {
                return Ok(Err(trouble));
            }
        }
        Ok(Ok(()))
    }

    /// What stands of the side folder and is not to be in it any more, where that is known.
    pub(super) fn dropped(&self, key: &PlaceKey, assets: &Ready) -> Vec<ProductKey> {
        let Ready { all, complete: true, .. } = assets else { return Vec::new() };
        let products = self.row(key).into_iter().flat_map(|row| row.products.keys());
        products
            .filter(|product| product.format() == Some(Format::Assets))
            .filter(|product| product.part.as_ref().is_none_or(|part| !all.contains_key(part)))
            .cloned()
            .collect()
    }

    /// One file of a side folder goes into the trash, and its row with it.
    pub(super) fn drop_part(
        &mut self,
        key: &PlaceKey,
        product: &ProductKey,
    ) -> Result<Result<(), Trouble>, Halt> {
        let at = self.current().product(key, product);
        let Some(mut row) = self.row(key).cloned() else { return Ok(Err(no_row(key))) };
        row.products.remove(product);
        let standing = match at.as_ref().map(|at| self.disk.look(at)).transpose() {
            Ok(standing) => standing.flatten(),
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        };
        // A folder of that name is not ours.
        let ours = matches!(standing, Some(LocalEntry::File { .. } | LocalEntry::Link(_)));
        match at.as_ref().and_then(Loc::in_mirror).filter(|_| ours) {
            Some(path) => {
                if let Err(trouble) = self.trash_now(key, &path.clone(), Some(row))? {
                    return Ok(Err(trouble));
                }
            }
            None => self.record(&[RowChange::Put { key: key.clone(), place: Box::new(row) }])?,
        }
        let empty = self.row(key).is_some_and(|row| !holds(row, product.slot));
        if let Some(side) = at.as_ref().and_then(Loc::parent).filter(|_| empty)
            && let Err(error) = self.remove_dir(&side)
        {
            tracing::debug!(%error, "an empty side folder stays");
        }
        Ok(Ok(()))
    }

    /// Removes from staging what nobody took.
    pub(super) fn discard_assets(&self, assets: Ready) {
        for bytes in assets.files.into_values() {
            self.discard(bytes);
        }
    }
}
