//! Stopping a NIC, and freeing its memory once no DMA can reach it.

use super::{Device, Nic, Power};
use crate::chip::Quirks;
use crate::firmware;
use crate::link::Link;
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs;
use crate::reset;
use crate::warnings::Warnings;

impl<R: Registers, D: DmaRegion> Drop for Nic<R, D> {
    fn drop(&mut self) {
        match self.power {
            Power::Halted { dma_ended: true } => {
                // SAFETY: the device was reset or its receiver and transmitter were turned off and their DMA ended, or
                // it was never programmed; only `program`, which changes `power`, turns them on again. `self` is being
                // dropped, so rings and buffers are not used any more.
                unsafe {
                    self.rx.free();
                    self.tx.free();
                }
            }
            Power::Halted { dma_ended: false } => {}
            Power::On | Power::Off => reset::post_stop(&self.device.registers, self.device.chip),
        }
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Stops the device, waits until its DMA has ended, and frees its memory; leaks the memory if DMA did not end. An
    /// owner that can turn off bus mastering by other means calls [`Self::halt`], turns it off and drops the NIC.
    pub fn stop(mut self, clock: &impl Clock) {
        self.halt(clock);
    }

    /// Stops the device and waits until its DMA has ended. Returns true if it has, as far as the device reports; false
    /// if its reset did not end, if it remained a bus master, or if it did not answer.
    ///
    /// Dropping the NIC afterwards frees its memory if DMA has ended, and leaks it otherwise. An owner that does not
    /// trust the device's report can leak the memory with [`core::mem::forget`]. [`super::Recovery::restart`] brings a
    /// halted device up again.
    pub fn halt(&mut self, clock: &impl Clock) -> bool {
        self.abandon_self_test(clock);
        let Device { registers, chip } = &self.device;
        let mut warnings = reset::quiesce(registers, chip, clock);
        // Some parts' receivers are stopped by a reset only. After a reset that did not end, try once more.
        let was_reset = if self.power == Power::Off || chip.quirks.contains(Quirks::NO_RX_DISABLE) {
            reset::reset(registers, chip, clock).map(|seen| warnings |= seen)
        } else {
            Ok(())
        };
        let answers = registers.read(regs::STATUS) != regs::ALL_ONES;
        if was_reset.is_ok() {
            firmware::set_driver_loaded(registers, chip, false);
        } else {
            // The receiver may still run.
            reset::post_stop(registers, chip);
        }
        let dma_ended = was_reset.is_ok() && answers && !warnings.contains(Warnings::BUS_MASTER_BUSY);
        self.power = Power::Halted { dma_ended };
        self.link = Link::Down;
        self.interrupts_enabled = false;
        dma_ended
    }
}
