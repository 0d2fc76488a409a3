//! `config_file`, `state`, `disk`: what is on this machine. Looks and makes nothing.

use std::path::{Path, PathBuf};

use super::check::Finding;
use crate::commands::exit::{LOCKED, Problem};
use crate::commands::{Session, home};
use crate::config::{Config, ConfigError};
use crate::store::{Rows, StoreError};
use crate::ui::text::{bytes, count, counted};

/// `config_file`.
pub fn config_file(config: &Result<Config, ConfigError>) -> Finding {
    let config = match config {
        Ok(config) => config,
        Err(error) => return Finding::fail(error.to_string()).hint(error.hint()),
    };
    let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    let file = config.file.display();
    let number = counted(names.len() as u64, "source", "sources");
    let message = format!("{file}: {number} ({})", names.join(", "));
    if others_may_write(&config.file) {
        return Finding::warn(format!(
            "{message}; every user of this machine may change it, and with it where your copy \
             goes and which hosts are called"
        ))
        .hint(format!("chmod o-w '{file}'"));
    }
    Finding::pass(message)
}

#[cfg(unix)]
fn others_may_write(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn others_may_write(_: &Path) -> bool {
    false
}

/// `state`: writable, on one file system with the copy, and the manifest opens.
pub fn state(session: &Session, config: &Config) -> Finding {
    let places = match (Nearest::of(&config.path), Nearest::of(&config.state)) {
        (Ok(copy), Ok(state)) => [copy, state],
        (Err(finding), _) | (_, Err(finding)) => return finding,
    };
    for place in &places {
        if let Err(finding) = place.is_writable() {
            return finding;
        }
    }
    let [copy, state] = &places;
    if copy.device != state.device {
        return Finding::fail(format!(
            "{} is on another file system than the copy in {}",
            config.state.display(),
            config.path.display()
        ))
        .hint(
            "files are moved from there into the copy at once, which no move across file \
             systems is: leave `state` in [mirror] out, or name a folder beside the copy",
        );
    }
    match home::glimpse(session, config, false) {
        Ok(seen) if !seen.intents.is_empty() => Finding::warn(format!(
            "a run was cut short in the middle of {}",
            counted(seen.intents.len() as u64, "rename", "renames")
        ))
        .hint("nothing is lost: the next sync settles it: feishu-mirror sync"),
        Ok(seen) => match readable_rows(seen.rows.as_ref()) {
            Ok(0) if !state.is_there => {
                Finding::pass(format!("{} is made by the first sync", config.state.display()))
            }
            Ok(places) => Finding::pass(format!(
                "{}: the manifest opens and knows {} places",
                config.state.display(),
                count(places)
            )),
            Err(error) => {
                let Problem { message, hint, .. } = Problem::from(error);
                Finding::fail(message).maybe_hint(hint)
            }
        },
        Err(problem) if problem.code == LOCKED => {
            Finding::pass(format!("{}; the manifest is in use", problem.message))
        }
        Err(Problem { message, hint, .. }) => Finding::fail(message).maybe_hint(hint),
    }
}

/// Reads every row; returns how many there are.
fn readable_rows(rows: Option<&Rows>) -> Result<u64, StoreError> {
    let mut count = 0;
    if let Some(rows) = rows {
        rows.for_each_row(|_| {
            count += 1;
            Ok(())
        })?;
    }
    Ok(count)
}

/// `disk`.
pub fn disk(config: &Config) -> Finding {
    let near = match Nearest::of(&config.path) {
        Ok(near) => near,
        Err(finding) => return finding,
    };
    match free_bytes(&near.path) {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            Finding::skip("how much is free is not known on this system")
        }
        Err(error) => Finding::fail(format!(
            "cannot ask how much is free at {}: {error}",
            near.path.display()
        )),
        Ok(free) => room(free, config.min_free, &config.path),
    }
}

