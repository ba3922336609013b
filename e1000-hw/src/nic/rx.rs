//! Frames in.

use super::Nic;
use crate::Token;
use crate::offload::{ChecksumResult, Offloads};
use crate::platform::{DmaRegion, Registers};
use crate::regs;
use crate::rx::{ProvideError, ReceivedBuffer};

/// Receiving: [`Nic::rx`].
///
/// Frames are copied out of the NIC's own buffers ([`Self::receive`] and its companions), or the device fills the
/// owner's buffers ([`Self::provide`], [`Self::next_buffer`]), as chosen by
/// [`Config::copy_rx`](super::Config::copy_rx).
///
/// After an interrupt the owner works in rounds, as NAPI of Linux does: it takes frames until there are none or its
/// budget is used up, and calls [`Self::complete`] when there are none. No method sleeps.
pub struct Rx<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> Rx<'_, R, D> {
    /// Copies the next frame, without FCS, into `out` and returns the number of bytes copied; the rest of a longer
    /// frame is lost. Returns `None` if there is no frame. Reads no register; writes one for every 16 buffers.
    ///
    /// Context: any.
    pub fn receive(&mut self, out: &mut [u8]) -> Option<usize> {
        let len = self.next_len()?;
        Some(self.nic.rx.take(&self.nic.device.registers, len, out))
    }

    /// Length without FCS of the next frame, if there is one. Bad frames before it are dropped and counted.
    ///
    /// Context: any.
    pub fn next_len(&mut self) -> Option<usize> {
        if self.nic.self_test.is_some() {
            return None;
        }
        self.nic.rx.next_len(&self.nic.device.registers)
    }

    /// Copies the beginning of the next frame into `out`, up to the end of its first buffer, and returns the number of
    /// bytes copied. Returns `None` if there is no frame.
    ///
    /// Context: any.
    pub fn peek(&mut self, out: &mut [u8]) -> Option<usize> {
        let len = self.next_len()?;
        Some(self.nic.rx.peek(len, out))
    }

    /// Drops and counts the next frame. Returns false if there was none.
    ///
    /// Context: any.
    pub fn discard(&mut self) -> bool {
        let found = self.next_len().is_some();
        if found {
            self.nic.rx.discard(&self.nic.device.registers);
        }
        found
    }

    /// Drops and counts all frames, at most as many as the ring has descriptors. Returns their number.
    ///
    /// Context: any.
    pub fn discard_all(&mut self) -> u32 {
        // Bounded, in case the device fills descriptors as fast as they are emptied.
        (0..self.nic.rx.size().get())
            .take_while(|_| self.discard())
            .count() as u32
    }

    /// Counts a frame that the owner has received and dropped.
    ///
    /// Context: any.
    pub fn count_dropped(&mut self) {
        self.nic.rx.count_dropped();
    }

    /// Returns true if at least `descriptors` filled descriptors are waiting. Reads one of them.
    ///
    /// Context: any.
    pub fn has_filled(&self, descriptors: u32) -> bool {
        self.nic.rx.has_filled(descriptors)
    }

    /// VLAN tag that was stripped from the frame that [`Self::next_len`] or [`Self::receive`] last returned.
    ///
    /// Context: any.
    pub fn tag(&self) -> Option<u16> {
        self.nic.rx.tag().filter(|_| self.nic.vlan_offload)
    }

    /// Result of the checksum checks of the frame that [`Self::next_len`] or [`Self::receive`] last returned. Nothing
    /// is checked unless [`Offloads::RX_CHECKSUM`] is on.
    ///
    /// Context: any.
    pub fn checksums(&self) -> ChecksumResult {
        if !self.nic.offloads.contains(Offloads::RX_CHECKSUM) {
            return ChecksumResult::default();
        }
        self.nic.rx.checksums(self.nic.device.chip.mac().is_pcie())
    }

    /// Accepts a buffer of [`BUFFER_LEN`](crate::BUFFER_LEN) bytes for the device. Buffers are posted in batches of 16,
    /// or by [`Self::publish`]. As many are accepted as the ring has descriptors; the device uses all but one of them.
    ///
    /// Context: any.
    ///
    /// # Errors
    ///
    /// See [`ProvideError`]. A buffer that is refused stays the caller's.
    ///
    /// # Safety
    ///
    /// Until [`Self::next_buffer`] returns the token, or [`Nic::halt`] reports that DMA has ended:
    ///
    /// * the device may write any of the [`BUFFER_LEN`](crate::BUFFER_LEN) bytes from bus address `address` on, at any
    ///   time: they have to be memory that the caller owns, that stays allocated and mapped for the device, and to
    ///   which no reference exists;
    /// * the address has to be a multiple of 16 and not 0, and the buffer must not cross a 64 KiB boundary.
    ///
    /// If the NIC is dropped without either, the buffer must never be used for anything else.
    pub unsafe fn provide(&mut self, address: u64) -> Result<Token, ProvideError> {
        self.nic.rx.provide(&self.nic.device.registers, address)
    }

    /// Posts all accepted buffers to the device, with at most one register write.
    ///
    /// Context: any.
    pub fn publish(&mut self) {
        self.nic.rx.publish(&self.nic.device.registers);
    }

    /// The next buffer that the device no longer accesses, if there is one, in the order of [`Self::provide`]. After a
    /// reset all buffers come back unused and have to be provided again. Reads no register.
    ///
    /// The owner has to stop after a budget, in case the device fills buffers as fast as they are emptied.
    ///
    /// Context: any.
    pub fn next_buffer(&mut self) -> Option<ReceivedBuffer> {
        if self.nic.self_test.is_some() {
            return None;
        }
        self.nic.rx.next_buffer(self.nic.device.chip.mac().is_pcie())
    }

    /// Ends a round of receiving that found no more frames: unmasks interrupts for received frames if they are held
    /// off. Returns true if a frame has arrived meanwhile, in which case the round goes on. At most one register write.
    ///
    /// Has to be called when a round finds no frame, or masked interrupts stay masked for ever.
    ///
    /// Context: any.
    pub fn complete(&mut self) -> bool {
        let nic = &mut *self.nic;
        if nic.self_test.is_some() {
            return false;
        }
        nic.backlog = false;
        if !nic.receive_masked {
            // The owner now waits for an interrupt, which a device that has run out of buffers never raises.
            if nic.interrupts_enabled && nic.rx.may_starve() {
                nic.flush_writes();
            }
            return false;
        }
        nic.receive_masked = false;
        let causes = nic.routing.receive_causes();
        nic.device.registers.write(regs::IMS, causes.bits());
        nic.rx.note_flush();
        nic.rx.has_arrived()
    }

    /// Holds off interrupts for received frames if the owner cannot keep up. To be called when an interrupt was served
    /// and frames are left.
    ///
    /// The first call does nothing, because a reader that was just notified has not read yet. A second call without
    /// [`Self::complete`] in between masks the interrupts until [`Self::complete`], with one register write: they would
    /// only slow the reader down.
    ///
    /// Context: any.
    pub fn hold_off_interrupts(&mut self) {
        let nic = &mut *self.nic;
        if nic.backlog && !nic.receive_masked {
            nic.receive_masked = true;
            let causes = nic.routing.receive_causes();
            nic.device.registers.write(regs::IMC, causes.bits());
        }
        nic.backlog = true;
    }

    /// Makes sure that the device sees all posted buffers. For an owner that polls: it accesses no other register, so a
    /// hypervisor may delay the writes of RDT. One register write, if there are such buffers.
    ///
    /// Context: any.
    pub fn flush(&mut self) {
        if self.nic.rx.has_unseen() && !self.nic.gone {
            self.nic.flush_writes();
        }
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Makes the device see all earlier writes, by a write without effect to a register whose writes KVM does not
    /// coalesce (QEMU, hw/net/e1000.c, `e1000_mmio_setup`).
    pub(super) fn flush_writes(&mut self) {
        self.device.registers.write(regs::IMS, 0);
        self.rx.note_flush();
    }
}
