//! `starcell host`: what those who watch over a node read, and the requests that it makes by itself.

use starcell_tests::client::get;
use starcell_tests::node::{NodeFolder, ask, says, watched_port};
use starcell_tests::process::{PATIENCE, Starcell, eventually, folder};
use starcell_tests::tools::{curl, run};

const TENANT: &str = "[tenants.acme]\nprofile = \"allow-local\"\nquotas = { requests = \"5/h\" }\n";

fn manifest(rest: &str) -> String {
    format!("tenant = \"acme\"\nhosts = [\"a.example\"]\n{rest}")
}

#[test]
fn the_numbers_of_a_node_have_an_address_of_their_own() {
    let node = NodeFolder::new(&format!("[metrics]\naddress = \"127.0.0.1:0\"\n{TENANT}"));
    node.app("orders", &manifest(""), &says("orders"));
    node.app("broken", "tenant = \"acme\"\nhosts = [\"b.example\"]\n", "1 // 0\n");
    let mut starcell = node.spawn(&[]);
    let watched = watched_port(&mut starcell);
    starcell.wait_for("serving ");
    let port = starcell.port();
    for _ in 0..7 {
        let _ = ask(port, "a.example", "/");
    }
    assert_eq!((ask(port, "b.example", "/").status, ask(port, "c.example", "/").status), (503, 421));
    let page = get(watched, "/metrics");
    assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{page:?}");
    for line in [
        "starcell_requests_total{tenant=\"acme\",app=\"orders\",code=\"2xx\"} 5",
        "starcell_requests_total{tenant=\"acme\",app=\"orders\",code=\"4xx\"} 2",
        "starcell_request_duration_seconds_count{tenant=\"acme\",app=\"orders\"} 7",
        "starcell_quota_hits_total{tenant=\"acme\",quota=\"requests\"} 2",
        "starcell_unrouted_requests_total{reason=\"down\"} 1",
        "starcell_unrouted_requests_total{reason=\"host\"} 1",
        "starcell_apps_running 1",
        "starcell_apps_down 1",
    ] {
        assert!(page.text().contains(line), "{line}\n{}", page.text());
    }
    assert!(page.text().ends_with("# EOF\n"), "{}", page.text());
    assert_eq!((get(watched, "/healthz").status, get(watched, "/readyz").status), (200, 200));
    assert_eq!(get(watched, "/").status, 404);
    // An app does not answer there, and the numbers are not among the apps.
    assert_eq!(ask(port, "a.example", "/metrics").status, 429);
}

