//! DMA memory from the kernel's memory scheme.

use std::ptr::{self, NonNull};

use e1000_hw::platform::{DmaAllocator, DmaRegion};
use libredox::Fd;
use libredox::call::{self, MmapArgs};
use libredox::error::Result;
use libredox::flag::{MAP_PRIVATE, O_CLOEXEC, PROT_READ, PROT_WRITE};
use syscall::CallFlags;

/// Physically contiguous memory. x86 keeps DMA coherent with its caches; elsewhere the memory is uncacheable.
const CONTIGUOUS: &str = if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
    "zeroed@wb?phys_contiguous"
} else {
    "zeroed@uc?phys_contiguous"
};
/// The largest block that the kernel's buddy allocator has (kernel, `ORDER_COUNT`).
const MAX_BLOCK_LEN: usize = 4 << 20;

/// The memory scheme, opened once.
pub struct DmaMemory {
    contiguous: Fd,
    translation: Fd,
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
        })
    }

    /// Physical address of the page at `pointer`. It is mapped, or this fails.
    fn translate(&self, pointer: NonNull<u8>) -> Result<u64> {
        let mut payload = pointer.as_ptr().addr().to_ne_bytes();
        self.translation.call_ro(&mut payload, CallFlags::empty(), &[])?;
        Ok(usize::from_ne_bytes(payload) as u64)
    }
}

impl DmaAllocator for DmaMemory {
    type Region = DmaBlock;

    fn allocate(&mut self, len: usize) -> Option<DmaBlock> {
        // Other lengths would be rounded up, and the kernel would leak what is over.
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

/// One block of DMA memory; unmapped when dropped.
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
