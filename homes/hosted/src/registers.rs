//! The NIC's registers through QEMU's test protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use e1000_hw::platform::Registers;
use e1000_hw::recorder::{Access, Counts, Log};
use e1000_hw::regs::ALL_ONES;

use crate::qtest::Qtest;

/// BAR 0. Clones reach the same registers and count together.
#[derive(Clone)]
pub struct QtestRegisters {
    qtest: Qtest,
    base: u64,
    log: Log,
    removed: Arc<AtomicBool>,
}

impl QtestRegisters {
    /// The registers at the physical address `base`.
    pub fn new(qtest: Qtest, base: u64) -> Self {
        Self {
            qtest,
            base,
            log: Log::default(),
            removed: Arc::default(),
        }
    }

    /// The accesses, counted, and kept once that is asked for.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Number of accesses until now.
    pub fn counts(&self) -> Counts {
        self.log.counts()
    }

    /// Removes the device: from now on it reads as all ones, and writes are lost.
    pub fn remove_device(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }
}

impl Registers for QtestRegisters {
    fn read(&self, offset: u32) -> u32 {
        self.log.add(Access::Read(offset));
        if self.is_removed() {
            ALL_ONES
        } else {
            self.qtest.readl(self.base + u64::from(offset))
        }
    }

    fn write(&self, offset: u32, value: u32) {
        self.log.add(Access::Write(offset, value));
        if !self.is_removed() {
            self.qtest.writel(self.base + u64::from(offset), value);
        }
    }
}
