//! Bring-up: from a device in any state to one that receives and sends.
//!
//! The steps are in the order of the manuals. Every recovery goes through the same ones except the second:
//!
//! | | step | function | 8254x manual | 82574 datasheet |
//! |---|---|---|---|---|
//! | 1 | interrupts masked, DMA ended, reset | [`reset_device`] | 14.7 | 4.6.1, 4.6.2 |
//! | 2 | the NIC's address from the NVM | [`reset_device`] | 5.6.1, 14.4 | 4.6.5 |
//! | 3 | NVM checked, PHY negotiates, counters cleared | [`start_phy`] | 14.6, 14.8 | 4.6.3, 4.6.4 |
//! | 4 | link settings, flow control, packet buffer, errata | `general_configuration` | 14.3 | 4.6.2, 4.6.3 |
//! | 5 | receive addresses, multicast and VLAN table | `receive_addresses` | 14.4 | 4.6.5 |
//! | 6 | receive ring, delays, descriptor control, checksums | `receive_unit` | 14.4 | 4.6.5 |
//! | 7 | transmit ring, gap, delays, descriptor control, TCTL | `transmit_unit` | 14.5 | 4.6.6 |
//! | 8 | settings that depend on the link | `Nic::program` | 14.6 | 4.6.3 |
//! | 9 | RCTL, then the tail of the receive ring | [`enable_receiver`] | 14.4 | 4.6.5.1 |
//!
//! Steps 4 to 7 are [`program`]. Interrupts are unmasked later, when the owner asks for them.

use core::fmt;

use crate::chip::{Chip, MacType, MacTypes, Media, Moderation, Quirks};
use crate::errata;
use crate::ethernet::{FCS_LEN, HEADER_LEN, MacAddress, STANDARD_MTU, TAG_LEN};
use crate::filter::{self, Filter};
use crate::firmware;
use crate::flow_control;
use crate::moderation;
use crate::nvm::{self, MacAddressError};
use crate::offload::Offloads;
use crate::packet_buffer;
use crate::pause::Pause;
use crate::phy::{self, Advertise};
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs::{self, Ctrl, Rctl, Status, Tctl};
use crate::reset;
use crate::ring::OutOfDmaMemory;
use crate::rx::Receiver;
use crate::self_test::loopback;
use crate::stats::Statistics;
use crate::tx::Transmitter;
use crate::wait::TimedOut;
use crate::warnings::Warnings;

/// Error of bring-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BringUpError {
    /// Registers read as all ones.
    DeviceGone,
    /// The reset did not end.
    Reset(TimedOut),
    /// The NIC has no usable MAC address.
    MacAddress(MacAddressError),
    /// Not enough memory for rings and buffers.
    Memory(OutOfDmaMemory),
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeviceGone => f.write_str("the device does not answer (registers read as all ones)"),
            Self::Reset(error) => write!(f, "the reset did not end: {error}"),
            Self::MacAddress(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BringUpError {}

impl From<OutOfDmaMemory> for BringUpError {
    fn from(error: OutOfDmaMemory) -> Self {
        Self::Memory(error)
    }
}

/// Result of [`reset_device`].
pub(crate) struct Identity {
    /// The NIC's own address.
    pub mac: MacAddress,
    /// The bus runs in PCI-X mode.
    pub pcix: bool,
    /// Warnings of the reset.
    pub warnings: Warnings,
}

/// Settings of the owner, which survive a reset.
pub(crate) struct Settings<'a> {
    /// The NIC's own address.
    pub mac: MacAddress,
    /// Pause frames to offer, where the MAC negotiates.
    pub pause: Pause,
    /// Bytes of a frame without header, VLAN tag and FCS.
    pub mtu: usize,
    /// VLAN tags are stripped and inserted.
    pub vlan_offload: bool,
    /// Frames that pass besides own address and broadcast.
    pub filter: &'a Filter,
    /// Least time between two interrupts, in units of 256 ns.
    pub interval: u32,
    /// Offloads that are on.
    pub offloads: Offloads,
}

/// Resets the device and finds its address (8254x manual, 14.7 and 5.6.1; 82574 datasheet, 4.6.1 and 4.6.2).
///
/// # Errors
///
/// When the device does not answer, the reset does not end, or there is no address.
pub(crate) fn reset_device(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
) -> Result<Identity, BringUpError> {
    let status = registers.read(regs::STATUS);
    if status == regs::ALL_ONES {
        return Err(BringUpError::DeviceGone);
    }
    let ctrl = registers.read(regs::CTRL);
    let warnings = reset::reset(registers, chip, clock).map_err(BringUpError::Reset)?;
    loopback::end_of_others(registers, chip, clock, ctrl);
    Ok(Identity {
        mac: nvm::mac_address(registers, chip, clock).map_err(BringUpError::MacAddress)?,
        pcix: status & Status::PCIX_MODE.bits() != 0,
        warnings,
    })
}

