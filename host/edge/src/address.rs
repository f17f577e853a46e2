//! An address that is served: its socket, and what stands behind it at the moment.
//!
//! What stands behind it can be exchanged while it is served: each request asks anew. So a changed script takes over
//! between two requests, and no connection notices.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::responder::Responder;
use crate::tls::Tls;

/// An address that is bound, and served once there is something behind it.
#[derive(Debug)]
pub struct BoundAddress {
    /// What was asked for; the port may be 0.
    asked: SocketAddr,
    /// What the system gave.
    address: SocketAddr,
    listener: Mutex<Option<TcpListener>>,
    front: ArcSwapOption<Front>,
    /// Cancelled when it shall stop, and what each response looks at, since asking the token takes a lock.
    stop: CancellationToken,
    stopping: AtomicBool,
    /// Requests that are not answered yet.
    present: AtomicU32,
    over: watch::Sender<bool>,
}

/// What stands behind an endpoint.
#[derive(Debug)]
pub struct Front {
    /// Whoever answers.
    pub responder: Arc<dyn Responder>,
    /// The certificate, where connections are encrypted.
    pub tls: Option<Arc<Tls>>,
    /// How long requests in flight may go on after a shutdown.
    pub grace: Duration,
}

impl BoundAddress {
    /// Binds an address.
    ///
    /// # Errors
    /// The system does not give the address, or all of them are taken.
    #[expect(clippy::disallowed_methods, reason = "the caller holds a permit for the address")]
    pub async fn bind(asked: SocketAddr) -> Result<Arc<Self>, BindError> {
        let cannot = |source| BindError { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self::over(listener, asked, address))
    }

    /// Takes a socket that listens already: a supervisor or an earlier process has bound it. Connections that wait in its
    /// queue are served like those that come later.
    ///
    /// # Errors
    /// The socket is none that listens. The error names `asked`.
    pub fn adopt(socket: std::net::TcpListener, asked: SocketAddr) -> Result<Arc<Self>, BindError> {
        let cannot = |source| BindError { address: asked, source };
        // Two processes may share the socket: one that blocked in `accept` would wait for a connection that the other took.
        socket.set_nonblocking(true).map_err(cannot)?;
        let listener = TcpListener::from_std(socket).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self::over(listener, asked, address))
    }

    fn over(listener: TcpListener, asked: SocketAddr, address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            asked,
            address,
            listener: Mutex::new(Some(listener)),
            front: ArcSwapOption::empty(),
            stop: CancellationToken::new(),
            stopping: AtomicBool::new(false),
            present: AtomicU32::new(0),
            over: watch::Sender::new(false),
        })
    }

    /// Another handle of the socket, before it is served. The address stays open until that handle is dropped too.
    ///
    /// # Errors
    /// The process has no descriptor left, or the socket is served already.
    pub fn duplicate(&self) -> io::Result<std::net::TcpListener> {
        let listener = self.listener.lock();
        let listener = listener.as_ref().ok_or_else(|| io::Error::other("the socket is served already"))?;
        Ok(listener.as_fd().try_clone_to_owned()?.into())
    }

    /// The address that was asked for; its port may be 0.
    #[must_use]
    pub fn asked(&self) -> SocketAddr {
        self.asked
    }

    /// The address that the system gave.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts something behind it.
    pub fn set(&self, front: Front) {
        self.front.store(Some(Arc::new(front)));
    }

    /// What stands behind it now; nothing before it is served.
    #[must_use]
    pub fn front(&self) -> Option<Arc<Front>> {
        self.front.load_full()
    }

    /// What stands behind it now, borrowed for a moment: cheaper than [`front`](Self::front).
    pub(crate) fn glance(&self) -> Guard<Option<Arc<Front>>> {
        self.front.load()
    }

    /// The socket, once: for whoever serves it.
    pub(crate) fn take_listener(&self) -> Option<TcpListener> {
        self.listener.lock().take()
    }

    /// Has it stop: no new connection, and every one ends with the response that is next.
    pub fn stop(&self) {
        // Set the flag before closing the listener: once a client can see the port closed, no later response may say
        // keep-alive.
        self.stopping.store(true, Ordering::Release);
        self.stop.cancel();
    }

    /// Has every response say that its connection ends, or no longer. New connections are taken meanwhile: a client that
    /// keeps a connection learns of the end from a response, and not from a request that nobody answers.
    pub fn wind_down(&self, ends: bool) {
        self.stopping.store(ends, Ordering::Release);
    }

    /// Whether it shall stop, or has.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends when it shall stop.
    pub(crate) fn stopping(&self) -> WaitForCancellationFuture<'_> {
        self.stop.cancelled()
    }

    /// Counts a request until what this returns is dropped.
    pub(crate) fn enter(&self) -> Present<'_> {
        self.present.fetch_add(1, Ordering::Relaxed);
        Present(&self.present)
    }

    /// Requests that are not answered yet.
    pub(crate) fn present(&self) -> u32 {
        self.present.load(Ordering::Relaxed)
    }

    /// Says that it has stopped and drained.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
        // What stood behind it may hold this endpoint's app.
        self.front.store(None);
    }

    /// Waits until it has stopped and drained.
    pub async fn ended(&self) {
        // An error would mean that the sender is gone, and with it the endpoint.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }
}

/// A request that is not answered yet, until this is dropped.
pub(crate) struct Present<'a>(&'a AtomicU32);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot bind {address}: {}", plain(.source))]
pub struct BindError {
    /// What was asked for.
    pub address: SocketAddr,
    source: io::Error,
}

/// The sentence of an I/O error without Rust's "(os error N)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_lowercase()
}
