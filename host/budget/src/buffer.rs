//! One buffer for the pieces in which a text of others arrives.
//!
//! A piece that is kept keeps the whole buffer that it was read into, so pieces of one byte cost forty times their size.
//! Here they are gathered, and the room for them is taken from the budget, as much as is allocated and before it is.

use std::time::Duration;

use crate::memory::{MemoryBudget, MemoryUse, SMALL, Taken};

/// Bytes that are allocated for the first piece.
const FIRST_ROOM: usize = 4 << 10;

/// Bytes that arrive in pieces, at most so many.
#[derive(Debug)]
pub struct BudgetBuffer {
    bytes: Vec<u8>,
    taken: Taken,
    purpose: MemoryUse,
    limit: usize,
}

/// Why a piece cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferError {
    /// There would be more bytes than the limit allows.
    TooLarge,
    /// The process has no memory left for it.
    NoMemory,
}

impl BudgetBuffer {
    /// An empty buffer for at most `limit` bytes.
    #[must_use]
    pub fn new(budget: &MemoryBudget, purpose: MemoryUse, limit: usize) -> Self {
        Self { bytes: Vec::new(), taken: budget.nothing(), purpose, limit }
    }

    /// Adds a piece, and waits for memory as long as `patience` lasts. True if it had to wait.
    ///
    /// # Errors
    /// The piece does not fit.
    pub async fn add(&mut self, piece: &[u8], patience: Duration) -> Result<bool, BufferError> {
        let length = self.bytes.len().saturating_add(piece.len());
        if length > self.limit {
            return Err(BufferError::TooLarge);
        }
        let waited = self.make_room(length, patience).await?;
        self.bytes.extend_from_slice(piece);
        Ok(waited)
    }

    async fn make_room(&mut self, length: usize, patience: Duration) -> Result<bool, BufferError> {
        if length <= self.bytes.capacity() {
            return Ok(false);
        }
        let doubled = self.bytes.capacity().saturating_mul(2);
        let capacity = length.max(doubled).max(FIRST_ROOM).min(self.limit.max(length));
        let missing = (capacity as u64).saturating_sub(self.taken.bytes());
        let purpose = if capacity as u64 <= SMALL { MemoryUse::Small } else { self.purpose };
        let at_once = self.taken.try_grow(purpose, missing);
        if !at_once && !self.taken.grow(purpose, missing, patience).await {
            return Err(BufferError::NoMemory);
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        Ok(!at_once)
    }

    /// The bytes, and the memory that they take: it is given back when the second is dropped.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Taken) {
        (self.bytes, self.taken)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn small_pieces_take_what_is_allocated() {
        let budget = MemoryBudget::new(1 << 20);
        let mut buffer = BudgetBuffer::new(&budget, MemoryUse::Body, 100_000);
        for _ in 0..100_000 {
            assert_eq!(buffer.add(b"a", MOMENT).await, Ok(false));
        }
        assert_eq!(buffer.add(b"a", MOMENT).await, Err(BufferError::TooLarge));
        assert_eq!(budget.used(), 100_000);
        let (bytes, taken) = buffer.into_parts();
        assert_eq!((bytes.len(), bytes.capacity() as u64), (100_000, taken.bytes()));
        drop(taken);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_memory_waits_and_is_then_refused() {
        let budget = MemoryBudget::new(1 << 20);
        let mut buffer = BudgetBuffer::new(&budget, MemoryUse::Body, 1 << 20);
        let others = budget.try_take(MemoryUse::Small, 900 << 10).unwrap();
        assert_eq!(buffer.add(&[0; 200 << 10], MOMENT).await, Err(BufferError::NoMemory));
        let piece = [0; 200 << 10];
        let (added, ()) = tokio::join!(buffer.add(&piece, MOMENT), async { drop(others) });
        assert_eq!(added, Ok(true));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_piece_takes_nothing() {
        let budget = MemoryBudget::new(0);
        let mut buffer = BudgetBuffer::new(&budget, MemoryUse::Body, 0);
        assert_eq!(buffer.add(b"", MOMENT).await, Ok(false));
        assert_eq!(buffer.add(b"a", MOMENT).await, Err(BufferError::TooLarge));
    }
}
