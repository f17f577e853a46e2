//! Servers that keep state, started by a test on a free port of loopback with their files in a folder of its own, and
//! ended with it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::process::{PATIENCE, folder};
use crate::tls::Identity;

/// The lowest of the ports that are not a client's.
const LOWEST: u16 = 15_000;

/// The password of both servers.
pub const PASSWORD: &str = "a secret of tests";

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Its port on 127.0.0.1.
    pub port: u16,
    kind: Kind,
    folder: PathBuf,
    /// Set where connections are encrypted.
    identity: Option<Identity>,
    child: Option<Child>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Postgres,
    Redis,
}

impl Server {
    /// Redis, which answers for a change when it is on the disk.
    #[must_use]
    pub fn redis() -> Self {
        Self::new(Kind::Redis, None)
    }

    /// Redis behind TLS alone.
    #[must_use]
    pub fn redis_encrypted(identity: &Identity) -> Self {
        Self::new(Kind::Redis, Some(identity.clone()))
    }

    /// PostgreSQL with a user and a database `starcell`.
    #[must_use]
    pub fn postgres() -> Self {
        Self::new(Kind::Postgres, None)
    }

    /// PostgreSQL that also takes encrypted connections.
    #[must_use]
    pub fn postgres_encrypted(identity: &Identity) -> Self {
        Self::new(Kind::Postgres, Some(identity.clone()))
    }

    fn new(kind: Kind, identity: Option<Identity>) -> Self {
        let mut server = Self { port: 0, kind, folder: folder(), identity, child: None };
        if kind == Kind::Postgres {
            server.make_cluster();
        }
        // Another process can take a free port before the server does.
        for _ in 0..5 {
            server.port = steady_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("{kind:?} does not start: {}", server.log());
    }

    /// The URL for `--kv`.
    #[must_use]
    pub fn url(&self) -> String {
        match (self.kind, self.identity.is_some()) {
            (Kind::Redis, false) => format!("redis://127.0.0.1:{}", self.port),
            (Kind::Redis, true) => format!("rediss://127.0.0.1:{}", self.port),
            (Kind::Postgres, false) => format!("postgres://127.0.0.1:{}/starcell?sslmode=disable", self.port),
            (Kind::Postgres, true) => format!("postgres://127.0.0.1:{}/starcell", self.port),
        }
    }

    /// A file with its password.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        password_file(PASSWORD)
    }

