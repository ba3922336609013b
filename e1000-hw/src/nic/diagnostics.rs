//! Diagnostics: counters, registers and the self-test.

use core::time::Duration;

use super::{Nic, SelfTest};
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs;
use crate::watchdog::Snapshot;

/// Diagnostics: [`Nic::diagnostics`].
pub struct Diagnostics<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> Diagnostics<'_, R, D> {
    /// Reads the counters of the hardware, which clears them, and adds them to
    /// [`State::statistics`](super::State::statistics). One register read for each, and one of STATUS to recognise a
    /// device that is gone, whose counters read as all ones.
    ///
    /// Context: any.
    pub fn collect_statistics(&mut self) {
        self.nic.collect_statistics();
    }

    /// Reads every register of interest that reading does not change, and calls `each` with its name and value.
    ///
    /// Context: any.
    pub fn dump_registers(&self, mut each: impl FnMut(&'static str, u32)) {
        for (name, offset) in regs::dump(self.nic.device.chip) {
            each(name, self.nic.device.registers.read(offset));
        }
    }

    /// Snapshot of registers and descriptors, with its `time`. Changes nothing.
    ///
    /// Context: any.
    pub fn snapshot(&self, time: Duration) -> Snapshot {
        self.nic.snapshot(time)
    }

    /// Starts a self-test (see [`crate::self_test`]), which [`Self::continue_self_test`] continues. It takes less than
    /// a second on metal, 1.5 s on QEMU's `e1000`, five seconds more without a link, and never more than 12 s. A NIC
    /// that was halted is not tested.
    ///
    /// Until it has ended, frames to transmit are dropped and counted, no frame is received, and the link state is not
    /// updated; filters and MTU must not be changed. Frames in the rings are lost. `interrupts` is false for a caller
    /// that polls, which cannot test them.
    ///
    /// The counters of sent and received frames include those of the test. A NIC without its own buffers sends none.
    ///
    /// Context: any.
    pub fn start_self_test(&mut self, interrupts: bool, clock: &impl Clock) {
        self.nic.start_self_test(interrupts, clock);
    }

    /// Does the next step of the self-test. A step takes at most half a second, a few ms if the hardware works: a reset
    /// and one part of the test, without waiting.
    ///
    /// After the last step the device was reset and programmed as before: filters, MTU, interrupts. If that reset did
    /// not end, the report says so and [`Recovery::watch`](super::Recovery::watch) tries again. The caller then updates
    /// the link state ([`LinkControl::refresh`](super::LinkControl::refresh)).
    ///
    /// Context: may sleep, up to half a second.
    pub fn continue_self_test(&mut self, clock: &impl Clock) -> SelfTest {
        self.nic.continue_self_test(clock)
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    pub(super) fn collect_statistics(&mut self) {
        self.gone |= self.device.registers.read(regs::STATUS) == regs::ALL_ONES;
        if !self.gone {
            self.statistics.collect(&self.device.registers);
        }
    }

    pub(super) fn snapshot(&self, time: Duration) -> Snapshot {
        let registers = &self.device.registers;
        let (tx, rx) = (self.tx.position(), self.rx.position());
        let nth = |first: u32, n: usize| first.wrapping_add(n as u32);
        Snapshot {
            time,
            registers: Snapshot::REGISTERS.map(|(_, offset)| registers.read(offset)),
            tx,
            rx,
            tx_descriptors: core::array::from_fn(|n| self.tx.descriptor_status(nth(tx.0, n))),
            rx_descriptors: core::array::from_fn(|n| self.rx.descriptor_status(nth(rx.0, n))),
        }
    }
}
