//! A scripted [`HttpSend`] for the tests of the client: replies in the order given,
//! every request remembered. The app's token call is answered by itself. Every secret
//! that a test sends or receives contains [`CANARY`].

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ByteStream, Client, Credentials, HttpSend, SendError, Settings, TokenSource};
use crate::clock::Clock;

/// No error may show it.
pub(super) const CANARY: &str = "h0shP0wer";

const TOKEN_PATH: &str = "/open-apis/auth/v3/tenant_access_token/internal";

/// A scripted reply.
pub(super) struct Scripted {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<Step>,
}

/// What a body does next.
pub(super) enum Step {
    Bytes(Vec<u8>),
    /// The connection breaks.
    Cut,
    /// Nothing more comes, ever.
    Stall,
}

pub(super) fn bytes_reply(body: impl Into<Vec<u8>>) -> Scripted {
    let body = vec![Step::Bytes(body.into())];
    Scripted { status: 200, headers: Vec::new(), body }
        .header("date", "Tue, 15 Nov 1994 08:12:31 GMT")
}

#[expect(clippy::needless_pass_by_value, reason = "called with `json!` throughout")]
pub(super) fn json_reply(body: Value) -> Scripted {
    bytes_reply(body.to_string()).header("content-type", "application/json; charset=utf-8")
}

impl Scripted {
    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn then(mut self, step: Step) -> Self {
        self.body.push(step);
        self
    }

    /// A file as the service sends one.
    pub(super) fn attachment(self, length: u64) -> Self {
        self.header("content-disposition", "attachment; filename=\"x\"")
            .header("content-length", length.to_string())
    }
}

enum Script {
    Reply(Scripted),
    Refused,
    /// The request arrives, the reply never does.
    Lost,
    Silent,
}

/// The server.
pub(super) struct Fake {
    state: Arc<State>,
    pub(super) settings: Settings,
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Script>>,
    /// What comes where nothing is scripted.
    always: Mutex<Option<(u16, Vec<u8>)>>,
    tokens: Mutex<VecDeque<Scripted>>,
    seen: Mutex<Vec<Seen>>,
}

/// A request as it was sent.
#[derive(Clone)]
pub(super) struct Seen {
    /// `METHOD /path?query`.
    pub(super) line: String,
    /// `https://host`.
    pub(super) host: String,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
    at: Instant,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Fields of a form, in order.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        assert_eq!(self.header("content-type"), Some("application/x-www-form-urlencoded"));
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"));
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A source that hands out `u-1…`, `u-2…`: the next one where the present one is
/// refused. Every question is counted.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) asked: AtomicUsize,
    pub(super) renewals: AtomicUsize,
    /// How long a renewal takes.
    pub(super) takes: Duration,
    pub(super) now: tokio::sync::Mutex<usize>,
}

impl Source {
    pub(super) fn token_of(number: usize) -> String {
        format!("u-{number}-{CANARY}-token")
    }
}

impl TokenSource for Source {
    fn token<'a>(
        &'a self,
        _oauth: super::oauth::OAuth<'a>,
        refused: Option<&'a SecretString>,
    ) -> BoxFuture<'a, Result<SecretString, super::ApiError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Relaxed);
            let mut now = self.now.lock().await;
            if refused.is_some_and(|token| token.expose_secret() == Self::token_of(*now)) {
                tokio::time::sleep(self.takes).await;
                *now += 1;
                self.renewals.fetch_add(1, Relaxed);
            }
            Ok(Self::token_of(*now).into())
        })
    }
}

impl Fake {
    pub(super) fn app() -> Self {
        let app_secret = format!("hush-hush-{CANARY}").into();
        Self::with(Credentials::App { app_id: "cli_x".to_owned(), app_secret })
    }

    pub(super) fn user() -> Self {
        Self::with(Credentials::User("u-users-own-token-x".into()))
    }

    pub(super) fn login(source: &Arc<Source>) -> Self {
        Self::with(Credentials::Login(Arc::clone(source) as Arc<dyn TokenSource>))
    }

    pub(super) fn nobody() -> Self {
        Self::with(Credentials::Nobody)
    }

