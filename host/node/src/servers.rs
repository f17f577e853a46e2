//! The servers of one app: bound, served, stopped and drained.
//!
//! This is the side of an app that faces the network. The runtime asks it to bind what a permit holds; everything a
//! client can do to the app goes through the `Site` that a server becomes once it is served.
//!
//! A script that changed is set up beside the one that runs, as its successor: it asks for its addresses like any other
//! script, and where its predecessor serves one of them already, it takes that over when it is ready, and not before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use starcell_edge::{BoundAddress, CertificatePem, CertificateSource, Front, Tls, listener};
use starcell_http::router::Routes;
use starcell_log::Level;
use starcell_policy::{Permit, ServerAddress};
use starcell_runtime::host::BoxFuture;
use starcell_runtime::{AppHost, ListenError, LogRecord, Serve, ServerOptions, Serving, TlsFiles, TlsSource};
use tokio_util::sync::CancellationToken;

use crate::hosts::Hosts;
use crate::lowered::{RequestTime, lowered};
use crate::remark::remark;
use crate::routes::add_route;
use crate::site::Site;
use crate::terms::AppTerms;

/// How long requests in flight may go on after a shutdown when the script does not say.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// All servers of an app.
#[derive(Debug)]
pub struct Servers {
    terms: Arc<AppTerms>,
    slots: Mutex<Vec<Slot>>,
    /// Endpoints of the predecessor, until this app takes over; the place is the number of the server.
    inherited: Mutex<Option<Vec<Option<Arc<BoundAddress>>>>>,
    /// Cancelled once this app serves, if it is a successor.
    ready: CancellationToken,
    /// Whether the app shall end: no server of it is served any more.
    over: AtomicBool,
    /// Cancelled once a server of its own answers.
    answering: CancellationToken,
}

/// One server, running or not.
#[derive(Debug, Default)]
struct Slot {
    routes: Arc<Routes>,
    bound: Option<Bound>,
    /// What will stand behind the endpoint when the successor takes over.
    staged: Option<Front>,
    running: Option<Arc<BoundAddress>>,
    port: Option<u16>,
}

/// A server that has its address and no script behind it yet.
#[derive(Debug)]
struct Bound {
    endpoint: Arc<BoundAddress>,
    options: ServerOptions,
    tls: Option<Arc<Tls>>,
}

impl Servers {
    /// No servers yet.
    #[must_use]
    pub fn new(terms: Arc<AppTerms>) -> Arc<Self> {
        Self::with(terms, None)
    }

    /// No servers yet, but those of this app to take over.
    #[must_use]
    pub fn successor(&self) -> Arc<Self> {
        let inherited = self.slots().iter().map(|slot| slot.running.clone()).collect();
        Self::with(Arc::clone(&self.terms), Some(inherited))
    }

    fn with(terms: Arc<AppTerms>, inherited: Option<Vec<Option<Arc<BoundAddress>>>>) -> Arc<Self> {
        let (slots, inherited) = (Mutex::default(), Mutex::new(inherited));
        let (ready, answering) = (CancellationToken::new(), CancellationToken::new());
        let over = AtomicBool::new(false);
        Arc::new(Self { terms, slots, inherited, ready, answering, over })
    }

    /// Ends when the first server answers that this app has bound itself.
    pub async fn answering(&self) {
        self.answering.cancelled().await;
    }

    /// Ends when a successor has taken over: its script waits for its servers.
    pub async fn ready(&self) {
        self.ready.cancelled().await;
    }

    /// Tells every running server to stop; says whether there was one.
    pub fn stop_all(&self) -> bool {
        let slots = self.slots();
        let running = slots.iter().filter_map(|slot| slot.running.as_ref());
        running.filter(|endpoint| !endpoint.is_stopping()).map(|endpoint| endpoint.stop()).count() > 0
    }

    /// Tells every running server to stop, and lets none begin that the script starts later: its `serve()` returns at once.
    /// Says whether there was a running one.
    pub fn end(&self) -> bool {
        self.over.store(true, Ordering::SeqCst);
        self.stop_all()
    }

    /// Whether a server answers.
    #[must_use]
    pub fn are_serving(&self) -> bool {
        let slots = self.slots();
        slots.iter().filter_map(|slot| slot.running.as_ref()).any(|endpoint| !endpoint.is_stopping())
    }

    /// Stops every server and waits until all have drained.
    pub async fn close(&self) {
        self.stop_all();
        let running: Vec<_> = self.slots().iter().filter_map(|slot| slot.running.clone()).collect();
        for endpoint in running {
            endpoint.ended().await;
        }
    }

    /// Gives up all servers without stopping them: a successor has taken them over.
    pub fn resign(&self) {
        self.slots().clear();
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock()
    }

    /// Runs `f` with the slot of a server that exists.
    fn slot<T>(&self, server: u32, f: impl FnOnce(&mut Slot) -> Result<T, String>) -> Result<T, String> {
        match self.slots().get_mut(server as usize) {
            Some(slot) => f(slot),
            None => Err(format!("there is no server {server}")),
        }
    }

    /// The endpoint of a server: its predecessor's, or a new one.
    async fn endpoint(&self, server: u32, permit: &Permit<ServerAddress>) -> Result<Arc<BoundAddress>, ListenError> {
        let asked = permit.resource().socket_addr();
        if let Some(endpoint) = self.inherit(server, asked) {
            return Ok(endpoint);
        }
        let given = self.terms.edge.given(asked).map_err(|error| ListenError::Unbound(error.to_string()))?;
        let bound = match given {
            Some(socket) => BoundAddress::adopt(socket, asked),
            None => BoundAddress::bind(asked).await,
        };
        bound.map_err(|error| ListenError::Unbound(error.to_string()))
    }

