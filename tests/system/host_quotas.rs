//! `starcell host`: a tenant that is past a quota is told so, and its neighbour notices nothing.

use std::thread;

use starcell_tests::client::Client;
use starcell_tests::node::{NodeFolder, ask, ask_on, says};
use starcell_tests::process::{PATIENCE, eventually};

fn tenants(quotas: &str) -> String {
    format!(
        "[tenants.greedy]\nprofile = \"allow-local\"\nquotas = {{ {quotas} }}\n[tenants.modest]\nprofile = \"allow-local\"\n"
    )
}

fn manifest(tenant: &str) -> String {
    format!("tenant = {tenant:?}\nhosts = [\"{tenant}.example\"]\n")
}

fn node(quotas: &str, script: &str) -> NodeFolder {
    let node = NodeFolder::new(&tenants(quotas));
    node.app("greedy", &manifest("greedy"), script).app("modest", &manifest("modest"), &says("modest"));
    node
}

#[test]
fn a_rate_of_requests_is_kept_for_all_apps_of_a_tenant() {
    let node = node("requests = \"3/h\"", &says("greedy"));
    node.app("second", "tenant = \"greedy\"\nhosts = [\"second.example\"]\n", &says("second"));
    let mut starcell = node.start(&[]);
    let port = starcell.port();
    for host in ["greedy.example", "second.example", "greedy.example"] {
        assert_eq!(ask(port, host, "/").status, 200);
    }
    let mut client = Client::connect(port);
    for host in ["greedy.example", "second.example"] {
        let refused = ask_on(&mut client, host, "/").unwrap();
        assert_eq!(refused.status, 429);
        assert_eq!(refused.text(), "429 Too Many Requests: the quota `requests` is used up\n");
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1100..=1200).contains(&seconds), "{seconds}");
    }
    starcell.wait_for("the tenant greedy was past its quota `requests`");
    for _ in 0..20 {
        assert_eq!(ask_on(&mut client, "modest.example", "/").unwrap().status, 200);
    }
}

#[test]
fn what_is_only_counted_goes_on() {
    let node = node("requests = { limit = \"1/h\", mode = \"count\" }", &says("greedy"));
    let mut starcell = node.start(&[]);
    for _ in 0..3 {
        assert_eq!(ask(starcell.port(), "greedy.example", "/").status, 200);
    }
    starcell.wait_for("the tenant greedy was past its quota `requests`");
}

#[test]
fn what_is_throttled_waits() {
    let node = node("requests = { limit = \"2/s\", past = \"throttle\" }", &says("greedy"));
    let starcell = node.start(&[]);
    let port = starcell.port();
    let asking: Vec<_> = (0..6).map(|_| thread::spawn(move || ask(port, "greedy.example", "/").status)).collect();
    assert_eq!(ask(port, "modest.example", "/").status, 200);
    assert!(asking.into_iter().all(|answer| answer.join().unwrap() == 200));
}

#[test]
fn requests_at_once_are_bounded() {
    let script = "
def slow(req):
    print(\"begun\")
    time.sleep(\"1s\")
    return \"slow\"

srv = http.server()
srv.handle(\"GET /\", slow)
srv.serve()
";
    let node = node("concurrency = 1", script);
    let mut starcell = node.start(&[]);
    let port = starcell.port();
    let first = thread::spawn(move || ask(port, "greedy.example", "/").status);
    starcell.wait_for("begun");
    let second = ask(port, "greedy.example", "/");
    assert_eq!((second.status, second.header("retry-after")), (429, Some("1")));
    assert!(second.text().contains("the quota `concurrency`"), "{}", second.text());
    assert_eq!(ask(port, "modest.example", "/").status, 200);
    assert_eq!(first.join().unwrap(), 200);
    assert_eq!(ask(port, "greedy.example", "/").status, 200, "the place comes back");
}

#[test]
fn cpu_time_is_owed_until_it_is_made_up_for() {
    let script = "
def burn(req):
    total = 0
    for number in range(300000):
        total += number
    return str(total)

srv = http.server()
srv.handle(\"GET /\", burn)
srv.serve()
";
    let node = node("cpu = \"1ms/m\"", script);
    let starcell = node.start(&[]);
    assert_eq!(ask(starcell.port(), "greedy.example", "/").status, 200);
    let refused = ask(starcell.port(), "greedy.example", "/");
    assert_eq!(refused.status, 429);
    assert!(refused.text().contains("the quota `cpu`"), "{}", refused.text());
    assert_eq!(ask(starcell.port(), "modest.example", "/").status, 200);
}

#[test]
fn stores_of_a_tenant_have_one_quota() {
    let script = "
def fill(req):
    result = kv.try_set(req.params[\"key\"], \"x\" * 3000)
    return result.error or \"kept\"

srv = http.server()
srv.handle(\"GET /{key}\", fill)
srv.serve()
";
    let node = node("kv = \"8KiB\"", script);
    node.app("second", "tenant = \"greedy\"\nhosts = [\"second.example\"]\n", script);
    let starcell = node.start(&[]);
    let fill = |host: &str, key: &str| ask(starcell.port(), host, key).text().to_owned();
    assert_eq!((fill("greedy.example", "/a"), fill("second.example", "/a")), ("kept".into(), "kept".into()));
    let refused = fill("second.example", "/b");
    assert!(refused.contains("quota `kv`"), "{refused}");
    assert_eq!(fill("second.example", "/a"), "kept", "what is there can be replaced");
}

#[test]
fn a_log_has_its_quota() {
    let script = "
def flood(req):
    for number in range(2000):
        log.info(\"flood\", n=number)
    return \"done\"

srv = http.server()
srv.handle(\"GET /\", flood)
srv.serve()
";
    let node = node("log = \"1KiB/s\"", script);
    let mut starcell = node.start(&["--no-access-log"]);
    assert_eq!(ask(starcell.port(), "greedy.example", "/").text(), "done");
    starcell.wait_for("were dropped");
    let lines = starcell.seen().matches("flood").count();
    assert!((10..1000).contains(&lines), "{lines} lines of 2000");
}

#[test]
fn a_tenant_that_loops_leaves_its_neighbour_its_turns() {
    let script = "
def burn(req):
    for number in range(1000000000):
        pass
    return \"never\"

srv = http.server()
srv.handle(\"GET /\", burn)
srv.serve()
";
    let node = node("", script);
    let starcell = node.start(&["--request-cpu", "20s", "--no-access-log"]);
    let port = starcell.port();
    // More loops than threads; their connections are closed at the end of this test.
    let loops: Vec<Client> = (0..64)
        .map(|_| {
            let mut client = Client::connect(port);
            client.send(b"GET / HTTP/1.1\r\nHost: greedy.example\r\n\r\n").unwrap();
            client
        })
        .collect();
    let mut client = Client::connect(port);
    for _ in 0..50 {
        assert_eq!(ask_on(&mut client, "modest.example", "/").unwrap().text(), "modest");
    }
    drop(loops);
    eventually(PATIENCE / 2, "the loops have ended", || ask(port, "modest.example", "/").status == 200);
}
