//! Errors of a system in QEMU.

use qemu_process::QemuError;

use crate::file::FileError;
use crate::system::accelerator::Accelerator;

/// The result of everything about systems.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A system that does not do what it should, or cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system of this machine refused something.
    #[error(transparent)]
    File(#[from] FileError),
    /// QEMU cannot be started, or does not answer.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// The system did not get as far as it should.
    #[error("{what} within {seconds} s under {accelerator}; the console ended with:\n{console}")]
    Stuck {
        /// Event that was waited for, as a sentence: "the driver did not say that it is up".
        what: &'static str,
        /// Duration.
        seconds: u64,
        /// Its accelerator.
        accelerator: Accelerator,
        /// The last lines of the console.
        console: String,
    },
    /// The system or QEMU failed.
    #[error("{what}; the console ended with:\n{console}")]
    Died {
        /// The event.
        what: String,
        /// The last lines of the console.
        console: String,
    },
}
