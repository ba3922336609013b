//! Receiving by copying: frames come out of the core's own buffers, which go back to the device at once.

use super::Receiver;
use super::assembly::Verdict;
use crate::platform::{DmaRegion, Registers};

impl<D: DmaRegion> Receiver<D> {
    /// Length without FCS of the frame that [`Self::take`] will give next, if one is there.
    ///
    /// Drops what is no good frame on the way, at most one ring full of it, so that a device that reports
    /// descriptors as done for ever cannot keep the caller.
    pub fn next_len(&mut self, registers: &impl Registers) -> Option<usize> {
        if self.pool.is_empty() {
            return None;
        }
        for _ in 0..self.size().get() {
            let done = self.ring.done(self.assembly.chained())?;
            match self.assembly.judge(done, &mut self.counters) {
                Verdict::Frame(len) => return Some(len),
                Verdict::More => {}
                Verdict::Drop => self.recycle(registers),
            }
        }
        None
    }

    /// Copies the frame, whose length [`Self::next_len`] just gave, into `out`, and returns how many bytes that were:
    /// `len`, or `out`'s length if that is smaller; the rest of the frame is lost then.
    ///
    /// The length is not read again: the device could have changed it.
    pub fn take(&mut self, registers: &impl Registers, len: usize, out: &mut [u8]) -> usize {
        let mut copied = self.copy_out(0, len, out);
        for ahead in 1..=self.assembly.chained() {
            let rest = len.saturating_sub(copied);
            copied += self.copy_out(ahead, rest, out.get_mut(copied..).unwrap_or_default());
        }
        self.counters.frames += 1;
        self.counters.bytes += len as u64;
        self.recycle(registers);
        copied
    }

    /// Copies the beginning of the frame, whose length [`Self::next_len`] just gave, into `out`, and returns how many
    /// bytes that were: no more than its first buffer has.
    pub fn peek(&self, len: usize, out: &mut [u8]) -> usize {
        self.copy_out(0, len, out)
    }

    /// Drops the frame that [`Self::next_len`] just found.
    pub fn discard(&mut self, registers: &impl Registers) {
        self.count_dropped();
        self.recycle(registers);
    }

    /// Returns true if the hardware has filled at least `count` descriptors that were not taken. Looks at one of them.
    pub fn has_filled(&self, count: u32) -> bool {
        self.ring.has_done(count)
    }

    /// Copies out of the buffer of the descriptor `ahead` of the next one: descriptor `n` has buffer `n`.
    fn copy_out(&self, ahead: u32, len: usize, out: &mut [u8]) -> usize {
        let (next, _) = self.ring.position();
        let index = self.size().slot(next.wrapping_add(ahead));
        self.pool.copy_out(index, len, out)
    }

    /// Gives the buffers of the frame just looked at back, telling the hardware once a batch is together.
    fn recycle(&mut self, registers: &impl Registers) {
        for _ in 0..=self.assembly.chained() {
            self.ring.recycle();
        }
        self.assembly.next_frame();
        self.ring.publish_batch(registers);
    }
}
