//! What STATUS says of the link, and what the MAC has to be told of it.

use core::fmt;

use crate::chip::{Chip, Quirks};
use crate::packet_buffer;
use crate::platform::Registers;
use crate::regs::{self, Ctrl, Status, Tctl};

/// The link at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No link.
    Down,
    /// A link, with what was negotiated.
    Up {
        /// Megabits per second: 10, 100 or 1000.
        mbit_s: u16,
        /// Both directions at once.
        full_duplex: bool,
    },
}

impl Link {
    /// Decodes the value of STATUS.
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
        }
    }

    /// Whether frames can be sent.
    pub fn is_up(self) -> bool {
        self != Self::Down
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Up { mbit_s, full_duplex } => {
                write!(
                    f,
                    "up, {mbit_s} Mbit/s {} duplex",
                    if *full_duplex { "full" } else { "half" }
                )
            }
        }
    }
}

/// Tells the MAC what depends on speed and duplex; to be called when the link comes up, and after a reset.
///
/// The collision distance of half duplex (HF 9.3), TARC0's speed mode on 82571 and 82572, the gap between frames on
/// PCH2 and later (HF 9.3). Writes nothing that does not change, and nothing at all while the link is down: at most
/// three reads and three writes.
pub fn program(registers: &impl Registers, chip: &Chip, link: Link) {
    let Link::Up { mbit_s, full_duplex } = link else {
        return;
    };
    let distance = match (full_duplex, mbit_s) {
        (true, _) => Tctl::COLD_FULL_DUPLEX,
        (false, 1000) => Tctl::COLD_HALF_DUPLEX_GIGABIT,
        (false, _) => Tctl::COLD_HALF_DUPLEX,
    };
    change(registers, regs::TCTL, Tctl::COLD.bits(), distance.bits());
    if chip.quirks.contains(Quirks::TARC_SPEED_MODE) {
        let mode = if mbit_s == 1000 { regs::TARC0_SPEED_MODE } else { 0 };
        change(registers, regs::TARC0, regs::TARC0_SPEED_MODE, mode);
    }
    if chip.quirks.contains(Quirks::HW_BITS_PCH) {
        let gap = if mbit_s == 10 && !full_duplex { 0xFF } else { 8 };
        change(registers, regs::TIPG, regs::TIPG_IPGT, gap);
    }
}

fn change(registers: &impl Registers, register: u32, mask: u32, value: u32) {
    let old = registers.read(register);
    let new = old & !mask | value;
    if new != old {
        registers.write(register, new);
    }
}

/// Pause frames, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// The NIC stops sending when it is asked to.
    pub rx: bool,
    /// The NIC asks the partner to stop when its packet buffer fills.
    pub tx: bool,
}

/// What one side offers of pause: the bits PAUSE and ASM_DIR of its autonegotiation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PauseOffer {
    /// PAUSE, bit 10 of PHY registers 4 and 5.
    pub symmetric: bool,
    /// ASM_DIR, bit 11.
    pub asymmetric: bool,
}

/// What two offers come to (IEEE 802.3, annex 28B; HF 6).
pub fn resolve_pause(local: PauseOffer, partner: PauseOffer) -> Pause {
    let asymmetric = local.asymmetric && partner.asymmetric;
    match (local.symmetric, partner.symmetric) {
        (true, true) => Pause { rx: true, tx: true },
        (false, true) => Pause {
            rx: false,
            tx: asymmetric,
        },
        (true, false) => Pause {
            rx: asymmetric,
            tx: false,
        },
        (false, false) => Pause::default(),
    }
}

/// Programs pause in both directions; `max_frame` is in bytes with VLAN tag and FCS. Bring-up leaves it off.
pub fn program_pause(registers: &impl Registers, chip: &Chip, pause: Pause, max_frame: u32) {
    let levels = packet_buffer::thresholds(chip, max_frame);
    let (low, high, time) = if pause.tx {
        let low = levels.low | regs::FCRTL_XONE;
        (low, levels.high, u32::from(levels.pause_time))
    } else {
        (0, 0, 0)
    };
    registers.write(regs::FCTTV, time);
    registers.write(regs::FCRTL, low);
    registers.write(regs::FCRTH, high);
    let mut flags = Ctrl::empty();
    flags.set(Ctrl::RFCE, pause.rx);
    flags.set(Ctrl::TFCE, pause.tx);
    change(
        registers,
        regs::CTRL,
        (Ctrl::RFCE | Ctrl::TFCE).bits(),
        flags.bits(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_on_values_of_qemu_are_gigabit_full_duplex() {
        for status in [0x8008_0783, 0x0008_0283] {
            assert_eq!(
                Link::from_status(status),
                Link::Up {
                    mbit_s: 1000,
                    full_duplex: true
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
                full_duplex: false
            }
        );
        assert_eq!(
            Link::from_status(0b0100_0011),
            Link::Up {
                mbit_s: 100,
                full_duplex: true
            }
        );
        assert_eq!(
            Link::from_status(0b1100_0010),
            Link::Up {
                mbit_s: 1000,
                full_duplex: false
            }
        );
        assert_eq!(Link::from_status(0b1100_0001), Link::Down);
    }

    #[test]
    fn pause_is_resolved_as_in_annex_28b() {
        // Local PAUSE, ASM_DIR; partner's; receive, transmit.
        let table = [
            ((0, 0), (1, 1), (0, 0)),
            ((0, 1), (0, 1), (0, 0)),
            ((0, 1), (1, 0), (0, 0)),
            ((0, 1), (1, 1), (0, 1)),
            ((1, 0), (0, 1), (0, 0)),
            ((1, 0), (1, 0), (1, 1)),
            ((1, 0), (1, 1), (1, 1)),
            ((1, 1), (0, 0), (0, 0)),
            ((1, 1), (0, 1), (1, 0)),
            ((1, 1), (1, 0), (1, 1)),
            ((1, 1), (1, 1), (1, 1)),
        ];
        let offer = |(symmetric, asymmetric): (u8, u8)| PauseOffer {
            symmetric: symmetric != 0,
            asymmetric: asymmetric != 0,
        };
        for (local, partner, (rx, tx)) in table {
            let want = Pause {
                rx: rx != 0,
                tx: tx != 0,
            };
            assert_eq!(
                resolve_pause(offer(local), offer(partner)),
                want,
                "{local:?} {partner:?}"
            );
        }
    }
}
