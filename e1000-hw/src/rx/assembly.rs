//! Assembly of frames from the descriptors that the device reports as done.
//!
//! A frame longer than a buffer takes several descriptors. All but the last one are full and without EOP; errors, VLAN
//! tag and checksums are valid in the last one only (8254x manual, 3.2.3). Legacy descriptors do not mark the first
//! one. So a frame whose EOP is missing, as VirtualBox leaves it when it runs out of descriptors (`e1kHandleRxPacket`),
//! runs into the next frame, and only the limit on the length ends it.

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
    /// Number of full buffers with the beginning of a frame whose end has not arrived.
    chained: u32,
    /// The current descriptors belong to a frame that is being dropped.
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

    /// Number of full buffers with the beginning of the current frame.
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

    /// Ends the current frame, which was taken or dropped.
    pub fn next_frame(&mut self) {
        self.chained = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::find;

    const END: u32 = 0b10;

    /// Verdicts on descriptors, given by length and high word, and the counts of oversized frames, bad lengths and
    /// errors.
    fn judge<const N: usize>(
        id: u16,
        limit: usize,
        descriptors: [(usize, u32); N],
    ) -> ([Verdict; N], [u64; 3]) {
        let mut assembly = Assembly::new(find(0x8086, id).expect("a chip of the table"));
        assembly.set_limit(limit, 16 * BUFFER_LEN);
        let mut counters = RxCounters::default();
        let verdicts = descriptors.map(|(len, high)| {
            let verdict = assembly.judge(Done::new(len, high), &mut counters);
            if verdict != Verdict::More {
                assembly.next_frame();
            }
            verdict
        });
        let counted = [counters.oversized, counters.bad_length, counters.errors];
        (verdicts, counted)
    }

    #[test]
    fn frames_end_where_the_device_says() {
        use Verdict::{Drop, Frame, More};
        let full = BUFFER_LEN;
        let (verdicts, counted) = judge(
            0x100E,
            9000,
            [(60, END), (full, 0), (full, 0), (4, END), (14, END)],
        );
        assert_eq!(verdicts, [Frame(60), More, More, Frame(4100), Frame(14)]);
        assert_eq!(counted, [0; 3]);
        // The FCS, which 82544 does not strip, may have the last buffer for itself.
        let (verdicts, counted) = judge(0x100C, 9000, [(64, END), (full, 0), (2, END), (17, END)]);
        assert_eq!(verdicts, [Frame(60), More, Frame(full - 2), Drop]);
        assert_eq!(counted, [0, 1, 0]);
    }

    #[test]
    fn what_is_too_long_is_dropped_up_to_its_end_and_counted_once() {
        use Verdict::{Drop, Frame, More};
        let full = BUFFER_LEN;
        let (verdicts, counted) = judge(0x100E, 0, [(full, 0), (full, 0), (100, END), (60, END)]);
        assert_eq!(verdicts, [Drop, Drop, Drop, Frame(60)]);
        assert_eq!(counted, [1, 0, 0]);
        let (verdicts, counted) = judge(0x100E, 3000, [(full, 0), (952, END), (full, 0), (953, END)]);
        assert_eq!(verdicts, [More, Frame(3000), More, Drop]);
        assert_eq!(counted, [1, 0, 0]);
    }

    #[test]
    fn lengths_that_no_frame_has_and_errors_are_dropped() {
        use Verdict::{Drop, Frame};
        let (verdicts, counted) = judge(
            0x100E,
            9000,
            [
                (13, END),
                (BUFFER_LEN + 1, END),
                // A gap in the middle.
                (100, 0),
                (60, END),
                (60, END | 1 << 8),
                (60, END),
            ],
        );
        assert_eq!(verdicts, [Drop, Drop, Drop, Drop, Drop, Frame(60)]);
        assert_eq!(counted, [0, 3, 1]);
    }

    #[test]
    fn frame_that_never_ends_is_dropped() {
        let (verdicts, counted) = judge(0x100E, 9000, [(BUFFER_LEN, 0); 12]);
        let kept = verdicts
            .iter()
            .filter(|verdict| **verdict == Verdict::More)
            .count();
        assert_eq!((kept, counted), (4, [1, 0, 0]));
    }
}
