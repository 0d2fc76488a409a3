//! How many exports may be under way.
//!
//! The service names no number but slows down under many tasks, and a product dies ten
//! minutes after it is ready (docs: drive-v1/export_task/download). So there are two
//! bounds: a width that begins at two, grows while it is used up and the service keeps
//! its speed, and shrinks at once when it does not; and what the downloads, at the rate
//! measured, fetch well within a product's life. Pure: the time is an argument.

use tokio::time::Instant;

/// Tasks at once in the beginning, and at least.
const NARROWEST: usize = 2;
/// What the official quota lets through in half a product's life.
pub(super) const WIDEST: usize = 475;
/// After any sign that they are too many.
const SHRINK: f64 = 0.7;
/// Half of a product's life, in seconds of downloads: the rate may then halve, once
/// everything under way is ready, and nothing dies.
const HORIZON: f64 = 300.0;
/// Seconds of downloads that may wait: enough to keep them busy.
const BACKLOG: f64 = 60.0;
/// May wait however slow the downloads are.
const LEAST_BACKLOG: usize = 4;
/// Weight of the newest gap between two downloads, and of the newest export's slowness.
const NEWEST: f64 = 0.1;
/// Share of the last exports that may be slow. A single large document is slow by
/// itself; a third of them are not.
const MAY_BE_SLOW: f64 = 0.3;

/// How it stands.
#[derive(Debug)]
pub(super) struct Pace {
    width: usize,
    under_way: usize,
    /// Of these, those that wait for a poll or a download.
    waiting: usize,
    /// Since when there have been any.
    busy_since: Option<Instant>,
    /// Mean seconds between the ends of two downloads while there are any.
    gap: Option<f64>,
    last_fetch: Option<Instant>,
    slow: f64,
    narrowed: Option<Instant>,
    /// When one last had to wait because of the width.
    refused: Option<Instant>,
    throttles: u64,
}

impl Pace {
    /// `throttles`: rate limits that the client has met so far.
    pub(super) fn new(throttles: u64) -> Self {
        Self {
            width: NARROWEST,
            under_way: 0,
            waiting: 0,
            busy_since: None,
            gap: None,
            last_fetch: None,
            slow: 0.0,
            narrowed: None,
            refused: None,
            throttles,
        }
    }

