//! Identity of a PHY: registers 2 and 3.

use core::fmt;

/// Type of a PHY that the driver knows (Linux e1000, `e1000_set_phy_type`; e1000e, `e1000e_get_phy_type_from_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhyType {
    /// 88E1000, external.
    M88E1000E,
    /// 88E1000, internal.
    M88E1000I,
    /// 88E1011: 82540, 82545, 82546.
    M88E1011,
    /// 88E1111: 82573.
    M88E1111,
    /// IGP01: 82541, 82547, 82571, 82572.
    Igp01,
    /// BM: 82574, 82583.
    Bm,
    /// 82579.
    I82579,
    /// I217, I218.
    I217,
}

impl PhyType {
    /// Name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::M88E1000E => "88E1000E",
            Self::M88E1000I => "88E1000I",
            Self::M88E1011 => "88E1011",
            Self::M88E1111 => "88E1111",
            Self::Igp01 => "IGP01",
            Self::Bm => "BM",
            Self::I82579 => "82579",
            Self::I217 => "I217",
        }
    }

    /// Returns whether it is one of the family 88E1000.
    pub const fn is_m88(self) -> bool {
        self.is_88e1000() || matches!(self, Self::M88E1111)
    }

    /// Returns whether it is a PHY of 82540, or of 82543 to 82546.
    pub(crate) const fn is_88e1000(self) -> bool {
        matches!(self, Self::M88E1000E | Self::M88E1000I | Self::M88E1011)
    }
}

/// Registers 2 and 3 as one word; the lowest four bits are a revision.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PhyId(pub u32);

impl PhyId {
    /// Returns the type, if the driver knows it.
    pub const fn phy_type(self) -> Option<PhyType> {
        Some(match self.0 & !0xF {
            0x0141_0C50 => PhyType::M88E1000E,
            0x0141_0C30 => PhyType::M88E1000I,
            0x0141_0C20 => PhyType::M88E1011,
            0x0141_0CC0 => PhyType::M88E1111,
            0x02A8_0380 => PhyType::Igp01,
            0x0141_0CB0 => PhyType::Bm,
            0x0154_0090 => PhyType::I82579,
            0x0154_00A0 => PhyType::I217,
            _ => return None,
        })
    }

    /// Revision of the PHY.
    pub const fn revision(self) -> u32 {
        self.0 & 0xF
    }

    /// Returns whether something answered: an MDIO line that nothing drives reads as all ones or all zeroes.
    pub const fn is_present(self) -> bool {
        self.0 != 0 && self.0 != u32::MAX
    }
}

impl fmt::Display for PhyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.phy_type().map_or("unknown", PhyType::name);
        write!(f, "{name} ({:08x})", self.0)
    }
}

impl fmt::Debug for PhyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
