//! Everything that touches the copy on disk, below cap-std folder handles: remote
//! names cannot leave the root, nor can symlinks planted on the way.
//!
//! Every folder below the root is opened one component at a time and never through a
//! symlink, so what was checked is what is written to, whoever changes the tree in
//! between. The path of the root itself is the user's own and may hold symlinks.
//!
//! All calls block; `apply` runs them on a blocking thread.
//!
//! Start at [`Disk::open`].

mod beneath;
mod error;
mod partial;
mod publish;
mod scan;
mod staging;
mod state;
mod trash;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::faults::{Faults, Op};
use crate::model::RelPath;
use crate::model::recorded::Loc;

pub use error::DiskError;
pub use partial::Validators;
pub use staging::{Sealed, Staged};
pub use state::StateLog;

/// The folder in the root that holds the marker and, by default, the state.
pub const RESERVED: &str = ".feishu-mirror";

/// Handles on one mirror: its root and its state folder.
pub struct Disk {
    root_path: PathBuf,
    state_path: PathBuf,
    /// The state folder as seen from the root, where it lies inside.
    state_below: Option<PathBuf>,
    /// `None`: opened without `create`, and there is none.
    root: Option<Dir>,
    state: Option<State>,
    faults: Faults,
    /// Folders changed here that no caller can name to [`Disk::sync_folders`].
    owed: Mutex<publish::Owed>,
    /// Places in the trash given out and perhaps not yet taken.
    given: Mutex<std::collections::BTreeSet<String>>,
}

/// Handles below the state folder.
struct State {
    dir: Dir,
    /// `None`: opened without `create`, and there is none.
    parked: Option<Dir>,
    /// The same.
    staging: Option<Arc<staging::Staging>>,
}

impl Disk {
    /// Opens (and with `create` makes) root and state folder.
    ///
    /// Without `create` nothing is made, and a missing root or state folder scans as
    /// empty. The state folder may lie inside the root or elsewhere on the same file
    /// system.
    ///
    /// # Errors
    /// [`DiskError::State`] where the state folder is on another file system;
    /// [`DiskError::Occupied`] where a folder of the state is a symlink or a file.
    pub fn open(
        root: &Path,
        state: &Path,
        create: bool,
        faults: &Faults,
    ) -> Result<Self, DiskError> {
        let root_dir = open_outer(root, create, faults)?;
        let below = state_below(root, state);
        if below.as_ref().is_some_and(|below| below.as_os_str().is_empty()) {
            return Err(state_error(root, state, "is the same as"));
        }
        let state_dir = match (&root_dir, &below) {
            (Some(root), Some(below)) => open_inner(root, below, create, faults)?,
            (None, Some(_)) => None,
            (_, None) => open_outer(state, create, faults)?,
        };
        #[cfg(unix)]
        if let (Some(a), Some(b)) = (&root_dir, &state_dir) {
            use cap_fs_ext::MetadataExt;
            let device = |dir: &Dir, path: &Path| {
                dir.dir_metadata()
                    .map(|meta| meta.dev())
                    .map_err(|error| DiskError::of(Op::Look, &path.to_string_lossy(), error))
            };
            if device(a, root)? != device(b, state)? {
                return Err(state_error(root, state, "is on another file system than"));
            }
        }
        let state_handles = state_dir.map(|dir| State::open(dir, create, faults)).transpose()?;
        Ok(Self {
            root_path: root.to_owned(),
            state_path: state.to_owned(),
            state_below: below,
            root: root_dir,
            state: state_handles,
            faults: faults.clone(),
            owed: Mutex::default(),
            given: Mutex::default(),
        })
    }

    /// True where the root is there.
    pub fn exists(&self) -> bool {
        self.root.is_some()
    }

    /// The root, as it was given to [`Disk::open`].
    pub fn root_path(&self) -> &Path {
        &self.root_path
    }

    /// The state folder, as it was given to [`Disk::open`].
    pub fn state_path(&self) -> &Path {
        &self.state_path
    }

    fn root(&self) -> Result<&Dir, DiskError> {
        self.root.as_ref().ok_or_else(|| missing(&self.root_path))
    }

    fn state(&self) -> Result<&State, DiskError> {
        self.state.as_ref().ok_or_else(|| missing(&self.state_path))
    }

    fn staging(&self) -> Result<&Arc<staging::Staging>, DiskError> {
        let staging = self.state()?.staging.as_ref();
        staging.ok_or_else(|| missing(&self.state_path.join("staging")))
    }

    fn parked(&self) -> Result<&Dir, DiskError> {
        let parked = self.state()?.parked.as_ref();
        parked.ok_or_else(|| missing(&self.state_path.join(staging::PARKED)))
    }

