//! One timer for everything that is due later.

use std::time::{Duration, Instant};

use libredox::Fd;
use libredox::error::Result;
use libredox::flag::{CLOCK_MONOTONIC, O_CLOEXEC, O_RDWR};
use syscall::TimeSpec;

/// The kernel's monotonic clock as a timer. Armed only while something is due, so that an idle driver sleeps.
pub struct Alarm {
    timer: Fd,
    /// When it goes off, and how long that was when it was set.
    due: Option<(Instant, Duration)>,
}

impl Alarm {
    /// Opens the timer; impossible once in the null namespace.
    ///
    /// # Errors
    ///
    /// When the time scheme cannot be opened.
    pub fn open() -> Result<Self> {
        // 4 is Redox's number of CLOCK_MONOTONIC.
        Ok(Self {
            timer: Fd::open("/scheme/time/4", O_RDWR | O_CLOEXEC, 0)?,
            due: None,
        })
    }

    /// The descriptor that an event queue watches.
    pub fn fd(&self) -> usize {
        self.timer.raw()
    }

    /// Makes sure that the alarm goes off in `delay` at the latest. It may go off early.
    ///
    /// # Errors
    ///
    /// When the timer cannot be read or written.
    pub fn within(&mut self, delay: Duration) -> Result<()> {
        // Reading the clock is a system call; most of the time the answer is clear without.
        if self.due.is_some_and(|(_, before)| before <= delay) {
            return Ok(());
        }
        let due = Instant::now() + delay;
        if self.due.is_some_and(|(armed, _)| armed <= due) {
            return Ok(());
        }
        let now = libredox::call::clock_gettime(CLOCK_MONOTONIC)?;
        // The fields' types differ from target to target.
        #[allow(clippy::useless_conversion)]
        let (seconds, nanoseconds) = (i64::from(now.tv_sec), i64::from(now.tv_nsec));
        let nanoseconds = nanoseconds + i64::from(delay.subsec_nanos());
        let seconds = seconds + delay.as_secs() as i64 + nanoseconds / 1_000_000_000;
        // Field by field, so that what follows tv_nsec is zero and not whatever was there.
        let mut record = [0; size_of::<TimeSpec>()];
        record[..8].copy_from_slice(&seconds.to_ne_bytes());
        record[8..12].copy_from_slice(&((nanoseconds % 1_000_000_000) as i32).to_ne_bytes());
        self.timer.write(&record)?;
        self.due = Some((due, delay));
        Ok(())
    }

    /// The timer's event arrived. Returns whether the time has come; an event of an earlier arming does not count.
    pub fn went_off(&mut self) -> bool {
        match self.due {
            Some((due, _)) if Instant::now() + Duration::from_millis(1) >= due => {
                self.due = None;
                true
            }
            _ => false,
        }
    }
}
