//! Register accesses and waits, counted and written down: what tests and benches compare.
//!
//! A [`Log`] is for who implements [`Registers`]: the fake and the hosted home have one. A [`Recorder`] is a wrapper
//! for any [`Registers`] and [`Clock`]; it can also change what reads give and what writes do, to play a device that
//! misbehaves.

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

/// Accesses, counted and, on demand, kept. Clones share them.
#[derive(Clone, Default)]
pub struct Log(Arc<Shared>);

impl Log {
    /// Keeps every access from now on.
    pub fn start(&self) {
        *self.0.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Returns the accesses since [`Self::start`], which it forgets.
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

/// Registers, or registers and a clock, with everything that is done to them kept.
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

    /// Changes what a read gives: called with offset and value so far.
    pub fn on_read(&self, change: impl FnMut(u32, u32) -> u32 + 'static) {
        *self.on_read.borrow_mut() = Box::new(change);
    }

    /// Changes what a write does: called with offset and value; `None` loses it.
    pub fn on_write(&self, change: impl FnMut(u32, u32) -> Option<u32> + 'static) {
        *self.on_write.borrow_mut() = Box::new(change);
    }

    /// Returns what was done since the last time.
    pub fn take(&self) -> Vec<Access> {
        self.log.take()
    }

    /// Returns what was done since the last time to these registers.
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
    /// Returns how long `work` took.
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
