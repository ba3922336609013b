//! Subscribers: which clients were notified of frames, and which have to be notified again.
//!
//! Redox's event queues keep every event that is posted. A superfluous event costs the client a useless poll (the stock
//! driver posts one to every handle at every occasion). A missing event delays a frame, or stops the client. So an
//! event is an edge: it is posted when there are frames and the client was not notified since it last found the ring
//! empty.
//!
//! A client may also stop reading before the ring is empty. It is notified again at the second tick of the timer after
//! its last read. A client that twice stopped after a single frame is taken for one that reads one frame for each
//! event: it is notified after each read that leaves frames, until it finds the ring empty. A client that keeps reading
//! has a read budget, and may have to yield to others ([`crate::overload`]).

use syscall::EventFlags;

use crate::overload::{BudgetUse, ReadBudget};

/// Stops after a single frame until a client is taken for one that reads one frame for each event. A single stop may be
/// due to the scheduler.
const STOPS: u32 = 2;

/// Occasion at which clients may be notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Requests or an interrupt were served.
    Served,
    /// The timer expired. A client that has not read since the last tick has stopped.
    Tick,
}

/// One reader: the events it asks for, and the notifications it got.
#[derive(Debug, Default)]
pub struct Subscriber {
    wants_read: bool,
    wants_write: bool,
    /// The process wrote `budget off`.
    unlimited: bool,
    /// An event was posted since the client last found no frame.
    notified: bool,
    /// Frames read since the last event.
    reads: u32,
    /// `reads` at the last tick.
    reads_at_tick: u32,
    /// Number of times that the client stopped after one frame, with others left, since it last found none.
    stops: u32,
    budget: ReadBudget,
}

impl Subscriber {
    /// Sets the events that the client's event queues ask for. Returns those that are due at once; the client counts as
    /// notified of them.
    pub fn subscribe(&mut self, flags: EventFlags, frames: bool, room: bool) -> EventFlags {
        self.wants_read = flags.contains(EventFlags::EVENT_READ);
        self.wants_write = flags.contains(EventFlags::EVENT_WRITE);
        let mut now = EventFlags::empty();
        self.forget();
        if frames && self.notify(Occasion::Served) {
            now |= EventFlags::EVENT_READ;
        }
        if room && self.wants_write {
            now |= EventFlags::EVENT_WRITE;
        }
        now
    }

    /// Turns the client's read budget off or on.
    pub fn set_unlimited(&mut self, unlimited: bool) {
        self.unlimited = unlimited;
    }

    /// Returns true if a non-blocking read may be refused although there are frames: the client gets events, and did
    /// not write `budget off`.
    pub fn has_budget(&self) -> bool {
        self.wants_read && !self.unlimited
    }

    /// Returns true if the client has read as many frames in a row as it may.
    pub fn has_spent_budget(&self) -> bool {
        self.has_budget() && self.budget.is_spent()
    }

    /// Records that a read was refused although there may be frames: the client has to be notified again.
    pub fn refuse(&mut self) {
        self.notified = false;
        self.budget.renew();
    }

    /// Records that the client read a frame. Returns the state of its budget. For a client without a budget, which is
    /// never refused, the count starts again when it reaches the budget.
    pub fn read_frame(&mut self) -> BudgetUse {
        self.reads = self.reads.saturating_add(1);
        let used = self.budget.use_one();
        if used == BudgetUse::Spent && !self.has_budget() {
            self.budget.renew();
        }
        used
    }

    /// Records that the client found no frame: it has to be notified of the next one.
    pub fn find_none(&mut self) {
        self.forget();
    }

    fn forget(&mut self) {
        (self.notified, self.stops) = (false, 0);
        self.budget.renew();
    }

    /// Returns true if an event has to be posted to the client. To be called when there are frames.
    pub fn notify(&mut self, occasion: Occasion) -> bool {
        if !self.wants_read {
            return false;
        }
        let stopped = occasion == Occasion::Tick && self.reads > 0 && self.reads == self.reads_at_tick;
        if stopped && self.reads == 1 {
            self.stops = self.stops.saturating_add(1);
        }
        if stopped || self.expects_event() {
            self.notified = true;
            self.reads = 0;
            self.reads_at_tick = 0;
            return true;
        }
        if occasion == Occasion::Tick {
            self.reads_at_tick = self.reads;
        }
        false
    }

    /// Returns true if the client has to be notified as soon as there is a frame.
    pub fn expects_event(&self) -> bool {
        let one_for_each_event = self.stops >= STOPS && self.reads > 0;
        self.wants_read && (!self.notified || one_for_each_event)
    }

    /// Returns true if the client may have stopped before the ring was empty, so that a tick has to check it.
    pub fn may_have_stopped(&self) -> bool {
        self.wants_read && self.notified && self.reads > 0
    }

    /// Returns true if the client wants to be notified of frames and was not.
    pub fn was_not_notified(&self) -> bool {
        self.wants_read && !self.notified
    }

