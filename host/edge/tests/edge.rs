//! The edge over real sockets, with a responder that knows no script.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use starcell_budget::MemoryBudget;
use starcell_edge::{
    Answered, Asked, BoundAddress, ClientLimits, ClientWishes, Edge, EdgeConfig, Front, Held, Responder, Responding,
    listener,
};
use starcell_log::{Level, LogChoice, LogRate, Logs};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MIB: usize = 1 << 20;

/// Answers with the length of the body, or with a body as long as the path says.
#[derive(Debug)]
struct Lengths(ClientLimits, MemoryBudget);

impl Responder for Lengths {
    fn limits(&self) -> &ClientLimits {
        &self.0
    }

    fn respond(self: Arc<Self>, asked: Asked) -> Responding {
        Responding::Later(Box::pin(async move {
            let Asked { parts, id, body, .. } = asked;
            let (result, held) = match body.read().await {
                Ok(gathered) => match parts.uri.path().trim_matches('/').parse::<usize>() {
                    Ok(length) => {
                        let mut taken = self.1.nothing();
                        taken.hold(length as u64);
                        (Ok(http::Response::new(Bytes::from(vec![b'x'; length]))), Held::new(taken))
                    }
                    Err(_) => (Ok(http::Response::new(gathered.bytes.len().to_string().into())), Held::default()),
                },
                Err(refusal) => (Err(refusal), Held::default()),
            };
            Answered { parts, id, result, route: None, app: None, cpu: None, held }
        }))
    }
}

async fn serve(memory: u64) -> (u16, MemoryBudget) {
    let address = BoundAddress::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let memory = serve_at(&address, memory);
    (address.address().port(), memory)
}

fn edge_with(memory: u64) -> Arc<Edge> {
    let (logs, _writer) = Logs::start(LogChoice { format: None, least: Some(Level::Error) });
    let second = Duration::from_secs(1);
    let config = EdgeConfig {
        max_connections: None,
        max_connections_per_address: NonZeroU32::new(100).unwrap(),
        handshake_time: second,
        header_time: second,
        idle_time: 10 * second,
        stall_time: second,
        min_rate: NonZeroU32::new(8192).unwrap(),
        max_header_bytes: 64 << 10,
        max_body_bytes: 4 << 20,
        memory_time: second / 2,
        h2c: false,
        trust_request_id: false,
        access_log: false,
    };
    let logs = logs.of_script("a.star", LogRate { bytes_per_second: NonZeroU32::MIN });
    Edge::new(config, MemoryBudget::new(memory), logs)
}

fn serve_at(address: &Arc<BoundAddress>, memory: u64) -> MemoryBudget {
    let (edge, second) = (edge_with(memory), Duration::from_secs(1));
    let (limits, memory) = (ClientLimits::new(&edge.config, &ClientWishes::default()), edge.memory.clone());
    address.set(Front { responder: Arc::new(Lengths(limits, memory.clone())), tls: None, grace: 5 * second });
    listener::start(address, &edge);
    memory
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Reads as much of a response as tells its status.
async fn status(stream: &mut TcpStream) -> String {
    let mut head = vec![0; 12];
    stream.read_exact(&mut head).await.unwrap();
    String::from_utf8(head.split_off(9)).unwrap()
}

#[tokio::test]
async fn a_body_in_pieces_of_one_byte_is_gathered() {
    let (port, memory) = serve(64 << 20).await;
    let mut stream = connect(port).await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let size = 20_000;
    stream.write_all(&b"1\r\na\r\n".repeat(size)).await.unwrap();
    assert!(memory.used() < 100 << 10, "{} bytes for {size}", memory.used());
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n20000"), "{answer}");
}

#[tokio::test]
async fn a_body_that_came_fast_may_not_stall() {
    let (port, memory) = serve(64 << 20).await;
    let mut stream = connect(port).await;
    stream
        .write_all(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 2 * MIB).as_bytes())
        .await
        .unwrap();
    stream.write_all(&vec![b'x'; 2 * MIB - 1]).await.unwrap();
    let began = std::time::Instant::now();
    assert_eq!(status(&mut stream).await, "408");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(stream);
    // What the body took is given back.
    while memory.used() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn bodies_wait_for_memory_and_are_then_refused() {
    let (port, memory) = serve(8 << 20).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(port).await;
        stream
            .write_all(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MIB}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        stream.write_all(&vec![b'x'; MIB - 1]).await.unwrap();
        held.push(stream);
        // The first body is held whole before others ask for the rest of what bodies may have.
        while memory.used() < 15 * MIB as u64 / 16 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let mut statuses = Vec::new();
    for stream in &mut held {
        statuses.push(status(stream).await);
    }
    assert!(memory.used() <= 8 << 20);
    assert!(statuses.iter().any(|status| status == "503"), "{statuses:?}");
    assert!(statuses.iter().any(|status| status == "408"), "{statuses:?}");
    // A small body has room all the same.
    let mut small = connect(port).await;
    small.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.unwrap();
    assert_eq!(status(&mut small).await, "200");
}

#[tokio::test]
async fn a_response_is_held_until_it_was_written_and_may_not_stall() {
    let (port, memory) = serve(64 << 20).await;
    let mut stream = connect(port).await;
    let length = 30 * MIB as u64;
    stream.write_all(format!("GET /{length} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(status(&mut stream).await, "200");
    assert!(memory.used() >= length, "the client has not taken it yet");
    let mut taken = vec![0; 20 * MIB];
    stream.read_exact(&mut taken).await.unwrap();
    let began = std::time::Instant::now();
    while memory.used() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "a client that takes no more is not waited for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const ASK: &[u8] = b"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

/// The head and the body of the answer to [`ASK`].
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nxxx") {
        let byte = stream.read_u8().await.unwrap();
        answer.push(byte);
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

#[tokio::test]
async fn a_socket_is_left_to_the_next_and_nobody_is_refused() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let asked = socket.local_addr().unwrap();
    let kept = socket.try_clone().unwrap();
    let first = BoundAddress::adopt(socket, asked).unwrap();
    assert_eq!(first.address(), asked);
    drop(first.duplicate().unwrap());
    serve_at(&first, 64 << 20);
    let mut client = connect(asked.port()).await;
    client.write_all(ASK).await.unwrap();
    assert!(!answer(&mut client).await.contains("connection: close"));
    // While it winds down it answers, and says that this was the last answer of the connection.
    first.wind_down(true);
    client.write_all(ASK).await.unwrap();
    assert!(answer(&mut client).await.contains("connection: close"));
    first.wind_down(false);
    let mut client = connect(asked.port()).await;
    client.write_all(ASK).await.unwrap();
    assert!(!answer(&mut client).await.contains("connection: close"));
    // One that has connected just before the end is answered, and later ones wait in the queue for whoever is next.
    let mut late = connect(asked.port()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.stop();
    late.write_all(ASK).await.unwrap();
    assert!(answer(&mut late).await.contains("connection: close"));
    first.ended().await;
    assert!(first.duplicate().is_err());
    let mut waits = connect(asked.port()).await;
    waits.write_all(ASK).await.unwrap();
    let second = BoundAddress::adopt(kept, asked).unwrap();
    serve_at(&second, 64 << 20);
    assert!(answer(&mut waits).await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn an_edge_gives_a_socket_to_whoever_asks_for_its_address() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let edge = edge_with(64 << 20);
    edge.give(socket);
    assert!(edge.given("127.0.0.1:1".parse().unwrap()).unwrap().is_none());
    for _ in 0..2 {
        assert_eq!(edge.given(address).unwrap().unwrap().local_addr().unwrap(), address);
    }
}
