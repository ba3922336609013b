//! The PHY: its registers (IEEE 802.3, clause 22), its type, and access to it.

mod bitbang;
mod copper;
mod id;
mod igp;

use core::fmt;
use core::time::Duration;

use bitflags::bitflags;

pub use copper::{Advertise, HangCheck, bring_up, copy_speed};
pub(crate) use copper::{offer, warning};
pub use id::{PhyId, PhyType};

use crate::chip::{Chip, Media, PhyAccess};
use crate::firmware::{Purpose, SemaphoreGuard};
use crate::platform::{Clock, Registers};
use crate::regs;
use crate::wait::{TimedOut, wait_until};
use crate::warnings::Warnings;

/// Address of the internal PHY of 8254x and 8257x on its MDIO bus.
const PHY_ADDRESS: u32 = 1;
/// Longest wait for one access: every 50 us, Linux polls 64 times on 8254x and 640 times on 8257x.
const MDIC_LIMIT: Duration = Duration::from_millis(10);
const MDIC_INTERVAL: Duration = Duration::from_micros(50);

/// Registers of a PHY.
pub mod register {
    /// Control: [`Bmcr`](super::Bmcr).
    pub const BMCR: u8 = 0;
    /// Status: [`Bmsr`](super::Bmsr).
    pub const BMSR: u8 = 1;
    /// First half of the identity.
    pub const ID_HIGH: u8 = 2;
    /// Second half of the identity; the low four bits are a revision.
    pub const ID_LOW: u8 = 3;
    /// Offer at 10 and 100 Mbit/s: [`AnAdvertise`](super::AnAdvertise).
    pub const AN_ADVERTISE: u8 = 4;
    /// Offer of the partner; as [`AN_ADVERTISE`].
    pub const AN_PARTNER: u8 = 5;
    /// Offer at 1000 Mbit/s: [`GigControl`](super::GigControl).
    pub const GIG_CONTROL: u8 = 9;
    /// State of the link at 1000 Mbit/s; bits 7:0 count idle errors.
    pub const GIG_STATUS: u8 = 10;
    /// 88E1000 and later: speed in bits 15:14, full duplex 13, both resolved 11.
    pub const M88_STATUS: u8 = 17;
    /// 82577 and later: the page at the pages' address, in bits 15:5.
    pub const PAGE_SELECT: u8 = 31;
    /// 82574: receive errors.
    pub const RECEIVE_ERRORS: u8 = 21;
}

bitflags! {
    /// Bits of register 0.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Bmcr: u16 {
        /// Restart autonegotiation; clears itself.
        const RESTART = 1 << 9;
        /// Cut off from the MAC.
        const ISOLATE = 1 << 10;
        /// Powered down.
        const POWER_DOWN = 1 << 11;
        /// Autonegotiation is on.
        const AUTONEGOTIATE = 1 << 12;
        /// Reset; clears itself.
        const RESET = 1 << 15;
    }

    /// Bits of register 1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Bmsr: u16 {
        /// There is a link, and has been since the register was last read.
        const LINK = 1 << 2;
        /// Autonegotiation has ended: register 5 holds what the partner offers.
        const NEGOTIATED = 1 << 5;
    }

    /// Bits of registers 4 and 5.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AnAdvertise: u16 {
        /// IEEE 802.3, the only protocol there is.
        const SELECTOR_802_3 = 1;
        /// 10 Mbit/s, half duplex.
        const HALF_10 = 1 << 5;
        /// 10 Mbit/s, full duplex.
        const FULL_10 = 1 << 6;
        /// 100 Mbit/s, half duplex.
        const HALF_100 = 1 << 7;
        /// 100 Mbit/s, full duplex.
        const FULL_100 = 1 << 8;
        /// Pauses when asked, and asks.
        const PAUSE = 1 << 10;
        /// Pause in one direction only is possible.
        const ASM_DIR = 1 << 11;
    }

    /// Bits of register 9.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct GigControl: u16 {
        /// 1000 Mbit/s, half duplex. Never offered.
        const HALF_1000 = 1 << 8;
        /// 1000 Mbit/s, full duplex.
        const FULL_1000 = 1 << 9;
    }
}

/// Error of an access to the PHY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhyError {
    /// The part has fiber or serdes: there is no PHY.
    NoPhy,
    /// Firmware or the other port did not release the PHY.
    NotOwned,
    /// An access did not end.
    Busy(TimedOut),
    /// No answer came from the PHY's address, or it has no such register.
    NoAnswer,
}

impl fmt::Display for PhyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPhy => f.write_str("the part has no PHY"),
            Self::NotOwned => f.write_str("firmware or the other port did not give up the PHY"),
            Self::Busy(error) => write!(f, "access to the PHY: {error}"),
            Self::NoAnswer => f.write_str("the PHY did not answer"),
        }
    }
}

impl core::error::Error for PhyError {}

