//! Receiving: descriptors with buffers on their way to the device, and back with frames.
//!
//! [`ring`] has the descriptors and works on addresses, [`assembly`] makes frames of what the device reports. On top of
//! them, a receiver either copies frames out of buffers of its own ([`copying`]), or has the buffers of its owner
//! filled ([`by_address`]).

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
    /// Their bytes, without FCS, before a short reader's truncation.
    pub bytes: u64,
    /// Frames longer than the MTU allows, dropped whole.
    pub oversized: u64,
    /// Frames with an error bit (CE, SE, SEQ, CXE, RXE).
    pub errors: u64,
    /// Frames whose length no frame can have: below 14 bytes, above the buffer, or a gap in the middle.
    pub bad_length: u64,
    /// Good frames that the owner dropped.
    pub dropped: u64,
}

/// The receive ring, with the buffers of its own if it copies.
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

    /// Programs base, length, head and tail, and forgets what was received. The receiver must be disabled, its DMA
    /// ended. Buffers of the owner's are given back.
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

    /// Tells the hardware of the buffers: the first write of RDT that means anything.
    pub fn start(&mut self, registers: &impl Registers) {
        self.ring.publish(registers);
    }

    /// Results of frames so far.
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

    /// Highest address that the device is given, exclusive; buffers of the owner's apart.
    pub fn end_address(&self) -> u64 {
        self.pool.end_address().max(self.ring.end_address())
    }

    /// Drops frames of more than `limit` bytes without FCS. Those that fit one buffer always pass: it is the MAC that
    /// drops what is longer than 1522 bytes unless RCTL.LPE is set.
    pub fn set_limit(&mut self, limit: usize) {
        self.assembly.set_limit(limit, capacity(self.size()));
    }

    /// The VLAN tag that was stripped from the frame last found, if it had one and CTRL.VME is set.
    pub fn tag(&self) -> Option<u16> {
        self.assembly.last().tag()
    }

    /// The result of checking the checksums of the frame last found, if RXCSUM is set; `pcie` is the part's.
    pub fn checksums(&self, pcie: bool) -> ChecksumResult {
        self.assembly.last().checksums(pcie)
    }

    /// Descriptor that is looked at next, and the value last written to RDT: free-running.
    pub fn position(&self) -> (u32, u32) {
        self.ring.position()
    }

    /// The second half of descriptor `counter`, for a report.
    pub fn descriptor_status(&self, counter: u32) -> DescriptorStatus {
        self.ring.status(counter)
    }

    /// A register was accessed that no hypervisor holds back, so that the device has seen all that was written before.
    pub fn note_flush(&mut self) {
        self.ring.note_flush();
    }

    /// Returns true if the device may not know of all buffers that it was given, see [`RxRing::has_unseen`].
    pub fn has_unseen(&self) -> bool {
        self.ring.has_unseen()
    }

    /// Returns true if the device may run out of buffers for want of those.
    pub fn may_starve(&self) -> bool {
        self.ring.may_starve()
    }

    /// Returns true if the device has filled the descriptor that is looked at next.
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
