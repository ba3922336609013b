//! The transmit ring.
//!
//! Hardware owns the descriptors from TDH up to, not including, TDT. Counters run free: descriptors from
//! `reclaimed` to `posted` are with the hardware, those from `posted` to `filled` wait for the next write of TDT.
//! One slot stays unused, because equal head and tail mean empty.
//!
//! A frame longer than [`PIECE_LEN`] takes several descriptors, all posted with the same write of TDT.

use core::sync::atomic::{Ordering, fence};

use crate::platform::{DmaAllocator, DmaRegion, Registers};
use crate::regs;
use crate::ring::{BUFFER_LEN, Buffers, DescriptorRing, OutOfDmaMemory, RingSize, Words};

/// Command byte, bits 31:24 of the low word: end of packet.
const EOP: u32 = 1 << 24;
/// Command byte: insert the FCS. QEMU appends none either way, real parts send none without it.
const IFCS: u32 = 1 << 25;
/// Command byte: report status, sets DD when done. On every descriptor, so that each is taken back by its own.
const RS: u32 = 1 << 27;
/// Command byte: insert the VLAN tag from bits 31:16 of the high word. Takes CTRL.VME on 8254x.
const VLE: u32 = 1 << 30;
/// Status, bits 3:0 of the high word: descriptor done.
const DD: u32 = 1 << 0;

/// Bytes of an Ethernet header, the shortest frame that is accepted.
pub const MIN_FRAME_LEN: usize = 14;
/// Bytes of an Ethernet header, which the MTU does not count.
pub const HEADER_LEN: usize = 14;
/// Bytes of a VLAN tag, which a frame may carry on top.
pub const TAG_LEN: usize = 4;
/// Bytes, without FCS, of the longest untagged frame with an MTU of 1500.
pub const MAX_FRAME_LEN: usize = 1514;
/// Bytes that one descriptor takes. The first descriptor of a frame must not have more than 2015 on 82545 and 82546
/// on PCI-X (hardware-facts 13, PCIX_TX2015).
pub const PIECE_LEN: usize = 1984;
/// Shorter frames are filled up with zeroes to this length: padding by the MAC (TCTL.PSP) corrupts short frames
/// on PCI and PCI-X parts, and 8257x wants at least 17 bytes.
const PADDED_LEN: usize = 60;
/// EtherTypes of a VLAN tag: 802.1Q and 802.1ad.
const TAG_TYPES: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xA8]];

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// Fewer bytes than an Ethernet header has ([`MIN_FRAME_LEN`]).
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
    counters: TxCounters,
}

/// Checks the length of a frame against that of the longest untagged one.
fn check_len(frame: &[u8], max_len: usize) -> Result<(), TransmitError> {
    if frame.len() < MIN_FRAME_LEN {
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

/// Longest frame that a ring of `size` can take.
pub(crate) fn capacity(size: RingSize) -> usize {
    (size.get() - 1) as usize * PIECE_LEN
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
            max_len: MAX_FRAME_LEN,
            counters,
        })
    }

    /// Programs base, length, head and tail. Frames that are in the ring are dropped and counted. The transmitter
    /// must be disabled, its DMA ended.
    pub fn program(&mut self, registers: &impl Registers) {
        let lost = (0..self.in_flight())
            .filter(|n| self.descriptors.low(self.reclaimed.wrapping_add(*n)) & EOP != 0)
            .count();
        self.counters.dropped += lost as u64 + u64::from(self.held);
        (self.reclaimed, self.posted, self.filled, self.held) = (0, 0, 0, 0);
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

    /// Refuses frames of more than `max_len` bytes, without FCS; a VLAN tag may come on top.
    pub fn set_max_len(&mut self, max_len: usize) {
        self.max_len = max_len.min(capacity(self.size) - TAG_LEN);
    }

    /// Descriptors that the longest frame takes.
    fn longest(&self) -> u32 {
        (self.max_len + TAG_LEN).div_ceil(PIECE_LEN) as u32
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
        let needed = frame.len().div_ceil(PIECE_LEN) as u32;
        if self.space() < needed {
            self.reclaim();
            if self.space() < needed {
                return Err(TransmitError::Full);
            }
        }
        let (command, high) = match tag {
            Some(tag) => (IFCS | RS | VLE, u32::from(tag) << 16),
            None => (IFCS | RS, 0),
        };
        let (mut rest, mut filled, mut padded) = (frame, self.filled, PADDED_LEN);
        loop {
            let (piece, after) = rest.split_at(rest.len().min(PIECE_LEN));
            let limit = BUFFER_LEN;
            let len = self
                .buffers
                .copy_in(filled, piece, padded)
                .ok_or(TransmitError::TooLong { limit })?;
            let end = if after.is_empty() { EOP } else { 0 };
            let low = len as u32 | command | end;
            self.descriptors.set_words(filled, Words { low, high });
            filled = filled.wrapping_add(1);
            if after.is_empty() {
                break;
            }
            (rest, padded) = (after, 0);
        }
        self.filled = filled;
        self.held = self.held.wrapping_add(1);
        self.counters.frames += 1;
        self.counters.bytes += frame.len() as u64;
        Ok(())
    }

    /// Tells the hardware of every frame taken since the last time, with one write of TDT; with none if there is
    /// nothing to tell.
    pub fn post(&mut self, registers: &impl Registers) {
        if self.posted == self.filled {
            return;
        }
        self.posted = self.filled;
        self.held = 0;
        fence(Ordering::Release);
        registers.write(regs::TDT, self.size.slot(self.posted));
    }

    /// Takes back the descriptors that the hardware reports as sent. Only posted ones count, whatever the device
    /// writes elsewhere.
    pub fn reclaim(&mut self) {
        while self.reclaimed != self.posted && self.descriptors.high(self.reclaimed) & DD != 0 {
            self.reclaimed = self.reclaimed.wrapping_add(1);
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
