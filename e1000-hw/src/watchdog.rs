//! The watchdog: detection of a transmitter that hangs, the time between resets, and a snapshot for later analysis.
//!
//! The transmitter hangs if the oldest descriptor was posted too long ago, while the link is up and the partner does
//! not ask for a pause (Linux e1000e, `e1000_print_hw_hang`). Then, in this order, descriptors that are done are
//! reclaimed, the device writes back its descriptor cache, a snapshot is kept, and the device is reset. While resets do
//! not help, the time between them doubles.
//!
//! The owner calls [`Recovery::watch`](crate::nic::Recovery::watch) every second or so, and only while
//! [`State::needs_watching`](crate::nic::State::needs_watching).

use core::fmt;
use core::time::Duration;

use crate::ring::DescriptorStatus;

/// Longest time between posting a descriptor and its report as done, at 100 and 1000 Mbit/s. A ring full of the longest
/// frames takes 0.7 s at 100 Mbit/s.
const HANG_LIMIT: Duration = Duration::from_secs(2);
/// The same at 10 Mbit/s.
const HANG_LIMIT_10: Duration = Duration::from_secs(16);
/// Shortest time between two resets; doubled after each that did not help.
const RESET_INTERVAL: Duration = Duration::from_secs(4);
/// Number of times that it is doubled: to 64 s.
const MAX_DOUBLINGS: u32 = 4;
/// Descriptors of a ring that a snapshot keeps.
pub const SNAPSHOT_DESCRIPTORS: usize = 8;

/// Outcome of checking transmitter and link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No descriptor is posted: no need to watch until the next frame.
    Idle,
    /// Frames are posted, not too long ago.
    Busy,
    /// The transmitter hung, and the device was reset.
    Reset,
    /// The link was forced, or given back to negotiation: its state has to be read again.
    LinkHelped,
    /// The transmitter hangs, and the next reset is not due yet, or the reset failed.
    Hung,
    /// Registers read as all ones: the device is gone.
    DeviceGone,
}

/// Actions of the watchdog since bring-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recoveries {
    /// Number of times that descriptors were reported as done only after a forced write-back.
    pub flushes: u64,
    /// Number of times that the transmitter hung.
    pub hangs: u64,
    /// Number of times that the PHY hung (82574).
    pub phy_hangs: u64,
    /// Number of resets that ended.
    pub resets: u64,
    /// Number of resets that did not end in time.
    pub failed_resets: u64,
}

/// Exponential backoff of resets.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// Time of the last reset, and number of resets in a row up to that one that have not helped.
    last: Option<(Duration, u32)>,
}

impl Backoff {
    /// Returns whether a reset may be tried. If so, it counts as tried.
    pub(crate) fn may_reset(&mut self, now: Duration) -> bool {
        let useless = match self.last {
            None => 0,
            Some((when, useless)) => {
                let interval = RESET_INTERVAL * (1 << useless.saturating_sub(1));
                if now.saturating_sub(when) < interval {
                    return false;
                }
                useless
            }
        };
        self.last = Some((now, useless.min(MAX_DOUBLINGS) + 1));
        true
    }

    /// Records that the last reset helped.
    pub(crate) fn helped(&mut self) {
        self.last = self.last.map(|(when, _)| (when, 0));
    }
}

/// Progress of the transmitter between checks.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    /// The oldest descriptor that is posted, and the time since when it is the oldest.
    oldest: Option<(u32, Duration)>,
    resets: Backoff,
    pub(crate) recoveries: Recoveries,
    pub(crate) snapshot: Option<Snapshot>,
}

impl Watchdog {
    /// Records that no descriptor is posted, and the number of descriptors done since the last reset.
    pub(crate) fn idle(&mut self, done: u32) {
        self.oldest = None;
        if done != 0 {
            self.resets.helped();
        }
    }

    /// Records the oldest descriptor that is posted. Returns true if it was posted too long ago.
    pub(crate) fn overdue(&mut self, descriptor: u32, now: Duration, mbit_s: u16) -> bool {
        match self.oldest {
            Some((same, since)) if same == descriptor => {
                let limit = if mbit_s == 10 { HANG_LIMIT_10 } else { HANG_LIMIT };
                now.saturating_sub(since) >= limit
            }
            before => {
                if before.is_some() {
                    self.resets.helped();
                }
                self.oldest = Some((descriptor, now));
                false
            }
        }
    }

    /// Restarts the time of the oldest descriptor, because there is a legitimate reason for the delay.
    pub(crate) fn excused(&mut self, now: Duration) {
        self.oldest = self.oldest.map(|(descriptor, _)| (descriptor, now));
    }

