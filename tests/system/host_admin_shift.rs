//! The address by which a node is operated: over a change of the process, and among connections that say nothing.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::json;
use starcell_tests::admin::Operator;
use starcell_tests::client::{Client, refused};
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually};

const TOKEN: &str = "operate-0123456789";
const UNIX: &str = "address = \"unix:state/admin.sock\"\n";
const LOOPBACK: &str = "address = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n";

/// Places of an address.
const PLACES: usize = 64;

fn node(admin: &str) -> NodeFolder {
    let node = NodeFolder::new("");
    let rest = "[tenants.acme]\nprofile = \"allow-local\"\n";
    node.configure(&format!("[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\n{admin}{rest}"));
    node.tokens(&format!("ci operate {TOKEN}\n"));
    node.app("one", "tenant = \"acme\"\n", &says("v1"));
    node
}

/// Who operates it, where it said at its start.
fn operator(starcell: &Starcell) -> Operator {
    Operator::of(starcell, Some(TOKEN))
}

fn files(text: &str) -> String {
    json!({"files": {"main.star": says(text)}}).to_string()
}

fn answers(starcell: &Starcell) -> String {
    ask(starcell.port(), "localhost", "/").text().to_owned()
}

#[test]
fn a_process_that_takes_over_is_operated_and_keeps_what_it_deploys() {
    for admin in [UNIX, LOOPBACK] {
        let node = node(admin);
        let mut running = node.start(&["--audit", "audit.jsonl"]);
        let before = operator(&running);
        assert_eq!(before.post("/v1/apps/one/deploy", &files("v2"))["revision"], json!(2));
        for version in [3, 4] {
            let next = node.start(&["--audit", "audit.jsonl", "--take-over"]);
            let ended = running.wait();
            assert_eq!(ended.code(), 0, "{}", ended.output);
            let after = operator(&next);
            match (&before, &after) {
                (Operator::Loopback(before, _), Operator::Loopback(after, _)) => assert_eq!(before, after),
                (Operator::Unix(before), Operator::Unix(after)) => assert_eq!(before, after),
                _ => panic!("{before:?} became {after:?}"),
            }
            // The old process has ended, and has left the socket of this one alone.
            let app = after.get("/v1/apps/one");
            assert_eq!((&app["revision"], &app["pinned"]), (&json!(version - 1), &json!(version - 1)), "{app}");
            let done = after.post("/v1/apps/one/deploy", &files(&format!("v{version}")));
            assert_eq!(done["revision"], json!(version));
            assert_eq!(answers(&next), format!("v{version}"));
            running = next;
        }
        // What was answered with 200 is there after a kill.
        running.signal("KILL");
        drop(running.wait());
        let again = node.start(&["--audit", "audit.jsonl"]);
        eventually(PATIENCE / 2, "what was deployed last answers", || answers(&again) == "v4");
        let last = operator(&again);
        assert_eq!(last.get("/v1/apps/one")["revisions"].as_array().unwrap().len(), 4);
        assert_eq!(again.stop().code(), 0);
        match last {
            Operator::Unix(path) => assert!(!path.exists(), "its socket stays"),
            Operator::Loopback(port, _) => assert!(refused(port), "its address stays"),
        }
    }
}

#[test]
fn a_node_that_is_not_taken_over_in_the_end_is_operated_on() {
    for admin in [UNIX, LOOPBACK] {
        let node = node(admin);
        let mut running = node.start(&["--audit", "audit.jsonl"]);
        let before = operator(&running);
        assert_eq!(before.post("/v1/apps/one/deploy", &files("v2"))["revision"], json!(2));
        // It fails with what the other one has given up already: it can make no audit log.
        let fails = node.spawn(&["--audit", "no-such-folder/audit.jsonl", "--take-over"]).wait();
        assert_eq!(fails.code(), 4, "{}", fails.output);
        running.wait_for("ended before it served: this one goes on");
        running.wait_for("serving the listener web");
        assert_eq!(before.post("/v1/apps/one/deploy", &files("v3"))["revision"], json!(3));
        assert_eq!(answers(&running), "v3");
        assert_eq!(running.stop().code(), 0);
    }
}

/// Connections that have sent this and go on with nothing.
fn silent(operator: &Operator, sent: &str) -> Vec<Box<dyn std::any::Any>> {
    let connect = |_| -> Box<dyn std::any::Any> {
        match operator {
            Operator::Unix(path) => {
                let mut stream = UnixStream::connect(path).expect("the node listens");
                stream.write_all(sent.as_bytes()).unwrap();
                Box::new(stream)
            }
            Operator::Loopback(port, _) => {
                let mut stream = TcpStream::connect(("127.0.0.1", *port)).expect("the node listens");
                stream.write_all(sent.as_bytes()).unwrap();
                Box::new(stream)
            }
        }
    };
    (0..PLACES).map(connect).collect()
}

#[test]
fn connections_that_say_nothing_give_way() {
    for admin in [UNIX, LOOPBACK] {
        let node = node(admin);
        let starcell = node.start(&[]);
        let operator = operator(&starcell);
        let mut held = Vec::new();
        for sent in ["", "GET /v1/health HTTP/1.1\r\nHost: loc", "GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            // None of them leaves by itself before the time for a head is over.
            held.extend(silent(&operator, sent));
            let began = Instant::now();
            assert_eq!(operator.get("/v1/health")["running"], json!(1), "{sent:?}");
            assert!(began.elapsed() < Duration::from_secs(1), "{sent:?}: {:?}", began.elapsed());
        }
        assert_eq!(operator.post("/v1/apps/one/deploy", &files("v2"))["revision"], json!(2));
        assert_eq!(starcell.stop().code(), 0);
    }
}

#[test]
fn a_connection_whose_answer_goes_on_keeps_its_place() {
    let node = node(UNIX);
    let starcell = node.start(&[]);
    let operator = operator(&starcell);
    let Operator::Unix(path) = &operator else { panic!() };
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = Client::over(stream);
    reader.send(b"GET /v1/apps/one/logs?tail=0&follow=true HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(reader.read(true).unwrap().status, 200);
    let _held = [silent(&operator, ""), silent(&operator, "")];
    assert_eq!(operator.post("/v1/apps/one/deploy", &files("v2"))["revision"], json!(2));
    node.app("one", "tenant = \"acme\"\n", &format!("log.info(\"still read\")\n{}", says("v3")));
    eventually(PATIENCE / 2, "the folder is deployed", || answers(&starcell) == "v3");
    assert_eq!(starcell.stop().code(), 0);
    let rest = String::from_utf8(reader.rest().unwrap()).unwrap();
    assert!(rest.contains("still read"), "{rest}");
}
