//! The one clock: `main` hands it down, nobody asks the system for the time.
//!
//! [`Clock::system`] is the real one. [`Clock::from_tokio`] counts from a given
//! moment along tokio's timer, so under a paused runtime hours pass in
//! milliseconds and every sleep, limiter and timestamp agrees.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Tells the time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that shows `start` now and goes on as tokio's timer does.
    ///
    /// Must be called inside a tokio runtime.
    pub fn from_tokio(start: Timestamp) -> Self {
        let origin = tokio::time::Instant::now();
        Self(Arc::new(move || {
            let passed = SignedDuration::try_from(origin.elapsed()).unwrap_or(SignedDuration::MAX);
            start.saturating_add(passed).unwrap_or(Timestamp::MAX)
        }))
    }

    /// A clock that shows what this one shows and `lead` on top, as it is at the time.
    #[must_use]
    pub fn ahead_by(self, lead: &Lead) -> Self {
        let lead = lead.clone();
        Self(Arc::new(move || {
            let ahead = SignedDuration::from_micros(lead.0.load(Ordering::SeqCst));
            self.now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
        }))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// The present moment in whole seconds since 1970.
    pub fn now_secs(&self) -> i64 {
        self.now().as_second()
    }
}

/// How far one clock runs ahead of another: none at first. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Lead(Arc<AtomicI64>);

impl Lead {
    /// From now on so much further ahead; less where `by` is negative.
    pub fn grow(&self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX / 4);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_moves_every_clock_made_with_it() {
        let start: Timestamp = "2026-03-01T02:30:00Z".parse().unwrap();
        let still = Clock(Arc::new(move || start));
        let lead = Lead::default();
        let (one, two) = (still.clone().ahead_by(&lead), still.clone().ahead_by(&lead));
        assert_eq!(one.now(), start);
        lead.grow(SignedDuration::from_hours(24));
        assert_eq!(one.now().to_string(), "2026-03-02T02:30:00Z");
        assert_eq!((one.now(), still.now()), (two.now(), start));
        lead.grow(SignedDuration::from_hours(-25));
        assert_eq!(one.now().to_string(), "2026-03-01T01:30:00Z");
    }
}
