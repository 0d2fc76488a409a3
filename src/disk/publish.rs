//! Changes of the copy: renames into, within and out of it, folders, links, times.

use std::collections::BTreeSet;
use std::io;

use cap_fs_ext::{DirExt, SystemTimeSpec};
use cap_std::fs::Dir;

use super::staging::PARKED;
use super::{Disk, DiskError, Sealed, beneath};
use crate::faults::Op;
use crate::model::RelPath;
use crate::model::recorded::Loc;

/// Folders that changed and wait for the next [`Disk::sync_folders`].
#[derive(Default)]
pub(super) struct Owed {
    /// The root: no path below the root names it.
    root: bool,
    /// `staging/parked` itself, for the same reason.
    parked: bool,
    /// Something came into it.
    parked_gained: bool,
    /// Folders that something came into.
    gained: BTreeSet<Loc>,
    /// Folders of the mirror that got a new folder.
    mirror: BTreeSet<String>,
    /// Folders below the trash; `""` is the trash itself.
    pub(super) trash: BTreeSet<String>,
}

impl Disk {
    /// Renames a dressed staged file over `to`, replacing a file or symlink there.
    /// Parents must exist as real folders.
    ///
    /// # Errors
    /// [`DiskError::Occupied`] where `to` is a folder (or a device), or a parent is not
    /// a real folder.
    pub fn publish(&self, sealed: &Sealed, to: &RelPath) -> Result<(), DiskError> {
        let staging = self.staging()?;
        let at = Loc::Mirror(to.clone());
        let (parent, name, label) = self.parent(&at)?;
        self.replaceable(&parent, name, &label)?;
        self.faults
            .call(Op::Publish, &label, || staging.dir.rename(&sealed.name, &parent, name))?;
        self.owe_gain(&at);
        Ok(())
    }

    /// Renames a dressed staged file to where nothing stands. Parents must exist as real
    /// folders.
    ///
    /// # Errors
    /// [`DiskError::Occupied`] where something stands at `to` by now.
    pub fn publish_new(&self, sealed: &Sealed, to: &RelPath) -> Result<(), DiskError> {
        let staging = self.staging()?;
        let at = Loc::Mirror(to.clone());
        let (parent, name, label) = self.parent(&at)?;
        let done = self.faults.call(Op::Publish, &label, || {
            beneath::rename_new((&staging.dir, &sealed.name), (&parent, name))
        });
        self.occupied(done, &parent, name, &label)?;
        self.owe_gain(&at);
        Ok(())
    }

    /// Refuses what a rename must not replace.
    fn replaceable(&self, parent: &Dir, name: &str, label: &str) -> Result<(), DiskError> {
        match self.faults.call(Op::Look, label, || beneath::stat(parent, name))? {
            Some(meta) if !meta.is_file() && !meta.is_symlink() => {
                Err(DiskError::Occupied { path: label.to_owned(), what: beneath::kind(&meta) })
            }
            _ => Ok(()),
        }
    }

    /// Renames within the copy or between it and `staging/parked`; never onto
    /// something (but a name that differs in case only, where the file system ignores
    /// case). Parents must exist as real folders.
    ///
    /// # Errors
    /// [`DiskError::Occupied`] where something stands at `to`.
    pub fn rename(&self, from: &Loc, to: &Loc) -> Result<(), DiskError> {
        let (from_dir, from_name, from_label) = self.parent(from)?;
        let (to_dir, to_name, to_label) = self.parent(to)?;
        let done = self.faults.call(Op::Rename, &from_label, || {
            beneath::rename_new((&from_dir, from_name), (&to_dir, to_name))
        });
        self.occupied(done, &to_dir, to_name, &to_label)?;
        self.owe_root(from);
        self.owe_gain(to);
        Ok(())
    }

    /// Says what is in the way where a rename found something there.
    pub(super) fn occupied(
        &self,
        done: Result<(), DiskError>,
        dir: &Dir,
        name: &str,
        label: &str,
    ) -> Result<(), DiskError> {
        match done {
            Err(DiskError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                let there = self.faults.call(Op::Look, label, || beneath::stat(dir, name))?;
                let what = there.as_ref().map_or("something", beneath::kind);
                Err(DiskError::Occupied { path: label.to_owned(), what })
            }
            other => other,
        }
    }

