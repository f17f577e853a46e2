//! One connection: which protocol it speaks, and the limits it has in that.
//!
//! hyper has no deadline of its own here but what stands in the `transport` below it; every other limit is set, so that
//! none depends on a library's default. The numbers for HTTP/2 answer rapid reset (CVE-2023-44487), floods of frames that
//! cost nothing to send, and windows that are never opened.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use starcell_budget::{MemoryUse, Taken};
use starcell_http::framing::Guard;
use starcell_log::{Field, Level};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep, timeout};
use tokio_util::either::Either;

use crate::activity::Activity;
use crate::address::BoundAddress;
use crate::client::{Client, Terms};
use crate::edge::Edge;
use crate::exchange::exchange;
use crate::group::Turn;
use crate::limits::ClientLimits;
use crate::rarely::Rarely;
use crate::responder::Peer;
use crate::socket::Socket;
use crate::streams::{Apart, Streams};
use crate::transport::{Times, Transport};

/// Smallest buffer hyper accepts.
const MIN_BUFFER: usize = 8 << 10;

/// Requests of one HTTP/2 connection at once: what browsers use.
const MAX_STREAMS: u32 = 100;

/// Streams that a client has reset before they were accepted, and that we reset for errors of the client.
const MAX_RESET_STREAMS: usize = 20;
const MAX_ERROR_STREAMS: usize = 128;

/// Bytes that a client may send before anybody has read any, for one stream and for the connection.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// Bytes that a connection holds by itself: its buffers and its task, of which 27 KiB were measured; and beside those, what
/// TLS holds for it.
const CONNECTION_BYTES: u64 = 32 << 10;
const TLS_BYTES: u64 = 48 << 10;

/// Bytes of a head that an HTTP/2 client has not sent the end of: frames that are kept until then, and their buffer.
const UNFINISHED_HEAD: u32 = 128 << 10;

/// Bytes of one stream that wait for the client to open its window.
const STREAM_BUFFER: usize = 64 << 10;

/// How often a silent HTTP/2 client is asked whether it is there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// How often an HTTP/2 connection is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Time for all that a connection may do which is only told that there is no place for it.
const REFUSAL: Duration = Duration::from_secs(1);

/// How long the first request of a connection is waited for once the endpoint shall stop, and how often it is looked for.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
const FIRST_REQUEST_LOOK: Duration = Duration::from_millis(10);

/// What an HTTP/2 client without TLS starts with: RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The memory of a connection that is about to be served, if there is some. It is held as long as the connection.
pub(crate) fn room(endpoint: &BoundAddress, edge: &Edge) -> Option<Taken> {
    let tls = endpoint.front().is_some_and(|front| front.tls.is_some());
    let room = edge.memory.try_take(MemoryUse::Small, CONNECTION_BYTES + if tls { TLS_BYTES } else { 0 });
    if room.is_none() {
        edge.refuse_for_memory();
    }
    room
}

/// Answers the requests of one connection until either side ends it; finishes those under way once the endpoint stops.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    endpoint: &Arc<BoundAddress>,
    edge: &Arc<Edge>,
    terms: Terms,
    turn: Arc<Turn>,
) {
    let Some(front) = endpoint.front() else { return };
    // Responses are written whole; waiting for more would only delay them. Failing to set it costs time, not safety.
    let _ = socket.set_nodelay(true);
    let client = Client {
        peer: Arc::new(Peer::connected(peer.to_string(), front.tls.is_some(), Arc::clone(&turn))),
        terms,
        activity: Activity::new(front.responder.limits().pace),
        endpoint: Arc::clone(endpoint),
        edge: Arc::clone(edge),
    };
    let limits = front.responder.limits();
    let (times, head_bytes) = (times(limits, terms), limits.header_bytes);
    let connection = Connection { client: Arc::new(client), times, head_bytes, turn };
    let served = async {
        match &front.tls {
            Some(tls) => {
                // A client that cannot agree on TLS has been told so by an alert.
                if let Ok(Ok(socket)) = timeout(edge.config.handshake_time, tls.acceptor().accept(socket)).await {
                    match socket.get_ref().1.alpn_protocol() {
                        Some(b"h2") => Box::pin(connection.http2(socket, Bytes::new())).await,
                        _ => Box::pin(connection.http1(socket, Bytes::new())).await,
                    }
                }
            }
            None if edge.config.h2c => Box::pin(connection.either(socket)).await,
            None => connection.http1(socket, Bytes::new()).await,
        }
    };
    match terms {
        Terms::Served => served.await,
        // It was told, or had its time.
        Terms::Refused => drop(timeout(REFUSAL * 2, served).await),
    }
}

fn times(limits: &ClientLimits, terms: Terms) -> Times {
    let &ClientLimits { head, idle, pace, send, .. } = limits;
    let times = Times { head, idle, pace, send };
    match terms {
        Terms::Served => times,
        Terms::Refused => Times { head: head.min(REFUSAL), idle: REFUSAL, ..times },
    }
}

