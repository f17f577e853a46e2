//! Requests to other servers.

use crate::Field;

/// A request to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// GET and the like.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Header fields in order.
    pub headers: Vec<Field>,
    /// The whole body.
    pub body: Vec<u8>,
    /// Nanoseconds for all of it; `None` is for the host to say.
    pub timeout: Option<u64>,
    /// Most redirects to follow.
    pub redirects: u32,
}

/// The response to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// Its status.
    pub status: u16,
    /// What the status is called.
    pub reason: String,
    /// What answered, behind redirects.
    pub url: String,
    /// Header fields in order, repeats kept.
    pub headers: Vec<Field>,
    /// The whole body.
    pub body: Vec<u8>,
}
