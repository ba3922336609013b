//! Tokens: which buffer or frame of its own the owner gets back.

/// Number of a buffer, or of a frame, that the owner gave the NIC by bus address.
///
/// Each direction counts its own from 0 and wraps at `u32::MAX`. They come back in this order, each once: an owner may
/// keep a queue and ignore the numbers, or a table with as many entries as the ring has descriptors and use
/// [`Self::slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u32);

impl Token {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Entry of a table that has as many entries as the ring has descriptors. No two tokens that are out have the same.
    pub const fn slot(self, ring: crate::RingSize) -> usize {
        ring.slot(self.0) as usize
    }
}
