//! Where a node is operated: a unix socket or a loopback address, and its connections.
//!
//! The decision: connections are few, each has a bounded time for the head of a request, and heads and bodies are small. One
//! that says nothing gives way to the next ([`lobby`](super::lobby)). A loopback address is handed to the process that takes
//! over like those of the listeners, and no script may ask for it.
//!
//! A node that ends removes its socket; one that is taken over leaves it, and its successor puts its own in that place
//! ([`socket`](super::socket)).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use starcell_config::{AdminAddress, Tokens};
use starcell_log::Level;
use starcell_node::Node;
use starcell_runtime::close_address;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{sleep, timeout};
use tokio_util::either::Either;

use crate::exit::Exit;
use crate::node::base::Base;
use crate::node::files::tokens_text;
use crate::node::orders::Orders;
use crate::node::sockets::{ADMIN, KeptSockets, NodeSockets};

use super::access::{Caller, Keys};
use super::desk::Desk;
use super::lobby::{Lobby, LobbyPlace};
use super::socket::OwnSocket;

/// Connections at once.
const CONNECTIONS: usize = 64;

/// Time for the head of a request, and for the pause before it.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// Bytes of a head.
const MAX_HEAD: usize = 32 << 10;

/// How long answers under way may take when the node ends.
const LAST: Duration = Duration::from_secs(2);

/// Pause after an error of `accept`.
const PAUSE: Duration = Duration::from_millis(250);

/// Where a node is operated, while it is.
pub(crate) struct AdminServer {
    desk: Arc<Desk>,
    socket: Option<OwnSocket>,
    tokens: Option<PathBuf>,
}

enum Listener {
    Unix(UnixListener),
    Loopback(TcpListener),
}

impl AdminServer {
    /// Begins to answer where the configuration says, by a socket that the node was given if there is one.
    ///
    /// # Errors
    /// The exit code and the sentence for whoever started the node.
    pub(crate) async fn start(
        base: &Arc<Base>,
        node: &Arc<Node>,
        orders: Orders,
        sockets: &mut NodeSockets,
        kept: &KeptSockets,
    ) -> Result<Option<Self>, (Exit, String)> {
        let Some(admin) = &base.files.config.admin else { return Ok(None) };
        let logs = &base.share.logs;
        let unbound = |error: String| (Exit::Bind, format!("[admin]: {error}"));
        let (listeners, keys, socket, tokens) = match admin {
            AdminAddress::Unix(path) => {
                let path = base.files.path(path);
                let (listener, socket) = OwnSocket::bind(&path).map_err(unbound)?;
                logs.announce(&format!("operated at unix:{}", path.display()));
                (vec![Listener::Unix(listener)], None, Some(socket), None)
            }
            AdminAddress::Loopback { address, token_file } => {
                let file = base.files.path(token_file);
                let keys = keys(base, &file).map_err(|error| (Exit::Configuration, format!("[admin]: {error}")))?;
                let listeners = loopback(*address, sockets, kept).await.map_err(unbound)?;
                for (_, bound) in &listeners {
                    logs.announce(&format!("operated at http://{bound}"));
                }
                let listeners = listeners.into_iter().map(|(listener, _)| Listener::Loopback(listener)).collect();
                (listeners, Some(keys), None, Some(file))
            }
        };
        let desk = Desk::new(Arc::clone(base), Arc::clone(node), orders, keys);
        let lobby = Lobby::new(CONNECTIONS);
        for listener in listeners {
            desk.clerk.tasks.spawn(accept(listener, Arc::clone(&lobby), Arc::clone(&desk)));
        }
        Ok(Some(Self { desk, socket, tokens }))
    }

    /// Says whether the node takes traffic.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.desk.set_ready(ready);
    }

    /// Reads the tokens again. A file that cannot be read, or names a tenant that there is not, leaves those that are known.
    pub(crate) fn reload(&self, base: &Base) {
        let Some(file) = &self.tokens else { return };
        match keys(base, file) {
            Ok(keys) => self.desk.set_keys(keys),
            Err(error) => {
                let text = format!("[admin]: {error}; the tokens that are known stay");
                base.share.logs.say(Level::Error, &text);
            }
        }
    }

    /// Ends it with the node: answers under way have a moment, and its socket is removed.
    pub(crate) async fn close(self) {
        self.end().await;
        if let Some(socket) = self.socket {
            socket.remove();
        }
    }

    /// Ends it for the process that takes over, which has the address next: answers under way have a moment.
    pub(crate) async fn leave(self) {
        self.end().await;
    }

    async fn end(&self) {
        self.desk.stop.cancel();
        self.desk.clerk.tasks.close();
        // What takes longer is cut with the process.
        let _ = timeout(LAST, self.desk.clerk.tasks.wait()).await;
    }
}

