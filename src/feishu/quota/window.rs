//! One class's limiter: a meter for each window of its row, taken together or not at all.
//!
//! Each window is filled to 95 % of the official rate with a burst of at most 5 % of the
//! window, so that no sliding window ever holds more calls than the limit: 100 a minute
//! with a burst of 100 would let 199 through in one minute, 5 a second with a burst of 5
//! would let 9.
//!
//! Why not the `leaky-bucket` crate: a class must be frozen until the moment that a 429
//! names, two windows must be taken together or not at all, the rate changes while calls
//! wait, and a caller must be able to look without taking (it holds no connection while
//! it waits). That is thirty lines of GCRA on tokio's timer, which also runs under a
//! paused clock.

use std::time::Duration;

use tokio::time::Instant;

use super::kept::{Kept, KeptRate, Ledger};
use super::learned::Rate;
use super::table::{DAY, Endpoint, MINUTE, Row, TABLE, Window};

/// Share of a limit that is used.
pub(super) const USED: f64 = 0.95;

/// The present moment on both clocks: the timer's, and the one that other processes and
/// later runs go by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    /// Since 1970.
    pub(super) ms: i64,
}

impl Now {
    pub(super) fn secs(self) -> i64 {
        self.ms.div_euclid(1000)
    }
}

/// How much of the official limits this process may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Of all official limits (`quota_share`).
    pub(super) share: f64,
    /// Processes that use them at the same time, at least 1.
    pub(super) users: usize,
}

/// Whether a call may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::feishu) enum Turn {
    /// Now.
    Now,
    /// Not before then, by our own count.
    At(Instant),
    /// Not before then, because the service said so.
    Frozen(Instant),
    /// The day's calls are used up.
    UsedUp {
        /// So many a day.
        cap: u64,
        /// When there are calls again, seconds since 1970.
        again_secs: i64,
    },
}

/// One row's limiter.
#[derive(Debug)]
pub(super) struct Limiter {
    row: &'static Row,
    /// One for each of the row's windows.
    meters: Vec<Meter>,
    frozen: Option<Instant>,
    pub(super) freezes: u64,
    pub(super) rate: Rate,
}

#[derive(Debug)]
enum Meter {
    /// The generic cell rate algorithm: calls are due at an even pace, and may come
    /// early by a burst's worth.
    Paced { window: Window, due: Option<Instant> },
    /// A long window: pacing it would spread the day's calls over the day, so the calls
    /// themselves are remembered instead.
    Counted {
        window: Window,
        /// Of all processes, as far as they are on disk.
        known: Ledger,
        /// Our own that are not yet.
        unsaved: Ledger,
    },
}

/// Between two calls, and how early one may come.
struct Pace {
    interval: Duration,
    slack: Duration,
}

impl Pace {
    /// The whole calls of a window are dealt out evenly: twice 2.5 a second would be
    /// three calls twice in the worst second.
    fn of(window: Window, part: Part, rate: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a handful of processes")]
        let mine = f64::from(window.calls) * part.share.max(0.0) / part.users.max(1) as f64;
        let whole = if mine >= 1.0 { mine.floor() } else { mine };
        let used = whole * rate;
        let burst = (used * (1.0 - USED)).floor().max(1.0);
        // However small the share, a call is due every hour.
        let interval = (window.span.as_secs_f64() / (used * USED)).min(3600.0);
        Self {
            interval: Duration::from_secs_f64(interval),
            slack: Duration::from_secs_f64(interval * (burst - 1.0)),
        }
    }
}

/// Calls a day to an endpoint; `None` where a day has no cap.
pub(super) fn cap_of_day(endpoint: Endpoint, share: f64) -> Option<u64> {
    let window = TABLE[endpoint.0].windows.iter().find(|window| window.span == DAY)?;
    Some(cap(*window, share))
}

fn cap(window: Window, share: f64) -> u64 {
    let calls = f64::from(window.calls) * share.max(0.0) * USED;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count")]
    let whole = calls.max(1.0) as u64;
    whole
}

impl Limiter {
    pub(super) fn new(row: &'static Row) -> Self {
        let meters = row.windows.iter().map(|window| Meter::new(*window)).collect();
        Self { row, meters, frozen: None, freezes: 0, rate: Rate::default() }
    }

