//! `starcell host`: tenants that all want every core get it by their weights.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use starcell_tests::client::Client;
use starcell_tests::node::{NodeFolder, Running, ask_on};
use starcell_tests::process::{PATIENCE, eventually};

const WEIGHTS: [u32; 3] = [1, 2, 4];

/// A request of some milliseconds.
const BURNS: &str = "
def burn(req):
    total = 0
    for number in range(100000):
        total += number
    return str(total)

srv = http.server()
srv.handle(\"GET /\", burn)
srv.serve()
";

/// CPU time that the apps of a tenant have used.
fn used(running: &Running, tenant: usize) -> f64 {
    let start = format!("starcell_cpu_seconds_total{{tenant=\"t{tenant}\",app=\"a{tenant}\"}} ");
    let page = running.page();
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    line.map_or(0.0, |seconds| seconds.parse().unwrap())
}

/// It is the CPU time that counts, which no other load of the machine changes.
#[test]
fn cpu_time_is_shared_by_weight() {
    let node = NodeFolder::new("");
    let tenants = WEIGHTS.iter().enumerate().map(|(number, weight)| {
        node.app(&format!("a{number}"), &format!("tenant = \"t{number}\"\nhosts = [\"t{number}.example\"]\n"), BURNS);
        format!("[tenants.t{number}]\nprofile = \"allow-local\"\nweight = {weight}\n")
    });
    let tenants: String = tenants.collect();
    let address = "address = \"127.0.0.1:0\"\n";
    node.configure(&format!("idle = \"never\"\n[listeners.web]\n{address}[metrics]\n{address}{tenants}"));
    let running = Running::start(&node, &[]);
    let port = running.port;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..WEIGHTS.len())
        .flat_map(|tenant| [tenant; 8])
        .map(|tenant| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let (mut client, host) = (Client::connect(port), format!("t{tenant}.example"));
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(ask_on(&mut client, &host, "/").unwrap().status, 200);
                }
            })
        })
        .collect();
    let had = |tenant| used(&running, tenant);
    eventually(PATIENCE, "all have begun", || (0..WEIGHTS.len()).all(|tenant| had(tenant) > 0.2));
    let began = [had(0), had(1), had(2)];
    eventually(PATIENCE, "the least has had its second", || had(0) > began[0] + 1.0);
    let parts: Vec<f64> = (0..WEIGHTS.len()).map(|tenant| had(tenant) - began[tenant]).collect();
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let (all, weights) = (parts.iter().sum::<f64>(), f64::from(WEIGHTS.iter().sum::<u32>()));
    for (part, weight) in parts.iter().zip(WEIGHTS) {
        let wanted = f64::from(weight) / weights;
        assert!((part / all / wanted - 1.0).abs() < 0.1, "{weight} of {weights} had {} of {all:.2} s", part / all);
    }
}
