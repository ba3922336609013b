//! The transmit ring.
//!
//! Hardware owns the descriptors from TDH up to, not including, TDT. Counters run free: descriptors from
//! `reclaimed` to `posted` are with the hardware, those from `posted` to `filled` wait for the next write of TDT.
//! One slot stays unused, because equal head and tail mean empty.
//!
//! A frame longer than [`PIECE_LEN`] takes several descriptors, all posted with the same write of TDT, and taken back
//! together when the last one is done.

mod offload;

use core::sync::atomic::{Ordering, fence};

use crate::ethernet::{HEADER_LEN, MIN_FRAME_LEN, STANDARD_FRAME_LEN, TAG_LEN};
use crate::platform::{DmaAllocator, DmaRegion, Registers};
use crate::regs;
use crate::ring::{BUFFER_LEN, Buffers, DescriptorRing, MAX_DESCRIPTORS, OutOfDmaMemory, RingSize, Words};

/// Command byte, bits 31:24 of the low word: end of packet.
const EOP: u32 = 1 << 24;
/// Command byte: insert the FCS. QEMU appends none either way, real parts send none without it.
const IFCS: u32 = 1 << 25;
/// Command byte: report status, sets DD when done. On every descriptor that has bytes of a frame.
const RS: u32 = 1 << 27;
/// Command byte: insert the VLAN tag from bits 31:16 of the high word. Takes CTRL.VME on 8254x.
const VLE: u32 = 1 << 30;
/// Status, bits 3:0 of the high word: descriptor done.
const DD: u32 = 1 << 0;

/// Bytes that one descriptor takes. The first descriptor of a frame must not have more than 2015 on 82545 and 82546
/// on PCI-X (hardware-facts 13, PCIX_TX2015).
pub const PIECE_LEN: usize = 1984;
/// Shorter frames are filled up with zeroes to this length: padding by the MAC (TCTL.PSP) corrupts short frames
/// on PCI and PCI-X parts, and 8257x wants at least 17 bytes.
const PADDED_LEN: usize = MIN_FRAME_LEN;
/// EtherTypes of a VLAN tag: 802.1Q and 802.1ad.
const TAG_TYPES: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xA8]];

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// Fewer bytes than an Ethernet header has ([`HEADER_LEN`]).
    TooShort,
    /// More bytes than a frame may have with this MTU; a VLAN tag may come on top.
    TooLong {
        /// The most that would have been taken.
        limit: usize,
    },
    /// No free descriptor; try again when the hardware has sent some.
    Full,
}

/// What became of frames to transmit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxCounters {
    /// Frames taken.
    pub frames: u64,
    /// Their bytes, without padding and FCS.
    pub bytes: u64,
    /// Frames taken and dropped again, because the link was down for too long.
    pub dropped: u64,
}

/// The transmit ring with its buffers.
pub struct TxRing<D: DmaRegion> {
    descriptors: DescriptorRing<D>,
    buffers: Buffers<D>,
    size: RingSize,
    reclaimed: u32,
    posted: u32,
    filled: u32,
    /// Frames, not descriptors, from `posted` to `filled`.
    held: u32,
    /// Bytes, without FCS, of the longest untagged frame.
    max_len: usize,
    /// One bit for each descriptor, set if it is the last of a frame.
    ends: [u32; MAX_DESCRIPTORS as usize / 32],
    /// Descriptors may have lost the addresses of their buffers: contexts have none.
    addresses_lost: bool,
    /// The frame before was segmented, by a part for which that makes a difference.
    after_segmentation: bool,
    /// Where pieces may end, see [`Cut::upper_dword`].
    upper_dword: bool,
    counters: TxCounters,
}

/// How a frame is spread over descriptors.
#[derive(Clone, Copy)]
struct Cut {
    /// Bytes that one takes at most.
    piece_len: usize,
    /// The last [`SENTINEL_LEN`] bytes have one of their own.
    sentinel: bool,
    /// A piece of more than 4 bytes has to end in the upper dword of a quadword: 82544 in PCI-X mode otherwise waits
    /// for its last bytes for ever. What it is too long by gets a descriptor of its own, as in Linux e1000
    /// (`e1000_tx_map`), FreeBSD lem (`lem_fill_descriptors`) and illumos (`e1000g_fill_82544_desc`, which tells why).
    /// Buffers begin on a quadword.
    upper_dword: bool,
    /// Bytes to which the first is filled up.
    padded: usize,
}

/// Bytes of a dword, half of a quadword.
const DWORD_LEN: usize = 4;

/// Bytes of a sentinel, see [`crate::chip::Quirks::PREMATURE_TSO_WRITE_BACK`].
const SENTINEL_LEN: usize = 4;

impl Cut {
    /// Bytes that the next descriptor takes when `rest` are left.
    fn piece(self, rest: usize) -> usize {
        let most = if self.sentinel && rest > SENTINEL_LEN {
            rest - SENTINEL_LEN
        } else {
            rest
        };
        let len = most.min(self.piece_len);
        if self.upper_dword && len > DWORD_LEN && (len - 1) & DWORD_LEN == 0 {
            len - DWORD_LEN
        } else {
            len
        }
    }

