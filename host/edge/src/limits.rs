//! What clients may use of one server: what its script asks for, within what the operator allows.

use std::time::Duration;

use crate::edge::EdgeConfig;
use crate::pace::Pace;

/// What a server asks for its clients, within what the operator allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientWishes {
    /// Longest time to read a whole request.
    pub read: Option<Duration>,
    /// Longest time between two requests.
    pub idle: Option<Duration>,
    /// Longest time to send a response.
    pub send: Option<Duration>,
    /// Largest request head, in bytes.
    pub header_bytes: Option<u64>,
    /// Largest request body, in bytes.
    pub body_bytes: Option<u64>,
}

/// What clients may use of one server.
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// For the head of a request, from connecting or from its first byte.
    pub(crate) head: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// For reading a whole request, if the server bounds it.
    pub(crate) read: Option<Duration>,
    /// For sending a response, if the server bounds it.
    pub(crate) send: Option<Duration>,
    /// For bytes on their way.
    pub(crate) pace: Pace,
    /// Largest request head.
    pub(crate) header_bytes: usize,
    /// Largest request body.
    pub(crate) body_bytes: usize,
}

impl ClientLimits {
    /// What the server wishes, and no more than the operator allows.
    #[must_use]
    pub fn new(config: &EdgeConfig, wishes: &ClientWishes) -> Self {
        let size = |asked: Option<u64>, allowed: u32| {
            let size = asked.map_or(u64::from(allowed), |asked| asked.min(allowed.into()));
            usize::try_from(size).unwrap_or(usize::MAX)
        };
        Self {
            head: config.header_time.min(wishes.read.unwrap_or(Duration::MAX)),
            idle: config.idle_time.min(wishes.idle.unwrap_or(Duration::MAX)),
            read: wishes.read,
            send: wishes.send,
            pace: Pace { stall: config.stall_time, min_rate: config.min_rate.get() },
            header_bytes: size(wishes.header_bytes, config.max_header_bytes),
            body_bytes: size(wishes.body_bytes, config.max_body_bytes),
        }
    }

    /// Bytes that the body of a request may have.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }
}
