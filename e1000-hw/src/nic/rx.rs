//! Frames in.

use super::Nic;
use crate::Token;
use crate::offload::{ChecksumResult, Offloads};
use crate::platform::{DmaRegion, Registers};
use crate::regs;
use crate::rx::{ProvideError, ReceivedBuffer};

/// Receiving: [`Nic::rx`].
///
/// Frames are copied out of the NIC's own buffers ([`Self::receive`] and what goes with it), or the device fills
/// buffers of the owner's ([`Self::provide`], [`Self::next_buffer`]): [`Config::copy_rx`](super::Config::copy_rx)
/// decides.
///
/// An owner that is interrupted works in rounds, as Linux' NAPI does: it takes frames until there are none, or until
/// its budget is used up, and calls [`Self::complete`] when there are none. No method sleeps.
pub struct Rx<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> Rx<'_, R, D> {
    /// Copies the next frame, without FCS, into `out` and returns how many bytes that were; what does not fit is
    /// lost. `None` when there is no frame. Reads no register; writes one for every 16 buffers.
    ///
    /// Context: any.
    pub fn receive(&mut self, out: &mut [u8]) -> Option<usize> {
        let len = self.next_len()?;
        Some(self.nic.rx.take(&self.nic.device.registers, len, out))
    }

    /// Length without FCS of the frame that [`Self::receive`] will give next, if there is one. Bad frames before it are
    /// dropped and counted.
    ///
    /// Context: any.
    pub fn next_len(&mut self) -> Option<usize> {
        if self.nic.self_test.is_some() {
            return None;
        }
        self.nic.rx.next_len(&self.nic.device.registers)
    }

    /// Copies the beginning of the frame that [`Self::receive`] will give next, as much of its first buffer as fits
    /// `out`, and returns how many bytes that were. `None` when there is no frame.
    ///
    /// Context: any.
    pub fn peek(&mut self, out: &mut [u8]) -> Option<usize> {
        let len = self.next_len()?;
        Some(self.nic.rx.peek(len, out))
    }

    /// Drops the frame that [`Self::receive`] would give next, and counts it. Returns false if there was none.
    ///
    /// Context: any.
    pub fn discard(&mut self) -> bool {
        let found = self.next_len().is_some();
        if found {
            self.nic.rx.discard(&self.nic.device.registers);
        }
        found
    }

    /// Drops all frames that [`Self::receive`] would give, at most one ring full, and counts them. Returns how many.
    ///
    /// Context: any.
    pub fn discard_all(&mut self) -> u32 {
        // A device that fills descriptors for ever must not keep us.
        (0..self.nic.rx.size().get())
            .take_while(|_| self.discard())
            .count() as u32
    }

    /// Counts a frame as dropped that the owner has received and not used.
    ///
    /// Context: any.
    pub fn count_dropped(&mut self) {
        self.nic.rx.count_dropped();
    }

    /// Returns true if the device has filled at least `descriptors` of the ring that were not taken. Looks at one of
    /// them.
    ///
    /// Context: any.
    pub fn has_filled(&self, descriptors: u32) -> bool {
        self.nic.rx.has_filled(descriptors)
    }

    /// The VLAN tag that was stripped from the frame that [`Self::next_len`] or [`Self::receive`] last gave.
    ///
    /// Context: any.
    pub fn tag(&self) -> Option<u16> {
        self.nic.rx.tag().filter(|_| self.nic.vlan_offload)
    }

    /// The result of checking the checksums of the frame that [`Self::next_len`] or [`Self::receive`] last gave;
    /// nothing is checked unless [`Offloads::RX_CHECKSUM`] is on.
    ///
    /// Context: any.
    pub fn checksums(&self) -> ChecksumResult {
        if !self.nic.offloads.contains(Offloads::RX_CHECKSUM) {
            return ChecksumResult::default();
        }
        self.nic.rx.checksums(self.nic.device.chip.mac().is_pcie())
    }

    /// Gives the device a buffer of [`BUFFER_LEN`](crate::BUFFER_LEN) bytes. The device is told once 16 are together,
    /// or by [`Self::publish`]. A buffer counts for the filled one that it replaces; as many as the ring has
    /// descriptors are taken, all but one of them at work.
    ///
    /// Context: any.
    ///
    /// # Errors
    ///
    /// See [`ProvideError`]. The buffer stays the caller's.
    ///
    /// # Safety
    ///
    /// Until [`Self::next_buffer`] hands back the token, or [`Nic::halt`] says that DMA has ended:
    ///
    /// * the device may write any of the [`BUFFER_LEN`](crate::BUFFER_LEN) bytes from bus address `address` on, at any
    ///   time: they are memory that the caller owns, that stays allocated and mapped for the device, and that no
    ///   reference points to;
    /// * the address is a multiple of 16 and not 0, and the buffer crosses no 64 KiB boundary.
    ///
    /// If the NIC is dropped without that, the buffer must never be used for anything else.
    pub unsafe fn provide(&mut self, address: u64) -> Result<Token, ProvideError> {
        self.nic.rx.provide(&self.nic.device.registers, address)
    }

    /// Tells the device of the buffers given since the last time: at most one register write.
    ///
    /// Context: any.
    pub fn publish(&mut self) {
        self.nic.rx.publish(&self.nic.device.registers);
    }

    /// The next buffer that comes back, if there is one, in the order in which they were given. After a reset all come
    /// back unused, and are to be given anew. Reads no register.
    ///
    /// The owner stops after a budget: a device that fills buffers for ever must not keep it.
    ///
    /// Context: any.
    pub fn next_buffer(&mut self) -> Option<ReceivedBuffer> {
        if self.nic.self_test.is_some() {
            return None;
        }
        self.nic.rx.next_buffer(self.nic.device.chip.mac().is_pcie())
    }

    /// Ends a round of receiving that found no more frames: unmasks interrupts for received frames if they are held
    /// off. Returns true if something has arrived since the ring was looked at, in which case the round goes on. At
    /// most one register write.
    ///
    /// Must be called when a round finds no frame; a device that is never asked again raises no interrupt.
    ///
    /// Context: any.
    pub fn complete(&mut self) -> bool {
        let nic = &mut *self.nic;
        if nic.self_test.is_some() {
            return false;
        }
        nic.backlog = false;
        if !nic.receive_masked {
            // Whoever finds none waits for an interrupt, which a device without buffers never raises.
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
    /// The first time, that is how it should be: the reader was just told. The second time without [`Self::complete`]
    /// in between, further interrupts would only slow the reader down: they are masked until [`Self::complete`]. One
    /// register write then.
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

    /// Makes sure that the device knows of the buffers that were given back to it: for an owner that polls, and so
    /// accesses no register that makes a hypervisor hand writes over. One register write, if there are any.
    ///
    /// Context: any.
    pub fn flush(&mut self) {
        if self.nic.rx.has_unseen() && !self.nic.gone {
            self.nic.flush_writes();
        }
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Has the device see all that was written: a write that changes nothing, to a register whose writes KVM does not
    /// collect (QEMU, hw/net/e1000.c, `e1000_mmio_setup`).
    pub(super) fn flush_writes(&mut self) {
        self.device.registers.write(regs::IMS, 0);
        self.rx.note_flush();
    }
}
