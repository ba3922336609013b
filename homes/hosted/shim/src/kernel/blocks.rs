//! Use of an address range: a first-fit allocator of power-of-two blocks.

use std::collections::BTreeMap;

/// Blocks of one range, each a power of two long and aligned to its length, as a buddy allocator hands them out.
#[derive(Debug)]
pub struct Blocks {
    start: u64,
    end: u64,
    /// Start and length.
    used: BTreeMap<u64, u64>,
}

impl Blocks {
    /// All of `start..end`, free.
    pub const fn new(start: u64, end: u64) -> Self {
        Self {
            start,
            end,
            used: BTreeMap::new(),
        }
    }

    /// Takes the lowest free block of `length`, a power of two. `None` if there is none.
    pub fn take(&mut self, length: u64) -> Option<u64> {
        if !length.is_power_of_two() {
            return None;
        }
        let mut candidate = self.start.checked_next_multiple_of(length)?;
        for (start, used) in &self.used {
            if start + used <= candidate {
                continue;
            }
            if candidate.checked_add(length)? <= *start {
                break;
            }
            candidate = (start + used).checked_next_multiple_of(length)?;
        }
        if candidate.checked_add(length)? > self.end {
            return None;
        }
        self.used.insert(candidate, length);
        Some(candidate)
    }

    /// Gives back the block that starts at `start`. Anything else is ignored.
    pub fn give_back(&mut self, start: u64) {
        self.used.remove(&start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    #[test]
    fn blocks_are_naturally_aligned_and_reused() {
        let mut blocks = Blocks::new(PAGE, 64 * PAGE);
        assert_eq!(blocks.take(4 * PAGE), Some(4 * PAGE));
        assert_eq!(blocks.take(PAGE), Some(PAGE));
        assert_eq!(blocks.take(4 * PAGE), Some(8 * PAGE));
        blocks.give_back(4 * PAGE);
        assert_eq!(blocks.take(8 * PAGE), Some(16 * PAGE));
        assert_eq!(blocks.take(2 * PAGE), Some(2 * PAGE));
        assert_eq!(blocks.take(2 * PAGE), Some(4 * PAGE));
    }

    #[test]
    fn nothing_is_handed_out_beyond_the_end() {
        let mut blocks = Blocks::new(0, 4 * PAGE);
        assert_eq!(blocks.take(8 * PAGE), None);
        assert_eq!(blocks.take(3 * PAGE), None);
        assert_eq!(blocks.take(4 * PAGE), Some(0));
        assert_eq!(blocks.take(PAGE), None);
    }
}
