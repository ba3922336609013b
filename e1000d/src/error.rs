//! Errors that keep the daemon from starting, or end it.

use std::io;

use e1000_hw::nic::BringUpError;
use pcid_config::channel::ChannelError;
use pcid_config::interrupt::InterruptError;

/// Error that keeps the daemon from starting, or ends it.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// pcid did not answer as it should.
    #[error("pcid: {0}")]
    Channel(#[from] ChannelError),
    /// pcid handed over a function that is not in the chip table.
    #[error("no chip that this driver knows: {vendor:04x}:{device:04x}")]
    UnknownChip {
        /// PCI vendor id.
        vendor: u16,
        /// PCI device id.
        device: u16,
    },
    /// The part has a known defect, and `--force` was not given.
    #[error("{chip} is not driven without --force: {hazard}")]
    Refused {
        /// Name of the part.
        chip: &'static str,
        /// The defect.
        hazard: &'static str,
    },
    /// BAR 0 could not be mapped.
    #[error("cannot map the registers: {0}")]
    Registers(io::Error),
    /// The NIC did not come up.
    #[error("the NIC did not come up: {0}")]
    BringUp(#[from] BringUpError),
    /// A system call failed.
    #[error("cannot {doing}: {error}")]
    System {
        /// The action that failed.
        doing: &'static str,
        /// Its error.
        error: io::Error,
    },
    /// The interrupt line failed.
    #[error("{0}")]
    Interrupt(#[from] InterruptError),
    /// The kernel closed the scheme socket.
    #[error("the scheme was closed")]
    SchemeClosed,
    /// The thread that serves requests panicked.
    #[error("serving requests ended in a panic")]
    RequestsPanicked,
}

/// Adds the failed action to the error of a system call.
pub trait Doing<T> {
    /// Turns the error into one that names the action: "cannot {doing}".
    ///
    /// # Errors
    ///
    /// Those of the call.
    fn doing(self, doing: &'static str) -> Result<T, DaemonError>;
}

impl<T> Doing<T> for libredox::error::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, DaemonError> {
        self.map_err(|error| io::Error::from_raw_os_error(error.errno()))
            .doing(doing)
    }
}

impl<T> Doing<T> for syscall::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, DaemonError> {
        self.map_err(|error| io::Error::from_raw_os_error(error.errno))
            .doing(doing)
    }
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, DaemonError> {
        self.map_err(|error| DaemonError::System { doing, error })
    }
}
