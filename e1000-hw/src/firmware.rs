//! Cooperation with firmware and with the other port: semaphores, and the bit that says that a driver is loaded.
//!
//! Sources: Linux e1000e, `e1000_get_hw_semaphore_82571`, `e1000_get_hw_semaphore_82573` (MDIO ownership),
//! `e1000_acquire_swflag_ich8lan`, `e1000e_get_hw_control`; 82574 datasheet, 4.5.2. Every wait is bounded. A semaphore
//! that is not released in time results in [`Warnings::SEMAPHORE_BUSY`], and the caller decides.

use core::time::Duration;

use crate::chip::{Chip, DriverLoad, Semaphore};
use crate::platform::{Clock, Registers};
use crate::regs;
use crate::wait::wait_until;
use crate::warnings::Warnings;

/// Longest wait for each half of SWSM: Linux tries once for each NVM word, every 50 us.
const SWSM_LIMIT: Duration = Duration::from_millis(5);
const SWSM_INTERVAL: Duration = Duration::from_micros(50);
/// Longest wait for MDIO_SW_OWNERSHIP: 10 times 2 to 4 ms.
const MDIO_LIMIT: Duration = Duration::from_millis(30);
const MDIO_INTERVAL: Duration = Duration::from_millis(2);
/// Longest wait for firmware to let go of SWFLAG, and then for it to stick (Linux e1000e, `PHY_CFG_TIMEOUT`).
const SWFLAG_LIMIT: Duration = Duration::from_millis(100);
const SWFLAG_INTERVAL: Duration = Duration::from_millis(1);

/// Work for which a semaphore is acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Access to the PHY.
    Phy,
    /// A reset of the MAC.
    Reset,
}

/// Bits that make up a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Swsm,
    Extcnf,
    ExtcnfContended,
}

/// Guard of a semaphore. Dropping it releases those parts of the semaphore that were acquired.
#[derive(Debug)]
pub struct SemaphoreGuard<'a, R: Registers> {
    registers: &'a R,
    kind: Kind,
    obtained: bool,
    warnings: Warnings,
}

impl<'a, R: Registers> SemaphoreGuard<'a, R> {
    /// Acquires the semaphore that `purpose` needs on this chip; none on 8254x. Waits at most 200 ms (PCH), 30 ms
    /// (82573 and later), 10 ms (82571, 82572).
    pub fn acquire(registers: &'a R, chip: &Chip, clock: &impl Clock, purpose: Purpose) -> Self {
        let kind = match (chip.limits.semaphore, purpose) {
            (Semaphore::None, _) | (Semaphore::Swsm, Purpose::Reset) => Kind::Nothing,
            (Semaphore::Swsm | Semaphore::SwsmMdio, Purpose::Phy) => Kind::Swsm,
            (Semaphore::SwsmMdio, Purpose::Reset) | (Semaphore::Mdio, _) => Kind::Extcnf,
            (Semaphore::SwFlag, _) => Kind::ExtcnfContended,
        };
        let (obtained, warnings) = match kind {
            Kind::Nothing => (true, Warnings::empty()),
            Kind::Swsm => acquire_swsm(registers, clock),
            Kind::Extcnf => acquire_extcnf(registers, clock, MDIO_LIMIT, MDIO_INTERVAL),
            Kind::ExtcnfContended => acquire_swflag(registers, clock),
        };
        Self {
            registers,
            kind,
            obtained,
            warnings,
        }
    }

    /// Returns true if the semaphore was acquired.
    pub fn is_obtained(&self) -> bool {
        self.obtained
    }

    /// [`Warnings::SEMAPHORE_BUSY`] if a part of the semaphore was not released in time.
    pub fn warnings(&self) -> Warnings {
        self.warnings
    }
}

