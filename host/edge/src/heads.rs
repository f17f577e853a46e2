//! The memory that the head of a request takes while its request is under way.
//!
//! **The decision.** A head is let in by its size, and then kept for as long as its request waits, runs and is answered: a
//! thousand requests that wait with 64 KiB of fields each are as many bytes as one large body. So a head that is larger
//! than what its connection is counted for is counted by itself. Over HTTP/2 each stream is, since one connection has many.
//!
//! **What it refuses.** A request whose head finds no memory: status 503, before anything of the app is looked at.

use http::Version;
use http::request::Parts;
use starcell_budget::{MemoryBudget, MemoryUse, Taken};

/// Bytes of a field beside its name and its value: its place in the map.
const FIELD: usize = 128;

/// Bytes of a head that its connection is counted for, where that carries one request at a time.
const OF_CONNECTION: usize = 8 << 10;

/// Bytes of a stream beside its head: its task and its queues.
const STREAM: usize = 8 << 10;

/// Takes the memory of a head, and of its stream. The error is that there is none.
pub(crate) fn take(memory: &MemoryBudget, parts: &Parts) -> Result<Option<Taken>, ()> {
    let size = size(parts);
    let bytes = match parts.version {
        Version::HTTP_2 => STREAM + size,
        _ if size <= OF_CONNECTION => return Ok(None),
        _ => size,
    };
    memory.try_take(MemoryUse::Head, bytes as u64).map(Some).ok_or(())
}

/// Bytes of a head as it is kept.
fn size(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD);
    fields.fold(target, usize::saturating_add)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http::Request;

    use super::*;

    fn parts(version: Version, bytes: usize) -> Parts {
        let request = Request::builder().version(version).uri("/").header("x", "a".repeat(bytes));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn what_a_connection_is_not_counted_for_is_taken() {
        let memory = MemoryBudget::new(64 << 10);
        assert!(take(&memory, &parts(Version::HTTP_11, 1000)).unwrap().is_none());
        let large = take(&memory, &parts(Version::HTTP_11, 20_000)).unwrap();
        assert!((20_000..21_000).contains(&memory.used()), "{}", memory.used());
        let stream = take(&memory, &parts(Version::HTTP_2, 10)).unwrap();
        assert!(stream.is_some_and(|taken| taken.bytes() > STREAM as u64));
        assert!(take(&memory, &parts(Version::HTTP_11, 40_000)).is_err(), "there is no room for it");
        drop(large);
        assert!(take(&memory, &parts(Version::HTTP_11, 40_000)).is_ok());
    }
}
