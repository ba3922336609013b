//! Frames, in and out.

use super::Nic;
use crate::platform::{DmaRegion, Registers};
use crate::regs;
use crate::rx::RxCounters;
use crate::tx::{TransmitError, TxCounters};

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Length without FCS of the frame that [`Self::receive`] will give next, if there is one. Reads no register.
    pub fn next_frame_len(&mut self) -> Option<usize> {
        if self.is_testing() {
            return None;
        }
        let len = self.rx.next_len(&self.device.registers);
        if len.is_some() {
            return len;
        }
        self.backlog = false;
        if !self.receive_masked {
            // Whoever finds none waits for an interrupt, which a device without buffers never raises.
            if self.interrupts_enabled && self.rx.may_starve() {
                self.flush_writes();
            }
            return None;
        }
        // One may have arrived since the ring was looked at, so it is looked at again.
        self.receive_masked = false;
        self.device
            .registers
            .write(regs::IMS, self.routing.receive_causes().bits());
        self.rx.note_flush();
        self.rx.next_len(&self.device.registers)
    }

    /// Copies the next frame, without FCS, into `out` and returns how many bytes that were; what does not fit is
    /// lost. `None` when there is no frame. Reads no register.
    pub fn receive(&mut self, out: &mut [u8]) -> Option<usize> {
        let len = self.next_frame_len()?;
        Some(self.rx.take(&self.device.registers, len, out))
    }

    /// Takes one frame, without FCS, for transmission. The device learns of it with the next [`Self::post`].
    ///
    /// While the link is down, frames wait in the ring; when that is full, further ones are dropped and counted.
    ///
    /// # Errors
    ///
    /// See [`TransmitError`].
    pub fn transmit(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        self.transmit_tagged(frame, None)
    }

    /// As [`Self::transmit`]; the device inserts a VLAN tag, if there is one and [`Self::set_vlan_offload`] is on.
    ///
    /// # Errors
    ///
    /// See [`TransmitError`].
    pub fn transmit_tagged(&mut self, frame: &[u8], tag: Option<u16>) -> Result<(), TransmitError> {
        match self.tx.transmit(frame, tag) {
            Err(TransmitError::Full) if self.makes_do_without_room() => Ok(()),
            Err(TransmitError::Full) => self.tx.transmit(frame, tag),
            result => {
                self.drop_while_testing();
                result
            }
        }
    }

    /// The ring is full. If frames do not reach the hardware, this one is dropped, and counted; otherwise the ring may be
    /// full of frames that the device was not told of, so it is told. Returns whether that settles it.
    pub(super) fn makes_do_without_room(&mut self) -> bool {
        if self.can_send() {
            self.post();
            return false;
        }
        self.tx.count_dropped();
        true
    }

    /// A frame was put into the ring: it does not stay there during a self-test, which has the ring for itself.
    pub(super) fn drop_while_testing(&mut self) {
        if self.is_testing() {
            self.tx.drop_unposted();
        }
    }

    /// Whether [`Self::transmit`] would take a frame now.
    pub fn has_room(&mut self) -> bool {
        self.is_testing() || self.tx.has_room()
    }

    /// Counts a frame that its sender was told was taken, but that was dropped.
    pub fn count_dropped_frame(&mut self) {
        self.tx.count_dropped();
    }

    /// Tells the device of the frames taken since the last time: at most one register write for all.
    pub fn post(&mut self) {
        if self.can_send() && self.tx.post(&self.device.registers) {
            self.rx.note_flush();
        }
    }

    /// Makes sure that the device knows of the buffers that were given back to it: for an owner that polls, and so accesses
    /// no register that makes a hypervisor hand writes over. One register write, if there are any.
    pub fn flush_buffers(&mut self) {
        if self.rx.has_unseen() && !self.gone {
            self.flush_writes();
        }
    }

    /// Has the device see all that was written: a write that changes nothing, to a register whose writes KVM does not
    /// collect (QEMU, hw/net/e1000.c, `e1000_mmio_setup`).
    pub(super) fn flush_writes(&mut self) {
        self.device.registers.write(regs::IMS, 0);
        self.rx.note_flush();
    }

    /// Frames that wait for the link.
    pub fn held_frames(&self) -> u32 {
        self.tx.unposted()
    }

    /// Drops the frames that wait for the link, and counts them. Returns how many.
    pub fn drop_held_frames(&mut self) -> u32 {
        self.tx.drop_unposted()
    }

    /// What became of received frames.
    pub fn rx_counters(&self) -> RxCounters {
        self.rx.counters()
    }

    /// What became of frames to transmit.
    pub fn tx_counters(&self) -> TxCounters {
        self.tx.counters()
    }
}
