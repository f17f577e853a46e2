//! The bytes that the bodies of responses may have: of one response, or of all responses of a batch together.
//!
//! The host holds the bodies of a batch until its last response is there. Without a bound on their sum, sixty-four
//! responses of the size that one may have would be a gigabyte for one request to a script.

use std::sync::atomic::{AtomicUsize, Ordering};

use starcell_budget::Taken;

use crate::holding::{HeldBuffer, Holding, add};

/// Bytes that bodies may have.
#[derive(Debug)]
pub(crate) struct Allowance {
    limit: usize,
    taken: AtomicUsize,
    /// How an error begins.
    subject: &'static str,
}

impl Allowance {
    /// For the body of one response.
    pub(crate) fn of_one(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0), subject: "the response is" }
    }

    /// For the bodies of all responses of a batch.
    pub(crate) fn of_batch(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0), subject: "the responses of the batch are together" }
    }

    /// A body that is about to be read.
    pub(super) fn gather<'a>(&'a self, holding: &'a Holding) -> Gathering<'a> {
        Gathering { share: Share { allowance: self, bytes: 0 }, buffer: holding.buffer(self.limit) }
    }

    /// Gives bytes back: the body that they were for is dropped.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes bytes, or none of them; the error is the end of a sentence.
    fn take(&self, bytes: usize) -> Result<(), String> {
        let more = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= self.limit);
        match self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.too_large()),
        }
    }

    fn too_large(&self) -> String {
        format!("{} larger than {} MiB", self.subject, self.limit >> 20)
    }
}

/// A body that is read. Dropped before its end, by an error or since its time is over, it gives back what it took.
#[derive(Debug)]
pub(super) struct Gathering<'a> {
    share: Share<'a>,
    buffer: HeldBuffer<'a>,
}

impl Gathering<'_> {
    /// Adds a piece; the error is the end of a sentence.
    pub(super) async fn add(&mut self, piece: &[u8]) -> Result<(), String> {
        self.share.allowance.take(piece.len())?;
        self.share.bytes += piece.len();
        let allowance = self.share.allowance;
        add(&mut self.buffer, piece, || allowance.too_large()).await
    }

    /// The whole body, and the memory that it takes.
    pub(super) fn finish(mut self) -> (Vec<u8>, Taken) {
        // Whoever has the body gives its bytes back.
        self.share.bytes = 0;
        self.buffer.into_parts()
    }
}

/// What one body has taken of an allowance.
#[derive(Debug)]
struct Share<'a> {
    allowance: &'a Allowance,
    bytes: usize,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.allowance.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use starcell_budget::MemoryBudget;

    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn bodies_share_an_allowance() {
        let (batch, holding) = (Allowance::of_batch(3 * MIB), Holding::new(MemoryBudget::unlimited()));
        let error = Err("the responses of the batch are together larger than 3 MiB".to_owned());
        let (mut one, mut other) = (batch.gather(&holding), batch.gather(&holding));
        assert_eq!(one.add(&vec![0; 2 * MIB]).await, Ok(()));
        assert_eq!(other.add(&vec![0; MIB + 1]).await, error);
        assert_eq!(other.add(&vec![0; MIB]).await, Ok(()));
        assert_eq!(other.add(&[0]).await, error);
        // What is not read to its end makes room, and so does what is dropped after it.
        drop(other);
        assert_eq!(one.add(&vec![0; MIB]).await, Ok(()));
        let (body, _taken) = one.finish();
        assert_eq!((body.len(), batch.gather(&holding).add(&[0]).await), (3 * MIB, error));
        batch.give_back(body.len());
        assert_eq!(batch.gather(&holding).add(&vec![0; 3 * MIB]).await, Ok(()));
    }

    #[tokio::test]
    async fn one_body_has_an_allowance_of_its_own() {
        let error = "the response is larger than 1 MiB".to_owned();
        let holding = Holding::new(MemoryBudget::unlimited());
        assert_eq!(Allowance::of_one(MIB).gather(&holding).add(&vec![0; MIB + 1]).await, Err(error));
    }
}
