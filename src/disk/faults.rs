//! Disk faults on purpose. Every call of this module that reaches the system passes
//! through [`Faults::run`]; without the `test-hooks` feature that is a plain call.

use std::io;

use super::DiskError;

/// What is asked of the system, for messages and for tests that make it fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Open,
    Scan,
    Look,
    Read,
    FreeBytes,
    Create,
    Write,
    Sync,
    Dress,
    Publish,
    Rename,
    MakeFolder,
    RemoveFolder,
    Remove,
    Trash,
    Link,
    SetMtime,
    SyncFolder,
}

impl Op {
    /// The verb of an error message: "cannot {verb} {path}".
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Scan => "list",
            Self::Look => "look at",
            Self::Read => "read",
            Self::FreeBytes => "ask for the free space of",
            Self::Create => "create",
            Self::Write => "write",
            Self::Sync => "write to disk",
            Self::Dress => "set mode and time of",
            Self::Publish => "put in place",
            Self::Rename => "rename",
            Self::MakeFolder => "make the folder",
            Self::RemoveFolder => "remove the folder",
            Self::Remove => "remove",
            Self::Trash => "move to the trash",
            Self::Link => "make the link",
            Self::SetMtime => "set the time of",
            Self::SyncFolder => "write to disk the folder",
        }
    }
}

/// What a test decides about one call: an error to answer instead, or `None`.
#[cfg(feature = "test-hooks")]
type Decide = dyn Fn(Op, &str) -> Option<io::Error> + Send + Sync;

/// Disk faults to inject: nothing, unless the `test-hooks` feature is on and a test
/// put some in. `main` hands down an empty one.
#[derive(Clone, Default)]
pub struct Faults {
    #[cfg(feature = "test-hooks")]
    decide: Option<std::sync::Arc<Decide>>,
}

#[cfg(feature = "test-hooks")]
impl Faults {
    /// Faults decided call by call.
    ///
    /// The path is the one below the mirror's root (`wiki/Intro.docx`), or below the
    /// state folder (`staging/t-1-2`, `trash/<run>/…`); `""` is the root itself.
    pub fn when(decide: impl Fn(Op, &str) -> Option<io::Error> + Send + Sync + 'static) -> Self {
        Self { decide: Some(std::sync::Arc::new(decide)) }
    }
}

impl Faults {
    /// Makes one call, unless a test wants it to fail.
    pub(super) fn run<T>(
        &self,
        op: Op,
        path: &str,
        call: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, DiskError> {
        #[cfg(feature = "test-hooks")]
        if let Some(error) = self.decide.as_ref().and_then(|decide| decide(op, path)) {
            return Err(DiskError::of(op, path, error));
        }
        call().map_err(|error| DiskError::of(op, path, error))
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}
