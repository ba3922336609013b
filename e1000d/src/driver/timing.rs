//! Work that depends on time: ticks of the timer. It is armed only while some work is due, so an idle driver sleeps.

use std::time::Duration;

use e1000_hw::platform::{Clock, DmaRegion, Registers};

use super::{AnswerSink, Driver};
use crate::scheme::Occasion;

/// Interval of polling the rings without an interrupt, of checking a reader that stopped with frames left, and of
/// checking for room to transmit. It is the kernel's timer tick.
const TICK: Duration = Duration::from_millis(4);
/// Interval of polling the link while frames wait for it, in case its interrupt is lost.
const LINK_INTERVAL: Duration = Duration::from_millis(500);
/// Interval of checking transmitter and link for hangs.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Time after which frames that wait for the link are dropped: longer than dhcpd waits for its answer.
const LINK_LIMIT: Duration = Duration::from_secs(35);

/// State of the work that needs time.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// A tick is due that will check the transmitter.
    watching: bool,
    /// Time at which frames were first found waiting for the link.
    waiting_since: Option<Duration>,
}

impl<R: Registers, D: DmaRegion, C: Clock, S: AnswerSink> Driver<R, D, C, S> {
    /// Does all work that may be due. To be called after the delay that [`Self::next_tick`] returned.
    pub fn tick(&mut self) {
        self.timing.watching = false;
        if self.scheme.continue_self_test() {
            return self.finish(Occasion::Tick);
        }
        if !self.scheme.is_polling() {
            self.scheme.note_lost_interrupt(!self.pending.reads.is_empty());
        }
        self.scheme.expire_yield();
        if !self.scheme.nic().state().link().is_up() {
            self.scheme.check_link();
        }
        self.scheme.watch();
        self.drop_old_frames();
        self.finish(Occasion::Tick);
        if self.scheme.is_polling() {
            self.scheme.nic().rx().flush();
        }
    }

    /// Drops frames that have waited too long for the link.
    fn drop_old_frames(&mut self) {
        let nic = self.scheme.nic();
        if nic.state().pending_frames() == 0 || nic.state().link().is_up() {
            self.timing.waiting_since = None;
            return;
        }
        let now = self.scheme.now();
        let since = *self.timing.waiting_since.get_or_insert(now);
        if now.saturating_sub(since) > LINK_LIMIT {
            self.scheme.nic().tx().drop_pending();
            self.timing.waiting_since = None;
        }
    }

    /// Delay until the next tick, for a timer that may be armed already; `None` if no new work is due, as on an idle
    /// NIC. While frames are sent, the timer is set once a second.
    pub fn next_tick(&mut self) -> Option<Duration> {
        if self.scheme.nic().state().is_gone() {
            return None;
        }
        let delay = if let Some(delay) = self.scheme.self_test_due() {
            delay
        } else if self.scheme.is_polling()
            || !self.pending.writes.is_empty()
            || self.scheme.reader_may_have_stopped()
        {
            TICK
        } else if self.scheme.nic().state().pending_frames() > 0 {
            LINK_INTERVAL
        } else if !self.timing.watching && self.scheme.nic().state().needs_watching() {
            WATCH_INTERVAL
        } else {
            return None;
        };
        self.timing.watching = true;
        Some(delay)
    }
}
