//! The life of a server: started and served beside the script, stopped by the script, by a handler or by a signal, and the
//! code below it that runs then.

use std::time::{Duration, Instant, SystemTime};

use starcell_tests::client::{Client, get, refused, wait_until_refused};
use starcell_tests::process::{Starcell, script};

/// A server that holds the script until a request tells it to go on.
const GATE: &str = r#"
def gate():
    door = http.server()
    def open(req):
        door.shutdown()
        return "opened"
    door.handle("POST /", open)
    door.serve(port=0)
"#;

fn open(port: u16) {
    let response = Client::connect(port).request("POST", "/", &[], b"");
    assert_eq!((response.status, response.text()), (200, "opened"));
}

#[test]
fn start_returns_and_the_script_goes_on() {
    let source = format!(
        "{GATE}
srv = http.server()
srv.handle(\"GET /\", lambda req: \"port %d\" % srv.port())
srv.start(port=0)
print(\"started\", srv.port())
gate()
srv.shutdown()
print(\"stopped\")
gate()
srv.start(port=0)
print(\"again\", srv.port())
gate()
print(\"end\")
"
    );
    let mut starcell = Starcell::spawn(&["--allow-local"], &script(&source));
    let ports = |starcell: &mut Starcell, said: &str| {
        let line = starcell.wait_for(said);
        starcell.wait_for("serving ");
        let port: u16 = line.rsplit(' ').next().unwrap().parse().unwrap();
        (port, *starcell.ports.last().unwrap())
    };
    let (port, door) = ports(&mut starcell, "started ");
    assert_eq!(starcell.ports, [port, door], "what was announced is what the script was told");
    for _ in 0..3 {
        assert_eq!(get(port, "/").text(), format!("port {port}"));
    }
    open(door);

    starcell.wait_for("stopped");
    starcell.wait_for("serving ");
    assert!(refused(port));
    open(starcell.ports[2]);

    let (port, door) = ports(&mut starcell, "again ");
    assert_eq!(get(port, "/").text(), format!("port {port}"));
    open(door);
    starcell.wait_for("end");
    let ended = starcell.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(refused(port), "servers end with their script");
}

#[test]
fn requests_are_served_while_the_script_computes() {
    let source = r#"
state = {"n": 0}
srv = http.server()
srv.handle("GET /", lambda req: "state %d" % state["n"])
srv.start(port=0)
for i in range(1000000000):
    state["n"] = i
    if i % 100000 == 0:
        print("now", time.unix())
"#;
    let mut starcell = Starcell::serve(&["--setup-cpu", "60s"], &script(source));
    starcell.wait_for("now ");
    let mut client = Client::connect(starcell.port());
    for _ in 0..20 {
        // Forks of the moment of start(): what the script does afterwards is its own.
        assert_eq!(client.get("/").text(), "state 0");
    }
    let served = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let later = |line: String| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() > served;
    while !later(starcell.wait_for("now ")) {}
    // The script does not wait for its server: the first signal stops the server, the second the script.
    starcell.signal("TERM");
    wait_until_refused(starcell.port());
    starcell.signal("TERM");
    assert_eq!(starcell.wait().code(), 143);
}

#[test]
fn two_servers_at_once() {
    let source = r#"
first, second = http.server(), http.server()
first.handle("GET /{$}", lambda req: "first")
second.handle("GET /{$}", lambda req: "second")
second.handle("GET /only", lambda req: "only")
first.start(port=0)
second.serve(port=0)
print("below", first.port() != second.port())
"#;
    let mut starcell = Starcell::serve(&[], &script(source));
    starcell.wait_for("serving ");
    let [first, second] = starcell.ports[..] else { panic!("{:?}", starcell.ports) };
    assert_eq!((get(first, "/").text(), get(second, "/").text()), ("first", "second"));
    assert_eq!((get(first, "/only").status, get(second, "/only").text()), (404, "only"));
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.stdout.ends_with("below True\n"), "{}", ended.stdout);
    assert!(refused(first) && refused(second));
}

#[test]
fn the_port_option_is_for_the_first_server() {
    let source = r#"
first, second = http.server(port=1), http.server()
second.handle("GET /", lambda req: "second")
first.handle("GET /", lambda req: "first")
second.start(port=0)
first.serve(port=1)
"#;
    let mut starcell = Starcell::serve(&[], &script(source));
    starcell.wait_for("serving ");
    assert_eq!(get(starcell.ports[0], "/").text(), "second");
    assert_eq!(get(starcell.ports[1], "/").text(), "first");
}

#[test]
fn a_signal_ends_serve_and_code_below_it_runs() {
    let source = r#"
srv = http.server()
srv.handle("GET /", lambda req: "hello")
srv.serve(port=8080)
print("below serve", srv.port() > 0)
log.info("below too")
"#;
    for signal in ["INT", "TERM"] {
        let starcell = Starcell::serve(&[], &script(source));
        let port = starcell.port();
        // An idle connection that is kept alive does not hold up the drain.
        let mut idle = Client::connect(port);
        assert_eq!(idle.get("/").text(), "hello");
        let began = Instant::now();
        starcell.signal(signal);
        let ended = starcell.wait();
        assert_eq!(ended.code(), 0, "{signal}: {}", ended.output);
        assert!(ended.stdout.ends_with("below serve True\n"), "{signal}: {}", ended.stdout);
        assert!(ended.stderr.contains("below too"), "{signal}: {}", ended.stderr);
        assert!(began.elapsed() < Duration::from_secs(4), "{signal}: it waited for the idle connection");
        assert!(idle.try_request("GET", "/", &[], b"").is_err() && refused(port), "{signal}");
    }
}

/// Says that it is under way, and then computes for `ms` milliseconds.
const SLOW: &str = r#"
def slow(req):
    log.info("under way")
    end = time.unix_nano() + int(req.query["ms"]) * 1000000
    for i in range(1000000000):
        if i % 1000 == 0 and time.unix_nano() > end:
            return "done"
srv = http.server(shutdown_timeout=TIMEOUT)
srv.handle("GET /slow", slow)
srv.serve()
print("below serve")
"#;

#[test]
fn a_request_in_flight_is_finished() {
    let mut starcell = Starcell::serve(&[], &script(&SLOW.replace("TIMEOUT", "\"30s\"")));
    let port = starcell.port();
    let mut client = Client::connect(port);
    client.send(b"GET /slow?ms=300 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    starcell.wait_for("under way");
    starcell.signal("TERM");
    let response = client.read(false).unwrap();
    assert_eq!((response.status, response.text()), (200, "done"));
    assert_eq!(response.header("connection"), Some("close"), "the client is told not to come back");
    let ended = starcell.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.stdout.ends_with("below serve\n"), "{}", ended.stdout);
}

#[test]
fn whoever_comes_during_the_drain_is_refused() {
    let source = SLOW.replace("TIMEOUT", "\"60s\"");
    let mut starcell = Starcell::serve(&["--request-cpu", "60s", "--request-time", "60s"], &script(&source));
    let port = starcell.port();
    let mut client = Client::connect(port);
    client.send(b"GET /slow?ms=30000 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    starcell.wait_for("under way");
    let began = Instant::now();
    starcell.signal("INT");
    wait_until_refused(port);
    // The second signal does not wait for the request.
    starcell.signal("INT");
    let ended = starcell.wait();
    assert_eq!(ended.code(), 130, "{}", ended.output);
    assert!(!ended.stdout.contains("below serve"), "{}", ended.stdout);
    assert!(client.read(false).is_err(), "the request was cut");
    assert!(began.elapsed() < Duration::from_secs(20), "it ended at once, not with the request");
}

#[test]
fn a_drain_ends_with_its_timeout() {
    let source = SLOW.replace("TIMEOUT", "\"200ms\"");
    let mut starcell = Starcell::serve(&["--request-cpu", "60s", "--request-time", "60s"], &script(&source));
    let mut client = Client::connect(starcell.port());
    client.send(b"GET /slow?ms=30000 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    starcell.wait_for("under way");
    let began = Instant::now();
    starcell.signal("TERM");
    let line = starcell.wait_for("shutdown_timeout");
    assert!(line.contains("warn  shutdown_timeout of 0.2 s is over: cut 1 requests in flight"), "{line}");
    let ended = starcell.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.stdout.ends_with("below serve\n"), "{}", ended.stdout);
    assert!(client.read(false).is_err(), "the request was cut");
    assert!(began.elapsed() < Duration::from_secs(20), "it did not wait for the request");
}

#[test]
fn a_handler_that_stops_its_server_is_answered() {
    let source = r#"
def bye(req):
    srv.shutdown()
    return {"status": 202, "body": "bye"}
srv = http.server()
srv.handle("POST /bye", bye)
srv.serve()
print("below serve")
"#;
    let starcell = Starcell::serve(&[], &script(source));
    let response = Client::connect(starcell.port()).request("POST", "/bye", &[], b"");
    assert_eq!((response.status, response.text()), (202, "bye"));
    let ended = starcell.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.stdout.ends_with("below serve\n"), "{}", ended.stdout);
}

/// The first signal is for all servers of a script: those that it starts later answer nobody, and its waits are over.
#[test]
fn a_signal_ends_later_servers_too() {
    let source = r#"
def again(number):
    srv = http.server()
    srv.handle("GET /", lambda req: "server " + str(number))
    srv.serve(port=0)
    return number

again(1)
print("went on", [again(number) for number in range(2, 6)])
other = http.server()
other.handle("GET /", lambda req: "started")
other.start(port=0)
print("started", other.port() != None)
other.shutdown()
"#;
    for signal in ["INT", "TERM"] {
        let starcell = Starcell::serve(&[], &script(source));
        assert_eq!(get(starcell.port(), "/").text(), "server 1");
        let began = Instant::now();
        starcell.signal(signal);
        let ended = starcell.wait();
        assert_eq!(ended.code(), 0, "{signal}: {}", ended.output);
        assert!(ended.stdout.contains("went on [2, 3, 4, 5]\nstarted "), "{signal}: {}", ended.stdout);
        assert_eq!(ended.output.matches("serving ").count(), 1, "{signal}: {}", ended.output);
        assert!(began.elapsed() < Duration::from_secs(4), "{signal}: {:?}", began.elapsed());
    }
    // A script that serves for ever has the time of one stretch for that.
    let endless = "srv = http.server()\nsrv.handle(\"GET /\", lambda req: \"x\")\n\
                   for i in range(1000000000):\n    srv.serve(port=0)\n";
    let starcell = Starcell::serve(&["--setup-cpu", "300ms"], &script(endless));
    starcell.signal("TERM");
    assert_eq!(starcell.wait().code(), 6);
}

#[test]
fn a_signal_ends_a_script_that_serves_nothing() {
    let source = "for i in range(1000000000):\n    if i % 1000000 == 0:\n        print(\"tick\", i)\n";
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut starcell = Starcell::spawn(&["--setup-cpu", "60s"], &script(source));
        starcell.wait_for("tick 3000000");
        starcell.signal(signal);
        assert_eq!(starcell.wait().code(), code);
    }
}
