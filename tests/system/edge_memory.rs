//! What clients and scripts make the process hold stays within its budget, and a client that behaves is answered.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::process::{SLACK, Starcell, script, until};

const MIB: usize = 1 << 20;

/// Bytes of the budget under test, and what the process may hold beside it.
const BUDGET: usize = 128 * MIB;
const BESIDE: usize = 64 * MIB;

const SCRIPT: &str = r#"
def hoard(req):
    x = ["a" * 1000000 + str(i) for i in range(20)]
    time.sleep("3s")
    return str(len(x))
srv = http.server(max_body_bytes=10 * 1024 * 1024)
srv.handle("POST /", lambda req: str(len(req.body)))
srv.handle("GET /large", lambda req: "x" * int(req.query_first("n", "15728640")))
srv.handle("GET /hoard", hoard)
srv.handle("GET /", lambda req: "fine")
srv.serve(port=0)
"#;

fn serve(flags: &[&str]) -> Starcell {
    let budget = (BUDGET / MIB).to_string();
    let flags = [&["--memory-budget", &budget, "--no-access-log", "--request-cpu", "20s"], flags].concat();
    Starcell::serve(&flags, &script(SCRIPT))
}

/// Opens connections that each send this, in threads that hold them until the returned value is dropped.
fn open(port: u16, count: usize, head: &str, body: usize) -> Vec<TcpStream> {
    let (head, body) = (head.as_bytes().to_vec(), vec![b'x'; body]);
    let senders: Vec<_> = (0..count)
        .map(|_| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            let (head, body) = (head.clone(), body.clone());
            let kept = stream.try_clone().unwrap();
            // The server may refuse to read on.
            (kept, thread::spawn(move || stream.write_all(&head).and_then(|()| stream.write_all(&body)).is_ok()))
        })
        .collect();
    senders.into_iter().map(|(kept, _sender)| kept).collect()
}

/// Looks at the process for a while; returns the most that it held. A client that behaves is answered meanwhile.
fn most(starcell: &Starcell, time: Duration) -> usize {
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < time {
        let asked = Instant::now();
        let answer = Client::connect(starcell.port()).get("/");
        assert!(asked.elapsed() < Duration::from_secs(3) + SLACK, "{:?}", asked.elapsed());
        assert_eq!(answer.text(), "fine");
        most = most.max(starcell.resident());
        thread::sleep(Duration::from_millis(20));
    }
    most
}

fn assert_within(starcell: &Starcell, idle: usize, time: Duration) {
    let held = most(starcell, time).saturating_sub(idle);
    assert!(held <= BUDGET + BESIDE, "{} MiB held", held / MIB);
}

#[test]
fn bodies_that_lack_their_last_byte() {
    let starcell = serve(&["--stall-time", "3s"]);
    let idle = starcell.resident();
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", 10 * MIB);
    let streams = open(starcell.port(), 60, &head, 10 * MIB - 1);
    assert_within(&starcell, idle, Duration::from_secs(2));
    drop(streams);
    // The server gives back what the bodies took as it finds their clients gone.
    until("a large body is taken again", || {
        let mut client = Client::connect(starcell.port());
        let answer = client.request("POST", "/", &[], &vec![b'x'; 5 * MIB]);
        assert!(answer.status == 503 || answer.text() == (5 * MIB).to_string(), "{}", answer.status);
        answer.status == 200
    });
}

#[test]
fn responses_that_nobody_takes() {
    let starcell = serve(&["--stall-time", "3s"]);
    let idle = starcell.resident();
    let streams = open(starcell.port(), 60, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", 0);
    assert_within(&starcell, idle, Duration::from_secs(2));
    drop(streams);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(Client::connect(starcell.port()).get("/large").body.len(), 15 * MIB);
}

#[test]
fn handlers_that_hoard() {
    let starcell = serve(&["--queue-time", "1s"]);
    let idle = starcell.resident();
    let streams = open(starcell.port(), 30, "GET /hoard HTTP/1.1\r\nHost: localhost\r\n\r\n", 0);
    assert_within(&starcell, idle, Duration::from_secs(3));
    let answers = streams.into_iter().map(|mut stream| {
        let mut head = [0; 12];
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.read_exact(&mut head).map(|()| String::from_utf8_lossy(&head[9..]).into_owned()).unwrap_or_default()
    });
    let answers: Vec<_> = answers.collect();
    assert!(answers.iter().any(|status| status == "503"), "{answers:?}");
    assert!(answers.iter().any(|status| status == "200"), "{answers:?}");
}

#[test]
fn a_body_in_small_pieces() {
    let starcell = serve(&[]);
    let idle = starcell.resident();
    let size = 4 * MIB;
    let mut message = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    message.extend(b"1\r\na\r\n".repeat(size));
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, starcell.port())).unwrap();
    stream.write_all(&message).unwrap();
    let held = starcell.resident().saturating_sub(idle);
    assert!(held <= 2 * size + 16 * MIB, "{} MiB held for {} MiB", held / MIB, size / MIB);
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut client = Client::over(stream);
    assert_eq!(client.read(false).unwrap().text(), size.to_string());
}

/// A body that came fast may not stall, nor may a response that was taken fast.
#[test]
fn what_was_fast_may_not_stall() {
    let starcell = serve(&["--stall-time", "1s"]);
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", 8 * MIB);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, starcell.port())).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; 8 * MIB - 1]).unwrap();
    let began = Instant::now();
    let answer = Client::over(stream).read(false).unwrap();
    assert_eq!(answer.status, 408);
    assert!(began.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", began.elapsed());

    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, starcell.port())).unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.read_exact(&mut vec![0; 4 * MIB]).unwrap();
    thread::sleep(Duration::from_secs(3));
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest);
    assert!(ended.is_err() || rest.len() < 11 * MIB, "the response was not given up");
}
