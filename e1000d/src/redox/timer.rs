//! A timer of the kernel.

use std::time::{Duration, Instant};

use libredox::Fd;
use libredox::error::Result;
use libredox::flag::{CLOCK_MONOTONIC, O_CLOEXEC, O_RDWR};
use syscall::TimeSpec;

/// The kernel's monotonic clock as a timer. Its event may come early, or belong to an earlier arming.
pub struct Timer {
    fd: Fd,
    /// Time at which it expires, and the delay that it was armed with.
    due: Option<(Instant, Duration)>,
}

impl Timer {
    /// Opens the timer, which is impossible in the null namespace.
    ///
    /// # Errors
    ///
    /// When the time scheme cannot be opened.
    pub fn open() -> Result<Self> {
        // 4 is Redox's number of CLOCK_MONOTONIC.
        Ok(Self {
            fd: Fd::open("/scheme/time/4", O_RDWR | O_CLOEXEC, 0)?,
            due: None,
        })
    }

    /// The descriptor that an event queue watches.
    pub fn fd(&self) -> usize {
        self.fd.raw()
    }

    /// Makes sure that the timer expires after `delay` at the latest.
    ///
    /// # Errors
    ///
    /// When the timer cannot be read or written.
    pub fn arm(&mut self, delay: Duration) -> Result<()> {
        // Reading the clock is a system call, which a shorter delay since the last arming makes unnecessary.
        if self.due.is_some_and(|(_, before)| before <= delay) {
            return Ok(());
        }
        let due = Instant::now() + delay;
        if self.due.is_some_and(|(armed, _)| armed <= due) {
            return Ok(());
        }
        let now = libredox::call::clock_gettime(CLOCK_MONOTONIC)?;
        #[allow(
            clippy::useless_conversion,
            reason = "types of the fields differ from target to target"
        )]
        let (seconds, nanoseconds) = (i64::from(now.tv_sec), i64::from(now.tv_nsec));
        let nanoseconds = nanoseconds + i64::from(delay.subsec_nanos());
        let seconds = seconds + delay.as_secs() as i64 + nanoseconds / 1_000_000_000;
        // Field by field, so that the padding behind tv_nsec is zero.
        let mut record = [0; size_of::<TimeSpec>()];
        record[..8].copy_from_slice(&seconds.to_ne_bytes());
        record[8..12].copy_from_slice(&((nanoseconds % 1_000_000_000) as i32).to_ne_bytes());
        self.fd.write(&record)?;
        self.due = Some((due, delay));
        Ok(())
    }

    /// Returns true if the timer has expired. To be called at the timer's event, which may belong to an earlier arming.
    pub fn has_expired(&mut self) -> bool {
        match self.due {
            Some((due, _)) if Instant::now() + Duration::from_millis(1) >= due => {
                self.due = None;
                true
            }
            _ => false,
        }
    }
}