/// A node with every kind of number in it: answers, refusals by quota and by permission, and a tenant with all quotas.
fn watched_node() -> (Starcell, u16) {
    let tenants = "[tenants.acme]\nprofile = \"allow-local\"\n\
                   quotas = { requests = \"50/h\", concurrency = 8, memory = \"64MiB\", kv = \"1MiB\" }\n";
    let node = NodeFolder::new(&format!("[metrics]\naddress = \"127.0.0.1:0\"\n{tenants}"));
    let script = "
def keep(req):
    kv.set(\"k\", \"v\" * 1000)
    return \"kept\"
srv = http.server()
srv.handle(\"GET /\", keep)
srv.handle(\"GET /denied\", lambda req: fs.read_text(\"/etc/passwd\"))
srv.serve()
";
    node.app("orders", &manifest(""), script);
    let mut starcell = node.spawn(&[]);
    let watched = watched_port(&mut starcell);
    starcell.wait_for("serving ");
    let port = starcell.port();
    for _ in 0..60 {
        let _ = ask(port, "a.example", "/");
    }
    (starcell, watched)
}

#[test]
fn forks_denials_and_tenants_have_numbers() {
    let node = NodeFolder::new(&format!("[metrics]\naddress = \"127.0.0.1:0\"\n{}", TENANT.replace("5/h", "50/h")));
    let script = "
srv = http.server()
srv.handle(\"GET /\", lambda req: \"x\")
srv.handle(\"GET /denied\", lambda req: fs.read_text(\"/etc/passwd\"))
srv.serve()
";
    node.app("orders", &manifest(""), script);
    let mut starcell = node.spawn(&[]);
    let watched = watched_port(&mut starcell);
    starcell.wait_for("serving ");
    let port = starcell.port();
    for _ in 0..3 {
        assert_eq!(ask(port, "a.example", "/").status, 200);
    }
    assert_eq!(ask(port, "a.example", "/denied").status, 500);
    let page = get(watched, "/metrics");
    let text = page.text();
    let number = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
    };
    let labels = "tenant=\"acme\",app=\"orders\"";
    assert_eq!(number(&format!("starcell_denials_total{{{labels}}}")), 1.0);
    let kind = |kind: &str| number(&format!("starcell_forks_total{{{labels},kind=\"{kind}\"}}"));
    assert!(kind("fresh") >= 1.0 && kind("fresh") + kind("parked") == 4.0, "{text}");
    assert_eq!(number("starcell_forks_reused_total"), kind("parked"));
    assert!(number("starcell_connections") >= 0.0 && number("starcell_connections_limit") > 0.0);
    assert_eq!(number("starcell_fork_differences_total"), 0.0);
}

#[test]
fn requests_are_counted_while_they_are_in_guests() {
    let node = NodeFolder::new("[metrics]\naddress = \"127.0.0.1:0\"\n[tenants.acme]\nprofile = \"allow-local\"\n");
    let script = "
def wait(req):
    for _ in range(2000):
        if kv.get(\"go\", 0) == 1:
            return \"went\"
        time.sleep(\"10ms\")

def go(req):
    kv.set(\"go\", 1)
    return \"go\"

srv = http.server()
srv.handle(\"GET /wait\", wait)
srv.handle(\"GET /go\", go)
srv.serve()
";
    node.app("orders", &manifest(""), script);
    let mut starcell = node.spawn(&[]);
    let watched = watched_port(&mut starcell);
    starcell.wait_for("serving ");
    let port = starcell.port();
    let in_guests =
        |count: u32| get(watched, "/metrics").text().contains(&format!("starcell_requests_in_guests {count}\n"));
    assert!(in_guests(0));
    let waiting = [(); 2].map(|()| std::thread::spawn(move || ask(port, "a.example", "/wait").text().to_owned()));
    eventually(PATIENCE / 2, "both are in guests", || in_guests(2));
    assert_eq!(ask(port, "a.example", "/go").text(), "go");
    for waiting in waiting {
        assert_eq!(waiting.join().unwrap(), "went");
    }
    eventually(PATIENCE / 2, "none is in a guest", || in_guests(0));
}

#[test]
fn promtool_finds_nothing_to_say_about_the_numbers() {
    let (_node, watched) = watched_node();
    let check = format!(
        "set -o pipefail; curl -sSf -H 'Accept: text/plain' http://127.0.0.1:{watched}/metrics | tee metrics | promtool check metrics"
    );
    let said = run("bash", "prometheus", ["-c", &format!("cd {} && {check}", folder().display())]);
    assert!(said.success && said.stderr.is_empty(), "{said:#?}");
}

#[test]
fn a_prometheus_scrapes_a_node() {
    let (_node, watched) = watched_node();
    let folder = folder();
    let config = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: starcell\n    static_configs:\n      - targets: ['127.0.0.1:{watched}']\n"
    );
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = std::process::Command::new("prometheus");
    command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]).current_dir(&folder);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = Starcell::spawn_command(command);
    let query = |query: &str| -> Vec<(String, f64)> {
        let said = curl(&[
            "--get",
            "--data-urlencode",
            &format!("query={query}"),
            &format!("http://127.0.0.1:{port}/api/v1/query"),
        ]);
        let Ok(answer) = serde_json::from_str::<serde_json::Value>(&said.stdout) else { return Vec::new() };
        let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let one =
            |one: &serde_json::Value| (one["metric"].to_string(), one["value"][1].as_str().unwrap().parse().unwrap());
        found.iter().map(one).collect()
    };
    eventually(PATIENCE, "prometheus has scraped", || query("up{job=\"starcell\"}").iter().any(|(_, up)| *up == 1.0));
    for (asked, least) in [
        ("starcell_requests_total{tenant=\"acme\",app=\"orders\",code=\"2xx\"}", 50.0),
        ("starcell_quota_hits_total{tenant=\"acme\",quota=\"requests\"}", 10.0),
        ("starcell_quota_refusals_total{app=\"orders\"}", 10.0),
        ("starcell_request_duration_seconds_count{app=\"orders\"}", 60.0),
        ("histogram_quantile(0.99, starcell_request_duration_seconds_bucket)", 0.0),
        ("sum(starcell_forks_total)", 50.0),
        ("starcell_tenant_kv_bytes{tenant=\"acme\"}", 1000.0),
        ("starcell_tenant_memory_limit_bytes", 67_108_864.0),
        ("starcell_cpu_seconds_total", 0.0),
    ] {
        let found = query(asked);
        assert!(found.len() == 1 && found[0].1 >= least, "{asked}: {found:?}");
    }
}

#[test]
fn a_schedule_makes_requests_below_the_prefix() {
    let node = NodeFolder::new("[tenants.acme]\nprofile = \"allow-local\"\n");
    let script = "
def tick(req):
    print(\"tick\", req.path, req.host, req.remote_addr)
    return str(kv.incr(\"ticks\"))

srv = http.server()
srv.handle(\"GET /tick\", tick)
srv.handle(\"GET /count\", lambda req: str(kv.get(\"ticks\", 0)))
srv.serve()
";
    let schedule =
        "path = \"/shop\"\nschedule = [{ every = \"1s\", path = \"/tick\" }, { every = \"1s\", path = \"/none\" }]\n";
    node.app("orders", &manifest(schedule), script);
    let mut starcell = node.start(&[]);
    starcell.wait_for("tick /tick a.example schedule");
    starcell.wait_for("the schedule asked for /none: status 404");
    let port = starcell.port();
    eventually(PATIENCE / 2, "several ticks", || {
        ask(port, "a.example", "/shop/count").text().parse::<u32>().unwrap() > 1
    });
    assert_eq!(starcell.stop().code(), 0);
}
