//! Downloads that outlive their run: a data file in `staging/partial/` with a sidecar
//! that says how much of it is known to be on the disk, and of what it is a part.
//!
//! The sidecar is written only after the bytes it vouches for were fsynced. A kill or
//! a power cut can therefore leave more bytes (or zeros) than the sidecar says, never
//! fewer good ones; whoever resumes cuts the file there and hashes what is left.
//!
//! A thread fsyncs while the next bytes are written: waiting for the disk at every durable
//! point costs a third of a fast download's time.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use cap_std::fs::OpenOptions;

use super::staging::{BUFFER_BYTES, Staged, Staging, read_some};
use super::{Disk, DiskError, beneath};
use crate::faults::Op;

/// So many bytes are written between two durable points.
const STEP_BYTES: u64 = 8 << 20;

/// What a partial download needs to go on later.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// A strong `ETag`.
    pub etag: Option<String>,
    /// Bytes of the whole.
    pub total: Option<u64>,
    /// The object's edit time when it began.
    pub edited_secs: Option<i64>,
}

/// What stands in a sidecar.
#[derive(serde::Serialize, serde::Deserialize)]
struct Sidecar {
    validators: Validators,
    /// Bytes fsynced before this was written.
    durable: u64,
}

/// The sidecar of an open partial download.
pub(super) struct Partial {
    sidecar: String,
    validators: Validators,
    /// Bytes that the sidecar on disk vouches for; 0: there is none.
    pub(super) durable: u64,
    /// What is being fsynced, for the next sidecar.
    syncing: Option<Syncing>,
}

/// The fsync of a durable point, on its way.
struct Syncing {
    /// Bytes it makes last.
    size: u64,
    thread: JoinHandle<Result<(), DiskError>>,
}

