//! Time for the core.

use std::hint;
use std::time::{Duration, Instant};

use e1000_hw::platform::{Clock, SHORT_WAIT};

/// Time since this was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        wait(duration, std::thread::sleep);
    }
}

/// Waits by `sleep`, or spins if the wait is short. A sleep on Redox ends with a tick of 4 ms at the earliest, so one
/// access to the PHY of 82543, some 180 waits of 10 us, would take 0.7 s.
fn wait(duration: Duration, sleep: impl FnOnce(Duration)) {
    if duration > SHORT_WAIT {
        return sleep(duration);
    }
    let start = Instant::now();
    while start.elapsed() < duration {
        hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_waits_are_not_slept_and_long_ones_are() {
        for micros in [0, 1, 10, 50, 100] {
            let (start, duration) = (Instant::now(), Duration::from_micros(micros));
            wait(duration, |_| panic!("slept {micros} us"));
            assert!(start.elapsed() >= duration);
        }
        let mut slept = None;
        wait(Duration::from_micros(101), |duration| slept = Some(duration));
        assert_eq!(slept, Some(Duration::from_micros(101)));
    }
}
