//! The core's own buffers in DMA memory, for frames that are copied in and out.
//!
//! This is a layer above the descriptors, which know addresses only. The copying receiver and transmitter use buffer
//! `n` with descriptor `n`, so a buffer is free whenever its descriptor is. Frame bytes are copied through raw
//! pointers; no reference to DMA memory ever exists.

use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use crate::platform::{DmaAllocator, DmaRegion};
use crate::ring::{OutOfDmaMemory, RingSize};

/// Bytes of one buffer; also what RCTL.BSIZE is programmed for.
pub const BUFFER_LEN: usize = 2048;
/// Blocks of DMA memory that a pool may be spread over.
const MAX_BLOCKS: usize = 16;
/// Largest block asked for: large enough for a few calls, small enough to be found in fragmented memory.
const MAX_BLOCK_LEN: usize = 1 << 20;

/// Buffers of [`BUFFER_LEN`] bytes, carved from a few large blocks.
///
/// They are aligned to their own size, so none crosses a 64 KiB boundary, where early 82545 and 82546 fail (Linux
/// e1000, `e1000_check_64k_bound`).
///
/// Dropping it leaks its memory: freeing memory that the device may still write is worse. Only [`Self::free`] frees it.
pub(crate) struct Pool<D: DmaRegion> {
    blocks: ManuallyDrop<[Option<D>; MAX_BLOCKS]>,
    /// A block has `1 << block_shift` buffers.
    block_shift: u32,
}

impl<D: DmaRegion> Pool<D> {
    /// A pool without buffers.
    pub const fn empty() -> Self {
        Self {
            blocks: ManuallyDrop::new([const { None }; MAX_BLOCKS]),
            block_shift: 0,
        }
    }

    /// Returns true if there is no buffer.
    pub fn is_empty(&self) -> bool {
        self.blocks.first().is_none_or(Option::is_none)
    }

    /// Allocates as many buffers as a ring of `size` has descriptors, in as few blocks as memory allows. The pool is
    /// empty.
    pub fn allocate<A>(&mut self, allocator: &mut A, size: RingSize) -> Result<(), OutOfDmaMemory>
    where
        A: DmaAllocator<Region = D>,
    {
        let total = size.get() as usize * BUFFER_LEN;
        let smallest = (total / MAX_BLOCKS).max(4096);
        let mut block_len = total.min(MAX_BLOCK_LEN);
        loop {
            let count = total / block_len;
            let complete = self.blocks.iter_mut().take(count).all(|block| {
                *block = allocator
                    .allocate(block_len)
                    .filter(|region| region.len() >= block_len);
                block.is_some()
            });
            if complete {
                self.block_shift = (block_len / BUFFER_LEN).ilog2();
                return Ok(());
            }
            // Not enough blocks of this size: free them again, and try a smaller size. No device knows them yet.
            self.blocks.fill_with(|| None);
            if block_len <= smallest {
                return Err(OutOfDmaMemory { wanted: block_len });
            }
            block_len /= 2;
        }
    }

    /// The block of buffer `index` and the buffer's offset in it.
    fn locate(&self, index: u32) -> Option<(&D, usize)> {
        let block = self.blocks.get((index >> self.block_shift) as usize)?.as_ref()?;
        let index_in_block = index & ((1 << self.block_shift) - 1);
        Some((block, index_in_block as usize * BUFFER_LEN))
    }

    /// First byte of buffer `index` as the CPU and as the device see it.
    fn buffer(&self, index: u32) -> Option<(NonNull<u8>, u64)> {
        let (block, offset) = self.locate(index)?;
        // SAFETY: `locate` gives an offset below `BUFFER_LEN << block_shift`, the length that `allocate` checked each
        // block to have, in whole buffers: the buffer lies inside the block.
        let pointer = unsafe { block.as_ptr().add(offset) };
        Some((pointer, block.bus_address() + offset as u64))
    }

    /// Address at which the device finds buffer `index`.
    pub fn bus_address(&self, index: u32) -> Option<u64> {
        self.buffer(index).map(|(_, address)| address)
    }

    /// End of the highest buffer as the device sees it; 0 without buffers.
    pub fn end_address(&self) -> u64 {
        self.blocks
            .iter()
            .flatten()
            .map(|block| block.bus_address() + block.len() as u64)
            .max()
            .unwrap_or(0)
    }

    /// Copies the first bytes of buffer `index` into `out`: as many as `out`, the buffer and `len` all have. Returns
    /// that number.
    pub fn copy_out(&self, index: u32, len: usize, out: &mut [u8]) -> usize {
        let Some((source, _)) = self.buffer(index) else {
            return 0;
        };
        let len = len.min(BUFFER_LEN).min(out.len());
        // SAFETY: source is valid for BUFFER_LEN bytes, `out` for its length, `len` is at most both. `out` is an
        // exclusive reference and DMA regions are reachable by no reference, so they do not overlap. The device
        // no longer owns the buffer (DD was seen). If it writes to it nevertheless, the copied bytes are arbitrary;
        // nothing here depends on their values.
        unsafe { ptr::copy_nonoverlapping(source.as_ptr(), out.as_mut_ptr(), len) };
        len
    }

