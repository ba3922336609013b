//! Fiber and serdes: forcing the link while the partner does not negotiate, and negotiating again once it does.
//!
//! Sources: 8254x manual, 8.6; Linux e1000 (`e1000_check_for_link`, `e1000_check_for_serdes_link_generic`) and e1000e
//! (`e1000e_check_for_fiber_link`, `e1000_check_for_serdes_link_82571`).

use crate::chip::{Chip, Media, Quirks};
use crate::platform::Registers;
use crate::regs::{self, Ctrl, Status};

/// Number of checks of a link that does not come up: 10 s at one a second. A change of the link, or frames that wait
/// for it, start them again.
const CHECKS: u8 = 10;

/// State of the negotiation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FiberLink {
    /// Negotiation has not succeeded in time.
    failed: bool,
    /// The link is forced.
    forced: bool,
    /// Number of checks that are left.
    checks: u8,
}

impl FiberLink {
    /// Starts the checks again, after a change of the link.
    pub(crate) fn restart_checks(&mut self) {
        self.checks = CHECKS;
    }

    /// Records a reset, after which the MAC negotiates.
    pub(crate) fn was_reset(&mut self) {
        *self = Self {
            checks: CHECKS,
            ..Self::default()
        };
    }

    /// Returns true if a check may still change something.
    pub(crate) fn needs_check(&self) -> bool {
        self.checks > 0
    }

    /// Checks the link; to be called every half second to second. Returns true if the link was forced or given back to
    /// negotiation. Three register reads; two writes and another read when something changes.
    pub(crate) fn check(&mut self, registers: &impl Registers, chip: &Chip) -> bool {
        self.checks = self.checks.saturating_sub(1);
        let ctrl = registers.read(regs::CTRL);
        let up = registers.read(regs::STATUS) & Status::LU.bits() != 0;
        let received = registers.read(regs::RXCW);
        let partner_negotiates = received & regs::RXCW_C != 0;
        let signal = has_signal(chip, ctrl, received);
        if self.forced {
            if signal && !partner_negotiates {
                return false;
            }
            // The partner negotiates now, or is gone.
            let word = registers.read(regs::TXCW);
            registers.write(regs::TXCW, word | regs::TXCW_ANE);
            registers.write(regs::CTRL, ctrl & !Ctrl::SLU.bits());
            self.was_reset();
            return true;
        }
        if up {
            *self = Self::default();
            return false;
        }
        if !signal || partner_negotiates {
            self.failed = false;
            return false;
        }
        if !self.failed {
            // Negotiation has time until the next check.
            self.failed = true;
            return false;
        }
        let word = registers.read(regs::TXCW);
        registers.write(regs::TXCW, word & !regs::TXCW_ANE);
        registers.write(regs::CTRL, ctrl | (Ctrl::SLU | Ctrl::FD).bits());
        *self = Self {
            forced: true,
            failed: false,
            checks: CHECKS,
        };
        true
    }
}

/// Returns true if there is a signal. Optics report it on a pin, which is inverted on 82543 and 82544; a serdes has
/// only its synchronization.
fn has_signal(chip: &Chip, ctrl: u32, received: u32) -> bool {
    match chip.media {
        Media::Serdes => received & regs::RXCW_SYNCH != 0 && received & regs::RXCW_IV == 0,
        Media::Fiber | Media::Copper => {
            let inverted = chip.quirks.contains(Quirks::SIGNAL_INVERTED);
            (ctrl & Ctrl::SIGNAL.bits() != 0) != inverted
        }
    }
}
