//! The tenant on a loopback port, for `demo`, the official SDK and any other client.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{self, Next};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::tenant::Tenant;

/// A tenant that is being served; stops when dropped.
#[derive(Debug)]
pub struct Serving {
    _guard: DropGuard,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

impl Serving {
    /// Serves until the process ends or the tenant's server fails.
    pub async fn wait(self) -> io::Result<()> {
        self.task.await.map_err(io::Error::other)?
    }
}

/// Serves a tenant at `addr` (port 0: any free one); returns where.
///
/// # Errors
///
/// `InvalidInput` for an address that other machines could reach: the tenant's
/// credentials are public.
pub async fn serve(tenant: Tenant, addr: SocketAddr) -> io::Result<(SocketAddr, Serving)> {
    if !addr.ip().is_loopback() {
        let text = format!("{addr} is not a loopback address; use 127.0.0.1 or [::1]");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let app = tenant
        .router()
        .layer(middleware::from_fn(hand_over))
        .into_make_service_with_connect_info::<Wire>();
    let server = axum::serve(Lines(listener), app);
    let task = tokio::spawn(async move {
        tokio::select! {
            result = server => result,
            () = stopped => Ok(()),
        }
    });
    Ok((addr, Serving { _guard: stop.drop_guard(), task }))
}

/// Puts the connection where the router's own code looks for it.
async fn hand_over(
    ConnectInfo(wire): ConnectInfo<Wire>,
    mut request: Request,
    next: Next,
) -> axum::response::Response {
    request.extensions_mut().insert(wire);
    next.run(request).await
}

/// A connection's switch: once cut, nothing goes out any more.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<AtomicBool>);

impl Wire {
    /// Cuts the connection before its next byte.
    pub fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Lines>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().wire.clone()
    }
}

/// A listener whose connections can be cut.
struct Lines(TcpListener);

impl Listener for Lines {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, addr) = Listener::accept(&mut self.0).await;
        (Line { stream, wire: Wire::default() }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection that can be cut.
struct Line {
    stream: TcpStream,
    wire: Wire,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        if self.wire.0.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut on purpose"));
        }
        Ok(())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
