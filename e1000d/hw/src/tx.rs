//! The transmit ring.
//!
//! Hardware owns the descriptors from TDH up to, not including, TDT. Counters run free: descriptors from
//! `reclaimed` to `posted` are with the hardware, those from `posted` to `filled` wait for the next write of TDT.
//! One slot stays unused, because equal head and tail mean empty.

use core::sync::atomic::{Ordering, fence};

use crate::platform::{DmaAllocator, DmaRegion, Registers};
use crate::regs;
use crate::ring::{Buffers, DescriptorRing, OutOfDmaMemory, RingSize, Words};

/// Command byte, bits 31:24 of the low word: end of packet.
const EOP: u32 = 1 << 24;
/// Command byte: insert the FCS. QEMU appends none either way, real parts send none without it.
const IFCS: u32 = 1 << 25;
/// Command byte: report status, sets DD when done.
const RS: u32 = 1 << 27;
/// Status, bits 3:0 of the high word: descriptor done.
const DD: u32 = 1 << 0;

/// Bytes of an Ethernet header, the shortest frame that is accepted.
pub const MIN_FRAME_LEN: usize = 14;
/// Bytes, without FCS, of the longest untagged frame.
pub const MAX_FRAME_LEN: usize = 1514;
/// Bytes, without FCS, of the longest frame that carries a VLAN tag.
pub const MAX_TAGGED_FRAME_LEN: usize = MAX_FRAME_LEN + 4;
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
    /// More bytes than a frame of its kind may have ([`MAX_FRAME_LEN`], [`MAX_TAGGED_FRAME_LEN`]).
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
    counters: TxCounters,
}

/// Checks the length of a frame; the same rule for every caller.
pub fn check_len(frame: &[u8]) -> Result<(), TransmitError> {
    if frame.len() < MIN_FRAME_LEN {
        return Err(TransmitError::TooShort);
    }
    let tagged = frame
        .get(12..14)
        .is_some_and(|ty| TAG_TYPES.iter().any(|tag| tag == ty));
    let limit = if tagged {
        MAX_TAGGED_FRAME_LEN
    } else {
        MAX_FRAME_LEN
    };
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
            counters,
        })
    }

    /// Programs base, length, head and tail. The transmitter must be disabled.
    pub fn program(&mut self, registers: &impl Registers) {
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

    /// Frames that can be taken now.
    pub fn space(&self) -> u32 {
        self.size.get() - 1 - self.filled.wrapping_sub(self.reclaimed)
    }

    /// Frames taken that the hardware was not told of yet.
    pub fn unposted(&self) -> u32 {
        self.filled.wrapping_sub(self.posted)
    }

    /// Frames that the hardware was told of and has not reported as sent.
    pub fn in_flight(&self) -> u32 {
        self.posted.wrapping_sub(self.reclaimed)
    }

    /// Takes one frame into the ring. The hardware learns of it with the next [`Self::post`].
    pub fn transmit(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        check_len(frame)?;
        if self.space() == 0 {
            self.reclaim();
            if self.space() == 0 {
                return Err(TransmitError::Full);
            }
        }
        let Some(len) = self.buffers.copy_in(self.filled, frame, PADDED_LEN) else {
            return Err(TransmitError::TooLong {
                limit: MAX_TAGGED_FRAME_LEN,
            });
        };
        self.descriptors.set_words(
            self.filled,
            Words {
                low: len as u32 | EOP | IFCS | RS,
                high: 0,
            },
        );
        self.filled = self.filled.wrapping_add(1);
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
        let dropped = self.unposted();
        self.filled = self.posted;
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
