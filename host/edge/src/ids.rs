//! Names of requests.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use starcell_http::request::is_request_id;
use starcell_http::response::Answer;

/// Random bytes of an id.
const ID_BYTES: usize = 16;

/// Random bytes that are asked of the system at once: enough for 256 ids.
const POOL_BYTES: usize = 256 * ID_BYTES;

/// The header that names a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of a request, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn text(&self) -> &str {
        // Those of clients are taken only if they are ASCII.
        self.0.to_str().unwrap_or_default()
    }

    /// Puts the id on the response to its request, unless the script has.
    pub(crate) fn name(mut self, mut answer: Answer) -> Answer {
        // A sensitive header is not indexed by HPACK: request ids never repeat and would push useful entries out of the
        // table.
        self.0.set_sensitive(true);
        answer.headers_mut().entry(REQUEST_ID).or_insert(self.0);
        answer
    }
}

/// Gives out request ids: 128 random bits each, so that none tells another one.
#[derive(Debug, Default)]
pub struct Ids(());

thread_local! {
    /// Random bytes of this thread, and how many of them were used. The system is asked once for many ids.
    static POOL: RefCell<([u8; POOL_BYTES], usize)> = const { RefCell::new(([0; POOL_BYTES], POOL_BYTES)) };
}

impl Ids {
    /// Ids of this process.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }

    /// The client's own id where that is trusted and fit, else a new one.
    pub(crate) fn of(&self, parts: &Parts, trusted: bool) -> RequestId {
        let given = if trusted { parts.headers.get(REQUEST_ID) } else { None };
        let given = given.filter(|id| is_request_id(id.as_bytes())).cloned();
        given.map_or_else(|| self.next(), RequestId)
    }

    /// An id that was not given out before.
    #[must_use]
    pub fn next(&self) -> RequestId {
        let mut digits = [0; 2 * ID_BYTES];
        for (place, byte) in digits.chunks_exact_mut(2).zip(random()) {
            place.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        // Hexadecimal digits are legal everywhere.
        RequestId(HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("-")))
    }
}

fn random() -> [u8; ID_BYTES] {
    POOL.with_borrow_mut(|(bytes, used)| {
        if *used >= POOL_BYTES {
            refill(bytes);
            *used = 0;
        }
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(bytes.get(*used..*used + ID_BYTES).unwrap_or(&[0; ID_BYTES]));
        *used += ID_BYTES;
        id
    })
}

fn refill(bytes: &mut [u8; POOL_BYTES]) {
    if getrandom::fill(bytes).is_err() {
        // The system has no randomness left to give: a keyed hash is the next best, as hash maps have it.
        let key = RandomState::new();
        for (place, eight) in bytes.chunks_exact_mut(8).enumerate() {
            eight.copy_from_slice(&key.hash_one(place).to_le_bytes());
        }
    }
}

fn digit(value: u8) -> u8 {
    match value {
        digit @ ..10 => b'0' + digit,
        digit => b'a' + digit - 10,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_share_no_prefix_and_do_not_count() {
        let ids = Ids::new();
        let given: Vec<_> = (0..1000).map(|_| ids.next().text().to_owned()).collect();
        assert!(given.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
        // Each half has 64 random bits: that two of a thousand are equal is as likely as 1 in 10^13.
        let prefixes: HashSet<_> = given.iter().map(|id| id.get(..16).unwrap()).collect();
        let suffixes: HashSet<_> = given.iter().map(|id| id.get(16..).unwrap()).collect();
        assert_eq!((prefixes.len(), suffixes.len()), (1000, 1000));
    }

    #[test]
    fn a_clients_id_is_kept_where_it_is_trusted() {
        let request = http::Request::builder().header(REQUEST_ID, "from-a-proxy").body(()).unwrap();
        let parts = request.into_parts().0;
        assert_eq!(Ids::new().of(&parts, true).text(), "from-a-proxy");
        assert_ne!(Ids::new().of(&parts, false).text(), "from-a-proxy");
    }
}
