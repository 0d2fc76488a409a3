//! The loopback listener that the browser comes back to (RFC 8252, 7.3).
//!
//! It shows the outcome of the login on the page itself: an answer waits until
//! [`Serving::finish`] says how it ended, so that nobody reads "it worked" before the
//! login is stored, and the code in the address bar is spent by then.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, header};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::code_flow::{Callback, PATH};
use super::page::Page;

/// So long open connections are waited for at the end: a browser keeps some that it never
/// sends anything on.
const LINGER: Duration = Duration::from_secs(2);

/// A port of this machine, on IPv4 and, where there is one, IPv6: browsers disagree on
/// what `localhost` means.
#[derive(Debug)]
pub struct Loopback {
    listeners: Vec<TcpListener>,
    port: u16,
}

impl Loopback {
    /// Takes a port; 0: any free one.
    ///
    /// # Errors
    /// `AddrInUse` where another program has it on either of the two: the code would go
    /// to that one.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let v4 = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
        let port = match &v4 {
            Ok(listener) => listener.local_addr()?.port(),
            Err(error) if is_absent(error) => port,
            Err(_) => return v4.map(|_| unreachable!("it is an error")),
        };
        let v6 = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await;
        let listeners = match (v4, v6) {
            (Ok(v4), Ok(v6)) => vec![v4, v6],
            (Ok(one), Err(error)) | (Err(error), Ok(one)) if is_absent(&error) => vec![one],
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let port = listeners[0].local_addr()?.port();
        Ok(Self { listeners, port })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers browsers from now on; `read` says what a query string means.
    pub fn serve(self, read: impl Fn(&str) -> Callback + Send + Sync + 'static) -> Serving {
        let (tell, callbacks) = mpsc::unbounded_channel();
        let (outcome, shown) = watch::channel(None);
        let desk = Arc::new(Desk { read: Box::new(read), tell, shown });
        let router = Router::new().fallback(answer).with_state(desk);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            let (router, stop) = (router.clone(), stop.clone());
            tasks.spawn(async move {
                let stopped = stop.cancelled_owned();
                axum::serve(listener, router).with_graceful_shutdown(stopped).await
            });
        }
        Serving { callbacks, outcome, stop, tasks }
    }
}

/// This machine has no such kind of address at all.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        // EAFNOSUPPORT, which std has no kind for.
        || error.raw_os_error() == Some(97)
}

/// The listener at work; dropped, it ends at once.
#[derive(Debug)]
pub struct Serving {
    callbacks: mpsc::UnboundedReceiver<Callback>,
    outcome: watch::Sender<Option<Page>>,
    stop: CancellationToken,
    tasks: JoinSet<io::Result<()>>,
}

impl Serving {
    /// The next callback, also one that decides nothing. Cancel safe.
    pub async fn next(&mut self) -> Callback {
        match self.callbacks.recv().await {
            Some(callback) => callback,
            // The listeners are gone, which only happens when the process ends.
            None => std::future::pending().await,
        }
    }

    /// Shows how the login ended to every browser that waits for it, and stops listening.
    pub async fn finish(mut self, page: Page) {
        self.outcome.send_replace(Some(page));
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LINGER, ended).await;
    }
}

