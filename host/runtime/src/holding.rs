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
    /// The sentence of the last call that found no memory.
    short: Mutex<Option<String>>,
}

/// A buffer whose memory is that of an instance.
#[derive(Debug)]
pub(crate) struct HeldBuffer<'a> {
    buffer: BudgetBuffer,
    holding: &'a Holding,
}

impl Holding {
    /// Nothing yet.
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Self { budget, kept: Mutex::default(), short: Mutex::default() }
    }

    /// Takes memory for so many bytes, which are there or are about to be.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Taken, String> {
        let bytes = bytes as u64;
        let purpose = if bytes <= SMALL { MemoryUse::Small } else { MemoryUse::Fetched };
        self.budget.take(purpose, bytes, PATIENCE).await.ok_or_else(|| self.short())
    }

    /// The same, for work on a thread that may block.
    pub(crate) fn take_blocking(&self, bytes: usize) -> Result<Taken, String> {
        tokio::runtime::Handle::current().block_on(self.take(bytes))
    }

    /// A buffer for at most `limit` bytes that arrive in pieces.
    pub(crate) fn buffer(&self, limit: usize) -> HeldBuffer<'_> {
        HeldBuffer { buffer: BudgetBuffer::new(&self.budget, MemoryUse::Fetched, limit), holding: self }
    }

    /// Notes that a call finds no memory. The sentence for the script.
    pub(crate) fn short(&self) -> String {
        self.short_of(NO_MEMORY.to_owned())
    }

    /// The same, with a sentence of its own.
    pub(crate) fn short_of(&self, sentence: String) -> String {
        *self.short.lock() = Some(sentence.clone());
        sentence
    }

    /// Whether a failure with this message is that of a call which found no memory: the script did not catch it, or passes
    /// it on. A script that merely uses the words has had memory for all of its calls.
    pub(crate) fn is_short(&self, message: &str) -> bool {
        self.short.lock().as_ref().is_some_and(|sentence| message.contains(sentence))
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
    buffer: &mut HeldBuffer<'_>,
    piece: &[u8],
    too_large: impl FnOnce() -> String,
) -> Result<(), String> {
    match buffer.add(piece, PATIENCE).await {
        Ok(_waited) => Ok(()),
        Err(BufferError::TooLarge) => Err(too_large()),
        Err(BufferError::NoMemory) => Err(NO_MEMORY.to_owned()),
    }
}

impl HeldBuffer<'_> {
    /// Adds a piece, and waits for memory as long as `patience` lasts. True if it had to wait.
    pub(crate) async fn add(&mut self, piece: &[u8], patience: Duration) -> Result<bool, BufferError> {
        let added = self.buffer.add(piece, patience).await;
        if added == Err(BufferError::NoMemory) {
            self.holding.short();
        }
        added
    }

    /// The bytes, and the memory that they take.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Taken) {
        self.buffer.into_parts()
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
        assert!(!holding.is_short(NO_MEMORY), "nothing was refused yet");
        assert_eq!(holding.take(600 << 10).await.unwrap_err(), NO_MEMORY);
        assert!(holding.is_short(&format!("fs: {NO_MEMORY}")) && !holding.is_short("another"));
        holding.release();
        assert_eq!(budget.used(), 0);
        assert!(holding.take(600 << 10).await.is_ok());
    }
}
