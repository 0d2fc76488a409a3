//! Shortcuts: relative symlinks to where their targets stand, made after everything
//! else has its place.

use crate::model::local::LocalEntry;
use crate::model::recorded::{Loc, ProductKey, ProductRow, Stamp};
use crate::model::{ContentHash, Format, RelPath};
use crate::plan::{MakeLink, MakeUrl};
use crate::store::RowChange;

use super::journal::{Failing, Journal, Op, Performed, Step, describe, done};
use super::publish::{Delivery, Told, no_row};
use super::trouble::{Halt, Trouble};

impl Journal {
    /// Writes `.url` files.
    pub(super) fn make_urls(
        &mut self,
        urls: Vec<MakeUrl>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        for make in urls {
            if cancelled() {
                break;
            }
            let stamp = Stamp::of(make.edited, None);
            let mtime_secs = self.mtime_of(make.edited);
            let delivery = Delivery {
                told: Told::Came(&make.change, Format::Url),
                ..Delivery::new(&make.place, &stamp, mtime_secs)
            };
            let result = match self.stage_url(&make.url)? {
                Ok(mut bytes) => {
                    let result = self.deliver(&delivery, &mut bytes)?;
                    self.discard(bytes);
                    result
                }
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = result {
                self.ready(&make.place, &[])?;
                self.fail(&Failing { change: make.change, note: None }, &trouble)?;
            }
        }
        self.flush()
    }

    /// Makes symlinks and points them where their targets stand.
    pub(super) fn make_links(
        &mut self,
        links: Vec<MakeLink>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        // The first link shows whether this file system has any.
        let mut symlinks = None;
        for make in links {
            if cancelled() {
                break;
            }
            let result = if symlinks == Some(false) {
                self.url_for_link(&make)?
            } else {
                match self.make_link(&make, symlinks.is_none())? {
                    Ok(true) => {
                        symlinks = Some(true);
                        Ok(())
                    }
                    Ok(false) => {
                        symlinks = Some(false);
                        self.warn(
                            "the copy's file system has no symlinks: shortcuts become .url files"
                                .to_owned(),
                        );
                        self.url_for_link(&make)?
                    }
                    Err(trouble) => Err(trouble),
                }
            };
            if let Err(trouble) = result {
                self.ready(&make.place, &[])?;
                if self.is_left_out(&make) {
                    self.tell_skipped(make.change, "its target has no copy");
                } else {
                    self.fail(&Failing { change: make.change, note: None }, &trouble)?;
                }
            }
        }
        self.flush()
    }

    /// True where this run found that its target has no such copy, and that this is no
    /// failure. What stands in for it is linked by the next run.
    fn is_left_out(&self, make: &MakeLink) -> bool {
        let (to, slot) = &make.to;
        self.row(to).is_some_and(|row| {
            let mut outcomes = row.outcomes.iter().filter(|(format, _)| format.slot() == *slot);
            row.products.keys().all(|product| product.slot != *slot)
                && outcomes.any(|(_, outcome)| !outcome.why.is_want())
        })
    }

    /// One link. `false`: the file system has none.
    fn make_link(&mut self, make: &MakeLink, probe: bool) -> Result<Result<bool, Trouble>, Halt> {
        let Some(Loc::Mirror(path)) = self.current().slot(&make.place, make.slot) else {
            return Ok(Err(no_row(&make.place)));
        };
        let at = Loc::Mirror(path.clone());
        self.ready(&make.place, std::slice::from_ref(&at))?;
        let target = self.current().slot(&make.to.0, make.to.1);
        let there = match target.as_ref().map(|target| self.disk.look(target)).transpose() {
            Ok(there) => there.flatten().is_some(),
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        };
        let target = target.filter(|_| there);
        let Some(Loc::Mirror(target)) = target else {
            return self.no_target(make, &path);
        };
        if let Some(folder) = path.parent()
            && let Err(error) = self.ensure_dir(&folder)
        {
            return Ok(Err(Trouble::of_disk(error, &self.settings)?));
        }
        let text = relative(&path, &target);
        let product = ProductKey::whole(make.slot);
        let Some(row) = self.row(&make.place).cloned() else {
            return Ok(Err(no_row(&make.place)));
        };
        let old = row.products.get(&product).cloned();
        let standing = match self.disk.look(&at) {
            Ok(standing) => standing,
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        };
        let mut written = true;
        match (&standing, &old) {
            (None, _) => {}
            (Some(LocalEntry::Link(found)), _) if *found == text => written = false,
            (Some(LocalEntry::Link(found)), Some(old)) if old.link.as_ref() == Some(found) => {}
            (Some(entry), old) => {
                let taken = self
                    .owner(&make.place.source, row.parent.as_ref(), &at)
                    .is_some_and(|owner| owner != (make.place.clone(), make.slot));
                if taken {
                    return Ok(Err(Trouble::blocked(&path, "the copy of another place")));
                }
                // Whatever stood there before, a folder is somebody's own.
                let stranger =
                    old.is_none() || matches!(entry, LocalEntry::Dir | LocalEntry::Other);
                if stranger && !self.settings.adopt {
                    return Ok(Err(Trouble::blocked(&path, describe(entry))));
                }
                let mut without = row.clone();
                without.products.remove(&product);
                if let Err(trouble) = self.trash_now(&make.place, &path, Some(without))? {
                    return Ok(Err(trouble));
                }
            }
        }
        let mut row = row;
        let stamp = Stamp::of(row.edited, None);
        let blake3 = ContentHash::from(blake3::hash(text.as_bytes()));
        let size = text.len() as u64;
        let link = Some(text.clone());
        let record = ProductRow {
            part_name: None,
            size,
            blake3,
            mtime_secs: 0,
            link,
            stamp,
            doubtful: false,
        };
        row.products.insert(product, record);
        let mut step = Step {
            key: make.place.clone(),
            op: written.then_some(Op::Link { to: path, text }),
            then: vec![RowChange::Put { key: make.place.clone(), place: Box::new(row) }],
            done: vec![done(make.change.clone(), 0, Some(blake3), written)],
            wants: Vec::new(),
        };
        if !probe {
            step.wants.push(Failing { change: make.change.clone(), note: None });
            self.push(step)?;
            return Ok(Ok(true));
        }
        match self.now(step)? {
            Performed::Done => Ok(Ok(true)),
            Performed::NoSymlinks => Ok(Ok(false)),
            Performed::Failed(error) => Ok(Err(Trouble::of_disk(error, &self.settings)?)),
            Performed::NotTried => Ok(Err(Trouble::failed("the link was not made"))),
        }
    }

    /// A dangling link is never left: one that is there is removed.
    fn no_target(
        &mut self,
        make: &MakeLink,
        path: &RelPath,
    ) -> Result<Result<bool, Trouble>, Halt> {
        let product = ProductKey::whole(make.slot);
        let at = Loc::Mirror(path.clone());
        let standing = match self.disk.look(&at) {
            Ok(standing) => standing,
            Err(error) => return Ok(Err(Trouble::of_disk(error, &self.settings)?)),
        };
        if let Some(mut row) = self.row(&make.place).cloned()
            && let Some(old) = row.products.remove(&product)
        {
            let ours = matches!(&standing, Some(LocalEntry::Link(text)) if old.link.as_ref() == Some(text));
            let result = self.try_now(Step {
                key: make.place.clone(),
                op: ours.then_some(Op::Remove { from: at }),
                then: vec![RowChange::Put { key: make.place.clone(), place: Box::new(row) }],
                done: Vec::new(),
                wants: Vec::new(),
            })?;
            if let Err(trouble) = result {
                return Ok(Err(trouble));
            }
        }
        Ok(Err(Trouble::failed("what the shortcut leads to has no copy yet")))
    }

    /// Where there are no symlinks: a `.url` file that leads to the target.
    fn url_for_link(&mut self, make: &MakeLink) -> Result<Result<(), Trouble>, Halt> {
        self.flush()?;
        let url = [&make.place, &make.to.0].into_iter().find_map(|key| self.row(key)?.url.clone());
        let (Some(url), Some(name)) = (url, self.free_name(&make.place, Format::Url)?) else {
            return Ok(Err(Trouble::failed("the shortcut has no address for a .url file")));
        };
        let edited = self.row(&make.place).and_then(|row| row.edited);
        let stamp = Stamp::of(edited, None);
        let delivery = Delivery {
            told: Told::Came(&make.change, Format::Url),
            name: Some(&name),
            ..Delivery::new(&make.place, &stamp, self.mtime_of(edited))
        };
        match self.stage_url(&url)? {
            Ok(mut bytes) => {
                let result = self.deliver(&delivery, &mut bytes)?;
                self.discard(bytes);
                Ok(result.map(drop))
            }
            Err(trouble) => Ok(Err(trouble)),
        }
    }
}

/// The text of a symlink at `from` that leads to `to`.
fn relative(from: &RelPath, to: &RelPath) -> String {
    let folder: Vec<&str> = from.components().collect();
    let folder = &folder[..folder.len() - 1];
    let target: Vec<&str> = to.components().collect();
    let common = folder.iter().zip(&target).take_while(|(a, b)| a == b).count();
    let mut steps = vec![".."; folder.len() - common];
    steps.extend(&target[common..]);
    if steps.is_empty() { ".".to_owned() } else { steps.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_their_own_folder() {
        let cases = [
            ("drive/Link.docx", "drive/A.docx", "A.docx"),
            ("drive/x/Link.docx", "drive/A.docx", "../A.docx"),
            ("drive/x/Link.docx", "wiki/s/A.docx", "../../wiki/s/A.docx"),
            ("drive/x/Link", "drive/x/Folder", "Folder"),
            ("drive/x/y/Up", "drive/x", ".."),
            ("drive/x/Self", "drive/x", "."),
        ];
        for (from, to, want) in cases {
            let path = |text| RelPath::new(text).unwrap();
            // A folder is reached from inside it by going up, then down again by name.
            let text = relative(&path(from), &path(to));
            assert_eq!(text, want, "{from} -> {to}");
        }
    }
}
