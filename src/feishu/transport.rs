//! The single send path: token, quota, budget, connection, retry, envelope. Logging in
//! goes this way too, without a token.
//!
//! Start at [`Inner::exchange`]. Order matters: a call takes its turn in the quota at
//! the very moment it is sent, with a connection already in hand. Taken earlier, calls
//! that wait for a connection would bunch up and break the quota together; a connection
//! taken earlier would be idle while its call waits a minute for a slow class.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::Request;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RANGE};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info};

use super::call::{Call, Expect, Repeat};
use super::codes::MONTH_SPENT;
use super::download::Bandwidth;
use super::error::{ApiError, Class, Fault, Identity, Refusal, tidy};
use super::quota::{Endpoint, Pass, Quota, QuotaKeeper, Turn};
use super::reader::{Asked, Json, Reader, Reply};
use super::reply::{self, Envelope};
use super::retry::{History, Next, Signal};
use super::token::AppToken;
use super::{ByteStream, Credentials, HttpSend, SendError, Settings, advice};
use crate::clock::Clock;

/// What clones of a client share.
pub(super) struct Inner {
    pub(super) settings: Settings,
    http: Arc<dyn HttpSend>,
    pub(super) clock: Clock,
    pub(super) quota: Arc<Quota>,
    slots: Arc<Semaphore>,
    sent: AtomicU64,
    pub(super) app_token: AppToken,
    pub(super) bandwidth: Arc<Bandwidth>,
    /// Endpoints that refused a fresh token: renewing for each of their calls would
    /// spend a login's tokens for nothing.
    stubborn: Mutex<BTreeSet<Endpoint>>,
    /// True once the app being registered turned out to be Lark's.
    pub(super) registers_at_lark: AtomicBool,
    /// For a renewal that must outlive the call that needed it.
    pub(super) this: Weak<Self>,
}

