//! More than there is room for: requests, connections, descriptors. Whoever is too many is told when to come back, and
//! nobody else notices.

use std::process::Command;
use std::time::{Duration, Instant};

use starcell_tests::client::{Client, Response};
use starcell_tests::good::Good;
use starcell_tests::process::{SLACK, Starcell, binary, eventually, script};

/// A server that holds a request until it is told how long, and another that is not to notice.
const SCRIPT: &str = r#"
def hold(req):
    log.info("under way")
    end = time.unix_nano() + int(req.query["ms"]) * 1000000
    for i in range(1000000000):
        if i % 1000 == 0 and time.unix_nano() > end:
            return "done"
busy, calm = http.server(), http.server()
busy.handle("GET /hold", hold)
calm.handle("GET /", lambda req: "calm")
calm.start(port=0)
busy.serve(port=0)
"#;

/// Starts both servers; returns the ports of the one that is held and of the other.
fn serve(flags: &[&str]) -> (Starcell, u16, u16) {
    let flags =
        [&["--allow-local", "--no-access-log", "--request-cpu", "60s", "--request-time", "60s"], flags].concat();
    let mut starcell = Starcell::spawn(&flags, &script(SCRIPT));
    starcell.wait_for("serving ");
    starcell.wait_for("serving ");
    let (calm, busy) = (starcell.ports[0], starcell.ports[1]);
    (starcell, busy, calm)
}

fn hold(port: u16, time: Duration) -> Client {
    let mut client = Client::connect(port);
    client.send(format!("GET /hold?ms={} HTTP/1.1\r\nHost: localhost\r\n\r\n", time.as_millis()).as_bytes()).unwrap();
    client
}

fn assert_busy(answer: &Response) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let retry: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry), "{answer:?}");
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
}

#[test]
fn requests_beyond_the_queue_are_told_to_come_back() {
    let flags = ["--max-requests", "2", "--max-queue", "3", "--queue-time", "30s"];
    let (mut starcell, busy, calm) = serve(&flags);
    let good = Good::keep_asking(Client::connect(calm), "/", "calm");
    let mut running = [hold(busy, Duration::from_secs(2)), hold(busy, Duration::from_secs(2))];
    starcell.wait_for("under way");
    starcell.wait_for("under way");
    // Three of these wait; the others are refused, whichever they are.
    let mut clients: Vec<Client> = (0..9).map(|_| hold(busy, Duration::from_millis(1))).collect();
    let answers: Vec<Response> = clients.iter_mut().map(|client| client.read(false).unwrap()).collect();
    let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((done.len(), refused.len()), (3, 6));
    refused.into_iter().for_each(assert_busy);
    for client in &mut running {
        assert_eq!(client.read(false).unwrap().text(), "done");
    }
    // A connection whose request was refused is as good as any.
    for client in &mut clients {
        assert_eq!(client.get("/hold?ms=1").text(), "done");
    }
    let _ = good.finish();
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_request_waits_only_so_long() {
    let flags = ["--max-requests", "1", "--max-queue", "100", "--queue-time", "300ms"];
    let (mut starcell, busy, calm) = serve(&flags);
    let good = Good::keep_asking(Client::connect(calm), "/", "calm");
    let mut running = hold(busy, Duration::from_secs(3));
    starcell.wait_for("under way");
    let began = Instant::now();
    let mut waiting: Vec<Client> = (0..20).map(|_| hold(busy, Duration::from_millis(1))).collect();
    for client in &mut waiting {
        assert_busy(&client.read(false).unwrap());
    }
    assert!(began.elapsed() >= Duration::from_millis(250), "they waited: {:?}", began.elapsed());
    assert_eq!(running.read(false).unwrap().text(), "done");
    let _ = good.finish();
}

/// A client that goes away while its request waits or runs gives its place back.
#[test]
fn whoever_leaves_makes_room() {
    let flags = ["--max-requests", "1", "--max-queue", "1", "--queue-time", "30s"];
    let (mut starcell, busy, _) = serve(&flags);
    let running = hold(busy, Duration::from_secs(50));
    starcell.wait_for("under way");
    // One of these waits, whichever it is; the others are refused.
    let mut waiting: Vec<Client> = (0..3).map(|_| hold(busy, Duration::from_millis(1))).collect();
    let refused = waiting.iter_mut().filter_map(|client| {
        client.patience(Duration::from_secs(2));
        client.read(false).ok()
    });
    assert_eq!(refused.map(|answer| answer.status).collect::<Vec<_>>(), [503, 503]);
    drop((waiting, running));
    let began = Instant::now();
    eventually(Duration::from_secs(20), "there is room again", || {
        let mut client = hold(busy, Duration::from_millis(1));
        client.patience(Duration::from_secs(5));
        client.read(false).is_ok_and(|answer| answer.status == 200)
    });
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn connections_beyond_the_cap_are_told_to_come_back() {
    let (starcell, _, calm) = serve(&["--max-connections", "64"]);
    let mut held: Vec<Client> = (0..63).map(|_| Client::connect(calm)).collect();
    for client in &mut held {
        assert_eq!(client.get("/").text(), "calm");
    }
    let good = Good::keep_asking(Client::connect(calm), "/", "calm");
    for number in 0..200 {
        let mut client = Client::connect(calm);
        let answer = client.get("/");
        if answer.status == 200 && number == 0 {
            // The good client's thread had not connected yet.
            continue;
        }
        assert_busy(&answer);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.rest().unwrap(), b"", "closed, not reset");
    }
    drop(held);
    eventually(SLACK, "there is room again", || Client::connect(calm).get("/").status == 200);
    let _ = good.finish();
    assert_eq!(starcell.stop().code(), 0);
}

/// Fewer descriptors than connections: accepting pauses and goes on, and does not take a core while it cannot.
#[test]
fn running_out_of_descriptors_is_survived() {
    let mut command = Command::new("prlimit");
    command.args(["--nofile=60:60"]).arg(binary());
    command.args(["run", "--allow-local", "--port", "0", "--no-access-log", "--max-connections", "1000"]);
    command.arg(script("srv = http.server()\nsrv.handle(\"GET /\", lambda req: \"good\")\nsrv.serve()\n"));
    let mut starcell = Starcell::spawn_command(command);
    starcell.wait_for("serving ");
    let port = starcell.port();
    let good = Good::keep_asking(Client::connect(port), "/", "good");
    let held: Vec<Client> = (0..100).map(|_| Client::connect(port)).collect();
    let line = starcell.wait_for("accept");
    assert!(line.contains(" error ") || line.contains(" warn "), "{line}");
    let (began, spent) = (Instant::now(), starcell.cpu_time());
    std::thread::sleep(Duration::from_secs(1));
    let spent = starcell.cpu_time() - spent;
    assert!(spent < began.elapsed() / 2, "{spent:?} of CPU in {:?}", began.elapsed());
    drop(held);
    let mut client = Client::connect(port);
    assert_eq!(client.get("/").text(), "good");
    let _ = good.finish();
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    // Once a second or so, not once a try.
    assert!(ended.stderr.matches("accept").count() < 40, "{}", ended.stderr);
}
