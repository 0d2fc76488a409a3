//! Listens to a run: bars or lines while it goes on, events to `--json` and the run
//! log, and a list of what went wrong for the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::bars::Bars;
use super::summary::Summary;
use super::text::{bytes, count, counted, escaped, escaped_lines};
use super::{Tone, Ui};
use crate::clock::Clock;
use crate::disk::StateLog;
use crate::model::change::{Change, ChangeKind, Event, Failure};
use crate::model::{Format, PlaceKey, SourceName};
use crate::progress::Progress;

/// A line of progress comes at most so often, in seconds.
const LINE_EVERY_SECS: i64 = 30;

/// The listener of one run.
pub struct Reporter {
    ui: Ui,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    bars: Option<Bars>,
    log: Option<StateLog>,
    /// Places listed, by source.
    listed: BTreeMap<SourceName, u64>,
    /// Files that came before it was planned how many there are.
    ahead: u64,
    planned: Option<u64>,
    fetched: u64,
    received: u64,
    last_line_secs: i64,
    listing_failures: Vec<(SourceName, String, Failure)>,
    failed: Vec<(Change, Failure)>,
}

impl Reporter {
    /// A listener that draws or prints as `ui` says.
    pub fn new(ui: &Ui, clock: &Clock) -> Self {
        let state = State {
            bars: ui.bars().map(Bars::new),
            log: None,
            listed: BTreeMap::new(),
            ahead: 0,
            planned: None,
            fetched: 0,
            received: 0,
            last_line_secs: clock.now_secs(),
            listing_failures: Vec::new(),
            failed: Vec::new(),
        };
        Self { ui: ui.clone(), clock: clock.clone(), state: Mutex::new(state) }
    }

    /// From now on every event is logged too.
    pub fn log_to(&self, log: StateLog) {
        self.state().log = Some(log);
    }

    /// Places that failed, and the format that did.
    pub fn failed(&self) -> Vec<(PlaceKey, Option<Format>)> {
        self.state().failed.iter().map(|(change, _)| (change.place(), change.format)).collect()
    }

    /// True where some folder could not be listed, forbidden ones included.
    pub fn listing_failed(&self) -> bool {
        !self.state().listing_failures.is_empty()
    }

    /// Takes the bars away, for what is printed at the end.
    pub fn end_bars(&self) {
        let bars = self.state().bars.take();
        drop(bars);
    }

    /// Lists what went wrong, each with what to do about it.
    pub fn print_problems(&self) {
        let (listings, failed) = {
            let state = self.state();
            (state.listing_failures.clone(), state.failed.clone())
        };
        for (source, path, failure) in &listings {
            let at = if path.is_empty() { source.as_str() } else { path };
            self.problem("not listed", Tone::Bad, at, "", failure);
        }
        for (change, failure) in &failed {
            let what =
                format!(" ({} {})", escaped(change.ty.as_str()), escaped(change.token.as_str()));
            self.problem("failed", Tone::Bad, change.path.as_str(), &what, failure);
        }
    }

    /// One place that has no current copy.
    pub fn problem(&self, word: &str, tone: Tone, path: &str, what: &str, failure: &Failure) {
        let message = escaped_lines(&failure.message);
        self.ui.problem(tone, word, &format!("  {}{what}: {message}", escaped(path)));
        if let Some(hint) = &failure.hint {
            self.ui.problem(Tone::Plain, "", &format!("        {}", escaped_lines(hint)));
        }
    }

    /// The last event of the run, also for the log; the log is complete after it.
    pub fn summary(&self, summary: &Summary) {
        self.end_bars();
        let mut state = self.state();
        state.log(summary, &self.ui);
        if let Some(mut log) = state.log.take()
            && let Err(error) = log.sync()
        {
            self.ui.warn(&format!("the run log is not complete: {error}"));
        }
        drop(state);
        summary.print(&self.ui);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while reporting")
    }

    /// Shows how far the run is, on the bars or from time to time as a line.
    fn show(&self, state: &mut State, now: bool) {
        if let Some(bars) = &state.bars {
            if state.planned.is_none() {
                bars.status.set_message(state.walk());
            }
            return;
        }
        let secs = self.clock.now_secs();
        if self.ui.wants_lines() && (now || secs - state.last_line_secs >= LINE_EVERY_SECS) {
            state.last_line_secs = secs;
            let line = state.progress_line();
            self.ui.note(&line);
        }
    }
}

