//! When an export is likely to be ready, learned from the exports of this run.
//!
//! A poll costs as much quota as a task (docs: drive-v1/export_task/get: 100 a minute),
//! so nearly every export must be ready when it is first asked for. An export that is
//! ready then says only that it took no longer; so the time of the first poll is learned
//! as a quantile is tracked: up by much after each poll too early, down by little after
//! each other one. With these steps about one poll in seventy comes too early.

use std::collections::BTreeMap;
use std::time::Duration;

/// Exports of one kind take similar times: type and extension.
pub(super) type Kind = (String, &'static str);

/// The first poll of the first exports of a kind, which find out how long it takes.
const SCOUT: f64 = 0.7;
/// How many of them: the others of that kind wait for what they find.
const SCOUTS: u32 = 2;
/// The first poll where nothing is known at all.
const UNKNOWN: f64 = 5.0;

const SHORTEST: f64 = 0.5;
const LONGEST: f64 = 300.0;

/// After a poll too early.
const UP: f64 = 1.25;
/// After any other.
const DOWN: f64 = 0.997;
/// What is added to the longest time seen.
const MARGIN: f64 = 1.2;

/// So many times the usual time is slow.
const SLOW: f64 = 3.0;
/// How fast a slower time becomes the usual one, per export.
const FORGET: f64 = 1.001;

/// When to ask for one task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    first: f64,
    /// Each further poll comes when so many times the last one's time is over.
    wider: f64,
}

/// What is known of a kind.
#[derive(Debug, Default)]
struct Known {
    /// Seconds to the first poll, once one export has been ready.
    first: Option<f64>,
    /// The least that `first` has been, slowly forgotten.
    usual: f64,
    scouts: u32,
}

/// What is known of each kind.
#[derive(Debug, Default)]
pub(super) struct ReadyTimes(BTreeMap<Kind, Known>);

impl ReadyTimes {
    /// When to poll a task that is created now.
    pub(super) fn schedule(&mut self, kind: &Kind) -> Schedule {
        let others = self.0.values().filter_map(|known| known.first).reduce(f64::max);
        let known = self.0.entry(kind.clone()).or_default();
        match known.first {
            Some(first) => Schedule { first, wider: 2.0 },
            None if known.scouts < SCOUTS => {
                known.scouts += 1;
                Schedule { first: SCOUT, wider: 1.5 }
            }
            None => {
                let first = others.map_or(UNKNOWN, |secs| (2.0 * secs).max(UNKNOWN));
                Schedule { first, wider: 1.5 }
            }
        }
    }

    /// Learns from a task that was found ready after `took`. True where that was slow
    /// for its kind.
    pub(super) fn ready(&mut self, kind: &Kind, took: Duration, at_first: bool) -> bool {
        let took = took.as_secs_f64();
        let known = self.0.entry(kind.clone()).or_default();
        let next = match known.first {
            None => took * MARGIN,
            Some(first) if at_first => first * DOWN,
            // Many tasks that began before the first of them was late say the same thing:
            // all together they go no further than what one of them saw.
            Some(first) => first.max((first * UP).min(took * MARGIN)),
        };
        let next = next.clamp(SHORTEST, LONGEST);
        let slow = known.first.is_some() && !at_first && took > SLOW * known.usual;
        known.usual = if known.first.is_some() { next.min(known.usual * FORGET) } else { next };
        known.first = Some(next);
        slow
    }
}

impl Schedule {
    /// Time until the first poll.
    pub(super) fn first(&self) -> Duration {
        Duration::from_secs_f64(self.first)
    }

    /// Time from a poll at `elapsed` to the next.
    pub(super) fn next(&self, elapsed: Duration) -> Duration {
        let more = elapsed.as_secs_f64() * (self.wider - 1.0);
        Duration::from_secs_f64(more.clamp(SHORTEST, 60.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> Kind {
        ("docx".to_owned(), "docx")
    }

    /// Exports one after another; returns their polls and the sum of waits.
    fn run(times: &mut ReadyTimes, took: impl Fn(usize) -> f64, count: usize) -> (usize, f64) {
        let (mut polls, mut waited) = (0, 0.0);
        for n in 0..count {
            let schedule = times.schedule(&kind());
            let (mut at, mut mine) = (schedule.first(), 1);
            while at.as_secs_f64() < took(n) {
                at += schedule.next(at);
                mine += 1;
            }
            times.ready(&kind(), at, mine == 1);
            polls += mine;
            waited += at.as_secs_f64();
        }
        (polls, waited)
    }

    #[test]
    fn nearly_all_exports_are_polled_once_and_soon() {
        let (polls, waited) = run(&mut ReadyTimes::default(), |_| 1.5, 1000);
        assert!(polls < 1030, "{polls}");
        assert!(waited < 1.5 * 1.3 * 1000.0, "{waited}");
        // Every fiftieth takes ten times as long.
        let uneven = |n| if n % 50 == 7 { 15.0 } else { 1.5 };
        let (polls, _) = run(&mut ReadyTimes::default(), uneven, 5000);
        assert!(polls < 5200, "{polls}");
    }

    #[test]
    fn a_service_that_becomes_slower_is_noticed_and_waited_for() {
        let mut times = ReadyTimes::default();
        run(&mut times, |_| 1.5, 300);
        let took = Duration::from_secs(15);
        let slow = (0..5).filter(|_| times.ready(&kind(), took, false)).count();
        assert_eq!(slow, 5);
        let (polls, _) = run(&mut times, |_| 12.0, 1000);
        assert!(polls < 1040, "{polls}");
        assert!(times.schedule(&kind()).first() < Duration::from_secs(18), "no runaway");
    }

    #[test]
    fn many_late_at_once_do_not_multiply() {
        let mut times = ReadyTimes::default();
        run(&mut times, |_| 1.5, 10);
        for _ in 0..200 {
            times.ready(&kind(), Duration::from_secs(4), false);
        }
        assert!(times.schedule(&kind()).first() <= Duration::from_secs_f64(4.0 * MARGIN));
    }

    #[test]
    fn only_the_first_of_a_kind_are_scouts() {
        let mut times = ReadyTimes::default();
        let firsts: Vec<f64> = (0..4).map(|_| times.schedule(&kind()).first).collect();
        assert_eq!(firsts, [SCOUT, SCOUT, UNKNOWN, UNKNOWN]);
    }
}
