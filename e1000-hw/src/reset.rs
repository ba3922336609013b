//! Stop and reset. Neither relies on firmware, nor on an effect of CTRL.RST (QEMU's `e1000` ignores it, `set_ctrl`).
//!
//! Sources: 8254x manual, 14.7; 82574 datasheet, 4.6.1 and 4.6.2; Linux e1000 (`e1000_reset_hw`) and e1000e
//! (`e1000_reset_hw_82571`, `e1000_reset_hw_ich8lan`).

use core::time::Duration;

use crate::chip::{Chip, Quirks, Reset};
use crate::firmware::{Purpose, SemaphoreGuard};
use crate::platform::{Clock, Registers};
use crate::regs::{self, Ctrl, Rctl, Status, Tctl};
use crate::wait::{TimedOut, wait_until};
use crate::warnings::Warnings;

/// Time that DMA in flight gets to end once receiver and transmitter are off (Linux e1000, `e1000_reset_hw`).
const DRAIN: Duration = Duration::from_millis(10);
/// Longest wait for the last request as a bus master (Linux e1000e, `MASTER_DISABLE_TIMEOUT`).
const MASTER_DISABLE_LIMIT: Duration = Duration::from_millis(80);
/// Longest wait for CTRL.RST to clear itself. Manuals give 1 us; the register may be slow to come back.
const RESET_LIMIT: Duration = Duration::from_millis(20);
/// Longest wait for the NVM of 8257x to load (Linux e1000e, `AUTO_READ_DONE_TIMEOUT`).
const AUTO_READ_LIMIT: Duration = Duration::from_millis(10);

/// Stops interrupts, receiver and transmitter with a few posted writes, without waiting, since there is no clock. DMA
/// may still be in flight when it returns.
pub(crate) fn post_stop(registers: &impl Registers, chip: &Chip) {
    registers.write(regs::IMC, regs::ALL_ONES);
    registers.write(regs::TCTL, Tctl::PSP.bits());
    if chip.quirks.contains(Quirks::NO_RX_DISABLE) {
        // Only a reset may turn the receiver of these parts off.
        registers.write(regs::CTRL, registers.read(regs::CTRL) | Ctrl::RST.bits());
    } else {
        registers.write(regs::RCTL, 0);
    }
}

/// Stops interrupts, receiver and transmitter, and waits until their DMA should have ended, for a panic hook: a tenth
/// of a second at most. Returns false if a PCIe part is still a bus master; true for others.
///
/// Writes are posted, so STATUS is read to flush them to the device before the wait.
pub fn stop_now(registers: &impl Registers, chip: &Chip, clock: &impl Clock) -> bool {
    let by_reset = chip.quirks.contains(Quirks::NO_RX_DISABLE);
    if by_reset {
        registers.write(regs::IMC, regs::ALL_ONES);
        registers.write(regs::TCTL, Tctl::PSP.bits());
    } else {
        post_stop(registers, chip);
    }
    registers.read(regs::STATUS);
    clock.sleep(DRAIN);
    let ended = disable_bus_master(registers, chip, clock);
    if by_reset {
        post_stop(registers, chip);
        // No access before the part is back (Linux e1000e, `e1000_reset_hw_82571`).
        clock.sleep(Duration::from_millis(1));
        stop_receiver(registers, clock);
    }
    ended
}

/// Turns off a receiver that CTRL.RST has left on, as on QEMU 7.2's `e1000e` (`e1000e_core_reset`). The last resort on
/// parts whose receiver may only be stopped by a reset.
fn stop_receiver(registers: &impl Registers, clock: &impl Clock) {
    if registers.read(regs::RCTL) & Rctl::EN.bits() != 0 {
        registers.write(regs::RCTL, 0);
        registers.read(regs::STATUS);
        clock.sleep(DRAIN);
    }
}

/// Makes PCIe parts end their requests as a bus master (82574 datasheet, 10.2.2.1; Linux e1000e,
/// `e1000e_disable_pcie_master`). Returns false if they did not in time; true for others.
fn disable_bus_master(registers: &impl Registers, chip: &Chip, clock: &impl Clock) -> bool {
    if !chip.mac().is_pcie() {
        return true;
    }
    let ctrl = registers.read(regs::CTRL);
    registers.write(regs::CTRL, ctrl | Ctrl::GIO_MASTER_DISABLE.bits());
    let ended = wait_until(
        clock,
        "end of bus mastering",
        MASTER_DISABLE_LIMIT,
        Duration::from_micros(100),
        || registers.read(regs::STATUS) & Status::GIO_MASTER_ENABLE.bits() == 0,
    );
    ended.is_ok()
}

