//! The service's limits, as data, and a meter that enforces them.
//!
//! A limit counts the calls of one app to one endpoint, whoever's token they carry
//! (docs: api-call-guide/frequency-control). Windows slide: a window holds at most
//! the limit at every moment, which is the strictest reading of the page. A refused
//! call does not count. Endpoints without a published limit get 5 a second.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

/// How an endpoint says that it is called too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// HTTP 429, code 99991400.
    TooMany,
    /// HTTP 400, code 99991400 (docs: docx-v1).
    BadRequest,
    /// HTTP 400, code 1061045 (docs: drive-v1/file/download).
    Throttle,
}

/// Limits of one endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Calls in any minute.
    pub per_minute: Option<u32>,
    /// Calls in any second.
    pub per_second: Option<u32>,
    /// Calls in any 24 hours.
    pub per_day: Option<u32>,
    /// How a refusal looks.
    pub style: Style,
}

impl Limit {
    /// So many a second.
    pub const fn second(per_second: u32) -> Self {
        let style = Style::TooMany;
        Self { per_minute: None, per_second: Some(per_second), per_day: None, style }
    }

    /// So many a minute.
    pub const fn minute(per_minute: u32) -> Self {
        let style = Style::TooMany;
        Self { per_minute: Some(per_minute), per_second: None, per_day: None, style }
    }

    /// Tier 4: 1,000 a minute and 50 a second.
    pub const fn tier4() -> Self {
        let style = Style::TooMany;
        Self { per_minute: Some(1000), per_second: Some(50), per_day: None, style }
    }

    /// 5 a second, refused with HTTP 400, as documents do.
    pub const fn docx() -> Self {
        let style = Style::BadRequest;
        Self { per_minute: None, per_second: Some(5), per_day: None, style }
    }

    /// 5 a second and 10,000 a day, as downloads have.
    pub const fn download() -> Self {
        let style = Style::Throttle;
        Self { per_minute: None, per_second: Some(5), per_day: Some(10_000), style }
    }
}

/// How strictly limits are enforced.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// Factor on every limit; `None`: no limits.
    factor: Option<f64>,
}

impl Quotas {
    /// As published.
    pub fn official() -> Self {
        Self { factor: Some(1.0) }
    }

    /// None at all.
    pub fn none() -> Self {
        Self { factor: None }
    }

    /// Every limit so many times as high.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { factor: self.factor.map(|f| f * factor) }
    }

    fn scaled(self, limit: u32) -> Option<usize> {
        let scaled = f64::from(limit) * self.factor?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let whole = scaled.clamp(1.0, 1e9) as usize;
        Some(whole)
    }
}

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// The window's limit.
    pub limit: usize,
    /// Seconds until the oldest call leaves the window, at least 1.
    pub reset_secs: i64,
    /// How to say it.
    pub style: Style,
}

/// Counts the calls of each app to each endpoint.
#[derive(Debug)]
pub struct Meter {
    quotas: Quotas,
    windows: HashMap<(usize, &'static str), VecDeque<Timestamp>>,
}

impl Meter {
    /// A meter that has seen nothing.
    pub fn new(quotas: Quotas) -> Self {
        Self { quotas, windows: HashMap::new() }
    }

    /// Other limits from now on; what was counted stays.
    pub fn set(&mut self, quotas: Quotas) {
        self.quotas = quotas;
    }

