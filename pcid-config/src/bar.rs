//! Memory BARs, mapped.
//!
//! There are two ways to a BAR: the kernel's memory scheme, mapped at the BAR's physical address, and the channel,
//! mapped with the BAR's index and the cache mode in the offset (`mmap_prep` in redox base,
//! drivers/pcid/src/scheme.rs, since May 2026).
//!
//! The memory scheme comes first. A mapping of the channel keeps the channel open for as long as the driver's address
//! space exists, and that outlives a driver that is killed for as long as a client waits for its answer: smolnetd
//! does for ever, and no other driver could be started (seen with the kernel of June 2026). Besides, pcid keeps a
//! mapping of its own for each of the channel's. The channel is for systems that do not let drivers map physical
//! memory; it cannot reach BARs that are not made of whole pages, nor anything on 32-bit systems, whose C library
//! cuts the offset to 32 bits and with it the index and the cache mode (relibc, `redox_mmap_v1` in
//! src/platform/redox/libredox.rs).

use std::ptr::NonNull;

use libredox::Fd;
use libredox::call::{MmapArgs, mmap, munmap};
use libredox::error::Error;
use libredox::flag::{MAP_SHARED, O_CLOEXEC, O_RDWR, PROT_READ, PROT_WRITE};
use syscall::PAGE_SIZE;

use crate::channel::Channel;
use crate::protocol::PciFunction;

/// The kernel's physical address space, mapped without caching.
const PHYSICAL_UNCACHEABLE: &str = "/scheme/memory/physical@uc";

/// True if an offset of 64 bits reaches pcid.
const CHANNEL_OFFSETS: bool = cfg!(target_pointer_width = "64");

/// A BAR that could not be mapped.
#[derive(Debug, thiserror::Error)]
pub enum BarError {
    /// The function has BARs 0 to 5.
    #[error("there is no BAR {index}")]
    NoSuchBar {
        /// The index asked for.
        index: u8,
    },
    /// The BAR is not a memory BAR.
    #[error("BAR {index} is not a memory BAR")]
    NotMemory {
        /// The BAR's index.
        index: u8,
    },
    /// The firmware has given the BAR no address.
    #[error("BAR {index} has no address")]
    Unassigned {
        /// The BAR's index.
        index: u8,
    },
    /// The BAR is smaller than the caller needs.
    #[error("BAR {index} has {size} bytes, {needed} are needed")]
    TooSmall {
        /// The BAR's index.
        index: u8,
        /// Its size in bytes.
        size: u64,
        /// Bytes needed.
        needed: usize,
    },
    /// The BAR does not fit this machine's addresses.
    #[error("BAR {index} at {address:#x} with {size:#x} bytes is out of reach")]
    OutOfReach {
        /// The BAR's index.
        index: u8,
        /// Its physical address.
        address: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// Both ways failed.
    #[error("cannot map BAR {index}: through the memory scheme: {direct}; through pcid: {channel}")]
    Failed {
        /// The BAR's index.
        index: u8,
        /// The failure of the kernel's memory scheme.
        direct: DirectMapError,
        /// The failure of pcid.
        channel: ChannelMapError,
    },
}

/// A BAR that was not mapped through pcid.
#[derive(Debug, thiserror::Error)]
pub enum ChannelMapError {
    /// 32-bit systems cut the offset that carries the BAR's index.
    #[error("not on a 32-bit system")]
    OffsetsCut,
    /// The BAR is not made of whole pages.
    #[error("the BAR is not made of whole pages")]
    NotWholePages,
    /// The mapping failed.
    #[error("{0}")]
    Map(Error),
}

/// A BAR that was not mapped through the kernel's memory scheme.
#[derive(Debug, thiserror::Error)]
pub enum DirectMapError {
    /// The scheme's file could not be opened.
    #[error("cannot open {PHYSICAL_UNCACHEABLE}: {0}")]
    Open(Error),
    /// The mapping failed. `EPERM`: part of it is RAM.
    #[error("{0}")]
    Map(Error),
}

/// A memory BAR in this process's address space, uncached. Unmapped when dropped.
#[derive(Debug)]
pub struct MappedBar {
    mapping: Mapping,
    /// Bytes from the start of the mapping to the BAR: not zero only for BARs smaller than a page.
    skip: usize,
    physical: u64,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread. The value itself never accesses it; who does
// through `base` answers for the order of its accesses.
unsafe impl Send for MappedBar {}
// SAFETY: as above; shared references only give out the address.
unsafe impl Sync for MappedBar {}

impl MappedBar {
    /// Maps BAR `index` of `function`, the one behind `channel`, whole.
    ///
    /// # Errors
    ///
    /// [`BarError`]; before anything is mapped if the BAR is not a memory BAR of at least `min_len` bytes.
    pub fn map(
        channel: &Channel,
        function: &PciFunction,
        index: u8,
        min_len: usize,
    ) -> Result<Self, BarError> {
        let plan = Plan::new(function, index, min_len)?;
        let (mapping, skip) = plan.carry_out(
            CHANNEL_OFFSETS,
            |offset| Mapping::new(channel.fd(), offset, plan.length),
            |span| {
                // The mapping outlives the descriptor.
                let memory =
                    Fd::open(PHYSICAL_UNCACHEABLE, O_RDWR | O_CLOEXEC, 0).map_err(DirectMapError::Open)?;
                Mapping::new(memory.raw(), span.base, span.length).map_err(DirectMapError::Map)
            },
        )?;
        Ok(Self {
            mapping,
            skip,
            physical: plan.address,
            length: plan.length,
        })
    }