    /// Looks without taking.
    pub(super) fn turn(&mut self, now: Now, part: Part) -> Turn {
        let rate = self.rate.value();
        let mut at = now.at;
        for meter in &mut self.meters {
            match meter.turn(now, part, rate) {
                Turn::At(ready) => at = at.max(ready),
                Turn::Now => {}
                other => return other,
            }
        }
        match self.frozen {
            Some(until) if until > at => Turn::Frozen(until),
            _ if at > now.at => Turn::At(at),
            _ => Turn::Now,
        }
    }

    /// Takes a call, if one may go now.
    pub(super) fn take(&mut self, now: Now, part: Part) -> bool {
        let free = self.turn(now, part) == Turn::Now;
        if free {
            let rate = self.rate.value();
            for meter in &mut self.meters {
                meter.take(now, part, rate);
            }
        }
        free
    }

    /// Lets nothing through before `until`.
    pub(super) fn freeze(&mut self, until: Instant) {
        self.frozen = self.frozen.max(Some(until));
        self.freezes += 1;
    }

    /// Nothing goes before `start`, and then nothing ahead of its time.
    pub(super) fn begin_slowly(&mut self, start: Instant, part: Part) {
        let rate = self.rate.value();
        for meter in &mut self.meters {
            if let Meter::Paced { window, due } = meter {
                let pace = Pace::of(*window, part, rate);
                *due = (*due).max(Some(start + pace.slack + pace.interval));
            }
        }
    }

    /// True where something is to be kept that is not yet.
    pub(super) fn is_unsaved(&self) -> bool {
        self.rate.is_unsaved()
            || self
                .meters
                .iter()
                .any(|meter| matches!(meter, Meter::Counted { unsaved, .. } if !unsaved.is_empty()))
    }

    /// Goes on where the last process ended.
    pub(super) fn resume(&mut self, kept: &Kept, now: Now) {
        let due_ms = kept.due_ms.get(self.row.name).map_or(&[][..], Vec::as_slice);
        for (meter, ms) in self.meters.iter_mut().zip(due_ms) {
            if let Meter::Paced { due, .. } = meter {
                // A clock that was wrong must not stop anything.
                let ahead = u64::try_from(ms.saturating_sub(now.ms)).unwrap_or(0);
                let ahead = Duration::from_millis(ahead).min(MINUTE);
                *due = (*due).max(Some(now.at + ahead));
            }
        }
        self.learn(kept);
    }

    /// Takes over what others know.
    fn learn(&mut self, kept: &Kept) {
        if let Some(rate) = kept.rates.get(self.row.name) {
            self.rate.adopt(rate);
        }
        if let Some(days) = kept.days.get(self.row.name) {
            self.know(days);
        }
    }

    fn know(&mut self, days: &Ledger) {
        for meter in &mut self.meters {
            if let Meter::Counted { known, .. } = meter {
                known.clone_from(days);
            }
        }
    }

    /// Takes over what others know, and adds what this process knows. Nothing counts as
    /// saved before [`Self::saved`] is told so.
    ///
    /// `last`: this process makes no more calls, so the next one is told where to go on.
    pub(super) fn merge(&mut self, kept: &mut Kept, now: Now, last: bool) -> Written {
        let name = self.row.name;
        if let Some(rate) = kept.rates.get(name) {
            self.rate.adopt(rate);
        }
        let mut written = Written { rate: self.rate.to_kept(), days: Ledger::default() };
        if self.rate.is_unsaved() {
            kept.rates.insert(name.to_owned(), written.rate);
        }
        let mut dues = Vec::new();
        for meter in &self.meters {
            match meter {
                Meter::Paced { due, .. } => {
                    let ahead = due.map(|due| due.saturating_duration_since(now.at));
                    let ahead = ahead.unwrap_or_default().as_millis();
                    dues.push(now.ms.saturating_add(i64::try_from(ahead).unwrap_or(0)));
                }
                Meter::Counted { unsaved, .. } => {
                    if !unsaved.is_empty() {
                        kept.days.entry(name.to_owned()).or_default().add(unsaved);
                        written.days = unsaved.clone();
                    }
                    dues.push(now.ms);
                }
            }
        }
        if last && dues.iter().any(|due| *due > now.ms) {
            let all = kept.due_ms.entry(name.to_owned()).or_default();
            all.resize(dues.len(), 0);
            for (all, due) in all.iter_mut().zip(dues) {
                *all = (*all).max(due);
            }
        }
        written
    }

