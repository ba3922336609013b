//! Who was told that frames are there, and who has to be told again.
//!
//! Event queues of Redox keep every event that is posted, so each surplus one costs the client a useless poll
//! (the stock driver posts to every handle at every occasion). A missing one costs it a frame's latency, or for
//! ever. So an event is an edge: posted when frames are there and the client has not been told since it last
//! found none. A client may also stop reading before it finds none: it is told again at the first tick of the timer
//! that finds it where it was at the last one. If it stops after a single frame twice without having found none, it reads one
//! for each event, and is told after each read that leaves frames, until it finds none. A client that reads on and on has a budget, and others may have their turn
//! ([`crate::overload`]).

use syscall::EventFlags;

use crate::overload::{BudgetUse, ReadBudget};

/// Stops after one frame after which a client is taken for one that reads a frame for each event. One may come from the
/// scheduler.
const STOPS: u32 = 2;

/// Why it is being asked whether to post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Requests or an interrupt were served.
    Served,
    /// The timer went off: a client that did nothing since the last time has stopped.
    Tick,
}

/// One data handle's interest in events, and what it knows.
#[derive(Debug, Default)]
pub struct Subscriber {
    wants_read: bool,
    wants_write: bool,
    /// Its process asked to be told that there is nothing only when that is so.
    unlimited: bool,
    /// An event was posted since the client last found no frame.
    told: bool,
    /// Frames read since the last event.
    reads: u32,
    /// `reads` at the last tick.
    reads_at_tick: u32,
    /// How often it stopped after one frame, with others left, since it last found none.
    stops: u32,
    budget: ReadBudget,
}

impl Subscriber {
    /// The client's event queues now want `flags`. Returns those that are true at once; they count as told.
    pub fn subscribe(&mut self, flags: EventFlags, frames: bool, room: bool) -> EventFlags {
        self.wants_read = flags.contains(EventFlags::EVENT_READ);
        self.wants_write = flags.contains(EventFlags::EVENT_WRITE);
        let mut now = EventFlags::empty();
        (self.told, self.stops) = (false, 0);
        self.budget.renew();
        if frames && self.tell(Occasion::Served) {
            now |= EventFlags::EVENT_READ;
        }
        if room && self.wants_write {
            now |= EventFlags::EVENT_WRITE;
        }
        now
    }

    /// Sets whether the client has no budget.
    pub fn set_unlimited(&mut self, unlimited: bool) {
        self.unlimited = unlimited;
    }

    /// Whether a read that does not wait may be told that there is nothing though there is: the client will be told when
    /// there is, and has not asked for more.
    pub fn has_budget(&self) -> bool {
        self.wants_read && !self.unlimited
    }

    /// Whether the client has read as much in a row as it may, and is to be told that there is nothing more.
    pub fn is_at_end_of_budget(&self) -> bool {
        self.has_budget() && self.budget.is_spent()
    }

    /// The client is told that there is nothing, though there is. It will be told otherwise.
    pub fn refuse(&mut self) {
        self.told = false;
        self.budget.renew();
    }

    /// The client read a frame. Returns what became of its budget; that of a client without one starts anew when it is
    /// spent.
    pub fn read_frame(&mut self) -> BudgetUse {
        self.reads = self.reads.saturating_add(1);
        let used = self.budget.use_one();
        if used == BudgetUse::Spent && !self.has_budget() {
            self.budget.renew();
        }
        used
    }

    /// The client found no frame: the next one is news.
    pub fn found_none(&mut self) {
        (self.told, self.stops) = (false, 0);
        self.budget.renew();
    }

    /// Frames are there. Returns whether to post an event.
    pub fn tell(&mut self, occasion: Occasion) -> bool {
        if !self.wants_read {
            return false;
        }
        let stopped = occasion == Occasion::Tick && self.reads > 0 && self.reads == self.reads_at_tick;
        if stopped && self.reads == 1 {
            self.stops = self.stops.saturating_add(1);
        }
        let one_for_each_event = self.stops >= STOPS && self.reads > 0;
        if !self.told || stopped || one_for_each_event {
            self.told = true;
            self.reads = 0;
            self.reads_at_tick = 0;
            return true;
        }
        if occasion == Occasion::Tick {
            self.reads_at_tick = self.reads;
        }
        false
    }

    /// Whether the client may have stopped in the middle, so that a check is due after a while.
    pub fn may_have_stopped(&self) -> bool {
        self.wants_read && self.told && self.reads > 0
    }

    /// Whether the client wants to be told of frames and was not.
    pub fn waits_untold(&self) -> bool {
        self.wants_read && !self.told
    }

