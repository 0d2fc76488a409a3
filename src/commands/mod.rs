//! A file per command; wires the parts, in order.
//!
//! [`crate::run`] comes here with a [`Host`]. A command returns its exit code, or a
//! [`Problem`] that is printed once, here.

mod account;
mod ahead;
mod api;
mod auth;
mod check;
mod completions;
mod demo;
mod diff;
mod doctor;
pub mod exit;
mod finding;
mod home;
mod identity;
mod init;
mod ls;
mod man;
mod manifest;
mod observe;
mod profile;
mod profile_create;
mod prune;
mod rebuild;
mod status;
pub mod survey;
mod sync;
mod upkeep;
mod verify;
mod walks;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use crate::auth::quota::StateWriter;
use crate::auth::renew::StoredLogin;
use crate::cli::{self, Cli, Command, Global};
use crate::clock::Clock;
use crate::config::Config;
use crate::faults::Faults;
use crate::feishu::{Client, HttpSend};
use crate::ui::Ui;
pub use exit::Problem;

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
    /// stdin: secrets, answers, JSON bodies.
    pub input: Box<dyn BufRead + Send>,
    /// True where stdin is a terminal, so that somebody can be asked.
    pub input_is_terminal: bool,
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

/// A command's view of the world: a [`Host`] whose streams are behind [`Ui`].
#[derive(Clone)]
pub(crate) struct Session {
    pub vars: BTreeMap<String, String>,
    pub cwd: PathBuf,
    pub clock: Clock,
    pub http: Option<Arc<dyn HttpSend>>,
    pub interrupt: CancellationToken,
    pub faults: Faults,
    pub input: Arc<Mutex<Box<dyn BufRead + Send>>>,
    pub input_is_terminal: bool,
    pub out_is_terminal: bool,
    pub err_is_terminal: bool,
    pub global: Global,
    pub ui: Ui,
    /// Writes the mirror's state, from when this command holds the mirror's lock.
    pub state_writer: StateWriter,
    /// Logins in use.
    logins: Arc<Mutex<Vec<Arc<StoredLogin>>>>,
    /// Clients whose use of the quota is kept.
    clients: Arc<Mutex<Vec<Client>>>,
}

impl Session {
    /// Remembers a login that this command uses.
    pub fn keep(&self, login: Arc<StoredLogin>) {
        self.logins.lock().expect("nobody panics while holding it").push(login);
    }

    /// Remembers a client whose use of the quota is to be kept.
    pub fn keep_quota(&self, client: Client) {
        self.clients.lock().expect("as above").push(client);
    }

    /// Waits for renewals under way: ended between the service's reply and its way to the
    /// disk, a login would be lost. Then keeps what was learned about the quota.
    async fn settle(&self) {
        let logins = std::mem::take(&mut *self.logins.lock().expect("as above"));
        for login in logins {
            login.settle().await;
        }
        let clients = std::mem::take(&mut *self.clients.lock().expect("as above"));
        for client in clients {
            client.keep_quota().await;
        }
    }

    /// The config of this command line.
    pub fn config(&self) -> Result<Config, Problem> {
        let named = self.global.config.as_deref();
        Config::load(named, &self.vars, &self.cwd)
            .map_err(|error| Problem::failed(error.to_string()).hint(error.hint()))
    }
}

/// Reads the command line, runs the command, prints what went wrong.
pub(crate) async fn run(args: Vec<OsString>, mut host: Host) -> u8 {
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(error) => return print_usage(&error, &mut host),
    };
    let ui = Ui::new(host.out, host.err, host.out_is_terminal, host.err_is_terminal, &cli.global);
    let session = Session {
        vars: host.vars,
        cwd: host.cwd,
        clock: host.clock,
        http: host.http,
        interrupt: host.interrupt,
        faults: host.faults,
        input: Arc::new(Mutex::new(host.input)),
        input_is_terminal: host.input_is_terminal,
        out_is_terminal: host.out_is_terminal,
        err_is_terminal: host.err_is_terminal,
        global: cli.global.clone(),
        ui: ui.clone(),
        state_writer: StateWriter::default(),
        logins: Arc::default(),
        clients: Arc::default(),
    };
    let code = match dispatch(cli, &session).await {
        Ok(code) => code,
        Err(problem) => {
            ui.error(&problem.message, problem.hint.as_deref());
            problem.code
        }
    };
    session.settle().await;
    match ui.finish() {
        Ok(()) => code,
        Err(error) => {
            ui.error(&format!("cannot write the output: {error}"), None);
            exit::worst(code, exit::FAILED)
        }
    }
}

async fn dispatch(cli: Cli, session: &Session) -> Result<u8, Problem> {
    match cli.command {
        Command::Init(args) => init::run(session, &args),
        Command::Sync(args) if args.dry_run => diff::run(session, &args.run, false).await,
        Command::Sync(args) => sync::run(session, &args.run).await,
        Command::Diff(args) => diff::run(session, &args.run, args.exit_code).await,
        Command::Ls(args) => ls::run(session, &args),
        Command::Status => status::run(session),
        Command::Verify(args) => verify::run(session, &args).await,
        Command::Prune(args) => prune::run(session, &args).await,
        Command::Rebuild(_) => rebuild::run(session).await,
        Command::Auth(args) => auth::run(session, &args).await,
        Command::Profile(args) => profile::run(session, &args).await,
        Command::Doctor(args) => doctor::run(session, &args).await,
        Command::Api(args) => api::run(session, &args).await,
        // Boxed: it runs whole command lines, this function included.
        Command::Demo(args) => Box::pin(demo::run(session, &args)).await,
        Command::Completions(args) => Ok(completions::run(session, &args)),
        Command::Man(args) => man::run(session, &args),
    }
}

/// `--help` and `--version` on stdout, everything else on stderr.
fn print_usage(error: &clap::Error, host: &mut Host) -> u8 {
    let (stream, terminal, code) = if error.use_stderr() {
        (&mut host.err, host.err_is_terminal, exit::USAGE)
    } else {
        (&mut host.out, host.out_is_terminal, exit::DONE)
    };
    let text = error.render();
    // Nobody can be told where this fails.
    let _ = if terminal { write!(stream, "{}", text.ansi()) } else { write!(stream, "{text}") };
    let _ = stream.flush();
    code
}