    /// `kept`, which holds what [`Self::merge`] wrote, is on disk.
    pub(super) fn saved(&mut self, kept: &Kept, written: &Written) {
        self.rate.saved(&written.rate);
        let days = kept.days.get(self.row.name).cloned().unwrap_or_default();
        self.know(&days);
        for meter in &mut self.meters {
            if let Meter::Counted { unsaved, .. } = meter {
                unsaved.subtract(&written.days);
            }
        }
    }
}

/// What a limiter wrote, until it is on disk.
#[derive(Debug)]
pub(super) struct Written {
    rate: KeptRate,
    days: Ledger,
}

impl Meter {
    fn new(window: Window) -> Self {
        if window.span > MINUTE {
            return Self::Counted { window, known: Ledger::default(), unsaved: Ledger::default() };
        }
        Self::Paced { window, due: None }
    }

    fn turn(&mut self, now: Now, part: Part, rate: f64) -> Turn {
        match self {
            Self::Paced { window, due } => {
                let slack = Pace::of(*window, part, rate).slack;
                let at = due.and_then(|due| due.checked_sub(slack)).unwrap_or(now.at);
                if at > now.at { Turn::At(at) } else { Turn::Now }
            }
            Self::Counted { window, known, unsaved } => {
                let cap = cap(*window, part.share);
                if known.total() + unsaved.total() < cap {
                    return Turn::Now;
                }
                known.prune(now.secs());
                unsaved.prune(now.secs());
                if known.total() + unsaved.total() < cap {
                    return Turn::Now;
                }
                let firsts = [known.first_leaves(), unsaved.first_leaves()];
                let again_secs = firsts.into_iter().flatten().min().unwrap_or_else(|| now.secs());
                Turn::UsedUp { cap, again_secs }
            }
        }
    }

