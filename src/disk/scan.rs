//! Looking: one walk over the whole copy, one place, one file's hash, the free space.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Metadata;
use walkdir::WalkDir;

use super::staging::{BUFFER_BYTES, read_some};
use super::{Disk, DiskError, RESERVED, beneath};
use crate::faults::Op;
use crate::model::local::{LocalEntry, LocalState};
use crate::model::recorded::Loc;
use crate::model::{ContentHash, RelPath};

impl Disk {
    /// Walks the copy without following symlinks; the state folder is left out.
    ///
    /// What is parked in the state folder is in it too. Names that are not UTF-8, or
    /// that hold a backslash, are strangers: they go to [`LocalState::odd`], and nothing
    /// touches them.
    ///
    /// # Errors
    /// Where the root itself cannot be listed; folders below go to
    /// [`LocalState::unreadable`].
    pub fn scan(&self) -> Result<LocalState, DiskError> {
        self.scan_if(&mut |_, _| true)
    }

    /// The same, keeping only the entries that `keep` says: of a large copy most are as
    /// they were, and all of them at once would not fit into memory.
    pub fn scan_if(
        &self,
        keep: &mut dyn FnMut(&Loc, &LocalEntry) -> bool,
    ) -> Result<LocalState, DiskError> {
        let mut local = LocalState::default();
        if self.root.is_some() {
            let mut hidden = vec![self.root_path.join(RESERVED)];
            hidden.extend(self.state_below.iter().map(|below| self.root_path.join(below)));
            self.walk(&self.root_path, &hidden, Loc::Mirror, keep, &mut local)?;
        }
        if self.parked().is_ok() {
            // Nothing below is unreadable by anybody's doing but ours: an error is one.
            let parked = self.state_path.join("staging").join("parked");
            let mut inside = LocalState::default();
            self.walk(&parked, &[], Loc::Parked, keep, &mut inside)?;
            if let Some(path) = inside.unreadable.first() {
                let label = format!("{}{path}", super::staging::PARKED);
                return Err(DiskError::of(
                    Op::Scan,
                    &label,
                    io::ErrorKind::PermissionDenied.into(),
                ));
            }
            local.entries.append(&mut inside.entries);
        }
        Ok(local)
    }

