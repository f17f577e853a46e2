//! Names of requests.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Request ids: unique within and across processes, and cheap.
#[derive(Debug)]
pub struct Ids {
    /// Of this process.
    prefix: String,
    next: AtomicU64,
}

impl Ids {
    /// Ids of this process.
    #[must_use]
    pub fn new() -> Self {
        // Without randomness ids are still unique within the process.
        Self { prefix: format!("{:016x}-", getrandom::u64().unwrap_or_default()), next: AtomicU64::new(1) }
    }

    /// One that was not given out before.
    #[must_use]
    pub fn next(&self) -> String {
        let mut id = String::with_capacity(self.prefix.len() + 12);
        id.push_str(&self.prefix);
        // Writing to a String cannot fail.
        let _ = write!(id, "{:x}", self.next.fetch_add(1, Ordering::Relaxed));
        id
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}
