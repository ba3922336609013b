//! The microwire EEPROM of 8254x, bit-banged on the pins of EECD.
//!
//! Chip select up, the opcode of a read, 6 or 8 address bits (EECD.SIZE), then 16 data bits, each bit with one pulse of
//! the clock (8254x manual, 5.3.1; Linux e1000, `e1000_shift_out_ee_bits`). It takes a fixed time whatever the EEPROM
//! does: below 3 ms a word. 82543 and 82544 have no REQ/GNT handshake; 82540, 82545 and 82546 give the pins only to a
//! driver that asked for them ([`Grant`]; Linux e1000, `e1000_acquire_eeprom`).

use core::time::Duration;

use crate::platform::{Clock, Registers};
use crate::regs;
use crate::wait::{TimedOut, wait_until};

/// Longest wait for the pins (Linux e1000, `E1000_EEPROM_GRANT_ATTEMPTS` times 5 us).
const GRANT_LIMIT: Duration = Duration::from_millis(5);
/// Time between two edges (Linux e1000, `eeprom->delay_usec`).
const EDGE: Duration = Duration::from_micros(50);
/// Start bit and opcode of a read.
const READ: u32 = 0b110;
const READ_BITS: u32 = 3;

/// Reads word `word`. An EEPROM that is absent reads as all zeroes or all ones.
pub(super) fn read_word(registers: &impl Registers, clock: &impl Clock, word: u8) -> u16 {
    let pins = Pins { registers, clock };
    let eecd = registers.read(regs::EECD);
    let idle = eecd & !(regs::EECD_SK | regs::EECD_CS | regs::EECD_DI);
    let address_bits = if eecd & regs::EECD_SIZE == 0 { 6 } else { 8 };
    pins.set(idle);
    let selected = idle | regs::EECD_CS;
    pins.set(selected);
    for bit in (0..READ_BITS).rev() {
        pins.clock_out(selected, READ >> bit & 1 != 0);
    }
    for bit in (0..address_bits).rev() {
        pins.clock_out(selected, u32::from(word) >> bit & 1 != 0);
    }
    let value = (0..16).fold(0, |value, _| value << 1 | u16::from(pins.clock_in(selected)));
    // Deselect the EEPROM; after one more clock pulse it is idle.
    pins.set(idle);
    pins.pulse(idle);
    value
}

/// Permission to use the pins of EECD, until it is dropped.
pub(super) struct Grant<'a, R: Registers>(&'a R);

impl<'a, R: Registers> Grant<'a, R> {
    /// Requests the pins (EECD.REQ) and waits until they are granted (EECD.GNT).
    pub(super) fn obtain(registers: &'a R, clock: &impl Clock) -> Result<Self, TimedOut> {
        let eecd = registers.read(regs::EECD);
        registers.write(regs::EECD, eecd | regs::EECD_REQ);
        let grant = Self(registers);
        wait_until(
            clock,
            "grant of the EEPROM (EECD.GNT)",
            GRANT_LIMIT,
            Duration::from_micros(5),
            || registers.read(regs::EECD) & regs::EECD_GNT != 0,
        )?;
        Ok(grant)
    }
}

impl<R: Registers> Drop for Grant<'_, R> {
    fn drop(&mut self) {
        let eecd = self.0.read(regs::EECD);
        self.0.write(regs::EECD, eecd & !regs::EECD_REQ);
    }
}

struct Pins<'a, R, C> {
    registers: &'a R,
    clock: &'a C,
}

impl<R: Registers, C: Clock> Pins<'_, R, C> {
    fn set(&self, eecd: u32) {
        self.registers.write(regs::EECD, eecd);
        self.registers.read(regs::STATUS);
        self.clock.sleep(EDGE);
    }

    fn pulse(&self, eecd: u32) {
        self.set(eecd | regs::EECD_SK);
        self.set(eecd);
    }

    fn clock_out(&self, eecd: u32, bit: bool) {
        let data = if bit { regs::EECD_DI } else { 0 };
        self.set(eecd | data);
        self.pulse(eecd | data);
    }

    fn clock_in(&self, eecd: u32) -> bool {
        self.set(eecd | regs::EECD_SK);
        let bit = self.registers.read(regs::EECD) & regs::EECD_DO != 0;
        self.set(eecd);
        bit
    }
}
