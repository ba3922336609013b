//! Receiving into the owner's buffers, by bus address.

use core::fmt;

use super::assembly::Verdict;
use super::{ChecksumResult, Receiver};
use crate::Token;
use crate::platform::{DmaRegion, Registers};
use crate::pool::BUFFER_LEN;

/// Refusal of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvideError {
    /// Each descriptor has a buffer, or buffers from before a reset wait for `Rx::next_buffer`.
    Full,
    /// The NIC copies frames out of its own buffers.
    OwnBuffers,
}

impl fmt::Display for ProvideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no descriptor is free for the buffer",
            Self::OwnBuffers => "the NIC receives into buffers of its own",
        })
    }
}

impl core::error::Error for ProvideError {}

/// A buffer that the device no longer accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedBuffer {
    /// Token that the buffer was given.
    pub token: Token,
    /// Bytes that the device reports to have written, at most [`BUFFER_LEN`]; includes the FCS on parts that cannot
    /// strip it.
    pub len: usize,
    /// Place of the buffer in a frame.
    pub status: BufferStatus,
}

/// Place of a buffer in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferStatus {
    /// The beginning or the middle of a frame, which continues in the next buffer.
    More,
    /// The end of a good frame, which may begin in earlier buffers.
    End {
        /// Bytes of the whole frame, without FCS.
        frame_len: usize,
        /// VLAN tag that the device stripped.
        tag: Option<u16>,
        /// Result of the checksum checks.
        checksums: ChecksumResult,
    },
    /// Part of a bad frame, which is dropped together with its beginning in earlier buffers.
    Bad,
    /// Nothing: the device was reset. The beginning of a frame in earlier buffers is dropped.
    Unused,
}

/// Free-running numbers of the owner's buffers: the device has those from `back` to `next`.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    back: u32,
    next: u32,
    /// The device was reset, and buffers that it had still have to go back unused.
    returned: bool,
}

impl Tokens {
    /// Records a reset of the device: all its buffers go back unused.
    pub fn return_all(&mut self) {
        self.returned = self.back != self.next;
    }

    fn give(&mut self) -> Token {
        let token = Token::new(self.next);
        self.next = self.next.wrapping_add(1);
        token
    }

    fn take(&mut self) -> Token {
        let token = Token::new(self.back);
        self.back = self.back.wrapping_add(1);
        self.returned &= self.back != self.next;
        token
    }
}

impl<D: DmaRegion> Receiver<D> {
    /// Puts a buffer of [`BUFFER_LEN`] bytes at `address` into the ring, and posts buffers if they make a batch.
    ///
    /// The address has to be valid, which the caller of the unsafe function above this one promises.
    pub fn provide(&mut self, registers: &impl Registers, address: u64) -> Result<Token, ProvideError> {
        if !self.pool.is_empty() {
            return Err(ProvideError::OwnBuffers);
        }
        if self.ring.is_full() || self.tokens.returned {
            return Err(ProvideError::Full);
        }
        self.ring.provide(address);
        self.ring.publish_batch(registers);
        Ok(self.tokens.give())
    }

    /// Posts all buffers.
    pub fn publish(&mut self, registers: &impl Registers) {
        self.ring.publish(registers);
    }

    /// The next buffer that the device no longer accesses, if there is one; `pcie` is true for PCIe parts.
    pub fn next_buffer(&mut self, pcie: bool) -> Option<ReceivedBuffer> {
        if !self.pool.is_empty() {
            return None;
        }
        if self.tokens.returned {
            return Some(ReceivedBuffer {
                token: self.tokens.take(),
                len: 0,
                status: BufferStatus::Unused,
            });
        }
        let done = self.ring.done(0)?;
        let status = match self.assembly.judge(done, &mut self.counters) {
            Verdict::More => BufferStatus::More,
            Verdict::Frame(frame_len) => {
                self.assembly.next_frame();
                self.counters.frames += 1;
                self.counters.bytes += frame_len as u64;
                BufferStatus::End {
                    frame_len,
                    tag: done.tag(),
                    checksums: done.checksums(pcie),
                }
            }
            Verdict::Drop => {
                self.assembly.next_frame();
                BufferStatus::Bad
            }
        };
        self.ring.consume();
        Some(ReceivedBuffer {
            token: self.tokens.take(),
            len: done.len.min(BUFFER_LEN),
            status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_in_order_through_a_wrap() {
        let mut tokens = Tokens {
            back: u32::MAX - 1,
            next: u32::MAX - 1,
            returned: false,
        };
        let given = [(); 4].map(|()| tokens.give());
        assert_eq!(given.map(Token::get), [u32::MAX - 1, u32::MAX, 0, 1]);
        assert_eq!([(); 4].map(|()| tokens.take()), given);
    }

    #[test]
    fn reset_returns_what_is_out_and_nothing_else() {
        let mut tokens = Tokens::default();
        tokens.return_all();
        assert!(!tokens.returned, "nothing is out");
        for _ in 0..3 {
            tokens.give();
        }
        tokens.take();
        tokens.return_all();
        assert!(tokens.returned);
        tokens.take();
        assert!(tokens.returned);
        tokens.take();
        assert!(!tokens.returned);
    }
}
