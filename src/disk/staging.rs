//! Where bytes wait: files in `staging/` of the state folder, hashed while they are
//! written, and made ready for the rename that publishes them.

use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, File, OpenOptions};

use super::partial::Partial;
use super::{Disk, DiskError, beneath};
use crate::faults::{Faults, Op};
use crate::model::ContentHash;
use crate::model::recorded::Loc;

/// Label of what is parked in the middle of a swap.
pub(super) const PARKED: &str = "staging/parked/";

/// Bytes gathered before a write, and read at once.
pub(super) const BUFFER_BYTES: usize = 128 << 10;

/// The staging folder.
pub(super) struct Staging {
    pub(super) dir: Dir,
    pub(super) partial: Dir,
    pub(super) faults: Faults,
    /// What the umask leaves of 0666.
    mode: u32,
    last: AtomicU64,
}

impl Staging {
    pub(super) fn new(
        dir: Dir,
        partial: Dir,
        probe: bool,
        faults: &Faults,
    ) -> Result<Self, DiskError> {
        let faults = faults.clone();
        let mut staging = Self { dir, partial, faults, mode: 0o644, last: AtomicU64::new(0) };
        if probe {
            staging.mode = staging.probe_mode()?;
        }
        Ok(staging)
    }

    /// Asks the system what it makes of 0666: the umask can only be read by changing
    /// it, for all threads, and a default ACL of the folder overrides it anyway.
    #[cfg(unix)]
    fn probe_mode(&self) -> Result<u32, DiskError> {
        use cap_std::fs::{MetadataExt, OpenOptionsExt};
        let name = self.unused("probe");
        let label = format!("staging/{name}");
        self.faults.call(Op::Create, &label, || {
            let mut options = OpenOptions::new();
            let file =
                self.dir.open_with(&name, options.write(true).create_new(true).mode(0o666))?;
            let mode = file.metadata()?.mode();
            self.dir.remove_file(&name)?;
            Ok(mode & 0o666)
        })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self)]
    fn probe_mode(&self) -> Result<u32, DiskError> {
        Ok(0o666)
    }

    /// 0644 less the umask.
    #[cfg(unix)]
    pub(super) fn file_mode(&self) -> u32 {
        self.mode & 0o644
    }

    /// A name that nothing in staging has. Names of earlier runs hold other process
    /// ids, or were swept; `create` refuses what exists all the same.
    pub(super) fn unused(&self, stem: &str) -> String {
        loop {
            let number = self.last.fetch_add(1, Ordering::Relaxed);
            let name = format!("{stem}-{}-{number}", std::process::id());
            if !matches!(beneath::stat(&self.dir, &name), Ok(Some(_))) {
                return name;
            }
        }
    }
}

/// A file in staging, checked or being written.
///
/// Dropped unfinished, it goes away; a partial download stays at its last durable
/// point.
pub struct Staged {
    /// Bytes so far.
    pub size: u64,
    /// `None` once it is sealed, kept or removed.
    pub(super) file: Option<BufWriter<File>>,
    pub(super) hasher: blake3::Hasher,
    pub(super) name: String,
    /// Where it is, for messages.
    pub(super) label: Arc<str>,
    pub(super) staging: Arc<Staging>,
    pub(super) partial: Option<Partial>,
}

/// A finished staged file: closed, fsynced, its mode (0644 less the umask) set, its mtime
/// not yet.
#[derive(Debug)]
pub struct Sealed {
    /// Name in staging.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Hash.
    pub blake3: ContentHash,
}

impl Disk {
    /// A new file in staging.
    pub fn stage(&self) -> Result<Staged, DiskError> {
        let staging = self.staging()?;
        let name = staging.unused("t");
        let file = self.faults.call(Op::Create, &format!("staging/{name}"), || {
            beneath::create(&staging.dir, &name)
        })?;
        Ok(Staged::new(name, file, staging, None))
    }

