//! The parts that the driver knows: limits and faults of each, in one table.
//!
//! Code asks for a field of [`Limits`], a flag of [`Quirks`] or the [`MacType`], never for a device id.

mod limits;
mod mac;
mod quirks;
mod table;

pub use limits::{
    DriverLoad, Interrupts, JumboSplit, Limits, Moderation, Nvm, Offloads, PhyAccess, Reset, Semaphore,
};
pub use mac::{MacType, MacTypes};
pub use quirks::Quirks;
pub use table::CHIPS;

/// PCI vendor id of every chip in [`CHIPS`].
pub const VENDOR_INTEL: u16 = 0x8086;

/// One PCI device id.
#[derive(Debug, PartialEq, Eq)]
pub struct Chip {
    /// PCI device id, vendor [`VENDOR_INTEL`].
    pub device_id: u16,
    /// Intel's name of the part.
    pub name: &'static str,
    /// Kind of cable.
    pub media: Media,
    /// Limits of the MAC type.
    pub limits: &'static Limits,
    /// Faults that the driver works around.
    pub quirks: Quirks,
}

impl Chip {
    /// Type of the MAC.
    pub const fn mac(&self) -> MacType {
        self.limits.mac
    }
}

/// Kind of cable that a part is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Twisted pair, through a PHY.
    Copper,
    /// Optical fiber: no PHY, code words in TXCW and RXCW.
    Fiber,
    /// A backplane: as fiber.
    Serdes,
}

/// Returns the chip with this PCI id, if the driver knows it.
pub fn find(vendor: u16, device: u16) -> Option<&'static Chip> {
    if vendor != VENDOR_INTEL {
        return None;
    }
    CHIPS.iter().find(|chip| chip.device_id == device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_listed_once() {
        for (i, chip) in CHIPS.iter().enumerate() {
            let mut rest = CHIPS[i + 1..].iter();
            assert!(
                rest.all(|other| other.device_id != chip.device_id && other.name != chip.name),
                "{}",
                chip.name
            );
        }
    }

    #[test]
    fn qemu_models_are_known() {
        for (id, name) in [
            (0x100E, "82540EM"),
            (0x100C, "82544GC"),
            (0x100F, "82545EM"),
            (0x10D3, "82574L"),
        ] {
            assert_eq!(find(VENDOR_INTEL, id).map(|chip| chip.name), Some(name));
        }
        assert_eq!(find(0x10EC, 0x100E), None);
    }

    #[test]
    fn limits_and_quirks_agree() {
        for chip in CHIPS {
            let (limits, quirks, name) = (chip.limits, chip.quirks, chip.name);
            assert_ne!(quirks.contains(Quirks::DMA32), chip.mac().is_pcie(), "{name}");
            assert!(limits.rx_packet_buffer_kib < limits.packet_buffer_kib, "{name}");
            assert!(limits.max_frame >= 1522, "{name}");
            assert!(limits.max_descriptors.is_multiple_of(8), "{name}");
            assert_eq!(chip.mac().is_pch(), limits.reset == Reset::Pch, "{name}");
            assert_eq!(chip.mac().is_pch(), limits.phy == PhyAccess::Firmware, "{name}");
            // Entry 14 is taken where it holds the copy of the address.
            if quirks.contains(Quirks::OTHER_PORT_RESETS_ADDRESS) {
                assert_eq!(limits.receive_addresses, 14, "{name}");
            }
        }
    }
}
