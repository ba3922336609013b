//! Transmitting by copying: frames are copied into the core's own buffers. Descriptor `n` uses buffer `n`.

use super::cut::Cut;
use super::ring::{Mark, Options};
use super::{PADDED_LEN, TransmitError, Transmitter, check_len};
use crate::offload::{Offload, OffloadError};
use crate::platform::DmaRegion;

impl<D: DmaRegion> Transmitter<D> {
    /// Puts one frame into the ring, with a VLAN tag if one is given. The next [`Self::post`] posts it.
    pub fn send(&mut self, frame: &[u8], tag: Option<u16>) -> Result<(), TransmitError> {
        check_len(frame.len(), frame, self.max_len)?;
        let cut = self.cut(None);
        let end = if cut.is_whole(frame.len()) {
            self.make_room(1)?;
            let (next, options) = self.put_context(None, tag);
            self.put_piece(next, frame, PADDED_LEN, options, Mark::CopiedEnd)?
        } else {
            self.make_room(cut.count(frame.len().max(PADDED_LEN)))?;
            let (next, options) = self.put_context(None, tag);
            self.put_pieces(next, frame, PADDED_LEN, options, cut)?
        };
        self.commit(end, frame.len(), None);
        Ok(())
    }

    /// Puts one frame with an offload into the ring, with a VLAN tag if one is given. The next [`Self::post`] posts it.
    pub fn send_offloaded(
        &mut self,
        frame: &[u8],
        tag: Option<u16>,
        offload: &Offload,
    ) -> Result<(), OffloadError> {
        let context = offload.context(frame, frame.len(), self.max_len)?;
        let (cut, padding) = (self.cut(Some(&context)), self.offload_padding);
        let needed = 1 + cut.count(frame.len().max(padding));
        if needed >= self.size().get() {
            let limit = (self.size().get() as usize).saturating_sub(3) * cut.piece_len;
            return Err(TransmitError::TooLong { limit }.into());
        }
        self.make_room(needed)?;
        let (next, options) = self.put_context(Some(&context), tag);
        let end = self.put_pieces(next, frame, padding, options, cut)?;
        self.commit(end, frame.len(), Some(&context));
        Ok(())
    }

    /// Copies a frame, for which there is room, into buffers, padded with zeroes to `padding` bytes. Returns the
    /// descriptor after the last one.
    fn put_pieces(
        &mut self,
        mut next: u32,
        frame: &[u8],
        padding: usize,
        options: Options,
        cut: Cut,
    ) -> Result<u32, TransmitError> {
        let mut padded = [0; PADDED_LEN];
        let mut rest = frame;
        // Padded before it is split, because the last bytes, padding included, may need a descriptor of their own.
        if frame.len() < padding
            && let Some(begin) = padded.get_mut(..frame.len())
        {
            begin.copy_from_slice(frame);
            rest = &padded;
        }
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cut.piece(0, rest.len(), rest.len()));
            let mark = if after.is_empty() {
                Mark::CopiedEnd
            } else {
                Mark::Middle
            };
            next = self.put_piece(next, piece, 0, options, mark)?;
            rest = after;
        }
        Ok(next)
    }

    /// Copies a piece of a frame into the buffer of descriptor `next`, padded with zeroes to `padding` bytes. Returns
    /// the descriptor after it.
    fn put_piece(
        &mut self,
        next: u32,
        piece: &[u8],
        padding: usize,
        options: Options,
        mark: Mark,
    ) -> Result<u32, TransmitError> {
        let index = self.size().slot(next);
        let (address, len) = self
            .pool
            .copy_in(index, piece, padding)
            .ok_or(TransmitError::NoBuffers)?;
        self.ring.put(next, address, len, options, mark);
        Ok(next.wrapping_add(1))
    }
}
