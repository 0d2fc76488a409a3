//! The run lock: one writer a mirror, held as long as the process lives.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use super::StoreError;

/// The lock's file in the state folder. It stays there; only its lock counts, which
/// the system drops with the process however that ends.
const LOCK_FILE: &str = "lock";

/// Held while a run goes on; dropping it ends the claim.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Closing alone leaves it locked while a child process that was just forked still
        // has the same open file. Where this fails, closing has to do.
        let _ = self.file.unlock();
    }
}

/// Claims the mirror for this run. The state folder must exist.
///
/// # Errors
/// [`StoreError::Locked`] where another run (of any process, this one included) holds it.
pub fn lock(state: &Path) -> Result<RunLock, StoreError> {
    let path = state.join(LOCK_FILE);
    let fault = |error: io::Error| StoreError::io("lock", &path, error);
    let mut file = open(state).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let path = path.display().to_string();
            return Err(StoreError::Locked { path, pid: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(fault(error)),
    }
    let mut note = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note().map_err(fault)?;
    Ok(RunLock { file })
}

/// Opens the lock's file itself, never what a symlink there leads to.
fn open(state: &Path) -> io::Result<File> {
    let dir = Dir::open_ambient_dir(state, ambient_authority())?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).follow(FollowSymlinks::No);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, 0o644);
    Ok(dir.open_with(LOCK_FILE, &options)?.into_std())
}

/// The process that holds the lock, for the message.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_mirror() {
        let state = tempfile::tempdir().unwrap();
        let first = lock(state.path()).unwrap();
        let error = lock(state.path()).unwrap_err();
        assert!(matches!(error, StoreError::Locked { pid, .. } if pid == Some(std::process::id())));
        assert!(error.to_string().contains(&format!("process {}", std::process::id())));
        drop(first);
        lock(state.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_symlink_is_not_locked() {
        let state = tempfile::tempdir().unwrap();
        let outside = state.path().join("outside");
        std::fs::write(&outside, "precious").unwrap();
        std::os::unix::fs::symlink(&outside, state.path().join(LOCK_FILE)).unwrap();
        assert!(matches!(lock(state.path()), Err(StoreError::Io { .. })));
        assert_eq!(std::fs::read(&outside).unwrap(), b"precious");
    }
}
