//! Link maintenance: forcing a link on fiber, and detecting a hang of the PHY of 82574.
//!
//! All of it is done in [`Recovery::watch`](super::Recovery::watch), and only if something has happened since the last
//! call. An idle NIC with a steady link is not accessed.

use core::time::Duration;

use super::Nic;
use crate::chip::{Chip, Media, Quirks};
use crate::fiber::FiberLink;
use crate::phy::{HangCheck, Phy};
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs::{self, Causes};
use crate::watchdog::{Backoff, Outcome};

/// Time between two checks of the PHY of 82574 (Linux e1000e, `e1000_watchdog_task`, which runs every 2 s).
const PHY_INTERVAL: Duration = Duration::from_secs(2);

/// State of link maintenance.
#[derive(Debug, Default)]
pub(super) struct Maintenance {
    fiber: FiberLink,
    phy: HangCheck,
    /// Time at which the PHY was last checked.
    asked: Option<Duration>,
    /// Resets because of the PHY.
    resets: Backoff,
}

impl Maintenance {
    /// State of a NIC that was just reset.
    pub(super) fn new(chip: &Chip) -> Self {
        let mut maintenance = Self::default();
        maintenance.was_reset(chip);
        maintenance
    }

    /// Records a reset of the device.
    pub(super) fn was_reset(&mut self, chip: &Chip) {
        self.phy = HangCheck::default();
        if chip.media != Media::Copper {
            self.fiber.was_reset();
        }
    }

    /// Records that the link went up or down.
    pub(super) fn link_changed(&mut self, chip: &Chip) {
        if chip.media != Media::Copper {
            self.fiber.restart_checks();
        }
    }

    /// Records an interrupt.
    pub(super) fn interrupted(&mut self, chip: &Chip, causes: Causes) {
        if chip.media != Media::Copper && causes.intersects(Causes::RXSEQ | Causes::LSC) {
            self.fiber.restart_checks();
        }
    }
}

/// Causes that link maintenance of this part needs: a partner begins to negotiate while the link is forced.
pub(super) fn wanted_causes(chip: &Chip) -> Causes {
    if chip.media == Media::Copper {
        Causes::empty()
    } else {
        Causes::RXSEQ
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Returns true if [`Self::maintain_link`] has work to do even on an idle NIC. This lasts for a short time only.
    pub(super) fn link_needs_help(&self) -> bool {
        self.maintenance.fiber.needs_check()
            || self.maintenance.phy.is_suspicious()
            || self.device.chip.media != Media::Copper && !self.link.is_up() && self.tx.pending() > 0
    }

    /// Does the maintenance that is due. Returns an outcome if the caller of `watch` has to act on one.
    pub(super) fn maintain_link(&mut self, clock: &impl Clock) -> Option<Outcome> {
        let (registers, chip) = (&self.device.registers, self.device.chip);
        if chip.media != Media::Copper {
            if registers.read(regs::STATUS) == regs::ALL_ONES {
                self.gone = true;
                return Some(Outcome::DeviceGone);
            }
            return self
                .maintenance
                .fiber
                .check(registers, chip)
                .then_some(Outcome::LinkHelped);
        }
        self.phy_hangs(clock).then(|| {
            self.watchdog.recoveries.phy_hangs += 1;
            self.watchdog.snapshot = Some(self.snapshot(clock.now()));
            self.recover(clock)
        })
    }

    /// Checks every two seconds whether the PHY of 82574 hangs. Returns true if it does and a reset is due.
    ///
    /// A check takes a semaphore and a PHY access, 0.1 ms.
    fn phy_hangs(&mut self, clock: &impl Clock) -> bool {
        let (registers, chip) = (&self.device.registers, self.device.chip);
        if !chip.quirks.contains(Quirks::PHY_HANGS) || !self.link.is_up() {
            return false;
        }
        let now = clock.now();
        if self
            .maintenance
            .asked
            .is_some_and(|asked| now.saturating_sub(asked) < PHY_INTERVAL)
        {
            return false;
        }
        self.maintenance.asked = Some(now);
        let hangs = Phy::open(registers, chip, clock).and_then(|phy| self.maintenance.phy.check(&phy));
        if !self.maintenance.phy.is_suspicious() {
            self.maintenance.resets.helped();
        }
        hangs.unwrap_or(false) && self.maintenance.resets.may_reset(now)
    }
}
