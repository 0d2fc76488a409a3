//! What every command that writes to a mirror does around its own work: names the run,
//! settles what a crash left open, leaves a readable index.

use std::time::Duration;

use super::Session;
use super::exit::Problem;
use crate::apply;
use crate::disk::Disk;
use crate::store::{self, INDEX_FILE, IndexMeta, Store};

/// Names a run after the second in which it began (milliseconds since 1970).
pub fn run_id(began_ms: i64) -> String {
    let began = jiff::Timestamp::from_millisecond(began_ms).unwrap_or_default();
    began.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The run's name, with a number where this second already had a run.
pub fn free_run_id(disk: &Disk, base: &str) -> Result<String, Problem> {
    let taken = disk.run_logs()?;
    let numbered = (2..).map(|n| format!("{base}-{n:03}"));
    let free = std::iter::once(base.to_owned()).chain(numbered).find(|id| !taken.contains(id));
    Ok(free.expect("the numbers do not end"))
}

/// Settles the renames that a crash left open.
pub fn settle(disk: &Disk, store: &Store) -> Result<(), Problem> {
    let intents = store.intents()?;
    if intents.is_empty() {
        return Ok(());
    }
    let settled = apply::settle(disk, &intents)?;
    let closed: Vec<u64> = intents.iter().map(|(number, _)| *number).collect();
    // What was seen may be in memory only: the process died before it synced.
    disk.sync_folders(&apply::folders_of(disk, &intents)?)?;
    Ok(store.record(&settled, &closed)?)
}

/// Writes `index.jsonl` if a row changed: through the handles that the run began with, so
/// that a state folder swapped for a symlink meanwhile leads nowhere.
pub fn write_index(
    session: &Session,
    disk: &Disk,
    store: &Store,
    run_id: &str,
) -> Result<(), Problem> {
    if !store.changed() {
        return Ok(());
    }
    let meta = IndexMeta {
        mirror_id: store.mirror_id().to_owned(),
        run_id: run_id.to_owned(),
        as_of_secs: session.clock.now_secs(),
        account: store.recorded_account()?,
    };
    let rows = store.rows()?;
    disk.replace_state_file(INDEX_FILE, |to| store::write_index_of(to, &rows, &meta))?;
    Ok(())
}

/// A length of time in whole seconds.
pub fn secs(length: Duration) -> i64 {
    i64::try_from(length.as_secs()).unwrap_or(i64::MAX)
}
