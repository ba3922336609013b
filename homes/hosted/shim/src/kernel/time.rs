//! `/scheme/time/1` and `/scheme/time/4`: clocks that one can read, and that post an event at a moment one writes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem::MaybeUninit;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use syscall::error::{EINVAL, ENOENT, Error, Result};
use syscall::flag::EventFlags;

use crate::error::{fail, from_linux};
use crate::object::Object;
use crate::subscription::{Registration, Subscribers, Subscription};
use crate::sys;

/// `struct timespec`: seconds, then nanoseconds in the low half of a word on every layout in use.
const TIMESPEC: usize = 16;

/// Opens the clock named by `path`: Redox's number of it.
pub fn open(path: &str) -> Result<Arc<dyn Object>> {
    let clock = match path {
        "1" => libc::CLOCK_REALTIME,
        "4" => libc::CLOCK_MONOTONIC,
        _ => return fail(ENOENT),
    };
    Ok(Arc::new(Clock {
        clock,
        subscribers: Arc::default(),
    }))
}

/// The time of a Linux clock since its epoch.
pub fn now(clock: libc::clockid_t) -> Result<Duration> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is valid for writes.
    sys::check(unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) }).map_err(from_linux)?;
    // SAFETY: the call succeeded, so it filled `time`.
    let time = unsafe { time.assume_init() };
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

struct Clock {
    clock: libc::clockid_t,
    subscribers: Arc<Subscribers>,
}

impl Object for Clock {
    fn path(&self) -> Result<String> {
        let number = if self.clock == libc::CLOCK_MONOTONIC { 4 } else { 1 };
        Ok(format!("/scheme/time/{number}"))
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let records = buffer.chunks_exact_mut(TIMESPEC);
        if records.len() == 0 {
            return fail(EINVAL);
        }
        let now = now(self.clock)?;
        let mut done = 0;
        for record in records {
            record[..8].copy_from_slice(&now.as_secs().to_ne_bytes());
            record[8..].copy_from_slice(&u64::from(now.subsec_nanos()).to_ne_bytes());
            done += TIMESPEC;
        }
        Ok(done)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        let records = bytes.chunks_exact(TIMESPEC);
        if records.len() == 0 {
            return fail(EINVAL);
        }
        let mut done = 0;
        for record in records {
            let (seconds, rest) = record.split_first_chunk().ok_or(Error::new(EINVAL))?;
            let nanoseconds = rest.first_chunk().ok_or(Error::new(EINVAL))?;
            let nanoseconds = i32::from_ne_bytes(*nanoseconds).clamp(0, 999_999_999);
            let moment = Duration::new(i64::from_ne_bytes(*seconds).max(0) as u64, nanoseconds as u32);
            let wait = moment.saturating_sub(now(self.clock)?);
            ALARMS.add(
                now(libc::CLOCK_MONOTONIC)?.saturating_add(wait),
                &self.subscribers,
            );
            done += TIMESPEC;
        }
        Ok(done)
    }

    fn subscribe(&self, subscription: &Arc<Subscription>) -> Result<Option<Box<dyn Registration>>> {
        self.subscribers.add(subscription);
        Ok(None)
    }
}

/// The moments at which events are due, on the monotonic clock, and the thread that posts them.
#[derive(Default)]
struct Alarms {
    due: Mutex<Due>,
    earlier: Condvar,
}

#[derive(Default)]
struct Due {
    heap: BinaryHeap<Reverse<(Duration, u64)>>,
    targets: std::collections::HashMap<u64, Weak<Subscribers>>,
    next: u64,
    running: bool,
}

static ALARMS: LazyLock<Alarms> = LazyLock::new(Alarms::default);

impl Alarms {
    fn add(&self, moment: Duration, target: &Arc<Subscribers>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.next += 1;
        let number = due.next;
        due.heap.push(Reverse((moment, number)));
        due.targets.insert(number, Arc::downgrade(target));
        if !due.running {
            due.running = sys::spawn("shim-time", || ALARMS.run()).is_ok();
        }
        self.earlier.notify_one();
    }

    fn run(&self) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Ok(now) = now(libc::CLOCK_MONOTONIC) else {
                return;
            };
            let wait = due
                .heap
                .peek()
                .map(|Reverse((moment, _))| moment.saturating_sub(now));
            due = match wait {
                Some(Duration::ZERO) => {
                    let target = due
                        .heap
                        .pop()
                        .and_then(|Reverse((_, number))| due.targets.remove(&number));
                    if let Some(target) = target.as_ref().and_then(Weak::upgrade) {
                        target.post(EventFlags::EVENT_READ.bits());
                    }
                    due
                }
                Some(wait) => {
                    self.earlier
                        .wait_timeout(due, wait)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.earlier.wait(due).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}
