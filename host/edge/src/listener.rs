//! Accepts connections until it is told to stop, then drains.
//!
//! Accepting never fails for good: an error of one connection is that client's, and running out of descriptors is waited
//! out. Each connection lives in a task of its own, so a client can hold up nobody but itself. A client that comes when all
//! places or all memory is taken is told so, with status 503, rather than left to guess from a reset.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use starcell_budget::Taken;
use starcell_log::Level;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::BoundAddress;
use crate::client::Terms;
use crate::connection;
use crate::edge::Edge;
use crate::group::{Grouped, go_to_the_back};
use crate::rarely::Rarely;
use crate::tls;

/// Pause after an error that says the machine has run out of something.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(250);

/// Connections over the cap that are being told so at once. Each takes a second at most; more wait in the backlog.
const REFUSALS: usize = 512;

/// Begins to serve an endpoint that has something behind it, in a task of its own.
#[expect(clippy::disallowed_methods, reason = "whoever waits for the endpoint to end waits for this task")]
pub fn start(endpoint: &Arc<BoundAddress>, edge: &Arc<Edge>) {
    tokio::spawn(serve(Arc::clone(endpoint), Arc::clone(edge)));
}

/// Serves an endpoint until it shall stop, then lets requests in flight go on for as long as its front says.
#[expect(clippy::disallowed_methods, reason = "a task holds a token of the tracker that is waited for")]
async fn serve(endpoint: Arc<BoundAddress>, edge: Arc<Edge>) {
    let Some(listener) = endpoint.take_listener() else { return };
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut certificate = std::pin::pin!(follow_certificate(&endpoint, &edge));
    loop {
        let (socket, peer) = tokio::select! {
            accepted = accept(&listener, &edge) => accepted,
            () = &mut certificate => break,
            () = endpoint.stopping() => break,
        };
        let place = edge.places.take(peer.ip());
        let admitted = place.and_then(|place| Some((place, connection::room(&endpoint, &edge)?)));
        let (terms, held) = match admitted {
            Some((place, room)) => (Terms::Served, Held::Place(place, room)),
            None => match Arc::clone(&refusals).acquire_owned().await {
                Ok(refusal) => (Terms::Refused, Held::Refusal(refusal)),
                Err(_closed) => break,
            },
        };
        let (endpoint, edge, cut) = (Arc::clone(&endpoint), Arc::clone(&edge), cut.clone());
        let counted = connections.token();
        tokio::spawn(Grouped::of(Arc::clone(&edge.newcomers), |turn| {
            Box::pin(async move {
                let cut = std::pin::pin!(cut.cancelled());
                tokio::select! {
                    biased;
                    () = Rarely::new(cut) => {}
                    () = connection::serve(socket, peer, &endpoint, &edge, terms, turn) => {}
                }
                drop((held, counted));
            })
        }));
        // However many connect at once, those who are there already are not kept waiting by all of them.
        go_to_the_back().await;
    }
    // Closed before the drain: whoever connects now is refused at once rather than left to wait.
    drop(listener);
    drain(&endpoint, &edge, &connections, &cut).await;
    endpoint.end();
}

/// What a connection holds while it lasts.
enum Held {
    Place(
        #[expect(dead_code, reason = "held for its drop")] crate::places::ConnectionPlace,
        #[expect(dead_code, reason = "held for its drop")] Taken,
    ),
    Refusal(#[expect(dead_code, reason = "held for its drop")] tokio::sync::OwnedSemaphorePermit),
}

async fn drain(endpoint: &BoundAddress, edge: &Edge, connections: &TaskTracker, cut: &CancellationToken) {
    connections.close();
    if let Some(front) = endpoint.front()
        && tokio::time::timeout(front.grace, connections.wait()).await.is_err()
    {
        let (count, grace) = (endpoint.present(), front.grace.as_secs_f64());
        let text = format!("shutdown_timeout of {grace} s is over: cut {count} requests in flight");
        edge.logs.say(Level::Warn, &text);
    }
    cut.cancel();
    connections.wait().await;
}

/// Keeps the certificate of whatever stands behind the endpoint up to date.
async fn follow_certificate(endpoint: &BoundAddress, edge: &Edge) {
    while let Some(front) = endpoint.front() {
        if let Some(tls) = &front.tls {
            tls.refresh(&edge.logs).await;
        }
        tokio::time::sleep(tls::RELOAD).await;
    }
}

/// The next connection.
async fn accept(listener: &TcpListener, edge: &Edge) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if of_one_connection(&error) => {}
            Err(error) => {
                let text = format!("cannot accept connections, trying again: {error}");
                edge.logs.say(Level::Error, &text);
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
