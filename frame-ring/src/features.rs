//! Features: what both ends agree on at attach.

use core::fmt;
use core::ops::{BitAnd, BitOr};

/// A set of features.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// None.
    pub const NONE: Self = Self(0);
    /// The client sends through the ring.
    pub const TX: Self = Self(1 << 0);
    /// The client receives through the ring: it is a reader, before those of the event queue.
    pub const RX: Self = Self(1 << 1);
    /// The NIC fills in checksums of TCP and UDP.
    pub const TX_CHECKSUM: Self = Self(1 << 2);
    /// The NIC cuts long TCP segments of IPv4.
    pub const TSO4: Self = Self(1 << 3);
    /// The NIC cuts long TCP segments of IPv6.
    pub const TSO6: Self = Self(1 << 4);
    /// The NIC inserts VLAN tags.
    pub const TX_VLAN: Self = Self(1 << 5);
    /// Received frames say that their checksums are right.
    pub const RX_CHECKSUM: Self = Self(1 << 6);
    /// VLAN tags of received frames stand in the entry.
    pub const RX_VLAN: Self = Self(1 << 7);

    /// Features with those bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns true if all of the others are among these.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Returns true if there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Features {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({:#x})", self.0)
    }
}