impl Syncing {
    /// Waits for it. An error of the disk is told to whoever asks first, and nobody else:
    /// it must not get lost here.
    fn end(self) -> Result<u64, DiskError> {
        match self.thread.join() {
            Ok(done) => done.map(|()| self.size),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Partial {
    pub(super) fn is_due(&self, size: u64) -> bool {
        let begun = self.syncing.as_ref().map_or(self.durable, |syncing| syncing.size);
        size - begun >= STEP_BYTES
    }

    pub(super) fn remove_sidecar(&self, staging: &Staging) -> io::Result<()> {
        absent_is_fine(staging.partial.remove_file(&self.sidecar))
    }
}

impl Disk {
    /// The partial download of that name with what it needs to go on, if the disk
    /// still has it. Its size is where the download goes on.
    pub fn resume(&self, name: &str) -> Result<Option<(Staged, Validators)>, DiskError> {
        let staging = self.staging()?;
        let (data, sidecar) = file_names(name);
        let label = format!("staging/partial/{data}");
        let Some(Sidecar { validators, durable }) =
            self.faults.call(Op::Read, &label, || read_sidecar(staging, &sidecar))?
        else {
            self.forget_partial(&data, &sidecar)?;
            return Ok(None);
        };
        let opened = self.faults.call(Op::Open, &label, || {
            let file =
                beneath::open(&staging.partial, &data, OpenOptions::new().read(true).write(true))?;
            let size = file.metadata()?.len();
            Ok((size >= durable).then_some(file))
        });
        let mut file = match opened {
            Ok(Some(file)) => file,
            Err(error) if !error.is_missing() => return Err(error),
            _ => {
                self.forget_partial(&data, &sidecar)?;
                return Ok(None);
            }
        };
        let mut hasher = blake3::Hasher::new();
        self.faults.call(Op::Read, &label, || {
            file.set_len(durable)?;
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                match read_some(&mut file, &mut buffer)? {
                    0 => break,
                    read => hasher.update(&buffer[..read]),
                };
            }
            file.seek(SeekFrom::Start(durable))
        })?;
        let partial = Partial { sidecar, validators: validators.clone(), durable, syncing: None };
        let mut staged = Staged::new(data, file, staging, Some(partial));
        staged.hasher = hasher;
        staged.size = durable;
        Ok(Some((staged, validators)))
    }

    /// A new partial download that survives this run. One of that name from before is
    /// lost.
    pub fn stage_partial(&self, name: &str, validators: &Validators) -> Result<Staged, DiskError> {
        let staging = self.staging()?;
        let (data, sidecar) = file_names(name);
        self.forget_partial(&data, &sidecar)?;
        let label = format!("staging/partial/{data}");
        let file =
            self.faults.call(Op::Create, &label, || beneath::create(&staging.partial, &data))?;
        let partial =
            Partial { sidecar, validators: validators.clone(), durable: 0, syncing: None };
        Ok(Staged::new(data, file, staging, Some(partial)))
    }

    fn forget_partial(&self, data: &str, sidecar: &str) -> Result<(), DiskError> {
        let dir = &self.staging()?.partial;
        // First what vouches for the data, then the data.
        [sidecar, data].into_iter().try_for_each(|name| {
            self.faults.call(Op::Remove, &format!("staging/partial/{name}"), || {
                absent_is_fine(dir.remove_file(name))
            })
        })
    }

    /// Removes partial downloads that nobody can resume, or that are older than
    /// `keep_secs`.
    pub(super) fn sweep_partials(&self, now_secs: i64, keep_secs: i64) -> Result<(), DiskError> {
        let staging = self.staging()?;
        let names = self.faults.call(Op::Scan, "staging/partial", || {
            let mut names = Vec::new();
            for entry in staging.partial.entries()? {
                names.extend(entry?.file_name().into_string());
            }
            Ok(names)
        })?;
        for name in names {
            let stem = name.strip_suffix(".part").or_else(|| name.strip_suffix(".json"));
            let stem = stem.unwrap_or(&name);
            let (data, sidecar) = (format!("{stem}.part"), format!("{stem}.json"));
            let label = format!("staging/partial/{name}");
            let young = self.faults.call(Op::Look, &label, || {
                let part = beneath::stat(&staging.partial, &data)?;
                let side = beneath::stat(&staging.partial, &sidecar)?;
                let (Some(_), Some(side)) = (part, side) else { return Ok(false) };
                Ok(now_secs.saturating_sub(beneath::secs(side.modified()?.into_std())) <= keep_secs)
            })?;
            let known = name == data || name == sidecar;
            if !(young && known) {
                self.faults.call(Op::Remove, &label, || {
                    absent_is_fine(staging.partial.remove_file(&name))
                })?;
            }
        }
        Ok(())
    }
}

impl Staged {
    /// Begins to make sure that what is written so far lasts. The sidecar says so with the
    /// first write after that is done, at the latest at the next such point.
    pub(super) fn begin_durable(&mut self) -> Result<(), DiskError> {
        self.end_durable()?;
        let (faults, label) = (self.staging.faults.clone(), Arc::clone(&self.label));
        faults.call(Op::Write, &label, || self.open_file().flush())?;
        let file = faults.call(Op::Open, &label, || self.open_file().get_ref().try_clone())?;
        let size = self.size;
        let sync = move || faults.sync(Op::Sync, &label, &file, || file.sync_data());
        match thread::Builder::new().name("fsync".to_owned()).spawn(sync) {
            Ok(thread) => {
                if let Some(partial) = &mut self.partial {
                    partial.syncing = Some(Syncing { size, thread });
                }
                Ok(())
            }
            // The system has no thread left: then here.
            Err(_) => self.make_durable(),
        }
    }

    /// Writes the sidecar of a durable point that was begun and is done.
    pub(super) fn note_durable(&mut self) -> Result<(), DiskError> {
        let syncing = self.partial.as_ref().and_then(|partial| partial.syncing.as_ref());
        if syncing.is_some_and(|syncing| syncing.thread.is_finished()) {
            self.end_durable()?;
        }
        Ok(())
    }

    /// Waits for the durable point that was begun, if one was, and writes the sidecar.
    fn end_durable(&mut self) -> Result<(), DiskError> {
        let Some(syncing) = self.take_syncing() else { return Ok(()) };
        self.vouch_for(syncing.end()?)
    }

    /// The same where the sidecar goes anyway: only what the disk says counts.
    pub(super) fn end_sync(&mut self) -> Result<(), DiskError> {
        self.take_syncing().map_or(Ok(()), |syncing| syncing.end().map(drop))
    }

    fn take_syncing(&mut self) -> Option<Syncing> {
        self.partial.as_mut()?.syncing.take()
    }

    /// Makes sure that what is written so far lasts, then says so in the sidecar.
    pub(super) fn make_durable(&mut self) -> Result<(), DiskError> {
        self.end_sync()?;
        let faults = self.staging.faults.clone();
        let label = Arc::clone(&self.label);
        faults.call(Op::Write, &label, || self.open_file().flush())?;
        let file = self.open_file().get_ref();
        faults.sync(Op::Sync, &label, file, || file.sync_data())?;
        self.vouch_for(self.size)
    }

    /// Writes the sidecar: so many bytes are on the disk.
    fn vouch_for(&mut self, durable: u64) -> Result<(), DiskError> {
        let faults = self.staging.faults.clone();
        let (staging, label) = (Arc::clone(&self.staging), Arc::clone(&self.label));
        let Some(partial) = &mut self.partial else { return Ok(()) };
        let temp = format!("{}.new", partial.sidecar);
        faults.call(Op::Create, &label, || {
            let row = Sidecar { validators: partial.validators.clone(), durable };
            absent_is_fine(staging.partial.remove_file(&temp))?;
            // No fsync here: a sidecar that a power cut empties or brings back in an
            // older state costs a longer download, nothing else.
            beneath::create(&staging.partial, &temp)?.write_all(&serde_json::to_vec(&row)?)
        })?;
        faults.call(Op::Rename, &label, || {
            staging.partial.rename(&temp, &staging.partial, &partial.sidecar)
        })?;
        partial.durable = durable;
        Ok(())
    }

    /// A finished download moves among the other staged files and loses its sidecar.
    pub(super) fn leave_partials(&mut self) -> Result<(), DiskError> {
        let name = self.staging.unused("t");
        let (staging, label) = (Arc::clone(&self.staging), Arc::clone(&self.label));
        staging
            .faults
            .call(Op::Rename, &label, || staging.partial.rename(&self.name, &staging.dir, &name))?;
        self.name = name;
        if let Some(partial) = self.partial.take() {
            staging.faults.call(Op::Remove, &label, || partial.remove_sidecar(&staging))?;
        }
        Ok(())
    }
}

/// Data and sidecar of the partial download `name`: itself where that is a plain file
/// name, else its hash.
fn file_names(name: &str) -> (String, String) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let stem = if !name.is_empty() && name.len() <= 100 && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("h-{}", blake3::hash(name.as_bytes()).to_hex())
    };
    (format!("{stem}.part"), format!("{stem}.json"))
}

/// `None`: there is none, or it is no use.
fn read_sidecar(staging: &Staging, name: &str) -> io::Result<Option<Sidecar>> {
    let file = match beneath::read(&staging.partial, name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let row: Option<Sidecar> = serde_json::from_reader(io::BufReader::new(file)).ok();
    Ok(row.filter(|row| row.durable > 0))
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