    /// Makes a folder (0755 less the umask) and those above it; an existing real folder
    /// is fine.
    pub fn make_folder(&self, at: &RelPath) -> Result<(), DiskError> {
        self.guard(at)?;
        self.faults.call(Op::MakeFolder, at.as_str(), || Ok(()))?;
        let mut made = Vec::new();
        beneath::folder_made(self.root()?, at.as_str(), "", |parent| made.push(parent.to_owned()))?;
        let mut owed = self.owed.lock().expect("no panic while it is held");
        for parent in made {
            if parent.is_empty() {
                owed.root = true;
            } else {
                owed.mirror.insert(parent);
            }
        }
        Ok(())
    }

    /// Removes a folder if it is empty; `false` if it is not. Absent is fine.
    pub fn remove_folder(&self, at: &Loc) -> Result<bool, DiskError> {
        let (parent, name, label) = match self.parent(at) {
            Err(error) if error.is_missing() => return Ok(true),
            other => other?,
        };
        match self.faults.call(Op::Look, &label, || beneath::stat(&parent, name))? {
            None => return Ok(true),
            Some(meta) if !meta.is_dir() => {
                return Err(DiskError::Occupied { path: label, what: beneath::kind(&meta) });
            }
            Some(_) => {}
        }
        let removed =
            self.faults.call(Op::RemoveFolder, &label, || match parent.remove_dir(name) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
                // Solaris and old macOS say this of a folder that is not empty.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            })?;
        self.owe_root(at);
        Ok(removed)
    }

    /// Removes a file or symlink; absent is fine.
    ///
    /// # Errors
    /// [`DiskError::Occupied`] where a folder stands there.
    pub fn remove(&self, at: &Loc) -> Result<(), DiskError> {
        let (parent, name, label) = match self.parent(at) {
            Err(error) if error.is_missing() => return Ok(()),
            other => other?,
        };
        match self.faults.call(Op::Look, &label, || beneath::stat(&parent, name))? {
            None => return Ok(()),
            Some(meta) if meta.is_dir() => {
                return Err(DiskError::Occupied { path: label, what: beneath::kind(&meta) });
            }
            Some(_) => {}
        }
        self.faults.call(Op::Remove, &label, || parent.remove_file_or_symlink(name))?;
        self.owe_root(at);
        Ok(())
    }

    /// Makes (or replaces, atomically) a symlink; a file there is replaced too.
    /// `Ok(false)`: the file system has no symlinks.
    ///
    /// # Errors
    /// Besides the system's: `text` must be relative and stay inside the root.
    pub fn link(&self, text: &str, to: &RelPath) -> Result<bool, DiskError> {
        let at = Loc::Mirror(to.clone());
        let (parent, name, label) = self.parent(&at)?;
        if !stays_inside(text, to) {
            let source = io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("its text {text:?} leads out of the mirror"),
            );
            return Err(DiskError::of(Op::Link, &label, source));
        }
        self.replaceable(&parent, name, &label)?;
        let staging = self.staging()?;
        let temp = staging.unused("l");
        match self.faults.call(Op::Link, &label, || staging.dir.symlink(text, &temp)) {
            Err(DiskError::Io { source, .. }) if lacks_symlinks(&source) => return Ok(false),
            made => made?,
        }
        let done =
            self.faults.call(Op::Publish, &label, || staging.dir.rename(&temp, &parent, name));
        if done.is_err() {
            // What cannot be removed now is swept by the next run.
            let temp_label = format!("staging/{temp}");
            let remove = || staging.dir.remove_file_or_symlink(&temp);
            let _ = self.faults.call(Op::Remove, &temp_label, remove);
        }
        done?;
        self.owe_gain(&at);
        Ok(true)
    }

    /// Sets the mtime of a regular file. A symlink or folder there is refused.
    pub fn set_mtime(&self, at: &RelPath, mtime_secs: i64) -> Result<(), DiskError> {
        let at = Loc::Mirror(at.clone());
        let (parent, name, label) = self.parent(&at)?;
        match self.faults.call(Op::Look, &label, || beneath::stat(&parent, name))? {
            Some(meta) if !meta.is_file() => {
                return Err(DiskError::Occupied { path: label, what: beneath::kind(&meta) });
            }
            _ => {}
        }
        let time = cap_std::time::SystemTime::from_std(beneath::time(mtime_secs));
        // The call that does not follow: a symlink put there just now keeps its target
        // untouched.
        self.faults.call(Op::SetMtime, &label, || {
            parent.set_symlink_times(name, None, Some(SystemTimeSpec::Absolute(time)))
        })
    }

