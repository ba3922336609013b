//! Recording of register accesses and waits, for tests and benches.
//!
//! A [`Log`] is for implementations of [`Registers`]: the fake and the hosted mode have one. A [`Recorder`] is a
//! wrapper around any [`Registers`] and [`Clock`]. It can also change the results of reads and the effects of writes,
//! to simulate a device that misbehaves.

use core::fmt;
use core::ops::Sub;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::boxed::Box;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

use crate::platform::{Clock, Registers};
use crate::regs;

/// One access to a register, or one wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The register at this offset was read.
    Read(u32),
    /// The register at this offset was written with this value.
    Write(u32, u32),
    /// A sleep of this length.
    Wait(Duration),
}

impl Access {
    /// A wait of so many microseconds.
    pub const fn us(micros: u64) -> Self {
        Self::Wait(Duration::from_micros(micros))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(offset) => write!(f, "Read({} {offset:04x})", regs::name(*offset)),
            Self::Write(offset, value) => {
                write!(f, "Write({} {offset:04x}, {value:08x})", regs::name(*offset))
            }
            Self::Wait(time) => write!(f, "Wait({time:?})"),
        }
    }
}

/// Number of accesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
        }
    }
}

/// Accesses by direction, without waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accesses {
    /// Offsets read, in order.
    pub reads: Vec<u32>,
    /// Offsets and values written, in order.
    pub writes: Vec<(u32, u32)>,
}

impl FromIterator<Access> for Accesses {
    fn from_iter<I: IntoIterator<Item = Access>>(all: I) -> Self {
        let mut accesses = Self::default();
        for access in all {
            match access {
                Access::Read(offset) => accesses.reads.push(offset),
                Access::Write(offset, value) => accesses.writes.push((offset, value)),
                Access::Wait(_) => {}
            }
        }
        accesses
    }
}

#[derive(Default)]
struct Shared {
    reads: AtomicU64,
    writes: AtomicU64,
    kept: Mutex<Option<Vec<Access>>>,
}

/// Accesses, which are counted, and kept on request. Clones share them.
#[derive(Clone, Default)]
pub struct Log(Arc<Shared>);

impl Log {
    /// Keeps every access from now on.
    pub fn start(&self) {
        *self.0.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Returns the accesses since [`Self::start`] or the last call.
    pub fn take(&self) -> Vec<Access> {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// Number of accesses until now.
    pub fn counts(&self) -> Counts {
        Counts {
            reads: self.0.reads.load(Ordering::Relaxed),
            writes: self.0.writes.load(Ordering::Relaxed),
        }
    }

    /// Counts one access, and keeps it if that was asked for.
    pub fn add(&self, access: Access) {
        match access {
            Access::Read(_) => _ = self.0.reads.fetch_add(1, Ordering::Relaxed),
            Access::Write(..) => _ = self.0.writes.fetch_add(1, Ordering::Relaxed),
            Access::Wait(_) => {}
        }
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_mut() {
            kept.push(access);
        }
    }
}

type OnRead = Box<dyn FnMut(u32, u32) -> u32>;
type OnWrite = Box<dyn FnMut(u32, u32) -> Option<u32>>;

/// Registers, or registers and a clock, whose accesses are kept.
pub struct Recorder<T> {
    /// Registers, and perhaps a clock, that are recorded.
    pub inner: T,
    log: Log,
    on_read: RefCell<OnRead>,
    on_write: RefCell<OnWrite>,
}

impl<T> Recorder<T> {
    /// Records `inner` from now on.
    pub fn new(inner: T) -> Self {
        let log = Log::default();
        log.start();
        Self {
            inner,
            log,
            on_read: RefCell::new(Box::new(|_, value| value)),
            on_write: RefCell::new(Box::new(|_, value| Some(value))),
        }
    }

    /// Changes the results of reads: `change` is called with the offset and the value read.
    pub fn on_read(&self, change: impl FnMut(u32, u32) -> u32 + 'static) {
        *self.on_read.borrow_mut() = Box::new(change);
    }

    /// Changes writes: `change` is called with offset and value, and returns the value to write, or `None` for no
    /// write.
    pub fn on_write(&self, change: impl FnMut(u32, u32) -> Option<u32> + 'static) {
        *self.on_write.borrow_mut() = Box::new(change);
    }

    /// Returns the accesses since the last call.
    pub fn take(&self) -> Vec<Access> {
        self.log.take()
    }

    /// Returns the accesses to these registers since the last call.
    pub fn take_of(&self, offsets: &[u32]) -> Vec<Access> {
        let mut all = self.take();
        all.retain(|access| match access {
            Access::Read(offset) | Access::Write(offset, _) => offsets.contains(offset),
            Access::Wait(_) => false,
        });
        all
    }
}

impl<T: Clock> Recorder<T> {
    /// Returns the time that `work` took.
    pub fn time(&self, work: impl FnOnce()) -> Duration {
        let start = self.inner.now();
        work();
        self.inner.now() - start
    }
}

impl<T: Registers> Registers for Recorder<T> {
    fn read(&self, offset: u32) -> u32 {
        self.log.add(Access::Read(offset));
        let value = self.inner.read(offset);
        (self.on_read.borrow_mut())(offset, value)
    }

    fn write(&self, offset: u32, value: u32) {
        self.log.add(Access::Write(offset, value));
        if let Some(value) = (self.on_write.borrow_mut())(offset, value) {
            self.inner.write(offset, value);
        }
    }
}

impl<T: Clock> Clock for Recorder<T> {
    fn now(&self) -> Duration {
        self.inner.now()
    }

    fn sleep(&self, duration: Duration) {
        self.log.add(Access::Wait(duration));
        self.inner.sleep(duration);
    }
}
