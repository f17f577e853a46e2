//! One attack, and what is attacked.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::good::Good;
use crate::process::{PATIENCE, SLACK, Starcell, eventually, script};
use crate::tls::{self, Identity};

/// What resident memory may have grown by when an attack is over: pages that the allocator and the pool of instances
/// keep for the next request, not what an attacker holds.
const KEPT: usize = 24 << 20;

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// What a report calls it.
    pub name: &'static str,
    /// Flags of the server.
    pub flags: &'static [&'static str],
    /// Whether the server speaks TLS.
    pub tls: bool,
    /// Attacks until the server has shaken it off.
    pub run: fn(&Starcell),
}

/// What is attacked.
#[derive(Debug)]
pub struct Target {
    /// The server.
    pub server: Starcell,
    identity: Option<Identity>,
}

/// Something of each size to ask for, and something that takes a body.
const SCRIPT: &str = r#"
def echo(req):
    return "got %d" % len(req.body)
# Made once: what is attacked is how it is sent, not how it is computed.
LARGE = "x" * 8388608
srv = http.server(OPTIONS)
srv.handle("GET /", lambda req: "good")
srv.handle("GET /large", lambda req: LARGE)
srv.handle("POST /", echo)
srv.serve()
"#;

impl Attack {
    /// The server that this is meant for.
    #[must_use]
    pub fn target(&self) -> Target {
        let identity = self.tls.then(Identity::make);
        let options = identity.as_ref().map(Identity::options).unwrap_or_default();
        let path: PathBuf = script(&SCRIPT.replace("OPTIONS", &options));
        let flags: Vec<&str> = ["--no-access-log"].iter().chain(self.flags).copied().collect();
        Target { server: Starcell::serve(&flags, &path), identity }
    }

    /// Attacks while a good client keeps asking. The good client must get only right answers, the attacker's connections
    /// must all be gone afterwards, and memory back where it was.
    pub fn survive(&self) {
        let target = self.target();
        target.warm_up();
        let good = target.keep_asking();
        let server = &target.server;
        let (descriptors, before) = (server.descriptors(), server.own_memory());
        // Handshakes are what an attack on TLS could hold up.
        let fresh = self.tls.then(|| target.keep_connecting());
        (self.run)(server);
        let _ = fresh.map(Good::finish);
        eventually(SLACK, "descriptors go back", || server.descriptors() <= descriptors);
        let _ = good.finish();
        let (mut now, began) = (server.own_memory(), Instant::now());
        while now > before + KEPT && began.elapsed() < PATIENCE / 4 {
            thread::sleep(Duration::from_millis(100));
            now = server.own_memory();
        }
        assert!(now <= before + KEPT, "{}: its memory went from {before} to {now}", self.name);
        let ended = target.server.stop();
        assert_eq!(ended.code(), 0, "{}", ended.output);
        assert!(!ended.output.contains("panic"), "{}", ended.output);
    }
}

impl Target {
    /// A client that behaves, on a connection of its own.
    #[must_use]
    pub fn keep_asking(&self) -> Good {
        let port = self.server.port();
        match &self.identity {
            None => Good::keep_asking(Client::connect(port), "/", "good"),
            Some(identity) => {
                let client = tls::connect(port, &[identity], &["http/1.1"]).expect("the server accepts");
                Good::keep_asking(client, "/", "good")
            }
        }
    }

    /// A client that behaves and comes on a new connection each time.
    #[must_use]
    pub fn keep_connecting(&self) -> Good {
        let (port, identity) = (self.server.port(), self.identity.clone());
        let ask = move |(): &mut ()| {
            let answer = match &identity {
                None => Client::try_connect(port).and_then(|mut client| client.try_request("GET", "/", &[], b"")),
                Some(identity) => tls::connect(port, &[identity], &["http/1.1"])
                    .and_then(|mut client| client.try_request("GET", "/", &[], b"")),
            };
            let answer = answer.unwrap_or_else(|error| panic!("the good client got no new connection: {error}"));
            assert_eq!((answer.status, answer.text()), (200, "good"), "the good client on a new connection");
        };
        Good::keep(|| (), ask)
    }

    /// Has the server take what it keeps for good: instances, buffers, threads' caches.
    pub fn warm_up(&self) {
        let before = self.server.descriptors();
        let asking: Vec<Good> = (0..16).map(|_| self.keep_asking()).collect();
        thread::sleep(Duration::from_millis(200));
        let _ = asking.into_iter().map(Good::finish).fold(0, |sum, times| sum + times.len());
        // Or an attack would take them for its own.
        eventually(SLACK, "connections of the warm-up are closed", || self.server.descriptors() <= before);
    }
}
