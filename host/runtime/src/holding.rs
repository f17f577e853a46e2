//! The memory that one instance makes the host hold, beside its own: what a call of a capability sends and fetches.
//!
//! A file, an answer of another server or what a program wrote is in the host before it is in the guest. A hundred requests
//! that fetch 16 MiB each are 1.6 GiB in neither's limit, so each byte is taken from the budget of the process before it is
//! allocated. What is handed to the guest is taken until the next call of the same instance, or until it ends: nobody tells
//! the host when the guest has its copy.

use std::time::Duration;

use parking_lot::Mutex;
use starcell_budget::{BudgetBuffer, BufferError, MemoryBudget, MemoryUse, SMALL, Taken};

/// How long a call waits for memory, in the time of its request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The sentence for a call that finds no memory.
pub(crate) const NO_MEMORY: &str = "the host has no memory left for this: see --memory-budget";

/// What one instance makes the host hold.
#[derive(Debug)]
pub(crate) struct Holding {
    budget: MemoryBudget,
    kept: Mutex<Vec<Taken>>,
}

impl Holding {
    /// Nothing yet.
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Self { budget, kept: Mutex::default() }
    }

    /// Takes memory for so many bytes, which are there or are about to be.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Taken, String> {
        let bytes = bytes as u64;
        let purpose = if bytes <= SMALL { MemoryUse::Small } else { MemoryUse::Fetched };
        self.budget.take(purpose, bytes, PATIENCE).await.ok_or_else(|| NO_MEMORY.to_owned())
    }

    /// The same, for work on a thread that may block.
    pub(crate) fn take_blocking(&self, bytes: usize) -> Result<Taken, String> {
        tokio::runtime::Handle::current().block_on(self.take(bytes))
    }

    /// A buffer for at most `limit` bytes that arrive in pieces.
    pub(crate) fn buffer(&self, limit: usize) -> BudgetBuffer {
        BudgetBuffer::new(&self.budget, MemoryUse::Fetched, limit)
    }

    /// Keeps memory for what is handed to the guest.
    pub(crate) fn keep(&self, taken: Taken) {
        self.kept.lock().push(taken);
    }

    /// Gives back what was kept for the call before.
    pub(crate) fn release(&self) {
        self.kept.lock().clear();
    }
}

/// Adds a piece to a buffer; the error is a sentence about what cannot be larger.
pub(crate) async fn add(
    buffer: &mut BudgetBuffer,
    piece: &[u8],
    too_large: impl FnOnce() -> String,
) -> Result<(), String> {
    match buffer.add(piece, PATIENCE).await {
        Ok(_waited) => Ok(()),
        Err(BufferError::TooLarge) => Err(too_large()),
        Err(BufferError::NoMemory) => Err(NO_MEMORY.to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_held_until_it_is_released() {
        let budget = MemoryBudget::new(1 << 20);
        let holding = Holding::new(budget.clone());
        let sent = holding.take(100 << 10).await.unwrap();
        let mut buffer = holding.buffer(512 << 10);
        add(&mut buffer, &[0; 200 << 10], || "too large".to_owned()).await.unwrap();
        let more = add(&mut buffer, &[0; 400 << 10], || "too large".to_owned()).await;
        assert_eq!(more, Err("too large".to_owned()));
        let (bytes, taken) = buffer.into_parts();
        holding.keep(taken);
        drop((bytes, sent));
        assert_eq!(budget.used(), 200 << 10);
        assert_eq!(holding.take(600 << 10).await.unwrap_err(), NO_MEMORY);
        holding.release();
        assert_eq!(budget.used(), 0);
        assert!(holding.take(600 << 10).await.is_ok());
    }
}