/// A connection whose protocol is to be found out, or known.
struct Connection {
    client: Arc<Client>,
    times: Times,
    head_bytes: usize,
    turn: Arc<Turn>,
}

impl Connection {
    /// Tells by its first bytes what a client without TLS speaks.
    async fn either(self, mut socket: TcpStream) {
        let mut first = BytesMut::with_capacity(PREFACE.len());
        let read = async {
            while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
                if socket.read_buf(&mut first).await? == 0 {
                    break;
                }
            }
            std::io::Result::Ok(())
        };
        match timeout(self.times.head, read).await {
            Ok(Ok(())) if first.starts_with(PREFACE) => self.http2(socket, first.freeze()).await,
            Ok(Ok(())) => self.http1(socket, first.freeze()).await,
            Ok(Err(_)) | Err(_) => {}
        }
    }

    async fn http1<S: AsyncRead + AsyncWrite + Socket + Unpin>(self, socket: S, first: Bytes) {
        let guard = Some(Guard::default());
        let buffered = self.client.edge.memory.nothing();
        let transport = Transport::new(socket, first, guard, self.times, Arc::clone(&self.client.activity), buffered);
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .keep_alive(self.client.terms == Terms::Served)
            .max_header_size(self.head_bytes)
            .max_buf_size((self.head_bytes * 2).max(MIN_BUFFER));
        let service = service_fn(|request| exchange(&self.client, request));
        let mut connection = builder.serve_connection(TokioIo::new(transport), service);
        let stop = std::pin::pin!(self.stopping());
        // Errors of a connection are its client's: a reset, a timeout, bytes that are not HTTP. hyper has answered those
        // that can be answered.
        let _ = tokio::select! {
            biased;
            result = std::future::poll_fn(|context| connection.poll_without_shutdown(context)) => result,
            () = Rarely::new(stop) => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                std::future::poll_fn(|context| connection.poll_without_shutdown(context)).await
            }
        };
        // What else the connection has, its buffer above all, is dropped here and not after the wait.
        let transport = connection.into_parts().io.into_inner();
        if transport.is_starved() {
            self.client.edge.refuse_for_memory();
        }
        transport.linger().await;
    }

    async fn http2<S: AsyncRead + AsyncWrite + Socket + Unpin>(self, socket: S, first: Bytes) {
        // What its client may send before anybody has read it.
        let bytes = u64::from(CONNECTION_WINDOW + UNFINISHED_HEAD);
        let window = self.client.edge.memory.try_take(MemoryUse::Response, bytes);
        let Some(_window) = window else {
            return self.note("closed a connection: there is no memory for one that carries several requests");
        };
        let activity = Arc::clone(&self.client.activity);
        let transport = Transport::new(socket, first, None, self.times, activity, self.client.edge.memory.nothing());
        let streams = Streams::default();
        let mut builder = http2::Builder::new(streams.clone());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(self.head_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(MAX_ERROR_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(STREAM_BUFFER)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG);
        let client = Arc::clone(&self.client);
        let service = service_fn(move |request| match exchange(&client, request) {
            Either::Left(answered) => Either::Left(answered),
            Either::Right(answer) => Either::Right(Apart::new(answer)),
        });
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(transport), service));
        let (mut look, mut stopping) = (interval(LOOK), false);
        let mut stop = std::pin::pin!(self.stopping());
        let activity = &self.client.activity;
        loop {
            let served = std::future::poll_fn(|context| {
                let served = connection.as_mut().poll(context);
                streams.run(context, &self.turn);
                served
            });
            tokio::select! {
                // As above: what goes wrong here is the client's.
                _ = served => return,
                () = &mut stop, if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = activity.wasteful() => {
                    return self.note("closed a connection that starts requests and gives them up");
                }
                _ = look.tick() => {
                    if activity.is_stalled(self.times.send) {
                        return self.note("closed a connection that does not take its responses");
                    }
                    // A client is asked to agree that this is over; one that does not answer is not waited for.
                    if stopping && !activity.is_busy() {
                        return;
                    }
                }
            }
        }
    }

    /// Ends when the endpoint shall stop, and its client has had a moment for its first request: it may have connected just
    /// before that, and has been told by nobody that nothing is answered any more.
    async fn stopping(&self) {
        self.client.endpoint.stopping().await;
        let first = async {
            while self.client.activity.is_fresh() {
                sleep(FIRST_REQUEST_LOOK).await;
            }
        };
        // A client that sends nothing needs no answer.
        let _ = timeout(FIRST_REQUEST, first).await;
    }

    /// Notes what a client did that ended its connection.
    fn note(&self, what: &str) {
        let Client { edge, peer, .. } = &*self.client;
        edge.logs.write(Level::Warn, what, |line| line.text(Field::REMOTE, &peer.address));
    }
}
