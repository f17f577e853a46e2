//! Accepts connections until it is told to stop, then drains.
//!
//! Accepting never fails for good: an error of one connection is that client's, and running out of descriptors is waited
//! out. Each connection lives in a task of its own, so a client can hold up nobody but itself. Who comes when all places
//! are taken is told so, with status 503, rather than left to guess from a reset.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Terms};
use crate::endpoint::Endpoint;
use crate::logs::Line;
use crate::rarely::Rarely;
use crate::servers::Operator;
use crate::tls;

/// Pause after an error that says the machine has run out of something.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(250);

/// Connections over the cap that are being told so at once. Each takes a second at most; more wait in the backlog.
const REFUSALS: usize = 512;

/// Serves an endpoint until it shall stop, then lets requests in flight go on for as long as its script says.
#[expect(clippy::disallowed_methods, reason = "a task holds a token of the tracker that is waited for")]
pub(crate) async fn serve(endpoint: Arc<Endpoint>, operator: Arc<Operator>) {
    let Some(listener) = endpoint.take_listener() else { return };
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut certificate = std::pin::pin!(follow_certificate(&endpoint, &operator));
    loop {
        let (socket, peer) = tokio::select! {
            accepted = accept(&listener, &operator) => accepted,
            () = &mut certificate => break,
            () = endpoint.stopping() => break,
        };
        let (terms, held) = match operator.places.take(peer.ip()) {
            Some(place) => (Terms::Served, Held::Place(place)),
            None => match Arc::clone(&refusals).acquire_owned().await {
                Ok(refusal) => (Terms::Refused, Held::Refusal(refusal)),
                Err(_closed) => break,
            },
        };
        let (endpoint, operator, cut) = (Arc::clone(&endpoint), Arc::clone(&operator), cut.clone());
        let counted = connections.token();
        tokio::spawn(async move {
            let cut = std::pin::pin!(cut.cancelled());
            tokio::select! {
                biased;
                () = Rarely::new(cut) => {}
                () = connection::serve(socket, peer, &endpoint, &operator, terms) => {}
            }
            drop((held, counted));
        });
    }
    // Closed before the drain: whoever connects now is refused at once rather than left to wait.
    drop(listener);
    drain(&endpoint, &connections, &cut).await;
    endpoint.end();
}

/// What a connection holds while it lasts.
enum Held {
    Place(#[expect(dead_code, reason = "held for its drop")] crate::places::Place),
    Refusal(#[expect(dead_code, reason = "held for its drop")] tokio::sync::OwnedSemaphorePermit),
}

async fn drain(endpoint: &Endpoint, connections: &TaskTracker, cut: &CancellationToken) {
    connections.close();
    if let Some(front) = endpoint.front()
        && tokio::time::timeout(front.grace, connections.wait()).await.is_err()
    {
        front.site.note_cut(front.grace).await;
    }
    cut.cancel();
    connections.wait().await;
}

/// Keeps the certificate of whatever stands behind the endpoint up to date.
async fn follow_certificate(endpoint: &Endpoint, operator: &Operator) {
    while let Some(front) = endpoint.front() {
        if let Some(tls) = &front.tls {
            tls.refresh(&operator.logs, &operator.script).await;
        }
        tokio::time::sleep(tls::RELOAD).await;
    }
}

/// The next connection.
async fn accept(listener: &TcpListener, operator: &Operator) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if of_one_connection(&error) => {}
            Err(error) => {
                let text = format!("cannot accept connections, trying again: {error}");
                operator.logs.write(Line::error(&text).with("script", &operator.script)).await;
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Whether an error of `accept` concerns the connection that was about to be accepted, and no other.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