    /// The BAR's first byte, valid for volatile accesses to [`len`](Self::len) bytes while this lives.
    pub fn base(&self) -> NonNull<u8> {
        // `skip` is less than the mapping's length: nothing saturates.
        self.mapping
            .start
            .map_addr(|address| address.saturating_add(self.skip))
    }

    /// The BAR's physical address.
    pub fn physical_address(&self) -> u64 {
        self.physical
    }

    /// The BAR's size in bytes, more than 0.
    #[expect(clippy::len_without_is_empty, reason = "a BAR is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }
}

/// One mapping of whole pages. Unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Maps `length` bytes from `offset` of a file on, shared, for reading and writing.
    fn new(fd: usize, offset: u64, length: usize) -> Result<Self, Error> {
        let arguments = MmapArgs {
            addr: std::ptr::null_mut(),
            length,
            prot: PROT_READ | PROT_WRITE,
            flags: MAP_SHARED,
            fd,
            offset,
        };
        // SAFETY: without an address and MAP_FIXED the system puts the mapping where nothing is yet, so no
        // memory that Rust knows of changes.
        let start = unsafe { mmap(arguments) }?;
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Self { start, length }),
            // Redox maps nothing at address 0.
            None => Err(Error::new(libredox::errno::EFAULT)),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the region is the one that `new` got from mmap, and it is given back once. No reference
        // into it exists: only raw pointers leave this module, and those are valid only until now.
        let result = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        // A region that is mapped can be unmapped. Were it not, it would stay, which harms nobody.
        let _ = result;
    }
}

/// A BAR that may be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    index: u8,
    address: u64,
    length: usize,
    span: PageSpan,
}

impl Plan {
    fn new(function: &PciFunction, index: u8, min_len: usize) -> Result<Self, BarError> {
        let bar = function
            .bars
            .get(usize::from(index))
            .ok_or(BarError::NoSuchBar { index })?;
        let (address, size) = bar.memory().ok_or(BarError::NotMemory { index })?;
        if address == 0 {
            return Err(BarError::Unassigned { index });
        }
        let out_of_reach = BarError::OutOfReach { index, address, size };
        let Ok(length) = usize::try_from(size) else {
            return Err(out_of_reach);
        };
        if length == 0 || length < min_len {
            return Err(BarError::TooSmall {
                index,
                size,
                needed: min_len,
            });
        }
        let span = PageSpan::around(address, length).ok_or(out_of_reach)?;
        Ok(Self {
            index,
            address,
            length,
            span,
        })
    }

    /// Maps by the first way that works: a mapping, and where in it the BAR starts.
    fn carry_out<M>(
        &self,
        channel_offsets: bool,
        channel: impl FnOnce(u64) -> Result<M, Error>,
        direct: impl FnOnce(PageSpan) -> Result<M, DirectMapError>,
    ) -> Result<(M, usize), BarError> {
        let direct = match direct(self.span) {
            Ok(mapping) => return Ok((mapping, self.span.skip)),
            Err(error) => error,
        };
        let through_channel = if !channel_offsets {
            Err(ChannelMapError::OffsetsCut)
        } else if self.span.length != self.length {
            Err(ChannelMapError::NotWholePages)
        } else {
            channel(channel_offset(self.index)).map_err(ChannelMapError::Map)
        };
        match through_channel {
            Ok(mapping) => Ok((mapping, 0)),
            Err(channel) => Err(BarError::Failed {
                index: self.index,
                direct,
                channel,
            }),
        }
    }
}

/// The mmap offset that stands for the start of a BAR, uncacheable (redox base, drivers/pcid/src/scheme.rs).
///
/// Bits 63:61 are the BAR's index, bits 60:59 the cache mode (0 write-back, 1 uncacheable, 2 write-combining),
/// the others the offset within the BAR.
const fn channel_offset(index: u8) -> u64 {
    const UNCACHEABLE: u64 = 1 << 59;
    (index as u64) << 61 | UNCACHEABLE
}

/// The pages around a range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PageSpan {
    /// Physical address of the first page.
    base: u64,
    /// Bytes from there to the range.
    skip: usize,
    /// Bytes of all pages.
    length: usize,
}

impl PageSpan {
    /// `None` if the pages do not fit a pointer-sized address, which is all that mmap can be asked for on a
    /// 32-bit system.
    fn around(address: u64, length: usize) -> Option<Self> {
        let start = usize::try_from(address).ok()?;
        let skip = start % PAGE_SIZE;
        let length = skip.checked_add(length)?.checked_next_multiple_of(PAGE_SIZE)?;
        let base = start - skip;
        // The last byte, not the end: a range may end where the addresses do.
        base.checked_add(length.checked_sub(1)?)?;
        Some(Self {
            base: u64::try_from(base).ok()?,
            skip,
            length,
        })
    }
}

#[cfg(test)]
mod tests;