impl Inner {
    pub(super) fn new(
        settings: Settings,
        http: Arc<dyn HttpSend>,
        clock: Clock,
        keeper: Option<Arc<dyn QuotaKeeper>>,
        this: Weak<Self>,
    ) -> Self {
        Self {
            stubborn: Mutex::default(),
            registers_at_lark: AtomicBool::new(false),
            this,
            quota: Arc::new(Quota::new(settings.quota_share, clock.clone(), keeper)),
            slots: Arc::new(Semaphore::new(settings.concurrency.clamp(1, 1024))),
            sent: AtomicU64::new(0),
            app_token: AppToken::default(),
            bandwidth: Arc::new(Bandwidth::new(settings.bandwidth)),
            settings,
            http,
            clock,
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn identity(&self) -> Identity {
        match self.settings.credentials {
            Credentials::Nobody => Identity::Nobody,
            Credentials::App { .. } => Identity::App,
            Credentials::User(_) => Identity::User,
            Credentials::Login(_) => Identity::Login,
        }
    }

    /// Calls and reads `data`; the answer comes with the server's clock.
    pub(super) async fn call<T: DeserializeOwned + Send>(
        &self,
        call: &Call<'_>,
    ) -> Result<(T, i64), ApiError> {
        self.exchange(call, &Json::data()).await
    }

    /// Sends until there is an answer, or no hope for one.
    pub(super) async fn exchange<R: Reader>(
        &self,
        call: &Call<'_>,
        reader: &R,
    ) -> Result<R::Out, ApiError> {
        let endpoint = call.endpoint;
        let identity = match (call.signed, endpoint) {
            (true, _) => self.identity(),
            (false, Endpoint::LINK) => Identity::LinkHolder,
            (false, _) => Identity::Nobody,
        };
        let mut history = History::new(call.patience);
        let mut refused: Option<SecretString> = None;
        // Held to the answer, where this call finds out about the month.
        let _pass = match if call.signed { self.quota.pass().await } else { Pass::Go } {
            Pass::Spent => return Err(month_spent(endpoint)),
            pass => pass,
        };
        loop {
            let token = if call.signed { Some(self.token(refused.take()).await?) } else { None };
            let asked = Asked { endpoint, identity, hidden: call.hidden(token.as_ref()) };
            let slot = self.admit(call).await?;
            let number = self.count(endpoint)?;
            let begun = Instant::now();
            let fault = match self.attempt(call, &asked, token.as_ref(), slot, reader).await {
                Ok(answer) => {
                    let elapsed = begun.elapsed();
                    debug!(endpoint = endpoint.name(), ?elapsed, "answered");
                    self.stubborn().remove(&endpoint);
                    self.note_answer(call, begun);
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            let elapsed = begun.elapsed();
            let (status, code) = (fault.error.status, fault.error.code);
            debug!(endpoint = endpoint.name(), status, code, ?elapsed, "{}", fault.error);
            let renewable = matches!(identity, Identity::App | Identity::Login)
                && !self.stubborn().contains(&endpoint);
            let repeats = self.repeats(call.repeat, &fault.error);
            match history.next(fault.signal, repeats, renewable, number) {
                Next::GiveUp if history.is_throttled_out() => {
                    // The reset still holds for the calls that wait behind this one.
                    if let Signal::Throttled { reset: Some(reset) } = fault.signal {
                        self.throttle(endpoint, begun, reset);
                    }
                    return Err(throttled_out(call, fault.error));
                }
                Next::GiveUp => {
                    if code == Some(MONTH_SPENT) && call.signed {
                        self.quota.note_month(true);
                    }
                    return Err(self.given_up(fault, identity, call, &history));
                }
                Next::RenewToken => refused = token,
                Next::Freeze(delay) => {
                    info!(?delay, "rate limited: {}", fault.error);
                    self.throttle(endpoint, begun, delay);
                }
                Next::Wait(delay) => {
                    history.remember(&fault.error.message);
                    info!(?delay, "trying again: {}", fault.error);
                    sleep(delay).await;
                }
            }
        }
    }

    /// A call sent at `sent` was answered.
    fn note_answer(&self, call: &Call<'_>, sent: Instant) {
        let now = Instant::now();
        self.quota.answered(call.endpoint, sent, now);
        if call.signed {
            self.quota.note_month(false);
        }
        if self.quota.is_exchange_due(now) {
            let quota = Arc::clone(&self.quota);
            // Nobody waits for it.
            drop(tokio::task::spawn_blocking(move || quota.exchange(false)));
        }
    }

    /// A call sent at `sent` was one too many.
    fn throttle(&self, endpoint: Endpoint, sent: Instant, delay: Duration) {
        let now = Instant::now();
        self.quota.throttled(endpoint, sent, now, now + delay);
    }

    /// How often this failure may be followed by another try.
    fn repeats(&self, repeat: Repeat, error: &ApiError) -> u32 {
        let retries = self.settings.retries;
        match repeat {
            Repeat::Freely => retries,
            Repeat::AtMost(most) => retries.min(most),
            Repeat::Unsent if error.class == Class::Unreachable => retries,
            Repeat::Unsent => 0,
        }
    }

    /// The error that the caller gets, with what the last reply alone does not tell.
    fn given_up(
        &self,
        fault: Fault,
        identity: Identity,
        call: &Call<'_>,
        history: &History,
    ) -> ApiError {
        let mut error = fault.error;
        if fault.signal == Signal::BadToken && matches!(identity, Identity::App | Identity::Login) {
            // Many endpoints share that class, so it says nothing about any of them.
            if call.endpoint != Endpoint::OTHER && history.is_renewed() {
                self.stubborn().insert(call.endpoint);
            }
            let kind = identity.token_kind();
            let what = format!("; a fresh token was refused too: this call does not take {kind}");
            error.message.push_str(&what);
        }
        if fault.signal == Signal::Final
            && matches!(call.repeat, Repeat::AtMost(_))
            && let Some(first) = history.first_failure()
        {
            // "Used already" after a lost reply means that we used it.
            error.message += "; an earlier try failed: ";
            error.message += first;
        }
        error
    }

    fn stubborn(&self) -> MutexGuard<'_, BTreeSet<Endpoint>> {
        self.stubborn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt<R: Reader>(
        &self,
        call: &Call<'_>,
        asked: &Asked,
        token: Option<&SecretString>,
        slot: Option<OwnedSemaphorePermit>,
        reader: &R,
    ) -> Result<R::Out, Fault> {
        let name = asked.name();
        let request = self.request(call, token).map_err(Fault::last)?;
        if let Some(sent) = call.sent {
            sent.store(true, Ordering::Relaxed);
        }
        let sent = timeout(self.settings.request_timeout, self.http.send(request)).await;
        let reply = match sent {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return Err(self.broken(call, &error)),
            Err(_) => return Err(self.silent(name)),
        };
        let (head, body) = reply.into_parts();
        let log_id = reply::log_id(&head.headers).unwrap_or_default();
        debug!(endpoint = name, status = head.status.as_u16(), log_id, "reply");
        reader.read(self, asked, Reply { head, body, slot }).await
    }

    /// Waits for the class's turn and a free connection, and takes both.
    ///
    /// A call that logs in or renews needs none of the connections: downloads hold theirs
    /// to the last byte, and whoever renews holds locks that other processes wait for.
    async fn admit(&self, call: &Call<'_>) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        let endpoint = call.endpoint;
        let _next = self.quota.line(endpoint).await;
        loop {
            // Whoever stands in line behind the last call must not wait to hear it.
            if self.is_spent(self.requests()) {
                return Err(self.spent(endpoint));
            }
            let now = Instant::now();
            match self.quota.turn(endpoint, now) {
                Turn::Now => {}
                Turn::At(at) => {
                    sleep_until(at).await;
                    continue;
                }
                Turn::Frozen(until) if until - now > call.patience => {
                    let what = format!("rate limited for {} s more", (until - now).as_secs());
                    let error = ApiError::local(Class::Transient, endpoint.name(), what);
                    return Err(throttled_out(call, error));
                }
                Turn::Frozen(until) => {
                    sleep_until(until).await;
                    continue;
                }
                Turn::UsedUp { cap, again_secs } => {
                    return Err(day_spent(endpoint, cap, again_secs));
                }
            }
            let slot = if call.signed {
                let slots = Arc::clone(&self.slots);
                Some(slots.acquire_owned().await.expect("the slots are never closed"))
            } else {
                None
            };
            // The class may have been frozen while this waited for a connection.
            if self.quota.take(endpoint, Instant::now()) {
                return Ok(slot);
            }
        }
    }

    /// Counts one more request, or refuses it.
    fn count(&self, endpoint: Endpoint) -> Result<u64, ApiError> {
        let more = |sent| (!self.is_spent(sent)).then_some(sent + 1);
        self.sent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| self.spent(endpoint))
    }

    /// See [`super::Client::calls_left`].
    pub(super) fn calls_left(&self) -> Option<u64> {
        let most = self.settings.max_calls;
        (most != 0).then(|| most.saturating_sub(self.requests()))
    }

    fn is_spent(&self, sent: u64) -> bool {
        self.settings.max_calls != 0 && sent >= self.settings.max_calls
    }

    fn spent(&self, endpoint: Endpoint) -> ApiError {
        let what = format!("not called: this run's {} calls are used up", self.settings.max_calls);
        ApiError::local(Class::Budget, endpoint.name(), what)
            .hint("run again to go on from here, or raise max_calls")
    }

    fn request(
        &self,
        call: &Call<'_>,
        token: Option<&SecretString>,
    ) -> Result<Request<Bytes>, ApiError> {
        let name = call.endpoint.name();
        // A URL parser takes these, encoded or not, as steps to another endpoint.
        if let Some(step) = call.path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            let what = format!("not called: {step:?} is no token");
            return Err(ApiError::local(Class::Unexpected, name, what));
        }
        let uri = format!("{}{}", self.base(call), call.target());
        let mut request = Request::builder().method(call.method()).uri(uri);
        let bearer = token.map(|token| format!("Bearer {}", token.expose_secret()));
        let basic = call.basic.as_ref().map(|basic| basic.expose_secret().to_owned());
        if let Some(who) = bearer.or(basic) {
            let mut who = HeaderValue::try_from(who).map_err(|_| self.odd_token(name))?;
            who.set_sensitive(true);
            request = request.header(AUTHORIZATION, who);
        }
        if !matches!(call.expect, Expect::Json) {
            // An encoded reply has no length to check and no range to resume.
            request = request.header(ACCEPT_ENCODING, "identity");
        }
        if let Expect::Part(range) = &call.expect {
            let last = range.end.saturating_sub(1);
            request = request.header(RANGE, format!("bytes={}-{last}", range.start));
        }
        let body = match &call.body {
            None => Bytes::new(),
            Some(body) => {
                request = request.header(CONTENT_TYPE, body.content_type);
                Bytes::from(body.text.expose_secret().to_owned())
            }
        };
        let request = request.body(body).ok().filter(|request| request.uri().host().is_some());
        request.ok_or_else(|| {
            ApiError::local(Class::Config, name, "the address of the API is no URL")
                .hint("check account.domain in the config")
        })
    }

    fn base<'a>(&'a self, call: &'a Call<'_>) -> &'a str {
        call.base.as_deref().unwrap_or(&self.settings.domain.open)
    }