    /// By path, not by handle: nothing is decided here that is not checked again by
    /// handle when it is done, and this is the fastest way over 100,000 files.
    fn walk(
        &self,
        top: &Path,
        hidden: &[PathBuf],
        loc: fn(RelPath) -> Loc,
        keep: &mut dyn FnMut(&Loc, &LocalEntry) -> bool,
        local: &mut LocalState,
    ) -> Result<(), DiskError> {
        let below = |path: &Path| {
            let text = path.strip_prefix(top).ok()?.to_str()?;
            let text = if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() };
            RelPath::new(text).ok()
        };
        let mut walk = WalkDir::new(top).min_depth(1).into_iter();
        while let Some(step) = walk.next() {
            let entry = match step {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().and_then(below);
                    let depth = error.depth();
                    let source = io::Error::from(error);
                    match path {
                        // It went away while we looked.
                        _ if source.kind() == io::ErrorKind::NotFound && depth > 0 => {}
                        Some(path) => _ = local.unreadable.insert(path),
                        None => {
                            return Err(DiskError::of(Op::Scan, &top.to_string_lossy(), source));
                        }
                    }
                    continue;
                }
            };
            let ty = entry.file_type();
            let Some(path) = below(entry.path()) else {
                if ty.is_dir() {
                    walk.skip_current_dir();
                }
                local.odd.insert(entry.path().strip_prefix(top).map_or_else(
                    |_| entry.path().to_string_lossy().into_owned(),
                    |path| path.to_string_lossy().into_owned(),
                ));
                continue;
            };
            if hidden.iter().any(|hidden| hidden == entry.path()) {
                if ty.is_dir() {
                    walk.skip_current_dir();
                }
                continue;
            }
            let found = self.faults.call(Op::Scan, path.as_str(), || {
                if ty.is_dir() {
                    Ok(Some(LocalEntry::Dir))
                } else if ty.is_symlink() {
                    Ok(std::fs::read_link(entry.path())?.to_str().map(link_entry))
                } else if ty.is_file() {
                    let meta = entry.metadata().map_err(io::Error::from)?;
                    let mtime_secs = beneath::secs(meta.modified()?);
                    Ok(Some(LocalEntry::File { size: meta.len(), mtime_secs }))
                } else {
                    Ok(Some(LocalEntry::Other))
                }
            });
            match found {
                // A link whose text is not UTF-8 was not made here.
                Ok(found) => {
                    let (at, found) = (loc(path), found.unwrap_or(LocalEntry::Other));
                    if keep(&at, &found) {
                        local.entries.insert(at, found);
                    }
                }
                Err(error) if error.is_missing() => {}
                Err(_) if ty.is_dir() => {
                    let at = loc(path.clone());
                    if keep(&at, &LocalEntry::Dir) {
                        local.entries.insert(at, LocalEntry::Dir);
                    }
                    local.unreadable.insert(path);
                    walk.skip_current_dir();
                }
                // A folder that can be listed but not entered.
                Err(error) => match path.parent() {
                    Some(parent) => _ = local.unreadable.insert(parent),
                    None => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// What stands there now (`None`: nothing).
    ///
    /// Also `None` where a symlink or a file stands on the way: whatever it leads to is
    /// not at this place.
    pub fn look(&self, at: &Loc) -> Result<Option<LocalEntry>, DiskError> {
        let (parent, name, label) = match self.parent(at) {
            Err(DiskError::Occupied { .. }) => return Ok(None),
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        self.faults.call(Op::Look, &label, || {
            let Some(meta) = beneath::stat(&parent, name)? else { return Ok(None) };
            if meta.is_symlink() {
                let text = parent.read_link_contents(name)?;
                return Ok(Some(text.to_str().map_or(LocalEntry::Other, link_entry)));
            }
            entry_of(&meta).map(Some)
        })
    }

    /// Hashes a regular file, in constant memory.
    pub fn hash(&self, at: &Loc) -> Result<ContentHash, DiskError> {
        let hash = self.hash_while(at, |_| true)?;
        Ok(hash.expect("nobody called it off"))
    }

    /// The same while `go_on`, which is told of each piece of so many bytes, says so.
    /// `None`: it did not.
    pub fn hash_while(
        &self,
        at: &Loc,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<Option<ContentHash>, DiskError> {
        let (parent, name, label) = self.parent(at)?;
        self.faults.call(Op::Read, &label, || {
            let mut file = beneath::read(&parent, name)?;
            let mut hasher = blake3::Hasher::new();
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                let read = read_some(&mut file, &mut buffer)?;
                if read == 0 {
                    return Ok(Some(hasher.finalize().into()));
                }
                hasher.update(&buffer[..read]);
                if !go_on(read as u64) {
                    return Ok(None);
                }
            }
        })
    }

    /// Bytes free for us on the file system of the root; `u64::MAX` where the system
    /// does not say.
    pub fn free_bytes(&self) -> Result<u64, DiskError> {
        let root = self.root()?;
        self.faults.call(Op::FreeBytes, "", || {
            #[cfg(unix)]
            {
                let stat = rustix::fs::fstatvfs(root)?;
                Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
            }
            #[cfg(not(unix))]
            {
                let _ = root;
                Ok(u64::MAX)
            }
        })
    }
}

fn link_entry(text: &str) -> LocalEntry {
    LocalEntry::Link(if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() })
}

fn entry_of(meta: &Metadata) -> io::Result<LocalEntry> {
    if meta.is_dir() {
        Ok(LocalEntry::Dir)
    } else if meta.is_file() {
        let mtime_secs = beneath::secs(meta.modified()?.into_std());
        Ok(LocalEntry::File { size: meta.len(), mtime_secs })
    } else {
        Ok(LocalEntry::Other)
    }
}
