//! Yield to others: time in which readers find no frames, so that the programs behind them are served.

use std::time::Duration;

/// Polls in a row without a request after which a yield ends.
pub const IDLE_POLLS: u32 = 2;

/// Length of a yield, as a multiple of the time that readers had before.
///
/// Delivering a datagram to a program takes smolnetd and the program, by estimate, three times as long as reading one
/// from the driver. With a smaller share, smolnetd reads datagrams only to drop them (docs/performance.md).
pub const YIELD_SHARE: u32 = 3;

/// Longest yield. The time that a reader had is no measure if the reader was suspended in between.
const LONGEST: Duration = Duration::from_millis(50);

/// Reads that are refused in a yield before anything is dropped. A single one may be due to an event from before the
/// yield.
const REFUSALS_BEFORE_DROP: u32 = 4;

/// A yield that has begun.
#[derive(Clone, Copy, Debug)]
struct Interval {
    until: Duration,
    /// Polls in a row without a request.
    idle_polls: u32,
    /// Reads that were refused.
    refusals: u32,
}

/// Yields of the readers of one NIC. Times are those of the caller's clock.
#[derive(Debug, Default)]
pub struct Yield {
    current: Option<Interval>,
    /// Time since which the ring was never found empty, or the end of the last yield.
    reading_since: Option<Duration>,
    /// Time by which the last yield was longer than planned, because others kept the processor.
    overdrawn: Duration,
    refusals: u64,
}

impl Yield {
    /// Records that a reader has read many frames in a row.
    pub fn note_reading(&mut self, now: impl FnOnce() -> Duration) {
        self.reading_since.get_or_insert_with(now);
    }

    /// Begins a yield. Its length is a multiple of the time that readers had since the last one.
    pub fn begin(&mut self, now: Duration) {
        let read = now.saturating_sub(self.reading_since.replace(now).unwrap_or(now));
        let earned = read * YIELD_SHARE;
        let Some(share) = earned.checked_sub(self.overdrawn) else {
            self.overdrawn -= earned;
            return;
        };
        self.overdrawn = Duration::ZERO;
        self.current = Some(Interval {
            until: now + share.min(LONGEST),
            idle_polls: 0,
            refusals: 0,
        });
    }

    /// Returns true if a read is refused, and ends a yield whose time is up. Reads the clock only during a yield.
    pub fn refuses(&mut self, now: impl FnOnce() -> Duration) -> bool {
        let Some(current) = &mut self.current else {
            return false;
        };
        current.idle_polls = 0;
        current.refusals += 1;
        let refuses = !self.expire(now());
        self.refusals += u64::from(refuses);
        refuses
    }

    /// Returns true if others make use of the yield, so that frames may be dropped.
    pub fn is_used(&self) -> bool {
        self.current
            .is_some_and(|current| current.refusals >= REFUSALS_BEFORE_DROP)
    }

    /// Returns true during a yield. Reads no clock.
    pub fn is_active(&self) -> bool {
        self.current.is_some()
    }

    /// Ends the yield if its time is up. Returns true if there is none now.
    pub fn expire(&mut self, now: Duration) -> bool {
        if self.current.is_some_and(|current| now >= current.until) {
            self.end(now);
        }
        self.current.is_none()
    }

    /// Counts a poll that found no request. Returns true if that ends the yield.
    pub fn note_idle_poll(&mut self, now: impl FnOnce() -> Duration) -> bool {
        let Some(current) = &mut self.current else {
            return false;
        };
        current.idle_polls += 1;
        let ends = current.idle_polls >= IDLE_POLLS;
        if ends {
            self.end(now());
        }
        ends
    }

    fn end(&mut self, now: Duration) {
        if let Some(current) = self.current.take() {
            self.reading_since = Some(now);
            self.overdrawn = now.saturating_sub(current.until);
        }
    }

    /// Ends everything, because a read found the ring empty: there is no overload.
    pub fn clear(&mut self) {
        (self.current, self.reading_since, self.overdrawn) = (None, None, Duration::ZERO);
    }

    /// Number of reads that were refused so far.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A yield after readers have had `read` of time.
    fn after(read: Duration) -> Yield {
        let mut others = Yield::default();
        others.note_reading(|| Duration::ZERO);
        others.note_reading(|| panic!("the clock is read once"));
        others.begin(read);
        others
    }

    #[test]
    fn yield_is_a_multiple_of_the_time_that_readers_had() {
        let mut others = after(3 * MS);
        let end = (3 + 3 * YIELD_SHARE) * MS;
        assert!(others.refuses(|| 3 * MS));
        assert!(others.refuses(|| end - Duration::from_micros(1)));
        assert!(!others.refuses(|| end));
        assert!(!others.refuses(|| panic!("the clock is not read outside a yield")));
        others.begin(end + MS);
        let end = end + (1 + YIELD_SHARE) * MS;
        assert!(
            others.refuses(|| end - Duration::from_micros(1)),
            "from the end of the last one"
        );
        assert!(!others.refuses(|| end));
    }

    #[test]
    fn yield_is_bounded() {
        let mut others = after(10_000 * MS);
        assert!(!others.refuses(|| 10_000 * MS + LONGEST));
    }

    #[test]
    fn yield_ends_when_nobody_asks() {
        let mut others = after(3 * MS);
        let early = || panic!("the clock is not read yet");
        assert!((1..IDLE_POLLS).all(|_| !others.note_idle_poll(early)));
        assert!(others.refuses(|| 3 * MS), "a request: the polls begin anew");
        assert!((1..IDLE_POLLS).all(|_| !others.note_idle_poll(early)));
        assert!(others.note_idle_poll(|| 4 * MS));
        assert!(!others.is_active() && !others.note_idle_poll(|| 4 * MS));
    }

    #[test]
    fn yield_ends_when_its_time_is_up() {
        let mut others = after(3 * MS);
        let end = (3 + 3 * YIELD_SHARE) * MS;
        assert!(!others.expire(end - Duration::from_micros(1)));
        assert!(others.expire(end) && !others.is_active());
    }

    #[test]
    fn end_of_the_ring_ends_everything() {
        let mut others = after(3 * MS);
        others.clear();
        assert!(!others.is_active());
        others.begin(9 * MS);
        assert!(!others.refuses(|| 9 * MS), "readers had nothing since");
    }

    #[test]
    fn time_that_others_took_too_long_is_given_back() {
        let mut others = after(2 * MS);
        let late = (2 + 2 * YIELD_SHARE) * MS + 5 * YIELD_SHARE * MS;
        assert!(!others.refuses(|| late), "worth 5 ms of reading");
        for (after, active) in [(2, false), (4, false), (6, true)] {
            others.begin(late + after * MS);
            assert_eq!(others.is_active(), active, "after {after} ms");
        }
        let end = late + (6 + YIELD_SHARE) * MS;
        assert!(others.refuses(|| end - Duration::from_micros(1)) && !others.refuses(|| end));
    }
}
