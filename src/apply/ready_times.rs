//! When an export is likely to be ready, learned from the exports of this run and of those
//! before it.
//!
//! A poll costs as much quota as a task (docs: drive-v1/export_task/get: 100 a minute),
//! so nearly every export must be ready when it is first asked for. An export that is
//! ready then says only that it took no longer; so the time of the first poll is learned
//! as a quantile is tracked: up by much after each poll too early, down by little after
//! each other one. With these steps about one poll in seventy comes too early.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Format;

use super::tickets::ReadyTime;

/// Exports of one kind take similar times: type and extension.
pub(super) type Kind = (String, Format);

/// The first poll of the first exports of a kind, which find out how long it takes.
const SCOUT: f64 = 0.7;
/// How many of them: the others of that kind wait for what they find.
const SCOUTS: u32 = 2;
/// The first poll where they have found nothing by then.
const PATIENCE: f64 = 20.0;

const SHORTEST: f64 = 0.5;
const LONGEST: f64 = 300.0;
/// Longest time between two polls.
const WIDEST: f64 = 60.0;

/// After a poll too early.
const UP: f64 = 1.25;
/// After any other.
const DOWN: f64 = 0.997;
/// Over the time that an export took.
const MARGIN: f64 = 1.2;

/// So many times the usual time is slow.
const SLOW: f64 = 3.0;
/// How fast a slower time becomes the usual one, per export.
const FORGET: f64 = 1.001;

/// One task, as far as polls of it go.
#[derive(Debug)]
pub(super) struct Task {
    kind: Kind,
    scout: bool,
    /// Seconds from its creation to the last poll.
    polled: Option<f64>,
    /// It was created by an earlier run, and nobody asked for it meanwhile: when it was ready
    /// cannot be told.
    earlier: bool,
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

/// What a task that was ready told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learned {
    /// It was the first of its kind: others may wait to know.
    pub is_first: bool,
    /// It was slow for its kind.
    pub slow: bool,
}

/// What is known of each kind.
#[derive(Debug, Default)]
pub(super) struct ReadyTimes(BTreeMap<Kind, Known>);

impl ReadyTimes {
    /// With what earlier runs learned.
    pub(super) fn learned(times: &[ReadyTime]) -> Self {
        let known = times.iter().map(|time| {
            let secs = |secs: f64| secs.clamp(SHORTEST, LONGEST);
            let known = Known { first: Some(secs(time.first)), usual: secs(time.usual), scouts: 0 };
            ((time.ty.clone(), time.format), known)
        });
        Self(known.collect())
    }

    /// What the next run may begin with.
    pub(super) fn known(&self) -> Vec<ReadyTime> {
        let known = self.0.iter().filter_map(|((ty, format), known)| {
            let (first, usual) = (known.first?, known.usual);
            Some(ReadyTime { ty: ty.clone(), format: *format, first, usual })
        });
        known.collect()
    }

    /// A task that is created now.
    pub(super) fn task(&mut self, kind: Kind) -> Task {
        let known = self.0.entry(kind.clone()).or_default();
        let scout = known.first.is_none() && known.scouts < SCOUTS;
        known.scouts += u32::from(scout);
        Task { kind, scout, polled: None, earlier: false }
    }

    /// When to poll a task, counted from its creation. May be another time when asked
    /// again. `last_ones`: no more tasks follow, so polls are cheap and waiting is not.
    pub(super) fn due(&self, task: &Task, last_ones: bool) -> Duration {
        let known = self.0.get(&task.kind);
        let first = known.and_then(|known| known.first.map(|first| (first, known.usual)));
        let first = match first {
            _ if task.scout => SCOUT,
            None => PATIENCE,
            Some((first, usual)) if last_ones => first.min(usual * UP),
            Some((first, _)) => first,
        };
        let wider = if task.scout || last_ones { 1.5 } else { 2.0 };
        let secs = match task.polled {
            None => first,
            Some(at) => first.max(at + (at * (wider - 1.0)).clamp(SHORTEST, WIDEST)),
        };
        Duration::from_secs_f64(secs)
    }

    /// A task ended without a product: another one may be the scout.
    pub(super) fn failed(&mut self, task: &Task) {
        if let Some(known) = self.0.get_mut(&task.kind) {
            known.scouts -= u32::from(task.scout);
        }
    }

