//! The listeners of a node: bound before anything is set up, served once the apps are.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use starcell_config::NodeListener;
use starcell_edge::{BoundAddress, ClientLimits, ClientWishes, Edge, EdgeConfig, Front, KeysSource, Tls, listener};
use starcell_log::{Level, Logs};
use starcell_node::{Node, NodeShare, Tenant, WatchPages, WatchSources};
use starcell_runtime::close_address;
use starcell_runtime::slow::on_blocking_thread;

use super::base::Base;
use super::files::{NodeFiles, certificates};
use super::sockets::{KeptSockets, METRICS, NodeSockets, listener_table};

/// Connections at once where numbers are read.
const WATCHERS: Option<NonZeroUsize> = NonZeroUsize::new(64);

/// The listeners of a node.
pub(crate) struct Listeners {
    bound: Vec<Bound>,
    /// Those that a changed configuration names no more. They answer what is in flight.
    leaving: Vec<Arc<BoundAddress>>,
    node: Arc<Node>,
    kept: KeptSockets,
}

struct Bound {
    name: String,
    /// What its table says.
    config: NodeListener,
    address: Arc<BoundAddress>,
    tls: Option<Arc<Tls>>,
}

/// Why a node has no listeners.
pub(crate) enum ListenersError {
    /// An address cannot be bound.
    Unbound(String),
    /// Certificates cannot be read.
    Certificates(String),
}

impl Listeners {
    /// Binds the addresses, but for those that the node was given sockets of, and reads the certificates. Another handle of each
    /// socket is kept.
    ///
    /// # Errors
    /// The sentence that names the listener.
    pub(crate) async fn bind(
        files: &NodeFiles,
        node: &Arc<Node>,
        logs: &Logs,
        sockets: &mut NodeSockets,
        kept: &KeptSockets,
    ) -> Result<Self, ListenersError> {
        let mut bound = Vec::new();
        for (name, listener) in &files.config.listeners {
            let tls = certified(files, name, listener, logs).await.map_err(ListenersError::Certificates)?;
            let addresses = addresses(&listener_table(name), listener.address, sockets, kept).await;
            let addresses = addresses.map_err(|why| ListenersError::Unbound(format!("the listener {name}: {why}")))?;
            let one = |address| Bound { name: name.clone(), config: listener.clone(), address, tls: tls.clone() };
            bound.extend(addresses.into_iter().map(one));
        }
        Ok(Self { bound, leaving: Vec::new(), node: Arc::clone(node), kept: kept.clone() })
    }

    /// Follows a changed configuration: all of it, or nothing where an address or a certificate cannot be had. A listener that
    /// keeps its address keeps its socket, and its connections.
    ///
    /// # Errors
    /// The sentence that names the listener.
    pub(crate) async fn change(&mut self, files: &NodeFiles, edge: &Arc<Edge>, logs: &Logs) -> Result<(), String> {
        let (mut certificates, mut new) = (Vec::new(), Vec::new());
        for (name, config) in &files.config.listeners {
            let known = self.bound.iter().find(|bound| bound.name == *name);
            if known.is_some_and(|bound| bound.config == *config) {
                continue;
            }
            let tls = certified(files, name, config, logs).await?;
            if known.is_some_and(|bound| bound.config.address == config.address) {
                certificates.push((name, config, tls));
                continue;
            }
            let address = BoundAddress::bind(config.address).await;
            let address = address.map_err(|error| format!("the listener {name}: {error}"))?;
            new.push(Bound { name: name.clone(), config: config.clone(), address, tls });
        }
        // From here on nothing can fail.
        let stays = |bound: &Bound| {
            let named = files.config.listeners.get(&bound.name);
            named.is_some_and(|config| config.address == bound.config.address)
        };
        let (stay, gone): (Vec<Bound>, _) = std::mem::take(&mut self.bound).into_iter().partition(stays);
        self.bound = stay;
        for bound in gone {
            self.kept.forget(&listener_table(&bound.name));
            bound.address.set(self.front(bound.tls.as_ref()));
            bound.address.stop();
            logs.say(Level::Info, &format!("the listener {} leaves {}", bound.name, bound.address.address()));
            self.leaving.push(bound.address);
        }
        for (name, config, tls) in certificates {
            for bound in self.bound.iter_mut().filter(|bound| bound.name == *name) {
                (bound.config, bound.tls) = (config.clone(), tls.clone());
            }
            self.bound
                .iter()
                .filter(|bound| bound.name == *name)
                .for_each(|bound| self.open_one(bound, edge, logs, false));
        }
        for bound in new {
            // A process that takes over then binds this one itself.
            if let Ok(socket) = bound.address.duplicate() {
                self.kept.keep(&listener_table(&bound.name), socket);
            }
            self.open_one(&bound, edge, logs, true);
            self.bound.push(bound);
        }
        Ok(())
    }

    /// Has every response say that its connection ends, or no longer.
    pub(crate) fn wind_down(&self, ends: bool) {
        self.bound.iter().for_each(|bound| bound.address.wind_down(ends));
    }

    /// Takes no new connection and keeps the sockets, in whose queues connections wait for whoever serves them next.
    pub(crate) fn leave(&self) {
        for Bound { address, tls, .. } in &self.bound {
            address.set(self.front(tls.as_ref()));
            address.stop();
        }
    }