/// The sockets of a loopback address: those that the node was given, or one that is bound now. Another handle of each is kept.
#[expect(clippy::disallowed_methods, reason = "binds the address that the configuration names")]
async fn loopback(
    asked: SocketAddr,
    sockets: &mut NodeSockets,
    kept: &KeptSockets,
) -> Result<Vec<(TcpListener, SocketAddr)>, String> {
    let cannot = |error: std::io::Error| format!("cannot bind {asked}: {error}");
    let mut given = sockets.take(ADMIN);
    if given.is_empty() {
        let bound = TcpListener::bind(asked).await.and_then(TcpListener::into_std);
        given.push(bound.map_err(cannot)?);
    }
    let mut found = Vec::new();
    for socket in given {
        kept.keep(ADMIN, socket.try_clone().map_err(cannot)?);
        // Two processes may share the socket: one that blocked in `accept` would wait for a connection of the other.
        socket.set_nonblocking(true).map_err(cannot)?;
        let listener = TcpListener::from_std(socket).map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        if !bound.ip().is_loopback() {
            return Err(format!(
                "the socket that was passed is at {bound}, and a node is operated over loopback alone"
            ));
        }
        close_address(bound);
        found.push((listener, bound));
    }
    Ok(found)
}

/// The tokens of a file.
fn keys(base: &Base, file: &Path) -> Result<Keys, String> {
    let shown = file.display().to_string();
    let (text, is_open) = tokens_text(file)?;
    if is_open {
        let text = format!("{shown} can be read by other users, who can operate the node with it; chmod 600 it");
        base.share.logs.say(Level::Warn, &text);
    }
    let tokens = Tokens::parse(&text, &shown).map_err(|error| error.to_string())?;
    for token in tokens.iter() {
        if let Some(tenant) = &token.tenant
            && !base.tenants.contains_key(tenant)
        {
            return Err(format!("{shown}: the token {} is of the tenant {tenant}, which there is not", token.name));
        }
    }
    Ok(Keys::new(&tokens))
}

/// Accepts connections until the node ends.
async fn accept(listener: Listener, lobby: Arc<Lobby>, desk: Arc<Desk>) {
    let stop = desk.stop.clone();
    loop {
        let accepted = match &listener {
            Listener::Unix(listener) => stop.run_until_cancelled(listener.accept()).await.map(|accepted| {
                accepted.map(|(stream, _)| {
                    let user = stream.peer_cred().ok().map(|peer| peer.uid());
                    (Either::Left(stream), Caller::User(user))
                })
            }),
            Listener::Loopback(listener) => stop
                .run_until_cancelled(listener.accept())
                .await
                .map(|accepted| accepted.map(|(stream, _)| (Either::Right(stream), Caller::Address))),
        };
        match accepted {
            None => return,
            Some(Ok((stream, caller))) => {
                let Some(place) = stop.run_until_cancelled(lobby.enter()).await else { return };
                desk.clerk.tasks.spawn(serve(stream, caller, place, Arc::clone(&desk)));
            }
            // Of one connection, or the machine has run out of something: both pass.
            Some(Err(_)) => sleep(PAUSE).await,
        }
    }
}

/// Answers the requests of one connection, until it gives its place to another one.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    caller: Caller,
    place: LobbyPlace,
    desk: Arc<Desk>,
) {
    let stop = desk.stop.clone();
    let service = service_fn(|request| {
        let (desk, work) = (Arc::clone(&desk), place.work());
        async move {
            let answer = desk.answer(caller, request).await;
            Ok::<_, std::convert::Infallible>(answer.map(|body| body.with(work)))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(MAX_HEAD);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // An error of a connection is its client's.
    let _ = tokio::select! {
        result = connection.as_mut() => result,
        () = place.gives_way() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST, connection).await.unwrap_or(Ok(()))
        }
    };
}