    /// fsyncs folders so that renames in them last; with them the root, new folders and
    /// the trash, where something changed there. A folder that is gone needs none.
    ///
    /// Folders that something came into are first: after a power cut in between, what moved
    /// must not be gone from its old place and not yet at its new one. Journals write both
    /// at once; not every file system has one.
    pub fn sync_folders<'a>(
        &self,
        folders: impl IntoIterator<Item = &'a Loc>,
    ) -> Result<(), DiskError> {
        let owed = std::mem::take(&mut *self.owed.lock().expect("no panic while it is held"));
        for path in &owed.trash {
            self.sync_one(&self.state()?.dir, &format!("trash/{path}"), "")?;
        }
        for path in &owed.mirror {
            self.sync_one(self.root()?, path, "")?;
        }
        if owed.parked_gained {
            self.sync_one(self.parked()?, "", PARKED)?;
        }
        let folders: BTreeSet<&Loc> = folders.into_iter().collect();
        let (gained, lost): (Vec<&Loc>, Vec<&Loc>) =
            folders.into_iter().partition(|at| owed.gained.contains(at));
        for at in gained {
            self.sync_at(at)?;
        }
        if owed.root {
            self.sync_one(self.root()?, "", "")?;
        }
        for at in lost {
            self.sync_at(at)?;
        }
        if owed.parked && !owed.parked_gained {
            self.sync_one(self.parked()?, "", PARKED)?;
        }
        Ok(())
    }

    fn sync_at(&self, at: &Loc) -> Result<(), DiskError> {
        let (base, path, label) = self.base(at)?;
        self.sync_one(base, path.as_str(), label)
    }

    fn sync_one(&self, base: &Dir, path: &str, label: &str) -> Result<(), DiskError> {
        let dir = match beneath::folder(base, path, label) {
            Err(error) if error.is_missing() => return Ok(()),
            other => other?,
        };
        let label = format!("{label}{path}");
        self.faults.sync(Op::SyncFolder, &label, &dir, || beneath::sync(&dir))
    }

    /// Notes that something came to stand at `at`.
    fn owe_gain(&self, at: &Loc) {
        self.owe_root(at);
        let mut owed = self.owed.lock().expect("no panic while it is held");
        match at {
            Loc::Mirror(path) => owed.gained.extend(path.parent().map(Loc::Mirror)),
            Loc::Parked(path) => match path.parent() {
                Some(parent) => _ = owed.gained.insert(Loc::Parked(parent)),
                None => owed.parked_gained = true,
            },
        }
    }

    /// What an earlier process renamed may be in memory only: the next
    /// [`Disk::sync_folders`] makes it last.
    pub fn doubt_rename(&self, from: Option<&Loc>, to: Option<&Loc>) {
        if let Some(from) = from {
            self.owe_root(from);
        }
        if let Some(to) = to {
            self.owe_gain(to);
        }
        self.owed.lock().expect("no panic while it is held").root = true;
    }

    /// The same of a place in the trash, with the folders on the way to it.
    pub fn doubt_trash(&self, place: &str) {
        let above = place.match_indices('/').map(|(at, _)| place[..at].to_owned());
        let folders = std::iter::once(String::new()).chain(above);
        self.owed.lock().expect("no panic while it is held").trash.extend(folders);
    }

    /// Notes that the folder of `at` is one that callers cannot name.
    pub(super) fn owe_root(&self, at: &Loc) {
        let (Loc::Mirror(path) | Loc::Parked(path)) = at;
        if path.parent().is_none() {
            let mut owed = self.owed.lock().expect("no panic while it is held");
            match at {
                Loc::Mirror(_) => owed.root = true,
                Loc::Parked(_) => owed.parked = true,
            }
        }
    }
}

/// True where a link with this text at `at` cannot lead out of the root by its text.
fn stays_inside(text: &str, at: &RelPath) -> bool {
    let mut depth = at.components().count() - 1;
    let mut plain = !text.is_empty() && !text.starts_with('/') && !text.contains(['\\', '\0']);
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => plain = false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    plain
}

/// EPERM is what Linux says of FAT and the like ("the filesystem containing linkpath
/// does not support the creation of symbolic links", symlink(2)).
fn lacks_symlinks(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let known = [Errno::PERM, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];
        known.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
    }
    #[cfg(not(unix))]
    {
        /// `ERROR_PRIVILEGE_NOT_HELD`: making symlinks takes a right on Windows.
        const PRIVILEGE: i32 = 1314;
        error.raw_os_error() == Some(PRIVILEGE) || error.kind() == io::ErrorKind::Unsupported
    }
}
