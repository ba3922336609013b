//! DMA memory from the kernel's memory scheme.

use std::ptr::{self, NonNull};

use e1000_hw::platform::{DmaAllocator, DmaRegion};
use libredox::Fd;
use libredox::call::{self, MmapArgs};
use libredox::error::Result;
use libredox::flag::{MAP_PRIVATE, O_CLOEXEC, PROT_READ, PROT_WRITE};
use syscall::CallFlags;

/// Path of physically contiguous memory. x86 keeps DMA coherent with its caches; elsewhere the memory is uncacheable.
const CONTIGUOUS: &str = if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
    "zeroed@wb?phys_contiguous"
} else {
    "zeroed@uc?phys_contiguous"
};
/// Largest block of the kernel's buddy allocator (kernel, src/memory/mod.rs, `ORDER_COUNT`).
const MAX_BLOCK_LEN: usize = 4 << 20;

/// Most blocks that are rejected in one attempt because they are too high.
const TRIES: usize = 16;
/// Most memory that is kept so that the kernel does not return it again.
const MAX_REJECTED: usize = 32 << 20;

/// The memory scheme, opened once.
pub struct DmaMemory {
    contiguous: Fd,
    translation: Fd,
    /// Blocks have to end at or below this address.
    limit: u64,
    /// Blocks above the limit. They are kept until the end, because the kernel would return them again at once.
    rejected: Vec<DmaBlock>,
}

impl DmaMemory {
    /// Opens the memory scheme, which is also possible in the null namespace.
    ///
    /// # Errors
    ///
    /// When it cannot be opened; it takes uid 0.
    pub fn open() -> Result<Self> {
        let root = Fd::open("/scheme/memory/scheme-root", O_CLOEXEC, 0)?;
        Ok(Self {
            contiguous: root.openat(CONTIGUOUS, O_CLOEXEC, 0)?,
            translation: root.openat("translation", O_CLOEXEC, 0)?,
            limit: u64::MAX,
            rejected: Vec::new(),
        })
    }

    /// Restricts the memory to blocks that end at or below the address `limit`. The kernel has no such option, but it
    /// returns other blocks while the first ones are kept.
    pub fn below(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Physical address of the page at `pointer`. Fails if it is not mapped.
    fn translate(&self, pointer: NonNull<u8>) -> Result<u64> {
        let mut payload = pointer.as_ptr().addr().to_ne_bytes();
        self.translation.call_ro(&mut payload, CallFlags::empty(), &[])?;
        Ok(usize::from_ne_bytes(payload) as u64)
    }
}

impl DmaAllocator for DmaMemory {
    type Region = DmaBlock;

