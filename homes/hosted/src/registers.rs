//! The NIC's registers through QEMU's test protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use e1000_hw::platform::Registers;
use e1000_hw::regs::ALL_ONES;

use crate::qtest::Qtest;

/// Numbers of accesses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AccessCounts {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

#[derive(Default)]
struct Shared {
    reads: AtomicU64,
    writes: AtomicU64,
    removed: AtomicBool,
}

/// BAR 0. Clones reach the same registers and count together.
#[derive(Clone)]
pub struct QtestRegisters {
    qtest: Qtest,
    base: u64,
    shared: Arc<Shared>,
}

impl QtestRegisters {
    /// The registers at the physical address `base`.
    pub fn new(qtest: Qtest, base: u64) -> Self {
        Self {
            qtest,
            base,
            shared: Arc::default(),
        }
    }

    /// Numbers of accesses until now.
    pub fn counts(&self) -> AccessCounts {
        AccessCounts {
            reads: self.shared.reads.load(Ordering::Relaxed),
            writes: self.shared.writes.load(Ordering::Relaxed),
        }
    }

    /// Removes the device: from now on it reads as all ones, and writes are lost.
    pub fn remove_device(&self) {
        self.shared.removed.store(true, Ordering::Relaxed);
    }

    fn is_removed(&self) -> bool {
        self.shared.removed.load(Ordering::Relaxed)
    }
}

impl Registers for QtestRegisters {
    fn read(&self, offset: u32) -> u32 {
        self.shared.reads.fetch_add(1, Ordering::Relaxed);
        if self.is_removed() {
            ALL_ONES
        } else {
            self.qtest.readl(self.base + u64::from(offset))
        }
    }

    fn write(&self, offset: u32, value: u32) {
        self.shared.writes.fetch_add(1, Ordering::Relaxed);
        if !self.is_removed() {
            self.qtest.writel(self.base + u64::from(offset), value);
        }
    }
}
