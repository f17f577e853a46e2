//! Three nodes with one store behind HAProxy: what clients notice when a node is killed, restarted or upgraded and when the
//! store restarts, and that nothing which was acknowledged is lost or done twice.

use starcell_tests::fleet::{Event, Fleet};
use starcell_tests::fleet_load::{CLIENTS, FleetLoad, Trouble};
use starcell_tests::servers::Server;

/// Changes that are acknowledged in all, and as many where STARCELL_FLEET is set.
const WRITES: u64 = 10_000;
const MANY_WRITES: u64 = 100_000;

#[test]
fn a_fleet_on_redis_lives_through_its_year() {
    live(Server::redis());
}

#[test]
fn a_fleet_on_postgres_lives_through_its_year() {
    live(Server::postgres());
}

fn live(mut store: Server) {
    let writes = if std::env::var_os("STARCELL_FLEET").is_some() { MANY_WRITES } else { WRITES };
    let part = writes.div_ceil(Event::ALL.len() as u64);
    let mut fleet = Fleet::start(&store);
    let load = FleetLoad::start(fleet.proxy.port);
    for event in Event::ALL {
        let before = load.trouble();
        fleet.live_through(event, &mut store, &|| load.go_on(part));
        let Trouble { unknown, again } = load.trouble();
        let (unknown, again) = (unknown - before.unknown, again - before.again);
        if event.is_orderly() {
            assert_eq!((unknown, again), (0, 0), "{}: clients notice it", event.name());
        }
        // Each client has one request under way when a process dies, and the store has one more when it comes back.
        assert!(unknown <= 2 * CLIENTS, "{}: {unknown} of {CLIENTS} clients' additions", event.name());
    }
    let outcome = load.finish();
    assert!(outcome.added + outcome.steps >= writes, "{} and {} of {writes}", outcome.added, outcome.steps);
    let known = ["is away", "may have been done or not", "503 of HAProxy", "502 ", "UnexpectedEof", "ConnectionReset"];
    let strange: Vec<&String> =
        outcome.said.iter().filter(|said| !known.iter().any(|text| said.contains(text))).collect();
    assert!(strange.is_empty(), "{strange:?}");
    fleet.stop();
}
