//! The register test: patterns are written to bits that have to keep them.
//!
//! Registers, masks and patterns are those of Linux e1000 and e1000e (`e1000_reg_test`), with two exceptions: the
//! receiver is never enabled, and on PCH registers that firmware shares are not tested. The device was reset and will
//! be reset again; nevertheless the tested bits of each register are restored.

use super::{Failure, Outcome};
use crate::chip::{Chip, Media};
use crate::platform::Registers;
use crate::regs::{self, PatternTest, REGISTERS, Register};

const PATTERNS: [u32; 4] = [0x5A5A_5A5A, 0xA5A5_A5A5, 0, 0xFFFF_FFFF];

/// RCTL on PCH: bits that do not keep what is written there (Linux e1000e, `e1000_reg_test`).
const RCTL_NOT_ON_PCH: u32 = 0x001C_00C0;

/// Tests all registers of this part, up to the first that fails: about 1200 accesses. The device has to be reset
/// before, and again afterwards. Also returns how many registers are absent.
pub(crate) fn test(registers: &impl Registers, chip: &Chip) -> (Outcome, u32) {
    let mut absent = 0;
    let mut test = |(register, test): (&Register, PatternTest)| {
        register.offsets(chip).try_for_each(|offset| {
            let kept = keeps_patterns(registers, register.name, offset, test)?;
            absent += u32::from(kept == Kept::Nothing);
            Ok(())
        })
    };
    let outcome = match tests(chip).try_for_each(&mut test) {
        Ok(()) => Outcome::Passed,
        Err(failure) => Outcome::Failed(failure),
    };
    (outcome, absent)
}

/// Registers to test on this part.
fn tests(chip: &Chip) -> impl Iterator<Item = (&'static Register, PatternTest)> {
    REGISTERS.iter().filter_map(|register| {
        let mut test = register.pattern_test(chip)?;
        match register.offset {
            // The transmit configuration word is sent by fiber and serdes only.
            regs::TXCW if chip.media == Media::Copper => return None,
            regs::RCTL if chip.mac().is_pch() => test.mask &= !RCTL_NOT_ON_PCH,
            _ => {}
        }
        Some((register, test))
    })
}

#[derive(PartialEq, Eq)]
enum Kept {
    Everything,
    Nothing,
}

fn keeps_patterns(
    registers: &impl Registers,
    name: &'static str,
    offset: u32,
    test: PatternTest,
) -> Result<Kept, Failure> {
    let before = registers.read(offset);
    let (mut wrong, mut ever_set) = (None, 0);
    for pattern in PATTERNS {
        let written = pattern & test.mask;
        registers.write(offset, written);
        let read = registers.read(offset) & test.mask;
        ever_set |= read;
        if read != written {
            wrong = wrong.or(Some(Failure::Register {
                name,
                offset,
                written,
                read,
            }));
        }
    }
    // Only the tested bits are restored: receiver and transmitter must stay off, whatever a broken device reports.
    registers.write(offset, before & test.mask);
    match wrong {
        None => Ok(Kept::Everything),
        Some(_) if test.may_be_absent && ever_set == 0 => Ok(Kept::Nothing),
        Some(failure) => Err(failure),
    }
}
