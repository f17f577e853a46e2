//! Sockets that a supervisor has bound for this process: socket activation, as systemd does it.
//!
//! **The decision.** `LISTEN_PID` names this process, `LISTEN_FDS` counts descriptors from 3 on, `LISTEN_FDNAMES` names
//! them. A node matches them with the tables of its configuration, by name, and by address where a name is none of a table.
//!
//! **What it refuses.** A socket that is for no listener: clients would wait in its queue for ever, and nobody would know.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// Sockets at most: as many as one message between two processes could carry.
const MAX_SOCKETS: usize = 253;

/// A listening socket, with the name that its giver has for it.
#[derive(Debug)]
pub(crate) struct GivenSocket {
    /// Empty where there is none.
    pub(crate) name: String,
    pub(crate) socket: TcpListener,
}

/// The sockets that a supervisor passed to this process. Takes them: a second call finds none.
///
/// # Errors
/// The sentence about a descriptor that is no listening TCP socket.
#[expect(clippy::disallowed_methods, reason = "the environment of a supervisor, read once at the start")]
pub(crate) fn of_supervisor() -> Result<Vec<GivenSocket>, String> {
    let mut passed = ListenFd::from_env();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    if passed.len() > MAX_SOCKETS {
        return Err(format!("LISTEN_FDS={}: at most {MAX_SOCKETS} sockets can be passed", passed.len()));
    }
    let count = passed.len();
    let socket = |number: usize| {
        let name = names.next().filter(|name| *name != "unknown").unwrap_or_default().to_owned();
        let wrong = |why: &str| format!("the socket {number} that was passed by LISTEN_FDS, named {name:?}, {why}");
        let socket = passed.take_tcp_listener(number).map_err(|error| wrong(&format!("cannot be used: {error}")))?;
        Ok(GivenSocket { socket: socket.ok_or_else(|| wrong("is gone"))?, name })
    };
    (0..count).map(socket).collect()
}

/// The one socket that `starcell run` was given, with its address.
///
/// # Errors
/// The sentence about sockets that one script cannot have.
pub(crate) fn of_script() -> Result<Option<(TcpListener, SocketAddr)>, String> {
    let mut passed = of_supervisor()?;
    if passed.len() > 1 {
        let text = "`run` serves one socket, its script's first server, and LISTEN_FDS passed";
        return Err(format!("{text} {}; use `starcell host` for several", passed.len()));
    }
    let Some(GivenSocket { socket, .. }) = passed.pop() else { return Ok(None) };
    let address = socket.local_addr().map_err(|error| format!("the socket of LISTEN_FDS has no address: {error}"))?;
    Ok(Some((socket, address)))
}
