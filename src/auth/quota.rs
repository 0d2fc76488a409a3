//! The use of an app's quota on disk: for the next run, and for other processes of the app.
//!
//! | whose calls | kept in | shared with |
//! | --- | --- | --- |
//! | a profile's app or login | `profiles/<name>/quota.json` | every process with the profile |
//! | credentials from the environment, in a run | `quota.json` in the mirror's state | nobody: the mirror's lock keeps others out |
//! | the same, without a mirror | nowhere | nobody |
//!
//! Nobody but the system says who is alive: each process holds the lock of one of a few
//! empty files, and a lock that can be taken belongs to nobody. They and the lock on
//! `quota.json` lie beside the profile's folder, since a folder with an open file in it
//! cannot be renamed everywhere. A process takes its file with it when it ends; one that
//! was killed leaves it to the next.
//!
//! Nothing here is secret, and nothing here ends a run: where the files cannot be read or
//! written, a process goes by what it knows itself.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::AuthError;
use super::files::{self, FileLock};
use super::profiles::{Profile, Profiles};
use crate::feishu::{Kept, QuotaKeeper};

/// The format that this program writes, and the newest one that it reads.
const VERSION: u32 = 1;

const FILE: &str = "quota.json";
const LOCK: &str = "quota.lock";

/// Processes that are told apart. More than that share as if they were one more.
const SEATS: usize = 16;

/// So long somebody else may take to change the file, where milliseconds are usual.
const PATIENCE_MS: u64 = 1000;

/// How a mirror's state is written, once this process holds the mirror: by name below a
/// folder that was opened then, wherever a symlink put in its place may lead by now.
#[derive(Clone, Default)]
pub struct StateWriter(Arc<OnceLock<Box<WriteState>>>);

/// Writes a file of a mirror's state, atomically and durably.
type WriteState = dyn Fn(&str, &[u8]) -> io::Result<()> + Send + Sync;

impl StateWriter {
    /// From now on this process holds the mirror.
    pub fn set(&self, write: impl Fn(&str, &[u8]) -> io::Result<()> + Send + Sync + 'static) {
        // A command holds one mirror, once.
        let _ = self.0.set(Box::new(write));
    }

    fn get(&self) -> Option<&WriteState> {
        self.0.get().map(AsRef::as_ref)
    }
}

impl fmt::Debug for StateWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateWriter").field(&self.0.get().is_some()).finish()
    }
}

/// The use of a quota, kept in a file.
#[derive(Debug)]
pub struct QuotaFile {
    place: Place,
    /// Our own, from the first call on.
    seat: Mutex<Option<Seat>>,
}

#[derive(Debug)]
enum Place {
    Profile { profiles: Profiles, name: String, id: String },
    Mirror { state: PathBuf, writer: StateWriter },
}

/// Nobody else changes the file.
enum Alone {
    Locked {
        _lock: FileLock,
    },
    /// The mirror's own lock says so.
    Mirror,
}

impl QuotaFile {
    /// In a profile, for all who use it.
    pub fn of_profile(profile: &Profile) -> Self {
        Self::at(Place::Profile {
            profiles: profile.profiles.clone(),
            name: profile.name.clone(),
            id: profile.id.clone(),
        })
    }

    /// In a mirror's state. Only once there is a `writer`, so the mirror is locked, something is
    /// written there.
    pub fn of_mirror(state: &Path, writer: StateWriter) -> Self {
        Self::at(Place::Mirror { state: state.to_owned(), writer })
    }

    fn at(place: Place) -> Self {
        Self { place, seat: Mutex::default() }
    }

    /// The file's path today; `None` where its profile is gone.
    fn path(&self) -> Result<Option<PathBuf>, AuthError> {
        match &self.place {
            Place::Profile { profiles, name, id } => {
                let found = profiles.find(name, id)?;
                Ok(found.map(|(name, _)| profiles.root().join(name).join(FILE)))
            }
            Place::Mirror { state, .. } => Ok(Some(state.join(FILE))),
        }
    }

    fn read(path: &Path) -> Result<Kept, AuthError> {
        match files::read_known(path, VERSION) {
            // Numbers that can be learned again.
            Err(AuthError::Damaged { .. }) | Ok(None) => Ok(Kept::default()),
            Ok(Some(kept)) => Ok(kept),
            Err(error) => Err(error),
        }
    }

