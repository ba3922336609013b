//! Descriptor rings and frame buffers in DMA memory: the only place where the core touches memory that the
//! device writes.
//!
//! Nothing here knows a register. A descriptor is four 32-bit words, each loaded and stored as one atomic access,
//! so that a device that changes its mind half-way can give wrong values, never torn or undefined ones. Frame
//! bytes are copied through raw pointers; no reference to DMA memory ever exists.

use core::mem::ManuallyDrop;
use core::num::NonZeroU32;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering, fence};

use crate::platform::{DmaAllocator, DmaRegion};

/// Bytes of one descriptor, in every format that the core uses.
pub const DESCRIPTOR_LEN: usize = 16;
/// Bytes of one frame buffer; also what RCTL.BSIZE is programmed for.
pub const BUFFER_LEN: usize = 2048;
/// Fewest descriptors of a ring. RDLEN and TDLEN count in units of 128 bytes, 8 descriptors.
pub const MIN_DESCRIPTORS: u32 = 8;
/// Most descriptors of a ring that any chip of the family takes.
pub const MAX_DESCRIPTORS: u32 = 4096;
/// Blocks of DMA memory that the buffers of one ring may be spread over.
const MAX_BLOCKS: usize = 16;
/// Largest block asked for: large enough for a few calls, small enough to be found in fragmented memory.
const MAX_BLOCK_LEN: usize = 1 << 20;

/// Number of descriptors of a ring: a power of two from [`MIN_DESCRIPTORS`] to [`MAX_DESCRIPTORS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSize(NonZeroU32);

impl RingSize {
    /// The default: at 1.488 million frames/s, line rate, a little more than two intervals at 8000 interrupts/s.
    pub const DEFAULT: Self = match Self::new(512) {
        Some(size) => size,
        None => panic!("512 is a valid ring size"),
    };

    /// `None` unless `descriptors` is a power of two in range.
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

/// There is not enough DMA memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfDmaMemory {
    /// Bytes of the smallest block that was refused.
    pub wanted: usize,
}

/// The second half of a descriptor: what the driver asks for or the device reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Bytes 8 to 11.
    pub low: u32,
    /// Bytes 12 to 15; the byte with DD is in here.
    pub high: u32,
}

/// A ring of descriptors.
pub struct DescriptorRing<D: DmaRegion> {
    // Only `quiesced` frees it: freeing memory that the device may still write is worse than leaking it.
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

    fn word(&self, counter: u32, word: usize) -> &AtomicU32 {
        debug_assert!(word < 4);
        let offset = self.size.slot(counter) as usize * DESCRIPTOR_LEN + word * 4;
        // SAFETY: `slot` is below `size`, and `new` checked that the region holds `size` descriptors, so the
        // word lies inside it; regions are aligned to 4096, so words are aligned. The region lives as long as
        // `self`, and descriptors are only ever accessed through these atomics (by the CPU) or by the device.
        unsafe { AtomicU32::from_ptr(self.region.as_ptr().as_ptr().add(offset).cast()) }
    }

    /// Points descriptor `counter` at a buffer.
    pub fn set_address(&self, counter: u32, address: u64) {
        self.word(counter, 0)
            .store((address as u32).to_le(), Ordering::Relaxed);
        self.word(counter, 1)
            .store(((address >> 32) as u32).to_le(), Ordering::Relaxed);
    }

    /// Stores the second half of descriptor `counter`, `high` last.
    pub fn set_words(&self, counter: u32, words: Words) {
        self.word(counter, 2).store(words.low.to_le(), Ordering::Relaxed);
        self.word(counter, 3).store(words.high.to_le(), Ordering::Release);
    }

    /// Bytes 12 to 15 of descriptor `counter`. What the device stored before them is visible afterwards.
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

    /// Frees the memory.
    ///
    /// The caller has stopped the device, which no longer accesses the ring.
    pub fn quiesced(self) {
        drop(ManuallyDrop::into_inner(self.region));
    }
}

/// One frame buffer of [`BUFFER_LEN`] bytes for each descriptor of a ring, carved from a few large blocks.
///
/// Buffers are aligned to their own size, so none crosses a 64 KiB boundary (early 82545 and 82546 fail there).
pub struct Buffers<D: DmaRegion> {
    blocks: ManuallyDrop<[Option<D>; MAX_BLOCKS]>,
    size: RingSize,
    per_block: u32,
}

