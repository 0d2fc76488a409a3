//! Private files: mode 0600 in folders of mode 0700, replaced whole or not at all.
//!
//! A file that holds a secret is never laxer than 0600, not even between its creation
//! and its first byte, and whatever the umask says. [`replace`] writes a new file beside
//! the old one, syncs it, renames it over the old one and syncs the folder: a process
//! killed at any instant leaves the old file or the new one, and a reader without a lock
//! sees one of the two. What such a process leaves beside it is as private, and is
//! removed by a later one.
//!
//! Where the system has no modes (Windows), the profile's folder inherits the access
//! rights of the user's own folder, and nothing is checked.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{AuthError, pkce};

/// A new file that is older than this belongs to nobody any more: replacing one takes
/// milliseconds.
const LEFTOVER_AFTER: Duration = Duration::from_secs(3600);

/// A renewed login takes less than this, with room to spare.
const ROOM_BYTES: usize = 32 << 10;

/// A file or folder that was open to others until this program closed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Which.
    pub path: PathBuf,
    /// Its mode before.
    pub was: u32,
    /// Its mode now.
    pub is: u32,
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, was, is } = self;
        write!(f, "{} was open to others (mode {was:o}); its mode is {is:o} now", path.display())
    }
}

/// Makes a folder and those above it, each new one for its owner only. The folder
/// itself is made private where it was laxer; those above it are left as they are.
pub fn make_folder(folder: &Path) -> Result<(), AuthError> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => return make_private(folder).map(drop),
        Ok(_) => return Err(fault("make the folder", folder)(ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(fault("look at", folder)(error)),
    }
    if let Some(above) = parent(folder)
        && !above.is_dir()
    {
        make_folder(above)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Ok(()) => {}
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        Err(error) => return Err(fault("make the folder", folder)(error)),
    }
    #[cfg(unix)]
    {
        // A umask that takes rights from the owner must not lock them out.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder, mode).map_err(fault("set the mode of", folder))?;
        if let Some((uid, gid)) = parent(folder).and_then(owner) {
            // See `create`.
            let _ = std::os::unix::fs::chown(folder, Some(uid), Some(gid));
        }
    }
    match parent(folder) {
        Some(above) => sync_folder(above),
        None => Ok(()),
    }
}

/// Takes a file or folder, if it is there, from everybody but its owner.
///
/// # Errors
/// [`AuthError::Open`] where that is not possible: it belongs to somebody else, or its
/// file system has no modes.
pub fn make_private(path: &Path) -> Result<Option<Repaired>, AuthError> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault("look at", path)(error)),
    };
    close(path, &found, |mode| fs::set_permissions(path, mode), || fs::metadata(path))
}

/// Changes the mode of what `found` describes, if it is too lax, and looks again: some
/// file systems take any mode and keep their own.
#[cfg(unix)]
fn close(
    path: &Path,
    found: &fs::Metadata,
    set: impl FnOnce(fs::Permissions) -> io::Result<()>,
    look: impl FnOnce() -> io::Result<fs::Metadata>,
) -> Result<Option<Repaired>, AuthError> {
    use std::os::unix::fs::PermissionsExt;
    let bits = |found: &fs::Metadata| found.permissions().mode() & 0o7777;
    let (was, is) = (bits(found), if found.is_dir() { 0o700 } else { 0o600 });
    if is_private(was) {
        return Ok(None);
    }
    let closed = set(fs::Permissions::from_mode(is)).and_then(|()| look());
    match closed {
        Ok(now) if is_private(bits(&now)) => Ok(Some(Repaired { path: path.to_owned(), was, is })),
        _ => Err(AuthError::Open { path: path.to_owned(), mode: was, want: is }),
    }
}

/// True for a mode that gives group and others nothing.
#[cfg(unix)]
fn is_private(mode: u32) -> bool {
    mode.trailing_zeros() >= 6
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as elsewhere")]
fn close(
    _: &Path,
    _: &fs::Metadata,
    _: impl FnOnce(fs::Permissions) -> io::Result<()>,
    _: impl FnOnce() -> io::Result<fs::Metadata>,
) -> Result<Option<Repaired>, AuthError> {
    Ok(None)
}

/// Reads a private JSON file; `None` where there is none. A laxer mode is repaired;
/// where that is not possible, the file is refused, and so is a symbolic link.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AuthError> {
    bytes(path)?.map(|bytes| parse(path, &bytes)).transpose()
}