    /// Copies a file of the copy into staging, hashing it.
    pub fn stage_copy(&self, from: &Loc) -> Result<Sealed, DiskError> {
        let (parent, name, label) = self.parent(from)?;
        let mut file = self.faults.call(Op::Read, &label, || beneath::read(&parent, name))?;
        let mut staged = self.stage()?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = self.faults.call(Op::Read, &label, || read_some(&mut file, &mut buffer))?;
            if read == 0 {
                return staged.seal();
            }
            staged.write(&buffer[..read])?;
        }
    }

    /// Removes a staged file.
    #[expect(clippy::needless_pass_by_value, reason = "nothing is left to use")]
    pub fn discard(&self, sealed: Sealed) -> Result<(), DiskError> {
        let staging = self.staging()?;
        self.faults.call(Op::Remove, &format!("staging/{}", sealed.name), || {
            staging.dir.remove_file(&sealed.name)
        })
    }

    /// Sets the mtime of a staged file, before its publish.
    pub fn dress(&self, sealed: &Sealed, mtime_secs: i64) -> Result<(), DiskError> {
        let staging = self.staging()?;
        self.faults.call(Op::Dress, &format!("staging/{}", sealed.name), || {
            let file = beneath::open(&staging.dir, &sealed.name, OpenOptions::new().write(true))?
                .into_std();
            file.set_modified(beneath::time(mtime_secs))
        })
    }

    /// Removes everything in staging but parked slots and partial downloads younger
    /// than `keep_secs`. Only for the holder of the run lock.
    pub fn sweep_staging(&self, now_secs: i64, keep_secs: i64) -> Result<(), DiskError> {
        let staging = self.staging()?;
        let entries = self
            .faults
            .call(Op::Scan, "staging", || staging.dir.entries()?.collect::<io::Result<Vec<_>>>())?;
        for entry in entries {
            let name = entry.file_name();
            if name == "parked" || name == "partial" {
                continue;
            }
            let label = format!("staging/{}", name.to_string_lossy());
            self.faults.call(Op::Remove, &label, || {
                if entry.file_type()?.is_dir() {
                    staging.dir.remove_dir_all(&name)
                } else {
                    staging.dir.remove_file_or_symlink(&name)
                }
            })?;
        }
        self.sweep_partials(now_secs, keep_secs)
    }
}

impl Staged {
    pub(super) fn new(
        name: String,
        file: File,
        staging: &Arc<Staging>,
        partial: Option<Partial>,
    ) -> Self {
        let folder = if partial.is_some() { "staging/partial" } else { "staging" };
        Self {
            size: 0,
            label: format!("{folder}/{name}").into(),
            file: Some(BufWriter::with_capacity(BUFFER_BYTES, file)),
            hasher: blake3::Hasher::new(),
            name,
            staging: Arc::clone(staging),
            partial,
        }
    }

    /// The folder it is in.
    pub(super) fn folder(&self) -> &Dir {
        match self.partial {
            None => &self.staging.dir,
            Some(_) => &self.staging.partial,
        }
    }

    pub(super) fn open_file(&mut self) -> &mut BufWriter<File> {
        self.file.as_mut().expect("open until seal or drop_or_keep, which consume it")
    }

    /// Appends bytes. After an error the file is only good for dropping.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), DiskError> {
        let faults = self.staging.faults.clone();
        let label = Arc::clone(&self.label);
        faults.call(Op::Write, &label, || self.open_file().write_all(chunk))?;
        self.hasher.update(chunk);
        self.size += chunk.len() as u64;
        self.note_durable()?;
        if self.partial.as_ref().is_some_and(|partial| partial.is_due(self.size)) {
            self.begin_durable()?;
        }
        Ok(())
    }

    /// Flushes, sets the mode, fsyncs and closes.
    pub fn seal(mut self) -> Result<Sealed, DiskError> {
        let faults = self.staging.faults.clone();
        let label = Arc::clone(&self.label);
        self.end_sync()?;
        faults.call(Op::Write, &label, || self.open_file().flush())?;
        #[cfg(unix)]
        let mode = cap_std::fs::PermissionsExt::from_mode(self.staging.file_mode());
        let file = self.open_file().get_ref();
        // Before the fsync: a power cut must not leave a file that only this user may read.
        #[cfg(unix)]
        faults.call(Op::Dress, &label, || file.set_permissions(mode))?;
        faults.sync(Op::Sync, &label, file, || file.sync_all())?;
        if self.partial.is_some() {
            self.leave_partials()?;
        }
        self.file = None;
        let blake3 = self.hasher.finalize().into();
        Ok(Sealed { name: std::mem::take(&mut self.name), size: self.size, blake3 })
    }

    /// Closes and keeps it for [`Disk::resume`] (partial downloads), or removes it.
    pub fn drop_or_keep(mut self, keep: bool) -> Result<(), DiskError> {
        if keep && self.partial.is_some() && self.size > 0 {
            self.make_durable()?;
            self.file = None;
            return Ok(());
        }
        self.remove()
    }

    fn remove(&mut self) -> Result<(), DiskError> {
        self.file = None;
        let faults = self.staging.faults.clone();
        if let Some(partial) = &self.partial {
            faults.call(Op::Remove, &self.label, || partial.remove_sidecar(&self.staging))?;
        }
        faults.call(Op::Remove, &self.label, || self.folder().remove_file(&self.name))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let resumable = self.partial.as_ref().is_some_and(|partial| partial.durable > 0);
        if self.file.is_some() && !resumable {
            // What cannot be removed now is swept by the next run.
            let _ = self.remove();
        }
    }
}

/// Reads once, again where a signal cut in.
pub(super) fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
