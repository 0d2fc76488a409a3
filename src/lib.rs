//! feishu-mirror keeps an offline, incremental copy of what you have in Feishu.

pub mod apply;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod crawl;
pub mod disk;
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

/// Runs one command line and returns its exit code. Nothing panics or exits.
#[expect(clippy::unused_async, unused_variables)]
pub async fn run(args: Vec<OsString>, host: commands::Host) -> u8 {
    todo!()
}
