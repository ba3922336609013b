//! The daemon's view of a client's buffer.

use std::ptr;

const PAGE: usize = 4096;

/// Address of an empty buffer: one that no mapping can have, as the kernel's.
const DANGLING: usize = 1 << 63;

/// Pages that hold a copy of a client's buffer at the offset in the page at which the client has it.
///
/// The pages are unmapped as soon as the request is answered: a daemon that uses them afterwards crashes, as it would
/// on Redox.
pub struct Buffer {
    base: *mut u8,
    mapped: usize,
    offset: usize,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and is not bound to a thread.
unsafe impl Send for Buffer {}

impl Buffer {
    /// Zeroed room for `length` bytes at `offset` in the first page; `None` if there is not that much memory.
    pub fn new(offset: u16, length: u64) -> Option<Self> {
        let length = usize::try_from(length).ok()?;
        let offset = usize::from(offset) % PAGE;
        if length == 0 {
            return Some(Self {
                base: ptr::null_mut(),
                mapped: 0,
                offset,
                length,
            });
        }
        let mapped = offset.checked_add(length)?.checked_next_multiple_of(PAGE)?;
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory that is in use.
        let base = unsafe { libc::mmap(ptr::null_mut(), mapped, protection, flags, -1, 0) };
        (base != libc::MAP_FAILED).then(|| Self {
            base: base.cast(),
            mapped,
            offset,
            length,
        })
    }

    /// The address that the SQE carries.
    pub fn address(&self) -> u64 {
        if self.length == 0 {
            DANGLING as u64
        } else {
            (self.base as usize + self.offset) as u64
        }
    }

    /// The bytes, while the daemon does not have them: before the SQE is queued and after it is answered.
    pub fn bytes(&mut self) -> &mut [u8] {
        if self.length == 0 {
            return &mut [];
        }
        // SAFETY: `offset + length` is within the `mapped` bytes from `base` on.
        let first = unsafe { self.base.add(self.offset) };
        // SAFETY: those bytes are mapped until `self` is dropped, initialised (the kernel zeroes anonymous memory),
        // and the daemon, whose only way to them is the request, does not hold it now.
        unsafe { std::slice::from_raw_parts_mut(first, self.length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.mapped > 0 {
            // SAFETY: the range is the mapping made by `new`.
            unsafe { libc::munmap(self.base.cast(), self.mapped) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_offset_is_kept_and_the_buffer_is_zeroed() {
        let mut buffer = Buffer::new(0xFFD, 9000).unwrap();
        assert_eq!(buffer.address() & 0xFFF, 0xFFD);
        assert_eq!(buffer.bytes().len(), 9000);
        assert!(buffer.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn empty_buffer_has_an_address_that_is_not_null() {
        let mut buffer = Buffer::new(5, 0).unwrap();
        assert_ne!(buffer.address(), 0);
        assert!(buffer.bytes().is_empty());
    }

    #[test]
    fn absurd_length_is_refused() {
        assert!(Buffer::new(0, u64::MAX).is_none());
    }
}
