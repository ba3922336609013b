//! Fiber and serdes: a link that is forced where the partner does not negotiate, and negotiated again once it does.
//!
//! Sources: Linux e1000 (`e1000_check_for_link`, `e1000_check_for_serdes_link_generic`) and e1000e
//! (`e1000_check_for_fiber_link`, `e1000_check_for_serdes_link_82571`). HF 5.3.

use crate::chip::{Chip, Media, Quirks};
use crate::platform::Registers;
use crate::regs::{self, Ctrl, Status};

/// Looks at a link that does not come up until nobody looks any more: 10 s at one a second. A change of the link, or
/// frames that wait for it, start it again.
const PATIENCE: u8 = 10;

/// How far the link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FiberLink {
    /// Negotiation had its time, and failed.
    failed: bool,
    /// The link is forced.
    forced: bool,
    /// How often it will be looked at.
    patience: u8,
}

impl FiberLink {
    /// After bring-up, a reset, or a change of the link.
    pub(crate) fn expect_news(&mut self) {
        self.patience = PATIENCE;
    }

    /// After a reset: the MAC negotiates.
    pub(crate) fn was_reset(&mut self) {
        *self = Self {
            patience: PATIENCE,
            ..Self::default()
        };
    }

    /// Whether looking may still change something.
    pub(crate) fn is_worth_a_look(&self) -> bool {
        self.patience > 0
    }

    /// Looks once, every half second to second; whether the link was forced or given back to negotiation. Three register
    /// reads, two writes and a read more when something changes.
    pub(crate) fn look(&mut self, registers: &impl Registers, chip: &Chip) -> bool {
        self.patience = self.patience.saturating_sub(1);
        let ctrl = registers.read(regs::CTRL);
        let up = registers.read(regs::STATUS) & Status::LU.bits() != 0;
        let received = registers.read(regs::RXCW);
        let partner_negotiates = received & regs::RXCW_C != 0;
        let signal = has_signal(chip, ctrl, received);
        if self.forced {
            if signal && !partner_negotiates {
                return false;
            }
            // It negotiates now, or is gone.
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
            // Until the next look.
            self.failed = true;
            return false;
        }
        let word = registers.read(regs::TXCW);
        registers.write(regs::TXCW, word & !regs::TXCW_ANE);
        registers.write(regs::CTRL, ctrl | (Ctrl::SLU | Ctrl::FD).bits());
        *self = Self {
            forced: true,
            failed: false,
            patience: PATIENCE,
        };
        true
    }
}

/// Whether something arrives. Optics tell by a pin, which 82543 and 82544 have inverted; of a serdes only being in step
/// tells.
fn has_signal(chip: &Chip, ctrl: u32, received: u32) -> bool {
    match chip.media {
        Media::Serdes => received & regs::RXCW_SYNCH != 0 && received & regs::RXCW_IV == 0,
        Media::Fiber | Media::Copper => {
            let inverted = chip.quirks.contains(Quirks::SIGNAL_INVERTED);
            (ctrl & Ctrl::SIGNAL.bits() != 0) != inverted
        }
    }
}
