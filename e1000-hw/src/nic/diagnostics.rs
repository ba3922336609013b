//! Counters, registers and the self-test: what tells how the NIC is.

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
    /// Reads, and so clears, the counters of the hardware, and adds them up: one register read for each, and one of
    /// STATUS, so that the ones of a device that is gone are not counted.
    /// [`State::statistics`](super::State::statistics) has them.
    ///
    /// Context: any.
    pub fn collect_statistics(&mut self) {
        self.nic.collect_statistics();
    }

    /// Reads every register that tells something and that reading does not change, with its name.
    ///
    /// Context: any.
    pub fn dump_registers(&self, mut each: impl FnMut(&'static str, u32)) {
        for (name, offset) in regs::dump(self.nic.device.chip) {
            each(name, self.nic.device.registers.read(offset));
        }
    }

    /// Registers and descriptors as they are at `time`. Changes nothing.
    ///
    /// Context: any.
    pub fn snapshot(&self, time: Duration) -> Snapshot {
        self.nic.snapshot(time)
    }

    /// Starts a self-test (see [`crate::self_test`]). It goes on with [`Self::continue_self_test`], and takes below a
    /// second on metal, 1.5 s on QEMU's `e1000`, five seconds more without a link, and 12 s whatever happens. A NIC
    /// that was halted is not tested.
    ///
    /// Until it has ended, frames to transmit are dropped and counted, none is received, and the link is not looked at;
    /// filters and MTU must not be changed. What was in the rings is lost. `interrupts` says whether to test them: a
    /// caller that polls cannot.
    ///
    /// The frames of the test are in the counters of sent and received frames. They are copied: a NIC without buffers
    /// of its own sends none.
    ///
    /// Context: any.
    pub fn start_self_test(&mut self, interrupts: bool, clock: &impl Clock) {
        self.nic.start_self_test(interrupts, clock);
    }

    /// Goes on with the self-test. A step takes at most half a second, where the hardware works a few ms: a reset and
    /// one part, without waits.
    ///
    /// When it has ended, the device was reset and programmed as before: filters, MTU, interrupts. If that reset did
    /// not end, the report says so and [`Recovery::watch`](super::Recovery::watch) tries again. Look at the link then.
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
