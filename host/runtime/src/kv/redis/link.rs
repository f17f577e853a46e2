//! Connections to Redis.
//!
//! Calls of all apps share few connections: each carries many calls at a time, and answers come in order. A call that only
//! looks is made once more when its connection ends under it. A change is not: nobody knows whether the server did it, and
//! the error says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError, Value as Given};
use starcell_log::Logs;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::client::resolve::System;
use crate::client::tls::server_name;
use crate::remote::dial;
use crate::remote::presence::{AWAY, DEADLINE, NoConnection, Presence, UNKNOWN};
use crate::remote::server::RemoteServer;
use crate::store_failure::{StoreError, StoreFailure};

/// Connections to one server.
const LINKS: usize = 4;

/// Calls under way at one server. More wait for a place, within their deadline.
const MAX_CALLS: usize = 1024;

/// A script of the server, by its number among those of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    number: usize,
    text: &'static str,
}

impl Script {
    pub(super) const fn new(number: usize, text: &'static str) -> Self {
        Self { number, text }
    }
}

/// The connections to one server.
#[derive(Debug)]
pub(super) struct Links {
    server: RemoteServer,
    presence: Presence,
    scripts: &'static [Script],
    resolver: System,
    links: [Mutex<Option<Link>>; LINKS],
    next: AtomicUsize,
    places: Semaphore,
    /// Held by whoever connects, so that many calls without a connection make one.
    connecting: tokio::sync::Mutex<()>,
}

/// One connection.
#[derive(Clone, Debug)]
struct Link {
    connection: MultiplexedConnection,
    /// The digests by which the server knows the scripts.
    digests: Arc<[String]>,
    /// Moves its bytes, and ends with it.
    tasks: Arc<JoinSet<()>>,
}

/// What a call asks a server.
enum Asked<'a> {
    Command(&'a Cmd),
    Script(Script, &'a (dyn Fn(&mut Cmd) + Sync)),
}

impl Asked<'_> {
    async fn send(&self, mut link: Link) -> Result<Given, RedisError> {
        let (script, arguments) = match self {
            Self::Command(command) => return sent(&mut link.connection, command).await,
            Self::Script(script, arguments) => (script, arguments),
        };
        let mut command = redis::cmd("EVALSHA");
        command.arg(link.digests.get(script.number).map_or("", String::as_str));
        arguments(&mut command);
        match sent(&mut link.connection, &command).await {
            // Somebody emptied the server's cache of scripts.
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let mut command = redis::cmd("EVAL");
                command.arg(script.text);
                arguments(&mut command);
                sent(&mut link.connection, &command).await
            }
            answer => answer,
        }
    }
}

