//! Buffers of all benchmarks: the same kind, so that results can be compared.

/// Bytes of a slot, larger than any frame.
const SLOT: usize = 2048;

/// Slots of 2 KiB, aligned to their size. The cost of a call on Redox depends on the number of pages that its buffer
/// touches, because the kernel maps them into the driver. A frame in a slot touches one page.
pub struct Slots {
    memory: Vec<u8>,
    start: usize,
    count: usize,
}

impl Slots {
    /// `count` slots, at least one.
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        // Written to, because the system maps memory that was never written differently.
        let memory = vec![0x5a; (count + 1) * SLOT];
        // At most SLOT - 1 for a type of one byte.
        let start = memory.as_ptr().align_offset(SLOT).min(SLOT);
        Self { memory, start, count }
    }

    /// The first `length` bytes, at most 2048, of slot `index` modulo the number of slots.
    pub fn get(&mut self, index: usize, length: usize) -> &mut [u8] {
        let start = self.start + index % self.count * SLOT;
        &mut self.memory[start..start + length.min(SLOT)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_aligned_and_apart() {
        let mut slots = Slots::new(3);
        for (index, fill) in [(0, 1), (1, 2), (2, 3)] {
            let slot = slots.get(index, 5000);
            assert_eq!((slot.len(), slot.as_ptr().addr() % SLOT), (SLOT, 0));
            slot.fill(fill);
        }
        assert_eq!([0, 1, 2, 3].map(|index| slots.get(index, 1)[0]), [1, 2, 3, 1]);
    }
}