    /// Learns from a task that was found ready by a poll after `took`.
    pub(super) fn ready(&mut self, task: &Task, took: Duration) -> Learned {
        if task.earlier {
            return Learned { is_first: false, slow: false };
        }
        let took = took.as_secs_f64();
        let at_first = task.polled.is_none();
        // It became ready somewhere between two polls.
        let took = task.polled.map_or(took, |unready| f64::midpoint(unready, took));
        let known = self.0.entry(task.kind.clone()).or_default();
        let is_first = known.first.is_none();
        let next = match known.first {
            None => took * MARGIN,
            Some(first) if at_first => first * DOWN,
            // A poll that came too early only because it was early says nothing; and many
            // that were under way before the first of them was late say the same thing: all
            // together they go no further than what one of them saw.
            Some(first) => first.max((first * UP).min(took * MARGIN)),
        };
        let next = next.clamp(SHORTEST, LONGEST);
        let slow = known.first.is_some() && !at_first && took > SLOW * known.usual;
        known.usual = if known.first.is_some() { next.min(known.usual * FORGET) } else { next };
        known.first = Some(next);
        Learned { is_first, slow }
    }
}

impl Task {
    /// One that nothing is learned from.
    pub(super) fn of_earlier_run(kind: Kind) -> Self {
        Self { kind, scout: false, polled: None, earlier: true }
    }

    /// A poll that long after its creation came too early.
    pub(super) fn unready(&mut self, at: Duration) {
        self.polled = Some(at.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> Kind {
        ("docx".to_owned(), Format::Docx)
    }

    /// Exports one after another; returns their polls and the sum of waits.
    fn run(times: &mut ReadyTimes, took: impl Fn(usize) -> f64, count: usize) -> (usize, f64) {
        let (mut polls, mut waited) = (0, 0.0);
        for n in 0..count {
            let mut task = times.task(kind());
            loop {
                let at = times.due(&task, false);
                polls += 1;
                if at.as_secs_f64() >= took(n) {
                    times.ready(&task, at);
                    waited += at.as_secs_f64();
                    break;
                }
                task.unready(at);
            }
        }
        (polls, waited)
    }

    fn late(times: &mut ReadyTimes, secs: u64) -> Learned {
        let mut task = times.task(kind());
        task.unready(Duration::from_secs(secs));
        times.ready(&task, Duration::from_secs(secs))
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
        assert!((0..5).all(|_| late(&mut times, 15).slow));
        let (polls, _) = run(&mut times, |_| 12.0, 1000);
        assert!(polls < 1040, "{polls}");
        let next = times.task(kind());
        assert!(times.due(&next, false) < Duration::from_secs(18), "no runaway");
    }

    #[test]
    fn many_late_at_once_do_not_multiply() {
        let mut times = ReadyTimes::default();
        run(&mut times, |_| 1.5, 10);
        assert!((0..200).all(|_| !late(&mut times, 4).is_first));
        let next = times.task(kind());
        assert!(times.due(&next, false) <= Duration::from_secs_f64(4.0 * MARGIN));
    }

    #[test]
    fn those_that_asked_before_anything_was_known_do_not_lead_each_other_on() {
        let mut times = ReadyTimes::default();
        let mut tasks: Vec<Task> = (0..20).map(|_| times.task(kind())).collect();
        for task in &mut tasks {
            task.unready(Duration::from_secs(20));
        }
        times.ready(&tasks[0], Duration::from_secs(45));
        for task in &tasks[2..] {
            let at = times.due(task, false);
            times.ready(task, at);
        }
        assert!(times.due(&new(&kind()), false) < Duration::from_secs(45));
    }

    fn new(kind: &Kind) -> Task {
        Task { kind: kind.clone(), scout: false, polled: None, earlier: false }
    }

    #[test]
    fn only_the_first_of_a_kind_are_scouts_and_the_others_hear_what_they_find() {
        let mut times = ReadyTimes::default();
        let tasks: Vec<Task> = (0..4).map(|_| times.task(kind())).collect();
        let due = |times: &ReadyTimes| -> Vec<f64> {
            tasks.iter().map(|task| times.due(task, false).as_secs_f64()).collect()
        };
        assert_eq!(due(&times), [SCOUT, SCOUT, PATIENCE, PATIENCE]);
        times.failed(&tasks[1]);
        assert!(times.task(kind()).scout, "one scout came back with nothing");
        let learned = times.ready(&tasks[0], Duration::from_secs(2));
        assert!(learned.is_first && !learned.slow);
        assert_eq!(due(&times), [SCOUT, SCOUT, 2.0 * MARGIN, 2.0 * MARGIN]);
    }

    #[test]
    fn the_last_ones_are_asked_for_sooner() {
        let mut times = ReadyTimes::default();
        run(&mut times, |_| 1.5, 100);
        assert!((0..20).all(|_| late(&mut times, 30).slow));
        let task = times.task(kind());
        let usual = times.due(&task, true).as_secs_f64();
        assert!((1.5..2.5).contains(&usual), "{usual}");
        assert!(times.due(&task, false) > Duration::from_secs(20));
    }
}
