//! Overload: frames come faster than the system can make use of them.
//!
//! What may happen then is bounded, and ends with the first sign that it is not needed. Each rule can be deleted on its
//! own as soon as its reason is gone.
//!
//! * **Read budget** ([`ReadBudget`]). A client of an event queue that has read [`BUDGET`] frames in a row is told once
//!   that there is nothing more, and with the same write that there is: smolnetd then processes what it has, sends its
//!   acknowledgements and serves its programs before it reads on. Nothing is kept back and nothing is lost. Linux calls
//!   the same thing a NAPI budget. *May go* when the network stack bounds its own reads.
//! * **Others' turn** ([`Overload`]). If half a budget more waits at the end of a budget that was not mostly TCP (whose
//!   senders wait for acknowledgements, and so for their reader), the thread that serves requests yields the processor and
//!   looks whether anybody asks the driver for anything. If nobody does, the reader goes on: to be alone costs it some ten
//!   system calls for each budget, by estimate 2 % of what it costs to read it. If somebody does, it is smolnetd, on behalf
//!   of a program: it polls the driver once for each request that it serves. It then finds no frames, so that it serves
//!   programs instead of reading what its full sockets would drop: a limit on the share of time that receiving has (Mogul
//!   and Ramakrishnan, Eliminating Receive Livelock in an Interrupt-Driven Kernel, section 7). That ends when nobody asks
//!   any more, or after [`TURN_SHARE`] times what the reader had. *May go* when the network stack reads no more than it
//!   can keep.
//! * **Fair drop** ([`FairDrop`]). If the ring fills up while it is the others' turn, frames of one flow that makes up
//!   most of them are dropped. *May go* with the others' turn.
//! * **Yield** ([`crate::daemon::requests`]). June's scheduler accounts only for threads that use up their time slice (kernel,
//!   `context/switch.rs`, `select_next_context`): a reader and its driver, which block before, keep everybody else from
//!   running for as long as a flood lasts. So the thread that serves requests yields at the end of each budget, and every
//!   256 frames sent. It costs a system call. *May go* when the scheduler accounts for them.
//!
//! A read that finds the ring empty ends all of it. A process that writes `budget off` to the file `filter` is never told
//! that there is nothing while there is something. Blocking reads have neither budget nor turn.

mod fair_drop;

use std::time::Duration;

pub use fair_drop::FairDrop;

/// Frames that a client of an event queue reads in a row.
///
/// Fewer than the 128 at which smolnetd stops without having found the end. The smaller, the sooner a connection beside a
/// flood has its acknowledgements; what an end costs (by estimate as much as one frame and a half) is spread over so many
/// frames. Measured with 16, 32 and 64: docs/performance.md.
pub const BUDGET: u32 = 32;

/// Frames that wait at the end of a budget for others to get their turn: fewer, and the reader is about to find the end.
pub const BEHIND: u32 = BUDGET / 2;

/// Looks in a row that find nobody asking, after which a turn ends.
pub const LOOKS: u32 = 2;

/// Reads that are refused in a turn before anything is dropped.
const USED: u32 = 4;

/// Time that others get, as a multiple of what the reader had before. To serve a program a datagram takes smolnetd and the
/// program, by estimate, three times what reading one from the driver takes; with less, datagrams are read only to be dropped
/// (docs/performance.md).
pub const TURN_SHARE: u32 = 3;

/// Frames of a budget after which its time is taken and flows are counted: before, the client may be about to find the end.
const MANY: u32 = BUDGET / 4;

/// A turn is no longer than this, however long a single budget took (a reader may have been stopped in between).
const LONGEST_TURN: Duration = Duration::from_millis(50);

/// What one reader may still read in a row.
#[derive(Debug, Default)]
pub struct ReadBudget {
    used: u32,
}

/// What became of a budget with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetUse {
    /// The reader may be about to find the end.
    Few,
    /// It has read many in a row.
    Many,
    /// That was the last one.
    Spent,
}

impl ReadBudget {
    /// Counts a frame.
    pub fn use_one(&mut self) -> BudgetUse {
        self.used = self.used.saturating_add(1);
        match self.used {
            BUDGET.. => BudgetUse::Spent,
            MANY.. => BudgetUse::Many,
            _ => BudgetUse::Few,
        }
    }

    /// Whether the reader has had its frames.
    pub fn is_spent(&self) -> bool {
        self.used >= BUDGET
    }

    /// Starts anew.
    pub fn renew(&mut self) {
        self.used = 0;
    }
}

/// The turn of others.
#[derive(Clone, Copy, Debug)]
struct Turn {
    until: Duration,
    /// Looks in a row that found nobody asking.
    idle_looks: u32,
    /// Reads that were refused.
    refusals: u32,
}

/// Whose turn it is with the frames of one NIC.
#[derive(Debug, Default)]
pub struct Overload {
    turn: Option<Turn>,
    /// When readers began to read without finding the end, or the last turn ended.
    since: Option<Duration>,
    /// Time that others had beyond their turns, because they did not give the processor back.
    overdrawn: Duration,
    refusals: u64,
}

impl Overload {
    /// A reader has read some frames in a row.
    pub fn note_reading(&mut self, now: impl FnOnce() -> Duration) {
        self.since.get_or_insert_with(now);
    }

    /// Begins the others' turn, as long as what readers had since the last one allows.
    pub fn begin_turn(&mut self, now: Duration) {
        let had = now.saturating_sub(self.since.replace(now).unwrap_or(now)) * TURN_SHARE;
        let Some(share) = had.checked_sub(self.overdrawn) else {
            self.overdrawn -= had;
            return;
        };
        self.overdrawn = Duration::ZERO;
        self.turn = Some(Turn {
            until: now + share.min(LONGEST_TURN),
            idle_looks: 0,
            refusals: 0,
        });
    }

