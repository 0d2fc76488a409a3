//! Which mirror is it? The marker in the copy, the manifest in the state folder and the
//! program's own memory must tell the same story before anything is written.
//!
//! An empty mount point looks like a new mirror, and filling it would hide the disk that
//! should be there; a manifest without its copy would "restore" everything. So a story
//! that does not fit ends the run, and only `--init` says that a new one begins.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Session;
use super::exit::{LOCKED, Problem};
use super::manifest::{self, Seen};
use crate::auth::files;
use crate::config::{self, Config};
use crate::disk::Disk;
use crate::faults::Op;
use crate::model::recorded::Recorded;
use crate::store::{self, Intent, RowChange, Rows, RunLock, Store, StoreError, apply_changes};

/// The manifest's file in the state folder.
pub const MANIFEST: &str = "manifest.redb";
/// The list of mirrors in the program's folder.
const MEMORY: &str = "mirrors.json";

/// `.feishu-mirror/root.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    /// Of the mirror; the manifest has the same.
    id: String,
    /// For a reader who wonders what this is.
    #[serde(default)]
    about: String,
}

/// What one of the three says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Story {
    /// The id in the marker.
    marker: Option<String>,
    /// The id in the manifest.
    manifest: Option<String>,
    /// True where the manifest has no rows: a first run that ended early.
    manifest_empty: bool,
    /// True where there is a manifest that cannot be read.
    manifest_damaged: bool,
    /// The id that this path had in an earlier run.
    remembered: Option<String>,
}

/// What the story comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    /// The mirror's id; `None`: a new one.
    id: Option<String>,
    /// The manifest is another's, or nobody's: it is put aside.
    set_aside: bool,
}

impl Story {
    fn verdict(&self, path: &Path, init: bool) -> Result<Verdict, Problem> {
        let path = path.display();
        let known = |id: &String| Ok(Verdict { id: Some(id.clone()), set_aside: false });
        let anew =
            Verdict { id: None, set_aside: self.manifest.is_some() || self.manifest_damaged };
        let refuse = |what: String, hint: &str| {
            if init { Ok(anew.clone()) } else { Err(Problem::failed(what).hint(hint)) }
        };
        match (&self.marker, &self.manifest, &self.remembered) {
            (Some(marker), Some(manifest), remembered) if marker == manifest => match remembered {
                Some(other) if other != marker && !init => Err(Problem::failed(format!(
                    "{path} holds another mirror than it did before: its marker has the id \
                     {marker}, remembered is {other}"
                ))
                .hint(
                    "is the right disk mounted there? If it is, `sync --init` goes on with what \
                     is there",
                )),
                _ => known(marker),
            },
            (Some(marker), Some(manifest), _) => refuse(
                format!(
                    "the copy in {path} and its manifest do not belong together: the marker has \
                     the id {marker}, the manifest {manifest}"
                ),
                "check `path` and `state` in [mirror] and what is mounted there; `sync --init` \
                 puts the manifest aside and starts anew on the files that are there",
            ),
            (Some(_), None, _) => refuse(
                format!("{path} is a mirror, but its manifest is not there"),
                "check `state` in [mirror]; if the manifest is lost, `feishu-mirror rebuild` makes \
                 it again without fetching what still matches, or `sync --init` starts anew: \
                 files that are still right are kept, but everything is fetched once to compare",
            ),
            // A first run that ended between its first two steps.
            (None, Some(manifest), None) if self.manifest_empty => known(manifest),
            (None, Some(_), _) => refuse(
                format!(
                    "there is a manifest for {path}, but no copy (no .feishu-mirror/root.json)"
                ),
                "is the disk of the copy mounted? If the copy is really gone, `sync --init` puts \
                 the manifest aside and starts anew",
            ),
            (None, None, Some(_)) => refuse(
                format!("{path} was a mirror before, and now there is none"),
                "is its disk mounted? If the copy is really gone, `sync --init` starts anew",
            ),
            (None, None, None) => Ok(anew),
        }
    }
}

/// A mirror that this run alone may write to.
pub struct Opened {
    /// Its files.
    pub disk: Disk,
    /// Its manifest.
    pub store: Store,
    /// Held until the run ends.
    pub lock: RunLock,
}

