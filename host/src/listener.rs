//! Accepts connections until it is told to stop, then drains.
//!
//! Accepting never fails for good: an error of one connection is that client's, and running out of descriptors is waited
//! out. Each connection lives in a task of its own, so a client can hold up nobody but itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection;
use crate::dispatch::Site;

/// Connections one server holds at once; more wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 10_000;

/// Pause after an error that says the machine has run out of something.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(250);

/// Serves `site` until `stop`, then lets requests in flight go on for `grace`.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>, stop: CancellationToken, grace: Duration) {
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (stream, slot) = tokio::select! {
            accepted = accept(&listener, &room, &site) => accepted,
            () = stop.cancelled() => break,
        };
        let (site, stop, cut) = (Arc::clone(&site), stop.clone(), cut.clone());
        connections.spawn(async move {
            tokio::select! {
                () = connection::serve(stream, site, stop) => {}
                () = cut.cancelled() => {}
            }
            drop(slot);
        });
    }
    // Closed before the drain: whoever connects now is refused at once rather than left to wait.
    drop(listener);
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        site.note_cut(grace).await;
        cut.cancel();
        connections.wait().await;
    }
}

/// The next connection, with the place it takes.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    site: &Site,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed; were it, connections would go uncounted.
    let slot = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if of_one_connection(&error) => {}
            Err(error) => {
                site.note_accept_error(&error).await;
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
