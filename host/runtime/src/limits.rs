//! What an app may use. Every store gets all of them; the defaults hold for an app that asks for nothing.

use std::time::Duration;

use starcell_budget::{MemoryBudget, MemoryUse, Taken};
use wasmtime::ResourceLimiter;

use crate::engine::MAX_MEMORY_BYTES;

/// Nested calls of an evaluation when nothing else is asked for.
pub const DEFAULT_CALL_DEPTH: u32 = 200;

/// Most nested calls that an operator can allow.
///
/// A call of a Starlark function takes 0.9 KiB of the native stack and 0.6 KiB of the guest's own stack, which lies in its
/// memory; a builtin that calls back takes less for each call that is counted. Both stacks carry this many calls, and
/// beneath them as much as they had for a builtin before there was a choice: of the native stack, which has 2 MiB, 0.9 MiB
/// are for calls; of the guest's own, which has 768 KiB (`.cargo/config.toml`), 590 KiB. What still runs out of stack ends
/// as [`Limit::Stack`](crate::Limit::Stack).
pub const MAX_CALL_DEPTH: u32 = 1000;

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
    /// Nested calls of one evaluation, at most [`MAX_CALL_DEPTH`].
    pub call_depth: u32,
    /// Bytes that one call across the border may make the host allocate.
    pub crossing_bytes: usize,
    /// Bytes that one file, program output or HTTP body may have, read or written.
    pub io_bytes: usize,
    /// Bytes that one request may log and print, beside what its app may in time.
    pub log_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            request_cpu: Duration::from_secs(1),
            request_wall: Duration::from_secs(30),
            setup_cpu: Duration::from_secs(10),
            setup_wall: Duration::from_secs(60),
            call_depth: DEFAULT_CALL_DEPTH,
            // A response of half the memory, twice over for the records around it.
            crossing_bytes: 64 << 20,
            // A quarter of the memory that would have to hold it, since text is copied on its way into a script.
            io_bytes: 16 << 20,
            log_bytes: None,
        }
    }
}

impl Limits {
    /// The memory limit as the host can grant it.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory_bytes.min(MAX_MEMORY_BYTES)
    }
}

/// Bytes that a guest may take beyond its image before it counts as one that grows.
const SMALL_GROWTH: usize = 4 << 20;

/// Enforces the memory limit of one store, takes what the guest grows by from the budget of the process, and remembers
/// what was refused, since the guest only sees an allocation fail and then traps without a word.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    limit: usize,
    /// Bytes that the memory had before it grew for the first time: those of its image.
    image: Option<usize>,
    taken: Taken,
    /// Whether an allocation was refused for the limit.
    pub(crate) hit: bool,
    /// Whether an allocation was refused for the budget of the process.
    pub(crate) full: bool,
}

impl MemoryLimiter {
    pub(crate) fn new(limit: usize, budget: &MemoryBudget) -> Self {
        Self { limit, image: None, taken: budget.nothing(), hit: false, full: false }
    }

    /// Takes what a memory grows by. The image is shared between forks, and its request has taken what it may write of it.
    fn afford(&mut self, current: usize, desired: usize) -> bool {
        if current == 0 {
            return true;
        }
        let image = *self.image.get_or_insert(current);
        let purpose = if desired.saturating_sub(image) <= SMALL_GROWTH { MemoryUse::Small } else { MemoryUse::Guest };
        self.taken.try_grow(purpose, desired.saturating_sub(current) as u64)
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limit {
            self.hit = true;
            return Ok(false);
        }
        let granted = self.afford(current, desired);
        self.full |= !granted;
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.hit = true;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Tables are made once, at instantiation, within the compiled bound; the build refuses a guest that grows one.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn growth_is_taken_from_the_budget_and_the_image_is_not() {
        let budget = MemoryBudget::new(16 << 20);
        let mut limiter = MemoryLimiter::new(64 * MIB, &budget);
        assert!(limiter.memory_growing(0, 30 * MIB, None).unwrap());
        assert_eq!(budget.used(), 0);
        assert!(limiter.memory_growing(30 * MIB, 40 * MIB, None).unwrap());
        assert_eq!(budget.used(), 10 << 20);
        assert!(!limiter.memory_growing(40 * MIB, 45 * MIB, None).unwrap() && limiter.full && !limiter.hit);
        let mut small = MemoryLimiter::new(64 * MIB, &budget);
        assert!(small.memory_growing(0, MIB, None).unwrap() && small.memory_growing(MIB, 5 * MIB, None).unwrap());
        drop((limiter, small));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_limit_of_a_store_comes_first() {
        let budget = MemoryBudget::new(MIB as u64);
        let mut limiter = MemoryLimiter::new(8 * MIB, &budget);
        assert!(!limiter.memory_growing(0, 9 * MIB, None).unwrap());
        assert!(limiter.hit && !limiter.full);
    }
}
