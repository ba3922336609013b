//! The NIC's registers through QEMU's test protocol.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use e1000_hw::platform::Registers;
use e1000_hw::regs::ALL_ONES;

use crate::qtest::Qtest;

/// One access, for tests that care about the order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Offset, and the value that came back.
    Read(u32, u32),
    /// Offset and value.
    Write(u32, u32),
}

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
    log: Mutex<Option<Vec<Access>>>,
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

    /// Remembers every access from now on.
    pub fn start_log(&self) {
        *self.shared.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// The accesses since [`QtestRegisters::start_log`], which it forgets.
    pub fn take_log(&self) -> Vec<Access> {
        let mut log = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn record(&self, access: Access) {
        if let Some(log) = self
            .shared
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            log.push(access);
        }
    }
}

impl Registers for QtestRegisters {
    fn read(&self, offset: u32) -> u32 {
        self.shared.reads.fetch_add(1, Ordering::Relaxed);
        let value = if self.is_removed() {
            ALL_ONES
        } else {
            self.qtest.readl(self.base + u64::from(offset))
        };
        self.record(Access::Read(offset, value));
        value
    }

    fn write(&self, offset: u32, value: u32) {
        self.shared.writes.fetch_add(1, Ordering::Relaxed);
        if !self.is_removed() {
            self.qtest.writel(self.base + u64::from(offset), value);
        }
        self.record(Access::Write(offset, value));
    }
}
