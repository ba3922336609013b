//! Transmitting from the owner's memory, by bus address.

use super::ring::Mark;
use super::{PADDED_LEN, TransmitError, Transmitter, check_len};
use crate::Token;
use crate::offload::{Offload, OffloadError};
use crate::platform::DmaRegion;

/// A piece of a frame, as the device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte.
    pub address: u64,
    /// Number of bytes.
    pub len: usize,
}

/// A frame in the owner's memory that the device no longer accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentFrame {
    /// Token that the frame was given.
    pub token: Token,
    /// False if it was dropped: the device was reset, or the link was down for too long.
    pub was_sent: bool,
}

/// Free-running numbers of the frames in the owner's memory, in order: those from `back` to `done` were sent, those
/// from `done` to `dropped` are in the ring, those from `dropped` to `next` were dropped. The sent and the dropped ones
/// wait for [`Transmitter::next_sent`].
#[derive(Debug, Default)]
pub(super) struct Tokens {
    back: u32,
    done: u32,
    dropped: u32,
    next: u32,
}

impl Tokens {
    /// Records that the oldest `count` frames in the ring were sent.
    pub fn done(&mut self, count: u32) {
        self.done = self.done.wrapping_add(count);
    }

    /// Records that the newest `count` frames in the ring were dropped.
    pub fn drop_last(&mut self, count: u32) {
        self.dropped = self.dropped.wrapping_sub(count);
    }

    /// Records that all frames in the ring were dropped.
    pub fn drop_all(&mut self) {
        self.dropped = self.done;
    }

    /// Returns true if another frame may be accepted: no dropped frame waits, and fewer frames than the ring has
    /// descriptors do. So an owner's table of frames needs no more entries than that.
    fn has_room(&self, size: u32) -> bool {
        self.dropped == self.next && self.next.wrapping_sub(self.back) < size
    }

    fn give(&mut self) -> Token {
        let token = Token::new(self.next);
        self.next = self.next.wrapping_add(1);
        self.dropped = self.next;
        token
    }

    fn take(&mut self) -> Option<SentFrame> {
        let was_sent = self.back != self.done;
        if !was_sent {
            if self.done != self.dropped || self.dropped == self.next {
                return None;
            }
            self.done = self.done.wrapping_add(1);
            self.dropped = self.done;
        }
        let token = Token::new(self.back);
        self.back = self.back.wrapping_add(1);
        Some(SentFrame { token, was_sent })
    }
}

impl<D: DmaRegion> Transmitter<D> {
    /// Puts one frame in the owner's memory into the ring, with a VLAN tag and an offload if they are given. `head` is
    /// the beginning of the frame, as far as the check of its length and `offload` need it. The next [`Self::post`]
    /// posts it.
    ///
    /// The addresses have to be valid, which the caller of the unsafe function above this one promises.
    pub fn send_segments(
        &mut self,
        segments: &[Segment],
        head: &[u8],
        tag: Option<u16>,
        offload: Option<&Offload>,
    ) -> Result<Token, OffloadError> {
        let len = segments
            .iter()
            .try_fold(0usize, |sum, segment| sum.checked_add(segment.len))
            .unwrap_or(usize::MAX);
        let context = match offload {
            Some(offload) => Some(offload.context(head, len, self.max_len)?),
            None => {
                check_len(len, head, self.max_len)?;
                None
            }
        };
        if len < PADDED_LEN {
            return Err(TransmitError::TooShort.into());
        }
        if !self.tokens.has_room(self.size().get()) {
            return Err(TransmitError::Full.into());
        }
        let cut = self.cut(context.as_ref());
        let needed = u32::from(context.is_some()) + cut.count_segments(segments, len);
        if needed >= self.size().get() {
            return Err(TransmitError::TooManySegments.into());
        }
        self.make_room(needed)?;
        let (mut next, options) = self.put_context(context.as_ref(), tag);
        let mut rest = len;
        for Segment { mut address, mut len } in segments.iter().copied() {
            while len > 0 {
                let piece = cut.piece(address, len, rest);
                rest -= piece;
                let mark = if rest == 0 {
                    Mark::ByAddressEnd
                } else {
                    Mark::Middle
                };
                self.ring.put(next, address, piece, options, mark);
                next = next.wrapping_add(1);
                len -= piece;
                address = address.wrapping_add(piece as u64);
            }
        }
        self.commit(next, len, context.as_ref());
        Ok(self.tokens.give())
    }

    /// The next frame in the owner's memory that the device no longer accesses, if there is one.
    pub fn next_sent(&mut self) -> Option<SentFrame> {
        self.tokens.take().or_else(|| {
            self.reclaim();
            self.tokens.take()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// Numbers of the frames that can be taken back now, those that were sent and those that were not.
    fn taken(tokens: &mut Tokens) -> (Vec<u32>, Vec<u32>) {
        let (mut sent, mut dropped) = (vec![], vec![]);
        while let Some(SentFrame { token, was_sent }) = tokens.take() {
            if was_sent { &mut sent } else { &mut dropped }.push(token.get());
        }
        (sent, dropped)
    }

    #[test]
    fn frames_come_back_in_order_sent_ones_before_those_that_were_dropped() {
        let mut tokens = Tokens::default();
        (0..6).for_each(|n| assert_eq!(tokens.give().get(), n));
        assert_eq!(taken(&mut tokens), (vec![], vec![]));
        tokens.done(2);
        tokens.drop_last(3);
        assert_eq!(taken(&mut tokens), (vec![0, 1], vec![]), "one is in the ring");
        assert!(!tokens.has_room(64), "three are to be taken");
        tokens.done(1);
        assert_eq!(taken(&mut tokens), (vec![2], vec![3, 4, 5]));
        assert!(tokens.has_room(64));
        assert_eq!(tokens.give().get(), 6);
    }

    #[test]
    fn reset_drops_what_is_in_the_ring() {
        let mut tokens = Tokens::default();
        for expected in 0..4 {
            assert_eq!(tokens.give().get(), expected);
        }
        tokens.done(1);
        tokens.drop_last(1);
        tokens.drop_all();
        tokens.drop_all();
        assert_eq!(taken(&mut tokens), (vec![0], vec![1, 2, 3]));
        tokens.drop_all();
        assert_eq!(taken(&mut tokens), (vec![], vec![]));
    }

    #[test]
    fn no_more_are_out_than_a_table_has_entries_even_when_numbers_wrap() {
        let start = u32::MAX - 2;
        let mut tokens = Tokens {
            back: start,
            done: start,
            dropped: start,
            next: start,
        };
        for _ in 0..8 {
            assert!(tokens.has_room(8));
            tokens.give();
        }
        assert!(!tokens.has_room(8));
        tokens.done(8);
        assert!(!tokens.has_room(8), "nobody has taken them");
        assert_eq!(taken(&mut tokens).0.len(), 8);
        assert!(tokens.has_room(8));
    }
}
