//! The table of chips: limits of each MAC type, then every device id.
//!
//! Sources: HF 1.1 and 1.2 (`e1000-hardware-facts.md`), which restate Linux e1000 (`e1000_set_mac_type`) and e1000e
//! (`e1000_info` records).

use crate::offload::Offloads;

use super::{Chip, DriverLoad, Interrupts, JumboSplit, Limits, Media, Moderation, Nvm, PhyAccess, Quirks};
use super::{Reset, Semaphore};

const CHECKSUMS: Offloads = Offloads::TX_CHECKSUM.union(Offloads::RX_CHECKSUM);

const MAC_82543: Limits = Limits {
    mac: "82543",
    max_descriptors: 256,
    packet_buffer_kib: 64,
    rx_packet_buffer_kib: 48,
    jumbo_split: JumboSplit::Above8192(40),
    max_frame: 16128,
    dma_bits: 32,
    receive_addresses: 15,
    mta_registers: 128,
    nvm: Nvm::Microwire,
    phy: PhyAccess::BitBang,
    reset: Reset::ReloadEeprom,
    semaphore: Semaphore::None,
    driver_load: DriverLoad::None,
    moderation: Moderation::Delays,
    interrupts: Interrupts::Line,
    // Checksums come out wrong, and are reported wrong (82543GC specification update, erratum 15).
    offloads: Offloads::empty(),
};
const MAC_82544: Limits = Limits {
    mac: "82544",
    max_descriptors: 4096,
    phy: PhyAccess::Mdic,
    offloads: CHECKSUMS.union(Offloads::TSO_IPV4),
    ..MAC_82543
};
const MAC_82540: Limits = Limits {
    mac: "82540",
    nvm: Nvm::EerdSmall,
    reset: Reset::Eeprom,
    moderation: Moderation::Itr,
    ..MAC_82544
};
const MAC_82545: Limits = Limits {
    mac: "82545",
    ..MAC_82540
};
const MAC_82545R3: Limits = Limits {
    mac: "82545r3",
    jumbo_split: JumboSplit::Computed,
    ..MAC_82540
};
const MAC_82546: Limits = Limits {
    mac: "82546",
    ..MAC_82540
};
const MAC_82546R3: Limits = Limits {
    mac: "82546r3",
    ..MAC_82545R3
};
const MAC_82541: Limits = Limits {
    mac: "82541",
    nvm: Nvm::EerdLarge,
    reset: Reset::EepromSlow,
    ..MAC_82540
};
const MAC_82541R2: Limits = Limits {
    mac: "82541r2",
    ..MAC_82541
};
const MAC_82547: Limits = Limits {
    mac: "82547",
    packet_buffer_kib: 40,
    rx_packet_buffer_kib: 30,
    jumbo_split: JumboSplit::Above8192(22),
    offloads: CHECKSUMS,
    ..MAC_82541
};
const MAC_82547R2: Limits = Limits {
    mac: "82547r2",
    ..MAC_82547
};
const MAC_82571: Limits = Limits {
    mac: "82571",
    packet_buffer_kib: 48,
    rx_packet_buffer_kib: 38,
    jumbo_split: JumboSplit::Computed,
    max_frame: 9234,
    dma_bits: 64,
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
const MAC_82572: Limits = Limits {
    mac: "82572",
    receive_addresses: 15,
    ..MAC_82571
};
const MAC_82573: Limits = Limits {
    mac: "82573",
    packet_buffer_kib: 32,
    rx_packet_buffer_kib: 20,
    // 82573L takes 9234 if its NVM says that ASPM is off (word 0x1A); not asked.
    max_frame: 1522,
    reset: Reset::PciePhyFromNvm,
    semaphore: Semaphore::SwsmMdio,
    driver_load: DriverLoad::Swsm,
    ..MAC_82572
};
const MAC_82574: Limits = Limits {
    mac: "82574",
    packet_buffer_kib: 40,
    rx_packet_buffer_kib: 32,
    max_frame: 9234,
    semaphore: Semaphore::Mdio,
    driver_load: DriverLoad::CtrlExt,
    moderation: Moderation::Eitr,
    interrupts: Interrupts::MsiX,
    ..MAC_82573
};
const MAC_82583: Limits = Limits {
    mac: "82583",
    moderation: Moderation::Itr,
    interrupts: Interrupts::Msi,
    ..MAC_82574
};
const MAC_PCH2: Limits = Limits {
    mac: "PCH2",
    packet_buffer_kib: 40,
    rx_packet_buffer_kib: 26,
    jumbo_split: JumboSplit::AboveStandard(14),
    // Longer ones need FIFO thresholds and PHY settings that are not made (Linux e1000e,
    // `e1000_lv_jumbo_workaround_ich8lan`).
    max_frame: 1522,
    receive_addresses: 1,
    mta_registers: 32,
    nvm: Nvm::Flash,
    phy: PhyAccess::Firmware,
    reset: Reset::Pch,
    semaphore: Semaphore::SwFlag,
    ..MAC_82571
};
const MAC_LPT: Limits = Limits {
    mac: "LPT",
    ..MAC_PCH2
};

/// All 8254x.
const Q_8254X: Quirks = Quirks::DMA32
    .union(Quirks::TSO_SENTINEL)
    .union(Quirks::PAD_60)
    .union(Quirks::FLUSH_TABLES);
const Q_82543: Quirks = Q_8254X
    .union(Quirks::PCIX_READ_2048)
    .union(Quirks::NO_SECRC)
    .union(Quirks::NO_TX_WTHRESH)
    .union(Quirks::FORCE_SPEED)
    .union(Quirks::TBI)
    .union(Quirks::NO_TSO);
const Q_82544: Quirks = Q_8254X
    .union(Quirks::PCIX_READ_2048)
    .union(Quirks::NO_SECRC)
    .union(Quirks::NO_TX_WTHRESH)
    .union(Quirks::MTA_REVERSE)
    .union(Quirks::IO_RESET)
    .union(Quirks::PCIX_82544_END);
const Q_82540: Quirks = Q_82540R3.union(Quirks::IO_RESET).union(Quirks::PCIX_READ_2048);
const Q_82540R3: Quirks = Q_8254X.union(Quirks::MANAGED_ARP);
const Q_82545: Quirks = Q_82540.union(Quirks::NO_64K_CROSS).union(Quirks::PCIX_TX_2015);
const Q_82545R3: Quirks = Q_82540R3.union(Quirks::SHADOW_RESET).union(Quirks::PCIX_TX_2015);
const Q_82546: Quirks = Q_82545.union(Quirks::DUAL_PORT_MAC);
const Q_82546R3: Quirks = Q_82545R3.union(Quirks::DUAL_PORT_MAC);
const Q_82546GB_QUAD: Quirks = Q_82546R3.union(Quirks::RELAXED_ORDERING);
const Q_82541: Quirks = Q_82541R2.union(Quirks::PHY_FIRST);
const Q_82541R2: Quirks = Q_82540.union(Quirks::PHY_SETTINGS);
const Q_82547: Quirks = Q_82547R2.union(Quirks::PHY_FIRST);
const Q_82547R2: Quirks = Q_82540R3
    .union(Quirks::PHY_SETTINGS)
    .union(Quirks::HD_FIFO)
    .union(Quirks::ITR_NONZERO)
    .union(Quirks::NO_TSO);

/// 82571 to 82583.
const Q_8257X: Quirks = Quirks::PCIE
    .union(Quirks::MANAGED_ARP)
    .union(Quirks::PAD_17)
    .union(Quirks::TARC_8257X);
const Q_82571: Quirks = Q_82572
    .union(Quirks::DUAL_PORT_MAC)
    .union(Quirks::LAA_RESTORE)
    .union(Quirks::PACKET_BUFFER_ECC);
const Q_82572: Quirks = Q_8257X
    .union(Quirks::IPV6_EXT_DIS)
    .union(Quirks::DMA_CLOCK)
    .union(Quirks::TARC_82571)
    .union(Quirks::TARC_SPEED_MODE)
    .union(Quirks::NO_ASPM_L1);
const Q_82573: Quirks = Q_8257X
    .union(Quirks::HW_BITS_82573)
    .union(Quirks::DMA_CLOCK)
    .union(Quirks::IPV6_EXT_DIS)
    .union(Quirks::RDTR_20)
    .union(Quirks::L1_WITHOUT_L0S)
    .union(Quirks::NO_ASPM);
const Q_82574: Quirks = Q_82583.union(Quirks::PHY_HANG_CHECK);
const Q_82583: Quirks = Q_8257X
    .union(Quirks::NO_RX_DISABLE)
    .union(Quirks::HW_BITS_82573)
    .union(Quirks::LOST_COMPLETIONS)
    .union(Quirks::L1_WITHOUT_L0S)
    .union(Quirks::NO_ASPM);
const Q_PCH2: Quirks = Quirks::PCIE
    .union(Quirks::PAD_17)
    .union(Quirks::HW_BITS_PCH)
    .union(Quirks::NFS_DIS)
    .union(Quirks::NO_PHY_RST)
    .union(Quirks::FEXTNVM)
    .union(Quirks::NO_TSO_DEFAULT)
    .union(Quirks::RELAXED_ORDERING)
    .union(Quirks::K1_OFF)
    .union(Quirks::ME_ARBITER);
const Q_LPT: Quirks = Q_PCH2
    .difference(Quirks::ME_ARBITER.union(Quirks::K1_OFF))
    .union(Quirks::PBECCSTS)
    .union(Quirks::BEACON_8_US)
    .union(Quirks::EEE_OFF);
const Q_LPT_LP: Quirks = Q_LPT.union(Quirks::K1_LOSES_COMPLETIONS);

const fn copper(device_id: u16, name: &'static str, limits: &'static Limits, quirks: Quirks) -> Chip {
    Chip {
        device_id,
        name,
        media: Media::Copper,
        limits,
        quirks,
    }
}

const fn fiber(device_id: u16, name: &'static str, limits: &'static Limits, quirks: Quirks) -> Chip {
    Chip {
        media: Media::Fiber,
        ..copper(device_id, name, limits, quirks)
    }
}

const fn serdes(device_id: u16, name: &'static str, limits: &'static Limits, quirks: Quirks) -> Chip {
    Chip {
        media: Media::Serdes,
        ..copper(device_id, name, limits, quirks)
    }
}

/// Every chip that this driver takes. The match file of `pcid-config` and `docs/hardware.md` list the same ids;
/// tests compare them.
pub static CHIPS: &[Chip] = &[
    fiber(
        0x1001,
        "82543GC (fiber)",
        &MAC_82543,
        Q_82543.difference(Quirks::TBI).union(Quirks::SIGNAL_INVERTED),
    ),
    copper(0x1004, "82543GC", &MAC_82543, Q_82543),
    copper(0x1008, "82544EI", &MAC_82544, Q_82544),
    fiber(
        0x1009,
        "82544EI (fiber)",
        &MAC_82544,
        Q_82544.union(Quirks::SIGNAL_INVERTED),
    ),
    copper(0x100C, "82544GC", &MAC_82544, Q_82544),
    copper(0x100D, "82544GC (LOM)", &MAC_82544, Q_82544),
    copper(0x100E, "82540EM", &MAC_82540, Q_82540),
    copper(0x1015, "82540EM (LOM)", &MAC_82540, Q_82540),
    copper(0x1016, "82540EP (LOM)", &MAC_82540, Q_82540),
    copper(0x1017, "82540EP", &MAC_82540, Q_82540),
    copper(0x101E, "82540EP (low power)", &MAC_82540, Q_82540),
    copper(0x100F, "82545EM", &MAC_82545, Q_82545),
    fiber(0x1011, "82545EM (fiber)", &MAC_82545, Q_82545),
    copper(0x1026, "82545GM", &MAC_82545R3, Q_82545R3),
    fiber(0x1027, "82545GM (fiber)", &MAC_82545R3, Q_82545R3),
    serdes(0x1028, "82545GM (serdes)", &MAC_82545R3, Q_82545R3),
    copper(0x1010, "82546EB", &MAC_82546, Q_82546),
    fiber(0x1012, "82546EB (fiber)", &MAC_82546, Q_82546),
    copper(0x101D, "82546EB (quad)", &MAC_82546, Q_82546),
    copper(0x1079, "82546GB", &MAC_82546R3, Q_82546R3),
    fiber(0x107A, "82546GB (fiber)", &MAC_82546R3, Q_82546R3),
    serdes(0x107B, "82546GB (serdes)", &MAC_82546R3, Q_82546R3),
    copper(0x108A, "82546GB (PCIe)", &MAC_82546R3, Q_82546R3),
    copper(0x1099, "82546GB (quad)", &MAC_82546R3, Q_82546GB_QUAD),
    copper(0x10B5, "82546GB (quad KSP3)", &MAC_82546R3, Q_82546GB_QUAD),
    copper(0x1013, "82541EI", &MAC_82541, Q_82541),
    copper(0x1018, "82541EI (mobile)", &MAC_82541, Q_82541),
    copper(0x1014, "82541ER (LOM)", &MAC_82541, Q_82541),
    copper(0x1076, "82541GI", &MAC_82541R2, Q_82541R2),
    copper(0x1077, "82541GI (mobile)", &MAC_82541R2, Q_82541R2),
    copper(0x1078, "82541ER", &MAC_82541R2, Q_82541R2),
    copper(0x107C, "82541PI", &MAC_82541R2, Q_82541R2),
    copper(0x1019, "82547EI", &MAC_82547, Q_82547),
    copper(0x101A, "82547EI (mobile)", &MAC_82547, Q_82547),
    copper(0x1075, "82547GI", &MAC_82547R2, Q_82547R2),
    copper(0x105E, "82571EB", &MAC_82571, Q_82571),
    fiber(0x105F, "82571EB (fiber)", &MAC_82571, Q_82571),
    serdes(0x1060, "82571EB (serdes)", &MAC_82571, Q_82571),
    copper(0x10A4, "82571EB (quad)", &MAC_82571, Q_82571),
    fiber(0x10A5, "82571EB (quad fiber)", &MAC_82571, Q_82571),
    copper(0x10BC, "82571EB (quad low profile)", &MAC_82571, Q_82571),
    copper(0x10D5, "82571PT (quad)", &MAC_82571, Q_82571),
    serdes(0x10D9, "82571EB (dual serdes)", &MAC_82571, Q_82571),
    serdes(0x10DA, "82571EB (quad serdes)", &MAC_82571, Q_82571),
    copper(0x107D, "82572EI", &MAC_82572, Q_82572),
    fiber(0x107E, "82572EI (fiber)", &MAC_82572, Q_82572),
    serdes(0x107F, "82572EI (serdes)", &MAC_82572, Q_82572),
    copper(0x10B9, "82572EI (LOM)", &MAC_82572, Q_82572),
    copper(0x108B, "82573E", &MAC_82573, Q_82573),
    copper(0x108C, "82573E (IAMT)", &MAC_82573, Q_82573),
    copper(0x109A, "82573L", &MAC_82573, Q_82573),
    copper(0x10D3, "82574L", &MAC_82574, Q_82574),
    copper(0x10F6, "82574LA", &MAC_82574, Q_82574),
    copper(0x150C, "82583V", &MAC_82583, Q_82583),
    copper(0x1503, "82579V", &MAC_PCH2, Q_PCH2),
    copper(0x153A, "I217-LM", &MAC_LPT, Q_LPT),
    copper(0x153B, "I217-V", &MAC_LPT, Q_LPT),
    copper(0x155A, "I218-LM", &MAC_LPT, Q_LPT_LP),
    copper(0x1559, "I218-V", &MAC_LPT, Q_LPT_LP),
    copper(0x15A0, "I218-LM (2)", &MAC_LPT, Q_LPT),
    copper(0x15A1, "I218-V (2)", &MAC_LPT, Q_LPT),
    copper(0x15A2, "I218-LM (3)", &MAC_LPT, Q_LPT_LP),
    copper(0x15A3, "I218-V (3)", &MAC_LPT, Q_LPT_LP),
];
