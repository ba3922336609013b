//! The event queue and its sources.

use std::time::{Duration, Instant};

use event::{EventFlags, EventQueue, UserData};
use libredox::error::Result;

use super::timer::Timer;
use crate::error::{DaemonError, Doing};

/// Source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The NIC, on this vector (0 but for MSI-X).
    Interrupt(u16),
    /// The timer.
    Timer,
    /// SIGTERM or SIGINT.
    Termination,
    /// The end of the thread that serves requests.
    RequestsEnded,
}

const TIMER: usize = 1 << 16;
const TERMINATION: usize = TIMER + 1;
const REQUESTS_ENDED: usize = TIMER + 2;

impl UserData for Source {
    fn into_user_data(self) -> usize {
        match self {
            Self::Interrupt(vector) => usize::from(vector),
            Self::Timer => TIMER,
            Self::Termination => TERMINATION,
            Self::RequestsEnded => REQUESTS_ENDED,
        }
    }

    fn from_user_data(data: usize) -> Self {
        match data {
            TIMER => Self::Timer,
            TERMINATION => Self::Termination,
            REQUESTS_ENDED => Self::RequestsEnded,
            // Nothing else was registered.
            vector => Self::Interrupt(vector as u16),
        }
    }
}

/// The event queue.
pub struct Events {
    queue: EventQueue<Source>,
    /// Timer for waits with a limit: relibc ignores the timeout of an event queue (src/platform/redox/event.rs,
    /// `redox_event_queue_get_events_v1`).
    limit: Timer,
}

impl Events {
    /// Creates the queue; impossible once in the null namespace.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new() -> Result<Self> {
        let events = Self {
            queue: EventQueue::new()?,
            limit: Timer::open()?,
        };
        events.watch(events.limit.fd(), Source::Timer)?;
        Ok(events)
    }

    /// Watches a descriptor for being readable.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn watch(&self, fd: usize, source: Source) -> Result<()> {
        self.queue.subscribe(fd, source, EventFlags::READ)
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// When the queue fails.
    pub fn next(&self) -> Result<Source> {
        loop {
            match self.queue.next_event() {
                Ok(event) => return Ok(event.user_data),
                Err(error) if error.is_interrupt() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the next event for `limit` at most. `None` if there was none.
    ///
    /// # Errors
    ///
    /// When the queue or the timer fails.
    pub fn next_within(&mut self, limit: Duration) -> std::result::Result<Option<Source>, DaemonError> {
        let end = Instant::now() + limit;
        self.limit.arm(limit).doing("set the timer")?;
        loop {
            match self.next().doing("wait for events")? {
                Source::Timer => {
                    self.limit.has_expired();
                    if Instant::now() >= end {
                        return Ok(None);
                    }
                    self.limit
                        .arm(end.saturating_duration_since(Instant::now()))
                        .doing("set the timer")?;
                }
                source => return Ok(Some(source)),
            }
        }
    }
}
