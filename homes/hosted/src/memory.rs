//! QEMU's RAM in our address space, as DMA memory for tests of the chip core alone.
//!
//! (The hosted daemon takes its DMA memory from the Redox shim's memory scheme, which maps the same file.)

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use e1000_hw::platform::{DmaAllocator, DmaRegion};
use redox_shim::blocks::Blocks;

/// Memory below is left alone: a PC has its legacy devices there.
pub const FIRST_FREE: u64 = 1 << 20;

/// Largest block, as on Redox.
const LARGEST: usize = 4 << 20;

/// A mapping of all RAM.
struct Mapping {
    base: NonNull<u8>,
    length: usize,
    blocks: Mutex<Blocks>,
}

// SAFETY: the mapping is plain shared memory, bound to no thread; who may touch which part of it is settled by
// `blocks`, which is behind a lock.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping made by `SharedRam::map`; all regions in it hold an Arc and are gone.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// RAM, from which blocks are handed out. Clones share it.
#[derive(Clone)]
pub struct SharedRam(Arc<Mapping>);

impl SharedRam {
    /// Maps `length` bytes of `file`, where offset 0 is physical address 0.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn map(file: &File, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        let (protection, fd) = (libc::PROT_READ | libc::PROT_WRITE, file.as_raw_fd());
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let blocks = Mutex::new(Blocks::new(FIRST_FREE, length as u64));
        Ok(Self(Arc::new(Mapping { base, length, blocks })))
    }
}

impl DmaAllocator for SharedRam {
    type Region = RamRegion;

    fn allocate(&mut self, len: usize) -> Option<RamRegion> {
        if !(4096..=LARGEST).contains(&len) {
            return None;
        }
        let offset = self
            .0
            .blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(len as u64)?;
        // SAFETY: the allocator only hands out blocks inside the mapping.
        let base = unsafe { self.0.base.add(offset as usize) };
        // SAFETY: `len` bytes from `base` on are inside the mapping and were handed to nobody else.
        unsafe { base.write_bytes(0, len) };
        Some(RamRegion {
            ram: Arc::clone(&self.0),
            offset,
            base,
            len,
        })
    }
}

/// One block of RAM; dropping it frees it.
pub struct RamRegion {
    ram: Arc<Mapping>,
    offset: u64,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: see `Mapping`; the block belongs to this value alone.
unsafe impl Send for RamRegion {}

// SAFETY: `base..base + len` lies in a mapping that `ram` keeps alive, the allocator gives it to one region at a time
// and aligns it to its length of at least 4096. QEMU maps the same file as the NIC's memory with bus address = file
// offset; a shared mapping is coherent. The fields never change.
unsafe impl DmaRegion for RamRegion {
    fn as_ptr(&self) -> NonNull<u8> {
        self.base
    }

    fn bus_address(&self) -> u64 {
        self.offset
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for RamRegion {
    fn drop(&mut self) {
        self.ram
            .blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .give_back(self.offset);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn regions_are_zeroed_aligned_and_in_the_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 << 20).unwrap();
        let mut ram = SharedRam::map(&file, 8 << 20).unwrap();
        let region = ram.allocate(8192).unwrap();
        assert!(region.bus_address() >= FIRST_FREE);
        assert_eq!(region.bus_address() % 8192, 0);
        // SAFETY: the region is ours and has two pages.
        unsafe { region.as_ptr().add(5000).write(7) };
        let mut byte = [0];
        file.read_exact_at(&mut byte, region.bus_address() + 5000)
            .unwrap();
        assert_eq!(byte, [7]);
        let address = region.bus_address();
        drop(region);
        let again = ram.allocate(8192).unwrap();
        assert_eq!(again.bus_address(), address);
        // SAFETY: the region is ours and has two pages.
        assert_eq!(unsafe { again.as_ptr().add(5000).read() }, 0);
        assert!(ram.allocate(2048).is_none());
        assert!(ram.allocate(8 << 20).is_none());
    }
}
