//! The one clock: `main` hands it down, nobody asks the system for the time.
//!
//! [`Clock::system`] is the real one. [`Clock::from_tokio`] counts from a given
//! moment along tokio's timer, so under a paused runtime hours pass in
//! milliseconds and every sleep, limiter and timestamp agrees.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

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
            let passed = jiff::SignedDuration::try_from(origin.elapsed())
                .unwrap_or(jiff::SignedDuration::MAX);
            start.saturating_add(passed).unwrap_or(Timestamp::MAX)
        }))
    }

    /// The same clock, so far ahead.
    #[must_use]
    pub fn ahead_by(self, by: jiff::SignedDuration) -> Self {
        Self(Arc::new(move || self.now().saturating_add(by).unwrap_or(Timestamp::MAX)))
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

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