    fn allocate(&mut self, len: usize) -> Option<DmaBlock> {
        let mut rejected = std::mem::take(&mut self.rejected);
        let block = first_below(self.limit, &mut rejected, || self.allocate_anywhere(len));
        self.rejected = rejected;
        if block.is_none() && !self.rejected.is_empty() {
            log::warn!(
                "no {len} bytes of DMA memory below {:#x} in one piece",
                self.limit
            );
        }
        block
    }
}

/// Finds the first block that ends at or below `limit`; keeps those before it in `rejected`.
fn first_below<B: DmaRegion>(
    limit: u64,
    rejected: &mut Vec<B>,
    mut allocate: impl FnMut() -> Option<B>,
) -> Option<B> {
    for _ in 0..TRIES {
        let block = allocate()?;
        if block.bus_address().saturating_add(block.len() as u64) <= limit {
            return Some(block);
        }
        rejected.push(block);
        if rejected.iter().map(B::len).sum::<usize>() > MAX_REJECTED {
            break;
        }
    }
    None
}

impl DmaMemory {
    fn allocate_anywhere(&self, len: usize) -> Option<DmaBlock> {
        // The kernel rounds other lengths up and leaks the excess (kernel, src/context/memory.rs).
        if !len.is_power_of_two() || len > MAX_BLOCK_LEN {
            return None;
        }
        // SAFETY: a new private mapping at an address of the kernel's choice disturbs nothing.
        let mapping = unsafe {
            call::mmap(MmapArgs {
                addr: ptr::null_mut(),
                length: len,
                prot: PROT_READ | PROT_WRITE,
                flags: MAP_PRIVATE,
                fd: self.contiguous.raw(),
                offset: 0,
            })
        };
        let pointer = match mapping {
            Ok(pointer) => NonNull::new(pointer.cast::<u8>())?,
            Err(error) => {
                log::debug!("no {len} bytes of DMA memory in one piece: {error}");
                return None;
            }
        };
        let mut block = DmaBlock {
            pointer,
            len,
            bus_address: 0,
        };
        match self.translate(pointer) {
            Ok(address) => block.bus_address = address,
            Err(error) => {
                log::error!("no physical address for DMA memory: {error}");
                return None;
            }
        }
        Some(block)
    }
}

/// One block of DMA memory, unmapped when dropped.
pub struct DmaBlock {
    pointer: NonNull<u8>,
    len: usize,
    bus_address: u64,
}

// SAFETY: the mapping belongs to the process, not to a thread, and only this value knows it.
unsafe impl Send for DmaBlock {}

// SAFETY: a mapping of `len` bytes that only this value knows, contiguous in physical memory because
// `phys_contiguous` asked for that, naturally aligned because the kernel's buddy allocator aligns blocks to their
// size; Redox has no IOMMU, so bus addresses are physical addresses. On x86 it is coherent, see `CONTIGUOUS`.
unsafe impl DmaRegion for DmaBlock {
    fn as_ptr(&self) -> NonNull<u8> {
        self.pointer
    }

    fn bus_address(&self) -> u64 {
        self.bus_address
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for DmaBlock {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, made by `allocate` with the same length.
        if let Err(error) = unsafe { call::munmap(self.pointer.as_ptr().cast(), self.len) } {
            log::warn!("DMA memory could not be unmapped: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Address and length of no memory: the tests use nothing else.
    struct Somewhere(u64, usize);

    // SAFETY: nothing is read or written through it; no ring is made of it.
    unsafe impl DmaRegion for Somewhere {
        fn as_ptr(&self) -> NonNull<u8> {
            NonNull::dangling()
        }

        fn bus_address(&self) -> u64 {
            self.0
        }

        fn len(&self) -> usize {
            self.1
        }
    }

    const GIB_4: u64 = 1 << 32;

    #[test]
    fn memory_is_asked_for_until_it_is_low_enough() {
        let mut given = [GIB_4, 5 * GIB_4, GIB_4 - 4096, GIB_4 - 8192].into_iter();
        let mut rejected = vec![];
        let block = first_below(GIB_4, &mut rejected, || Some(Somewhere(given.next()?, 8192)));
        assert_eq!(block.map(|block| block.0), Some(GIB_4 - 8192));
        // They are kept, or the kernel would give them again.
        let kept: Vec<u64> = rejected.iter().map(|block| block.0).collect();
        assert_eq!(kept, [GIB_4, 5 * GIB_4, GIB_4 - 4096]);
    }

    #[test]
    fn search_for_low_memory_ends() {
        let mut asked = 0;
        let mut high = |len| {
            let mut rejected = vec![];
            let block = first_below(GIB_4, &mut rejected, || {
                asked += 1;
                Some(Somewhere(GIB_4, len))
            });
            assert!(block.is_none());
            std::mem::take(&mut asked)
        };
        assert_eq!(high(4096), TRIES);
        assert_eq!(high(MAX_BLOCK_LEN), MAX_REJECTED / MAX_BLOCK_LEN + 1);
        assert!(first_below(GIB_4, &mut vec![], || None::<Somewhere>).is_none());
        // Without a limit everything will do.
        assert!(first_below(u64::MAX, &mut vec![], || Some(Somewhere(5 * GIB_4, 4096))).is_some());
    }
}