impl<R: Registers> Drop for SemaphoreGuard<'_, R> {
    fn drop(&mut self) {
        if !self.obtained {
            return;
        }
        let (register, bits) = match self.kind {
            Kind::Nothing => return,
            Kind::Swsm => (regs::SWSM, regs::SWSM_SMBI | regs::SWSM_SWESMBI),
            Kind::Extcnf | Kind::ExtcnfContended => (regs::EXTCNF_CTRL, regs::EXTCNF_CTRL_OWNED),
        };
        let value = self.registers.read(register);
        self.registers.write(register, value & !bits);
    }
}

/// Acquires SWSM: first the half between the ports, by reading a zero; then the half between software and firmware, by
/// writing a bit that stays set.
///
/// If the first half is never released, this goes on without it, as Linux does: boot agents leave it set.
fn acquire_swsm(registers: &impl Registers, clock: &impl Clock) -> (bool, Warnings) {
    let port = wait_until(clock, "SWSM.SMBI", SWSM_LIMIT, SWSM_INTERVAL, || {
        registers.read(regs::SWSM) & regs::SWSM_SMBI == 0
    });
    let firmware = wait_until(clock, "SWSM.SWESMBI", SWSM_LIMIT, SWSM_INTERVAL, || {
        let swsm = registers.read(regs::SWSM);
        registers.write(regs::SWSM, swsm | regs::SWSM_SWESMBI);
        registers.read(regs::SWSM) & regs::SWSM_SWESMBI != 0
    });
    if firmware.is_err() && port.is_ok() {
        let swsm = registers.read(regs::SWSM);
        registers.write(regs::SWSM, swsm & !(regs::SWSM_SMBI | regs::SWSM_SWESMBI));
    }
    (firmware.is_ok(), busy_unless(port.is_ok() && firmware.is_ok()))
}

/// Acquires a bit that stays set once firmware has released it.
fn acquire_extcnf(
    registers: &impl Registers,
    clock: &impl Clock,
    limit: Duration,
    interval: Duration,
) -> (bool, Warnings) {
    let owned = wait_until(clock, "EXTCNF_CTRL ownership", limit, interval, || {
        let value = registers.read(regs::EXTCNF_CTRL);
        registers.write(regs::EXTCNF_CTRL, value | regs::EXTCNF_CTRL_OWNED);
        registers.read(regs::EXTCNF_CTRL) & regs::EXTCNF_CTRL_OWNED != 0
    });
    (owned.is_ok(), busy_unless(owned.is_ok()))
}

/// Same as [`acquire_extcnf`], but the bit may have been set by firmware, so it has to read as zero first.
fn acquire_swflag(registers: &impl Registers, clock: &impl Clock) -> (bool, Warnings) {
    let free = wait_until(clock, "EXTCNF_CTRL.SWFLAG", SWFLAG_LIMIT, SWFLAG_INTERVAL, || {
        registers.read(regs::EXTCNF_CTRL) & regs::EXTCNF_CTRL_OWNED == 0
    });
    match free {
        Ok(()) => acquire_extcnf(registers, clock, SWFLAG_LIMIT, SWFLAG_INTERVAL),
        Err(_) => (false, Warnings::SEMAPHORE_BUSY),
    }
}

fn busy_unless(obtained: bool) -> Warnings {
    if obtained {
        Warnings::empty()
    } else {
        Warnings::SEMAPHORE_BUSY
    }
}

/// Sets or clears the bit by which firmware sees that a driver is loaded (DRV_LOAD).
pub fn set_driver_loaded(registers: &impl Registers, chip: &Chip, loaded: bool) {
    let (register, bit) = match chip.limits.driver_load {
        DriverLoad::None => return,
        DriverLoad::CtrlExt => (regs::CTRL_EXT, regs::CTRL_EXT_DRV_LOAD),
        DriverLoad::Swsm => (regs::SWSM, regs::SWSM_DRV_LOAD),
    };
    let value = registers.read(register);
    registers.write(register, if loaded { value | bit } else { value & !bit });
}

#[cfg(test)]
mod tests;
