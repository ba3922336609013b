//! Waiting for frames, with a time limit.
//!
//! An event queue of a Redox system of June 2026 has no usable time limit of its own, so a timer file takes
//! part in the queue: a point in time written to `/scheme/time/4` becomes a READ event of that file.

use std::mem::{offset_of, size_of};
use std::time::Duration;

use event::{EventFlags, RawEventQueue};
use libredox::Fd;
use libredox::data::TimeSpec;
use libredox::flag::{CLOCK_MONOTONIC, O_CLOEXEC, O_RDWR};

use crate::{Adapter, Error, Result};

/// The timer of the monotonic clock, which Redox numbers 4.
const TIMER: &str = "/scheme/time/4";
/// Name of the queue in messages.
const QUEUE: &str = "the event queue";

const DATA_EVENT: usize = 0;
const TIMER_EVENT: usize = usize::MAX;

/// Reason why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There may be frames. An event announces a change, not a state: read until there is no frame left.
    Frames,
    /// The time limit has passed.
    Timeout,
}

/// Something that can wait for frames.
pub trait Wait {
    /// Waits until frames may be there or `timeout` has passed; `None` waits without limit.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<Woken>;
}

/// An event queue and a timer for its waits.
pub struct TimedQueue {
    queue: RawEventQueue,
    timer: Fd,
    /// Earliest point of the monotonic clock for which a timer event is still to come.
    ///
    /// A timer cannot be cancelled. If one is set for later than needed, a second one is set, and the event of the
    /// first is ignored when it comes.
    armed: Option<Duration>,
}

impl TimedQueue {
    /// A queue that watches nothing yet.
    pub fn new() -> Result<Self> {
        let failed = |action, path| move |error| Error::scheme(action, path, error);
        let queue = RawEventQueue::new().map_err(failed("create", QUEUE))?;
        let timer = Fd::open(TIMER, O_RDWR | O_CLOEXEC, 0).map_err(failed("open", TIMER))?;
        queue
            .subscribe(timer.raw(), TIMER_EVENT, EventFlags::READ)
            .map_err(failed("subscribe to", TIMER))?;
        Ok(Self {
            queue,
            timer,
            armed: None,
        })
    }

    /// Watches a descriptor. Its events are identified by `user_data`, which is not `usize::MAX`.
    pub fn subscribe(&self, fd: usize, user_data: usize, flags: EventFlags) -> libredox::error::Result<()> {
        self.queue.subscribe(fd, user_data, flags)
    }

    /// The `user_data` of the next event, or `None` if there is none for `timeout`. `None` waits without limit.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<usize>> {
        let deadline = match timeout {
            Some(Duration::ZERO) => return Ok(None),
            Some(timeout) => Some(now()?.saturating_add(timeout)),
            None => None,
        };
        loop {
            if let Some(deadline) = deadline
                && self.armed.is_none_or(|armed| armed > deadline)
            {
                self.arm(deadline)?;
            }
            let event = self.next_event()?;
            if event != TIMER_EVENT {
                return Ok(Some(event));
            }
            let now = now()?;
            if self.armed.is_some_and(|armed| armed <= now) {
                self.armed = None;
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
        }
    }

    fn next_event(&self) -> Result<usize> {
        loop {
            match self.queue.next_event() {
                Ok(event) => return Ok(event.user_data),
                Err(error) if error.is_interrupt() => {}
                Err(error) => return Err(Error::scheme("read", QUEUE, error)),
            }
        }
    }

    fn arm(&mut self, time: Duration) -> Result<()> {
        self.timer
            .write(&timespec_bytes(time))
            .map_err(|error| Error::scheme("set", TIMER, error))?;
        self.armed = Some(time);
        Ok(())
    }
}

/// The event queue of one adapter.
pub struct Readiness {
    queue: TimedQueue,
}

impl Readiness {
    /// Subscribes to the frames of an adapter, which must be open in
    /// [`Mode::NonBlocking`](crate::Mode::NonBlocking).
    pub fn new(adapter: &Adapter) -> Result<Self> {
        let queue = TimedQueue::new()?;
        queue
            .subscribe(adapter.fd(), DATA_EVENT, EventFlags::READ)
            .map_err(|error| Error::scheme("subscribe to", adapter.name().path(), error))?;
        Ok(Self { queue })
    }
}

impl Wait for Readiness {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<Woken> {
        Ok(match self.queue.wait(timeout)? {
            Some(_) => Woken::Frames,
            None => Woken::Timeout,
        })
    }
}

/// The monotonic clock, as the timer counts it.
fn now() -> Result<Duration> {
    let time = libredox::call::clock_gettime(CLOCK_MONOTONIC)
        .map_err(|error| Error::scheme("read", "the monotonic clock", error))?;
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Ok(Duration::new(seconds, nanoseconds))
}

/// The bytes of a C `struct timespec`, whose second field and padding differ between targets.
fn timespec_bytes(time: Duration) -> [u8; size_of::<TimeSpec>()] {
    #[allow(
        clippy::useless_conversion,
        reason = "tv_nsec is 32 bits wide on some targets, 64 on others"
    )]
    let fields = TimeSpec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().cast_signed().into(),
    };
    let mut bytes = [0; size_of::<TimeSpec>()];
    let (seconds, nanoseconds) = (fields.tv_sec.to_ne_bytes(), fields.tv_nsec.to_ne_bytes());
    bytes[offset_of!(TimeSpec, tv_sec)..][..seconds.len()].copy_from_slice(&seconds);
    bytes[offset_of!(TimeSpec, tv_nsec)..][..nanoseconds.len()].copy_from_slice(&nanoseconds);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timespec_has_the_layout_of_c() {
        let bytes = timespec_bytes(Duration::new(0x0102_0304, 999_999_999));
        assert_eq!(bytes[..8], 0x0102_0304_i64.to_ne_bytes());
        assert_eq!(bytes[8..16], 999_999_999_i64.to_ne_bytes());
        assert_eq!(timespec_bytes(Duration::MAX)[..8], i64::MAX.to_ne_bytes());
    }
}
