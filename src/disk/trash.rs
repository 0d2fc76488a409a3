//! The trash: `trash/<run>/<path>` of the state folder, emptied after its retention.

use std::collections::BTreeSet;
use std::io;

use cap_std::fs::Dir;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Disk, DiskError, beneath};
use crate::faults::Op;
use crate::model::RelPath;
use crate::model::recorded::Loc;

impl Disk {
    /// Where `path` goes in the trash of a run: `<run>/<path>` below `trash/`, with a
    /// `~2` on the component that would meet something else. Does not move it, but
    /// gives no place out twice.
    pub fn trash_place(&self, run: &str, path: &RelPath) -> Result<String, DiskError> {
        let whole = inside(&format!("{run}/{path}"))?;
        let mut given = self.given.lock().expect("no panic while it is held");
        let mut dir = Some(self.trash_folder()?);
        let mut place = String::new();
        for part in whole.parent().iter().flat_map(RelPath::components) {
            let (name, full, exists) = self.free(dir.as_ref(), &place, part, true, &given)?;
            dir = match dir {
                Some(dir) if exists => Some(beneath::step(&dir, &name, &format!("trash/{full}"))?),
                // Below a folder that is still to be made.
                _ => None,
            };
            place = full;
        }
        let (_, place, _) = self.free(dir.as_ref(), &place, whole.name(), false, &given)?;
        given.insert(place.clone());
        Ok(place)
    }

    /// The first of `part`, `part~2` … that can be used in the folder `place`, its path
    /// below the trash, and whether it exists. A folder may be used again.
    fn free(
        &self,
        dir: Option<&Dir>,
        place: &str,
        part: &str,
        is_folder: bool,
        given: &BTreeSet<String>,
    ) -> Result<(String, String, bool), DiskError> {
        let mut name = part.to_owned();
        let mut number = 1_u64;
        loop {
            let full = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
            let there = match dir {
                Some(dir) => self
                    .faults
                    .call(Op::Look, &format!("trash/{full}"), || beneath::stat(dir, &name))?,
                None => None,
            };
            let free = there.as_ref().is_none_or(|meta| is_folder && meta.is_dir());
            let spoken_for = given.contains(&full) || !is_folder && has_below(given, &full);
            if free && !spoken_for {
                return Ok((name, full, there.is_some()));
            }
            number += 1;
            name = format!("{part}~{number}");
        }
    }

    fn trash_folder(&self) -> Result<Dir, DiskError> {
        beneath::folder(&self.state()?.dir, "trash", "")
    }

    /// Renames into the trash, at a place that [`Disk::trash_place`] gave (in this run
    /// or before a crash).
    pub fn trash(&self, at: &Loc, place: &str) -> Result<(), DiskError> {
        let trash = self.trash_folder()?;
        let place = inside(place)?;
        let (from_dir, from_name, from_label) = self.parent(at)?;
        let (to_parent, to_name) = place.as_str().rsplit_once('/').unwrap_or(("", place.as_str()));
        let mut changed = vec![to_parent.to_owned()];
        self.faults.call(Op::MakeFolder, &format!("trash/{to_parent}"), || Ok(()))?;
        let to_dir = beneath::folder_made(&trash, to_parent, "trash/", |parent| {
            changed.push(parent.to_owned());
        })?;
        let done = self.faults.call(Op::Trash, &from_label, || {
            beneath::rename_new((&from_dir, from_name), (&to_dir, to_name))
        });
        self.occupied(done, &to_dir, to_name, &format!("trash/{place}"))?;
        self.owe_root(at);
        self.owed.lock().expect("no panic while it is held").trash.extend(changed);
        Ok(())
    }

    /// Removes runs of the trash older than the retention; returns how many files.
    ///
    /// A run's age is in its name (`YYYYMMDDTHHMMSSZ-…`), else its folder's mtime
    /// counts.
    pub fn empty_trash(&self, now_secs: i64, retention_secs: i64) -> Result<u64, DiskError> {
        let trash = match self.trash_folder() {
            Err(error) if error.is_missing() => return Ok(0),
            other => other?,
        };
        let names = self.faults.call(Op::Scan, "trash", || {
            let mut names = Vec::new();
            for entry in trash.entries()? {
                names.extend(entry?.file_name().into_string());
            }
            Ok(names)
        })?;
        let mut files = 0;
        for name in names {
            let label = format!("trash/{name}");
            let born =
                self.faults.call(Op::Look, &label, || match beneath::stat(&trash, &name)? {
                    Some(meta) if meta.is_dir() => match run_secs(&name) {
                        Some(secs) => Ok(Some(secs)),
                        None => meta.modified().map(|time| Some(beneath::secs(time.into_std()))),
                    },
                    _ => Ok(None),
                })?;
            if born.is_some_and(|born| now_secs.saturating_sub(born) > retention_secs) {
                files +=
                    self.faults.call(Op::Remove, &label, || beneath::remove_tree(&trash, &name))?;
            }
        }
        Ok(files)
    }
}

/// True where a place below `full` was given out.
fn has_below(given: &BTreeSet<String>, full: &str) -> bool {
    let below = format!("{full}/");
    given.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below))
}

/// When a run began, by its name.
fn run_secs(run: &str) -> Option<i64> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", run.get(..16)?).ok()?;
    Some(TimeZone::UTC.to_ambiguous_timestamp(time).compatible().ok()?.as_second())
}

fn inside(place: &str) -> Result<RelPath, DiskError> {
    RelPath::new(place).map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidInput, error);
        DiskError::of(Op::Trash, &format!("trash/{place}"), source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_as_old_as_its_name_says() {
        let cases = [
            ("20240301T000000Z-ab12", Some(1_709_251_200)),
            ("20240301T000000Z", Some(1_709_251_200)),
            ("20241301T000000Z-ab12", None),
            ("manual", None),
            ("手动的垃圾箱", None),
        ];
        for (run, want) in cases {
            assert_eq!(run_secs(run), want, "{run}");
        }
    }
}
