//! Names of requests.

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
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let digits = number.checked_ilog2().unwrap_or(0) / 4 + 1;
        let mut id = String::with_capacity(self.prefix.len() + 16);
        id.push_str(&self.prefix);
        id.extend((0..digits).rev().filter_map(|place| char::from_digit((number >> (4 * place)) as u32 & 15, 16)));
        id
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_in_hexadecimal() {
        let ids = Ids::new();
        for number in [0, 1, 9, 15, 16, 255, 256, 0x1234_5678_9abc_def0, u64::MAX] {
            ids.next.store(number, Ordering::Relaxed);
            assert_eq!(ids.next(), format!("{}{number:x}", ids.prefix));
        }
    }
}
