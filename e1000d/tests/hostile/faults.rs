//! Faults of the device.

use e1000_hw::fake::Faults;
use e1000_hw::regs;

use super::script::Script;
use super::{Case, TX_RING, ring_address};

impl Case {
    /// Does what only a broken device does.
    pub(super) fn harm(&mut self, script: &mut Script<'_>) {
        let kind = script.byte() % 8;
        // The test of the registers may have left anything in them.
        if kind < 3 && ring_address(&self.machine) != self.ring_address {
            return;
        }
        match kind {
            0 => {
                self.receives_anything();
                let slot = u32::from(script.byte()) % self.ring;
                self.machine.poke_rx_descriptor(slot, script.low(), script.high());
            }
            1 => {
                self.receives_anything();
                let (low, high) = (script.low(), script.high());
                (0..self.ring).for_each(|slot| self.machine.poke_rx_descriptor(slot, low, high));
                let forever = script.byte() & 1 != 0;
                self.registers.receive_forever(forever.then_some((low, high)));
            }
            2 => {
                self.tx_was_poked = true;
                self.set_faults(self.faults);
                let (low, high) = (script.low(), script.high());
                let (slot, all) = (u32::from(script.byte()) % TX_RING, script.byte() & 1 != 0);
                for slot in if all { 0..TX_RING } else { slot..slot + 1 } {
                    self.machine.poke_tx_descriptor(slot, low, high);
                }
            }
            3 => {
                let bits = script.byte();
                self.set_faults(Faults {
                    gone: bits & 0b11 == 0b11,
                    reset_stuck: bits & 4 != 0,
                    reset_ignored: bits & 8 != 0,
                    ..self.faults
                });
            }
            4 => {
                // An interrupt storm.
                self.machine.poke(regs::ICR, script.word());
                (0..16).for_each(|vector| self.interrupt(vector));
            }
            _ => {
                (self.stalled, self.resets_fail) = (true, true);
                self.registers.lie(script);
                self.kernel.inner().may_be_gone |= self.registers.lied();
            }
        }
    }

    fn receives_anything(&self) {
        self.kernel.inner().wire.receives_honestly = false;
    }

    pub(super) fn set_faults(&mut self, mut faults: Faults) {
        faults.transmitter_stalled |= self.tx_was_poked;
        let resumes = self.faults.transmitter_stalled && !faults.transmitter_stalled;
        self.stalled |= faults != Faults::default();
        self.was_gone |= faults.gone;
        self.kernel.inner().may_be_gone |= faults.gone;
        self.resets_fail |= faults.gone || faults.reset_stuck || faults.reset_ignored;
        self.faults = faults;
        self.machine.set_faults(faults);
        self.registers.set_gone(faults.gone);
        if resumes {
            self.machine.resume_transmitter();
        }
        self.look_at_wire();
    }
}
