//! Warnings: conditions met in bring-up, a reset or a change of the link that are worth a report, but no reason to
//! stop.

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// Conditions worth a line in a log.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Warnings: u32 {
        /// Requests as a bus master did not end within 80 ms (Linux e1000e, `e1000e_disable_pcie_master`).
        const BUS_MASTER_BUSY = 1 << 0;
        /// Firmware or the other port did not give up a semaphore in time.
        const SEMAPHORE_BUSY = 1 << 1;
        /// Words 0 to 0x3F of the NVM do not add up to 0xBABA. Blank NVMs of emulators do not either.
        const NVM_CHECKSUM = 1 << 2;
        /// The NVM did not answer; the MAC address came from RAL and RAH.
        const NVM_SILENT = 1 << 3;
        /// The PHY did not answer; it was left as it is.
        const PHY_SILENT = 1 << 4;
        /// 8257x did not report that the NVM was loaded after the reset (EECD.AUTO_RD). VirtualBox's 82583V never does
        /// (`e1kR3HardReset`); Linux e1000e goes on, too (`e1000e_reset`).
        const NVM_NOT_LOADED = 1 << 8;
        /// 82573: the NVM has deep smart power down on, with which the transmitter hangs (Linux e1000e,
        /// `e1000_eeprom_checks`).
        const DEEP_SMART_POWER_DOWN = 1 << 9;
    }
}

impl Warnings {
    /// Sentence about one warning, for a log.
    fn sentence(self) -> &'static str {
        match self {
            Self::BUS_MASTER_BUSY => "bus mastering did not end before the reset",
            Self::SEMAPHORE_BUSY => "firmware or the other port did not give up the semaphore",
            Self::NVM_CHECKSUM => "the checksum of the NVM is wrong",
            Self::NVM_SILENT => "the NVM did not answer",
            Self::PHY_SILENT => "the PHY did not answer",
            Self::NVM_NOT_LOADED => "the NVM was not reported as loaded",
            Self::DEEP_SMART_POWER_DOWN => {
                "the NVM has deep smart power down on, with which the transmitter hangs"
            }
            _ => "an unknown warning",
        }
    }
}

impl fmt::Display for Warnings {
    /// Writes all of them, separated by semicolons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, warning) in self.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { "; " })?;
            f.write_str(warning.sentence())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_warning_has_a_sentence() {
        for warning in Warnings::all().iter() {
            assert_ne!(warning.sentence(), "an unknown warning", "{warning:?}");
        }
        let two = Warnings::NVM_SILENT | Warnings::PHY_SILENT;
        assert_eq!(two.to_string(), "the NVM did not answer; the PHY did not answer");
    }
}
