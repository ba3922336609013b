//! Events of the NIC: interrupts, link changes, hangs, removal, warnings.

use e1000_hw::nic::Interrupt;
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use e1000_hw::regs::Causes;
use e1000_hw::warnings::Warnings;
use e1000_hw::watchdog::Outcome;
use syscall::flag::EventFlags;

use super::{NetworkScheme, Occasion};

impl<R: Registers, D: DmaRegion, C: Clock> NetworkScheme<R, D, C> {
    /// Reads and acknowledges the causes of an interrupt on `vector`.
    pub fn acknowledge_interrupt(&mut self, vector: u16) {
        if self.nic.state().is_gone() {
            return;
        }
        match self.nic.interrupts().acknowledge(vector) {
            Interrupt::NotOurs | Interrupt::DeviceGone => {}
            Interrupt::Causes(causes) => {
                self.activity.interrupts += 1;
                self.hasten_self_test();
                self.nic.interrupts().moderate();
                if causes.contains(Causes::LSC) {
                    self.check_link();
                }
            }
        }
    }

    /// Holds off further interrupts if frames wait for a busy reader. To be called at the end of an interrupt.
    pub fn hold_off_interrupts(&mut self) {
        if self.has_frame() {
            self.nic.rx().hold_off_interrupts();
        }
    }

    /// Counts an interrupt as lost if none came since the last tick, and frames wait for a reader that an interrupt
    /// should have served; that includes a pending read.
    pub fn note_lost_interrupt(&mut self, has_pending_read: bool) {
        let quiet = self.interrupts_at_tick == self.activity.interrupts;
        self.interrupts_at_tick = self.activity.interrupts;
        if !quiet || !self.has_frame() {
            return;
        }
        if has_pending_read || self.handles.subscribers().any(|reader| reader.was_not_notified()) {
            self.activity.lost_interrupts += 1;
        }
    }

    /// Reads the link state and logs a change.
    pub fn check_link(&mut self) {
        if let Some(link) = self.nic.link().refresh(&self.clock) {
            log::info!("link {link}");
            self.activity.link_changes += 1;
            self.link_changed = true;
        }
        self.log_warnings();
    }

    /// Checks transmitter and link for hangs.
    pub fn watch(&mut self) {
        match self.nic.recovery().watch(&self.clock) {
            Outcome::Idle | Outcome::Busy | Outcome::DeviceGone => {}
            Outcome::Hung => log::debug!("the NIC still hangs"),
            Outcome::Reset => {
                log::warn!("the NIC hung and was reset (details in the file hang)");
                self.check_link();
            }
            Outcome::LinkHelped => self.check_link(),
        }
        self.log_warnings();
    }

    /// Logs the core's warnings, each once.
    pub fn log_warnings(&mut self) {
        if let Some(warnings) = self.take_warnings() {
            log::warn!("{warnings}");
        }
    }

    /// Warnings of the core that were not returned before.
    pub fn take_warnings(&mut self) -> Option<Warnings> {
        let new = self.nic.state().warnings().difference(self.reported);
        self.reported |= new;
        (!new.is_empty()).then_some(new)
    }

    /// Returns true once after the NIC was removed. Notifies subscribers of frames; those of the link are notified by
    /// [`Self::notify_of_link`].
    pub fn report_removal(&mut self, mut post: impl FnMut(usize, EventFlags)) -> bool {
        if !self.nic.state().is_gone() || std::mem::replace(&mut self.removed, true) {
            return false;
        }
        log::error!("the NIC is gone: its registers read as all ones");
        self.nic.link().refresh(&self.clock);
        self.abandon_self_test();
        self.activity.link_changes += 1;
        self.link_changed = true;
        for (id, subscriber) in self.handles.subscribers_mut() {
            if subscriber.notify(Occasion::Served) {
                post(id, EventFlags::EVENT_READ);
            }
        }
        true
    }
}
