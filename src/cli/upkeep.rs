//! Flags of the commands that look after a mirror: `verify`, `rebuild`, `prune`.

use clap::Args;

use crate::config::values;
use crate::rules::MaxDelete;

/// `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
A line for each finding, then a summary:
  missing      not there
  altered      other bytes than the manifest has, with the reason
  unreadable   cannot be read, so nobody knows
  untracked    not from Feishu; sync never touches it, and it counts only with --strict
  in flux      differs while a run is at work, so it may just be changing; does not count

No call is made. While a run is at work the copy is compared with the state before that run;
nobody waits. Of the program's own folder (.feishu-mirror) nothing is compared.

Examples:
  feishu-mirror verify                    every file, byte by byte
  feishu-mirror verify --quick            size and modification time only
  feishu-mirror verify 'wiki/Handbook/**'
  feishu-mirror verify --repair && feishu-mirror sync
  feishu-mirror verify --json | jq -r 'select(.finding==\"altered\").path'

Exit codes: 0 all right; 3 bad files were found (also with --repair); 5 (--repair only) a run
is at work.")]
pub struct Verify {
    /// Only paths that match one of these
    #[arg(value_name = "GLOB")]
    pub globs: Vec<String>,
    /// Compare size and modification time only, not the bytes
    #[arg(long)]
    pub quick: bool,
    /// Mark bad files, so that the next sync fetches them again
    #[arg(long)]
    pub repair: bool,
    /// Count untracked files as bad
    #[arg(long)]
    pub strict: bool,
}

/// `rebuild`.
#[derive(Debug, Args)]
#[command(after_help = "\
For a manifest that is lost, damaged or from an old backup. Its rows are taken from the
readable index that every run leaves beside it, and each file is compared with its row. What
matches is not fetched again; what is missing or differs is left to the next sync. The old
manifest is put aside, never deleted. No call is made.

Examples:
  feishu-mirror rebuild && feishu-mirror sync

Exit codes: 0 done; 1 it cannot be done (no index, copy not mounted); 5 a run is at work.")]
pub struct Rebuild {}

/// `prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Applies the rules of [prune] to what an earlier sync found to be gone, for instance after
another rule was set, after `sync --no-prune`, or after a guard refused. It asks the service
nothing and finds nothing new. `delete` still waits for two full walks in a row, and the trash
keeps what it gets as long as `trash_retention` says.

Examples:
  feishu-mirror ls --gone                 what is known to be gone
  feishu-mirror prune --dry-run
  feishu-mirror prune --max-delete 100%

Exit codes: 0 done; 2 something could not be removed, it is listed; 5 a run is at work; 6 a
guard refused.")]
pub struct Prune {
    /// Only print what would be removed
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Refuse to remove more than so many files of a source; 100% lifts the limit
    #[arg(long, value_name = "N|N%", value_parser = values::max_delete)]
    pub max_delete: Option<MaxDelete>,
}
