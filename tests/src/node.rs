//! A node with apps of a test's own, in a folder of its own.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::client::{Client, Response, get};
use crate::process::{Ended, PATIENCE, Starcell, binary, eventually, folder};
use crate::tls::replace;

/// The folder of a node: its configuration, and its apps.
#[derive(Clone, Debug)]
pub struct NodeFolder {
    /// The folder.
    pub path: PathBuf,
}

/// A script that answers with a text.
#[must_use]
pub fn says(text: &str) -> String {
    format!("srv = http.server()\nsrv.handle(\"GET /\", lambda req: {text:?})\nsrv.serve(port=8080)\n")
}

impl NodeFolder {
    /// A node with a plain listener, the tenants of this part of its configuration, and no app.
    #[must_use]
    pub fn new(tenants: &str) -> Self {
        let node = Self { path: folder() };
        fs::create_dir(node.path.join("apps")).expect("a folder of our own");
        node.configure(&format!("[listeners.web]\naddress = \"127.0.0.1:0\"\n{tenants}"));
        node
    }

    /// Writes its configuration, but for the table of the node itself.
    pub fn configure(&self, rest: &str) {
        let text = format!("[node]\nname = \"node-1\"\nstate = \"state\"\napps = \"apps\"\n{rest}");
        fs::write(self.config(), text).expect("a file of our own");
    }

    /// Writes the tokens of its operators, to the file `tokens` that its configuration names.
    pub fn tokens(&self, text: &str) {
        let file = self.path.join("tokens");
        replace(&file, text.as_bytes());
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("a file of our own");
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path.join("node.toml")
    }

    /// Writes an app, its script before its description.
    pub fn app(&self, name: &str, manifest: &str, script: &str) -> &Self {
        let folder = self.path.join("apps").join(name);
        fs::create_dir_all(&folder).expect("a folder of our own");
        replace(&folder.join("main.star"), script.as_bytes());
        replace(&folder.join("app.toml"), manifest.as_bytes());
        self
    }

    /// Starts it and waits until it serves.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Starcell {
        let mut starcell = self.spawn(arguments);
        starcell.wait_for("serving ");
        starcell
    }

    /// Starts it and waits for nothing.
    #[must_use]
    pub fn spawn(&self, arguments: &[&str]) -> Starcell {
        let mut command = Command::new(binary());
        command.arg("host").args(arguments).arg(self.config()).current_dir(&self.path);
        Starcell::spawn_command(command)
    }

    /// What `--check` says of it.
    #[must_use]
    pub fn check(&self) -> Ended {
        self.spawn(&["--check"]).wait()
    }
}

/// A node that runs and tells its numbers.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub starcell: Starcell,
    /// The port of its listener.
    pub port: u16,
    metrics: u16,
}

impl Running {
    /// Starts a node that has `[metrics]`, and waits until it serves.
    #[must_use]
    pub fn start(node: &NodeFolder, arguments: &[&str]) -> Self {
        let mut starcell = node.spawn(arguments);
        let metrics = watched_port(&mut starcell);
        starcell.wait_for("serving ");
        let port = starcell.port();
        Self { starcell, port, metrics }
    }

    /// One of its numbers, by its name without the prefix.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        let page = self.page();
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("starcell_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{page}")).parse().expect("a number")
    }

    /// All of its numbers, as Prometheus reads them.
    #[must_use]
    pub fn page(&self) -> String {
        get(self.metrics, "/metrics").text().to_owned()
    }

    /// What an app answers.
    #[must_use]
    pub fn text(&self, host: &str, path: &str) -> String {
        let response = ask(self.port, &format!("{host}.example"), path);
        assert_eq!(response.status, 200, "{host}{path}: {}", response.text());
        response.text().to_owned()
    }

    /// Waits until one of its numbers is this.
    pub fn until(&self, name: &str, number: u64) {
        eventually(PATIENCE / 2, &format!("{name} is {number}"), || self.number(name) == number);
    }
}

/// The port where the numbers of a node are read, which is told before its listeners are.
#[must_use]
pub fn watched_port(starcell: &mut Starcell) -> u16 {
    let line = starcell.wait_for("metrics at http://127.0.0.1:");
    let port = line.rsplit(':').next().and_then(|rest| rest.strip_suffix("/metrics"));
    port.and_then(|port| port.parse().ok()).expect("the address ends with a port")
}

/// Asks a port for a path of a host, over a connection of its own.
#[must_use]
pub fn ask(port: u16, host: &str, target: &str) -> Response {
    ask_on(&mut Client::connect(port), host, target).expect("a response")
}

/// Asks for a path of a host.
pub fn ask_on<S: Read + Write>(client: &mut Client<S>, host: &str, target: &str) -> std::io::Result<Response> {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    client.read(false)
}
