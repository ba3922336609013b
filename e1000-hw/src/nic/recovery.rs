//! What happens when the NIC hangs.

use super::{Nic, control};
use crate::link::Link;
use crate::phy::{self, Advertise};
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs::{self, Status};
use crate::reset;
use crate::wait::TimedOut;
use crate::watchdog::{Finding, Recoveries, Snapshot};

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Whether [`Self::watch`] is due in a second: frames are with the hardware, a reset did not end, or the link needs
    /// to be helped. Never on an idle NIC whose link is steady.
    pub fn needs_watching(&self) -> bool {
        if self.is_testing() || self.gone {
            return false;
        }
        self.off || self.link_needs_help() || self.tx.in_flight() > 0 && self.link.is_up()
    }

    /// Looks after transmitter and link: to be called every second while [`Self::needs_watching`].
    ///
    /// Reads one register at most if all is well; the PHY of 82574 is asked every two seconds while frames are sent. A
    /// reset takes up to 200 ms; filters and MTU survive it, frames in the rings are lost. Look at the link afterwards
    /// ([`Self::refresh_link`]).
    pub fn watch(&mut self, clock: &impl Clock) -> Finding {
        if self.is_testing() {
            return Finding::Idle;
        }
        if self.gone {
            return Finding::DeviceGone;
        }
        self.tx.reclaim();
        if self.off {
            return self.try_again(clock);
        }
        if let Some(finding) = self.look_after_link(clock) {
            return finding;
        }
        let Link::Up { mbit_s, .. } = self.link else {
            return Finding::Idle;
        };
        let (oldest, ..) = self.tx.position();
        if self.tx.in_flight() == 0 {
            self.watchdog.idle(oldest);
            return Finding::Idle;
        }
        let now = clock.now();
        if !self.watchdog.overdue(oldest, now, mbit_s) {
            return Finding::Busy;
        }
        let status = self.device.registers.read(regs::STATUS);
        if status == regs::ALL_ONES {
            self.gone = true;
            return Finding::DeviceGone;
        }
        if status & Status::TXOFF.bits() != 0 {
            self.watchdog.excused(now);
            return Finding::Busy;
        }
        if self.flush_descriptors(clock) {
            self.watchdog.recoveries.flushes += 1;
            return Finding::Busy;
        }
        if !self.watchdog.may_reset(now) {
            return Finding::Hung;
        }
        self.watchdog.recoveries.hangs += 1;
        self.watchdog.snapshot = Some(self.snapshot(now));
        self.recover(clock)
    }

    /// Resets a device that hangs.
    pub(super) fn recover(&mut self, clock: &impl Clock) -> Finding {
        match self.restart(clock) {
            Ok(()) => {
                self.watchdog.was_reset();
                Finding::Reset
            }
            Err(_) => {
                self.watchdog.recoveries.failed_resets += 1;
                Finding::Hung
            }
        }
    }

    /// A reset did not end: another one, ever more rarely.
    fn try_again(&mut self, clock: &impl Clock) -> Finding {
        self.gone |= self.device.registers.read(regs::STATUS) == regs::ALL_ONES;
        if self.gone {
            Finding::DeviceGone
        } else if self.watchdog.may_reset(clock.now()) {
            self.recover(clock)
        } else {
            Finding::Hung
        }
    }

    /// What the watchdog did so far.
    pub fn recoveries(&self) -> Recoveries {
        self.watchdog.recoveries
    }

    /// What the NIC looked like when it last hung.
    pub fn last_hang(&self) -> Option<&Snapshot> {
        self.watchdog.snapshot.as_ref()
    }

    /// What the NIC looks like. Changes nothing.
    pub fn snapshot(&self, time: core::time::Duration) -> Snapshot {
        let registers = &self.device.registers;
        let (tx, rx) = (self.tx.position(), self.rx.position());
        let nth = |n: usize| n as u32;
        Snapshot {
            time,
            registers: Snapshot::REGISTERS.map(|(_, offset)| registers.read(offset)),
            tx,
            rx,
            tx_descriptors: core::array::from_fn(|n| self.tx.words(tx.0.wrapping_add(nth(n)))),
            rx_descriptors: core::array::from_fn(|n| self.rx.words(rx.0.wrapping_add(nth(n)))),
        }
    }

    /// Has 8257x write back what it holds of descriptors, twice as Linux e1000e does (`e1000e_flush_descriptors`).
    /// Returns whether that made one of them done.
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

    /// Resets the device and programs it anew; filters, MTU and interrupts are as before, the rings are empty.
    ///
    /// # Errors
    ///
    /// When the reset does not end. The device is then off and the link down; [`Self::watch`] tries again.
    pub fn restart(&mut self, clock: &impl Clock) -> Result<(), TimedOut> {
        // Until it has ended.
        self.off = true;
        self.collect_statistics();
        // A change of the packet buffer's split takes effect with the reset.
        control::split_packet_buffer(&self.device.registers, self.device.chip, self.mtu);
        let (registers, chip) = (&self.device.registers, self.device.chip);
        self.notes |= reset::reset(registers, chip, clock)?;
        self.notes |= phy::bring_up(registers, chip, clock, Advertise { pause: self.pause });
        self.off = false;
        self.upkeep.was_reset(chip);
        let link = self.link;
        self.program(clock);
        // A link that comes up before anybody looks again looks as if it had never been away.
        self.link_suspect |= !self.link.is_up();
        // The caller is to learn that it changed.
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
