//! Which chips there are, what they can do, and what is odd about each: one table of data.
//!
//! Code never asks for a device id; it asks for a [`Limits`] field or a [`Quirks`] flag.

use bitflags::bitflags;

/// PCI vendor id of every chip in [`CHIPS`].
pub const VENDOR_INTEL: u16 = 0x8086;

/// One PCI device id.
#[derive(Debug, PartialEq, Eq)]
pub struct Chip {
    /// PCI device id, vendor [`VENDOR_INTEL`].
    pub device_id: u16,
    /// Intel's name of the part.
    pub name: &'static str,
    /// Limits of the MAC type.
    pub limits: &'static Limits,
    /// What is odd about it.
    pub quirks: Quirks,
}

/// Limits that all parts with the same MAC share.
#[derive(Debug, PartialEq, Eq)]
pub struct Limits {
    /// Descriptors that a ring may have at most.
    pub max_descriptors: u32,
    /// Share of the packet buffer that receive gets, in KiB; the value of PBA.
    pub rx_packet_buffer_kib: u32,
    /// Entries of the receive address table that a driver may write.
    pub receive_addresses: u32,
    /// Registers of the multicast table.
    pub mta_registers: u32,
    /// How the MAC is reset.
    pub reset: Reset,
}

/// What has to happen around CTRL.RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// 82543, 82544: 10 us after RST reload the EEPROM (CTRL_EXT.EE_RST), then 2 ms.
    ReloadEeprom,
    /// 82540, 82545: the EEPROM reloads by itself within 5 ms.
    Eeprom,
    /// 82573, 82574: stop bus mastering first; wait for EECD.AUTO_RD, then 25 ms until the PHY is configured.
    Pcie,
    /// 82579: stop bus mastering first; no register access for 20 ms after RST, or the part hangs.
    Pch,
}

bitflags! {
    /// What is odd about a part, named after the reason.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Quirks: u32 {
        /// Parts on conventional PCI: rings and buffers belong below 4 GiB, 64-bit addresses hang the
        /// transmitter (Linux e1000, `pci_using_dac` only with PCI-X).
        const DMA32 = 1 << 0;
        /// 82543, 82544: RCTL.SECRC does not exist; lengths include the FCS (8254x manual, 13.4.22).
        const NO_SECRC = 1 << 1;
        /// 82544: write the multicast table from high to low with a flush after each (Linux e1000,
        /// `e1000_write_mta` erratum).
        const MTA_REVERSE = 1 << 2;
        /// 82543, 82544: no ITR, RADV and TADV registers.
        const NO_MODERATION = 1 << 3;
        /// 82543: no usable auto-speed detection; speed and duplex are forced.
        const FORCE_SPEED = 1 << 4;
        /// MACs from 82540 on: firmware may answer ARP for the host; MANC.ARP_EN must go.
        const MANAGED_ARP = 1 << 5;
        /// 8257x and later: PCIe registers exist (RFCTL, MRQC, TARC0, second queue), TXDCTL bit 22 and
        /// TCTL.MULR must be one.
        const PCIE = 1 << 6;
        /// 82574, 82583: once set, RCTL.EN may only be cleared by a reset (Linux e1000e, FLAG2_NO_DISABLE_RX).
        const NO_RX_DISABLE = 1 << 7;
        /// 82573, 82574: CTRL bit 29 and CTRL_EXT bit 23 must be zero, CTRL_EXT bit 22 one (Linux e1000e,
        /// `e1000_initialize_hw_bits_82571`).
        const HW_BITS_82573 = 1 << 8;
        /// 82574, 82583: GCR bit 22, GCR2 bit 0 and TARC0 bit 26 one, against lost PCIe completions.
        const LOST_COMPLETIONS = 1 << 9;
        /// 82571 to 82573: malformed IPv6 extension headers hang the receiver; RFCTL bits 16 and 17 turn the
        /// parser off.
        const IPV6_EXT_DIS = 1 << 10;
        /// 82574: MSI-X with causes routed by IVAR.
        const MSIX = 1 << 12;
        /// 82573: RDTR 0x20 against latency (FreeBSD em, DPDK).
        const RDTR_20 = 1 << 11;
    }
}

