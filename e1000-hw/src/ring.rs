//! Descriptor rings, shared with the device.
//!
//! Nothing here knows registers, frames or buffers: a descriptor takes the bus address and the length of any memory. It
//! has four 32-bit words, each of which is loaded and stored with one atomic access. So a device that changes a
//! descriptor at the wrong time can cause wrong values, but no torn or undefined ones.

use core::fmt;
use core::mem::ManuallyDrop;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use crate::platform::{DmaAllocator, DmaRegion};

/// Bytes of one descriptor, in every format that the core uses.
pub(crate) const DESCRIPTOR_LEN: usize = 16;
/// Fewest descriptors of a ring. RDLEN and TDLEN count in units of 128 bytes, 8 descriptors (8254x manual, 13.4.27).
pub const MIN_DESCRIPTORS: u32 = 8;
/// Most descriptors of a ring that any chip of the family takes.
pub const MAX_DESCRIPTORS: u32 = 4096;

/// Number of descriptors of a ring: a power of two from [`MIN_DESCRIPTORS`] to [`MAX_DESCRIPTORS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSize(NonZeroU32);

impl RingSize {
    /// The default: enough for a little more than two intervals at 8000 interrupts/s and line rate, 1.488 million
    /// frames/s.
    pub const DEFAULT: Self = match Self::new(512) {
        Some(size) => size,
        None => panic!("512 is a valid ring size"),
    };

    /// Returns `None` unless `descriptors` is a power of two in range.
    pub const fn new(descriptors: u32) -> Option<Self> {
        if !descriptors.is_power_of_two() || descriptors < MIN_DESCRIPTORS || descriptors > MAX_DESCRIPTORS {
            return None;
        }
        match NonZeroU32::new(descriptors) {
            Some(size) => Some(Self(size)),
            None => None,
        }
    }

    /// The number of descriptors.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The smaller of this size and a chip's limit, itself a power of two.
    pub(crate) fn at_most(self, limit: u32) -> Self {
        Self::new(self.get().min(limit)).unwrap_or(self)
    }

    /// Slot of a free-running counter.
    pub(crate) const fn slot(self, counter: u32) -> u32 {
        counter & (self.0.get() - 1)
    }
}

/// Error: there is not enough DMA memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfDmaMemory {
    /// Bytes of the smallest block that was refused.
    pub wanted: usize,
}

impl fmt::Display for OutOfDmaMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no DMA memory: a block of {} bytes was refused", self.wanted)
    }
}

impl core::error::Error for OutOfDmaMemory {}

/// The second half of a descriptor: the driver's command, or the device's report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DescriptorStatus {
    /// Bytes 8 to 11.
    pub low: u32,
    /// Bytes 12 to 15; the byte with DD is in here.
    pub high: u32,
}

/// A ring of descriptors.
///
/// Dropping it leaks its memory: freeing memory that the device may still write is worse. Only [`Self::free`] frees it.
pub(crate) struct DescriptorRing<D: DmaRegion> {
    region: ManuallyDrop<D>,
    size: RingSize,
}

impl<D: DmaRegion> DescriptorRing<D> {
    /// Allocates a ring. Descriptors start as zeroes.
    pub fn new<A>(allocator: &mut A, size: RingSize) -> Result<Self, OutOfDmaMemory>
    where
        A: DmaAllocator<Region = D>,
    {
        let len = (size.get() as usize * DESCRIPTOR_LEN)
            .next_power_of_two()
            .max(4096);
        let region = allocator.allocate(len).ok_or(OutOfDmaMemory { wanted: len })?;
        if region.len() < len {
            return Err(OutOfDmaMemory { wanted: len });
        }
        Ok(Self {
            region: ManuallyDrop::new(region),
            size,
        })
    }

    /// Number of descriptors.
    pub fn size(&self) -> RingSize {
        self.size
    }

    /// First byte as the device sees it.
    pub fn bus_address(&self) -> u64 {
        self.region.bus_address()
    }

    /// Bytes that the descriptors take, the value of RDLEN and TDLEN.
    pub fn byte_len(&self) -> u32 {
        self.size.get() * DESCRIPTOR_LEN as u32
    }

    /// End of the ring as the device sees it.
    pub fn end_address(&self) -> u64 {
        self.bus_address() + u64::from(self.byte_len())
    }

    fn word(&self, counter: u32, word: usize) -> &AtomicU32 {
        debug_assert!(word < 4);
        let offset = self.size.slot(counter) as usize * DESCRIPTOR_LEN + word * 4;
        // SAFETY: `slot` is below `size`, and `new` checked that the region holds `size` descriptors, so the word lies
        // inside it; regions are aligned to 4096, so words are aligned. The region lives as long as `self`, because the
        // caller of `free` promises not to use the ring any more. The CPU accesses descriptors through these atomics
        // only.
        unsafe { AtomicU32::from_ptr(self.region.as_ptr().as_ptr().add(offset).cast()) }
    }

