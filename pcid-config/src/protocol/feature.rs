//! The interrupt features of a function.

use std::fmt;

/// A way of signalling interrupts other than by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Message signalled interrupts.
    Msi,
    /// Message signalled interrupts, extended: a table of messages in a BAR.
    MsiX,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Msi => "MSI",
            Self::MsiX => "MSI-X",
        })
    }
}