    /// Descriptors that a frame of `len` bytes takes.
    fn count(self, len: usize) -> u32 {
        let (mut rest, mut count) = (len, 0);
        while rest > 0 {
            rest -= self.piece(rest);
            count += 1;
        }
        count
    }
}

/// Checks the length of a frame against that of the longest untagged one.
fn check_len(frame: &[u8], max_len: usize) -> Result<(), TransmitError> {
    if frame.len() < HEADER_LEN {
        return Err(TransmitError::TooShort);
    }
    if frame.len() <= max_len {
        return Ok(());
    }
    let tagged = frame
        .get(12..14)
        .is_some_and(|ty| TAG_TYPES.iter().any(|tag| tag == ty));
    let limit = if tagged { max_len + TAG_LEN } else { max_len };
    if frame.len() > limit {
        return Err(TransmitError::TooLong { limit });
    }
    Ok(())
}

impl<D: DmaRegion> TxRing<D> {
    /// Allocates the ring and its buffers. Touches no register.
    pub fn new<A>(allocator: &mut A, size: RingSize) -> Result<Self, OutOfDmaMemory>
    where
        A: DmaAllocator<Region = D>,
    {
        let descriptors = DescriptorRing::new(allocator, size)?;
        let buffers = match Buffers::new(allocator, size) {
            Ok(buffers) => buffers,
            Err(error) => {
                descriptors.quiesced();
                return Err(error);
            }
        };
        for slot in 0..size.get() {
            descriptors.set_address(slot, buffers.bus_address(slot));
        }
        let counters = TxCounters::default();
        Ok(Self {
            descriptors,
            buffers,
            size,
            reclaimed: 0,
            posted: 0,
            filled: 0,
            held: 0,
            max_len: STANDARD_FRAME_LEN,
            ends: [0; MAX_DESCRIPTORS as usize / 32],
            addresses_lost: false,
            after_segmentation: false,
            upper_dword: false,
            counters,
        })
    }

    /// Programs base, length, head and tail. Frames that are in the ring are dropped and counted. The transmitter
    /// must be disabled, its DMA ended.
    pub fn program(&mut self, registers: &impl Registers) {
        let lost = (0..self.in_flight())
            .filter(|n| self.is_end(self.reclaimed.wrapping_add(*n)))
            .count();
        self.counters.dropped += lost as u64 + u64::from(self.held);
        (self.reclaimed, self.posted, self.filled, self.held) = (0, 0, 0, 0);
        self.after_segmentation = false;
        let base = self.descriptors.bus_address();
        registers.write(regs::TDBAL, base as u32);
        registers.write(regs::TDBAH, (base >> 32) as u32);
        registers.write(regs::TDLEN, self.descriptors.byte_len());
        registers.write(regs::TDH, 0);
        registers.write(regs::TDT, 0);
    }

    /// What became of frames so far.
    pub fn counters(&self) -> TxCounters {
        self.counters
    }

    /// Number of descriptors.
    pub fn size(&self) -> RingSize {
        self.size
    }

    /// Highest address that the device is given, exclusive.
    pub fn end_address(&self) -> u64 {
        self.buffers
            .end_address()
            .max(self.descriptors.bus_address() + u64::from(self.descriptors.byte_len()))
    }

    /// Has pieces of frames end where 82544 in PCI-X mode can fetch them.
    pub fn end_in_upper_dword(&mut self) {
        self.upper_dword = true;
    }

    /// Longest frame that the ring can take.
    pub(crate) fn capacity(&self) -> usize {
        (self.size.get() - 1 - self.apart()) as usize * PIECE_LEN
    }

    /// Descriptors that last bytes may take besides.
    fn apart(&self) -> u32 {
        u32::from(self.upper_dword)
    }

    /// Refuses frames of more than `max_len` bytes, without FCS; a VLAN tag may come on top.
    pub fn set_max_len(&mut self, max_len: usize) {
        self.max_len = max_len.min(self.capacity() - TAG_LEN);
    }

    /// Descriptors that the longest frame takes.
    fn longest(&self) -> u32 {
        (self.max_len + TAG_LEN).div_ceil(PIECE_LEN) as u32 + self.apart()
    }

    /// Descriptors that are free now.
    fn space(&self) -> u32 {
        self.size.get() - 1 - self.filled.wrapping_sub(self.reclaimed)
    }

    /// Whether a frame can be taken now, whatever its length.
    pub fn has_room(&mut self) -> bool {
        if self.space() < self.longest() {
            self.reclaim();
        }
        self.space() >= self.longest()
    }

    /// Frames taken that the hardware was not told of yet.
    pub fn unposted(&self) -> u32 {
        self.held
    }

    /// Descriptors that the hardware was told of and that were not taken back.
    pub fn in_flight(&self) -> u32 {
        self.posted.wrapping_sub(self.reclaimed)
    }

    /// Oldest descriptor with the hardware, first that it was not told of, first free one: free-running.
    pub fn position(&self) -> (u32, u32, u32) {
        (self.reclaimed, self.posted, self.filled)
    }

