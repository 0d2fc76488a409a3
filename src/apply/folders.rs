//! Folders to make, and mtimes to set back.

use crate::model::local::LocalEntry;
use crate::model::recorded::{Loc, Slot};
use crate::plan::{MakeFolder, Touch};

use super::journal::{Failing, Journal, describe, done};
use super::publish::no_row;
use super::trouble::{Halt, Trouble};

impl Journal {
    /// Makes folders, parents first. Their rows are recorded already: a folder that is
    /// recorded and missing is simply made by the next run.
    pub(super) fn make_folders(
        &mut self,
        folders: Vec<MakeFolder>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        self.flush()?;
        for MakeFolder { place, change } in folders {
            if cancelled() {
                break;
            }
            match (self.make_one(&place)?, change) {
                (Ok(made), Some(change)) => self.tell(&done(change, 0, None, made)),
                (Ok(_), None) => {}
                (Err(trouble), Some(change)) => {
                    self.fail(&Failing { change, note: None }, &trouble)?;
                }
                (Err(trouble), None) => {
                    self.report.partial = true;
                    self.warn(trouble.failure.message);
                }
            }
        }
        Ok(())
    }

    fn make_one(&mut self, place: &crate::model::PlaceKey) -> Result<Result<bool, Trouble>, Halt> {
        let Some(Loc::Mirror(path)) = self.current().slot(place, Slot::Dir) else {
            return Ok(Err(no_row(place)));
        };
        let at = Loc::Mirror(path.clone());
        // Where something on the way to it is no folder, `ensure_dir` says what.
        let standing = self.disk.look(&at).unwrap_or_default();
        match standing {
            Some(LocalEntry::Dir) => return Ok(Ok(false)),
            Some(entry) => {
                let parent = self.row(place).and_then(|row| row.parent.clone());
                if self
                    .owner(&place.source, parent.as_ref(), &at)
                    .is_some_and(|(key, _)| key != *place)
                {
                    return Ok(Err(Trouble::blocked(&path, "the copy of another place")));
                }
                if !self.settings.adopt {
                    return Ok(Err(Trouble::blocked(&path, describe(&entry))));
                }
                if let Err(trouble) = self.trash_now(place, &path, None)? {
                    return Ok(Err(trouble));
                }
            }
            None => {}
        }
        match self.ensure_dir(&path) {
            Ok(()) => Ok(Ok(true)),
            Err(error) => Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        }
    }

    /// Sets mtimes back where the bytes are as recorded.
    pub(super) fn touch_all(
        &mut self,
        touches: Vec<Touch>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        for Touch { place, product, change } in touches {
            if cancelled() {
                break;
            }
            let at = self.current().product(&place, &product);
            let row = self.row(&place).and_then(|row| row.products.get(&product)).cloned();
            let (Some(Loc::Mirror(path)), Some(row)) = (at, row) else {
                self.fail(&Failing { change, note: None }, &no_row(&place))?;
                continue;
            };
            // Nothing to settle after a crash: the manifest says the same before and after.
            match self.disk.set_mtime(&path, row.mtime_secs) {
                Ok(()) => self.tell(&done(change, 0, Some(row.blake3), true)),
                Err(error) => {
                    let trouble = Trouble::of_disk(error, &self.settings)?;
                    self.fail(&Failing { change, note: None }, &trouble)?;
                }
            }
        }
        Ok(())
    }
}
