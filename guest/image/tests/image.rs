//! Makes images and reads the memory back.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use starcell_image::{IMAGE_PAGE, image, stats};
use support::{decode, valid};

/// A xorshift generator: the same memories in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit
    }
}

#[test]
fn random_memories_come_back() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..300 {
        let offset = [0, 8, 4095, 4096, 5000, 70000][random.below(6)];
        let mut memory = vec![0; random.below(40 * IMAGE_PAGE)];
        for _ in 0..random.below(12) {
            if memory.is_empty() {
                break;
            }
            let start = random.below(memory.len());
            let end = (start + random.below(3 * IMAGE_PAGE)).min(memory.len());
            memory[start..end].fill(u8::try_from(random.below(255)).unwrap() + 1);
        }
        let minimum = random.below(4) as u64;
        let module = image(&memory, u32::try_from(offset).unwrap(), 0xFFFF_FFF0, minimum, Some(100));
        valid(&module);
        let (decoded, stack_pointer, (initial, maximum)) = decode(&module);
        assert_eq!(stack_pointer, 0xFFFF_FFF0);
        assert_eq!(maximum, Some(100));
        assert_eq!(initial, minimum.max((offset + memory.len()).div_ceil(65536) as u64));
        assert!(decoded[..offset].iter().all(|byte| *byte == 0));
        assert_eq!(decoded[offset..offset + memory.len()], memory);
        assert!(decoded[offset + memory.len()..].iter().all(|byte| *byte == 0));

        let pages = decoded.chunks(IMAGE_PAGE).filter(|page| page.iter().any(|byte| *byte != 0)).count();
        assert_eq!(stats(&module).unwrap().pages_stored, pages as u64);
    }
}

#[test]
fn runs_break_at_zero_pages() {
    let mut memory = vec![0; 10 * IMAGE_PAGE - 8];
    memory[0] = 1;
    memory[IMAGE_PAGE] = 1;
    memory[5 * IMAGE_PAGE] = 1;
    let stats = stats(&image(&memory, 8, 1024, 0, None)).unwrap();
    assert_eq!((stats.runs, stats.pages_stored), (2, 3));
    assert_eq!(stats.bytes_stored, 3 * IMAGE_PAGE as u64 - 8);
    assert_eq!(stats.pages_total, 16);
}

#[test]
fn memory_without_data_has_no_segments() {
    for memory in [&[][..], &[0; 100_000][..]] {
        let module = image(memory, 8, 1024, 3, None);
        valid(&module);
        assert!(module.len() < 64);
        assert_eq!(decode(&module).2, (3, None));
    }
}

#[test]
fn an_image_beyond_its_maximum_is_not_valid() {
    let module = image(&[1; 65536], 8, 1024, 1, Some(1));
    assert!(wasmparser::Validator::new().validate_all(&module).is_err());
    let module = image(&[1; 16], u32::MAX - 7, 1024, 1, None);
    assert!(wasmparser::Validator::new().validate_all(&module).is_err());
}

#[test]
fn full_memory_at_the_top_is_addressed() {
    let module = image(&[7; 4096], 0xFFFF_F000, 1024, 0, None);
    valid(&module);
    assert_eq!(stats(&module).unwrap().pages_stored, 1);
}
