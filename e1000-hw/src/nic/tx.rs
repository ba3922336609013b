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
/// memory ([`Self::send_segments`], [`Self::next_sent`]). Both kinds are sent in order. The next [`Self::post`] posts
/// them to the device. No method sleeps.
///
/// While the link is down, frames wait in the ring. When it is full, further frames to be copied are dropped and
/// counted.
pub struct Tx<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

/// Changes to a frame by the device.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOptions<'a> {
    /// A VLAN tag to insert, if [`Settings::set_vlan_offload`](super::Settings::set_vlan_offload) is on.
    pub tag: Option<u16>,
    /// Checksums or segmentation, if [`Settings::set_offloads`](super::Settings::set_offloads) has turned it on. The
    /// headers have to be prepared with [`Offload::prepare`]. A frame to be segmented may be longer than the MTU, up to
    /// [`MAX_SEGMENTED`](crate::offload::MAX_SEGMENTED) bytes. It is counted as one frame.
    pub offload: Option<&'a Offload>,
}

impl<R: Registers, D: DmaRegion> Tx<'_, R, D> {
    /// Accepts one frame without FCS: copies it, and pads it to 60 bytes.
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

    /// Same as [`Self::send`], with a VLAN tag or an offload.
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

    /// Accepts one frame of at least 60 bytes in the owner's memory, in segments of any length. `head` is the beginning
    /// of the frame: an offload needs all headers, a frame of full length with a VLAN tag the first 14 bytes, any other
    /// frame nothing.
    ///
    /// Context: any.
    ///
    /// # Errors
    ///
    /// See [`OffloadError`]. A frame that is refused stays the caller's. [`TransmitError::Full`] is also returned while
    /// too many frames, or dropped ones, wait for [`Self::next_sent`], and during a self-test.
    ///
    /// # Safety
    ///
    /// The device may read the bytes of all segments at any time until [`Self::next_sent`] returns the token, or
    /// [`Nic::halt`] reports that DMA has ended. Until then they have to be memory at the given bus addresses that
    /// stays allocated and mapped for the device, and whose contents may be disclosed to the network. If the NIC is
    /// dropped without either, the memory must never be used for anything else.
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

    /// The next frame in the owner's memory that the device no longer accesses, if there is one, in the order of
    /// [`Self::send_segments`]. Reads no register.
    ///
    /// Context: any.
    pub fn next_sent(&mut self) -> Option<SentFrame> {
        self.nic.tx.next_sent()
    }

    /// Posts all accepted frames to the device, with at most one register write.
    ///
    /// Context: any.
    pub fn post(&mut self) {
        if self.nic.can_send() && self.nic.tx.post(&self.nic.device.registers) {
            self.nic.rx.note_flush();
        }
    }

    /// Returns true if [`Self::send`] would accept a frame now. Reclaims descriptors of frames that were sent.
    ///
    /// Context: any.
    pub fn has_room(&mut self) -> bool {
        self.nic.self_test.is_some() || self.nic.tx.has_room()
    }

    /// Drops and counts the frames that were not posted, such as those that wait for the link. Returns their number.
    ///
    /// Context: any.
    pub fn drop_pending(&mut self) -> u32 {
        self.nic.tx.drop_pending()
    }

    /// Counts a frame that the owner accepted from a client and dropped.
    ///
    /// Context: any.
    pub fn count_dropped(&mut self) {
        self.nic.tx.count_dropped();
    }

    /// Refuses an offload that is not turned on, or that the part cannot do at the current speed.
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

    /// Handles the result of copying a frame. If the ring is full of frames that were not posted, posts them and tries
    /// the frame once more. While no frame can be posted, drops and counts it.
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
            // The self-test uses the ring alone.
            self.nic.tx.drop_pending();
        }
        result
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Returns true if frames can be posted.
    pub(super) fn can_send(&self) -> bool {
        self.link.is_up() && self.power == Power::On && self.self_test.is_none()
    }
}