impl State {
    fn walk(&self) -> String {
        let sources: Vec<String> = self
            .listed
            .iter()
            .map(|(source, places)| format!("{source} {}", counted(*places, "place", "places")))
            .collect();
        if sources.is_empty() {
            "listing".to_owned()
        } else {
            let ahead = match self.ahead {
                0 => String::new(),
                files => format!("; fetched already: {}", counted(files, "file", "files")),
            };
            format!("listing: {}{ahead}", sources.join(", "))
        }
    }

    fn progress_line(&self) -> String {
        match self.planned {
            None => self.walk(),
            Some(0) => format!("{} received", bytes(self.received)),
            Some(files) => format!(
                "fetching: {} of {}, {} received",
                count(self.fetched),
                counted(files, "file", "files"),
                bytes(self.received)
            ),
        }
    }

    /// Writes a line of the run log. A log that cannot be written (a full disk) ends,
    /// not the run.
    fn log(&mut self, event: &impl serde::Serialize, ui: &Ui) {
        let Some(log) = &mut self.log else { return };
        let line = serde_json::to_string(event).expect("plain data has a JSON form");
        if let Err(error) = log.line(&line) {
            self.log = None;
            ui.warn(&format!("the run log ends here: {error}"));
        }
    }
}

impl Progress for Reporter {
    fn listed(&self, source: &SourceName, places: usize) {
        let mut state = self.state();
        *state.listed.entry(source.clone()).or_default() += places as u64;
        self.show(&mut state, false);
    }

    fn listing_failed(&self, source: &SourceName, path: &str, failure: &Failure) {
        let entry = (source.clone(), path.to_owned(), failure.clone());
        self.state().listing_failures.push(entry);
    }

    fn ahead(&self, files: u64) {
        let mut state = self.state();
        state.ahead += files;
        self.show(&mut state, false);
    }

    fn planned(&self, files: u64) {
        let mut state = self.state();
        let (walk, received) = (state.walk(), state.received);
        state.planned = Some(files);
        if let Some(bars) = &mut state.bars {
            bars.planned(files, received);
        } else if self.ui.wants_lines() {
            state.last_line_secs = self.clock.now_secs();
            self.ui.note(&walk.replace("listing: ", "listed: "));
            self.ui.note(&format!("to fetch: {}", counted(files, "file", "files")));
        }
    }

    fn fetched(&self, files: u64) {
        let mut state = self.state();
        state.fetched += files;
        if let Some(bar) = state.bars.as_ref().and_then(|bars| bars.files.as_ref()) {
            bar.inc(files);
        }
        self.show(&mut state, false);
    }

    fn received(&self, bytes: u64) {
        let mut state = self.state();
        state.received += bytes;
        if let Some(bar) = state.bars.as_ref().and_then(|bars| bars.bytes.as_ref()) {
            bar.inc(bytes);
        }
        self.show(&mut state, false);
    }

    fn detail(&self, message: &str) {
        if self.ui.verbosity() > 0 {
            self.ui.note(message);
        }
    }

    fn warn(&self, message: &str) {
        self.ui.warn(message);
    }

    fn event(&self, event: &Event) {
        let mut state = self.state();
        state.log(event, &self.ui);
        if let Event::Failed { change, error } = event {
            state.failed.push((change.clone(), error.clone()));
        }
        self.show(&mut state, false);
        drop(state);
        if self.ui.is_json() {
            self.ui.json(event);
        } else if self.ui.verbosity() > 0
            && let Event::Done { change, .. } = event
        {
            self.ui.line(&change_line(&self.ui, change));
        }
    }
}

/// `A path`, `M old -> new`, `S path (reason)`.
pub fn change_line(ui: &Ui, change: &Change) -> String {
    let tone = match change.kind {
        ChangeKind::Add | ChangeKind::Restore => Tone::Good,
        ChangeKind::Update | ChangeKind::Move => Tone::Warn,
        ChangeKind::Prune => Tone::Bad,
        ChangeKind::Skip => Tone::Dim,
    };
    let letter = ui.paint(tone, &change.kind.letter().to_string());
    // A folder is told from a file by its slash, as rsync does.
    let slash = if is_folder(change) { "/" } else { "" };
    let path = escaped(change.path.as_str());
    let mut line = match &change.from {
        Some(from) => format!("{letter} {}{slash} -> {path}{slash}", escaped(from.as_str())),
        None => format!("{letter} {path}{slash}"),
    };
    let plain = matches!(change.kind, ChangeKind::Add | ChangeKind::Move);
    if let Some(reason) = change.reason.as_deref().filter(|_| !plain) {
        line.push_str(&ui.paint(Tone::Dim, &format!("  ({})", escaped(reason))));
    }
    line
}

fn is_folder(change: &Change) -> bool {
    change.format.is_none() && change.ty == crate::model::ObjType::Folder
}
