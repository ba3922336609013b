//! The counters that the hardware keeps: 32 bits, cleared by reading, added up here in 64.
//!
//! A dozen of some sixty: those that tell why a frame was lost, and of which kind frames are. In a virtual machine each
//! costs an exit, so they are read when somebody asks.

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
    // CRCERRS: frames with a bad FCS.
    counter("rx_crc_errors", 0x4000),
    // ALGNERRC: frames that end in the middle of a byte.
    counter("rx_align_errors", 0x4004),
    // RXERRC: the PHY signalled an error.
    counter("rx_symbol_errors", 0x400C),
    // MPC: frames lost because the packet buffer was full.
    counter("rx_missed_errors", 0x4010),
    // ECOL: frames given up after 16 collisions.
    counter("tx_aborted_errors", 0x4018),
    // LATECOL: collisions too late to be legal.
    counter("tx_window_errors", 0x4020),
    // XONRXC, XONTXC: pauses that the other side, and this side, ended early.
    counter("rx_flow_control_xon", 0x4048),
    counter("tx_flow_control_xon", 0x404C),
    // XOFFRXC: pauses that the other side asked for.
    counter("rx_flow_control_xoff", 0x4050),
    // XOFFTXC: pauses that this side asked for.
    counter("tx_flow_control_xoff", 0x4054),
    // BPRC, MPRC: good frames to everybody and to groups.
    counter("rx_broadcast", 0x4078),
    counter("rx_multicast", 0x407C),
    // RNBC: times that a frame found no descriptor; it may have waited for one.
    counter("rx_no_buffer_count", 0x40A0),
    // RUC: frames below 64 bytes with a good FCS.
    counter("rx_short_length_errors", 0x40A4),
    // ROC: frames above the limit with a good FCS.
    counter("rx_long_length_errors", 0x40AC),
    // RLEC: frames whose length field is wrong.
    counter("rx_length_field_errors", 0x4040),
    // MPTC, BPTC: frames sent to groups and to everybody.
    counter("tx_multicast", 0x40F0),
    counter("tx_broadcast", 0x40F4),
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

    /// Reads, and so clears, the registers. A device that is gone counts nothing.
    pub(crate) fn collect(&mut self, registers: &impl Registers) {
        if registers.read(regs::STATUS) == regs::ALL_ONES {
            return;
        }
        for (sum, counter) in self.sums.iter_mut().zip(&COUNTERS) {
            *sum = sum.saturating_add(registers.read(counter.offset).into());
        }
    }

    /// Reads the registers to clear them: what an earlier driver left does not count.
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
    fn counters_are_statistics_registers_and_listed_once() {
        for (n, counter) in COUNTERS.iter().enumerate() {
            assert!((0x4000..0x4128).contains(&counter.offset), "{}", counter.name);
            let rest = &COUNTERS[n + 1..];
            assert!(
                rest.iter()
                    .all(|other| other.name != counter.name && other.offset != counter.offset)
            );
        }
    }
}
