//! What may be changed while the NIC runs, and what can be asked: receive filter, MTU, VLAN tags, counters, registers.

use core::fmt;

use super::Nic;
use crate::chip::{Chip, Moderation};
use crate::ethernet::{FCS_LEN, HEADER_LEN, MacAddress, STANDARD_MTU, TAG_LEN};
use crate::filter::Filter;
use crate::init;
use crate::moderation::{self, Policy};
use crate::packet_buffer;
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs::{self, Ctrl, Rctl};
use crate::rx;
use crate::stats::Statistics;
use crate::wait::TimedOut;

/// The MTU after bring-up.
pub const DEFAULT_MTU: usize = STANDARD_MTU;
/// The smallest MTU: less is no link for IPv4.
pub const MIN_MTU: usize = 68;

/// Why the MTU was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuError {
    /// The chip, or the rings as they are, cannot do it.
    OutOfRange {
        /// The largest MTU possible.
        max: usize,
    },
    /// It takes a reset, and that did not end. [`Nic::watch`] tries again.
    Reset(TimedOut),
}

impl fmt::Display for MtuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { max } => write!(f, "the MTU can be {MIN_MTU} to {max}"),
            Self::Reset(error) => write!(f, "the reset did not end: {error}"),
        }
    }
}

impl core::error::Error for MtuError {}

/// The value of RCTL.
pub(super) fn rctl(chip: &Chip, filter: &Filter, mtu: usize) -> Rctl {
    let long = if mtu > DEFAULT_MTU {
        Rctl::LPE
    } else {
        Rctl::empty()
    };
    init::rctl(chip) | filter.rctl() | long
}

/// Longest frame with VLAN tag and FCS.
pub(super) fn max_frame(mtu: usize) -> u32 {
    (mtu.max(DEFAULT_MTU) + HEADER_LEN + TAG_LEN + FCS_LEN) as u32
}

/// Splits the packet buffer for long frames; as bring-up did, it is right for an MTU of 1500.
pub(super) fn split_packet_buffer(registers: &impl Registers, chip: &Chip, mtu: usize) {
    if mtu > DEFAULT_MTU {
        let share = packet_buffer::receive_kib(chip.limits, max_frame(mtu));
        registers.write(regs::PBA, share);
    }
}

/// Turns stripping and insertion of VLAN tags on; bring-up leaves it off.
pub(super) fn program_vlan_offload(registers: &impl Registers, on: bool) {
    if on {
        registers.write(regs::CTRL, registers.read(regs::CTRL) | Ctrl::VME.bits());
    }
}

