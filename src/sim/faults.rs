//! What goes wrong on purpose: scripted faults, and storms from a seed.
//!
//! ```ignore
//! tenant.fault(Fault::new("GET", "/drive/v1/files", Effect::status(500, 1061001)).times(2));
//! tenant.fault(Fault::new("GET", "/drive/v1/files/:file_token/download", Effect::CutAfter(1 << 20)));
//! tenant.storm(7, 0.2, &[Effect::rate_limit(429), Effect::rate_limit(400)]);
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::ids::Dice;
use super::log::nameless;

/// What a fault does to a call.
#[derive(Clone)]
pub enum Effect {
    /// An error in the usual envelope.
    Status {
        /// HTTP status.
        http: u16,
        /// The envelope's code.
        code: i64,
    },
    /// Code 99991400 with HTTP 429 or 400.
    RateLimit {
        /// HTTP status.
        http: u16,
        /// `x-ogw-ratelimit-reset`; `None`: no such header.
        reset_secs: Option<u64>,
    },
    /// An error in the usual envelope with HTTP 200, on any endpoint.
    ErrorWith200(i64),
    /// The connection is cut before the reply's headers.
    Reset,
    /// No connection is made at all.
    Unreachable,
    /// The connection is cut after so many bytes of the body.
    CutAfter(u64),
    /// The body ends after so many bytes, as if it were whole (no `Content-Length`).
    Truncate(u64),
    /// The same with so many bytes missing at the end.
    Short(u64),
    /// The same with the first half of the body.
    Half,
    /// So many bytes too many at the end (no `Content-Length`).
    TooLong(u64),
    /// The first byte is another one.
    Flip,
    /// `Content-Length` is so much larger than the body.
    Promise(i64),
    /// The body is called gzip, and is none.
    Encoded,
    /// Another reply altogether.
    Replaced(Box<Replaced>),
    /// This identity may not do this any more, in the endpoint's own words.
    Forbidden,
    /// The body comes in pieces of so many bytes with a pause before each.
    Slow {
        /// Bytes at a time.
        bytes: usize,
        /// Pause before each piece.
        pause: Duration,
    },
    /// HTTP 200 with a body that is no JSON but says so.
    Garbage,
    /// HTTP 200 with an HTML page, as a proxy's login page.
    Html,
    /// A listing's page is followed by the same page again, under the same page token.
    RepeatPage,
    /// A listing whose cursor goes A, B, A, B …
    LoopPages,
    /// A listing says that it has more, but not where.
    MoreWithoutToken,
    /// A listing comes back whole and empty.
    EmptyListing,
    /// The reply takes so long.
    Delay(Duration),
    /// Calls are answered one after another, as over a line that carries no more.
    Queue(Arc<Queue>),
    /// Something happens to the tenant just before the reply: see [`Effect::run`].
    Run(Action),
}

/// A reply that stands in for the right one, see [`Effect::replaced`].
#[derive(Debug, Clone)]
pub struct Replaced {
    /// HTTP status.
    pub http: u16,
    /// `Content-Type`.
    pub kind: &'static str,
    /// True: with a `Content-Disposition`, as content has one.
    pub named: bool,
    /// The body.
    pub body: Bytes,
}

/// What [`Effect::run`] does.
pub type Action = Arc<dyn Fn() + Send + Sync>;

impl Effect {
    /// An error in the usual envelope.
    pub fn status(http: u16, code: i64) -> Self {
        Self::Status { http, code }
    }

    /// Too many calls, come again in a second.
    pub fn rate_limit(http: u16) -> Self {
        Self::RateLimit { http, reset_secs: Some(1) }
    }

    /// A reply of this status, type and body; `named`: as a file that has a name.
    pub fn replaced(http: u16, kind: &'static str, named: bool, body: impl Into<Bytes>) -> Self {
        Self::Replaced(Box::new(Replaced { http, kind, named, body: body.into() }))
    }

    /// Answers one call every `gap`, until `until` on tokio's timer.
    pub fn queue(gap: Duration, until: Instant) -> Self {
        Self::Queue(Arc::new(Queue { gap, until, next: Mutex::new(Instant::now()) }))
    }

    /// Runs `action` before the call is answered, and answers it as usual. The action
    /// may edit the tenant: an edit in the middle of a walk, a file replaced between
    /// two ranges, a permission that flips.
    pub fn run(action: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Run(Arc::new(action))
    }
}

/// See [`Effect::queue`].
#[derive(Debug)]
pub struct Queue {
    gap: Duration,
    until: Instant,
    next: Mutex<Instant>,
}

