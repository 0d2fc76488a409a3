//! Progress bars on a terminal: a spinner for the walk, exports, bytes.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars of one run. Dropped, they vanish.
pub struct Bars {
    all: MultiProgress,
    /// The walk, then what is done in general.
    pub status: ProgressBar,
    /// Exports, once it is known how many.
    pub exports: Option<ProgressBar>,
    /// Bytes received.
    pub bytes: Option<ProgressBar>,
}

impl Bars {
    /// A spinner that turns by itself.
    pub fn new(all: &MultiProgress) -> Self {
        let status = all.add(ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg}")));
        status.enable_steady_tick(Duration::from_millis(120));
        Self { all: all.clone(), status, exports: None, bytes: None }
    }

    /// The walk is over.
    pub fn planned(&mut self, exports: u64, downloads: u64) {
        self.status.set_message("fetching");
        if exports > 0 {
            let style = style("  exports  {bar:30} {human_pos}/{human_len}  {eta}");
            self.exports = Some(self.all.add(ProgressBar::new(exports).with_style(style)));
        }
        if exports + downloads > 0 {
            let style = style("  bytes    {bytes}  {bytes_per_sec}");
            self.bytes = Some(self.all.add(ProgressBar::new_spinner().with_style(style)));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let all = [Some(&self.status), self.exports.as_ref(), self.bytes.as_ref()];
        all.into_iter().flatten().for_each(ProgressBar::finish_and_clear);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
}
