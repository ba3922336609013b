//! What bring-up programs, register by register: link settings, filter, receive and transmit unit.
//!
//! Called in the order of the 8254x manual, section 14, by [`crate::nic::Nic::bring_up`], with the device reset and
//! interrupts, receiver and transmitter off. A part's oddity is a flag of the chip table, consulted here.

use crate::chip::{Chip, MacType, MacTypes, Media, Moderation, Quirks};
use crate::errata;
use crate::ethernet::MacAddress;
use crate::filter;
use crate::firmware;
use crate::flow_control::{self, Pause};
use crate::moderation;
use crate::platform::Registers;
use crate::regs::{self, Ctrl, Rctl, Tctl};

/// Receive address entry that holds a second copy of the NIC's address where another port's reset may erase the
/// first.
const SECOND_COPY: u32 = 14;

/// Parts that need CTRL bit 29, reserved, to be zero (Linux e1000e, `e1000_initialize_hw_bits_82571`).
const RESERVED_29: MacTypes = MacTypes::range(MacType::I82573, MacType::I82583);

/// Parts that write descriptors back to wrong places if TXDCTL.WTHRESH is not zero (82543GC specification update,
/// erratum 35; Linux e1000, `e1000_init_hw`, leaves TXDCTL alone up to 82544).
const THRESHOLD_CORRUPTS: MacTypes = MacTypes::range(MacType::I82543, MacType::I82544);

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
    let requests = if chip.mac().is_pcie() {
        Tctl::MULR
    } else {
        Tctl::empty()
    };
    Tctl::EN | Tctl::PSP | Tctl::CT_15 | Tctl::COLD_FULL_DUPLEX | Tctl::RTLC | requests
}

/// Link settings, flow control (off until the link is up), packet buffer and the parts' own bits; offers `pause` where
/// the MAC negotiates.
pub(crate) fn program_mac(registers: &impl Registers, chip: &Chip, pause: Pause) {
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
    let clear = if RESERVED_29.contains(chip.mac()) {
        clear | Ctrl::RESERVED_29
    } else {
        clear
    };
    // 82543 cannot detect the speed by itself: its PHY decides, and firmware left it forced. PCIe parts take the speed
    // from the PHY, and ASDE has to be zero (82574 datasheet, 10.2.2.1; Linux e1000e, `e1000_setup_copper_link_82571`).
    let (clear, set) = if chip.quirks.contains(Quirks::NO_SPEED_DETECTION) {
        (clear.difference(Ctrl::FRCSPD | Ctrl::FRCDPX), Ctrl::SLU)
    } else if chip.mac().is_pcie() {
        (clear | Ctrl::ASDE, Ctrl::SLU)
    } else {
        (clear, Ctrl::SLU | Ctrl::ASDE)
    };
    // Autonegotiation is not restarted: a link that is up stays up.
    let ctrl = registers.read(regs::CTRL);
    registers.write(regs::CTRL, ctrl & !clear.bits() | set.bits());

    registers.write(regs::VET, regs::VET_8021Q);
    // What pause frames look like; the offsets are something else on PCH (HF 6).
    if !chip.mac().is_pch() {
        // 82544 in PCI-X mode may write FCAH into FCAL, too (erratum 9; NetBSD, `wm_set_filter`): FCAL comes later.
        registers.write(regs::FCAH, regs::FCAH_PAUSE);
        registers.write(regs::FCAL, regs::FCAL_PAUSE);
        registers.write(regs::FCT, regs::FCT_PAUSE);
    }
    registers.write(regs::FCTTV, 0);
    registers.write(regs::FCRTL, 0);
    registers.write(regs::FCRTH, 0);
    registers.write(regs::PBA, chip.limits.rx_packet_buffer_kib);
    // No PHY negotiates for fiber and serdes: the MAC does (HF 5.3).
    if chip.media != Media::Copper {
        registers.write(regs::TXCW, flow_control::txcw(pause));
    }
    errata::apply(registers, chip);
    firmware::set_driver_loaded(registers, chip, true);
}

/// Own address and broadcast pass; multicast and foreign unicast do not; no VLAN filter.
pub(crate) fn program_filter(registers: &impl Registers, chip: &Chip, mac: MacAddress) {
    let [a, b, c, d, e, f] = mac.0;
    let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, 0, 0]));
    registers.write(regs::ral(0), low);
    registers.write(regs::rah(0), high | regs::RAH_AV);
    for entry in 1..chip.limits.receive_addresses {
        registers.write(regs::rah(entry), 0);
        registers.write(regs::ral(entry), 0);
    }
    if chip.quirks.contains(Quirks::OTHER_PORT_RESETS_ADDRESS) {
        registers.write(regs::ral(SECOND_COPY), low);
        registers.write(regs::rah(SECOND_COPY), high | regs::RAH_AV);
    }
    filter::clear_tables(registers, chip);
}

/// Delays, thresholds, the interval between interrupts in units of 256 ns; no checksums, one queue, legacy descriptors.
pub(crate) fn program_receive_unit(registers: &impl Registers, chip: &Chip, interval: u32) {
    let delay = if chip.quirks.contains(Quirks::LONG_RECEIVE_LATENCY) {
        0x20
    } else {
        0
    };
    registers.write(regs::RDTR, delay);
    registers.write(regs::RXDCTL, regs::DCTL_EACH_DESCRIPTOR);
    registers.write(regs::RXCSUM, 0);
    if chip.limits.moderation != Moderation::Delays {
        registers.write(regs::RADV, 0);
        registers.write(regs::ITR, moderation::for_chip(chip, interval));
    }
    if chip.mac().is_pcie() {
        registers.write(regs::RFCTL, errata::rfctl(chip));
        registers.write(regs::MRQC, 0);
    }
}

/// Inter-packet gap, delays, thresholds.
pub(crate) fn program_transmit_unit(registers: &impl Registers, chip: &Chip) {
    let gap = match chip.media {
        Media::Copper => regs::TIPG_COPPER,
        Media::Fiber | Media::Serdes => regs::TIPG_FIBER,
    };
    registers.write(regs::TIPG, gap);
    registers.write(regs::TIDV, 0);
    if chip.limits.moderation != Moderation::Delays {
        registers.write(regs::TADV, 0);
    }
    if chip.mac().is_pcie() {
        let txdctl = regs::DCTL_EACH_DESCRIPTOR | regs::TXDCTL_COUNT_DESC;
        registers.write(regs::TXDCTL, txdctl);
        // Both queues, though one is used (Linux e1000e, `e1000_configure_tx`).
        registers.write(regs::TXDCTL1, txdctl);
    } else if THRESHOLD_CORRUPTS.contains(chip.mac()) {
        registers.write(regs::TXDCTL, 0);
    } else {
        registers.write(regs::TXDCTL, regs::DCTL_EACH_DESCRIPTOR);
    }
}