impl Queue {
    /// When the call that comes now is answered.
    pub fn turn(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next + self.gap).max(Instant::now()).min(self.until);
        *next
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { http, code } => write!(f, "Status({http}, {code})"),
            Self::RateLimit { http, reset_secs } => write!(f, "RateLimit({http}, {reset_secs:?})"),
            Self::ErrorWith200(code) => write!(f, "ErrorWith200({code})"),
            Self::Reset => f.write_str("Reset"),
            Self::Unreachable => f.write_str("Unreachable"),
            Self::CutAfter(n) => write!(f, "CutAfter({n})"),
            Self::Truncate(n) => write!(f, "Truncate({n})"),
            Self::Short(n) => write!(f, "Short({n})"),
            Self::Half => f.write_str("Half"),
            Self::TooLong(n) => write!(f, "TooLong({n})"),
            Self::Flip => f.write_str("Flip"),
            Self::Promise(n) => write!(f, "Promise({n})"),
            Self::Encoded => f.write_str("Encoded"),
            Self::Replaced(reply) => {
                write!(f, "Replaced({}, {}, {} bytes)", reply.http, reply.kind, reply.body.len())
            }
            Self::Forbidden => f.write_str("Forbidden"),
            Self::Slow { bytes, pause } => write!(f, "Slow({bytes}, {pause:?})"),
            Self::Garbage => f.write_str("Garbage"),
            Self::Html => f.write_str("Html"),
            Self::RepeatPage => f.write_str("RepeatPage"),
            Self::LoopPages => f.write_str("LoopPages"),
            Self::MoreWithoutToken => f.write_str("MoreWithoutToken"),
            Self::EmptyListing => f.write_str("EmptyListing"),
            Self::Delay(time) => write!(f, "Delay({time:?})"),
            Self::Queue(queue) => write!(f, "Queue({:?})", queue.gap),
            Self::Run(_) => f.write_str("Run(…)"),
        }
    }
}

/// An effect and the calls that it hits: by default every one to its endpoint.
#[derive(Debug, Clone)]
pub struct Fault {
    method: String,
    path: String,
    nameless: String,
    skip: usize,
    left: Option<usize>,
    containing: Option<String>,
    effect: Effect,
}

impl Fault {
    /// Hits calls of a method (`*`: any) to a path, given as a pattern (with any names
    /// for the parameters), as called, or `*` for any.
    pub fn new(method: &str, path: &str, effect: Effect) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            nameless: nameless(path),
            skip: 0,
            left: None,
            containing: None,
            effect,
        }
    }

    /// Only the `nth` matching call (from 1), unless [`Fault::times`] says how many
    /// from there on.
    #[must_use]
    pub fn nth(mut self, nth: usize) -> Self {
        self.skip = nth.saturating_sub(1);
        self.left = self.left.or(Some(1));
        self
    }

    /// Only so many calls.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.left = Some(times);
        self
    }

    /// Only the first matching call.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only calls with this text in path, query or body.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.containing = Some(text.into());
        self
    }

    fn matches(&self, call: &Incoming<'_>) -> bool {
        (self.method == "*" || self.method == call.method)
            && (self.path == "*"
                || self.path == call.path
                || self.nameless == nameless(call.pattern))
            && self.containing.as_deref().is_none_or(|text| {
                call.path.contains(text) || call.query.contains(text) || call.body.contains(text)
            })
    }
}

/// A call, as faults look at it.
pub struct Incoming<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Endpoint.
    pub pattern: &'a str,
    /// Path as called, without `/open-apis`.
    pub path: &'a str,
    /// Query string.
    pub query: &'a str,
    /// Body.
    pub body: &'a str,
}

#[derive(Debug)]
struct Storm {
    dice: Dice,
    millionths: u32,
    kinds: Vec<Effect>,
}

/// The fault plan.
#[derive(Debug, Default)]
pub struct Faults {
    scripted: Vec<Fault>,
    storm: Option<Storm>,
}

impl Faults {
    /// Adds a scripted fault.
    pub fn add(&mut self, fault: Fault) {
        self.scripted.push(fault);
    }

    /// Ends all faults.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Hits any call with `probability` by one of `kinds`.
    pub fn storm(&mut self, seed: u64, probability: f64, kinds: &[Effect]) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let millionths = (probability.clamp(0.0, 1.0) * 1e6) as u32;
        self.storm = Some(Storm { dice: Dice::new(seed), millionths, kinds: kinds.to_vec() });
    }

    /// The effects on this call, which count as used.
    pub fn strike(&mut self, call: &Incoming<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for fault in &mut self.scripted {
            if fault.left == Some(0) || !fault.matches(call) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.left = fault.left.map(|left| left - 1);
            effects.push(fault.effect.clone());
        }
        if let Some(storm) = &mut self.storm
            && !storm.kinds.is_empty()
            && storm.dice.chance(storm.millionths)
        {
            effects.push(storm.kinds[storm.dice.below(storm.kinds.len())].clone());
        }
        effects
    }
}