    /// Whether room to transmit is worth an event.
    pub fn wants_write(&self) -> bool {
        self.wants_write
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::BUDGET;

    fn subscribed() -> Subscriber {
        let mut subscriber = Subscriber::default();
        assert_eq!(
            subscriber.subscribe(EventFlags::EVENT_READ, false, true),
            EventFlags::empty()
        );
        subscriber
    }

    #[test]
    fn nobody_is_told_who_did_not_ask() {
        let mut subscriber = Subscriber::default();
        assert!(!subscriber.tell(Occasion::Tick));
        let mut writer = Subscriber::default();
        assert_eq!(
            writer.subscribe(EventFlags::EVENT_WRITE, true, true),
            EventFlags::EVENT_WRITE
        );
        assert!(!writer.tell(Occasion::Served));
    }

    #[test]
    fn an_edge_is_told_once() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        for _ in 0..10 {
            assert!(!subscriber.tell(Occasion::Served));
            assert!(
                !subscriber.tell(Occasion::Tick),
                "it has not even started to read"
            );
        }
        subscriber.read_frame();
        subscriber.found_none();
        assert!(subscriber.tell(Occasion::Served));
    }

    #[test]
    fn late_subscriber_is_told_at_once_and_only_once() {
        let mut subscriber = Subscriber::default();
        assert_eq!(
            subscriber.subscribe(EventFlags::EVENT_READ, true, false),
            EventFlags::EVENT_READ
        );
        assert!(!subscriber.tell(Occasion::Served));
    }

    #[test]
    fn reader_at_the_end_of_its_budget_is_refused_once_and_told_at_once() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        for _ in 0..3 {
            assert!((1..BUDGET).all(|_| subscriber.read_frame() != BudgetUse::Spent && !subscriber.is_at_end_of_budget()));
            assert_eq!(subscriber.read_frame(), BudgetUse::Spent);
            assert!(subscriber.is_at_end_of_budget());
            subscriber.refuse();
            assert!(!subscriber.is_at_end_of_budget());
            assert!(subscriber.tell(Occasion::Served));
        }
    }

    #[test]
    fn reader_that_finds_the_end_has_its_whole_budget_again() {
        let mut subscriber = subscribed();
        for _ in 0..10 {
            assert!((1..BUDGET).all(|_| subscriber.read_frame() != BudgetUse::Spent));
            subscriber.found_none();
        }
        assert!(!subscriber.is_at_end_of_budget());
    }

    #[test]
    fn reader_without_events_or_limit_has_no_budget() {
        let mut alone = subscribed();
        alone.set_unlimited(true);
        for mut subscriber in [Subscriber::default(), alone] {
            let spent = (0..2 * BUDGET).filter(|_| subscriber.read_frame() == BudgetUse::Spent);
            assert_eq!(spent.count(), 2, "the driver yields as often as with others");
            assert!(!subscriber.is_at_end_of_budget());
        }
    }

    #[test]
    fn subscription_that_is_taken_back_ends_what_was_held_against_its_reader() {
        let mut subscriber = subscribed();
        for _ in 0..BUDGET {
            subscriber.read_frame();
        }
        assert!(subscriber.is_at_end_of_budget());
        subscriber.subscribe(EventFlags::empty(), true, false);
        assert!(!subscriber.is_at_end_of_budget() && !subscriber.has_budget());
        subscriber.subscribe(EventFlags::EVENT_READ, true, false);
        assert!(!subscriber.is_at_end_of_budget());
    }

    #[test]
    fn reader_of_one_frame_for_each_event_is_told_after_each() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        for _ in 0..STOPS {
            subscriber.read_frame();
            assert!(!subscriber.tell(Occasion::Served) && !subscriber.tell(Occasion::Tick));
            assert!(subscriber.tell(Occasion::Tick));
        }
        for _ in 0..100 {
            assert!(!subscriber.tell(Occasion::Served), "it has not read");
            subscriber.read_frame();
            assert!(subscriber.tell(Occasion::Served));
        }
        subscriber.read_frame();
        subscriber.found_none();
        assert!(subscriber.tell(Occasion::Served));
        subscriber.read_frame();
        assert!(
            !subscriber.tell(Occasion::Served),
            "it reads to the end after all"
        );
    }

    #[test]
    fn reader_that_stops_is_told_at_the_second_tick() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        for _ in 0..10 {
            subscriber.read_frame();
            assert!(!subscriber.tell(Occasion::Served));
        }
        assert!(subscriber.may_have_stopped());
        assert!(!subscriber.tell(Occasion::Tick), "it may still be reading");
        assert!(subscriber.tell(Occasion::Tick), "it was not");
        assert!(!subscriber.may_have_stopped());
    }

    #[test]
    fn ticks_do_not_disturb_an_active_reader() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        let mut events = 0;
        for _ in 0..1000 {
            subscriber.read_frame();
            events += u32::from(subscriber.tell(Occasion::Tick));
        }
        assert_eq!(events, 0);
    }
}
