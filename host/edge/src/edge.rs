//! What all listeners of a process share, and what its operator lets clients use.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use starcell_budget::MemoryBudget;
use starcell_log::{Level, Logs};
use tokio::runtime::Handle;

use crate::group::ConnectionGroup;
use crate::ids::Ids;
use crate::places::Places;

/// What clients may use. A script can ask for less, never for more.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// Connections at once, over all listeners; half of the file descriptors of the process when not given.
    pub max_connections: Option<NonZeroUsize>,
    /// Connections at once from one address, or from one /64 network of IPv6.
    pub max_connections_per_address: NonZeroU32,
    /// Time for a TLS handshake.
    pub handshake_time: Duration,
    /// Time for the head of a request, from connecting or from its first byte.
    pub header_time: Duration,
    /// Time between two requests of a connection.
    pub idle_time: Duration,
    /// Time that a body, or a response on its way to the client, may take besides what `min_rate` gives it.
    pub stall_time: Duration,
    /// Bytes a second that a client must send of a body, or take of a response, beyond `stall_time`.
    pub min_rate: NonZeroU32,
    /// Largest request head, in bytes.
    pub max_header_bytes: u32,
    /// Largest request body, in bytes.
    pub max_body_bytes: u32,
    /// How long the body of a request waits for memory.
    pub memory_time: Duration,
    /// Whether plain sockets take HTTP/2 from clients that start with it.
    pub h2c: bool,
    /// Whether the `X-Request-Id` of a client is kept.
    pub trust_request_id: bool,
    /// Whether each request has a line in the log.
    pub access_log: bool,
}

/// What all listeners of a process share.
#[derive(Debug)]
pub struct Edge {
    /// What clients may use.
    pub config: EdgeConfig,
    /// Where the edge's own lines and those about requests go.
    pub logs: Logs,
    /// The bytes that this process may hold.
    pub memory: MemoryBudget,
    pub(crate) places: Arc<Places>,
    /// The connections that have not asked for anything yet.
    pub(crate) newcomers: Arc<ConnectionGroup>,
    pub(crate) ids: Ids,
    /// Sockets that a supervisor has bound for this process.
    given: Mutex<Vec<TcpListener>>,
}

impl Edge {
    /// Counts a client that finds no memory; the log tells of all of a second in one line.
    pub(crate) fn refuse_for_memory(&self) {
        if self.memory.refuse() {
            let text = format!("no memory for a client, as for {} so far: see --memory-budget", self.memory.refused());
            self.logs.say(Level::Warn, &text);
        }
    }

    /// The edge of this process; its connections share one set of places and one budget.
    ///
    /// # Panics
    /// Outside of a runtime: there is nothing to serve connections on.
    #[must_use]
    pub fn new(config: EdgeConfig, memory: MemoryBudget, logs: Logs) -> Arc<Self> {
        let places = Places::new(config.max_connections, config.max_connections_per_address);
        let newcomers = ConnectionGroup::for_threads(Handle::current().metrics().num_workers());
        Arc::new(Self { config, logs, memory, places, newcomers, ids: Ids::new(), given: Mutex::default() })
    }

    /// Connections that are open, and how many may be.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        (self.places.taken(), self.places.most())
    }

    /// Takes a socket that listens already, for whoever asks for its address.
    pub fn give(&self, socket: TcpListener) {
        self.given.lock().push(socket);
    }

    /// The socket that was given for an address, if one was. It is given again to the next who asks: the supervisor keeps
    /// the address bound, so nobody could bind it anew.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn given(&self, address: SocketAddr) -> io::Result<Option<TcpListener>> {
        let given = self.given.lock();
        let found = given.iter().find(|socket| socket.local_addr().is_ok_and(|local| local == address));
        found.map(TcpListener::try_clone).transpose()
    }
}