/// Opens the mirror to write: checks, locks, checks again, and makes what is new.
pub fn open(
    session: &Session,
    config: &Config,
    init: bool,
    run_id: &str,
) -> Result<Opened, Problem> {
    let memory = Memory::of(session);
    let remembered = memory.recall(&config.path)?;
    // Before the first write, the lock included: an empty mount point stays empty.
    look(session, config, remembered.clone(), init)?.verdict(&config.path, init)?;
    let disk = Disk::open(&config.path, &config.state, true, &session.faults)?;
    let lock = store::lock(&config.state)?;
    // Now nobody else changes it.
    let story = look(session, config, remembered.clone(), init)?;
    let verdict = story.verdict(&config.path, init)?;
    if verdict.set_aside {
        let from = config.state.join(MANIFEST);
        let to = aside(config, MANIFEST, run_id);
        session
            .faults
            .run(Op::PutAside, MANIFEST, || std::fs::rename(&from, &to))
            .map_err(|e| Problem::io("put aside", &from, &e))?;
        session.ui.warn(&format!("the old manifest is now {}", to.display()));
    }
    let store = {
        let id = verdict.id.clone().unwrap_or_else(new_id);
        Store::open(&config.state, &id, &session.faults)?
    };
    let id = store.mirror_id().to_owned();
    if story.marker.as_ref() != Some(&id) {
        let about = "This folder is a mirror made by feishu-mirror; do not remove this file.";
        let marker = Marker { id: id.clone(), about: about.to_owned() };
        let text = serde_json::to_vec_pretty(&marker).expect("plain data has a JSON form");
        disk.write_marker(&text)?;
    }
    // Last: what is remembered must be there.
    if remembered.as_ref() != Some(&id) {
        memory.remember(&config.path, &id)?;
    }
    Ok(Opened { disk, store, lock })
}

/// Opens a mirror that is there, to write to it. `None`: nothing was ever mirrored, and
/// nothing is made.
pub fn open_known(
    session: &Session,
    config: &Config,
    run_id: &str,
) -> Result<Option<Opened>, Problem> {
    let remembered = Memory::of(session).recall(&config.path)?;
    let story = look(session, config, remembered, false)?;
    match story.verdict(&config.path, false)?.id {
        None => Ok(None),
        Some(_) => open(session, config, false, run_id).map(Some),
    }
}

/// A copy whose manifest is to be made again.
pub struct Ground {
    /// Its files.
    pub disk: Disk,
    /// The id in its marker.
    pub id: String,
    /// Held until the manifest is there.
    pub lock: RunLock,
}

/// Opens a copy to make its manifest again: only its marker must be there.
pub fn ground(session: &Session, config: &Config) -> Result<Ground, Problem> {
    let remembered = Memory::of(session).recall(&config.path)?;
    let check = || {
        let disk = Disk::open(&config.path, &config.state, false, &session.faults)?;
        let Some(id) = marker(&disk)? else {
            return Err(Problem::failed(format!(
                "there is no mirror at {} (no .feishu-mirror/root.json)",
                config.path.display()
            ))
            .hint(
                "is its disk mounted, and `path` in [mirror] right? Without a marker nothing is \
                 known about the files there: `feishu-mirror sync --init` starts anew",
            ));
        };
        // What the manifest says does not count here.
        let story = Story {
            marker: Some(id.clone()),
            manifest: Some(id.clone()),
            remembered: remembered.clone(),
            ..Story::default()
        };
        story.verdict(&config.path, false)?;
        Ok(id)
    };
    // Before the first write, the lock included, and again when nobody else changes it.
    check()?;
    let disk = Disk::open(&config.path, &config.state, true, &session.faults)?;
    let lock = store::lock(&config.state)?;
    Ok(Ground { disk, id: check()?, lock })
}

/// Remembers a mirror, for the day when its disk is not there.
pub fn remember(session: &Session, config: &Config, id: &str) -> Result<(), Problem> {
    let memory = Memory::of(session);
    if memory.recall(&config.path)?.as_deref() == Some(id) {
        return Ok(());
    }
    memory.remember(&config.path, id)
}

/// Where a file of the state folder is put aside; nothing stands there.
pub fn aside(config: &Config, name: &str, run_id: &str) -> PathBuf {
    let numbered = (2..).map(|n| format!("{name}.{run_id}-{n:03}.old"));
    let names = std::iter::once(format!("{name}.{run_id}.old")).chain(numbered);
    let mut paths = names.map(|name| config.state.join(name));
    paths.find(|path| path.symlink_metadata().is_err()).expect("the numbers do not end")
}

