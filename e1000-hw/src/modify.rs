//! Changes of single fields of a register.

use crate::platform::Registers;

/// Gives the bits of `mask` this `value`; writes only if that changes the register.
pub(crate) fn modify(registers: &impl Registers, register: u32, mask: u32, value: u32) {
    let old = registers.read(register);
    let new = old & !mask | value;
    if new != old {
        registers.write(register, new);
    }
}
