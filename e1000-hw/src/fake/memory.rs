//! DMA memory of the fake machine.

use core::cell::RefCell;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use super::FakeDma;
use crate::platform::{DmaAllocator, DmaRegion};

/// DMA memory by bus address. What the driver leaks goes with the machine: that is what it is leaked for.
#[derive(Default)]
pub(super) struct Regions(pub(super) BTreeMap<u64, (NonNull<u8>, usize)>);

impl Drop for Regions {
    fn drop(&mut self) {
        for (pointer, len) in core::mem::take(&mut self.0).into_values() {
            // SAFETY: allocated with the same layout, and not freed: it was in the table. Who still has the region
            // gets no pointer from it any more.
            unsafe { dealloc(pointer.as_ptr(), layout(len)) };
        }
    }
}

/// One block of DMA memory of a [`FakeMachine`].
pub struct FakeRegion {
    regions: Weak<RefCell<Regions>>,
    pointer: NonNull<u8>,
    len: usize,
    bus_address: u64,
}

impl DmaAllocator for FakeDma {
    type Region = FakeRegion;

    fn allocate(&mut self, len: usize) -> Option<FakeRegion> {
        assert!(len.is_power_of_two() && len >= 4096, "{len} bytes of DMA memory");
        if len > self.0.0.borrow().largest_block {
            return None;
        }
        let layout = layout(len);
        // SAFETY: len is not zero.
        let pointer = unsafe { alloc_zeroed(layout) };
        let Some(pointer) = NonNull::new(pointer) else {
            handle_alloc_error(layout)
        };
        let mut inner = self.0.0.borrow_mut();
        // Naturally aligned, and never adjacent to its neighbour.
        let bus_address = inner.next_bus_address.next_multiple_of(len as u64);
        inner.next_bus_address = bus_address + 2 * len as u64;
        inner.regions.borrow_mut().0.insert(bus_address, (pointer, len));
        Some(FakeRegion {
            regions: Rc::downgrade(&inner.regions),
            pointer,
            len,
            bus_address,
        })
    }
}

#[expect(
    clippy::expect_used,
    reason = "no test asks for more than half of the address space"
)]
fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, 4096).expect("a power of two of at least 4096")
}

// SAFETY: a private heap allocation of `len` zeroed bytes aligned to 4096; the fake NIC reaches it at
// `bus_address` through the machine's table, from which it is taken when the region is dropped; it is valid until
// then, or until the machine goes, which `as_ptr` checks. Bus addresses are aligned to `len`.
unsafe impl DmaRegion for FakeRegion {
    fn as_ptr(&self) -> NonNull<u8> {
        assert!(
            self.regions.strong_count() > 0,
            "the machine is gone, and its memory"
        );
        self.pointer
    }

    fn bus_address(&self) -> u64 {
        self.bus_address
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for FakeRegion {
    fn drop(&mut self) {
        let Some(regions) = self.regions.upgrade() else {
            return;
        };
        regions.borrow_mut().0.remove(&self.bus_address);
        // SAFETY: allocated with the same layout, and gone from the table of regions.
        unsafe { dealloc(self.pointer.as_ptr(), layout(self.len)) };
    }
}