    fn take(&mut self, now: Now, part: Part, rate: f64) {
        match self {
            Self::Paced { window, due } => {
                let interval = Pace::of(*window, part, rate).interval;
                *due = Some(due.map_or(now.at, |due| due.max(now.at)) + interval);
            }
            Self::Counted { unsaved, .. } => unsaved.count(now.secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::BUCKET_SECS;
    use super::super::table::{DOWNLOADS, SECOND, TIER_3};
    use super::*;

    const ALONE: Part = Part { share: 1.0, users: 1 };

    /// Calls as the simulated windows of several processes see them.
    struct World {
        start: Instant,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            let start = Instant::now();
            Self { start, now: start }
        }

        fn now(&self) -> Now {
            let passed = i64::try_from((self.now - self.start).as_millis()).unwrap();
            Now { at: self.now, ms: 1_772_000_000_000 + passed }
        }
    }

    fn row(windows: &'static [Window]) -> Limiter {
        Limiter::new(TABLE.iter().find(|row| row.windows == windows).unwrap())
    }

    /// Most calls in any window of `span` among these moments, both ends included.
    fn busiest(calls: &[Instant], span: Duration) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (at, call) in calls.iter().enumerate() {
            while *call - calls[first] > span {
                first += 1;
            }
            most = most.max(at + 1 - first);
        }
        most
    }

    /// Calls as fast as the limiter lets them, with idle spells in between.
    fn drive(
        limiter: &mut Limiter,
        part: Part,
        calls: usize,
        idle_every: usize,
        idle: Duration,
    ) -> Vec<Instant> {
        let mut world = World::new();
        let mut went = Vec::new();
        for call in 0..calls {
            if idle_every > 0 && call % idle_every == idle_every - 1 {
                world.now += idle;
            }
            while !limiter.take(world.now(), part) {
                match limiter.turn(world.now(), part) {
                    Turn::At(at) => world.now = at,
                    Turn::UsedUp { .. } => return went,
                    other => panic!("{other:?}"),
                }
            }
            went.push(world.now);
        }
        went
    }

    #[tokio::test(start_paused = true)]
    async fn no_sliding_window_ever_exceeds_an_official_limit() {
        for row in TABLE {
            for (idle_every, idle) in [
                (0, Duration::ZERO),
                (7, Duration::from_millis(700)),
                (40, Duration::from_secs(61)),
                (3, Duration::from_secs(5)),
            ] {
                let went = drive(&mut Limiter::new(row), ALONE, 3000, idle_every, idle);
                for window in row.windows {
                    let most = busiest(&went, window.span);
                    assert!(
                        most <= window.calls as usize,
                        "{}: {most} calls in {:?}, {} allowed",
                        row.name,
                        window.span,
                        window.calls
                    );
                }
            }
        }
    }

    /// However they are shifted against each other.
    #[tokio::test(start_paused = true)]
    async fn the_parts_of_several_processes_never_make_more_than_the_whole() {
        for row in TABLE {
            for users in 2..=4 {
                let part = Part { share: 1.0, users };
                let went = drive(&mut Limiter::new(row), part, 500, 40, Duration::from_secs(61));
                for window in row.windows.iter().filter(|window| window.span <= MINUTE) {
                    let most = busiest(&went, window.span) * users;
                    assert!(most <= window.calls as usize, "{} for {users}: {most}", row.name);
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_row_uses_95_percent_of_its_limit() {
        let cases = [
            // name, seconds, calls at least, calls at most
            ("GET /open-apis/wiki/v2/spaces/:space_id/nodes", 600, 950, 960),
            ("GET /open-apis/drive/v1/files", 100, 1899, 1902),
            ("GET /open-apis/docx/v1/documents/:document_id", 100, 474, 477),
            ("POST /open-apis/drive/v1/metas/batch_query", 600, 9500, 9552),
        ];
        for (name, secs, least, most) in cases {
            let mut limiter = Limiter::new(&TABLE[Endpoint::named(name).0]);
            let went = drive(&mut limiter, ALONE, most + 100, 0, Duration::ZERO);
            let end = went[0] + Duration::from_secs(secs);
            let count = went.iter().filter(|at| **at < end).count();
            assert!((least..=most).contains(&count), "{name}: {count} in {secs} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_days_downloads_are_counted_and_not_spread() {
        let mut limiter = row(DOWNLOADS);
        let mut world = World::new();
        let went = drive(&mut limiter, ALONE, 20_000, 0, Duration::ZERO);
        assert_eq!(went.len(), 9500);
        assert!(*went.last().unwrap() - world.start < Duration::from_secs(2100), "4.75 a second");
        world.now += Duration::from_secs(3600);
        let Turn::UsedUp { cap: 9500, again_secs } = limiter.turn(world.now(), ALONE) else {
            panic!("{:?}", limiter.turn(world.now(), ALONE))
        };
        let wait = again_secs - world.now().secs();
        assert!((82_800..=82_800 + BUCKET_SECS).contains(&wait), "{wait}");
        world.now += Duration::from_secs(wait.unsigned_abs());
        assert_eq!(limiter.turn(world.now(), ALONE), Turn::Now);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_scales_the_rate() {
        for (share, users, calls) in [(0.5, 1, 47), (2.0, 1, 190), (1.0, 2, 47), (1.0, 3, 31)] {
            let went = drive(&mut row(TIER_3), Part { share, users }, 400, 0, Duration::ZERO);
            let settled = went[200] + MINUTE;
            let count = went[200..].iter().filter(|at| **at < settled).count();
            assert!((calls..=calls + 1).contains(&count), "{share}, {users}: {count}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_class_waits_for_the_reset_and_the_longer_one_wins() {
        let mut limiter = row(TIER_3);
        let mut world = World::new();
        let until = world.now + MINUTE;
        limiter.freeze(until);
        limiter.freeze(world.now + SECOND);
        assert_eq!(limiter.turn(world.now(), ALONE), Turn::Frozen(until));
        world.now += SECOND * 59;
        assert!(!limiter.take(world.now(), ALONE));
        world.now += SECOND;
        assert!(limiter.take(world.now(), ALONE));
    }

    /// A process that begins right after another one does not get a burst of its own.
    #[tokio::test(start_paused = true)]
    async fn the_next_process_goes_on_where_the_last_one_ended() {
        let mut world = World::new();
        let mut went = Vec::new();
        let mut kept = Kept::default();
        for _ in 0..30 {
            let mut limiter = row(TIER_3);
            limiter.resume(&kept, world.now());
            for _ in 0..7 {
                while !limiter.take(world.now(), ALONE) {
                    match limiter.turn(world.now(), ALONE) {
                        Turn::At(at) => world.now = at,
                        other => panic!("{other:?}"),
                    }
                }
                went.push(world.now);
            }
            limiter.merge(&mut kept, world.now(), true);
        }
        assert!(busiest(&went, MINUTE) <= 100, "{}", busiest(&went, MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn the_days_calls_of_two_processes_are_one_sum() {
        let world = World::new();
        let now = world.now();
        let (mut one, mut two) = (row(DOWNLOADS), row(DOWNLOADS));
        let tenth = Part { share: 0.001, users: 1 };
        let mut kept = Kept::default();
        let mut save = |limiter: &mut Limiter| {
            let written = limiter.merge(&mut kept, now, false);
            limiter.saved(&kept, &written);
            assert!(!limiter.is_unsaved());
        };
        for meter in [&mut one, &mut two].map(|limiter| &mut limiter.meters[1]) {
            for _ in 0..4 {
                meter.take(now, tenth, 1.0);
            }
        }
        save(&mut one);
        assert_eq!(one.meters[1].turn(now, tenth, 1.0), Turn::Now);
        save(&mut two);
        two.meters[1].take(now, tenth, 1.0);
        assert!(matches!(two.meters[1].turn(now, tenth, 1.0), Turn::UsedUp { cap: 9, .. }));
        save(&mut two);
        save(&mut one);
        assert!(matches!(one.meters[1].turn(now, tenth, 1.0), Turn::UsedUp { cap: 9, .. }));
    }

    /// Calls as fast as the limiter lets them, to a service that grants `limit` calls in
    /// any `span`; returns the refusals and the calls answered, hour by hour.
    fn call_for_hours(
        limiter: &mut Limiter,
        world: &mut World,
        limit: usize,
        span: Duration,
        hours: usize,
    ) -> (Vec<usize>, Vec<usize>) {
        let (mut refused, mut answered) = (vec![0; hours], vec![0; hours]);
        let mut window = std::collections::VecDeque::<Instant>::new();
        let begun = world.now;
        loop {
            while !limiter.take(world.now(), ALONE) {
                match limiter.turn(world.now(), ALONE) {
                    Turn::At(at) | Turn::Frozen(at) => world.now = at,
                    other => panic!("{other:?}"),
                }
            }
            let (now, hour) = (world.now(), (world.now - begun).as_secs() / 3600);
            let Some(hour) = usize::try_from(hour).ok().filter(|hour| *hour < hours) else {
                return (refused, answered);
            };
            while window.front().is_some_and(|first| now.at - *first >= span) {
                window.pop_front();
            }
            if window.len() >= limit {
                refused[hour] += 1;
                limiter.freeze((window[0] + span).max(now.at + SECOND));
                limiter.rate.throttled(now.at, now.at, now.secs());
            } else {
                answered[hour] += 1;
                window.push_back(now.at);
                limiter.rate.answered(now.at, now.at, now.secs());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_settles_below_a_limit_that_stays_and_asks_ever_more_rarely() {
        for limit in [25, 50, 62, 90] {
            let (mut limiter, mut world) = (row(TIER_3), World::new());
            let (refused, answered) = call_for_hours(&mut limiter, &mut world, limit, MINUTE, 8);
            assert!(refused[0] <= 8, "{limit}: {refused:?}");
            assert!(refused[1..].iter().all(|refused| *refused <= 2), "{limit}: {refused:?}");
            assert!(answered[7] * 100 >= limit * 60 * 88, "{limit}: {answered:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn once_a_limit_is_gone_the_rate_grows_past_its_ceiling() {
        let (mut limiter, mut world) = (row(TIER_3), World::new());
        call_for_hours(&mut limiter, &mut world, 50, MINUTE, 1);
        assert!(limiter.rate.value() < 0.6);
        let (refused, _) = call_for_hours(&mut limiter, &mut world, 100, MINUTE, 2);
        assert_eq!(refused, [0, 0]);
        assert!(limiter.rate.value() >= 1.0, "{:?}", limiter.rate);
    }
}