    fn odd_token(&self, name: &'static str) -> ApiError {
        let what = "the access token holds characters no token has";
        ApiError::local(Class::Login, name, what).hint(match self.identity() {
            Identity::User => {
                "set FEISHU_USER_ACCESS_TOKEN to the token alone, without line breaks".to_owned()
            }
            _ => self.in_profile("log in again: feishu-mirror auth login".to_owned()),
        })
    }

    /// Reads a small body whole.
    pub(super) async fn collect(
        &self,
        endpoint: &'static str,
        mut body: ByteStream,
        limit: usize,
    ) -> Result<Bytes, Fault> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next_chunk(endpoint, &mut body).await? {
            if whole.len() + chunk.len() > limit {
                let what = format!("the reply is larger than {limit} bytes");
                return Err(Fault::last(ApiError::local(Class::Unexpected, endpoint, what)));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The next bytes of a body; silence is an error.
    pub(super) async fn next_chunk(
        &self,
        endpoint: &'static str,
        body: &mut ByteStream,
    ) -> Result<Option<Bytes>, Fault> {
        match timeout(self.settings.request_timeout, body.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            Ok(Some(Err(error))) => Err(broken_off(endpoint, &error)),
            Err(_) => Err(self.silent(endpoint)),
        }
    }

    /// What a reply that says no means.
    pub(super) fn refusal(
        &self,
        asked: &Asked,
        head: &http::response::Parts,
        envelope: Option<&Envelope>,
    ) -> Fault {
        let refusal = Refusal {
            endpoint: asked.name(),
            identity: asked.identity,
            status: head.status.as_u16(),
            // HTTP 404 with `"code":0` is no success.
            code: envelope.and_then(|envelope| envelope.code).filter(|code| *code != 0),
            msg: envelope.map_or("", Envelope::msg),
            word: envelope.and_then(Envelope::word),
            hidden: &asked.hidden,
            log_id: reply::log_id(&head.headers).or_else(|| envelope?.log_id()),
            scopes: envelope.map(Envelope::scopes).unwrap_or_default(),
            reset: reply::reset(&head.headers),
            retry_after: reply::retry_after(&head.headers, self.clock.now_secs()),
        };
        let mut fault = refusal.into_fault();
        if asked.identity == Identity::Login {
            fault.error.hint = fault.error.hint.map(|hint| self.in_profile(hint));
        }
        fault
    }

    /// A hint's commands for the profile of the login in use.
    fn in_profile(&self, hint: String) -> String {
        match &self.settings.credentials {
            Credentials::Login(source) => match source.profile() {
                Some(profile) => advice::in_profile(&hint, &profile),
                None => hint,
            },
            _ => hint,
        }
    }

    fn broken(&self, call: &Call<'_>, error: &SendError) -> Fault {
        let endpoint = call.endpoint.name();
        if !error.connect {
            return broken_off(endpoint, error);
        }
        let what = format!("cannot reach {}: {}", tidy(self.base(call)), tidy(&error.message));
        Fault::passing(ApiError::local(Class::Unreachable, endpoint, what).hint(
            "check the network, the proxy (HTTPS_PROXY, NO_PROXY) and account.domain in the \
             config: feishu-mirror doctor",
        ))
    }

    fn silent(&self, endpoint: &'static str) -> Fault {
        let secs = self.settings.request_timeout.as_secs_f64();
        let what = format!("no byte for {secs} s");
        Fault::passing(ApiError::local(Class::Transient, endpoint, what))
    }
}

fn broken_off(endpoint: &'static str, error: &SendError) -> Fault {
    let what = format!("the connection broke: {}", tidy(&error.message));
    Fault::passing(ApiError::local(Class::Transient, endpoint, what))
}

/// The day's calls are used up, by our own count.
fn day_spent(endpoint: Endpoint, cap: u64, again_secs: i64) -> ApiError {
    let at = jiff::Timestamp::from_second(again_secs).unwrap_or(jiff::Timestamp::MAX);
    let at = at.strftime("%Y-%m-%d %H:%M UTC");
    let what =
        format!("not called: the {cap} downloads that this program makes in 24 hours are used up");
    ApiError::local(Class::Budget, endpoint.name(), what)
        .hint(format!("run again after {at}: it goes on from here"))
}

/// The service said so, and nothing changes before the month ends.
fn month_spent(endpoint: Endpoint) -> ApiError {
    let what = "not called: the tenant's monthly call quota is used up";
    ApiError::local(Class::Budget, endpoint.name(), what).hint(advice::MONTH_SPENT)
}

/// A rate limit that outlasts every patience: where the day has a cap, that is it.
fn throttled_out(call: &Call<'_>, error: ApiError) -> ApiError {
    if call.endpoint.has_daily_cap() {
        let class = Class::Budget;
        return ApiError { class, ..error }
            .hint("the day's downloads are probably used up: run again tomorrow");
    }
    let minutes = call.patience.as_secs() / 60;
    error.hint(format!(
        "rate limited for {minutes} min: other programs may use the same app; lower \
         quota_share, or run again later"
    ))
}