    /// The handle below which a place lies, its path there, and what goes before that
    /// path in messages.
    fn base<'a>(&self, at: &'a Loc) -> Result<(&Dir, &'a RelPath, &'static str), DiskError> {
        match at {
            Loc::Mirror(path) => {
                self.guard(path)?;
                Ok((self.root()?, path, ""))
            }
            Loc::Parked(path) => Ok((self.parked()?, path, staging::PARKED)),
        }
    }

    /// Refuses paths into the state folder: no place of the copy lies there.
    fn guard(&self, path: &RelPath) -> Result<(), DiskError> {
        let first = path.components().next().unwrap_or_default();
        let in_state = self
            .state_below
            .as_ref()
            .is_some_and(|state| Path::new(path.as_str()).starts_with(state));
        if in_state || first.eq_ignore_ascii_case(RESERVED) {
            let what = "the mirror's own state folder";
            return Err(DiskError::Occupied { path: path.to_string(), what });
        }
        Ok(())
    }

    /// Opens the folder that holds `at`; returns it, the name in it, and the whole
    /// path for messages.
    fn parent<'a>(&self, at: &'a Loc) -> Result<(Dir, &'a str, String), DiskError> {
        let (base, path, label) = self.base(at)?;
        let (parent, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let whole = format!("{label}{path}");
        self.faults.call(Op::Open, &whole, || Ok(()))?;
        Ok((beneath::folder(base, parent, label)?, name, whole))
    }
}

impl State {
    fn open(dir: Dir, create: bool, faults: &Faults) -> Result<Self, DiskError> {
        let sub = |path: &str| -> Result<Option<Dir>, DiskError> {
            if create {
                return lasting_folder(&dir, path, faults).map(Some);
            }
            match beneath::folder(&dir, path, "") {
                Err(error) if error.is_missing() => Ok(None),
                other => other.map(Some),
            }
        };
        let (parked, partial) = (sub("staging/parked")?, sub("staging/partial")?);
        let staging = match (sub("staging")?, partial) {
            (Some(staging), Some(partial)) => {
                Some(Arc::new(staging::Staging::new(staging, partial, create, faults)?))
            }
            _ => None,
        };
        // Opened when needed; here only to be made, or refused if planted.
        sub("trash")?;
        sub("runs")?;
        Ok(Self { dir, parked, staging })
    }
}

fn missing(path: &Path) -> DiskError {
    DiskError::of(Op::Open, &path.to_string_lossy(), io::ErrorKind::NotFound.into())
}

fn state_error(root: &Path, state: &Path, why: &'static str) -> DiskError {
    let text = |path: &Path| path.display().to_string();
    DiskError::State { state: text(state), root: text(root), why }
}

/// Opens a folder, making what is missing of it so that it lasts: files are fsynced into it
/// soon, and must not get lost with it.
fn lasting_folder(base: &Dir, path: &str, faults: &Faults) -> Result<Dir, DiskError> {
    faults.call(Op::MakeFolder, path, || Ok(()))?;
    let mut made = Vec::new();
    let dir = beneath::folder_made(base, path, "", |parent| made.push(parent.to_owned()))?;
    for parent in made {
        let parent_dir = beneath::folder(base, &parent, "")?;
        faults.sync(Op::SyncFolder, &parent, &parent_dir, || beneath::sync(&parent_dir))?;
    }
    Ok(dir)
}

/// Opens a folder by a path that the user chose; symlinks in it are theirs.
fn open_outer(path: &Path, create: bool, faults: &Faults) -> Result<Option<Dir>, DiskError> {
    let label = path.to_string_lossy();
    if create {
        // So that they last, as in `lasting_folder`.
        let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
        faults.call(Op::MakeFolder, &label, || {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
            builder.create(path)
        })?;
        for made in missing {
            let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let label = parent.to_string_lossy();
            let open = || Dir::open_ambient_dir(parent, ambient_authority());
            let folder = faults.call(Op::Open, &label, open)?;
            match faults.sync(Op::SyncFolder, &label, &folder, || beneath::sync(&folder)) {
                // Who may make a folder there may still not read what else is there.
                Err(DiskError::Io { source, .. })
                    if source.kind() == io::ErrorKind::PermissionDenied => {}
                other => other?,
            }
        }
    }
    match faults.call(Op::Open, &label, || Dir::open_ambient_dir(path, ambient_authority())) {
        Err(error) if error.is_missing() && !create => Ok(None),
        other => other.map(Some),
    }
}

/// Opens the state folder inside the root, where a symlink may have been planted.
fn open_inner(
    root: &Dir,
    below: &Path,
    create: bool,
    faults: &Faults,
) -> Result<Option<Dir>, DiskError> {
    let names: Vec<_> = below.iter().map(|name| name.to_string_lossy()).collect();
    let label = names.join("/");
    faults.call(Op::Open, &label, || Ok(()))?;
    if create {
        return lasting_folder(root, &label, faults).map(Some);
    }
    match beneath::folder(root, &label, "") {
        Err(error) if error.is_missing() => Ok(None),
        other => other.map(Some),
    }
}

/// Where the state folder lies inside the root, if it does.
fn state_below(root: &Path, state: &Path) -> Option<PathBuf> {
    let inside = |root: &Path, state: &Path| {
        let below = state.strip_prefix(root).ok()?;
        let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| below.to_owned())
    };
    // As written first: a planted symlink must not make it look as if it lay outside.
    inside(root, state).or_else(|| {
        let real_root = root.canonicalize().ok()?;
        let real_state = state.canonicalize().or_else(|_| {
            let parent = state.parent().ok_or(io::ErrorKind::NotFound)?;
            let name = state.file_name().ok_or(io::ErrorKind::NotFound)?;
            parent.canonicalize().map(|parent| parent.join(name))
        });
        inside(&real_root, &real_state.ok()?)
    })
}

#[cfg(test)]
mod tests;
