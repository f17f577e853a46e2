//! The names of traces and spans: random bytes, none of them all zero.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// The name of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId(pub(crate) [u8; 16]);

/// The name of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanId(pub(crate) [u8; 8]);

impl TraceId {
    /// The trace of a request whose id has as many random bits, else a new one. So a line of the log, which names the
    /// request, names its trace too.
    pub(crate) fn of_request(request: &str) -> Self {
        parse(request).filter(|bytes| *bytes != [0; 16]).map_or_else(|| Self(random()), Self)
    }

    /// Its digits.
    pub(crate) fn text(&self) -> String {
        digits(&self.0)
    }

    /// Whether so much of all traces has this one in it.
    pub(crate) fn is_among(&self, share: f64) -> bool {
        let [.., a, b, c, d] = self.0;
        f64::from(u32::from_be_bytes([a, b, c, d])) < share * (f64::from(u32::MAX) + 1.0)
    }
}

impl SpanId {
    pub(crate) fn new() -> Self {
        Self(random())
    }

    /// Its digits.
    pub(crate) fn text(&self) -> String {
        digits(&self.0)
    }
}

/// Bytes written as lower-case hexadecimal digits, and nothing else.
pub(crate) fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        // The system has no randomness left to give: a keyed hash is the next best, as hash maps have it.
        let key = RandomState::new();
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = key.hash_one(place).to_le_bytes().first().copied().unwrap_or(1);
        }
    }
    // An id of zeros is none.
    if bytes == [0; N]
        && let Some(last) = bytes.last_mut()
    {
        *last = 1;
    }
    bytes
}

/// Nanoseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "spans are stamped with the clock of the machine")]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_trace_of_a_request_has_its_id() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(TraceId::of_request(id).text(), id);
        for odd in ["", "from-a-proxy", "00000000000000000000000000000000", "0123456789ABCDEF0123456789abcdef"] {
            let one = TraceId::of_request(odd);
            assert!(one != TraceId::of_request(odd) && one.0 != [0; 16], "{odd}");
        }
    }

    #[test]
    fn a_share_of_traces_is_taken() {
        let taken = (0..4000).filter(|_| TraceId::of_request("").is_among(0.25)).count();
        assert!((800..1200).contains(&taken), "{taken}");
        assert!(TraceId([0xff; 16]).is_among(1.0) && !TraceId([0; 16]).is_among(0.0));
    }
}
