//! Register bits that a part's errata and manuals demand after a reset: a table of steps, worked off in order.
//!
//! Sources: HF 3.2 to 3.4 and 13 (`e1000-hardware-facts.md`); Linux e1000e, `e1000_initialize_hw_bits_82571` and
//! `e1000_initialize_hw_bits_ich8lan`. TXDCTL, RFCTL, TIPG and ITR are not here: they are programmed as a whole.

use crate::chip::{Chip, Quirks};
use crate::platform::Registers;
use crate::regs::{self, Ctrl};

/// Bits of one register to clear and to set, on parts with a quirk.
struct Step {
    /// Parts with this.
    parts: Quirks,
    register: u32,
    clear: u32,
    set: u32,
}

const fn step(parts: Quirks, register: u32, clear: u32, set: u32) -> Step {
    Step {
        parts,
        register,
        clear,
        set,
    }
}

const CTRL_EXT_RO_DIS: u32 = 1 << 17;
const CTRL_EXT_DMA_DYN_CLK_EN: u32 = 1 << 19;
const CTRL_EXT_PHYPDEN: u32 = 1 << 20;
const PBA_ECC_CORR_EN: u32 = 1;
const PBECCSTS_ECC_ENABLE: u32 = 1 << 16;
const GCR_L1_ACT_WITHOUT_L0S_RX: u32 = 1 << 27;

/// Bit 28 of TARC1 is the opposite of TCTL.MULR, which is set on all parts that have a TARC1.
static STEPS: &[Step] = &[
    step(Quirks::MANAGED_ARP, regs::MANC, regs::MANC_ARP_EN, 0),
    step(Quirks::RELAXED_ORDERING, regs::CTRL_EXT, 0, CTRL_EXT_RO_DIS),
    step(Quirks::TARC_8257X, regs::TARC0, 0b1111 << 27, 0),
    step(Quirks::TARC_82571, regs::TARC0, 0, 0b1111 << 23),
    step(
        Quirks::TARC_82571,
        regs::TARC1,
        0b111 << 28,
        0b111 << 24 | 1 << 22,
    ),
    step(Quirks::LOST_COMPLETIONS, regs::TARC0, 0, 1 << 26),
    step(Quirks::HW_BITS_82573, regs::CTRL_EXT, 1 << 23, 1 << 22),
    step(Quirks::PACKET_BUFFER_ECC, regs::PBA_ECC, 0, PBA_ECC_CORR_EN),
    step(Quirks::DMA_CLOCK, regs::CTRL_EXT, CTRL_EXT_DMA_DYN_CLK_EN, 0),
    step(Quirks::LOST_COMPLETIONS, regs::GCR, 0, 1 << 22),
    step(Quirks::LOST_COMPLETIONS, regs::GCR2, 0, 1),
    step(Quirks::L1_WITHOUT_L0S, regs::GCR, 0, GCR_L1_ACT_WITHOUT_L0S_RX),
    step(Quirks::HW_BITS_PCH, regs::CTRL_EXT, 0, 1 << 22 | CTRL_EXT_PHYPDEN),
    step(Quirks::HW_BITS_PCH, regs::TARC0, 0, 0b11 << 26 | 0b11 << 23),
    step(
        Quirks::HW_BITS_PCH,
        regs::TARC1,
        1 << 28,
        1 << 30 | 1 << 26 | 1 << 24,
    ),
    step(Quirks::PBECCSTS, regs::PBECCSTS, 0, PBECCSTS_ECC_ENABLE),
    step(Quirks::PBECCSTS, regs::CTRL, 0, Ctrl::MEHE.bits()),
    step(Quirks::BEACON_8_US, regs::FEXTNVM4, 0, regs::FEXTNVM4_BEACON),
];

/// Works off the steps of this part: one read and one write each.
pub(crate) fn apply(registers: &impl Registers, chip: &Chip) {
    for step in STEPS {
        if chip.quirks.contains(step.parts) {
            let value = registers.read(step.register);
            registers.write(step.register, value & !step.clear | step.set);
        }
    }
}

/// RFCTL as a whole: legacy descriptors (EXTEN clear), and the parsers off that hang a part.
pub(crate) fn rfctl(chip: &Chip) -> u32 {
    let mut value = 0;
    if chip.quirks.contains(Quirks::IPV6_EXT_DIS) {
        value |= regs::RFCTL_IPV6_EXT_DIS;
    }
    if chip.quirks.contains(Quirks::NFS_DIS) {
        value |= regs::RFCTL_NFS_DIS;
    }
    value
}
