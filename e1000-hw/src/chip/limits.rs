//! Properties that all parts with the same MAC share: sizes, and the access to NVM, PHY, reset and firmware.
//!
//! Sources: Linux e1000 (`e1000_set_mac_type`, `e1000_init_eeprom_params`, `e1000_reset`) and e1000e (the `e1000_info`
//! records in `82571.c` and `ich8lan.c`, `e1000e_reset`).

use bitflags::bitflags;

use super::MacType;
use crate::ethernet::STANDARD_WIRE_LEN;

bitflags! {
    /// Offloads of TCP/IP frames: those that a part has, or those that are turned on.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Offloads: u8 {
        /// Checksums of transmitted frames are filled in.
        const TX_CHECKSUM = 1 << 0;
        /// TCP segments over IPv4 are split.
        const TSO_IPV4 = 1 << 1;
        /// TCP segments over IPv6 are split.
        const TSO_IPV6 = 1 << 2;
        /// Checksums of received frames are checked.
        const RX_CHECKSUM = 1 << 3;
    }
}

/// Limits that all parts with the same MAC share.
#[derive(Debug, PartialEq, Eq)]
pub struct Limits {
    /// Type of the MAC.
    pub mac: MacType,
    /// Descriptors that a ring may have at most.
    pub max_descriptors: u32,
    /// The packet buffer, receive and transmit together, in KiB.
    pub packet_buffer_kib: u32,
    /// Share of the packet buffer that receive gets, in KiB, for standard frames; the value of PBA.
    pub rx_packet_buffer_kib: u32,
    /// Split of the packet buffer for longer frames.
    pub jumbo_split: JumboSplit,
    /// Longest frame with FCS and VLAN tag, in bytes.
    pub max_frame: u32,
    /// Entries of the receive address table that a driver may write.
    pub receive_addresses: u32,
    /// Registers of the multicast table.
    pub mta_registers: u32,
    /// Way to read the NVM.
    pub nvm: Nvm,
    /// Way to reach the PHY.
    pub phy: PhyAccess,
    /// Steps of a reset.
    pub reset: Reset,
    /// Semaphore to hold for PHY and NVM, and around a reset.
    pub semaphore: Semaphore,
    /// Bit by which firmware sees that a driver is loaded.
    pub driver_load: DriverLoad,
    /// Registers for interrupt moderation.
    pub moderation: Moderation,
    /// Interrupts that a driver may use.
    pub interrupts: Interrupts,
    /// Offloads. 8254x do not split TCP over IPv6 (Linux e1000, `e1000_probe`), and 82543 and 82547 no TCP at all.
    pub offloads: Offloads,
}

/// Split of the packet buffer for frames above 1522 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JumboSplit {
    /// Receive gets this many KiB if frames may be longer than 8192 bytes (8254x: Linux e1000, `e1000_reset`).
    Above8192(u32),
    /// Computed: two frames on the transmit side, at least one on the receive side.
    Computed,
    /// Receive gets this many KiB for any jumbo frames (PCH2 and later: Linux e1000e, `e1000e_reset`).
    AboveStandard(u32),
}

/// Way to read the NVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nvm {
    /// 82543, 82544: no EERD; a microwire EEPROM behind the pins of EECD (8254x manual, 5.3.1).
    Microwire,
    /// 82540, 82545, 82546: EERD with DONE in bit 4 and the address from bit 8 (8254x manual, 13.4.4).
    EerdSmall,
    /// 82541, 82547, 8257x: EERD with DONE in bit 1 and the address from bit 2 (8254x manual, 13.4.4).
    EerdLarge,
    /// PCH: in the SPI flash of the chipset. Not read.
    Flash,
}

/// Way to reach the PHY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhyAccess {
    /// 82543: MDIO by hand, on pins of CTRL (Linux e1000, `e1000_read_phy_reg_ex`).
    BitBang,
    /// Through MDIC.
    Mdic,
    /// PCH: through MDIC, but firmware has configured the PHY and shares it. It is left alone: a reset breaks that of
    /// 82579, I217 and I218 (iPXE, `INTEL_NO_PHY_RST`), and the EEE that low-power idle of I217 and I218 would need to
    /// be safe is not advertised.
    Firmware,
}

