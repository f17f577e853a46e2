//! Names of requests.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

/// Digits of either number.
const DIGITS: usize = 16;

/// Request ids: unique within and across processes, and cheap.
#[derive(Debug)]
pub struct Ids {
    /// Of this process.
    prefix: [u8; DIGITS + 1],
    next: AtomicU64,
}

impl Ids {
    /// Ids of this process.
    #[must_use]
    pub fn new() -> Self {
        let mut prefix = [b'-'; DIGITS + 1];
        // Without randomness ids are still unique within the process.
        write_digits(&mut prefix, getrandom::u64().unwrap_or_default(), DIGITS);
        Self { prefix, next: AtomicU64::new(1) }
    }

    /// One that was not given out before, as it is sent.
    #[must_use]
    pub fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let digits = number.checked_ilog2().unwrap_or(0) as usize / 4 + 1;
        let mut id = [0; 2 * DIGITS + 1];
        let (prefix, rest) = id.split_at_mut(self.prefix.len());
        prefix.copy_from_slice(&self.prefix);
        write_digits(rest, number, digits);
        let id = HeaderValue::from_bytes(id.get(..self.prefix.len() + digits).unwrap_or_default());
        // Digits and a dash are legal everywhere.
        id.unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

/// Writes the last so many hexadecimal digits of a number.
fn write_digits(to: &mut [u8], number: u64, digits: usize) {
    for (place, byte) in to.iter_mut().take(digits).enumerate() {
        *byte = match (number >> (4 * (digits - 1 - place))) as u8 & 15 {
            digit @ ..10 => b'0' + digit,
            digit => b'a' + digit - 10,
        };
    }
}

/// An id as text.
#[must_use]
pub fn text(id: &HeaderValue) -> &str {
    // Those of clients are taken only if they are ASCII.
    id.to_str().unwrap_or_default()
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
            let prefix = String::from_utf8_lossy(&ids.prefix);
            assert_eq!(ids.next(), format!("{prefix}{number:x}"));
        }
        assert!(Ids::new().next() != Ids::new().next());
    }
}
