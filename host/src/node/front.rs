//! The listeners of a node: bound before anything is set up, served once the apps are.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use starcell_edge::{BoundAddress, ClientLimits, ClientWishes, Edge, EdgeConfig, Front, KeysSource, Tls, listener};
use starcell_log::Logs;
use starcell_node::{Node, NodeShare, WatchPages};
use starcell_runtime::close_address;

use super::base::Base;
use super::files::{NodeFiles, certificates};

/// Connections at once where numbers are read.
const WATCHERS: Option<NonZeroUsize> = NonZeroUsize::new(64);

/// The listeners of a node.
pub(crate) struct Listeners {
    bound: Vec<Bound>,
    node: Arc<Node>,
}

struct Bound {
    name: String,
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
    /// Binds the addresses and reads the certificates.
    ///
    /// # Errors
    /// The sentence that names the listener.
    pub(crate) async fn bind(files: &NodeFiles, node: &Arc<Node>, logs: &Logs) -> Result<Self, ListenersError> {
        let mut bound = Vec::new();
        for (name, listener) in &files.config.listeners {
            let tls = match &listener.certificates {
                None => None,
                Some(folder) => {
                    let folder = files.path(folder);
                    let tls = Tls::named(source(folder), logs).await;
                    Some(tls.map_err(|why| ListenersError::Certificates(format!("the listener {name}: {why}")))?)
                }
            };
            let address = BoundAddress::bind(listener.address).await;
            let address = address.map_err(|error| ListenersError::Unbound(format!("the listener {name}: {error}")))?;
            bound.push(Bound { name: name.clone(), address, tls });
        }
        Ok(Self { bound, node: Arc::clone(node) })
    }

    /// Begins to answer.
    pub(crate) fn open(&self, edge: &Arc<Edge>, logs: &Logs) {
        for Bound { name, address, tls } in &self.bound {
            address.set(self.front(tls.as_ref()));
            let scheme = if tls.is_some() { "https" } else { "http" };
            logs.announce(&format!("serving the listener {name} on {scheme}://{}", address.address()));
            listener::start(address, edge);
        }
    }

    /// Takes no new connection, and lets requests in flight go on for as long as their apps say.
    pub(crate) fn stop(&self) {
        for Bound { address, tls, .. } in &self.bound {
            address.set(self.front(tls.as_ref()));
            address.stop();
        }
    }

    /// Ends when all have drained.
    pub(crate) async fn ended(&self) {
        for bound in &self.bound {
            bound.address.ended().await;
        }
    }

    fn front(&self, tls: Option<&Arc<Tls>>) -> Front {
        Front { responder: Arc::clone(&self.node) as _, tls: tls.cloned(), grace: grace(&self.node) }
    }
}

/// Begins to answer where the numbers of a node are read.
///
/// # Errors
/// The sentence about an address that cannot be bound.
pub(crate) async fn watch_pages(base: &Base, node: &Arc<Node>) -> Result<Option<Arc<WatchPages>>, String> {
    let Some(asked) = base.files.config.metrics else { return Ok(None) };
    let NodeShare { memory, logs, metrics, .. } = &base.share;
    let limits = ClientLimits::new(&base.edge.config, &ClientWishes::default());
    let (metrics, interpreter) = (metrics.clone(), Arc::clone(&base.interpreter));
    let (images, node) = (base.images.clone(), Arc::clone(node));
    let pages = WatchPages::new(limits, metrics, node, interpreter, memory.clone(), images);
    let address = BoundAddress::bind(asked).await.map_err(|error| format!("[metrics]: {error}"))?;
    close_address(address.address());
    address.set(Front { responder: Arc::clone(&pages) as _, tls: None, grace: Duration::ZERO });
    // Places of its own, so that a flood of clients does not hide it from those who watch for one.
    let config = EdgeConfig { max_connections: WATCHERS, access_log: false, ..base.edge.config.clone() };
    let edge = Edge::new(config, memory.clone(), logs.clone());
    logs.announce(&format!("metrics at http://{}/metrics", address.address()));
    listener::start(&address, &edge);
    Ok(Some(pages))
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
            let read = tokio::task::spawn_blocking(move || certificates(&folder)).await;
            read.unwrap_or_else(|error| Err(error.to_string()))
        })
    })
}
