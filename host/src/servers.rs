//! The servers of one app: bound, served, stopped and drained.
//!
//! This is the side of an app that faces the network. The runtime asks it to bind what a permit holds; everything a
//! client can do to the app goes through the [`Site`] that a server becomes once it is served.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starcell_policy::{Permit, ServerAddress};
use starcell_runtime::edge::BoxFuture;
use starcell_runtime::{Edge, LogRecord, ServerOptions, Serving};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dispatch::Site;
use crate::listener;
use crate::logs::Logs;
use crate::router::Routes;

/// Servers one script may create.
const MAX_SERVERS: u32 = 64;

/// Routes one server may have.
const MAX_ROUTES: usize = 1000;

/// Bytes one pattern may have.
const MAX_PATTERN: usize = 1024;

/// How long requests in flight may go on after a shutdown when the script does not say.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// What an operator decided for all servers of an app.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the script, for messages.
    pub script: String,
    /// Whether clients see tracebacks.
    pub dev: bool,
    /// Longest time for one request.
    pub request_time: Duration,
}

/// All servers of an app.
#[derive(Debug)]
pub struct Servers {
    settings: Settings,
    logs: Logs,
    slots: Mutex<Vec<Slot>>,
    bind_error: Mutex<Option<String>>,
}

/// One server, running or not.
#[derive(Debug, Default)]
struct Slot {
    routes: Arc<Routes>,
    bound: Option<(TcpListener, ServerOptions)>,
    running: Option<Running>,
    port: Option<u16>,
}

/// A server that answers, or drains.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    over: watch::Receiver<bool>,
}

impl Servers {
    /// No servers yet.
    #[must_use]
    pub fn new(settings: Settings, logs: Logs) -> Arc<Self> {
        Arc::new(Self { settings, logs, slots: Mutex::default(), bind_error: Mutex::default() })
    }

    /// Tells every running server to stop; says whether there was one.
    pub fn stop_all(&self) -> bool {
        let slots = self.slots();
        let running = slots.iter().filter_map(|slot| slot.running.as_ref());
        running.filter(|running| !running.stop.is_cancelled()).map(|running| running.stop.cancel()).count() > 0
    }

    /// Stops every server and waits until all have drained.
    pub async fn close(&self) {
        self.stop_all();
        let count = self.slots().len();
        for server in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            self.wait(server).await;
        }
    }

    /// Why the last address could not be bound.
    #[must_use]
    pub fn bind_error(&self) -> Option<String> {
        self.bind_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        // No code that can panic runs under this lock, and a half-written slot is still a slot.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` with the slot of a server that exists.
    fn slot<T>(&self, server: u32, f: impl FnOnce(&mut Slot) -> Result<T, String>) -> Result<T, String> {
        match self.slots().get_mut(server as usize) {
            Some(slot) => f(slot),
            None => Err(format!("there is no server {server}")),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the permit holds what is bound")]
    async fn bind(&self, permit: &Permit<ServerAddress>) -> Result<TcpListener, String> {
        let address = permit.resource().socket_addr();
        TcpListener::bind(address).await.map_err(|error| {
            let text = format!("cannot bind {address}: {}", plain(&error));
            *self.bind_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
            text
        })
    }
}

impl Edge for Servers {
    fn add_route(&self, server: u32, pattern: &str) -> Result<(), String> {
        if server >= MAX_SERVERS {
            return Err(format!("a script may create {MAX_SERVERS} servers at most"));
        }
        if pattern.len() > MAX_PATTERN {
            return Err(format!("a pattern may have {MAX_PATTERN} bytes at most, this one has {}", pattern.len()));
        }
        let mut slots = self.slots();
        while slots.len() <= server as usize {
            slots.push(Slot::default());
        }
        let Some(slot) = slots.get_mut(server as usize) else { return Err("out of memory".into()) };
        if slot.routes.len() >= MAX_ROUTES {
            return Err(format!("a server may have {MAX_ROUTES} routes at most"));
        }
        Arc::make_mut(&mut slot.routes).add(pattern).map(|_| ()).map_err(|error| error.to_string())
    }

    fn listen<'a>(
        &'a self,
        server: u32,
        options: ServerOptions,
        permit: Permit<ServerAddress>,
    ) -> BoxFuture<'a, Result<u16, String>> {
        Box::pin(async move {
            if options.tls_cert.is_some() || options.tls_key.is_some() {
                return Err("tls_cert and tls_key: serving over TLS is not supported by this version".into());
            }
            let listener = self.bind(&permit).await?;
            let port = listener.local_addr().map_err(|error| plain(&error))?.port();
            self.slot(server, |slot| {
                slot.bound = Some((listener, options));
                slot.port = Some(port);
                Ok(port)
            })
        })
    }

    #[expect(clippy::disallowed_methods, reason = "whoever waits for the server waits for this task")]
    fn serve(&self, server: u32, serving: Serving) -> Result<(), String> {
        self.slot(server, |slot| {
            let (listener, options) = slot.bound.take().ok_or("the server is not bound")?;
            let address = listener.local_addr().map_err(|error| plain(&error))?;
            let (stop, (over, receiver)) = (CancellationToken::new(), watch::channel(false));
            let grace = options.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT);
            let site = Site::new(Arc::clone(&slot.routes), serving, &options, &self.settings, self.logs.clone());
            slot.running = Some(Running { stop: stop.clone(), over: receiver });
            self.logs.announce(&format!("serving {} on http://{address}", self.settings.script));
            tokio::spawn(async move {
                listener::serve(listener, site, stop, grace).await;
                // Whoever waits holds a receiver; without one nobody does.
                let _ = over.send(true);
            });
            Ok(())
        })
    }

    fn abandon(&self, server: u32) {
        // A server that does not exist has nothing to give up.
        let _ = self.slot(server, |slot| {
            slot.bound = None;
            Ok(())
        });
    }

    fn wait(&self, server: u32) -> BoxFuture<'_, ()> {
        let over = self.slot(server, |slot| Ok(slot.running.as_ref().map(|running| running.over.clone())));
        Box::pin(async move {
            if let Ok(Some(mut over)) = over {
                // An error means that the sender is gone, so the server is over too.
                let _ = over.wait_for(|over| *over).await;
            }
        })
    }

    fn stop(&self, server: u32) {
        // A server that does not exist is stopped.
        let _ = self.slot(server, |slot| {
            slot.running.iter().for_each(|running| running.stop.cancel());
            Ok(())
        });
    }

    fn port(&self, server: u32) -> Option<u16> {
        self.slot(server, |slot| Ok(slot.port)).ok().flatten()
    }

    fn log<'a>(&'a self, record: &'a LogRecord<'a>) -> BoxFuture<'a, ()> {
        Box::pin(self.logs.script(&self.settings.script, record))
    }
}

/// The sentence of an I/O error without Rust's "(os error N)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_lowercase()
}