fn room(free: u64, min_free: u64, path: &Path) -> Finding {
    let told = format!("{} free at {}", bytes(free), path.display());
    let hint = "free some space, choose another `path`, or lower `min_free` in [mirror]";
    if free < min_free {
        return Finding::fail(format!("{told}, less than min_free = {}", bytes(min_free)))
            .hint(format!("sync stops at once: {hint}"));
    }
    // Room for the next runs, not only for the reserve.
    let enough = min_free.saturating_mul(2).max(min_free.saturating_add(256 << 20));
    if free < enough {
        return Finding::warn(format!(
            "{told}; sync stops when less than {} is left",
            bytes(min_free)
        ))
        .hint(hint);
    }
    Finding::pass(told)
}

#[cfg(unix)]
fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> std::io::Result<u64> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// A folder, or the nearest one above it that is there: what it will be made in.
struct Nearest {
    wanted: PathBuf,
    path: PathBuf,
    is_there: bool,
    /// Tells file systems apart; 0 where the system does not.
    device: u64,
}

impl Nearest {
    fn of(wanted: &Path) -> Result<Self, Finding> {
        for path in wanted.ancestors() {
            let meta = match path.metadata() {
                Ok(meta) => meta,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(Finding::fail(format!(
                        "cannot look at {}: {error}",
                        path.display()
                    ))
                    .hint("check `path` and `state` in [mirror]"));
                }
            };
            if !meta.is_dir() {
                return Err(Finding::fail(format!("{} is not a folder", path.display()))
                    .hint("check `path` and `state` in [mirror]"));
            }
            return Ok(Self {
                wanted: wanted.to_owned(),
                path: path.to_owned(),
                is_there: path == wanted,
                device: device(&meta),
            });
        }
        Err(Finding::fail(format!("nothing is there of {}", wanted.display())))
    }

    /// Asks the system, without writing.
    #[cfg(unix)]
    fn is_writable(&self) -> Result<(), Finding> {
        use rustix::fs::Access;
        let Err(error) = rustix::fs::access(&self.path, Access::WRITE_OK | Access::EXEC_OK) else {
            return Ok(());
        };
        let error = std::io::Error::from(error);
        let what = if self.is_there {
            format!("cannot write to {}: {error}", self.path.display())
        } else {
            format!(
                "cannot make {}: {} is not writable: {error}",
                self.wanted.display(),
                self.path.display()
            )
        };
        Err(Finding::fail(what).hint(
            "give this user the right to write there, mount the disk writable, or choose \
             another `path` or `state` in [mirror]",
        ))
    }

    #[cfg(not(unix))]
    fn is_writable(&self) -> Result<(), Finding> {
        let read_only = self.path.metadata().is_ok_and(|meta| meta.permissions().readonly());
        if !read_only {
            return Ok(());
        }
        Err(Finding::fail(format!("{} is read-only", self.wanted.display()))
            .hint("choose another `path` or `state` in [mirror]"))
    }
}

#[cfg(unix)]
fn device(meta: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(meta)
}

#[cfg(not(unix))]
fn device(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn there_must_be_room_for_more_than_the_reserve() {
        let gib = 1 << 30;
        let cases = [
            (gib - 1, gib, Status::Fail),
            (gib, gib, Status::Warn),
            (2 * gib - 1, gib, Status::Warn),
            (2 * gib, gib, Status::Pass),
            (100 << 20, 0, Status::Warn),
            (0, 0, Status::Warn),
            (u64::MAX, u64::MAX, Status::Pass),
        ];
        for (free, min_free, want) in cases {
            assert_eq!(room(free, min_free, Path::new("/m")).status, want, "{free} {min_free}");
        }
    }

    #[test]
    fn a_folder_to_be_made_is_judged_by_what_it_is_made_in() {
        let dir = tempfile::tempdir().unwrap();
        let near = Nearest::of(&dir.path().join("a/b/c")).unwrap_or_else(|f| panic!("{f:?}"));
        assert_eq!(near.path, dir.path());
        assert!(!near.is_there && near.is_writable().is_ok());
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        for below in [file.clone(), file.join("deeper")] {
            let Err(finding) = Nearest::of(&below) else { panic!("{below:?}") };
            assert_eq!(finding.status, Status::Fail);
        }
        assert!(std::fs::read_dir(dir.path()).unwrap().count() == 1, "nothing was made");
    }
}