/// The same for a file with a `version`, of which this program knows those up to
/// `newest`.
///
/// # Errors
/// [`AuthError::Newer`] before anything else of the file is looked at.
pub(super) fn read_known<T: DeserializeOwned>(
    path: &Path,
    newest: u32,
) -> Result<Option<T>, AuthError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let Some(bytes) = bytes(path)? else { return Ok(None) };
    let Head { version } = parse(path, &bytes)?;
    if version > newest {
        return Err(AuthError::Newer { path: path.to_owned(), version });
    }
    parse(path, &bytes).map(Some)
}

fn bytes(path: &Path) -> Result<Option<Vec<u8>>, AuthError> {
    let mut file = match open(path) {
        Ok(Some(file)) => file,
        Ok(None) => return Err(damaged(path, "it is a symbolic link, and none is followed here")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault("read", path)(error)),
    };
    let found = file.metadata().map_err(fault("look at", path))?;
    if !found.is_file() {
        return Err(damaged(path, "it is no file"));
    }
    close(path, &found, |mode| file.set_permissions(mode), || file.metadata())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(fault("read", path))?;
    Ok(Some(bytes))
}

/// Opens to read; `None`: a symbolic link.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{Mode, OFlags};
    // NONBLOCK: a pipe in the file's place would make this wait for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file.into())),
        Err(rustix::io::Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<Option<File>> {
    let link = fs::symlink_metadata(path)?.is_symlink();
    if link { Ok(None) } else { File::open(path).map(Some) }
}

/// The parser's own words may quote what it read: only where it stopped is told.
fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, AuthError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (at, inner) = (error.path().to_string(), error.inner());
        let why = match (inner.classify(), at.as_str()) {
            (serde_json::error::Category::Data, ".") => {
                "a field is missing or of another kind".to_owned()
            }
            (serde_json::error::Category::Data, field) => format!("`{field}` is of another kind"),
            _ => format!("no whole JSON (line {}, column {})", inner.line(), inner.column()),
        };
        damaged(path, &why)
    })
}

/// Writes a private JSON file: a new file beside it, synced, renamed over it, and the
/// folder synced. A process killed at any step leaves the old file or the new one.
///
/// Whoever reads, changes and replaces holds a lock meanwhile.
pub fn replace(path: &Path, value: &impl Serialize) -> Result<(), AuthError> {
    replace_in_steps(path, value, &mut step)
}

/// What a file of ours holds.
pub(super) fn text(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("plain data has a JSON form");
    text.push(b'\n');
    text
}

fn replace_in_steps(
    path: &Path,
    value: &impl Serialize,
    step: &mut dyn FnMut(&'static str),
) -> Result<(), AuthError> {
    let text = text(value);
    sweep(path);
    let mut new = New::create(path)?;
    step("created");
    new.file.write_all(&text).map_err(fault("write", path))?;
    step("written");
    new.file.sync_all().map_err(fault("write to disk", path))?;
    step("synced");
    fs::rename(&new.path, path).map_err(fault("replace", path))?;
    new.published = true;
    step("renamed");
    if let Some(folder) = parent(path) {
        sync_folder(folder)?;
    }
    step("folder-synced");
    Ok(())
}

/// Makes sure that [`replace`] would find room, as far as that can be known before.
pub(super) fn try_room(path: &Path) -> Result<(), AuthError> {
    let mut new = New::create(path)?;
    // Not zeros: a file system that compresses would keep no room for those.
    let line = pkce::random();
    let line = line.expose_secret().as_bytes();
    let text: Vec<u8> = line.iter().copied().cycle().take(ROOM_BYTES).collect();
    new.file.write_all(&text).map_err(fault("write", path))
}

/// A step of replacing a file. With the `test-hooks` feature the process dies at the
/// step that `FEISHU_MIRROR_DIE_AT` names, as if killed.
pub(super) fn step(name: &'static str) {
    #[cfg(feature = "test-hooks")]
    if std::env::var_os("FEISHU_MIRROR_DIE_AT").is_some_and(|at| at == name) {
        std::process::abort();
    }
    #[cfg(not(feature = "test-hooks"))]
    let _ = name;
}

/// A file on its way to another's place, removed where it does not get there.
struct New {
    file: File,
    path: PathBuf,
    published: bool,
}

impl New {
    fn create(target: &Path) -> Result<Self, AuthError> {
        let random = pkce::random();
        let name = format!("{}{}.tmp", temp_prefix(target), &random.expose_secret()[..12]);
        let path = target.with_file_name(name);
        let file = create(&path, true).map_err(fault("write", target))?;
        Ok(Self { file, path, published: false })
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.published {
            // Where this fails, a later run does it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn temp_prefix(target: &Path) -> String {
    format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy())
}

/// Creates a file for its owner only; with `new`, one that was not there.
fn create(path: &Path, new: bool) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(new).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let nofollow = rustix::fs::OFlags::NOFOLLOW.bits();
        options.mode(0o600).custom_flags(nofollow.cast_signed());
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let found = file.metadata()?;
        if found.mode() & 0o7777 != 0o600 {
            // A umask that takes rights from the owner; or an old file that is laxer.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        // `sudo feishu-mirror` in somebody's home: root's file there would lock its owner
        // out. Nobody but root can give files away.
        if let Some((uid, gid)) = parent(path).and_then(owner).filter(|own| own.0 != found.uid()) {
            let _ = std::os::unix::fs::fchown(&file, Some(uid), Some(gid));
        }
    }
    Ok(file)
}

#[cfg(unix)]
fn owner(folder: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).ok().map(|found| (found.uid(), found.gid()))
}