    /// Returns true if the client wants to be notified of room to transmit.
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
        assert!(!subscriber.notify(Occasion::Tick));
        let mut writer = Subscriber::default();
        assert_eq!(
            writer.subscribe(EventFlags::EVENT_WRITE, true, true),
            EventFlags::EVENT_WRITE
        );
        assert!(!writer.notify(Occasion::Served));
    }

    #[test]
    fn an_edge_is_told_once() {
        let mut subscriber = subscribed();
        assert!(subscriber.notify(Occasion::Served));
        for _ in 0..10 {
            assert!(!subscriber.notify(Occasion::Served));
            assert!(
                !subscriber.notify(Occasion::Tick),
                "it has not even started to read"
            );
        }
        subscriber.read_frame();
        subscriber.find_none();
        assert!(subscriber.notify(Occasion::Served));
    }

    #[test]
    fn late_subscriber_is_told_at_once_and_only_once() {
        let mut subscriber = Subscriber::default();
        assert_eq!(
            subscriber.subscribe(EventFlags::EVENT_READ, true, false),
            EventFlags::EVENT_READ
        );
        assert!(!subscriber.notify(Occasion::Served));
    }

    #[test]
    fn reader_at_the_end_of_its_budget_is_refused_once_and_told_at_once() {
        let mut subscriber = subscribed();
        assert!(subscriber.notify(Occasion::Served));
        for _ in 0..3 {
            assert!(
                (1..BUDGET)
                    .all(|_| subscriber.read_frame() != BudgetUse::Spent && !subscriber.has_spent_budget())
            );
            assert_eq!(subscriber.read_frame(), BudgetUse::Spent);
            assert!(subscriber.has_spent_budget());
            subscriber.refuse();
            assert!(!subscriber.has_spent_budget());
            assert!(subscriber.notify(Occasion::Served));
        }
    }

    #[test]
    fn reader_that_finds_the_end_has_its_whole_budget_again() {
        let mut subscriber = subscribed();
        for _ in 0..10 {
            assert!((1..BUDGET).all(|_| subscriber.read_frame() != BudgetUse::Spent));
            subscriber.find_none();
        }
        assert!(!subscriber.has_spent_budget());
    }

    #[test]
    fn reader_without_events_or_limit_has_no_budget() {
        let mut alone = subscribed();
        alone.set_unlimited(true);
        for mut subscriber in [Subscriber::default(), alone] {
            let spent = (0..2 * BUDGET).filter(|_| subscriber.read_frame() == BudgetUse::Spent);
            assert_eq!(spent.count(), 2, "the driver yields as often as with others");
            assert!(!subscriber.has_spent_budget());
        }
    }

    #[test]
    fn subscription_that_is_taken_back_ends_what_was_held_against_its_reader() {
        let mut subscriber = subscribed();
        for _ in 0..BUDGET {
            subscriber.read_frame();
        }
        assert!(subscriber.has_spent_budget());
        subscriber.subscribe(EventFlags::empty(), true, false);
        assert!(!subscriber.has_spent_budget() && !subscriber.has_budget());
        subscriber.subscribe(EventFlags::EVENT_READ, true, false);
        assert!(!subscriber.has_spent_budget());
    }

    #[test]
    fn reader_of_one_frame_for_each_event_is_told_after_each() {
        let mut subscriber = subscribed();
        assert!(subscriber.notify(Occasion::Served));
        for _ in 0..STOPS {
            subscriber.read_frame();
            assert!(!subscriber.notify(Occasion::Served) && !subscriber.notify(Occasion::Tick));
            assert!(subscriber.notify(Occasion::Tick));
        }
        for _ in 0..100 {
            assert!(!subscriber.notify(Occasion::Served), "it has not read");
            subscriber.read_frame();
            assert!(subscriber.notify(Occasion::Served));
        }
        subscriber.read_frame();
        subscriber.find_none();
        assert!(subscriber.notify(Occasion::Served));
        subscriber.read_frame();
        assert!(
            !subscriber.notify(Occasion::Served),
            "it reads to the end after all"
        );
    }

    #[test]
    fn reader_that_stops_is_told_at_the_second_tick() {
        let mut subscriber = subscribed();
        assert!(subscriber.notify(Occasion::Served));
        for _ in 0..10 {
            subscriber.read_frame();
            assert!(!subscriber.notify(Occasion::Served));
        }
        assert!(subscriber.may_have_stopped());
        assert!(!subscriber.notify(Occasion::Tick), "it may still be reading");
        assert!(subscriber.notify(Occasion::Tick), "it was not");
        assert!(!subscriber.may_have_stopped());
    }

    #[test]
    fn ticks_do_not_disturb_an_active_reader() {
        let mut subscriber = subscribed();
        assert!(subscriber.notify(Occasion::Served));
        let mut events = 0;
        for _ in 0..1000 {
            subscriber.read_frame();
            events += u32::from(subscriber.notify(Occasion::Tick));
        }
        assert_eq!(events, 0);
    }
}
