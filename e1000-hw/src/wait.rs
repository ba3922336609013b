//! Bounded waits: every wait for the hardware goes through [`wait_until`].

use core::fmt;
use core::time::Duration;

use crate::platform::Clock;

/// Error: the hardware did not reach a state in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// Description of the state.
    pub waited_for: &'static str,
    /// Time limit.
    pub limit: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} within {:?}", self.waited_for, self.limit)
    }
}

impl core::error::Error for TimedOut {}

/// Calls `done` every `interval` until it returns true, at least once and for at most about `limit`.
pub fn wait_until(
    clock: &impl Clock,
    waited_for: &'static str,
    limit: Duration,
    interval: Duration,
    mut done: impl FnMut() -> bool,
) -> Result<(), TimedOut> {
    let start = clock.now();
    loop {
        if done() {
            return Ok(());
        }
        if clock.now().saturating_sub(start) >= limit {
            return Err(TimedOut { waited_for, limit });
        }
        clock.sleep(interval);
    }
}
