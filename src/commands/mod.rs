//! A file per command; wires the parts, in order.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::disk::Faults;
use crate::feishu::HttpSend;

/// The world as a command sees it. `main` hands the real one down; tests hand down a
/// simulated tenant, tokio's clock and buffers.
pub struct Host {
    /// Environment variables.
    pub vars: BTreeMap<String, String>,
    /// The current folder.
    pub cwd: PathBuf,
    /// The clock.
    pub clock: Clock,
    /// How requests are sent; `None`: over the network.
    pub http: Option<Arc<dyn HttpSend>>,
    /// stdout: results.
    pub out: Box<dyn Write + Send>,
    /// stderr: progress, warnings.
    pub err: Box<dyn Write + Send>,
    /// True where stderr is a terminal.
    pub err_is_terminal: bool,
    /// True where stdout is a terminal.
    pub out_is_terminal: bool,
    /// Cancelled on Ctrl-C.
    pub interrupt: CancellationToken,
    /// Disk faults to inject (tests only; empty otherwise).
    pub faults: Faults,
}
