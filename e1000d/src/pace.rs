//! How much a client may read before the rest of the system gets its turn.
//!
//! A client of an event queue reads until it is told that there is nothing more. While frames arrive faster than it
//! reads them, that never comes, and it gets to nothing else: smolnetd takes up to 128 frames for each request of a
//! program, drops nearly all of them because its sockets are full, and answers one. That is receive livelock: with the
//! stock driver, of 5000 datagrams a second a dozen reached the program (docs/performance.md).
//!
//! So after [`BURST`] frames in a row without an end in sight, and [`SHARE_TIME`] of reading them, a client of an event
//! queue is told that there is nothing more, [`BURST`] times: for smolnetd, that is once for each datagram that a program
//! takes. Or until it asks no more, which means that nobody has anything left to do. Frames wait meanwhile
//! ([`crate::shed`]).

use std::time::Duration;

/// Frames that a client may read in a row, at least.
///
/// More than a TCP connection of smolnetd ever has on the way (a window of 64 KiB is 45 frames), and no more than what
/// one socket of smolnetd keeps (128).
pub const BURST: u32 = 64;

/// How long a client may read frames in a row, at least. A fast machine reads a burst of hundreds in less, and a pause is
/// about twice as long, by the kernel's timer tick: it must not lose by pauses what it would have read in time.
pub const SHARE_TIME: Duration = Duration::from_millis(2);

/// The clock is read once for so many frames in a row: that costs a system call.
const CLOCK_EVERY: u32 = 16;

/// Frames that have to wait behind those for the client to be stopped: fewer, and it is about to find the end.
pub const BEHIND: u32 = BURST / 2;

/// Shares in a row without an end that make a flood, in which other threads have to be given turns: more than a full
/// receive ring.
pub const FLOOD: u32 = 10;

/// One reader's share.
#[derive(Debug, Default)]
pub struct Pace {
    /// Frames read since the reader was last told that there is nothing more.
    streak: u32,
    /// When it had read [`CLOCK_EVERY`] of them.
    since: Duration,
    /// Shares used up since the reader was last told that there is nothing more.
    shares: u32,
    /// How often it will still be told that there is nothing more, whatever there is.
    pause: u32,
    /// The same at the last check.
    pause_at_check: u32,
}

impl Pace {
    /// The client read a frame. Returns whether that was the last of its share; it starts anew then. `now` tells the
    /// time, and is not always asked.
    pub fn read_frame(&mut self, now: impl FnOnce() -> Duration) -> bool {
        self.streak = self.streak.saturating_add(1);
        if self.streak == CLOCK_EVERY {
            self.since = now();
            return false;
        }
        if self.streak < BURST || !self.streak.is_multiple_of(CLOCK_EVERY) {
            return false;
        }
        let used_up = now().saturating_sub(self.since) >= SHARE_TIME;
        if used_up {
            self.streak = 0;
            self.shares = self.shares.saturating_add(1);
        }
        used_up
    }

    /// The client was told the truth: there is nothing more.
    pub fn found_none(&mut self) {
        (self.streak, self.shares) = (0, 0);
    }

    /// Whether frames have been coming faster than the client reads them for some time.
    pub fn is_flooded(&self) -> bool {
        self.shares >= FLOOD
    }

    /// Keeps frames from the client for a while.
    pub fn pause(&mut self) {
        (self.pause, self.pause_at_check) = (BURST, BURST);
    }

    /// Whether frames are kept from the client now.
    pub fn is_paused(&self) -> bool {
        self.pause > 0
    }

    /// The client wants to read. Returns whether it is to be told that there is nothing, whatever there is.
    pub fn hold(&mut self) -> bool {
        let paused = self.is_paused();
        self.pause = self.pause.saturating_sub(1);
        paused
    }

    /// Some milliseconds have passed. Ends the pause, and returns true, if the client did not want to read meanwhile.
    pub fn check(&mut self) -> bool {
        let ends = self.is_paused() && self.pause == self.pause_at_check;
        if ends {
            self.pause = 0;
        }
        self.pause_at_check = self.pause;
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `count` frames, each of which takes `each`. Returns how often a share was used up.
    fn read(pace: &mut Pace, count: u32, each: Duration) -> u32 {
        let used_up = (1..=count).filter(|number| pace.read_frame(|| each * *number));
        used_up.count() as u32
    }

    /// Slower than [`SHARE_TIME`] for [`BURST`] frames.
    const SLOW: Duration = Duration::from_micros(100);
    const FAST: Duration = Duration::from_micros(5);

    fn paused() -> Pace {
        let mut pace = Pace::default();
        assert_eq!(read(&mut pace, BURST - 1, SLOW), 0);
        assert!(pace.read_frame(|| SLOW * BURST));
        pace.pause();
        pace
    }

    #[test]
    fn reader_that_finds_the_end_now_and_then_is_never_stopped() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            assert_eq!(read(&mut pace, BURST - 1, SLOW), 0);
            pace.found_none();
        }
        assert!(!pace.hold());
    }

    #[test]
    fn fast_reader_may_read_more() {
        let mut pace = Pace::default();
        assert_eq!(read(&mut pace, 4 * BURST, FAST), 0);
        pace.found_none();
        let time_used_up = (SHARE_TIME.as_micros() / FAST.as_micros()) as u32 + 2 * CLOCK_EVERY;
        assert_eq!(read(&mut pace, time_used_up, FAST), 1);
    }

    #[test]
    fn clock_is_hardly_ever_read() {
        let mut pace = Pace::default();
        let mut readings = 0;
        for _ in 0..1600 {
            pace.read_frame(|| {
                readings += 1;
                Duration::ZERO
            });
        }
        assert!((1..=100).contains(&readings), "{readings}");
        for _ in 0..100 {
            pace.found_none();
            assert!((1..CLOCK_EVERY).all(|_| !pace.read_frame(|| panic!("read for a short burst"))));
        }
    }

    #[test]
    fn flood_is_many_shares_without_an_end() {
        let mut pace = Pace::default();
        assert_eq!(read(&mut pace, FLOOD * BURST - 1, SLOW), FLOOD - 1);
        assert!(!pace.is_flooded());
        assert!(pace.read_frame(|| SLOW * FLOOD * BURST) && pace.is_flooded());
        pace.found_none();
        assert!(!pace.is_flooded());
    }

    #[test]
    fn pause_is_as_many_reads_long_as_the_burst() {
        let mut pace = paused();
        for _ in 0..BURST {
            assert!(pace.hold());
        }
        assert!(!pace.hold());
        assert!(!pace.read_frame(|| SLOW), "the next burst is a whole one");
    }

    #[test]
    fn pause_of_a_client_that_has_nothing_to_do_ends_at_the_next_check() {
        let mut pace = paused();
        assert!(pace.check());
        assert!(!pace.is_paused() && !pace.check());
    }

    #[test]
    fn pause_of_a_busy_client_goes_on_until_it_is_not() {
        let mut pace = paused();
        assert!(pace.hold());
        assert!(!pace.check());
        assert!(pace.hold());
        assert!(!pace.check());
        assert!(pace.is_paused() && pace.check());
        assert!(!pace.is_paused());
    }
}
