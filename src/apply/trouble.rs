//! What an error means for one change, and which errors end the run.

use std::io;

use crate::disk::DiskError;
use crate::feishu::{ApiError, Class};
use crate::model::Format;
use crate::model::change::Failure;
use crate::model::recorded::{Outcome, Stamp, Why};
use crate::store::StoreError;

use super::{Settings, Stop};

/// Nothing more can be done in this run.
#[derive(Debug)]
pub(super) enum Halt {
    /// The manifest cannot be written.
    Store(StoreError),
    /// Anything else.
    Stop(Stop),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Halt {
    /// The end that a disk error means: no space left, or a file system that became
    /// read-only. Any other error is handed back; it concerns one place only.
    pub(super) fn of_disk(error: DiskError, settings: &Settings) -> Result<Self, DiskError> {
        match &error {
            DiskError::Full { path, source } => Ok(Self::Stop(Stop::Fatal(Failure::new(
                format!(
                    "no space left while writing {path} ({source}); \
                     what was finished is kept and recorded"
                ),
                format!(
                    "free some space (the mirror stops by itself while {} bytes are left, \
                     `mirror.min_free`), then run again",
                    settings.min_free
                ),
            )))),
            DiskError::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Ok(Self::disk(error, settings))
            }
            _ => Err(error),
        }
    }

    /// A disk error after which nothing can go on.
    pub(super) fn disk(error: DiskError, settings: &Settings) -> Self {
        if matches!(error, DiskError::Full { .. }) {
            match Self::of_disk(error, settings) {
                Ok(halt) => return halt,
                Err(error) => return Self::Stop(Stop::Fatal(Trouble::of_disk_ref(&error).failure)),
            }
        }
        let mut failure = Trouble::of_disk_ref(&error).failure;
        failure.hint = Some("check the disk and how it is mounted, then run again".to_owned());
        Self::Stop(Stop::Fatal(failure))
    }
}

/// Why one change failed.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    /// Its class, which decides when it is tried again.
    pub why: Why,
    /// What is told.
    pub failure: Failure,
    /// The `max_size` in force, for [`Why::TooLarge`].
    pub limit: Option<u64>,
}

/// Which outcome a failing change leaves in its row.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// The format that has no current product.
    pub format: Format,
    /// What was seen of the object before the attempt.
    pub stamp: Stamp,
}

impl Trouble {
    /// Something that the next run may well get right.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        let failure = Failure { code: None, message: message.into(), hint: None, retryable: true };
        Self { why: Why::Failed, failure, limit: None }
    }

    /// Something of somebody else's stands on the wanted path.
    pub(super) fn blocked(path: impl std::fmt::Display, what: &str) -> Self {
        let failure = Failure::new(
            format!("{path} is in the way: {what}"),
            "move it away, or run `sync --adopt`, which moves it into the trash",
        );
        Self { why: Why::Blocked, failure, limit: None }
    }

    /// What a refused call means for the object that was asked for.
    pub(super) fn of_api(error: &ApiError) -> Self {
        let why = match error.class {
            Class::Forbidden => Why::Forbidden,
            Class::Unsupported => Why::Unsupported,
            Class::Refused => Why::Refused,
            _ => Why::Failed,
        };
        Self { why, failure: error.to_failure(), limit: None }
    }

    /// An export that the service refused because the document is too large: Markdown takes
    /// its place.
    pub(super) fn fell_back(error: &ApiError) -> Self {
        Self { why: Why::FellBack, failure: error.to_failure(), limit: None }
    }

    /// What a disk error means for one place, unless it ends the run.
    pub(super) fn of_disk(error: DiskError, settings: &Settings) -> Result<Self, Halt> {
        match Halt::of_disk(error, settings) {
            Ok(halt) => Err(halt),
            Err(error) => Ok(Self::of_disk_ref(&error)),
        }
    }

    pub(super) fn of_disk_ref(error: &DiskError) -> Self {
        match error {
            DiskError::Occupied { path, what } => Self::blocked(path, what),
            DiskError::State { .. } => Self::failed(error.to_string()),
            DiskError::Full { source, .. } => Self::failed(format!("{error}: {source}")),
            DiskError::Io { source, .. } => {
                let mut trouble = Self::failed(format!("{error}: {source}"));
                if source.kind() == io::ErrorKind::PermissionDenied {
                    trouble.failure.hint =
                        Some("let this user write there, then run again".to_owned());
                }
                trouble
            }
        }
    }

    /// True where a run with it is only partly done.
    pub(super) fn counts(&self, settings: &Settings) -> bool {
        self.why.is_want() && !(self.why == Why::Forbidden && settings.allow_forbidden)
    }

    /// The same as the row remembers it.
    pub(super) fn outcome(&self, stamp: Stamp, at_secs: i64) -> Outcome {
        let (why, failure) = (self.why, self.failure.clone());
        Outcome { why, failure, stamp, at_secs, limit: self.limit }
    }
}
