//! Negotiation of a copper PHY, with as few changes as possible, and none while the link is up.
//!
//! A link that is up stays up during bring-up: that saves seconds, and keeps management sessions alive. Linux restarts
//! negotiation each time (e1000, `e1000_copper_link_autoneg`).

use core::time::Duration;

use super::{AnAdvertise, Bmcr, Bmsr, GigControl, Phy, PhyError, PhyType, igp, register};
use crate::chip::{Chip, Media, PhyAccess, Quirks};
use crate::modify::modify;
use crate::pause::{Pause, PauseOffer};
use crate::platform::{Clock, Registers};
use crate::regs::{self, Ctrl, Status};
use crate::wait::wait_until;
use crate::warnings::Warnings;

/// Offer of autonegotiation besides all speeds in full duplex.
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
        let pause = AnAdvertise::for_pause(self.pause.offer());
        AnAdvertise::SELECTOR_802_3 | AnAdvertise::FULL_10 | AnAdvertise::FULL_100 | half | pause
    }
}

impl AnAdvertise {
    /// Bits for an offer of pause.
    pub(crate) fn for_pause(offer: PauseOffer) -> Self {
        let mut bits = Self::empty();
        bits.set(Self::PAUSE, offer.symmetric);
        bits.set(Self::ASM_DIR, offer.asymmetric);
        bits
    }

    /// Offer of pause in these bits.
    pub(crate) fn pause_offer(self) -> PauseOffer {
        PauseOffer {
            symmetric: self.contains(Self::PAUSE),
            asymmetric: self.contains(Self::ASM_DIR),
        }
    }
}

/// Makes a copper PHY negotiate with the wanted offer, and makes the MAC report its link.
///
/// If the link is up, no PHY register is written. A reset of the MAC clears CTRL.SLU, without which STATUS never
/// reports a link (8254x manual, 13.4.1), so SLU is set first. If the MAC reports no link yet, the PHY's status is
/// read. A negotiation in progress with the wanted offer is not disturbed. Otherwise registers 4 and 9 are set and
/// negotiation is restarted, without waiting for its end. Does nothing on parts without a PHY, or whose PHY belongs to
/// firmware.
///
/// 82541 and 82547 get their analog settings before that, which takes 65 ms. The clock and downshift settings of old
/// 88E1000 revisions (Linux e1000, `e1000_copper_link_mgp_setup`) are not made; the PHY keeps those of its reset and
/// its straps.
pub fn bring_up(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
    advertise: Advertise,
) -> Warnings {
    if chip.media != Media::Copper {
        return Warnings::empty();
    }
    modify(registers, regs::CTRL, Ctrl::SLU.bits(), Ctrl::SLU.bits());
    if chip.limits.phy == PhyAccess::Firmware {
        return Warnings::empty();
    }
    let mac_has_link = registers.read(regs::STATUS) & Status::LU.bits() != 0;
    if mac_has_link && !chip.quirks.contains(Quirks::NO_SPEED_DETECTION) {
        return Warnings::empty();
    }
    let phy = match Phy::open(registers, chip, clock) {
        Ok(phy) => phy,
        Err(error) => return warning::<()>(&Err(error)),
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
    phy.warnings() | warning(&done)
}

/// Fails if nothing answers at the PHY's address.
fn present<R: Registers, C: Clock>(phy: &Phy<'_, R, C>) -> Result<(), PhyError> {
    if phy.id()?.is_present() {
        Ok(())
    } else {
        Err(PhyError::NoAnswer)
    }
}

/// Returns true if the PHY has a link now. BMSR reports a loss of the link once, even if the link is up again (IEEE
/// 802.3, 22.2.4.2.13), so it may have to be read twice.
fn has_link<R: Registers, C: Clock>(phy: &Phy<'_, R, C>) -> Result<bool, PhyError> {
    phy.read(register::BMSR)?;
    Ok(Bmsr::from_bits_retain(phy.read(register::BMSR)?).contains(Bmsr::LINK))
}

/// Longest wait until a MAC reports the link of its PHY. Metal does so at once.
const FOLLOW_LIMIT: Duration = Duration::from_millis(100);

/// Waits until the MAC reports the link of its PHY; returns true if it does.
fn mac_follows(registers: &impl Registers, clock: &impl Clock) -> bool {
    let shows = || registers.read(regs::STATUS) & Status::LU.bits() != 0;
    let interval = Duration::from_millis(1);
    wait_until(clock, "a link in STATUS", FOLLOW_LIMIT, interval, shows).is_ok()
}

/// Returns whether the PHY is an 88E1000 or 88E1011 of 8254x, which Linux resets before each negotiation (e1000,
/// `e1000_copper_link_mgp_setup`).
///
/// VirtualBox has no link for 5 s after a reset of the MAC, whatever its PHY says (`e1kR3HardReset`); after one of the
/// PHY it is there in 2 s (`e1kPhyLinkResetCallback`).
fn may_be_reset<R: Registers, C: Clock>(phy: &Phy<'_, R, C>, chip: &Chip) -> Result<bool, PhyError> {
    Ok(!chip.mac().is_pcie() && phy.id()?.phy_type().is_some_and(PhyType::is_88e1000))
}

/// Resets the PHY, which then negotiates again.
fn reset<R: Registers, C: Clock>(phy: &Phy<'_, R, C>) -> Result<(), PhyError> {
    let control = phy.read(register::BMCR)?;
    phy.write(register::BMCR, control | Bmcr::RESET.bits())
}

/// Negotiates again if the offer has changed, even if the link is up and goes down by that.
pub(crate) fn offer(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
    advertise: Advertise,
) -> Warnings {
    if chip.media != Media::Copper || chip.limits.phy == PhyAccess::Firmware {
        return Warnings::empty();
    }
    let phy = Phy::open(registers, chip, clock);
    warning(&phy.and_then(|phy| {
        present(&phy)?;
        negotiate(&phy, chip, advertise)
    }))
}

/// Warning for the result of accesses to the PHY.
pub(crate) fn warning<T>(done: &Result<T, PhyError>) -> Warnings {
    match done {
        Ok(_) => Warnings::empty(),
        Err(PhyError::NotOwned) => Warnings::SEMAPHORE_BUSY,
        Err(_) => Warnings::PHY_SILENT,
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

/// 82543: forces in CTRL the speed and duplex that the PHY negotiated, once its link is up (Linux e1000,
/// `e1000_config_mac_to_phy`).
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

/// Detection of a PHY that hangs, on parts with [`Quirks::PHY_HANGS`], by a check every two seconds.
///
/// If the receive error counter and the idle error counter both have their maximum in two checks in a row, only a reset
/// of the NIC helps (Linux e1000e, `e1000_check_phy_82574`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HangCheck {
    strikes: u8,
}

impl HangCheck {
    /// Checks the counters; returns true if the PHY hangs. One PHY access, or two if the first counter has its maximum.
    ///
    /// # Errors
    ///
    /// When the PHY does not answer; such a check does not count.
    pub fn check<R: Registers, C: Clock>(&mut self, phy: &Phy<'_, R, C>) -> Result<bool, PhyError> {
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

    /// Returns true if the last check found maximums, so that another one is due.
    pub fn is_suspicious(self) -> bool {
        self.strikes > 0
    }
}