    /// Returns whether a reset may be tried. If so, it counts as tried.
    pub(crate) fn may_reset(&mut self, now: Duration) -> bool {
        self.resets.may_reset(now)
    }

    /// Counts a reset because of a hang.
    pub(crate) fn was_reset(&mut self) {
        self.recoveries.resets += 1;
        self.emptied();
    }

    /// Forgets the oldest descriptor, because the rings were emptied and descriptors count from zero again.
    pub(crate) fn emptied(&mut self) {
        self.oldest = None;
    }
}

/// State of the device and the rings when the transmitter hung, or when a snapshot was asked for.
///
/// Taken by reading only: neither ICR nor a statistics register, which reading would clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Time of the clock that the owner uses.
    pub time: Duration,
    /// Name and value of registers, in the order of [`Snapshot::REGISTERS`].
    pub registers: [u32; Snapshot::REGISTERS.len()],
    /// Free-running counters of transmit descriptors: the oldest one not reclaimed, the first not posted, the first
    /// free.
    pub tx: (u32, u32, u32),
    /// Free-running counters of receive descriptors: the next one to look at, and the end of those that are posted.
    pub rx: (u32, u32),
    /// Second halves of transmit descriptors, from the oldest on.
    pub tx_descriptors: [DescriptorStatus; SNAPSHOT_DESCRIPTORS],
    /// Second halves of receive descriptors, from the next on.
    pub rx_descriptors: [DescriptorStatus; SNAPSHOT_DESCRIPTORS],
}

impl Snapshot {
    /// Name and offset of the registers that a snapshot has.
    pub const REGISTERS: [(&'static str, u32); 14] = {
        use crate::regs::*;
        let offsets = [
            CTRL, STATUS, RCTL, TCTL, IMS, TDBAL, TDLEN, TDH, TDT, TXDCTL, RDLEN, RDH, RDT, RXDCTL,
        ];
        let mut registers = [("", 0); 14];
        let mut n = 0;
        while n < registers.len() {
            registers[n] = (name(offsets[n]), offsets[n]);
            n += 1;
        }
        registers
    };
}

/// One `key value` a line.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "time {}.{:03}", self.time.as_secs(), self.time.subsec_millis())?;
        for ((name, _), value) in Self::REGISTERS.iter().zip(self.registers) {
            writeln!(f, "{name} {value:#010x}")?;
        }
        let ((oldest, posted, filled), (consumed, tail)) = (self.tx, self.rx);
        writeln!(f, "tx_oldest {oldest}\ntx_posted {posted}\ntx_filled {filled}")?;
        writeln!(f, "rx_next {consumed}\nrx_tail {tail}")?;
        for (kind, first, descriptors) in [
            ("tx", oldest, &self.tx_descriptors),
            ("rx", consumed, &self.rx_descriptors),
        ] {
            for (n, DescriptorStatus { low, high }) in (0..).zip(descriptors) {
                let number = first.wrapping_add(n);
                writeln!(f, "{kind}_descriptor_{number} {low:#010x} {high:#010x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_a_descriptor_that_stays_is_overdue() {
        let mut dog = Watchdog::default();
        for second in 0..20 {
            assert!(!dog.overdue(second as u32, s(second), 1000), "it moves");
        }
        assert!(!dog.overdue(19, s(20), 1000));
        assert!(dog.overdue(19, s(21), 1000));
        assert!(!dog.overdue(19, s(34), 10), "10 Mbit/s are slow");
        assert!(dog.overdue(19, s(35), 10));
        dog.excused(s(35));
        assert!(!dog.overdue(19, s(36), 1000));
        dog.idle(20);
        assert!(!dog.overdue(19, s(50), 1000));
    }

    #[test]
    fn resets_that_do_not_help_come_ever_more_rarely() {
        let mut dog = Watchdog::default();
        let mut resets = std::vec![];
        for second in 0..400 {
            if dog.overdue(7, s(second), 1000) && dog.may_reset(s(second)) {
                resets.push(second);
                dog.was_reset();
            }
        }
        let apart: std::vec::Vec<u64> = resets.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(apart, [4, 8, 16, 32, 64, 64, 64, 64, 64]);
        // Once it works, the next hang is not punished for the earlier ones.
        dog.idle(0);
        dog.idle(1);
        assert!(!dog.overdue(8, s(500), 1000));
        assert!(dog.overdue(8, s(502), 1000) && dog.may_reset(s(502)));
        assert!(!dog.may_reset(s(503)));
        assert!(dog.may_reset(s(506)));
    }
}
