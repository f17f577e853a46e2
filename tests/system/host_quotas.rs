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
    // It is held until the answer is sent, which its client can know before the host does.
    eventually(PATIENCE / 2, "the place comes back", || ask(port, "greedy.example", "/").status == 200);
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

/// A script whose requests never end by themselves.
const BURNS: &str = "
def burn(req):
    for number in range(1000000000):
        pass
    return \"never\"

srv = http.server()
srv.handle(\"GET /\", burn)
srv.serve()
";

#[test]
fn a_tenant_that_loops_leaves_its_neighbour_its_turns() {
    let node = node("", BURNS);
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

#[test]
fn what_is_under_way_can_be_ended_when_the_cpu_time_is_used_up() {
    let node = node("cpu = { limit = \"100ms/h\", past = \"terminate\" }", BURNS);
    let mut starcell = node.start(&["--request-cpu", "600s", "--request-time", "600s"]);
    let port = starcell.port();
    // Several at once: all of them end, long before the limits of a request would end one.
    let asked: Vec<_> = (0..4).map(|_| thread::spawn(move || ask(port, "greedy.example", "/"))).collect();
    for answer in asked {
        let answer = answer.join().unwrap();
        assert_eq!((answer.status, answer.text()), (429, "429 Too Many Requests: the quota `cpu` is used up\n"));
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    }
    assert_eq!(ask(port, "greedy.example", "/").status, 429, "what is owed is owed");
    assert_eq!(ask(port, "modest.example", "/").text(), "modest");
    starcell.wait_for("the tenant greedy was past its quota `cpu`");
}

#[test]
fn a_request_logs_no_more_than_its_limit() {
    let script = "
def flood(req):
    for number in range(100):
        log.info(\"flood\", n=number, text=\"x\" * 100)
        print(\"printed\")
    return \"done\"

srv = http.server()
srv.handle(\"GET /\", flood)
srv.serve()
";
    let node = node("", script);
    let limited = format!("{}limits = {{ log = \"1KiB\" }}\n", manifest("greedy"));
    node.app("greedy", &limited, script);
    let mut starcell = node.start(&["--no-access-log"]);
    for _ in 0..2 {
        assert_eq!(ask(starcell.port(), "greedy.example", "/").text(), "done");
        let line = starcell.wait_for("more than the 1024 bytes of limits.log; the rest is dropped");
        assert!(line.contains("request="), "{line}");
    }
    let lines = starcell.stop().output.matches("flood").count();
    assert!((10..=20).contains(&lines), "{lines} lines of 200: each request has its own limit");
}

/// The keys that a table takes, as the error about a wrong one lists them.
fn keys(said: &str) -> Vec<String> {
    let (_, listed) = said.split_once("unknown key `unknown`, expected ").unwrap_or_else(|| panic!("{said}"));
    let listed = listed.lines().next().unwrap();
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The page names every limit and quota that the configuration and the command line have, and no other.
#[test]
fn the_table_of_limits_is_whole() {
    let page = include_str!("../../docs/host.md");
    let (_, table) = page.split_once("## Limits and quotas").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let names = |row: &str| -> Vec<String> {
        row.split('|')
            .nth(1)
            .unwrap()
            .split(':')
            .next()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let written: Vec<String> = rows.iter().flat_map(|row| names(row)).collect();
    let quotas = NodeFolder::new("[tenants.t]\nquotas = { unknown = 1 }\n").check().stderr;
    let node = NodeFolder::new(&tenants(""));
    node.app("greedy", &format!("{}limits = {{ unknown = \"1s\" }}\n", manifest("greedy")), &says("x"));
    let limits = node.check().output;
    let mut known: Vec<String> = keys(&quotas).iter().map(|name| format!("quotas.{name}")).collect();
    known.extend(keys(&limits).iter().map(|name| format!("limits.{name}")));
    assert!(known.len() >= 11, "{known:?}");
    // Flags with an amount are limits; those of the files of the audit log are not.
    let mut command = std::process::Command::new(starcell_tests::process::binary());
    command.args(["host", "--help"]);
    let help = starcell_tests::process::Starcell::spawn_command(command).wait().stdout;
    let flag = |line: &str| -> Option<String> {
        let (flag, value) = line.trim().strip_prefix("--")?.split_once(' ')?;
        let amounts = ["<N>", "<MIB>", "<KIB>", "<TIME>", "<BYTES>"];
        let is_of_files = flag.starts_with("audit-") && flag != "audit-rate";
        (amounts.contains(&value) && !is_of_files).then(|| format!("--{flag}"))
    };
    known.extend(help.lines().filter_map(flag));
    assert!(known.iter().any(|name| name == "--max-connections") && known.len() > 25, "{known:?}");
    let missing: Vec<&String> = known.iter().filter(|name| !written.contains(name)).collect();
    assert!(missing.is_empty(), "docs/host.md has no row for {missing:?}");
    let strange: Vec<&String> = written.iter().filter(|name| !known.contains(name)).collect();
    assert!(strange.is_empty(), "docs/host.md has rows for {strange:?}");
    for row in rows {
        assert_eq!(row.matches('|').count(), 5, "of what, by default, past it: {row}");
    }
}