    /// Points descriptor `counter` at a buffer and stores the second half, `high` last.
    pub fn fill(&self, counter: u32, address: u64, status: DescriptorStatus) {
        self.word(counter, 0)
            .store((address as u32).to_le(), Ordering::Relaxed);
        self.word(counter, 1)
            .store(((address >> 32) as u32).to_le(), Ordering::Relaxed);
        self.set_status(counter, status);
    }

    /// Stores the second half of descriptor `counter`, `high` last. The address stays as it is.
    pub fn set_status(&self, counter: u32, status: DescriptorStatus) {
        self.word(counter, 2).store(status.low.to_le(), Ordering::Relaxed);
        self.word(counter, 3)
            .store(status.high.to_le(), Ordering::Release);
    }

    /// Bytes 12 to 15 of descriptor `counter`. Earlier stores of the device are visible afterwards.
    pub fn high(&self, counter: u32) -> u32 {
        let high = u32::from_le(self.word(counter, 3).load(Ordering::Relaxed));
        // The length and the frame's bytes must not be read before DD was seen.
        fence(Ordering::Acquire);
        high
    }

    /// Bytes 8 to 11 of descriptor `counter`.
    pub fn low(&self, counter: u32) -> u32 {
        u32::from_le(self.word(counter, 2).load(Ordering::Relaxed))
    }

    /// The second half of descriptor `counter`.
    pub fn status(&self, counter: u32) -> DescriptorStatus {
        DescriptorStatus {
            low: self.low(counter),
            high: self.high(counter),
        }
    }

    /// Frees the memory.
    ///
    /// # Safety
    ///
    /// The device no longer accesses the ring, and nothing but `drop` is done with it afterwards.
    pub unsafe fn free(&mut self) {
        // SAFETY: the caller does nothing with the ring afterwards, so it is dropped once and not used again.
        unsafe { ManuallyDrop::drop(&mut self.region) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::find;
    use crate::fake::FakeMachine;

    fn ring(size: u32) -> (FakeMachine, DescriptorRing<crate::fake::FakeRegion>) {
        let machine = FakeMachine::new(find(0x8086, 0x100E).expect("82540EM"));
        let size = RingSize::new(size).expect("a ring size");
        let ring = DescriptorRing::new(&mut machine.dma(), size).expect("memory");
        (machine, ring)
    }

    #[test]
    fn sizes_are_powers_of_two_that_the_hardware_takes() {
        let sizes = [0, 4, 8, 12, 256, 4096, 8192, u32::MAX];
        let taken = sizes.map(|size| RingSize::new(size).map(RingSize::get));
        assert_eq!(
            taken,
            [None, None, Some(8), None, Some(256), Some(4096), None, None]
        );
        assert_eq!(RingSize::DEFAULT.at_most(256).get(), 256);
        assert_eq!(RingSize::DEFAULT.at_most(4096).get(), 512);
    }

    #[test]
    fn descriptors_are_little_endian_and_wrap() {
        let (machine, ring) = ring(8);
        let status = DescriptorStatus {
            low: 0x8070_6050,
            high: 0x0403_0201,
        };
        ring.fill(8 + 3, 0x1122_3344_5566_7788, status);
        let bytes = machine.peek_dma(ring.bus_address() + 3 * 16, 16);
        let address = [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11];
        assert_eq!(bytes[..8], address);
        assert_eq!(bytes[8..], [0x50, 0x60, 0x70, 0x80, 1, 2, 3, 4]);
        assert_eq!(ring.status(3), status);
        // A new status leaves the address as it is.
        ring.set_status(3, DescriptorStatus::default());
        let bytes = machine.peek_dma(ring.bus_address() + 3 * 16, 16);
        assert_eq!((&bytes[..8], &bytes[8..]), (&address[..], &[0; 8][..]));
        assert_eq!((ring.byte_len(), ring.size().get()), (128, 8));
        assert_eq!(ring.end_address(), ring.bus_address() + 128);
    }

    #[test]
    fn memory_is_freed_when_asked_for_and_leaked_otherwise() {
        let (machine, mut ring) = ring(512);
        assert_eq!(machine.dma_in_use(), 8192);
        // SAFETY: there is no device, and the ring is not used again.
        unsafe { ring.free() };
        assert_eq!(machine.dma_in_use(), 0);
        let size = RingSize::DEFAULT;
        assert!(
            DescriptorRing::new(&mut machine.dma(), size).is_ok(),
            "made, and gone again"
        );
        assert_eq!(machine.dma_in_use(), 8192);
        machine.set_largest_block(4096);
        let error = DescriptorRing::new(&mut machine.dma(), size).err();
        assert_eq!(error, Some(OutOfDmaMemory { wanted: 8192 }));
    }
}
