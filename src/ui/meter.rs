//! How far a check of many files is: a bar on a terminal, else a line from time to time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::Ui;
use super::text::{bytes, count, counted};
use crate::clock::Clock;

/// A line of progress comes at most so often, in seconds.
const LINE_EVERY_SECS: i64 = 30;

/// Counts files and bytes; [`Meter::show`] shows them.
pub struct Meter {
    ui: Ui,
    clock: Clock,
    bar: Option<ProgressBar>,
    files: AtomicU64,
    bytes: AtomicU64,
    total_files: u64,
    total_bytes: u64,
    last_line_secs: Mutex<i64>,
}

impl Meter {
    /// A meter of so many files and bytes to come.
    pub fn new(ui: &Ui, clock: &Clock, total_files: u64, total_bytes: u64) -> Self {
        let bar = ui.bars().map(|bars| {
            let style = "{spinner} checking {bar:30} {bytes} of {total_bytes}  \
                         {bytes_per_sec}  {eta}";
            let style = ProgressStyle::with_template(style).expect("the template is a constant");
            bars.add(ProgressBar::new(total_bytes).with_style(style))
        });
        Self {
            ui: ui.clone(),
            clock: clock.clone(),
            bar,
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total_files,
            total_bytes,
            last_line_secs: Mutex::new(clock.now_secs()),
        }
    }

    /// A file is done.
    pub fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// So many bytes more were read.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Draws, or prints a line where the last one is old.
    pub fn show(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.bytes());
            return;
        }
        let now_secs = self.clock.now_secs();
        let mut last = self.last_line_secs.lock().expect("nobody panics while holding it");
        if self.ui.wants_lines() && now_secs - *last >= LINE_EVERY_SECS {
            *last = now_secs;
            self.ui.note(&format!(
                "checked: {} of {}, {} of {}",
                count(self.files.load(Ordering::Relaxed)),
                counted(self.total_files, "file", "files"),
                bytes(self.bytes()),
                bytes(self.total_bytes)
            ));
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
