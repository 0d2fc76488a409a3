//! Parse, logging, run, exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use feishu_mirror::clock::Clock;
use feishu_mirror::commands::Host;
use feishu_mirror::faults::Faults;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    log_to_stderr(feishu_mirror::cli::verbosity(&args));
    keep_secrets_out_of_panics();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ran = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let interrupt = CancellationToken::new();
            tokio::spawn(stop_on_signals(interrupt.clone()));
            let code = feishu_mirror::run(args, host(interrupt)).await;
            ExitCode::from(code)
        })
    }));
    // Downloads under way on blocking threads are dropped, not waited for.
    runtime.shutdown_background();
    ran.unwrap_or(ExitCode::FAILURE)
}

fn host(interrupt: CancellationToken) -> Host {
    // What is no UTF-8 is none of our variables.
    let vars = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Host {
        vars,
        cwd: std::env::current_dir().unwrap_or_default(),
        clock: clock(),
        http: None,
        input: Box::new(io::BufReader::new(io::stdin())),
        input_is_terminal: io::stdin().is_terminal(),
        out: Box::new(io::BufWriter::new(io::stdout())),
        err: Box::new(io::stderr()),
        err_is_terminal: io::stderr().is_terminal(),
        out_is_terminal: io::stdout().is_terminal(),
        interrupt,
        faults: Faults::default(),
    }
}

/// The system's clock.
#[cfg(not(feature = "test-hooks"))]
fn clock() -> Clock {
    Clock::system()
}

/// The system's clock, or the one of the simulated tenant that a test names, so that a
/// year of nightly runs takes a minute.
#[cfg(feature = "test-hooks")]
fn clock() -> Clock {
    use std::io::Read;
    let Ok(url) = std::env::var("FEISHU_MIRROR_TEST_CLOCK") else { return Clock::system() };
    let address = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let address = address.expect("FEISHU_MIRROR_TEST_CLOCK is a http address");
    let mut stream = std::net::TcpStream::connect(address).expect("the tenant's clock answers");
    let path = "/open-apis/sim/clock";
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("the tenant's clock listens");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("the tenant's clock answers in text");
    let digits = reply.split("\"now_millis\":").nth(1).expect("the tenant says its time");
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    let there = digits.parse().expect("the tenant's time is a number");
    let there = jiff::Timestamp::from_millisecond(there).expect("the tenant's time is a time");
    let lead = feishu_mirror::clock::Lead::default();
    lead.grow(there.duration_since(jiff::Timestamp::now()));
    Clock::system().ahead_by(&lead)
}

/// The first Ctrl-C (or SIGTERM) asks for a clean stop, the second one ends at once.
async fn stop_on_signals(interrupt: CancellationToken) {
    signal().await;
    interrupt.cancel();
    let _ = writeln!(io::stderr(), "stopping; press Ctrl-C again to end at once");
    signal().await;
    std::process::exit(130);
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut stream) => drop(stream.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}

/// `-vv` and `-vvv` log what the program does; `RUST_LOG` says it in detail.
fn log_to_stderr(verbosity: u8) {
    let level = match verbosity {
        0 | 1 => "off",
        2 => "feishu_mirror=debug",
        _ => "feishu_mirror=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// A panic's message may quote what was being handled; its place is enough for a report.
fn keep_secrets_out_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        // redb trusts its pages, and stumbles over one that the disk has garbled.
        if at.contains("/redb-") {
            let _ = writeln!(
                io::stderr(),
                "error: the manifest is damaged (noticed at {at}); what was finished is kept. \
                 `feishu-mirror rebuild` makes it again without fetching what still matches."
            );
            return;
        }
        let _ = writeln!(
            io::stderr(),
            "error: feishu-mirror has a bug at {at}; what was finished is kept. Please report \
             this line and what you ran."
        );
    }));
}
