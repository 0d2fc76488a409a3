//! A manifest that is read only after every page of it was checked.
//!
//! redb compares a page with its checksum when it repairs a file, not when it reads one:
//! of a page that a disk has garbled it makes wrong rows, or panics. Whoever decides
//! whether a manifest is worth keeping must not ask it that way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::read::{Still, is_there};
use super::rows::Rows;
use super::schema::FILE;
use super::{Intent, Store, StoreError};
use crate::model::recorded::Recorded;

impl Store {
    /// As [`Store::read`], of a copy whose checksums are right. Slow: all of it is read.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] also where only a checksum tells.
    #[expect(clippy::type_complexity, reason = "as Store::read")]
    pub fn read_checked(
        state: &Path,
    ) -> Result<Option<(String, Recorded, Vec<(u64, Intent)>)>, StoreError> {
        let path = state.join(FILE);
        if !is_there(&path)? {
            return Ok(None);
        }
        let read = || {
            let still = Still::checked(&path)?;
            let rows = Rows::of(still.begin(&path)?, &path, Some(still))?;
            Ok(Some((rows.mirror_id().to_owned(), rows.recorded()?, rows.intents()?)))
        };
        // The copy is dropped with it, whatever state it is in.
        catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|_| Err(StoreError::damaged(&path, "a page of it is garbled")))
    }
}
