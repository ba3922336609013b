//! Interrupt causes: those that are unmasked, their routing to vectors, and their acknowledgement.
//!
//! On a line (INTx) and with MSI, all causes share one interrupt, and reading ICR returns and acknowledges them. MSI-X
//! of the 82574 routes causes to vectors (IVAR). A cause with a vector of its own clears itself when the vector fires
//! (EIAC), so that no register has to be read. On QEMU at least it also masks itself (`e1000e_msix_notify_one`: IMS
//! loses the bits of EIAC unless CTRL_EXT.IAME is set); Linux e1000e, too, unmasks it after each round of receiving.

use crate::chip::{Chip, Interrupts};
use crate::platform::Registers;
use crate::regs::{self, Causes};

/// Routing of interrupt causes to vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// INTx or MSI: one interrupt for all causes.
    Single,
    /// MSI-X with one vector for all causes.
    OneVector,
    /// MSI-X: vector 0 for received frames, 1 for sent ones, 2 for everything else.
    ThreeVectors,
}

impl Routing {
    /// Best routing of this chip for that number of MSI-X vectors. `None` for a chip without MSI-X.
    ///
    /// Boards of the 82574 ship with 3 vectors or 5; the other two are those of a second queue.
    pub fn for_vectors(chip: &Chip, vectors: u16) -> Option<Self> {
        match vectors {
            _ if chip.limits.interrupts != Interrupts::MsiX => None,
            0 => None,
            1 | 2 => Some(Self::OneVector),
            _ => Some(Self::ThreeVectors),
        }
    }

    /// MSI-X vectors in use.
    pub fn vectors(self) -> u16 {
        match self {
            Self::Single => 0,
            Self::OneVector => 1,
            Self::ThreeVectors => 3,
        }
    }

    /// Purpose of a vector. On a line there is only vector 0.
    pub fn purpose(self, vector: u16) -> Purpose {
        match (self, vector) {
            (Self::ThreeVectors, 0) => Purpose::Receive,
            (Self::ThreeVectors, 1) => Purpose::Transmit,
            _ => Purpose::Any,
        }
    }

    /// Returns whether a cause with a vector of its own has to be unmasked after it has fired.
    pub(crate) fn masks_itself(self) -> bool {
        self == Self::ThreeVectors
    }

    /// Causes for received frames.
    pub(crate) fn receive_causes(self) -> Causes {
        match self {
            Self::Single => Causes::RXT0.union(Causes::RXDMT0),
            Self::OneVector | Self::ThreeVectors => Causes::RXQ0,
        }
    }

    /// Causes for sent frames.
    pub(crate) fn transmit_causes(self) -> Causes {
        match self {
            Self::Single => Causes::TXDW,
            Self::OneVector | Self::ThreeVectors => Causes::TXQ0,
        }
    }

    /// Other causes that are always wanted: overrun and link.
    pub(crate) fn other_causes(self) -> Causes {
        let other = Causes::RXO.union(Causes::LSC);
        match self {
            Self::Single => other,
            Self::OneVector | Self::ThreeVectors => other.union(Causes::OTHER),
        }
    }

    /// Programs the routing, and the interval of its vectors in units of 256 ns. Interrupts are masked.
    pub(crate) fn program(self, registers: &impl Registers, interval: u32) {
        let (ivar, eiac) = match self {
            Self::Single => return,
            // RXQ0, RXQ1, TXQ0, TXQ1 and OTHER, a nibble each: bit 3 valid, bits 2:0 the vector.
            Self::OneVector => (0x0008_0808, Causes::empty()),
            Self::ThreeVectors => (0x000A_0908, Causes::RXQ0 | Causes::TXQ0),
        };
        registers.write(regs::IVAR, ivar);
        registers.write(regs::EIAC, eiac.bits());
        let extended = registers.read(regs::CTRL_EXT) & !regs::CTRL_EXT_IAME;
        registers.write(
            regs::CTRL_EXT,
            extended | regs::CTRL_EXT_PBA_CLR | regs::CTRL_EXT_EIAME,
        );
        // ACK frames would raise interrupts of their own (Linux e1000e, `e1000_configure_msix`).
        registers.write(regs::RFCTL, registers.read(regs::RFCTL) | regs::RFCTL_ACK_DIS);
        for vector in 0..self.vectors() {
            registers.write(regs::EITR + 4 * u32::from(vector), interval);
        }
    }

    /// Register with the interval between interrupts for received frames: the line's or the vector's.
    pub(crate) fn throttle(self) -> u32 {
        match self {
            Self::Single => regs::ITR,
            Self::OneVector | Self::ThreeVectors => regs::EITR,
        }
    }

    /// Reads and acknowledges ICR.
    pub(crate) fn acknowledge(self, registers: &impl Registers) -> u32 {
        let causes = registers.read(regs::ICR);
        if self != Self::Single && causes != regs::ALL_ONES {
            // With MSI-X a read clears only sometimes, and never on QEMU 7.2 (`e1000e_mac_icr_read`): ones clear.
            registers.write(regs::ICR, causes);
        }
        causes
    }
}

/// Purpose of an MSI-X vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// All causes, as listed in ICR.
    Any,
    /// Frames arrived; the cause has cleared itself.
    Receive,
    /// Frames were sent; the cause has cleared itself.
    Transmit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::find;

    #[test]
    fn vectors_are_used_as_the_chip_can() {
        let with = find(0x8086, 0x10D3).expect("82574L");
        let without = find(0x8086, 0x100E).expect("82540EM");
        let routings = [0, 1, 2, 3, 5].map(|vectors| Routing::for_vectors(with, vectors));
        let (one, three) = (Some(Routing::OneVector), Some(Routing::ThreeVectors));
        assert_eq!(routings, [None, one, one, three, three]);
        assert_eq!(Routing::for_vectors(without, 5), None);
    }
}