/// Checks the NVM, starts the PHY's autonegotiation (82574 datasheet, 4.6.3; Linux e1000, `e1000_setup_copper_link`),
/// and reads the counters to clear those of an earlier driver (82574 datasheet, 4.6.4).
pub(crate) fn start_phy(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
    pause: Pause,
) -> Warnings {
    let mut warnings = nvm::check(registers, chip, clock);
    warnings |= phy::bring_up(registers, chip, clock, Advertise { pause });
    Statistics::discard(registers);
    warnings
}

/// Programs a device that was just reset, up to a transmitter that is on and a receiver that is off.
pub(crate) fn program<D: DmaRegion>(
    registers: &impl Registers,
    chip: &Chip,
    settings: &Settings<'_>,
    rx: &mut Receiver<D>,
    tx: &mut Transmitter<D>,
) {
    general_configuration(registers, chip, settings);
    receive_addresses(registers, chip, settings.mac);
    settings.filter.restore(registers, chip);
    rx.program(registers);
    receive_unit(registers, chip, settings);
    tx.program(registers);
    transmit_unit(registers, chip);
}

/// Turns the receiver on, then posts its descriptors (8254x manual, 14.4; 82574 datasheet, 4.6.5.1).
pub(crate) fn enable_receiver<D: DmaRegion>(registers: &impl Registers, rctl: Rctl, rx: &mut Receiver<D>) {
    registers.write(regs::RCTL, rctl.bits());
    rx.start(registers);
}

/// Value of RCTL (8254x manual, 13.4.22). RCTL is written only when this changes, because each write stops reception on
/// QEMU's `e1000` for a second (`set_rx_control`).
pub(crate) fn rctl(chip: &Chip, filter: &Filter, mtu: usize) -> Rctl {
    // Buffers of 2048 bytes, legacy descriptors, the hash of MO 0: zeroes.
    let mut rctl = Rctl::EN | Rctl::BAM;
    rctl.set(Rctl::SECRC, !chip.quirks.contains(Quirks::NO_SECRC));
    rctl.set(Rctl::LPE, mtu > STANDARD_MTU);
    rctl.set(Rctl::UPE, filter.promiscuous());
    rctl.set(Rctl::MPE, filter.needs_all_multicast());
    rctl.set(Rctl::VFE, filter.needs_vlan_filter());
    rctl
}

/// Longest frame with VLAN tag and FCS.
pub(crate) fn max_frame(mtu: usize) -> u32 {
    (mtu.max(STANDARD_MTU) + HEADER_LEN + TAG_LEN + FCS_LEN) as u32
}

/// Splits the packet buffer between receiver and transmitter; takes effect with a reset.
pub(crate) fn split_packet_buffer(registers: &impl Registers, chip: &Chip, mtu: usize) {
    let share = packet_buffer::receive_kib(chip.limits, max_frame(mtu));
    registers.write(regs::PBA, share);
}

/// Link settings, flow control (off until the link is up), packet buffer and errata (8254x manual, 14.3; 82574
/// datasheet, 4.6.2 and 4.6.3).
fn general_configuration(registers: &impl Registers, chip: &Chip, settings: &Settings<'_>) {
    link_settings(registers, chip);
    registers.write(regs::VET, regs::VET_8021Q);
    // Address and type of pause frames. On PCH the offsets are those of other registers.
    if !chip.mac().is_pch() {
        // 82544 in PCI-X mode may write FCAH into FCAL, too (erratum 9; NetBSD, `wm_set_filter`): FCAL comes later.
        registers.write(regs::FCAH, regs::FCAH_PAUSE);
        registers.write(regs::FCAL, regs::FCAL_PAUSE);
        registers.write(regs::FCT, regs::FCT_PAUSE);
    }
    registers.write(regs::FCTTV, 0);
    registers.write(regs::FCRTL, 0);
    registers.write(regs::FCRTH, 0);
    split_packet_buffer(registers, chip, settings.mtu);
    // Fiber and serdes have no PHY: the MAC negotiates (8254x manual, 8.6).
    if chip.media != Media::Copper {
        registers.write(regs::TXCW, flow_control::txcw(settings.pause));
    }
    errata::apply(registers, chip);
    firmware::set_driver_loaded(registers, chip, true);
    if settings.vlan_offload {
        registers.write(regs::CTRL, registers.read(regs::CTRL) | Ctrl::VME.bits());
    }
}

