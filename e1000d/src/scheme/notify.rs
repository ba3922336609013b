//! Notifications: events for the event queues of handles.

use e1000_hw::platform::{Clock, DmaRegion, Registers};
use syscall::flag::EventFlags;

use super::{NetworkScheme, Occasion};

impl<R: Registers, D: DmaRegion, C: Clock> NetworkScheme<R, D, C> {
    /// Notifies readers that there are frames. Checks the receive ring only if a reader may expect a notification, so a
    /// batch of writes by a client that does not read does not touch it.
    pub fn notify_of_frames(&mut self, occasion: Occasion, mut post: impl FnMut(usize, EventFlags)) {
        let may_notify = self.reader_may_expect_event || occasion == Occasion::Tick;
        if !may_notify || !self.has_frame() {
            return;
        }
        let yields = self.overload.others.is_active();
        self.reader_may_expect_event = false;
        for (id, subscriber) in self.handles.subscribers_mut() {
            if !(yields && subscriber.has_budget()) && subscriber.notify(occasion) {
                post(id, EventFlags::EVENT_READ);
            }
            self.reader_may_expect_event |= subscriber.expects_event();
        }
    }

    /// Notifies writers that there is room to transmit.
    pub fn notify_of_room(&mut self, mut post: impl FnMut(usize, EventFlags)) {
        for (id, subscriber) in self.handles.subscribers_mut() {
            if subscriber.wants_write() {
                post(id, EventFlags::EVENT_WRITE);
            }
        }
    }

    /// Notifies readers of the file `link` of a change.
    pub fn notify_of_link(&mut self, mut post: impl FnMut(usize, EventFlags)) {
        if !std::mem::take(&mut self.link_changed) {
            return;
        }
        for (id, open) in self.handles.files_mut() {
            if open.notify(self.activity.link_changes) {
                post(id, EventFlags::EVENT_READ);
            }
        }
    }

    /// Returns true if a tick has to check the readers: one may have stopped with frames left, or waits for the end of
    /// a yield to others.
    pub fn reader_may_have_stopped(&mut self) -> bool {
        let stopped = self.handles.subscribers().any(|reader| reader.may_have_stopped());
        (stopped || self.overload.others.is_active()) && self.has_frame()
    }
}
