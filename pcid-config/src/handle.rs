//! An open file, as little of it as this crate needs.

use libredox::Fd;
use libredox::error::Result;

/// Reading from and writing to one open file.
///
/// [`Fd`] is the real one; tests put a scripted one in its place.
pub trait Handle {
    /// Reads at most `buffer.len()` bytes; the number read.
    ///
    /// # Errors
    ///
    /// The error number of the scheme behind the file.
    fn read(&self, buffer: &mut [u8]) -> Result<usize>;

    /// Writes `bytes`; the number written.
    ///
    /// # Errors
    ///
    /// The error number of the scheme behind the file.
    fn write(&self, bytes: &[u8]) -> Result<usize>;
}

impl Handle for Fd {
    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        Self::read(self, buffer)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        Self::write(self, bytes)
    }
}

/// Repeats a call as long as a signal interrupts it.
pub(crate) fn uninterrupted(mut call: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match call() {
            Err(error) if error.is_interrupt() => {}
            result => return result,
        }
    }
}