    /// The endpoint of the predecessor at an address, or at the same server with a port of the system's choice.
    fn inherit(&self, server: u32, asked: SocketAddr) -> Option<Arc<BoundAddress>> {
        let inherited = self.inherited.lock();
        let endpoints = inherited.as_ref()?;
        let same = endpoints.get(server as usize)?.as_ref().filter(|endpoint| endpoint.asked() == asked);
        let found = same.or_else(|| endpoints.iter().flatten().find(|endpoint| endpoint.address() == asked));
        found.filter(|endpoint| !endpoint.is_stopping()).cloned()
    }

    /// Takes over from the predecessor: every staged server is put in place, and what has none any more is stopped.
    fn take_over(&self) {
        let Some(inherited) = self.inherited.lock().take() else { return };
        let mut slots = self.slots();
        for slot in slots.iter_mut() {
            if let (Some(front), Some(endpoint)) = (slot.staged.take(), &slot.running) {
                let taken_over = inherited.iter().flatten().any(|old| Arc::ptr_eq(old, endpoint));
                endpoint.set(front);
                if !taken_over {
                    self.start(endpoint);
                }
            }
        }
        for old in inherited.iter().flatten() {
            let kept = slots.iter().filter_map(|slot| slot.running.as_ref()).any(|new| Arc::ptr_eq(old, new));
            if !kept {
                old.stop();
            }
        }
        self.ready.cancel();
    }

    /// Begins to answer at an endpoint that has something behind it.
    fn start(&self, endpoint: &Arc<BoundAddress>) {
        let tls = endpoint.front().is_some_and(|front| front.tls.is_some());
        let scheme = if tls { "https" } else { "http" };
        let text = format!("serving {} on {scheme}://{}", self.terms.script, endpoint.address());
        self.terms.logs.announce(&text);
        listener::start(endpoint, &self.terms.edge);
        self.answering.cancel();
    }
}

impl AppHost for Servers {
    fn add_route(&self, server: u32, pattern: &str) -> Result<u32, String> {
        add_route(&mut self.slots(), server, pattern, |slot| &mut slot.routes)
    }

    fn listen<'a>(
        &'a self,
        server: u32,
        options: ServerOptions,
        permit: Permit<ServerAddress>,
        tls: Option<TlsSource>,
    ) -> BoxFuture<'a, Result<u16, ListenError>> {
        Box::pin(async move {
            let tls = match tls {
                Some(source) => Some(Tls::load(certificate(source)).await.map_err(ListenError::Failed)?),
                None => None,
            };
            let endpoint = self.endpoint(server, &permit).await?;
            self.slot(server, |slot| {
                let port = endpoint.address().port();
                slot.bound = Some(Bound { endpoint, options, tls });
                slot.port = Some(port);
                Ok(port)
            })
            .map_err(ListenError::Failed)
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
        // A script that waits has set up what it wants to serve.
        self.take_over();
        let running = self.slot(server, |slot| Ok(slot.running.clone()));
        Box::pin(async move {
            if let Ok(Some(endpoint)) = running {
                endpoint.ended().await;
            }
        })
    }

    fn stop(&self, server: u32) {
        // A server that does not exist is stopped. One that was to be taken over goes on until then.
        let _ = self.slot(server, |slot| {
            match slot.staged.take() {
                Some(_) => slot.running = None,
                None => slot.running.iter().for_each(|endpoint| endpoint.stop()),
            }
            Ok(())
        });
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn port(&self, server: u32) -> Option<u16> {
        self.slot(server, |slot| Ok(slot.port)).ok().flatten()
    }

    fn log<'a>(&'a self, record: &'a LogRecord<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.terms.logs.script(&remark(record)).await })
    }
}

impl Serve for Servers {
    fn serve(&self, server: u32, serving: Serving) -> Result<(), String> {
        let successor = self.inherited.lock().is_some();
        self.slot(server, |slot| {
            let Bound { endpoint, options, tls } = slot.bound.take().ok_or("the server is not bound")?;
            // Whoever asked the app to end looks at the servers that run after it has said so, and this one is none yet.
            if self.is_over() {
                return Ok(());
            }
            let grace = options.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT);
            let failures = Arc::new(self.terms.logs.clone());
            let terms = &self.terms;
            let hosts = Hosts::new(&terms.allow_hosts, terms.dev, endpoint.address().ip(), &slot.routes);
            let site = Site::new(Arc::clone(&slot.routes), serving, &options, terms, hosts, failures);
            let front = Front { responder: site, tls, grace };
            let request = RequestTime { time: terms.request_time, set_by: "--request-time" };
            for sentence in lowered(&options, &terms.edge.config, request) {
                terms.logs.say(Level::Warn, &sentence);
            }
            slot.running = Some(Arc::clone(&endpoint));
            if successor {
                slot.staged = Some(front);
            } else {
                endpoint.set(front);
                self.start(&endpoint);
            }
            Ok(())
        })
    }
}

/// What the runtime reads under a script's permissions, as the edge takes it.
fn certificate(source: TlsSource) -> CertificateSource {
    Arc::new(move || {
        let files = source();
        Box::pin(async move {
            let TlsFiles { cert_path, cert, key_path, key } = files.await?;
            Ok(CertificatePem { cert_path, cert, key_path, key })
        })
    })
}
