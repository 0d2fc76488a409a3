//! Official limits, and how they are kept: a limiter for each row of a table.
//!
//! - `table`: what the docs say.
//! - `window`: a row's limiter.
//! - `learned`: how much of the official rate the service really lets through.
//! - `shared`: several processes of one app share its limits.
//! - `kept`: what outlives a process.
//!
//! Start at [`Quota`].

mod kept;
mod learned;
mod shared;
mod table;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tracing::{debug, info};

pub use self::kept::{DayUse, Kept, Slowed};
pub use self::shared::QuotaKeeper;
use self::shared::{Crowd, EXCHANGE, LOOK};
pub(super) use self::table::Endpoint;
use self::table::TABLE;
pub(super) use self::window::Turn;
use self::window::{Limiter, Now, Part};
use crate::clock::Clock;

/// The limiters of all rows, and what they have in common.
#[derive(Debug)]
pub(super) struct Quota {
    share: f64,
    clock: Clock,
    keeper: Option<Arc<dyn QuotaKeeper>>,
    classes: Vec<QuotaClass>,
    common: Mutex<Common>,
    /// Held by the call that finds out whether the month's quota is still spent.
    probing: Arc<tokio::sync::Mutex<()>>,
}

/// One row's limiter and the line in front of it.
#[derive(Debug)]
struct QuotaClass {
    limiter: Mutex<Limiter>,
    line: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Common {
    crowd: Crowd,
    looked: Option<Instant>,
    exchanged: Instant,
    month: Month,
    /// What is kept about the month is out of date.
    month_unsaved: bool,
}

/// The tenant's monthly quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Month {
    /// Nothing is known against it.
    Open,
    /// It was spent when an earlier run asked.
    Doubtful {
        /// When that was.
        since_secs: i64,
    },
    /// The service said so in this run.
    Spent {
        /// When it did.
        since_secs: i64,
    },
}

/// What a call is to do about the monthly quota.
#[derive(Debug)]
pub(super) enum Pass {
    /// Go.
    Go,
    /// Go, while no other call does: it finds out whether the quota is still spent.
    Probe(#[expect(dead_code, reason = "held")] tokio::sync::OwnedMutexGuard<()>),
    /// Spent: there is nothing to be had before the month ends.
    Spent,
}

impl Quota {
    /// Limiters for `share` of every official limit.
    pub(super) fn new(share: f64, clock: Clock, keeper: Option<Arc<dyn QuotaKeeper>>) -> Self {
        let class = |row| QuotaClass {
            limiter: Mutex::new(Limiter::new(row)),
            line: tokio::sync::Mutex::new(()),
        };
        Self {
            share,
            clock,
            keeper,
            classes: TABLE.iter().map(class).collect(),
            common: Mutex::new(Common {
                crowd: Crowd::default(),
                looked: None,
                exchanged: Instant::now(),
                month: Month::Open,
                month_unsaved: false,
            }),
            probing: Arc::default(),
        }
    }

    /// Whoever holds it is next; the others wait in order and set no timers.
    pub(super) async fn line(&self, endpoint: Endpoint) -> tokio::sync::MutexGuard<'_, ()> {
        self.classes[endpoint.0].line.lock().await
    }

    /// Looks without taking.
    pub(super) fn turn(&self, endpoint: Endpoint, at: Instant) -> Turn {
        let part = self.part(at);
        self.limiter(endpoint).turn(self.now(at), part)
    }

    /// Takes a call, if one may go now.
    pub(super) fn take(&self, endpoint: Endpoint, at: Instant) -> bool {
        let part = self.part(at);
        self.limiter(endpoint).take(self.now(at), part)
    }

    /// A call sent at `sent` was refused as one too many: nothing goes before `until`, and
    /// what goes then goes more slowly.
    pub(super) fn throttled(&self, endpoint: Endpoint, sent: Instant, at: Instant, until: Instant) {
        let now = self.now(at);
        let mut limiter = self.limiter(endpoint);
        limiter.freeze(until);
        let before = limiter.rate.value();
        limiter.rate.throttled(sent, now.at, now.secs());
        if limiter.rate.value() < before {
            info!(endpoint = endpoint.name(), rate = limiter.rate.value(), "called less often");
        }
    }

    /// A call sent at `sent` was answered.
    pub(super) fn answered(&self, endpoint: Endpoint, sent: Instant, at: Instant) {
        let now = self.now(at);
        self.limiter(endpoint).rate.answered(sent, now.at, now.secs());
    }

    /// How often the service has said "too many" so far.
    pub(super) fn freezes(&self, endpoint: Endpoint) -> u64 {
        self.limiter(endpoint).freezes
    }