    /// Keeps others from changing the file; `None` where somebody does it for too long: a
    /// process that was stopped at that moment is to hold up nobody's end.
    fn lock(&self) -> Result<Option<Alone>, AuthError> {
        let Place::Profile { profiles, id, .. } = &self.place else {
            return Ok(Some(Alone::Mirror));
        };
        let path = profiles.beside(id, LOCK);
        for _ in 0..PATIENCE_MS / 10 {
            if let Some(lock) = files::try_lock(&path)? {
                return Ok(Some(Alone::Locked { _lock: lock }));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(None)
    }

    fn change(&self, change: &mut dyn FnMut(&mut Kept) -> bool) -> Result<Option<Kept>, AuthError> {
        if let Place::Mirror { writer, .. } = &self.place
            && writer.get().is_none()
        {
            return Ok(None);
        }
        // A profile that is gone gets no lock file.
        if self.path()?.is_none() {
            return Ok(None);
        }
        let Some(_alone) = self.lock()? else { return Ok(None) };
        let Some(path) = self.path()? else {
            if let Place::Profile { profiles, id, .. } = &self.place {
                // Removed while this waited, and its lock with it: this one is new.
                files::remove(&profiles.beside(id, LOCK))?;
            }
            return Ok(None);
        };
        let mut kept = Self::read(&path)?;
        if change(&mut kept) {
            kept.version = VERSION;
            self.write(&path, &kept)?;
        }
        Ok(Some(kept))
    }
}

impl QuotaFile {
    fn write(&self, path: &Path, kept: &Kept) -> Result<(), AuthError> {
        let writer = match &self.place {
            Place::Mirror { writer, .. } => writer.get(),
            Place::Profile { .. } => None,
        };
        let Some(write) = writer else { return files::replace(path, kept) };
        write(FILE, &files::text(kept)).map_err(files::fault("write", path))
    }
}

impl QuotaKeeper for QuotaFile {
    fn users(&self) -> usize {
        let Place::Profile { profiles, id, .. } = &self.place else { return 1 };
        let path = |number| seat(profiles, id, number);
        let mut mine = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        if mine.is_none() {
            *mine = (0..SEATS).find_map(|number| Seat::take(path(number)));
        }
        let taken = |number: &usize| {
            let path = path(*number);
            mine.as_ref().is_none_or(|mine| mine.path != path) && is_taken(&path)
        };
        1 + (0..SEATS).filter(taken).count()
    }

    fn load(&self) -> Kept {
        let path = self.path().ok().flatten();
        path.and_then(|path| Self::read(&path).ok()).unwrap_or_default()
    }

    fn exchange(&self, change: &mut dyn FnMut(&mut Kept) -> bool) -> io::Result<Kept> {
        match self.change(change) {
            Ok(Some(kept)) => Ok(kept),
            Ok(None) => {
                Err(io::Error::other("there is no place for it, or another process keeps it busy"))
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// Removes what lies beside a profile that is being removed. Whoever still calls with it
/// has a seat without a name.
pub(super) fn forget(profiles: &Profiles, id: &str) -> Result<(), AuthError> {
    files::remove(&profiles.beside(id, LOCK))?;
    (0..SEATS).try_for_each(|number| files::remove(&seat(profiles, id, number)))
}

fn seat(profiles: &Profiles, id: &str, number: usize) -> PathBuf {
    profiles.beside(id, &format!("user-{number}.lock"))
}

/// A lock that is held as long as its process lives.
#[derive(Debug)]
struct Seat {
    path: PathBuf,
    _lock: FileLock,
}

impl Seat {
    /// `None`: it is another process's.
    fn take(path: PathBuf) -> Option<Self> {
        let lock = files::try_lock(&path).ok().flatten()?;
        Some(Self { path, _lock: lock })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Still locked, so nobody else can be in it. Where this fails, it stays empty.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// True where a process holds the file. Looking does not keep anybody else from looking.
fn is_taken(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feishu::oauth::AppKey;
    use crate::model::account::Domain;

    fn profile(home: &Path) -> Profile {
        let app = AppKey { id: "cli_x".to_owned(), secret: "hush".into() };
        Profiles::at(home).add("work", &app, &Domain::feishu()).unwrap()
    }

    /// Hidden files beside the profiles.
    fn beside(home: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(home.join("profiles")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> =
            names.filter_map(|name| Some(name.split_once(".user-")?.1.to_owned())).collect();
        names.sort();
        names
    }

    fn spend_month(file: &QuotaFile, secs: i64) -> io::Result<Kept> {
        file.exchange(&mut |kept| kept.month_spent_secs.replace(secs) != Some(secs))
    }

    #[test]
    fn each_process_has_a_seat_until_it_ends() {
        let home = tempfile::tempdir().unwrap();
        let profile = profile(home.path());
        let [one, two, three] = [(); 3].map(|()| QuotaFile::of_profile(&profile));
        assert_eq!((one.users(), one.users()), (1, 1));
        assert_eq!((two.users(), three.users(), one.users()), (2, 3, 3));
        drop(two);
        assert_eq!((one.users(), three.users()), (2, 2));
        assert_eq!(beside(home.path()), ["0.lock", "2.lock"]);
        drop(one);
        // What a killed process leaves behind is a file that nobody holds.
        let left = profile.profiles.beside(&profile.id, "user-1.lock");
        std::fs::write(&left, "").unwrap();
        assert_eq!(three.users(), 1);
        let four = QuotaFile::of_profile(&profile);
        assert_eq!((four.users(), three.users()), (2, 2));
        drop((three, four));
        assert_eq!(beside(home.path()), ["1.lock"], "nobody's, and in nobody's way");
    }

    #[test]
    fn what_is_kept_follows_the_profile_and_goes_with_it() {
        let home = tempfile::tempdir().unwrap();
        let profile = profile(home.path());
        let file = QuotaFile::of_profile(&profile);
        assert_eq!(file.load(), Kept::default());
        spend_month(&file, 7).unwrap();
        let profiles = Profiles::at(home.path());
        profiles.rename("work", "home").unwrap();
        assert_eq!(file.load().month_spent_secs, Some(7));
        spend_month(&file, 8).unwrap();
        let path = home.path().join("profiles/home/quota.json");
        assert!(std::fs::read_to_string(&path).unwrap().contains("\"month_spent_secs\": 8"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        profiles.remove("home").unwrap();
        assert!(spend_month(&file, 9).is_err());
        assert_eq!(file.load(), Kept::default());
        drop(file);
        let left: Vec<_> = std::fs::read_dir(home.path().join("profiles")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}: the lock of all profiles");
    }

    /// Another process stopped in the middle of it, say.
    #[test]
    fn nobody_waits_long_for_the_lock() {
        let home = tempfile::tempdir().unwrap();
        let profile = profile(home.path());
        let file = QuotaFile::of_profile(&profile);
        let held = files::lock(&profile.profiles.beside(&profile.id, LOCK)).unwrap();
        assert!(spend_month(&file, 7).is_err());
        assert_eq!(file.load(), Kept::default());
        drop(held);
        spend_month(&file, 7).unwrap();
    }

    #[test]
    fn a_damaged_file_is_made_anew_and_a_newer_one_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = QuotaFile::of_profile(&profile(home.path()));
        let path = home.path().join("profiles/work/quota.json");
        std::fs::write(&path, "{\"version\": 1, \"rates\": 3}").unwrap();
        assert_eq!(file.load(), Kept::default());
        spend_month(&file, 7).unwrap();
        assert_eq!(file.load().month_spent_secs, Some(7));
        let newer = "{\"version\": 2, \"all\": \"different\"}";
        std::fs::write(&path, newer).unwrap();
        assert_eq!(file.load(), Kept::default());
        assert!(spend_month(&file, 8).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), newer);
    }

    #[test]
    fn a_mirrors_state_is_written_to_only_under_its_lock() {
        let state = tempfile::tempdir().unwrap();
        let writer = StateWriter::default();
        let file = QuotaFile::of_mirror(state.path(), writer.clone());
        assert!(spend_month(&file, 7).is_err());
        assert!(!state.path().join(FILE).exists());
        let folder = state.path().to_owned();
        writer.set(move |name, bytes| std::fs::write(folder.join(name), bytes));
        spend_month(&file, 7).unwrap();
        assert_eq!((file.load().month_spent_secs, file.users()), (Some(7), 1));
    }
}
