//! Settings that may be changed while the NIC runs: receive filter, VLAN tags, MTU, offloads.

use core::fmt;

use super::{Nic, Power};
use crate::bring_up;
use crate::chip::Chip;
use crate::ethernet::{FCS_LEN, HEADER_LEN, MacAddress, STANDARD_MTU, TAG_LEN};
use crate::offload::{OffloadError, Offloads};
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs::{self, Ctrl};
use crate::rx;
use crate::wait::TimedOut;

/// The MTU after bring-up.
pub const DEFAULT_MTU: usize = STANDARD_MTU;
/// The smallest MTU: less is no link for IPv4.
pub const MIN_MTU: usize = 68;

/// Reason why the MTU was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuError {
    /// The chip, or the rings as they are, cannot do it.
    OutOfRange {
        /// The largest MTU possible.
        max: usize,
    },
    /// It takes a reset, and that did not end. [`Recovery::watch`](super::Recovery::watch) tries again.
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

/// The largest MTU for a chip with rings that take frames of so many bytes.
fn max_mtu(chip: &Chip, rings: usize) -> usize {
    rings.min(chip.limits.max_frame as usize) - HEADER_LEN - TAG_LEN - FCS_LEN
}

/// Settings: [`Nic::settings`]. They survive resets.
pub struct Settings<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> Settings<'_, R, D> {
    /// Decides what passes the receive filter besides own address and broadcast: everything, frames to all groups, or
    /// frames to `groups`, of which some others may come along.
    ///
    /// Writes what changes. Groups do not concern RCTL; the other two do, which costs a second of reception on QEMU's
    /// `e1000` each way.
    ///
    /// Context: any.
    pub fn set_filter(
        &mut self,
        promiscuous: bool,
        all_multicast: bool,
        groups: impl IntoIterator<Item = MacAddress>,
    ) {
        let nic = &mut *self.nic;
        let (registers, chip) = (&nic.device.registers, nic.device.chip);
        nic.filter.set_multicast(registers, chip, groups);
        nic.filter.set_modes(promiscuous, all_multicast);
        nic.update_rctl();
    }

    /// Lets tagged frames of these VLANs pass and of no other; of all with `None`, as after bring-up.
    ///
    /// Context: any.
    pub fn set_vlan_filter(&mut self, vlans: Option<impl IntoIterator<Item = u16>>) {
        let nic = &mut *self.nic;
        let (registers, chip) = (&nic.device.registers, nic.device.chip);
        nic.filter.set_vlans(registers, chip, vlans);
        nic.update_rctl();
    }

    /// Has the device strip VLAN tags from received frames ([`Rx::tag`](super::Rx::tag)) and insert them into those to
    /// be sent ([`SendOptions::tag`](super::SendOptions::tag)). Off after bring-up: tags are bytes of the frame.
    ///
    /// Context: any.
    pub fn set_vlan_offload(&mut self, on: bool) {
        let registers = &self.nic.device.registers;
        self.nic.vlan_offload = on;
        let ctrl = registers.read(regs::CTRL) & !Ctrl::VME.bits();
        registers.write(regs::CTRL, ctrl | if on { Ctrl::VME.bits() } else { 0 });
    }

    /// Decides what is taken off the stack, of what the part can ([`crate::chip::Limits::offloads`]). At most one
    /// register write.
    ///
    /// Context: any.
    ///
    /// # Errors
    ///
    /// [`OffloadError::NotEnabled`] with what the part cannot; nothing has changed then.
    pub fn set_offloads(&mut self, wanted: Offloads) -> Result<(), OffloadError> {
        let nic = &mut *self.nic;
        let missing = wanted.difference(nic.device.chip.limits.offloads);
        if !missing.is_empty() {
            return Err(OffloadError::NotEnabled(missing));
        }
        let changed = nic.offloads.symmetric_difference(wanted);
        nic.offloads = wanted;
        if changed.contains(Offloads::RX_CHECKSUM) {
            let on = wanted.contains(Offloads::RX_CHECKSUM);
            let value = if on { regs::RXCSUM_CHECK } else { 0 };
            nic.device.registers.write(regs::RXCSUM, value);
        }
        Ok(())
    }

    /// Sets the MTU. From 1501 on, and back from there, it takes a reset: frames in the rings are lost, the link may go
    /// away for some seconds.
    ///
    /// Context: may sleep, up to 200 ms.
    ///
    /// # Errors
    ///
    /// See [`MtuError`].
    pub fn set_mtu(&mut self, mtu: usize, clock: &impl Clock) -> Result<(), MtuError> {
        let nic = &mut *self.nic;
        let max = nic.max_mtu();
        if !(MIN_MTU..=max).contains(&mtu) {
            return Err(MtuError::OutOfRange { max });
        }
        let old = core::mem::replace(&mut nic.mtu, mtu);
        nic.tx.set_max_len(mtu + HEADER_LEN);
        // Up to 1500 it is the MAC that drops what is too long.
        let limit = if mtu > DEFAULT_MTU {
            mtu + HEADER_LEN + TAG_LEN
        } else {
            0
        };
        nic.rx.set_limit(limit);
        let halted = matches!(nic.power, Power::Halted { .. });
        if old == mtu || old.max(mtu) <= DEFAULT_MTU || halted {
            return Ok(());
        }
        nic.restart(clock).map_err(MtuError::Reset)
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    fn update_rctl(&mut self) {
        // The receiver stays off until a reset has ended; all is programmed then.
        if self.power != Power::On {
            return;
        }
        let rctl = bring_up::rctl(self.device.chip, &self.filter, self.mtu).bits();
        if self.rctl != rctl {
            self.rctl = rctl;
            self.device.registers.write(regs::RCTL, rctl);
            // It counts from now on, and not from the next frame that is sent on.
            self.flush_writes();
        }
    }

    pub(super) fn max_mtu(&self) -> usize {
        let rings = rx::capacity(self.rx.size()).min(self.tx.capacity());
        let max = max_mtu(self.device.chip, rings);
        // Longer frames fill their first buffer, which 82545 and 82546 cannot send from in PCI-X mode (erratum 10).
        if self.short_buffers {
            max.min(DEFAULT_MTU)
        } else {
            max
        }
    }
}
