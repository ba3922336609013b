//! Receiving.
//!
//! [`ring`] has the descriptors and works on addresses, [`assembly`] puts frames of several descriptors together. On
//! top of them, a receiver either copies frames out of its own buffers ([`copying`]), or lets the device fill its
//! owner's ([`by_address`]).

mod assembly;
mod by_address;
mod copying;
mod ring;

use crate::chip::Chip;
use crate::offload::ChecksumResult;
use crate::platform::{DmaRegion, Registers};
use crate::pool::Pool;
use crate::ring::{DescriptorRing, DescriptorStatus, RingSize};

pub use by_address::{BufferStatus, ProvideError, ReceivedBuffer};
pub(crate) use ring::capacity;

use assembly::Assembly;
use by_address::Tokens;
use ring::RxRing;

/// Results of received frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxCounters {
    /// Good frames that were handed to the owner.
    pub frames: u64,
    /// Bytes of these frames without FCS, including those that did not fit the owner's buffer.
    pub bytes: u64,
    /// Frames longer than the MTU allows, dropped whole.
    pub oversized: u64,
    /// Frames with an error bit (CE, SE, SEQ, CXE, RXE).
    pub errors: u64,
    /// Frames with an impossible length: below 14 bytes, longer than the buffer, or with a short buffer in the middle.
    pub bad_length: u64,
    /// Good frames that the owner dropped.
    pub dropped: u64,
}

/// The receive ring, with its buffers if it copies frames.
pub(crate) struct Receiver<D: DmaRegion> {
    ring: RxRing<D>,
    /// Empty if the buffers are the owner's.
    pub pool: Pool<D>,
    assembly: Assembly,
    tokens: Tokens,
    counters: RxCounters,
}

impl<D: DmaRegion> Receiver<D> {
    /// A receiver without buffers. Touches no register.
    pub fn new(descriptors: DescriptorRing<D>, chip: &Chip) -> Self {
        Self {
            ring: RxRing::new(descriptors),
            pool: Pool::empty(),
            assembly: Assembly::new(chip),
            tokens: Tokens::default(),
            counters: RxCounters::default(),
        }
    }

    /// Programs base, length, head and tail, and drops received frames. The receiver must be disabled and its DMA
    /// ended. Buffers of the owner go back to it.
    pub fn program(&mut self, registers: &impl Registers) {
        self.assembly.reset();
        self.tokens.return_all();
        self.ring.program(registers);
        for index in 0..self.ring.size().get() {
            match self.pool.bus_address(index) {
                Some(address) => self.ring.provide(address),
                None => break,
            }
        }
    }

    /// Posts the first buffers to the hardware.
    pub fn start(&mut self, registers: &impl Registers) {
        self.ring.publish(registers);
    }

    /// Counters of frames so far.
    pub fn counters(&self) -> RxCounters {
        self.counters
    }

    /// Counts a good frame that the owner dropped.
    pub fn count_dropped(&mut self) {
        self.counters.dropped += 1;
    }

    /// Number of descriptors.
    pub fn size(&self) -> RingSize {
        self.ring.size()
    }

    /// End of the highest memory that the device is given, apart from the owner's buffers.
    pub fn end_address(&self) -> u64 {
        self.pool.end_address().max(self.ring.end_address())
    }

    /// Drops frames of more than `limit` bytes without FCS. Frames that fit one buffer always pass here: the MAC drops
    /// those longer than 1522 bytes, unless RCTL.LPE is set.
    pub fn set_limit(&mut self, limit: usize) {
        self.assembly.set_limit(limit, capacity(self.size()));
    }

    /// VLAN tag that was stripped from the current frame, if it had one and CTRL.VME is set.
    pub fn tag(&self) -> Option<u16> {
        self.assembly.last().tag()
    }

    /// Result of the checksum checks of the current frame, if RXCSUM is set; `pcie` is true for PCIe parts.
    pub fn checksums(&self, pcie: bool) -> ChecksumResult {
        self.assembly.last().checksums(pcie)
    }

    /// Free-running counters: the next descriptor to look at, and the value last written to RDT.
    pub fn position(&self) -> (u32, u32) {
        self.ring.position()
    }

    /// The second half of descriptor `counter`, for a report.
    pub fn descriptor_status(&self, counter: u32) -> DescriptorStatus {
        self.ring.status(counter)
    }

    /// Records an access to a register that no hypervisor delays: the device has seen all earlier writes.
    pub fn note_flush(&mut self) {
        self.ring.note_flush();
    }

    /// Returns true if the device may not have seen all buffers that were posted, see [`RxRing::has_unseen`].
    pub fn has_unseen(&self) -> bool {
        self.ring.has_unseen()
    }

    /// Returns true if the device may run out of buffers because it has not seen those.
    pub fn may_starve(&self) -> bool {
        self.ring.may_starve()
    }

    /// Returns true if the device has filled the next descriptor to look at.
    pub fn has_arrived(&self) -> bool {
        let ahead = if self.pool.is_empty() {
            0
        } else {
            self.assembly.chained()
        };
        self.ring.done(ahead).is_some()
    }

    /// Frees the memory.
    ///
    /// # Safety
    ///
    /// The device no longer accesses ring and buffers, and nothing but `drop` is done with the receiver afterwards.
    pub unsafe fn free(&mut self) {
        // SAFETY: as the caller promises.
        unsafe {
            self.ring.free();
            self.pool.free();
        }
    }
}
