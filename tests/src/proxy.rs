//! HAProxy in front of several nodes, configured as an operator would: it asks each node's `/readyz`, sends requests to those
//! that are ready, and sends a request again to another node where that cannot do anything twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::process::{PATIENCE, folder};
use crate::servers::steady_port;

/// How often each node is asked whether it is ready. Two answers in a row decide.
pub const ASKED_EVERY: Duration = Duration::from_millis(100);

/// A node as HAProxy knows it.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// The port of its apps.
    pub port: u16,
    /// The port of its `/readyz`.
    pub watched: u16,
}

/// A running HAProxy; it ends with this.
#[derive(Debug)]
pub struct Proxy {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Where it tells its numbers.
    numbers: u16,
    child: Child,
}

impl Proxy {
    /// Starts it in front of these nodes, and waits until it answers.
    #[must_use]
    pub fn before(backends: &[Backend]) -> Self {
        let folder = folder();
        // Another process can take a free port before it does.
        for _ in 0..5 {
            let (port, numbers) = (steady_port(), steady_port());
            let config = folder.join("haproxy.cfg");
            fs::write(&config, configuration(port, numbers, backends)).expect("a folder of our own");
            let child = start(&config, &folder.join("log"));
            let mut proxy = Self { port, numbers, child };
            if proxy.answers() {
                return proxy;
            }
        }
        panic!("haproxy does not start: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
    }

    /// Whether it sends requests to this node, by the place among those that it was started with.
    #[must_use]
    pub fn sends_to(&self, backend: usize) -> bool {
        let numbers = self.numbers().expect("haproxy tells its numbers");
        let mut lines = numbers.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next().expect("a head");
        let status = head.iter().position(|name| *name == "status").expect("a column");
        let name = format!("n{backend}");
        let line = lines.find(|line| line.get(1) == Some(&name.as_str())).expect("a line for each node");
        line[status].starts_with("UP")
    }

    /// Waits until it answers; false if it ended.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("our own child").is_some() {
                return false;
            }
            if self.numbers().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Its numbers as comma-separated values.
    fn numbers(&self) -> Option<String> {
        let mut client = Client::try_connect(self.numbers).ok()?;
        client.send(b"GET /;csv HTTP/1.0\r\n\r\n").ok()?;
        let text = String::from_utf8(client.rest().ok()?).ok()?;
        // It answers in chunks, whatever it was asked in, and all of them fit into the first one.
        text.find("# pxname").and_then(|at| text.get(at..)).map(str::to_owned)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Both fail when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(config: &Path, log: &PathBuf) -> Child {
    let log = fs::File::create(log).expect("a folder of our own");
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(config).stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a file of our own")).stderr(log).spawn().expect("haproxy is installed")
}

/// The configuration of docs/stores.md with ports of a test. Connections to nodes are not kept: a node that is killed
/// breaks the requests that it has, and no later one.
fn configuration(port: u16, numbers: u16, backends: &[Backend]) -> String {
    let server = |(place, backend): (usize, &Backend)| {
        format!("  server n{place} 127.0.0.1:{} check port {}\n", backend.port, backend.watched)
    };
    let servers: String = backends.iter().enumerate().map(server).collect();
    format!(
        "global\n  maxconn 2000\n\
         defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 30s\n  timeout check 5s\n\
         frontend web\n  bind 127.0.0.1:{port}\n  default_backend nodes\n\
         frontend numbers\n  bind 127.0.0.1:{numbers}\n  stats enable\n  stats uri /\n\
         backend nodes\n  balance roundrobin\n  option http-server-close\n  retries 5\n  option redispatch 1\n  \
         retry-on all-retryable-errors\n  http-request disable-l7-retry unless {{ method GET PUT }}\n  \
         option httpchk\n  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost\n  \
         http-check expect status 200\n  default-server inter {every}ms fastinter {every}ms downinter {every}ms fall 2 rise 2\n\
         {servers}",
        every = ASKED_EVERY.as_millis(),
    )
}
