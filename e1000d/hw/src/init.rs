//! What bring-up programs, register by register: link settings, filter, receive and transmit unit.
//!
//! Called in the order of the 8254x manual, section 14, by [`crate::nic::Nic::bring_up`], with the device reset and
//! interrupts, receiver and transmitter off. A part's oddity is a flag of the chip table, consulted here.

use crate::chip::{Chip, Quirks};
use crate::nvm::MacAddress;
use crate::platform::Registers;
use crate::regs::{self, Ctrl, Rctl, Tctl};

/// Interrupts at most every 50 us, 20 000 a second, in units of 256 ns.
pub(crate) const ITR_20000: u32 = 195;

/// The one value of RCTL: it is written once.
pub(crate) fn rctl(chip: &Chip) -> Rctl {
    let strip = if chip.quirks.contains(Quirks::NO_SECRC) {
        Rctl::empty()
    } else {
        Rctl::SECRC
    };
    Rctl::EN | Rctl::BAM | strip
}

/// The value of TCTL.
pub(crate) fn tctl(chip: &Chip) -> Tctl {
    let requests = if chip.quirks.contains(Quirks::PCIE) {
        Tctl::MULR
    } else {
        Tctl::empty()
    };
    Tctl::EN | Tctl::PSP | Tctl::CT_15 | Tctl::COLD_FULL_DUPLEX | Tctl::RTLC | requests
}

/// Link settings, flow control, packet buffer and the parts' own bits.
pub(crate) fn program_mac(registers: &impl Registers, chip: &Chip) {
    let clear = Ctrl::GIO_MASTER_DISABLE
        | Ctrl::LRST
        | Ctrl::ILOS
        | Ctrl::FRCSPD
        | Ctrl::FRCDPX
        | Ctrl::RST
        | Ctrl::RFCE
        | Ctrl::TFCE
        | Ctrl::VME
        | Ctrl::PHY_RST;
    let clear = if chip.quirks.contains(Quirks::HW_BITS_82573) {
        clear | Ctrl::RESERVED_29
    } else {
        clear
    };
    // 82543 cannot detect the speed by itself: its PHY decides, and firmware left it forced.
    let (clear, set) = if chip.quirks.contains(Quirks::FORCE_SPEED) {
        (clear.difference(Ctrl::FRCSPD | Ctrl::FRCDPX), Ctrl::SLU)
    } else {
        (clear, Ctrl::SLU | Ctrl::ASDE)
    };
    // Autonegotiation is not restarted: a link that is up stays up.
    let ctrl = registers.read(regs::CTRL);
    registers.write(regs::CTRL, ctrl & !clear.bits() | set.bits());

    registers.write(regs::VET, regs::VET_8021Q);
    registers.write(regs::FCTTV, 0);
    registers.write(regs::FCRTL, 0);
    registers.write(regs::FCRTH, 0);
    registers.write(regs::PBA, chip.limits.rx_packet_buffer_kib);

    if chip.quirks.contains(Quirks::MANAGED_ARP) {
        let manc = registers.read(regs::MANC);
        registers.write(regs::MANC, manc & !regs::MANC_ARP_EN);
    }
    if chip.quirks.contains(Quirks::HW_BITS_82573) {
        let extended = registers.read(regs::CTRL_EXT);
        registers.write(regs::CTRL_EXT, extended & !(1 << 23) | 1 << 22);
    }
    if chip.quirks.contains(Quirks::LOST_COMPLETIONS) {
        registers.write(regs::GCR, registers.read(regs::GCR) | 1 << 22);
        registers.write(regs::GCR2, registers.read(regs::GCR2) | 1);
    }
}

/// Own address and broadcast pass; multicast and foreign unicast do not; no VLAN filter.
pub(crate) fn program_filter(registers: &impl Registers, chip: &Chip, mac: MacAddress) {
    let (low, high) = mac.registers();
    registers.write(regs::ral(0), low);
    registers.write(regs::rah(0), high | regs::RAH_AV);
    for entry in 1..chip.limits.receive_addresses {
        registers.write(regs::rah(entry), 0);
        registers.write(regs::ral(entry), 0);
    }
    let last = chip.limits.mta_registers - 1;
    for n in 0..=last {
        if chip.quirks.contains(Quirks::MTA_REVERSE) {
            registers.write(regs::MTA + 4 * (last - n), 0);
            registers.read(regs::STATUS);
        } else {
            registers.write(regs::MTA + 4 * n, 0);
        }
    }
    for n in 0..regs::VFTA_REGISTERS {
        registers.write(regs::VFTA + 4 * n, 0);
    }
}

/// Delays, thresholds, moderation; no checksums, one queue, legacy descriptors.
pub(crate) fn program_receive_unit(registers: &impl Registers, chip: &Chip) {
    let pcie = chip.quirks.contains(Quirks::PCIE);
    let delay = if chip.quirks.contains(Quirks::RDTR_20) {
        0x20
    } else {
        0
    };
    registers.write(regs::RDTR, delay);
    registers.write(regs::RXDCTL, regs::DCTL_EACH_DESCRIPTOR);
    registers.write(regs::RXCSUM, 0);
    if !chip.quirks.contains(Quirks::NO_MODERATION) {
        registers.write(regs::RADV, 0);
        registers.write(regs::ITR, ITR_20000);
    }
    if pcie {
        let ipv6 = if chip.quirks.contains(Quirks::IPV6_EXT_DIS) {
            regs::RFCTL_IPV6_EXT_DIS
        } else {
            0
        };
        registers.write(regs::RFCTL, ipv6);
        registers.write(regs::MRQC, 0);
    }
}

/// Inter-packet gap, delays, thresholds.
pub(crate) fn program_transmit_unit(registers: &impl Registers, chip: &Chip) {
    registers.write(regs::TIPG, regs::TIPG_COPPER);
    registers.write(regs::TIDV, 0);
    if !chip.quirks.contains(Quirks::NO_MODERATION) {
        registers.write(regs::TADV, 0);
    }
    if chip.quirks.contains(Quirks::PCIE) {
        let txdctl = regs::DCTL_EACH_DESCRIPTOR | regs::TXDCTL_COUNT_DESC;
        registers.write(regs::TXDCTL, txdctl);
        // Both queues, though one is used (Linux e1000e, `e1000_configure_tx`).
        registers.write(regs::TXDCTL1, txdctl);
        let tarc = registers.read(regs::TARC0) & !(0b1111 << 27);
        let completions = if chip.quirks.contains(Quirks::LOST_COMPLETIONS) {
            1 << 26
        } else {
            0
        };
        registers.write(regs::TARC0, tarc | completions);
    } else {
        registers.write(regs::TXDCTL, regs::DCTL_EACH_DESCRIPTOR);
    }
}