    /// Somebody wants to read. Returns whether it is the others' turn, and ends it when its time is up; `now` tells the
    /// time and is only asked in a turn.
    pub fn refuses(&mut self, now: impl FnOnce() -> Duration) -> bool {
        let Some(turn) = &mut self.turn else {
            return false;
        };
        turn.idle_looks = 0;
        turn.refusals += 1;
        let refuses = !self.expire(now());
        self.refusals += u64::from(refuses);
        refuses
    }

    /// Whether others make use of their turn, so that frames may be dropped: a single read may come of an event that the
    /// reader had not taken yet.
    pub fn is_turn_used(&self) -> bool {
        self.turn.is_some_and(|turn| turn.refusals >= USED)
    }

    /// Whether the others' turn has begun and was not ended. Reads no clock.
    pub fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Ends the others' turn if its time is up. Returns whether there is none now.
    pub fn expire(&mut self, now: Duration) -> bool {
        if self.turn.is_some_and(|turn| now >= turn.until) {
            self.end_turn(now);
        }
        self.turn.is_none()
    }

    /// Nobody asks for anything. Returns whether that ends the others' turn.
    pub fn look_idle(&mut self, now: impl FnOnce() -> Duration) -> bool {
        let Some(turn) = &mut self.turn else {
            return false;
        };
        turn.idle_looks += 1;
        let ends = turn.idle_looks >= LOOKS;
        if ends {
            self.end_turn(now());
        }
        ends
    }

    fn end_turn(&mut self, now: Duration) {
        if let Some(turn) = self.turn.take() {
            self.since = Some(now);
            self.overdrawn = now.saturating_sub(turn.until);
        }
    }

    /// A read found the ring empty.
    pub fn find_end(&mut self) {
        (self.turn, self.since, self.overdrawn) = (None, None, Duration::ZERO);
    }

    /// Reads that were refused in others' turns so far.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Readers have had `had` of time.
    fn after(had: Duration) -> Overload {
        let mut overload = Overload::default();
        overload.note_reading(|| Duration::ZERO);
        overload.note_reading(|| panic!("the clock is read once"));
        overload.begin_turn(had);
        overload
    }

    #[test]
    fn budget_is_so_many_frames_in_a_row() {
        let mut budget = ReadBudget::default();
        for _ in 0..2 {
            let uses: Vec<_> = (0..BUDGET).map(|_| budget.use_one()).collect();
            let count = |wanted| uses.iter().filter(|found| **found == wanted).count();
            assert_eq!(
                (count(BudgetUse::Few), count(BudgetUse::Spent)),
                (MANY as usize - 1, 1)
            );
            assert!(budget.is_spent());
            budget.renew();
            assert!(!budget.is_spent());
        }
    }

    #[test]
    fn turn_is_a_multiple_of_what_the_reader_had() {
        let mut overload = after(3 * MS);
        let end = (3 + 3 * TURN_SHARE) * MS;
        assert!(overload.refuses(|| 3 * MS));
        assert!(overload.refuses(|| end - Duration::from_micros(1)));
        assert!(!overload.refuses(|| end));
        assert!(!overload.refuses(|| panic!("the clock is not read outside a turn")));
        overload.begin_turn(end + MS);
        let end = end + (1 + TURN_SHARE) * MS;
        assert!(
            overload.refuses(|| end - Duration::from_micros(1)),
            "from the end of the last one"
        );
        assert!(!overload.refuses(|| end));
    }

    #[test]
    fn turn_is_bounded() {
        let mut overload = after(10_000 * MS);
        assert!(!overload.refuses(|| 10_000 * MS + LONGEST_TURN));
    }

    #[test]
    fn turn_ends_when_nobody_asks() {
        let mut overload = after(3 * MS);
        assert!((1..LOOKS).all(|_| !overload.look_idle(|| panic!("the clock is not read yet"))));
        assert!(overload.refuses(|| 3 * MS), "somebody does: the looks begin anew");
        assert!((1..LOOKS).all(|_| !overload.look_idle(|| panic!("the clock is not read yet"))));
        assert!(overload.look_idle(|| 4 * MS));
        assert!(!overload.has_turn() && !overload.look_idle(|| 4 * MS));
    }

    #[test]
    fn turn_ends_when_its_time_is_up() {
        let mut overload = after(3 * MS);
        let end = (3 + 3 * TURN_SHARE) * MS;
        assert!(!overload.expire(end - Duration::from_micros(1)));
        assert!(overload.expire(end) && !overload.has_turn());
    }

    #[test]
    fn end_of_the_ring_ends_everything() {
        let mut overload = after(3 * MS);
        overload.find_end();
        assert!(!overload.has_turn());
        overload.begin_turn(9 * MS);
        assert!(!overload.refuses(|| 9 * MS), "readers had nothing since");
    }

    #[test]
    fn time_that_others_took_too_long_is_given_back() {
        let mut overload = after(2 * MS);
        let late = (2 + 2 * TURN_SHARE) * MS + 5 * TURN_SHARE * MS;
        assert!(!overload.refuses(|| late), "what 5 ms of reading earn");
        for (after, turn) in [(2, false), (4, false), (6, true)] {
            overload.begin_turn(late + after * MS);
            assert_eq!(overload.has_turn(), turn, "after {after} ms");
        }
        let end = late + (6 + TURN_SHARE) * MS;
        assert!(overload.refuses(|| end - Duration::from_micros(1)) && !overload.refuses(|| end));
    }
}
