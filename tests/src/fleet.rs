//! Several nodes with one store and HAProxy in front of them, and what happens to them in a year: a node is killed, one is
//! restarted in order, all are upgraded one by one, the store restarts.

use std::time::Duration;

use crate::client::Client;
use crate::node::NodeFolder;
use crate::process::{PATIENCE, Starcell, eventually};
use crate::proxy::{Backend, Proxy};
use crate::servers::{Server, steady_port};

/// Nodes of a fleet.
pub const NODES: usize = 3;

/// The flags of each node. HAProxy needs a fraction of the delay to learn that a node goes.
const FLAGS: [&str; 3] = ["--no-access-log", "--drain-delay", "3s"];

/// What the app of a fleet does: it adds to a sum that all clients share, which cannot be done twice unnoticed, and counts in
/// steps for one client, which can be asked for again.
const SCRIPT: &str = r#"
def failed(result):
    return {"status": 503, "body": result.error}

def add(req):
    sum = kv.try_incr("sum")
    return str(sum.value) if sum.ok else failed(sum)

def step(req):
    key, number = "own:" + req.params["client"], int(req.params["number"])
    swapped = kv.try_compare_and_set(key, number - 1 if number > 1 else None, number)
    if not swapped.ok:
        return failed(swapped)
    if swapped.value:
        return str(number)
    # The step was made before, when its answer was lost, or somebody else counts here.
    found = kv.try_get(key)
    if not found.ok:
        return failed(found)
    return {"status": 200 if found.value == number else 409, "body": str(found.value)}

def look(key):
    found = kv.try_get(key, 0)
    return str(found.value) if found.ok else failed(found)

srv = http.server()
srv.handle("POST /sum", add)
srv.handle("GET /sum", lambda req: look("sum"))
srv.handle("PUT /own/{client}/{number}", step)
srv.handle("GET /own/{client}", lambda req: look("own:" + req.params["client"]))
srv.serve(port=8080)
"#;

/// What happens to a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing: how it is without.
    None,
    /// The first node is killed as kill -9 does, and started again.
    Kill,
    /// The second node is told to end, drains, and is started again.
    Restart,
    /// New processes take over from all nodes, one after the other.
    Upgrade,
    /// The store is killed, and started again over its files.
    Store,
}

impl Event {
    /// The events in the order in which a fleet lives through them.
    pub const ALL: [Self; 6] = [Self::None, Self::Kill, Self::Restart, Self::Upgrade, Self::Store, Self::None];

    /// The event in some words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "nothing happens",
            Self::Kill => "a node is killed and comes back",
            Self::Restart => "a node is restarted in order",
            Self::Upgrade => "all nodes are upgraded one by one",
            Self::Store => "the store is killed and comes back",
        }
    }

    /// Whether clients notice nothing of it: no request fails, also none that may not be sent twice.
    #[must_use]
    pub const fn is_orderly(self) -> bool {
        matches!(self, Self::None | Self::Restart | Self::Upgrade)
    }
}

/// A node of a fleet.
#[derive(Debug)]
struct Member {
    folder: NodeFolder,
    backend: Backend,
    /// None while it is down.
    running: Option<Starcell>,
}

/// Some nodes behind HAProxy. The store is the test's.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
    /// What clients speak to.
    pub proxy: Proxy,
}

impl Fleet {
    /// Starts nodes that keep their pairs on a server, and HAProxy in front of them.
    #[must_use]
    pub fn start(store: &Server) -> Self {
        let mut members: Vec<Member> = (0..NODES).map(|_| Member::new(store)).collect();
        members.iter_mut().for_each(|member| member.start(&[]));
        let backends: Vec<Backend> = members.iter().map(|member| member.backend).collect();
        let fleet = Self { members, proxy: Proxy::before(&backends) };
        fleet.wait_until_whole();
        fleet
    }

