//! Places for downloads, for whoever must be served soonest.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

/// So many at once; of those that wait, the one whose time ends first is next.
#[derive(Debug)]
pub(super) struct Lane {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    number: u64,
    /// By the end of their time, then in the order in which they came.
    waiting: BTreeMap<(Instant, u64), oneshot::Sender<()>>,
}

/// A place in the lane until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a Lane);

/// Somebody in front of the lane, who may be called off.
struct Waiter<'a> {
    lane: &'a Lane,
    key: (Instant, u64),
    served: bool,
}

impl Lane {
    pub(super) fn new(places: usize) -> Self {
        let state = State { free: places.max(1), number: 0, waiting: BTreeMap::new() };
        Self { state: Mutex::new(state) }
    }

    /// Waits for a place. `ends`: when it is too late.
    pub(super) async fn enter(&self, ends: Instant) -> Place<'_> {
        let (mut waiter, called) = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Place(self);
            }
            state.number += 1;
            let key = (ends, state.number);
            let (call, called) = oneshot::channel();
            state.waiting.insert(key, call);
            (Waiter { lane: self, key, served: false }, called)
        };
        called.await.expect("only a waiter takes itself off the list");
        waiter.served = true;
        Place(self)
    }

    /// Gives a place to the next.
    fn pass_on(&self) {
        let mut state = self.state();
        match state.waiting.pop_first() {
            // Whoever was called off meanwhile passes it on: see `Waiter`.
            Some((_, call)) => drop(call.send(())),
            None => state.free += 1,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.served {
            return;
        }
        let listed = self.lane.state().waiting.remove(&self.key).is_some();
        if !listed {
            // It was given a place that it did not live to take.
            self.lane.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_one_that_ends_first_is_next_and_one_called_off_loses_no_place() {
        let lane = Lane::new(1);
        let now = Instant::now();
        let at = |secs| now + Duration::from_secs(secs);
        let held = lane.enter(at(9)).await;
        let mut late = Box::pin(lane.enter(at(600)));
        let mut soon = Box::pin(lane.enter(at(60)));
        let mut gone = Box::pin(lane.enter(at(30)));
        for waiting in [&mut late, &mut soon, &mut gone] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(held);
        assert!((&mut soon).now_or_never().is_none(), "the one that ends at 30 was called");
        drop(gone);
        assert!((&mut late).now_or_never().is_none());
        let place = (&mut soon).now_or_never().expect("it is next");
        drop(place);
        drop((&mut late).now_or_never().expect("the last one"));
        assert_eq!(lane.state().free, 1);
    }
}
