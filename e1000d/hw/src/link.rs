//! What STATUS says of the link.

use core::fmt;

use crate::regs::Status;

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
}
