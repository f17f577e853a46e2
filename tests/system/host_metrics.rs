//! `starcell host`: what those who watch over a node read, and the requests that it makes by itself.

use starcell_tests::client::get;
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually};

const TENANT: &str = "[tenants.acme]\nprofile = \"allow-local\"\nquotas = { requests = \"5/h\" }\n";

fn manifest(rest: &str) -> String {
    format!("tenant = \"acme\"\nhosts = [\"a.example\"]\n{rest}")
}

/// The port of the metrics, which is told before the listeners are.
fn metrics(starcell: &mut Starcell) -> u16 {
    let line = starcell.wait_for("metrics at http://127.0.0.1:");
    line.rsplit(':').next().and_then(|rest| rest.strip_suffix("/metrics")).unwrap().parse().unwrap()
}

#[test]
fn the_numbers_of_a_node_have_an_address_of_their_own() {
    let node = NodeFolder::new(&format!("[metrics]\naddress = \"127.0.0.1:0\"\n{TENANT}"));
    node.app("orders", &manifest(""), &says("orders"));
    node.app("broken", "tenant = \"acme\"\nhosts = [\"b.example\"]\n", "1 // 0\n");
    let mut starcell = node.spawn(&[]);
    let watched = metrics(&mut starcell);
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