/// Steps around CTRL.RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// 82543, 82544: 10 us after RST reload the EEPROM (CTRL_EXT.EE_RST), then 2 ms.
    ReloadEeprom,
    /// 82540, 82545, 82546: the EEPROM reloads by itself within 5 ms.
    Eeprom,
    /// 82541, 82547: the EEPROM reloads by itself within 20 ms.
    EepromSlow,
    /// 82571, 82572: wait for EECD.AUTO_RD; give the EEPROM back (EECD.REQ, GNT).
    Pcie,
    /// 82573, 82574, 82583: as [`Reset::Pcie`], but the NVM may be flash and needs CTRL_EXT.EE_RST, and the PHY is
    /// configured from it: 25 ms.
    PciePhyFromNvm,
    /// 82579, I217, I218: no register access for 20 ms after RST, or the part hangs.
    Pch,
}

/// Semaphore between firmware, the other port and software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semaphore {
    /// 8254x: nothing.
    None,
    /// 82571, 82572: SWSM.SMBI between ports, then SWESMBI with firmware. Nothing around a reset.
    Swsm,
    /// 82573: as [`Semaphore::Swsm`] for PHY and NVM, EXTCNF_CTRL.MDIO_SW_OWNERSHIP around a reset.
    SwsmMdio,
    /// 82574, 82583: EXTCNF_CTRL.MDIO_SW_OWNERSHIP.
    Mdio,
    /// PCH: EXTCNF_CTRL.SWFLAG, which is the same bit, with firmware as a contender.
    SwFlag,
}

/// Bit by which firmware sees that a driver is loaded (Linux e1000e, `e1000e_get_hw_control`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverLoad {
    /// 8254x: none.
    None,
    /// CTRL_EXT bit 28.
    CtrlExt,
    /// 82573: SWSM bit 3.
    Swsm,
}

/// Registers for interrupt moderation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moderation {
    /// 82543, 82544: the packet timers RDTR and TIDV only; no ITR, RADV and TADV.
    Delays,
    /// ITR, RADV and TADV too.
    Itr,
    /// 82574: an EITR for each MSI-X vector besides.
    Eitr,
}

/// Interrupts that a driver may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    /// INTx. Some 82545 and 82546 advertise MSI; no driver uses it.
    Line,
    /// INTx, or one MSI.
    Msi,
    /// INTx, MSI, or MSI-X with causes routed by IVAR.
    MsiX,
}

/// Checksums in both directions.
const CHECKSUMS: Offloads = Offloads::TX_CHECKSUM.union(Offloads::RX_CHECKSUM);

