//! Who was told that frames are there, and who has to be told again.
//!
//! Event queues of Redox keep every event that is posted, so each surplus one costs the client a useless poll
//! (the stock driver posts to every handle at every occasion). A missing one costs it a frame's latency, or for
//! ever. So an event is an edge: posted when frames are there and the client has not been told since it last
//! found none. A client may also stop reading before it finds none (smolnetd stops after 128 frames): it is told again
//! at the next interrupt or timer that finds it where it was at the last one. A client that reads on and on is stopped
//! ([`crate::pace`]), and told when it is its turn again.

use std::time::Duration;

use syscall::EventFlags;

use crate::pace::Pace;

/// Why it is being asked whether to post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Requests were served.
    Served,
    /// An interrupt or the timer: a client that did nothing since the last one has stopped.
    Check,
}

/// One data handle's interest in events, and what it knows.
#[derive(Debug, Default)]
pub struct Subscriber {
    wants_read: bool,
    wants_write: bool,
    /// An event was posted since the client last found no frame.
    told: bool,
    /// Frames read since the last event.
    reads: u32,
    /// `reads` at the last check.
    reads_at_check: u32,
    /// Whether it may go on reading.
    pace: Pace,
}

impl Subscriber {
    /// The client's event queues now want `flags`. Returns those that are true at once; they count as told.
    pub fn subscribe(&mut self, flags: EventFlags, frames: bool, room: bool) -> EventFlags {
        self.wants_read = flags.contains(EventFlags::EVENT_READ);
        self.wants_write = flags.contains(EventFlags::EVENT_WRITE);
        let mut now = EventFlags::empty();
        self.told = false;
        if frames && self.tell(Occasion::Served) {
            now |= EventFlags::EVENT_READ;
        }
        if room && self.wants_write {
            now |= EventFlags::EVENT_WRITE;
        }
        now
    }

    /// A read that does not wait arrived. Returns whether to say that there is no frame, whatever there is: the client
    /// had its share, and will be told when it is its turn again.
    pub fn hold(&mut self) -> bool {
        let hold = self.pace.hold();
        if hold {
            self.told = false;
        }
        hold
    }

    /// The client read a frame. Returns whether it has read many in a row, for which `now` tells the time.
    pub fn read_frame(&mut self, now: impl FnOnce() -> Duration) -> bool {
        self.reads = self.reads.saturating_add(1);
        self.pace.read_frame(now)
    }

    /// Whether frames have been coming faster than the client reads them for some time.
    pub fn is_flooded(&self) -> bool {
        self.pace.is_flooded()
    }

    /// Has the client find no frames for a while, if it is one that would be told of them.
    pub fn pause(&mut self) {
        if self.wants_read {
            self.pace.pause();
        }
    }

    /// The client found no frame: the next one is news.
    pub fn found_none(&mut self) {
        self.told = false;
        self.pace.found_none();
    }

    /// Frames are there. Returns whether to post an event.
    pub fn tell(&mut self, occasion: Occasion) -> bool {
        if !self.wants_read {
            return false;
        }
        if occasion == Occasion::Check && self.pace.check() {
            self.told = false;
        }
        if self.pace.is_paused() {
            return false;
        }
        let stopped = occasion == Occasion::Check && self.reads > 0 && self.reads == self.reads_at_check;
        if !self.told || stopped {
            self.told = true;
            self.reads = 0;
            self.reads_at_check = 0;
            return true;
        }
        if occasion == Occasion::Check {
            self.reads_at_check = self.reads;
        }
        false
    }

    /// Whether frames are kept from the client now.
    pub fn is_paused(&self) -> bool {
        self.pace.is_paused()
    }

    /// Whether the client may have stopped in the middle, so that a check is due after a while.
    pub fn may_have_stopped(&self) -> bool {
        self.wants_read && (self.pace.is_paused() || self.told && self.reads > 0)
    }

    /// Whether the client wants to be told of frames and was not.
    pub fn waits_untold(&self) -> bool {
        self.wants_read && !self.told && !self.pace.is_paused()
    }

    /// Whether room to transmit is worth an event.
    pub fn wants_write(&self) -> bool {
        self.wants_write
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::BURST;

    /// What reading a frame takes on a slow machine.
    const SLOW: Duration = Duration::from_micros(100);

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
        assert!(!subscriber.tell(Occasion::Check));
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
                !subscriber.tell(Occasion::Check),
                "it has not even started to read"
            );
        }
        subscriber.read_frame(|| Duration::ZERO);
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
    fn reader_that_never_finds_the_end_is_paused_and_told_when_it_may_go_on() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        assert!((1..BURST).all(|number| !subscriber.read_frame(|| SLOW * number)));
        assert!(subscriber.read_frame(|| SLOW * BURST));
        subscriber.pause();
        for _ in 0..BURST {
            assert!(!subscriber.tell(Occasion::Served));
            assert!(subscriber.hold());
        }
        assert!(subscriber.tell(Occasion::Served));
        assert!(!subscriber.hold());
    }

    #[test]
    fn paused_reader_that_has_stopped_is_told_at_the_next_check() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        for number in 0..BURST {
            subscriber.read_frame(|| SLOW * number);
        }
        subscriber.pause();
        assert!(subscriber.may_have_stopped() && !subscriber.waits_untold());
        assert!(subscriber.tell(Occasion::Check));
        assert!(!subscriber.is_paused());
    }

    #[test]
    fn reader_without_events_is_not_paused() {
        let mut subscriber = Subscriber::default();
        for number in 0..BURST {
            subscriber.read_frame(|| SLOW * number);
        }
        subscriber.pause();
        assert!(!subscriber.hold());
    }

    #[test]
    fn reader_that_stops_is_told_at_the_second_check() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        for _ in 0..10 {
            subscriber.read_frame(|| Duration::ZERO);
            assert!(!subscriber.tell(Occasion::Served));
        }
        assert!(subscriber.may_have_stopped());
        assert!(!subscriber.tell(Occasion::Check), "it may still be reading");
        assert!(subscriber.tell(Occasion::Check), "it was not");
        assert!(!subscriber.may_have_stopped());
    }

    #[test]
    fn interrupts_do_not_disturb_an_active_reader() {
        let mut subscriber = subscribed();
        assert!(subscriber.tell(Occasion::Served));
        let mut events = 0;
        for _ in 0..1000 {
            subscriber.read_frame(|| Duration::ZERO);
            events += u32::from(subscriber.tell(Occasion::Check));
        }
        assert_eq!(events, 0);
    }
}