    /// Copies `frame` into buffer `index` and fills up with zeroes to `padded` bytes; both at most [`BUFFER_LEN`].
    /// Returns the buffer's address and the number of bytes now valid, or `None` if they do not fit or there is no such
    /// buffer.
    pub fn copy_in(&self, index: u32, frame: &[u8], padded: usize) -> Option<(u64, usize)> {
        let (target, address) = self.buffer(index)?;
        let len = frame.len().max(padded);
        if len > BUFFER_LEN {
            return None;
        }
        // SAFETY: the buffer is valid for BUFFER_LEN bytes, `frame.len() <= len <= BUFFER_LEN`; `frame` is an
        // ordinary reference and cannot point into DMA memory. The device is not told of the buffer yet.
        unsafe { ptr::copy_nonoverlapping(frame.as_ptr(), target.as_ptr(), frame.len()) };
        // SAFETY: bytes frame.len()..len of the same buffer, see above.
        unsafe { ptr::write_bytes(target.as_ptr().add(frame.len()), 0, len - frame.len()) };
        Some((address, len))
    }

    /// Frees the memory; the pool is empty afterwards.
    ///
    /// # Safety
    ///
    /// The device no longer accesses the buffers.
    pub unsafe fn free(&mut self) {
        self.blocks.fill_with(|| None);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::chip::find;
    use crate::fake::{FakeMachine, FakeRegion};

    fn machine(largest_block: usize) -> FakeMachine {
        let machine = FakeMachine::new(find(0x8086, 0x100E).expect("82540EM"));
        machine.set_largest_block(largest_block);
        machine
    }

    fn pool(machine: &FakeMachine, count: u32) -> Result<Pool<FakeRegion>, OutOfDmaMemory> {
        let mut pool = Pool::empty();
        let size = RingSize::new(count).expect("a ring size");
        pool.allocate(&mut machine.dma(), size)?;
        Ok(pool)
    }

    #[test]
    fn buffers_are_apart_aligned_and_where_both_sides_see_them_however_memory_is_cut() {
        for largest in [1 << 20, 256 << 10, 64 << 10] {
            let machine = machine(largest);
            let pool = pool(&machine, 512).expect("memory");
            assert_eq!(machine.dma_in_use(), 512 * BUFFER_LEN, "{largest}");
            let mut addresses: Vec<u64> = (0..512).filter_map(|n| pool.bus_address(n)).collect();
            for (n, address) in (0..).zip(&addresses) {
                assert_eq!(address % BUFFER_LEN as u64, 0);
                let byte = [n as u8];
                assert_eq!(pool.copy_in(n, &byte, 0), Some((*address, 1)));
                assert_eq!(machine.peek_dma(*address, 1), byte);
            }
            addresses.sort_unstable();
            addresses.dedup();
            assert_eq!(addresses.len(), 512);
            let last = addresses.last().expect("512 of them");
            assert_eq!(pool.end_address(), last + BUFFER_LEN as u64);
            assert_eq!(pool.bus_address(512), None);
        }
    }

    #[test]
    fn memory_in_too_small_pieces_is_given_back() {
        let machine = machine(32 << 10);
        let error = pool(&machine, 512).err();
        assert_eq!(error, Some(OutOfDmaMemory { wanted: 64 << 10 }));
        assert_eq!(machine.dma_in_use(), 0);
    }

    #[test]
    fn frames_are_copied_whole_and_padded_with_zeroes() {
        let machine = machine(1 << 20);
        let pool = pool(&machine, 8).expect("memory");
        let (frame, mut out) = ([0x5A; BUFFER_LEN], [1; BUFFER_LEN]);
        assert!(pool.copy_in(7, &frame, 0).is_some());
        assert_eq!(pool.copy_out(7, usize::MAX, &mut out), BUFFER_LEN);
        assert_eq!(out, frame);
        assert_eq!(pool.copy_in(7, &frame[..14], 60).map(|(_, len)| len), Some(60));
        assert_eq!(pool.copy_out(7, 64, &mut out), 64);
        assert_eq!((&out[14..60], &out[60..64]), (&[0; 46][..], &[0x5A; 4][..]));
        assert_eq!(pool.copy_out(7, 64, &mut out[..3]), 3, "a short reader");
        assert_eq!(pool.copy_in(7, &[0; BUFFER_LEN + 1], 0), None);
        assert_eq!(pool.copy_in(8, &frame, 0), None, "there is no such buffer");
        assert_eq!(pool.copy_out(8, 60, &mut out), 0);
    }

    #[test]
    fn pool_without_buffers_has_none() {
        let mut pool = Pool::<FakeRegion>::empty();
        assert!(pool.is_empty());
        assert_eq!((pool.bus_address(0), pool.end_address()), (None, 0));
        // SAFETY: no device knows of it.
        unsafe { pool.free() };
        let machine = machine(1 << 20);
        let mut pool = self::pool(&machine, 8).expect("memory");
        assert!(!pool.is_empty());
        // SAFETY: no device knows of it.
        unsafe { pool.free() };
        assert!(pool.is_empty());
        assert_eq!(machine.dma_in_use(), 0);
    }
}