/// Stops the device and waits until its DMA has ended. With [`Warnings::BUS_MASTER_BUSY`] it has not, and memory that
/// the device was given must not be freed.
///
/// Writes RCTL only if the receiver is on: on QEMU's `e1000` each write of RCTL stops reception for a second
/// (`set_rx_control`).
pub fn quiesce(registers: &impl Registers, chip: &Chip, clock: &impl Clock) -> Warnings {
    registers.write(regs::IMC, regs::ALL_ONES);
    let receiving = registers.read(regs::RCTL) & Rctl::EN.bits() != 0;
    let transmitting = registers.read(regs::TCTL) & Tctl::EN.bits() != 0;
    if receiving && !chip.quirks.contains(Quirks::NO_RX_DISABLE) {
        registers.write(regs::RCTL, 0);
    }
    if transmitting {
        registers.write(regs::TCTL, Tctl::PSP.bits());
    }
    if receiving || transmitting {
        // Flush the writes, then let DMA end.
        registers.read(regs::STATUS);
        clock.sleep(DRAIN);
    }
    // A part that does not answer is reset nevertheless.
    if disable_bus_master(registers, chip, clock) {
        Warnings::empty()
    } else {
        Warnings::BUS_MASTER_BUSY
    }
}

/// Quiesces the device, resets it, and leaves it with interrupts masked and receiver and transmitter off.
///
/// The steps are those of Linux e1000 (`e1000_reset_hw`) and e1000e (`e1000_reset_hw_82571`, `e1000_reset_hw_ich8lan`)
/// for the part's [`Reset`]. One deviation: Linux resets 82544, 82540, 82545, 82546 and 82541 through the I/O BAR,
/// because they may not acknowledge the memory write that resets them. The core has no I/O BAR. Emulators accept the
/// memory write; these parts were not tried.
///
/// # Errors
///
/// When CTRL.RST does not clear.
pub fn reset(registers: &impl Registers, chip: &Chip, clock: &impl Clock) -> Result<Warnings, TimedOut> {
    let mut warnings = quiesce(registers, chip, clock);
    let kind = chip.limits.reset;
    if chip.quirks.contains(Quirks::PHY_RESET_FIRST) {
        let ctrl = registers.read(regs::CTRL);
        registers.write(regs::CTRL, ctrl | Ctrl::PHY_RST.bits());
        registers.read(regs::STATUS);
        clock.sleep(Duration::from_millis(5));
    }
    let flash =
        kind == Reset::PciePhyFromNvm && registers.read(regs::EECD) & regs::EECD_FLASH == regs::EECD_FLASH;
    let guard = SemaphoreGuard::acquire(registers, chip, clock, Purpose::Reset);
    warnings |= guard.warnings();
    let ctrl = registers.read(regs::CTRL);
    // A PHY reset from above has ended, and must not be requested again.
    let ctrl = ctrl & !Ctrl::PHY_RST.bits() | Ctrl::RST.bits();
    let path = if chip.quirks.contains(Quirks::SHADOW_RESET) {
        regs::CTRL_DUP
    } else {
        regs::CTRL
    };
    registers.write(path, ctrl);
    match kind {
        Reset::ReloadEeprom => {
            clock.sleep(Duration::from_micros(10));
            reload_nvm(registers);
            clock.sleep(Duration::from_millis(2));
        }
        Reset::Eeprom => clock.sleep(Duration::from_millis(5)),
        Reset::EepromSlow => clock.sleep(Duration::from_millis(20)),
        // No access, not even a read, before the part is back (Linux e1000e, `e1000_reset_hw_82571`).
        Reset::Pcie | Reset::PciePhyFromNvm => clock.sleep(Duration::from_millis(1)),
        Reset::Pch => clock.sleep(Duration::from_millis(20)),
    }
    drop(guard);
    wait_until(
        clock,
        "end of reset (CTRL.RST clear)",
        RESET_LIMIT,
        Duration::from_micros(100),
        || registers.read(regs::CTRL) & Ctrl::RST.bits() == 0,
    )?;
    if flash {
        reload_nvm(registers);
    }
    if matches!(kind, Reset::Pcie | Reset::PciePhyFromNvm) {
        let loaded = wait_until(
            clock,
            "load of the NVM (EECD.AUTO_RD)",
            AUTO_READ_LIMIT,
            Duration::from_millis(1),
            || registers.read(regs::EECD) & regs::EECD_AUTO_RD != 0,
        );
        // A failure is ignored: without the address that the NVM loads into RAL and RAH, bring-up fails anyway.
        if loaded.is_err() {
            warnings |= Warnings::NVM_NOT_LOADED;
        }
    }
    match kind {
        Reset::Pcie => {
            let eecd = registers.read(regs::EECD);
            registers.write(regs::EECD, eecd & !(regs::EECD_REQ | regs::EECD_GNT));
        }
        // The PHY is configured from the NVM (Linux e1000e, `e1000_reset_hw_82571`).
        Reset::PciePhyFromNvm => clock.sleep(Duration::from_millis(25)),
        Reset::Pch => {
            let bias = registers.read(regs::KABGTXD);
            registers.write(regs::KABGTXD, bias | regs::KABGTXD_BIAS);
        }
        Reset::ReloadEeprom | Reset::Eeprom | Reset::EepromSlow => {}
    }
    registers.write(regs::IMC, regs::ALL_ONES);
    registers.read(regs::ICR);
    stop_receiver(registers, clock);
    Ok(warnings)
}

/// Loads the NVM again, and flushes the write.
fn reload_nvm(registers: &impl Registers) {
    let extended = registers.read(regs::CTRL_EXT);
    registers.write(regs::CTRL_EXT, extended | regs::CTRL_EXT_EE_RST);
    registers.read(regs::STATUS);
}

#[cfg(test)]
mod tests;