/// What a reader may compare the copy with. `None`: nothing is mirrored yet.
///
/// # Errors
/// As for a run: an empty mount point is no copy whose files were lost.
pub fn see(session: &Session, config: &Config) -> Result<Option<Seen>, Problem> {
    let seen = manifest::read(config)?;
    if seen.is_none() && share(config).is_err_and(|problem| problem.code == LOCKED) {
        // The first run is at work, and has not left an index yet.
        return Ok(None);
    }
    let disk = Disk::open(&config.path, &config.state, false, &session.faults)?;
    let story = Story {
        marker: marker(&disk)?,
        manifest: seen.as_ref().map(|seen| seen.mirror_id.clone()),
        manifest_empty: seen.as_ref().is_some_and(|seen| seen.recorded.places.is_empty()),
        manifest_damaged: false,
        remembered: Memory::of(session).recall(&config.path)?,
    };
    story.verdict(&config.path, false)?;
    Ok(seen)
}

/// A mirror as a reader sees it, who changes nothing.
pub struct Glimpse {
    /// Its files; empty where there is none yet.
    pub disk: Disk,
    /// Its manifest, if there is one.
    pub rows: Option<Rows>,
    /// Renames that a crash left open.
    pub intents: Vec<(u64, Intent)>,
    /// Keeps writers out where there is a lock to hold.
    pub lock: Option<Shared>,
}

/// Opens the mirror to compare with, and writes nothing at all.
pub fn glimpse(session: &Session, config: &Config, init: bool) -> Result<Glimpse, Problem> {
    let lock = share(config)?;
    let remembered = Memory::of(session).recall(&config.path)?;
    let disk = Disk::open(&config.path, &config.state, false, &session.faults)?;
    // One that cannot be read to its end is of use to nobody who begins anew.
    let manifest_damaged =
        init && matches!(Store::read(&config.state), Err(StoreError::Damaged { .. }));
    let rows = if manifest_damaged { None } else { Store::read_rows(&config.state)? };
    let count = rows.as_ref().map(Rows::len_places).transpose()?;
    let story = Story {
        marker: marker(&disk)?,
        manifest: rows.as_ref().map(|rows| rows.mirror_id().to_owned()),
        manifest_empty: count == Some(0),
        manifest_damaged,
        remembered,
    };
    let verdict = story.verdict(&config.path, init)?;
    let rows = rows.filter(|_| !verdict.set_aside);
    let intents = rows.as_ref().map(Rows::intents).transpose()?.unwrap_or_default();
    Ok(Glimpse { disk, rows, intents, lock })
}

/// The whole manifest, as it is once these renames are settled.
pub fn settled(rows: Option<&Rows>, changes: &[RowChange]) -> Result<Recorded, Problem> {
    let mut recorded = rows.map(Rows::recorded).transpose()?.unwrap_or_default();
    apply_changes(&mut recorded, changes);
    Ok(recorded)
}

/// A reader's hold on the run lock, until it is dropped.
pub struct Shared(std::fs::File);

impl Drop for Shared {
    fn drop(&mut self) {
        // As in `store::RunLock`: not only by closing.
        let _ = self.0.unlock();
    }
}

/// Holds the run lock together with other readers, if there is one. Makes no file.
pub fn share(config: &Config) -> Result<Option<Shared>, Problem> {
    let path = config.state.join("lock");
    let Ok(file) = std::fs::File::open(&path) else { return Ok(None) };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(Shared(file))),
        Err(std::fs::TryLockError::WouldBlock) => {
            let pid = std::fs::read_to_string(&path).unwrap_or_default();
            let pid = pid.trim();
            let who = if pid.is_empty() { String::new() } else { format!(" (process {pid})") };
            let message = format!("another run{who} is at work on {}", config.path.display());
            Err(Problem::new(LOCKED, message).hint("wait for it to end, then run again"))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(Problem::io("lock", &path, &error)),
    }
}

fn look(
    session: &Session,
    config: &Config,
    remembered: Option<String>,
    init: bool,
) -> Result<Story, Problem> {
    let disk = Disk::open(&config.path, &config.state, false, &session.faults)?;
    let marker = marker(&disk)?;
    let there = config.state.join(MANIFEST).symlink_metadata().is_ok();
    // One that cannot be read to its end is of use to nobody who begins anew.
    if init && matches!(Store::read(&config.state), Err(StoreError::Damaged { .. })) {
        return Ok(Story { marker, manifest_damaged: true, remembered, ..Story::default() });
    }
    // More than its id only where it is in doubt.
    let id = if there { Store::identity(&config.state)? } else { None };
    let doubt = there && (marker.is_none() || remembered != marker || id != marker);
    let (manifest, manifest_empty) = if doubt {
        match Store::read_rows(&config.state)? {
            Some(rows) => (Some(rows.mirror_id().to_owned()), rows.len_places()? == 0),
            None => (None, false),
        }
    } else {
        (marker.clone().filter(|_| there), false)
    };
    Ok(Story { marker, manifest, manifest_empty, manifest_damaged: false, remembered })
}

