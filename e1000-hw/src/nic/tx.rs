//! Frames out.

use super::{Nic, Power};
use crate::Token;
use crate::link::Link;
use crate::offload::{Offload, OffloadError};
use crate::platform::{DmaRegion, Registers};
use crate::transmit_error::TransmitError;
use crate::tx::{Segment, SentFrame};

/// Transmitting: [`Nic::tx`].
///
/// Frames are copied into the NIC's own buffers ([`Self::send`], [`Self::send_with`]), or fetched from the owner's
/// memory ([`Self::send_segments`], [`Self::next_sent`]); both kinds go out in order. The device learns of them with
/// the next [`Self::post`]. No method sleeps.
///
/// While the link is down, frames wait in the ring; when that is full, further ones that are copied are dropped and
/// counted.
pub struct Tx<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

/// Things that the device is to do to a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOptions<'a> {
    /// A VLAN tag to insert, if [`Settings::set_vlan_offload`](super::Settings::set_vlan_offload) is on.
    pub tag: Option<u16>,
    /// Checksums or segmentation, if [`Settings::set_offloads`](super::Settings::set_offloads) has it on.
    /// [`Offload::prepare`] has been through the headers. A frame to be cut may be longer than the MTU, up to
    /// [`MAX_SEGMENTED`](crate::offload::MAX_SEGMENTED) bytes. It counts as one.
    pub offload: Option<&'a Offload>,
}

impl<R: Registers, D: DmaRegion> Tx<'_, R, D> {
    /// Takes one frame, without FCS: copies it and fills it up to 60 bytes.
    ///
    /// Context: any.
    ///
    /// # Errors
    ///
    /// See [`TransmitError`].
    pub fn send(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        let result = self.nic.tx.send(frame, None);
        self.after_copy(result, |nic| nic.tx.send(frame, None))
    }

    /// As [`Self::send`], with something for the device to do.
    ///
    /// Context: any.
    ///
    /// # Errors
    ///
    /// See [`OffloadError`].
    pub fn send_with(&mut self, frame: &[u8], options: SendOptions<'_>) -> Result<(), OffloadError> {
        let Some(offload) = options.offload else {
            let result = self.nic.tx.send(frame, options.tag);
            let result = self.after_copy(result, |nic| nic.tx.send(frame, options.tag));
            return result.map_err(OffloadError::Transmit);
        };
        self.check_offload(offload)?;
        let result = self.nic.tx.send_offloaded(frame, options.tag, offload);
        self.after_copy(result, |nic| nic.tx.send_offloaded(frame, options.tag, offload))
    }

    /// Takes one frame of at least 60 bytes in the owner's memory, in pieces. `head` is the beginning of the frame, as
    /// far as the caller has it: an offload needs all headers, a frame of full length with a VLAN tag the first 14
    /// bytes. Pieces may be of any length; those of none are skipped.
    ///
    /// Context: any.
    ///
    /// # Errors
    ///
    /// See [`OffloadError`]. The frame stays the caller's. [`TransmitError::Full`] too while frames that were sent or
    /// dropped wait in [`Self::next_sent`], and during a self-test.
    ///
    /// # Safety
    ///
    /// Until [`Self::next_sent`] hands back the token, or [`Nic::halt`] says that DMA has ended: the device may read
    /// the bytes of all segments at any time, so they are memory that the caller may show to the network, at the bus
    /// addresses given, and that stays allocated and mapped for the device. If the NIC is dropped without that, the
    /// memory must never be used for anything else.
    pub unsafe fn send_segments(
        &mut self,
        segments: &[Segment],
        head: &[u8],
        options: SendOptions<'_>,
    ) -> Result<Token, OffloadError> {
        if let Some(offload) = options.offload {
            self.check_offload(offload)?;
        }
        if self.nic.self_test.is_some() {
            return Err(TransmitError::Full.into());
        }
        let SendOptions { tag, offload } = options;
        match self.nic.tx.send_segments(segments, head, tag, offload) {
            Err(OffloadError::Transmit(TransmitError::Full)) if self.nic.can_send() => {
                self.post();
                self.nic.tx.send_segments(segments, head, tag, offload)
            }
            result => result,
        }
    }

    /// The next frame of the owner's memory that the device has done with, if there is one, in the order in which they
    /// were given. Reads no register.
    ///
    /// Context: any.
    pub fn next_sent(&mut self) -> Option<SentFrame> {
        self.nic.tx.next_sent()
    }

    /// Tells the device of the frames taken since the last time: at most one register write for all.
    ///
    /// Context: any.
    pub fn post(&mut self) {
        if self.nic.can_send() && self.nic.tx.post(&self.nic.device.registers) {
            self.nic.rx.note_flush();
        }
    }

    /// Returns true if [`Self::send`] would take a frame now. Takes back descriptors of frames that were sent.
    ///
    /// Context: any.
    pub fn has_room(&mut self) -> bool {
        self.nic.self_test.is_some() || self.nic.tx.has_room()
    }

    /// Drops the frames that the device was not told of, such as those that wait for the link, and counts them. Returns
    /// how many.
    ///
    /// Context: any.
    pub fn drop_pending(&mut self) -> u32 {
        self.nic.tx.drop_pending()
    }

    /// Counts a frame that its sender was told was taken, but that was dropped.
    ///
    /// Context: any.
    pub fn count_dropped(&mut self) {
        self.nic.tx.count_dropped();
    }

    /// Refuses what was not turned on, or what the part cannot do at this speed.
    fn check_offload(&self, offload: &Offload) -> Result<(), OffloadError> {
        let missing = offload.needs().difference(self.nic.offloads);
        if !missing.is_empty() {
            return Err(OffloadError::NotEnabled(missing));
        }
        let slow = !matches!(self.nic.link, Link::Up { mbit_s: 1000, .. });
        if slow && self.nic.device.chip.mac().is_pcie() && matches!(offload, Offload::Segmentation(_)) {
            return Err(OffloadError::LinkTooSlow);
        }
        Ok(())
    }

    /// Does what is left to do after a frame was copied, or was not for want of room. A ring that is full of frames
    /// that the device was not told of is posted, and the frame tried once more; if frames do not reach the hardware,
    /// it is dropped and counted.
    fn after_copy<E: From<TransmitError> + PartialEq>(
        &mut self,
        result: Result<(), E>,
        again: impl FnOnce(&mut Nic<R, D>) -> Result<(), E>,
    ) -> Result<(), E> {
        if result == Err(TransmitError::Full.into()) {
            if self.nic.can_send() {
                self.post();
                return again(self.nic);
            }
            self.nic.tx.count_dropped();
            return Ok(());
        }
        if self.nic.self_test.is_some() {
            // The test has the ring for itself.
            self.nic.tx.drop_pending();
        }
        result
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Returns true if frames reach the hardware.
    pub(super) fn can_send(&self) -> bool {
        self.link.is_up() && self.power == Power::On && self.self_test.is_none()
    }
}
