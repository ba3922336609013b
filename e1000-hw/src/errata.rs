//! Errata: register bits to clear and to set after a reset, in order, and the parts that are refused because a
//! work-around is missing.
//!
//! Sources: Linux e1000 (`e1000_reset_hw`, `e1000_init_hw`) and e1000e (`e1000_initialize_hw_bits_82571`,
//! `e1000_initialize_hw_bits_ich8lan`). TXDCTL, RFCTL, TIPG and ITR are not among the steps: they are programmed as a
//! whole.

use crate::chip::{Chip, MacType, MacTypes, Quirks};
use crate::platform::Registers;
use crate::regs::{self, Ctrl};

/// Parts that a step is for.
enum Parts {
    Types(MacTypes),
    With(Quirks),
}

impl Parts {
    fn contains(&self, chip: &Chip) -> bool {
        match self {
            Self::Types(types) => types.contains(chip.mac()),
            Self::With(quirk) => chip.quirks.contains(*quirk),
        }
    }
}

/// Bits of one register to clear and to set.
struct Step {
    parts: Parts,
    register: u32,
    clear: u32,
    set: u32,
}

const fn types(types: MacTypes, register: u32, clear: u32, set: u32) -> Step {
    Step {
        parts: Parts::Types(types),
        register,
        clear,
        set,
    }
}

const fn with(quirk: Quirks, register: u32, clear: u32, set: u32) -> Step {
    Step {
        parts: Parts::With(quirk),
        register,
        clear,
        set,
    }
}

const ONLY_82571: MacTypes = MacTypes::only(MacType::I82571);
const I82571_AND_82572: MacTypes = MacTypes::range(MacType::I82571, MacType::I82572);
const I82571_TO_82573: MacTypes = MacTypes::range(MacType::I82571, MacType::I82573);
const I82571_TO_82583: MacTypes = MacTypes::range(MacType::I82571, MacType::I82583);
const I82573_TO_82583: MacTypes = MacTypes::range(MacType::I82573, MacType::I82583);
const I82574_AND_82583: MacTypes = MacTypes::range(MacType::I82574, MacType::I82583);
const ONLY_LPT: MacTypes = MacTypes::only(MacType::Lpt);
/// From 82540 on, but not in a chipset: firmware may answer ARP for the host.
const MANAGED: MacTypes = MacTypes::range(MacType::I82540, MacType::I82583);

const CTRL_EXT_RO_DIS: u32 = 1 << 17;
const CTRL_EXT_DMA_DYN_CLK_EN: u32 = 1 << 19;
const CTRL_EXT_PHYPDEN: u32 = 1 << 20;
const PBA_ECC_CORR_EN: u32 = 1;
const PBECCSTS_ECC_ENABLE: u32 = 1 << 16;
const GCR_L1_ACT_WITHOUT_L0S_RX: u32 = 1 << 27;

static STEPS: &[Step] = &[
    // Linux e1000, `e1000_reset_hw`.
    types(MANAGED, regs::MANC, regs::MANC_ARP_EN, 0),
    // Linux e1000, `e1000_init_hw`; e1000e, `e1000_init_hw_ich8lan`.
    with(Quirks::RELAXED_ORDERING, regs::CTRL_EXT, 0, CTRL_EXT_RO_DIS),
    // Arbitration between the transmit queues, without a reason given. Bit 28 of TARC1 is the opposite of TCTL.MULR,
    // which is set on all parts that have a TARC1. From here on Linux e1000e, `e1000_initialize_hw_bits_82571`.
    types(I82571_TO_82583, regs::TARC0, 0b1111 << 27, 0),
    types(I82571_AND_82572, regs::TARC0, 0, 0b1111 << 23),
    types(I82571_AND_82572, regs::TARC1, 0b111 << 28, 0b111 << 24 | 1 << 22),
    types(I82574_AND_82583, regs::TARC0, 0, 1 << 26),
    // Reserved bits. Their neighbour in CTRL is cleared with the link settings.
    types(I82573_TO_82583, regs::CTRL_EXT, 1 << 23, 1 << 22),
    // Error correction of the packet buffer is off after a reset.
    types(ONLY_82571, regs::PBA_ECC, 0, PBA_ECC_CORR_EN),
    // Dynamic clock gating of DMA has to be off; of 82573 as well (its specification update, erratum 15).
    types(I82571_TO_82573, regs::CTRL_EXT, CTRL_EXT_DMA_DYN_CLK_EN, 0),
    // PCIe completions are lost, in particular with ASPM, and the transmitter times out.
    types(I82574_AND_82583, regs::GCR, 0, 1 << 22),
    types(I82574_AND_82583, regs::GCR2, 0, 1),
    // Linux e1000e, `e1000_init_hw_82571`.
    types(I82573_TO_82583, regs::GCR, 0, GCR_L1_ACT_WITHOUT_L0S_RX),
    // From here on `e1000_initialize_hw_bits_ich8lan`.
    types(MacTypes::PCH, regs::CTRL_EXT, 0, 1 << 22 | CTRL_EXT_PHYPDEN),
    types(MacTypes::PCH, regs::TARC0, 0, 0b11 << 26 | 0b11 << 23),
    types(MacTypes::PCH, regs::TARC1, 1 << 28, 1 << 30 | 1 << 26 | 1 << 24),
    // Error correction of the packet buffer, and handling of memory errors.
    types(ONLY_LPT, regs::PBECCSTS, 0, PBECCSTS_ECC_ENABLE),
    types(ONLY_LPT, regs::CTRL, 0, Ctrl::MEHE.bits()),
    // Frames are lost unless the beacon lasts 8 us (`e1000_check_for_copper_link_ich8lan`).
    types(ONLY_LPT, regs::FEXTNVM4, 0, regs::FEXTNVM4_BEACON),
];

/// Does the steps for this part, with one read and one write each.
pub(crate) fn apply(registers: &impl Registers, chip: &Chip) {
    for step in STEPS {
        if step.parts.contains(chip) {
            let value = registers.read(step.register);
            registers.write(step.register, value & !step.clear | step.set);
        }
    }
}

/// Returns RFCTL as a whole: legacy descriptors (EXTEN clear), and without the parsers that fail.
pub(crate) fn rfctl(chip: &Chip) -> u32 {
    let mut value = 0;
    // Malformed extension headers of IPv6 hang the receiver (Linux e1000e, `e1000_initialize_hw_bits_82571`).
    if I82571_TO_82573.contains(chip.mac()) {
        value |= regs::RFCTL_IPV6_EXT_DIS;
    }
    // NFS over UDP corrupts descriptors (Linux e1000e, `e1000_initialize_hw_bits_ich8lan`).
    if chip.mac().is_pch() {
        value |= regs::RFCTL_NFS_DIS;
    }
    value
}

impl Chip {
    /// Returns the reason not to drive this part: a work-around is missing without which it is known to hang, or to
    /// access foreign memory. `None` for almost all parts.
    ///
    /// These work-arounds could not be tried on a part, and a wrong one would be worse than none.
    pub fn hazard(&self) -> Option<&'static str> {
        if self
            .quirks
            .intersects(Quirks::FIRMWARE_LOSES_WRITES | Quirks::K1_UNSTABLE)
        {
            return Some(
                "82579 needs K1 off at 100 and 1000 Mbit/s, and loses register writes while its firmware is busy; \
                 neither is handled",
            );
        }
        None
    }
}