fn marker(disk: &Disk) -> Result<Option<String>, Problem> {
    let Some(bytes) = disk.read_marker()? else { return Ok(None) };
    let marker: Marker = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::failed(format!(".feishu-mirror/root.json is no marker of a mirror: {error}"))
            .hint("restore it from a backup; without it the copy is not written to")
    })?;
    Ok(Some(marker.id))
}

/// Tells mirrors apart; not a secret.
fn new_id() -> String {
    // The standard library's hash keys come from the system's random source.
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}

/// Every mirror that this user's runs have made, by its path.
struct Memory {
    /// `None`: there is no home folder, and nothing is remembered.
    folder: Option<PathBuf>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    mirrors: BTreeMap<String, Known>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Known {
    id: String,
}

impl Memory {
    fn of(session: &Session) -> Self {
        Self { folder: config::home(&session.vars).map(|home| session.cwd.join(home)) }
    }

    fn recall(&self, path: &Path) -> Result<Option<String>, Problem> {
        Ok(self.read()?.mirrors.remove(&key(path)).map(|known| known.id))
    }

    fn remember(&self, path: &Path, id: &str) -> Result<(), Problem> {
        let Some(folder) = &self.folder else { return Ok(()) };
        files::make_folder(folder)?;
        // Two first runs at once must not forget each other.
        let _held = files::lock(&folder.join("mirrors.lock"))?;
        let mut all = self.read()?;
        all.mirrors.insert(key(path), Known { id: id.to_owned() });
        Ok(files::replace(&folder.join(MEMORY), &all)?)
    }

    fn read(&self) -> Result<Remembered, Problem> {
        let Some(folder) = &self.folder else { return Ok(Remembered::default()) };
        files::read(&folder.join(MEMORY)).map(Option::unwrap_or_default).map_err(|error| {
            let problem = Problem::from(error);
            problem.hint("correct or remove it; it only remembers where your mirrors are")
        })
    }
}

/// Paths as keys. One that is no UTF-8 is still told from others in all likelihood.
fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// marker, manifest, its rows, memory -> the id that goes on, `new`, `aside` (new, and
    /// the manifest put aside) or a word of the refusal; without and with `--init`.
    #[test]
    fn only_a_story_that_fits_goes_on() {
        let cases = [
            ("- - - -", "new", "new"),
            ("a a rows a", "a", "a"),
            ("a a rows -", "a", "a"),
            ("a a rows b", "another", "a"),
            ("a b rows a", "together", "aside"),
            ("a - - a", "rebuild", "new"),
            ("a - - -", "rebuild", "new"),
            ("- a rows a", "mounted", "aside"),
            ("- a rows -", "mounted", "aside"),
            ("- a empty -", "a", "a"),
            ("- a empty a", "mounted", "aside"),
            ("- - - a", "mounted", "new"),
        ];
        for (story, plain, init) in cases {
            let words: Vec<Option<String>> = story
                .split(' ')
                .map(|word| Some(word.to_owned()).filter(|word| word != "-"))
                .collect();
            let [marker, manifest, rows, remembered] = words.try_into().unwrap();
            let manifest_empty = rows.as_deref() == Some("empty");
            let told =
                Story { marker, manifest, manifest_empty, manifest_damaged: false, remembered };
            for (flag, want) in [(false, plain), (true, init)] {
                match told.verdict(Path::new("/m"), flag) {
                    Ok(Verdict { id: Some(id), set_aside: false }) => {
                        assert_eq!(id, want, "{story}");
                    }
                    Ok(Verdict { id: None, set_aside: true }) => {
                        assert_eq!("aside", want, "{story}");
                    }
                    Ok(verdict) => assert_eq!(want, "new", "{story}: {verdict:?}"),
                    Err(problem) => {
                        let text = format!("{} {}", problem.message, problem.hint.unwrap());
                        assert!(text.contains(want) && text.contains("--init"), "{story}: {text}");
                    }
                }
            }
        }
    }
}
