//! What an app may use. Every store gets all of them; the defaults hold for an app that asks for nothing.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::engine::MAX_MEMORY_BYTES;

/// Limits of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of each instance, in bytes; at most [`MAX_MEMORY_BYTES`].
    pub memory_bytes: usize,
    /// CPU time of one request.
    pub request_cpu: Duration,
    /// Wall time of one request, host calls included.
    pub request_wall: Duration,
    /// CPU time of the setup, which is the script's top level.
    pub setup_cpu: Duration,
    /// Wall time of the setup until the first server is up or the script ends.
    pub setup_wall: Duration,
    /// Bytes that one call across the border may make the host allocate.
    pub crossing_bytes: usize,
    /// Bytes that one file, program output or HTTP body may have, read or written.
    pub io_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            request_cpu: Duration::from_secs(1),
            request_wall: Duration::from_secs(30),
            setup_cpu: Duration::from_secs(10),
            setup_wall: Duration::from_secs(60),
            // A response of half the memory, twice over for the records around it.
            crossing_bytes: 64 << 20,
            // A quarter of the memory that would have to hold it, since text is copied on its way into a script.
            io_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// The memory limit as the pool can grant it.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory_bytes.min(MAX_MEMORY_BYTES)
    }
}

/// Enforces the memory limit of one store and remembers whether it was hit, since the guest only sees an allocation
/// fail and then traps without a word.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    limit: usize,
    /// Whether an allocation was refused.
    pub(crate) hit: bool,
}

impl MemoryLimiter {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, hit: false }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.limit;
        self.hit |= !granted;
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.hit = true;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Tables are made once, at instantiation, within the pool's bound; the build refuses a guest that grows one.
        Ok(current == 0 || desired <= current)
    }

    fn instances(&self) -> usize {
        // Image, main, the stand-in for its allocator, and the component itself.
        8
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        2
    }
}
