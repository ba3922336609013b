//! MAC types, and ranges of them.

use core::fmt;

/// Type of the MAC, which decides about registers, reset, NVM and PHY.
///
/// In the order of Linux's `enum e1000_mac_type`, so that a feature that came with one type and stayed is a range
/// ([`MacTypes`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MacType {
    /// 82543.
    I82543,
    /// 82544.
    I82544,
    /// 82540.
    I82540,
    /// 82545, before revision 3.
    I82545,
    /// 82545, revision 3.
    I82545R3,
    /// 82546, before revision 3.
    I82546,
    /// 82546, revision 3.
    I82546R3,
    /// 82541, first revision.
    I82541,
    /// 82541, second revision.
    I82541R2,
    /// 82547, first revision.
    I82547,
    /// 82547, second revision.
    I82547R2,
    /// 82571, the first with PCIe.
    I82571,
    /// 82572.
    I82572,
    /// 82573.
    I82573,
    /// 82574.
    I82574,
    /// 82583.
    I82583,
    /// 82579, in the chipset PCH2.
    Pch2,
    /// I217 and I218, in the chipsets Lynx Point and later.
    Lpt,
}

impl MacType {
    /// Name, as Linux has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I82543 => "82543",
            Self::I82544 => "82544",
            Self::I82540 => "82540",
            Self::I82545 => "82545",
            Self::I82545R3 => "82545r3",
            Self::I82546 => "82546",
            Self::I82546R3 => "82546r3",
            Self::I82541 => "82541",
            Self::I82541R2 => "82541r2",
            Self::I82547 => "82547",
            Self::I82547R2 => "82547r2",
            Self::I82571 => "82571",
            Self::I82572 => "82572",
            Self::I82573 => "82573",
            Self::I82574 => "82574",
            Self::I82583 => "82583",
            Self::Pch2 => "PCH2",
            Self::Lpt => "LPT",
        }
    }

    /// Returns whether the part is on PCIe: 82571 and later. Those on PCI and PCI-X are the 8254x.
    pub const fn is_pcie(self) -> bool {
        MacTypes::PCIE.contains(self)
    }

    /// Returns whether the MAC is in a chipset, and shares NVM and PHY with the chipset's firmware.
    pub const fn is_pch(self) -> bool {
        MacTypes::PCH.contains(self)
    }
}

impl fmt::Display for MacType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All MAC types from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacTypes {
    first: MacType,
    last: MacType,
}

impl MacTypes {
    /// Every type.
    pub const ALL: Self = Self::range(MacType::I82543, MacType::Lpt);
    /// 8254x: on PCI or PCI-X.
    pub const PCI: Self = Self::range(MacType::I82543, MacType::I82547R2);
    /// On PCIe.
    pub const PCIE: Self = Self::range(MacType::I82571, MacType::Lpt);
    /// A controller of its own.
    pub const DISCRETE: Self = Self::range(MacType::I82543, MacType::I82583);
    /// In a chipset.
    pub const PCH: Self = Self::range(MacType::Pch2, MacType::Lpt);

    /// All types from `first` to `last`.
    pub const fn range(first: MacType, last: MacType) -> Self {
        Self { first, last }
    }

    /// One type.
    pub const fn only(mac: MacType) -> Self {
        Self::range(mac, mac)
    }

    /// Returns whether `mac` is among them.
    pub const fn contains(self, mac: MacType) -> bool {
        self.first as u8 <= mac as u8 && mac as u8 <= self.last as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::CHIPS;

    #[test]
    fn every_type_is_of_one_bus_and_one_kind() {
        for chip in CHIPS {
            let mac = chip.limits.mac;
            assert!(MacTypes::ALL.contains(mac) && MacTypes::only(mac).contains(mac));
            assert_ne!(MacTypes::PCI.contains(mac), mac.is_pcie(), "{mac}");
            assert_ne!(MacTypes::DISCRETE.contains(mac), mac.is_pch(), "{mac}");
        }
    }
}
