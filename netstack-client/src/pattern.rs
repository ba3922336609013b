//! Bytes that look random and are the same everywhere, for transfers that are compared afterwards.

/// A stream of pseudo-random bytes, determined by its seed (SplitMix64, little-endian).
#[derive(Clone, Debug)]
pub struct Pattern {
    state: u64,
    word: [u8; 8],
    /// Bytes of `word` that are already out.
    used: usize,
}

impl Pattern {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            word: [0; 8],
            used: 8,
        }
    }

    fn next_byte(&mut self) -> u8 {
        if self.used == self.word.len() {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.state;
            word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            self.word = (word ^ word >> 31).to_le_bytes();
            self.used = 0;
        }
        let byte = self.word[self.used];
        self.used += 1;
        byte
    }

    /// Fills `buffer` with the next bytes of the stream, which does not depend on the lengths of earlier buffers.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        buffer.fill_with(|| self.next_byte());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_the_published_one() {
        // The first output of SplitMix64 for seed 0.
        let mut bytes = [0; 8];
        Pattern::new(0).fill(&mut bytes);
        assert_eq!(u64::from_le_bytes(bytes), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn stream_does_not_depend_on_the_cuts() {
        let mut whole = [0; 100];
        Pattern::new(7).fill(&mut whole);
        let mut cut = [0; 100];
        let mut pattern = Pattern::new(7);
        for piece in cut.chunks_mut(7) {
            pattern.fill(piece);
        }
        assert_eq!(whole, cut);
    }
}
