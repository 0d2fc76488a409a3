//! What outlives a process: learned rates, the day's calls, a spent month.
//!
//! Plain data, without secrets: names of endpoints, numbers and times.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::table::{DAY, Endpoint};
use super::window::cap_of_day;

/// A rate that nobody has changed for so long is forgotten: limits get raised, and other
/// programs of the app go away.
const RATE_AGE_SECS: i64 = 7 * 24 * 60 * 60;

/// Calls of a day are counted by so many seconds: 145 numbers instead of 10,000 times.
pub(super) const BUCKET_SECS: i64 = 600;

const DAY_SECS: i64 = DAY.as_secs().cast_signed();

/// What the processes of an app tell each other, and the next run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The format.
    pub version: u32,
    /// Rates that are not full, by endpoint.
    #[serde(default)]
    pub(super) rates: BTreeMap<String, KeptRate>,
    /// Until when a class has no call to spare, milliseconds since 1970, for each of its
    /// windows: the next process goes on where the last one ended.
    #[serde(default)]
    pub(super) due_ms: BTreeMap<String, Vec<i64>>,
    /// Calls to endpoints with a daily cap.
    #[serde(default)]
    pub(super) days: BTreeMap<String, Ledger>,
    /// When the service last said that the month's quota is spent, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month_spent_secs: Option<i64>,
}

/// See [`super::learned`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptRate {
    pub(super) rate: f64,
    pub(super) ceiling: f64,
    pub(super) throttles: u32,
    pub(super) changed_secs: i64,
}

/// Calls by the beginning of ten minutes, seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ledger(BTreeMap<i64, u32>);

impl Ledger {
    /// Counts a call.
    pub(super) fn count(&mut self, now_secs: i64) {
        *self.0.entry(now_secs - now_secs.rem_euclid(BUCKET_SECS)).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (begin, calls) in &other.0 {
            let sum = self.0.entry(*begin).or_default();
            *sum = sum.saturating_add(*calls);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        for (begin, calls) in &other.0 {
            if let Some(sum) = self.0.get_mut(begin) {
                *sum = sum.saturating_sub(*calls);
            }
        }
        self.0.retain(|_, calls| *calls > 0);
    }

    /// Drops what is older than a day, and what a wrong clock wrote into the future.
    pub(super) fn prune(&mut self, now_secs: i64) {
        self.0.retain(|begin, _| leaves(*begin) > now_secs && *begin <= now_secs + BUCKET_SECS);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls that still count.
    pub(super) fn total(&self) -> u64 {
        self.0.values().map(|calls| u64::from(*calls)).sum()
    }

    /// When the first of them no longer count.
    pub(super) fn first_leaves(&self) -> Option<i64> {
        self.0.keys().next().map(|begin| leaves(*begin))
    }
}

/// When the last call of these ten minutes is a day old.
fn leaves(begin: i64) -> i64 {
    begin.saturating_add(BUCKET_SECS + DAY_SECS)
}

/// Calls of the last 24 hours to an endpoint with a daily cap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayUse {
    /// `METHOD /path/:pattern`.
    pub endpoint: String,
    /// So many.
    pub calls: u64,
    /// So many are made in a day.
    pub cap: u64,
    /// When there are calls again, seconds since 1970, if there are none now.
    pub again_secs: Option<i64>,
}

/// A class that is called less often than it may officially be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slowed {
    /// `METHOD /path/:pattern`.
    pub endpoint: String,
    /// Share of the official rate.
    pub rate: f64,
}

impl Kept {
    /// Drops what is too old to mean anything.
    pub fn prune(&mut self, now_secs: i64) {
        self.rates.retain(|_, kept| {
            let age = now_secs.saturating_sub(kept.changed_secs);
            (-BUCKET_SECS..RATE_AGE_SECS).contains(&age) && kept.rate < 1.0
        });
        let now_ms = now_secs.saturating_mul(1000);
        self.due_ms.retain(|_, due| due.iter().any(|ms| *ms > now_ms));
        self.days.retain(|_, ledger| {
            ledger.prune(now_secs);
            !ledger.is_empty()
        });
    }

    /// Calls to endpoints with a daily cap, where there were any.
    pub fn day_use(&self, quota_share: f64) -> Vec<DayUse> {
        let known = |(name, ledger): (&String, &Ledger)| {
            let cap = cap_of_day(Endpoint::find(name)?, quota_share)?;
            let calls = ledger.total();
            let again_secs = ledger.first_leaves().filter(|_| calls >= cap);
            Some(DayUse { endpoint: name.clone(), calls, cap, again_secs })
        };
        self.days.iter().filter_map(known).collect()
    }

    /// Classes that were throttled and have not recovered.
    pub fn slowed(&self) -> Vec<Slowed> {
        let slowed =
            |(name, kept): (&String, &KeptRate)| Slowed { endpoint: name.clone(), rate: kept.rate };
        self.rates.iter().map(slowed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_for_a_day_and_never_shorter() {
        let mut ledger = Ledger::default();
        for secs in [1000, 1150, 1250, 80_000] {
            ledger.count(secs);
        }
        assert_eq!((ledger.total(), ledger.first_leaves()), (4, Some(600 + 600 + 86_400)));
        ledger.prune(1199 + 86_400);
        assert_eq!(ledger.total(), 4);
        ledger.prune(1200 + 86_400);
        assert_eq!(ledger.total(), 2, "those of the ten minutes that end at 1200 are a day old");
        ledger.prune(1250 + 86_400 + 600);
        assert_eq!(ledger.total(), 1);
        // A clock that is set back by days leaves nothing behind that blocks for days.
        ledger.prune(1000);
        assert!(ledger.is_empty());
    }

    #[test]
    fn what_is_counted_meanwhile_is_not_lost() {
        let (mut all, mut mine) = (Ledger::default(), Ledger::default());
        mine.count(100);
        let written = mine.clone();
        mine.count(100);
        all.add(&written);
        mine.subtract(&written);
        assert_eq!((all.total(), mine.total()), (1, 1));
        mine.subtract(&written);
        assert!(mine.is_empty());
    }

    #[test]
    fn old_news_is_dropped() {
        let rate = |rate, changed_secs| KeptRate { rate, ceiling: 1.0, throttles: 1, changed_secs };
        let now_secs = 10_000_000;
        let mut kept = Kept::default();
        for (name, kept_rate) in [
            ("new", rate(0.7, now_secs - 60)),
            ("old", rate(0.7, now_secs - RATE_AGE_SECS)),
            ("full", rate(1.0, now_secs)),
            ("of a clock that was wrong", rate(0.7, now_secs + 86_400)),
        ] {
            kept.rates.insert(name.to_owned(), kept_rate);
        }
        kept.due_ms.insert("new".to_owned(), vec![0, now_secs * 1000 + 300]);
        kept.due_ms.insert("old".to_owned(), vec![now_secs * 1000 - 300]);
        kept.prune(now_secs);
        assert_eq!(kept.rates.keys().collect::<Vec<_>>(), ["new"]);
        assert_eq!(kept.due_ms.keys().collect::<Vec<_>>(), ["new"]);
    }
}
