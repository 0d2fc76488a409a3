//! Official limits as one table, and a limiter for each of its rows.
//!
//! A limit holds for one endpoint, one app and one tenant (docs:
//! api-call-guide/frequency-control). Each window of a row is filled to 95 % of the
//! official rate with a burst of at most 5 % of the window, so that no sliding window
//! ever holds more calls than the limit: 100 a minute with a burst of 100 would let
//! 199 through in one minute, 5 a second with a burst of 5 would let 9.
//!
//! Why not the `leaky-bucket` crate: a class must be frozen until the moment that a 429
//! names, two windows must be taken together or not at all, and a caller must be able
//! to look without taking (it holds no connection while it waits). That is thirty
//! lines of GCRA on tokio's timer, which also runs under a paused clock.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// An official limit: so many calls in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) calls: u32,
    pub(super) span: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const fn per(calls: u32, span: Duration) -> Window {
    Window { calls, span }
}

// The tiers as the service numbers them (docs: api-call-guide/frequency-control).
const TIER_2: &[Window] = &[per(20, MINUTE)];
const TIER_3: &[Window] = &[per(100, MINUTE)];
const TIER_4: &[Window] = &[per(1000, MINUTE), per(50, SECOND)];
const TIER_6: &[Window] = &[per(5, SECOND)];
const TIER_7: &[Window] = &[per(10, SECOND)];
const TIER_8: &[Window] = &[per(20, SECOND)];
const TIER_9: &[Window] = &[per(50, SECOND)];
const TIER_11: &[Window] = &[per(100, SECOND)];
/// "Special" in the docs, without a number: 5 a second has proved harmless.
const UNPUBLISHED: &[Window] = &[per(5, SECOND)];
/// docs: drive-v1/file/download, drive-v1/media/download.
const DOWNLOADS: &[Window] = &[per(5, SECOND), per(10_000, DAY)];

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// `METHOD /path/:pattern`.
    name: &'static str,
    windows: &'static [Window],
}

const fn row(name: &'static str, windows: &'static [Window]) -> Row {
    Row { name, windows }
}

