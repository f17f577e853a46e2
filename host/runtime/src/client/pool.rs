//! Connections that wait to be used again, by the same app, to the very address that was judged.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use starcell_policy::{Endpoint, Permit, Scheme};
use tokio::time::Instant;

use super::connect::Sender;

/// Most connections that wait; each holds a descriptor and two buffers.
const MAX_IDLE: usize = 32;

/// How long one waits. Servers close theirs after about as long.
const MAX_AGE: Duration = Duration::from_secs(30);

/// What a connection is to: under another name the same address is another server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    scheme: Scheme,
    host: String,
    address: SocketAddr,
}

impl Target {
    pub(super) fn of(permit: &Permit<Endpoint>) -> Self {
        let endpoint = permit.resource();
        let (scheme, host) = (endpoint.url().scheme(), endpoint.host().to_string());
        Self { scheme, host, address: endpoint.socket_addr() }
    }
}

#[derive(Default)]
pub(super) struct Pool(Mutex<HashMap<Target, Vec<(Sender, Instant)>>>);

impl Pool {
    /// A connection to the target that seems to be open, and may have to be waited for.
    pub(super) fn take(&self, target: &Target) -> Option<Sender> {
        let mut idle = self.0.lock();
        let waiting = idle.get_mut(target)?;
        let found = loop {
            match waiting.pop() {
                Some((sender, since)) if !sender.is_closed() && since.elapsed() < MAX_AGE => break Some(sender),
                Some(_) => {}
                None => break None,
            }
        };
        if waiting.is_empty() {
            idle.remove(target);
        }
        found
    }

    /// Keeps a connection whose response was read to its end.
    pub(super) fn put(&self, target: Target, sender: Sender) {
        let mut idle = self.0.lock();
        idle.retain(|_, waiting| {
            waiting.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < MAX_AGE);
            !waiting.is_empty()
        });
        if !sender.is_closed() && idle.values().map(Vec::len).sum::<usize>() < MAX_IDLE {
            idle.entry(target).or_default().push((sender, Instant::now()));
        }
    }
}
