//! Faults of the file system on purpose. Every call of `disk` and `store` that changes what
//! is on the disk passes through `Faults::run`, those that make it last also through
//! `Faults::fsync`; without the `test-hooks` feature that is a plain call.

use std::io;

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
    Resize,
    Copy,
    PutAside,
}

impl Op {
    /// The verb of an error message: "cannot {verb} {path}".
    pub(crate) fn verb(self) -> &'static str {
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
            Self::Resize => "set the length of",
            Self::Copy => "copy",
            Self::PutAside => "put aside",
        }
    }
}

/// What a test does about the calls.
#[cfg(feature = "test-hooks")]
pub trait Hook: Send + Sync {
    /// An error to answer instead of making a call, or `None`. Paths are those below the
    /// mirror's root (`wiki/Intro.docx`), or below the state folder (`staging/t-1-2`,
    /// `trash/<run>/…`, `manifest.redb`); `""` is the root itself.
    fn before(&self, op: Op, path: &str) -> Option<io::Error>;

    /// What the file or folder of this inode number holds now is going to last.
    fn lasts(&self, inode: u64) {
        let _ = inode;
    }
}

#[cfg(feature = "test-hooks")]
impl<F: Fn(Op, &str) -> Option<io::Error> + Send + Sync> Hook for F {
    fn before(&self, op: Op, path: &str) -> Option<io::Error> {
        self(op, path)
    }
}

/// Faults to inject: nothing, unless the `test-hooks` feature is on and a test put some
/// in. `main` hands down an empty one.
#[derive(Clone, Default)]
pub struct Faults {
    #[cfg(feature = "test-hooks")]
    hook: Option<std::sync::Arc<dyn Hook>>,
}

#[cfg(feature = "test-hooks")]
impl Faults {
    /// Faults decided call by call.
    pub fn when(decide: impl Fn(Op, &str) -> Option<io::Error> + Send + Sync + 'static) -> Self {
        Self::hooked(std::sync::Arc::new(decide))
    }

    /// The same by a [`Hook`].
    pub fn hooked(hook: std::sync::Arc<dyn Hook>) -> Self {
        Self { hook: Some(hook) }
    }
}

impl Faults {
    /// Makes one call, unless a test wants it to fail.
    pub(crate) fn run<T>(
        &self,
        op: Op,
        path: &str,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        #[cfg(feature = "test-hooks")]
        if let Some(error) = self.hook.as_ref().and_then(|hook| hook.before(op, path)) {
            return Err(error);
        }
        #[cfg(not(feature = "test-hooks"))]
        let _ = (op, path);
        call()
    }

    /// Makes one call that makes `what` last, file or folder.
    ///
    /// What counts is what it held when the call began.
    pub(crate) fn fsync<T>(
        &self,
        op: Op,
        path: &str,
        what: &impl Inode,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        self.run(op, path, || {
            #[cfg(all(feature = "test-hooks", unix))]
            if let Some(hook) = &self.hook {
                hook.lasts(rustix::fs::fstat(what)?.st_ino);
            }
            #[cfg(not(all(feature = "test-hooks", unix)))]
            let _ = what;
            call()
        })
    }
}

/// What has an inode number, where the system has such numbers.
#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as Inode;

#[cfg(not(unix))]
pub(crate) trait Inode {}
#[cfg(not(unix))]
impl<T> Inode for T {}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}