/// CTRL: link up, speed and duplex from the PHY (8254x manual, 13.4.1 and 14.6; 82574 datasheet, 10.2.2.1).
fn link_settings(registers: &impl Registers, chip: &Chip) {
    /// Parts that need bit 29, reserved, to be zero (Linux e1000e, `e1000_initialize_hw_bits_82571`).
    const RESERVED_29: MacTypes = MacTypes::range(MacType::I82573, MacType::I82583);
    let mut clear = Ctrl::GIO_MASTER_DISABLE
        | Ctrl::LRST
        | Ctrl::ILOS
        | Ctrl::FRCSPD
        | Ctrl::FRCDPX
        | Ctrl::RST
        | Ctrl::RFCE
        | Ctrl::TFCE
        | Ctrl::VME
        | Ctrl::PHY_RST;
    let mut set = Ctrl::SLU;
    if RESERVED_29.contains(chip.mac()) {
        clear |= Ctrl::RESERVED_29;
    }
    if chip.quirks.contains(Quirks::NO_SPEED_DETECTION) {
        // Speed and duplex stay forced until they are copied from the PHY.
        clear.remove(Ctrl::FRCSPD | Ctrl::FRCDPX);
    } else if chip.mac().is_pcie() {
        // The MAC takes the speed from the PHY, and ASDE has to be zero (Linux e1000e,
        // `e1000_setup_copper_link_82571`).
        clear |= Ctrl::ASDE;
    } else {
        set |= Ctrl::ASDE;
    }
    // Autonegotiation is not restarted: a link that is up stays up.
    let ctrl = registers.read(regs::CTRL);
    registers.write(regs::CTRL, ctrl & !clear.bits() | set.bits());
}

/// Own address and broadcast pass; multicast and foreign unicast do not; no VLAN filter (8254x manual, 13.5 and 14.4;
/// 82574 datasheet, 4.6.5).
fn receive_addresses(registers: &impl Registers, chip: &Chip, mac: MacAddress) {
    /// Entry that holds a second copy of the address.
    const SECOND_COPY: u32 = 14;
    let [a, b, c, d, e, f] = mac.0;
    let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, 0, 0]));
    registers.write(regs::ral(0), low);
    registers.write(regs::rah(0), high | regs::RAH_AV);
    for entry in 1..chip.limits.receive_addresses {
        // The valid bit is in the upper half: cleared from high to low (8254x manual, 13.5.3).
        registers.write(regs::rah(entry), 0);
        registers.write(regs::ral(entry), 0);
    }
    if chip.quirks.contains(Quirks::OTHER_PORT_RESETS_ADDRESS) {
        registers.write(regs::ral(SECOND_COPY), low);
        registers.write(regs::rah(SECOND_COPY), high | regs::RAH_AV);
    }
    filter::clear_tables(registers, chip);
}

/// Delays, thresholds, moderation, checksums; one queue, legacy descriptors (8254x manual, 14.4; 82574 datasheet,
/// 4.6.5).
fn receive_unit(registers: &impl Registers, chip: &Chip, settings: &Settings<'_>) {
    let delay = if chip.quirks.contains(Quirks::LONG_RECEIVE_LATENCY) {
        0x20
    } else {
        0
    };
    registers.write(regs::RDTR, delay);
    registers.write(regs::RXDCTL, regs::DCTL_EACH_DESCRIPTOR);
    let checked = settings.offloads.contains(Offloads::RX_CHECKSUM);
    registers.write(regs::RXCSUM, if checked { regs::RXCSUM_CHECK } else { 0 });
    if chip.limits.moderation != Moderation::Delays {
        registers.write(regs::RADV, 0);
        registers.write(regs::ITR, moderation::for_chip(chip, settings.interval));
    }
    if chip.mac().is_pcie() {
        registers.write(regs::RFCTL, errata::rfctl(chip));
        registers.write(regs::MRQC, 0);
    }
}

/// Inter-packet gap, delays, thresholds; and the transmitter on (8254x manual, 14.5; 82574 datasheet, 4.6.6).
fn transmit_unit(registers: &impl Registers, chip: &Chip) {
    /// Parts that write descriptors back to wrong places if TXDCTL.WTHRESH is not zero (82543GC specification update,
    /// erratum 35; Linux e1000, `e1000_init_hw`, leaves TXDCTL alone up to 82544).
    const THRESHOLD_CORRUPTS: MacTypes = MacTypes::range(MacType::I82543, MacType::I82544);
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
    let mut tctl = Tctl::EN | Tctl::PSP | Tctl::CT_15 | Tctl::COLD_FULL_DUPLEX | Tctl::RTLC;
    tctl.set(Tctl::MULR, chip.mac().is_pcie());
    registers.write(regs::TCTL, tctl.bits());
}

#[cfg(test)]
mod tests;
