//! Transmitting.
//!
//! [`ring`] has the descriptors and works on addresses, [`cut`] splits a frame into pieces, one for each descriptor. A
//! transmitter either copies frames into its own buffers ([`copying`]), or lets the device fetch them from its owner's
//! memory ([`by_address`]). Both kinds share the ring, in order.

mod by_address;
mod copying;
mod cut;
mod ring;

use crate::chip::{Chip, Quirks};
use crate::ethernet::{HEADER_LEN, MIN_FRAME_LEN, STANDARD_FRAME_LEN, TAG_LEN, ether_type};
use crate::offload::{Context, DEXT, DTYP_DATA};
use crate::platform::{DmaRegion, Registers};
use crate::pool::Pool;
use crate::ring::{DescriptorRing, DescriptorStatus, RingSize};
use crate::transmit_error::TransmitError;

pub use by_address::{Segment, SentFrame};

use by_address::Tokens;
use cut::{Cut, PIECE_LEN};
use ring::{Options, TxRing};

/// Command byte: insert the VLAN tag from bits 31:16 of the high word. Takes CTRL.VME on 8254x.
const VLE: u32 = 1 << 30;

/// Length to which shorter frames are padded with zeroes. Padding by the MAC (TCTL.PSP) corrupts short frames on PCI
/// and PCI-X parts, and 8257x needs at least 17 bytes (Linux e1000 and e1000e, `e1000_xmit_frame`).
const PADDED_LEN: usize = MIN_FRAME_LEN;
/// EtherTypes of a VLAN tag.
const TAG_TYPES: [[u8; 2]; 2] = [ether_type::VLAN, ether_type::OUTER_VLAN];

/// Results of frames to transmit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxCounters {
    /// Frames accepted.
    pub frames: u64,
    /// Bytes of these frames, without padding and FCS.
    pub bytes: u64,
    /// Accepted frames that were dropped, because the link was down for too long or the device was reset.
    pub dropped: u64,
}

/// The transmit ring, with its buffers if it copies frames.
pub(crate) struct Transmitter<D: DmaRegion> {
    ring: TxRing<D>,
    /// Empty if frames are sent from the owner's memory only.
    pub pool: Pool<D>,
    /// Bytes, without FCS, of the longest untagged frame.
    max_len: usize,
    /// See [`Quirks::PREMATURE_TSO_WRITE_BACK`].
    needs_sentinel: bool,
    /// Bytes to which a frame with an offload is padded.
    offload_padding: usize,
    /// The previous frame was segmented, by a part that needs a sentinel in the next one.
    after_segmentation: bool,
    /// Pieces end where 82544 in PCI-X mode can fetch them, see [`Cut::upper_dword`].
    upper_dword: bool,
    tokens: Tokens,
    counters: TxCounters,
}

/// Checks the length of a frame that begins with `head`; `max_len` is that of the longest untagged frame.
fn check_len(len: usize, head: &[u8], max_len: usize) -> Result<(), TransmitError> {
    if len < HEADER_LEN {
        return Err(TransmitError::TooShort);
    }
    if len <= max_len {
        return Ok(());
    }
    let tagged = head
        .get(12..14)
        .is_some_and(|ty| TAG_TYPES.iter().any(|tag| tag == ty));
    let limit = if tagged { max_len + TAG_LEN } else { max_len };
    if len > limit {
        return Err(TransmitError::TooLong { limit });
    }
    Ok(())
}

impl<D: DmaRegion> Transmitter<D> {
    /// A transmitter without buffers. Touches no register.
    pub fn new(descriptors: DescriptorRing<D>, chip: &Chip) -> Self {
        Self {
            ring: TxRing::new(descriptors),
            pool: Pool::empty(),
            max_len: STANDARD_FRAME_LEN,
            needs_sentinel: chip.quirks.contains(Quirks::PREMATURE_TSO_WRITE_BACK),
            // The MAC of 8257x pads frames of 17 bytes or more, and headers are longer than that (Linux e1000e,
            // `e1000_xmit_frame`). Software padding would do harm: QEMU includes it in checksums of the payload.
            offload_padding: if chip.quirks.contains(Quirks::PADDING_CORRUPTS) {
                PADDED_LEN
            } else {
                0
            },
            after_segmentation: false,
            upper_dword: false,
            tokens: Tokens::default(),
            counters: TxCounters::default(),
        }
    }

    /// Programs base, length, head and tail. Frames in the ring are dropped and counted. The transmitter must be
    /// disabled and its DMA ended.
    pub fn program(&mut self, registers: &impl Registers) {
        self.counters.dropped += u64::from(self.ring.frames_in_flight() + self.ring.pending());
        self.tokens.drop_all();
        self.after_segmentation = false;
        self.ring.program(registers);
    }

    /// Counters of frames so far.
    pub fn counters(&self) -> TxCounters {
        self.counters
    }

    /// Number of descriptors.
    pub fn size(&self) -> RingSize {
        self.ring.size()
    }

    /// End of the highest memory that the device is given, apart from the owner's.
    pub fn end_address(&self) -> u64 {
        self.pool.end_address().max(self.ring.end_address())
    }

