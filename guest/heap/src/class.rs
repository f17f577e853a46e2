//! Size classes: which freed blocks serve which sizes.

/// Bytes of the smallest block, and its alignment, which is that of the widest type Rust allocates by default on wasm.
pub(crate) const GRAIN: usize = 16;

/// Largest size with classes one grain apart.
const SMALL: usize = 1024;

/// Classes for each doubling above that: a block is at most an eighth larger than asked for.
const STEPS: usize = 8;

/// Number of classes: 64 small ones, then eight for each doubling up to 4 GiB.
pub(crate) const CLASSES: usize = SMALL / GRAIN + STEPS * 22 + 1;

/// The class of a size, and the bytes of its blocks. A size beyond 4 GiB has a class past [`CLASSES`].
pub(crate) const fn class(size: usize) -> (usize, usize) {
    if size <= SMALL {
        let class = if size == 0 { 1 } else { size.div_ceil(GRAIN) };
        return (class, class * GRAIN);
    }
    let doubling = (size - 1).ilog2() as usize;
    let step = (1 << doubling) / STEPS;
    let steps = (size - (1 << doubling)).div_ceil(step);
    let class = SMALL / GRAIN + (doubling - SMALL.ilog2() as usize) * STEPS + steps;
    (class, (1_usize << doubling).saturating_add(steps * step))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_ascend_without_a_gap() {
        let (mut last, mut bytes) = class(1);
        for size in 2..200_000 {
            let (next, block) = class(size);
            assert!(next == last && block == bytes || next == last + 1 && block > bytes, "{size}");
            (last, bytes) = (next, block);
        }
        assert!(class(u32::MAX as usize).0 < CLASSES);
    }

    proptest! {
        #[test]
        fn a_block_holds_its_size_and_wastes_an_eighth_at_most(size in 0_usize..=u32::MAX as usize) {
            let (number, block) = class(size);
            prop_assert!(number < CLASSES);
            prop_assert!(block >= size && block.is_multiple_of(GRAIN));
            prop_assert!(block - size <= (size / 8).max(GRAIN), "{size} in {block}");
            prop_assert_eq!(class(block), (number, block), "every size of a class has the same block");
        }
    }
}
