//! Counters of the hardware: they have 32 bits and are cleared by reading; here they are summed up in 64 bits.
//!
//! Eighteen of some sixty (8254x manual, 13.7): the reasons for lost frames, and the kinds of frames. In a virtual
//! machine each read costs an exit, so they are read only on request.

use crate::platform::Registers;
use crate::regs;

/// A counter of the hardware.
#[derive(Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name in ethtool.
    pub name: &'static str,
    /// Its register, which reading clears.
    pub offset: u32,
}

const fn counter(name: &'static str, offset: u32) -> Counter {
    Counter { name, offset }
}

/// All counters that are read, in the order of [`Statistics::values`].
pub static COUNTERS: [Counter; 18] = [
    counter("rx_crc_errors", regs::CRCERRS),
    counter("rx_align_errors", regs::ALGNERRC),
    counter("rx_symbol_errors", regs::RXERRC),
    counter("rx_missed_errors", regs::MPC),
    counter("tx_aborted_errors", regs::ECOL),
    counter("tx_window_errors", regs::LATECOL),
    counter("rx_flow_control_xon", regs::XONRXC),
    counter("tx_flow_control_xon", regs::XONTXC),
    counter("rx_flow_control_xoff", regs::XOFFRXC),
    counter("tx_flow_control_xoff", regs::XOFFTXC),
    counter("rx_broadcast", regs::BPRC),
    counter("rx_multicast", regs::MPRC),
    counter("rx_no_buffer_count", regs::RNBC),
    counter("rx_short_length_errors", regs::RUC),
    counter("rx_long_length_errors", regs::ROC),
    counter("rx_length_field_errors", regs::RLEC),
    counter("tx_multicast", regs::MPTC),
    counter("tx_broadcast", regs::BPTC),
];

/// The sums since bring-up.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    sums: [u64; COUNTERS.len()],
}

impl Statistics {
    /// Name and sum of each counter, as of the last time that the registers were read.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, u64)> {
        COUNTERS.iter().map(|counter| counter.name).zip(self.sums)
    }

    /// Reads the registers, which clears them, and adds them up. Does nothing if the device is gone.
    pub(crate) fn collect(&mut self, registers: &impl Registers) {
        if registers.read(regs::STATUS) == regs::ALL_ONES {
            return;
        }
        for (sum, counter) in self.sums.iter_mut().zip(&COUNTERS) {
            *sum = sum.saturating_add(registers.read(counter.offset).into());
        }
    }

    /// Reads the registers to clear the counts of an earlier driver.
    pub(crate) fn discard(registers: &impl Registers) {
        for counter in &COUNTERS {
            registers.read(counter.offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_cleared_by_reading_and_listed_once() {
        for (n, counter) in COUNTERS.iter().enumerate() {
            let mut register = regs::REGISTERS
                .iter()
                .filter(|register| register.offset == counter.offset);
            assert!(
                register.all(|register| register.access == regs::Access::ReadClear),
                "{}",
                counter.name
            );
            let rest = &COUNTERS[n + 1..];
            assert!(
                rest.iter()
                    .all(|other| other.name != counter.name && other.offset != counter.offset)
            );
        }
    }
}
