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
/// Smallest MTU: IPv4 needs at least this (RFC 791).
pub const MIN_MTU: usize = 68;

/// Error of setting the MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuError {
    /// The MTU is too small, or too large for the chip or its rings.
    OutOfRange {
        /// Largest possible MTU.
        max: usize,
    },
    /// The reset that the change needs did not end. [`Recovery::watch`](super::Recovery::watch) tries again.
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

/// Largest MTU for a chip whose rings can hold frames of `rings` bytes.
fn max_mtu(chip: &Chip, rings: usize) -> usize {
    rings.min(chip.limits.max_frame as usize) - HEADER_LEN - TAG_LEN - FCS_LEN
}

/// Settings: [`Nic::settings`]. They survive resets.
pub struct Settings<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> Settings<'_, R, D> {
    /// Sets the receive filter: besides the own address and broadcast, it passes all frames, or frames to all multicast
    /// groups, or frames to `groups` and to some others with the same hash.
    ///
    /// Writes only registers that change. The first two change RCTL, after which QEMU's `e1000` receives nothing for a
    /// second.
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

    /// Sets the VLANs whose tagged frames pass. With `None`, as after bring-up, those of all VLANs do.
    ///
    /// Context: any.
    pub fn set_vlan_filter(&mut self, vlans: Option<impl IntoIterator<Item = u16>>) {
        let nic = &mut *self.nic;
        let (registers, chip) = (&nic.device.registers, nic.device.chip);
        nic.filter.set_vlans(registers, chip, vlans);
        nic.update_rctl();
    }

    /// Turns on or off that the device strips VLAN tags from received frames ([`Rx::tag`](super::Rx::tag)) and inserts
    /// them into transmitted ones ([`SendOptions::tag`](super::SendOptions::tag)). Off after bring-up: tags are bytes
    /// of the frame.
    ///
    /// Context: any.
    pub fn set_vlan_offload(&mut self, on: bool) {
        let registers = &self.nic.device.registers;
        self.nic.vlan_offload = on;
        let ctrl = registers.read(regs::CTRL) & !Ctrl::VME.bits();
        registers.write(regs::CTRL, ctrl | if on { Ctrl::VME.bits() } else { 0 });
    }

    /// Turns offloads on or off, of those that the part has ([`crate::chip::Limits::offloads`]). At most one register
    /// write.
    ///
    /// Context: any.
    ///
    /// # Errors
    ///
    /// [`OffloadError::NotEnabled`] with those that the part does not have; then nothing is changed.
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

    /// Sets the MTU. A change to or from more than 1500 bytes needs a reset: frames in the rings are lost, and the link
    /// may be down for some seconds.
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
        // Up to 1500 the MAC drops longer frames.
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
        // The device is off and programmed with the new values after its next reset.
        if self.power != Power::On {
            return;
        }
        let rctl = bring_up::rctl(self.device.chip, &self.filter, self.mtu).bits();
        if self.rctl != rctl {
            self.rctl = rctl;
            self.device.registers.write(regs::RCTL, rctl);
            // A hypervisor may delay the write of RCTL.
            self.flush_writes();
        }
    }

    pub(super) fn max_mtu(&self) -> usize {
        let rings = rx::capacity(self.rx.size()).min(self.tx.capacity());
        let max = max_mtu(self.device.chip, rings);
        // Erratum 10 of 82545 and 82546 in PCI-X mode: the first descriptor of a frame must not have more than 2015
        // bytes. `tx::cut` makes shorter pieces, so this is a precaution that was never lifted on a real part.
        if self.short_buffers {
            max.min(DEFAULT_MTU)
        } else {
            max
        }
    }
}
