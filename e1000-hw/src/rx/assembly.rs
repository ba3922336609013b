//! Frames out of what the device reports, descriptor by descriptor.
//!
//! A frame longer than a buffer takes several descriptors, all but the last full and without EOP; errors, VLAN tag and
//! checksums are valid on the last one only (8254x manual, 3.2.3). Legacy descriptors do not mark the first one, so
//! what a broken device leaves without EOP can only be stopped by the limit. VirtualBox does that when it runs out of
//! descriptors (`e1kHandleRxPacket`).

use super::RxCounters;
use super::ring::Done;
use crate::chip::{Chip, Quirks};
use crate::ethernet::{FCS_LEN, HEADER_LEN};
use crate::pool::BUFFER_LEN;

/// Meaning of a descriptor that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The end of a good frame of this length without FCS.
    Frame(usize),
    /// The beginning or the middle of a frame.
    More,
    /// Nothing to keep, counted.
    Drop,
}

/// A frame that is being put together.
#[derive(Debug)]
pub(super) struct Assembly {
    fcs_len: usize,
    /// Longest frame, with FCS where the part cannot strip it, that is not dropped.
    limit: usize,
    /// Full buffers that are the beginning of a frame whose end has not been seen.
    chained: u32,
    /// In the middle of a frame that is being dropped.
    discarding: bool,
    /// The last descriptor of the last good frame.
    last: Done,
}

impl Assembly {
    pub fn new(chip: &Chip) -> Self {
        Self {
            fcs_len: if chip.quirks.contains(Quirks::NO_SECRC) {
                FCS_LEN
            } else {
                0
            },
            limit: BUFFER_LEN,
            chained: 0,
            discarding: false,
            last: Done::default(),
        }
    }

    /// Forgets the frame that is being put together.
    pub fn reset(&mut self) {
        (self.chained, self.discarding) = (0, false);
    }

    /// Drops frames of more than `limit` bytes without FCS, but none that fits one buffer; `capacity` is the ring's.
    pub fn set_limit(&mut self, limit: usize, capacity: usize) {
        self.limit = (limit + self.fcs_len).clamp(BUFFER_LEN, capacity);
    }

    /// Full buffers that are the beginning of the current frame.
    pub fn chained(&self) -> u32 {
        self.chained
    }

    /// The last descriptor of the last good frame.
    pub fn last(&self) -> Done {
        self.last
    }

    /// Takes the next descriptor. After [`Verdict::Frame`], [`Self::chained`] still counts the buffers before the last
    /// one, until [`Self::next_frame`].
    pub fn judge(&mut self, done: Done, counters: &mut RxCounters) -> Verdict {
        if self.discarding {
            self.discarding = !done.end_of_frame();
            return Verdict::Drop;
        }
        let before = self.chained as usize * BUFFER_LEN;
        if !done.end_of_frame() {
            if before + BUFFER_LEN >= self.limit {
                counters.oversized += 1;
            } else if done.len == BUFFER_LEN {
                self.chained += 1;
                return Verdict::More;
            } else {
                counters.bad_length += 1;
            }
            self.discarding = true;
            return Verdict::Drop;
        }
        if done.is_bad() {
            counters.errors += 1;
            return Verdict::Drop;
        }
        match (before + done.len).checked_sub(self.fcs_len) {
            Some(frame) if frame >= HEADER_LEN && done.len <= BUFFER_LEN => {
                if before + done.len <= self.limit {
                    self.last = done;
                    return Verdict::Frame(frame);
                }
                counters.oversized += 1;
            }
            _ => counters.bad_length += 1,
        }
        Verdict::Drop
    }

    /// The frame was taken or dropped: the next buffer begins another one.
    pub fn next_frame(&mut self) {
        self.chained = 0;
    }
}