/// The largest MTU for a chip with rings that take frames of so many bytes.
fn max_mtu(chip: &Chip, rings: usize) -> usize {
    rings.min(chip.limits.max_frame as usize) - HEADER_LEN - TAG_LEN - FCS_LEN
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// What passes the receive filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Decides what passes the receive filter besides own address and broadcast: everything, frames to all groups, or
    /// frames to `groups`, of which some others may come along.
    ///
    /// Writes what changes. Groups do not concern RCTL; the other two do, which costs a second of reception on QEMU's
    /// `e1000` each way.
    pub fn set_filter(
        &mut self,
        promiscuous: bool,
        all_multicast: bool,
        groups: impl IntoIterator<Item = MacAddress>,
    ) {
        let (registers, chip) = (&self.device.registers, self.device.chip);
        self.filter.set_multicast(registers, chip, groups);
        self.filter.set_modes(promiscuous, all_multicast);
        self.update_rctl();
    }

    /// Lets tagged frames of these VLANs pass and of no other; of all with `None`, as after bring-up.
    pub fn set_vlan_filter(&mut self, vlans: Option<impl IntoIterator<Item = u16>>) {
        self.filter
            .set_vlans(&self.device.registers, self.device.chip, vlans);
        self.update_rctl();
    }

    /// Has the device strip VLAN tags from received frames ([`Self::received_tag`]) and insert them into those to be
    /// sent ([`Self::transmit_tagged`]). Off after bring-up: tags are bytes of the frame.
    pub fn set_vlan_offload(&mut self, on: bool) {
        let registers = &self.device.registers;
        self.vlan_offload = on;
        let ctrl = registers.read(regs::CTRL) & !Ctrl::VME.bits();
        registers.write(regs::CTRL, ctrl | if on { Ctrl::VME.bits() } else { 0 });
    }

    /// The VLAN tag that was stripped from the frame that [`Self::next_frame_len`] or [`Self::receive`] last gave.
    pub fn received_tag(&self) -> Option<u16> {
        self.rx.tag().filter(|_| self.vlan_offload)
    }

    fn update_rctl(&mut self) {
        // The receiver stays off until a reset has ended; all is programmed then.
        if self.off {
            return;
        }
        let rctl = rctl(self.device.chip, &self.filter, self.mtu).bits();
        if self.rctl != rctl {
            self.rctl = rctl;
            self.device.registers.write(regs::RCTL, rctl);
            // It counts from now on, and not from the next frame that is sent on.
            self.flush_writes();
        }
    }

    /// The MTU: bytes of a frame without header, VLAN tag and FCS.
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// The largest MTU that can be set.
    pub fn max_mtu(&self) -> usize {
        let rings = rx::capacity(self.rx.size()).min(self.tx.capacity());
        let max = max_mtu(self.device.chip, rings);
        // Longer frames fill their first buffer, which 82545 and 82546 cannot send from in PCI-X mode (erratum 10).
        if self.short_buffers {
            max.min(DEFAULT_MTU)
        } else {
            max
        }
    }

    /// Sets the MTU. From 1501 on, and back from there, it takes a reset: frames in the rings are lost, the link may go
    /// away for some seconds.
    ///
    /// # Errors
    ///
    /// See [`MtuError`].
    pub fn set_mtu(&mut self, mtu: usize, clock: &impl Clock) -> Result<(), MtuError> {
        let max = self.max_mtu();
        if !(MIN_MTU..=max).contains(&mtu) {
            return Err(MtuError::OutOfRange { max });
        }
        let old = core::mem::replace(&mut self.mtu, mtu);
        self.tx.set_max_len(mtu + HEADER_LEN);
        // Up to 1500 it is the MAC that drops what is too long.
        let limit = if mtu > DEFAULT_MTU {
            mtu + HEADER_LEN + TAG_LEN
        } else {
            0
        };
        self.rx.set_limit(limit);
        if old == mtu || old.max(mtu) <= DEFAULT_MTU {
            return Ok(());
        }
        self.restart(clock).map_err(MtuError::Reset)
    }

    /// Decides how long the device waits between two interrupts. Parts without ITR (82543, 82544) do not wait.
    pub fn set_moderation(&mut self, policy: Policy) {
        self.moderator.set_policy(policy);
        self.program_interval(self.moderator.interval());
    }

    /// The least time between two interrupts now, in units of 256 ns.
    pub fn interrupt_interval(&self) -> u32 {
        self.moderator.interval()
    }

    /// To be called after each interrupt was served, for [`Policy::Adaptive`]. Reads no register, and writes one when
    /// the class of the traffic has changed. The interrupts of a self-test tell nothing of that.
    pub fn moderate(&mut self) {
        if self.is_testing() {
            return;
        }
        let (rx, tx) = (self.rx.counters(), self.tx.counters());
        if let Some(interval) = self
            .moderator
            .update((rx.frames, rx.bytes), (tx.frames, tx.bytes))
        {
            self.program_interval(interval);
        }
    }

    fn program_interval(&self, interval: u32) {
        let chip = self.device.chip;
        if chip.limits.moderation != Moderation::Delays {
            let register = self.routing.throttle();
            self.device
                .registers
                .write(register, moderation::for_chip(chip, interval));
        }
    }

    /// Reads, and so clears, the counters of the hardware, and adds them up: 19 register reads, and one of STATUS, lest
    /// the ones of a device that is gone are counted.
    pub fn collect_statistics(&mut self) {
        self.gone |= self.device.registers.read(regs::STATUS) == regs::ALL_ONES;
        if self.gone {
            return;
        }
        self.statistics.collect(&self.device.registers);
    }

    /// The counters of the hardware, as of the last time that they were collected.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Reads every register that tells something and that reading does not change, with its name.
    pub fn dump_registers(&self, mut each: impl FnMut(&'static str, u32)) {
        for (name, offset) in regs::dump(self.device.chip) {
            each(name, self.device.registers.read(offset));
        }
    }
}
