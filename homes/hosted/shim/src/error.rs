//! Errors as schemes and the C ABI have them: Redox's numbers.

use std::io;

use syscall::error::{EIO, Error, Result};

/// An error as the result it ends a call with.
pub fn fail<T>(errno: i32) -> Result<T> {
    Err(Error::new(errno))
}

/// A Linux error. The numbers that the calls used here can return are the same on Redox.
pub fn from_linux(error: io::Error) -> Error {
    Error::new(error.raw_os_error().unwrap_or(EIO))
}
