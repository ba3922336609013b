//! Every wait goes through here, and every one is bounded.

use core::fmt;
use core::time::Duration;

use crate::platform::Clock;

/// A wait for the hardware that ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// What the wait was for.
    pub waited_for: &'static str,
    /// How long it was waited for.
    pub limit: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} within {:?}", self.waited_for, self.limit)
    }
}

impl core::error::Error for TimedOut {}

/// Asks `done` every `interval` until it says yes, at least once and for at most about `limit`.
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
