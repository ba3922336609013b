//! The link: its state in STATUS, and the registers that depend on it.

use core::fmt;

use crate::chip::{Chip, Quirks};
use crate::modify::modify;
use crate::pause::Pause;
use crate::platform::Registers;
use crate::regs::{self, Status, Tctl};

/// State of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No link.
    Down,
    /// A link, with the negotiated values.
    Up {
        /// Megabits per second: 10, 100 or 1000.
        mbit_s: u16,
        /// Both directions at once.
        full_duplex: bool,
        /// Pause frames, honoured and sent.
        pause: Pause,
    },
}

impl Link {
    /// Decodes the value of STATUS (8254x manual, 13.4.2), which has no information on pause frames.
    pub fn from_status(status: u32) -> Self {
        let bits = Status::from_bits_retain(status);
        if !bits.contains(Status::LU) {
            return Self::Down;
        }
        // Bits 7:6; 2 and 3 both mean 1000.
        let mbit_s = match status >> 6 & 0b11 {
            0 => 10,
            1 => 100,
            _ => 1000,
        };
        Self::Up {
            mbit_s,
            full_duplex: bits.contains(Status::FD),
            pause: Pause::NONE,
        }
    }

    /// Returns true if both are equal, apart from pause frames.
    pub(crate) fn is_like(self, other: Self) -> bool {
        self.without_pause() == other.without_pause()
    }

    /// The same link without pause frames.
    fn without_pause(mut self) -> Self {
        if let Self::Up { pause, .. } = &mut self {
            *pause = Pause::NONE;
        }
        self
    }

    /// Returns whether frames can be sent.
    pub fn is_up(self) -> bool {
        self != Self::Down
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Up {
                mbit_s,
                full_duplex,
                pause,
            } => {
                let duplex = if *full_duplex { "full" } else { "half" };
                write!(f, "up, {mbit_s} Mbit/s {duplex} duplex")?;
                if *pause == Pause::NONE {
                    return Ok(());
                }
                write!(f, ", pause {pause}")
            }
        }
    }
}

/// Programs the registers that depend on speed and duplex. To be called when the link comes up, and after a reset.
///
/// These are the collision distance of half duplex (8254x manual, 13.4.33), TARC0's speed mode on 82571 and 82572, and
/// the gap between frames on PCH2 and later (Linux e1000e, `e1000_check_for_copper_link_ich8lan`). Writes only what
/// changes, and nothing while the link is down: at most three reads and three writes.
pub fn program(registers: &impl Registers, chip: &Chip, link: Link) {
    let Link::Up {
        mbit_s, full_duplex, ..
    } = link
    else {
        return;
    };
    let distance = match (full_duplex, mbit_s) {
        (true, _) => Tctl::COLD_FULL_DUPLEX,
        (false, 1000) => Tctl::COLD_HALF_DUPLEX_GIGABIT,
        (false, _) => Tctl::COLD_HALF_DUPLEX,
    };
    modify(registers, regs::TCTL, Tctl::COLD.bits(), distance.bits());
    if chip.quirks.contains(Quirks::TARC_SPEED_MODE) {
        let mode = if mbit_s == 1000 { regs::TARC0_SPEED_MODE } else { 0 };
        modify(registers, regs::TARC0, regs::TARC0_SPEED_MODE, mode);
    }
    if chip.mac().is_pch() {
        let gap = if mbit_s == 10 && !full_duplex { 0xFF } else { 8 };
        modify(registers, regs::TIPG, regs::TIPG_IPGT, gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakeMachine, chip};
    use crate::recorder::Access::Read;

    #[test]
    fn power_on_values_of_qemu_are_gigabit_full_duplex() {
        for status in [0x8008_0783, 0x0008_0283] {
            assert_eq!(
                Link::from_status(status),
                Link::Up {
                    mbit_s: 1000,
                    full_duplex: true,
                    pause: Pause::NONE
                }
            );
        }
    }

    #[test]
    fn speed_is_decoded() {
        assert_eq!(
            Link::from_status(0b10),
            Link::Up {
                mbit_s: 10,
                full_duplex: false,
                pause: Pause::NONE
            }
        );
        assert_eq!(
            Link::from_status(0b0100_0011),
            Link::Up {
                mbit_s: 100,
                full_duplex: true,
                pause: Pause::NONE
            }
        );
        assert_eq!(
            Link::from_status(0b1100_0010),
            Link::Up {
                mbit_s: 1000,
                full_duplex: false,
                pause: Pause::NONE
            }
        );
        assert_eq!(Link::from_status(0b1100_0001), Link::Down);
    }

    #[test]
    fn speed_and_duplex_are_programmed_with_the_link() {
        let up = |mbit_s, full_duplex| Link::Up {
            mbit_s,
            full_duplex,
            pause: Pause::NONE,
        };
        let after = |id, link, register, before| {
            let recorder = FakeMachine::recorded(chip(id));
            recorder.inner.poke(register, before);
            program(&recorder, chip(id), link);
            recorder.inner.peek(register)
        };
        // COLD is 0x3F in full duplex; in half duplex 0x40, at 1000 Mbit/s 0x200 (8254x manual, 13.4.33).
        for (link, cold) in [
            (up(1000, true), 0x3F),
            (up(100, true), 0x3F),
            (up(100, false), 0x40),
            (up(1000, false), 0x200),
        ] {
            assert_eq!(
                after(0x100E, link, regs::TCTL, 0x1003_F0FA),
                0x1000_00FA | cold << 12
            );
        }
        // Linux e1000e, `e1000_watchdog_task`, `FLAG_TARC_SPEED_MODE_BIT`.
        assert_eq!(after(0x105E, up(1000, true), regs::TARC0, 3), 1 << 21 | 3);
        assert_eq!(after(0x107D, up(100, true), regs::TARC0, 1 << 21 | 3), 3);
        assert_eq!(after(0x10D3, up(1000, true), regs::TARC0, 3), 3);
        // Linux e1000e, `e1000_check_for_copper_link_ich8lan`.
        assert_eq!(after(0x153A, up(10, false), regs::TIPG, 0x0060_2008), 0x0060_20FF);
        assert_eq!(after(0x153A, up(10, true), regs::TIPG, 0x0060_20FF), 0x0060_2008);
        assert_eq!(after(0x100E, up(10, false), regs::TIPG, 0x0060_2008), 0x0060_2008);
        // While it is down, and when nothing changes, nothing is written.
        let recorder = FakeMachine::recorded(chip(0x105E));
        program(&recorder, chip(0x105E), Link::Down);
        assert_eq!(recorder.take(), []);
        program(&recorder, chip(0x105E), up(1000, true));
        recorder.take();
        program(&recorder, chip(0x105E), up(1000, true));
        assert_eq!(recorder.take(), [Read(regs::TCTL), Read(regs::TARC0)]);
    }
}