pub(super) const MAC_82543: Limits = Limits {
    mac: MacType::I82543,
    max_descriptors: 256,
    packet_buffer_kib: 64,
    rx_packet_buffer_kib: 48,
    jumbo_split: JumboSplit::Above8192(40),
    max_frame: 16128,
    receive_addresses: 15,
    mta_registers: 128,
    nvm: Nvm::Microwire,
    phy: PhyAccess::BitBang,
    reset: Reset::ReloadEeprom,
    semaphore: Semaphore::None,
    driver_load: DriverLoad::None,
    moderation: Moderation::Delays,
    interrupts: Interrupts::Line,
    // Checksums are computed and reported wrong (82543GC specification update, erratum 15).
    offloads: Offloads::empty(),
};
pub(super) const MAC_82544: Limits = Limits {
    mac: MacType::I82544,
    max_descriptors: 4096,
    phy: PhyAccess::Mdic,
    offloads: CHECKSUMS.union(Offloads::TSO_IPV4),
    ..MAC_82543
};
pub(super) const MAC_82540: Limits = Limits {
    mac: MacType::I82540,
    nvm: Nvm::EerdSmall,
    reset: Reset::Eeprom,
    moderation: Moderation::Itr,
    ..MAC_82544
};
pub(super) const MAC_82545: Limits = Limits {
    mac: MacType::I82545,
    ..MAC_82540
};
pub(super) const MAC_82545R3: Limits = Limits {
    mac: MacType::I82545R3,
    jumbo_split: JumboSplit::Computed,
    ..MAC_82540
};
pub(super) const MAC_82546: Limits = Limits {
    mac: MacType::I82546,
    ..MAC_82540
};
pub(super) const MAC_82546R3: Limits = Limits {
    mac: MacType::I82546R3,
    ..MAC_82545R3
};
pub(super) const MAC_82541: Limits = Limits {
    mac: MacType::I82541,
    nvm: Nvm::EerdLarge,
    reset: Reset::EepromSlow,
    ..MAC_82540
};
pub(super) const MAC_82541R2: Limits = Limits {
    mac: MacType::I82541R2,
    ..MAC_82541
};
pub(super) const MAC_82547: Limits = Limits {
    mac: MacType::I82547,
    packet_buffer_kib: 40,
    rx_packet_buffer_kib: 30,
    jumbo_split: JumboSplit::Above8192(22),
    offloads: CHECKSUMS,
    ..MAC_82541
};
pub(super) const MAC_82547R2: Limits = Limits {
    mac: MacType::I82547R2,
    ..MAC_82547
};
pub(super) const MAC_82571: Limits = Limits {
    mac: MacType::I82571,
    packet_buffer_kib: 48,
    rx_packet_buffer_kib: 38,
    jumbo_split: JumboSplit::Computed,
    max_frame: 9234,
    // Entry 14 holds the second copy of the address.
    receive_addresses: 14,
    nvm: Nvm::EerdLarge,
    reset: Reset::Pcie,
    semaphore: Semaphore::Swsm,
    driver_load: DriverLoad::CtrlExt,
    interrupts: Interrupts::Msi,
    offloads: Offloads::all(),
    ..MAC_82540
};
pub(super) const MAC_82572: Limits = Limits {
    mac: MacType::I82572,
    receive_addresses: 15,
    ..MAC_82571
};
pub(super) const MAC_82573: Limits = Limits {
    mac: MacType::I82573,
    packet_buffer_kib: 32,
    rx_packet_buffer_kib: 20,
    // 82573L takes 9234 if its NVM says that ASPM is off (word 0x1A); not asked.
    max_frame: STANDARD_WIRE_LEN as u32,
    reset: Reset::PciePhyFromNvm,
    semaphore: Semaphore::SwsmMdio,
    driver_load: DriverLoad::Swsm,
    ..MAC_82572
};
pub(super) const MAC_82574: Limits = Limits {
    mac: MacType::I82574,
    packet_buffer_kib: 40,
    rx_packet_buffer_kib: 32,
    max_frame: 9234,
    semaphore: Semaphore::Mdio,
    driver_load: DriverLoad::CtrlExt,
    moderation: Moderation::Eitr,
    interrupts: Interrupts::MsiX,
    ..MAC_82573
};
pub(super) const MAC_82583: Limits = Limits {
    mac: MacType::I82583,
    moderation: Moderation::Itr,
    interrupts: Interrupts::Msi,
    ..MAC_82574
};
pub(super) const MAC_PCH2: Limits = Limits {
    mac: MacType::Pch2,
    packet_buffer_kib: 40,
    rx_packet_buffer_kib: 26,
    jumbo_split: JumboSplit::AboveStandard(14),
    // Longer ones need FIFO thresholds and PHY settings that are not made (Linux e1000e,
    // `e1000_lv_jumbo_workaround_ich8lan`).
    max_frame: STANDARD_WIRE_LEN as u32,
    // Firmware may own the others (Linux e1000e, `e1000_rar_set_pch2lan`).
    receive_addresses: 1,
    mta_registers: 32,
    nvm: Nvm::Flash,
    phy: PhyAccess::Firmware,
    reset: Reset::Pch,
    semaphore: Semaphore::SwFlag,
    ..MAC_82571
};
pub(super) const MAC_LPT: Limits = Limits {
    mac: MacType::Lpt,
    ..MAC_PCH2
};
