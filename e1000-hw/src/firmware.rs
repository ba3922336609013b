//! What the driver shares with firmware and with the other port: semaphores, and the word that it is there.
//!
//! Source: HF 7 (`e1000-hardware-facts.md`), which restates Linux e1000e. Everything is bounded; a semaphore that
//! nobody gives up ends in [`Notes::SEMAPHORE_BUSY`], and the caller decides.

use core::time::Duration;

use crate::chip::{Chip, DriverLoad, Semaphore};
use crate::notes::Notes;
use crate::platform::{Clock, Registers};
use crate::regs;
use crate::wait::wait_until;

/// Longest wait for each half of SWSM: Linux asks once for each NVM word, every 50 us.
const SWSM_LIMIT: Duration = Duration::from_millis(5);
const SWSM_INTERVAL: Duration = Duration::from_micros(50);
/// Longest wait for MDIO_SW_OWNERSHIP: 10 times 2 to 4 ms.
const MDIO_LIMIT: Duration = Duration::from_millis(30);
const MDIO_INTERVAL: Duration = Duration::from_millis(2);
/// Longest wait for firmware to let go of SWFLAG, and then for it to stick (Linux e1000e, `PHY_CFG_TIMEOUT`).
const SWFLAG_LIMIT: Duration = Duration::from_millis(100);
const SWFLAG_INTERVAL: Duration = Duration::from_millis(1);

/// What a semaphore is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Access to the PHY.
    Phy,
    /// A reset of the MAC.
    Reset,
}

/// Which bits a [`Claim`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Swsm,
    Extcnf,
    ExtcnfContended,
}

/// A semaphore that was asked for. Dropping it gives back what was obtained.
#[derive(Debug)]
pub struct Claim<'a, R: Registers> {
    registers: &'a R,
    kind: Kind,
    obtained: bool,
    notes: Notes,
}

impl<'a, R: Registers> Claim<'a, R> {
    /// Asks for what `purpose` needs on this chip; nothing on 8254x. Waits at most 200 ms (PCH), 30 ms (82573 and
    /// later), 10 ms (82571, 82572).
    pub fn new(registers: &'a R, chip: &Chip, clock: &impl Clock, purpose: Purpose) -> Self {
        let kind = match (chip.limits.semaphore, purpose) {
            (Semaphore::None, _) | (Semaphore::Swsm, Purpose::Reset) => Kind::Nothing,
            (Semaphore::Swsm | Semaphore::SwsmMdio, Purpose::Phy) => Kind::Swsm,
            (Semaphore::SwsmMdio, Purpose::Reset) | (Semaphore::Mdio, _) => Kind::Extcnf,
            (Semaphore::SwFlag, _) => Kind::ExtcnfContended,
        };
        let (obtained, notes) = match kind {
            Kind::Nothing => (true, Notes::empty()),
            Kind::Swsm => swsm(registers, clock),
            Kind::Extcnf => extcnf(registers, clock, MDIO_LIMIT, MDIO_INTERVAL),
            Kind::ExtcnfContended => swflag(registers, clock),
        };
        Self {
            registers,
            kind,
            obtained,
            notes,
        }
    }

    /// Whether firmware agreed.
    pub fn is_obtained(&self) -> bool {
        self.obtained
    }

    /// [`Notes::SEMAPHORE_BUSY`] when something was not given up.
    pub fn notes(&self) -> Notes {
        self.notes
    }
}

impl<R: Registers> Drop for Claim<'_, R> {
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

/// First the ports among each other, by reading a zero; then software against firmware, by a bit that sticks.
///
/// A first half that is never given up is passed over, as in Linux: boot agents leave it set.
fn swsm(registers: &impl Registers, clock: &impl Clock) -> (bool, Notes) {
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

/// A bit that sticks once firmware does not hold it.
fn extcnf(registers: &impl Registers, clock: &impl Clock, limit: Duration, step: Duration) -> (bool, Notes) {
    let owned = wait_until(clock, "EXTCNF_CTRL ownership", limit, step, || {
        let value = registers.read(regs::EXTCNF_CTRL);
        registers.write(regs::EXTCNF_CTRL, value | regs::EXTCNF_CTRL_OWNED);
        registers.read(regs::EXTCNF_CTRL) & regs::EXTCNF_CTRL_OWNED != 0
    });
    (owned.is_ok(), busy_unless(owned.is_ok()))
}

/// As [`extcnf`], but the bit may be set because firmware set it: it has to be seen clear first.
fn swflag(registers: &impl Registers, clock: &impl Clock) -> (bool, Notes) {
    let free = wait_until(clock, "EXTCNF_CTRL.SWFLAG", SWFLAG_LIMIT, SWFLAG_INTERVAL, || {
        registers.read(regs::EXTCNF_CTRL) & regs::EXTCNF_CTRL_OWNED == 0
    });
    match free {
        Ok(()) => extcnf(registers, clock, SWFLAG_LIMIT, SWFLAG_INTERVAL),
        Err(_) => (false, Notes::SEMAPHORE_BUSY),
    }
}

fn busy_unless(obtained: bool) -> Notes {
    if obtained {
        Notes::empty()
    } else {
        Notes::SEMAPHORE_BUSY
    }
}

/// Tells firmware whether a driver is loaded (DRV_LOAD): set on start, cleared on stop (HF 3.3).
pub fn set_driver_loaded(registers: &impl Registers, chip: &Chip, loaded: bool) {
    let (register, bit) = match chip.limits.driver_load {
        DriverLoad::None => return,
        DriverLoad::CtrlExt => (regs::CTRL_EXT, regs::CTRL_EXT_DRV_LOAD),
        DriverLoad::Swsm => (regs::SWSM, regs::SWSM_DRV_LOAD),
    };
    let value = registers.read(register);
    registers.write(register, if loaded { value | bit } else { value & !bit });
}