impl<D: DmaRegion> Buffers<D> {
    /// Allocates a buffer for each of `size` descriptors, in as few blocks as memory allows.
    pub fn new<A>(allocator: &mut A, size: RingSize) -> Result<Self, OutOfDmaMemory>
    where
        A: DmaAllocator<Region = D>,
    {
        let total = size.get() as usize * BUFFER_LEN;
        let smallest = (total / MAX_BLOCKS).max(4096);
        let mut block_len = total.min(MAX_BLOCK_LEN);
        loop {
            // Blocks of a size that could not be had everywhere are freed again here; no device knows them yet.
            let mut blocks = [const { None }; MAX_BLOCKS];
            let count = total / block_len;
            let complete = blocks.iter_mut().take(count).all(|block| {
                *block = allocator
                    .allocate(block_len)
                    .filter(|region| region.len() >= block_len);
                block.is_some()
            });
            if complete {
                let per_block = (block_len / BUFFER_LEN) as u32;
                return Ok(Self {
                    blocks: ManuallyDrop::new(blocks),
                    size,
                    per_block,
                });
            }
            if block_len <= smallest {
                return Err(OutOfDmaMemory { wanted: block_len });
            }
            block_len /= 2;
        }
    }

    /// The block of buffer `counter` and the buffer's offset in it.
    fn locate(&self, counter: u32) -> Option<(&D, usize)> {
        let slot = self.size.slot(counter);
        let block = self.blocks.get((slot / self.per_block) as usize)?.as_ref()?;
        Some((block, (slot % self.per_block) as usize * BUFFER_LEN))
    }

    fn pointer(&self, counter: u32) -> Option<NonNull<u8>> {
        let (block, offset) = self.locate(counter)?;
        // SAFETY: `locate` gives an offset below `per_block * BUFFER_LEN`, the length that `new` checked each
        // block to have, in whole buffers: the buffer lies inside the block.
        Some(unsafe { block.as_ptr().add(offset) })
    }

    /// Where the device finds buffer `counter`.
    pub fn bus_address(&self, counter: u32) -> u64 {
        // Every slot below `size` has a block; 0 is an address that hardware skips.
        self.locate(counter)
            .map_or(0, |(block, offset)| block.bus_address() + offset as u64)
    }

    /// Highest address that the device is given, exclusive.
    pub fn end_address(&self) -> u64 {
        self.blocks
            .iter()
            .flatten()
            .map(|block| block.bus_address() + block.len() as u64)
            .max()
            .unwrap_or(0)
    }

    /// Copies the first bytes of buffer `counter` into `out`; as many as `out`, the buffer and `len` all have.
    /// Returns how many.
    pub fn copy_out(&self, counter: u32, len: usize, out: &mut [u8]) -> usize {
        let Some(source) = self.pointer(counter) else {
            return 0;
        };
        let len = len.min(BUFFER_LEN).min(out.len());
        // SAFETY: source is valid for BUFFER_LEN bytes, `out` for its length, `len` is at most both. `out` is an
        // exclusive reference and DMA regions are reachable by no reference, so they do not overlap. The device
        // owns the buffer no more (DD was seen); should it write all the same, the bytes are arbitrary, not
        // undefined: plain byte copies with no decision taken on them.
        unsafe { ptr::copy_nonoverlapping(source.as_ptr(), out.as_mut_ptr(), len) };
        len
    }

    /// Copies `frame` into buffer `counter` and fills up with zeroes to `padded` bytes; both at most
    /// [`BUFFER_LEN`]. Returns the number of bytes now valid, or `None` when they do not fit.
    pub fn copy_in(&self, counter: u32, frame: &[u8], padded: usize) -> Option<usize> {
        let target = self.pointer(counter)?;
        let len = frame.len().max(padded);
        if len > BUFFER_LEN {
            return None;
        }
        // SAFETY: the buffer is valid for BUFFER_LEN bytes, `frame.len() <= len <= BUFFER_LEN`; `frame` is an
        // ordinary reference and cannot point into DMA memory. The device is not told of the buffer yet.
        unsafe { ptr::copy_nonoverlapping(frame.as_ptr(), target.as_ptr(), frame.len()) };
        // SAFETY: bytes frame.len()..len of the same buffer, see above.
        unsafe { ptr::write_bytes(target.as_ptr().add(frame.len()), 0, len - frame.len()) };
        Some(len)
    }

    /// Frees the memory.
    ///
    /// The caller has stopped the device, which no longer accesses the buffers.
    pub fn quiesced(self) {
        drop(ManuallyDrop::into_inner(self.blocks));
    }
}