/// The limits of every endpoint that this program calls or will soon call, from each
/// endpoint's own docs page.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("POST /open-apis/auth/v3/tenant_access_token/internal", UNPUBLISHED),
    // docs: authentication-management/access-token/get-user-access-token
    row("POST /open-apis/authen/v2/oauth/token", TIER_4),
    // In no page of the docs; client: larksuite/cli internal/auth/device_flow.go,
    // revoke.go, app_registration.go
    row("POST /oauth/v1/device_authorization", UNPUBLISHED),
    row("POST /oauth/v1/revoke", UNPUBLISHED),
    row("POST /oauth/v1/app/registration", UNPUBLISHED),
    row("GET /open-apis/authen/v1/user_info", UNPUBLISHED),
    row("GET /open-apis/application/v6/scopes", UNPUBLISHED),
    row("GET /open-apis/application/v6/applications/:app_id", TIER_9),
    row("GET /open-apis/contact/v3/users/batch", TIER_4),
    row("GET /open-apis/drive/v1/files", TIER_8),
    row("GET /open-apis/drive/explorer/v2/root_folder/meta", UNPUBLISHED),
    row("GET /open-apis/drive/explorer/v2/folder/:folderToken/meta", UNPUBLISHED),
    row("POST /open-apis/drive/v1/metas/batch_query", TIER_4),
    row("GET /open-apis/drive/v1/files/:file_token/download", DOWNLOADS),
    row("GET /open-apis/drive/v1/medias/:file_token/download", DOWNLOADS),
    row("GET /open-apis/drive/v1/medias/batch_get_tmp_download_url", DOWNLOADS),
    // Another host's; no page says how often.
    row(LINK, UNPUBLISHED),
    row("POST /open-apis/drive/v1/export_tasks", TIER_3),
    row("GET /open-apis/drive/v1/export_tasks/:ticket", TIER_3),
    row("GET /open-apis/drive/v1/export_tasks/file/:file_token/download", TIER_3),
    row("GET /open-apis/drive/v1/files/:file_token/comments", TIER_4),
    row("GET /open-apis/drive/v1/files/:file_token/comments/:comment_id/replies", TIER_3),
    row("POST /open-apis/drive/v1/files/:file_token/subscribe", TIER_4),
    row("GET /open-apis/wiki/v2/spaces", TIER_3),
    row("GET /open-apis/wiki/v2/spaces/:space_id", TIER_3),
    row("GET /open-apis/wiki/v2/spaces/get_node", TIER_3),
    row("GET /open-apis/wiki/v2/spaces/:space_id/nodes", TIER_3),
    row("GET /open-apis/docx/v1/documents/:document_id", TIER_6),
    row("GET /open-apis/docx/v1/documents/:document_id/blocks", TIER_6),
    row("GET /open-apis/docs/v1/content", TIER_6),
    row("GET /open-apis/doc/v2/meta/:docToken", UNPUBLISHED),
    row("GET /open-apis/sheets/v3/spreadsheets/:spreadsheet_token", TIER_3),
    row("GET /open-apis/sheets/v3/spreadsheets/:spreadsheet_token/sheets/query", TIER_3),
    row("GET /open-apis/sheets/v2/spreadsheets/:spreadsheetToken/metainfo", TIER_11),
    row("GET /open-apis/sheets/v2/spreadsheets/:spreadsheetToken/values/:range", TIER_11),
    row("GET /open-apis/bitable/v1/apps/:app_token", TIER_8),
    row("GET /open-apis/bitable/v1/apps/:app_token/tables", TIER_8),
    row("GET /open-apis/bitable/v1/apps/:app_token/tables/:table_id/fields", TIER_8),
    row("GET /open-apis/bitable/v1/apps/:app_token/tables/:table_id/views", TIER_8),
    row("POST /open-apis/bitable/v1/apps/:app_token/tables/:table_id/records/search", TIER_8),
    row("GET /open-apis/board/v1/whiteboards/:whiteboard_id/nodes", TIER_7),
    row("GET /open-apis/board/v1/whiteboards/:whiteboard_id/download_as_image", TIER_9),
    row("GET /open-apis/board/v1/whiteboards/:whiteboard_id/theme", TIER_2),
    row("GET /open-apis/minutes/v1/minutes/:minute_token", TIER_6),
    row("GET /open-apis/minutes/v1/minutes/:minute_token/media", TIER_6),
    row("GET /open-apis/minutes/v1/minutes/:minute_token/transcript", TIER_6),
    row("GET /open-apis/minutes/v1/minutes/:minute_token/artifacts", TIER_6),
    row("POST /open-apis/minutes/v1/minutes/search", TIER_3),
    row("POST /open-apis/vc/v1/meetings/search", TIER_3),
    row("GET /open-apis/vc/v1/meetings/:meeting_id", TIER_4),
    row("GET /open-apis/vc/v1/meetings/:meeting_id/recording", TIER_4),
    row("POST /open-apis/search/v2/doc_wiki/search", TIER_3),
    // Whatever else somebody calls by hand, as one class.
    row(OTHER, UNPUBLISHED),
];

/// No endpoint's name: content behind a temporary link.
const LINK: &str = "GET (temporary link)";

/// No endpoint's name: the class of all that have no row of their own.
const OTHER: &str = "ANY /open-apis/**";

/// A row of the table: what to call and which limiter to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint(usize);

impl Endpoint {
    /// The class of endpoints without a row of their own.
    pub(super) const OTHER: Self = Self::named(OTHER);

    /// The class of temporary links, at another host than the API's.
    pub(super) const LINK: Self = Self::named(LINK);

    /// The row for a method and a path with values in it, else [`Self::OTHER`]. A row
    /// that spells the path out comes before one with names in it.
    pub(super) fn of_path(method: &str, path: &str) -> Self {
        let fits = |pattern: &str| {
            let (mut parts, mut values) = (pattern.split('/'), path.split('/'));
            loop {
                match (parts.next(), values.next()) {
                    (None, None) => return true,
                    (Some(part), Some(value))
                        if part == value || (part.starts_with(':') && !value.is_empty()) => {}
                    _ => return false,
                }
            }
        };
        (0..TABLE.len())
            .map(Self)
            .filter(|row| row.method() == method && fits(row.pattern()))
            .min_by_key(|row| row.pattern().matches("/:").count())
            .unwrap_or(Self::OTHER)
    }

    /// The endpoint of that name. Used in constants, so a name without a row of limits
    /// does not compile.
    pub(super) const fn named(name: &str) -> Self {
        let mut at = 0;
        while at < TABLE.len() {
            if same(TABLE[at].name, name) {
                return Self(at);
            }
            at += 1;
        }
        panic!("an endpoint needs a row in the table of limits")
    }

