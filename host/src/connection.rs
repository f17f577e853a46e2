//! One connection, under its deadlines.
//!
//! hyper sets no header deadline unless it is given a timer, and then only warns; so both are set here, always. The
//! header deadline also bounds how long a connection may idle between requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::dispatch::{Site, dispatch};

/// Time for a request head when the script does not say.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request head when the script does not say: twice what browsers and proxies allow.
const HEADER_BYTES: usize = 64 << 10;

/// Largest request head a script may ask for.
const MAX_HEADER_BYTES: usize = 1 << 20;

/// Smallest buffer hyper accepts.
const MIN_BUFFER: usize = 8 << 10;

/// Answers the requests of one connection until either side ends it; finishes the one under way after `stop`.
pub(crate) async fn serve(stream: TcpStream, site: Arc<Site>, stop: CancellationToken) {
    // Responses are written whole; waiting for more would only delay them. Failing to set it costs time, not safety.
    let _ = stream.set_nodelay(true);
    let Ok(peer) = stream.peer_addr() else { return };
    let builder = builder(&site);
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(dispatch(&site, peer, request).await) }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Errors of a connection are its client's: a reset, a timeout, bytes that are not HTTP. hyper has answered those that
    // can be answered.
    let _ = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

fn builder(site: &Site) -> http1::Builder {
    let head = site.limits.header_bytes.unwrap_or(HEADER_BYTES).min(MAX_HEADER_BYTES);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(site.limits.header_timeout.unwrap_or(HEADER_TIMEOUT))
        .max_header_size(head)
        .max_buf_size((head * 2).max(MIN_BUFFER));
    builder
}
