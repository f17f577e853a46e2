//! An address that is served: its socket, and what stands behind it at the moment.
//!
//! What stands behind it can be exchanged while it is served: each request asks anew. So a changed script takes over
//! between two requests, and no connection notices.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::dispatch::Site;
use crate::tls::Tls;

/// An address that is bound, and served once there is something behind it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// What the script asked for; the port may be 0.
    pub(crate) asked: SocketAddr,
    /// What it got.
    pub(crate) address: SocketAddr,
    listener: Mutex<Option<TcpListener>>,
    front: ArcSwapOption<Front>,
    /// Cancelled when it shall stop, and what each response looks at, since asking the token takes a lock.
    stop: CancellationToken,
    stopping: AtomicBool,
    over: watch::Sender<bool>,
}

/// What stands behind an endpoint.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) site: Arc<Site>,
    pub(crate) tls: Option<Arc<Tls>>,
    /// How long requests in flight may go on after a shutdown.
    pub(crate) grace: Duration,
}

impl Endpoint {
    pub(crate) fn new(asked: SocketAddr, address: SocketAddr, listener: TcpListener) -> Arc<Self> {
        Arc::new(Self {
            asked,
            address,
            listener: Mutex::new(Some(listener)),
            front: ArcSwapOption::empty(),
            stop: CancellationToken::new(),
            stopping: AtomicBool::new(false),
            over: watch::Sender::new(false),
        })
    }

    /// Puts something behind it.
    pub(crate) fn set(&self, front: Front) {
        self.front.store(Some(Arc::new(front)));
    }

    /// What stands behind it now; nothing before it is served.
    pub(crate) fn front(&self) -> Option<Arc<Front>> {
        self.front.load_full()
    }

    /// The same for a moment, which costs less.
    pub(crate) fn glance(&self) -> Guard<Option<Arc<Front>>> {
        self.front.load()
    }

    /// The socket, once: for whoever serves it.
    pub(crate) fn take_listener(&self) -> Option<TcpListener> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has it stop: no new connection, and every one ends with the response that is next.
    pub(crate) fn stop(&self) {
        // Before anybody can notice: who finds the address closed has no response after that which keeps a connection.
        self.stopping.store(true, Ordering::Release);
        self.stop.cancel();
    }

    /// Whether it shall stop, or has.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends when it shall stop.
    pub(crate) fn stopping(&self) -> WaitForCancellationFuture<'_> {
        self.stop.cancelled()
    }

    /// Says that it has stopped and drained.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
        // What stood behind it may hold this endpoint's app.
        self.front.store(None);
    }

    /// Waits until it has stopped and drained.
    pub(crate) async fn ended(&self) {
        // An error would mean that the sender is gone, and with it the endpoint.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }
}
