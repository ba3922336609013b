//! Frames that the hardware completes or cuts: a context descriptor says how, data descriptors with its options follow.

use super::{Cut, PADDED_LEN, PIECE_LEN, TransmitError, TxRing, VLE};
use crate::chip::{Chip, Quirks};
use crate::offload::{Context, DEXT, DTYP_DATA, Offload, OffloadError};
use crate::platform::DmaRegion;
use crate::ring::Words;

impl<D: DmaRegion> TxRing<D> {
    /// Takes one frame into the ring, with what the hardware is to do to it, and a VLAN tag to insert if there is one.
    /// The hardware learns of it with the next [`Self::post`].
    pub fn transmit_offloaded(
        &mut self,
        frame: &[u8],
        tag: Option<u16>,
        offload: &Offload,
        chip: &Chip,
    ) -> Result<(), OffloadError> {
        let context = offload.context(frame, self.max_len)?;
        let cut = self.cut(&context, chip);
        let needed = 1 + cut.count(frame.len().max(cut.padded));
        if needed >= self.size.get() {
            let limit = (self.size.get() as usize).saturating_sub(3) * cut.piece_len;
            return Err(TransmitError::TooLong { limit }.into());
        }
        self.make_room(needed)?;
        let before = self.filled;
        self.put_context(&context);
        let (command, tag) = match tag {
            Some(tag) => (VLE, u32::from(tag) << 16),
            None => (0, 0),
        };
        let command = DEXT | DTYP_DATA | context.command | command;
        if let Err(error) = self.put(frame, command, context.options | tag, cut) {
            self.filled = before;
            return Err(error.into());
        }
        self.after_segmentation =
            context.mss.is_some() && chip.quirks.contains(Quirks::PREMATURE_TSO_WRITE_BACK);
        Ok(())
    }

    fn put_context(&mut self, context: &Context) {
        let [first, second, low, high] = context.words;
        self.addresses_lost = true;
        self.descriptors
            .set_address(self.filled, u64::from(first) | u64::from(second) << 32);
        self.descriptors.set_words(self.filled, Words { low, high });
        self.mark_end(self.filled, false);
        self.filled = self.filled.wrapping_add(1);
    }

    fn cut(&self, context: &Context, chip: &Chip) -> Cut {
        let careful = chip.quirks.contains(Quirks::PREMATURE_TSO_WRITE_BACK);
        let piece_len = match context.mss {
            Some(mss) if careful => PIECE_LEN.min(4 * usize::from(mss)),
            _ => PIECE_LEN,
        };
        Cut {
            piece_len,
            sentinel: self.after_segmentation || careful && context.mss.is_some(),
            upper_dword: self.upper_dword,
            // The MAC of 8257x pads from 17 bytes on, which headers have (Linux e1000e, `e1000_xmit_frame`). QEMU's counts
            // padding as payload when it computes a checksum.
            padded: if chip.quirks.contains(Quirks::PADDING_CORRUPTS) {
                PADDED_LEN
            } else {
                0
            },
        }
    }
}
