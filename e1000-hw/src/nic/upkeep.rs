//! What a link needs besides being looked at: to be forced on fiber, the PHY of 82574.
//!
//! All of it is done in [`Nic::watch`], and only when something has happened since: an idle NIC whose link is steady is
//! left alone.

use core::time::Duration;

use super::Nic;
use crate::chip::{Chip, Media, Quirks};
use crate::fiber::FiberLink;
use crate::phy::{HangCheck, Phy};
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs::{self, Causes};
use crate::watchdog::{Backoff, Finding};

/// How often the PHY of 82574 is asked (HF 5.3).
const PHY_INTERVAL: Duration = Duration::from_secs(2);

/// What is known of the link beyond what STATUS says.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    fiber: FiberLink,
    phy: HangCheck,
    /// When the PHY was last asked.
    asked: Option<Duration>,
    /// Resets for the sake of the PHY.
    resets: Backoff,
}

impl Upkeep {
    /// For a NIC that was just reset.
    pub(super) fn new(chip: &Chip) -> Self {
        let mut upkeep = Self::default();
        upkeep.was_reset(chip);
        upkeep
    }

    /// The device was reset.
    pub(super) fn was_reset(&mut self, chip: &Chip) {
        self.phy = HangCheck::default();
        if chip.media != Media::Copper {
            self.fiber.was_reset();
        }
    }

    /// The link came or went.
    pub(super) fn link_changed(&mut self, chip: &Chip) {
        if chip.media != Media::Copper {
            self.fiber.expect_news();
        }
    }

    /// An interrupt came.
    pub(super) fn interrupted(&mut self, chip: &Chip, causes: Causes) {
        if chip.media != Media::Copper && causes.intersects(Causes::RXSEQ | Causes::LSC) {
            self.fiber.expect_news();
        }
    }
}

/// Causes that the link of this part needs: a partner that begins to negotiate while the link is forced.
pub(super) fn wanted_causes(chip: &Chip) -> Causes {
    if chip.media == Media::Copper {
        Causes::empty()
    } else {
        Causes::RXSEQ
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Whether [`Self::look_after_link`] has something to do even if no frame moves. Not for long.
    pub(super) fn link_needs_help(&self) -> bool {
        self.upkeep.fiber.is_worth_a_look()
            || self.upkeep.phy.is_suspicious()
            || self.device.chip.media != Media::Copper && !self.link.is_up() && self.held_frames() > 0
    }

    /// Does what is due; what the caller of `watch` has to know of it.
    pub(super) fn look_after_link(&mut self, clock: &impl Clock) -> Option<Finding> {
        let (registers, chip) = (&self.device.registers, self.device.chip);
        if chip.media != Media::Copper {
            if registers.read(regs::STATUS) == regs::ALL_ONES {
                self.gone = true;
                return Some(Finding::DeviceGone);
            }
            return self.upkeep.fiber.look(registers, chip).then_some(Finding::Link);
        }
        self.phy_hangs(clock).then(|| {
            self.watchdog.recoveries.phy_hangs += 1;
            self.watchdog.snapshot = Some(self.snapshot(clock.now()));
            self.recover(clock)
        })
    }

    /// Asks the PHY of 82574 whether it hangs, if two seconds have passed; whether it does, and a reset is due.
    ///
    /// A semaphore and one PHY access, 0.1 ms, in two seconds.
    fn phy_hangs(&mut self, clock: &impl Clock) -> bool {
        let (registers, chip) = (&self.device.registers, self.device.chip);
        if !chip.quirks.contains(Quirks::PHY_HANGS) || !self.link.is_up() {
            return false;
        }
        let now = clock.now();
        if self
            .upkeep
            .asked
            .is_some_and(|asked| now.saturating_sub(asked) < PHY_INTERVAL)
        {
            return false;
        }
        self.upkeep.asked = Some(now);
        let hangs = Phy::open(registers, chip, clock).and_then(|phy| self.upkeep.phy.look(&phy));
        if !self.upkeep.phy.is_suspicious() {
            self.upkeep.resets.helped();
        }
        hangs.unwrap_or(false) && self.upkeep.resets.may_reset(now)
    }
}
