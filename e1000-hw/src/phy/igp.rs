//! IGP01, the PHY of 82541 and 82547: the settings of its analog part that Intel's drivers make after each reset.
//!
//! The registers are not documented; sequence, values and waits are those of Linux e1000, `e1000_phy_init_script`.

use core::time::Duration;

use super::{Phy, PhyError, register};
use crate::chip::{Chip, MacType};
use crate::platform::{Clock, Registers};

/// First register that is reached through [`PAGE`].
const FIRST_PAGED: u16 = 0x10;
/// The register that selects a page: it takes the whole number of the register that is meant.
const PAGE: u8 = 31;

/// Bits 1:0 turn the transmitter off.
const TRANSMITTER: u16 = 0x2F5B;
const TRANSMITTER_OFF: u16 = 0x0003;
/// BMCR: 1000 Mbit/s, full duplex, forced: the PHY is at rest.
const BMCR_AT_REST: u16 = 0x0140;
/// BMCR: negotiate from the beginning.
const BMCR_NEGOTIATE: u16 = 0x3300;

/// First revision.
const SETTINGS: [(u16, u16); 9] = [
    (0x1F95, 0x0001),
    (0x1F71, 0xBD21),
    (0x1F79, 0x0018),
    (0x1F30, 0x1600),
    (0x1F31, 0x0014),
    (0x1F32, 0x161C),
    (0x1F94, 0x0003),
    (0x1F96, 0x003F),
    (0x2010, 0x0008),
];
/// Second revision.
const SETTINGS_R2: [(u16, u16); 1] = [(0x1F73, 0x0099)];

/// Fuses of 82547's first revision: those that were burnt, and those to be used instead.
const FUSES: u16 = 0x20D0;
const SPARE_FUSES: u16 = 0x20D1;
const FUSES_TO_USE: u16 = 0x20DC;
const FUSES_BYPASS: u16 = 0x20DE;
const SPARE_ENABLED: u16 = 0x0100;
const BYPASS_ENABLED: u16 = 0x0002;
const FINE: u16 = 0x0F80;
const COARSE: u16 = 0x0070;
const POLY: u16 = 0xF000;

/// Makes the settings, and restarts negotiation: the link goes down. 65 ms.
///
/// # Errors
///
/// When the PHY does not answer.
pub(super) fn set_up<R: Registers, C: Clock>(phy: &Phy<'_, R, C>, chip: &Chip) -> Result<(), PhyError> {
    let wait = |ms| phy.clock.sleep(Duration::from_millis(ms));
    let first_revision = matches!(chip.mac(), MacType::I82541 | MacType::I82547);
    wait(20);
    let transmitter = read(phy, TRANSMITTER)?;
    write(phy, TRANSMITTER, TRANSMITTER_OFF)?;
    wait(20);
    phy.write(register::BMCR, BMCR_AT_REST)?;
    wait(5);
    let settings: &[_] = if first_revision { &SETTINGS } else { &SETTINGS_R2 };
    for (number, value) in settings {
        write(phy, *number, *value)?;
    }
    phy.write(register::BMCR, BMCR_NEGOTIATE)?;
    wait(20);
    write(phy, TRANSMITTER, transmitter)?;
    if chip.mac() == MacType::I82547 {
        correct_fuses(phy)?;
    }
    Ok(())
}

fn correct_fuses<R: Registers, C: Clock>(phy: &Phy<'_, R, C>) -> Result<(), PhyError> {
    if read(phy, SPARE_FUSES)? & SPARE_ENABLED != 0 {
        return Ok(());
    }
    write(phy, FUSES_TO_USE, corrected(read(phy, FUSES)?))?;
    write(phy, FUSES_BYPASS, BYPASS_ENABLED)
}

fn corrected(fuses: u16) -> u16 {
    const THRESHOLD: u16 = 0x0040;
    let (fine, coarse) = (fuses & FINE, fuses & COARSE);
    let (fine, coarse) = if coarse > THRESHOLD {
        (fine.wrapping_sub(0x0080), coarse - 0x0010)
    } else if coarse == THRESHOLD {
        (fine.wrapping_sub(0x0500), coarse)
    } else {
        (fine, coarse)
    };
    fuses & POLY | fine & FINE | coarse
}

fn select<R: Registers, C: Clock>(phy: &Phy<'_, R, C>, number: u16) -> Result<u8, PhyError> {
    if number >= FIRST_PAGED {
        phy.write(PAGE, number)?;
    }
    Ok((number & 31) as u8)
}

fn read<R: Registers, C: Clock>(phy: &Phy<'_, R, C>, number: u16) -> Result<u16, PhyError> {
    phy.read(select(phy, number)?)
}

fn write<R: Registers, C: Clock>(phy: &Phy<'_, R, C>, number: u16, value: u16) -> Result<(), PhyError> {
    phy.write(select(phy, number)?, value)
}

#[cfg(test)]
mod tests {
    use super::corrected;

    #[test]
    fn fuses_are_corrected_by_their_coarse_part() {
        for (fuses, want) in [
            // Below the threshold: as burnt, without the bits that have no meaning.
            (0xA7BF, 0xA7B0),
            // At it: fine less 10.
            (0xA7C0, 0xA2C0),
            // Above: coarse less 10, fine less 1.
            (0xA7F0, 0xA760),
            // Below zero the fine part wraps within its bits.
            (0x0040, 0x0B40),
        ] {
            assert_eq!(corrected(fuses), want, "{fuses:04x}");
        }
    }
}
