//! Receiving by copying: frames are copied out of the core's own buffers, which go back to the device at once.

use super::Receiver;
use super::assembly::Verdict;
use crate::platform::{DmaRegion, Registers};

impl<D: DmaRegion> Receiver<D> {
    /// Length without FCS of the next frame, if there is one.
    ///
    /// Bad frames before it are dropped, at most as many descriptors as the ring has, in case the device reports
    /// descriptors as done for ever.
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

    /// Copies the next frame, whose length [`Self::next_len`] has just returned, into `out`. Returns the number of
    /// bytes copied: `len`, or the length of `out` if that is smaller; then the rest of the frame is lost.
    ///
    /// The length is not read again, because the device could have changed it.
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

    /// Copies the beginning of the next frame, whose length [`Self::next_len`] has just returned, into `out`, up to the
    /// end of its first buffer. Returns the number of bytes copied.
    pub fn peek(&self, len: usize, out: &mut [u8]) -> usize {
        self.copy_out(0, len, out)
    }

    /// Drops the next frame, which [`Self::next_len`] has just found.
    pub fn discard(&mut self, registers: &impl Registers) {
        self.count_dropped();
        self.recycle(registers);
    }

    /// Returns true if at least `count` filled descriptors are waiting. Reads one of them.
    pub fn has_filled(&self, count: u32) -> bool {
        self.ring.has_done(count)
    }

    /// Copies from the buffer of the descriptor that is `ahead` of the next one. Descriptor `n` has buffer `n`.
    fn copy_out(&self, ahead: u32, len: usize, out: &mut [u8]) -> usize {
        let (next, _) = self.ring.position();
        let index = self.size().slot(next.wrapping_add(ahead));
        self.pool.copy_out(index, len, out)
    }

    /// Provides the buffers of the current frame again, and posts them if they make a batch.
    fn recycle(&mut self, registers: &impl Registers) {
        for _ in 0..=self.assembly.chained() {
            self.ring.recycle();
        }
        self.assembly.next_frame();
        self.ring.publish_batch(registers);
    }
}
