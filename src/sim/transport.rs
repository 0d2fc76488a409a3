//! The tenant without a network: the router called as a service, on whatever clock
//! tokio runs on.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use http::{Request, Response, header};
use tower::ServiceExt;

use super::http::Severed;
use crate::feishu::{ByteStream, HttpSend, SendError};

/// Sends requests straight into a tenant. Made by [`super::Tenant::http`].
#[derive(Clone)]
pub struct InProcess {
    router: Router,
}

impl InProcess {
    pub(super) fn new(router: Router) -> Self {
        Self { router }
    }
}

impl HttpSend for InProcess {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, SendError>> {
        let router = self.router.clone();
        async move {
            let Ok(response) = router.oneshot(request.map(Body::from)).await;
            if let Some(Severed { connect }) = response.extensions().get() {
                let what = if *connect { "connection refused" } else { "connection closed" };
                return Err(SendError { connect: *connect, ..broken(what) });
            }
            let promised = response
                .headers()
                .get(header::CONTENT_LENGTH)
                .and_then(|length| length.to_str().ok()?.parse().ok());
            Ok(response.map(|body| checked(body, promised)))
        }
        .boxed()
    }
}

fn broken(what: &str) -> SendError {
    SendError { message: format!("{what} (simulated)"), connect: false }
}

/// The body as an HTTP client hands it out: a body shorter than `Content-Length`
/// promised ends with an error.
fn checked(body: Body, promised: Option<u64>) -> ByteStream {
    let mut left = promised;
    let pieces = body.into_data_stream().map(move |piece| match piece {
        Ok(bytes) => {
            left = left.map(|left| left.saturating_sub(bytes.len() as u64));
            (Ok(bytes), left)
        }
        Err(_) => (Err(broken("connection reset while reading the body")), Some(0)),
    });
    // The last state of the count decides whether one more item, the error, follows.
    let state = (pieces.boxed(), promised.unwrap_or(0), false);
    futures_util::stream::unfold(state, |(mut pieces, mut left, ended)| async move {
        if ended {
            return None;
        }
        match pieces.next().await {
            Some((Ok(bytes), now)) => {
                left = now.unwrap_or(0);
                Some((Ok(bytes), (pieces, left, false)))
            }
            Some((Err(error), _)) => Some((Err(error), (pieces, 0, true))),
            None if left > 0 => Some((Err(broken("the body ended too early")), (pieces, 0, true))),
            None => None,
        }
    })
    // Like a connection, it may be asked again after its end.
    .fuse()
    .boxed()
}
