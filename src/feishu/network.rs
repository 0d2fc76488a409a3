//! The network: [`HttpSend`] by reqwest, with rustls and the system's roots.
//!
//! Proxies come from the environment (`HTTPS_PROXY`, `NO_PROXY`), but not for plain
//! http. Credentials go to the host they are meant for and nowhere else: a call is
//! redirected within its own origin only; a download may be sent on to another https
//! host, without its `Authorization`. Plain http is for loopback only.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::header::ACCEPT_ENCODING;
use http::{Request, Response, Uri};
use reqwest::redirect::{Attempt, Policy};

use super::error::tidy;
use super::{ByteStream, HttpSend, SendError};

/// A server that takes longer to accept a connection is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

const MAX_REDIRECTS: usize = 5;

/// Sends over the network. Connections are kept and shared.
#[derive(Debug, Default)]
pub struct Network {
    /// Made when first used: each reads the system's roots.
    clients: [OnceLock<reqwest::Client>; 4],
}

impl Network {
    /// A sender with no connection yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self, content: bool, plain: bool) -> Result<&reqwest::Client, SendError> {
        let cell = &self.clients[usize::from(content) + 2 * usize::from(plain)];
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = build(content, plain)
            .map_err(|error| SendError { message: describe(&error), connect: true })?;
        // Two tasks may build at the same time; either's is as good.
        Ok(cell.get_or_init(|| client))
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<ByteStream>, SendError> {
        let refuse = |message: &str| SendError { message: message.to_owned(), connect: true };
        let plain = request.uri().scheme_str() != Some("https");
        if plain && !is_loopback(request.uri()) {
            return Err(refuse("plain http is for loopback only"));
        }
        // The client asks so for content, whose bytes must come as they are.
        let content = request.headers().get(ACCEPT_ENCODING).is_some_and(|v| v == "identity");
        let client = self.client(content, plain)?;
        let request = reqwest::Request::try_from(request).map_err(|e| broken(&e))?;
        let reply = client.execute(request).await.map_err(|e| broken(&e))?;
        let mut response = Response::builder().status(reply.status());
        if let Some(headers) = response.headers_mut() {
            *headers = reply.headers().clone();
        }
        let body = reply.bytes_stream().map(|chunk| chunk.map_err(|e| broken(&e))).boxed();
        response.body(body).map_err(|_| refuse("a reply without a usable status"))
    }
}

impl HttpSend for Network {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, SendError>> {
        Box::pin(self.exchange(request))
    }
}

fn build(content: bool, plain: bool) -> Result<reqwest::Client, reqwest::Error> {
    // Fails only where one is installed already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("feishu-mirror/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::custom(move |attempt| redirect(attempt, content)));
    if content {
        builder = builder.no_gzip();
    }
    if plain {
        // Loopback: no proxy can reach it, and no roots are needed.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build()
}

/// The body of a call may hold the app's secret, so it stays within its origin.
fn redirect(attempt: Attempt<'_>, content: bool) -> reqwest::redirect::Action {
    let next = attempt.url();
    let same = attempt.previous().last().is_some_and(|from| from.origin() == next.origin());
    let allowed = same || (content && next.scheme() == "https");
    match attempt.previous().len() {
        _ if !allowed => attempt.stop(),
        hops if hops > MAX_REDIRECTS => attempt.error("too many redirects"),
        _ => attempt.follow(),
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn broken(error: &reqwest::Error) -> SendError {
    SendError { message: describe(error), connect: error.is_connect() }
}

/// The whole chain of causes; the innermost one usually says it.
fn describe(error: &reqwest::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !causes.iter().any(|before| before.contains(&said)) {
            causes.push(said);
        }
        cause = error.source();
    }
    // reqwest's own text says little but the URL.
    if causes.is_empty() { tidy(&error.to_string()) } else { tidy(&causes.join(": ")) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::http::HeaderMap;
    use axum::response::Redirect;
    use axum::routing::any;

    use super::*;

    async fn serve(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn get(uri: &str) -> Request<Bytes> {
        Request::get(uri).header("authorization", "Bearer t-secret").body(Bytes::new()).unwrap()
    }

    async fn text(reply: Response<ByteStream>) -> String {
        let chunks: Vec<_> = reply.into_body().map(Result::unwrap).collect().await;
        String::from_utf8(chunks.concat()).unwrap()
    }

    #[tokio::test]
    async fn a_reply_comes_with_headers_and_body() {
        let base =
            serve(Router::new().route("/x", any(|| async { ([("x-tt-logid", "L")], "hi") })));
        let base = base.await;
        let reply = Network::new().send(get(&format!("{base}/x?q=1"))).await.unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["x-tt-logid"], "L");
        assert_eq!(text(reply).await, "hi");
    }

    #[tokio::test]
    async fn a_call_is_never_sent_on_to_another_host() {
        let seen = Arc::new(Mutex::new(0));
        let count = Arc::clone(&seen);
        let other = serve(Router::new().route(
            "/",
            any(|| async move {
                *count.lock().unwrap() += 1;
                "stolen"
            }),
        ))
        .await;
        let to = format!("{other}/");
        let base = serve(
            Router::new()
                .route("/away", any(|| async move { Redirect::temporary(&to) }))
                .route("/near", any(|| async { Redirect::temporary("/here") }))
                .route(
                    "/here",
                    any(|headers: HeaderMap| async move {
                        headers["authorization"].to_str().unwrap().to_owned()
                    }),
                ),
        )
        .await;
        let network = Network::new();
        let away = network.send(get(&format!("{base}/away"))).await.unwrap();
        assert_eq!(away.status(), 307);
        assert_eq!(*seen.lock().unwrap(), 0);
        let near = network.send(get(&format!("{base}/near"))).await.unwrap();
        assert_eq!(text(near).await, "Bearer t-secret");
    }

    #[tokio::test]
    async fn failures_are_told_without_secrets() {
        let network = Network::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap();
        drop(listener);
        let cases =
            [format!("http://{closed}/x?sig=hush"), "http://example.com/?sig=hush".to_owned()];
        for uri in cases {
            let Err(error) = network.send(get(&uri)).await else { panic!("{uri}") };
            assert!(error.connect, "{uri}: {error}");
            assert!(!error.message.contains("hush"), "{error}");
        }
    }

    #[test]
    fn loopback_is_known_in_every_spelling() {
        let cases = [
            ("http://localhost:9/", true),
            ("http://127.0.0.5/", true),
            ("http://[::1]:80/", true),
            ("http://localhost.example/", false),
            ("http://10.0.0.1/", false),
        ];
        for (uri, want) in cases {
            assert_eq!(is_loopback(&uri.parse().unwrap()), want, "{uri}");
        }
    }
}
