//! Carries a [`Plan`] out: moves, folders, content, links, prunes.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::disk::{Disk, DiskError};
use crate::feishu::{ApiError, Client};
use crate::model::change::{Failure, Tally};
use crate::model::recorded::Recorded;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::store::{Intent, RowChange, Store, StoreError};

/// What `apply` works with.
#[derive(Clone)]
#[expect(missing_docs)]
pub struct Tools {
    pub client: Client,
    pub disk: Arc<Disk>,
    pub store: Arc<Store>,
    pub progress: Arc<dyn Progress>,
    pub clock: Clock,
    /// Ctrl-C.
    pub stop: CancellationToken,
}

/// What the config and the flags say about applying.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names the run, its trash and its log.
    pub run_id: String,
    /// Fetches in flight.
    pub concurrency: usize,
    /// `limits.export_timeout`.
    pub export_timeout: Duration,
    /// `filter.max_size`.
    pub max_size: Option<u64>,
    /// Stop before less than this is free.
    pub min_free: u64,
    /// `--adopt`.
    pub adopt: bool,
    /// `--max-time`: nothing new is started after this moment.
    pub deadline: Option<tokio::time::Instant>,
    /// `limits.retries`, for downloads cut in the middle.
    pub retries: u32,
    /// `filter.allow_forbidden`: places that may not be read do not make a run partial.
    pub allow_forbidden: bool,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Report {
    /// Places by what happened to them (those with a change).
    pub tally: Tally,
    /// Bytes fetched.
    pub bytes: u64,
    /// True where something wanted has no current copy (exit 2).
    pub partial: bool,
    /// Why it stopped before the end, if it did.
    pub stopped: Option<Stop>,
    /// Things to say at the end.
    pub warnings: Vec<String>,
}

/// Why a run stopped early; what was done is recorded.
#[derive(Debug)]
pub enum Stop {
    /// Ctrl-C: exit 130.
    Interrupted,
    /// A budget or `min_free`: exit 2.
    Budget(Failure),
    /// Log in again: exit 4.
    Login(ApiError),
    /// Nothing more can be done: exit 1.
    Fatal(Failure),
}

/// Carries the plan out.
#[expect(clippy::unused_async, unused_variables)]
pub async fn apply(
    plan: Plan,
    recorded: Recorded,
    tools: &Tools,
    settings: &Settings,
) -> Result<Report, StoreError> {
    todo!()
}

/// Settles what a crash left open by looking at the disk: returns the row changes that
/// turned out to be true. `sync` records them; `diff` applies them to its own memory.
#[expect(unused_variables)]
pub fn settle(disk: &Disk, intents: &[(u64, Intent)]) -> Result<Vec<RowChange>, DiskError> {
    todo!()
}
