//! How much of a class's official rate the service really lets through. Pure: moments
//! are arguments.
//!
//! The official rate is not always to be had: other programs use the same app, or the
//! tenant has less than the docs say. Each throttle lowers the rate to 70 %; it grows
//! back in steps of 5 % of the official rate, one each 30 s in which the service answered:
//! after a single throttle it is full again in three minutes.
//!
//! Growing on like that against a limit that stays would be throttled every two minutes.
//! So the rate at the last throttle is remembered as a ceiling. Below 90 % of it the rate
//! grows as above; each step beyond takes twice as long for each further throttle, up to
//! an hour. A service that grants half of the official rate throttles seven times in the
//! first hour, then once an hour, while the rate stands just below what it grants.
//! Whoever gets past the ceiling has proved it wrong: it is forgotten.

use std::time::Duration;

use tokio::time::Instant;

use super::kept::KeptRate;

/// A throttle leaves so much of the rate.
const LOWER: f64 = 0.7;
/// Never less than so much of the official rate: even the slowest class (20 a minute)
/// then moves twice a minute, and finds out that things are better.
const FLOOR: f64 = 0.1;
/// What one step gives back.
const STEP: f64 = 0.05;
/// Between two steps.
const CALM: Duration = Duration::from_secs(30);
/// The same, at most, near the ceiling.
const LONGEST_CALM: Duration = Duration::from_secs(3600);
/// So long above the ceiling proves it wrong: the longest window that is paced is a minute,
/// and only a full one is refused.
const PROOF: Duration = Duration::from_secs(120);
/// So much of the ceiling is believed to be harmless.
const HARMLESS: f64 = 0.9;

/// A class's rate, as a share of its official one.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    value: f64,
    /// The rate at the last throttle; 1 where there was none.
    ceiling: f64,
    /// Throttles since the ceiling was last proved wrong.
    strikes: u32,
    lowered: Option<Instant>,
    /// When it last changed, either way.
    stepped: Option<Instant>,
    /// A call sent since it was lowered has been answered.
    answered: bool,
    /// Seconds since 1970; 0: never.
    changed_secs: i64,
    unsaved: bool,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            value: 1.0,
            ceiling: 1.0,
            strikes: 0,
            lowered: None,
            stepped: None,
            answered: true,
            changed_secs: 0,
            unsaved: false,
        }
    }
}

impl Rate {
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// A call sent at `sent` was throttled.
    ///
    /// Those that were under way when the rate was lowered say nothing about the new one.
    /// Nor does a call that is refused before any has been answered: it comes after a
    /// pause, so it was not the pace that was too high.
    pub(super) fn throttled(&mut self, sent: Instant, now: Instant, now_secs: i64) {
        if self.is_older(sent) || !self.answered {
            return;
        }
        self.ceiling = self.value;
        self.strikes = self.strikes.saturating_add(1);
        self.value = (self.value * LOWER).max(FLOOR);
        self.lowered = Some(now);
        self.answered = false;
        self.changed(now, now_secs);
    }

    /// A call sent at `sent` was answered.
    pub(super) fn answered(&mut self, sent: Instant, now: Instant, now_secs: i64) {
        if self.is_older(sent) {
            return;
        }
        self.answered = true;
        if self.value >= 1.0 {
            return;
        }
        // Kept from an earlier run: the first step counts from the first answer.
        let stepped = *self.stepped.get_or_insert(now);
        let calm = now.saturating_duration_since(stepped);
        if self.value > self.ceiling && calm >= PROOF {
            (self.ceiling, self.strikes) = (1.0, 0);
        }
        if calm >= self.calm_needed() {
            // Without the error that adding twentieths piles up.
            self.value = ((self.value + STEP) * 1000.0).round().min(1000.0) / 1000.0;
            self.changed(now, now_secs);
        }
    }