    fn with(credentials: Credentials) -> Self {
        let settings = Settings {
            domain: crate::config::values::domain("https://open.example,https://accounts.example")
                .unwrap(),
            credentials,
            quota_share: 1.0,
            concurrency: 8,
            retries: 6,
            request_timeout: Duration::from_secs(60),
            bandwidth: 0,
            max_calls: 0,
        };
        Self { state: Arc::default(), settings }
    }

    pub(super) fn client(&self) -> Client {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        let http = Arc::clone(&self.state) as Arc<dyn HttpSend>;
        Client::new(self.settings.clone(), http, Clock::from_tokio(start))
    }

    pub(super) fn push(&self, reply: Scripted) {
        self.state.script.lock().unwrap().push_back(Script::Reply(reply));
    }

    /// The answer to every call that nothing is scripted for.
    pub(super) fn always(&self, status: u16, body: &[u8]) {
        *self.state.always.lock().unwrap() = Some((status, body.to_vec()));
    }

    pub(super) fn push_refused(&self) {
        self.state.script.lock().unwrap().push_back(Script::Refused);
    }

    pub(super) fn push_lost(&self) {
        self.state.script.lock().unwrap().push_back(Script::Lost);
    }

    pub(super) fn push_silence(&self) {
        self.state.script.lock().unwrap().push_back(Script::Silent);
    }

    /// The next answer to the token call, in place of a good one.
    pub(super) fn push_token(&self, reply: Scripted) {
        self.state.tokens.lock().unwrap().push_back(reply);
    }

    /// `METHOD /path?query` of every request so far.
    pub(super) fn calls(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// When each request other than the token's was sent.
    pub(super) fn moments(&self) -> Vec<Instant> {
        let seen = self.seen().into_iter();
        seen.filter(|seen| !seen.line.contains(TOKEN_PATH)).map(|seen| seen.at).collect()
    }

    /// A header of the last request.
    pub(super) fn last_header(&self, name: &str) -> Option<String> {
        let seen = self.seen().pop()?;
        seen.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    pub(super) fn last_body(&self) -> Value {
        serde_json::from_slice(&self.seen().last().unwrap().body).unwrap()
    }

    /// Scripted replies that nobody fetched.
    pub(super) fn left(&self) -> usize {
        self.state.script.lock().unwrap().len()
    }

    /// Every request so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }
}

impl HttpSend for State {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, SendError>> {
        let target = request.uri().path_and_query().unwrap().to_string();
        let is_token = target == TOKEN_PATH;
        self.seen.lock().unwrap().push(Seen {
            line: format!("{} {target}", request.method()),
            host: format!(
                "{}://{}",
                request.uri().scheme_str().unwrap(),
                request.uri().authority().unwrap()
            ),
            headers: request.headers().clone(),
            body: request.body().clone(),
            at: Instant::now(),
        });
        let next = if is_token {
            let count = self.seen.lock().unwrap().len();
            let good = json!({"code":0,"msg":"ok","tenant_access_token":format!("t-{count}"),"expire":7140});
            Script::Reply(
                self.tokens.lock().unwrap().pop_front().unwrap_or_else(|| json_reply(good)),
            )
        } else {
            let scripted = self.script.lock().unwrap().pop_front();
            let always = || {
                let (status, body) = self.always.lock().unwrap().clone()?;
                Some(Script::Reply(bytes_reply(body).status(status)))
            };
            scripted.or_else(always).unwrap_or_else(|| panic!("unscripted: {target}"))
        };
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let reply = match next {
                Script::Reply(reply) => reply,
                Script::Refused => {
                    let message = "connection refused".to_owned();
                    return Err(SendError { message, connect: true });
                }
                Script::Lost => {
                    let message = "reset by peer".to_owned();
                    return Err(SendError { message, connect: false });
                }
                Script::Silent => std::future::pending().await,
            };
            let mut response = Response::builder().status(reply.status);
            for (name, value) in reply.headers {
                response = response.header(name, value);
            }
            let steps = stream::iter(reply.body).then(|step| async {
                match step {
                    Step::Bytes(bytes) => Ok(Bytes::from(bytes)),
                    Step::Cut => {
                        Err(SendError { message: "reset by peer".to_owned(), connect: false })
                    }
                    Step::Stall => std::future::pending().await,
                }
            });
            Ok(response.body(steps.boxed()).unwrap())
        })
    }
}
