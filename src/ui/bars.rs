//! Progress bars on a terminal: a spinner for the walk, files, bytes.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars of one run. Dropped, they vanish.
pub struct Bars {
    all: MultiProgress,
    /// The walk, then what is done in general.
    pub status: ProgressBar,
    /// Files, once it is known how many.
    pub files: Option<ProgressBar>,
    /// Bytes received.
    pub bytes: Option<ProgressBar>,
}

impl Bars {
    /// A spinner that turns by itself.
    pub fn new(all: &MultiProgress) -> Self {
        let status = all.add(ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg}")));
        status.enable_steady_tick(Duration::from_millis(120));
        Self { all: all.clone(), status, files: None, bytes: None }
    }

    /// The walk is over, and so many bytes came meanwhile.
    pub fn planned(&mut self, files: u64, bytes: u64) {
        self.status.set_message("fetching");
        if files > 0 {
            let bar = style("  files    {bar:30} {human_pos}/{human_len}  {eta}");
            self.files = Some(self.all.add(ProgressBar::new(files).with_style(bar)));
            let spinner = style("  bytes    {bytes}  {bytes_per_sec}");
            let received = self.all.add(ProgressBar::new_spinner().with_style(spinner));
            received.set_position(bytes);
            self.bytes = Some(received);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let all = [Some(&self.status), self.files.as_ref(), self.bytes.as_ref()];
        all.into_iter().flatten().for_each(ProgressBar::finish_and_clear);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
}
