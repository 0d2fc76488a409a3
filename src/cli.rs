//! clap types; nobody else knows flags.

pub mod accounts;
pub mod upkeep;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::values;
use crate::rules::MaxDelete;

/// The program's name, in help and completions.
pub const NAME: &str = "feishu-mirror";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default().dimmed());

/// Keeps an offline, incremental copy of what you have in Feishu (飞书) or Lark.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    styles = STYLES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = AFTER_ALL
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_ALL: &str = "\
Drive folders, wiki spaces, documents, sheets, bases, slides and uploaded files become plain
files in a folder that rsync can copy. Only what changed is fetched again, and nothing is
deleted on doubt.

First steps:
  feishu-mirror demo    the whole job without an account
  feishu-mirror init    write mirror.toml
  feishu-mirror profile add default --app-id cli_…    store the app
  feishu-mirror auth login                            a user's library: log in once
  feishu-mirror doctor  check everything
  feishu-mirror diff    what would be done
  feishu-mirror sync    do it

Exit codes:
  0 all done             1 could not run           2 partly done (listed)
  3 differences (diff), bad files (verify)         4 no usable credential
  5 another run is at work                         6 a deletion was refused by a guard
  64 wrong command line                            130 interrupted; the next run goes on";

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Config file [default: mirror.toml here or in a folder above]
    #[arg(short = 'C', long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Stored credentials to use [default: the active profile]
    #[arg(
        long,
        value_name = "NAME",
        global = true,
        value_parser = values::profile,
        help_heading = "Global options"
    )]
    pub profile: Option<String>,
    /// Of several users of the profile, this one: name or open id
    #[arg(long, value_name = "USER", global = true, help_heading = "Global options")]
    pub user: Option<String>,
    /// Print results as JSON, one object a line
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Show progress: auto, always, never; bars on a terminal, else lines
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        global = true,
        help_heading = "Global options"
    )]
    pub progress: When,
    /// Use colours: auto, always, never
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        global = true,
        help_heading = "Global options"
    )]
    pub color: When,
    /// Print nothing but errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Say more; -vv and -vvv log to stderr
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Global options")]
    pub verbose: u8,
}

/// `auto`: on a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl When {
    /// The answer for a stream.
    pub fn applies(self, is_terminal: bool) -> bool {
        match self {
            Self::Auto => is_terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented mirror.toml
    Init(Init),
    /// Bring the copy up to date
    Sync(Sync),
    /// Print what sync would do, and change nothing
    Diff(Diff),
    /// List what is mirrored
    Ls(Ls),
    /// Show the last run, what is mirrored and what waits for a retry
    Status,
    /// Compare every mirrored file with the manifest
    Verify(upkeep::Verify),
    /// Remove what is known to be gone, as the prune rules say
    Prune(upkeep::Prune),
    /// Make a lost or damaged manifest again
    Rebuild(upkeep::Rebuild),
    /// Log in, log out, show who is logged in
    #[command(subcommand)]
    Auth(accounts::Auth),
    /// Keep several apps and companies apart
    #[command(subcommand)]
    Profile(accounts::Profile),
    /// Check config, credentials, scopes, network and disk
    Doctor(accounts::Doctor),
    /// Make one raw, authenticated call
    Api(accounts::Api),
    /// See the whole job against a simulated tenant, without an account
    Demo(Demo),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual
    Man(Man),
}

/// `init`.
#[derive(Debug, Args)]
#[command(after_help = "\
An existing file is never overwritten. What most people leave alone is commented out; the
rest is one Drive and one wiki source.

Examples:
  feishu-mirror init
  feishu-mirror init ~/feishu/mirror.toml")]
pub struct Init {
    /// Where to write it
    #[arg(value_name = "FILE", default_value = "mirror.toml")]
    pub file: PathBuf,
}

/// What `sync` and `diff` share.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct RunFlags {
    /// Only these sources of the config [default: all]
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Walk every source completely, however long that takes
    #[arg(long)]
    pub full: bool,
    /// Remove nothing from the copy
    #[arg(long)]
    pub no_prune: bool,
    /// Refuse to remove more than so many files of a source; 100% lifts the limit
    #[arg(long, value_name = "N|N%", value_parser = values::max_delete)]
    pub max_delete: Option<MaxDelete>,
    /// Stop cleanly after so many API calls; the next run goes on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_calls: Option<u64>,
    /// Stop cleanly after so long; the next run goes on
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub max_time: Option<Duration>,
    /// Fetch what matches again, changed or not; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub force: Vec<String>,
    /// Only what failed or was refused last time
    #[arg(long)]
    pub retry_failed: bool,
    /// Move strangers' files that stand on a wanted path to the trash
    #[arg(long)]
    pub adopt: bool,
    /// Start anew on what is there: the mirror's marker or manifest is missing, or another's
    #[arg(long)]
    pub init: bool,
    /// Go on with another app, user or tenant than the mirror was made with
    #[arg(long)]
    pub accept_identity_change: bool,
}

