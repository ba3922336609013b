//! Bit-banged MDIO, for 82543, which has no MDIC: the pins are SWDPIN2 (data) and SWDPIN3 (clock) of CTRL.
//!
//! IEEE 802.3 clause 22: 32 ones, start 01, opcode, PHY address, register, turnaround, 16 bits of data. Linux e1000
//! does the same in `e1000_shift_out_mdi_bits`. It takes a fixed time whatever the PHY does: about 1.3 ms.

use core::time::Duration;

use super::PHY_ADDRESS;
use crate::platform::{Clock, Registers};
use crate::regs::{self, Ctrl};

/// Time between two edges (Linux e1000, `e1000_raise_mdi_clk`).
const EDGE: Duration = Duration::from_micros(10);
const START: u32 = 0b01;
const READ: u32 = 0b10;
const WRITE: u32 = 0b01;
const TURNAROUND: u32 = 0b10;

/// Reads PHY register `register`. A PHY that is absent leaves the line as it is: all ones or all zeroes.
pub(super) fn read(registers: &impl Registers, clock: &impl Clock, register: u8) -> u16 {
    let pins = Pins { registers, clock };
    pins.send(u32::MAX, 32);
    pins.send(
        START << 12 | READ << 10 | PHY_ADDRESS << 5 | u32::from(register),
        14,
    );
    // The PHY drives the line from here; the first pulse is the turnaround.
    let listening = pins.idle() & !(Ctrl::MDIO_OUT | Ctrl::MDIO).bits();
    pins.set(listening);
    pins.pulse(listening);
    let value = (0..16).fold(0, |value, _| {
        pins.set(listening | Ctrl::MDC.bits());
        let bit = registers.read(regs::CTRL) & Ctrl::MDIO.bits() != 0;
        pins.set(listening);
        value << 1 | u16::from(bit)
    });
    pins.pulse(listening);
    value
}

/// Writes `value` to PHY register `register`.
pub(super) fn write(registers: &impl Registers, clock: &impl Clock, register: u8, value: u16) {
    let pins = Pins { registers, clock };
    pins.send(u32::MAX, 32);
    let head = START << 14 | WRITE << 12 | PHY_ADDRESS << 7 | u32::from(register) << 2 | TURNAROUND;
    pins.send(head << 16 | u32::from(value), 32);
}

struct Pins<'a, R, C> {
    registers: &'a R,
    clock: &'a C,
}

impl<R: Registers, C: Clock> Pins<'_, R, C> {
    /// Value of CTRL with both pins as outputs, and low.
    fn idle(&self) -> u32 {
        let ctrl = self.registers.read(regs::CTRL);
        ctrl & !(Ctrl::MDIO | Ctrl::MDC).bits() | (Ctrl::MDIO_OUT | Ctrl::MDC_OUT).bits()
    }

    fn set(&self, ctrl: u32) {
        self.registers.write(regs::CTRL, ctrl);
        self.registers.read(regs::STATUS);
        self.clock.sleep(EDGE);
    }

    fn pulse(&self, ctrl: u32) {
        self.set(ctrl | Ctrl::MDC.bits());
        self.set(ctrl);
    }

    /// Shifts out the lowest `count` bits, the highest of them first.
    fn send(&self, bits: u32, count: u32) {
        let idle = self.idle();
        for bit in (0..count).rev() {
            let data = if bits >> bit & 1 != 0 {
                Ctrl::MDIO.bits()
            } else {
                0
            };
            self.set(idle | data);
            self.pulse(idle | data);
        }
    }
}
