//! Bars, tables, JSON Lines; the only place that prints.
//!
//! Results go to stdout, everything else to stderr. With `--json` stdout holds JSON
//! Lines and nothing else. Start at [`Ui`]; [`reporter::Reporter`] listens to a run.

mod bars;
pub mod meter;
pub mod qr;
pub mod reporter;
pub mod summary;
pub mod text;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use crate::cli::Global;

type Stream = Box<dyn Write + Send>;

/// Where and how to print. Cheap to clone; clones share the streams.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

struct Inner {
    out: Mutex<Stream>,
    err: Mutex<Stream>,
    /// The first error of stdout: a full disk behind a redirection, a closed pipe.
    broken: Mutex<Option<io::Error>>,
    bars: MultiProgress,
    how: How,
}

/// How to print, from the flags and the streams.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
struct How {
    json: bool,
    quiet: bool,
    verbose: u8,
    bars: bool,
    lines: bool,
    color_out: bool,
    color_err: bool,
}

/// Colours by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Good news, something new.
    Good,
    /// Something to look at.
    Warn,
    /// Something wrong.
    Bad,
    /// Less important.
    Dim,
    /// A heading.
    Bold,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Dim => "\x1b[2m",
            Self::Bold => "\x1b[1m",
        }
    }

    fn paint(self, on: bool, text: &str) -> String {
        if on && self != Self::Plain {
            format!("{}{text}\x1b[0m", self.code())
        } else {
            text.to_owned()
        }
    }
}

impl Ui {
    /// Prints to these streams, as the flags say.
    pub fn new(
        out: Stream,
        err: Stream,
        out_is_terminal: bool,
        err_is_terminal: bool,
        global: &Global,
    ) -> Self {
        let shown = global.progress != crate::cli::When::Never && !global.quiet;
        // The log of -vv would tear the bars apart.
        let bars = shown && err_is_terminal && global.verbose < 2;
        let target = if bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let how = How {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            bars,
            lines: shown && !bars,
            color_out: global.color.applies(out_is_terminal) && !global.json,
            color_err: global.color.applies(err_is_terminal),
        };
        let bars = MultiProgress::with_draw_target(target);
        let (out, err) = (Mutex::new(out), Mutex::new(err));
        Self(Arc::new(Inner { out, err, broken: Mutex::default(), bars, how }))
    }

    /// True with `--json`.
    pub fn is_json(&self) -> bool {
        self.0.how.json
    }

    /// True with `-q`.
    pub fn is_quiet(&self) -> bool {
        self.0.how.quiet
    }

    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        self.0.how.verbose
    }

    /// Progress as lines instead of bars.
    fn wants_lines(&self) -> bool {
        self.0.how.lines
    }

    /// Where bars are drawn, if they are.
    fn bars(&self) -> Option<&MultiProgress> {
        self.0.how.bars.then_some(&self.0.bars)
    }

    /// Text for stdout in colour.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        tone.paint(self.0.how.color_out, text)
    }

    /// A line that the command was asked for, also with `-q`.
    pub fn result(&self, line: &str) {
        self.write_out(format!("{line}\n").as_bytes());
    }

    /// Bytes that the command was asked for (completions, the manual).
    pub fn raw(&self, bytes: &[u8]) {
        self.write_out(bytes);
    }

    /// Bytes for stderr as they are.
    pub fn raw_err(&self, bytes: &[u8]) {
        self.0.bars.suspend(|| {
            let _ = lock(&self.0.err).write_all(bytes);
        });
    }

    /// Hands stdout to the system now, for a reader who waits.
    pub fn flush(&self) {
        let flushed = lock(&self.0.out).flush();
        self.note_broken(flushed);
    }

    /// A line on stdout that `-q` and `--json` leave out.
    pub fn line(&self, line: &str) {
        if !self.0.how.quiet && !self.0.how.json {
            self.result(line);
        }
    }

    /// A JSON line on stdout.
    pub fn json(&self, value: &impl Serialize) {
        let mut line = serde_json::to_vec(value).expect("plain data has a JSON form");
        line.push(b'\n');
        self.write_out(&line);
    }

    /// A line on stderr that `-q` leaves out.
    pub fn note(&self, line: &str) {
        if !self.0.how.quiet {
            self.write_err(line);
        }
    }

    /// A warning, which `-q` leaves out.
    pub fn warn(&self, message: &str) {
        let head = Tone::Warn.paint(self.0.how.color_err, "warning:");
        self.note(&format!("{head} {}", text::escaped_lines(message)));
    }

    /// An error and what to do about it, also with `-q`.
    pub fn error(&self, message: &str, hint: Option<&str>) {
        let head = Tone::Bad.paint(self.0.how.color_err, "error:");
        self.write_err(&format!("{head} {}", text::escaped_lines(message)));
        if let Some(hint) = hint {
            for line in text::escaped_lines(hint).lines() {
                self.write_err(&format!("  {line}"));
            }
        }
    }

    /// Something listed on stderr, also with `-q`: a place that failed.
    pub fn problem(&self, tone: Tone, head: &str, rest: &str) {
        let head = tone.paint(self.0.how.color_err, head);
        self.write_err(&format!("{head}{rest}"));
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// The first error that stdout had. A reader who went away (`… | head`) is none.
    pub fn finish(&self) -> io::Result<()> {
        self.flush();
        let _ = lock(&self.0.err).flush();
        match lock(&self.0.broken).take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    fn write_out(&self, bytes: &[u8]) {
        if lock(&self.0.broken).is_none() {
            let written = self.0.bars.suspend(|| lock(&self.0.out).write_all(bytes));
            self.note_broken(written);
        }
    }

    fn note_broken(&self, result: io::Result<()>) {
        if let Err(error) = result {
            lock(&self.0.broken).get_or_insert(error);
        }
    }

    /// stderr is where errors would go: where it is broken nobody can be told.
    fn write_err(&self, line: &str) {
        self.0.bars.suspend(|| {
            let _ = writeln!(lock(&self.0.err), "{line}");
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while printing")
}
