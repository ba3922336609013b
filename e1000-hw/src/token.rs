//! Tokens: numbers of buffers and frames in the owner's memory.

/// Number of a buffer or a frame that the owner gave the NIC by bus address.
///
/// Each direction counts from 0 and wraps at `u32::MAX`. Tokens come back in this order, each once. So an owner may
/// keep a queue and ignore the numbers, or keep a table with as many entries as the ring has descriptors and use
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

    /// Index into a table with as many entries as the ring has descriptors. No two tokens in use have the same index.
    pub const fn slot(self, ring: crate::RingSize) -> usize {
        ring.slot(self.0) as usize
    }
}
