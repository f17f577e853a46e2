//! The supervisor of this process: what systemd is told about it, by `sd_notify`.
//!
//! A message is one datagram to the socket that `NOTIFY_SOCKET` names. None waits for its reader, and none that is lost
//! changes anything here: a supervisor that hears nothing acts by its own deadlines.

use std::convert::Infallible;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Interval, interval};

/// The supervisor of this process, or nobody.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    beats: Option<Interval>,
}

impl Supervisor {
    /// The one that the environment names, in a runtime; nobody where it names none, or none that can be told anything.
    #[expect(clippy::disallowed_methods, reason = "the environment of a supervisor, read once at the start")]
    pub(crate) fn of_environment() -> Self {
        let read = |name: &str| std::env::var(name).ok();
        let socket = read("NOTIFY_SOCKET").and_then(|name| socket(&name));
        let is_ours = read("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let wanted = read("WATCHDOG_USEC").filter(|_| is_ours).and_then(|time| time.parse::<u64>().ok());
        // Twice in the time that it waits, so that one that is late is no death.
        let beat = wanted.filter(|time| *time > 0).map(|time| Duration::from_micros(time / 2 + 1));
        Self { beats: beat.filter(|_| socket.is_some()).map(interval), socket }
    }

    /// Says that requests are answered.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=requests are answered");
    }

    /// Says that files are read again. [`Supervisor::ready`] ends that.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Says that the process drains and ends.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=requests in flight are answered");
    }

    /// Says that another process goes on with the work of this one.
    pub(crate) fn succeeded_by(&self, process: u32) {
        self.tell(&format!("MAINPID={process}"));
    }

    /// Says now and then that whoever waits for this lives, where the supervisor wants to know. Never ends.
    pub(crate) async fn keep_alive(&mut self) -> Infallible {
        loop {
            match &mut self.beats {
                Some(beats) => beats.tick().await,
                None => std::future::pending().await,
            };
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            // A supervisor that does not read, or is gone, must not hold anything up.
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

/// The socket to send by, and the one that a name leads to: a path, or a name without one, written with `@`.
fn socket(name: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(name).ok().filter(|_| name.starts_with('/'))?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address))
}
