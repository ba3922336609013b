//! Recovery: the watchdog of the transmitter, and resets.

use super::{Nic, Power};
use crate::bring_up;
use crate::link::Link;
use crate::phy::{self, Advertise};
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs::{self, Status};
use crate::reset;
use crate::wait::TimedOut;
use crate::watchdog::Outcome;

/// Recovery: [`Nic::recovery`]. Both methods may sleep.
pub struct Recovery<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> Recovery<'_, R, D> {
    /// Checks transmitter and link for hangs. To be called every second while
    /// [`State::needs_watching`](super::State::needs_watching) returns true.
    ///
    /// Reads at most one register if nothing is wrong; the PHY of 82574 is checked every two seconds while frames are
    /// sent. A reset takes up to 200 ms and preserves filters and MTU; frames in the rings are lost. The caller updates
    /// the link state afterwards ([`LinkControl::refresh`](super::LinkControl::refresh)).
    ///
    /// Context: may sleep, up to 200 ms.
    pub fn watch(&mut self, clock: &impl Clock) -> Outcome {
        self.nic.watch(clock)
    }

    /// Resets the device and programs it again, also after [`Nic::halt`]. Filters, MTU and interrupts are as before,
    /// the rings are empty.
    ///
    /// Context: may sleep, up to 200 ms.
    ///
    /// # Errors
    ///
    /// When the reset does not end. The device is then off and the link down; [`Self::watch`] tries again.
    pub fn restart(&mut self, clock: &impl Clock) -> Result<(), TimedOut> {
        self.nic.restart(clock)
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    pub(super) fn needs_watching(&self) -> bool {
        if self.self_test.is_some() || self.gone {
            return false;
        }
        match self.power {
            Power::On => self.link_needs_help() || self.tx.in_flight() > 0 && self.link.is_up(),
            Power::Off => true,
            Power::Halted { .. } => false,
        }
    }

    fn watch(&mut self, clock: &impl Clock) -> Outcome {
        if self.self_test.is_some() {
            return Outcome::Idle;
        }
        if self.gone {
            return Outcome::DeviceGone;
        }
        self.tx.reclaim();
        match self.power {
            Power::On => {}
            Power::Off => return self.try_again(clock),
            Power::Halted { .. } => return Outcome::Idle,
        }
        if let Some(outcome) = self.maintain_link(clock) {
            return outcome;
        }
        let Link::Up { mbit_s, .. } = self.link else {
            return Outcome::Idle;
        };
        let (oldest, ..) = self.tx.position();
        if self.tx.in_flight() == 0 {
            self.watchdog.idle(oldest);
            return Outcome::Idle;
        }
        let now = clock.now();
        if !self.watchdog.overdue(oldest, now, mbit_s) {
            return Outcome::Busy;
        }
        let status = self.device.registers.read(regs::STATUS);
        if status == regs::ALL_ONES {
            self.gone = true;
            return Outcome::DeviceGone;
        }
        if status & Status::TXOFF.bits() != 0 {
            self.watchdog.excused(now);
            return Outcome::Busy;
        }
        if self.flush_descriptors(clock) {
            self.watchdog.recoveries.flushes += 1;
            return Outcome::Busy;
        }
        if !self.watchdog.may_reset(now) {
            return Outcome::Hung;
        }
        self.watchdog.recoveries.hangs += 1;
        self.watchdog.snapshot = Some(self.snapshot(now));
        self.recover(clock)
    }

    /// Resets a device that hangs.
    pub(super) fn recover(&mut self, clock: &impl Clock) -> Outcome {
        match self.restart(clock) {
            Ok(()) => {
                self.watchdog.was_reset();
                Outcome::Reset
            }
            Err(_) => {
                self.watchdog.recoveries.failed_resets += 1;
                Outcome::Hung
            }
        }
    }

    /// Tries another reset after one that did not end, with increasing delays.
    fn try_again(&mut self, clock: &impl Clock) -> Outcome {
        self.gone |= self.device.registers.read(regs::STATUS) == regs::ALL_ONES;
        if self.gone {
            Outcome::DeviceGone
        } else if self.watchdog.may_reset(clock.now()) {
            self.recover(clock)
        } else {
            Outcome::Hung
        }
    }

    /// Makes 8257x write back descriptors, twice as Linux e1000e does (`e1000e_flush_descriptors`). Returns true if one
    /// of them is done afterwards.
    fn flush_descriptors(&mut self, clock: &impl Clock) -> bool {
        let registers = &self.device.registers;
        let before = self.tx.in_flight();
        if self.device.chip.mac().is_pcie() {
            let delay = registers.read(regs::TIDV);
            for _ in 0..2 {
                registers.write(regs::TIDV, delay | regs::TIDV_FPD);
                registers.read(regs::STATUS);
            }
            clock.sleep(core::time::Duration::from_millis(1));
        }
        self.tx.reclaim();
        self.tx.in_flight() < before
    }

    pub(super) fn restart(&mut self, clock: &impl Clock) -> Result<(), TimedOut> {
        // Stays off until the reset has ended.
        self.power = Power::Off;
        self.collect_statistics();
        // A change of the packet buffer's split takes effect with the reset.
        bring_up::split_packet_buffer(&self.device.registers, self.device.chip, self.mtu);
        let (registers, chip) = (&self.device.registers, self.device.chip);
        self.warnings |= reset::reset(registers, chip, clock)?;
        self.warnings |= phy::bring_up(registers, chip, clock, Advertise { pause: self.pause });
        self.maintenance.was_reset(chip);
        let link = self.link;
        self.program(clock);
        // The link goes down in the reset. If it is up again before the next `refresh`, that would see no change and
        // not program the MAC for what was negotiated.
        self.link_suspect |= !self.link.is_up();
        // The next `refresh` reports the change to the caller.
        self.link = link;
        self.backlog = false;
        self.route_interrupts(self.routing);
        if self.interrupts_enabled {
            self.enable_interrupts();
            if self.transmit_interrupt {
                self.set_transmit_interrupt(true);
            }
        }
        Ok(())
    }
}
