//! After a crash: which of the open intents did happen, as the disk shows it.

use crate::disk::{Disk, DiskError};
use crate::model::local::LocalEntry;
use crate::model::recorded::Loc;
use crate::store::{Act, Intent, RowChange};

/// See [`super::settle()`].
pub(super) fn settle(disk: &Disk, intents: &[(u64, Intent)]) -> Result<Vec<RowChange>, DiskError> {
    let mut changes = Vec::new();
    // Intents are settled in the order in which they were made, each by itself: no two
    // of a batch concern one path, and no two one row, but where each adds a product of
    // its own to it. So the changes of those that happened are right whatever became of
    // the others.
    for (_, intent) in intents {
        if happened(disk, &intent.act)? {
            changes.extend(intent.then.iter().cloned());
        }
    }
    Ok(changes)
}

fn happened(disk: &Disk, act: &Act) -> Result<bool, DiskError> {
    Ok(match act {
        Act::Publish { to, size, blake3 } => {
            let at = Loc::Mirror(to.clone());
            match disk.look(&at)? {
                // The size is looked at first: a large old file need not be read.
                Some(LocalEntry::File { size: found, .. }) if found == *size => {
                    disk.hash(&at)? == *blake3
                }
                _ => false,
            }
        }
        Act::Move { from, to } => disk.look(from)?.is_none() && disk.look(to)?.is_some(),
        Act::Trash { from, .. } | Act::Remove { from } => disk.look(from)?.is_none(),
        Act::Link { to, text } => {
            matches!(disk.look(&Loc::Mirror(to.clone()))?, Some(LocalEntry::Link(found)) if found == *text)
        }
    })
}