    /// Kills it as kill -9 does, and waits until it has ended.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            let _ = child.wait();
        }
    }

    /// Starts it again on its port, over the files that it left.
    pub fn restart(&mut self) {
        self.kill();
        let deadline = Instant::now() + PATIENCE;
        while !self.try_start() {
            assert!(Instant::now() < deadline, "{:?} does not start again: {}", self.kind, self.log());
        }
    }

    /// What it says of itself.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn try_start(&mut self) -> bool {
        let mut child = self.command().spawn().expect("the server's program is installed");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if child.try_wait().expect("our own child").is_some() {
                return false;
            }
            if self.answers() {
                self.child = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().expect("our own child");
        let _ = child.wait();
        false
    }

    fn command(&self) -> Command {
        let log = fs::File::create(self.folder.join("log")).expect("a folder of our own");
        let port = self.port.to_string();
        let mut command = match self.kind {
            Kind::Redis => {
                let mut command = Command::new("redis-server");
                let ports: &[&str] = if self.identity.is_some() { &["--port", "0", "--tls-port"] } else { &["--port"] };
                command.args(ports).arg(&port).args(["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]);
                command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(&self.folder);
                if let Some(identity) = &self.identity {
                    command.args(["--tls-auth-clients", "no", "--tls-cert-file"]).arg(&identity.cert);
                    command.arg("--tls-key-file").arg(&identity.key);
                }
                command
            }
            Kind::Postgres => {
                let mut command = unprivileged(&program("postgres"));
                command.arg("-D").arg(self.data()).args(["-p", &port, "-h", "127.0.0.1", "-c", "fsync=off"]);
                command.args(["-c", "unix_socket_directories=", "-c", "max_connections=100"]);
                if self.identity.is_some() {
                    command.args(["-c", "ssl=on", "-c", "ssl_cert_file=server.crt", "-c", "ssl_key_file=server.key"]);
                }
                command
            }
        };
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file of our own")).stderr(log);
        command
    }

    /// Whether it does what it is for: a server that is still starting takes connections too.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        match self.kind {
            // Behind TLS a connection has to do.
            Kind::Redis if self.identity.is_some() => true,
            Kind::Redis => {
                let asked = format!("AUTH \"{PASSWORD}\"\r\nDBSIZE\r\n");
                let mut answer = [0; 64];
                stream.write_all(asked.as_bytes()).is_ok()
                    && stream.read(&mut answer).is_ok_and(|_| answer.starts_with(b"+OK"))
            }
            Kind::Postgres => self.log().contains("ready to accept connections"),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The files of a new cluster, owned by a user that is not root: PostgreSQL refuses to run as root.
    fn make_cluster(&self) {
        // The user of the server has to get through.
        for folder in self.folder.ancestors().take(2) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a folder of our own");
        }
        fs::create_dir(self.data()).expect("a folder of our own");
        fs::write(self.folder.join("password"), PASSWORD).expect("a folder of our own");
        give_away(&self.data());
        let mut command = unprivileged(&program("initdb"));
        command.arg("-D").arg(self.data()).args(["-U", "starcell", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8"]);
        command.args(["--locale=C", "--pwfile"]).arg(self.folder.join("password"));
        let made = command.output().expect("initdb is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        if let Some(identity) = &self.identity {
            for (from, to) in [(&identity.cert, "server.crt"), (&identity.key, "server.key")] {
                let to = self.data().join(to);
                fs::copy(from, &to).expect("a folder of our own");
                fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("a file of our own");
                give_away(&to);
            }
        }
        // A single-user session makes the database before the server runs.
        let mut single = unprivileged(&program("postgres"));
        single.args(["--single", "-D"]).arg(self.data()).arg("postgres").stdin(Stdio::piped());
        let mut single = single.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("postgres is installed");
        let mut input = single.stdin.take().expect("piped");
        input.write_all(b"CREATE DATABASE starcell OWNER starcell;\n").expect("it reads");
        drop(input);
        assert!(single.wait().expect("our own child").success(), "no database");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file that holds a password.
#[must_use]
pub fn password_file(password: &str) -> PathBuf {
    let path = folder().join("password");
    fs::write(&path, format!("{password}\n")).expect("a folder of our own");
    path
}

/// A port that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// A port that was free a moment ago, and that no connection of a client gets: a server that is started again on it finds it
/// free. The kernel gives clients ports of a range, and this one is below it.
#[must_use]
pub fn steady_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first: u16 = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
    // Where the range leaves little room, any port has to do.
    let room = first.saturating_sub(LOWEST);
    if room < 1000 {
        return free_port();
    }
    // Processes begin at different places.
    let begin = u16::try_from(std::process::id() % u32::from(room)).expect("below the room");
    for _ in 0..room {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port =
            LOWEST + u16::try_from((u32::from(begin) + u32::from(step)) % u32::from(room)).expect("below the room");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port below {first} is free");
}

/// A program of the newest PostgreSQL. Debian has them in a folder that is on no path.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").map(|entries| entries.flatten().map(|entry| entry.path()));
    let mut found: Vec<PathBuf> =
        versions.into_iter().flatten().map(|version| version.join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0)
}

/// A program as a user that is not root, and that ends when its test does.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    command.arg(program).current_dir("/");
    command
}

/// Gives a file to the user that servers run as.
fn give_away(path: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("nobody:nogroup").arg(path).status().expect("chown is installed");
        assert!(given.success(), "{}", path.display());
    }
}
