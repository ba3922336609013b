//! A PHY behind the pins of 82543's CTRL: IEEE 802.3 clause 22.

use crate::regs::Ctrl;

/// A PHY on the two MDIO pins of CTRL: it samples, and drives, at the rising edge of the clock.
pub struct Mdio {
    /// Its registers.
    pub registers: [u16; 32],
    ctrl: u32,
    ones: u32,
    /// Bits of a frame after the preamble, and how many.
    frame: (u32, u32),
    /// Level that the PHY drives.
    line: bool,
}

impl Mdio {
    /// A PHY with these registers, at address 1.
    pub fn new(registers: [u16; 32]) -> Self {
        Self {
            registers,
            ctrl: 0,
            ones: 0,
            frame: (0, 0),
            line: false,
        }
    }

    /// Takes a write of CTRL; returns the value that it reads as then.
    pub fn write(&mut self, ctrl: u32) -> u32 {
        let bit = |bits: Ctrl| ctrl & bits.bits() != 0;
        let rising = bit(Ctrl::MDC) && self.ctrl & Ctrl::MDC.bits() == 0;
        self.ctrl = ctrl;
        if rising {
            assert!(bit(Ctrl::MDC_OUT));
            self.clock(bit(Ctrl::MDIO_OUT), bit(Ctrl::MDIO));
        }
        if bit(Ctrl::MDIO_OUT) {
            return ctrl;
        }
        let line = if self.line { Ctrl::MDIO.bits() } else { 0 };
        ctrl & !Ctrl::MDIO.bits() | line
    }

    fn clock(&mut self, driven: bool, bit: bool) {
        let (bits, count) = self.frame;
        if count == 0 && (bit || !driven) {
            self.ones += 1;
            return;
        }
        if count == 0 {
            assert!(self.ones >= 32, "a preamble of 32 ones");
            self.ones = 0;
        }
        self.frame = (bits << 1 | u32::from(bit && driven), count + 1);
        let (bits, count) = self.frame;
        let head = if count >= 14 { bits >> (count - 14) } else { 0 };
        let (opcode, phy, number) = (head >> 10 & 3, head >> 5 & 31, (head & 31) as usize);
        match (count, opcode) {
            // Turnaround is bit 15; data are bits 16 to 31, one after each edge.
            (15.., 0b10) if phy == 1 => {
                assert!(!driven, "both ends drive the line");
                self.line = count > 15 && count <= 31 && self.registers[number] >> (31 - count) & 1 != 0;
            }
            (32, 0b01) if phy == 1 => {
                assert_eq!(bits >> 16 & 3, 0b10, "turnaround");
                self.registers[number] = bits as u16;
            }
            _ => {}
        }
        if count == 32 {
            self.frame = (0, 0);
        }
    }
}