    /// The second half of descriptor `counter`, for a report.
    pub fn words(&self, counter: u32) -> Words {
        Words {
            low: self.descriptors.low(counter),
            high: self.descriptors.high(counter),
        }
    }

    /// Takes one frame into the ring, with a VLAN tag to insert if there is one. The hardware learns of it with the
    /// next [`Self::post`].
    pub fn transmit(&mut self, frame: &[u8], tag: Option<u16>) -> Result<(), TransmitError> {
        check_len(frame, self.max_len)?;
        let cut = Cut {
            piece_len: PIECE_LEN,
            sentinel: self.after_segmentation,
            upper_dword: self.upper_dword,
            padded: PADDED_LEN,
        };
        self.make_room(cut.count(frame.len().max(PADDED_LEN)))?;
        let (command, high) = match tag {
            Some(tag) => (VLE, u32::from(tag) << 16),
            None => (0, 0),
        };
        self.put(frame, command, high, cut)?;
        self.after_segmentation = false;
        Ok(())
    }

    /// Makes sure that so many descriptors are free.
    fn make_room(&mut self, needed: u32) -> Result<(), TransmitError> {
        if self.space() < needed {
            self.reclaim();
            if self.space() < needed {
                return Err(TransmitError::Full);
            }
        }
        Ok(())
    }

    /// Puts a frame, for which there is room, into the ring; `command` and `high` go into each of its descriptors.
    fn put(&mut self, frame: &[u8], command: u32, high: u32, cut: Cut) -> Result<(), TransmitError> {
        let mut short = [0; PADDED_LEN];
        let (mut rest, mut filled, mut padded) = (frame, self.filled, cut.padded);
        // The last bytes, where they are apart, come after the padding.
        if let Some(begin) = short.get_mut(..frame.len())
            && (cut.sentinel || cut.upper_dword)
            && frame.len() < padded
        {
            begin.copy_from_slice(frame);
            rest = &short;
        }
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cut.piece(rest.len()));
            let limit = BUFFER_LEN;
            // What was filled up is not filled up again.
            let fill = if after.is_empty() { padded } else { 0 };
            let len = self
                .buffers
                .copy_in(filled, piece, fill)
                .ok_or(TransmitError::TooLong { limit })?;
            if self.addresses_lost {
                self.descriptors
                    .set_address(filled, self.buffers.bus_address(filled));
            }
            let end = if after.is_empty() { EOP } else { 0 };
            let low = len as u32 | IFCS | RS | command | end;
            self.descriptors.set_words(filled, Words { low, high });
            self.mark_end(filled, after.is_empty());
            filled = filled.wrapping_add(1);
            (rest, padded) = (after, 0);
        }
        self.filled = filled;
        self.held = self.held.wrapping_add(1);
        self.counters.frames += 1;
        self.counters.bytes += frame.len() as u64;
        Ok(())
    }

    /// Notes whether descriptor `counter` is the last of a frame.
    fn mark_end(&mut self, counter: u32, end: bool) {
        let slot = self.size.slot(counter);
        if let Some(word) = self.ends.get_mut((slot / 32) as usize) {
            let bit = 1 << (slot % 32);
            *word = if end { *word | bit } else { *word & !bit };
        }
    }

    /// Whether descriptor `counter` is the last of a frame.
    fn is_end(&self, counter: u32) -> bool {
        let slot = self.size.slot(counter);
        let word = self.ends.get((slot / 32) as usize);
        word.is_some_and(|word| word >> (slot % 32) & 1 != 0)
    }

    /// Tells the hardware of every frame taken since the last time, with one write of TDT; with none if there is
    /// nothing to tell.
    pub fn post(&mut self, registers: &impl Registers) -> bool {
        if self.posted == self.filled {
            return false;
        }
        self.posted = self.filled;
        self.held = 0;
        fence(Ordering::Release);
        registers.write(regs::TDT, self.size.slot(self.posted));
        true
    }

    /// Takes back the descriptors of frames whose last one the hardware reports as done: others may be reported before
    /// they were fetched (8254x, segmentation). Only posted ones count, whatever the device writes elsewhere.
    pub fn reclaim(&mut self) {
        let mut next = self.reclaimed;
        while next != self.posted {
            let end = self.is_end(next);
            if end && self.descriptors.high(next) & DD == 0 {
                return;
            }
            next = next.wrapping_add(1);
            if end {
                self.reclaimed = next;
            }
        }
    }

    /// Drops the frames that the hardware was not told of, and counts them. Returns how many.
    pub fn drop_unposted(&mut self) -> u32 {
        let dropped = self.held;
        (self.filled, self.held) = (self.posted, 0);
        self.counters.dropped += u64::from(dropped);
        dropped
    }

    /// Counts a frame that was taken only to be dropped.
    pub fn count_dropped(&mut self) {
        self.counters.dropped += 1;
    }

    /// Frees the memory. The caller has stopped the device.
    pub fn quiesced(self) {
        self.descriptors.quiesced();
        self.buffers.quiesced();
    }
}
