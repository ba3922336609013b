//! What is done to a copper PHY: as little as possible, and nothing while the link is up (HF 5.2).

use core::time::Duration;

use super::{AnAdvertise, Bmcr, Bmsr, GigControl, Phy, PhyError, PhyId, igp, register};
use crate::chip::{Chip, Media, PhyAccess, Quirks};
use crate::flow_control::Pause;
use crate::link::change;
use crate::notes::Notes;
use crate::platform::{Clock, Registers};
use crate::regs::{self, Ctrl, Status};
use crate::wait::wait_until;

/// What autonegotiation offers besides all speeds in full duplex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advertise {
    /// Pause frames.
    pub pause: Pause,
}

impl Advertise {
    /// The value of register 4.
    fn base(self, chip: &Chip) -> AnAdvertise {
        let half = if chip.quirks.contains(Quirks::HALF_DUPLEX_LOCKS_FIFO) {
            AnAdvertise::empty()
        } else {
            AnAdvertise::HALF_10 | AnAdvertise::HALF_100
        };
        let pause = self.pause.offer().phy();
        AnAdvertise::SELECTOR_802_3 | AnAdvertise::FULL_10 | AnAdvertise::FULL_100 | half | pause
    }
}

/// Makes a copper PHY negotiate what is wanted, and has the MAC show its link.
///
/// A link that is up stays up: nothing is written. A reset of the MAC clears CTRL.SLU, without which STATUS tells of no link
/// whatever the PHY has (8254x manual, 13.4.1), so it is set first; and a MAC that does not show the link yet is not
/// believed before the PHY was asked. A negotiation that already offers what is wanted is left to
/// end. Otherwise registers 4 and 9 are set and negotiation is restarted. Nobody waits for it. Parts without a PHY,
/// and those whose PHY belongs to firmware, are left alone.
///
/// 82541 and 82547 get their analog settings before, 65 ms. Not done: the clock and downshift settings of old 88E1000
/// revisions; the PHY keeps what its reset and its straps give.
pub fn bring_up(registers: &impl Registers, chip: &Chip, clock: &impl Clock, advertise: Advertise) -> Notes {
    if chip.media != Media::Copper {
        return Notes::empty();
    }
    change(registers, regs::CTRL, Ctrl::SLU.bits(), Ctrl::SLU.bits());
    if chip.limits.phy == PhyAccess::Firmware {
        return Notes::empty();
    }
    let mac_has_link = registers.read(regs::STATUS) & Status::LU.bits() != 0;
    if mac_has_link && !chip.quirks.contains(Quirks::NO_SPEED_DETECTION) {
        return Notes::empty();
    }
    let phy = match Phy::open(registers, chip, clock) {
        Ok(phy) => phy,
        Err(error) => return note::<()>(&Err(error)),
    };
    let done = present(&phy)
        .and_then(|()| has_link(&phy))
        .and_then(|phy_has_link| {
            if !mac_has_link && !phy_has_link {
                negotiate(&phy, chip, advertise)
            } else if !mac_has_link && may_be_reset(&phy, chip)? && !mac_follows(registers, clock) {
                reset(&phy)?;
                negotiate(&phy, chip, advertise)
            } else if chip.quirks.contains(Quirks::NO_SPEED_DETECTION) {
                copy_speed(registers, &phy)
            } else {
                Ok(())
            }
        });
    phy.notes() | note(&done)
}

/// Fails if nothing answers at the PHY's address.
fn present<R: Registers, C: Clock>(phy: &Phy<'_, R, C>) -> Result<(), PhyError> {
    if phy.id()?.is_present() {
        Ok(())
    } else {
        Err(PhyError::NoAnswer)
    }
}

/// Whether the PHY has a link now. BMSR tells of a loss once before it tells of a link that has come back (IEEE 802.3,
/// 22.2.4.2.13).
fn has_link<R: Registers, C: Clock>(phy: &Phy<'_, R, C>) -> Result<bool, PhyError> {
    phy.read(register::BMSR)?;
    Ok(Bmsr::from_bits_retain(phy.read(register::BMSR)?).contains(Bmsr::LINK))
}

/// Longest wait for a MAC to show a link that its PHY has. Metal shows it at once.
const FOLLOW_LIMIT: Duration = Duration::from_millis(100);

/// Whether the MAC shows the link that its PHY has.
fn mac_follows(registers: &impl Registers, clock: &impl Clock) -> bool {
    let shows = || registers.read(regs::STATUS) & Status::LU.bits() != 0;
    let interval = Duration::from_millis(1);
    wait_until(clock, "a link in STATUS", FOLLOW_LIMIT, interval, shows).is_ok()
}

/// Whether the PHY is an 88E1000 or 88E1011 of 8254x, which Linux resets before each negotiation (e1000,
/// `e1000_copper_link_mgp_setup`).
///
/// VirtualBox has no link for 5 s after a reset of the MAC, whatever its PHY says (`e1kR3HardReset`); after one of the PHY it
/// is there in 2 s (`e1kPhyLinkResetCallback`).
fn may_be_reset<R: Registers, C: Clock>(phy: &Phy<'_, R, C>, chip: &Chip) -> Result<bool, PhyError> {
    Ok(!chip.mac().is_pcie() && phy.id()?.is_88e1000())
}

