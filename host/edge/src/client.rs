//! Who asks, and whom: one connection as its requests see it.

use std::sync::Arc;

use crate::activity::Activity;
use crate::address::BoundAddress;
use crate::edge::Edge;
use crate::responder::Peer;

/// The client of one connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Where it asks from.
    pub(crate) peer: Arc<Peer>,
    /// Whether it is served.
    pub(crate) terms: Terms,
    /// What goes on in its connection.
    pub(crate) activity: Arc<Activity>,
    /// What it asks.
    pub(crate) endpoint: Arc<BoundAddress>,
    pub(crate) edge: Arc<Edge>,
}

/// Whether a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    /// It is.
    Served,
    /// Each request gets status 503.
    Refused,
}
