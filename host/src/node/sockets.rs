//! The listening sockets of a node: those that it was given, and handles of those that it has.
//!
//! A socket belongs to a table of the configuration, by whose name it is called: `listeners.web`, `metrics`, `admin`. A supervisor
//! calls it by the name of the listener alone, or not at all; then its address tells.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::Mutex;
use starcell_config::{AdminAddress, NodeConfig};

use crate::sockets::GivenSocket;

/// The name of the table of metrics.
pub(crate) const METRICS: &str = "metrics";

/// The name of the table of the address by which a node is operated.
pub(crate) const ADMIN: &str = "admin";

/// The table of a listener.
pub(crate) fn listener_table(name: &str) -> String {
    format!("listeners.{name}")
}

/// Sockets that a node was given, each with the table that it is for.
#[derive(Debug, Default)]
pub(crate) struct NodeSockets(Vec<(String, TcpListener)>);

impl NodeSockets {
    /// Finds the table of each socket.
    ///
    /// # Errors
    /// The sentence about a socket that is for none.
    pub(crate) fn assign(given: Vec<GivenSocket>, config: &NodeConfig) -> Result<Self, String> {
        let tables = tables(config);
        let assign = |GivenSocket { name, socket }: GivenSocket| {
            let local = socket.local_addr().map_err(|error| format!("the socket {name:?} has no address: {error}"))?;
            let named = |table: &str| table == name || table.strip_prefix("listeners.") == Some(name.as_str());
            let found = tables.iter().find(|(table, _)| named(table));
            let found = found.or_else(|| tables.iter().find(|(_, address)| *address == local));
            let Some((table, _)) = found else {
                let known: Vec<&str> = tables.iter().map(|(table, _)| table.as_str()).collect();
                return Err(format!(
                    "the socket {name:?} at {local}, which was passed to the node, is for none of its tables: {}; name it \
                     after one (FileDescriptorName= of systemd)",
                    known.join(", ")
                ));
            };
            Ok((table.clone(), socket))
        };
        given.into_iter().map(assign).collect::<Result<_, _>>().map(Self)
    }

    /// The sockets of an earlier process, as far as the configuration still has them: one whose table is gone, or has another
    /// address, is closed.
    pub(crate) fn inherited(given: Vec<GivenSocket>, config: &NodeConfig) -> Self {
        let tables = tables(config);
        let is_same = |asked: SocketAddr, local: SocketAddr| {
            // Port 0 is whatever port the earlier process was given.
            asked == local || (asked.port() == 0 && asked.ip() == local.ip())
        };
        let fits = |given: &GivenSocket| {
            let asked = tables.iter().find(|(table, _)| *table == given.name).map(|(_, asked)| *asked);
            asked.zip(given.socket.local_addr().ok()).is_some_and(|(asked, local)| is_same(asked, local))
        };
        Self(given.into_iter().filter(fits).map(|GivenSocket { name, socket }| (name, socket)).collect())
    }

    /// Takes the sockets of a table.
    pub(crate) fn take(&mut self, table: &str) -> Vec<TcpListener> {
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|(of, _)| of == table);
        self.0 = left;
        let taken: Vec<(String, TcpListener)> = taken;
        taken.into_iter().map(|(_, socket)| socket).collect()
    }
}

fn tables(config: &NodeConfig) -> Vec<(String, SocketAddr)> {
    let listeners = config.listeners.iter().map(|(name, listener)| (listener_table(name), listener.address));
    let admin = match &config.admin {
        Some(AdminAddress::Loopback { address, .. }) => Some((ADMIN.to_owned(), *address)),
        // A socket in the file system is made anew by each process.
        Some(AdminAddress::Unix(_)) | None => None,
    };
    listeners.chain(config.metrics.map(|address| (METRICS.to_owned(), address))).chain(admin).collect()
}

/// Handles of the sockets that a node has, for a process that takes over. An address stays open for as long as one is kept.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptSockets(Arc<Mutex<Vec<(String, TcpListener)>>>);

impl KeptSockets {
    /// Keeps a handle.
    pub(crate) fn keep(&self, table: &str, socket: TcpListener) {
        self.0.lock().push((table.to_owned(), socket));
    }

    /// Gives up the handles of a table that is no more.
    pub(crate) fn forget(&self, table: &str) {
        self.0.lock().retain(|(of, _)| of != table);
    }

    /// Gives up all handles: the addresses are closed with their listeners.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Another handle of each.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub(crate) fn copies(&self) -> std::io::Result<Vec<(String, TcpListener)>> {
        let kept = self.0.lock();
        kept.iter().map(|(table, socket)| Ok((table.clone(), socket.try_clone()?))).collect()
    }

    /// The handles, for this process to begin anew with.
    pub(crate) fn into_given(self) -> Vec<GivenSocket> {
        let kept = std::mem::take(&mut *self.0.lock());
        kept.into_iter().map(|(name, socket)| GivenSocket { name, socket }).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_finds_its_table_by_name_or_by_address() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (named, unnamed, whole, operated) = (listen(), listen(), listen(), listen());
        let address = unnamed.local_addr().unwrap();
        let text = format!(
            "[node]\nstate = \"s\"\napps = \"a\"\n[listeners.web]\naddress = \"127.0.0.1:1\"\n\
             [listeners.other]\naddress = \"{address}\"\n[metrics]\naddress = \"127.0.0.1:2\"\n\
             [admin]\naddress = \"127.0.0.1:3\"\ntoken_file = \"t\"\n"
        );
        let config = NodeConfig::parse(&text, "node.toml").unwrap();
        let given = |name: &str, socket| GivenSocket { name: name.to_owned(), socket };
        let all = vec![
            given("web", named),
            given("starcell.socket", unnamed),
            given("metrics", whole),
            given("admin", operated),
        ];
        let mut sockets = NodeSockets::assign(all, &config).unwrap();
        assert_eq!(sockets.take("listeners.web").len(), 1);
        assert!(sockets.take("listeners.web").is_empty(), "it was taken");
        assert_eq!(sockets.take("listeners.other").pop().unwrap().local_addr().unwrap(), address);
        assert_eq!((sockets.take(METRICS).len(), sockets.take(ADMIN).len()), (1, 1));
        // Those of an earlier process are taken where the configuration still has them.
        let theirs = listen();
        let port = theirs.local_addr().unwrap().port();
        let text = text.replace(&address.to_string(), "127.0.0.1:0");
        let moved = NodeConfig::parse(&text, "node.toml").unwrap();
        let all =
            vec![given("listeners.other", theirs), given("listeners.web", listen()), given("listeners.gone", listen())];
        let mut sockets = NodeSockets::inherited(all, &moved);
        assert_eq!(sockets.take("listeners.other").pop().unwrap().local_addr().unwrap().port(), port);
        assert!(sockets.take("listeners.web").is_empty(), "it has another address");
        let error = NodeSockets::assign(vec![given("wbe", listen())], &config).unwrap_err();
        assert!(error.contains("the socket \"wbe\"") && error.contains("listeners.other, listeners.web"), "{error}");
    }
}
