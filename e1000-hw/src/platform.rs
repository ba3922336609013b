//! The core's environment as three small traits: registers, DMA memory, time.
//!
//! An operating system (or a test) implements them. The module `fake` has an implementation for tests.

use core::ptr::NonNull;
use core::time::Duration;

/// The register file of one NIC, BAR 0.
///
/// # Contract
///
/// * `offset` is a byte offset into BAR 0, a multiple of 4 and below 0x20000 (128 KiB): the core never passes
///   anything else, an implementation may refuse everything else.
/// * Each call is exactly one 32-bit access, in program order with every other call on the same device; values
///   are in the CPU's byte order (the bus is little endian).
/// * `write` may be posted. A later `read` of the same device must not overtake it.
/// * Stores of the CPU to DMA memory before a `write` are visible to the device before the `write` is. On x86
///   uncacheable stores behave like that; elsewhere the implementation issues a barrier (aarch64: `dmb oshst`;
///   riscv64: `fence w, o`). The core adds a release fence, which orders the compiler's accesses only.
/// * Neither call blocks or fails. A device that is gone reads as all ones and ignores writes.
pub trait Registers {
    /// Reads the register at `offset`.
    fn read(&self, offset: u32) -> u32;

    /// Writes `value` to the register at `offset`.
    fn write(&self, offset: u32, value: u32);
}

impl<R: Registers + ?Sized> Registers for &R {
    fn read(&self, offset: u32) -> u32 {
        (**self).read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        (**self).write(offset, value);
    }
}

/// One block of memory that both the CPU and the NIC see.
///
/// # Safety
///
/// For as long as the value lives:
///
/// * `as_ptr()` points to `len()` bytes, aligned to at least 4096, valid for reads and writes, and not
///   reachable by any other CPU code through safe means;
/// * the NIC sees the same bytes, coherently with the CPU's caches, as `len()` contiguous bytes from
///   `bus_address()`, and `bus_address()` is aligned to `min(len(), 65536)`;
/// * all three methods always return the same values.
pub unsafe trait DmaRegion {
    /// First byte as the CPU sees it.
    fn as_ptr(&self) -> NonNull<u8>;

    /// First byte as the NIC sees it.
    fn bus_address(&self) -> u64;

    /// Length in bytes.
    fn len(&self) -> usize;

    /// Returns true if the region has no bytes. A usable region never is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Allocator of DMA memory.
pub trait DmaAllocator {
    /// A block of DMA memory; dropping it frees the memory.
    type Region: DmaRegion;

    /// Allocates `len` zeroed bytes; `len` is a power of two of at least 4096. `None` when there is no such
    /// block; the caller then tries smaller ones.
    fn allocate(&mut self, len: usize) -> Option<Self::Region>;
}

/// Longest wait that an implementation of [`Clock`] must not round up: the protocols on the pins of 82543 are made of
/// hundreds of waits of 10 and 50 us each.
pub const SHORT_WAIT: Duration = Duration::from_micros(100);

/// Time that only moves forward.
pub trait Clock {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;

    /// Waits at least `duration`, and up to [`SHORT_WAIT`] not much longer.
    fn sleep(&self, duration: Duration);
}