    /// Brings an event about, and waits until the fleet is whole again. `meanwhile` is called while something is away, and
    /// returns when enough has happened then.
    pub fn live_through(&mut self, event: Event, store: &mut Server, meanwhile: &dyn Fn()) {
        match event {
            Event::None => meanwhile(),
            Event::Kill => {
                let killed = self.members[0].running.take().expect("it runs");
                killed.signal("KILL");
                assert_eq!(killed.wait().code(), -1);
                assert_eq!(self.members[0].ready(), None, "a node that is gone says nothing");
                self.wait_for_proxy(0, false);
                meanwhile();
                self.members[0].start(&[]);
            }
            Event::Restart => {
                let ending = self.members[1].running.take().expect("it runs");
                ending.signal("TERM");
                let backend = self.members[1].backend;
                eventually(PATIENCE, "/readyz says that the node goes", || ready(backend) == Some(503));
                self.wait_for_proxy(1, false);
                meanwhile();
                let ended = ending.wait();
                assert_eq!(ended.code(), 0, "{}", ended.output);
                self.members[1].start(&[]);
            }
            Event::Upgrade => {
                for place in 0..NODES {
                    let old = self.members[place].running.take().expect("it runs");
                    self.members[place].start(&["--take-over"]);
                    let ended = old.wait();
                    assert_eq!(ended.code(), 0, "{}", ended.output);
                    assert!(ended.output.contains("has taken over"), "{}", ended.output);
                }
                meanwhile();
            }
            Event::Store => {
                store.restart();
                meanwhile();
            }
        }
        self.wait_until_whole();
    }

    /// Ends it in order.
    pub fn stop(self) {
        for member in self.members {
            let ended = member.running.expect("it runs").stop();
            assert_eq!(ended.code(), 0, "{}", ended.output);
        }
    }

    /// Waits until each node says that it is ready, HAProxy sends requests to it, and it answers some from the store: nobody
    /// helps it.
    fn wait_until_whole(&self) {
        for (place, member) in self.members.iter().enumerate() {
            eventually(PATIENCE, "/readyz says that the node is ready", || member.ready() == Some(200));
            self.wait_for_proxy(place, true);
            eventually(PATIENCE, "the node answers", || {
                let asked = Client::try_connect(member.backend.port);
                asked.and_then(|mut client| client.try_request("GET", "/sum", &[], b"")).is_ok_and(|a| a.status == 200)
            });
        }
    }

    fn wait_for_proxy(&self, place: usize, sends: bool) {
        let what = if sends { "HAProxy sends requests to the node" } else { "HAProxy leaves the node out" };
        eventually(PATIENCE, what, || self.proxy.sends_to(place) == sends);
    }
}

impl Member {
    fn new(store: &Server) -> Self {
        let folder = NodeFolder::new("");
        let backend = Backend { port: steady_port(), watched: steady_port() };
        folder.configure(&format!(
            "[listeners.web]\naddress = \"127.0.0.1:{}\"\n[metrics]\naddress = \"127.0.0.1:{}\"\n\
             [kv]\nurl = {:?}\npassword_file = {:?}\n\
             [profiles.web]\nbase = \"allow-fs\"\nallow = [\"http.server\"]\n[tenants.acme]\nprofile = \"web\"\n",
            backend.port,
            backend.watched,
            store.url(),
            store.password_file().display().to_string(),
        ));
        folder.app("counter", "tenant = \"acme\"\n", SCRIPT);
        Self { folder, backend, running: None }
    }

    fn start(&mut self, more: &[&str]) {
        self.running = Some(self.folder.start(&[&FLAGS[..], more].concat()));
    }

    /// The status of its `/readyz`; none while nothing answers there.
    fn ready(&self) -> Option<u16> {
        ready(self.backend)
    }
}

fn ready(backend: Backend) -> Option<u16> {
    let mut client = Client::try_connect(backend.watched).ok()?;
    client.patience(Duration::from_secs(5));
    client.try_request("GET", "/readyz", &[], b"").ok().map(|answer| answer.status)
}
