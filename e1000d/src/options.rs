//! Options of the command line.

use e1000_hw::flow_control::Pause;
use e1000_hw::moderation::{DEFAULT_POLICY, Policy};

use crate::redox::irq::Kind;

/// Options of the command line.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// First kind of interrupt to try; those that follow are fallbacks.
    pub interrupts: Kind,
    /// Pause frames that are wanted of those that the partner offers.
    pub pause: Pause,
    /// Interval between two interrupts of the NIC.
    pub moderation: Policy,
    /// Drive parts with a known defect, and with memory that they may not reach.
    pub force: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interrupts: Kind::MsiX,
            pause: Pause::RX,
            moderation: DEFAULT_POLICY,
            force: false,
        }
    }
}