/// Sends a command. The library hands a refusal of the server on as an answer, so it is made an error here.
async fn sent(connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Given, RedisError> {
    connection.send_packed_command(command).await.and_then(Given::extract_error)
}

/// How a call ended without an answer.
enum Broken {
    /// The server did not do it.
    Undone,
    /// Nobody knows.
    Unknown,
    /// The server is a replica now, and did not do it.
    Replica,
    /// The server refused it.
    Refused(StoreError),
}

impl Links {
    pub(super) fn new(server: RemoteServer, logs: Logs, scripts: &'static [Script]) -> Self {
        let place = format!("{}://{server}", if server.tls { "rediss" } else { "redis" });
        Self {
            server,
            presence: Presence::new(place, logs),
            scripts,
            resolver: System::default(),
            links: std::array::from_fn(|_| Mutex::new(None)),
            next: AtomicUsize::new(0),
            places: Semaphore::new(MAX_CALLS),
            connecting: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn place(&self) -> &str {
        self.presence.place()
    }

    /// Sends a command. One that only looks may be sent twice.
    pub(super) async fn ask(&self, command: &Cmd, looks: bool) -> Result<Given, StoreError> {
        self.call(&Asked::Command(command), looks).await
    }

    /// Runs a script with the arguments that `arguments` adds. One that only looks may be run twice.
    pub(super) async fn run(
        &self,
        script: Script,
        arguments: &(dyn Fn(&mut Cmd) + Sync),
        looks: bool,
    ) -> Result<Given, StoreError> {
        self.call(&Asked::Script(script, arguments), looks).await
    }

    async fn call(&self, asked: &Asked<'_>, looks: bool) -> Result<Given, StoreError> {
        let deadline = Instant::now() + DEADLINE;
        let place = timeout_at(deadline, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(StoreError::new(StoreFailure::Busy, "too many calls wait for the server that keeps it"));
        };
        let slot = self.next.fetch_add(1, Ordering::Relaxed) % LINKS;
        let mut again = true;
        loop {
            let link = self.link(slot, deadline).await?;
            let broken = match timeout_at(deadline, asked.send(link.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => self.broken(&error),
                Err(_elapsed) => {
                    self.presence.went(StoreFailure::Unanswered, "it does not answer");
                    Broken::Unknown
                }
            };
            match broken {
                Broken::Refused(error) => return Err(error),
                Broken::Replica => {
                    // Its name may lead to the server that took over.
                    self.forget(slot, &link);
                    let sentence = "the server that keeps it cannot be written now";
                    return Err(StoreError::new(StoreFailure::ReadOnly, sentence));
                }
                Broken::Undone => self.forget(slot, &link),
                Broken::Unknown => {
                    self.forget(slot, &link);
                    match looks {
                        true if again => again = false,
                        true => return Err(StoreError::new(StoreFailure::Unanswered, AWAY)),
                        false => return Err(StoreError::new(StoreFailure::Unanswered, UNKNOWN)),
                    }
                }
            }
        }
    }

    /// What an error means for the call. Servers say by a word whether they did it.
    fn broken(&self, error: &RedisError) -> Broken {
        if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
            self.presence.went(StoreFailure::Unanswered, &format!("the connection ended: {error}"));
            return Broken::Unknown;
        }
        match error.code() {
            Some("LOADING" | "MASTERDOWN" | "TRYAGAIN") => {
                self.presence.went(StoreFailure::Away, &format!("it cannot be used now: {error}"));
                Broken::Undone
            }
            Some("READONLY") => {
                self.presence.complain("it is a replica, which cannot be written");
                Broken::Replica
            }
            Some("OOM") => {
                self.presence.complain("its memory is full");
                let sentence = "the store is full: the server that keeps it has no memory left";
                Broken::Refused(StoreError::new(StoreFailure::Full, sentence))
            }
            Some("MISCONF") => {
                self.presence.complain(&format!("it cannot write its disk: {error}"));
                let sentence = "the store is full: the server that keeps it cannot write its disk";
                Broken::Refused(StoreError::new(StoreFailure::Full, sentence))
            }
            code => {
                self.presence.complain(&format!("it refused a call: {error}"));
                let sentence = format!("the server that keeps it refused the call ({})", code.unwrap_or("error"));
                Broken::Refused(StoreError::new(StoreFailure::Refused, sentence))
            }
        }
    }

    /// The connection of a slot, made if there is none.
    async fn link(&self, slot: usize, deadline: Instant) -> Result<Link, StoreError> {
        let there = || self.links.get(slot).and_then(|link| link.lock().clone());
        if let Some(link) = there() {
            return Ok(link);
        }
        let connect = || async {
            let _alone = self.connecting.lock().await;
            if let Some(link) = there() {
                return Ok(link);
            }
            let link = self.connect().await?;
            if let Some(slot) = self.links.get(slot) {
                *slot.lock() = Some(link.clone());
            }
            Ok(link)
        };
        self.presence.connected(deadline, connect).await
    }

    /// Forgets a connection that cannot be used any more, unless another one has taken its slot.
    fn forget(&self, slot: usize, link: &Link) {
        if let Some(slot) = self.links.get(slot) {
            let mut there = slot.lock();
            if there.as_ref().is_some_and(|other| Arc::ptr_eq(&other.tasks, &link.tasks)) {
                *there = None;
            }
        }
    }

    async fn connect(&self) -> Result<Link, NoConnection> {
        let stream = dial::tcp(&self.resolver, &self.server.host, self.server.port).await?;
        match self.server.tls {
            false => self.speak(stream).await,
            true => {
                let name = server_name(&self.server.host)?;
                self.speak(dial::encrypted(name, stream, &[]).await?).await
            }
        }
    }

    async fn speak<S>(&self, stream: S) -> Result<Link, NoConnection>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let password = self.server.password().await;
        let password = password.map_err(|reason| NoConnection::new(StoreFailure::Password, reason))?;
        let mut who = RedisConnectionInfo::default().set_skip_set_lib_name();
        who = who.set_db(self.server.database.parse().map_err(|_| "the database is no number".to_owned())?);
        if let Some(user) = &self.server.user {
            who = who.set_username(user);
        }
        if let Some(password) = password {
            who = who.set_password(password);
        }
        // Each call has a deadline of its own.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let spoken = MultiplexedConnection::new_with_config(&who, stream, config).await;
        let (mut connection, driver) = spoken.map_err(|error| introduced("it did not let the node in", &error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let mut digests = Vec::new();
        for script in self.scripts {
            let loaded = sent(&mut connection, redis::cmd("SCRIPT").arg("LOAD").arg(script.text)).await;
            let digest = loaded.and_then(|digest| Ok(redis::from_redis_value(digest)?));
            digests.push(digest.map_err(|error| introduced("it takes no scripts", &error))?);
        }
        Ok(Link { connection, digests: digests.into(), tasks: Arc::new(tasks) })
    }
}

/// Why the server did not take the node up, and what it did not do.
fn introduced(what: &str, error: &RedisError) -> NoConnection {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return NoConnection::new(StoreFailure::Password, "it refused the password".to_owned());
    }
    let failure = match error.code() {
        Some("NOAUTH" | "WRONGPASS") => StoreFailure::Password,
        Some("OOM") => StoreFailure::Full,
        Some("LOADING" | "MASTERDOWN" | "TRYAGAIN") | None => StoreFailure::Away,
        Some(_) => StoreFailure::Refused,
    };
    NoConnection::new(failure, format!("{what}: {error}"))
}