    /// `METHOD /path/:pattern`.
    pub(super) fn name(self) -> &'static str {
        TABLE[self.0].name
    }

    /// `METHOD`.
    pub(super) fn method(self) -> &'static str {
        self.name().split_once(' ').expect("a row names its method").0
    }

    /// `/path/:pattern`.
    pub(super) fn pattern(self) -> &'static str {
        self.name().split_once(' ').expect("a row names its path").1
    }

    /// True where a day has a cap of its own.
    pub(super) fn has_daily_cap(self) -> bool {
        TABLE[self.0].windows.iter().any(|window| window.span == DAY)
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether a call may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now.
    Now,
    /// Not before then, by our own count.
    At(Instant),
    /// Not before then, because the service said so.
    Frozen(Instant),
    /// The day's calls are used up.
    UsedUp,
}

/// The limiters of all rows.
#[derive(Debug)]
pub(super) struct Quota {
    classes: Vec<QuotaClass>,
}

/// One row's limiter and the line in front of it.
#[derive(Debug)]
pub(super) struct QuotaClass {
    limiter: Mutex<Limiter>,
    /// Whoever holds it is next; the others wait in order and set no timers.
    pub(super) line: tokio::sync::Mutex<()>,
}

impl Quota {
    /// Limiters for `share` of every official limit.
    pub(super) fn new(share: f64) -> Self {
        let class = |row: &Row| QuotaClass {
            limiter: Mutex::new(Limiter::new(row.windows, share)),
            line: tokio::sync::Mutex::new(()),
        };
        Self { classes: TABLE.iter().map(class).collect() }
    }

    pub(super) fn class(&self, endpoint: Endpoint) -> &QuotaClass {
        &self.classes[endpoint.0]
    }
}

impl QuotaClass {
    /// Looks without taking.
    pub(super) fn turn(&self, now: Instant) -> Turn {
        self.limiter().turn(now)
    }

    /// Takes a call, if one may go now.
    pub(super) fn take(&self, now: Instant) -> bool {
        self.limiter().take(now)
    }

    /// Lets nothing through before `until`.
    pub(super) fn freeze(&self, until: Instant) {
        let mut limiter = self.limiter();
        limiter.frozen = limiter.frozen.max(Some(until));
        limiter.freezes += 1;
    }

    /// How often the service has said "too many" so far.
    pub(super) fn freezes(&self) -> u64 {
        self.limiter().freezes
    }

    fn limiter(&self) -> std::sync::MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Limiter {
    meters: Vec<Meter>,
    frozen: Option<Instant>,
    freezes: u64,
}

#[derive(Debug)]
enum Meter {
    /// The generic cell rate algorithm: calls are due every `interval`, and may come
    /// early by `slack`.
    Paced { interval: Duration, slack: Duration, due: Option<Instant> },
    /// A long window: pacing it would spread the day's calls over the day, so the calls
    /// themselves are remembered instead.
    Counted { calls: usize, span: Duration, taken: VecDeque<Instant> },
}

impl Limiter {
    fn new(windows: &[Window], share: f64) -> Self {
        let meters = windows.iter().map(|window| Meter::new(*window, share)).collect();
        Self { meters, frozen: None, freezes: 0 }
    }

    fn turn(&mut self, now: Instant) -> Turn {
        let mut at = now;
        for meter in &mut self.meters {
            match meter.ready_at(now) {
                Some(ready) => at = at.max(ready),
                None => return Turn::UsedUp,
            }
        }
        match self.frozen {
            Some(until) if until > at => Turn::Frozen(until),
            _ if at > now => Turn::At(at),
            _ => Turn::Now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let free = self.turn(now) == Turn::Now;
        if free {
            for meter in &mut self.meters {
                meter.take(now);
            }
        }
        free
    }
}

impl Meter {
    fn new(window: Window, share: f64) -> Self {
        let limit = f64::from(window.calls) * share.max(0.0);
        let used = limit * 0.95;
        if window.span > MINUTE {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive count"
            )]
            let calls = used.max(1.0) as usize;
            return Self::Counted { calls, span: window.span, taken: VecDeque::new() };
        }
        let burst = (limit * 0.05).floor().max(1.0);
        // However small the share, a call is due every hour.
        let interval = (window.span.as_secs_f64() / used).min(3600.0);
        Self::Paced {
            interval: Duration::from_secs_f64(interval),
            slack: Duration::from_secs_f64(interval * (burst - 1.0)),
            due: None,
        }
    }

