//! Small files that are not the copy: the mirror's marker, the run logs and whatever
//! else lies in the state folder by name.

use std::io::{self, BufWriter, Read, Write};

use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, File, OpenOptions};

use super::{Disk, DiskError, RESERVED, beneath};
use crate::faults::{Faults, Op};
use crate::model::RelPath;

/// The marker's name in [`RESERVED`].
const MARKER: &str = "root.json";

/// An open log in the state folder; lines are gathered until [`StateLog::flush`].
pub struct StateLog {
    file: BufWriter<File>,
    name: String,
    faults: Faults,
}

impl Disk {
    /// The mirror's marker, `.feishu-mirror/root.json` below the root, wherever the
    /// state folder lies. `None`: there is none, or no root.
    ///
    /// # Errors
    /// [`DiskError::Occupied`] where `.feishu-mirror` is a symlink or a file.
    pub fn read_marker(&self) -> Result<Option<Vec<u8>>, DiskError> {
        let Some(root) = &self.root else { return Ok(None) };
        match beneath::folder(root, RESERVED, "") {
            Err(error) if error.is_missing() => Ok(None),
            dir => self.read_in(&dir?, MARKER, &format!("{RESERVED}/{MARKER}")),
        }
    }

    /// Writes the marker, atomically and durably.
    pub fn write_marker(&self, json: &[u8]) -> Result<(), DiskError> {
        let root = self.root()?;
        self.faults.call(Op::MakeFolder, RESERVED, || Ok(()))?;
        let dir = beneath::folder_made(root, RESERVED, "", |_| {})?;
        self.replace_in(&dir, MARKER, &format!("{RESERVED}/{MARKER}"), |to| to.write_all(json))?;
        self.faults.sync(Op::SyncFolder, "", root, || beneath::sync(root))
    }

    /// Reads a file of the state folder, `index.jsonl` or `runs/<run>.jsonl`.
    pub fn read_state_file(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        let Some(state) = &self.state else { return Ok(None) };
        let (folder, file) = split(name)?;
        match beneath::folder(&state.dir, &folder, "") {
            Err(error) if error.is_missing() => Ok(None),
            dir => self.read_in(&dir?, &file, name),
        }
    }

    /// Replaces a file of the state folder, atomically and durably.
    pub fn write_state_file(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.replace_state_file(name, |to| to.write_all(bytes))
    }

    /// The same for content that is made on the way.
    pub fn replace_state_file(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), DiskError> {
        let (dir, file) = self.state_folder_made(name)?;
        self.replace_in(&dir, &file, name, fill)
    }

    /// Adds to a file of the state folder, making it if there is none. The end of what is
    /// added may be lost in a power cut.
    pub fn append_state_file(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let (dir, file) = self.state_folder_made(name)?;
        self.faults.call(Op::Write, name, || {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            cap_std::fs::OpenOptionsExt::mode(&mut options, 0o644);
            beneath::open(&dir, &file, &mut options)?.write_all(bytes)
        })
    }

    /// Opens the folder of a file in the state folder, making it; returns the file's name.
    fn state_folder_made(&self, name: &str) -> Result<(Dir, String), DiskError> {
        let (folder, file) = split(name)?;
        Ok((super::lasting_folder(&self.state()?.dir, &folder, &self.faults)?, file))
    }