    /// Counts one more export, if there may be one.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        if self.under_way >= self.width {
            self.refused = Some(now);
        }
        let may = self.under_way < self.limit(now) && self.waiting < self.fetched_in(BACKLOG, now);
        self.under_way += usize::from(may);
        may
    }

    /// One less.
    pub(super) fn end(&mut self) {
        self.under_way -= 1;
    }

    /// Exports under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// One begins to wait for a poll or a download.
    pub(super) fn wait(&mut self, now: Instant) {
        if self.waiting == 0 {
            self.busy_since = Some(now);
        }
        self.waiting += 1;
    }

    /// It waits no longer.
    pub(super) fn go_on(&mut self) {
        self.waiting -= 1;
    }

    fn limit(&self, now: Instant) -> usize {
        self.width.min(self.fetched_in(HORIZON, now).max(NARROWEST))
    }

    /// Products that are fetched in so many seconds at the rate measured, or at the rate
    /// of one in the time since the last one where they have come to a halt.
    fn fetched_in(&self, secs: f64, now: Instant) -> usize {
        let halted = (self.waiting > 0).then(|| self.busy_since.max(self.last_fetch)).flatten();
        let halted = halted.map_or(0.0, |since| (now - since).as_secs_f64());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to small positive numbers"
        )]
        let count =
            self.gap.map_or(WIDEST, |gap| (secs / gap.max(halted)).clamp(0.0, 1e6) as usize);
        count.max(LEAST_BACKLOG)
    }

    /// A product has come whose download began at `began`.
    pub(super) fn fetched(&mut self, began: Instant, now: Instant) {
        // Where downloads overlap, the time since the last one ended; where there was
        // nothing to download, that is no sign of slowness.
        let since = self.last_fetch.map_or(began, |last| last.max(began));
        let gap = (now - since).as_secs_f64();
        self.gap = Some(self.gap.map_or(gap, |mean| mean + NEWEST * (gap - mean)));
        self.last_fetch = Some(now);
    }

    /// The service answered for an export that began at `began`: if another one had to
    /// wait meanwhile, there may be one more. `throttles`: see [`Pace::new`].
    pub(super) fn answered(&mut self, began: Instant, throttles: u64, now: Instant) {
        let throttled = throttles > self.throttles;
        self.throttles = throttles;
        if throttled || self.slow > MAY_BE_SLOW {
            self.narrow(began, now);
        } else if self.refused >= Some(began) {
            self.width = (self.width + 1).min(WIDEST);
        }
    }

    /// One more export was ready, slow for its kind or not.
    pub(super) fn was_slow(&mut self, slow: bool) {
        self.slow += NEWEST * (f64::from(u8::from(slow)) - self.slow);
    }

    /// A task that began at `began` shows that they are too many. Those that began
    /// before the last narrowing say nothing new.
    pub(super) fn narrow(&mut self, began: Instant, now: Instant) {
        if self.narrowed.is_some_and(|narrowed| began < narrowed) {
            return;
        }
        self.narrowed = Some(now);
        self.slow = 0.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "at most WIDEST"
        )]
        let width = (self.width.min(self.under_way) as f64 * SHRINK) as usize;
        self.width = width.max(NARROWEST);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn begin_all(pace: &mut Pace, now: Instant) -> usize {
        let mut begun = 0;
        while pace.begin(now) {
            begun += 1;
        }
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn it_doubles_each_round_and_shrinks_once_for_all_that_went_before() {
        let (mut pace, mut now) = (Pace::new(0), Instant::now());
        for width in [2, 4, 8, 16, 32] {
            let began = now;
            assert_eq!(begin_all(&mut pace, now), width);
            now += SECOND;
            for _ in 0..width {
                pace.answered(began, 0, now);
                pace.fetched(now, now + SECOND / 100);
            }
            (0..width).for_each(|_| pace.end());
        }
        let began = now;
        assert_eq!(begin_all(&mut pace, now), 64);
        now += SECOND;
        for throttles in 1..=64 {
            pace.answered(began, throttles, now);
        }
        (0..64).for_each(|_| pace.end());
        assert_eq!(begin_all(&mut pace, now), 44, "one round of rate limits is one sign");
    }

    #[tokio::test(start_paused = true)]
    async fn one_slow_export_is_none_and_many_are_too_many() {
        let (mut pace, now) = (Pace::new(0), Instant::now());
        pace.width = 100;
        begin_all(&mut pace, now);
        for n in 0..100 {
            pace.was_slow(n % 10 == 0);
            pace.answered(now, 0, now);
        }
        assert!(pace.width >= 100, "{}", pace.width);
        for _ in 0..5 {
            pace.was_slow(true);
            pace.answered(now, 0, now);
        }
        assert!(pace.width < 80, "{}", pace.width);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_downloads_bound_what_is_under_way_and_what_waits() {
        let (mut pace, mut now) = (Pace::new(0), Instant::now());
        pace.width = WIDEST;
        let began = now;
        for _ in 0..200 {
            now += SECOND * 5;
            pace.fetched(began, now);
        }
        assert_eq!(pace.limit(now), 60, "one in 5 s for 300 s");
        begin_all(&mut pace, now);
        (0..12).for_each(|_| pace.wait(now));
        pace.end();
        assert!(!pace.begin(now), "a minute of downloads waits already");
        pace.go_on();
        assert!(pace.begin(now));
        // However slow: something goes on.
        now += SECOND * 5000;
        (0..100).for_each(|_| pace.fetched(began, now));
        for _ in 0..100 {
            now += SECOND * 500;
            pace.fetched(began, now);
        }
        assert!(pace.limit(now) >= NARROWEST);
    }

    #[tokio::test(start_paused = true)]
    async fn downloads_that_come_to_a_halt_stop_the_tasks_before_their_rate_is_measured() {
        let (mut pace, mut now) = (Pace::new(0), Instant::now());
        pace.width = WIDEST;
        (0..50).for_each(|_| {
            now += SECOND / 5;
            pace.fetched(now - SECOND / 5, now);
        });
        now += SECOND * 60;
        (0..5).for_each(|_| pace.wait(now));
        assert!(pace.begin(now), "nothing waited in the last minute");
        now += SECOND * 15;
        assert!(!pace.begin(now));
        pace.fetched(now - SECOND, now);
        assert!(pace.begin(now));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_downloads_are_not_slow_ones() {
        let (mut pace, mut now) = (Pace::new(0), Instant::now());
        for _ in 0..50 {
            now += SECOND * 60;
            pace.fetched(now - SECOND / 5, now);
        }
        assert_eq!(pace.fetched_in(1.0, now), 5);
    }
}