    /// Begins to answer.
    pub(crate) fn open(&self, edge: &Arc<Edge>, logs: &Logs) {
        self.bound.iter().for_each(|bound| self.open_one(bound, edge, logs, true));
    }

    fn open_one(&self, bound: &Bound, edge: &Arc<Edge>, logs: &Logs, begins: bool) {
        let Bound { name, address, tls, .. } = bound;
        address.set(self.front(tls.as_ref()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        logs.announce(&format!("serving the listener {name} on {scheme}://{}", address.address()));
        if begins {
            listener::start(address, edge);
        }
    }

    /// Refuses new connections, and lets requests in flight go on for as long as their apps say.
    pub(crate) fn stop(&self) {
        self.kept.clear();
        self.leave();
    }

    /// Ends when all have drained.
    pub(crate) async fn ended(&self) {
        let bound = self.bound.iter().map(|bound| &bound.address);
        for address in bound.chain(&self.leaving) {
            address.ended().await;
        }
    }

    fn front(&self, tls: Option<&Arc<Tls>>) -> Front {
        Front { responder: Arc::clone(&self.node) as _, tls: tls.cloned(), grace: grace(&self.node) }
    }
}

/// The certificates of a listener, if it has any.
async fn certified(
    files: &NodeFiles,
    name: &str,
    listener: &NodeListener,
    logs: &Logs,
) -> Result<Option<Arc<Tls>>, String> {
    let Some(folder) = &listener.certificates else { return Ok(None) };
    let tls = Tls::named(source(files.path(folder)), logs).await;
    tls.map(Some).map_err(|why| format!("the listener {name}: {why}"))
}

/// The addresses of a table: its sockets that the node was given, or one that is bound now.
async fn addresses(
    table: &str,
    asked: SocketAddr,
    sockets: &mut NodeSockets,
    kept: &KeptSockets,
) -> Result<Vec<Arc<BoundAddress>>, String> {
    let given = sockets.take(table);
    let found = match given.is_empty() {
        true => BoundAddress::bind(asked).await.map(|address| vec![address]),
        false => given.into_iter().map(|socket| BoundAddress::adopt(socket, asked)).collect(),
    };
    let found = found.map_err(|error| error.to_string())?;
    for address in &found {
        kept.keep(table, address.duplicate().map_err(|error| error.to_string())?);
    }
    Ok(found)
}

/// The place where the numbers of a node are read.
pub(crate) struct Watched {
    pages: Arc<WatchPages>,
    addresses: Vec<Arc<BoundAddress>>,
}

impl Watched {
    /// Looks at other tenants from now on.
    pub(crate) fn set_tenants(&self, tenants: Vec<Arc<Tenant>>) {
        self.pages.set_tenants(tenants);
    }

    /// Says whether the node takes traffic.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.pages.set_ready(ready);
    }

    /// Ends it, for whoever has it next.
    pub(crate) async fn leave(&self) {
        self.addresses.iter().for_each(|address| address.stop());
        for address in &self.addresses {
            address.ended().await;
        }
    }
}

/// Begins to answer where the numbers of a node are read. Where its configuration names no such place, only a collector is
/// sent them.
///
/// # Errors
/// The sentence about an address that cannot be bound.
pub(crate) async fn watch_pages(
    base: &Base,
    node: &Arc<Node>,
    sockets: &mut NodeSockets,
    kept: &KeptSockets,
) -> Result<Watched, String> {
    let NodeShare { memory, logs, metrics, .. } = &base.share;
    let limits = ClientLimits::new(&base.edge.config, &ClientWishes::default());
    let sources = WatchSources {
        metrics: metrics.clone(),
        node: Some(Arc::clone(node)),
        tenants: base.tenants.values().cloned().collect(),
        interpreter: Arc::clone(&base.interpreter),
        memory: memory.clone(),
        images: base.images.clone(),
        edge: Arc::clone(&base.edge),
        telemetry: base.telemetry.queue().cloned(),
    };
    let pages = WatchPages::new(limits, sources);
    base.telemetry.read(&pages);
    let Some(asked) = base.files.config.metrics else { return Ok(Watched { pages, addresses: Vec::new() }) };
    let addresses = addresses(METRICS, asked, sockets, kept).await.map_err(|why| format!("[metrics]: {why}"))?;
    // Places of its own, so that a flood of clients does not hide it from those who watch for one.
    let config = EdgeConfig { max_connections: WATCHERS, access_log: false, ..base.edge.config.clone() };
    let edge = Edge::new(config, memory.clone(), logs.clone());
    for address in &addresses {
        close_address(address.address());
        address.set(Front { responder: Arc::clone(&pages) as _, tls: None, grace: Duration::ZERO });
        logs.announce(&format!("metrics at http://{}/metrics", address.address()));
        listener::start(address, &edge);
    }
    Ok(Watched { pages, addresses })
}

/// As long as the app that asks for most.
fn grace(node: &Node) -> Duration {
    let apps = node.seats();
    let revisions = apps.iter().filter_map(|seat| seat.current());
    revisions.map(|revision| revision.grace()).max().unwrap_or_default()
}

fn source(folder: std::path::PathBuf) -> KeysSource {
    Arc::new(move || {
        let folder = folder.clone();
        Box::pin(async move {
            let read = on_blocking_thread(move || certificates(&folder)).await;
            read.unwrap_or_else(|error| Err(error.to_string()))
        })
    })
}