/// `sync`.
#[derive(Debug, Args)]
#[command(after_help = "\
A run walks the sources, compares what it finds with the manifest and the disk, then moves
what moved, fetches what changed and removes what the prune rules say. Files appear whole or
not at all; what did not change is not touched. A place that fails does not stop the others:
it is listed, and tried again by the next run. Ctrl-C stops cleanly; exports under way are taken
up by the next run if it follows within ten minutes. While a walk goes on, what is surely wanted
is fetched already, unless calls are counted (--max-calls); nothing of it shows before the plan.

Examples:
  feishu-mirror sync                      everything in mirror.toml
  feishu-mirror sync wiki                 one source of it
  feishu-mirror sync --dry-run            the same as `diff`
  feishu-mirror sync --max-time 5h        stop in time for the morning
  feishu-mirror sync --force 'drive/2024/**'
  feishu-mirror sync -q                   for cron: prints errors only
  feishu-mirror sync --json | jq 'select(.event==\"failed\")'

Exit codes: 0 all done; 2 something has no current copy, it is listed; 4 set the credentials;
5 another run is at work; 6 a deletion was refused by a guard, all else is done.")]
pub struct Sync {
    /// Flags shared with `diff`.
    #[command(flatten)]
    pub run: RunFlags,
    /// Only print what would be done (the same as `diff`)
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// `diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
A line for each change, then a summary:
  A path          add: new, will be fetched
  U path          update: edited, will be fetched
  M old -> new    move: moved or renamed, nothing is fetched
  R path          restore: missing or altered on disk
  P path          prune: gone in Feishu, removed by the prune rules
  S path          skip: left out, with the reason

It calls the service as sync does, and changes nothing on disk or in the manifest.

Examples:
  feishu-mirror diff
  feishu-mirror diff wiki --exit-code     exit 3 where sync would have something to do")]
pub struct Diff {
    /// Flags shared with `sync`.
    #[command(flatten)]
    pub run: RunFlags,
    /// Exit 3 where there are differences (skips are none)
    #[arg(long)]
    pub exit_code: bool,
}

/// `ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Columns: edit time, size, type, revision, token, path. Reads the manifest only; no call is
made. While a run is at work it shows the state before that run.

Examples:
  feishu-mirror ls
  feishu-mirror ls 'wiki/Handbook/**'
  feishu-mirror ls --failed               what has no current copy, and why")]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Ls {
    /// Only paths that match one of these
    #[arg(value_name = "GLOB")]
    pub globs: Vec<String>,
    /// Places that have no current copy, with the reason
    #[arg(long)]
    pub failed: bool,
    /// Places that are gone in Feishu
    #[arg(long)]
    pub gone: bool,
    /// Places that can no longer be read
    #[arg(long)]
    pub hidden: bool,
    /// Places that the config no longer covers
    #[arg(long)]
    pub orphaned: bool,
}

/// `demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts a simulated tenant on this machine's loopback, with quotas 100 times the official ones,
and runs the real commands against it: sync, sync again, some edits, diff, sync. What it made
stays for you to look at.