const MAC_82543: Limits = Limits {
    max_descriptors: 256,
    rx_packet_buffer_kib: 48,
    receive_addresses: 15,
    mta_registers: 128,
    reset: Reset::ReloadEeprom,
};
const MAC_82544: Limits = Limits {
    max_descriptors: 4096,
    ..MAC_82543
};
const MAC_82540: Limits = Limits {
    reset: Reset::Eeprom,
    ..MAC_82544
};
const MAC_82573: Limits = Limits {
    rx_packet_buffer_kib: 20,
    reset: Reset::Pcie,
    ..MAC_82544
};
const MAC_82574: Limits = MAC_82573;
const MAC_82579: Limits = Limits {
    rx_packet_buffer_kib: 26,
    receive_addresses: 1,
    mta_registers: 32,
    reset: Reset::Pch,
    ..MAC_82544
};

const Q_82543: Quirks = Q_82544.difference(Quirks::MTA_REVERSE).union(Quirks::FORCE_SPEED);
const Q_82544: Quirks = Quirks::DMA32
    .union(Quirks::NO_SECRC)
    .union(Quirks::MTA_REVERSE)
    .union(Quirks::NO_MODERATION);
const Q_82540: Quirks = Quirks::DMA32.union(Quirks::MANAGED_ARP);
const Q_82573: Quirks = Quirks::MANAGED_ARP
    .union(Quirks::PCIE)
    .union(Quirks::HW_BITS_82573)
    .union(Quirks::IPV6_EXT_DIS)
    .union(Quirks::RDTR_20);
const Q_82574: Quirks = Quirks::MANAGED_ARP
    .union(Quirks::PCIE)
    .union(Quirks::NO_RX_DISABLE)
    .union(Quirks::HW_BITS_82573)
    .union(Quirks::LOST_COMPLETIONS)
    .union(Quirks::MSIX);
const Q_82579: Quirks = Quirks::PCIE;

const fn chip(device_id: u16, name: &'static str, limits: &'static Limits, quirks: Quirks) -> Chip {
    Chip {
        device_id,
        name,
        limits,
        quirks,
    }
}

/// Every chip that this driver takes. The match file of `pcid-config` lists the same ids; a test compares them.
///
/// 82543GC, 82573L and 82579V are here because the stock driver lists them: they run on the common path and
/// were tried on no hardware.
pub static CHIPS: &[Chip] = &[
    chip(0x1004, "82543GC", &MAC_82543, Q_82543),
    chip(0x100C, "82544GC", &MAC_82544, Q_82544),
    chip(0x100D, "82544GC (LOM)", &MAC_82544, Q_82544),
    chip(0x100E, "82540EM", &MAC_82540, Q_82540),
    chip(0x1015, "82540EM (LOM)", &MAC_82540, Q_82540),
    chip(0x1016, "82540EP (LOM)", &MAC_82540, Q_82540),
    chip(0x1017, "82540EP", &MAC_82540, Q_82540),
    chip(0x101E, "82540EP (low power)", &MAC_82540, Q_82540),
    chip(0x100F, "82545EM", &MAC_82540, Q_82540),
    chip(0x109A, "82573L", &MAC_82573, Q_82573),
    chip(0x10D3, "82574L", &MAC_82574, Q_82574),
    chip(0x10F6, "82574LA", &MAC_82574, Q_82574),
    chip(0x1503, "82579V", &MAC_82579, Q_82579),
];

/// The chip with this PCI id, if this driver knows it.
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
            assert!(
                CHIPS[i + 1..]
                    .iter()
                    .all(|other| other.device_id != chip.device_id),
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
}