    /// When the next call may go; `None`: not today.
    fn ready_at(&mut self, now: Instant) -> Option<Instant> {
        match self {
            Self::Paced { slack, due, .. } => {
                Some(due.and_then(|due| due.checked_sub(*slack)).map_or(now, |at| at.max(now)))
            }
            Self::Counted { calls, span, taken } => {
                while taken.front().is_some_and(|first| now - *first > *span) {
                    taken.pop_front();
                }
                (taken.len() < *calls).then_some(now)
            }
        }
    }

    fn take(&mut self, now: Instant) {
        match self {
            Self::Paced { interval, due, .. } => {
                *due = Some(due.map_or(now, |due| due.max(now)) + *interval);
            }
            Self::Counted { taken, .. } => taken.push_back(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        calls: usize,
        idle_every: usize,
        idle: Duration,
    ) -> Vec<Instant> {
        let mut now = Instant::now();
        let mut went = Vec::new();
        for call in 0..calls {
            if idle_every > 0 && call % idle_every == idle_every - 1 {
                now += idle;
            }
            while !limiter.take(now) {
                match limiter.turn(now) {
                    Turn::At(at) => now = at,
                    Turn::UsedUp => return went,
                    other => panic!("{other:?}"),
                }
            }
            went.push(now);
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
                let mut limiter = Limiter::new(row.windows, 1.0);
                let went = drive(&mut limiter, 3000, idle_every, idle);
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
            let row = &TABLE[Endpoint::named(name).0];
            let mut limiter = Limiter::new(row.windows, 1.0);
            let went = drive(&mut limiter, most + 100, 0, Duration::ZERO);
            let end = went[0] + Duration::from_secs(secs);
            let count = went.iter().filter(|at| **at < end).count();
            assert!((least..=most).contains(&count), "{name}: {count} in {secs} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_days_downloads_are_counted_and_not_spread() {
        let mut limiter = Limiter::new(DOWNLOADS, 1.0);
        let start = Instant::now();
        let went = drive(&mut limiter, 20_000, 0, Duration::ZERO);
        assert_eq!(went.len(), 9500);
        assert!(*went.last().unwrap() - start < Duration::from_secs(2100), "at 4.75 a second");
        let tomorrow = start + DAY + SECOND;
        assert_eq!(limiter.turn(tomorrow), Turn::Now);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_scales_the_rate() {
        for (share, calls) in [(0.5, 47), (2.0, 190)] {
            let mut limiter = Limiter::new(TIER_3, share);
            let went = drive(&mut limiter, 400, 0, Duration::ZERO);
            let settled = went[200] + MINUTE;
            let count = went[200..].iter().filter(|at| **at < settled).count();
            assert!((calls..=calls + 1).contains(&count), "{share}: {count}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_class_waits_for_the_reset_and_the_longer_one_wins() {
        let quota = Quota::new(1.0);
        let class = quota.class(Endpoint::named("GET /open-apis/drive/v1/files"));
        let now = Instant::now();
        class.freeze(now + MINUTE);
        class.freeze(now + SECOND);
        assert_eq!(class.turn(now), Turn::Frozen(now + MINUTE));
        assert!(!class.take(now + SECOND * 59));
        assert!(class.take(now + MINUTE));
    }

    #[test]
    fn a_path_with_values_finds_its_row() {
        let cases = [
            ("GET", "/open-apis/drive/v1/files", "GET /open-apis/drive/v1/files"),
            (
                "GET",
                "/open-apis/drive/v1/files/box1/download",
                "GET /open-apis/drive/v1/files/:file_token/download",
            ),
            ("GET", "/open-apis/wiki/v2/spaces/get_node", "GET /open-apis/wiki/v2/spaces/get_node"),
            ("GET", "/open-apis/wiki/v2/spaces/7", "GET /open-apis/wiki/v2/spaces/:space_id"),
            ("GET", "/open-apis/wiki/v2/spaces/", OTHER),
            ("POST", "/open-apis/drive/v1/files", OTHER),
            ("ANY", "/open-apis/im/v1/chats", OTHER),
        ];
        for (method, path, want) in cases {
            assert_eq!(Endpoint::of_path(method, path).name(), want, "{method} {path}");
        }
    }

    #[test]
    fn every_row_is_named_once() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|other| other.name != row.name), "{}", row.name);
            assert_eq!(Endpoint::named(row.name), Endpoint(at));
        }
    }
}