    /// Removes a file of the state folder; absent is fine.
    pub fn remove_state_file(&self, name: &str) -> Result<(), DiskError> {
        let Some(state) = &self.state else { return Ok(()) };
        let (folder, file) = split(name)?;
        let dir = match beneath::folder(&state.dir, &folder, "") {
            Err(error) if error.is_missing() => return Ok(()),
            other => other?,
        };
        self.faults.call(Op::Remove, name, || match dir.remove_file_or_symlink(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    /// Opens the log of a run, `runs/<run>.jsonl`, to add lines to it.
    pub fn run_log(&self, run: &str) -> Result<StateLog, DiskError> {
        self.state_log(&format!("runs/{run}.jsonl"))
    }

    /// Opens a file of the state folder, to add lines to it.
    pub fn state_log(&self, name: &str) -> Result<StateLog, DiskError> {
        let (folder, file) = split(name)?;
        let dir = beneath::folder(&self.state()?.dir, &folder, "")?;
        let file = self.faults.call(Op::Open, name, || {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            cap_std::fs::OpenOptionsExt::mode(&mut options, 0o644);
            beneath::open(&dir, &file, &mut options)
        })?;
        let (file, name) = (BufWriter::new(file), name.to_owned());
        Ok(StateLog { file, name, faults: self.faults.clone() })
    }

    /// The names of all runs with a log, oldest first.
    pub fn run_logs(&self) -> Result<Vec<String>, DiskError> {
        let files = self.state_files("runs")?;
        let mut runs: Vec<String> = files
            .iter()
            .filter_map(|name| name.strip_suffix(".jsonl").map(str::to_owned))
            .collect();
        // A run's name begins with its time.
        runs.sort();
        Ok(runs)
    }

    /// The names of all files in a folder of the state folder, in no order.
    pub fn state_files(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        let Some(state) = &self.state else { return Ok(Vec::new()) };
        let dir = match beneath::folder(&state.dir, folder, "") {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            other => other?,
        };
        self.faults.call(Op::Scan, folder, || {
            let mut names = Vec::new();
            for entry in dir.entries()? {
                names.extend(entry?.file_name().to_str().map(str::to_owned));
            }
            Ok(names)
        })
    }

    /// Removes the oldest run logs but `keep`.
    pub fn trim_run_logs(&self, keep: usize) -> Result<(), DiskError> {
        let runs = self.run_logs()?;
        let old = runs.len().saturating_sub(keep);
        runs[..old].iter().try_for_each(|run| self.remove_state_file(&format!("runs/{run}.jsonl")))
    }

    fn read_in(&self, dir: &Dir, name: &str, label: &str) -> Result<Option<Vec<u8>>, DiskError> {
        let read = self.faults.call(Op::Read, label, || {
            let mut bytes = Vec::new();
            beneath::read(dir, name)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read {
            Err(error) if error.is_missing() => Ok(None),
            other => other.map(Some),
        }
    }

    fn replace_in(
        &self,
        dir: &Dir,
        name: &str,
        label: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), DiskError> {
        let staging = self.staging()?;
        let temp = staging.unused("s");
        let faults = &self.faults;
        let done = faults
            .call(Op::Write, label, || {
                let mut file = BufWriter::new(beneath::create(&staging.dir, &temp)?);
                fill(&mut file)?;
                let file = file.into_inner()?;
                #[cfg(unix)]
                file.set_permissions(cap_std::fs::PermissionsExt::from_mode(staging.file_mode()))?;
                Ok(file)
            })
            .and_then(|file| faults.sync(Op::Sync, label, &file, || file.sync_all()))
            .and_then(|()| {
                faults.call(Op::Publish, label, || staging.dir.rename(&temp, dir, name))
            });
        if done.is_err() {
            // What cannot be removed now is swept by the next run.
            let _ = faults.call(Op::Remove, label, || staging.dir.remove_file(&temp));
        }
        done?;
        faults.sync(Op::SyncFolder, label, dir, || beneath::sync(dir))
    }
}

impl StateLog {
    /// Adds a line.
    pub fn line(&mut self, text: &str) -> Result<(), DiskError> {
        self.faults.call(Op::Write, &self.name, || {
            self.file.write_all(text.as_bytes())?;
            self.file.write_all(b"\n")
        })
    }

    /// Hands all lines to the system.
    pub fn flush(&mut self) -> Result<(), DiskError> {
        self.faults.call(Op::Write, &self.name, || self.file.flush())
    }

    /// Makes sure that all lines last.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.flush()?;
        let file = self.file.get_ref();
        self.faults.sync(Op::Sync, &self.name, file, || file.sync_data())
    }
}

/// Folder and file of a name in the state folder.
fn split(name: &str) -> Result<(String, String), DiskError> {
    let path = RelPath::new(name).map_err(|error| {
        DiskError::of(Op::Open, name, io::Error::new(io::ErrorKind::InvalidInput, error))
    })?;
    let folder = path.parent().map(String::from).unwrap_or_default();
    Ok((folder, path.name().to_owned()))
}