    /// Ends pieces of frames where 82544 in PCI-X mode can fetch them, see [`Cut::upper_dword`].
    pub fn end_in_upper_dword(&mut self) {
        self.upper_dword = true;
    }

    /// Longest frame that fits the ring.
    pub fn capacity(&self) -> usize {
        (self.size().get() - 1 - self.extra_descriptors()) as usize * PIECE_LEN
    }

    /// Additional descriptors for the last bytes of a frame.
    fn extra_descriptors(&self) -> u32 {
        u32::from(self.upper_dword)
    }

    /// Sets the longest untagged frame, without FCS; a frame with a VLAN tag may be four bytes longer.
    pub fn set_max_len(&mut self, max_len: usize) {
        self.max_len = max_len.min(self.capacity() - TAG_LEN);
    }

    /// Descriptors of the longest frame.
    fn longest(&self) -> u32 {
        (self.max_len + TAG_LEN).div_ceil(PIECE_LEN) as u32 + self.extra_descriptors()
    }

    /// Returns true if there is room for a frame of the greatest length. Reclaims descriptors if needed.
    pub fn has_room(&mut self) -> bool {
        self.make_room(self.longest()).is_ok()
    }

    /// Accepted frames that were not posted yet.
    pub fn pending(&self) -> u32 {
        self.ring.pending()
    }

    /// Descriptors that were posted and not reclaimed.
    pub fn in_flight(&self) -> u32 {
        self.ring.in_flight()
    }

    /// Free-running counters: the oldest descriptor that was not reclaimed, the first that was not posted, the first
    /// that is free.
    pub fn position(&self) -> (u32, u32, u32) {
        self.ring.position()
    }

    /// The second half of descriptor `counter`, for a report.
    pub fn descriptor_status(&self, counter: u32) -> DescriptorStatus {
        self.ring.status(counter)
    }

    /// Posts all accepted frames to the hardware, with at most one write of TDT. Returns true if it was written.
    pub fn post(&mut self, registers: &impl Registers) -> bool {
        self.ring.post(registers)
    }

    /// Reclaims the descriptors of frames that were sent.
    pub fn reclaim(&mut self) {
        let by_address = self.ring.reclaim();
        self.tokens.done(by_address);
    }

    /// Drops and counts the frames that were not posted. Returns their number.
    pub fn drop_pending(&mut self) -> u32 {
        let (dropped, by_address) = self.ring.drop_pending();
        self.tokens.drop_last(by_address);
        self.counters.dropped += u64::from(dropped);
        dropped
    }

    /// Counts a frame that was accepted and dropped at once.
    pub fn count_dropped(&mut self) {
        self.counters.dropped += 1;
    }

    /// Makes sure that `needed` descriptors are free.
    fn make_room(&mut self, needed: u32) -> Result<(), TransmitError> {
        if self.ring.space() < needed {
            self.reclaim();
            if self.ring.space() < needed {
                return Err(TransmitError::Full);
            }
        }
        Ok(())
    }

    /// Rules for splitting a frame with this context, or without one, into pieces.
    fn cut(&self, context: Option<&Context>) -> Cut {
        let mss = context.and_then(|context| context.mss);
        let (piece_len, sentinel) = match mss {
            Some(mss) if self.needs_sentinel => (PIECE_LEN.min(4 * usize::from(mss)), true),
            _ => (PIECE_LEN, self.after_segmentation),
        };
        Cut {
            piece_len,
            sentinel,
            upper_dword: self.upper_dword,
        }
    }

    /// Puts the context descriptor, if there is one, into the ring. Returns the number of the next descriptor, and the
    /// options of the frame's data descriptors.
    fn put_context(&mut self, context: Option<&Context>, tag: Option<u16>) -> (u32, Options) {
        let (.., next) = self.ring.position();
        let (command, high) = match tag {
            Some(tag) => (VLE, u32::from(tag) << 16),
            None => (0, 0),
        };
        let Some(context) = context else {
            return (next, Options { command, high });
        };
        let [first, second, low, last] = context.words;
        let address = u64::from(first) | u64::from(second) << 32;
        let status = DescriptorStatus { low, high: last };
        self.ring.put_raw(next, address, status);
        let options = Options {
            command: DEXT | DTYP_DATA | context.command | command,
            high: context.options | high,
        };
        (next.wrapping_add(1), options)
    }

    /// Accepts the frame whose descriptors end before `end`.
    fn commit(&mut self, end: u32, len: usize, context: Option<&Context>) {
        self.ring.commit(end);
        let segmented = context.is_some_and(|context| context.mss.is_some());
        self.after_segmentation = segmented && self.needs_sentinel;
        self.counters.frames += 1;
        self.counters.bytes += len as u64;
    }

    /// Frees the memory.
    ///
    /// # Safety
    ///
    /// The device no longer accesses ring and buffers, and nothing but `drop` is done with the transmitter afterwards.
    pub unsafe fn free(&mut self) {
        // SAFETY: as the caller promises.
        unsafe {
            self.ring.free();
            self.pool.free();
        }
    }
}