    /// Counts a call, or refuses it.
    pub fn admit(
        &mut self,
        app: usize,
        pattern: &'static str,
        limit: Limit,
        now: Timestamp,
    ) -> Result<(), Exceeded> {
        if self.quotas.factor.is_none() {
            return Ok(());
        }
        let calls = self.windows.entry((app, pattern)).or_default();
        let windows = [(limit.per_second, 1), (limit.per_minute, 60), (limit.per_day, 86_400)];
        let longest = windows.iter().filter(|w| w.0.is_some()).map(|w| w.1).max().unwrap_or(1);
        while calls.front().is_some_and(|at| elapsed(*at, now) >= longest * 1_000_000) {
            calls.pop_front();
        }
        for (cap, secs) in windows {
            let Some(cap) = cap.and_then(|cap| self.quotas.scaled(cap)) else { continue };
            // The call that has to leave the window before one more may come.
            let Some(blocking) = calls.len().checked_sub(cap).map(|i| calls[i]) else { continue };
            let age = elapsed(blocking, now);
            if age < secs * 1_000_000 {
                let wait = secs * 1_000_000 - age;
                let reset_secs = ((wait + 999_999) / 1_000_000).max(1);
                return Err(Exceeded { limit: cap, reset_secs, style: limit.style });
            }
        }
        calls.push_back(now);
        Ok(())
    }
}

/// Finds a window that holds more calls than it may, of calls made `times`, the earliest
/// first: its limit, its seconds, and the call that was one too many.
pub fn overrun(times: &[Timestamp], limit: Limit) -> Option<(u32, i64, Timestamp)> {
    let windows = [(limit.per_second, 1), (limit.per_minute, 60), (limit.per_day, 86_400)];
    windows.into_iter().find_map(|(cap, secs)| {
        let cap = cap?;
        let pairs = times.iter().zip(times.iter().skip(cap as usize));
        let mut late = pairs.filter(|(first, last)| elapsed(**first, **last) < secs * 1_000_000);
        late.next().map(|(_, last)| (cap, secs, *last))
    })
}

/// Microseconds between two moments.
fn elapsed(from: Timestamp, to: Timestamp) -> i64 {
    to.as_microsecond() - from.as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap()
    }

    #[test]
    fn windows_slide() {
        let mut meter = Meter::new(Quotas::official());
        let mut ask = |millis| meter.admit(0, "x", Limit::second(5), at(millis)).is_ok();
        assert!([0, 100, 200, 300, 400].into_iter().all(&mut ask));
        assert!(!ask(999), "five in the last second");
        assert!(ask(1000), "the first one left");
        assert!(!ask(1050), "the second one is still there");
        assert!(ask(1100));
    }

    #[test]
    fn a_refusal_says_when_it_ends() {
        let mut meter = Meter::new(Quotas::official());
        for _ in 0..100 {
            meter.admit(0, "y", Limit::minute(100), at(0)).unwrap();
        }
        let no = meter.admit(0, "y", Limit::minute(100), at(12_500)).unwrap_err();
        assert_eq!(no, Exceeded { limit: 100, reset_secs: 48, style: Style::TooMany });
        assert!(meter.admit(1, "y", Limit::minute(100), at(12_500)).is_ok(), "another app");
        assert!(meter.admit(0, "z", Limit::minute(100), at(12_500)).is_ok(), "another endpoint");
    }

    #[test]
    fn an_overrun_is_found_whatever_was_answered() {
        let times = |millis: &[i64]| millis.iter().map(|m| at(*m)).collect::<Vec<_>>();
        let limit = Limit::second(3);
        assert_eq!(overrun(&times(&[0, 0, 0, 1000, 1000, 1001]), limit), None);
        let late = overrun(&times(&[0, 500, 500, 999]), limit);
        assert_eq!(late, Some((3, 1, at(999))));
        let even: Vec<i64> = (0..1001).map(|n| n * 59).collect();
        let late = overrun(&times(&even), Limit::tier4());
        assert_eq!(late, Some((1000, 60, at(59_000))));
    }

    #[test]
    fn both_windows_of_a_tier_count() {
        let mut meter = Meter::new(Quotas::official().times(0.1));
        let mut admitted = 0;
        for millis in 0..60_000 {
            admitted += usize::from(meter.admit(0, "m", Limit::tier4(), at(millis)).is_ok());
        }
        assert_eq!(admitted, 100, "a tenth of 1,000 a minute");
        let mut free = Meter::new(Quotas::none());
        assert!((0..10_000).all(|_| free.admit(0, "m", Limit::second(1), at(0)).is_ok()));
    }
}