Examples:
  feishu-mirror demo
  feishu-mirror demo --serve              only the tenant, for your own experiments
  feishu-mirror demo --serve 127.0.0.1:8080 --fixture tenant.json")]
pub struct Demo {
    /// Folder to work in; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "feishu-mirror-demo")]
    pub dir: PathBuf,
    /// Only run the tenant, until Ctrl-C [default address: 127.0.0.1 and a free port]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:0")]
    pub serve: Option<SocketAddr>,
    /// A tenant from a JSON file instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub fixture: Option<PathBuf>,
    /// Quotas of the tenant, in multiples of the official ones [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        requires = "serve")]
    pub quotas: Option<u32>,
}

/// `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  feishu-mirror completions bash > ~/.local/share/bash-completion/completions/feishu-mirror
  feishu-mirror completions zsh > ~/.zfunc/_feishu-mirror
  feishu-mirror completions fish > ~/.config/fish/completions/feishu-mirror.fish")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  feishu-mirror man | man -l -            read it
  feishu-mirror man --dir ~/.local/share/man/man1")]
pub struct Man {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match values::duration(text)? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        length => Ok(length),
    }
}

/// Reads a command line.
///
/// # Errors
/// Also for `--help` and `--version`, as clap does; see [`clap::Error::use_stderr`].
pub fn parse(args: Vec<OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(args)
}

/// How often `-v` was given, before anything else is known of the command line.
pub fn verbosity(args: &[OsString]) -> u8 {
    Cli::try_parse_from(args).map_or(0, |cli| cli.global.verbose)
}

/// The command tree, for completions and the manual.
pub fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        parse(std::iter::once(NAME).chain(line.split_whitespace()).map(OsString::from).collect())
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_mean_what_the_help_says() {
        let cli =
            parsed("sync drive wiki -q --max-delete 8 --max-time 5h --json -C a.toml").unwrap();
        assert!(cli.global.quiet && cli.global.json);
        assert_eq!(cli.global.config.unwrap().to_str(), Some("a.toml"));
        let Command::Sync(sync) = cli.command else { panic!() };
        assert_eq!(sync.run.sources, ["drive", "wiki"]);
        assert_eq!(sync.run.max_delete, Some(MaxDelete::Files(8)));
        assert_eq!(sync.run.max_time, Some(Duration::from_secs(5 * 3600)));

        let Command::Demo(demo) = parsed("demo --serve").unwrap().command else { panic!() };
        assert_eq!(demo.serve.unwrap().to_string(), "127.0.0.1:0");
        let Command::Demo(demo) = parsed("demo").unwrap().command else { panic!() };
        assert_eq!(demo.serve, None);
    }

    #[test]
    fn wrong_command_lines_say_what_was_meant() {
        let cases = [
            ("snyc", "'sync'"),
            ("sync --dryrun", "'--dry-run'"),
            ("sync --max-delete lots", "25%"),
            ("sync --max-time 0", "longer"),
            ("sync --max-calls 0", "0"),
            ("ls --color sometimes", "always"),
            ("completions tcsh", "bash"),
            ("profile add work", "--app-id <ID>|--create-app"),
            ("profile add work --app-id cli_1 --create-app", "cannot be used with"),
            ("profile add 工作 --create-app", "a to z"),
        ];
        for (line, want) in cases {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains(want), "{line}: {error}");
        }
    }

    /// Help as a user sees it on a terminal of 100 columns.
    #[test]
    fn help_texts() {
        let shown = |line: &str| {
            let mut command = Cli::command().term_width(100);
            let words = std::iter::once(NAME).chain(line.split_whitespace());
            let help = command.try_get_matches_from_mut(words).unwrap_err().to_string();
            help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!("help", shown("--help"));
        for sub in Cli::command().get_subcommands() {
            let name = sub.get_name();
            insta::assert_snapshot!(format!("help_{name}"), shown(&format!("{name} --help")));
            for below in sub.get_subcommands() {
                let words = format!("{name} {}", below.get_name());
                let snapshot = format!("help_{}", words.replace(' ', "_"));
                insta::assert_snapshot!(snapshot, shown(&format!("{words} --help")));
            }
        }
    }
}
