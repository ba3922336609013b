//! `/scheme/irq/N`: the sixteen legacy lines, as the x86 kernel treats an IOAPIC pin that is level triggered.
//!
//! On an interrupt the line is masked, its count goes up and every open handle gets one READ event. Writing the
//! current count to a handle acknowledges: the line is unmasked, and if its level is still high it fires again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use syscall::data::Stat;
use syscall::error::{EINVAL, EISDIR, ENOENT, Result};
use syscall::flag::{EventFlags, MODE_CHR};

use crate::error::fail;
use crate::object::Object;
use crate::subscription::{Registration, Subscribers, Subscription};

const WORD: usize = size_of::<usize>();

struct Line {
    level: bool,
    masked: bool,
    count: usize,
    handles: Vec<Weak<Subscribers>>,
}

static LINES: [Mutex<Line>; 16] = [const {
    Mutex::new(Line {
        level: false,
        masked: false,
        count: 0,
        handles: Vec::new(),
    })
}; 16];

fn lock(number: u8) -> MutexGuard<'static, Line> {
    LINES[usize::from(number & 15)]
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn fire_if_pending(&mut self) {
        if !self.level || self.masked {
            return;
        }
        self.masked = true;
        self.count += 1;
        self.handles.retain(|handle| handle.strong_count() > 0);
        for handle in self.handles.iter().filter_map(Weak::upgrade) {
            handle.post(EventFlags::EVENT_READ.bits());
        }
    }
}

/// The wire from a device to an interrupt line.
#[derive(Clone, Copy, Debug)]
pub struct IrqLine(u8);

/// The line `number`, of which only the low four bits count.
pub fn line(number: u8) -> IrqLine {
    IrqLine(number & 15)
}

impl IrqLine {
    /// The device asserts the line.
    pub fn raise(self) {
        let mut line = lock(self.0);
        line.level = true;
        line.fire_if_pending();
    }

    /// The device releases the line.
    pub fn lower(self) {
        lock(self.0).level = false;
    }

    /// Number of interrupts until now.
    pub fn count(self) -> usize {
        lock(self.0).count
    }

    /// Tells if an interrupt waits for its acknowledgement.
    pub fn is_masked(self) -> bool {
        lock(self.0).masked
    }
}

/// Opens `N` or `bsp`.
pub(crate) fn open(path: &str) -> Result<Arc<dyn Object>> {
    match path.trim_start_matches('/') {
        "" => fail(EISDIR),
        "bsp" => Ok(Arc::new(BootCpu)),
        number => match number.parse() {
            Ok(number @ 0..16) => {
                let subscribers = Arc::default();
                lock(number).handles.push(Arc::downgrade(&subscribers));
                Ok(Arc::new(Handle {
                    number,
                    acknowledged: AtomicUsize::new(0),
                    subscribers,
                }))
            }
            _ => fail(ENOENT),
        },
    }
}

struct Handle {
    number: u8,
    acknowledged: AtomicUsize,
    subscribers: Arc<Subscribers>,
}

impl Object for Handle {
    fn path(&self) -> Result<String> {
        Ok(format!("/scheme/irq/{}", self.number))
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let Some(target) = buffer.first_chunk_mut::<WORD>() else {
            return fail(EINVAL);
        };
        let count = lock(self.number).count;
        if self.acknowledged.load(Ordering::SeqCst) == count {
            return Ok(0);
        }
        *target = count.to_ne_bytes();
        Ok(WORD)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        let Some(count) = bytes.first_chunk::<WORD>() else {
            return fail(EINVAL);
        };
        let count = usize::from_ne_bytes(*count);
        let mut line = lock(self.number);
        if count != line.count {
            return Ok(0);
        }
        self.acknowledged.store(count, Ordering::SeqCst);
        line.masked = false;
        line.fire_if_pending();
        Ok(WORD)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat {
            st_mode: MODE_CHR | 0o600,
            st_size: WORD as u64,
            st_nlink: 1,
            ..Stat::default()
        })
    }

    fn subscribe(&self, subscription: &Arc<Subscription>) -> Result<Option<Box<dyn Registration>>> {
        self.subscribers.add(subscription);
        Ok(None)
    }
}

/// `/scheme/irq/bsp`: the id of the boot CPU, always 0.
struct BootCpu;

impl Object for BootCpu {
    fn path(&self) -> Result<String> {
        Ok("/scheme/irq/bsp".into())
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let Some(target) = buffer.first_chunk_mut::<WORD>() else {
            return fail(EINVAL);
        };
        *target = [0; WORD];
        Ok(WORD)
    }
}
