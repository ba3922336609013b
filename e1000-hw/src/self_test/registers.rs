//! The register test: patterns are written to bits that have to keep them.
//!
//! Registers, masks and patterns are those of Linux e1000 and e1000e (`e1000_reg_test`), fewer in two ways: the
//! receiver is never enabled, and of ICH/PCH only what firmware does not share. The device was reset and will be reset
//! again; all the same each register gets back what it held, as far as the bits under test go.

use super::{Failure, Outcome};
use crate::chip::{Chip, Media};
use crate::platform::Registers;
use crate::regs;

const PATTERNS: [u32; 4] = [0x5A5A_5A5A, 0xA5A5_A5A5, 0, 0xFFFF_FFFF];

/// RCTL without EN and without reserved bits; on ICH/PCH a few less.
const RCTL_BITS: u32 = 0x06DF_B3FC;
const RCTL_BITS_PCH: u32 = 0x06C3_B33C;
/// PSP and the two collision fields.
const TCTL_BITS: u32 = 0x003F_FFF8;
/// Address bits and AV.
const RAH_BITS: u32 = 0x8000_FFFF;

/// One register.
struct Entry {
    name: &'static str,
    offset: u32,
    /// Bits that keep what is written. No other is ever written as one.
    mask: u32,
    /// QEMU's `e1000` does not have it: it reads as zero there (HF 14.2).
    may_be_absent: bool,
}

const fn entry(name: &'static str, offset: u32, mask: u32) -> Entry {
    Entry {
        name,
        offset,
        mask,
        may_be_absent: false,
    }
}

const fn optional(name: &'static str, offset: u32, mask: u32) -> Entry {
    Entry {
        may_be_absent: true,
        ..entry(name, offset, mask)
    }
}

/// On every part.
const COMMON: [Entry; 12] = [
    entry("RDTR", regs::RDTR, 0xFFFF),
    entry("RDBAL", regs::RDBAL, 0xFFFF_FFF0),
    entry("RDBAH", regs::RDBAH, 0xFFFF_FFFF),
    entry("RDLEN", regs::RDLEN, 0x000F_FF80),
    entry("RDH", regs::RDH, 0xFFFF),
    entry("RDT", regs::RDT, 0xFFFF),
    optional("FCRTH", regs::FCRTH, 0xFFF8),
    optional("FCTTV", regs::FCTTV, 0xFFFF),
    optional("TIPG", regs::TIPG, 0x3FFF_FFFF),
    entry("TDBAL", regs::TDBAL, 0xFFFF_FFF0),
    entry("TDBAH", regs::TDBAH, 0xFFFF_FFFF),
    entry("TDLEN", regs::TDLEN, 0x000F_FF80),
];

/// Not on ICH/PCH, where other registers are at these offsets.
const NOT_ON_PCH: [Entry; 4] = [
    entry("VET", regs::VET, 0xFFFF),
    optional("FCAL", regs::FCAL, 0xFFFF_FFFF),
    optional("FCAH", regs::FCAH, 0xFFFF),
    optional("FCT", regs::FCT, 0xFFFF),
];

/// Tests all registers of this part, up to the first that fails: about 1200 accesses. The device has to be reset
/// before, and again afterwards. Also returns how many registers are absent.
pub(crate) fn test(registers: &impl Registers, chip: &Chip) -> (Outcome, u32) {
    let mut absent = 0;
    let result = test_all(chip, |entry| {
        absent += u32::from(keeps_patterns(registers, entry)? == Kept::Nothing);
        Ok(())
    });
    let outcome = match result {
        Ok(()) => Outcome::Passed,
        Err(failure) => Outcome::Failed(failure),
    };
    (outcome, absent)
}

fn test_all(chip: &Chip, mut test: impl FnMut(&Entry) -> Result<(), Failure>) -> Result<(), Failure> {
    let pch = chip.mac().is_pch();
    COMMON.iter().try_for_each(&mut test)?;
    if !pch {
        NOT_ON_PCH.iter().try_for_each(&mut test)?;
    }
    if chip.media != Media::Copper {
        test(&entry("TXCW", regs::TXCW, 0xFFFF))?;
    }
    test(&entry(
        "RCTL",
        regs::RCTL,
        if pch { RCTL_BITS_PCH } else { RCTL_BITS },
    ))?;
    test(&entry("TCTL", regs::TCTL, TCTL_BITS))?;
    // The others of ICH/PCH may belong to firmware.
    let addresses = if pch { 1 } else { chip.limits.receive_addresses };
    for n in 0..addresses {
        test(&entry("RAL", regs::ral(n), 0xFFFF_FFFF))?;
        test(&entry("RAH", regs::rah(n), RAH_BITS))?;
    }
    (0..chip.limits.mta_registers).try_for_each(|n| test(&entry("MTA", regs::MTA + 4 * n, 0xFFFF_FFFF)))
}

#[derive(PartialEq, Eq)]
enum Kept {
    Everything,
    Nothing,
}

fn keeps_patterns(registers: &impl Registers, entry: &Entry) -> Result<Kept, Failure> {
    let before = registers.read(entry.offset);
    let (mut wrong, mut ever_set) = (None, 0);
    for pattern in PATTERNS {
        let written = pattern & entry.mask;
        registers.write(entry.offset, written);
        let read = registers.read(entry.offset) & entry.mask;
        ever_set |= read;
        if read != written {
            wrong = wrong.or(Some(Failure::Register {
                name: entry.name,
                offset: entry.offset,
                written,
                read,
            }));
        }
    }
    // Not even what it held: receiver and transmitter must stay off, whatever a broken device says.
    registers.write(entry.offset, before & entry.mask);
    match wrong {
        None => Ok(Kept::Everything),
        Some(_) if entry.may_be_absent && ever_set == 0 => Ok(Kept::Nothing),
        Some(failure) => Err(failure),
    }
}
