//! Sets of patterns as bits, in two forms: one word for every 64 patterns of a table, and only the
//! words that are not zero. The second form is for literals, of which a table can have hundreds of
//! thousands with one pattern each.

use smallvec::{SmallVec, smallvec};

/// Words of a set that need no allocation: most servers have fewer than 128 routes.
const FEW: usize = 2;

/// A set of slots with all its words up to the last one in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits(SmallVec<[u64; FEW]>);

/// A set of slots with only the words that are not zero, as place and word.
#[derive(Debug, Clone, Default)]
pub(super) struct FewBits(Vec<(usize, u64)>);

impl Bits {
    /// A set of at least the first `count` slots.
    pub(super) fn first(count: usize) -> Self {
        Self(smallvec![u64::MAX; count.div_ceil(64)])
    }

    pub(super) fn insert(&mut self, slot: usize) {
        if self.0.len() <= slot / 64 {
            self.0.resize(slot / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(slot / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// The number of words.
    pub(super) fn words(&self) -> usize {
        self.0.len()
    }

    /// Makes it the same as another one.
    pub(super) fn copy(&mut self, other: &Self) {
        self.0.clear();
        self.0.extend_from_slice(&other.0);
    }

    /// One word; those past the end are zero.
    pub(super) fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// Keeps the slots that are in the set whose words `mask` gives.
    pub(super) fn keep(&mut self, mask: impl Fn(usize) -> u64) {
        for (at, word) in self.0.iter_mut().enumerate() {
            *word &= mask(at);
        }
    }

    /// Adds the slots of `few` that are also in `among`.
    pub(super) fn add_among(&mut self, few: &FewBits, among: &Self) {
        for &(at, bits) in &few.0 {
            if let Some(word) = self.0.get_mut(at) {
                *word |= bits & among.word(at);
            }
        }
    }

    /// Removes the slots of `few`.
    pub(super) fn remove(&mut self, few: &FewBits) {
        for &(at, bits) in &few.0 {
            if let Some(word) = self.0.get_mut(at) {
                *word &= !bits;
            }
        }
    }

    /// The slots in rising order.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            std::iter::successors(Some(word), |left| Some(left & left.wrapping_sub(1)))
                .take_while(|&left| left != 0)
                .map(move |left| at * 64 + left.trailing_zeros() as usize)
        })
    }
}

impl FewBits {
    /// Adds a slot, which is not below any that is in the set.
    pub(super) fn push(&mut self, slot: usize) {
        let bit = 1 << (slot % 64);
        match self.0.last_mut() {
            Some((at, word)) if *at == slot / 64 => *word |= bit,
            _ => self.0.push((slot / 64, bit)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let mut bits = Bits::default();
        let mut few = FewBits::default();
        for slot in [0, 63, 64, 200] {
            bits.insert(slot);
            few.push(slot);
        }
        assert_eq!(bits.slots().collect::<Vec<_>>(), [0, 63, 64, 200]);
        assert_eq!((bits.words(), bits.word(9)), (4, 0));

        let mut all = Bits::first(201);
        all.keep(|_| 0);
        assert!(all.is_empty());
        all.add_among(&few, &Bits::first(64));
        assert_eq!(all.slots().collect::<Vec<_>>(), [0, 63]);
        bits.remove(&few);
        assert!(bits.is_empty());
    }
}
