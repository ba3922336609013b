//! What waits in the receive ring: for an owner that cannot read it all.

use super::Nic;
use crate::platform::{DmaRegion, Registers};

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Whether frames wait that take at least `descriptors` of the receive ring. Looks at one descriptor, and reads no
    /// register.
    pub fn has_received(&self, descriptors: u32) -> bool {
        self.rx.holds(descriptors)
    }

    /// Copies the beginning of the frame that [`Self::receive`] will give next, as much of its first 2 KiB as fits `out`,
    /// and returns how many bytes that were. `None` when there is no frame.
    pub fn peek(&mut self, out: &mut [u8]) -> Option<usize> {
        let len = self.next_frame_len()?;
        Some(self.rx.peek(len, out))
    }

    /// Drops all frames that [`Self::receive`] would give, at most one ring full, and counts them. Returns how many.
    pub fn discard_all(&mut self) -> u32 {
        // A device that fills descriptors for ever must not keep us.
        (0..self.rx.size().get()).take_while(|_| self.discard()).count() as u32
    }

    /// Counts a frame as dropped that the owner has received and not used.
    pub fn count_unused_frame(&mut self) {
        self.rx.count_dropped();
    }

    /// Drops the frame that [`Self::receive`] would give next, and counts it. Returns whether there was one.
    pub fn discard(&mut self) -> bool {
        let found = self.next_frame_len().is_some();
        if found {
            self.rx.discard(&self.device.registers);
        }
        found
    }
}
