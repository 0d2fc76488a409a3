//! Steps below a folder handle, one component at a time, that no symlink can divert;
//! and the few calls that cap-std has no word for.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, DirBuilder, File, Metadata, OpenOptions};

use super::DiskError;
use crate::faults::Op;

/// What stands under a name, in words.
pub(super) fn kind(meta: &Metadata) -> &'static str {
    let ty = meta.file_type();
    if ty.is_symlink() {
        "a symlink"
    } else if ty.is_dir() {
        "a folder"
    } else if ty.is_file() {
        "a file"
    } else {
        "a device, socket or pipe"
    }
}

/// What stands under one name of a folder, not followed; `None`: nothing.
pub(super) fn stat(dir: &Dir, name: &str) -> io::Result<Option<Metadata>> {
    match dir.symlink_metadata(name) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens the folder `name` of `dir`, which must be a real one. `label` names it in errors.
pub(super) fn step(dir: &Dir, name: &str, label: &str) -> Result<Dir, DiskError> {
    dir.open_dir_nofollow(name).map_err(|error| match stat(dir, name) {
        Ok(Some(meta)) if !meta.is_dir() => {
            DiskError::Occupied { path: label.to_owned(), what: kind(&meta) }
        }
        _ => DiskError::of(Op::Open, label, error),
    })
}

/// Opens the folder `a/b/c` below `base`; `""` is `base` itself. `label` is put before
/// the path in errors.
pub(super) fn folder(base: &Dir, path: &str, label: &str) -> Result<Dir, DiskError> {
    walk(base, path, label, step)
}

/// Opens the folder `a/b/c` below `base` and makes what is missing of it; calls `made`
/// with the path of each folder that got a new entry.
pub(super) fn folder_made(
    base: &Dir,
    path: &str,
    label: &str,
    mut made: impl FnMut(&str),
) -> Result<Dir, DiskError> {
    walk(base, path, label, |dir, name, at| {
        match step(dir, name, at) {
            Err(error) if error.is_missing() => {}
            other => return other,
        }
        match make(dir, name) {
            Ok(()) => made(parent_label(at, label)),
            // Made by somebody else just now; `step` sees whether it will do.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DiskError::of(Op::MakeFolder, at, error)),
        }
        step(dir, name, at)
    })
}

fn parent_label<'a>(at: &'a str, label: &str) -> &'a str {
    let below = at.strip_prefix(label).unwrap_or(at);
    below.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn walk(
    base: &Dir,
    path: &str,
    label: &str,
    mut next: impl FnMut(&Dir, &str, &str) -> Result<Dir, DiskError>,
) -> Result<Dir, DiskError> {
    let mut at = label.to_owned();
    let mut dir: Option<Dir> = None;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if dir.is_some() {
            at.push('/');
        }
        at.push_str(name);
        dir = Some(next(dir.as_ref().unwrap_or(base), name, &at)?);
    }
    match dir {
        Some(dir) => Ok(dir),
        None => base.try_clone().map_err(|error| DiskError::of(Op::Open, label, error)),
    }
}

/// Makes one folder, 0755 less the umask.
pub(super) fn make(dir: &Dir, name: &str) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    cap_std::fs::DirBuilderExt::mode(&mut builder, 0o755);
    dir.create_dir_with(name, &builder)
}

/// Opens a regular file for reading; a symlink or a pipe there is an error, not a trap.
pub(super) fn read(dir: &Dir, name: &str) -> io::Result<File> {
    open(dir, name, OpenOptions::new().read(true))
}

/// Opens an existing (or, if `options` say so, a new) regular file.
pub(super) fn open(dir: &Dir, name: &str, options: &mut OpenOptions) -> io::Result<File> {
    let file = dir.open_with(name, options.follow(FollowSymlinks::No).nonblock(true))?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Makes a new file that only this user may read until it is dressed.
pub(super) fn create(dir: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
    dir.open_with(name, &options)
}

/// Renames where nothing stands under the new name.
///
/// On Linux and macOS the system itself refuses to replace. Elsewhere, and on file
/// systems that know no such rename, the check comes just before: somebody who puts a
/// file there in between loses it.
pub(super) fn rename_new(from: (&Dir, &str), to: (&Dir, &str)) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) if is_case_twin(from, to)? => {
                return from.0.rename(from.1, to.0, to.1);
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match stat(to.0, to.1)? {
        Some(_) if !is_case_twin(from, to)? => Err(io::ErrorKind::AlreadyExists.into()),
        _ => from.0.rename(from.1, to.0, to.1),
    }
}

/// True where both names lead to one entry of a file system that ignores case (or the
/// Unicode form), so that "the target exists" only means the source itself.
fn is_case_twin(from: (&Dir, &str), to: (&Dir, &str)) -> io::Result<bool> {
    use cap_fs_ext::MetadataExt;
    use unicode_normalization::UnicodeNormalization;
    let fold = |name: &str| name.nfc().collect::<String>().to_lowercase();
    if from.1 == to.1 || fold(from.1) != fold(to.1) {
        return Ok(false);
    }
    let (Some(a), Some(b)) = (stat(from.0, from.1)?, stat(to.0, to.1)?) else { return Ok(false) };
    // More than one link to a file could be two entries; a folder has one entry.
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()) && (a.is_dir() || a.nlink() == 1))
}

/// fsyncs a folder, so that the names in it last. Nothing to do where the system has
/// no such call.
pub(super) fn sync(dir: &Dir) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{Mode, OFlags, fsync, openat};
        use rustix::io::Errno;
        // The handles of cap-std are O_PATH on Linux, which fsync refuses.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match fsync(openat(dir, ".", flags, Mode::empty())?) {
            // Network and FUSE file systems that keep no order of their own to write down.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

/// Removes a folder and all that is in it, without following symlinks; returns how many
/// files and links that were.
pub(super) fn remove_tree(dir: &Dir, name: &str) -> io::Result<u64> {
    let inside = dir.open_dir_nofollow(name)?;
    let mut files = 0;
    for entry in inside.entries()? {
        let entry = entry?;
        let child = entry.file_name();
        if entry.file_type()?.is_dir() {
            match child.to_str() {
                Some(child) => files += remove_tree(&inside, child)?,
                None => inside.remove_dir_all(&child)?,
            }
        } else {
            inside.remove_file_or_symlink(&child)?;
            files += 1;
        }
    }
    drop(inside);
    dir.remove_dir(name)?;
    Ok(files)
}

/// A file time in whole seconds since 1970, rounded down.
pub(super) fn secs(time: SystemTime) -> i64 {
    let whole = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => {
            let before = before.duration();
            -whole(before) - i64::from(before.subsec_nanos() > 0)
        }
    }
}

/// The moment so many seconds after (or before) 1970.
pub(super) fn time(secs: i64) -> SystemTime {
    let by = Duration::from_secs(secs.unsigned_abs());
    let moment = if secs < 0 { UNIX_EPOCH.checked_sub(by) } else { UNIX_EPOCH.checked_add(by) };
    moment.unwrap_or(UNIX_EPOCH)
}
