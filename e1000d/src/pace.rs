//! How much a client may read before the rest of the system gets its turn.
//!
//! A client of an event queue reads until it is told that there is nothing more. While frames arrive faster than it
//! reads them, that never comes, and it gets to nothing else: smolnetd takes up to 128 frames for each request of a
//! program, drops nearly all of them because its sockets are full, and answers one. That is receive livelock: with the
//! stock driver, of 5000 datagrams a second 14 reached the program
//! (docs/performance.md).
//!
//! So after [`BURST`] frames in a row without an end in sight, a client of an event queue is told that there is nothing
//! more, as often as it has read frames: for smolnetd, that is once for each datagram that a program takes. Or until it
//! asks no more, which means that nobody has anything left to do. Frames wait meanwhile ([`crate::shed`]).

/// Frames that a client may read in a row.
///
/// More than a TCP connection of smolnetd ever has on the way (a window of 64 KiB is 45 frames), and no more than what
/// one socket of smolnetd keeps (128).
pub const BURST: u32 = 64;

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
    /// Shares that it has used up since then.
    shares: u32,
    /// How often it will still be told that there is nothing more, whatever there is.
    pause: u32,
    /// The same at the last check.
    pause_at_check: u32,
}

impl Pace {
    /// The client read a frame. Returns whether that was the last of its share; it starts anew then.
    pub fn read_frame(&mut self) -> bool {
        self.streak += 1;
        let used_up = self.streak >= BURST;
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

    fn paused() -> Pace {
        let mut pace = Pace::default();
        assert!((1..BURST).all(|_| !pace.read_frame()));
        assert!(pace.read_frame());
        pace.pause();
        pace
    }

    #[test]
    fn reader_that_finds_the_end_now_and_then_is_never_stopped() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            assert!((1..BURST).all(|_| !pace.read_frame()));
            pace.found_none();
        }
        assert!(!pace.hold());
    }

    #[test]
    fn flood_is_many_shares_without_an_end() {
        let mut pace = Pace::default();
        for _ in 1..FLOOD * BURST {
            pace.read_frame();
        }
        assert!(!pace.is_flooded());
        assert!(pace.read_frame() && pace.is_flooded());
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
        assert!(!pace.read_frame(), "the next burst is a whole one");
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
