//! Reply -> retry? after how long? Pure: no clock, no randomness but a given seed.
//!
//! A rate limit is no failure: it says when to come back, so it is obeyed for up to
//! [`MAX_THROTTLED`] and does not count against `retries`. Everything else that may
//! pass is tried `retries` times more, each time after about twice as long.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How long one request lets itself be put off by rate limits, all told.
pub(super) const MAX_THROTTLED: Duration = Duration::from_secs(30 * 60);

/// What a reply means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// A rate limit, with the server's own delay where it named one.
    Throttled {
        /// Until then nothing of this class may be sent.
        reset: Option<Duration>,
    },
    /// A failure that may pass.
    Failed {
        /// `Retry-After`.
        after: Option<Duration>,
    },
    /// The token was not accepted.
    BadToken,
    /// The answer, though not a welcome one.
    Final,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Report the error.
    GiveUp,
    /// Get another token and send again.
    RenewToken,
    /// Nobody may call this endpoint for so long; then send again.
    Freeze(Duration),
    /// Wait alone, then send again.
    Wait(Duration),
}

/// One request's tries so far.
#[derive(Debug)]
pub(super) struct History {
    patience: Duration,
    failures: u32,
    throttles: u32,
    throttled: Duration,
    renewed: bool,
    /// What the first failure was.
    first: Option<String>,
}

impl History {
    /// `patience`: so long rate limits may put the request off, all told.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            failures: 0,
            throttles: 0,
            throttled: Duration::ZERO,
            renewed: false,
            first: None,
        }
    }

    /// Decides about one more reply.
    ///
    /// `renewable`: the token is one that can be fetched again (an app's, a login's).
    /// `seed` makes the jitter: two requests with different seeds do not come back together.
    pub(super) fn next(
        &mut self,
        signal: Signal,
        retries: u32,
        renewable: bool,
        seed: u64,
    ) -> Next {
        match signal {
            Signal::Final => Next::GiveUp,
            // A second refusal with a fresh token means that this kind of token is not
            // accepted here at all.
            Signal::BadToken if !renewable || self.renewed => Next::GiveUp,
            Signal::BadToken => {
                self.renewed = true;
                Next::RenewToken
            }
            Signal::Throttled { reset } => {
                let delay = reset.map_or_else(
                    || backoff(Duration::from_secs(1), self.throttles, seed),
                    // A reset of 0 would be a busy loop.
                    |reset| reset.max(Duration::from_millis(500)),
                );
                self.throttles += 1;
                self.throttled = self.throttled.saturating_add(delay);
                if self.throttled > self.patience { Next::GiveUp } else { Next::Freeze(delay) }
            }
            Signal::Failed { after } => {
                if self.failures >= retries {
                    return Next::GiveUp;
                }
                let delay = backoff(Duration::from_millis(500), self.failures, seed);
                self.failures += 1;
                match after {
                    Some(after) if after > self.patience => Next::GiveUp,
                    after => Next::Wait(delay.max(after.unwrap_or_default())),
                }
            }
        }
    }

    /// Remembers what went wrong first: where the service acted on a call whose reply
    /// was lost, its answer to the next one tells half the story.
    pub(super) fn remember(&mut self, failure: &str) {
        self.first.get_or_insert_with(|| failure.to_owned());
    }

    /// See [`Self::remember`].
    pub(super) fn first_failure(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// True where a fresh token was sent after one was refused.
    pub(super) fn is_renewed(&self) -> bool {
        self.renewed
    }

    /// True where rate limits alone put this request off for longer than allowed.
    pub(super) fn is_throttled_out(&self) -> bool {
        self.throttled > self.patience
    }
}

/// Doubles from `first` up to a minute, then adds up to as much again.
fn backoff(first: Duration, attempt: u32, seed: u64) -> Duration {
    let longest = Duration::from_secs(60);
    let attempt = usize::try_from(attempt).unwrap_or(usize::MAX).min(16);
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(seed)
        .build()
        .nth(attempt)
        .unwrap_or(longest)
        .min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_ever_later_and_then_given_up() {
        let mut history = History::new(MAX_THROTTLED);
        let mut last = Duration::ZERO;
        for attempt in 0..6 {
            let next = history.next(Signal::Failed { after: None }, 6, true, 7);
            let Next::Wait(delay) = next else { panic!("attempt {attempt}: {next:?}") };
            let base = Duration::from_millis(500) * 2u32.pow(attempt);
            assert!((base..=base * 2).contains(&delay), "attempt {attempt}: {delay:?}");
            assert!(delay > last / 2);
            last = delay;
        }
        assert_eq!(history.next(Signal::Failed { after: None }, 6, true, 7), Next::GiveUp);
    }

    #[test]
    fn rate_limits_do_not_count_as_failures() {
        let mut history = History::new(MAX_THROTTLED);
        let reset = Some(Duration::from_secs(60));
        for _ in 0..30 {
            let next = history.next(Signal::Throttled { reset }, 0, true, 1);
            assert_eq!(next, Next::Freeze(Duration::from_secs(60)));
        }
        assert_eq!(history.next(Signal::Throttled { reset }, 0, true, 1), Next::GiveUp);
        assert!(history.is_throttled_out());
    }

    #[test]
    fn without_a_reset_the_wait_grows_to_a_minute() {
        let mut history = History::new(MAX_THROTTLED);
        let delays: Vec<_> = (0..9)
            .map(|_| match history.next(Signal::Throttled { reset: None }, 0, true, 3) {
                Next::Freeze(delay) => delay.as_secs_f64(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!((1.0..=2.0).contains(&delays[0]), "{delays:?}");
        assert!((delays[8] - 60.0).abs() < f64::EPSILON, "{delays:?}");
    }

    #[test]
    fn a_token_is_renewed_once_and_only_where_it_can_be() {
        let mut app = History::new(MAX_THROTTLED);
        assert_eq!(app.next(Signal::BadToken, 6, true, 0), Next::RenewToken);
        assert_eq!(app.next(Signal::BadToken, 6, true, 0), Next::GiveUp);
        assert_eq!(History::new(MAX_THROTTLED).next(Signal::BadToken, 6, false, 0), Next::GiveUp);
        assert_eq!(History::new(MAX_THROTTLED).next(Signal::Final, 6, true, 0), Next::GiveUp);
    }

    #[test]
    fn retry_after_is_honoured() {
        let after = Some(Duration::from_secs(20));
        let next = History::new(MAX_THROTTLED).next(Signal::Failed { after }, 1, true, 0);
        assert_eq!(next, Next::Wait(Duration::from_secs(20)));
    }
}
