//! The table of chips: every device id, with the limits of its MAC type and its faults.
//!
//! Sources: Linux e1000 (`e1000_set_mac_type`, `e1000_set_media_type`) and e1000e (`e1000_pci_tbl`).

use super::limits::{
    MAC_82540, MAC_82541, MAC_82541R2, MAC_82543, MAC_82544, MAC_82545, MAC_82545R3, MAC_82546, MAC_82546R3,
    MAC_82547, MAC_82547R2, MAC_82571, MAC_82572, MAC_82573, MAC_82574, MAC_82583, MAC_LPT, MAC_PCH2,
};
use super::{Chip, Limits, Media, Quirks};

/// All 8254x.
const Q_8254X: Quirks = Quirks::DMA32
    .union(Quirks::PREMATURE_TSO_WRITE_BACK)
    .union(Quirks::PADDING_CORRUPTS)
    .union(Quirks::WRITE_BURSTS_LOST);
const Q_82543: Quirks = Q_8254X
    .union(Quirks::PCIX_READ_2048)
    .union(Quirks::NO_SECRC)
    .union(Quirks::NO_SPEED_DETECTION);
const Q_82544: Quirks = Q_8254X
    .union(Quirks::PCIX_READ_2048)
    .union(Quirks::NO_SECRC)
    .union(Quirks::TABLE_WRITES_SPILL)
    .union(Quirks::PCIX_BUFFER_END_HANGS);
const Q_82540: Quirks = Q_8254X.union(Quirks::PCIX_READ_2048);
const Q_82545: Quirks = Q_82540.union(Quirks::PCIX_TX_2015);
const Q_82545R3: Quirks = Q_8254X.union(Quirks::SHADOW_RESET).union(Quirks::PCIX_TX_2015);
const Q_82546: Quirks = Q_82545.union(Quirks::ONE_ADDRESS_FOR_TWO_PORTS);
const Q_82546R3: Quirks = Q_82545R3.union(Quirks::ONE_ADDRESS_FOR_TWO_PORTS);
const Q_82546GB_QUAD: Quirks = Q_82546R3.union(Quirks::RELAXED_ORDERING);
const Q_82541: Quirks = Q_82541R2.union(Quirks::PHY_RESET_FIRST);
const Q_82541R2: Quirks = Q_82540.union(Quirks::PHY_NEEDS_SETTINGS);
const Q_82547: Quirks = Q_82547R2.union(Quirks::PHY_RESET_FIRST);
const Q_82547R2: Quirks = Q_8254X
    .union(Quirks::PHY_NEEDS_SETTINGS)
    .union(Quirks::HALF_DUPLEX_LOCKS_FIFO)
    .union(Quirks::ITR_ZERO_HANGS);

const Q_82571: Quirks = Q_82572
    .union(Quirks::ONE_ADDRESS_FOR_TWO_PORTS)
    .union(Quirks::OTHER_PORT_RESETS_ADDRESS);
const Q_82572: Quirks = Quirks::TARC_SPEED_MODE.union(Quirks::NO_ASPM_L1);
const Q_82573: Quirks = Quirks::LONG_RECEIVE_LATENCY.union(Quirks::NO_ASPM);
const Q_82574: Quirks = Q_82583.union(Quirks::PHY_HANGS);
const Q_82583: Quirks = Quirks::NO_RX_DISABLE.union(Quirks::NO_ASPM);
const Q_PCH2: Quirks = Quirks::RELAXED_ORDERING
    .union(Quirks::K1_UNSTABLE)
    .union(Quirks::FIRMWARE_LOSES_WRITES);
const Q_LPT: Quirks = Quirks::RELAXED_ORDERING;
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
        Q_82543.union(Quirks::SIGNAL_INVERTED),
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
