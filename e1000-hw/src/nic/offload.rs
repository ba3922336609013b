//! Checksums and segmentation.

use super::Nic;
use crate::link::Link;
use crate::offload::{ChecksumResult, Offload, OffloadError, Offloads};
use crate::platform::{DmaRegion, Registers};
use crate::regs;
use crate::tx::TransmitError;

/// Has received checksums checked, or not. Bring-up leaves it off.
pub(super) fn program(registers: &impl Registers, offloads: Offloads) {
    if offloads.contains(Offloads::RX_CHECKSUM) {
        registers.write(regs::RXCSUM, regs::RXCSUM_CHECK);
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// What is taken off the stack. Nothing, after bring-up.
    pub fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// Decides what is taken off the stack, of what the part can ([`crate::chip::Limits::offloads`]). At most one
    /// register write.
    ///
    /// # Errors
    ///
    /// [`OffloadError::NotEnabled`] with what the part cannot; nothing has changed then.
    pub fn set_offloads(&mut self, wanted: Offloads) -> Result<(), OffloadError> {
        let missing = wanted.difference(self.device.chip.limits.offloads);
        if !missing.is_empty() {
            return Err(OffloadError::NotEnabled(missing));
        }
        let changed = self.offloads.symmetric_difference(wanted);
        self.offloads = wanted;
        if changed.contains(Offloads::RX_CHECKSUM) {
            let on = wanted.contains(Offloads::RX_CHECKSUM);
            let value = if on { regs::RXCSUM_CHECK } else { 0 };
            self.device.registers.write(regs::RXCSUM, value);
        }
        Ok(())
    }

    /// As [`Self::transmit_tagged`], for a frame that the device is to complete or cut. [`Offload::prepare`] has been
    /// through its headers. A frame to be cut may be longer than the MTU, up to
    /// [`MAX_SEGMENTED`](crate::offload::MAX_SEGMENTED) bytes. It counts as one.
    ///
    /// # Errors
    ///
    /// See [`OffloadError`].
    pub fn transmit_offloaded(
        &mut self,
        frame: &[u8],
        tag: Option<u16>,
        offload: &Offload,
    ) -> Result<(), OffloadError> {
        let missing = offload.needs().difference(self.offloads);
        if !missing.is_empty() {
            return Err(OffloadError::NotEnabled(missing));
        }
        let chip = self.device.chip;
        let slow = !matches!(self.link, Link::Up { mbit_s: 1000, .. });
        if slow && chip.mac().is_pcie() && matches!(offload, Offload::Segmentation(_)) {
            return Err(OffloadError::LinkTooSlow);
        }
        match self.tx.transmit_offloaded(frame, tag, offload, chip) {
            Err(OffloadError::Transmit(TransmitError::Full)) if self.makes_do_without_room() => Ok(()),
            Err(OffloadError::Transmit(TransmitError::Full)) => {
                self.tx.transmit_offloaded(frame, tag, offload, chip)
            }
            result => {
                self.drop_while_testing();
                result
            }
        }
    }

    /// What the device found out of the checksums of the frame that [`Self::next_frame_len`] or [`Self::receive`] last
    /// gave; nothing, unless [`Offloads::RX_CHECKSUM`] is on.
    pub fn received_checksums(&self) -> ChecksumResult {
        if !self.offloads.contains(Offloads::RX_CHECKSUM) {
            return ChecksumResult::default();
        }
        self.rx.checksums(self.device.chip.mac().is_pcie())
    }
}