    fn calm_needed(&self) -> Duration {
        if self.value + STEP <= self.ceiling * HARMLESS {
            return CALM;
        }
        let doublings = self.strikes.saturating_sub(1).min(10);
        (CALM * (1 << doublings)).min(LONGEST_CALM)
    }

    fn is_older(&self, sent: Instant) -> bool {
        self.lowered.is_some_and(|lowered| sent < lowered)
    }

    fn changed(&mut self, now: Instant, now_secs: i64) {
        self.stepped = Some(now);
        self.changed_secs = now_secs;
        self.unsaved = true;
    }

    /// Takes over what another process, or an earlier run, has learned later than this.
    /// Returns true where it did.
    pub(super) fn adopt(&mut self, kept: &KeptRate) -> bool {
        if kept.changed_secs <= self.changed_secs {
            return false;
        }
        self.value = kept.rate.clamp(FLOOR, 1.0);
        self.ceiling = kept.ceiling.clamp(FLOOR, 1.0);
        self.strikes = kept.throttles;
        self.changed_secs = kept.changed_secs;
        self.unsaved = false;
        // Whoever changed it waits for the next step; so does everybody else.
        self.stepped = None;
        true
    }

    /// What is worth keeping.
    pub(super) fn to_kept(&self) -> KeptRate {
        KeptRate {
            rate: self.value,
            ceiling: self.ceiling,
            throttles: self.strikes,
            changed_secs: self.changed_secs,
        }
    }

    /// What [`Self::to_kept`] gave is on disk.
    pub(super) fn saved(&mut self, kept: &KeptRate) {
        if kept.changed_secs == self.changed_secs {
            self.unsaved = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_throttle_is_made_good_in_three_minutes() {
        let mut rate = Rate::default();
        let start = Instant::now();
        rate.throttled(start, start, 1);
        assert!((rate.value() - 0.7).abs() < 1e-9);
        let mut values = Vec::new();
        for second in 0..=180 {
            let now = start + SECOND * second;
            rate.answered(now, now, 1 + i64::from(second));
            if second % 30 == 0 {
                values.push(rate.value());
            }
        }
        assert_eq!(values, [0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_under_way_at_a_throttle_do_not_lower_it_again() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let later = start + SECOND * 60;
        for late in 0..20 {
            rate.throttled(start, start + SECOND * (1 + late), 1);
        }
        assert!((rate.value() - 0.7).abs() < 1e-9, "{rate:?}");
        // The answer to an older call is none to the new rate.
        rate.answered(start, later, 2);
        rate.throttled(later, later, 2);
        assert!((rate.value() - 0.7).abs() < 1e-9, "refused right after the pause: {rate:?}");
        rate.answered(later, later, 3);
        assert!((rate.value() - 0.75).abs() < 1e-9, "{rate:?}");
        rate.throttled(later, later, 3);
        assert!((rate.value() - 0.525).abs() < 1e-9, "{rate:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_stops_altogether() {
        let mut rate = Rate::default();
        let start = Instant::now();
        for second in 0..100 {
            let now = start + SECOND * second;
            rate.throttled(now, now, 1);
            rate.answered(now, now, 1);
        }
        assert!((rate.value() - FLOOR).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn the_later_news_counts() {
        let mut rate = Rate::default();
        let now = Instant::now();
        rate.throttled(now, now, 100);
        let other = KeptRate { rate: 0.3, ceiling: 0.4, throttles: 3, changed_secs: 99 };
        assert!(!rate.adopt(&other));
        assert!(rate.is_unsaved());
        assert!(rate.adopt(&KeptRate { changed_secs: 101, ..other }));
        assert!((rate.value() - 0.3).abs() < 1e-9);
        assert!(!rate.is_unsaved());
        // Nonsense in a file is no rate.
        assert!(rate.adopt(&KeptRate { rate: f64::MAX, changed_secs: 102, ..other }));
        assert!((rate.value() - 1.0).abs() < 1e-9);
    }
}
