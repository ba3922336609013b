//! Bytes that say what happens in a case.

/// The rest of the bytes; zeroes from the end on.
pub struct Script<'a>(pub &'a [u8]);

impl Script<'_> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// The next four bytes as a number.
    pub fn word(&mut self) -> u32 {
        u32::from_le_bytes(core::array::from_fn(|_| self.byte()))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % end
    }

    /// A descriptor's high word: the bits that matter are set more often than chance would.
    pub fn high(&mut self) -> u32 {
        match self.byte() % 5 {
            0 => 0b01,
            1 | 2 => 0b11,
            3 => u32::MAX,
            _ => self.word(),
        }
    }

    /// A descriptor's low word.
    pub fn low(&mut self) -> u32 {
        match self.byte() % 3 {
            0 => 2048,
            1 => self.below(2100) as u32,
            _ => self.word(),
        }
    }
}