/// What every request needs.
struct Desk {
    read: Box<dyn Fn(&str) -> Callback + Send + Sync>,
    tell: mpsc::UnboundedSender<Callback>,
    shown: watch::Receiver<Option<Page>>,
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response<Body> {
    let uri = request.uri();
    if uri.path() == "/favicon.ico" {
        return response(204, "image/x-icon", String::new());
    }
    if uri.path() != PATH {
        return shown(&Page::NotFound);
    }
    // Only a browser that follows the redirect counts; it always asks so.
    if request.method() != Method::GET {
        let mut refused = response(405, "text/plain; charset=utf-8", "GET only\n".to_owned());
        refused.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
        return refused;
    }
    let callback = (desk.read)(uri.query().unwrap_or_default());
    let at_once = match &callback {
        Callback::WrongState => Some(Page::WrongState),
        Callback::Incomplete => Some(Page::Incomplete),
        _ => None,
    };
    let _ = desk.tell.send(callback);
    if let Some(page) = at_once {
        return shown(&page);
    }
    // A page loaded twice waits for the same outcome.
    let mut outcome = desk.shown.clone();
    let page = match outcome.wait_for(Option::is_some).await {
        Ok(page) => page.clone().unwrap_or(Page::Stopped),
        Err(_) => Page::Stopped,
    };
    shown(&page)
}

fn shown(page: &Page) -> Response<Body> {
    response(page.status(), "text/html; charset=utf-8", page.html())
}

fn response(status: u16, kind: &'static str, body: String) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, "no-store")
        // The address holds the code; no page that is opened from here is to see it.
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        )
        .header(header::CONNECTION, "close")
        .body(Body::from(body))
        .expect("all parts are constants")
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret, SecretString};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    fn read(query: &str) -> Callback {
        match query {
            "good" => Callback::Code(SecretString::from("hush")),
            "no" => Callback::Denied,
            "" => Callback::Incomplete,
            _ => Callback::WrongState,
        }
    }

    async fn ask(addr: impl Into<SocketAddr>, head: &str) -> String {
        let addr: SocketAddr = addr.into();
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let text = format!("{head} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", addr.port());
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    /// Strangers, old tabs and crawlers are answered, and the login goes on; its own
    /// answer sees the outcome, on both families and loaded twice.
    #[tokio::test]
    async fn only_the_answer_waits_for_the_outcome() {
        let loopback = Loopback::bind(0).await.unwrap();
        let (port, families) = (loopback.port(), loopback.listeners.len());
        let v4 = (Ipv4Addr::LOCALHOST, port);
        let mut serving = loopback.serve(read);

        let wrong = ask(v4, "GET /callback?code=guess&state=guess").await;
        assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
        assert!(wrong.contains("id=\"wrong-state\"") && !wrong.contains("guess"), "{wrong}");
        assert!(matches!(serving.next().await, Callback::WrongState));
        assert!(ask(v4, "GET /callback").await.starts_with("HTTP/1.1 400"));
        assert!(matches!(serving.next().await, Callback::Incomplete));
        assert!(ask(v4, "GET /").await.starts_with("HTTP/1.1 404"));
        assert!(ask(v4, "GET /favicon.ico").await.starts_with("HTTP/1.1 204"));
        assert!(ask(v4, "POST /callback?good").await.starts_with("HTTP/1.1 405"));
        assert!(ask(v4, "HEAD /callback?good").await.starts_with("HTTP/1.1 405"));

        let first = tokio::spawn(ask(v4, "GET /callback?good"));
        let second = match families {
            2 => tokio::spawn(ask((Ipv6Addr::LOCALHOST, port), "GET /callback?good")),
            _ => tokio::spawn(ask(v4, "GET /callback?good")),
        };
        for _ in 0..2 {
            let Callback::Code(code) = serving.next().await else { panic!() };
            assert_eq!(code.expose_secret(), "hush");
        }
        // A connection on which nothing is ever sent does not hold up the end.
        let _idle = TcpStream::connect(v4).await.unwrap();
        serving.finish(Page::Done { name: "王芳".to_owned() }).await;
        for reply in [first.await.unwrap(), second.await.unwrap()] {
            assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("王芳"), "{reply}");
            let head = reply.to_lowercase();
            for line in
                ["cache-control: no-store", "referrer-policy: no-referrer", "default-src 'none'"]
            {
                assert!(head.contains(line), "{line}: {reply}");
            }
        }
        assert!(TcpStream::connect(v4).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_denial_is_an_answer_and_an_end_without_outcome_says_so() {
        let loopback = Loopback::bind(0).await.unwrap();
        let v4 = (Ipv4Addr::LOCALHOST, loopback.port());
        let mut serving = loopback.serve(read);
        let browser = tokio::spawn(ask(v4, "GET /callback?no"));
        assert!(matches!(serving.next().await, Callback::Denied));
        serving.finish(Page::Denied).await;
        assert!(browser.await.unwrap().contains("id=\"denied\""));
    }

    /// Whoever holds the port on either family would get the code.
    #[tokio::test]
    async fn a_port_that_is_taken_on_either_family_is_busy() {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = v4.local_addr().unwrap().port();
        let error = Loopback::bind(port).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(v4);
        if let Ok(v6) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await {
            let port = v6.local_addr().unwrap().port();
            let error = Loopback::bind(port).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
