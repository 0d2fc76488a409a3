//! feishu-mirror keeps an offline, incremental copy of what you have in Feishu.
//!
//! ```text
//! mirror.toml ─ config ─┐
//!                       ▼
//!    feishu (HTTP) ─► crawl ─► RemoteTree ─┐
//!                                          ├─► plan (pure) ─► Plan ─┬─► ui   (diff)
//!    store (redb) ─► Recorded ─────────────┤                        └─► apply (sync)
//!    disk ─► LocalState ───────────────────┘
//! ```
//!
//! A run observes, decides, acts: [`commands`] wires the parts in that order, [`plan`]
//! decides, [`apply`] acts. [`model`] has the words that all of them use. [`sim`] is a
//! simulated tenant for the demo and the tests. `docs/architecture.md` is the map.

pub mod apply;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod crawl;
pub mod disk;
pub mod export;
pub mod faults;
pub mod feishu;
pub mod layout;
pub mod model;
pub mod plan;
pub mod progress;
pub mod rules;
pub mod sim;
pub mod store;
pub mod ui;

use std::ffi::OsString;

/// Runs one command line, the program's name first, and returns its exit code.
/// Everything is printed to the host's streams; nothing panics or exits.
pub async fn run(args: Vec<OsString>, host: commands::Host) -> u8 {
    commands::run(args, host).await
}
