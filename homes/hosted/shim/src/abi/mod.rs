//! The C ABI of libredox and redox_event, symbol by symbol, on top of the table of objects.

mod attribute;
mod event;
mod file;
mod memory;
mod process;
mod unsupported;

use std::slice;

use syscall::error::{EFAULT, EINVAL, Error, Result};

/// A result as the ABI returns it: the value, or -errno.
fn mux(result: Result<usize>) -> usize {
    Error::mux(result)
}

fn mux_unit(result: Result<()>) -> usize {
    mux(result.map(|()| 0))
}

fn mux_libc(result: isize) -> usize {
    mux(usize::try_from(result).map_err(|_| crate::error::from_linux(std::io::Error::last_os_error())))
}

/// The caller's bytes.
///
/// # Safety
///
/// As for [`slice::from_raw_parts`], except that `base` may be anything if `length` is 0.
unsafe fn bytes<'a>(base: *const u8, length: usize) -> Result<&'a [u8]> {
    if length == 0 {
        return Ok(&[]);
    }
    if base.is_null() {
        return Err(Error::new(EFAULT));
    }
    // SAFETY: not null and not empty; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(base, length) })
}

/// The caller's buffer.
///
/// # Safety
///
/// As for [`slice::from_raw_parts_mut`], except that `base` may be anything if `length` is 0.
unsafe fn bytes_mut<'a>(base: *mut u8, length: usize) -> Result<&'a mut [u8]> {
    if length == 0 {
        return Ok(&mut []);
    }
    if base.is_null() {
        return Err(Error::new(EFAULT));
    }
    // SAFETY: not null and not empty; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts_mut(base, length) })
}

/// The caller's string.
///
/// # Safety
///
/// As for [`bytes`].
unsafe fn string<'a>(base: *const u8, length: usize) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(base, length) }?;
    str::from_utf8(bytes).map_err(|_| Error::new(EINVAL))
}