/// Access to the PHY, which keeps out firmware and the other port until it is dropped.
pub struct Phy<'a, R: Registers, C: Clock> {
    registers: &'a R,
    clock: &'a C,
    access: PhyAccess,
    guard: SemaphoreGuard<'a, R>,
}

impl<'a, R: Registers, C: Clock> Phy<'a, R, C> {
    /// Acquires the PHY.
    ///
    /// # Errors
    ///
    /// [`PhyError::NoPhy`], or [`PhyError::NotOwned`] after the bound of [`SemaphoreGuard::acquire`].
    pub fn open(registers: &'a R, chip: &Chip, clock: &'a C) -> Result<Self, PhyError> {
        if chip.media != Media::Copper {
            return Err(PhyError::NoPhy);
        }
        let guard = SemaphoreGuard::acquire(registers, chip, clock, Purpose::Phy);
        if !guard.is_obtained() {
            return Err(PhyError::NotOwned);
        }
        Ok(Self {
            registers,
            clock,
            access: chip.limits.phy,
            guard,
        })
    }

    /// Warnings about how the PHY was acquired.
    pub fn warnings(&self) -> Warnings {
        self.guard.warnings()
    }

    /// Reads the PHY's identity.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn id(&self) -> Result<PhyId, PhyError> {
        let high = self.read(register::ID_HIGH)?;
        let low = self.read(register::ID_LOW)?;
        Ok(PhyId(u32::from(high) << 16 | u32::from(low)))
    }

    /// Reads register `number`, 0 to 31.
    ///
    /// # Errors
    ///
    /// [`PhyError::Busy`] after 10 ms, or [`PhyError::NoAnswer`]. 82543 cannot tell: without an answer it reads all
    /// ones or all zeroes.
    pub fn read(&self, number: u8) -> Result<u16, PhyError> {
        match self.access {
            PhyAccess::BitBang => Ok(bitbang::read(self.registers, self.clock, number & 31)),
            PhyAccess::Mdic | PhyAccess::Firmware => self.mdic(number, regs::MDIC_OP_READ),
        }
    }

    /// Writes register `number`, 0 to 31.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn write(&self, number: u8, value: u16) -> Result<(), PhyError> {
        match self.access {
            PhyAccess::BitBang => bitbang::write(self.registers, self.clock, number & 31, value),
            PhyAccess::Mdic | PhyAccess::Firmware => {
                self.mdic(number, regs::MDIC_OP_WRITE | u32::from(value))?;
            }
        }
        Ok(())
    }

    /// Reads register `number` of `page`, 768 or above, of a PHY of 82577 and later (Linux e1000e,
    /// `__e1000_read_phy_reg_hv`).
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_page(&self, page: u16, number: u8) -> Result<u16, PhyError> {
        self.select_page(page)?;
        self.mdic_at(PHY_ADDRESS, number, regs::MDIC_OP_READ)
    }

    /// Writes register `number` of `page`, 768 or above, of a PHY of 82577 and later.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn write_page(&self, page: u16, number: u8, value: u16) -> Result<(), PhyError> {
        self.select_page(page)?;
        self.mdic_at(PHY_ADDRESS, number, regs::MDIC_OP_WRITE | u32::from(value))?;
        Ok(())
    }

    /// Selects a page of 768 or above; these are at another address than the others.
    fn select_page(&self, page: u16) -> Result<(), PhyError> {
        let select = regs::MDIC_OP_WRITE | u32::from(page << 5);
        self.mdic_at(PHY_ADDRESS, register::PAGE_SELECT, select)?;
        Ok(())
    }

    fn mdic(&self, number: u8, command: u32) -> Result<u16, PhyError> {
        self.mdic_at(self.address(), number, command)
    }

    /// One access (8254x manual, 13.4.7). The command word has neither READY nor INT_EN: VirtualBox ignores a command
    /// with the one and never ends one with the other (`e1kRegWriteMDIC`).
    fn mdic_at(&self, address: u32, number: u8, command: u32) -> Result<u16, PhyError> {
        let target = u32::from(number & 31) << 16 | address << 21;
        self.registers.write(regs::MDIC, command | target);
        let mut answer = 0;
        wait_until(
            self.clock,
            "end of MDIC access",
            MDIC_LIMIT,
            MDIC_INTERVAL,
            || {
                answer = self.registers.read(regs::MDIC);
                answer & regs::MDIC_READY != 0
            },
        )
        .map_err(PhyError::Busy)?;
        // All ones of a device that is gone have the error bit too.
        if answer & regs::MDIC_ERROR == 0 {
            Ok(answer as u16)
        } else {
            Err(PhyError::NoAnswer)
        }
    }

    /// Address on the MDIO bus: 2 for 82579 and later (Linux e1000e, `e1000_get_phy_addr_for_hv_page`).
    fn address(&self) -> u32 {
        match self.access {
            PhyAccess::Firmware => 2,
            PhyAccess::BitBang | PhyAccess::Mdic => PHY_ADDRESS,
        }
    }
}
