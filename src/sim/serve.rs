//! The tenant on a loopback port, for `demo`, the official SDK and any other client.
//!
//! hyper itself and not `axum::serve`, for two things: header names in title case, as
//! the service spells them (the Python SDK looks them up by exact spelling), and a
//! connection that dies before its reply where a fault says so.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use super::http::Severed;
use super::tenant::Tenant;

/// A tenant that is being served; stops when dropped.
#[derive(Debug)]
pub struct Serving {
    _guard: DropGuard,
    stop: CancellationToken,
}

impl Serving {
    /// Waits for ever: for a server that runs until the process is interrupted.
    pub async fn wait(self) {
        self.stop.cancelled().await;
    }
}

/// Serves a tenant at `addr` (port 0: any free one); returns where.
///
/// # Errors
///
/// `InvalidInput` for an address that other machines could reach: the tenant's
/// credentials are public. Otherwise what binding the port says.
pub async fn serve(tenant: Tenant, addr: SocketAddr) -> io::Result<(SocketAddr, Serving)> {
    if !addr.ip().is_loopback() {
        let text = format!("{addr} is not a loopback address; use 127.0.0.1 or [::1]");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let stop = CancellationToken::new();
    tokio::spawn(accept(listener, tenant.router(), stop.clone()));
    Ok((addr, Serving { _guard: stop.clone().drop_guard(), stop }))
}

async fn accept(listener: TcpListener, router: Router, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, router.clone(), stop.clone()));
            }
            Err(error) => {
                // Most likely too many open files: what is being served may end.
                tracing::warn!("the simulated tenant cannot accept a connection: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Replies are small; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request).await;
            match response.extensions().get::<Severed>() {
                // An error here makes hyper close the connection without a reply.
                Some(Severed { .. }) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                None => Ok(response),
            }
        }
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!("a connection to the simulated tenant ended: {error}");
            }
        }
        () = stop.cancelled() => {}
    }
}
