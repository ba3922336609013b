//! The self-test: its parts and their results. `ethtool -t` does the same on Linux (`e1000_diag_test`).
//!
//! | part | tested |
//! |---|---|
//! | link | STATUS.LU, before the other tests disturb it; a negotiation gets 5 s |
//! | registers | bits that have to keep the value written (`registers`) |
//! | nvm | the checksum of words 0 to 0x3F |
//! | loopback | frames of three lengths that come back unchanged without leaving the NIC (`loopback`) |
//! | interrupt | one that is raised by software (ICS) arrives, as the owner reports |
//!
//! [`crate::nic::Diagnostics::start_self_test`] runs them.

pub(crate) mod loopback;
pub(crate) mod registers;

use core::fmt;
use core::time::Duration;

use crate::phy::PhyError;
use crate::wait::TimedOut;

/// Result of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The part works.
    Passed,
    /// The part was not tested, for this reason.
    Skipped(&'static str),
    /// The part does not work.
    Failed(Failure),
}

impl Outcome {
    /// Returns whether it failed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// `passed`, `skipped: why` or `failed: why`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
            Self::Failed(failure) => write!(f, "failed: {failure}"),
        }
    }
}

/// Fault found by a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no link.
    NoLink,
    /// A register did not keep what was written.
    Register {
        /// Its name.
        name: &'static str,
        /// Its offset.
        offset: u32,
        /// The value written.
        written: u32,
        /// The value read, the bits that are tested only.
        read: u32,
    },
    /// The words of the NVM do not add up.
    NvmChecksum,
    /// The NVM did not answer.
    NvmSilent(TimedOut),
    /// The PHY could not be set to loop back.
    Phy(PhyError),
    /// A frame of so many bytes did not come back.
    FrameLost {
        /// Length without FCS.
        length: usize,
    },
    /// A frame of so many bytes came back changed.
    FrameDamaged {
        /// Length without FCS.
        length: usize,
    },
    /// The interrupt did not arrive.
    InterruptLost,
    /// A reset did not end: the NIC is off until one does.
    Reset(TimedOut),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLink => f.write_str("no link"),
            Self::Register {
                name,
                offset,
                written,
                read,
            } => write!(
                f,
                "{name} ({offset:#06x}) reads {read:#010x} after {written:#010x}"
            ),
            Self::NvmChecksum => f.write_str("the checksum of the NVM is wrong"),
            Self::NvmSilent(error) => write!(f, "{error}"),
            Self::Phy(error) => write!(f, "{error}"),
            Self::FrameLost { length } => write!(f, "a frame of {length} bytes did not come back"),
            Self::FrameDamaged { length } => write!(f, "a frame of {length} bytes came back changed"),
            Self::InterruptLost => f.write_str("the interrupt did not arrive"),
            Self::Reset(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for Failure {}

/// Results of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// There was a link.
    pub link: Outcome,
    /// Registers keep what is written.
    pub registers: Outcome,
    /// The checksum of the NVM.
    pub nvm: Outcome,
    /// Frames come back in loopback.
    pub loopback: Outcome,
    /// Interrupts arrive.
    pub interrupt: Outcome,
    /// Registers that only some emulators lack and that read as zero whatever was written. None on metal.
    pub absent_registers: u32,
    /// Time from start to end.
    pub took: Duration,
}

const NOT_REACHED: Outcome = Outcome::Skipped("not reached");

impl Report {
    /// Report at the start, before any part was tested.
    pub(crate) const fn new() -> Self {
        Self {
            link: NOT_REACHED,
            registers: NOT_REACHED,
            nvm: NOT_REACHED,
            loopback: NOT_REACHED,
            interrupt: NOT_REACHED,
            absent_registers: 0,
            took: Duration::ZERO,
        }
    }

    /// Marks all parts that were not tested yet as failed.
    pub(crate) fn fail_rest(&mut self, failure: Failure) {
        for outcome in [
            &mut self.link,
            &mut self.registers,
            &mut self.nvm,
            &mut self.loopback,
            &mut self.interrupt,
        ] {
            if *outcome == NOT_REACHED {
                *outcome = Outcome::Failed(failure);
            }
        }
    }

    /// All parts, by name, in the order of the test.
    pub fn parts(&self) -> [(&'static str, Outcome); 5] {
        [
            ("link", self.link),
            ("registers", self.registers),
            ("nvm", self.nvm),
            ("loopback", self.loopback),
            ("interrupt", self.interrupt),
        ]
    }

    /// Returns whether it was done and no part failed.
    pub fn passed(&self) -> bool {
        self.registers != NOT_REACHED && self.parts().iter().all(|(_, outcome)| !outcome.is_failure())
    }
}