/// Resets the PHY. It negotiates anew then.
fn reset<R: Registers, C: Clock>(phy: &Phy<'_, R, C>) -> Result<(), PhyError> {
    let control = phy.read(register::BMCR)?;
    phy.write(register::BMCR, control | Bmcr::RESET.bits())
}

/// Negotiates anew if something else is offered now, even if that takes a link down that is up.
pub(crate) fn offer(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
    advertise: Advertise,
) -> Notes {
    if chip.media != Media::Copper || chip.limits.phy == PhyAccess::Firmware {
        return Notes::empty();
    }
    let phy = Phy::open(registers, chip, clock);
    note(&phy.and_then(|phy| {
        present(&phy)?;
        negotiate(&phy, chip, advertise)
    }))
}

/// What is worth telling of how accesses to the PHY ended.
pub(crate) fn note<T>(done: &Result<T, PhyError>) -> Notes {
    match done {
        Ok(_) => Notes::empty(),
        Err(PhyError::NotOwned) => Notes::SEMAPHORE_BUSY,
        Err(_) => Notes::PHY_SILENT,
    }
}

fn negotiate<R: Registers, C: Clock>(
    phy: &Phy<'_, R, C>,
    chip: &Chip,
    advertise: Advertise,
) -> Result<(), PhyError> {
    if chip.quirks.contains(Quirks::PHY_NEEDS_SETTINGS) {
        igp::set_up(phy, chip)?;
    }
    let control = Bmcr::from_bits_retain(phy.read(register::BMCR)?);
    let base = phy.read(register::AN_ADVERTISE)?;
    let gig = phy.read(register::GIG_CONTROL)?;
    let wanted_base = advertise.base(chip).bits();
    // Master or slave stays as it is.
    let wanted_gig = gig & !GigControl::HALF_1000.bits() | GigControl::FULL_1000.bits();
    let negotiates =
        control.contains(Bmcr::AUTONEGOTIATE) && !control.intersects(Bmcr::POWER_DOWN | Bmcr::ISOLATE);
    if negotiates && base == wanted_base && gig == wanted_gig {
        return Ok(());
    }
    if may_be_reset(phy, chip)? {
        reset(phy)?;
    }
    phy.write(register::AN_ADVERTISE, wanted_base)?;
    phy.write(register::GIG_CONTROL, wanted_gig)?;
    phy.write(register::BMCR, (Bmcr::AUTONEGOTIATE | Bmcr::RESTART).bits())
}

/// 82543: forces in CTRL the speed and duplex that the PHY negotiated, once its link is up (HF 5.2).
///
/// # Errors
///
/// When the PHY does not answer.
pub fn copy_speed<R: Registers, C: Clock>(registers: &R, phy: &Phy<'_, R, C>) -> Result<(), PhyError> {
    const RESOLVED: u16 = 1 << 11;
    const FULL_DUPLEX: u16 = 1 << 13;
    present(phy)?;
    let status = phy.read(register::M88_STATUS)?;
    if status & RESOLVED == 0 {
        return Ok(());
    }
    // Bits 15:14 have the coding of CTRL.SPEED.
    let speed = u32::from(status >> 14) << 8;
    let duplex = if status & FULL_DUPLEX != 0 {
        Ctrl::FD.bits()
    } else {
        0
    };
    let ctrl = registers.read(regs::CTRL) & !(Ctrl::SPEED | Ctrl::FD | Ctrl::ASDE).bits();
    let forced = (Ctrl::FRCSPD | Ctrl::FRCDPX | Ctrl::SLU).bits();
    registers.write(regs::CTRL, ctrl | forced | speed & Ctrl::SPEED.bits() | duplex);
    Ok(())
}

/// Whether the PHY of an 82574 hangs: asked every two seconds or so by a watchdog, on parts with
/// [`Quirks::PHY_HANGS`].
///
/// Two looks in a row at a receive error counter that is stuck at its end, with the idle error counter at its end
/// too, mean that only a reset of the adapter helps (HF 5.3; Linux e1000e, `e1000_check_phy_82574`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HangCheck {
    strikes: u8,
}

impl HangCheck {
    /// Looks once; whether the PHY hangs. One PHY access, two when in doubt.
    ///
    /// # Errors
    ///
    /// When the PHY does not answer; that is no strike.
    pub fn look<R: Registers, C: Clock>(&mut self, phy: &Phy<'_, R, C>) -> Result<bool, PhyError> {
        const IDLE_ERRORS: u16 = 0xFF;
        let suspect = phy.read(register::RECEIVE_ERRORS)? == u16::MAX
            && phy.read(register::GIG_STATUS)? & IDLE_ERRORS == IDLE_ERRORS;
        self.strikes = if suspect {
            self.strikes.saturating_add(1)
        } else {
            0
        };
        Ok(self.strikes >= 2)
    }

    /// Whether the last look was suspicious, so that another one is due.
    pub fn is_suspicious(self) -> bool {
        self.strikes > 0
    }
}

impl PhyId {
    /// Whether something answered: an MDIO line that nobody drives reads as all ones or all zeroes.
    pub fn is_present(self) -> bool {
        self.0 != 0 && self.0 != u32::MAX
    }

    /// Whether it is one of those of 82540, and of 82543 to 82546: 88E1000E, 88E1000I, 88E1011.
    fn is_88e1000(self) -> bool {
        matches!(self.0 & !0xF, 0x0141_0C50 | 0x0141_0C30 | 0x0141_0C20)
    }
}