/// Removes what killed processes left in the folder of `path`: new files that are old.
fn sweep(path: &Path) {
    let old = |entry: &fs::DirEntry| {
        let age = entry.metadata().and_then(|found| found.modified()).map(|at| at.elapsed());
        matches!(age, Ok(Ok(age)) if age > LEFTOVER_AFTER)
    };
    discard_temps(path, |name, entry| name.starts_with('.') && old(entry));
}

/// Removes what a killed process left of replacing this very file, however young: for
/// those who hold the lock that every writer of the file holds.
pub(super) fn discard_leftovers(path: &Path) {
    let prefix = temp_prefix(path);
    discard_temps(path, |name, _| name.starts_with(&prefix));
}

/// Failing here harms nobody: the next process tries again.
fn discard_temps(path: &Path, which: impl Fn(&str, &fs::DirEntry) -> bool) {
    let Some(entries) = parent(path).and_then(|folder| fs::read_dir(folder).ok()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_temp = name.rsplit_once('.').is_some_and(|(_, extension)| extension == "tmp");
        if is_temp && which(&name, &entry) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes a file, synced; none there is no error.
pub fn remove(path: &Path) -> Result<(), AuthError> {
    match fs::remove_file(path) {
        Ok(()) => parent(path).map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(fault("remove", path)(error)),
    }
}

/// fsyncs a folder, so that the names in it last.
pub(super) fn sync_folder(folder: &Path) -> Result<(), AuthError> {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let file = match File::open(folder) {
            Ok(file) => file,
            // One may write into a folder that one may not read.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(()),
            Err(error) => return Err(fault("open", folder)(error)),
        };
        match rustix::fs::fsync(&file) {
            // Network and FUSE file systems that keep no order of their own to write down.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => {}
            Err(error) => return Err(fault("write to disk the folder", folder)(error.into())),
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Held by one process at a time, or by several together, until dropped.
#[derive(Debug)]
pub struct FileLock(File);

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing alone leaves it locked while a child process that was just forked still
        // has the same open file. Where this fails, closing has to do.
        let _ = self.0.unlock();
    }
}

/// Waits for the lock, and has it alone. Blocks the thread.
pub fn lock(path: &Path) -> Result<FileLock, AuthError> {
    lock_as(path, File::lock)
}

/// Waits until nobody has the lock alone. Blocks the thread.
pub(super) fn lock_shared(path: &Path) -> Result<FileLock, AuthError> {
    lock_as(path, File::lock_shared)
}

/// Takes the lock if nobody has it; `None` where somebody does.
pub(super) fn try_lock(path: &Path) -> Result<Option<FileLock>, AuthError> {
    let file = create(path, false).map_err(fault("lock", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(FileLock(file)).filter(|lock| is_at(&lock.0, path))),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(fault("lock", path)(error)),
    }
}

fn lock_as(path: &Path, wait: fn(&File) -> io::Result<()>) -> Result<FileLock, AuthError> {
    loop {
        let file = create(path, false).map_err(fault("lock", path))?;
        wait(&file).map_err(fault("lock", path))?;
        // It may have been removed while this waited, and the next one would lock another.
        if is_at(&file, path) {
            return Ok(FileLock(file));
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// A file that somebody has open cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// The folder that a path lies in; `None` for a root.
fn parent(path: &Path) -> Option<&Path> {
    path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

pub(super) fn fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuthError {
    let path = path.to_owned();
    move |source| AuthError::Io { action, path, source }
}

fn damaged(path: &Path, why: &str) -> AuthError {
    AuthError::Damaged { path: path.to_owned(), why: why.to_owned() }
}
