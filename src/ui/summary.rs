//! The last words of a run: the `summary` event and the same for people.

use serde::{Deserialize, Serialize};

use super::text::{bytes, count, counted, duration_ms};
use super::{Tone, Ui};
use crate::model::change::{Rank, Tally};

/// The `summary` event, the last of every run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// `summary`.
    pub event: String,
    /// `sync`, `diff` or `prune`.
    pub command: String,
    /// Names the run, its log and its trash.
    pub run_id: String,
    /// True where only that was said which would be done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// True where every source was walked completely.
    pub full: bool,
    /// Places, folders included, spaces not.
    pub nodes: u64,
    /// Places with no change.
    pub unchanged: u64,
    /// New places.
    pub added: u64,
    /// Places fetched again.
    pub updated: u64,
    /// Places moved or renamed.
    pub moved: u64,
    /// Places put back.
    pub restored: u64,
    /// Places that are gone and were treated as the rules say.
    pub pruned: u64,
    /// Places left out.
    pub skipped: u64,
    /// Places that failed.
    pub failed: u64,
    /// Bytes fetched or copied.
    pub bytes: u64,
    /// Requests sent, retries and tokens included.
    pub api_requests: u64,
    /// Milliseconds.
    pub elapsed_ms: u64,
    /// True where everything asked for was done.
    pub complete: bool,
    /// The exit code.
    pub exit_code: u8,
}

impl Summary {
    /// A summary of a run that has only begun.
    pub fn new(command: &str, run_id: &str) -> Self {
        Self {
            event: "summary".to_owned(),
            command: command.to_owned(),
            run_id: run_id.to_owned(),
            ..Self::default()
        }
    }

    /// Takes the counters from a tally.
    pub fn tally(&mut self, tally: &Tally) {
        self.nodes = tally.nodes();
        self.unchanged = tally.of(Rank::Unchanged);
        self.added = tally.of(Rank::Added);
        self.updated = tally.of(Rank::Updated);
        self.moved = tally.of(Rank::Moved);
        self.restored = tally.of(Rank::Restored);
        self.pruned = tally.of(Rank::Pruned);
        self.skipped = tally.of(Rank::Skipped);
        self.failed = tally.of(Rank::Failed);
    }

    /// Changes, failures included, skips not.
    pub fn differences(&self) -> u64 {
        self.added + self.updated + self.moved + self.restored + self.pruned + self.failed
    }

    /// `3 added, 1 updated, 2,000 unchanged`.
    pub fn counts(&self) -> String {
        let words = [
            (self.added, "added"),
            (self.updated, "updated"),
            (self.moved, "moved"),
            (self.restored, "restored"),
            (self.pruned, "pruned"),
            (self.skipped, "skipped"),
            (self.failed, "failed"),
            (self.unchanged, "unchanged"),
        ];
        let some: Vec<String> = words
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| format!("{} {word}", count(*number)))
            .collect();
        if some.is_empty() { "nothing there".to_owned() } else { some.join(", ") }
    }

    /// Prints it, as JSON or for people.
    pub fn print(&self, ui: &Ui) {
        if ui.is_json() {
            ui.json(self);
            return;
        }
        let counts = if self.command == "diff" {
            match self.differences() {
                0 => format!("no differences, {}", self.counts()),
                n => format!("{}: {}", counted(n, "difference", "differences"), self.counts()),
            }
        } else {
            match self.nodes {
                0 if self.command == "prune" => "nothing to prune".to_owned(),
                _ => self.counts(),
            }
        };
        if self.dry_run {
            ui.line(&format!("would be done: {counts}"));
            return;
        }
        let (word, tone) = match self.exit_code {
            0 => ("done", Tone::Good),
            2 | 6 => ("partly done", Tone::Warn),
            130 => ("interrupted", Tone::Warn),
            3 => ("differs", Tone::Plain),
            _ => ("failed", Tone::Bad),
        };
        if self.command != "diff" || !matches!(self.exit_code, 0 | 3) {
            ui.line(&format!("{:<12} {counts}", ui.paint(tone, &format!("{word}:"))));
        } else {
            ui.line(&counts);
        }
        let calls = counted(self.api_requests, "API call", "API calls");
        let time = duration_ms(self.elapsed_ms);
        let received =
            if self.command == "diff" { String::new() } else { format!("{}, ", bytes(self.bytes)) };
        ui.line(&ui.paint(Tone::Dim, &format!("{received}{calls}, {time}")));
    }
}