    /// Whether the monthly quota lets a call go. Waits while another call finds that out.
    pub(super) async fn pass(&self) -> Pass {
        // What is kept is known from the first look on.
        self.part(Instant::now());
        if let Some(pass) = self.decided() {
            return pass;
        }
        let probing = Arc::clone(&self.probing).lock_owned().await;
        self.decided().unwrap_or(Pass::Probe(probing))
    }

    fn decided(&self) -> Option<Pass> {
        match self.common().month {
            Month::Open => Some(Pass::Go),
            Month::Spent { .. } => Some(Pass::Spent),
            Month::Doubtful { .. } => None,
        }
    }

    /// The service said that the month's quota is spent, or answered a call that it would
    /// not have answered then.
    pub(super) fn note_month(&self, spent: bool) {
        let since_secs = self.clock.now_secs();
        let mut common = self.common();
        match (common.month, spent) {
            (Month::Open, false) | (Month::Spent { .. }, _) => {}
            (Month::Doubtful { .. }, false) => {
                (common.month, common.month_unsaved) = (Month::Open, true);
            }
            (Month::Open | Month::Doubtful { .. }, true) => {
                (common.month, common.month_unsaved) = (Month::Spent { since_secs }, true);
            }
        }
    }

    /// This process's part of the limits; looks at the others where it is time to.
    fn part(&self, at: Instant) -> Part {
        let share = self.share;
        let Some(keeper) = &self.keeper else { return Part { share, users: 1 } };
        let mut common = self.common();
        let users = common.crowd.users();
        if common.looked.is_some_and(|looked| at.saturating_duration_since(looked) < LOOK) {
            return Part { share, users };
        }
        let is_first = common.looked.replace(at).is_none();
        common.crowd.see(keeper.users(), at);
        let part = Part { share, users: common.crowd.users() };
        if part.users != users {
            debug!(users = part.users, "the quota is shared");
        }
        if is_first {
            let now = self.now(at);
            let noticed = Instant::now() + LOOK;
            let mut kept = keeper.load();
            kept.prune(now.secs());
            if let Some(since_secs) = kept.month_spent_secs {
                common.month = Month::Doubtful { since_secs };
            }
            for class in &self.classes {
                let mut limiter = class.limiter();
                limiter.resume(&kept, now);
                if part.users > 1 {
                    limiter.begin_slowly(noticed, part);
                }
            }
        }
        part
    }

    /// True where it is time to tell others what is new, and to hear it.
    pub(super) fn is_exchange_due(&self, at: Instant) -> bool {
        if self.keeper.is_none() {
            return false;
        }
        let mut common = self.common();
        if at.saturating_duration_since(common.exchanged) < EXCHANGE {
            return false;
        }
        let due = common.crowd.users() > 1 || common.month_unsaved || self.is_unsaved();
        if due {
            common.exchanged = at;
        }
        due
    }

    fn is_unsaved(&self) -> bool {
        self.classes.iter().any(|class| class.limiter().is_unsaved())
    }

    /// Tells others what is new and hears it. `last`: no call follows. Waits for the disk.
    ///
    /// Where it cannot be written, this run goes by what it knows itself.
    pub(super) fn exchange(&self, last: bool) {
        let Some(keeper) = &self.keeper else { return };
        // Nobody who has not called has anything to say.
        let (month, looked) = {
            let common = self.common();
            (common.month_unsaved.then_some(common.month), common.looked)
        };
        if looked.is_none() {
            return;
        }
        let now = self.now(Instant::now());
        let mut written = Vec::new();
        let kept = keeper.exchange(&mut |kept| {
            // What is merely old is no reason to write.
            kept.prune(now.secs());
            let before = kept.clone();
            match month {
                Some(Month::Open) => kept.month_spent_secs = None,
                Some(Month::Spent { since_secs }) => kept.month_spent_secs = Some(since_secs),
                Some(Month::Doubtful { .. }) | None => {}
            }
            written =
                self.classes.iter().map(|class| class.limiter().merge(kept, now, last)).collect();
            kept.prune(now.secs());
            *kept != before
        });
        match kept {
            Ok(kept) => {
                for (class, written) in self.classes.iter().zip(&written) {
                    class.limiter().saved(&kept, written);
                }
                let mut common = self.common();
                if month == Some(common.month) {
                    common.month_unsaved = false;
                }
            }
            Err(error) => debug!(%error, "the use of the quota is not kept"),
        }
    }

    fn now(&self, at: Instant) -> Now {
        Now { at, ms: self.clock.now().as_millisecond() }
    }

    fn limiter(&self, endpoint: Endpoint) -> MutexGuard<'_, Limiter> {
        self.classes[endpoint.0].limiter()
    }

    fn common(&self) -> MutexGuard<'_, Common> {
        self.common.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuotaClass {
    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
