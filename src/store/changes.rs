//! Row changes, applied by one piece of code to the manifest in memory and on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use crate::model::recorded::{PlaceRow, Recorded, SourceRow};
use crate::model::{PlaceKey, PlaceToken, SourceName};

use super::RowChange;

/// What changes need of a manifest.
pub(super) trait Rows {
    /// Why a row could not be read or written.
    type Error;
    /// Writes a row.
    fn put(&mut self, key: &PlaceKey, row: &PlaceRow) -> Result<(), Self::Error>;
    /// Reads a row.
    fn get(&self, key: &PlaceKey) -> Result<Option<PlaceRow>, Self::Error>;
    /// Removes a row and returns it.
    fn take(&mut self, key: &PlaceKey) -> Result<Option<PlaceRow>, Self::Error>;
    /// Every place of a source with its parent, but those at the top.
    fn parents(&self, source: &SourceName) -> Result<Vec<(PlaceToken, PlaceToken)>, Self::Error>;
    /// Writes a source's row.
    fn put_source(&mut self, name: &SourceName, row: &SourceRow) -> Result<(), Self::Error>;
}

/// Applies changes in their order.
pub(super) fn apply<R: Rows>(rows: &mut R, changes: &[RowChange]) -> Result<(), R::Error> {
    for run in changes.chunk_by(is_one_row) {
        let Some(change) = run.last() else { continue };
        match change {
            RowChange::Put { key, place } => rows.put(key, place)?,
            RowChange::Product { key, .. } => put_products(rows, key, run)?,
            RowChange::Drop { key } => _ = rows.take(key)?,
            RowChange::Rekey { from, to } => rekey(rows, from, to)?,
            RowChange::Source { name, source } => rows.put_source(name, source)?,
        }
    }
    Ok(())
}

/// True for products of one row, which is then read and written once for all of them.
fn is_one_row(one: &RowChange, next: &RowChange) -> bool {
    match (one, next) {
        (RowChange::Product { key, .. }, RowChange::Product { key: next, .. }) => key == next,
        _ => false,
    }
}

fn put_products<R: Rows>(
    rows: &mut R,
    key: &PlaceKey,
    changes: &[RowChange],
) -> Result<(), R::Error> {
    let Some(mut row) = rows.get(key)? else { return Ok(()) };
    for change in changes {
        if let RowChange::Product { product, file, .. } = change {
            row.products.insert(product.clone(), (**file).clone());
        }
    }
    rows.put(key, &row)
}

/// Moves what is below the folder `from` below `to`. The folder's own row is not
/// touched: it is put and dropped by changes of its own. A row that already stands
/// under a new key is replaced.
fn rekey<R: Rows>(rows: &mut R, from: &PlaceKey, to: &PlaceKey) -> Result<(), R::Error> {
    if from == to {
        return Ok(());
    }
    let mut children: BTreeMap<PlaceToken, Vec<PlaceToken>> = BTreeMap::new();
    for (token, parent) in rows.parents(&from.source)? {
        children.entry(parent).or_default().push(token);
    }
    // A place met twice would mean parents in a circle, which a sound manifest does not
    // have; an unsound one must not hang the run.
    let mut seen = BTreeSet::from([from.token.clone(), to.token.clone()]);
    let mut moved = Vec::new();
    let mut open = vec![from.token.clone()];
    while let Some(parent) = open.pop() {
        let direct = parent == from.token;
        for child in children.remove(&parent).unwrap_or_default() {
            if !seen.insert(child.clone()) {
                continue;
            }
            moved.push((child.clone(), direct));
            // Under the same source, only the direct children see the folder's token.
            if from.source != to.source {
                open.push(child);
            }
        }
    }
    // All are taken before any is put: a new key may be another one's old key.
    let mut taken = Vec::with_capacity(moved.len());
    for (token, direct) in moved {
        if let Some(mut row) = rows.take(&PlaceKey::new(&from.source, &token))? {
            if direct {
                row.parent = Some(to.token.clone());
            }
            taken.push((PlaceKey::new(&to.source, &token), row));
        }
    }
    taken.iter().try_for_each(|(key, row)| rows.put(key, row))
}

/// Applies row changes to a manifest in memory, exactly as [`super::Store`] does on disk.
pub fn apply_changes(recorded: &mut Recorded, changes: &[RowChange]) {
    match apply(recorded, changes) {
        Ok(()) => {}
        Err(never) => match never {},
    }
}

impl Rows for Recorded {
    type Error = Infallible;

    fn put(&mut self, key: &PlaceKey, row: &PlaceRow) -> Result<(), Infallible> {
        self.places.insert(key.clone(), row.clone());
        Ok(())
    }

    fn get(&self, key: &PlaceKey) -> Result<Option<PlaceRow>, Infallible> {
        Ok(self.places.get(key).cloned())
    }

    fn take(&mut self, key: &PlaceKey) -> Result<Option<PlaceRow>, Infallible> {
        Ok(self.places.remove(key))
    }

    fn parents(&self, source: &SourceName) -> Result<Vec<(PlaceToken, PlaceToken)>, Infallible> {
        let first = PlaceKey::new(source, &PlaceToken::new(""));
        let rows = self.places.range(first..).take_while(|(key, _)| key.source == *source);
        Ok(rows.filter_map(|(key, row)| Some((key.token.clone(), row.parent.clone()?))).collect())
    }

    fn put_source(&mut self, name: &SourceName, row: &SourceRow) -> Result<(), Infallible> {
        self.sources.insert(name.clone(), row.clone());
        Ok(())
    }
}
